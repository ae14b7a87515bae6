package main

// A difference describes a kernel over d = x - y: the loss that is added up, and
// the derivative, which is multiplied by the factor at scale.
type difference struct {
	loss  func(a *Asm, d *Vec) *Vec
	slope func(a *Asm, d *Vec) // replaces d
}

func newSquare(a *Asm, grad bool) difference {
	f := difference{loss: func(a *Asm, d *Vec) *Vec {
		t := a.Vec("t")
		a.op(opMul, d, d, t)
		return t
	}}
	if grad {
		f.slope = func(a *Asm, d *Vec) { a.Add(d, d) }
	}
	return f
}

// newDistance: the sign of d is d times 2^150, held between -1 and 1; that of
// 0 is 0, that of a NaN a NaN.
func newDistance(a *Asm, grad bool) difference {
	magnitude := a.Const(0x7fffffff)
	f := difference{loss: func(a *Asm, d *Vec) *Vec {
		t := a.Vec("t")
		a.op(opAnd, d, magnitude, t)
		return t
	}}
	if grad {
		low, high := a.ConstReg(bits(-1)), a.ConstReg(bits(1))
		big, small := a.Const(bits(0x1p127)), a.Const(bits(0x1p23))
		f.slope = func(a *Asm, d *Vec) {
			a.MulUni(d, d, big)
			a.MulUni(d, d, small)
			a.AtLeast(d, low)
			a.AtMost(d, high)
		}
	}
	return f
}

var (
	pairArgs = []arg{{"dst", "*float64"}, {"x", "*float32"}, {"y", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"stride", "int"}, {"yStride", "int"}}
	pairGradArgs = []arg{{"dst", "*float64"}, {"grad", "*float32"}, {"x", "*float32"}, {"y", "*float32"}, {"scale", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"gradStride", "int"}, {"stride", "int"}, {"yStride", "int"}, {"stream", "int"}}

	squareKernel = kernel{
		name: "square",
		doc:  `dst[i] is the sum of (x - y)^2 over row i. It adds up as sum does.`,
		args: pairArgs,
		body: func(a *Asm) { a.pairRows(newSquare(a, false), false) },
	}
	squareGradKernel = kernel{
		name: "squareGrad",
		doc: `dst[i] is the sum of (x - y)^2 over row i, and row i of grad is 2 (x - y) scale. If stream is
not 0 it goes past the caches, and grad and its rows are aligned to 64 bytes.`,
		args: pairGradArgs,
		body: func(a *Asm) {
			f := newSquare(a, true)
			a.Streams(func(stream bool) { a.pairRows(f, stream) })
		},
	}
	distanceKernel = kernel{
		name: "distance",
		doc:  `dst[i] is the sum of |x - y| over row i. It adds up as sum does.`,
		args: pairArgs,
		body: func(a *Asm) { a.pairRows(newDistance(a, false), false) },
	}
	distanceGradKernel = kernel{
		name: "distanceGrad",
		doc: `dst[i] is the sum of |x - y| over row i, and row i of grad is the sign of x - y times
scale. If stream is not 0 it goes past the caches, and grad and its rows are
aligned to 64 bytes.`,
		args: pairGradArgs,
		body: func(a *Asm) {
			f := newDistance(a, true)
			a.Streams(func(stream bool) { a.pairRows(f, stream) })
		},
	}
)

// pairRows writes the loop over the rows of x and y, and of grad if f has a slope.
func (a *Asm) pairRows(f difference, stream bool) {
	zero := a.Const(0)
	dst, y, p, q, n := a.Arg("dst"), a.Arg("y"), a.Reg(), a.Reg(), a.Reg()
	var g, r Reg
	var scale Uni
	if f.slope != nil {
		scale = a.Uniform()
		g, r = a.Arg("scale"), a.Reg()
		a.LoadUni(scale, g, 0)
		a.LoadArg("grad", g)
	}
	a.Rows(func(x Reg) {
		a.Mov(x, p)
		a.Mov(y, q)
		if f.slope != nil {
			a.Mov(g, r)
		}
		a.LoadArg("cols", n)
		a.total(dst, p, n, func(i int) *Vec {
			d := a.Vec("d")
			a.Load(d, p, 4*lanes*i)
			a.SubLoad(d, q, 4*lanes*i)
			t := f.loss(a, d)
			if f.slope != nil {
				f.slope(a, d)
				a.MulUni(d, d, scale)
				if stream {
					a.StoreStream(d, r, 4*lanes*i)
				} else {
					a.Store(d, r, 4*lanes*i)
				}
			}
			a.Free(d)
			return t
		}, func(n Reg) *Vec {
			d, v := a.Vec("d"), a.Vec("y")
			a.LoadTail(d, p, n, zero)
			a.LoadTail(v, q, n, zero)
			a.Sub(d, v)
			a.Free(v)
			t := f.loss(a, d)
			if f.slope != nil {
				f.slope(a, d)
				a.MulUni(d, d, scale)
				a.StoreTail(d, r, n)
			}
			a.Free(d)
			return t
		}, func(elements int) {
			a.AddImm(4*elements, q)
			if f.slope != nil {
				a.AddImm(4*elements, r)
			}
		})
		a.Advance(y, "yStride")
		if f.slope != nil {
			a.Advance(g, "gradStride")
		}
	})
	for _, r := range []Reg{n, q, p, y, dst} {
		a.FreeReg(r)
	}
	if f.slope != nil {
		a.FreeReg(r)
		a.FreeReg(g)
		a.FreeUniform(scale)
	}
	a.FreeConst(zero)
}
