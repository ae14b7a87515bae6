"""PyTorch for the benchmark program; see serve.py."""

import contextlib
import math

import numpy
import torch
import torch.nn.functional as F

import serve

torch.set_num_threads(1)


def empty(n):
    """Memory of NumPy's comes in huge pages, that of PyTorch's own does not."""
    if serve.huge:
        return torch.from_numpy(numpy.empty(n, numpy.float32))
    return torch.empty(n)


def read(name):
    data = serve.read(name, numpy.float32)
    t = empty(len(data))
    t.numpy()[:] = data
    return t


SMOOTHING = 0.1  # Go has it too.


def gradient(loss):
    """Returns what prepares running forward and backward to the gradient. It
    leaves the leaf without one, so that every run starts like the first."""

    def prepare(x, other, targets, weight):
        leaf = x.detach().requires_grad_()

        def run():
            loss(leaf, other, targets).backward()
            grad, leaf.grad = leaf.grad, None
            return grad

        return run

    return prepare


def with_out(f, room):
    """Returns what prepares f with room for its result where this version of
    PyTorch takes one: allocating 155 MB costs more than a softmax over them."""

    def prepare(x, y):
        out = room(x, y)
        try:
            f(x, out=out)
        except TypeError:
            return lambda: f(x)
        return lambda: f(x, out=out)

    return prepare


def rows(x, y):
    return torch.empty(x.shape[0])


def indices(x, y):
    return torch.empty(x.shape[0], dtype=torch.int64)


def elements(x, y):
    return y


INTO = {
    "amax": with_out(lambda x, **kw: torch.amax(x, 1, **kw), rows),
    "argmax": with_out(lambda x, **kw: torch.argmax(x, 1, **kw), indices),
    "sum": with_out(lambda x, **kw: torch.sum(x, 1, **kw), rows),
    "exp": with_out(torch.exp, elements),
    "logsumexp": with_out(lambda x, **kw: torch.logsumexp(x, 1, **kw), rows),
    "softmax": with_out(lambda x, **kw: torch.softmax(x, 1, **kw), elements),
    "log_softmax": with_out(lambda x, **kw: torch.log_softmax(x, 1, **kw), elements),
    "copy": lambda x, y: lambda: y.copy_(x),
}

LOSSES = {
    "cross_entropy": lambda x, _, t, w: lambda: F.cross_entropy(x, t, reduction="none"),
    "cross_entropy_smooth":
        lambda x, _, t, w: lambda: F.cross_entropy(x, t, reduction="none", label_smoothing=SMOOTHING),
    "cross_entropy_weight": lambda x, _, t, w: lambda: F.cross_entropy(x, t, w, reduction="none"),
    "cross_entropy_grad": gradient(lambda x, _, t: F.cross_entropy(x, t)),
    "cross_entropy_probs": lambda x, other, t, w: lambda: F.cross_entropy(x, other, reduction="none"),
    "cross_entropy_probs_grad": gradient(lambda x, other, _: F.cross_entropy(x, other)),
    "multi_margin_loss": lambda x, _, t, w: lambda: F.multi_margin_loss(x, t, reduction="none"),
    "multi_margin_loss_grad": gradient(lambda x, _, t: F.multi_margin_loss(x, t)),
    "mse_loss_grad": gradient(lambda x, other, _: F.mse_loss(x, other)),
    "l1_loss_grad": gradient(lambda x, other, _: F.l1_loss(x, other)),
}


class Torch(serve.Server):
    def load(self):
        self.x = read("x")
        self.other = read("other")
        self.weight = read("weight")
        self.targets = torch.from_numpy(serve.read("targets", numpy.int64))
        self.y = empty(self.x.numel()).zero_()

    def context(self, op):
        return contextlib.nullcontext() if op.endswith("_grad") else torch.no_grad()

    def operation(self, op, shape):
        samples, classes, *positions = shape
        if positions and math.isqrt(positions[0]) ** 2 == positions[0]:
            positions = 2 * [math.isqrt(positions[0])]  # An image.
        n = samples * math.prod(positions)
        x, y, other = (t[:n * classes].view(samples, classes, *positions) for t in (self.x, self.y, self.other))
        if op in INTO:
            return INTO[op](x, y)
        targets = (self.targets[:n] % classes).view(samples, *positions)
        return LOSSES[op](x, other, targets, self.weight[:classes])

    def array(self, value):
        return value.numpy()


def capability():
    for line in torch.__config__.show().splitlines():
        if "CPU capability usage:" in line:
            return line.split(":")[1].strip()
    return None


Torch().serve(torch.__version__, capability(), [*INTO, *LOSSES, "planar"])
