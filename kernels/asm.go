package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// lanes is the width of a Vec: the number of float32 lanes that every
// kernel's dataflow is written for, whatever the machine's registers hold.
const lanes = 16

// An isa lowers the vector instruction set of Asm to one instruction set.
// Vector registers are numbered; r(n) prints one. Every method writes whole
// lines with a.emit.
type isa interface {
	name() string  // suffix of the kernels' names
	width() int    // float32 lanes a register holds
	vregs() int    // number of vector registers
	gregs() string // general registers, separated by spaces

	frame(a *Asm) int                  // bytes of stack the kernel uses
	entry(a *Asm) string               // what it begins with
	localAddr(a *Asm, slot int, d Reg) // the address of a slot of Local
	ret(a *Asm)
	arg(a *Asm, name string, off int, d Reg)
	setArg(a *Asm, name string, off int, s Reg)
	movImm(a *Asm, imm int, d Reg)
	min(a *Asm, s, d Reg)
	mov(a *Asm, s, d Reg)
	addImm(a *Asm, imm int, d Reg)
	add(a *Asm, s, d Reg)
	sub(a *Asm, s, d Reg)
	mul(a *Asm, s, d Reg)
	andImm(a *Asm, imm int, d Reg)
	and(a *Asm, s, d Reg)
	firstBit(a *Asm, d Reg)
	shl(a *Asm, n int, d Reg)
	shr(a *Asm, n int, d Reg)
	jumpIf(a *Asm, cond string, x, y Reg, label string)
	jumpIfImm(a *Asm, cond string, x Reg, imm int, label string)
	load64(a *Asm, base, d Reg)
	store64(a *Asm, s, base Reg)
	load32(a *Asm, base Reg, off int, d Reg)
	store32(a *Asm, s, base Reg, off int)
	prefetch(a *Asm, level int, base Reg, off int)
	prefetchAt(a *Asm, level int, base, index Reg, off int)

	constant(a *Asm, bits uint64, reg bool) Uni
	addend(a *Asm, bits uint64) Uni
	set(a *Asm, u operand, d int)
	laneNumbers(a *Asm, part, d int)
	load(a *Asm, base Reg, off int, d ...int)
	loadWide(a *Asm, base Reg, off int, d int)
	widen(a *Asm, s, half, d int)
	round32(a *Asm, s, t, d int)
	store(a *Asm, base Reg, off int, s ...int)
	setTail(a *Asm, n Reg)
	loadTail(a *Asm, v *Vec, base, n Reg, fill Uni)
	storeTail(a *Asm, v *Vec, base, n Reg)
	op(a *Asm, op op, x int, y operand, d int)
	opLoad(a *Asm, op op, x []int, base Reg, off int, d []int)
	clamp(a *Asm, op op, bound Uni, x, d int)
	fma(a *Asm, size int, all []fma)
	fmaLoad(a *Asm, x []int, base Reg, off int, d []int)
	shift(a *Asm, size, left, d int) // to the right if left is negative
	powers(a *Asm) []Uni             // the table, and what else power uses
	power(a *Asm, table []Uni, t, d []int)
	scales() bool // whether one instruction multiplies by 2^n, given n
	scale(a *Asm, p, t, tmp int)
	scaleAbove(a *Asm, p, n int, least Uni)
	negative(a *Asm, x, d int)
	toFloat(a *Asm, d int)
	eqOne(a *Asm, x, d int, zero, one Uni)
	eqValue(a *Asm, x, d int, value Uni)
	takeOnes(a *Asm, x, ones int, one Uni)
	countOnes(a *Asm, ones int)
	zeroWhere(a *Asm, x, d int, zero Uni)
	addUnless(a *Asm, x, d int, value Uni)

	nanNone(a *Asm, chain int)
	nanFirst(a *Asm, chain, part, x, y int)
	nanSee(a *Asm, chain, x, y int)
	nanJoin(a *Asm, chain, other int)
	nanJump(a *Asm, folded int, label string)
	fold(a *Asm, op op, v *Vec, lanes int)
	foldRows(a *Asm, op op, base Reg, part, d int)
	less(a *Asm, x []int, y []operand, d Reg)
	transpose(a *Asm, r [4]*int)
	loadFours(a *Asm, r [4]int, base, stride, tail Reg)
	storeFours(a *Asm, r [4]int, base, stride, tail Reg)
	divLane0(a *Asm, size, x, y, d int)
	broadcast(a *Asm, s int, d int)
	loadScalar(a *Asm, base Reg, off int, d int)
	loadDouble(a *Asm, base Reg, d int)
	loadNarrow(a *Asm, base Reg, d int)
	loadRest(a *Asm, base Reg, high, d int)
	storeScalar(a *Asm, s int, base Reg, off int)
	addDouble(a *Asm, s int, base Reg)
	storeDouble(a *Asm, s int, base Reg)
	loadLane(a *Asm, v *Vec, base Reg, off int, n Reg, limit int, fill Uni)
	gather(a *Asm, base Reg, at, where int, fill Uni, d int)
	moveLane0(a *Asm, s int, d Reg)
	orAll(a *Asm, d int, x []int)
	jumpBits(a *Asm, x int, mask uint32, label string)
	jumpGreater(a *Asm, x, y int, label string)
	jumpAnyEq(a *Asm, base Reg, m Uni, label string)
	first(a *Asm, v *Vec, m *Uni, d Reg, label string)
}

// A streamer is an isa with stores past the caches, to aligned registers in
// memory, and a fence that orders them before later stores.
type streamer interface {
	storeStream(a *Asm, s int, base Reg, off int)
	fence(a *Asm)
}

// An op is an elementwise instruction of two operands.
type op int

const (
	opAdd op = iota
	opSub
	opMul
	opMax
	opMin
	opDiv

	// On lanes of 64 bits: a Vec has 8 of them.
	opAdd64
	opSub64
	opMul64
	opDiv64
	opMax64
	opMin64
	opSubInt64
	opAddInt // lanes of 32 bits again
	opSubInt
	opMulInt
	opOr
	opAnd
	opXor
)

// is64 tells whether op is on lanes of 64 bits.
func (op op) is64() bool { return op >= opAdd64 && op <= opSubInt64 }

// A Reg is a general register.
type Reg string

// A Vec is a vector of 16 float32 lanes, spread over as many registers as the
// machine needs: lane i is in register i/width. Between ByPart calls a Vec
// that was made inside has only the register of its part.
type Vec struct {
	name string
	r    []int
}

// A Uni is a value that is the same in every lane, as a rule: a register, or, where the
// instruction set reads constants from memory for nothing, a symbol.
type Uni struct {
	r    int
	mem  string
	full bool   // x86: it is as long as a register, and not the same in every lane
	bits uint64 // arm64: if not 0, those of a constant, which can be loaded
}

// An operand is a register or, if mem is set, a place in memory.
type operand = Uni

func inReg(r int) operand { return operand{r: r} }

// A source is what an instruction reads for each register of a Vec.
type source interface{ at(i int) operand }

func (v *Vec) at(i int) operand { return inReg(v.r[i]) }
func (u Uni) at(int) operand    { return u }

// An fma is a d = x*y + c, with one rounding. It may change the register of d.
type fma struct {
	x    int
	y, c operand
	d    *int
}

// An arg is one parameter of a kernel: a pointer or int.
type arg struct{ name, typ string }

// A kernel is one entry of the table: its name, what it does, its parameters
// and the function that writes its body.
type kernel struct {
	name string
	doc  string
	args []arg
	body func(a *Asm)
}

type head struct {
	label string
	v     *Vec
}

// An Asm is an assembly file being written.
type Asm struct {
	isa     isa
	k       kernel
	out     bytes.Buffer
	greg    []Reg
	vfree   []bool
	labels  int
	consts  map[uint64]int  // constants in memory, in use by any kernel, and their order
	heads   map[head]string // registers of the Vecs that are live at the labels
	lo, hi  int             // the parts that Vec operations work on
	tail    Reg             // AVX-512: K1 has the mask of its tail
	nan     int             // AVX2: register of nanSee
	stack   bool            // arm64: the kernel uses its stack buffer
	locals  int             // the slots of Local in use
	streams bool            // StoreStream was used
	table   bool            // arm64: the kernel loads constants anew
	vecs    map[*Vec]bool
}

// Func writes kernel k for the instruction set.
func (a *Asm) Func(k kernel) {
	a.k = k
	a.greg = nil
	for _, r := range strings.Fields(a.isa.gregs()) {
		a.greg = append(a.greg, Reg(r))
	}
	a.vfree = make([]bool, a.isa.vregs())
	for i := range a.vfree {
		a.vfree[i] = true
	}
	a.heads = map[head]string{}
	a.vecs = map[*Vec]bool{}
	a.labels = 0
	a.nan, a.stack, a.locals, a.tail = -1, false, 0, ""
	a.streams, a.table = false, false
	a.lo, a.hi = 0, lanes/a.isa.width()
	name := k.name + a.isa.name()
	fmt.Fprintf(&a.out, "\n// func %s(%s)\n//\n", name, goParams(k.args))
	for line := range strings.Lines(k.doc) {
		fmt.Fprintf(&a.out, "// %s\n", strings.TrimSuffix(line, "\n"))
	}
	body := a.out
	a.out = bytes.Buffer{}
	k.body(a)
	text := a.out.String()
	a.out = body
	frame, flags := a.isa.frame(a), "NOSPLIT"
	if frame > 512 {
		flags = "0" // asks for stack
	}
	fmt.Fprintf(&a.out, "TEXT ·%s(SB), %s, $%d-%d\n%s%s", name, flags, frame, 8*len(k.args), a.isa.entry(a), text)
}

func goParams(args []arg) string {
	var b strings.Builder
	for i, p := range args {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(p.name)
		if i == len(args)-1 || args[i+1].typ != p.typ {
			b.WriteString(" " + p.typ)
		}
	}
	return b.String()
}

// fatalf stops the generator: its input is wrong.
func (a *Asm) fatalf(format string, args ...any) {
	text := a.out.String()
	text = text[max(0, len(text)-500):]
	panic(fmt.Sprintf("%s%s: ", a.k.name, a.isa.name()) + fmt.Sprintf(format, args...) + " after\n" + text)
}

func (a *Asm) emit(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if strings.Contains(text, "%!") {
		a.fatalf("bad format: %s", text)
	}
	a.out.WriteString("\t" + text + "\n")
}

// Comment writes a line of comment.
func (a *Asm) Comment(format string, args ...any) { a.emit("// "+format, args...) }

// Reg allocates a general register.
func (a *Asm) Reg() Reg {
	if len(a.greg) == 0 {
		a.fatalf("out of general registers")
	}
	r := a.greg[0]
	a.greg = a.greg[1:]
	return r
}

// FreeReg gives r back.
func (a *Asm) FreeReg(r Reg) { a.greg = append([]Reg{r}, a.greg...) }

// Arg allocates a register and loads a parameter into it.
func (a *Asm) Arg(name string) Reg {
	r := a.Reg()
	a.LoadArg(name, r)
	return r
}

// LoadArg loads a parameter.
func (a *Asm) LoadArg(name string, d Reg) { a.isa.arg(a, name, a.argOffset(name), d) }

// StoreArg changes a parameter.
func (a *Asm) StoreArg(name string, s Reg) { a.isa.setArg(a, name, a.argOffset(name), s) }

// AddArg adds a number to a parameter.
func (a *Asm) AddArg(name string, imm int) {
	t := a.Arg(name)
	a.AddImm(imm, t)
	a.StoreArg(name, t)
	a.FreeReg(t)
}

// SubArg subtracts s from a parameter; t is free to use.
func (a *Asm) SubArg(name string, s, t Reg) {
	a.LoadArg(name, t)
	a.SubReg(s, t)
	a.StoreArg(name, t)
}

func (a *Asm) argOffset(name string) int {
	i := slices.IndexFunc(a.k.args, func(p arg) bool { return p.name == name })
	if i < 0 {
		a.fatalf("no parameter %s", name)
	}
	return 8 * i
}

// General registers: the last operand is the destination.

func (a *Asm) Mov(s, d Reg)           { a.isa.mov(a, s, d) }
func (a *Asm) MovImm(imm int, d Reg)  { a.isa.movImm(a, imm, d) }
func (a *Asm) AddImm(imm int, d Reg)  { a.isa.addImm(a, imm, d) }
func (a *Asm) AddReg(s, d Reg)        { a.isa.add(a, s, d) }
func (a *Asm) SubReg(s, d Reg)        { a.isa.sub(a, s, d) }
func (a *Asm) MulReg(s, d Reg)        { a.isa.mul(a, s, d) }
func (a *Asm) AndImm(imm int, d Reg)  { a.isa.andImm(a, imm, d) }
func (a *Asm) AndReg(s, d Reg)        { a.isa.and(a, s, d) }
func (a *Asm) ShiftReg(n int, d Reg)  { a.isa.shl(a, n, d) }
func (a *Asm) ShiftDown(n int, d Reg) { a.isa.shr(a, n, d) }
func (a *Asm) MinReg(s, d Reg)        { a.isa.min(a, s, d) }
func (a *Asm) Store64(s, base Reg)    { a.isa.store64(a, s, base) }

// Load32 sets d to the 32 bits at base+off and Store32 stores those of s there.
func (a *Asm) Load32(base Reg, off int, d Reg) { a.isa.load32(a, base, off, d) }
func (a *Asm) Store32(s, base Reg, off int)    { a.isa.store32(a, s, base, off) }

// Local allocates a register with the address of a slot of the stack that
// holds a Vec.
func (a *Asm) Local(slot int) Reg {
	a.locals = max(a.locals, slot+1)
	d := a.Reg()
	a.isa.localAddr(a, slot, d)
	return d
}

// LocalAt is Local with at added.
func (a *Asm) LocalAt(slot int, at Reg) Reg {
	p := a.Local(slot)
	a.AddReg(at, p)
	return p
}

// LoadLocal sets u to the element at LocalAt.
func (a *Asm) LoadLocal(u Uni, slot int, at Reg) {
	p := a.LocalAt(slot, at)
	a.LoadUni(u, p, 0)
	a.FreeReg(p)
}

// LoadInt and StoreInt use a slot of the stack that holds an integer.
func (a *Asm) LoadInt(slot int, d Reg) {
	a.locals = max(a.locals, slot+1)
	a.isa.localAddr(a, slot, d)
	a.isa.load64(a, d, d)
}

func (a *Asm) StoreInt(s Reg, slot int) {
	local := a.Local(slot)
	a.Store64(s, local)
	a.FreeReg(local)
}

// Prefetch asks for the cache line at base+off, which may be anywhere.
func (a *Asm) Prefetch(base Reg, off int) { a.isa.prefetch(a, 1, base, off) }

// PrefetchL2 is Prefetch into the second-level cache only.
func (a *Asm) PrefetchL2(base Reg, off int) { a.isa.prefetch(a, 2, base, off) }

// PrefetchL2At is PrefetchL2 at base+index+off.
func (a *Asm) PrefetchL2At(base, index Reg, off int) { a.isa.prefetchAt(a, 2, base, index, off) }

// Ret returns from the kernel.
func (a *Asm) Ret() {
	if a.streams {
		a.isa.(streamer).fence(a)
	}
	a.isa.ret(a)
}

// StoreTo is StoreStream or Store.
func (a *Asm) StoreTo(stream bool, s *Vec, base Reg, off int) {
	if stream {
		a.StoreStream(s, base, off)
	} else {
		a.Store(s, base, off)
	}
}

// Streams writes the form of a kernel that uses Store and, for a parameter
// stream that is not 0, the one that uses StoreStream, if there is such a thing.
func (a *Asm) Streams(form func(stream bool)) {
	if _, ok := a.isa.(streamer); !ok {
		form(false)
		return
	}
	a.Forms("stream", form)
}

// Forms writes the form of a kernel for a parameter that is 0 and that for one
// that is not.
func (a *Asm) Forms(arg string, form func(set bool)) {
	a.Either(arg, "!=", 0, func() { form(false) }, func() { form(true) })
}

// Either writes two forms of a kernel, of which the second is for a parameter that
// the condition holds for. Both begin with the same registers free.
func (a *Asm) Either(arg, cond string, imm int, first, second func()) {
	v, label := a.Arg(arg), a.NewLabel(arg)
	a.JumpIfImm(v, cond, imm, label)
	a.FreeReg(v)
	greg, vfree := slices.Clone(a.greg), slices.Clone(a.vfree)
	first()
	a.greg, a.vfree, a.tail = greg, vfree, ""
	a.Label(label)
	second()
}

// NewLabel makes a label, to be placed by Label.
func (a *Asm) NewLabel(name string) string {
	a.labels++
	return fmt.Sprintf("%s%d", name, a.labels)
}

// Label places a label. Registers must hold the same Vecs whenever it is reached.
func (a *Asm) Label(label string) {
	a.checkHead(label)
	fmt.Fprintf(&a.out, "%s:\n", label)
}

// checkHead compares the registers of the Vecs that are live here with those
// at the other places that reach label.
func (a *Asm) checkHead(label string) {
	for v := range a.vecs {
		key := head{label, v}
		now := fmt.Sprint(v.r)
		if was, ok := a.heads[key]; ok && was != now {
			a.fatalf("%s: %s moved from %s to %s", label, v.name, was, now)
		}
		a.heads[key] = now
	}
}

// Jump goes to label.
func (a *Asm) Jump(label string) {
	a.checkHead(label)
	a.emit("JMP %s", label)
}

// JumpIf goes to label if x cond y holds for signed integers; cond is one of
// == != < <= > >=.
func (a *Asm) JumpIf(x Reg, cond string, y Reg, label string) {
	a.checkHead(label)
	a.isa.jumpIf(a, cond, x, y, label)
}

// JumpIfImm is JumpIf with a constant.
func (a *Asm) JumpIfImm(x Reg, cond string, imm int, label string) {
	a.checkHead(label)
	a.isa.jumpIfImm(a, cond, x, imm, label)
}

// vreg allocates a vector register from the low end, or the high one.
func (a *Asm) vreg(high bool) int {
	for i := range a.vfree {
		if high {
			i = len(a.vfree) - 1 - i
		}
		if a.vfree[i] {
			a.vfree[i] = false
			return i
		}
	}
	a.fatalf("out of vector registers")
	return 0
}

// freeVregs returns the number of vector registers that are free.
func (a *Asm) freeVregs() int {
	n := 0
	for _, free := range a.vfree {
		if free {
			n++
		}
	}
	return n
}

// ByPart runs f once for each register of a Vec, with every Vec operation
// inside, and every Vec made inside, confined to that register's lanes: four
// Vecs at once then cost four registers, and not four times those of a Vec.
func (a *Asm) ByPart(f func()) { a.parts(1, f) }

// ByPair is ByPart with two registers at once on arm64, which has 32 of them and
// loads and stores them in pairs.
func (a *Asm) ByPair(f func()) { a.parts(a.pair(), f) }

// pair returns the number of registers that ByPair takes at once.
func (a *Asm) pair() int {
	if a.isa.width() == 4 {
		return 2
	}
	return 1
}

func (a *Asm) parts(n int, f func()) {
	lo, hi := a.lo, a.hi
	for i := lo; i < hi; i += n {
		a.lo, a.hi = i, min(i+n, hi)
		f()
	}
	a.lo, a.hi = lo, hi
}

// turns is the number of registers at once that take turns in loops with a long chain
// of arithmetic: four, but two of 512 bits.
func (a *Asm) turns() int {
	if a.isa.width() == lanes {
		return 2
	}
	return 4
}

// Turns runs f for the four vectors of a step, turns registers at once: n vectors from
// the first on, by ByPair.
func (a *Asm) Turns(f func(first, n int)) {
	n := a.turns() / a.pair()
	for first := 0; first < 4; first += n {
		a.ByPair(func() { f(first, n) })
	}
}

// Narrow makes every Vec, from here to Widen or the end of the kernel, one
// register: a Vec then has as many lanes as a register.
func (a *Asm) Narrow() { a.hi = 1 }

func (a *Asm) Widen() { a.hi = lanes / a.isa.width() }

// Vec allocates a vector.
func (a *Asm) Vec(name string) *Vec {
	v := &Vec{name: name, r: make([]int, lanes/a.isa.width())}
	for i := range v.r {
		v.r[i] = -1
	}
	for i := a.lo; i < a.hi; i++ {
		v.r[i] = a.vreg(false)
	}
	a.vecs[v] = true
	return v
}

// Vecs allocates n vectors.
func (a *Asm) Vecs(n int, name string) []*Vec {
	vs := make([]*Vec, n)
	for i := range vs {
		vs[i] = a.Vec(fmt.Sprintf("%s%d", name, i))
	}
	return vs
}

// Free gives vectors back.
func (a *Asm) Free(vs ...*Vec) {
	for _, v := range vs {
		if !a.vecs[v] {
			a.fatalf("%s freed twice", v.name)
		}
		delete(a.vecs, v)
		for _, r := range v.r {
			if r >= 0 {
				a.vfree[r] = true
			}
		}
	}
}

// Shrink gives all registers of v back but the first.
func (a *Asm) Shrink(v *Vec) {
	for i, r := range v.r[1:] {
		if r >= 0 {
			a.vfree[r] = true
			v.r[1+i] = -1
		}
	}
}

// Const returns a constant given by its bits, as an operand of any operation
// that does not ask for a register.
func (a *Asm) Const(bits uint32) Uni { return a.isa.constant(a, twice(bits), false) }

// ConstReg returns a constant in a register.
func (a *Asm) ConstReg(bits uint32) Uni { return a.isa.constant(a, twice(bits), true) }

// Const64 is Const for lanes of 64 bits.
func (a *Asm) Const64(bits uint64) Uni { return a.isa.constant(a, bits, false) }

// ConstReg64 is ConstReg for lanes of 64 bits.
func (a *Asm) ConstReg64(bits uint64) Uni { return a.isa.constant(a, bits, true) }

// Addend returns a constant that is the c of MulAddUni and Horner, or the last
// operand of EqOne, EqValue, TakeOnes and AddUnless. On arm64 it takes no register.
func (a *Asm) Addend(bits uint32) Uni { return a.isa.addend(a, twice(bits)) }

// Addend64 is Addend for lanes of 64 bits.
func (a *Asm) Addend64(bits uint64) Uni { return a.isa.addend(a, bits) }

func twice(bits uint32) uint64 { return uint64(bits)<<32 | uint64(bits) }

// constIndex returns the place of a constant among those in memory.
func (a *Asm) constIndex(bits uint64) int {
	i, ok := a.consts[bits]
	if !ok {
		i = len(a.consts)
		a.consts[bits] = i
	}
	return i
}

// Uniform allocates a register for a value that is the same in every lane.
func (a *Asm) Uniform() Uni { return Uni{r: a.vreg(true)} }

// FreeUniform gives u back.
func (a *Asm) FreeUniform(u Uni) { a.vfree[a.inReg(u)] = true }

// FreeConst gives the register of a constant back, if it has one.
func (a *Asm) FreeConst(u Uni) {
	if u.mem == "" {
		a.FreeUniform(u)
	}
}

// inReg returns the register of a u that must not be in memory.
func (a *Asm) inReg(u Uni) int {
	if u.mem != "" {
		a.fatalf("%s is not in a register", u.mem)
	}
	return u.r
}

// SetUniform sets d = u.
func (a *Asm) SetUniform(d, u Uni) { a.isa.set(a, u, a.inReg(d)) }

// same returns u's register once for each part.
func (a *Asm) same(u Uni) []int { return slices.Repeat([]int{a.inReg(u)}, a.hi-a.lo) }

// Negate changes the sign of v.
func (a *Asm) Negate(v *Vec) {
	sign := a.Const(1 << 31)
	a.op(opXor, v, sign, v)
	a.FreeConst(sign)
}

func (a *Asm) offset(i int) int { return 4 * i * a.isa.width() }

// Set sets every lane of d to u.
func (a *Asm) Set(d *Vec, u Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.set(a, u, d.r[i])
	}
}

// LaneNumbers sets every lane of d to its number, an integer.
func (a *Asm) LaneNumbers(d *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.laneNumbers(a, i, d.r[i])
	}
}

// Copy sets d = x.
func (a *Asm) Copy(d, x *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.set(a, inReg(x.r[i]), d.r[i])
	}
}

// Load loads 16 elements at base+off.
func (a *Asm) Load(d *Vec, base Reg, off int) {
	a.isa.load(a, base, off+a.offset(a.lo), d.r[a.lo:a.hi]...)
}

// LoadWide loads 8 elements at base+off into lanes of 64 bits.
func (a *Asm) LoadWide(d *Vec, base Reg, off int) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.loadWide(a, base, off+a.offset(i)/2, d.r[i])
	}
}

// WidenHalf puts half of the lanes of s into d, widened to 64 bits.
func (a *Asm) WidenHalf(d, s *Vec, half int) {
	for i, r := range d.r[a.lo:a.hi] {
		h := half*(a.hi-a.lo) + i
		a.isa.widen(a, s.r[a.lo+h/2], h%2, r)
	}
}

// Round32 rounds the lanes of 64 bits of low and high to those of d.
func (a *Asm) Round32(d, low, high *Vec) {
	wide := append(slices.Clone(low.r), high.r...)
	for i, r := range d.r {
		a.isa.round32(a, wide[2*i], wide[2*i+1], r)
	}
}

// Store stores 16 elements at base+off.
func (a *Asm) Store(s *Vec, base Reg, off int) {
	a.isa.store(a, base, off+a.offset(a.lo), s.r[a.lo:a.hi]...)
}

// StoreStream is Store past the caches, if there is such a thing, to memory
// aligned to 64 bytes. Ret fences it.
func (a *Asm) StoreStream(s *Vec, base Reg, off int) {
	isa, ok := a.isa.(streamer)
	if !ok {
		a.Store(s, base, off)
		return
	}
	a.streams = true
	for i := a.lo; i < a.hi; i++ {
		isa.storeStream(a, s.r[i], base, off+a.offset(i))
	}
}

// KeepTail promises that every LoadTail until KeepTail("") has this n.
func (a *Asm) KeepTail(n Reg) {
	a.tail = ""
	if n != "" {
		a.isa.setTail(a, n)
	}
	a.tail = n
}

// LoadTail loads min(n, 16) elements at base, n <= 64, and fills the other lanes.
func (a *Asm) LoadTail(d *Vec, base, n Reg, fill Uni) { a.isa.loadTail(a, d, base, n, fill) }

// LoadLane loads n elements from base+off, 16 apart, 1 <= n <= limit, and fills the other
// lanes.
func (a *Asm) LoadLane(d *Vec, base Reg, off int, n Reg, limit int, fill Uni) {
	a.isa.loadLane(a, d, base, off, n, limit, fill)
}

// Gather loads the elements at the address that is a lane of at, in bytes, behind base
// where that of where, an integer, is less than 0, and fills the other lanes.
func (a *Asm) Gather(d *Vec, base Reg, at, where *Vec, fill Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.gather(a, base, at.r[i], where.r[i], fill, d.r[i])
	}
}

// StoreTail stores min(n, 16) elements at base. The LoadTail before it had the same n.
func (a *Asm) StoreTail(s *Vec, base, n Reg) { a.isa.storeTail(a, s, base, n) }

// op sets d = x op y.
func (a *Asm) op(op op, x *Vec, y source, d *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.op(a, op, x.r[i], y.at(i), d.r[i])
	}
}

// Add sets d += x.
func (a *Asm) Add(d, x *Vec) { a.op(opAdd, d, x, d) }

// Sub sets d -= x.
func (a *Asm) Sub(d, x *Vec) { a.op(opSub, d, x, d) }

// Mul sets d *= x.
func (a *Asm) Mul(d, x *Vec) { a.op(opMul, d, x, d) }

// SubUni sets d = x - u.
func (a *Asm) SubUni(d, x *Vec, u Uni) { a.op(opSub, x, u, d) }

// MulUni sets d = x * u.
func (a *Asm) MulUni(d, x *Vec, u Uni) { a.op(opMul, x, u, d) }

// Max sets d = max(d, x). If x or d is a NaN, d may be any of the two.
func (a *Asm) Max(d, x *Vec) { a.op(opMax, d, x, d) }

// MaxLoad is Max with the 16 elements at base+off.
func (a *Asm) MaxLoad(d *Vec, base Reg, off int) {
	a.isa.opLoad(a, opMax, d.r[a.lo:a.hi], base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// One returns a Vec of one register, set to u.
func (a *Asm) One(name string, u Uni) *Vec {
	hi := a.hi
	a.Narrow()
	v := a.Vec(name)
	a.Set(v, u)
	a.hi = hi
	return v
}

// OrAll sets the bits in d, a Vec of one register, that are set in one of xs.
func (a *Asm) OrAll(d *Vec, xs []*Vec) {
	var all []int
	for _, x := range xs {
		all = append(all, x.r[a.lo:a.hi]...)
	}
	a.isa.orAll(a, d.r[0], all)
}

// JumpBits goes to label if a bit of mask is set in one of the lanes of v, a Vec of
// one register.
func (a *Asm) JumpBits(v *Vec, mask uint32, label string) {
	a.checkHead(label)
	a.isa.jumpBits(a, v.r[0], mask, label)
}

// MulLoad multiplies d by the 16 elements at base+off.
func (a *Asm) MulLoad(d *Vec, base Reg, off int) {
	a.isa.opLoad(a, opMul, d.r[a.lo:a.hi], base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// AddLoad adds the 16 elements at base+off to d.
func (a *Asm) AddLoad(d *Vec, base Reg, off int) {
	a.isa.opLoad(a, opAdd, d.r[a.lo:a.hi], base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// SubLoad subtracts the 16 elements at base+off from d.
func (a *Asm) SubLoad(d *Vec, base Reg, off int) {
	a.isa.opLoad(a, opSub, d.r[a.lo:a.hi], base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// AtLeast sets d = max(d, bound), and leaves a NaN in d a NaN. The bound is in registers.
func (a *Asm) AtLeast(d *Vec, bound source) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.clamp(a, opMax, bound.at(i), d.r[i], d.r[i])
	}
}

// AtMost sets d = min(d, bound), and leaves a NaN in d a NaN. The bound is in a register.
func (a *Asm) AtMost(d *Vec, bound Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.clamp(a, opMin, bound, d.r[i], d.r[i])
	}
}

// AtLeast64 is AtLeast for lanes of 64 bits, with the bound in a register.
func (a *Asm) AtLeast64(d *Vec, bound Uni) { a.clamp64(opMax64, d, bound) }

// AtMost64 is AtMost for lanes of 64 bits.
func (a *Asm) AtMost64(d *Vec, bound Uni) { a.clamp64(opMin64, d, bound) }

func (a *Asm) clamp64(op op, d *Vec, bound Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.clamp(a, op, bound, d.r[i], d.r[i])
	}
}

// fma sets d = x*y + c with one rounding. The Vec d may move to other registers.
func (a *Asm) fma(size int, d, x *Vec, y, c source) { a.isa.fma(a, size, a.fmas(d, x, y, c)) }

func (a *Asm) fmas(d, x *Vec, y, c source) []fma {
	var all []fma
	for i := a.lo; i < a.hi; i++ {
		all = append(all, fma{x.r[i], y.at(i), c.at(i), &d.r[i]})
	}
	return all
}

// MulAdd sets d += x*y with one rounding.
func (a *Asm) MulAdd(d, x *Vec, y Uni) { a.fma(32, d, x, y, d) }

// MulAddVec sets d += x*y with one rounding.
func (a *Asm) MulAddVec(d, x, y *Vec) { a.fma(32, d, x, y, d) }

// MulAddLoad sets d += x*y with one rounding, y being the 16 elements at base+off.
func (a *Asm) MulAddLoad(d, x *Vec, base Reg, off int) {
	a.isa.fmaLoad(a, x.r[a.lo:a.hi], base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// MulAddUniLoad is MulAddLoad for an x that is the same in every lane.
func (a *Asm) MulAddUniLoad(d *Vec, x Uni, base Reg, off int) {
	a.isa.fmaLoad(a, a.same(x), base, off+a.offset(a.lo), d.r[a.lo:a.hi])
}

// MulAddUni sets d = x*y + c with one rounding.
func (a *Asm) MulAddUni(d, x *Vec, y, c Uni) { a.fma(32, d, x, y, c) }

// Horner sets each p = p*x + c with one rounding. The Vecs ps may move to other registers.
func (a *Asm) Horner(ps, xs []*Vec, c Uni) {
	var all []fma
	for i, p := range ps {
		all = append(all, a.fmas(p, p, xs[i], c)...)
	}
	a.isa.fma(a, 32, all)
}

// MulAdd64 sets d += x*y on float64 lanes, with one rounding.
func (a *Asm) MulAdd64(d, x *Vec, y operand) { a.fma(64, d, x, y, d) }

// MulAddVec64 sets d += x*y on float64 lanes, with one rounding.
func (a *Asm) MulAddVec64(d, x, y *Vec) { a.fma(64, d, x, y, d) }

// Horner64 is Horner on float64 lanes.
func (a *Asm) Horner64(p, x *Vec, c Uni) { a.fma(64, p, p, x, c) }

// HornerUni sets p = p*x + c with one rounding. The Vec p may move to another register.
func (a *Asm) HornerUni(p *Vec, x, c Uni) { a.fma(32, p, p, x, c) }

// ShiftLeft shifts the bits of every lane.
func (a *Asm) ShiftLeft(d *Vec, n int) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.shift(a, 32, n, d.r[i])
	}
}

// ShiftLeft64 shifts the bits of lanes of 64.
func (a *Asm) ShiftLeft64(d *Vec, n int) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.shift(a, 64, n, d.r[i])
	}
}

// ShiftRight64 shifts the bits of lanes of 64 and fills in zeros.
func (a *Asm) ShiftRight64(d *Vec, n int) { a.ShiftLeft64(d, -n) }

// Powers returns the table of powers, and what else Power uses.
func (a *Asm) Powers() []Uni { return a.isa.powers(a) }

// Power sets each d to 2^(n + j/8), the lowest bits of t being 8 (n + 127) + j, and destroys
// t. Where n is -127, it is 0 for j = 0 and too small for others.
func (a *Asm) Power(ds, ts []*Vec, table []Uni) {
	var d, t []int
	for i := range ds {
		d = append(d, ds[i].r[a.lo:a.hi]...)
		t = append(t, ts[i].r[a.lo:a.hi]...)
	}
	a.isa.power(a, table, t, d)
}

// Scale sets p = p * 2^n with one rounding, n in [-151, 129]. t is n if the isa
// scales, and otherwise 1.5*2^23 + 254 + n. It destroys t and tmp.
func (a *Asm) Scale(p, t, tmp *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.scale(a, p.r[i], t.r[i], tmp.r[i])
	}
}

// ScaleAbove sets p = p * 2^n with one rounding, or +0 where n <= least, on an
// isa that scales.
func (a *Asm) ScaleAbove(p, n *Vec, least Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.scaleAbove(a, p.r[i], n.r[i], least)
	}
}

// Negative sets the bits of d where x < 0, and clears it elsewhere; of a NaN, either.
func (a *Asm) Negative(d, x *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.negative(a, x.r[i], d.r[i])
	}
}

// ToFloat replaces integers by floats.
func (a *Asm) ToFloat(d *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.toFloat(a, d.r[i])
	}
}

// EqOne sets d to 1 where x is 0, and to 0 elsewhere.
func (a *Asm) EqOne(d, x *Vec, zero, one Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.eqOne(a, x.r[i], d.r[i], zero, one)
	}
}

// EqValue sets d to u where x is u, and to 0 elsewhere.
func (a *Asm) EqValue(d, x *Vec, u Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.eqValue(a, x.r[i], d.r[i], u)
	}
}

// TakeOnes sets x to 0 where it is one, which is 1, and counts those lanes in ones. Its
// lanes, 0 at first, are numbers after CountOnes.
func (a *Asm) TakeOnes(x, ones *Vec, one Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.takeOnes(a, x.r[i], ones.r[i], one)
	}
}

// CountOnes ends the counting of TakeOnes.
func (a *Asm) CountOnes(ones *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.countOnes(a, ones.r[i])
	}
}

// ZeroWhere sets d to 0 where x is 0.
func (a *Asm) ZeroWhere(d, x *Vec, zero Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.zeroWhere(a, x.r[i], d.r[i], zero)
	}
}

// AddUnless sets d += x where x is not u.
func (a *Asm) AddUnless(d, x *Vec, u Uni) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.addUnless(a, x.r[i], d.r[i], u)
	}
}

// NaNFirst begins one of four chains, which note whether what they are shown has a NaN,
// with x and y, which may be the same. The maximum or minimum of the elements must be
// taken as well. Number 0 begins first, and is the one that NaNJump asks.
func (a *Asm) NaNFirst(chain int, x, y *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.nanFirst(a, chain, i, x.r[i], y.r[i])
	}
}

// NaNNone begins another chain with nothing.
func (a *Asm) NaNNone(chain int) { a.isa.nanNone(a, chain) }

// NaNSee shows x and y to a chain.
func (a *Asm) NaNSee(chain int, x, y *Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.nanSee(a, chain, x.r[i], y.r[i])
	}
}

// NaNJoin lets chain know of what other has seen.
func (a *Asm) NaNJoin(chain, other int) { a.isa.nanJoin(a, chain, other) }

// NaNJump goes to label if a NaN was seen; m is what FoldMax left of the maximum.
func (a *Asm) NaNJump(m *Vec, label string) {
	a.checkHead(label)
	a.isa.nanJump(a, m.r[0], label)
}

// Fold folds the lanes of v by halves (lane i and lane i+8, then i and i+4, i and i+2,
// i and i+1) and leaves what comes of them in lane 0.
func (a *Asm) Fold(op op, v *Vec) { a.isa.fold(a, op, v, lanes) }

// FoldHalf is Fold for the lower half of the lanes.
func (a *Asm) FoldHalf(op op, v *Vec) { a.isa.fold(a, op, v, lanes/2) }

// FoldAdd leaves the sum of the lanes of v in lane 0.
func (a *Asm) FoldAdd(v *Vec) { a.Fold(opAdd, v) }

// FoldAdd64 is FoldAdd for 8 lanes of 64 bits.
func (a *Asm) FoldAdd64(v *Vec) { a.Fold(opAdd64, v) }

// FoldMax leaves the maximum of the lanes of v in lane 0.
func (a *Asm) FoldMax(v *Vec) { a.Fold(opMax, v) }

// FoldRows folds the 16 Vecs at base like Fold: lane i of d is that of Vec i.
func (a *Asm) FoldRows(op op, base Reg, d *Vec) {
	for i, r := range d.r {
		a.isa.foldRows(a, op, base, i, r)
	}
}

// FirstBit replaces d by the number of its lowest bit that is set.
func (a *Asm) FirstBit(d Reg) { a.isa.firstBit(a, d) }

// Less sets d to a bit for each lane in which x is less than y.
func (a *Asm) Less(x *Vec, y source, d Reg) {
	var ys []operand
	for i := range x.r {
		ys = append(ys, y.at(i))
	}
	a.isa.less(a, x.r, ys, d)
}

// Transpose transposes four Vecs in squares of four lanes: lane 4i+k of Vec j
// goes to lane 4i+j of Vec k. The Vecs may move to other registers.
func (a *Asm) Transpose(v []*Vec) {
	for i := a.lo; i < a.hi; i++ {
		a.isa.transpose(a, [4]*int{&v[0].r[i], &v[1].r[i], &v[2].r[i], &v[3].r[i]})
	}
}

// LoadFours loads four elements of each of as many rows as a register has lanes,
// stride bytes apart: those of row 4i+j go to four i of v[j], all of them Vecs of
// one register. If there is a tail, it is fewer elements, and the others are 0.
func (a *Asm) LoadFours(v []*Vec, base, stride, tail Reg) {
	a.isa.loadFours(a, [4]int{v[0].r[0], v[1].r[0], v[2].r[0], v[3].r[0]}, base, stride, tail)
}

// StoreFours is the other way; it destroys v and, with a tail, base.
func (a *Asm) StoreFours(v []*Vec, base, stride, tail Reg) {
	a.isa.storeFours(a, [4]int{v[0].r[0], v[1].r[0], v[2].r[0], v[3].r[0]}, base, stride, tail)
}

// Broadcast sets d to lane 0 of v.
func (a *Asm) Broadcast(d Uni, v *Vec) { a.isa.broadcast(a, v.r[0], d.r) }

// LoadUni sets d to the element at base+off.
func (a *Asm) LoadUni(d Uni, base Reg, off int) { a.isa.loadScalar(a, base, off, d.r) }

// LoadNarrow sets d to the float64 at base, rounded.
func (a *Asm) LoadNarrow(d Uni, base Reg) { a.isa.loadNarrow(a, base, d.r) }

// LoadRest sets d to what high, from LoadNarrow, lacks of the float64 at base.
func (a *Asm) LoadRest(d, high Uni, base Reg) { a.isa.loadRest(a, base, a.inReg(high), d.r) }

// LoadLane0 sets lane 0 of d to the element at base+off.
func (a *Asm) LoadLane0(d *Vec, base Reg, off int) { a.isa.loadScalar(a, base, off, d.r[0]) }

// StoreLane0 stores lane 0 of v at base+off.
func (a *Asm) StoreLane0(v *Vec, base Reg, off int) { a.isa.storeScalar(a, v.r[0], base, off) }

// StoreUni stores u at base+off.
func (a *Asm) StoreUni(u Uni, base Reg, off int) { a.isa.storeScalar(a, a.inReg(u), base, off) }

// MoveLane0 sets d to the bits of lane 0 of u.
func (a *Asm) MoveLane0(u Uni, d Reg) { a.isa.moveLane0(a, a.inReg(u), d) }

// DivLane0 sets lane 0 of d to that of x divided by y's, of 32 or 64 bits: whole
// registers take longer.
func (a *Asm) DivLane0(size int, d, x, y *Vec) { a.isa.divLane0(a, size, x.r[0], y.r[0], d.r[0]) }

// AddLane0 adds lane 0 of x to lane 0 of d.
func (a *Asm) AddLane0(d, x *Vec) { a.isa.op(a, opAdd, d.r[0], inReg(x.r[0]), d.r[0]) }

// AddDouble adds lane 0 of v to the float64 at base and destroys v.
func (a *Asm) AddDouble(v *Vec, base Reg) { a.isa.addDouble(a, v.r[0], base) }

// LoadDouble loads the float64 at base into the lanes of the first register of d.
func (a *Asm) LoadDouble(d *Vec, base Reg) { a.isa.loadDouble(a, base, d.r[0]) }

// StoreDouble stores lanes 0 and 1 of v, the bits of a float64, at base.
func (a *Asm) StoreDouble(v *Vec, base Reg) { a.isa.storeDouble(a, v.r[0], base) }

// JumpGreater goes to label if x > y; it does not if one is a NaN.
func (a *Asm) JumpGreater(x, y Uni, label string) {
	a.checkHead(label)
	a.isa.jumpGreater(a, a.inReg(x), a.inReg(y), label)
}

// JumpAnyEq goes to label if one of the 64 elements at base equals m, which none
// is greater than and which is a NaN if one is.
func (a *Asm) JumpAnyEq(base Reg, m Uni, label string) {
	a.checkHead(label)
	a.isa.jumpAnyEq(a, base, m, label)
}

// FirstEq sets d to the number of the first lane of v that equals m and goes
// to label, if there is one. It destroys v.
func (a *Asm) FirstEq(v *Vec, m Uni, d Reg, label string) { a.isa.first(a, v, &m, d, label) }

// FirstNaN is FirstEq for NaNs.
func (a *Asm) FirstNaN(v *Vec, d Reg, label string) { a.isa.first(a, v, nil, d, label) }
