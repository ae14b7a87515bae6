package logits

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// The reference of these tests is math/big at refPrec bits.
const refPrec = 200

func refFloat(x float64) *big.Float {
	return new(big.Float).SetPrec(refPrec).SetFloat64(x)
}

func refNew() *big.Float { return new(big.Float).SetPrec(refPrec) }

var refLn2 = refAtanh2(refFloat(2))

// refAtanh2 returns log(m) as 2 atanh((m - 1)/(m + 1)), by its series.
func refAtanh2(m *big.Float) *big.Float {
	p := refNew().Quo(refNew().Sub(m, refFloat(1)), refNew().Add(m, refFloat(1)))
	square := refNew().Mul(p, p)
	p.Mul(p, refFloat(2))
	sum := refNew().Set(p)
	for i := 3; p.Sign() != 0; i += 2 {
		p.Mul(p, square)
		term := refNew().Quo(p, refFloat(float64(i)))
		sum.Add(sum, term)
		if term.MantExp(nil) < sum.MantExp(nil)-refPrec {
			break
		}
	}
	return sum
}

// refLog returns log(x) for x > 0.
func refLog(x *big.Float) *big.Float {
	m := refNew()
	k := x.MantExp(m)
	if m.Cmp(refFloat(0.7)) < 0 {
		m.Mul(m, refFloat(2))
		k--
	}
	log := refAtanh2(m)
	return log.Add(log, refNew().Mul(refLn2, refFloat(float64(k))))
}

// refExp returns e^x: 2^k times the Taylor series of an argument halved until
// it is small, squared as often.
func refExp(x *big.Float) *big.Float {
	q, _ := refNew().Quo(x, refLn2).Float64()
	k := math.Round(q)
	const halvings = 12
	r := refNew().Sub(x, refNew().Mul(refLn2, refFloat(k)))
	if r.Sign() != 0 {
		r.SetMantExp(r, -halvings)
	}
	sum, term := refFloat(1), refFloat(1)
	for i := 1; term.Sign() != 0 && term.MantExp(nil) > -refPrec; i++ {
		term.Mul(term, r)
		term.Quo(term, refFloat(float64(i)))
		sum.Add(sum, term)
	}
	for range halvings {
		sum.Mul(sum, sum)
	}
	return sum.SetMantExp(sum, int(k))
}

// A scalarWorst is the greatest error seen, in ULP or relative, and where.
type scalarWorst struct {
	err, at float64
}

func (w *scalarWorst) note(err, at float64) {
	if !(err <= w.err) {
		*w = scalarWorst{err, at}
	}
}

// scalarErrors returns the error of got in ULP of a float with mant bits and the
// least exponent min, and relative to want.
func scalarErrors(got float64, want *big.Float, mant, min int) (ulps, relative float64) {
	if math.IsNaN(got) || math.IsInf(got, 0) {
		return math.Inf(1), math.Inf(1)
	}
	diff := refNew().Sub(refFloat(got), want)
	diff.Abs(diff)
	if diff.Sign() == 0 {
		return 0, 0
	}
	relative, _ = refNew().Quo(diff, refNew().Abs(want)).Float64()
	ulps, _ = diff.SetMantExp(diff, -max(want.MantExp(nil)-mant, min)).Float64()
	return ulps, relative
}

// scalarUniform returns a number of [low, high), the same on every architecture.
func scalarUniform(r *rand.Rand, low, high float64) float64 {
	return low + float64((high-low)*r.Float64())
}

// scalarLogUniform returns a number of [2^low, 2^high), the same on every architecture.
func scalarLogUniform(r *rand.Rand, low, high int) float64 {
	return math.Ldexp(1+r.Float64(), low+r.IntN(high-low))
}

// scalarAround appends x and its neighbours, n on each side.
func scalarAround(xs []float64, x float64, n int) []float64 {
	xs = append(xs, x)
	up, down := x, x
	for range n {
		up, down = math.Nextafter(up, math.Inf(1)), math.Nextafter(down, math.Inf(-1))
		xs = append(xs, up, down)
	}
	return xs
}

func scalarSamples() int {
	if testing.Short() {
		return 1000
	}
	return 8000
}

type scalarValue struct{ x, want float64 }

func checkScalar(t *testing.T, name string, f func(float64) float64, tests []scalarValue) {
	t.Helper()
	for _, c := range tests {
		got := f(c.x)
		if math.IsNaN(c.want) && math.IsNaN(got) {
			continue
		}
		if math.Float64bits(got) != math.Float64bits(c.want) {
			t.Errorf("%s(%v) = %v, want %v", name, c.x, got, c.want)
		}
	}
}

var (
	scalarInf     = math.Inf(1)
	scalarNegZero = math.Copysign(0, -1)
)

func TestExp64Values(t *testing.T) {
	checkScalar(t, "exp64", exp64, []scalarValue{
		{0, 1}, {scalarNegZero, 1}, {math.SmallestNonzeroFloat64, 1}, {0x1p-60, 1}, {-0x1p-60, 1},
		{scalarInf, scalarInf}, {-scalarInf, 0}, {math.NaN(), math.NaN()},
		{0x1.62e42fefa39efp+9, 0x1.fffffffffff2ap+1023}, // the last finite one
		{0x1.62e42fefa39f0p+9, scalarInf}, {1000, scalarInf}, {1001, scalarInf}, {math.MaxFloat64, scalarInf},
		{-0x1.74910d52d3051p+9, math.SmallestNonzeroFloat64}, // the last one above 2^-1075
		{-0x1.74910d52d3052p+9, 0}, {-1000, 0}, {-1001, 0}, {-math.MaxFloat64, 0},
	})
}

func TestExp64Accuracy(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		low, high, bound float64
	}{
		{-0.01, 0.01, 0.53},
		{-1, 1, 0.53},
		{-30, 0, 0.53},
		{-707, 707, 0.53},
		{699, 709.78, 0.53},
		{-708, -699, 0.53},
		{-745.2, -708, 0.77},
	} {
		var xs []float64
		for range scalarSamples() {
			xs = append(xs, scalarUniform(r, c.low, c.high))
		}
		for _, x := range []float64{-700, 700, -708.3964185322641} { // the last: least normal
			if c.low <= x && x <= c.high {
				xs = scalarAround(xs, x, 20)
			}
		}
		for range 500 { // where the step of the table changes
			x := math.Round(scalarUniform(r, c.low, c.high)*64/math.Ln2) + 0.5
			if x *= math.Ln2 / 64; c.low <= x && x <= c.high {
				xs = scalarAround(xs, x, 1)
			}
		}
		var w scalarWorst
		for _, x := range xs {
			ulps, _ := scalarErrors(exp64(x), refExp(refFloat(x)), 53, -1074)
			w.note(ulps, x)
		}
		t.Logf("[%v, %v]: worst error %.4f ULP, at %v", c.low, c.high, w.err, w.at)
		if !(w.err < c.bound) {
			t.Errorf("exp64(%v): error %v ULP, want less than %v", w.at, w.err, c.bound)
		}
	}
}

func TestExp32Values(t *testing.T) {
	checkScalar(t, "exp32", exp32, []scalarValue{
		{0, 1}, {scalarNegZero, 1}, {math.SmallestNonzeroFloat64, 1}, {-0x1p-60, 1},
		{scalarInf, scalarInf}, {-scalarInf, 0}, {math.NaN(), math.NaN()},
		{math.Nextafter(128, scalarInf), scalarInf}, {1e300, scalarInf}, {math.MaxFloat64, scalarInf},
		{math.Nextafter(-150, -scalarInf), 0}, {-1e300, 0}, {-math.MaxFloat64, 0},
	})
	if y := exp32(128); !(y > math.MaxFloat32 && y < scalarInf) {
		t.Errorf("exp32(128) = %v", y)
	}
	if y := exp32(-150); !(y > 0 && float32(y) == 0) {
		t.Errorf("exp32(-150) = %v", y)
	}
}

func TestExp32Accuracy(t *testing.T) {
	const bound, bound32 = 1.1e-10, 0.502
	r := rand.New(rand.NewPCG(2, 1))
	var xs []float64
	for range scalarSamples() {
		xs = append(xs,
			scalarUniform(r, -150, 128),
			float64(float32(scalarUniform(r, -104, 88))),
			float64(float32(-scalarLogUniform(r, -30, 5))))
		x := math.Round(scalarUniform(r, -150, 127)*256/math.Ln2) + 0.5
		xs = append(xs, x*(math.Ln2/256))
	}
	xs = scalarAround(xs, 0, 1)
	xs = append(xs, 128, math.Nextafter(128, 0), -150, math.Nextafter(-150, 0))
	var rel, ulp scalarWorst
	for _, x := range xs {
		got, want := exp32(x), refExp(refFloat(x))
		_, relative := scalarErrors(got, want, 53, -1074)
		rel.note(relative, x)
		if got < math.MaxFloat32 {
			ulps, _ := scalarErrors(float64(float32(got)), want, 24, -149)
			ulp.note(ulps, x)
		}
	}
	// A sweep beside exp64, which is as good as exact here.
	for x := -150.0; x <= 128; x += 0x1.0001p-12 {
		want := exp64(x)
		rel.note(math.Abs(exp32(x)-want)/want, x)
	}
	t.Logf("worst error %.4g, at %v; %.4f ULP of float32, at %v", rel.err, rel.at, ulp.err, ulp.at)
	if !(rel.err < bound) {
		t.Errorf("exp32(%v): error %v, want less than %v", rel.at, rel.err, bound)
	}
	if !(ulp.err < bound32) {
		t.Errorf("exp32(%v): error %v ULP of float32, want less than %v", ulp.at, ulp.err, bound32)
	}
}

func TestLog64Values(t *testing.T) {
	checkScalar(t, "log64", log64, []scalarValue{
		{1, 0}, {0, -scalarInf}, {scalarNegZero, -scalarInf}, {scalarInf, scalarInf}, {math.NaN(), math.NaN()},
		{-1, math.NaN()}, {-scalarInf, math.NaN()}, {-math.SmallestNonzeroFloat64, math.NaN()},
		{2, math.Ln2}, {0.5, -math.Ln2}, {math.MaxFloat64, 0x1.62e42fefa39efp+9},
		{math.SmallestNonzeroFloat64, -0x1.74385446d71c3p+9}, {0x1p-1022, -0x1.6232bdd7abcd2p+9},
	})
}

func TestLog1p64Values(t *testing.T) {
	checkScalar(t, "log1p64", log1p64, []scalarValue{
		{0, 0}, {scalarNegZero, scalarNegZero}, {scalarInf, scalarInf}, {math.NaN(), math.NaN()},
		{1, math.Ln2}, {3, 2 * math.Ln2}, {math.MaxFloat64, 0x1.62e42fefa39efp+9},
		{math.SmallestNonzeroFloat64, math.SmallestNonzeroFloat64},
		{0x1p-1022, 0x1p-1022}, {0x1p-60, 0x1p-60}, {0x1p-54, 0x1p-54},
	})
}

// logCuts returns numbers around which the entry of logTable changes, of
// [2^low, 2^high).
func logCuts(low, high int) []float64 {
	var xs []float64
	for k := low; k < high; k++ {
		for i := range 64 {
			xs = scalarAround(xs, math.Ldexp(1+(float64(i)+0.5)/64, k), 2)
		}
	}
	return xs
}

func TestLog64Accuracy(t *testing.T) {
	const bound = 3.5e-16
	r := rand.New(rand.NewPCG(3, 1))
	for _, c := range []struct {
		name string
		next func() float64
		ulps float64
	}{
		{"all", func() float64 { return scalarLogUniform(r, -1022, 1024) }, 0.7},
		{"subnormal", func() float64 { return math.Float64frombits(r.Uint64() >> (12 + r.IntN(50))) }, 0.7},
		{"greatest", func() float64 { return scalarLogUniform(r, 1022, 1024) }, 0.7},
		{"below", func() float64 { return scalarUniform(r, 0.5, 0.96) }, 0.7},
		{"about 1", func() float64 { return scalarUniform(r, 0.96, 1.05) }, 2.1},
		{"near 1", func() float64 { return 1 + float64(scalarLogUniform(r, -52, -8)*float64(2*r.IntN(2)-1)) }, 2.1},
		{"above", func() float64 { return scalarUniform(r, 1.05, 4) }, 0.7},
		{"cuts", nil, 2.1},
	} {
		var xs []float64
		if c.next == nil {
			xs = logCuts(-2, 2)
			xs = scalarAround(xs, 0x1p-1022, 20)
			xs = scalarAround(xs, 0x1p-959, 20)
			xs = append(scalarAround(xs, 0x1p1023, 20), math.MaxFloat64)
		} else {
			for range scalarSamples() {
				xs = append(xs, c.next())
			}
		}
		var rel, ulp scalarWorst
		for _, x := range xs {
			if x == 0 {
				continue
			}
			ulps, relative := scalarErrors(log64(x), refLog(refFloat(x)), 53, -1074)
			ulp.note(ulps, x)
			rel.note(relative, x)
		}
		t.Logf("%s: worst error %.4g, at %v; %.4f ULP, at %v", c.name, rel.err, rel.at, ulp.err, ulp.at)
		if !(rel.err < bound) {
			t.Errorf("log64(%v): error %v, want less than %v", rel.at, rel.err, bound)
		}
		if !(ulp.err < c.ulps) {
			t.Errorf("log64(%v): error %v ULP, want less than %v", ulp.at, ulp.err, c.ulps)
		}
	}
}

func TestLog1p64Accuracy(t *testing.T) {
	const bound = 3.5e-16
	r := rand.New(rand.NewPCG(4, 1))
	for _, c := range []struct {
		name string
		next func() float64
		ulps float64
	}{
		{"all", func() float64 { return scalarLogUniform(r, -1022, 1024) }, 2.1},
		{"subnormal", func() float64 { return math.Float64frombits(r.Uint64() >> (12 + r.IntN(50))) }, 0.51},
		{"tiny", func() float64 { return scalarLogUniform(r, -60, -45) }, 2.1},
		{"small", func() float64 { return scalarLogUniform(r, -45, -5) }, 2.1},
		{"to 1", func() float64 { return scalarUniform(r, 0.03, 1) }, 0.8},
		{"to 9", func() float64 { return scalarUniform(r, 1, 9) }, 0.8},
		{"great", func() float64 { return scalarLogUniform(r, 3, 1024) }, 0.6},
		{"cuts", nil, 2.1},
	} {
		var xs []float64
		if c.next == nil {
			for _, u := range logCuts(0, 4) {
				xs = scalarAround(xs, u-1, 2)
			}
			xs = scalarAround(xs, 0x1p-54, 20)
			xs = scalarAround(xs, 0x1p-53, 20)
			xs = scalarAround(xs, 0x1p52, 20)
			xs = scalarAround(xs, 0x1p53, 20)
			xs = append(scalarAround(xs, 0x1p1023, 20), math.MaxFloat64)
		} else {
			for range scalarSamples() {
				xs = append(xs, c.next())
			}
		}
		var rel, ulp scalarWorst
		for _, s := range xs {
			if s == 0 {
				continue
			}
			var want *big.Float
			if s < 0x1p-50 { // 1 + s may need more than refPrec bits
				x := refFloat(s)
				want = refNew().Sub(x, refNew().Mul(refNew().Mul(x, x), refFloat(0.5)))
			} else {
				want = refLog(refNew().Add(refFloat(1), refFloat(s)))
			}
			ulps, relative := scalarErrors(log1p64(s), want, 53, -1074)
			ulp.note(ulps, s)
			if s >= 0x1p-1022 {
				rel.note(relative, s)
			}
		}
		t.Logf("%s: worst error %.4g, at %v; %.4f ULP, at %v", c.name, rel.err, rel.at, ulp.err, ulp.at)
		if !(rel.err < bound) {
			t.Errorf("log1p64(%v): error %v, want less than %v", rel.at, rel.err, bound)
		}
		if !(ulp.err < c.ulps) {
			t.Errorf("log1p64(%v): error %v ULP, want less than %v", ulp.at, ulp.err, c.ulps)
		}
	}
}

func TestScalarTables(t *testing.T) {
	power := func(i, n int) *big.Float { // 2^(i/n)
		x := refNew().Mul(refLn2, refFloat(float64(i)))
		return refExp(x.Quo(x, refFloat(float64(n))))
	}
	for i, e := range exp64Table {
		want := power(i, 64)
		f, _ := want.Float64()
		if got := math.Float64frombits(e.bits + uint64(i)<<46); got != f {
			t.Errorf("exp64Table[%d] is of %v, want %v", i, got, f)
		}
		tail, _ := refNew().Quo(refNew().Sub(want, refFloat(f)), refFloat(f)).Float64()
		if e.tail != tail {
			t.Errorf("exp64Table[%d].tail is %v, want %v", i, e.tail, tail)
		}
	}
	for i, bits := range exp32Table {
		f, _ := power(i, 256).Float64()
		if got := math.Float64frombits(bits + uint64(i)<<44); got != f {
			t.Errorf("exp32Table[%d] is of %v, want %v", i, got, f)
		}
	}
	for i, e := range logTable {
		want := refLog(refFloat(1 + float64(i)/64))
		whole := e.hi * 0x1p42
		if whole != math.Floor(whole) {
			t.Errorf("logTable[%d].hi is %v, no multiple of 2^-42", i, e.hi)
		}
		lo, _ := refNew().Sub(want, refFloat(e.hi)).Float64()
		if e.lo != lo || math.Abs(lo) > 0x1p-42 {
			t.Errorf("logTable[%d] is %v and %v, want the second %v", i, e.hi, e.lo, lo)
		}
	}
}

// The bits are the same on every architecture: the digests made on amd64 were
// found again with GOAMD64=v3, which has fused multiply-add, and on 386, arm,
// arm64, loong64, mips, ppc64le, riscv64 and s390x. The sums show whether a product
// is fused into the loop of a caller.
func TestScalarDigests(t *testing.T) {
	const n = 20000
	for _, c := range []struct {
		name string
		f    func(float64) float64
		sum  func([]float64) float64
		next func(r *rand.Rand, i int) float64
		want string
	}{
		{
			"exp64", exp64,
			func(xs []float64) float64 {
				sum := 0.0
				for _, x := range xs {
					sum += exp64(x)
				}
				return sum
			},
			func(r *rand.Rand, i int) float64 {
				switch i % 4 {
				case 0:
					return scalarUniform(r, -750, 715)
				case 1:
					return math.Float64frombits(r.Uint64())
				}
				return scalarUniform(r, -40, 1)
			},
			"57f241094d19bfdd",
		},
		{
			"exp32", exp32,
			func(xs []float64) float64 {
				sum := 0.0
				for _, x := range xs {
					sum += exp32(x)
				}
				return sum
			},
			func(r *rand.Rand, i int) float64 {
				switch i % 4 {
				case 0:
					return scalarUniform(r, -151, 129)
				case 1:
					return float64(math.Float32frombits(r.Uint32()))
				}
				return float64(float32(scalarUniform(r, -40, 1)))
			},
			"33ff74f042fe63d7",
		},
		{
			"log64", log64,
			func(xs []float64) float64 {
				sum := 0.0
				for _, x := range xs {
					sum += log64(x)
				}
				return sum
			},
			func(r *rand.Rand, i int) float64 {
				switch i % 4 {
				case 0:
					return scalarUniform(r, 0, 4)
				case 1:
					return math.Float64frombits(r.Uint64())
				}
				return 1 + float64(scalarLogUniform(r, -50, 0)*float64(2*r.IntN(2)-1))
			},
			"5102cabc6bf95432",
		},
		{
			"log1p64", log1p64,
			func(xs []float64) float64 {
				sum := 0.0
				for _, x := range xs {
					sum += log1p64(x)
				}
				return sum
			},
			func(r *rand.Rand, i int) float64 {
				switch i % 4 {
				case 0:
					return scalarUniform(r, 0, 9)
				case 1:
					return math.Float64frombits(r.Uint64() >> 1)
				}
				return scalarLogUniform(r, -60, 8)
			},
			"cb687d7257efd915",
		},
	} {
		r := rand.New(rand.NewPCG(5, 1))
		h := fnv.New64a()
		write := func(y float64) {
			bits := math.Float64bits(y)
			if y != y {
				bits = math.Float64bits(math.NaN()) // all NaNs are one
			}
			for range 8 {
				h.Write([]byte{byte(bits)})
				bits >>= 8
			}
		}
		var usual []float64
		for i := range n {
			x := c.next(r, i)
			write(c.f(x))
			if i%4 > 1 {
				usual = append(usual, x)
			}
		}
		write(c.sum(usual))
		if got := fmt.Sprintf("%016x", h.Sum64()); got != c.want {
			t.Errorf("%s: digest %s, want %s", c.name, got, c.want)
		}
	}
}

var scalarSink float64

// benchScalar runs sum, which adds up a function of each of the inputs.
func benchScalar(b *testing.B, name string, xs *[1024]float64, sum func(xs *[1024]float64) float64) {
	b.Run(name, func(b *testing.B) {
		for b.Loop() {
			scalarSink = sum(xs)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(xs)), "ns/value")
	})
}

func BenchmarkExp64(b *testing.B) {
	r := rand.New(rand.NewPCG(6, 1))
	var xs [1024]float64
	for i := range xs {
		xs[i] = scalarUniform(r, -30, 0)
	}
	benchScalar(b, "exp64", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += exp64(x)
		}
		return sum
	})
	benchScalar(b, "math.Exp", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Exp(x)
		}
		return sum
	})
}

func BenchmarkExp32(b *testing.B) {
	r := rand.New(rand.NewPCG(7, 1))
	var xs [1024]float64
	for i := range xs {
		xs[i] = float64(float32(scalarUniform(r, -30, 0)))
	}
	benchScalar(b, "exp32", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += exp32(x)
		}
		return sum
	})
	benchScalar(b, "math.Exp", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Exp(x)
		}
		return sum
	})
}

func BenchmarkLog1p64(b *testing.B) {
	r := rand.New(rand.NewPCG(8, 1))
	var xs [1024]float64
	for i := range xs {
		xs[i] = scalarLogUniform(r, -12, 4)
	}
	benchScalar(b, "log1p64", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += log1p64(x)
		}
		return sum
	})
	benchScalar(b, "math.Log1p", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Log1p(x)
		}
		return sum
	})
	benchScalar(b, "log64", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += log64(x)
		}
		return sum
	})
	benchScalar(b, "math.Log", &xs, func(xs *[1024]float64) float64 {
		sum := 0.0
		for _, x := range xs {
			sum += math.Log(x)
		}
		return sum
	})
}
