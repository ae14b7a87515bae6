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
	for _, c := range []int{2, 21, cacheSize/spanSize + 9} {
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
		planes := func(m Matrix[T]) Planar[T] { return planesOf(m, n, d) }
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

// planesOf returns the rows of m as n samples of d positions.
func planesOf[T Float](m Matrix[T], n, d int) Planar[T] {
	p := Planar[T]{n, m.Cols, d, make([]T, m.Rows*m.Cols)}
	for i := range m.Rows {
		for j, v := range m.row(i) {
			p.Data[p.at(i, j)] = v
		}
	}
	return p
}

// The same for class probabilities, among them those of masked classes.
func TestPlanarProbs(t *testing.T) {
	t.Run("float64", testPlanarProbs[float64])
	onPaths(t, testPlanarProbs[float32])
}

func testPlanarProbs[T Float](t *testing.T) {
	const n, d = 2, spanSize + 44
	rng := newRand(32)
	for _, c := range []int{2, 21, cacheSize/spanSize + 9} {
		x, q, start := Dense(n*d, c, make([]T, n*d*c)), Dense(n*d, c, make([]T, n*d*c)), Dense(n*d, c, make([]T, n*d*c))
		up, weight := make([]T, n*d), make([]T, c)
		for i := range x.Data {
			x.Data[i], q.Data[i], start.Data[i] = T(4*rng.NormFloat64()), T(rng.Float64()/float64(c)), T(rng.NormFloat64())
		}
		for i := range weight {
			weight[i] = T(rng.Float64())
		}
		for i := range up {
			up[i] = T(rng.NormFloat64())
			x, q, class := x.row(i), q.row(i), rng.IntN(c)
			switch i % 11 {
			case 0: // a masked class
				x[class], q[class] = T(math.Inf(-1)), 0
			case 1: // one that has a probability
				x[class] = T(math.Inf(-1))
			case 2: // a confident row
				clear(q)
				q[class] = 1
				x[class] += 50
			case 3:
				clear(q)
			case 4:
				x[class] = T(math.NaN())
				q[class] = 0
			case 5:
				x[class] = T(math.Inf(1))
			case 6:
				fill(x, T(math.Inf(-1)))
			}
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
			want, got, p, pq := Dense(n*d, c, slices.Clone(start.Data)), planesOf(start, n, d), planesOf(x, n, d), planesOf(q, n, d)
			loss, wantLoss := make([]T, n*d), make([]T, n*d)
			must(t, CrossEntropyProbsRows(wantLoss, x, q, &o))
			must(t, CrossEntropyProbsRows(loss, p, pq, &o))
			for row, l := range loss {
				// A row has its x - max rounded, a position has not.
				rounding := math.Abs(float64(wantLoss[row])) * float64(slices.Max(x.row(row))-slices.Min(x.row(row))) * 0x1p-24
				if w := wantLoss[row]; !alike(l, w, rounding) {
					t.Fatalf("%d classes, options %d: the loss of row %d is %v, want %v", c, i, row, l, w)
				}
			}
			check := func(what string, grad Planar[T]) {
				t.Helper()
				for i := range want.Rows {
					for j, w := range want.row(i) {
						if g := grad.Data[grad.at(i, j)]; !alike(g, w, 1e-6) {
							t.Fatalf("%d classes, %s, %+v: class %d of row %d is %v, want %v", c, what, o, j, i, g, w)
						}
					}
				}
			}
			_, err := CrossEntropyProbsGrad(want, x, q, &o)
			must(t, err)
			_, err = CrossEntropyProbsGrad(got, p, pq, &o)
			must(t, err)
			check("apart", got)
			if !o.Accumulate {
				_, err = CrossEntropyProbsGrad(p, p, pq, &o)
				must(t, err)
				check("in place", p)
			}
		}
	}
}

// TestPlanarCrowded compares losses of what is copied with those of the same positions
// further apart: the bits are the same.
func TestPlanarCrowded(t *testing.T) { onPaths(t, testPlanarCrowded[float32]) }

func testPlanarCrowded[T Float](t *testing.T) {
	const n, d, c = 1, 1 << 13, 1<<7 + 1
	rng := newRand(33)
	x, far := Planar[T]{n, c, d, make([]T, n*c*d)}, Planar[T]{n, c, d + 16, make([]T, n*c*(d+16))}
	for i := range x.Data {
		x.Data[i] = T(4 * rng.NormFloat64())
		far.Data[i/d*(d+16)+i%d] = x.Data[i]
	}
	targets, weight := make([]int, d+16), make([]T, c)
	for i := range targets {
		targets[i] = rng.IntN(c)
	}
	for i := range weight {
		weight[i] = T(rng.Float64())
	}
	var a, b view[T]
	viewOf(&a, &x)
	viewOf(&b, &far)
	if !a.crowded() || b.crowded() {
		t.Fatalf("crowded: %v, %v", a.crowded(), b.crowded())
	}
	for _, o := range []Options[T]{{Reduction: Sum}, {Reduction: Sum, LabelSmoothing: 0.1, Weight: weight}} {
		got, want := make([]T, d), make([]T, d+16)
		must(t, CrossEntropyRows(got, x, targets[:d], &o))
		must(t, CrossEntropyRows(want, far, targets, &o))
		for i, l := range got {
			if !sameBits(l, want[i]) {
				t.Fatalf("%+v: loss %d is %v, want %v", o, i, l, want[i])
			}
		}
	}
}

// TestPlanarLarge compares what goes past the caches, where there is much of it, or by way
// of a copy, where many lines have the same place in them, with the same in place.
func TestPlanarLarge(t *testing.T) {
	onPaths(t, testPlanarLarge[float32])
	t.Run("float64", testPlanarLarge[float64])
}

func testPlanarLarge[T Float](t *testing.T) {
	shapes := [][2]int{{5, 2*streamSize/10 + 30}, {copyClasses / 3, 6400}, {copyClasses, 2*streamSize/copyClasses/2 + 16}, {copyClasses + 1, 2200}}
	if lighter() || !is32[T]() || Path() == "generic" {
		shapes = shapes[:1]
	}
	shapes = append(shapes, [2]int{44, 3 << 10})
	for _, s := range shapes {
		const n = 2
		c, d := s[0], s[1]
		rng := newRand(uint64(c))
		x, q := Planar[T]{n, c, d, make([]T, n*c*d)}, Planar[T]{n, c, d, make([]T, n*c*d)}
		for i := range x.Data {
			x.Data[i], q.Data[i] = T(8*rng.Float32()), T(rng.Float32())/T(c)
		}
		targets := make([]int, n*d)
		for i := range targets {
			targets[i] = rng.IntN(c)
			switch i % 37 {
			case 0: // a confident row
				x.Data[x.at(i, targets[i])] += 50
			case 1:
				targets[i] = -100
				x.Data[x.at(i, rng.IntN(c))] = T(math.NaN())
			case 2:
				x.Data[x.at(i, rng.IntN(c))] = T(math.Inf(-1))
			}
		}
		opt := Options[T]{Reduction: Sum, LabelSmoothing: 0.1}
		for name, f := range map[string]func(dst, x Planar[T]) (float64, error){
			"Softmax":                func(dst, x Planar[T]) (float64, error) { return 0, Softmax(dst, x) },
			"LogSoftmax":             func(dst, x Planar[T]) (float64, error) { return 0, LogSoftmax(dst, x) },
			"CrossEntropyGrad":       func(dst, x Planar[T]) (float64, error) { return CrossEntropyGrad(dst, x, targets, nil) },
			"CrossEntropyGrad, both": func(dst, x Planar[T]) (float64, error) { return CrossEntropyGrad(dst, x, targets, &opt) },
			"CrossEntropyProbsGrad":  func(dst, x Planar[T]) (float64, error) { return CrossEntropyProbsGrad(dst, x, q, &opt) },
		} {
			want := Planar[T]{n, c, d, slices.Clone(x.Data)}
			useWorkers(t, 1)
			wantLoss, err := f(want, want)
			must(t, err)
			for _, off := range []int{0, 3} {
				for _, w := range []int{1, 3} {
					useWorkers(t, w)
					got := Planar[T]{n, c, d, make([]T, off+n*c*d)[off:]}
					var to, from view[T]
					viewOf(&to, &got)
					viewOf(&from, &x)
					if to.viaCopy(&from, false) != (c <= copyClasses) {
						t.Fatalf("%d x %d x %d is too small", n, c, d)
					}
					loss, err := f(got, x)
					must(t, err)
					if !sameBits(loss, wantLoss) {
						t.Errorf("%s, %s of %d x %d x %d, %d goroutines: loss %v, in place %v", Path(), name, n, c, d, w, loss, wantLoss)
					}
					for i, v := range want.Data {
						if g := got.Data[i]; !sameBits(g, v) {
							t.Fatalf("%s, %s of %d x %d x %d, %d goroutines, %d elements into a cache line: element %d is %v, in place %v", Path(), name, n, c, d, w, off, i, g, v)
						}
					}
				}
			}
		}
	}
}
