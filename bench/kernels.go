package main

import "github.com/seed26845165/logits"

// result says where a kernel leaves its result.
type result int

const (
	perRow     result = iota // workspace.out
	perElement               // workspace.y
	indices                  // workspace.index
)

// A kernel is one function of the package, with a plain loop that does the same.
type kernel struct {
	name   string
	result result
	run    func(w *workspace) error
	naive  func(w *workspace)
	torch  string // PyTorch's name
}

var kernels = []kernel{
	{"max", perRow, func(w *workspace) error { return logits.RowMax(w.out, w.in()) }, naiveMax, "amax"},
	{"argmax", indices, func(w *workspace) error { return logits.RowArgMax(w.index, w.in()) }, naiveArgMax, "argmax"},
	{"sum", perRow, func(w *workspace) error { return logits.RowSum(w.out, w.in()) }, naiveSum, "sum"},
	{"exp", perElement, func(w *workspace) error { return logits.Exp(w.dst(), w.in()) }, naiveExp, "exp"},
	{"log-sum-exp", perRow, func(w *workspace) error { return logits.RowLogSumExp(w.out, w.in()) }, naiveLogSumExp, "logsumexp"},
	{"softmax", perElement, func(w *workspace) error { return logits.Softmax(w.dst(), w.in()) }, naiveSoftmax, "softmax"},
	{"log-softmax", perElement, func(w *workspace) error { return logits.LogSoftmax(w.dst(), w.in()) }, naiveLogSoftmax, "log_softmax"},
	{"nll", perRow, func(w *workspace) error { return logits.LogSoftmaxNLL(w.out, w.in(), w.targets) }, naiveNLL, "cross_entropy"},
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

// bytes returns what has to move for an element: a float32 read, and one
// written where the result is as large as the input.
func (k kernel) bytes() int {
	if k.result == perElement {
		return 8
	}
	return 4
}

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
	}
	return append(dst, w.out...)
}

// tolerance is the largest difference between two right results. It is there
// to catch a contender that computes something else; -accuracy has the errors.
func (k kernel) tolerance(want float32, cols int) float64 {
	switch k.name {
	case "max", "argmax":
		return 0
	case "sum":
		return 1e-5 * float64(cols)
	case "exp", "softmax": // Relative: probabilities may all be small.
		return 1e-4 * float64(want)
	}
	return 1e-5 * max(1, float64(want), -float64(want))
}
