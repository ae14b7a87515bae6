//go:build !purego && !noasm

package logits

import (
	"slices"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// accelerated's rules once more, from the features one by one.
func TestPathsAMD64(t *testing.T) {
	all := func(features ...cpuid.FeatureID) bool {
		return !slices.ContainsFunc(features, func(f cpuid.FeatureID) bool { return !cpuid.CPU.Has(f) })
	}
	var want []string
	avx2 := all(cpuid.AVX2, cpuid.FMA3)
	if avx2 && all(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
		want = append(want, "avx512")
	}
	if avx2 {
		want = append(want, "avx2")
	}
	want = append(want, "generic")
	if got := Paths(); !slices.Equal(got, want) {
		t.Errorf("Paths() = %q, want %q", got, want)
	}
	if all(cpuid.AVX2) && !all(cpuid.OSXSAVE) {
		t.Error("cpuid reports AVX2 without the system's support")
	}
}
