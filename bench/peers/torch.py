"""PyTorch for the benchmark program: started with the directory of its data,
the file for its results, and whether to use huge pages (true or false).

It answers every line of standard input with one of standard output:

    load                    ok            reads the files of data
    OP SHAPE REPS           ok NS         runs OP REPS times, takes the time
    result OP SHAPE         ok            writes the result to the file named by
                                          the second argument, as float32
    anything that fails     error TEXT

A SHAPE is 64x10, rows and columns, or 8x21x65536, samples, classes and
positions; the latter are laid out as a square if they fill one. The files x and
other hold float32 numbers, of which an OP takes as many as its SHAPE has;
targets int64 ones, one a row, which are taken modulo the columns or classes;
weight float32 ones, one a class.
"""

import math
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


SMOOTHING = 0.1  # Go has it too.


def gradient(x, loss):
    """Returns a function that runs forward and backward, and has the gradient.
    It leaves the leaf without one, so that every run starts like the first."""
    leaf = x.detach().requires_grad_()

    def run():
        loss(leaf).backward()
        grad, leaf.grad = leaf.grad, None
        return grad

    return run


def operation(op, x, y, other, targets, weight):
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
        "cross_entropy_smooth": (
            None, lambda: F.cross_entropy(x, targets, reduction="none", label_smoothing=SMOOTHING)),
        "cross_entropy_weight": (None, lambda: F.cross_entropy(x, targets, weight, reduction="none")),
        "cross_entropy_grad": (None, gradient(x, lambda x: F.cross_entropy(x, targets))),
        "mse_loss_grad": (None, gradient(x, lambda x: F.mse_loss(x, other))),
        "l1_loss_grad": (None, gradient(x, lambda x: F.l1_loss(x, other))),
        "copy": (None, lambda: y.copy_(x)),
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
        self.other = read("other", torch.float32)
        self.targets = read("targets", torch.int64)
        self.weight = read("weight", torch.float32)
        self.y = empty(self.x.numel(), torch.float32).zero_()
        self.prepared = {}

    def operation(self, op, shape):
        key = op, shape
        if key not in self.prepared:
            samples, classes, *positions = map(int, shape.split("x"))
            if positions and math.isqrt(positions[0]) ** 2 == positions[0]:
                positions = 2 * [math.isqrt(positions[0])]
            rows = samples * math.prod(positions)
            n = rows * classes
            x, y, other = (t[:n].view(samples, classes, *positions) for t in (self.x, self.y, self.other))
            targets = (self.targets[:rows] % classes).view(samples, *positions)
            self.prepared[key] = operation(op, x, y, other, targets, self.weight[:classes])
        return self.prepared[key]

    def answer(self, words):
        if words == ["load"]:
            return self.load()
        if words[0] == "result":
            words = words[1:]
        with torch.set_grad_enabled(words[0].endswith("_grad")):
            f = self.operation(words[0], words[1])
            if len(words) == 2:
                f().to(torch.float32).numpy().tofile(result)
                return None
            reps = range(int(words[2]))
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
