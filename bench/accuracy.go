package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/seed26845165/logits"
)

const accuracyUsage = `usage: go run ./bench accuracy [flags]

Prints the worst errors against float64 as Markdown tables, and fails if one of
ours is over the bound that the package promises.

`

// accuracyCommand prints the errors of every path, and of peers beside them.
func accuracyCommand(args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("accuracy", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, accuracyUsage)
		fs.PrintDefaults()
	}
	pathNames := fs.String("paths", strings.Join(logits.Paths(), ","), "paths to measure")
	stride := fs.Int("stride", 101, "exp takes one float32 in this many")
	all := fs.Bool("all", false, "exp takes all 2^32 of them; the same as -stride 1")
	seed := fs.Uint64("seed", 1, "seed of the random data")
	withPeers := fs.Bool("peers", false, "other libraries too, those that are installed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("accuracy: unexpected argument %q", fs.Arg(0))
	}
	const most = 1 << 20
	if *stride < 1 || *stride > most {
		return fmt.Errorf("-stride: %d is not in [1, %d]", *stride, most)
	}
	if *all {
		*stride = 1
	}
	paths, err := choose("paths", *pathNames, logits.Paths())
	if err != nil {
		return err
	}
	defer logits.SetPath(logits.Path())

	var engines []*engine
	for _, p := range paths {
		engines = append(engines, &engine{name: p})
	}
	if *withPeers {
		peers, notes, stop, err := startPeers(paths, newWorkspace(matrix(1, 1)), false)
		defer stop()
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%s\n\n", strings.Join(notes, "\n"))
		for _, p := range peers {
			engines = append(engines, &engine{name: p.name(), peer: p})
		}
	}
	bar := stepBar(stderr, 1<<32/expChunk / *stride + 1 + len(accuracyScales)*len(accuracyLengths))
	err = measureErrors(engines, rand.New(rand.NewPCG(*seed, 2)), *stride, accuracyLengths, func() { bar.Add(1) })
	bar.Exit()
	if err != nil {
		return err
	}
	wrong, err := measureSpecials(engines)
	if err != nil {
		return err
	}
	return errors.Join(printErrors(stdout, engines, *stride), printSpecials(stdout, engines, wrong))
}

// An errorKind is a line of the table of errors.
type errorKind int

const (
	expULP errorKind = iota
	sumError
	lseError
	logSoftmaxError
	nllError
	smallLoss
	softmaxError
	softmaxBeyond
	totals
	wrongMax
	errorKinds
)

// errorNames says what each line holds, and the bound that the package promises.
var errorNames = [errorKinds]struct {
	name  string
	bound float64
}{
	expULP:          {"`Exp`, ULP", 1},
	sumError:        {"`RowSum`, of the sum of magnitudes", 1e-6},
	lseError:        {"`RowLogSumExp`, of max(1, \\|exact\\|)", 4e-7},
	logSoftmaxError: {"`LogSoftmax`, of max(1, \\|exact\\|)", 4e-7},
	nllError:        {"`LogSoftmaxNLL`, of max(1, exact)", 4e-7},
	smallLoss:       {"`LogSoftmaxNLL`, relative, losses of 1e-35 to 0.1", 1e-6},
	softmaxError:    {"`Softmax`, relative", math.Inf(1)}, // The next line has the bound.
	softmaxBeyond:   {"`Softmax`, relative, less d", 6e-7},
	totals:          {"`Softmax`, a row's total - 1", 1.5e-6},
	wrongMax:        {"`RowMax`, `RowArgMax`, wrong rows", 0},
}

// errorsOf holds the worst that one engine reached, by kind; it lacks those
// that were not measured.
type errorsOf map[errorKind]float64

// worst notes an error; NaN, from a result that is NaN or infinite where the
// exact one is not, counts as infinite.
func (e errorsOf) worst(m errorKind, err float64) {
	if math.IsNaN(err) {
		err = math.Inf(1)
	}
	e[m] = max(e[m], err)
}

// An engine computes kernels: the package on a path, or a peer.
type engine struct {
	name   string
	peer   peer
	errors errorsOf
	// parts holds the errors of a part of the data, by its name.
	parts map[string]errorsOf
	now   []string // the parts that the data belongs to
}

// worst notes an error.
func (e *engine) worst(m errorKind, err float64) {
	if e.errors == nil {
		e.errors, e.parts = errorsOf{}, map[string]errorsOf{}
	}
	e.errors.worst(m, err)
	for _, part := range e.now {
		if e.parts[part] == nil {
			e.parts[part] = errorsOf{}
		}
		e.parts[part].worst(m, err)
	}
}

func (e *engine) has(k kernel) bool { return e.peer == nil || e.peer.has(k) }

// results returns what the kernel makes of w.
func (e *engine) results(dst []float32, k kernel, w *workspace) ([]float32, error) {
	if e.peer != nil {
		return e.peer.result(dst[:0], k, w.shape)
	}
	if err := logits.SetPath(e.name); err != nil {
		return nil, err
	}
	if err := k.run(w); err != nil {
		return nil, err
	}
	return k.results(dst[:0], w), nil
}

// prepare hands new data to the engines that keep a copy.
func prepare(engines []*engine, w *workspace) error {
	for _, e := range engines {
		if e.peer != nil {
			if err := e.peer.load(w); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	accuracyScales  = []float64{0.01, 0.1, 1, 10, 100, 1000, 10000}
	accuracyLengths = []int{1, 2, 3, 7, 10, 33, 100, 1000, 4096, 50257, 100_000, 1_000_000}
)

// printErrors prints the tables of errors, for README.md among others.
func printErrors(w io.Writer, engines []*engine, stride int) error {
	lines := markdown{w, engines}
	lines.head("worst error, float32", "bound")
	var failed []string
	for kind, n := range errorNames {
		kind := errorKind(kind)
		lines.line(func(e *engine) string { return errorCell(kind, e.errors) }, n.name, errorText(kind, n.bound))
		for _, e := range engines {
			if err := e.errors[kind]; e.peer == nil && err > n.bound {
				failed = append(failed, fmt.Sprintf("%s: %s is %g, want at most %g", e.name, n.name, err, n.bound))
			}
		}
	}
	fmt.Fprintf(w, `
Against float64: `+"`Exp`"+` at one float32 in %d, the others for normal numbers times
%g to %g in rows of 1 to %d. The small losses are those of rows
whose target is 10 to 80 above the rest, x - max exact; a relative error of 1
there is a loss of 0. d is |x - max| * 2^-24, the rounding of x - max, for
probabilities above 1e-37.
`, stride, accuracyScales[0], accuracyScales[len(accuracyScales)-1], accuracyLengths[len(accuracyLengths)-1])

	for _, kind := range []errorKind{nllError, softmaxError} {
		fmt.Fprintf(w, "\n%s: over scales, and over lengths of the rows\n\n", errorNames[kind].name)
		lines.head("numbers, or rows")
		for _, scale := range accuracyScales {
			lines.line(func(e *engine) string { return errorCell(kind, e.parts[scalePart(scale)]) }, scalePart(scale))
		}
		for _, cols := range accuracyLengths {
			lines.line(func(e *engine) string { return errorCell(kind, e.parts[lengthPart(cols)]) }, lengthPart(cols))
		}
	}
	fmt.Fprint(w, "\nSmall losses, relative\n\n")
	lines.head("loss at least")
	for _, least := range smallLossSteps {
		lines.line(func(e *engine) string { return errorCell(smallLoss, e.parts[lossPart(least)]) }, lossPart(least))
	}
	if failed != nil {
		return fmt.Errorf("over the bounds: %s", strings.Join(failed, "; "))
	}
	return nil
}

func scalePart(scale float64) string { return fmt.Sprintf("normal times %g", scale) }

func lengthPart(cols int) string { return fmt.Sprintf("of %d columns", cols) }

func lossPart(least float64) string { return fmt.Sprintf("%.0e", least) }

// smallLossSteps divide the small losses.
var smallLossSteps = []float64{1e-3, 1e-6, 1e-7, 1e-8, 1e-12, 1e-20, 1e-30, 1e-38}

// markdown prints a table with a column for each engine.
type markdown struct {
	w       io.Writer
	engines []*engine
}

func (m markdown) head(titles ...string) {
	m.line(func(e *engine) string { return e.name }, titles...)
	fmt.Fprintf(m.w, "|%s\n", strings.Repeat(" --- |", len(titles)+len(m.engines)))
}

func (m markdown) line(cell func(e *engine) string, first ...string) {
	for _, e := range m.engines {
		first = append(first, cell(e))
	}
	fmt.Fprintf(m.w, "| %s |\n", strings.Join(first, " | "))
}

// errorCell is empty but for a dash where nothing was measured.
func errorCell(kind errorKind, e errorsOf) string {
	err, ok := e[kind]
	switch {
	case !ok:
		return "-"
	case math.IsInf(err, 1):
		return "Inf"
	}
	return errorText(kind, err)
}

func errorText(kind errorKind, v float64) string {
	switch {
	case math.IsInf(v, 1) && kind == softmaxError:
		return "6e-7 + d"
	case kind == expULP && v != 1:
		return fmt.Sprintf("%.3f", v)
	}
	return strings.Replace(fmt.Sprintf("%.2g", v), "e-0", "e-", 1)
}

// measureErrors fills in the errors of the engines. It calls step after each
// chunk of exp and each matrix of random rows.
func measureErrors(engines []*engine, rng *rand.Rand, stride int, lengths []int, step func()) error {
	for _, e := range engines {
		e.now = nil
	}
	if err := expErrors(engines, stride, step); err != nil {
		return err
	}
	for _, scale := range accuracyScales {
		for _, cols := range lengths {
			for _, e := range engines {
				e.now = []string{scalePart(scale), lengthPart(cols)}
			}
			if err := rowErrors(engines, randomRows(rng, scale, cols, 200_000)); err != nil {
				return err
			}
			step()
		}
	}
	for _, cols := range []int{2, 10, 100, 4096} {
		if err := smallLosses(engines, confidentRows(rng, cols)); err != nil {
			return err
		}
	}
	return nil
}

// expChunk is how many numbers go through exp at a time.
const expChunk = 1 << 21

// expErrors sends every stride-th float32 through exp, special values too.
func expErrors(engines []*engine, stride int, step func()) error {
	k := kernelNamed("exp")
	ws := newWorkspace(matrix(1, expChunk))
	want, ulps := make([]float64, expChunk), make([]float64, expChunk)
	var got []float32
	for bits := uint64(0); bits < 1<<32; {
		n := 0
		for ; n < expChunk && bits < 1<<32; bits += uint64(stride) {
			x := math.Float32frombits(uint32(bits))
			ws.x[n] = x
			want[n] = math.Exp(float64(x))
			ulps[n] = 1 / ulp(want[n])
			n++
		}
		part := ws.as(matrix(1, n))
		if err := prepare(engines, part); err != nil {
			return err
		}
		for _, e := range engines {
			if !e.has(k) {
				continue
			}
			var err error
			if got, err = e.results(got, k, part); err != nil {
				return err
			}
			var worst float64
			for i, g := range got {
				// Not greater, rather than smaller, so that NaN gets in.
				if d := math.Abs(float64(g)-want[i]) * ulps[i]; !(d <= worst) && !sameSpecial(g, want[i]) {
					worst = d
				}
			}
			e.worst(expULP, worst)
		}
		step()
	}
	return nil
}

// sameSpecial reports whether got is the float32 for a result that is not finite.
func sameSpecial(got float32, want float64) bool {
	return got != got && want != want || math.IsInf(float64(got), 1) && float32(want) == got
}

// ulp is the spacing of float32 at v, which it has from the binade that v is in.
func ulp(v float64) float64 {
	switch {
	case v == 0:
		return 0x1p-149
	case math.IsInf(v, 0) || v != v:
		return 1
	}
	_, e := math.Frexp(min(v, math.MaxFloat32))
	return math.Ldexp(1, max(e-24, -149))
}

// randomRows returns normal numbers times scale: about n of them, but at most
// 64 rows, and at least one.
func randomRows(rng *rand.Rand, scale float64, cols, n int) *workspace {
	s := matrix(min(64, max(1, n/cols)), cols)
	ws := newWorkspace(s)
	for i := range ws.x {
		ws.x[i] = float32(rng.NormFloat64() * scale)
	}
	for i := range ws.targets {
		ws.targets[i] = rng.IntN(cols)
	}
	return ws.as(s)
}

// rowErrors notes the errors of the kernels that work on rows.
func rowErrors(engines []*engine, w *workspace) error {
	if err := prepare(engines, w); err != nil {
		return err
	}
	refs := make([]reference, w.rows)
	for i := range refs {
		refs[i] = newReference(w.row(i))
	}
	for _, e := range engines {
		note := func(kernel string, f func(i int, r *reference, x, got []float32)) error {
			k := kernelNamed(kernel)
			if !e.has(k) {
				return nil
			}
			got, err := e.results(nil, k, w)
			if err != nil {
				return err
			}
			n := len(got) / w.rows
			for i := range refs {
				f(i, &refs[i], w.row(i), got[i*n:(i+1)*n])
			}
			return nil
		}
		relative := func(m errorKind, got float32, want float64) {
			e.worst(m, math.Abs(float64(got)-want)/max(1, math.Abs(want)))
		}
		wrong := func(bad bool) {
			e.worst(wrongMax, 0)
			if bad {
				e.errors[wrongMax]++
			}
		}
		for _, err := range []error{
			note("max", func(_ int, r *reference, _, got []float32) { wrong(float64(got[0]) != r.max) }),
			note("argmax", func(_ int, r *reference, _, got []float32) { wrong(int(got[0]) != r.argMax) }),
			note("sum", func(_ int, r *reference, _, got []float32) {
				e.worst(sumError, math.Abs(float64(got[0])-r.sum)/r.magnitudes)
			}),
			note("log-sum-exp", func(_ int, r *reference, _, got []float32) { relative(lseError, got[0], r.max+r.log) }),
			note("nll", func(i int, r *reference, x, got []float32) {
				relative(nllError, got[0], r.max-float64(x[w.targets[i]])+r.log)
			}),
			note("log-softmax", func(_ int, r *reference, x, got []float32) {
				for j, g := range got {
					relative(logSoftmaxError, g, float64(x[j])-r.max-r.log)
				}
			}),
			note("softmax", func(_ int, r *reference, x, got []float32) {
				var total float64
				for j, g := range got {
					total += float64(g)
					d := float64(x[j]) - r.max
					want := math.Exp(d) / r.total
					if want > 1e-37 {
						err := math.Abs(float64(g)-want) / want
						e.worst(softmaxError, err)
						e.worst(softmaxBeyond, err+d*0x1p-24)
					}
				}
				e.worst(totals, math.Abs(total-1))
			}),
		} {
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// A reference holds what is known of a row in float64.
type reference struct {
	max, sum, magnitudes float64
	argMax               int
	total, log           float64 // sum of e^(x-max), and its logarithm
}

func newReference(x []float32) reference {
	r := reference{max: math.Inf(-1)}
	for i, v := range x {
		v := float64(v)
		if v > r.max {
			r.max, r.argMax = v, i
		}
		r.sum += v
		r.magnitudes += math.Abs(v)
	}
	var others float64
	for i, v := range x {
		if i != r.argMax {
			others += math.Exp(float64(v) - r.max)
		}
	}
	r.total, r.log = 1+others, math.Log1p(others)
	return r
}

// confidentRows returns rows whose first element, the target, is 0, and the
// others 10 to 80 below it, so that x - max is exact.
func confidentRows(rng *rand.Rand, cols int) *workspace {
	s := matrix(70, cols)
	ws := newWorkspace(s)
	for i := range s.rows {
		for j := 1; j < cols; j++ {
			ws.x[i*cols+j] = float32(-float64(10+i) - rng.Float64())
		}
	}
	return ws.as(s)
}

// smallLosses notes the relative errors of the losses of confidentRows.
func smallLosses(engines []*engine, w *workspace) error {
	if err := prepare(engines, w); err != nil {
		return err
	}
	for _, e := range engines {
		if !e.has(kernelNamed("nll")) {
			continue
		}
		got, err := e.results(nil, kernelNamed("nll"), w)
		if err != nil {
			return err
		}
		for i, g := range got {
			r := newReference(w.row(i))
			e.now = nil
			for _, least := range smallLossSteps {
				if r.log >= least {
					e.now = []string{lossPart(least)}
					break
				}
			}
			e.worst(smallLoss, math.Abs(float64(g)-r.log)/r.log)
		}
	}
	return nil
}
