package main

import "math"

var (
	hingeKernel = kernel{
		name: "hinge",
		doc: `With h = max(0, x + shift), in float64, sum[0] is the sum of h over n elements and
sum[1] that of its square. Element j goes to lane j%8, whose sums are folded by halves.`,
		args: []arg{{"sum", "*float64"}, {"x", "*float32"}, {"shift", "*float64"}, {"n", "int"}},
		body: func(a *Asm) { a.hinges(nil, false) },
	}
	hingeGradKernel = kernel{
		name: "hingeGrad",
		doc: `It is hinge, but sum[1] is the sum of the derivatives of h, 1 where h is positive
and 0 elsewhere, and dst is these times scale, rounded to float32.`,
		args: hingeGradArgs,
		body: func(a *Asm) { a.hinges(newStep, false) },
	}
	squaredHingeGradKernel = kernel{
		name: "squaredHingeGrad",
		doc:  `It is hingeGrad for the square of h, whose derivative is 2 h.`,
		args: hingeGradArgs,
		body: func(a *Asm) {
			a.hinges(func(a *Asm) func(h *Vec) *Vec {
				return func(h *Vec) *Vec {
					d := a.Vec("slope")
					a.op(opAdd64, h, h, d)
					return d
				}
			}, true)
		},
	}

	hingeGradArgs = []arg{{"sum", "*float64"}, {"dst", "*float32"}, {"x", "*float32"}, {"shift", "*float64"}, {"scale", "*float64"}, {"n", "int"}}
)

// newStep returns what returns the derivative of h: h times 2^1100, held at 1; that of a
// NaN is a NaN.
func newStep(a *Asm) func(h *Vec) *Vec {
	one := a.ConstReg64(math.Float64bits(1))
	big, more := a.Const64(math.Float64bits(0x1p1000)), a.Const64(math.Float64bits(0x1p100))
	return func(h *Vec) *Vec {
		d := a.Vec("slope")
		a.op(opMul64, h, big, d)
		a.op(opMul64, d, more, d)
		a.AtMost64(d, one)
		return d
	}
}

// hinges writes a loop whose losses are the squares of h or h itself, and the other sum
// that of the derivatives, if there is newSlope, which returns what returns them.
func (a *Asm) hinges(newSlope func(a *Asm) func(h *Vec) *Vec, square bool) {
	p, n, dst := a.Arg("x"), a.Arg("n"), Reg("")
	zero, shift, none := a.ConstReg(0), a.argDouble("shift"), a.Const(negInf)
	var scale Uni
	var slope func(h *Vec) *Vec
	if newSlope != nil {
		dst, scale, slope = a.Arg("dst"), a.argDouble("scale"), newSlope(a)
	}
	sums := a.Vecs(2, "sum")
	for _, s := range sums {
		a.Set(s, zero)
	}
	// add does eight elements, that load loads, and returns their gradients.
	add := func(load func(h *Vec)) *Vec {
		h := a.Vec("h")
		load(h)
		a.op(opAdd64, h, shift, h)
		a.AtLeast64(h, zero)
		var d *Vec
		if slope != nil {
			d = slope(h)
			a.op(opAdd64, sums[1], d, sums[1])
			a.op(opMul64, d, scale, d)
		}
		if !square {
			a.op(opAdd64, sums[0], h, sums[0])
		}
		if slope == nil {
			a.MulAddVec64(sums[1], h, h)
		} else if square {
			a.MulAddVec64(sums[0], h, h)
		}
		a.Free(h)
		return d
	}
	// both does sixteen, and has their gradients stored.
	both := func(load func(h *Vec, half int), store func(d *Vec)) {
		low := add(func(h *Vec) { load(h, 0) })
		high := add(func(h *Vec) { load(h, 1) })
		if slope != nil {
			d := a.Vec("d")
			a.Round32(d, low, high)
			a.Free(low, high)
			store(d)
			a.Free(d)
		}
	}
	moveOn := func() {
		a.AddImm(4*lanes, p)
		if slope != nil {
			a.AddImm(4*lanes, dst)
		}
		a.AddImm(-lanes, n)
	}
	loop, rest, done := a.NewLabel("loop"), a.NewLabel("rest"), a.NewLabel("done")
	a.JumpIfImm(n, "<", lanes, rest)
	a.Label(loop)
	both(func(h *Vec, half int) { a.LoadWide(h, p, 4*lanes/2*half) }, func(d *Vec) { a.Store(d, dst, 0) })
	moveOn()
	a.JumpIfImm(n, ">=", lanes, loop)
	a.Label(rest)
	a.JumpIfImm(n, "<=", 0, done)
	local := a.tailToWiden(p, n, none, 0)
	both(func(h *Vec, half int) { a.LoadWide(h, local, 4*lanes/2*half) }, func(d *Vec) { a.StoreTail(d, dst, n) })
	a.FreeReg(local)
	a.Label(done)
	sum := a.Arg("sum")
	for _, s := range sums {
		a.FoldAdd64(s)
		a.StoreDouble(s, sum)
		a.AddImm(8, sum)
	}
	a.Ret()
}

// argDouble returns a register with the float64 that a parameter points to.
func (a *Asm) argDouble(name string) Uni {
	u, p := a.Uniform(), a.Arg(name)
	a.isa.loadDouble(a, p, u.r)
	a.FreeReg(p)
	return u
}
