package main

import (
	"bytes"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed26845165/logits"
	"gonum.org/v1/plot/vg/vgimg"
)

// checkPicture reads what was drawn of a picture: the PNG file's size, and the
// SVG file's texts.
func checkPicture(t *testing.T, dir string, p picture, texts ...string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, p.name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if w, h := int(pictureWidth.Dots(vgimg.DefaultDPI)), p.height.Dots(vgimg.DefaultDPI); err != nil || c.Width != w || math.Abs(float64(c.Height)-h) > 1 {
		t.Errorf("%s.png has %d x %d dots, %v, want %d x %.0f", p.name, c.Width, c.Height, err, w, h)
	}
	svg, err := os.ReadFile(filepath.Join(dir, p.name+".svg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		if !strings.Contains(string(svg), ">"+text+"</text>") {
			t.Errorf("%s.svg lacks the text %q", p.name, text)
		}
	}
}

func TestPictures(t *testing.T) {
	made := func(p picture, err error) picture {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	var lengths, scaling, peers []figure
	for _, s := range lengthShapes {
		for i, by := range []string{"avx2", "naive"} {
			f := figure{Kernel: "nll", Shape: s.String(), By: by, Workers: 1, Median: float64(2*i+1) * (0.1 + 10/float64(s.cols))}
			if by == "avx2" {
				f.Limit, f.OfLimit = "exp", 0.5
			}
			lengths = append(lengths, f)
		}
	}
	for _, n := range []int{1, 2, 4, 6} {
		for _, k := range lengthKernels {
			scaling = append(scaling, figure{Kernel: k, By: "avx2", Workers: n, Median: 1 / float64(n)})
		}
	}
	for i, k := range []string{"exp", "softmax"} {
		peers = append(peers,
			figure{Kernel: k, Shape: "64x10", By: "avx2", Workers: 1, Median: 1},
			figure{Kernel: k, Shape: "64x10", By: "PyTorch AVX2", Peer: "avx2", Workers: 1, Median: 4 * float64(i+1)},
			figure{Kernel: k, Shape: "64x10", By: "avx2", Workers: 2, Median: 0.1})
	}
	all := []picture{
		made(plotLengths("nll", lengths)), made(plotScaling(scaling)), made(plotPeers(peers)), made(plotExpError(logits.Paths())),
	}
	dir := t.TempDir()
	if err := savePictures(dir, "go run ./bench -plot x", &results{Machine: machine{CPU: "Z80"}}, all); err != nil {
		t.Fatal(err)
	}
	checkPicture(t, dir, all[0], "Speed of loss (LogSoftmaxNLL), 64 rows, one core", "columns", "elements a second, in billions",
		"10", "100000", "0.1", "AVX2", "AVX2, its limit", "naive Go")
	checkPicture(t, dir, all[1], "cores", "times as fast as one core", "1", "2", "4", "6", "RowSum", "as many times as cores")
	checkPicture(t, dir, all[2], "times ours (right of 1: we are faster)", "exp 64x10", "softmax 64x10", "0.5", "1", "5", "PyTorch AVX2")
	checkPicture(t, dir, all[3], "x", "error of eˣ, units in the last place", "0.50", "1.00", "-80", "80", "bound", "portable")

	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`go run ./bench -plot x`", "Z80", "every figure", "(lengths-nll.svg)", "(scaling.svg)", "(peers.svg)", "(exp-error.svg)"} {
		if !strings.Contains(string(readme), want) {
			t.Errorf("README.md lacks %q", want)
		}
	}
	if err := checkPictures(dir); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestCheckPictures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "README.md")
	if err := os.WriteFile(file, []byte("# Mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, file} {
		if err := run([]string{"-plot", dir}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "-plot") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "# Mine\n" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestLogTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      []string
	}{
		{0.04, 3, []string{"0.05", "0.1", "0.2", "0.5", "1", "2"}},
		{1, 1e4, []string{"1", "10", "100", "1000", "10000"}},
	} {
		var got []string
		for _, tick := range (logTicks{}).Ticks(math.Log10(test.low), math.Log10(test.high)) {
			if tick.Label != "" {
				got = append(got, tick.Label)
				if at := fmt.Sprintf("%.3g", math.Pow(10, tick.Value)); at != fmt.Sprintf("%.3g", atof(t, tick.Label)) {
					t.Errorf("%s is at %s", tick.Label, at)
				}
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%g to %g: %v, want %v", test.low, test.high, got, test.want)
		}
	}
}

func atof(t *testing.T, s string) (v float64) {
	t.Helper()
	if _, err := fmt.Sscan(s, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScalingCounts(t *testing.T) {
	for n, want := range map[int][]int{1: {1}, 2: {1, 2}, 6: {1, 2, 4, 6}, 8: {1, 2, 4, 8}} {
		if got := scalingCounts(n); !slices.Equal(got, want) {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}

func TestRunPlot(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	dir := filepath.Join(t.TempDir(), "new")
	var out bytes.Buffer
	if err := run([]string{"-kernels", "nll", "-shapes", "3x5", "-cpu", "1", "-time", "1ms", "-rounds", "1", "-plot", dir}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lengths-sum.svg", "lengths-nll.png", "lengths-softmax.svg", "exp-error.png", "README.md"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !strings.Contains(out.String(), "exp-error") {
		t.Errorf("the pictures are not named in %s", &out)
	}
}
