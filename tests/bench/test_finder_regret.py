"""The regret benchmark: its trainings are PyTorch's, its figures those of a hand, and a tiny run goes through."""

import json
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench import finder_choice, finder_regret, finder_scoring as scoring, finder_tasks, finder_training as training
from bench.finder_training import Size
from packages import required

required("sklearn")

TINY = Size(grid=4, seeds=1, runs=4, share=0.02)
TASKS = {task.name: task for task in finder_tasks.TASKS}
SOME = [TASKS["logistic"], TASKS["regression"], replace(TASKS["logistic"], name="again")]

OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "momentum": lambda weights, lr: torch.optim.SGD(weights, lr, momentum=0.9),
    "adam": torch.optim.Adam,
}


def alone(task, optimizer, rates, seed):
    """One replica by a loop of PyTorch's own."""
    weights = task.start([seed]).requires_grad_()
    update = OPTIMIZERS[optimizer]([weights], lr=rates[0])
    data, losses = task.data(), []
    for rate, at in zip(rates, training.orders(task, [seed], len(rates))[:, 0], strict=True):
        update.param_groups[0]["lr"] = rate
        update.zero_grad()
        loss = task.losses(weights, data.inputs[at][None], data.targets[at][None])[0]
        loss.backward()
        update.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", TASKS)
def test_replicas_train_as_each_does_alone(name, optimizer):
    """Also beside one that diverges at once."""
    task = TASKS[name]
    rates = np.array([np.geomspace(1e-3, 1e-2, 6), np.full(6, 1e30), np.geomspace(1e-2, 1e-3, 6)])
    losses, _ = training.train(task, optimizer, rates, [3, 3, 5])
    for row, seed in ((0, 3), (2, 5)):
        expected = alone(task, optimizer, rates[row].tolist(), seed)
        # Sums of other order: a few ulp of float32, carried through six updates.
        np.testing.assert_allclose(losses[row], expected, rtol=1e-4)


def test_filters_are_those_of_a_convolution():
    random = torch.Generator().manual_seed(1)
    images = torch.randn(2, 5, 8, 8, 3, generator=random)
    weights = {"w0": torch.randn(2, 27, 4, generator=random), "b0": torch.randn(2, 4, generator=random)}
    found = finder_tasks.filtered(weights, 0, finder_tasks.patches(images))
    for replica in range(2):
        kernel = weights["w0"][replica].view(3, 3, 3, 4).permute(3, 2, 0, 1)
        expected = functional.conv2d(
            images[replica].permute(0, 3, 1, 2), kernel, weights["b0"][replica], stride=2, padding=1
        ).relu()
        torch.testing.assert_close(found[replica], expected.permute(0, 2, 3, 1))


def test_a_letter_is_told_by_those_before_it_only():
    task = TASKS["transformer"]
    weights = dict(zip(task.weights, task.start([1]).split(task.sizes, dim=1), strict=True))
    weights = {name: weights[name].unflatten(1, shape) for name, (shape, _) in task.weights.items()}
    letters = task.data().inputs[None, :2].clone()
    before = finder_tasks.transformer(weights, letters)
    letters[:, :, 10] = letters[:, :, 10].roll(1, -1)
    changed = (finder_tasks.transformer(weights, letters) != before).any(-1).all(1)[0]
    assert not changed[:10].any()
    assert changed[10]


@pytest.mark.parametrize("name", TASKS)
def test_data_is_split(name):
    data = TASKS[name].data()
    assert abs(len(data.inputs) - 2 * len(data.valid_inputs)) <= 2
    assert data.inputs.isfinite().all()


def test_seeds_share_weights_and_order_where_they_should():
    task = TASKS["logistic"]
    rates = np.full((3, 4), 1e-3)
    losses, _ = training.train(task, "sgd", rates, [1, 2, 1], starts=[1, 1, 7])
    assert losses[0, 0] != losses[1, 0]
    orders = training.orders(task, [1, 2], 40)
    assert sorted(orders[:, 0].flatten()[: len(task.data().inputs)].tolist()) == list(range(len(task.data().inputs)))
    assert (orders[:, 0] != orders[:, 1]).any()
    tests = training.range_tests(task, "sgd", "one start", Size(runs=2))
    assert tests.shape == (2, 200)


def test_course_of_one_cycle():
    course = training.shape("one-cycle", 8)
    np.testing.assert_allclose(course[:3], [1 / 25, (1 + 1 / 25) / 2, 1.0], rtol=1e-15)
    np.testing.assert_allclose(course[5], math.cos(math.pi / 4) ** 2, rtol=1e-15)


def curves_of(losses, start):
    one = [TASKS["logistic"]]
    found = {f"logistic/{o}/{s}": np.array(losses) for o in training.OPTIMIZERS for s in training.SCHEDULES}
    return one, found | {"logistic/start": np.array(start)}


def test_regret_by_hand():
    tasks, curves = curves_of([5.0, 3.0, 1.0, 50.0], start=5.0)
    truth = scoring.truth_of(curves, tasks)  # rates 1e-5, 1e-3, 1e-1, 10
    rates = np.tile([1e-5, 1e-2, 1e-1, 1.0, 1e3, np.nan], (1, 3, 1))
    found = scoring.regrets_of(truth, rates)
    np.testing.assert_allclose(found[0, 0, 0], [1.0, 0.25, 0.0, 1.0, 2.0, 1.0], atol=1e-15)
    row = scoring.judged(truth, rates, found)
    assert row["regret"] == pytest.approx(5.25 / 6)
    assert row["difference"] == 0.0
    assert row["silent"] == pytest.approx(1 / 6)
    assert row["share_above_half"] == pytest.approx(4 / 6)
    assert row["bias"] == pytest.approx((-4 - 1 + 0 + 1 + 4) / 5)


def test_intervals_are_those_of_drawn_tasks():
    """Of two tasks and one group, a mean is one of three numbers, a quarter, a half and a quarter of the times."""
    regrets = np.concatenate([np.zeros((1, 3, 2, 1)), np.ones((1, 3, 2, 1))])
    tasks = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    means = scoring.draws(np.random.default_rng(0), regrets, tasks)
    np.testing.assert_array_equal(means, [0.0, 0.5, 0.5, 1.0])


def test_a_tiny_run_writes_its_results(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(finder_regret, "TASKS", SOME)
    monkeypatch.setattr(finder_regret, "QUICK", TINY)
    monkeypatch.setattr(finder_regret, "collect", in_this_process)
    for name, (begin, end, _) in training.RANGES.items():
        monkeypatch.setitem(training.RANGES, name, (begin, end, 25))
    curves = tmp_path / "curves.npz"
    monkeypatch.setattr(sys, "argv", ["finder_regret", "--quick", "--out", str(tmp_path), "--curves", str(curves)])
    finder_regret.main()
    assert "| lrcore, 8 restarts, refined |" in capsys.readouterr().out
    written = json.loads((tmp_path / "finder_regret.json").read_text())
    assert written["quick"]
    assert len(written["targets"]) == 5
    assert "MISSED" in (tmp_path / "finder_regret.md").read_text() or all(goal["met"] for goal in written["targets"])
    assert (tmp_path / "finder_regret.png").stat().st_size > 10_000

    monkeypatch.setattr(sys, "argv", ["finder_regret", "--choose", "--quick", "--curves", str(curves)])
    curves.unlink()
    finder_regret.main()
    assert "COMMITTEE = (" in capsys.readouterr().out


def in_this_process(tasks, size, _):
    return {key: value for task in tasks for key, value in training.measured(task, size).items()}


def test_ways_of_choosing():
    scores = np.arange(len(finder_choice.RULES), dtype=float)
    chosen = [finder_choice.RULES[rule] for rule in finder_choice.Way(3, 4.0).chosen(scores)]
    assert [rule.width for rule in chosen] == [4.0] * 3
    assert [rule.feature for rule in chosen] == list(finder_choice.FEATURES[:3])


def test_short_runs_are_compared_by_their_ends():
    losses = np.array(
        [[[9.0, 2.0, 2.0], [9.0, 2.0, 8.0]], [[9.0, 8.0, 4.0], [9.0, 8.0, 4.0]], [[9.0, np.nan, 0.0]] * 2]
    )
    assert finder_choice.Comparison(2, 3, 0.0, "mean").best(losses) == 1
    assert finder_choice.Comparison(2, 3, 0.67, "mean").best(losses) == 0
    assert finder_choice.Comparison(1, 3, 0.0, "mean").best(losses) == 0
    assert finder_choice.Comparison(2, 2, 0.0, "worst").best(losses) == 0
