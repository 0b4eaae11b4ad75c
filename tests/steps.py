"""The one generator of nasty arrays of steps: every test that hands steps to a schedule hands it these."""

import numpy as np

LARGEST_STEP = 2**53 - 1
LANDMARKS = (0, 1, 2**31 - 1, 2**31, 2**32, LARGEST_STEP)
INTEGER_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FOREIGN_DTYPES = (">i2", ">i4", ">i8", ">u2", ">u8", "<i4", "<u8")


def nasty_steps(boundaries=(), length=None, seed=0):
    """Each step at which something can go wrong, once, in order."""
    edges = [*boundaries, *([] if length is None else [length])]
    near = [edge + offset for edge in edges for offset in (-1, 0, 1)]
    beyond = [2 * max(edges, default=100) + 17, 10**6]
    random = np.random.default_rng(seed).integers(0, max(edges, default=100) + 20, size=40)
    steps = {*LANDMARKS, *near, *beyond, *map(int, random)}
    return np.array(sorted(step for step in steps if 0 <= step <= LARGEST_STEP), dtype=np.int64)


def nasty_arrays(boundaries=(), length=None, seed=0):
    """Pairs of a name and an array of steps, in every shape, order, layout and dtype that NumPy has."""
    steps = nasty_steps(boundaries, length, seed)
    generator = np.random.default_rng(seed)
    yield "sorted", steps
    yield "shuffled", generator.permutation(steps)
    yield "repeated", np.repeat(steps, 3)
    yield "reversed view", steps[::-1]
    yield "strided", np.repeat(steps, 3)[::3]
    yield "read-only", read_only(steps)
    yield "empty", steps[:0]
    yield "empty 2-d", np.empty((3, 0), dtype=np.int64)
    yield "one", steps[-1:]
    yield "0-d", np.array(steps[len(steps) // 2])
    square = np.resize(generator.permutation(steps), (5, 7))
    yield "2-d", square
    yield "Fortran order", np.asfortranarray(square)
    yield "transposed view", square.T
    yield "strided 2-d", np.resize(steps, (10, 14))[::2, ::-2]
    yield "3-d", np.resize(steps, (2, 3, 4))
    yield "broadcast", np.broadcast_to(steps, (3, len(steps)))
    yield "unaligned", unaligned(steps)
    for dtype in (*INTEGER_DTYPES, *FOREIGN_DTYPES):
        yield dtype, those_that_fit(steps, dtype)


def read_only(steps):
    copy = steps.copy()
    copy.flags.writeable = False
    return copy


def unaligned(steps):
    """The same int64 values, beginning one byte after an aligned address."""
    room = np.zeros(steps.nbytes + 1, dtype=np.uint8)
    view = room[1:].view(np.int64)
    view[:] = steps
    return view


def those_that_fit(steps, dtype):
    return steps[steps <= np.iinfo(dtype).max].astype(dtype)
