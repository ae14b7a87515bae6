package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sbinet/npyio/npy"
	"github.com/seed26845165/logits"
)

// A shape is a number of rows and of columns.
type shape struct{ rows, cols int }

func (s shape) String() string { return fmt.Sprintf("%dx%d", s.rows, s.cols) }

// parseShapes reads a comma-separated list such as 64x10,1x4096.
func parseShapes(list string) ([]shape, error) {
	const most = 1 << 28 // elements: two buffers of 1 GiB
	var shapes []shape
	for _, s := range strings.Split(list, ",") {
		r, c, ok := strings.Cut(strings.TrimSpace(s), "x")
		rows, err1 := strconv.Atoi(r)
		cols, err2 := strconv.Atoi(c)
		if !ok || err1 != nil || err2 != nil || rows < 1 || cols < 1 {
			return nil, fmt.Errorf("-shapes: %q is not of the form 64x4096", s)
		}
		if rows > most/cols {
			return nil, fmt.Errorf("-shapes: %s has more than %d elements", s, most)
		}
		shapes = append(shapes, shape{rows, cols})
	}
	return shapes, nil
}

// A workspace is what the kernels read and write: rows and columns, the data,
// one target a row, and room for every kind of result.
type workspace struct {
	shape
	x, y    []float32
	out     []float32 // one a row
	index   []int     // one a row
	targets []int     // one a row
}

// newWorkspace returns room for the largest of the shapes. Nothing of x and y
// has been touched yet.
func newWorkspace(shapes ...shape) *workspace {
	var rows, size int
	for _, s := range shapes {
		rows = max(rows, s.rows)
		size = max(size, s.rows*s.cols)
	}
	return &workspace{
		x:       make([]float32, size),
		y:       make([]float32, size),
		out:     make([]float32, rows),
		index:   make([]int, rows),
		targets: make([]int, rows),
	}
}

// fill sets x to normal numbers, which repeat after a million or so to save
// time, and touches the pages of y.
func (w *workspace) fill(rng *rand.Rand) {
	const period = 1<<20 - 3
	for i := range w.x[:min(period, len(w.x))] {
		w.x[i] = float32(rng.NormFloat64())
	}
	for n := period; n < len(w.x); n += copy(w.x[n:], w.x[:n]) {
	}
	for i := range w.targets {
		w.targets[i] = rng.IntN(1 << 30)
	}
	clear(w.y)
}

// as returns the part that a shape takes. Its targets are those of w modulo
// its columns.
func (w *workspace) as(s shape) *workspace {
	v := &workspace{
		shape:   s,
		x:       w.x[:s.rows*s.cols],
		y:       w.y[:s.rows*s.cols],
		out:     w.out[:s.rows],
		index:   w.index[:s.rows],
		targets: make([]int, s.rows),
	}
	for i := range v.targets {
		v.targets[i] = w.targets[i] % s.cols
	}
	return v
}

// slice returns the rows [lo, hi).
func (w *workspace) slice(lo, hi int) workspace {
	return workspace{
		shape:   shape{hi - lo, w.cols},
		x:       w.x[lo*w.cols : hi*w.cols],
		y:       w.y[lo*w.cols : hi*w.cols],
		out:     w.out[lo:hi],
		index:   w.index[lo:hi],
		targets: w.targets[lo:hi],
	}
}

func (w *workspace) in() logits.Matrix[float32]  { return logits.Dense(w.rows, w.cols, w.x) }
func (w *workspace) dst() logits.Matrix[float32] { return logits.Dense(w.rows, w.cols, w.y) }

// digitsLoss is the mean cross-entropy of the digits, computed in float64.
const digitsLoss = 0.1701599689086844

//go:embed testdata/digits_logits.npy
var digitsLogits []byte

//go:embed testdata/digits_labels.npy
var digitsLabels []byte

// digits returns the scores that a classifier gave to handwritten digits, ten
// a row, and their classes. testdata/README.md tells where they come from.
func digits() (logits.Matrix[float32], []int64, error) {
	var x []float32
	var labels []int64
	if err := npy.Read(bytes.NewReader(digitsLogits), &x); err != nil {
		return logits.Matrix[float32]{}, nil, fmt.Errorf("digits_logits.npy: %w", err)
	}
	if err := npy.Read(bytes.NewReader(digitsLabels), &labels); err != nil {
		return logits.Matrix[float32]{}, nil, fmt.Errorf("digits_labels.npy: %w", err)
	}
	return logits.Dense(len(labels), len(x)/len(labels), x), labels, nil
}
