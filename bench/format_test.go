package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed26845165/logits"
)

// runFormat returns what a short run prints in a format.
func runFormat(t *testing.T, format string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "out")
	var out bytes.Buffer
	err := run([]string{"-kernels", "exp,planar ce", "-shapes", "3x7,1x2x5", "-cpu", "1", "-time", "1ms", "-rounds", "2", "-format", format, "-o", file}, &out, io.Discard)
	if err != nil || out.Len() > 0 {
		t.Fatalf("%v: %s", err, &out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The schema of JSON: what each object has to have, and of which type. A name
// with a question mark may be missing.
var (
	number = json.Number("")
	schema = map[string]any{
		"machine": map[string]any{
			"cpu": "", "level?": "", "features": []any{""}, "l1d": number, "l2": number, "l3": number, "page_size": number,
			"transparent_huge_pages?": "", "cores": number, "gomaxprocs": number, "go": "", "os": "", "arch": "",
			"paths": []any{""}, "path": "", "why": "",
		},
		"settings": map[string]any{"seconds": number, "rounds": number, "seed": number, "core": "", "huge_pages": true},
		"peers?":   []any{""},
		"limits": []any{map[string]any{
			"kind": "", "level?": "", "by": "", "workers": number, "bytes?": number, "rate": number, "spread": number,
		}},
		"figures": []any{map[string]any{
			"kernel": "", "shape": "", "workers": number, "by": "", "peer?": "", "ns_per_element": []any{number},
			"median": number, "spread": number, "gb_per_second": number, "times_naive": number, "limit?": "", "of_limit?": number,
		}},
	}
)

// conforms compares a value with a schema.
func conforms(at string, got, want any) error {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: %T, want an object", at, got)
		}
		known := map[string]bool{}
		for name, w := range want {
			name, optional := strings.CutSuffix(name, "?")
			known[name] = true
			v, ok := object[name]
			if !ok && !optional {
				return fmt.Errorf("%s: no %s", at, name)
			}
			if ok {
				if err := conforms(at+"."+name, v, w); err != nil {
					return err
				}
			}
		}
		for name := range object {
			if !known[name] {
				return fmt.Errorf("%s: unknown %s", at, name)
			}
		}
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) == 0 {
			return fmt.Errorf("%s: %T, want a list with something in it", at, got)
		}
		for i, v := range list {
			if err := conforms(fmt.Sprintf("%s[%d]", at, i), v, want[0]); err != nil {
				return err
			}
		}
	default:
		if g, w := fmt.Sprintf("%T", got), fmt.Sprintf("%T", want); g != w {
			return fmt.Errorf("%s: %s, want %s", at, g, w)
		}
	}
	return nil
}

func TestJSON(t *testing.T) {
	out := runFormat(t, "json")
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if err := conforms("results", v, schema); err != nil {
		t.Error(err)
	}
	var r results
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	want := slices.Concat(logits.Paths(), []string{"naive"}, logits.Paths(), []string{"naive"})
	var by []string
	for _, f := range r.Figures {
		by = append(by, f.By)
		if len(f.Samples) != 2 || f.Median <= 0 || f.Samples[0] > f.Median || f.Median > f.Samples[1] {
			t.Errorf("%s: %v, median %v", f.By, f.Samples, f.Median)
		}
		if (f.Limit == "") != (f.By == "naive") || (f.OfLimit > 0) != (f.Limit != "") {
			t.Errorf("%s: %v of the limit %q", f.By, f.OfLimit, f.Limit)
		}
	}
	if !slices.Equal(by, want) {
		t.Errorf("by %v, want %v", by, want)
	}
	checkLimits(t, r.Limits, logits.Paths(), 1)
	if r.Machine.Arch != runtime.GOARCH || r.Settings.Rounds != 2 || r.Figures[0].Shape != "3x7" || r.Figures[len(by)-1].Shape != "1x2x5" {
		t.Errorf("got %s", out)
	}
}

func TestCSV(t *testing.T) {
	lines, err := csv.NewReader(bytes.NewReader(runFormat(t, "csv"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := 1 + 2*(len(logits.Paths())+1); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	if got := strings.Join(lines[1][:4], ","); got != "exp,3x7,1,"+logits.Paths()[0] {
		t.Errorf("the first line has %s", got)
	}
}

// The lines that benchstat reads: https://go.dev/design/14313-benchmark-format.
func TestBenchstat(t *testing.T) {
	line := regexp.MustCompile(`^BenchmarkKernel/kernel=(exp|planar_ce)/shape=[0-9x]+/by=[a-z0-9]+-1 1 [0-9.e+-]+ ns/elem$`)
	results := 0
	for l := range strings.Lines(string(runFormat(t, "benchstat"))) {
		switch l := strings.TrimSuffix(l, "\n"); {
		case line.MatchString(l):
			results++
		case !regexp.MustCompile(`^(goos|goarch|pkg|cpu): .`).MatchString(l):
			t.Errorf("line %q", l)
		}
	}
	if want := 2 * 2 * (len(logits.Paths()) + 1); results != want {
		t.Errorf("%d results, want %d", results, want)
	}
}
