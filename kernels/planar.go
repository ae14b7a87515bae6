package main

import "math"

// The planar kernels walk over n positions, a multiple of 16, as many at once
// as a register has lanes; the classes of a position are stride elements apart.
// A group of positions is copied to scratch, classes*16 elements, while its
// maximum is found: its lines would push each other out of the cache when the
// stride is a power of two.

var (
	planarSumExpKernel = kernel{
		name: "planarSumExp",
		doc: `For each of n positions: max is the greatest x of its classes; sum + low the sum of
e^(x - max), but for terms of 1; and ones their number. 64 classes are added up
pair by pair, their sums with the rounding errors kept in low.`,
		args: []arg{{"max", "*float32"}, {"sum", "*float32"}, {"low", "*float32"}, {"ones", "*float32"},
			{"x", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) { newPlanar(a, false, exp5).write() },
	}
	planarSoftmaxKernel = kernel{
		name: "planarSoftmax",
		doc: `It is planarSumExp and sets dst to e^(x - max) divided by the whole sum and times
scale, which each position has one of.`,
		args: []arg{{"dst", "*float32"}, {"scale", "*float32"}, {"max", "*float32"}, {"sum", "*float32"}, {"low", "*float32"}, {"ones", "*float32"},
			{"x", "*float32"}, {"scratch", "*float32"}, {"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) { newPlanar(a, true, exp6).write() },
	}
	planarShiftKernel = kernel{
		name: "planarShift",
		doc:  `dst is (x - max) - log, max and log being those of the position.`,
		args: []arg{{"dst", "*float32"}, {"x", "*float32"}, {"max", "*float32"}, {"log", "*float32"},
			{"n", "int"}, {"classes", "int"}, {"stride", "int"}},
		body: func(a *Asm) {
			w := newPlanarWalk(a)
			q := a.Reg()
			w.groups(func() {
				m, l := w.load("max"), w.load("log")
				w.start("dst", q)
				w.classes("x", func() {
					x := a.Vec("x")
					a.Load(x, w.p, 0)
					a.Sub(x, m)
					a.Sub(x, l)
					a.Store(x, q, 0)
					a.Free(x)
					a.AddReg(w.stride, q)
				})
				a.Free(m, l)
			})
		},
	}
)

// A planarWalk is a position in an array, and in those that have one element a
// position.
type planarWalk struct {
	*Asm
	at, end, stride Reg // in bytes
	p, c            Reg
}

func newPlanarWalk(a *Asm) *planarWalk {
	a.Narrow()
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
	w.AddImm(4*w.isa.width(), w.at)
	w.JumpIf(w.at, "<", w.end, group)
	w.Ret()
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
func (w *planarWalk) classes(name string, body func()) {
	class := w.NewLabel("class")
	w.start(name, w.p)
	w.LoadArg("classes", w.c)
	w.Label(class)
	body()
	w.AddReg(w.stride, w.p)
	w.AddImm(-1, w.c)
	w.JumpIfImm(w.c, ">", 0, class)
}

// A planar writes one of the first two kernels.
type planar struct {
	*planarWalk
	softmax bool
	exp     expMinus
	zero    Uni
	q, k    Reg // in scratch; classes left of 64
}

func newPlanar(a *Asm, softmax bool, poly []float32) *planar {
	return &planar{newPlanarWalk(a), softmax, a.newExpMinus(poly), a.Const(0), a.Reg(), a.Reg()}
}

func (p *planar) write() {
	p.groups(func() {
		m := p.copyMax()
		high, low, ones := p.Vec("high"), p.Vec("low"), p.Vec("ones")
		for _, v := range []*Vec{high, low, ones} {
			p.Set(v, p.zero)
		}
		p.LoadArg("scratch", p.q)
		p.LoadArg("classes", p.c)
		some, short, pairs, last, done := p.NewLabel("some"), p.NewLabel("short"), p.NewLabel("pairs"), p.NewLabel("last"), p.NewLabel("done")
		p.Label(some)
		p.Mov(p.c, p.k)
		p.JumpIfImm(p.k, "<=", 64, short)
		p.MovImm(64, p.k)
		p.Label(short)
		p.SubReg(p.k, p.c)
		sum := p.Vec("sum")
		p.Set(sum, p.zero)
		p.JumpIfImm(p.k, "<", 2, last)
		p.Label(pairs)
		p.add(2, m, sum, ones)
		p.JumpIfImm(p.k, ">=", 2, pairs)
		p.Label(last)
		p.JumpIfImm(p.k, "==", 0, done)
		p.add(1, m, sum, ones)
		p.Label(done)
		p.twoSum(high, low, sum)
		p.Free(sum)
		p.JumpIfImm(p.c, ">", 0, some)
		p.store(high, "sum")
		p.store(low, "low")
		p.store(ones, "ones")
		if p.softmax {
			p.Add(high, ones)
			p.Add(high, low)
			f := p.load("scale")
			p.each(opDiv, f, high, f)
			p.LoadArg("scratch", p.q)
			p.classes("dst", func() {
				e := p.Vec("e")
				p.Load(e, p.q, 0)
				p.Mul(e, f)
				p.Store(e, p.p, 0)
				p.Free(e)
				p.AddImm(4*p.isa.width(), p.q)
			})
			p.Free(f)
		}
		p.Free(m, high, low, ones)
	})
}

// copyMax copies the group to scratch and returns the maxima of its positions.
func (p *planar) copyMax() *Vec {
	start := p.Const(bits(-math.MaxFloat32))
	m := p.Vec("m")
	p.Set(m, start)
	p.FreeConst(start)
	p.LoadArg("scratch", p.q)
	p.classes("x", func() {
		x := p.Vec("x")
		p.Load(x, p.p, 0)
		p.Store(x, p.q, 0)
		p.Max(m, x)
		p.Free(x)
		p.AddImm(4*p.isa.width(), p.q)
	})
	p.store(m, "max")
	return m
}

// add adds n classes to sum and ones.
func (p *planar) add(n int, m, sum, ones *Vec) {
	size := 4 * p.isa.width()
	d := p.Vecs(n, "d")
	for i, d := range d {
		p.Load(d, p.q, size*i)
		p.Sub(d, m)
	}
	e := p.exp.of(p.Asm, d)
	for i, e := range e {
		if p.softmax {
			p.Store(e, p.q, size*i)
		}
		one := d[i]
		p.EqValue(one, e, p.exp.one)
		p.Sub(e, one)
		p.Add(ones, one)
	}
	if n == 2 {
		p.Add(e[0], e[1])
	}
	p.Add(sum, e[0])
	p.Free(d...)
	p.Free(e...)
	p.AddImm(size*n, p.q)
	p.AddImm(-n, p.k)
}

// twoSum adds t to high and the rounding error to low (Knuth).
func (p *planar) twoSum(high, low, t *Vec) {
	s, b := p.Vec("s"), p.Vec("b")
	p.each(opAdd, high, t, s)
	p.each(opSub, s, high, b)
	p.Sub(t, b)
	p.each(opSub, s, b, b)
	p.Sub(high, b)
	p.Add(t, high)
	p.Add(low, t)
	p.Copy(high, s)
	p.Free(s, b)
}
