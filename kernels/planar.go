package main

import (
	"math"
	"slices"
)

// The planar kernels walk over n positions, a multiple of 16, and 16 at once;
// the classes of a position are stride elements apart.
// A group of positions is copied to scratch, classes*16 elements and as many for
// the next group, whose copy and maxima hide behind the arithmetic: the lines of a
// group push each other out of the caches when the stride is a power of two.
//
// Of the maximum so far and x the greater goes on. Where only sums are asked for, the
// other one is what is copied: everything but one of the maxima, which counts apart.
// Elsewhere the same is done to the exponentials.

// ahead is how many bytes in front of a group the planar kernels ask for, into
// the second-level cache: the lines of a group may all belong in the same few
// places of the first one.
const ahead = 256

var (
	planarSumExpKernel = kernel{
		name: "planarSumExp",
		doc: `For each of n positions: max is the greatest x of its classes; sum the sum of
e^(x - max), but for one of the greatest terms; and log the logarithm of 1 + sum, as
log1p has it. sum may be log, and both nil. What is added up is e^(x - k ln 2), as in
sumExp, k ln 2 being close to max; where that is no number or 2^17 and more, max is
subtracted before. 64 classes are added up one by one, their sums with the rounding
errors kept.`,
		args: []arg{{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"},
			{"x", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{}).write(a) },
	}
	planarSumExpDotKernel = kernel{
		name: "planarSumExpDot",
		doc: `It is planarSumExp, 16 classes at once instead of 64, added up in pairs, and sets
dot to the sum of w[c] (x - max) over the classes c.`,
		args: []arg{{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"}, {"dot", "*float32"},
			{"x", "*float32"}, {"w", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{dots: true}).write(a) },
	}
	planarSoftmaxKernel = kernel{
		name: "planarSoftmax",
		doc: `It is planarSumExp, added up in pairs, and sets dst to e^(x - max) divided by the
whole sum and times scale, which each position has one of.`,
		args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"},
			{"x", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"dstStride", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{softmax: true}).write(a) },
	}
	planarSoftmaxDotKernel = kernel{
		name: "planarSoftmaxDot",
		doc: `It is planarSoftmax, 16 classes at once instead of 64, sets dot to the sum of
w[c] (x - max) over the classes c, and adds
w[c] add to dst.`,
		args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"add", "*float32"},
			{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"}, {"dot", "*float32"},
			{"x", "*float32"}, {"w", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"dstStride", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{softmax: true, dots: true}).write(a) },
	}
	planarProbsKernel = kernel{
		name: "planarProbs",
		doc: `It is planarSumExp with a target t = (keep q + share) w[c] for each class, smooth
being keep and share: mass is the sum of t, and dot that of t (x - max) but for
terms of t = 0, both added up 16 classes at once.`,
		args: []arg{{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"}, {"mass", "*float32"}, {"dot", "*float32"},
			{"x", "*float32"}, {"q", "*float32"}, {"w", "*float32"}, {"smooth", "*float32"}, {"scratch", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{probs: true}).write(a) },
	}
	planarProbsGradKernel = kernel{
		name: "planarProbsGrad",
		doc: `It is planarProbs and sets dst to scale (mass p - t), p being e^(x - max) divided by
the whole sum and each position having one scale. Scratch has room for t, too,
behind both groups.`,
		args: []arg{{"dst", "*float32"}, {"scale", "*float32"},
			{"max", "*float32"}, {"sum", "*float64"}, {"log", "*float64"}, {"mass", "*float32"}, {"dot", "*float32"},
			{"x", "*float32"}, {"q", "*float32"}, {"w", "*float32"}, {"smooth", "*float32"}, {"scratch", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"dstStride", "int"}, {"stride", "int"}},
		body: func(a *Asm) { (&planar{softmax: true, probs: true}).write(a) },
	}
	planarShiftKernel = kernel{
		name: "planarShift",
		doc: `dst is (x - max) - log, max and log being those of the position. It goes past the
caches, class by class, if stream is not 0; dst and stride are multiples of 64 bytes
then.`,
		args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"max", "*float32"}, {"log", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"stride", "int"}, {"stream", "int"}},
		body: func(a *Asm) { a.Streams(a.planarShift) },
	}
	planarInnerKernel = kernel{
		name: "planarInner",
		doc: `For each of n positions: dst is the sum of x y over its classes in turn, or of x if
y is nil, in float64. They are copied to xCopy and yCopy, n apart.`,
		args: []arg{{"dst", "*float64"}, {"x", "*float32"}, {"y", "*float32"}, {"xCopy", "*float32"}, {"yCopy", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) {
			plain := a.NewLabel("plain")
			w, y := newPlanarWalk(a), a.Arg("y")
			a.JumpIfImm(y, "==", 0, plain)
			a.FreeReg(y)
			w.inner("x", "y")
			a.Label(plain)
			w.inner("x")
		},
	}
	planarSoftmaxGradKernel = kernel{
		name: "planarSoftmaxGrad",
		doc:  `dst is x ((y - high) - low), high and low being those of the position.`,
		args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"y", "*float32"}, {"high", "*float32"}, {"low", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"dstStride", "int"}, {"stride", "int"}},
		body: func(a *Asm) {
			w := newPlanarWalk(a)
			q, r, dstStride := a.Reg(), a.Reg(), a.Arg("dstStride")
			a.ShiftReg(2, dstStride)
			w.groups(func() {
				high, low := w.load("high"), w.load("low")
				w.start("y", q)
				w.start("dst", r)
				w.classes("x", w.stride, func() {
					y := a.Vec("y")
					a.Load(y, q, 0)
					a.Sub(y, high)
					a.Sub(y, low)
					a.MulLoad(y, w.p, 0)
					a.Store(y, r, 0)
					a.PrefetchL2(r, ahead)
					a.Free(y)
					a.AddReg(w.stride, q)
					a.AddReg(dstStride, r)
				})
				a.Free(high, low)
			})
			a.Ret()
		},
	}
	planarLogSoftmaxGradKernel = kernel{
		name: "planarLogSoftmaxGrad",
		doc:  `dst is y + s e^x, s being that of the position and e^x that of exp.`,
		args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"y", "*float32"}, {"s", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"stride", "int"}, {"yStride", "int"}},
		body: func(a *Asm) {
			exp := a.newExp(4*lanes/a.isa.width() + 2)
			w := newPlanarWalk(a)
			q, r, yStride := a.Reg(), a.Reg(), a.Arg("yStride")
			a.ShiftReg(2, yStride)
			w.groups(func() {
				s := w.load("s")
				w.start("y", q)
				w.start("dst", r)
				w.classes("x", w.stride, func() {
					x := a.Vec("x")
					a.Load(x, w.p, 0)
					a.PrefetchL2(w.p, ahead)
					e := exp([]*Vec{x})[0]
					a.Load(x, q, 0)
					a.MulAddVec(x, e, s)
					a.Store(x, r, 0)
					a.PrefetchL2(r, ahead)
					a.Free(x, e)
					a.AddReg(yStride, q)
					a.AddReg(w.stride, r)
				})
				a.Free(s)
			})
			a.Ret()
		},
	}
)

func (a *Asm) planarShift(stream bool) {
	x, dst, classes, stride := a.Arg("x"), a.Arg("dst"), a.Arg("classes"), a.Arg("stride")
	n, p, q, max, log := a.Reg(), a.Reg(), a.Reg(), a.Reg(), a.Reg()
	class, group := a.NewLabel("class"), a.NewLabel("group")
	a.ShiftReg(2, stride)
	a.Label(class)
	a.Mov(x, p)
	a.Mov(dst, q)
	a.LoadArg("max", max)
	a.LoadArg("log", log)
	a.LoadArg("n", n)
	a.Label(group)
	v := a.Vec("x")
	a.Load(v, p, 0)
	a.SubLoad(v, max, 0)
	a.SubLoad(v, log, 0)
	a.StoreTo(stream, v, q, 0)
	a.Free(v)
	for _, r := range []Reg{p, q, max, log} {
		a.AddImm(4*lanes, r)
	}
	a.AddImm(-lanes, n)
	a.JumpIfImm(n, ">", 0, group)
	a.AddReg(stride, x)
	a.AddReg(stride, dst)
	a.AddImm(-1, classes)
	a.JumpIfImm(classes, ">", 0, class)
	a.Ret()
}

// A planarWalk is a position in an array, and in those that have one element a
// position.
type planarWalk struct {
	*Asm
	at, end, stride Reg // in bytes
	p, left         Reg // left of the classes
}

func newPlanarWalk(a *Asm) *planarWalk {
	w := &planarWalk{a, a.Reg(), a.Arg("n"), a.Arg("stride"), a.Reg(), a.Reg()}
	a.ShiftReg(2, w.end)
	a.ShiftReg(2, w.stride)
	return w
}

// groups runs body once for each group of positions.
func (w *planarWalk) groups(body func()) {
	group := w.NewLabel("group")
	w.MovImm(0, w.at)
	w.Label(group)
	body()
	w.AddImm(4*lanes, w.at)
	w.JumpIf(w.at, "<", w.end, group)
}

// start sets p to the group's place in a parameter.
func (w *planarWalk) start(name string, p Reg) {
	w.LoadArg(name, p)
	w.AddReg(w.at, p)
}

// load returns the group's elements of a parameter.
func (w *planarWalk) load(name string) *Vec {
	v := w.Vec(name)
	w.start(name, w.p)
	w.Load(v, w.p, 0)
	return v
}

func (w *planarWalk) store(v *Vec, name string) {
	w.start(name, w.p)
	w.Store(v, w.p, 0)
}

// classes runs body for each class, with p at its elements of a parameter.
func (w *planarWalk) classes(name string, stride Reg, body func()) {
	w.start(name, w.p)
	w.eachClass(func() {
		body()
		w.AddReg(stride, w.p)
	})
}

// eachClass runs body as many times as there are classes.
func (w *planarWalk) eachClass(body func()) {
	class := w.NewLabel("class")
	w.LoadArg("classes", w.left)
	w.Label(class)
	body()
	w.AddImm(-1, w.left)
	w.JumpIfImm(w.left, ">", 0, class)
}

// inner writes planarInner for one or two parameters.
func (w *planarWalk) inner(names ...string) {
	zero := w.Const(0)
	from, to := []Reg{w.p, w.Reg()}[:len(names)], []Reg{w.Reg(), w.Reg()}[:len(names)]
	w.groups(func() {
		s := w.Vecs(2, "s")
		for _, s := range s {
			w.Set(s, zero)
		}
		for i, name := range names {
			w.start(name, from[i])
			w.start(name+"Copy", to[i])
		}
		w.classes("x", w.stride, func() {
			for i, p := range from {
				x := w.Vec("x")
				w.Load(x, p, 0)
				w.PrefetchL2(p, ahead)
				w.Store(x, to[i], 0)
				w.Free(x)
			}
			for i, s := range s {
				w.addWide(s, from, 4*lanes/2*i)
			}
			for i, p := range to {
				w.AddReg(w.end, p)
				if i > 0 {
					w.AddReg(w.stride, from[i])
				}
			}
		})
		w.start("dst", w.p)
		w.AddReg(w.at, w.p)
		for i, s := range s {
			w.Store(s, w.p, 4*lanes*i)
		}
		w.Free(s...)
	})
	w.Ret()
	for _, r := range slices.Concat(to, from[1:]) {
		w.FreeReg(r)
	}
	w.FreeConst(zero)
}

// A planar writes one of the kernels with exponentials.
type planar struct {
	softmax, dots, probs bool // set dst; set dot and add to dst; have targets
	*planarWalk
	reducer
	zero     Uni
	q, k     Reg  // in scratch; classes left of those added up first
	here     Reg  // where in scratch the group is: in front of the next one or behind it
	from, to Reg  // of the next group, and in scratch
	next     *Vec // its maxima so far

	// For the dots:
	w   Reg  // in the weights
	dot *Vec // of those classes

	// For the targets, which are no dots, w and:
	t Reg // in those of scratch
}

// The room on the stack, with a lane for each position of the group: what fromBase gives,
// the base, which is max or 0, the sums so far and what they lack, the dots, and what the
// exponentials are multiplied by.
const (
	planarRound = iota
	planarLow
	planarToBase
	planarBase
	planarHigh
	planarRest
	planarDots
	planarFactor
)

// losers tells whether scratch has what is not the maximum, class by class no more.
func (p *planar) losers() bool { return !p.softmax && !p.dots && !p.probs }

func (p *planar) write(a *Asm) {
	p.planarWalk, p.reducer, p.zero = newPlanarWalk(a), a.newReducer(), a.Const(0)
	for _, r := range []*Reg{&p.q, &p.k, &p.here, &p.from, &p.to} {
		*r = a.Reg()
	}
	p.next = a.Vec("next")
	vregs := 10
	if p.dots || p.probs {
		p.w = a.Reg()
		vregs += 2
	}
	if p.probs {
		p.t = a.Reg()
	}
	p.reducer.keep(a, vregs)
	p.copyFirst()
	p.groups(func() {
		p.bases()
		if p.probs {
			p.ByPart(p.targets)
		}
		p.startNext()
		p.ByPart(p.part)
		if p.softmax {
			p.results()
		}
		p.swap()
	})
	p.Free(p.next)
	p.FreeConst(p.zero)
	for _, c := range append(p.c, p.log2e, p.ln2) {
		p.FreeConst(c)
	}
	p.unlessNil("log", func() {
		p.LoadArg("n", p.left)
		p.log1p(p.p, p.left)
	})
	p.Ret()
}

// bases stores the maxima of the group, and finds what comes of them.
func (p *planar) bases() {
	apart, near := p.NewLabel("apart"), p.NewLabel("near")
	m, u, v := p.next, p.Vec("u"), p.Vec("v")
	p.store(m, "max")
	p.Copy(u, m)
	p.FreeReg(p.to) // not in use here
	p.FreeReg(p.from)
	p.allNear(m, v, apart)
	p.from, p.to = p.Reg(), p.Reg()
	p.Jump(near)
	p.Label(apart)
	p.ByPart(func() { p.apart(u, v) })
	p.Label(near)
	if p.dots || p.probs {
		p.keepLanes(u, planarBase)
	}
	p.keepFromBase(u, planarRound, planarLow, planarToBase)
	p.Free(u)
	p.Copy(v, m)
	p.Sub(v, m) // a NaN, if the maximum is none of the finite numbers
	p.keepLanes(v, planarHigh)
	p.Set(v, p.zero)
	p.keepLanes(v, planarRest)
	if p.dots {
		p.keepLanes(v, planarDots)
	}
	p.Free(v)
}

// apart subtracts the maxima from a part of the group where their magnitude v is too
// great for a base, and makes that, u, 0.
func (p *planar) apart(u, v *Vec) {
	limit, lowest, one := p.ConstReg(bits(math.Nextafter32(nearBase, 0))), p.ConstReg(bits(-math.MaxFloat32)), p.Addend(bits(1))
	p.AtLeast(v, limit)
	p.SubUni(v, v, limit)
	m, near := p.Vec("m"), p.Vec("near")
	p.Copy(m, u)
	p.AtLeast(m, lowest) // masked elements never meet -Inf - -Inf
	p.ZeroWhere(m, v, p.zero)
	p.EqOne(near, v, p.zero, one)
	p.ZeroWhere(u, near, p.zero)
	p.Free(near)
	p.startScratch()
	p.eachClass(func() {
		x := p.Vec("x")
		p.Load(x, p.q, 0)
		p.Sub(x, m)
		p.Store(x, p.q, 0)
		p.Free(x)
		p.AddImm(4*lanes, p.q)
	})
	p.Free(m)
	for _, c := range []Uni{limit, lowest, one} {
		p.FreeConst(c)
	}
}

// results sets dst to the exponentials in scratch times their factor, and adds what
// belongs to the weights or targets.
func (p *planar) results() {
	f := p.Vec("f")
	p.loadLanes(f, planarFactor)
	if p.probs {
		p.startTargets()
	}
	p.startScratch()
	p.LoadArg("dstStride", p.k)
	p.ShiftReg(2, p.k)
	var add, less *Vec
	switch {
	case p.dots:
		add = p.load("add")
		p.LoadArg("w", p.w)
	case p.probs:
		up := p.load("scale")
		less = p.Vec("less")
		p.Set(less, p.zero)
		p.Sub(less, up)
		p.Free(up)
	}
	p.classes("dst", p.k, func() {
		e := p.Vec("e")
		p.Load(e, p.q, 0)
		p.Mul(e, f)
		switch {
		case p.dots:
			p.addWeighted(e, add)
		case p.probs:
			t := p.Vec("t")
			p.Load(t, p.t, 0)
			p.MulAddVec(e, t, less)
			p.Free(t)
			p.AddImm(4*lanes, p.t)
		}
		p.Store(e, p.p, 0)
		p.PrefetchL2(p.p, ahead)
		p.Free(e)
		p.AddImm(4*lanes, p.q)
	})
	p.Free(f)
	switch {
	case p.dots:
		p.Free(add)
	case p.probs:
		p.Free(less)
	}
}

// addWeighted adds x times the next weight to d.
func (p *planar) addWeighted(d, x *Vec) {
	w := p.Uniform()
	p.LoadUni(w, p.w, 0)
	p.MulAdd(d, x, w)
	p.FreeUniform(w)
	p.AddImm(4, p.w)
}

// part adds up the exponentials of a part of the group, and leaves them in scratch for
// softmax.
func (p *planar) part() {
	round, low := p.Vec("round"), p.Vec("low")
	p.loadLanes(round, planarRound)
	p.loadLanes(low, planarLow)
	var base, most *Vec
	few := 64
	if !p.losers() {
		most = p.Vec("most")
		p.Set(most, p.zero)
	}
	if p.dots {
		few = 16 // the dots keep no rounding errors
		base, p.dot = p.Vec("base"), p.Vec("dot")
		p.loadLanes(base, planarBase)
		p.LoadArg("w", p.w)
	}
	p.startScratch()
	p.batches(few, func() {
		pairs, last, done := p.NewLabel("pairs"), p.NewLabel("last"), p.NewLabel("done")
		sum := p.Vec("sum")
		p.Set(sum, p.zero)
		if p.dots {
			p.Set(p.dot, p.zero)
		}
		p.JumpIfImm(p.k, "<", 2, last)
		p.Label(pairs)
		p.add(2, base, round, low, most, sum)
		p.JumpIfImm(p.k, ">=", 2, pairs)
		p.Label(last)
		p.JumpIfImm(p.k, "==", 0, done)
		p.add(1, base, round, low, most, sum)
		p.Label(done)
		p.twoSum(sum)
		p.Free(sum)
		if p.dots {
			local := p.Local(planarDots)
			p.AddLoad(p.dot, local, 0)
			p.Store(p.dot, local, 0)
			p.FreeReg(local)
		}
	})
	p.Free(round, low)
	if p.dots {
		p.store(p.dot, "dot")
		p.Free(base, p.dot)
	}
	p.unlessNil("log", p.rest)
	if p.softmax {
		p.factor(most)
	}
	if most != nil {
		p.Free(most)
	}
}

// factor sets what the exponentials of a part are multiplied by, most being the greatest.
func (p *planar) factor(most *Vec) {
	all, s := p.Vec("all"), p.load("scale")
	p.loadLanes(all, planarHigh)
	p.Add(most, all)
	p.loadLanes(all, planarRest)
	p.Add(most, all)
	p.Free(all)
	if p.probs {
		mass := p.load("mass")
		p.Mul(s, mass)
		p.Free(mass)
	}
	p.op(opDiv, s, most, s)
	p.keepLanes(s, planarFactor)
	p.Free(s)
}

// rest stores the sums of a part without one of the greatest terms.
func (p *planar) rest() {
	high, more := p.Vec("high"), p.Vec("more")
	p.loadLanes(high, planarHigh)
	p.loadLanes(more, planarToBase)
	lack := p.lacking(high)
	p.MulAddVec(lack, lack, more)
	p.Add(more, lack)
	p.Free(lack)
	low := p.Vec("low")
	p.loadLanes(low, planarRest)
	for half := range 2 {
		v, other := p.Vec("v"), p.Vec("other")
		p.WidenHalf(v, high, half)
		p.WidenHalf(other, low, half)
		p.op(opAdd64, v, other, v)
		p.WidenHalf(other, more, half)
		p.MulAddVec64(v, v, other)
		for _, name := range []string{"sum", "log"} {
			p.start(name, p.p)
			p.AddReg(p.at, p.p)
			p.Store(v, p.p, 4*p.isa.width()*(p.lo+half))
		}
		p.Free(v, other)
	}
	p.Free(high, more, low)
}

// unlessNil runs body, with p at a parameter, unless that is nil.
func (p *planar) unlessNil(name string, body func()) {
	none := p.NewLabel("none")
	p.LoadArg(name, p.p)
	p.JumpIfImm(p.p, "==", 0, none)
	body()
	p.Label(none)
}

// batches runs body for at most few classes after the other, whose number is in k.
func (p *planar) batches(few int, body func()) {
	some, short := p.NewLabel("some"), p.NewLabel("short")
	p.LoadArg("classes", p.left)
	p.Label(some)
	p.Mov(p.left, p.k)
	p.JumpIfImm(p.k, "<=", few, short)
	p.MovImm(few, p.k)
	p.Label(short)
	p.SubReg(p.k, p.left)
	body()
	p.JumpIfImm(p.left, ">", 0, some)
}

// startTargets sets t to the targets in scratch, and destroys q.
func (p *planar) startTargets() {
	p.LoadArg("classes", p.t)
	p.ShiftReg(7, p.t)
	p.LoadArg("scratch", p.q)
	p.AddReg(p.q, p.t)
}

// startScratch sets q to the group in scratch.
func (p *planar) startScratch() {
	p.LoadArg("scratch", p.q)
	p.AddReg(p.here, p.q)
}

// targets finds the targets of a part of the group and adds them up. For
// softmax it leaves them in scratch.
func (p *planar) targets() {
	keep, share, w := p.Uniform(), p.Uniform(), p.Uniform()
	p.LoadArg("smooth", p.k)
	p.LoadUni(keep, p.k, 0)
	p.LoadUni(share, p.k, 4)
	m, mass, dot := p.Vec("base"), p.Vec("mass"), p.Vec("dot")
	p.loadLanes(m, planarBase)
	p.Set(mass, p.zero)
	p.Set(dot, p.zero)
	p.startTargets()
	p.startScratch()
	p.LoadArg("w", p.w)
	p.start("q", p.p)
	p.batches(16, func() {
		class := p.NewLabel("class")
		masses, dots := p.Vec("masses"), p.Vec("dots")
		p.Set(masses, p.zero)
		p.Set(dots, p.zero)
		p.Label(class)
		q, t, d := p.Vec("q"), p.Vec("t"), p.Vec("d")
		p.Load(q, p.p, 0)
		p.PrefetchL2(p.p, ahead)
		p.MulAddUni(t, q, keep, share)
		p.LoadUni(w, p.w, 0)
		p.MulUni(t, t, w)
		if p.softmax {
			p.Store(t, p.t, 0)
			p.AddImm(4*lanes, p.t)
		}
		p.Add(masses, t)
		p.Load(d, p.q, 0)
		p.Sub(d, m)
		p.ZeroWhere(d, t, p.zero)
		p.MulAddVec(dots, d, t)
		p.Free(q, t, d)
		p.AddImm(4, p.w)
		p.AddImm(4*lanes, p.q)
		p.AddReg(p.stride, p.p)
		p.AddImm(-1, p.k)
		p.JumpIfImm(p.k, ">", 0, class)
		p.Add(mass, masses)
		p.Add(dot, dots)
		p.Free(masses, dots)
	})
	p.store(mass, "mass")
	p.store(dot, "dot")
	p.Free(m, mass, dot)
	for _, u := range []Uni{keep, share, w} {
		p.FreeUniform(u)
	}
}

// copyFirst copies the first group to scratch.
func (p *planar) copyFirst() {
	p.clearNext()
	p.MovImm(0, p.here)
	p.LoadArg("x", p.from)
	p.LoadArg("scratch", p.to)
	p.eachClass(p.copy)
}

func (p *planar) clearNext() {
	start := p.Const(negInf) // alone, it gives NaN
	p.Set(p.next, start)
	p.FreeConst(start)
}

// startNext sets from and to to the next group, or this one if it is the last.
func (p *planar) startNext() {
	p.clearNext()
	last := p.NewLabel("last")
	p.start("x", p.from)
	p.Mov(p.at, p.to)
	p.AddImm(4*lanes, p.to)
	p.JumpIf(p.to, ">=", p.end, last)
	p.AddImm(4*lanes, p.from)
	p.Label(last)
	p.other(p.to)
	p.LoadArg("scratch", p.q)
	p.AddReg(p.q, p.to)
}

// other sets d to where in scratch the next group is.
func (p *planar) other(d Reg) {
	p.LoadArg("classes", d)
	p.ShiftReg(6, d)
	p.SubReg(p.here, d)
}

// copy copies a class of the next group, or its losers: all lanes, also in the first part.
func (p *planar) copy() {
	p.PrefetchL2(p.from, ahead)
	hi := p.hi
	p.Widen()
	p.ByPart(func() {
		x := p.Vec("x")
		p.Load(x, p.from, 0)
		if p.losers() {
			less := p.Vec("less")
			p.op(opMin, p.next, x, less)
			p.Store(less, p.to, 0)
			p.Free(less)
		} else {
			p.Store(x, p.to, 0)
		}
		p.Max(p.next, x)
		p.Free(x)
	})
	p.hi = hi
	p.AddReg(p.stride, p.from)
	p.AddImm(4*lanes, p.to)
}

// swap makes the next group the one at hand.
func (p *planar) swap() {
	p.other(p.left)
	p.Mov(p.left, p.here)
}

// add adds n classes to sum. The first part copies as many of the next group.
func (p *planar) add(n int, base, round, low, most, sum *Vec) {
	const size = 4 * lanes
	if p.lo == 0 {
		for range n {
			p.copy()
		}
	}
	xs := p.Vecs(n, "x")
	for i, x := range xs {
		p.Load(x, p.q, size*i)
		if p.dots {
			d := p.Vec("d")
			p.op(opSub, x, base, d)
			p.addWeighted(p.dot, d)
			p.Free(d)
		}
		p.AtLeast(x, low)
	}
	ps, ts := p.reduce(p.Asm, xs, round)
	if p.losers() {
		p.addExp(p.Asm, sum, xs, ps, ts)
	} else {
		p.exp(p.Asm, xs, ps, ts)
		less := p.Vecs(n, "less")
		for i, x := range xs {
			if p.softmax {
				p.Store(x, p.q, size*i)
			}
			p.op(opMin, most, x, less[i])
			p.Max(most, x)
		}
		if n == 2 {
			p.Add(less[0], less[1])
		}
		p.Add(sum, less[0])
		p.Free(xs...)
		p.Free(less...)
	}
	p.AddImm(size*n, p.q)
	p.AddImm(-n, p.k)
}

// twoSum adds t to the sums of a part, and the rounding errors to what they lack (Knuth).
func (p *planar) twoSum(t *Vec) {
	high, s, b := p.Vec("high"), p.Vec("s"), p.Vec("b")
	p.loadLanes(high, planarHigh)
	p.op(opAdd, high, t, s)
	p.keepLanes(s, planarHigh)
	p.op(opSub, s, high, b)
	p.Sub(t, b)
	p.op(opSub, s, b, b)
	p.Sub(high, b)
	p.Add(t, high)
	p.loadLanes(b, planarRest)
	p.Add(b, t)
	p.keepLanes(b, planarRest)
	p.Free(high, s, b)
}
