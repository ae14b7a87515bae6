"""What the helpers of the benchmark program have in common.

A helper is started with the directory of its data, the file for its results,
and whether to use huge pages (true or false). It says, on standard output,

    ready VERSION BUILD OP...   once, the OPs being all that it can do, and
                                planar if it takes shapes of three numbers

and then answers every line of standard input with one of standard output:

    load                    ok            reads the files of data
    OP SHAPE REPS           ok NS         runs OP REPS times, takes the time
    result OP SHAPE         ok            writes the result to the file named by
                                          the second argument, as float32
    anything that fails     error TEXT

A SHAPE is 64x10, rows and columns, or 8x21x65536, samples, classes and
positions. The files data-x and data-other hold float32 numbers, of which an OP
takes as many as its SHAPE has; data-targets int64 ones, one a row, which are
taken modulo the columns or classes; data-weight float32 ones, one a class.
"""

import contextlib
import os
import sys
import time

import numpy

directory, result, huge = sys.argv[1:]
huge = huge == "true"


def read(name, dtype):
    """NumPy asks for huge pages by itself."""
    return numpy.fromfile(os.path.join(directory, "data-" + name), dtype)


class Server:
    """Servers have load(), and operation(op, shape), which returns a function
    without arguments that runs op and returns its result."""

    def context(self, op):
        """What operations run in."""
        return contextlib.nullcontext()

    def array(self, value):
        return numpy.asarray(value)

    def answer(self, words):
        if words == ["load"]:
            self.prepared = {}
            return self.load()
        if words[0] == "result":
            words = words[1:]
        key = op, shape = words[0], words[1]
        with self.context(op):
            if key not in self.prepared:
                if op not in self.ops:
                    raise ValueError("unknown operation " + op)
                self.prepared[key] = self.operation(op, [int(n) for n in shape.split("x")])
            f = self.prepared[key]
            if len(words) == 2:
                self.array(f()).astype(numpy.float32).tofile(result)
                return None
            reps = range(int(words[2]))
            start = time.perf_counter_ns()
            for _ in reps:
                f()
            return time.perf_counter_ns() - start

    def serve(self, version, build, ops):
        self.ops = ops
        print("ready", version, build or "-", *ops, flush=True)
        for line in sys.stdin:
            try:
                value = self.answer(line.split())
                print("ok" if value is None else "ok %d" % value, flush=True)
            except Exception as e:
                print("error", repr(e).replace("\n", " "), flush=True)
