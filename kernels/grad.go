package main

// newExp returns what replaces xs by other values and returns their
// exponentials, over all of float32: the arithmetic of the kernel exp. Its constants
// leave n registers free.
func (a *Asm) newExp(n int) func(xs []*Vec) []*Vec {
	low, high := a.ConstReg(bits(-104.5)), a.ConstReg(bits(89.5))
	kLog2e, kRound := a.Const(bits(log2e)), a.Const(bits(round+254))
	kLn2, kLn2lo := a.Const(bits(-ln2)), a.Const(bits(-ln2lo))
	one, c := a.Addend(bits(1)), a.coefficients(exp6)
	a.keep(n, &kRound, &one, &kLog2e, &kLn2, &kLn2lo)
	a.keepCoefficients(n, c)
	return func(xs []*Vec) []*Vec {
		ps, ts := make([]*Vec, len(xs)), make([]*Vec, len(xs))
		for i, x := range xs {
			a.AtLeast(x, low)
			a.AtMost(x, high)
			ts[i] = a.Vec("t")
			a.MulAddUni(ts[i], x, kLog2e, kRound)
		}
		for i, x := range xs {
			ps[i] = a.Vec("p")
			n := ps[i]
			if a.isa.scales() {
				n = ts[i]
			}
			a.SubUni(n, ts[i], kRound)
			a.MulAdd(x, n, kLn2)
			a.MulAdd(x, n, kLn2lo)
		}
		a.polynomial(ps, xs, c, one)
		for i, x := range xs {
			a.Scale(ps[i], ts[i], x)
		}
		a.Free(ts...)
		return ps
	}
}

var innerKernel = kernel{
	name: "inner",
	doc: `dst[i] is the sum of x y over row i, or of x if y is nil, in float64. Element j of
every 32 goes to lane j%8 of sum j/8, and at the end of the row, after the last 64,
element j of 16 to lane j%8 of sum j/8. The sums are added and their lanes folded
by halves.`,
	args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"y", "*float32"},
		{"rows", "int"}, {"cols", "int"}, {"stride", "int"}, {"yStride", "int"}},
	body: func(a *Asm) {
		plain := a.NewLabel("plain")
		y := a.Arg("y")
		a.JumpIfImm(y, "==", 0, plain)
		a.innerRows(y)
		a.Label(plain)
		a.FreeReg(y)
		a.innerRows("")
	},
}

// tailToWiden puts the end of a row, and fill behind it, into a slot of the stack, where
// LoadWide finds all of its lanes, and returns the address.
func (a *Asm) tailToWiden(p, n Reg, fill Uni, slot int) Reg {
	v, local := a.Vec("v"), a.Local(slot)
	a.LoadTail(v, p, n, fill)
	a.Store(v, local, 0)
	a.Free(v)
	return local
}

// innerRows writes the loop with y, or without if it is "".
func (a *Asm) innerRows(y Reg) {
	zero := a.Const(0)
	dst, p, n := a.Arg("dst"), a.Reg(), a.Reg()
	var q Reg
	if y != "" {
		q = a.Reg()
	}
	s := a.Vecs(4, "s")
	add := func(s *Vec, p, q Reg, off int) {
		if y != "" {
			a.addWide(s, []Reg{p, q}, off)
		} else {
			a.addWide(s, []Reg{p}, off)
		}
	}
	a.Rows(func(x Reg) {
		for _, s := range s {
			a.Set(s, zero)
		}
		a.Mov(x, p)
		if y != "" {
			a.Mov(y, q)
		}
		a.LoadArg("cols", n)
		a.Vectors(p, n, func() {
			for i := range 8 {
				add(s[i%4], p, q, 32*i)
			}
			if y != "" {
				a.AddImm(4*step, q)
			}
		}, func() {
			add(s[0], p, q, 0)
			add(s[1], p, q, 32)
			if y != "" {
				a.AddImm(4*lanes, q)
			}
		}, func() {
			u, v := a.tailToWiden(p, n, zero, 0), Reg("")
			if y != "" {
				v = a.tailToWiden(q, n, zero, 1)
			}
			add(s[0], u, v, 0)
			add(s[1], u, v, 32)
			if y != "" {
				a.FreeReg(v)
			}
			a.FreeReg(u)
		})
		a.op(opAdd64, s[0], s[1], s[0])
		a.op(opAdd64, s[2], s[3], s[2])
		a.op(opAdd64, s[0], s[2], s[0])
		a.FoldAdd64(s[0])
		a.StoreDouble(s[0], dst)
		a.AddImm(8, dst)
		if y != "" {
			a.Advance(y, "yStride")
		}
	})
	a.Free(s...)
	a.FreeReg(n)
	a.FreeReg(p)
	a.FreeReg(dst)
	if y != "" {
		a.FreeReg(q)
	}
	a.FreeConst(zero)
}

// addWide adds to s, in float64, 8 elements at an offset or the products of two times 8.
func (a *Asm) addWide(s *Vec, bases []Reg, off int) {
	a.ByPair(func() {
		d := a.Vec("d")
		a.LoadWide(d, bases[0], off)
		if len(bases) == 2 {
			e := a.Vec("e")
			a.LoadWide(e, bases[1], off)
			a.MulAddVec64(s, d, e)
			a.Free(e)
		} else {
			a.op(opAdd64, s, d, s)
		}
		a.Free(d)
	})
}

var gradArgs = []arg{{"dst", "*float32"}, {"x", "*float32"}, {"y", "*float32"}, {"s", "*float64"},
	{"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}, {"yStride", "int"}, {"stream", "int"}}

var softmaxGradKernel = kernel{
	name: "softmaxGrad",
	doc: `Row i of dst is x (y - s[i]), s[i] being subtracted in two parts. It goes past
the caches if stream is not 0.`,
	args: gradArgs,
	body: func(a *Asm) {
		high, low := a.Uniform(), a.Uniform()
		row := func(s Reg) {
			a.LoadNarrow(high, s)
			a.LoadRest(low, high, s)
		}
		end := func(x, y *Vec) {
			a.SubUni(y, y, high)
			a.SubUni(y, y, low)
			a.Mul(y, x)
		}
		a.Streams(func(stream bool) { a.gradRows(row, nil, end, stream) })
	},
}

var logSoftmaxGradKernel = kernel{
	name: "logSoftmaxGrad",
	doc: `Row i of dst is y + s[i] e^x, e^x being that of exp. It goes past the caches if
stream is not 0.`,
	args: gradArgs,
	body: func(a *Asm) {
		f := a.Uniform()
		exp := a.newExp(3*a.turns() + 3)
		row := func(s Reg) { a.LoadNarrow(f, s) }
		end := func(x, y *Vec) { a.MulAdd(y, x, f) }
		a.Streams(func(stream bool) { a.gradRows(row, exp, end, stream) })
	},
}

// gradRows writes the loop over the rows of x and y. The function row reads s; of,
// if any, returns other Vecs for those of x; and end replaces y.
func (a *Asm) gradRows(row func(s Reg), of func(xs []*Vec) []*Vec, end func(x, y *Vec), stream bool) {
	zero := a.Const(0)
	dst, y, s := a.Arg("dst"), a.Arg("y"), a.Arg("s")
	p, q, r, n := a.Reg(), a.Reg(), a.Reg(), a.Reg()
	do := func(xs []*Vec, load, store func(i int, v *Vec)) {
		if of != nil {
			es := of(xs)
			a.Free(xs...)
			xs = es
		}
		for i, x := range xs {
			v := a.Vec("v")
			load(i, v)
			end(x, v)
			store(i, v)
			a.Free(x, v)
		}
	}
	tail := func(n Reg) {
		x := a.Vec("x")
		a.LoadTail(x, p, n, zero)
		do([]*Vec{x}, func(_ int, v *Vec) { a.LoadTail(v, q, n, zero) }, func(_ int, v *Vec) { a.StoreTail(v, r, n) })
	}
	a.Rows(func(x Reg) {
		row(s)
		a.AddImm(8, s)
		a.Mov(x, p)
		a.Mov(y, q)
		a.Mov(dst, r)
		a.LoadArg("cols", n)
		a.Align(stream, n, tail, r, p, q)
		a.Vectors(p, n, func() {
			a.Turns(func(first, n int) {
				xs := a.Vecs(n, "x")
				for i, x := range xs {
					a.Load(x, p, 4*lanes*(first+i))
					if of != nil {
						a.Prefetch(p, farSoon+4*lanes*(first+i))
					}
				}
				do(xs, func(i int, v *Vec) { a.Load(v, q, 4*lanes*(first+i)) }, func(i int, v *Vec) {
					a.StoreTo(stream, v, r, 4*lanes*(first+i))
				})
			})
			a.AddImm(4*step, q)
			a.AddImm(4*step, r)
		}, func() {
			x := a.Vec("x")
			a.Load(x, p, 0)
			do([]*Vec{x}, func(_ int, v *Vec) { a.Load(v, q, 0) }, func(_ int, v *Vec) { a.Store(v, r, 0) })
			a.AddImm(4*lanes, q)
			a.AddImm(4*lanes, r)
		}, func() { tail(n) })
		a.Advance(dst, "dstStride")
		a.Advance(y, "yStride")
	})
	for _, r := range []Reg{n, r, q, p, s, y, dst} {
		a.FreeReg(r)
	}
	a.FreeConst(zero)
}
