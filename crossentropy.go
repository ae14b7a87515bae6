package logits

import (
	"math"
	"slices"
)

// CrossEntropy returns the cross-entropy of the logits x against the class
// targets: the mean or sum over the rows of
//
//	(1-e) w[t] (-log p[t]) + e/C sum over j of w[j] (-log p[j])
//
// with p = softmax of the row, t its target, e = LabelSmoothing, w = Weight and
// C the number of classes, as PyTorch's CrossEntropyLoss defines it. The mean is
// NaN if no row counts. The rows' losses are those of [LogSoftmaxNLL] in
// accuracy and special values; they are added up in float64. It reads x once
// and, unless a row is longer than the caches, the weights from them.
func CrossEntropy[T Float, S Scores[T], I Index](x S, targets []I, opt *Options[T]) (float64, error) {
	var v view[T]
	viewOf(hidden(&v), &x)
	return crossEntropy("CrossEntropy", &v, targets, opt, nil, nil)
}

// CrossEntropyRows sets loss[i] to the cross-entropy of row i, 0 if it is
// ignored: PyTorch's reduction "none". loss has one element a row and must not
// overlap x.
func CrossEntropyRows[T Float, S Scores[T], I Index](loss []T, x S, targets []I, opt *Options[T]) error {
	var v view[T]
	viewOf(hidden(&v), &x)
	if opt == nil && fewLosses(&v, targets, loss) {
		return nil
	}
	if loss == nil {
		loss = []T{}
	}
	_, err := crossEntropy("CrossEntropyRows", &v, targets, opt, loss, nil)
	return err
}

// CrossEntropyGrad is [CrossEntropy] and sets grad to its gradient with respect
// to x, in the same pass and with one exponential an element:
// (p - q) w[t] / N for the plain mean over N rows, q being 1 at the target. The
// gradient at the target keeps its digits however confident the row is. grad
// has the shape of x and may be x.
func CrossEntropyGrad[T Float, S Scores[T], I Index](grad, x S, targets []I, opt *Options[T]) (float64, error) {
	var v, g view[T]
	viewOf(hidden(&v), &x)
	viewOf(hidden(&g), &grad)
	return crossEntropy("CrossEntropyGrad", &v, targets, opt, nil, &g)
}

// A ceJob is the work of one call. Rows go in groups, whose losses are added up
// one group after the other, so that the sum does not depend on the goroutines.
type ceJob[T Float, I Index] struct {
	k       *kernels[T]
	opt     Options[T]
	targets []I
	ignore  int
	loss    []T // of the rows, if they are asked for

	keep, share float64   // 1-e and e/C
	weights     float64   // sum of the classes' weights
	blocks      []float64 // those of blocks of classes
	norm        float64   // of the gradient: 1, or 1 over what the mean divides by
	w           int       // goroutines for each row
	plain       bool      // nothing is asked for that differs from row to row
}

func crossEntropy[T Float, I Index](fn string, x *view[T], targets []I, opt *Options[T], loss []T, grad *view[T]) (float64, error) {
	if opt == nil && loss == nil {
		if s, ok := fewCrossEntropy(x, targets, grad); ok {
			return s, nil
		}
	}
	var j ceJob[T, I] // filled in place, as its parts are: see setRows
	j.k, j.targets, j.loss, j.w = table[T](), targets, loss, 1
	if opt != nil {
		j.opt = *opt
	}
	j.ignore = j.opt.ignored()
	total, err := checkCriterion(fn, x, targets, &j.opt, loss, grad)
	if err != nil {
		return 0, err
	}
	j.norm = 1
	if j.opt.Reduction == Mean {
		j.norm = 1 / total
	}
	j.keep, j.share = 1-j.opt.LabelSmoothing, j.opt.LabelSmoothing/float64(x.c)
	j.plain = loss == nil && j.opt.Weight == nil && j.keep == 1 && len(j.opt.Upstream) < 2 && !j.opt.Accumulate
	var s float64
	if j.share > 0 {
		s = j.smooth(x, grad)
	} else {
		s = j.run(x, grad)
	}
	if j.opt.Reduction == Mean {
		if s /= total; total == 0 {
			s = math.NaN() // Also where smoothing makes s greater than 0.
		}
	}
	return s, nil
}

// smooth is run with the weights added up, which smoothing asks for.
func (j *ceJob[T, I]) smooth(x, grad *view[T]) float64 {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	j.blocks = scratch[float64](b, blocks(x.c))
	j.weigh(x.c)
	return j.run(x, grad)
}

// weigh adds up the weights of c classes.
func (j *ceJob[T, I]) weigh(c int) {
	for first := 0; first < c; first += blockSize {
		n := min(blockSize, c-first)
		s := [1]float64{float64(n)}
		if j.opt.Weight != nil {
			j.k.inner(ptr(s[:], 0), ptr(j.opt.Weight, first), nil, 1, n, 0, 0)
		}
		j.blocks[first/blockSize] = s[0]
		j.weights += s[0]
	}
}

// run returns the sum of the losses.
func (j *ceJob[T, I]) run(x, grad *view[T]) float64 {
	if x.c == 0 || x.d == 0 {
		fill(j.loss, 0)
		return 0
	}
	if w := workers(x.rows() * x.c); w > 1 {
		return spreadCrossEntropy(w, *j, *x, grad)
	}
	return j.total(x, grad, 0, x.groups(), nil)
}

// total returns the sum of the losses of groups [lo, hi), or puts those of the
// groups into parts if that is not nil.
func (j *ceJob[T, I]) total(x, grad *view[T], lo, hi int, parts []float64) float64 {
	if grad != nil && x.d == 1 && !j.opt.Accumulate && j.w == 1 && trails(grad, x) {
		return j.trail(x, grad, lo, hi, parts)
	}
	var total float64
	for g := lo; g < hi; g++ {
		s := j.group(x, grad, g)
		if parts != nil {
			parts[g] = s
		}
		total += s
	}
	return total
}

func spreadCrossEntropy[T Float, I Index](w int, job ceJob[T, I], x view[T], to *view[T]) float64 {
	j := &ceJob[T, I]{job.k, job.opt.clone(), slices.Clone(job.targets), job.ignore, nil, job.keep, job.share, job.weights, slices.Clone(job.blocks), job.norm, 1, job.plain}
	if job.loss != nil {
		j.loss = make([]T, len(job.loss))
	}
	var grad *view[T]
	if to != nil {
		g := *to
		grad = &g
	}
	if x.d == 1 && x.n < w {
		j.w, w = w, 1 // the goroutines share each row
	}
	total := spreadParts(w, x.groups(), func(lo, hi int, parts []float64) { j.total(&x, grad, lo, hi, parts) })
	copy(job.loss, j.loss)
	return total
}

// group does one group of rows: of a matrix, or a span of a planar array.
func (j *ceJob[T, I]) group(x, grad *view[T], g int) float64 {
	if x.d == 1 {
		first := g * x.groupRows()
		n := min(x.groupRows(), x.n-first)
		return j.rows(x, grad, first, n, first)
	}
	n, at, row := x.span(g)
	whole := n &^ 15
	copied := grad.viaCopy(x, j.opt.Accumulate) || grad == nil && x.crowded()
	step := x.step(whole, copied)
	var sums [2]float64
	for i := 0; i < whole; i += step {
		j.positions(&sums, x, grad, copied, min(step, whole-i), at+i, row+i)
	}
	total := sums[0] + sums[1]
	byRows(x, nil, grad, j.opt.Accumulate, at+whole, n-whole, func(i int, x, _, to view[T]) {
		dst := &to
		if grad == nil {
			dst = nil
		}
		total += j.rows(&x, dst, 0, x.n, row+whole+i)
	})
	return total
}

// rows does the rows [row, row+n) of a matrix, whose targets start at first, and
// returns the sum of their losses. Without a gradient grad is nil.
func (j *ceJob[T, I]) rows(x, grad *view[T], row, n, first int) float64 {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	var r ceRoom[T]
	r.init(b, x.c)
	pages := newPager(j.k, x.data, x.c, x.stride)
	var total float64
	for end := row + n; row < end; {
		n := min(end-row, wideTile/min(wideTile, blocks(x.c)))
		if x.c > j.k.mediumCols && grad != nil {
			n = nearRows(n, x.c) // there are more passes
		}
		targets := j.targets[first:][:n]
		pages.ahead(row, n)
		var xs, to view[T]
		xs.setRows(x, row, n)
		j.logits(&xs, targets, &r)
		if grad == nil {
			j.forward(&xs, &r)
			total = j.losses(total, targets, first, &r)
		} else {
			to.setRows(grad, row, n)
			if j.plain && x.c <= j.k.mediumCols {
				total = j.plainShort(total, &xs, &to, targets, &r)
			} else {
				j.backward(&xs, &to, first, &r)
				total = j.losses(total, targets, first, &r)
			}
		}
		row += n
		first += n
	}
	return total
}

// trail does groups of the rows of a matrix with a large gradient.
func (j *ceJob[T, I]) trail(x, grad *view[T], lo, hi int, parts []float64) float64 {
	var b [3]*[]float64
	for i := range b {
		b[i] = buffers.Get().(*[]float64)
	}
	defer func() { // a defer in the loop would allocate
		for _, b := range b {
			buffers.Put(b)
		}
	}()
	var rooms [2]ceRoom[T]
	r, before := &rooms[0], &rooms[1]
	r.init(b[0], x.c)
	before.init(b[1], x.c)
	t := newTrail(j.k, grad, x, scratch[T](b[2], max(cacheSize, x.c)))
	if j.share > 0 {
		t.weight = j.opt.Weight
	}
	var total float64
	for g := lo; g < hi; g++ {
		row, end := g*x.groupRows(), min((g+1)*x.groupRows(), x.n)
		var s float64
		for row < end {
			n, last, rows := cachedRows(end-row, x.c), t.row, t.n
			if j.share > 0 {
				t.dot = r.dots
			}
			t.exps(row, n, r.base, r.sum, r.more, before.base, before.less)
			j.targeted(grad, last, rows, last, before)
			targets := j.targets[row:][:n]
			xs, e := x.from(row, n), view[T]{n, x.c, 1, t.e, x.c}
			j.logits(&xs, targets, r)
			j.sums(&xs, &e, row, r)
			s = j.losses(s, targets, row, r)
			r, before = before, r
			row += n
		}
		if parts != nil {
			parts[g] = s
		}
		total += s
	}
	t.finish(0, before.base, before.less)
	j.targeted(grad, t.row, t.n, t.row, before)
	return total
}

// logits fills in the rows' logits at their targets.
func (j *ceJob[T, I]) logits(x *view[T], targets []I, r *ceRoom[T]) {
	ignore, at, logits := j.ignore, 0, r.x[:len(targets)]
	for c, t := range targets {
		if int(t) != ignore {
			logits[c] = x.data[at+int(t)]
		}
		at += x.stride
	}
}

// losses adds the losses of the rows of the room, from row first, to total.
func (j *ceJob[T, I]) losses(total float64, targets []I, first int, r *ceRoom[T]) float64 {
	if j.plain {
		return plainLosses(total, targets, j.ignore, r.x, r.max, r.log)
	}
	ignore, keep, share, weight, loss := j.ignore, j.keep, j.share, j.opt.Weight, j.loss
	x, max, log, dot, weights := r.x[:len(targets)], r.max[:len(targets)], r.log[:len(targets)], r.dot[:len(targets)], j.weights
	for c, t := range targets {
		var l float64
		if int(t) != ignore {
			f := keep
			if weight != nil {
				f = float64(f * float64(weight[t]))
			}
			l = float64(f * ((float64(max[c]) - float64(x[c])) + log[c]))
			if share > 0 {
				l += float64(share * (float64(weights*log[c]) - dot[c]))
			}
		}
		if loss != nil {
			loss[first+c] = T(l)
		}
		total += l
	}
	return total
}

// plainLosses returns total with the losses of rows added.
func plainLosses[T Float, I Index](total float64, targets []I, ignore int, logit, max []T, log []float64) float64 {
	logit, max, log = logit[:len(targets)], max[:len(targets)], log[:len(targets)]
	for i, t := range targets {
		if int(t) != ignore {
			total += (float64(max[i]) - float64(logit[i])) + log[i]
		}
	}
	return total
}

// plainEnds is plainLosses and completes the rows' gradients: take is subtracted at
// the targets.
func plainEnds[T Float, I Index](total float64, targets []I, ignore int, grad *view[T], take float64, logit, max []T, sum, log []float64) float64 {
	logit, max, sum, log = logit[:len(targets)], max[:len(targets)], sum[:len(targets)], log[:len(targets)]
	for i, t := range targets {
		if int(t) == ignore {
			clear(grad.row(i)) // NaN times 0 would stay
			continue
		}
		total += (float64(max[i]) - float64(logit[i])) + log[i]
		if g := &grad.data[i*grad.stride+int(t)]; logit[i] == max[i] {
			*g = T(atMax(take, sum[i]))
		} else {
			*g = T(float64(*g) - take)
		}
	}
	return total
}

// A ceRoom holds what is known of the rows at hand.
type ceRoom[T Float] struct {
	log   []float64 // log1p of the sum without the maximum
	s     []float64 // that sum
	dot   []float64 // sum of w[j] (x[j] - max)
	scale []float64 // what is subtracted at the target

	x         []T // the target's logit
	max       []T // the row's maximum, or what is close to its log-sum-exp
	less      []T // the factor of the weights in the gradient
	sum, peak []T // of the row's blocks
	base      []T // of these, and what turns their exponentials into gradients
	more      []T // of these
	dots      []T // of the row, or of its blocks
	factor    []T // of the probabilities, in short rows
	top       []T // the exponential of a target that is more than half of a long row
}

func (r *ceRoom[T]) init(b *[]float64, cols int) {
	size, n := 8/elemSize[T](), max(wideTile, blocks(cols))
	t := scratch[T](b, (4*size+5)*wideTile+5*n)[4*size*wideTile:]
	f, p := (*b)[:4*wideTile], t[5*n:]
	r.log, r.s, r.dot, r.scale = f[:wideTile], f[wideTile:][:wideTile], f[2*wideTile:][:wideTile], f[3*wideTile:]
	r.x, r.max, r.less, r.factor, r.top = p[:wideTile], p[wideTile:][:wideTile], p[2*wideTile:][:wideTile], p[3*wideTile:][:wideTile], p[4*wideTile:][:wideTile]
	r.sum, r.peak, r.dots, r.base, r.more = t[:n], t[n:2*n], t[2*n:3*n], t[3*n:4*n], t[4*n:5*n]
}

func (j *ceJob[T, I]) forward(x *view[T], r *ceRoom[T]) {
	var t sumExps[T]
	t.base, t.log, t.sum, t.peak = r.max, r.log, r.sum, r.peak
	if j.share > 0 {
		t.dot, t.dots, t.weight, t.weights = r.dot, r.dots, j.opt.Weight, j.blocks
	}
	if j.w > 1 {
		var dot *rowDot[T]
		if j.share > 0 {
			dot = &rowDot[T]{weight: at(ptr(j.opt.Weight, 0), 0, len(j.opt.Weight)), weights: at(ptr(j.blocks, 0), 0, len(j.blocks))}
		}
		r.max[0], r.log[0] = spreadSumExp(j.w, j.k, x.data[:x.c], dot)
		if dot != nil {
			r.dot[0] = dot.sum
		}
		return
	}
	var m Matrix[T]
	m.Rows, m.Cols, m.Data, m.Stride = x.n, x.c, x.data, x.stride
	t.next(j.k, &m, 0, nil)
}

// backward sets grad to the gradient and fills in the room.
func (j *ceJob[T, I]) backward(x, grad *view[T], first int, r *ceRoom[T]) {
	if j.opt.Accumulate {
		j.accumulate(x, grad, first, r)
	} else if x.c <= j.k.mediumCols {
		j.short(x, grad, first, r)
	} else {
		j.long(x, grad, first, r)
	}
}

// accumulate adds the gradient to grad.
func (j *ceJob[T, I]) accumulate(x, grad *view[T], first int, r *ceRoom[T]) {
	b := buffers.Get().(*[]float64)
	defer buffers.Put(b)
	dst := view[T]{x.n, x.c, 1, scratch[T](b, x.n*x.c), x.c}
	if x.c <= j.k.mediumCols {
		j.short(x, &dst, first, r)
	} else {
		j.long(x, &dst, first, r)
	}
	var one [wideTile]T
	fill(one[:], 1)
	j.k.addScaled(ptr(grad.data, 0), ptr(dst.data, 0), ptr(one[:], 0), x.n, x.c, grad.stride, dst.stride)
}

func (j *ceJob[T, I]) long(x, dst *view[T], first int, r *ceRoom[T]) {
	j.exps(dst, x, r)
	j.sums(x, dst, first, r)
	j.scale(dst, r)
	j.targeted(dst, 0, x.n, first, r)
}

// sums fills in the room given the exponentials e and what is known of their blocks.
// The bases become what turns e into gradients, but for the elements at the targets.
func (j *ceJob[T, I]) sums(x, e *view[T], first int, r *ceRoom[T]) {
	b, confident := blocks(x.c), false
	var row expRow[T] // filled in place, as its parts are: see setRows
	for c := range x.n {
		t := int(j.targets[first+c])
		r.top[c] = 0
		if t == j.ignore {
			clear(e.data[c*e.stride:][:x.c]) // NaN times 0 would stay
			fill(r.base[c*b:][:b], 0)
			r.less[c] = 0
			continue
		}
		var p float64
		p, r.less[c], r.scale[c] = j.factor(j.upstream(first+c), weightOf(j.opt.Weight, t))
		if b == 1 { // addUp, logSum and probabilities, unless there is anything unusual
			e, f := &e.data[c*e.stride+t], 1+float64(r.more[c])
			all, one := float64(float64(r.sum[c])*f), float64(float64(*e)*f)
			if p := f * (p / all); all > 0 && math.Abs(p) >= 0x1p-126 {
				near, s := r.base[c], all-1
				if one+one > all { // see others
					near, s, r.top[c], *e = r.x[c], f, *e, 0
					confident = true
				}
				if j.share > 0 {
					r.dot[c] = float64(r.dots[c]) + float64(j.weights*(float64(r.base[c])-float64(near)))
				}
				r.base[c], r.max[c], r.s[c] = T(p), near, s
				continue
			}
		}
		row.e, row.base, row.sum, row.more = e.data[c*e.stride:][:x.c], r.base[c*b:][:b], r.sum[c*b:][:b], r.more[c*b:][:b]
		row.addUp()
		r.max[c], r.s[c] = row.logSum(j.k, t, r.x[c])
		if j.share > 0 {
			d := sum[T]{base: r.max[c]}
			d.addDots(row.base, r.dots[c*b:], j.blocks)
			r.dot[c] = d.dot
		}
		row.probabilities(j.k, p)
	}
	if confident {
		j.others(e, first, r)
	}
	copy(r.log[:x.n], r.s)
	j.k.log1p(ptr(r.log, 0), x.n)
}

// others finds the sums of the exponentials e without those that sums has taken out, and
// puts these back. s is what the sums are multiplied by.
func (j *ceJob[T, I]) others(e *view[T], first int, r *ceRoom[T]) {
	var rest [tile]float64
	j.k.sum(ptr(rest[:], 0), ptr(e.data, 0), e.n, e.c, e.stride)
	for c, top := range r.top[:e.n] {
		if top != 0 {
			r.s[c] = float64(rest[c]*r.s[c]) / float64(float64(top)*r.s[c])
			e.data[c*e.stride+int(j.targets[first+c])] = top
		}
	}
}

// targeted completes the gradients of n rows of dst from row on, whose targets
// start at first, by what is subtracted there.
func (j *ceJob[T, I]) targeted(dst *view[T], row, n, first int, r *ceRoom[T]) {
	at := row * dst.stride
	for c := range n {
		if t := int(j.targets[first+c]); t != j.ignore {
			g := &dst.data[at+t]
			if r.x[c] == r.max[c] {
				less := float64(r.less[c])
				*g = j.atMax(t, r.scale[c], less, r.s[c], less != 0)
			} else {
				*g = T(float64(*g) - r.scale[c])
			}
		}
		at += dst.stride
	}
}

// plainShort is short and losses for plain work.
func (j *ceJob[T, I]) plainShort(total float64, x, dst *view[T], targets []I, r *ceRoom[T]) float64 {
	take := j.upstream(0)
	fill(r.factor[:x.n], T(take))
	shortSoftmax(j.k, ptr(dst.data, 0), ptr(r.factor, 0), ptr(r.max, 0), ptr(r.s, 0), ptr(r.log, 0), ptr(x.data, 0), x.n, x.c, dst.stride, x.stride, len(x.data))
	return plainEnds(total, targets, j.ignore, dst, take, r.x, r.max, r.s, r.log)
}

// short is long for rows of at most mediumCols columns, which one kernel does.
func (j *ceJob[T, I]) short(x, dst *view[T], first int, r *ceRoom[T]) {
	targets := j.targets[first:][:x.n]
	ignore, smooth := j.ignore, j.share > 0
	scale, less := r.scale[:x.n], r.less[:x.n]
	j.factors(r.factor, less, scale, targets, first)
	if smooth {
		shortSoftmaxDot(j.k, ptr(dst.data, 0), ptr(r.factor, 0), ptr(r.less, 0), ptr(r.max, 0), ptr(r.s, 0), ptr(r.log, 0), ptr(r.dots, 0),
			ptr(x.data, 0), ptr(j.opt.Weight, 0), x.n, x.c, dst.stride, x.stride, len(x.data))
		widen(r.dot, r.dots[:x.n])
	} else {
		shortSoftmax(j.k, ptr(dst.data, 0), ptr(r.factor, 0), ptr(r.max, 0), ptr(r.s, 0), ptr(r.log, 0), ptr(x.data, 0), x.n, x.c, dst.stride, x.stride, len(x.data))
	}
	s, logit, max := r.s[:x.n], r.x[:x.n], r.max[:x.n]
	at := 0
	for c, t := range targets {
		if int(t) == ignore {
			clear(dst.data[at:][:x.c]) // NaN times 0 would stay
			at += dst.stride
			continue
		}
		if g := &dst.data[at+int(t)]; logit[c] == max[c] {
			*g = j.atMax(int(t), scale[c], float64(less[c]), s[c], smooth)
		} else {
			*g = T(float64(*g) - scale[c])
		}
		at += dst.stride
	}
}

// factors fills in what probabilities, weights and targets count in the
// gradients of rows, the first of which is row: nothing if they are ignored.
func (j *ceJob[T, I]) factors(factor, less []T, take []float64, targets []I, row int) {
	factor, less, take = factor[:len(targets)], less[:len(targets)], take[:len(targets)]
	ignore, weight := j.ignore, j.opt.Weight
	each := len(j.opt.Upstream) > 1
	up := j.upstream(row)
	f, l, p := j.factor(up, 1)
	if weight == nil && !each {
		for i, t := range targets {
			if int(t) == ignore {
				factor[i], less[i], take[i] = 0, 0, 0
			} else {
				factor[i], less[i], take[i] = T(f), l, p
			}
		}
		return
	}
	for i, t := range targets {
		if int(t) == ignore {
			factor[i], less[i], take[i] = 0, 0, 0
			continue
		}
		if each {
			up = j.upstream(row + i)
		}
		f, l, p = j.factor(up, weightOf(weight, int(t)))
		factor[i], less[i], take[i] = T(f), l, p
	}
}

// upstream returns the factor of a row's loss.
func (j *ceJob[T, I]) upstream(row int) float64 {
	return float64(upstream(j.opt.Upstream, row) * j.norm)
}

// factor returns the factor of the probabilities of a row, that of the weights,
// and what is subtracted at the target, whose weight is w. Without smoothing the
// weights' is -0, which changes no product that it is added to.
func (j *ceJob[T, I]) factor(up, w float64) (f float64, less T, take float64) {
	take = float64(float64(up*j.keep) * w)
	share := float64(up * j.share)
	if less = T(-share); j.share == 0 {
		less = T(math.Copysign(0, -1))
	}
	return take + float64(share*j.weights), less, take
}

// atMax is atMax for the target t, which may be smoothed.
func (j *ceJob[T, I]) atMax(t int, take, less, s float64, smooth bool) T {
	v := atMax(take, s)
	if smooth {
		v += float64(less * (weightOf(j.opt.Weight, t) - j.weights/(1+s)))
	}
	return T(v)
}

// exps fills dst with exponentials and the room with what is known of the blocks.
func (j *ceJob[T, I]) exps(dst, x *view[T], r *ceRoom[T]) {
	var dots []T
	var weight *T
	if j.share > 0 {
		dots, weight = r.dots, ptr(j.opt.Weight, 0)
	}
	if j.w > 1 {
		spreadExps(j.w, j.k, *dst, *x, r.base, r.sum, r.more, dots, weight)
		return
	}
	expSumDots(j.k, ptr(dst.data, 0), ptr(r.base, 0), ptr(r.sum, 0), ptr(r.more, 0), ptr(dots, 0), ptr(x.data, 0), weight, x.n, x.c, dst.stride, x.stride)
}

// expSums runs the kernel on rows, or on the chunks of one that is longer.
func expSums[T Float](k *kernels[T], dst, base, sum, more, x *T, rows, cols, dstStride, stride int) {
	expSumDots(k, dst, base, sum, more, nil, x, nil, rows, cols, dstStride, stride)
}

// expSumDots is expSums and, unless dot is nil, sets it to the sums of w (x - base)
// over the blocks, w being 1 if it is nil.
func expSumDots[T Float](k *kernels[T], dst, base, sum, more, dot, x, w *T, rows, cols, dstStride, stride int) {
	for {
		n := min(cols, chunkSize)
		switch {
		case dot == nil:
			k.expSum(dst, base, sum, more, x, rows, n, dstStride, stride)
		case w == nil:
			k.expSumDot(dst, base, sum, more, dot, x, rows, n, dstStride, stride)
		default:
			k.expSumWeighted(dst, base, sum, more, dot, x, w, rows, n, dstStride, stride)
		}
		if cols -= n; cols == 0 {
			return
		}
		dst, x = &at(dst, n, 1)[0], &at(x, n, 1)[0]
		base, sum, more = &at(base, chunkBlocks, 1)[0], &at(sum, chunkBlocks, 1)[0], &at(more, chunkBlocks, 1)[0]
		if dot != nil {
			dot = &at(dot, chunkBlocks, 1)[0]
		}
		if w != nil {
			w = &at(w, n, 1)[0]
		}
	}
}

// spreadExps is expSumDots for one row and w goroutines.
func spreadExps[T Float](w int, k *kernels[T], dst, x view[T], base, sum, more, dots []T, weight *T) {
	n := blocks(x.c)
	parts := make([]T, 4*n)
	bases, sums, mores, ds := parts[:n], parts[n:2*n], parts[2*n:3*n], parts[3*n:]
	spreadChunks(w, x.c, func(c, off, n int) {
		var dot, weights *T
		if dots != nil {
			dot = &ds[c*chunkBlocks]
		}
		if weight != nil {
			weights = &at(weight, off, n)[0]
		}
		expSumDots(k, ptr(dst.data, off), ptr(bases, c*chunkBlocks), ptr(sums, c*chunkBlocks), ptr(mores, c*chunkBlocks), dot, ptr(x.data, off), weights, 1, n, 0, 0)
	})
	copy(base, bases)
	copy(sum, sums)
	copy(more, mores)
	copy(dots, ds)
}

// scale turns exps into gradients, but for the elements at the targets.
func (j *ceJob[T, I]) scale(dst *view[T], r *ceRoom[T]) {
	switch {
	case j.w > 1:
		var weight *T
		if j.share > 0 {
			weight = ptr(j.opt.Weight, 0)
		}
		spreadScale(j.w, j.k, *dst, r.base, r.less[0], weight)
	case j.share > 0 && j.opt.Weight != nil:
		j.k.scaleWeighted(ptr(dst.data, 0), ptr(dst.data, 0), ptr(r.base, 0), ptr(r.less, 0), ptr(j.opt.Weight, 0), dst.n, dst.c, dst.stride, dst.stride)
	case j.share > 0:
		j.k.scale(ptr(dst.data, 0), ptr(dst.data, 0), ptr(r.base, 0), ptr(r.less, 0), dst.n, dst.c, dst.stride, dst.stride)
	default:
		j.k.scale(ptr(dst.data, 0), ptr(dst.data, 0), ptr(r.base, 0), nil, dst.n, dst.c, dst.stride, dst.stride)
	}
}

func spreadScale[T Float](w int, k *kernels[T], dst view[T], factors []T, less T, weight *T) {
	factor, add := slices.Clone(factors), []T{less}
	spreadChunks(w, dst.c, func(c, off, n int) {
		if weight == nil {
			k.scale(ptr(dst.data, off), ptr(dst.data, off), ptr(factor, c*chunkBlocks), ptr(add, 0), 1, n, 0, 0)
		} else {
			k.scaleWeighted(ptr(dst.data, off), ptr(dst.data, off), ptr(factor, c*chunkBlocks), ptr(add, 0), &at(weight, off, n)[0], 1, n, 0, 0)
		}
	})
}
