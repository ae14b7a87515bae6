package logits

// A trail takes exponentials to a large dst. They stay in e, in a cache, until
// the kernel that makes the next ones stores them, past the caches and between
// its arithmetic: two thirds of the traffic, and no wait for it.
type trail[T Float] struct {
	k      *kernels[T]
	dst, x *view[T] // all rows
	e      []T      // has room for cachedRows

	row, n int // of x and dst, whose exponentials are in e
}

// trails tells whether exponentials of the rows of x should go to dst by a trail.
// Shorter rows lose at their ends, longer ones do not stay in a cache.
func trails[T Float](dst, x *view[T]) bool {
	return x.n > 1 && x.c >= blockSize/2 && x.c <= 8*chunkSize && streams(dst.data, x.data, x.data, x.n*x.c)
}

// exps makes the exponentials e^(x-max) of n rows and fills in the maxima and
// sums of their blocks. If there are rows before, factor is what the exponentials
// of their blocks are multiplied by, and add[i] is added to row i.
func (t *trail[T]) exps(row, n int, max, sum, factor, add []T) {
	m, c, b, x := min(n, t.n), t.x.c, blocks(t.x.c), t.x.data[row*t.x.stride:]
	t.finish(m, factor, add)
	for off := 0; off < c && m > 0; off += chunkSize {
		p := off / blockSize
		t.k.scaleExpSum(ptr(t.e, off), ptr(max, p), ptr(sum, p), ptr(x, off), m, min(chunkSize, c-off), c, t.x.stride,
			ptr(t.dst.data, t.row*t.dst.stride+off), ptr(factor, p), ptr(add, 0), t.dst.stride)
	}
	if m < n {
		expSums(t.k, ptr(t.e, m*c), ptr(max, m*b), ptr(sum, m*b), ptr(x, m*t.x.stride), n-m, c, c, t.x.stride)
	}
	t.row, t.n = row, n
}

// finish does for the rows from row i of those in e what exps does for those before.
func (t *trail[T]) finish(i int, factor, add []T) {
	if i < t.n {
		c := t.x.c
		t.k.scale(ptr(t.dst.data, (t.row+i)*t.dst.stride), ptr(t.e, i*c), ptr(factor, i*blocks(c)), ptr(add, i), t.n-i, c, t.dst.stride, c)
	}
}
