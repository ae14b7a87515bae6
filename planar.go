package logits

// spanSize is the largest number of positions of a planar array that are
// worked on at once.
const spanSize = 256

// planarCopy is about how many elements of an array are copied, to be read again.
const planarCopy = 4096

func spans(d int) int { return (d + spanSize - 1) / spanSize }

// span returns the size of a span, where in data it starts, and the number of
// its first row.
func (v *view[T]) span(t int) (n, first, row int) {
	d := t % spans(v.d) * spanSize
	plane := t / spans(v.d)
	return min(spanSize, v.d-d), plane*v.c*v.d + d, plane*v.d + d
}

// copyClasses is the largest number of classes whose results go by way of a copy.
const copyClasses = cacheSize / 64

// viaCopy tells whether what is computed from x goes to a copy first: what is to be
// added to dst, and what is so much that it should go past the caches, where the
// kernels would write one cache line of a class, then of the next; or that these push
// each other and the logits out.
func (dst *view[T]) viaCopy(x *view[T], add bool) bool {
	return dst != nil && (add || x.c <= copyClasses && (dst.streams(x) || dst.crowds(x)))
}

func (dst *view[T]) streams(x *view[T]) bool {
	return streamsOf(dst.data, x.data, x.rows()*x.c)
}

// crowds tells whether so many lines of a group of 16 positions of dst, which is not x,
// have the same place in a first-level cache of 4 KB ways that they push each other out,
// where there is more than the second one holds. On a Xeon with 2 MB of it Softmax of 16384 positions takes, with a copy and
// without, 0.48 and 0.31 ns for 21 classes, 0.45 and 0.59 for 48, 0.64 and 0.84 for 150; of
// 4096 0.39 and 0.31 for 64, 0.43 and 0.53 for 80; of 4000 positions and 150 classes 0.45
// and 0.43.
func (dst *view[T]) crowds(x *view[T]) bool {
	return x.c*min(x.d&-x.d, 1<<10) > 40<<10 && x.rows()*x.c > 1<<18 && addr(dst.data) != addr(x.data)
}

// step is how many of n positions, a multiple of 16, are done at once: fewer if
// there is a copy.
func (v *view[T]) step(n int, copied bool) int {
	if !copied {
		return n
	}
	return max(16, min(n, cacheSize/v.c&^15))
}

// A planarRoom is what the planar kernels need: arrays with an element a
// position, and scratch for several groups of 16 positions.
type planarRoom[T Float] struct {
	max, scale []T
	scratch    []T
	sum, log   []float64
}

// newPlanarRoom returns a room whose scratch has 16 elements for each of so many classes.
func newPlanarRoom[T Float](b *[]float64, classes int) planarRoom[T] {
	size := 2 * 8 / elemSize[T]() * spanSize // of the float64, which come first, since they are aligned
	buf := scratch[T](b, size+2*spanSize+16*classes)[size:]
	return planarRoom[T]{buf[:spanSize], buf[spanSize:][:spanSize], buf[2*spanSize:][:16*classes],
		(*b)[:spanSize], (*b)[spanSize:][:spanSize]}
}

// A planes is some positions of a planar array: the classes of one are stride apart.
type planes[T Float] struct {
	data   []T
	stride int
}

// planes returns the positions from data[at].
func (v *view[T]) planes(at int) planes[T] { return planes[T]{v.data[at:], v.d} }

// put sets n positions to those of q, past the caches if stream is not 0, or adds those.
func (p planes[T]) put(k *kernels[T], q planes[T], n, classes, stream int, add bool) {
	if !add {
		var zero [copyClasses]T
		k.shift(ptr(p.data, 0), ptr(q.data, 0), ptr(zero[:], 0), ptr(zero[:], 0), classes, n, p.stride, q.stride, stream)
		return
	}
	one := [1]T{1}
	for c := range classes {
		k.addScaled(ptr(p.data, c*p.stride), ptr(q.data, c*q.stride), ptr(one[:], 0), 1, n, 0, 0)
	}
}

// sumExps fills in the room for n positions of x, but no sum and log that are nil. If
// dst has any data it becomes the probabilities times scale.
func (r *planarRoom[T]) sumExps(k *kernels[T], dst, x planes[T], n, classes int) {
	if dst.data == nil {
		k.planarSumExp(ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(x.data, 0), ptr(r.scratch, 0), n, classes, x.stride)
	} else {
		k.planarSoftmax(ptr(dst.data, 0), ptr(r.scale, 0), ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(x.data, 0), ptr(r.scratch, 0),
			n, classes, dst.stride, x.stride)
	}
}

// planarParts runs op on the spans [lo, hi).
func planarParts[T Float](op rowOp, k *kernels[T], dst, x, y *view[T], lo, hi int) {
	for t := lo; t < hi; t++ {
		n, at, _ := x.span(t)
		whole := n &^ 15
		switch {
		case whole == 0:
		case op >= softmaxGradOp:
			planarGrad(op, k, dst, x, y, at, whole)
		case op == logSoftmaxOp:
			planarLogSoftmax(k, dst, x, at, whole)
		default:
			planarSoftmax(k, dst, x, at, whole)
		}
		planarRows(op, k, dst, x, y, at+whole, n-whole)
	}
}

// planarSoftmax does n positions, a multiple of 16, of Softmax.
func planarSoftmax[T Float](k *kernels[T], dst, x *view[T], at, n int) {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	r := newPlanarRoom[T](b, 2*x.c)
	r.sum, r.log = nil, nil
	fill(r.scale, 1)
	if !dst.viaCopy(x, false) {
		r.sumExps(k, dst.planes(at), x.planes(at), n, x.c)
		return
	}
	c := buffers.Get().(*[]float64)
	defer buffers.Put(c)
	step := x.step(n, true)
	p := planes[T]{scratch[T](c, step*x.c), step}
	for i := 0; i < n; i += step {
		m := min(step, n-i)
		r.sumExps(k, p, x.planes(at+i), m, x.c)
		dst.planes(at+i).put(k, p, m, x.c, bit(dst.streams(x)), false)
	}
}

// planarLogSoftmax does n positions, a multiple of 16, of LogSoftmax.
func planarLogSoftmax[T Float](k *kernels[T], dst, x *view[T], at, n int) {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	r := newPlanarRoom[T](b, 2*x.c)
	r.sumExps(k, planes[T]{}, x.planes(at), n, x.c)
	for i, l := range r.log[:n] {
		r.scale[i] = T(l)
	}
	stream := x.d%16 == 0 && addr(dst.data[at:])%64 == 0 && dst.streams(x)
	k.planarShift(ptr(dst.data, at), ptr(x.data, at), ptr(r.max, 0), ptr(r.scale, 0), n, x.c, x.d, bit(stream))
}

// planarGrad does n positions, a multiple of 16, of a gradient: so many at once
// that what is read twice stays in a cache, as a copy.
func planarGrad[T Float](op rowOp, k *kernels[T], dst, x, y *view[T], at, n int) {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	step := min(n, max(16, planarCopy/x.c&^15))
	buf := scratch[T](b, 4*spanSize+2*step*x.c)
	sum, high, low := (*b)[:spanSize], buf[2*spanSize:][:spanSize], buf[3*spanSize:][:spanSize]
	xs, ys := buf[4*spanSize:][:step*x.c], buf[4*spanSize+step*x.c:]
	for i := 0; i < n; i += step {
		m := min(step, n-i)
		if op == softmaxGradOp {
			k.planarInner(ptr(sum, 0), ptr(x.data, at+i), ptr(y.data, at+i), ptr(xs, 0), ptr(ys, 0), m, x.c, x.d)
		} else {
			k.planarInner(ptr(sum, 0), ptr(y.data, at+i), nil, ptr(ys, 0), nil, m, x.c, x.d)
		}
		byRange(sum[:m], 16, func(j, some int, in bool) {
			to := at + i + j
			switch {
			case !in:
				planarRows(op, k, dst, x, y, to, some)
			case op == softmaxGradOp:
				for i, s := range sum[j:][:some] {
					high[i] = T(s)
					low[i] = T(s - float64(high[i]))
				}
				k.planarSoftmaxGrad(ptr(dst.data, to), ptr(xs, j), ptr(ys, j), ptr(high, 0), ptr(low, 0), some, x.c, x.d, m)
			default:
				for i, s := range sum[j:][:some] {
					high[i] = T(-s)
				}
				k.planarLogSoftmaxGrad(ptr(dst.data, to), ptr(x.data, to), ptr(ys, j), ptr(high, 0), some, x.c, x.d, m)
			}
		})
	}
}

// planarRows runs op on n positions from data[at] by rows.
func planarRows[T Float](op rowOp, k *kernels[T], dst, x, y *view[T], at, n int) {
	if op < softmaxGradOp {
		y = nil
	}
	byRows(x, y, dst, false, at, n, func(_ int, x, y, dst view[T]) { runRows(op, k, &dst, &x, &y, 0, x.n) })
}

// byRows calls do for n positions of x, y and dst from data[at], a few at a time
// from number i: with copies whose rows are contiguous, of which dst is copied
// back. If add is not set it is the copy of x. y and dst may be nil.
func byRows[T Float](x, y, dst *view[T], add bool, at, n int, do func(i int, x, y, dst view[T])) {
	if n == 0 {
		return
	}
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	size := min(n, max(1, min(64, cacheSize/x.c))) // enough to read whole cache lines
	buf := scratch[T](b, 3*size*x.c)
	for i := 0; i < n; i += size {
		rows := func(part int, v *view[T]) (r view[T]) {
			if v != nil {
				r = view[T]{min(size, n-i), x.c, 1, buf[part*size*x.c:][:size*x.c], x.c}
				r.gather(v, at+i)
			}
			return r
		}
		from, others := rows(0, x), rows(1, y)
		to := from
		if dst == nil || add {
			to = rows(2, dst)
		}
		do(i, from, others, to)
		if dst != nil {
			to.scatter(dst, at+i)
		}
	}
}

// gather copies the rows of x from the one that starts at x.data[first].
func (v *view[T]) gather(x *view[T], first int) {
	for j := range v.c {
		for i, e := range x.data[first+j*x.d:][:v.n] {
			v.data[i*v.c+j] = e
		}
	}
}

// scatter is the inverse of gather.
func (v *view[T]) scatter(x *view[T], first int) {
	for j := range v.c {
		out := x.data[first+j*x.d:][:v.n]
		for i := range out {
			out[i] = v.data[i*v.c+j]
		}
	}
}
