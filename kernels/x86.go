package main

import (
	"fmt"
)

// x86 lowers to AVX2 with FMA3, or to AVX-512 F, BW, DQ and VL.
type x86 struct{ avx512 bool }

func (x x86) name() string {
	if x.avx512 {
		return "AVX512"
	}
	return "AVX2"
}

func (x x86) width() int {
	if x.avx512 {
		return 16
	}
	return 8
}

// vregs: of the 32 registers of AVX-512, the upper 16 stay out. VZEROUPPER does
// not clear them, and while they are in use every context switch saves them.
func (x x86) vregs() int { return 16 }

func (x x86) gregs() string { return "AX BX CX DX SI DI R8 R9 R10 R11 R12 R13 R14" }

// v prints a whole register, or the place of a constant in memory.
func (x x86) v(u operand) string {
	switch {
	case u.mem != "":
		return u.mem
	case x.avx512:
		return fmt.Sprintf("Z%d", u.r)
	}
	return fmt.Sprintf("Y%d", u.r)
}

// with completes the mnemonic of an instruction that reads y, perhaps a
// constant: AVX-512 broadcasts it from memory as it reads.
func (x x86) with(mnemonic string, y operand) string {
	if x.avx512 && y.mem != "" {
		return mnemonic + ".BCST"
	}
	return mnemonic
}

func (x x86) reg(r int) string { return x.v(inReg(r)) }

func mem(base Reg, off int) string {
	if off == 0 {
		return fmt.Sprintf("(%s)", base)
	}
	return fmt.Sprintf("%d(%s)", off, base)
}

func (x x86) frame(a *Asm) int { return 64 * (a.locals + 1) }

func (x x86) localAddr(a *Asm, slot int, d Reg) {
	a.emit("LEAQ local%d-%d(SP), %s", slot, 64*(slot+1), d)
	a.emit("ANDQ $-64, %s", d)
}

func (x x86) entry(a *Asm) string { return "" }

func (x x86) ret(a *Asm) {
	a.emit("VZEROUPPER")
	a.emit("RET")
}

func (x x86) arg(a *Asm, name string, off int, d Reg) { a.emit("MOVQ %s+%d(FP), %s", name, off, d) }
func (x x86) setArg(a *Asm, name string, off int, s Reg) {
	a.emit("MOVQ %s, %s+%d(FP)", s, name, off)
}
func (x x86) mov(a *Asm, s, d Reg)          { a.emit("MOVQ %s, %s", s, d) }
func (x x86) addImm(a *Asm, imm int, d Reg) { a.emit("ADDQ $%d, %s", imm, d) }
func (x x86) add(a *Asm, s, d Reg)          { a.emit("ADDQ %s, %s", s, d) }
func (x x86) sub(a *Asm, s, d Reg)          { a.emit("SUBQ %s, %s", s, d) }
func (x x86) andImm(a *Asm, imm int, d Reg) { a.emit("ANDQ $%d, %s", imm, d) }
func (x x86) and(a *Asm, s, d Reg)          { a.emit("ANDQ %s, %s", s, d) }
func (x x86) shl(a *Asm, n int, d Reg)      { a.emit("SHLQ $%d, %s", n, d) }
func (x x86) shr(a *Asm, n int, d Reg)      { a.emit("SHRQ $%d, %s", n, d) }
func (x x86) mul(a *Asm, s, d Reg)          { a.emit("IMULQ %s, %s", s, d) }
func (x x86) firstBit(a *Asm, d Reg)        { a.emit("BSFQ %s, %s", d, d) }
func (x x86) load64(a *Asm, base, d Reg)    { a.emit("MOVQ (%s), %s", base, d) }
func (x x86) store64(a *Asm, s, base Reg)   { a.emit("MOVQ %s, (%s)", s, base) }
func (x x86) load32(a *Asm, base Reg, off int, d Reg) {
	a.emit("MOVL %s, %s", mem(base, off), d)
}
func (x x86) store32(a *Asm, s, base Reg, off int) { a.emit("MOVL %s, %s", s, mem(base, off)) }
func (x x86) prefetch(a *Asm, level int, base Reg, off int) {
	a.emit("PREFETCHT%d %s", level-1, mem(base, off))
}

func (x x86) prefetchAt(a *Asm, level int, base, index Reg, off int) {
	a.emit("PREFETCHT%d %s(%s*1)", level-1, mem(base, off), index)
}

func (x x86) min(a *Asm, s, d Reg) {
	a.emit("CMPQ %s, %s", s, d)
	a.emit("CMOVQLT %s, %s", s, d)
}

func (x x86) movImm(a *Asm, imm int, d Reg) {
	if imm == 0 {
		a.emit("XORL %s, %s", d, d)
		return
	}
	a.emit("MOVQ $%d, %s", imm, d)
}

var x86Jumps = map[string]string{"==": "JEQ", "!=": "JNE", "<": "JLT", "<=": "JLE", ">": "JGT", ">=": "JGE"}

func (x x86) jumpIf(a *Asm, cond string, p, q Reg, label string) {
	a.emit("CMPQ %s, %s", p, q)
	a.emit("%s %s", x86Jumps[cond], label)
}

func (x x86) jumpIfImm(a *Asm, cond string, p Reg, imm int, label string) {
	a.emit("CMPQ %s, $%d", p, imm)
	a.emit("%s %s", x86Jumps[cond], label)
}

// constant leaves constants in memory, for the 16 registers are few, and any
// operation reads its last operand from memory at no cost.
func constName(bits uint64) string { return fmt.Sprintf("c%016x<>(SB)", bits) }

func (x x86) constant(a *Asm, bits uint64, reg bool) Uni {
	a.constIndex(bits)
	u := Uni{mem: constName(bits)}
	if reg {
		d := a.Uniform()
		x.set(a, u, d.r)
		return d
	}
	return u
}

func (x x86) addend(a *Asm, bits uint64) Uni { return x.constant(a, bits, false) }

// set: zeros cost no load, and those of 128 bits clear the rest of the register.
func (x x86) set(a *Asm, u operand, d int) {
	if u.mem == constName(0) {
		a.emit("VXORPS X%d, X%d, X%d", d, d, d)
		return
	}
	op := "VMOVUPS"
	if x.avx512 && u.mem != "" && !u.full {
		op = "VBROADCASTSD" // a float32 constant is there twice
	}
	a.emit("%s %s, %s", op, x.v(u), x.reg(d))
}

func (x x86) laneNumbers(a *Asm, part, d int) {
	a.emit("VMOVUPS numbers<>+%d(SB), %s", a.offset(part), x.reg(d))
}

func (x x86) load(a *Asm, base Reg, off int, d ...int) {
	for i, d := range d {
		a.emit("VMOVUPS %s, %s", mem(base, off+a.offset(i)), x.reg(d))
	}
}

func (x x86) loadWide(a *Asm, base Reg, off int, d int) {
	a.emit("VCVTPS2PD %s, %s", mem(base, off), x.reg(d))
}

func (x x86) round32(a *Asm, s, t, d int) {
	convert, low, join := "VCVTPD2PSY", "X", "VINSERTF128"
	if x.avx512 {
		convert, low, join = "VCVTPD2PS", "Y", "VINSERTF64X4"
	}
	a.emit("%s %s, %s%d", convert, x.reg(t), low, t)
	a.emit("%s %s, %s%d", convert, x.reg(s), low, d)
	a.emit("%s $1, %s%d, %s, %s", join, low, t, x.reg(d), x.reg(d))
}

func (x x86) widen(a *Asm, s, half, d int) {
	from, low, extract := "Y", "X", "VEXTRACTF128"
	if x.avx512 {
		from, low, extract = "Z", "Y", "VEXTRACTF64X4"
	}
	if half == 1 {
		a.emit("%s $1, %s%d, %s%d", extract, from, s, low, d)
		s = d
	}
	a.emit("VCVTPS2PD %s%d, %s", low, s, x.reg(d))
}

func (x x86) store(a *Asm, base Reg, off int, s ...int) {
	for i, s := range s {
		a.emit("VMOVUPS %s, %s", x.reg(s), mem(base, off+a.offset(i)))
	}
}

func (x x86) storeStream(a *Asm, s int, base Reg, off int) {
	a.emit("VMOVNTPS %s, %s", x.reg(s), mem(base, off))
}

func (x x86) fence(a *Asm) { a.emit("SFENCE") }

// setTail: AVX-512 takes the mask from a table and leaves it in K1.
func (x x86) setTail(a *Asm, n Reg) {
	if x.avx512 && a.tail != n {
		t := a.Reg()
		a.emit("LEAQ bits<>(SB), %s", t)
		a.emit("KMOVW (%s)(%s*2), K1", t, n)
		a.FreeReg(t)
	}
}

// loadTail: AVX2 takes two masks from a window into sixteen times -1 followed
// by sixteen times 0.
func (x x86) loadTail(a *Asm, v *Vec, base, n Reg, fill Uni) {
	zeros := fill.mem == constName(0) // as masked loads leave them
	masked := func() {
		x.setTail(a, n)
		if zeros {
			a.emit("VMOVUPS.Z (%s), K1, %s", base, x.reg(v.r[0]))
			return
		}
		x.set(a, fill, v.r[0])
		a.emit("VMOVUPS (%s), K1, %s", base, x.reg(v.r[0]))
	}
	if x.avx512 && a.tail == n {
		masked()
		return
	}
	whole, done := a.NewLabel("whole"), a.NewLabel("done")
	x.jumpIfImm(a, ">=", n, 16, whole)
	if x.avx512 {
		masked()
		a.emit("JMP %s", done)
		a.Label(whole)
		x.load(a, base, 0, v.r[0])
		a.Label(done)
		return
	}
	t, m := a.Reg(), a.vreg(false)
	a.emit("LEAQ tails<>+64(SB), %s", t)
	a.emit("NEGQ %s", n)
	for i, r := range v.r {
		a.emit("VMOVUPS %d(%s)(%s*4), %s", 32*i, t, n, x.reg(m))
		a.emit("VMASKMOVPS %s, %s, %s", mem(base, 32*i), x.reg(m), x.reg(r))
		if zeros {
			continue
		}
		a.emit("VANDNPS %s, %s, %s", x.v(fill), x.reg(m), x.reg(m))
		a.emit("VORPS %s, %s, %s", x.reg(m), x.reg(r), x.reg(r))
	}
	a.emit("NEGQ %s", n)
	a.FreeReg(t)
	a.vfree[m] = true
	a.emit("JMP %s", done)
	a.Label(whole)
	x.load(a, base, 0, v.r...)
	a.Label(done)
}

// loadLane: a gather clears the mask that it takes, and one of half as many lanes takes
// half as long.
func (x x86) loadLane(a *Asm, v *Vec, base Reg, off int, n Reg, limit int, fill Uni) {
	t, at := a.Reg(), x.index(a)
	a.emit("VMOVUPS vectors<>(SB), %s", x.reg(at))
	for _, r := range v.r {
		x.set(a, fill, r)
	}
	if x.avx512 && limit > 8 {
		a.emit("LEAQ bits<>(SB), %s", t)
		a.emit("KMOVW (%s)(%s*2), K2", t, n)
		a.emit("VGATHERDPS %s(%s*1), K2, %s", mem(base, off), x.reg(at), x.reg(v.r[0]))
	} else {
		m, to := a.vreg(false), v.r[:max(1, limit/8)]
		if x.avx512 {
			to = []int{a.vreg(false)}
			a.emit("VMOVUPS Y%d, Y%d", v.r[0], to[0])
		}
		a.emit("LEAQ tails<>+64(SB), %s", t)
		a.emit("NEGQ %s", n)
		for i, d := range to {
			a.emit("VMOVUPS %d(%s)(%s*4), Y%d", 32*i, t, n, m)
			a.emit("VGATHERDPS Y%d, %s(Y%d*1), Y%d", m, mem(base, off+512*i), at, d)
		}
		a.emit("NEGQ %s", n)
		if x.avx512 {
			a.emit("VINSERTF64X4 $0, Y%d, %s, %s", to[0], x.reg(v.r[0]), x.reg(v.r[0]))
			a.vfree[to[0]] = true
		}
		a.vfree[m] = true
	}
	a.vfree[at] = true
	a.FreeReg(t)
}

// index allocates a register for what a gather adds to its base: not number 4, by which
// loads that are no gathers say that there is none, and which QEMU 7.2 takes for that.
func (x x86) index(a *Asm) int {
	r := a.vreg(false)
	if r == 4 {
		r = a.vreg(false)
		a.vfree[4] = true
	}
	return r
}

func (x x86) gather(a *Asm, base Reg, at, where int, fill Uni, d int) {
	if at == 4 {
		t := x.index(a)
		x.set(a, inReg(at), t)
		at = t
		defer func() { a.vfree[t] = true }()
	}
	x.set(a, fill, d)
	if x.avx512 {
		a.emit("VPMOVD2M %s, K2", x.reg(where))
		a.emit("VGATHERDPS (%s)(%s*1), K2, %s", base, x.reg(at), x.reg(d))
		return
	}
	m := a.vreg(false)
	x.set(a, inReg(where), m)
	a.emit("VGATHERDPS %s, (%s)(%s*1), %s", x.reg(m), base, x.reg(at), x.reg(d))
	a.vfree[m] = true
}

func (x x86) moveLane0(a *Asm, s int, d Reg) { a.emit("VMOVD X%d, %s", s, d) }

// storeTail stores by the bits of n: masked stores are slow on AMD's CPUs.
func (x x86) storeTail(a *Asm, v *Vec, base, n Reg) {
	whole, done := a.NewLabel("whole"), a.NewLabel("done")
	x.jumpIfImm(a, ">=", n, 16, whole)
	p, t := a.Reg(), a.vreg(false)
	x.mov(a, base, p)
	x.set(a, inReg(v.r[0]), t)
	upper := fmt.Sprintf("VEXTRACTF64X4 $1, Z%d, Y%d", t, t)
	if !x.avx512 {
		upper = fmt.Sprintf("VMOVUPS Y%d, Y%d", v.r[1], t)
	}
	for _, b := range []struct {
		size        int
		store, rest string
	}{
		{8, "VMOVUPS Y%d, (%s)", upper},
		{4, "VMOVUPS X%d, (%s)", fmt.Sprintf("VEXTRACTF128 $1, Y%d, X%d", t, t)},
		{2, "VMOVLPS X%d, (%s)", fmt.Sprintf("VPERMILPD $1, X%d, X%d", t, t)},
		{1, "VMOVSS X%d, (%s)", ""},
	} {
		skip := a.NewLabel("skip")
		a.emit("TESTQ $%d, %s", b.size, n)
		a.emit("JEQ %s", skip)
		a.emit(b.store, t, p)
		if b.rest != "" {
			a.emit("%s", b.rest)
			x.addImm(a, 4*b.size, p)
		}
		a.Label(skip)
	}
	a.FreeReg(p)
	a.vfree[t] = true
	a.emit("JMP %s", done)
	a.Label(whole)
	x.store(a, base, 0, v.r...)
	a.Label(done)
}

var x86Ops = [...]string{opAdd: "VADDPS", opSub: "VSUBPS", opMul: "VMULPS", opMax: "VMAXPS", opMin: "VMINPS", opDiv: "VDIVPS",
	opAdd64: "VADDPD", opSub64: "VSUBPD", opMul64: "VMULPD", opDiv64: "VDIVPD", opMax64: "VMAXPD", opMin64: "VMINPD", opSubInt64: "VPSUBQ", opAddInt: "VPADDD", opSubInt: "VPSUBD", opMulInt: "VPMULLD", opOr: "VORPD", opAnd: "VANDPS", opXor: "VXORPS"}

func (x x86) op(a *Asm, op op, p int, y operand, d int) {
	a.emit("%s %s, %s, %s", x.with(x86Ops[op], y), x.v(y), x.reg(p), x.reg(d))
}

func (x x86) divLane0(a *Asm, size, p, y, d int) {
	a.emit("%s X%d, X%d, X%d", map[int]string{32: "VDIVSS", 64: "VDIVSD"}[size], y, p, d)
}

func (x x86) opLoad(a *Asm, op op, p []int, base Reg, off int, d []int) {
	for i, d := range d {
		a.emit("%s %s, %s, %s", x86Ops[op], mem(base, off+a.offset(i)), x.reg(p[i]), x.reg(d))
	}
}

// clamp: VMAXPS, VMINPS and those of doubles return their last operand, Go's first, if one is a NaN.
func (x x86) clamp(a *Asm, op op, bound Uni, p, d int) {
	x.op(a, op, a.inReg(bound), inReg(p), d)
}

func (x x86) fma(a *Asm, size int, all []fma) {
	t := map[int]string{32: "PS", 64: "PD"}[size]
	for _, f := range all {
		if f.x == *f.d && f.c != inReg(*f.d) {
			a.emit("%s %s, %s, %s", x.with("VFMADD213"+t, f.c), x.v(f.c), x.v(f.y), x.reg(*f.d))
			continue
		}
		if f.c != inReg(*f.d) {
			x.set(a, f.c, *f.d)
		}
		a.emit("%s %s, %s, %s", x.with("VFMADD231"+t, f.y), x.v(f.y), x.reg(f.x), x.reg(*f.d))
	}
}

func (x x86) fmaLoad(a *Asm, p []int, base Reg, off int, d []int) {
	for i, d := range d {
		a.emit("VFMADD231PS %s, %s, %s", mem(base, off+a.offset(i)), x.reg(p[i]), x.reg(d))
	}
}

func (x x86) shift(a *Asm, size, left, d int) {
	op := map[int]string{32: "D", 64: "Q"}[size]
	if left < 0 {
		a.emit("VPSRL%s $%d, %s, %s", op, -left, x.reg(d), x.reg(d))
		return
	}
	a.emit("VPSLL%s $%d, %s, %s", op, left, x.reg(d), x.reg(d))
}

func (x x86) powers(a *Asm) []Uni { return []Uni{{mem: "powers<>(SB)", full: true}} }

func (x x86) power(a *Asm, table []Uni, t, d []int) {
	for i, t := range t {
		a.emit("VPERMD %s, %s, %s", x.v(table[0]), x.reg(t), x.reg(d[i]))
	}
	for i, t := range t {
		x.shift(a, 32, 23-powerBits, t)
		x.op(a, opAddInt, d[i], inReg(t), d[i])
	}
}

func (x x86) scales() bool { return x.avx512 }

// scale: AVX2 multiplies by 2^h and 2^(n-h), h = floor(n/2), whose exponent
// fields are halves of the low bits of t: exact, then rounded once.
func (x x86) scale(a *Asm, p, t, tmp int) {
	if x.avx512 {
		a.emit("VSCALEFPS %s, %s, %s", x.reg(t), x.reg(p), x.reg(p))
		return
	}
	a.emit("VPSRLD $1, %s, %s", x.reg(t), x.reg(tmp))
	a.emit("VPSUBD %s, %s, %s", x.reg(tmp), x.reg(t), x.reg(t))
	x.shift(a, 32, 23, tmp)
	x.shift(a, 32, 23, t)
	x.op(a, opMul, p, inReg(tmp), p)
	x.op(a, opMul, p, inReg(t), p)
}

// scaleAbove: the comparison is true of NaNs.
func (x x86) scaleAbove(a *Asm, p, n int, least Uni) {
	a.emit("%s $6, %s, %s, K2", x.with("VCMPPS", least), x.v(least), x.reg(n))
	a.emit("VSCALEFPS.Z %s, %s, K2, %s", x.reg(n), x.reg(p), x.reg(p))
}

func (x x86) eqOne(a *Asm, p, d int, zero, one Uni) { x.equal(a, p, d, zero, one) }

func (x x86) eqValue(a *Asm, p, d int, value Uni) { x.equal(a, p, d, value, value) }

// equal sets d to then where p is u, and to 0 elsewhere.
func (x x86) equal(a *Asm, p, d int, u, then Uni) {
	if x.avx512 {
		a.emit("%s $0, %s, %s, K2", x.with("VCMPPS", u), x.v(u), x.reg(p))
		move := "VMOVAPS.Z"
		if then.mem != "" {
			move = "VBROADCASTSS.Z"
		}
		a.emit("%s %s, K2, %s", move, x.v(then), x.reg(d))
		return
	}
	a.emit("VCMPPS $0, %s, %s, %s", x.v(u), x.reg(p), x.reg(d))
	a.emit("VANDPS %s, %s, %s", x.v(then), x.reg(d), x.reg(d))
}

// takeOnes: AVX2 counts in integers, from which it subtracts the mask.
func (x x86) takeOnes(a *Asm, p, ones int, one Uni) {
	if x.avx512 {
		a.emit("%s $0, %s, %s, K2", x.with("VCMPPS", one), x.v(one), x.reg(p))
		a.emit("%s %s, %s, K2, %s", x.with("VSUBPS", one), x.v(one), x.reg(p), x.reg(p))
		a.emit("%s %s, %s, K2, %s", x.with("VADDPS", one), x.v(one), x.reg(ones), x.reg(ones))
		return
	}
	t := a.vreg(false)
	a.emit("VCMPPS $0, %s, %s, %s", x.v(one), x.reg(p), x.reg(t))
	a.emit("VANDNPS %s, %s, %s", x.reg(p), x.reg(t), x.reg(p))
	a.emit("VPSUBD %s, %s, %s", x.reg(t), x.reg(ones), x.reg(ones))
	a.vfree[t] = true
}

func (x x86) countOnes(a *Asm, ones int) {
	if !x.avx512 {
		x.toFloat(a, ones)
	}
}

func (x x86) toFloat(a *Asm, d int) { a.emit("VCVTDQ2PS %s, %s", x.reg(d), x.reg(d)) }

func (x x86) negative(a *Asm, p, d int) { a.emit("VPSRAD $31, %s, %s", x.reg(p), x.reg(d)) }

// zeroWhere: AVX-512 keeps where x is not 0, or a NaN.
func (x x86) zeroWhere(a *Asm, p, d int, zero Uni) {
	if x.avx512 {
		a.emit("%s $4, %s, %s, K2", x.with("VCMPPS", zero), x.v(zero), x.reg(p))
		a.emit("VMOVAPS.Z %s, K2, %s", x.reg(d), x.reg(d))
		return
	}
	t := a.vreg(false)
	a.emit("VCMPPS $0, %s, %s, %s", x.v(zero), x.reg(p), x.reg(t))
	a.emit("VANDNPS %s, %s, %s", x.reg(d), x.reg(t), x.reg(d))
	a.vfree[t] = true
}

// addUnless: a NaN is not u.
func (x x86) addUnless(a *Asm, p, d int, u Uni) {
	if x.avx512 {
		a.emit("%s $4, %s, %s, K2", x.with("VCMPPS", u), x.v(u), x.reg(p))
		a.emit("VADDPS %s, %s, K2, %s", x.reg(p), x.reg(d), x.reg(d))
		return
	}
	t := a.vreg(false)
	a.emit("VCMPPS $4, %s, %s, %s", x.v(u), x.reg(p), x.reg(t))
	a.emit("VANDPS %s, %s, %s", x.reg(p), x.reg(t), x.reg(t))
	a.emit("VADDPS %s, %s, %s", x.reg(t), x.reg(d), x.reg(d))
	a.vfree[t] = true
}

// nanMask: AVX-512 keeps in masks the lanes that have seen numbers only; AVX2, in one
// register for all chains, those that have seen a NaN.
func nanMask(chain int) string { return fmt.Sprintf("K%d", 7-chain) }

// nanNone: nothing writes K0; from the mask itself, a row would wait for the one before.
func (x x86) nanNone(a *Asm, chain int) {
	if x.avx512 {
		a.emit("KXNORW K0, K0, %s", nanMask(chain))
	}
}

func (x x86) nanFirst(a *Asm, chain, part, p, q int) {
	switch {
	case x.avx512:
		a.emit("VCMPPS $7, %s, %s, %s", x.reg(p), x.reg(q), nanMask(chain))
	case chain > 0 || part > 0:
		x.nanSee(a, chain, p, q)
	default:
		if a.nan < 0 {
			a.nan = a.Uniform().r
		}
		a.emit("VCMPPS $3, %s, %s, %s", x.reg(p), x.reg(q), x.reg(a.nan))
	}
}

func (x x86) nanSee(a *Asm, chain, p, q int) {
	if x.avx512 {
		a.emit("VCMPPS $7, %s, %s, %s, %s", x.reg(p), x.reg(q), nanMask(chain), nanMask(chain))
		return
	}
	t := a.vreg(false)
	a.emit("VCMPPS $3, %s, %s, %s", x.reg(p), x.reg(q), x.reg(t))
	a.emit("VORPS %s, %s, %s", x.reg(t), x.reg(a.nan), x.reg(a.nan))
	a.vfree[t] = true
}

func (x x86) nanJoin(a *Asm, chain, other int) {
	if x.avx512 {
		a.emit("KANDW %s, %s, %s", nanMask(other), nanMask(chain), nanMask(chain))
	}
}

func (x x86) nanJump(a *Asm, folded int, label string) {
	if x.avx512 {
		a.emit("KORTESTW %s, %s", nanMask(0), nanMask(0))
		a.emit("JCC %s", label)
		return
	}
	t := a.Reg()
	a.emit("VMOVMSKPS %s, %s", x.reg(a.nan), t)
	a.emit("TESTL %s, %s", t, t)
	a.emit("JNE %s", label)
	a.FreeReg(t)
}

func (x x86) fold(a *Asm, op op, v *Vec, n int) {
	r, t := v.r[0], a.vreg(false)
	half := func(size string) { a.emit("%s %s%d, %s%d, %s%d", x86Ops[op], size, t, size, r, size, r) }
	switch {
	case n < lanes:
	case x.avx512:
		a.emit("VEXTRACTF64X4 $1, Z%d, Y%d", r, t)
		half("Y")
	default:
		x.op(a, op, r, inReg(v.r[1]), r)
	}
	a.emit("VEXTRACTF128 $1, Y%d, X%d", r, t)
	half("X")
	a.emit("VPERMILPD $1, X%d, X%d", r, t)
	half("X")
	if !op.is64() {
		a.emit("VMOVSHDUP X%d, X%d", r, t)
		half("X")
	}
	a.vfree[t] = true
}

// foldRows folds pairs of rows at once, whose halves, quarters and so on it brings together.
func (x x86) foldRows(a *Asm, op op, base Reg, part, d int) {
	join := func(first, second string, p, q int) int {
		t := a.vreg(false)
		a.emit("%s %s, %s, %s", first, x.reg(q), x.reg(p), x.reg(t))
		a.emit("%s %s, %s, %s", second, x.reg(q), x.reg(p), x.reg(p))
		x.op(a, op, t, inReg(p), p)
		a.vfree[t], a.vfree[q] = true, true
		return p
	}
	row := func(n int) int {
		r := a.vreg(false)
		x.load(a, base, 64*n, r)
		if !x.avx512 {
			x.opLoad(a, op, []int{r}, base, 64*n+32, []int{r})
		}
		return r
	}
	// quarters returns rows n, n+4, ... in lanes 0, 4, ... and the three behind them.
	quarters := func(n int) int {
		n += part * x.width()
		if x.avx512 {
			const low, high, even, odd = "VSHUFF64X2 $0x44,", "VSHUFF64X2 $0xEE,", "VSHUFF64X2 $0x88,", "VSHUFF64X2 $0xDD,"
			p := join(low, high, row(n), row(n+4))
			return join(even, odd, p, join(low, high, row(n+8), row(n+12)))
		}
		return join("VPERM2F128 $0x20,", "VPERM2F128 $0x31,", row(n), row(n+4))
	}
	p := join("VUNPCKLPD", "VUNPCKHPD", quarters(0), quarters(1))
	p = join("VSHUFPS $0x88,", "VSHUFPS $0xDD,", p, join("VUNPCKLPD", "VUNPCKHPD", quarters(2), quarters(3)))
	x.set(a, inReg(p), d)
	a.vfree[p] = true
}

func (x x86) less(a *Asm, p []int, y []operand, d Reg) {
	if x.avx512 {
		a.emit("%s $1, %s, %s, K2", x.with("VCMPPS", y[0]), x.v(y[0]), x.reg(p[0]))
		a.emit("KMOVW K2, %s", d)
		return
	}
	v, t := a.vreg(false), a.Reg()
	a.emit("VCMPPS $1, %s, %s, %s", x.v(y[0]), x.reg(p[0]), x.reg(v))
	a.emit("VMOVMSKPS %s, %s", x.reg(v), d)
	a.emit("VCMPPS $1, %s, %s, %s", x.v(y[1]), x.reg(p[1]), x.reg(v))
	a.emit("VMOVMSKPS %s, %s", x.reg(v), t)
	a.emit("SHLL $8, %s", t)
	a.emit("ORL %s, %s", t, d)
	a.vfree[v] = true
	a.FreeReg(t)
}

func (x x86) transpose(a *Asm, r [4]*int) {
	v, t := [4]int{*r[0], *r[1], *r[2], *r[3]}, a.vreg(false)
	shuffle := func(op string, p, q, d int) { a.emit("%s %s, %s, %s", op, x.reg(q), x.reg(p), x.reg(d)) }
	shuffle("VUNPCKLPS", v[0], v[1], t)
	shuffle("VUNPCKHPS", v[0], v[1], v[0])
	shuffle("VUNPCKLPS", v[2], v[3], v[1])
	shuffle("VUNPCKHPS", v[2], v[3], v[3])
	shuffle("VUNPCKLPD", t, v[1], v[2])
	shuffle("VUNPCKHPD", t, v[1], v[1])
	shuffle("VUNPCKLPD", v[0], v[3], t)
	shuffle("VUNPCKHPD", v[0], v[3], v[3])
	a.vfree[v[0]] = true
	*r[0], *r[1], *r[2], *r[3] = v[2], v[1], t, v[3]
}

func (x x86) loadFours(a *Asm, r [4]int, base, stride, tail Reg) {
	four, t, m := a.Reg(), a.Reg(), a.vreg(false)
	switch {
	case tail == "":
	case x.avx512:
		a.emit("LEAQ bits<>(SB), %s", t)
		a.emit("KMOVW (%s)(%s*2), K2", t, tail)
	default:
		a.emit("LEAQ tails<>+64(SB), %s", t)
		a.emit("NEGQ %s", tail)
		a.emit("VMOVUPS (%s)(%s*4), X%d", t, tail, m)
		a.emit("NEGQ %s", tail)
	}
	a.emit("LEAQ (%s*4), %s", stride, four)
	load := func(from string, d int) {
		switch {
		case tail == "":
			a.emit("VMOVUPS %s, X%d", from, d)
		case x.avx512:
			a.emit("VMOVUPS.Z %s, K2, Z%d", from, d)
		default:
			a.emit("VMASKMOVPS %s, X%d, X%d", from, m, d)
		}
	}
	pair := func(first, second string, d int) {
		load(first, d)
		if tail == "" {
			a.emit("VINSERTF128 $1, %s, Y%d, Y%d", second, d, d)
			return
		}
		v := a.vreg(false)
		load(second, v)
		a.emit("VINSERTF128 $1, X%d, Y%d, Y%d", v, d, d)
		a.vfree[v] = true
	}
	if x.avx512 {
		a.emit("LEAQ (%s)(%s*2), %s", four, four, t)
	}
	for _, d := range r {
		pair(fmt.Sprintf("(%s)", base), fmt.Sprintf("(%s)(%s*1)", base, four), d)
		if x.avx512 {
			pair(fmt.Sprintf("(%s)(%s*2)", base, four), fmt.Sprintf("(%s)(%s*1)", base, t), m)
			a.emit("VINSERTF64X4 $1, Y%d, Z%d, Z%d", m, d, d)
		}
		a.emit("ADDQ %s, %s", stride, base)
	}
	a.emit("SUBQ %s, %s", four, base)
	a.vfree[m] = true
	a.FreeReg(t)
	a.FreeReg(four)
}

// storeFours: AVX2 stores tails by the bits of their size.
func (x x86) storeFours(a *Asm, r [4]int, base, stride, tail Reg) {
	four, twelve, low, high := a.Reg(), a.Reg(), a.vreg(false), a.vreg(false)
	a.emit("LEAQ (%s*4), %s", stride, four)
	a.emit("LEAQ (%s)(%s*2), %s", four, four, twelve)
	rows := func(store string) {
		for _, d := range r {
			a.emit(store+", (%s)", d, base)
			a.emit("VEXTRACTF128 $1, Y%d, X%d", d, low)
			a.emit(store+", (%s)(%s*1)", low, base, four)
			if x.avx512 {
				a.emit("VEXTRACTF64X4 $1, Z%d, Y%d", d, low)
				a.emit(store+", (%s)(%s*2)", low, base, four)
				a.emit("VEXTRACTF128 $1, Y%d, X%d", low, high)
				a.emit(store+", (%s)(%s*1)", high, base, twelve)
			}
			a.emit("ADDQ %s, %s", stride, base)
		}
		a.emit("SUBQ %s, %s", four, base)
	}
	switch {
	case tail == "":
		rows("VMOVUPS X%d")
	case x.avx512:
		a.emit("LEAQ bits<>(SB), %s", twelve)
		a.emit("KMOVW (%s)(%s*2), K2", twelve, tail)
		a.emit("LEAQ (%s)(%s*2), %s", four, four, twelve)
		rows("VMOVUPS Z%d, K2")
	default:
		odd, done := a.NewLabel("odd"), a.NewLabel("done")
		a.emit("TESTQ $2, %s", tail)
		a.emit("JEQ %s", odd)
		rows("VMOVLPS X%d")
		for _, d := range r {
			a.emit("VPERMILPD $5, Y%d, Y%d", d, d)
		}
		x.addImm(a, 8, base)
		a.Label(odd)
		a.emit("TESTQ $1, %s", tail)
		a.emit("JEQ %s", done)
		rows("VMOVSS X%d")
		a.Label(done)
	}
	a.vfree[high], a.vfree[low] = true, true
	a.FreeReg(twelve)
	a.FreeReg(four)
}

func (x x86) broadcast(a *Asm, s int, d int) { a.emit("VBROADCASTSS X%d, %s", s, x.reg(d)) }

func (x x86) loadScalar(a *Asm, base Reg, off int, d int) {
	a.emit("VBROADCASTSS %s, %s", mem(base, off), x.reg(d))
}

func (x x86) loadDouble(a *Asm, base Reg, d int) { a.emit("VBROADCASTSD (%s), %s", base, x.reg(d)) }

func (x x86) loadNarrow(a *Asm, base Reg, d int) {
	a.emit("VMOVSD (%s), X%d", base, d)
	a.emit("VCVTSD2SS X%d, X%d, X%d", d, d, d)
	x.broadcast(a, d, d)
}

func (x x86) loadRest(a *Asm, base Reg, high, d int) {
	t := a.vreg(false)
	a.emit("VCVTSS2SD X%d, X%d, X%d", high, high, t)
	a.emit("VMOVSD (%s), X%d", base, d)
	a.emit("VSUBSD X%d, X%d, X%d", t, d, d)
	a.emit("VCVTSD2SS X%d, X%d, X%d", d, d, d)
	x.broadcast(a, d, d)
	a.vfree[t] = true
}

func (x x86) storeScalar(a *Asm, s int, base Reg, off int) {
	a.emit("VMOVSS X%d, %s", s, mem(base, off))
}

func (x x86) addDouble(a *Asm, s int, base Reg) {
	a.emit("VCVTSS2SD X%d, X%d, X%d", s, s, s)
	a.emit("VADDSD (%s), X%d, X%d", base, s, s)
	x.storeDouble(a, s, base)
}

func (x x86) storeDouble(a *Asm, s int, base Reg) { a.emit("VMOVSD X%d, (%s)", s, base) }

// orAll: AVX-512 takes two at once.
func (x x86) orAll(a *Asm, d int, all []int) {
	if x.avx512 {
		for ; len(all) >= 2; all = all[2:] {
			a.emit("VPTERNLOGD $0xFE, %s, %s, %s", x.reg(all[0]), x.reg(all[1]), x.reg(d))
		}
	}
	for _, r := range all {
		x.op(a, opOr, d, inReg(r), d)
	}
}

func (x x86) jumpBits(a *Asm, v int, mask uint32, label string) {
	m := x.constant(a, twice(mask), false)
	if x.avx512 {
		a.emit("VPTESTMD.BCST %s, %s, K2", m.mem, x.reg(v))
		a.emit("KORTESTW K2, K2")
	} else {
		a.emit("VPTEST %s, %s", m.mem, x.reg(v))
	}
	a.emit("JNE %s", label)
}

func (x x86) jumpGreater(a *Asm, p, q int, label string) {
	a.emit("VUCOMISS X%d, X%d", q, p)
	a.emit("JHI %s", label)
}

// jumpAnyEq compares the maximum, which is at most m.
func (x x86) jumpAnyEq(a *Asm, base Reg, m Uni, label string) {
	t := []int{a.vreg(false), a.vreg(false)}
	size := 4 * x.width()
	x.load(a, base, 0, t...)
	for i := 2; i < 4*lanes/x.width(); i++ {
		x.opLoad(a, opMax, t[i%2:][:1], base, size*i, t[i%2:][:1])
	}
	x.op(a, opMax, t[0], inReg(t[1]), t[0])
	if x.avx512 {
		a.emit("VCMPPS $0, %s, %s, K2", x.reg(t[0]), x.v(m))
		a.emit("KORTESTW K2, K2")
		a.emit("JNE %s", label)
	} else {
		r := a.Reg()
		a.emit("VCMPPS $0, %s, %s, %s", x.reg(t[0]), x.v(m), x.reg(t[0]))
		a.emit("VMOVMSKPS %s, %s", x.reg(t[0]), r)
		a.emit("TESTL %s, %s", r, r)
		a.emit("JNE %s", label)
		a.FreeReg(r)
	}
	for _, r := range t {
		a.vfree[r] = true
	}
}

func (x x86) first(a *Asm, v *Vec, m *Uni, d Reg, label string) {
	if x.avx512 {
		a.emit("%s, K2", x.compare(v.r[0], m))
		a.emit("KMOVW K2, %s", d)
	} else {
		t := a.Reg()
		a.emit("%s, %s", x.compare(v.r[0], m), x.reg(v.r[0]))
		a.emit("%s, %s", x.compare(v.r[1], m), x.reg(v.r[1]))
		a.emit("VMOVMSKPS %s, %s", x.reg(v.r[0]), d)
		a.emit("VMOVMSKPS %s, %s", x.reg(v.r[1]), t)
		a.emit("SHLL $8, %s", t)
		a.emit("ORL %s, %s", t, d)
		a.FreeReg(t)
	}
	none := a.NewLabel("none")
	a.emit("TESTL %s, %s", d, d)
	a.emit("JEQ %s", none)
	a.emit("BSFL %s, %s", d, d)
	a.Jump(label)
	a.Label(none)
}

// compare prints all but the destination of a comparison with m, or a search for NaNs.
func (x x86) compare(r int, m *Uni) string {
	if m == nil {
		return fmt.Sprintf("VCMPPS $3, %s, %s", x.reg(r), x.reg(r))
	}
	return fmt.Sprintf("%s $0, %s, %s", x.with("VCMPPS", *m), x.v(*m), x.reg(r))
}
