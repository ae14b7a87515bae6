package main

var sumKernel = kernel{
	name: "sum",
	doc: `dst[i] is the sum of row i. Every 64 elements of a block of 4096 are added up to
16 lanes, (j + (j+16)) + ((j+32) + (j+48)), and those to four sums in turn, 256
elements at a time; what is left goes to the first sum, the end of the row vector
by vector. The sums are added, their lanes folded by halves, and the blocks
added up in float64.`,
	args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) { a.Either("cols", "<=", lanes, a.sumLong, a.sumShort) },
}

func (a *Asm) sumLong() {
	zero, dst, p, n, alone := a.Const(0), a.Arg("dst"), a.Reg(), a.Reg(), a.NewLabel("alone")
	rest := a.Arg("cols")
	a.Mov(rest, n)
	a.AndImm(lanes-1, rest)
	a.KeepTail(rest)
	a.JumpIfImm(n, ">", blockSize, alone)
	a.sums(dst, zero, alone, func(x Reg) *Vec {
		a.Mov(x, p)
		a.LoadArg("cols", n)
		return a.blockTotal(p, n, zero, a.elements(p, false), a.lastOnes(p, rest, zero), func(int) {})
	})
	a.Label(alone)
	a.Far(func(far bool) {
		a.ReadRows(func(x Reg) {
			a.Mov(x, p)
			a.LoadArg("cols", n)
			a.total(dst, p, n, a.elements(p, far), a.lastOnes(p, rest, zero), func(int) {})
		})
	})
}

// sumShort does rows of one vector.
func (a *Asm) sumShort() {
	zero, dst, n, alone := a.Const(0), a.Arg("dst"), a.Arg("cols"), a.NewLabel("alone")
	none := a.Vec("zero")
	a.Set(none, zero)
	a.KeepTail(n)
	row := func(x Reg) *Vec {
		v := a.Vec("x")
		a.LoadTail(v, x, n, zero)
		a.Add(v, none)
		return v
	}
	a.sums(dst, zero, alone, row)
	a.Label(alone)
	a.ReadRows(func(x Reg) {
		v := row(x)
		a.FoldAdd(v)
		a.StoreDouble(none, dst)
		a.AddDouble(v, dst)
		a.Free(v)
		a.AddImm(8, dst)
	})
}

// sums stores the sums of rows, which row returns a sum of lane by lane. It leaves a few
// rows to alone.
func (a *Asm) sums(dst Reg, zero Uni, alone string, row func(x Reg) *Vec) {
	a.Sixteens(opAdd, alone, row, func(s *Vec, rows Reg) {
		a.StoreDoubles(rows, func(half int) *Vec {
			v := a.Vec("v")
			a.WidenHalf(v, s, half)
			a.op(opAdd64, v, zero, v)
			return v
		}, dst)
	})
}

// elements returns a term of total that is the elements at p themselves, which asks for
// others far ahead if it is to, and lastOnes the tail, of that many.
func (a *Asm) elements(p Reg, far bool) func(i int) *Vec {
	return func(i int) *Vec {
		if far && a.lo == 0 {
			a.Prefetch(p, farAhead+4*lanes*i)
		}
		x := a.Vec("x")
		a.Load(x, p, 4*lanes*i)
		return x
	}
}

func (a *Asm) lastOnes(p, rest Reg, zero Uni) func(n Reg) *Vec {
	return func(Reg) *Vec {
		x := a.Vec("x")
		a.LoadTail(x, p, rest, zero)
		return x
	}
}

// total adds up a row, or what term makes of each vector, as sum does: it stores
// the sum at dst and moves dst on. term is for vector i after p; tail for the
// vector at p, of which n lanes count, not all; moveOn moves other pointers than p.
func (a *Asm) total(dst, p, n Reg, term func(i int) *Vec, tail func(n Reg) *Vec, moveOn func(elements int)) {
	zero, size := a.Const(0), a.Reg()
	t := a.Vec("t")
	a.Set(t, zero)
	a.StoreDouble(t, dst)
	a.Free(t)
	block := a.NewLabel("block")
	a.Label(block)
	a.TakeBlock(n, size)
	a.SubReg(size, n)
	s := a.blockTotal(p, size, zero, term, tail, moveOn)
	a.FoldAdd(s)
	a.AddDouble(s, dst)
	a.Free(s)
	a.JumpIfImm(n, ">", 0, block)
	a.AddImm(8, dst)
	a.FreeReg(size)
	a.FreeConst(zero)
}

// blockTotal is total for a block, and returns the sums of its lanes.
func (a *Asm) blockTotal(p, size Reg, zero Uni, term func(i int) *Vec, tail func(n Reg) *Vec, moveOn func(elements int)) *Vec {
	s := a.Vecs(4, "s")
	for _, s := range s {
		a.Set(s, zero)
	}
	add := func(s *Vec, first int) {
		a.ByPair(func() {
			x, y := term(first), term(first+1)
			a.Add(x, y)
			a.Free(y)
			y, z := term(first+2), term(first+3)
			a.Add(y, z)
			a.Free(z)
			a.Add(x, y)
			a.Add(s, x)
			a.Free(x, y)
		})
	}
	many, few := a.NewLabel("many"), a.NewLabel("few")
	a.JumpIfImm(size, "<", 4*step, few)
	a.Label(many)
	for i, s := range s {
		add(s, 4*i)
	}
	a.AddImm(16*step, p)
	moveOn(4 * step)
	a.AddImm(-4*step, size)
	a.JumpIfImm(size, ">=", 4*step, many)
	a.Label(few)
	a.Add(s[2], s[3])
	a.Free(s[3])
	one := func(x *Vec) {
		a.Add(s[0], x)
		a.Free(x)
		moveOn(lanes)
	}
	a.Vectors(p, size, func() {
		add(s[0], 0)
		moveOn(step)
	}, func() { one(term(0)) }, func() { one(tail(size)) })
	a.Add(s[0], s[1])
	a.Add(s[0], s[2])
	a.Free(s[1], s[2])
	return s[0]
}
