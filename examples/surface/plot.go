package main

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"slices"
	"strconv"

	"github.com/seed26845165/logits"
	"github.com/seed26845165/logits/examples/internal/picture"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width  = 11.5 * vg.Inch
	height = 6.3 * vg.Inch
	extent = 4 // Both axes go from -extent to extent.
)

// levels are the contour lines of both pictures. The colors change there.
var levels = []float64{0.001, 0.01, 0.1, 0.5, 1, 2, 4, 8, 16, 32}

var contourStyle = draw.LineStyle{Color: color.Gray{0x50}, Width: 0.7}

// A surface is one of the two pictures.
type surface struct {
	title string
	loss  loss

	// contour returns the point t, in [from, to], of the line of a level.
	contour  func(level, t float64) (x, y float64)
	from, to float64
	label    func(level float64) (t float64) // where the line is labelled
	least    float64                         // Lines below this level have no label, for want of room.
}

var surfaces = []surface{
	{
		title: "MSE: (x − 1)² + (y + 1)²",
		loss:  squaredError,
		contour: func(level, t float64) (x, y float64) { // a circle, t is the angle
			r := math.Sqrt(level)
			return targetX + r*math.Cos(t), targetY + r*math.Sin(t)
		},
		from: 0, to: 2 * math.Pi,
		label: func(level float64) float64 {
			if level <= 0.5 || level > 16 { // The one lacks room on that side, the other is outside.
				return 0.75 * math.Pi
			}
			return 1.2 * math.Pi
		},
		least: 0.5,
	},
	{
		title: "Cross-entropy: −log(eˣ / (eˣ + eʸ))",
		loss:  crossEntropy,
		contour: func(level, t float64) (x, y float64) { // the loss is log(1 + e^(y-x))
			d := math.Log(math.Expm1(level)) // y - x
			return t - d/2, t + d/2
		},
		from: -2 * extent, to: 2 * extent,
		label: func(level float64) float64 {
			if level < 0.01 { // It is in the corner only.
				return 0.1
			}
			return -1.2
		},
	},
}

// drawSurfaces writes the picture to dir and returns the files' paths.
func drawSurfaces(dir string) ([]string, error) {
	colors, err := bandColors()
	if err != nil {
		return nil, err
	}
	var plots []*plot.Plot
	var costs []float64 // of a valid prediction
	const validX, validY = 3, -3
	for _, s := range surfaces {
		p, err := s.plot(colors)
		if err != nil {
			return nil, err
		}
		cost, err := s.loss.at(validX, validY)
		if err != nil {
			return nil, err
		}
		costs = append(costs, cost)
		err = mark(p, validX, validY, fmt.Sprintf("(%d, −%d) costs %.2g", validX, -validY, cost), draw.XRight, draw.CircleGlyph{})
		if err != nil {
			return nil, err
		}
		// What was added widened the axes.
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = -extent, extent, -extent, extent
		plots = append(plots, p)
	}
	if err := mark(plots[0], targetX, targetY, "target (1, −1)", draw.XLeft, draw.CrossGlyph{}); err != nil {
		return nil, err
	}
	return picture.Save(dir, "surface", width, height, func(c draw.Canvas) {
		c = picture.Caption(c,
			"The loss of one sample of two classes; x is the activation of the right output, y that of the wrong one. Below the line x = y the right one is predicted.",
			"MSE penalizes outputs that are perfectly valid for prediction: all but its target, on either side of the line. Cross-entropy falls as x − y grows:",
			fmt.Sprintf("(3, −3) costs %.2g under MSE, as much as the wrong (−1, 1), but %.2g under cross-entropy.", costs[0], costs[1]),
		)
		const bar = 64
		tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: 16}
		left := draw.Crop(c, 0, -bar-16, 0, 0)
		for i, p := range plots {
			p.Draw(tiles.At(left, i, 0))
		}
		inner := plots[0].DataCanvas(tiles.At(left, 0, 0))
		drawBar(draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{
			Min: vg.Point{X: c.Max.X - bar, Y: inner.Min.Y},
			Max: vg.Point{X: c.Max.X, Y: inner.Max.Y},
		}}, colors)
	})
}

// bandColors returns the colors below the first level, between two, and above
// the last.
func bandColors() ([]color.Color, error) {
	m := moreland.SmoothBlueRed()
	m.SetMin(0)
	m.SetMax(float64(len(levels)))
	var colors []color.Color
	for i := range len(levels) + 1 {
		c, err := m.At(float64(i))
		if err != nil {
			return nil, err
		}
		colors = append(colors, pale(c))
	}
	return colors, nil
}

// pale mixes a color with as much white, for text to be legible on it.
func pale(c color.Color) color.Color {
	r, g, b, _ := c.RGBA()
	mix := func(v uint32) uint8 { return uint8((v>>8 + 255) / 2) }
	return color.RGBA{mix(r), mix(g), mix(b), 255}
}

func (s surface) plot(colors []color.Color) (*plot.Plot, error) {
	p := picture.NewPlot(s.title, "x, activation of the right output", "y, activation of the wrong output")
	p.X.Padding, p.Y.Padding = 0, 0
	ticks := plot.ConstantTicks{}
	for v := -extent; v <= extent; v++ {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: strconv.Itoa(v)})
	}
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks, ticks

	img, err := s.bands(colors)
	if err != nil {
		return nil, err
	}
	p.Add(plotter.NewImage(img, -extent, -extent, extent, extent))

	for _, level := range levels {
		const parts = 180
		points := make(plotter.XYs, parts+1)
		for i := range points {
			points[i].X, points[i].Y = s.contour(level, s.from+(s.to-s.from)*float64(i)/parts)
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		line.LineStyle = contourStyle
		p.Add(line)
		x, y := s.contour(level, s.label(level))
		if outside := max(math.Abs(x), math.Abs(y)) > 0.95*extent; !outside && level >= s.least {
			p.Add(note{x: x, y: y, text: formatLoss(level), size: 9, xAlign: draw.XCenter})
		}
	}

	boundary, err := plotter.NewLine(plotter.XYs{{X: -extent, Y: -extent}, {X: extent, Y: extent}})
	if err != nil {
		return nil, err
	}
	boundary.Width, boundary.Dashes = 1.3, []vg.Length{6, 4}
	p.Add(boundary)
	p.Add(
		note{x: 3.3, y: 3.3, text: "x = y", size: 10, xAlign: draw.XCenter},
		note{x: -3.85, y: 3.7, text: "wrong: y > x", size: 10},
		note{x: 3.85, y: 0.4, text: "valid: x > y", size: 10, xAlign: draw.XRight},
	)
	return p, nil
}

// bands colors a grid of points by their losses.
func (s surface) bands(colors []color.Color) (image.Image, error) {
	const n = 720
	points := logits.Dense(n*n, 2, make([]float64, 2*n*n))
	for i := range n * n {
		// The middle of a pixel, of which the first row is the top.
		points.Data[2*i] = extent * (float64(2*(i%n)+1)/n - 1)
		points.Data[2*i+1] = extent * (1 - float64(2*(i/n)+1)/n)
	}
	losses := make([]float64, n*n)
	if err := s.loss(losses, points); err != nil {
		return nil, err
	}
	img := image.NewPaletted(image.Rect(0, 0, n, n), colors)
	for i, v := range losses {
		band, _ := slices.BinarySearch(levels, v)
		img.Pix[i] = uint8(band)
	}
	return img, nil
}

// A note is text at, or dx beside, a point of a plot, on a pale ground.
type note struct {
	x, y   float64
	text   string
	size   float64
	xAlign draw.XAlignment
	dx     vg.Length
}

func (n note) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	style := picture.Text(n.size)
	style.XAlign, style.YAlign = n.xAlign, draw.YCenter
	at := vg.Point{X: trX(n.x) + n.dx, Y: trY(n.y)}
	const pad = 1.5
	ground := style.Rectangle(n.text).Add(at)
	ground.Min = ground.Min.Sub(vg.Point{X: pad, Y: pad})
	ground.Max = ground.Max.Add(vg.Point{X: pad, Y: pad})
	c.SetColor(color.NRGBA{255, 255, 255, 0xc0})
	c.Fill(ground.Path())
	c.FillText(style, at, n.text)
}

// mark adds a point with text beside it.
func mark(p *plot.Plot, x, y float64, text string, align draw.XAlignment, shape draw.GlyphDrawer) error {
	point, err := plotter.NewScatter(plotter.XYs{{X: x, Y: y}})
	if err != nil {
		return err
	}
	point.Shape, point.Radius = shape, 3.5
	dx := vg.Length(7)
	if align == draw.XRight {
		dx = -dx
	}
	p.Add(point, note{x: x, y: y, text: text, size: 10, xAlign: align, dx: dx})
	return nil
}

// drawBar draws the scale of colors.
func drawBar(c draw.Canvas, colors []color.Color) {
	const barWidth = 18
	step := (c.Max.Y - c.Min.Y) / vg.Length(len(colors))
	for i, clr := range colors {
		low := c.Min.Y + vg.Length(i)*step
		band := vg.Rectangle{Min: vg.Point{X: c.Min.X, Y: low}, Max: vg.Point{X: c.Min.X + barWidth, Y: low + step}}
		c.SetColor(clr)
		c.Fill(band.Path())
		c.SetLineStyle(contourStyle)
		c.Stroke(band.Path())
	}
	style := picture.Text(10)
	style.YAlign = draw.YCenter
	for i, level := range levels {
		c.FillText(style, vg.Point{X: c.Min.X + barWidth + 5, Y: c.Min.Y + vg.Length(i+1)*step}, formatLoss(level))
	}
	style.YAlign = draw.YBottom
	c.FillText(style, vg.Point{X: c.Min.X, Y: c.Max.Y + 6}, "loss")
}

func formatLoss(v float64) string { return strconv.FormatFloat(v, 'g', 2, 64) }
