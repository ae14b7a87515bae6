package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/seed26845165/logits"
)

// A machine is what a run says about where it ran.
type machine struct {
	CPU       string   `json:"cpu"`
	Level     string   `json:"level,omitempty"` // of x86-64
	Features  []string `json:"features"`        // instruction sets for vectors
	L1D       int      `json:"l1d"`             // bytes, 0: unknown
	L2        int      `json:"l2"`
	L3        int      `json:"l3"`
	PageSize  int      `json:"page_size"`
	HugePages string   `json:"transparent_huge_pages,omitempty"`
	Cores     int      `json:"cores"`
	Procs     int      `json:"gomaxprocs"`
	Go        string   `json:"go"`
	OS        string   `json:"os"`
	Arch      string   `json:"arch"`
	Paths     []string `json:"paths"` // best first
	Path      string   `json:"path"`  // the one that runs
	Why       string   `json:"why"`
}

func thisMachine() machine {
	caches := cacheSizes()
	m := machine{
		CPU: cpuName(), Features: vectorFeatures(),
		L1D: caches[0], L2: caches[1], L3: caches[2], PageSize: os.Getpagesize(), HugePages: hugePages(),
		Cores: runtime.NumCPU(), Procs: startProcs,
		Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
		Paths: logits.Paths(), Path: startPath, Why: whyPath(),
	}
	if runtime.GOARCH == "amd64" {
		m.Level = fmt.Sprintf("x86-64-v%d", cpuid.CPU.X64Level())
	}
	return m
}

// print prints what the CPU has, which paths that enables, and which was chosen.
func (m machine) print(w io.Writer) {
	fmt.Fprintf(w, "CPU       %s\n", m.CPU)
	if m.Level != "" {
		fmt.Fprintf(w, "level     %s\n", m.Level)
	}
	fmt.Fprintf(w, "features  %s\n", strings.Join(m.Features, " "))
	fmt.Fprintf(w, "caches    L1d %s, L2 %s, L3 %s\n", size(m.L1D), size(m.L2), size(m.L3))
	if m.HugePages != "" {
		fmt.Fprintf(w, "pages     %d KiB; transparent huge pages: %s\n", m.PageSize>>10, m.HugePages)
	}
	fmt.Fprintf(w, "cores     %d usable, GOMAXPROCS %d, %s %s/%s\n", m.Cores, m.Procs, m.Go, m.OS, m.Arch)
	for i, p := range m.Paths {
		label := "paths"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(w, "%-9s %-8s %s\n", label, p, enables(p))
	}
	for _, p := range slices.Sorted(maps.Keys(needs)) {
		if !slices.Contains(m.Paths, p) {
			fmt.Fprintf(w, "%9s %-8s not here: %s\n", "", p, missing(p))
		}
	}
	fmt.Fprintf(w, "chosen    %s: %s\n", m.Path, m.Why)
}

// startProcs is GOMAXPROCS unless this program sets another.
var startProcs = runtime.GOMAXPROCS(0)

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

// needs are the features that each path of the architecture needs.
var needs = map[string]map[string][]cpuid.FeatureID{
	"amd64": {
		"avx512": {cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL},
		"avx2":   {cpuid.AVX2, cpuid.FMA3},
	},
	"arm64": {"neon": {cpuid.ASIMD}},
}[runtime.GOARCH]

// enables says what a path takes and has.
func enables(path string) string {
	if path == "generic" {
		return "portable Go: float64, and what has no assembly: NLL"
	}
	return "by " + featureNames(needs[path]) + ": assembly for float32 max, sum, exp, softmax, cross-entropy, margin, MSE, L1"
}

// missing says why a path of this architecture is not there.
func missing(path string) string {
	if portableOnly {
		return "built with purego or noasm"
	}
	lacking := slices.DeleteFunc(slices.Clone(needs[path]), func(id cpuid.FeatureID) bool { return cpuid.CPU.Supports(id) })
	if len(lacking) == 0 {
		return "the package does not list it"
	}
	return "the CPU or the system lacks " + featureNames(lacking)
}

func featureNames(ids []cpuid.FeatureID) string {
	var names []string
	for _, id := range ids {
		names = append(names, id.String())
	}
	return strings.Join(names, " ")
}

// whyPath tells why the package runs the path that it runs, and what would run
// if the environment or the build had not chosen.
func whyPath() string {
	if name := os.Getenv("LOGITS_PATH"); name != "" {
		return fmt.Sprintf("LOGITS_PATH=%s; without it %s would run", name, logits.Paths()[0])
	}
	switch {
	case portableOnly:
		return "built with purego or noasm, which leave the assembly out"
	case startPath == "generic" && len(needs) == 0:
		return "there is no assembly for " + runtime.GOARCH
	}
	return "the best here; LOGITS_PATH is not set, and the build has its assembly"
}
