package logits

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// What all public functions return for the inputs below, hashed: the same on
// AVX2, AVX-512 and NEON; and that of portable code for float32 and float64,
// the same on every architecture. A change here is a change of results, which
// needs a reason; the failing test prints the new value.
const (
	acceleratedDigest = "67ebd537fc7224819c5c15bdecb1a3b113c39739ee521ce08de225a550107bc0"
	portableDigest    = "471ab2c4bf787f96767363f9f2036bc6ab0a7a738a3a8fa930f6d5c8c8c838d8"
)

// digestKinds fill a row from integers, so that the inputs depend on no
// function of mathematics.
var digestKinds = []func(rng *rand.Rand, x []float64){
	integers(1<<24, 0x1p-21),
	integers(1<<24, 0x1p-24),
	integers(1<<24, 0x1p-15),
	integers(3, 1),
	func(rng *rand.Rand, x []float64) { // masked
		integers(1<<22, 0x1p-18)(rng, x)
		for i := range x {
			if rng.Uint32()%3 == 0 {
				x[i] = math.Inf(-1)
			}
		}
	},
	func(rng *rand.Rand, x []float64) { // confident
		integers(1<<22, 0x1p-20)(rng, x)
		x[rng.Uint32()%uint32(len(x))] = 45.25
	},
	func(rng *rand.Rand, x []float64) { // zeros and subnormals of float32
		for i := range x {
			x[i] = float64(math.Float32frombits(rng.Uint32() & 0x80000fff))
		}
		x[0] = math.Copysign(0, -1)
	},
	func(rng *rand.Rand, x []float64) { // bits of numbers up to 2^65
		for i := range x {
			x[i] = float64(math.Float32frombits(rng.Uint32() &^ (1 << 29)))
		}
	},
	func(rng *rand.Rand, x []float64) { // one special value
		integers(1<<22, 0x1p-18)(rng, x)
		special := []float64{math.NaN(), math.Inf(1), -math.MaxFloat32, math.MaxFloat32}
		x[rng.Uint32()%uint32(len(x))] = special[rng.Uint32()%4]
	},
	func(_ *rand.Rand, x []float64) { fill(x, math.Inf(-1)) },
}

// criteriaOutputs runs the criteria on x, with gradients, and on its rows as the
// positions of a planar array.
func criteriaOutputs[T Float](t testing.TB, x Matrix[T]) []output {
	t.Helper()
	var out []output
	run := func(name string, dst []T, f func() (float64, error)) {
		t.Helper()
		loss, err := f()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, newOutput(name, []float64{loss}), newOutput(name, dst))
	}
	n, c := x.Rows, x.Cols
	targets, weight := make([]int, n), make([]T, c)
	for i := range targets {
		targets[i] = 5 * i % c
	}
	for i := range weight {
		weight[i] = T(i%5) / 4
	}
	ignore := targets[n-1]
	weighted := Options[T]{Weight: weight, IgnoreIndex: &ignore, Reduction: Sum}
	smooth := weighted
	smooth.LabelSmoothing = 0.25
	probs := smooth
	probs.IgnoreIndex = nil

	to, logs, q := newMatrix[T](n, c, 3, 2), newMatrix[T](n, c, 0, 3), newMatrix[T](n, c, 1, 1)
	must(t, LogSoftmax[T](logs, x))
	for i := range n {
		for j := range c {
			q.row(i)[j] = T((3*i+j)%4) / 8
		}
	}
	planar, dst := planesOf(x, 1, n), planesOf(x, 1, n)
	losses := make([]T, n)
	for _, opt := range []*Options[T]{nil, &weighted, &smooth} {
		run("CrossEntropyGrad", to.Data, func() (float64, error) { return CrossEntropyGrad(to, x, targets, opt) })
		run("CrossEntropyGrad of positions", dst.Data, func() (float64, error) { return CrossEntropyGrad(dst, planar, targets, opt) })
		run("CrossEntropyRows", losses, func() (float64, error) { return 0, CrossEntropyRows(losses, x, targets, opt) })
	}
	run("CrossEntropyProbsGrad", to.Data, func() (float64, error) { return CrossEntropyProbsGrad[T](to, x, q, &probs) })
	run("NLLGrad", to.Data, func() (float64, error) { return NLLGrad(to, logs, targets, &weighted) })
	run("Softmax of positions", dst.Data, func() (float64, error) { return 0, Softmax[T](dst, planar) })
	run("LogSoftmax of positions", dst.Data, func() (float64, error) { return 0, LogSoftmax[T](dst, planar) })
	for _, r := range []Reduction{Mean, Sum} {
		run("MSEGrad", to.Data, func() (float64, error) { return MSEGrad(to, x, logs, r, 0.75) })
		run("L1Grad", to.Data, func() (float64, error) { return L1Grad(to, x, logs, r, 0.75) })
	}
	for p := 1; p <= 2; p++ {
		run("MultiMarginGrad", to.Data, func() (float64, error) {
			return MultiMarginGrad(to, x, targets, &MarginOptions[T]{P: p, Weight: weight})
		})
	}
	run("RowCrossEntropy", losses, func() (float64, error) { return 0, RowCrossEntropy(losses, q, q) })
	return out
}

// integers fills x with multiples of unit below n units.
func integers(n uint64, unit float64) func(rng *rand.Rand, x []float64) {
	return func(rng *rand.Rand, x []float64) {
		for i := range x {
			x[i] = float64(int64(rng.Uint64()%(2*n-1))-int64(n-1)) * unit
		}
	}
}

// digest returns the hash of the results for T.
func digest[T Float](t testing.TB) []byte {
	rng := newRand(6)
	h := sha256.New()
	cols := slices.Concat(sizes, []int{chunkSize + blockSize + 65})
	for _, c := range cols {
		rows := len(digestKinds)
		switch {
		case c > chunkSize:
			rows = 2
		case c < 10:
			rows *= 3 // more than a tile
		}
		x := newMatrix[T](rows, c, 3, 1)
		buf := make([]float64, c)
		for i := range rows {
			digestKinds[i%len(digestKinds)](rng, buf)
			for j, v := range buf {
				if !is32[T]() && i%2 == 1 {
					v *= 1 + 0x1p-40 // no float32
				}
				x.row(i)[j] = T(v)
			}
		}
		for _, o := range append(publicOutputs(t, x), criteriaOutputs(t, x)...) {
			b := make([]byte, 0, 8*len(o.v))
			for _, v := range o.v {
				bits := math.Float64bits(v)
				if v != v {
					bits = math.Float64bits(math.NaN())
				}
				b = binary.LittleEndian.AppendUint64(b, bits)
			}
			h.Write(b)
		}
	}
	return h.Sum(nil)
}

func TestDigest(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		sum, want := digest[float32](t), acceleratedDigest
		if Path() == "generic" {
			both := sha256.Sum256(append(sum, digest[float64](t)...))
			sum, want = both[:], portableDigest
		}
		if got := hex.EncodeToString(sum); got != want {
			t.Errorf("the digest of path %s is %s, want %s", Path(), got, want)
		}
	})
}
