package main

import "math"

var sumExpKernel = kernel{
	name: "sumExp",
	doc: `For each block of 2048 elements x of a row, and row by row: max is the greatest
x of the row so far; sum the sum of e^(x - max) over the block, but for some
elements equal to max, the first of the row among them; and ones their number.
Lane j of 16 adds up (j, j+16) and (j+32, j+48) of every 64 elements, or each
of them where the maximum or the end of the row is; every 512 elements the lanes
are folded into the block's sum. Blocks are read from memory once: the maximum is found while the block is in cache, and its step by a search.`,
	args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"ones", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"stride", "int"}},
	body: func(a *Asm) {
		s := newSumExp(a, exp5)
		s.counts = a.Arg("ones")
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
		s := newSumExp(a, exp6)
		s.store = true
		s.write()
	},
}

// A sumExp writes one of the two kernels.
type sumExp struct {
	*Asm
	store                  bool // write dst, and leave nothing out of the sums
	low, zero              Uni
	exp                    expMinus
	m                      Uni // the maximum
	maxs, sums, counts     Reg // where the next block's results go
	n                      Reg // elements left of the row
	p, q                   Reg // the block, the elements at hand
	size, full, stop, left Reg // of the block: its elements, the end of its full steps, where the loop stops
	toDst                  Reg // what takes an address in x to that in dst
	fold512                Reg // where the sum is to be folded
}

func newSumExp(a *Asm, poly []float32) *sumExp {
	s := &sumExp{Asm: a, low: a.Const(negInf), zero: a.Const(0)}
	s.exp = a.newExpMinus(poly)
	s.m = a.Uniform()
	s.maxs, s.sums, s.n = a.Arg("max"), a.Arg("sum"), a.Reg()
	return s
}

func (s *sumExp) write() {
	long := s.NewLabel("long")
	s.exp.keep(s.Asm, 2)
	s.LoadArg("cols", s.n)
	s.JumpIfImm(s.n, ">", lanes, long)
	s.KeepTail(s.n)
	x, rows, p := s.Arg("x"), s.Arg("rows"), s.Reg()
	if s.store {
		s.LoadArg("dst", p)
	} else {
		s.rowGroups(x, rows, p)
	}
	s.Comment("Rows of one vector, one by one.")
	s.eachRow(x, rows, func() { s.shortRow(x, p) })
	s.FreeReg(p)
	s.FreeReg(rows)
	s.FreeReg(x)
	s.KeepTail("")
	s.Label(long)
	s.longRows()
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

func (s *sumExp) atLeastLowest(v *Vec) {
	start := s.lowest()
	s.MaxLanes(v, start)
	s.FreeConst(start)
}

// split replaces d by e^(d - m), or by 0 where d is m, and returns 1 there.
func (s *sumExp) split(d *Vec) *Vec {
	one := s.Vec("one")
	s.ByPart(func() {
		s.SubUni(d, d, s.m)
		s.EqOne(one, d, s.zero, s.exp.one)
		e := s.exp.of(s.Asm, []*Vec{d})[0]
		s.Copy(d, e)
		s.Sub(d, one)
		s.Free(e)
	})
	return one
}

// replace replaces d by e^(d - m).
func (s *sumExp) replace(d *Vec) {
	s.ByPart(func() {
		s.SubUni(d, d, s.m)
		e := s.exp.of(s.Asm, []*Vec{d})[0]
		s.Copy(d, e)
		s.Free(e)
	})
}

// rowGroups does rows of one vector, as many at once as a register has lanes.
func (s *sumExp) rowGroups(x, rows, p Reg) {
	width := s.isa.width()
	s.Comment("Rows of one vector, %d at once.", width)
	group, single := s.NewLabel("group"), s.NewLabel("single")
	s.Label(group)
	s.JumpIfImm(rows, "<", width, single)
	walk := s.rowWalk(x)
	load := func(row int) *Vec {
		d := s.Vec("d")
		walk.to(row, p)
		s.LoadTail(d, p, s.n, s.low)
		return d
	}
	v := s.FoldRows(opMax, func(row int) []*Vec { return []*Vec{load(row)} })[0]
	s.atLeastLowest(v)
	s.StoreRows(v, s.maxs)
	s.Free(v)
	walk.restart()
	vs := s.FoldRows(opAdd, func(row int) []*Vec {
		d := load(row)
		s.LoadUni(s.m, s.maxs, 4*row)
		return []*Vec{d, s.split(d)}
	})
	s.StoreRows(vs[0], s.sums)
	s.StoreRows(vs[1], s.counts)
	s.Free(vs...)
	s.next(width)
	walk.end()
	s.AddImm(-width, rows)
	s.Jump(group)
	s.Label(single)
}

// shortRow does a row of one vector; dst is where the row goes, if anywhere.
func (s *sumExp) shortRow(x, dst Reg) {
	d, v := s.Vec("d"), s.Vec("v")
	s.LoadTail(d, x, s.n, s.low)
	s.Copy(v, d)
	s.FoldMax(v)
	s.atLeastLowest(v)
	s.Broadcast(s.m, v)
	s.StoreUni(s.m, s.maxs, 0)
	s.Free(v)
	if s.store {
		s.replace(d)
		s.StoreTail(d, dst, s.n)
		s.Advance(dst, "dstStride")
	} else {
		ones := s.split(d)
		s.FoldAdd(ones)
		s.StoreLane0(ones, s.counts, 0)
		s.Free(ones)
	}
	s.FoldAdd(d)
	s.StoreLane0(d, s.sums, 0)
	s.Free(d)
	s.next(1)
}

// longRows does the others. The registers are for the blocks; what belongs to
// the rows stays in the parameters.
func (s *sumExp) longRows() {
	s.Comment("Longer rows.")
	s.exp.keep(s.Asm, 4)
	for _, r := range []*Reg{&s.p, &s.q, &s.size, &s.full, &s.stop, &s.left, &s.fold512} {
		*r = s.Reg()
	}
	if s.store {
		s.toDst = s.Reg()
	}
	row, block := s.NewLabel("row"), s.NewLabel("block")
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
	s.SubReg(s.size, s.n)
	s.AddImm(4*blockSize, s.p)
	s.JumpIfImm(s.n, ">", 0, block)

	s.AdvanceArg("x", "stride")
	if s.store {
		s.AdvanceArg("dst", "dstStride")
	}
	s.LoadArg("rows", s.n)
	s.AddImm(-1, s.n)
	s.StoreArg("rows", s.n)
	s.JumpIfImm(s.n, ">", 0, row)
	s.Ret()
}

func (s *sumExp) block() {
	before := s.Uniform()
	s.SetUniform(before, s.m)
	s.TakeBlock(s.n, s.size)
	s.findMax()
	s.StoreUni(s.m, s.maxs, 0)
	zero := s.Vec("zero")
	s.Set(zero, s.zero)
	s.StoreLane0(zero, s.sums, 0)
	s.Free(zero)
	s.Mov(s.size, s.full)
	s.AndImm(-step, s.full)
	s.ShiftReg(2, s.full)
	s.AddReg(s.p, s.full)
	s.Mov(s.full, s.stop)
	s.Mov(s.p, s.q)
	sum := s.Vec("sum")
	s.Set(sum, s.zero)
	loop, steps, special, inside, done := s.NewLabel("loop"), s.NewLabel("steps"), s.NewLabel("special"), s.NewLabel("inside"), s.NewLabel("done")
	if !s.store {
		s.Comment("The step that holds a new maximum, or the end of the full ones.")
		s.StoreLane0(sum, s.counts, 0)
		grew, search := s.NewLabel("grew"), s.NewLabel("search")
		s.JumpGreater(s.m, before, grew)
		s.Jump(loop)
		s.Label(grew)
		s.Mov(s.p, s.stop)
		s.Label(search)
		s.JumpIf(s.stop, ">=", s.full, loop)
		s.JumpAnyEq(s.stop, s.m, loop)
		s.AddImm(4*step, s.stop)
		s.Jump(search)
	}
	s.FreeUniform(before)

	s.Comment("The steps up to there.")
	s.Label(loop)
	s.JumpIf(s.q, ">=", s.stop, special)
	sooner := s.NewLabel("sooner")
	s.Mov(s.q, s.fold512)
	s.SubReg(s.p, s.fold512)
	s.AndImm(-4*512, s.fold512)
	s.AddImm(4*512, s.fold512)
	s.AddReg(s.p, s.fold512)
	s.JumpIf(s.fold512, "<=", s.stop, sooner)
	s.Mov(s.stop, s.fold512)
	s.Label(sooner)
	s.Label(steps)
	s.step(sum)
	s.AddImm(4*step, s.q)
	s.JumpIf(s.q, "<", s.fold512, steps)
	s.foldAt512(sum)
	s.Jump(loop)

	s.Comment("The step of the maximum, or the end of the row.")
	s.Label(special)
	if !s.store {
		s.MovImm(step, s.left)
		s.JumpIf(s.q, "<", s.full, inside)
	}
	s.Mov(s.size, s.left)
	s.AndImm(step-1, s.left)
	s.JumpIfImm(s.left, "==", 0, done)
	s.Label(inside)
	s.vectors(sum)
	if !s.store {
		s.JumpIf(s.stop, "==", s.full, done)
		s.foldAt512(sum)
		s.Mov(s.full, s.stop)
		s.Jump(loop)
	}

	s.Label(done)
	s.fold(sum)
	s.Free(sum)
}

// foldAt512 folds sum into the block's if the elements up to q are a multiple
// of 512, so that no lane adds up many equal elements, which all round alike.
func (s *sumExp) foldAt512(sum *Vec) {
	skip := s.NewLabel("skip")
	s.Mov(s.q, s.fold512)
	s.SubReg(s.p, s.fold512)
	s.AndImm(4*512-1, s.fold512)
	s.JumpIfImm(s.fold512, "!=", 0, skip)
	s.fold(sum)
	s.Set(sum, s.zero)
	s.Label(skip)
}

func (s *sumExp) fold(sum *Vec) {
	s.FoldAdd(sum)
	before := s.Vec("before")
	s.LoadLane0(before, s.sums, 0)
	s.AddLane0(sum, before)
	s.StoreLane0(sum, s.sums, 0)
	s.Free(before)
}

// findMax sets m to the maximum of m and the block.
func (s *sumExp) findMax() {
	v := s.Vecs(4, "m")
	for _, v := range v {
		s.Set(v, s.m)
	}
	s.Mov(s.p, s.q)
	s.Mov(s.size, s.left)
	s.Steps(s.q, s.left, func() {
		for i, v := range v {
			s.MaxLoad(v, s.q, 4*lanes*i)
		}
	}, func() {
		s.Max(v[0], v[1])
		s.Max(v[2], v[3])
		s.Max(v[0], v[2])
	}, func() {
		s.LoadTail(v[1], s.q, s.left, s.low)
		s.Max(v[0], v[1])
	})
	s.FoldMax(v[0])
	s.Broadcast(s.m, v[0])
	s.Free(v...)
}

// inDst returns a register with the address in dst that goes with q.
func (s *sumExp) inDst() Reg {
	t := s.Reg()
	s.Mov(s.q, t)
	s.AddReg(s.toDst, t)
	return t
}

// step adds the 64 elements at q to sum, and asks for those of the next block.
func (s *sumExp) step(sum *Vec) {
	var dst Reg
	if s.store {
		dst = s.inDst()
	}
	for i := range 4 {
		s.Prefetch(s.q, 4*(blockSize+lanes*i))
		if s.store {
			s.Prefetch(dst, 4*(4*step+lanes*i))
		}
	}
	s.ByPart(func() {
		pair := s.pair(0, dst)
		other := s.pair(2, dst)
		s.Add(pair, other)
		s.Add(sum, pair)
		s.Free(pair, other)
	})
	if s.store {
		s.FreeReg(dst)
	}
}

// pair returns the sum of e^(x - m) of vectors i and i+1 of the step.
func (s *sumExp) pair(i int, dst Reg) *Vec {
	d := s.Vecs(2, "d")
	for k, d := range d {
		s.Load(d, s.q, 4*lanes*(i+k))
		s.SubUni(d, d, s.m)
	}
	e := s.exp.of(s.Asm, d)
	if s.store {
		for k, e := range e {
			s.Store(e, dst, 4*lanes*(i+k))
		}
	}
	s.Add(e[0], e[1])
	s.Free(d...)
	s.Free(e[1])
	return e[0]
}

// vectors adds the left elements at q one vector after the other, those that
// equal m apart if some are to be left out.
func (s *sumExp) vectors(sum *Vec) {
	var ones *Vec
	if !s.store {
		ones = s.Vec("ones")
		s.Set(ones, s.zero)
	}
	tail := s.NewLabel("tail")
	s.Label(tail)
	d := s.Vec("d")
	s.LoadTail(d, s.q, s.left, s.low)
	if s.store {
		s.replace(d)
		dst := s.inDst()
		s.StoreTail(d, dst, s.left)
		s.FreeReg(dst)
	} else {
		one := s.split(d)
		s.Add(ones, one)
		s.Free(one)
	}
	s.Add(sum, d)
	s.Free(d)
	s.AddImm(4*lanes, s.q)
	s.AddImm(-lanes, s.left)
	s.JumpIfImm(s.left, ">", 0, tail)
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
