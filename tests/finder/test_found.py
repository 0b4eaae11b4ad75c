"""Probes, what a binding comes back with, texts and pictures."""

import json
import math
import re

import numpy as np
import pytest

from loss_curves import TEST, bowl
from lrcore.finder import PROBES, Found, best_probe, probe_lrs, suggest

NAN, INF = math.nan, math.inf


@pytest.fixture
def found():
    losses = bowl(runs=8)
    return Found(suggest(TEST.lrs, losses), TEST.lrs, losses)


# ---- Probes ----


def test_probes_lie_around_the_suggestion():
    assert probe_lrs(2.0).tolist() == [2.0 * factor for factor in PROBES]
    with pytest.raises(ValueError, match=r"probe_lrs: expected a number > 0, got 0\.0"):
        probe_lrs(0.0)


@pytest.mark.parametrize(
    ("losses", "best"),
    [
        ([[3.0, 3.0], [3.0, 1.0], [3.0, 2.0]], 0.2),
        ([[3.0, 3.0], [3.0, NAN], [NAN, 2.0]], 0.1),
        ([[3.0, 3.0], [3.0, -INF], [3.0, INF]], 0.1),
        ([[NAN, NAN]] * 3, 0.1),
        ([[1e308, 1e308], [1e308, 1e307], [INF, 0.0]], 0.2),
        ([[1.0, 1.0]] * 3, 0.1),  # the smallest of equals
        # The mean of the last fifth: 2, 1.55 and 4. The last ones alone would choose 0.1, all of them 0.4.
        ([[*[9.0] * 8, 2.0, 2.0], [*[1.0] * 8, 1.0, 2.1], [*[0.0] * 9, 8.0]], 0.2),
        # The worst run of each: 2.5, 3 and one that is out; the means are 2.5 and 2.
        ([[[2.5], [2.5]], [[1.0], [3.0]], [[0.0], [NAN]]], 0.1),
    ],
)
def test_the_best_probe(losses, best):
    assert best_probe([0.1, 0.2, 0.4], losses) == best
    turned = best_probe([0.4, 0.2, 0.1], losses[::-1])
    assert turned == best


@pytest.mark.parametrize(
    ("lrs", "losses", "error", "message"),
    [
        ([0.1], [1.0], ValueError, "best_probe: expected shapes (rates,) and (rates, runs, steps) or (rates, steps)"),
        ([0.1], [[1.0], [1.0]], ValueError, "got (1,) and (2, 1)"),
        ([0.1], [[]], ValueError, "got (1,) and (1, 0)"),
        ([], [[]], ValueError, "got (0,) and (1, 0)"),
        (["a"], [[1.0]], TypeError, "best_probe.lrs: expected real numbers, got an array of <U1"),
        ([0.1], [["a"]], TypeError, "best_probe.losses: expected real numbers, got an array of <U1"),
    ],
)
def test_refusals_of_probes(lrs, losses, error, message):
    with pytest.raises(error, match=re.escape(message)):
        best_probe(lrs, losses)


# ---- Texts ----


def test_what_a_user_reads(found):
    one = found.suggestion
    text = str(found)
    assert text == str(one)
    first, advice = text.splitlines()
    assert first.startswith(f"lr = {one.lr:.3g} (ok), quartiles {one.band[0]:.3g} to {one.band[1]:.3g}, stable up to ")
    assert first.endswith("; 8 runs")
    assert advice == one.advice
    assert str(suggest(TEST.lrs, bowl())).splitlines()[0].endswith("; 1 run")
    assert repr(one).startswith("Suggestion(lr=")
    assert "losses" not in repr(one)


def test_refined_and_groups(found):
    refined = Found(found.suggestion, found.lrs, found.losses, 0.5, {"0": 0.1, "1": 1.0}, {"0": (0.08, 0.13)})
    assert (found.lr, refined.lr) == (found.suggestion.lr, 0.5)
    lines = str(refined).splitlines()
    assert lines[0] == "lr = 0.5, the best of short runs around"
    assert lines[-1] == "groups: 0 = 0.1 (0.08 to 0.13), 1 = 1"


def test_as_json(found):
    told = json.loads(json.dumps(found.suggestion.to_dict(), allow_nan=False))
    assert told["lr"] == found.suggestion.lr
    assert told["per_run"] == found.suggestion.per_run.tolist()
    assert told["votes"] == found.suggestion.votes


# ---- Pictures ----


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_the_picture(found):
    one = found.suggestion
    axes = one.plot()
    lines = lines_of(axes)
    assert {*lines} == {"losses", "smoothed", f"lr = {one.lr:.3g}"}
    # Each loss stands above the rate before it, in its own unit.
    np.testing.assert_array_equal(lines["losses"].get_xdata()[:60], TEST.lrs[:60])
    np.testing.assert_array_equal(lines["losses"].get_ydata()[:60], found.losses[0, 1:61])
    assert set(lines[f"lr = {one.lr:.3g}"].get_xdata()) == {one.lr}
    assert {text.get_text() for text in axes.texts} == {rule for rule, rate in one.votes.items() if rate is not None}
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "_vote"]
    assert sorted(dots) == sorted(rate for rate in one.votes.values() if rate is not None)
    assert axes.get_xscale() == "log"
    low, high = axes.get_ylim()
    assert low < found.losses[:, 1:60].min() < 2.3 < high < 4.0  # divergence does not hide the rest
    assert axes.get_title(loc="left") == "ok"
    assert axes._repr_png_().startswith(b"\x89PNG")


def test_the_picture_of_a_refined_rate_on_axes_that_are_given(found):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    refined = Found(found.suggestion, found.lrs, found.losses, refined=0.5)
    assert refined.plot(axes) is axes
    assert set(lines_of(axes)["refined: 0.5"].get_xdata()) == {0.5}


@pytest.mark.parametrize("losses", [[], [NAN], [2.0], [2.0] * 101, [[2.0] * 101, [NAN] * 101], [1e300] * 101])
def test_pictures_of_next_to_nothing(losses):
    axes = suggest(TEST.lrs, losses).plot()
    assert axes._repr_png_().startswith(b"\x89PNG")


def test_of_many_runs_some_are_drawn():
    axes = suggest(TEST.lrs, bowl(runs=40)).plot()
    assert sum(line.get_label() in ("losses", "_losses") for line in axes.lines) == 20
