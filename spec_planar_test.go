package logits

import (
	"math"
	"testing"
)

// specPlanar does the classes of one position: what planarSumExp finds, and the
// probabilities times scale if dst is not nil.
func specPlanar(dst, x []float32, scale float32, poly []float32) (m, high, low, ones float32) {
	m = -math.MaxFloat32
	for _, v := range x {
		m = max(m, v)
	}
	e := make([]float32, len(x))
	for first := 0; first < len(x); first += 64 {
		var sum float32
		end := min(first+64, len(x))
		for i := first; i < end; i += 2 {
			var pair [2]float32
			for k := range pair[:min(2, end-i)] {
				v := specExpMinus(x[i+k]-m, poly)
				e[i+k] = v
				if v == 1 {
					ones++
					v = 0
				}
				pair[k] = v
			}
			sum += pair[0] + pair[1]
		}
		// The rounding error of the sum goes to low.
		s := high + sum
		b := s - high
		low += (sum - b) + (high - (s - b))
		high = s
	}
	if dst != nil {
		f := scale / ((high + ones) + low)
		for i := range dst {
			dst[i] = e[i] * f
		}
	}
	return m, high, low, ones
}

func init() {
	specTable.planarSumExp = func(max, sum, low, ones, x, scratch *float32, n, classes, stride int) {
		specPlanarRows(nil, nil, max, sum, low, ones, x, n, classes, stride, specExp5)
	}
	specTable.planarSoftmax = func(dst, scale, max, sum, low, ones, x, scratch *float32, n, classes, stride int) {
		specPlanarRows(dst, scale, max, sum, low, ones, x, n, classes, stride, specExp6)
	}
	specTable.planarShift = func(dst, x, max, log *float32, n, classes, stride int) {
		for c := range classes {
			for i, v := range at(x, c*stride, n) {
				at(dst, c*stride+i, 1)[0] = float32(v-at(max, i, 1)[0]) - at(log, i, 1)[0]
			}
		}
	}
}

func specPlanarRows(dst, scale, max, sum, low, ones, x *float32, n, classes, stride int, poly []float32) {
	column, out, f := make([]float32, classes), []float32(nil), float32(0)
	for i := range n {
		for c := range column {
			column[c] = at(x, c*stride+i, 1)[0]
		}
		if dst != nil {
			out, f = make([]float32, classes), at(scale, i, 1)[0]
		}
		at(max, i, 1)[0], at(sum, i, 1)[0], at(low, i, 1)[0], at(ones, i, 1)[0] = specPlanar(out, column, f, poly)
		for c, v := range out {
			at(dst, c*stride+i, 1)[0] = v
		}
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
			for _, kind := range rowKinds {
				x := Dense(2*d, c, make([]float32, 2*d*c))
				for i := range x.Rows {
					kind.fill(rng, x.row(i))
				}
				p := Planar[float32]{2, c, d, make([]float32, len(x.Data))}
				targets := make([]int, 2*d)
				for i := range targets {
					targets[i] = rng.IntN(c)
					for j, v := range x.row(i) {
						p.Data[(i/d*c+j)*d+i%d] = v
					}
				}
				run := func(k *kernels[float32]) (out [4][]float32) {
					defer func(before *kernels[float32]) { active = before }(active)
					active = k
					for i := range 3 {
						out[i] = make([]float32, len(p.Data))
					}
					out[3] = make([]float32, len(targets))
					must(t, Softmax(Planar[float32]{2, c, d, out[0]}, p))
					must(t, LogSoftmax(Planar[float32]{2, c, d, out[1]}, p))
					_, err := CrossEntropyGrad(Planar[float32]{2, c, d, out[2]}, p, targets, nil)
					must(t, err)
					must(t, CrossEntropyRows(out[3], p, targets, nil))
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
