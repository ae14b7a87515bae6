package main

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"github.com/seed26845165/logits/examples/internal/picture"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

const (
	width  = 11.5 * vg.Inch
	height = 4.5 * vg.Inch
)

// Colors of the criteria and, paler, of their losses on the training rows.
// The linear models are dashed.
var (
	blue       = color.RGBA{0x1f, 0x5f, 0xa8, 0xff}
	paleBlue   = color.RGBA{0x9d, 0xc3, 0xea, 0xff}
	orange     = color.RGBA{0xd4, 0x5b, 0x00, 0xff}
	paleOrange = color.RGBA{0xf7, 0xbd, 0x85, 0xff}
	dashes     = []vg.Length{4, 2.5}
)

// drawCurves writes the learning curves to dir and returns the files' paths.
func drawCurves(dir string, runs []*training) ([]string, error) {
	accuracy := picture.NewPlot("Accuracy on held-out digits", "epoch", "accuracy")
	losses := map[string]*plot.Plot{
		crossEntropy.name: picture.NewPlot("Loss of those trained by cross-entropy", "epoch", "cross-entropy, nats a digit"),
		squaredError.name: picture.NewPlot("Loss of those trained by MSE", "epoch", "squared error a digit"),
	}
	// The losses are drawn as logarithms. A plot.LogScale would do that too, but
	// the plot's height then suffers from a long label.
	for _, t := range runs {
		strong, pale := blue, paleBlue
		if t.criterion.name == squaredError.name {
			strong, pale = orange, paleOrange
		}
		var dash []vg.Length
		if t.model == "linear" {
			dash = dashes
		}
		for _, c := range []struct {
			p     *plot.Plot
			name  string
			color color.Color
			value func(score) float64
		}{
			{accuracy, t.name(), strong, func(s score) float64 { return s.heldOutAccuracy }},
			{losses[t.criterion.name], t.model + ", held out", strong, func(s score) float64 { return math.Log10(s.heldOutLoss) }},
			{losses[t.criterion.name], t.model + ", trained on", pale, func(s score) float64 { return math.Log10(s.loss) }},
		} {
			points := make(plotter.XYs, len(t.curve))
			for i, s := range t.curve {
				points[i] = plotter.XY{X: float64(i + 1), Y: c.value(s)}
			}
			line, err := plotter.NewLine(points)
			if err != nil {
				return nil, err
			}
			line.Color, line.Width, line.Dashes = c.color, 1.5, dash
			c.p.Add(line)
			c.p.Legend.Add(c.name, line)
		}
	}

	// The first epochs of some are far below, and the rest would be one line.
	accuracy.Y.Min, accuracy.Y.Max = 0.8, max(accuracy.Y.Max, 0.95)
	accuracy.Y.Tick.Marker = plot.TickerFunc(evenTicks)
	accuracy.Legend.YOffs = 6
	row := []*plot.Plot{accuracy, losses[crossEntropy.name], losses[squaredError.name]}
	for _, p := range row[1:] {
		p.Y.Tick.Marker = plot.TickerFunc(logTicks)
		p.Y.Min, p.Y.Max = min(p.Y.Min, math.Log10(0.01)), max(p.Y.Max, math.Log10(2)) // Above is the legend.
		p.Legend.Top = true
		p.Legend.YOffs = -8
	}
	for _, p := range row {
		grid := plotter.NewGrid()
		grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe4}, color.Gray{0xe4}
		p.Add(grid)
		p.X.Min = 0
		p.Legend.XOffs = -6
		p.X.Tick.Marker = plot.TickerFunc(evenTicks)
	}
	return picture.Save(dir, "learning", width, height, func(c draw.Canvas) {
		c = picture.Caption(c,
			fmt.Sprintf("Solid: a network of %d, %d and %d units; dashed: a linear model. Both have a Gaussian prior on their weights, which the losses here are without.", pixels, hidden, classes),
		)
		tiles := draw.Tiles{Rows: 1, Cols: len(row), PadX: 18}
		for i, p := range row {
			p.Draw(tiles.At(c, i, 0))
		}
	})
}

// evenTicks labels at most five values of a linear scale.
func evenTicks(lo, hi float64) []plot.Tick {
	power := math.Pow(10, math.Floor(math.Log10((hi-lo)/4)))
	step := power
	for _, digit := range []float64{2, 5, 10} {
		if step < (hi-lo)/4 {
			step = digit * power
		}
	}
	digits := max(0, -int(math.Floor(math.Log10(step))))
	var ticks []plot.Tick
	const slack = 1e-9 // The ends may be rounded.
	for i := int(math.Ceil(lo/step - slack)); float64(i) <= hi/step+slack; i++ {
		v := min(max(float64(i)*step, lo), hi)
		ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(v, 'f', digits, 64)})
	}
	return ticks
}

// logTicks labels 1, 2 and 5 times the powers of 10, given decimal logarithms.
func logTicks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for power := math.Floor(lo); power <= hi; power++ {
		for _, digit := range []float64{1, 2, 5} {
			if v := power + math.Log10(digit); v >= lo && v <= hi {
				ticks = append(ticks, plot.Tick{Value: v, Label: strconv.FormatFloat(digit*math.Pow(10, power), 'g', 3, 64)})
			}
		}
	}
	return ticks
}
