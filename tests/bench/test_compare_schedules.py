"""The comparison of schedules: its formulas are the article's, its statistics scipy's, and a small run goes through."""

import gzip
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import compare_parabola as parabola, compare_schedules, compare_statistics as statistics
from bench.compare_report import claim
from bench.compare_training import COURSES, EPOCHS, FASHION_FILES, SAME, article_scheduler, hold_then_decay, images
from packages import imported, required

required("sklearn")
os.environ.setdefault("KERAS_BACKEND", "torch")  # for the first import of Keras, which may be one of these
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

FORMULAS = {
    "baseline": lambda p, _: p,
    "step": lambda p, e: p * 0.5 ** ((1 + e) // 5),
    "exponential": lambda p, e: p * math.exp(-0.2 * (e + 1)),
    "cyclic polynomial": lambda p, e: (p - p / 100) * (1 - (e % 10) / 10) ** 0.5 + p / 100,
}


# ---- Schedules ----


@pytest.mark.parametrize("name", FORMULAS)
def test_the_articles_formulas(name):
    """Of epochs, and the same in every update of an epoch."""
    by_hand = [FORMULAS[name](SAME, epoch) for epoch in range(EPOCHS)]
    np.testing.assert_allclose(COURSES[name].made(SAME).table(EPOCHS), by_hand, rtol=1e-14)
    updates = COURSES[name].bound(SAME, EPOCHS, 3).table(3 * EPOCHS).reshape(EPOCHS, 3)
    assert updates.tolist() == np.repeat(COURSES[name].made(SAME).table(EPOCHS)[:, None], 3, axis=1).tolist()


@pytest.mark.parametrize("name", COURSES)
def test_peaks(name):
    """The highest rate is the peak, but for the exponential decay of the article, which begins below it."""
    table = COURSES[name].bound(0.25, EPOCHS, 15).table(15 * EPOCHS)
    assert table.max() == (0.25 if name != "exponential" else table[0])
    assert table.min() >= 0.0


def test_the_ends_of_those_that_are_bound_to_the_run():
    tables = {name: COURSES[name].bound(1.0, EPOCHS, 15).table(15 * EPOCHS + 1) for name in COURSES}
    assert [tables[name][-1] for name in ("one-cycle", "warm-up-cosine", "WSD")] == [1 / 25 / 1e4, 0.0, 0.0]
    assert tables["WSD"][30:481].min() == 1.0 > max(tables["WSD"][29], tables["WSD"][481])
    assert (np.flatnonzero(np.diff(tables["SGDR"]) > 0) + 1).tolist() == [150, 300, 450, 600]
    assert tables["one-cycle"].argmax() == 180


def test_hold_then_decay_is_the_articles_function():
    rates = [0.01]
    for epoch in range(15):
        rates.append(article_scheduler(epoch, rates[-1]))
    np.testing.assert_allclose(hold_then_decay(0.01).table(15), rates[1:], rtol=1e-14)


# ---- Statistics ----


def test_differences_are_those_of_a_paired_t_test():
    stats = imported("scipy.stats")
    random = np.random.default_rng(0)
    ours, others = random.normal(0.3, 1.0, 10), random.normal(0.0, 1.0, 10)
    peer = stats.ttest_rel(ours, others)
    found = statistics.difference(ours - others)
    assert found["p"] == pytest.approx(peer.pvalue, rel=1e-12)
    assert found["interval"] == pytest.approx(list(peer.confidence_interval(0.95)), rel=1e-12)
    assert statistics.difference(np.zeros(5)) == {"mean": 0.0, "interval": [0.0, 0.0], "p": 1.0}


def test_holms_correction_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], rel=1e-15)
    assert statistics.holm([0.9, 0.7]) == [1.0, 1.0]


def test_what_differs_and_what_is_best():
    random = np.random.default_rng(1)
    noise = {name: random.normal(0.0, 0.01, 8) for name in "abc"}
    values = {"a": noise["a"], "b": 1.0 + noise["b"], "c": 1.0 + noise["c"]}
    against = statistics.against_baseline(values, "a")
    assert {name: row["significant"] for name, row in against.items()} == {"b": True, "c": True}
    assert statistics.best(values, higher=False) == {"name": "a", "significant": True, "not_told_from": []}
    leader = statistics.best(values, higher=True)
    assert {leader["name"], *leader["not_told_from"]} == {"b", "c"}
    assert not leader["significant"]


def test_changes_at_restarts_by_hand():
    """Two seeds of seven epochs, with restarts at 2 and 4: changes there of -1 and -3, and of +1 and -1."""
    curves = np.array([[9.0, 5.0, 4.0, 4.5, 1.5, 1.5, 2.0], [9.0, 5.0, 6.0, 6.5, 5.5, 5.5, 6.0]])
    found = statistics.at_restarts(curves, [2, 4])
    assert found["change"]["mean"] == pytest.approx(-1.0)
    assert found["elsewhere"]["mean"] == pytest.approx((0.5 + 0.0 + 0.5) / 3)
    assert found["excess"]["mean"] == pytest.approx(-4 / 3)
    assert found["by_restart"] == [0.0, -2.0]
    assert found["fell"] == 0.75
    assert statistics.direction(found) == "unclear"
    assert statistics.both_fell(curves, -curves, [2, 4]) == {"at_restarts": 0.0, "elsewhere": 0.0}
    assert statistics.both_fell(curves, curves, [2, 4]) == {"at_restarts": 0.75, "elsewhere": 0.0}


@pytest.mark.parametrize(
    ("says", "verdict"),
    [(("falls", "falls"), "holds"), (("falls", "rises"), "does not hold"), (("unclear", "falls"), "does not hold")],
)
def test_the_verdict_on_the_claim(says, verdict):
    about = {"schedule": "cyclic polynomial", "framework": "torch", "rate": "same"}
    shares = {"both_fell": {"at_restarts": 0.5, "elsewhere": 0.25}}
    rows = [{**about, **shares, "metric": m, "says": s} for m, s in zip(("val_acc", "val_loss"), says, strict=True)]
    assert f"**{verdict}**" in claim(rows)


# ---- The parabola ----


@pytest.mark.parametrize(
    ("share", "constant", "shrinking"), [(1e-3, 31, 15), (0.01 / 10.5, 32, 15), (1e-2 / 15, 33, 16)]
)
def test_epochs_on_a_parabola(share, constant, shrinking):
    """What is left is a product of 1 - 2 lr, each of which is an epoch."""
    left, rate, counts = [1.0, 1.0], 0.2, [0, 0]
    while left[0] >= share:
        left[0], counts[0] = left[0] * 0.8, counts[0] + 1
    while left[1] >= share:
        left[1], rate, counts[1] = left[1] * (1.0 - 2.0 * rate), rate * 0.99, counts[1] + 1
    assert counts == [constant, shrinking]
    assert [parabola.epochs_to(schedule, 1.0, share) for schedule in parabola.RATES.values()] == counts
    assert parabola.by_logarithm(share) == constant


def test_the_shares_for_which_the_articles_counts_come_out():
    low, high = parabola.window()
    for share, counts in ((low, (32, 16)), (low * 1.001, (32, 15)), (high, (32, 15)), (high * 1.001, (31, 15))):
        assert tuple(parabola.epochs_to(one, 1.0, share) for one in parabola.RATES.values()) == counts


# ---- Images and runs ----


def test_a_seed_splits_the_digits_into_halves():
    first, again, other = images("digits", 0), images("digits", 0), images("digits", 1)
    assert len(first.labels) == len(first.valid_labels) == 898
    assert np.array_equal(first.inputs, again.inputs)
    assert not np.array_equal(first.labels, other.labels)
    assert abs(np.bincount(first.labels) - np.bincount(first.valid_labels)).max() <= 1


def test_fashion_mnist_is_read_as_keras_has_it_and_never_fetched(monkeypatch, tmp_path):
    keras = imported("keras")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"--data fashion-mnist: .*got none of {FASHION_FILES[0]}, "):
        images("fashion-mnist", 0)
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for name, count in zip(FASHION_FILES, (60, 60, 20, 20), strict=True):
        pixels = np.full(count * 784, 255, np.uint8) if "images" in name else np.arange(count, dtype=np.uint8) % 10
        with gzip.open(folder / name, "wb") as file:
            file.write(bytes(16 if "images" in name else 8) + pixels.tobytes())
    assert [len(part[1]) for part in keras.datasets.fashion_mnist.load_data()] == [60, 20]
    found = images("fashion-mnist", 0)
    assert found.inputs.shape == (40, 28, 28, 1)
    assert found.inputs.dtype == np.float32
    assert found.inputs.min() == 1.0


def test_a_quick_run_writes_its_results(monkeypatch, tmp_path, capsys):
    imported("keras")
    monkeypatch.setattr(sys, "argv", ["compare_schedules", "--quick", "--workers", "0", "--out", str(tmp_path)])
    compare_schedules.main()
    assert "| model | seconds | acc | loss | val_acc | val_loss |" in capsys.readouterr().out
    found = json.loads((tmp_path / "compare_schedules.json").read_text())
    assert found["quick"]
    peaks = {"found": None, "same": SAME}
    for framework, rates in found["tables"].items():
        for rate, table in rates.items():
            assert list(table["models"]) == ["baseline", "cyclic polynomial"]
            peak = peaks[rate] or found["peaks"][framework]["values"][0]
            used = found["curves"][f"{framework}/{rate}/cyclic polynomial"]["lr"]
            by_hand = [FORMULAS["cyclic polynomial"](peak, epoch) for epoch in range(12)]
            np.testing.assert_allclose(used, by_hand, rtol=np.finfo(np.float32).eps)
    assert {row["says"] for row in found["restarts"]} <= {"falls", "rises", "unclear"}
    # Where the rate is multiplied epoch by epoch, each of five products and the first rate are rounded to float32.
    assert all(row["largest_difference"] <= 6 * np.finfo(np.float32).eps / 2 for row in found["held"])
    written = (tmp_path / "compare_schedules.md").read_text()
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert len(pictures) == 6
    assert all(f"]({name})" in written for name in pictures)


def test_it_runs_as_a_file(tmp_path):
    script = Path(compare_schedules.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "--seeds", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--seeds: expected at least 2, got 1" in done.stderr
