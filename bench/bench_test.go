package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/seed26845165/logits"
)

// BenchmarkKernel measures every kernel on every path, at the shapes that the
// program measures it at if it is not told others, and how many
// times as fast as the plain loop it is, both measured in turns.
func BenchmarkKernel(b *testing.B) {
	c, err := parseFlags(nil, io.Discard)
	if err != nil {
		b.Fatal(err)
	}
	for _, k := range kernels {
		for _, path := range logits.Paths() {
			for _, s := range c.shapesOf(k) {
				b.Run(fmt.Sprintf("kernel=%s/path=%s/rows=%d/cols=%d", k.name, path, s.rows, s.cols), func(b *testing.B) {
					w := benchmarkData(b, path, s)
					benchmark(b, k, w)
					ratio(b, "x-naive", s, naiveContender(k, w), pathContender(k, w, path))
				})
			}
		}
	}
}

// BenchmarkLossOverSum measures the loss of a matrix larger than the caches,
// in units of the sum of the same data: both have to read it once.
func BenchmarkLossOverSum(b *testing.B) {
	for _, path := range logits.Paths() {
		b.Run("path="+path, func(b *testing.B) {
			s := matrix(256, 151936)
			w := benchmarkData(b, path, s)
			k := kernelNamed("nll")
			benchmark(b, k, w)
			ratio(b, "x-sum", s, pathContender(k, w, path), pathContender(kernelNamed("sum"), w, path))
		})
	}
}

// BenchmarkConfident measures the loss of rows whose target is 10 to 30 above
// the rest, as a trained model has them, in units of random rows.
func BenchmarkConfident(b *testing.B) {
	for _, path := range logits.Paths() {
		for _, s := range []shape{matrix(64, 10), matrix(64, 100), matrix(64, 225), matrix(64, 300), matrix(256, 1000), matrix(1, 4096), matrix(64, 2500), matrix(64, 4096), matrix(64, 5000), matrix(64, 50257), matrix(256, 151936)} {
			b.Run(fmt.Sprintf("path=%s/rows=%d/cols=%d", path, s.rows, s.cols), func(b *testing.B) {
				random := benchmarkData(b, path, s)
				confident := benchmarkData(b, path, s)
				rng := rand.New(rand.NewPCG(3, 3))
				for i, t := range confident.targets {
					x := confident.row(i)
					x[t] = maxOf(x) + float32(10+20*rng.Float64())
				}
				k := kernelNamed("nll")
				benchmark(b, k, confident)
				ratio(b, "x-random", s, pathContender(k, confident, path), pathContender(k, random, path))
			})
		}
	}
}

// benchmarkData returns normal numbers, and forces the path and one goroutine
// until the benchmark ends.
func benchmarkData(b *testing.B, path string, s shape) *workspace {
	usePath(b, path)
	logits.SetWorkers(1)
	b.Cleanup(func() { logits.SetWorkers(0) })
	w := newWorkspace(s)
	w.fill(rand.New(rand.NewPCG(1, 1)))
	return w.as(s)
}

func benchmark(b *testing.B, k kernel, w *workspace) {
	n := w.rows * w.cols
	b.SetBytes(int64(n * k.bytes()))
	for b.Loop() {
		if err := k.run(w); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/elem")
}

// ratio reports the time of x over that of y, measured in turns.
func ratio(b *testing.B, unit string, s shape, x, y contender) {
	samples, err := measure(s, []contender{x, y}, 50*time.Millisecond, 5, rand.New(rand.NewPCG(2, 2)))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(samples[0].median()/samples[1].median(), unit)
}
