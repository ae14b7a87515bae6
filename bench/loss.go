package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/seed26845165/logits"
)

const lossUsage = `usage: go run ./bench loss [flags] logits.npy labels.npy

Prints the cross-entropy of logits in NumPy's format: float16, float32 or
float64, of shape (rows, classes) or (..., classes), with one integer label a
row. The files may be larger than memory.

`

// lossOptions are the flags of the loss command.
type lossOptions struct {
	ignore int64
	worst  int
}

// lossCommand prints the loss of somebody's own data.
func lossCommand(args []string, stdout, stderr io.Writer) error {
	var opt lossOptions
	fs := flag.NewFlagSet("loss", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, lossUsage)
		fs.PrintDefaults()
	}
	fs.Int64Var(&opt.ignore, "ignore", -100, "label of the rows to leave out")
	fs.IntVar(&opt.worst, "worst", 5, "how many of the rows with the largest losses to list")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 2 {
		return fmt.Errorf("loss: %d files, want two: logits.npy labels.npy", fs.NArg())
	}
	if opt.worst < 0 {
		return fmt.Errorf("-worst: %d, want 0 or more", opt.worst)
	}
	x, err := openNPY(fs.Arg(0))
	if err != nil {
		return err
	}
	defer x.close()
	labels, err := openNPY(fs.Arg(1))
	if err != nil {
		return err
	}
	defer labels.close()
	if err := checkLossFiles(x, labels); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "logits      %s, %v\nlabels      %s, %v\npath        %s\n", x.name, x, labels.name, labels, logits.Path())
	start := time.Now()
	var s lossSummary
	if x.size == 8 {
		s, err = summarize[float64](x, labels, opt, stderr)
	} else {
		s, err = summarize[float32](x, labels, opt, stderr)
	}
	if err != nil {
		return err
	}
	s.print(stdout, opt)
	took, bytes := time.Since(start), float64(x.elements())*float64(x.size)
	fmt.Fprintf(stdout, "\nTook %.2f s: %.3g GB at %.2g GB/s.\n", took.Seconds(), bytes/1e9, bytes/float64(took))
	return nil
}

func checkLossFiles(x, labels *npyFile) error {
	switch {
	case x.kind != 'f':
		return fmt.Errorf("%s: %v, want logits of float16, float32 or float64", x.name, x)
	case labels.kind == 'f':
		return fmt.Errorf("%s: %v, want integers", labels.name, labels)
	case len(x.shape) < 2:
		return fmt.Errorf("%s: %v, want a shape of (rows, classes)", x.name, x)
	}
	rows := x.shape[:len(x.shape)-1]
	if !slices.Equal(rows, labels.shape) {
		return fmt.Errorf("%s: %v, want a shape of %s for %s, %v", labels.name, labels, shapeText(rows), x.name, x)
	}
	const most = 1 << 31
	if cols := x.shape[len(rows)]; cols < 1 || cols > most/8 {
		return fmt.Errorf("%s: rows of %d classes, want 1 to %d", x.name, cols, most/8)
	}
	return nil
}

// A lossSummary is what there is to say about the losses of many rows.
type lossSummary struct {
	rows    int // all of them
	ignored int
	nan     int      // rows whose loss is NaN
	nans    []string // the first of those, and why
	sum     float64  // of the other losses
	right   int
	worst   []rowLoss // the largest first
}

type rowLoss struct {
	row, best int
	label     int64
	loss      float64
}

// A lossBlock is some rows on their way from the file.
type lossBlock[T logits.Float] struct {
	first  int
	x      []T
	labels []int64
	err    error
}

// summarize reads the next rows while it computes.
func summarize[T logits.Float](x, labels *npyFile, opt lossOptions, stderr io.Writer) (lossSummary, error) {
	rows, cols := labels.elements(), x.shape[len(x.shape)-1]
	bar := progress(stderr, int64(rows)*int64(cols)*int64(x.size), progressbar.OptionShowBytes(true))
	defer bar.Exit()

	const blockBytes, blocks = 8 << 20, 3
	some := max(1, min(rows, blockBytes/(cols*x.size)))
	free := make(chan *lossBlock[T], blocks)
	defer close(free)
	full := make(chan *lossBlock[T], blocks)
	for range blocks {
		free <- &lossBlock[T]{x: make([]T, some*cols), labels: make([]int64, some)}
	}
	go func() {
		defer close(full)
		for first := 0; first < rows; first += some {
			b, ok := <-free
			if !ok {
				return
			}
			n := min(some, rows-first)
			b.first, b.x, b.labels = first, b.x[:n*cols], b.labels[:n]
			if b.err = readFloats(x, b.x); b.err == nil {
				b.err = labels.readInts(b.labels)
			}
			full <- b
			if b.err != nil {
				return
			}
		}
	}()

	s := lossSummary{rows: rows}
	loss, best := make([]T, some), make([]int, some)
	for b := range full {
		if b.err != nil {
			return s, b.err
		}
		if err := addBlock(&s, b, cols, loss, best, labels.name, opt); err != nil {
			return s, err
		}
		bar.Add64(int64(len(b.x) * x.size))
		free <- b
	}
	return s, nil
}

// addBlock takes in a block; loss and best have room for its rows.
func addBlock[T logits.Float](s *lossSummary, b *lossBlock[T], cols int, loss []T, best []int, file string, opt lossOptions) error {
	rows := len(b.labels)
	x := logits.Dense(rows, cols, b.x)
	targets := make([]int64, rows)
	for i, l := range b.labels {
		switch {
		case l == opt.ignore:
		case l < 0 || l >= int64(cols):
			return fmt.Errorf("%s: row %d: label %d is not in [0, %d), nor %d, the one to leave out", file, b.first+i, l, cols, opt.ignore)
		default:
			targets[i] = l
		}
	}
	if err := logits.LogSoftmaxNLL(loss[:rows], x, targets); err != nil {
		return err
	}
	if err := logits.RowArgMax(best[:rows], x); err != nil {
		return err
	}
	for i, l := range b.labels {
		r := rowLoss{b.first + i, best[i], l, float64(loss[i])}
		switch {
		case l == opt.ignore:
			s.ignored++
		case math.IsNaN(r.loss):
			if s.nan++; s.nan <= opt.worst {
				s.nans = append(s.nans, fmt.Sprintf("row %d: %s", r.row, whyNaN(b.x[i*cols:(i+1)*cols])))
			}
		default:
			s.addRow(r, opt)
		}
	}
	return nil
}

func (s *lossSummary) addRow(r rowLoss, opt lossOptions) {
	s.sum += r.loss
	if int64(r.best) == r.label {
		s.right++
	}
	if len(s.worst) == opt.worst && (opt.worst == 0 || r.loss <= s.worst[opt.worst-1].loss) {
		return
	}
	at, _ := slices.BinarySearchFunc(s.worst, r, func(a, b rowLoss) int {
		// After those that are as bad: the first comes first.
		return cmp.Or(cmp.Compare(b.loss, a.loss), -1)
	})
	s.worst = slices.Insert(s.worst, at, r)
	s.worst = s.worst[:min(len(s.worst), opt.worst)]
}

// whyNaN tells what makes a row's loss NaN.
func whyNaN[T logits.Float](x []T) string {
	for j, v := range x {
		if v != v || math.IsInf(float64(v), 1) {
			return fmt.Sprintf("%v at class %d", v, j)
		}
	}
	return "-Inf only"
}

func (s *lossSummary) print(w io.Writer, opt lossOptions) {
	finite := s.rows - s.ignored - s.nan
	fmt.Fprintf(w, "rows        %d", s.rows)
	if s.ignored > 0 {
		fmt.Fprintf(w, ", of which %d are left out, labelled %d", s.ignored, opt.ignore)
	}
	fmt.Fprintln(w)
	if s.nan > 0 {
		fmt.Fprintf(w, "NaN         %d rows have a loss of NaN, and so has the mean; below is that of the others\n", s.nan)
	}
	if finite == 0 {
		fmt.Fprintln(w, "loss        none: no row counts")
	} else {
		mean := s.sum / float64(finite)
		fmt.Fprintf(w, "mean loss   %.9g\nperplexity  %.6g\naccuracy    %.2f %% (%d of %d)\n",
			mean, math.Exp(mean), 100*float64(s.right)/float64(finite), s.right, finite)
	}
	for i, n := range s.nans {
		if i == 0 {
			fmt.Fprintf(w, "\nRows with a loss of NaN, the first %d of %d\n\n", len(s.nans), s.nan)
		}
		fmt.Fprintln(w, n)
	}
	if len(s.worst) == 0 {
		return
	}
	fmt.Fprint(w, "\nThe largest losses\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "row\tloss\tlabel\tprediction\t")
	for _, r := range s.worst {
		fmt.Fprintf(t, "%d\t%.6g\t%d\t%d\t\n", r.row, r.loss, r.label, r.best)
	}
	t.Flush()
}
