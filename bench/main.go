// Command bench reports what a CPU gives to package logits: its features and
// the paths they enable, losses of known value on every path, and the speed of
// every kernel beside a plain Go loop and, with -peers, beside PyTorch. With
// -accuracy it prints the worst errors instead.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed26845165/logits"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// config is what the flags say.
type config struct {
	kernels  []kernel
	paths    []string
	shapes   []shape
	few      bool          // the criteria at fewShapes of the matrices only
	time     time.Duration // to measure one cell for, all rounds together
	rounds   int
	cpu      int // core to pin the thread to, -1 for the one it runs on
	seed     uint64
	peers    bool
	accuracy bool
	huge     bool // ask for huge pages
}

const usage = `usage: go run ./bench [flags]

Without a flag: the CPU, losses of known value, and a table of speeds.

  go run ./bench -kernels nll,softmax -shapes 64x50257 -time 1s
  go run ./bench -kernels 'ce+grad,planar ce+grad'   at all shapes
  go run ./bench -peers        PyTorch beside it, in the same rounds
  go run ./bench -accuracy     the worst errors, as a Markdown table

`

func parseFlags(args []string, stderr io.Writer) (config, error) {
	c := config{paths: logits.Paths()}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	kernelNames := fs.String("kernels", strings.Join(names(kernels), ","), "kernels to measure")
	pathNames := fs.String("paths", strings.Join(c.paths, ","), "paths to measure")
	shapeNames := fs.String("shapes", "64x10,64x100,1x4096,64x4096,64x50257,256x151936,8x21x65536",
		"shapes to measure, rows x columns, or samples x classes x positions for the planar kernels;\nif neither kernels nor shapes are named, the criteria are measured at few")
	fs.DurationVar(&c.time, "time", 100*time.Millisecond, "time to measure one cell of the table for")
	fs.IntVar(&c.rounds, "rounds", 9, "rounds, in each of which every contender has a turn")
	fs.IntVar(&c.cpu, "cpu", -1, "core to pin the thread to, -1 for the one it runs on")
	fs.Uint64Var(&c.seed, "seed", 1, "seed of the random data")
	fs.BoolVar(&c.peers, "peers", false, "measure PyTorch too, if it is installed")
	fs.BoolVar(&c.accuracy, "accuracy", false, "print the worst errors, and no speeds")
	fs.BoolVar(&c.huge, "hugepages", false, "put the data, PyTorch's too, into huge pages (Linux)")
	if err := fs.Parse(args); err != nil {
		return c, err
	}
	if fs.NArg() > 0 {
		return c, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if c.rounds < 1 || c.time <= 0 {
		return c, errors.New("-rounds and -time must be positive")
	}
	chosen, err := choose("kernels", *kernelNames, names(kernels))
	if err != nil {
		return c, err
	}
	for _, k := range kernels {
		if slices.Contains(chosen, k.name) {
			c.kernels = append(c.kernels, k)
		}
	}
	if c.paths, err = choose("paths", *pathNames, c.paths); err != nil {
		return c, err
	}
	if c.shapes, err = parseShapes(*shapeNames); err != nil {
		return c, err
	}
	c.few = true
	fs.Visit(func(f *flag.Flag) {
		if f.Name == "kernels" || f.Name == "shapes" {
			c.few = false
		}
	})
	if !slices.ContainsFunc(c.kernels, func(k kernel) bool { return len(c.shapesOf(k)) > 0 }) {
		return c, errors.New("none of the -kernels takes any of the -shapes: the planar ones take samples x classes x positions, the others rows x columns")
	}
	return c, nil
}

// shapesOf returns the shapes to measure a kernel at.
func (c config) shapesOf(k kernel) []shape {
	var shapes []shape
	for _, s := range c.shapes {
		if k.takes(s) && (!c.few || !k.is(criterion) || k.is(onPlanar) || slices.Contains(fewShapes, s)) {
			shapes = append(shapes, s)
		}
	}
	return shapes
}

// choose returns the names of a comma-separated list, each of which must be valid.
func choose(flag, list string, valid []string) ([]string, error) {
	var chosen []string
	for _, name := range strings.Split(list, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(valid, name) {
			return nil, fmt.Errorf("-%s: %q is not one of %s", flag, name, strings.Join(valid, ", "))
		}
		if !slices.Contains(chosen, name) {
			chosen = append(chosen, name)
		}
	}
	return chosen, nil
}

func run(args []string, stdout, stderr io.Writer) error {
	start := time.Now()
	c, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	// The paths and the number of workers belong to the whole process.
	defer logits.SetPath(logits.Path())
	defer logits.SetWorkers(0)
	reportCPU(stdout)
	if c.accuracy {
		err = reportAccuracy(stdout, c)
	} else {
		if err = reportKnown(stdout); err == nil {
			err = reportSpeed(stdout, c)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nTook %.1f s.\n", time.Since(start).Seconds())
	return nil
}
