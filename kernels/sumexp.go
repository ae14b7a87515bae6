package main

import "math"

var sumExpKernel = kernel{
	name: "sumExp",
	doc: `dst holds, row by row, a partial for each block of 2048 elements x of the row:
max, the greatest x so far; sum, the sum of e^(x - max) over the block, but for
some elements equal to max, the first of the row among them; and ones, their number.
Lane j of 16 adds up (j, j+16) and (j+32, j+48) of every 64 elements, or each
of them where the maximum or the end of the row is. Blocks are read from memory
once: the maximum is found while the block is in cache, and its step by a search.`,
	args: []arg{{"dst", "*partial[float32]"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		low := a.Const(negInf)
		start, zero := a.Const(math.Float32bits(-math.MaxFloat32)), a.Const(0)
		exp := a.newExpMinus(exp5)
		m := a.Uniform()
		dst, p, n, b, q := a.Arg("dst"), a.Reg(), a.Reg(), a.Reg(), a.Reg()
		full, stop, k := a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(l rowLoop) {
			block := a.NewLabel("block")
			a.Mov(l.x, p)
			a.LoadArg("cols", n)
			a.SetUniform(m, start)
			a.Label(block)
			before := a.Uniform()
			a.SetUniform(before, m)
			a.TakeBlock(n, b)

			a.Comment("The maximum.")
			v := a.Vecs(4, "m")
			for _, v := range v {
				a.Set(v, m)
			}
			a.Mov(p, q)
			a.Mov(b, k)
			a.Steps(q, k, func() {
				for i, v := range v {
					a.MaxLoad(v, q, 4*lanes*i)
				}
			}, func() {
				a.Max(v[0], v[1])
				a.Max(v[2], v[3])
				a.Max(v[0], v[2])
			}, func() {
				a.LoadTail(v[1], q, k, low)
				a.Max(v[0], v[1])
			})
			a.FoldMax(v[0])
			a.Broadcast(m, v[0])
			a.Free(v...)

			a.Comment("The step that holds a new maximum, or the end of the full ones.")
			sum := a.Vec("sum")
			a.Set(sum, zero)
			grew, search, next := a.NewLabel("grew"), a.NewLabel("search"), a.NewLabel("next")
			a.Mov(b, full)
			a.AndImm(-step, full)
			a.ShiftReg(2, full)
			a.AddReg(p, full)
			a.StoreUni(m, dst, 0)
			a.StoreLane0(sum, dst, 8)
			a.Mov(full, stop)
			a.Mov(p, q)
			a.JumpGreater(m, before, grew)
			a.FreeUniform(before)
			a.Jump(next)
			a.Label(grew)
			a.Mov(p, stop)
			a.Label(search)
			a.JumpIf(stop, ">=", full, next)
			a.JumpAnyEq(stop, m, next)
			a.AddImm(4*step, stop)
			a.Jump(search)

			a.Comment("The sum.")
			loop, special, done := a.NewLabel("loop"), a.NewLabel("special"), a.NewLabel("done")
			a.Label(next)
			a.JumpIf(q, ">=", stop, special)
			a.Label(loop)
			for i := range 4 {
				a.Prefetch(q, 4*(blockSize+lanes*i))
			}
			a.ByPart(func() {
				d := a.Vecs(4, "d")
				for i, d := range d {
					a.Load(d, q, 4*lanes*i)
					a.SubUni(d, d, m)
				}
				e := exp.of(a, d)
				a.Add(e[0], e[1])
				a.Add(e[2], e[3])
				a.Add(e[0], e[2])
				a.Add(sum, e[0])
				a.Free(d...)
				a.Free(e...)
			})
			a.AddImm(4*step, q)
			a.JumpIf(q, "<", stop, loop)

			a.Comment("The step of the maximum, or the end of the row.")
			vec, inside := a.NewLabel("vec"), a.NewLabel("inside")
			a.Label(special)
			a.MovImm(step, k)
			a.JumpIf(q, "<", full, inside)
			a.Mov(b, k)
			a.AndImm(step-1, k)
			a.JumpIfImm(k, "==", 0, done)
			a.Label(inside)
			ones := a.Vec("ones")
			a.Set(ones, zero)
			a.Label(vec)
			d := a.Vec("d")
			a.LoadTail(d, q, k, low)
			a.ByPart(func() {
				a.SubUni(d, d, m)
				one := a.Vec("one")
				a.EqOne(one, d, zero, exp.one)
				e := exp.of(a, []*Vec{d})[0]
				a.Sub(e, one)
				a.Add(ones, one)
				a.Add(sum, e)
				a.Free(one, e)
			})
			a.Free(d)
			a.AddImm(4*lanes, q)
			a.AddImm(-lanes, k)
			a.JumpIfImm(k, ">", 0, vec)
			a.FoldAdd(ones)
			seen := a.Vec("seen")
			a.LoadLane0(seen, dst, 8)
			a.AddLane0(ones, seen)
			a.StoreLane0(ones, dst, 8)
			a.Free(ones, seen)
			a.JumpIf(stop, "==", full, done)
			a.Mov(full, stop)
			a.Jump(next)

			a.Label(done)
			a.FoldAdd(sum)
			a.StoreLane0(sum, dst, 4)
			a.Free(sum)
			a.AddImm(12, dst)
			a.SubReg(b, n)
			a.AddImm(4*blockSize, p)
			a.JumpIfImm(n, ">", 0, block)
		})
	},
}
