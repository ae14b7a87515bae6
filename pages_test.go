package logits

import (
	"slices"
	"testing"
	"unsafe"
)

// TestPager makes sure that what is read is asked for before, and behind the first
// step only once, and nothing behind the matrix.
func TestPager(t *testing.T) {
	data := make([]float32, pagedSize+5000)
	asked := make([]int, len(data)/pageElems+1)
	calls := 0
	k := &kernels[float32]{pages: func(x *float32, n int) {
		calls++
		off := (uintptr(unsafe.Pointer(x)) - uintptr(unsafe.Pointer(&data[0]))) / 4
		for i := range n {
			at := int(off) + i*pageElems
			if at >= len(data) {
				t.Fatalf("asked for element %d of %d", at, len(data))
			}
			asked[at/pageElems]++
		}
	}}
	for _, c := range []struct{ cols, stride, rows, first int }{
		{256, 256, 1, 0}, {300, 301, 16, 7}, {4096, 4096, 8, 20}, {50257, 50257, 1, 3}, {300000, 300000, 1, 0},
	} {
		clear(asked)
		calls = 0
		p := newPager(k, data, c.cols, c.stride)
		rows := len(data) / c.stride
		steps := 0
		for i := c.first; i < rows; i += c.rows {
			n := min(c.rows, rows-i)
			p.ahead(i, n)
			steps++
			for e := i * c.stride; e < min((i+n)*c.stride, i*c.stride+manyPages); e += pageElems {
				if asked[e/pageElems] == 0 {
					t.Fatalf("%+v: row %d is read and element %d was not asked for", c, i, e)
				}
			}
		}
		if most := slices.Max(asked); most > 2 { // a page that has the end of a request and the start of the next
			t.Errorf("%+v: a page was asked for %d times", c, most)
		}
		if most := len(data)/fewPages + 2; calls > most && c.rows*c.stride < fewPages {
			t.Errorf("%+v: asked %d times in %d steps, want at most %d", c, calls, steps, most)
		}
	}
	for _, c := range []struct{ size, cols, stride int }{{pagedSize - 1, 300, 300}, {pagedSize, 255, 255}, {pagedSize, 256, 513}} {
		calls = 0
		p := newPager(k, data[:c.size], c.cols, c.stride)
		p.ahead(0, 1)
		if calls > 0 {
			t.Errorf("%+v: asked for pages", c)
		}
	}
}
