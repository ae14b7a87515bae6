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
	zero := a.Const(0)
	b := a.Uniform()
	dst, base, p, n := a.Arg("dst"), a.Arg("base"), a.Reg(), a.Reg()
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
		a.total(dst, p, n, func(i int) *Vec {
			x := a.Vec("x")
			a.Load(x, p, 4*lanes*i)
			a.SubUni(x, x, b)
			if w != "" {
				a.MulLoad(x, q, 4*lanes*i)
			}
			return x
		}, func(n Reg) *Vec {
			x := a.Vec("x")
			a.LoadTail(x, p, n, b)
			a.SubUni(x, x, b)
			if w != "" {
				v := a.Vec("w")
				a.LoadTail(v, q, n, zero)
				a.Mul(x, v)
				a.Free(v)
			}
			return x
		}, func(elements int) {
			if w != "" {
				a.AddImm(4*elements, q)
			}
		})
	})
	for _, r := range []Reg{n, p, base, dst} {
		a.FreeReg(r)
	}
	if w != "" {
		a.FreeReg(q)
	}
	a.FreeUniform(b)
	a.FreeConst(zero)
}
