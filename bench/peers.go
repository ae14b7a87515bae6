package main

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/seed26845165/logits"
)

// A peer is somebody else's implementation of some of the kernels, to be
// compared with and measured beside one of our paths. Helper programs do
// nothing between two calls; still, what runs next finds the caches cold, so a
// round that has peers in it should give ours an untimed turn after each.
type peer interface {
	name() string // with its build, such as "PyTorch AVX2"
	path() string // the path of ours that is most like it
	has(k kernel) bool

	// load hands it the data. It may keep w, or a copy.
	load(w *workspace) error

	// result appends what the kernel makes of the data at a shape.
	result(dst []float32, k kernel, s shape) ([]float32, error)

	// contender is always given all rows, since what a peer allocates for
	// its result belongs to its time.
	contender(k kernel, s shape) contender

	close()
}

// compare fails if a peer's results on the first rows of w are too far from ours
// for them to be the same function.
func compare(p peer, k kernel, w *workspace) error {
	part := w.slice(0, w.someRows(1<<22/w.cols))
	if err := logits.SetPath(p.path()); err != nil {
		return err
	}
	if err := k.run(&part); err != nil {
		return err
	}
	ours := k.results(nil, &part)
	theirs, err := p.result(nil, k, part.shape)
	if err != nil {
		return err
	}
	if err := agree(k, part.shape, theirs, ours); err != nil {
		return fmt.Errorf("%s differs from us: %w", p.name(), err)
	}
	return nil
}

//go:embed peers
var helpers embed.FS

// startPeers starts the peers that are installed, those with several builds
// once for each of our paths, and loads them with the data of w. A note says
// what runs, or what to install so that it would. stop is never nil. Helper
// programs take over the affinity of the calling thread.
func startPeers(paths []string, w *workspace, huge bool) (peers []peer, notes []string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "logits-bench")
	if err != nil {
		return nil, nil, func() {}, err
	}
	stop = func() {
		for _, p := range peers {
			p.close()
		}
		os.RemoveAll(dir)
	}
	if err := os.CopyFS(dir, helpers); err != nil {
		return nil, nil, stop, err
	}
	store := &dataStore{dir: dir}
	// All of them first, since some take seconds to be ready.
	var started []*helper
	for _, l := range libraries {
		hs, err := l.start(store, paths, huge)
		started = append(started, hs...)
		if err != nil {
			notes = append(notes, fmt.Sprintf("%s left out: %v", l.name, err))
		}
	}
	for _, h := range started {
		peers = append(peers, h) // To be stopped even if it is not ready.
	}
	var ready []peer
	for _, h := range started {
		if err := h.ready(); err != nil {
			notes = append(notes, fmt.Sprintf("%s left out: %v", h.name(), err))
			h.close()
			continue
		}
		ready = append(ready, h)
		notes = append(notes, fmt.Sprintf("%s %s, beside our path %s", h.name(), h.version, h.ours))
	}
	for _, g := range goPeers(paths) {
		ready = append(ready, g)
		notes = append(notes, fmt.Sprintf("%s %s, beside our path %s", g.name(), g.version, g.ours))
	}
	peers = ready
	return peers, notes, stop, errors.Join(loadPeers(peers, w), store.clear())
}

// loadPeers hands new data to all peers.
func loadPeers(peers []peer, w *workspace) error {
	for _, p := range peers {
		if err := p.load(w); err != nil {
			return err
		}
	}
	return nil
}

// A dataStore keeps the data for helper programs in files.
type dataStore struct {
	dir   string
	saved *workspace
}

func (d *dataStore) file(name string) string { return filepath.Join(d.dir, "data-"+name) }

// save writes the data, unless it is what was written last.
func (d *dataStore) save(w *workspace) error {
	if d.saved == w {
		return nil
	}
	targets := make([]int64, len(w.targets))
	for i, t := range w.targets {
		targets[i] = int64(t)
	}
	d.saved = w
	return errors.Join(
		os.WriteFile(d.file("x"), rawBytes(w.x), 0o600),
		os.WriteFile(d.file("other"), rawBytes(w.other), 0o600),
		os.WriteFile(d.file("weight"), rawBytes(w.weight), 0o600),
		os.WriteFile(d.file("targets"), rawBytes(targets), 0o600))
}

// clear removes the large files, once everyone has read them.
func (d *dataStore) clear() error {
	d.saved = nil
	return errors.Join(os.RemoveAll(d.file("x")), os.RemoveAll(d.file("other")))
}

// rawBytes returns the memory of s.
func rawBytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}
