package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/seed26845165/logits"
)

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

// A report counts the figures and the noisy ones among them.
type report struct{ cells, noisy int }

// ns returns a median, with a mark if it is not to be trusted.
func (r *report) ns(s sample) string {
	r.cells++
	mark := " "
	if s.spread() > noisy {
		r.noisy++
		mark = "!"
	}
	return digitsOf(s.median(), 3) + mark
}

func gbps(k kernel, s sample) string {
	return digitsOf(float64(k.bytes())/s.median(), 3)
}

// reportSpeed prints the table of speeds and what belongs to it.
func reportSpeed(w io.Writer, c config) error {
	// A collection in the middle of a turn would be measured with it.
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	logits.SetWorkers(1)
	pinned, unpin, err := pin(c.cpu)
	if err != nil {
		return err
	}
	defer func() { unpin() }()

	rng := rand.New(rand.NewPCG(c.seed, 1))
	data := newWorkspace(c.shapes...)
	if c.huge {
		if err := errors.Join(useHugePages(data.x), useHugePages(data.y), useHugePages(data.other)); err != nil {
			return fmt.Errorf("-hugepages: %w", err)
		}
	}
	data.fill(rng)
	var peers []peer
	if c.peers {
		var notes []string
		var stop func()
		peers, notes, stop, err = startPeers(c.paths, data, c.huge)
		defer stop()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\nPeers     %s\n", strings.Join(notes, "\n          "))
	}

	var r report
	pages := ""
	if c.huge {
		pages = ", huge pages asked for"
	}
	fmt.Fprintf(w, `
Speed: one goroutine, %s%s; medians of %d interleaved rounds, %v a cell.
GB/s count every matrix read once, and written once where the result is one.
x is how many times as fast as naive: the plain Go loop with math.Exp and math.Log.

`, pinned, pages, c.rounds, c.time)
	t := table{w, []int{-16, -12}}
	top, head := []string{"", ""}, []string{"kernel", "shape"}
	for _, p := range c.paths {
		t.widths = append(t.widths, 9, 7, 7)
		top = append(top, p, "", "")
		head = append(head, "ns/el ", "GB/s", "x")
	}
	t.widths = append(t.widths, 9)
	t.line(append(top, "naive")...)
	t.line(append(head, "ns/el ")...)

	var versus []peerRow
	for _, k := range c.kernels {
		for _, s := range c.shapesOf(k) {
			ws := data.as(s)
			contenders, err := rightContenders(k, ws, c.paths)
			if err != nil {
				return err
			}
			n := len(contenders)
			row := peerRow{kernel: k, shape: s}
			at := make([]int, len(peers)) // Where each is among the contenders, or 0.
			for i, p := range peers {
				if !p.has(k) {
					continue
				}
				diff, err := compare(p, k, ws)
				if err != nil {
					row.failed = append(row.failed, err)
					continue
				}
				row.diff = max(row.diff, diff)
				at[i] = len(contenders)
				contenders = append(contenders, p.contender(k, s))
			}
			samples, err := measure(s, contenders, c.time, c.rounds, rng)
			if err != nil {
				return fmt.Errorf("%s %v: %w", k.name, s, err)
			}
			naive := samples[n-1]
			cells := []string{k.name, s.String()}
			for _, sample := range samples[:n-1] {
				cells = append(cells, r.ns(sample), gbps(k, sample), digitsOf(naive.median()/sample.median(), 2))
			}
			t.line(append(cells, r.ns(naive))...)
			for i, p := range peers {
				row.ours = append(row.ours, samples[slices.Index(c.paths, p.path())])
				row.theirs = append(row.theirs, nil)
				if at[i] > 0 {
					row.theirs[i] = samples[at[i]]
				}
			}
			versus = append(versus, row)
		}
	}
	if len(peers) > 0 {
		r.peers(w, peers, versus)
	}
	unpin()
	unpin = func() {} // The workers have all cores.
	if err := r.workers(w, c, data, rng); err != nil {
		return err
	}
	if r.noisy > 0 {
		fmt.Fprintf(w, "\n! marks %d of %d figures, whose quartiles are over %.0f %% of the median apart: something else ran.\n",
			r.noisy, r.cells, 100*noisy)
	} else {
		fmt.Fprintf(w, "\nThe quartiles of every figure are within %.0f %% of the median.\n", 100*noisy)
	}
	return nil
}

// rightContenders returns the package on the given paths and, last, the plain
// loop. It is an error if they do not agree.
func rightContenders(k kernel, w *workspace, paths []string) ([]contender, error) {
	part := w.slice(0, w.someRows(1<<18/w.cols))
	k.naive(&part)
	want := k.results(nil, &part)
	var all []contender
	for _, p := range paths {
		if err := logits.SetPath(p); err != nil {
			return nil, err
		}
		clear(part.y)
		clear(part.out)
		clear(part.index)
		if err := k.run(&part); err != nil {
			return nil, err
		}
		if err := agree(k, part.shape, k.results(nil, &part), want); err != nil {
			return nil, fmt.Errorf("%s differs from the plain loop: %w", p, err)
		}
		all = append(all, pathContender(k, w, p))
	}
	return append(all, naiveContender(k, w)), nil
}

// A peerRow is a line of the table of peers: one sample for each of them, or
// none from one that failed.
type peerRow struct {
	kernel       kernel
	shape        shape
	ours, theirs []sample
	diff         float64
	failed       []error
}

// peers prints how much longer the peers take.
func (r *report) peers(w io.Writer, peers []peer, rows []peerRow) {
	fmt.Fprint(w, `
Beside PyTorch, in the same rounds: x is its time over ours, build against like
build, and diff the largest difference between its results and ours.

`)
	t := table{w, []int{-16, -22, -12}}
	top, head := []string{"", "", ""}, []string{"kernel", "PyTorch's", "shape"}
	for _, p := range peers {
		t.widths = append(t.widths, 10, 9, 7)
		top = append(top, p.name(), p.path(), "")
		head = append(head, "ns/el ", "ns/el ", "x")
	}
	t.widths = append(t.widths, 10)
	t.line(append(top, "")...)
	t.line(append(head, "diff")...)
	for _, row := range rows {
		cells := []string{row.kernel.name, row.kernel.torch, row.shape.String()}
		for i := range peers {
			theirs, ratio := "- ", "-"
			if row.theirs[i] != nil {
				theirs, ratio = r.ns(row.theirs[i]), digitsOf(row.theirs[i].median()/row.ours[i].median(), 2)
			}
			cells = append(cells, theirs, digitsOf(row.ours[i].median(), 3)+" ", ratio)
		}
		t.line(append(cells, fmt.Sprintf("%.1e", row.diff))...)
	}
	for _, row := range rows {
		for _, err := range row.failed {
			fmt.Fprintf(w, "not timed: %v %v: %v\n", row.kernel.name, row.shape, err)
		}
	}
}

// workers prints what all workers give to the loss of big matrices.
func (r *report) workers(w io.Writer, c config, data *workspace, rng *rand.Rand) error {
	const big = 1 << 18 // Smaller ones are not split.
	k := kernelNamed("nll")
	n := runtime.GOMAXPROCS(0)
	if n == 1 || !slices.Contains(names(c.kernels), k.name) {
		return nil
	}
	shapes := slices.DeleteFunc(c.shapesOf(k), func(s shape) bool { return s.rows*s.cols < big })
	if len(shapes) == 0 {
		return nil
	}
	path := c.paths[0]
	if slices.Contains(c.paths, startPath) {
		path = startPath
	}
	if err := logits.SetPath(path); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nAll workers (%d), not pinned, %s; x is the gain over one worker.\n\n", n, path)
	t := table{w, []int{-12, -12, 9, 7, 7}}
	t.line("kernel", "shape", "ns/el ", "GB/s", "x")
	for _, s := range shapes {
		ws := data.as(s)
		with := func(name string, workers int) contender {
			ct := goContender(name, ws, k.run)
			ct.whole = true // A part would be split into fewer.
			run := ct.run
			ct.run = func(rows, calls int) (time.Duration, error) {
				logits.SetWorkers(workers)
				return run(rows, calls)
			}
			return ct
		}
		samples, err := measure(s, []contender{with("one worker", 1), with("all workers", 0)}, c.time, c.rounds, rng)
		if err != nil {
			return err
		}
		t.line(k.name, s.String(), r.ns(samples[1]), gbps(k, samples[1]), digitsOf(samples[0].median()/samples[1].median(), 2))
	}
	return nil
}
