"""The benchmark of failing runs: its data, how it counts, and the forum's number in a short run."""

import json
import math
import sys

import numpy as np
import pytest

from bench import high_lr
from bench.high_lr import Judged, counted, figures, told_apart
from bench.high_lr_tasks import BATCH, FORUM, OTHERS, TASKS, Outcome, Setting, batches, batches_per_epoch, images, words
from packages import imported


def judged(lr, learnt, alarm=None, step=None, direction=None, task="digits, MLP"):
    accuracy = 0.1 if learnt < 0.05 else 0.9
    outcome = Outcome((1.0 - learnt) * 2.0, accuracy, 2.0, 0.1)
    return Judged(Setting(task, "sgd", lr, 0, 10), outcome, alarm, step, alarm or "healthy", direction, None)


# A family: too low, slow, best, healthy, and two that are too high, of which one was not noticed.
FAMILY = [
    judged(1e-5, 0.01, "stuck_at_prior", 200, "too_low"),
    judged(1e-3, 0.3),
    judged(1e-2, 0.9),
    judged(1e-1, 0.6, "exploding", 30, "too_high"),
    judged(1.0, 0.0, "dead_network", 10, "too_high"),
    judged(10.0, -math.inf),
]


def test_the_images_are_those_of_the_forum_as_far_as_it_matters():
    """1080 of 12288 numbers in [0, 1], six classes alike, 34 batches; and bright, by which Adam moves a unit."""
    raw, standardised = images(False), images(True)
    assert raw.inputs.shape == (1080, 12288)
    assert (raw.inputs.min(), raw.inputs.max()) == (0.0, 1.0)
    assert raw.counts.tolist() == [180] * 6
    assert raw.entropy == pytest.approx(math.log(6), rel=1e-15)
    assert abs(raw.inputs).sum(axis=1).mean() == pytest.approx(8570, rel=0.02)
    assert np.allclose(standardised.inputs.std(axis=0), 1.0, atol=1e-3)
    assert batches_per_epoch(raw) == 34


def test_the_entropy_of_labels():
    data = TASKS["tumours, logistic"][0]()
    shares = np.array([212, 357]) / 569
    assert data.entropy == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-12)


def test_the_class_of_words_follows_the_first_0():
    data = words()
    letters = data.inputs.astype(int).tolist()
    assert all(row[row.index(0) + 1] == label for row, label in zip(letters, data.labels.tolist(), strict=True))


def test_batches_are_epochs_in_other_orders():
    rows = list(batches(70, 6, seed=3))
    assert [len(row) for row in rows] == [BATCH, BATCH, 6] * 2
    assert [sorted(np.concatenate(part)) for part in (rows[:3], rows[3:])] == [list(range(70))] * 2
    assert rows[0].tolist() != rows[3].tolist()


@pytest.mark.parametrize("task", [*FORUM, *OTHERS])
def test_a_net_takes_its_data(task):
    torch = imported("torch")
    data, net = TASKS[task][0](), TASKS[task][1]()
    assert net(torch.from_numpy(data.inputs[:4])).shape == (4, len(data.counts))


def test_how_a_run_ended():
    assert [run.ended for run in FAMILY] == ["failed", "slow", "healthy", "healthy", "failed", "failed"]
    lucky = Outcome(1.99, 0.5, 2.0, 0.1)  # hardly any loss less, but often right
    assert lucky.verdict == "slow"


def test_what_is_counted():
    assert counted(FAMILY) == {
        "failed": 3,
        "failed_with_alarm": 2,
        "healthy": 2,
        "healthy_with_alarm": 1,
        "slow": 1,
        "slow_with_alarm": 0,
        "median_step": 105,
        "last_step": 200,
    }
    assert told_apart(FAMILY) == {"too_high": [1, 2], "too_low": [1, 1]}


def test_targets():
    good = [run for run in FAMILY if run.alarm is None or run.ended == "failed"][:-1]
    healthy = good[2:3]
    met = figures(good[-1:] + healthy * 49, good + healthy * 199)["met"]
    assert met == dict.fromkeys(met, True)
    few = figures(good[-1:] + healthy * 48, good + healthy * 198)["met"]
    assert [name for name, is_met in few.items() if not is_met] == ["enough_forum", "enough_others"]
    met = figures(FAMILY, FAMILY)["met"]
    assert met == dict.fromkeys(met, False)


def test_the_command_prints_the_table_of_the_forum(monkeypatch, tmp_path, capsys):
    """The raw images at 0.01: 1.847, the entropy of six classes times 34 / 33, and a dead net."""
    monkeypatch.setattr(high_lr, "FORUM", FORUM[:1])
    path = tmp_path / "table.json"
    monkeypatch.setattr(sys, "argv", ["high_lr", "--quick", "--framework", "torch", "--json", str(path)])
    high_lr.main()
    written = json.loads(path.read_text())
    (row,) = written["table"]
    assert row["cost"] == pytest.approx(math.log(6) * 34 / 33, abs=0.002)
    assert (row["verdict"], row["dead"]) == ("dead_network", 1.0)
    assert row["mended_accuracy"] > 0.4 > row["accuracy"]
    assert {"commit", "libraries"} <= set(written)
    assert "dead_network" in capsys.readouterr().out
