package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/seed26845165/logits"
)

//go:embed peers/torch.py
var torchScript string

// capabilities are PyTorch's names, as ATEN_CPU_CAPABILITY takes them, of the
// builds to compare our paths with. It would run one that the CPU does not
// have, and die, so only those of paths that there are may be asked for.
var capabilities = map[string]string{"avx512": "avx512", "avx2": "avx2", "neon": "default"}

// torch is PyTorch in a process of its own, which peers/torch.py makes answer
// one command at a time. Between commands it does nothing.
type torch struct {
	path    string // ours, that it is compared with
	version string
	build   string // the one that it says it runs
	dir     string // where it finds its data
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *bytes.Buffer
}

// findTorch returns a Python that has PyTorch and NumPy: Debian's, whose
// package python3-torch installs it there, or the one in PATH.
func findTorch() (string, error) {
	for _, python := range []string{"/usr/bin/python3", "python3"} {
		// Looked for and not imported, which would take seconds.
		const find = "import importlib.util as u, sys; sys.exit(not (u.find_spec('torch') and u.find_spec('numpy')))"
		if exec.Command(python, "-c", find).Run() == nil {
			return python, nil
		}
	}
	return "", errors.New("no python3 with PyTorch: install Debian's package python3-torch, or torch and numpy with pip")
}

// startTorch starts PyTorch's build for one of our paths. It takes over the
// affinity of the calling thread.
func startTorch(python, dir, path string, huge bool) (*torch, error) {
	t := &torch{path: path, dir: dir, stderr: new(bytes.Buffer)}
	t.cmd = exec.Command(python, "-c", torchScript, dir, t.resultFile(), strconv.FormatBool(huge))
	t.cmd.Env = append(os.Environ(), "ATEN_CPU_CAPABILITY="+capabilities[path], "OMP_NUM_THREADS=1")
	t.cmd.Stderr = t.stderr
	var err error
	if t.in, err = t.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := t.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	t.out = bufio.NewReader(out)
	return t, t.cmd.Start()
}

func (t *torch) resultFile() string { return filepath.Join(t.dir, "result-"+t.path) }

// answer returns what follows the wanted word on the next line.
func (t *torch) answer(want string) (string, error) {
	line, err := t.out.ReadString('\n')
	if err != nil {
		// It is done with standard error once it has been waited for.
		t.in.Close()
		err = errors.Join(err, t.cmd.Wait())
		stderr := strings.TrimSpace(t.stderr.String())
		return "", fmt.Errorf("PyTorch, %s: %w: %s", t.path, err, stderr[max(0, len(stderr)-500):])
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word != want {
		return "", fmt.Errorf("PyTorch, %s: %s", t.path, strings.TrimSpace(line))
	}
	return rest, nil
}

func (t *torch) ask(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(t.in, format+"\n", args...); err != nil {
		return "", err
	}
	return t.answer("ok")
}

// ready waits for PyTorch to be there.
func (t *torch) ready() error {
	s, err := t.answer("ready")
	t.version, t.build, _ = strings.Cut(s, " ")
	return err
}

// saveData writes what load reads.
func saveData(dir string, w *workspace) error {
	targets := make([]int64, len(w.targets))
	for i, t := range w.targets {
		targets[i] = int64(t)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "x"), rawBytes(w.x), 0o600),
		os.WriteFile(filepath.Join(dir, "other"), rawBytes(w.other), 0o600),
		os.WriteFile(filepath.Join(dir, "weight"), rawBytes(w.weight), 0o600),
		os.WriteFile(filepath.Join(dir, "targets"), rawBytes(targets), 0o600))
}

// rawBytes returns the memory of s.
func rawBytes[T any](s []T) []byte {
	if len(s) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(s[0])))
}

func (t *torch) load() error {
	_, err := t.ask("load")
	return err
}

// result appends the results of an operation to dst.
func (t *torch) result(dst []float32, op string, s shape) ([]float32, error) {
	if _, err := t.ask("result %s %v", op, s); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(t.resultFile())
	if err != nil {
		return nil, err
	}
	n := len(dst)
	dst = slices.Grow(dst, len(b)/4)[:n+len(b)/4]
	copy(rawBytes(dst[n:]), b)
	return dst, nil
}

// contender returns PyTorch as a contender. It is always given all rows, since
// what it allocates belongs to its time.
func (t *torch) contender(k kernel, s shape) contender {
	return contender{name: "PyTorch, " + t.path, whole: true, run: func(_, calls int) (time.Duration, error) {
		answer, err := t.ask("%s %v %d", k.torch, s, calls)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(answer, 10, 64)
		return time.Duration(ns), err
	}}
}

// compare returns the largest difference between PyTorch's results and ours on
// the first rows of w, and fails if it is too large for them to be the same
// function.
func (t *torch) compare(k kernel, w *workspace) (float64, error) {
	part := w.slice(0, w.someRows(1<<22/w.cols))
	if err := logits.SetPath(t.path); err != nil {
		return 0, err
	}
	if err := k.run(&part); err != nil {
		return 0, err
	}
	ours := k.results(nil, &part)
	theirs, err := t.result(nil, k.torch, part.shape)
	if err != nil {
		return 0, err
	}
	if err := agree(k, part.shape, theirs, ours); err != nil {
		return 0, fmt.Errorf("PyTorch, %s, differs from us: %w", t.path, err)
	}
	var diff float64
	for i, v := range theirs {
		diff = max(diff, math.Abs(float64(v)-float64(ours[i])))
	}
	return diff, nil
}

// close ends the process.
func (t *torch) close() {
	t.in.Close()
	t.cmd.Wait()
}

// startPeers starts PyTorch once for each of our paths that it has a build
// for, with the data of w, and returns how to stop it. The note says what runs,
// or why nothing does.
func startPeers(paths []string, w *workspace, huge bool) (peers []*torch, note string, stop func(), err error) {
	stop = func() {}
	paths = slices.DeleteFunc(slices.Clone(paths), func(p string) bool { return capabilities[p] == "" })
	if len(paths) == 0 {
		return nil, "left out: it has no build like the paths chosen", stop, nil
	}
	python, err := findTorch()
	if err != nil {
		return nil, "left out: " + err.Error(), stop, nil
	}
	dir, err := os.MkdirTemp("", "logits-bench")
	if err != nil {
		return nil, "", stop, err
	}
	stop = func() {
		for _, t := range peers {
			t.close()
		}
		os.RemoveAll(dir)
	}
	// All of them first, since loading PyTorch takes seconds.
	for _, p := range paths {
		t, err := startTorch(python, dir, p, huge)
		if err != nil {
			return nil, "", stop, err
		}
		peers = append(peers, t)
	}
	if err := saveData(dir, w); err != nil {
		return nil, "", stop, err
	}
	var notes []string
	for _, t := range peers {
		if err := t.ready(); err != nil {
			return nil, "", stop, err
		}
		if err := t.load(); err != nil {
			return nil, "", stop, err
		}
		notes = append(notes, fmt.Sprintf("its build %s beside our path %s", t.build, t.path))
	}
	note = fmt.Sprintf("%s of %s, one thread: %s", peers[0].version, python, strings.Join(notes, ", "))
	return peers, note, stop, errors.Join(os.Remove(filepath.Join(dir, "x")), os.Remove(filepath.Join(dir, "other")))
}
