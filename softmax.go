package logits

import (
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
	return scores("Softmax", softmaxOp, "dst", dst.view(), "x", x.view(), "", view[T]{})
}

// LogSoftmax sets every row of dst to the logarithm of the softmax of the row
// of x: (x - m) - log1p(s), s being the sum of e^(x-m) over the row without one
// maximum m. For float32 the error is at most 4e-7 * max(1, |exact|), and
// relative to the result at the row's maximum. -Inf entries stay -Inf; rows
// with a NaN or +Inf, or of -Inf only, are NaN everywhere.
//
// dst has the shape of x, and is the same or apart from it.
func LogSoftmax[T Float, S Scores[T]](dst, x S) error {
	return scores("LogSoftmax", logSoftmaxOp, "dst", dst.view(), "x", x.view(), "", view[T]{})
}

// SoftmaxGrad sets dx to the gradient with respect to the logits, given y,
// their softmax, and dy, the gradient with respect to y: y * (dy - sum(y*dy)),
// the sum going over the row. All three have one shape; dx may be y or dy.
func SoftmaxGrad[T Float, S Scores[T]](dx, y, dy S) error {
	return scores("SoftmaxGrad", softmaxGradOp, "dx", dx.view(), "y", y.view(), "dy", dy.view())
}

// LogSoftmaxGrad sets dx to the gradient with respect to the logits, given y,
// their log-softmax, and dy, the gradient with respect to y:
// dy - e^y * sum(dy), the sum going over the row. All three have one shape; dx
// may be y or dy.
func LogSoftmaxGrad[T Float, S Scores[T]](dx, y, dy S) error {
	return scores("LogSoftmaxGrad", logSoftmaxGradOp, "dx", dx.view(), "y", y.view(), "dy", dy.view())
}

// A rowOp is something that is done to every row of a matrix or a planar array.
type rowOp int

const (
	softmaxOp rowOp = iota
	logSoftmaxOp
	softmaxGradOp    // reads y
	logSoftmaxGradOp // reads y
)

// scores checks the operands, y of which only gradients have, and runs op.
func scores[T Float](fn string, op rowOp, dstName string, dst view[T], xName string, x view[T], yName string, y view[T]) error {
	if err := checkShape(fn, dstName, dst, xName, x); err != nil {
		return err
	}
	if op >= softmaxGradOp {
		if err := checkShape(fn, dstName, dst, yName, y); err != nil {
			return err
		}
	}
	k := table[T]()
	rows := x.rows()
	if rows == 0 || x.c == 0 {
		return nil
	}
	w := workers(rows * x.c)
	switch {
	case x.d > 1:
		// Tiles of rows, so many that the reads along d fill cache lines.
		n := min(x.d, max(1, min(64, chunkSize/x.c)))
		tiles := (x.d + n - 1) / n
		if w > 1 {
			spread(w, x.n*tiles, func(lo, hi int) { planarTiles(op, k, dst, x, y, n, lo, hi) })
		} else {
			planarTiles(op, k, dst, x, y, n, 0, x.n*tiles)
		}
	case w > 1 && rows < w && op == softmaxOp:
		for i := range rows {
			softmaxRow(k, dst.matrix().row(i), x.matrix().row(i), w)
		}
	case w > 1 && rows < w && op == logSoftmaxOp:
		for i := range rows {
			logSoftmaxRow(k, dst.matrix().row(i), x.matrix().row(i), w)
		}
	case w > 1:
		spread(w, rows, func(lo, hi int) {
			runOp(op, k, dst.matrix(), x.matrix(), y.matrix(), lo, hi)
		})
	default:
		runOp(op, k, dst.matrix(), x.matrix(), y.matrix(), 0, rows)
	}
	return nil
}

// runOp does the rows [lo, hi).
func runOp[T Float](op rowOp, k *kernels[T], dst, x, y Matrix[T], lo, hi int) {
	dst, x = dst.slice(lo, hi), x.slice(lo, hi)
	switch op {
	case softmaxOp:
		softmaxRows(k, dst, x)
	case logSoftmaxOp:
		logSoftmaxRows(k, dst, x)
	case softmaxGradOp:
		softmaxGradRows(dst, x, y.slice(lo, hi))
	case logSoftmaxGradOp:
		logSoftmaxGradRows(dst, x, y.slice(lo, hi))
	}
}

// cachedRows is the number of rows that a loop of several passes should take
// at once: those that stay in the first-level cache.
func cachedRows(left, cols int) int { return min(left, tile, max(1, 2*blockSize/cols)) }

func softmaxRows[T Float](k *kernels[T], dst, x Matrix[T]) {
	var max, factor [tile]T
	var sum [tile]float64
	for i := 0; i < x.Rows; {
		n := cachedRows(x.Rows-i, x.Cols)
		y, p := ptr(dst.Data, i*dst.Stride), ptr(x.Data, i*x.Stride)
		k.max(ptr(max[:], 0), p, n, x.Cols, x.Stride)
		if x.Cols <= chunkSize {
			k.expSum(y, ptr(sum[:], 0), p, ptr(max[:], 0), n, x.Cols, dst.Stride, x.Stride)
		} else {
			sum[0] = 0
			for off := 0; off < x.Cols; off += chunkSize {
				var s [1]float64
				c := min(chunkSize, x.Cols-off)
				k.expSum(ptr(dst.Data, i*dst.Stride+off), ptr(s[:], 0), ptr(x.Data, i*x.Stride+off), ptr(max[:], 0), 1, c, c, c)
				sum[0] += s[0]
			}
		}
		for j, s := range sum[:n] {
			factor[j] = T(1 / s)
		}
		k.scale(y, ptr(factor[:], 0), n, x.Cols, dst.Stride)
		i += n
	}
}

// softmaxRow does one long row with w goroutines.
func softmaxRow[T Float](k *kernels[T], dst, x []T, w int) {
	n := chunks(len(x))
	maxs, sums := make([]T, n), make([]float64, n)
	spreadChunks(w, len(x), func(c, off, n int) { k.max(ptr(maxs, c), ptr(x, off), 1, n, n) })
	m := maxs[first(maxs)]
	spreadChunks(w, len(x), func(c, off, n int) {
		m := m
		k.expSum(ptr(dst, off), ptr(sums, c), ptr(x, off), &m, 1, n, n, n)
	})
	var s float64
	for _, p := range sums {
		s += p
	}
	spreadChunks(w, len(x), func(c, off, n int) {
		f := T(1 / s)
		k.scale(ptr(dst, off), &f, 1, n, n)
	})
}

func logSoftmaxRows[T Float](k *kernels[T], dst, x Matrix[T]) {
	var t sums[T]
	var log [tile]T
	for i := 0; i < x.Rows; i += t.n {
		t.next(k, x.slice(0, i+cachedRows(x.Rows-i, x.Cols)), i)
		for j, s := range t.sum[:t.n] {
			log[j] = T(log1p64(s))
		}
		k.shift(ptr(dst.Data, i*dst.Stride), ptr(x.Data, i*x.Stride), ptr(t.max[:], 0), ptr(log[:], 0), t.n, x.Cols, dst.Stride, x.Stride)
	}
}

// logSoftmaxRow does one long row with w goroutines.
func logSoftmaxRow[T Float](k *kernels[T], dst, x []T, w int) {
	m, s := logSumRow(k, x, w)
	spreadChunks(w, len(x), func(c, off, n int) {
		m, l := m, T(log1p64(s))
		k.shift(ptr(dst, off), ptr(x, off), &m, &l, 1, n, n, n)
	})
}

func softmaxGradRows[T Float](dx, y, dy Matrix[T]) {
	for i := range y.Rows {
		dx, y, dy := dx.row(i), y.row(i), dy.row(i)
		var s float64
		for j, p := range y {
			s += float64(float64(p) * float64(dy[j]))
		}
		for j, p := range y {
			dx[j] = T(float64(p) * (float64(dy[j]) - s))
		}
	}
}

func logSoftmaxGradRows[T Float](dx, y, dy Matrix[T]) {
	for i := range y.Rows {
		dx, y, dy := dx.row(i), y.row(i), dy.row(i)
		var s float64
		for _, g := range dy {
			s += float64(g)
		}
		for j, l := range y {
			dx[j] = T(float64(dy[j]) - float64(expOf[T](float64(l))*s))
		}
	}
}

// planarTiles runs op on the tiles [lo, hi) of n rows each, through copies
// whose rows are contiguous.
func planarTiles[T Float](op rowOp, k *kernels[T], dst, x, y view[T], n, lo, hi int) {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	buf := scratch[T](b, 2*n*x.c)
	tiles := (x.d + n - 1) / n
	for t := lo; t < hi; t++ {
		d := t % tiles * n
		at := t/tiles*x.stride + d
		rows := min(n, x.d-d)
		a := Dense(rows, x.c, buf[:rows*x.c])
		gather(a, x, at)
		g := a
		if op >= softmaxGradOp {
			g = Dense(rows, x.c, buf[n*x.c:][:rows*x.c])
			gather(g, y, at)
		}
		runOp(op, k, a, a, g, 0, rows)
		for j := range x.c {
			out := dst.data[at+j*x.d:][:rows]
			for i := range out {
				out[i] = a.Data[i*x.c+j]
			}
		}
	}
}

// gather copies the rows of v that start at v.data[at] into a.
func gather[T Float](a Matrix[T], v view[T], at int) {
	for j := range a.Cols {
		for i, x := range v.data[at+j*v.d:][:a.Rows] {
			a.Data[i*a.Cols+j] = x
		}
	}
}

var buffers = sync.Pool{New: func() any { return new([]float64) }}

// scratch returns n elements in the buffer b, which it lets grow.
func scratch[T Float](b *[]float64, n int) []T {
	if len(*b) < n {
		*b = make([]float64, n)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(*b))), n)
}
