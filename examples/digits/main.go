// Command digits shows what the loss does to a classifier. It trains a linear
// model, which with cross-entropy is multinomial logistic regression, and a
// small network on handwritten digits, each once with cross-entropy and once
// with MSE against one-hot labels, and draws the learning curves.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/seed26845165/logits"
	"github.com/seed26845165/logits/examples/internal/picture"
	"golang.org/x/term"
	"gonum.org/v1/gonum/blas/blas32"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "digits:", err)
		os.Exit(1)
	}
}

const (
	hidden   = 48 // units of the network
	batch    = 50 // rows, a divisor of trainOn
	momentum = 0.9
	sigma    = 1 // standard deviation of the weights' prior
	// The mean loss of the rows is 1/trainOn of their negative log-likelihood,
	// and so the prior beside it is as well: the negative log of
	// exp(-w^2 / 2 sigma^2), divided by trainOn.
	lambda = 1. / (trainOn * sigma * sigma)
	seed   = 1
)

// A training is one model and what became of it.
type training struct {
	model     string
	sizes     []int
	criterion criterion
	rate      float32 // of learning, at the beginning

	m     model
	rng   *rand.Rand
	curve []score // one an epoch
}

// A score is how a model does on the rows that it trains on and on those held
// out.
type score struct {
	loss, accuracy, prior        float64
	heldOutLoss, heldOutAccuracy float64
}

func (t *training) name() string { return t.model + ", " + t.criterion.name }

func trainings() []*training {
	linear, network := []int{pixels, classes}, []int{pixels, hidden, classes}
	return []*training{
		{model: "linear", sizes: linear, criterion: crossEntropy, rate: 0.4},
		{model: "linear", sizes: linear, criterion: squaredError, rate: 0.03},
		{model: "network", sizes: network, criterion: crossEntropy, rate: 0.1},
		{model: "network", sizes: network, criterion: squaredError, rate: 0.04},
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	start := time.Now()
	fs := flag.NewFlagSet("digits", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("o", picture.Dir("digits"), "`folder` for learning.svg and learning.png")
	epochs := fs.Int("epochs", 60, "epochs to train for")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	if *epochs < 1 {
		return errors.New("-epochs must be positive")
	}
	train, test, err := loadDigits()
	if err != nil {
		return err
	}
	runs := trainings()
	if err := trainAll(stdout, runs, train, test, *epochs); err != nil {
		return err
	}
	printSummary(stdout, runs)
	paths, err := drawCurves(*dir, runs)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\nWrote %s and %s in %.1f s.\n", paths[0], paths[1], time.Since(start).Seconds())
	return nil
}

// trainAll trains the models beside each other and prints a line an epoch.
func trainAll(stdout io.Writer, runs []*training, train, test dataset, epochs int) error {
	fmt.Fprintf(stdout, `%d digits to train on, %d held out. The linear model with cross-entropy is
multinomial logistic regression. Prior of the weights: normal, sigma %g. Its negative
log, lambda/2 |w|^2 with lambda = %.2g, is part of the loss; "held out" is an accuracy.

`, len(train.labels), len(test.labels), float64(sigma), lambda)
	for _, line := range []struct {
		label string
		head  func(*training) string
	}{
		{"", func(t *training) string { return t.model }},
		{"", func(t *training) string { return t.criterion.name }},
		{"epoch", func(*training) string { return "loss  held out" }},
	} {
		fmt.Fprintf(stdout, "%5s", line.label)
		for _, t := range runs {
			fmt.Fprintf(stdout, "%18s", line.head(t))
		}
		fmt.Fprintln(stdout)
	}

	for _, t := range runs {
		t.start()
	}
	bar := newProgress(stdout, len(runs)*epochs)
	for epoch := range epochs {
		for _, t := range runs {
			// The rate falls to 0, so that the curves come to rest.
			if err := t.epoch(train, t.rate*float32(epochs-epoch)/float32(epochs)); err != nil {
				return fmt.Errorf("%s: epoch %d: %w", t.name(), epoch+1, err)
			}
			if err := t.measure(train, test); err != nil {
				return fmt.Errorf("%s: epoch %d: %w", t.name(), epoch+1, err)
			}
			if err := bar.Add(1); err != nil {
				return err
			}
		}
		if err := bar.Clear(); err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%5d", epoch+1)
		for _, t := range runs {
			s := t.curve[epoch]
			fmt.Fprintf(stdout, "%10.4f%8.4f", s.loss+s.prior, s.heldOutAccuracy)
		}
		fmt.Fprintln(stdout)
	}
	return nil
}

// newProgress returns a progress bar, which shows if stdout is a terminal.
func newProgress(stdout io.Writer, n int) *progressbar.ProgressBar {
	f, ok := stdout.(*os.File)
	return progressbar.NewOptions(n,
		progressbar.OptionSetWriter(stdout),
		progressbar.OptionSetVisibility(ok && term.IsTerminal(int(f.Fd()))),
		progressbar.OptionSetDescription("training"),
		progressbar.OptionSetWidth(40),
		progressbar.OptionClearOnFinish(),
	)
}

func printSummary(w io.Writer, runs []*training) {
	fmt.Fprintf(w, "\n%-24s%30s%24s\n%-24s%10s%10s%10s%12s%12s\n", "", "trained on", "held out", "",
		"loss", "prior", "accuracy", "loss", "accuracy")
	for _, t := range runs {
		s := t.curve[len(t.curve)-1]
		fmt.Fprintf(w, "%-24s%10.4f%10.4f%10.4f%12.4f%12.4f\n", t.name(), s.loss, s.prior, s.accuracy, s.heldOutLoss, s.heldOutAccuracy)
	}
}

// start makes the model. Every run has the same random numbers.
func (t *training) start() {
	t.rng = rand.New(rand.NewPCG(seed, 0))
	t.m = newModel(t.rng, t.sizes...)
}

// epoch trains on all rows once, in batches and in a new order.
func (t *training) epoch(train dataset, rate float32) error {
	b := newDataset(batch)
	order := t.rng.Perm(len(train.labels))
	for ; len(order) >= batch; order = order[batch:] {
		train.gather(b, order[:batch])
		values := t.m.forward(b.x)
		z := values[len(values)-1]
		if _, err := t.criterion.grad(z, b.labels); err != nil {
			return err
		}
		t.m.backward(values, z, lambda)
		t.m.update(rate, momentum)
	}
	return nil
}

// measure adds a point to the curve.
func (t *training) measure(train, test dataset) error {
	s := score{prior: t.m.prior(lambda)}
	var err error
	if s.loss, s.accuracy, err = t.evaluate(train); err != nil {
		return err
	}
	if s.heldOutLoss, s.heldOutAccuracy, err = t.evaluate(test); err != nil {
		return err
	}
	if sum := s.loss + s.prior + s.heldOutLoss; math.IsNaN(sum) || math.IsInf(sum, 0) {
		return errors.New("the loss diverged")
	}
	t.curve = append(t.curve, s)
	return nil
}

// evaluate returns the mean loss and the share of rows whose largest output is
// that of their class.
func (t *training) evaluate(d dataset) (loss, accuracy float64, err error) {
	values := t.m.forward(d.x)
	z := values[len(values)-1]
	if loss, err = t.criterion.loss(z, d.labels); err != nil {
		return 0, 0, err
	}
	accuracy, err = accuracyOf(z, d.labels)
	return loss, accuracy, err
}

func accuracyOf(z blas32.General, labels []int) (float64, error) {
	best := make([]int, z.Rows)
	if err := logits.RowArgMax(best, matrix(z)); err != nil {
		return 0, err
	}
	right := 0
	for i, label := range labels {
		if best[i] == label {
			right++
		}
	}
	return float64(right) / float64(len(labels)), nil
}
