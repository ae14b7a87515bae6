//go:build unix

package main

import (
	"os"
	"runtime/debug"
	"testing"
	"unsafe"

	"github.com/seed26845165/logits"
	"golang.org/x/sys/unix"
)

// The loops touch both ends of their steps, and nothing beyond: at the ends of
// memory they do not fault, and one element further they do.
func TestLoopsGuarded(t *testing.T) {
	mem, other := guarded(t), guarded(t)
	at := func(i int) *float32 { return (*float32)(unsafe.Add(unsafe.Pointer(&mem[0]), 4*i)) }
	touch := func(f func()) (fault bool) {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() { fault = recover() != nil }()
		f()
		return
	}
	for _, path := range logits.Paths() {
		loop := loopOf(path)
		for kind, f := range map[string]func(x *float32, n int){
			"read":      loop.read,
			"copy to":   func(x *float32, n int) { loop.copy(x, &other[0], n) },
			"copy from": func(x *float32, n int) { loop.copy(&other[0], x, n) },
			"write":     func(x *float32, n int) { loop.write(x, 1, n) },
		} {
			for n := range 4 {
				last := len(mem) - n*loopStep
				if touch(func() { f(at(0), n) }) || touch(func() { f(at(last), n) }) {
					t.Errorf("%s: %s of %d steps goes beyond them", path, kind, n)
				}
				if some := n > 0; touch(func() { f(at(-1), n) }) != some || touch(func() { f(at(last+1), n) }) != some {
					t.Errorf("%s: %s of %d steps does not touch their ends alone", path, kind, n)
				}
			}
		}
	}
}

// guarded is memory between two pages that nobody may touch.
func guarded(t *testing.T) []float32 {
	page := os.Getpagesize()
	b, err := unix.Mmap(-1, 0, 3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	for _, p := range [][]byte{b[:page], b[2*page:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[page])), page/4)
}
