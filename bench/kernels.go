package main

import (
	"math"

	"github.com/seed26845165/logits"
)

// result says where a kernel leaves its result.
type result int

const (
	perRow     result = iota // workspace.out
	perElement               // workspace.y
	indices                  // workspace.index
	scalar                   // workspace.loss
)

// A kernel is one function of the package, with a plain loop that does the same.
type kernel struct {
	name   string
	title  string // as README.md has it
	result result
	run    func(w *workspace) error
	naive  func(w *workspace)
	op     string // what the peers call it
	kind   kind
	ops    int // additions, products and comparisons of an element, if there are no exponentials
}

// A kind is a set of what else there is to say about a kernel.
type kind int

const (
	criterion   kind = 1 << iota // by default at one matrix only, see shapesOf
	onPlanar                     // takes planar shapes, the others matrices
	twoInputs                    // reads workspace.other too
	exponential                  // takes one of every element
)

func (k kernel) is(what kind) bool { return k.kind&what != 0 }

// takes says whether the kernel works on a shape.
func (k kernel) takes(s shape) bool { return k.is(onPlanar) == (s.samples > 0) }

var kernels = []kernel{
	{"max", "`RowMax`", perRow, func(w *workspace) error { return logits.RowMax(w.out, w.in()) },
		naiveMax, "amax", 0, 1},
	{"argmax", "`RowArgMax`", indices, func(w *workspace) error { return logits.RowArgMax(w.index, w.in()) },
		naiveArgMax, "argmax", 0, 1},
	{"sum", "`RowSum`", perRow, func(w *workspace) error { return logits.RowSum(w.out, w.in()) },
		naiveSum, "sum", 0, 1},
	{"exp", "`Exp`", perElement, func(w *workspace) error { return logits.Exp(w.dst(), w.in()) },
		naiveExp, "exp", exponential, 0},
	{"log-sum-exp", "`RowLogSumExp`", perRow, func(w *workspace) error { return logits.RowLogSumExp(w.out, w.in()) },
		naiveLogSumExp, "logsumexp", exponential, 0},
	{"softmax", "`Softmax`", perElement, func(w *workspace) error { return logits.Softmax(w.dst(), w.in()) },
		naiveSoftmax, "softmax", exponential, 0},
	{"log-softmax", "`LogSoftmax`", perElement, func(w *workspace) error { return logits.LogSoftmax(w.dst(), w.in()) },
		naiveLogSoftmax, "log_softmax", exponential, 0},
	{"nll", "loss (`LogSoftmaxNLL`)", perRow, func(w *workspace) error { return logits.LogSoftmaxNLL(w.out, w.in(), w.targets) },
		naiveNLL, "cross_entropy", exponential, 0},

	{"ce+grad", "loss and gradient (`CrossEntropyGrad`)", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.CrossEntropyGrad[float32](w.dst(), w.in(), w.targets, nil)
		return err
	}, naiveCEGrad, "cross_entropy_grad", exponential, 0},
	{"ce smooth", "loss, labels smoothed", perRow, func(w *workspace) error {
		return logits.CrossEntropyRows(w.out, w.in(), w.targets, w.smoothed)
	}, naiveCESmooth, "cross_entropy_smooth", criterion | exponential, 0},
	{"ce weight", "loss, classes weighted", perRow, func(w *workspace) error {
		return logits.CrossEntropyRows(w.out, w.in(), w.targets, w.weighted)
	}, naiveCEWeight, "cross_entropy_weight", criterion | exponential, 0},
	{"probs", "loss against probabilities (`CrossEntropyProbsRows`)", perRow, func(w *workspace) error {
		return logits.CrossEntropyProbsRows[float32](w.out, w.in(), w.in2(), nil)
	}, naiveProbs, "cross_entropy_probs", criterion | twoInputs | exponential, 0},
	{"probs+grad", "its gradient (`CrossEntropyProbsGrad`)", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.CrossEntropyProbsGrad[float32](w.dst(), w.in(), w.in2(), nil)
		return err
	}, naiveProbsGrad, "cross_entropy_probs_grad", criterion | twoInputs | exponential, 0},
	{"margin", "`MultiMarginRows`", perRow, func(w *workspace) error {
		return logits.MultiMarginRows(w.out, w.in(), w.targets, nil)
	}, naiveMargin, "multi_margin_loss", criterion, 3},
	{"margin+grad", "`MultiMarginGrad`", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.MultiMarginGrad(w.dst(), w.in(), w.targets, nil)
		return err
	}, naiveMarginGrad, "multi_margin_loss_grad", criterion, 4},
	{"softmax dx", "`SoftmaxGrad`", perElement, func(w *workspace) error {
		return logits.SoftmaxGrad(w.dst(), w.in(), w.in2())
	}, naiveSoftmaxGrad, "softmax_grad", criterion | twoInputs, 5},
	{"log-softmax dx", "`LogSoftmaxGrad`", perElement, func(w *workspace) error {
		return logits.LogSoftmaxGrad(w.dst(), w.in(), w.in2())
	}, naiveLogSoftmaxGrad, "log_softmax_grad", criterion | twoInputs | exponential, 0},
	{"mse", "`MSE`", scalar, func(w *workspace) (err error) {
		w.loss, err = logits.MSE(w.in(), w.in2(), logits.Mean)
		return err
	}, naiveMSE, "mse_loss", criterion | twoInputs, 2},
	{"mse+grad", "`MSEGrad`", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.MSEGrad(w.dst(), w.in(), w.in2(), logits.Mean, 1)
		return err
	}, naiveMSEGrad, "mse_loss_grad", criterion | twoInputs, 3},
	{"l1", "`L1`", scalar, func(w *workspace) (err error) {
		w.loss, err = logits.L1(w.in(), w.in2(), logits.Mean)
		return err
	}, naiveL1, "l1_loss", criterion | twoInputs, 2},
	{"l1+grad", "`L1Grad`", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.L1Grad(w.dst(), w.in(), w.in2(), logits.Mean, 1)
		return err
	}, naiveL1Grad, "l1_loss_grad", criterion | twoInputs, 2},
	// Go's own, on every path: what those before it may cost.
	{"copy", "Go's `copy`", perElement, func(w *workspace) error { copy(w.y, w.x); return nil },
		naiveCopy, "copy", criterion, 0},

	{"planar ce", "loss over images", perRow, func(w *workspace) error {
		return logits.CrossEntropyRows[float32](w.out, w.planarIn(), w.targets, nil)
	}, naivePlanarCE, "cross_entropy", criterion | onPlanar | exponential, 0},
	{"planar ce+grad", "loss and gradient over images", perElement, func(w *workspace) (err error) {
		w.loss, err = logits.CrossEntropyGrad[float32](w.planarDst(), w.planarIn(), w.targets, nil)
		return err
	}, naivePlanarCEGrad, "cross_entropy_grad", criterion | onPlanar | exponential, 0},
}

func names(kernels []kernel) []string {
	var s []string
	for _, k := range kernels {
		s = append(s, k.name)
	}
	return s
}

func kernelNamed(name string) kernel {
	for _, k := range kernels {
		if k.name == name {
			return k
		}
	}
	panic("no kernel " + name)
}

// reads and writes return the bytes that have to move for an element: a float32
// read, or two, and one written where the result is as large as the input.
func (k kernel) reads() int {
	if k.is(twoInputs) {
		return 8
	}
	return 4
}

func (k kernel) writes() int {
	if k.result == perElement {
		return 4
	}
	return 0
}

func (k kernel) bytes() int { return k.reads() + k.writes() }

// results appends the kernel's results in w to dst.
func (k kernel) results(dst []float32, w *workspace) []float32 {
	switch k.result {
	case perElement:
		return append(dst, w.y...)
	case indices:
		for _, i := range w.index {
			dst = append(dst, float32(i))
		}
		return dst
	case scalar:
		return append(dst, float32(w.loss))
	}
	return append(dst, w.out...)
}

// tolerance is the largest difference between two right results. It is there
// to catch a contender that computes something else; the command accuracy has the errors.
func (k kernel) tolerance(want float32, s shape) float64 {
	switch k.name {
	case "max", "argmax", "copy":
		return 0
	case "sum":
		return 1e-5 * float64(s.cols)
	case "exp", "softmax": // Relative: probabilities may all be small.
		return 1e-4 * float64(want)
	case "ce+grad", "planar ce+grad": // 1 - p of a sure target is not good to more in PyTorch.
		return 1e-4*math.Abs(float64(want)) + 1e-6/float64(s.rows)
	case "mse+grad", "l1+grad", "mse", "l1":
		return 1e-5 * math.Abs(float64(want))
	}
	return 1e-5 * max(1, float64(want), -float64(want))
}
