package logits

import "fmt"

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

// marginBlock is how many terms are added up before they go to a row's: of thousands
// that are the same, all sums would be rounded the same way.
const marginBlock = 64

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
	var total float64
	for i, t := range targets {
		row, t := x.row(i), int(t)
		w := weightOf(o.Weight, t) / float64(x.Cols)
		shift := margin - float64(row[t])
		var s, slopes float64
		var to []T
		scale := float64(float64(upstream(o.Upstream, i)*norm) * w)
		if grad != nil {
			to = grad.row(i)
		}
		var some, someSlopes float64 // of a block
		for j, v := range row {
			if j%marginBlock == 0 {
				s, slopes = s+some, slopes+someSlopes
				some, someSlopes = 0, 0
			}
			z := shift + float64(v)
			slope := 0.0
			if j != t && !(z <= 0) {
				slope = 1
				switch {
				case z != z:
					slope = z
				case o.P == 2:
					slope = 2 * z
					z = float64(z * z)
				}
				some += z
				someSlopes += slope
			}
			if to != nil {
				to[j] = T(slope * scale)
			}
		}
		s, slopes = s+some, slopes+someSlopes
		if to != nil {
			to[t] = T(-slopes * scale)
		}
		s *= w
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
