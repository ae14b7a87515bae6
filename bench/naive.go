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
