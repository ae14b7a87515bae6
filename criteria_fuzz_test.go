package logits

import (
	"math"
	"slices"
	"testing"
)

// The targets of the criteria take the arguments of the others and, as bits,
// the options.

// fuzzCriterion checks values and gradients of a criterion on every path.
func fuzzCriterion(f *testing.F, op string) {
	fuzzOptions(f, func(t *testing.T, in32 *fuzzed[float32], in64 *fuzzed[float64], bits uint32, data []byte) {
		acrossPaths(t,
			func() []float32 { return verifyFuzzed(t, op, in32, bits, data) },
			func() { verifyFuzzed(t, op, in64, bits, data) })
	})
}

func fuzzOptions(f *testing.F, check func(t *testing.T, in32 *fuzzed[float32], in64 *fuzzed[float64], bits uint32, data []byte)) {
	random := make([]byte, 4*2300)
	rng := newRand(5)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	for mode := range byte(numberModes) {
		f.Add(mode, byte(3), uint16(70+mode), byte(mode), mode, uint16(mode), uint32(0), random[:4*211])
		f.Add(mode, byte(19), uint16(1+mode), byte(mode), mode, uint16(mode), rng.Uint32(), random[:4*97])
		f.Add(mode, byte(4), uint16(9+mode), byte(mode), mode, uint16(0), rng.Uint32(), random[:4*31])
	}
	f.Add(byte(within16), byte(2), uint16(4161), byte(0), byte(5), uint16(4160), uint32(0x35), random)
	f.Add(byte(within16|wideBits), byte(2), uint16(4097), byte(1), byte(0), uint16(4096), uint32(0xffff), random)
	f.Add(byte(rawBits|wideBits), byte(19), uint16(1), byte(1), byte(1), uint16(0), uint32(0x3), random)
	f.Add(byte(few), byte(1), uint16(4096), byte(0), byte(1), uint16(0), uint32(0x123), random)
	f.Add(byte(rawBits), byte(2), uint16(17), byte(0), byte(0), uint16(3), uint32(0x3), []byte("\x00\x00\x80\xff\x00\x00\x80\x3f"))
	f.Add(byte(rawBits), byte(1), uint16(3), byte(0), byte(0), uint16(3), uint32(0x7), []byte("\x00\x00\x00\x00\x00\x00\x80\x7f\x00\x00\x80\xbf"))
	f.Add(byte(rawBits), byte(3), uint16(0), byte(0), byte(0), uint16(3), uint32(0), []byte(nil))
	f.Add(byte(rawBits), byte(0), uint16(5), byte(0), byte(0), uint16(3), uint32(1), []byte(nil))

	f.Fuzz(func(t *testing.T, mode, rows byte, cols uint16, gap, off byte, target uint16, bits uint32, data []byte) {
		if len(data) == 0 {
			data = []byte{0}
		}
		check(t, newFuzzed[float32](mode, rows, cols, gap, off, target, data),
			newFuzzed[float64](mode, rows, cols, gap, off, target, data), bits, data)
	})
}

// fewOf returns n numbers of a few values, at least least.
func fewOf[T Float](n int, data []byte, first int, least T) []T {
	x := make([]T, n)
	for i := range x {
		x[i] = max(least, T(int8(data[(first+i)%len(data)]))/16)
	}
	return x
}

func verifyFuzzed[T Float](t *testing.T, op string, in *fuzzed[T], bits uint32, data []byte) []T {
	t.Helper()
	rows, cols := in.x.Rows, in.x.Cols
	take := func(n uint32) int { // A number below n.
		v := bits % n
		bits /= n
		return int(v)
	}
	a := criterion[T, Matrix[T]]{op: op, x: in.x, p: take(3)}
	if margin := float64(take(4)) - 0.5; margin > 0 {
		a.margin = &margin
	}
	a.opt.Reduction = Reduction(take(2))
	if take(2) > 0 {
		a.opt.Weight = fewOf[T](cols, data, 1, 0)
	}
	a.opt.LabelSmoothing = []float64{0, 0, 0.1, 1.0 / 3, 1e-6, 1}[take(6)]
	if op == "nll_loss" {
		a.opt.LabelSmoothing = 0
	}
	switch take(3) {
	case 1:
		a.opt.Upstream = fewOf[T](1, data, 3, -8)
	case 2:
		a.opt.Upstream = fewOf[T](rows, data, 3, -8)
	}
	if op == "probs" {
		if cols == 0 {
			return nil // No loss is defined.
		}
		a.q = newMatrix[T](rows, cols, take(3), take(16))
		for i := range rows {
			copy(a.q.row(i), fewOf[T](cols, data, 7*i, 0))
			if take(2) > 0 {
				clear(a.q.row(i))
				a.q.row(i)[in.targets[i]] = 1
			}
		}
		return verify(t, a)
	}
	ignore := -100
	if op != "multi_margin_loss" {
		switch take(4) {
		case 1:
			ignore = 0
		case 2:
			ignore = cols - 1
		case 3:
			ignore = -1 - int(data[0])
		}
		a.opt.IgnoreIndex = &ignore
	}
	for i := range rows {
		switch {
		case cols == 0 && op == "multi_margin_loss":
			return nil
		case cols == 0 || op != "multi_margin_loss" && take(4) == 0:
			a.targets = append(a.targets, int64(ignore))
		default:
			a.targets = append(a.targets, int64(in.targets[i]))
		}
	}
	return verify(t, a)
}

func FuzzCrossEntropy(f *testing.F)      { fuzzCriterion(f, "cross_entropy") }
func FuzzCrossEntropyProbs(f *testing.F) { fuzzCriterion(f, "probs") }
func FuzzNLL(f *testing.F)               { fuzzCriterion(f, "nll_loss") }
func FuzzMultiMargin(f *testing.F)       { fuzzCriterion(f, "multi_margin_loss") }

// FuzzMSE checks MSE and L1.
func FuzzMSE(f *testing.F) {
	fuzzOptions(f, func(t *testing.T, in32 *fuzzed[float32], in64 *fuzzed[float64], bits uint32, data []byte) {
		acrossPaths(t,
			func() []float32 { return fuzzedElements(t, in32, bits, data) },
			func() { fuzzedElements(t, in64, bits, data) })
	})
}

func fuzzedElements[T Float](t *testing.T, in *fuzzed[T], bits uint32, data []byte) []T {
	t.Helper()
	y := in.matrix()
	for i := range y.Rows {
		if bits&2 != 0 {
			copy(y.row(i), in.x.row(y.Rows-1-i))
		} else {
			copy(y.row(i), fewOf[T](y.Cols, data, i, -8))
		}
	}
	return verifyElements(t, in.x, y, Reduction(bits&1), fewOf[T](1, data, 2, -8)[0])
}

func FuzzRowCrossEntropy(f *testing.F) {
	fuzzOptions(f, func(t *testing.T, in32 *fuzzed[float32], in64 *fuzzed[float64], bits uint32, data []byte) {
		acrossPaths(t,
			func() []float32 { return fuzzedRowCrossEntropy(t, in32, bits, data) },
			func() { fuzzedRowCrossEntropy(t, in64, bits, data) })
	})
}

func fuzzedRowCrossEntropy[T Float](t *testing.T, in *fuzzed[T], bits uint32, data []byte) []T {
	t.Helper()
	p, q := in.matrix(), in.x
	for i := range p.Rows {
		copy(p.row(i), fewOf[T](p.Cols, data, 5*i, 0))
	}
	if bits&1 != 0 {
		p, q = q, p
	}
	p0, q0 := slices.Clone(p.Data), slices.Clone(q.Data)
	dst := canaries[T](p.Rows)
	must(t, RowCrossEntropy(dst, p, q))
	if rawBytes(p.Data) != rawBytes(p0) || rawBytes(q.Data) != rawBytes(q0) {
		t.Fatal("an input was changed")
	}
	prec := precisionOf[T](p.Cols)
	for i, got := range dst {
		var want, size float64
		for j, v := range p.row(i) {
			if v != 0 {
				term := float64(v) * exactLog(float64(q.row(i)[j]))
				want -= term
				size += math.Abs(term)
			}
		}
		tol := size * 1e-12
		if notFinite(size) || size > 1e300 {
			tol = 0
			if notFinite(got) && size > 1e300 {
				continue
			}
		}
		if !near(got, want, tol, prec) {
			t.Errorf("row %d: H(p, q) = %v, want %v", i, got, want)
		}
	}
	return dst
}

// exactLog is math.Log, whose assembly for amd64 is wrong for subnormal numbers.
func exactLog(x float64) float64 {
	if x > 0 && x < 0x1p-1000 {
		return math.Log(x*0x1p100) - 100*math.Ln2
	}
	return math.Log(x)
}
