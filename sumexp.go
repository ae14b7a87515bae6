package logits

import "math"

// sumExps holds what the log-sum-exps of some rows are: the sums of base, which is
// close to them, or the maximum, and log. A row of only -Inf has the base -Inf, which
// gives NaN for x - base, and 0 or NaN. In a row with a NaN or +Inf the logarithm is NaN.
type sumExps[T Float] struct {
	n         int // number of rows
	base      []T
	log       []float64
	sum, peak []T // of the rows' blocks, whose bases are in base at first

	// If dot is not nil: the sums of w (x - base) over the rows, those of their blocks
	// to the blocks' own bases, the weights, nil if they are 1, and their sums over
	// the blocks.
	dot     []float64
	dots    []T
	weight  []T
	weights []float64

	shift *shifting[T] // if not nil, what is done meanwhile; there is no dot then
}

// A shifting is the log-softmax of the row before: to is set to (from - max) - log.
type shifting[T Float] struct {
	to, from []T // to is aligned to 64 bytes, and both are whole steps
	max, log [1]T
	stream   int
}

// A room is memory for sumExps. What is on the stack has to be cleared, which
// one row would feel: only many rows, or long ones, are given a wide one.
type room[T Float] struct {
	parts [3 * tile]T
	log   [tile]float64
}

type wideRoom[T Float] struct {
	parts [3 * wideTile]T
	log   [wideTile]float64
}

// isWide tells whether x needs a wide room.
func isWide[T Float](x *Matrix[T]) bool { return x.Rows > tile || x.Cols > cacheSize }

func (r *room[T]) give(t *sumExps[T]) { t.take(r.parts[:], r.log[:]) }

func (r *wideRoom[T]) give(t *sumExps[T]) { t.take(r.parts[:], r.log[:]) }

func (t *sumExps[T]) take(parts []T, log []float64) {
	n := len(log)
	p := ptr(parts, 0)
	t.base = at(p, 0, n)
	t.sum = at(p, n, n)
	t.peak = at(p, 2*n, n)
	t.log = at(ptr(log, 0), 0, n)
}

// sumExpOf returns the base and the logarithm of one row.
func sumExpOf[T Float](k *kernels[T], row []T) (base T, log float64) {
	x := Row(row)
	var t sumExps[T]
	if !isWide(&x) {
		var r room[T]
		r.give(&t)
		t.next(k, &x, 0, nil)
		return t.base[0], t.log[0]
	}
	var r wideRoom[T]
	r.give(&t)
	t.next(k, &x, 0, nil)
	return t.base[0], t.log[0]
}

// next takes the rows from i, as many as there is room for, and asks pages ahead.
func (t *sumExps[T]) next(k *kernels[T], x *Matrix[T], i int, pages *pager[T]) {
	b := blocks(x.Cols)
	if b > chunkBlocks {
		t.n = 1
		s := newSum[T]()
		for off := 0; off < x.Cols; off += chunkSize {
			n := min(chunkSize, x.Cols-off)
			pages.aheadOf(i*x.Stride+off, n)
			t.sumExp(k, ptr(x.Data, i*x.Stride+off), off, 1, n, 0)
			s.add(t.base, t.sum, t.peak[:blocks(n)])
			if t.dot != nil {
				s.addDots(t.base, t.dots, t.weights[off/blockSize:][:blocks(n)])
			}
		}
		t.base[0], t.log[0] = s.result()
		if t.dot != nil {
			t.dot[0] = s.dotTo(t.base[0])
		}
	} else {
		t.n = min(len(t.base), x.Rows-i)
		if b > 1 {
			t.n = min(len(t.base)/b, x.Rows-i)
		}
		pages.ahead(i, t.n)
		if x.Cols <= k.mediumCols {
			t.short(k, x.Data[i*x.Stride:], t.n, x.Cols, x.Stride)
			return
		}
		t.sumExp(k, ptr(x.Data, i*x.Stride), 0, t.n, x.Cols, x.Stride)
		log := t.log[:t.n]
		for j := range log {
			if b == 1 { // as result does
				sum, peak := t.sum[j], t.peak[j]
				one := peak == t.base[j]
				if one || peak < lowest[T]() && sum > 0 {
					log[j] = float64(sum)
					if !one {
						log[j]--
					}
					if t.dot != nil {
						t.dot[j] = float64(t.dots[j])
					}
					continue
				}
			}
			s := newSum[T]()
			s.add(t.base[j*b:], t.sum[j*b:], t.peak[j*b:][:b])
			if t.dot != nil {
				s.addDots(t.base[j*b:], t.dots[j*b:], t.weights)
			}
			t.base[j], log[j] = s.result()
			if t.dot != nil {
				t.dot[j] = s.dotTo(t.base[j])
			}
		}
	}
	k.log1p(ptr(t.log, 0), t.n)
	if t.dot == nil {
		for j, log := range t.log[:t.n] {
			t.base[j], t.log[j] = nearest(t.base[j], log)
		}
	}
}

// nearest returns a base for a log-sum-exp that is as close to it as can be, and a
// logarithm: x - base and its sums then are as exact as with the maximum for a base.
func nearest[T Float](base T, log float64) (T, float64) {
	near := T(float64(base) + log)
	return near, (float64(base) - float64(near)) + log
}

// sumExp runs the kernel that finds what is wanted of rows from column off.
func (t *sumExps[T]) sumExp(k *kernels[T], x *T, off, rows, cols, stride int) {
	switch {
	case t.shift != nil:
		s := t.shift
		off := min(off, len(s.to))
		k.shiftSumExp(ptr(t.base, 0), ptr(t.sum, 0), ptr(t.peak, 0), x, rows, cols, stride,
			ptr(s.to[off:], 0), ptr(s.from[off:], 0), ptr(s.max[:], 0), ptr(s.log[:], 0), min(len(s.to)-off, cols), s.stream)
	case t.dots == nil:
		k.sumExp(ptr(t.base, 0), ptr(t.sum, 0), ptr(t.peak, 0), x, rows, cols, stride)
	case t.weight == nil:
		k.sumExpDot(ptr(t.base, 0), ptr(t.sum, 0), ptr(t.peak, 0), ptr(t.dots, 0), x, rows, cols, stride)
	default:
		k.sumExpWeighted(ptr(t.base, 0), ptr(t.sum, 0), ptr(t.peak, 0), ptr(t.dots, 0), x, ptr(t.weight, off), rows, cols, stride)
	}
}

// short fills in what is known of rows of at most mediumCols columns.
func (t *sumExps[T]) short(k *kernels[T], x []T, rows, cols, stride int) {
	max, log := ptr(t.base, 0), ptr(t.log, 0)
	if t.dots == nil {
		shortSoftmax(k, nil, nil, max, log, log, ptr(x, 0), rows, cols, 0, stride, len(x))
		return
	}
	shortSoftmaxDot(k, nil, nil, nil, max, log, log, ptr(t.dots, 0), ptr(x, 0), ptr(t.weight, 0), rows, cols, 0, stride, len(x))
	widen(t.dot, t.dots[:rows])
}

// shortSoftmax runs the kernel for rows of at most mediumCols columns.
func shortSoftmax[T Float](k *kernels[T], dst, scale, max *T, sum, log *float64, x *T, rows, cols, dstStride, stride, size int) {
	if cols <= shortCols {
		k.shortSoftmax(dst, scale, max, sum, log, x, rows, cols, dstStride, stride, size)
		return
	}
	n := mediumRows(cols)
	for i := 0; i < rows; i += n {
		k.mediumSoftmax(from(dst, i*dstStride), from(scale, i), from(max, i), from(sum, i), from(log, i), from(x, i*stride),
			min(n, rows-i), cols, dstStride, stride, size-i*stride)
	}
	if log != nil {
		k.log1p(log, rows)
	}
}

func shortSoftmaxDot[T Float](k *kernels[T], dst, scale, add, max *T, sum, log *float64, dot, x, w *T, rows, cols, dstStride, stride, size int) {
	if cols <= shortCols {
		k.shortSoftmaxDot(dst, scale, add, max, sum, log, dot, x, w, rows, cols, dstStride, stride, size)
		return
	}
	if w == nil {
		b := buffers.Get().(*[]float64)
		defer buffers.Put(b)
		s := scratch[T](b, cols)
		fill(s[:cols], 1)
		w = ptr(s, 0)
	}
	n := mediumRows(cols)
	for i := 0; i < rows; i += n {
		k.mediumSoftmaxDot(from(dst, i*dstStride), from(scale, i), from(add, i), from(max, i), from(sum, i), from(log, i), from(dot, i), from(x, i*stride), w,
			min(n, rows-i), cols, dstStride, stride, size-i*stride)
	}
	k.log1p(log, rows)
}

// mediumRows is the number of rows that mediumSoftmax does at once: 32 KB of them, which
// stay in the first-level cache.
func mediumRows(cols int) int { return max(tile, min(wideTile, nearSize/cols/tile*tile)) }

// from returns the address n elements behind p, or nil if p is nil.
func from[T any](p *T, n int) *T {
	if p == nil {
		return nil
	}
	return &at(p, n, 1)[0]
}

func widen[T Float](dst []float64, x []T) {
	dst = dst[:len(x)]
	for i, v := range x {
		dst[i] = float64(v)
	}
}

// A rowDot is the sum of w (x - base) over a row, w being 1 if there are no
// weights, and has the sums of the weights over its blocks.
type rowDot[T Float] struct {
	weight  []T
	weights []float64
	sum     float64
}

// spreadSumExp returns the base and the logarithm of one long row, using w
// goroutines, and fills in dot unless it is nil.
func spreadSumExp[T Float](w int, k *kernels[T], row []T, dot *rowDot[T]) (base T, log float64) {
	n := blocks(len(row))
	parts := make([]T, 4*n)
	bases, part, peaks, dots := parts[:n], parts[n:2*n], parts[2*n:3*n], parts[3*n:]
	var weight []T
	if dot != nil {
		weight = dot.weight
	} else {
		dots = nil
	}
	spreadChunks(w, len(row), func(c, off, n int) {
		t := sumExps[T]{base: bases[c*chunkBlocks:], sum: part[c*chunkBlocks:], peak: peaks[c*chunkBlocks:]}
		if dots != nil {
			t.dots, t.weight = dots[c*chunkBlocks:], weight
		}
		t.sumExp(k, ptr(row, off), off, 1, n, 0)
	})
	s := newSum[T]()
	for i := 0; i < n; i += chunkBlocks {
		peaks := peaks[i:min(i+chunkBlocks, n)]
		s.add(bases[i:], part[i:], peaks)
		if dot != nil {
			s.addDots(bases[i:], dots[i:], dot.weights[i:][:len(peaks)])
		}
	}
	logs := make([]float64, 1)
	base, logs[0] = s.result()
	k.log1p(ptr(logs, 0), 1)
	if dot != nil {
		dot.sum = s.dotTo(base)
		return base, logs[0]
	}
	return nearest(base, logs[0])
}

// blocks returns the number of blocks of a row.
func blocks(cols int) int { return (cols + blockSize - 1) / blockSize }

// A sum is a running sum of blocks, e^base being 1: but for the peak, unless that is
// -Inf, which is an element that may be most of it. The base is one, too.
type sum[T Float] struct {
	base, peak T
	sum        float64
	d, e       float64 // a difference of bases, and e^d

	dot, weight float64 // the sum of w (x - dotBase), and of w
	dotBase     T
}

func newSum[T Float]() sum[T] {
	none := T(math.Inf(-1))
	return sum[T]{base: none, peak: none, e: 1}
}

// add adds len(peak) blocks.
func (s *sum[T]) add(base, part, peak []T) {
	none := T(math.Inf(-1))
	for i, peak := range peak {
		p, d := float64(part[i]), float64(base[i])-float64(s.base)
		switch {
		case d > 0:
			if s.sum != 0 { // it is 0 in front of the first block
				p += float64(s.sum * expBelow[T](-d))
			}
			s.base, s.sum = base[i], p
		case d == 0:
			s.sum += p
		default:
			if d != s.d {
				s.d, s.e = d, expBelow[T](d)
			}
			s.sum += float64(p * s.e)
		}
		if peak > s.peak {
			peak, s.peak = s.peak, peak
		}
		if peak != none {
			s.fold(peak)
		}
		if s.peak < s.base && s.peak != none { // it is not the greatest element
			s.fold(s.peak)
			s.peak = none
		}
	}
}

// expBelow returns e^d for d up to 128, as exact as sums of T are.
func expBelow[T Float](d float64) float64 {
	if is32[T]() {
		return exp32Below(d)
	}
	return exp64(d)
}

func (s *sum[T]) fold(peak T) { s.sum += exp64(float64(peak) - float64(s.base)) }

// addDots adds the dots of blocks, which were given to add, and whose weights have
// these sums.
func (s *sum[T]) addDots(base, dots []T, weights []float64) {
	s.dot = s.dotTo(s.base)
	s.dotBase = s.base
	for i, w := range weights {
		s.dot += float64(dots[i])
		if base[i] != s.base {
			s.dot += float64(w * (float64(base[i]) - float64(s.base)))
		}
		s.weight += w
	}
}

// dotTo returns the dot to another base.
func (s *sum[T]) dotTo(base T) float64 {
	if s.dotBase == base || s.weight == 0 {
		return s.dot
	}
	return s.dot + float64(s.weight*(float64(s.dotBase)-float64(base)))
}

// result returns a base and what the log-sum-exp is greater by, before log1p.
func (s *sum[T]) result() (T, float64) {
	none := T(math.Inf(-1))
	switch {
	case s.peak == s.base:
		return s.peak, s.sum
	case s.peak != none:
		return s.peak, float64(s.sum * exp64(float64(s.base)-float64(s.peak)))
	case s.sum == 0:
		return none, 0
	}
	return s.base, s.sum - 1
}
