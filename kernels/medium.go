package main

import "slices"

// Rows of a few vectors are done in three sweeps over as many of them as stay in
// a cache: their maxima, their exponentials, and the factors. No row waits for
// what is found of it before, and none has a block's fixed costs.

var mediumSoftmaxKernel = kernel{
	name: "mediumSoftmax",
	doc: `It is shortSoftmax for at most 64 longer rows. Lane by lane it adds up the terms
that are not 1, and all, and folds both: the number of the others is what they
differ by, rounded. Without dst the terms are those of sumExp, base being the
maximum and k 0, and those of the maximum are left out and counted. log is set to
sum: one log1p of many rows is as long as that of 16.`,
	args: shortSoftmaxKernel.args,
	body: func(a *Asm) { writeMedium(a, false) },
}

var mediumSoftmaxDotKernel = kernel{
	name: "mediumSoftmaxDot",
	doc: `It is mediumSoftmax, sets dot to the sum of w[j] (x - max), lane by lane and folded,
and adds w[j] add to dst. There are weights.`,
	args: shortSoftmaxDotKernel.args,
	body: func(a *Asm) { writeMedium(a, true) },
}

func writeMedium(a *Asm, dots bool) {
	a.Forms("dst", func(store bool) {
		low, zero := a.Const(negInf), a.Const(0)
		m := &medium{rowResults: rowResults{Asm: a}, dots: dots, store: store, low: low, zero: zero}
		if store {
			m.exp = a.newExpMinus(exp6)
		} else {
			m.loss, m.round, m.least = a.newReducer(), a.ConstReg(bits(2+127*unit)), a.ConstReg(bits(-127*ln2))
		}
		m.p, m.n, m.rest, m.rows, m.at = a.Reg(), a.Reg(), a.Arg("cols"), a.Reg(), a.Reg()
		a.AndImm(lanes-1, m.rest)
		a.KeepTail(m.rest)
		m.maxima()
		x := a.Arg("x")
		m.sizeToLimit(x, mediumLater)
		a.FreeReg(x)
		m.terms()
		m.fold()
		if store {
			m.factors()
			m.exp.free(a)
		} else {
			m.loss.free(a)
			a.FreeConst(m.least)
			a.FreeConst(m.round)
		}
		a.FreeConst(zero)
		a.FreeConst(low)
		a.Ret()
	})
}

type medium struct {
	rowResults
	loss         reducer // without dst
	dots, store  bool    // set dot and add to dst; set dst
	low, zero    Uni
	round, least Uni // of the reducer; the least x - m that counts
	p, n, rest   Reg // in a row of x or dst, the elements left of it, and behind its vectors
	rows         Reg // the rows left
	ahead        Reg // how far ahead memory is asked for
}

const (
	// mediumRows is the largest number of rows: the more there are, the less often one
	// sweep waits for the end of the one before.
	mediumRows = 64
	// mediumLater is later than the rows of one call, of 32 KB at most.
	mediumLater = later + 32*1024
)

// The room of a medium on the stack, in slots of Local: those for the rows' maxima, those
// for what they are divided by or multiplied by, one for the end of the weights, and for
// each row those for the lanes of its sums.
const (
	mediumMaxima  = mediumRows/lanes - 1
	mediumFactors = mediumMaxima + mediumRows/lanes
	mediumWeights = mediumFactors + 1
	mediumVectors = mediumWeights + 1 // how many a row has
	mediumLanes   = mediumVectors + 1
)

// kinds returns the number of sums of a row.
func (s *medium) kinds() int {
	if s.dots {
		return 3
	}
	return 2
}

// lanesOf returns a register with the address of the lanes of the first row's first
// sum. The next row's are 64 bytes behind them, those of the next sum mediumRows*64.
func (s *medium) lanesOf() Reg { return s.Local(mediumLanes + mediumRows*s.kinds() - 1) }

// groups runs body for each 16 rows, of which left are left, and at is that of the first.
func (s *medium) groups(body func(left Reg)) {
	group, left := s.NewLabel("group"), s.Arg("rows")
	s.MovImm(0, s.at)
	s.Label(group)
	body(left)
	s.AddImm(4*lanes, s.at)
	s.AddImm(-lanes, left)
	s.JumpIfImm(left, ">", 0, group)
	s.FreeReg(left)
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

// maxima finds the rows' maxima.
func (s *medium) maxima() {
	room := s.lanesOf()
	s.sweep("x", "stride", func() {
		m := s.Vec("m")
		s.Set(m, s.low)
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
		s.Store(m, room, 0)
		s.AddImm(4*lanes, room)
		s.Free(m)
	})
	s.FreeReg(room)
	s.groups(func(left Reg) {
		m, p := s.foldRows(opMax, 0, left), s.LocalAt(mediumMaxima, s.at)
		if !s.store { // from -0, neither zero differs by -0
			sign, is := s.Const(1<<31), s.Vec("is")
			s.EqOne(is, m, s.zero, sign)
			s.op(opOr, m, is, m)
			s.Free(is)
			s.FreeConst(sign)
		}
		s.Store(m, p, 0)
		s.FreeReg(p)
		s.Free(m)
	})
}

// terms adds up the exponentials, and stores them in dst if there is one. The
// lanes of the sums are kept: folded here, they would be in the way of the next
// row's.
func (s *medium) terms() {
	if s.store {
		s.exp.keep(s.Asm, 7+2*s.kinds())
	} else {
		s.loss.keep(s.Asm, 9+2*s.kinds())
		n := s.Arg("cols")
		s.AddImm(lanes-1, n)
		s.ShiftDown(4, n)
		s.StoreInt(n, mediumVectors)
		s.FreeReg(n)
	}
	m, room := s.Uniform(), s.lanesOf()
	s.ahead = s.Reg()
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
		s.LoadLocal(m, mediumMaxima, s.at)
		s.setAhead()
		if s.store {
			s.Mov(dst, q)
			s.Advance(dst, "dstStride")
		}
		if s.dots {
			s.LoadArg("w", w)
		}
		acc := s.Vecs(s.kinds(), "acc")
		for _, v := range acc {
			s.Set(v, s.zero)
		}
		if !s.store {
			n := s.scalar(mediumVectors)
			s.Set(acc[1], n)
			s.FreeUniform(n)
		}
		add := func(e *Vec) {
			s.AddUnless(acc[0], e, s.exp.one)
			s.Add(acc[1], e)
		}
		byRegister := s.ByPart
		if s.store && !s.dots { // there are registers for it
			byRegister = s.ByPair
		}
		s.walk(func(n int) {
			byRegister(func() {
				d := s.Vecs(n, "d")
				for i, d := range d {
					s.Load(d, s.p, 4*lanes*i)
					if s.lo == 0 {
						s.PrefetchL2At(s.p, s.ahead, 4*lanes*i)
						if s.store {
							s.PrefetchL2At(q, s.ahead, 4*lanes*i)
						}
					}
					s.SubUni(d, d, m)
					if s.dots {
						s.MulAddLoad(acc[2], d, w, 4*lanes*i)
					}
				}
				if !s.store {
					s.addTerms(acc[0], acc[1], d)
					return
				}
				es := s.exp.of(s.Asm, d)
				s.Free(d...)
				for i, e := range es {
					s.Store(e, q, 4*lanes*i)
					add(e)
				}
				s.Free(es...)
			})
		}, func() {
			d := s.Vec("d")
			if s.dots { // through the stack: NEON has no registers for two tails
				weights := s.Local(mediumWeights)
				s.LoadTail(d, w, s.rest, s.zero)
				s.Store(d, weights, 0)
				s.LoadTail(d, s.p, s.rest, m)
				s.SubUni(d, d, m)
				s.MulAddLoad(acc[2], d, weights, 0)
				s.FreeReg(weights)
			}
			s.LoadTail(d, s.p, s.rest, s.low)
			s.ByPart(func() {
				if s.store {
					s.exp.replace(s.Asm, d, m)
					add(d)
					return
				}
				x := s.Vec("x")
				s.SubUni(x, d, m)
				s.addTerms(acc[0], acc[1], []*Vec{x})
			})
			if s.store {
				s.StoreTail(d, q, s.rest)
			}
			s.Free(d)
		}, others...)
		if !s.store {
			s.ToFloat(acc[1])
		}
		for i, v := range acc {
			s.Store(v, room, 4*lanes*mediumRows*i)
		}
		s.Free(acc...)
		s.AddImm(4*lanes, room)
	})
	for _, r := range others {
		s.FreeReg(r)
	}
	if s.store {
		s.FreeReg(dst)
	}
	s.FreeReg(s.ahead)
	s.FreeReg(room)
	s.FreeUniform(m)
}

// setAhead sets ahead for the row at p: to 0 if the rows end before.
func (s *medium) setAhead() {
	limit, far := s.Arg("size"), s.NewLabel("far")
	s.MovImm(mediumLater, s.ahead)
	s.JumpIf(s.p, "<", limit, far)
	s.MovImm(0, s.ahead)
	s.Label(far)
	s.FreeReg(limit)
}

// addTerms adds each e^d to sum where d is not 0, takes 1 off ones there, and frees the ds.
func (s *medium) addTerms(sum, ones *Vec, ds []*Vec) {
	n := len(ds)
	if s.dots { // AVX2 has no registers for more
		n = 1
	}
	for ds := range slices.Chunk(ds, n) {
		less := s.Vecs(n, "less")
		for i, d := range ds {
			s.Negative(less[i], d)
			s.op(opAddInt, ones, less[i], ones)
			s.AtLeast(d, s.least)
		}
		ps, ts := s.loss.reduce(s.Asm, ds, s.round)
		s.loss.addExp(s.Asm, sum, ds, ps, ts, less...)
	}
}

// foldRows folds the lanes of the sums of one kind of a group of rows.
func (s *medium) foldRows(op op, kind int, left Reg) *Vec {
	room, off := s.lanesOf(), s.Reg()
	s.Mov(s.at, off)
	s.ShiftReg(4, off)
	s.AddReg(off, room)
	s.FreeReg(off)
	s.AddImm(4*lanes*mediumRows*kind, room)
	v, many, folded := s.Vec("folded"), s.NewLabel("many"), s.NewLabel("folded")
	s.JumpIfImm(left, ">", 1, many)
	s.Load(v, room, 0)
	s.Fold(op, v)
	s.Jump(folded)
	s.Label(many)
	s.FoldRows(op, room, v)
	s.Label(folded)
	s.FreeReg(room)
	return v
}

// fold folds the sums, stores what is known of the rows, and puts the sums of all
// terms into the slots of the factors.
func (s *medium) fold() {
	s.groups(func(left Reg) {
		if s.dots {
			dot, p := s.foldRows(opAdd, 2, left), s.place("dot")
			s.StoreTail(dot, p, left)
			s.FreeReg(p)
			s.Free(dot)
		}
		sum, ones := s.foldRows(opAdd, 0, left), s.foldRows(opAdd, 1, left)
		if s.store {
			round, p := s.Const(bits(round)), s.LocalAt(mediumFactors, s.at)
			s.Store(ones, p, 0)
			s.FreeReg(p)
			s.Sub(ones, sum)
			s.op(opAdd, ones, round, ones)
			s.SubUni(ones, ones, round)
			s.FreeConst(round)
		} else {
			s.correct(sum)
		}

		s.results(func(p Reg) {
			max, local := s.Vec("max"), s.LocalAt(mediumMaxima, s.at)
			s.Load(max, local, 0)
			s.FreeReg(local)
			s.StoreTail(max, p, left)
			s.Free(max)
		}, sum, ones, func(half func(i int) *Vec, sums, logs Reg) { s.StoreDoubles(left, half, sums, logs) })
		s.Free(sum, ones)
	})
}

// factors multiplies the rows of dst by scale and divides them by their sums, and
// adds the weights.
func (s *medium) factors() {
	s.KeepTail("")
	s.groups(func(left Reg) {
		f, room := s.factor(func(f *Vec, p Reg) { s.LoadTail(f, p, left, s.zero) }), s.LocalAt(mediumFactors, s.at)
		sum := s.Vec("sum")
		s.Load(sum, room, 0)
		s.op(opDiv, f, sum, f)
		s.Store(f, room, 0)
		s.Free(f, sum)
		s.FreeReg(room)
	})
	s.KeepTail(s.rest)
	u := s.Uniform()
	var c Uni
	var others []Reg
	if s.dots {
		c = s.Uniform()
		others = []Reg{s.Reg()}
	}
	s.sweep("dst", "dstStride", func() {
		s.LoadLocal(u, mediumFactors, s.at)
		if s.dots {
			p := s.place("add")
			s.LoadUni(c, p, 0)
			s.FreeReg(p)
			s.LoadArg("w", others[0])
		}
		// line does one vector, whose operands load fetches.
		line := func(load func(v *Vec, base Reg), store func(v *Vec)) {
			v := s.Vec("v")
			load(v, s.p)
			s.MulUni(v, v, u)
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
	for _, r := range others {
		s.FreeReg(r)
	}
	if s.dots {
		s.FreeUniform(c)
	}
	s.FreeUniform(u)
}
