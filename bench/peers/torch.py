"""PyTorch for the benchmark program: started with the directory of its data,
the file for its results, and whether to use huge pages (true or false).

It answers every line of standard input with one of standard output:

    load                    ok            reads the files x and targets
    OP ROWS COLS REPS       ok NS         runs OP REPS times, takes the time
    result OP ROWS COLS     ok            writes the result to the file named by
                                          the second argument, as float32
    anything that fails     error TEXT

x holds float32 numbers, of which an OP takes the first ROWS * COLS; targets
int64 ones, one a row, which are taken modulo COLS.
"""

import os
import sys
import time

import numpy
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
directory, result, huge = sys.argv[1:]
huge = huge == "true"


def empty(size, dtype):
    """Memory of NumPy's comes in huge pages, that of PyTorch's own does not."""
    if huge:
        return torch.from_numpy(numpy.empty(size, dtype=str(dtype).replace("torch.", "")))
    return torch.empty(size, dtype=dtype)


def read(name, dtype):
    with open(os.path.join(directory, name), "rb") as f:
        size = os.fstat(f.fileno()).st_size
        t = empty(size // torch.empty(0, dtype=dtype).element_size(), dtype)
        f.readinto(t.numpy())
    return t


def operation(op, x, y, targets):
    """Returns a function without arguments, with room for its result where
    this version of PyTorch takes one: allocating 155 MB costs more than a
    softmax over them."""
    rows = torch.empty(x.shape[0])
    index = torch.empty(x.shape[0], dtype=torch.int64)
    with_out, without = {
        "amax": (lambda: torch.amax(x, 1, out=rows), lambda: torch.amax(x, 1)),
        "argmax": (lambda: torch.argmax(x, 1, out=index), lambda: torch.argmax(x, 1)),
        "sum": (lambda: torch.sum(x, 1, out=rows), lambda: torch.sum(x, 1)),
        "exp": (lambda: torch.exp(x, out=y), lambda: torch.exp(x)),
        "logsumexp": (lambda: torch.logsumexp(x, 1, out=rows), lambda: torch.logsumexp(x, 1)),
        "softmax": (lambda: torch.softmax(x, 1, out=y), lambda: torch.softmax(x, 1)),
        "log_softmax": (lambda: torch.log_softmax(x, 1, out=y), lambda: torch.log_softmax(x, 1)),
        "cross_entropy": (None, lambda: F.cross_entropy(x, targets, reduction="none")),
    }[op]
    if with_out is None:
        return without
    try:
        with_out()
        return with_out
    except TypeError:
        return without


class Server:
    def load(self):
        self.x = read("x", torch.float32)
        self.targets = read("targets", torch.int64)
        self.y = empty(self.x.numel(), torch.float32).zero_()
        self.prepared = {}

    def operation(self, op, rows, cols):
        key = op, rows, cols
        if key not in self.prepared:
            n = rows * cols
            self.prepared[key] = operation(
                op, self.x[:n].view(rows, cols), self.y[:n].view(rows, cols), self.targets[:rows] % cols)
        return self.prepared[key]

    def answer(self, words):
        if words == ["load"]:
            return self.load()
        if words[0] == "result":
            op, rows, cols = words[1], int(words[2]), int(words[3])
            self.operation(op, rows, cols)().to(torch.float32).numpy().tofile(result)
            return None
        f = self.operation(words[0], int(words[1]), int(words[2]))
        reps = range(int(words[3]))
        start = time.perf_counter_ns()
        for _ in reps:
            f()
        return time.perf_counter_ns() - start


def capability():
    for line in torch.__config__.show().splitlines():
        if "CPU capability usage:" in line:
            return line.split(":")[1].strip()
    return "unknown"


server = Server()
print("ready", torch.__version__, capability(), flush=True)
with torch.no_grad():
    for line in sys.stdin:
        try:
            value = server.answer(line.split())
            print("ok" if value is None else "ok %d" % value, flush=True)
        except Exception as e:
            print("error", repr(e).replace("\n", " "), flush=True)
