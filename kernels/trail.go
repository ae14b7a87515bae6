package main

// The loop of the exponentials also finishes earlier ones: what it still holds
// of the rows before is scaled and stored past the caches while the arithmetic of
// the new ones keeps the ports busy; or into them, where there is room.

var scaleExpSumKernel = kernel{
	name: "scaleExpSum",
	doc: `It is expSum, but first the rows in dst go to those of to, past the caches if stream
is not 0: each block of 4096 elements times its factor, plus add[i], with one
rounding. The loop takes care of what is 64 bytes aligned in to.`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"},
		{"to", "*float32"}, {"factor", "*float32"}, {"add", "*float32"}, {"toStride", "int"}, {"stream", "int"}},
	body: func(a *Asm) { trails(a, logSumExp{Asm: a}) },
}

var scaleExpSumDotKernel = kernel{
	name: "scaleExpSumDot",
	doc:  `It is scaleExpSum and sets dot as expSumDot does.`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"},
		{"to", "*float32"}, {"factor", "*float32"}, {"add", "*float32"}, {"toStride", "int"}, {"stream", "int"}},
	body: func(a *Asm) { trails(a, logSumExp{Asm: a, dots: true}) },
}

var scaleExpSumWeightedKernel = kernel{
	name: "scaleExpSumWeighted",
	doc: `It is scaleExpSum, but adds add[i] w[j] as scaleWeighted does, and sets dot as
expSumWeighted does.`,
	args: []arg{{"dst", "*float32"}, {"base", "*float32"}, {"sum", "*float32"}, {"more", "*float32"}, {"dot", "*float32"},
		{"x", "*float32"}, {"w", "*float32"}, {"rows", "int"}, {"cols", "int"}, {"dstStride", "int"}, {"stride", "int"},
		{"to", "*float32"}, {"factor", "*float32"}, {"add", "*float32"}, {"toStride", "int"}, {"stream", "int"}},
	body: func(a *Asm) { trails(a, logSumExp{Asm: a, dots: true, weighted: true}) },
}

func trails(a *Asm, s logSumExp) {
	a.Streams(func(stream bool) {
		s.stream = stream
		(&expSum{logSumExp: s, trail: true}).write()
	})
}

// The room of a trail on the stack.
const (
	trailUntil = maxAt + 1 + iota // where the loop's part of the block ends, as an address in x
	trailSkew                     // bytes by which that part begins behind the block
)

// nextTrail goes on to the next row of to.
func (s *expSum) nextTrail() {
	to, t := s.Arg("to"), s.Arg("toStride")
	s.ShiftReg(2, t)
	s.AddReg(t, to)
	s.LoadArg("stride", t)
	s.ShiftReg(2, t)
	s.SubReg(t, to)
	s.StoreArg("to", to)
	s.LoadArg("add", t)
	s.AddImm(4, t)
	s.StoreArg("add", t)
	s.FreeReg(t)
	s.FreeReg(to)
}

// line loads the factor and the summand of the block; t is free to use.
func (s *expSum) line(t Reg) (f, c Uni) {
	f, c = s.Uniform(), s.Uniform()
	s.LoadArg("factor", t)
	s.LoadUni(f, t, 0)
	s.LoadArg("add", t)
	s.LoadUni(c, t, 0)
	return f, c
}

// trailRest finishes the elements of the block that the loop will not: those in
// front of the first address in to that is aligned to 64 bytes, and those behind
// its last full step but one. It asks for pages of to: stores past the caches would
// wait for their addresses. What has just been asked for should not be stored to:
// with 8 KB instead of 32 a Zen 4 takes up to an eighth more.
func (s *expSum) trailRest() {
	many, few, inner, vec, tail, done := s.NewLabel("many"), s.NewLabel("few"), s.NewLabel("inner"), s.NewLabel("vec"), s.NewLabel("tail"), s.NewLabel("done")
	until, skew, t := s.cut, s.Reg(), s.q
	weight := s.full // not in use here
	f, c := s.line(t)
	tailOf := func(src, dst, n Reg) {
		v := s.Vec("e")
		if s.weighted {
			u := s.Vec("w")
			s.LoadTail(u, weight, n, s.zero)
			s.LoadTail(v, src, n, s.zero)
			s.HornerUni(v, f, s.zero)
			s.MulAdd(v, u, c)
			s.Free(u)
		} else {
			s.LoadTail(v, src, n, s.zero)
			s.HornerUni(v, f, c)
		}
		s.StoreTail(v, dst, n)
		s.Free(v)
	}
	s.LoadArg("to", t)
	s.AddReg(s.p, t)
	s.Prefetch(t, 32*1024)
	s.Prefetch(t, 32*1024+4096)
	s.Mov(s.size, until)
	s.AndImm(-step, until)
	s.MovImm(0, skew)
	s.AddImm(-step, until)
	s.JumpIfImm(until, ">", 0, many)
	s.MovImm(0, until)
	s.Jump(few)
	s.Label(many)
	s.LoadArg("to", t)
	s.SubReg(t, skew)
	s.SubReg(s.p, skew)
	s.AndImm(63, skew)
	s.Label(few)
	s.ShiftReg(2, until)
	s.AddReg(s.p, until)
	s.StoreInt(until, trailUntil)
	s.StoreInt(skew, trailSkew)
	s.JumpIfImm(skew, "==", 0, inner)
	s.ShiftDown(2, skew)
	n := s.Reg()
	if s.weighted {
		s.LoadArg("w", weight)
		s.AddReg(s.p, weight)
	}
	s.Mov(s.p, t)
	s.AddReg(s.toDst, t)
	s.LoadArg("to", n)
	s.AddReg(s.p, n)
	tailOf(t, n, skew)
	s.FreeReg(n)

	s.Label(inner)
	left, src, dst := skew, s.q, s.cut
	s.LoadInt(trailSkew, src)
	s.AddReg(until, src)
	n = s.Reg()
	s.Mov(src, n)
	s.SubReg(s.p, n)
	s.ShiftDown(2, n)
	s.Mov(s.size, left)
	s.SubReg(n, left)
	s.FreeReg(n)
	if s.weighted {
		s.LoadArg("w", weight)
		s.AddReg(src, weight)
	}
	s.LoadArg("to", dst)
	s.AddReg(src, dst)
	s.AddReg(s.toDst, src)
	s.Label(vec)
	s.JumpIfImm(left, "<", lanes, tail)
	v := s.Vec("e")
	s.Load(v, src, 0)
	s.complete(v, f, c, weight, 0)
	s.Store(v, dst, 0)
	s.Free(v)
	s.AddImm(4*lanes, src)
	s.AddImm(4*lanes, dst)
	if s.weighted {
		s.AddImm(4*lanes, weight)
	}
	s.AddImm(-lanes, left)
	s.Jump(vec)
	s.Label(tail)
	s.JumpIfImm(left, "==", 0, done)
	tailOf(src, dst, left)
	s.Label(done)
	s.FreeReg(skew)
	s.FreeUniform(f)
	s.FreeUniform(c)
}

// complete multiplies v by f and adds c, times the weights at w+off if there are some.
func (s *expSum) complete(v *Vec, f, c Uni, w Reg, off int) {
	if !s.weighted {
		s.HornerUni(v, f, c)
		return
	}
	s.HornerUni(v, f, s.zero)
	s.MulAddUniLoad(v, c, w, off)
}

// endTrail is for when trailStep has finished the block.
func (s *expSum) endTrail() {
	if !s.trail {
		return
	}
	none := s.Reg()
	s.MovImm(0, none)
	s.StoreInt(none, trailUntil)
	s.FreeReg(none)
}

// trailStep finishes the step of dst at q, unless that is behind the loop's part.
func (s *expSum) trailStep() {
	skip := s.NewLabel("skip")
	src, dst := s.Reg(), s.Reg()
	s.LoadInt(trailUntil, src)
	s.JumpIf(s.q, ">=", src, skip)
	f, c := s.line(src)
	s.LoadInt(trailSkew, src)
	s.AddReg(s.q, src)
	s.LoadArg("to", dst)
	s.AddReg(src, dst)
	var w Reg
	if s.weighted {
		w = s.Arg("w")
		s.AddReg(src, w)
	}
	s.AddReg(s.toDst, src)
	s.storeStep(src, dst, func(v *Vec, off int) { s.complete(v, f, c, w, off) })
	s.FreeUniform(f)
	s.FreeUniform(c)
	if s.weighted {
		s.FreeReg(w)
	}
	s.FreeReg(dst)
	s.FreeReg(src)
	s.Label(skip)
}
