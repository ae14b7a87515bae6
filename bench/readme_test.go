package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed26845165/logits"
)

func TestReplaceSections(t *testing.T) {
	const text = "a\n<!-- bench:speed -->\nold\n<!-- /bench -->\nb\n<!-- bench:accuracy -->\n<!-- /bench -->\nc\n"
	got, err := replaceSections(text, []section{{"accuracy", "| 1 |\n"}, {"speed", "| 2 |\n"}})
	const want = "a\n<!-- bench:speed -->\n| 2 |\n<!-- /bench -->\nb\n<!-- bench:accuracy -->\n| 1 |\n<!-- /bench -->\nc\n"
	if err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if again, err := replaceSections(got, []section{{"accuracy", "| 1 |\n"}}); err != nil || again != want {
		t.Errorf("again: %q, %v", again, err)
	}
	if got, err := replaceSections(got, []section{{"other", "| 3 |\n"}, {"speed", "| 2 |\n"}}); err != nil || got != want {
		t.Errorf("with a section that is not there: %q, %v", got, err)
	}
	for bad, want := range map[string]string{
		"":                        "no <!-- bench:speed -->",
		"<!-- bench:speed -->\nx": "no <!-- /bench -->",
		"<!-- /bench -->":         "no <!-- bench:speed -->",
		"<!-- bench:speed -->\n<!-- bench:accuracy -->\n<!-- /bench -->": "no <!-- /bench -->",
	} {
		if got, err := replaceSections(bad, []section{{"speed", "x"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

func TestFirstTable(t *testing.T) {
	const table = "| a |\n| --- |\n| 1 |\n\nWhat it is.\n"
	for _, text := range []string{table, "notes\n\n" + table, table + "\nmore\n\n| b |\n"} {
		if got, err := firstTable(text); err != nil || got != table {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "a\n\nb\n", "| a |\n"} {
		if got, err := firstTable(bad); err == nil {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}

func TestMarkdown(t *testing.T) {
	reached := func(kernel, shape, by, peer string, ns float64) figure {
		return figure{Kernel: kernel, Shape: shape, By: by, Peer: peer, Median: ns}
	}
	r := results{
		Machine:  machine{CPU: "Z80", Go: "go1", OS: "cpm", Arch: "z80"},
		Settings: settings{Rounds: 3, Core: "pinned to core 0"},
		Peers:    []string{"PyTorch AVX2 1.13, beside our path avx2", "oneDNN AVX2 2.6, beside our path avx2", "SLEEF left out: install it"},
		Figures: []figure{
			reached("sum", "2x3", "avx2", "", 0.1234), reached("sum", "2x3", "naive", "", 1), reached("sum", "2x3", "PyTorch AVX2", "avx2", 2),
			reached("exp", "2x3", "avx2", "", 3), reached("exp", "2x3", "naive", "", 4), reached("exp", "2x3", "oneDNN AVX2", "avx2", 5),
			reached("exp", "4x5", "avx2", "", 6), reached("exp", "4x5", "naive", "", 7),
		},
	}
	r.Figures[1].Spread = 0.2
	const want = "Z80, go1 cpm/z80, one goroutine pinned to core 0, medians of 3 interleaved rounds, by `CMD`; beside them in the same rounds," +
		" on the same data and one thread, after their results have been compared: PyTorch AVX2 1.13, oneDNN AVX2 2.6.\n" + `
| ns an element | shape | AVX2 | naive Go | PyTorch AVX2 |
| --- | --- | --- | --- | --- |
| ` + "`RowSum`" + ` | 2x3 | 0.123 | 1.00 | 2.00 |
| ` + "`Exp`" + ` | 2x3 | 3.00 | 4.00 |  |
|  | 4x5 | 6.00 | 7.00 |  |

| ns an element | shape | oneDNN AVX2 |
| --- | --- | --- |
| ` + "`Exp`" + ` | 2x3 | 5.00 |

The quartiles of 1 of these 8 figures are over 10% of the median apart.
`
	if got := r.markdown("CMD"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestReadmeErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("<!-- bench:bounds -->\n<!-- /bench -->\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-w", file}, {"-w", file + "x"}, {"-kernels", "none"}, {"-nonsense"}} {
		if err := run(append([]string{"readme"}, args...), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), strings.TrimPrefix(args[len(args)-1], "-")) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestSpeedSection(t *testing.T) {
	c := config{
		kernels: []kernel{kernelNamed("nll"), kernelNamed("sum")}, paths: logits.Paths(), shapes: []shape{matrix(2, 9)},
		workers: []int{1}, time: time.Millisecond, rounds: 1, pin: -1,
	}
	text, err := speedSection(c, "CMD", io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"`CMD`", "portable", "naive Go", "loss (`LogSoftmaxNLL`) | 2x9", "`RowSum` | 2x9"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}
