package main

import (
	"math"
	"runtime/debug"
	"slices"
	"time"

	"github.com/chewxy/math32"
	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/floats"
)

// A goPeer is a Go module: functions that leave their results in a workspace,
// as ours do.
type goPeer struct {
	library string
	version string
	ours    string
	ops     map[string]func(w *workspace) // by the names of our kernels
	data    *workspace

	// wide is room for a library that works on float64, or nil.
	wide *wideData
}

// wideData takes the place of a workspace's x, y and out.
type wideData struct{ x, y, out []float64 }

// goPeers returns the Go modules that have something like our kernels.
func goPeers(paths []string) []*goPeer {
	like := func(path string) string {
		if slices.Contains(paths, path) {
			return path
		}
		return paths[0]
	}
	wide := new(wideData)
	vek := &goPeer{library: "vek32", ours: like("generic"), ops: vekOps}
	if vek32.Info().Acceleration {
		vek.ours = like("avx2")
	}
	peers := []*goPeer{
		vek,
		{library: "math32", ours: like("generic"), ops: math32Ops},
		{library: "gonum float64", ours: like("generic"), ops: gonumOps(wide), wide: wide},
	}
	modules := []string{"github.com/viterin/vek", "github.com/chewxy/math32", "gonum.org/v1/gonum"}
	for i, m := range modules {
		peers[i].version = moduleVersion(m)
	}
	return peers
}

// moduleVersion returns the version that a module was built in with.
func moduleVersion(path string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "of unknown version" // As in tests.
}

func (g *goPeer) name() string { return g.library }

func (g *goPeer) path() string { return g.ours }

func (g *goPeer) has(k kernel) bool { return g.ops[k.name] != nil }

func (g *goPeer) load(w *workspace) error {
	g.data = w
	if g.wide != nil {
		*g.wide = wideData{make([]float64, len(w.x)), make([]float64, len(w.y)), make([]float64, len(w.out))}
		for i, v := range w.x {
			g.wide.x[i] = float64(v)
		}
	}
	return nil
}

func (g *goPeer) result(dst []float32, k kernel, s shape) ([]float32, error) {
	w := g.data.as(s)
	g.ops[k.name](w)
	if g.wide != nil {
		narrow(w.y, g.wide.y)
		narrow(w.out, g.wide.out)
	}
	return k.results(dst, w), nil
}

func narrow(dst []float32, x []float64) {
	for i := range dst {
		dst[i] = float32(x[i])
	}
}

func (g *goPeer) contender(k kernel, s shape) contender {
	w := g.data.as(s)
	return contender{name: g.name(), whole: true, run: func(_, calls int) (time.Duration, error) {
		start := time.Now()
		for range calls {
			g.ops[k.name](w)
		}
		return time.Since(start), nil
	}}
}

func (g *goPeer) close() {}

// eachRow returns what sets every element of out to f of its row.
func eachRow(f func(x []float32) float32) func(w *workspace) {
	return func(w *workspace) {
		for i := range w.out {
			w.out[i] = f(w.row(i))
		}
	}
}

// intoRows returns what calls f for every row of the result and the data.
func intoRows(f func(y, x []float32)) func(w *workspace) {
	return func(w *workspace) {
		for i := range w.rows {
			f(w.y[i*w.cols:(i+1)*w.cols], w.row(i))
		}
	}
}

// lossOf returns the cross-entropy by a function for the log-sum-exp of a row.
func lossOf(logSumExp func(x []float32) float32) func(w *workspace) {
	return func(w *workspace) {
		for i, t := range w.targets {
			x := w.row(i)
			w.out[i] = logSumExp(x) - x[t]
		}
	}
}

var vekOps = map[string]func(w *workspace){
	"max": eachRow(vek32.Max),
	"argmax": func(w *workspace) {
		for i := range w.index {
			w.index[i] = vek32.ArgMax(w.row(i))
		}
	},
	"sum": eachRow(vek32.Sum),
	"exp": func(w *workspace) { vek32.Exp_Into(w.y, w.x) },
	"softmax": intoRows(func(y, x []float32) {
		vek32.SubNumber_Into(y, x, vek32.Max(x))
		vek32.Exp_Inplace(y)
		vek32.DivNumber_Inplace(y, vek32.Sum(y))
	}),
}

func logSumExp32(x []float32) float32 {
	m := maxOf(x)
	var s float32
	for _, v := range x {
		s += math32.Exp(v - m)
	}
	return m + math32.Log(s)
}

var math32Ops = map[string]func(w *workspace){
	"exp": func(w *workspace) {
		for i, v := range w.x {
			w.y[i] = math32.Exp(v)
		}
	},
	"log-sum-exp": eachRow(logSumExp32),
	"softmax": intoRows(func(y, x []float32) {
		m := maxOf(x)
		var s float32
		for j, v := range x {
			y[j] = math32.Exp(v - m)
			s += y[j]
		}
		for j := range y {
			y[j] /= s
		}
	}),
	"log-softmax": intoRows(func(y, x []float32) {
		l := logSumExp32(x)
		for j, v := range x {
			y[j] = v - l
		}
	}),
	"nll": lossOf(logSumExp32),
}

// gonumOps are of the same numbers as float64.
func gonumOps(d *wideData) map[string]func(w *workspace) {
	row := func(w *workspace, i int) []float64 { return d.x[i*w.cols : (i+1)*w.cols] }
	each := func(f func(x []float64) float64) func(w *workspace) {
		return func(w *workspace) {
			for i := range w.rows {
				d.out[i] = f(row(w, i))
			}
		}
	}
	return map[string]func(w *workspace){
		"max": each(floats.Max),
		"argmax": func(w *workspace) {
			for i := range w.index {
				w.index[i] = floats.MaxIdx(row(w, i))
			}
		},
		"sum":         each(floats.Sum),
		"log-sum-exp": each(floats.LogSumExp),
		"log-softmax": func(w *workspace) {
			for i := range w.rows {
				y, x := d.y[i*w.cols:(i+1)*w.cols], row(w, i)
				l := floats.LogSumExp(x)
				copy(y, x)
				floats.AddConst(-l, y)
			}
		},
		"softmax": func(w *workspace) {
			for i := range w.rows {
				y, x := d.y[i*w.cols:(i+1)*w.cols], row(w, i)
				l := floats.LogSumExp(x)
				for j, v := range x {
					y[j] = math.Exp(v - l)
				}
			}
		},
		"nll": func(w *workspace) {
			for i, t := range w.targets {
				x := row(w, i)
				d.out[i] = floats.LogSumExp(x) - x[t]
			}
		},
	}
}
