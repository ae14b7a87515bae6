package logits

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
)

// unsayable are the cases that have no counterpart in this API, and why.
var unsayable = map[string]string{
	"err_ce_bad_reduction":           "a reduction is no string",
	"err_mse_bad_reduction":          "a reduction is no string",
	"err_l1_bad_reduction":           "a reduction is no string",
	"err_ce_weight_2d":               "weights have no shape",
	"err_nll_weight_2d":              "weights have no shape",
	"err_ce_scalar_input":            "there are no scalar inputs",
	"err_nll_target_2d_for_2d_input": "targets have no shape",
	"err_mm_p0":                      "P 0 is the default, 1",
}

// argumentOf tells how an error names the argument that is wrong.
var argumentOf = map[string]string{
	"target-out-of-range":             "targets[",
	"batch-size-mismatch":             "len(targets)",
	"spatial-shape-mismatch":          "len(targets)",
	"target-shape":                    "len(targets)",
	"weight-length":                   "len(Weight)",
	"no-classes":                      "targets[",
	"label-smoothing-range":           "LabelSmoothing",
	"ignore-index-with-probabilities": "IgnoreIndex",
	"p-not-1-or-2":                    "P is",
	"shape-mismatch":                  "y is",
}

// A form is one of the three functions of a criterion.
type form int

const (
	reducedForm form = iota
	rowsForm
	gradForm
	formCount
)

// A criterion holds the arguments of those functions.
type criterion[T Float, S Scores[T]] struct {
	op         string
	x, q, grad S // q are the probabilities; nil data: there are targets
	targets    []int64
	loss       []T
	opt        Options[T]
	p          int
	margin     *float64
}

func (c *criterion[T, S]) call(f form) (float64, error) {
	switch c.op + fmt.Sprint(int(f)) {
	case "cross_entropy0":
		return CrossEntropy(c.x, c.targets, &c.opt)
	case "cross_entropy1":
		return 0, CrossEntropyRows(c.loss, c.x, c.targets, &c.opt)
	case "cross_entropy2":
		return CrossEntropyGrad(c.grad, c.x, c.targets, &c.opt)
	case "probs0":
		return CrossEntropyProbs[T](c.x, c.q, &c.opt)
	case "probs1":
		return 0, CrossEntropyProbsRows(c.loss, c.x, c.q, &c.opt)
	case "probs2":
		return CrossEntropyProbsGrad[T](c.grad, c.x, c.q, &c.opt)
	case "nll_loss0":
		return NLL(c.x, c.targets, &c.opt)
	case "nll_loss1":
		return 0, NLLRows(c.loss, c.x, c.targets, &c.opt)
	case "nll_loss2":
		return NLLGrad(c.grad, c.x, c.targets, &c.opt)
	}
	x, grad := any(c.x).(Matrix[T]), any(c.grad).(Matrix[T])
	opt := MarginOptions[T]{c.p, c.margin, c.opt.Weight, c.opt.Reduction, c.opt.Upstream}
	switch f {
	case rowsForm:
		return 0, MultiMarginRows(c.loss, x, c.targets, &opt)
	case gradForm:
		return MultiMarginGrad(grad, x, c.targets, &opt)
	}
	return MultiMargin(x, c.targets, &opt)
}

// A layout makes scores of the elements of an n x c x d array, and back.
type layout[T Float, S Scores[T]] struct {
	of   func(x []T, n, c, d int) S
	back func(s S, n, d int) []T
}

func matrixLayout[T Float]() layout[T, Matrix[T]] {
	return layout[T, Matrix[T]]{
		func(x []T, n, c, d int) Matrix[T] {
			m := newMatrix[T](n*d, c, 3, 1)
			for i, p := 0, rowsOf(x, n, c, d); i < n*d; i++ {
				copy(m.row(i), p.row(i))
			}
			return m
		},
		func(m Matrix[T], n, d int) []T {
			x := make([]T, n*d*m.Cols)
			for i := range n * d {
				for j, v := range m.row(i) {
					x[(i/d*m.Cols+j)*d+i%d] = v
				}
			}
			return x
		},
	}
}

func planarLayout[T Float]() layout[T, Planar[T]] {
	return layout[T, Planar[T]]{
		func(x []T, n, c, d int) Planar[T] { return Planar[T]{n, c, d, slices.Clone(x)} },
		func(p Planar[T], _, _ int) []T { return p.Data },
	}
}

// A criterionCase is a torchCase with the arguments of the criteria.
type criterionCase struct {
	torchCase
	Args struct {
		Reduction      string
		IgnoreIndex    *int   `json:"ignore_index"`
		LabelSmoothing number `json:"label_smoothing"`
		P              *int
		Margin         *float64
		Labels         []int32
	}
}

func (c *criterionCase) tagged(tag string) bool { return slices.Contains(c.Tags, tag) }

// A conformance run is all cases with one type on one path.
type conformance[T Float] struct {
	*testing.T
	c              *criterionCase
	failed         bool
	ran, passed    map[string]int
	left           []string
	errors, shares map[string]float64 // the largest errors, relative, and of what is allowed
}

func newConformance[T Float](t *testing.T) *conformance[T] {
	return &conformance[T]{T: t, ran: map[string]int{}, passed: map[string]int{}, errors: map[string]float64{}, shares: map[string]float64{}}
}

func (r *conformance[T]) fail(format string, args ...any) {
	r.Helper()
	r.failed = true
	r.Errorf("%s: %s", r.c.Name, fmt.Sprintf(format, args...))
}

// run counts a case.
func (r *conformance[T]) run(op string, f func()) {
	r.failed = false
	r.ran[op]++
	f()
	if !r.failed {
		r.passed[op]++
	}
}

func (r *conformance[T]) log(want map[string]int) {
	for _, op := range slices.Sorted(maps.Keys(r.ran)) {
		r.Logf("%s: %d of %d cases passed; largest error: output %.2g (%.2f of what is allowed), gradient %.2g (%.2f)", op, r.passed[op], r.ran[op],
			r.errors[op+" output"], r.shares[op+" output"], r.errors[op+" gradient"], r.shares[op+" gradient"])
	}
	if len(r.left) > 0 {
		r.Logf("left out: %s", strings.Join(r.left, "; "))
	}
	if !maps.Equal(r.ran, want) {
		r.Errorf("ran %v, want %v", r.ran, want)
	}
}

// compare applies the comparison rule of the data's README, or one of 1e-12
// for float64. what is output or gradient; may tells of other results that are right.
func (r *conformance[T]) compare(how, what string, got []float64, want, scale *tensor, may func(i int, got float64) bool) {
	r.Helper()
	c := r.c
	if len(got) != len(want.Data) {
		r.fail("%s: %s has %d elements, want %d", how, what, len(got), len(want.Data))
		return
	}
	for i, got := range got {
		ref := float64(want.Data[i])
		size := math.Abs(ref)
		if scale != nil {
			size = max(size, float64(scale.Data[i]))
		}
		rtol, atol := 1e-12, 0.0
		if is32[T]() {
			rtol, atol = 3e-7, c.Atol
			switch c.Op {
			case "cross_entropy":
				rtol += 6e-8 * max(0, -math.Log(math.Abs(ref)))
				if c.ExactDiff {
					rtol = min(rtol, 1e-6)
				}
			case "nll_loss", "l1_loss":
				rtol = 2e-7
			}
			if math.Abs(ref) < 1.2e-38 {
				rtol, atol = 3e-7, atol+1.2e-38
			}
		}
		w := float64(T(ref))
		err := math.Abs(got - ref)
		switch {
		case (w != w || math.IsInf(w, 0)) && sameBits(T(got), T(ref)):
			continue
		case err <= rtol*size+atol:
			key := c.Op + " " + what
			if size > 1e-37 && atol == 0 {
				r.errors[key] = max(r.errors[key], err/size)
			}
			if size > 1e-37 {
				r.shares[key] = max(r.shares[key], err/(rtol*size+atol))
			}
			continue
		case is32[T]() && c.tagged("float32-overflow-ok") && math.IsInf(got, int(math.Copysign(1, ref))):
			continue
		case may != nil && may(i, got):
			continue
		}
		r.fail("%s: %s: element %d is %v, want %v (tolerance %.2g * %.2g + %.2g)", how, what, i, got, ref, rtol, size, atol)
		return
	}
}

// wide converts to float64.
func wide[T Float](x []T) []float64 {
	w := make([]float64, len(x))
	for i, v := range x {
		w[i] = float64(v)
	}
	return w
}

// refused checks an error and returns whether there is one.
func (r *conformance[T]) refused(how string, err error, written []T, argument string) bool {
	r.Helper()
	lenient := r.c.tagged("lenient")
	if lenient && argument == "" {
		argument = argumentOf[r.c.Tags[len(r.c.Tags)-1]]
	}
	switch {
	case err == nil && r.c.Error != "":
		r.fail("%s: no error, want %s", how, r.c.Error)
		return true
	case err == nil:
		return false
	case r.c.Error == "" && !lenient:
		r.fail("%s: %v", how, err)
	case !strings.HasPrefix(err.Error(), "logits: "):
		r.fail("%s: error %q has no prefix", how, err)
	case r.c.Error != "" && !strings.Contains(err.Error(), argument):
		r.fail("%s: error %q does not name %q", how, err, argument)
	}
	for i, v := range written {
		if v != canary {
			r.fail("%s: element %d was written beside an error", how, i)
			break
		}
	}
	return true
}

func TestCriteriaConformanceTorch(t *testing.T) {
	cases := readCases[criterionCase](t, "torch.json.gz")
	t.Run("float64", func(t *testing.T) { criteriaTorch[float64](t, cases) })
	onPaths(t, func(t *testing.T) { criteriaTorch[float32](t, cases) })
}

func criteriaTorch[T Float](t *testing.T, cases []criterionCase) {
	r := newConformance[T](t)
	for i := range cases {
		c := &cases[i]
		r.c = c
		if why := unsayable[c.Name]; why != "" {
			r.left = append(r.left, c.Name+", "+why)
			continue
		}
		switch c.Op {
		case "cross_entropy", "nll_loss":
			r.run(c.Op, func() {
				torchClasses(r, matrixLayout[T]())
				torchClasses(r, planarLayout[T]())
			})
		case "multi_margin_loss":
			r.run(c.Op, func() { torchClasses(r, matrixLayout[T]()) })
		case "mse_loss", "l1_loss":
			r.run(c.Op, func() { torchElements(r) })
		}
	}
	r.log(map[string]int{"cross_entropy": 276 - 3, "nll_loss": 55 - 2, "mse_loss": 25 - 1, "l1_loss": 24 - 1, "multi_margin_loss": 32 - 1})
	if len(r.left) != len(unsayable) {
		t.Errorf("%d cases left out, want %d", len(r.left), len(unsayable))
	}
}

// torchClasses runs a case of a criterion of rows in one layout.
func torchClasses[T Float, S Scores[T]](r *conformance[T], l layout[T, S]) {
	r.Helper()
	c := r.c
	how := func(what string) string {
		var s S
		return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", s), "logits."), "]") + "], " + what
	}
	data := as[T](&c.Input)
	n, k, d := c.Input.around(min(1, len(c.Input.Shape)-1))
	if len(c.Input.Shape) == 1 {
		n = 1
	}
	a := criterion[T, S]{op: c.Op, margin: c.Args.Margin}
	scores := func(x []T) S { return l.of(x, n, k, d) }
	a.x = scores(data)
	argument := argumentOf[c.Error]
	if c.Target.Dtype == "int64" {
		for _, t := range c.Target.Data {
			a.targets = append(a.targets, int64(t))
		}
	} else {
		a.op = "probs"
		n, k, d := c.Target.around(min(1, len(c.Target.Shape)-1))
		a.q = l.of(as[T](c.Target), n, k, d)
		if c.Error == "target-shape" {
			argument = "q is"
		}
	}
	if c.Weight != nil {
		a.opt.Weight = as[T](c.Weight)
	}
	a.opt.IgnoreIndex = c.Args.IgnoreIndex
	a.opt.LabelSmoothing = float64(c.Args.LabelSmoothing)
	if c.Args.P != nil {
		a.p = *c.Args.P
	}
	none := c.Args.Reduction == "none"
	switch c.Args.Reduction {
	case "none", "sum":
		a.opt.Reduction = Sum
	case "mean", "":
	default:
		r.fail("unknown reduction %s", c.Args.Reduction)
	}
	for range n * d {
		a.opt.Upstream = append(a.opt.Upstream, 1)
	}

	// The other results that are right.
	mayBeLoss := func(_ int, got float64) bool {
		switch {
		case c.tagged("0log0"):
			return math.Abs(got-0.8132616875182228) < 3e-7
		case c.tagged("nan-ok"):
			return got != got
		}
		return false
	}
	mayBeGrad := func(i int, got float64) bool {
		row := func(i int) []T { return data[i/k*k:][:k] }
		switch {
		case c.tagged("ignored-bad-row"):
			return got == 0 && c.GradInput.Data[i] != c.GradInput.Data[i]
		case c.tagged("nan-ok"):
			return got != got && slices.ContainsFunc(row(i), func(v T) bool { return v != v })
		}
		return false
	}

	loss, err := a.call(reducedForm)
	if !r.refused(how("reduced"), err, nil, argument) && !none {
		r.compare(how("reduced"), "output", []float64{loss}, &c.Output, c.OutputScale, mayBeLoss)
	}

	a.loss = canaries[T](n * d)
	_, err = a.call(rowsForm)
	if !r.refused(how("rows"), err, a.loss, argument) {
		if none {
			r.compare(how("rows"), "output", wide(a.loss), &c.Output, c.OutputScale, mayBeLoss)
		} else {
			r.compare(how("rows"), "output", []float64{reduceRows(&a)}, &c.Output, c.OutputScale, mayBeLoss)
		}
	}

	fresh := canaries[T](len(data))
	a.grad = scores(fresh)
	gradLoss, err := a.call(gradForm)
	if r.refused(how("grad"), err, l.back(a.grad, n, d), argument) {
		return
	}
	if !none {
		r.compare(how("grad"), "output", []float64{gradLoss}, &c.Output, c.OutputScale, mayBeLoss)
	}
	grad := l.back(a.grad, n, d)
	r.compare(how("grad"), "gradient", wide(grad), c.GradInput, c.GradScale, mayBeGrad)

	in := a
	in.x = scores(data)
	in.grad = in.x
	again, err := in.call(gradForm)
	if err != nil || !sameBits(again, gradLoss) || !slices.EqualFunc(l.back(in.x, n, d), grad, sameBits) {
		r.fail("%s: %v, %v, %v; want what another place gets, %v, %v", how("grad in place"), again, l.back(in.x, n, d), err, gradLoss, grad)
	}

	if c.Op == "multi_margin_loss" {
		return
	}
	more := a
	more.opt.Accumulate = true
	old := make([]T, len(data))
	for i := range old {
		old[i] = T(i%7) - 2.5
	}
	more.grad = scores(old)
	again, err = more.call(gradForm)
	sum := l.back(more.grad, n, d)
	if err != nil || !alike(T(again), T(gradLoss), 0) {
		r.fail("%s: %v, %v, want %v", how("accumulate"), again, err, gradLoss)
	}
	for i, g := range grad {
		want := float64(old[i]) + float64(g)
		if !(math.Abs(float64(sum[i])-want) <= roundings[T](16)*(math.Abs(float64(old[i]))+math.Abs(float64(g)))) && !sameBits(sum[i], T(want)) {
			r.fail("%s: element %d is %v, want %v + %v", how("accumulate"), i, sum[i], old[i], g)
			break
		}
	}
}

// roundings returns the relative error of n roundings.
func roundings[T Float](n float64) float64 {
	if is32[T]() {
		return n * 0x1p-24
	}
	return n * 0x1p-53
}

// reduceRows does the reduction of the losses of all rows.
func reduceRows[T Float, S Scores[T]](a *criterion[T, S]) float64 {
	var sum, count float64
	for i, l := range a.loss {
		if a.targets == nil || a.op == "multi_margin_loss" {
			count++
		} else if t := int(a.targets[i]); t != a.opt.ignored() {
			count += weightOf(a.opt.Weight, t)
		}
		sum += float64(l)
	}
	if a.opt.Reduction == Sum {
		return sum
	}
	if count == 0 {
		return math.NaN()
	}
	return sum / count
}

// torchElements runs a case of MSE or L1.
func torchElements[T Float](r *conformance[T]) {
	r.Helper()
	c := r.c
	reduce, grad, each := MSE[T], MSEGrad[T], MSEEach[T]
	if c.Op == "l1_loss" {
		reduce, grad, each = L1[T], L1Grad[T], L1Each[T]
	}
	xs, ys := as[T](&c.Input), as[T](c.Target)
	none, reduction := c.Args.Reduction == "none", Sum
	if c.Args.Reduction == "mean" {
		reduction = Mean
	}
	mayBe := func(i int, got float64) bool {
		return c.tagged("nan-ok") && got != got && xs[i]-ys[i] != xs[i]-ys[i]
	}
	run := func(how string, x, y Matrix[T], argument string) {
		loss, err := reduce(x, y, reduction)
		if !r.refused(how, err, nil, argument) && !none {
			r.compare(how, "output", []float64{loss}, &c.Output, c.OutputScale, nil)
		}
		dst := newMatrix[T](x.Rows, x.Cols, 2, 3)
		fill(dst.Data, canary)
		if err := each(dst, x, y); !r.refused(how+", each", err, dst.Data, argument) && none {
			r.compare(how+", each", "output", wide(elements(dst)), &c.Output, c.OutputScale, nil)
		}
		fill(dst.Data, canary)
		gradLoss, err := grad(dst, x, y, reduction, 1)
		if r.refused(how+", grad", err, dst.Data, argument) {
			return
		}
		if !sameBits(gradLoss, loss) {
			r.fail("%s: loss %v, with gradient %v", how, loss, gradLoss)
		}
		r.compare(how+", grad", "gradient", wide(elements(dst)), c.GradInput, c.GradScale, mayBe)
		for _, m := range []Matrix[T]{x, y} {
			old := slices.Clone(m.Data)
			gradLoss, err := grad(m, x, y, reduction, 1)
			if err != nil || !sameBits(gradLoss, loss) || !slices.EqualFunc(elements(m), elements(dst), sameBits) {
				r.fail("%s: %v, %v, %v in place, want %v, %v", how, gradLoss, elements(m), err, loss, elements(dst))
			}
			copy(m.Data, old)
		}
	}
	run("one row", Row(xs), Row(ys), argumentOf["shape-mismatch"])
	if len(c.Input.Shape) != 2 || len(c.Target.Shape) != 2 {
		return
	}
	rows, cols := c.Input.Shape[0], c.Input.Shape[1]
	l := matrixLayout[T]()
	x := l.of(xs, rows, cols, 1)
	y := l.of(ys, c.Target.Shape[0], c.Target.Shape[1], 1)
	run("matrix", x, y, argumentOf["shape-mismatch"])
	if c.Args.Labels != nil {
		fill(y.Data, canary)
		if err := OneHot(y, c.Args.Labels); err != nil {
			r.fail("OneHot: %v", err)
		}
		run("labels", x, y, "")
	}
}

func TestCriteriaConformanceONNX(t *testing.T) {
	cases := readCases[onnxCase](t, "onnx.json.gz")
	t.Run("float64", func(t *testing.T) { criteriaONNX[float64](t, cases) })
	onPaths(t, func(t *testing.T) { criteriaONNX[float32](t, cases) })
}

func criteriaONNX[T Float](t *testing.T, cases []onnxCase) {
	r := newConformance[T](t)
	for i := range cases {
		c := &cases[i]
		r.c = &criterionCase{torchCase: torchCase{Name: c.Name, Op: c.Op}}
		switch c.Op {
		case "SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss":
			r.run(c.Op, func() {
				onnxClasses(r, c, matrixLayout[T]())
				onnxClasses(r, c, planarLayout[T]())
			})
		}
	}
	r.log(map[string]int{"SoftmaxCrossEntropyLoss": 19, "NegativeLogLikelihoodLoss": 11})
}

func onnxClasses[T Float, S Scores[T]](r *conformance[T], c *onnxCase, l layout[T, S]) {
	r.Helper()
	in := &c.Inputs[0].tensor
	n, k, d := in.around(1)
	a := criterion[T, S]{op: "cross_entropy"}
	if c.Op == "NegativeLogLikelihoodLoss" {
		a.op = "nll_loss"
	}
	data := as[T](in)
	a.x = l.of(data, n, k, d)
	for _, t := range c.Inputs[1].Data {
		a.targets = append(a.targets, int64(t))
	}
	if len(c.Inputs) > 2 {
		a.opt.Weight = as[T](&c.Inputs[2].tensor)
	}
	if v, ok := c.Attrs["ignore_index"]; ok {
		a.opt.IgnoreIndex = new(int)
		if _, err := fmt.Sscan(string(v), a.opt.IgnoreIndex); err != nil {
			r.fail("%v", err)
		}
	}
	reduction := strings.Trim(string(c.Attrs["reduction"]), `"`)
	none := reduction == "none"
	if none || reduction == "sum" {
		a.opt.Reduction = Sum
	}
	check := func(what string, got []T, want *tensor) {
		r.Helper()
		if len(got) != len(want.Data) {
			r.fail("%s: %d elements, want %d", what, len(got), len(want.Data))
			return
		}
		for i, v := range got {
			ref := float64(want.Data[i])
			err := math.Abs(float64(v) - ref)
			if !(err <= 1e-6*math.Abs(ref)) {
				r.fail("%s: element %d is %v, want %v", what, i, v, ref)
				return
			}
			if ref != 0 {
				key := c.Op + " output"
				r.errors[key] = max(r.errors[key], err/math.Abs(ref))
				r.shares[key] = max(r.shares[key], err/math.Abs(ref)/1e-6)
			}
		}
	}
	want := &c.Outputs[0].tensor
	a.loss = make([]T, n*d)
	a.grad = l.of(data, n, k, d)
	for f := range formCount {
		loss, err := a.call(f)
		switch {
		case err != nil:
			r.fail("%v", err)
		case f == rowsForm && none:
			check("rows", a.loss, want)
		case f == rowsForm:
			check("rows", []T{T(reduceRows(&a))}, want)
		case none:
			var sum float64
			for _, v := range want.Data {
				sum += float64(v)
			}
			check("sum", []T{T(loss)}, &tensor{Data: []number{number(sum)}})
		default:
			check("reduced", []T{T(loss)}, want)
		}
	}
	if len(c.Outputs) > 1 {
		p := Planar[T]{n, k, d, make([]T, len(data))}
		if err := LogSoftmax(p, Planar[T]{n, k, d, data}); err != nil {
			r.fail("%v", err)
		}
		check("log-probabilities", p.Data, &c.Outputs[1].tensor)
	}
}
