package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
	"github.com/seed26845165/logits"
)

// A loop is what a path has to measure the machine with, in assembly for the
// paths in assembly.
type loop struct {
	fma   func(x *float32, b float32, n int) // n times x[i] += x[i]*b for all lanes
	lanes int
	read  func(x *float32, n int)              // n times loopStep elements
	copy  func(dst, x *float32, n int)         // the same
	write func(dst *float32, v float32, n int) // v to all of as many
}

// loopStep is how many elements the loops read, copy or write in one step.
const loopStep = 64

// loopOf returns the loop of a path.
func loopOf(path string) loop {
	if l, ok := loops[path]; ok {
		return l
	}
	return loop{fmaGeneric, 7, readGeneric, copyGeneric, writeGeneric}
}

// fmaGeneric multiplies and adds: Go has no fused operation that is fast on
// every machine. With more lanes the compiler would run out of registers.
func fmaGeneric(x *float32, b float32, n int) {
	p := (*[7]float32)(unsafe.Pointer(x))
	x0, x1, x2, x3, x4, x5, x6 := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	for range n {
		x0 += float32(x0 * b)
		x1 += float32(x1 * b)
		x2 += float32(x2 * b)
		x3 += float32(x3 * b)
		x4 += float32(x4 * b)
		x5 += float32(x5 * b)
		x6 += float32(x6 * b)
	}
	*p = [7]float32{x0, x1, x2, x3, x4, x5, x6}
}

// readGeneric reads one element at a time: portable Go has no larger loads.
func readGeneric(x *float32, n int) {
	all := unsafe.Slice((*uint32)(unsafe.Pointer(x)), n*loopStep)
	var a, b uint32
	for ; len(all) >= 8; all = all[8:] {
		a |= all[0] | all[1] | all[2] | all[3]
		b |= all[4] | all[5] | all[6] | all[7]
	}
	if all := a | b; all != readSink.Load() {
		readSink.Store(all)
	}
}

// readSink keeps the compiler from leaving the reading out. Stores of it at every
// turn would make several workers wait for each other.
var readSink atomic.Uint32

// copyGeneric and writeGeneric store one element after the other, as portable
// kernels do. The compiler does not make the runtime's copy and clear of them.
func copyGeneric(dst, x *float32, n int) {
	to, from := unsafe.Slice(dst, n*loopStep), unsafe.Slice(x, n*loopStep)
	for ; len(to) >= 8 && len(from) >= 8; to, from = to[8:], from[8:] {
		to[0] = from[0]
		to[1] = from[1]
		to[2] = from[2]
		to[3] = from[3]
		to[4] = from[4]
		to[5] = from[5]
		to[6] = from[6]
		to[7] = from[7]
	}
}

func writeGeneric(dst *float32, v float32, n int) {
	for to := unsafe.Slice(dst, n*loopStep); len(to) >= 8; to = to[8:] {
		to[0], to[1], to[2], to[3] = v, v, v, v
		to[4], to[5], to[6], to[7] = v, v, v, v
	}
}

// chainLength is how many additions and exclusive ors chain does in a step, each
// with the result of the one before.
const chainLength = 16

// chain does n steps. No compiler knows how to make the two kinds one; with
// constants for y and z, some CPUs do not take a cycle.
//
//go:noinline
func chain(x, y, z uint64, n int) uint64 {
	for range n {
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
		x = x + y ^ z
	}
	return x
}

var chainSink atomic.Uint64

// A level is a cache, or memory, whose capacity is 0.
type level struct {
	name     string
	capacity int // bytes
	shared   bool
}

// levels returns the caches and memory, and whether their sizes are guesses.
func levels() (all []level, guessed bool) {
	sizes := cacheSizes()
	if guessed = sizes[0] == 0; guessed {
		sizes = [3]int{32 << 10, 512 << 10, 0}
	}
	for i, size := range sizes {
		if size > 0 {
			all = append(all, level{fmt.Sprintf("L%d", i+1), size, i == 2})
		}
	}
	return append(all, level{"memory", 0, true}), guessed
}

// cacheSizes returns the bytes of the first three levels, 0 for those that are
// not there or not known: by CPUID, or else as Linux has them.
func cacheSizes() [3]int {
	c := cpuid.CPU.Cache
	sizes := [3]int{max(0, c.L1D), max(0, c.L2), max(0, c.L3)}
	if sizes[0] > 0 {
		return sizes
	}
	dirs, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*")
	for _, dir := range dirs {
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(dir, name))
			return strings.TrimSpace(string(b))
		}
		n, err := strconv.Atoi(read("level"))
		kib, err2 := strconv.Atoi(strings.TrimSuffix(read("size"), "K"))
		if err == nil && err2 == nil && n >= 1 && n <= 3 && read("type") != "Instruction" {
			sizes[n-1] = kib << 10
		}
	}
	return sizes
}

// workingSet returns how many bytes each of some workers has to go through for
// them to come from the level at index i: more than the levels before it hold.
func workingSet(all []level, i, workers int) int {
	l := all[i]
	if i == 0 && l.capacity > 0 {
		return l.capacity / 2
	}
	before := all[max(0, i-1)]
	size := int(math.Sqrt(float64(before.capacity) * float64(l.capacity)))
	if l.capacity == 0 {
		size = min(1<<30, max(64<<20, 4*before.capacity))
	}
	if l.shared {
		size /= workers
	}
	for _, private := range all[:i] {
		if !private.shared {
			size = max(size, 2*private.capacity)
		}
	}
	return size
}

// A limit is what the machine was seen to reach: billions of bytes a second, or
// of exponentials, fused multiply-adds, or additions one after the other.
type limit struct {
	Kind    string  `json:"kind"`            // read, write, copy, exp, fma or add
	Level   string  `json:"level,omitempty"` // of read, write and copy
	By      string  `json:"by"`              // a path, or go: the runtime
	Workers int     `json:"workers"`
	Bytes   int     `json:"bytes,omitempty"` // that each worker goes through
	Rate    float64 `json:"rate"`            // 1e9 a second
	Spread  float64 `json:"spread"`
}

// limits are those that were measured.
type limits []limit

// rate returns a limit, or 0 if it was not measured.
func (l limits) rate(kind, level, by string, workers int) float64 {
	for _, m := range l {
		if m.Kind == kind && m.Level == level && m.By == by && m.Workers == workers {
			return m.Rate
		}
	}
	return 0
}

// copyRate returns that of the path or of Go's own copy, whichever is faster:
// assembly can store past the caches too. Of the portable kernels, only copy does.
func (l limits) copyRate(level string, k kernel, path string, workers int) float64 {
	rate := l.rate("copy", level, path, workers)
	if path == "generic" && k.name != "copy" {
		return rate
	}
	return max(rate, l.rate("copy", level, "go", workers))
}

// clock returns the GHz that the CPU runs at while it works on a path: every
// core adds two integers in one cycle.
func (l limits) clock(path string, workers int) float64 {
	return l.rate("add", "", path, workers) / float64(workers)
}

// memory returns how few nanoseconds a kernel can take for moving an element, and
// what that takes: the bandwidth of the smallest level that holds all of its
// data. Without the limits it is 0.
func (l limits) memory(all []level, k kernel, s shape, path string, workers int) (float64, string) {
	var from string
	for _, level := range all {
		capacity := level.capacity
		if !level.shared {
			capacity *= workers
		}
		if from = level.name; capacity == 0 || k.bytes()*s.rows*s.cols <= capacity {
			break
		}
	}
	// A copy reads as much as it writes, and no kernel reads less.
	ns := nsOf(k.reads()-k.writes(), l.rate("read", from, path, workers)) + nsOf(2*k.writes(), l.copyRate(from, k, path, workers))
	if k.writes() > 0 {
		return ns, from + " copy"
	}
	return ns, from + " read"
}

// nsOf returns how many nanoseconds n take at a rate, or 0 if that is not known.
func nsOf(n int, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	return float64(n) / rate
}

// bound returns how few nanoseconds a kernel can take for an element, and which
// limit says so: memory's, or arithmetic. Without the limits it is 0.
func (l limits) bound(all []level, k kernel, s shape, path string, workers int) (float64, string) {
	memory, what := l.memory(all, k, s, path, workers)
	arithmetic, name := nsOf(k.ops, l.rate("fma", "", path, workers)), "FMA"
	if path == "generic" {
		arithmetic /= 2 // Its product and sum are two operations.
	}
	if k.is(exponential) {
		arithmetic, name = nsOf(1, l.rate("exp", "", path, workers)), "exp"
	}
	if arithmetic > memory {
		return arithmetic, name
	}
	return memory, what
}

// A probe is one thing to measure: what some workers do at once, each with its
// own part of the memory.
type probe struct {
	limit
	units int // of the limit, in one call of all workers
	run   func(worker int) error
}

// contender lets all workers make the calls. A single one is the caller, who
// may be pinned.
func (p probe) contender() contender {
	return contender{name: p.Kind + " " + p.By, whole: true, run: func(_, calls int) (time.Duration, error) {
		if p.By != "go" {
			if err := logits.SetPath(p.By); err != nil {
				return 0, err
			}
		}
		errs := make([]error, p.Workers)
		work := func(worker int) {
			for range calls {
				if err := p.run(worker); err != nil {
					errs[worker] = err
				}
			}
		}
		start := time.Now()
		if p.Workers == 1 {
			work(0)
		} else {
			var wg sync.WaitGroup
			for i := range p.Workers {
				wg.Go(func() { work(i) })
			}
			wg.Wait()
		}
		d := time.Since(start)
		for _, err := range errs {
			if err != nil {
				return 0, err
			}
		}
		return d, nil
	}}
}

// probeLevel returns the probes of a level: reading, copying and writing on
// every path, and Go's own copy and clear.
func probeLevel(paths []string, l level, bytes, workers int) []probe {
	n := bytes / 4 &^ (2*loopStep - 1) // Two halves of whole steps.
	memory := make([][]float32, workers)
	for i := range memory {
		memory[i] = make([]float32, n)
		for j := range memory[i] {
			memory[i][j] = 1
		}
	}
	add := func(kind, by string, run func(worker int) error) probe {
		return probe{limit{Kind: kind, Level: l.name, By: by, Workers: workers, Bytes: 4 * n}, 4 * n * workers, run}
	}
	probes := []probe{
		add("copy", "go", func(w int) error { copy(memory[w][:n/2], memory[w][n/2:]); return nil }),
		add("write", "go", func(w int) error { clear(memory[w]); return nil }),
	}
	for _, p := range paths {
		loop := loopOf(p)
		probes = append(probes,
			add("read", p, func(w int) error { loop.read(&memory[w][0], n/loopStep); return nil }),
			add("copy", p, func(w int) error { loop.copy(&memory[w][0], &memory[w][n/2], n/2/loopStep); return nil }),
			add("write", p, func(w int) error { loop.write(&memory[w][0], 1, n/loopStep); return nil }))
	}
	return probes
}

// probeArithmetic returns the probes of a path's arithmetic, whose data is in
// the second level at most. The exponential has two: the faster one counts.
func probeArithmetic(path string, workers int) []probe {
	const rows, cols = 4, 4096
	type memory struct {
		x, y, lanes []float32
		sums        [rows]float32
	}
	loop := loopOf(path)
	all := make([]memory, workers)
	for i := range all {
		all[i] = memory{x: make([]float32, rows*cols), y: make([]float32, rows*cols), lanes: make([]float32, loop.lanes)}
		fillRandom(all[i].x, rand.New(rand.NewPCG(1, uint64(i))).NormFloat64)
	}
	const steps = 1000
	return []probe{
		{limit{Kind: "fma", By: path, Workers: workers}, steps * loop.lanes * workers, func(w int) error {
			loop.fma(&all[w].lanes[0], 0, steps)
			return nil
		}},
		{limit{Kind: "add", By: path, Workers: workers}, steps * chainLength * workers, func(w int) error {
			chainSink.Store(chain(uint64(w), 1, 2, steps))
			return nil
		}},
		{limit{Kind: "exp", By: path, Workers: workers}, rows * cols * workers, func(w int) error {
			return logits.Exp(logits.Dense(rows, cols, all[w].y), logits.Dense(rows, cols, all[w].x))
		}},
		{limit{Kind: "exp", By: path, Workers: workers}, rows * cols * workers, func(w int) error {
			return logits.RowLogSumExp(all[w].sums[:], logits.Dense(rows, cols, all[w].x))
		}},
	}
}

// measureLimits measures what some workers reach together, one level after the
// other, the probes of a level in turns.
func measureLimits(c config, workers int, rng *rand.Rand, done func()) (limits, error) {
	defer logits.SetPath(logits.Path())
	all, _ := levels()
	var found limits
	measured := func(probes []probe) error {
		var contenders []contender
		for _, p := range probes {
			contenders = append(contenders, p.contender())
		}
		samples, err := measure(matrix(1, 1), contenders, c.time, c.rounds, rng)
		if err != nil {
			return fmt.Errorf("measuring the machine's limits: %w", err)
		}
		for i, p := range probes {
			// The fastest round: whatever else runs only takes from what there is.
			p.Rate, p.Spread = float64(p.units)/samples[i].quantile(0), samples[i].spread()
			if at := slices.IndexFunc(found, func(l limit) bool { return l.Kind == p.Kind && l.Level == p.Level && l.By == p.By }); at < 0 {
				found = append(found, p.limit)
			} else if p.Rate > found[at].Rate {
				found[at] = p.limit
			}
		}
		done()
		return nil
	}
	for i, l := range all {
		if err := measured(probeLevel(c.paths, l, workingSet(all, i, workers), workers)); err != nil {
			return nil, err
		}
	}
	runtime.GC() // Of the memory of the last level, which is large.
	for _, p := range c.paths {
		if err := measured(probeArithmetic(p, workers)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// limitSteps is how often measureLimits calls done.
func limitSteps(c config) int {
	all, _ := levels()
	return len(all) + len(c.paths)
}

// print prints the limits of some workers.
func (l limits) print(w io.Writer, c config, workers int) {
	all, guessed := levels()
	what := "one core"
	if workers > 1 {
		what = fmt.Sprintf("%d cores together", workers)
	}
	fmt.Fprintf(w, "\nLimits of %s\n\n", what)
	head := []string{"GB/s", ""}
	sets := []string{"", "working set"}
	t := table{w, []int{-7, -14}}
	for i, level := range all {
		head = append(head, level.name)
		sets = append(sets, size(workers*workingSet(all, i, workers)))
		t.widths = append(t.widths, 11)
	}
	t.line(head...)
	t.line(sets...)
	for _, kind := range []string{"read", "copy", "write"} {
		for _, by := range append(slices.Clone(c.paths), "go") {
			cells := []string{kind, by}
			for _, level := range all {
				if r := l.rate(kind, level.name, by, workers); r > 0 {
					cells = append(cells, digitsOf(r, 3))
				}
			}
			if len(cells) > 2 {
				t.line(cells...)
			}
		}
	}
	fmt.Fprintln(w)
	t = table{w, []int{-21, 11, 11, 11, 11}}
	t.line("G/s", "exp", "FMA", "GFLOP/s", "clock")
	for _, p := range c.paths {
		fma := l.rate("fma", "", p, workers)
		t.line(p, digitsOf(l.rate("exp", "", p, workers), 3), digitsOf(fma, 3), digitsOf(2*fma, 3), digitsOf(l.clock(p, workers), 3))
	}
	fmt.Fprint(w, `
A copy counts what it reads and what it writes, not what plain stores make a
cache read first; go is the runtime's copy and clear, which can do without that.
exp is the faster one of Exp and RowLogSumExp. An FMA has its operands in
registers; on the portable path it is a product and a sum. The clock, in GHz, is
how many additions a core makes that wait for each other.
`)
	if guessed {
		fmt.Fprintln(w, "\nThe sizes of the caches are not known: the levels are a guess.")
	}
}
