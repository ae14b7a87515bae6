package main

import "math"

var crossKernel = kernel{
	name: "cross",
	doc: `sum[0] is the sum of p log q over n elements, in float64 and but for those of p = 0,
sum[1] the least of the logarithms and sum[2] the greatest. Element j goes to lane j%8,
whose results are folded by halves. With q = 2^k m, m in [sqrt(1/2), sqrt(2)), the
logarithm is log1p's for f = m - 1. Where q is not positive and finite it is none, and
less than -700, greater than 700, or NaN.`,
	args: []arg{{"sum", "*float64"}, {"p", "*float32"}, {"q", "*float32"}, {"n", "int"}},
	body: (*Asm).cross,
}

// cross has p, and q or 1, pass through the stack, from where they are widened.
func (a *Asm) cross() {
	l := a.newLog1p()
	a.FreeConst(l.one) // which are for what is not 1 + s
	a.FreeConst(l.half)
	zero, one := a.Const(0), a.Addend(bits(1))
	const more = 1 << 10 // to k, which then is positive
	lower := a.Const64(math.Float64bits(math.Sqrt2/2) - more<<52)
	top := a.Const64(math.Float64bits(1) + more<<52)
	integer, minusOne := a.Const64(math.Float64bits(1<<52+more)), a.Addend64(math.Float64bits(-1))
	p, q, n := a.Arg("p"), a.Arg("q"), a.Arg("n")
	ps, qs := a.Local(0), a.Local(1)
	results := a.Vecs(3, "result")
	for _, r := range results {
		a.Set(r, zero)
	}
	loop, done := a.NewLabel("loop"), a.NewLabel("done")
	a.JumpIfImm(n, "<=", 0, done)
	a.Label(loop)
	v, w := a.Vec("p"), a.Vec("q")
	a.LoadTail(v, p, n, zero)
	a.LoadTail(w, q, n, zero)
	a.Store(v, ps, 0)
	a.ByPart(func() {
		is := a.Vec("is")
		a.EqOne(is, v, zero, one)
		a.ZeroWhere(w, v, zero)
		a.op(opOr, w, is, w)
		a.Free(is)
	})
	a.Store(w, qs, 0)
	a.Free(v, w)
	for half := range 2 {
		a.ByPart(func() {
			x, k := a.Vec("x"), a.Vec("k")
			a.LoadWide(x, qs, 4*lanes/2*half)
			a.Copy(k, x)
			f := l.exponent(a, k, lower, top, integer)
			a.Horner64(f, x, minusOne)
			a.Free(x)
			log := l.log(a, k, f, func(d, y *Vec) { a.op(opDiv64, d, y, d) })
			v := a.Vec("p")
			a.LoadWide(v, ps, 4*lanes/2*half)
			a.MulAddVec64(results[0], v, log)
			a.op(opMin64, results[1], log, results[1])
			a.op(opMax64, results[2], log, results[2])
			a.Free(log, v)
		})
	}
	a.AddImm(4*lanes, p)
	a.AddImm(4*lanes, q)
	a.AddImm(-lanes, n)
	a.JumpIfImm(n, ">", 0, loop)
	a.Label(done)
	sum := a.Arg("sum")
	for i, r := range results {
		a.Fold([]op{opAdd64, opMin64, opMax64}[i], r)
		a.StoreDouble(r, sum)
		a.AddImm(8, sum)
	}
	a.Ret()
}
