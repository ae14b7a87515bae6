package main

import "math"

// Rows of one vector are turned into columns, as many as a register has lanes,
// so that a row costs its columns and not a whole vector, and no fold.

var shortSoftmaxKernel = kernel{
	name: "shortSoftmax",
	doc: `For each row of at most 16 columns: max is its greatest x; sum the sum of
e^(x - max), but for one of the terms of 1; and log the logarithm of 1 + sum, as
log1p has it. They may all be nil, and sum may be log. If dst is not nil it is
set to e^(x - max) divided by the whole sum and times scale, which each row has
one of, or nil for 1. The terms are added as if each were a lane of a vector, by
halves, those of 1 apart. Rows within size elements from x on are asked for ahead.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}, {"size", "int"}},
	body: func(a *Asm) { writeShort(a, false) },
}

var shortSoftmaxDotKernel = kernel{
	name: "shortSoftmaxDot",
	doc: `It is shortSoftmax, sets dot to the sum of w[j] (x - max), added up like the others,
and adds w[j] add to dst; w is 1 where there are none.`,
	args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"add", "*float32"},
		{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"}, {"size", "int"}},
	body: func(a *Asm) { writeShort(a, true) },
}

func writeShort(a *Asm, dots bool) {
	low, zero := a.Const(negInf), a.Const(0)
	s := &short{rowResults: rowResults{Asm: a, exp: a.newExpMinus(exp6)}, dots: dots, low: low, zero: zero}
	s.x, s.rows, s.n, s.at = a.Arg("x"), a.Arg("rows"), a.Arg("cols"), a.Reg()
	s.exp.keep(a, 9)
	s.sizeToLimit(s.x, later)
	a.MovImm(0, s.at)
	a.KeepTail(s.n)
	if dots {
		s.copyWeights()
	}
	single, done := a.NewLabel("single"), a.NewLabel("done")
	a.JumpIfImm(s.rows, "<", a.isa.width(), single)
	s.groups()
	a.Label(single)
	a.JumpIfImm(s.rows, "<=", 0, done)
	s.single()
	a.AddImm(4, s.at)
	a.AddImm(-1, s.rows)
	a.Jump(single)
	a.Label(done)
	s.exp.free(a)
	a.FreeConst(zero)
	a.FreeConst(low)
	s.logs()
	a.Ret()
}

type short struct {
	rowResults
	dots       bool // set dot, and add to dst
	low, zero  Uni
	x, rows, n Reg
}

// A rowResults stores what is known of rows, and has the constants of their
// exponentials.
type rowResults struct {
	*Asm
	exp expMinus
	at  Reg // 4 bytes for each row that is done
}

// sizeToLimit replaces size by the address from which on nothing is asked for: that many
// bytes and a group of short rows in front of the end of what there is from x on.
func (s *rowResults) sizeToLimit(x Reg, ahead int) { s.toAddress("size", x, -ahead-4*lanes*lanes) }

// logs turns what is in log into logarithms.
func (s *rowResults) logs() {
	log, rows, none := s.Arg("log"), s.Arg("rows"), s.NewLabel("none")
	s.JumpIfImm(log, "==", 0, none)
	s.log1p(log, rows)
	s.Label(none)
	s.FreeReg(rows)
	s.FreeReg(log)
}

// The room of a short on the stack, in slots of Local: the columns of two groups of
// rows, each with its maxima behind them.
const (
	shortWeights = iota
	hereFirst
	nextFirst  = hereFirst + lanes + 1
	shortSlots = nextFirst + lanes + 1
)

// copyWeights puts the weights, and zeros behind them, where 16 can be read.
func (s *short) copyWeights() {
	room, w, v, copied := s.Local(shortWeights), s.Arg("w"), s.Vec("w"), s.NewLabel("copied")
	s.Set(v, s.exp.one)
	s.JumpIfImm(w, "==", 0, copied)
	s.LoadTail(v, w, s.n, s.zero)
	s.Label(copied)
	s.Store(v, room, 0)
	s.Free(v)
	s.FreeReg(w)
	s.FreeReg(room)
}

// place returns a register with the address of the row at hand's element of a
// parameter, which is a *float32.
func (s *rowResults) place(name string) Reg {
	p := s.Arg(name)
	s.AddReg(s.at, p)
	return p
}

// place64 is place for a *float64.
func (s *rowResults) place64(name string) Reg {
	p := s.place(name)
	s.AddReg(s.at, p)
	return p
}

// fetch loads the group's elements of a parameter.
func (s *short) fetch(name string) *Vec {
	v, p := s.Vec(name), s.place(name)
	s.Load(v, p, 0)
	s.FreeReg(p)
	return v
}

func (s *short) save(v *Vec, name string) {
	p := s.place(name)
	s.Store(v, p, 0)
	s.FreeReg(p)
}

// slot is the place of a column in a group's room, which takes a register; its
// maxima are in slot(lanes).
func (s *short) slot(col int) int { return 4 * col * s.isa.width() }

// groups does as many rows at once as a register has lanes. A group is loaded
// before the one in front of it is worked on, which hides how long that takes.
func (s *short) groups() {
	width := s.isa.width()
	here, next, known := s.Local(nextFirst-1), s.Local(shortSlots-1), s.Reg()
	s.MovImm(0, known)
	group, few, work, swap, done := s.NewLabel("group"), s.NewLabel("few"), s.NewLabel("work"), s.NewLabel("swap"), s.NewLabel("done")
	s.Label(group)
	s.JumpIfImm(s.rows, "<", width, few)
	s.load(next)
	loaded := s.Reg()
	s.AddImm(-width, s.rows)
	s.MovImm(4*width, loaded)
	s.Jump(work)
	s.Label(few)
	s.MovImm(0, loaded)
	s.Label(work)
	s.JumpIfImm(known, "==", 0, swap)
	s.FreeReg(known)
	s.work(here)
	if s.Reg() != known {
		s.fatalf("known has another register")
	}
	s.AddImm(4*width, s.at)
	s.Label(swap)
	s.JumpIfImm(loaded, "==", 0, done)
	s.Mov(loaded, known)
	s.Mov(here, loaded)
	s.Mov(next, here)
	s.Mov(loaded, next)
	s.Jump(group)
	s.Label(done)
	for _, r := range []Reg{loaded, known, next, here} {
		s.FreeReg(r)
	}
}

// load turns the rows at x into columns, four at a time, and finds their maxima.
func (s *short) load(room Reg) {
	stride, p, left := s.Arg("stride"), s.Reg(), s.Reg()
	s.ShiftReg(2, stride)
	s.Mov(s.n, left)
	s.Mov(room, p)
	s.Narrow()
	m := s.Vec("m")
	s.Set(m, s.low)
	loop, end, done := s.NewLabel("fours"), s.NewLabel("end"), s.NewLabel("loaded")
	columns := func(tail Reg) []*Vec {
		v := s.Vecs(4, "column")
		s.LoadFours(v, s.x, stride, tail)
		s.Transpose(v)
		for i, v := range v {
			s.Store(v, p, s.slot(i))
		}
		return v
	}
	s.Label(loop)
	s.JumpIfImm(left, "<", 4, end)
	v := columns("")
	s.Max(v[0], v[1])
	s.Max(v[2], v[3])
	s.Max(m, v[0])
	s.Max(m, v[2])
	s.Free(v...)
	s.AddImm(16, s.x)
	s.AddImm(s.slot(4), p)
	s.AddImm(-4, left)
	s.Jump(loop)
	s.Label(end)
	s.JumpIfImm(left, "==", 0, done)
	v = columns(left)
	for i, v := range v[:3] {
		s.JumpIfImm(left, "<=", i, done)
		s.Max(m, v)
	}
	s.Label(done)
	s.Free(v...)
	s.Store(m, room, s.slot(lanes))
	s.Free(m)
	s.Widen()
	s.nextRows("x", s.x, stride)
	s.FreeReg(left)
	s.FreeReg(p)
	s.FreeReg(stride)
}

// work does the rows in a room.
func (s *short) work(room Reg) {
	width := s.isa.width()
	s.Narrow()
	m := s.Vec("m")
	s.Load(m, room, s.slot(lanes))
	if s.dots {
		dot := s.tree(func(col int) *Vec {
			t, w := s.Vec("t"), s.weight(col)
			s.Load(t, room, s.slot(col))
			s.Sub(t, m)
			s.MulUni(t, t, w)
			s.FreeUniform(w)
			return t
		})
		s.save(dot, "dot")
		s.Free(dot)
	}
	s.exps(room, m)
	ones := s.Vec("ones")
	s.Set(ones, s.zero)
	sum := s.tree(func(col int) *Vec {
		e := s.Vec("e")
		s.Load(e, room, s.slot(col))
		s.TakeOnes(e, ones, s.exp.one)
		return e
	})
	s.CountOnes(ones)
	s.results(func(p Reg) { s.Store(m, p, 0) }, sum, ones, func(half func(i int) *Vec, sums, logs Reg) {
		for i := range 2 {
			v := half(i)
			s.Store(v, sums, 4*width*i)
			s.Store(v, logs, 4*width*i)
			s.Free(v)
		}
	})
	s.Free(m)

	last, dst := s.NewLabel("last"), s.Arg("dst")
	s.JumpIfImm(dst, "==", 0, last)
	s.Add(sum, ones)
	f := s.factor(func(f *Vec, p Reg) { s.Load(f, p, 0) })
	s.op(opDiv, f, sum, f)
	s.Free(ones, sum)
	s.store(room, dst, f)
	s.Free(f)
	s.Label(last)
	s.Widen()
	s.FreeReg(dst)
}

// store turns the columns, times f, into rows of dst, four columns at a time.
func (s *short) store(room, dst Reg, f *Vec) {
	stride, p, left := s.Arg("dstStride"), s.x, s.Reg()
	s.ShiftReg(2, stride)
	s.Mov(s.n, left)
	var next Reg // in the rows to come, if there is a register for it
	if !s.dots {
		next = s.Reg()
		s.Mov(dst, next)
		s.within(s.x, next, room)
	}
	s.Mov(room, p)
	var add *Vec
	var weights Reg
	if s.dots {
		add, weights = s.fetch("add"), s.Local(shortWeights)
	}
	loop, end, done := s.NewLabel("fours"), s.NewLabel("end"), s.NewLabel("stored")
	columns := func(tail Reg) {
		v := s.Vecs(4, "column")
		for off := 0; !s.dots && off < s.slot(len(v)); off += 64 {
			s.PrefetchL2(next, later+off)
		}
		for i, v := range v {
			s.Load(v, p, s.slot(i))
			s.Mul(v, f)
			if s.dots {
				w := s.Uniform()
				s.LoadUni(w, weights, 4*i)
				s.MulAdd(v, add, w)
				s.FreeUniform(w)
			}
		}
		s.Transpose(v)
		s.StoreFours(v, dst, stride, tail)
		s.Free(v...)
	}
	s.Label(loop)
	s.JumpIfImm(left, "<", 4, end)
	columns("")
	s.AddImm(16, dst)
	s.AddImm(s.slot(4), p)
	if s.dots {
		s.AddImm(16, weights)
	} else {
		s.AddImm(s.slot(4), next)
	}
	s.AddImm(-4, left)
	s.Jump(loop)
	s.Label(end)
	s.JumpIfImm(left, "==", 0, done)
	columns(left)
	s.Label(done)
	if s.dots {
		s.Free(add)
		s.FreeReg(weights)
	}
	s.LoadArg("x", s.x)
	s.nextRows("dst", dst, stride)
	if !s.dots {
		s.FreeReg(next)
	}
	s.FreeReg(left)
	s.FreeReg(stride)
}

// nextRows moves a parameter, and p, on by as many rows as a register has lanes.
// It destroys stride.
func (s *short) nextRows(name string, p, stride Reg) {
	s.LoadArg(name, p)
	for n := s.isa.width(); n > 1; n /= 2 {
		s.ShiftReg(1, stride)
	}
	s.AddReg(stride, p)
	s.StoreArg(name, p)
}

// within sets next to room, less later, if the rows at x are too close to the end to ask
// for what is later behind next.
func (s *short) within(x, next, room Reg) {
	limit, far := s.Arg("size"), s.NewLabel("far")
	s.JumpIf(x, "<", limit, far)
	s.Mov(room, next)
	s.AddImm(-later, next)
	s.Label(far)
	s.FreeReg(limit)
}

// exps replaces the columns by e^(x - m), two at a time, and asks for as much of
// the rows to come, as if they had no gaps.
func (s *short) exps(room Reg, m *Vec) {
	p, x, left, loop := s.Reg(), s.Reg(), s.Reg(), s.NewLabel("exps")
	s.Mov(room, p)
	s.Mov(s.x, x)
	s.within(s.x, x, room)
	s.Mov(s.n, left)
	s.Label(loop)
	d := s.Vecs(2, "d")
	for off := 0; off < s.slot(len(d)); off += 64 {
		s.PrefetchL2(x, later+off)
	}
	for i, d := range d {
		s.Load(d, p, s.slot(i))
		s.Sub(d, m)
	}
	e := s.exp.of(s.Asm, d)
	for i, e := range e {
		s.Store(e, p, s.slot(i))
	}
	s.Free(d...)
	s.Free(e...)
	s.AddImm(s.slot(len(d)), p)
	s.AddImm(s.slot(len(d)), x)
	s.AddImm(-len(d), left)
	s.JumpIfImm(left, ">", 0, loop)
	s.FreeReg(left)
	s.FreeReg(x)
	s.FreeReg(p)
}

// tree adds up a term of each column by halves.
func (s *short) tree(term func(col int) *Vec) *Vec {
	var sums [4]*Vec
	for _, col := range []int{0, 2, 1, 3} {
		some := [2]*Vec{s.Vec("sum"), s.Vec("sum")}
		s.Set(some[0], s.zero)
		s.Set(some[1], s.zero)
		few := s.NewLabel("few")
		for i := range 4 {
			s.JumpIfImm(s.n, "<=", col+4*i, few)
			s.join(some[i%2], term(col+4*i))
		}
		s.Label(few)
		s.join(some[0], some[1])
		if sums[col] = some[0]; col >= 2 {
			s.join(sums[col-2], sums[col])
		}
	}
	s.join(sums[0], sums[1])
	return sums[0]
}

// join adds other to v and frees it.
func (s *short) join(v, other *Vec) {
	s.Add(v, other)
	s.Free(other)
}

// results stores the maxima by max, and by store what sum and ones come to, of which half
// returns half of the lanes, if they are asked for.
func (s *rowResults) results(max func(p Reg), sum, ones *Vec, store func(half func(i int) *Vec, sums, logs Reg)) {
	none := s.NewLabel("none")
	p := s.Arg("max")
	s.JumpIfImm(p, "==", 0, none)
	s.AddReg(s.at, p)
	max(p)
	one := s.Const64(math.Float64bits(1))
	sums, logs := s.place64("sum"), s.place64("log")
	store(func(i int) *Vec {
		v, w := s.Vec("v"), s.Vec("ones")
		s.WidenHalf(v, sum, i)
		s.WidenHalf(w, ones, i)
		s.op(opSub64, w, one, w)
		s.op(opAdd64, v, w, v)
		s.Free(w)
		return v
	}, sums, logs)
	s.FreeConst(one)
	s.FreeReg(logs)
	s.FreeReg(sums)
	s.Label(none)
	s.FreeReg(p)
}

// factor returns what the exponentials are multiplied by, and load loads.
func (s *rowResults) factor(load func(f *Vec, p Reg)) *Vec {
	f, p, one := s.Vec("f"), s.Arg("scale"), s.NewLabel("one")
	s.Set(f, s.exp.one)
	s.JumpIfImm(p, "==", 0, one)
	s.AddReg(s.at, p)
	load(f, p)
	s.Label(one)
	s.FreeReg(p)
	return f
}

// weight returns the weight of a column.
func (s *short) weight(col int) Uni {
	w, weights := s.Uniform(), s.Local(shortWeights)
	s.LoadUni(w, weights, 4*col)
	s.FreeReg(weights)
	return w
}

// single does one row.
func (s *short) single() {
	m, d, v := s.Uniform(), s.Vec("d"), s.Vec("v")
	s.LoadTail(d, s.x, s.n, s.low)
	s.Copy(v, d)
	s.FoldMax(v)
	s.Broadcast(m, v)
	if s.dots {
		dot := s.Vec("dot")
		s.LoadTail(dot, s.x, s.n, m)
		s.SubUni(dot, dot, m)
		p := s.Local(shortWeights)
		s.MulLoad(dot, p, 0)
		s.FreeReg(p)
		s.FoldAdd(dot)
		p = s.place("dot")
		s.StoreLane0(dot, p, 0)
		s.FreeReg(p)
		s.Free(dot)
	}
	s.ByPart(func() { s.exp.replace(s.Asm, d, m) })
	sum, ones := s.Vec("sum"), v
	s.EqValue(ones, d, s.exp.one)
	s.Copy(sum, d)
	s.Sub(sum, ones)
	s.FoldAdd(sum)
	s.FoldAdd(ones)
	room := s.Local(nextFirst - 1)
	s.Store(d, room, 0) // there are no registers left for it
	s.Free(d)
	s.Shrink(sum)
	s.Shrink(ones)
	s.Narrow()
	s.results(func(p Reg) { s.StoreUni(m, p, 0) }, sum, ones, func(half func(i int) *Vec, sums, logs Reg) {
		v := half(0)
		s.StoreDouble(v, sums)
		s.StoreDouble(v, logs)
		s.Free(v)
	})
	last := s.NewLabel("last")
	dst := s.Arg("dst")
	s.JumpIfImm(dst, "==", 0, last)
	s.AddLane0(sum, ones)
	f := s.factor(func(f *Vec, p Reg) { s.LoadLane0(f, p, 0) })
	s.DivLane0(32, f, f, sum)
	s.Broadcast(m, f)
	s.Free(f)
	s.Widen()
	d = s.Vec("d")
	s.Load(d, room, 0)
	s.MulUni(d, d, m)
	if s.dots {
		p, w := s.place("add"), s.Vec("w")
		s.LoadUni(m, p, 0)
		s.FreeReg(p)
		p = s.Local(shortWeights)
		s.Load(w, p, 0)
		s.FreeReg(p)
		s.MulAdd(d, w, m)
		s.Free(w)
	}
	s.StoreTail(d, dst, s.n)
	s.Free(d)
	s.Advance(dst, "dstStride")
	s.StoreArg("dst", dst)
	s.Label(last)
	s.Widen()
	s.FreeReg(dst)
	s.FreeReg(room)
	s.Free(sum, ones)
	s.FreeUniform(m)
	s.Advance(s.x, "stride")
}
