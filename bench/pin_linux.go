package main

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pin ties the calling goroutine to its thread, and the thread to a core, the
// one it runs on if core is negative. Helpers started from here inherit that.
// It returns what it did, in words, and how to undo it.
func pin(core int) (string, func(), error) {
	// Locked first: the runtime starts no thread from one that is locked, so
	// that none inherits the affinity.
	runtime.LockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		runtime.UnlockOSThread()
		return "not pinned: " + err.Error(), func() {}, nil
	}
	asked := core >= 0
	if !asked {
		var c uint32
		if _, _, e := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&c)), 0, 0); e != 0 {
			runtime.UnlockOSThread()
			return "not pinned: " + e.Error(), func() {}, nil
		}
		core = int(c)
	}
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		runtime.UnlockOSThread()
		if asked {
			return "", nil, fmt.Errorf("-pin %d: %w", core, err)
		}
		return "not pinned: " + err.Error(), func() {}, nil
	}
	undo := func() {
		if unix.SchedSetaffinity(0, &before) == nil {
			runtime.UnlockOSThread() // Else the thread stays locked, and ends with its goroutine.
		}
	}
	return fmt.Sprintf("pinned to core %d", core), undo, nil
}

// useHugePages asks for huge pages for the memory of x, before it is touched.
func useHugePages(x []float32) error {
	b := rawBytes(x)
	if len(b) < 4<<20 {
		return nil // Too small to hold some, or to be alone in its pages.
	}
	page := os.Getpagesize()
	skip := -int(uintptr(unsafe.Pointer(&b[0]))) & (page - 1)
	b = b[skip:]
	return unix.Madvise(b[:len(b)&^(page-1)], unix.MADV_HUGEPAGE)
}
