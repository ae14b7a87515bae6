package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRoutinesOf(t *testing.T) {
	for _, k := range kernels {
		if own := k.name == "copy"; own == (len(routinesOf[k.name]) > 0) { // copy is Go's own
			t.Errorf("%s has routines %v", k.name, routinesOf[k.name])
		}
	}
}

// someModel has one port that matters and one that does not.
func someModel() *model {
	return &model{cpus: []string{"z80", "z180"}, path: "avx2", ports: []port{{"FP", 1}, {"ALU", 2}}, costs: []cost{
		{routine: "max", cycles: 8, simulated: 9, uops: 10, ports: []float64{7.5, 1}},
		{routine: "exp", ports: make([]float64, 2)},
	}}
}

func TestCodeSection(t *testing.T) {
	text := codeSection([]*model{someModel()}, "22.1", "CMD")
	for _, want := range []string{
		"LLVM 22.1, go", "by `CMD`.\n\n| cycles a vector | AVX2, z80, z180 |\n| --- | --- |\n| max | 8.00 |\n| exp | 0.00 |\n",
		"\nAVX2 on z80 and z180, uops a vector:\n\n| | cycles | an element | simulated | uops | FP |\n| --- | --- | --- | --- | --- | --- |\n" +
			"| max | 8.00 | 0.500 | 9.00 | 10.00 | **7.50** |\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

func TestBoundsSection(t *testing.T) {
	reached := func(kernel, shape, by string, ns float64) figure {
		return figure{Kernel: kernel, Shape: shape, By: by, Samples: sample{ns, 9 * ns}}
	}
	r := results{
		Machine:  machine{CPU: "Z80", Go: "go1", OS: "cpm", Arch: "z80"},
		Settings: settings{Rounds: 3, Core: "pinned to core 0"},
		Limits: limits{
			{Kind: "read", Level: "L1", By: "avx2", Workers: 1, Rate: 100},
			{Kind: "read", Level: "memory", By: "avx2", Workers: 1, Rate: 2},
			{Kind: "copy", Level: "L1", By: "go", Workers: 1, Rate: 50},
			{Kind: "add", By: "avx2", Workers: 1, Rate: 4},
		},
		Figures: []figure{
			reached("max", "2x3", "avx2", 0.25),
			reached("max", "5000x5000", "avx2", 3),
			reached("exp", "2x3", "avx2", 0.32),
		},
	}
	all := []level{{"L1", 1 << 10, false}, {"memory", 0, true}}
	// 8 cycles at 4 GHz for 16 elements are 0.125 ns, 4 bytes 0.04 or 2 ns.
	const want = "Z80 (LLVM: zilog), go1 cpm/z80, one goroutine pinned to core 0, the fastest of 3 interleaved rounds, by `CMD`.\n" + `
| GB/s | | L1 | memory | clock, GHz |
| --- | --- | --- | --- | --- |
| AVX2 | read | 100 | 2.00 | 4.00 |
| AVX2 | copy | 50.0 | 0 | 4.00 |

| ns an element | shape | data | AVX2 | memory | arithmetic | x |
| --- | --- | --- | --- | --- | --- | --- |
| ` + "`RowMax`" + ` | 2x3 | L1 read | 0.250 | 0.0400 | **0.125** | 2.00 |
|  | 5000x5000 | memory read | 3.00 | **2.00** | 0.125 | 1.50 |
| ` + "`Exp`" + ` | 2x3 | L1 copy | 0.320 | **0.160** | 0 | 2.00 |
`
	if got := r.boundsSection(all, map[string]*model{"avx2": someModel()}, "zilog", "CMD"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestLimitsErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "LIMITS.md")
	if err := os.WriteFile(file, []byte("<!-- bench:speed -->\n<!-- /bench -->\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-w", file}, {"-w", file + "x"}, {"-kernels", "none"}, {"-nonsense"}} {
		if err := run(append([]string{"limits"}, args...), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(args[len(args)-1], "-")) {
			t.Errorf("%v: %v", args, err)
		}
	}
	var help bytes.Buffer
	if err := run([]string{"limits", "-h"}, io.Discard, &help); err == nil || !strings.Contains(help.String(), "LIMITS.md") || !strings.Contains(help.String(), limitsDefaults["shapes"]) {
		t.Errorf("%v: %s", err, &help)
	}
}

// The command as a whole, at little data.
func TestLimits(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	if _, err := newAnalyzer(); err != nil {
		t.Skip(err)
	}
	var out bytes.Buffer
	args := []string{"limits", "-kernels", "max,copy,softmax", "-shapes", "3x300", "-time", "1ms", "-rounds", "1"}
	if err := run(args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<!-- bench:code -->", "<!-- bench:bounds -->", "| planarShift |", "znver4", "neoverse-n1", "| `RowMax` | 3x300 |", "| `Softmax` | 3x300 |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "`copy` |") {
		t.Errorf("Go's own copy is there:\n%s", &out)
	}
}
