package main

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// pkg is the import path of the package whose code is looked at.
const pkg = "github.com/seed26845165/logits"

// An architecture is one that the package has assembly for.
type architecture struct {
	goarch, triple string
	paths          []string
	cpus           []string // that llvm-mca is asked for
}

var architectures = []architecture{
	{"amd64", "x86_64", []string{"avx512", "avx2"}, []string{"znver4", "znver5", "icelake-server"}},
	{"arm64", "aarch64", []string{"neon"}, []string{"neoverse-n1", "neoverse-v1", "apple-m1"}},
}

// A routine is a kernel of the package's tables, or one form of it, on a path.
type routine struct {
	name string
	form form
	size int        // bytes of an element
	hot  []codeLoop // where it spends its time on long rows
}

// A form says which loops of a kernel count.
type form int

const (
	heaviest form = iota // those with the most vector instructions
	lightest             // those with the fewest
	phases               // all in the loop over groups, on the way through it: they go over the same elements one after the other
)

// forms returns the routines that a kernel is.
func forms(kernel string) []routine {
	switch {
	case kernel == "log1p":
		return []routine{{name: kernel, size: 8}}
	case kernel == "inner":
		return []routine{{name: kernel, size: 4}, {name: kernel + ", y nil", form: lightest, size: 4}}
	case strings.HasPrefix(kernel, "planar") && kernel != "planarShift": // which goes class by class
		return []routine{{name: kernel, form: phases, size: 4}}
	}
	return []routine{{name: kernel, size: 4}}
}

// routinesOn returns those of a path, in the order of their code.
func routinesOn(path string, functions []function) ([]routine, error) {
	var all []routine
	for _, f := range functions {
		kernel, ok := strings.CutSuffix(f.name, strings.ToUpper(path))
		if !ok || kernel == "pages" { // which has no vectors
			continue
		}
		for _, r := range forms(kernel) {
			var err error
			if r.hot, err = r.find(f.code); err != nil {
				return nil, fmt.Errorf("%s: %w", f.name, err)
			}
			all = append(all, r)
		}
	}
	if all == nil {
		return nil, fmt.Errorf("no kernel of %s among %d functions", path, len(functions))
	}
	return all, nil
}

// A function is one in assembly.
type function struct {
	name string
	code []instruction
}

// An instruction is one of a kernel, as llvm-objdump has it.
type instruction struct {
	at       uint64
	op, args string
	target   uint64 // of a jump; 0: it is none
}

// A codeLoop is a loop of a kernel.
type codeLoop struct {
	body    []instruction
	vectors int  // instructions on vector registers
	advance int  // bytes, of the pointers that go farthest
	loaded  int  // bytes, by the one of them that least is loaded by
	nested  bool // in another loop
	skipped bool // by a jump that is always taken
}

// llvmTool returns the path of one of LLVM's programs. The plain name comes
// last, since Debian's is that of version 14, which knows too few CPUs.
func llvmTool(name string) (string, error) {
	for _, version := range []string{"-22", "-21", "-20", "-19", ""} {
		if path, err := exec.LookPath(name + version); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("no %s: install LLVM (Debian: llvm-22 or llvm-19)", name)
}

// machineCode returns the assembly functions of the package.
func (a architecture) machineCode() ([]function, error) {
	objdump, err := llvmTool("llvm-objdump")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "logits-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "program")
	text := fmt.Sprintf("package main\n\nimport _ %q\n\nfunc main() {}\n", pkg)
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		return nil, err
	}
	build := exec.Command("go", "build", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOOS=linux", "GOARCH="+a.goarch)
	if _, err := printed(build); err != nil {
		return nil, err
	}
	listing, err := printed(exec.Command(objdump, "-d", "--no-show-raw-insn", "--print-imm-hex", program))
	if err != nil {
		return nil, err
	}
	return parseListing(string(listing))
}

// printed returns what a command prints; its errors come with what it says.
func printed(cmd *exec.Cmd) ([]byte, error) {
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, said.String())
	}
	return out, nil
}

var (
	symbolLine = regexp.MustCompile(`^[0-9a-f]+ <` + regexp.QuoteMeta(pkg) + `\.(\w+)\.abi0>:$`)
	codeLine   = regexp.MustCompile(`^\s*([0-9a-f]+):\s+(\S+)\s*(.*)$`)
	comment    = regexp.MustCompile(`\s*(# |// ).*$`)
	jumpTarget = regexp.MustCompile(`\b0x([0-9a-f]+) <[^>]*>$`)
)

// parseListing returns the assembly functions in what llvm-objdump prints.
func parseListing(text string) ([]function, error) {
	var functions []function
	ours := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasSuffix(line, ">:") {
			m := symbolLine.FindStringSubmatch(line)
			if ours = m != nil; ours {
				functions = append(functions, function{name: m[1]})
			}
			continue
		}
		m := codeLine.FindStringSubmatch(line)
		if m == nil || !ours { // A comment may go on in the next line.
			continue
		}
		at, err := strconv.ParseUint(m[1], 16, 64)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		in := instruction{at: at, op: m[2], args: comment.ReplaceAllString(m[3], "")}
		if m := jumpTarget.FindStringSubmatch(in.args); m != nil {
			if in.target, err = strconv.ParseUint(m[1], 16, 64); err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
		}
		f := &functions[len(functions)-1]
		f.code = append(f.code, in)
	}
	if len(functions) == 0 {
		return nil, fmt.Errorf("no assembly of %s in the program: it was built without", pkg)
	}
	return functions, nil
}

var (
	memoryX86   = regexp.MustCompile(`(-?0x[0-9a-f]+)?\(%(\w+)[^)]*\)(.*)$`)
	vectorX86   = regexp.MustCompile(`%([xyz])mm`)
	growX86     = regexp.MustCompile(`^\$(-?0x[0-9a-f]+), %(\w+)$`)
	memoryARM   = regexp.MustCompile(`\[(x\d+)(?:, #(-?0x[0-9a-f]+))?\]`)
	vectorARM   = regexp.MustCompile(`\b(?:v\d+\.|[qds]\d+\b)`)
	growARM     = regexp.MustCompile(`^(x\d+), (x\d+), #(0x[0-9a-f]+)$`)
	fromStack   = regexp.MustCompile(`^(x\d+), sp, #`) // arm64
	copied      = regexp.MustCompile(`^(?:\S+, %(r\w+)|(x\d+), x\d+)$`)
	quadARM     = regexp.MustCompile(`\bq\d+|v\d+\.(?:16b|8h|4s|2d)`)
	doubleARM   = regexp.MustCompile(`^d\d+,`)
	scalarLoads = regexp.MustCompile(`s[sd]$|broadcast|^v?mov[dq]$`)
)

func (in instruction) isVector() bool {
	if strings.Contains(in.args, "%") {
		return vectorX86.MatchString(in.args)
	}
	return vectorARM.MatchString(in.args)
}

// load returns where an instruction loads a vector from, and how many bytes; 0
// if it loads none, or one value only.
func (in instruction) load() (base string, offset int64, bytes int) {
	if m := memoryX86.FindStringSubmatch(in.args); m != nil {
		stores := !strings.Contains(m[3], ",")
		if stores || m[2] == "rip" || m[2] == "rsp" || strings.Contains(m[3], "{1to") || scalarLoads.MatchString(in.op) {
			return "", 0, 0
		}
		for _, r := range vectorX86.FindAllStringSubmatch(in.args, -1) {
			bytes = max(bytes, map[string]int{"x": 16, "y": 32, "z": 64}[r[1]])
		}
		if in.op == "vcvtps2pd" {
			bytes /= 2
		}
		return m[2], constant(m[1]), bytes
	}
	if m := memoryARM.FindStringSubmatch(in.args); m != nil && strings.HasPrefix(in.op, "ld") && m[1] != "x26" {
		bytes = 16 * len(quadARM.FindAllString(in.args, -1))
		if doubleARM.MatchString(in.args) {
			bytes = 8
		}
		return m[1], constant(m[2]), bytes
	}
	return "", 0, 0
}

// grows returns which register an instruction adds a constant to.
func (in instruction) grows() (register string, by int64) {
	sign := map[string]int64{"addq": 1, "subq": -1, "add": 1, "sub": -1}[in.op]
	if m := growX86.FindStringSubmatch(in.args); m != nil {
		return m[2], sign * constant(m[1])
	}
	if m := growARM.FindStringSubmatch(in.args); m != nil && m[1] == m[2] {
		return m[1], sign * constant(m[3])
	}
	return "", 0
}

// sets returns which register an instruction sets to another or to an address on the stack.
func (in instruction) sets() string {
	if m := fromStack.FindStringSubmatch(in.args); m != nil {
		return m[1]
	}
	if m := copied.FindStringSubmatch(in.args); m != nil && (in.op == "leaq" || strings.HasPrefix(in.op, "mov")) {
		return m[1] + m[2]
	}
	return ""
}

// constant returns the value of one that a pattern has found, 0 for "".
func constant(s string) int64 {
	n, _ := strconv.ParseInt(s, 0, 64)
	return n
}

// jumps says whether an instruction always goes to its target.
func (in instruction) jumps() bool { return in.op == "jmp" || in.op == "b" }

// innermost returns the loops of a function that have no other in them: what a
// jump back goes over. Of the ways through a loop they have the one that takes
// no conditional jump.
func innermost(code []instruction) []codeLoop {
	at := map[uint64]int{}
	for i, in := range code {
		at[in.at] = i
	}
	type span struct{ first, last int }
	var spans []span
	for i, in := range code {
		if first, ok := at[in.target]; ok && first <= i && first > 0 { // to the start: with a larger stack
			spans = append(spans, span{first, i})
		}
	}
	holds := func(o, s span) bool { return o != s && o.first <= s.first && o.last >= s.last }
	var loops []codeLoop
	for _, s := range spans {
		if slices.ContainsFunc(spans, func(o span) bool { return holds(s, o) }) {
			continue
		}
		var body []instruction
		for i := s.first; i <= s.last; i++ {
			body = append(body, code[i])
			if to, ok := at[code[i].target]; ok && code[i].jumps() && to > i && to <= s.last {
				i = to - 1
			}
		}
		l := newCodeLoop(body)
		l.nested = slices.ContainsFunc(spans, func(o span) bool { return holds(o, s) })
		l.skipped = slices.ContainsFunc(code[:s.first], func(in instruction) bool {
			to, ok := at[in.target]
			return ok && in.jumps() && to > s.last
		})
		loops = append(loops, l)
	}
	return loops
}

func newCodeLoop(body []instruction) codeLoop {
	l := codeLoop{body: body}
	type place struct {
		base   string
		offset int64
	}
	loads := map[place]int{}
	grown := map[string]int64{}
	var locals []string
	for _, in := range body {
		if in.isVector() {
			l.vectors++
		}
		if base, offset, bytes := in.load(); bytes > 0 {
			loads[place{base, grown[base] + offset}] = bytes
		}
		if r, by := in.grows(); r != "" {
			grown[r] += by
		}
		if r := in.sets(); r != "" { // a second instruction may add the rest of an address
			locals = append(locals, r)
		}
	}
	for _, r := range locals {
		delete(grown, r)
	}
	loaded := map[string]int{}
	for p, bytes := range loads {
		loaded[p.base] += bytes
		l.advance = max(l.advance, int(grown[p.base]))
	}
	for base, bytes := range loaded {
		switch {
		case l.advance == 0: // The pointers move by a stride: all of a step is loaded by one.
			l.loaded = max(l.loaded, bytes)
		case int(grown[base]) == l.advance && (l.loaded == 0 || bytes < l.loaded):
			l.loaded = bytes
		}
	}
	if l.advance == 0 {
		l.advance = l.loaded
	}
	return l
}

// endsFor tells whether l does what is left over by o, a few steps of which it is: the
// same kinds of vector instructions, but less far at once.
func (l codeLoop) endsFor(o codeLoop) bool {
	return l.advance < o.advance && slices.Equal(l.kinds(), o.kinds())
}

// kinds returns the vector instructions of a loop, each once.
func (l codeLoop) kinds() []string {
	var ops []string
	for _, in := range l.body {
		if in.isVector() {
			ops = append(ops, in.op)
		}
	}
	slices.Sort(ops)
	return slices.Compact(ops)
}

// find returns the loops in which a kernel spends its time on long rows. They are
// those that go farthest at once, the heaviest first, until they have loaded
// each element once: a loop may load one register of each vector, and leave the
// rest to the next loops.
func (r routine) find(code []instruction) ([]codeLoop, error) {
	all := slices.DeleteFunc(innermost(code), func(l codeLoop) bool { return l.loaded == 0 || r.form == phases && (!l.nested || l.skipped) })
	if r.form == phases {
		loops := slices.Clone(all) // DeleteFunc moves those of all
		all = slices.DeleteFunc(all, func(l codeLoop) bool { return slices.ContainsFunc(loops, l.endsFor) })
	} else {
		farthest := 0
		for _, l := range all {
			farthest = max(farthest, l.advance)
		}
		all = slices.DeleteFunc(all, func(l codeLoop) bool { return l.advance < farthest })
		slices.SortStableFunc(all, func(a, b codeLoop) int {
			if r.form == lightest {
				a, b = b, a
			}
			return cmp.Compare(b.vectors, a.vectors)
		})
	}
	covered := 0.0
	for i, l := range all {
		covered += float64(l.loaded) / float64(l.advance)
		if covered == 1 && r.form != phases {
			return all[:i+1], nil
		}
	}
	if r.form != phases || covered < 1 || covered != float64(int(covered)) {
		return nil, fmt.Errorf("%s: its loops load each element %v times", r.name, covered)
	}
	return all, nil
}

// vectorsOf returns how many vectors of 16 elements a step of a loop is a part of.
func (r routine) vectorsOf(l codeLoop) float64 {
	return float64(l.advance) / float64(16*r.size)
}
