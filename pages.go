package logits

// A pager asks for the pages of a large matrix ahead of a loop over its rows. When
// a CPU first meets a page it looks up where it is, and what follows in the program
// waits; pages that are asked for together are looked up side by side. On a Zen 4
// with pages of 4 KB that takes 10 to 25 % off what reads from memory. Pages that are to
// be written gain nothing there, and on a Zen 5 what stores past the caches up to a third
// (Exp, LogSoftmax and SoftmaxGrad of 256x151936), but for trails, MSEGrad and L1Grad. A nil pager asks for nothing.
type pager[T Float] struct {
	k      *kernels[T]
	data   []T
	stride int
	next   int // the first element whose page is yet to be asked for
}

const (
	// pagedSize is the number of elements from which a matrix has a pager, if its rows
	// have pagedCols: the work on shorter ones hides the wait better.
	pagedSize = 1 << 20
	pagedCols = 256
	// Pages are counted by their elements. They are asked for up to the end of the
	// step after next, fewPages and more at once, but no more than manyPages: a CPU
	// keeps the places of a thousand or two.
	pageElems = 1024
	fewPages  = 32 * pageElems
	manyPages = 512 * pageElems
)

// newPager returns the pager for rows of cols elements, stride apart, or nil if
// there is no need.
func newPager[T Float](k *kernels[T], data []T, cols, stride int) *pager[T] {
	if len(data) < pagedSize || cols < pagedCols || stride > 2*cols {
		return nil
	}
	return &pager[T]{k, data, stride, 0}
}

// byPages gives the rows of x to a kernel with a result a row: all at once if x needs
// no pager.
func byPages[T Float, U any](k *kernels[T], kernel func(dst *U, x *T, rows, cols, stride int), dst []U, x *Matrix[T]) {
	pages := newPager(k, x.Data, x.Cols, x.Stride)
	for i := 0; i < x.Rows; {
		n := x.Rows - i
		if pages != nil {
			n = min(n, max(1, fewPages/x.Cols))
		}
		pages.ahead(i, n)
		kernel(ptr(dst, i), ptr(x.Data, i*x.Stride), n, x.Cols, x.Stride)
		i += n
	}
}

// ahead is called before n rows from row i on are read.
func (p *pager[T]) ahead(i, n int) {
	if p != nil {
		p.aheadOf(i*p.stride, n*p.stride)
	}
}

// aheadOf is called before n elements from off on are read.
func (p *pager[T]) aheadOf(off, n int) {
	if p == nil || off+2*n <= p.next {
		return
	}
	from := max(off, p.next)
	p.next = min(max(off+2*n, from+fewPages), from+manyPages, len(p.data))
	if from < p.next {
		p.k.pages(ptr(p.data, from), (p.next-from+pageElems-1)/pageElems)
	}
}
