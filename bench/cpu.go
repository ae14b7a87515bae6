package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/seed26845165/logits"
)

// reportCPU prints what the CPU has and which path was chosen for it.
func reportCPU(w io.Writer) {
	cpu := cpuid.CPU
	fmt.Fprintf(w, "CPU       %s\n", cpuName())
	if runtime.GOARCH == "amd64" {
		fmt.Fprintf(w, "level     x86-64-v%d\n", cpu.X64Level())
	}
	fmt.Fprintf(w, "features  %s\n", strings.Join(vectorFeatures(), " "))
	fmt.Fprintf(w, "caches    L1d %s, L2 %s, L3 %s\n", size(cpu.Cache.L1D), size(cpu.Cache.L2), size(cpu.Cache.L3))
	if pages := hugePages(); pages != "" {
		fmt.Fprintf(w, "pages     %d KiB; transparent huge pages: %s\n", os.Getpagesize()>>10, pages)
	}
	fmt.Fprintf(w, "cores     %d usable, GOMAXPROCS %d, %s %s/%s\n", runtime.NumCPU(), runtime.GOMAXPROCS(0), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	fmt.Fprintf(w, "paths     %s\n", strings.Join(logits.Paths(), ", "))
	fmt.Fprintf(w, "chosen    %s: %s\n", startPath, whyPath())
}

// startPath is the path that runs unless this program forces another.
var startPath = logits.Path()

// cpuName returns the brand with the family and model, since a virtual machine
// may call its CPU just "AMD EPYC".
func cpuName() string {
	cpu := cpuid.CPU
	name := cmp.Or(strings.TrimSpace(cpu.BrandName), cpu.VendorString, "unknown "+runtime.GOARCH)
	if cpu.Family != 0 {
		name += fmt.Sprintf(" (family %d, model %d)", cpu.Family, cpu.Model)
	}
	return name
}

// vectorFeatures returns cpuid's names of the instruction sets for vectors.
func vectorFeatures() []string {
	prefixes := []string{"SSE", "AVX", "FMA", "F16C"}
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "386" {
		prefixes = []string{"ASIMD", "SVE", "FP", "RVV", "V"}
	}
	var found []string
	for _, f := range cpuid.CPU.FeatureSet() {
		for _, p := range prefixes {
			if strings.HasPrefix(f, p) {
				found = append(found, f)
				break
			}
		}
	}
	if found == nil {
		return []string{"none known"}
	}
	return found
}

// hugePages returns Linux's setting, or nothing elsewhere. With "always" a
// matrix larger than the caches is read up to 1.5 times as fast as with
// "madvise", which Go's heap does not ask for.
func hugePages() string {
	b, _ := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	_, s, _ := strings.Cut(string(b), "[")
	s, _, _ = strings.Cut(s, "]")
	return s
}

func size(bytes int) string {
	switch {
	case bytes <= 0:
		return "unknown"
	case bytes < 1<<20:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%.4g MiB", float64(bytes)/(1<<20))
}

// whyPath tells why the package runs the path that it runs.
func whyPath() string {
	if name := os.Getenv("LOGITS_PATH"); name != "" {
		return "LOGITS_PATH=" + name
	}
	if portableOnly {
		return "built with purego or noasm"
	}
	best := "best of this CPU"
	missing := func(ids ...cpuid.FeatureID) string {
		var names []string
		for _, id := range ids {
			if !cpuid.CPU.Supports(id) {
				names = append(names, id.String())
			}
		}
		return "no " + strings.Join(names, ", no ")
	}
	switch {
	case startPath == "avx2":
		return best + ", which has " + missing(cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL)
	case startPath != "generic":
		return best
	case runtime.GOARCH == "amd64":
		return missing(cpuid.AVX2, cpuid.FMA3)
	case runtime.GOARCH == "arm64":
		return missing(cpuid.ASIMD)
	}
	return "there is no assembly for " + runtime.GOARCH
}
