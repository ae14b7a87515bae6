package main

import "math"

// atanh is minimax for the relative error of 2 q + q^3 (atanh[0] + atanh[1] q^2
// + ...) against 2 atanh(q) on |q| <= (sqrt(2)-1)/(sqrt(2)+1): 1.9e-16.
var atanh = []float64{0x1.5555555553981p-1, 0x1.999999a28cdcep-2, 0x1.2492417ba3893p-2,
	0x1.c722760f1e51dp-3, 0x1.732c61d936e48p-3, 0x1.5874e7e82a55ap-3}

var log1pKernel = kernel{
	name: "log1p",
	doc: `x[i] becomes log(1 + x[i]) for i < n, x[i] >= 0. With
1 + x = 2^k m, m in [sqrt(1/2), sqrt(2)), it is k ln 2 + 2 atanh(f/(f + 2)),
f = m - 1 being taken from x, without the rounding of 1 + x.`,
	args: []arg{{"x", "*float64"}, {"n", "int"}},
	body: func(a *Asm) {
		a.log1p(a.Arg("x"), a.Arg("n"))
		a.Ret()
	},
}

// log1p replaces the n float64s at x, which moves behind them.
func (a *Asm) log1p(x, n Reg) {
	l := a.newLog1p()
	loop, one, done := a.NewLabel("logs"), a.NewLabel("log"), a.NewLabel("logged")
	a.Label(loop)
	a.JumpIfImm(n, "<", 8, one)
	v := a.Vec("x")
	a.Load(v, x, 0)
	v = l.of(a, v, func(d, y *Vec) { a.op(opDiv64, d, y, d) })
	a.Store(v, x, 0)
	a.Free(v)
	a.AddImm(64, x)
	a.AddImm(-8, n)
	a.Jump(loop)
	a.Label(one)
	a.JumpIfImm(n, "<=", 0, done)
	a.Narrow()
	v = a.Vec("x")
	a.LoadDouble(v, x)
	v = l.of(a, v, func(d, y *Vec) { a.DivLane0(64, d, d, y) })
	a.StoreDouble(v, x)
	a.Free(v)
	a.Widen()
	a.AddImm(8, x)
	a.AddImm(-1, n)
	a.Jump(one)
	a.Label(done)
	l.free(a)
}

// A log1p has the constants of the kernel.
type log1p struct {
	one, half, integer, ln2, two Uni
	c                            []Uni
}

func (a *Asm) newLog1p() log1p {
	l := log1p{
		one:     a.Const64(math.Float64bits(1)),
		half:    a.Const64(math.Float64bits(math.Sqrt2 / 2)),
		integer: a.Const64(math.Float64bits(1 << 52)),
		ln2:     a.Const64(math.Float64bits(math.Ln2)),
		two:     a.Const64(math.Float64bits(2)),
	}
	for _, f := range atanh {
		l.c = append(l.c, a.Addend64(math.Float64bits(f)))
	}
	return l
}

func (l log1p) free(a *Asm) {
	for _, u := range append(l.c, l.two, l.ln2, l.integer, l.half, l.one) {
		a.FreeConst(u)
	}
}

// of returns log(1 + s) and frees s. It has one use for div, which divides d by y.
func (l log1p) of(a *Asm, s *Vec, div func(d, y *Vec)) *Vec {
	k, f := a.Vec("k"), a.Vec("f")
	a.op(opAdd64, s, l.one, k)
	w := l.exponent(a, k, l.half, l.one, l.integer)
	a.op(opSub64, w, l.one, f)
	a.MulAddVec64(f, s, w)
	a.Free(s, w)
	return l.log(a, k, f, div)
}

// exponent replaces each k by the exponent of 2^k m, m in [sqrt(1/2), sqrt(2)), and returns
// 2^-k. It takes k to be positive, unless half has as much of it taken off, in its bits, as
// one and integer have added.
func (l log1p) exponent(a *Asm, k *Vec, half, one, integer Uni) *Vec {
	w, t := a.Vec("w"), a.Vec("t")
	a.op(opSubInt64, k, half, k)
	a.ShiftRight64(k, 52)
	a.Set(w, one)
	a.Copy(t, k)
	a.ShiftLeft64(t, 52)
	a.op(opSubInt64, w, t, w)
	a.Free(t)
	a.op(opOr, k, l.integer, k)
	a.op(opSub64, k, integer, k)
	return w
}

// log returns k ln 2 + log(1 + f) and frees both.
func (l log1p) log(a *Asm, k, f *Vec, div func(d, y *Vec)) *Vec {
	w, s, p := a.Vec("w"), a.Vec("s"), a.Vec("p")
	a.op(opAdd64, f, l.two, w)
	div(f, w)
	a.op(opMul64, f, f, s)
	a.Set(p, l.c[len(l.c)-1])
	for i := len(l.c) - 2; i >= 0; i-- {
		a.Horner64(p, s, l.c[i])
	}
	a.Horner64(p, s, l.two)
	a.op(opMul64, p, f, p)
	a.MulAdd64(p, k, l.ln2)
	a.Free(s, k, w, f)
	return p
}
