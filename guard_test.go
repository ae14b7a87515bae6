//go:build unix

package logits

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guarded is memory between two pages that nobody may touch.
func guarded(t *testing.T, size int) []byte {
	page := os.Getpagesize()
	size = (size + page - 1) &^ (page - 1)
	mem, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	for _, p := range [][]byte{mem[:page], mem[page+size:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return mem[page:][:size:size]
}

// watch calls f, which may write to the rows of out and must not write to in,
// and reports accesses outside of them.
func watch(t *testing.T, name func() string, out, in []armed, f func()) {
	t.Helper()
	for _, a := range slices.Concat(in, out) {
		a.arm()
	}
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if r := recover(); r != nil {
				t.Fatalf("%s: %v", name(), r)
			}
		}()
		f()
	}()
	for _, a := range out {
		if a.changed(true) {
			t.Fatalf("%s: wrote outside of the result", name())
		}
	}
	for _, a := range in {
		if a.changed(false) {
			t.Fatalf("%s: wrote to its input", name())
		}
	}
}

// guardSizes are all sizes to three steps and more, and those about a block.
func guardSizes() []int {
	var s []int
	for n := 1; n <= 210; n++ {
		if n <= 70 || !lighter() {
			s = append(s, n)
		}
	}
	for n := -8; n <= 82; n++ {
		if n >= -1 && n <= 2 || !lighter() && (n < 18 || n > 60) {
			s = append(s, blockSize+n)
		}
	}
	return append(s, 2047, 2048, 2049)
}

// TestGuardKernels runs the kernels on data that begins or ends where memory does.
func TestGuardKernels(t *testing.T) {
	onPaths(t, func(t *testing.T) { testGuardKernels(t, active) })
	t.Run("float64", func(t *testing.T) { testGuardKernels(t, &tableGeneric64) })
}

func testGuardKernels[T Float](t *testing.T, k *kernels[T]) {
	if emulated() && k.name == "avx2" {
		t.Skip("masked loads fault here")
	}
	mem := [][]byte{guarded(t, 4*4200*8), guarded(t, 4*4200*8), guarded(t, 4*4200*8), guarded(t, 100), guarded(t, 100), guarded(t, 100), guarded(t, 100)}
	ran := map[string]bool{}
	for c, cols := range guardSizes() {
		for _, end := range []bool{false, true} {
			in := kernelInput{rows: guardRows(cols) - 2*(c%4/3), cols: cols, stride: cols + c%6, dstStride: cols + c%5, end: end}
			if in.rows == 1 { // as chunks of a row are
				in.stride = 0
			}
			for in.kind = range guardKinds {
				for _, call := range kernelCalls(k, mem, in) {
					if in.kind > 0 && !slices.Contains([]string{"max", "min", "argMax", "sumExp", "sumExpDot", "sumExpWeighted", "shiftSumExp", "expSum"}, call.name) {
						continue // The others do not look for anything.
					}
					ran[call.name] = true
					out, src, run := call.prepare()
					watch(t, func() string { return fmt.Sprintf("%s: %s, %+v", k.name, call.name, in) }, out, src, run)
				}
			}
		}
	}
	wantKernels(t, ran)
}

// TestGuardPublic does the same with the public functions, and mixes both ends.
func TestGuardPublic(t *testing.T) {
	onPaths(t, testGuardPublic[float32])
	t.Run("float64", testGuardPublic[float64])
}

func testGuardPublic[T Float](t *testing.T) {
	if emulated() && Path() == "avx2" && is32[T]() {
		t.Skip("masked loads fault here")
	}
	useWorkers(t, 1)
	mx, my, mz := guarded(t, 4*4200*8), guarded(t, 4*4200*8), guarded(t, 4*4200*8)
	m1, m2 := guarded(t, 100), guarded(t, 100)
	for c, cols := range guardSizes() {
		for ends := range 4 {
			if ends%3 != 0 && c%4 != 0 {
				continue // Most sizes have data and results at the same end.
			}
			end, dstEnd := ends&1 != 0, ends&2 != 0
			rows := 3 - 2*(c%4/3)
			stride, dstStride := cols+c%6, cols+c%5
			x := newArea[T](mx, rows, cols, stride, end)
			g := newArea[T](my, rows, cols, stride, !end)
			y := newArea[T](mz, rows, cols, dstStride, dstEnd)
			vals := newArea[T](m1, 1, rows, 0, dstEnd)
			args := newArea[int](m1, 1, rows, 0, dstEnd)
			targets := newArea[int32](m2, 1, rows, 0, end)
			matrix := func(a *area[T]) Matrix[T] { return Matrix[T]{a.rows, a.cols, a.x, a.stride} }
			for i := range targets.x {
				targets.x[i] = int32((cols - 1) * (1 - i%2))
			}
			guardFill(x.row, rows, 0)
			guardFill(g.row, rows, 3)
			name := func(fn string) func() string {
				return func() string {
					return fmt.Sprintf("%s: %s of %d x %d, stride %d to %d, at the end: %t to %t", Path(), fn, rows, cols, stride, dstStride, end, dstEnd)
				}
			}
			watch(t, name("RowMax"), []armed{vals}, []armed{x}, func() { must(t, RowMax(vals.x, matrix(x))) })
			watch(t, name("RowSum"), []armed{vals}, []armed{x}, func() { must(t, RowSum(vals.x, matrix(x))) })
			watch(t, name("RowLogSumExp"), []armed{vals}, []armed{x}, func() { must(t, RowLogSumExp(vals.x, matrix(x))) })
			watch(t, name("RowArgMax"), []armed{args}, []armed{x}, func() { must(t, RowArgMax(args.x, matrix(x))) })
			watch(t, name("LogSoftmaxNLL"), []armed{vals}, []armed{x, targets}, func() {
				must(t, LogSoftmaxNLL(vals.x, matrix(x), targets.x))
			})
			for fn, f := range matrixFuncs[T]() {
				watch(t, name(fn), []armed{y}, []armed{x}, func() { must(t, f(matrix(y), matrix(x))) })
			}
			for fn, f := range gradFuncs[T]() {
				watch(t, name(fn), []armed{y}, []armed{x, g}, func() { must(t, f(matrix(y), matrix(x), matrix(g))) })
			}
			px, pg, py := newArea[T](mx, 1, cols*rows, 0, end), newArea[T](my, 1, cols*rows, 0, !end), newArea[T](mz, 1, cols*rows, 0, dstEnd)
			guardFill(px.row, 1, 0)
			guardFill(pg.row, 1, 0)
			planar := func(a *area[T]) Planar[T] { return Planar[T]{1, cols, rows, a.x} }
			watch(t, name("Softmax, planar,"), []armed{py}, []armed{px}, func() { must(t, Softmax(planar(py), planar(px))) })
			watch(t, name("LogSoftmaxGrad, planar,"), []armed{py}, []armed{px, pg}, func() {
				must(t, LogSoftmaxGrad(planar(py), planar(px), planar(pg)))
			})
			if ends != 0 {
				continue
			}
			for fn, f := range matrixFuncs[T]() {
				x := newArea[T](mx, rows, cols, stride, true)
				guardFill(x.row, rows, 0)
				watch(t, name(fn+" in place"), []armed{x}, nil, func() { must(t, f(matrix(x), matrix(x))) })
			}
			for fn, f := range gradFuncs[T]() {
				x := newArea[T](mx, rows, cols, stride, true)
				guardFill(x.row, rows, 0)
				watch(t, name(fn+" in place"), []armed{x}, nil, func() { must(t, f(matrix(x), matrix(x), matrix(x))) })
			}
		}
	}
}

// TestGuardWorks makes sure that a read of one element too many is seen.
func TestGuardWorks(t *testing.T) {
	mem := guarded(t, 100)
	a := newArea[float32](mem, 1, 5, 0, true)
	var seen any
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { seen = recover() }()
		var dst float32
		tableGeneric.max(&dst, a.p(), 1, 6, 0)
	}()
	if seen == nil {
		t.Error("a read past the end goes unnoticed")
	}
	a.arm()
	*(*byte)(unsafe.Add(unsafe.Pointer(a.p()), -1)) = 0
	if !a.changed(true) {
		t.Error("a write before the start goes unnoticed")
	}
}
