package main

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/seed26845165/logits"
)

// A recorder collects what the functions return for one case in one layout.
type recorder[T logits.Float] struct {
	c   *checkCase
	l   layout
	out []output
	err error
}

// A bound is the largest error of the value of row i and column j; the column
// is 0 where there is one value a row.
type bound func(i, j int, exact float64) float64

func (r *recorder[T]) add(name string, cols int, b bound, values []float64) {
	r.out = append(r.out, output{name, values, func(i int, exact float64) float64 { return b(i/cols, i%cols, exact) }})
}

func (r *recorder[T]) note(name string, err error) {
	if err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("%s: %w", name, err))
	}
}

// scalar records a reduced loss.
func (r *recorder[T]) scalar(name string, b bound, f func() (float64, error)) {
	v, err := f()
	r.note(name, err)
	r.add(name, 1, b, []float64{v})
}

// rows records one value a row.
func (r *recorder[T]) rows(name string, b bound, f func(dst []T) error) {
	p := newPlace[T](1, r.c.rows, layout{offset: r.l.offset})
	r.note(name, f(p.Data))
	r.note(name, p.intact())
	r.add(name, 1, b, p.values())
}

// each records one value an element, of a function that may work in place.
func (r *recorder[T]) each(name string, b bound, src []float32, f func(dst, x logits.Matrix[T]) error) {
	x := r.place(src)
	dst := x
	if !r.l.inPlace {
		dst = newPlace[T](r.c.rows, r.c.cols, r.l)
	}
	r.note(name, f(dst.Matrix, x.Matrix))
	r.note(name, dst.intact())
	r.add(name, r.c.cols, b, dst.values())
}

// grad records a gradient and the loss that comes with it.
func (r *recorder[T]) grad(name string, b, lossBound bound, f func(dst, x logits.Matrix[T]) (float64, error)) {
	var loss float64
	r.each(name, b, r.c.x, func(dst, x logits.Matrix[T]) (err error) {
		loss, err = f(dst, x)
		return err
	})
	r.add(name+", its loss", 1, lossBound, []float64{loss})
}

// planar records one value an element of the matrix transposed, in the order
// of the matrix.
func (r *recorder[T]) planar(name string, b bound, f func(dst, x logits.Planar[T]) error) {
	x := r.transposed(r.c.x)
	dst := x
	if !r.l.inPlace {
		dst.Data = make([]T, len(x.Data))
	}
	r.note(name, f(dst, x))
	values := make([]float64, len(dst.Data))
	for i := range values {
		values[i] = float64(dst.Data[planarIndex(x, i/r.c.cols, i%r.c.cols)])
	}
	r.add(name, r.c.cols, b, values)
}

// transposed returns a matrix of the case as planes, at an offset in memory.
func (r *recorder[T]) transposed(x []float32) logits.Planar[T] {
	p := logits.Planar[T]{N: 1, C: r.c.cols, D: r.c.rows, Data: make([]T, r.l.offset+len(x))[r.l.offset:]}
	if r.c.rows%2 == 0 {
		p.N, p.D = 2, r.c.rows/2
	}
	for i, v := range x {
		p.Data[planarIndex(p, i/r.c.cols, i%r.c.cols)] = T(v)
	}
	return p
}

// planarIndex is where row i has its class j.
func planarIndex[T logits.Float](p logits.Planar[T], i, j int) int {
	return (i/p.D*p.C+j)*p.D + i%p.D
}

// errSpilled is that of a function which wrote where it should not.
var errSpilled = errors.New("it wrote beside its result")

// A place is a matrix among elements that nobody may write.
type place[T logits.Float] struct {
	logits.Matrix[T]
	buf    []T
	offset int
}

const untouched = 123.5

func newPlace[T logits.Float](rows, cols int, l layout) place[T] {
	stride := cols + l.pad
	n := (rows-1)*stride + cols
	buf := make([]T, l.offset+n+3)
	for i := range buf {
		buf[i] = untouched
	}
	return place[T]{logits.Matrix[T]{Rows: rows, Cols: cols, Stride: stride, Data: buf[l.offset : l.offset+n]}, buf, l.offset}
}

// place returns a matrix of the case.
func (r *recorder[T]) place(x []float32) place[T] {
	p := newPlace[T](r.c.rows, r.c.cols, r.l)
	for i := range p.Rows {
		for j, v := range x[i*p.Cols : (i+1)*p.Cols] {
			p.Data[i*p.Stride+j] = T(v)
		}
	}
	return p
}

func (p place[T]) values() []float64 {
	v := make([]float64, 0, p.Rows*p.Cols)
	for i := range p.Rows {
		for _, e := range p.Data[i*p.Stride : i*p.Stride+p.Cols] {
			v = append(v, float64(e))
		}
	}
	return v
}

func (p place[T]) intact() error {
	for i, v := range p.buf {
		at := i - p.offset
		if (at < 0 || at >= len(p.Data) || at%p.Stride >= p.Cols) && v != untouched {
			return errSpilled
		}
	}
	return nil
}

func convert[T logits.Float](x []float32) []T {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return y
}

// outputs returns what the package makes of a case, and how far that may be
// from what it makes of it in float64: the bounds of its documentation, and
// for what has none there, what the bounds of its terms add up to.
func outputs[T logits.Float](c *checkCase, l layout) ([]output, error) {
	r := &recorder[T]{c: c, l: l}
	in := r.place(c.x).Matrix
	other, probs := r.place(c.other).Matrix, r.place(c.probs).Matrix
	x, q := r.transposed(c.x), r.transposed(c.probs)
	n := float64(c.rows)
	anything := math.Inf(1)

	exactly := func(i, j int, exact float64) float64 { return 0 }
	loss := func(_, _ int, exact float64) float64 { return 4e-7 * max(1, math.Abs(exact)) }
	// distance is how far the row reaches below its maximum, as far as it counts.
	distance := func(i, j int) float64 { return c.max[i] - float64(c.x[i*c.cols+j]) }
	prob := func(i, j int, exact float64) float64 {
		b := exact * (6e-7 + distance(i, j)*0x1p-24)
		if exact <= 1e-37 {
			b += 1.2e-37
		}
		return b
	}
	// mean is the bound of a loss that is reduced or has options: those of the
	// rows, weighed.
	mean := func(_, _ int, exact float64) float64 {
		if c.anyHuge {
			return anything
		}
		return 1e-6 * (1 + math.Abs(exact))
	}
	weighed := func(i, _ int, exact float64) float64 {
		if c.huge[i] {
			return anything
		}
		return 1e-6 * (1 + math.Abs(exact))
	}
	// certain is the bound of a gradient whose targets are certain: that of a
	// probability, or of what the others add up to.
	certain := func(i, _ int, exact float64) float64 { return math.Abs(exact)*(1e-6+c.span[i]*0x1p-24) + 1.2e-37 }
	// uncertain is that of a difference; weights may be 0.5, and 1.5.
	uncertain := func(i, _ int, exact float64) float64 {
		if c.huge[i] {
			return anything
		}
		return 3 / c.counting * (1e-6 + c.span[i]*0x1p-24)
	}
	elements := func(i, _ int, exact float64) float64 {
		if c.huge[i] {
			return anything
		}
		return 1e-6*math.Abs(exact) + 1e-44
	}
	overall := func(_, _ int, exact float64) float64 {
		if c.anyHuge {
			return anything
		}
		return 1e-6*math.Abs(exact) + 1e-44
	}

	r.rows("RowMax", exactly, func(dst []T) error { return logits.RowMax(dst, in) })
	argMax := make([]int, c.rows)
	r.note("RowArgMax", logits.RowArgMax(argMax, in))
	r.add("RowArgMax", 1, exactly, floatsOf(argMax))
	r.rows("RowSum", func(i, _ int, _ float64) float64 {
		if c.magnitude[i] > math.MaxFloat32/2 {
			return anything
		}
		return 1e-6 * c.magnitude[i]
	}, func(dst []T) error { return logits.RowSum(dst, in) })
	r.rows("RowLogSumExp", loss, func(dst []T) error { return logits.RowLogSumExp(dst, in) })
	r.rows("LogSoftmaxNLL", func(i, _ int, exact float64) float64 {
		if exact < 1 {
			return min(4e-7, exact*(1e-6+c.span[i]*0x1p-24)+1e-36)
		}
		return 4e-7 * exact
	}, func(dst []T) error { return logits.LogSoftmaxNLL(dst, in, c.targets) })
	r.each("Exp", func(_, _ int, exact float64) float64 { return ulp(exact) }, c.x, logits.Exp[T])
	r.each("Softmax", prob, c.x, func(dst, x logits.Matrix[T]) error { return logits.Softmax[T](dst, x) })
	r.each("LogSoftmax", loss, c.x, func(dst, x logits.Matrix[T]) error { return logits.LogSoftmax[T](dst, x) })
	r.planar("planar Softmax", prob, func(dst, x logits.Planar[T]) error { return logits.Softmax[T](dst, x) })
	r.planar("planar LogSoftmax", loss, func(dst, x logits.Planar[T]) error { return logits.LogSoftmax[T](dst, x) })
	products := func(i, j int, exact float64) float64 {
		if c.huge[i] {
			return anything
		}
		return 2e-6*(math.Abs(float64(c.x[i*c.cols+j]))+c.magnitude[i]) + 0x1p-149
	}
	r.each("SoftmaxGrad", products, c.x, func(dst, x logits.Matrix[T]) error { return logits.SoftmaxGrad[T](dst, probs, x) })
	logs := r.place(c.probs).Matrix
	for i, v := range logs.Data {
		logs.Data[i] = -v // Not logarithms, whose bits depend on the machine.
	}
	r.each("LogSoftmaxGrad", products, c.x, func(dst, x logits.Matrix[T]) error { return logits.LogSoftmaxGrad[T](dst, logs, x) })

	ignored := -100
	weight := convert[T](c.weight)
	upstream := make([]T, c.rows)
	for i := range upstream {
		upstream[i] = T(c.weight[i%c.cols])
	}
	options := []struct {
		name     string
		gradient bound
		opt      *logits.Options[T]
	}{
		{"", certain, nil},
		{", with options", uncertain, &logits.Options[T]{Weight: weight, IgnoreIndex: &ignored, LabelSmoothing: 0.125}},
	}
	for _, o := range options {
		sum := &logits.Options[T]{Reduction: logits.Sum, Upstream: upstream}
		if o.opt != nil {
			sum.Weight, sum.IgnoreIndex, sum.LabelSmoothing = o.opt.Weight, o.opt.IgnoreIndex, o.opt.LabelSmoothing
		}
		total := func(i, j int, exact float64) float64 { return n * mean(i, j, exact/n) }
		summed := func(i, j int, exact float64) float64 { return n * o.gradient(i, j, exact) }
		r.scalar("CrossEntropy"+o.name, mean, func() (float64, error) { return logits.CrossEntropy(in, c.ignoring, o.opt) })
		r.rows("CrossEntropyRows"+o.name, weighed, func(dst []T) error { return logits.CrossEntropyRows(dst, in, c.ignoring, o.opt) })
		r.grad("CrossEntropyGrad"+o.name, o.gradient, mean, func(dst, x logits.Matrix[T]) (float64, error) {
			return logits.CrossEntropyGrad(dst, x, c.ignoring, o.opt)
		})
		r.grad("CrossEntropyGrad of the sum"+o.name, summed, total, func(dst, x logits.Matrix[T]) (float64, error) {
			return logits.CrossEntropyGrad(dst, x, c.ignoring, sum)
		})
		r.rows("planar CrossEntropyRows"+o.name, weighed, func(dst []T) error { return logits.CrossEntropyRows(dst, x, c.ignoring, o.opt) })
		r.planar("planar CrossEntropyGrad"+o.name, o.gradient, func(dst, x logits.Planar[T]) error {
			_, err := logits.CrossEntropyGrad(dst, x, c.ignoring, o.opt)
			return err
		})
		r.rows("CrossEntropyProbsRows"+o.name, weighed, func(dst []T) error { return logits.CrossEntropyProbsRows(dst, in, probs, o.opt) })
		r.grad("CrossEntropyProbsGrad"+o.name, uncertain, mean, func(dst, x logits.Matrix[T]) (float64, error) {
			return logits.CrossEntropyProbsGrad(dst, x, probs, o.opt)
		})
		r.rows("planar CrossEntropyProbsRows"+o.name, weighed, func(dst []T) error { return logits.CrossEntropyProbsRows(dst, x, q, o.opt) })
	}

	nll := &logits.Options[T]{Weight: weight}
	r.rows("NLLRows", elements, func(dst []T) error { return logits.NLLRows(dst, in, c.ignoring, nll) })
	r.grad("NLLGrad", elements, overall, func(dst, x logits.Matrix[T]) (float64, error) {
		return logits.NLLGrad(dst, x, c.ignoring, nll)
	})
	margin := func(i, _ int, exact float64) float64 {
		if c.huge[i] {
			return anything
		}
		t := math.Abs(float64(c.x[i*c.cols+c.targets[i]]))
		return 2e-6 * (1 + t + c.magnitude[i]/float64(c.cols))
	}
	r.rows("MultiMarginRows", margin, func(dst []T) error { return logits.MultiMarginRows(dst, in, c.targets, nil) })
	r.each("MSEEach", elements, c.x, func(dst, x logits.Matrix[T]) error { return logits.MSEEach(dst, x, other) })
	r.each("L1Each", elements, c.x, func(dst, x logits.Matrix[T]) error { return logits.L1Each(dst, x, other) })
	r.each("MSEGrad", elements, c.x, func(dst, x logits.Matrix[T]) error {
		_, err := logits.MSEGrad(dst, x, other, logits.Mean, 1)
		return err
	})
	r.each("L1Grad", elements, c.x, func(dst, x logits.Matrix[T]) error {
		_, err := logits.L1Grad(dst, x, other, logits.Mean, 1)
		return err
	})
	// These add up contiguous matrices as one row, so that a stride shows.
	dense, y := logits.Dense(c.rows, c.cols, convert[T](c.x)), logits.Dense(c.rows, c.cols, convert[T](c.other))
	r.scalar("MSE", overall, func() (float64, error) { return logits.MSE(dense, y, logits.Mean) })
	r.scalar("L1", overall, func() (float64, error) { return logits.L1(dense, y, logits.Mean) })
	r.rows("RowCrossEntropy", loss, func(dst []T) error { return logits.RowCrossEntropy(dst, probs, probs) })
	r.each("OneHot", exactly, c.x, func(dst, _ logits.Matrix[T]) error { return logits.OneHot(dst, c.targets) })
	return r.out, r.err
}

func floatsOf(x []int) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// checkExact compares the float64 results for the first functions with what
// package math gives, for the rows whose numbers are neither special nor huge.
func (c *checkCase) checkExact(exact []output) error {
	of := func(name string) []float64 {
		return exact[slices.IndexFunc(exact, func(o output) bool { return o.name == name })].values
	}
	for i := range c.rows {
		x := c.x[i*c.cols : (i+1)*c.cols]
		if !(c.magnitude[i] < 1e15) {
			continue
		}
		ref := newReference(x)
		for _, v := range []struct {
			name             string
			got, want, bound float64
		}{
			{"RowMax", of("RowMax")[i], ref.max, 0},
			{"RowArgMax", of("RowArgMax")[i], float64(ref.argMax), 0},
			{"RowSum", of("RowSum")[i], ref.sum, 1e-12 * ref.magnitudes},
			{"RowLogSumExp", of("RowLogSumExp")[i], ref.max + ref.log, 1e-12 * max(1, math.Abs(ref.max+ref.log))},
			{"LogSoftmaxNLL", of("LogSoftmaxNLL")[i], ref.max - float64(x[c.targets[i]]) + ref.log, 1e-12 * max(1, ref.max-float64(x[c.targets[i]]))},
		} {
			if !within(v.got, v.want, v.bound) {
				return fmt.Errorf("%dx%d: %s of row %d is %v, want %v", c.rows, c.cols, v.name, i, v.got, v.want)
			}
		}
		exps, probs := of("Exp")[i*c.cols:], of("Softmax")[i*c.cols:]
		for j, v := range x {
			if want := math.Exp(float64(v)); !within(exps[j], want, 1e-14*want+0x1p-1060) {
				return fmt.Errorf("%dx%d: Exp(%v) is %v, want %v", c.rows, c.cols, v, exps[j], want)
			}
			if want := math.Exp(float64(v)-ref.max) / ref.total; !within(probs[j], want, 1e-12*want+1e-300) {
				return fmt.Errorf("%dx%d: Softmax of row %d at %d is %v, want %v", c.rows, c.cols, i, j, probs[j], want)
			}
		}
	}
	return nil
}
