package logits

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// grain is the least number of elements that is worth a goroutine of its own:
// some 50 microseconds of the loss, against 20 to wake a goroutine.
const grain = 1 << 18

var maxWorkers atomic.Int64

// SetWorkers caps the number of goroutines that a call may use at n, and by
// GOMAXPROCS in any case. With n = 1 every call stays on its caller's
// goroutine and allocates nothing; n <= 0, as at start-up, means no cap of its
// own. Small inputs are never split. The results do not depend on it, bit for bit.
func SetWorkers(n int) { maxWorkers.Store(int64(max(n, 0))) }

// workers returns how many goroutines should share n elements.
func workers(n int) int {
	if n < 2*grain {
		return 1
	}
	return capped(n / grain)
}

func capped(w int) int {
	if limit := int(maxWorkers.Load()); limit > 0 {
		w = min(w, limit)
	}
	return min(w, runtime.GOMAXPROCS(0))
}

// partsEach is the number of parts for each goroutine: one that is late, as it is by 100
// microseconds on a virtual machine that has to wake a core, then does fewer.
const partsEach = 8

// spread calls f for contiguous parts of [0, n) on w goroutines, of which the caller's
// is one. Each takes the next part when it has done one.
func spread(w, n int, f func(lo, hi int)) {
	w = min(w, n)
	parts := min(n, partsEach*w)
	var taken atomic.Int64
	work := func() {
		for i := int(taken.Add(1)) - 1; i < parts; i = int(taken.Add(1)) - 1 {
			f(i*n/parts, (i+1)*n/parts)
		}
	}
	var wg sync.WaitGroup
	for range w - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
}

// spreadTotal returns f(0) + f(1) + ... + f(n-1), computed by w goroutines and
// added up in that order.
func spreadTotal(w, n int, f func(i int) float64) float64 {
	return spreadParts(w, n, func(lo, hi int, parts []float64) {
		for i := lo; i < hi; i++ {
			parts[i] = f(i)
		}
	})
}

// spreadParts is spreadTotal for an f that fills in parts[lo:hi].
func spreadParts(w, n int, f func(lo, hi int, parts []float64)) float64 {
	parts := make([]float64, n)
	spread(w, n, func(lo, hi int) { f(lo, hi, parts) })
	var total float64
	for _, p := range parts {
		total += p
	}
	return total
}

// spreadRows calls f for parts of the rows of x and their results. These go
// through a copy, so that a small dst need not be on the heap.
func spreadRows[T Float, U any](w int, k *kernels[T], dst []U, x Matrix[T], f func(*kernels[T], []U, *Matrix[T])) {
	out := make([]U, len(dst))
	spread(w, x.Rows, func(lo, hi int) {
		part := x.slice(lo, hi)
		f(k, out[lo:hi], &part)
	})
	copy(dst, out)
}

// chunks returns the number of chunks of a row.
func chunks(cols int) int { return (cols + chunkSize - 1) / chunkSize }

// cacheParts returns the number of parts of a row that a cache holds.
func cacheParts(cols int) int { return (cols + cacheSize - 1) / cacheSize }

// spreadChunks calls f for the chunks [off, off+n) of a row of cols elements,
// chunk c among w goroutines.
func spreadChunks(w, cols int, f func(c, off, n int)) {
	spread(w, chunks(cols), func(lo, hi int) {
		for c := lo; c < hi; c++ {
			f(c, c*chunkSize, min(chunkSize, cols-c*chunkSize))
		}
	})
}
