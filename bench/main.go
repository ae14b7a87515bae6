// Command bench reports what a CPU gives to package logits: its features and
// the paths they enable, the limits it was seen to have, losses of known value
// on every path, and the speed of every kernel beside a plain Go loop, beside
// those limits and, with -peers, beside other libraries. Its first argument may
// be a command that does something else: loss, check, accuracy, readme or limits.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
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

// commands are what the first argument may name.
var commands = map[string]func(args []string, stdout, stderr io.Writer) error{
	"accuracy": accuracyCommand,
	"check":    checkCommand,
	"limits":   limitsCommand,
	"loss":     lossCommand,
	"readme":   readmeCommand,
}

func run(args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			return command(args[1:], stdout, stderr)
		}
	}
	return speedCommand(args, stdout, stderr)
}

// config is what the flags say.
type config struct {
	kernels []kernel
	paths   []string
	shapes  []shape
	workers []int
	few     bool // the criteria at one matrix only
	// fewWorkers leaves all but a few kernels to one worker.
	fewWorkers bool
	time       time.Duration // to measure a contender of a cell for, all rounds together
	rounds     int
	pin        int // core to pin the thread to, -1 for the one it runs on
	seed       uint64
	peers      bool
	huge       bool // ask for huge pages
	format     string
	output     string // file
	plot       string // folder
}

const usage = `usage: go run ./bench [flags]
       go run ./bench loss|check|accuracy|readme|limits [flags]

Without a flag: the CPU, losses of known value, what the machine can reach, and a
table of speeds, in less than 30 seconds.

  go run ./bench -kernels nll,softmax -shapes 64x50257 -time 1s
  go run ./bench -kernels 'ce+grad,planar ce+grad'   at all shapes
  go run ./bench -cpu 1,2      with one goroutine, and with two
  go run ./bench -peers        other libraries beside it, in the same rounds
  go run ./bench -format json -o speed.json
  go run ./bench -plot DIR     pictures too
  go run ./bench CMD -h        what one of the commands does

`

const defaultShapes = "64x10,64x4096,64x50257,256x151936,8x21x65536"

// criterionShape is the matrix for the criteria in a run that names neither
// kernels nor shapes, to keep it short.
var criterionShape = matrix(64, 4096)

// speedFlags defines the flags that say what to measure; the function that it
// returns checks them after they have been parsed.
func speedFlags(fs *flag.FlagSet) (*config, func() error) {
	c := &config{paths: logits.Paths()}
	kernelNames := fs.String("kernels", strings.Join(names(kernels), ","), "kernels to measure, in this order")
	pathNames := fs.String("paths", strings.Join(c.paths, ","), "paths to measure")
	shapeNames := fs.String("shapes", defaultShapes,
		"shapes to measure, rows x columns, or samples x classes x positions for the planar kernels;\nif neither kernels nor shapes are named, the criteria are measured at one matrix")
	cores := "1"
	if n := min(runtime.NumCPU(), runtime.GOMAXPROCS(0)); n > 1 {
		cores = fmt.Sprintf("1,%d", n)
	}
	workers := fs.String("cpu", cores, "numbers of cores to measure with; if not named, few kernels are measured with more than 1,\nand never those too small to share")
	fs.DurationVar(&c.time, "time", 60*time.Millisecond, "time to measure each figure for")
	fs.IntVar(&c.rounds, "rounds", 7, "rounds, in each of which every contender has a turn")
	fs.IntVar(&c.pin, "pin", -1, "core to pin the thread to, -1 for the one it runs on")
	fs.Uint64Var(&c.seed, "seed", 1, "seed of the random data")
	fs.BoolVar(&c.peers, "peers", false, "measure other libraries too, those that are installed")
	fs.BoolVar(&c.huge, "hugepages", false, "put the data, the peers' too, into huge pages (Linux)")
	return c, func() error {
		if fs.NArg() > 0 {
			return fmt.Errorf("unexpected argument %q", fs.Arg(0))
		}
		if c.rounds < 1 {
			return fmt.Errorf("-rounds: %d is not positive", c.rounds)
		}
		if c.time <= 0 {
			return fmt.Errorf("-time: %v is not positive", c.time)
		}
		chosen, err := choose("kernels", *kernelNames, names(kernels))
		if err != nil {
			return err
		}
		for _, name := range chosen {
			c.kernels = append(c.kernels, kernelNamed(name))
		}
		if c.paths, err = choose("paths", *pathNames, c.paths); err != nil {
			return err
		}
		if c.shapes, err = parseShapes(*shapeNames); err != nil {
			return err
		}
		if c.workers, err = parseWorkers(*workers); err != nil {
			return err
		}
		c.few, c.fewWorkers = true, true
		fs.Visit(func(f *flag.Flag) {
			switch f.Name {
			case "kernels", "shapes":
				c.few = false
			case "cpu":
				c.fewWorkers = false
			}
		})
		if !slices.ContainsFunc(c.kernels, func(k kernel) bool { return len(c.shapesOf(k)) > 0 }) {
			return errors.New("none of the -kernels takes any of the -shapes: the planar ones take samples x classes x positions, the others rows x columns")
		}
		if len(c.cells()) == 0 {
			return fmt.Errorf("-cpu: all -shapes are too small to share: they have less than %d elements", shareable)
		}
		return nil
	}
}

func parseFlags(args []string, stderr io.Writer) (config, error) {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage)
		fs.PrintDefaults()
	}
	c, check := speedFlags(fs)
	fs.StringVar(&c.format, "format", "table", "what to print: "+strings.Join(formats, ", "))
	fs.StringVar(&c.output, "o", "", "`file` to print to")
	fs.StringVar(&c.plot, "plot", "", "`folder` for pictures, which take some more measurements")
	if err := fs.Parse(args); err != nil {
		return *c, err
	}
	if err := check(); err != nil {
		return *c, err
	}
	if !slices.Contains(formats, c.format) {
		return *c, fmt.Errorf("-format: %q is not one of %s", c.format, strings.Join(formats, ", "))
	}
	return *c, nil
}

// parseWorkers reads a comma-separated list of numbers of cores.
func parseWorkers(list string) ([]int, error) {
	var all []int
	for _, s := range strings.Split(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 1 || n > runtime.NumCPU() {
			return nil, fmt.Errorf("-cpu: %q is not a number from 1 to %d, the cores that this process may use", s, runtime.NumCPU())
		}
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all, nil
}

// shapesOf returns the shapes to measure a kernel at.
func (c config) shapesOf(k kernel) []shape {
	var shapes []shape
	for _, s := range c.shapes {
		if k.takes(s) && (!c.few || !k.is(criterion) || k.is(onPlanar) || s == criterionShape) {
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

// speedCommand is what runs without a command's name.
func speedCommand(args []string, stdout, stderr io.Writer) error {
	c, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if c.plot != "" { // Errors before measuring.
		if err := checkPictures(c.plot); err != nil {
			return err
		}
	}
	if c.output == "" {
		return report(c, args, stdout, stderr)
	}
	f, err := os.Create(c.output)
	if err != nil {
		return fmt.Errorf("-o: %w", err)
	}
	return errors.Join(report(c, args, f, stderr), f.Close())
}

// report measures and writes everything.
func report(c config, args []string, w, stderr io.Writer) error {
	start := time.Now()
	known := io.Discard
	var show *printer
	if c.format == "table" {
		show, known = &printer{w: w}, w
		thisMachine().print(w)
	}
	if err := reportKnown(known); err != nil {
		return err
	}
	var more []shape
	if c.plot != "" {
		more = plotShapes()
	}
	s, err := newSession(c, stderr, more...)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := s.measureAll(show)
	if err != nil {
		return err
	}
	show.end(s)
	if show != nil {
		fmt.Fprintln(w, r.trust())
	} else if n, all := r.noisy(); n > all/4 {
		fmt.Fprintln(stderr, r.trust())
	}
	if err := r.write(w, c.format); err != nil {
		return err
	}
	if c.plot != "" {
		all, err := s.pictures(r)
		if err != nil {
			return err
		}
		if err := savePictures(c.plot, commandLine(args), r, all); err != nil {
			return err
		}
		show.wrote(c.plot, all)
	}
	if show != nil {
		fmt.Fprintf(w, "\nTook %.1f s.\n", time.Since(start).Seconds())
	}
	return nil
}

// commandLine returns what runs this program with some arguments.
func commandLine(args []string) string {
	s := "go run ./bench"
	for _, arg := range args {
		if strings.ContainsAny(arg, " +*'\"") {
			arg = strconv.Quote(arg)
		}
		s += " " + arg
	}
	return s
}
