package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// recorded returns what llvm-objdump 22 printed: a function.
func recorded(t *testing.T, goarch string) function {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "objdump-"+goarch+".txt"))
	if err != nil {
		t.Fatal(err)
	}
	functions, err := parseListing(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(functions) != 1 {
		t.Fatalf("%d functions", len(functions))
	}
	return functions[0]
}

func TestParseListing(t *testing.T) {
	f := recorded(t, "amd64")
	if f.name != "scaleAVX512" || len(f.code) != 73 {
		t.Fatalf("%d instructions of %s", len(f.code), f.name)
	}
	for i, want := range map[int]instruction{
		0:  {0x4c4760, "pushq", "%rbp", 0},
		3:  {0x4c4768, "vbroadcastsd", "0x46f0e(%rip), %zmm15", 0},
		10: {0x4c4790, "jle", "0x4c4890 <" + pkg + ".scaleAVX512.abi0+0x130>", 0x4c4890},
		20: {0x4c47bb, "cmpq", "$0x800, %rdx", 0},
	} {
		if f.code[i] != want {
			t.Errorf("%d: got %+v, want %+v", i, f.code[i], want)
		}
	}
	f = recorded(t, "arm64")
	if want := (instruction{0xc467c, "b.le", "0xc492c <" + pkg + ".scaleNEON.abi0+0x2dc>", 0xc492c}); f.name != "scaleNEON" || f.code[11] != want {
		t.Errorf("%s: got %+v, want %+v", f.name, f.code[11], want)
	}
	if _, err := parseListing("0000 <main.main>:\n  10:  retq\n"); err == nil {
		t.Error("a program without the package is no error")
	}
}

func TestLoad(t *testing.T) {
	for text, want := range map[string]string{
		"vmovups 0x40(%rcx), %zmm0":                      "rcx 64 64",
		"vmovups -0x20(%rcx), %ymm0":                     "rcx -32 32",
		"vmovups (%rcx), %zmm0 {%k1}":                    "rcx 0 64",
		"vmovups (%rcx,%rdx,4), %zmm0":                   "rcx 0 64",
		"vmaxps 0x80(%r9), %ymm0, %ymm1":                 "r9 128 32",
		"vcvtps2pd 0x20(%rbx), %zmm3":                    "rbx 32 32",
		"vcmpeqps (%rbx), %zmm3, %k1":                    "rbx 0 64",
		"vmovups %zmm0, 0x40(%rcx)":                      " 0 0",
		"vmovups %zmm0, (%rcx) {%k1}":                    " 0 0",
		"vmovups 0x10(%rsp), %zmm0":                      " 0 0", // locals
		"vaddps 0x46f0e(%rip), %zmm1, %zmm2":             " 0 0", // constants
		"vfmadd213ps 0x46f0e(%rip){1to16}, %zmm1, %zmm2": " 0 0",
		"vbroadcastss (%rax), %zmm1":                     " 0 0",
		"vmovss (%rax), %xmm1":                           " 0 0",
		"prefetcht0 0x2000(%rsi)":                        " 0 0",
		"movq 0x8(%rcx), %rdx":                           " 0 0",
		"ldr q2, [x3, #0x20]":                            "x3 32 16",
		"ldr q2, [x3]":                                   "x3 0 16",
		"ldp q0, q1, [x3, #0x20]":                        "x3 32 32",
		"ld1 { v0.4s, v1.4s, v2.4s, v3.4s }, [x1], #64":  "x1 0 64",
		"ldr d2, [x3, #0x8]":                             "x3 8 8",
		"ldr s2, [x3]":                                   "x3 0 0",
		"ldr x2, [x3]":                                   "x3 0 0",
		"ldr q2, [sp, #0x20]":                            " 0 0",
		"str q2, [x3, #0x20]":                            " 0 0",
		"prfm pldl1keep, [x3, #0x20]":                    " 0 0",
	} {
		op, args, _ := strings.Cut(text, " ")
		base, offset, bytes := instruction{op: op, args: args}.load()
		if got := fmt.Sprint(base, " ", offset, " ", bytes); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestGrows(t *testing.T) {
	for text, want := range map[string]string{
		"addq $0x100, %rcx":     "rcx 256",
		"addq $-0x40, %rsi":     "rsi -64",
		"subq $-0x80, %rsi":     "rsi 128",
		"add x2, x2, #0x100":    "x2 256",
		"sub x3, x3, #0x40":     "x3 -64",
		"add x2, x3, #0x100":    " 0",
		"addq %rdx, %rcx":       " 0",
		"cmpq $0x40, %rsi":      "rsi 0",
		"vmovups (%rax), %zmm0": " 0",
	} {
		op, args, _ := strings.Cut(text, " ")
		r, by := instruction{op: op, args: args}.grows()
		if got := fmt.Sprint(r, " ", by); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

// A kernel in the form of those of AVX2: the end of a row, two halves of a step,
// the first of which does all of something else, and a loop with a jump over what
// is rare.
const halves = `
10 <` + pkg + `.halvesAVX2.abi0>:
  10: vmaxps (%rcx), %ymm0, %ymm0
  11: vmaxps 0x20(%rcx), %ymm0, %ymm0
  12: addq $0x40, %rcx
  13: jne 0x10 <x>
  20: vmovups (%rax), %ymm0
  21: vfmadd231ps %ymm0, %ymm1, %ymm2
  22: vmovups 0x40(%rax), %ymm0
  23: vfmadd231ps %ymm0, %ymm1, %ymm2
  24: vmulps (%rdx), %ymm3, %ymm4
  24: vmulps 0x20(%rdx), %ymm3, %ymm4
  24: vmulps 0x40(%rdx), %ymm3, %ymm4
  24: vmulps 0x60(%rdx), %ymm3, %ymm4
  24: addq $0x80, %rdx
  25: addq $0x80, %rax
  26: jl 0x20 <x>
  30: vmovups 0x20(%rax), %ymm0
  31: vfmadd231ps %ymm0, %ymm1, %ymm2
  32: vmovups 0x60(%rax), %ymm0
  33: vfmadd231ps %ymm0, %ymm1, %ymm2
  34: vmovups %ymm0, 0x20(%rbx)
  35: addq $0x80, %rax
  36: jl 0x30 <x>
  40: vmaxps (%rax), %ymm0, %ymm0
  41: vmaxps 0x20(%rax), %ymm0, %ymm0
  42: vmaxps 0x40(%rax), %ymm0, %ymm0
  43: vmaxps 0x60(%rax), %ymm0, %ymm0
  44: jmp 0x46 <x>
  45: vaddps %ymm0, %ymm0, %ymm0
  46: subq $-0x80, %rax
  47: jl 0x40 <x>
  48: jmp 0x20 <x>
`

func TestHot(t *testing.T) {
	functions, err := parseListing(halves)
	if err != nil {
		t.Fatal(err)
	}
	code := functions[0].code
	for f, want := range map[form][]uint64{heaviest: {0x20, 0x30}, lightest: {0x40}, phases: {0x20, 0x30, 0x40}} {
		r := routine{name: "halves", form: f, size: 4}
		hot, err := r.find(code)
		var got []uint64
		vectors := 0.0
		for _, l := range hot {
			got = append(got, l.body[0].at)
			vectors = r.vectorsOf(l)
		}
		if err != nil || !slices.Equal(got, want) || vectors != 2 {
			t.Errorf("%v: got %#x, %v vectors, %v, want %#x", f, got, vectors, err, want)
		}
	}
	loops := innermost(code)
	if last := loops[len(loops)-1]; len(last.body) != 7 || last.vectors != 4 || last.loaded != 128 || last.advance != 128 {
		t.Errorf("the last loop: %+v", last)
	}
	// Half of the step is missing.
	if hot, err := (routine{name: "halves"}).find(code[:15]); err == nil {
		t.Errorf("half a step: %+v", hot)
	}
	if hot, err := (routine{name: "halves"}).find(nil); err == nil {
		t.Errorf("no code: %+v", hot)
	}
}

func TestRoutinesOn(t *testing.T) {
	for goarch, path := range map[string]string{"amd64": "avx512", "arm64": "neon"} {
		f := recorded(t, goarch)
		all, err := routinesOn(path, []function{f})
		if err != nil || len(all) != 1 || all[0].name != "scale" || len(all[0].hot) != 1 || all[0].vectorsOf(all[0].hot[0]) != 4 {
			t.Errorf("%s: %+v, %v", path, all, err)
		}
		for _, bad := range []string{"log1p", "inner", "planarX"} { // the code of scale is not theirs
			all, err := routinesOn(path, []function{{bad + strings.ToUpper(path), f.code[:20]}})
			if err == nil {
				t.Errorf("%s: %+v", bad, all)
			}
		}
		if all, err := routinesOn("avx2", []function{f}); err == nil {
			t.Errorf("no function of the path: %+v", all)
		}
	}
}

// The loops of every kernel are found, and the functions are made of kernels that exist.
func TestMachineCode(t *testing.T) {
	if _, err := llvmTool("llvm-objdump"); err != nil {
		t.Skip(err)
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	var all []string
	before := map[string]float64{} // vector instructions for a vector, on the last path
	for _, a := range architectures {
		programs, err := a.programs()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range programs {
			var names []string
			for _, r := range p.routines {
				names = append(names, r.name)
				n := 0.0
				for _, l := range r.hot {
					n += float64(l.vectors) / r.vectorsOf(l)
					// A step is 4 vectors, or 16; planar kernels take one, two or four classes.
					if n := r.vectorsOf(l); n != 0.5 && n != 1 && n != 2 && n != 4 && n != 8 && n != 16 {
						t.Errorf("%s on %s: a loop of %v vectors", r.name, p.path, n)
					}
				}
				// One pass, for each register of a vector.
				if want := map[string]int{"avx512": 1, "avx2": 2, "neon": 4}[p.path]; r.name == "planarSumExp" && len(r.hot) != want {
					t.Errorf("%s on %s: %d loops, want %d", r.name, p.path, len(r.hot), want)
				}
				// Every path has registers half as wide as the one before, and takes up to
				// twice as many instructions: fewer where they do more or load two registers.
				if n < before[r.name] {
					t.Errorf("%s on %s: %v instructions a vector, and %v on wider registers", r.name, p.path, n, before[r.name])
				}
				before[r.name] = n
			}
			if all == nil {
				all = names
			}
			if !slices.Equal(names, all) {
				t.Errorf("%s has kernels %v, not %v", p.path, names, all)
			}
		}
	}
	for name, of := range routinesOf {
		for _, r := range of {
			if !slices.Contains(all, r) {
				t.Errorf("%s: there is no kernel %s", name, r)
			}
		}
	}
}
