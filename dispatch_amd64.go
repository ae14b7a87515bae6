//go:build !purego && !noasm

package logits

import "github.com/klauspost/cpuid/v2"

// accelerated returns the assembly paths of this CPU, best first. The features
// that cpuid reports include the operating system's support for their registers.
func accelerated() []*kernels[float32] {
	var paths []*kernels[float32]
	avx2 := cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3)
	if avx2 && cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		paths = append(paths, &tableAVX512)
	}
	if avx2 {
		paths = append(paths, &tableAVX2)
	}
	return paths
}

func init() {
	if l1 := cpuid.CPU.Cache.L1D; 0 < l1 && l1 < 48<<10 {
		nearSize = cacheSize
	}
	l3 := cpuid.CPU.Cache.L3
	streamSize, trailSize = streamSizeOf(l3), trailSizeOf(l3)
}
