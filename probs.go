package logits

import (
	"fmt"
	"math"
)

// CrossEntropyProbs returns the cross-entropy of the logits x against the class
// probabilities q, which have the shape of x: the mean or sum over the rows of
//
//	sum over j of w[j] ((1-e) q[j] + e/C) (-log p[j])
//
// with p = softmax of the row of x, e = LabelSmoothing, w = Weight and C the
// number of classes, as PyTorch's CrossEntropyLoss defines it. The mean divides
// by the number of rows, whatever the weights. The rows of q need not sum to 1;
// where the smoothed q is 0 the term is 0, even if p is 0. IgnoreIndex must be
// negative or nil, and has no effect.
func CrossEntropyProbs[T Float, S Scores[T]](x, q S, opt *Options[T]) (float64, error) {
	var v, p view[T]
	viewOf(hidden(&v), &x)
	viewOf(hidden(&p), &q)
	return crossEntropyProbs("CrossEntropyProbs", &v, &p, opt, nil, nil)
}

// CrossEntropyProbsRows sets loss[i] to the cross-entropy of row i. loss has one
// element a row and overlaps neither x nor q.
func CrossEntropyProbsRows[T Float, S Scores[T]](loss []T, x, q S, opt *Options[T]) error {
	var v, p view[T]
	viewOf(hidden(&v), &x)
	viewOf(hidden(&p), &q)
	if loss == nil {
		loss = []T{}
	}
	_, err := crossEntropyProbs("CrossEntropyProbsRows", &v, &p, opt, loss, nil)
	return err
}

// CrossEntropyProbsGrad is [CrossEntropyProbs] and sets grad to its gradient
// with respect to x, with one exponential an element. grad has the shape of x
// and may be x; it must not overlap q.
func CrossEntropyProbsGrad[T Float, S Scores[T]](grad, x, q S, opt *Options[T]) (float64, error) {
	var v, p, g view[T]
	viewOf(hidden(&v), &x)
	viewOf(hidden(&p), &q)
	viewOf(hidden(&g), &grad)
	return crossEntropyProbs("CrossEntropyProbsGrad", &v, &p, opt, nil, &g)
}

// A probsJob is the work of one call.
type probsJob[T Float] struct {
	k           *kernels[T]
	opt         Options[T]
	loss        []T
	keep, share float64 // 1-e and e/C
	norm        float64
}

func crossEntropyProbs[T Float](fn string, x, q *view[T], opt *Options[T], loss []T, grad *view[T]) (float64, error) {
	j := probsJob[T]{k: table[T](), loss: loss, norm: 1}
	if opt != nil {
		j.opt = *opt
	}
	if err := x.check(fn, "x"); err != nil {
		return 0, err
	}
	if q.n != x.n || q.c != x.c || q.d != x.d {
		return 0, fmt.Errorf("logits: %s: q is %s, want the %s of x", fn, q.shape(), x.shape())
	}
	if err := q.check(fn, "q"); err != nil {
		return 0, err
	}
	rows := x.rows()
	if err := j.opt.check(fn, x.c, rows); err != nil {
		return 0, err
	}
	if i := j.opt.IgnoreIndex; i != nil && *i >= 0 {
		return 0, fmt.Errorf("logits: %s: IgnoreIndex is %d, want none: the targets are probabilities", fn, *i)
	}
	if err := checkResults(fn, x, loss, grad, j.opt.Accumulate); err != nil {
		return 0, err
	}
	if overlap(addr(loss), size(loss), addr(q.data), q.bytes()) {
		return 0, fmt.Errorf("logits: %s: loss overlaps q", fn)
	}
	if grad != nil && overlap(addr(grad.data), grad.bytes(), addr(q.data), q.bytes()) {
		return 0, fmt.Errorf("logits: %s: grad overlaps q", fn)
	}
	if j.opt.Reduction == Mean {
		j.norm = 1 / float64(rows)
	}
	j.keep, j.share = 1-j.opt.LabelSmoothing, j.opt.LabelSmoothing/float64(x.c)
	s := j.run(x, q, grad)
	if j.opt.Reduction == Mean {
		s /= float64(rows)
	}
	return s, nil
}

// run returns the sum of the losses, added up in groups of rows.
func (j *probsJob[T]) run(x, q, grad *view[T]) float64 {
	if x.c == 0 || x.d == 0 {
		fill(j.loss, 0)
		return 0
	}
	groups := x.groups()
	if w := workers(x.rows() * x.c); w > 1 {
		return spreadProbs(w, groups, *j, *x, *q, grad)
	}
	var total float64
	for g := range groups {
		total += j.group(x, q, grad, g)
	}
	return total
}

func spreadProbs[T Float](w, groups int, job probsJob[T], x, q view[T], to *view[T]) float64 {
	j := &probsJob[T]{job.k, job.opt.clone(), nil, job.keep, job.share, job.norm}
	if job.loss != nil {
		j.loss = make([]T, len(job.loss))
	}
	var grad *view[T]
	if to != nil {
		g := *to
		grad = &g
	}
	total := spreadTotal(w, groups, func(g int) float64 { return j.group(&x, &q, grad, g) })
	copy(job.loss, j.loss)
	return total
}

func (j *probsJob[T]) group(x, q, grad *view[T], g int) float64 {
	if x.d == 1 {
		first := g * x.groupRows()
		n := min(x.groupRows(), x.n-first)
		for _, v := range [...]*view[T]{x, q} {
			newPager(j.k, v.data, v.c, v.stride).ahead(first, n)
		}
		return j.rows(x.from(first, n), q.from(first, n), grad.from(first, n), first)
	}
	n, at, row := x.span(g)
	whole := n &^ 15
	copied := grad.viaCopy(x, j.opt.Accumulate)
	step := x.step(whole, copied)
	var total float64
	for i := 0; i < whole; i += step {
		total = j.positions(total, x, q, grad, copied, min(step, whole-i), at+i, row+i)
	}
	byRows(x, q, grad, j.opt.Accumulate, at+whole, n-whole, func(i int, x, q, grad view[T]) {
		total += j.rows(x, q, grad, row+whole+i)
	})
	return total
}

// rows does rows of matrices, of which the first has the given number.
func (j *probsJob[T]) rows(x, q, grad view[T], first int) float64 {
	var total float64
	for i := range x.n {
		l := j.row(x.row(i), q.row(i), grad.from(i, 1).data, first+i)
		if j.loss != nil {
			j.loss[first+i] = T(l)
		}
		total += l
	}
	return total
}

// row returns the loss of a row and sets grad, unless it is nil.
func (j *probsJob[T]) row(x, q, grad []T, row int) float64 {
	if grad == nil {
		m, log := sumExpOf(j.k, x)
		mass, s := j.against(x, q, m)
		return j.rowLoss(mass, s, m, log)
	}
	grad = grad[:len(x)]
	var top [1]int
	j.k.argMax(ptr(top[:], 0), ptr(x, 0), 1, len(x), 0)
	m := x[top[0]] // grad may be x
	mass, s := j.against(x, q, m)

	e := grad
	if j.opt.Accumulate {
		b := buffers.Get().(*[]float64)
		defer buffers.Put(b)
		e = scratch[T](b, len(x))
	}
	n := blocks(len(x))
	buf := buffers.Get().(*[]float64)
	defer buffers.Put(buf)
	parts := scratch[T](buf, 3*n)
	r := expRow[T]{e: e, base: parts[:n], sum: parts[n : 2*n], more: parts[2*n:]}
	expSums(j.k, ptr(e, 0), ptr(r.base, 0), ptr(r.sum, 0), ptr(r.more, 0), ptr(x, 0), 1, len(x), 0, 0)
	r.addUp()
	near, rest := r.logSum(j.k, top[0], m)
	log := [1]float64{rest}
	j.k.log1p(ptr(log[:], 0), 1)
	log[0] += float64(near) - float64(m)

	up := upstream(j.opt.Upstream, row) * j.norm
	r.probabilities(j.k, float64(up*mass))
	factor, share, one := [1]T{T(-float64(up * j.keep))}, [1]T{T(-float64(up * j.share))}, [1]T{1}
	weighted := j.opt.Weight != nil
	if weighted {
		share[0] = 0
	}
	j.k.scale(ptr(e, 0), ptr(e, 0), ptr(r.base, 0), ptr(share[:], 0), 1, len(x), 0, 0)
	if weighted {
		for c, y := range e {
			e[c] = T(float64(y) - float64(up*j.target(q[c], c)))
		}
	} else {
		j.k.addScaled(ptr(e, 0), ptr(q, 0), ptr(factor[:], 0), 1, len(x), 0, 0)
	}
	if j.opt.Accumulate {
		j.k.addScaled(ptr(grad, 0), ptr(e, 0), ptr(one[:], 0), 1, len(x), 0, 0)
	}
	return j.rowLoss(mass, s, m, log[0])
}

// against returns the sums of w q and of w q (m - x) over a row, q being
// smoothed; a term of q = 0 counts for nothing.
func (j *probsJob[T]) against(x, q []T, m T) (mass, s float64) {
	if j.opt.Weight == nil && j.share == 0 {
		var sum, dot [1]float64
		base := [1]T{m}
		j.k.sum(ptr(sum[:], 0), ptr(q, 0), 1, len(q), 0)
		j.k.dot(ptr(dot[:], 0), ptr(x, 0), ptr(base[:], 0), ptr(q, 0), 1, len(x), 0)
		if dot[0] == dot[0] {
			return sum[0], -dot[0]
		}
	}
	for c, p := range q {
		if p := j.target(p, c); p != 0 {
			mass += p
			s += float64(p * (float64(m) - float64(x[c])))
		}
	}
	return mass, s
}

func (j *probsJob[T]) rowLoss(mass, s float64, m T, log float64) float64 {
	if mass != 0 {
		return s + float64(mass*log)
	}
	if log != log || math.IsInf(float64(m), -1) {
		return math.NaN()
	}
	return s
}

// target returns the weighted and smoothed probability of class c.
func (j *probsJob[T]) target(q T, c int) float64 {
	return float64((float64(j.keep*float64(q)) + j.share) * weightOf(j.opt.Weight, c))
}
