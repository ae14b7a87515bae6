package main

import (
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed26845165/logits"
)

func TestULP(t *testing.T) {
	for _, x := range []float32{1, 1.5, 3, 0x1p-126, 0x1p-140, 0, math.MaxFloat32 / 3} {
		want := float64(math.Nextafter32(x, math.MaxFloat32)) - float64(x)
		if got := ulp(float64(x)); got != want {
			t.Errorf("%v: got %v, want %v", x, got, want)
		}
	}
}

func TestErrorsWithinBounds(t *testing.T) {
	var engines []*engine
	for _, p := range logits.Paths() {
		engines = append(engines, &engine{name: p})
	}
	defer logits.SetPath(logits.Path())
	if err := measureErrors(engines, rand.New(rand.NewPCG(1, 1)), 99_991, []int{1, 3, 10, 100, 5000}, func() {}); err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		for kind, n := range errorNames {
			if got := e.errors[errorKind(kind)]; got > n.bound {
				t.Errorf("%s: %s: %g, want at most %g", e.name, n.name, got, n.bound)
			} else if _, ok := e.errors[errorKind(kind)]; !ok || got == 0 && n.bound > 0 {
				t.Errorf("%s: %s: not measured", e.name, n.name)
			}
		}
	}
	broken := errorsOf{}
	broken.worst(nllError, math.NaN())
	if !math.IsInf(broken[nllError], 1) {
		t.Error("NaN is no error")
	}
}

func TestAccuracyCommand(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	var out strings.Builder
	if err := accuracyCommand([]string{"-stride", "100003"}, &out, io.Discard); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"| `Exp`, ULP | 1 | 0.", "| normal times 0.01 |", "| of 1000000 columns |", "| 1e-20 |", "| a NaN | softmax | right |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	for _, args := range [][]string{{"x"}, {"-stride=0"}, {"-stride=9999999"}, {"-paths=sse"}, {"-nonsense"}} {
		if err := accuracyCommand(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// An engine that is wrong about special values, or over a bound, is found.
func TestAccuracyFinds(t *testing.T) {
	defer logits.SetPath(logits.Path())
	e := &engine{name: "generic"}
	e.worst(nllError, 1e-6)
	if err := printErrors(io.Discard, []*engine{e}, 1); err == nil || !strings.Contains(err.Error(), "generic: `LogSoftmaxNLL`") {
		t.Errorf("got %v", err)
	}
	wrong, err := measureSpecials([]*engine{e})
	if err != nil || len(wrong) > 0 {
		t.Errorf("%v, %v", wrong, err)
	}
	wrong = map[string]map[*engine]bool{specialName(specialCases[0], "softmax"): {e: true}}
	if err := printSpecials(io.Discard, []*engine{e}, wrong); err == nil || !strings.Contains(err.Error(), "generic: softmax of a row with a NaN") {
		t.Errorf("got %v", err)
	}
	for want, got := range map[float64]float32{math.Inf(1): 1, 0: 1e-30, 1: 1.001, -1e38: float32(math.Inf(-1)), 2: float32(math.NaN())} {
		if rightSpecial(got, want) {
			t.Errorf("%v passed for %v", got, want)
		}
	}
}
