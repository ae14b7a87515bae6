package main

import (
	"bytes"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed26845165/logits/examples/internal/picture"
)

func TestLosses(t *testing.T) {
	for _, test := range []struct {
		x, y, mse, crossEntropy float64
	}{
		{1, -1, 0, math.Log1p(math.Exp(-2))},
		{3, -3, 8, math.Log1p(math.Exp(-6))},
		{0, 0, 2, math.Ln2},
		{-1, 1, 8, math.Log1p(math.Exp(2))},
		{0.5, 3, 16.25, math.Log1p(math.Exp(2.5))},
	} {
		for _, l := range []struct {
			name string
			loss loss
			want float64
		}{{"MSE", squaredError, test.mse}, {"cross-entropy", crossEntropy, test.crossEntropy}} {
			got, err := l.loss.at(test.x, test.y)
			if err != nil || math.Abs(got-l.want) > 1e-14*l.want {
				t.Errorf("%s at %g, %g: %g, %v, want %g", l.name, test.x, test.y, got, err, l.want)
			}
		}
	}
}

// The contour lines have formulas of their own, and the colors between them
// come from the package.
func TestContours(t *testing.T) {
	for _, s := range surfaces {
		for _, level := range levels {
			for i := range 10 {
				x, y := s.contour(level, s.from+(s.to-s.from)*float64(i)/9)
				if got, err := s.loss.at(x, y); err != nil || math.Abs(got-level) > 1e-12*level {
					t.Errorf("%s: %g, %v at %g, %g, want %g", s.title, got, err, x, y, level)
				}
			}
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	var out bytes.Buffer
	if err := run([]string{"-o", dir}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "surface.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"x, activation of the right output", "y, activation of the wrong output", "MSE: ", "Cross-entropy: ",
		"MSE penalizes outputs that are perfectly valid for prediction",
		"target (1, −1)", "(3, −3) costs 8<", "(3, −3) costs 0.0025<", ">x = y<", ">0.001<", ">32<", ">-4<", ">4<",
		"data:image/png;",
	} {
		if !strings.Contains(strings.ReplaceAll(string(svg), "&gt;", ">"), want) {
			t.Errorf("the SVG file lacks %q", want)
		}
	}
	f, err := os.Open(filepath.Join(dir, "surface.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := png.DecodeConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	if w, h := int(width.Dots(picture.DPI)), int(height.Dots(picture.DPI)); c.Width != w || c.Height != h {
		t.Errorf("the PNG file has %d x %d dots, want %d x %d", c.Width, c.Height, w, h)
	}
	if !strings.Contains(out.String(), f.Name()) {
		t.Errorf("%q does not name %s", out.String(), f.Name())
	}
}

func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{{"-nonsense"}, {"left"}, {"-o", filepath.Join(t.TempDir(), "missing")}} {
		if err := run(args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
