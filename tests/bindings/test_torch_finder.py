"""lrcore.bindings.torch.find_lr: what it trains, at which rates, on which batches, and what it says of it."""

import copy
import sys
import threading
from itertools import repeat

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch_finder_tasks import BATCHES, INPUTS, LOSS, TARGETS, found_by, linear, sgd

import lrcore as lr
from lrcore.bindings.torch import Scheduler, find_lr, finder
from lrcore.finder import PROBE_STEPS, RangeTest, best_probe, probe_lrs

# ---- The rates ----


def by_hand(model, optimizer, batches, lrs, accumulate=1):
    """A range test as it stands in a tutorial: the loss, then the update; and the loss after the last one."""
    losses = []
    for rate in [*lrs, None]:
        total = 0.0
        optimizer.zero_grad()
        for _ in range(accumulate):
            inputs, targets = next(batches)
            loss = LOSS(model(inputs), targets)
            (loss / accumulate).backward()
            total += loss.item()
        losses.append(total / accumulate)
        if rate is None or sorted(losses[-5:])[len(losses[-5:]) // 2] > 4 * losses[0]:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate * group["ratio"]
        optimizer.step()
    return losses


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("end_lr", [0.1, 1000.0])
def test_the_losses_are_those_of_a_range_test_by_hand(accumulate, end_lr):
    """Of one batch again and again, so that there is one order."""
    test = RangeTest(1e-3, end_lr, steps=20)
    model = linear()
    groups = [
        {"params": [model.weight], "lr": 0.02, "ratio": 0.02 / 0.1},
        {"params": [model.bias], "lr": 0.1, "ratio": 1.0},
    ]
    optimizer = torch.optim.SGD(groups, momentum=0.5)
    found = found_by(model, optimizer, loader=BATCHES[:1], test=test, accumulate=accumulate)
    twin = copy.deepcopy(optimizer)
    twin_model = linear()
    for group, parameter in zip(twin.param_groups, (twin_model.weight, twin_model.bias), strict=True):
        group["params"] = [parameter]
    losses = by_hand(twin_model, twin, iter(BATCHES[:1] * 100), test.lrs, accumulate)
    assert found.losses.tolist() == [losses]
    assert found.lrs.tolist() == test.lrs.tolist()
    assert (len(losses) == 21) == (end_lr == 0.1)


def rates_of(optimizer, **options):
    """The rates of the groups at each update."""
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append([float(group["lr"]) for group in optimizer.param_groups]))
    found_by(options.pop("model"), optimizer, **{"test": RangeTest(1e-3, 0.1, steps=5), **options})
    return np.array(seen)


def grouped(model, first, second, **options):
    groups = [{"params": [model.weight], **first}, {"params": [model.bias], **second}]
    return torch.optim.SGD(groups, **{"lr": 0.1, **options})


def test_groups_keep_their_ratios():
    lrs = RangeTest(1e-3, 0.1, steps=5).lrs
    model = linear()
    plain = rates_of(grouped(model, {"lr": 0.05}, {"lr": 0.5}), model=model)
    assert plain.tolist() == np.stack([lrs * (0.05 / 0.5), lrs], axis=1).tolist()
    scaled = rates_of(grouped(model, {"lr_scale": 2.0}, {}), model=model)
    assert scaled.tolist() == np.stack([2 * lrs, lrs], axis=1).tolist()
    tensors = grouped(model, {"lr": torch.tensor(0.25)}, {"lr": torch.tensor(0.125)})
    assert rates_of(tensors, model=model).tolist() == np.stack([lrs, 0.5 * lrs], axis=1).astype(np.float32).tolist()


def test_groups_that_are_at_0_have_the_ratios_of_their_first_rates():
    model = linear()
    optimizer = grouped(model, {"lr": 0.5}, {"lr": 0.25})
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda update: update / 10)
    assert optimizer.param_groups[0]["lr"] == 0.0
    seen = rates_of(optimizer, model=model)
    assert (seen[:, 1] / seen[:, 0]).tolist() == [0.5] * 5
    assert scheduler.get_last_lr() == [0.0, 0.0]
    zero = rates_of(sgd(linear(), lr=0.0), model=linear())
    assert zero[:, 0].tolist() == RangeTest(1e-3, 0.1, steps=5).lrs.tolist()


def test_a_scheduler_of_ours_is_not_disturbed():
    model = linear()
    optimizer = sgd(model)
    scheduler = Scheduler(optimizer, lr.Linear(0.4, 0.0, 4))
    found_by(model, optimizer)
    rates = []
    for _ in range(4):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates == lr.Linear(0.4, 0.0, 4).table(4).tolist()


def test_other_optimizers_rise_in_proportion():
    model, other = linear(), linear()
    first, second = sgd(model, lr=0.2), sgd(other, lr=0.05)
    seen = []
    for optimizer in (first, second):
        optimizer.register_step_pre_hook(lambda own, *_: seen.append(own.param_groups[0]["lr"]))

    def loss_fn(outputs, targets):
        return LOSS(outputs + other(torch.ones(4, dtype=torch.float64)), targets)

    before = copy.deepcopy(other.state_dict())
    found_by(model, first, loss_fn, others=[second], test=RangeTest(1e-3, 0.1, steps=5))
    assert np.array(seen[1::2]).tolist() == (0.25 * np.array(seen[::2])).tolist()
    assert all(torch.equal(before[name], one) for name, one in other.state_dict().items())


# ---- The data ----


def test_each_run_has_an_order_of_its_own_and_always_the_same():
    for loader in (BATCHES, DataLoader(TensorDataset(INPUTS, TARGETS), 8, shuffle=True)):
        model = linear()
        torch.manual_seed(1)
        first = found_by(model, sgd(model), loader=loader, restarts=4)
        torch.manual_seed(2)
        again = found_by(model, sgd(model), loader=loader, restarts=4)
        other = found_by(model, sgd(model), loader=loader, restarts=4, seed=1)
        assert len({*first.losses[:, 0]}) > 1
        np.testing.assert_array_equal(first.losses, again.losses)
        assert first.losses[:, :9].tolist() != other.losses[:, :9].tolist()


def test_runs_in_the_same_order_begin_at_different_places():
    model = linear()
    found = found_by(model, sgd(model), loader=DataLoader(TensorDataset(INPUTS, TARGETS), 8), restarts=5)
    first = [LOSS(model(inputs), targets).item() for inputs, targets in BATCHES]
    assert found.losses[:, 0] == pytest.approx(first)


class Numbers(IterableDataset):
    """Three batches without a length."""

    def __iter__(self):
        yield from zip(INPUTS[:24], TARGETS[:24], strict=True)


def as_dicts():
    return [{"inputs": inputs, "labels": targets} for inputs, targets in BATCHES]


class Labelled(nn.Linear):
    """A model that gives its loss, as Transformers' do."""

    form = dict

    def forward(self, inputs, labels=None):
        loss = LOSS(super().forward(inputs), labels)
        return {dict: {"loss": loss}, tuple: (loss, None), torch.Tensor: loss}[self.form]


def labelled(form):
    torch.manual_seed(2)
    model = Labelled(4, 1).double()
    model.form = form
    return model


class Halves(nn.Linear):
    """A model of two inputs."""

    def forward(self, left, right):
        return super().forward(torch.cat([left, right], dim=1))


def halves():
    torch.manual_seed(2)
    return Halves(4, 1).double()


def pairs(form):
    return [(form(inputs[:, :1], inputs[:, 1:]), targets) for inputs, targets in BATCHES]


KINDS = {
    "pairs": (linear, LOSS, BATCHES),
    "lists": (linear, LOSS, [list(batch) for batch in BATCHES]),
    "dicts": (linear, lambda model, batch: LOSS(model(batch["inputs"]), batch["labels"]), as_dicts()),
    "the model's own loss, in a dict": (lambda: labelled(dict), None, as_dicts()),
    "the model's own loss, in a tuple": (lambda: labelled(tuple), None, as_dicts()),
    "the model's own loss": (lambda: labelled(torch.Tensor), None, as_dicts()),
    "inputs in a tuple": (halves, LOSS, pairs(lambda left, right: (left, right))),
    "inputs by name": (halves, LOSS, pairs(lambda left, right: {"right": right, "left": left})),
}


@pytest.mark.parametrize("restarts", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_batches_of_any_form(name, restarts):
    build, loss_fn, loader = KINDS[name]
    model, plain = build(), linear()
    expected = found_by(plain, sgd(plain), restarts=restarts)
    found = found_by(model, sgd(model), loss_fn, loader, restarts=restarts)
    np.testing.assert_allclose(found.losses[:, :14], expected.losses[:, :14], rtol=1e-9)


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_loader_shorter_than_the_test_begins_anew(restarts):
    model = linear()
    loader = DataLoader(Numbers(), batch_size=8)
    found = found_by(model, sgd(model), loader=loader, restarts=restarts, test=RangeTest(1e-9, 1e-8, steps=10))
    first = [LOSS(model(inputs), targets).item() for inputs, targets in BATCHES[:3]]
    assert found.losses[0] == pytest.approx(np.resize(first, 11), rel=1e-6)
    assert found.suggestion.verdict != "ok"


class Once:
    """Batches that are there but once."""

    def __init__(self):
        self.batches = iter(BATCHES)

    def __iter__(self):
        return self.batches


def test_a_loader_that_ends_for_good_is_refused():
    model = linear()
    with pytest.raises(ValueError, match=r"find_lr\.loader: expected batches that can be iterated again, got none"):
        found_by(model, sgd(model), loader=Once())


# ---- How it trains ----


def test_a_step_of_the_users_own():
    model, rival = linear(), linear()
    first, second = sgd(model), sgd(rival, lr=0.2)
    done = []

    def step(batch):
        for one, optimizer in ((model, first), (rival, second)):
            optimizer.zero_grad()
            loss = LOSS(one(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
        done.append((first.param_groups[0]["lr"], second.param_groups[0]["lr"]))
        return loss.item()

    before = copy.deepcopy(model.state_dict())
    found = found_by(model, first, None, step=step, others=[second], keep=[rival], restarts=2)
    assert found.losses.shape[0] == 2
    assert {round(two / one, 9) for one, two in done} == {2.0}
    assert all(torch.equal(before[name], one) for name, one in model.state_dict().items())


def test_an_optimizer_that_asks_for_the_loss_again():
    model, twin = linear(), linear()
    found = found_by(model, lbfgs(model), loader=BATCHES[:1], test=RangeTest(1e-3, 1.0, steps=8))
    optimizer, losses = lbfgs(twin), []

    def closure():
        optimizer.zero_grad()
        loss = LOSS(twin(BATCHES[0][0]), BATCHES[0][1])
        loss.backward()
        return loss

    for rate in found.lrs:
        optimizer.param_groups[0]["lr"] = rate
        losses.append(optimizer.step(closure).item())
    assert found.losses[0].tolist() == [*losses, closure().item()]


def lbfgs(model):
    return torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=4)


def test_autocast_computes_in_the_dtype():
    told = []

    def loss_fn(outputs, targets):
        told.append(outputs.dtype)
        return LOSS(outputs.float(), targets.float())

    model = linear().float()
    loader = [(inputs.float(), targets.float()) for inputs, targets in BATCHES]
    for autocast in (torch.bfloat16, torch.autocast("cpu", torch.bfloat16)):
        assert np.isfinite(found_by(model, sgd(model), loss_fn, loader, autocast=autocast).lr)
        assert {*told} == {torch.bfloat16}
    assert model(loader[0][0]).dtype == torch.float32


def test_a_function_gives_each_run_its_initial_weights():
    model = linear()
    before = model.weight.clone()
    found = found_by(model, sgd(model), loader=BATCHES[:1], reinit=lambda one: nn.init.normal_(one.weight), restarts=3)
    assert len({*found.losses[:, 0]}) == 3
    assert torch.equal(model.weight, before)


def test_probes_choose_by_what_short_runs_come_to():
    model = linear()
    found = found_by(model, sgd(model), loader=BATCHES[:1], refine=True)
    rates = probe_lrs(found.suggestion.lr)
    losses = np.full((5, 1, PROBE_STEPS), np.inf)
    for at, rate in enumerate(rates):
        twin = linear()
        optimizer = sgd(twin)
        optimizer.param_groups[0]["ratio"] = 1.0
        trained = by_hand(twin, optimizer, repeat(BATCHES[0]), np.full(PROBE_STEPS, rate))
        losses[at, 0, : len(trained[:PROBE_STEPS])] = trained[:PROBE_STEPS]
    assert found.refined == found.lr == best_probe(rates, losses)
    assert found.refined in rates


@pytest.mark.parametrize(("scale", "ratio"), [(25, 0.2), (1000, 0.1)])
def test_ratios_are_halfway_to_equal_shares(scale, ratio):
    """Of two layers of the same shape Adam moves both by the same amount: the larger one by a smaller share."""
    torch.manual_seed(2)
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)).double()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4) + 1.0)
        model[1].weight.copy_(model[0].weight / scale)
    groups = [{"params": model[0].parameters(), "name": "large"}, {"params": model[1].parameters()}]
    loader = [(inputs, targets.expand(8, 4)) for inputs, targets in BATCHES]
    optimizer = torch.optim.Adam(groups, lr=0.1)
    found = found_by(model, optimizer, loader=loader, per_group=True, restarts=3, test=RangeTest(1e-6, 1.0, steps=40))
    assert found.groups["large"] == 1.0
    assert found.groups["1"] == pytest.approx(ratio, rel=0.05)
    low, high = found.groups_band["1"]
    assert low <= found.groups["1"] <= high
    assert "groups: large = 1" in str(found)


def test_a_bar_shows_how_far_it_is(capsys):
    model = linear()
    found_by(model, sgd(model), progress=True)
    assert "find_lr" in capsys.readouterr().err
    found_by(model, sgd(model), progress=None)
    assert capsys.readouterr().err == ""


def test_no_bar_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    model = linear()
    with pytest.raises(ImportError, match=r"progress=True needs tqdm: pip install 'lrcore\[tables\]'"):
        found_by(model, sgd(model), progress=True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert found_by(model, sgd(model), progress=None).lr > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_trains_where_gradients_are_off(mode):
    model = linear()
    expected = found_by(model, sgd(model)).lr
    with mode():
        assert found_by(model, sgd(model)).lr == expected


def test_it_runs_in_a_thread():
    model, found = linear(), []
    thread = threading.Thread(target=lambda: found.append(found_by(model, sgd(model)).lr))
    thread.start()
    thread.join()
    assert found == [found_by(model, sgd(model)).lr]


# ---- What is refused ----

REFUSED = {
    "find_lr.model: expected a torch.nn.Module": {"model": 1},
    "find_lr.optimizer: expected a torch.optim.Optimizer": {"optimizer": 1},
    r"find_lr.others\[0\]: expected a torch.optim.Optimizer": {"others": [1]},
    "find_lr.loss_fn: expected a function": {"loss_fn": 1},
    "find_lr.loader: expected batches that can be iterated again": {"loader": iter(BATCHES)},
    "find_lr.loader: expected a DataLoader or a list": {"loader": 1},
    "find_lr.loader: expected at least one batch, got none": {"loader": []},
    "find_lr.test: expected a lrcore.finder.RangeTest": {"test": 100},
    "find_lr.restarts: expected a number of runs, an int >= 1, got 0": {"restarts": 0},
    "find_lr.accumulate: expected a number of batches, an int >= 1": {"accumulate": 0},
    "find_lr.refine: expected True or False": {"refine": 1},
    "find_lr.per_group: expected False for an optimizer of one group": {"per_group": True},
    "find_lr.autocast: expected None, a dtype or a context manager": {"autocast": "bf16"},
    "find_lr.scaler: expected a torch.amp.GradScaler or None": {"scaler": 2.0},
    "find_lr.reinit: expected None, 'reset' or a function": {"reinit": "anew"},
    "find_lr.seed: expected a seed, an int >= 0": {"seed": -1},
    "find_lr.step: expected a function": {"step": 1, "loss_fn": None},
    "find_lr.loss_fn: expected None, as step makes the whole update": {"step": print},
    "find_lr.accumulate: expected 1, as step makes": {"step": print, "loss_fn": None, "accumulate": 2},
    "find_lr.step: expected a function that returns its loss": {"step": lambda _: None, "loss_fn": None},
    "find_lr.keep: expected a list of objects": {"keep": 1},
    "find_lr.progress: expected True or False": {"progress": 1},
    r"find_lr.loss_fn: expected a loss of one number, got shape \(8, 1\)": {"loss_fn": nn.MSELoss(reduction="none")},
    "find_lr.loss_fn: expected a loss that is a tensor": {"loss_fn": lambda *_: 1.0},
    "find_lr.loss_fn: expected a loss that depends on": {"loss_fn": lambda outputs, _: outputs.detach().sum()},
}


@pytest.mark.parametrize("restarts", [1, 2])
@pytest.mark.parametrize("message", REFUSED)
def test_refusals_name_the_field(message, restarts):
    model = linear()
    given = {"model": model, "optimizer": sgd(model), "loss_fn": LOSS, "loader": BATCHES, "restarts": restarts}
    given |= REFUSED[message]
    with pytest.raises((TypeError, ValueError), match=message):
        found_by(**given)


def test_nothing_to_train_is_refused():
    model = linear()
    optimizer = sgd(model)
    model.requires_grad_(False)
    with pytest.raises(
        ValueError, match=r"find_lr\.optimizer: expected a parameter that trains, got 2 that are frozen"
    ):
        found_by(model, optimizer)
    with pytest.raises(ValueError, match=r"find_lr\.reinit: expected modules with reset_parameters"):
        found_by(weight := nn.ParameterList([torch.ones(1)]), sgd(weight), reinit="reset")
    lazy = nn.LazyLinear(1)
    with pytest.raises(TypeError, match=r"find_lr\.model: expected parameters of a known shape"):
        found_by(lazy, sgd(lazy))


def test_it_is_what_the_package_exports():
    assert finder.find_lr is find_lr
