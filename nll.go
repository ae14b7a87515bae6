package logits

import "fmt"

// NLL returns the negative log-likelihood of the log-probabilities x against
// the class targets: the mean or sum over the rows of -w[t] x[t], t being the
// row's target, as PyTorch's NLLLoss defines it. LabelSmoothing must be 0. It
// reads one element a row.
func NLL[T Float, S Scores[T], I Index](x S, targets []I, opt *Options[T]) (float64, error) {
	var v view[T]
	viewOf(hidden(&v), &x)
	return nllLoss("NLL", &v, targets, opt, nil, nil)
}

// NLLRows sets loss[i] to the loss of row i, 0 if it is ignored. loss has one
// element a row and must not overlap x.
func NLLRows[T Float, S Scores[T], I Index](loss []T, x S, targets []I, opt *Options[T]) error {
	var v view[T]
	viewOf(hidden(&v), &x)
	if loss == nil {
		loss = []T{}
	}
	_, err := nllLoss("NLLRows", &v, targets, opt, loss, nil)
	return err
}

// NLLGrad is [NLL] and sets grad to its gradient with respect to x, which is 0
// but at the targets. grad has the shape of x and may be x.
func NLLGrad[T Float, S Scores[T], I Index](grad, x S, targets []I, opt *Options[T]) (float64, error) {
	var v, g view[T]
	viewOf(hidden(&v), &x)
	viewOf(hidden(&g), &grad)
	return nllLoss("NLLGrad", &v, targets, opt, nil, &g)
}

func nllLoss[T Float, I Index](fn string, x *view[T], targets []I, opt *Options[T], loss []T, grad *view[T]) (float64, error) {
	var o Options[T]
	if opt != nil {
		o = *opt
	}
	total, err := checkCriterion(fn, x, targets, &o, loss, grad)
	if err != nil {
		return 0, err
	}
	if o.LabelSmoothing != 0 {
		return 0, fmt.Errorf("logits: %s: LabelSmoothing is %v, want 0", fn, o.LabelSmoothing)
	}
	norm := 1.0
	if o.Reduction == Mean {
		norm = 1 / total
	}
	if grad == nil {
		return nllRows(x, targets, &o, loss, nil, 0) * norm, nil
	}
	s := nllRows(x, targets, &o, nil, nil, 0) * norm
	if !o.Accumulate {
		grad.clear()
	}
	nllRows(x, targets, &o, nil, grad, norm)
	return s, nil
}

// nllRows returns the sum of the losses and sets loss, or adds to grad.
func nllRows[T Float, I Index](x *view[T], targets []I, o *Options[T], loss []T, grad *view[T], norm float64) float64 {
	ignore, v := o.ignored(), x
	if grad != nil {
		v = grad
	}
	data, d, stride := v.data, v.d, v.stride
	var total float64
	sample, position := 0, 0 // of the row: where it starts, and in it
	for i, t := range targets {
		var l float64
		if t := int(t); t != ignore {
			w, at := weightOf(o.Weight, t), sample+t*d+position
			if grad != nil {
				data[at] -= T(float64(upstream(o.Upstream, i)*norm) * w)
			} else {
				l = -float64(w * float64(data[at]))
			}
		}
		if loss != nil {
			loss[i] = T(l)
		}
		total += l
		if position++; position == d {
			sample, position = sample+stride, 0
		}
	}
	return total
}

func (v *view[T]) clear() {
	if v.d != 1 || v.stride == v.c {
		clear(v.data[:v.n*v.d*v.c])
		return
	}
	for i := range v.n {
		clear(v.data[i*v.stride:][:v.c])
	}
}

// checkCriterion checks the arguments of a loss of class targets and returns
// the sum of the weights of those that count.
func checkCriterion[T Float, I Index](fn string, x *view[T], targets []I, o *Options[T], loss []T, grad *view[T]) (float64, error) {
	if err := x.check(fn, "x"); err != nil {
		return 0, err
	}
	rows, ignore := x.rows(), o.ignored()
	if err := o.check(fn, x.c, rows); err != nil {
		return 0, err
	}
	n, err := checkClasses(fn, targets, rows, x.c, ignore)
	if err != nil {
		return 0, err
	}
	if err := checkResults(fn, x, loss, grad, o.Accumulate); err != nil {
		return 0, err
	}
	if o.Weight == nil {
		return float64(n), nil
	}
	return targetWeights(targets, o.Weight, ignore), nil
}

// targetWeights returns the sum of the weights of the targets that are not ignored.
func targetWeights[T Float, I Index](targets []I, weight []T, ignore int) float64 {
	var s, t float64
	for _, class := range targets {
		if int(class) != ignore {
			s, t = t, s+float64(weight[class])
		}
	}
	return s + t
}

// checkResults checks where the rows' losses or the gradient are to go; either
// may be nil.
func checkResults[T Float](fn string, x *view[T], loss []T, grad *view[T], accumulate bool) error {
	if loss != nil {
		if err := checkLen(fn, "loss", len(loss), x.rows()); err != nil {
			return err
		}
		if overlap(addr(loss), size(loss), addr(x.data), x.bytes()) {
			return fmt.Errorf("logits: %s: loss overlaps x", fn)
		}
	}
	if grad != nil {
		if err := checkShape(fn, "grad", grad, "x", x); err != nil {
			return err
		}
		if accumulate && addr(grad.data) == addr(x.data) && x.bytes() > 0 {
			return fmt.Errorf("logits: %s: grad is x, which Accumulate would add to", fn)
		}
	}
	return nil
}
