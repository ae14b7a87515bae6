package main

import (
	"bytes"
	"errors"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/seed26845165/logits/examples/internal/picture"
	"gonum.org/v1/gonum/blas/blas32"
)

func TestLoadDigits(t *testing.T) {
	train, test, err := loadDigits()
	if err != nil {
		t.Fatal(err)
	}
	if len(train.labels) != 1200 || train.x.Rows != 1200 || len(test.labels) != 597 || test.x.Rows != 597 {
		t.Errorf("%d and %d rows, want 1200 and 597", len(train.labels), len(test.labels))
	}
	if x := train.x.Data[:6]; x[2] != 5./16 || x[5] != 1./16 || train.labels[0] != 0 {
		t.Errorf("the first row begins %v and is a %d", x, train.labels[0])
	}
	if n := len(test.labels); test.labels[n-1] != 8 || len(test.x.Data) != n*pixels {
		t.Errorf("the last row is a %d", test.labels[n-1])
	}
}

func TestReadDigits(t *testing.T) {
	row := strings.Repeat("16,", pixels) + "9\n"
	d, err := readDigits(strings.NewReader(row + row))
	if err != nil || d.x.Rows != 2 || d.labels[1] != 9 || d.x.Data[2*pixels-1] != 1 {
		t.Fatalf("got %+v, %v", d, err)
	}
	damage := errors.New("damage")
	for _, test := range []struct {
		name string
		in   io.Reader
		want []string
	}{
		{"short row", strings.NewReader(row + row + "1,2,3\n"), []string{"line 3"}},
		{"long row", strings.NewReader(row + "0," + row), []string{"line 2"}},
		{"no number", strings.NewReader(row + strings.Replace(row, "16", "x", 1)), []string{"line 2, column 1", `"x"`, "0 to 16"}},
		{"empty field", strings.NewReader(strings.Replace(row, "16,16", "16,", 1)), []string{"line 1, column 4", `""`}},
		{"fraction", strings.NewReader(strings.Replace(row, "16", "1.5", 1)), []string{"line 1", `"1.5"`}},
		{"pixel out of range", strings.NewReader(row + row + strings.Replace(row, "16", "17", 1)), []string{"line 3", `"17"`}},
		{"negative pixel", strings.NewReader(strings.Replace(row, "16", "-1", 1)), []string{"line 1", `"-1"`}},
		{"class out of range", strings.NewReader(strings.Replace(row, "9\n", "10\n", 1)), []string{"line 1", `"10"`, "0 to 9"}},
		{"quote", strings.NewReader(row + strings.Replace(row, "16", `1"6`, 1)), []string{"line 2"}},
		{"cut short", io.MultiReader(strings.NewReader(row+row+"16,16"), iotest.ErrReader(damage)), []string{"line 2", "damage"}},
	} {
		_, err := readDigits(test.in)
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q in it", test.name, err, want)
			}
		}
	}
}

// The gradients are those of the loss with the prior, by central differences.
func TestGradients(t *testing.T) {
	const lambda, rows = 0.3, 7
	for _, c := range []criterion{crossEntropy, squaredError} {
		rng := rand.New(rand.NewPCG(3, 0))
		m := newModel(rng, 5, 6, 4)
		x := newMatrix(rows, 5)
		for i := range x.Data {
			x.Data[i] = float32(rng.NormFloat64())
		}
		labels := make([]int, rows)
		for i := range labels {
			labels[i] = rng.IntN(4)
		}
		for _, l := range m {
			for i := range l.b {
				l.b[i] = float32(rng.NormFloat64())
			}
		}
		output := func() ([]blas32.General, blas32.General) {
			values := m.forward(x)
			return values, values[len(values)-1]
		}
		loss := func() float64 {
			_, z := output()
			v, err := c.loss(z, labels)
			if err != nil {
				t.Fatal(err)
			}
			return v + m.prior(lambda)
		}
		values, z := output()
		value, err := c.grad(z, labels)
		if err != nil {
			t.Fatal(err)
		}
		if want := loss() - m.prior(lambda); math.Abs(value-want) > 1e-6*want {
			t.Errorf("%s: grad returns the loss %g, loss %g", c.name, value, want)
		}
		m.backward(values, z, lambda)
		for i, l := range m {
			check := func(name string, w, dw []float32) {
				for j := range w {
					const h = 1. / 256
					before := w[j]
					w[j] = before + h
					up := loss()
					w[j] = before - h
					down := loss()
					w[j] = before
					if want := (up - down) / (2 * h); math.Abs(float64(dw[j])-want) > 1e-3*max(1, math.Abs(want)) {
						t.Errorf("%s: layer %d: %s[%d] has the gradient %g, want %g", c.name, i, name, j, dw[j], want)
					}
				}
			}
			check("w", l.w.Data, l.dw.Data)
			check("b", l.b, l.db)
		}
	}
}

// train runs all trainings and returns them and what is printed.
func train(t *testing.T, epochs int) ([]*training, string) {
	t.Helper()
	fit, test, err := loadDigits()
	if err != nil {
		t.Fatal(err)
	}
	runs := trainings()
	var out bytes.Buffer
	if err := trainAll(&out, runs, fit, test, epochs); err != nil {
		t.Fatal(err)
	}
	return runs, out.String()
}

func TestFewEpochs(t *testing.T) {
	runs, out := train(t, 3)
	for i, least := range []float64{0.85, 0.75, 0.85, 0.5} {
		r := runs[i]
		if got := r.curve[2].heldOutAccuracy; len(r.curve) != 3 || got < least {
			t.Errorf("%s: accuracy %.4f, want at least %g", r.name(), got, least)
		}
		if r.curve[2].loss >= r.curve[0].loss {
			t.Errorf("%s: the loss went from %g to %g", r.name(), r.curve[0].loss, r.curve[2].loss)
		}
	}
	if strings.ContainsRune(out, '\r') {
		t.Error("a progress bar went to a file")
	}
	again, _ := train(t, 3)
	for i, r := range runs {
		if !reflect.DeepEqual(r.curve, again[i].curve) {
			t.Errorf("%s: a second run differs", r.name())
		}
	}
}

func TestAllEpochs(t *testing.T) {
	if testing.Short() {
		t.Skip("a second of training")
	}
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run([]string{"-o", dir}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	runs, _ := train(t, 60)
	for _, r := range runs {
		s := r.curve[len(r.curve)-1]
		least := 0.92
		if r.criterion.name == squaredError.name {
			least = 0.87
		}
		if s.heldOutAccuracy < least {
			t.Errorf("%s: accuracy %.4f, want at least %g", r.name(), s.heldOutAccuracy, least)
		}
	}
	for _, want := range []string{"\n   60 ", "negative\nlog", "lambda", "cross-entropy", "MSE", filepath.Join(dir, "learning.svg")} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q", want)
		}
	}
}

func TestPictures(t *testing.T) {
	for _, epochs := range []string{"1", "2"} {
		dir := t.TempDir()
		if err := run([]string{"-epochs", epochs, "-o", dir}, io.Discard, io.Discard); err != nil {
			t.Fatal(err)
		}
		svg, err := os.ReadFile(filepath.Join(dir, "learning.svg"))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			">epoch<", ">accuracy<", ">cross-entropy, nats a digit<", ">squared error a digit<",
			">linear, cross-entropy<", ">linear, MSE<", ">network, cross-entropy<", ">network, MSE<",
			">network, held out<", ">network, trained on<", ">0.90<", ">0.5<",
		} {
			if !strings.Contains(string(svg), want) {
				t.Errorf("the SVG file lacks %q", want)
			}
		}
		f, err := os.Open(filepath.Join(dir, "learning.png"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := png.DecodeConfig(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		if w, h := int(width.Dots(picture.DPI)), int(height.Dots(picture.DPI)); c.Width != w || c.Height != h {
			t.Errorf("the PNG file has %d x %d dots, want %d x %d", c.Width, c.Height, w, h)
		}
	}
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		lo, hi float64
		log    bool
		want   string
	}{
		{0, 60, false, "0 20 40 60"},
		{0.8, 0.95, false, "0.80 0.85 0.90 0.95"},
		{0, 1, false, "0.0 0.5 1.0"},
		{0, 3, false, "0 1 2 3"},
		{-2, math.Log10(2), true, "0.01 0.02 0.05 0.1 0.2 0.5 1 2"},
	} {
		ticks := evenTicks
		if test.log {
			ticks = logTicks
		}
		var labels []string
		for _, tick := range ticks(test.lo, test.hi) {
			labels = append(labels, tick.Label)
			if tick.Value < test.lo || tick.Value > test.hi {
				t.Errorf("%g to %g: %v is outside", test.lo, test.hi, tick)
			}
		}
		if got := strings.Join(labels, " "); got != test.want {
			t.Errorf("%g to %g: %s, want %s", test.lo, test.hi, got, test.want)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-nonsense"}, {"all"}, {"-epochs", "0"},
		{"-epochs", "1", "-o", filepath.Join(t.TempDir(), "missing")},
	} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}

	fit, test, err := loadDigits()
	if err != nil {
		t.Fatal(err)
	}
	wild := trainings()[1:2]
	wild[0].rate = 1e6
	if err := trainAll(io.Discard, wild, fit, test, 20); err == nil || !strings.Contains(err.Error(), "linear, MSE: epoch") || !strings.Contains(err.Error(), "diverged") {
		t.Errorf("a rate of 1e6: %v", err)
	}
}
