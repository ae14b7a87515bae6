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
// where the smoothed q is 0 the term is 0, even if p is 0. w[j] ((1-e) q[j] + e/C)
// is rounded to T. IgnoreIndex must be negative or nil, and has no effect.
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
		return j.rows(x, q, grad, first, n, first)
	}
	n, at, row := x.span(g)
	whole := n &^ 15
	copied := grad.viaCopy(x, j.opt.Accumulate)
	step := x.step(whole, copied)
	var total float64
	for i := 0; i < whole; i += step {
		total = j.positions(total, x, q, grad, copied, min(step, whole-i), at+i, row+i)
	}
	byRows(x, q, grad, j.opt.Accumulate, at+whole, n-whole, func(i int, x, q, to view[T]) {
		dst := &to
		if grad == nil {
			dst = nil
		}
		total += j.rows(&x, &q, dst, 0, x.n, row+whole+i)
	})
	return total
}

// A probsRoom has what is known of up to wideTile rows of a matrix.
type probsRoom[T Float] struct {
	base      []T       // close to the log-sum-exp, or the maximum
	log       []float64 // what the log-sum-exp is greater by
	mass, dot []float64 // the sums of the targets t and of t (x - base)
	factor    []T       // of the rows of grad
	sum, peak []T       // as in sumExps
}

func (r *probsRoom[T]) init(b *[]float64) {
	const n = wideTile
	f := scratch[float64](b, 7*n)
	p := scratch[T](b, 7*n*8/elemSize[T]())[3*n*8/elemSize[T]():]
	r.log, r.mass, r.dot = f[:n], f[n:][:n], f[2*n:][:n]
	r.base, r.factor, r.sum, r.peak = p[:n], p[n:][:n], p[2*n:][:n], p[3*n:][:n]
}

// rows does the rows [row, row+n) of matrices, whose numbers start at first. Without a
// gradient grad is nil.
func (j *probsJob[T]) rows(x, q, grad *view[T], row, n, first int) float64 {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	var r probsRoom[T]
	r.init(b)
	var total float64
	var xs, t, to view[T] // filled in place: see setRows
	for i := 0; i < n; i += xs.n {
		n := min(n-i, wideTile)
		if x.c > shortCols {
			n = min(n, tile)
		}
		if x.c > j.k.mediumCols && grad != nil || x.c > blockSize {
			n = min(n, max(1, blockSize/x.c)) // there are more passes
		}
		xs.setRows(x, row+i, n)
		t.setRows(q, row+i, n)
		if grad != nil {
			to.setRows(grad, row+i, n)
		}
		total += j.batch(&xs, &t, &to, first+i, &r)
	}
	return total
}

// batch does as many rows as there is room for. Without a gradient grad has no data.
func (j *probsJob[T]) batch(x, t, grad *view[T], first int, r *probsRoom[T]) float64 {
	if j.opt.Weight != nil || j.share != 0 {
		b := buffers.Get().(*[]float64)
		defer buffers.Put(b)
		j.targets(t, b)
	}
	if grad.data == nil {
		j.logSums(x, r)
		j.against(x, t, r)
	} else {
		j.backward(x, t, grad, first, r)
	}
	var total float64
	for i, mass := range r.mass[:x.n] {
		l := j.rowLoss(mass, -r.dot[i], r.base[i], r.log[i])
		if j.loss != nil {
			j.loss[first+i] = T(l)
		}
		total += l
	}
	return total
}

// targets smooths and weights t, in the buffer.
func (j *probsJob[T]) targets(t *view[T], b *[]float64) {
	n := t.n * blocks(t.c)
	to := scratch[T](b, t.n*t.c+n+t.n)
	if j.share != 0 {
		keep, share := to[t.n*t.c:][:n], to[t.n*t.c+n:]
		fill(keep, T(j.keep))
		fill(share[:t.n], T(j.share))
		j.k.scale(ptr(to, 0), ptr(t.data, 0), ptr(keep, 0), ptr(share, 0), t.n, t.c, t.c, t.stride)
		t.data, t.stride = to, t.c
	}
	if j.opt.Weight != nil {
		var none [wideTile]float64 // to be subtracted from the weights
		j.k.softmaxGrad(ptr(to, 0), ptr(t.data, 0), ptr(j.opt.Weight, 0), ptr(none[:], 0), t.n, t.c, t.c, t.stride, 0, 0)
		t.data, t.stride = to, t.c
	}
}

// logSums fills in base and log.
func (j *probsJob[T]) logSums(x *view[T], r *probsRoom[T]) {
	if x.c > cacheSize {
		r.base[0], r.log[0] = sumExpOf(j.k, x.row(0))
		return
	}
	var t sumExps[T]
	t.base, t.log, t.sum, t.peak = r.base, r.log, r.sum, r.peak
	var m Matrix[T]
	m.Rows, m.Cols, m.Data, m.Stride = x.n, x.c, x.data, x.stride
	t.next(j.k, &m, 0, nil)
}

// against fills in mass and dot, given base; a term of t = 0 counts for nothing.
func (j *probsJob[T]) against(x, t *view[T], r *probsRoom[T]) {
	j.k.sum(ptr(r.mass, 0), ptr(t.data, 0), t.n, t.c, t.stride)
	j.k.dot(ptr(r.dot, 0), ptr(x.data, 0), ptr(r.base, 0), ptr(t.data, 0), t.n, t.c, x.stride, t.stride)
	for i, dot := range r.dot[:t.n] {
		if dot == dot {
			continue
		}
		x, m := x.row(i), float64(r.base[i])
		dot = 0
		for c, p := range t.row(i) {
			if p != 0 {
				dot += float64(float64(p) * (float64(x[c]) - m))
			}
		}
		r.dot[i] = dot
	}
}

// backward fills in the room and sets grad, whose first row has that number.
func (j *probsJob[T]) backward(x, t, grad *view[T], first int, r *probsRoom[T]) {
	e := *grad
	if j.opt.Accumulate {
		b := buffers.Get().(*[]float64)
		defer buffers.Put(b)
		e.data, e.stride = scratch[T](b, x.n*x.c), x.c
	}
	var top [wideTile]int
	j.k.argMax(ptr(top[:], 0), ptr(x.data, 0), x.n, x.c, x.stride)
	for i := range x.n {
		r.base[i] = x.row(i)[top[i]]
	}
	j.against(x, t, r) // before grad, which may be x, is written
	for i := range x.n {
		r.factor[i] = T(float64(j.upstream(first+i) * r.mass[i]))
	}
	if x.c <= j.k.mediumCols {
		shortSoftmax(j.k, ptr(e.data, 0), ptr(r.factor, 0), ptr(r.base, 0), ptr(r.log, 0), ptr(r.log, 0), ptr(x.data, 0), x.n, x.c, e.stride, x.stride, len(x.data))
	} else {
		for i, top := range top[:x.n] {
			r.log[i] = j.long(e.row(i), x.row(i), top, float64(r.factor[i]))
		}
	}
	for i := range x.n {
		r.factor[i] = T(-j.upstream(first + i))
	}
	j.k.addScaled(ptr(e.data, 0), ptr(t.data, 0), ptr(r.factor, 0), x.n, x.c, e.stride, t.stride)
	if j.opt.Accumulate {
		fill(r.factor[:x.n], 1)
		j.k.addScaled(ptr(grad.data, 0), ptr(e.data, 0), ptr(r.factor, 0), x.n, x.c, grad.stride, e.stride)
	}
}

// long sets e to the probabilities of x times f, and returns what the log-sum-exp of x is
// greater by than its maximum, which is at top. e may be x.
func (j *probsJob[T]) long(e, x []T, top int, f float64) float64 {
	n, m := blocks(len(x)), x[top]
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	parts := scratch[T](b, 3*n)
	r := expRow[T]{e: e, base: parts[:n], sum: parts[n : 2*n], more: parts[2*n:]}
	expSums(j.k, ptr(e, 0), ptr(r.base, 0), ptr(r.sum, 0), ptr(r.more, 0), ptr(x, 0), 1, len(x), 0, 0)
	r.addUp()
	near, rest := r.logSum(j.k, top, m)
	log := [1]float64{rest}
	j.k.log1p(ptr(log[:], 0), 1)
	r.probabilities(j.k, f)
	j.k.scale(ptr(e, 0), ptr(e, 0), ptr(r.base, 0), nil, 1, len(x), 0, 0)
	return log[0] + (float64(near) - float64(m))
}

// upstream returns the factor of a row's loss.
func (j *probsJob[T]) upstream(row int) float64 {
	return float64(upstream(j.opt.Upstream, row) * j.norm)
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
