package main

import "math"

func bits(x float32) uint32 { return math.Float32bits(x) }

// The polynomials are minimax for the relative error of
// 1 + r + c[0] r^2 + c[1] r^3 + ... against e^r on |r| <= ln(2)/2, found by
// Lawson's iteration in extended precision and rounded to float32.
var (
	exp5 = []float32{0x1.fffdfcp-2, 0x1.5557aep-3, 0x1.572a08p-5, 0x1.10627ap-7}                 // error 1.05e-7
	exp6 = []float32{0x1.fffffcp-2, 0x1.555492p-3, 0x1.5558f2p-5, 0x1.1239e2p-7, 0x1.6a2434p-10} // error 3.1e-9
)

// exp3 is for |r| <= ln(2)/16 and free but for a factor: 1 + exp3Lack times the
// polynomial is e^r within 1.9e-8, and with a power from the table, which is rounded to
// float32, within 5.1e-8.
var exp3 = []float32{0x1.000a42p-1, 0x1.555cc2p-3}

const exp3Lack = -0x1.3bac3ep-26

// The table of powers is that of 2^(j/powers), j < powers, as their bits less those of
// 1 + j/powers.
const (
	powers    = 8
	powerBits = 3
)

func powerTable() []uint32 {
	var table []uint32
	for j := range uint32(powers) {
		table = append(table, bits(float32(math.Exp2(float64(j)/powers)))-bits(1)-j<<(23-powerBits))
	}
	return table
}

const (
	log2e = 0x1.715476p+0 // log2(e)
	ln2   = 0x1.62e430p-1 // ln(2), 1.9e-9 too much
	ln2lo = -0x1.05c610p-29

	round = 0x1.8p23 // adding it rounds to an integer

	low = -88 // e^low is held at 0
)

// An expMinus computes e^d for d = x - max <= 0, without gradual underflow: from
// n = -127 on the result is +0. To that end d is held at -88, where the exponent
// field of 2^n is 0, or else what is scaled by n is set to 0.
type expMinus struct {
	low, least             Uni // of d, if it is held, or of n
	log2e, round, ln2, one Uni
	c                      []Uni
}

func (a *Asm) newExpMinus(poly []float32) expMinus {
	var e expMinus
	if a.isa.scales() {
		e.least = a.Const(bits(-127))
	} else {
		e.low = a.ConstReg(bits(low))
	}
	e.log2e = a.Const(bits(log2e))
	e.round = a.Const(bits(round + 127))
	e.ln2 = a.Const(bits(-ln2))
	e.one = a.Addend(bits(1))
	e.c = a.coefficients(poly)
	return e
}

// coefficients returns the constants of a polynomial; the last one is a factor.
func (a *Asm) coefficients(poly []float32) []Uni {
	var c []Uni
	for _, f := range poly[:len(poly)-1] {
		c = append(c, a.Addend(bits(f)))
	}
	return append(c, a.Const(bits(poly[len(poly)-1])))
}

func (e expMinus) free(a *Asm) {
	us := append(e.c, e.log2e, e.round, e.ln2, e.one)
	if a.isa.scales() {
		us = append(us, e.least)
	} else {
		us = append(us, e.low)
	}
	for _, u := range us {
		a.FreeConst(u)
	}
}

// keep moves the constants that are used most from memory to registers, and
// leaves n registers free.
func (e *expMinus) keep(a *Asm, n int) {
	a.keep(n, &e.round, &e.one, &e.log2e, &e.ln2)
	a.keepCoefficients(n, e.c)
}

// keepCoefficients is keep for those of a polynomial, but for the last, a factor.
func (a *Asm) keepCoefficients(n int, c []Uni) {
	a.keep(n, &c[len(c)-2])
	for i := range len(c) - 2 {
		a.keep(n, &c[i])
	}
}

// keep moves constants from memory to registers, and leaves n registers free.
// Addends on arm64 are better off where they are.
func (a *Asm) keep(n int, us ...*Uni) {
	for _, u := range us {
		if u.mem != "" && u.bits == 0 && a.freeVregs() > n {
			d := a.Uniform()
			a.SetUniform(d, *u)
			*u = d
		}
	}
}

// of replaces each d by r, the reduced argument, and returns e^d, which keeps NaNs, and
// is 1 where d was 0.
func (e expMinus) of(a *Asm, ds []*Vec) []*Vec {
	ps, ts := make([]*Vec, len(ds)), make([]*Vec, len(ds))
	for i, d := range ds {
		if !a.isa.scales() {
			a.AtLeast(d, e.low)
		}
		ts[i] = a.Vec("t")
		a.MulAddUni(ts[i], d, e.log2e, e.round)
	}
	for i, d := range ds {
		ps[i] = a.Vec("p")
		n := ps[i]
		if a.isa.scales() {
			n = ts[i]
		}
		a.SubUni(n, ts[i], e.round)
		a.MulAdd(d, n, e.ln2)
	}
	a.polynomial(ps, ds, e.c, e.one)
	for i, t := range ts {
		if a.isa.scales() {
			a.ScaleAbove(ps[i], t, e.least)
		} else {
			a.ShiftLeft(t, 23)
			a.Mul(ps[i], t)
		}
	}
	a.Free(ts...)
	return ps
}

// replace replaces d by e^(d - m).
func (e expMinus) replace(a *Asm, d *Vec, m Uni) {
	a.SubUni(d, d, m)
	p := e.of(a, []*Vec{d})[0]
	a.Copy(d, p)
	a.Free(p)
}

// polynomial sets p = 1 + r + c[0] r^2 + c[1] r^3 + ... by Horner's rule.
func (a *Asm) polynomial(ps, rs []*Vec, c []Uni, one Uni) {
	a.slope(ps, rs, c, one)
	a.Horner(ps, rs, one)
}

// slope sets p = 1 + c[0] r + c[1] r^2 + ..., what polynomial is 1 more than r times.
func (a *Asm) slope(ps, rs []*Vec, c []Uni, one Uni) {
	last := len(c) - 1
	for i, r := range rs {
		a.MulAddUni(ps[i], r, c[last], c[last-1])
	}
	for j := last - 2; j >= 0; j-- {
		a.Horner(ps, rs, c[j])
	}
	a.Horner(ps, rs, one)
}

var expKernel = kernel{
	name: "exp",
	doc: `dst[i] is e^x[i] for all i < n, over all of float32: n = round(x log2 e),
r = x - n ln 2 in two parts, a polynomial of degree 6, and 2^n with one rounding.
It goes past the caches if stream is not 0.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"n", "int"}, {"stream", "int"}},
	body: func(a *Asm) { a.Streams(a.exps) },
}

// soon is how far in front of a loop of exponentials data is asked for: there is so
// much arithmetic between its loads that a processor sees few of them ahead.
const soon = 2 * 1024

// farSoon is that for a loop that is all there is: memory is farther away. With 2 KB a Zen 5
// takes a tenth more for 256x50257.
const farSoon = 8 * 1024

func (a *Asm) exps(stream bool) {
	of := a.newExp(3 * a.turns())
	dst, p, n := a.Arg("dst"), a.Arg("x"), a.Arg("n")
	fill := a.Const(0)
	tail := func(n Reg) {
		x := a.Vec("x")
		a.LoadTail(x, p, n, fill)
		ps := of([]*Vec{x})
		a.StoreTail(ps[0], dst, n)
		a.Free(x, ps[0])
	}
	if stream {
		a.Align(true, n, tail, dst, p)
	}
	a.Steps(p, n, func() {
		a.Turns(func(first, n int) {
			xs := a.Vecs(n, "x")
			for i, x := range xs {
				a.Load(x, p, 4*lanes*(first+i))
				a.Prefetch(p, farSoon+4*lanes*(first+i))
			}
			ps := of(xs)
			for i, y := range ps {
				a.StoreTo(stream, y, dst, 4*lanes*(first+i))
			}
			a.Free(xs...)
			a.Free(ps...)
		})
		a.AddImm(4*step, dst)
	}, func() {
		tail(n)
		a.AddImm(4*lanes, dst)
	})
	a.Ret()
}
