// Command surface draws why classifiers are not trained by MSE: the loss of
// one sample of two classes over the two activations, under MSE and under
// cross-entropy, beside each other.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/seed26845165/logits"
	"github.com/seed26845165/logits/examples/internal/picture"
)

func main() {
	err := run(os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "surface:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("surface", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("o", picture.Dir("surface"), "`folder` for surface.svg and surface.png")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	paths, err := drawSurfaces(*dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Wrote %s and %s.\n", paths[0], paths[1])
	return nil
}

// A loss sets dst[i] to the loss of row i of z: the activation x of the right
// output, and y of the wrong one.
type loss func(dst []float64, z logits.Matrix[float64]) error

// The target of MSE.
const targetX, targetY = 1, -1

// squaredError is (x-1)^2 + (y+1)^2.
func squaredError(dst []float64, z logits.Matrix[float64]) error {
	target := logits.Dense(z.Rows, z.Cols, make([]float64, z.Rows*z.Cols))
	for i := range z.Rows {
		target.Data[2*i], target.Data[2*i+1] = targetX, targetY
	}
	if err := logits.MSEEach(target, z, target); err != nil {
		return err
	}
	return logits.RowSum(dst, target)
}

// crossEntropy is -log(e^x / (e^x + e^y)).
func crossEntropy(dst []float64, z logits.Matrix[float64]) error {
	return logits.CrossEntropyRows(dst, z, make([]int, z.Rows), nil) // The right output is number 0.
}

// at returns the loss of one pair of activations.
func (l loss) at(x, y float64) (float64, error) {
	var v [1]float64
	err := l(v[:], logits.Row([]float64{x, y}))
	return v[0], err
}
