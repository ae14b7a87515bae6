package logits

import (
	"fmt"
	"unsafe"
)

// MSE returns the mean, over all elements, or the sum of (x - y)^2, as
// PyTorch's MSELoss defines it; y may be one-hot labels, see [OneHot]. x and y
// have one shape. The mean of no elements is NaN. It adds up in float64 and
// reads both once.
func MSE[T Float](x, y Matrix[T], r Reduction) (float64, error) {
	return elementLoss("MSE", square, nil, &x, &y, r, 0)
}

// MSEGrad is [MSE] and sets grad to its gradient with respect to x times
// upstream, in the same pass: 2 (x - y) upstream, divided by the number of
// elements for the mean. grad may be x or y.
func MSEGrad[T Float](grad, x, y Matrix[T], r Reduction, upstream T) (float64, error) {
	return elementLoss("MSEGrad", square, &grad, &x, &y, r, upstream)
}

// MSEEach sets every element of dst to (x - y)^2. dst may be x or y.
func MSEEach[T Float](dst, x, y Matrix[T]) error {
	return elementLosses("MSEEach", square, &dst, &x, &y)
}

// L1 returns the mean, over all elements, or the sum of |x - y|, as PyTorch's
// L1Loss defines it. x and y have one shape. The mean of no elements is NaN. It
// adds up in float64 and reads both once.
func L1[T Float](x, y Matrix[T], r Reduction) (float64, error) {
	return elementLoss("L1", distance, nil, &x, &y, r, 0)
}

// L1Grad is [L1] and sets grad to its gradient with respect to x times
// upstream: the sign of x - y, 0 where they are equal, divided by the number of
// elements for the mean. grad may be x or y.
func L1Grad[T Float](grad, x, y Matrix[T], r Reduction, upstream T) (float64, error) {
	return elementLoss("L1Grad", distance, &grad, &x, &y, r, upstream)
}

// L1Each sets every element of dst to |x - y|. dst may be x or y.
func L1Each[T Float](dst, x, y Matrix[T]) error {
	return elementLosses("L1Each", distance, &dst, &x, &y)
}

// An elementOp is a loss of two elements.
type elementOp int

const (
	square elementOp = iota
	distance
)

// of returns the loss of d = x - y and its derivative.
func (op elementOp) of(d float64) (loss, slope float64) {
	switch {
	case op == square:
		return float64(d * d), 2 * d
	case d > 0:
		return d, 1
	case d < 0:
		return -d, -1
	}
	return d - d + float64(d*d), 0 // 0 or NaN
}

func checkPair[T Float](fn string, x, y *Matrix[T], dstName string, dst *Matrix[T]) error {
	if err := checkMatrix(fn, "x", x.Rows, x.Cols, x.Stride, len(x.Data)); err != nil {
		return err
	}
	if y.Rows != x.Rows || y.Cols != x.Cols {
		return fmt.Errorf("logits: %s: y is %d x %d, want the %d x %d of x", fn, y.Rows, y.Cols, x.Rows, x.Cols)
	}
	if err := checkMatrix(fn, "y", y.Rows, y.Cols, y.Stride, len(y.Data)); err != nil {
		return err
	}
	if dst == nil {
		return nil
	}
	var d, a, b view[T]
	viewOf(hidden(&d), dst)
	viewOf(hidden(&a), x)
	viewOf(hidden(&b), y)
	if err := checkShape(fn, dstName, &d, "x", &a); err != nil {
		return err
	}
	return checkShape(fn, dstName, &d, "y", &b)
}

func elementLoss[T Float](fn string, op elementOp, grad, x, y *Matrix[T], r Reduction, upstream T) (float64, error) {
	if err := checkPair(fn, x, y, "grad", grad); err != nil {
		return 0, err
	}
	if err := r.check(fn); err != nil {
		return 0, err
	}
	n := float64(x.Rows) * float64(x.Cols)
	scale := float64(upstream)
	if r == Mean {
		scale /= n
	}
	p := pairJob[T]{k: table[T](), op: op, x: *x, y: *y, scale: T(scale)}
	if grad != nil {
		p.grad = *grad
		p.stream = streams(grad.Data, x.Data, y.Data, x.Rows*x.Cols)
	}
	total := p.sum()
	if r == Mean {
		total /= n
	}
	return total, nil
}

// A pairJob is the work of one call; it has no grad if only the loss is asked for.
type pairJob[T Float] struct {
	k          *kernels[T]
	op         elementOp
	x, y, grad Matrix[T]
	scale      T
	stream     bool // write the gradient past the caches
}

// streamSize is the number of elements from which a gradient is written past the
// caches. On a Zen 4 with 1 MB of L2 and 32 MB of L3, MSEGrad of 1<<19 elements
// takes 0.13 ns each with plain stores and 0.15 with these, 1<<20 take 0.18 and
// 0.15, 64x50257 take 0.39 and 0.25; with a RowSum of the gradient behind it, 0.23
// and 0.25, 0.37 and 0.28, 0.57 and 0.44. On a Xeon with 480 MB of L3 that many
// cores share, 132x32000 takes 0.42 and 0.42, AVX2 0.42 and 0.46, 264x32000 0.49 and
// 0.43; SoftmaxGrad 0.45 and 0.50, 0.73 and 0.54. dispatch_amd64.go sets it.
var streamSize = leastStream

const leastStream = 1 << 20

// streamSizeOf returns the streamSize for a last-level cache of so many bytes, as far as
// is known: an eighth of it, as several cores share it, but what was measured at most.
func streamSizeOf(l3 int) int { return min(max(l3/(8*4), leastStream), 1<<22) }

// streamCols is the shortest row that goes past the caches, shiftCols that of LogSoftmax:
// others lose at their ends.
const (
	streamCols = 1024
	shiftCols  = 512
)

// streams tells whether to write n elements of grad, which is computed from x
// and y, past the caches.
func streams[T Float](grad, x, y []T, n int) bool {
	return n >= streamSize && addr(grad) != addr(x) && addr(grad) != addr(y)
}

// streamsOf is streams for results of x alone, which for longer are as fast in the
// caches. Exp with plain stores and these, ns an element, on a Zen 3 with 32 MB of L3:
// 256x4096 the same, 512x4096 0.38 and 0.35, 256x65536 0.63 and 0.57; planar Softmax
// there: 4x21x16384 0.73 and 0.84, 7x21x16384 1.09 and 0.99. Exp on a Xeon with 480 MB:
// 264x32000 0.29 and 0.32, 528x32000 0.60 and 0.37.
func streamsOf[T Float](dst, x []T, n int) bool { return n >= 2*streamSize && streams(dst, x, x, n) }

// bit returns an argument of a kernel.
func bit(set bool) int {
	if set {
		return 1
	}
	return 0
}

// sum returns the sum of the losses, added up in float64 part by part of the
// rows, or of all elements if they are contiguous.
func (p *pairJob[T]) sum() float64 {
	if p.x.contiguous() && p.y.contiguous() && p.grad.contiguous() {
		n := p.x.Rows * p.x.Cols
		p.x.Rows, p.x.Cols, p.x.Stride = 1, n, n
	}
	parts := p.x.Rows * cacheParts(p.x.Cols)
	if w := workers(p.x.Rows * p.x.Cols); w > 1 {
		return spreadPair(w, parts, *p)
	}
	var total float64
	for i := range parts {
		total += p.part(i)
	}
	return total
}

func spreadPair[T Float](w, parts int, job pairJob[T]) float64 {
	return spreadTotal(w, parts, job.part)
}

// part does one part of a row and returns its sum.
func (p *pairJob[T]) part(i int) float64 {
	row, off := i/cacheParts(p.x.Cols), i%cacheParts(p.x.Cols)*cacheSize
	n := min(cacheSize, p.x.Cols-off)
	for _, m := range [...]*Matrix[T]{&p.x, &p.y} {
		newPager(p.k, m.Data, m.Cols, m.Stride).aheadOf(row*m.Stride+off, n)
	}
	x, y := ptr(p.x.Data, row*p.x.Stride+off), ptr(p.y.Data, row*p.y.Stride+off)
	if p.grad.Data == nil {
		return p.loss(p.k, x, y, n)
	}
	// The loss of a gradient in place comes first, since it may take two tries.
	var first float64
	g := ptr(p.grad.Data, row*p.grad.Stride+off)
	inPlace := g == x || g == y
	if inPlace {
		first = p.loss(p.k, x, y, n)
	}
	var sum [1]float64
	scale := [1]T{p.scale}
	kernel := p.k.squareGrad
	if p.op == distance {
		kernel = p.k.distanceGrad
	}
	stream := p.stream && uintptr(unsafe.Pointer(g))%64 == 0
	kernel(ptr(sum[:], 0), g, x, y, ptr(scale[:], 0), 1, n, 0, 0, 0, bit(stream))
	switch {
	case inPlace:
		return first
	case sum[0]-sum[0] != 0:
		return p.loss(p.k, x, y, n)
	}
	return sum[0]
}

// loss returns the sum of n losses. Where float32 overflows on the way, the
// portable code, which adds in float64, has the last word.
func (p *pairJob[T]) loss(k *kernels[T], x, y *T, n int) float64 {
	var sum [1]float64
	kernel := k.square
	if p.op == distance {
		kernel = k.distance
	}
	kernel(ptr(sum[:], 0), x, y, 1, n, 0, 0)
	if portable := portable[T](); sum[0]-sum[0] != 0 && k != portable {
		return p.loss(portable, x, y, n)
	}
	return sum[0]
}

func elementLosses[T Float](fn string, op elementOp, dst, x, y *Matrix[T]) error {
	if err := checkPair(fn, x, y, "dst", dst); err != nil {
		return err
	}
	for i := range x.Rows {
		b, out := y.row(i), dst.row(i)
		for j, v := range x.row(i) {
			l, _ := op.of(float64(v) - float64(b[j]))
			out[j] = T(l)
		}
	}
	return nil
}

// OneHot sets row i of dst to 0 but for a 1 at targets[i]. The targets are in
// [0, dst.Cols), or nothing is written.
func OneHot[T Float, I Index](dst Matrix[T], targets []I) error {
	const fn = "OneHot"
	if err := checkMatrix(fn, "dst", dst.Rows, dst.Cols, dst.Stride, len(dst.Data)); err != nil {
		return err
	}
	if err := checkTargets(fn, targets, dst.Rows, dst.Cols); err != nil {
		return err
	}
	if overlap(addr(targets), size(targets), addr(dst.Data), span(dst.Rows, dst.Cols, dst.Stride)*elemSize[T]()) {
		return fmt.Errorf("logits: %s: targets overlaps dst", fn)
	}
	for i, t := range targets {
		row := dst.row(i)
		clear(row)
		row[t] = 1
	}
	return nil
}

// RowCrossEntropy sets dst[i] to the cross-entropy of the distributions in row i
// of p and q, H(p, q) = -sum p log q in nats, with 0 log 0 = 0: where p is 0 the
// term is 0 whatever q is, and p > 0 against q = 0 makes it +Inf. The rows need
// not sum to 1. p and q have one shape, dst has one element a row and overlaps
// neither.
func RowCrossEntropy[T Float](dst []T, p, q Matrix[T]) error {
	const fn = "RowCrossEntropy"
	if err := checkDstNamed(fn, "dst", dst, "p", &p); err != nil {
		return err
	}
	if q.Rows != p.Rows || q.Cols != p.Cols {
		return fmt.Errorf("logits: %s: q is %d x %d, want the %d x %d of p", fn, q.Rows, q.Cols, p.Rows, p.Cols)
	}
	if err := checkDstNamed(fn, "dst", dst, "q", &q); err != nil {
		return err
	}
	k := table[T]()
	for i := range dst {
		var sum float64
		a, b := p.row(i), q.row(i)
		for off := 0; off < len(a); off += blockSize {
			var s [3]float64
			n := min(blockSize, len(a)-off)
			k.cross(ptr(s[:], 0), ptr(a, off), ptr(b, off), n)
			if crossFailed(&s) {
				crossGeneric(&s[0], &a[off], &b[off], n)
			}
			sum -= s[0]
		}
		dst[i] = T(sum)
	}
	return nil
}

// crossFailed tells whether what the kernel cross found is of no use.
func crossFailed(s *[3]float64) bool { return !(s[1] >= -128 && s[2] <= 128) || s[0] != s[0] }
