package main

import "math"

// The loops that people write in Go: float32 data, math.Exp and math.Log.

// row returns row i.
func (w *workspace) row(i int) []float32 { return w.x[i*w.cols : (i+1)*w.cols] }

func maxOf(x []float32) float32 {
	m := x[0]
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}

func naiveMax(w *workspace) {
	for i := range w.out {
		w.out[i] = maxOf(w.row(i))
	}
}

func naiveArgMax(w *workspace) {
	for i := range w.index {
		x := w.row(i)
		best := 0
		for j, v := range x {
			if v > x[best] {
				best = j
			}
		}
		w.index[i] = best
	}
}

func naiveSum(w *workspace) {
	for i := range w.out {
		var s float32
		for _, v := range w.row(i) {
			s += v
		}
		w.out[i] = s
	}
}

func naiveExp(w *workspace) {
	for i, v := range w.x {
		w.y[i] = float32(math.Exp(float64(v)))
	}
}

func logSumExpOf(x []float32) float64 {
	m := float64(maxOf(x))
	var s float64
	for _, v := range x {
		s += math.Exp(float64(v) - m)
	}
	return m + math.Log(s)
}

func naiveLogSumExp(w *workspace) {
	for i := range w.out {
		w.out[i] = float32(logSumExpOf(w.row(i)))
	}
}

func naiveSoftmax(w *workspace) {
	for i := range w.rows {
		x := w.row(i)
		y := w.y[i*w.cols : (i+1)*w.cols]
		m := float64(maxOf(x))
		var s float64
		for j, v := range x {
			e := math.Exp(float64(v) - m)
			y[j] = float32(e)
			s += e
		}
		for j := range y {
			y[j] /= float32(s)
		}
	}
}

func naiveLogSoftmax(w *workspace) {
	for i := range w.rows {
		x := w.row(i)
		y := w.y[i*w.cols : (i+1)*w.cols]
		l := logSumExpOf(x)
		for j, v := range x {
			y[j] = float32(float64(v) - l)
		}
	}
}

func naiveNLL(w *workspace) {
	for i, t := range w.targets {
		x := w.row(i)
		w.out[i] = float32(logSumExpOf(x) - float64(x[t]))
	}
}

func naiveCEGrad(w *workspace) {
	n := float64(w.rows)
	w.loss = 0
	for i, t := range w.targets {
		x := w.row(i)
		y := w.y[i*w.cols : (i+1)*w.cols]
		m := float64(maxOf(x))
		var s float64
		for j, v := range x {
			e := math.Exp(float64(v) - m)
			y[j] = float32(e)
			s += e
		}
		for j, e := range y {
			y[j] = float32(float64(e) / s / n)
		}
		logp := float64(x[t]) - m - math.Log(s)
		y[t] = float32((math.Exp(logp) - 1) / n)
		w.loss -= logp / n
	}
}

func naiveCESmooth(w *workspace) {
	for i, t := range w.targets {
		x := w.row(i)
		l := logSumExpOf(x)
		var s float64
		for _, v := range x {
			s += l - float64(v)
		}
		w.out[i] = float32((1-smoothing)*(l-float64(x[t])) + smoothing/float64(w.cols)*s)
	}
}

func naiveProbs(w *workspace) {
	for i := range w.rows {
		x := w.row(i)
		l := logSumExpOf(x)
		var s float64
		for j, q := range w.other[i*w.cols:][:w.cols] {
			s += float64(q) * (l - float64(x[j]))
		}
		w.out[i] = float32(s)
	}
}

func naiveProbsGrad(w *workspace) {
	n := float64(w.rows)
	w.loss = 0
	for i := range w.rows {
		x, q, y := w.row(i), w.other[i*w.cols:][:w.cols], w.y[i*w.cols:][:w.cols]
		l := logSumExpOf(x)
		var mass float64
		for j, q := range q {
			mass += float64(q)
			w.loss += float64(q) * (l - float64(x[j])) / n
		}
		for j, q := range q {
			y[j] = float32((mass*math.Exp(float64(x[j])-l) - float64(q)) / n)
		}
	}
}

func naiveCEWeight(w *workspace) {
	for i, t := range w.targets {
		x := w.row(i)
		w.out[i] = float32(float64(w.weight[t]) * (logSumExpOf(x) - float64(x[t])))
	}
}

func naiveSoftmaxGrad(w *workspace) {
	for i := range w.rows {
		y, dy, dx := w.row(i), w.other[i*w.cols:(i+1)*w.cols], w.y[i*w.cols:(i+1)*w.cols]
		var s float64
		for j, v := range y {
			s += float64(v) * float64(dy[j])
		}
		for j, v := range y {
			dx[j] = float32(float64(v) * (float64(dy[j]) - s))
		}
	}
}

func naiveLogSoftmaxGrad(w *workspace) {
	for i := range w.rows {
		y, dy, dx := w.row(i), w.other[i*w.cols:(i+1)*w.cols], w.y[i*w.cols:(i+1)*w.cols]
		var s float64
		for _, v := range dy {
			s += float64(v)
		}
		for j, v := range y {
			dx[j] = float32(float64(dy[j]) - math.Exp(float64(v))*s)
		}
	}
}

func naiveMSE(w *workspace) {
	var s float64
	for i, v := range w.x {
		d := float64(v) - float64(w.other[i])
		s += d * d
	}
	w.loss = s / float64(len(w.x))
}

func naiveL1(w *workspace) {
	var s float64
	for i, v := range w.x {
		s += math.Abs(float64(v) - float64(w.other[i]))
	}
	w.loss = s / float64(len(w.x))
}

func naiveMSEGrad(w *workspace) {
	n := float64(len(w.x))
	var s float64
	for i, v := range w.x {
		d := float64(v) - float64(w.other[i])
		s += d * d
		w.y[i] = float32(2 * d / n)
	}
	w.loss = s / n
}

func naiveL1Grad(w *workspace) {
	n := float64(len(w.x))
	var s float64
	for i, v := range w.x {
		d := float64(v) - float64(w.other[i])
		s += math.Abs(d)
		switch {
		case d > 0:
			w.y[i] = float32(1 / n)
		case d < 0:
			w.y[i] = float32(-1 / n)
		default:
			w.y[i] = 0
		}
	}
	w.loss = s / n
}

func naiveMargin(w *workspace) {
	for i, t := range w.targets[:w.rows] {
		row := w.row(i)
		var s float64
		for j, v := range row {
			if z := 1 - float64(row[t]) + float64(v); j != t && z > 0 {
				s += z
			}
		}
		w.out[i] = float32(s / float64(w.cols))
	}
}

func naiveMarginGrad(w *workspace) {
	scale := 1 / float64(w.rows*w.cols)
	var s float64
	for i, t := range w.targets[:w.rows] {
		row, to := w.row(i), w.y[i*w.cols:][:w.cols]
		some := 0
		for j, v := range row {
			to[j] = 0
			if z := 1 - float64(row[t]) + float64(v); j != t && z > 0 {
				s += z
				to[j] = float32(scale)
				some++
			}
		}
		to[t] = float32(-scale * float64(some))
	}
	w.loss = s * scale
}

func naiveCopy(w *workspace) {
	//lint:ignore S1001 The loop is what is measured.
	for i, v := range w.x {
		w.y[i] = v
	}
}

// planarSoftmax returns the maximum over the classes of row i, the sum of the
// exponentials less it, and where the row begins; its classes are D apart.
func (w *workspace) planarSoftmax(i int) (m, s float64, start int) {
	d := w.unit()
	start = i/d*w.cols*d + i%d
	m = float64(w.x[start])
	for c := range w.cols {
		if v := float64(w.x[start+c*d]); v > m {
			m = v
		}
	}
	for c := range w.cols {
		s += math.Exp(float64(w.x[start+c*d]) - m)
	}
	return m, s, start
}

func naivePlanarCE(w *workspace) {
	for i, t := range w.targets {
		m, s, start := w.planarSoftmax(i)
		w.out[i] = float32(m + math.Log(s) - float64(w.x[start+t*w.unit()]))
	}
}

func naivePlanarCEGrad(w *workspace) {
	n := float64(w.rows)
	d := w.unit()
	w.loss = 0
	for i, t := range w.targets {
		m, s, start := w.planarSoftmax(i)
		l := m + math.Log(s)
		for c := range w.cols {
			p := math.Exp(float64(w.x[start+c*d]) - l)
			if c == t {
				p--
			}
			w.y[start+c*d] = float32(p / n)
		}
		w.loss += (l - float64(w.x[start+t*d])) / n
	}
}
