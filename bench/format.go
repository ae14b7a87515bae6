package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// formats are what -format takes.
var formats = []string{"table", "json", "csv", "benchstat"}

// write writes the results in a format. A table has been printed before.
func (r *results) write(w io.Writer, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "\t")
		return e.Encode(r)
	case "csv":
		return r.writeCSV(w)
	case "benchstat":
		return r.writeBenchmarks(w)
	}
	return nil
}

// writeCSV writes a line for every figure.
func (r *results) writeCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	lines := [][]string{{"kernel", "shape", "workers", "by", "ns_per_element", "spread", "gb_per_second", "times_naive", "limit", "of_limit"}}
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
	for _, f := range r.Figures {
		ofLimit := ""
		if f.Limit != "" {
			ofLimit = number(f.OfLimit)
		}
		lines = append(lines, []string{f.Kernel, f.Shape, strconv.Itoa(f.Workers), f.By,
			number(f.Median), number(f.Spread), number(f.GBps), number(f.Naive), f.Limit, ofLimit})
	}
	return c.WriteAll(lines)
}

// writeBenchmarks writes the lines that "go test -bench" would, one for every
// round, so that benchstat has a distribution to compare.
func (r *results) writeBenchmarks(w io.Writer) error {
	m := r.Machine
	var b strings.Builder
	fmt.Fprintf(&b, "goos: %s\ngoarch: %s\npkg: github.com/seed26845165/logits/bench\ncpu: %s\n", m.OS, m.Arch, m.CPU)
	for _, f := range r.Figures {
		name := fmt.Sprintf("BenchmarkKernel/kernel=%s/shape=%s/by=%s-%d", f.Kernel, f.Shape, f.By, f.Workers)
		name = strings.ReplaceAll(name, " ", "_")
		for _, ns := range f.Samples {
			fmt.Fprintf(&b, "%s 1 %.6g ns/elem\n", name, ns)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
