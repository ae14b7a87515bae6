package main

import "math"

var (
	negInf = math.Float32bits(float32(math.Inf(-1)))
	posInf = math.Float32bits(float32(math.Inf(1)))
)

var maxKernel = kernel{
	name: "max",
	doc: `dst[i] is the maximum of row i, or a NaN if the row has one.
A maximum of zero may have either sign.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) { a.extremeRows(opMax, negInf) },
}

var minKernel = kernel{
	name: "min",
	doc: `dst[i] is the minimum of row i, or a NaN if the row has one.
A minimum of zero may have either sign.`,
	args: maxKernel.args,
	body: func(a *Asm) { a.extremeRows(opMin, posInf) },
}

// extremeRows writes max or min, which begins with the value of those bits.
func (a *Asm) extremeRows(op op, start uint32) {
	nan := a.ConstReg(0x7fc00000)
	dst := a.Arg("dst")
	store := func(m *Vec) {
		bad, next := a.NewLabel("nan"), a.NewLabel("next")
		a.NaNJump(m, bad)
		a.StoreLane0(m, dst, 0)
		a.Jump(next)
		a.Label(bad)
		a.StoreUni(nan, dst, 0)
		a.Label(next)
		a.Free(m)
		a.AddImm(4, dst)
	}
	a.Either("cols", ">", lanes, func() {
		n, begin := a.Arg("cols"), a.ConstReg(start)
		a.KeepTail(n)
		a.ReadRows(func(x Reg) {
			m := a.Vec("m")
			a.LoadTail(m, x, n, begin)
			a.extremeOfOne(op, m)
			store(m)
		})
	}, func() {
		a.Far(func(far bool) {
			p, n := a.Reg(), a.Reg()
			a.ReadRows(func(x Reg) {
				a.Mov(x, p)
				a.LoadArg("cols", n)
				store(a.extremeOf(op, p, n, far))
			})
		})
	})
}

// extremeOfOne is extremeOf for one vector.
func (a *Asm) extremeOfOne(op op, m *Vec) {
	a.ByPart(func() { a.NaNFirst(0, m, m) })
	a.Fold(op, m)
}

// extremeOf writes the loop for the maximum or minimum of the n elements at p, in
// lane 0 of the result, and for the NaNs among them. Elements may be seen twice, also
// those in front of p, of which there are lanes-n at least: the steps between the first
// and the last are aligned, and the last one, or vector, ends with the row. It destroys p
// and n.
func (a *Asm) extremeOf(op op, p, n Reg, far bool) *Vec {
	m := a.Vecs(4, "m")
	few, vec, final, single, done := a.NewLabel("few"), a.NewLabel("vec"), a.NewLabel("final"), a.NewLabel("single"), a.NewLabel("done")
	last := n
	toLast := func(size int) { // the last so many elements
		a.ShiftReg(2, last)
		a.AddReg(p, last)
		a.AddImm(-4*size, last)
	}
	a.JumpIfImm(n, "<", step, few)
	toLast(step)
	a.extremeOfSteps(op, m, p, last, far)
	a.Jump(done)

	a.Label(few)
	toLast(lanes)
	first := func() {
		a.Load(m[0], p, 0)
		a.ByPart(func() { a.NaNFirst(0, m[0], m[0]) })
	}
	other := func(see func(x *Vec)) {
		x := a.Vec("x")
		a.Load(x, p, 0)
		a.op(op, m[0], x, m[0])
		a.ByPart(func() { see(x) })
		a.Free(x)
	}
	a.JumpIf(p, ">=", last, single)
	first()
	a.AddImm(4*lanes, p)
	a.JumpIf(p, ">=", last, final)
	a.Label(vec)
	other(func(x *Vec) { a.NaNSee(0, x, x) })
	a.AddImm(4*lanes, p)
	a.JumpIf(p, "<", last, vec)
	a.Label(final)
	a.Mov(last, p)
	other(func(x *Vec) { a.NaNFirst(1, x, x) })
	a.NaNJoin(0, 1)
	a.Jump(done)
	a.Label(single)
	a.Mov(last, p)
	first()
	a.Label(done)
	a.Free(m[1:]...)
	a.Fold(op, m[0])
	return m[0]
}

// extremeOfSteps is that for a step and more, the last one at last, but for the fold.
// Four chains of NaNs take turns: one takes longer than a step.
func (a *Asm) extremeOfSteps(op op, m []*Vec, p, last Reg, far bool) {
	loop, join, end, folded := a.NewLabel("step"), a.NewLabel("join"), a.NewLabel("end"), a.NewLabel("folded")
	a.ByPair(func() {
		for i, m := range m {
			a.Load(m, p, 4*lanes*i)
		}
		a.NaNFirst(0, m[0], m[1])
		a.NaNFirst(1, m[2], m[3])
	})
	full := func(chain int) {
		for i := 0; far && i < 4; i++ {
			a.Prefetch(p, farAhead+64*i)
		}
		a.ByPair(func() {
			for i := 0; i < 4; i += 2 {
				x, y := a.Vec("x"), a.Vec("y")
				a.Load(x, p, 4*lanes*i)
				a.Load(y, p, 4*lanes*(i+1))
				a.op(op, m[i], x, m[i])
				a.op(op, m[i+1], y, m[i+1])
				a.NaNSee(chain+i/2, x, y)
				a.Free(x, y)
			}
		})
	}
	a.JumpIf(p, "==", last, folded)
	a.AndImm(-4*lanes, p)
	a.AddImm(4*step, p)
	a.JumpIf(p, ">=", last, end)
	a.NaNNone(2)
	a.NaNNone(3)
	a.Label(loop)
	full(2)
	a.AddImm(4*step, p)
	a.JumpIf(p, ">=", last, join)
	full(0)
	a.AddImm(4*step, p)
	a.JumpIf(p, "<", last, loop)
	a.Label(join)
	a.NaNJoin(0, 2)
	a.NaNJoin(1, 3)
	a.Label(end)
	a.Mov(last, p)
	full(0)
	a.Label(folded)
	a.NaNJoin(0, 1)
	a.op(op, m[0], m[1], m[0])
	a.op(op, m[2], m[3], m[2])
	a.op(op, m[0], m[2], m[0])
}

// searchSize is the number of elements that argMax compares by their maximum, and
// one of which it searches in the end.
const searchSize = 8 * step

var argMaxKernel = kernel{
	name: "argMax",
	doc: `dst[i] is the index of the first maximum of row i, or of its first NaN.
Every 512 elements are compared by their maxima; the best ones are searched at the end.`,
	args: []arg{{"dst", "*int"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		a.Either("cols", ">", lanes, a.argMaxShort, func() { a.Far(a.argMaxLong) })
	},
}

func (a *Asm) argMaxLong(far bool) {
	low := a.ConstReg(negInf)
	dst, p, n, b, q, best := a.Arg("dst"), a.Reg(), a.Reg(), a.Reg(), a.Reg(), a.Reg()
	top, m := a.Uniform(), a.Uniform()
	a.ReadRows(func(x Reg) {
		block, better, next, nan, found := a.NewLabel("block"), a.NewLabel("better"), a.NewLabel("next"), a.NewLabel("nan"), a.NewLabel("found")
		a.Mov(x, p)
		a.Mov(p, best)
		a.LoadArg("cols", n)
		a.SetUniform(top, low)
		a.Label(block)
		a.take(searchSize, n, b)
		a.SubReg(b, n)
		a.Mov(p, q)
		v := a.extremeOf(opMax, q, b, far)
		a.NaNJump(v, nan)
		a.Broadcast(m, v)
		a.JumpGreater(m, top, better)
		a.Jump(next)
		a.Label(better)
		a.SetUniform(top, m)
		a.Mov(p, best)
		a.Label(next)
		a.Free(v)
		a.AddImm(4*searchSize, p)
		a.JumpIfImm(n, ">", 0, block)

		a.search(x, best, q, n, low, &top, func(x *Vec) { a.FirstEq(x, top, q, found) })
		a.Label(nan)
		a.Mov(p, best)
		a.search(x, best, q, n, low, nil, func(x *Vec) { a.FirstNaN(x, q, found) })
		a.Label(found)
		a.SubReg(x, best)
		a.ShiftDown(2, best)
		a.AddReg(best, q)
		a.Store64(q, dst)
		a.AddImm(8, dst)
	})
}

// argMaxShort does rows of one vector.
func (a *Asm) argMaxShort() {
	low, dst, n, q := a.ConstReg(negInf), a.Arg("dst"), a.Arg("cols"), a.Reg()
	top := a.Uniform()
	a.KeepTail(n)
	a.ReadRows(func(x Reg) {
		nan, found := a.NewLabel("nan"), a.NewLabel("found")
		v, m := a.Vec("x"), a.Vec("m")
		a.LoadTail(v, x, n, low)
		a.Copy(m, v)
		a.extremeOfOne(opMax, m)
		a.NaNJump(m, nan)
		a.Broadcast(top, m)
		a.FirstEq(v, top, q, found)
		a.Label(nan)
		a.FirstNaN(v, q, found)
		a.Label(found)
		a.Store64(q, dst)
		a.Free(v, m)
		a.AddImm(8, dst)
	})
}

// search tests the vectors from p to the end of the row at x, until test leaves the
// loop. If value is not nil it leaves out whole steps without it, but for the last,
// which short rows would wait for.
func (a *Asm) search(x, p, t, n Reg, fill Uni, value *Uni, test func(*Vec)) {
	steps, loop, whole, loaded := a.NewLabel("steps"), a.NewLabel("search"), a.NewLabel("whole"), a.NewLabel("loaded")
	a.Mov(p, t)
	a.SubReg(x, t)
	a.ShiftDown(2, t)
	a.LoadArg("cols", n)
	a.SubReg(t, n)
	if value != nil {
		a.Label(steps)
		a.JumpIfImm(n, "<", 2*step, loop)
		a.JumpAnyEq(p, *value, loop)
		a.AddImm(4*step, p)
		a.AddImm(-step, n)
		a.Jump(steps)
	}
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
