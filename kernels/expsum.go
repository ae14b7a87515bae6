package main

import "math"

var expSumKernel = kernel{
	name: "expSum",
	doc: `Row i of dst is e^(x - max), max being the greatest x of the row up to the end
of the element's block of 2048. max and sum, that of e^(x - max), are per block
and row by row. Lane j of 16 adds up elements j, j+16, ... of 256, and their sum to
the block's lane j; the end of the row, vector by vector. The lanes are folded at the
block's end. The maximum of the next block, or of the next row's first, is found in
the same loop.`,
	args: []arg{{"dst", "*float32"}, {"max", "*float32"}, {"sum", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newExpSum(a)
		s.write()
	},
}

var expSumDotKernel = kernel{
	name: "expSumDot",
	doc:  `It is expSum and sets dot to the sum of x - max over the block, added up as well.`,
	args: []arg{{"dst", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newExpSum(a)
		s.dots = true
		s.write()
	},
}

var expSumWeightedKernel = kernel{
	name: "expSumWeighted",
	doc:  `It is expSumDot for the sum of w[j] (x - max).`,
	args: []arg{{"dst", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newExpSum(a)
		s.dots, s.weighted = true, true
		s.write()
	},
}

// An expSum writes one of the kernels.
type expSum struct {
	*Asm
	dots, weighted   bool // set dot, with weights
	trail            bool // finish what was in dst
	low, zero        Uni
	exp              expMinus
	m                Uni // the maximum
	maxs, sums       Reg // where the next block's results go
	n                Reg // elements left of the row
	p, q             Reg // the block, the elements at hand
	size, full, left Reg // of the block: its elements, the end of its full steps, what is behind
	toDst            Reg // what takes an address in x to that in dst
	cut              Reg // where the sums are to be added to the block's
	ahead            Reg // what is behind the elements that nextMax is the maximum of
}

// The room of an expSum on the stack: the sums of the block's lanes, and the
// maxima of those of the next block.
const (
	blockSum = iota
	nextMax
	blockDot
)

// How far in front of the loop that finds maxima data is asked for: into the
// second-level cache from memory, and in time for the loop from there. Requests
// to the first-level cache alone are too few at a time for memory: on a Zen 4
// 256x151936 take 0.20 ns an element on AVX2 with both, 0.24 with near alone, and
// more with it farther away.
const (
	near = 4 * 1024
	far  = 24 * 1024
)

func newExpSum(a *Asm) *expSum {
	s := &expSum{Asm: a, low: a.Const(negInf), zero: a.Const(0)}
	s.exp = a.newExpMinus(exp6)
	s.m = a.Uniform()
	s.maxs, s.sums, s.n = a.Arg("max"), a.Arg("sum"), a.Reg()
	return s
}

// next moves on to the results of other blocks.
func (s *expSum) next(blocks int) {
	s.AddImm(4*blocks, s.maxs)
	s.AddImm(4*blocks, s.sums)
}

// lowest returns the maximum to start from: not -Inf, so that masked elements
// never meet -Inf - -Inf.
func (s *expSum) lowest() Uni { return s.Const(bits(-math.MaxFloat32)) }

// write writes the kernel. The registers are for the blocks; what belongs to the
// rows stays in the parameters.
func (s *expSum) write() {
	for _, r := range []*Reg{&s.p, &s.q, &s.size, &s.full, &s.left, &s.cut, &s.ahead} {
		*r = s.Reg()
	}
	s.toDst = s.Reg()
	s.exp.keep(s.Asm, s.vregs())
	if s.weighted {
		s.relate("w")
	}
	row, block, known, last := s.NewLabel("row"), s.NewLabel("block"), s.NewLabel("known"), s.NewLabel("last")
	s.LoadArg("x", s.ahead)
	if s.trail {
		s.relate("to")
	}
	s.forget()
	s.Label(row)
	s.LoadArg("x", s.p)
	s.LoadArg("cols", s.n)
	s.LoadArg("dst", s.toDst)
	s.SubReg(s.p, s.toDst)
	start := s.lowest()
	s.SetUniform(s.m, start)
	s.FreeConst(start)
	s.Label(block)
	s.block()
	s.next(1)
	if s.trail {
		s.AddArg("factor", 4)
	}
	s.AddImm(4*blockSize, s.p)
	s.SubReg(s.size, s.n)
	s.JumpIfImm(s.n, ">", 0, known)
	s.FreeReg(s.cut) // in use within blocks only
	s.AdvanceArg("x", "stride")
	s.AdvanceArg("dst", "dstStride")
	if s.trail {
		s.nextTrail()
	}
	if s.weighted {
		s.nextWeights()
	}
	s.cut = s.Reg()
	s.LoadArg("rows", s.n)
	s.AddImm(-1, s.n)
	s.StoreArg("rows", s.n)
	s.JumpIfImm(s.n, "<=", 0, last)
	s.LoadArg("x", s.p)
	s.MovImm(0, s.n)

	s.Comment("Nothing is known of the next block if the loop went over its own.")
	s.Label(known)
	kept := s.NewLabel("kept")
	s.JumpIf(s.ahead, "!=", s.full, kept)
	s.Mov(s.p, s.ahead)
	s.forget()
	s.Label(kept)
	s.JumpIfImm(s.n, ">", 0, block)
	s.Jump(row)
	s.Label(last)
	s.Ret()
}

// forget makes nextMax the maximum of nothing.
func (s *expSum) forget() { s.setLocal(nextMax, s.lowest()) }

func (s *expSum) setLocal(slot int, u Uni) {
	v, local := s.Vec("v"), s.Local(slot)
	s.Set(v, u)
	s.Store(v, local, 0)
	s.Free(v)
	s.FreeReg(local)
	s.FreeConst(u)
}

// block does the block at p. In the end ahead is behind what nextMax has of the
// next one; it equals full if that is nothing, and nextMax is of no use.
func (s *expSum) block() {
	s.TakeBlock(s.n, s.size)
	if s.trail {
		s.trailRest()
	}
	s.findMax()
	s.StoreUni(s.m, s.maxs, 0)
	s.forget()
	s.setLocal(blockSum, s.Const(0))
	if s.dots {
		s.setLocal(blockDot, s.Const(0))
	}
	s.Mov(s.size, s.full)
	s.AndImm(-step, s.full)
	s.findNext()
	s.ShiftReg(2, s.full)
	s.AddReg(s.p, s.full)
	s.Mov(s.p, s.q)
	loop, within, tail, done := s.NewLabel("loop"), s.NewLabel("within"), s.NewLabel("tail"), s.NewLabel("done")
	s.Negate(s.m) // adding -m to what is in memory is one instruction on x86, subtracting m two
	s.Label(loop)
	s.JumpIf(s.q, ">=", s.full, tail)
	s.Mov(s.q, s.cut)
	s.AddImm(4*partSize, s.cut)
	s.JumpIf(s.cut, "<=", s.full, within)
	s.Mov(s.full, s.cut)
	s.Label(within)
	s.segment()
	s.Jump(loop)

	s.Comment("The end of the row.")
	s.Label(tail)
	s.Negate(s.m)
	s.Mov(s.size, s.left)
	s.AndImm(step-1, s.left)
	s.JumpIfImm(s.left, "==", 0, done)
	s.vectors()

	s.Label(done)
	sum := s.loadLocal(blockSum)
	s.FoldAdd(sum)
	s.StoreLane0(sum, s.sums, 0)
	s.Free(sum)
	if s.dots {
		dot, p := s.loadLocal(blockDot), s.Arg("dot")
		s.FoldAdd(dot)
		s.StoreLane0(dot, p, 0)
		s.AddImm(4, p)
		s.StoreArg("dot", p)
		s.FreeReg(p)
		s.Free(dot)
	}
}

// uni returns v, whose lanes are all the same, as a Uni.
func uni(v *Vec) Uni { return Uni{r: v.r[0]} }

// vregs is the number of registers that the loops have in use for vectors at a time.
func (s *expSum) vregs() int {
	parts := lanes / s.isa.width()
	n := 3*max(parts, 2) + parts + 1
	if s.dots {
		n += parts
	}
	return n
}

// findMax sets m to the maximum of m and the block, that of its elements up to
// ahead being in nextMax.
func (s *expSum) findMax() {
	chains := max(2, 4*s.isa.width()/lanes) // of registers, four or more
	v := append([]*Vec{s.loadLocal(nextMax)}, s.Vecs(chains-1, "other")...)
	for _, other := range v[1:] {
		s.Copy(other, v[0])
	}
	s.Mov(s.ahead, s.q)
	s.Mov(s.q, s.cut)
	s.SubReg(s.p, s.cut)
	s.ShiftDown(2, s.cut)
	s.Mov(s.size, s.left)
	s.SubReg(s.cut, s.left)
	s.Steps(s.q, s.left, func() {
		for i := range 4 {
			s.MaxLoad(v[i%len(v)], s.q, 4*lanes*i)
		}
	}, func() {
		for _, other := range v[1:] {
			s.Max(v[0], other)
		}
	}, func() {
		s.LoadTail(v[1], s.q, s.left, s.low)
		s.Max(v[0], v[1])
	})
	s.FoldMax(v[0])
	s.MaxLanes(v[0], s.m)
	s.Broadcast(s.m, v[0])
	s.Free(v...)
}

// findNext sets ahead to the next block, of the row or of the next row, if it has
// the elements of this one's full steps, and to this one otherwise.
func (s *expSum) findNext() {
	inRow, own, done := s.NewLabel("inRow"), s.NewLabel("own"), s.NewLabel("done")
	s.Mov(s.p, s.ahead)
	s.AddImm(4*blockSize, s.ahead)
	s.Mov(s.n, s.left)
	s.SubReg(s.size, s.left)
	s.JumpIfImm(s.left, ">", 0, inRow)
	s.LoadArg("rows", s.left)
	s.JumpIfImm(s.left, "<=", 1, own)
	s.LoadArg("x", s.ahead)
	s.Advance(s.ahead, "stride")
	s.LoadArg("cols", s.left)
	s.Label(inRow)
	s.JumpIf(s.left, ">=", s.full, done)
	s.Label(own)
	s.Mov(s.p, s.ahead)
	s.Label(done)
}

func (s *expSum) loadLocal(slot int) *Vec {
	v, local := s.Vec("local"), s.Local(slot)
	s.Load(v, local, 0)
	s.FreeReg(local)
	return v
}

// accumulators returns lanes to add up in, and those of the dots if there are some.
func (s *expSum) accumulators() (sum, dot *Vec) {
	sum = s.Vec("sum")
	s.Set(sum, s.zero)
	if s.dots {
		dot = s.Vec("dot")
		s.Set(dot, s.zero)
	}
	return sum, dot
}

// addUp adds accumulators to the block's lanes and frees them.
func (s *expSum) addUp(sum, dot *Vec) {
	s.addLocal(sum, blockSum)
	if s.dots {
		s.addLocal(dot, blockDot)
	}
}

func (s *expSum) addLocal(v *Vec, slot int) {
	before := s.loadLocal(slot)
	s.Add(before, v)
	s.Free(v)
	local := s.Local(slot)
	s.Store(before, local, 0)
	s.FreeReg(local)
	s.Free(before)
}

// inDst returns a register with the address in dst that goes with q.
func (s *expSum) inDst() Reg {
	t := s.Reg()
	s.Mov(s.q, t)
	s.AddReg(s.toDst, t)
	return t
}

// segment adds the elements from q to cut to the block's lanes, and finds the
// maximum of as many at ahead. m is negated. It asks for those behind them, evenly:
// memory takes requests best like that.
func (s *expSum) segment() {
	s.FreeReg(s.left) // not in use here
	sum, dot := s.accumulators()
	local := s.Local(nextMax)
	max := s.LoadOne("max", local)
	s.FreeReg(local)
	steps := s.NewLabel("steps")
	s.Label(steps)
	if s.trail {
		s.trailStep()
	}
	dst, w := s.inDst(), Reg("")
	if s.weighted {
		w = s.inWeights(s.q)
	}
	n := 1 // vectors that take turns, where one is one register
	if s.isa.width() == lanes {
		n = 2
	}
	for i := 0; i < 4; i += n {
		s.together(i, n, sum, max, dot, dst, w)
	}
	s.FreeReg(dst)
	if s.weighted {
		s.FreeReg(w)
	}
	s.AddImm(4*step, s.q)
	s.AddImm(4*step, s.ahead)
	s.JumpIf(s.q, "<", s.cut, steps)
	local = s.Local(nextMax)
	s.StoreOne(max, local)
	s.FreeReg(local)
	s.Free(max)
	s.addUp(sum, dot)
	s.left = s.Reg()
}

// together does n vectors of a step, from number first on.
func (s *expSum) together(first, n int, sum, max, dot *Vec, dst, w Reg) {
	ds := s.Vecs(n, "d")
	for k, d := range ds {
		off := 4 * lanes * (first + k)
		s.Prefetch(s.ahead, near+off)
		if !s.trail { // for data in the caches, where far costs more than it gains
			s.Prefetch(dst, 4*8*step+off)
		} else {
			s.PrefetchL2(s.ahead, far+off)
		}
		s.AddLoad(d, s.m, s.q, off)
		s.MaxLoadOne(max, s.ahead, off)
		switch {
		case s.weighted:
			s.MulAddLoad(dot, d, w, off)
		case s.dots:
			s.Add(dot, d)
		}
	}
	es := s.exp.of(s.Asm, ds)
	for k, e := range es {
		s.Store(e, dst, 4*lanes*(first+k))
		s.Add(sum, e)
	}
	s.Free(es...)
	s.Free(ds...)
}

// vectors adds the left elements at q, one vector after the other, to the block's lanes.
func (s *expSum) vectors() {
	sum, dot := s.accumulators()
	tail := s.NewLabel("tail")
	s.Label(tail)
	if s.dots {
		s.addDots(dot, s.q, s.left, s.m, s.zero, s.weighted)
	}
	d, dst := s.Vec("d"), s.inDst()
	s.LoadTail(d, s.q, s.left, s.low)
	s.ByPart(func() { s.exp.replace(s.Asm, d, s.m) })
	s.StoreTail(d, dst, s.left)
	s.FreeReg(dst)
	s.Add(sum, d)
	s.Free(d)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, s.left)
	s.JumpIfImm(s.left, ">", 0, tail)
	s.addUp(sum, dot)
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
