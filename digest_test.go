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
	acceleratedDigest = "e7f78e42fcc2bc6ed6aa5ac9b4c8a8a8dfd98d9d2c00b74d082beffc9b0af886"
	portableDigest    = "fbcd6cc086fbaee67c88eed10bdc2330c55720342d8b84904766cbcdfff15237"
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
		for _, o := range publicOutputs(t, x) {
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
