package logits

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestTrail compares what goes past the caches, where there is much of it, with
// the same rows one at a time.
func TestTrail(t *testing.T) {
	onPaths(t, testTrail[float32])
	t.Run("float64", testTrail[float64])
}

func testTrail[T Float](t *testing.T) {
	shapes := [][2]int{{700, 1501}, {17, 33001}, {33, 33001}, {11, 100003}}
	if lighter() {
		shapes = shapes[:1]
	}
	for _, shape := range shapes {
		rows, cols := shape[0], shape[1]
		rng := rand.New(rand.NewPCG(1, uint64(rows)))
		x := newMatrix[T](rows, cols, 3, 1)
		targets := make([]int, rows)
		for i := range rows {
			row := x.row(i)
			for j := range row {
				row[j] = T(8 * rng.Float32())
			}
			targets[i] = rng.IntN(cols)
			switch i % 11 {
			case 1:
				targets[i] = -100
			case 2: // confident
				row[targets[i]] = 60
			case 3: // with an ignored NaN
				targets[i] = -100
				row[5] = T(math.NaN())
			case 4:
				row[cols-1] = T(math.Inf(-1))
			case 5:
				row[7] = T(math.Inf(1))
			}
		}
		weight := make([]T, cols)
		for i := range weight {
			weight[i] = T(rng.IntN(3))
		}
		type result struct {
			name string
			run  func(dst, x Matrix[T], loss []T, targets []int) error
		}
		results := []result{{"Softmax", func(dst, x Matrix[T], loss []T, targets []int) error { return Softmax(dst, x) }}}
		for _, opt := range []Options[T]{{}, {Weight: weight}, {LabelSmoothing: 0.1}, {Weight: weight, LabelSmoothing: 0.1}} {
			opt.Reduction = Sum
			results = append(results, result{fmt.Sprintf("CrossEntropyGrad, smoothing %g, %d weights", opt.LabelSmoothing, len(opt.Weight)),
				func(dst, x Matrix[T], loss []T, targets []int) error {
					if err := CrossEntropyRows(loss, x, targets, &opt); err != nil {
						return err
					}
					_, err := CrossEntropyGrad(dst, x, targets, &opt)
					return err
				}})
		}
		for _, r := range results {
			loss, want := make([]T, rows), newMatrix[T](rows, cols, 2, 0)
			useWorkers(t, 1)
			for i := range rows {
				must(t, r.run(want.slice(i, i+1), x.slice(i, i+1), loss[i:i+1], targets[i:i+1]))
			}
			for _, w := range []int{1, 3} {
				useWorkers(t, w)
				got, gotLoss := newMatrix[T](rows, cols, 2, 0), make([]T, rows)
				must(t, r.run(got, x, gotLoss, targets))
				var to, from view[T]
				viewOf(&to, &got)
				viewOf(&from, &x)
				if !trails(&to, &from) {
					t.Fatalf("%d x %d is too small", rows, cols)
				}
				for i, v := range want.Data {
					if g := got.Data[i]; !sameBits(g, v) {
						t.Fatalf("%s of %d x %d with %d goroutines: row %d, column %d: %v, by itself %v", r.name, rows, cols, w, i/want.Stride, i%want.Stride, g, v)
					}
				}
				for i, v := range loss {
					if g := gotLoss[i]; !sameBits(g, v) {
						t.Fatalf("%s of %d x %d with %d goroutines: the loss of row %d is %v, by itself %v", r.name, rows, cols, w, i, g, v)
					}
				}
			}
		}
	}
}

// TestTrailLoss compares the losses beside large gradients with those in place,
// which leave no trail.
func TestTrailLoss(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(2, 2))
		x, grad := newMatrix[float32](33, 33001, 0, 0), newMatrix[float32](33, 33001, 0, 0)
		for i := range x.Data {
			x.Data[i] = 8 * rng.Float32()
		}
		targets := make([]int, x.Rows)
		weight := make([]float32, x.Cols)
		for i := range weight {
			weight[i] = float32(rng.IntN(3))
		}
		for _, opt := range []Options[float32]{{}, {LabelSmoothing: 0.1}, {LabelSmoothing: 0.1, Weight: weight}} {
			copy(grad.Data, x.Data)
			want, err := CrossEntropyGrad(grad, grad, targets, &opt)
			must(t, err)
			for _, w := range []int{1, 3} {
				useWorkers(t, w)
				got, err := CrossEntropyGrad(grad, x, targets, &opt)
				must(t, err)
				if got != want {
					t.Errorf("smoothing %g, %d weights, %d goroutines: the loss is %v, in place %v", opt.LabelSmoothing, len(opt.Weight), w, got, want)
				}
			}
		}
	})
}
