package logits

import (
	"fmt"
	"slices"
)

// LogSoftmaxNLL sets loss[i] to -log softmax(x[i])[targets[i]], the
// cross-entropy of row i of the logits x against the class targets[i], without
// storing any probability: it is (m - x[i][target]) + log1p(s), m being the
// row's maximum and s the sum of e^(x-m) over the others.
//
// The error is at most 4e-7 * max(1, exact) for float32; a loss under 1 has a
// relative error of at most 1e-6 where x - m is exact, and |x - m| * 2^-24 more
// elsewhere, down to 1e-36.
//
// A row with a NaN or +Inf, or of -Inf only, has the loss NaN; -Inf entries
// beside others count for nothing, and one that is the target makes the loss
// +Inf. loss and targets have x.Rows elements, the targets in [0, x.Cols), or
// nothing is written; loss must not overlap x. It reads x once.
func LogSoftmaxNLL[T Float, I Index](loss []T, x Matrix[T], targets []I) error {
	return logSoftmaxNLL(loss, x.Rows, x.Cols, x.Stride, x.Data, targets)
}

// logSoftmaxNLL takes the words of x, and its caller is inlined: a Matrix that is written in
// the call would be copied before its words have reached memory, which one short row feels.
func logSoftmaxNLL[T Float, I Index](loss []T, rows, cols, stride int, data []T, targets []I) error {
	if !matrixFits(rows, cols, stride, len(data)) || len(loss) != rows || len(targets) != rows || !areClasses(targets, cols) ||
		overlap(addr(loss), size(loss), addr(data), span(rows, cols, stride)*elemSize[T]()) ||
		overlap(addr(loss), size(loss), addr(targets), size(targets)) {
		return nllError("LogSoftmaxNLL", loss, &Matrix[T]{rows, cols, data, stride}, targets)
	}
	k := table[T]()
	if rows <= fewRows && cols <= k.mediumCols {
		if rows > 0 {
			var log [fewRows]float64
			shortNLL(k, loss, data, cols, stride, targets, log[:])
		}
		return nil
	}
	var x Matrix[T]
	x.Rows, x.Cols, x.Data, x.Stride = rows, cols, data, stride // a literal would be copied, too
	if w := workers(rows * cols); w > 1 {
		spreadNLL(w, k, loss, x, targets)
		return nil
	}
	rowNLL(k, loss, &x, targets)
	return nil
}

func nllError[T Float, I Index](fn string, loss []T, x *Matrix[T], targets []I) error {
	if err := checkDst(fn, "loss", loss, x); err != nil {
		return err
	}
	if err := checkTargets(fn, targets, x.Rows, x.Cols); err != nil {
		return err
	}
	return fmt.Errorf("logits: %s: loss overlaps targets", fn)
}

func spreadNLL[T Float, I Index](w int, k *kernels[T], loss []T, x Matrix[T], targets []I) {
	if x.Rows >= w {
		out, classes := make([]T, len(loss)), slices.Clone(targets)
		spread(w, x.Rows, func(lo, hi int) {
			part := x.slice(lo, hi)
			rowNLL(k, out[lo:hi], &part, classes[lo:hi])
		})
		copy(loss, out)
		return
	}
	for i, t := range targets {
		row := x.row(i)
		base, log := spreadSumExp(w, k, row, nil)
		loss[i] = nll(row[t], base, log)
	}
}

func rowNLL[T Float, I Index](k *kernels[T], loss []T, x *Matrix[T], targets []I) {
	if x.Cols > shortCols {
		longNLL(k, loss, x, targets)
		return
	}
	var log [wideTile]float64
	for i := 0; i < len(loss); i += len(log) {
		n := min(len(loss)-i, len(log))
		shortNLL(k, loss[i:][:n], x.Data[i*x.Stride:], x.Cols, x.Stride, targets[i:], log[:])
	}
}

// shortNLL is for rows of at most mediumCols columns, as many as losses. The maxima
// go to where the losses go.
func shortNLL[T Float, I Index](k *kernels[T], loss, x []T, cols, stride int, targets []I, log []float64) {
	if cols <= shortCols { // as shortSoftmax, which is not inlined: a call is a thirtieth of one row's time
		k.shortSoftmax(nil, nil, ptr(loss, 0), ptr(log, 0), ptr(log, 0), ptr(x, 0), len(loss), cols, 0, stride, len(x))
	} else {
		shortSoftmax(k, nil, nil, ptr(loss, 0), ptr(log, 0), ptr(log, 0), ptr(x, 0), len(loss), cols, 0, stride, len(x))
	}
	log, targets = log[:len(loss)], targets[:len(loss)]
	at := 0
	for i, m := range loss {
		loss[i] = nll(x[at+int(targets[i])], m, log[i])
		at += stride
	}
}

func longNLL[T Float, I Index](k *kernels[T], loss []T, x *Matrix[T], targets []I) {
	if !isWide(x) {
		var r room[T]
		var t sumExps[T]
		r.give(&t)
		nlls(k, loss, x, targets, &t)
		return
	}
	var r wideRoom[T]
	var t sumExps[T]
	r.give(&t)
	nlls(k, loss, x, targets, &t)
}

func nlls[T Float, I Index](k *kernels[T], loss []T, x *Matrix[T], targets []I, t *sumExps[T]) {
	pages := newPager(k, x.Data, x.Cols, x.Stride)
	for i := 0; i < x.Rows; i += t.n {
		t.next(k, x, i, pages)
		at := i * x.Stride
		loss, base, log := loss[i:][:t.n], t.base[:t.n], t.log[:t.n]
		for j, c := range targets[i:][:t.n] {
			loss[j] = nll(x.Data[at+int(c)], base[j], log[j])
			at += x.Stride
		}
	}
}

func nll[T Float](x, base T, log float64) T { return T((float64(base) - float64(x)) + log) }

func checkTargets[I Index](fn string, targets []I, rows, cols int) error {
	if err := checkLen(fn, "targets", len(targets), rows); err != nil {
		return err
	}
	if areClasses(targets, cols) {
		return nil
	}
	for i, t := range targets {
		if uint64(t) >= uint64(cols) {
			return fmt.Errorf("logits: %s: targets[%d] is %d, want a class in [0, %d)", fn, i, t, cols)
		}
	}
	return nil
}

// areClasses tells whether the targets are in [0, n).
func areClasses[I Index](targets []I, n int) bool {
	for ; len(targets) >= 4; targets = targets[4:] {
		if uint64(targets[0]) >= uint64(n) || uint64(targets[1]) >= uint64(n) || uint64(targets[2]) >= uint64(n) || uint64(targets[3]) >= uint64(n) {
			return false
		}
	}
	for _, t := range targets {
		if uint64(t) >= uint64(n) { // negative ones, too
			return false
		}
	}
	return true
}
