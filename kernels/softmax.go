package main

var scaleKernel = kernel{
	name: "scale",
	doc: `Row i of dst is row i of x, each block of 4096 elements times its factor, plus
add[i], with one rounding, or without it if add is nil.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"factor", "*float32"}, {"add", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { a.Forms("add", func(add bool) { a.scaleRows(add, false) }) },
}

var scaleWeightedKernel = kernel{
	name: "scaleWeighted",
	doc: `Row i of dst is row i of x, each block of 4096 elements times its factor, to which
add[i] w[j] is added, with one rounding.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"factor", "*float32"}, {"add", "*float32"}, {"w", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { a.scaleRows(true, true) },
}

// scaleRows writes scale, with something to add or without, or scaleWeighted. On a
// Zen 4 the product alone takes 2.0 cycles for 16 elements, what their store does;
// an FMA beside the store takes 2.6.
func (a *Asm) scaleRows(plus, weighted bool) {
	zero := a.ConstReg(0)
	f := a.Uniform()
	dst, factor, p, q, n, b := a.Arg("dst"), a.Arg("factor"), a.Reg(), a.Reg(), a.Reg(), a.Reg()
	var c Uni
	var add Reg
	if plus {
		c, add = a.Uniform(), a.Arg("add")
	}
	var w Reg
	if weighted {
		w = a.Reg()
	}
	// line does one vector, which load and loadWeights fetch.
	line := func(load, loadWeights func(v *Vec), store func(v *Vec)) {
		x := a.Vec("x")
		if weighted {
			v := a.Vec("w")
			loadWeights(v)
			load(x)
			a.HornerUni(x, f, zero)
			a.MulAdd(x, v, c)
			a.Free(v)
		} else if load(x); plus {
			a.HornerUni(x, f, c)
		} else {
			a.MulUni(x, x, f)
		}
		store(x)
		a.Free(x)
	}
	moveOn := func(elements int) {
		a.AddImm(4*elements, q)
		if weighted {
			a.AddImm(4*elements, w)
		}
	}
	a.Rows(func(x Reg) {
		a.Mov(x, p)
		a.Mov(dst, q)
		if weighted {
			a.LoadArg("w", w)
		}
		a.LoadArg("cols", n)
		if plus {
			a.LoadUni(c, add, 0)
			a.AddImm(4, add)
		}
		block := a.NewLabel("block")
		a.Label(block)
		a.LoadUni(f, factor, 0)
		a.AddImm(4, factor)
		a.TakeBlock(n, b)
		a.SubReg(b, n)
		tail := func(n Reg) {
			line(func(v *Vec) { a.LoadTail(v, p, n, zero) }, func(v *Vec) { a.LoadTail(v, w, n, zero) },
				func(v *Vec) { a.StoreTail(v, q, n) })
		}
		others := []Reg{p}
		if weighted {
			others = append(others, w)
		}
		a.Align(false, b, tail, q, others...)
		a.Steps(p, b, func() {
			for i := range 4 {
				line(func(v *Vec) { a.Load(v, p, 4*lanes*i) }, func(v *Vec) { a.Load(v, w, 4*lanes*i) },
					func(v *Vec) { a.Store(v, q, 4*lanes*i) })
			}
			moveOn(step)
		}, func() {
			tail(b)
			moveOn(lanes)
		})
		a.ShiftReg(2, b) // not past the block, of which alignment may leave a part of a vector
		for _, r := range append(others, q) {
			a.AddReg(b, r)
		}
		a.JumpIfImm(n, ">", 0, block)
		a.Advance(dst, "dstStride")
	})
}

var addScaledKernel = kernel{
	name: "addScaled",
	doc:  `Row i of dst grows by row i of x times factor[i], with one rounding.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"factor", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		zero := a.ConstReg(0)
		f := a.Uniform()
		dst, factor, p, q, n := a.Arg("dst"), a.Arg("factor"), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.LoadUni(f, factor, 0)
			a.AddImm(4, factor)
			a.Mov(x, p)
			a.Mov(dst, q)
			a.LoadArg("cols", n)
			whole := func(vectors int) {
				x, y := a.Vec("x"), a.Vec("y")
				for i := range vectors {
					a.Load(x, p, 4*lanes*i)
					a.Load(y, q, 4*lanes*i)
					a.MulAdd(y, x, f)
					a.Store(y, q, 4*lanes*i)
				}
				a.Free(x, y)
				a.AddImm(4*lanes*vectors, q)
			}
			tail := func(n Reg) {
				x, y := a.Vec("x"), a.Vec("y")
				a.LoadTail(x, p, n, zero)
				a.LoadTail(y, q, n, zero)
				a.MulAdd(y, x, f)
				a.StoreTail(y, q, n)
				a.Free(x, y)
			}
			a.Align(false, n, tail, q, p)
			a.Vectors(p, n, func() { whole(4) }, func() { whole(1) }, func() { tail(n) })
			a.Advance(dst, "dstStride")
		})
	},
}

var shiftKernel = kernel{
	name: "shift",
	doc: `Row i of dst is (x - max[i]) - log[i]. It goes past the caches if stream is not
0.`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"max", "*float32"}, {"log", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}, {"stream", "int"}},
	body: func(a *Asm) {
		a.Either("cols", "<=", lanes, func() { a.Streams(a.shiftRows) }, a.shiftShort)
	},
}

// shiftTail does the last n elements of a row, at most a vector.
func (a *Asm) shiftTail(x, dst, n Reg, m, s, zero Uni) {
	v := a.Vec("x")
	a.LoadTail(v, x, n, zero)
	a.SubUni(v, v, m)
	a.SubUni(v, v, s)
	a.StoreTail(v, dst, n)
	a.Free(v)
}

// shiftShort does rows of one vector.
func (a *Asm) shiftShort() {
	zero, m, s := a.Const(0), a.Uniform(), a.Uniform()
	dst, max, log, n := a.Arg("dst"), a.Arg("max"), a.Arg("log"), a.Arg("cols")
	a.KeepTail(n)
	a.Rows(func(x Reg) {
		a.LoadUni(m, max, 0)
		a.LoadUni(s, log, 0)
		a.shiftTail(x, dst, n, m, s, zero)
		a.AddImm(4, max)
		a.AddImm(4, log)
		a.Advance(dst, "dstStride")
	})
}

func (a *Asm) shiftRows(stream bool) {
	zero := a.ConstReg(0)
	m, s := a.Uniform(), a.Uniform()
	dst, max, log, p, q, n := a.Arg("dst"), a.Arg("max"), a.Arg("log"), a.Reg(), a.Reg(), a.Reg()
	tail := func(n Reg) { a.shiftTail(p, q, n, m, s, zero) }
	a.Rows(func(x Reg) {
		a.LoadUni(m, max, 0)
		a.LoadUni(s, log, 0)
		a.AddImm(4, max)
		a.AddImm(4, log)
		a.Mov(x, p)
		a.Mov(dst, q)
		a.LoadArg("cols", n)
		a.Align(stream, n, tail, q, p)
		a.Steps(p, n, func() {
			x := a.Vec("x")
			for i := range 4 {
				a.Load(x, p, 4*lanes*i)
				a.SubUni(x, x, m)
				a.SubUni(x, x, s)
				a.StoreTo(stream, x, q, 4*lanes*i)
			}
			a.Free(x)
			a.AddImm(4*step, q)
		}, func() {
			tail(n)
			a.AddImm(4*lanes, q)
		})
		a.Advance(dst, "dstStride")
	})
	for _, r := range []Reg{n, q, p, log, max, dst} {
		a.FreeReg(r)
	}
	a.FreeUniform(m)
	a.FreeUniform(s)
	a.FreeConst(zero)
}
