package logits

import (
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"testing"
	"unsafe"
)

// nanOf returns one of four NaNs: quiet and signalling, of either sign.
func nanOf[T Float](i int) T {
	var x T
	if is32[T]() {
		*(*uint32)(unsafe.Pointer(&x)) = []uint32{0x7fc00000, 0xffc12345, 0x7f800001, 0xffbfffff}[i%4]
	} else {
		*(*uint64)(unsafe.Pointer(&x)) = []uint64{0x7ff8000000000000, 0xfff8123456789abc, 0x7ff0000000000001, 0xfff7ffffffffffff}[i%4]
	}
	return x
}

func greatest[T Float]() T {
	if is32[T]() {
		return T(math.MaxFloat32)
	}
	f := math.MaxFloat64
	return T(f)
}

func smallest[T Float]() T {
	if is32[T]() {
		f := math.SmallestNonzeroFloat32
		return T(f)
	}
	f := math.SmallestNonzeroFloat64
	return T(f)
}

func minusZero[T Float]() T { return T(math.Copysign(0, -1)) }

// results are those of all functions of a matrix.
type results[T Float] struct {
	max, sum, lse, loss []T
	arg                 []int
	exp, soft, log      Matrix[T]
}

func resultsOf[T Float](t *testing.T, x Matrix[T], targets []int) results[T] {
	t.Helper()
	vec := func() []T { return make([]T, x.Rows) }
	mat := func() Matrix[T] { return Dense(x.Rows, x.Cols, make([]T, x.Rows*x.Cols)) }
	r := results[T]{vec(), vec(), vec(), vec(), make([]int, x.Rows), mat(), mat(), mat()}
	must(t, RowMax(r.max, x))
	must(t, RowArgMax(r.arg, x))
	must(t, RowSum(r.sum, x))
	must(t, RowLogSumExp(r.lse, x))
	must(t, LogSoftmaxNLL(r.loss, x, targets))
	must(t, Exp(r.exp, x))
	must(t, Softmax(r.soft, x))
	must(t, LogSoftmax(r.log, x))
	return r
}

// differ returns the name of a function whose results differ, or "".
func (r results[T]) differ(o results[T]) string {
	switch {
	case !slices.EqualFunc(r.max, o.max, sameBits):
		return "RowMax"
	case !slices.Equal(r.arg, o.arg):
		return "RowArgMax"
	case !slices.EqualFunc(r.sum, o.sum, sameBits):
		return "RowSum"
	case !slices.EqualFunc(r.lse, o.lse, sameBits):
		return "RowLogSumExp"
	case !slices.EqualFunc(r.loss, o.loss, sameBits):
		return "LogSoftmaxNLL"
	case !slices.EqualFunc(r.exp.Data, o.exp.Data, sameBits):
		return "Exp"
	case !slices.EqualFunc(r.soft.Data, o.soft.Data, sameBits):
		return "Softmax"
	case !slices.EqualFunc(r.log.Data, o.log.Data, sameBits):
		return "LogSoftmax"
	}
	return ""
}

// checkSpecial compares row i of the results with the contract's rules for
// special values, and only roughly where the numbers are ordinary.
func checkSpecial[T Float](t *testing.T, name string, r results[T], i int, x []T, target int) {
	t.Helper()
	inf := math.Inf(1)
	var nan, plus, minus int
	arg, most := 0, math.Inf(-1)
	var sum accumulator
	magnitude, zeros, positive := 0.0, 0, false
	scale := 1.0 // keeps float64 sums from overflowing here
	if !is32[T]() && math.Abs(float64(x[0])) > 1e300 {
		scale = 1024
	}
	for j, v := range x {
		v := float64(v)
		switch {
		case v != v:
			if nan == 0 {
				arg = j
			}
			nan++
		case v == inf:
			plus++
		case v == -inf:
			minus++
		case v == 0:
			zeros++
			positive = positive || !math.Signbit(v)
		}
		if v > most {
			most = v
			if nan == 0 {
				arg = j
			}
		}
		sum.add(v / scale)
		magnitude += math.Abs(v) / scale
	}
	others := 0.0
	for j, v := range x {
		if j != arg {
			others += math.Exp(float64(v) - most)
		}
	}
	dead := nan > 0 || plus > 0 || minus == len(x)
	element := -1
	bad := func(what string, got T, want float64) {
		if element >= 0 {
			what += fmt.Sprintf(", element %d,", element)
		}
		t.Errorf("%s of %s: %v, want %v", what, name, got, want)
	}
	near := func(what string, got T, want float64) {
		w := float64(T(want))
		switch {
		case math.IsNaN(w) || math.IsInf(w, 0):
			if !sameBits(got, T(w)) {
				bad(what, got, w)
			}
		case !(math.Abs(float64(got)-w) <= 2e-6*max(1, math.Abs(w))):
			bad(what, got, w)
		}
	}
	exact := func(what string, got T, want float64) {
		if !sameBits(got, T(want)) {
			bad(what, got, want)
		}
	}

	switch {
	case nan > 0:
		exact("RowMax", r.max[i], math.NaN())
	case most == 0 && positive:
		exact("RowMax", r.max[i], 0)
	case most == 0:
		exact("RowMax", r.max[i], math.Copysign(0, -1))
	default:
		exact("RowMax", r.max[i], most)
	}
	if r.arg[i] != arg {
		t.Errorf("RowArgMax of %s: %d, want %d", name, r.arg[i], arg)
	}

	total := sum.value() * scale
	limit := float64(greatest[T]())
	switch got := float64(r.sum[i]); {
	case nan > 0 || plus > 0 && minus > 0:
		exact("RowSum", r.sum[i], math.NaN())
	case plus+minus > 0:
		exact("RowSum", r.sum[i], inf*float64(plus-minus))
	case magnitude*scale > limit:
		// An overflow on the way may end in Inf or NaN, but in no wrong number.
		if math.Abs(total) > limit && !math.IsInf(got, 0) && !math.IsNaN(got) ||
			math.Abs(got) <= limit && math.Abs(got/scale-sum.value()) > 1e-6*magnitude {
			bad("RowSum", r.sum[i], total)
		}
	case zeros == len(x):
		exact("RowSum", r.sum[i], 0)
	case !(math.Abs(got-total) <= 1e-6*magnitude*scale):
		bad("RowSum", r.sum[i], total)
	}

	lse := most + math.Log1p(others)
	switch {
	case nan > 0:
		lse = math.NaN()
	case plus > 0 || minus == len(x):
		lse = most
	}
	near("RowLogSumExp", r.lse[i], lse)
	loss := (most - float64(x[target])) + math.Log1p(others)
	if dead {
		loss = math.NaN()
	}
	near("LogSoftmaxNLL", r.loss[i], loss)

	for j, v := range x {
		e, s, l := r.exp.Data[i*len(x)+j], r.soft.Data[i*len(x)+j], r.log.Data[i*len(x)+j]
		v := float64(v)
		element = j
		if v == -inf || v == 0 {
			exact("Exp", e, math.Exp(v))
		} else if w := math.Exp(v); !(math.Abs(float64(e)-w) <= 1e-6*w) && !sameBits(e, T(w)) {
			bad("Exp", e, w)
		}
		switch {
		case dead:
			exact("Softmax", s, math.NaN())
			exact("LogSoftmax", l, math.NaN())
		case v == -inf:
			exact("Softmax", s, 0)
			exact("LogSoftmax", l, v)
		case minus == len(x)-1:
			exact("Softmax", s, 1)
			exact("LogSoftmax", l, 0)
			exact("LogSoftmaxNLL", r.loss[i], x0(loss))
		default:
			if !(s >= 0) || math.Signbit(float64(s)) {
				bad("Softmax", s, math.Exp(v-most)/(1+others))
			}
			near("Softmax", s, math.Exp(v-most)/(1+others))
			near("LogSoftmax", l, (v-most)-math.Log1p(others))
		}
		if t.Failed() {
			return // One element tells enough.
		}
	}
}

// x0 is the loss of the only element that is not masked, or of a masked one.
func x0(loss float64) float64 {
	if math.IsInf(loss, 1) {
		return loss
	}
	return 0
}

// specialRows are rows with something special at a position; other is another one.
func specialRows[T Float]() map[string]func(x []T, pos, other int) {
	inf := T(math.Inf(1))
	return map[string]func(x []T, pos, other int){
		"NaN":          func(x []T, pos, other int) { x[pos] = nanOf[T](pos) },
		"NaN, +Inf":    func(x []T, pos, other int) { x[other] = inf; x[pos] = nanOf[T](pos) },
		"NaN, -Inf":    func(x []T, pos, other int) { fill(x, -inf); x[pos] = nanOf[T](pos + 1) },
		"two NaNs":     func(x []T, pos, other int) { x[pos] = nanOf[T](pos + 2); x[other] = nanOf[T](other + 1) },
		"+Inf":         func(x []T, pos, other int) { x[pos] = inf },
		"+Inf, -Inf":   func(x []T, pos, other int) { x[other] = -inf; x[pos] = inf },
		"two +Inf":     func(x []T, pos, other int) { x[other] = inf; x[pos] = inf },
		"only +Inf":    func(x []T, pos, other int) { fill(x, -inf); x[pos] = inf },
		"-Inf":         func(x []T, pos, other int) { x[pos] = -inf },
		"one finite":   func(x []T, pos, other int) { v := x[pos]; fill(x, -inf); x[pos] = v },
		"one lowest":   func(x []T, pos, other int) { fill(x, -inf); x[pos] = lowest[T]() },
		"lowest, -Inf": func(x []T, pos, other int) { fill(x, lowest[T]()); x[pos] = -inf },
		"lowest, -1":   func(x []T, pos, other int) { fill(x, lowest[T]()); x[pos] = -1 },
		"lowest, max":  func(x []T, pos, other int) { fill(x, lowest[T]()); x[pos] = greatest[T]() },
		"max, lowest":  func(x []T, pos, other int) { fill(x, greatest[T]()); x[pos] = lowest[T]() },
		"-0, +0":       func(x []T, pos, other int) { fill(x, minusZero[T]()); x[pos] = 0 },
		"+0, -0":       func(x []T, pos, other int) { fill(x, 0); x[pos] = minusZero[T]() },
		"both zeros": func(x []T, pos, other int) {
			for i, v := range x {
				x[i] = -1 - T(math.Abs(float64(v)))
			}
			x[other] = minusZero[T]()
			x[pos] = 0
		},
		"greatest -0": func(x []T, pos, other int) {
			for i, v := range x {
				x[i] = -1 - T(math.Abs(float64(v)))
			}
			x[pos] = minusZero[T]()
		},
		"tie":         func(x []T, pos, other int) { x[pos], x[other] = 9, 9 },
		"subnormal":   func(x []T, pos, other int) { fill(x, minusZero[T]()); x[pos] = smallest[T]() },
		"-subnormals": func(x []T, pos, other int) { fill(x, -smallest[T]()); x[pos] = minusZero[T]() },
	}
}

func TestSpecial(t *testing.T) {
	t.Run("float64", testSpecial[float64])
	onPaths(t, testSpecial[float32])
}

func testSpecial[T Float](t *testing.T) {
	rng := newRand(3)
	kinds := specialRows[T]()
	for c, n := range sizes {
		if n > 300 || lighter() && n > 64 && c%3 != 0 {
			continue
		}
		var at []int
		for pos := range n {
			if n <= 140 && !lighter() || n <= 33 || pos%16 == 15 || pos%16 == 0 || pos >= n-2 || rng.IntN(8) == 0 {
				at = append(at, pos)
			}
		}
		// Every row with something in it stands beside an ordinary one.
		base := make([]T, n)
		rows, stride := 2*len(at), n+c%3
		buf := shifted(make([]T, (rows-1)*stride+n), c%8)
		x := Matrix[T]{rows, n, buf, stride}
		targets := make([]int, rows)
		for _, kind := range slices.Sorted(maps.Keys(kinds)) {
			set := kinds[kind]
			randomRow(rng, base, 2)
			for i, pos := range at {
				row := x.row(2 * i)
				copy(row, base)
				set(row, pos, rng.IntN(n))
				copy(x.row(2*i+1), base)
				targets[2*i] = rng.IntN(n)
				if pos%2 == 0 {
					targets[2*i] = pos
				}
				targets[2*i+1] = 0
			}
			r := resultsOf(t, x, targets)
			for i, pos := range at {
				name := fmt.Sprintf("%q at %d of %d", kind, pos, n)
				checkSpecial(t, name, r, 2*i, x.row(2*i), targets[2*i])
				// The ordinary rows are all the same.
				if i == 0 {
					checkSpecial(t, "the row after "+name, r, 1, base, 0)
				}
				j := 2*i + 1
				if r.max[j] != r.max[1] || r.arg[j] != r.arg[1] || r.sum[j] != r.sum[1] || r.lse[j] != r.lse[1] || r.loss[j] != r.loss[1] ||
					!slices.Equal(r.exp.row(j), r.exp.row(1)) || !slices.Equal(r.soft.row(j), r.soft.row(1)) || !slices.Equal(r.log.row(j), r.log.row(1)) {
					t.Errorf("the row after %s differs from the same row elsewhere", name)
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}

// Rows of one special value, up to several blocks long.
func TestSpecialUniform(t *testing.T) {
	t.Run("float64", testSpecialUniform[float64])
	onPaths(t, testSpecialUniform[float32])
}

func testSpecialUniform[T Float](t *testing.T) {
	inf := T(math.Inf(1))
	for _, v := range []T{nanOf[T](0), nanOf[T](3), inf, -inf, 0, minusZero[T](), lowest[T](), greatest[T](), smallest[T](), -smallest[T]()} {
		for i, n := range sizes {
			if lighter() && i%4 != 0 && n > 100 {
				continue
			}
			x := make([]T, 2*n)
			fill(x, v)
			m := Dense(2, n, x)
			r := resultsOf(t, m, []int{0, n - 1})
			for i := range 2 {
				checkSpecial(t, fmt.Sprintf("%d times %v", n, v), r, i, m.row(i), i*(n-1))
			}
			if t.Failed() {
				return
			}
		}
	}
}

// Special values in later blocks, later chunks and other goroutines' chunks.
func TestSpecialLong(t *testing.T) {
	t.Run("float64", testSpecialLong[float64])
	onPaths(t, testSpecialLong[float32])
}

func testSpecialLong[T Float](t *testing.T) {
	rng := newRand(4)
	runs := 0
	run := func(kind string, n, pos, other int) {
		x := make([]T, n)
		randomRow(rng, x, 2)
		specialRows[T]()[kind](x, pos, other)
		target := pos
		if runs++; runs%3 == 0 {
			target = other
		}
		checkSpecial(t, fmt.Sprintf("%q at %d and %d of %d", kind, pos, other, n), resultsOf(t, Row(x), []int{target}), 0, x, target)
	}
	kinds := []string{"NaN", "two NaNs", "NaN, +Inf", "+Inf", "+Inf, -Inf", "one finite", "lowest, -Inf", "both zeros", "greatest -0", "tie"}
	for _, kind := range kinds {
		run(kind, 9000, blockSize-1, blockSize)
		run(kind, 9000, 2*blockSize+4, 5)
		run(kind, 1<<15, 255, 256) // as far as rows are that maxima ask for memory of
		run(kind, 1<<15+67, 1<<15-1, 1<<15+66)
		if kind != "one finite" && lighter() {
			continue
		}
		run(kind, chunkSize+3, chunkSize+1, 70)
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	n := 2*grain + chunkSize + 100
	for i, kind := range []string{"NaN, +Inf", "+Inf, -Inf", "one finite", "both zeros", "tie"} {
		useWorkers(t, 1+3*(i%2))
		run(kind, n, n-1-i*chunkSize, i*chunkSize+5)
		if lighter() {
			break
		}
	}
}

// A float32 sum may overflow on the way only to Inf or NaN, and float64
// takes over between blocks.
func TestSumOverflow(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		for _, n := range []int{2, 16, 33, 64, 128, 1000, blockSize} {
			for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32, 3e38} {
				x := make([]float32, n)
				fill(x, v)
				var dst [1]float32
				must(t, RowSum(dst[:], Row(x)))
				if d := float64(dst[0]); !math.IsNaN(d) && !math.IsInf(d, 0) {
					t.Errorf("the sum of %d times %v is %v", n, v, d)
				}
			}
		}
		x := make([]float32, 4*blockSize-1)
		x[3], x[blockSize], x[2*blockSize+4], x[4*blockSize-2] = 3e38, 2e38, -3e38, -1e38
		var dst [1]float32
		must(t, RowSum(dst[:], Row(x)))
		if math.Abs(float64(dst[0])-1e38) > 1e32 {
			t.Errorf("3e38 + 2e38 - 3e38 - 1e38 in four blocks is %v", dst[0])
		}
	})
}

func TestEmpty(t *testing.T) {
	t.Run("float64", testEmpty[float64])
	onPaths(t, testEmpty[float32])
}

func testEmpty[T Float](t *testing.T) {
	inf := math.Inf(1)
	for _, x := range []Matrix[T]{{}, {Cols: 5}, {Cols: 5, Stride: 9}, {Rows: 3}, {Rows: 3, Stride: 7}, {Rows: 1}, {Rows: 0, Cols: math.MaxInt, Stride: math.MaxInt}, Row[T](nil), Dense[T](0, 4, nil), Dense(3, 0, []T{1})} {
		max, sum, lse, arg := make([]T, x.Rows), make([]T, x.Rows), make([]T, x.Rows), make([]int, x.Rows)
		fill(max, 7)
		fill(sum, 7)
		fill(lse, 7)
		must(t, RowMax(max, x))
		must(t, RowArgMax(arg, x))
		must(t, RowSum(sum, x))
		must(t, RowLogSumExp(lse, x))
		must(t, Exp(x, x))
		must(t, Softmax(x, x))
		must(t, LogSoftmax(x, x))
		must(t, SoftmaxGrad(x, x, x))
		must(t, LogSoftmaxGrad(x, x, x))
		for i := range x.Rows {
			if !sameBits(max[i], T(-inf)) || !sameBits(sum[i], 0) || !sameBits(lse[i], T(-inf)) || arg[i] != -1 {
				t.Errorf("a row of no columns has the maximum %v at %d, the sum %v and the log-sum-exp %v", max[i], arg[i], sum[i], lse[i])
			}
		}
		if x.Rows == 0 {
			must(t, LogSoftmaxNLL(max, x, []int32{}))
		}
	}
	for _, x := range []Planar[T]{{}, {N: 3}, {C: 3}, {D: 3}, {N: 2, C: 2}, {N: 2, D: 2}, {C: 2, D: 2}, {C: math.MaxInt, D: math.MaxInt}, {N: math.MaxInt, D: math.MaxInt}, {N: 0, C: 1, D: 1}, {N: 2, C: 0, D: 1}} {
		must(t, Softmax(x, x))
		must(t, LogSoftmax(x, x))
		must(t, SoftmaxGrad(x, x, x))
		must(t, LogSoftmaxGrad(x, x, x))
	}
}

func TestSpecialGrad(t *testing.T) {
	t.Run("float64", testSpecialGrad[float64])
	onPaths(t, testSpecialGrad[float32])
}

func testSpecialGrad[T Float](t *testing.T) {
	rng := newRand(5)
	inf := T(math.Inf(1))
	for _, n := range []int{1, 2, 3, 8, 17, 33, 64, 65, 130} {
		x, y, l, dy, dx := make([]T, n), make([]T, n), make([]T, n), make([]T, n), make([]T, n)
		for pos := range n {
			randomRow(rng, x, 2)
			randomRow(rng, dy, 2)
			x[(pos+1)%n] = -inf
			x[pos] = 1
			must(t, Softmax(Row(y), Row(x)))
			must(t, LogSoftmax(Row(l), Row(x)))

			// A masked element has no gradient of its own.
			must(t, SoftmaxGrad(Row(dx), Row(y), Row(dy)))
			if n > 1 && dx[(pos+1)%n] != 0 {
				t.Fatalf("SoftmaxGrad at a masked element of %d is %v", n, dx[(pos+1)%n])
			}
			must(t, LogSoftmaxGrad(Row(dx), Row(l), Row(dy)))
			if n > 1 && dx[(pos+1)%n] != dy[(pos+1)%n] {
				t.Fatalf("LogSoftmaxGrad at a masked element of %d is %v", n, dx[(pos+1)%n])
			}

			// A NaN reaches the whole row from dy, and from y.
			dy[pos] = nanOf[T](pos)
			must(t, SoftmaxGrad(Row(dx), Row(y), Row(dy)))
			for j, g := range dx {
				if g == g {
					t.Fatalf("SoftmaxGrad with a NaN at %d of %d is %v at %d", pos, n, g, j)
				}
			}
			must(t, LogSoftmaxGrad(Row(dx), Row(l), Row(dy)))
			for j, g := range dx {
				if g == g {
					t.Fatalf("LogSoftmaxGrad with a NaN at %d of %d is %v at %d", pos, n, g, j)
				}
			}
		}
	}
}

// TestGradRange has sums of any size, and log-probabilities that are none.
func TestGradRange(t *testing.T) {
	t.Run("float64", testGradRange[float64])
	onPaths(t, testGradRange[float32])
}

func testGradRange[T Float](t *testing.T) {
	rng := newRand(9)
	inf := math.Inf(1)
	scales := []float64{1, 0, 1e-44, 0x1p-101, 0x1p-99, 1e-20, 0x1p99, 0x1p101, 1e37}
	strange := []float64{0, -1e-3, -87, -90, -103, -104, -200, -inf, 1, 50, 88}
	for _, n := range []int{1, 5, 16, 63, 150, 2100} {
		rows := 2 * len(scales)
		y, dy, dx := newMatrix[T](rows, n, 3, 1), newMatrix[T](rows, n, 0, 2), newMatrix[T](rows, n, 5, 3)
		check := func(fn string, f func(dx, y, dy Matrix[T]) error, want func(p, g, s float64) (v, tol float64), sum func(p, g float64) float64) {
			t.Helper()
			must(t, f(dx, y, dy))
			alone := newMatrix[T](1, n, 0, 0)
			for i := range rows {
				var s, abs accumulator
				for j, g := range dy.row(i) {
					v := sum(float64(y.row(i)[j]), float64(g))
					s.add(v)
					abs.add(math.Abs(v))
				}
				for j, got := range dx.row(i) {
					p, g := float64(y.row(i)[j]), float64(dy.row(i)[j])
					v, tol := want(p, g, s.value())
					_, sumTol := want(p, 0, abs.value())
					if e := math.Abs(float64(got) - v); !sameBits(float64(got), float64(T(v))) && !(e <= boundsOf[T]().grad*(tol+sumTol)+0x1p-149) {
						t.Fatalf("%s: %s of %d x %d at %d, %d is %v, want %v; y %v, dy %v, sum %v", Path(), fn, rows, n, i, j, got, v, p, g, s.value())
					}
				}
				// A row does not depend on those that go with it, nor on being in place.
				copy(alone.Data, y.row(i))
				must(t, f(alone, alone, Row(dy.row(i))))
				for j, got := range alone.Data {
					if !sameBits(got, dx.row(i)[j]) {
						t.Fatalf("%s: %s of row %d of %d x %d, alone and in place: element %d is %v, not %v", Path(), fn, i, rows, n, j, got, dx.row(i)[j])
					}
				}
			}
			for i := range rows - 1 {
				for _, v := range dx.Data[i*dx.Stride : (i+1)*dx.Stride][n:] {
					if v != gapValue {
						t.Fatalf("%s: %s writes between the rows", Path(), fn)
					}
				}
			}
		}

		for i := range rows {
			randomRow(rng, y.row(i), 1)
			randomRow(rng, dy.row(i), 1)
			for j := range n {
				dy.row(i)[j] *= T(scales[i%len(scales)])
			}
			if i >= len(scales) {
				y.row(i)[n/2] = T(math.MaxFloat32)
				dy.row(i)[n/2] = 0
			}
		}
		check("SoftmaxGrad", func(dx, y, dy Matrix[T]) error { return SoftmaxGrad(dx, y, dy) },
			func(p, g, s float64) (v, tol float64) {
				return float64(p * (g - s)), math.Abs(p) * (math.Abs(g) + math.Abs(s))
			},
			func(p, g float64) float64 { return float64(p * g) })

		for i := range rows {
			for j := range n {
				y.row(i)[j] = T(strange[rng.IntN(len(strange))])
			}
			switch i {
			case 2:
				y.row(i)[n-1] = T(inf)
			case len(scales):
				y.row(i)[n-1] = nanOf[T](i)
			case len(scales) + 1: // a sum of 0
				fill(dy.row(i), 0)
			}
		}
		check("LogSoftmaxGrad", func(dx, y, dy Matrix[T]) error { return LogSoftmaxGrad(dx, y, dy) },
			func(p, g, s float64) (v, tol float64) {
				e := math.Exp(p)
				return g - float64(e*s), math.Abs(g) + float64((e+0x1p-126)*math.Abs(s))
			},
			func(p, g float64) float64 { return g })
	}
}
