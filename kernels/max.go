package main

import "math"

var negInf = math.Float32bits(float32(math.Inf(-1)))

var maxKernel = kernel{
	name: "max",
	doc: `dst[i] is the maximum of row i, or a NaN if the row has one.
A maximum of zero may have either sign.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		low, nan := a.ConstReg(negInf), a.ConstReg(0x7fc00000)
		dst, p, n := a.Arg("dst"), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.Mov(x, p)
			a.LoadArg("cols", n)
			m := a.maxOf(p, n, low)
			bad, next := a.NewLabel("nan"), a.NewLabel("next")
			a.NaNJump(m, bad)
			a.StoreLane0(m, dst, 0)
			a.Jump(next)
			a.Label(bad)
			a.StoreUni(nan, dst, 0)
			a.Label(next)
			a.Free(m)
			a.AddImm(4, dst)
		})
	},
}

// maxOf writes the loop for the maximum of the n elements at p, in lane 0 of
// the result, and for the NaNs among them.
func (a *Asm) maxOf(p, n Reg, low Uni) *Vec {
	m := a.Vecs(4, "m")
	for _, m := range m {
		a.Set(m, low)
	}
	a.NaNInit()
	a.Steps(p, n, func() {
		a.ByPair(func() {
			for i := 0; i < 4; i += 2 {
				x, y := a.Vec("x"), a.Vec("y")
				a.Load(x, p, 4*lanes*i)
				a.Load(y, p, 4*lanes*(i+1))
				a.Max(m[i], x)
				a.Max(m[i+1], y)
				a.NaNSee(x, y)
				a.Free(x, y)
			}
		})
	}, func() {
		a.Max(m[0], m[1])
		a.Max(m[2], m[3])
		a.Max(m[0], m[2])
	}, func() {
		x := a.Vec("x")
		a.LoadTail(x, p, n, low)
		a.Max(m[0], x)
		a.ByPart(func() { a.NaNSee(x, x) })
		a.Free(x)
	})
	a.Free(m[1:]...)
	a.FoldMax(m[0])
	return m[0]
}

var argMaxKernel = kernel{
	name: "argMax",
	doc: `dst[i] is the index of the first maximum of row i, or of its first NaN.
Blocks are compared by their maxima; the best one is searched at the end.`,
	args: []arg{{"dst", "*int"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		low := a.ConstReg(negInf)
		dst, p, n, b, q, best := a.Arg("dst"), a.Reg(), a.Reg(), a.Reg(), a.Reg(), a.Reg()
		top, m := a.Uniform(), a.Uniform()
		a.Rows(func(x Reg) {
			block, better, next, nan, found := a.NewLabel("block"), a.NewLabel("better"), a.NewLabel("next"), a.NewLabel("nan"), a.NewLabel("found")
			a.Mov(x, p)
			a.Mov(p, best)
			a.LoadArg("cols", n)
			a.SetUniform(top, low)
			a.Label(block)
			a.TakeBlock(n, b)
			a.SubReg(b, n)
			a.Mov(p, q)
			v := a.maxOf(q, b, low)
			a.NaNJump(v, nan)
			a.Broadcast(m, v)
			a.JumpGreater(m, top, better)
			a.Jump(next)
			a.Label(better)
			a.SetUniform(top, m)
			a.Mov(p, best)
			a.Label(next)
			a.Free(v)
			a.AddImm(4*blockSize, p)
			a.JumpIfImm(n, ">", 0, block)

			a.search(x, best, q, n, low, func(x *Vec) { a.FirstEq(x, top, q, found) })
			a.Label(nan)
			a.Mov(p, best)
			a.search(x, best, q, n, low, func(x *Vec) { a.FirstNaN(x, q, found) })
			a.Label(found)
			a.SubReg(x, best)
			a.ShiftDown(2, best)
			a.AddReg(best, q)
			a.Store64(q, dst)
			a.AddImm(8, dst)
		})
	},
}

// search tests the vectors from p to the end of the row at x, until test leaves the loop.
func (a *Asm) search(x, p, t, n Reg, fill Uni, test func(*Vec)) {
	loop, whole, loaded := a.NewLabel("search"), a.NewLabel("whole"), a.NewLabel("loaded")
	a.Mov(p, t)
	a.SubReg(x, t)
	a.ShiftDown(2, t)
	a.LoadArg("cols", n)
	a.SubReg(t, n)
	a.Label(loop)
	v := a.Vec("v")
	a.JumpIfImm(n, ">=", lanes, whole)
	a.LoadTail(v, p, n, fill)
	a.Jump(loaded)
	a.Label(whole)
	a.Load(v, p, 0)
	a.Label(loaded)
	test(v)
	a.Free(v)
	a.AddImm(4*lanes, p)
	a.AddImm(-lanes, n)
	a.JumpIfImm(n, ">", 0, loop)
}
