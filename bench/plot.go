package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/seed26845165/logits"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The pictures are as wide as fits beside text, so that theirs stays legible.
const (
	pictureWidth  = 8 * vg.Inch
	pictureHeight = 5 * vg.Inch
)

// lengthKernels are those that are drawn against the row length: one that
// memory binds, one that arithmetic does, and one that writes.
var lengthKernels = []string{"sum", "nll", "softmax"}

// lengthShapes are from rows that are mostly overhead to rows that only memory
// holds.
var lengthShapes = func() (all []shape) {
	for cols := 8; cols <= 1<<18; cols *= 2 {
		all = append(all, matrix(64, cols))
	}
	return all
}()

// scalingShape is large enough for many cores.
var scalingShape = matrix(64, 50257)

// plotShapes are what the pictures need besides the cells of the table.
func plotShapes() []shape { return append(slices.Clone(lengthShapes), scalingShape) }

// A picture is a plot with its file's name and a line that says what it shows.
type picture struct {
	name, caption string
	plot          *plot.Plot
	height        vg.Length
}

// pictures measures what the results lack, which it adds to them, and draws all
// there is to draw.
func (s *session) pictures(r *results) ([]picture, error) {
	counts := scalingCounts(min(runtime.NumCPU(), startProcs))
	bar := stepBar(s.stderr, len(lengthKernels)*(len(lengthShapes)+len(counts)))
	defer bar.Exit()
	measure := func(x cell) ([]figure, error) {
		defer bar.Add(1)
		f, err := s.measure(x)
		r.Figures = append(r.Figures, f...)
		return f, err
	}
	if err := s.use(1); err != nil {
		return nil, err
	}
	peers := s.peers
	s.peers = nil // They have been measured, and are drawn from the table.
	defer func() { s.peers = peers }()

	var all []picture
	if slices.ContainsFunc(r.Figures, func(f figure) bool { return f.Peer != "" }) {
		p, err := plotPeers(r.Figures)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	for _, name := range lengthKernels {
		var figures []figure
		for _, shape := range lengthShapes {
			f, err := measure(cell{kernelNamed(name), shape, 1})
			if err != nil {
				return nil, err
			}
			figures = append(figures, f...)
		}
		p, err := plotLengths(name, figures)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	if len(counts) > 1 {
		var figures []figure
		for _, n := range counts {
			if err := s.use(n); err != nil {
				return nil, err
			}
			for _, name := range lengthKernels {
				f, err := measure(cell{kernelNamed(name), scalingShape, n})
				if err != nil {
					return nil, err
				}
				figures = append(figures, f[0])
			}
		}
		p, err := plotScaling(figures)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	p, err := plotExpError(s.c.paths)
	if err != nil {
		return nil, err
	}
	return append(all, p), nil
}

// scalingCounts returns 1, 2, 4 and so on up to n.
func scalingCounts(n int) []int {
	var all []int
	for i := 1; i < n; i *= 2 {
		all = append(all, i)
	}
	return append(all, n)
}

// colorOf returns one of seven colors that people with any eyesight can tell apart.
func colorOf(i int) color.Color {
	colors := []color.RGBA{
		{0x00, 0x72, 0xb2, 255}, {0xd5, 0x5e, 0x00, 255}, {0x00, 0x9e, 0x73, 255}, {0x80, 0x80, 0x80, 255},
		{0xcc, 0x79, 0xa7, 255}, {0xe6, 0x9f, 0x00, 255}, {0x56, 0xb4, 0xe9, 255},
	}
	return colors[i%len(colors)]
}

// plain is a title without Markdown.
func plain(title string) string { return strings.ReplaceAll(title, "`", "") }

func newPlot(title, x, y string) *plot.Plot {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = 6
	p.Legend.Padding = 2
	p.Legend.TextStyle.Font.Size = 10
	p.Legend.XOffs = -6
	p.Add(plotter.NewGrid())
	return p
}

// plotLengths draws the speed of a kernel against the row length, with the
// limit of each path.
func plotLengths(name string, figures []figure) (picture, error) {
	k := kernelNamed(name)
	p := newPlot("Speed of "+plain(k.title)+", 64 rows, one core", "columns", "elements a second, in billions")
	lines, limits := map[string]plotter.XYs{}, map[string]plotter.XYs{}
	var order []string
	for _, f := range figures {
		shapes, err := parseShapes(f.Shape)
		if err != nil {
			return picture{}, err
		}
		if lines[f.By] == nil {
			order = append(order, f.By)
		}
		x := math.Log10(float64(shapes[0].cols))
		lines[f.By] = append(lines[f.By], plotter.XY{X: x, Y: -math.Log10(f.Median)})
		if f.Limit != "" {
			limits[f.By] = append(limits[f.By], plotter.XY{X: x, Y: -math.Log10(f.Median * f.OfLimit)})
		}
	}
	for i, by := range order {
		line, points, err := plotter.NewLinePoints(lines[by])
		if err != nil {
			return picture{}, err
		}
		line.Color, line.Width = colorOf(i), 1.5
		points.Color, points.Shape = colorOf(i), draw.CircleGlyph{}
		p.Add(line, points)
		title := by
		if t := pathTitles[by]; t != "" {
			title = t
		}
		p.Legend.Add(title, line, points)
		if limits[by] == nil {
			continue
		}
		limit, err := plotter.NewLine(limits[by])
		if err != nil {
			return picture{}, err
		}
		limit.Color, limit.Width, limit.Dashes = colorOf(i), 1, []vg.Length{4, 3}
		p.Add(limit)
		p.Legend.Add(title+", its limit", limit)
	}
	p.Legend.Top, p.Legend.Left = false, false
	p.X.Tick.Marker, p.Y.Tick.Marker = logTicks{}, logTicks{}
	p.Y.Min-- // Room for the legend.
	return picture{"lengths-" + name, fmt.Sprintf("The speed of %s over the row length: where rows are short the calls cost most, "+
		"then the limit that binds is arithmetic or the cache that holds the data.", k.title), p, pictureHeight}, nil
}

// logTicks are the ticks of an axis of decimal logarithms, which gonum's own
// logarithmic scale leaves no room for the label of: at the decades, and
// halfway where they are few.
type logTicks struct{}

func (logTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Floor(low); decade <= high; decade++ {
		for i := 1; i < 10; i++ {
			at := decade + math.Log10(float64(i))
			if at < low || at > high {
				continue
			}
			label := ""
			if i == 1 || high-low < 4 && (i == 2 || i == 5) {
				label = strconv.FormatFloat(float64(i)*math.Pow(10, decade), 'f', max(0, -int(decade)), 64)
			}
			ticks = append(ticks, plot.Tick{Value: at, Label: label})
		}
	}
	return ticks
}

// plotScaling draws how much faster more cores are.
func plotScaling(figures []figure) (picture, error) {
	p := newPlot(fmt.Sprintf("Scaling at %v", scalingShape), "cores", "times as fast as one core")
	most := 1.0
	for i, name := range lengthKernels {
		var points plotter.XYs
		one := 0.0
		for _, f := range figures {
			if f.Kernel != name {
				continue
			}
			if f.Workers == 1 {
				one = f.Median
			}
			points = append(points, plotter.XY{X: float64(f.Workers), Y: one / f.Median})
			most = max(most, float64(f.Workers))
		}
		line, glyphs, err := plotter.NewLinePoints(points)
		if err != nil {
			return picture{}, err
		}
		line.Color, line.Width = colorOf(i), 1.5
		glyphs.Color, glyphs.Shape = colorOf(i), draw.CircleGlyph{}
		p.Add(line, glyphs)
		p.Legend.Add(plain(kernelNamed(name).title), line, glyphs)
	}
	ideal, err := plotter.NewLine(plotter.XYs{{X: 1, Y: 1}, {X: most, Y: most}})
	if err != nil {
		return picture{}, err
	}
	ideal.Dashes = []vg.Length{4, 3}
	p.Add(ideal)
	p.Legend.Add("as many times as cores", ideal)
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs = true, true, 6
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 1, most, 0, most*1.1
	var ticks plot.ConstantTicks
	for _, n := range scalingCounts(int(most)) {
		ticks = append(ticks, plot.Tick{Value: float64(n), Label: strconv.Itoa(n)})
	}
	p.X.Tick.Marker = ticks
	return picture{"scaling", "What more cores give: kernels that memory binds get no faster once its bandwidth is used up.", p, pictureHeight}, nil
}

// plotPeers draws the ratio of each peer's time to ours, a line for each kernel
// and shape.
func plotPeers(figures []figure) (picture, error) {
	p := newPlot("Time of other libraries over ours, one core", "times ours (right of 1: we are faster)", "kernel and shape")
	var rows, names []string
	ratios := map[string]plotter.XYs{}
	ours := map[string]float64{}
	for _, f := range figures {
		if f.Workers > 1 {
			continue
		}
		row := f.Kernel + " " + f.Shape
		if f.Peer == "" {
			ours[row+f.By] = f.Median
			continue
		}
		if !slices.Contains(rows, row) {
			rows = append(rows, row)
		}
		if ratios[f.By] == nil {
			names = append(names, f.By)
		}
		ratios[f.By] = append(ratios[f.By], plotter.XY{X: math.Log10(f.Median / ours[row+f.Peer]), Y: float64(-slices.Index(rows, row))})
	}
	glyphs := []draw.GlyphDrawer{draw.CircleGlyph{}, draw.SquareGlyph{}, draw.TriangleGlyph{}, draw.RingGlyph{}, draw.BoxGlyph{}, draw.PyramidGlyph{}, draw.CrossGlyph{}}
	slices.Sort(names) // The builds of a library are neighbours.
	for i, name := range names {
		points, err := plotter.NewScatter(ratios[name])
		if err != nil {
			return picture{}, err
		}
		points.Color, points.Shape, points.Radius = colorOf(i), glyphs[i/2%len(glyphs)], 3.5
		p.Add(points)
		p.Legend.Add(name, points)
	}
	low, high := 0.5-float64(len(rows)), 0.5
	equal, err := plotter.NewLine(plotter.XYs{{X: 0, Y: low}, {X: 0, Y: high}})
	if err != nil {
		return picture{}, err
	}
	equal.Width = 1.5
	p.Add(equal)
	p.X.Tick.Marker = logTicks{}
	p.X.Min, p.X.Max = min(p.X.Min, math.Log10(0.45)), max(p.X.Max, math.Log10(2))
	p.Y.Min, p.Y.Max = low, high
	var ticks plot.ConstantTicks
	for i, row := range rows {
		ticks = append(ticks, plot.Tick{Value: float64(-i), Label: row})
	}
	p.Y.Tick.Marker = ticks
	// The legend has a part of the height for itself, below the rows.
	legend := 0.65*float64(len(names)) + 0.5
	p.Y.Min -= legend
	p.Legend.Top, p.Legend.Left = false, false
	height := vg.Length(float64(len(rows))+legend)*18 + 80
	return picture{"peers", "How many times as long other libraries take, each beside the path of ours that is most like its build.", p, height}, nil
}

// expBound is what the package promises, in units in the last place.
const expBound = 1

// plotExpError draws the worst error of each path's exponential over its range.
func plotExpError(paths []string) (picture, error) {
	const from, to, bins, each = -104, 89, 772, 4096 // A bin is a quarter wide.
	defer logits.SetPath(logits.Path())
	p := newPlot("Worst error of Exp, of "+strconv.Itoa(each)+" arguments in each quarter", "x", "error of eˣ, units in the last place")
	rng := rand.New(rand.NewPCG(1, 3))
	worst := make([]plotter.XYs, len(paths))
	x, y := make([]float32, each), make([]float32, each)
	for bin := range bins {
		left := from + (to-from)*float64(bin)/bins
		for i := range x {
			x[i] = float32(left + rng.Float64()*(to-from)/bins)
		}
		for i, path := range paths {
			if err := logits.SetPath(path); err != nil {
				return picture{}, err
			}
			if err := logits.Exp(logits.Row(y), logits.Row(x)); err != nil {
				return picture{}, err
			}
			most := 0.0
			for j, got := range y {
				want := math.Exp(float64(x[j]))
				if !sameSpecial(got, want) {
					most = max(most, math.Abs(float64(got)-want)/ulp(want))
				}
			}
			worst[i] = append(worst[i], plotter.XY{X: left, Y: most})
		}
	}
	// Paths that return the same bits share a line.
	for i := 0; i < len(paths); {
		title := pathTitles[paths[i]]
		j := i + 1
		for ; j < len(paths) && slices.Equal(worst[i], worst[j]); j++ {
			title += ", " + pathTitles[paths[j]]
		}
		line, err := plotter.NewLine(worst[i])
		if err != nil {
			return picture{}, err
		}
		line.Color = colorOf(i)
		p.Add(line)
		p.Legend.Add(title, line)
		i = j
	}
	bound, err := plotter.NewLine(plotter.XYs{{X: from, Y: expBound}, {X: to, Y: expBound}})
	if err != nil {
		return picture{}, err
	}
	bound.Dashes = []vg.Length{4, 3}
	p.Add(bound)
	p.Legend.Add("bound", bound)
	p.Legend.Top = true
	p.Y.Min, p.Y.Max = 0, 1.4
	var ticks plot.ConstantTicks
	for v := 0.0; v < p.Y.Max; v += 0.25 {
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', 2, 64)})
	}
	p.Y.Tick.Marker = ticks
	return picture{"exp-error", "The error of `Exp` from where it is 0 to where it is infinite; below -87.3 its results are subnormal.", p, pictureHeight}, nil
}

// pictureMark begins the README.md of a folder of pictures, so that no other
// one is overwritten.
const pictureMark = "<!-- Written by go run ./bench -plot. -->\n"

// checkPictures makes the folder, and fails if its README.md is not ours.
func checkPictures(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("-plot: %w", err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("-plot: %w", err)
	}
	if err == nil && !bytes.HasPrefix(b, []byte(pictureMark)) {
		return fmt.Errorf("-plot: %s has a README.md that is not of this program: choose another folder", dir)
	}
	return nil
}

// savePictures writes pictures as SVG and PNG, and a README.md that shows them
// and tells how they were made and how far to trust them.
func savePictures(dir, command string, r *results, all []picture) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s\nBy `%s` on %s, %s %s/%s.\n%s\n", pictureMark, command, m.CPU, m.Go, m.OS, m.Arch, r.trust())
	for _, p := range all {
		for _, format := range []string{"svg", "png"} {
			w, err := p.plot.WriterTo(pictureWidth, p.height, format)
			if err != nil {
				return err
			}
			var buf bytes.Buffer
			if _, err := w.WriteTo(&buf); err != nil {
				return fmt.Errorf("drawing %s: %w", p.name, err)
			}
			// The font is one that few systems have. Arial has the same widths.
			data := bytes.ReplaceAll(buf.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,sans-serif;"))
			if err := os.WriteFile(filepath.Join(dir, p.name+"."+format), data, 0o644); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "\n%s\n\n![%s](%s.svg)\n", p.caption, p.plot.Title.Text, p.name)
	}
	return os.WriteFile(filepath.Join(dir, "README.md"), []byte(b.String()), 0o644)
}
