package main

import "math"

// Rows of one vector are turned into columns, as many as a register has lanes,
// so that a row costs its columns and not a whole vector, and no fold.

var shortSoftmaxKernel = kernel{
	name: "shortSoftmax",
	doc: `For each row of at most 16 columns: max is its greatest x; sum the sum of
e^(x - max), but for terms of 1; and ones their number. If dst is not nil it is
set to e^(x - max) divided by the whole sum and times scale, which each row has
one of. The terms are added as if each were a lane of a vector, by halves.
scratch has 2*16*16 elements; it is there if there are 4 rows or more.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"},
		{"x", "*float32"}, {"scratch", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { writeShort(a, false) },
}

var shortSoftmaxDotKernel = kernel{
	name: "shortSoftmaxDot",
	doc: `It is shortSoftmax, sets dot to the sum of w[j] (x - max), added up like the others,
and adds w[j] add to dst; w is 1 where there are none.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"add", "*float32"},
		{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"scratch", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { writeShort(a, true) },
}

func writeShort(a *Asm, dots bool) {
	s := &short{Asm: a, dots: dots, low: a.Const(negInf), zero: a.Const(0), exp: a.newExpMinus(exp6)}
	s.x, s.rows, s.n, s.at = a.Arg("x"), a.Arg("rows"), a.Arg("cols"), a.Reg()
	others := 9
	if dots {
		others = 14
	}
	s.exp.keep(a, others)
	a.MovImm(0, s.at)
	a.KeepTail(s.n)
	if dots {
		s.copyWeights()
	}
	s.groups()
	single, done := a.NewLabel("single"), a.NewLabel("done")
	a.Label(single)
	a.JumpIfImm(s.rows, "<=", 0, done)
	s.single()
	a.AddImm(4, s.at)
	a.AddImm(-1, s.rows)
	a.Jump(single)
	a.Label(done)
	a.Ret()
}

type short struct {
	*Asm
	dots       bool // set dot, and add to dst
	low, zero  Uni
	exp        expMinus
	x, rows, n Reg
	at         Reg // 4 bytes for each row that is done
	w          Reg // 16 weights
}

// copyWeights puts the weights, and zeros behind them, where 16 can be read.
func (s *short) copyWeights() {
	s.w = s.Local(0)
	w, v, copied := s.Arg("w"), s.Vec("w"), s.NewLabel("copied")
	s.Set(v, s.exp.one)
	s.JumpIfImm(w, "==", 0, copied)
	s.LoadTail(v, w, s.n, s.zero)
	s.Label(copied)
	s.Store(v, s.w, 0)
	s.Free(v)
	s.FreeReg(w)
}

// place returns a register with the address of the row at hand's element of a parameter.
func (s *short) place(name string) Reg {
	p := s.Arg(name)
	s.AddReg(s.at, p)
	return p
}

// fetch loads the group's elements of a parameter.
func (s *short) fetch(name string) *Vec {
	v, p := s.Vec(name), s.place(name)
	s.Load(v, p, 0)
	s.FreeReg(p)
	return v
}

func (s *short) save(v *Vec, name string) {
	p := s.place(name)
	s.Store(v, p, 0)
	s.FreeReg(p)
}

// slot is the place of a column in scratch, which takes a register.
func (s *short) slot(col int) int { return 4 * col * s.isa.width() }

// groups does as many rows at once as a register has lanes. A group is loaded
// before the one in front of it is worked on, which hides how long that takes.
func (s *short) groups() {
	width := s.isa.width()
	here, next, loaded, known := s.Arg("scratch"), s.Reg(), s.Reg(), s.Reg()
	s.Mov(here, next)
	s.AddImm(s.slot(lanes), next)
	s.MovImm(0, known)
	group, work, swap, done := s.NewLabel("group"), s.NewLabel("work"), s.NewLabel("swap"), s.NewLabel("done")
	s.Label(group)
	s.MovImm(0, loaded)
	s.JumpIfImm(s.rows, "<", width, work)
	s.load(next, known)
	s.AddImm(-width, s.rows)
	s.MovImm(4*width, loaded)
	s.Label(work)
	s.JumpIfImm(known, "==", 0, swap)
	s.work(here)
	s.AddImm(4*width, s.at)
	s.Label(swap)
	s.JumpIfImm(loaded, "==", 0, done)
	s.Mov(loaded, known)
	s.Mov(here, loaded)
	s.Mov(next, here)
	s.Mov(loaded, next)
	s.Jump(group)
	s.Label(done)
	for _, r := range []Reg{known, loaded, next, here} {
		s.FreeReg(r)
	}
}

// load turns the rows at x into columns in scratch and finds their maxima, off
// bytes behind those at hand.
func (s *short) load(scratch, off Reg) {
	width := s.isa.width()
	stride := s.Arg("stride")
	s.ShiftReg(2, stride)
	s.Comment("Four by four elements change places, then the fours.")
	for row := 0; row < width; row += 4 {
		v := s.Vecs(4, "row")
		for _, v := range v {
			s.LoadTail(v, s.x, s.n, s.low)
			s.AddReg(stride, s.x)
		}
		s.Transpose(v)
		for part := range lanes / width {
			for i, v := range v {
				s.StorePart(v, part, scratch, s.slot(part*width+row+i))
			}
		}
		s.Free(v...)
	}
	s.FreeReg(stride)
	s.Narrow()
	m, start := s.Vec("m"), s.Const(bits(-math.MaxFloat32))
	s.Set(m, start)
	s.FreeConst(start)
	s.fours(scratch, nil, func(v *Vec) { s.Max(m, v) })
	p := s.place("max")
	s.AddReg(off, p)
	s.Store(m, p, 0)
	s.FreeReg(p)
	s.Free(m)
	s.Widen()
}

// work does the rows in scratch.
func (s *short) work(scratch Reg) {
	width := s.isa.width()
	s.Narrow()
	m, ones := s.fetch("max"), s.Vec("ones")
	s.Set(ones, s.zero)
	var sums, dots [4]*Vec
	for _, col := range []int{0, 2, 1, 3} {
		sums[col], dots[col] = s.column(scratch, col, m, ones)
		if col >= 2 {
			s.join(sums[col-2], sums[col])
			s.join(dots[col-2], dots[col])
		}
	}
	sum, dot := sums[0], dots[0]
	s.join(sum, sums[1])
	s.join(dot, dots[1])
	s.save(sum, "sum")
	s.save(ones, "ones")
	s.Free(m)
	if s.dots {
		s.save(dot, "dot")
		s.Free(dot)
	}

	last := s.NewLabel("last")
	dst := s.Arg("dst")
	s.JumpIfImm(dst, "==", 0, last)
	s.Add(sum, ones)
	f := s.fetch("scale")
	s.each(opDiv, f, sum, f)
	s.Free(ones, sum)
	var add *Vec
	if s.dots {
		add = s.fetch("add")
	}
	s.fours(scratch, func(v *Vec, col int) {
		s.Mul(v, f)
		if s.dots {
			w := s.weight(col)
			s.MulAdd(v, add, w)
			s.FreeUniform(w)
		}
	}, nil)
	s.Free(f)
	if s.dots {
		s.Free(add)
	}
	s.Widen()
	stride := s.Arg("dstStride")
	s.ShiftReg(2, stride)
	for row := 0; row < width; row += 4 {
		v := s.Vecs(4, "row")
		for part := range lanes / width {
			for i, v := range v {
				s.LoadPart(v, part, scratch, s.slot(part*width+row+i))
			}
		}
		s.Transpose(v)
		for _, v := range v {
			s.StoreTail(v, dst, s.n)
			s.AddReg(stride, dst)
		}
		s.Free(v...)
	}
	s.StoreArg("dst", dst)
	s.FreeReg(stride)
	s.Label(last)
	s.Widen()
	s.FreeReg(dst)
}

// weight returns the weight of a column.
func (s *short) weight(col int) Uni {
	w := s.Uniform()
	s.LoadUni(w, s.w, 4*col)
	return w
}

// fours turns fours of lanes in scratch into columns, or back. One function or
// the other is given each register, before or after.
func (s *short) fours(scratch Reg, before func(v *Vec, col int), after func(v *Vec)) {
	width := s.isa.width()
	for first := 0; first < lanes; first += width {
		for i := range 4 {
			v := s.Vecs(width/4, "four")
			for q, v := range v {
				col := first + 4*q + i
				s.Load(v, scratch, s.slot(col))
				if before != nil {
					before(v, col)
				}
			}
			s.TransposeFours(v)
			for q, v := range v {
				if after != nil {
					after(v)
				}
				s.Store(v, scratch, s.slot(first+4*q+i))
			}
			s.Free(v...)
		}
	}
}

// column returns the sums of the terms of columns col, col+8, col+4 and col+12.
func (s *short) column(scratch Reg, col int, m, ones *Vec) (sum, dot *Vec) {
	sum, dot = s.terms(scratch, col, m, ones)
	sums, dots := [2]*Vec{sum, s.Vec("sum")}, [2]*Vec{dot, nil}
	s.Set(sums[1], s.zero)
	if s.dots {
		dots[1] = s.Vec("dot")
		s.Set(dots[1], s.zero)
	}
	few := s.NewLabel("few")
	for _, at := range []int{4, 8, 12} {
		s.JumpIfImm(s.n, "<=", col+at, few)
		e, t := s.terms(scratch, col+at, m, ones)
		s.join(sums[at/4%2], e)
		s.join(dots[at/4%2], t)
	}
	s.Label(few)
	s.join(sum, sums[1])
	s.join(dot, dots[1])
	return sum, dot
}

// join adds other to v and frees it, unless both are nil.
func (s *short) join(v, other *Vec) {
	if v != nil {
		s.Add(v, other)
		s.Free(other)
	}
}

// terms returns e^(x - m), which stays in scratch, but 0 instead of 1, which ones
// counts. If there are to be dots it also returns w (x - m), or 0 from column n
// on, where x is -Inf.
func (s *short) terms(scratch Reg, col int, m, ones *Vec) (e, t *Vec) {
	d := s.Vec("d")
	s.Load(d, scratch, s.slot(col))
	s.Sub(d, m)
	if s.dots {
		t = s.Vec("t")
		behind := s.NewLabel("behind")
		if 0 < col && col < 4 {
			s.Set(t, s.zero)
			s.JumpIfImm(s.n, "<=", col, behind)
		}
		w := s.weight(col)
		s.MulUni(t, d, w)
		s.FreeUniform(w)
		s.Label(behind)
	}
	e = s.exp.of(s.Asm, []*Vec{d})[0]
	s.Store(e, scratch, s.slot(col))
	s.EqValue(d, e, s.exp.one)
	s.Sub(e, d)
	s.Add(ones, d)
	s.Free(d)
	return e, t
}

// single does one row.
func (s *short) single() {
	m, d, v := s.Uniform(), s.Vec("d"), s.Vec("v")
	s.LoadTail(d, s.x, s.n, s.low)
	s.Copy(v, d)
	s.FoldMax(v)
	start := s.Const(bits(-math.MaxFloat32))
	s.MaxLanes(v, start)
	s.FreeConst(start)
	s.Broadcast(m, v)
	if s.dots {
		dot := s.Vec("dot")
		s.LoadTail(dot, s.x, s.n, m)
		s.SubUni(dot, dot, m)
		s.MulLoad(dot, s.w, 0)
		s.FoldAdd(dot)
		p := s.place("dot")
		s.StoreLane0(dot, p, 0)
		s.FreeReg(p)
		s.Free(dot)
	}
	s.ByPart(func() {
		s.SubUni(d, d, m)
		e := s.exp.of(s.Asm, []*Vec{d})[0]
		s.Copy(d, e)
		s.Free(e)
	})
	sum, ones := s.Vec("sum"), v
	s.EqValue(ones, d, s.exp.one)
	s.Copy(sum, d)
	s.Sub(sum, ones)
	s.FoldAdd(sum)
	s.FoldAdd(ones)
	p := s.place("max")
	s.StoreUni(m, p, 0)
	s.FreeReg(p)
	p = s.place("sum")
	s.StoreLane0(sum, p, 0)
	s.FreeReg(p)
	p = s.place("ones")
	s.StoreLane0(ones, p, 0)
	s.FreeReg(p)
	last := s.NewLabel("last")
	dst := s.Arg("dst")
	s.JumpIfImm(dst, "==", 0, last)
	s.AddLane0(sum, ones)
	p = s.place("scale")
	s.LoadLane0(ones, p, 0)
	s.FreeReg(p)
	s.Narrow()
	s.each(opDiv, ones, sum, ones)
	s.Widen()
	s.Broadcast(m, ones)
	s.ByPart(func() { s.MulUni(d, d, m) })
	if s.dots {
		p = s.place("add")
		s.LoadUni(m, p, 0)
		s.FreeReg(p)
		s.Load(sum, s.w, 0)
		s.MulAdd(d, sum, m)
	}
	s.StoreTail(d, dst, s.n)
	s.Advance(dst, "dstStride")
	s.StoreArg("dst", dst)
	s.Label(last)
	s.FreeReg(dst)
	s.Free(d, sum, ones)
	s.FreeUniform(m)
	s.Advance(s.x, "stride")
}
