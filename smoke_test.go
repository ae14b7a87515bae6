package logits

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, p := range Paths() {
		SetPath(p)
		rng := rand.New(rand.NewPCG(1, 2))
		for _, c := range []int{1, 3, 7, 8, 9, 10, 15, 16, 17, 31, 33, 63, 64, 65, 100, 127, 128, 129, 200, 1000, 2047, 2048, 2049, 4096, 4100, 70000} {
			x := make([]float32, 3*c)
			for i := range x {
				x[i] = float32(rng.NormFloat64() * 3)
			}
			m := Dense(3, c, x)
			mx := make([]float32, 3)
			am := make([]int, 3)
			sm := make([]float32, 3)
			ls := make([]float32, 3)
			e := make([]float32, 3*c)
			so := make([]float32, 3*c)
			lo := make([]float32, 3*c)
			nl := make([]float32, 3)
			tg := []int{rng.IntN(c), rng.IntN(c), rng.IntN(c)}
			for _, err := range []error{RowMax(mx, m), RowArgMax(am, m), RowSum(sm, m), RowLogSumExp(ls, m), Exp(Dense(3, c, e), m), Softmax(Dense(3, c, so), m), LogSoftmax(Dense(3, c, lo), m), LogSoftmaxNLL(nl, m, tg)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for i := range 3 {
				r := x[i*c : (i+1)*c]
				M, A := math.Inf(-1), 0
				S := 0.0
				for j, v := range r {
					if float64(v) > M {
						M = float64(v)
						A = j
					}
					S += float64(v)
				}
				E := 0.0
				for _, v := range r {
					E += math.Exp(float64(v) - M)
				}
				L := M + math.Log(E)
				bad := func(n string, g, w, tol float64) {
					if !(math.Abs(g-w) <= tol) {
						t.Errorf("%s c=%d row %d %s: got %v want %v", p, c, i, n, g, w)
					}
				}
				bad("max", float64(mx[i]), M, 0)
				bad("argmax", float64(am[i]), float64(A), 0)
				bad("sum", float64(sm[i]), S, 1e-6*float64(c)*3)
				bad("lse", float64(ls[i]), L, 4e-7*math.Max(1, math.Abs(L)))
				bad("nll", float64(nl[i]), L-float64(r[tg[i]]), 4e-7*math.Max(1, math.Abs(L-float64(r[tg[i]]))))
				for j, v := range r {
					w := math.Exp(float64(v))
					bad("exp", float64(e[i*c+j]), w, 1.2e-7*w)
					w = math.Exp(float64(v)-M) / E
					bad("softmax", float64(so[i*c+j]), w, 1.5e-6*w)
					bad("logsoftmax", float64(lo[i*c+j]), float64(v)-L, 4e-7*math.Max(1, L-float64(v)))
					if t.Failed() {
						return
					}
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}
func BenchmarkNLL(b *testing.B) {
	for _, p := range Paths() {
		for _, s := range [][2]int{{64, 10}, {64, 100}, {1, 4096}, {64, 4096}, {64, 50257}, {256, 151936}} {
			b.Run(p+"/"+string(rune('a'+s[0]%26)), func(b *testing.B) {
				SetPath(p)
				x := make([]float32, s[0]*s[1])
				rng := rand.New(rand.NewPCG(1, 2))
				for i := range x {
					x[i] = float32(rng.NormFloat64() * 3)
				}
				l := make([]float32, s[0])
				t := make([]int, s[0])
				for b.Loop() {
					LogSoftmaxNLL(l, Dense(s[0], s[1], x), t)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(x)), "ns/el")
				b.ReportAllocs()
			})
		}
	}
}
