package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// specialCols is as many columns as give every path whole vectors and a tail.
const specialCols = 37

// A specialCase is a row of numbers -2 to 2 but for some.
type specialCase struct {
	name    string
	numbers map[int]float64 // by column; 0 is the target
	kernels []string
}

var (
	nan, inf = math.NaN(), math.Inf(1)

	reductions = []string{"max", "log-sum-exp", "softmax", "log-softmax", "nll"}

	specialCases = []specialCase{
		{"a NaN", map[int]float64{33: nan}, append([]string{"argmax"}, reductions...)},
		{"+Inf", map[int]float64{5: inf}, append([]string{"argmax"}, reductions...)},
		{"-Inf here and there", map[int]float64{1: -inf, 20: -inf, 36: -inf}, reductions},
		{"-Inf for the target", map[int]float64{0: -inf}, reductions},
		{"-Inf only", allOf(-inf), reductions},
		{"1e38 and -1e38", map[int]float64{3: 1e38, 4: -1e38}, reductions},
		{"1000 throughout", allOf(1000), reductions},
		{"-1000 throughout", allOf(-1000), reductions},
		{"exp of a NaN, and infinities", map[int]float64{0: nan, 1: inf, 2: -inf}, []string{"exp"}},
		{"exp over 88.73", map[int]float64{0: 88.73, 35: 1e4, 36: math.MaxFloat32}, []string{"exp"}},
		{"exp with subnormal results", map[int]float64{0: -90, 1: -100, 36: -103.2}, []string{"exp"}},
		{"exp under -104", map[int]float64{0: -104, 35: -1e4, 36: -math.MaxFloat32}, []string{"exp"}},
	}
)

func allOf(v float64) map[int]float64 {
	m := map[int]float64{}
	for j := range specialCols {
		m[j] = v
	}
	return m
}

func (c specialCase) fill(x []float32) {
	for j := range x {
		x[j] = float32(j%5 - 2)
		if v, ok := c.numbers[j]; ok {
			x[j] = float32(v)
		}
	}
}

// specialResults returns what PyTorch documents or does for a kernel, in
// float64, which has no overflow for float32 numbers less their maximum.
func specialResults(kernel string, x []float32) []float64 {
	m, at := math.Inf(-1), 0
	for j, v := range x {
		if v := float64(v); m == m && !(v <= m) {
			m, at = v, j
		}
	}
	var s float64
	for _, v := range x {
		s += math.Exp(float64(v) - m)
	}
	each := func(f func(v float64) float64) []float64 {
		y := make([]float64, len(x))
		for j, v := range x {
			y[j] = f(float64(v))
		}
		return y
	}
	switch kernel {
	case "argmax":
		return []float64{float64(at)}
	case "max":
		return []float64{m}
	case "exp":
		return each(math.Exp)
	case "log-sum-exp":
		if math.IsInf(m, 0) {
			return []float64{m}
		}
		return []float64{m + math.Log(s)}
	case "softmax":
		return each(func(v float64) float64 { return math.Exp(v-m) / s })
	case "log-softmax":
		return each(func(v float64) float64 { return v - m - math.Log(s) })
	}
	return []float64{m + math.Log(s) - float64(x[0])} // nll
}

// rightSpecial leaves room for errors, which other tables show.
func rightSpecial(got float32, want float64) bool {
	switch want32 := float32(want); {
	case want != want || math.IsInf(float64(want32), 0) || want == 0:
		return got == want32 || got != got && want != want
	default:
		return math.Abs(float64(got)-want) <= 1e-4*math.Abs(want)+0x1p-148
	}
}

// measureSpecials returns, by case and kernel, the engines that are wrong.
func measureSpecials(engines []*engine) (map[string]map[*engine]bool, error) {
	w := newWorkspace(matrix(len(specialCases), specialCols))
	for i, c := range specialCases {
		c.fill(w.x[i*specialCols : (i+1)*specialCols])
	}
	w = w.as(matrix(len(specialCases), specialCols))
	if err := prepare(engines, w); err != nil {
		return nil, err
	}
	wrong := map[string]map[*engine]bool{}
	for _, e := range engines {
		results := map[string][]float32{}
		for i, c := range specialCases {
			for _, name := range c.kernels {
				k := kernelNamed(name)
				if !e.has(k) {
					continue
				}
				if results[name] == nil {
					var err error
					if results[name], err = e.results(nil, k, w); err != nil {
						return nil, err
					}
				}
				n := len(results[name]) / w.rows
				for j, want := range specialResults(name, w.row(i)) {
					if !rightSpecial(results[name][i*n+j], want) {
						at := specialName(c, name)
						if wrong[at] == nil {
							wrong[at] = map[*engine]bool{}
						}
						wrong[at][e] = true
					}
				}
			}
		}
	}
	return wrong, nil
}

func specialName(c specialCase, kernel string) string { return c.name + " | " + kernel }

// printSpecials says right or wrong, and fails if we are wrong.
func printSpecials(w io.Writer, engines []*engine, wrong map[string]map[*engine]bool) error {
	fmt.Fprint(w, "\nSpecial values, by what PyTorch makes of them\n\n")
	lines := markdown{w, engines}
	lines.head("a row with", "function")
	var failed []string
	for _, c := range specialCases {
		for _, name := range c.kernels {
			at := specialName(c, name)
			lines.line(func(e *engine) string {
				switch {
				case !e.has(kernelNamed(name)):
					return "-"
				case wrong[at][e]:
					return "wrong"
				}
				return "right"
			}, c.name, name)
			for _, e := range engines {
				if e.peer == nil && wrong[at][e] {
					failed = append(failed, fmt.Sprintf("%s: %s of a row with %s", e.name, name, c.name))
				}
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("special values: wrong on %s", strings.Join(failed, "; "))
	}
	return nil
}
