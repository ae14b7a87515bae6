package main

var dotKernel = kernel{
	name: "dot",
	doc: `dst[i] is the sum of w[j] (x - base[i]) over row i, or of x - base[i] if w is
nil. It adds up as sum does.`,
	args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"base", "*float32"}, {"w", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		plain := a.NewLabel("plain")
		w := a.Arg("w")
		a.JumpIfImm(w, "==", 0, plain)
		a.dotRows(w)
		a.Label(plain)
		a.FreeReg(w)
		a.dotRows("")
	},
}

// dotRows writes the loop with weights, or without if w is "".
func (a *Asm) dotRows(w Reg) {
	zero := a.ConstReg(0)
	b := a.Uniform()
	dst, base, p, n, size := a.Arg("dst"), a.Arg("base"), a.Reg(), a.Reg(), a.Reg()
	var q Reg
	if w != "" {
		q = a.Reg()
	}
	a.Rows(func(x Reg) {
		a.LoadUni(b, base, 0)
		a.AddImm(4, base)
		a.Mov(x, p)
		if w != "" {
			a.Mov(w, q)
		}
		a.LoadArg("cols", n)
		t := a.Vec("t")
		a.Set(t, zero)
		a.StoreDouble(t, dst)
		a.Free(t)
		block := a.NewLabel("block")
		a.Label(block)
		a.TakeBlock(n, size)
		a.SubReg(size, n)
		s := a.Vecs(4, "s")
		for _, s := range s {
			a.Set(s, zero)
		}
		a.Steps(p, size, func() {
			a.ByPart(func() {
				for i, s := range s {
					x := a.Vec("x")
					a.Load(x, p, 4*lanes*i)
					a.SubUni(x, x, b)
					if w != "" {
						v := a.Vec("w")
						a.Load(v, q, 4*lanes*i)
						a.MulAddVec(s, x, v)
						a.Free(v)
					} else {
						a.Add(s, x)
					}
					a.Free(x)
				}
			})
			if w != "" {
				a.AddImm(4*step, q)
			}
		}, func() {
			a.Add(s[0], s[1])
			a.Add(s[2], s[3])
			a.Add(s[0], s[2])
			a.Free(s[1:]...)
		}, func() {
			x := a.Vec("x")
			a.LoadTail(x, p, size, b)
			a.SubUni(x, x, b)
			if w != "" {
				v := a.Vec("w")
				a.LoadTail(v, q, size, zero)
				a.MulAddVec(s[0], x, v)
				a.Free(v)
				a.AddImm(4*lanes, q)
			} else {
				a.Add(s[0], x)
			}
			a.Free(x)
		})
		a.FoldAdd(s[0])
		a.AddDouble(s[0], dst)
		a.Free(s[0])
		a.JumpIfImm(n, ">", 0, block)
		a.AddImm(8, dst)
	})
	for _, r := range []Reg{size, n, p, base, dst} {
		a.FreeReg(r)
	}
	if w != "" {
		a.FreeReg(q)
	}
	a.FreeUniform(b)
	a.FreeUniform(zero)
}
