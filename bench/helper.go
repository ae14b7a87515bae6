package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A library is one that needs a helper program, of which peers/ has the source.
type library struct {
	name    string
	install string // what to install if it is missing

	// command returns the command that starts the helper out of the directory.
	command func(dir string, b build) ([]string, error)

	// builds are those to run, by the path of ours that is most like it. A
	// library without names of its own for its builds has one, under "best".
	builds map[string]build
}

// A build is one of the instruction sets that a library can be held to.
type build struct {
	name  string
	env   []string // for the helper, to choose it
	flags []string // for the compiler
}

// What keeps NumPy, which picks the best by itself, from AVX-512.
const noAVX512 = "NPY_DISABLE_CPU_FEATURES=AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"

// A library that is held to a build that the CPU lacks would die, so only
// those of paths that there are may be asked for.
var libraries = []library{
	{
		name:    "PyTorch",
		install: "Debian's package python3-torch, or torch and numpy with pip",
		command: python("torch_peer.py", "torch", "numpy"),
		builds: map[string]build{
			"avx512": {name: "AVX512", env: []string{"ATEN_CPU_CAPABILITY=avx512"}},
			"avx2":   {name: "AVX2", env: []string{"ATEN_CPU_CAPABILITY=avx2"}},
			"neon":   {name: "NEON", env: []string{"ATEN_CPU_CAPABILITY=default"}},
		},
	}, {
		name:    "oneDNN",
		install: "Debian's packages g++ and libdnnl-dev",
		command: compiled("dnnl.cpp", "-ldnnl"),
		builds: map[string]build{
			"avx512": {name: "AVX512", env: []string{"ONEDNN_MAX_CPU_ISA=AVX512_CORE", "DNNL_MAX_CPU_ISA=AVX512_CORE"}},
			"avx2":   {name: "AVX2", env: []string{"ONEDNN_MAX_CPU_ISA=AVX2", "DNNL_MAX_CPU_ISA=AVX2"}},
			"neon":   {name: "NEON"},
		},
	}, {
		name:    "SLEEF",
		install: "Debian's packages g++ and libsleef-dev",
		command: compiled("sleef.cpp", "-lsleef"),
		builds: map[string]build{
			"avx512": {name: "AVX512", flags: []string{"-mavx512f"}},
			"avx2":   {name: "AVX2", flags: []string{"-mavx2", "-mfma"}},
			"neon":   {name: "NEON"},
		},
	}, {
		name:    "NumPy",
		install: "Debian's package python3-numpy, or numpy with pip",
		command: python("numpy_peer.py", "numpy"),
		builds: map[string]build{
			"avx512": {name: "AVX512"},
			"avx2":   {name: "AVX2", env: []string{noAVX512}},
			"neon":   {name: "NEON"},
		},
	}, {
		name:    "ONNX Runtime",
		install: "onnxruntime-node with npm, with -g or where NODE_PATH finds it",
		command: node("onnx.js", "onnxruntime-node"),
		builds:  map[string]build{"best": {}},
	},
}

// start starts the library once for each of the paths that it has a build for.
func (l library) start(store *dataStore, paths []string, huge bool) ([]*helper, error) {
	builds := map[string]build{}
	for _, p := range paths {
		if b, ok := l.builds[p]; ok {
			builds[p] = b
		}
	}
	if b, ok := l.builds["best"]; ok {
		builds[paths[0]] = b
	}
	if len(builds) == 0 {
		return nil, errors.New("it has no build like the paths chosen")
	}
	var started []*helper
	for _, p := range paths {
		b, ok := builds[p]
		if !ok {
			continue
		}
		command, err := l.command(filepath.Join(store.dir, "peers"), b)
		if err != nil {
			return started, fmt.Errorf("%w: install %s", err, l.install)
		}
		h, err := startHelper(command, l.name, p, b, store, huge)
		if err != nil {
			return started, err
		}
		started = append(started, h)
	}
	return started, nil
}

// python returns the command of a script for the first Python that has the
// modules: Debian's, whose packages install them there, or the one in PATH.
func python(script string, modules ...string) func(string, build) ([]string, error) {
	return func(dir string, _ build) ([]string, error) {
		for _, python := range []string{"/usr/bin/python3", "python3"} {
			// Looked for and not imported, which would take seconds.
			const find = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
			if exec.Command(python, append([]string{"-c", find}, modules...)...).Run() == nil {
				return []string{python, filepath.Join(dir, script)}, nil
			}
		}
		return nil, fmt.Errorf("no python3 with %s", strings.Join(modules, " and "))
	}
}

// node returns the command of a script for Node, which is handed the package
// that it needs.
func node(script, pkg string) func(string, build) ([]string, error) {
	return func(dir string, _ build) ([]string, error) {
		const find = "require.resolve(process.argv[1], {paths: [require('path').join(process.execPath, '../../lib')]})"
		out, err := exec.Command("node", "-p", find, pkg).Output()
		if err != nil {
			return nil, fmt.Errorf("no node with %s", pkg)
		}
		return []string{"node", filepath.Join(dir, script), strings.TrimSpace(string(out))}, nil
	}
}

// compiled returns the command of a C++ program, after it has compiled it.
func compiled(source string, libs ...string) func(string, build) ([]string, error) {
	return func(dir string, b build) ([]string, error) {
		program := filepath.Join(dir, strings.TrimSuffix(source, ".cpp")+strings.Join(b.flags, ""))
		if _, err := os.Stat(program); err == nil {
			return []string{program}, nil // For another build, which the environment chooses.
		}
		args := append([]string{"-std=c++17", "-O3", "-o", program, filepath.Join(dir, source)}, b.flags...)
		out, err := exec.Command("g++", append(args, libs...)...).CombinedOutput()
		if err != nil {
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "error: ") || strings.Contains(line, "cannot find") {
					return nil, errors.New(strings.TrimSpace(line))
				}
			}
			return nil, err
		}
		return []string{program}, nil
	}
}

// A helper is a library in a process of its own, which answers one command at
// a time (peers/serve.py says which) and does nothing between them.
type helper struct {
	library string
	ours    string // the path that it is compared with
	version string
	build   string   // the one that it says it runs
	ops     []string // what it can do
	store   *dataStore
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	stderr  *bytes.Buffer
}

func startHelper(command []string, library, path string, b build, store *dataStore, huge bool) (*helper, error) {
	h := &helper{library: library, ours: path, build: b.name, store: store, stderr: new(bytes.Buffer)}
	h.cmd = exec.Command(command[0], append(command[1:], store.dir, h.resultFile(), strconv.FormatBool(huge))...)
	// A thread that spins in wait of work would slow down who comes next.
	h.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "OPENBLAS_NUM_THREADS=1", "OMP_WAIT_POLICY=passive", "PYTHONDONTWRITEBYTECODE=1")
	h.cmd.Env = append(h.cmd.Env, b.env...)
	h.cmd.Stderr = h.stderr
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	h.out = bufio.NewReader(out)
	return h, h.cmd.Start()
}

func (h *helper) resultFile() string { return h.store.file("result-" + h.library + "-" + h.ours) }

// answer returns what follows the wanted word on the next line.
func (h *helper) answer(want string) (string, error) {
	line, err := h.out.ReadString('\n')
	if err != nil {
		// It is done with standard error once it has been waited for.
		h.in.Close()
		err = errors.Join(err, h.cmd.Wait())
		stderr := strings.TrimSpace(h.stderr.String())
		return "", fmt.Errorf("%s: %w: %s", h.name(), err, stderr[max(0, len(stderr)-500):])
	}
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	if word != want {
		return "", fmt.Errorf("%s: %s", h.name(), strings.TrimSpace(line))
	}
	return rest, nil
}

func (h *helper) ask(format string, args ...any) (string, error) {
	if _, err := fmt.Fprintf(h.in, format+"\n", args...); err != nil {
		return "", fmt.Errorf("%s: %w", h.name(), err)
	}
	return h.answer("ok")
}

// ready waits for the helper to be there.
func (h *helper) ready() error {
	s, err := h.answer("ready")
	if err != nil {
		return err
	}
	words := strings.Fields(s)
	if len(words) < 3 {
		return fmt.Errorf("%s: it is ready with %q, want its version, build and operations", h.name(), s)
	}
	h.version, h.build, h.ops = words[0], strings.Trim(words[1], "-"), words[2:]
	return nil
}

func (h *helper) name() string { return strings.TrimSpace(h.library + " " + h.build) }

func (h *helper) path() string { return h.ours }

func (h *helper) has(k kernel) bool {
	return slices.Contains(h.ops, k.op) && (!k.is(onPlanar) || slices.Contains(h.ops, "planar"))
}

func (h *helper) load(w *workspace) error {
	if err := h.store.save(w); err != nil {
		return err
	}
	_, err := h.ask("load")
	return err
}

func (h *helper) result(dst []float32, k kernel, s shape) ([]float32, error) {
	if _, err := h.ask("result %s %v", k.op, s); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(h.resultFile())
	if err != nil {
		return nil, err
	}
	n := len(dst)
	dst = slices.Grow(dst, len(b)/4)[:n+len(b)/4]
	copy(rawBytes(dst[n:]), b)
	return dst, nil
}

func (h *helper) contender(k kernel, s shape) contender {
	return contender{name: h.name(), whole: true, run: func(_, calls int) (time.Duration, error) {
		answer, err := h.ask("%s %v %d", k.op, s, calls)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseInt(answer, 10, 64)
		return time.Duration(ns), err
	}}
}

// close ends the process.
func (h *helper) close() {
	h.in.Close()
	h.cmd.Wait()
}
