//go:build amd64 && !purego && !noasm

package logits

import (
	"testing"

	"github.com/seed26845165/logits/internal/xgetbv"
)

// TestUpperHalvesClean reads XGETBV(1) right after every kernel: a return
// without VZEROUPPER would make the Go code's SSE instructions slow.
func TestUpperHalvesClean(t *testing.T) {
	if !xgetbv.Supported() {
		t.Skip("this CPU has no XGETBV(1)")
	}
	if len(Paths()) == 1 {
		t.Skip("this CPU has no AVX2")
	}
	if xgetbv.DirtyInUse()&xgetbv.UpperYMM == 0 {
		t.Skip("XGETBV(1) does not show a dirty register here")
	}
	const dirty = xgetbv.UpperYMM | xgetbv.UpperZMM | xgetbv.HighZMM
	xgetbv.Reset()
	if bits := xgetbv.InUse(); bits&(dirty|xgetbv.Masks) != 0 {
		t.Fatalf("XGETBV(1) is %#x after a reset", bits)
	}
	onPaths(t, func(t *testing.T) {
		if Path() == "generic" {
			t.Skip("no assembly")
		}
		mem := make([][]byte, 7)
		for i := range mem {
			mem[i] = make([]byte, 4*5100*4)
		}
		checked := map[string]bool{}
		for _, n := range sizes {
			in := kernelInput{rows: guardRows(n), cols: n, stride: n, dstStride: n}
			for in.kind = range guardKinds {
				for _, call := range kernelCalls(active, mem, in) {
					checked[call.name] = true
					_, _, run := call.prepare()
					var bits uint32
					for range 3 { // Thrice in a row, it is not what else ran on this thread.
						xgetbv.Reset()
						run()
						if bits = xgetbv.InUse(); bits&dirty == 0 {
							break
						}
					}
					if bits&dirty != 0 {
						t.Fatalf("%s, %+v, leaves XGETBV(1) = %#x", call.name, in, bits)
					}
				}
			}
		}
		wantKernels(t, checked)
	})
}
