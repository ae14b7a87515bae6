package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/seed26845165/logits"
	"golang.org/x/term"
)

// A cell is a kernel at a shape, shared among a number of workers. All
// contenders for it are measured in turns.
type cell struct {
	kernel  kernel
	shape   shape
	workers int
}

// shareable is the size from which on the package splits a matrix.
const shareable = 1 << 18

// cells returns what to measure, those for one worker first.
func (c config) cells() []cell {
	var all []cell
	for _, n := range c.workers {
		for _, k := range c.kernels {
			for _, s := range c.shapesOf(k) {
				if n > 1 && (c.fewWorkers && !slices.Contains(sharedKernels, k.name) || s.rows*s.cols < shareable) {
					continue
				}
				all = append(all, cell{k, s, n})
			}
		}
	}
	return all
}

// sharedKernels are measured for several workers in a run that does not ask for
// a number of them, to keep it short.
var sharedKernels = []string{"softmax", "nll"}

// A figure is what one contender reached in a cell.
type figure struct {
	Kernel  string  `json:"kernel"`
	Shape   string  `json:"shape"`
	Workers int     `json:"workers"`
	By      string  `json:"by"`             // a path, naive, or a peer
	Peer    string  `json:"peer,omitempty"` // the path that a peer is compared with
	Samples sample  `json:"ns_per_element"` // one a round, sorted
	Median  float64 `json:"median"`
	Spread  float64 `json:"spread"`        // distance of the quartiles over the median
	GBps    float64 `json:"gb_per_second"` // every matrix read once, and written once where the result is one
	Naive   float64 `json:"times_naive"`   // how many times as fast as the plain loop
	Limit   string  `json:"limit,omitempty"`
	OfLimit float64 `json:"of_limit,omitempty"` // 1: as fast as the limit allows
}

// A session measures cells.
type session struct {
	c       config
	stderr  io.Writer // for the bar
	rng     *rand.Rand
	data    *workspace
	levels  []level
	limits  limits
	peers   []peer
	notes   []string // on the peers
	failed  []string // peers that were not timed, and why
	workers int
	said    string // on the core
	undo    []func()
	unpin   func()
}

// newSession prepares for measuring the cells of c and some more shapes.
func newSession(c config, stderr io.Writer, more ...shape) (*session, error) {
	s := &session{c: c, stderr: stderr, rng: rand.New(rand.NewPCG(c.seed, 1)), unpin: func() {}}
	s.levels, _ = levels()
	shapes := more
	for _, x := range c.cells() {
		shapes = append(shapes, x.shape)
	}
	if err := s.prepare(shapes); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) prepare(shapes []shape) error {
	// A collection in the middle of a turn would be measured with it.
	percent := debug.SetGCPercent(-1)
	path, procs := logits.Path(), runtime.GOMAXPROCS(0)
	s.undo = append(s.undo, func() {
		debug.SetGCPercent(percent)
		logits.SetPath(path)
		logits.SetWorkers(0)
		runtime.GOMAXPROCS(procs)
	})
	if err := s.use(1); err != nil {
		return err
	}
	s.data = newWorkspace(shapes...)
	if s.c.huge {
		if err := errors.Join(useHugePages(s.data.x), useHugePages(s.data.y), useHugePages(s.data.other)); err != nil {
			return fmt.Errorf("-hugepages: %w", err)
		}
	}
	s.data.fill(s.rng)
	if !s.c.peers {
		return nil
	}
	var stop func()
	var err error
	s.peers, s.notes, stop, err = startPeers(s.c.paths, s.data, s.c.huge)
	s.undo = append(s.undo, stop)
	return err
}

// close puts everything back as it was.
func (s *session) close() {
	s.unpin()
	for _, f := range slices.Backward(s.undo) {
		f()
	}
}

// use sets the number of workers. One alone is pinned, and what is started then
// stays on its core.
func (s *session) use(workers int) error {
	if s.workers == workers {
		return nil
	}
	s.workers = 0
	s.unpin()
	s.unpin = func() {}
	logits.SetWorkers(workers)
	runtime.GOMAXPROCS(workers)
	s.said = "not pinned"
	if workers == 1 {
		said, unpin, err := pin(s.c.pin)
		if err != nil {
			return err
		}
		s.said, s.unpin = said, unpin
	}
	s.workers = workers
	return nil
}

// measure returns the figures of a cell: those of the paths in their order,
// then the plain loop's, then the peers'.
func (s *session) measure(x cell) ([]figure, error) {
	ws := s.data.as(x.shape)
	contenders, err := rightContenders(x.kernel, ws, s.c.paths)
	if err != nil {
		return nil, err
	}
	if x.workers > 1 {
		for i := range s.c.paths {
			contenders[i].whole = true // A part would be split into fewer.
		}
	}
	naive := len(contenders) - 1
	rivals := make([]peer, len(contenders))
	if x.workers == 1 {
		for _, p := range s.peers {
			if !p.has(x.kernel) {
				continue
			}
			if err := compare(p, x.kernel, ws); err != nil {
				s.failed = append(s.failed, fmt.Sprintf("%s %v: %v", x.kernel.name, x.shape, err))
				continue
			}
			ct := p.contender(x.kernel, x.shape)
			ct.apart = true
			contenders = append(contenders, ct)
			rivals = append(rivals, p)
		}
	}
	samples, err := measure(x.shape, contenders, s.c.time, s.c.rounds, s.rng)
	if err != nil {
		return nil, fmt.Errorf("%s %v: %w", x.kernel.name, x.shape, err)
	}
	var figures []figure
	for i, sample := range samples {
		m := sample.median()
		f := figure{
			Kernel: x.kernel.name, Shape: x.shape.String(), Workers: x.workers, By: contenders[i].name,
			Samples: sample, Median: m, Spread: sample.spread(), GBps: float64(x.kernel.bytes()) / m,
			Naive: samples[naive].median() / m,
		}
		path := f.By
		if rivals[i] != nil {
			path = rivals[i].path()
			f.By, f.Peer = rivals[i].name(), path
		}
		if i == naive {
			f.Workers = 1 // Whatever the others have.
		} else if ns, what := s.limits.bound(s.levels, x.kernel, x.shape, path, x.workers); ns > 0 {
			f.Limit, f.OfLimit = what, ns/m
		}
		figures = append(figures, f)
	}
	return figures, nil
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
		part.loss = 0
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

// results is all that a run finds out.
type results struct {
	Machine  machine  `json:"machine"`
	Settings settings `json:"settings"`
	Peers    []string `json:"peers,omitempty"` // what runs, or what is missing
	Limits   limits   `json:"limits"`
	Figures  []figure `json:"figures"`
}

// settings are those that figures depend on.
type settings struct {
	Seconds   float64 `json:"seconds"` // a contender of a cell, all rounds together
	Rounds    int     `json:"rounds"`
	Seed      uint64  `json:"seed"`
	Core      string  `json:"core"` // whether one worker was pinned
	HugePages bool    `json:"huge_pages"`
}

// measureAll measures the machine's limits and all cells. A printer, if there is
// one, is shown what there is as it comes.
func (s *session) measureAll(show *printer) (*results, error) {
	r := &results{
		Machine:  thisMachine(),
		Settings: settings{s.c.time.Seconds(), s.c.rounds, s.c.seed, s.said, s.c.huge},
		Peers:    s.notes,
	}
	cells := s.c.cells()
	bar := stepBar(s.stderr, len(s.c.workers)*limitSteps(s.c)+len(cells))
	defer bar.Exit()
	for _, n := range s.c.workers {
		if err := s.use(n); err != nil {
			return nil, err
		}
		found, err := measureLimits(s.c, n, s.rng, func() { bar.Add(1) })
		if err != nil {
			return nil, err
		}
		s.limits = append(s.limits, found...)
		bar.Clear()
		show.limits(s, n)
		first := true
		for _, x := range cells {
			if x.workers != n {
				continue
			}
			figures, err := s.measure(x)
			if err != nil {
				return nil, err
			}
			bar.Clear()
			if first {
				show.head(s, n)
				first = false
			}
			show.figures(figures)
			r.Figures = append(r.Figures, figures...)
			bar.Add(1)
		}
	}
	r.Limits = s.limits
	return r, nil
}

// progress returns a bar, which is visible on a terminal only.
func progress(w io.Writer, most int64, options ...progressbar.Option) *progressbar.ProgressBar {
	f, ok := w.(*os.File)
	return progressbar.NewOptions64(most, append(options,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(f.Fd()))),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))...)
}

// stepBar returns a bar that counts what has been measured.
func stepBar(w io.Writer, steps int) *progressbar.ProgressBar {
	return progress(w, int64(steps), progressbar.OptionSetDescription("measuring"), progressbar.OptionShowCount())
}
