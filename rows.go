package logits

import "math"

// tile is how many short rows are worked on between two calls of a kernel, wideTile how
// many where there is room for them: chunkBlocks at least.
const (
	tile     = 16
	wideTile = 4 * tile
)

// RowMax sets dst[i] to the maximum of row i of x: NaN if the row has a NaN,
// -Inf if it has no columns, and +0 rather than -0 if it has both. len(dst) is
// x.Rows; dst must not overlap x. It reads x once.
func RowMax[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowMax", "dst", dst, &x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, T(math.Inf(-1)))
		return nil
	}
	k := table[T]()
	if w := workers(x.Rows * x.Cols); w > 1 {
		spreadMax(w, k, dst, x)
		return nil
	}
	rowMax(k, dst, &x)
	return nil
}

func spreadMax[T Float](w int, k *kernels[T], dst []T, x Matrix[T]) {
	if x.Rows >= w {
		spreadRows(w, k, dst, x, rowMax)
		return
	}
	for i := range dst {
		row := x.row(i)
		parts := Row(make([]T, chunks(len(row))))
		spreadChunks(w, len(row), func(c, off, n int) {
			part := Row(row[off:][:n])
			rowMax(k, parts.Data[c:][:1], &part)
		})
		rowMax(k, dst[i:][:1], &parts)
	}
}

func rowMax[T Float](k *kernels[T], dst []T, x *Matrix[T]) {
	byPages(k, k.max, dst, x)
	for i, m := range dst {
		if m == 0 {
			dst[i] = zeroMax(x.row(i))
		}
	}
}

// zeroMax returns the maximum of a row where it is a zero, with its sign:
// MAXPS returns the zero that comes last.
func zeroMax[T Float](x []T) T {
	for _, v := range x {
		if v == 0 && !math.Signbit(float64(v)) {
			return v
		}
	}
	return T(math.Copysign(0, -1))
}

// RowArgMax sets dst[i] to the index of the first maximum of row i of x, of
// the first NaN if the row has one, and to -1 if it has no columns. len(dst) is
// x.Rows. It reads x once.
func RowArgMax[T Float](dst []int, x Matrix[T]) error {
	if err := checkDst("RowArgMax", "dst", dst, &x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, -1)
		return nil
	}
	k := table[T]()
	if w := workers(x.Rows * x.Cols); w > 1 {
		spreadArgMax(w, k, dst, x)
		return nil
	}
	rowArgMax(k, dst, &x)
	return nil
}

func spreadArgMax[T Float](w int, k *kernels[T], dst []int, x Matrix[T]) {
	if x.Rows >= w {
		spreadRows(w, k, dst, x, rowArgMax)
		return
	}
	for i := range dst {
		row := x.row(i)
		parts := make([]int, chunks(len(row)))
		spreadChunks(w, len(row), func(c, off, n int) {
			part := Row(row[off:][:n])
			rowArgMax(k, parts[c:][:1], &part)
			parts[c] += off
		})
		dst[i] = parts[0]
		for _, p := range parts[1:] {
			if m, v := row[dst[i]], row[p]; m == m && (v > m || v != v) {
				dst[i] = p
			}
		}
	}
}

func rowArgMax[T Float](k *kernels[T], dst []int, x *Matrix[T]) {
	byPages(k, k.argMax, dst, x)
}

// RowSum sets dst[i] to the sum of row i of x, 0 if it has no columns. The
// error is at most 1e-6 of the sum of the magnitudes for float32, however long
// the row is. A float32 sum that overflows on the way, within a block of 4096
// elements, ends in Inf or NaN. len(dst) is x.Rows; dst must not overlap x. It
// reads x once.
func RowSum[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowSum", "dst", dst, &x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, 0)
		return nil
	}
	k := table[T]()
	if w := workers(x.Rows * x.Cols); w > 1 {
		spreadSum(w, k, dst, x)
		return nil
	}
	rowSum(k, dst, &x)
	return nil
}

func spreadSum[T Float](w int, k *kernels[T], dst []T, x Matrix[T]) {
	if x.Rows >= w {
		spreadRows(w, k, dst, x, rowSum)
		return
	}
	for i := range dst {
		row := x.row(i)
		dst[i] = T(spreadTotal(w, cacheParts(len(row)), func(c int) float64 {
			var s [1]float64
			off := c * cacheSize
			k.sum(ptr(s[:], 0), ptr(row, off), 1, min(cacheSize, len(row)-off), 0)
			return s[0]
		}))
	}
}

func rowSum[T Float](k *kernels[T], dst []T, x *Matrix[T]) {
	pages := newPager(k, x.Data, x.Cols, x.Stride)
	var sums [tile]float64
	for i := 0; i < x.Rows; i += tile {
		n := min(tile, x.Rows-i)
		if x.Cols <= cacheSize {
			pages.ahead(i, n)
			k.sum(ptr(sums[:], 0), ptr(x.Data, i*x.Stride), n, x.Cols, x.Stride)
			for j, s := range sums[:n] {
				dst[i+j] = T(s)
			}
			continue
		}
		for j := i; j < i+n; j++ {
			var s float64
			for off := 0; off < x.Cols; off += cacheSize {
				n := min(cacheSize, x.Cols-off)
				pages.aheadOf(j*x.Stride+off, n)
				k.sum(ptr(sums[:], 0), ptr(x.Data, j*x.Stride+off), 1, n, 0)
				s += sums[0]
			}
			dst[j] = T(s)
		}
	}
}

// Exp sets every element of dst to e^x. The error is below 1 ULP over all of
// float32 and float64; results overflow to +Inf where they should and
// underflow gradually; NaN gives NaN, -Inf gives +0. dst has the shape of x and
// is the same matrix or apart from it.
func Exp[T Float](dst, x Matrix[T]) error {
	var to, from view[T]
	viewOf(hidden(&to), &dst)
	viewOf(hidden(&from), &x)
	k := table[T]()
	if y, x, ok := to.rowOf(&from); ok && len(x) < streamCols {
		k.exp(ptr(y, 0), ptr(x, 0), len(x), 0)
		return nil
	}
	if err := checkShape("Exp", "dst", &to, "x", &from); err != nil {
		return err
	}
	if x.Rows == 0 || x.Cols == 0 {
		return nil
	}
	if w := workers(x.Rows * x.Cols); w > 1 {
		spreadExp(w, k, dst, x)
		return nil
	}
	if x.contiguous() && dst.contiguous() {
		expElems(k, &dst, &x, 0, x.Rows*x.Cols)
	} else {
		expRows(k, &dst, &x, 0, x.Rows)
	}
	return nil
}

func spreadExp[T Float](w int, k *kernels[T], dst, x Matrix[T]) {
	if !x.contiguous() || !dst.contiguous() {
		spread(w, x.Rows, func(lo, hi int) { expRows(k, &dst, &x, lo, hi) })
		return
	}
	n := x.Rows * x.Cols
	spread(w, cacheParts(n), func(lo, hi int) { expElems(k, &dst, &x, lo*cacheSize, min(hi*cacheSize, n)) })
}

// expElems does the elements [lo, hi) of matrices without gaps.
func expElems[T Float](k *kernels[T], dst, x *Matrix[T], lo, hi int) {
	xs, dsts := newPager(k, x.Data, x.Cols, x.Cols), newPager(k, dst.Data, x.Cols, x.Cols)
	stream := bit(streamsOf(dst.Data, x.Data, x.Rows*x.Cols))
	for off := lo; off < hi; off += cacheSize {
		n := min(cacheSize, hi-off)
		xs.aheadOf(off, n)
		dsts.aheadOf(off, n)
		k.exp(ptr(dst.Data, off), ptr(x.Data, off), n, stream)
	}
}

func expRows[T Float](k *kernels[T], dst, x *Matrix[T], lo, hi int) {
	xs, dsts := newPager(k, x.Data, x.Cols, x.Stride), newPager(k, dst.Data, x.Cols, dst.Stride)
	stream := bit(x.Cols >= streamCols && streamsOf(dst.Data, x.Data, x.Rows*x.Cols))
	for i := lo; i < hi; i++ {
		xs.ahead(i, 1)
		dsts.ahead(i, 1)
		k.exp(ptr(dst.Data, i*dst.Stride), ptr(x.Data, i*x.Stride), x.Cols, stream)
	}
}

func (x *Matrix[T]) contiguous() bool { return x.Rows == 1 || x.Stride == x.Cols }

// RowLogSumExp sets dst[i] to log(sum of e^x over row i of x), computed as
// m + log1p(s), m being the maximum and s the sum of e^(x-m) over the others.
// The error is at most 4e-7 * max(1, |exact|) for float32. NaN in a row gives
// NaN; else +Inf gives +Inf; -Inf entries count for nothing, and a row of them
// alone, or of no columns, gives -Inf. len(dst) is x.Rows; dst must not overlap
// x. It reads x once.
func RowLogSumExp[T Float](dst []T, x Matrix[T]) error {
	if err := checkDst("RowLogSumExp", "dst", dst, &x); err != nil {
		return err
	}
	if x.Cols == 0 {
		fill(dst, T(math.Inf(-1)))
		return nil
	}
	k := table[T]()
	if 0 < x.Rows && x.Rows <= fewRows && x.Cols <= k.mediumCols {
		var log [fewRows]float64
		shortSoftmax(k, nil, nil, ptr(dst, 0), ptr(log[:], 0), ptr(log[:], 0), ptr(x.Data, 0), x.Rows, x.Cols, 0, x.Stride, 0)
		endLogSumExps(k, dst, dst, log[:], &x, 0)
		return nil
	}
	if w := workers(x.Rows * x.Cols); w > 1 {
		spreadLogSumExp(w, k, dst, x)
		return nil
	}
	rowLogSumExp(k, dst, &x)
	return nil
}

func spreadLogSumExp[T Float](w int, k *kernels[T], dst []T, x Matrix[T]) {
	if x.Rows >= w {
		spreadRows(w, k, dst, x, rowLogSumExp)
		return
	}
	for i := range dst {
		row := x.row(i)
		base, log := spreadSumExp(w, k, row, nil)
		dst[i] = logSumExp(k, row, base, log)
	}
}

func rowLogSumExp[T Float](k *kernels[T], dst []T, x *Matrix[T]) {
	if !isWide(x) {
		var r room[T]
		var t sumExps[T]
		r.give(&t)
		logSumExps(k, dst, x, &t)
		return
	}
	var r wideRoom[T]
	var t sumExps[T]
	r.give(&t)
	logSumExps(k, dst, x, &t)
}

func logSumExps[T Float](k *kernels[T], dst []T, x *Matrix[T], t *sumExps[T]) {
	pages := newPager(k, x.Data, x.Cols, x.Stride)
	for i := 0; i < x.Rows; i += t.n {
		t.next(k, x, i, pages)
		endLogSumExps(k, dst[i:][:t.n], t.base, t.log, x, i)
	}
}

// endLogSumExps ends the rows of x from row i on, one for each element of dst, which may
// be base.
func endLogSumExps[T Float](k *kernels[T], dst, base []T, log []float64, x *Matrix[T], i int) {
	base = base[:len(dst)]
	for j, l := range log[:len(dst)] {
		if l != l {
			dst[j] = logSumExp(k, x.row(i+j), base[j], l)
		} else { // as logSumExp, which is not inlined: a call is a third of a short row's time
			dst[j] = T(float64(base[j]) + l)
		}
	}
}

// logSumExp ends a row.
func logSumExp[T Float](k *kernels[T], row []T, base T, log float64) T {
	if log != log {
		// There is a NaN or +Inf, or only -Inf: whatever is the maximum.
		var max [1]T
		k.max(ptr(max[:], 0), ptr(row, 0), 1, len(row), 0)
		return max[0]
	}
	return T(float64(base) + log)
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
