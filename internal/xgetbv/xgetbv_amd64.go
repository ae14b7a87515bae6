//go:build !purego && !noasm

package xgetbv

import (
	"encoding/binary"
	"unsafe"

	"github.com/klauspost/cpuid/v2"
)

// The bits of InUse.
const (
	UpperYMM = 1 << 2 // upper halves of Y0 to Y15
	Masks    = 1 << 5 // K0 to K7
	UpperZMM = 1 << 6 // upper halves of Z0 to Z15
	HighZMM  = 1 << 7 // Z16 to Z31
)

// Supported tells whether the CPU and the operating system let InUse work.
func Supported() bool {
	return cpuid.CPU.Supports(cpuid.OSXSAVE, cpuid.XGETBV1)
}

// InUse returns the low half of XGETBV with ECX = 1: the components of the
// register file that are not in their initial state. It panics, or worse, if
// not Supported.
//
//go:noescape
func InUse() uint32

// DirtyInUse returns what InUse returns while the upper half of a Y register
// is dirty, and leaves it clean. It needs AVX.
//
//go:noescape
func DirtyInUse() uint32

// Reset puts the upper halves, Z16 to Z31 and the mask registers into their
// initial states, which VZEROUPPER does for the first 16 registers only.
func Reset() {
	// An XSAVE area whose header says that all is initial; it starts at 64 bytes.
	var buf [576 + 63]byte
	area := buf[-uintptr(unsafe.Pointer(&buf))&63:]
	binary.LittleEndian.PutUint32(area[24:], 0x1f80) // MXCSR comes with the Y registers
	restore(&area[0], UpperYMM|UpperZMM|HighZMM|Masks)
}

// restore is XRSTOR.
//
//go:noescape
func restore(area *byte, mask uint32)
