package logits

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

// This file is the executable specification of the accelerated kernels: what
// every assembly path must return, bit for bit. The kernels work on 16 virtual
// lanes, 64 elements at a step and 4096 at a block, whatever the machine's
// registers hold.

// lanes are partial sums: element i of a vector of 16 goes to lane i.
type lanes [16]float32

const step = 4 * len(lanes{})

// addStep adds the four vectors of a step, which are added up first.
func (l *lanes) addStep(e []float32) {
	for i := range l {
		l[i] += (e[i] + e[i+16]) + (e[i+32] + e[i+48])
	}
}

// fold adds the lanes by halves.
func (l lanes) fold() float32 {
	for h := len(l) / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// fma32 is x*y + z, rounded once. The float64 product is exact; their sum is
// rounded to odd, after which rounding to float32 is as good as rounding once.
func fma32(x, y, z float32) float32 {
	p, a := float64(x)*float64(y), float64(z)
	s := p + a
	t := s - p
	e := (p - (s - t)) + (a - t) // exactly what s lacks
	b := math.Float64bits(s)
	if (e > 0 || e < 0) && b&1 == 0 {
		if (e > 0) == (s > 0) {
			b++
		} else {
			b--
		}
	}
	return float32(math.Float64frombits(b))
}

const (
	specLog2e = 0x1.715476p+0
	specLn2   = 0x1.62e430p-1
	specLn2lo = -0x1.05c610p-29
)

// The coefficients of r^2, r^3, ... in e^r.
var (
	specExp5 = []float32{0x1.fffdfcp-2, 0x1.5557aep-3, 0x1.572a08p-5, 0x1.10627ap-7}
	specExp6 = []float32{0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558f2p-5, 0x1.1239e2p-7, 0x1.6a2434p-10}
)

// The coefficients of r^2 and r^3 in e^r less specExp3Lack of it, |r| being ln(2)/16 at most.
var specExp3 = []float32{0x1.000a42p-1, 0x1.555cc2p-3}

const specExp3Lack = -0x1.3bac3ep-26

// specPowers are 2^(j/8), rounded.
var specPowers = [8]float32{1, 0x1.172b84p0, 0x1.306fe0p0, 0x1.4bfdaep0, 0x1.6a09e6p0, 0x1.8ace54p0, 0x1.ae89fap0, 0x1.d5818ep0}

// specPolynomial is 1 + r + c[0] r^2 + c[1] r^3 + ..., by Horner's rule.
func specPolynomial(r float32, c []float32) float32 { return fma32(specSlope(r, c), r, 1) }

// specSlope is 1 + c[0] r + c[1] r^2 + ...
func specSlope(r float32, c []float32) float32 { return fma32(specHorner(r, c), r, 1) }

// specHorner is c[0] + c[1] r + ...
func specHorner(r float32, c []float32) float32 {
	p := c[len(c)-1]
	for i := len(c) - 2; i >= 0; i-- {
		p = fma32(p, r, c[i])
	}
	return p
}

// specExp is e^x over all of float32.
func specExp(x float32) float32 {
	if x != x {
		return x
	}
	x = min(max(x, -104.5), 89.5)
	const round = 0x1.8p23 + 254
	n := fma32(x, specLog2e, round) - round
	r := fma32(n, -specLn2, x)
	r = fma32(n, -specLn2lo, r)
	p := specPolynomial(r, specExp6)
	// In float64 the product is exact, subnormal results are rounded once.
	return float32(float64(p) * math.Float64frombits(uint64(1023+int(n))<<52))
}

// specExpParts returns two factors of e^d for d = x - max <= 0, without gradual
// underflow: e^r and a power of two.
func specExpParts(d float32, c []float32) (p, scale float32) {
	if d != d {
		return d, 1
	}
	d = max(d, -88)
	const round = 0x1.8p23 + 127
	n := fma32(d, specLog2e, round) - round
	p = specPolynomial(fma32(n, -specLn2, d), c)
	return p, math.Float32frombits(uint32(127+int(n)) << 23) // 2^-127 is 0 here
}

func specExpMinus(d float32, c []float32) float32 {
	p, scale := specExpParts(d, c)
	return float32(p * scale)
}

func specMax(row []float32) float32 { return row[specArgMax(row)] }

func specMin(row []float32) float32 { return slices.Min(row) }

func specArgMax(row []float32) int {
	if i := slices.IndexFunc(row, func(v float32) bool { return v != v }); i >= 0 {
		return i
	}
	best := 0
	for i, v := range row {
		if v > row[best] {
			best = i
		}
	}
	return best
}

// specTotal adds up the terms of a row of cols elements. Of a block's whole
// steps, four in turn go to four sums; what is left goes to the first, step by
// step and then vector by vector, element -1 being past the end of the row.
func specTotal(cols int, term func(i int) float32) float64 {
	var total float64
	for first := 0; first < cols; first += blockSize {
		size := min(blockSize, cols-first)
		steps := size / step
		var s [4]lanes
		for k := range steps {
			e := make([]float32, step)
			for i := range e {
				e[i] = term(first + k*step + i)
			}
			if k < steps/4*4 {
				s[k%4].addStep(e)
			} else {
				s[0].addStep(e)
			}
		}
		for i := steps * step; i < (size+15)/16*16; i++ {
			at := first + i
			if i >= size {
				at = -1
			}
			s[0][i%16] += term(at)
		}
		for i := range s[0] {
			s[0][i] = (s[0][i] + s[1][i]) + (s[2][i] + s[3][i])
		}
		total += float64(s[0].fold())
	}
	return total
}

func specSum(row []float32) float64 {
	return specTotal(len(row), func(i int) float32 {
		if i < 0 {
			return 0
		}
		return row[i]
	})
}

// specDot adds up weight * (x - base), or x - base if there are no weights.
// Past the end there are x = base and weights of 0, which counts if base is a
// NaN or infinite.
func specDot(row []float32, base float32, weights []float32) float64 {
	return specTotal(len(row), func(i int) float32 {
		if i < 0 {
			return 0
		}
		return float32((row[i] - base) * weights[i])
	})
}

// specSquare adds up (x-y)^2, and sets grad to 2 (x-y) scale if there is one.
func specSquare(grad, x, y []float32, scale float32) float64 {
	return specTotal(len(x), func(i int) float32 {
		if i < 0 {
			return 0
		}
		d := x[i] - y[i]
		if grad != nil {
			grad[i] = (d + d) * scale
		}
		return float32(d * d)
	})
}

// specDistance adds up |x-y|, and sets grad to its sign times scale.
func specDistance(grad, x, y []float32, scale float32) float64 {
	return specTotal(len(x), func(i int) float32 {
		if i < 0 {
			return 0
		}
		d := x[i] - y[i]
		sign := d // 0 or NaN
		switch {
		case d > 0:
			sign = 1
		case d < 0:
			sign = -1
		}
		if grad != nil {
			grad[i] = sign * scale
		}
		return float32(math.Abs(float64(d)))
	})
}

// A specBlock is what sumExp returns for a block.
type specBlock struct {
	base, sum, peak float32
	apart           bool // it was done vector by vector
}

// A specExps is what expSum returns for a block.
type specExps struct {
	base, sum, more float32
	apart           bool // it was done vector by vector
}

// A specSums adds up a block in parts of size elements, and a last one that begins at
// whole: their lanes are added up before they go to the block's.
type specSums struct {
	block, part lanes
	size, whole int
}

// The parts of sumExp and expSum.
const (
	specPart    = 128
	specSegment = 256
)

// lane returns where element i, the next one, is to be added.
func (s *specSums) lane(i int) *float32 {
	if i == s.whole || i < s.whole && i%s.size == 0 {
		s.cut()
	}
	return &s.part[i%16]
}

func (s *specSums) cut() {
	for i := range s.block {
		s.block[i] += s.part[i]
	}
	s.part = lanes{}
}

func (s *specSums) fold() float32 {
	s.cut()
	return s.block.fold()
}

// A specBase is what sumExp makes of a base m: it adds up e^(x - k ln 2), k being m
// log2(e) to the nearest integer, which grow by a factor of 1 + toBase in the end.
type specBase struct{ base, round, low, toBase float32 }

// specUnit is what 1 is in a specBase's round.
const specUnit = 0x1p-19

// specPower returns 2^(n + j/8) for 8 (n + 127) + j, 0 for 0, and something tiny for 0 < j < 8
// where n is -127.
func specPower(t uint32) float32 {
	j := t & 7
	return math.Float32frombits(math.Float32bits(specPowers[j]) - 127<<23 + t>>3<<23)
}

// newSpecBase returns that of m, if its magnitude is not too great.
func newSpecBase(m float32) (b specBase, ok bool) {
	if !(m > -1<<17 && m < 1<<17) {
		return b, false
	}
	k := fma32(m, specLog2e, 0x1.8p23) - 0x1.8p23
	u := -fma32(k, -specLn2, m)
	return specBase{m, fma32(k, -specUnit, 2+127*specUnit), fma32(k, specLn2, -127*specLn2), specSlope(u, specExp6) * u}, true
}

// specSample is the greatest of three elements of a block's first step.
func specSample(block []float32) float32 {
	n := min(len(block), step)
	return specMax([]float32{block[0], block[n/2], block[n-1]})
}

// reduce returns r, (e^r - 1)/r and the power of 2^(1/8) that e^(x - k ln 2) is made of, small
// elements being held, and whether x is in range.
func (b specBase) reduce(x float32) (r, slope, power float32, ok bool) {
	x = max(x, b.low)
	t := fma32(x, specLog2e*specUnit, b.round)
	n := t - b.round
	r = fma32(n, -specLn2/specUnit, x)
	bits := math.Float32bits(t)
	return r, specSlope(r, specExp3), specPower(bits & 2047), bits>>11 == math.Float32bits(2)>>11
}

// exp returns e^(x - k ln 2).
func (b specBase) exp(x float32) float32 {
	r, slope, power, _ := b.reduce(x)
	return fma32(slope*r, power, power)
}

// addExp adds it to sum.
func (b specBase) addExp(sum, x float32) (_ float32, ok bool) {
	r, slope, power, ok := b.reduce(x)
	return fma32(fma32(slope, r, 1), power, sum), ok
}

// sums returns the sums of the lanes of the block's parts, of specPart elements. It reports
// whether all was in range, small elements being held.
func (b specBase) sums(block []float32) (parts []lanes, ok bool) {
	ok = true
	for i, x := range block {
		if i%specPart == 0 {
			parts = append(parts, lanes{})
		}
		lane, in := &parts[len(parts)-1][i%16], false
		*lane, in = b.addExp(*lane, x)
		ok = ok && in
	}
	return parts, ok
}

// specAddParts returns the sums of the lanes of all parts, every other one of which is
// added up apart, and the greatest of them, tagged by the number of the lane.
func specAddParts(parts []lanes) (sum lanes, most float32) {
	var odd lanes
	for k, part := range parts {
		to := &sum
		if k%2 == 1 {
			to = &odd
		}
		for i, v := range part {
			to[i] += v
			most = max(most, specTagged(v, i))
		}
	}
	for i, v := range odd {
		sum[i] += v
	}
	return sum, most
}

func specTagged(v float32, tag int) float32 {
	return math.Float32frombits(math.Float32bits(v)&^15 | uint32(tag))
}

// specSumExp finds base, sum and peak for each block. After a NaN only the sum of its
// block matters, which is NaN.
func specSumExp(row []float32, dots bool) []specBlock {
	const useful, greatest = 1, 2
	var blocks []specBlock
	var b specBase
	var total float32
	known := 0
	for block := range slices.Chunk(row, blockSize) {
		use := func(m float32, as int) bool {
			base, ok := newSpecBase(m)
			if ok {
				b, total, known = base, 0, as
			}
			return ok
		}
		ok := known != 0 || use(specSample(block), useful)
		var parts []lanes
		var sum, most float32
		for {
			if ok {
				if parts, ok = b.sums(block); ok {
					var all lanes
					all, most = specAddParts(parts)
					sum = all.fold()
					ok = sum < 1<<100 && !(dots && sum >= 1<<48)
				}
			}
			if ok || known == greatest || !use(specMax(block), greatest) {
				break
			}
			ok = true
		}
		if !ok {
			blocks = append(blocks, specApart(block))
			known = 0
			continue
		}
		known = useful
		if total += sum; most*1.9999 > total {
			if out, ok := b.again(block, parts, most, dots); ok {
				blocks = append(blocks, out)
				continue
			}
		}
		blocks = append(blocks, specBlock{base: b.base, sum: b.finish(sum), peak: float32(math.Inf(-1))})
	}
	return blocks
}

// again does the block without the greatest element of the lane that most tells, if
// there is one such element, which is the new base if there are no dots to the old one.
func (b specBase) again(block []float32, parts []lanes, most float32, dots bool) (out specBlock, ok bool) {
	j := int(math.Float32bits(most) & 15)
	k := slices.IndexFunc(parts, func(part lanes) bool { return specTagged(part[j], j) == most })
	var lane []float32
	for i := k*specPart + j; i < min((k+1)*specPart, len(block)); i += 16 {
		lane = append(lane, block[i])
	}
	peak := slices.Max(lane)
	var rest lanes
	count := 0
	for i, x := range lane {
		if x == peak {
			count++
		} else {
			rest[i] = b.exp(x)
		}
	}
	if count > 1 {
		return out, false
	}
	var others lanes
	for i, part := range parts {
		if i != k {
			others[i%16] += part[j]
		}
	}
	all, _ := specAddParts(parts)
	all[j] = others.fold()
	sum := all.fold() + rest.fold()

	if dots {
		return specBlock{base: b.base, sum: b.finish(sum), peak: peak}, true
	}
	t := fma32(peak, specLog2e*specUnit, b.round)
	r := fma32(t-b.round, -specLn2/specUnit, peak)
	r = fma32(t-(2+127*specUnit), -specLn2lo/specUnit, r)
	power := specPower(254*8 - math.Float32bits(t)&2047)
	to := fma32(specSlope(-r, specExp3)*-r, power, power)
	return specBlock{base: peak, sum: to * specCorrected(sum), peak: peak}, true
}

// finish takes a block's sum to the base.
func (b specBase) finish(sum float32) float32 {
	sum = specCorrected(sum)
	return fma32(sum, b.toBase, sum)
}

// specCorrected adds to a sum what it lacks.
func specCorrected(sum float32) float32 { return fma32(sum, specLack(sum), sum) }

// specLack is what part of itself a sum lacks by specExp3, and by n-k times ln2lo,
// n-k being its exponent.
func specLack(sum float32) float32 {
	n := float32(int(math.Float32bits(sum)>>23) - 127)
	return fma32(n, -specLn2lo, specExp3Lack)
}

// specApart is specSumExp for one block whose base would be too great, or no number:
// its maximum is the base, and the peak.
func specApart(block []float32) specBlock {
	m := max(-math.MaxFloat32, slices.Max(block))
	sum, ones, peak := specSums{size: specSegment, whole: len(block)}, float32(0), float32(math.Inf(-1))
	e := make([]float32, len(block))
	for i, x := range block {
		d := x - m
		if e[i] = specExpMinus(d, specExp5); d == 0 {
			e[i]--
			ones++
		}
	}
	for i, e := range e {
		*sum.lane(i) += e
	}
	s := sum.fold()
	if ones > 0 {
		s += ones - 1
		peak = m
	}
	return specBlock{m, s, peak, true}
}

// specBlockDot adds up x - m over a block, times the weights if there are some, in parts
// of that size. What begins at whole is added up apart.
func specBlockDot(block, weights []float32, m float32, size, whole int) float32 {
	sum := specSums{size: size, whole: whole}
	for i := range (len(block) + 15) / 16 * 16 {
		x, w := m, float32(0) // past the end
		if i < len(block) {
			x, w = block[i], float32(weightOf(weights, i))
		}
		lane := &sum.part[i%16]
		if i < len(block) {
			lane = sum.lane(i)
		}
		if weights != nil {
			*lane = fma32(x-m, w, *lane)
		} else {
			*lane += x - m
		}
	}
	return sum.fold()
}

func init() {
	specTable.expSumDot = func(dst, base, sum, more, dot, x *float32, rows, cols, dstStride, stride int) {
		specTable.expSumWeighted(dst, base, sum, more, dot, x, nil, rows, cols, dstStride, stride)
	}
	specTable.expSumWeighted = func(dst, base, sum, more, dot, x, w *float32, rows, cols, dstStride, stride int) {
		row := slices.Clone(at(x, 0, span(rows, cols, stride))) // dst may be x
		for i, apart := range specExpSumRows(dst, base, sum, more, x, rows, cols, dstStride, stride, true) {
			block, weights := specDotted(&row[0], w, i, cols, stride)
			whole := len(block) / step * step
			if apart {
				whole = len(block)
			}
			at(dot, i, 1)[0] = specBlockDot(block, weights, at(base, i, 1)[0], specSegment, whole)
		}
	}
	specTable.scaleExpSumDot = func(dst, base, sum, more, dot, x *float32, rows, cols, dstStride, stride int, to, factor, add *float32, toStride, _ int) {
		specTable.scale(to, dst, factor, add, rows, cols, toStride, dstStride)
		specTable.expSumDot(dst, base, sum, more, dot, x, rows, cols, dstStride, stride)
	}
	specTable.scaleExpSumWeighted = func(dst, base, sum, more, dot, x, w *float32, rows, cols, dstStride, stride int, to, factor, add *float32, toStride, _ int) {
		specTable.scaleWeighted(to, dst, factor, add, w, rows, cols, toStride, dstStride)
		specTable.expSumWeighted(dst, base, sum, more, dot, x, w, rows, cols, dstStride, stride)
	}
	specTable.sumExpDot = func(base, sum, peak, dot, x *float32, rows, cols, stride int) {
		specTable.sumExpWeighted(base, sum, peak, dot, x, nil, rows, cols, stride)
	}
	specTable.sumExpWeighted = func(base, sum, peak, dot, x, w *float32, rows, cols, stride int) {
		for i, apart := range specSumExpRows(base, sum, peak, x, rows, cols, stride, true) {
			block, weights := specDotted(x, w, i, cols, stride)
			size := specPart
			if apart {
				size = specSegment
			}
			at(dot, i, 1)[0] = specBlockDot(block, weights, at(base, i, 1)[0], size, len(block))
		}
	}
}

// specDotted returns block i of those of all rows, and its weights.
func specDotted(x, w *float32, i, cols, stride int) (block, weights []float32) {
	n := blocks(cols)
	first := i % n * blockSize
	size := min(blockSize, cols-first)
	if w != nil {
		weights = at(w, first, size)
	}
	return at(x, i/n*stride+first, size), weights
}

// The coefficients of q^3, q^5, ... in 2 atanh(q).
var specAtanh = []float64{0x1.5555555553981p-1, 0x1.999999a28cdcep-2, 0x1.2492417ba3893p-2,
	0x1.c722760f1e51dp-3, 0x1.732c61d936e48p-3, 0x1.5874e7e82a55ap-3}

// specLog1p is log(1 + x) = k ln 2 + 2 atanh(f/(f+2)), where 1 + x = 2^k (1 + f).
func specLog1p(x float64) float64 {
	k := int64(math.Float64bits(1+x)-math.Float64bits(math.Sqrt2/2)) >> 52
	w := math.Float64frombits(uint64(1023-k) << 52)
	return specLog(k, math.FMA(x, w, w-1))
}

// specLog is k ln 2 + log(1 + f).
func specLog(k int64, f float64) float64 {
	q := f / (f + 2)
	q2 := float64(q * q)
	p := specAtanh[len(specAtanh)-1]
	for i := len(specAtanh) - 2; i >= 0; i-- {
		p = math.FMA(p, q2, specAtanh[i])
	}
	p = math.FMA(p, q2, 2)
	return math.FMA(float64(k), math.Ln2, float64(q*p))
}

// specExpSum sets dst to e^(x - k ln 2) and adds it up, or to e^(x - base) if the base
// would be too great, or no number.
func specExpSum(dst, row []float32, dots bool) []specExps {
	above := float32(60)
	if dots {
		above = 33
	}
	var blocks []specExps
	var b specBase
	known := false
	for first := 0; first < len(row); first += blockSize {
		block := row[first:min(first+blockSize, len(row))]
		e := dst[first:][:len(block)]
		if !known {
			b, known = newSpecBase(specSample(block))
		}
		m := slices.Max(block)
		if !known || m > b.base+above {
			b, known = newSpecBase(m)
		}
		if !known {
			blocks = append(blocks, specExpsApart(e, block))
			continue
		}
		sum := specSums{size: specSegment, whole: len(e) / step * step}
		for i, x := range block { // dst may be x
			e[i] = b.exp(x)
			*sum.lane(i) += e[i]
		}
		out := specExps{base: b.base, sum: sum.fold()}
		lack := specLack(out.sum)
		out.more = fma32(lack, b.toBase, lack) + b.toBase
		blocks = append(blocks, out)
	}
	return blocks
}

// specExpsApart is specExpSum for one block whose base is its maximum.
func specExpsApart(dst, block []float32) specExps {
	m := max(-math.MaxFloat32, slices.Max(block))
	for i, x := range block {
		dst[i] = specExpMinus(x-m, specExp6)
	}
	sum := specSums{size: specSegment, whole: len(dst)}
	for i, e := range dst {
		*sum.lane(i) += e
	}
	return specExps{base: m, sum: sum.fold(), apart: true}
}

// specShort does a row of one vector: what shortSoftmax finds, and the
// probabilities times scale if dst is not nil.
func specShort(dst, row []float32, scale float32) (m float32, sum float64) {
	m = slices.Max(row)
	var e [16]float32
	var s lanes
	var ones float32
	for i, x := range row {
		e[i] = specExpMinus(x-m, specExp6)
		if s[i] = e[i]; s[i] == 1 {
			s[i] = 0
			ones++
		}
	}
	f := scale / (s.fold() + ones)
	for i := range dst {
		dst[i] = e[i] * f
	}
	return m, float64(s.fold()) + (float64(ones) - 1)
}

// specShortDot is specShort with a dot, and adds add times the weights to dst.
func specShortDot(dst, row, weights []float32, scale, add float32) (m float32, sum float64, dot float32) {
	m, sum = specShort(dst, row, scale)
	var s lanes
	for i, x := range row {
		s[i] = float32((x - m) * weights[i])
	}
	specAddScaled(dst, weights[:len(dst)], add)
	return m, sum, s.fold()
}

// specMedium is specShort for a longer row: the lanes of all terms and of those
// that are not 1 are added up vector by vector, and the ones are what the two
// sums differ by. Without dst they are sumExp's.
func specMedium(dst, row []float32, scale float32) (m float32, sum float64) {
	m = slices.Max(row)
	if dst == nil {
		return m, specMediumLoss(row, m)
	}
	e := make([]float32, len(row))
	var s, all lanes
	for i, x := range row {
		e[i] = specExpMinus(x-m, specExp6)
		all[i%16] += e[i]
		if e[i] != 1 {
			s[i%16] += e[i]
		}
	}
	const round = 0x1.8p23
	ones := float32(float32(all.fold()-s.fold())+round) - round
	f := scale / all.fold()
	for i := range dst {
		dst[i] = e[i] * f
	}
	return m, float64(s.fold()) + (float64(ones) - 1)
}

// specMediumLoss leaves out and counts the elements that are the maximum m.
func specMediumLoss(row []float32, m float32) (sum float64) {
	b, _ := newSpecBase(0)
	var s lanes
	var ones float64
	for i, x := range row {
		if d := x - m; d == 0 {
			ones++
		} else {
			s[i%16], _ = b.addExp(s[i%16], d)
		}
	}
	return float64(specCorrected(s.fold())) + (ones - 1)
}

// specMediumDot is specMedium with a dot, and adds add times the weights to dst.
func specMediumDot(dst, row, weights []float32, scale, add float32) (m float32, sum float64, dot float32) {
	m, sum = specMedium(dst, row, scale)
	var s lanes
	for i, x := range row {
		s[i%16] = fma32(x-m, weights[i], s[i%16])
	}
	specAddScaled(dst, weights[:len(dst)], add)
	return m, sum, s.fold()
}

// specSoftmaxRows makes a kernel of what does a row, which in place overwrites it.
func specSoftmaxRows(spec func(dst, row []float32, scale float32) (m float32, sum float64), log1p func(float64) float64) func(dst, scale, max *float32, sum, log *float64, x *float32, rows, cols, dstStride, stride, size int) {
	return func(dst, scale, max *float32, sum, log *float64, x *float32, rows, cols, dstStride, stride, _ int) {
		for i := range rows {
			var out []float32
			f := float32(1)
			if dst != nil {
				out = at(dst, i*dstStride, cols)
			}
			if scale != nil {
				f = at(scale, i, 1)[0]
			}
			m, s := spec(out, slices.Clone(at(x, i*stride, cols)), f)
			if max != nil {
				at(max, i, 1)[0], at(sum, i, 1)[0] = m, s
				at(log, i, 1)[0] = log1p(s)
			}
		}
	}
}

func specSoftmaxDotRows(spec func(dst, row, weights []float32, scale, add float32) (m float32, sum float64, dot float32), log1p func(float64) float64) func(dst, scale, add, max *float32, sum, log *float64, dot, x, w *float32, rows, cols, dstStride, stride, size int) {
	return func(dst, scale, add, max *float32, sum, log *float64, dot, x, w *float32, rows, cols, dstStride, stride, _ int) {
		for i := range rows {
			var out []float32
			var f, a float32
			if dst != nil {
				out, f, a = at(dst, i*dstStride, cols), at(scale, i, 1)[0], at(add, i, 1)[0]
			}
			weights := slices.Repeat([]float32{1}, cols)
			if w != nil {
				weights = at(w, 0, cols)
			}
			var s float64
			at(max, i, 1)[0], s, at(dot, i, 1)[0] = spec(out, slices.Clone(at(x, i*stride, cols)), weights, f, a)
			at(sum, i, 1)[0] = s
			at(log, i, 1)[0] = log1p(s)
		}
	}
}

// noLog is for kernels that leave the logarithm to others.
func noLog(sum float64) float64 { return sum }

// specScale has a factor for each block. A product of -0 becomes +0.
func specScale(dst, row, factors []float32, add float32) {
	for i, x := range row {
		dst[i] = fma32(x, factors[i/blockSize], add)
	}
}

func specAddScaled(dst, row []float32, f float32) {
	for i, x := range row {
		dst[i] = fma32(x, f, dst[i])
	}
}

func specShift(dst, row []float32, m, log float32) {
	for i, x := range row {
		dst[i] = float32(x-m) - log
	}
}

// specInner adds up x y, or x if y is nil, in float64. Of a row's whole steps,
// eight elements in turn go to four sums; of what is left, to the first two.
func specInner(x, y []float32) float64 {
	var s [4][8]float64
	whole := len(x) / step * step
	for i, v := range x {
		term := float64(v)
		if y != nil {
			term *= float64(y[i]) // exact
		}
		k := i / 8 % 4
		if i >= whole {
			k %= 2
		}
		s[k][i%8] += term
	}
	l := &s[0]
	for i := range l {
		l[i] = (s[0][i] + s[1][i]) + (s[2][i] + s[3][i])
	}
	return specFold64(l)
}

// specFold64 adds up lanes of 64 bits by halves.
func specFold64(l *[8]float64) float64 {
	for h := 4; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// specCross adds up p log q lane by lane, and finds the least and the greatest logarithm,
// q being 1 where p is 0 and where there are no elements for half of the lanes.
func specCross(p, q []float32) [3]float64 {
	var sum, least, greatest [8]float64
	for i := range (len(p) + 15) / 16 * 16 {
		x, y := float32(0), float32(1)
		if i < len(p) && p[i] != 0 {
			x, y = p[i], q[i]
		}
		const more = 1024
		bits := math.Float64bits(float64(y))
		k := (bits - math.Float64bits(math.Sqrt2/2) + more<<52) >> 52
		w := math.Float64frombits(math.Float64bits(1) + more<<52 - k<<52)
		log := specLog(int64(k)-more, math.FMA(float64(y), w, -1))
		sum[i%8] = math.FMA(float64(x), log, sum[i%8])
		least[i%8], greatest[i%8] = min(least[i%8], log), max(greatest[i%8], log)
	}
	return [3]float64{specFold64(&sum), slices.Min(least[:]), slices.Max(greatest[:])}
}

// specHinge adds up what loss and slope make of h = max(0, x + shift), lane by lane, and
// sets dst to the slopes times scale if there is one.
func specHinge(dst, x []float32, shift, scale float64, loss func(sum, h float64) float64, slope func(sum, h float64) (all, d float64)) [2]float64 {
	var losses, slopes [8]float64
	for i, v := range x {
		h := float64(v) + shift
		if h <= 0 {
			h = 0
		}
		losses[i%8] = loss(losses[i%8], h)
		all, d := slope(slopes[i%8], h)
		slopes[i%8] = all
		if dst != nil {
			dst[i] = float32(d * scale)
		}
	}
	return [2]float64{specFold64(&losses), specFold64(&slopes)}
}

func specSoftmaxGrad(dst, x, y []float32, s float64) {
	high := float32(s)
	low := float32(s - float64(high))
	for i, v := range x {
		dst[i] = float32(float32(y[i]-high)-low) * v
	}
}

func specLogSoftmaxGrad(dst, x, y []float32, s float64) {
	for i, v := range x {
		dst[i] = fma32(specExp(v), float32(s), y[i])
	}
}

// specSumExpRows also returns which blocks were done apart.
func specSumExpRows(base, sum, peak, x *float32, rows, cols, stride int, dots bool) (apart []bool) {
	for i := range rows {
		for _, v := range specSumExp(at(x, i*stride, cols), dots) {
			b := len(apart)
			at(base, b, 1)[0], at(sum, b, 1)[0], at(peak, b, 1)[0] = v.base, v.sum, v.peak
			apart = append(apart, v.apart)
		}
	}
	return apart
}

// specExpSumRows also returns which blocks were done apart.
func specExpSumRows(dst, base, sum, more, x *float32, rows, cols, dstStride, stride int, dots bool) (apart []bool) {
	for i := range rows {
		for _, v := range specExpSum(at(dst, i*dstStride, cols), at(x, i*stride, cols), dots) {
			b := len(apart)
			at(base, b, 1)[0], at(sum, b, 1)[0], at(more, b, 1)[0] = v.base, v.sum, v.more
			apart = append(apart, v.apart)
		}
	}
	return apart
}

func specScaleRows(dst, x, factor, add *float32, rows, cols, dstStride, stride int) {
	n := blocks(cols)
	for i := range rows {
		c := float32(math.Copysign(0, -1)) // which changes no product
		if add != nil {
			c = at(add, i, 1)[0]
		}
		specScale(at(dst, i*dstStride, cols), at(x, i*stride, cols), at(factor, i*n, n), c)
	}
}

// specTable is the specification as a path, so that what the public functions
// do around the kernels, the same on all paths, can run on it.
var specTable = kernels[float32]{
	name: "spec",
	max: func(dst, x *float32, rows, cols, stride int) {
		for i := range rows {
			at(dst, 0, rows)[i] = specMax(at(x, i*stride, cols))
		}
	},
	min: func(dst, x *float32, rows, cols, stride int) {
		for i := range rows {
			at(dst, 0, rows)[i] = specMin(at(x, i*stride, cols))
		}
	},
	argMax: func(dst *int, x *float32, rows, cols, stride int) {
		for i := range rows {
			at(dst, 0, rows)[i] = specArgMax(at(x, i*stride, cols))
		}
	},
	sum: func(dst *float64, x *float32, rows, cols, stride int) {
		for i := range rows {
			at(dst, 0, rows)[i] = specSum(at(x, i*stride, cols))
		}
	},
	exp: func(dst, x *float32, n, _ int) {
		for i, v := range at(x, 0, n) {
			at(dst, 0, n)[i] = specExp(v)
		}
	},
	sumExp: func(base, sum, peak, x *float32, rows, cols, stride int) {
		specSumExpRows(base, sum, peak, x, rows, cols, stride, false)
	},
	log1p: func(x *float64, n int) {
		for i, v := range at(x, 0, n) {
			at(x, 0, n)[i] = specLog1p(v)
		}
	},
	shortSoftmax:     specSoftmaxRows(specShort, specLog1p),
	shortSoftmaxDot:  specSoftmaxDotRows(specShortDot, specLog1p),
	mediumCols:       mediumCols,
	mediumSoftmax:    specSoftmaxRows(specMedium, noLog),
	mediumSoftmaxDot: specSoftmaxDotRows(specMediumDot, noLog),
	expSum: func(dst, base, sum, more, x *float32, rows, cols, dstStride, stride int) {
		specExpSumRows(dst, base, sum, more, x, rows, cols, dstStride, stride, false)
	},
	scaleExpSum: func(dst, base, sum, more, x *float32, rows, cols, dstStride, stride int, to, factor, add *float32, toStride, _ int) {
		specScaleRows(to, dst, factor, add, rows, cols, toStride, dstStride)
		specExpSumRows(dst, base, sum, more, x, rows, cols, dstStride, stride, false)
	},
	scale: specScaleRows,
	scaleWeighted: func(dst, x, factor, add, w *float32, rows, cols, dstStride, stride int) {
		specScaleRows(dst, x, factor, &make([]float32, rows)[0], rows, cols, dstStride, stride)
		for i := range rows {
			specAddScaled(at(dst, i*dstStride, cols), at(w, 0, cols), at(add, i, 1)[0])
		}
	},
	addScaled: func(dst, x, factor *float32, rows, cols, dstStride, stride int) {
		for i := range rows {
			specAddScaled(at(dst, i*dstStride, cols), at(x, i*stride, cols), at(factor, i, 1)[0])
		}
	},
	dot: func(dst *float64, x, base, y *float32, rows, cols, stride, yStride int) {
		for i := range rows {
			at(dst, 0, rows)[i] = specDot(at(x, i*stride, cols), at(base, 0, rows)[i], at(y, i*yStride, cols))
		}
	},
	shiftSumExp: func(base, sum, peak, x *float32, rows, cols, stride int, to, from, max, log *float32, n, _ int) {
		specShift(at(to, 0, n), at(from, 0, n), *max, *log)
		specSumExpRows(base, sum, peak, x, rows, cols, stride, false)
	},
	shift: func(dst, x, max, log *float32, rows, cols, dstStride, stride, _ int) {
		for i := range rows {
			specShift(at(dst, i*dstStride, cols), at(x, i*stride, cols), at(max, 0, rows)[i], at(log, 0, rows)[i])
		}
	},
	inner: func(dst *float64, x, y *float32, rows, cols, stride, yStride int) {
		for i := range rows {
			var other []float32
			if y != nil {
				other = at(y, i*yStride, cols)
			}
			at(dst, i, 1)[0] = specInner(at(x, i*stride, cols), other)
		}
	},
	softmaxGrad: func(dst, x, y *float32, s *float64, rows, cols, dstStride, stride, yStride, stream int) {
		for i, s := range at(s, 0, rows) {
			specSoftmaxGrad(at(dst, i*dstStride, cols), at(x, i*stride, cols), at(y, i*yStride, cols), s)
		}
	},
	logSoftmaxGrad: func(dst, x, y *float32, s *float64, rows, cols, dstStride, stride, yStride, stream int) {
		for i, s := range at(s, 0, rows) {
			specLogSoftmaxGrad(at(dst, i*dstStride, cols), at(x, i*stride, cols), at(y, i*yStride, cols), s)
		}
	},
}

func init() {
	type pair = func(grad, x, y []float32, scale float32) float64
	loss := func(spec pair) func(dst *float64, x, y *float32, rows, cols, stride, yStride int) {
		return func(dst *float64, x, y *float32, rows, cols, stride, yStride int) {
			for i := range rows {
				at(dst, i, 1)[0] = spec(nil, at(x, i*stride, cols), at(y, i*yStride, cols), 1)
			}
		}
	}
	grad := func(spec pair) func(dst *float64, grad, x, y, scale *float32, rows, cols, gradStride, stride, yStride, stream int) {
		return func(dst *float64, grad, x, y, scale *float32, rows, cols, gradStride, stride, yStride, stream int) {
			for i := range rows {
				at(dst, i, 1)[0] = spec(at(grad, i*gradStride, cols), at(x, i*stride, cols), at(y, i*yStride, cols), *scale)
			}
		}
	}
	specTable.square, specTable.distance = loss(specSquare), loss(specDistance)
	specTable.squareGrad, specTable.distanceGrad = grad(specSquare), grad(specDistance)

	specTable.cross = func(sum *float64, p, q *float32, n int) {
		s := specCross(at(p, 0, n), at(q, 0, n))
		copy(at(sum, 0, 3), s[:])
	}
	plain := func(sum, h float64) float64 { return sum + h }
	square := func(sum, h float64) float64 { return math.FMA(h, h, sum) }
	specTable.hinge = func(sum *float64, x *float32, shift *float64, n int) {
		s := specHinge(nil, at(x, 0, n), *shift, 0, plain, func(sum, h float64) (float64, float64) { return square(sum, h), 0 })
		copy(at(sum, 0, 2), s[:])
	}
	specTable.hingeGrad = func(sum *float64, dst, x *float32, shift, scale *float64, n int) {
		s := specHinge(at(dst, 0, n), at(x, 0, n), *shift, *scale, plain, func(sum, h float64) (float64, float64) {
			if h > 0 {
				h = 1
			}
			return sum + h, h
		})
		copy(at(sum, 0, 2), s[:])
	}
	specTable.squaredHingeGrad = func(sum *float64, dst, x *float32, shift, scale *float64, n int) {
		s := specHinge(at(dst, 0, n), at(x, 0, n), *shift, *scale, square, func(sum, h float64) (float64, float64) { return sum + 2*h, 2 * h })
		copy(at(sum, 0, 2), s[:])
	}
}

// useTable makes k the table that runs until the test ends.
func useTable(t testing.TB, k *kernels[float32]) {
	before := active
	active = k
	t.Cleanup(func() { active = before })
}

// An output is what a function returned, in float64 whatever it was.
type output struct {
	name string
	v    []float64
}

func newOutput[T ~int | ~float32 | ~float64](name string, v []T) output {
	o := output{name, make([]float64, len(v))}
	for i, x := range v {
		o.v[i] = float64(x)
	}
	return o
}

// gapValue fills what no function may write to.
const gapValue = -12345

// newMatrix returns a rows x cols matrix whose rows are gap apart and whose
// elements, and those between, are gapValue; it ends with its last element and
// starts off elements into a cache line.
func newMatrix[T Float](rows, cols, gap, off int) Matrix[T] {
	if cols == 0 {
		gap = 0
	}
	m := Matrix[T]{Rows: rows, Cols: cols, Stride: cols + gap}
	m.Data = shifted(make([]T, span(rows, cols, m.Stride)), off%(64/elemSize[T]()))
	fill(m.Data, gapValue)
	return m
}

// kernelOutputs runs every kernel of k. What may differ between paths by the
// kernels' contract, the sign of a maximum of 0 and blocks after a NaN, is made
// equal.
func kernelOutputs(k *kernels[float32], x Matrix[float32]) []output {
	n := x.Rows
	in := &x.Data[0]
	var out []output

	maxs := make([]float32, n)
	k.max(&maxs[0], in, n, x.Cols, x.Stride)
	for i := range maxs {
		maxs[i] += 0
	}
	out = append(out, newOutput("max", slices.Clone(maxs)))

	k.min(&maxs[0], in, n, x.Cols, x.Stride)
	for i := range maxs {
		maxs[i] += 0
	}
	out = append(out, newOutput("min", slices.Clone(maxs)))

	args := make([]int, n)
	k.argMax(&args[0], in, n, x.Cols, x.Stride)
	out = append(out, newOutput("argMax", args))

	sums := make([]float64, n)
	k.sum(&sums[0], in, n, x.Cols, x.Stride)
	out = append(out, newOutput("sum", sums))

	dst := newMatrix[float32](n, x.Cols, 3, 2)
	for i := range n {
		k.exp(&dst.row(i)[0], &x.row(i)[0], x.Cols, 0)
	}
	out = append(out, newOutput("exp", dst.Data))

	// After a NaN the maxima may be anything, and so what comes of them.
	nb := blocks(x.Cols)
	afterNaN := func(f func(row, block int)) {
		for i := range n {
			if j := slices.IndexFunc(x.row(i), func(v float32) bool { return v != v }); j >= 0 {
				f(i, j/blockSize)
			}
		}
	}
	results := make([]float32, 3*n*nb)
	max, sum, peak := results[:n*nb], results[n*nb:2*n*nb], results[2*n*nb:]
	forget := func(i, b int) {
		clear(max[i*nb+b : (i+1)*nb])
		clear(peak[i*nb+b : (i+1)*nb])
		clear(sum[i*nb+b+1 : (i+1)*nb]) // That of the block itself is NaN.
	}
	k.sumExp(&max[0], &sum[0], &peak[0], in, n, x.Cols, x.Stride)
	afterNaN(forget)
	for i := range results {
		results[i] += 0
	}
	out = append(out, newOutput("sumExp", slices.Clone(results)))

	for stream, name := range []string{"shiftSumExp", "shiftSumExp, streamed"} {
		whole := x.Cols / step * step
		to := shifted(make([]float32, n*whole+1), 0)
		for i := range n {
			b, last := i*nb, n-1-i
			k.shiftSumExp(&max[b], &sum[b], &peak[b], &x.row(i)[0], 1, x.Cols, 0, &to[last*whole], &x.row(last)[0], &maxs[i], &maxs[last], whole, stream)
		}
		afterNaN(forget)
		for i := range results {
			results[i] += 0
		}
		out = append(out, newOutput(name, slices.Clone(results)), newOutput(name+"'s row before", to))
	}

	dots := make([]float32, n*nb)
	k.sumExpDot(&max[0], &sum[0], &peak[0], &dots[0], in, n, x.Cols, x.Stride)
	afterNaN(forget)
	afterNaN(func(i, b int) { clear(dots[i*nb : (i+1)*nb]) })
	for i := range results {
		results[i] += 0
	}
	for i := range dots {
		dots[i] += 0
	}
	out = append(out, newOutput("sumExpDot", slices.Clone(results)), newOutput("sumExpDot's dots", slices.Clone(dots)))

	weights := make([]float32, x.Cols)
	for i := range weights {
		weights[i] = 1/float32(1+i%7) - 0.2
	}
	k.sumExpWeighted(&max[0], &sum[0], &peak[0], &dots[0], in, &weights[0], n, x.Cols, x.Stride)
	afterNaN(forget)
	afterNaN(func(i, b int) { clear(dots[i*nb : (i+1)*nb]) })
	for i := range results {
		results[i] += 0
	}
	for i := range dots {
		dots[i] += 0
	}
	out = append(out, newOutput("sumExpWeighted", slices.Clone(results)), newOutput("sumExpWeighted's dots", slices.Clone(dots)))

	fill(dst.Data, gapValue)
	expSum := func(name string, from *float32, stride int) {
		k.expSum(&dst.Data[0], &max[0], &sum[0], &peak[0], from, n, x.Cols, dst.Stride, stride)
		afterNaN(forget)
		afterNaN(func(i, b int) { clear(dst.row(i)[b*blockSize:]) })
		for i := range max {
			max[i] += 0
		}
		out = append(out, newOutput(name, slices.Clone(dst.Data)), newOutput(name+"'s blocks", slices.Clone(results)))
	}
	expSum("expSum", in, x.Stride)
	for i := range n {
		copy(dst.row(i), x.row(i))
	}
	expSum("expSum in place", &dst.Data[0], dst.Stride)

	for _, w := range []*float32{nil, &weights[0]} {
		fill(dst.Data, gapValue)
		name := "expSumDot"
		if w == nil {
			k.expSumDot(&dst.Data[0], &max[0], &sum[0], &peak[0], &dots[0], in, n, x.Cols, dst.Stride, x.Stride)
		} else {
			name = "expSumWeighted"
			k.expSumWeighted(&dst.Data[0], &max[0], &sum[0], &peak[0], &dots[0], in, w, n, x.Cols, dst.Stride, x.Stride)
		}
		afterNaN(forget)
		afterNaN(func(i, b int) {
			clear(dst.row(i)[b*blockSize:])
			clear(dots[i*nb : (i+1)*nb])
		})
		for i := range max {
			max[i] += 0
			dots[i] += 0
		}
		out = append(out, newOutput(name, slices.Clone(dst.Data)), newOutput(name+"'s blocks", slices.Clone(results)),
			newOutput(name+"'s dots", slices.Clone(dots)))
	}

	// The exponentials go elsewhere, to an address of any alignment, for others.
	factor := make([]float32, n*nb+n)
	for i := range factor {
		factor[i] = 1 / float32(3+i)
	}
	for i, name := range []string{"scaleExpSum", "scaleExpSumDot", "scaleExpSumWeighted", "scaleExpSum, streamed", "scaleExpSumDot, streamed", "scaleExpSumWeighted, streamed"} {
		stream := i / 3
		to := newMatrix[float32](n, x.Cols, 1+n%3, (x.Cols+i)%17)
		switch i % 3 {
		case 0:
			clear(dots)
			k.scaleExpSum(&dst.Data[0], &max[0], &sum[0], &peak[0], in, n, x.Cols, dst.Stride, x.Stride, &to.Data[0], &factor[0], &factor[n*nb], to.Stride, stream)
		case 1:
			k.scaleExpSumDot(&dst.Data[0], &max[0], &sum[0], &peak[0], &dots[0], in, n, x.Cols, dst.Stride, x.Stride, &to.Data[0], &factor[0], &factor[n*nb], to.Stride, stream)
		case 2:
			k.scaleExpSumWeighted(&dst.Data[0], &max[0], &sum[0], &peak[0], &dots[0], in, &weights[0], n, x.Cols, dst.Stride, x.Stride, &to.Data[0], &factor[0], &factor[n*nb], to.Stride, stream)
		}
		afterNaN(forget)
		afterNaN(func(i, b int) {
			clear(dst.row(i)[b*blockSize:])
			clear(dots[i*nb : (i+1)*nb])
		})
		for i := range max {
			max[i] += 0
			dots[i] += 0
		}
		out = append(out, newOutput(name, slices.Clone(dst.Data)), newOutput(name+"'s blocks", slices.Clone(results)),
			newOutput(name+"'s dots", slices.Clone(dots)), newOutput(name+"'s rows", to.Data))
	}

	scales, adds := make([]float32, n), make([]float32, n)
	fill(scales, -0.7)
	for i := range adds {
		adds[i] = 0.3 / float32(1+i)
	}
	rows := make([]float64, 2*n)
	logs := rows[n:]
	for _, kernel := range []struct {
		name       string
		cols, rows int
		softmax    func(dst, scale, max *float32, sum, log *float64, x *float32, rows, cols, dstStride, stride, size int)
		dot        func(dst, scale, add, max *float32, sum, log *float64, dot, x, w *float32, rows, cols, dstStride, stride, size int)
	}{
		{"shortSoftmax", shortCols, n, k.shortSoftmax, k.shortSoftmaxDot},
		{"mediumSoftmax", k.mediumCols, min(n, wideTile), k.mediumSoftmax, k.mediumSoftmaxDot},
	} {
		if x.Cols > kernel.cols || kernel.softmax == nil {
			continue
		}
		run := func(name string, f func()) {
			fill(dst.Data, gapValue)
			f()
			afterNaN(func(i, _ int) { max[i], dots[i] = 0, 0 })
			for i := range max {
				max[i] += 0
				dots[i] += 0
			}
			out = append(out, newOutput(kernel.name+name, slices.Clone(dst.Data)), newOutput(kernel.name+name+"'s maxima", slices.Clone(max)),
				newOutput(kernel.name+name+"'s rows", slices.Clone(rows)), newOutput(kernel.name+name+"'s dots", slices.Clone(dots)))
		}
		y, w := &dst.Data[0], &weights[0]
		run(" without dst", func() {
			kernel.softmax(nil, nil, &max[0], &logs[0], &logs[0], in, kernel.rows, x.Cols, 0, x.Stride, len(x.Data))
		})
		run("", func() {
			kernel.softmax(y, &scales[0], &max[0], &rows[0], &logs[0], in, kernel.rows, x.Cols, dst.Stride, x.Stride, len(x.Data))
		})
		run(" of dst only", func() {
			kernel.softmax(y, nil, nil, nil, nil, in, kernel.rows, x.Cols, dst.Stride, x.Stride, len(x.Data))
		})
		if kernel.cols == shortCols {
			w = nil
		}
		run("Dot without dst", func() {
			kernel.dot(nil, nil, nil, &max[0], &logs[0], &logs[0], &dots[0], in, w, kernel.rows, x.Cols, 0, x.Stride, len(x.Data))
		})
		run("Dot", func() {
			kernel.dot(y, &scales[0], &adds[0], &max[0], &rows[0], &logs[0], &dots[0], in, &weights[0], kernel.rows, x.Cols, dst.Stride, x.Stride, len(x.Data))
		})
	}

	for i := range results {
		results[i] = 1 / float32(3+i)
	}
	fill(dst.Data, gapValue)
	k.scale(&dst.Data[0], in, &results[0], &results[n*nb], n, x.Cols, dst.Stride, x.Stride)
	out = append(out, newOutput("scale", slices.Clone(dst.Data)))
	k.scale(&dst.Data[0], in, &results[0], nil, n, x.Cols, dst.Stride, x.Stride)
	out = append(out, newOutput("scale without add", dst.Data))
	k.scaleWeighted(&dst.Data[0], &dst.Data[0], &results[0], &results[n*nb], &weights[0], n, x.Cols, dst.Stride, dst.Stride)
	out = append(out, newOutput("scaleWeighted", dst.Data))
	k.addScaled(&dst.Data[0], in, &results[0], n, x.Cols, dst.Stride, x.Stride)
	out = append(out, newOutput("addScaled", dst.Data))

	// The other operand is x with rows and elements moved.
	y := newMatrix[float32](n, x.Cols, 1, 3)
	for i := range n {
		for j := range x.Cols {
			y.row(i)[j] = x.row((i + 1) % n)[(j+5)%x.Cols]
		}
	}
	scale := float32(-0.7)
	aligned := newMatrix[float32](n, x.Cols, -x.Cols&15, 0)
	k.square(&sums[0], in, &y.Data[0], n, x.Cols, x.Stride, y.Stride)
	out = append(out, newOutput("square", sums))
	k.distance(&sums[0], in, &y.Data[0], n, x.Cols, x.Stride, y.Stride)
	out = append(out, newOutput("distance", sums))
	fill(dst.Data, gapValue)
	k.squareGrad(&sums[0], &dst.Data[0], in, &y.Data[0], &scale, n, x.Cols, dst.Stride, x.Stride, y.Stride, 0)
	out = append(out, newOutput("squareGrad", dst.Data), newOutput("squareGrad's sum", sums))
	k.squareGrad(&sums[0], &aligned.Data[0], in, &y.Data[0], &scale, n, x.Cols, aligned.Stride, x.Stride, y.Stride, 1)
	out = append(out, newOutput("squareGrad, streamed", aligned.Data), newOutput("squareGrad's sum, streamed", sums))
	fill(dst.Data, gapValue)
	k.distanceGrad(&sums[0], &dst.Data[0], in, &y.Data[0], &scale, n, x.Cols, dst.Stride, x.Stride, y.Stride, 0)
	out = append(out, newOutput("distanceGrad", dst.Data), newOutput("distanceGrad's sum", sums))
	k.distanceGrad(&sums[0], &aligned.Data[0], in, &y.Data[0], &scale, n, x.Cols, aligned.Stride, x.Stride, y.Stride, 1)
	out = append(out, newOutput("distanceGrad, streamed", aligned.Data), newOutput("distanceGrad's sum, streamed", sums))

	// One row each, as one row of any other kernel. The shifts leave most, some and none.
	var hinges [2]float64
	var crossed [3]float64
	for i := range n {
		row, shift, slope := x.row(i), float64(3-2*i)/7, -0.3*float64(i+1)
		k.hinge(&hinges[0], &row[0], &shift, x.Cols)
		out = append(out, newOutput("hinge", slices.Clone(hinges[:])))
		k.hingeGrad(&hinges[0], &dst.row(i)[0], &row[0], &shift, &slope, x.Cols)
		out = append(out, newOutput("hingeGrad", slices.Clone(dst.row(i))), newOutput("hingeGrad's sums", slices.Clone(hinges[:])))
		k.squaredHingeGrad(&hinges[0], &dst.row(i)[0], &row[0], &shift, &slope, x.Cols)
		out = append(out, newOutput("squaredHingeGrad", slices.Clone(dst.row(i))), newOutput("squaredHingeGrad's sums", slices.Clone(hinges[:])))
		q := slices.Clone(y.row(i))
		for j, v := range q {
			q[j] = float32(math.Abs(float64(v)))
		}
		k.cross(&crossed[0], &row[0], &q[0], x.Cols)
		if crossFailed(&crossed) {
			clear(crossed[:])
		}
		out = append(out, newOutput("cross", slices.Clone(crossed[:])))
	}

	k.inner(&sums[0], in, &y.Data[0], n, x.Cols, x.Stride, y.Stride)
	out = append(out, newOutput("inner", sums))
	k.inner(&sums[0], in, nil, n, x.Cols, x.Stride, 0)
	out = append(out, newOutput("inner without y", sums))
	for i := range sums {
		sums[i] = math.Pi / float64(3-2*i)
	}
	fill(dst.Data, gapValue)
	k.softmaxGrad(&dst.Data[0], in, &y.Data[0], &sums[0], n, x.Cols, dst.Stride, x.Stride, y.Stride, 0)
	out = append(out, newOutput("softmaxGrad", dst.Data))
	fill(dst.Data, gapValue)
	k.softmaxGrad(&dst.Data[0], in, &y.Data[0], &sums[0], n, x.Cols, dst.Stride, x.Stride, y.Stride, 1)
	out = append(out, newOutput("softmaxGrad, streamed", dst.Data))
	fill(dst.Data, gapValue)
	k.logSoftmaxGrad(&dst.Data[0], in, &y.Data[0], &sums[0], n, x.Cols, dst.Stride, x.Stride, y.Stride, 0)
	out = append(out, newOutput("logSoftmaxGrad", dst.Data))
	fill(dst.Data, gapValue)
	k.logSoftmaxGrad(&dst.Data[0], in, &y.Data[0], &sums[0], n, x.Cols, dst.Stride, x.Stride, y.Stride, 1)
	out = append(out, newOutput("logSoftmaxGrad, streamed", dst.Data))

	k.dot(&sums[0], in, &maxs[0], &y.Data[0], n, x.Cols, x.Stride, y.Stride)
	out = append(out, newOutput("dot", sums))

	fill(dst.Data, gapValue)
	k.shift(&dst.Data[0], in, &maxs[0], &results[0], n, x.Cols, dst.Stride, x.Stride, 0)
	out = append(out, newOutput("shift", dst.Data))
	fill(dst.Data, gapValue)
	k.shift(&dst.Data[0], in, &maxs[0], &results[0], n, x.Cols, dst.Stride, x.Stride, 1)
	return append(out, newOutput("shift, streamed", dst.Data))
}

// publicOutputs runs every public function but the criteria on x, with the target of row i
// being i*7 mod the number of columns.
func publicOutputs[T Float](t testing.TB, x Matrix[T]) []output {
	t.Helper()
	n := x.Rows
	var out []output
	row := func(name string, f func(dst []T, x Matrix[T]) error) {
		t.Helper()
		dst := make([]T, n)
		if err := f(dst, x); err != nil {
			t.Fatal(err)
		}
		out = append(out, newOutput(name, dst))
	}
	each := func(name string, f func(dst, x Matrix[T]) error) Matrix[T] {
		t.Helper()
		dst := newMatrix[T](n, x.Cols, 3, 2)
		if err := f(dst, x); err != nil {
			t.Fatal(err)
		}
		out = append(out, newOutput(name, dst.Data))
		return dst
	}
	targets := make([]int, n)
	for i := range targets {
		targets[i] = 7 * i % x.Cols
	}

	row("RowMax", RowMax)
	args := make([]int, n)
	if err := RowArgMax(args, x); err != nil {
		t.Fatal(err)
	}
	out = append(out, newOutput("RowArgMax", args))
	row("RowSum", RowSum)
	row("RowLogSumExp", RowLogSumExp)
	row("LogSoftmaxNLL", func(dst []T, x Matrix[T]) error { return LogSoftmaxNLL(dst, x, targets) })
	each("Exp", Exp)
	soft := each("Softmax", func(dst, x Matrix[T]) error { return Softmax[T](dst, x) })
	log := each("LogSoftmax", func(dst, x Matrix[T]) error { return LogSoftmax[T](dst, x) })
	each("SoftmaxGrad", func(dst, x Matrix[T]) error { return SoftmaxGrad[T](dst, soft, x) })
	each("LogSoftmaxGrad", func(dst, x Matrix[T]) error { return LogSoftmaxGrad[T](dst, log, x) })
	return out
}

// diff describes the first value that differs, or is empty.
func diff(got, want []output) string {
	for i, w := range want {
		g := got[i]
		if len(g.v) != len(w.v) {
			return fmt.Sprintf("%s has %d values, want %d", w.name, len(g.v), len(w.v))
		}
		for j := range w.v {
			if !sameBits(g.v[j], w.v[j]) {
				return fmt.Sprintf("%s: value %d is %g, want %g", w.name, j, g.v[j], w.v[j])
			}
		}
	}
	return ""
}

// A rowKind fills rows with some kind of data.
type rowKind struct {
	name string
	fill func(rng *rand.Rand, x []float32)
}

var inf32 = float32(math.Inf(1))

func normals(scale float64) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) { randomRow(rng, x, scale) }
}

// offsets fills rows with normal numbers around offset.
func offsets(offset, scale float64) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = float32(offset + scale*rng.NormFloat64())
		}
	}
}

// with replaces some of the elements of normal rows.
func with(replace func(rng *rand.Rand, x []float32)) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		randomRow(rng, x, 3)
		replace(rng, x)
	}
}

// some sets about one element in n, and always one.
func some(n int, value func(rng *rand.Rand) float32) func(rng *rand.Rand, x []float32) {
	return with(func(rng *rand.Rand, x []float32) {
		for range 1 + len(x)/n {
			x[rng.IntN(len(x))] = value(rng)
		}
	})
}

// fromBits fills x with random bits.
func fromBits(bits func(rng *rand.Rand) uint32) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(bits(rng))
		}
	}
}

// oneOf fills x with some of the values.
func oneOf(values ...float32) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = values[rng.IntN(len(values))]
		}
	}
}

// tie makes elements i and i+gap, if there are such, equal and greater than others.
func tie(x []float32, i, gap int) {
	if i+gap < len(x) {
		x[i], x[i+gap] = 30, 30
	}
}

func nan32(rng *rand.Rand) float32 {
	return math.Float32frombits(0x7f800001 + rng.Uint32N(0x7ffffe) | rng.Uint32()&(1<<31))
}

var rowKinds = []rowKind{
	{"small", normals(0.01)},
	{"normal", normals(1)},
	{"wide", normals(30)},
	{"huge", normals(1e4)},
	{"confident", some(1e9, func(rng *rand.Rand) float32 { return 20 + 60*rng.Float32() })},
	{"ascending", with(func(_ *rand.Rand, x []float32) { slices.Sort(x) })},
	{"descending", with(func(_ *rand.Rand, x []float32) { slices.Sort(x); slices.Reverse(x) })},
	{"constant", func(rng *rand.Rand, x []float32) { fill(x, rng.Float32()) }},
	{"ties", oneOf(1, 2, 2.5, -3)},
	{"tied maxima", some(500, func(rng *rand.Rand) float32 { return 40 })},
	{"tied in a lane", with(func(rng *rand.Rand, x []float32) { tie(x, rng.IntN(16), 16) })},
	{"tied in a vector", with(func(rng *rand.Rand, x []float32) { tie(x, rng.IntN(16), 1) })},
	{"two outliers", with(func(rng *rand.Rand, x []float32) { tie(x, 300, 301); x[len(x)/2] -= 200 })},
	{"far below", some(4, func(rng *rand.Rand) float32 {
		return float32(-math.Ln2 * (float64(int(1)<<(20+rng.IntN(5))) + 512*rng.Float64()))
	})},
	{"around 2^17", offsets(1<<17, 30)},
	{"around -2^17", offsets(-1<<17, 30)},
	{"around 1e5", offsets(1e5, 10)},
	{"around -1e7", offsets(-1e7, 100)},
	{"masked", some(2, func(*rand.Rand) float32 { return -inf32 })},
	{"all but one masked", func(rng *rand.Rand, x []float32) { fill(x, -inf32); x[rng.IntN(len(x))] = -7.25 }},
	{"all masked", oneOf(-inf32)},
	{"NaN", some(1e9, nan32)},
	{"NaNs", some(100, nan32)},
	{"+Inf", some(1e9, func(*rand.Rand) float32 { return inf32 })},
	{"infinities and NaN", oneOf(inf32, -inf32, inf32, -inf32, float32(math.NaN()), 1)},
	{"subnormals", fromBits(func(rng *rand.Rand) uint32 { return rng.Uint32() & 0x807fffff })},
	{"zeros", oneOf(0, float32(math.Copysign(0, -1)))},
	{"zeros at most", oneOf(0, float32(math.Copysign(0, -1)), -1, -100)},
	{"lowest", oneOf(-math.MaxFloat32, -inf32)},
	{"extremes", oneOf(-math.MaxFloat32, math.MaxFloat32, 1, -0x1p-149, -inf32)},
	{"bits", fromBits((*rand.Rand).Uint32)},
	{"finite bits", fromBits(func(rng *rand.Rand) uint32 {
		b := rng.Uint32()
		if b>>23&0xff == 0xff {
			b &^= 1 << 29
		}
		return b
	})},
}

func TestSpec(t *testing.T) {
	if len(Paths()) == 1 {
		t.Skip("no accelerated path")
	}
	cols := slices.Concat(sizes, []int{2*blockSize + 1, cacheSize - 1, cacheSize, cacheSize + 1, chunkSize - 1, chunkSize, chunkSize + 1, 2*chunkSize + blockSize + 65})
	if testing.Short() {
		cols = []int{1, 3, 15, 16, 17, 63, 64, 65, 127, 200, 2113, 4095, 4097, cacheSize + 1}
	}
	rng := newRand(1)
	for i, c := range cols {
		for j, kind := range rowKinds {
			rows, gap := 3, 5
			switch {
			case c >= cacheSize:
				if j%4 != i%4 { // these are slow
					continue
				}
				rows = 1
			case c > 1000:
				rows = 2
			case c <= shortCols:
				rows = 37 // two groups on each path, and a rest
			case c <= mediumCols:
				rows = []int{1, 3, 17, 35, wideTile}[(i+j)%5]
			}
			x := newMatrix[float32](rows, c, gap, (i+j)%16)
			for r := range rows {
				kind.fill(rng, x.row(r))
			}
			checkSpec(t, kind.name, x)
		}
		if t.Failed() {
			return
		}
	}
}

// TestSpecRows has rows of one kind among others, which kernels do together.
func TestSpecRows(t *testing.T) {
	if len(Paths()) == 1 {
		t.Skip("no accelerated path")
	}
	cols := []int{17, 100, 225, 256, 257, 300, 1025, 2049, 4096, 4097}
	if testing.Short() {
		cols = []int{17, 257}
	}
	rng := newRand(9)
	for i, c := range cols {
		for j, kind := range rowKinds {
			if c > 2000 && j%3 != i%3 { // these are slow
				continue
			}
			x := newMatrix[float32](19, c, j%2, (i+j)%16)
			for r := range x.Rows {
				randomRow(rng, x.row(r), 3)
			}
			for range 1 + j%3 {
				kind.fill(rng, x.row(rng.IntN(x.Rows)))
			}
			checkSpec(t, kind.name+" among others", x)
		}
		if t.Failed() {
			return
		}
	}
}

// TestSpecExp sees every bit of e^x and e^(x-max): in rows of 0 and x nothing
// is added to them.
func TestSpecExp(t *testing.T) {
	n := 1 << 17
	if testing.Short() {
		n >>= 4
	}
	rng := newRand(7)
	x := newMatrix[float32](n, 2, 0, 0)
	for i := range n {
		x.row(i)[1-i%2] = -106 * rng.Float32() * rng.Float32()
	}
	want := kernelOutputs(&specTable, x)
	positive := newMatrix[float32](1, n, 0, 0)
	for i := range positive.Data {
		positive.Data[i] = 90 * rng.Float32()
	}
	wantExp := slices.Clone(positive.Data)
	specTable.exp(&wantExp[0], &positive.Data[0], n, 0)
	for _, k := range paths {
		if k.name == "generic" {
			continue
		}
		if d := diff(kernelOutputs(k, x), want); d != "" {
			t.Errorf("%s: kernel %s", k.name, d)
		}
		got := slices.Clone(positive.Data)
		k.exp(&got[0], &got[0], n, 0)
		for i, v := range got {
			if !sameBits(v, wantExp[i]) {
				t.Fatalf("%s: e^%v is %v, want %v", k.name, positive.Data[i], v, wantExp[i])
			}
		}
	}
}

// checkSpec compares the kernels of all accelerated paths, and the public
// functions on them, with the specification.
func checkSpec(t *testing.T, kind string, x Matrix[float32]) {
	t.Helper()
	public := func(k *kernels[float32]) []output {
		before := active
		active = k
		defer func() { active = before }()
		return publicOutputs(t, x)
	}
	var wantKernels []output
	if x.Cols <= chunkSize {
		wantKernels = kernelOutputs(&specTable, x)
	}
	wantPublic := public(&specTable)
	for _, name := range Paths() {
		if name == "generic" {
			continue
		}
		k, err := findPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if x.Cols <= chunkSize {
			if d := diff(kernelOutputs(k, x), wantKernels); d != "" {
				t.Errorf("%s, %s, %d x %d: kernel %s", name, kind, x.Rows, x.Cols, d)
			}
		}
		if d := diff(public(k), wantPublic); d != "" {
			t.Errorf("%s, %s, %d x %d: %s", name, kind, x.Rows, x.Cols, d)
		}
	}
}

func TestSpecLog1p(t *testing.T) {
	rng := newRand(5)
	x := make([]float64, 1<<14)
	for i := range x {
		switch x[i] = rng.Float64(); rng.IntN(4) {
		case 0:
			x[i] *= 1e5
		case 1:
			x[i] = math.Exp(-700 * x[i])
		case 2: // the sums of rows of a few ties
			x[i] = float64(rng.IntN(5)) + math.Exp(-50*x[i])
		}
	}
	copy(x, []float64{0, 0x1p-1074, 0x1p-53, 0x1p-54, math.Sqrt2 - 1, 1, 1 << 31, 1 << 52, math.NaN()})
	want := slices.Clone(x)
	specTable.log1p(&want[0], len(x))
	for i, v := range x {
		if ref := math.Log1p(v); math.Abs(want[i]-ref) > 6*0x1p-53*ref+0x1p-1074 {
			t.Fatalf("the specification of log1p(%v) is %v, want %v", v, want[i], ref)
		}
	}
	for _, k := range paths {
		if k.name == "generic" {
			continue
		}
		for _, n := range []int{8, 16, len(x)} {
			got := slices.Clone(x)
			k.log1p(&got[0], n)
			for i, v := range got {
				w := want[i]
				if i >= n {
					w = x[i]
				}
				if !sameBits(v, w) {
					t.Fatalf("%s: log1p(%v), %d of %d, is %v, want %v", k.name, x[i], i, n, v, w)
				}
			}
		}
	}
}

func TestFMA32(t *testing.T) {
	rng := newRand(2)
	check := func(x, y, z float32) {
		t.Helper()
		if got, want := fma32(x, y, z), bigFMA(x, y, z); !sameBits(got, want) {
			t.Errorf("fma32(%x, %x, %x) = %x, want %x", x, y, z, got, want)
		}
	}
	n := 20000
	if testing.Short() {
		n = 2000
	}
	bit := func() float32 { return float32(math.Ldexp(1, rng.IntN(60)-30)) }
	for range n {
		any := func() float32 { return math.Float32frombits(rng.Uint32()) }
		check(any(), any(), any())

		// Near each other, so that they cancel or overlap.
		x, y := 1+rng.Float32(), 1+rng.Float32()
		check(x, y, -x*y)
		check(x, y, bit()*rng.Float32())

		// A product far below the addend's last bit breaks ties of z and what
		// float64 keeps: z + half an ulp of z + tiny, of both signs.
		h := float32(0x1p-24) * (1 - 2*float32(rng.IntN(2)))
		tiny := float32(math.Ldexp(1, -30-rng.IntN(40)))
		check(h, 1+0x1p-23, 1+float32(rng.IntN(4))*0x1p-23)
		check(1+tiny, h, x)
		check(h*(1+0x1p-12), 1-0x1p-12, x) // h * (1 - 2^-24)
		check(h*(1+0x1p-23), 1-0x1p-23, x) // h * (1 - 2^-46)
		check(1+0x1p-12, 1+0x1p-12, -tiny) // a 25-bit product and a tiny addend
		check(1+0x1p-12, 1+0x1p-12, tiny)
		check((1+0x1p-12)*0x1p-70, (1+0x1p-12)*0x1p-70, x*0x1p-141) // subnormal results
		check(x*0x1p-75, y*0x1p-75, any()*0x1p-126)
		check(x*0x1p64, y*0x1p63, -any())
	}
	for _, x := range []float32{0, float32(math.Copysign(0, -1)), 1, -1, math.MaxFloat32, -0x1p-149, inf32, -inf32, float32(math.NaN())} {
		for _, y := range []float32{0, float32(math.Copysign(0, -1)), 1, -2, 0x1p-149, math.MaxFloat32, inf32} {
			for _, z := range []float32{0, float32(math.Copysign(0, -1)), 1, -1, 0x1p-149, -math.MaxFloat32, math.MaxFloat32, inf32, -inf32} {
				check(x, y, z)
			}
		}
	}
}

// bigFMA is fma32 by arbitrary precision.
func bigFMA(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	if s == 0 || math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s) // Exact, as p has 48 bits and no float32 is so small beside another.
	}
	exact := new(big.Float).SetPrec(1000)
	exact.Mul(big.NewFloat(float64(x)).SetPrec(1000), big.NewFloat(float64(y)).SetPrec(1000))
	exact.Add(exact, big.NewFloat(float64(z)))
	got, _ := exact.Float32()
	return got
}

// TestPathsAgree compares the public functions on all paths, and with any
// number of goroutines, on inputs that are large enough to be split.
func TestPathsAgree(t *testing.T) {
	before := runtime.GOMAXPROCS(4)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	shapes := []struct{ rows, cols, gap int }{
		{1, 9*chunkSize + 17, 0}, // one huge row: by chunks
		{3, 3*chunkSize + blockSize + 1, 3},
		{301, 2001, 9},
		{5300, 100, 0},
		{60000, 10, 1},
	}
	kinds := []rowKind{}
	for _, k := range rowKinds {
		switch k.name {
		case "normal", "confident", "zeros at most", "extremes", "NaN", "+Inf", "masked":
			kinds = append(kinds, k)
		}
	}
	if testing.Short() {
		shapes, kinds = shapes[1:3], kinds[:2]
	}
	rng := newRand(3)
	for i, s := range shapes {
		x := newMatrix[float32](s.rows, s.cols, s.gap, i)
		for r := range s.rows {
			// Few rows are all of one kind, in turn with the shapes.
			kinds[(r+i)%len(kinds)].fill(rng, x.row(r))
		}
		var accelerated []output
		for _, name := range Paths() {
			usePath(t, name)
			want := agreeOnWorkers(t, name, x)
			switch {
			case name == "generic":
			case accelerated == nil:
				accelerated = want
			default:
				if d := diff(want, accelerated); d != "" {
					t.Errorf("%s, not as on %s, %d x %d: %s", name, Paths()[0], s.rows, s.cols, d)
				}
			}
		}
		x64 := newMatrix[float64](s.rows, s.cols, s.gap, i)
		for i, v := range x.Data {
			x64.Data[i] = float64(v)
		}
		agreeOnWorkers(t, "float64", x64)
	}
}

// agreeOnWorkers returns the outputs with one goroutine, which are to be those
// with several.
func agreeOnWorkers[T Float](t *testing.T, name string, x Matrix[T]) []output {
	t.Helper()
	useWorkers(t, 1)
	want := publicOutputs(t, x)
	for _, w := range []int{3, 0} {
		SetWorkers(w)
		if d := diff(publicOutputs(t, x), want); d != "" {
			t.Errorf("%s, at most %d workers, %d x %d: %s", name, w, x.Rows, x.Cols, d)
		}
	}
	return want
}

// TestGreatStride has rows as far apart as rows together may be, and further.
func TestGreatStride(t *testing.T) {
	if testing.Short() || math.MaxInt == math.MaxInt32 {
		t.Skip("asks for memory that it does not touch")
	}
	const rows, cols = 16, 300
	rng := newRand(10)
	near := newMatrix[float32](rows, cols, 0, 0)
	targets := make([]int32, rows)
	for r := range rows {
		randomRow(rng, near.row(r), 3)
		targets[r] = int32(rng.IntN(cols))
		near.row(r)[targets[r]] = 30
	}
	for _, stride := range []int{1 << 24, 1<<24 + 1} {
		far := Matrix[float32]{Rows: rows, Cols: cols, Stride: stride, Data: make([]float32, (rows-1)*stride+cols)}
		for r := range rows {
			copy(far.row(r), near.row(r))
		}
		for _, k := range paths {
			useTable(t, k)
			var want, got [rows]float32
			if err := errors.Join(LogSoftmaxNLL(want[:], near, targets), LogSoftmaxNLL(got[:], far, targets)); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s, stride %d: the losses are %v, want %v", k.name, stride, got, want)
			}
		}
	}
}

// TestGrowingStack calls with ever less stack left, so that it is moved at any
// call inside: pointers to what is on it, hidden from the compiler, must follow.
func TestGrowingStack(t *testing.T) {
	x := make([]float32, 3000)
	randomRow(newRand(8), x, 3)
	for _, k := range paths {
		useTable(t, k)
		for _, cols := range []int{10, 100, 3000} {
			want := lossesAtDepth(0, x[:cols])
			if want[0] < 0 {
				t.Fatalf("%d columns: an error", cols)
			}
			for depth := range 200 {
				got := make(chan [3]float64)
				go func() { got <- lossesAtDepth(depth, x[:cols]) }()
				if g := <-got; g != want {
					t.Fatalf("%s, %d columns, at depth %d: the losses are %v, want %v", k.name, cols, depth, g, want)
				}
			}
		}
	}
}

//go:noinline
func lossesAtDepth(depth int, x []float32) (losses [3]float64) {
	if depth > 0 {
		return lossesAtDepth(depth-1, x)
	}
	var loss [1]float32
	targets := [1]int{4}
	grad := make([]float32, len(x))
	err := LogSoftmaxNLL(loss[:], Row(x), targets[:])
	var errs [2]error
	losses[0] = float64(loss[0])
	losses[1], errs[0] = CrossEntropy(Row(x), targets[:], nil)
	losses[2], errs[1] = CrossEntropyGrad(Row(grad), Row(x), targets[:], nil)
	if errors.Join(err, errs[0], errs[1]) != nil {
		return [3]float64{-1}
	}
	for _, v := range grad {
		losses[2] += float64(v) * float64(v)
	}
	return losses
}
