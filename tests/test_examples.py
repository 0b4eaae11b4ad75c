"""The programs of examples/, each run as a user runs it, and the numbers of its article in what it prints."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from packages import required

required("keras")
required("sklearn")
required("torch")

EXAMPLES = Path(__file__).parents[1] / "examples"
LIMIT = 240  # seconds: far more than any of them takes


def printed(name, *arguments):
    """The lines that an example prints."""
    known = {**os.environ, "KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.splitlines()


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", text)]


def one(lines, begin):
    """The line that begins so."""
    (found,) = [line for line in lines if line.startswith(begin)]
    return found.removeprefix(begin)


def test_an_example_for_each_article_is_run_here():
    here = Path(__file__).read_text()
    assert [path.name[:2] for path in sorted(EXAMPLES.glob("*.py"))] == ["a_", "b_", "c_", "d_", "e_"]
    assert all(f'"{path.name}"' in here for path in EXAMPLES.glob("*.py"))


def test_a_decays(tmp_path):
    lines = printed("a_image_classifier_decays.py", "--quick", "--out", tmp_path)
    rates = [numbers(line) for line in lines[1:12]]
    assert [row[0] for row in rates] == list(range(11))
    by_hand = [0.001 * 0.5 ** ((1 + epoch) // 5) for epoch in range(11)]
    assert [row[1] for row in rates] == by_hand
    assert [row[2] for row in rates[:7]] == [0.0001, 0.0003, 0.0005, 0.0007, 0.0009, 0.001, 0.0005]
    assert rates[0][3] == 0.000818731
    assert (rates[0][4], rates[9][4], rates[10][4]) == (0.001, 0.000323065, 0.001)
    assert "to 0.001, not towards 0.5" in one(lines, "warm-up:")
    for name in ("step  ", "step, warm-up", "exponential", "cyclic polynomial", "baseline"):
        seconds, accuracy, loss, new_accuracy, new_loss = numbers(one(lines, name))
        assert seconds > 0.0 < loss < new_loss
        assert 0.6 < new_accuracy < accuracy <= 1.0
    assert (tmp_path / "decays.png").exists()


def test_b_layer_rates_and_restarts():
    lines = printed("b_transfer_learning.py", "--quick")
    for part, rate in (("bottom", 1e-5), ("middle", 1e-4), ("head", 1e-3)):
        assert numbers(one(lines, part))[:2] == [rate, rate]
    assert numbers(one(lines, "one cosine of 200 updates:")) == [0, 0.01, 100, 0.00505, 200, 0.0001]
    assert one(lines, "SGDR, equal cycles: ") == "150 updates, restarts at 100"
    assert one(lines, "SGDR, cycles that double: ") == "350 updates, restarts at 100, 300"
    assert numbers([line for line in lines if line.startswith("  rates:")][1])[-4:] == [100, 0.01, 300, 0.01]
    for line in (line for line in lines if "snapshots" in line):
        assert numbers(line)[1] > 60.0


def test_c_piecewise_constant():
    required("tensorflow")
    lines = printed("c_tf1_piecewise_constant.py")
    values = [0.1] * 5 + [0.05] * 5 + [0.01] * 5 + [0.001] * 5
    assert lines[:20] == [f"step {step}, lr = {value:.3f}" for step, value in enumerate(values, start=1)]
    assert [numbers(line)[1] for line in lines[20:]] == [0.1, 0.1, 0.05, 0.05, 0.01, 0.01]


def test_d_dynamic_rates(tmp_path):
    lines = printed("d_dynamic_rates.py", "--quick", "--out", tmp_path)
    assert lines[0] == "parabola: 0.1 converges in 32 epochs, 0.2 * 0.99**epoch in 15"
    shown = numbers(one(lines, "rate of the last update of each epoch:"))
    assert shown == sorted(shown, reverse=True)
    assert (shown[0], shown[-1]) == (9.22e-4, 9.87e-7)
    held = numbers(one(lines, "hold, then decay:"))
    assert held == [0.01, 0.01, 0.00905, 0.00819, 0.00741, 0.0067, 0.00607]
    batches, first, last = numbers(one(lines, "finder:"))
    assert batches <= 101
    assert first == 1e-7 < last <= 10.0
    assert 1e-4 < numbers(one(lines, "lr = "))[0] < 0.3
    assert numbers(one(lines, "trained at "))[2] > 0.6
    assert {path.name for path in tmp_path.iterdir()} == {"learning_rate.png", "finder.png"}


def test_e_why_a_high_rate_fails():
    lines = printed("e_why_a_high_rate_fails.py", "--quick")
    for rate, low, high in (("1", 1.85, 2.1), ("0.01", 1.84, 1.86)):
        first, _, *later, accuracy = numbers(one(lines, f"rate {rate}:"))
        assert first > 2.0
        assert all(low < cost < high for cost in later)
        assert accuracy == pytest.approx(1 / 6, abs=5e-5)
    assert sum("dead_network at update" in line for line in lines) == 2
    for line in (line for line in lines if "begun again" in line):
        cost, accuracy, _ = numbers(line)[-3:]
        assert cost < 1.8
        assert accuracy > 0.25
    assert numbers(one(lines, "rate 0.0001: fails in")) == [0, 2]
    assert "0 alarms" in one(lines, "rate 0.001, standardised inputs:")
