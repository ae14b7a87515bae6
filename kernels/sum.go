package main

var sumKernel = kernel{
	name: "sum",
	doc: `dst[i] is the sum of row i. In a block of 2048 elements, lane j of 64 adds up
elements j, j+64, ...; the lanes are folded by halves, the blocks in float64.`,
	args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		zero := a.ConstReg(0)
		dst, p, n, b := a.Arg("dst"), a.Reg(), a.Reg(), a.Reg()
		a.Rows(func(x Reg) {
			a.Mov(x, p)
			a.LoadArg("cols", n)
			t := a.Vec("t")
			a.Set(t, zero)
			a.StoreDouble(t, dst)
			a.Free(t)
			block := a.NewLabel("block")
			a.Label(block)
			a.TakeBlock(n, b)
			a.SubReg(b, n)
			s := a.Vecs(4, "s")
			for _, s := range s {
				a.Set(s, zero)
			}
			a.Steps(p, b, func() {
				for i, s := range s {
					a.AddLoad(s, p, 4*lanes*i)
				}
			}, func() {
				a.Add(s[0], s[1])
				a.Add(s[2], s[3])
				a.Add(s[0], s[2])
				a.Free(s[1:]...)
			}, func() {
				x := a.Vec("x")
				a.LoadTail(x, p, b, zero)
				a.Add(s[0], x)
				a.Free(x)
			})
			a.FoldAdd(s[0])
			a.AddDouble(s[0], dst)
			a.Free(s[0])
			a.JumpIfImm(n, ">", 0, block)
			a.AddImm(8, dst)
		})
	},
}
