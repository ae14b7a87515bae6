package logits

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

// kernels is one path: the row loops that everything else is made of. They
// check nothing: rows and cols are at least 1, strides count elements, dst is
// the source exactly or apart from it. Only the portable ones, in
// kernels_generic.go, exist for float64.
type kernels[T Float] struct {
	name string

	// pages asks the CPU for n pages of memory from x on, which need not exist; the
	// portable one does nothing.
	pages func(x *T, n int)
	// max sets dst[i] to the maximum of row i, a zero of either sign, or a NaN.
	max func(dst, x *T, rows, cols, stride int)
	// min is max for the minimum.
	min func(dst, x *T, rows, cols, stride int)
	// argMax sets dst[i] to the index of the first maximum or the first NaN of row i.
	argMax func(dst *int, x *T, rows, cols, stride int)
	// sum sets dst[i] to the sum of row i.
	sum func(dst *float64, x *T, rows, cols, stride int)
	// exp sets dst[i] to e^x[i] for i < n. If stream is not 0 it may write dst past the
	// caches.
	exp func(dst, x *T, n, stream int)
	// sumExp finds, for each block of blockSize elements and row by row: base, an
	// element of the row, or -MaxFloat if the block is masked; sum, the sum of
	// e^(x-base) over the block but for one element, less than 2^101; and peak, that
	// element, or -Inf. An element that makes up most of the row's sum is one, so
	// that the sum of the others keeps its digits however small it is.
	sumExp func(base, sum, peak, x *T, rows, cols, stride int)
	// sumExpDot is sumExp and sets dot to the sum of x-base over the block,
	// sumExpWeighted to that of w[j] (x-base).
	sumExpDot      func(base, sum, peak, dot, x *T, rows, cols, stride int)
	sumExpWeighted func(base, sum, peak, dot, x, w *T, rows, cols, stride int)
	// shiftSumExp is sumExp for one row, rows being 1, and meanwhile sets the n elements of
	// to to (from - *max) - *log, past the caches if stream is not 0: n is a multiple of 64,
	// and to of 64 bytes.
	shiftSumExp func(base, sum, peak, x *T, rows, cols, stride int, to, from, max, log *T, n, stream int)
	// log1p replaces x[i] by log(1 + x[i]) for i < n, x[i] >= 0.
	log1p func(x *float64, n int)
	// expSum finds, for each block: base, an element of the row, or -MaxFloat if the
	// block is masked; sum, that of the elements of dst; and more, so that e^(x-base)
	// is 1 + more times the element of dst, or that is 0. x is at most base + 60.
	expSum func(dst, base, sum, more, x *T, rows, cols, dstStride, stride int)
	// expSumDot and expSumWeighted also set dot as sumExpDot and sumExpWeighted do.
	expSumDot      func(dst, base, sum, more, dot, x *T, rows, cols, dstStride, stride int)
	expSumWeighted func(dst, base, sum, more, dot, x, w *T, rows, cols, dstStride, stride int)
	// scaleExpSum is expSum, but first what is in dst goes to the rows of to, each
	// block times its factor and plus add[i]. If stream is not 0 that may go past the
	// caches.
	scaleExpSum func(dst, base, sum, more, x *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, stream int)
	// scaleExpSumDot is that for expSumDot; scaleExpSumWeighted for expSumWeighted,
	// and adds add[i] w[j].
	scaleExpSumDot      func(dst, base, sum, more, dot, x *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, stream int)
	scaleExpSumWeighted func(dst, base, sum, more, dot, x, w *T, rows, cols, dstStride, stride int, to, factor, add *T, toStride, stream int)
	// shortSoftmax finds for rows of at most shortCols columns: max, the greatest
	// element; sum, the sum of e^(x-max) without the maximum's own; and log, log(1 +
	// sum). sum may be log, and all of them nil. A row with a NaN or +Inf, or of only
	// -Inf, has the sum NaN. If dst is not nil it also sets dst to the probabilities
	// times scale, which each row has one of; nil means 1. shortSoftmaxDot also sets dot to
	// the sum of w[j] (x-max), and adds w[j] add to dst; w nil means 1. size is the number
	// of elements from x on that may be asked for ahead, 0 for none.
	shortSoftmax    func(dst, scale, max *T, sum, log *float64, x *T, rows, cols, dstStride, stride, size int)
	shortSoftmaxDot func(dst, scale, add, max *T, sum, log *float64, dot, x, w *T, rows, cols, dstStride, stride, size int)
	// mediumSoftmax and mediumSoftmaxDot are the same for at most wideTile rows of at most
	// mediumCols columns, where that is more than shortCols, but that log is set to sum;
	// w is not nil.
	mediumSoftmax    func(dst, scale, max *T, sum, log *float64, x *T, rows, cols, dstStride, stride, size int)
	mediumSoftmaxDot func(dst, scale, add, max *T, sum, log *float64, dot, x, w *T, rows, cols, dstStride, stride, size int)
	mediumCols       int
	// scale sets row i of dst to that of x, each block times its factor, plus add[i]
	// unless add is nil.
	scale func(dst, x, factor, add *T, rows, cols, dstStride, stride int)
	// scaleWeighted adds add[i] w[j] instead.
	scaleWeighted func(dst, x, factor, add, w *T, rows, cols, dstStride, stride int)
	// addScaled adds factor[i] times row i of x to row i of dst.
	addScaled func(dst, x, factor *T, rows, cols, dstStride, stride int)
	// dot sets dst[i] to the sum of y (x - base[i]) over row i.
	dot func(dst *float64, x, base, y *T, rows, cols, stride, yStride int)
	// shift sets row i of dst to (x - max[i]) - log[i]. If stream is not 0 it may write
	// dst past the caches.
	shift func(dst, x, max, log *T, rows, cols, dstStride, stride, stream int)

	// square sets dst[i] to the sum of (x - y)^2 over row i, distance to that of
	// |x - y|. The others also set grad to the derivative with respect to x times
	// *scale; if stream is not 0 they may write it past the caches, and it and its
	// rows are aligned to 64 bytes.
	square, distance         func(dst *float64, x, y *T, rows, cols, stride, yStride int)
	squareGrad, distanceGrad func(dst *float64, grad, x, y, scale *T, rows, cols, gradStride, stride, yStride, stream int)

	// hinge sets sum[0] to the sum of h = max(0, x + *shift) over n elements, and sum[1]
	// to that of its square. hingeGrad and squaredHingeGrad set sum[0] to the sum of h, or
	// of its square, sum[1] to that of its derivative, and dst to this times *scale. All
	// is in float64; *shift is finite and not -0. dst may be x.
	hinge                       func(sum *float64, x *T, shift *float64, n int)
	hingeGrad, squaredHingeGrad func(sum *float64, dst, x *T, shift, scale *float64, n int)

	// cross sets sum[0] to the sum of p log q over n elements but for those of p = 0, in
	// float64. It is of no use if sum[1] or sum[2] is more than 128 from 0, or sum[0] a
	// NaN: then a q with p != 0 was not positive and finite, or there was a NaN.
	cross func(sum *float64, p, q *T, n int)

	// inner sets dst[i] to the sum of x y over row i, or of x if y is nil, added up
	// in float64.
	inner func(dst *float64, x, y *T, rows, cols, stride, yStride int)
	// softmaxGrad sets row i of dst to x (y - s[i]), logSoftmaxGrad to y + s[i] e^x,
	// e^x being a T. dst may be x or y. s[i] is a NaN or one that inRange is true for.
	// If stream is not 0 they may write dst past the caches.
	softmaxGrad, logSoftmaxGrad func(dst, x, y *T, s *float64, rows, cols, dstStride, stride, yStride, stream int)

	// planarSumExp finds for n positions, a multiple of 16, whose classes are
	// stride apart: max, sum and log as shortSoftmax does; sum and log may be nil.
	// planarSoftmax also sets dst to the probabilities times scale. scratch has
	// classes*32 elements. planarSumExpDot and planarSoftmaxDot also set dot to the sum
	// of w[c] (x-max) over the classes c, and planarSoftmaxDot adds w[c] add to dst.
	planarSumExp     func(max *T, sum, log *float64, x, scratch *T, n, classes, stride int)
	planarSumExpDot  func(max *T, sum, log *float64, dot, x, w, scratch *T, n, classes, stride int)
	planarSoftmax    func(dst, scale, max *T, sum, log *float64, x, scratch *T, n, classes, dstStride, stride int)
	planarSoftmaxDot func(dst, scale, add, max *T, sum, log *float64, dot, x, w, scratch *T, n, classes, dstStride, stride int)
	// planarProbs is planarSumExp with a target t = (keep q + share) w[c] for each
	// class, smooth being keep and share: mass is the sum of t, and dot that of
	// t (x-max) but for terms of t = 0. planarProbsGrad also sets dst to
	// scale (mass p - t), p being the probabilities; its scratch has classes*48.
	planarProbs     func(max *T, sum, log *float64, mass, dot, x, q, w, smooth, scratch *T, n, classes, stride int)
	planarProbsGrad func(dst, scale, max *T, sum, log *float64, mass, dot, x, q, w, smooth, scratch *T, n, classes, dstStride, stride int)
	// planarShift sets dst to (x - max) - log, of which each position has one. If stream
	// is not 0 it may write dst past the caches; dst and stride are multiples of 64 bytes.
	planarShift func(dst, x, max, log *T, n, classes, stride, stream int)

	// planarInner sets dst to the sum of x y over the classes of each position, or
	// of x if y is nil, and copies them to xCopy and yCopy, n apart.
	planarInner func(dst *float64, x, y, xCopy, yCopy *T, n, classes, stride int)
	// planarSoftmaxGrad sets dst to x ((y - high) - low), planarLogSoftmaxGrad to
	// y + s e^x, of whose high, low and s each position has one. dst may be x.
	planarSoftmaxGrad    func(dst, x, y, high, low *T, n, classes, dstStride, stride int)
	planarLogSoftmaxGrad func(dst, x, y, s *T, n, classes, stride, yStride int)
}

const (
	// blockSize elements are summed in float32 before float64 takes over.
	blockSize = 4096
	// shortCols is the longest row of the shortSoftmax kernel, mediumCols that of
	// mediumSoftmax, where assembly has it: longer ones do better in blocks.
	shortCols  = 16
	mediumCols = 224
	// chunkSize is the longest row that a kernel which sums is given: longer
	// ones go in chunks, which may be shared among goroutines.
	chunkSize   = chunkBlocks * blockSize
	chunkBlocks = 32
	// cacheSize elements stay in the second-level cache between the passes of
	// what takes several.
	cacheSize = 32 * 1024
)

// nearSize elements of float32, 32 KB, are what most of stays in a first-level cache of
// 48 KB and more while as many are read. A smaller one keeps too little: dispatch_amd64.go
// sets it to cacheSize then.
var nearSize = 8 * 1024

var (
	// paths are the tables that this CPU can run, best first.
	paths = append(accelerated(), &tableGeneric)
	// active is the one that runs.
	active = startPath(os.Getenv("LOGITS_PATH"))

	tableGeneric   = genericKernels[float32]()
	tableGeneric64 = genericKernels[float64]()
)

// startPath returns the table that the environment asks for, or the best one.
func startPath(name string) *kernels[float32] {
	if name == "" {
		return paths[0]
	}
	k, err := findPath(name)
	if err != nil {
		panic("LOGITS_PATH: " + err.Error())
	}
	return k
}

func findPath(name string) (*kernels[float32], error) {
	for _, k := range paths {
		if k.name == name {
			return k, nil
		}
	}
	return nil, fmt.Errorf("logits: this CPU and build have no path %q, only %s", name, strings.Join(Paths(), ", "))
}

// Paths returns the names of the paths that this CPU and build can run, best
// first: avx512, avx2, neon, and always, as the last one, generic.
func Paths() []string {
	names := make([]string, len(paths))
	for i, k := range paths {
		names[i] = k.name
	}
	return names
}

// Path returns the name of the path that runs float32 work. Float64 work is
// always done by the portable code.
func Path() string { return active.name }

// SetPath makes the named path the one that runs, for tests and benchmarks. A
// name that [Paths] does not list is an error and changes nothing. SetPath
// must not be called while other calls of the package run.
//
// The environment variable LOGITS_PATH does the same at start-up; a name that
// is not listed is a panic then, which names those that are.
func SetPath(name string) error {
	k, err := findPath(name)
	if err == nil {
		active = k
	}
	return err
}

// is32 tells whether T is a float32; the compiler knows.
func is32[T Float]() bool { return elemSize[T]() == 4 }

// table returns the kernels that run for T. A type of underlying type float32
// is given those of float32, which are the same in memory.
func table[T Float]() *kernels[T] {
	if is32[T]() {
		return (*kernels[T])(unsafe.Pointer(active))
	}
	return portable[T]()
}

// portable returns the portable kernels for T.
func portable[T Float]() *kernels[T] {
	if is32[T]() {
		return (*kernels[T])(unsafe.Pointer(&tableGeneric))
	}
	return (*kernels[T])(unsafe.Pointer(&tableGeneric64))
}
