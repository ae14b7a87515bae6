package main

import "math"

var expSumKernel = kernel{
	name: "expSum",
	doc: `For each block of 2048 elements x of a row, and row by row: e^(x - base) is (1 +
more) times the element of dst, whose sum over the block is sum. As in sumExp, base
is the greatest of three elements, and what is added up is e^(x - k ln 2), lane j of
16 adding up elements j, j+16, ... of 256, and their sum to the block's lane j; the
end of the row, vector by vector. If an element is out of range, or so much greater
than base that the sum might be, base is the block's maximum, and what is added up
e^(x - base). As dst may be x, this is looked for first if it is, or was the case
before.`,
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
	gate  Reg  // not 0 if blocks are checked first
}

// The room of an expSum on the stack, behind what it has of a logSumExp.
const blockSum = blockDots + 1

// How much greater than base an element may be, and a sum that may come of it if one is
// greater than that.
const (
	above, aboveDots         = 60, 33
	suspicious, suspectsDots = 0x1p72, 0x1p36
)

// write writes the kernel.
func (s *expSum) write() {
	for _, r := range []*Reg{&s.n, &s.p, &s.q, &s.size, &s.full, &s.cut, &s.known, &s.toDst} {
		*r = s.Reg()
	}
	s.zero = s.Const(0)
	s.constants()
	if s.weighted {
		s.relate("w")
	}
	row, block, ready, careful, kept := s.NewLabel("row"), s.NewLabel("block"), s.NewLabel("ready"), s.NewLabel("careful"), s.NewLabel("kept")
	finish, suspect := s.NewLabel("finish"), s.NewLabel("suspect")
	if s.trail {
		s.relate("to")
	} else {
		s.gate = s.Reg()
		out := s.Arg("dst")
		in, apart := s.Arg("x"), s.NewLabel("apart")
		s.MovImm(0, s.gate)
		s.JumpIf(in, "!=", out, apart)
		s.MovImm(1, s.gate)
		s.Label(apart)
		s.FreeReg(in)
		s.FreeReg(out)
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
	s.JumpIfImm(s.known, "!=", unknown, ready)
	m := s.sample()
	s.setBase(m, careful)
	s.FreeUniform(m)
	s.MovImm(useful, s.known)
	s.Label(ready)
	if !s.trail {
		checked := s.NewLabel("checked")
		s.JumpIfImm(s.gate, "==", 0, checked)
		s.check(careful)
		s.Label(checked)
	}
	s.store(nil, suspect)
	s.fold(finish)

	s.Comment("Something is out of range, or may be, and dst is not x.")
	s.Label(suspect)
	if s.trail {
		s.endTrail()
	} else {
		s.JumpIfImm(s.gate, "!=", 0, finish)
		s.MovImm(1, s.gate)
	}
	s.check(careful)
	s.Label(finish)
	s.rest()
	s.Jump(kept)

	s.Label(careful)
	s.carefully()
	s.MovImm(unknown, s.known)

	s.Label(kept)
	for _, out := range []string{"base", "sum", "more"} {
		s.AddArg(out, 4)
	}
	if s.dots {
		s.AddArg("dot", 4)
	}
	if s.trail {
		s.AddArg("factor", 4)
	}
	s.AddImm(4*blockSize, s.p)
	s.SubReg(s.size, s.n)
	s.JumpIfImm(s.n, ">", 0, block)
	s.AdvanceArg("x", "stride")
	s.AdvanceArg("dst", "dstStride")
	if s.trail {
		s.nextTrail()
	}
	if s.weighted {
		s.nextWeights()
	}
	s.LoadArg("rows", s.n)
	s.AddImm(-1, s.n)
	s.StoreArg("rows", s.n)
	s.JumpIfImm(s.n, ">", 0, row)
	s.Ret()
}

// store stores the exponentials of the block and adds them up lane by lane: those of x
// - base, carefully, or those that are right if nothing was out of range. It goes to
// label if something was.
func (s *expSum) store(exp *expMinus, label string) {
	segment, loop, end, vec, done := s.NewLabel("segment"), s.NewLabel("loop"), s.NewLabel("end"), s.NewLabel("vec"), s.NewLabel("done")
	var seen, dot *Vec
	if exp == nil {
		seen = s.One("seen", s.zero)
	}
	sum := s.Vec("sum")
	s.Set(sum, s.zero)
	s.keepLanes(sum, blockSum)
	if s.dots {
		dot = s.Vec("dot")
		s.Set(dot, s.zero)
		s.keepLanes(dot, blockDots)
	}
	exps := func(xs []*Vec) []*Vec {
		if exp != nil {
			for _, x := range xs {
				s.SubUni(x, x, s.base)
			}
			return exp.of(s.Asm, xs)
		}
		ps, ts := s.reduced(xs)
		s.OrAll(seen, ts)
		for i, t := range ts {
			s.ShiftLeft(t, 23)
			s.Mul(ps[i], t)
		}
		s.Free(ts...)
		return ps
	}
	addUp := func() {
		s.addLanes(sum, blockSum)
		if s.dots {
			s.addLanes(dot, blockDots)
		}
	}
	s.Mov(s.p, s.q)
	s.Label(segment)
	s.Set(sum, s.zero)
	if s.dots {
		s.Set(dot, s.zero)
	}
	s.JumpIf(s.q, ">=", s.full, end)
	s.Mov(s.q, s.cut)
	s.AddImm(4*partSize, s.cut)
	s.MinReg(s.full, s.cut)
	s.Label(loop)
	if s.trail {
		s.trailStep()
	}
	dst, w := s.inDst(), Reg("")
	if s.weighted {
		w = s.inWeights(s.q)
	}
	vectors := func(first, n int) {
		xs := s.Vecs(n, "x")
		for k, x := range xs {
			off := 4 * lanes * (first + k)
			if s.lo == 0 {
				if s.trail {
					s.Prefetch(s.q, sumNear+off)
					s.PrefetchL2(s.q, sumFar+off)
				} else {
					s.Prefetch(s.q, soon+off)
					s.Prefetch(dst, soon+off)
				}
			}
			s.Load(x, s.q, off)
			if s.dots {
				d := s.Vec("d")
				s.SubUni(d, x, s.base)
				if s.weighted {
					s.MulAddLoad(dot, d, w, off)
				} else {
					s.Add(dot, d)
				}
				s.Free(d)
			}
		}
		es := exps(xs)
		for k, e := range es {
			s.Store(e, dst, 4*lanes*(first+k))
			s.Add(sum, e)
		}
		s.Free(es...)
		s.Free(xs...)
	}
	switch {
	case exp != nil: // which have few registers left on arm64
		for i := range 4 {
			s.ByPart(func() { vectors(i, 1) })
		}
	case s.isa.width() == lanes:
		vectors(0, 2)
		vectors(2, 2)
	default:
		for i := range 4 {
			vectors(i, 1)
		}
	}
	s.FreeReg(dst)
	if s.weighted {
		s.FreeReg(w)
	}
	s.AddImm(4*step, s.q)
	s.JumpIf(s.q, "<", s.cut, loop)
	addUp()
	s.Jump(segment)

	s.Comment("The end of the row.")
	s.Label(end)
	left := s.Reg()
	s.Mov(s.size, left)
	s.AndImm(step-1, left)
	s.JumpIfImm(left, "==", 0, done)
	fill := s.low
	if exp != nil {
		fill = s.Const(negInf)
	}
	s.Label(vec)
	if s.dots {
		s.addDots(dot, s.q, left, s.base, s.zero, s.weighted)
	}
	x, to := s.Vec("x"), s.inDst()
	s.LoadTail(x, s.q, left, fill)
	s.ByPart(func() {
		e := exps([]*Vec{x})[0]
		s.Copy(x, e)
		s.Free(e)
	})
	s.StoreTail(x, to, left)
	s.FreeReg(to)
	s.Add(sum, x)
	s.Free(x)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, left)
	s.JumpIfImm(left, ">", 0, vec)
	s.FreeReg(left)
	addUp()
	if exp != nil {
		s.FreeConst(fill)
	}
	s.Label(done)
	s.Free(sum)
	if s.dots {
		s.Free(dot)
	}
	if exp == nil {
		s.JumpBits(seen, outOfRange, label)
		s.Free(seen)
	}
}

// check goes to label if an element of the block is out of range or too great.
func (s *expSum) check(label string) {
	m, seen, left := s.Vec("m"), s.One("seen", s.zero), s.Reg()
	s.Set(m, s.low)
	show := func(x *Vec) {
		t := s.Vec("t")
		s.Max(m, x)
		s.MulAddUni(t, x, s.log2e, s.round)
		s.OrAll(seen, []*Vec{t})
		s.Free(t)
	}
	s.Mov(s.p, s.q)
	s.Mov(s.size, left)
	x := s.Vec("x")
	s.Steps(s.q, left, func() {
		for i := range 4 {
			s.Load(x, s.q, 4*lanes*i)
			show(x)
		}
	}, nil, func() {
		s.LoadTail(x, s.q, left, s.low)
		show(x)
	})
	s.FreeReg(left)
	s.Free(x)
	s.FoldMax(m)
	limit := float32(above)
	if s.dots {
		limit = aboveDots
	}
	most, by := s.scalar(baseAt), s.Const(bits(limit))
	s.isa.op(s.Asm, opAdd, most.r, by, most.r)
	s.JumpGreater(uni(m), most, label)
	s.FreeUniform(most)
	s.FreeConst(by)
	s.Free(m)
	s.JumpBits(seen, outOfRange, label)
	s.Free(seen)
}

// fold sets the block's sum and dot. It goes to label unless the sum is suspicious.
func (s *expSum) fold(label string) {
	s.setDot()
	sum, local := s.Vec("sum"), s.Local(blockSum)
	s.Load(sum, local, 0)
	s.FreeReg(local)
	s.FoldAdd(sum)
	s.setOut("sum", uni(sum))
	s.setScalar(sumAt, sum)
	if label != "" {
		great := float32(suspicious)
		if s.dots {
			great = suspectsDots
		}
		limit := s.ConstReg(bits(great))
		s.JumpGreater(limit, uni(sum), label)
		s.FreeUniform(limit)
	}
	s.Free(sum)
}

// rest sets what else there is of a block that was not done carefully.
func (s *expSum) rest() {
	base := s.scalar(baseAt)
	s.setOut("base", base)
	s.FreeUniform(base)
	f, u := s.scalar(toBase), s.scalar(sumAt)
	s.Narrow()
	sum := s.Vec("sum")
	s.Set(sum, u)
	more, lack := s.lacking(sum), sum
	s.Copy(lack, more)
	s.MulAdd(more, lack, f)
	s.eachUni(opAdd, more, f, more)
	s.setOut("more", uni(more))
	s.Free(more, lack)
	s.Widen()
	s.FreeUniform(f)
	s.FreeUniform(u)
}

// carefully does a block by its maximum.
func (s *expSum) carefully() {
	s.max(s.base)
	lowest := s.ConstReg(bits(-math.MaxFloat32)) // not -Inf, so that masked elements never meet -Inf - -Inf
	s.isa.op(s.Asm, opMax, s.base.r, lowest, s.base.r)
	s.FreeUniform(lowest)
	s.setOut("base", s.base)
	more := s.ConstReg(0)
	s.setOut("more", more)
	s.FreeUniform(more)
	exp := s.expFromBase(exp6)
	s.store(&exp, "")
	s.freeExp(exp)
	s.fold("")
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
