package logits

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

var allFlag = flag.Bool("all", false, "check Exp on all 2^32 values of float32")

// lighter tells the tests to leave out the slow half: under -short, and under
// the race detector, which looks for something else.
func lighter() bool { return testing.Short() || raceBuild() }

var raceBuild = sync.OnceValue(func() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
})

// bounds are the promised errors for an element type.
type bounds struct {
	sum   float64 // RowSum, of the sum of magnitudes
	log   float64 // log-sum-exp, log-softmax, loss: of max(1, |exact|)
	small float64 // losses under 1, relative
	soft  float64 // softmax, relative
	total float64 // of a row of probabilities
	grad  float64 // gradients, of the larger term
	half  float64 // half a spacing: what x - max may lose, relative
	tiny  float64 // smallest loss with a relative bound
	low   float64 // smallest probability with one
}

var (
	bounds32 = bounds{1e-6, 4e-7, 1e-6, 6e-7, 1.5e-6, 3e-7, 0x1p-24, 1e-36, 1e-37}
	bounds64 = bounds{1e-12, 1e-12, 1e-12, 1e-12, 1e-12, 1e-12, 0x1p-53, 1e-300, 1e-300}
)

func boundsOf[T Float]() bounds {
	if is32[T]() {
		return bounds32
	}
	return bounds64
}

// A worst holds the largest error of each kind, and where it was.
type worst struct {
	kinds []string
	errs  map[string]float64
	at    map[string]string
}

// see records an error, and reports one that is out of bounds unless it has
// reported a larger one.
func (w *worst) see(t *testing.T, path, kind, row string, err, bound float64) {
	if w.errs == nil {
		w.errs, w.at = map[string]float64{}, map[string]string{}
	}
	if _, ok := w.errs[kind]; !ok {
		w.kinds = append(w.kinds, kind)
		w.errs[kind] = 0
	}
	if !(err <= w.errs[kind]) {
		w.errs[kind], w.at[kind] = err, row
		if !(err <= bound) {
			t.Errorf("%s: %s of %s: error %.3g, want at most %.3g", path, kind, row, err, bound)
		}
	}
}

func (w *worst) log(t *testing.T, path string) {
	var b strings.Builder
	for _, k := range w.kinds {
		fmt.Fprintf(&b, "\n  %-16s %.2e  %s", k, w.errs[k], w.at[k])
	}
	t.Logf("%s: worst errors%s", path, b.String())
}

func TestAccuracy(t *testing.T) {
	t.Run("float32", testAccuracy[float32])
	t.Run("float64", testAccuracy[float64])
}

// The reference of a row is computed once and serves all paths, so this does
// not go through onPaths.
func testAccuracy[T Float](t *testing.T) {
	names := Paths()
	if !is32[T]() {
		names = []string{"generic"}
	}
	usePath(t, Path())
	worsts := make([]worst, len(names))
	rng := newRand(7)
	off := 0
	eachRow(rng, func(name string, x []T) {
		off = (off + 1) % (64 / int(unsafe.Sizeof(x[0])))
		x = shifted(x, off)
		ref := refRow(x)
		targets := []int{ref.argMax, rng.IntN(len(x)), len(x) - 1}
		for i, path := range names {
			if err := SetPath(path); err != nil {
				t.Fatal(err)
			}
			checkAccuracy(t, &worsts[i], path, name, x, ref, targets)
		}
	})
	for i, path := range names {
		worsts[i].log(t, path)
	}
}

// eachRow calls f with the rows that the bounds are checked on.
func eachRow[T Float](rng interface {
	NormFloat64() float64
	Float64() float64
	IntN(int) int
}, f func(name string, x []T)) {
	short := lighter()
	normal := func(n int, scale float64) {
		x := make([]T, n)
		for i := range x {
			x[i] = T(rng.NormFloat64() * scale)
		}
		f(fmt.Sprintf("%d normal numbers * %g", n, scale), x)
	}
	for i, n := range sizes {
		for _, scale := range []float64{0.01, 0.1, 1, 3, 30, 1e3, 1e4} {
			if !short || i%3 == 0 || scale == 3 && n < 300 {
				normal(n, scale)
			}
		}
	}
	if !short {
		for _, n := range []int{20011, chunkSize, chunkSize + 1, 3*chunkSize + 3} {
			normal(n, 0.01)
			normal(n, 3)
			normal(n, 1e4)
		}
		normal(1e6, 3)
	}

	// Rows that are hard on one step or another, filled by index.
	kinds := []struct {
		name string
		at   func(i, n int) float64
	}{
		{"zeros", func(i, n int) float64 { return 0 }},
		{"ones", func(i, n int) float64 { return 1 }},
		{"constant -33333.3", func(i, n int) float64 { return -33333.3 }},
		{"constant 1e-30", func(i, n int) float64 { return 1e-30 }},
		{"constant 0.1", func(i, n int) float64 { return 0.1 }},
		{"ascending to 50", func(i, n int) float64 { return 100*float64(i+1)/float64(n) - 50 }},
		{"descending from 50", func(i, n int) float64 { return 50 - 100*float64(i)/float64(n) }},
		{"ascending to 0.1", func(i, n int) float64 { return 0.1 * float64(i+1) / float64(n) }},
		{"integers ascending", func(i, n int) float64 { return float64(i) }},
		{"halving", func(i, n int) float64 { return -math.Ln2 * float64(i) }},
		{"first dominates by 15", func(i, n int) float64 { return 15*b2f(i == 0) + rng.NormFloat64() }},
		{"middle dominates by 100", func(i, n int) float64 { return 100*b2f(i == n/2) + rng.NormFloat64() }},
		{"last dominates by 1e4", func(i, n int) float64 { return 1e4*b2f(i == n-1) + rng.NormFloat64() }},
		{"half a ulp under the maximum", func(i, n int) float64 { return 1 - 0x1p-24*float64(i%3) }},
		{"ties", func(i, n int) float64 { return float64(3 - i%5) }},
		{"alternating signs", func(i, n int) float64 { return (1e4 + rng.NormFloat64()) * float64(1-i%2*2) }},
		{"alternating, cancelling", func(i, n int) float64 { return float64(1+i/2%977) / 977 * float64(1-i%2*2) }},
		{"sum of one and dust", func(i, n int) float64 { return b2f(i == 0) + 1e-9*b2f(i > 0) }},
		{"one and dust of e^-20", func(i, n int) float64 { return -20 * b2f(i != n/3) }},
		{"growing block by block", func(i, n int) float64 { return float64(i/blockSize)*10 - rng.Float64() }},
		{"offset 1e6", func(i, n int) float64 { return 1e6 + rng.NormFloat64() }},
		{"offset -3e38", func(i, n int) float64 { return -3e38 + 1e31*float64(i%7) }},
		{"subnormal", func(i, n int) float64 { return 1e-40 * rng.NormFloat64() }},
		{"a third masked", func(i, n int) float64 {
			if i%3 == 1 {
				return math.Inf(-1)
			}
			return rng.NormFloat64() * 3
		}},
	}
	long := []int{1, 2, 17, 64, 101, 2048, 4096, 4097, 9000, 30011, 70001}
	if short {
		long = []int{1, 2, 17, 101, 2049, 4097, 9000}
	}
	for _, n := range long {
		for i, k := range kinds {
			if n > 50000 && i%3 != 1 && !strings.Contains(k.name, "dust") {
				continue
			}
			x := make([]T, n)
			for i := range x {
				x[i] = T(k.at(i, n))
			}
			f(fmt.Sprintf("%d, %s", n, k.name), x)
		}
	}
	if !short {
		for _, k := range kinds {
			if k.name == "ascending to 50" || k.name == "integers ascending" {
				x := make([]T, 1e6)
				for i := range x {
					x[i] = T(k.at(i, len(x)))
				}
				f(fmt.Sprintf("%d, %s", len(x), k.name), x)
			}
		}
	}

	// Confident rows: the loss of the maximum is between 1e-36 and 1e-4.
	for _, n := range []int{2, 10, 64, 1000, 4097} {
		for _, gap := range []float64{10, 12.25, 15, 17, 20, 30, 40, 60, 70, 80} {
			for _, exact := range []bool{true, false} {
				x := make([]T, n)
				for i := range x {
					if exact {
						x[i] = T(3 - math.Ceil(gap) - float64(rng.IntN(4)))
					} else {
						x[i] = T(3.1 - gap - rng.Float64())
					}
				}
				x[rng.IntN(n)] = T(3 + 0.1*b2f(!exact))
				f(fmt.Sprintf("%d, gap %g, exact %t", n, gap, exact), x)
			}
		}
	}
	// So do those far from 0, on both sides of what kernels reduce without a difference.
	for _, n := range []int{300, 4097} {
		for _, top := range []float64{-77, 1001, 99999, -1<<17 + 1, -1 << 17, 1<<17 - 1, 1<<17 + 1, -1 << 20, 1 << 20} {
			for _, gap := range []float64{12, 20, 50, 80} {
				x := make([]T, n)
				for i := range x {
					x[i] = T(top - gap - float64(rng.IntN(4)))
				}
				x[rng.IntN(n)] = T(top)
				f(fmt.Sprintf("%d, gap %g under %g", n, gap, top), x)
			}
		}
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// checkAccuracy compares all functions of one row with the reference.
func checkAccuracy[T Float](t *testing.T, w *worst, path, name string, x []T, ref reference, targets []int) {
	t.Helper()
	b := boundsOf[T]()
	n := len(x)
	m := Row(x)
	var dst [1]T
	var arg [1]int
	must(t, RowMax(dst[:], m))
	if !sameBits(dst[0], T(ref.max)) {
		t.Errorf("%s: RowMax of %s: %v, want %v", path, name, dst[0], ref.max)
	}
	must(t, RowArgMax(arg[:], m))
	if arg[0] != ref.argMax {
		t.Errorf("%s: RowArgMax of %s: %d, want %d", path, name, arg[0], ref.argMax)
	}
	must(t, RowSum(dst[:], m))
	if math.IsInf(float64(T(ref.abs)), 0) || math.IsInf(ref.sum, 0) {
		// special_test.go has these.
	} else if got := float64(dst[0]); got != ref.sum {
		// Half of the smallest number is always lost.
		w.see(t, path, "sum", name, max(0, math.Abs(got-ref.sum)-0x1p-150)/ref.abs, b.sum)
	}
	must(t, RowLogSumExp(dst[:], m))
	w.see(t, path, "log-sum-exp", name, math.Abs(float64(dst[0])-ref.lse)/max(1, math.Abs(ref.lse)), b.log)

	// What the roundings of x - max alone may do to log1p(s).
	var slack float64
	for i, v := range x {
		if d := float64(v) - ref.max; i != ref.argMax && !math.IsInf(d, 0) && float64(v-T(ref.max)) != d {
			slack += ref.soft[i] * -d * b.half
		}
	}
	small := func(kind string, got, exact float64) {
		if math.IsInf(exact, 1) {
			if got != exact {
				t.Errorf("%s: %s of %s: %v, want +Inf", path, kind, name, got)
			}
			return
		}
		w.see(t, path, kind, name, math.Abs(got-exact)/max(1, exact), b.log)
		switch {
		case exact >= 1:
		case exact > b.tiny && slack == 0:
			w.see(t, path, kind+" exact", name, math.Abs(got-exact)/exact, b.small)
		case exact > b.tiny:
			w.see(t, path, kind+" small", name, max(0, math.Abs(got-exact)-slack)/exact, b.small)
		case got < 0 || got > 2*b.tiny:
			t.Errorf("%s: %s of %s: %v, want %v", path, kind, name, got, exact)
		}
	}
	for _, target := range targets {
		must(t, LogSoftmaxNLL(dst[:], m, []int{target}))
		small("loss", float64(dst[0]), ref.loss(target))
	}

	y := make([]T, n)
	must(t, Softmax(Row(y), m))
	var worstSoft float64
	var total accumulator
	for i, got := range y {
		want := ref.soft[i]
		total.add(float64(got))
		switch {
		case want > b.low:
			e := math.Abs(float64(got)-want)/want - math.Abs(float64(x[i])-ref.max)*b.half
			if !(e <= worstSoft) {
				worstSoft = e
			}
		case !(got >= 0 && float64(got) <= 1.2*b.low):
			t.Errorf("%s: Softmax of %s: element %d is %v, want %v", path, name, i, got, want)
			return
		}
	}
	w.see(t, path, "softmax", name, worstSoft, b.soft)
	w.see(t, path, "softmax total", name, math.Abs(total.value()-1), b.total)

	must(t, LogSoftmax(Row(y), m))
	var worstLog float64
	for i, got := range y {
		if got, want := float64(got), ref.log[i]; got != want && !math.IsInf(float64(T(want)), 0) {
			if e := math.Abs(got-want) / max(1, math.Abs(want)); !(e <= worstLog) {
				worstLog = e
			}
		} else if math.IsInf(float64(T(want)), 0) && !math.IsInf(got, -1) {
			t.Errorf("%s: LogSoftmax of %s: element %d is %v, want %v", path, name, i, got, want)
			return
		}
	}
	w.see(t, path, "log-softmax", name, worstLog, b.log)
	small("log-softmax max", -float64(y[ref.argMax]), ref.loss(ref.argMax))
}

func must(t testing.TB, err error) {
	if err != nil {
		t.Helper()
		t.Fatal(err)
	}
}

func TestGradAccuracy(t *testing.T) {
	t.Run("float64", testGradAccuracy[float64])
	onPaths(t, testGradAccuracy[float32])
}

func testGradAccuracy[T Float](t *testing.T) {
	rng := newRand(8)
	b := boundsOf[T]()
	var w worst
	for _, n := range append(sizes[:len(sizes):len(sizes)], 20011, 70001) {
		if n > 5000 && lighter() {
			continue
		}
		for _, scale := range []float64{0.1, 3, 30} {
			x, y, l, dy, dx := make([]T, n), make([]T, n), make([]T, n), make([]T, n), make([]T, n)
			randomRow(rng, x, scale)
			randomRow(rng, dy, 2)
			must(t, Softmax(Row(y), Row(x)))
			must(t, LogSoftmax(Row(l), Row(x)))
			var s, abs, sy accumulator
			for i, p := range y {
				s.add(float64(p) * float64(dy[i]))
				abs.add(math.Abs(float64(p) * float64(dy[i])))
				sy.add(float64(dy[i]))
			}
			name := fmt.Sprintf("%d normal numbers * %g", n, scale)
			must(t, SoftmaxGrad(Row(dx), Row(y), Row(dy)))
			var e1, e2 float64
			for i, got := range dx {
				p, g := float64(y[i]), float64(dy[i])
				e := max(0, math.Abs(float64(got)-p*(g-s.value()))-0x1p-149) / max(p*(math.Abs(g)+abs.value()), 0x1p-1000)
				if !(e <= e1) {
					e1 = e
				}
			}
			must(t, LogSoftmaxGrad(Row(dx), Row(l), Row(dy)))
			for i, got := range dx {
				p, g := math.Exp(float64(l[i])), float64(dy[i])
				e := max(0, math.Abs(float64(got)-(g-p*sy.value()))-0x1p-149) / (math.Abs(g) + math.Abs(p*sy.value()))
				if !(e <= e2) {
					e2 = e
				}
			}
			w.see(t, Path(), "softmax grad", name, e1, b.grad)
			w.see(t, Path(), "log-softmax grad", name, e2, b.grad)
		}
	}
	w.log(t, Path())
}

// An expWorst is where Exp was least exact.
type expWorst struct {
	ulp    float64
	x, got float32
	bad    int // how many errors exceed 1
}

func (w *expWorst) merge(v expWorst) {
	bad := w.bad + v.bad
	if v.ulp > w.ulp {
		*w = v
	}
	w.bad = bad
}

// expErrors runs the exp kernel of every path on xs, whose exponentials are known.
func expErrors(ws []expWorst, xs []float32, want []float64) {
	scale := make([]float64, len(xs)) // 1 over the spacing of float32 at the result
	for i, v := range want {
		e := math.Float32bits(float32(v)) >> 23
		scale[i] = math.Float64frombits(uint64(1023+150-max(int(e), 1)) << 52)
	}
	got := make([]float32, len(xs))
	for k, path := range paths {
		path.exp(&got[0], &xs[0], len(xs), 0)
		w := &ws[k]
		for i, y := range got {
			err := math.Abs(float64(y)-want[i]) * scale[i]
			if r := float32(want[i]); r != r || math.IsInf(float64(r), 0) || y != y || math.IsInf(float64(y), 0) || math.Signbit(float64(y)) && y == y {
				err = math.Inf(1)
				if sameBits(y, r) {
					err = 0
				}
			}
			if err > 1 {
				w.bad++
			}
			if err > w.ulp {
				w.ulp, w.x, w.got = err, xs[i], y
			}
		}
	}
}

func reportExp(t *testing.T, ws []expWorst) {
	for i, w := range ws {
		t.Logf("%-8s exp: at most %.6f ULP, at %v (%#08x)", paths[i].name, w.ulp, w.x, math.Float32bits(w.x))
		if w.bad > 0 {
			t.Errorf("%s: the error of exp exceeds 1 ULP for %d numbers; e^%v (%#08x) is %v, got %v",
				paths[i].name, w.bad, w.x, math.Float32bits(w.x), math.Exp(float64(w.x)), w.got)
		}
	}
}

// TestExpAccuracy takes every 997th float32, those about the thresholds, and
// with -all every one. math.Exp serves as the reference: its error is under
// 1e-8 of a float32 ULP.
func TestExpAccuracy(t *testing.T) {
	step := int64(997)
	switch {
	case *allFlag:
		step = 1
	case lighter():
		step = 49999
	}
	const part = 1 << 15
	var mu sync.Mutex
	var wg sync.WaitGroup
	ws := make([]expWorst, len(paths))
	workers := runtime.GOMAXPROCS(0)
	total := (1<<32 + step - 1) / step
	for w := range workers {
		wg.Go(func() {
			mine := make([]expWorst, len(paths))
			xs, want := make([]float32, part), make([]float64, part)
			for lo := int64(w * part); lo < total; lo += int64(workers * part) {
				n := int(min(part, total-lo))
				for i := range n {
					xs[i] = math.Float32frombits(uint32((lo + int64(i)) * step))
					want[i] = math.Exp(float64(xs[i]))
				}
				expErrors(mine, xs[:n], want[:n])
			}
			mu.Lock()
			defer mu.Unlock()
			for i := range ws {
				ws[i].merge(mine[i])
			}
		})
	}
	wg.Wait()

	var xs []float32
	about := func(x float64, n int) {
		b := math.Float32bits(float32(x))
		for i := -n; i <= n; i++ {
			xs = append(xs, math.Float32frombits(b+uint32(i)))
		}
	}
	for _, x := range []float64{0, math.Copysign(0, -1), 88.72284, 89.5, -87.33655, -88, -103.2789, -103.9721, -104.5, math.Inf(1), math.Inf(-1), math.MaxFloat32} {
		about(x, 1500)
	}
	for i := -301; i <= 257; i++ {
		about(float64(i)*math.Ln2/2, 12)
	}
	for i := -149; i < 128; i++ {
		about(math.Ldexp(1, i), 3)
		about(-math.Ldexp(1, i), 3)
	}
	want := make([]float64, len(xs))
	for i, x := range xs {
		want[i] = math.Exp(float64(x))
	}
	expErrors(ws, xs, want)
	reportExp(t, ws)
}

// TestExpTable goes through correctly rounded results, the hardest to round
// of every binade among them.
func TestExpTable(t *testing.T) {
	f, err := os.Open("testdata/exp.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var xs []float32
	var want []float64
	rounded := map[uint32]uint32{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		p := strings.Split(lines.Text(), ",")
		x, err := strconv.ParseUint(p[0], 16, 32)
		if err != nil {
			continue // the header
		}
		r, err1 := strconv.ParseUint(p[1], 16, 32)
		y, err2 := strconv.ParseUint(p[2], 16, 64)
		if err1 != nil || err2 != nil {
			t.Fatal(lines.Text())
		}
		xs = append(xs, math.Float32frombits(uint32(x)))
		want = append(want, math.Float64frombits(y))
		rounded[uint32(x)] = uint32(r)
	}
	if len(xs) != 12000 {
		t.Fatalf("testdata/exp.csv has %d lines, want 12000", len(xs))
	}
	ws := make([]expWorst, len(paths))
	expErrors(ws, xs, want)
	reportExp(t, ws)
	onPaths(t, func(t *testing.T) {
		y := make([]float32, len(xs))
		must(t, Exp(Row(y), Row(xs)))
		var off int
		for i, x := range xs {
			if r := math.Float32frombits(rounded[math.Float32bits(x)]); !sameBits(r, y[i]) {
				off++
				if e := ulp32(y[i], want[i]); !(e <= 1) {
					t.Fatalf("e^%v (%#08x) is %v, got %v, %v ULP off", x, math.Float32bits(x), r, y[i], e)
				}
			}
		}
		t.Logf("%d of %d results are not the nearest float32", off, len(xs))
	})
}

// bigExp is e^x to some 130 bits.
func bigExp(x float64) *big.Float {
	const prec, halvings = 192, 16
	r := new(big.Float).SetPrec(prec).SetFloat64(x)
	r.SetMantExp(r, -halvings)
	term := new(big.Float).SetPrec(prec).SetInt64(1)
	sum := new(big.Float).SetPrec(prec).SetInt64(1)
	for i := int64(1); i < 24 && x != 0; i++ {
		term.Mul(term, r)
		term.Quo(term, new(big.Float).SetInt64(i))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum
}

func TestExpAccuracy64(t *testing.T) {
	rng := newRand(9)
	var xs []float64
	n := 1500
	if lighter() {
		n = 200
	}
	for range n {
		xs = append(xs, rng.Float64()*1460-747, rng.NormFloat64(), -20*rng.Float64(), math.Ldexp(rng.NormFloat64(), -rng.IntN(70)))
	}
	for _, x := range []float64{0, 709.782712893384, -708.3964185322641, -744.4400719213812, -745.1332191019411, math.Ln2, math.Ln2 / 2, -math.Ln2 / 2} {
		up, down := x, x
		for range 20 {
			xs = append(xs, up, down)
			up, down = math.Nextafter(up, 1e3), math.Nextafter(down, -1e3)
		}
	}
	ys := make([]float64, len(xs))
	must(t, Exp(Row(ys), Row(xs)))
	var most, where float64
	for i, x := range xs {
		exact := bigExp(x)
		want, _ := exact.Float64()
		if math.IsInf(want, 0) || math.IsInf(ys[i], 0) {
			if ys[i] != want {
				t.Errorf("e^%v is %v, got %v", x, want, ys[i])
			}
			continue
		}
		_, e := math.Frexp(want)
		diff := new(big.Float).SetPrec(192).SetFloat64(ys[i])
		diff.Sub(diff, exact)
		ulps, _ := diff.SetMantExp(diff, -max(e-53, -1074)).Float64()
		if !(math.Abs(ulps) <= most) {
			most, where = math.Abs(ulps), x
		}
	}
	t.Logf("float64 exp: at most %.4f ULP, at %v", most, where)
	if !(most <= 1) {
		t.Errorf("the error of exp exceeds 1 ULP: %v at %v", most, where)
	}

	// More points, for what they are worth against math.Exp.
	n = 1 << 20
	if lighter() {
		n = 1 << 14
	}
	xs, ys = make([]float64, n), make([]float64, n)
	for i := range xs {
		xs[i] = rng.Float64()*1470 - 760.6 // Go's own goes to +Inf too early, at 709.44.
	}
	must(t, Exp(Row(ys), Row(xs)))
	for i, x := range xs {
		if d := int64(math.Float64bits(ys[i])) - int64(math.Float64bits(math.Exp(x))); d < -2 || d > 2 {
			t.Fatalf("e^%v is %v, math.Exp gives %v", x, ys[i], math.Exp(x))
		}
	}
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 710, -746, math.MaxFloat64, -math.MaxFloat64, 5e-324, math.Copysign(0, -1)}
	ys = make([]float64, len(special))
	must(t, Exp(Row(ys), Row(special)))
	for i, want := range []float64{math.NaN(), math.Inf(1), 0, math.Inf(1), 0, math.Inf(1), 0, 1, 1} {
		if !sameBits(ys[i], want) {
			t.Errorf("e^%v is %v, got %v", special[i], want, ys[i])
		}
	}
}

// TestSmoothingFar has rows too far from 0 for a base, whose x - max are all rounded the
// same way when they are added up.
func TestSmoothingFar(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		const smoothing, top = 0.5, 5e29
		for _, cols := range []int{300, 2048, 4096, 8300} {
			x := make([]float32, cols)
			for i := range 20 {
				fill(x, -1e30*rand.New(rand.NewPCG(uint64(i), 1)).Float32())
				x[i] = top
				var sum accumulator
				for _, v := range x {
					sum.add(float64(x[i]) - float64(v))
				}
				opt := &Options[float32]{LabelSmoothing: smoothing}
				got, err := CrossEntropy(Dense(1, cols, x), []int{cols - 1}, opt)
				must(t, err)
				want := (1-smoothing)*(float64(x[i])-float64(x[cols-1])) + smoothing/float64(cols)*sum.value()
				if math.Abs(got/want-1) > 1e-6 {
					t.Errorf("%d columns: %v, want %v", cols, got, want)
				}
			}
		}
	})
}
