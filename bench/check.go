package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/seed26845165/logits"
)

const checkUsage = `usage: go run ./bench check [flags]

Runs random and special inputs through the whole package on every path that
this CPU has, and fails if a result is beyond the documented bounds, if the
accelerated paths differ in a bit, or if one differs from itself with another
stride, alignment or number of goroutines, or in place. A digest is the same on
every machine with the same seed, for all accelerated paths together.

`

// checkCommand proves the paths on this machine, without a Go installation.
func checkCommand(args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("check", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, checkUsage)
		fs.PrintDefaults()
	}
	seed := fs.Uint64("seed", 1, "seed of the random inputs")
	limit := fs.Duration("time", 0, "go on with the seeds that follow for this long")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("check: unexpected argument %q", fs.Arg(0))
	}
	if *limit < 0 {
		return fmt.Errorf("-time: %v, want 0 or more", *limit)
	}
	defer logits.SetPath(logits.Path())
	defer logits.SetWorkers(0)
	// Several goroutines on any machine.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(4, runtime.NumCPU())))

	start := time.Now()
	fmt.Fprintf(stdout, "CPU   %s\npaths %s\n", cpuName(), strings.Join(logits.Paths(), ", "))
	for s := *seed; ; s++ {
		c := newChecker(logits.Paths(), s)
		fmt.Fprintf(stdout, "\nSeed %d\n\n", s)
		if err := c.run(checkCases(s), stdout); err != nil {
			return err
		}
		if time.Since(start) >= *limit {
			break
		}
	}
	fmt.Fprintf(stdout, "\nNo differences. Took %.1f s.\n", time.Since(start).Seconds())
	return nil
}

// A checker compares what paths make of inputs.
type checker struct {
	paths   []string
	outputs func(path string, c *checkCase, l layout) ([]output, error)

	hashes   map[string]hash.Hash
	values   map[string]int
	failures map[string][]string
}

func newChecker(paths []string, seed uint64) *checker {
	c := &checker{
		paths: paths,
		outputs: func(path string, c *checkCase, l layout) ([]output, error) {
			if err := logits.SetPath(path); err != nil {
				return nil, err
			}
			logits.SetWorkers(l.workers)
			return outputs[float32](c, l)
		},
		hashes:   map[string]hash.Hash{},
		values:   map[string]int{},
		failures: map[string][]string{},
	}
	for _, p := range paths {
		c.hashes[p] = sha256.New()
		binary.Write(c.hashes[p], binary.LittleEndian, seed)
	}
	return c
}

// run prints a line for each path, and fails if there is a difference.
func (c *checker) run(cases []*checkCase, w io.Writer) error {
	for _, cs := range cases {
		if err := c.add(cs); err != nil {
			return err
		}
	}
	t := table{w, []int{-10, -8, 12, 19}}
	t.line("path", "", "values", "digest")
	var failed []string
	for _, p := range c.paths {
		verdict := "right"
		if len(c.failures[p]) > 0 {
			verdict = "WRONG"
			failed = append(failed, p)
		}
		t.line(p, verdict, fmt.Sprint(c.values[p]), fmt.Sprintf("%.8x", c.hashes[p].Sum(nil)))
	}
	if failed == nil {
		return nil
	}
	const most = 10
	for _, p := range failed {
		fmt.Fprintln(w)
		for _, f := range c.failures[p][:min(most, len(c.failures[p]))] {
			fmt.Fprintf(w, "%s: %s\n", p, f)
		}
		if n := len(c.failures[p]); n > most {
			fmt.Fprintf(w, "%s: and %d more\n", p, n-most)
		}
	}
	return fmt.Errorf("check: wrong results on %s", strings.Join(failed, ", "))
}

// add runs a case on all paths.
func (c *checker) add(cs *checkCase) error {
	exact, err := outputs[float64](cs, layout{})
	if err != nil {
		return err
	}
	if err := cs.checkExact(exact); err != nil {
		return fmt.Errorf("the float64 path: %w", err)
	}
	var accelerated []output
	like := ""
	for _, p := range c.paths {
		fail := func(format string, args ...any) {
			c.failures[p] = append(c.failures[p], fmt.Sprintf("%dx%d: ", cs.rows, cs.cols)+fmt.Sprintf(format, args...))
		}
		var first []output
		for i, l := range layouts {
			got, err := c.outputs(p, cs, l)
			if errors.Is(err, errSpilled) {
				fail("%v: %v", l, err)
				continue
			} else if err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
			if i > 0 {
				if d := differentBits(got, first); d != "" {
					fail("%v: %s in %v", l, d, layouts[0])
				}
				continue
			}
			first = got
			for j, o := range got {
				if d := o.beyond(exact[j]); d != "" {
					fail("%s", d)
				}
				o.hash(c.hashes[p])
				c.values[p] += len(o.values)
			}
		}
		if p == "generic" || first == nil {
			continue
		}
		if accelerated == nil {
			accelerated, like = first, p
		} else if d := differentBits(first, accelerated); d != "" {
			// Either may be the one that is wrong.
			fail("%s on %s", d, like)
			c.failures[like] = append(c.failures[like], fmt.Sprintf("%dx%d: differs from %s: %s", cs.rows, cs.cols, p, d))
		}
	}
	return nil
}

// A layout says where the matrices lie, and how many goroutines there may be.
type layout struct {
	pad, offset int
	inPlace     bool
	workers     int // 0: all
}

func (l layout) String() string {
	s := fmt.Sprintf("stride +%d, offset %d", l.pad, l.offset)
	if l.inPlace {
		s += ", in place"
	}
	if l.workers == 1 {
		return s + ", one goroutine"
	}
	return s + ", several goroutines"
}

// layouts are those that the results have to be the same for.
var layouts = []layout{{workers: 1}, {pad: 3, offset: 1}, {pad: 1, offset: 2, inPlace: true}}

// An output is what one function returned.
type output struct {
	name   string
	values []float64
	// bound is the largest error of value i; +Inf allows anything.
	bound func(i int, exact float64) float64
}

// hash adds the bits of the values, all NaNs alike.
func (o output) hash(h hash.Hash) {
	b := []byte(o.name)
	for _, v := range o.values {
		if v != v {
			v = math.NaN()
		}
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	h.Write(b)
}

// beyond describes the first value that is farther from the exact one than
// allowed, or is empty.
func (o output) beyond(exact output) string {
	for i, v := range o.values {
		if bound := exact.bound(i, exact.values[i]); !within(v, exact.values[i], bound) {
			return fmt.Sprintf("%s: value %d is %v, want %v within %.3g", o.name, i, v, exact.values[i], bound)
		}
	}
	return ""
}

func within(v, exact, bound float64) bool {
	switch {
	case v == exact, math.IsInf(bound, 1):
		return true
	case v != v || exact != exact:
		return v != v && exact != exact
	case math.IsInf(v, 0): // A float32 that overflowed.
		return v > 0 == (exact > 0) && math.Abs(exact)+bound >= math.MaxFloat32
	}
	return math.Abs(v-exact) <= bound
}

// differentBits describes the first value that differs, or is empty.
func differentBits(got, want []output) string {
	for i, w := range want {
		for j, v := range w.values {
			g := got[i].values[j]
			if math.Float64bits(g) != math.Float64bits(v) && (g == g || v == v) {
				return fmt.Sprintf("%s: value %d is %v, but %v", w.name, j, g, v)
			}
		}
	}
	return ""
}

// A checkCase is a matrix and what the functions need beside it.
type checkCase struct {
	rows, cols int
	x          []float32
	other      []float32 // finite and not large
	probs      []float32 // above 0; a row adds up to about 1
	targets    []int
	ignoring   []int   // some of them -100
	counting   float64 // targets that are not, or 1
	weight     []float32

	// Of the rows of x: the maximum, the sum of the magnitudes, and whether
	// there are numbers so large that float32 overflows where float64 does not.
	max, magnitude []float64
	span           []float64 // how far those that count in float32 reach below the maximum
	huge           []bool
	anyHuge        bool
}

// checkShapes have tails of all lengths, blocks and chunks with one more or
// less, and, at the end, enough to be split over goroutines.
var checkShapes = func() []shape {
	var s []shape
	for cols := 1; cols <= 66; cols++ {
		s = append(s, matrix(13, cols))
	}
	for _, cols := range []int{95, 96, 97, 100, 127, 128, 129, 255, 257, 511, 513, 1000, 1023, 1025, 2047, 2048, 2049, 4095, 4097, 8193, 16385} {
		s = append(s, matrix(5, cols))
	}
	return append(s, matrix(27_000, 10), matrix(9, 30_011), matrix(2, 151_936), matrix(1, 270_003))
}()

// checkCases returns the inputs for a seed. They depend on no function of
// mathematics, so that they are the same on every machine.
func checkCases(seed uint64) []*checkCase {
	rng := rand.New(rand.NewPCG(seed, 3))
	var cases []*checkCase
	for _, s := range checkShapes {
		cases = append(cases, newCheckCase(rng, s.rows, s.cols))
	}
	return cases
}

func newCheckCase(rng *rand.Rand, rows, cols int) *checkCase {
	c := &checkCase{rows: rows, cols: cols}
	c.x = make([]float32, rows*cols)
	c.other = make([]float32, rows*cols)
	c.probs = make([]float32, rows*cols)
	first := rng.IntN(len(checkKinds))
	for i := range rows {
		checkKinds[(first+i)%len(checkKinds)](rng, c.x[i*cols:(i+1)*cols])
		c.targets = append(c.targets, rng.IntN(cols))
		c.ignoring = append(c.ignoring, c.targets[i])
		if rng.IntN(5) == 0 {
			c.ignoring[i] = -100
		} else {
			c.counting++
		}
		var total float32
		probs := c.probs[i*cols : (i+1)*cols]
		for j := range probs {
			probs[j] = float32(1+rng.Uint32N(1<<20)) * 0x1p-20
			total += probs[j]
		}
		for j := range probs {
			probs[j] /= total
		}
		c.measureRow(c.x[i*cols : (i+1)*cols])
	}
	c.counting = max(1, c.counting)
	multiples(1<<22, 0x1p-20)(rng, c.other)
	for range cols {
		c.weight = append(c.weight, 0.5+float32(rng.Uint32N(1<<20))*0x1p-20)
	}
	return c
}

func (c *checkCase) measureRow(x []float32) {
	m, magnitude, huge := math.Inf(-1), 0.0, false
	for _, v := range x {
		v := float64(v)
		m = max(m, v)
		magnitude += math.Abs(v)
		huge = huge || math.Abs(v) > 1e15 && !math.IsInf(v, 0)
	}
	span := 0.0
	for _, v := range x {
		if below := m - float64(v); below < 120 {
			span = max(span, below)
		}
	}
	c.max = append(c.max, m)
	c.span = append(c.span, span)
	c.magnitude = append(c.magnitude, magnitude)
	c.huge = append(c.huge, huge)
	c.anyHuge = c.anyHuge || huge
}

// multiples fills x with multiples of unit below n units.
func multiples(n uint32, unit float32) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = float32(int32(rng.Uint32N(2*n-1))-int32(n-1)) * unit
		}
	}
}

func fromBits(bits func(rng *rand.Rand) uint32) func(rng *rand.Rand, x []float32) {
	return func(rng *rand.Rand, x []float32) {
		for i := range x {
			x[i] = math.Float32frombits(bits(rng))
		}
	}
}

var inf32 = float32(math.Inf(1))

// checkKinds fill rows.
var checkKinds = []func(rng *rand.Rand, x []float32){
	multiples(1<<24, 0x1p-21),
	multiples(1<<24, 0x1p-24),
	multiples(1<<24, 0x1p-15),
	multiples(3, 1), // with ties
	func(rng *rand.Rand, x []float32) { // masked
		multiples(1<<22, 0x1p-18)(rng, x)
		for i := range x {
			if rng.IntN(3) == 0 {
				x[i] = -inf32
			}
		}
	},
	func(rng *rand.Rand, x []float32) { // confident
		multiples(1<<22, 0x1p-20)(rng, x)
		x[rng.IntN(len(x))] = 10 + float32(rng.IntN(60))
	},
	fromBits(func(rng *rand.Rand) uint32 { return rng.Uint32() & 0x80000fff }),            // zeros and subnormals
	fromBits(func(rng *rand.Rand) uint32 { return rng.Uint32() &^ (1 << 29) }),            // up to 2^65
	fromBits(func(rng *rand.Rand) uint32 { return rng.Uint32()&0x80ffffff | 0x42000000 }), // 32 to 128, where exp ends
	func(rng *rand.Rand, x []float32) { // one special value
		multiples(1<<22, 0x1p-18)(rng, x)
		special := []float32{float32(math.NaN()), inf32, -math.MaxFloat32, math.MaxFloat32}
		x[rng.IntN(len(x))] = special[rng.IntN(len(special))]
	},
	func(_ *rand.Rand, x []float32) {
		for i := range x {
			x[i] = -inf32
		}
	},
	fromBits(func(rng *rand.Rand) uint32 { return rng.Uint32() }),
}
