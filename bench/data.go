package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sbinet/npyio/npy"
	"github.com/seed26845165/logits"
)

// A shape is that of a matrix, rows x cols, or planar: samples x classes x
// positions, which has a row for each position of each sample and a column for
// each class.
type shape struct {
	rows, cols int
	samples    int // 0: a matrix
}

func matrix(rows, cols int) shape { return shape{rows, cols, 0} }

func planar(samples, classes, positions int) shape {
	return shape{samples * positions, classes, samples}
}

func (s shape) String() string {
	if s.samples > 0 {
		return fmt.Sprintf("%dx%dx%d", s.samples, s.cols, s.unit())
	}
	return fmt.Sprintf("%dx%d", s.rows, s.cols)
}

// unit is the number of rows that belong together: those of a sample.
func (s shape) unit() int {
	if s.samples > 0 {
		return s.rows / s.samples
	}
	return 1
}

// someRows returns how many rows to take to have about the given number, or one
// at least: whole samples, and not more than there are.
func (s shape) someRows(n int) int {
	u := s.unit()
	return min(s.rows, (max(1, n)+u-1)/u*u)
}

// parseShapes reads a comma-separated list such as 64x10,1x4096,8x21x65536.
func parseShapes(list string) ([]shape, error) {
	const most = 1 << 28 // elements: three buffers of 1 GiB
	var shapes []shape
	for _, s := range strings.Split(list, ",") {
		var dims []int
		size := 1
		for _, d := range strings.Split(strings.TrimSpace(s), "x") {
			n, err := strconv.Atoi(d)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("-shapes: %q is not of the form 64x4096 or 8x21x65536", s)
			}
			if n > most/size {
				return nil, fmt.Errorf("-shapes: %s has more than %d elements", s, most)
			}
			dims = append(dims, n)
			size *= n
		}
		switch len(dims) {
		case 2:
			shapes = append(shapes, matrix(dims[0], dims[1]))
		case 3:
			shapes = append(shapes, planar(dims[0], dims[1], dims[2]))
		default:
			return nil, fmt.Errorf("-shapes: %q is not of the form 64x4096 or 8x21x65536", s)
		}
	}
	return shapes, nil
}

// smoothing is the label smoothing measured; peers/torch_peer.py has it too.
const smoothing = 0.1

// A workspace is what the kernels read and write: rows and columns, the data,
// one target a row, and room for every kind of result.
type workspace struct {
	shape
	x, y    []float32
	other   []float32 // what MSE and L1 compare x with, and the targets of probs
	out     []float32 // one a row
	index   []int     // one a row
	targets []int     // one a row
	weight  []float32 // one a class

	// weighted has weight; smoothed smooths labels.
	weighted, smoothed *logits.Options[float32]

	loss float64 // of a kernel whose result is the gradient
}

// newWorkspace returns room for the largest of the shapes. Nothing of x, y and
// other has been touched yet.
func newWorkspace(shapes ...shape) *workspace {
	var rows, cols, size int
	for _, s := range shapes {
		rows = max(rows, s.rows)
		cols = max(cols, s.cols)
		size = max(size, s.rows*s.cols)
	}
	return &workspace{
		x:       make([]float32, size),
		y:       make([]float32, size),
		other:   make([]float32, size),
		weight:  make([]float32, cols),
		out:     make([]float32, rows),
		index:   make([]int, rows),
		targets: make([]int, rows),
	}
}

// fill sets x to normal numbers and other to magnitudes of such, which repeat after a
// million or so to save time, and weight to 0.5 to 1.5, and touches the pages of y.
func (w *workspace) fill(rng *rand.Rand) {
	fillRandom(w.x, rng.NormFloat64)
	for i := range w.targets {
		w.targets[i] = rng.IntN(1 << 30)
	}
	fillRandom(w.other, func() float64 { return math.Abs(rng.NormFloat64()) })
	for i := range w.weight {
		w.weight[i] = 0.5 + rng.Float32()
	}
	clear(w.y)
}

func fillRandom(x []float32, draw func() float64) {
	const period = 1<<20 - 3
	for i := range x[:min(period, len(x))] {
		x[i] = float32(draw())
	}
	for n := period; n < len(x); n += copy(x[n:], x[:n]) {
	}
}

// as returns the part that a shape takes. Its targets are those of w modulo
// its columns.
func (w *workspace) as(s shape) *workspace {
	v := &workspace{
		shape:   s,
		x:       w.x[:s.rows*s.cols],
		y:       w.y[:s.rows*s.cols],
		other:   w.other[:s.rows*s.cols],
		out:     w.out[:s.rows],
		index:   w.index[:s.rows],
		targets: make([]int, s.rows),
		weight:  w.weight[:s.cols],
	}
	v.weighted = &logits.Options[float32]{Weight: v.weight}
	v.smoothed = &logits.Options[float32]{LabelSmoothing: smoothing}
	for i := range v.targets {
		v.targets[i] = w.targets[i] % s.cols
	}
	return v
}

// slice returns the rows [lo, hi), which are of whole samples.
func (w *workspace) slice(lo, hi int) workspace {
	part := *w
	part.rows = hi - lo
	if w.samples > 0 {
		part.samples = (hi - lo) / w.unit()
	}
	part.x = w.x[lo*w.cols : hi*w.cols]
	part.y = w.y[lo*w.cols : hi*w.cols]
	part.other = w.other[lo*w.cols : hi*w.cols]
	part.out = w.out[lo:hi]
	part.index = w.index[lo:hi]
	part.targets = w.targets[lo:hi]
	return part
}

func (w *workspace) in() logits.Matrix[float32]  { return logits.Dense(w.rows, w.cols, w.x) }
func (w *workspace) dst() logits.Matrix[float32] { return logits.Dense(w.rows, w.cols, w.y) }
func (w *workspace) in2() logits.Matrix[float32] { return logits.Dense(w.rows, w.cols, w.other) }

func (w *workspace) planarIn() logits.Planar[float32] {
	return logits.Planar[float32]{N: w.samples, C: w.cols, D: w.unit(), Data: w.x}
}

func (w *workspace) planarDst() logits.Planar[float32] {
	return logits.Planar[float32]{N: w.samples, C: w.cols, D: w.unit(), Data: w.y}
}

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
