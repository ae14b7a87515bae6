package main

import "math"

var sumExpKernel = kernel{
	name: "sumExp",
	doc: `For each block of 2048 elements x of a row, and row by row: max is the greatest
x of the row so far; sum the sum of e^(x - max) over the block, but for some
elements equal to max, the first of the row among them; and ones their number.
Lane j of 16 adds up elements j, j+16, ... of 256, and their sum to the block's
lane j: e^(x - k ln 2), k ln 2 being close to max, which a factor takes to
e^(x - max) in the end. The steps where the maximum or the end of the row is, or
all if max is too great, are added up apart. The block's lanes are folded at its end.
The maximum of the next block, or of the next row's first, is found in the same
loop; the step that holds the maximum, by a search.`,
	args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, false)
		s.counts = a.Arg("ones")
		s.write()
	},
}

var sumExpDotKernel = kernel{
	name: "sumExpDot",
	doc: `It is sumExp, but adds up e^(x - max) itself in all steps, and sets dot to the sum
of x - max over the block, added up in the same way.`,
	args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, false)
		s.counts, s.dots = a.Arg("ones"), true
		s.write()
	},
}

var sumExpWeightedKernel = kernel{
	name: "sumExpWeighted",
	doc:  `It is sumExpDot for the sum of w[j] (x - max).`,
	args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, false)
		s.counts, s.dots, s.weighted = a.Arg("ones"), true, true
		s.write()
	},
}

var expSumKernel = kernel{
	name: "expSum",
	doc: `Row i of dst is e^(x - max), max being the greatest x of the row up to the end
of the element's block of 2048. max and sum, that of e^(x - max), are per block
and row by row. It adds up as sumExp does, no element left out.`,
	args: []arg{{"dst", "*float32"}, {"max", "*float32"}, {"sum", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, true)
		s.write()
	},
}

var expSumDotKernel = kernel{
	name: "expSumDot",
	doc: `It is expSum and sets dot to the sum of x - max over the block, as sumExpDot adds
it up where no maximum is looked for.`,
	args: []arg{{"dst", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, true)
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
		s := newSumExp(a, true)
		s.dots, s.weighted = true, true
		s.write()
	},
}

// A sumExp writes one of the kernels.
type sumExp struct {
	*Asm
	dots, weighted         bool // set dot, with weights
	store                  bool // write dst, and leave nothing out of the sums
	trail                  bool // finish what was in dst
	low, zero              Uni
	exp                    expMinus
	whole                  expMinus // of the loop, if it is bare
	m                      Uni      // the maximum
	maxs, sums, counts     Reg      // where the next block's results go
	n                      Reg      // elements left of the row
	p, q                   Reg      // the block, the elements at hand
	size, full, stop, left Reg      // of the block: its elements, the end of its full steps, where the loop stops
	toDst                  Reg      // what takes an address in x to that in dst
	cut                    Reg      // where the sums are to be added to the block's
	ahead                  Reg      // what is behind the elements that nextMax is the maximum of
}

// The room of a sumExp on the stack: the sums of the block's lanes, and the
// maxima of those of the next block.
const (
	blockSum = iota
	nextMax
	blockDot
)

// The room on the stack of one that is bare.
const (
	blockRest = blockDot + 1 + iota // the sums of the lanes of vectors
	toMax                           // what blockSum's are multiplied by in the end, less 1
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

func newSumExp(a *Asm, store bool) *sumExp {
	s := &sumExp{Asm: a, store: store, low: a.Const(negInf), zero: a.Const(0)}
	if store {
		s.exp = a.newExpMinus(exp6, false)
	} else {
		s.exp = a.newExpMinus(exp5, true)
	}
	s.m = a.Uniform()
	s.maxs, s.sums, s.n = a.Arg("max"), a.Arg("sum"), a.Reg()
	return s
}

// next moves on to the results of other blocks.
func (s *sumExp) next(blocks int) {
	s.AddImm(4*blocks, s.maxs)
	s.AddImm(4*blocks, s.sums)
	if !s.store {
		s.AddImm(4*blocks, s.counts)
	}
}

// lowest returns the maximum to start from: not -Inf, so that masked elements
// never meet -Inf - -Inf.
func (s *sumExp) lowest() Uni { return s.Const(bits(-math.MaxFloat32)) }

// split replaces d by e^(d - m) and sets one to 0, but to 0 and 1 where d is m.
func (s *sumExp) split(d, one *Vec) {
	s.ByPart(func() {
		s.SubUni(d, d, s.m)
		s.EqOne(one, d, s.zero, s.exp.one)
		e := s.exp.of(s.Asm, []*Vec{d})[0]
		s.Copy(d, e)
		s.Sub(d, one)
		s.Free(e)
	})
}

// write writes the kernel. The registers are for the blocks; what belongs to the
// rows stays in the parameters.
func (s *sumExp) write() {
	for _, r := range []*Reg{&s.p, &s.q, &s.size, &s.full, &s.left, &s.cut, &s.ahead} {
		*r = s.Reg()
	}
	s.stop = s.full
	if s.store {
		s.toDst = s.Reg()
	} else {
		s.stop = s.Reg()
	}
	if !s.bare() {
		s.exp.keep(s.Asm, s.vregs())
	} else {
		s.whole = s.exp // low's register too: vectors loads the constant each time
		s.whole.held = true
		s.whole.round = s.Uniform()
		s.whole.keep(s.Asm, s.vregs())
	}
	if s.weighted {
		s.Comment("w becomes what takes an address in the row to that in the weights.")
		s.LoadArg("w", s.p)
		s.LoadArg("x", s.q)
		s.SubReg(s.q, s.p)
		s.StoreArg("w", s.p)
	}
	row, block, known, last := s.NewLabel("row"), s.NewLabel("block"), s.NewLabel("known"), s.NewLabel("last")
	s.LoadArg("x", s.ahead)
	if s.trail {
		s.startTrail()
	}
	s.forget()
	s.Label(row)
	s.LoadArg("x", s.p)
	s.LoadArg("cols", s.n)
	if s.store {
		s.LoadArg("dst", s.toDst)
		s.SubReg(s.p, s.toDst)
	}
	start := s.lowest()
	s.SetUniform(s.m, start)
	s.FreeConst(start)
	s.Label(block)
	s.block()
	s.next(1)
	if s.trail {
		s.nextFactor()
	}
	s.AddImm(4*blockSize, s.p)
	s.SubReg(s.size, s.n)
	s.JumpIfImm(s.n, ">", 0, known)
	s.FreeReg(s.cut) // in use within blocks only
	s.AdvanceArg("x", "stride")
	if s.store {
		s.AdvanceArg("dst", "dstStride")
	}
	if s.trail {
		s.nextTrail()
	}
	if s.weighted {
		w, stride := s.Arg("w"), s.Arg("stride")
		s.ShiftReg(2, stride)
		s.SubReg(stride, w)
		s.StoreArg("w", w)
		s.FreeReg(stride)
		s.FreeReg(w)
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
func (s *sumExp) forget() { s.setLocal(nextMax, s.lowest()) }

func (s *sumExp) setLocal(slot int, u Uni) {
	v, local := s.Vec("v"), s.Local(slot)
	s.Set(v, u)
	s.Store(v, local, 0)
	s.Free(v)
	s.FreeReg(local)
	s.FreeConst(u)
}

// block does the block at p. In the end ahead is behind what nextMax has of the
// next one; it equals full if that is nothing, and nextMax is of no use.
func (s *sumExp) block() {
	before := s.Uniform()
	s.SetUniform(before, s.m)
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
	if s.bare() {
		s.setLocal(blockRest, s.Const(0))
		s.setWhole()
	}
	s.findNext()
	s.ShiftReg(2, s.full)
	s.AddReg(s.p, s.full)
	s.Mov(s.p, s.q)
	found, loop, special, inside, done := s.NewLabel("found"), s.NewLabel("loop"), s.NewLabel("special"), s.NewLabel("inside"), s.NewLabel("done")
	if !s.store {
		s.Comment("The step that holds a new maximum, or the end of the full ones.")
		s.Mov(s.full, s.stop)
		zero := s.Vec("zero")
		s.Set(zero, s.zero)
		s.StoreLane0(zero, s.counts, 0)
		s.Free(zero)
		grew, search := s.NewLabel("grew"), s.NewLabel("search")
		s.JumpGreater(s.m, before, grew)
		s.Jump(found)
		s.Label(grew)
		s.Mov(s.p, s.stop)
		s.Label(search)
		s.JumpIf(s.stop, ">=", s.full, found)
		s.JumpAnyEq(s.stop, s.m, found)
		s.AddImm(4*step, s.stop)
		s.Jump(search)
	}
	s.FreeUniform(before)

	s.Comment("The steps up to there.")
	s.Label(found)
	s.negate()
	s.Label(loop)
	s.JumpIf(s.q, ">=", s.stop, special)
	sooner := s.NewLabel("sooner")
	s.Mov(s.q, s.cut)
	s.SubReg(s.p, s.cut)
	s.AndImm(-4*256, s.cut)
	s.AddImm(4*256, s.cut)
	s.AddReg(s.p, s.cut)
	s.JumpIf(s.cut, "<=", s.stop, sooner)
	s.Mov(s.stop, s.cut)
	s.Label(sooner)
	s.segment()
	s.Jump(loop)

	s.Comment("The step of the maximum, or the end of the row.")
	s.Label(special)
	if !s.store {
		s.MovImm(step, s.left)
		s.JumpIf(s.q, "<", s.full, inside)
	}
	s.Mov(s.full, s.cut)
	s.SubReg(s.p, s.cut)
	s.ShiftDown(2, s.cut)
	s.Mov(s.size, s.left)
	s.SubReg(s.cut, s.left)
	s.JumpIfImm(s.left, "==", 0, done)
	s.Label(inside)
	s.negate()
	s.vectors()
	s.negate()
	if !s.store {
		s.JumpIf(s.q, ">", s.full, done)
		s.maxAhead()
		s.Mov(s.full, s.stop)
		s.Jump(loop)
	}

	s.Label(done)
	s.negate()
	sum := s.loadLocal(blockSum)
	if s.bare() {
		f, local := s.Uniform(), s.Local(toMax)
		s.LoadUni(f, local, 0)
		s.FreeReg(local)
		s.MulAdd(sum, sum, f)
		s.FreeUniform(f)
		rest := s.loadLocal(blockRest)
		s.Add(sum, rest)
		s.Free(rest)
	}
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

// bare says whether only exponentials are added up: then the loop has no use for x - m.
func (s *sumExp) bare() bool { return !s.store && !s.dots }

// negate changes the sign of m for the loop, if it has use of that: adding -m to what
// is in memory is one instruction on x86, where subtracting m is two.
func (s *sumExp) negate() {
	if !s.bare() {
		s.Negate(s.m)
	}
}

// nearMax is the greatest magnitude of a maximum that setWhole takes: what it adds n
// to is still in steps of 1.
const nearMax = 1 << 20

// setWhole sets what whole is to know of m. It reduces x, not x - m, to n ln 2 + r,
// and scales by 2^(n-k) where k ln 2 is closest to m: one subtraction less. What it
// adds up are e^(x - k ln 2), which e^u takes to e^(x - m), u being k ln 2 - m. The
// block has no full steps if m is too great for that, or a NaN, and takes a quarter
// to a third longer.
func (s *sumExp) setWhole() {
	positive, inside, few, done := s.NewLabel("positive"), s.NewLabel("inside"), s.NewLabel("few"), s.NewLabel("done")
	limit := s.ConstReg(bits(-nearMax))
	s.JumpGreater(s.m, limit, positive)
	s.Jump(few)
	s.Label(positive)
	s.Negate(limit)
	s.JumpGreater(limit, s.m, inside)
	s.FreeUniform(limit)

	s.Label(few)
	s.MovImm(0, s.full)
	s.setLocal(toMax, s.Const(0))
	s.Jump(done)

	s.Label(inside)
	integer, ln2, lowest := s.Const(bits(round)), s.Const(bits(ln2)), s.Addend(bits(-127*ln2))
	one, c := s.Addend(bits(1)), s.coefficients(exp6)
	s.Narrow()
	k, u, v := s.Vec("k"), s.Vec("u"), s.Vec("v")
	s.Set(u, s.m)
	s.MulAddUni(k, u, s.exp.log2e, integer)
	s.SubUni(k, k, integer)
	s.Set(v, s.exp.round)
	s.Sub(v, k)
	s.SetUniform(s.whole.round, uni(v))
	s.MulAddUni(v, k, ln2, lowest)
	s.SetUniform(s.whole.low, uni(v))

	s.Comment("e^u - 1")
	s.MulAdd(u, k, s.exp.ln2)
	s.Negate(uni(u))
	s.slope([]*Vec{v}, []*Vec{u}, c, one)
	s.Mul(v, u)
	local := s.Local(toMax)
	s.StoreLane0(v, local, 0)
	s.FreeReg(local)
	s.Free(k, u, v)
	s.Widen()
	for _, c := range append(c, integer, ln2, lowest, one) {
		s.FreeConst(c)
	}
	s.Label(done)
}

// uni returns v, whose lanes are all the same, as a Uni.
func uni(v *Vec) Uni { return Uni{r: v.r[0]} }

// vregs is the number of registers that the loops have in use for vectors at a time.
func (s *sumExp) vregs() int {
	parts := lanes / s.isa.width()
	n := 3*max(parts, 2) + parts + 1
	if s.dots {
		n += parts
	}
	if s.bare() {
		n = max(n, 3*parts+4) // of vectors
	}
	return n
}

// findMax sets m to the maximum of m and the block, that of its elements up to
// ahead being in nextMax.
func (s *sumExp) findMax() {
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
func (s *sumExp) findNext() {
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

func (s *sumExp) loadLocal(slot int) *Vec {
	v, local := s.Vec("local"), s.Local(slot)
	s.Load(v, local, 0)
	s.FreeReg(local)
	return v
}

func (s *sumExp) storeLocal(v *Vec, slot int) {
	local := s.Local(slot)
	s.Store(v, local, 0)
	s.FreeReg(local)
	s.Free(v)
}

// addUp adds sum to the block's lanes and frees it.
func (s *sumExp) addUp(sum *Vec, slot int) {
	before := s.loadLocal(slot)
	s.Add(before, sum)
	s.Free(sum)
	s.storeLocal(before, slot)
}

// maxAhead adds the step at ahead to nextMax.
func (s *sumExp) maxAhead() {
	max := s.loadLocal(nextMax)
	for i := range 4 {
		s.MaxLoad(max, s.ahead, 4*lanes*i)
	}
	s.storeLocal(max, nextMax)
	s.AddImm(4*step, s.ahead)
}

// inDst returns a register with the address in dst that goes with q.
func (s *sumExp) inDst() Reg {
	t := s.Reg()
	s.Mov(s.q, t)
	s.AddReg(s.toDst, t)
	return t
}

// inWeights returns a register with the address in the weights that goes with q.
func (s *sumExp) inWeights() Reg {
	t := s.Arg("w")
	s.AddReg(s.q, t)
	return t
}

// segment adds the elements from q to cut to the block's lanes, and finds the
// maximum of as many at ahead. m is negated. It asks for those behind them, evenly:
// memory takes requests best like that.
func (s *sumExp) segment() {
	s.FreeReg(s.left) // not in use here
	sum := s.Vec("sum")
	s.Set(sum, s.zero)
	var dot *Vec
	if s.dots {
		dot = s.Vec("dot")
		s.Set(dot, s.zero)
	}
	local := s.Local(nextMax)
	max := s.LoadOne("max", local)
	s.FreeReg(local)
	steps := s.NewLabel("steps")
	s.Label(steps)
	if s.trail {
		s.trailStep()
	}
	var dst, w Reg
	if s.store {
		dst = s.inDst()
	}
	if s.weighted {
		w = s.inWeights()
	}
	n := 1 // vectors that take turns, where one is one register
	if s.isa.width() == lanes {
		n = 2
	}
	for i := 0; i < 4; i += n {
		s.together(i, n, sum, max, dot, dst, w)
	}
	if s.store {
		s.FreeReg(dst)
	}
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
	s.addUp(sum, blockSum)
	if s.dots {
		s.addUp(dot, blockDot)
	}
	s.left = s.Reg()
}

// together does n vectors of a step, from number first on.
func (s *sumExp) together(first, n int, sum, max, dot *Vec, dst, w Reg) {
	ds := s.Vecs(n, "d")
	for k, d := range ds {
		off := 4 * lanes * (first + k)
		s.Prefetch(s.ahead, near+off)
		if s.store && !s.trail { // for data in the caches, where far costs more than it gains
			s.Prefetch(dst, 4*8*step+off)
		} else {
			s.PrefetchL2(s.ahead, far+off)
		}
		if s.bare() {
			s.LoadAtLeast(d, s.whole.low, s.q, off)
		} else {
			s.AddLoad(d, s.m, s.q, off)
		}
		s.MaxLoadOne(max, s.ahead, off)
		switch {
		case s.weighted:
			s.MulAddLoad(dot, d, w, off)
		case s.dots:
			s.Add(dot, d)
		}
	}
	if s.store {
		es := s.exp.of(s.Asm, ds)
		for k, e := range es {
			s.Store(e, dst, 4*lanes*(first+k))
			s.Add(sum, e)
		}
		s.Free(es...)
	} else {
		exp := s.exp
		if s.bare() {
			exp = s.whole
		}
		es, ts := exp.parts(s.Asm, ds)
		for k, e := range es {
			s.MulAddVec(sum, e, ts[k])
		}
		s.Free(es...)
		s.Free(ts...)
	}
	s.Free(ds...)
}

// vectors adds the left elements at q, one vector after the other, to the
// block's lanes, those that equal m apart if some are to be left out.
func (s *sumExp) vectors() {
	if s.dots {
		s.vectorDots()
	}
	sum := s.Vec("sum")
	s.Set(sum, s.zero)
	var ones *Vec
	if !s.store {
		ones = s.Vec("ones")
		s.Set(ones, s.zero)
	}
	if s.bare() {
		s.exp.low = s.ConstReg(bits(low))
	}
	tail := s.NewLabel("tail")
	s.Label(tail)
	d := s.Vec("d")
	s.LoadTail(d, s.q, s.left, s.low)
	if s.store {
		s.ByPart(func() { s.exp.replace(s.Asm, d, s.m) })
		dst := s.inDst()
		s.StoreTail(d, dst, s.left)
		s.FreeReg(dst)
		s.Add(sum, d)
	} else {
		s.ByPart(func() {
			one := s.Vec("one")
			s.split(d, one)
			s.Add(sum, d)
			s.Add(ones, one)
			s.Free(one)
		})
	}
	s.Free(d)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, s.left)
	s.JumpIfImm(s.left, ">", 0, tail)
	if s.bare() {
		s.FreeConst(s.exp.low)
		s.addUp(sum, blockRest)
	} else {
		s.addUp(sum, blockSum)
	}
	if s.store {
		return
	}
	s.FoldAdd(ones)
	seen := s.Vec("seen")
	s.LoadLane0(seen, s.counts, 0)
	s.AddLane0(ones, seen)
	s.StoreLane0(ones, s.counts, 0)
	s.Free(ones, seen)
}

// vectorDots adds the elements that vectors is about to do to the block's dots.
func (s *sumExp) vectorDots() {
	dot := s.Vec("dot")
	s.Set(dot, s.zero)
	w := s.cut // not in use here
	if s.weighted {
		s.LoadArg("w", w)
		s.AddReg(s.q, w)
	}
	tail, done := s.NewLabel("dots"), s.NewLabel("dotted")
	s.JumpIfImm(s.left, "<", step, tail)
	for i := range 4 {
		d := s.Vec("d")
		s.Load(d, s.q, 4*lanes*i)
		s.SubUni(d, d, s.m)
		if s.weighted {
			s.MulLoad(d, w, 4*lanes*i)
		}
		s.Add(dot, d)
		s.Free(d)
	}
	s.Jump(done)

	s.Label(tail)
	s.KeepTail(s.left)
	d := s.Vec("d")
	s.LoadTail(d, s.q, s.left, s.m)
	s.SubUni(d, d, s.m)
	if s.weighted {
		v := s.Vec("w")
		s.LoadTail(v, w, s.left, s.zero)
		s.Mul(d, v)
		s.Free(v)
		s.AddImm(4*lanes, w)
	}
	s.KeepTail("")
	s.Add(dot, d)
	s.Free(d)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, s.left)
	s.JumpIfImm(s.left, ">", 0, tail)
	s.Mov(s.full, s.q) // back to where the end of the row begins
	s.Mov(s.size, s.left)
	s.AndImm(step-1, s.left)
	s.Label(done)
	s.addUp(dot, blockDot)
}
