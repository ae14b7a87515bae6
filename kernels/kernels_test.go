package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestFresh(t *testing.T) {
	for name, want := range generate() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Errorf("%v: run go run ./kernels", err)
			continue
		}
		if bytes.Equal(got, want) {
			continue
		}
		g, w := strings.SplitAfter(string(got), "\n"), strings.SplitAfter(string(want), "\n")
		i := 0
		for g[i] == w[i] {
			i++
		}
		t.Errorf("%s:%d is not what the generator writes: run go run ./kernels\nfile:      %q\ngenerated: %q", name, i+1, g[i], w[i])
	}
}

// need returns the path of a program, of one of several names. Without it the
// test is skipped, or fails if LOGITS_REQUIRE lists the first name.
func need(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if slices.Contains(strings.Split(os.Getenv("LOGITS_REQUIRE"), ","), names[0]) {
		t.Fatalf("no %s, which LOGITS_REQUIRE asks for", names[0])
	}
	t.Skipf("no %s", names[0])
	return ""
}

// An a64 is an instruction word and what it is said to be.
type a64 struct {
	bits uint32
	text string
}

var wordLine = regexp.MustCompile(`^WORD \$0x([0-9A-Fa-f]{8}) // (.+)$`)

func TestWords(t *testing.T) {
	llvmMC := need(t, "llvm-mc", "llvm-mc-22", "llvm-mc-19", "llvm-mc-14")

	var all []a64
	regs := []int{0, 1, 7, 15, 16, 31}
	for _, w := range words {
		for _, m := range regs {
			for _, n := range regs {
				for _, d := range regs {
					all = append(all, a64{w.encode(m, n, d), w.text(m, n, d)})
				}
			}
		}
	}
	for line := range strings.Lines(string(generate()["kernels_arm64.s"])) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "WORD") {
			continue
		}
		m := wordLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%q does not say what it is", line)
			continue
		}
		bits, err := strconv.ParseUint(m[1], 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a64{uint32(bits), m[2]})
	}

	llvm := disassemble(t, llvmMC, all)
	reported := map[string]bool{}
	for _, in := range all {
		want := llvmText(in.text)
		got, ok := llvm[in.bits]
		if !ok {
			got = "not an instruction"
		}
		if name, _, _ := strings.Cut(in.text, " V"); got != want && !reported[name] {
			reported[name] = true // once is enough
			t.Errorf("%#08x is %s, not %s (%s)", in.bits, got, want, in.text)
		}
	}
}

// disassemble returns what each word is in LLVM's syntax, if it is an instruction.
func disassemble(t *testing.T, llvmMC string, words []a64) map[uint32]string {
	t.Helper()
	var in, warnings bytes.Buffer
	for _, w := range words {
		b := binary.LittleEndian.AppendUint32(nil, w.bits)
		fmt.Fprintf(&in, "%#02x %#02x %#02x %#02x\n", b[0], b[1], b[2], b[3])
	}
	cmd := exec.Command(llvmMC, "-disassemble", "-triple=aarch64", "-show-encoding")
	cmd.Stdin, cmd.Stderr = &in, &warnings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, &warnings)
	}
	// A line is an instruction and its bytes: "fadd v0.4s, ... // encoding: [0x20,...]".
	llvm := map[uint32]string{}
	for line := range strings.Lines(string(out)) {
		text, encoding, ok := strings.Cut(line, "// encoding: ")
		if !ok {
			continue
		}
		var b [4]byte
		if _, err := fmt.Sscanf(encoding, "[0x%x,0x%x,0x%x,0x%x]", &b[0], &b[1], &b[2], &b[3]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		llvm[binary.LittleEndian.Uint32(b[:])] = strings.Join(strings.Fields(text), " ")
	}
	return llvm
}

var (
	goVector = regexp.MustCompile(`\bV(\d+)\.([BHSD])(\d+)\b`)
	goScalar = regexp.MustCompile(`\bF(\d+)\b`)
)

// llvmText translates the text of a word to LLVM's syntax, where the
// destination comes first.
func llvmText(text string) string {
	name, args, _ := strings.Cut(text, " ")
	ops := strings.Split(args, ", ")
	slices.Reverse(ops)
	s := name + " " + strings.Join(ops, ", ")
	s = goVector.ReplaceAllString(s, "v$1.$3$2")
	s = goScalar.ReplaceAllString(s, "s$1")
	s = strings.ReplaceAll(s, "$0", "#0.0")
	return strings.ToLower(s)
}

// x86Features is the allow-list of TestFeatures: the CPU feature that an
// instruction needs as it is (vex), and with the registers, masks or suffixes
// of AVX-512 (evex). An empty field says that there is no such form.
var x86Features = []struct{ vex, evex, mnemonics string }{
	{"x86-64", "", `ADDL ADDQ ANDL ANDQ BSFL BSFQ CMOVQLT CMPL CMPQ DECQ IMULQ INCQ LEAQ MOVL MOVQ NEGQ NOTL NOTQ
		ORL ORQ PREFETCHT0 PREFETCHT1 SARQ SFENCE SHLL SHLQ SHRL SHRQ SUBL SUBQ TESTL TESTQ XORL XORQ
		JCC JCS JEQ JGE JGT JHI JLE JLS JLT JMI JMP JNE JPC JPL JPS RET`},
	{"AVX", "", "VCVTPD2PSY VEXTRACTF128 VINSERTF128 VMASKMOVPS VMOVMSKPS VPERM2F128 VPTEST VZEROUPPER"},
	{"AVX", "AVX512F", `VADDPS VADDSD VADDSS VCMPPS VCVTDQ2PS VCVTPD2PS VCVTPS2PD VCVTSD2SS VCVTSS2SD VMAXPD VMAXPS VMAXSS VMINPD VMINPS VMINSS VMOVAPS
		VMOVD VMOVLPS VMOVNTPS VMOVSD VMOVSHDUP VMOVSS VMOVUPS VMULPS VPERMILPD VSUBPS VSUBSS VUCOMISS
		VADDPD VDIVPD VDIVPS VDIVSD VDIVSS VMULPD VSHUFPS VSUBPD VSUBSD VUNPCKHPD VUNPCKHPS VUNPCKLPD VUNPCKLPS`},
	{"AVX", "AVX512DQ", "VANDNPS VANDPS VORPD VORPS VXORPS"},
	{"AVX2", "AVX512F", `VBROADCASTSD VBROADCASTSS VGATHERDPS
		VPADDD VPERMD VPMULLD VPSLLD VPSLLQ VPSRAD VPSRLD VPSRLQ VPSUBD VPSUBQ`}, // from memory the broadcasts are AVX
	{"", "AVX512DQ", "VPMOVD2M"},
	{"FMA", "AVX512F", "VFMADD213PD VFMADD213PS VFMADD231PD VFMADD231PS"},
	{"", "AVX512F", "KMOVW KORTESTW KANDW KXNORW VEXTRACTF64X4 VINSERTF64X4 VPTERNLOGD VPTESTMD VSCALEFPS VSHUFF64X2"},
}

// x86Guards are the features that a machine has whose kernels are chosen.
var x86Guards = map[string][]string{
	"AVX2":   {"x86-64", "AVX", "AVX2", "FMA"},
	"AVX512": {"x86-64", "AVX", "AVX2", "FMA", "AVX512F", "AVX512BW", "AVX512DQ", "AVX512VL"},
}

var (
	textLine = regexp.MustCompile(`^TEXT ·(\w+)\(SB\)`)
	xReg     = regexp.MustCompile(`\b[XYZ]\d+\b`)
	zReg     = regexp.MustCompile(`\bZ\d+\b`)
	evexReg  = regexp.MustCompile(`\b(Z\d+|K[0-7]|[XY](1[6-9]|2\d|3[01]))\b`)
)

// featuresOf returns the CPU features that an instruction needs.
func featuresOf(inst string) ([]string, error) {
	mnemonic, args, _ := strings.Cut(inst, " ")
	mnemonic, suffix, _ := strings.Cut(mnemonic, ".")
	if xReg.MatchString(args) && !strings.HasPrefix(mnemonic, "V") {
		return nil, fmt.Errorf("is legacy SSE")
	}
	for _, f := range x86Features {
		if !slices.Contains(strings.Fields(f.mnemonics), mnemonic) {
			continue
		}
		if f.vex != "" && suffix == "" && !evexReg.MatchString(args) {
			return []string{f.vex}, nil
		}
		if f.evex == "" {
			return nil, fmt.Errorf("has no AVX-512 form")
		}
		if xReg.MatchString(args) && !zReg.MatchString(args) {
			return []string{f.evex, "AVX512VL"}, nil // VL is too much to ask for scalars
		}
		return []string{f.evex}, nil
	}
	return nil, fmt.Errorf("is unknown: add it to x86Features with the CPU feature it needs")
}

func TestFeatures(t *testing.T) {
	var name, path, last string
	end := func() {
		if name != "" && last != "RET" {
			t.Errorf("%s ends with %q, not with RET", name, last)
		}
		name, last = "", ""
	}
	for line := range strings.Lines(string(generate()["kernels_amd64.s"])) {
		line, _, _ = strings.Cut(line, "//")
		line = strings.TrimSpace(line)
		if m := textLine.FindStringSubmatch(line); m != nil {
			end()
			name = m[1]
			path = ""
			for p := range x86Guards {
				if strings.HasSuffix(name, p) {
					path = p
				}
			}
			if x86Guards[path] == nil {
				t.Fatalf("%s: add its path to x86Guards", name)
			}
			continue
		}
		switch {
		case line == "":
			continue
		case strings.HasPrefix(line, "DATA "), strings.HasPrefix(line, "GLOBL "), strings.HasPrefix(line, "#"):
			end()
			continue
		case strings.HasSuffix(line, ":"):
			last = line
			continue
		case name == "":
			t.Fatalf("%q is in no TEXT", line)
		case line == "RET" && last != "VZEROUPPER":
			t.Errorf("%s: RET after %q, not after VZEROUPPER", name, last)
		}
		last = line
		features, err := featuresOf(line)
		if err != nil {
			t.Errorf("%s: %q %v", name, line, err)
		}
		for _, f := range features {
			if !slices.Contains(x86Guards[path], f) {
				t.Errorf("%s: %q needs %s, which path %s does not guard", name, line, f, path)
			}
		}
	}
	end()
}

// TestFeaturesOf tests the judge of TestFeatures.
func TestFeaturesOf(t *testing.T) {
	for _, test := range []struct{ inst, want string }{
		{"MOVQ cols+24(FP), CX", "[x86-64]"},
		{"VADDPS c3f800000<>(SB), Y1, Y15", "[AVX]"},
		{"VADDPS Y1, Y16, Y1", "[AVX512F AVX512VL]"},
		{"VADDPS Z1, Z2, Z3", "[AVX512F]"},
		{"VMOVAPS.Z Z1, K2, Z3", "[AVX512F]"},
		{"VMOVUPS (AX), K1, Y3", "[AVX512F AVX512VL]"},
		{"VORPS Z1, Z2, Z3", "[AVX512DQ]"},
		{"VPSLLD $23, Y1, Y1", "[AVX2]"},
		{"VFMADD231PS Y1, Y2, Y3", "[FMA]"},
		{"VSCALEFPS X1, X2, X3", "[AVX512F AVX512VL]"},
		{"KMOVW K2, AX", "[AVX512F]"},
		{"VMASKMOVPS (AX), Z1, Z2", "has no AVX-512 form"},
		{"MOVSS X0, (AX)", "is legacy SSE"},
		{"MOVQ AX, X0", "is legacy SSE"},
		{"TZCNTL AX, AX", "is unknown"},
		{"POPCNTL AX, AX", "is unknown"},
		{"VPADDB Y1, Y2, Y3", "is unknown"},
	} {
		features, err := featuresOf(test.inst)
		got := fmt.Sprint(features)
		if err != nil {
			got = err.Error()
		}
		if !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: %s, want %s", test.inst, got, test.want)
		}
	}
}

// funcError returns what Func says is wrong with a kernel called test.
func funcError(isa isa, body func(a *Asm)) (msg string) {
	defer func() {
		if e := recover(); e != nil {
			msg = fmt.Sprint(e)
		}
	}()
	a := &Asm{isa: isa, consts: map[uint64]int{}}
	a.Func(kernel{name: "test", doc: "It is a test.", body: body})
	return ""
}

func TestRegistersRunOut(t *testing.T) {
	for _, target := range targets {
		for _, isa := range target.isas {
			for _, test := range []struct {
				kind  string
				n     int
				alloc func(a *Asm)
			}{
				{"vector", isa.vregs() * isa.width() / lanes, func(a *Asm) { a.Vec("v") }},
				{"vector", isa.vregs(), func(a *Asm) { a.Uniform() }},
				{"general", len(strings.Fields(isa.gregs())), func(a *Asm) { a.Reg() }},
			} {
				alloc := func(n int) string {
					return funcError(isa, func(a *Asm) {
						for range n {
							test.alloc(a)
						}
					})
				}
				if msg := alloc(test.n); msg != "" {
					t.Errorf("%s, %d allocations: %q", isa.name(), test.n, msg)
				}
				want := fmt.Sprintf("test%s: out of %s registers", isa.name(), test.kind)
				if msg := alloc(test.n + 1); !strings.HasPrefix(msg, want) {
					t.Errorf("%s, %d allocations: %q, want %q", isa.name(), test.n+1, msg, want)
				}
			}
		}
	}
}

// TestRegistersMove has a Vec change its registers in a loop: a Horner step
// on NEON goes to new ones.
func TestRegistersMove(t *testing.T) {
	loop := func(jump func(a *Asm, label string)) string {
		return funcError(neon{}, func(a *Asm) {
			p, x, c := a.Vec("poly"), a.Vec("x"), a.Const(0)
			label := a.NewLabel("loop")
			a.Label(label)
			a.Horner([]*Vec{p}, []*Vec{x}, c)
			jump(a, label)
		})
	}
	if msg := loop(func(*Asm, string) {}); msg != "" {
		t.Errorf("without a loop: %q", msg)
	}
	for name, jump := range map[string]func(a *Asm, label string){
		"Jump":        func(a *Asm, label string) { a.Jump(label) },
		"JumpIf":      func(a *Asm, label string) { r := a.Reg(); a.JumpIf(r, "<", r, label) },
		"JumpIfImm":   func(a *Asm, label string) { a.JumpIfImm(a.Reg(), "<", 1, label) },
		"JumpGreater": func(a *Asm, label string) { u := a.Uniform(); a.JumpGreater(u, u, label) },
		"JumpAnyEq":   func(a *Asm, label string) { a.JumpAnyEq(a.Reg(), a.Uniform(), label) },
		"NaNJump":     func(a *Asm, label string) { a.NaNJump(a.Vec("m"), label) },
		"FirstEq":     func(a *Asm, label string) { a.FirstEq(a.Vec("v"), a.Uniform(), a.Reg(), label) },
		"FirstNaN":    func(a *Asm, label string) { a.FirstNaN(a.Vec("v"), a.Reg(), label) },
	} {
		want := "testNEON: loop1: poly moved from "
		if msg := loop(jump); !strings.HasPrefix(msg, want) {
			t.Errorf("%s: %q, want %q", name, msg, want)
		}
	}
}

func TestSpellings(t *testing.T) {
	for _, k := range kernels {
		if strings.TrimSpace(k.doc) == "" {
			t.Errorf("kernel %s has no doc", k.name)
		}
	}
	files := generate()
	for _, target := range targets {
		decls := map[string]string{}
		for line := range strings.Lines(string(files["kernels_"+target.goarch+".go"])) {
			line = strings.TrimSpace(line)
			if rest, ok := strings.CutPrefix(line, "func "); ok {
				name, _, _ := strings.Cut(rest, "(")
				decls[name] = line
			}
		}
		var comment []string
		for line := range strings.Lines(string(files["kernels_"+target.goarch+".s"])) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "//") {
				comment = append(comment, strings.TrimSpace(line[2:]))
				continue
			}
			if m := textLine.FindStringSubmatch(line); m != nil {
				if decl := decls[m[1]]; decl == "" {
					t.Errorf("%s: %s is not declared", target.goarch, m[1])
				} else if !slices.Contains(comment, decl) {
					t.Errorf("%s: the comment above %s does not have its declaration:\n%s", target.goarch, m[1], decl)
				}
				delete(decls, m[1])
			}
			comment = nil
		}
		for name := range decls {
			t.Errorf("%s: %s is declared only", target.goarch, name)
		}
	}
}
