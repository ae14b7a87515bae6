package logits

import (
	"math"
	"slices"
	"testing"
)

// TestFewCrossEntropy compares the shortcuts of calls without options with what
// options that ask for nothing lead to: bits, errors and what is not written to.
func TestFewCrossEntropy(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		rng := newRand(9)
		for i := range 20000 {
			n, c := rng.IntN(fewRows+2), rng.IntN(shortCols+2)
			switch {
			case i%200 == 0:
				n, c = rng.IntN(300), rng.IntN(260)
			case i%50 == 0:
				n, c = rng.IntN(3), rng.IntN(3*blockSize)
			case i%10 == 0:
				c = rng.IntN(260)
			}
			x := newMatrix[float32](n, c, rng.IntN(3), 0)
			for i := range x.Data {
				x.Data[i] = 10 * float32(rng.NormFloat64())
				if rng.IntN(10+c*c/20) == 0 {
					x.Data[i] = []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 100}[rng.IntN(4)]
				}
			}
			targets := make([]int, n)
			for i := range targets {
				targets[i] = rng.IntN(c+1) - rng.IntN(20)/19 // a few are none
				if rng.IntN(8) == 0 {
					targets[i] = -100
				}
			}
			ones := make([]float32, n)
			fill(ones, 1)
			rows, wants := slices.Repeat([]float32{7}, n), slices.Repeat([]float32{7}, n)
			err, want := CrossEntropyRows(rows, x, targets, nil), CrossEntropyRows(wants, x, targets, &Options[float32]{})
			if (err == nil) != (want == nil) || err != nil && err.Error() != want.Error() || !slices.EqualFunc(rows, wants, sameBits[float32]) {
				t.Fatalf("the losses of %v, %v are %v, %v, with options %v, %v", x, targets, rows, err, wants, want)
			}
			var results [3][]float32
			var losses, alone [3]float64
			var errs [3]error
			apart := rng.IntN(2) == 0
			for i, opt := range []*Options[float32]{nil, {}, {Upstream: ones}} {
				in := x
				in.Data = slices.Clone(x.Data)
				grad := in
				if apart {
					grad = newMatrix[float32](n, c, 2, 0)
				}
				losses[i], errs[i] = CrossEntropyGrad(grad, in, targets, opt)
				results[i] = grad.Data
				var err error
				alone[i], err = CrossEntropy(x, targets, opt)
				if c <= shortCols && !sameBits(alone[i], losses[i]) || (err == nil) != (errs[i] == nil) {
					t.Fatalf("the loss of %v, %v is %v, %v, with the gradient %v, %v", x, targets, alone[i], err, losses[i], errs[i])
				}
			}
			for i := range losses[1:] {
				if !sameBits(alone[i], alone[i+1]) || !sameBits(losses[i], losses[i+1]) || !slices.EqualFunc(results[i], results[i+1], sameBits[float32]) {
					t.Fatalf("%v, %v: %v and %v, with options %v and %v", x, targets, losses[i], results[i], losses[i+1], results[i+1])
				}
				if (errs[i] == nil) != (errs[i+1] == nil) || errs[i] != nil && errs[i].Error() != errs[i+1].Error() {
					t.Fatalf("%v, %v: error %v, with options %v", x, targets, errs[i], errs[i+1])
				}
			}
		}
	})
}
