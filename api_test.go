package logits

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// wantError checks that err says all of what, ": x" or "(x.Data)" for the former.
func wantError(t *testing.T, err error, what ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", what)
		return
	}
	for _, w := range append(what, "logits: ") {
		if !strings.Contains(err.Error(), w) && !(strings.HasPrefix(w, ": ") && strings.Contains(err.Error(), "("+w[2:]+".Data)")) {
			t.Errorf("error %q, want %q in it", err, w)
		}
	}
}

const canary = 12345

// canaries returns n elements that must stay as they are.
func canaries[T Float](n int) []T {
	x := make([]T, n)
	fill(x, canary)
	return x
}

func unwritten[T Float | int](t *testing.T, what string, x []T) {
	t.Helper()
	for i, v := range x {
		if v != canary {
			t.Errorf("%s: element %d was written", what, i)
			return
		}
	}
}

// rowFuncs are the functions of a matrix with one result a row.
func rowFuncs[T Float]() map[string]func(dst []T, x Matrix[T]) error {
	return map[string]func(dst []T, x Matrix[T]) error{
		"RowMax": RowMax[T], "RowSum": RowSum[T], "RowLogSumExp": RowLogSumExp[T],
		"RowArgMax": func(dst []T, x Matrix[T]) error {
			arg := make([]int, len(dst))
			fill(arg, canary)
			err := RowArgMax(arg, x)
			for i, v := range arg {
				dst[i] = T(v)
			}
			return err
		},
		"LogSoftmaxNLL": func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, make([]int, max(x.Rows, 0))) },
	}
}

// matrixFuncs are the functions with a matrix of results.
func matrixFuncs[T Float]() map[string]func(dst, x Matrix[T]) error {
	return map[string]func(dst, x Matrix[T]) error{
		"Exp": Exp[T], "Softmax": Softmax[T, Matrix[T]], "LogSoftmax": LogSoftmax[T, Matrix[T]],
	}
}

func gradFuncs[T Float]() map[string]func(dx, y, dy Matrix[T]) error {
	return map[string]func(dx, y, dy Matrix[T]) error{
		"SoftmaxGrad": SoftmaxGrad[T, Matrix[T]], "LogSoftmaxGrad": LogSoftmaxGrad[T, Matrix[T]],
	}
}

func TestBadMatrix(t *testing.T) {
	t.Run("float32", testBadMatrix[float32])
	t.Run("float64", testBadMatrix[float64])
}

func testBadMatrix[T Float](t *testing.T) {
	data := make([]T, 20)
	bad := []struct {
		x    Matrix[T]
		want []string
	}{
		{Matrix[T]{-1, 4, data, 4}, []string{"-1 x 4", "negative"}},
		{Matrix[T]{2, -4, data, 4}, []string{"2 x -4", "negative"}},
		{Matrix[T]{math.MinInt, math.MinInt, data, 4}, []string{"negative"}},
		{Matrix[T]{2, 4, data, 3}, []string{"Stride is 3", "at least", "4"}},
		{Matrix[T]{2, 4, data, 0}, []string{"Stride is 0", "at least", "4"}},
		{Matrix[T]{2, 4, data, -4}, []string{"Stride is -4", "at least", "4"}},
		{Matrix[T]{2, 4, data, math.MinInt}, []string{"Stride", "at least", "4"}},
		{Matrix[T]{2, 0, data, -1}, []string{"Stride is -1", "at least"}},
		{Matrix[T]{2, 4, data[:7], 4}, []string{".Data) is 7", "2", "4"}},
		{Matrix[T]{2, 4, nil, 4}, []string{".Data) is 0"}},
		{Matrix[T]{1, 4, data[:3], 4}, []string{".Data) is 3", "4"}},
		{Matrix[T]{1, 21, data, 0}, []string{".Data) is 20", "21"}},
		{Matrix[T]{4, 5, data[:19], 5}, []string{".Data) is 19"}},
		{Matrix[T]{4, 2, data, 7}, []string{".Data) is 20", "stride 7"}},
		{Matrix[T]{3, 4, data, math.MaxInt / 2}, []string{".Data) is 20"}},
		{Matrix[T]{3, 4, data, math.MaxInt}, []string{".Data) is 20"}},
		{Matrix[T]{4, 4, data, math.MaxInt/2 + 1}, []string{".Data) is 20"}},
		{Matrix[T]{5, 4, data, 1 << (bitsOfInt - 2)}, []string{".Data) is 20"}},
		{Matrix[T]{2, math.MaxInt, data, math.MaxInt}, []string{".Data) is 20"}},
		{Matrix[T]{math.MaxInt, 1, data, 1}, []string{".Data) is 20"}},
		{Matrix[T]{1 << (bitsOfInt / 2), 4, data, 1 << (bitsOfInt / 2)}, []string{".Data) is 20"}},
		{Matrix[T]{1<<(bitsOfInt/2) + 1, 4, data, 1 << (bitsOfInt / 2)}, []string{".Data) is 20"}},
	}
	for _, b := range bad {
		rows := b.x.Rows
		if rows < 0 || rows > 100 {
			rows = 3
		}
		name := fmt.Sprintf("%d x %d, stride %d, %d elements", b.x.Rows, b.x.Cols, b.x.Stride, len(b.x.Data))
		for fn, f := range rowFuncs[T]() {
			if fn == "LogSoftmaxNLL" {
				f = func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, make([]int, rows)) }
			}
			dst := canaries[T](rows)
			wantError(t, f(dst, b.x), append(b.want, fn, ": x")...)
			unwritten(t, fn+" of "+name, dst)
		}
		for fn, f := range matrixFuncs[T]() {
			wantError(t, f(b.x, b.x), append(b.want, fn, "x")...)
			dst := canaries[T](20)
			wantError(t, f(Dense(4, 5, dst), b.x), append(b.want, fn, "x")...)
			unwritten(t, fn+" of "+name, dst)
			// A good x, but no good dst.
			if rows == b.x.Rows && b.x.Cols >= 0 && b.x.Cols < 100 {
				b := b
				b.x.Data = canaries[T](len(b.x.Data))
				wantError(t, f(b.x, Dense(b.x.Rows, b.x.Cols, make([]T, b.x.Rows*b.x.Cols))), append(b.want, fn, "dst")...)
				unwritten(t, fn+" to "+name, b.x.Data)
			}
		}
		for fn, f := range gradFuncs[T]() {
			wantError(t, f(b.x, b.x, b.x), append(b.want, fn)...)
			if rows == b.x.Rows && b.x.Cols >= 0 && b.x.Cols < 100 {
				dst := canaries[T](b.x.Rows * b.x.Cols)
				dx := Dense(b.x.Rows, b.x.Cols, dst)
				good := Dense(b.x.Rows, b.x.Cols, make([]T, len(dst)))
				wantError(t, f(dx, b.x, good), append(b.want, fn, ": y")...)
				wantError(t, f(dx, good, b.x), append(b.want, fn, ": dy")...)
				unwritten(t, fn+" of "+name, dst)
				b := b
				b.x.Data = canaries[T](len(b.x.Data))
				wantError(t, f(b.x, good, good), append(b.want, fn, "dx")...)
				unwritten(t, fn+" to "+name, b.x.Data)
			}
		}
	}
}

const bitsOfInt = 32 << (^uint(0) >> 63)

func TestBadLengths(t *testing.T) {
	x := Dense(3, 4, make([]float32, 12))
	for fn, f := range rowFuncs[float32]() {
		for _, n := range []int{0, 1, 2, 4, 5} {
			dst := canaries[float32](n)
			name := "dst"
			if fn == "LogSoftmaxNLL" {
				name = "loss"
			}
			wantError(t, f(dst, x), fn, fmt.Sprintf("len(%s) is %d", name, n), "3 rows")
			unwritten(t, fn, dst)
		}
		wantError(t, f(canaries[float32](1), Matrix[float32]{}), fn, "is 1", "0 rows")
		wantError(t, f(nil, x), fn, "is 0", "3 rows")
	}
	for _, n := range []int{0, 2, 4} {
		loss := canaries[float32](3)
		wantError(t, LogSoftmaxNLL(loss, x, make([]int, n)), "LogSoftmaxNLL", fmt.Sprintf("len(targets) is %d", n), "3 rows")
		unwritten(t, "LogSoftmaxNLL", loss)
	}
	for _, s := range [][2]int{{3, 5}, {4, 4}, {2, 6}, {4, 3}, {12, 1}, {0, 0}, {3, 3}} {
		dst := canaries[float32](s[0] * s[1])
		d := Dense(s[0], s[1], dst)
		shape := fmt.Sprintf("%d x %d", s[0], s[1])
		for fn, f := range matrixFuncs[float32]() {
			wantError(t, f(d, x), fn, "dst", shape, "3 x 4", "x")
		}
		for fn, f := range gradFuncs[float32]() {
			wantError(t, f(d, x, x), fn, "dx", shape, "3 x 4", "y")
			dx := canaries[float32](12)
			wantError(t, f(Dense(3, 4, dx), x, d), fn, "dy", shape, "3 x 4")
			wantError(t, f(Dense(3, 4, dx), d, x), fn, "y", shape, "3 x 4")
			unwritten(t, fn, dx)
		}
		unwritten(t, "dst of another shape", dst)
	}
}

func TestBadTargets(t *testing.T) {
	t.Run("int", testBadTargets[int])
	t.Run("int32", testBadTargets[int32])
	t.Run("int64", testBadTargets[int64])
	type class int64
	t.Run("named", testBadTargets[class])
}

func testBadTargets[I Index](t *testing.T) {
	const rows, cols = 5, 7
	values := []int64{-1, cols, -100, cols + 1, math.MaxInt32, math.MinInt32}
	if unsafe.Sizeof(I(0)) == 8 {
		// The low halves are good classes.
		values = append(values, math.MaxInt64, math.MinInt64, 1<<32, 1<<32+1, -1<<32, math.MinInt64+2)
	}
	for _, v := range values {
		for i := range rows {
			targets := make([]I, rows)
			targets[i] = I(v)
			want := []string{"LogSoftmaxNLL", fmt.Sprintf("targets[%d] is %d", i, v), fmt.Sprintf("[0, %d)", cols)}
			loss := canaries[float32](rows)
			wantError(t, LogSoftmaxNLL(loss, Dense(rows, cols, make([]float32, rows*cols)), targets), want...)
			unwritten(t, "LogSoftmaxNLL", loss)
			loss64 := canaries[float64](rows)
			wantError(t, LogSoftmaxNLL(loss64, Dense(rows, cols, make([]float64, rows*cols)), targets), want...)
			unwritten(t, "LogSoftmaxNLL", loss64)
			if t.Failed() {
				return
			}
		}
	}
	// No class exists in a row of no columns.
	loss := canaries[float32](2)
	wantError(t, LogSoftmaxNLL(loss, Matrix[float32]{Rows: 2}, []I{0, 0}), "targets[0] is 0", "[0, 0)")
	unwritten(t, "LogSoftmaxNLL", loss)
	must(t, LogSoftmaxNLL(loss, Dense(2, cols, make([]float32, 2*cols)), []I{0, cols - 1}))
}

func TestOverlap(t *testing.T) {
	data := make([]float32, 100)
	reset := func() {
		for i := range data {
			data[i] = float32(i%7) - 3
		}
	}
	reset()
	data[50], data[51] = 0, 0
	before := slices.Clone(data)
	m := func(off, rows, cols, stride int) Matrix[float32] {
		return Matrix[float32]{rows, cols, data[off:], stride}
	}
	bad := []struct {
		what   string
		dst, x Matrix[float32]
	}{
		{"one element later", m(1, 3, 4, 4), m(0, 3, 4, 4)},
		{"one element earlier", m(0, 3, 4, 4), m(1, 3, 4, 4)},
		{"a row later", m(4, 3, 4, 4), m(0, 3, 4, 4)},
		{"one row, shifted", m(1, 1, 9, 9), m(0, 1, 9, 9)},
		{"the last element", m(11, 3, 4, 4), m(0, 3, 4, 4)},
		{"another stride", m(0, 3, 4, 4), m(0, 3, 4, 5)},
		{"another stride", m(0, 3, 4, 5), m(0, 3, 4, 4)},
		{"side by side, a column shared", m(3, 3, 4, 8), m(0, 3, 4, 8)},
		{"side by side, no room", m(4, 3, 4, 7), m(0, 3, 4, 7)},
		{"a row later and a column earlier", m(9, 3, 4, 10), m(0, 3, 4, 10)},
	}
	for _, b := range bad {
		for fn, f := range matrixFuncs[float32]() {
			wantError(t, f(b.dst, b.x), fn, "dst", "overlaps x")
		}
		for fn, f := range gradFuncs[float32]() {
			apart := Dense(b.x.Rows, b.x.Cols, make([]float32, b.x.Rows*b.x.Cols))
			wantError(t, f(b.dst, b.x, apart), fn, "dx", "overlaps y")
			wantError(t, f(b.dst, apart, b.x), fn, "dx", "overlaps dy")
		}
	}
	wantError(t, RowMax(data[4:6], m(0, 2, 5, 6)), "RowMax", "dst", "overlaps x")
	wantError(t, RowSum(data[10:12], m(0, 2, 5, 6)), "RowSum", "dst", "overlaps x")
	wantError(t, RowLogSumExp(data[:2], m(0, 2, 5, 6)), "RowLogSumExp", "dst", "overlaps x")
	wantError(t, LogSoftmaxNLL(data[10:12], m(0, 2, 5, 6), []int{0, 0}), "LogSoftmaxNLL", "loss", "overlaps x")
	ints := unsafe.Slice((*int32)(unsafe.Pointer(&data[50])), 2)
	wantError(t, LogSoftmaxNLL(data[51:53], m(0, 2, 5, 6), ints), "LogSoftmaxNLL", "loss", "overlaps targets")
	if bits := unsafe.Slice((*int)(unsafe.Pointer(&data[0])), 2); uintptr(unsafe.Pointer(&data[0]))%8 == 0 {
		wantError(t, RowArgMax(bits, m(0, 2, 5, 6)), "RowArgMax", "dst", "overlaps x")
	}
	if !slices.Equal(data, before) {
		t.Error("a refused call wrote something")
	}

	// These stand apart, or are the same.
	good := []struct {
		what   string
		dst, x Matrix[float32]
	}{
		{"the same", m(3, 3, 4, 5), m(3, 3, 4, 5)},
		{"one row, whatever the stride", m(3, 1, 4, 5), m(3, 1, 4, 9)},
		{"one after the other", m(12, 3, 4, 4), m(0, 3, 4, 4)},
		{"one before the other", m(0, 3, 4, 4), m(12, 3, 4, 4)},
		{"left half to right half", m(4, 3, 4, 8), m(0, 3, 4, 8)},
		{"right half to left half", m(0, 3, 4, 8), m(4, 3, 4, 8)},
		{"right half to left half of the next row", m(8, 3, 4, 8), m(4, 3, 4, 8)},
		{"a gap between them", m(5, 3, 4, 10), m(0, 3, 4, 10)},
		{"last columns", m(6, 3, 4, 10), m(1, 3, 4, 10)},
	}
	for _, g := range good {
		for fn, f := range matrixFuncs[float32]() {
			reset()
			want := Dense(g.x.Rows, g.x.Cols, make([]float32, g.x.Rows*g.x.Cols))
			must(t, f(want, g.x))
			must(t, f(g.dst, g.x))
			for i := range g.x.Rows {
				for j := range g.x.Cols {
					if got := g.dst.Data[i*g.dst.Stride+j]; got != want.Data[i*want.Stride+j] {
						t.Fatalf("%s, %s: element %d, %d is %v, want %v", fn, g.what, i, j, got, want.Data[i*want.Stride+j])
					}
				}
			}
		}
	}
}

func TestBadPlanar(t *testing.T) {
	data := make([]float32, 30)
	bad := []struct {
		x    Planar[float32]
		want []string
	}{
		{Planar[float32]{-1, 3, 2, data}, []string{"-1 x 3 x 2", "negative"}},
		{Planar[float32]{1, -3, 2, data}, []string{"1 x -3 x 2", "negative"}},
		{Planar[float32]{1, 3, -2, data}, []string{"1 x 3 x -2", "negative"}},
		{Planar[float32]{-1, 3, 1, data}, []string{"-1 x 3", "negative"}},
		{Planar[float32]{2, 3, 5, data[:29]}, []string{".Data) is 29"}},
		{Planar[float32]{2, 3, 5, nil}, []string{".Data) is 0"}},
		{Planar[float32]{10, 3, 1, data[:29]}, []string{".Data) is 29"}},
		{Planar[float32]{math.MaxInt/2 + 1, 2, 2, data}, []string{".Data) is 30"}},
		{Planar[float32]{2, math.MaxInt/2 + 1, 2, data}, []string{".Data) is 30"}},
		{Planar[float32]{2, 2, math.MaxInt/2 + 1, data}, []string{".Data) is 30"}},
		{Planar[float32]{1 << (bitsOfInt / 2), 1 << (bitsOfInt / 2), 2, data}, []string{".Data) is 30"}},
		{Planar[float32]{2, 1 << (bitsOfInt / 2), 1 << (bitsOfInt / 2), data}, []string{".Data) is 30"}},
		{Planar[float32]{1 << (bitsOfInt / 2), 1 << (bitsOfInt / 2), 1, data}, []string{".Data) is 30"}},
		{Planar[float32]{math.MaxInt, math.MaxInt, math.MaxInt, data}, []string{".Data) is 30"}},
		{Planar[float32]{math.MaxInt, math.MaxInt, 1, data}, []string{".Data) is 30"}},
	}
	for _, b := range bad {
		wantError(t, Softmax(b.x, b.x), append(b.want, "Softmax", "x")...)
		wantError(t, LogSoftmax(b.x, b.x), append(b.want, "LogSoftmax", "x")...)
		wantError(t, SoftmaxGrad(b.x, b.x, b.x), append(b.want, "SoftmaxGrad", "y")...)
		wantError(t, LogSoftmaxGrad(b.x, b.x, b.x), append(b.want, "LogSoftmaxGrad", "y")...)
	}
	x := Planar[float32]{2, 3, 5, data}
	out := canaries[float32](100)
	for _, s := range [][3]int{{2, 5, 3}, {3, 2, 5}, {6, 5, 1}, {1, 3, 10}, {2, 3, 4}, {0, 0, 0}} {
		shape := fmt.Sprint(s[0], " x ", s[1])
		dst := Planar[float32]{s[0], s[1], s[2], out}
		wantError(t, Softmax(dst, x), "Softmax", "dst", shape, "2 x 3 x 5")
		wantError(t, SoftmaxGrad(dst, x, x), "SoftmaxGrad", "dx", shape, "2 x 3 x 5")
		wantError(t, LogSoftmaxGrad(Planar[float32]{2, 3, 5, out}, x, dst), "LogSoftmaxGrad", "dy", shape, "2 x 3 x 5")
	}
	wantError(t, LogSoftmax(Planar[float32]{2, 3, 5, out[:29]}, x), "LogSoftmax", "dst", "is 29")
	wantError(t, Softmax(Planar[float32]{2, 3, 5, out}, Planar[float32]{2, 3, 5, out[1:]}), "Softmax", "dst", "overlaps x")
	wantError(t, Softmax(Planar[float32]{2, 3, 5, out[29:]}, Planar[float32]{2, 3, 5, out}), "Softmax", "dst", "overlaps x")
	wantError(t, LogSoftmaxGrad(Planar[float32]{2, 3, 5, out[7:]}, x, Planar[float32]{2, 3, 5, out}), "LogSoftmaxGrad", "dx", "overlaps dy")
	unwritten(t, "Planar", out)
	must(t, Softmax(Planar[float32]{2, 3, 5, out[30:]}, Planar[float32]{2, 3, 5, out}))
}

func TestInPlace(t *testing.T) {
	t.Run("float64", testInPlace[float64])
	onPaths(t, testInPlace[float32])
}

func testInPlace[T Float](t *testing.T) {
	rng := newRand(11)
	for c, n := range append(sizes[:len(sizes):len(sizes)], 70001) {
		if n > 300 && c%4 != 0 && lighter() {
			continue
		}
		rows, stride := 3, n+c%5
		src := make([]T, rows*stride)
		randomRow(rng, src, 3)
		dy := make([]T, rows*stride)
		randomRow(rng, dy, 1)
		view := func(x []T) Matrix[T] { return Matrix[T]{rows, n, x, stride} }
		same := func(name string, got, want []T) {
			t.Helper()
			for i := range rows {
				for j := range n {
					if k := i*stride + j; !sameBits(got[k], want[k]) {
						t.Fatalf("%s in place, %d columns: element %d of row %d is %v, want %v", name, n, j, i, got[k], want[k])
					}
				}
			}
		}
		want := make([]T, len(src))
		for name, f := range matrixFuncs[T]() {
			must(t, f(view(want), view(src)))
			got := slices.Clone(src)
			must(t, f(view(got), view(got)))
			same(name, got, want)
		}
		for name, f := range gradFuncs[T]() {
			must(t, f(view(want), view(src), view(dy)))
			got := slices.Clone(src)
			must(t, f(view(got), view(got), view(dy)))
			same(name+" to y", got, want)
			got = slices.Clone(dy)
			must(t, f(view(got), view(src), view(got)))
			same(name+" to dy", got, want)
			must(t, f(view(want), view(src), view(src)))
			got = slices.Clone(src)
			must(t, f(view(got), view(got), view(got)))
			same(name+" to both", got, want)
		}
	}
}

// Planar and Matrix differ in the layout only.
func TestPlanar(t *testing.T) {
	t.Run("float64", testPlanar[float64])
	onPaths(t, testPlanar[float32])
}

func testPlanar[T Float](t *testing.T) {
	rng := newRand(12)
	shapes := [][3]int{{1, 1, 1}, {3, 5, 1}, {1, 5, 2}, {2, 3, 7}, {3, 10, 49}, {2, 17, 64}, {1, 64, 65}, {2, 100, 130}, {1, 1, 300}, {5, 2, 3}, {1, 4097, 3}, {2, 5000, 2}, {1, 70001, 2}}
	if !lighter() {
		shapes = append(shapes, [3]int{3, 21, 5000}) // more than a goroutine's worth
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	for _, s := range shapes {
		n, c, d := s[0], s[1], s[2]
		if c*d > 20000 && lighter() {
			continue
		}
		p, pdy := make([]T, n*c*d), make([]T, n*c*d)
		randomRow(rng, p, 3)
		randomRow(rng, pdy, 2)
		transposed := func(p []T) []T {
			m := make([]T, len(p))
			for i := range n {
				for j := range c {
					for k := range d {
						m[(i*d+k)*c+j] = p[(i*c+j)*d+k]
					}
				}
			}
			return m
		}
		planar := func(x []T) Planar[T] { return Planar[T]{n, c, d, x} }
		matrix := func(x []T) Matrix[T] { return Dense(n*d, c, x) }
		m, mdy := transposed(p), transposed(pdy)
		for workers := range 2 {
			useWorkers(t, 1+3*workers)
			check := func(name string, got, want []T) {
				t.Helper()
				got = transposed(got)
				for i := range got {
					if !alike(got[i], want[i], 1e-6) {
						t.Fatalf("%s of %d x %d x %d: element %d of row %d is %v, want %v", name, n, c, d, i%c, i/c, got[i], want[i])
					}
				}
			}
			got, want := make([]T, len(p)), make([]T, len(p))
			must(t, Softmax(planar(got), planar(p)))
			must(t, Softmax(matrix(want), matrix(m)))
			check("Softmax", got, want)
			copy(got, p)
			must(t, Softmax(planar(got), planar(got)))
			check("Softmax in place", got, want)
			must(t, SoftmaxGrad(planar(got), planar(p), planar(pdy)))
			must(t, SoftmaxGrad(matrix(want), matrix(m), matrix(mdy)))
			check("SoftmaxGrad", got, want)
			copy(got, pdy)
			must(t, SoftmaxGrad(planar(got), planar(p), planar(got)))
			check("SoftmaxGrad in place", got, want)
			must(t, LogSoftmax(planar(got), planar(p)))
			must(t, LogSoftmax(matrix(want), matrix(m)))
			check("LogSoftmax", got, want)
			must(t, LogSoftmaxGrad(planar(got), planar(p), planar(pdy)))
			must(t, LogSoftmaxGrad(matrix(want), matrix(m), matrix(mdy)))
			check("LogSoftmaxGrad", got, want)
			copy(got, p)
			must(t, LogSoftmaxGrad(planar(got), planar(got), planar(pdy)))
			check("LogSoftmaxGrad in place", got, want)
		}
	}
}

type (
	myFloat   float32
	myFloat64 float64
	myIndex   int32

	// general has the fields of gonum's blas64.General.
	general struct {
		Rows, Cols int
		Data       []float64
		Stride     int
	}
)

// Named element types run the same kernels, and nothing needs type arguments.
func TestNamedTypes(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		testNamedType[myFloat, float32](t)
		testNamedType[myFloat64, float64](t)

		g := general{Rows: 2, Cols: 3, Data: []float64{-1, -3, 4, 9, -3, 3, -1}, Stride: 4}
		var loss [2]float64
		must(t, LogSoftmaxNLL(loss[:], Matrix[float64](g), []int{0, 1}))
		if mean := (loss[0] + loss[1]) / 2; math.Abs(mean-2.5141) > 1e-4 {
			t.Errorf("the lecture's mean loss is %v", mean)
		}
		must(t, Exp(Matrix[float64](g), Matrix[float64](g)))
		if g.Data[3] != 9 {
			t.Error("Exp wrote between the rows")
		}
	})
}

func testNamedType[N, T Float](t *testing.T) {
	const rows, cols = 3, 37
	x, named := make([]T, rows*cols), make([]N, rows*cols)
	randomRow(newRand(13), x, 3)
	for i, v := range x {
		named[i] = N(v)
	}
	same := func(name string, got []N, want []T) {
		t.Helper()
		for i := range got {
			if !sameBits(T(got[i]), want[i]) {
				t.Fatalf("%s: %v for %T, %v for %T", name, got[i], got[i], want[i], want[i])
			}
		}
	}
	a := resultsOf(t, Dense(rows, cols, x), []int{1, 2, 36})
	b := resultsOf(t, Dense(rows, cols, named), []int{1, 2, 36})
	same("RowMax", b.max, a.max)
	same("RowSum", b.sum, a.sum)
	same("RowLogSumExp", b.lse, a.lse)
	same("LogSoftmaxNLL", b.loss, a.loss)
	same("Exp", b.exp.Data, a.exp.Data)
	same("Softmax", b.soft.Data, a.soft.Data)
	same("LogSoftmax", b.log.Data, a.log.Data)
	if !slices.Equal(a.arg, b.arg) {
		t.Errorf("RowArgMax: %v for %T, %v for %T", b.arg, named[0], a.arg, x[0])
	}
	loss := make([]N, rows)
	must(t, LogSoftmaxNLL(loss, Dense(rows, cols, named), []myIndex{1, 2, 36}))
	same("LogSoftmaxNLL", loss, a.loss)
	must(t, LogSoftmaxNLL(loss, Dense(rows, cols, named), []int64{1, 2, 36}))
	same("LogSoftmaxNLL", loss, a.loss)
	p := Planar[N]{1, 3, 4, named}
	must(t, Softmax(p, p))
}

// noAllocs fails if f allocates once it has run.
func noAllocs(t *testing.T, name string, f func()) {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // A collection empties the pool of buffers.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // Each P has a pool.
	for range 8 {
		f() // until the buffers, which take turns, have all grown
	}
	if n := testing.AllocsPerRun(3, f); n != 0 {
		t.Errorf("%s allocates %v times", name, n)
	}
}

func TestNoAllocs(t *testing.T) {
	t.Run("float64", testNoAllocs[float64])
	onPaths(t, testNoAllocs[float32])
}

// pagedShapes returns a shape with pages to ask for, on one path: what allocates does
// not depend on the kernels.
func pagedShapes[T Float]() [][2]int {
	if !is32[T]() || Path() != Paths()[0] {
		return nil
	}
	return [][2]int{{pagedSize/3000 + 1, 3000}}
}

func testNoAllocs[T Float](t *testing.T) {
	useWorkers(t, 1)
	shapes := [][2]int{{7, 100}}
	if !raceBuild() { // A sync.Pool forgets things under the race detector.
		shapes = append(shapes, [][2]int{{64, 10}, {2, cacheSize + 1}}...)
	}
	if !lighter() {
		shapes = append(shapes, [][2]int{{1, 1}, {40, 3000}, {1, chunkSize}, {2, chunkSize + 1}, {1, 3*chunkSize + 5}}...)
		shapes = append(shapes, pagedShapes[T]()...)
	}
	for _, s := range shapes {
		rows, cols := s[0], s[1]
		x, y, z := make([]T, rows*cols), make([]T, rows*cols), make([]T, rows*cols)
		randomRow(newRand(14), x, 3)
		dst, arg, targets := make([]T, rows), make([]int, rows), make([]int32, rows)
		m, o, p := Dense(rows, cols, x), Dense(rows, cols, y), Dense(rows, cols, z)
		name := fmt.Sprintf(" of %d x %d", rows, cols)
		noAllocs(t, "RowMax"+name, func() { must(t, RowMax(dst, m)) })
		noAllocs(t, "RowArgMax"+name, func() { must(t, RowArgMax(arg, m)) })
		noAllocs(t, "RowSum"+name, func() { must(t, RowSum(dst, m)) })
		noAllocs(t, "RowLogSumExp"+name, func() { must(t, RowLogSumExp(dst, m)) })
		noAllocs(t, "LogSoftmaxNLL"+name, func() { must(t, LogSoftmaxNLL(dst, m, targets)) })
		noAllocs(t, "Exp"+name, func() { must(t, Exp(o, m)) })
		noAllocs(t, "Softmax"+name, func() { must(t, Softmax(o, m)) })
		noAllocs(t, "SoftmaxGrad"+name, func() { must(t, SoftmaxGrad(p, o, m)) })
		noAllocs(t, "LogSoftmax"+name, func() { must(t, LogSoftmax(o, m)) })
		noAllocs(t, "LogSoftmaxGrad"+name, func() { must(t, LogSoftmaxGrad(p, o, m)) })
		if raceBuild() || cols == 1 {
			continue
		}
		a, b, c := Planar[T]{1, cols, rows, x}, Planar[T]{1, cols, rows, y}, Planar[T]{1, cols, rows, z}
		noAllocs(t, "Softmax, planar"+name, func() { must(t, Softmax(b, a)) })
		noAllocs(t, "SoftmaxGrad, planar"+name, func() { must(t, SoftmaxGrad(c, b, a)) })
		noAllocs(t, "LogSoftmax, planar"+name, func() { must(t, LogSoftmax(b, a)) })
		noAllocs(t, "LogSoftmaxGrad, planar"+name, func() { must(t, LogSoftmaxGrad(c, b, a)) })
	}
}

// Small arrays of the caller stay on its stack, though kernels are called
// through a table.
// What is small, the results and the targets, may be on the caller's stack.
func TestNoEscape(t *testing.T) {
	t.Run("float64", testNoEscape[float64])
	onPaths(t, testNoEscape[float32])
}

func testNoEscape[T Float](t *testing.T) {
	x := Dense(2, 4, []T{1, 2, 3, 0, 0, 0, 0, 0})
	noAllocs(t, "RowMax into an array", func() {
		dst := [2]T{}
		must(t, RowMax(dst[:], x))
	})
	noAllocs(t, "RowArgMax into an array", func() {
		dst := [2]int{}
		must(t, RowArgMax(dst[:], x))
	})
	noAllocs(t, "RowSum into an array", func() {
		dst := [2]T{}
		must(t, RowSum(dst[:], x))
	})
	noAllocs(t, "RowLogSumExp into an array", func() {
		dst := [2]T{}
		must(t, RowLogSumExp(dst[:], x))
	})
	noAllocs(t, "LogSoftmaxNLL into an array", func() {
		dst, targets := [2]T{}, [2]int{2, 1}
		must(t, LogSoftmaxNLL(dst[:], x, targets[:]))
	})
}

// Calls on shared data run side by side; for the race detector.
func TestConcurrent(t *testing.T) {
	t.Run("float64", testConcurrent[float64])
	onPaths(t, testConcurrent[float32])
}

func testConcurrent[T Float](t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	useWorkers(t, 0)
	shapes := [][2]int{{33, 100}, {1, 2*grain + 5}}
	if !lighter() {
		shapes = append(shapes, [2]int{5, 2*grain/5 + 1})
	}
	for _, s := range shapes {
		rows, cols := s[0], s[1]
		x := Dense(rows, cols, make([]T, rows*cols))
		randomRow(newRand(15), x.Data, 3)
		targets := make([]int, rows)
		want := resultsOf(t, x, targets)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				got := resultsOf(t, x, targets)
				if fn := got.differ(want); fn != "" {
					t.Errorf("%s: calls side by side have other results than a single one", fn)
				}
				if rows == 1 {
					return
				}
				p := Planar[T]{1, rows, cols, x.Data}
				out := Planar[T]{1, rows, cols, make([]T, rows*cols)}
				must := func(err error) {
					if err != nil {
						t.Error(err)
					}
				}
				must(Softmax(out, p))
				must(SoftmaxGrad(out, out, p))
				must(LogSoftmax(out, p))
				must(LogSoftmaxGrad(out, out, p))
			})
		}
		wg.Wait()
	}
}

// SetWorkers changes how many goroutines work, and no bit of the results.
func TestSetWorkers(t *testing.T) {
	useWorkers(t, 0)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(5))
	for _, c := range []struct{ cap, n, want int }{
		{0, 100 * grain, 5}, {-3, 100 * grain, 5}, {1, 100 * grain, 1}, {3, 100 * grain, 3}, {7, 100 * grain, 5},
		{0, 2 * grain, 2}, {0, grain, 1}, {0, 0, 1}, {0, 1000, 1}, {3, 2 * grain, 2}, {math.MaxInt, 100 * grain, 5},
	} {
		SetWorkers(c.cap)
		if got := workers(c.n); got != c.want {
			t.Errorf("%d goroutines for %d elements after SetWorkers(%d), want %d", got, c.n, c.cap, c.want)
		}
	}
	t.Run("float64", testWorkers[float64])
	onPaths(t, testWorkers[float32])
}

func testWorkers[T Float](t *testing.T) {
	shapes := [][2]int{{1, 5*grain + 77}, {2, 2*grain + 1}, {41, 3*grain/41 + 2}, {grain / 2, 5}}
	if lighter() {
		shapes = [][2]int{{1, 2*grain + 77}}
	}
	for _, s := range shapes {
		rows, cols := s[0], s[1]
		x := Dense(rows, cols, make([]T, rows*cols))
		randomRow(newRand(16), x.Data, 3)
		targets := make([]int, rows)
		SetWorkers(1)
		want := resultsOf(t, x, targets)
		for _, n := range []int{2, 5} {
			SetWorkers(n)
			got := resultsOf(t, x, targets)
			if fn := got.differ(want); fn != "" {
				t.Errorf("%s of %d x %d: %d goroutines have other results than one", fn, rows, cols, n)
			}
		}
	}
}

// Kernels get addresses on the stack that escape analysis does not see: they
// must be right however the stack has to grow on the way to them.
func TestStackMoves(t *testing.T) {
	t.Run("float64", testStackMoves[float64])
	onPaths(t, testStackMoves[float32])
}

func testStackMoves[T Float](t *testing.T) {
	const rows, cols = 2, 5
	in := [rows * cols]T{3, 1, 4, 1, 5, 9, 2, 6, 5, 3}
	want := resultsOf(t, Dense(rows, cols, in[:]), []int{0, 4})
	call := func(f func(x, y Matrix[T], dst []T, arg, targets []int) error) results[T] {
		x, y, dst, arg, targets := in, [rows * cols]T{}, [rows]T{}, [rows]int{}, [rows]int{0, 4}
		if err := f(Dense(rows, cols, x[:]), Dense(rows, cols, y[:]), dst[:], arg[:], targets[:]); err != nil {
			t.Error(err)
		}
		y2, d2, a2 := y, dst, arg
		return results[T]{max: d2[:], arg: a2[:], exp: Dense(rows, cols, y2[:])}
	}
	calls := []func() (string, bool){
		func() (string, bool) {
			r := call(func(x, y Matrix[T], dst []T, _, _ []int) error { return RowMax(dst, x) })
			return "RowMax", slices.Equal(r.max, want.max)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], dst []T, arg, _ []int) error { return RowArgMax(arg, x) })
			return "RowArgMax", slices.Equal(r.arg, want.arg)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], dst []T, _, _ []int) error { return RowSum(dst, x) })
			return "RowSum", slices.Equal(r.max, want.sum)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], dst []T, _, _ []int) error { return RowLogSumExp(dst, x) })
			return "RowLogSumExp", slices.Equal(r.max, want.lse)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], dst []T, _, targets []int) error { return LogSoftmaxNLL(dst, x, targets) })
			return "LogSoftmaxNLL", slices.Equal(r.max, want.loss)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], _ []T, _, _ []int) error { return Exp(y, x) })
			return "Exp", slices.Equal(r.exp.Data, want.exp.Data)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], _ []T, _, _ []int) error { return Softmax(y, x) })
			return "Softmax", slices.Equal(r.exp.Data, want.soft.Data)
		},
		func() (string, bool) {
			r := call(func(x, y Matrix[T], _ []T, _, _ []int) error { return LogSoftmax(y, x) })
			return "LogSoftmax", slices.Equal(r.exp.Data, want.log.Data)
		},
	}
	for _, f := range calls {
		var wg sync.WaitGroup
		for depth := range 150 {
			wg.Go(func() { // a goroutine starts with a small stack
				atDepth(depth, func() {
					if name, ok := f(); !ok {
						t.Errorf("%s is wrong at depth %d of the stack", name, depth)
					}
				})
			})
		}
		wg.Wait()
	}
}

//go:noinline
func atDepth(n int, f func()) int {
	if n == 0 {
		f()
		return 0
	}
	return atDepth(n-1, f) + 1
}
