package logits

import "math"

// sumExps holds what the log-sum-exps of some rows come from: the maximum, and
// log1p of the sum of e^(x-max) over the row without its first maximum. A row of
// only -Inf has -Inf, which gives NaN for x - max, and 0 or NaN. In a row with a
// NaN or +Inf the logarithm is NaN.
type sumExps[T Float] struct {
	n         int // number of rows
	max       []T
	log       []float64
	sum, ones []T

	// If dot is not nil: the sums of w (x - max) over the rows, those of their
	// blocks to the blocks' own maxima, the weights, nil if they are 1, and their
	// sums over the blocks, if there are several.
	dot     []float64
	dots    []T
	weight  []T
	weights []float64
}

// A room is memory for sumExps. What is on the stack has to be cleared, which
// one row would feel: only many rows, or long ones, are given a wide one.
type room[T Float] struct {
	parts [3 * tile]T
	log   [tile]float64
}

type wideRoom[T Float] struct {
	parts [3 * chunkBlocks]T
	log   [chunkBlocks]float64
}

// isWide tells whether x needs a wide room.
func isWide[T Float](x *Matrix[T]) bool { return x.Rows > tile || x.Cols > cacheSize }

func (r *room[T]) give(t *sumExps[T]) { t.take(r.parts[:], r.log[:]) }

func (r *wideRoom[T]) give(t *sumExps[T]) { t.take(r.parts[:], r.log[:]) }

func (t *sumExps[T]) take(parts []T, log []float64) {
	n := len(log)
	p := ptr(parts, 0)
	t.max = at(p, 0, n)
	t.sum = at(p, n, n)
	t.ones = at(p, 2*n, n)
	t.log = at(ptr(log, 0), 0, n)
}

// sumExpOf returns the maximum and the logarithm of one row.
func sumExpOf[T Float](k *kernels[T], row []T) (m T, log float64) {
	x := Row(row)
	var t sumExps[T]
	if !isWide(&x) {
		var r room[T]
		r.give(&t)
		t.next(k, &x, 0, nil)
		return t.max[0], t.log[0]
	}
	var r wideRoom[T]
	r.give(&t)
	t.next(k, &x, 0, nil)
	return t.max[0], t.log[0]
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
			s.add(t.max, t.sum, t.ones[:blocks(n)])
			if t.dot != nil {
				s.addDots(t.max, t.dots, t.weights[off/blockSize:][:blocks(n)])
			}
		}
		t.max[0], t.log[0] = s.result()
		if t.dot != nil {
			t.dot[0] = s.dot
		}
	} else {
		t.n = min(len(t.max), x.Rows-i)
		if b > 1 {
			t.n = min(len(t.max)/b, x.Rows-i)
		}
		pages.ahead(i, t.n)
		if x.Cols <= k.mediumCols {
			t.short(k, ptr(x.Data, i*x.Stride), t.n, x.Cols, x.Stride)
			return
		}
		t.sumExp(k, ptr(x.Data, i*x.Stride), 0, t.n, x.Cols, x.Stride)
		if b == 1 && t.dot != nil {
			widen(t.dot, t.dots[:t.n])
		}
		log, sum := t.log[:t.n], t.sum[:t.n]
		for j, ones := range t.ones[:t.n] {
			if b == 1 && ones > 0 {
				log[j] = float64(sum[j]) + (float64(ones) - 1)
				continue
			}
			s := newSum[T]()
			s.add(t.max[j*b:], t.sum[j*b:], t.ones[j*b:][:b])
			if b > 1 && t.dot != nil {
				s.addDots(t.max[j*b:], t.dots[j*b:], t.weights)
				t.dot[j] = s.dot
			}
			t.max[j], log[j] = s.result()
		}
	}
	k.log1p(ptr(t.log, 0), t.n)
}

// sumExp runs the kernel that finds what is wanted of rows from column off.
func (t *sumExps[T]) sumExp(k *kernels[T], x *T, off, rows, cols, stride int) {
	switch {
	case t.dots == nil:
		k.sumExp(ptr(t.max, 0), ptr(t.sum, 0), ptr(t.ones, 0), x, rows, cols, stride)
	case t.weight == nil:
		k.sumExpDot(ptr(t.max, 0), ptr(t.sum, 0), ptr(t.ones, 0), ptr(t.dots, 0), x, rows, cols, stride)
	default:
		k.sumExpWeighted(ptr(t.max, 0), ptr(t.sum, 0), ptr(t.ones, 0), ptr(t.dots, 0), x, ptr(t.weight, off), rows, cols, stride)
	}
}

// short fills in what is known of rows of at most mediumCols columns.
func (t *sumExps[T]) short(k *kernels[T], x *T, rows, cols, stride int) {
	max, log := ptr(t.max, 0), ptr(t.log, 0)
	if t.dots == nil {
		shortSoftmax(k, nil, nil, max, log, log, x, rows, cols, 0, stride)
		return
	}
	shortSoftmaxDot(k, nil, nil, nil, max, log, log, ptr(t.dots, 0), x, ptr(t.weight, 0), rows, cols, 0, stride)
	widen(t.dot, t.dots[:rows])
}

// shortSoftmax runs the kernel for rows of at most mediumCols columns.
func shortSoftmax[T Float](k *kernels[T], dst, scale, max *T, sum, log *float64, x *T, rows, cols, dstStride, stride int) {
	if cols <= shortCols {
		k.shortSoftmax(dst, scale, max, sum, log, x, rows, cols, dstStride, stride)
		return
	}
	for i := 0; i < rows; i += tile {
		k.mediumSoftmax(from(dst, i*dstStride), from(scale, i), from(max, i), from(sum, i), from(log, i), from(x, i*stride),
			min(tile, rows-i), cols, dstStride, stride)
	}
}

func shortSoftmaxDot[T Float](k *kernels[T], dst, scale, add, max *T, sum, log *float64, dot, x, w *T, rows, cols, dstStride, stride int) {
	if cols <= shortCols {
		k.shortSoftmaxDot(dst, scale, add, max, sum, log, dot, x, w, rows, cols, dstStride, stride)
		return
	}
	if w == nil {
		b := buffers.Get().(*[]float64)
		defer buffers.Put(b)
		s := scratch[T](b, cols)
		fill(s[:cols], 1)
		w = ptr(s, 0)
	}
	for i := 0; i < rows; i += tile {
		k.mediumSoftmaxDot(from(dst, i*dstStride), from(scale, i), from(add, i), from(max, i), from(sum, i), from(log, i), from(dot, i), from(x, i*stride), w,
			min(tile, rows-i), cols, dstStride, stride)
	}
}

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

// A rowDot is the sum of w (x - max) over a row, w being 1 if there are no
// weights, and has the sums of the weights over its blocks.
type rowDot[T Float] struct {
	weight  []T
	weights []float64
	sum     float64
}

// spreadSumExp returns the maximum and the logarithm of one long row, using w
// goroutines, and fills in dot unless it is nil.
func spreadSumExp[T Float](w int, k *kernels[T], row []T, dot *rowDot[T]) (m T, log float64) {
	n := blocks(len(row))
	parts := make([]T, 4*n)
	max, part, ones, dots := parts[:n], parts[n:2*n], parts[2*n:3*n], parts[3*n:]
	var weight []T
	if dot != nil {
		weight = dot.weight
	} else {
		dots = nil
	}
	spreadChunks(w, len(row), func(c, off, n int) {
		t := sumExps[T]{max: max[c*chunkBlocks:], sum: part[c*chunkBlocks:], ones: ones[c*chunkBlocks:]}
		if dots != nil {
			t.dots, t.weight = dots[c*chunkBlocks:], weight
		}
		t.sumExp(k, ptr(row, off), off, 1, n, 0)
	})
	s := newSum[T]()
	for i := 0; i < n; i += chunkBlocks {
		ones := ones[i:min(i+chunkBlocks, n)]
		s.add(max[i:], part[i:], ones)
		if dot != nil {
			s.addDots(max[i:], dots[i:], dot.weights[i:][:len(ones)])
		}
	}
	if dot != nil {
		dot.sum = s.dot
	}
	logs := make([]float64, 1)
	m, logs[0] = s.result()
	k.log1p(ptr(logs, 0), 1)
	return m, logs[0]
}

// blocks returns the number of blocks of a row.
func blocks(cols int) int { return (cols + blockSize - 1) / blockSize }

// A sum is a running sum of blocks relative to the greatest maximum so far,
// with the elements that equal it counted apart.
type sum[T Float] struct {
	max       T
	sum, ones float64

	dot, weight float64 // the sum of w (x - base), and of w
	base        T
}

func newSum[T Float]() sum[T] { return sum[T]{max: T(math.Inf(-1))} }

// add adds len(ones) blocks.
func (s *sum[T]) add(max, part, ones []T) {
	for i, n := range ones {
		p, n := float64(part[i]), float64(n)
		d := float64(max[i]) - float64(s.max)
		switch {
		case d > 0:
			if before := s.sum + s.ones; before != 0 { // it is 0 in front of the first block
				p += float64(before * exp64(-d))
			}
			s.max, s.sum, s.ones = max[i], p, n
		case d == 0:
			s.sum += p
			s.ones += n
		default:
			s.sum += float64((p + n) * exp64(d))
		}
	}
}

// addDots adds the dots of blocks, which were given to add, and whose weights
// have these sums.
func (s *sum[T]) addDots(max, dots []T, weights []float64) {
	if s.base != s.max && s.weight > 0 {
		s.dot += float64(s.weight * (float64(s.base) - float64(s.max)))
	}
	s.base = s.max
	for i, w := range weights {
		s.dot += float64(dots[i])
		if max[i] != s.max {
			s.dot += float64(w * (float64(max[i]) - float64(s.max)))
		}
		s.weight += w
	}
}

func (s *sum[T]) result() (T, float64) {
	if s.ones == 0 && s.sum == 0 {
		return T(math.Inf(-1)), 0
	}
	return s.max, s.sum + (s.ones - 1)
}
