package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A model is what llvm-mca says of the kernels of a path on a CPU.
type model struct {
	cpus  []string // with the same numbers: LLVM has one model for several
	path  string
	ports []port
	costs []cost
}

// A port is a resource of a CPU, of which there may be several units.
type port struct {
	name  string
	units int
}

// A cost is that of a vector of 16 elements in the loops of a routine.
type cost struct {
	routine   string
	cycles    float64 // the bound: the busiest port's, or those that decode
	simulated float64 // with latencies and a scheduler of finite size
	uops      float64
	ports     []float64 // uops, a unit
}

// busiest returns the port with the most to do.
func (c cost) busiest() int {
	most := 0
	for i, p := range c.ports {
		if p > c.ports[most] {
			most = i
		}
	}
	return most
}

// An mcaReport is the part of llvm-mca's JSON that is used.
type mcaReport struct {
	CodeRegions []struct {
		Instructions         []string
		ResourcePressureView struct {
			// Instruction len(Instructions) is all of them together.
			ResourcePressureInfo []struct {
				InstructionIndex, ResourceIndex int
				ResourceUsage                   float64
			}
		}
		SummaryView struct {
			BlockRThroughput                   float64
			Iterations, TotalCycles, TotaluOps int
		}
	}
	TargetInfo struct{ Resources []string }
}

// parseReport returns the ports of a CPU, and the cost of one step of each loop.
func parseReport(text []byte) ([]port, []cost, error) {
	var r mcaReport
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, nil, fmt.Errorf("llvm-mca's JSON: %w", err)
	}
	// Units of a kind are called Zn4Load.0, Zn4Load.1, the number being a byte.
	var ports []port
	var of []int
	for _, name := range r.TargetInfo.Resources {
		name, _, _ = strings.Cut(name, ".")
		if n := len(ports); n == 0 || ports[n-1].name != name {
			ports = append(ports, port{name: name})
		}
		ports[len(ports)-1].units++
		of = append(of, len(ports)-1)
	}
	var costs []cost
	for _, region := range r.CodeRegions {
		s := region.SummaryView
		if s.Iterations == 0 {
			return nil, nil, fmt.Errorf("llvm-mca's JSON: no iterations")
		}
		n := float64(s.Iterations)
		c := cost{
			cycles: s.BlockRThroughput, simulated: float64(s.TotalCycles) / n, uops: float64(s.TotaluOps) / n,
			ports: make([]float64, len(ports)),
		}
		for _, p := range region.ResourcePressureView.ResourcePressureInfo {
			if p.InstructionIndex == len(region.Instructions) {
				at := of[p.ResourceIndex]
				c.ports[at] += p.ResourceUsage / float64(ports[at].units)
			}
		}
		costs = append(costs, c)
	}
	trimPrefix(ports)
	return ports, costs, nil
}

// trimPrefix removes what all names begin with: that of the CPU.
func trimPrefix(ports []port) {
	if len(ports) == 0 {
		return
	}
	prefix := ports[0].name
	for _, p := range ports {
		for !strings.HasPrefix(p.name, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	for i := range ports {
		ports[i].name = strings.TrimPrefix(ports[i].name, prefix)
	}
}

// add adds a step's cost to that of its vectors.
func (c *cost) add(step cost, vectors float64) {
	c.cycles += step.cycles / vectors
	c.simulated += step.simulated / vectors
	c.uops += step.uops / vectors
	for i, p := range step.ports {
		c.ports[i] += p / vectors
	}
}

// An analyzer is llvm-mca.
type analyzer struct {
	path    string
	version string // LLVM's
	host    string // LLVM's name for this CPU
}

var (
	llvmVersion = regexp.MustCompile(`LLVM version ((\d+)\S*)`)
	llvmHost    = regexp.MustCompile(`Host CPU: (\S+)`)
)

func newAnalyzer() (*analyzer, error) {
	path, err := llvmTool("llvm-mca")
	if err != nil {
		return nil, err
	}
	text, err := printed(exec.Command(path, "--version"))
	if err != nil {
		return nil, err
	}
	version, host := llvmVersion.FindSubmatch(text), llvmHost.FindSubmatch(text)
	if version == nil || host == nil {
		return nil, fmt.Errorf("%s --version does not say what it is: %s", path, text)
	}
	if n, _ := strconv.Atoi(string(version[2])); n < 19 {
		return nil, fmt.Errorf("%s is of LLVM %s, which knows too few CPUs: install 19 or later (Debian: llvm-22 or llvm-19)", path, version[1])
	}
	return &analyzer{path, string(version[1]), string(host[1])}, nil
}

// A program is the kernels of a path.
type program struct {
	arch     architecture
	path     string
	routines []routine
}

// programs returns those of an architecture's paths.
func (a architecture) programs() ([]program, error) {
	functions, err := a.machineCode()
	if err != nil {
		return nil, err
	}
	var all []program
	for _, path := range a.paths {
		routines, err := routinesOn(path, functions)
		if err != nil {
			return nil, err
		}
		all = append(all, program{a, path, routines})
	}
	return all, nil
}

// source returns the loops in the syntax of llvm-mca, each a region.
func (p program) source() string {
	comment := "#"
	if p.arch.goarch == "arm64" {
		comment = "//"
	}
	var b strings.Builder
	for _, r := range p.routines {
		for _, l := range r.hot {
			fmt.Fprintf(&b, "%s LLVM-MCA-BEGIN\n", comment)
			for _, in := range l.body {
				args := in.args
				if in.target != 0 {
					args = jumpTarget.ReplaceAllString(args, "elsewhere")
				}
				fmt.Fprintf(&b, "%s %s\n", in.op, args)
			}
			fmt.Fprintf(&b, "%s LLVM-MCA-END\n", comment)
		}
	}
	return b.String()
}

// models returns what the program costs on all CPUs that its architecture names,
// those that cost the same together.
func (a *analyzer) models(p program) ([]*model, error) {
	var all []*model
	for _, cpu := range p.arch.cpus {
		m, err := a.model(p, cpu)
		if err != nil {
			return nil, err
		}
		same := func(o *model) bool { return reflect.DeepEqual(o.ports, m.ports) && reflect.DeepEqual(o.costs, m.costs) }
		if i := slices.IndexFunc(all, same); i >= 0 {
			all[i].cpus = append(all[i].cpus, cpu)
			continue
		}
		all = append(all, m)
	}
	return all, nil
}

// model returns what the program costs on a CPU.
func (a *analyzer) model(p program, cpu string) (*model, error) {
	cmd := exec.Command(a.path, "-mtriple="+p.arch.triple, "-mcpu="+cpu, "-json")
	cmd.Stdin = strings.NewReader(p.source())
	text, err := printed(cmd)
	if err != nil {
		return nil, err
	}
	ports, steps, err := parseReport(text)
	if err != nil {
		return nil, err
	}
	m := &model{cpus: []string{cpu}, path: p.path, ports: ports}
	for _, r := range p.routines {
		c := cost{routine: r.name, ports: make([]float64, len(ports))}
		for _, l := range r.hot {
			if len(steps) == 0 {
				return nil, fmt.Errorf("%s: llvm-mca reports too few loops", cpu)
			}
			c.add(steps[0], r.vectorsOf(l))
			steps = steps[1:]
		}
		m.costs = append(m.costs, c)
	}
	return m, nil
}

// cycles returns those of a vector in a routine, 0 if there is none of the name.
func (m *model) cycles(routine string) float64 {
	for _, c := range m.costs {
		if c.routine == routine {
			return c.cycles
		}
	}
	return 0
}
