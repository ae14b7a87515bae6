package logits_test

import (
	"fmt"
	"math"

	"github.com/seed26845165/logits"
)

// The mean cross-entropy of two rows of three logits, targets 0 and 1.
func ExampleCrossEntropy() {
	x := logits.Dense(2, 3, []float32{-1, -3, 4, -3, 3, -1})
	loss, err := logits.CrossEntropy(x, []int{0, 1}, nil)
	fmt.Printf("%.4f %v\n", loss, err)

	// A row that tells nothing costs log(C).
	uniform, _ := logits.CrossEntropy(logits.Row(make([]float64, 10)), []int{7}, nil)
	fmt.Printf("%.4f = log(10)\n", uniform)
	// Output:
	// 2.5141 <nil>
	// 2.3026 = log(10)
}

// The loss and its gradient in one pass, the gradient in the place of the logits.
func ExampleCrossEntropyGrad() {
	x := logits.Dense(2, 3, []float32{-1, -3, 4, -3, 3, -1})
	loss, _ := logits.CrossEntropyGrad(x, x, []int{0, 1}, nil)
	fmt.Printf("%.4f %.4f\n", loss, x.Data)
	// Output: 2.5141 [-0.4967 0.0005 0.4962 0.0012 -0.0102 0.0090]
}

// NLL of the log-softmax is the cross-entropy.
func ExampleNLL() {
	x := logits.Dense(2, 3, []float32{-1, -3, 4, -3, 3, -1})
	_ = logits.LogSoftmax(x, x)
	loss, _ := logits.NLL(x, []int64{0, 1}, nil)
	fmt.Printf("%.4f\n", loss)
	// Output: 2.5141
}

// The mean squared error against labels goes through their one-hot rows.
func ExampleOneHot() {
	y := logits.Dense(5, 4, make([]float64, 20))
	_ = logits.OneHot(y, []int{2, 1, 1, 3, 2})
	for i := range y.Rows {
		fmt.Println(y.Data[i*y.Stride:][:y.Cols])
	}
	loss, _ := logits.MSE(logits.Dense(5, 4, make([]float64, 20)), y, logits.Mean)
	fmt.Println(loss)
	// Output:
	// [0 0 1 0]
	// [0 1 0 0]
	// [0 1 0 0]
	// [0 0 0 1]
	// [0 0 1 0]
	// 0.25
}

// H(p, q), with 0 log 0 = 0.
func ExampleRowCrossEntropy() {
	p := logits.Dense(2, 3, []float64{1, 0, 0, 0.5, 0.5, 0})
	q := logits.Dense(2, 3, []float64{0.5, 0.5, 0, 0.25, 0.25, 0.5})
	h := make([]float64, 2)
	_ = logits.RowCrossEntropy(h, p, q)
	fmt.Printf("%.4f\n", h)
	// Output: [0.6931 1.3863]
}

// The fused loss of each row.
func ExampleLogSoftmaxNLL() {
	x := logits.Dense(2, 3, []float32{-1, -3, 4, -3, 3, -1})
	loss := make([]float32, 2)
	if err := logits.LogSoftmaxNLL(loss, x, []int{0, 1}); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%.4f\n", (loss[0]+loss[1])/2)
	// Output: 2.5141
}

// A confident row keeps a small loss: float32 arithmetic that forms 1 + e^-40 returns 0.
func ExampleLogSoftmaxNLL_confident() {
	loss := make([]float32, 1)
	_ = logits.LogSoftmaxNLL(loss, logits.Row([]float32{40, 0}), []int{0})
	fmt.Printf("%.5g\n", loss[0])
	// Output: 4.2484e-18
}

// The probabilities of the lecture's two rows.
func ExampleSoftmax_table() {
	x := logits.Dense(2, 3, []float32{-1, -3, 4, -3, 3, -1})
	_ = logits.Softmax(x, x)
	for i := range x.Rows {
		fmt.Printf("%.4f\n", x.Data[i*x.Stride:][:x.Cols])
	}
	// Output:
	// [0.0067 0.0009 0.9924]
	// [0.0024 0.9796 0.0179]
}

// Softmax in place, with zeros instead of NaN in rows that are wholly masked.
func ExampleSoftmax() {
	inf := float32(math.Inf(-1))
	x := logits.Dense(3, 3, []float32{
		1, 2, 3,
		0, inf, 0,
		inf, inf, inf,
	})
	max := make([]float32, x.Rows)
	_ = logits.RowMax(max, x)
	_ = logits.Softmax(x, x)
	for i, m := range max {
		row := x.Data[i*x.Stride:][:x.Cols]
		if m == inf {
			clear(row)
		}
		fmt.Printf("%.4f\n", row)
	}
	// Output:
	// [0.0900 0.2447 0.6652]
	// [0.5000 0.0000 0.5000]
	// [0.0000 0.0000 0.0000]
}

// The log-probability of one token is its logit minus the log-sum-exp.
func ExampleRowLogSumExp() {
	x := []float32{2, 1, 0.5, -1}
	lse := make([]float32, 1)
	_ = logits.RowLogSumExp(lse, logits.Row(x))
	fmt.Printf("%.4f\n", x[1]-lse[0])
	// Output: -1.4952
}

// A view of the first two of four columns.
func ExampleMatrix() {
	x := logits.Matrix[float64]{Rows: 2, Cols: 2, Stride: 4, Data: []float64{
		1, 5, 9, 9,
		7, 3, 9, 9,
	}}
	best := make([]int, 2)
	_ = logits.RowArgMax(best, x)
	fmt.Println(best)
	// Output: [1 0]
}

// Per-pixel class probabilities of one image of two pixels and two classes.
func ExamplePlanar() {
	x := logits.Planar[float32]{N: 1, C: 2, D: 2, Data: []float32{
		0, 1, // class 0
		0, 0, // class 1
	}}
	_ = logits.Softmax(x, x)
	fmt.Printf("%.3f\n", x.Data)
	// Output: [0.500 0.731 0.500 0.269]
}

// A bad target is an error that says where, and nothing is written.
func ExampleLogSoftmaxNLL_badTarget() {
	err := logits.LogSoftmaxNLL(make([]float32, 1), logits.Row([]float32{1, 2, 3}), []int32{3})
	fmt.Println(err)
	// Output: logits: LogSoftmaxNLL: targets[0] is 3, want a class in [0, 3)
}
