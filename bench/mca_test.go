package main

import (
	"math"
	"os"
	"strings"
	"testing"
)

// The loop of testdata/mca.json is a load, an FMA of 512 bits and a jump, as
// llvm-mca 22 has it for znver4.
func TestParseReport(t *testing.T) {
	text, err := os.ReadFile("testdata/mca.json")
	if err != nil {
		t.Fatal(err)
	}
	ports, costs, err := parseReport(text)
	if err != nil || len(costs) != 1 {
		t.Fatalf("%v, %v", costs, err)
	}
	c := costs[0]
	if c.cycles != 1 || c.simulated != 4.11 || c.uops != 3 {
		t.Errorf("got %+v", c)
	}
	want := map[string]port{"FP0": {"FP0", 1}, "Load": {"Load", 3}, "FP45": {"FP45", 2}}
	pressure := map[string]float64{"FP0": 1, "Load": 1. / 3, "FP45": 0.5, "FP2": 0}
	for i, p := range ports {
		if w, ok := want[p.name]; ok && p != w {
			t.Errorf("got %+v, want %+v", p, w)
		}
		if w, ok := pressure[p.name]; ok && math.Abs(c.ports[i]-w) > 0.01 {
			t.Errorf("%s: got %v, want %v", p.name, c.ports[i], w)
		}
		delete(want, p.name)
	}
	if len(want) > 0 {
		t.Errorf("no ports %v among %v", want, ports)
	}
	if name := ports[c.busiest()].name; name != "FP0" {
		t.Errorf("busiest is %s", name)
	}
	for _, bad := range []string{"", "{", `{"CodeRegions":[{}]}`} {
		if _, _, err := parseReport([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestTrimPrefix(t *testing.T) {
	ports := []port{{"ICXDivider", 1}, {"ICXPort0", 1}, {"ICXPort1", 1}}
	trimPrefix(ports)
	if ports[0].name != "Divider" || ports[2].name != "Port1" {
		t.Errorf("got %v", ports)
	}
}

// scaleProgram is the kernel scale, as it was recorded.
func scaleProgram(t *testing.T, a architecture) program {
	t.Helper()
	routines, err := routinesOn(a.paths[0], []function{recorded(t, a.goarch)})
	if err != nil {
		t.Fatal(err)
	}
	return program{a, a.paths[0], routines}
}

func TestProgramSource(t *testing.T) {
	for _, a := range architectures {
		source := scaleProgram(t, a).source()
		if strings.Contains(source, "<") || strings.Count(source, " LLVM-MCA") != 2 || strings.Count(source, "elsewhere\n") != 1 {
			t.Errorf("%s:\n%s", a.goarch, source)
		}
	}
}

// The CPUs of all architectures are known, and a cost is that of a vector.
func TestModels(t *testing.T) {
	mca, err := newAnalyzer()
	if err != nil {
		t.Skip(err)
	}
	for _, a := range architectures {
		models, err := mca.models(scaleProgram(t, a))
		if err != nil {
			t.Fatal(err)
		}
		cpus := 0
		for _, m := range models {
			cpus += len(m.cpus)
			// A load, an FMA and a store of 16 elements.
			if c := m.costs[0]; !(c.cycles >= 0.5 && c.cycles < 20) || !(c.uops >= 2 && c.uops < 40) || !(c.simulated > 0.9*c.cycles) {
				t.Errorf("%v: %+v", m.cpus, c)
			}
			if m.cycles("scale") != m.costs[0].cycles || m.cycles("none") != 0 {
				t.Errorf("%v: %v", m.cpus, m.cycles("scale"))
			}
		}
		if cpus != len(a.cpus) {
			t.Errorf("%s: models of %d CPUs", a.goarch, cpus)
		}
	}
}
