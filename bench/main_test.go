package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed26845165/logits"
)

// usePath forces a path until the test ends.
func usePath(t testing.TB, name string) {
	t.Helper()
	before := logits.Path()
	if err := logits.SetPath(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { logits.SetPath(before) })
}

func TestParseShapes(t *testing.T) {
	got, err := parseShapes("64x10, 1x4096")
	if want := []shape{matrix(64, 10), matrix(1, 4096)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	got, err = parseShapes("8x21x65536,64x10")
	if want := []shape{planar(8, 21, 65536), matrix(64, 10)}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if s := got[0]; s.String() != "8x21x65536" || s.rows != 8*65536 || s.cols != 21 || s.unit() != 65536 {
		t.Errorf("got %v, %+v", s, s)
	}
	for _, bad := range []string{"", "64", "64x", "x10", "0x10", "64x-1", "64x10x", "64x10x0", "64x10x3x2", "64x10,",
		"1000000000x1000000000", "100000x100000x100000", "9223372036854775807x2x2"} {
		if got, err := parseShapes(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, got)
		}
	}
}

func TestFlags(t *testing.T) {
	c, err := parseFlags([]string{"-kernels", "nll, max,nll", "-paths", "generic", "-shapes", "2x3", "-time", "5ms", "-seed", "7", "-peers",
		"-cpu", "1, 1", "-pin", "0", "-format", "csv", "-o", "f", "-plot", "d"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(c.kernels); !slices.Equal(got, []string{"nll", "max"}) {
		t.Errorf("kernels %v", got)
	}
	if !slices.Equal(c.paths, []string{"generic"}) || !slices.Equal(c.shapes, []shape{matrix(2, 3)}) || !slices.Equal(c.workers, []int{1}) ||
		c.time != 5*time.Millisecond || c.seed != 7 || !c.peers || c.pin != 0 || c.format != "csv" || c.output != "f" || c.plot != "d" {
		t.Errorf("got %+v", c)
	}
	c, err = parseFlags(nil, io.Discard)
	if err != nil || len(c.kernels) != len(kernels) || !slices.Equal(c.paths, logits.Paths()) || len(c.shapes) != 5 ||
		c.pin != -1 || c.format != "table" || c.workers[0] != 1 {
		t.Errorf("default: %v, %+v", err, c)
	}
	for bad, want := range map[string]string{
		"-kernels=softmin":         "log-sum-exp",
		"-kernels=":                "log-sum-exp",
		"-kernels=planar ce+gradx": "planar ce+grad",
		"-paths=sse":               "generic",
		"-shapes=9":                "64x4096",
		"-shapes=2x3x":             "64x4096",
		"-time=0":                  "-time",
		"-rounds=0":                "-rounds",
		"-cpu=0":                   "from 1 to",
		"-cpu=1,9999":              "from 1 to",
		"-cpu=":                    "from 1 to",
		"-format=xml":              "benchstat",
		"-nonsense":                "nonsense",
		"less":                     "less",
	} {
		if _, err := parseFlags([]string{bad}, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", bad, err, want)
		}
	}
}

// The criteria are measured at one matrix unless kernels or shapes are named,
// and planar shapes are for the planar kernels alone.
func TestShapesOf(t *testing.T) {
	const all = "[64x10 64x4096 64x50257 256x151936]"
	for _, test := range []struct{ args, kernel, want string }{
		{"", "nll", all},
		{"", "ce smooth", "[64x4096]"},
		{"", "copy", "[64x4096]"},
		{"", "planar ce", "[8x21x65536]"},
		{"-kernels=ce smooth, planar ce+grad", "ce smooth", all},
		{"-kernels=ce smooth, planar ce+grad", "planar ce+grad", "[8x21x65536]"},
		{"-shapes=2x3,2x3x4", "max", "[2x3]"},
		{"-shapes=2x3,2x3x4", "l1+grad", "[2x3]"},
		{"-shapes=2x3,2x3x4", "planar ce", "[2x3x4]"},
		{"-shapes=2x3", "planar ce", "[]"},
	} {
		var args []string
		if test.args != "" {
			args = append(args, test.args)
		}
		c, err := parseFlags(args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(c.shapesOf(kernelNamed(test.kernel))); got != test.want {
			t.Errorf("%s: %s at %s, want %s", test.args, test.kernel, got, test.want)
		}
	}
	for _, bad := range [][]string{{"-kernels=nll,mse+grad", "-shapes=2x3x4"}, {"-kernels=planar ce", "-shapes=2x3,4x5"}} {
		if _, err := parseFlags(bad, io.Discard); err == nil || !strings.Contains(err.Error(), "planar") {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// Several workers are for large matrices, and for few kernels unless asked for.
func TestCells(t *testing.T) {
	c := config{
		kernels: []kernel{kernelNamed("max"), kernelNamed("nll")},
		shapes:  []shape{matrix(64, 10), matrix(64, 4096)},
		workers: []int{1, 2},
	}
	text := func() string {
		var all []string
		for _, x := range c.cells() {
			all = append(all, fmt.Sprintf("%s %v %d", x.kernel.name, x.shape, x.workers))
		}
		return strings.Join(all, ", ")
	}
	const one = "max 64x10 1, max 64x4096 1, nll 64x10 1, nll 64x4096 1, "
	if got, want := text(), one+"max 64x4096 2, nll 64x4096 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	c.fewWorkers = true
	if got, want := text(), one+"nll 64x4096 2"; got != want {
		t.Errorf("few: got %s, want %s", got, want)
	}
}

func TestSomeRows(t *testing.T) {
	for _, test := range []struct {
		s       shape
		n, want int
	}{
		{matrix(10, 4), 0, 1}, {matrix(10, 4), 3, 3}, {matrix(10, 4), 11, 10},
		{planar(3, 2, 5), 0, 5}, {planar(3, 2, 5), 5, 5}, {planar(3, 2, 5), 6, 10}, {planar(3, 2, 5), 99, 15},
	} {
		if got := test.s.someRows(test.n); got != test.want {
			t.Errorf("%d of %v: %d rows, want %d", test.n, test.s, got, test.want)
		}
	}
}

func TestSample(t *testing.T) {
	for _, test := range []struct {
		s              sample
		median, spread float64
	}{
		{sample{3}, 3, 0},
		{sample{1, 2}, 1.5, 1.0 / 3},
		{sample{1, 2, 4}, 2, 0.75},
		{sample{1, 2, 3, 4, 10}, 3, 2.0 / 3},
	} {
		if m, s := test.s.median(), test.s.spread(); m != test.median || math.Abs(s-test.spread) > 1e-15 {
			t.Errorf("%v: median %v, spread %v, want %v, %v", test.s, m, s, test.median, test.spread)
		}
	}
	if m := (sample{}).median(); !math.IsNaN(m) {
		t.Errorf("median of nothing: %v", m)
	}
}

func TestDigitsOf(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 123.4: "123", 12.34: "12.3", 1: "1.00", 0.01234: "0.0123", -0.5: "-0.500", math.Inf(1): "+Inf"} {
		if got := digitsOf(v, 3); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

// A clock that does not run on real time: a row costs its contender a fixed
// time, and what it was given is noted.
func TestMeasure(t *testing.T) {
	s := matrix(10000, 10)
	var order []int
	fake := func(id int, perRow time.Duration, whole bool, rows, calls *int) contender {
		return contender{name: "fake", whole: whole, run: func(r, c int) (time.Duration, error) {
			order = append(order, id)
			*rows, *calls = r, c
			return time.Duration(r*c) * perRow, nil
		}}
	}
	var rows, calls [3]int
	samples, err := measure(s, []contender{
		fake(0, 10*time.Nanosecond, false, &rows[0], &calls[0]),  // 0.1 ms a call
		fake(1, 10*time.Microsecond, false, &rows[1], &calls[1]), // 100 ms
		fake(2, 10*time.Microsecond, true, &rows[2], &calls[2]),
	}, 50*time.Millisecond, 5, rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{1, 1000, 1000} {
		if len(samples[i]) != 5 || samples[i].median() != want || samples[i].spread() != 0 {
			t.Errorf("contender %d: %v, want 5 times %v", i, samples[i], want)
		}
	}
	if want := [3]int{10000, 1000, 10000}; rows != want {
		t.Errorf("rows %v, want %v", rows, want)
	}
	if want := [3]int{100, 1, 1}; calls != want {
		t.Errorf("calls %v, want %v", calls, want)
	}
	for i := len(order) - 15; i < len(order); i += 3 {
		turn := slices.Clone(order[i : i+3])
		slices.Sort(turn)
		if !slices.Equal(turn, []int{0, 1, 2}) {
			t.Errorf("turns %v of a round", turn)
		}
	}
}

// Who follows a contender with data of its own has an untimed turn first.
func TestMeasureApart(t *testing.T) {
	var calls [2]int
	fake := func(id int, apart bool) contender {
		return contender{whole: true, apart: apart, run: func(_, n int) (time.Duration, error) {
			calls[id]++
			return time.Duration(n) * time.Millisecond, nil
		}}
	}
	if _, err := measure(matrix(1, 1), []contender{fake(0, true), fake(1, false)}, 50*time.Millisecond, 50, rand.New(rand.NewPCG(1, 1))); err != nil {
		t.Fatal(err)
	}
	// Two calls each to find out how long they take.
	if calls[0] != 52 || calls[1] < 53 || calls[1] > 102 {
		t.Errorf("%v calls", calls)
	}
}

func TestParts(t *testing.T) {
	w := newWorkspace(matrix(10, 4))
	for i := range w.x {
		w.x[i] = float32(i)
	}
	w = w.as(matrix(10, 4))
	var seen []float32
	c := goContender("", w, func(w *workspace) error {
		seen = append(seen, w.x[0])
		return nil
	})
	if _, err := c.run(4, 3); err != nil {
		t.Fatal(err)
	}
	if want := []float32{0, 16, 0}; !slices.Equal(seen, want) {
		t.Errorf("parts start at %v, want %v", seen, want)
	}
}

func TestPlanarParts(t *testing.T) {
	w := newWorkspace(planar(3, 2, 5))
	for i := range w.x {
		w.x[i] = float32(i)
	}
	w = w.as(planar(3, 2, 5))
	part := w.slice(5, 15)
	if part.shape != planar(2, 2, 5) || part.x[0] != 10 || len(part.x) != 20 || len(part.out) != 10 || len(part.targets) != 10 {
		t.Errorf("got %v, %v", part.shape, part.x)
	}
}

func TestDigits(t *testing.T) {
	x, labels, err := digits()
	if err != nil {
		t.Fatal(err)
	}
	if x.Rows != 1797 || x.Cols != 10 || len(labels) != 1797 {
		t.Fatalf("%d x %d, %d labels", x.Rows, x.Cols, len(labels))
	}
	for _, path := range logits.Paths() {
		t.Run(path, func(t *testing.T) {
			usePath(t, path)
			loss, err := meanLoss(x, labels)
			if err != nil || math.Abs(loss-digitsLoss) > 1e-7 {
				t.Errorf("mean loss %v, %v, want %v", loss, err, digitsLoss)
			}
		})
	}
}

// Every kernel and its plain loop do the same, and the check sees it when not.
func TestAgree(t *testing.T) {
	for _, s := range []shape{matrix(1, 1), matrix(3, 10), matrix(2, 5000), matrix(256, 1000), planar(3, 4, 5), planar(2, 21, 400), planar(1, 1, 3)} {
		w := newWorkspace(s)
		w.fill(rand.New(rand.NewPCG(1, 1)))
		for _, k := range kernels {
			if !k.takes(s) {
				continue
			}
			whole := w.as(s)
			k.naive(whole)
			want := whole.loss
			for _, p := range logits.Paths() {
				usePath(t, p)
				whole.loss = 0
				if err := k.run(whole); err != nil || math.Abs(whole.loss-want) > 1e-6*max(1, want) {
					t.Errorf("%s, %v, %s: loss %v, %v, want %v", k.name, s, p, whole.loss, err, want)
				}
			}
			if _, err := rightContenders(k, w.as(s), logits.Paths()); err != nil {
				t.Errorf("%s, %v: %v", k.name, s, err)
			}
			k.run = func(w *workspace) error {
				clear(w.y)
				clear(w.out)
				w.loss = 0
				for i := range w.index {
					w.index[i] = -1
				}
				return nil
			}
			if _, err := rightContenders(k, w.as(s), logits.Paths()[:1]); err == nil && s.cols > 1 {
				t.Errorf("%s, %v: zeros passed for right", k.name, s)
			}
		}
	}
	k := kernelNamed("nll")
	if agree(k, matrix(1, 3), []float32{float32(math.NaN())}, []float32{1}) == nil {
		t.Error("NaN passed for right")
	}
}

func TestWhyPath(t *testing.T) {
	t.Setenv("LOGITS_PATH", "generic")
	if got, want := whyPath(), "LOGITS_PATH=generic; without it "+logits.Paths()[0]; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	t.Setenv("LOGITS_PATH", "")
	if got := whyPath(); strings.Contains(got, "without it") || portableOnly != strings.Contains(got, "leave the assembly out") {
		t.Errorf("got %q", got)
	}
}

func TestPin(t *testing.T) {
	said, undo, err := pin(-1)
	if err != nil || said == "" {
		t.Fatalf("%q, %v", said, err)
	}
	undo()
	if _, _, err := pin(1 << 20); err == nil {
		t.Error("pinned to a core that no machine has")
	}
}

func TestRun(t *testing.T) {
	before, procs := logits.Path(), runtime.GOMAXPROCS(0)
	var out, errs bytes.Buffer
	err := run([]string{"-shapes", "3x5,2x300,2x3x4", "-time", "1ms", "-rounds", "2"}, &out, &errs)
	if err != nil || errs.Len() > 0 {
		t.Fatalf("%v: %s", err, &errs)
	}
	words := strings.Fields(out.String())
	for _, want := range append(logits.Paths(), "2.5141", "0.1701599689086844", "naive", "Took", "FMA", "L1", "memory", "GFLOP/s") {
		if !slices.Contains(words, want) {
			t.Errorf("no %q in the output", want)
		}
	}
	for _, k := range kernels {
		for _, s := range []shape{matrix(3, 5), matrix(2, 300), planar(2, 3, 4)} {
			if got := strings.Count(out.String(), fmt.Sprintf("\n%-16s%-13v", k.name, s)); (got == 1) != k.takes(s) {
				t.Errorf("%s at %v: %d lines", k.name, s, got)
			}
		}
	}
	if logits.Path() != before || runtime.GOMAXPROCS(0) != procs {
		t.Errorf("path %s, GOMAXPROCS %d afterwards, want %s, %d", logits.Path(), runtime.GOMAXPROCS(0), before, procs)
	}
	t.Log(out.String())
}

// More workers than cores are refused by the flags, but work.
func TestRunWorkers(t *testing.T) {
	c, err := parseFlags([]string{"-shapes", "4x65536,2x3", "-kernels", "max,nll", "-time", "1ms", "-rounds", "1"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	c.workers, c.fewWorkers = []int{1, 2}, true
	var out bytes.Buffer
	if err := report(c, nil, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	_, two, ok := strings.Cut(out.String(), "Speed: 2 workers, not pinned")
	if !ok || !strings.Contains(out.String(), "Limits of 2 cores") {
		t.Fatalf("no table for 2 workers in %s", &out)
	}
	if !strings.Contains(two, "\nnll             4x65536") || strings.Contains(two, "\nmax") || strings.Contains(two, "2x3") {
		t.Errorf("the table for 2 workers: %s", two)
	}
	t.Log(out.String())
}

func TestTrust(t *testing.T) {
	r := results{Figures: make([]figure, 8)}
	for i, want := range []string{"every figure", "1 of 8 figures are not", "2 of 8 figures are not", "TOO NOISY TO TRUST: the quartiles (+-) of 3 of 8"} {
		if got := r.trust(); !strings.Contains(got, want) {
			t.Errorf("%d: got %q, want %q", i, got, want)
		}
		r.Figures[i].Spread = 2 * noisy
	}
}

func TestRunErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "no", "file")
	for _, args := range [][]string{{"-o", missing}, {"-shapes", "2x2", "-pin", "1048576"}} {
		if err := run(args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), args[len(args)-2]) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestResults(t *testing.T) {
	w := &workspace{shape: matrix(1, 2), y: []float32{1, 2}, out: []float32{3}, index: []int{4}, loss: 5}
	for r, want := range map[result][]float32{perRow: {3}, perElement: {1, 2}, indices: {4}, scalar: {5}} {
		if got := (kernel{result: r}).results(nil, w); !reflect.DeepEqual(got, want) {
			t.Errorf("%d: got %v, want %v", r, got, want)
		}
	}
}
