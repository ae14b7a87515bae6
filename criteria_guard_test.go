//go:build unix

package logits

import (
	"fmt"
	"testing"
)

// TestGuardCriteria runs the criteria on data that begins or ends where memory does.
func TestGuardCriteria(t *testing.T) {
	onPaths(t, testGuardCriteria[float32])
	t.Run("float64", testGuardCriteria[float64])
}

func testGuardCriteria[T Float](t *testing.T) {
	if emulated() && Path() == "avx2" && is32[T]() {
		t.Skip("masked loads fault here")
	}
	useWorkers(t, 1)
	mx, my, mz := guarded(t, 4*4200*8), guarded(t, 4*4200*8), guarded(t, 4*4200*8)
	m1, m2, m3, m4 := guarded(t, 100), guarded(t, 100), guarded(t, 4200*8), guarded(t, 100)
	for c, cols := range guardSizes() {
		for ends := range 4 {
			if ends%3 != 0 && c%4 != 0 {
				continue // Most sizes have data and results at the same end.
			}
			end, dstEnd := ends&1 != 0, ends&2 != 0
			rows := 3 - 2*(c%4/3)
			stride, dstStride := cols+c%6, cols+c%5
			x, q := newArea[T](mx, rows, cols, stride, end), newArea[T](my, rows, cols, stride, !end)
			g := newArea[T](mz, rows, cols, dstStride, dstEnd)
			loss, targets := newArea[T](m1, 1, rows, 0, dstEnd), newArea[int64](m2, 1, rows, 0, end)
			weight, up := newArea[T](m3, 1, cols, 0, end), newArea[T](m4, 1, rows, 0, !end)
			guardFill(x.row, rows, c%2*3)
			for i := range rows {
				fill(q.row(i), 0.5)
			}
			fill(weight.x, 1.5)
			fill(up.x, -2)
			for i := range targets.x {
				targets.x[i] = int64((cols - 1) * (1 - i%2))
			}
			matrix := func(a *area[T]) Matrix[T] { return Matrix[T]{a.rows, a.cols, a.x, a.stride} }
			a := criterion[T, Matrix[T]]{x: matrix(x), q: matrix(q), grad: matrix(g), targets: targets.x, loss: loss.x}
			name := func(fn string, i int) func() string {
				return func() string {
					return fmt.Sprintf("%s: %s, options %d, of %d x %d, stride %d to %d, at the end: %t to %t", Path(), fn, i, rows, cols, stride, dstStride, end, dstEnd)
				}
			}
			sources := []armed{x, q, targets, weight, up}
			for i, opt := range []Options[T]{{}, {Weight: weight.x, Upstream: up.x, LabelSmoothing: 0.1, Accumulate: true}, {LabelSmoothing: 0.5}} {
				for _, op := range criteria {
					a := a
					a.op, a.opt = op, opt
					if op == "nll_loss" {
						a.opt.LabelSmoothing = 0
					}
					call := func(f form) func() {
						return func() {
							_, err := a.call(f)
							must(t, err)
						}
					}
					watch(t, name(op, i), nil, append(sources, g, loss), call(reducedForm))
					watch(t, name(op+" rows", i), []armed{loss}, append(sources, g), call(rowsForm))
					watch(t, name(op+" gradient", i), []armed{g}, append(sources, loss), call(gradForm))
				}
			}
			watch(t, name("MSEGrad", 0), []armed{g}, sources, func() {
				_, err := MSEGrad(a.grad, a.x, a.q, Mean, 1)
				must(t, err)
			})
			watch(t, name("L1Grad", 0), []armed{g}, sources, func() {
				_, err := L1Grad(a.grad, a.x, a.q, Sum, 1)
				must(t, err)
			})
			watch(t, name("MSE", 0), nil, append(sources, g), func() {
				_, err := MSE(a.x, a.q, Mean)
				must(t, err)
			})
			watch(t, name("L1", 0), nil, append(sources, g), func() {
				_, err := L1(a.x, a.q, Mean)
				must(t, err)
			})
			watch(t, name("MSEEach", 0), []armed{g}, sources, func() { must(t, MSEEach(a.grad, a.x, a.q)) })
			watch(t, name("OneHot", 0), []armed{g}, sources, func() { must(t, OneHot(a.grad, a.targets)) })
			watch(t, name("RowCrossEntropy", 0), []armed{loss}, sources, func() { must(t, RowCrossEntropy(a.loss, a.q, a.q)) })

			px, pq := newArea[T](mx, 1, rows*cols, 0, end), newArea[T](my, 1, rows*cols, 0, !end)
			pg := newArea[T](mz, 1, rows*cols, 0, dstEnd)
			guardFill(px.row, 1, 0)
			fill(pq.x, 0.5)
			planar := func(a *area[T]) Planar[T] { return Planar[T]{1, cols, rows, a.x} }
			for i, opt := range []Options[T]{{}, {Weight: weight.x, Upstream: up.x, LabelSmoothing: 0.1, Accumulate: true}} {
				b := criterion[T, Planar[T]]{op: criteria[c%2], x: planar(px), q: planar(pq), grad: planar(pg), targets: targets.x, loss: loss.x, opt: opt}
				watch(t, name(b.op+" rows, planar", i), []armed{loss}, []armed{px, pq, pg, weight}, func() {
					_, err := b.call(rowsForm)
					must(t, err)
				})
				watch(t, name(b.op+" gradient, planar", i), []armed{pg}, []armed{px, pq, loss, weight, up}, func() {
					_, err := b.call(gradForm)
					must(t, err)
				})
				if opt.Accumulate {
					continue
				}
				b.grad = b.x
				watch(t, name(b.op+" in place, planar", i), []armed{px}, []armed{pq, loss}, func() {
					_, err := b.call(gradForm)
					must(t, err)
				})
			}
		}
	}
}
