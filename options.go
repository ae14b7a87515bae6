package logits

import (
	"fmt"
	"slices"
)

// A Reduction says what becomes of the rows' losses.
type Reduction int

const (
	Mean Reduction = iota // divided by the rows that count, or their weights
	Sum
)

// Options of the criteria. The zero value, like a nil pointer, is PyTorch's default.
type Options[T Float] struct {
	// Weight has one factor a class, none negative. The mean then divides by
	// the sum of the targets' weights. nil: all 1.
	Weight []T

	// IgnoreIndex: rows with this target have no loss and a gradient of 0,
	// whatever is in them, and do not count for the mean. It may be any number.
	// nil: -100.
	IgnoreIndex *int

	// LabelSmoothing, in [0, 1], is the share of the target's probability that
	// is spread evenly over all classes.
	LabelSmoothing float64

	Reduction Reduction

	// Upstream, for gradients only, has one factor a row, or one for all: the
	// derivative of the objective with respect to the row's loss, or to the
	// reduced one. nil: 1.
	Upstream []T

	// Accumulate, for gradients only, adds to what is in grad.
	Accumulate bool
}

func (o *Options[T]) check(fn string, classes, rows int) error {
	if err := checkWeight(fn, o.Weight, classes); err != nil {
		return err
	}
	if !(o.LabelSmoothing >= 0 && o.LabelSmoothing <= 1) {
		return fmt.Errorf("logits: %s: LabelSmoothing is %v, want a number in [0, 1]", fn, o.LabelSmoothing)
	}
	if err := o.Reduction.check(fn); err != nil {
		return err
	}
	return checkUpstream(fn, o.Upstream, rows)
}

func checkWeight[T Float](fn string, weight []T, classes int) error {
	if weight == nil {
		return nil
	}
	if len(weight) != classes {
		return fmt.Errorf("logits: %s: len(Weight) is %d, want one for each of the %d classes", fn, len(weight), classes)
	}
	if classes == 0 {
		return nil
	}
	var least [1]T
	if table[T]().min(ptr(least[:], 0), ptr(weight, 0), 1, classes, 0); least[0] >= 0 {
		return nil
	}
	for i, w := range weight {
		if !(w >= 0) {
			return fmt.Errorf("logits: %s: Weight[%d] is %v, want at least 0", fn, i, w)
		}
	}
	return nil
}

func (r Reduction) check(fn string) error {
	if r != Mean && r != Sum {
		return fmt.Errorf("logits: %s: Reduction is %d, want Mean or Sum", fn, int(r))
	}
	return nil
}

func checkUpstream[T Float](fn string, upstream []T, rows int) error {
	if n := len(upstream); upstream != nil && n != 1 && n != rows {
		return fmt.Errorf("logits: %s: len(Upstream) is %d, want 1 or one for each of the %d rows", fn, n, rows)
	}
	return nil
}

// clone returns options that share nothing.
func (o *Options[T]) clone() Options[T] {
	c := Options[T]{slices.Clone(o.Weight), nil, o.LabelSmoothing, o.Reduction, slices.Clone(o.Upstream), o.Accumulate}
	if o.IgnoreIndex != nil {
		i := *o.IgnoreIndex
		c.IgnoreIndex = &i
	}
	return c
}

func (o *Options[T]) ignored() int {
	if o.IgnoreIndex == nil {
		return -100
	}
	return *o.IgnoreIndex
}

// upstream returns the factor of row i.
func upstream[T Float](u []T, i int) float64 {
	switch len(u) {
	case 0:
		return 1
	case 1:
		return float64(u[0])
	}
	return float64(u[i])
}

// weightOf returns the weight of class t.
func weightOf[T Float](w []T, t int) float64 {
	if w == nil {
		return 1
	}
	return float64(w[t])
}

// checkClasses returns the number of targets that are not ignored, and reports
// those that are neither classes nor ignored.
func checkClasses[I Index](fn string, targets []I, rows, classes, ignore int) (int, error) {
	if err := checkLen(fn, "targets", len(targets), rows); err != nil {
		return 0, err
	}
	if uint64(ignore) >= uint64(classes) && areClasses(targets, classes) { // as they mostly are
		return len(targets), nil
	}
	n := 0
	for i, t := range targets {
		if int64(t) == int64(ignore) {
			continue
		}
		if uint64(t) >= uint64(classes) { // negative ones, too
			return 0, fmt.Errorf("logits: %s: targets[%d] is %d, want a class in [0, %d) or %d, which is ignored", fn, i, t, classes, ignore)
		}
		n++
	}
	return n, nil
}
