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
		w := weightOf(o.Weight, int(t)) / float64(x.Cols)
		h := hinges[T]{k: k, shift: (margin - float64(x.row(i)[t])) + 0, square: o.P == 2}
		if grad != nil {
			h.scale = float64(float64(upstream(o.Upstream, i)*norm) * w)
			h.row(grad.row(i), x.row(i), int(t))
		} else {
			h.row(nil, x.row(i), int(t))
		}
		s := float64(h.sum * w)
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

// hinges adds up the terms of a row, and their derivatives.
type hinges[T Float] struct {
	k            *kernels[T]
	shift, scale float64
	square       bool
	sum, slope   float64
}

// row adds up a row but for the target's own term, and sets grad to its gradient, unless
// that is nil.
func (h *hinges[T]) row(grad, x []T, target int) {
	if grad == nil {
		h.add(nil, x[:target])
		h.add(nil, x[target+1:])
		return
	}
	h.add(grad[:target], x[:target])
	h.add(grad[target+1:], x[target+1:])
	grad[target] = T(-h.slope * h.scale)
}

// add adds up elements of a row.
func (h *hinges[T]) add(grad, x []T) {
	k := h.k
	if math.IsInf(h.shift, 0) { // which a kernel does not add to what it fills a vector with
		k = portable[T]()
	}
	for off := 0; off < len(x); off += blockSize {
		var s [2]float64
		n := min(blockSize, len(x)-off)
		switch {
		case grad == nil:
			k.hinge(ptr(s[:], 0), ptr(x, off), hidden(&h.shift), n)
			if h.square {
				s[0] = s[1]
			}
		case h.square:
			k.squaredHingeGrad(ptr(s[:], 0), ptr(grad, off), ptr(x, off), hidden(&h.shift), hidden(&h.scale), n)
		default:
			k.hingeGrad(ptr(s[:], 0), ptr(grad, off), ptr(x, off), hidden(&h.shift), hidden(&h.scale), n)
		}
		h.sum += s[0]
		h.slope += s[1]
	}
}
