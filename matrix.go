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
// fields of gonum's blas32.General and blas64.General, in the same order, so
// that logits.Matrix[float32](g) converts one without a copy.
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
	view() view[T]
}

// A view is what Matrix and Planar have in common. If d is 1, element (i, j) is
// data[i*stride+j]; else element (i, j, k) is data[i*stride+j*d+k].
type view[T Float] struct {
	n, c, d int
	data    []T
	stride  int
}

func (x Matrix[T]) view() view[T] { return view[T]{x.Rows, x.Cols, 1, x.Data, x.Stride} }
func (x Planar[T]) view() view[T] { return view[T]{x.N, x.C, x.D, x.Data, x.C * x.D} }

func (v view[T]) matrix() Matrix[T] { return Matrix[T]{v.n, v.c, v.data, v.stride} }

// span returns how many elements of Data the matrix takes, first to last.
func (x Matrix[T]) span() int {
	if x.Rows == 0 || x.Cols == 0 {
		return 0
	}
	return (x.Rows-1)*x.Stride + x.Cols
}

// check reports what is wrong with a matrix of the given name.
func (x Matrix[T]) check(fn, name string) error {
	if x.Rows < 0 || x.Cols < 0 {
		return fmt.Errorf("logits: %s: %s is %d x %d, want no negative size", fn, name, x.Rows, x.Cols)
	}
	if x.Rows <= 1 {
		if x.Rows == 1 && len(x.Data) < x.Cols {
			return fmt.Errorf("logits: %s: len(%s.Data) is %d, want at least %d for a row", fn, name, len(x.Data), x.Cols)
		}
		return nil
	}
	if x.Stride < x.Cols {
		return fmt.Errorf("logits: %s: %s.Stride is %d, want at least its %d columns", fn, name, x.Stride, x.Cols)
	}
	hi, lo := bits.Mul(uint(x.Rows-1), uint(x.Stride))
	need := lo + uint(x.Cols)
	if x.Cols > 0 && (hi != 0 || need < lo || need > uint(len(x.Data))) {
		return fmt.Errorf("logits: %s: len(%s.Data) is %d, too short for %d rows of %d, stride %d", fn, name, len(x.Data), x.Rows, x.Cols, x.Stride)
	}
	return nil
}

func (v view[T]) check(fn, name string) error {
	if v.d == 1 {
		return v.matrix().check(fn, name)
	}
	if v.n < 0 || v.c < 0 || v.d < 0 {
		return fmt.Errorf("logits: %s: %s is %d x %d x %d, want no negative size", fn, name, v.n, v.c, v.d)
	}
	h1, size := bits.Mul(uint(v.c), uint(v.d))
	h2, size := bits.Mul(uint(v.n), size)
	if h2 != 0 || h1 != 0 && v.n != 0 || size > uint(len(v.data)) {
		return fmt.Errorf("logits: %s: len(%s.Data) is %d, too short for %d x %d x %d", fn, name, len(v.data), v.n, v.c, v.d)
	}
	return nil
}

// rows returns the number of rows.
func (v view[T]) rows() int { return v.n * v.d }

// checkLen reports a slice that does not have one element a row.
func checkLen(fn, name string, got, rows int) error {
	if got != rows {
		return fmt.Errorf("logits: %s: len(%s) is %d, want one element for each of the %d rows", fn, name, got, rows)
	}
	return nil
}

// checkShape reports a dst that does not have the shape of x, or overlaps it
// without being the same.
func checkShape[T Float](fn, dstName string, dst view[T], xName string, x view[T]) error {
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

func (v view[T]) shape() string {
	if v.d == 1 {
		return fmt.Sprintf("%d x %d", v.n, v.c)
	}
	return fmt.Sprintf("%d x %d x %d", v.n, v.c, v.d)
}

func (v view[T]) span() int {
	if v.d == 1 {
		return v.matrix().span()
	}
	return v.n * v.c * v.d
}

// overlaps reports whether two views of one shape share memory without being
// the same. Of two matrices of one stride it tells columns that lie side by side.
func (v view[T]) overlaps(w view[T]) bool {
	if !overlap(v.data[:v.span()], w.data[:w.span()]) {
		return false
	}
	a, b := unsafe.Pointer(unsafe.SliceData(v.data)), unsafe.Pointer(unsafe.SliceData(w.data))
	if a == b && (v.stride == w.stride || v.n == 1) {
		return false
	}
	if v.d > 1 || v.stride != w.stride || v.n == 1 {
		return true
	}
	var x T
	size := uintptr(unsafe.Sizeof(x))
	apart := (max(uintptr(a), uintptr(b)) - min(uintptr(a), uintptr(b)))
	side := int(apart % (uintptr(v.stride) * size) / size)
	return apart%size != 0 || side < v.c || side+v.c > v.stride
}

// overlap reports whether two slices share memory.
func overlap[T, U any](x []T, y []U) bool {
	if len(x) == 0 || len(y) == 0 {
		return false
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(x))), uintptr(unsafe.Pointer(unsafe.SliceData(y)))
	return a < b+uintptr(len(y))*unsafe.Sizeof(y[0]) && b < a+uintptr(len(x))*unsafe.Sizeof(x[0])
}

// checkDst reports what is wrong with a slice of one result a row, and with x.
func checkDst[T Float, U any](fn, name string, dst []U, x Matrix[T]) error {
	if err := x.check(fn, "x"); err != nil {
		return err
	}
	if err := checkLen(fn, name, len(dst), x.Rows); err != nil {
		return err
	}
	if overlap(dst, x.Data[:x.span()]) {
		return fmt.Errorf("logits: %s: %s overlaps x", fn, name)
	}
	return nil
}

// ptr returns the address of s[i:], hidden from escape analysis: kernels are
// called through a table, which would send every slice to the heap, and keep
// no pointer.
func ptr[T any](s []T, i int) *T {
	p := uintptr(unsafe.Pointer(unsafe.SliceData(s[i:])))
	return *(**T)(unsafe.Pointer(&p))
}
