package logits

import "math"

// tile is how many rows, and blocks, are worked on between two calls of a kernel.
const tile = chunkSize / blockSize

// RowMax sets dst[i] to the maximum of row i of x: NaN if the row has a NaN,
// -Inf if it has no columns, and +0 rather than -0 if it has both. len(dst) is
// x.Rows; dst must not overlap x. It reads x once.
func RowMax[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowMax", "dst", dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, T(math.Inf(-1)))
		return nil
	}
	k := table[T]()
	w := workers(x.Rows * x.Cols)
	switch {
	case w > 1 && x.Rows < w:
		for i := range dst {
			row := x.row(i)
			parts := make([]T, chunks(len(row)))
			spreadChunks(w, len(row), func(c, off, n int) { rowMax(k, parts[c:c+1], Row(row[off:off+n])) })
			dst[i] = parts[first(parts)]
			plusZero(dst[i:i+1], Row(parts))
		}
	case w > 1:
		spread(w, x.Rows, func(lo, hi int) { rowMax(k, dst[lo:hi], x.slice(lo, hi)) })
	default:
		rowMax(k, dst, x)
	}
	return nil
}

func rowMax[T Float](k *kernels[T], dst []T, x Matrix[T]) {
	if x.Rows == 0 {
		return
	}
	k.max(ptr(dst, 0), ptr(x.Data, 0), x.Rows, x.Cols, x.Stride)
	plusZero(dst, x)
}

// plusZero gives a maximum of zero the sign that it should have: MAXPS returns
// whichever zero comes last.
func plusZero[T Float](dst []T, x Matrix[T]) {
	for i, m := range dst {
		if m == 0 {
			dst[i] = negZero[T]()
			for _, v := range x.row(i) {
				if v == 0 && !math.Signbit(float64(v)) {
					dst[i] = 0
					break
				}
			}
		}
	}
}

func negZero[T Float]() T { return T(math.Copysign(0, -1)) }

// RowArgMax sets dst[i] to the index of the first maximum of row i of x, of
// the first NaN if the row has one, and to -1 if it has no columns. len(dst) is
// x.Rows. It reads x once.
func RowArgMax[T Float](dst []int, x Matrix[T]) error {
	if err := checkDst("RowArgMax", "dst", dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, -1)
		return nil
	}
	k := table[T]()
	w := workers(x.Rows * x.Cols)
	switch {
	case w > 1 && x.Rows < w:
		for i := range dst {
			row := x.row(i)
			parts := make([]int, chunks(len(row)))
			maxs := make([]T, len(parts))
			spreadChunks(w, len(row), func(c, off, n int) {
				rowArgMax(k, parts[c:c+1], Row(row[off:off+n]))
				parts[c] += off
				maxs[c] = row[parts[c]]
			})
			dst[i] = parts[first(maxs)]
		}
	case w > 1:
		spread(w, x.Rows, func(lo, hi int) { rowArgMax(k, dst[lo:hi], x.slice(lo, hi)) })
	default:
		rowArgMax(k, dst, x)
	}
	return nil
}

func rowArgMax[T Float](k *kernels[T], dst []int, x Matrix[T]) {
	if x.Rows > 0 {
		k.argMax(ptr(dst, 0), ptr(x.Data, 0), x.Rows, x.Cols, x.Stride)
	}
}

// RowSum sets dst[i] to the sum of row i of x, 0 if it has no columns. The
// error is at most 1e-6 of the sum of the magnitudes for float32, however long
// the row is. A float32 sum that overflows on the way, within a block of 2048
// elements, ends in Inf or NaN. len(dst) is x.Rows; dst must not overlap x. It
// reads x once.
func RowSum[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowSum", "dst", dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, 0)
		return nil
	}
	k := table[T]()
	w := workers(x.Rows * x.Cols)
	switch {
	case w > 1 && x.Rows < w:
		for i := range dst {
			row := x.row(i)
			parts := make([]float64, chunks(len(row)))
			spreadChunks(w, len(row), func(c, off, n int) { k.sum(ptr(parts, c), ptr(row, off), 1, n, n) })
			var s float64
			for _, p := range parts {
				s += p
			}
			dst[i] = T(s)
		}
	case w > 1:
		spread(w, x.Rows, func(lo, hi int) { rowSum(k, dst[lo:hi], x.slice(lo, hi)) })
	default:
		rowSum(k, dst, x)
	}
	return nil
}

func rowSum[T Float](k *kernels[T], dst []T, x Matrix[T]) {
	var sums [tile]float64
	for i := 0; i < x.Rows; i += tile {
		n := min(tile, x.Rows-i)
		for off := 0; off < x.Cols; off += chunkSize {
			cols := min(chunkSize, x.Cols-off)
			if x.Cols <= chunkSize {
				k.sum(ptr(sums[:], 0), ptr(x.Data, i*x.Stride), n, cols, x.Stride)
				break
			}
			var part [tile]float64
			k.sum(ptr(part[:], 0), ptr(x.Data, i*x.Stride+off), n, cols, x.Stride)
			for j, p := range part[:n] {
				if off == 0 {
					sums[j] = 0
				}
				sums[j] += p
			}
		}
		for j, s := range sums[:n] {
			dst[i+j] = T(s)
		}
	}
}

// Exp sets every element of dst to e^x. The error is below 1 ULP over all of
// float32 and float64; results overflow to +Inf where they should and
// underflow gradually; NaN gives NaN, -Inf gives +0. dst has the shape of x and
// is the same matrix or apart from it.
func Exp[T Float](dst, x Matrix[T]) error {
	if err := checkShape("Exp", "dst", dst.view(), "x", x.view()); err != nil {
		return err
	}
	if x.Rows == 0 || x.Cols == 0 {
		return nil
	}
	k := table[T]()
	if x.Rows == 1 || x.Stride == x.Cols && dst.Stride == dst.Cols {
		n := x.Rows * x.Cols
		x, dst := x.Data[:n], dst.Data[:n]
		if w := workers(n); w > 1 {
			spreadChunks(w, n, func(c, off, n int) { k.exp(ptr(dst, off), ptr(x, off), n) })
			return nil
		}
		k.exp(ptr(dst, 0), ptr(x, 0), n)
		return nil
	}
	if w := workers(x.Rows * x.Cols); w > 1 {
		spread(w, x.Rows, func(lo, hi int) { expRows(k, dst.slice(lo, hi), x.slice(lo, hi)) })
		return nil
	}
	expRows(k, dst, x)
	return nil
}

func expRows[T Float](k *kernels[T], dst, x Matrix[T]) {
	for i := range x.Rows {
		k.exp(ptr(dst.Data, i*dst.Stride), ptr(x.Data, i*x.Stride), x.Cols)
	}
}

// RowLogSumExp sets dst[i] to log(sum of e^x over row i of x), computed as
// m + log1p(s), m being the maximum and s the sum of e^(x-m) over the others.
// The error is at most 4e-7 * max(1, |exact|) for float32. NaN in a row gives
// NaN; else +Inf gives +Inf; -Inf entries count for nothing, and a row of them
// alone, or of no columns, gives -Inf. len(dst) is x.Rows; dst must not overlap
// x. It reads x once.
func RowLogSumExp[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowLogSumExp", "dst", dst, x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, T(math.Inf(-1)))
		return nil
	}
	k := table[T]()
	w := workers(x.Rows * x.Cols)
	switch {
	case w > 1 && x.Rows < w:
		for i := range dst {
			m, s := logSumRow(k, x.row(i), w)
			dst[i] = logSum(k, x, i, m, s)
		}
	case w > 1:
		spread(w, x.Rows, func(lo, hi int) { rowLogSumExp(k, dst[lo:hi], x.slice(lo, hi)) })
	default:
		rowLogSumExp(k, dst, x)
	}
	return nil
}

func rowLogSumExp[T Float](k *kernels[T], dst []T, x Matrix[T]) {
	var t sums[T]
	for i := 0; i < x.Rows; i += t.n {
		t.next(k, x, i)
		for j := range t.n {
			dst[i+j] = logSum(k, x, i+j, t.max[j], t.sum[j])
		}
	}
}

func logSum[T Float](k *kernels[T], x Matrix[T], i int, m T, s float64) T {
	if m > maxFinite[T]() {
		// The sum is NaN whether or not there is a NaN beside the +Inf.
		k.max(&m, ptr(x.Data, i*x.Stride), 1, x.Cols, x.Stride)
		return m
	}
	return T(float64(m) + log1p64(s))
}

func maxFinite[T Float]() T { return -lowest[T]() }

// sums holds what the log-sum-exps of some rows come from: the maximum, and
// the sum of e^(x-max) over the row without one maximum. A row of only -Inf has
// -Inf and 0, which gives it the right log-sum-exp, and NaN for x - max. In a
// row with a NaN or +Inf the sum is NaN.
type sums[T Float] struct {
	n     int // number of rows
	max   [tile]T
	sum   [tile]float64
	parts [tile]partial[T]
}

// next takes the rows from i, as many as there is room for.
func (t *sums[T]) next(k *kernels[T], x Matrix[T], i int) {
	if x.Cols > chunkSize {
		t.n = 1
		t.max[0], t.sum[0] = logSumRow(k, x.row(i), 1)
		return
	}
	blocks := (x.Cols + blockSize - 1) / blockSize
	t.n = min(tile/blocks, x.Rows-i)
	k.sumExp(ptr(t.parts[:], 0), ptr(x.Data, i*x.Stride), t.n, x.Cols, x.Stride)
	for j := range t.n {
		t.max[j], t.sum[j] = merge(t.parts[j*blocks : (j+1)*blocks])
	}
}

// logSumRow does a row of any length, with w goroutines.
func logSumRow[T Float](k *kernels[T], row []T, w int) (T, float64) {
	blocks := (len(row) + blockSize - 1) / blockSize
	if w > 1 {
		parts := make([]partial[T], blocks)
		spreadChunks(w, len(row), func(c, off, n int) { k.sumExp(ptr(parts, c*tile), ptr(row, off), 1, n, n) })
		return merge(parts)
	}
	s := newSum[T]()
	var parts [tile]partial[T]
	for off := 0; off < len(row); off += chunkSize {
		n := min(chunkSize, len(row)-off)
		k.sumExp(ptr(parts[:], 0), ptr(row, off), 1, n, n)
		for _, p := range parts[:(n+blockSize-1)/blockSize] {
			s.add(p)
		}
	}
	return s.result()
}

// merge adds up the partials of a row.
func merge[T Float](parts []partial[T]) (T, float64) {
	if len(parts) == 1 {
		if p := parts[0]; p.ones > 0 {
			return p.max, float64(p.sum) + (float64(p.ones) - 1)
		}
	}
	s := newSum[T]()
	for _, p := range parts {
		s.add(p)
	}
	return s.result()
}

// A sum is a running sum of partials relative to the greatest maximum so far,
// with the elements that equal it counted apart.
type sum[T Float] struct {
	max       T
	sum, ones float64
}

func newSum[T Float]() sum[T] { return sum[T]{max: T(math.Inf(-1))} }

func (s *sum[T]) add(p partial[T]) {
	d := float64(p.max) - float64(s.max)
	switch {
	case d > 0:
		s.sum = float64((s.sum+s.ones)*exp64(-d)) + float64(p.sum)
		s.max, s.ones = p.max, float64(p.ones)
	case d == 0:
		s.sum += float64(p.sum)
		s.ones += float64(p.ones)
	default:
		s.sum += float64((float64(p.sum) + float64(p.ones)) * exp64(d))
	}
}

func (s *sum[T]) result() (T, float64) {
	if s.ones == 0 && s.sum == 0 {
		return T(math.Inf(-1)), 0
	}
	return s.max, s.sum + (s.ones - 1)
}

func (x Matrix[T]) row(i int) []T { return x.Data[i*x.Stride : i*x.Stride+x.Cols] }

// slice returns the rows [lo, hi).
func (x Matrix[T]) slice(lo, hi int) Matrix[T] {
	return Matrix[T]{hi - lo, x.Cols, x.Data[lo*x.Stride:], x.Stride}
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
