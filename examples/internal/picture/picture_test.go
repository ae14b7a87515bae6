package picture

import (
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func TestDir(t *testing.T) {
	t.Chdir(t.TempDir())
	if dir := Dir("digits"); dir != "." {
		t.Errorf("elsewhere: %q, want .", dir)
	}
	want := filepath.Join("examples", "digits")
	if err := os.MkdirAll(want, 0o755); err != nil {
		t.Fatal(err)
	}
	if dir := Dir("digits"); dir != want {
		t.Errorf("at the root: %q, want %q", dir, want)
	}
}

func TestSave(t *testing.T) {
	paint := func(c draw.Canvas) {
		c = Caption(c, "first line", "second line")
		NewPlot("the title", "the x axis", "the y axis").Draw(c)
	}
	dir := t.TempDir()
	paths, err := Save(dir, "p", 3*vg.Inch, 2*vg.Inch, paint)
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) != 2 || paths[0] != filepath.Join(dir, "p.svg") || paths[1] != filepath.Join(dir, "p.png") {
		t.Fatalf("wrote %q", paths)
	}
	svg, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`width="216pt" height="144pt"`, "the title", "the x axis", "the y axis", "first line", "second line", "sans-serif"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the SVG file lacks %q", want)
		}
	}
	f, err := os.Open(paths[1])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if c, err := png.DecodeConfig(f); err != nil || c.Width != 3*DPI || c.Height != 2*DPI {
		t.Errorf("the PNG file: %v x %v, %v", c.Width, c.Height, err)
	}

	missing := filepath.Join(dir, "missing")
	if _, err := Save(missing, "p", vg.Inch, vg.Inch, paint); !os.IsNotExist(err) || !strings.Contains(err.Error(), missing) {
		t.Errorf("a missing folder: %v", err)
	}
}
