package logits

import (
	"fmt"
	"math/bits"
	"unsafe"
)

// Float is the type of an element. Float32 work runs in assembly where there
// is a path for it, float64 work in portable Go.
type Float interface{ ~float32 | ~float64 }

// Index is the type of a target: the number of a class, from 0.
type Index interface{ ~int | ~int32 | ~int64 }

// Matrix is a row-major view: element (i, j) is Data[i*Stride+j]. It has the
// fields of gonum's blas64.General in the same order, so that
// logits.Matrix[float64](g) converts one without a copy; those of blas32.General
// are in another order, logits.Matrix[float32]{g.Rows, g.Cols, g.Data, g.Stride}.
//
// Stride must be at least Cols unless there is only one row, and Data must
// reach to the last element. Zero rows and zero columns are fine.
type Matrix[T Float] struct {
	Rows, Cols int
	Data       []T
	Stride     int
}

// Row returns x as a matrix of one row.
func Row[T Float](x []T) Matrix[T] {
	return Matrix[T]{Rows: 1, Cols: len(x), Data: x, Stride: len(x)}
}

// Dense returns x as rows*cols contiguous elements.
func Dense[T Float](rows, cols int, x []T) Matrix[T] {
	return Matrix[T]{Rows: rows, Cols: cols, Data: x, Stride: cols}
}

// Planar is PyTorch's N x C x d1 x ... layout, the spatial sizes multiplied
// into D: element (n, c, d) is Data[(n*C+c)*D+d]. It has N*D rows of C classes;
// row n*D+d is the one at position d of sample n. One value a row, such as a
// target, is in that order.
type Planar[T Float] struct {
	N, C, D int
	Data    []T
}

// Scores is a [Matrix] or a [Planar].
type Scores[T Float] interface {
	Matrix[T] | Planar[T]
	of(T) // for T to be inferred
}

// A view is what Matrix and Planar have in common. If d is 1, element (i, j) is
// data[i*stride+j]; else element (i, j, k) is data[i*stride+j*d+k].
type view[T Float] struct {
	n, c, d int
	data    []T
	stride  int
}

// viewOf makes v the view of x, which it takes by address: a copy of its words
// would wait for them to reach memory.
func viewOf[T Float, S Scores[T]](v *view[T], x *S) {
	switch x := any(x).(type) {
	case *Matrix[T]:
		v.n, v.c, v.d, v.data, v.stride = x.Rows, x.Cols, 1, x.Data, x.Stride
	case *Planar[T]:
		v.n, v.c, v.d, v.data, v.stride = x.N, x.C, x.D, x.Data, x.C*x.D
	}
}

func (Matrix[T]) of(T) {}
func (Planar[T]) of(T) {}

// rows returns the number of rows.
func (v *view[T]) rows() int { return v.n * v.d }

func (v *view[T]) matrix() Matrix[T] { return Matrix[T]{v.n, v.c, v.data, v.stride} }

// checkMatrix reports what is wrong with a matrix over n elements. Like all
// checks it takes numbers and pointers: copies of a Matrix would cost a short
// row more than its kernel. What makes the errors is apart, so that the rest is
// inlined.
func checkMatrix(fn, name string, rows, cols, stride, n int) error {
	if matrixFits(rows, cols, stride, n) {
		return nil
	}
	return matrixError(fn, name, rows, cols, stride, n)
}

// matrixFits tells whether a matrix has no more than n elements, first to last.
func matrixFits(rows, cols, stride, n int) bool {
	if rows <= 1 {
		return rows >= 0 && cols >= 0 && (rows == 0 || cols <= n)
	}
	hi, lo := bits.Mul(uint(rows-1), uint(stride))
	return cols >= 0 && stride >= cols && (cols == 0 || cols <= n && hi == 0 && lo <= uint(n-cols))
}

func matrixError(fn, name string, rows, cols, stride, n int) error {
	switch {
	case rows < 0 || cols < 0:
		return fmt.Errorf("logits: %s: %s is %d x %d, want no negative size", fn, name, rows, cols)
	case rows > 1 && stride < cols:
		return fmt.Errorf("logits: %s: %s.Stride is %d, want at least its %d columns", fn, name, stride, cols)
	case rows == 1:
		stride = 0
	}
	return fmt.Errorf("logits: %s: len(%s.Data) is %d, too short for %d rows of %d, stride %d", fn, name, n, rows, cols, stride)
}

func checkPlanar(fn, name string, n, c, d, size int) error {
	if n < 0 || c < 0 || d < 0 {
		return fmt.Errorf("logits: %s: %s is %d x %d x %d, want no negative size", fn, name, n, c, d)
	}
	if n == 0 || c == 0 || d == 0 {
		return nil
	}
	h1, plane := bits.Mul(uint(c), uint(d))
	h2, all := bits.Mul(uint(n), plane)
	if h1 != 0 || h2 != 0 || all > uint(size) {
		return fmt.Errorf("logits: %s: len(%s.Data) is %d, too short for %d x %d x %d", fn, name, size, n, c, d)
	}
	return nil
}

// checkLen reports a slice that does not have one element a row.
func checkLen(fn, name string, got, rows int) error {
	if got != rows {
		return lenError(fn, name, got, rows)
	}
	return nil
}

func lenError(fn, name string, got, rows int) error {
	return fmt.Errorf("logits: %s: len(%s) is %d, want one element for each of the %d rows", fn, name, got, rows)
}

// checkDst reports what is wrong with a slice of one result a row, and with x.
func checkDst[T Float, U any](fn, name string, dst []U, x *Matrix[T]) error {
	return checkDstNamed(fn, name, dst, "x", x)
}

func checkDstNamed[T Float, U any](fn, name string, dst []U, xName string, x *Matrix[T]) error {
	if !matrixFits(x.Rows, x.Cols, x.Stride, len(x.Data)) {
		return matrixError(fn, xName, x.Rows, x.Cols, x.Stride, len(x.Data))
	}
	if err := checkLen(fn, name, len(dst), x.Rows); err != nil {
		return err
	}
	if overlap(addr(dst), size(dst), addr(x.Data), span(x.Rows, x.Cols, x.Stride)*elemSize[T]()) {
		return fmt.Errorf("logits: %s: %s overlaps %s", fn, name, xName)
	}
	return nil
}

func (v *view[T]) check(fn, name string) error {
	if v.d == 1 {
		return checkMatrix(fn, name, v.n, v.c, v.stride, len(v.data))
	}
	return checkPlanar(fn, name, v.n, v.c, v.d, len(v.data))
}

// checkShape reports a dst that does not have the shape of x, or overlaps it
// without being the same.
func checkShape[T Float](fn, dstName string, dst *view[T], xName string, x *view[T]) error {
	if err := x.check(fn, xName); err != nil {
		return err
	}
	if dst.n != x.n || dst.c != x.c || dst.d != x.d {
		return fmt.Errorf("logits: %s: %s is %s, want the %s of %s", fn, dstName, dst.shape(), x.shape(), xName)
	}
	if err := dst.check(fn, dstName); err != nil {
		return err
	}
	if dst.overlaps(x) {
		return fmt.Errorf("logits: %s: %s overlaps %s partly; it must be the same or apart from it", fn, dstName, xName)
	}
	return nil
}

// rowOf returns the row of v and that of x if each is a matrix of one row that passes
// checkShape: short ones feel the time that it takes.
func (v *view[T]) rowOf(x *view[T]) (dst, row []T, ok bool) {
	n := x.c
	if v.n != 1 || x.n != 1 || v.d != 1 || x.d != 1 || n <= 0 || v.c != n || n > len(v.data) || n > len(x.data) {
		return nil, nil, false
	}
	a, b, size := addr(v.data), addr(x.data), n*elemSize[T]()
	if a != b && overlap(a, size, b, size) {
		return nil, nil, false
	}
	return v.data[:n], x.data[:n], true
}

func (v *view[T]) shape() string {
	if v.d == 1 {
		return fmt.Sprintf("%d x %d", v.n, v.c)
	}
	return fmt.Sprintf("%d x %d x %d", v.n, v.c, v.d)
}

// bytes returns how many bytes the view takes, first to last.
func (v *view[T]) bytes() int {
	if v.d == 1 {
		return span(v.n, v.c, v.stride) * elemSize[T]()
	}
	return v.n * v.c * v.d * elemSize[T]()
}

// overlaps reports whether two views of one shape share memory without being
// the same. Of two matrices of one stride it tells columns that lie side by side.
func (v *view[T]) overlaps(w *view[T]) bool {
	a, b := addr(v.data), addr(w.data)
	if !overlap(a, v.bytes(), b, w.bytes()) {
		return false
	}
	if a == b && (v.stride == w.stride || v.n == 1) {
		return false
	}
	if v.d > 1 || v.stride != w.stride || v.n == 1 {
		return true
	}
	size := uintptr(elemSize[T]())
	apart := max(a, b) - min(a, b)
	side := int(apart / size % uintptr(v.stride))
	return apart%size != 0 || side < v.c || side+v.c > v.stride
}

// span returns how many elements a matrix takes, first to last.
func span(rows, cols, stride int) int {
	switch {
	case rows == 0 || cols == 0:
		return 0
	case rows == 1:
		return cols
	}
	return (rows-1)*stride + cols
}

// overlap reports whether n bytes at a and m bytes at b have one in common.
func overlap(a uintptr, n int, b uintptr, m int) bool {
	return n > 0 && m > 0 && a < b+uintptr(m) && b < a+uintptr(n)
}

func addr[T any](s []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

func size[T any](s []T) int {
	var x T
	return len(s) * int(unsafe.Sizeof(x))
}

func elemSize[T Float]() int {
	var x T
	return int(unsafe.Sizeof(x))
}

// row returns row i.
func (x *Matrix[T]) row(i int) []T { return x.Data[i*x.Stride:][:x.Cols] }

// slice returns the rows [lo, hi).
func (x *Matrix[T]) slice(lo, hi int) Matrix[T] {
	return Matrix[T]{hi - lo, x.Cols, x.Data[lo*x.Stride:], x.Stride}
}

// ptr returns the address of s[i], hidden from escape analysis: kernels are
// called through a table, which would send every slice to the heap, and keep no
// pointer. The stack must not move between the two lines.
//
//go:nosplit
//go:nocheckptr
func ptr[T any](s []T, i int) *T {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(s[i:])))
	return *(**T)(unsafe.Pointer(&p))
}

// hidden is ptr for one value.
//
//go:nosplit
//go:nocheckptr
func hidden[T any](v *T) *T {
	p := uintptr(unsafe.Pointer(v))
	return *(**T)(unsafe.Pointer(&p))
}
