package main

import "math"

var sumExpKernel = kernel{
	name: "sumExp",
	doc: `For each block of 2048 elements x of a row, and row by row: max is the greatest
x of the row so far; sum the sum of e^(x - max) over the block, but for some
elements equal to max, the first of the row among them; and ones their number.
Lane j of 16 adds up (j, j+16) and (j+32, j+48) of every 64 elements, or each
of them where the maximum or the end of the row is. Blocks are read from memory
once: the maximum is found while the block is in cache, and its step by a search.`,
	args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		low := a.Const(negInf)
		start, zero := a.Const(math.Float32bits(-math.MaxFloat32)), a.Const(0)
		exp := a.newExpMinus(exp5)
		m := a.Uniform()
		maxs, sums, counts, n := a.Arg("max"), a.Arg("sum"), a.Arg("ones"), a.Reg()
		next := func(rows int) {
			for _, r := range []Reg{maxs, sums, counts} {
				a.AddImm(4*rows, r)
			}
		}

		// split replaces d by e^(d - m), or 0 where d is m, and returns 1 there.
		split := func(d *Vec) *Vec {
			one := a.Vec("one")
			a.ByPart(func() {
				a.SubUni(d, d, m)
				a.EqOne(one, d, zero, exp.one)
				e := exp.of(a, []*Vec{d})[0]
				a.Copy(d, e)
				a.Sub(d, one)
				a.Free(e)
			})
			return one
		}

		a.Comment("Rows of one vector: as many at once as a register has lanes.")
		long, single := a.NewLabel("long"), a.NewLabel("single")
		a.LoadArg("cols", n)
		a.JumpIfImm(n, ">", lanes, long)
		x, rows, p := a.Arg("x"), a.Arg("rows"), a.Reg()
		a.KeepTail(n)
		group, width := a.NewLabel("group"), a.isa.width()
		a.Label(group)
		a.JumpIfImm(rows, "<", width, single)
		walk := a.rowWalk(x)
		v := a.FoldRows(opMax, func(row int) []*Vec {
			d := a.Vec("d")
			walk.to(row, p)
			a.LoadTail(d, p, n, low)
			return []*Vec{d}
		})[0]
		a.MaxLanes(v, start)
		a.StoreRows(v, maxs)
		a.Free(v)
		walk.restart()
		vs := a.FoldRows(opAdd, func(row int) []*Vec {
			d := a.Vec("d")
			walk.to(row, p)
			a.LoadTail(d, p, n, low)
			a.LoadUni(m, maxs, 4*row)
			return []*Vec{d, split(d)}
		})
		a.StoreRows(vs[0], sums)
		a.StoreRows(vs[1], counts)
		a.Free(vs...)
		next(width)
		walk.end()
		a.AddImm(-width, rows)
		a.Jump(group)

		a.Label(single)
		a.eachRow(x, rows, func() {
			d, v := a.Vec("d"), a.Vec("v")
			a.LoadTail(d, x, n, low)
			a.Copy(v, d)
			a.FoldMax(v)
			a.MaxLanes(v, start)
			a.Broadcast(m, v)
			a.StoreUni(m, maxs, 0)
			a.Free(v)
			ones := split(d)
			a.FoldAdd(d)
			a.FoldAdd(ones)
			a.StoreLane0(d, sums, 0)
			a.StoreLane0(ones, counts, 0)
			a.Free(d, ones)
			next(1)
		})

		a.KeepTail("")
		a.Comment("Longer rows.")
		a.Label(long)
		a.LoadArg("x", x)
		a.LoadArg("rows", rows)
		b, q, full, stop, k := a.Reg(), a.Reg(), a.Reg(), a.Reg(), a.Reg()
		a.eachRow(x, rows, func() {
			block := a.NewLabel("block")
			a.Mov(x, p)
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
			grew, search, found := a.NewLabel("grew"), a.NewLabel("search"), a.NewLabel("found")
			a.Mov(b, full)
			a.AndImm(-step, full)
			a.ShiftReg(2, full)
			a.AddReg(p, full)
			a.StoreUni(m, maxs, 0)
			a.StoreLane0(sum, counts, 0)
			a.Mov(full, stop)
			a.Mov(p, q)
			a.JumpGreater(m, before, grew)
			a.FreeUniform(before)
			a.Jump(found)
			a.Label(grew)
			a.Mov(p, stop)
			a.Label(search)
			a.JumpIf(stop, ">=", full, found)
			a.JumpAnyEq(stop, m, found)
			a.AddImm(4*step, stop)
			a.Jump(search)

			a.Comment("The sum.")
			loop, special, done := a.NewLabel("loop"), a.NewLabel("special"), a.NewLabel("done")
			a.Label(found)
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
			tail, inside := a.NewLabel("tail"), a.NewLabel("inside")
			a.Label(special)
			a.MovImm(step, k)
			a.JumpIf(q, "<", full, inside)
			a.Mov(b, k)
			a.AndImm(step-1, k)
			a.JumpIfImm(k, "==", 0, done)
			a.Label(inside)
			ones := a.Vec("ones")
			a.Set(ones, zero)
			a.Label(tail)
			d := a.Vec("d")
			a.LoadTail(d, q, k, low)
			one := split(d)
			a.Add(sum, d)
			a.Add(ones, one)
			a.Free(d, one)
			a.AddImm(4*lanes, q)
			a.AddImm(-lanes, k)
			a.JumpIfImm(k, ">", 0, tail)
			a.FoldAdd(ones)
			seen := a.Vec("seen")
			a.LoadLane0(seen, counts, 0)
			a.AddLane0(ones, seen)
			a.StoreLane0(ones, counts, 0)
			a.Free(ones, seen)
			a.JumpIf(stop, "==", full, done)
			a.Mov(full, stop)
			a.Jump(found)

			a.Label(done)
			a.FoldAdd(sum)
			a.StoreLane0(sum, sums, 0)
			a.Free(sum)
			next(1)
			a.SubReg(b, n)
			a.AddImm(4*blockSize, p)
			a.JumpIfImm(n, ">", 0, block)
		})
	},
}
