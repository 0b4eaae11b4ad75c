"""The rules of other libraries, against these libraries themselves on the same losses."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from loss_curves import TEST, bowl
from lrcore._published import RULES, Article
from lrcore.finder import PUBLISHED, published
from packages import required
from processes import answer

for package in ("torch", "lightning", "ignite", "fastai", "torch_lr_finder"):
    required(package)

STEPS = 100
NAN, INF = math.nan, math.inf
CURVES = {
    "constant": [2.0] * STEPS,  # nothing stops it: every library's own rates
    "smooth": bowl(noise=0.0)[0, :STEPS].tolist(),
    "noisy": bowl(noise=0.1, seed=1)[0, :STEPS].tolist(),
    "very noisy": bowl(noise=0.5, seed=2)[0, :STEPS].tolist(),
    "no divergence": bowl(best=1e3, seed=3)[0, :STEPS].tolist(),
    "late": bowl(best=1.0, seed=4)[0, :STEPS].tolist(),
    "NaN": [*bowl(seed=5)[0, :60].tolist(), *[NAN] * 40],
    "infinity": [*bowl(seed=6)[0, :70].tolist(), *[INF] * 30],
    "NaN at first": [NAN] * STEPS,
    "early end": [2.0, 1.9, 1.8, 1.7, 1e6, *[1e9] * 95],
    "negative": (bowl(seed=7)[0, :STEPS] - 5.0).tolist(),
    "zeros": [1.0] * 20 + [0.0] * 80,
}
LIBRARIES = {
    "fastai-valley": ("fastai", "valley"),
    "fastai-slide": ("fastai", "slide"),
    "fastai-steep": ("fastai", "steep"),
    "fastai-minimum": ("fastai", "minimum"),
    "lightning": ("lightning", ""),
    "lightning-2.5.2": ("lightning", "2.5.2"),
    "torch-lr-finder": ("torch-lr-finder", ""),
    "ignite": ("ignite", ""),
}


@pytest.fixture(scope="module")
def told():
    """What each library records and suggests, for each curve."""
    said = answer("finder/peers.py", list(CURVES.values()))
    return {library: dict(zip(CURVES, ones, strict=True)) for library, ones in said.items()}


@pytest.fixture
def ladder(told):
    """The rates of a library."""
    return lambda library: np.array(told[library]["constant"]["lrs"])


def test_every_rule_has_a_library():
    assert {*LIBRARIES, "keras-callback"} == set(PUBLISHED)


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("rule", [name for name in LIBRARIES if name != "lightning-2.5.2"])
def test_what_is_recorded(rule, curve, told):
    library, _ = LIBRARIES[rule]
    record = RULES[rule].record()
    for loss in CURVES[curve]:
        if record.observe(loss):
            break
    np.testing.assert_array_equal(record.values, told[library][curve]["recorded"][:STEPS])


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("rule", LIBRARIES)
def test_what_is_suggested(rule, curve, told, ladder):
    library, name = LIBRARIES[rule]
    losses = CURVES[curve] + CURVES[curve][-1:]  # ignite makes an update more than it was told to
    suggestion = published(rule, ladder(library), losses)
    wanted = told[library][curve]["suggestions"][name]
    if library == "fastai" and wanted is not None:  # its rates are float32
        divisor = RULES[rule].divisor
        suggestion = float(np.float32(suggestion * divisor)) / divisor
    assert suggestion == wanted


# ---- The callback, which is in no package ----


def article(losses, start_lr=1e-7, end_lr=10, max_steps=100, smoothing=0.9):
    """The callback's formulas, as a loop over batches; its rates and recorded losses."""
    avg, best, lrs, recorded = 0, None, [], []
    for t, loss in enumerate(losses):
        lr = start_lr * (end_lr / start_lr) ** (t / max_steps)
        stop = t == max_steps
        if loss:
            avg = smoothing * avg + (1 - smoothing) * loss
            value = avg / (1 - smoothing ** (t + 1))
            lrs.append(lr)
            recorded.append(value)
            if t == 0 or loss < best:
                best = loss
            stop = stop or value > 4 * best or math.isnan(value)
        if stop:
            break
    return lrs, recorded


LONGER = {name: [*losses, *losses[-1:] * 5] for name, losses in CURVES.items()}


@pytest.mark.parametrize("curve", LONGER)
def test_the_callback(curve):
    losses = LONGER[curve]
    record = Article(smoothing=0.9, max_steps=100)
    for loss in losses:
        if record.observe(loss):
            break
    lrs, recorded = article(losses)
    np.testing.assert_array_equal(record.values, recorded)
    assert [record.rate(place, 1e-7, 10) for place in record.places] == lrs
    if not np.isnan(recorded[0]):
        ladder = np.array([record.rate(t, 1e-7, 10) for t in range(101)])
        assert published("keras-callback", ladder, losses[:101]) == lrs[np.nanargmin(recorded)] / 10


# ---- Whatever comes ----

any_floats = st.lists(st.floats(), max_size=60)


@given(any_floats, st.sampled_from(PUBLISHED))
@settings(max_examples=300, deadline=None)
def test_any_losses(losses, rule):
    found = published(rule, TEST.lrs, losses)
    assert found is None or 1e-8 <= found <= 10.0
    assert found == published(rule, TEST.lrs, losses)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fastai", TEST.lrs, [1.0]), r"published\.name: expected one of fastai-valley, .* got 'fastai': did you mean"),
        (("ignite", [0.2, 0.1], [1.0]), r"published\.lrs: expected rates > 0, each larger than the one before"),
        (("ignite", TEST.lrs, bowl(runs=2)), r"published\.losses: expected one run, shape \(n,\), got 2 runs"),
        (("ignite", [0.1], [1.0] * 3), r"published\.losses: expected at most 2 losses a run, got 3"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        published(*arguments)
