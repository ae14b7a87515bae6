package main

var dotKernel = kernel{
	name: "dot",
	doc:  `dst[i] is the sum of y (x - base[i]) over row i. It adds up as sum does.`,
	args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"base", "*float32"}, {"y", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"stride", "int"}, {"yStride", "int"}},
	body: func(a *Asm) {
		zero := a.Const(0)
		b := a.Uniform()
		y, dst, base, p, n, q := a.Arg("y"), a.Arg("dst"), a.Arg("base"), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.LoadUni(b, base, 0)
			a.AddImm(4, base)
			a.Mov(x, p)
			a.Mov(y, q)
			a.LoadArg("cols", n)
			a.total(dst, p, n, func(i int) *Vec {
				x := a.Vec("x")
				a.Load(x, p, 4*lanes*i)
				a.SubUni(x, x, b)
				a.MulLoad(x, q, 4*lanes*i)
				return x
			}, func(n Reg) *Vec {
				x, v := a.Vec("x"), a.Vec("y")
				a.LoadTail(x, p, n, b)
				a.SubUni(x, x, b)
				a.LoadTail(v, q, n, zero)
				a.Mul(x, v)
				a.Free(v)
				return x
			}, func(elements int) { a.AddImm(4*elements, q) })
			a.Advance(y, "yStride")
		})
	},
}
