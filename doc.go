// Package logits computes the last layer of classifiers and language models on
// a CPU: the row-wise maximum, exponential and sum, softmax, log-softmax and
// log-sum-exp, and the criteria that train it. The cross-entropy of class
// targets is one fused pass that stores no probability.
//
// Its float32 kernels are assembly for AVX-512, for AVX2 with FMA, and for
// NEON, chosen once at start-up; everything exists in portable Go too, which
// also does float64. Rows come as a [Matrix] with a stride, or, where it makes
// sense, as [Planar], PyTorch's N x C x d1 x ... layout.
//
// # Criteria
//
// [CrossEntropy] of class targets and [CrossEntropyProbs] of class
// probabilities, [NLL], [MultiMargin], [MSE] and [L1] are PyTorch's, each in
// three forms: the mean or sum; the same with the gradient in one pass (...Grad,
// which may overwrite its input); and the losses one by one (...Rows, ...Each:
// PyTorch's reduction "none"). [Options] has class weights, the ignored target,
// label smoothing, and what gradients are multiplied by and added to. Reduced
// losses are added up in float64. What differs from PyTorch: weights that are
// negative or NaN, smoothing outside [0, 1], and shapes that would have to be
// broadcast are errors; a term of the cross-entropy whose target probability is
// 0 is 0, even against a logit of -Inf; a confident row's loss and gradient keep
// their digits.
//
// # Accuracy
//
// Bounds for float32, on every path and for rows of any length; exact is the
// result in exact arithmetic, m the maximum of the row, p the probability:
//
//	Exp            1 ULP over all of float32
//	RowSum         1e-6 * sum |x|
//	RowLogSumExp   4e-7 * max(1, |exact|)
//	LogSoftmax     4e-7 * max(1, |exact|)
//	LogSoftmaxNLL  4e-7 * max(1, exact), and under 1 also
//	               exact * (1e-6 + |x - m| * 2^-24), down to 1e-36
//	Softmax        p * (6e-7 + |x - m| * 2^-24), for p above 1e-37
//
// The criteria and gradients are as exact: their terms have the errors above,
// and the gradient of the cross-entropy at the target is computed from the sum
// of the other classes, not as 1 - p.
//
// The term |x - m| * 2^-24 is the rounding of x - m and is absent where that
// is exact. The loss of a confident row keeps its digits, since it is the
// log1p of a sum that leaves the row's maximum out. Inside softmax and the
// loss an exponential under the smallest normal number may be taken as 0.
// Float64 results are good to 1e-12 or better.
//
// # Reproducibility
//
// AVX2, AVX-512 and NEON return the same bits for the same input, NaNs aside.
// Portable Go has bits of its own, the same on every architecture. No result
// depends on the number of goroutines or on alignment, or on the stride, but for
// the last digits of [MSE] and [L1], which add up contiguous matrices as one row.
//
// # Special values
//
// They follow PyTorch. A NaN in a row makes its results NaN, its maximum too,
// and RowArgMax finds it. -Inf entries are masked: they have the probability 0,
// and a loss of +Inf as targets. A row of -Inf only, or with +Inf, is NaN in
// the softmaxes and the loss; its log-sum-exp is -Inf or +Inf. The maximum of
// -0 and +0 is +0, a sum of zeros is +0. A row without columns has the maximum
// and log-sum-exp -Inf, the sum 0, and -1 for the index of its maximum.
//
// To have zeros, and not NaN, in the softmax of wholly masked rows, take the
// rows' maxima before it and clear the rows that have -Inf (see the example of
// [Softmax]).
//
// # Paths
//
// [Paths] lists what the CPU can run, best first, and [Path] tells which runs.
// AVX2 is used together with FMA3 only, AVX-512 if there are F, BW, DQ and VL,
// each if the operating system keeps its registers. [SetPath], or
// LOGITS_PATH=generic, avx2, avx512 or neon in the environment, forces one: a
// name that [Paths] does not list is an error of SetPath, and in the
// environment a panic at start-up that lists the valid ones. The build tag
// purego, or noasm, leaves all assembly out.
//
// # Errors, aliasing, goroutines
//
// Functions check their arguments before they write anything and return errors
// that name the argument, the index and what is allowed. dst may be exactly
// the source, unless its elements are of another kind; a partial overlap is an
// error. Big inputs are split over goroutines, see [SetWorkers]; on one
// goroutine nothing is allocated. All functions but SetPath may be called
// concurrently.
package logits
