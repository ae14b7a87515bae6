package logits

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A rowReference is what a criterion of a row should give, computed in float64
// by its definition, and what may be lost on the active path.
type rowReference struct {
	ignored       bool
	counts        float64 // for the mean
	loss, tol     float64
	late          float64   // what more may be lost of a loss that comes with the gradient
	grad, gradTol []float64 // of the loss with respect to the row
	wild          bool      // something overflows on the way
}

// margins returns the options of MultiMargin.
func (a *criterion[T, S]) margins() (p int, margin float64) {
	p, margin = max(1, a.p), 1
	if a.margin != nil {
		margin = *a.margin
	}
	return p, margin
}

func rowReferences[T Float](a *criterion[T, Matrix[T]]) []rowReference {
	var refs []rowReference
	for i := range a.x.Rows {
		x := a.x.row(i)
		r := rowReference{counts: 1, grad: make([]float64, len(x)), gradTol: make([]float64, len(x))}
		t := 0
		if a.op != "probs" {
			t = int(a.targets[i])
			if a.op != "multi_margin_loss" {
				r.ignored = t == a.opt.ignored()
			}
		}
		if !r.ignored {
			switch a.op {
			case "cross_entropy":
				refClasses(&r, t, a.opt.LabelSmoothing, a.opt.Weight == nil, wideWeights(a.opt.Weight, len(x)), x)
			case "probs":
				refProbs(&r, a.q.row(i), a.opt.LabelSmoothing, a.opt.Weight == nil, wideWeights(a.opt.Weight, len(x)), x)
			case "nll_loss":
				w := weightOf(a.opt.Weight, t)
				r.counts = w
				r.loss = -w * float64(x[t])
				r.grad[t] = -w
			default:
				p, margin := a.margins()
				r.margins(t, p, margin, weightOf(a.opt.Weight, t), wide(x))
			}
		}
		refs = append(refs, r)
	}
	return refs
}

func wideWeights[T Float](w []T, n int) []float64 {
	if w == nil {
		ones := make([]float64, n)
		fill(ones, 1)
		return ones
	}
	return wide(w)
}

// refErrors bounds the errors of a row's logarithm and of its probabilities.
func refErrors[T Float](p precision, x []T, ref *reference) (log, soft float64) {
	return 3 * logError(p, x, ref), 4*p.unit + p.exp + 2*(p.sum+p.exp) + diffError(p, x, ref)
}

func (r *rowReference) nan() {
	r.loss = math.NaN()
	fill(r.grad, math.NaN())
}

// overflowing reports whether a sum of such terms may overflow.
func overflowing[T Float](size float64) bool {
	return !(size < 1e300) || is32[T]() && !(size < math.MaxFloat32/2)
}

func refClasses[T Float](r *rowReference, t int, smoothing float64, plain bool, w []float64, x []T) {
	ref := refRow(x)
	r.counts = w[t]
	if !ref.regular() {
		r.nan()
		return
	}
	p := precisionOf[T](len(x))
	logTol, softTol := refErrors(p, x, &ref)
	keep, share := 1-smoothing, smoothing/float64(len(x))
	a := keep * w[t]
	r.loss = ref.loss(t)
	r.tol = logTol
	if keep != 1 || !plain {
		r.loss *= a
		r.tol *= a
	}
	var sum, size, weights float64
	for j, w := range w {
		weights += w
		sum += w * ref.loss(j)
		if d := ref.max - float64(x[j]); !math.IsInf(d, 1) {
			size += max(w, 1) * d
		}
	}
	if share > 0 {
		r.loss += share * sum
		r.tol += share * (weights*logTol + size*(p.diff+p.sum+2*p.unit))
		r.wild = overflowing[T](size)
	}
	all := a + share*weights
	if !(ref.soft[t] > 0.5) { // the sum is not looked at without its greatest element
		r.late = all * (p.sum + p.expLow)
	}
	for j, v := range x {
		soft := ref.soft[j]
		r.grad[j] = all*soft - share*w[j]
		distance := ref.max - float64(v)
		if soft == 0 {
			distance = 0
		}
		r.gradTol[j] = all*soft*(softTol+p.diff*distance) + all*p.flush + 3*p.unit*share*w[j]
	}
	rest := ref.others / (1 + ref.others)
	r.gradTol[t] = (a+share*weights)*logTol + 2*p.unit*share*(weights*ref.soft[t]+w[t])
	if float64(x[t]) != ref.max {
		rest = 1 - ref.soft[t]
		r.gradTol[t] += all * ref.soft[t] * (softTol + p.diff*(ref.max-max(float64(x[t]), -1e30)))
	}
	r.grad[t] = -a*rest + share*(weights*ref.soft[t]-w[t])
	r.gradTol[t] += 2 * p.unit * a * rest
}

func refProbs[T Float](r *rowReference, q []T, smoothing float64, plain bool, w []float64, x []T) {
	ref := refRow(x)
	if !ref.regular() {
		r.nan()
		return
	}
	p := precisionOf[T](len(x))
	logTol, softTol := refErrors(p, x, &ref)
	keep, share := 1-smoothing, smoothing/float64(len(x))
	var mass, size float64
	target := make([]float64, len(x))
	for j, v := range q {
		target[j] = (keep*float64(v) + share) * w[j]
		if target[j] == 0 {
			continue
		}
		mass += target[j]
		r.loss += target[j] * ref.loss(j)
		if d := ref.max - float64(x[j]); !math.IsInf(d, 1) {
			size += max(target[j], 1) * d
		}
	}
	r.tol = size*(p.diff+p.sum+3*p.unit) + mass*(logTol+ref.lse0()*p.sum) + float64(len(x))*p.flush
	r.wild = overflowing[T](size) || overflowing[T](mass)
	for j, v := range x {
		distance := ref.max - float64(v)
		if ref.soft[j] == 0 {
			distance = 0
		}
		r.grad[j] = mass*ref.soft[j] - target[j]
		r.gradTol[j] = mass*ref.soft[j]*(softTol+p.diff*distance+p.sum) + mass*p.flush + 4*p.unit*target[j]
	}
}

// lse0 is the log-sum-exp less the maximum.
func (r *reference) lse0() float64 { return math.Log1p(r.others) }

func (r *rowReference) margins(t, p int, margin, w float64, x []float64) {
	w /= float64(len(x))
	var size, slopes, total float64
	var loss, target accumulator
	for j, v := range x {
		z := margin - x[t] + v
		if j == t || z <= 0 {
			continue
		}
		term, slope := z, 1.0
		if p == 2 {
			term, slope = z*z, 2*z
		}
		if z != z {
			slope = z
		}
		loss.add(w * term)
		total += math.Abs(term)
		r.grad[j] = w * slope
		target.add(-w * slope)
		// The difference cancels.
		lost := (math.Abs(margin) + math.Abs(x[t]) + math.Abs(v)) * 0x1p-51
		if p == 2 {
			lost *= 2*z + lost
			r.gradTol[j] = w * lost
			slopes += w * lost
		}
		size += w * (math.Abs(term)*1e-13 + lost)
	}
	r.loss, r.grad[t] = loss.value(), target.value()
	r.tol, r.gradTol[t] = size, slopes+1e-13*math.Abs(r.grad[t])
	r.wild = !(total < 1e300)
	if notFinite(size) {
		r.tol = 0
	}
}

// reduced returns what the reduced loss should be.
func reduced(refs []rowReference, red Reduction) (loss, tol, total float64, wild bool) {
	var size float64
	for _, r := range refs {
		if r.ignored {
			continue
		}
		loss += r.loss
		tol += r.tol
		size += math.Abs(r.loss)
		total += r.counts
		wild = wild || r.wild
	}
	tol += 1e-13 * size
	if red == Mean {
		if total == 0 {
			return math.NaN(), 0, total, wild
		}
		return loss / total, tol / total, total, wild
	}
	return loss, tol, total, wild
}

// fits reports whether got is within tol of want, or as infinite.
func fits(got, want, tol float64) bool {
	if want != want {
		return got != got
	}
	return got == want || math.Abs(got-want) <= tol+1e-13*math.Abs(want)
}

func notFinite[T Float](v T) bool { return v-v != 0 }

// verify runs all forms of a criterion in both layouts on the active path, and
// returns the results.
func verify[T Float](t *testing.T, a criterion[T, Matrix[T]]) []T {
	t.Helper()
	refs := rowReferences(&a)
	rows, cols := a.x.Rows, a.x.Cols
	out := verifyLayout(t, a, refs, cols, func(x []T, gap int) Matrix[T] {
		m := newMatrix[T](rows, cols, gap, 3)
		for i := range rows {
			copy(m.row(i), x[i*cols:])
		}
		return m
	}, func(m Matrix[T]) []T {
		gapsKept(t, m, gapValue)
		return elements(m)
	})
	if a.op == "multi_margin_loss" {
		return out
	}
	b := criterion[T, Planar[T]]{op: a.op, x: planar(a.x), targets: a.targets, opt: a.opt}
	if a.op == "probs" {
		b.q = planar(a.q)
	}
	return append(out, verifyLayout(t, b, refs, cols, func(x []T, _ int) Planar[T] {
		return planar(Dense(rows, cols, x))
	}, func(p Planar[T]) []T {
		all := make([]T, 0, len(p.Data))
		for i := range rows {
			for j := range cols {
				all = append(all, p.Data[p.at(i, j)])
			}
		}
		return all
	})...)
}

// verifyLayout does so in one layout: of makes scores of the elements row by
// row, with a gap, and back is its inverse.
func verifyLayout[T Float, S Scores[T]](t *testing.T, a criterion[T, S], refs []rowReference, cols int, of func(x []T, gap int) S, back func(S) []T) []T {
	t.Helper()
	p := precisionOf[T](cols)
	rows := len(refs)
	name := strings.SplitN(fmt.Sprintf("%s, %T", a.op, a.x), "[", 2)[0]
	want, tol, total, wild := reduced(refs, a.opt.Reduction)
	norm := 1.0
	if a.opt.Reduction == Mean {
		norm = 1 / total
	}
	inputs := func() []T {
		if a.op == "probs" {
			return slices.Concat(back(a.x), back(a.q))
		}
		return slices.Clone(back(a.x))
	}
	before := inputs()
	a.loss = canaries[T](rows)

	late := 0.0
	for _, r := range refs {
		late += r.late * norm
	}
	reducedLoss := func(what string, loss float64, err error, tol float64) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s, %s: %v", name, what, err)
		}
		if !fits(loss, want, 3*tol) && !(wild && notFinite(loss)) {
			t.Errorf("%s, %s: loss %v, want %v, tolerance %.2g", name, what, loss, want, 3*tol)
		}
	}
	// gradient checks what was added to old, which may be nil.
	gradient := func(what string, grad, old []T) {
		t.Helper()
		for i, r := range refs {
			up := upstream(a.opt.Upstream, i) * norm
			for j, got := range grad[i*cols:][:cols] {
				at := T(0)
				if old != nil {
					at = old[i*cols+j]
				}
				if r.ignored || a.op == "nll_loss" && j != int(a.targets[i]) {
					if !sameBits(got, at) {
						t.Errorf("%s, %s: element %d of row %d is %v, want %v", name, what, j, i, got, at)
						return
					}
					continue
				}
				want := r.grad[j] * up
				tol := r.gradTol[j]*math.Abs(up) + float64(len(refs)+8)*0x1p-53*math.Abs(want) // the weights may be added in another order
				if total == 0 && a.opt.Reduction == Mean {
					want = math.NaN()
				}
				if old != nil {
					tol += p.unit * (math.Abs(want) + math.Abs(float64(at)))
					want += float64(at)
				}
				if !near(got, want, tol, p) && !(r.wild && notFinite(got)) {
					t.Errorf("%s, %s: element %d of row %d is %v, want %v, tolerance %.2g", name, what, j, i, got, want, tol)
					return
				}
			}
		}
	}

	loss, err := a.call(reducedForm)
	reducedLoss("reduced", loss, err, tol)
	if _, err := a.call(rowsForm); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for i, r := range refs {
		got := a.loss[i]
		if r.ignored && !sameBits(got, 0) || !near(got, r.loss, r.tol+0x1p-50*math.Abs(r.loss), p) && !(r.wild && notFinite(got)) {
			t.Errorf("%s: loss of row %d is %v, want %v, tolerance %.2g", name, i, got, r.loss, r.tol)
		}
	}
	a.grad = of(canaries[T](rows*cols), 1)
	gradLoss, err := a.call(gradForm)
	reducedLoss("gradient", gradLoss, err, tol+late)
	grad := slices.Clone(back(a.grad))
	gradient("gradient", grad, nil)
	out := slices.Concat([]T{T(loss), T(gradLoss)}, a.loss, grad)
	if rawBytes(inputs()) != rawBytes(before) {
		t.Errorf("%s: an input was changed", name)
	}

	in := a
	in.x = of(before[:rows*cols], 2)
	in.grad = in.x
	again, err := in.call(gradForm)
	reducedLoss("in place", again, err, tol+late)
	if !sameBits(again, gradLoss) {
		t.Errorf("%s: loss %v in place, want %v", name, again, gradLoss)
	}
	for i, v := range back(in.x) {
		if !sameBits(v, grad[i]) {
			t.Errorf("%s: element %d of row %d is %v in place, want %v", name, i%cols, i/cols, v, grad[i])
			break
		}
	}
	if a.op == "multi_margin_loss" {
		return out
	}

	more := a
	more.opt.Accumulate = true
	old := make([]T, rows*cols)
	for i := range old {
		old[i] = T(i%7) - 2.5
	}
	more.grad = of(old, 4)
	again, err = more.call(gradForm)
	reducedLoss("accumulated", again, err, tol+late)
	sums := back(more.grad)
	gradient("accumulated", sums, old)
	return append(append(out, T(again)), sums...)
}

var criteria = []string{"cross_entropy", "probs", "nll_loss", "multi_margin_loss"}

// randomCriterion returns arguments of all kinds.
func randomCriterion[T Float](rng *rand.Rand, op string, rows, cols int) criterion[T, Matrix[T]] {
	a := criterion[T, Matrix[T]]{op: op, x: newMatrix[T](rows, cols, rng.IntN(4), rng.IntN(16)), p: rng.IntN(3)}
	scale := []float64{0.1, 1, 3, 20}[rng.IntN(4)]
	for i := range rows {
		randomRow(rng, a.x.row(i), scale)
		if op == "nll_loss" {
			for j, v := range a.x.row(i) {
				a.x.row(i)[j] = -max(v, -v)
			}
		}
		a.targets = append(a.targets, int64(rng.IntN(cols)))
	}
	if rng.IntN(2) == 0 {
		margin := rng.Float64()*3 - 0.5
		a.margin = &margin
	}
	if rng.IntN(2) == 0 {
		a.opt.Weight = make([]T, cols)
		for i := range a.opt.Weight {
			a.opt.Weight[i] = T(max(0, rng.Float64()*3-0.5))
		}
	}
	if op != "nll_loss" && rng.IntN(2) == 0 {
		a.opt.LabelSmoothing = []float64{1e-3, 0.1, 0.5, 1}[rng.IntN(4)]
	}
	a.opt.Reduction = Reduction(rng.IntN(2))
	switch rng.IntN(3) {
	case 0:
		a.opt.Upstream = make([]T, rows)
		randomRow(rng, a.opt.Upstream, 2)
	case 1:
		a.opt.Upstream = []T{T(rng.NormFloat64())}
	}
	if op == "probs" {
		a.q = newMatrix[T](rows, cols, rng.IntN(4), rng.IntN(16))
		for i := range rows {
			for j := range cols {
				a.q.row(i)[j] = T(max(0, rng.Float64()-0.3))
			}
			if rng.IntN(3) == 0 {
				clear(a.q.row(i))
				a.q.row(i)[rng.IntN(cols)] = 1
			}
		}
		return a
	}
	if op != "multi_margin_loss" && rng.IntN(2) == 0 {
		ignore := []int{0, cols - 1, -1, -100, cols + 7, math.MinInt32}[rng.IntN(6)]
		a.opt.IgnoreIndex = &ignore
		for i := range a.targets {
			if rng.IntN(3) == 0 {
				a.targets[i] = int64(ignore)
				if rng.IntN(2) == 0 {
					a.x.row(i)[rng.IntN(cols)] = nanOf[T](rng.IntN(2))
				}
			}
		}
	}
	return a
}

// acrossPaths runs f, whose results have to be the same on accelerated paths.
func acrossPaths(t *testing.T, f32 func() []float32, f64 func()) {
	t.Helper()
	f64()
	if t.Failed() {
		t.Fatal("in float64")
	}
	before := active
	defer func() { active = before }()
	var want []float32
	for _, k := range paths {
		active = k
		got := f32()
		if t.Failed() {
			t.Fatalf("on path %s", k.name)
		}
		switch {
		case k.name == "generic":
		case want == nil:
			want = got
		default:
			for i, v := range got {
				if !sameBits(v, want[i]) {
					t.Fatalf("result %d is %v on %s, %v on %s", i, v, k.name, want[i], paths[0].name)
				}
			}
		}
	}
}

func TestCriteria(t *testing.T) {
	useWorkers(t, 1)
	shapes := [][2]int{{1, 1}, {3, 2}, {5, 10}, {17, 3}, {70, 7}, {4, 100}, {9, 257}, {2, 2049}, {3, 4100}}
	n := 12
	if lighter() {
		shapes = shapes[:8]
		n = 4
	}
	for _, op := range criteria {
		for _, s := range shapes {
			for seed := range uint64(n) {
				seed = seed*1000 + uint64(s[0]*s[1])
				acrossPaths(t,
					func() []float32 { return verify(t, randomCriterion[float32](newRand(seed), op, s[0], s[1])) },
					func() { verify(t, randomCriterion[float64](newRand(seed), op, s[0], s[1])) })
			}
		}
	}
	for _, op := range criteria { // A row of more blocks than a tile, and of more than a chunk.
		for seed, cols := range []int{17*blockSize + 3, 2*chunkSize + 77} {
			if lighter() && seed > 0 {
				break
			}
			acrossPaths(t, func() []float32 { return verify(t, randomCriterion[float32](newRand(uint64(seed)), op, 2, cols)) }, func() {})
		}
	}
}

// TestCriteriaTiny: confident rows keep the digits of the loss and of the
// gradient at the target.
func TestCriteriaTiny(t *testing.T) {
	t.Run("float64", testCriteriaTiny[float64])
	onPaths(t, testCriteriaTiny[float32])
}

func testCriteriaTiny[T Float](t *testing.T) {
	half, base := 0x1p-24, 1.0
	if !is32[T]() {
		half, base = 0x1p-53, 1e-6
	}
	var worstLoss, worstGrad float64
	for _, cols := range []int{2, 10, 65, 1000, 2049, 5000} {
		for gap := 10.0; gap <= 80; gap += 7.3 {
			for _, pos := range []int{0, cols / 2, cols - 1} {
				x := make([]T, cols)
				randomRow(newRand(uint64(cols)), x, 1)
				away := (gap + 6) * half
				if pos == 0 { // Here x - m is exact.
					for j := range x {
						x[j] = T(j%3) - 1
					}
					away = 0
					gap = math.Floor(gap)
				}
				x[pos] = T(gap)
				ref := refRow(x)
				if ref.argMax != pos {
					continue
				}
				loss, grad := make([]T, 1), make([]T, cols)
				must(t, CrossEntropyRows(loss, Row(x), []int{pos}, nil))
				l, err := CrossEntropyGrad(Row(grad), Row(x), []int{pos}, nil)
				must(t, err)
				want, rest := ref.loss(pos), ref.others/(1+ref.others)
				for _, v := range []float64{float64(loss[0]), l} {
					err := math.Abs(v-want) / want
					worstLoss = max(worstLoss, err/(base*1e-6+away))
					if err > 1e-6*base+away {
						t.Errorf("%d columns, gap %g: loss %v, want %v", cols, gap, v, want)
					}
				}
				e := math.Abs(float64(grad[pos])+rest) / rest
				worstGrad = max(worstGrad, e/(base*2e-6+away))
				if e > 2e-6*base+away {
					t.Errorf("%d columns, gap %g: gradient %v, want %v", cols, gap, grad[pos], -rest)
				}
			}
		}
	}
	t.Logf("largest error, in tolerances: loss %.2g, gradient %.2g", worstLoss, worstGrad)
}

// TestCriteriaDifferences checks the gradients by central differences, with no
// other formula than the losses.
func TestCriteriaDifferences(t *testing.T) {
	useWorkers(t, 1)
	const h = 1e-5
	rounds := 300
	if lighter() {
		rounds = 40
	}
	slope := func(x Matrix[float64], i, j int, f func() float64) float64 {
		v := &x.row(i)[j]
		old := *v
		*v = old + h
		up := f()
		*v = old - h
		down := f()
		*v = old
		return (up - down) / (2 * h)
	}
	check := func(op string, got, want, size float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 2e-8*(1+size)) {
			t.Errorf("%s: gradient %v, by differences %v", op, got, want)
		}
	}
	for _, op := range criteria {
		for seed := range uint64(rounds) {
			rng := newRand(seed)
			a := randomCriterion[float64](rng, op, 1+rng.IntN(4), 1+rng.IntN(6))
			p, margin := a.margins()
			for i := range a.x.Rows {
				randomRow(rng, a.x.row(i), 2)
				for j, v := range a.x.row(i) {
					// No difference across a kink.
					for k := range j {
						for _, s := range []float64{1, -1} {
							if math.Abs(v-a.x.row(i)[k]+s*margin) < 1e-3 {
								v += 4e-3
							}
						}
					}
					a.x.row(i)[j] = v
				}
			}
			if a.op == "multi_margin_loss" && p == 1 && margin < 1e-3 && margin > -1e-3 {
				continue
			}
			a.loss = make([]float64, a.x.Rows)
			objective := func() float64 {
				if len(a.opt.Upstream) <= 1 {
					loss, err := a.call(reducedForm)
					must(t, err)
					return loss * upstream(a.opt.Upstream, 0)
				}
				_, err := a.call(rowsForm)
				must(t, err)
				var sum, total float64
				for i, l := range a.loss {
					sum += l * a.opt.Upstream[i]
					switch {
					case op == "probs" || op == "multi_margin_loss":
						total++
					case int(a.targets[i]) != a.opt.ignored():
						total += weightOf(a.opt.Weight, int(a.targets[i]))
					}
				}
				if a.opt.Reduction == Mean {
					sum /= total
				}
				return sum
			}
			a.grad = newMatrix[float64](a.x.Rows, a.x.Cols, 1, 0)
			if _, err := a.call(gradForm); err != nil {
				t.Fatal(err)
			}
			at := objective()
			if notFinite(at) {
				continue // Nothing counts.
			}
			for i := range a.x.Rows {
				for j := range a.x.Cols {
					check(op, a.grad.row(i)[j], slope(a.x, i, j, objective), math.Abs(at))
				}
			}
		}
	}
	for seed := range uint64(rounds) {
		rng := newRand(seed)
		rows, cols := 1+rng.IntN(3), 1+rng.IntN(5)
		x, y, g := newMatrix[float64](rows, cols, 1, 0), newMatrix[float64](rows, cols, 0, 0), newMatrix[float64](rows, cols, 2, 0)
		for i := range rows {
			randomRow(rng, x.row(i), 2)
			randomRow(rng, y.row(i), 2)
		}
		r, up := Reduction(seed%2), rng.NormFloat64()
		for name, f := range map[string]struct {
			loss func(x, y Matrix[float64], r Reduction) (float64, error)
			grad func(g, x, y Matrix[float64], r Reduction, up float64) (float64, error)
		}{"MSE": {MSE[float64], MSEGrad[float64]}, "L1": {L1[float64], L1Grad[float64]}} {
			loss, err := f.grad(g, x, y, r, up)
			must(t, err)
			for i := range rows {
				for j := range cols {
					check(name, g.row(i)[j], slope(x, i, j, func() float64 {
						l, err := f.loss(x, y, r)
						must(t, err)
						return l * up
					}), loss)
				}
			}
		}
		dy := newMatrix[float64](rows, cols, 0, 0)
		for i := range rows {
			randomRow(rng, dy.row(i), 2)
		}
		for name, f := range map[string]struct {
			of, grad func(dst, x Matrix[float64]) error
		}{
			"Softmax":    {Softmax[float64, Matrix[float64]], func(dx, y Matrix[float64]) error { return SoftmaxGrad(dx, y, dy) }},
			"LogSoftmax": {LogSoftmax[float64, Matrix[float64]], func(dx, y Matrix[float64]) error { return LogSoftmaxGrad(dx, y, dy) }},
		} {
			must(t, f.of(y, x))
			must(t, f.grad(g, y))
			for i := range rows {
				for j := range cols {
					check(name, g.row(i)[j], slope(x, i, j, func() float64 {
						must(t, f.of(y, x))
						var s float64
						for i := range rows {
							for j, v := range y.row(i) {
								s += v * dy.row(i)[j]
							}
						}
						return s
					}), 10)
				}
			}
		}
	}
}

// TestCriteriaWorkers: any number of goroutines gives the same bits.
func TestCriteriaWorkers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(6))
	t.Run("float64", func(t *testing.T) { testCriteriaWorkers[float64](t, false) })
	onPaths(t, func(t *testing.T) { testCriteriaWorkers[float32](t, !lighter() && Path() == Paths()[0]) })
}

func testCriteriaWorkers[T Float](t *testing.T, manyCores bool) {
	both := func(name string, f func() (loss float64, results []T)) {
		t.Helper()
		useWorkers(t, 1)
		loss, results := f()
		SetWorkers(0)
		again, more := f()
		if !sameBits(loss, again) {
			t.Errorf("%s: loss %v with one goroutine, %v with more", name, loss, again)
		}
		for i, v := range more {
			if !sameBits(v, results[i]) {
				t.Errorf("%s: result %d is %v with one goroutine, %v with more", name, i, results[i], v)
				break
			}
		}
	}
	shapes := [][2]int{{300, 2*grain/300 + 1}, {130, 4*grain/130 + 1}, {2, 2*grain + 100}, {1, 2*grain + 1}}
	if lighter() || !is32[T]() || Path() == "generic" {
		shapes = [][2]int{{260, 2*grain/260 + 1}, {1, 2*grain + 1}}
	}
	for _, s := range shapes {
		rows, cols := s[0], s[1]
		a := randomCriterion[T](newRand(uint64(rows)), "cross_entropy", rows, cols)
		a.opt = Options[T]{}
		randomRow(newRand(3), a.x.Data, 3)
		for i := range a.targets {
			a.targets[i] = int64(i * 7919 % cols)
		}
		a.loss, a.grad = make([]T, rows), Dense(rows, cols, make([]T, rows*cols))
		weight := make([]T, cols)
		for i := range weight {
			weight[i] = T(i%5) / 2
		}
		up := make([]T, rows)
		randomRow(newRand(4), up, 1)
		q := newMatrix[T](rows, cols, 0, 0)
		for i := range q.Data {
			q.Data[i] = T(i%9) / 9
		}
		for kind, opt := range []Options[T]{{}, {Weight: weight, LabelSmoothing: 0.1, Upstream: up, Accumulate: true}, {LabelSmoothing: 0.2, Reduction: Sum}} {
			for _, op := range criteria {
				if kind == 2 && op != "cross_entropy" || op == "multi_margin_loss" && kind == 1 {
					continue
				}
				c := a
				c.op, c.opt, c.q = op, opt, q
				if op == "nll_loss" {
					c.opt.LabelSmoothing = 0
				}
				for f := range formCount {
					both(fmt.Sprintf("%s, form %d, options %d, %d x %d", op, f, kind, rows, cols), func() (float64, []T) {
						if f == gradForm {
							fill(c.grad.Data, 1)
						}
						loss, err := c.call(f)
						must(t, err)
						switch f {
						case rowsForm:
							return 0, slices.Clone(c.loss)
						case gradForm:
							return loss, slices.Clone(c.grad.Data)
						}
						return loss, nil
					})
				}
				if op == "multi_margin_loss" || rows < 100 {
					continue
				}
				p := criterion[T, Planar[T]]{op: op, targets: c.targets, opt: c.opt, loss: c.loss}
				p.x, p.q = Planar[T]{2, cols, rows / 2, a.x.Data[:rows*cols]}, Planar[T]{2, cols, rows / 2, q.Data}
				p.grad = Planar[T]{2, cols, rows / 2, c.grad.Data}
				for f := range formCount {
					both(fmt.Sprintf("%s, planar, form %d, options %d, %d x %d", op, f, kind, rows, cols), func() (float64, []T) {
						fill(p.grad.Data, 1)
						loss, err := p.call(f)
						must(t, err)
						return loss, slices.Concat(p.loss, p.grad.Data)
					})
				}
			}
		}
		y := newMatrix[T](rows, cols, 1, 0)
		randomRow(newRand(5), y.Data, 3)
		for name, f := range map[string]func(g, x, y Matrix[T], r Reduction, up T) (float64, error){"MSE": MSEGrad[T], "L1": L1Grad[T]} {
			both(name, func() (float64, []T) {
				loss, err := f(a.grad, a.x, y, Mean, 1)
				must(t, err)
				return loss, slices.Clone(a.grad.Data)
			})
		}
		both("MSE and L1", func() (float64, []T) {
			mse, err := MSE(a.x, y, Mean)
			must(t, err)
			l1, err := L1(a.x, y, Sum)
			must(t, err)
			must(t, MSEEach(a.grad, a.x, y))
			each := slices.Clone(a.grad.Data)
			must(t, L1Each(a.grad, a.x, y))
			return mse, slices.Concat(each, a.grad.Data, []T{T(l1)})
		})
		both("RowCrossEntropy", func() (float64, []T) {
			must(t, RowCrossEntropy(a.loss, q, q))
			return 0, slices.Clone(a.loss)
		})
	}
	if !manyCores {
		return
	}
	// More cores than rows, and more rows than one group.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(80))
	const rows = 67
	x := Dense(rows, grain*80/rows+1, make([]T, rows*(grain*80/rows+1)))
	for i := range x.Data {
		x.Data[i] = T(i%97) / 8
	}
	targets := make([]int32, x.Rows)
	both("many cores", func() (float64, []T) {
		loss := make([]T, x.Rows)
		must(t, CrossEntropyRows(loss, x, targets, nil))
		sum, err := CrossEntropy(x, targets, nil)
		must(t, err)
		return sum, loss
	})
}

func TestCriteriaNoAllocs(t *testing.T) {
	t.Run("float64", testCriteriaNoAllocs[float64])
	onPaths(t, testCriteriaNoAllocs[float32])
}

func testCriteriaNoAllocs[T Float](t *testing.T) {
	if raceBuild() { // A sync.Pool forgets things under the race detector.
		t.Skip("under the race detector")
	}
	useWorkers(t, 1)
	shapes := [][2]int{{64, 10}, {7, 100}, {2, 17*blockSize + 1}}
	if !lighter() {
		shapes = append(shapes, [][2]int{{1, 1}, {40, 3000}, {2, 2*chunkSize + 5}}...)
		shapes = append(shapes, pagedShapes[T]()...)
	}
	for _, s := range shapes {
		rows, cols := s[0], s[1]
		x, y, z := make([]T, rows*cols), make([]T, rows*cols), make([]T, rows*cols)
		randomRow(newRand(14), x, 3)
		fill(z, 0.25)
		loss, targets, weight, up := make([]T, rows), make([]int32, rows), make([]T, cols), make([]T, rows)
		fill(weight, 2)
		m, g, q := Dense(rows, cols, x), Dense(rows, cols, y), Dense(rows, cols, z)
		p, pg, pq := Planar[T]{1, cols, rows, x}, Planar[T]{1, cols, rows, y}, Planar[T]{1, cols, rows, z}
		name := fmt.Sprintf(" of %d x %d", rows, cols)
		none := func(what string, f func() error) {
			t.Helper()
			noAllocs(t, what+name, func() { must(t, f()) })
		}
		last := func(_ float64, err error) error { return err }
		for i, opt := range []*Options[T]{nil, {Weight: weight, LabelSmoothing: 0.1, Upstream: up, Accumulate: true}} {
			plain := opt
			if i > 0 {
				name += " with options"
				o := *opt
				o.LabelSmoothing = 0
				plain = &o
			}
			none("CrossEntropy", func() error { return last(CrossEntropy(m, targets, opt)) })
			none("CrossEntropyGrad", func() error { return last(CrossEntropyGrad(g, m, targets, opt)) })
			none("CrossEntropyRows", func() error { return CrossEntropyRows(loss, m, targets, opt) })
			none("CrossEntropy, planar", func() error { return last(CrossEntropy(p, targets, opt)) })
			none("CrossEntropyGrad, planar", func() error { return last(CrossEntropyGrad(pg, p, targets, opt)) })
			none("CrossEntropyRows, planar", func() error { return CrossEntropyRows(loss, p, targets, opt) })
			none("CrossEntropyProbs", func() error { return last(CrossEntropyProbs(m, q, opt)) })
			none("CrossEntropyProbsGrad", func() error { return last(CrossEntropyProbsGrad(g, m, q, opt)) })
			none("CrossEntropyProbsRows", func() error { return CrossEntropyProbsRows(loss, m, q, opt) })
			none("CrossEntropyProbs, planar", func() error { return last(CrossEntropyProbs(p, pq, opt)) })
			none("CrossEntropyProbsGrad, planar", func() error { return last(CrossEntropyProbsGrad(pg, p, pq, opt)) })
			none("CrossEntropyProbsRows, planar", func() error { return CrossEntropyProbsRows(loss, p, pq, opt) })
			none("NLL", func() error { return last(NLL(m, targets, plain)) })
			none("NLLGrad", func() error { return last(NLLGrad(g, m, targets, plain)) })
			none("NLLRows", func() error { return NLLRows(loss, m, targets, plain) })
			none("NLL, planar", func() error { return last(NLL(p, targets, plain)) })
			none("NLLGrad, planar", func() error { return last(NLLGrad(pg, p, targets, plain)) })
			none("NLLRows, planar", func() error { return NLLRows(loss, p, targets, plain) })
		}
		margins := &MarginOptions[T]{P: 2, Weight: weight, Upstream: up}
		none("MultiMargin", func() error { return last(MultiMargin(m, targets, margins)) })
		none("MultiMarginGrad", func() error { return last(MultiMarginGrad(g, m, targets, margins)) })
		none("MultiMarginRows", func() error { return MultiMarginRows(loss, m, targets, margins) })
		none("MSE", func() error { return last(MSE(m, q, Mean)) })
		none("MSEGrad", func() error { return last(MSEGrad(g, m, q, Mean, 1)) })
		none("MSEEach", func() error { return MSEEach(g, m, q) })
		none("L1", func() error { return last(L1(m, q, Mean)) })
		none("L1Grad", func() error { return last(L1Grad(g, m, q, Mean, 1)) })
		none("L1Each", func() error { return L1Each(g, m, q) })
		none("OneHot", func() error { return OneHot(g, targets) })
		none("RowCrossEntropy", func() error { return RowCrossEntropy(loss, q, q) })
	}
}

// criterionErrors checks that every form of a criterion returns an error that
// says all of what, and writes nothing.
func criterionErrors[T Float, S Scores[T]](t *testing.T, a criterion[T, S], written func() []T, what ...string) {
	t.Helper()
	for f := range formCount {
		_, err := a.call(f)
		name := [...]string{"", "Rows", "Grad"}[f]
		fn := map[string]string{"cross_entropy": "CrossEntropy", "probs": "CrossEntropyProbs", "nll_loss": "NLL", "multi_margin_loss": "MultiMargin"}[a.op]
		wantError(t, err, append(what, fn+name+": ")...)
	}
	unwritten(t, a.op+" loss", a.loss)
	unwritten(t, a.op+" gradient", written())
}

func TestCriteriaErrors(t *testing.T) {
	t.Run("float64", testCriteriaErrors[float64])
	onPaths(t, testCriteriaErrors[float32])
}

func testCriteriaErrors[T Float](t *testing.T) {
	nan, inf := T(math.NaN()), T(math.Inf(1))
	at := func(i int) *int { return &i }
	const rows, cols = 6, 4
	base := func(op string) criterion[T, Matrix[T]] {
		x, q := make([]T, rows*cols), make([]T, rows*cols)
		randomRow(newRand(1), x, 1)
		fill(q, 0.25)
		return criterion[T, Matrix[T]]{op: op, x: Dense(rows, cols, x), q: Dense(rows, cols, q),
			grad: Dense(rows, cols, canaries[T](rows*cols)), loss: canaries[T](rows), targets: []int64{0, 1, 2, 3, 0, 1}}
	}
	for _, op := range criteria {
		test := func(what string, change func(a *criterion[T, Matrix[T]]), names ...string) {
			t.Helper()
			a := base(op)
			change(&a)
			written := a.grad.Data
			t.Run(op+"/"+what, func(t *testing.T) { criterionErrors(t, a, func() []T { return written }, names...) })

			b := criterion[T, Planar[T]]{op: op, grad: Planar[T]{2, cols, 3, a.grad.Data}, loss: a.loss, targets: a.targets, opt: a.opt}
			if op == "multi_margin_loss" || a.x.Rows != rows || a.x.Stride != cols || a.q.Rows != rows || a.q.Cols != cols || len(a.x.Data) < rows*cols {
				return
			}
			b.x, b.q = Planar[T]{2, cols, 3, a.x.Data}, Planar[T]{2, cols, 3, a.q.Data}
			t.Run(op+"/planar/"+what, func(t *testing.T) { criterionErrors(t, b, func() []T { return written }, names...) })
		}
		type args = criterion[T, Matrix[T]]
		test("short weight", func(a *args) { a.opt.Weight = make([]T, cols-1) }, "len(Weight) is 3", "4 classes")
		test("long weight", func(a *args) { a.opt.Weight = make([]T, cols+1) }, "len(Weight) is 5", "4 classes")
		test("no weight", func(a *args) { a.opt.Weight = []T{} }, "len(Weight) is 0", "4 classes")
		test("negative weight", func(a *args) { a.opt.Weight = []T{1, 0, -0.5, 1} }, "Weight[2] is -0.5", "at least 0")
		test("NaN weight", func(a *args) { a.opt.Weight = []T{1, 0, 1, nan} }, "Weight[3] is NaN", "at least 0")
		test("weight of -Inf", func(a *args) { a.opt.Weight = []T{-inf, 0, 1, 1} }, "Weight[0] is -Inf")
		test("unknown reduction", func(a *args) { a.opt.Reduction = 2 }, "Reduction is 2", "Mean or Sum")
		test("negative reduction", func(a *args) { a.opt.Reduction = -1 }, "Reduction is -1", "Mean or Sum")
		test("long upstream", func(a *args) { a.opt.Upstream = make([]T, rows+1) }, "len(Upstream) is 7", "6 rows")
		test("short upstream", func(a *args) { a.opt.Upstream = make([]T, 2) }, "len(Upstream) is 2", "6 rows")
		test("no upstream", func(a *args) { a.opt.Upstream = []T{} }, "len(Upstream) is 0", "6 rows")
		test("short data", func(a *args) { a.x.Data = a.x.Data[:rows*cols-1] }, "len(x.Data) is 23")
		test("stride", func(a *args) { a.x.Stride = 3 }, "x.Stride is 3")
		test("negative size", func(a *args) { a.x.Rows = -1 }, "x is -1 x 4")
		if op != "multi_margin_loss" {
			for _, e := range []float64{-0.1, 1.0000001, math.NaN(), math.Inf(1)} {
				test(fmt.Sprint("smoothing ", e), func(a *args) { a.opt.LabelSmoothing = e }, "LabelSmoothing is "+fmt.Sprint(e))
			}
		}
		if op == "nll_loss" {
			test("smoothing", func(a *args) { a.opt.LabelSmoothing = 0.5 }, "LabelSmoothing is 0.5", "want 0")
		}
		if op == "probs" {
			test("wide probabilities", func(a *args) { a.q = Dense(rows, cols+1, make([]T, rows*(cols+1))) }, "q is 6 x 5", "6 x 4")
			test("few probabilities", func(a *args) { a.q = Dense(rows-1, cols, a.q.Data) }, "q is 5 x 4", "6 x 4")
			test("short probabilities", func(a *args) { a.q.Data = a.q.Data[:rows*cols-1]; a.x.Data = append(a.x.Data, 0) }, "len(q.Data) is 23")
			test("ignored index", func(a *args) { a.opt.IgnoreIndex = at(0) }, "IgnoreIndex is 0")
			continue
		}
		test("few targets", func(a *args) { a.targets = a.targets[:5] }, "len(targets) is 5", "6 rows")
		test("many targets", func(a *args) { a.targets = append(a.targets, 0) }, "len(targets) is 7", "6 rows")
		test("high target", func(a *args) { a.targets[4] = cols }, "targets[4] is 4", "[0, 4)")
		test("huge target", func(a *args) { a.targets[4] = 1<<32 + 1 }, "targets[4] is 4294967297", "[0, 4)")
		test("negative target", func(a *args) { a.targets[1] = -1 }, "targets[1] is -1", "[0, 4)")
		if op == "multi_margin_loss" {
			test("ignored target", func(a *args) { a.targets[1] = -100 }, "targets[1] is -100", "[0, 4)")
			for _, p := range []int{-1, 3} {
				test(fmt.Sprint("P ", p), func(a *args) { a.p = p }, fmt.Sprintf("P is %d", p))
			}
			continue
		}
		test("-100 is not ignored", func(a *args) { a.targets[1] = -100; a.opt.IgnoreIndex = at(-1) }, "targets[1] is -100", "[0, 4) or -1")
		test("-100 is not ignored", func(a *args) { a.targets[1] = -100; a.opt.IgnoreIndex = at(0) }, "targets[1] is -100", "[0, 4) or 0")
	}

	// What only one form has.
	for _, op := range criteria {
		refuse := func(what string, f form, change func(a *criterion[T, Matrix[T]]), names ...string) {
			t.Helper()
			a := base(op)
			change(&a)
			before := rawBytes(slices.Clone(a.x.Data))
			_, err := a.call(f)
			if err == nil {
				t.Errorf("%s: no error for %s", op, what)
				return
			}
			wantError(t, err, names...)
			if rawBytes(a.x.Data) != before {
				t.Errorf("%s, %s: x was changed", op, what)
			}
		}
		type args = criterion[T, Matrix[T]]
		refuse("few losses", rowsForm, func(a *args) { a.loss = a.loss[:5] }, "len(loss) is 5")
		refuse("no losses", rowsForm, func(a *args) { a.loss = nil }, "len(loss) is 0")
		refuse("losses in x", rowsForm, func(a *args) { a.loss = a.x.Data[3:][:rows] }, "loss overlaps x")
		refuse("another shape", gradForm, func(a *args) { a.grad = Dense(cols, rows, a.grad.Data) }, "grad is 4 x 6", "6 x 4")
		refuse("a short gradient", gradForm, func(a *args) { a.grad.Data = a.grad.Data[:23] }, "len(grad.Data) is 23")
		refuse("a shifted gradient", gradForm, func(a *args) {
			a.x.Data = append(a.x.Data, 0)
			a.grad = Dense(rows, cols, a.x.Data[1:])
		}, "grad overlaps x")
		refuse("another stride", gradForm, func(a *args) {
			a.x.Data = make([]T, rows*(cols+1))
			a.grad = Matrix[T]{rows, cols, a.x.Data, cols + 1}
		}, "grad overlaps x")
		if op != "multi_margin_loss" {
			refuse("adding to x", gradForm, func(a *args) { a.grad = a.x; a.opt.Accumulate = true }, "Accumulate")
		}
		if op == "probs" {
			refuse("losses in q", rowsForm, func(a *args) { a.loss = a.q.Data[1:][:rows] }, "loss overlaps q")
			refuse("a gradient in q", gradForm, func(a *args) { a.grad = a.q }, "grad overlaps q")
		}
	}

	x, y, dst := Dense(2, 3, make([]T, 6)), Dense(2, 3, make([]T, 6)), Dense(2, 3, canaries[T](6))
	for name, f := range map[string]func(dst, x, y Matrix[T], r Reduction) error{
		"MSE: ":     func(_, x, y Matrix[T], r Reduction) error { _, err := MSE(x, y, r); return err },
		"MSEGrad: ": func(dst, x, y Matrix[T], r Reduction) error { _, err := MSEGrad(dst, x, y, r, 1); return err },
		"MSEEach: ": func(dst, x, y Matrix[T], _ Reduction) error { return MSEEach(dst, x, y) },
		"L1: ":      func(_, x, y Matrix[T], r Reduction) error { _, err := L1(x, y, r); return err },
		"L1Grad: ":  func(dst, x, y Matrix[T], r Reduction) error { _, err := L1Grad(dst, x, y, r, 1); return err },
		"L1Each: ":  func(dst, x, y Matrix[T], _ Reduction) error { return L1Each(dst, x, y) },
	} {
		wantError(t, f(dst, x, Dense(3, 2, y.Data), Mean), name, "y is 3 x 2", "2 x 3")
		wantError(t, f(dst, x, Dense(2, 3, y.Data[:5]), Mean), name, "len(y.Data) is 5")
		wantError(t, f(dst, Dense(2, 3, x.Data[:5]), y, Mean), name, "len(x.Data) is 5")
		if name == "MSE: " || name == "L1: " || strings.HasSuffix(name, "Grad: ") {
			wantError(t, f(dst, x, y, 7), name, "Reduction is 7")
		}
		if name == "MSE: " || name == "L1: " {
			continue
		}
		wantError(t, f(Dense(3, 2, dst.Data), x, y, Mean), name, " is 3 x 2", "2 x 3")
		wantError(t, f(Row(dst.Data[:5]), Row(x.Data), Row(y.Data), Mean), name, " is 1 x 5", "1 x 6")
		wantError(t, f(Row(x.Data[1:]), Row(x.Data[:5]), Row(y.Data[:5]), Mean), name, "overlaps x")
		wantError(t, f(Row(y.Data[1:]), Row(x.Data[:5]), Row(y.Data[:5]), Mean), name, "overlaps y")
	}
	unwritten(t, "result", dst.Data)
	wantError(t, OneHot(dst, []int{0, 3}), "OneHot: ", "targets[1] is 3", "[0, 3)")
	wantError(t, OneHot(dst, []int32{-1, 0}), "OneHot: ", "targets[0] is -1", "[0, 3)")
	wantError(t, OneHot(dst, []int64{0}), "OneHot: ", "len(targets) is 1", "2 rows")
	wantError(t, OneHot(Dense(2, 4, dst.Data), []int64{0, 1}), "OneHot: ", "len(dst.Data) is 6")
	loss := canaries[T](2)
	wantError(t, RowCrossEntropy(loss[:1], x, y), "RowCrossEntropy: ", "len(dst) is 1")
	wantError(t, RowCrossEntropy(loss, x, Dense(2, 2, y.Data)), "RowCrossEntropy: ", "q is 2 x 2", "2 x 3 of p")
	wantError(t, RowCrossEntropy(loss, x, Dense(2, 3, y.Data[:5])), "RowCrossEntropy: ", "len(q.Data) is 5")
	wantError(t, RowCrossEntropy(x.Data[:2], x, y), "RowCrossEntropy: ", "dst overlaps p")
	wantError(t, RowCrossEntropy(y.Data[:2], x, y), "RowCrossEntropy: ", "dst overlaps q")
	unwritten(t, "result", dst.Data)
	unwritten(t, "result", loss)
}

// TestCriteriaSpecial has the special values of the conformance data's README.
func TestCriteriaSpecial(t *testing.T) {
	t.Run("float64", testCriteriaSpecial[float64])
	onPaths(t, testCriteriaSpecial[float32])
}

func testCriteriaSpecial[T Float](t *testing.T) {
	nan, inf := T(math.NaN()), T(math.Inf(1))
	at := func(i int) *int { return &i }
	any := T(-77) // Whatever is finite.
	for _, cols := range []int{3, 70, 2100} {
		pad := func(v ...T) []T { // Masked classes between the first and the last two.
			x := make([]T, cols)
			fill(x, -inf)
			x[0], x[cols-2], x[cols-1] = v[0], v[1], v[2]
			return x
		}
		full := func(v T) []T { x := make([]T, cols); fill(x, v); return x }
		zero := make([]T, cols)
		fill(zero, 1)
		zero[cols-2] = 0
		last := int64(cols - 1)
		for name, c := range map[string]struct {
			x      []T
			target int64
			opt    Options[T]
			loss   T // of the row
			grad   T // at the target
			mean   T
		}{
			"masked target":              {pad(1, -inf, 2), last - 1, Options[T]{}, inf, -1, inf},
			"masked others":              {pad(-inf, -inf, 2), last, Options[T]{}, 0, 0, 0},
			"smoothing and a mask":       {pad(1, -inf, 2), last, Options[T]{LabelSmoothing: 0.1}, inf, any, inf},
			"masked target of weight 0":  {pad(1, -inf, 2), last - 1, Options[T]{Weight: zero}, nan, nan, nan},
			"only -Inf":                  {full(-inf), 0, Options[T]{}, nan, nan, nan},
			"+Inf":                       {pad(1, inf, 2), 0, Options[T]{}, nan, nan, nan},
			"+Inf at the target":         {pad(1, inf, 2), last - 1, Options[T]{}, nan, nan, nan},
			"NaN":                        {pad(1, nan, 2), 0, Options[T]{}, nan, nan, nan},
			"NaN at the target":          {pad(1, 2, nan), last, Options[T]{LabelSmoothing: 0.5}, nan, nan, nan},
			"ignored NaN":                {pad(1, nan, 2), -100, Options[T]{}, 0, 0, nan},
			"ignored -Inf":               {full(-inf), -1, Options[T]{IgnoreIndex: at(-1), LabelSmoothing: 0.5, Weight: zero}, 0, 0, nan},
			"ignored class":              {pad(1, nan, 2), 0, Options[T]{IgnoreIndex: at(0)}, 0, 0, nan},
			"weight 0":                   {full(1), last - 1, Options[T]{Weight: zero}, 0, nan, nan},
			"weight 0 and smoothing":     {full(1), last - 1, Options[T]{Weight: zero, LabelSmoothing: 0.5}, any, nan, nan},
			"all ones":                   {full(1), 0, Options[T]{}, any, any, any},
			"smoothing of 1":             {full(1), 0, Options[T]{LabelSmoothing: 1}, any, any, any},
			"smoothing of 1, all masked": {full(-inf), 0, Options[T]{LabelSmoothing: 1}, nan, nan, nan},
		} {
			name = fmt.Sprintf("%s, %d columns", name, cols)
			fits := func(got, want T) bool {
				if want == any {
					return !notFinite(got)
				}
				return sameBits(got, want) || got == 0 && want == 0
			}
			loss, grad := canaries[T](1), canaries[T](cols)
			must(t, CrossEntropyRows(loss, Row(c.x), []int64{c.target}, &c.opt))
			if !fits(loss[0], c.loss) {
				t.Errorf("%s: loss %v, want %v", name, loss[0], c.loss)
			}
			mean, err := CrossEntropy(Row(c.x), []int64{c.target}, &c.opt)
			must(t, err)
			again, err := CrossEntropyGrad(Row(grad), Row(c.x), []int64{c.target}, &c.opt)
			must(t, err)
			if !fits(T(mean), c.mean) || !fits(T(again), c.mean) {
				t.Errorf("%s: mean %v, %v, want %v", name, mean, again, c.mean)
			}
			opt := c.opt
			opt.Reduction = Sum
			sum, err := CrossEntropy(Row(c.x), []int64{c.target}, &opt)
			must(t, err)
			if !fits(T(sum), c.loss) {
				t.Errorf("%s: sum %v, want %v", name, sum, c.loss)
			}
			if c.loss != c.loss || c.grad == 0 && c.mean != c.mean { // NaN, or 0, in every entry
				for j, g := range grad {
					if !fits(g, c.grad) {
						t.Errorf("%s: gradient %d is %v, want %v", name, j, g, c.grad)
						break
					}
				}
			} else if g := grad[c.target]; !fits(g, c.grad) {
				t.Errorf("%s: gradient at the target is %v, want %v", name, g, c.grad)
			}
			if math.IsInf(float64(c.loss), 1) && slices.ContainsFunc(grad, notFinite) {
				t.Errorf("%s: gradient %v, want it finite", name, grad)
			}

			// The same distribution as probabilities.
			if c.target < 0 || c.opt.IgnoreIndex != nil {
				continue
			}
			q := make([]T, cols)
			q[c.target] = 1
			must(t, CrossEntropyProbsRows(loss, Row(c.x), Row(q), &c.opt))
			if want := c.loss; !fits(loss[0], want) && c.opt.Weight == nil {
				t.Errorf("%s: loss of probabilities %v, want %v", name, loss[0], want)
			}
		}
		// 0 log 0 = 0, and a row that is not one has no loss.
		loss := make([]T, 1)
		q := make([]T, cols)
		must(t, CrossEntropyProbsRows(loss, Row(pad(1, -inf, 2)), Row(q), nil))
		if loss[0] != 0 {
			t.Errorf("loss against no probabilities is %v", loss[0])
		}
		for _, x := range [][]T{full(-inf), pad(1, nan, 2), pad(1, inf, 2)} {
			must(t, CrossEntropyProbsRows(loss, Row(x), Row(q), nil))
			if loss[0] == loss[0] {
				t.Errorf("loss of row %v, against no probabilities, is %v, want NaN", x[:3], loss[0])
			}
		}
	}

	// No rows.
	for _, op := range criteria {
		for _, r := range []Reduction{Mean, Sum} {
			a := criterion[T, Matrix[T]]{op: op, x: Dense(0, 3, []T{}), q: Dense(0, 3, []T{}), grad: Dense(0, 3, []T{}), opt: Options[T]{Reduction: r}}
			for f := range formCount {
				loss, err := a.call(f)
				if want := []T{T(math.NaN()), 0}[r]; err != nil || f != rowsForm && !sameBits(T(loss), want) {
					t.Errorf("%s of no rows: %v, %v, want %v", op, loss, err, want)
				}
			}
			for _, shape := range [][3]int{{0, 3, 4}, {2, 3, 0}, {0, 0, 0}} {
				if op == "multi_margin_loss" {
					break
				}
				p := Planar[T]{shape[0], shape[1], shape[2], canaries[T](9)}
				b := criterion[T, Planar[T]]{op: op, x: p, q: Planar[T]{shape[0], shape[1], shape[2], nil}, grad: p, opt: Options[T]{Reduction: r}}
				for f := range formCount {
					loss, err := b.call(f)
					if want := []T{T(math.NaN()), 0}[r]; err != nil || f != rowsForm && !sameBits(T(loss), want) {
						t.Errorf("%s of %v: %v, %v, want %v", op, shape, loss, err, want)
					}
				}
				unwritten(t, op+" of no rows", p.Data)
			}
		}
	}
	for _, f := range []func(x, y Matrix[T], r Reduction) (float64, error){MSE[T], L1[T]} {
		mean, err := f(Dense(0, 3, []T{}), Dense(0, 3, []T{}), Mean)
		must(t, err)
		sum, err := f(Dense(3, 0, []T{}), Dense(3, 0, []T{}), Sum)
		must(t, err)
		if mean == mean || sum != 0 {
			t.Errorf("MSE or L1 of no elements: mean %v, sum %v", mean, sum)
		}
	}

	// Multi-margin: a tie has no gradient, and the target's own class no loss.
	grad := make([]T, 3)
	l, err := MultiMarginGrad(Row(grad), Row([]T{1, 0, 0.5}), []int{0}, nil)
	must(t, err)
	if l != 0.5/3 || grad[1] != 0 || grad[2] != T(1)/3 || grad[0] != -T(1)/3 {
		t.Errorf("multi-margin with a tie: %v, %v", l, grad)
	}
	for p := range 3 {
		l, err := MultiMarginGrad(Row(grad), Row([]T{1, nan, 0.5}), []int{0}, &MarginOptions[T]{P: p})
		must(t, err)
		if l == l || grad[1] == grad[1] || grad[0] == grad[0] {
			t.Errorf("multi-margin of NaN, P %d: %v, %v, want NaN", p, l, grad)
		}
	}
}

// TestCriteriaElements: MSE and L1 against their definitions.
func TestCriteriaElements(t *testing.T) {
	t.Run("float64", testCriteriaElements[float64])
	onPaths(t, testCriteriaElements[float32])
}

func testCriteriaElements[T Float](t *testing.T) {
	for _, s := range [][2]int{{1, 1}, {3, 5}, {2, 64}, {5, 67}, {2, 4097}, {1, 4500}} {
		rng := newRand(uint64(s[1]))
		x, y := newMatrix[T](s[0], s[1], 3, 1), newMatrix[T](s[0], s[1], 0, 2)
		for i := range s[0] {
			randomRow(rng, x.row(i), 2)
			randomRow(rng, y.row(i), 2)
			y.row(i)[0] = x.row(i)[0]
		}
		verifyElements(t, x, y, Reduction(s[0]%2), 0.75)
	}
	big := 0.9 * greatest[T]()
	root := T(math.Sqrt(float64(greatest[T]()))) * 0.9
	for _, n := range []int{2, 16, 70, 3000} {
		// The sum of these overflows, that of float64 does not for float32.
		x, y := make([]T, n), make([]T, n)
		fill(x, big)
		l, err := L1(Row(x), Row(y), Mean)
		must(t, err)
		if is32[T]() && !(math.Abs(l-float64(big)) <= 1e-6*float64(big)) {
			t.Errorf("L1 of %d x %v is %v", n, big, l)
		}
		fill(x, root)
		m, err := MSE(Row(x), Row(y), Mean)
		must(t, err)
		want := float64(root) * float64(root)
		if is32[T]() && !(math.Abs(m-want) <= 1e-6*want) {
			t.Errorf("MSE of %d x %v is %v, want %v", n, root, m, want)
		}
		g := make([]T, n)
		m, err = MSEGrad(Row(g), Row(x), Row(y), Mean, 1)
		must(t, err)
		if is32[T]() && !(math.Abs(m-want) <= 1e-6*want) {
			t.Errorf("MSE of %d x %v with its gradient is %v, want %v", n, root, m, want)
		}
		if d := float64(g[n-1])/(2*float64(root)/float64(n)) - 1; !(math.Abs(d) < 1e-6) {
			t.Errorf("gradient of %d x %v is %v", n, root, g[n-1])
		}
	}
	nan, inf := T(math.NaN()), T(math.Inf(1))
	x := []T{1, 2, nan, inf, -inf, 3, inf}
	y := []T{1, 3, 0, 1, 1, inf, inf}
	dst := make([]T, len(x))
	must(t, L1Each(Row(dst), Row(x), Row(y)))
	if want := []T{0, 1, nan, inf, inf, inf, nan}; !slices.EqualFunc(dst, want, sameBits) {
		t.Errorf("L1Each is %v, want %v", dst, want)
	}
	must(t, MSEEach(Row(dst), Row(x), Row(y)))
	if want := []T{0, 1, nan, inf, inf, inf, nan}; !slices.EqualFunc(dst, want, sameBits) {
		t.Errorf("MSEEach is %v, want %v", dst, want)
	}
	_, err := L1Grad(Row(dst), Row(x[:6]), Row(y[:6]), Sum, 1)
	wantError(t, err, "grad is 1 x 7")
	_, err = L1Grad(Row(dst), Row(x), Row(y), Sum, 1)
	must(t, err)
	if dst[0] != 0 || dst[1] != -1 || dst[2] == 1 || dst[2] == -1 || dst[3] != 1 || dst[4] != -1 || dst[5] != -1 {
		t.Errorf("L1Grad is %v", dst)
	}
	_, err = MSEGrad(Row(dst), Row(x), Row(y), Sum, 0.5)
	must(t, err)
	if want := []T{0, -1, nan, inf, -inf, -inf, nan}; !slices.EqualFunc(dst, want, sameBits) {
		t.Errorf("MSEGrad is %v, want %v", dst, want)
	}
}

// verifyElements runs all forms of MSE and L1 and returns the results.
func verifyElements[T Float](t *testing.T, x, y Matrix[T], r Reduction, up T) []T {
	t.Helper()
	rows, cols := x.Rows, x.Cols
	p := precisionOf[T](cols)
	x0, y0 := slices.Clone(x.Data), slices.Clone(y.Data)
	var out []T
	for _, square := range []bool{true, false} {
		name, loss, grad, each := "L1", L1[T], L1Grad[T], L1Each[T]
		if square {
			name, loss, grad, each = "MSE", MSE[T], MSEGrad[T], MSEEach[T]
		}
		got, err := loss(x, y, r)
		must(t, err)
		g, e := newMatrix[T](rows, cols, 2, 1), newMatrix[T](rows, cols, 1, 5)
		again, err := grad(g, x, y, r, up)
		must(t, err)
		must(t, each(e, x, y))
		gapsKept(t, g, gapValue)
		gapsKept(t, e, gapValue)
		if rawBytes(x.Data) != rawBytes(x0) || rawBytes(y.Data) != rawBytes(y0) {
			t.Fatalf("%s: an input was changed", name)
		}
		n := float64(rows) * float64(cols)
		scale := float64(up)
		if r == Mean {
			scale /= n
		}
		var sum accumulator
		wild := false
		for i := range rows {
			for j, v := range x.row(i) {
				d := float64(v) - float64(y.row(i)[j])
				l, slope := math.Abs(d), 0.0
				switch {
				case square:
					l, slope = d*d, 2*d
				case d > 0:
					slope = 1
				case d < 0:
					slope = -1
				}
				odd := is32[T]() && l-l == 0 && math.Max(math.Abs(d)*2, l) >= math.MaxFloat32
				wild = wild || odd
				sum.add(l)
				if got := e.row(i)[j]; !near(got, l, 3*p.unit*l, p) && !odd {
					t.Errorf("%s: loss %d of row %d is %v, want %v", name, j, i, got, l)
				}
				got := g.row(i)[j]
				if want := slope * scale; !near(got, want, 4*p.unit*math.Abs(want)+p.least*math.Abs(slope)*2, p) && !(odd && notFinite(got)) && !(d != d && (got == 0 || got != got)) {
					t.Errorf("%s: gradient %d of row %d is %v, want %v", name, j, i, got, want)
				}
			}
		}
		want := sum.value()
		tol := want*(4*p.unit+p.sum) + n*0x1p-126
		if r == Mean {
			want, tol = want/n, tol/n
		}
		if !is32[T]() {
			tol = want * (n + 40) * 0x1p-53
		}
		for _, v := range []float64{got, again} {
			if !fits(v, want, tol) && !(wild && math.IsInf(v, 1)) && !(math.IsInf(want, 0) && notFinite(v)) {
				t.Errorf("%s: %v, want %v, tolerance %.2g", name, v, want, tol)
			}
		}
		for i, m := range []Matrix[T]{x, y} {
			ops := []Matrix[T]{x, y}
			m.Data = slices.Clone(m.Data)
			ops[i] = m
			inPlace, err := grad(m, ops[0], ops[1], r, up)
			must(t, err)
			gapsKept(t, m, gapValue)
			if !sameBits(inPlace, again) || !slices.EqualFunc(elements(m), elements(g), sameBits) {
				t.Errorf("%s in place, %d: %v, %v, want %v, %v", name, i, inPlace, elements(m), again, elements(g))
			}
		}
		out = append(out, T(got), T(again))
		out = append(out, elements(g)...)
		out = append(out, elements(e)...)
	}
	return out
}

func TestRowCrossEntropy(t *testing.T) {
	t.Run("float64", testRowCrossEntropy[float64])
	onPaths(t, testRowCrossEntropy[float32])
}

func testRowCrossEntropy[T Float](t *testing.T) {
	inf := T(math.Inf(1))
	p := Dense(6, 3, []T{0.5, 0.5, 0, 0, 0, 0, 0.25, 0.25, 0.5, 0, 1, 0, 1, 0, 0, 1, 2, 1})
	q := Dense(6, 3, []T{0.5, 0.25, 0, 0, 0.5, 0.5, 0.5, 0.5, 0, 0.5, 0.5, 0, 1, 0, 0, 0.5, 0.5, 0.5})
	dst := canaries[T](6)
	must(t, RowCrossEntropy(dst, p, q))
	want := []T{T(1.5 * math.Ln2), 0, inf, T(math.Ln2), 0, T(4 * math.Ln2)}
	for i, v := range dst {
		if d := math.Abs(float64(v - want[i])); !(d <= roundings[T](2)*float64(want[i])) && v != want[i] {
			t.Errorf("row %d: H(p, q) = %v, want %v", i, v, want[i])
		}
	}
	must(t, RowCrossEntropy(dst[:0], Dense(0, 3, []T{}), Dense(0, 3, []T{})))
	must(t, RowCrossEntropy(dst, Dense(6, 0, []T{}), Dense(6, 0, []T{})))
	if slices.ContainsFunc(dst, func(v T) bool { return v != 0 }) {
		t.Errorf("H of empty rows: %v", dst)
	}
}

func TestOneHot(t *testing.T) {
	t.Run("float64", testOneHot[float64])
	onPaths(t, testOneHot[float32])
}

func testOneHot[T Float](t *testing.T) {
	dst := newMatrix[T](5, 4, 2, 1)
	must(t, OneHot(dst, []int32{2, 1, 1, 3, 2}))
	gapsKept(t, dst, gapValue)
	if want := []T{0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0}; !slices.Equal(elements(dst), want) {
		t.Errorf("one-hot of 2, 1, 1, 3, 2 is %v", elements(dst))
	}
	must(t, OneHot(Dense(0, 4, []T{}), []int{}))
}

// The criteria take every type of targets, and named element types.
func TestCriteriaTypes(t *testing.T) {
	type logit float32
	x := Dense(2, 3, []logit{1, 2, 3, 3, 1, 0})
	want, err := CrossEntropy(x, []int{2, 1}, nil)
	must(t, err)
	type class int32
	a, err := CrossEntropy(x, []class{2, 1}, &Options[logit]{Weight: []logit{1, 1, 1}})
	must(t, err)
	b, err := CrossEntropy(Planar[logit]{1, 3, 2, []logit{1, 3, 2, 1, 3, 0}}, []int64{2, 1}, nil)
	must(t, err)
	c, err := CrossEntropy(Dense(2, 3, []float64{1, 2, 3, 3, 1, 0}), []int32{2, 1}, nil)
	must(t, err)
	exact := (math.Log(math.Exp(-2)+math.Exp(-1)+1) + math.Log(1+math.Exp(-2)+math.Exp(-3)) + 2) / 2
	for _, v := range []float64{want, a, b, c} {
		if math.Abs(v-exact) > 1e-6 {
			t.Errorf("loss %v, want %v", v, exact)
		}
	}
}

func TestStreamSizeOf(t *testing.T) {
	for l3, want := range map[int]int{-1: 1 << 20, 0: 1 << 20, 32 << 20: 1 << 20, 96 << 20: 3 << 20, 480 << 20: 1 << 22} {
		if got := streamSizeOf(l3); got != want {
			t.Errorf("%d bytes of L3: from %d elements, want %d", l3, got, want)
		}
	}
	for l3, want := range map[int]int{-1: 1 << 19, 0: 1 << 19, 32 << 20: 1 << 20, 480 << 20: 1 << 19} {
		if got := trailSizeOf(l3); got != want {
			t.Errorf("%d bytes of L3: trails from %d elements, want %d", l3, got, want)
		}
	}
}

// TestLogSoftmaxLarge has log-softmaxes of rows shorter than a block that are written past
// the caches. They have the bits of those of single rows.
func TestLogSoftmaxLarge(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		const cols = shiftCols + 3
		rows := 5*streamSize/2/cols + 1
		x, got, want := newMatrix[float32](rows, cols, 0, 3), newMatrix[float32](rows, cols, 2, 1), make([]float32, cols)
		randomRow(newRand(14), x.Data, 3)
		to, from := view[float32]{rows, cols, 1, got.Data, got.Stride}, view[float32]{rows, cols, 1, x.Data, x.Stride}
		if !shiftStreams(&to, &from) {
			t.Fatalf("%d x %d is not large", rows, cols)
		}
		must(t, LogSoftmax(got, x))
		for i := range rows {
			must(t, LogSoftmax(Row(want), Row(x.row(i))))
			for j, v := range got.row(i) {
				if !sameBits(v, want[j]) {
					t.Fatalf("row %d, column %d: %v, by itself %v", i, j, v, want[j])
				}
			}
		}
	})
}

// TestLargeResults has results that are written past the caches, aligned and not.
// They have the bits of those of single rows, which are not large.
func TestLargeResults(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		rng := newRand(12)
		rows, cols := 33, 2*cacheSize+5
		if rows*cols < 2*streamSize || cols >= streamSize {
			t.Fatalf("%d x %d is not large, or a row is", rows, cols)
		}
		layouts := []struct{ gap, off int }{{0, 0}, {3, 1}, {0, 1}, {11, 0}}
		if lighter() {
			layouts = layouts[:2]
		}
		for _, layout := range layouts {
			x, y := newMatrix[float32](rows, cols, 0, 3), newMatrix[float32](rows, cols, 0, 0)
			randomRow(rng, x.Data, 0.1)
			randomRow(rng, y.Data, 3)
			for fn, f := range map[string]func(grad, x, y Matrix[float32]) (float64, error){
				"MSEGrad":        func(grad, x, y Matrix[float32]) (float64, error) { return MSEGrad(grad, x, y, Sum, 0.7) },
				"L1Grad":         func(grad, x, y Matrix[float32]) (float64, error) { return L1Grad(grad, x, y, Sum, 0.7) },
				"Exp":            func(grad, x, y Matrix[float32]) (float64, error) { return 0, Exp(grad, x) },
				"LogSoftmax":     func(grad, x, y Matrix[float32]) (float64, error) { return 0, LogSoftmax(grad, x) },
				"SoftmaxGrad":    func(grad, x, y Matrix[float32]) (float64, error) { return 0, SoftmaxGrad(grad, x, y) },
				"LogSoftmaxGrad": func(grad, x, y Matrix[float32]) (float64, error) { return 0, LogSoftmaxGrad(grad, x, y) },
			} {
				got, want := newMatrix[float32](rows, cols, layout.gap, layout.off), newMatrix[float32](rows, cols, layout.gap, 0)
				total, err := f(got, x, y)
				must(t, err)
				var wantTotal float64
				for i := range rows {
					l, err := f(Row(want.row(i)), Row(x.row(i)), Row(y.row(i)))
					must(t, err)
					wantTotal += l
				}
				if !slices.EqualFunc(got.Data, want.Data, sameBits) {
					t.Errorf("%s: %s, %d elements between rows, %d into a cache line, is not that of the rows", Path(), fn, layout.gap, layout.off)
				}
				if math.Abs(total-wantTotal) > 1e-6*wantTotal {
					t.Errorf("%s: %s returns %v, want %v", Path(), fn, total, wantTotal)
				}
			}
		}
	})
}

// TestFarAboveBase checks gradients whose factor is no normal number, as most of the sum
// is far above the elements that a base is chosen from.
func TestFarAboveBase(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		x, grad := newMatrix[float32](1, 300, 0, 0), newMatrix[float32](1, 300, 0, 0)
		clear(x.Data)
		x.Data[5], x.Data[200] = 58.5, 58
		up := float32(1e-14)
		_, err := CrossEntropyGrad(grad, x, []int{1}, &Options[float32]{Upstream: []float32{up}})
		must(t, err)
		ref := refRow(x.Data)
		for _, j := range []int{5, 200} {
			if want := ref.soft[j] * float64(up); math.Abs(float64(grad.Data[j])-want) > 4e-7*want {
				t.Errorf("%s: element %d is %v, want %v", Path(), j, grad.Data[j], want)
			}
		}
	})
}
