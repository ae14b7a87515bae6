package logits

import (
	"fmt"
	"math"
)

// MarginOptions are those of [MultiMargin]. The zero value, like a nil pointer,
// is PyTorch's default.
type MarginOptions[T Float] struct {
	P         int      // the exponent: 1 (also for 0) or 2
	Margin    *float64 // nil: 1
	Weight    []T      // one factor a class, none negative; nil: all 1
	Reduction Reduction
	Upstream  []T // gradients only: one factor a row, or one for all; nil: 1
}

// MultiMargin returns the multi-class margin loss of the scores x against the
// class targets: the mean or sum over the rows of
//
//	w[t]/C sum over j != t of max(0, margin - x[t] + x[j])^P
//
// with t the row's target and C the number of classes, as PyTorch's
// MultiMarginLoss defines it. There is no ignored target. The mean of no rows
// is NaN. It reads x once.
func MultiMargin[T Float, I Index](x Matrix[T], targets []I, opt *MarginOptions[T]) (float64, error) {
	return multiMargin("MultiMargin", &x, targets, opt, nil, nil)
}

// MultiMarginRows sets loss[i] to the loss of row i. loss has one element a row
// and must not overlap x.
func MultiMarginRows[T Float, I Index](loss []T, x Matrix[T], targets []I, opt *MarginOptions[T]) error {
	if loss == nil {
		loss = []T{}
	}
	_, err := multiMargin("MultiMarginRows", &x, targets, opt, loss, nil)
	return err
}

// MultiMarginGrad is [MultiMargin] and sets grad to its gradient with respect to
// x. grad has the shape of x and may be x.
func MultiMarginGrad[T Float, I Index](grad, x Matrix[T], targets []I, opt *MarginOptions[T]) (float64, error) {
	return multiMargin("MultiMarginGrad", &x, targets, opt, nil, &grad)
}

func multiMargin[T Float, I Index](fn string, x *Matrix[T], targets []I, opt *MarginOptions[T], loss []T, grad *Matrix[T]) (float64, error) {
	var o MarginOptions[T]
	if opt != nil {
		o = *opt
	}
	margin := 1.0
	if o.Margin != nil {
		margin = *o.Margin
	}
	var v view[T]
	viewOf(hidden(&v), x)
	if err := v.check(fn, "x"); err != nil {
		return 0, err
	}
	if o.P < 0 || o.P > 2 {
		return 0, fmt.Errorf("logits: %s: P is %d, want 1 or 2", fn, o.P)
	}
	if err := checkWeight(fn, o.Weight, x.Cols); err != nil {
		return 0, err
	}
	if err := o.Reduction.check(fn); err != nil {
		return 0, err
	}
	if err := checkUpstream(fn, o.Upstream, x.Rows); err != nil {
		return 0, err
	}
	if err := checkTargets(fn, targets, x.Rows, x.Cols); err != nil {
		return 0, err
	}
	var g *view[T]
	if grad != nil {
		var gv view[T]
		viewOf(hidden(&gv), grad)
		g = &gv
	}
	if err := checkResults(fn, &v, loss, g, false); err != nil {
		return 0, err
	}

	n := float64(x.Rows)
	norm := 1.0
	if o.Reduction == Mean {
		norm = 1 / n
	}
	k := table[T]()
	var total float64
	for i, t := range targets {
		row, t := x.row(i), int(t)
		w := weightOf(o.Weight, t) / float64(x.Cols)
		shift := (margin - float64(row[t])) + 0 // not -0
		h := hinge[T]{k: k, square: o.P == 2, shift: shift}
		if math.IsInf(shift, 0) { // which a kernel does not add to what it fills a vector with
			h.k = portable[T]()
		}
		var s float64
		if grad == nil {
			s = h.sum(row[:t]) + h.sum(row[t+1:])
		} else {
			to := grad.row(i)
			h.scale = float64(float64(upstream(o.Upstream, i)*norm) * w)
			before, slopes := h.grad(to[:t], row[:t])
			after, others := h.grad(to[t+1:], row[t+1:])
			s, to[t] = before+after, T(-(slopes+others)*h.scale)
		}
		s = float64(s * w)
		if loss != nil {
			loss[i] = T(s)
		}
		total += s
	}
	if o.Reduction == Mean {
		total /= n
	}
	return total, nil
}

// A hinge is what the terms of a row have in common.
type hinge[T Float] struct {
	k            *kernels[T]
	square       bool
	shift, scale float64
}

// sum returns the sum of the terms of elements.
func (h *hinge[T]) sum(x []T) float64 {
	var all float64
	for len(x) > 0 {
		var s [2]float64
		n := min(blockSize, len(x))
		h.k.hinge(ptr(s[:], 0), ptr(x, 0), hidden(&h.shift), n)
		if h.square {
			s[0] = s[1]
		}
		all += s[0]
		x = x[n:]
	}
	return all
}

// grad is sum, sets to to the gradient and returns the sum of the derivatives, too.
func (h *hinge[T]) grad(to, x []T) (all, slopes float64) {
	kernel := h.k.hingeGrad
	if h.square {
		kernel = h.k.squaredHingeGrad
	}
	for len(x) > 0 {
		var s [2]float64
		n := min(blockSize, len(x))
		kernel(ptr(s[:], 0), ptr(to, 0), ptr(x, 0), hidden(&h.shift), hidden(&h.scale), n)
		all, slopes = all+s[0], slopes+s[1]
		x, to = x[n:], to[n:]
	}
	return all, slopes
}
