package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/seed26845165/logits"
)

const limitsUsage = `usage: go run ./bench limits [flags]

Prints what bounds every kernel, or puts it into LIMITS.md: what llvm-mca makes of
its machine code on several CPUs, in the place of what is between
<!-- bench:code --> and the next <!-- /bench -->, and, for <!-- bench:bounds -->,
how close it comes on this machine to that and to the bandwidth of the memory,
all measured in the same run. It takes LLVM 19 or later.

  go run ./bench limits -w bench/LIMITS.md

`

// limitsDefaults are the flags that are others for LIMITS.md: shapes for each
// level of the caches.
var limitsDefaults = map[string]string{
	"paths":  strings.Join(assemblyPaths(), ","),
	"shapes": "64x100,64x4096,32x32000,64x50257,256x151936,1x21x256,1x21x4096,4x21x16384,8x21x65536",
	"cpu":    "1",
	"rounds": "25",
	"time":   "100ms",
}

// assemblyPaths returns the paths of this CPU that are in assembly, or the
// portable one if none is.
func assemblyPaths() []string {
	paths := logits.Paths()
	return paths[:max(1, len(paths)-1)]
}

// routinesOf are the kernels that do the work of each function, one after the other.
var routinesOf = map[string][]string{
	"max":            {"max"},
	"argmax":         {"argMax"},
	"sum":            {"sum"},
	"exp":            {"exp"},
	"log-sum-exp":    {"sumExp"},
	"softmax":        {"expSum", "scale"},
	"log-softmax":    {"sumExp", "shift"},
	"nll":            {"sumExp"},
	"ce+grad":        {"expSum", "scale"},
	"ce smooth":      {"sumExpDot"},
	"ce weight":      {"sumExp"},
	"probs":          {"sumExp", "sum", "dot"},
	"probs+grad":     {"argMax", "sum", "dot", "expSum", "scale", "addScaled"},
	"margin":         {"hinge"},
	"margin+grad":    {"hingeGrad"},
	"softmax dx":     {"inner", "softmaxGrad"},
	"log-softmax dx": {"inner, y nil", "logSoftmaxGrad"},
	"mse":            {"square"},
	"mse+grad":       {"squareGrad"},
	"l1":             {"distance"},
	"l1+grad":        {"distanceGrad"},
	"planar ce":      {"planarSumExp"},
	"planar ce+grad": {"planarSoftmax"},
}

// limitsCommand makes the tables of LIMITS.md.
func limitsCommand(args []string, stdout, stderr io.Writer) error {
	sections := []section{{name: "code"}, {name: "bounds"}}
	c, file, err := sectionsFlags("limits", limitsUsage, limitsDefaults, sections, args, stderr)
	if err != nil {
		return err
	}
	c.kernels = slices.DeleteFunc(c.kernels, func(k kernel) bool { return routinesOf[k.name] == nil })
	command := commandLine(append([]string{"limits"}, args...))
	mca, err := newAnalyzer()
	if err != nil {
		return err
	}
	models, host, err := mca.allModels()
	if err != nil {
		return err
	}
	sections[0].text = codeSection(models, mca.version, command)
	s, err := newSession(*c, stderr)
	if err != nil {
		return err
	}
	defer s.close()
	r, err := s.measureAll(nil)
	if err != nil {
		return err
	}
	r.Figures = slices.DeleteFunc(r.Figures, func(f figure) bool { return f.By == "naive" })
	sections[1].text = r.boundsSection(s.levels, host, mca.host, command)
	return writeSections(file, sections, stdout)
}

// allModels returns the models of all paths, and by path those of this CPU, of the
// paths it has.
func (a *analyzer) allModels() (all []*model, host map[string]*model, err error) {
	host = map[string]*model{}
	for _, arch := range architectures {
		programs, err := arch.programs()
		if err != nil {
			return nil, nil, err
		}
		for _, p := range programs {
			models, err := a.models(p)
			if err != nil {
				return nil, nil, err
			}
			all = append(all, models...)
			if !slices.Contains(logits.Paths(), p.path) {
				continue
			}
			if i := slices.IndexFunc(models, func(m *model) bool { return slices.Contains(m.cpus, a.host) }); i >= 0 {
				host[p.path] = models[i]
			} else if host[p.path], err = a.model(p, a.host); err != nil {
				return nil, nil, err
			}
		}
	}
	return all, host, nil
}

// codeSection returns the tables of what llvm-mca says: the bounds of all CPUs,
// and what each port has to do.
func codeSection(models []*model, version, command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "LLVM %s, %s, by `%s`.\n\n| cycles a vector |", version, runtime.Version(), command)
	for _, m := range models {
		fmt.Fprintf(&b, " %s, %s |", pathTitles[m.path], strings.Join(m.cpus, ", "))
	}
	fmt.Fprintf(&b, "\n|%s\n", strings.Repeat(" --- |", len(models)+1))
	for _, c := range models[0].costs { // All paths have the same kernels.
		fmt.Fprintf(&b, "| %s |", c.routine)
		for _, m := range models {
			fmt.Fprintf(&b, " %.2f |", m.cycles(c.routine))
		}
		b.WriteByte('\n')
	}
	for _, m := range models {
		m.markdown(&b)
	}
	return b.String()
}

// markdown writes the table of a model, without the ports that no loop keeps busy
// for more than half of its time.
func (m *model) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s on %s, uops a vector:\n\n| | cycles | an element | simulated | uops |", pathTitles[m.path], strings.Join(m.cpus, " and "))
	var used []int
	for i, p := range m.ports {
		if !slices.ContainsFunc(m.costs, func(c cost) bool { return c.ports[i] > c.cycles/2 }) {
			continue
		}
		used = append(used, i)
		fmt.Fprintf(b, " %s |", p.name)
	}
	fmt.Fprintf(b, "\n|%s\n", strings.Repeat(" --- |", len(used)+5))
	for _, c := range m.costs {
		fmt.Fprintf(b, "| %s | %.2f | %.3f | %.2f | %.2f |", c.routine, c.cycles, c.cycles/16, c.simulated, c.uops)
		for _, p := range used {
			cell := fmt.Sprintf(" %.2f |", c.ports[p])
			if p == c.busiest() {
				cell = fmt.Sprintf(" **%.2f** |", c.ports[p])
			}
			b.WriteString(cell)
		}
		b.WriteByte('\n')
	}
}

// boundsSection returns the tables of the bandwidths and of how close the
// functions come to their bounds.
func (r *results) boundsSection(all []level, host map[string]*model, cpu, command string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (LLVM: %s), %s %s/%s, one goroutine %s, the fastest of %d interleaved rounds, by `%s`.\n\n| GB/s | |", r.Machine.CPU, cpu,
		r.Machine.Go, r.Machine.OS, r.Machine.Arch, r.Settings.Core, r.Settings.Rounds, command)
	for _, l := range all {
		fmt.Fprintf(&b, " %s |", l.name)
	}
	fmt.Fprintf(&b, " clock, GHz |\n|%s\n", strings.Repeat(" --- |", len(all)+3))
	paths := r.paths()
	for _, p := range paths {
		for _, kind := range []string{"read", "copy"} {
			fmt.Fprintf(&b, "| %s | %s |", pathTitles[p], kind)
			for _, l := range all {
				rate := r.Limits.rate(kind, l.name, p, 1)
				if kind == "copy" {
					rate = r.Limits.copyRate(l.name, kernel{}, p, 1)
				}
				fmt.Fprintf(&b, " %s |", digitsOf(rate, 3))
			}
			fmt.Fprintf(&b, " %s |\n", digitsOf(r.Limits.clock(p, 1), 3))
		}
	}
	b.WriteString("\n| ns an element | shape | data |")
	for _, p := range paths {
		fmt.Fprintf(&b, " %s | memory | arithmetic | x |", pathTitles[p])
	}
	fmt.Fprintf(&b, "\n|%s\n", strings.Repeat(" --- |", 4*len(paths)+3))
	last := ""
	for i, f := range r.Figures {
		if i > 0 && f.Kernel == r.Figures[i-1].Kernel && f.Shape == r.Figures[i-1].Shape {
			continue
		}
		k := kernelNamed(f.Kernel)
		title := k.title
		if title == last {
			title = ""
		}
		last = k.title
		shapes, _ := parseShapes(f.Shape)
		_, from := r.Limits.memory(all, k, shapes[0], paths[0], 1)
		fmt.Fprintf(&b, "| %s | %s | %s |", title, f.Shape, from)
		for _, p := range paths {
			at := slices.IndexFunc(r.Figures, func(o figure) bool { return o.Kernel == f.Kernel && o.Shape == f.Shape && o.By == p })
			b.WriteString(r.boundCells(all, r.Figures[at], k, shapes[0], host[p]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// boundCells returns the fastest round, both bounds, the one that binds in bold,
// and how many times as long as that the function took. Without a model of the
// path there is no bound by arithmetic.
func (r *results) boundCells(all []level, f figure, k kernel, s shape, m *model) string {
	memory, _ := r.Limits.memory(all, k, s, f.By, 1)
	arithmetic := 0.0
	if clock := r.Limits.clock(f.By, 1); m != nil && clock > 0 {
		for _, name := range routinesOf[k.name] {
			arithmetic += m.cycles(name) / 16 / clock
		}
	}
	cells := []string{digitsOf(memory, 3), digitsOf(arithmetic, 3)}
	binds := 0
	if arithmetic > memory {
		binds = 1
	}
	cells[binds] = "**" + cells[binds] + "**"
	fastest := f.Samples.quantile(0)
	return fmt.Sprintf(" %s | %s | %s | %.2f |", digitsOf(fastest, 3), cells[0], cells[1], fastest/max(memory, arithmetic))
}

// paths returns those that were measured.
func (r *results) paths() []string {
	var paths []string
	for _, f := range r.Figures {
		if rank(f.By) == 0 && !slices.Contains(paths, f.By) {
			paths = append(paths, f.By)
		}
	}
	return paths
}
