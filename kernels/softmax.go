package main

var expSumKernel = kernel{
	name: "expSum",
	doc:  `Row i of dst is e^(x - max[i]), and sum[i] is its sum, added up as in sumExp.`,
	args: []arg{{"dst", "*float32"}, {"sum", "*float64"}, {"x", "*float32"}, {"max", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		low, zero := a.Const(negInf), a.Const(0)
		exp := a.newExpMinus(exp6)
		m := a.Uniform()
		dst, sum, max, p, q, n, b := a.Arg("dst"), a.Arg("sum"), a.Arg("max"), a.Reg(), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			block := a.NewLabel("block")
			a.LoadUni(m, max, 0)
			a.AddImm(4, max)
			a.Mov(x, p)
			a.Mov(dst, q)
			a.LoadArg("cols", n)
			s := a.Vec("s")
			a.Set(s, zero)
			a.StoreDouble(s, sum)
			a.Label(block)
			a.TakeBlock(n, b)
			a.SubReg(b, n)
			a.Steps(p, b, func() {
				a.ByPart(func() {
					d := a.Vecs(4, "d")
					for i, d := range d {
						a.Load(d, p, 4*lanes*i)
						a.SubUni(d, d, m)
					}
					e := exp.of(a, d)
					for i, e := range e {
						a.Store(e, q, 4*lanes*i)
					}
					a.Add(e[0], e[1])
					a.Add(e[2], e[3])
					a.Add(e[0], e[2])
					a.Add(s, e[0])
					a.Free(d...)
					a.Free(e...)
				})
				a.AddImm(4*step, q)
			}, nil, func() {
				d := a.Vec("d")
				a.LoadTail(d, p, b, low)
				a.SubUni(d, d, m)
				e := exp.of(a, []*Vec{d})[0]
				a.StoreTail(e, q, b)
				a.Add(s, e)
				a.Free(d, e)
				a.AddImm(4*lanes, q)
			})
			a.FoldAdd(s)
			a.AddDouble(s, sum)
			a.Set(s, zero)
			a.JumpIfImm(n, ">", 0, block)
			a.Free(s)
			a.AddImm(8, sum)
			a.Advance(dst, "dstStride")
		})
	},
}

var scaleKernel = kernel{
	name: "scale",
	doc:  `Row i of x is multiplied by factor[i].`,
	args: []arg{{"x", "*float32"}, {"factor", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		zero := a.ConstReg(0)
		f := a.Uniform()
		factor, p, n := a.Arg("factor"), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.LoadUni(f, factor, 0)
			a.AddImm(4, factor)
			a.Mov(x, p)
			a.LoadArg("cols", n)
			a.Steps(p, n, func() {
				x := a.Vec("x")
				for i := range 4 {
					a.Load(x, p, 4*lanes*i)
					a.MulUni(x, x, f)
					a.Store(x, p, 4*lanes*i)
				}
				a.Free(x)
			}, nil, func() {
				x := a.Vec("x")
				a.LoadTail(x, p, n, zero)
				a.MulUni(x, x, f)
				a.StoreTail(x, p, n)
				a.Free(x)
			})
		})
	},
}

var shiftKernel = kernel{
	name: "shift",
	doc:  `Row i of dst is (x - max[i]) - log[i].`,
	args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"max", "*float32"}, {"log", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		zero := a.ConstReg(0)
		m, s := a.Uniform(), a.Uniform()
		dst, max, log, p, q, n := a.Arg("dst"), a.Arg("max"), a.Arg("log"), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.LoadUni(m, max, 0)
			a.LoadUni(s, log, 0)
			a.AddImm(4, max)
			a.AddImm(4, log)
			a.Mov(x, p)
			a.Mov(dst, q)
			a.LoadArg("cols", n)
			a.Steps(p, n, func() {
				x := a.Vec("x")
				for i := range 4 {
					a.Load(x, p, 4*lanes*i)
					a.SubUni(x, x, m)
					a.SubUni(x, x, s)
					a.Store(x, q, 4*lanes*i)
				}
				a.Free(x)
				a.AddImm(4*step, q)
			}, nil, func() {
				x := a.Vec("x")
				a.LoadTail(x, p, n, zero)
				a.SubUni(x, x, m)
				a.SubUni(x, x, s)
				a.StoreTail(x, q, n)
				a.Free(x)
				a.AddImm(4*lanes, q)
			})
			a.Advance(dst, "dstStride")
		})
	},
}
