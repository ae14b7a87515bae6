package logits

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestMain fails when the paths are not those that the environment expects, so
// that no run passes on a silent fallback: LOGITS_REQUIRE names paths that must
// be there (and llvm-mc, for the generator's tests), LOGITS_ONLY all of them.
func TestMain(m *testing.M) {
	for _, name := range strings.Split(os.Getenv("LOGITS_REQUIRE"), ",") {
		if name != "" && name != "llvm-mc" && !slices.Contains(Paths(), name) {
			fmt.Printf("LOGITS_REQUIRE names %s, but the paths are %v\n", name, Paths())
			os.Exit(1)
		}
	}
	if only := os.Getenv("LOGITS_ONLY"); only != "" && only != strings.Join(Paths(), ",") {
		fmt.Printf("LOGITS_ONLY is %s, but the paths are %v\n", only, Paths())
		os.Exit(1)
	}
	streamSize, trailSize = leastStream, leastTrail // as on any CPU
	os.Exit(m.Run())
}

// onPaths runs f as a subtest on each path of the machine.
func onPaths(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	for _, name := range Paths() {
		t.Run(name, func(t *testing.T) {
			usePath(t, name)
			f(t)
		})
	}
}

// usePath forces a path until the test ends.
func usePath(t testing.TB, name string) {
	t.Helper()
	before := Path()
	if err := SetPath(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { SetPath(before) })
}

// useWorkers caps the goroutines until the test ends.
func useWorkers(t testing.TB, n int) {
	before := maxWorkers.Load()
	SetWorkers(n)
	t.Cleanup(func() { maxWorkers.Store(before) })
}

// sizes are numbers of columns around the thresholds of the kernels: a
// register, a vector of 16 lanes, a step of 64, a block of 4096.
var sizes = []int{1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 17, 20, 24, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80,
	95, 100, 111, 127, 128, 129, 143, 191, 192, 193, 255, 256, 257, 500, 1000, 2049, 2113, 4095, 4096, 4097, 4160, 4161, 5000}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

// randomRow fills x with normal numbers times scale.
func randomRow[T Float](rng *rand.Rand, x []T, scale float64) {
	for i := range x {
		x[i] = T(rng.NormFloat64() * scale)
	}
}

// A reference holds the float64 results for a row.
type reference struct {
	max    float64
	argMax int
	sum    float64
	abs    float64   // sum of magnitudes
	others float64   // sum of e^(x-max) without the first maximum
	lse    float64   // log-sum-exp
	soft   []float64 // softmax
	log    []float64 // log-softmax
}

// refRow computes them by the definitions, with compensated sums.
func refRow[T Float](x []T) reference {
	r := reference{max: math.Inf(-1), argMax: -1}
	var sum, abs accumulator
	for i, v := range x {
		v := float64(v)
		if r.argMax < 0 || v > r.max || v != v && r.max == r.max {
			r.max, r.argMax = v, i
		}
		sum.add(v)
		abs.add(math.Abs(v))
	}
	if r.max == 0 {
		r.max = math.Copysign(0, -1)
		for _, v := range x {
			if v == 0 && !math.Signbit(float64(v)) {
				r.max = 0
			}
		}
	}
	r.sum, r.abs = sum.value(), abs.value()
	var others accumulator
	for i, v := range x {
		if i != r.argMax {
			others.add(math.Exp(float64(v) - r.max))
		}
	}
	r.others = others.value()
	r.lse = r.max
	if !math.IsInf(r.max, 0) {
		r.lse += math.Log1p(r.others)
	}
	for _, v := range x {
		r.soft = append(r.soft, math.Exp(float64(v)-r.max)/(1+r.others))
		r.log = append(r.log, (float64(v)-r.max)-math.Log1p(r.others))
	}
	return r
}

// loss is the cross-entropy of class t.
func (r reference) loss(t int) float64 { return -r.log[t] }

// An accumulator is a compensated sum (Neumaier).
type accumulator struct{ s, c float64 }

func (a *accumulator) add(v float64) {
	t := a.s + v
	if math.Abs(a.s) >= math.Abs(v) {
		a.c += (a.s - t) + v
	} else {
		a.c += (v - t) + a.s
	}
	a.s = t
}

func (a *accumulator) value() float64 {
	if math.IsInf(a.s, 0) || math.IsNaN(a.s) {
		return a.s
	}
	return a.s + a.c
}

// sameBits compares bit for bit; all NaNs are equal.
func sameBits[T Float](a, b T) bool {
	if a != a || b != b {
		return a != a && b != b
	}
	return math.Float64bits(float64(a)) == math.Float64bits(float64(b))
}

// ulp32 is the error of got in units of the spacing of float32 at want.
func ulp32(got float32, want float64) float64 {
	if math.IsNaN(want) || math.IsInf(float64(float32(want)), 0) || math.IsInf(float64(got), 0) {
		if sameBits(got, float32(want)) {
			return 0
		}
		return math.Inf(1)
	}
	w := math.Abs(float64(float32(want)))
	ulp := math.Max(w-float64(math.Nextafter32(float32(w), 0)), 0x1p-149)
	if f, _ := math.Frexp(w); f == 0.5 && w > 0x1p-126 {
		ulp *= 2 // Above a power of two the spacing is twice that below.
	}
	return math.Abs(float64(got)-want) / ulp
}

// shifted returns a copy of x that starts off elements into a cache line.
func shifted[T Float](x []T, off int) []T {
	buf := make([]T, len(x)+32)
	skip := off
	for uintptr(unsafe.Pointer(&buf[skip]))%64 != uintptr(off)*unsafe.Sizeof(buf[0]) {
		skip++
	}
	copy(buf[skip:], x)
	return buf[skip:][:len(x):len(x)]
}

// alike compares results of two dataflows: to within some roundings, relative
// and absolute.
func alike[T Float](a, b T, abs float64) bool {
	rel := 2e-6
	if !is32[T]() {
		rel, abs = 1e-12, abs*1e-6
	}
	d := math.Abs(float64(a) - float64(b))
	return sameBits(a, b) || d <= rel*math.Max(math.Abs(float64(a)), math.Abs(float64(b)))+abs
}
