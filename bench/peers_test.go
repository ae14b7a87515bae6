package main

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed26845165/logits"
)

// What is installed computes what we do, and takes time for it.
func TestPeers(t *testing.T) {
	defer logits.SetPath(logits.Path())
	data := newWorkspace(matrix(40, 50), matrix(1, 1000), planar(3, 5, 16))
	data.fill(rand.New(rand.NewPCG(1, 1)))
	peers, notes, stop, err := startPeers(logits.Paths(), data, false)
	defer stop()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range notes {
		if name, _, ok := strings.Cut(n, " left out: "); ok {
			t.Run(name, func(t *testing.T) { t.Skip(n) })
		}
	}
	for _, p := range peers {
		t.Run(p.name(), func(t *testing.T) {
			for _, s := range []shape{matrix(20, 50), matrix(7, 3), matrix(1, 1000), matrix(40, 1), planar(3, 5, 16), planar(2, 4, 7)} {
				for _, k := range kernels {
					if !k.takes(s) || !p.has(k) {
						continue
					}
					if err := compare(p, k, data.as(s)); err != nil && strings.Contains(err.Error(), "label_smoothing") {
						t.Log(err) // PyTorch before 1.10 has none.
						continue
					} else if err != nil {
						t.Errorf("%s %v: %v", k.name, s, err)
					}
					if d, err := p.contender(k, s).run(s.rows, 3); err != nil || d <= 0 {
						t.Errorf("%s %v: %v, %v", k.name, s, d, err)
					}
				}
			}
			other := newWorkspace(matrix(1, 2))
			other.x = []float32{1, 3}
			k := kernelNamed("exp")
			if err := p.load(other); err != nil {
				t.Fatal(err)
			}
			if p.has(k) {
				if got, err := p.result(nil, k, matrix(1, 2)); err != nil || len(got) != 2 || !(got[1] > 20 && got[1] < 21) {
					t.Errorf("exp of other data: %v, %v", got, err)
				}
			}
			h, ok := p.(*helper)
			if !ok {
				return
			}
			if _, err := h.ask("tan 3x3 1"); err == nil || !strings.Contains(err.Error(), "tan") {
				t.Errorf("unknown operation: %v", err)
			}
			if _, err := h.result(nil, k, matrix(1, 1)); err != nil {
				t.Errorf("after an error: %v", err)
			}
			h.cmd.Process.Kill()
			if _, err := h.ask("sum 1x1 1"); err == nil {
				t.Error("no error from a process that has ended")
			}
		})
	}
}

// A helper that does not keep to the protocol, or ends, says why.
func TestHelper(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	store := &dataStore{dir: t.TempDir()}
	for _, test := range []struct{ script, want string }{
		{"echo ready 1.0", "version, build and operations"},
		{"echo hello; read line", "X: hello"},
		{"echo error no memory", "X: error no memory"},
		{"echo boom >&2; exit 3", "exit status 3: boom"},
		{"echo ready 1.0 - exp; read line; echo error bad", "X: error bad"},
		{"echo ready 1.0 - exp; read line; echo late >&2", "late"},
		{"echo ready 1.0 - exp; read line; echo ok; sleep 0", ""},
	} {
		h, err := startHelper([]string{sh, "-c", test.script}, "X", "generic", build{}, store, false)
		if err != nil {
			t.Fatal(err)
		}
		if err = h.ready(); err == nil {
			if h.version != "1.0" || h.name() != "X" || !h.has(kernelNamed("exp")) || h.has(kernelNamed("sum")) {
				t.Errorf("%s: got %+v", test.script, h)
			}
			err = h.load(newWorkspace(matrix(1, 1)))
		}
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", test.script, err, test.want)
		}
		h.close()
	}
}

// What is missing is named with what to install.
func TestMissingPeer(t *testing.T) {
	l := library{name: "Nothing", install: "the package nothing", command: python("x.py", "no_such_module"), builds: map[string]build{"best": {}}}
	_, err := l.start(&dataStore{dir: t.TempDir()}, logits.Paths(), false)
	if err == nil || !strings.Contains(err.Error(), "no_such_module") || !strings.Contains(err.Error(), "the package nothing") {
		t.Errorf("got %v", err)
	}
}
