package logits

import (
	"math"
	"unsafe"
)

// The portable kernels. They compute in float64 and round once, so that they
// are more exact than the assembly, and products are wrapped in conversions so
// that no compiler fuses them: their bits are the same everywhere.

func genericKernels[T Float]() kernels[T] {
	return kernels[T]{
		name:        "generic",
		pages:       func(*T, int) {},
		max:         maxGeneric[T],
		min:         minGeneric[T],
		argMax:      argMaxGeneric[T],
		sum:         sumGeneric[T],
		exp:         expGeneric[T],
		log1p:       log1pGeneric,
		expSum:      expSumGeneric[T],
		scale:       scaleGeneric[T],
		scaleExpSum: scaleExpSumGeneric[T],

		expSumDot:      expSumDotGeneric[T],
		expSumWeighted: expSumWeightedGeneric[T],

		scaleExpSumDot:      scaleExpSumDotGeneric[T],
		scaleExpSumWeighted: scaleExpSumWeightedGeneric[T],

		sumExp:         sumExpGeneric[T],
		sumExpDot:      sumExpDotGeneric[T],
		shiftSumExp:    shiftSumExpGeneric[T],
		sumExpWeighted: sumExpWeightedGeneric[T],

		shortSoftmax:    shortSoftmaxGeneric[T],
		shortSoftmaxDot: shortSoftmaxDotGeneric[T],
		mediumCols:      shortCols,

		dot: dotGeneric[T],

		scaleWeighted: scaleWeightedGeneric[T],

		addScaled:    addScaledGeneric[T],
		square:       squareGeneric[T],
		squareGrad:   squareGradGeneric[T],
		distance:     distanceGeneric[T],
		distanceGrad: distanceGradGeneric[T],

		hinge:            hingeGeneric[T],
		hingeGrad:        hingeGradGeneric[T],
		squaredHingeGrad: squaredHingeGradGeneric[T],
		cross:            crossGeneric[T],

		inner:          innerGeneric[T],
		softmaxGrad:    softmaxGradGeneric[T],
		logSoftmaxGrad: logSoftmaxGradGeneric[T],

		planarSumExp:     planarSumExpGeneric[T],
		planarSumExpDot:  planarSumExpDotGeneric[T],
		planarSoftmax:    planarSoftmaxGeneric[T],
		planarSoftmaxDot: planarSoftmaxDotGeneric[T],
		planarProbs:      planarProbsGeneric[T],
		planarProbsGrad:  planarProbsGradGeneric[T],
		planarShift:      planarShiftGeneric[T],
		shift:            shiftGeneric[T],

		planarInner:          planarInnerGeneric[T],
		planarSoftmaxGrad:    planarSoftmaxGradGeneric[T],
		planarLogSoftmaxGrad: planarLogSoftmaxGradGeneric[T],
	}
}

// at returns the element i places after p as a slice of n.
func at[T any](p *T, i, n int) []T {
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(p), i*int(unsafe.Sizeof(*p)))), n)
}

// first returns the index of the first maximum of x, or of the first NaN.
func first[T Float](x []T) int {
	best, m := 0, x[0]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		// Four at a time: few of them are greater than the maximum so far.
		if v := x[i : i+4 : i+4]; v[0] <= m && v[1] <= m && v[2] <= m && v[3] <= m {
			continue
		}
		for j := i; j < i+4; j++ {
			if !(x[j] <= m) {
				best, m = j, x[j]
				if m != m {
					return best
				}
			}
		}
	}
	for ; i < len(x); i++ {
		if !(x[i] <= m) {
			best, m = i, x[i]
			if m != m {
				break
			}
		}
	}
	return best
}

func maxGeneric[T Float](dst, x *T, rows, cols, stride int) {
	out := at(dst, 0, rows)
	for i := range out {
		x := at(x, i*stride, cols)
		out[i] = x[first(x)]
	}
}

func minGeneric[T Float](dst, x *T, rows, cols, stride int) {
	out := at(dst, 0, rows)
	for i := range out {
		x := at(x, i*stride, cols)
		m := x[0]
		for ; len(x) >= 4; x = x[4:] {
			// Few elements are less than the minimum so far.
			if !(x[0] >= m && x[1] >= m && x[2] >= m && x[3] >= m) {
				m = min(m, x[0], x[1], x[2], x[3])
			}
		}
		for _, v := range x {
			m = min(m, v)
		}
		out[i] = m
	}
}

func argMaxGeneric[T Float](dst *int, x *T, rows, cols, stride int) {
	out := at(dst, 0, rows)
	for i := range out {
		out[i] = first(at(x, i*stride, cols))
	}
}

func sumGeneric[T Float](dst *float64, x *T, rows, cols, stride int) {
	out := at(dst, 0, rows)
	for i := range out {
		x := at(x, i*stride, cols)
		var s0, s1, s2, s3 float64
		for ; len(x) >= 4; x = x[4:] {
			s0 += float64(x[0])
			s1 += float64(x[1])
			s2 += float64(x[2])
			s3 += float64(x[3])
		}
		for _, v := range x {
			s0 += float64(v)
		}
		out[i] = (s0 + s1) + (s2 + s3)
	}
}

func expGeneric[T Float](dst, x *T, n, _ int) {
	out, in := at(dst, 0, n), at(x, 0, n)
	if is32[T]() {
		for i, v := range in {
			out[i] = T(exp32(float64(v)))
		}
		return
	}
	for i, v := range in {
		out[i] = T(exp64(float64(v)))
	}
}

func shiftSumExpGeneric[T Float](base, sum, peak, x *T, rows, cols, stride int, to, from, max, log *T, n, _ int) {
	shiftGeneric(to, from, max, log, 1, n, 0, 0, 0)
	sumExpGeneric(base, sum, peak, x, rows, cols, stride)
}

func sumExpGeneric[T Float](base, sum, peak, x *T, rows, cols, stride int) {
	sumExpWeightedGeneric(base, sum, peak, nil, x, nil, rows, cols, stride)
}

func sumExpDotGeneric[T Float](base, sum, peak, dot, x *T, rows, cols, stride int) {
	sumExpWeightedGeneric(base, sum, peak, dot, x, nil, rows, cols, stride)
}

// sumExpWeightedGeneric does without what is nil.
func sumExpWeightedGeneric[T Float](base, sum, peak, dot, x, w *T, rows, cols, stride int) {
	n := blocks(cols)
	bases, sums, peaks := at(base, 0, rows*n), at(sum, 0, rows*n), at(peak, 0, rows*n)
	for i := range rows {
		x := at(x, i*stride, cols)
		m := lowest[T]()
		for b := range n {
			block := x[b*blockSize : min((b+1)*blockSize, cols)]
			var weights []T
			if w != nil {
				weights = at(w, b*blockSize, len(block))
			}
			var top int
			m, top = greater(block, m)
			var s, d float64
			p := T(math.Inf(-1))
			if top >= 0 {
				s, d = sumOfExp(block[:top], weights, m, dot != nil)
				s += float64(m - m) // NaN for +Inf
				block = block[top+1:]
				if w != nil {
					weights = weights[top+1:]
				}
				p = m
			}
			t, e := sumOfExp(block, weights, m, dot != nil)
			bases[i*n+b], sums[i*n+b], peaks[i*n+b] = m, T(s+t), p
			if dot != nil {
				at(dot, i*n+b, 1)[0] = T(d + e)
			}
		}
	}
}

// greater returns the greatest element of x that is greater than m, and its index, or m
// and -1.
func greater[T Float](x []T, m T) (T, int) {
	top, i := -1, 3
	for ; i < len(x); i += 4 {
		if x[i-3] > m || x[i-2] > m || x[i-1] > m || x[i] > m {
			for j, v := range x[i-3:][:4] {
				if v > m {
					m, top = v, i-3+j
				}
			}
		}
	}
	for i -= 3; i < len(x); i++ {
		if v := x[i]; v > m {
			m, top = v, i
		}
	}
	return m, top
}

// sumOfExp returns the sum of e^(x-m) and, if it is to, that of x - m, times the
// weights if there are some.
func sumOfExp[T Float](x, weights []T, m T, dots bool) (sum, dot float64) {
	var s, t float64
	switch {
	case !is32[T]():
		for _, v := range x {
			s += exp64(float64(v) - float64(m))
		}
		if dots {
			dot = dotOf(x, weights, m)
		}
	case !dots:
		m, i := float64(m), 1
		for ; i < len(x); i += 2 {
			s += exp32Below(float64(x[i-1]) - m)
			t += exp32Below(float64(x[i]) - m)
		}
		if i == len(x) {
			s += exp32Below(float64(x[i-1]) - m)
		}
	default:
		// While an exponential is computed, there is time for more.
		for i, v := range x {
			d := float64(v) - float64(m)
			s, t = t, s+exp32Below(d)
			if weights != nil {
				d = float64(float64(weights[i]) * d)
			}
			dot += d
		}
	}
	return s + t, dot
}

// dotOf returns the sum of x - m, times the weights if there are some.
func dotOf[T Float](x, weights []T, m T) float64 {
	var dot float64
	for i, v := range x {
		d := float64(v) - float64(m)
		if weights != nil {
			d = float64(float64(weights[i]) * d)
		}
		dot += d
	}
	return dot
}

// lowest is the least finite T: a row's maximum starts there and not at -Inf,
// so that masked elements never meet -Inf - -Inf.
func lowest[T Float]() T {
	if is32[T]() {
		return T(-math.MaxFloat32)
	}
	f := -math.MaxFloat64
	return T(f)
}

func log1pGeneric(x *float64, n int) {
	xs := at(x, 0, n)
	for i, s := range xs {
		xs[i] = log1p64(s)
	}
}

func expSumGeneric[T Float](dst, base, sum, more, x *T, rows, cols, dstStride, stride int) {
	expSumWeightedGeneric(dst, base, sum, more, nil, x, nil, rows, cols, dstStride, stride)
}

func expSumDotGeneric[T Float](dst, base, sum, more, dot, x *T, rows, cols, dstStride, stride int) {
	expSumWeightedGeneric(dst, base, sum, more, dot, x, nil, rows, cols, dstStride, stride)
}

// expSumWeightedGeneric does without what is nil.
func expSumWeightedGeneric[T Float](dst, base, sum, more, dot, x, w *T, rows, cols, dstStride, stride int) {
	n := blocks(cols)
	bases, sums := at(base, 0, rows*n), at(sum, 0, rows*n)
	clear(at(more, 0, rows*n))
	for i := range rows {
		m := lowest[T]()
		for b := range n {
			first := b * blockSize
			size := min(blockSize, cols-first)
			in, out := at(x, i*stride+first, size), at(dst, i*dstStride+first, size)
			m, _ = greater(in, m)
			var weights []T
			if w != nil {
				weights = at(w, first, size)
			}
			var s, d float64
			switch {
			case !is32[T]():
				if dot != nil {
					d = dotOf(in, weights, m)
				}
				for j, v := range in {
					e := exp64(float64(v) - float64(m))
					out[j] = T(e)
					s += e
				}
			case dot == nil:
				m := float64(m)
				for j, v := range in {
					e := exp32Below(float64(v) - m)
					out[j] = T(e)
					s += e
				}
			default:
				for j, v := range in {
					x := float64(v) - float64(m)
					e := exp32Below(x)
					out[j] = T(e)
					s += e
					if weights != nil {
						x = float64(float64(weights[j]) * x)
					}
					d += x
				}
			}
			if dot != nil {
				at(dot, i*n+b, 1)[0] = T(d)
			}
			bases[i*n+b], sums[i*n+b] = m, T(s)
		}
	}
}

func scaleExpSumGeneric[T Float](dst, base, sum, more, x *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, _ int) {
	scaleGeneric(to, dst, factor, add, rows, cols, toStride, dstStride)
	expSumGeneric(dst, base, sum, more, x, rows, cols, dstStride, stride)
}

func scaleExpSumDotGeneric[T Float](dst, base, sum, more, dot, x *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, _ int) {
	scaleGeneric(to, dst, factor, add, rows, cols, toStride, dstStride)
	expSumDotGeneric(dst, base, sum, more, dot, x, rows, cols, dstStride, stride)
}

func scaleExpSumWeightedGeneric[T Float](dst, base, sum, more, dot, x, w *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, _ int) {
	scaleWeightedGeneric(to, dst, factor, add, w, rows, cols, toStride, dstStride)
	expSumWeightedGeneric(dst, base, sum, more, dot, x, w, rows, cols, dstStride, stride)
}

func shortSoftmaxGeneric[T Float](dst, scale, max *T, sum, log *float64, x *T, rows, cols, dstStride, stride, _ int) {
	shortSoftmaxDotGeneric(dst, scale, nil, max, sum, log, nil, x, nil, rows, cols, dstStride, stride, 0)
}

// shortSoftmaxDotGeneric does without what is nil.
func shortSoftmaxDotGeneric[T Float](dst, scale, add, max *T, sum, log *float64, dot, x, w *T, rows, cols, dstStride, stride, _ int) {
	var e, weights [shortCols]float64
	for j := range cols {
		weights[j] = 1
		if w != nil {
			weights[j] = float64(at(w, j, 1)[0])
		}
	}
	for i := range rows {
		x, e := at(x, i*stride, cols), e[:cols]
		m := x[0]
		for _, v := range x[1:] {
			if v > m {
				m = v
			}
		}
		if dot != nil {
			var s, t float64
			for j, v := range x {
				s, t = t, s+float64(weights[j]*(float64(v)-float64(m)))
			}
			at(dot, i, 1)[0] = T(s + t)
		}
		if is32[T]() {
			m := float64(m)
			for j, v := range x {
				e[j] = exp32Below(float64(v) - m)
			}
		} else {
			for j, v := range x {
				e[j] = exp64(float64(v) - float64(m))
			}
		}
		var s, t, one float64
		for _, v := range e {
			if v == 1 {
				v = 0
				one++
			}
			s, t = t, s+v
		}
		s += t
		if max != nil {
			at(max, i, 1)[0] = m
			rest := float64(T(s)) + (one - 1)
			at(sum, i, 1)[0] = rest
			at(log, i, 1)[0] = rest
		}
		if dst == nil {
			continue
		}
		f := 1 / (s + one)
		if scale != nil {
			f = float64(at(scale, i, 1)[0]) / (s + one)
		}
		out := at(dst, i*dstStride, cols)
		if add == nil {
			for j, v := range e {
				out[j] = T(v * f)
			}
			continue
		}
		add := float64(at(add, i, 1)[0])
		for j, v := range e {
			out[j] = T(float64(v*f) + float64(weights[j]*add))
		}
	}
	if log != nil { // apart from the rows, whose arithmetic would wait for it
		log1pGeneric(log, rows)
	}
}

func scaleGeneric[T Float](dst, x, factor, add *T, rows, cols, dstStride, stride int) {
	n := blocks(cols)
	for i, f := range at(factor, 0, rows*n) {
		first := i % n * blockSize
		size := min(blockSize, cols-first)
		out, x := at(dst, i/n*dstStride+first, size), at(x, i/n*stride+first, size)
		if add == nil {
			for j, v := range x {
				out[j] = v * f
			}
			continue
		}
		f, c := float64(f), float64(at(add, i/n, 1)[0])
		for j, v := range x {
			out[j] = T(float64(float64(v)*f) + c)
		}
	}
}

func scaleWeightedGeneric[T Float](dst, x, factor, add, w *T, rows, cols, dstStride, stride int) {
	n := blocks(cols)
	for i, f := range at(factor, 0, rows*n) {
		c, first := float64(at(add, i/n, 1)[0]), i%n*blockSize
		size := min(blockSize, cols-first)
		x, out := at(x, i/n*stride+first, size), at(dst, i/n*dstStride+first, size)
		for j, w := range at(w, first, size) {
			out[j] = T(float64(float64(x[j])*float64(f)) + float64(float64(w)*c))
		}
	}
}

func addScaledGeneric[T Float](dst, x, factor *T, rows, cols, dstStride, stride int) {
	for i, f := range at(factor, 0, rows) {
		out := at(dst, i*dstStride, cols)
		for j, v := range at(x, i*stride, cols) {
			out[j] = T(float64(out[j]) + float64(float64(v)*float64(f)))
		}
	}
}

func squareGeneric[T Float](dst *float64, x, y *T, rows, cols, stride, yStride int) {
	for i := range rows {
		var s0, s1 float64
		y := at(y, i*yStride, cols)
		for j, v := range at(x, i*stride, cols) {
			d := float64(v) - float64(y[j])
			s0, s1 = s1, s0+float64(d*d)
		}
		at(dst, i, 1)[0] = s0 + s1
	}
}

func squareGradGeneric[T Float](dst *float64, grad, x, y, scale *T, rows, cols, gradStride, stride, yStride, _ int) {
	c := 2 * float64(*scale)
	for i := range rows {
		var s0, s1 float64
		y, g := at(y, i*yStride, cols), at(grad, i*gradStride, cols)
		for j, v := range at(x, i*stride, cols) {
			d := float64(v) - float64(y[j])
			s0, s1 = s1, s0+float64(d*d)
			g[j] = T(float64(d * c))
		}
		at(dst, i, 1)[0] = s0 + s1
	}
}

func distanceGeneric[T Float](dst *float64, x, y *T, rows, cols, stride, yStride int) {
	for i := range rows {
		var s0, s1 float64
		y := at(y, i*yStride, cols)
		for j, v := range at(x, i*stride, cols) {
			s0, s1 = s1, s0+math.Abs(float64(v)-float64(y[j]))
		}
		at(dst, i, 1)[0] = s0 + s1
	}
}

func distanceGradGeneric[T Float](dst *float64, grad, x, y, scale *T, rows, cols, gradStride, stride, yStride, _ int) {
	c := *scale
	for i := range rows {
		var s0, s1 float64
		y, g := at(y, i*yStride, cols), at(grad, i*gradStride, cols)
		for j, v := range at(x, i*stride, cols) {
			d := float64(v) - float64(y[j])
			s0, s1 = s1, s0+math.Abs(d)
			switch {
			case d > 0:
				g[j] = c
			case d < 0:
				g[j] = -c
			default:
				g[j] = T(d * 0) // 0, or a NaN
			}
		}
		at(dst, i, 1)[0] = s0 + s1
	}
}

// hingeBlock is how many terms are added up before they go to the sum: of thousands that
// are the same, all sums would be rounded the same way.
const hingeBlock = 256

// hingeOf returns max(0, z), and 1 where it is positive and 0 elsewhere, both NaN for a NaN:
// without a branch, as they are as likely as not.
func hingeOf(z float64) (h, step float64) {
	bits := int64(math.Float64bits(z))
	bits &^= bits >> 63
	h, step = math.Float64frombits(uint64(bits)), math.Float64frombits(uint64(-bits>>63)&0x3ff0000000000000)
	if z != z {
		return z, z
	}
	return h, step
}

func hingeGeneric[T Float](sum *float64, x *T, shift *float64, n int) {
	s := at(sum, 0, 2)
	clear(s)
	for x := at(x, 0, n); len(x) > 0; x = x[min(hingeBlock, len(x)):] {
		var h0, h1, s0, s1 float64
		for _, v := range x[:min(hingeBlock, len(x))] {
			h, _ := hingeOf(float64(v) + *shift)
			h0, h1 = h1, h0+h
			s0, s1 = s1, s0+float64(h*h)
		}
		s[0] += h0 + h1
		s[1] += s0 + s1
	}
}

func hingeGradGeneric[T Float](sum *float64, dst, x *T, shift, scale *float64, n int) {
	s, to, slope := at(sum, 0, 2), at(dst, 0, n), *scale
	clear(s)
	for x := at(x, 0, n); len(x) > 0; {
		m := min(hingeBlock, len(x))
		var h0, h1, d0, d1 float64
		for j, v := range x[:m] {
			h, d := hingeOf(float64(v) + *shift)
			to[j] = T(d * slope)
			h0, h1 = h1, h0+h
			d0, d1 = d1, d0+d
		}
		s[0] += h0 + h1
		s[1] += d0 + d1
		x, to = x[m:], to[m:]
	}
}

func squaredHingeGradGeneric[T Float](sum *float64, dst, x *T, shift, scale *float64, n int) {
	s, to, slope := at(sum, 0, 2), at(dst, 0, n), *scale
	clear(s)
	for x := at(x, 0, n); len(x) > 0; {
		m := min(hingeBlock, len(x))
		var s0, s1, d0, d1 float64
		for j, v := range x[:m] {
			h, _ := hingeOf(float64(v) + *shift)
			d := 2 * h
			to[j] = T(d * slope)
			s0, s1 = s1, s0+float64(h*h)
			d0, d1 = d1, d0+d
		}
		s[0] += s0 + s1
		s[1] += d0 + d1
		x, to = x[m:], to[m:]
	}
}

func dotGeneric[T Float](dst *float64, x, base, y *T, rows, cols, stride, yStride int) {
	out, bases := at(dst, 0, rows), at(base, 0, rows)
	for i := range out {
		x, b := at(x, i*stride, cols), float64(bases[i])
		var s float64
		for j, y := range at(y, i*yStride, cols) {
			s += float64(float64(y) * (float64(x[j]) - b))
		}
		out[i] = s
	}
}

func shiftGeneric[T Float](dst, x, max, log *T, rows, cols, dstStride, stride, _ int) {
	logs := at(log, 0, rows)
	for i, m := range at(max, 0, rows) {
		out, m, l := at(dst, i*dstStride, cols), float64(m), float64(logs[i])
		for j, v := range at(x, i*stride, cols) {
			out[j] = T((float64(v) - m) - l)
		}
	}
}

func innerGeneric[T Float](dst *float64, x, y *T, rows, cols, stride, yStride int) {
	out := at(dst, 0, rows)
	for i := range out {
		x := at(x, i*stride, cols)
		var s float64
		if y == nil {
			for _, v := range x {
				s += float64(v)
			}
		} else {
			y := at(y, i*yStride, cols)
			for j, v := range x {
				s += float64(float64(v) * float64(y[j]))
			}
		}
		out[i] = s
	}
}

func softmaxGradGeneric[T Float](dst, x, y *T, s *float64, rows, cols, dstStride, stride, yStride, _ int) {
	for i, s := range at(s, 0, rows) {
		out, y := at(dst, i*dstStride, cols), at(y, i*yStride, cols)
		for j, v := range at(x, i*stride, cols) {
			out[j] = T(float64(v) * (float64(y[j]) - s))
		}
	}
}

func logSoftmaxGradGeneric[T Float](dst, x, y *T, s *float64, rows, cols, dstStride, stride, yStride, _ int) {
	for i, s := range at(s, 0, rows) {
		out, y := at(dst, i*dstStride, cols), at(y, i*yStride, cols)
		for j, v := range at(x, i*stride, cols) {
			e := float64(v)
			if is32[T]() {
				e = exp32(e)
			} else {
				e = exp64(e)
			}
			out[j] = T(float64(y[j]) + float64(e*s))
		}
	}
}

func planarSumExpGeneric[T Float](max *T, sum, log *float64, x, scratch *T, n, classes, stride int) {
	planarSoftmaxDotGeneric(nil, nil, nil, max, sum, log, nil, x, nil, scratch, n, classes, 0, stride)
}

func planarSumExpDotGeneric[T Float](max *T, sum, log *float64, dot, x, w, scratch *T, n, classes, stride int) {
	planarSoftmaxDotGeneric(nil, nil, nil, max, sum, log, dot, x, w, scratch, n, classes, 0, stride)
}

func planarSoftmaxGeneric[T Float](dst, scale, max *T, sum, log *float64, x, scratch *T, n, classes, dstStride, stride int) {
	planarSoftmaxDotGeneric(dst, scale, nil, max, sum, log, nil, x, nil, scratch, n, classes, dstStride, stride)
}

// planarSoftmaxDotGeneric does without what is nil.
func planarSoftmaxDotGeneric[T Float](dst, scale, add, max *T, sum, log *float64, dot, x, w, scratch *T, n, classes, dstStride, stride int) {
	maxs, buf, all := at(max, 0, n), at(scratch, 0, classes), at(x, 0, (classes-1)*stride+n)
	var weights []T
	if w != nil {
		weights = at(w, 0, classes)
	}
	for i := range maxs {
		m := T(math.Inf(-1)) // alone, it gives NaN
		from := i
		for c := range buf {
			v := all[from]
			from += stride
			buf[c] = v
			if v > m {
				m = v
			}
		}
		if dot != nil {
			var s float64
			for c, w := range weights {
				s += float64(float64(w) * (float64(buf[c]) - float64(m)))
			}
			at(dot, i, 1)[0] = T(s)
		}
		var s float64
		ones := 0
		for c, v := range buf {
			e := float64(v) - float64(m)
			if is32[T]() {
				e = exp32Below(e)
			} else {
				e = exp64(e)
			}
			buf[c] = T(e)
			if e == 1 {
				ones++
			} else {
				s += e
			}
		}
		rest := s + float64(ones-1)
		maxs[i] = m
		if log != nil {
			at(sum, i, 1)[0] = rest
			at(log, i, 1)[0] = log1p64(rest)
		}
		if dst == nil {
			continue
		}
		f := float64(at(scale, i, 1)[0]) / (s + float64(ones))
		for c, e := range buf {
			p := float64(float64(e) * f)
			if add != nil {
				p += float64(float64(weights[c]) * float64(at(add, i, 1)[0]))
			}
			at(dst, i+c*dstStride, 1)[0] = T(p)
		}
	}
}

func planarProbsGeneric[T Float](max *T, sum, log *float64, mass, dot, x, q, w, smooth, scratch *T, n, classes, stride int) {
	planarProbsGradGeneric(nil, nil, max, sum, log, mass, dot, x, q, w, smooth, scratch, n, classes, 0, stride)
}

// planarProbsGradGeneric does without dst and scale if they are nil.
func planarProbsGradGeneric[T Float](dst, scale, max *T, sum, log *float64, mass, dot, x, q, w, smooth, scratch *T, n, classes, dstStride, stride int) {
	maxs, sums, logs := at(max, 0, n), at(sum, 0, n), at(log, 0, n)
	weights, keep, share := at(w, 0, classes), float64(at(smooth, 0, 1)[0]), float64(at(smooth, 1, 1)[0])
	var targets []T
	if dst != nil {
		targets = at(scratch, classes, classes)
	}
	for i := range maxs {
		m := T(math.Inf(-1)) // alone, it gives NaN
		for c := range weights {
			if v := at(x, i+c*stride, 1)[0]; v > m {
				m = v
			}
		}
		var all, s float64
		for c, w := range weights {
			t := float64((float64(keep*float64(at(q, i+c*stride, 1)[0])) + share) * float64(w))
			all += t
			if t != 0 {
				s += float64(t * (float64(at(x, i+c*stride, 1)[0]) - float64(m)))
			}
			if dst != nil {
				targets[c] = T(t)
			}
		}
		at(mass, i, 1)[0], at(dot, i, 1)[0] = T(all), T(s)
		from := &at(x, i, 1)[0]
		if dst == nil {
			planarSumExpGeneric(&maxs[i], &sums[i], &logs[i], from, scratch, 1, classes, stride)
			continue
		}
		up := float64(at(scale, i, 1)[0])
		f := T(float64(up * all))
		planarSoftmaxGeneric(&at(dst, i, 1)[0], &f, &maxs[i], &sums[i], &logs[i], from, scratch, 1, classes, dstStride, stride)
		for c, t := range targets {
			g := &at(dst, i+c*dstStride, 1)[0]
			*g = T(float64(*g) - float64(up*float64(t)))
		}
	}
}

func planarShiftGeneric[T Float](dst, x, max, log *T, n, classes, stride, stream int) {
	maxs, logs := at(max, 0, n), at(log, 0, n)
	for c := range classes {
		out := at(dst, c*stride, n)
		for i, v := range at(x, c*stride, n) {
			out[i] = T((float64(v) - float64(maxs[i])) - float64(logs[i]))
		}
	}
}

func planarInnerGeneric[T Float](dst *float64, x, y, xCopy, yCopy *T, n, classes, stride int) {
	sums := at(dst, 0, n)
	clear(sums)
	for c := range classes {
		x := at(x, c*stride, n)
		copy(at(xCopy, c*n, n), x)
		if y == nil {
			for i, v := range x {
				sums[i] += float64(v)
			}
			continue
		}
		y := at(y, c*stride, n)
		copy(at(yCopy, c*n, n), y)
		for i, v := range x {
			sums[i] += float64(float64(v) * float64(y[i]))
		}
	}
}

func planarSoftmaxGradGeneric[T Float](dst, x, y, high, low *T, n, classes, dstStride, stride int) {
	highs, lows := at(high, 0, n), at(low, 0, n)
	for c := range classes {
		out, y := at(dst, c*dstStride, n), at(y, c*stride, n)
		for i, v := range at(x, c*stride, n) {
			out[i] = T(float64(v) * (float64(y[i]) - (float64(highs[i]) + float64(lows[i]))))
		}
	}
}

func planarLogSoftmaxGradGeneric[T Float](dst, x, y, s *T, n, classes, stride, yStride int) {
	sums := at(s, 0, n)
	for c := range classes {
		out, y := at(dst, c*stride, n), at(y, c*yStride, n)
		for i, v := range at(x, c*stride, n) {
			e := float64(v)
			if is32[T]() {
				e = exp32(e)
			} else {
				e = exp64(e)
			}
			out[i] = T(float64(y[i]) + float64(e*float64(sums[i])))
		}
	}
}

// crossGeneric is of use for all p and q.
func crossGeneric[T Float](sum *float64, p, q *T, n int) {
	s, b := at(sum, 0, 3), at(q, 0, n)
	clear(s)
	for i, v := range at(p, 0, n) {
		if v != 0 {
			s[0] += float64(float64(v) * log64(float64(b[i])))
		}
	}
}
