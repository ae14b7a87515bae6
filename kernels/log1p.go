package main

import "math"

// atanh is minimax for the relative error of 2 q + q^3 (atanh[0] + atanh[1] q^2
// + ...) against 2 atanh(q) on |q| <= (sqrt(2)-1)/(sqrt(2)+1): 1.9e-16.
var atanh = []float64{0x1.5555555553981p-1, 0x1.999999a28cdcep-2, 0x1.2492417ba3893p-2,
	0x1.c722760f1e51dp-3, 0x1.732c61d936e48p-3, 0x1.5874e7e82a55ap-3}

var log1pKernel = kernel{
	name: "log1p",
	doc: `x[i] becomes log(1 + x[i]) for i < n, n a multiple of 8 and x[i] >= 0. With
1 + x = 2^k m, m in [sqrt(1/2), sqrt(2)), it is k ln 2 + 2 atanh(f/(f + 2)),
f = m - 1 being taken from x, without the rounding of 1 + x.`,
	args: []arg{{"x", "*float64"}, {"n", "int"}},
	body: func(a *Asm) {
		one, half := math.Float64bits(1), math.Float64bits(math.Sqrt2/2)
		kOne, kHalf := a.Const64(one), a.Const64(half)
		integer, ln2, two := a.Const64(math.Float64bits(1<<52)), a.Const64(math.Float64bits(math.Ln2)), a.Const64(math.Float64bits(2))
		var c []Uni
		for _, f := range atanh {
			c = append(c, a.Addend64(math.Float64bits(f)))
		}
		x, n := a.Arg("x"), a.Arg("n")
		loop := a.NewLabel("loop")
		a.Label(loop)
		s, k, w, f, p := a.Vec("s"), a.Vec("k"), a.Vec("w"), a.Vec("f"), a.Vec("p")
		a.Load(s, x, 0)
		a.eachUni(opAdd64, s, kOne, k)
		a.eachUni(opSubInt64, k, kHalf, k)
		a.ShiftRight64(k, 52)
		a.Set(w, kOne)
		a.Copy(p, k)
		a.ShiftLeft64(p, 52)
		a.each(opSubInt64, w, p, w)
		a.eachUni(opOr, k, integer, k)
		a.eachUni(opSub64, k, integer, k)
		a.eachUni(opSub64, w, kOne, f)
		a.MulAddVec64(f, s, w)
		a.eachUni(opAdd64, f, two, w)
		a.each(opDiv64, f, w, f)
		a.each(opMul64, f, f, s)
		a.Set(p, c[len(c)-1])
		for i := len(c) - 2; i >= 0; i-- {
			a.Horner64(p, s, c[i])
		}
		a.Horner64(p, s, two)
		a.each(opMul64, p, f, p)
		a.MulAdd64(p, k, ln2)
		a.Store(p, x, 0)
		a.Free(s, k, w, f, p)
		a.AddImm(64, x)
		a.AddImm(-8, n)
		a.JumpIfImm(n, ">", 0, loop)
		a.Ret()
	},
}
