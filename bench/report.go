package main

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/seed26845165/logits"
)

// pathTitles are the paths' names for people.
var pathTitles = map[string]string{"avx512": "AVX-512", "avx2": "AVX2", "neon": "NEON", "generic": "portable", "naive": "naive Go"}

// A table prints lines of aligned columns as they come. Widths of columns to
// be aligned on the left are negative.
type table struct {
	w      io.Writer
	widths []int
}

func (t table) line(cells ...string) {
	var b strings.Builder
	for i, c := range cells {
		fmt.Fprintf(&b, "%*s", t.widths[i], c)
	}
	fmt.Fprintln(t.w, strings.TrimRight(b.String(), " "))
}

// digitsOf returns v with n significant digits, and without an exponent.
func digitsOf(v float64, n int) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return fmt.Sprint(v)
	}
	return fmt.Sprintf("%.*f", max(0, n-1-int(math.Floor(math.Log10(math.Abs(v))))), v)
}

// reportKnown prints losses of known value on every path, and fails if one is wrong.
func reportKnown(w io.Writer) error {
	x, labels, err := digits()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nLosses of known value: [[-1, -3, 4], [-3, 3, -1]] with targets 0 and 1, and %d digits\n\n", x.Rows)
	t := table{w, []int{-18, 10, 22, 18, 12}}
	t.line("", "example", "digits, mean loss", "less float64's", "accuracy")
	t.line("known", "2.5141", fmt.Sprintf("%.16f", digitsLoss), "", "")
	for _, path := range logits.Paths() {
		if err := logits.SetPath(path); err != nil {
			return err
		}
		if err := reportLosses(t, path+" float32", x, labels); err != nil {
			return err
		}
	}
	// Float64 has no path but the portable one.
	y := logits.Dense(x.Rows, x.Cols, make([]float64, len(x.Data)))
	for i, v := range x.Data {
		y.Data[i] = float64(v)
	}
	if err := reportLosses(t, "generic float64", y, labels); err != nil {
		return err
	}
	return logits.SetPath(startPath)
}

func reportLosses[T logits.Float](t table, name string, x logits.Matrix[T], labels []int64) error {
	example, err := meanLoss(logits.Dense(2, 3, []T{-1, -3, 4, -3, 3, -1}), []int64{0, 1})
	if err != nil {
		return err
	}
	loss, err := meanLoss(x, labels)
	if err != nil {
		return err
	}
	best := make([]int, x.Rows)
	if err := logits.RowArgMax(best, x); err != nil {
		return err
	}
	right := 0
	for i, b := range best {
		if int64(b) == labels[i] {
			right++
		}
	}
	t.line(name, fmt.Sprintf("%.4f", example), fmt.Sprintf("%.16f", loss), fmt.Sprintf("%+.1e", loss-digitsLoss),
		fmt.Sprintf("%.2f %%", 100*float64(right)/float64(len(labels))))
	if math.Abs(example-2.5141) > 5e-5 || !(math.Abs(loss-digitsLoss) < 1e-7) {
		return fmt.Errorf("%s: wrong losses, %v and %v", name, example, loss)
	}
	return nil
}

// meanLoss averages in float64.
func meanLoss[T logits.Float](x logits.Matrix[T], targets []int64) (float64, error) {
	loss := make([]T, x.Rows)
	if err := logits.LogSoftmaxNLL(loss, x, targets); err != nil {
		return 0, err
	}
	var s float64
	for _, l := range loss {
		s += float64(l)
	}
	return s / float64(x.Rows), nil
}

// noisy is the spread from which on a figure is marked.
const noisy = 0.1

// A printer prints tables as their figures come. A nil one prints nothing.
type printer struct {
	w io.Writer
	t table
}

func (p *printer) limits(s *session, workers int) {
	if p != nil {
		s.limits.print(p.w, s.c, workers)
	}
}

// head begins the table for a number of workers.
func (p *printer) head(s *session, workers int) {
	if p == nil {
		return
	}
	who := fmt.Sprintf("%d workers", workers)
	if workers == 1 {
		who = "one goroutine"
		for i, note := range s.notes {
			if i == 0 {
				fmt.Fprintln(p.w)
			}
			fmt.Fprintf(p.w, "peer      %s\n", note)
		}
	}
	pages := ""
	if s.c.huge {
		pages = ", huge pages asked for"
	}
	fmt.Fprintf(p.w, `
Speed: %s, %s%s; medians of %d interleaved rounds, %v a figure.
+- is how far the quartiles are apart, with ! where that is too much. GB/s count
every matrix read once, and written once where the result is one. x is how many
times as fast as naive, the plain Go loop, on one core. The limit is the one that
binds, of the bandwidth of the level that the data fits in, exponentials and FMAs.

`, who, s.said, pages, s.c.rounds, s.c.time)
	width := len("generic")
	for _, peer := range s.peers {
		width = max(width, len(peer.name()))
	}
	p.t = table{p.w, []int{-16, -13, -width - 1, 9, 7, 8, 7, 7, -16}}
	p.t.line("kernel", "shape", "", "ns/el", "+-", "GB/s", "x", "limit", "")
}

// figures prints those of a cell.
func (p *printer) figures(figures []figure) {
	if p == nil {
		return
	}
	for i, f := range figures {
		cells := []string{"", "", f.By, digitsOf(f.Median, 3), fmt.Sprintf("%.0f%%", 100*f.Spread), digitsOf(f.GBps, 3),
			digitsOf(f.Naive, 2), "", ""}
		if i == 0 {
			cells[0], cells[1] = f.Kernel, f.Shape
		}
		if f.Limit != "" {
			cells[7], cells[8] = fmt.Sprintf("%.0f%%", 100*f.OfLimit), " "+f.Limit
		}
		if f.Spread > noisy {
			cells[4] = "!" + cells[4]
		}
		p.t.line(cells...)
	}
}

// end says what was left out.
func (p *printer) end(s *session) {
	if p == nil {
		return
	}
	fmt.Fprintln(p.w)
	for _, f := range s.failed {
		fmt.Fprintln(p.w, "not timed:", f)
	}
}

// noisy returns how many figures are not to be trusted, and how many there are.
func (r *results) noisy() (n, all int) {
	for _, f := range r.Figures {
		if f.Spread > noisy {
			n++
		}
	}
	return n, len(r.Figures)
}

// trust says how far the figures can be trusted.
func (r *results) trust() string {
	n, all := r.noisy()
	switch {
	case n == 0:
		return fmt.Sprintf("The quartiles (+-) of every figure are within %.0f%% of the median.", 100*noisy)
	case n > all/4:
		return fmt.Sprintf("TOO NOISY TO TRUST: the quartiles (+-) of %d of %d figures are over %.0f%% of the median apart.\n"+
			"Something else runs on this machine: try again when it is idle, or with a longer -time.", n, all, 100*noisy)
	}
	return fmt.Sprintf("%d of %d figures are not to be trusted: their quartiles (+-) are over %.0f%% of the median apart, something else ran.",
		n, all, 100*noisy)
}

// wrote says which pictures there are.
func (p *printer) wrote(dir string, all []picture) {
	if p == nil {
		return
	}
	var names []string
	for _, x := range all {
		names = append(names, x.name)
	}
	fmt.Fprintf(p.w, "\nWrote %s (SVG and PNG) and README.md to %s.\n", strings.Join(names, ", "), dir)
}
