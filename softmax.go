package logits

import (
	"math"
	"slices"
	"sync"
	"unsafe"
)

// Softmax sets every row of dst to the softmax of the row of x: e^(x-m) / s, m
// being the maximum and s the sum of e^(x-m) over the row. For float32 the
// relative error of a probability above 1e-37 is at most 6e-7 + |x-m| * 2^-24;
// one under the smallest normal number may be 0. A row's total is within 1.5e-6 of 1.
//
// -Inf entries have the probability 0. A row with a NaN or +Inf, or of -Inf
// only, is NaN everywhere, as in PyTorch; to have zeros where a row is wholly
// masked, ask RowMax for the rows whose maximum is -Inf, and clear them.
//
// dst has the shape of x, and is the same or apart from it.
func Softmax[T Float, S Scores[T]](dst, x S) error {
	var to, from view[T]
	viewOf(hidden(&to), &dst)
	viewOf(hidden(&from), &x)
	if y, x, ok := to.rowOf(&from); ok {
		if k := table[T](); len(x) <= k.softmaxCols() {
			shortSoftmax(k, ptr(y, 0), nil, nil, nil, nil, ptr(x, 0), 1, len(x), 0, 0, 0)
			return nil
		}
	}
	if err := checkShape("Softmax", "dst", &to, "x", &from); err != nil {
		return err
	}
	run(softmaxOp, &to, &from, &from)
	return nil
}

// LogSoftmax sets every row of dst to the logarithm of the softmax of the row
// of x: (x - m) - log1p(s), s being the sum of e^(x-m) over the row without one
// maximum m. For float32 the error is at most 4e-7 * max(1, |exact|), and
// relative to the result at the row's maximum. -Inf entries stay -Inf; rows
// with a NaN or +Inf, or of -Inf only, are NaN everywhere.
//
// dst has the shape of x, and is the same or apart from it.
func LogSoftmax[T Float, S Scores[T]](dst, x S) error {
	var to, from view[T]
	viewOf(hidden(&to), &dst)
	viewOf(hidden(&from), &x)
	if y, x, ok := to.rowOf(&from); ok {
		if k := table[T](); len(x) <= k.mediumCols {
			var max, log [1]T
			var l [1]float64
			shortSoftmax(k, nil, nil, ptr(max[:], 0), ptr(l[:], 0), ptr(l[:], 0), ptr(x, 0), 1, len(x), 0, 0, 0)
			log[0] = T(l[0])
			k.shift(ptr(y, 0), ptr(x, 0), ptr(max[:], 0), ptr(log[:], 0), 1, len(x), 0, 0, 0)
			return nil
		}
	}
	if err := checkShape("LogSoftmax", "dst", &to, "x", &from); err != nil {
		return err
	}
	run(logSoftmaxOp, &to, &from, &from)
	return nil
}

// SoftmaxGrad sets dx to the gradient with respect to the logits, given y,
// their softmax, and dy, the gradient with respect to y: y * (dy - sum(y*dy)),
// the sum going over the row. All three have one shape; dx may be y or dy.
func SoftmaxGrad[T Float, S Scores[T]](dx, y, dy S) error {
	return grad("SoftmaxGrad", softmaxGradOp, dx, y, dy)
}

// LogSoftmaxGrad sets dx to the gradient with respect to the logits, given y,
// their log-softmax, and dy, the gradient with respect to y:
// dy - e^y * sum(dy), the sum going over the row. All three have one shape; dx
// may be y or dy. For float32 an e^y above the largest number, of a y that is no
// logarithm of a probability, may be infinite.
func LogSoftmaxGrad[T Float, S Scores[T]](dx, y, dy S) error {
	return grad("LogSoftmaxGrad", logSoftmaxGradOp, dx, y, dy)
}

// A rowOp is something that is done to every row of a matrix or a planar array.
type rowOp int

const (
	softmaxOp rowOp = iota
	logSoftmaxOp
	softmaxGradOp    // reads y
	logSoftmaxGradOp // reads y
)

func grad[T Float, S Scores[T]](fn string, op rowOp, dx, y, dy S) error {
	var to, from, other view[T]
	viewOf(hidden(&to), &dx)
	viewOf(hidden(&from), &y)
	viewOf(hidden(&other), &dy)
	if err := checkShape(fn, "dx", &to, "y", &from); err != nil {
		return err
	}
	if err := checkShape(fn, "dx", &to, "dy", &other); err != nil {
		return err
	}
	run(op, &to, &from, &other)
	return nil
}

// run does op on operands that have been checked; only gradients have a y.
func run[T Float](op rowOp, dst, x, y *view[T]) {
	if x.n == 0 || x.c == 0 || x.d == 0 {
		return
	}
	k := table[T]()
	if w := workers(x.n * x.d * x.c); w > 1 {
		spreadOp(w, op, k, *dst, *x, *y)
		return
	}
	if x.d > 1 {
		planarParts(op, k, dst, x, y, 0, x.groups())
		return
	}
	runRows(op, k, dst, x, y, 0, x.n)
}

func spreadOp[T Float](w int, op rowOp, k *kernels[T], dst, x, y view[T]) {
	switch {
	case x.d > 1:
		spread(w, x.groups(), func(lo, hi int) { planarParts(op, k, &dst, &x, &y, lo, hi) })
	case x.n < w && op == softmaxOp:
		to, from := dst.matrix(), x.matrix()
		for i := range from.Rows {
			spreadSoftmax(w, k, to.row(i), from.row(i))
		}
	case x.n < w && op == logSoftmaxOp:
		to, from := dst.matrix(), x.matrix()
		for i := range from.Rows {
			spreadLogSoftmax(w, k, to.row(i), from.row(i))
		}
	default:
		spread(w, x.n, func(lo, hi int) { runRows(op, k, &dst, &x, &y, lo, hi) })
	}
}

// runRows does the rows [lo, hi) of matrices.
func runRows[T Float](op rowOp, k *kernels[T], dst, x, y *view[T], lo, hi int) {
	switch op {
	case softmaxOp:
		softmax(k, dst, x, lo, hi)
	case logSoftmaxOp:
		logSoftmax(k, dst, x, lo, hi)
	default:
		gradRows(op, k, dst, x, y, lo, hi)
	}
}

// cachedRows is the number of rows that a loop of several passes should take
// at once: those that stay in the second-level cache.
func cachedRows(left, cols int) int { return min(left, tile, max(1, cacheSize/cols)) }

// nearRows is cachedRows for the first-level cache, where a pass over exponentials
// should find them.
func nearRows(left, cols int) int { return min(left, tile, max(1, nearSize/cols)) }

// softmaxCols is the longest row that one kernel does; those after it have no work
// between their kernels that counts.
func (k *kernels[T]) softmaxCols() int { return max(shortCols, k.mediumCols/2) }

func softmax[T Float](k *kernels[T], dst, x *view[T], lo, hi int) {
	if x.c <= k.softmaxCols() {
		shortSoftmax(k, ptr(dst.data, lo*dst.stride), nil, nil, nil, nil, ptr(x.data, lo*x.stride), hi-lo, x.c, dst.stride, x.stride, len(x.data)-lo*x.stride)
		return
	}
	b := blocks(x.c)
	if trails(dst, x) {
		rows := cachedRows(hi-lo, x.c)
		buf := buffers.Get().(*[]float64)
		defer buffers.Put(buf)
		s := scratch[T](buf, rows*(x.c+4*b))
		e, s := s[:rows*x.c], s[rows*x.c:]
		softmaxTrail(k, dst, x, lo, hi, e, s[:rows*b], s[rows*b:2*rows*b], s[2*rows*b:3*rows*b], s[3*rows*b:])
		return
	}
	if b > tile {
		buf := buffers.Get().(*[]float64)
		defer buffers.Put(buf)
		parts := scratch[T](buf, 3*b)
		softmaxRows(k, dst, x, lo, hi, parts[:b], parts[b:2*b], parts[2*b:])
		return
	}
	var base, sum, more [tile]T
	softmaxRows(k, dst, x, lo, hi, base[:], sum[:], more[:])
}

// softmaxRows has room for what expSum finds of one row and more.
func softmaxRows[T Float](k *kernels[T], dst, x *view[T], lo, hi int, base, sum, more []T) {
	pages := newPager(k, x.data, x.c, x.stride)
	for i := lo; i < hi; {
		n := min(nearRows(hi-i, x.c), len(base)/blocks(x.c))
		to, from := i*dst.stride, i*x.stride
		pages.ahead(i, n)
		expSums(k, ptr(dst.data, to), ptr(base, 0), ptr(sum, 0), ptr(more, 0), ptr(x.data, from), n, x.c, dst.stride, x.stride)
		e := dst.from(i, n)
		factors(k, &e, base, sum, more)
		k.scale(ptr(dst.data, to), ptr(dst.data, to), ptr(base, 0), nil, n, x.c, dst.stride, dst.stride)
		i += n
	}
}

// softmaxTrail has room for the exponentials of as many rows as it takes at once, the
// factors of those before, and what expSum finds.
func softmaxTrail[T Float](k *kernels[T], dst, x *view[T], lo, hi int, e, factor, base, sum, more []T) {
	t := newTrail(k, dst, x, e)
	var zero [tile]T
	for i := lo; i < hi; {
		n := cachedRows(hi-i, x.c)
		t.exps(i, n, base, sum, more, factor, zero[:])
		factors(k, &view[T]{n, x.c, 1, e, x.c}, base, sum, more)
		factor, base = base, factor
		i += n
	}
	t.finish(0, factor, zero[:])
}

// factors replaces the bases of the blocks of rows by what turns the exponentials e
// into probabilities.
func factors[T Float](k *kernels[T], e *view[T], base, sum, more []T) {
	b := blocks(e.c)
	var r expRow[T]
	for i := range e.n {
		if s := float64(sum[i]); b == 1 && !(s+float64(s*float64(more[i])) < centered) { // as addUp and probabilities do
			base[i] = T(1 / s)
			continue
		}
		r.e, r.base, r.sum, r.more = e.row(i), base[i*b:][:b], sum[i*b:][:b], more[i*b:][:b]
		r.addUp()
		if r.all < centered {
			r.center(k)
		} else {
			r.probabilities(k, 1)
		}
	}
}

// centered is a sum of e^(x-m) that is hardly more than the one of m.
const centered = 1 + 0x1p-20

// center is probabilities for a row of which m is all that counts. Its exponential
// becomes 1 if its probability would be another than the closest to what it is, which
// may be 1.
func (r *expRow[T]) center(k *kernels[T]) {
	b := slices.Index(r.base, r.m) // the block that has m
	block := r.block(b)
	var top [1]int
	k.argMax(ptr(top[:], 0), ptr(block, 0), 1, len(block), 0)
	e, all := block[top[0]], r.all
	one := float64(float64(e) * r.scale(b))
	if p := T(one / all); T(e*T(r.scale(b)/all)) == p {
		r.probabilities(k, 1)
		return
	}
	r.probabilities(k, all/one)
	k.scale(ptr(r.e, 0), ptr(r.e, 0), ptr(r.base, 0), nil, 1, len(r.e), 0, 0)
	block[top[0]] = 1
	fill(r.base, T(one/all))
}

// An expRow is what expSum makes of a row: exponentials, and what is known of blocks.
type expRow[T Float] struct {
	e, base, sum, more []T

	m   T       // the greatest of the bases
	all float64 // the sum of e^(x-m), NaN for a row of only -Inf
}

// addUp adds up the blocks.
func (r *expRow[T]) addUp() {
	r.m, r.all = r.base[0], 0
	if len(r.base) == 1 {
		r.all = float64(float64(r.sum[0]) * (1 + float64(r.more[0])))
		if r.all == 0 {
			r.all = math.NaN()
		}
		return
	}
	for _, v := range r.base[1:] {
		if v > r.m {
			r.m = v
		}
	}
	for b, s := range r.sum {
		f := 1 + float64(r.more[b])
		if r.base[b] != r.m {
			f = r.scale(b)
		}
		r.all += float64(float64(s) * f)
	}
	if r.all == 0 {
		r.all = math.NaN()
	}
}

// scale returns what takes an exponential of block b to e^(x-m). Loops do without the
// call where it is only 1 + more.
func (r *expRow[T]) scale(b int) float64 {
	f := 1 + float64(r.more[b])
	if r.base[b] != r.m {
		f *= exp64(float64(r.base[b]) - float64(r.m))
	}
	return f
}

// probabilities replaces the bases by what turns the exponentials into probabilities
// times f.
func (r *expRow[T]) probabilities(k *kernels[T], f float64) {
	f /= r.all
	for b := range r.base {
		p := 1 + float64(r.more[b])
		if r.base[b] != r.m {
			p = r.scale(b)
		}
		p *= f
		if a := math.Abs(p); a < 0x1p-126 && a > 0 && is32[T]() { // too small, as exponentials may be as great as e^60
			block, shrink := r.block(b), [1]T{0x1p-96}
			k.scale(ptr(block, 0), ptr(block, 0), ptr(shrink[:], 0), nil, 1, len(block), 0, 0)
			p *= 0x1p96
		}
		r.base[b] = T(p)
	}
}

// block returns the exponentials of a block.
func (r *expRow[T]) block(b int) []T { return r.e[b*blockSize : min((b+1)*blockSize, len(r.e))] }

// logSum returns a number that is close to the log-sum-exp of the row, and what that is
// greater by, before log1p. If one element makes up most of the sum it is this one, so
// that the sum of the others keeps its digits.
func (r *expRow[T]) logSum(k *kernels[T], at int, x T) (T, float64) {
	b := at / blockSize
	one := float64(r.e[at]) * (1 + float64(r.more[b]))
	if r.base[b] != r.m {
		one = float64(r.e[at]) * r.scale(b)
	}
	if !(one+one > r.all) {
		return r.m, r.all - 1
	}
	var others float64
	for i, s := range r.sum {
		if i != b {
			others += float64(float64(s) * r.scale(i))
		}
	}
	block, e := r.block(b), r.e[at]
	r.e[at] = 0
	var rest [1]float64
	k.sum(ptr(rest[:], 0), ptr(block, 0), 1, len(block), 0)
	r.e[at] = e
	return x, (others + float64(rest[0]*r.scale(b))) / one
}

// spreadSoftmax does one long row with w goroutines.
func spreadSoftmax[T Float](w int, k *kernels[T], dst, x []T) {
	n := blocks(len(x))
	parts := make([]T, 3*n)
	base, sum, more := parts[:n], parts[n:2*n], parts[2*n:]
	spreadChunks(w, len(x), func(c, off, n int) {
		b := c * chunkBlocks
		k.expSum(ptr(dst, off), ptr(base, b), ptr(sum, b), ptr(more, b), ptr(x, off), 1, n, 0, 0)
	})
	factors(k, &view[T]{1, len(x), 1, dst, 0}, base, sum, more)
	spreadChunks(w, len(x), func(c, off, n int) {
		k.scale(ptr(dst, off), ptr(dst, off), ptr(base, c*chunkBlocks), nil, 1, n, 0, 0)
	})
}

func logSoftmax[T Float](k *kernels[T], dst, x *view[T], lo, hi int) {
	var t sumExps[T]
	if x.c <= cacheSize && (x.c > shortCols || hi-lo <= tile) {
		var r room[T]
		r.give(&t)
		logSoftmaxRows(k, dst, x, lo, hi, &t)
		return
	}
	var r wideRoom[T]
	r.give(&t)
	logSoftmaxRows(k, dst, x, lo, hi, &t)
}

func logSoftmaxRows[T Float](k *kernels[T], dst, x *view[T], lo, hi int, t *sumExps[T]) {
	if x.c >= blockSize && hi-lo > 1 && addr(dst.data) != addr(x.data) {
		logSoftmaxTrail(k, dst, x, lo, hi, t)
		return
	}
	var log [wideTile]T
	stream := bit(shiftStreams(dst, x))
	xs, dsts := newPager(k, x.data, x.c, x.stride), newPager(k, dst.data, x.c, dst.stride)
	for i := lo; i < hi; i += t.n {
		n := min(hi-i, len(t.log))
		if x.c > shortCols { // of short ones, the more the better
			n = cachedRows(n, x.c)
		}
		m := Matrix[T]{i + n, x.c, x.data, x.stride}
		t.next(k, &m, i, xs)
		dsts.ahead(i, t.n)
		for j, l := range t.log[:t.n] {
			log[j] = T(l)
		}
		k.shift(ptr(dst.data, i*dst.stride), ptr(x.data, i*x.stride), ptr(t.base, 0), ptr(log[:], 0), t.n, x.c, dst.stride, x.stride, stream)
	}
}

// shiftStreams tells whether log-softmaxes of rows shorter than a block go past the caches. With
// plain stores and these, ns an element: on a Zen 4 600x3000 0.29 and 0.34, 900x3000 0.38 and
// 0.34; on a Zen 5 720x3000 0.14 and 0.16, 1000x3000 the same, 60000x512 0.31 and 0.23, 40000x1000
// 0.28 and 0.22, but 20000x300 on AVX2 0.29 and 0.30.
func shiftStreams[T Float](dst, x *view[T]) bool {
	n := x.n * x.c
	return x.c >= shiftCols && n >= 5*streamSize/2 && streams(dst.data, x.data, x.data, n)
}

// logSoftmaxTrail finishes each row while the next one is read, so that memory is never
// only read or only written. On a Zen 5 64x50257 and more take a third less with it,
// 32x32000 a fifth, rows of 2048 nothing.
func logSoftmaxTrail[T Float](k *kernels[T], dst, x *view[T], lo, hi int, t *sumExps[T]) {
	s := shifting[T]{stream: bit(x.n*x.c >= streamSize)}
	t.shift = hidden(&s)
	xs, dsts := newPager(k, x.data, x.c, x.stride), newPager(k, dst.data, x.c, dst.stride)
	for i := lo; i < hi; i++ {
		m := Matrix[T]{i + 1, x.c, x.data, x.stride}
		t.next(k, &m, i, xs)
		dsts.ahead(i, 1)
		s.set(k, dst.data[i*dst.stride:][:x.c], x.data[i*x.stride:][:x.c], t.base[0], T(t.log[0]))
	}
	s.shift(k, s.to, s.from, s.stream)
}

// set makes s the log-softmax of a row, and does its ends.
func (s *shifting[T]) set(k *kernels[T], to, from []T, m, log T) {
	s.max[0], s.log[0] = m, log
	const step = 64
	n := int(-addr(to)%64) / elemSize[T]()
	end := n + (len(to)-n)/step*step
	s.shift(k, to[:n], from[:n], 0)
	s.shift(k, to[end:], from[end:], 0)
	s.to, s.from = to[n:end], from[n:end]
}

func (s *shifting[T]) shift(k *kernels[T], to, from []T, stream int) {
	k.shift(ptr(to, 0), ptr(from, 0), ptr(s.max[:], 0), ptr(s.log[:], 0), 1, len(to), 0, 0, stream)
}

// spreadLogSoftmax does one long row with w goroutines.
func spreadLogSoftmax[T Float](w int, k *kernels[T], dst, x []T) {
	base, log := spreadSumExp(w, k, x, nil)
	b, l := []T{base}, []T{T(log)}
	spreadChunks(w, len(x), func(c, off, n int) { k.shift(ptr(dst, off), ptr(x, off), ptr(b, 0), ptr(l, 0), 1, n, 0, 0, 0) })
}

// gradRows does rows of a gradient, few enough at once to be in a cache when
// their sums are known.
func gradRows[T Float](op rowOp, k *kernels[T], dx, y, dy *view[T], lo, hi int) {
	var sum [tile]float64
	stream := bit(y.c >= streamCols && streams(dx.data, y.data, dy.data, y.n*y.c))
	ys, dys, dxs := newPager(k, y.data, y.c, y.stride), newPager(k, dy.data, y.c, dy.stride), newPager(k, dx.data, y.c, dx.stride)
	for i := lo; i < hi; {
		n := cachedRows(hi-i, y.c)
		ys.ahead(i, n)
		dys.ahead(i, n)
		dxs.ahead(i, n)
		p, g := ptr(y.data, i*y.stride), ptr(dy.data, i*dy.stride)
		if op == softmaxGradOp {
			k.inner(ptr(sum[:], 0), p, g, n, y.c, y.stride, dy.stride)
		} else {
			k.inner(ptr(sum[:], 0), g, nil, n, y.c, dy.stride, 0)
		}
		byRange(sum[:n], 1, func(j, m int, in bool) {
			table := k
			if !in {
				table = portable[T]()
			}
			finish(op, table, dx, y, dy, sum[j:j+m], i+j, stream)
		})
		i += n
	}
}

// byRange calls f for runs of n sums from sum[i], a multiple of size, that are
// all in range or, size by size, are not.
func byRange(sum []float64, size int, f func(i, n int, in bool)) {
	if inRange(sum) {
		f(0, len(sum), true)
		return
	}
	for i := 0; i < len(sum); {
		n, in := size, inRange(sum[i:][:size])
		for i+n < len(sum) && inRange(sum[i+n:][:size]) == in {
			n += size
		}
		f(i, n, in)
		i += n
	}
}

// inRange tells whether the kernels of all paths take the sums of some rows:
// their halves are float32, and differences to them do not overflow. NaNs are
// in range.
func inRange(sum []float64) bool {
	for _, s := range sum {
		if a := math.Abs(s); a > 0x1p100 || a > 0 && a < 0x1p-100 {
			return false
		}
	}
	return true
}

// finish does the rows from row i whose sums are known.
func finish[T Float](op rowOp, k *kernels[T], dx, y, dy *view[T], sum []float64, i, stream int) {
	kernel := k.softmaxGrad
	if op == logSoftmaxGradOp {
		kernel = k.logSoftmaxGrad
		for i, s := range sum {
			sum[i] = -s
		}
	}
	kernel(ptr(dx.data, i*dx.stride), ptr(y.data, i*y.stride), ptr(dy.data, i*dy.stride), ptr(sum, 0),
		len(sum), y.c, dx.stride, y.stride, dy.stride, stream)
}

// row returns row i of a matrix.
func (v *view[T]) row(i int) []T { return v.data[i*v.stride:][:v.c] }

// groupRows is the number of a matrix's rows whose losses are added up together.
func (v *view[T]) groupRows() int { return max(1, min(wideTile, 2*cacheSize/v.c)) }

// groups returns the number of groups of rows: spans of a planar array.
func (v *view[T]) groups() int {
	if v.d > 1 {
		return v.n * spans(v.d)
	}
	return (v.n + v.groupRows() - 1) / v.groupRows()
}

// from returns n rows of a matrix, from row i.
func (v *view[T]) from(i, n int) (r view[T]) {
	if v != nil {
		r.setRows(v, i, n)
	}
	return r
}

// setRows is from in place, without the copies of seven words that cost a short
// row more than its kernel.
func (v *view[T]) setRows(x *view[T], i, n int) {
	v.n, v.c, v.d, v.data, v.stride = n, x.c, 1, x.data[i*x.stride:], x.stride
}

var buffers = sync.Pool{New: func() any { return new([]float64) }}

// scratch returns n elements in the buffer b, which it lets grow.
func scratch[T Float](b *[]float64, n int) []T {
	if len(*b) < n {
		*b = make([]float64, n)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(*b))), n)
}
