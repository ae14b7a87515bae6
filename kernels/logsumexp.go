package main

import "math"

var sumExpKernel = kernel{
	name: "sumExp",
	doc: `For each block of 4096 elements x of a row, and row by row: sum is the sum of
e^(x - base) over the block, but for one element that makes up more than half of what
the row adds up to so far, if there is one: that is peak, or else -Inf.
k ln 2 is close to base, the greatest of three elements, or of a block: lane j
of 16 adds up e^(x - k ln 2) for elements j, j+16, ... of 128, and those sums lane by
lane. The exponent fields tell whether one was out of range. Then the block is done
again, with small elements held at 0, and again if one is too great, with base the
block's maximum, or vector by vector if that is of no use. A sum of one lane that
holds more than half is done again without its greatest element, the peak.
Rows of at most 4096 columns have their bases, folds and peaks 16 rows at once.`,
	args: []arg{{"base", "*float32"}, {"sum", "*float32"}, {"peak", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&logSumExp{Asm: a}).write() },
}

var sumExpDotKernel = kernel{
	name: "sumExpDot",
	doc: `It is sumExp, and sets dot to the sum of x - base over the block, added up lane by
lane as well.`,
	args: []arg{{"base", "*float32"}, {"sum", "*float32"}, {"peak", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&logSumExp{Asm: a, dots: true}).write() },
}

var sumExpWeightedKernel = kernel{
	name: "sumExpWeighted",
	doc:  `It is sumExpDot for the sum of w[j] (x - base).`,
	args: []arg{{"base", "*float32"}, {"sum", "*float32"}, {"peak", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) { (&logSumExp{Asm: a, dots: true, weighted: true}).write() },
}

var shiftSumExpKernel = kernel{
	name: "shiftSumExp",
	doc: `It is sumExp for one row, and meanwhile sets the n elements of to, a multiple of 64, to
those of from less max, less log, past the caches if stream is not 0. to is aligned to 64
bytes.`,
	args: []arg{{"base", "*float32"}, {"sum", "*float32"}, {"peak", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"},
		{"to", "*float32"}, {"from", "*float32"}, {"max", "*float32"}, {"log", "*float32"}, {"n", "int"}, {"stream", "int"}},
	body: func(a *Asm) {
		a.Streams(func(stream bool) { (&logSumExp{Asm: a, shifts: true, stream: stream}).write() })
	},
}

// A logSumExp writes sumExp. It reduces x, not x - base, to n ln 2 + r, and scales by
// 2^(n-k): one subtraction less. And it neither looks for a maximum nor holds what it
// raises e to: what comes of what is out of range, it throws away.
//
// n is in steps of 1/8. What it is rounded by, and the exponent field and the number of a
// power are taken from, is 2 + 8 (n-k+127) 2^-22: no bit but those 11 and that of 2 is set
// in range, and one is out of range. A sum of 0 is out of the question, as no float32 times
// log2e is so close to it.
type logSumExp struct {
	*Asm
	dots, weighted bool // set dot, with weights
	shifts         bool // set to
	stream         bool // what is stored meanwhile, past the caches
	low, zero      Uni  // the least x that counts, or a little less; 0
	base           Uni  // for dots; or else in round's register, for vectors
	reducer
	round       Uni // with k taken off
	n           Reg // elements left of the row
	p, q        Reg // the block, the elements at hand
	size, full  Reg // of the block: its elements, the end of its full steps
	part        Reg // where the next sums of 16 lanes go
	cut         Reg // where they end
	known, held Reg // what is known of base; whether low is in use
	at          Reg // of rows together: 4 for each in front of the one at hand
	far         Reg // how far ahead they are asked for, or 0, if data is asked for once
}

// What is known of base: nothing, that it is of use, that it is the block's maximum.
const (
	unknown = iota
	useful
	greatest
)

// The room on the stack: the sums of the lanes of each 128 elements, in places that
// count down; e^(k ln 2 - base) - 1; the base; the block's sum, and the row's so far;
// the sums of the block's lanes and their dots.
const (
	partSize  = 128
	partShift = 9 // from parts to their bytes
	laneSize  = partSize / lanes
	parts     = blockSize / partSize
	firstPart = parts // and 0 for none
	toBase    = parts + 1
	baseAt    = parts + 2
	sumAt     = parts + 3
	totalAt   = parts + 4
	blockSums = parts + 5
	blockDots = parts + 6
)

// unit is what 1 is in what n is rounded by, outOfRange the bits that are set out of range.
const (
	unit       = powers * 0x1p-22
	outOfRange = ^uint32(0x40000000 | 256*powers - 1)
)

const (
	nearBase = 1 << 17  // base is of use below: what n is added to is still in steps of 2^-22
	greatSum = 1 << 100 // more is out of range
	dotsSum  = 1 << 48  // e^33, beyond which x - base is not as exact as it could be
)

// How far ahead data is asked for: into the second-level cache from memory, and in
// time for the loop from there. Rows together have to find the next ones' samples, too.
// With AVX-512 a Zen 5 takes up to an eighth less time if it is asked once, but for rows
// together of less than onceCols columns.
const (
	sumNear      = 6 * 1024
	sumFar       = 16 * 1024
	togetherNear = 12 * 1024
	togetherFar  = 32 * 1024
	sumOnce      = 12 * 1024
	onceCols     = 2048
)

func (s *logSumExp) write() {
	for _, r := range []*Reg{&s.n, &s.p, &s.q, &s.size, &s.full, &s.part, &s.cut, &s.known, &s.held} {
		*r = s.Reg()
	}
	s.constants()
	if s.weighted {
		s.relate("w")
	}
	row, block, start, bad, beyond, apart := s.NewLabel("row"), s.NewLabel("block"), s.NewLabel("start"), s.NewLabel("bad"), s.NewLabel("beyond"), s.NewLabel("apart")
	held, peak, next, kept := s.NewLabel("held"), s.NewLabel("peak"), s.NewLabel("next"), s.NewLabel("kept")
	if s.shifts {
		s.MovImm(0, s.held)
		s.startShift()
	} else {
		s.sumTogether(row)
	}
	s.Label(row)
	s.LoadArg("x", s.p)
	s.LoadArg("cols", s.n)
	s.MovImm(unknown, s.known)
	s.Label(block)
	s.TakeBlock(s.n, s.size)
	s.wholeSteps()
	none := s.ConstReg(negInf)
	s.setOut("peak", none)
	s.FreeConst(none)
	s.firstBase(beyond)
	s.Label(start)
	s.JumpIfImm(s.held, "!=", 0, held)
	s.lanes(false, bad)
	added := s.NewLabel("added")
	s.Jump(added)
	s.Label(held)
	s.lanes(true, bad)

	s.Label(added)
	most := s.Uniform()
	sum, top := s.addParts()
	s.keepLanes(sum, blockSums)
	s.FoldAdd(sum)
	s.FoldMax(top)
	s.Broadcast(most, top)
	s.Free(top)
	s.judge(sum, most, bad, peak)
	plain := s.NewLabel("plain")
	s.Label(plain)
	s.finish()
	s.Jump(next)

	s.Comment("An element may be more than half of the row so far.")
	s.Label(peak)
	s.again(most, plain)
	if s.dots {
		s.Jump(plain)
	} else {
		s.Jump(next)
	}

	s.Comment("Something is out of range: too small, in the first place.")
	s.Label(bad)
	s.JumpIfImm(s.held, "!=", 0, beyond)
	s.MovImm(1, s.held)
	s.Jump(start)

	s.Comment("Or too great: is it for the block's maximum?")
	s.Label(beyond)
	m := s.scalar(baseAt)
	s.JumpIfImm(s.known, "==", greatest, apart)
	s.max(m)
	s.setBase(m, apart)
	s.MovImm(greatest, s.known)
	s.Jump(start)

	s.Label(apart)
	s.vectors(m)
	if s.shifts {
		s.eachStep(s.shiftStep)
	}
	s.MovImm(unknown, s.known)
	s.Jump(kept)

	s.Label(next)
	s.MovImm(useful, s.known)
	s.Label(kept)
	s.nextBlock(block, s.outs("peak"))
	s.nextRow(row)
}

// outs returns the results that there is one of for each block.
func (s *logSumExp) outs(third string) []string {
	outs := []string{"base", "sum", third}
	if s.dots {
		outs = append(outs, "dot")
	}
	return outs
}

// nextBlock goes to block for the next one of the row, if there is one, and moves on
// in what there is one of for each block.
func (s *logSumExp) nextBlock(block string, each []string) {
	for _, arg := range each {
		s.AddArg(arg, 4)
	}
	s.AddImm(4*blockSize, s.p)
	s.SubReg(s.size, s.n)
	s.JumpIfImm(s.n, ">", 0, block)
}

// nextRow goes to row for the next one, or returns.
func (s *logSumExp) nextRow(row string) {
	s.AdvanceArg("x", "stride")
	if s.weighted {
		s.nextWeights()
	}
	s.LoadArg("rows", s.n)
	s.AddImm(-1, s.n)
	s.StoreArg("rows", s.n)
	s.JumpIfImm(s.n, ">", 0, row)
	s.Ret()
}

// constants sets what is the same in all blocks, or has a register for them.
func (s *logSumExp) constants() {
	s.zero = s.Const(0)
	s.low, s.round = s.Uniform(), s.Uniform()
	s.reducer = s.newReducer()
	s.base = s.round
	regs := lanes / s.isa.width()
	n := 3*max(regs, 2) + regs + 1
	if s.dots {
		s.base = s.Uniform()
		n += regs
	}
	s.reducer.keep(s.Asm, n)
}

// firstBase takes the sample for a base, unless one is known. It goes to label if that
// is of no use.
func (s *logSumExp) firstBase(label string) {
	have := s.NewLabel("have")
	s.JumpIfImm(s.known, "!=", unknown, have)
	m := s.sample()
	s.setBase(m, label)
	s.FreeUniform(m)
	s.MovImm(useful, s.known)
	s.Label(have)
}

// wholeSteps sets full.
func (s *logSumExp) wholeSteps() {
	s.Mov(s.size, s.full)
	s.AndImm(-step, s.full)
	s.ShiftReg(2, s.full)
	s.AddReg(s.p, s.full)
}

// setOut sets a result of the block.
func (s *logSumExp) setOut(name string, u Uni) {
	out := s.Arg(name)
	s.StoreUni(u, out, 0)
	s.FreeReg(out)
}

// scalar returns a register with the number in a slot of the stack.
func (a *Asm) scalar(slot int) Uni {
	u, local := a.Uniform(), a.Local(slot)
	a.LoadUni(u, local, 0)
	a.FreeReg(local)
	return u
}

func (s *logSumExp) setScalar(slot int, v *Vec) {
	local := s.Local(slot)
	s.StoreLane0(v, local, 0)
	s.FreeReg(local)
}

// sample returns the greatest of three elements of the block's first step: enough, and
// known sooner than its maximum.
func (s *logSumExp) sample() Uni {
	mid, last := s.Reg(), s.Reg()
	s.samplesAt(mid, last)
	m := s.sampleOf(mid, last)
	s.FreeReg(last)
	s.FreeReg(mid)
	return m
}

// samplesAt sets mid and last to where two of the elements are.
func (s *logSumExp) samplesAt(mid, last Reg) {
	s.take(step, s.size, last)
	s.Mov(last, mid)
	s.ShiftReg(1, mid)
	s.AndImm(-4, mid)
	s.ShiftReg(2, last)
	s.AddImm(-4, last)
}

// sampleOf returns the greatest of the first element at p and those.
func (s *logSumExp) sampleOf(mid, last Reg) Uni {
	at, m, x := s.Reg(), s.Uniform(), s.Uniform()
	s.LoadUni(m, s.p, 0)
	for _, off := range []Reg{mid, last} {
		s.Mov(s.p, at)
		s.AddReg(off, at)
		s.LoadUni(x, at, 0)
		s.isa.op(s.Asm, opMax, m.r, x, m.r)
	}
	s.FreeUniform(x)
	s.FreeReg(at)
	return m
}

// max sets u to the maximum of the block.
func (s *logSumExp) max(u Uni) {
	chains := max(2, 4*s.isa.width()/lanes) // of registers, four or more
	ms, low, left := s.Vecs(chains, "m"), s.ConstReg(negInf), s.Reg()
	for _, m := range ms {
		s.Set(m, low)
	}
	s.Mov(s.p, s.q)
	s.Mov(s.size, left)
	s.while(s.q, left, step, step, func() {
		for i := range 4 {
			s.MaxLoad(ms[i%len(ms)], s.q, 4*lanes*i)
		}
	})
	for _, m := range ms[1:] {
		s.Max(ms[0], m)
	}
	s.while(s.q, left, lanes, 1, func() {
		s.LoadTail(ms[1], s.q, left, low)
		s.Max(ms[0], ms[1])
	})
	s.FreeReg(left)
	s.FreeConst(low)
	s.FoldMax(ms[0])
	s.Broadcast(u, ms[0])
	s.Free(ms...)
}

// setBase makes m the base, and sets what comes of it. It goes to label if that is too
// great or no number.
func (s *logSumExp) setBase(m Uni, label string) {
	positive, inside := s.NewLabel("positive"), s.NewLabel("inside")
	least, limit := s.ConstReg(bits(-nearBase)), s.ConstReg(bits(nearBase))
	s.JumpGreater(m, least, positive)
	s.Jump(label)
	s.Label(positive)
	s.JumpGreater(limit, m, inside)
	s.Jump(label)
	s.Label(inside)
	s.FreeUniform(limit)
	s.FreeUniform(least)

	s.Narrow()
	u := s.Vec("u")
	s.Set(u, m)
	if s.dots {
		s.SetUniform(s.base, m)
	}
	s.setScalar(baseAt, u)
	s.fromBase(u, func(v *Vec) { s.SetUniform(s.round, uni(v)) }, func(v *Vec) { s.SetUniform(s.low, uni(v)) },
		func(v *Vec) { s.setScalar(toBase, v) })
	s.Set(u, s.zero)
	s.setScalar(totalAt, u)
	s.Free(u)
	s.Widen()
}

// fromBase gives what comes of the base u, which it destroys: round, low, and what is to
// be in toBase.
func (a *Asm) fromBase(u *Vec, setRound, setLow, setRest func(v *Vec)) {
	integer, least, minus, first := a.Const(bits(round)), a.Addend(bits(-127*ln2)), a.Const(bits(-unit)), a.Addend(bits(2+127*unit))
	log2e, ln2, minusLn2 := a.Const(bits(log2e)), a.Const(bits(ln2)), a.Const(bits(-ln2))
	one, c := a.Addend(bits(1)), a.coefficients(exp6)
	a.ByPart(func() {
		k, v := a.Vec("k"), a.Vec("v")
		a.MulAddUni(k, u, log2e, integer)
		a.SubUni(k, k, integer)
		a.MulAddUni(v, k, minus, first)
		setRound(v)
		a.MulAddUni(v, k, ln2, least)
		setLow(v)

		a.Comment("e^u - 1, u being k ln 2 - base")
		a.MulAdd(u, k, minusLn2)
		a.Negate(u)
		a.slope([]*Vec{v}, []*Vec{u}, c, one)
		a.Mul(v, u)
		setRest(v)
		a.Free(k, v)
	})
	for _, c := range append(c, integer, least, minus, first, log2e, ln2, minusLn2, one) {
		a.FreeConst(c)
	}
}

// lanes adds up the block lane by lane, in parts; small elements are held at low if it
// is to. It goes to label if something was out of range.
func (s *logSumExp) lanes(hold bool, label string) {
	part, loop, end, vec, store := s.NewLabel("part"), s.NewLabel("loop"), s.NewLabel("end"), s.NewLabel("vec"), s.NewLabel("store")
	s.toParts(s.part)
	s.Mov(s.p, s.q)
	seen, sum, dot := s.One("seen", s.zero), s.Vec("sum"), s.newDot()
	next := func() {
		s.Store(sum, s.part, 0)
		s.AddImm(4*lanes, s.part)
		if s.dots {
			s.addLanes(dot, blockDots)
		}
	}
	s.startSums(sum, dot)
	s.JumpIf(s.q, ">=", s.full, end)
	s.Label(part)
	s.startPart(partSize)
	s.Label(loop)
	if s.shifts {
		s.shiftStep()
	}
	s.step(dot, hold, s.fromMemory, func(_ int, xs []*Vec) { s.add(sum, seen, xs) })
	s.JumpIf(s.q, "<", s.cut, loop)
	s.JumpIf(s.q, ">=", s.full, end)
	next()
	s.startSums(sum, dot)
	s.Jump(part)

	s.Comment("The last part may end with less than a step.")
	s.Label(end)
	left := s.Reg()
	s.Mov(s.size, left)
	s.AndImm(step-1, left)
	s.JumpIfImm(left, "==", 0, store)
	s.JumpIf(s.q, "==", s.p, vec)
	s.fill(partSize, s.cut)
	s.JumpIfImm(s.cut, "!=", 0, vec)
	next()
	s.startSums(sum, dot)
	s.Label(vec)
	s.lastVectors(left, dot, hold, vec, func(x *Vec) { s.add(sum, seen, []*Vec{x}) })
	s.FreeReg(left)
	s.Label(store)
	next()
	s.Free(sum)
	if s.dots {
		s.Free(dot)
	}
	s.JumpBits(seen, outOfRange, label)
	s.Free(seen)
}

// startShift relates to and from to x, and makes n the address in x where they end.
func (s *logSumExp) startShift() {
	s.relate("to")
	s.relate("from")
	x := s.Arg("x")
	s.toAddress("n", x, 0)
	s.FreeReg(x)
}

// shiftStep sets the step of to that goes with that at q, if there is one. Where a block is
// done again, so is this.
func (s *logSumExp) shiftStep() {
	skip := s.NewLabel("skip")
	from, to := s.Arg("n"), s.Reg()
	s.JumpIf(s.q, ">=", from, skip)
	m, l := s.Uniform(), s.Uniform()
	s.LoadArg("max", to)
	s.LoadUni(m, to, 0)
	s.LoadArg("log", to)
	s.LoadUni(l, to, 0)
	s.LoadArg("from", from)
	s.AddReg(s.q, from)
	s.LoadArg("to", to)
	s.AddReg(s.q, to)
	s.storeStep(from, to, func(v *Vec, _ int) {
		s.SubUni(v, v, m)
		s.SubUni(v, v, l)
	})
	s.FreeUniform(l)
	s.FreeUniform(m)
	s.FreeReg(to)
	s.FreeReg(from)
	s.Label(skip)
}

// storeStep has the step at src finished, and stores it at dst.
func (s *logSumExp) storeStep(src, dst Reg, finish func(v *Vec, off int)) {
	for i := range 4 {
		v, off := s.Vec("v"), 4*lanes*i
		s.Load(v, src, off)
		finish(v, off)
		if !s.stream {
			s.Prefetch(dst, soon+off)
		}
		s.StoreTo(s.stream, v, dst, off)
		s.Free(v)
	}
}

// eachStep runs body for each full step of the block, q being where it is.
func (s *logSumExp) eachStep(body func()) {
	loop, done := s.NewLabel("each"), s.NewLabel("done")
	s.Mov(s.p, s.q)
	s.Label(loop)
	s.JumpIf(s.q, ">=", s.full, done)
	body()
	s.AddImm(4*step, s.q)
	s.Jump(loop)
	s.Label(done)
}

// newDot returns accumulators for the dots of a part, or nil if there are none, and
// clears the block's.
func (s *logSumExp) newDot() *Vec {
	if !s.dots {
		return nil
	}
	dot := s.Vec("dot")
	s.Set(dot, s.zero)
	s.keepLanes(dot, blockDots)
	return dot
}

// startSums clears the accumulators.
func (s *logSumExp) startSums(sum, dot *Vec) {
	s.Set(sum, s.zero)
	if s.dots {
		s.Set(dot, s.zero)
	}
}

// startPart sets cut to the end of the part at q, of that many elements.
func (s *logSumExp) startPart(size int) {
	s.Mov(s.q, s.cut)
	s.AddImm(4*size, s.cut)
	s.MinReg(s.full, s.cut)
}

// step has the vectors of the step at q used, as many at once as take turns, and moves
// on. It adds to dot, and holds small elements at low if they are to.
func (s *logSumExp) step(dot *Vec, hold bool, prefetch func(off int), use func(first int, xs []*Vec)) {
	var w Reg
	if s.weighted {
		w = s.inWeights(s.q)
	}
	n := 1 // where one is one register
	if s.isa.width() == lanes {
		n = 2
	}
	for i := 0; i < 4; i += n {
		xs := s.Vecs(n, "x")
		for k, x := range xs {
			off := 4 * lanes * (i + k)
			prefetch(off)
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
			if hold {
				s.AtLeast(x, s.low)
			}
		}
		use(i, xs)
	}
	if s.weighted {
		s.FreeReg(w)
	}
	s.AddImm(4*step, s.q)
}

// lastVectors is step for a vector of what is left of the row, which use frees, and goes
// to label for the next one.
func (s *logSumExp) lastVectors(left Reg, dot *Vec, hold bool, label string, use func(x *Vec)) {
	if s.dots {
		s.addDots(dot, s.q, left, s.base, s.zero, s.weighted)
	}
	x := s.Vec("x")
	s.LoadTail(x, s.q, left, s.low)
	if hold {
		s.AtLeast(x, s.low)
	}
	use(x)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, left)
	s.JumpIfImm(left, ">", 0, label)
}

// fromMemory asks for data that may be in no cache.
func (s *logSumExp) fromMemory(off int) {
	if s.at != "" {
		s.Prefetch(s.q, togetherNear+off)
		if s.once() {
			s.PrefetchL2At(s.q, s.far, off)
		} else {
			s.PrefetchL2(s.q, togetherFar+off)
		}
		return
	}
	if s.once() {
		s.Prefetch(s.q, sumOnce+off)
		return
	}
	s.Prefetch(s.q, sumNear+off)
	s.PrefetchL2(s.q, sumFar+off)
}

// once tells whether data is asked for once, but by short rows together.
func (s *logSumExp) once() bool { return s.isa.width() == lanes && !s.stream && !s.shifts }

// fill sets d to how far q is in its part of that many elements.
func (s *logSumExp) fill(size int, d Reg) {
	s.Mov(s.q, d)
	s.SubReg(s.p, d)
	s.AndImm(4*size-1, d)
}

// keepLanes stores the lanes of v in a slot of the stack.
func (a *Asm) keepLanes(v *Vec, slot int) {
	local := a.Local(slot)
	a.Store(v, local, 0)
	a.FreeReg(local)
}

// addLanes adds v to the lanes in a slot.
func (s *logSumExp) addLanes(v *Vec, slot int) {
	local, all := s.Local(slot), s.Vec("all")
	s.Load(all, local, 0)
	s.Add(all, v)
	s.Store(all, local, 0)
	s.Free(all)
	s.FreeReg(local)
}

// setDot sets the block's dot.
func (s *logSumExp) setDot() {
	if !s.dots {
		return
	}
	dot := s.Vec("dot")
	s.loadLanes(dot, blockDots)
	s.FoldAdd(dot)
	s.setOut("dot", uni(dot))
	s.Free(dot)
}

// A reducer has the constants of e^(x - k ln 2) that do not depend on k.
type reducer struct {
	log2e, ln2 Uni // times unit, and over unit
	one        Uni
	c          []Uni // the coefficients of r^2 and r^3
	powers     []Uni // for Power
}

func (a *Asm) newReducer() reducer {
	return reducer{a.Const(bits(log2e * unit)), a.Const(bits(-ln2 / unit)), a.Addend(bits(1)), a.coefficients(exp3), a.Powers()}
}

// keep moves what is used most from memory to registers, and leaves n registers free.
func (e *reducer) keep(a *Asm, n int) {
	a.keep(n, &e.one, &e.log2e, &e.ln2, &e.c[0], &e.powers[0])
}

func (e reducer) free(a *Asm) {
	for _, u := range append(append(e.c, e.powers...), e.log2e, e.ln2, e.one) {
		a.FreeConst(u)
	}
}

// reduce replaces each x by r, and returns (e^r - 1)/r, less a little that correct knows
// of, and what has 8 (n-k+127) in its lowest bits. round has k taken off.
func (e reducer) reduce(a *Asm, xs []*Vec, round source) (ps, ts []*Vec) {
	ps, ts = make([]*Vec, len(xs)), make([]*Vec, len(xs))
	for i, x := range xs {
		ts[i] = a.Vec("t")
		a.fma(32, ts[i], x, e.log2e, round)
	}
	for i, x := range xs {
		ps[i] = a.Vec("p")
		a.op(opSub, ts[i], round, ps[i])
		a.MulAdd(x, ps[i], e.ln2)
	}
	a.slope(ps, xs, e.c, e.one)
	return ps, ts
}

// exp replaces each x by e^(x - k ln 2), given what reduce made and returned of it.
func (e reducer) exp(a *Asm, xs, ps, ts []*Vec) {
	for i, x := range xs {
		a.Mul(ps[i], x)
	}
	a.Power(xs, ts, e.powers)
	for i, x := range xs {
		a.MulAddVec(x, ps[i], x)
	}
	a.Free(ps...)
	a.Free(ts...)
}

// addExp adds it to sum instead, and frees each x: the product is exact there. If there are
// some, masks clear what is not to be added.
func (e reducer) addExp(a *Asm, sum *Vec, xs, ps, ts []*Vec, masks ...*Vec) {
	a.Horner(ps, xs, e.one)
	a.Power(xs, ts, e.powers)
	for i, mask := range masks {
		a.op(opAnd, xs[i], mask, xs[i])
	}
	for i, x := range xs {
		a.MulAddVec(sum, ps[i], x)
	}
	a.Free(masks...)
	a.Free(xs...)
	a.Free(ps...)
	a.Free(ts...)
}

// add adds e^(x - k ln 2) to sum, frees each x, and shows the exponents to seen.
func (s *logSumExp) add(sum, seen *Vec, xs []*Vec) {
	ps, ts := s.reduce(s.Asm, xs, s.round)
	s.OrAll(seen, ts)
	s.addExp(s.Asm, sum, xs, ps, ts)
}

// toParts sets d to the place of the first part's sums.
func (s *logSumExp) toParts(d Reg) {
	if s.at != "" {
		s.LoadInt(partsAt, d)
		return
	}
	local := s.Local(firstPart)
	s.Mov(local, d)
	s.FreeReg(local)
}

// The greatest of the parts' sums is tagged by the number of its lane, in the lowest bits.
const tagBits = lanes - 1

// addParts adds up the parts' sums lane by lane, every other one apart, which takes half as
// long, and takes the greatest of them, tagged.
func (s *logSumExp) addParts() (sum, top *Vec) {
	sums, tops := s.Vecs(2, "sum"), s.Vecs(2, "top")
	for i := range sums {
		s.Set(sums[i], s.zero)
		s.Set(tops[i], s.zero)
	}
	s.Store(sums[0], s.part, 0) // there may be one less
	more := s.NewLabel("more")
	s.toParts(s.q)
	s.Label(more)
	for i := range sums {
		s.AddLoad(sums[i], s.q, 4*lanes*i)
		s.MaxLoad(tops[i], s.q, 4*lanes*i)
	}
	s.AddImm(8*lanes, s.q)
	s.JumpIf(s.q, "<", s.part, more)
	sum, top = sums[0], tops[0]
	s.Add(sum, sums[1])
	s.Max(top, tops[1])
	s.Free(sums[1], tops[1])
	untagged, tag := s.Const(^uint32(tagBits)), s.Vec("tag")
	s.LaneNumbers(tag)
	s.op(opAnd, top, untagged, top)
	s.op(opOr, top, tag, top)
	s.Free(tag)
	s.FreeConst(untagged)
	return sum, top
}

// without clears v where it is most, which has no tag, but for its own, and returns a Vec
// that is 0 there and nowhere else.
func (s *logSumExp) without(v *Vec, most source) *Vec {
	d, untagged := s.Vec("d"), s.Const(^uint32(tagBits))
	s.op(opAnd, v, untagged, d)
	s.op(opSub, d, most, d)
	s.ZeroWhere(v, d, s.zero)
	s.FreeConst(untagged)
	return d
}

// half is a little less than 2: two sums of lanes that are the same, but for what tags
// take, are not each more than half of what there is.
const half = 1.9999

// tooGreat is a sum that is out of range.
func (s *logSumExp) tooGreat() uint32 {
	if s.dots {
		return bits(dotsSum)
	}
	return bits(greatSum)
}

// judge keeps the block's sum, and adds it to the row's. It goes to bad if it is too
// great, and to peak if the greatest of its parts is more than half.
func (s *logSumExp) judge(sum *Vec, most Uni, bad, peak string) {
	finite, limit := s.NewLabel("finite"), s.ConstReg(s.tooGreat())
	s.JumpGreater(limit, uni(sum), finite)
	s.Jump(bad)
	s.Label(finite)
	s.FreeUniform(limit)
	s.setScalar(sumAt, sum)
	s.Narrow()
	half := s.Const(bits(half))
	total, twice, local := s.Vec("total"), s.Vec("twice"), s.Local(totalAt)
	s.LoadLane0(total, local, 0)
	s.AddLane0(total, sum)
	s.StoreLane0(total, local, 0)
	s.FreeReg(local)
	s.Set(twice, most)
	s.MulUni(twice, twice, half)
	s.JumpGreater(uni(twice), uni(total), peak)
	s.Free(sum, total, twice)
	s.FreeConst(half)
	s.Widen()
}

// again adds up the block without the greatest element of the lane of a part that most
// tells: the peak. It goes to label if there are two of them. It frees most.
func (s *logSumExp) again(most Uni, label string) {
	v, sum := s.lane(most)
	s.FoldAdd(sum)
	rest := s.Uniform()
	s.Broadcast(rest, sum)
	s.Free(sum)
	top, peak := s.Vec("top"), s.Uniform()
	s.Copy(top, v)
	s.FoldHalf(opMax, top) // a lane has no more
	s.Broadcast(peak, top)
	ones := top
	s.others(v, ones, peak)
	s.FoldHalf(opAdd, ones)
	one := s.ConstReg(bits(1))
	s.JumpGreater(uni(ones), one, label)
	s.FreeUniform(one)
	s.Free(top)
	s.FoldHalf(opAdd, v)
	s.Narrow()
	s.op(opAdd, v, rest, v)
	s.FreeUniform(rest)

	s.setOut("peak", peak)
	if s.dots { // which are to the base that there is
		s.setScalar(sumAt, v)
	} else {
		top := s.Vec("top")
		s.Set(top, peak)
		s.rebase(v, top, s.round)
		s.Free(top)
		s.setOut("sum", uni(v))
		s.setOut("base", peak)
	}
	s.Widen()
	s.Free(v)
	s.FreeUniform(peak)
}

// lane returns the elements of the lane of a part that most tells, and the sums of the
// lanes without that part. It frees most.
func (s *logSumExp) lane(most Uni) (v, sum *Vec) {
	s.MoveLane0(most, s.q)
	s.AndImm(tagBits, s.q)
	s.ShiftReg(2, s.q)
	others := s.laneParts(s.q)
	lane, tag, untagged := s.Uniform(), s.Const(tagBits), s.Const(^uint32(tagBits))
	s.isa.op(s.Asm, opAnd, most.r, tag, lane.r)
	s.isa.op(s.Asm, opAnd, most.r, untagged, most.r)
	s.FreeConst(tag)
	s.FreeConst(untagged)
	n := s.cut
	s.cutPart(others, most, n)
	s.FreeUniform(most)
	s.ShiftReg(partShift, n)
	s.Add(others[0], others[1])
	s.Free(others[1])
	rest := s.Uniform()
	s.FoldAdd(others[0])
	s.Broadcast(rest, others[0])
	s.Free(others[0])
	s.AddReg(n, s.q)
	s.AddReg(s.p, s.q)

	sum = s.Vec("sum")
	numbers := s.Vec("numbers")
	s.loadLanes(sum, blockSums)
	s.LaneNumbers(numbers)
	s.op(opXor, numbers, lane, numbers)
	s.ShiftLeft(numbers, 23) // to what is not subnormal
	s.ZeroWhere(sum, numbers, s.zero)
	s.EqOne(numbers, numbers, s.zero, rest)
	s.op(opOr, sum, numbers, sum)
	s.Free(numbers)
	s.FreeUniform(lane)
	s.FreeUniform(rest)

	v = s.Vec("v")
	s.Mov(s.size, n)
	s.ShiftReg(2, n)
	s.AddReg(s.p, n)
	s.SubReg(s.q, n)
	s.AddImm(4*lanes-1, n)
	s.ShiftDown(6, n)
	limit := s.Reg()
	s.MovImm(laneSize, limit)
	s.MinReg(limit, n)
	s.FreeReg(limit)
	s.LoadLane(v, s.q, 0, n, laneSize, s.low)
	return v, sum
}

// laneParts returns the parts' sums of the lane that is so many bytes in.
func (s *logSumExp) laneParts(lane Reg) []*Vec {
	at, n, left, few := s.Reg(), s.Reg(), s.Reg(), s.NewLabel("few")
	s.toParts(at)
	s.Mov(s.part, left)
	s.SubReg(at, left)
	s.ShiftDown(6, left)
	s.AddReg(lane, at)
	sums := s.Vecs(parts/lanes, "sums")
	s.Set(sums[1], s.zero)
	s.take(lanes, left, n)
	s.LoadLane(sums[0], at, 0, n, lanes, s.zero)
	s.SubReg(n, left)
	s.JumpIfImm(left, "==", 0, few)
	s.LoadLane(sums[1], at, 4*lanes*lanes, left, lanes, s.zero)
	s.Label(few)
	for _, r := range []Reg{left, n, at} {
		s.FreeReg(r)
	}
	return sums
}

// cutPart clears the greatest of the parts' sums, most, and sets d to the number of its
// part: that of the first bit which Less leaves clear, as adding 1 sets that and no lower one.
func (s *logSumExp) cutPart(sums []*Vec, most source, d Reg) {
	high := s.Reg()
	for i, less := range []Reg{d, high} {
		over := s.without(sums[i], most)
		s.Less(over, s.zero, less)
		s.Free(over)
	}
	s.ShiftReg(lanes, high)
	s.AddReg(high, d)
	s.AddImm(1, d)
	s.FirstBit(d)
	s.FreeReg(high)
}

// others replaces the elements v by what they add, but for those that are the peak, and
// sets ones to 1 for those.
func (s *logSumExp) others(v, ones *Vec, peak Uni) {
	s.ByPart(func() {
		d := s.Vec("d")
		s.SubUni(d, v, peak)
		s.EqOne(ones, d, s.zero, s.one)
		s.AtLeast(v, s.low)
		ps, ts := s.reduce(s.Asm, []*Vec{v}, s.round)
		s.exp(s.Asm, []*Vec{v}, ps, ts)
		s.ZeroWhere(v, d, s.zero)
		s.Free(d)
	})
}

// rebase turns sum into that for a base of peak, which spares callers an exponential:
// times e^(k ln 2 - peak), the reciprocal of e^r 2^(n-k), r taking note of ln2lo.
func (s *logSumExp) rebase(sum, peak *Vec, round source) {
	s.correct(sum)
	opposite, none, low := s.Const(254*powers), s.Const(bits(2+127*unit)), s.Const(bits(-ln2lo/unit))
	x, t, p := s.Vec("x"), s.Vec("t"), s.Vec("p")
	s.Copy(x, peak)
	s.fma(32, t, x, s.log2e, round)
	s.op(opSub, t, round, p)
	s.MulAdd(x, p, s.ln2)
	s.SubUni(p, t, none)
	s.MulAdd(x, p, low)
	s.Negate(x)
	s.slope([]*Vec{p}, []*Vec{x}, s.c, s.one)
	less := s.Vec("less")
	s.Set(less, opposite)
	s.op(opSubInt, less, t, t)
	s.Free(less)
	s.exp(s.Asm, []*Vec{x}, []*Vec{p}, []*Vec{t})
	s.Mul(sum, x)
	s.Free(x)
	for _, c := range []Uni{opposite, none, low} {
		s.FreeConst(c)
	}
}

// finish sets the block's base and its sum, which is that of e^(x - k ln 2).
func (s *logSumExp) finish() {
	f, u := s.scalar(toBase), s.scalar(sumAt)
	s.Narrow()
	sum, all := s.Vec("sum"), s.Vec("all")
	s.Set(sum, u)
	s.FreeUniform(u)
	s.correct(sum)
	s.Set(all, uni(sum))
	s.MulAdd(all, sum, f)
	s.setOut("sum", uni(all))
	s.Free(sum, all)
	s.Widen()
	s.FreeUniform(f)
	base := s.scalar(baseAt)
	s.setOut("base", base)
	s.FreeUniform(base)
	s.setDot()
}

// correct adds to sum what it lacks by exp3, and by n-k times ln2lo, n-k being its own
// exponent, as that of what makes up most of it is.
func (a *Asm) correct(sum *Vec) {
	lack, x := a.lacking(sum), a.Vec("x")
	a.Copy(x, sum)
	a.MulAddVec(sum, x, lack)
	a.Free(lack, x)
}

// lacking returns how much of sum that is.
func (a *Asm) lacking(sum *Vec) *Vec {
	integer, low := a.Const(bits(1<<23)), a.Const(bits(-ln2lo))
	bias, lack := a.Const(bits(1<<23+127)), a.Addend(bits(exp3Lack))
	n, x := a.Vec("n"), a.Vec("x")
	a.Copy(n, sum)
	a.ShiftLeft(n, -23)
	a.op(opOr, n, integer, n)
	a.SubUni(x, n, bias)
	a.MulAddUni(n, x, low, lack)
	a.Free(x)
	for _, c := range []Uni{integer, low, bias, lack} {
		a.FreeConst(c)
	}
	return n
}

// vectors does the block vector by vector, its maximum m, which may be too great for
// setBase and is freed, being the base, and the peak.
func (s *logSumExp) vectors(m Uni) {
	s.takeBase(m)
	s.FreeUniform(m)
	exp := s.expFromBase(exp5)
	left := s.Reg()
	s.Mov(s.p, s.q)
	s.Mov(s.size, left)
	if s.dots {
		dot, loop := s.Vec("dot"), s.NewLabel("dots")
		s.Set(dot, s.zero)
		s.keepLanes(dot, blockDots)
		s.Label(loop)
		s.addDots(dot, s.q, left, s.base, s.zero, s.weighted)
		s.nextVector(left, loop, segmentSum{dot, blockDots})
		s.Free(dot)
		s.setDot()
		s.Mov(s.p, s.q)
		s.Mov(s.size, left)
	}
	sum, ones, fill, vec := s.Vec("sum"), s.Vec("ones"), s.Const(negInf), s.NewLabel("vec")
	s.Set(sum, s.zero)
	s.keepLanes(sum, blockSums)
	s.Set(ones, s.zero)
	s.Label(vec)
	d := s.Vec("d")
	s.LoadTail(d, s.q, left, fill)
	s.ByPart(func() {
		one := s.Vec("one")
		s.SubUni(d, d, s.base)
		s.EqOne(one, d, s.zero, exp.one)
		e := exp.of(s.Asm, []*Vec{d})[0]
		s.Sub(e, one)
		s.Add(sum, e)
		s.Add(ones, one)
		s.Free(e, one)
	})
	s.Free(d)
	s.nextVector(left, vec, segmentSum{sum, blockSums})
	s.FreeReg(left)
	s.FreeConst(fill)
	s.loadLanes(sum, blockSums)
	s.FoldAdd(sum)
	s.FoldAdd(ones)

	out := s.Arg("peak")
	s.StoreLane0(ones, out, 0)
	s.takePeak(sum, s.base, out)
	s.FreeReg(out)
	s.setOut("sum", uni(sum))
	s.setOut("base", s.base)
	s.Free(sum, ones)
	s.freeExp(exp)
}

// A segmentSum is what the lanes of a segment add up to, and the slot of the block's.
type segmentSum struct {
	v    *Vec
	slot int
}

// nextVector goes to label for the next vector of the block, if there is one. A segment's
// sums go to the block's.
func (s *logSumExp) nextVector(left Reg, label string, sums ...segmentSum) {
	within := s.NewLabel("within")
	s.AddImm(4*lanes, s.q)
	s.fill(segment, s.cut)
	s.JumpIfImm(s.cut, "!=", 0, within)
	for _, sum := range sums {
		s.addLanes(sum.v, sum.slot)
		s.Set(sum.v, s.zero)
	}
	s.Label(within)
	s.AddImm(-lanes, left)
	s.JumpIfImm(left, ">", 0, label)
	for _, sum := range sums {
		s.addLanes(sum.v, sum.slot)
	}
}

// takeBase makes m the base, unless it is -Inf: masked elements never meet -Inf - -Inf.
func (s *logSumExp) takeBase(m Uni) {
	lowest := s.ConstReg(bits(-math.MaxFloat32))
	s.isa.op(s.Asm, opMax, m.r, lowest, s.base.r)
	s.FreeConst(lowest)
}

// expFromBase is newExpMinus in the register of low, until setBase.
func (s *logSumExp) expFromBase(poly []float32) expMinus {
	e := s.newExpMinus(poly)
	if !s.isa.scales() {
		s.SetUniform(s.low, e.low)
		s.FreeUniform(e.low)
		e.low = s.low
	}
	return e
}

func (s *logSumExp) freeExp(e expMinus) {
	for _, c := range append(e.c, e.log2e, e.round, e.ln2, e.one) {
		s.FreeConst(c)
	}
}

// takePeak leaves one of the elements that are the maximum m, whose number is at peak,
// out of sum and puts it there, or -Inf if there is none.
func (a *Asm) takePeak(sum *Vec, m Uni, peak Reg) {
	some, done := a.NewLabel("some"), a.NewLabel("done")
	none, zero, one := a.ConstReg(negInf), a.ConstReg(0), a.Const(bits(1))
	a.Narrow()
	ones := a.Vec("ones")
	a.LoadLane0(ones, peak, 0)
	a.JumpGreater(uni(ones), zero, some)
	a.StoreUni(none, peak, 0)
	a.Jump(done)
	a.Label(some)
	a.SubUni(ones, ones, one)
	a.AddLane0(sum, ones)
	a.StoreUni(m, peak, 0)
	a.Label(done)
	a.Free(ones)
	a.Widen()
	for _, c := range []Uni{none, zero, one} {
		a.FreeConst(c)
	}
}
