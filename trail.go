package logits

// A trail takes exponentials to a large dst. They stay in e, in a cache, until
// the kernel that makes the next ones stores them, between its arithmetic and
// perhaps past the caches: two thirds of the traffic, and no wait for it.
type trail[T Float] struct {
	k      *kernels[T]
	dst, x *view[T] // all rows
	e      []T      // has room for cachedRows

	pages *pager[T] // of x

	row, n int // of x and dst, whose exponentials are in e

	// If dot is not nil: where the dots of the next rows' blocks go, and the
	// weights, nil if they are 1.
	dot, weight []T
}

func newTrail[T Float](k *kernels[T], dst, x *view[T], e []T) trail[T] {
	return trail[T]{k: k, dst: dst, x: x, e: e, pages: newPager(k, x.data, x.c, x.stride)}
}

// trailSize is the number of elements from which a trail is of use: x and dst are not
// in the second-level cache any more. On a Xeon with 2 MB of it 32x32000 takes a tenth
// less time with one, 64x4096 two fifths more. It stores past the caches from streamSize
// on: Softmax of 33x32000 there takes 0.28 ns each with plain stores and 0.32 with these,
// 264x32000 0.30 and 0.33, 64x151936 the same; of 64x50257 in no cache 0.33 to 0.41 and
// 0.36 to 0.44. dispatch_amd64.go sets it.
var trailSize = leastTrail

const leastTrail = 1 << 19

// trailSizeOf returns the trailSize for a last-level cache of so many bytes. One of few cores
// takes plain stores as fast as they come: on a Zen 5 with 32 MB of it 128x4096 and 32x32000
// take an eighth more with a trail.
func trailSizeOf(l3 int) int {
	if 0 < l3 && l3 <= 64<<20 {
		return streamSizeOf(l3)
	}
	return leastTrail
}

// trails tells whether exponentials of the rows of x should go to dst by a trail.
// Longer rows do not stay in a cache.
func trails[T Float](dst, x *view[T]) bool {
	return x.n > 1 && x.c >= streamCols && x.c <= 8*cacheSize && x.n*x.c >= trailSize && addr(dst.data) != addr(x.data)
}

// exps makes the exponentials of n rows and fills in what expSum finds of their
// blocks. If there are rows before, factor is what the exponentials of their blocks
// are multiplied by, and add[i] is added to row i.
func (t *trail[T]) exps(row, n int, base, sum, more, factor, add []T) {
	t.pages.ahead(row, n)
	m, c, b, x := min(n, t.n), t.x.c, blocks(t.x.c), t.x.data[row*t.x.stride:]
	t.finish(m, factor, add)
	stream := bit(t.x.n*c >= streamSize)
	for off := 0; off < c && m > 0; off += chunkSize {
		p, cols := off/blockSize, min(chunkSize, c-off)
		e, base, sum, more, x, to, factor := ptr(t.e, off), ptr(base, p), ptr(sum, p), ptr(more, p), ptr(x, off), ptr(t.dst.data, t.row*t.dst.stride+off), ptr(factor, p)
		switch {
		case t.dot == nil:
			t.k.scaleExpSum(e, base, sum, more, x, m, cols, c, t.x.stride, to, factor, ptr(add, 0), t.dst.stride, stream)
		case t.weight == nil:
			t.k.scaleExpSumDot(e, base, sum, more, ptr(t.dot, p), x, m, cols, c, t.x.stride, to, factor, ptr(add, 0), t.dst.stride, stream)
		default:
			t.k.scaleExpSumWeighted(e, base, sum, more, ptr(t.dot, p), x, ptr(t.weight, off), m, cols, c, t.x.stride, to, factor, ptr(add, 0), t.dst.stride, stream)
		}
	}
	if m < n {
		var dot *T
		if t.dot != nil {
			dot = ptr(t.dot, m*b)
		}
		expSumDots(t.k, ptr(t.e, m*c), ptr(base, m*b), ptr(sum, m*b), ptr(more, m*b), dot, ptr(x, m*t.x.stride), ptr(t.weight, 0), n-m, c, c, t.x.stride)
	}
	t.row, t.n = row, n
}

// finish does for the rows from row i of those in e what exps does for those before.
func (t *trail[T]) finish(i int, factor, add []T) {
	if i < t.n {
		c := t.x.c
		to, e, factor := ptr(t.dst.data, (t.row+i)*t.dst.stride), ptr(t.e, i*c), ptr(factor, i*blocks(c))
		if t.weight == nil {
			t.k.scale(to, e, factor, ptr(add, i), t.n-i, c, t.dst.stride, c)
		} else {
			t.k.scaleWeighted(to, e, factor, ptr(add, i), ptr(t.weight, 0), t.n-i, c, t.dst.stride, c)
		}
	}
}
