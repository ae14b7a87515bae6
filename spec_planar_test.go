package logits

import (
	"math"
	"slices"
	"testing"
)

// A specPosition is what the planar kernels find at one position: base is max, or 0 if
// that is subtracted before; high and low are the sum without one of the greatest terms,
// and more is what it lacks.
type specPosition struct{ max, base, high, low, more, dot float32 }

// rest is the sum, with what it lacks.
func (p *specPosition) rest() float64 {
	s := float64(p.high) + float64(p.low)
	return math.FMA(s, float64(p.more), s)
}

// specPlanar does the classes of one position, those of x replaced by what is to base. It
// sets dst, if it is not nil, to the probabilities times scale, and adds w times add if w
// is not nil. If pairs is not set, nothing but the sum is asked for.
func specPlanar(dst, x, w []float32, scale, add float32, pairs bool) (p specPosition) {
	p.max = slices.Max(x)
	b, near := newSpecBase(p.max)
	if !near {
		m := max(-math.MaxFloat32, p.max)
		for i := range x {
			x[i] -= m
		}
		b, _ = newSpecBase(0)
	}
	p.base, p.high = b.base, p.max-p.max
	few := 64
	if w != nil {
		few = 16
	}
	var most float32
	e := make([]float32, len(x))
	for first := 0; first < len(x); first += few {
		var sum, dot float32
		end := min(first+few, len(x))
		if !pairs {
			sum = b.losers(x[:end], first)
		}
		for i := first; i < end && pairs; i += 2 {
			var less [2]float32
			for k := range less[:min(2, end-i)] {
				if w != nil {
					dot = fma32(x[i+k]-b.base, w[i+k], dot)
				}
				v := b.exp(x[i+k])
				e[i+k] = v
				less[k], most = min(most, v), max(most, v)
			}
			sum += less[0] + less[1]
		}
		// The rounding error of the sum goes to low.
		s := p.high + sum
		c := s - p.high
		p.low += (sum - c) + (p.high - (s - c))
		p.high = s
		p.dot += dot
	}
	lack := specLack(p.high)
	p.more = fma32(lack, b.toBase, lack) + b.toBase
	if dst != nil {
		f := scale / ((most + p.high) + p.low)
		for i := range dst {
			dst[i] = e[i] * f
			if w != nil {
				dst[i] = fma32(add, w[i], dst[i])
			}
		}
	}
	return p
}

// losers adds up what is left of x from first on when the greatest so far is taken out,
// one by one.
func (b specBase) losers(x []float32, first int) (sum float32) {
	most := float32(math.Inf(-1))
	for _, v := range x[:first] {
		most = max(most, v)
	}
	for _, v := range x[first:] {
		sum, _ = b.addExp(sum, min(most, v))
		most = max(most, v)
	}
	return sum
}

// specTargets returns the targets of one position, their sum, and that of
// targets times x - m.
func specTargets(x, q, w []float32, m, keep, share float32) (targets []float32, mass, dot float32) {
	targets = make([]float32, len(x))
	for first := 0; first < len(x); first += 16 {
		var masses, dots float32
		for c := first; c < min(first+16, len(x)); c++ {
			t := float32(fma32(q[c], keep, share) * w[c]) // not fused with the sum
			targets[c] = t
			masses += t
			if d := x[c] - m; t != 0 {
				dots = fma32(d, t, dots)
			}
		}
		mass += masses
		dot += dots
	}
	return targets, mass, dot
}

// specProbs does n positions, without dst if it is nil.
func specProbs(dst, scale, max *float32, sum, log *float64, mass, dot, x, q, w, smooth *float32, n, classes, dstStride, stride int) {
	elem := func(p *float32, i int) *float32 { return &at(p, i, 1)[0] }
	for i := range n {
		xs, qs := make([]float32, classes), make([]float32, classes)
		for c := range xs {
			xs[c], qs[c] = *elem(x, c*stride+i), *elem(q, c*stride+i)
		}
		var out []float32
		if dst != nil {
			out = make([]float32, classes)
		}
		p := specPlanar(nil, xs, nil, 0, 0, true)
		targets, all, s := specTargets(xs, qs, at(w, 0, classes), p.base, *elem(smooth, 0), *elem(smooth, 1))
		*elem(max, i), at(sum, i, 1)[0], at(log, i, 1)[0], *elem(mass, i), *elem(dot, i) = p.max, p.rest(), p.rest(), all, s
		if dst != nil {
			up := *elem(scale, i)
			specPlanar(out, xs, nil, up*all, 0, true)
			for c, t := range targets {
				*elem(dst, c*dstStride+i) = fma32(t, -up, out[c])
			}
		}
	}
	specTable.log1p(log, n)
}

func init() {
	specTable.planarProbs = func(max *float32, sum, log *float64, mass, dot, x, q, w, smooth, scratch *float32, n, classes, stride int) {
		specProbs(nil, nil, max, sum, log, mass, dot, x, q, w, smooth, n, classes, 0, stride)
	}
	specTable.planarProbsGrad = func(dst, scale, max *float32, sum, log *float64, mass, dot, x, q, w, smooth, scratch *float32, n, classes, dstStride, stride int) {
		specProbs(dst, scale, max, sum, log, mass, dot, x, q, w, smooth, n, classes, dstStride, stride)
	}
	specTable.planarSumExp = func(max *float32, sum, log *float64, x, scratch *float32, n, classes, stride int) {
		specPlanarRows(nil, nil, nil, max, sum, log, nil, x, nil, n, classes, 0, stride)
	}
	specTable.planarSumExpDot = func(max *float32, sum, log *float64, dot, x, w, scratch *float32, n, classes, stride int) {
		specPlanarRows(nil, nil, nil, max, sum, log, dot, x, w, n, classes, 0, stride)
	}
	specTable.planarSoftmax = func(dst, scale, max *float32, sum, log *float64, x, scratch *float32, n, classes, dstStride, stride int) {
		specPlanarRows(dst, scale, nil, max, sum, log, nil, x, nil, n, classes, dstStride, stride)
	}
	specTable.planarSoftmaxDot = func(dst, scale, add, max *float32, sum, log *float64, dot, x, w, scratch *float32, n, classes, dstStride, stride int) {
		specPlanarRows(dst, scale, add, max, sum, log, dot, x, w, n, classes, dstStride, stride)
	}
	specTable.planarShift = func(dst, x, max, log *float32, n, classes, stride, stream int) {
		for c := range classes {
			for i, v := range at(x, c*stride, n) {
				at(dst, c*stride+i, 1)[0] = float32(v-at(max, i, 1)[0]) - at(log, i, 1)[0]
			}
		}
	}
	specTable.planarInner = func(dst *float64, x, y, xCopy, yCopy *float32, n, classes, stride int) {
		for i := range n {
			var s float64
			for c := range classes {
				v := at(x, c*stride+i, 1)[0]
				at(xCopy, c*n+i, 1)[0] = v
				term := float64(v)
				if y != nil {
					w := at(y, c*stride+i, 1)[0]
					at(yCopy, c*n+i, 1)[0] = w
					term *= float64(w) // exact
				}
				s += term
			}
			at(dst, i, 1)[0] = s
		}
	}
	specTable.planarSoftmaxGrad = func(dst, x, y, high, low *float32, n, classes, dstStride, stride int) {
		for c := range classes {
			for i, v := range at(x, c*stride, n) {
				at(dst, c*dstStride+i, 1)[0] = float32(float32(at(y, c*stride+i, 1)[0]-at(high, i, 1)[0])-at(low, i, 1)[0]) * v
			}
		}
	}
	specTable.planarLogSoftmaxGrad = func(dst, x, y, s *float32, n, classes, stride, yStride int) {
		for c := range classes {
			for i, v := range at(x, c*stride, n) {
				at(dst, c*stride+i, 1)[0] = fma32(specExp(v), at(s, i, 1)[0], at(y, c*yStride+i, 1)[0])
			}
		}
	}
}

func specPlanarRows(dst, scale, add, max *float32, sum, log *float64, dot, x, w *float32, n, classes, dstStride, stride int) {
	column, out, weights := make([]float32, classes), []float32(nil), []float32(nil)
	if dst != nil {
		out = make([]float32, classes)
	}
	if w != nil {
		weights = at(w, 0, classes)
	}
	elem := func(p *float32, i int) *float32 { return &at(p, i, 1)[0] }
	for i := range n {
		for c := range column {
			column[c] = *elem(x, c*stride+i)
		}
		var f, a float32
		if dst != nil {
			f = *elem(scale, i)
			if add != nil {
				a = *elem(add, i)
			}
		}
		p := specPlanar(out, column, weights, f, a, dst != nil || w != nil)
		*elem(max, i) = p.max
		if log != nil {
			at(sum, i, 1)[0], at(log, i, 1)[0] = p.rest(), p.rest()
		}
		if dot != nil {
			*elem(dot, i) = p.dot
		}
		for c, v := range out {
			*elem(dst, c*dstStride+i) = v
		}
	}
	if log != nil {
		specTable.log1p(log, n)
	}
}

// TestSpecPlanar compares the accelerated paths with the specification bit for
// bit through the public functions, on numbers of every kind.
func TestSpecPlanar(t *testing.T) {
	if len(Paths()) == 1 {
		t.Skip("no accelerated path")
	}
	rng := newRand(21)
	classes, positions := []int{1, 2, 3, 10, 21, 63, 64, 65, 66, 129, 300}, []int{2, 16, 17, 48, 257, 300}
	if testing.Short() {
		classes, positions = []int{1, 2, 21, 67}, []int{16, 17}
	}
	for _, c := range classes {
		for _, d := range positions {
			if c*d > 20000 { // spans of positions do not depend on the classes
				continue
			}
			for _, kind := range rowKinds {
				x := Dense(2*d, c, make([]float32, 2*d*c))
				for i := range x.Rows {
					kind.fill(rng, x.row(i))
				}
				p := Planar[float32]{2, c, d, make([]float32, len(x.Data))}
				weight := make([]float32, c)
				for i := range weight {
					weight[i] = rng.Float32()
				}
				smooth := []Options[float32]{
					{LabelSmoothing: 0.25},
					{LabelSmoothing: 0.1, Weight: weight, Accumulate: true},
				}
				targets := make([]int, 2*d)
				for i := range targets {
					targets[i] = rng.IntN(c)
					for j, v := range x.row(i) {
						p.Data[(i/d*c+j)*d+i%d] = v
					}
				}
				q := Planar[float32]{2, c, d, make([]float32, len(p.Data))}
				for i := range q.Data {
					q.Data[i] = max(0, rng.Float32()-0.25)
				}
				run := func(k *kernels[float32]) (out [14][]float32) {
					defer func(before *kernels[float32]) { active = before }(active)
					active = k
					for i := range out {
						out[i] = make([]float32, len(p.Data))
						if i >= 9 {
							out[i] = out[i][:len(targets)]
						}
					}
					must(t, Softmax(Planar[float32]{2, c, d, out[0]}, p))
					must(t, LogSoftmax(Planar[float32]{2, c, d, out[1]}, p))
					dy := Planar[float32]{2, c, d, slices.Clone(p.Data)}
					slices.Reverse(dy.Data)
					must(t, SoftmaxGrad(Planar[float32]{2, c, d, out[5]}, p, dy))
					must(t, LogSoftmaxGrad(Planar[float32]{2, c, d, out[6]}, p, dy))
					_, err := CrossEntropyGrad(Planar[float32]{2, c, d, out[2]}, p, targets, nil)
					must(t, err)
					must(t, CrossEntropyRows(out[9], p, targets, nil))
					for i, o := range smooth {
						fill(out[7+i], 1)
						_, err := CrossEntropyProbsGrad(Planar[float32]{2, c, d, out[7+i]}, p, q, &o)
						must(t, err)
						o.LabelSmoothing *= float64(i)
						must(t, CrossEntropyProbsRows(out[12+i], p, q, &o))
					}
					for i, o := range smooth {
						fill(out[3+i], 1)
						_, err := CrossEntropyGrad(Planar[float32]{2, c, d, out[3+i]}, p, targets, &o)
						must(t, err)
						must(t, CrossEntropyRows(out[10+i], p, targets, &o))
					}
					return out
				}
				want := run(&specTable)
				for _, k := range paths[:len(paths)-1] {
					for f, got := range run(k) {
						for i, v := range got {
							if !sameBits(v, want[f][i]) {
								t.Fatalf("%s, %s, 2 x %d x %d, function %d: element %d is %v, want %v", k.name, kind.name, c, d, f, i, v, want[f][i])
							}
						}
					}
				}
			}
		}
	}
}
