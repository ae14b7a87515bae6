package main

var expSumKernel = kernel{
	name: "expSum",
	doc: `For each block of 4096 elements x of a row, and row by row: e^(x - base) is (1 +
more) times the element of dst, or that is 0; and sum is that of the elements of dst.
As in sumExp, base is the greatest of three elements, or of a block, and what is
added up e^(x - k ln 2): lane j of 16 adds up elements j, j+16, ... of 256, and their
sum to the block's lane j; the end of the row, vector by vector. If something may be
out of range, the block is done again, with small elements held at 0; and with its
maximum for a base if that is much greater; and vector by vector if that is of no use.
If dst is x, or a block was too great, the maximum is looked for first. Rows of at
most 4096 columns have their bases and folds 16 rows at once, unless dst is x.`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&expSum{logSumExp: logSumExp{Asm: a}}).write() },
}

var expSumDotKernel = kernel{
	name: "expSumDot",
	doc:  `It is expSum and sets dot to the sum of x - base over the block, added up as well.`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&expSum{logSumExp: logSumExp{Asm: a, dots: true}}).write() },
}

var expSumWeightedKernel = kernel{
	name: "expSumWeighted",
	doc:  `It is expSumDot for the sum of w[j] (x - base).`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&expSum{logSumExp: logSumExp{Asm: a, dots: true, weighted: true}}).write() },
}

// An expSum writes one of the kernels that also store what a logSumExp adds up.
type expSum struct {
	logSumExp
	trail bool // finish what was in dst
	toDst Reg  // what takes an address in x to that in dst
}

// maxAt is the slot of the stack for the block's maximum, behind those of a logSumExp.
const maxAt = blockDots + 1

// How much greater than base an element may be, and a sum that is less if none is.
const (
	above, aboveDots           = 60, 33
	suspicious, suspiciousDots = 0x1p72, 0x1p36
)

// What held tells: that small elements are held, or that the maximum is looked for
// before as well.
const (
	small = 1 + iota
	great
)

// write writes the kernel.
func (s *expSum) write() {
	for _, r := range []*Reg{&s.n, &s.p, &s.q, &s.size, &s.full, &s.cut, &s.known, &s.held, &s.toDst} {
		*r = s.Reg()
	}
	s.constants()
	if s.weighted {
		s.relate("w")
	}
	row, block, held, again, folded := s.NewLabel("row"), s.NewLabel("block"), s.NewLabel("held"), s.NewLabel("again"), s.NewLabel("folded")
	tooSmall, suspect, beyond, rebase, apart, kept := s.NewLabel("tooSmall"), s.NewLabel("suspect"), s.NewLabel("beyond"), s.NewLabel("rebase"), s.NewLabel("apart"), s.NewLabel("kept")
	s.MovImm(0, s.held)
	if s.trail {
		s.relate("to")
	} else {
		x, other := s.Arg("x"), s.NewLabel("other")
		s.LoadArg("dst", s.q)
		s.JumpIf(x, "!=", s.q, other)
		s.MovImm(great, s.held)
		s.Label(other)
		s.FreeReg(x)
		s.JumpIfImm(s.held, "!=", 0, row)
		s.storeTogether(row)
	}
	s.Label(row)
	s.LoadArg("x", s.p)
	s.LoadArg("cols", s.n)
	s.LoadArg("dst", s.toDst)
	s.SubReg(s.p, s.toDst)
	s.MovImm(unknown, s.known)
	s.Label(block)
	s.TakeBlock(s.n, s.size)
	if s.trail {
		s.trailRest()
	}
	s.wholeSteps()
	s.firstBase(beyond)
	s.JumpIfImm(s.held, "!=", 0, held)
	s.store(false, tooSmall)
	s.Label(folded)
	s.fold(kept)
	s.JumpIfImm(s.held, "==", great, kept)

	s.Comment("An element may be too great.")
	s.Label(suspect)
	s.endTrail()
	s.findMax()
	s.MovImm(great, s.held)
	s.great(rebase)
	s.Jump(folded)

	s.Comment("There is no base, or one is too great for it.")
	s.Label(beyond)
	s.findMax()
	s.Label(rebase)
	m := s.scalar(maxAt)
	s.setBase(m, apart)
	s.FreeUniform(m)
	s.MovImm(useful, s.known)
	s.Jump(again)

	s.Comment("One is too small, in the first place.")
	s.Label(tooSmall)
	s.endTrail()
	s.MovImm(small, s.held)
	s.Label(held)
	s.JumpIfImm(s.held, "!=", great, again)
	s.findMax()
	s.great(rebase)
	s.Label(again)
	s.store(true, suspect)
	s.Jump(folded)

	next := s.NewLabel("next")
	s.Label(apart)
	s.apart()
	s.MovImm(unknown, s.known)
	s.Jump(next)

	s.Label(kept)
	s.results()
	s.Label(next)
	each := s.outs("more")
	if s.trail {
		each = append(each, "factor")
	}
	s.nextBlock(block, each)
	s.AdvanceArg("dst", "dstStride")
	if s.trail {
		s.nextTrail()
	}
	s.nextRow(row)
}

// segment is how many elements lanes add up before what they have goes to the block's.
const segment = 256

// store stores the exponentials of the block and adds them up lane by lane; small
// elements are held at low if they are to. It goes to label if something was out of
// range, unless held tells that nothing is.
func (s *expSum) store(hold bool, label string) {
	part, loop, end, vec, done := s.NewLabel("part"), s.NewLabel("loop"), s.NewLabel("end"), s.NewLabel("vec"), s.NewLabel("done")
	seen, sum := s.One("seen", s.zero), s.Vec("sum")
	s.Set(sum, s.zero)
	s.keepLanes(sum, blockSums)
	dot := s.newDot()
	exps := func(xs []*Vec) {
		ps, ts := s.reduce(s.Asm, xs, s.round)
		s.OrAll(seen, ts)
		s.exp(s.Asm, xs, ps, ts)
	}
	addUp := func() {
		s.addLanes(sum, blockSums)
		if s.dots {
			s.addLanes(dot, blockDots)
		}
	}
	s.Mov(s.p, s.q)
	s.Label(part)
	s.startSums(sum, dot)
	s.JumpIf(s.q, ">=", s.full, end)
	s.startPart(segment)
	s.Label(loop)
	if s.trail {
		s.trailStep()
	}
	dst := s.inDst()
	s.step(dot, hold, func(off int) {
		switch {
		case s.stream:
			s.fromMemory(off)
		case s.trail: // from a cache, and dst is in a nearer one
			s.Prefetch(s.q, soon+off)
		default:
			ahead := soon
			if hold { // in place the next block's maximum comes first
				ahead = 4 * blockSize // bytes: a block
			}
			s.Prefetch(s.q, ahead+off)
			s.Prefetch(dst, soon+off)
		}
	}, func(first int, xs []*Vec) {
		exps(xs)
		for k, x := range xs {
			s.Store(x, dst, 4*lanes*(first+k))
			s.Add(sum, x)
		}
		s.Free(xs...)
	})
	s.FreeReg(dst)
	s.JumpIf(s.q, "<", s.cut, loop)
	addUp()
	if !hold && !s.trail { // soon, for there may be many rows with small elements
		s.JumpBits(seen, outOfRange, label)
	}
	s.Jump(part)

	s.Comment("The end of the row.")
	s.Label(end)
	left := s.Reg()
	s.Mov(s.size, left)
	s.AndImm(step-1, left)
	s.JumpIfImm(left, "==", 0, done)
	s.Label(vec)
	s.lastVectors(left, dot, hold, vec, func(x *Vec) {
		exps([]*Vec{x})
		to := s.inDst()
		s.StoreTail(x, to, left)
		s.FreeReg(to)
		s.Add(sum, x)
		s.Free(x)
	})
	s.FreeReg(left)
	addUp()
	s.Label(done)
	s.Free(sum)
	if s.dots {
		s.Free(dot)
	}
	sure := s.NewLabel("sure")
	s.JumpIfImm(s.held, "==", great, sure)
	s.JumpBits(seen, outOfRange, label)
	s.Label(sure)
	s.Free(seen)
}

// findMax puts the block's maximum on the stack.
func (s *expSum) findMax() {
	m, local := s.Uniform(), s.Local(maxAt)
	s.max(m)
	s.StoreUni(m, local, 0)
	s.FreeReg(local)
	s.FreeUniform(m)
}

// great goes to label if the maximum is much greater than base.
func (s *expSum) great(label string) {
	most := float32(above)
	if s.dots {
		most = aboveDots
	}
	m, limit, by := s.scalar(maxAt), s.scalar(baseAt), s.Const(bits(most))
	s.isa.op(s.Asm, opAdd, limit.r, by, limit.r)
	s.JumpGreater(m, limit, label)
	s.FreeUniform(m)
	s.FreeUniform(limit)
	s.FreeConst(by)
}

// storeTogether is together for expSum, dst not being x.
func (s *expSum) storeTogether(alone string) {
	s.together(alone, s.outs("more"), rowSums, func() {
		x := s.Arg("x")
		s.LoadArg("dst", s.toDst)
		s.SubReg(x, s.toDst)
		s.FreeReg(x)
		s.MovImm(small, s.held) // not great
	}, func(label string) {
		s.store(false, label)
		s.Advance(s.toDst, "dstStride")
		t := s.Arg("stride")
		s.ShiftReg(2, t)
		s.SubReg(t, s.toDst)
		s.FreeReg(t)
		sum := s.Vec("sum")
		s.loadLanes(sum, blockSums)
		s.keepRow(sum, rowSums)
		s.Free(sum)
	}, func(label string) {
		sum := s.foldRows(opAdd, rowSums)
		s.allLess(sum, s.suspicious(), label)
		s.keepLanes(sum, sumLanes)
		more, f := s.lacking(sum), s.Vec("f")
		s.loadLanes(f, toBaseLanes)
		s.Copy(sum, more)
		s.MulAddVec(more, sum, f)
		s.Add(more, f)
		s.keepLanes(more, thirdLanes)
		s.Free(sum, more, f)
		s.Mov(s.p, s.q)
		s.AddReg(s.toDst, s.q)
		s.StoreArg("dst", s.q)
	})
}

// suspicious is a sum that is less if no element is too great.
func (s *expSum) suspicious() uint32 {
	if s.dots {
		return bits(suspiciousDots)
	}
	return bits(suspicious)
}

// fold sets the block's sum and dot. It goes to label if the sum is not suspicious.
func (s *expSum) fold(label string) {
	s.setDot()
	sum := s.Vec("sum")
	s.loadLanes(sum, blockSums)
	s.FoldAdd(sum)
	s.setOut("sum", uni(sum))
	s.setScalar(sumAt, sum)
	limit := s.ConstReg(s.suspicious())
	s.JumpGreater(limit, uni(sum), label)
	s.FreeUniform(limit)
	s.Free(sum)
}

// results sets what fold has not.
func (s *expSum) results() {
	base, f, u := s.scalar(baseAt), s.scalar(toBase), s.scalar(sumAt)
	s.setOut("base", base)
	s.Narrow()
	lack := s.Vec("lack")
	s.Set(lack, u)
	more := s.lacking(lack)
	s.Copy(lack, more)
	s.MulAdd(more, lack, f)
	s.op(opAdd, more, f, more)
	s.setOut("more", uni(more))
	s.Free(more, lack)
	s.Widen()
	for _, u := range []Uni{base, f, u} {
		s.FreeUniform(u)
	}
}

// apart does the block vector by vector, its maximum being the base.
func (s *expSum) apart() {
	if s.trail {
		s.eachStep(s.trailStep)
	}
	none, loop := s.ConstReg(0), s.NewLabel("vec")
	s.setOut("more", none)
	s.FreeUniform(none)
	m := s.scalar(maxAt)
	s.takeBase(m)
	s.FreeUniform(m)
	s.setOut("base", s.base)
	exp := s.expFromBase(exp6)
	sum, fill, left := s.Vec("sum"), s.Const(negInf), s.Reg()
	s.Set(sum, s.zero)
	s.keepLanes(sum, blockSums)
	sums, dot := []segmentSum{{sum, blockSums}}, s.newDot()
	if s.dots {
		sums = append(sums, segmentSum{dot, blockDots})
	}
	s.Mov(s.p, s.q)
	s.Mov(s.size, left)
	s.Label(loop)
	if s.dots {
		s.addDots(dot, s.q, left, s.base, s.zero, s.weighted)
	}
	d, dst := s.Vec("d"), s.inDst()
	s.LoadTail(d, s.q, left, fill)
	s.ByPart(func() { exp.replace(s.Asm, d, s.base) })
	s.StoreTail(d, dst, left)
	s.FreeReg(dst)
	s.Add(sum, d)
	s.Free(d)
	s.nextVector(left, loop, sums...)
	s.FreeReg(left)
	s.FreeConst(fill)
	s.freeExp(exp)
	if s.dots {
		s.Free(dot)
		s.setDot()
	}
	s.loadLanes(sum, blockSums)
	s.FoldAdd(sum)
	s.setOut("sum", uni(sum))
	s.Free(sum)
}

// uni returns v, whose lanes are all the same, as a Uni.
func uni(v *Vec) Uni { return Uni{r: v.r[0]} }

// inDst returns a register with the address in dst that goes with q.
func (s *expSum) inDst() Reg {
	t := s.Reg()
	s.Mov(s.q, t)
	s.AddReg(s.toDst, t)
	return t
}

// addDots adds x - m to dot for the min(n, 16) elements x at p, times the weights that
// go with them if there are some.
func (a *Asm) addDots(dot *Vec, p, n Reg, m, zero Uni, weighted bool) {
	x := a.Vec("x")
	a.LoadTail(x, p, n, m)
	a.SubUni(x, x, m)
	if weighted {
		y, w := a.Vec("w"), a.inWeights(p)
		a.LoadTail(y, w, n, zero)
		a.FreeReg(w)
		a.MulAddVec(dot, x, y)
		a.Free(y)
	} else {
		a.Add(dot, x)
	}
	a.Free(x)
}

// relate makes a pointer what takes an address in the row to that in its own data.
func (a *Asm) relate(name string) {
	p, x := a.Arg(name), a.Arg("x")
	a.SubReg(x, p)
	a.StoreArg(name, p)
	a.FreeReg(x)
	a.FreeReg(p)
}

// toAddress makes a number of elements from x on, a parameter, the address behind them
// plus off.
func (a *Asm) toAddress(name string, x Reg, off int) {
	p := a.Arg(name)
	a.ShiftReg(2, p)
	a.AddReg(x, p)
	a.AddImm(off, p)
	a.StoreArg(name, p)
	a.FreeReg(p)
}

// nextWeights makes w, which is related to a row, go with the next one.
func (a *Asm) nextWeights() {
	w, stride := a.Arg("w"), a.Arg("stride")
	a.ShiftReg(2, stride)
	a.SubReg(stride, w)
	a.StoreArg("w", w)
	a.FreeReg(stride)
	a.FreeReg(w)
}

// inWeights returns a register with the address in the weights that goes with p.
func (a *Asm) inWeights(p Reg) Reg {
	w := a.Arg("w")
	a.AddReg(p, w)
	return w
}
