package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/seed26845165/logits"
)

// With b = 1 each step doubles, exactly.
func TestFMA(t *testing.T) {
	for _, path := range logits.Paths() {
		loop := loopOf(path)
		if _, assembly := loops[path]; assembly != (path != "generic") {
			t.Errorf("%s: assembly is %v", path, assembly)
		}
		for _, n := range []int{0, 1, 2, 17} {
			x := make([]float32, loop.lanes+1)
			for i := range x {
				x[i] = float32(i + 1)
			}
			loop.fma(&x[0], 1, n)
			for i, got := range x[:loop.lanes] {
				if want := float32(math.Ldexp(float64(i+1), n)); got != want {
					t.Fatalf("%s, %d steps: lane %d is %v, want %v", path, n, i, got, want)
				}
			}
			if got := x[loop.lanes]; got != float32(loop.lanes+1) {
				t.Errorf("%s: wrote past its %d lanes", path, loop.lanes)
			}
		}
		x := make([]float32, loop.lanes)
		x[loop.lanes-1] = 3
		if loop.fma(&x[0], 0.5, 2); x[loop.lanes-1] != 6.75 || x[0] != 0 {
			t.Errorf("%s: got %v and %v, want 0 and 6.75", path, x[0], x[loop.lanes-1])
		}
	}
}

// Copying and writing change all elements of their steps, and no other.
func TestStoringLoops(t *testing.T) {
	x := make([]float32, 3*loopStep)
	for i := range x {
		x[i] = float32(i + 1)
	}
	for _, path := range logits.Paths() {
		loop := loopOf(path)
		for kind, test := range map[string]struct {
			store func(dst *float32, n int)
			want  []float32
		}{
			"copy":  {func(dst *float32, n int) { loop.copy(dst, &x[0], n) }, x},
			"write": {func(dst *float32, n int) { loop.write(dst, 7, n) }, slices.Repeat([]float32{7}, len(x))},
		} {
			for n := range 4 {
				for _, at := range []int{1, loopStep} {
					got, want := make([]float32, 5*loopStep), make([]float32, 5*loopStep)
					copy(want[at:], test.want[:n*loopStep])
					if test.store(&got[at], n); !slices.Equal(got, want) {
						t.Errorf("%s: %s of %d steps to element %d: %v", path, kind, n, at, got)
					}
				}
			}
		}
	}
}

// What vectors read does not show, see TestLoopsGuarded.
func TestReadGeneric(t *testing.T) {
	x := make([]float32, loopStep)
	for i := range x {
		clear(x)
		x[i] = math.Float32frombits(7)
		readGeneric(&x[0], 1)
		if readSink.Load() != 7 {
			t.Errorf("element %d was not read", i)
		}
	}
}

func TestChain(t *testing.T) {
	for _, n := range []int{0, 1, 5} {
		if got, want := chain(1, 3, 0, n), uint64(1+3*chainLength/2*n); got != want {
			t.Errorf("%d steps: %d, want %d", n, got, want)
		}
	}
	if got := chain(0, 0, 7, 3); got != 0 {
		t.Errorf("an even number of exclusive ors leaves %d", got)
	}
}

var someLevels = []level{{"L1", 32 << 10, false}, {"L2", 1 << 20, false}, {"L3", 32 << 20, true}, {"memory", 0, true}}

func TestWorkingSet(t *testing.T) {
	for i, l := range someLevels {
		one, two := workingSet(someLevels, i, 1), workingSet(someLevels, i, 2)
		if i > 0 && one <= someLevels[i-1].capacity || l.capacity > 0 && one > l.capacity {
			t.Errorf("%s: %d bytes", l.name, one)
		}
		if l.shared != (two == one/2) {
			t.Errorf("%s: %d bytes for one, %d for each of two", l.name, one, two)
		}
		if many := workingSet(someLevels, i, 1000); i > 1 && many <= someLevels[1].capacity {
			t.Errorf("%s: %d bytes for each of many are in their second level", l.name, many)
		}
	}
	only := []level{{"L1", 32 << 10, false}, {"memory", 0, true}}
	if got := workingSet(only, 1, 1); got != 64<<20 {
		t.Errorf("memory behind L1: %d", got)
	}
}

func TestBound(t *testing.T) {
	l := limits{
		{Kind: "read", Level: "L2", By: "a", Workers: 1, Rate: 100},
		{Kind: "copy", Level: "L2", By: "a", Workers: 1, Rate: 80},
		{Kind: "copy", Level: "L2", By: "go", Workers: 1, Rate: 160},
		{Kind: "read", Level: "memory", By: "a", Workers: 1, Rate: 10},
		{Kind: "exp", By: "a", Workers: 1, Rate: 4},
		{Kind: "fma", By: "a", Workers: 1, Rate: 50},
		{Kind: "fma", By: "generic", Workers: 1, Rate: 5},
		{Kind: "read", Level: "L1", By: "a", Workers: 2, Rate: 400},
		{Kind: "copy", Level: "L2", By: "generic", Workers: 1, Rate: 20},
		{Kind: "read", Level: "L2", By: "generic", Workers: 1, Rate: 10},
	}
	for _, test := range []struct {
		kernel, path string
		s            shape
		workers      int
		ns           float64
		what         string
	}{
		{"sum", "a", matrix(64, 1024), 1, 0.04, "L2 read"},           // 4 bytes at 100 GB/s
		{"max", "generic", matrix(64, 1024), 1, 0.4, "L2 read"},      // 4 bytes at 10 GB/s
		{"max", "generic", matrix(1024, 1024), 1, 0.1, "FMA"},        // half a multiply-add
		{"sum", "a", matrix(1024, 4096), 1, 0.02, "FMA"},             // L3 was not measured
		{"sum", "a", matrix(4096, 4097), 1, 0.4, "memory read"},      // 64 MiB and more
		{"nll", "a", matrix(64, 1024), 1, 0.25, "exp"},               // 1 at 4 G/s
		{"copy", "a", matrix(64, 1024), 1, 0.05, "L2 copy"},          // 8 bytes at 160 GB/s
		{"mse+grad", "a", matrix(64, 1024), 1, 0.09, "L2 copy"},      // one more read
		{"copy", "generic", matrix(64, 1024), 1, 0.05, "L2 copy"},    // Go's own
		{"mse+grad", "generic", matrix(64, 1024), 1, 0.8, "L2 copy"}, // with its own copy
		{"sum", "a", matrix(2, 8192), 2, 0.01, "L1 read"},            // in the L1 of both
		{"exp", "a", matrix(1, 1), 2, 0, "L1 copy"},                  // not measured
		{"planar ce", "a", planar(1, 4, 1024), 1, 0.25, "exp"},       // in L1
	} {
		ns, what := l.bound(someLevels, kernelNamed(test.kernel), test.s, test.path, test.workers)
		if math.Abs(ns-test.ns) > 1e-12 || what != test.what {
			t.Errorf("%s at %v on %s, %d workers: %v, %s, want %v, %s", test.kernel, test.s, test.path, test.workers, ns, what, test.ns, test.what)
		}
	}
}

func TestMeasureLimits(t *testing.T) {
	defer logits.SetPath(logits.Path())
	c := config{paths: logits.Paths(), time: time.Millisecond, rounds: 2}
	steps := 0
	l, err := measureLimits(c, 2, rand.New(rand.NewPCG(1, 1)), func() { steps++ })
	if err != nil {
		t.Fatal(err)
	}
	if steps != limitSteps(c) {
		t.Errorf("%d steps, want %d", steps, limitSteps(c))
	}
	checkLimits(t, l, c.paths, 2)
}

// checkLimits reports what is missing in the limits of some workers, what makes
// no sense, and what is there twice.
func checkLimits(t *testing.T, l limits, paths []string, workers int) {
	t.Helper()
	n := 0
	check := func(kind, level, by string) {
		t.Helper()
		n++
		if r := l.rate(kind, level, by, workers); !(r > 1e-4 && r < 1e6) {
			t.Errorf("%s %s by %s: %v G/s", level, kind, by, r)
		}
	}
	all, _ := levels()
	for _, level := range all {
		for _, kind := range []string{"read", "copy", "write"} {
			for _, p := range paths {
				check(kind, level.name, p)
			}
		}
		check("copy", level.name, "go")
		check("write", level.name, "go")
	}
	for _, p := range paths {
		check("exp", "", p)
		check("fma", "", p)
		check("add", "", p)
	}
	if len(l) != n {
		t.Errorf("%d limits, want %d", len(l), n)
	}
}
