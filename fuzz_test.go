package logits

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"unsafe"
)

// Every target takes the same arguments: how the bytes become elements, the
// shape, the elements between rows, the start within a cache line, a class,
// and the bytes, which repeat until the rows are full. Every path must be
// right, the accelerated ones bit for bit alike, and nothing may be written
// outside of the rows of the result.

// maxFuzzed is the most elements of an input, two blocks and more.
const maxFuzzed = 9000

// How bytes become elements.
const (
	rawBits     = iota
	noNaN       // NaN and +Inf become -Inf, a mask
	finiteBits  // no infinities
	subnormal   // and zeros
	within1     // evenly spread
	within16    // so that no term of a softmax counts for nothing
	within2048  // confident rows
	few         // 256 values
	masked16    // within16, and some -Inf
	numberModes = iota

	wideBits = 0x80 // float64 elements have bits of their own
)

func element(mode byte, w uint32) float32 {
	x := math.Float32frombits(w)
	switch mode &^ wideBits % numberModes {
	case noNaN:
		if x != x || x > math.MaxFloat32 {
			return -inf32
		}
	case finiteBits:
		if w>>23&0xff == 0xff {
			return math.Float32frombits(w &^ (1 << 23))
		}
	case subnormal:
		return math.Float32frombits(w & 0x807fffff)
	case within1:
		return float32(int32(w)) * 0x1p-31
	case within16:
		return float32(int32(w)) * 0x1p-27
	case within2048:
		return float32(int32(w)) * 0x1p-20
	case few:
		return float32(int8(w)) / 16
	case masked16:
		if w%4 == 0 {
			return -inf32
		}
		return float32(int32(w)) * 0x1p-27
	}
	return x
}

// A fuzzed is an input of element type T.
type fuzzed[T Float] struct {
	x       Matrix[T]
	refs    []reference
	targets []int
	data    []T // a copy of x.Data
	off     int
}

func newFuzzed[T Float](mode, rows byte, cols uint16, gap, off byte, target uint16, data []byte) *fuzzed[T] {
	c := int(cols) % (2*blockSize + 200)
	r := min(int(rows)%20, maxFuzzed/max(1, c))
	in := &fuzzed[T]{off: int(off) % 16}
	in.x = newMatrix[T](r, c, int(gap)%32, in.off)
	if len(data) == 0 {
		data = []byte{0}
	}
	size := 4
	if !is32[T]() && mode&wideBits != 0 {
		size = 8
	}
	for len(data)%size != 0 {
		data = append(data[:len(data):len(data)], data[0])
	}
	n := 0
	for i := range r {
		row := in.x.row(i)
		for j := range row {
			b := data[n*size%len(data):]
			n++
			if size == 8 {
				row[j] = T(math.Float64frombits(binary.LittleEndian.Uint64(b)))
			} else {
				row[j] = T(element(mode, binary.LittleEndian.Uint32(b)))
			}
		}
		if c > 0 {
			in.targets = append(in.targets, (int(target)+i*i)%c)
		}
		in.refs = append(in.refs, refRow(row))
	}
	in.data = slices.Clone(in.x.Data)
	return in
}

// each calls f for each row.
func (in *fuzzed[T]) each(f func(i int, row []T, r *reference)) {
	for i := range in.refs {
		f(i, in.x.row(i), &in.refs[i])
	}
}

// rawBytes returns the memory of x.
func rawBytes[T any](x []T) string {
	return unsafe.String((*byte)(unsafe.Pointer(unsafe.SliceData(x))), size(x))
}

// unchanged checks that the input is what it was.
func (in *fuzzed[T]) unchanged(t *testing.T) {
	t.Helper()
	if rawBytes(in.x.Data) != rawBytes(in.data) {
		t.Fatal("the input was changed")
	}
}

// matrix returns a matrix to write to, whose stride is not that of x.
func (in *fuzzed[T]) matrix() Matrix[T] {
	return newMatrix[T](in.x.Rows, in.x.Cols, (in.x.Stride-in.x.Cols+1)%5, (in.off+3)%16)
}

// gapsKept checks what is between the rows.
func gapsKept[T Float](t *testing.T, m Matrix[T], gap T) {
	t.Helper()
	for i := range m.Rows - 1 {
		for j, v := range m.Data[i*m.Stride : (i+1)*m.Stride][m.Cols:] {
			if !sameBits(v, gap) {
				t.Fatalf("row %d: element %d past the end became %v", i, j, v)
			}
		}
	}
}

// elements returns the elements of m row by row.
func elements[T Float](m Matrix[T]) []T {
	var all []T
	for i := range m.Rows {
		all = append(all, m.row(i)...)
	}
	return all
}

// planar returns the elements of m as a Planar with the same rows, of 1, 2 or
// 3 samples.
func planar[T Float](m Matrix[T]) Planar[T] {
	n := 1
	for _, k := range []int{2, 3} {
		if m.Rows%k == 0 && m.Rows > k {
			n = k
		}
	}
	return planesOf(m, n, m.Rows/n)
}

// at returns where element j of row i is.
func (p Planar[T]) at(i, j int) int { return (i/p.D*p.C+j)*p.D + i%p.D }

// scoresCase checks that a function of a dst and some sources, which have one
// shape, does the same in place, to a Matrix and to a Planar, and returns the
// results of both.
func scoresCase[T Float](t *testing.T, in *fuzzed[T], matrix func(dst Matrix[T], src []Matrix[T]) error,
	planarFunc func(dst Planar[T], src []Planar[T]) error, src ...Matrix[T]) (dst, ofPlanes Matrix[T]) {
	t.Helper()
	dst = in.matrix()
	if err := matrix(dst, src); err != nil {
		t.Fatal(err)
	}
	gapsKept(t, dst, gapValue)
	want := elements(dst)
	same := func(what string, got []T) {
		t.Helper()
		for i, v := range got {
			if !sameBits(v, want[i]) {
				t.Fatalf("%s: element %d of row %d is %v, want %v", what, i%dst.Cols, i/dst.Cols, v, want[i])
			}
		}
	}

	for i := range src {
		in := src[i]
		in.Data = slices.Clone(in.Data)
		srcs := slices.Clone(src)
		srcs[i] = in
		if err := matrix(in, srcs); err != nil {
			t.Fatal(err)
		}
		gapsKept(t, in, gapValue)
		same("in place", elements(in))
	}

	var planes []Planar[T]
	for _, m := range src {
		planes = append(planes, planar(m))
	}
	to := planar(dst)
	fill(to.Data, gapValue)
	byRows := func(p Planar[T]) []T {
		all := make([]T, 0, len(p.Data))
		for i := range dst.Rows {
			for j := range dst.Cols {
				all = append(all, p.Data[p.at(i, j)])
			}
		}
		return all
	}
	if err := planarFunc(to, planes); err != nil {
		t.Fatal(err)
	}
	want = byRows(to)
	for i, p := range planes {
		in := slices.Clone(p.Data)
		if err := planarFunc(p, planes); err != nil {
			t.Fatal(err)
		}
		same("planar in place", byRows(p))
		planes[i].Data = in
	}
	return dst, Dense(dst.Rows, dst.Cols, want)
}

// alikeRows checks that a result for a Planar is about that for a Matrix.
func alikeRows[T Float](t *testing.T, got, want Matrix[T]) {
	t.Helper()
	for i := range want.Rows {
		for j, v := range got.row(i) {
			if w := want.row(i)[j]; !alike(v, w, 1.2e-6) {
				t.Fatalf("planar: element %d of row %d is %v, want about %v", j, i, v, w)
			}
		}
	}
}

type check[T Float] func(t *testing.T, in *fuzzed[T]) []T

// fuzzPaths runs a target's checks, which return a result, on each path.
func fuzzPaths(f *testing.F, check32 check[float32], check64 check[float64]) {
	word := binary.LittleEndian.AppendUint32
	random := make([]byte, 4*2300)
	rng := newRand(4)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for mode := range byte(numberModes) {
		f.Add(mode, byte(3), uint16(70+mode), byte(mode), mode, uint16(mode), random[:4*211])
		f.Add(mode, byte(19), uint16(2+mode), byte(mode), mode, uint16(mode), random[:4*97]) // 19 positions of a Planar
	}
	f.Add(byte(within16), byte(2), uint16(4161), byte(0), byte(5), uint16(4160), random)
	f.Add(byte(within16|wideBits), byte(2), uint16(4097), byte(1), byte(0), uint16(4096), random)
	f.Add(byte(rawBits|wideBits), byte(19), uint16(1), byte(1), byte(1), uint16(0), random)
	f.Add(byte(few), byte(1), uint16(4096), byte(0), byte(1), uint16(0), random)
	f.Add(byte(rawBits), byte(2), uint16(17), byte(0), byte(0), uint16(3), word(word(nil, 0xff800000), 0x3f800000))
	f.Add(byte(rawBits), byte(1), uint16(3), byte(0), byte(0), uint16(3), word(word(word(nil, 0), 0x7f800000), 0xbf800000))
	f.Add(byte(rawBits), byte(1), uint16(64), byte(0), byte(0), uint16(3), word(word(nil, 0x80000000), 0))
	f.Add(byte(rawBits), byte(1), uint16(0), byte(0), byte(0), uint16(3), []byte(nil))
	f.Add(byte(rawBits), byte(0), uint16(5), byte(0), byte(0), uint16(3), []byte(nil))

	f.Fuzz(func(t *testing.T, mode, rows byte, cols uint16, gap, off byte, target uint16, data []byte) {
		before := active
		defer func() { active = before }()
		in := newFuzzed[float32](mode, rows, cols, gap, off, target, data)
		var want []float32
		for _, k := range paths {
			active = k
			got := check32(t, in)
			in.unchanged(t)
			if t.Failed() {
				t.Fatalf("on path %s, %d x %d", k.name, in.x.Rows, in.x.Cols)
			}
			switch {
			case k.name == "generic":
			case want == nil:
				want = got
			default:
				for i, v := range got {
					if !sameBits(v, want[i]) {
						t.Fatalf("result %d is %v on %s, %v on %s, %d x %d", i, v, k.name, want[i], paths[0].name, in.x.Rows, in.x.Cols)
					}
				}
			}
		}
		in64 := newFuzzed[float64](mode, rows, cols, gap, off, target, data)
		check64(t, in64)
		in64.unchanged(t)
		if t.Failed() {
			t.Fatalf("in float64, %d x %d", in64.x.Rows, in64.x.Cols)
		}
	})
}

// byRow runs a function with one result a row.
func byRow[T Float](t *testing.T, in *fuzzed[T], f func(dst []T, x Matrix[T]) error) []T {
	t.Helper()
	dst := make([]T, in.x.Rows)
	if err := f(dst, in.x); err != nil {
		t.Fatal(err)
	}
	return dst
}

// A precision holds what errors come from, all of them relative.
type precision struct {
	unit   float64 // the rounding of one operation
	diff   float64 // of x - max
	exp    float64 // of e^d
	expLow float64 // of the shorter polynomial, for sums alone
	sum    float64 // of a sum of positive terms
	flush  float64 // an absolute error: what e^d may lose
	least  float64 // the least number
}

// precisionOf returns the precision of the active path. Sums are bounded by
// the number of roundings that a term goes through: a few in its step, one for
// each step of its block, and one for each halving of the lanes.
func precisionOf[T Float](cols int) precision {
	const u = 0x1p-24
	switch {
	case !is32[T]():
		n := float64(min(cols, chunkSize)) + 40
		return precision{0x1p-53, 0x1p-53, 3 * 0x1p-53, 3 * 0x1p-53, n * 0x1p-53, 0x1p-1022, 0x1p-1074}
	case active.name == "generic":
		return precision{u, 0, u, u, u, 0x1p-149, 0x1p-149}
	}
	return precision{u, u, 1.1 * u, 1.05e-7 + 2*u, float64(min(cols/64, 8)+16) * u, 0x1p-126, 0x1p-149}
}

// diffError returns how much the sum of the e^(x-max), relative to it, owes to
// the rounding of the differences.
func diffError[T Float](p precision, row []T, r *reference) float64 {
	var s float64
	for i, q := range r.soft {
		if q > 0 {
			s += float64(q*(r.max-float64(row[i]))) * p.diff
		}
	}
	return s
}

// logError bounds the error of log1p(s).
func logError[T Float](p precision, row []T, r *reference) float64 {
	return r.others/(1+r.others)*(p.sum+p.expLow) + diffError(p, row, r) + float64(len(row))*p.flush
}

// near reports whether got is within tol of want, and the rounding of a T; a
// result may be infinite where want is not but what is within tol of it rounds to that.
func near[T Float](got T, want, tol float64, p precision) bool {
	g := float64(got)
	largest := -float64(lowest[T]())
	switch {
	case want != want:
		return g != g
	case g == want:
		return true
	case math.IsInf(g, 0):
		return math.Copysign(want, g*want)+math.Abs(want)*2*p.unit+tol >= largest
	}
	return math.Abs(g-want) <= tol+float64(p.unit*math.Abs(want))*1.01+p.least
}

// regular reports whether a row has a softmax: it has no NaN nor +Inf, and is
// not wholly -Inf.
func (r *reference) regular() bool { return !math.IsInf(r.max, 0) && r.max == r.max }

func FuzzRowMax(f *testing.F) { fuzzPaths(f, checkRowMax[float32], checkRowMax[float64]) }

func checkRowMax[T Float](t *testing.T, in *fuzzed[T]) []T {
	got := byRow(t, in, RowMax)
	in.each(func(i int, _ []T, r *reference) {
		if !sameBits(got[i], T(r.max)) {
			t.Errorf("row %d: %v, want %v", i, got[i], r.max)
		}
	})
	return got
}

func FuzzRowArgMax(f *testing.F) { fuzzPaths(f, checkRowArgMax[float32], checkRowArgMax[float64]) }

func checkRowArgMax[T Float](t *testing.T, in *fuzzed[T]) []T {
	got := make([]int, in.x.Rows)
	if err := RowArgMax(got, in.x); err != nil {
		t.Fatal(err)
	}
	var out []T
	in.each(func(i int, _ []T, r *reference) {
		if got[i] != r.argMax {
			t.Errorf("row %d: %v, want %v", i, got[i], r.argMax)
		}
		out = append(out, T(got[i]))
	})
	return out
}

func FuzzRowSum(f *testing.F) { fuzzPaths(f, checkRowSum[float32], checkRowSum[float64]) }

func checkRowSum[T Float](t *testing.T, in *fuzzed[T]) []T {
	got := byRow(t, in, RowSum)
	p := precisionOf[T](in.x.Cols)
	largest := -float64(lowest[T]())
	in.each(func(i int, row []T, r *reference) {
		var finite accumulator // The magnitudes but for infinities.
		var plus, minus, nan bool
		for _, v := range row {
			switch v := float64(v); {
			case v != v:
				nan = true
			case math.IsInf(v, 1):
				plus = true
			case math.IsInf(v, -1):
				minus = true
			default:
				finite.add(math.Abs(v))
			}
		}
		g := float64(got[i])
		want := r.sum
		switch {
		case nan || plus && minus:
			want = math.NaN()
		case !(finite.value() < largest/2):
			return // It may overflow on the way.
		case plus:
			want = math.Inf(1)
		case minus:
			want = math.Inf(-1)
		case finite.value() == 0:
			if !sameBits(g, 0) {
				t.Errorf("row %d: a sum of zeros is %v", i, g)
			}
			return
		}
		if !near(got[i], want, p.sum*finite.value(), p) {
			t.Errorf("row %d: %v, want %v; magnitudes %v", i, g, want, finite.value())
		}
	})
	return got
}

func FuzzExp(f *testing.F) { fuzzPaths(f, checkExp[float32], checkExp[float64]) }

func checkExp[T Float](t *testing.T, in *fuzzed[T]) []T {
	dst := in.matrix()
	if err := Exp(dst, in.x); err != nil {
		t.Fatal(err)
	}
	gapsKept(t, dst, gapValue)
	place := in.x
	place.Data = slices.Clone(in.x.Data)
	if err := Exp(place, place); err != nil {
		t.Fatal(err)
	}
	gapsKept(t, place, gapValue)
	in.each(func(i int, row []T, _ *reference) {
		for j, v := range row {
			got, want := dst.row(i)[j], math.Exp(float64(v))
			if !sameBits(place.row(i)[j], got) {
				t.Fatalf("e^%v is %v, and in place %v", v, got, place.row(i)[j])
			}
			ok := false
			if g, is := any(got).(float32); is {
				ok = ulp32(g, want) <= 1
			} else {
				// math.Exp is itself off by up to an ULP.
				ok = sameBits(float64(got), want) || math.Abs(float64(got)-want) <= 0x1p-51*want+0x1p-1074 && !math.IsInf(float64(got), 0)
			}
			if !ok {
				t.Fatalf("row %d, element %d: e^%v is %v, want %v", i, j, v, got, want)
			}
		}
	})
	return elements(dst)
}

func FuzzRowLogSumExp(f *testing.F) {
	fuzzPaths(f, checkRowLogSumExp[float32], checkRowLogSumExp[float64])
}

func checkRowLogSumExp[T Float](t *testing.T, in *fuzzed[T]) []T {
	got := byRow(t, in, RowLogSumExp)
	p := precisionOf[T](in.x.Cols)
	in.each(func(i int, row []T, r *reference) {
		if !r.regular() {
			if !sameBits(float64(got[i]), r.max) {
				t.Errorf("row %d: %v, want %v", i, got[i], r.max)
			}
			return
		}
		// The two parts may cancel.
		tol := logError(p, row, r) + 0x1p-50*(math.Abs(r.max)+math.Log1p(r.others))
		if !near(got[i], r.lse, tol, p) {
			t.Errorf("row %d: %v, want %v; max %v, sum of the others %v", i, got[i], r.lse, r.max, r.others)
		}
	})
	return got
}

func FuzzSoftmax(f *testing.F) { fuzzPaths(f, checkSoftmax[float32], checkSoftmax[float64]) }

func checkSoftmax[T Float](t *testing.T, in *fuzzed[T]) []T {
	dst, planes := scoresCase(t, in,
		func(dst Matrix[T], src []Matrix[T]) error { return Softmax[T](dst, src[0]) },
		func(dst Planar[T], src []Planar[T]) error { return Softmax[T](dst, src[0]) }, in.x)
	alikeRows(t, planes, dst)
	p := precisionOf[T](in.x.Cols)
	in.each(func(i int, row []T, r *reference) {
		var total accumulator
		rel := p.sum + diffError(p, row, r) + p.exp + 4*p.unit
		for j, got := range dst.row(i) {
			want := r.soft[j]
			if !r.regular() {
				want = math.NaN()
			}
			d := r.max - float64(row[j])
			tol := p.flush
			if want > 0 {
				tol += want * (rel + d*p.diff)
			}
			if !near(got, want, tol, p) || float64(got) < 0 || float64(got) > 1 {
				t.Fatalf("row %d, element %d: %v, want %v; x - max is %v, sum of the others %v", i, j, got, want, -d, r.others)
			}
			total.add(float64(got))
		}
		// Its rounding apart, a difference enters a term and the sum alike.
		if e := math.Abs(total.value() - 1); r.regular() && !(e <= p.sum+4*p.unit+float64(len(row))*p.flush) {
			t.Errorf("row %d: the total is 1 + %v", i, total.value()-1)
		}
	})
	return append(elements(dst), elements(planes)...)
}

func FuzzLogSoftmax(f *testing.F) { fuzzPaths(f, checkLogSoftmax[float32], checkLogSoftmax[float64]) }

func checkLogSoftmax[T Float](t *testing.T, in *fuzzed[T]) []T {
	dst, planes := scoresCase(t, in,
		func(dst Matrix[T], src []Matrix[T]) error { return LogSoftmax[T](dst, src[0]) },
		func(dst Planar[T], src []Planar[T]) error { return LogSoftmax[T](dst, src[0]) }, in.x)
	alikeRows(t, planes, dst)
	p := precisionOf[T](in.x.Cols)
	in.each(func(i int, row []T, r *reference) {
		log := math.Log1p(r.others)
		tol := logError(p, row, r) + 2*p.unit*log
		for j, got := range dst.row(i) {
			want := r.log[j]
			d := r.max - float64(row[j])
			if !r.regular() {
				want, d = math.NaN(), 0
			}
			if !near(got, want, tol+2*p.diff*d, p) {
				t.Fatalf("row %d, element %d: %v, want %v; x - max is %v, sum of the others %v", i, j, got, want, -d, r.others)
			}
		}
	})
	return append(elements(dst), elements(planes)...)
}

func FuzzLogSoftmaxNLL(f *testing.F) {
	fuzzPaths(f, checkLogSoftmaxNLL[float32], checkLogSoftmaxNLL[float64])
}

func checkLogSoftmaxNLL[T Float](t *testing.T, in *fuzzed[T]) []T {
	if in.x.Cols == 0 {
		if err := LogSoftmaxNLL(make([]T, in.x.Rows), in.x, make([]int, in.x.Rows)); in.x.Rows > 0 && err == nil {
			t.Error("no error for a target in rows of no classes")
		}
		return nil
	}
	got := byRow(t, in, func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, in.targets) })
	t32, t64 := make([]int32, len(got)), make([]int64, len(got))
	for i, v := range in.targets {
		t32[i], t64[i] = int32(v), int64(v)
	}
	got32 := byRow(t, in, func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, t32) })
	got64 := byRow(t, in, func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, t64) })

	p := precisionOf[T](in.x.Cols)
	in.each(func(i int, row []T, r *reference) {
		if !sameBits(got[i], got32[i]) || !sameBits(got[i], got64[i]) {
			t.Errorf("row %d: %v, %v and %v for targets of type int, int32 and int64", i, got[i], got32[i], got64[i])
		}
		want := r.loss(in.targets[i])
		if !r.regular() {
			want = math.NaN()
		}
		tol := logError(p, row, r)
		if !is32[T]() {
			tol += 8 * p.unit * math.Abs(want) // the reference's own
		}
		if !near(got[i], want, tol, p) {
			t.Errorf("row %d, target %d: %v, want %v; max %v, sum of the others %v", i, in.targets[i], got[i], want, r.max, r.others)
		}
	})
	return got
}

// turned returns the rows of x from the last to the first, reversed, as
// another operand of its shape.
func turned[T Float](x Matrix[T]) Matrix[T] {
	y := newMatrix[T](x.Rows, x.Cols, 2, 1)
	for i := range x.Rows {
		row := y.row(x.Rows - 1 - i)
		copy(row, x.row(i))
		slices.Reverse(row)
	}
	return y
}

func FuzzSoftmaxGrad(f *testing.F) {
	fuzzPaths(f, checkSoftmaxGrad[float32], checkSoftmaxGrad[float64])
}

func checkSoftmaxGrad[T Float](t *testing.T, in *fuzzed[T]) []T {
	y, dy := in.x, turned(in.x)
	dx, planes := scoresCase(t, in,
		func(dst Matrix[T], src []Matrix[T]) error { return SoftmaxGrad[T](dst, src[0], src[1]) },
		func(dst Planar[T], src []Planar[T]) error { return SoftmaxGrad[T](dst, src[0], src[1]) }, y, dy)
	p := precisionOf[T](in.x.Cols)
	for i := range y.Rows {
		y, dy := y.row(i), dy.row(i)
		var dot, abs accumulator
		for j := range y {
			v := float64(float64(y[j]) * float64(dy[j]))
			dot.add(v)
			abs.add(math.Abs(v))
		}
		s, sumError := dot.value(), abs.value()*float64(len(y)+4)*0x1p-52+float64(len(y))*0x1p-1074
		if !is32[T]() && !(sumError < 1e280) {
			continue // It may overflow on the way.
		}
		for j, got := range slices.Concat(dx.row(i), planes.row(i)) {
			j %= len(y)
			p64, g := float64(y[j]), float64(dy[j])
			want := p64 * (g - s)
			tol := math.Abs(p64) * (sumError + (math.Abs(g)+math.Abs(s))*0x1p-51 + float64(math.Abs(s)*p.diff)*p.unit)
			tol += float64(2 * p.diff * math.Abs(want)) // two subtractions
			if !(tol <= math.MaxFloat64) {
				tol = 0 // infinities need no tolerance
			}
			if !near(got, want, tol, p) {
				t.Fatalf("row %d, element %d: %v, want %v; y %v, dy %v, sum(y*dy) %v", i, j, got, want, p64, g, s)
			}
		}
	}
	return append(elements(dx), elements(planes)...)
}

func FuzzLogSoftmaxGrad(f *testing.F) {
	fuzzPaths(f, checkLogSoftmaxGrad[float32], checkLogSoftmaxGrad[float64])
}

func checkLogSoftmaxGrad[T Float](t *testing.T, in *fuzzed[T]) []T {
	y, dy := turned(in.x), in.x
	for i, v := range y.Data {
		if v > 0 { // no logarithm of a probability
			y.Data[i] = -v
		}
	}
	for i := range y.Rows - 1 {
		fill(y.Data[i*y.Stride : (i+1)*y.Stride][y.Cols:], gapValue)
	}
	dx, planes := scoresCase(t, in,
		func(dst Matrix[T], src []Matrix[T]) error { return LogSoftmaxGrad[T](dst, src[0], src[1]) },
		func(dst Planar[T], src []Planar[T]) error { return LogSoftmaxGrad[T](dst, src[0], src[1]) }, y, dy)
	p := precisionOf[T](in.x.Cols)
	for i := range y.Rows {
		y, dy := y.row(i), dy.row(i)
		var sum, abs accumulator
		for _, g := range dy {
			sum.add(float64(g))
			abs.add(math.Abs(float64(g)))
		}
		s, sumError := sum.value(), abs.value()*float64(len(y)+4)*0x1p-52
		if !is32[T]() && !(sumError < 1e280) {
			continue // It may overflow on the way.
		}
		for j, got := range slices.Concat(dx.row(i), planes.row(i)) {
			j %= len(y)
			g, e := float64(dy[j]), math.Exp(float64(y[j]))
			if is32[T]() && y[j] < -149 {
				e = 0 // where exp32 ends
				if math.IsInf(s, 0) {
					continue
				}
			}
			want := g - float64(e*s)
			tol := e*sumError + math.Abs(float64(e*s))*4*p.unit + math.Abs(g)*0x1p-52 + math.Abs(s)*0x1p-149
			if !is32[T]() {
				tol = e*sumError + math.Abs(float64(e*s))*8*p.unit + math.Abs(g)*0x1p-52 + math.Abs(s)*0x1p-1072
			}
			if !(tol <= math.MaxFloat64) {
				tol = 0
			}
			if !near(got, want, tol, p) {
				t.Fatalf("row %d, element %d: %v, want %v; y %v, dy %v, sum(dy) %v", i, j, got, want, y[j], g, s)
			}
		}
	}
	return append(elements(dx), elements(planes)...)
}
