package logits

import (
	"math"
	"slices"
	"testing"
)

// Planes of more than a span have the losses and gradients of the same rows in
// a Matrix, whatever the options.
func TestPlanarSpans(t *testing.T) {
	t.Run("float64", testPlanarSpans[float64])
	onPaths(t, testPlanarSpans[float32])
}

func testPlanarSpans[T Float](t *testing.T) {
	const n, d = 2, spanSize + 44
	rng := newRand(31)
	for _, c := range []int{2, 21, chunkSize/spanSize + 9} {
		x, start := Dense(n*d, c, make([]T, n*d*c)), Dense(n*d, c, make([]T, n*d*c))
		targets, up, weight := make([]int, n*d), make([]T, n*d), make([]T, c)
		for i := range x.Data {
			x.Data[i], start.Data[i] = T(4*rng.NormFloat64()), T(rng.NormFloat64())
		}
		for i := range weight {
			weight[i] = T(rng.Float64())
		}
		for i := range targets {
			targets[i], up[i] = rng.IntN(c), T(rng.NormFloat64())
			switch i % 7 {
			case 0: // a confident row
				x.row(i)[targets[i]] += 50
			case 1:
				targets[i] = -100
				x.row(i)[rng.IntN(c)] = T(math.NaN())
			}
		}
		planes := func(m Matrix[T]) Planar[T] {
			p := Planar[T]{n, c, d, make([]T, len(m.Data))}
			for i := range m.Rows {
				for j, v := range m.row(i) {
					p.Data[p.at(i, j)] = v
				}
			}
			return p
		}
		for i, o := range []Options[T]{
			{},
			{Weight: weight, Upstream: up},
			{LabelSmoothing: 0.1},
			{LabelSmoothing: 1, Weight: weight, Upstream: up[:1]},
			{Accumulate: true},
			{LabelSmoothing: 0.3, Weight: weight, Upstream: up, Accumulate: true},
		} {
			o.Reduction = Sum
			want, got, p := Dense(n*d, c, slices.Clone(start.Data)), planes(start), planes(x)
			wantLoss, err := CrossEntropyGrad(want, x, targets, &o)
			must(t, err)
			check := func(what string, loss float64, grad *Planar[T], err error) {
				t.Helper()
				must(t, err)
				if !(math.Abs(loss-wantLoss) <= 1e-6*math.Abs(wantLoss)) {
					t.Errorf("%d classes, options %d, %s: loss %v, want %v", c, i, what, loss, wantLoss)
				}
				for i, v := range grad.Data {
					row, class := i/(c*d)*d+i%d, i/d%c
					w, tol := float64(want.row(row)[class]), 4e-6
					if row%7 == 0 && class == targets[row] && o.LabelSmoothing == 0 && !o.Accumulate {
						tol = 1e-5 * math.Abs(w) // it keeps its digits
					}
					if !(math.Abs(float64(v)-w) <= tol) {
						t.Fatalf("%d classes, %s, %+v: class %d of row %d is %v, want %v", c, what, o, class, row, v, w)
					}
				}
			}
			loss, err := CrossEntropyGrad(got, p, targets, &o)
			check("apart", loss, &got, err)
			loss, err = CrossEntropy(p, targets, &o)
			check("without gradient", loss, &got, err)
			if !o.Accumulate {
				loss, err = CrossEntropyGrad(p, p, targets, &o)
				check("in place", loss, &p, err)
			}
		}
	}
}
