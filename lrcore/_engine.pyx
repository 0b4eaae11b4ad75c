# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
# cython: freethreading_compatible=True
"""The native core: a compiled schedule (`Program`) and the smoothing of loss curves (`smooth`).

(a) Buffers are owned here and the GIL is released here; what is computed stands in the headers.
(b) `Program` trusts its caller: `Schedule` has checked parameters and steps. Checked are what memory safety needs (types,
    formats and lengths of buffers, children before parents) and the range of a single step, because here that costs a
    nanosecond and in Python fifty.
(c) No `cimport numpy`: typed memoryviews need nothing of numpy to build, and make the wheel independent of its version.
(d) Long work is cut into chunks, with a look at pending signals between them: Ctrl-C returns within milliseconds.
"""

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport calloc, free, malloc

cdef extern from "_program.h" nogil:
    ctypedef struct lr_curve:
        pass
    ctypedef struct lr_frame:
        pass
    ctypedef struct lr_node:
        int32_t kind
        int32_t child_count
        const int32_t *children
        double init, end, shape, span
        int64_t mark_count
        const int64_t *marks
        const void *data
        int64_t data_count
        int32_t is_float, is_mirror
        int64_t count
        lr_curve curve
    int LR_NOISE, LR_TWISTER_UNIFORM, LR_LAST_CURVE, LR_MAX_DEPTH, LR_HAS_CLONES, LR_KIND_COUNT
    int64_t LR_LAST_STEP
    const char *lr_kind_names[]
    void lr_prepare(lr_curve *curve, int32_t kind, double init, double end, double span, double shape)
    double lr_value(const lr_node *nodes, int32_t root, double scale, int64_t step)
    void lr_fill_doubles(const lr_node *nodes, int32_t root, int64_t start, int64_t n, double *out, lr_frame *frames)
    void lr_fill_floats(const lr_node *nodes, int32_t root, int64_t start, int64_t n, float *out, lr_frame *frames)
    void lr_take_doubles(const lr_node *nodes, int32_t root, const int64_t *steps, int64_t n, double *out, lr_frame *frames)

cdef extern from "_smooth.h" nogil:
    ctypedef struct lr_smoother:
        pass
    lr_smoother lr_smoother_of(double beta)
    void lr_smooth_part(lr_smoother *smoother, const double *losses, int64_t done, int64_t n, double *out)
    void lr_correct_bias(double beta, int64_t start, int64_t n, double *out)

cdef extern from *:
    """
    #if defined(__clang__)
    #define LR_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define LR_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define LR_COMPILER "msvc"
    #else
    #define LR_COMPILER "unknown"
    #endif
    static const char *lr_active_clone(void)
    {
    #if LR_HAS_CLONES
        __builtin_cpu_init();
        if (__builtin_cpu_supports("x86-64-v4")) return "x86-64-v4";
        if (__builtin_cpu_supports("x86-64-v3")) return "x86-64-v3";
        return "default";
    #else
        return "none";
    #endif
    }
    """
    const char *LR_COMPILER
    const char *lr_active_clone()

cdef int64_t CHUNK = 1 << 20  # steps of one curve between two looks at pending signals: about a millisecond
cdef int64_t LEAST_CHUNK = 1 << 13

MAX_DEPTH = LR_MAX_DEPTH
KINDS = {lr_kind_names[kind].decode(): kind for kind in range(LR_KIND_COUNT)}


cdef class Program:
    """A schedule, compiled: flat arrays of nodes that the kernels walk.

    Args:
        rows: one tuple a node, children before parents, the root last: (kind, init, end, shape, span, children, marks, data,
            mirror, count), as `Schedule._lower` writes them. `marks` is an int64 buffer, `data` a float64 or float32 one; both
            are kept, not copied.
    """

    cdef lr_node *nodes
    cdef int32_t root
    cdef int32_t depth
    cdef int64_t chunk
    cdef list owners

    def __cinit__(self, list rows):
        cdef Py_ssize_t i
        if not rows:
            raise ValueError("rows: expected at least one")
        self.chunk = max(LEAST_CHUNK, CHUNK // len(rows))
        self.owners = []
        self.nodes = <lr_node *>calloc(len(rows), sizeof(lr_node))
        if self.nodes == NULL:
            raise MemoryError
        self.root = <int32_t>(len(rows) - 1)
        depths = []
        for i in range(len(rows)):
            depths.append(self._add(&self.nodes[i], rows[i], depths))
        self.depth = depths[self.root]
        if any(LR_NOISE <= row[0] <= LR_TWISTER_UNIFORM for row in rows):
            self.chunk = LEAST_CHUNK  # numbers within a narrow bound are drawn again a thousand times

    def __dealloc__(self):
        free(self.nodes)

    cdef int _add(self, lr_node *node, tuple row, list depths) except -1:
        kind, init, end, shape, span, children, marks, data, mirror, count = row
        cdef int deepest = 0
        cdef int32_t[::1] child_view
        if not 0 <= kind < LR_KIND_COUNT:
            raise ValueError(f"kind: expected one of KINDS, got {kind}")
        node.kind = kind
        node.init = init
        node.end = end
        node.shape = shape
        node.span = span
        node.is_mirror = mirror
        node.count = count
        if children is not None:
            child_view = children
            node.child_count = <int32_t>child_view.shape[0]
            node.children = &child_view[0]
            self.owners.append(children)
            if not 0 <= min(children) <= max(children) < len(depths):
                raise ValueError(f"children: expected rows before this one, got {list(children)}")
            deepest = max([depths[child] for child in children])
        self._add_marks(node, marks)
        self._add_data(node, data)
        if node.kind <= LR_LAST_CURVE:
            lr_prepare(&node.curve, node.kind, node.init, node.end, node.span, node.shape)
        return deepest + 1

    cdef int _add_marks(self, lr_node *node, marks) except -1:
        cdef const int64_t[::1] view
        if marks is None:
            return 0
        view = marks
        node.marks = &view[0]
        node.mark_count = view.shape[0]
        self.owners.append(marks)
        return 0

    cdef int _add_data(self, lr_node *node, data) except -1:
        cdef const double[::1] doubles
        cdef const float[::1] floats
        if data is None:
            return 0
        if memoryview(data).itemsize == 4:
            floats = data
            node.data = &floats[0]
            node.data_count = floats.shape[0]
            node.is_float = 1
        else:
            doubles = data
            node.data = &doubles[0]
            node.data_count = doubles.shape[0]
        self.owners.append(data)
        return 0

    cdef lr_frame *_frames(self) except NULL:
        cdef lr_frame *frames = <lr_frame *>malloc((self.depth + 2) * sizeof(lr_frame))
        if frames == NULL:
            raise MemoryError
        return frames

    def value(self, int64_t step):
        """The value at one step; a ValueError without a message outside of [0, 2**53), which Schedule words for its users."""
        if not 0 <= step <= LR_LAST_STEP:
            raise ValueError
        return lr_value(self.nodes, self.root, 1.0, step)

    def fill(self, int64_t start, out):
        """The values of the steps start, start + 1, ... into a C-contiguous float64 or float32 buffer."""
        cdef double[::1] doubles
        cdef float[::1] floats
        if memoryview(out).itemsize == 4:
            floats = out
            self._evaluate(start, NULL, floats.shape[0], NULL, &floats[0])
        else:
            doubles = out
            self._evaluate(start, NULL, doubles.shape[0], &doubles[0], NULL)

    def take(self, const int64_t[::1] steps, double[::1] out):
        """The values of any steps, in their order, into an `out` of the same length."""
        if steps.shape[0] != out.shape[0]:
            raise ValueError(f"out: expected {steps.shape[0]} values, got room for {out.shape[0]}")
        self._evaluate(0, &steps[0], steps.shape[0], &out[0], NULL)

    cdef int _evaluate(
        self, int64_t start, const int64_t *steps, int64_t n, double *doubles, float *floats
    ) except -1:
        """n values at `steps`, or from `start` on where there are none, into the one output that is given."""
        cdef int64_t done = 0, run
        cdef lr_frame *frames = self._frames()
        try:
            while done < n:
                run = min(self.chunk, n - done)
                with nogil:
                    if steps != NULL:
                        lr_take_doubles(self.nodes, self.root, steps + done, run, doubles + done, frames)
                    elif floats != NULL:
                        lr_fill_floats(self.nodes, self.root, start + done, run, floats + done, frames)
                    else:
                        lr_fill_doubles(self.nodes, self.root, start + done, run, doubles + done, frames)
                done += run
                PyErr_CheckSignals()
        finally:
            free(frames)
        return 0


def smooth_rows(const double[:, ::1] losses, double beta, bint correct_bias, double[:, ::1] out):
    """The moving average of each row of `losses` (runs x steps) into `out`; see `lrcore.smooth`."""
    cdef int64_t done, run, steps = losses.shape[1]
    cdef Py_ssize_t row
    cdef lr_smoother smoother
    for row in range(losses.shape[0]):
        smoother = lr_smoother_of(beta)
        for done in range(0, steps, CHUNK):
            run = min(CHUNK, steps - done)
            with nogil:
                lr_smooth_part(&smoother, &losses[row, 0], done, run, &out[row, 0])
                if correct_bias:
                    lr_correct_bias(beta, done, run, &out[row, 0])
            PyErr_CheckSignals()


def build_info():
    """How the native core was built and which clone of its loops this machine runs.

    Returns:
        A dict: `compiler`; `clones`, whether the loops were built once for each level of x86-64; `active`, the level in use
        ("x86-64-v4" has AVX-512, "x86-64-v3" AVX2, "default" SSE2, "none" where there is only the plain build).

    Example:
        >>> import lrcore
        >>> sorted(lrcore.build_info())
        ['active', 'clones', 'compiler']
    """
    return {
        "compiler": LR_COMPILER.decode(),
        "clones": bool(LR_HAS_CLONES),
        "active": lr_active_clone().decode(),
    }
