package main

// blockSize is the number of elements whose float32 sum is folded before it
// is added up in float64; a block, 16 KB, stays in any L1 cache.
const blockSize = 4096

// later is how far behind the rows at hand memory is asked for.
const later = 16 * 1024

// farCols is the length from which rows come from memory or the last cache, mostly, and
// sums and maxima ask for it farAhead bytes ahead: at the end of each of its blocks argMax
// would wait. From the second-level cache that takes up to a sixth more.
const (
	farCols  = 1 << 14
	farAhead = 4 * 1024
)

// Far writes the form of a kernel for rows of fewer than farCols columns, and the one for
// the others.
func (a *Asm) Far(form func(far bool)) {
	a.Either("cols", ">=", farCols, func() { form(false) }, func() { form(true) })
}

// step is the number of elements that the main loops take at once.
const step = 4 * lanes

// Rows writes the loop over the rows of a kernel with parameters x, rows, cols
// and stride, whose body runs with x at the start of each, and the end of the
// kernel.
func (a *Asm) Rows(body func(x Reg)) {
	x, rows := a.Arg("x"), a.Arg("rows")
	a.eachRow(x, rows, func() { body(x) })
}

// ReadRows is Rows for a kernel that meets x first. It asks for the rows to come: a
// CPU sees less of them ahead than of a long row.
func (a *Asm) ReadRows(body func(x Reg)) {
	limit := a.aheadLimit()
	a.Rows(func(x Reg) {
		a.rowsAhead(x, limit)
		body(x)
	})
	a.FreeReg(limit)
}

// aheadLimit returns a register with the address up to which rows have one that begins
// later behind them.
func (a *Asm) aheadLimit() Reg {
	limit, stride, x := a.Arg("rows"), a.Arg("stride"), a.Arg("x")
	a.AddImm(-1, limit)
	a.MulReg(stride, limit)
	a.ShiftReg(2, limit)
	a.AddReg(x, limit)
	a.AddImm(-later, limit)
	a.FreeReg(x)
	a.FreeReg(stride)
	return limit
}

// rowsAhead asks for what is later behind the row at x, or for the row itself where there
// is nothing: lines of others, which may be at work on them, cost several short rows.
func (a *Asm) rowsAhead(x, limit Reg) {
	p, ask := a.Reg(), a.NewLabel("ask")
	a.Mov(x, p)
	a.JumpIf(x, ">", limit, ask)
	a.AddImm(later, p)
	a.Label(ask)
	a.PrefetchL2(p, 0)
	a.FreeReg(p)
}

func (a *Asm) eachRow(x, rows Reg, body func()) {
	row, done := a.NewLabel("row"), a.NewLabel("return")
	a.JumpIfImm(rows, "<=", 0, done)
	a.Label(row)
	body()
	a.Advance(x, "stride")
	a.AddImm(-1, rows)
	a.JumpIfImm(rows, ">", 0, row)
	a.Label(done)
	a.Ret()
}

// Sixteens is ReadRows for rows that op folds: sixteen at a time, or as many as are left.
// row returns what is to be folded of the row at x, and results gets that of n rows, a
// lane each. They are the first rows of x until results is done. It leaves fewer than
// four to alone.
func (a *Asm) Sixteens(op op, alone string, row func(x Reg) *Vec, results func(v *Vec, n Reg)) {
	const rows = lanes
	limit := a.aheadLimit()
	x, n, p, end := a.Arg("x"), a.Reg(), a.Reg(), a.Reg()
	group, each := a.NewLabel("group"), a.NewLabel("each")
	a.Label(group)
	a.LoadArg("rows", end)
	a.JumpIfImm(end, "<", 4, alone)
	a.take(rows, end, n)
	first := a.Local(rows - 1)
	a.Mov(first, p)
	a.FreeReg(first)
	a.Mov(n, end)
	a.ShiftReg(6, end)
	a.AddReg(p, end)
	a.Label(each)
	a.rowsAhead(x, limit)
	v := row(x)
	a.Store(v, p, 0)
	a.Free(v)
	a.Advance(x, "stride")
	a.AddImm(4*lanes, p)
	a.JumpIf(p, "<", end, each)
	first, v = a.Local(rows-1), a.Vec("folded")
	a.FoldRows(op, first, v)
	a.FreeReg(first)
	results(v, n)
	a.Free(v)
	a.SubArg("rows", n, end)
	a.StoreArg("x", x)
	a.Jump(group)
	for _, r := range []Reg{end, p, n, x, limit} {
		a.FreeReg(r)
	}
}

// StoreDoubles stores the first n of the 16 lanes of 64 bits that half returns 8 of, at
// each of ps, which move by 64 for each.
func (a *Asm) StoreDoubles(n Reg, half func(i int) *Vec, ps ...Reg) {
	done, left := a.NewLabel("stored"), a.Reg()
	a.Mov(n, left)
	a.ShiftReg(1, left)
	for i := range 2 {
		v := half(i)
		for _, p := range ps {
			a.StoreTail(v, p, left)
			a.AddImm(4*lanes, p)
		}
		a.Free(v)
		a.AddImm(-lanes, left)
		if i == 0 {
			a.JumpIfImm(left, "<=", 0, done)
		}
	}
	a.Label(done)
	a.FreeReg(left)
}

// Advance adds a parameter, a number of elements, to the pointer p.
func (a *Asm) Advance(p Reg, stride string) {
	t := a.Arg(stride)
	a.ShiftReg(2, t)
	a.AddReg(t, p)
	a.FreeReg(t)
}

// AdvanceArg is Advance for a pointer that is a parameter.
func (a *Asm) AdvanceArg(name, stride string) {
	p := a.Arg(name)
	a.Advance(p, stride)
	a.StoreArg(name, p)
	a.FreeReg(p)
}

// Steps runs full for each whole step of the n elements at p, then tail for
// each vector of what is left; p and n end past the row.
func (a *Asm) Steps(p, n Reg, full, tail func()) {
	a.while(p, n, step, step, full)
	a.while(p, n, lanes, 1, tail)
}

// Vectors is Steps with vec for each whole vector of what is left, and tail for the last
// one only if it is none: a mask costs a short row more than a load.
func (a *Asm) Vectors(p, n Reg, full, vec, tail func()) {
	done := a.NewLabel("done")
	a.while(p, n, step, step, full)
	a.while(p, n, lanes, lanes, vec)
	a.JumpIfImm(n, "<=", 0, done)
	tail()
	a.AddImm(4*lanes, p)
	a.AddImm(-lanes, n)
	a.Label(done)
}

// while runs body for so many of the n elements at p, and moves on by as many, while there
// are least of them.
func (a *Asm) while(p, n Reg, size, least int, body func()) {
	loop, less := a.NewLabel("loop"), a.NewLabel("less")
	a.JumpIfImm(n, "<", least, less)
	a.Label(loop)
	body()
	a.AddImm(4*size, p)
	a.AddImm(-size, n)
	a.JumpIfImm(n, ">=", least, loop)
	a.Label(less)
}

// Align runs tail for the elements up to where dst is aligned to 64 bytes, or all n
// of them, and goes behind them with dst and the pointers ps. Streams have to be aligned,
// other stores are if there are enough of them to gain by it.
func (a *Asm) Align(stream bool, n Reg, tail func(n Reg), dst Reg, ps ...Reg) {
	a.Comment("Up to where dst is aligned.")
	head, all, aligned := a.Reg(), a.NewLabel("all"), a.NewLabel("aligned")
	if !stream {
		a.JumpIfImm(n, "<", 2*step, aligned)
	}
	a.MovImm(0, head)
	a.SubReg(dst, head)
	a.ShiftDown(2, head)
	a.AndImm(lanes-1, head)
	a.JumpIfImm(head, "==", 0, aligned)
	a.JumpIf(head, "<=", n, all)
	a.Mov(n, head)
	a.Label(all)
	tail(head)
	a.SubReg(head, n)
	a.ShiftReg(2, head)
	for _, p := range append(ps, dst) {
		a.AddReg(head, p)
	}
	a.Label(aligned)
	a.FreeReg(head)
}

// TakeBlock sets b to the size of the next block of the n elements left.
func (a *Asm) TakeBlock(n, b Reg) { a.take(blockSize, n, b) }

// take sets b to n, but to no more than size.
func (a *Asm) take(size int, n, b Reg) {
	short := a.NewLabel("short")
	a.Mov(n, b)
	a.JumpIfImm(n, "<=", size, short)
	a.MovImm(size, b)
	a.Label(short)
}
