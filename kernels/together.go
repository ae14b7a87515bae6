package main

// A base, a fold and a decision cost a short row as much as its loop does. Sixteen rows
// share them: each has a lane.

// together is the number of rows, togetherCols the longest they may be.
const (
	together      = lanes
	togetherParts = 4
	togetherCols  = togetherParts * partSize
)

// Their room on the stack, behind that of a row alone: registers with a lane for each
// row, and for each row the sums of its lanes, their dots, its greatest parts, and its
// parts.
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
	weightsFirst // what w is for the first row
	togetherEnd
	rowSums  = togetherEnd + together - 1
	rowDots  = rowSums + together
	rowTops  = rowDots + together
	rowParts = rowTops + together*togetherParts
	rowOnes  = rowDots // after those
)

// together does the rows while there are two and more: row does each, and end what is to
// be known of all of them. It goes to alone with those that are left, and where something
// is out of range; held then says if that is something small. The rows' slots up to last
// are clear where there is no row.
func (s *logSumExp) together(alone string, outs []string, last int, row func(small string), end func(rows Reg, great string)) {
	batch, few, begin := s.NewLabel("batch"), s.NewLabel("few"), s.NewLabel("begin")
	small, great, restore, other := s.NewLabel("small"), s.NewLabel("great"), s.NewLabel("restore"), s.NewLabel("other")
	rows, at := s.n, s.known // 4 for each row, 4 for each in front of the one at hand
	s.LoadArg("cols", s.size)
	s.JumpIfImm(s.size, ">", togetherCols, other)
	s.Label(batch)
	s.LoadArg("rows", rows)
	s.JumpIfImm(rows, "<", 2, few)
	s.take(together, rows, at)
	s.Mov(at, rows)
	s.ShiftReg(2, rows)
	s.at = at
	s.JumpIfImm(rows, "==", 4*together, begin)
	s.clearRows(last)
	s.Label(begin)
	s.bases(rows, other)

	if s.weighted {
		w := s.Arg("w")
		s.StoreInt(w, weightsFirst)
		s.FreeReg(w)
	}
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
	end(rows, great)
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
	s.together(alone, s.outs("peak"), rowTops, func(small string) {
		s.lanes(false, small)
		sum, top := s.addParts()
		s.keepRow(sum, rowSums)
		s.keepRow(top, rowTops)
		s.Free(sum, top)
	}, func(rows Reg, great string) {
		mask, finish := s.held, s.NewLabel("finish")
		s.endRows(mask, great)
		s.JumpIfImm(mask, "==", 0, finish)
		s.peaks(rows, mask)
		s.Label(finish)
	})
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

// peaks is again for the rows whose bits are set in mask, but for those with two peaks.
func (s *logSumExp) peaks(rows, mask Reg) {
	s.eachOfThose(rows, mask, func() {
		most := s.Uniform()
		s.LoadLocal(most, mostLanes, s.at)
		s.LoadLocal(s.low, lowLanes, s.at)
		v := s.lane(most)
		s.keepRow(v, rowTops)
		s.Free(v)
		s.FreeUniform(most)
	})
	peak := s.foldRows(opMax, rowTops)
	s.keepLanes(peak, topLanes)
	s.Free(peak)

	parts := s.cut // their size
	s.Mov(s.size, parts)
	s.AddImm(partSize-1, parts)
	s.ShiftDown(8, parts)
	s.ShiftReg(6, parts)
	s.eachOfThose(rows, mask, func() {
		s.LoadLocal(s.round, roundLanes, s.at)
		s.LoadLocal(s.low, lowLanes, s.at)
		peak := s.Uniform()
		s.LoadLocal(peak, topLanes, s.at)
		v, ones, p := s.Vec("v"), s.Vec("ones"), s.inRows(rowTops)
		s.Load(v, p, 0)
		s.others(v, ones, peak)
		s.Store(v, p, 0)
		s.FreeReg(p)
		s.Free(v)
		s.FreeUniform(peak)
		s.toParts(s.part)
		s.AddReg(parts, s.part)
		sum := s.sumParts()
		s.keepRow(sum, rowSums)
		s.keepRow(ones, rowOnes)
		s.Free(sum, ones)
	})
	ones := s.foldRows(opAdd, rowOnes)
	s.keepLanes(ones, mostLanes)
	s.Free(ones)
	rest, sum, one := s.foldRows(opAdd, rowTops), s.foldRows(opAdd, rowSums), s.Addend(bits(1))
	s.Add(sum, rest)
	s.Free(rest)
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

// eachOfThose is eachOf for those whose bits are set in mask.
func (s *logSumExp) eachOfThose(rows, mask Reg, body func()) {
	left := s.full
	s.Mov(mask, left)
	s.eachOf(rows, func() {
		skip, bit := s.NewLabel("skip"), s.Reg()
		s.Mov(left, bit)
		s.ShiftDown(1, left)
		s.AndImm(1, bit)
		s.JumpIfImm(bit, "==", 0, skip)
		s.FreeReg(bit)
		body()
		s.Label(skip)
	})
}
