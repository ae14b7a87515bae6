package main

var scaleKernel = kernel{
	name: "scale",
	doc:  `Each block of 2048 elements of the rows of x is multiplied by its factor.`,
	args: []arg{{"x", "*float32"}, {"factor", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		zero := a.ConstReg(0)
		f := a.Uniform()
		factor, p, n, b := a.Arg("factor"), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.Mov(x, p)
			a.LoadArg("cols", n)
			block := a.NewLabel("block")
			a.Label(block)
			a.LoadUni(f, factor, 0)
			a.AddImm(4, factor)
			a.TakeBlock(n, b)
			a.SubReg(b, n)
			a.Steps(p, b, func() {
				x := a.Vec("x")
				for i := range 4 {
					a.Load(x, p, 4*lanes*i)
					a.MulUni(x, x, f)
					a.Store(x, p, 4*lanes*i)
				}
				a.Free(x)
			}, nil, func() {
				x := a.Vec("x")
				a.LoadTail(x, p, b, zero)
				a.MulUni(x, x, f)
				a.StoreTail(x, p, b)
				a.Free(x)
			})
			a.JumpIfImm(n, ">", 0, block)
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
