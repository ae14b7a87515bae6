package logits

// fewRows are rows of which all that is kept is less than the processor can have
// in flight: more of it would hold up the next call.
const fewRows = 4

// fewCrossEntropy is crossEntropy without options for a few short rows, which
// take less time than what is kept for options. It reports whether they are such
// rows, and right in every respect.
func fewCrossEntropy[T Float, I Index](x *view[T], targets []I, grad *view[T]) (float64, bool) {
	const ignore = -100
	n := len(targets)
	if x.d != 1 || x.c == 0 || x.c > shortCols || n == 0 || n > fewRows || x.n != n || !matrixFits(n, x.c, x.stride, len(x.data)) {
		return 0, false
	}
	if grad != nil && (grad.d != 1 || grad.n != n || grad.c != x.c || !matrixFits(n, x.c, grad.stride, len(grad.data)) || grad.overlaps(x)) {
		return 0, false
	}
	var max, scale, logit [fewRows]T
	var sum, log [fewRows]float64
	count, at := 0.0, 0
	for i, t := range targets {
		if int(t) != ignore {
			if uint64(t) >= uint64(x.c) {
				return 0, false
			}
			logit[i] = x.data[at+int(t)]
			count++
		}
		at += x.stride
	}
	norm := 1 / count
	if grad == nil {
		table[T]().shortSoftmax(nil, nil, ptr(max[:], 0), ptr(log[:], 0), ptr(log[:], 0), ptr(x.data, 0), n, x.c, 0, x.stride)
	} else {
		fill(scale[:], T(norm))
		table[T]().shortSoftmax(ptr(grad.data, 0), ptr(scale[:], 0), ptr(max[:], 0), ptr(sum[:], 0), ptr(log[:], 0), ptr(x.data, 0), n, x.c, grad.stride, x.stride)
	}
	if grad == nil {
		return plainLosses(0, targets, ignore, logit[:], max[:], log[:]) / count, true
	}
	return plainEnds(0, targets, ignore, grad, norm, logit[:], max[:], sum[:], log[:]) / count, true
}

// atMax is the gradient at a target that is its row's maximum, take being taken
// from it: 1 - p comes from the sum of the others, s, which a confident row keeps.
func atMax(take, s float64) float64 { return -float64(take * (s / (1 + s))) }
