package main

import (
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/seed26845165/logits"
)

// fewCases are enough for a test.
func fewCases() []*checkCase {
	rng := rand.New(rand.NewPCG(2, 2))
	return []*checkCase{newCheckCase(rng, 24, 1), newCheckCase(rng, 24, 67), newCheckCase(rng, 12, 2500), newCheckCase(rng, 1, 270_003)}
}

// keepState gives back the path and the number of goroutines after a test.
func keepState(t *testing.T) {
	path, procs := logits.Path(), runtime.GOMAXPROCS(4)
	t.Cleanup(func() {
		logits.SetPath(path)
		logits.SetWorkers(0)
		runtime.GOMAXPROCS(procs)
	})
}

func TestCheck(t *testing.T) {
	keepState(t)
	var out strings.Builder
	if err := newChecker(logits.Paths(), 2).run(fewCases(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	digests := map[string]bool{}
	for _, p := range logits.Paths() {
		for line := range strings.Lines(out.String()) {
			if words := strings.Fields(line); len(words) == 4 && words[0] == p && words[1] == "right" && p != "generic" {
				digests[words[3]] = true
			}
		}
	}
	if len(logits.Paths()) > 1 && len(digests) != 1 {
		t.Errorf("digests %v of the accelerated paths, want one\n%s", digests, &out)
	}
}

// Whatever is wrong, on whatever path, is found and named.
func TestCheckFinds(t *testing.T) {
	keepState(t)
	cases := fewCases()[1:2]
	bits := func(v float64, by int32) float64 {
		return float64(math.Float32frombits(uint32(int32(math.Float32bits(float32(v))) + by)))
	}
	// corrupt changes the first of the values that are finite and not 0.
	corrupt := func(f func(v float64) float64) func([]float64) {
		return func(values []float64) {
			for i, v := range values {
				if v != 0 && v-v == 0 {
					values[i] = f(v)
					return
				}
			}
		}
	}
	type corruption struct {
		what  string
		when  func(l layout) bool
		do    func(values []float64)
		spare string // a path where it may pass, with bits of its own
	}
	always := func(layout) bool { return true }
	for _, test := range []corruption{
		{"bit", always, corrupt(func(v float64) float64 { return bits(v, 1) }), "generic"},
		{"NaN", always, corrupt(func(float64) float64 { return math.NaN() }), ""},
		{"infinity", always, corrupt(func(float64) float64 { return math.Inf(1) }), ""},
		{"percent", always, corrupt(func(v float64) float64 { return v * 1.01 }), ""},
		{"bit in place", func(l layout) bool { return l.inPlace }, corrupt(func(v float64) float64 { return bits(v, 1) }), ""},
		{"bit of several goroutines", func(l layout) bool { return l.workers != 1 }, corrupt(func(v float64) float64 { return bits(v, -1) }), ""},
		{"sign of a zero", always, func(values []float64) {
			for i, v := range values {
				if v == 0 {
					values[i] = -v
					return
				}
			}
		}, "generic"},
	} {
		for _, wrong := range logits.Paths() {
			if len(logits.Paths()) <= 2 && test.spare != "" || test.spare == wrong {
				continue // Nothing to compare the bits with.
			}
			for _, name := range []string{"Softmax", "Exp", "planar CrossEntropyGrad"} {
				c := newChecker(logits.Paths(), 2)
				right := c.outputs
				c.outputs = func(path string, cs *checkCase, l layout) ([]output, error) {
					out, err := right(path, cs, l)
					for _, o := range out {
						if path == wrong && o.name == name && test.when(l) {
							test.do(o.values)
						}
					}
					return out, err
				}
				var out strings.Builder
				err := c.run(cases, &out)
				if err == nil || !strings.Contains(out.String(), wrong+": 24x67: ") || !strings.Contains(err.Error(), wrong) || !strings.Contains(out.String(), name+": value") {
					t.Errorf("%s in %s on %s: %v\n%s", test.what, name, wrong, err, &out)
				}
			}
		}
	}
}

// A function that writes beside its result, or does not answer, is found.
func TestCheckSpilled(t *testing.T) {
	p := newPlace[float32](3, 5, layout{pad: 2, offset: 1})
	for i := range p.Rows {
		clear(p.Data[i*p.Stride : i*p.Stride+p.Cols])
	}
	if err := p.intact(); err != nil {
		t.Error(err)
	}
	for _, i := range []int{0, 6, len(p.buf) - 1} {
		q := newPlace[float32](3, 5, layout{pad: 2, offset: 1})
		q.buf[i] = 0
		if q.intact() == nil {
			t.Errorf("element %d was written, and nobody saw", i)
		}
	}
	keepState(t)
	c := newChecker(logits.Paths(), 2)
	right := c.outputs
	c.outputs = func(path string, cs *checkCase, l layout) ([]output, error) {
		if l.inPlace {
			return nil, errSpilled
		}
		return right(path, cs, l)
	}
	var out strings.Builder
	if err := c.run(fewCases()[:1], &out); err == nil || !strings.Contains(out.String(), errSpilled.Error()) {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestWithin(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, test := range []struct {
		v, exact, bound float64
		want            bool
	}{
		{1, 1, 0, true}, {1, 1.5, 0.5, true}, {1, 1.5, 0.4, false},
		{nan, nan, 0, true}, {nan, 1, 9, false}, {1, nan, 9, false}, {nan, 1, inf, true},
		{inf, inf, 0, true}, {inf, -inf, 0, false}, {inf, 1, 1, false}, {1, inf, 1, false},
		{inf, 1e39, 0, true}, {-inf, 1e39, 0, false}, {1, 1, nan, true}, {1, 2, nan, false},
	} {
		if got := within(test.v, test.exact, test.bound); got != test.want {
			t.Errorf("%v for %v within %v: got %v", test.v, test.exact, test.bound, got)
		}
	}
}

// A wrong result of the float64 path, which the others are measured by, is found.
func TestCheckExact(t *testing.T) {
	c := fewCases()[1]
	right := func() []output {
		out, err := outputs[float64](c, layout{})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if err := c.checkExact(right()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"RowMax", "RowArgMax", "RowSum", "RowLogSumExp", "LogSoftmaxNLL", "Exp", "Softmax"} {
		wrong := right()
		for _, o := range wrong {
			for i := range o.values {
				if o.name == name {
					o.values[i] = o.values[i]*1.0001 + 0x1p-20
				}
			}
		}
		if c.checkExact(wrong) == nil {
			t.Errorf("%s is wrong, and nobody saw", name)
		}
	}
}

func TestCheckFlags(t *testing.T) {
	for _, args := range [][]string{{"x"}, {"-seed=-1"}, {"-time=-1s"}, {"-nonsense"}} {
		if err := checkCommand(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
