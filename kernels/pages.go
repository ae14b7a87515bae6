package main

// pageSize is the least number of bytes in a page of memory.
const pageSize = 4096

var pagesKernel = kernel{
	name: "pages",
	doc:  `It asks for a cache line of each of the n pages from x on, which need not exist.`,
	args: []arg{{"x", "*float32"}, {"n", "int"}},
	body: func(a *Asm) {
		p, n := a.Arg("x"), a.Arg("n")
		page, done := a.NewLabel("page"), a.NewLabel("done")
		a.JumpIfImm(n, "<=", 0, done)
		a.Label(page)
		a.PrefetchL2(p, 0)
		a.AddImm(pageSize, p)
		a.AddImm(-1, n)
		a.JumpIfImm(n, ">", 0, page)
		a.Label(done)
		a.Ret()
	},
}
