package logits

// A planarCE is what the cross-entropy needs of a span of positions.
type planarCE[T Float] struct {
	planarRoom[T]
	take   []float64 // what is subtracted at the target
	x      []T       // the target's logit
	dot    []T       // sum of w[c] (x[c] - max)
	less   []T       // the factor of the weights in the gradient
	weight []T       // of the classes
	copy   planes[T] // room for a copy of the gradient, or of x
}

func newPlanarCE[T Float](b, c *[]float64, classes, copied int) planarCE[T] {
	t := scratch[T](c, 5*spanSize+classes*(1+copied))
	part := func(i int) []T { return t[i*spanSize:][:spanSize] }
	return planarCE[T]{newPlanarRoom[T](b, 2*classes), (*c)[:spanSize], part(2), part(3), part(4),
		t[5*spanSize:][:classes], planes[T]{t[5*spanSize+classes:], copied}}
}

// positions does n positions of a planar array, a multiple of 16, whose gradient, or
// which itself without one, goes by way of a copy if copied is set. It adds to the sums
// of losses.
func (j *ceJob[T, I]) positions(sums *[2]float64, x, grad *view[T], copied bool, n, at, row int) {
	b, c := buffers.Get().(*[]float64), buffers.Get().(*[]float64)
	defer buffers.Put(b)
	defer buffers.Put(c)
	room := 0
	if copied {
		room = n
	}
	r := newPlanarCE[T](b, c, x.c, room)
	targets, from := j.targets[row:][:n], x.planes(at)
	if grad == nil {
		if copied {
			r.copy.take(from, n, x.c)
			from = r.copy
		}
		j.planarSumExps(&r, planes[T]{}, from, n)
		j.planarTargets(&r, from, targets)
		j.planarLosses(sums, &r, targets, row)
		return
	}
	inPlace := addr(grad.data) == addr(x.data)
	if inPlace {
		j.planarTargets(&r, from, targets)
	}
	j.factors(r.scale, r.less, r.take, targets, row)
	to := grad.planes(at)
	dst := to
	if copied {
		dst = r.copy
	}
	j.planarSumExps(&r, dst, from, n)
	if !inPlace {
		j.planarTargets(&r, from, targets) // now they are in a cache
	}
	j.planarGrad(&r, dst, targets)
	if copied {
		to.put(j.k, dst, n, x.c, bit(grad.streams(x)), j.opt.Accumulate)
	}
	j.planarLosses(sums, &r, targets, row)
}

// crowded tells whether a group of 16 positions has so many classes, and so great a power
// of two between them, that its cache lines and pages push each other out of where a
// processor keeps them. A copy made in longer runs is faster then, if nothing is written
// for each class: on a Xeon with 2 MB of L2 the loss of 65536 positions of 72, 100 and 150
// classes takes 0.9, 0.85 and 0.82 of the time, of 64 classes 1.4.
func (v *view[T]) crowded() bool { return v.c*min(v.d&-v.d, 1<<14) > 1<<20 }

// take sets n positions to those of q.
func (p planes[T]) take(q planes[T], n, classes int) {
	for c := range classes {
		copy(p.data[c*p.stride:][:n], q.data[c*q.stride:])
	}
}

// planarSumExps is sumExps, and fills in the dots and adds the weights to dst
// if there is smoothing.
func (j *ceJob[T, I]) planarSumExps(r *planarCE[T], dst, x planes[T], n int) {
	if j.share == 0 {
		r.sumExps(j.k, dst, x, n, len(r.weight))
		return
	}
	weight := j.opt.Weight
	if weight == nil {
		weight = r.weight
		fill(weight, 1)
	}
	if dst.data == nil {
		j.k.planarSumExpDot(ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(r.dot, 0),
			ptr(x.data, 0), ptr(weight, 0), ptr(r.scratch, 0), n, len(weight), x.stride)
	} else {
		j.k.planarSoftmaxDot(ptr(dst.data, 0), ptr(r.scale, 0), ptr(r.less, 0), ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(r.dot, 0),
			ptr(x.data, 0), ptr(weight, 0), ptr(r.scratch, 0), n, len(weight), dst.stride, x.stride)
	}
}

// planarTargets looks up the logits of the targets.
func (j *ceJob[T, I]) planarTargets(r *planarCE[T], from planes[T], targets []I) {
	x, ignore := r.x[:len(targets)], j.ignore
	for i, t := range targets {
		if int(t) != ignore {
			x[i] = from.data[int(t)*from.stride+i]
		}
	}
}

// planarGrad makes gradients of the probabilities g, at the targets.
func (j *ceJob[T, I]) planarGrad(r *planarCE[T], g planes[T], targets []I) {
	x, max, take, ignore := r.x[:len(targets)], r.max[:len(targets)], r.take[:len(targets)], j.ignore
	for i, t := range targets {
		if int(t) == ignore {
			if l := r.log[i]; l != l {
				for c := range r.weight {
					g.data[c*g.stride+i] = 0 // NaN times 0 would stay
				}
			}
			continue
		}
		p := &g.data[int(t)*g.stride+i]
		if x[i] != max[i] {
			*p = T(float64(*p) - take[i])
			continue
		}
		*p = j.atMax(int(t), take[i], float64(r.less[i]), r.sum[i], j.share > 0)
	}
}

// planarLosses adds the losses to the sums, which take turns.
func (j *ceJob[T, I]) planarLosses(sums *[2]float64, r *planarCE[T], targets []I, row int) {
	max, x, log, ignore := r.max[:len(targets)], r.x[:len(targets)], r.log[:len(targets)], j.ignore
	s, t := sums[0], sums[1]
	if j.keep == 1 && j.opt.Weight == nil {
		if j.loss == nil {
			for i, class := range targets {
				if int(class) != ignore {
					s, t = t, s+((float64(max[i])-float64(x[i]))+log[i])
				}
			}
		} else {
			loss := j.loss[row:][:len(targets)]
			for i, class := range targets {
				var l float64
				if int(class) != ignore {
					l = (float64(max[i]) - float64(x[i])) + log[i]
					s, t = t, s+l
				}
				loss[i] = T(l)
			}
		}
		*sums = [2]float64{s, t}
		return
	}
	weight, dot, keep, share, weights := j.opt.Weight, r.dot[:len(targets)], j.keep, j.share, j.weights
	for i, class := range targets {
		var l float64
		if int(class) != ignore {
			f := keep
			if weight != nil {
				f = float64(f * float64(weight[class]))
			}
			l = float64(f * ((float64(max[i]) - float64(x[i])) + log[i]))
			if share > 0 {
				l += float64(share * (float64(weights*log[i]) - float64(dot[i])))
			}
			s, t = t, s+l
		}
		if j.loss != nil {
			j.loss[row+i] = T(l)
		}
	}
	*sums = [2]float64{s, t}
}

// positions does n positions of planar arrays, a multiple of 16, and returns total
// with their losses added.
func (j *probsJob[T]) positions(total float64, x, q, grad *view[T], copied bool, n, at, row int) float64 {
	b, c := buffers.Get().(*[]float64), buffers.Get().(*[]float64)
	defer buffers.Put(b)
	defer buffers.Put(c)
	room := 0
	if copied {
		room = n
	}
	r := newPlanarRoom[T](b, 3*x.c)
	buf := scratch[T](c, 2*spanSize+x.c*(1+room))
	mass, dot, weight := buf[:n], buf[spanSize:][:n], j.opt.Weight
	if weight == nil {
		weight = buf[2*spanSize:][:x.c]
		fill(weight, 1)
	}
	smooth := [2]T{T(j.keep), T(j.share)}
	if grad == nil {
		j.k.planarProbs(ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(mass, 0), ptr(dot, 0),
			ptr(x.data, at), ptr(q.data, at), ptr(weight, 0), ptr(smooth[:], 0), ptr(r.scratch, 0), n, x.c, x.d)
	} else {
		to := grad.planes(at)
		dst := to
		if copied {
			dst = planes[T]{buf[2*spanSize+x.c:], n}
		}
		for i := range r.scale[:n] {
			r.scale[i] = T(float64(upstream(j.opt.Upstream, row+i) * j.norm))
		}
		j.k.planarProbsGrad(ptr(dst.data, 0), ptr(r.scale, 0), ptr(r.max, 0), ptr(r.sum, 0), ptr(r.log, 0), ptr(mass, 0), ptr(dot, 0),
			ptr(x.data, at), ptr(q.data, at), ptr(weight, 0), ptr(smooth[:], 0), ptr(r.scratch, 0), n, x.c, dst.stride, x.d)
		if copied {
			to.put(j.k, dst, n, x.c, bit(grad.streams(x)), j.opt.Accumulate)
		}
	}
	for i, log := range r.log[:n] {
		l := j.rowLoss(float64(mass[i]), 0-float64(dot[i]), r.max[i], log)
		if j.loss != nil {
			j.loss[row+i] = T(l)
		}
		total += l
	}
	return total
}
