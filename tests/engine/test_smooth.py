"""smooth, against its definition in 200-bit arithmetic and against the plain loop."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr

LENGTHS = [0, 1, 2, 7, 8, 9, 15, 16, 17, 511, 512, 513, 519, 520, 521, 1500]
BETAS = [0.0, 0.1, 0.5, 0.9, 0.98, 0.999]


def exact(losses, beta, bias_correction):
    """The definition, in 200 bits."""
    with mpmath.workprec(200):
        average, power, result = mpmath.mpf(0), mpmath.mpf(1), []
        for loss in losses:
            average = beta * average + (1 - mpmath.mpf(beta)) * mpmath.mpf(float(loss))
            power *= mpmath.mpf(beta)
            result.append(average / (1 - power) if bias_correction else average)
        return result


def plain(losses, beta):
    """The definition, in floats, as a loop."""
    average, result = 0.0, []
    for loss in losses:
        average = beta * average + (1.0 - beta) * loss
        result.append(average)
    return np.array(result)


def ulps(got, wanted):
    with mpmath.workprec(200):
        return max(
            (abs(mpmath.mpf(float(g)) - w) / mpmath.mpf(float(np.spacing(float(abs(w))))))
            for g, w in zip(got, wanted, strict=True)
        )


def allowed(losses, beta):
    """4 ulp, or what the plain loop is off (each rounding of the past stays for 1 / (1 - beta) steps) and 2 for the
    correction of the bias."""
    return max(4, 2 + ulps(plain(losses, beta), exact(losses, beta, False)))


@pytest.mark.parametrize("bias_correction", [True, False])
@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("n", LENGTHS)
def test_smooth_is_its_definition(n, beta, bias_correction):
    losses = np.random.default_rng(n).lognormal(size=n)
    smoothed = lr.smooth(losses, beta, bias_correction)
    assert smoothed.shape == (n,)
    if n:
        assert ulps(smoothed, exact(losses, beta, bias_correction)) <= allowed(losses, beta)


def test_many_losses():
    """Far beyond the steps that the correction of the bias reaches."""
    losses = np.random.default_rng(0).lognormal(size=20_000)
    wanted = exact(losses, 0.98, True)
    assert ulps(lr.smooth(losses, 0.98), wanted) <= 4


def test_the_first_average_is_the_first_loss():
    for beta in BETAS:
        assert lr.smooth([3.7], beta)[0] == pytest.approx(3.7, rel=2**-51, abs=0)


def test_a_constant_loss_stays_itself():
    """Where 1 - beta**n cancels, 15 bits of it: the correction keeps its accuracy."""
    losses = np.full(5000, 2.5)
    smoothed = lr.smooth(losses, 1.0 - 2.0**-15)
    assert ulps(smoothed, [mpmath.mpf(2.5)] * 5000) <= allowed(losses, 1.0 - 2.0**-15)
    assert ulps(smoothed[:8], [mpmath.mpf(2.5)] * 8) <= 4


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=32), max_size=80),
    st.sampled_from(BETAS),
)
def test_what_is_not_finite_spreads_as_in_the_loop(losses, beta):
    """From the first NaN or infinity on, the loop and smooth agree on which values are finite."""
    with np.errstate(all="ignore"):
        loop = plain(losses, beta)
    finite = np.isfinite(lr.smooth(losses, beta, bias_correction=False))
    assert finite.tolist() == np.isfinite(loop).tolist()


def test_each_run_by_itself():
    runs = np.random.default_rng(2).lognormal(size=(5, 1037))
    together = lr.smooth(runs, 0.9)
    assert together.shape == runs.shape
    for run, smoothed in zip(runs, together, strict=True):
        assert lr.smooth(run, 0.9).tobytes() == smoothed.tobytes()


@pytest.mark.parametrize("shape", [(0,), (0, 5), (5, 0)])
def test_nothing_to_smooth(shape):
    assert lr.smooth(np.empty(shape), 0.9).shape == shape


def test_any_layout_and_dtype():
    losses = np.random.default_rng(3).lognormal(size=(40, 6))
    wanted = lr.smooth(np.ascontiguousarray(losses.T), 0.9)
    assert lr.smooth(losses.T, 0.9).tobytes() == wanted.tobytes()
    readonly = np.ascontiguousarray(losses.T)
    readonly.flags.writeable = False
    assert lr.smooth(readonly, 0.9).tobytes() == wanted.tobytes()
    singles = losses[:, 0].astype(np.float32)
    assert lr.smooth(singles, 0.9).tobytes() == lr.smooth(singles.astype(np.float64), 0.9).tobytes()
    assert lr.smooth([1, 2, 3], 0.5).tobytes() == lr.smooth([1.0, 2.0, 3.0], 0.5).tobytes()


def test_into_an_array():
    losses, out = np.arange(1.0, 40.0), np.empty(39)
    assert lr.smooth(losses, 0.9, out=out) is out
    assert out.tobytes() == lr.smooth(losses, 0.9).tobytes()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0], 1.0), ValueError, r"smooth\.beta: expected a number in \[0, 1\), got 1\.0"),
        (([1.0], -0.1), ValueError, r"smooth\.beta: expected a number in \[0, 1\), got -0\.1"),
        (([1.0], float("nan")), ValueError, r"smooth\.beta: expected a finite number, got nan"),
        (([1.0], True), TypeError, r"smooth\.beta: expected a number, got True"),
        (([1.0], "0.9"), TypeError, r"smooth\.beta: expected a number, got '0\.9'"),
        ((["1"], 0.9), TypeError, r"smooth\.losses: expected real numbers, got an array of <U1"),
        (([1j], 0.9), TypeError, r"smooth\.losses: expected real numbers, got an array of complex128"),
        (([True], 0.9), TypeError, r"smooth\.losses: expected real numbers, got an array of bool"),
        ((1.0, 0.9), ValueError, r"smooth\.losses: expected shape \(steps,\) or \(runs, steps\), got \(\)"),
        ((np.ones((2, 2, 2)), 0.9), ValueError, r"smooth\.losses: expected shape .* got \(2, 2, 2\)"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        lr.smooth(*arguments)


def test_refusals_of_out():
    losses = np.ones(4)
    for wrong in (np.empty(3), np.empty(4, np.float32), [0.0] * 4):
        with pytest.raises(ValueError, match=r"smooth\.out: expected a float64 array of shape \(4,\)"):
            lr.smooth(losses, 0.9, out=wrong)
    with pytest.raises(ValueError, match=r"smooth\.out: expected .* does not overlap"):
        lr.smooth(losses, 0.9, out=losses)
    with pytest.raises(ValueError, match=r"smooth\.out: expected a C-contiguous"):
        lr.smooth(losses, 0.9, out=np.empty(8)[::2])
