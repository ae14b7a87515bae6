package main

import (
	"math"
	"math/rand/v2"

	"github.com/seed26845165/logits"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

func newMatrix(rows, cols int) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float32, rows*cols)}
}

// A criterion is a loss of the outputs z of a model. Both of its functions
// return the mean over the rows; grad also overwrites z with the gradient.
type criterion struct {
	name string
	loss func(z blas32.General, labels []int) (float64, error)
	grad func(z blas32.General, labels []int) (float64, error)
}

// matrix returns g as package logits sees it; the elements are shared. (It is
// not a conversion since the fields of a blas32.General are in another order.)
func matrix(g blas32.General) logits.Matrix[float32] {
	return logits.Matrix[float32]{Rows: g.Rows, Cols: g.Cols, Data: g.Data, Stride: g.Stride}
}

var crossEntropy = criterion{
	name: "cross-entropy",
	loss: func(z blas32.General, labels []int) (float64, error) {
		return logits.CrossEntropy(matrix(z), labels, nil)
	},
	grad: func(z blas32.General, labels []int) (float64, error) {
		x := matrix(z)
		return logits.CrossEntropyGrad(x, x, labels, nil)
	},
}

// squaredError is the MSE of the outputs, taken as they are, against one-hot
// labels. The squares of a row are added up and only the rows averaged, so that
// this loss too is a negative log-likelihood, that of outputs with Gaussian
// noise of variance 1/2, and the prior weighs as much beside it.
var squaredError = criterion{
	name: "MSE",
	loss: func(z blas32.General, labels []int) (float64, error) {
		y, err := oneHot(z, labels)
		if err != nil {
			return 0, err
		}
		sum, err := logits.MSE(matrix(z), y, logits.Sum)
		return sum / float64(z.Rows), err
	},
	grad: func(z blas32.General, labels []int) (float64, error) {
		y, err := oneHot(z, labels)
		if err != nil {
			return 0, err
		}
		x := matrix(z)
		sum, err := logits.MSEGrad(x, x, y, logits.Sum, 1/float32(z.Rows))
		return sum / float64(z.Rows), err
	},
}

// oneHot returns the labels in the shape of z.
func oneHot(z blas32.General, labels []int) (logits.Matrix[float32], error) {
	y := matrix(newMatrix(z.Rows, z.Cols))
	return y, logits.OneHot(y, labels)
}

// A model is a chain of layers with ReLU between them. One layer with
// cross-entropy is multinomial logistic regression.
type model []*layer

// A layer computes y = x w + b.
type layer struct {
	w, dw, vw blas32.General // weights, their gradient, their velocity
	b, db, vb []float32
}

// newModel returns a model whose layers have the given numbers of inputs, and
// of outputs at the end.
func newModel(rng *rand.Rand, sizes ...int) model {
	var m model
	for i, in := range sizes[:len(sizes)-1] {
		out := sizes[i+1]
		l := &layer{
			w: newMatrix(in, out), dw: newMatrix(in, out), vw: newMatrix(in, out),
			b: make([]float32, out), db: make([]float32, out), vb: make([]float32, out),
		}
		// The spread that keeps the size of activations through a ReLU.
		spread := math.Sqrt(2 / float64(in))
		for i := range l.w.Data {
			l.w.Data[i] = float32(rng.NormFloat64() * spread)
		}
		m = append(m, l)
	}
	return m
}

// forward returns x and what each layer makes of it.
func (m model) forward(x blas32.General) []blas32.General {
	values := []blas32.General{x}
	for i, l := range m {
		y := newMatrix(x.Rows, len(l.b))
		for row := range y.Rows {
			copy(y.Data[row*y.Stride:], l.b)
		}
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, x, l.w, 1, y)
		if i < len(m)-1 {
			for j, v := range y.Data {
				y.Data[j] = max(v, 0)
			}
		}
		values = append(values, y)
		x = y
	}
	return values
}

// backward sets the gradients of all weights, given what forward returned and
// the gradient g of the loss with respect to the last of it.
//
// A Gaussian prior on the weights, the negative log of which is
// lambda/2 |w|^2 and a constant, is a term of the loss; its gradient is
// lambda w. The biases have none.
func (m model) backward(values []blas32.General, g blas32.General, lambda float32) {
	for i := len(m) - 1; i >= 0; i-- {
		l, x := m[i], values[i]
		copy(l.dw.Data, l.w.Data)
		blas32.Gemm(blas.Trans, blas.NoTrans, 1, x, g, lambda, l.dw) // dw = x' g + lambda w
		clear(l.db)
		for row := range g.Rows {
			for j, v := range g.Data[row*g.Stride:][:g.Cols] {
				l.db[j] += v
			}
		}
		if i == 0 {
			break
		}
		dx := newMatrix(x.Rows, x.Cols)
		blas32.Gemm(blas.NoTrans, blas.Trans, 1, g, l.w, 0, dx)
		for j, v := range x.Data {
			if v == 0 { // x came out of a ReLU.
				dx.Data[j] = 0
			}
		}
		g = dx
	}
}

// update takes a step of gradient descent with momentum.
func (m model) update(rate, momentum float32) {
	step := func(w, dw, v []float32) {
		for i := range w {
			v[i] = momentum*v[i] - rate*dw[i]
			w[i] += v[i]
		}
	}
	for _, l := range m {
		step(l.w.Data, l.dw.Data, l.vw.Data)
		step(l.b, l.db, l.vb)
	}
}

// prior returns lambda/2 |w|^2, the negative log of the prior up to a constant.
func (m model) prior(lambda float64) float64 {
	var sum float64
	for _, l := range m {
		for _, w := range l.w.Data {
			sum += float64(w) * float64(w)
		}
	}
	return lambda / 2 * sum
}
