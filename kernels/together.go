package main

// A base, a fold and a decision cost a short row as much as its loop does. Sixteen rows
// share them: each has a lane.

// together is the number of rows, of a block or less.
const (
	together    = lanes
	greatStride = 1 << 24 // more is too much for 32 bits
)

// Their room on the stack, behind that of a row alone: registers with a lane for each
// row, and for each row the sums of its lanes, their dots, its greatest parts, and its
// parts. Elements, with a lane for each row, come after those.
const (
	roundLanes = trailSkew + 1 + iota
	lowLanes
	toBaseLanes
	baseLanes
	mostLanes // or the number of peaks
	overLanes
	topLanes
	sumLanes
	thirdLanes // peak or more
	dotLanes
	laneSums // what the other parts of the lane that has the peak add up to
	laneAt   // where the part with the peak begins in the row
	rowSize  // the bytes of a row, and from row to row
	rowStride
	weightsFirst // what w is for the first row
	partsAt      // where the parts of the row at hand go
	togetherEnd
	rowSums  = togetherEnd + together - 1
	rowDots  = rowSums + together
	rowTops  = rowDots + together
	rowParts = rowTops + together*parts + 1 // and one for none
	elements = rowTops
)

// together does the rows while there are two and more: of up to 16, begin does what comes
// before them, row each, and end what is to be known of all of them. It goes to alone with
// those that are left, and where something is out of range; held then says if that is
// something small. The rows' slots up to last are clear where there is no row.
func (s *logSumExp) together(alone string, outs []string, last int, begin func(), row func(small string), end func(great string)) {
	batch, few, bases := s.NewLabel("batch"), s.NewLabel("few"), s.NewLabel("bases")
	small, great, restore, other := s.NewLabel("small"), s.NewLabel("great"), s.NewLabel("restore"), s.NewLabel("other")
	rows, at := s.n, s.known // 4 for each row, 4 for each in front of the one at hand
	s.LoadArg("cols", s.size)
	s.JumpIfImm(s.size, ">", blockSize, other)
	s.Label(batch)
	s.LoadArg("rows", rows)
	s.JumpIfImm(rows, "<", 2, few)
	s.take(together, rows, at)
	s.Mov(at, rows)
	s.ShiftReg(2, rows)
	s.at = at
	s.JumpIfImm(rows, "==", 4*together, bases)
	s.clearRows(last)
	s.Label(bases)
	s.bases(rows, other)

	if s.weighted {
		w := s.Arg("w")
		s.StoreInt(w, weightsFirst)
		s.FreeReg(w)
	}
	begin()
	s.eachOf(rows, func() {
		s.LoadLocal(s.round, roundLanes, s.at)
		s.LoadLocal(s.low, lowLanes, s.at)
		if s.dots {
			s.LoadLocal(s.base, baseLanes, s.at)
		}
		s.wholeSteps()
		row(small)
		if s.dots {
			dot := s.Vec("dot")
			s.loadLanes(dot, blockDots)
			s.keepRow(dot, rowDots)
			s.Free(dot)
		}
		if s.weighted {
			s.nextWeights()
		}
	})
	if s.dots {
		dot := s.foldRows(opAdd, rowDots)
		s.keepLanes(dot, dotLanes)
		s.Free(dot)
	}
	end(great)
	s.at = ""
	bytes := s.full
	s.ShiftDown(2, rows)
	s.SubArg("rows", rows, bytes)
	s.StoreArg("x", s.p)
	s.Mov(rows, bytes)
	s.ShiftReg(2, bytes)
	for i, name := range outs {
		v, out := s.Vec(name), s.Arg(name)
		s.loadLanes(v, []int{baseLanes, sumLanes, thirdLanes, dotLanes}[i])
		s.StoreTail(v, out, rows)
		s.AddReg(bytes, out)
		s.StoreArg(name, out)
		s.FreeReg(out)
		s.Free(v)
	}
	s.Jump(batch)

	s.Label(few)
	s.JumpIfImm(rows, "==", 1, other)
	s.Ret()
	s.Label(small)
	s.MovImm(1, s.held)
	s.Jump(restore)
	s.Label(great)
	s.MovImm(0, s.held)
	s.Label(restore)
	if s.weighted {
		w := s.Reg()
		s.LoadInt(weightsFirst, w)
		s.StoreArg("w", w)
		s.FreeReg(w)
	}
	s.Jump(alone)
	s.Label(other)
	s.MovImm(0, s.held)
}

// sumTogether is together for sumExp.
func (s *logSumExp) sumTogether(alone string) {
	s.MovImm(0, s.held)
	s.LoadArg("stride", s.q)
	s.JumpIfImm(s.q, ">", greatStride, alone)
	if s.once() {
		s.far = s.Reg()
		s.setFar()
	}
	s.together(alone, s.outs("peak"), rowTops, func() {
		local := s.Local(rowParts)
		s.StoreInt(local, partsAt)
		s.FreeReg(local)
	}, func(small string) {
		s.lanes(false, small)
		sum, top := s.addParts()
		s.keepRow(sum, rowSums)
		s.keepRow(top, rowTops)
		s.Free(sum, top)
		s.StoreInt(s.part, partsAt)
	}, func(great string) {
		mask, finish := s.held, s.NewLabel("finish")
		s.endRows(mask, great)
		s.JumpIfImm(mask, "==", 0, finish)
		s.peaks()
		s.Label(finish)
	})
	if s.once() {
		s.FreeReg(s.far)
	}
}

// setFar sets far: lines at hand cost nothing to ask for.
func (s *logSumExp) setFar() {
	short := s.NewLabel("short")
	s.LoadArg("cols", s.size)
	s.MovImm(togetherFar, s.far)
	s.JumpIfImm(s.size, "<", onceCols, short)
	s.MovImm(0, s.far)
	s.Label(short)
}

// eachOf runs body for each of the rows, at and p being those of the one at hand.
func (s *logSumExp) eachOf(rows Reg, body func()) {
	row := s.NewLabel("each")
	s.LoadArg("x", s.p)
	s.MovImm(0, s.at)
	s.Label(row)
	body()
	s.Advance(s.p, "stride")
	s.AddImm(4, s.at)
	s.JumpIf(s.at, "<", rows, row)
}

// inRows returns a register with the address of the row at hand's slot of those from
// slot on.
func (s *logSumExp) inRows(slot int) Reg {
	p, t := s.Local(slot), s.Reg()
	s.Mov(s.at, t)
	s.ShiftReg(4, t)
	s.AddReg(t, p)
	s.FreeReg(t)
	return p
}

// keepRow stores v there.
func (s *logSumExp) keepRow(v *Vec, slot int) {
	p := s.inRows(slot)
	s.Store(v, p, 0)
	s.FreeReg(p)
}

// loadLanes loads what keepLanes stored.
func (a *Asm) loadLanes(v *Vec, slot int) {
	p := a.Local(slot)
	a.Load(v, p, 0)
	a.FreeReg(p)
}

// clearRows clears the slots from baseLanes to last, which are read of rows that there are
// none of.
func (s *logSumExp) clearRows(last int) {
	v, loop := s.Vec("zero"), s.NewLabel("clear")
	p, end := s.Local(last), s.Local(toBaseLanes)
	s.Set(v, s.zero)
	s.Label(loop)
	s.Store(v, p, 0)
	s.AddImm(4*lanes, p)
	s.JumpIf(p, "<", end, loop)
	s.Free(v)
	s.FreeReg(end)
	s.FreeReg(p)
}

// bases takes the samples of the rows and what comes of them. It goes to label if one
// is of no use.
func (s *logSumExp) bases(rows Reg, label string) {
	mid, last := s.full, s.cut
	s.samplesAt(mid, last)
	s.eachOf(rows, func() {
		m, p := s.sampleOf(mid, last), s.LocalAt(baseLanes, s.at)
		s.StoreUni(m, p, 0)
		s.FreeReg(p)
		s.FreeUniform(m)
	})
	u, v := s.Vec("u"), s.Vec("v")
	s.loadLanes(u, baseLanes)
	s.allNear(u, v, label)
	s.Free(v)
	s.keepFromBase(u, roundLanes, lowLanes, toBaseLanes)
	s.Free(u)
}

// allNear goes to label unless all lanes of u are of use as bases, and sets v to their
// magnitudes.
func (a *Asm) allNear(u, v *Vec, label string) {
	magnitude := a.Const(0x7fffffff)
	a.op(opAnd, u, magnitude, v)
	a.allLess(v, bits(nearBase), label)
	a.FreeConst(magnitude)
}

// keepFromBase is fromBase with slots for what it gives.
func (a *Asm) keepFromBase(u *Vec, round, low, toBase int) {
	keep := func(slot int) func(v *Vec) {
		return func(v *Vec) { a.keepLanes(v, slot) }
	}
	a.fromBase(u, keep(round), keep(low), keep(toBase))
}

// allLess goes to label unless all lanes of v are less than the number of those bits.
func (a *Asm) allLess(v *Vec, bits uint32, label string) {
	limit, less := a.Const(bits), a.Reg()
	a.Less(v, limit, less)
	a.JumpIfImm(less, "!=", 1<<together-1, label)
	a.FreeReg(less)
	a.FreeConst(limit)
}

// foldRows folds the slots of the rows from slot on.
func (s *logSumExp) foldRows(op op, slot int) *Vec {
	v, p := s.Vec("folded"), s.Local(slot)
	s.FoldRows(op, p, v)
	s.FreeReg(p)
	return v
}

// endRows finds the results of the rows, but for those of which an element may be more
// than half, whose bits it sets in mask. It goes to label if a sum is too great.
func (s *logSumExp) endRows(mask Reg, label string) {
	half := s.Const(bits(half))
	most := s.foldRows(opMax, rowTops)
	s.keepLanes(most, mostLanes)
	s.MulUni(most, most, half)
	sum := s.foldRows(opAdd, rowSums)
	s.allLess(sum, s.tooGreat(), label)
	s.Less(sum, most, mask)
	s.Sub(most, sum)
	s.keepLanes(most, overLanes)
	s.Free(most)
	s.FreeConst(half)

	s.finishRows(sum)
	s.keepLanes(sum, sumLanes)
	none := s.ConstReg(negInf)
	s.Set(sum, none)
	s.FreeConst(none)
	s.keepLanes(sum, thirdLanes)
	s.Free(sum)
}

// finishRows is finish for the sums of rows.
func (s *logSumExp) finishRows(sum *Vec) {
	s.correct(sum)
	f := s.Vec("f")
	s.loadLanes(f, toBaseLanes)
	s.MulAddVec(sum, sum, f)
	s.Free(f)
}

// peaks is again for the rows of which an element may be more than half, but for those
// with two peaks.
func (s *logSumExp) peaks() {
	s.findLanes()
	s.moveLanes()
	bytes := s.part
	s.Mov(s.size, bytes)
	s.ShiftReg(2, bytes)
	s.StoreInt(bytes, rowSize)
	s.LoadArg("stride", bytes)
	s.ShiftReg(2, bytes)
	s.StoreInt(bytes, rowStride)
	one := s.Addend(bits(1))
	s.ByPart(func() {
		s.laneUni(s.round, roundLanes)
		s.laneUni(s.low, lowLanes)
		peak := s.gatherLanes()
		v, ones := s.Vec("v"), s.Vec("ones")
		s.Set(ones, s.zero)
		s.each(func(at Reg) {
			is := s.Vec("is")
			s.Load(v, at, 0)
			s.others(v, is, peak)
			s.Add(ones, is)
			s.Free(is)
			s.Store(v, at, 0)
		})
		s.Set(v, peak)
		s.FreeUniform(peak)
		s.keepLanes(v, topLanes)
		s.keepLanes(ones, mostLanes)
		s.Free(v, ones)
	})
	sum := s.foldRows(opAdd, rowSums)
	s.ByPart(func() {
		rest := s.addElements()
		s.Add(sum, rest)
		s.Free(rest)
	})
	s.SetUniform(s.low, s.zero)
	s.ByPart(func() {
		peak, v := s.Vec("peak"), s.Vec("v")
		s.loadLanes(peak, topLanes)
		if s.dots {
			s.finishRows(sum)
		} else {
			s.loadLanes(v, roundLanes)
			s.rebase(sum, peak, v)
		}

		s.Comment("Only where it is more than half, and one")
		is, not := s.Vec("is"), s.Vec("not")
		s.loadLanes(is, overLanes)
		s.AtLeast(is, s.low)
		s.loadLanes(not, mostLanes)
		s.EqValue(not, not, one)
		s.Mul(is, not)
		s.EqOne(not, is, s.zero, one)
		put := func(x *Vec, slot int) {
			s.loadLanes(v, slot)
			s.ZeroWhere(x, is, s.zero)
			s.ZeroWhere(v, not, s.zero)
			s.op(opOr, v, x, v)
			s.keepLanes(v, slot)
		}
		put(sum, sumLanes)
		put(peak, thirdLanes)
		if !s.dots { // which are to the base that there is
			put(peak, baseLanes)
		}
		s.Free(peak, v, is, not)
	})
	s.FreeConst(one)
	s.Free(sum)
}

// findLanes finds for each row the part with the lane that most tells, and what the
// lane's other parts add up to.
func (s *logSumExp) findLanes() {
	size := s.cut // of a row's sums
	s.Mov(s.size, size)
	s.AddImm(partSize-1, size)
	s.ShiftDown(partShift-2, size)
	s.ShiftReg(6, size)
	s.StoreInt(size, rowSize)
	tags, untagged, next, all := s.Const(tagBits), s.Const(^uint32(tagBits)), s.Const(1<<partShift), s.Const(1<<31)
	inPart := s.Const(4 * tagBits)
	s.ByPart(func() {
		most, at, where := s.Vec("most"), s.Vec("at"), s.Vec("where")
		s.loadLanes(most, mostLanes)
		lane := where
		s.op(opAnd, most, tags, lane)
		s.ShiftLeft(lane, 2)
		s.LaneNumbers(at)
		bytes := s.scalar(rowSize)
		s.op(opMulInt, at, bytes, at)
		s.FreeUniform(bytes)
		s.op(opOr, at, lane, at)
		s.Set(where, all)

		v, part, off := s.Vec("v"), s.Vec("part"), s.Uniform()
		s.Set(v, s.zero)
		s.each(func(to Reg) { s.Store(v, to, 0) })
		s.op(opAnd, most, untagged, most)
		s.Set(part, s.zero)
		s.SetUniform(off, s.zero)
		first, more := s.Local(rowParts), s.NewLabel("more")
		s.Mov(first, s.part)
		s.FreeReg(first)
		to := s.Local(elements)
		s.Mov(s.part, s.q)
		s.AddReg(size, s.q)
		s.Label(more)
		s.Gather(v, s.part, at, where, s.zero)
		d := s.without(v, most)
		s.EqOne(d, d, s.zero, off)
		s.op(opOr, part, d, part)
		s.Free(d)
		s.isa.op(s.Asm, opAddInt, off.r, next, off.r)
		s.Store(v, to, 0)
		s.AddImm(4*lanes, to)
		s.AddImm(4*lanes, s.part)
		s.JumpIf(s.part, "<", s.q, more)
		s.FreeUniform(off)
		s.op(opAnd, at, inPart, at)
		s.op(opOr, part, at, part)
		s.keepLanes(part, laneAt)
		s.Free(most, at, where, v, part)

		for n := parts / 2; n >= laneSize; n /= 2 {
			s.halve(n, to)
		}
		s.FreeReg(to)
		sum := s.addElements()
		s.keepLanes(sum, laneSums)
		s.Free(sum)
	})
	for _, c := range []Uni{tags, untagged, next, all, inPart} {
		s.FreeConst(c)
	}
}

// moveLanes moves what the other parts add up to to rowSums.
func (s *logSumExp) moveLanes() {
	from, to, end, more := s.Local(laneAt), s.Local(rowSums), s.Local(laneAt-1), s.NewLabel("more")
	s.Label(more)
	s.Load32(from, 0, s.q)
	s.AndImm(4*(lanes-1), s.q)
	s.AddReg(to, s.q)
	s.Load32(from, 64*(laneAt-laneSums), s.cut)
	s.Store32(s.cut, s.q, 0)
	s.AddImm(4*lanes, to)
	s.AddImm(4, from)
	s.JumpIf(from, "<", end, more)
	for _, r := range []Reg{end, to, from} {
		s.FreeReg(r)
	}
}

// gatherLanes has in elements those of the lanes of the parts, each with a lane for the
// row, and returns the greatest of them.
func (s *logSumExp) gatherLanes() Uni {
	at, where, v, peak := s.Vec("at"), s.Vec("where"), s.Vec("v"), s.Uniform()
	size, stride := s.scalar(rowSize), s.scalar(rowStride)
	s.loadLanes(where, laneAt)
	s.LaneNumbers(at)
	s.op(opMulInt, at, stride, at)
	s.op(opAddInt, at, where, at)
	s.op(opSubInt, where, size, where)
	over := s.Vec("over")
	s.loadLanes(over, overLanes)
	s.op(opMax, over, s.zero, over)
	s.ZeroWhere(where, over, s.zero) // nor where there is no row
	s.Free(over)
	s.FreeUniform(size)
	s.FreeUniform(stride)
	none, less, x := s.ConstReg(negInf), s.Const(1<<32-4*lanes), s.Arg("x")
	s.SetUniform(peak, none)
	s.each(func(to Reg) {
		s.Gather(v, x, at, where, none)
		s.Store(v, to, 0)
		s.isa.op(s.Asm, opMax, peak.r, inReg(v.r[s.lo]), peak.r)
		s.op(opSubInt, at, less, at)
		s.op(opSubInt, where, less, where)
	})
	s.FreeReg(x)
	s.FreeConst(none)
	s.FreeConst(less)
	s.Free(at, where, v)
	return peak
}

// each runs f with the addresses of those of elements that addElements adds up.
func (s *logSumExp) each(f func(at Reg)) {
	at, end, more := s.Local(elements), s.Local(elements-laneSize), s.NewLabel("more")
	s.Label(more)
	f(at)
	s.AddImm(4*lanes, at)
	s.JumpIf(at, "<", end, more)
	s.FreeReg(end)
	s.FreeReg(at)
}

// halve adds those of elements from number n on, which end at to, to the first ones, and
// moves to.
func (s *logSumExp) halve(n int, to Reg) {
	first, at, v := s.Local(elements-n), s.Reg(), s.Vec("v")
	more, done := s.NewLabel("more"), s.NewLabel("done")
	s.JumpIf(to, "<=", first, done)
	s.Mov(first, at)
	s.Label(more)
	s.Load(v, at, -4*lanes*n)
	s.AddLoad(v, at, 0)
	s.Store(v, at, -4*lanes*n)
	s.AddImm(4*lanes, at)
	s.JumpIf(at, "<", to, more)
	s.Mov(first, to)
	s.Label(done)
	s.Free(v)
	s.FreeReg(at)
	s.FreeReg(first)
}

// addElements returns the sum of the first laneSize of elements, in the order of FoldAdd for lanes.
func (s *logSumExp) addElements() *Vec {
	at := s.Local(elements)
	var fold func(first, step int) *Vec
	fold = func(first, step int) *Vec {
		if step == laneSize/2 {
			v := s.Vec("v")
			s.Load(v, at, 4*lanes*first)
			s.AddLoad(v, at, 4*lanes*(first+step))
			return v
		}
		v, w := fold(first, 2*step), fold(first+step, 2*step)
		s.Add(v, w)
		s.Free(w)
		return v
	}
	sum := fold(0, 1)
	s.FreeReg(at)
	return sum
}

// laneUni sets u to the lanes in a slot of the part at hand.
func (s *logSumExp) laneUni(u Uni, slot int) {
	p := s.Local(slot)
	s.isa.load(s.Asm, p, s.offset(s.lo), u.r)
	s.FreeReg(p)
}
