"""The compiled program by itself: ranges of any cut, buffers of any kind, threads, interruption, and no leak."""

import gc
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import cases
import lrcore as lr
from lrcore._engine import KINDS, Program

TILE, BLOCK = 8192, 512  # of _nodes.h: where a walk is cut

SLOW = lr.Polynomial(0.1, 0.001, 2**40, 0.9)  # the slowest curve: several ns a value
CUT = {  # nodes that cut a range into blocks, with borders that do not fall together
    "product": lr.Cosine(0.1, 0.0, 20_001) * lr.Linear(1.0, 0.5, 7_777),
    "sum of clipped": lr.Cosine(0.1, 0.0, 20_001).clip(0.02) + lr.ExponentialDecay(0.1, 0.999),
    "small stairs": lr.Cosine(0.1, 0.0, 20_001).staircase(3),
    "mirrored cycles": lr.Cycle(lr.Linear(0.0, 1.0, 700), 700, mirror=True),
    "growing cycles": lr.Cycle(lr.Cosine(1.0, 0.0, 50), 50, period_mult=1.5, value_mult=0.9),
    "many parts": lr.Interpolate([(k * 37, 1.0 / (k + 1)) for k in range(600)], "cosine"),
    "stretched": (lr.Table(np.linspace(1.0, 0.0, 901)).staircase(2) * lr.triangular(0.0, 1.0, 33)).stretch(21.0),
}


def program_of(schedule):
    return Program(schedule._rows())


def filled(program, start, n, dtype=np.float64):
    out = np.empty(n, dtype)
    program.fill(start, out)
    return out


@pytest.mark.parametrize("name", CUT)
def test_a_range_may_be_cut_anywhere(name):
    n = 3 * TILE + 77
    program = program_of(CUT[name])
    whole = filled(program, 0, n)
    for at in (1, BLOCK - 1, BLOCK, BLOCK + 1, TILE - 1, TILE, TILE + 1, 20_000, n - 1):
        parts = np.concatenate([filled(program, 0, at), filled(program, at, n - at)])
        assert parts.tobytes() == whole.tobytes()


@pytest.mark.parametrize("name", CUT)
def test_scattered_steps_are_those_of_the_range(name):
    n = 3 * TILE + 77
    program = program_of(CUT[name])
    whole = filled(program, 0, n)
    steps = np.random.default_rng(1).permutation(n)
    taken = np.empty(n)
    program.take(steps, taken)
    assert taken.tobytes() == whole[steps].tobytes()
    single = [program.value(int(step)) for step in steps[:300]]
    assert single == whole[steps[:300]].tolist()


@pytest.mark.parametrize("name", CUT)
def test_float32_is_the_float64_value_rounded_once(name):
    program = program_of(CUT[name])
    n = 2 * TILE + 5
    assert filled(program, 3, n, np.float32).tobytes() == filled(program, 3, n).astype(np.float32).tobytes()


def test_every_kind_of_node_has_a_case():
    """A kind that no case lowers to would be tested by nothing."""
    used = set()
    for case in cases.CASES:
        used |= {row[0] for row in case.schedule()._rows()}
    assert {name for name, kind in KINDS.items() if kind not in used} == set()


@pytest.mark.parametrize("step", [-1, 2**53, 2**62])
def test_a_single_step_outside_is_refused(step):
    with pytest.raises(ValueError, match=r"^$"):
        program_of(SLOW).value(step)


def test_other_buffers_are_refused():
    program = program_of(SLOW)
    with pytest.raises(ValueError, match="Buffer dtype mismatch, expected 'double' but got 'long'"):
        program.fill(0, np.empty(3, np.int64))
    with pytest.raises(ValueError, match="not C-contiguous"):
        program.fill(0, np.empty(6)[::2])
    readonly = np.empty(3)
    readonly.flags.writeable = False
    with pytest.raises((BufferError, ValueError), match="read-only"):
        program.fill(0, readonly)
    with pytest.raises(ValueError, match="Buffer dtype mismatch, expected 'const int64_t'"):
        program.take(np.zeros(3, np.int32), np.empty(3))


@pytest.mark.parametrize("name", CUT)
def test_threads_write_the_same_bits(name):
    n = 3 * (1 << 20) + 11
    single = CUT[name].table(n)
    assert CUT[name].table(n, threads=3).tobytes() == single.tobytes()


def test_a_program_is_shared_by_threads():
    """Scratch belongs to the call: many threads on one program do not disturb each other."""
    schedule = CUT["product"]
    expected = schedule.table(TILE)
    results = []
    threads = [threading.Thread(target=lambda: results.append(schedule.table(TILE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.tobytes() == expected.tobytes() for result in results] == [True] * 8


def test_other_threads_run_during_a_fill():
    """The interpreter's lock is released: this thread goes on while another fills."""
    out = np.zeros(60_000_000, np.float32)
    worker = threading.Thread(target=SLOW.table, kwargs={"n": out.size, "out": out})
    worker.start()
    turns = 0
    while worker.is_alive():
        time.sleep(0.005)
        turns += 1
    assert turns > 3


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_a_long_fill(threads):
    """The last value is not written yet when Ctrl-C arrives, and never will be."""

    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    out = np.zeros(400_000_000, np.float32)  # seconds of work; pages that are not reached take no memory
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(KeyboardInterrupt):
            SLOW.table(out.size, out=out, threads=threads)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert out[0] == np.float32(0.1)
    assert out[-1] == 0.0


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no interval timers")
def test_an_interrupt_ends_a_long_take():
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    steps = np.zeros(100_000_000, np.int64)
    out = np.zeros(steps.size)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            program_of(SLOW).take(steps, out)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert (out[0], out[-1]) == (0.1, 0.0)


STATM = Path("/proc/self/statm")


def resident_bytes():
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="needs /proc")
def test_nothing_leaks():
    """Programs come and go, evaluations end well or badly, and memory stays where it was."""
    schedule = CUT["growing cycles"] * CUT["many parts"]
    out, wrong = np.empty(2000), np.empty(3, np.int64)

    def once():
        program = program_of(schedule)
        program.fill(0, out)
        with pytest.raises(ValueError, match="Buffer dtype mismatch"):
            program.fill(0, wrong)

    for _ in range(50):
        once()
    gc.collect()
    before = resident_bytes()
    for _ in range(300):
        once()
    gc.collect()
    # One program of these 600 parts takes some 200 KB: a hundredth of what 300 leaked ones would.
    assert resident_bytes() - before < 600_000


def test_buffers_are_kept_as_long_as_the_program():
    values = np.linspace(1.0, 0.0, 100)
    values.flags.writeable = False
    counted = sys.getrefcount(values)
    rows = [(KINDS["TABLE"], 0.0, 0.0, 0.0, 1.0, None, None, values, False, 0)]
    program = Program(rows)
    rows.clear()
    assert sys.getrefcount(values) > counted
    assert program.value(99) == 0.0
    del program
    gc.collect()
    assert sys.getrefcount(values) == counted


def test_build_info_names_the_clone():
    info = lr.build_info()
    assert set(info) == {"compiler", "clones", "active"}
    assert info["active"] in ({"x86-64-v4", "x86-64-v3", "default"} if info["clones"] else {"none"})


@pytest.mark.skipif(not (STATM.exists() and hasattr(signal, "setitimer")), reason="needs /proc and interval timers")
def test_interrupted_evaluations_leak_nothing():
    """Scratch is freed on the way out of an exception too: here one that a signal handler raises, many times."""

    class StoppedError(Exception):
        pass

    def stop(*_):
        raise StoppedError

    schedule = CUT["product"]
    for factor in range(25):
        schedule = schedule.shift(factor + 1).clip(0.0, 1.0)  # deep, so that a call takes a megabyte of scratch
    program, out = program_of(schedule), np.empty(1 << 19)

    def is_interrupted():
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.0004)
            program.fill(0, out)
        except StoppedError:
            return True
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)
        return False

    before = signal.signal(signal.SIGALRM, stop)
    try:
        first = sum(is_interrupted() for _ in range(20))
        resident = resident_bytes()
        more = sum(is_interrupted() for _ in range(100))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert first + more > 60
    assert resident_bytes() - resident < 8_000_000
