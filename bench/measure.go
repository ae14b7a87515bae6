package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed26845165/logits"
)

// A contender is one implementation of a kernel, on one workspace.
type contender struct {
	name string
	// run makes calls calls with rows rows each, and times them.
	run func(rows, calls int) (time.Duration, error)
	// whole contenders are always given all rows. A slow one of the others
	// works on some rows at a time of a matrix that would take it too long.
	whole bool
	// apart contenders have data of their own, and leave the others' out of the
	// caches: who comes next has an untimed turn first.
	apart bool
}

// goContender calls f, on the rows of w in turns if it is not given all.
func goContender(name string, w *workspace, f func(w *workspace) error) contender {
	next := 0
	return contender{name: name, run: func(rows, calls int) (time.Duration, error) {
		start := time.Now()
		for range calls {
			if rows == w.rows {
				if err := f(w); err != nil {
					return 0, err
				}
				continue
			}
			if next+rows > w.rows {
				next = 0
			}
			part := w.slice(next, next+rows)
			next += rows
			if err := f(&part); err != nil {
				return 0, err
			}
		}
		return time.Since(start), nil
	}}
}

// pathContender is the package on one of its paths.
func pathContender(k kernel, w *workspace, path string) contender {
	c := goContender(path, w, k.run)
	run := c.run
	c.run = func(rows, calls int) (time.Duration, error) {
		if err := logits.SetPath(path); err != nil {
			return 0, err
		}
		return run(rows, calls)
	}
	return c
}

func naiveContender(k kernel, w *workspace) contender {
	return goContender("naive", w, func(w *workspace) error {
		k.naive(w)
		return nil
	})
}

// A sample holds the nanoseconds per element of some rounds, sorted.
type sample []float64

// quantile interpolates between the two nearest rounds.
func (s sample) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 == len(s) {
		return s[i]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

func (s sample) median() float64 { return s.quantile(0.5) }

// spread is the distance of the quartiles relative to the median.
func (s sample) spread() float64 { return (s.quantile(0.75) - s.quantile(0.25)) / s.median() }

// measure lets the contenders take turns, in an order drawn anew for each
// round, so that a change of clock or a noisy neighbour meets them all alike.
// Each of them gets the given time in all.
func measure(s shape, contenders []contender, total time.Duration, rounds int, rng *rand.Rand) ([]sample, error) {
	type work struct{ rows, calls int }
	turns := make([]work, len(contenders))
	for i, c := range contenders {
		var err error
		if turns[i].rows, turns[i].calls, err = calibrate(s, c, total/time.Duration(rounds)); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	samples := make([]sample, len(contenders))
	cold := false
	for range rounds {
		for _, i := range rng.Perm(len(contenders)) {
			t, c := turns[i], contenders[i]
			if cold && !c.apart {
				if _, err := c.run(t.rows, 1); err != nil {
					return nil, fmt.Errorf("%s: %w", c.name, err)
				}
			}
			cold = c.apart
			d, err := c.run(t.rows, t.calls)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			samples[i] = append(samples[i], float64(d.Nanoseconds())/float64(t.calls*t.rows*s.cols))
		}
	}
	for _, s := range samples {
		slices.Sort(s)
	}
	return samples, nil
}

// calibrate returns how many rows and calls fill a turn of about the given time.
func calibrate(s shape, c contender, turn time.Duration) (rows, calls int, err error) {
	rows = s.rows
	if !c.whole {
		rows = s.someRows(1 << 16 / s.cols)
	}
	// The first call warms up.
	if _, err = c.run(rows, 1); err != nil {
		return 0, 0, err
	}
	d, err := c.run(rows, 1)
	if err != nil {
		return 0, 0, err
	}
	if rows < s.rows {
		perRow := max(1, float64(d)/float64(rows))
		if perRow*float64(s.rows) > 4*float64(turn) {
			return s.someRows(int(math.Ceil(float64(turn) / perRow))), 1, nil
		}
		rows, d = s.rows, time.Duration(perRow*float64(s.rows))
	}
	for calls = 1; d < turn/8; calls *= 4 {
		if d, err = c.run(rows, 4*calls); err != nil {
			return 0, 0, err
		}
	}
	return rows, max(1, int(float64(calls)*float64(turn)/float64(max(d, 1)))), nil
}

// agree compares a contender's results with those of the plain loop.
func agree(k kernel, s shape, got, want []float32) error {
	if len(got) != len(want) {
		return fmt.Errorf("%s: %d results, want %d", k.name, len(got), len(want))
	}
	for i, g := range got {
		if d := math.Abs(float64(g) - float64(want[i])); !(d <= k.tolerance(want[i], s)) {
			return fmt.Errorf("%s: result %d is %v, want %v", k.name, i, g, want[i])
		}
	}
	return nil
}
