//go:build !purego && !noasm

package logits

import "github.com/klauspost/cpuid/v2"

// accelerated returns the assembly paths of this CPU, best first.
func accelerated() []*kernels[float32] {
	if cpuid.CPU.Supports(cpuid.ASIMD) {
		return []*kernels[float32]{&tableNEON}
	}
	return nil
}
