package main

import "fmt"

// neon lowers to Advanced SIMD. Go's assembler has few of its float
// instructions, so most come out as words.
type neon struct{}

func (neon) name() string  { return "NEON" }
func (neon) width() int    { return 4 }
func (neon) vregs() int    { return 32 }
func (neon) gregs() string { return "R0 R1 R2 R3 R4 R5 R6 R7 R8 R9 R10 R11 R12 R13 R14 R15 R19 R20" }

// frame: a tail goes through sixteen elements on the stack, behind Local's.
func (neon) frame(a *Asm) int {
	if a.stack || a.locals > 0 {
		return 64 * (1 + a.locals)
	}
	return 0
}

func (neon) localAddr(a *Asm, slot int, d Reg) {
	a.emit("MOVD $local%d-%d(SP), %s", slot, 64*(slot+2), d)
}

func (neon) ret(a *Asm) { a.emit("RET") }

func (neon) arg(a *Asm, name string, off int, d Reg) { a.emit("MOVD %s+%d(FP), %s", name, off, d) }
func (neon) setArg(a *Asm, name string, off int, s Reg) {
	a.emit("MOVD %s, %s+%d(FP)", s, name, off)
}
func (neon) movImm(a *Asm, imm int, d Reg) { a.emit("MOVD $%d, %s", imm, d) }
func (neon) mov(a *Asm, s, d Reg)          { a.emit("MOVD %s, %s", s, d) }
func (neon) add(a *Asm, s, d Reg)          { a.emit("ADD %s, %s", s, d) }
func (neon) sub(a *Asm, s, d Reg)          { a.emit("SUB %s, %s", s, d) }
func (neon) mul(a *Asm, s, d Reg)          { a.emit("MUL %s, %s", s, d) }
func (neon) andImm(a *Asm, imm int, d Reg) { a.emit("AND $%d, %s", imm, d) }
func (neon) and(a *Asm, s, d Reg)          { a.emit("AND %s, %s", s, d) }
func (neon) shl(a *Asm, n int, d Reg)      { a.emit("LSL $%d, %s", n, d) }
func (neon) shr(a *Asm, n int, d Reg)      { a.emit("LSR $%d, %s", n, d) }
func (neon) firstBit(a *Asm, d Reg) {
	a.emit("RBIT %s, %s", d, d)
	a.emit("CLZ %s, %s", d, d)
}
func (neon) load64(a *Asm, base, d Reg)  { a.emit("MOVD (%s), %s", base, d) }
func (neon) store64(a *Asm, s, base Reg) { a.emit("MOVD %s, (%s)", s, base) }

func (neon) load32(a *Asm, base Reg, off int, d Reg) {
	a.emit("MOVWU %s, %s", mem(base, off), d)
}
func (neon) store32(a *Asm, s, base Reg, off int) { a.emit("MOVW %s, %s", s, mem(base, off)) }

// addImm: Go's assembler would move a negative number to a register first.
func (neon) addImm(a *Asm, imm int, d Reg) {
	if imm < 0 {
		a.emit("SUB $%d, %s", -imm, d)
		return
	}
	a.emit("ADD $%d, %s", imm, d)
}

func (neon) prefetch(a *Asm, level int, base Reg, off int) {
	if off < 1<<15 {
		a.emit("PRFM %s, PLDL%dKEEP", mem(base, off), level)
		return
	}
	const room = 4096 // ADD takes multiples of it
	t := a.Reg()
	a.emit("ADD $%d, %s, %s", off&-room, base, t)
	a.emit("PRFM %s, PLDL%dKEEP", mem(t, off%room), level)
	a.FreeReg(t)
}

func (x neon) prefetchAt(a *Asm, level int, base, index Reg, off int) {
	t := a.Reg()
	a.emit("ADD %s, %s, %s", index, base, t)
	x.prefetch(a, level, t, off)
	a.FreeReg(t)
}

func (neon) min(a *Asm, s, d Reg) {
	a.emit("CMP %s, %s", d, s)
	a.emit("CSEL LT, %s, %s, %s", s, d, d)
}

var neonJumps = map[string]string{"==": "BEQ", "!=": "BNE", "<": "BLT", "<=": "BLE", ">": "BGT", ">=": "BGE"}

func (neon) jumpIf(a *Asm, cond string, x, y Reg, label string) {
	a.emit("CMP %s, %s", y, x)
	a.emit("%s %s", neonJumps[cond], label)
}

func (neon) jumpIfImm(a *Asm, cond string, x Reg, imm int, label string) {
	a.emit("CMP $%d, %s", imm, x)
	a.emit("%s %s", neonJumps[cond], label)
}

func (neon) constant(a *Asm, bits uint64, reg bool) Uni {
	d, t := a.Uniform(), a.Reg()
	a.emit("MOVD $0x%016x, %s", bits, t)
	a.emit("VDUP %s, V%d.D2", t, d.r)
	a.FreeReg(t)
	d.bits = bits
	return d
}

// addend leaves the constant in memory: VFMLA overwrites its addend, and to load
// it anew takes no port from the arithmetic, as VMOV does.
func (neon) addend(a *Asm, bits uint64) Uni { return Uni{mem: "consts<>", bits: bits} }

// tableReg holds the address of the constants in memory, where each is two
// registers long.
const tableReg = Reg("R26")

func (neon) entry(a *Asm) string {
	if !a.table {
		return ""
	}
	return fmt.Sprintf("\tMOVD $consts<>(SB), %s\n", tableReg)
}

// loadConst loads a constant into one register or two.
func (n neon) loadConst(a *Asm, u Uni, d ...int) {
	a.table = true
	n.load(a, tableReg, 32*a.constIndex(u.bits), d...)
}

// A word is an instruction that Go's assembler does not have: what is left of
// it without its registers. Its operands are registers of 4 float32 lanes
// unless it says otherwise.
type word struct {
	name string
	bits uint32
	regs int // number of operands; the last one is the destination
}

var (
	fadd   = word{"FADD", 0x4E20D400, 3}
	fsub   = word{"FSUB", 0x4EA0D400, 3}
	fmul   = word{"FMUL", 0x6E20DC00, 3}
	fmax   = word{"FMAX", 0x4E20F400, 3}
	fmin   = word{"FMIN", 0x4EA0F400, 3}
	fdiv   = word{"FDIV", 0x6E20FC00, 3}
	mul    = word{"MUL", 0x4EA09C00, 3} // integers
	mla    = word{"MLA", 0x4EA09400, 3} // integers
	fcmeq  = word{"FCMEQ", 0x4E20E400, 3}
	fcmgt  = word{"FCMGT", 0x6EA0E400, 3}
	fcmz   = word{"FCMEQ $0,", 0x4EA0D800, 2}
	fcmltz = word{"FCMLT $0,", 0x4EA0E800, 2}
	faddd  = word{"FADD", 0x4E60D400, 3}  // doubles
	fsubd  = word{"FSUB", 0x4EE0D400, 3}  // doubles
	fmuld  = word{"FMUL", 0x6E60DC00, 3}  // doubles
	fdivd  = word{"FDIV", 0x6E60FC00, 3}  // doubles
	orn    = word{"ORN", 0x4EE01C00, 3}   // bytes
	bic    = word{"BIC", 0x4E601C00, 3}   // bytes
	uminv  = word{"UMINV", 0x6EB1A800, 2} // into a scalar
	scvtf  = word{"SCVTF", 0x4E21D800, 2}
	fmaxv  = word{"FMAXV", 0x6E30F800, 2}  // into a scalar
	fcvtl  = word{"FCVTL", 0x0E617800, 2}  // two floats to doubles
	fcvth  = word{"FCVTL2", 0x4E617800, 2} // the two others
	fmaxd  = word{"FMAX", 0x4E60F400, 3}   // doubles
	fmind  = word{"FMIN", 0x4EE0F400, 3}   // doubles
	fcvtn  = word{"FCVTN", 0x0E616800, 2}  // two doubles to floats
	fcvtnh = word{"FCVTN2", 0x4E616800, 2} // to the two others
)

var words = []word{fadd, fsub, fmul, fmax, fmin, fdiv, mul, mla, fcmeq, fcmgt, fcmz, fcmltz, faddd, fsubd, fmuld, fdivd, orn, bic, uminv, scvtf, fmaxv, fcvtl, fcvth, fmaxd, fmind, fcvtn, fcvtnh}

// text prints the instruction in Go's order of operands: d = n op m.
func (w word) text(m, n, d int) string {
	switch {
	case w == uminv || w == fmaxv:
		return fmt.Sprintf("%s V%d.S4, F%d", w.name, n, d)
	case w == fcvtl:
		return fmt.Sprintf("%s V%d.S2, V%d.D2", w.name, n, d)
	case w == fcvth:
		return fmt.Sprintf("%s V%d.S4, V%d.D2", w.name, n, d)
	case w == fcvtn:
		return fmt.Sprintf("%s V%d.D2, V%d.S2", w.name, n, d)
	case w == fcvtnh:
		return fmt.Sprintf("%s V%d.D2, V%d.S4", w.name, n, d)
	case w == orn || w == bic:
		return fmt.Sprintf("%s V%d.B16, V%d.B16, V%d.B16", w.name, m, n, d)
	case w.regs == 2:
		return fmt.Sprintf("%s V%d.S4, V%d.S4", w.name, n, d)
	}
	lanes := "S4"
	if w.bits&(1<<22) != 0 { // doubles
		lanes = "D2"
	}
	return fmt.Sprintf("%s V%d.%s, V%d.%s, V%d.%s", w.name, m, lanes, n, lanes, d, lanes)
}

func (w word) encode(m, n, d int) uint32 {
	if w.regs == 2 {
		m = 0
	}
	return w.bits | uint32(m)<<16 | uint32(n)<<5 | uint32(d)
}

func (w word) emit(a *Asm, m, n, d int) {
	a.emit("WORD $0x%08X // %s", w.encode(m, n, d), w.text(m, n, d))
}

func (n neon) set(a *Asm, u operand, d int) {
	switch {
	case u.mem != "":
		n.loadConst(a, u, d)
	case u.r != d:
		a.emit("VMOV V%d.B16, V%d.B16", u.r, d)
	}
}

func (neon) laneNumbers(a *Asm, part, d int) {
	t := a.Reg()
	for half := range 2 {
		n := 4*part + 2*half
		a.emit("MOVD $0x%x, %s", (n+1)<<32|n, t)
		a.emit("VMOV %s, V%d.D[%d]", t, d, half)
	}
	a.FreeReg(t)
}

// paired says whether the registers from i on, 16 bytes apart in memory, go in a
// pair: there are two, and the offset has room in the instruction.
func paired(r []int, i, off int) bool { return i+1 < len(r) && off+16*i < 1024 }

func (neon) load(a *Asm, base Reg, off int, d ...int) {
	for i := 0; i < len(d); i++ {
		at := mem(base, off+16*i)
		if paired(d, i, off) {
			a.emit("FLDPQ %s, (F%d, F%d)", at, d[i], d[i+1])
			i++
		} else {
			a.emit("FMOVQ %s, F%d", at, d[i])
		}
	}
}

func (neon) store(a *Asm, base Reg, off int, s ...int) {
	for i := 0; i < len(s); i++ {
		at := mem(base, off+16*i)
		if paired(s, i, off) {
			a.emit("FSTPQ (F%d, F%d), %s", s[i], s[i+1], at)
			i++
		} else {
			a.emit("FMOVQ F%d, %s", s[i], at)
		}
	}
}

func (neon) loadDouble(a *Asm, base Reg, d int) { a.emit("VLD1R (%s), [V%d.D2]", base, d) }

func (x neon) loadFours(a *Asm, r [4]int, base, stride, tail Reg) {
	x.fourRows(a, r, base, stride, func(d int) {
		if tail == "" {
			x.load(a, base, 0, d)
			return
		}
		x.buffer(a, func(buf Reg) {
			a.emit("VEOR V%d.B16, V%d.B16, V%d.B16", d, d, d)
			x.store(a, buf, 0, d)
			x.copyTail(a, base, buf, tail)
			x.load(a, buf, 0, d)
		})
	})
}

func (x neon) storeFours(a *Asm, r [4]int, base, stride, tail Reg) {
	x.fourRows(a, r, base, stride, func(d int) {
		if tail == "" {
			x.store(a, base, 0, d)
			return
		}
		x.buffer(a, func(buf Reg) {
			x.store(a, buf, 0, d)
			x.copyTail(a, buf, base, tail)
		})
	})
}

// fourRows runs f for the registers of four rows, base being the row of each.
func (x neon) fourRows(a *Asm, r [4]int, base, stride Reg, f func(d int)) {
	for _, d := range r {
		f(d)
		x.add(a, stride, base)
	}
	for range r {
		x.sub(a, stride, base)
	}
}

func (n neon) widen(a *Asm, s, half, d int) { [2]word{fcvtl, fcvth}[half].emit(a, 0, s, d) }

func (neon) round32(a *Asm, s, t, d int) {
	fcvtn.emit(a, 0, s, d)
	fcvtnh.emit(a, 0, t, d)
}

func (n neon) loadWide(a *Asm, base Reg, off int, d int) {
	a.emit("FMOVD %s, F%d", mem(base, off), d)
	fcvtl.emit(a, 0, d, d)
}

func (neon) setTail(a *Asm, n Reg) {}

// loadTail copies fewer than 16 elements over a stack buffer of fill.
func (x neon) loadTail(a *Asm, v *Vec, base, n Reg, fill Uni) {
	whole, done := a.NewLabel("whole"), a.NewLabel("done")
	x.jumpIfImm(a, ">=", n, 16, whole)
	x.buffer(a, func(buf Reg) {
		f := a.inReg(fill)
		x.store(a, buf, 0, f, f, f, f)
		x.copyTail(a, base, buf, n)
		a.emit("MOVD $tail-64(SP), %s", buf)
		x.load(a, buf, 0, v.r...)
	})
	a.emit("JMP %s", done)
	a.Label(whole)
	x.load(a, base, 0, v.r...)
	a.Label(done)
}

func (x neon) loadLane(a *Asm, v *Vec, base Reg, off int, n Reg, limit int, fill Uni) {
	x.buffer(a, func(buf Reg) {
		f, from, left, t, more := a.inReg(fill), a.Reg(), a.Reg(), a.vreg(false), a.NewLabel("more")
		x.store(a, buf, 0, f, f, f, f)
		a.emit("ADD $%d, %s, %s", off, base, from)
		x.mov(a, n, left)
		a.Label(more)
		a.emit("FMOVS.P 64(%s), F%d", from, t)
		a.emit("FMOVS.P F%d, 4(%s)", t, buf)
		x.addImm(a, -1, left)
		x.jumpIfImm(a, ">", left, 0, more)
		a.emit("MOVD $tail-64(SP), %s", buf)
		x.load(a, buf, 0, v.r...)
		a.vfree[t] = true
		a.FreeReg(left)
		a.FreeReg(from)
	})
}

func (x neon) gather(a *Asm, base Reg, at, where int, fill Uni, d int) {
	p, t := a.Reg(), a.vreg(false)
	x.set(a, fill, d)
	for lane := range 4 {
		skip := a.NewLabel("skip")
		a.emit("VMOV V%d.S[%d], %s", where, lane, p)
		a.emit("TBZ $31, %s, %s", p, skip)
		a.emit("VMOV V%d.S[%d], %s", at, lane, p)
		a.emit("FMOVS (%s)(%s), F%d", base, p, t)
		a.emit("VMOV V%d.S[0], V%d.S[%d]", t, d, lane)
		a.Label(skip)
	}
	a.vfree[t] = true
	a.FreeReg(p)
}

func (neon) moveLane0(a *Asm, s int, d Reg) { a.emit("FMOVS F%d, %s", s, d) }

func (x neon) storeTail(a *Asm, v *Vec, base, n Reg) {
	whole, done := a.NewLabel("whole"), a.NewLabel("done")
	x.jumpIfImm(a, ">=", n, 16, whole)
	x.buffer(a, func(buf Reg) {
		x.store(a, buf, 0, v.r...)
		x.copyTail(a, buf, base, n)
	})
	a.emit("JMP %s", done)
	a.Label(whole)
	x.store(a, base, 0, v.r...)
	a.Label(done)
}

func (neon) buffer(a *Asm, f func(buf Reg)) {
	a.stack = true
	buf := a.Reg()
	a.emit("MOVD $tail-64(SP), %s", buf)
	f(buf)
	a.FreeReg(buf)
}

// copyTail copies n < 16 elements from s to d, by the bits of n.
func (neon) copyTail(a *Asm, s, d, n Reg) {
	from, to, v := a.Reg(), a.Reg(), a.vreg(false)
	a.emit("MOVD %s, %s", s, from)
	a.emit("MOVD %s, %s", d, to)
	for bit := 3; bit >= 0; bit-- {
		skip := a.NewLabel("skip")
		a.emit("TBZ $%d, %s, %s", bit, n, skip)
		mov, size := "FMOVQ", 16
		if bit < 2 {
			mov, size = []string{"FMOVS", "FMOVD"}[bit], 4<<bit
		}
		for range max(1, 4<<bit/size) {
			a.emit("%s.P %d(%s), F%d", mov, size, from, v)
			a.emit("%s.P F%d, %d(%s)", mov, v, size, to)
		}
		a.Label(skip)
	}
	a.FreeReg(to)
	a.FreeReg(from)
	a.vfree[v] = true
}

var neonOps = map[op]word{opAdd: fadd, opSub: fsub, opMul: fmul, opMax: fmax, opMin: fmin, opDiv: fdiv, opMulInt: mul,
	opAdd64: faddd, opSub64: fsubd, opMul64: fmuld, opDiv64: fdivd, opMax64: fmaxd, opMin64: fmind}

// Those that Go's assembler has.
var neonGoOps = map[op]struct{ name, lanes string }{opSubInt64: {"VSUB", "D2"}, opAddInt: {"VADD", "S4"}, opSubInt: {"VSUB", "S4"}, opOr: {"VORR", "B16"}, opAnd: {"VAND", "B16"}, opXor: {"VEOR", "B16"}}

func (neon) op(a *Asm, op op, x int, y operand, d int) {
	r := a.inReg(y)
	if w, ok := neonOps[op]; ok {
		w.emit(a, r, x, d)
		return
	}
	o := neonGoOps[op]
	a.emit("%s V%d.%s, V%d.%s, V%d.%s", o.name, r, o.lanes, x, o.lanes, d, o.lanes)
}

func (neon) divLane0(a *Asm, size, x, y, d int) {
	a.emit("%s F%d, F%d, F%d", map[int]string{32: "FDIVS", 64: "FDIVD"}[size], y, x, d)
}

func (n neon) opLoad(a *Asm, op op, x []int, base Reg, off int, d []int) {
	n.loaded(a, base, off, len(d), func(i, t int) { n.op(a, op, x[i], inReg(t), d[i]) })
}

// loaded loads so many registers, two at once, and gives f the number of each and
// where it is.
func (n neon) loaded(a *Asm, base Reg, off, regs int, f func(i, t int)) {
	for i := 0; i < regs; i += 2 {
		var t []int
		for range min(2, regs-i) {
			t = append(t, a.vreg(false))
		}
		n.load(a, base, off+16*i, t...)
		for k, t := range t {
			f(i+k, t)
			a.vfree[t] = true
		}
	}
}

// clamp: FMAX and FMIN return a NaN if there is one.
func (n neon) clamp(a *Asm, op op, bound Uni, x, d int) { n.op(a, op, x, bound, d) }

// fma: VFMLA adds to its destination only, so a Horner step goes to new registers,
// two at once.
func (n neon) fma(a *Asm, size int, all []fma) {
	lanes := map[int]string{32: "S4", 64: "D2"}[size]
	for i := 0; i < len(all); i += 2 {
		two := all[i:min(i+2, len(all))]
		t := make([]int, len(two))
		for k, f := range two {
			t[k] = *f.d
			if f.x == t[k] {
				t[k] = a.vreg(false)
			}
		}
		if c := two[0].c; c.bits != 0 {
			n.loadConst(a, c, t...)
		}
		for k, f := range two {
			if f.c.bits == 0 {
				n.set(a, f.c, t[k])
			}
			a.emit("VFMLA V%d.%s, V%d.%s, V%d.%s", a.inReg(f.y), lanes, f.x, lanes, t[k], lanes)
			if *f.d != t[k] {
				a.vfree[*f.d] = true
				*f.d = t[k]
			}
		}
	}
}

func (n neon) fmaLoad(a *Asm, x []int, base Reg, off int, d []int) {
	n.loaded(a, base, off, len(d), func(i, t int) { n.fma(a, 32, []fma{{x[i], inReg(t), inReg(d[i]), &d[i]}}) })
}

func (neon) shift(a *Asm, size, left, d int) {
	op, lanes := "VSHL", map[int]string{32: "S4", 64: "D2"}[size]
	if left < 0 {
		op, left = "VUSHR", -left
	}
	a.emit("%s $%d, V%d.%s, V%d.%s", op, left, d, lanes, d, lanes)
}

// powers: the table takes two registers, one behind the other.
func (n neon) powers(a *Asm) []Uni {
	r := len(a.vfree) - 2
	for r >= 0 && !(a.vfree[r] && a.vfree[r+1]) {
		r--
	}
	if r < 0 {
		a.fatalf("out of pairs of vector registers")
	}
	a.vfree[r], a.vfree[r+1] = false, false
	at := a.Reg()
	a.emit("MOVD $powers<>(SB), %s", at)
	n.load(a, at, 0, r, r+1)
	a.FreeReg(at)
	return []Uni{inReg(r), inReg(r + 1), a.Addend(powers - 1), a.Addend(4 * 0x01010101), a.Addend(0x03020100)}
}

// power makes numbers of bytes out of those of powers.
func (n neon) power(a *Asm, table []Uni, t, d []int) {
	j, each := a.vreg(false), a.vreg(false)
	n.loadConst(a, table[3], each)
	for i, t := range t {
		d := d[i]
		n.loadConst(a, table[2], j)
		n.op(a, opAnd, t, inReg(j), j)
		n.loadConst(a, table[4], d)
		mla.emit(a, each, j, d)
		a.emit("VTBL V%d.B16, [V%d.B16, V%d.B16], V%d.B16", d, table[0].r, table[1].r, d)
		n.shift(a, 32, 23-powerBits, t)
		n.op(a, opAddInt, d, inReg(t), d)
	}
	a.vfree[each], a.vfree[j] = true, true
}

func (neon) scales() bool { return false }

// scale multiplies by 2^h and 2^(n-h) as on AVX2.
func (n neon) scale(a *Asm, p, t, tmp int) {
	a.emit("VUSHR $1, V%d.S4, V%d.S4", t, tmp)
	a.emit("VSUB V%d.S4, V%d.S4, V%d.S4", tmp, t, t)
	n.shift(a, 32, 23, tmp)
	n.shift(a, 32, 23, t)
	fmul.emit(a, tmp, p, p)
	fmul.emit(a, t, p, p)
}

func (neon) scaleAbove(a *Asm, p, n int, least Uni) { a.fatalf("NEON does not scale") }

func (n neon) eqOne(a *Asm, x, d int, zero, one Uni) {
	fcmz.emit(a, 0, x, d)
	t := a.vreg(false)
	n.set(a, one, t)
	a.emit("VAND V%d.B16, V%d.B16, V%d.B16", t, d, d)
	a.vfree[t] = true
}

func (n neon) eqValue(a *Asm, x, d int, value Uni) {
	t := a.vreg(false)
	n.set(a, value, t)
	fcmeq.emit(a, t, x, d)
	a.emit("VAND V%d.B16, V%d.B16, V%d.B16", t, d, d)
	a.vfree[t] = true
}

// takeOnes counts in integers, from which it subtracts the mask.
func (n neon) takeOnes(a *Asm, x, ones int, one Uni) {
	t := a.vreg(false)
	n.set(a, one, t)
	fcmeq.emit(a, t, x, t)
	bic.emit(a, t, x, x)
	a.emit("VSUB V%d.S4, V%d.S4, V%d.S4", t, ones, ones)
	a.vfree[t] = true
}

func (n neon) countOnes(a *Asm, ones int) { n.toFloat(a, ones) }

func (neon) toFloat(a *Asm, d int) { scvtf.emit(a, 0, d, d) }

func (neon) negative(a *Asm, x, d int) { fcmltz.emit(a, 0, x, d) }

func (neon) zeroWhere(a *Asm, x, d int, zero Uni) {
	t := a.vreg(false)
	fcmz.emit(a, 0, x, t)
	bic.emit(a, t, d, d)
	a.vfree[t] = true
}

func (n neon) addUnless(a *Asm, x, d int, value Uni) {
	t := a.vreg(false)
	n.set(a, value, t)
	fcmeq.emit(a, t, x, t)
	bic.emit(a, t, x, t)
	n.op(a, opAdd, d, inReg(t), d)
	a.vfree[t] = true
}

// FMAX keeps NaNs, so the folded maximum tells.
func (neon) nanNone(a *Asm, chain int)              {}
func (neon) nanFirst(a *Asm, chain, part, x, y int) {}
func (neon) nanSee(a *Asm, chain, x, y int)         {}
func (neon) nanJoin(a *Asm, chain, other int)       {}

func (neon) nanJump(a *Asm, folded int, label string) {
	a.emit("FCMPS F%d, F%d", folded, folded)
	a.emit("BVS %s", label)
}

func (n neon) fold(a *Asm, op op, v *Vec, of int) {
	r := v.r
	if of == lanes {
		n.op(a, op, r[0], inReg(r[2]), r[0])
		n.op(a, op, r[1], inReg(r[3]), r[1])
	}
	n.op(a, op, r[0], inReg(r[1]), r[0])
	a.emit("VEXT $8, V%d.B16, V%d.B16, V%d.B16", r[0], r[0], r[1])
	n.op(a, op, r[0], inReg(r[1]), r[0])
	if !op.is64() {
		a.emit("VDUP V%d.S[1], V%d.S4", r[0], r[1])
		n.op(a, op, r[0], inReg(r[1]), r[0])
	}
}

// foldRows folds four rows at once.
func (n neon) foldRows(a *Asm, op op, base Reg, part, d int) {
	join := func(first, second, lanes string, p, q int) int {
		t := a.vreg(false)
		a.emit("%s V%d.%s, V%d.%s, V%d.%s", first, q, lanes, p, lanes, t, lanes)
		a.emit("%s V%d.%s, V%d.%s, V%d.%s", second, q, lanes, p, lanes, p, lanes)
		n.op(a, op, t, inReg(p), p)
		a.vfree[t], a.vfree[q] = true, true
		return p
	}
	row := func(i int) int {
		r := []int{a.vreg(false), a.vreg(false), a.vreg(false), a.vreg(false)}
		n.load(a, base, 64*(4*part+i), r...)
		n.op(a, op, r[0], inReg(r[2]), r[0])
		n.op(a, op, r[1], inReg(r[3]), r[1])
		n.op(a, op, r[0], inReg(r[1]), r[0])
		for _, r := range r[1:] {
			a.vfree[r] = true
		}
		return r[0]
	}
	p := join("VTRN1", "VTRN2", "D2", row(0), row(1))
	p = join("VUZP1", "VUZP2", "S4", p, join("VTRN1", "VTRN2", "D2", row(2), row(3)))
	n.set(a, inReg(p), d)
	a.vfree[p] = true
}

// less gives each lane a bit, and adds them up.
func (n neon) less(a *Asm, x []int, y []operand, d Reg) {
	bits, all, t := a.vreg(false), a.vreg(false), a.vreg(false)
	for i, lanes := range []string{"0x200000001", "0x800000004"} {
		a.emit("MOVD $%s, %s", lanes, d)
		a.emit("VMOV %s, V%d.D[%d]", d, bits, i)
	}
	a.emit("VEOR V%d.B16, V%d.B16, V%d.B16", all, all, all)
	for i, r := range x {
		fcmgt.emit(a, r, a.inReg(y[i]), t)
		n.op(a, opAnd, t, inReg(bits), t)
		n.op(a, opOr, all, inReg(t), all)
		n.shift(a, 32, 4, bits)
	}
	a.emit("VADDV V%d.S4, V%d", all, all)
	a.emit("FMOVS F%d, %s", all, d)
	for _, r := range []int{bits, all, t} {
		a.vfree[r] = true
	}
}

func (neon) transpose(a *Asm, r [4]*int) {
	t := a.vreg(false)
	v := [4]int{*r[0], *r[1], *r[2], *r[3]}
	trn := func(op, size string, p, q, d int) {
		a.emit("%s V%d.%s, V%d.%s, V%d.%s", op, q, size, p, size, d, size)
	}
	trn("VTRN1", "S4", v[0], v[1], t)
	trn("VTRN2", "S4", v[0], v[1], v[0])
	trn("VTRN1", "S4", v[2], v[3], v[1])
	trn("VTRN2", "S4", v[2], v[3], v[3])
	trn("VTRN1", "D2", t, v[1], v[2])
	trn("VTRN2", "D2", t, v[1], t)
	trn("VTRN1", "D2", v[0], v[3], v[1])
	trn("VTRN2", "D2", v[0], v[3], v[3])
	*r[0], *r[1], *r[2], *r[3] = v[2], v[1], t, v[3]
	a.vfree[v[0]] = true
}

func (neon) broadcast(a *Asm, s int, d int) { a.emit("VDUP V%d.S[0], V%d.S4", s, d) }

func (n neon) loadScalar(a *Asm, base Reg, off int, d int) {
	a.emit("FMOVS %s, F%d", mem(base, off), d)
	n.broadcast(a, d, d)
}

func (n neon) loadNarrow(a *Asm, base Reg, d int) {
	a.emit("FMOVD (%s), F%d", base, d)
	a.emit("FCVTDS F%d, F%d", d, d)
	n.broadcast(a, d, d)
}

func (n neon) loadRest(a *Asm, base Reg, high, d int) {
	t := a.vreg(false)
	a.emit("FCVTSD F%d, F%d", high, t)
	a.emit("FMOVD (%s), F%d", base, d)
	a.emit("FSUBD F%d, F%d, F%d", t, d, d)
	a.emit("FCVTDS F%d, F%d", d, d)
	n.broadcast(a, d, d)
	a.vfree[t] = true
}

func (neon) storeScalar(a *Asm, s int, base Reg, off int) {
	a.emit("FMOVS F%d, %s", s, mem(base, off))
}

func (n neon) addDouble(a *Asm, s int, base Reg) {
	t := a.vreg(false)
	a.emit("FCVTSD F%d, F%d", s, s)
	a.emit("FMOVD (%s), F%d", base, t)
	a.emit("FADDD F%d, F%d", t, s)
	n.storeDouble(a, s, base)
	a.vfree[t] = true
}

func (neon) storeDouble(a *Asm, s int, base Reg) { a.emit("FMOVD F%d, (%s)", s, base) }

func (n neon) orAll(a *Asm, d int, all []int) {
	for _, r := range all {
		n.op(a, opOr, d, inReg(r), d)
	}
}

func (neon) jumpBits(a *Asm, v int, mask uint32, label string) {
	t, u := a.Reg(), a.Reg()
	a.emit("VMOV V%d.D[0], %s", v, t)
	a.emit("VMOV V%d.D[1], %s", v, u)
	a.emit("ORR %s, %s", u, t)
	a.emit("TST $0x%016x, %s", twice(mask), t)
	a.emit("BNE %s", label)
	a.FreeReg(u)
	a.FreeReg(t)
}

func (neon) jumpGreater(a *Asm, x, y int, label string) {
	a.emit("FCMPS F%d, F%d", y, x)
	a.emit("BGT %s", label)
}

// jumpAnyEq compares the maximum, which is at most m.
func (n neon) jumpAnyEq(a *Asm, base Reg, m Uni, label string) {
	t := []int{a.vreg(false), a.vreg(false)}
	n.load(a, base, 0, t...)
	for i := 2; i < 16; i += 2 {
		n.opLoad(a, opMax, t, base, 16*i, t)
	}
	n.op(a, opMax, t[0], inReg(t[1]), t[0])
	fmaxv.emit(a, 0, t[0], t[0])
	a.emit("FCMPS F%d, F%d", m.r, t[0])
	a.emit("BEQ %s", label)
	for _, r := range t {
		a.vfree[r] = true
	}
}

// first takes the least of the numbers of the lanes that match.
func (n neon) first(a *Asm, v *Vec, m *Uni, d Reg, label string) {
	iota := a.vreg(false)
	n.laneNumbers(a, 0, iota)
	for i, r := range v.r {
		none := a.NewLabel("none")
		if m == nil {
			fcmeq.emit(a, r, r, r)
			a.emit("VORR V%d.B16, V%d.B16, V%d.B16", r, iota, r)
		} else {
			fcmeq.emit(a, m.r, r, r)
			orn.emit(a, r, iota, r)
		}
		uminv.emit(a, 0, r, r)
		a.emit("FMOVS F%d, %s", r, d)
		a.emit("CMPW $-1, %s", d)
		a.emit("BEQ %s", none)
		if i > 0 {
			a.emit("ADD $%d, %s", 4*i, d)
		}
		a.Jump(label)
		a.Label(none)
	}
	a.vfree[iota] = true
}
