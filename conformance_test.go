package logits

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The conformance data holds more than this API does so far.
var (
	// laterOps are left out until there are functions for them.
	laterOps = []string{
		"nll_loss", "multi_margin_loss", "mse_loss", "l1_loss", // torch.json
		"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss", // onnx.json
	}
	// neverNamed are cases of something that the API does not mean to have.
	neverNamed = "select_last_index"
)

// laterCase tells why a cross_entropy case is left out: so far there is only
// the loss of every row, by class.
func laterCase(c *torchCase) string {
	switch {
	case c.Args.Reduction != "none":
		return "reduction"
	case c.Args.LabelSmoothing != 0:
		return "label smoothing"
	case c.Weight != nil:
		return "weight"
	case c.Target.Dtype != "int64":
		return "probabilities"
	}
	ignored := -100
	if c.Args.IgnoreIndex != nil {
		ignored = *c.Args.IgnoreIndex
	}
	if slices.Contains(c.Target.Data, number(ignored)) {
		return "ignored target"
	}
	return ""
}

// A number may be written as "NaN", "Infinity" or "-Infinity".
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	*n = number(f)
	return err
}

type tensor struct {
	Dtype string
	Shape []int
	Data  []number
}

// around returns the sizes before, of, and after an axis.
func (x *tensor) around(axis int) (n, c, d int) {
	n, d = 1, 1
	for _, s := range x.Shape[:axis] {
		n *= s
	}
	for _, s := range x.Shape[axis+1:] {
		d *= s
	}
	return n, x.Shape[axis], d
}

// as converts the data, which has the shortest decimals of its own type.
func as[T Float](in *tensor) []T {
	x := make([]T, len(in.Data))
	for i, v := range in.Data {
		if in.Dtype == "float32" {
			v = number(float32(v))
		}
		x[i] = T(v)
	}
	return x
}

// rowsOf returns a matrix with the rows of x along the axis in the middle.
func rowsOf[T Float](x []T, n, c, d int) Matrix[T] {
	m := Dense(n*d, c, make([]T, len(x)))
	for i := range n * d {
		for j := range c {
			m.Data[i*c+j] = x[(i/max(d, 1)*c+j)*d+i%max(d, 1)]
		}
	}
	return m
}

type torchCase struct {
	Name string
	Op   string
	Args struct {
		Reduction      string
		IgnoreIndex    *int   `json:"ignore_index"`
		LabelSmoothing number `json:"label_smoothing"`
		Dim            int
	}
	Tags        []string
	Input       tensor
	Target      *tensor
	Weight      *tensor
	GradOutput  *tensor `json:"grad_output"`
	Output      tensor
	GradInput   *tensor `json:"grad_input"`
	OutputScale *tensor `json:"output_scale"`
	GradScale   *tensor `json:"grad_scale"`
	ExactDiff   bool    `json:"exact_diff"`
	Atol        float64
	Error       string
}

type onnxCase struct {
	Name   string
	Op     string
	Opset  int
	Attrs  map[string]json.RawMessage
	Inputs []struct {
		Name string
		tensor
	}
	Outputs []struct {
		Name string
		tensor
	}
}

func readCases[C any](t *testing.T, name string) []C {
	f, err := os.Open("testdata/" + name)
	must(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(t, err)
	var file struct {
		Format int
		Cases  []C
	}
	must(t, json.NewDecoder(z).Decode(&file))
	if file.Format != 1 || len(file.Cases) == 0 {
		t.Fatalf("%s: format %d, %d cases", name, file.Format, len(file.Cases))
	}
	return file.Cases
}

// A tally counts the cases that ran, per operation.
type tally struct {
	ran, left map[string]int
}

func newTally() tally { return tally{map[string]int{}, map[string]int{}} }

func (c tally) log(t *testing.T) {
	t.Logf("ran %v, left out %v", c.ran, c.left)
}

// compareTorch applies the comparison rule of the data's README, or one of
// 1e-12 for float64.
func compareTorch[T Float](t *testing.T, c *torchCase, what string, got []T, want *tensor, scale *tensor) {
	t.Helper()
	if len(got) != len(want.Data) {
		t.Errorf("%s: %s has %d elements, want %d", c.Name, what, len(got), len(want.Data))
		return
	}
	for i, v := range got {
		got, ref := float64(v), float64(want.Data[i])
		size := math.Abs(ref)
		if scale != nil {
			size = max(size, float64(scale.Data[i]))
		}
		rtol, atol := 1e-12, 0.0
		if is32[T]() {
			rtol = 3e-7 + 6e-8*max(0, -math.Log(math.Abs(ref)))
			if c.ExactDiff {
				rtol = min(rtol, 1e-6)
			}
			atol = c.Atol
			if math.Abs(ref) < 1.2e-38 {
				rtol, atol = 3e-7, atol+1.2e-38
			}
		}
		switch w := float64(T(ref)); {
		case w != w || math.IsInf(w, 0):
			if sameBits(v, T(ref)) {
				continue
			}
		case math.Abs(got-ref) <= rtol*size+atol:
			continue
		case math.IsInf(got, int(math.Copysign(1, ref))) && is32[T]() && slices.Contains(c.Tags, "float32-overflow-ok"):
			continue
		}
		t.Errorf("%s: %s: element %d is %v, want %v (tolerance %.2g * %.2g + %.2g)", c.Name, what, i, got, ref, rtol, size, atol)
		return
	}
}

func TestConformanceTorch(t *testing.T) {
	cases := readCases[torchCase](t, "torch.json.gz")
	t.Run("float64", func(t *testing.T) { runTorch[float64](t, cases) })
	onPaths(t, func(t *testing.T) { runTorch[float32](t, cases) })
}

func runTorch[T Float](t *testing.T, cases []torchCase) {
	count := newTally()
	for i := range cases {
		c := &cases[i]
		switch c.Op {
		case "softmax", "log_softmax":
			if c.Error == "dim-out-of-range" {
				count.left[c.Op+", no dim here"]++
				continue
			}
			count.ran[c.Op]++
			torchSoftmax[T](t, c)
		case "cross_entropy":
			if why := laterCase(c); why != "" {
				count.left[c.Op+", "+why]++
				continue
			}
			count.ran[c.Op]++
			torchLoss[T](t, c)
		default:
			if !slices.Contains(laterOps, c.Op) {
				t.Errorf("%s: unknown operation %s", c.Name, c.Op)
			}
			count.left[c.Op]++
		}
	}
	count.log(t)
	for op, want := range map[string]int{"softmax": 28, "log_softmax": 28, "cross_entropy": 40} {
		if count.ran[op] < want {
			t.Errorf("%d cases of %s, want at least %d", count.ran[op], op, want)
		}
	}
}

func torchSoftmax[T Float](t *testing.T, c *torchCase) {
	t.Helper()
	axis := c.Args.Dim
	if axis < 0 {
		axis += len(c.Input.Shape)
	}
	n, k, d := c.Input.around(axis)
	forward, grad := Softmax[T, Planar[T]], SoftmaxGrad[T, Planar[T]]
	matrix, matrixGrad := Softmax[T, Matrix[T]], SoftmaxGrad[T, Matrix[T]]
	if c.Op == "log_softmax" {
		forward, grad = LogSoftmax[T, Planar[T]], LogSoftmaxGrad[T, Planar[T]]
		matrix, matrixGrad = LogSoftmax[T, Matrix[T]], LogSoftmaxGrad[T, Matrix[T]]
	}
	x, y := Planar[T]{n, k, d, as[T](&c.Input)}, Planar[T]{n, k, d, make([]T, len(c.Input.Data))}
	must(t, forward(y, x))
	compareTorch(t, c, "output", y.Data, &c.Output, c.OutputScale)

	dy, dx := Planar[T]{n, k, d, make([]T, len(x.Data))}, Planar[T]{n, k, d, make([]T, len(x.Data))}
	fill(dy.Data, 1)
	if c.GradOutput != nil {
		dy.Data = as[T](c.GradOutput)
	}
	must(t, grad(dx, y, dy))
	compareTorch(t, c, "gradient", dx.Data, c.GradInput, c.GradScale)

	// The same as rows.
	m := rowsOf(x.Data, n, k, d)
	must(t, matrix(m, m))
	if !slices.EqualFunc(m.Data, rowsOf(y.Data, n, k, d).Data, sameBits) {
		t.Errorf("%s: Matrix and Planar differ", c.Name)
	}
	must(t, matrixGrad(m, m, rowsOf(dy.Data, n, k, d)))
	if !slices.EqualFunc(m.Data, rowsOf(dx.Data, n, k, d).Data, sameBits) {
		t.Errorf("%s: the gradients of Matrix and Planar differ", c.Name)
	}
}

func torchLoss[T Float](t *testing.T, c *torchCase) {
	t.Helper()
	axis := min(1, len(c.Input.Shape)-1)
	n, k, d := c.Input.around(axis)
	targets := make([]int64, len(c.Target.Data))
	for i, v := range c.Target.Data {
		targets[i] = int64(v)
	}
	loss := make([]T, len(targets))
	err := LogSoftmaxNLL(loss, rowsOf(as[T](&c.Input), n, k, d), targets)
	if (c.Error != "") != (err != nil) {
		t.Errorf("%s: error %v, want %q", c.Name, err, c.Error)
	}
	if err == nil {
		compareTorch(t, c, "loss", loss, &c.Output, c.OutputScale)
	}
}

func TestConformanceONNX(t *testing.T) {
	cases := readCases[onnxCase](t, "onnx.json.gz")
	t.Run("float64", func(t *testing.T) { runONNX[float64](t, cases) })
	onPaths(t, func(t *testing.T) { runONNX[float32](t, cases) })
}

func runONNX[T Float](t *testing.T, cases []onnxCase) {
	count := newTally()
	for i := range cases {
		c := &cases[i]
		switch {
		case slices.Contains(laterOps, c.Op):
			count.left[c.Op]++
		case strings.Contains(c.Name, neverNamed):
			count.left[c.Op+", "+neverNamed]++
		default:
			count.ran[c.Op]++
			runONNXCase[T](t, c)
		}
	}
	count.log(t)
	for op, want := range map[string]int{"Softmax": 4, "LogSoftmax": 4, "Exp": 1, "ReduceMax": 5, "ReduceSum": 6, "ReduceLogSumExp": 5, "ArgMax": 5} {
		if count.ran[op] != want {
			t.Errorf("%d cases of %s, want %d", count.ran[op], op, want)
		}
	}
}

func runONNXCase[T Float](t *testing.T, c *onnxCase) {
	t.Helper()
	in, want := &c.Inputs[0].tensor, &c.Outputs[0].tensor
	axis, ok := onnxAxis(c)
	if !ok {
		t.Errorf("%s: more than one axis", c.Name)
		return
	}
	data := as[T](in)
	n, k, d := 1, len(data), 1 // no axis: all
	if axis != allAxes {
		n, k, d = in.around(axis)
	}
	rows := rowsOf(data, n, k, d)
	got := make([]T, n*d)
	tol := 1e-6
	switch c.Op {
	case "Softmax", "LogSoftmax":
		got = make([]T, len(data))
		x, y := Planar[T]{n, k, d, data}, Planar[T]{n, k, d, got}
		if c.Op == "Softmax" {
			must(t, Softmax(y, x))
		} else {
			must(t, LogSoftmax(y, x))
		}
	case "Exp":
		got = make([]T, len(data))
		must(t, Exp(Row(got), Row(data)))
	case "ReduceMax":
		must(t, RowMax(got, rows))
		tol = 0
	case "ReduceSum":
		must(t, RowSum(got, rows))
	case "ReduceLogSumExp":
		must(t, RowLogSumExp(got, rows))
	case "ArgMax":
		arg := make([]int, n*d)
		must(t, RowArgMax(arg, rows))
		for i, v := range arg {
			got[i] = T(v)
		}
		tol = 0
	default:
		t.Errorf("%s: unknown operation %s", c.Name, c.Op)
		return
	}
	if want.Dtype == "float64" && !is32[T]() {
		tol = 1e-12
	}
	if len(got) != len(want.Data) {
		t.Errorf("%s: %d results, want %d", c.Name, len(got), len(want.Data))
		return
	}
	for i, r := range as[T](want) {
		v, ref := got[i], float64(r)
		if d := math.Abs(float64(v) - ref); !(d <= tol*math.Abs(ref)) && !sameBits(v, r) {
			t.Errorf("%s: element %d is %v, want %v", c.Name, i, v, ref)
			return
		}
	}
}

const allAxes = -1 << 20

// onnxAxis returns the axis that a case works on, of those before the end.
func onnxAxis(c *onnxCase) (axis int, ok bool) {
	axis = allAxes
	switch c.Op {
	case "Softmax", "LogSoftmax":
		axis = -1
	case "ArgMax":
		axis = 0
	}
	if v, ok := c.Attrs["axis"]; ok {
		if _, err := fmt.Sscan(string(v), &axis); err != nil {
			return 0, false
		}
	}
	if v, ok := c.Attrs["axes"]; ok {
		var axes []int
		if err := json.Unmarshal(v, &axes); err != nil || len(axes) != 1 {
			return 0, false
		}
		axis = axes[0]
	}
	if len(c.Inputs) > 1 {
		switch axes := c.Inputs[1].Data; len(axes) {
		case 0:
		case 1:
			axis = int(axes[0])
		default:
			return 0, false
		}
	}
	if axis < 0 && axis != allAxes {
		axis += len(c.Inputs[0].Shape)
	}
	return axis, true
}
