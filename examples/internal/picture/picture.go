// Package picture has what the examples' pictures share: their look, and how
// they are written.
package picture

import (
	"bytes"
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// DPI is the resolution of PNG files, in dots an inch.
const DPI = 144

// Dir returns the folder of an example's source if the program runs at the
// root of the repository, and else the current folder.
func Dir(example string) string {
	dir := filepath.Join("examples", example)
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return dir
	}
	return "."
}

// Text returns the style of text in the given size, in points.
func Text(size float64) text.Style {
	return text.Style{
		Color:   color.Black,
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size)),
		Handler: plot.DefaultTextHandler,
	}
}

// NewPlot returns an empty plot.
func NewPlot(title, xLabel, yLabel string) *plot.Plot {
	p := plot.New()
	set := func(dst *text.Style, size float64) {
		s := Text(size)
		dst.Font, dst.Handler = s.Font, s.Handler // It keeps its alignment and rotation.
	}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, xLabel, yLabel
	set(&p.Title.TextStyle, 13)
	p.Title.Padding = 8
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		set(&axis.Label.TextStyle, 11)
		set(&axis.Tick.Label, 10)
		axis.Label.Padding = 4
	}
	set(&p.Legend.TextStyle, 10)
	p.Legend.Padding = 3
	p.Legend.ThumbnailWidth = 24
	return p
}

// Caption writes lines of text at the bottom of a picture and returns the part
// above them, less the picture's margins.
func Caption(c draw.Canvas, lines ...string) draw.Canvas {
	const margin, lead = 10, 15
	style := Text(11)
	for i, line := range lines {
		c.FillText(style, vg.Point{X: c.Min.X + margin, Y: c.Min.Y + margin + vg.Length(lead*(len(lines)-1-i))}, line)
	}
	return draw.Crop(c, margin, -margin, vg.Length(2*margin+lead*len(lines)), -margin)
}

// Save paints a picture of width w and height h on white, and writes it to dir
// as name.svg and name.png. It returns the two paths.
func Save(dir, name string, w, h vg.Length, paint func(draw.Canvas)) ([]string, error) {
	svg := vgsvg.New(w, h)
	png := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(DPI))}
	var paths []string
	for _, f := range []struct {
		ext    string
		canvas vg.CanvasWriterTo
	}{{".svg", svg}, {".png", png}} {
		c := draw.New(f.canvas)
		c.FillPolygon(color.White, []vg.Point{{X: 0, Y: 0}, {X: w, Y: 0}, {X: w, Y: h}, {X: 0, Y: h}})
		paint(c)
		var buf bytes.Buffer
		if _, err := f.canvas.WriteTo(&buf); err != nil {
			return paths, fmt.Errorf("drawing %s%s: %w", name, f.ext, err)
		}
		data := buf.Bytes()
		if f.ext == ".svg" {
			// vgsvg embeds images as PNG but calls them JPEG, and it names one
			// font, which few systems have. Arial has the same widths.
			data = bytes.ReplaceAll(data, []byte("data:image/jpg;"), []byte("data:image/png;"))
			data = bytes.ReplaceAll(data, []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
		}
		path := filepath.Join(dir, name+f.ext)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
