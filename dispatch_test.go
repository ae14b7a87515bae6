package logits

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

func TestPaths(t *testing.T) {
	names := Paths()
	if len(names) == 0 || names[len(names)-1] != "generic" {
		t.Fatalf("Paths() = %q, want generic last", names)
	}
	for i, n := range names {
		if slices.Index(names, n) != i {
			t.Errorf("Paths() = %q names %s twice", names, n)
		}
	}
	if os.Getenv("LOGITS_PATH") == "" && Path() != names[0] {
		t.Errorf("Path() = %q, want the best of %q", Path(), names)
	}
	names[0] = "changed"
	if Paths()[0] == "changed" {
		t.Error("Paths() returns the package's own slice")
	}
}

func TestSetPath(t *testing.T) {
	usePath(t, Path())
	for _, name := range Paths() {
		if err := SetPath(name); err != nil || Path() != name {
			t.Errorf("SetPath(%q) = %v, Path() = %q after it", name, err, Path())
		}
		k := active
		for _, bad := range []string{"", "sse2", "AVX2", "avx2 ", "generic\n", "avx10"} {
			err := SetPath(bad)
			if err == nil {
				t.Fatalf("SetPath(%q) is no error", bad)
			}
			for _, want := range append(Paths(), fmt.Sprintf("%q", bad)) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("SetPath(%q) = %q, want %s in it", bad, err, want)
				}
			}
			if active != k || Path() != name {
				t.Fatalf("SetPath(%q) changed the path from %s to %s", bad, name, Path())
			}
		}
	}
	for _, name := range []string{"avx512", "avx2", "neon"} {
		if !slices.Contains(Paths(), name) && SetPath(name) == nil {
			t.Errorf("SetPath(%q) is no error, though this machine has only %q", name, Paths())
		}
	}
}

// emulated tells whether this CPU is QEMU's. Its VMASKMOVPS touches memory
// under the elements that are masked out, which a CPU's does not.
func emulated() bool { return cpuid.CPU.HypervisorVendorID == cpuid.QEMU }

// kernelNames are the fields of a table that hold a kernel.
func kernelNames() []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[kernels[float32]]()) {
		if f.Type.Kind() == reflect.Func {
			names = append(names, f.Name)
		}
	}
	return names
}

// wantKernels fails a test that has left out a kernel.
func wantKernels(t *testing.T, seen map[string]bool) {
	t.Helper()
	for _, name := range kernelNames() {
		if !seen[name] {
			t.Errorf("the kernel %s was not tested", name)
		}
	}
}

// suffixes are what the names of a path's own kernels end in. A kernel of two
// paths, or one that falls back on another, belongs in shared.
var (
	suffixes = map[string]string{"avx512": "AVX512", "avx2": "AVX2", "neon": "NEON"}
	shared   = map[string]string{}
)

// TestTables makes sure that every kernel of a path is the path's own.
func TestTables(t *testing.T) {
	seen := map[uintptr]string{}
	for _, k := range paths {
		v := reflect.ValueOf(k).Elem()
		for _, field := range kernelNames() {
			f := v.FieldByName(field)
			where := k.name + "'s " + field
			if f.IsNil() {
				if k.name == "generic" && strings.HasPrefix(field, "medium") && k.mediumCols == shortCols {
					continue
				}
				t.Errorf("%s is missing", where)
				continue
			}
			name := runtime.FuncForPC(f.Pointer()).Name()
			name = strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], ".abi0")
			want := "logits." + field + suffixes[k.name]
			if k.name == "generic" {
				want = "logits." + field + "Generic"
				// The compiler wraps instances of generic functions, and numbers the wrappers.
				if strings.HasPrefix(name, "logits.genericKernels[...].func") {
					name = want
				}
			}
			if s, ok := shared[where]; ok {
				want = s
			}
			if name != want {
				t.Errorf("%s is %s, want %s", where, name, want)
			}
			if other := seen[f.Pointer()]; other != "" && shared[where] == "" {
				t.Errorf("%s is %s", where, other)
			}
			seen[f.Pointer()] = where
		}
	}
}

// TestPathEnv starts this program again with LOGITS_PATH set.
func TestPathEnv(t *testing.T) {
	const child = "LOGITS_TEST_CHILD"
	if os.Getenv(child) != "" {
		var sum [1]float32
		must(t, RowLogSumExp(sum[:], Row([]float32{0, 0, 0})))
		fmt.Printf("paths=%q path=%s %.4f\n", Paths(), Path(), sum[0])
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	start := func(path string) (string, error) {
		cmd := exec.Command(self, "-test.run=^TestPathEnv$", "-test.v")
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "LOGITS_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		cmd.Env = append(cmd.Env, child+"=1", "LOGITS_PATH="+path)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Skipf("this program cannot be started again, maybe it is emulated: %v", err)
		}
		return string(out), err
	}
	line := func(path string) string { return fmt.Sprintf("path=%s %.4f\n", path, math.Log(3)) }
	out, err := start("")
	if err == nil && !strings.Contains(out, fmt.Sprintf("paths=%q ", Paths())) {
		t.Skipf("started again, this program is on another CPU, not the emulated one: %q", out)
	}
	if err != nil || !strings.Contains(out, line(Paths()[0])) {
		t.Fatalf("with no LOGITS_PATH: %v, output %q, want %q in it", err, out, line(Paths()[0]))
	}
	for _, path := range Paths() {
		if out, err := start(path); err != nil || !strings.Contains(out, line(path)) {
			t.Errorf("with LOGITS_PATH=%s: %v, output %q, want %q in it", path, err, out, line(path))
		}
	}
	bad := []string{"sse2", "AVX2", "generic,avx2"}
	for _, name := range []string{"avx512", "avx2", "neon"} {
		if !slices.Contains(Paths(), name) {
			bad = append(bad, name)
		}
	}
	for _, path := range bad {
		out, err := start(path)
		if err == nil || strings.Contains(out, "path=") {
			t.Errorf("LOGITS_PATH=%s is no failure, output %q", path, out)
		}
		for _, want := range append(Paths(), "panic", "LOGITS_PATH", path) {
			if !strings.Contains(out, want) {
				t.Errorf("LOGITS_PATH=%s fails with %q, want %s in it", path, out, want)
			}
		}
	}
}

// An area is a matrix at one end of guarded memory.
type area[T any] struct {
	mem                []byte // the matrix and some canaries beside it
	x                  []T
	rows, cols, stride int
	off                int // of the matrix in mem, in bytes
	want               []byte
}

func newArea[T any](mem []byte, rows, cols, stride int, end bool) *area[T] {
	a := &area[T]{rows: rows, cols: cols, stride: stride}
	n := (rows-1)*stride + cols
	size := n * int(unsafe.Sizeof(a.x[0]))
	window := min(len(mem), size+256)
	if end {
		a.mem = mem[len(mem)-window:]
		a.off = window - size
	} else {
		a.mem = mem[:window]
	}
	a.x = unsafe.Slice((*T)(unsafe.Pointer(&a.mem[a.off])), n)
	fill(a.mem, 0xcb)
	return a
}

func (a *area[T]) row(i int) []T { return a.x[i*a.stride:][:a.cols] }
func (a *area[T]) p() *T         { return &a.x[0] }

// arm remembers what the memory holds.
func (a *area[T]) arm() { a.want = append(a.want[:0], a.mem...) }

// changed reports writes outside of the rows, and anywhere if !writable.
func (a *area[T]) changed(writable bool) bool {
	if writable {
		var x T
		size := int(unsafe.Sizeof(x))
		for i := range a.rows {
			lo := a.off + i*a.stride*size
			copy(a.want[lo:lo+a.cols*size], a.mem[lo:])
		}
	}
	return !bytes.Equal(a.want, a.mem)
}

type armed interface {
	arm()
	changed(writable bool) bool
}

// guardFill fills rows in a way that makes the kernels search to their ends.
func guardFill[T Float](rows func(int) []T, n, kind int) {
	for i := range n {
		x := rows(i)
		for j := range x {
			x[j] = T((7*i+11*j)%61)/8 - 4
		}
		switch kind {
		case 1:
			x[len(x)-1] = T(math.NaN())
		case 2:
			fill(x, T(math.Inf(-1)))
		case 3:
			x[len(x)-1] = 30
		case 4:
			x[len(x)-1] = -1000
		}
	}
}

const guardKinds = 5

// A kernelInput says what kernelCalls is to run the kernels on.
type kernelInput struct {
	rows, cols, stride, dstStride int
	end                           bool // at the end of the memory
	kind                          int  // of numbers, see guardFill
}

// A kernelCall is one call of a kernel: prepare sets up what it writes and
// what it reads in memory that it shares with the other calls.
type kernelCall struct {
	name    string
	prepare func() (out, in []armed, run func())
}

// kernelCalls is where the tests that run kernels by themselves have them from.
// Of mem the first three are for matrices, the others for one result a block.
func kernelCalls[T Float](k *kernels[T], mem [][]byte, in kernelInput) []kernelCall {
	rows, cols, stride, dstStride := in.rows, in.cols, in.stride, in.dstStride
	blocks := (cols + blockSize - 1) / blockSize
	medium := k.mediumCols > shortCols && cols <= k.mediumCols
	matrix := func(mem []byte, stride int) *area[T] {
		a := newArea[T](mem, rows, cols, stride, in.end)
		guardFill(a.row, rows, in.kind)
		return a
	}
	x := func() *area[T] { return matrix(mem[0], stride) }
	y := func() *area[T] { return matrix(mem[1], dstStride) }
	vec := func(i, n int) *area[T] {
		a := newArea[T](mem[3+i], 1, n, 0, in.end)
		fill(a.x, 3)
		return a
	}
	aligned := func() *area[T] { // for streams
		a := newArea[T](mem[2], rows, cols, (cols+15)&^15, in.end && cols%16 == 0)
		fill(a.x, 7)
		return a
	}
	row := func(i int) *area[T] {
		a := newArea[T](mem[i], 1, cols, 0, in.end)
		guardFill(a.row, 1, 0)
		return a
	}
	doubles := func(i, n int) *area[float64] { return newArea[float64](mem[i], 1, n, 0, in.end) }
	double := func(i int) *area[float64] { return doubles(i, rows) }
	sums := func() *area[float64] {
		a := double(3)
		fill(a.x, 0.3)
		return a
	}
	out := func(a ...armed) []armed { return a }
	shiftSumExp := func(stream int) ([]armed, []armed, func()) {
		n := cols / step * step
		x, from, to := row(0), row(1), newArea[T](mem[2], 1, max(n, step), 0, in.end)
		guardFill(x.row, 1, in.kind)
		base, sum, peak, m := vec(0, blocks), vec(1, blocks), vec(2, blocks), vec(3, 2)
		return out(base, sum, peak, to), out(x, from, m), func() {
			k.shiftSumExp(base.p(), sum.p(), peak.p(), x.p(), 1, cols, 0, to.p(), from.p(), &m.x[0], &m.x[1], n, stream)
		}
	}
	return []kernelCall{
		{"pages", func() ([]armed, []armed, func()) {
			x := x()
			return nil, out(x), func() { k.pages(x.p(), 100) }
		}},
		{"max", func() ([]armed, []armed, func()) {
			x, dst := x(), vec(0, rows)
			return out(dst), out(x), func() { k.max(dst.p(), x.p(), rows, cols, stride) }
		}},
		{"min", func() ([]armed, []armed, func()) {
			x, dst := x(), vec(0, rows)
			return out(dst), out(x), func() { k.min(dst.p(), x.p(), rows, cols, stride) }
		}},
		{"argMax", func() ([]armed, []armed, func()) {
			x, dst := x(), newArea[int](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x), func() { k.argMax(dst.p(), x.p(), rows, cols, stride) }
		}},
		{"sum", func() ([]armed, []armed, func()) {
			x, dst := x(), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x), func() { k.sum(dst.p(), x.p(), rows, cols, stride) }
		}},
		{"exp", func() ([]armed, []armed, func()) {
			src, dst := newArea[T](mem[0], 1, cols, 0, in.end), newArea[T](mem[1], 1, cols, 0, in.end)
			guardFill(src.row, 1, in.kind)
			return out(dst), out(src), func() { k.exp(dst.p(), src.p(), cols, 0) }
		}},
		{"exp", func() ([]armed, []armed, func()) {
			src, dst := newArea[T](mem[0], 1, cols, 0, in.end), newArea[T](mem[1], 1, cols, 0, in.end)
			guardFill(src.row, 1, in.kind)
			return out(dst), out(src), func() { k.exp(dst.p(), src.p(), cols, 1) }
		}},
		{"exp", func() ([]armed, []armed, func()) {
			x := newArea[T](mem[0], 1, cols, 0, in.end)
			guardFill(x.row, 1, in.kind)
			return out(x), nil, func() { k.exp(x.p(), x.p(), cols, 0) }
		}},
		{"sumExp", func() ([]armed, []armed, func()) {
			x, max, sum, ones := x(), vec(0, rows*blocks), vec(1, rows*blocks), vec(2, rows*blocks)
			return out(max, sum, ones), out(x), func() { k.sumExp(max.p(), sum.p(), ones.p(), x.p(), rows, cols, stride) }
		}},
		{"sumExpDot", func() ([]armed, []armed, func()) {
			x, max, sum, ones, dot := x(), vec(0, rows*blocks), vec(1, rows*blocks), vec(2, rows*blocks), newArea[T](mem[1], 1, rows*blocks, 0, in.end)
			return out(max, sum, ones, dot), out(x), func() { k.sumExpDot(max.p(), sum.p(), ones.p(), dot.p(), x.p(), rows, cols, stride) }
		}},
		{"sumExpWeighted", func() ([]armed, []armed, func()) {
			x, max, sum, ones, dot := x(), vec(0, rows*blocks), vec(1, rows*blocks), vec(2, rows*blocks), newArea[T](mem[1], 1, rows*blocks, 0, in.end)
			w := newArea[T](mem[2], 1, cols, 0, in.end)
			guardFill(w.row, 1, 0)
			return out(max, sum, ones, dot), out(x, w), func() {
				k.sumExpWeighted(max.p(), sum.p(), ones.p(), dot.p(), x.p(), w.p(), rows, cols, stride)
			}
		}},
		{"shiftSumExp", func() ([]armed, []armed, func()) { return shiftSumExp(0) }},
		{"shiftSumExp", func() ([]armed, []armed, func()) { return shiftSumExp(1) }},
		{"expSum", func() ([]armed, []armed, func()) {
			x, y, base, sum, more := x(), y(), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks)
			return out(y, base, sum, more), out(x), func() { k.expSum(y.p(), base.p(), sum.p(), more.p(), x.p(), rows, cols, dstStride, stride) }
		}},
		{"expSum", func() ([]armed, []armed, func()) {
			y, base, sum, more := y(), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks)
			return out(y, base, sum, more), nil, func() { k.expSum(y.p(), base.p(), sum.p(), more.p(), y.p(), rows, cols, dstStride, dstStride) }
		}},
		{"expSumDot", func() ([]armed, []armed, func()) {
			y, base, sum, more, dot := y(), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks), vec(2, rows*blocks)
			return out(y, base, sum, more, dot), nil, func() {
				k.expSumDot(y.p(), base.p(), sum.p(), more.p(), dot.p(), y.p(), rows, cols, dstStride, dstStride)
			}
		}},
		{"expSumWeighted", func() ([]armed, []armed, func()) {
			x, y, base, sum, more, dot := x(), y(), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks), vec(2, rows*blocks)
			w := newArea[T](mem[2], 1, cols, 0, in.end)
			guardFill(w.row, 1, 0)
			return out(y, base, sum, more, dot), out(x, w), func() {
				k.expSumWeighted(y.p(), base.p(), sum.p(), more.p(), dot.p(), x.p(), w.p(), rows, cols, dstStride, stride)
			}
		}},
		{"shortSoftmax", func() ([]armed, []armed, func()) {
			x, y, max, sum, log := x(), y(), vec(0, rows), double(4), double(5)
			scale := make([]T, rows)
			fill(scale, 1)
			return out(y, max, sum, log), out(x), func() {
				if cols <= shortCols {
					k.shortSoftmax(y.p(), &scale[0], max.p(), sum.p(), log.p(), x.p(), rows, cols, dstStride, stride, 1<<16)
				}
			}
		}},
		{"shortSoftmax", func() ([]armed, []armed, func()) {
			y, max, sum, log := y(), vec(0, rows), double(4), double(5)
			scale := make([]T, rows)
			fill(scale, 1)
			return out(y, max, sum, log), nil, func() {
				if cols <= shortCols {
					k.shortSoftmax(y.p(), &scale[0], max.p(), sum.p(), log.p(), y.p(), rows, cols, dstStride, dstStride, 1<<16)
				}
			}
		}},
		{"shortSoftmax", func() ([]armed, []armed, func()) {
			x, max, sum, log := x(), vec(0, rows), double(4), double(5)
			return out(max, sum, log), out(x), func() {
				if cols <= shortCols {
					k.shortSoftmax(nil, nil, max.p(), sum.p(), log.p(), x.p(), rows, cols, 0, stride, 1<<16)
				}
			}
		}},
		{"scaleExpSum", func() ([]armed, []armed, func()) {
			x, y, to, base, sum, more := x(), y(), matrix(mem[2], dstStride), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks)
			factor, add := make([]T, rows*blocks), make([]T, rows)
			return out(y, to, base, sum, more), out(x), func() {
				k.scaleExpSum(y.p(), base.p(), sum.p(), more.p(), x.p(), rows, cols, dstStride, stride, to.p(), &factor[0], &add[0], dstStride, rows%2)
			}
		}},
		{"scaleExpSum", func() ([]armed, []armed, func()) {
			x, y, base, sum, more, factor, add := x(), y(), make([]T, rows*blocks), make([]T, rows*blocks), make([]T, rows*blocks), vec(0, rows*blocks), vec(1, rows)
			to := make([]T, rows*dstStride)
			return out(y), out(x, factor, add), func() {
				k.scaleExpSum(y.p(), &base[0], &sum[0], &more[0], x.p(), rows, cols, dstStride, stride, &to[0], factor.p(), add.p(), dstStride, rows%2)
			}
		}},
		{"scaleExpSumDot", func() ([]armed, []armed, func()) {
			x, y, to, base, sum, more, dot := x(), y(), matrix(mem[2], dstStride), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks), vec(2, rows*blocks)
			factor, add := make([]T, rows*blocks), make([]T, rows)
			return out(y, to, base, sum, more, dot), out(x), func() {
				k.scaleExpSumDot(y.p(), base.p(), sum.p(), more.p(), dot.p(), x.p(), rows, cols, dstStride, stride, to.p(), &factor[0], &add[0], dstStride, rows%2)
			}
		}},
		{"scaleExpSumWeighted", func() ([]armed, []armed, func()) {
			x, to, base, sum, more, dot := x(), y(), vec(0, rows*blocks), vec(1, rows*blocks), vec(3, rows*blocks), vec(2, rows*blocks)
			w, y := newArea[T](mem[2], 1, cols, 0, in.end), make([]T, rows*dstStride)
			guardFill(w.row, 1, 0)
			factor, add := make([]T, rows*blocks), make([]T, rows)
			return out(to, base, sum, more, dot), out(x, w), func() {
				k.scaleExpSumWeighted(&y[0], base.p(), sum.p(), more.p(), dot.p(), x.p(), w.p(), rows, cols, dstStride, stride, to.p(), &factor[0], &add[0], dstStride, rows%2)
			}
		}},
		{"shortSoftmaxDot", func() ([]armed, []armed, func()) {
			y, max, sum, log := y(), vec(0, rows), double(4), double(5)
			dot := make([]T, rows)
			scale, w := slices.Repeat([]T{1}, rows), newArea[T](mem[0], 1, cols, 0, in.end)
			guardFill(w.row, 1, 0)
			return out(y, max, sum, log), out(w), func() {
				if cols <= shortCols {
					k.shortSoftmaxDot(y.p(), &scale[0], &scale[0], max.p(), sum.p(), log.p(), &dot[0], y.p(), w.p(), rows, cols, dstStride, dstStride, 1<<16)
				}
			}
		}},
		{"shortSoftmaxDot", func() ([]armed, []armed, func()) {
			x, max, sum, log, dot := x(), vec(0, rows), double(4), double(5), newArea[T](mem[1], 1, rows, 0, in.end)
			return out(max, sum, log, dot), out(x), func() {
				if cols <= shortCols {
					k.shortSoftmaxDot(nil, nil, nil, max.p(), sum.p(), log.p(), dot.p(), x.p(), nil, rows, cols, 0, stride, 1<<16)
				}
			}
		}},
		{"mediumSoftmax", func() ([]armed, []armed, func()) {
			x, y, max, sum, log, scale := x(), y(), vec(0, rows), double(4), double(5), slices.Repeat([]T{1}, rows)
			return out(y, max, sum, log), out(x), func() {
				if medium {
					k.mediumSoftmax(y.p(), &scale[0], max.p(), sum.p(), log.p(), x.p(), rows, cols, dstStride, stride, 1<<16)
				}
			}
		}},
		{"mediumSoftmax", func() ([]armed, []armed, func()) {
			y, scale := y(), vec(0, rows)
			return out(y), out(scale), func() {
				if medium {
					k.mediumSoftmax(y.p(), scale.p(), nil, nil, nil, y.p(), rows, cols, dstStride, dstStride, 1<<16)
				}
			}
		}},
		{"mediumSoftmax", func() ([]armed, []armed, func()) {
			x, max, sum, log := x(), vec(0, rows), double(4), double(5)
			return out(max, sum, log), out(x), func() {
				if medium {
					k.mediumSoftmax(nil, nil, max.p(), sum.p(), log.p(), x.p(), rows, cols, 0, stride, 1<<16)
				}
			}
		}},
		{"mediumSoftmaxDot", func() ([]armed, []armed, func()) {
			y, max, sum, log := y(), vec(0, rows), double(4), double(5)
			dot, scale, w := make([]T, rows), slices.Repeat([]T{1}, rows), newArea[T](mem[0], 1, cols, 0, in.end)
			guardFill(w.row, 1, 0)
			return out(y, max, sum, log), out(w), func() {
				if medium {
					k.mediumSoftmaxDot(y.p(), &scale[0], &scale[0], max.p(), sum.p(), log.p(), &dot[0], y.p(), w.p(), rows, cols, dstStride, dstStride, 1<<16)
				}
			}
		}},
		{"mediumSoftmaxDot", func() ([]armed, []armed, func()) {
			x, max, sum, log, dot, w := x(), vec(0, rows), double(4), double(5), newArea[T](mem[1], 1, rows, 0, in.end), slices.Repeat([]T{1}, cols)
			return out(max, sum, log, dot), out(x), func() {
				if medium {
					k.mediumSoftmaxDot(nil, nil, nil, max.p(), sum.p(), log.p(), dot.p(), x.p(), &w[0], rows, cols, 0, stride, 1<<16)
				}
			}
		}},
		{"mediumSoftmaxDot", func() ([]armed, []armed, func()) {
			y, add, scale, w := y(), vec(0, rows), slices.Repeat([]T{1}, rows), slices.Repeat([]T{1}, cols)
			max, dot, sum := make([]T, rows), make([]T, rows), make([]float64, rows)
			return out(y), out(add), func() {
				if medium {
					k.mediumSoftmaxDot(y.p(), &scale[0], add.p(), &max[0], &sum[0], &sum[0], &dot[0], y.p(), &w[0], rows, cols, dstStride, dstStride, 1<<16)
				}
			}
		}},
		{"scale", func() ([]armed, []armed, func()) {
			x, y, factor, add := x(), y(), vec(0, rows*blocks), vec(1, rows)
			return out(y), out(x, factor, add), func() { k.scale(y.p(), x.p(), factor.p(), add.p(), rows, cols, dstStride, stride) }
		}},
		{"scale", func() ([]armed, []armed, func()) {
			x, factor := y(), vec(0, rows*blocks)
			return out(x), out(factor), func() { k.scale(x.p(), x.p(), factor.p(), nil, rows, cols, dstStride, dstStride) }
		}},
		{"scaleWeighted", func() ([]armed, []armed, func()) {
			x, factor, add, w := y(), vec(0, rows*blocks), vec(1, rows), newArea[T](mem[0], 1, cols, 0, in.end)
			guardFill(w.row, 1, 0)
			return out(x), out(factor, add, w), func() { k.scaleWeighted(x.p(), x.p(), factor.p(), add.p(), w.p(), rows, cols, dstStride, dstStride) }
		}},
		{"addScaled", func() ([]armed, []armed, func()) {
			x, y, factor := x(), y(), vec(0, rows)
			return out(y), out(x, factor), func() { k.addScaled(y.p(), x.p(), factor.p(), rows, cols, dstStride, stride) }
		}},
		{"addScaled", func() ([]armed, []armed, func()) {
			x, y, factor := newArea[T](mem[0], 1, cols, 0, in.end), y(), vec(0, rows)
			guardFill(x.row, 1, 0)
			return out(y), out(x, factor), func() { k.addScaled(y.p(), x.p(), factor.p(), rows, cols, dstStride, 0) }
		}},
		{"square", func() ([]armed, []armed, func()) {
			x, y, dst := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x, y), func() { k.square(dst.p(), x.p(), y.p(), rows, cols, stride, dstStride) }
		}},
		{"distance", func() ([]armed, []armed, func()) {
			x, y, dst := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x, y), func() { k.distance(dst.p(), x.p(), y.p(), rows, cols, stride, dstStride) }
		}},
		{"squareGrad", func() ([]armed, []armed, func()) {
			x, y, dst, grad, scale := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end), matrix(mem[2], cols+1), vec(1, 1)
			return out(dst, grad), out(x, y, scale), func() {
				k.squareGrad(dst.p(), grad.p(), x.p(), y.p(), scale.p(), rows, cols, cols+1, stride, dstStride, 0)
			}
		}},
		{"squareGrad", func() ([]armed, []armed, func()) {
			x, y, dst, grad, scale := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end), aligned(), vec(1, 1)
			return out(dst, grad), out(x, y, scale), func() {
				k.squareGrad(dst.p(), grad.p(), x.p(), y.p(), scale.p(), rows, cols, grad.stride, stride, dstStride, 1)
			}
		}},
		{"distanceGrad", func() ([]armed, []armed, func()) {
			x, y, dst, grad, scale := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end), matrix(mem[2], cols+1), vec(1, 1)
			return out(dst, grad), out(x, y, scale), func() {
				k.distanceGrad(dst.p(), grad.p(), x.p(), y.p(), scale.p(), rows, cols, cols+1, stride, dstStride, 0)
			}
		}},
		{"distanceGrad", func() ([]armed, []armed, func()) {
			x, y, dst, grad, scale := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end), aligned(), vec(1, 1)
			return out(dst, grad), out(x, y, scale), func() {
				k.distanceGrad(dst.p(), grad.p(), x.p(), y.p(), scale.p(), rows, cols, grad.stride, stride, dstStride, 1)
			}
		}},
		{"dot", func() ([]armed, []armed, func()) {
			x, y, base, dst := x(), y(), vec(1, rows), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x, y, base), func() { k.dot(dst.p(), x.p(), base.p(), y.p(), rows, cols, stride, dstStride) }
		}},
		{"shift", func() ([]armed, []armed, func()) {
			x, y, max, log := x(), y(), vec(0, rows), vec(1, rows)
			return out(y), out(x, max, log), func() { k.shift(y.p(), x.p(), max.p(), log.p(), rows, cols, dstStride, stride, 1) }
		}},
		{"shift", func() ([]armed, []armed, func()) {
			y, max, log := y(), vec(0, rows), vec(1, rows)
			return out(y), out(max, log), func() { k.shift(y.p(), y.p(), max.p(), log.p(), rows, cols, dstStride, dstStride, 0) }
		}},
		{"cross", func() ([]armed, []armed, func()) {
			p, q, sum := row(0), row(1), doubles(3, 3)
			return out(sum), out(p, q), func() { k.cross(sum.p(), p.p(), q.p(), cols) }
		}},
		{"hinge", func() ([]armed, []armed, func()) {
			x, shift, sum := row(0), doubles(1, 1), doubles(3, 2)
			return out(sum), out(x, shift), func() { k.hinge(sum.p(), x.p(), shift.p(), cols) }
		}},
		{"hingeGrad", func() ([]armed, []armed, func()) {
			x, shift, sum, dst := row(0), doubles(1, 1), doubles(3, 2), newArea[T](mem[2], 1, cols, 0, in.end)
			return out(sum, dst), out(x, shift), func() { k.hingeGrad(sum.p(), dst.p(), x.p(), shift.p(), shift.p(), cols) }
		}},
		{"squaredHingeGrad", func() ([]armed, []armed, func()) {
			x, shift, sum := row(0), doubles(1, 1), doubles(3, 2)
			return out(sum, x), out(shift), func() { k.squaredHingeGrad(sum.p(), x.p(), x.p(), shift.p(), shift.p(), cols) }
		}},
		{"inner", func() ([]armed, []armed, func()) {
			x, y, dst := x(), y(), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x, y), func() { k.inner(dst.p(), x.p(), y.p(), rows, cols, stride, dstStride) }
		}},
		{"inner", func() ([]armed, []armed, func()) {
			x, dst := x(), newArea[float64](mem[3], 1, rows, 0, in.end)
			return out(dst), out(x), func() { k.inner(dst.p(), x.p(), nil, rows, cols, stride, 0) }
		}},
		{"softmaxGrad", func() ([]armed, []armed, func()) {
			x, y, dst, s := x(), y(), matrix(mem[2], cols+1), sums()
			return out(dst), out(x, y, s), func() {
				k.softmaxGrad(dst.p(), x.p(), y.p(), s.p(), rows, cols, cols+1, stride, dstStride, 1)
			}
		}},
		{"softmaxGrad", func() ([]armed, []armed, func()) {
			x, y, dst, s := x(), y(), matrix(mem[2], cols+1), sums()
			return out(dst), out(x, y, s), func() {
				k.softmaxGrad(dst.p(), x.p(), y.p(), s.p(), rows, cols, cols+1, stride, dstStride, 0)
			}
		}},
		{"softmaxGrad", func() ([]armed, []armed, func()) {
			x, y, s := x(), y(), sums()
			return out(x), out(y, s), func() {
				k.softmaxGrad(x.p(), x.p(), y.p(), s.p(), rows, cols, stride, stride, dstStride, 0)
			}
		}},
		{"logSoftmaxGrad", func() ([]armed, []armed, func()) {
			x, y, dst, s := x(), y(), matrix(mem[2], cols+1), sums()
			return out(dst), out(x, y, s), func() {
				k.logSoftmaxGrad(dst.p(), x.p(), y.p(), s.p(), rows, cols, cols+1, stride, dstStride, 1)
			}
		}},
		{"logSoftmaxGrad", func() ([]armed, []armed, func()) {
			x, y, dst, s := x(), y(), matrix(mem[2], cols+1), sums()
			return out(dst), out(x, y, s), func() {
				k.logSoftmaxGrad(dst.p(), x.p(), y.p(), s.p(), rows, cols, cols+1, stride, dstStride, 0)
			}
		}},
		{"logSoftmaxGrad", func() ([]armed, []armed, func()) {
			x, y, s := x(), y(), sums()
			return out(y), out(x, s), func() {
				k.logSoftmaxGrad(y.p(), x.p(), y.p(), s.p(), rows, cols, dstStride, stride, dstStride, 0)
			}
		}},
		// The rows are the classes, the columns the positions.
		{"planarSumExp", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			max, sum, log := vec(0, n), newArea[float64](mem[1], 1, n, 0, in.end), newArea[float64](mem[4], 1, n, 0, in.end)
			scratch := newArea[T](mem[2], 1, 2*16*rows, 0, in.end)
			return out(max, sum, log, scratch), out(x), func() {
				k.planarSumExp(max.p(), sum.p(), log.p(), x.p(), scratch.p(), n, rows, n+3)
			}
		}},
		{"planarSumExpDot", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			max, log, dot := vec(0, n), newArea[float64](mem[4], 1, n, 0, in.end), newArea[T](mem[1], 1, n, 0, in.end)
			w := newArea[T](mem[2], 1, rows, 0, in.end)
			guardFill(w.row, 1, 0)
			scratch := make([]T, 2*16*rows)
			return out(max, log, dot), out(x, w), func() {
				k.planarSumExpDot(max.p(), log.p(), log.p(), dot.p(), x.p(), w.p(), &scratch[0], n, rows, n+3)
			}
		}},
		{"planarSoftmax", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			dst := newArea[T](mem[1], rows, n, n+5, in.end)
			max, sum, log := vec(0, n), make([]float64, n), newArea[float64](mem[4], 1, n, 0, in.end)
			scratch := newArea[T](mem[2], 1, 2*16*rows, 0, in.end)
			scale := make([]T, n)
			fill(scale, 1)
			return out(dst, max, log, scratch), out(x), func() {
				k.planarSoftmax(dst.p(), &scale[0], max.p(), &sum[0], log.p(), x.p(), scratch.p(), n, rows, n+5, n+3)
			}
		}},
		{"planarSoftmaxDot", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			dst := newArea[T](mem[1], rows, n, n+5, in.end)
			scale, add, dot, w := vec(0, n), vec(1, n), vec(2, n), newArea[T](mem[2], 1, rows, 0, in.end)
			guardFill(w.row, 1, 0)
			room, sums := make([]T, n+2*16*rows), make([]float64, 2*n)
			return out(dst, dot), out(x, w, scale, add), func() {
				k.planarSoftmaxDot(dst.p(), scale.p(), add.p(), &room[0], &sums[0], &sums[n], dot.p(), x.p(), w.p(), &room[n], n, rows, n+5, n+3)
			}
		}},
		{"planarProbs", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, q := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(q.row, rows, in.kind)
			w, mass, dot, smooth := newArea[T](mem[2], 1, rows, 0, in.end), vec(0, n), vec(1, n), vec(2, 2)
			guardFill(w.row, 1, 0)
			room, sums := make([]T, n+2*16*rows), make([]float64, 2*n)
			return out(mass, dot), out(x, q, w, smooth), func() {
				k.planarProbs(&room[0], &sums[0], &sums[n], mass.p(), dot.p(), x.p(), q.p(), w.p(), smooth.p(), &room[n], n, rows, n+3)
			}
		}},
		{"planarProbsGrad", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, q, dst := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+3, in.end), newArea[T](mem[2], rows, n, n+5, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(q.row, rows, in.kind)
			scale, smooth, w := vec(0, n), vec(1, 2), vec(2, rows)
			room, sums := make([]T, 3*n+3*16*rows), make([]float64, 2*n)
			return out(dst), out(x, q, scale, smooth, w), func() {
				k.planarProbsGrad(dst.p(), scale.p(), &room[0], &sums[0], &sums[n], &room[n], &room[2*n], x.p(), q.p(), w.p(), smooth.p(), &room[3*n],
					n, rows, n+5, n+3)
			}
		}},
		{"planarProbsGrad", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, q, scratch := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+3, in.end), newArea[T](mem[2], 1, 3*16*rows, 0, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(q.row, rows, in.kind)
			scale, mass, dot := vec(0, n), vec(1, n), vec(2, n)
			room, sums := make([]T, n+rows+2), make([]float64, 2*n)
			return out(x, scratch, mass, dot), out(q, scale), func() {
				k.planarProbsGrad(x.p(), scale.p(), &room[0], &sums[0], &sums[n], mass.p(), dot.p(), x.p(), q.p(), &room[n+2], &room[n], scratch.p(),
					n, rows, n+3, n+3)
			}
		}},
		{"planarShift", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			dst, max, log := newArea[T](mem[1], rows, n, n+3, in.end), vec(0, n), vec(1, n)
			return out(dst), out(x, max, log), func() { k.planarShift(dst.p(), x.p(), max.p(), log.p(), n, rows, n+3, 0) }
		}},
		{"planarShift", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+16, in.end)
			guardFill(x.row, rows, in.kind)
			dst, max, log := newArea[T](mem[1], rows, n, n+16, in.end), vec(0, n), vec(1, n)
			return out(dst), out(x, max, log), func() { k.planarShift(dst.p(), x.p(), max.p(), log.p(), n, rows, n+16, 1) }
		}},
		{"planarSoftmax", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x := newArea[T](mem[0], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			scale, max, scratch := vec(0, n), vec(1, n), make([]T, 32*rows)
			return out(x, max), out(scale), func() {
				k.planarSoftmax(x.p(), scale.p(), max.p(), nil, nil, x.p(), &scratch[0], n, rows, n+3, n+3)
			}
		}},
		{"planarInner", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, y, xCopy := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+3, in.end), newArea[T](mem[2], rows, n, n, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(y.row, rows, in.kind)
			dst, yCopy := newArea[float64](mem[3], 1, n, 0, in.end), make([]T, rows*n)
			return out(dst, xCopy), out(x, y), func() {
				k.planarInner(dst.p(), x.p(), y.p(), xCopy.p(), &yCopy[0], n, rows, n+3)
			}
		}},
		{"planarInner", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, xCopy := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[2], rows, n, n, in.end)
			guardFill(x.row, rows, in.kind)
			dst := newArea[float64](mem[3], 1, n, 0, in.end)
			return out(dst, xCopy), out(x), func() { k.planarInner(dst.p(), x.p(), nil, xCopy.p(), nil, n, rows, n+3) }
		}},
		{"planarSoftmaxGrad", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, y, dst := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+3, in.end), newArea[T](mem[2], rows, n, n+5, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(y.row, rows, in.kind)
			high, low := vec(0, n), vec(1, n)
			return out(dst), out(x, y, high, low), func() {
				k.planarSoftmaxGrad(dst.p(), x.p(), y.p(), high.p(), low.p(), n, rows, n+5, n+3)
			}
		}},
		{"planarLogSoftmaxGrad", func() ([]armed, []armed, func()) {
			n := min(64, (cols+15)&^15)
			x, y, dst := newArea[T](mem[0], rows, n, n+3, in.end), newArea[T](mem[1], rows, n, n+5, in.end), newArea[T](mem[2], rows, n, n+3, in.end)
			guardFill(x.row, rows, in.kind)
			guardFill(y.row, rows, in.kind)
			s := vec(0, n)
			return out(dst), out(x, y, s), func() { k.planarLogSoftmaxGrad(dst.p(), x.p(), y.p(), s.p(), n, rows, n+3, n+5) }
		}},
		{"log1p", func() ([]armed, []armed, func()) {
			x := newArea[float64](mem[0], 1, cols, 0, in.end)
			fill(x.x, 1.5)
			return out(x), nil, func() { k.log1p(x.p(), cols) }
		}},
	}
}

// guardRows is a number of rows that takes kernels through all their loops.
func guardRows(cols int) int {
	switch {
	case cols <= shortCols:
		return 18
	case cols <= mediumCols && cols%4 == 3:
		return 35
	}
	return 3
}
