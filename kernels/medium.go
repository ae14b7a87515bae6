package main

import "math"

// Rows of a few vectors are done in three sweeps over as many of them as stay in
// a cache: their maxima, their exponentials, and the factors. No row waits for
// what is found of it before, and none has a block's fixed costs.

var mediumSoftmaxKernel = kernel{
	name: "mediumSoftmax",
	doc: `It is shortSoftmax for at most 16 longer rows. Lane by lane it adds up the terms
that are not 1, and all, and folds both: ones is what they differ by, rounded.
Without dst the polynomial is that of sumExp. scratch has 2*16*16 elements.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"},
		{"x", "*float32"}, {"scratch", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { writeMedium(a, false) },
}

var mediumSoftmaxDotKernel = kernel{
	name: "mediumSoftmaxDot",
	doc: `It is mediumSoftmax, sets dot to the sum of w[j] (x - max), lane by lane and folded,
and adds w[j] add to dst. scratch has 3*16*16 elements.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"add", "*float32"},
		{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"scratch", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { writeMedium(a, true) },
}

func writeMedium(a *Asm, dots bool) {
	a.Forms("dst", func(store bool) {
		poly := exp5
		if store {
			poly = exp6
		}
		m := &medium{Asm: a, dots: dots, store: store, low: a.Const(negInf), zero: a.Const(0), exp: a.newExpMinus(poly)}
		m.p, m.n, m.rest, m.rows, m.at = a.Reg(), a.Reg(), a.Arg("cols"), a.Reg(), a.Reg()
		a.AndImm(lanes-1, m.rest)
		a.KeepTail(m.rest)
		m.maxima()
		m.terms()
		if store {
			m.factors()
		}
		a.Ret()
	})
}

type medium struct {
	*Asm
	dots, store bool // set dot and add to dst; set dst
	low, zero   Uni
	exp         expMinus
	p, n, rest  Reg // in a row of x or dst, the elements left of it, and behind its vectors
	rows, at    Reg // the rows left, and 4 bytes for each that is done
}

// sweep runs body for each row, p being the start of the row of a matrix.
func (s *medium) sweep(matrix, stride string, body func()) {
	row := s.NewLabel("row")
	x := s.Arg(matrix)
	s.LoadArg("rows", s.rows)
	s.MovImm(0, s.at)
	s.Label(row)
	s.Mov(x, s.p)
	s.LoadArg("cols", s.n)
	body()
	s.Advance(x, stride)
	s.AddImm(4, s.at)
	s.AddImm(-1, s.rows)
	s.JumpIfImm(s.rows, ">", 0, row)
	s.FreeReg(x)
}

// walk runs vectors for each two whole vectors of the n elements at p, and for
// the one that may be left, and rest for the others. Both move others by as much as p.
func (s *medium) walk(vectors func(n int), rest func(), others ...Reg) {
	pairs, single, last, done := s.NewLabel("pairs"), s.NewLabel("single"), s.NewLabel("last"), s.NewLabel("done")
	step := func(n int) {
		vectors(n)
		for _, r := range append(others, s.p) {
			s.AddImm(4*lanes*n, r)
		}
		s.AddImm(-lanes*n, s.n)
	}
	s.JumpIfImm(s.n, "<", 2*lanes, single)
	s.Label(pairs)
	step(2)
	s.JumpIfImm(s.n, ">=", 2*lanes, pairs)
	s.Label(single)
	s.JumpIfImm(s.n, "<", lanes, last)
	step(1)
	s.Label(last)
	s.JumpIfImm(s.n, "<=", 0, done)
	rest()
	s.Label(done)
}

// place returns a register with the address of the row at hand's element of a parameter.
func (s *medium) place(name string) Reg {
	p := s.Arg(name)
	s.AddReg(s.at, p)
	return p
}

// save stores lane 0 of v for the row at hand and frees v.
func (s *medium) save(v *Vec, name string) {
	p := s.place(name)
	s.StoreLane0(v, p, 0)
	s.FreeReg(p)
	s.Free(v)
}

// fetch sets u to the row at hand's element of a parameter.
func (s *medium) fetch(u Uni, name string) {
	p := s.place(name)
	s.LoadUni(u, p, 0)
	s.FreeReg(p)
}

// maxima fills in max, from the least finite number on: masked elements are then
// never -Inf - -Inf.
func (s *medium) maxima() {
	start := s.ConstReg(bits(-math.MaxFloat32))
	s.sweep("x", "stride", func() {
		m := s.Vec("m")
		s.Set(m, start)
		s.walk(func(n int) {
			for i := range n {
				s.MaxLoad(m, s.p, 4*lanes*i)
			}
		}, func() {
			v := s.Vec("v")
			s.LoadTail(v, s.p, s.rest, s.low)
			s.Max(m, v)
			s.Free(v)
		})
		s.FoldMax(m)
		s.save(m, "max")
	})
	s.FreeConst(start)
}

// terms adds up the exponentials, and stores them in dst if there is one. The
// lanes of the sums go to scratch: folded here, they would be in the way of the
// next row's.
func (s *medium) terms() {
	sums := []string{"sum", "ones"}
	if s.dots {
		sums = append(sums, "dot")
	}
	s.exp.keep(s.Asm, 7+2*len(sums))
	m, scratch := s.Uniform(), s.Arg("scratch")
	var others []Reg
	var dst, q, w Reg
	if s.store {
		dst, q = s.Arg("dst"), s.Reg()
		others = append(others, q)
	}
	if s.dots {
		w = s.Reg()
		others = append(others, w)
	}
	s.sweep("x", "stride", func() {
		s.fetch(m, "max")
		if s.store {
			s.Mov(dst, q)
			s.Advance(dst, "dstStride")
		}
		if s.dots {
			s.LoadArg("w", w)
		}
		acc := s.Vecs(len(sums), "acc")
		for _, v := range acc {
			s.Set(v, s.zero)
		}
		add := func(e *Vec) {
			s.AddUnless(acc[0], e, s.exp.one)
			s.Add(acc[1], e)
		}
		byRegister := s.ByPair // there are registers for it but for the dots
		if s.dots {
			byRegister = s.ByPart
		}
		s.walk(func(n int) {
			byRegister(func() {
				d := s.Vecs(n, "d")
				for i, d := range d {
					s.Load(d, s.p, 4*lanes*i)
					s.SubUni(d, d, m)
					if s.dots {
						s.MulAddLoad(acc[2], d, w, 4*lanes*i)
					}
				}
				es := s.exp.of(s.Asm, d)
				s.Free(d...)
				for i, e := range es {
					if s.store {
						s.Store(e, q, 4*lanes*i)
					}
					add(e)
				}
				s.Free(es...)
			})
		}, func() {
			d := s.Vec("d")
			if s.dots { // through the stack: NEON has no registers for two tails
				weights := s.Local(0)
				s.LoadTail(d, w, s.rest, s.zero)
				s.Store(d, weights, 0)
				s.LoadTail(d, s.p, s.rest, m)
				s.SubUni(d, d, m)
				s.MulAddLoad(acc[2], d, weights, 0)
				s.FreeReg(weights)
			}
			s.LoadTail(d, s.p, s.rest, s.low)
			s.ByPart(func() {
				s.SubUni(d, d, m)
				e := s.exp.of(s.Asm, []*Vec{d})[0]
				s.Copy(d, e)
				s.Free(e)
				add(d)
			})
			if s.store {
				s.StoreTail(d, q, s.rest)
			}
			s.Free(d)
		}, others...)
		for i, v := range acc {
			s.Store(v, scratch, 4*lanes*16*i)
		}
		s.Free(acc...)
		s.AddImm(4*lanes, scratch)
	})
	for _, r := range others {
		s.FreeReg(r)
	}
	if s.store {
		s.FreeReg(dst)
	}
	s.FreeUniform(m)

	round := s.Const(bits(round))
	s.LoadArg("scratch", scratch)
	s.LoadArg("rows", s.rows)
	s.MovImm(0, s.at)
	row := s.NewLabel("fold")
	s.Label(row)
	acc := s.Vecs(len(sums), "acc")
	for i, v := range acc {
		s.Load(v, scratch, 4*lanes*16*i)
		s.FoldAdd(v)
	}
	s.Narrow()
	s.Sub(acc[1], acc[0])
	s.eachUni(opAdd, acc[1], round, acc[1])
	s.SubUni(acc[1], acc[1], round)
	s.Widen()
	for i, v := range acc {
		s.save(v, sums[i])
	}
	s.AddImm(4*lanes, scratch)
	s.AddImm(4, s.at)
	s.AddImm(-1, s.rows)
	s.JumpIfImm(s.rows, ">", 0, row)
	s.FreeReg(scratch)
	s.FreeConst(round)
}

// factors multiplies the rows of dst by scale / (sum + ones), and adds the weights.
func (s *medium) factors() {
	f, factors, n := s.Uniform(), s.Local(0), s.Arg("rows")
	sum, v := s.Vec("sum"), s.Vec("v")
	load := func(v *Vec, name string) {
		s.LoadArg(name, s.p)
		s.LoadTail(v, s.p, n, s.zero)
	}
	s.KeepTail("")
	load(sum, "sum")
	load(v, "ones")
	s.Add(sum, v)
	load(v, "scale")
	s.each(opDiv, v, sum, v)
	s.Store(v, factors, 0)
	s.Free(sum, v)
	s.FreeReg(n)
	s.KeepTail(s.rest)
	var c Uni
	var others []Reg
	if s.dots {
		c = s.Uniform()
		others = []Reg{s.Reg()}
	}
	s.sweep("dst", "dstStride", func() {
		t := s.Reg()
		s.Mov(factors, t)
		s.AddReg(s.at, t)
		s.LoadUni(f, t, 0)
		s.FreeReg(t)
		if s.dots {
			s.fetch(c, "add")
			s.LoadArg("w", others[0])
		}
		// line does one vector, whose operands load fetches.
		line := func(load func(v *Vec, base Reg), store func(v *Vec)) {
			v := s.Vec("v")
			load(v, s.p)
			s.MulUni(v, v, f)
			if s.dots {
				weights := s.Vec("w")
				load(weights, others[0])
				s.MulAdd(v, weights, c)
				s.Free(weights)
			}
			store(v)
			s.Free(v)
		}
		s.walk(func(n int) {
			for i := range n {
				line(func(v *Vec, base Reg) { s.Load(v, base, 4*lanes*i) }, func(v *Vec) { s.Store(v, s.p, 4*lanes*i) })
			}
		}, func() {
			line(func(v *Vec, base Reg) { s.LoadTail(v, base, s.rest, s.zero) }, func(v *Vec) { s.StoreTail(v, s.p, s.rest) })
		}, others...)
	})
}
