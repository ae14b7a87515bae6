package logits

// fewRows are rows of which all that is kept is less than the processor can have
// in flight: more of it would hold up the next call.
const fewRows = 4

// fewCrossEntropy is crossEntropy without options for a few rows of at most
// mediumCols columns or a longer one, which feel the time that options take. It
// reports whether they are such rows, and right in every respect.
func fewCrossEntropy[T Float, I Index](x *view[T], targets []I, grad *view[T]) (float64, bool) {
	const ignore = -100
	n, k := len(targets), table[T]()
	long := x.c > k.mediumCols
	if x.d != 1 || x.c == 0 || n == 0 || n > fewRows || long && (n > 1 || x.c > cacheSize) || x.n != n || !matrixFits(n, x.c, x.stride, len(x.data)) {
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
	if long {
		if count == 0 {
			return 0, false
		}
		if grad != nil {
			return longCrossEntropyGrad(k, x.data[:x.c], int(targets[0]), grad.data[:x.c]), true
		}
		m, l := sumExpOf(k, x.data[:x.c])
		return (float64(m) - float64(logit[0])) + l, true
	}
	norm := 1 / count
	if grad == nil {
		shortSoftmax(k, nil, nil, ptr(max[:], 0), ptr(log[:], 0), ptr(log[:], 0), ptr(x.data, 0), n, x.c, 0, x.stride, 0)
		return plainLosses(0, targets, ignore, logit[:], max[:], log[:]) / count, true
	}
	fill(scale[:], T(norm))
	shortSoftmax(k, ptr(grad.data, 0), ptr(scale[:], 0), ptr(max[:], 0), ptr(sum[:], 0), ptr(log[:], 0), ptr(x.data, 0), n, x.c, grad.stride, x.stride, 0)
	return plainEnds(0, targets, ignore, grad, norm, logit[:], max[:], sum[:], log[:]) / count, true
}

// fewLosses is that for the losses of rows none of which is ignored, as LogSoftmaxNLL has
// them, but for a longer one.
func fewLosses[T Float, I Index](x *view[T], targets []I, loss []T) bool {
	n, k := len(targets), table[T]()
	if x.d != 1 || x.c == 0 || x.c > k.mediumCols || n == 0 || n > fewRows || x.n != n || !matrixFits(n, x.c, x.stride, len(x.data)) ||
		len(loss) != n || overlap(addr(loss), size(loss), addr(x.data), x.bytes()) || !areClasses(targets, x.c) {
		return false
	}
	var log [fewRows]float64
	shortNLL(k, loss, x.data, x.c, x.stride, targets, log[:])
	return true
}

// longCrossEntropyGrad sets grad to the gradient of the cross-entropy of one row,
// which it returns.
func longCrossEntropyGrad[T Float](k *kernels[T], x []T, target int, grad []T) float64 {
	var base, sums, more [cacheSize / blockSize]T
	logit, b := x[target], blocks(len(x)) // grad may be x
	k.expSum(ptr(grad, 0), ptr(base[:], 0), ptr(sums[:], 0), ptr(more[:], 0), ptr(x, 0), 1, len(x), 0, 0)
	r := expRow[T]{e: grad, base: base[:b], sum: sums[:b], more: more[:b]}
	r.addUp()
	near, sum := r.logSum(k, target, logit)
	r.probabilities(k, 1)
	k.scale(ptr(grad, 0), ptr(grad, 0), ptr(base[:], 0), nil, 1, len(x), 0, 0)
	log := [1]float64{sum}
	k.log1p(ptr(log[:], 0), 1)
	if logit == near {
		grad[target] = T(atMax(1, sum))
	} else {
		grad[target] = T(float64(grad[target]) - 1)
	}
	return (float64(near) - float64(logit)) + log[0]
}

// atMax is the gradient at a target that is its row's maximum, take being taken
// from it: 1 - p comes from the sum of the others, s, which a confident row keeps.
func atMax(take, s float64) float64 { return -float64(take * (s / (1 + s))) }
