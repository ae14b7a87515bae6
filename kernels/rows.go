package main

// blockSize is the number of elements whose float32 sum is folded before it
// is added up in float64; a block and the next one fit in any L1 cache.
const blockSize = 2048

// step is the number of elements that the main loops take at once.
const step = 4 * lanes

// A rowLoop walks over the rows of a kernel with parameters x, rows, cols and
// stride. The body runs once a row, with x at its start.
type rowLoop struct {
	x, rows Reg
}

// Rows writes the loop. The other registers of the body are its own, and
// free again after it.
func (a *Asm) Rows(body func(l rowLoop)) {
	row, done := a.NewLabel("row"), a.NewLabel("return")
	l := rowLoop{x: a.Arg("x"), rows: a.Arg("rows")}
	a.JumpIfImm(l.rows, "<=", 0, done)
	a.Label(row)
	body(l)
	a.Advance(l.x, "stride")
	a.AddImm(-1, l.rows)
	a.JumpIfImm(l.rows, ">", 0, row)
	a.Label(done)
	a.Ret()
}

// Advance adds a parameter, a number of elements, to the pointer p.
func (a *Asm) Advance(p Reg, stride string) {
	t := a.Arg(stride)
	a.ShiftReg(2, t)
	a.AddReg(t, p)
	a.FreeReg(t)
}

// Steps runs full for each whole step of the n elements at p, then tail for
// each vector of what is left; p and n end past the row. The function between,
// if any, runs after the full steps, and is left out if there are none.
func (a *Asm) Steps(p, n Reg, full func(), between func(), tail func()) {
	loop, rest, vec, done := a.NewLabel("step"), a.NewLabel("rest"), a.NewLabel("vec"), a.NewLabel("done")
	a.JumpIfImm(n, "<", step, rest)
	a.Label(loop)
	full()
	a.AddImm(4*step, p)
	a.AddImm(-step, n)
	a.JumpIfImm(n, ">=", step, loop)
	if between != nil {
		between()
	}
	a.Label(rest)
	a.JumpIfImm(n, "<=", 0, done)
	a.Label(vec)
	tail()
	a.AddImm(4*lanes, p)
	a.AddImm(-lanes, n)
	a.JumpIfImm(n, ">", 0, vec)
	a.Label(done)
}

// TakeBlock sets b to the size of the next block of the n elements left.
func (a *Asm) TakeBlock(n, b Reg) {
	short := a.NewLabel("short")
	a.Mov(n, b)
	a.JumpIfImm(n, "<=", blockSize, short)
	a.MovImm(blockSize, b)
	a.Label(short)
}
