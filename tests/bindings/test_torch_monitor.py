"""lrcore.bindings.torch.Monitor: what its hooks measure, by hand; what its alarms do; and that it leaves no trace."""

import copy
import doctest
import math
import warnings

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as peer
from torch.optim.swa_utils import SWALR

import lrcore as lr
from lrcore.bindings.torch import Monitor, Scheduler, monitor as module
from lrcore.bindings.torch.monitor import TrainingFailedError
from lrcore.monitor import diagnose

LN2 = math.log(2.0)


def small_net():
    """Two inputs, two units, two logits, of which the second unit is dead for the inputs below."""
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -10.0]))
        net[2].weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 3.0]]))
        net[2].bias.zero_()
    return net


INPUTS = torch.tensor([[1.0, 4.0], [3.0, 5.0]])


def dead_net(width=2):
    net = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 2))
    nn.init.constant_(net[0].bias, -100.0)
    return net


def hooks(net, optimizer, *others):
    """How many hooks there are."""
    modules = [one for given in (net, *others) for one in given.modules()]
    return [
        sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in modules),
        len(optimizer._optimizer_step_pre_hooks),
        len(optimizer._optimizer_step_post_hooks),
    ]


def update(net, optimizer, inputs=INPUTS, labels=None, loss_fn=nn.functional.cross_entropy):
    labels = torch.arange(len(inputs)) % 2 if labels is None else labels
    loss = loss_fn(net(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss


# ---- What is measured ----


def test_what_the_hooks_measure():
    """The logits are (2, 0) and (6, 0), so they range over 4. Their sum's gradient of the first weights is 2 * (4, 9).

    With a rate of 0.1 the first weights change by 0.1 * 2 * (4, 9), the last by 0.1 * 4 in two places.
    """
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer) as monitor:
        monitor.observe(update(net, optimizer, loss_fn=lambda logits, _: logits.sum()))
        found = monitor.diagnosis().evidence
    assert found["first_loss"] == 8.0
    assert found["logit_spread"] == 4.0
    assert found["first_layer_gradient"] == pytest.approx(2 * math.hypot(4, 9), rel=1e-6)
    assert found["dead_fractions"] == (0.5,)
    first = 0.1 * 2 * math.hypot(4, 9) / math.sqrt(2)
    last = 0.1 * math.hypot(4, 4) / math.hypot(2, 3)
    assert found["first_update_ratio"] == pytest.approx(max(first, last), rel=1e-6)
    assert "first_shift" not in found  # of SGD


def test_how_far_the_first_update_of_adam_moves_the_first_layer():
    net = small_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    with Monitor(net, optimizer) as monitor:
        monitor.observe(update(net, optimizer))
    outputs = torch.tensor([[1.0, -6.0], [3.0, -5.0]])
    wanted = 0.01 * (5.0 + 8.0) / 2 / float(outputs.std())
    assert monitor.diagnosis().evidence["first_shift"] == pytest.approx(wanted, rel=1e-6)


def test_a_gradient_whose_square_is_0_is_none():
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer) as monitor:
        for _ in range(20):
            monitor.observe(update(net, optimizer, loss_fn=lambda logits, _: 1e-30 * logits.sum()))
    assert monitor.diagnosis().evidence["first_layer_gradient"] == pytest.approx(18e-30, rel=1e-6)
    assert not monitor.alarms


@pytest.mark.parametrize("wrap", [lambda out: {"logits": out}, lambda out: (out, 1), lambda out: [None, out]])
def test_logits_within_what_a_model_returns(wrap):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = small_net()

        def forward(self, inputs):
            return wrap(self.net(inputs))

    net = Wrapped()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer) as monitor:
        output = net(INPUTS)
        logits = output["logits"] if isinstance(output, dict) else next(one for one in output if torch.is_tensor(one))
        logits.sum().backward()
        optimizer.step()
        monitor.observe(1.0)
    assert monitor.diagnosis().evidence["logit_spread"] == 4.0


def test_a_batch_of_one_has_no_spread():
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer) as monitor:
        monitor.observe(update(net, optimizer, INPUTS[:1]))
    assert "logit_spread" not in monitor.diagnosis().evidence


def test_evaluation_is_not_measured():
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with Monitor(net, optimizer) as monitor:
        loss = update(net, optimizer, loss_fn=lambda logits, _: logits.sum())
        net.eval()(100 * INPUTS)
        with torch.no_grad():
            net.train()(100 * INPUTS)
        monitor.observe(loss)
    assert monitor.diagnosis().evidence["logit_spread"] == 4.0


def test_it_measures_two_epochs_and_then_one_of_fifty():
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
    with Monitor(net, optimizer, batches_per_epoch=3) as monitor:
        measured = []
        for step in range(110):
            measured += [step] * monitor._signals.is_on
            monitor.observe(update(net, optimizer))
    assert measured == [0, 1, 2, 3, 4, 5, 50, 100]


# ---- The loss ----


def test_a_loss_function_that_is_a_module_is_all_it_needs():
    """And from its labels, 3 to 1, it knows their entropy. Of accumulated losses it takes the mean."""
    net, loss_fn = small_net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-9)
    with Monitor(net, optimizer, loss_fn=loss_fn) as monitor:
        losses = [loss_fn(net(INPUTS), torch.tensor(labels)) for labels in ([0, 0], [0, 1])]
        torch.stack(losses).sum().backward()
        with torch.no_grad():
            loss_fn(net(INPUTS), torch.tensor([1, 1]))
        optimizer.step()
        found = monitor.diagnosis().evidence
    assert found["steps"] == 1
    assert found["first_loss"] == pytest.approx(sum(loss.item() for loss in losses) / 2, rel=1e-6)
    assert found["prior_entropy"] == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25), rel=1e-12)


def test_losses_on_a_device_are_read_together(monkeypatch):
    """Those between two measurements: the alarms and their steps are the same."""
    losses = [1.0] * 70 + [math.nan] + [1.0] * 40
    found = []
    for is_far in (False, True):
        monkeypatch.setattr(module, "_is_far", lambda _loss, is_far=is_far: is_far)
        net = small_net()
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-6)
        with Monitor(net, optimizer, batches_per_epoch=2) as monitor:
            news = []
            for step, loss in enumerate(losses):
                update(net, optimizer)
                news += [step] * (monitor.observe(loss) is not None)
        found.append((monitor.alarms[0].verdict, monitor.alarms[0].step, monitor.diagnosis().step))
        assert news == ([100] if is_far else [70])
    assert found[0] == found[1] == ("nonfinite", 70, 70)


# ---- What an alarm does ----


def test_a_dead_net_is_told_of():
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    told = []
    with Monitor(net, optimizer, classes=2, on_failure=told.append) as monitor:
        news = [monitor.observe(update(net, optimizer)) for _ in range(12)]
    assert [found is not None for found in news] == [step == 7 for step in range(12)]
    assert monitor.alarms == told == [news[7]]
    assert (news[7].verdict, news[7].lr) == ("dead_network", pytest.approx(0.005))


def test_stop():
    net, loss_fn = dead_net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    before = hooks(net, optimizer, loss_fn)
    Monitor(net, optimizer, loss_fn=loss_fn, on_failure="stop")
    for _ in range(7):
        update(net, optimizer, loss_fn=loss_fn)
    with pytest.raises(TrainingFailedError, match="dead_network at step 7") as raised:
        update(net, optimizer, loss_fn=loss_fn)
    assert raised.value.diagnosis.verdict == "dead_network"
    assert hooks(net, optimizer, loss_fn) == before


def full_state(net, optimizer):
    return copy.deepcopy([list(net.state_dict().items()), optimizer.state_dict()["state"]])


def same(one, other):
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("kind", [torch.optim.Adam, lambda groups: torch.optim.SGD(groups, momentum=0.9)])
def test_the_initial_state_comes_back(kind):
    """Weights, buffers and the optimizer's state, to the bit, and the rates of all groups are lowered alike."""
    net = nn.Sequential(nn.BatchNorm1d(2), *dead_net())
    optimizer = kind([{"params": net[:2].parameters(), "lr": 0.5}, {"params": net[2:].parameters(), "lr": 0.25}])
    before = full_state(net, optimizer)
    with Monitor(net, optimizer, on_failure="restore_and_lower") as monitor:
        for _ in range(8):
            assert monitor.restores == 0
            found = monitor.observe(update(net, optimizer))
    assert monitor.restores == 1
    assert same(full_state(net, optimizer), before)
    factor = found.lr / 0.5
    assert [group["lr"] for group in optimizer.param_groups] == [0.5 * factor, 0.25 * factor]
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_last_healthy_state_comes_back():
    """That of update 50, which still was healthy at update 100; not that of 100."""
    net = small_net()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    states = []
    with Monitor(net, optimizer, on_failure="restore_and_lower", batches_per_epoch=10) as monitor:
        for step in range(120):
            update(net, optimizer)
            states.append(full_state(net, optimizer))
            monitor.observe(2.0 * 0.97**step if step < 119 else math.nan)
    assert monitor.restores == 1
    assert same(full_state(net, optimizer), states[50])
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)


def test_a_scheduler_of_ours_goes_on_at_a_lower_scale():
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    schedule = lr.Linear(0.5, 0.0, 20)
    scheduler = Scheduler(optimizer, schedule)
    rates = []
    with Monitor(net, optimizer, on_failure="restore_and_lower") as monitor:
        for _ in range(12):
            loss = update(net, optimizer)
            monitor.observe(loss)
            scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
    assert monitor.alarms[0].lr == pytest.approx(schedule(7) * 0.01)
    wanted = [schedule(step + 1) * (0.01 if step >= 7 else 1.0) for step in range(12)]
    assert rates == pytest.approx(wanted, rel=1e-12)


KINDS = {
    "LambdaLR": lambda opt: peer.LambdaLR(opt, lambda step: 1 / (1 + step)),
    "MultiplicativeLR": lambda opt: peer.MultiplicativeLR(opt, lambda _: 0.9),
    "StepLR": lambda opt: peer.StepLR(opt, 4),
    "LinearLR": lambda opt: peer.LinearLR(opt, 0.1, 1.0, 12),
    "PolynomialLR": lambda opt: peer.PolynomialLR(opt, 20),
    "CosineAnnealingLR": lambda opt: peer.CosineAnnealingLR(opt, 11),
    "CosineAnnealingWarmRestarts": lambda opt: peer.CosineAnnealingWarmRestarts(opt, 5),
    "CyclicLR": lambda opt: peer.CyclicLR(opt, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
    "OneCycleLR": lambda opt: peer.OneCycleLR(opt, 0.1, total_steps=20, cycle_momentum=False),
    "ReduceLROnPlateau": lambda opt: peer.ReduceLROnPlateau(opt, patience=1, min_lr=1e-3, eps=0.0),
    "SWALR": lambda opt: SWALR(opt, 0.05, anneal_epochs=12),
    "ChainedScheduler": lambda opt: peer.ChainedScheduler([peer.LinearLR(opt, 0.1, 1.0, 10), peer.StepLR(opt, 3)]),
    "SequentialLR": lambda opt: peer.SequentialLR(
        opt, [peer.LinearLR(opt, 0.1, 1.0, 9), peer.CosineAnnealingLR(opt, 10)], [9]
    ),
    "SequentialLR of LambdaLRs": lambda opt: peer.SequentialLR(
        opt, [peer.LambdaLR(opt, lambda step: step + 1), peer.LambdaLR(opt, lambda step: 0.9**step)], [9]
    ),
}


def scheduled(make, **options):
    """The rates of a dead net, whose alarm is that of update 7: the next would come 8 updates later."""
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = make(optimizer)
    rates = []
    with Monitor(net, optimizer, scheduler=scheduler, **options) as monitor:
        for _ in range(15):
            monitor.observe(update(net, optimizer))
            scheduler.step(*[1.0] * isinstance(scheduler, peer.ReduceLROnPlateau))
            rates.append(optimizer.param_groups[0]["lr"])
    assert [found.step for found in monitor.alarms] == [7]
    return rates


@pytest.mark.parametrize("kind", KINDS)
def test_a_scheduler_goes_on_lower_by_the_factor(kind):
    """Beside the same one that nobody lowers, of which it is a hundredth from the alarm on."""
    wanted = [rate * (0.01 if step >= 7 else 1.0) for step, rate in enumerate(scheduled(KINDS[kind]))]
    assert scheduled(KINDS[kind], on_failure="restore_and_lower") == pytest.approx(wanted, rel=1e-13)


@pytest.mark.parametrize(("is_given", "is_warned"), [(True, False), (False, True)])
def test_a_rate_that_comes_back_is_warned_of_once(is_given, is_warned):
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = peer.LambdaLR(optimizer, lambda _: 1.0)
    given = {"scheduler": scheduler} if is_given else {}
    with (
        warnings.catch_warnings(record=True) as heard,
        Monitor(net, optimizer, on_failure="restore_and_lower", **given) as monitor,
    ):
        warnings.simplefilter("always")
        for _ in range(14):
            monitor.observe(update(net, optimizer))
            scheduler.step()
    words = "Monitor has lowered the learning rate to 0.001, and something has set it to 0.1 again: give your scheduler"
    assert [words in str(one.message) for one in heard] == [True] * is_warned


def test_a_scheduler_of_ours_that_is_given_is_lowered_once():
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = Scheduler(optimizer, lr.Constant(0.5))
    with Monitor(net, optimizer, on_failure="restore_and_lower", scheduler=scheduler) as monitor:
        for _ in range(12):
            monitor.observe(update(net, optimizer))
            scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.005, rel=1e-12)


@pytest.mark.parametrize("loss", ["1", None, torch.ones(2), [1.0, 2.0]])
def test_a_loss_that_is_no_number_is_refused_by_name(loss):
    net = small_net()
    with (
        Monitor(net, torch.optim.SGD(net.parameters(), lr=0.1)) as monitor,
        pytest.raises(TypeError, match=r"Monitor\.observe\.loss: expected a number"),
    ):
        monitor.observe(loss)


@pytest.mark.parametrize("losses", [torch.ones(3, requires_grad=True), torch.ones(3, dtype=torch.bfloat16)])
def test_tensors_that_numpy_cannot_read_are_refused_by_name(losses):
    with pytest.raises(TypeError, match=r"diagnose\.losses: expected real numbers that numpy can read"):
        diagnose(losses)


def test_a_rate_that_is_a_tensor_is_filled():
    net = dead_net()
    rate = torch.tensor(0.5)
    optimizer = torch.optim.SGD(net.parameters(), lr=rate)
    with Monitor(net, optimizer, on_failure="restore_and_lower") as monitor:
        for _ in range(8):
            monitor.observe(update(net, optimizer))
    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.005)


def test_it_does_not_restore_for_ever():
    net = dead_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1.0)
    before = hooks(net, optimizer)
    monitor = Monitor(net, optimizer, on_failure="restore_and_lower", max_restores=2)
    for _ in range(23):
        monitor.observe(update(net, optimizer))
    loss = update(net, optimizer)
    with pytest.raises(TrainingFailedError, match="dead_network"):
        monitor.observe(loss)
    assert monitor.restores == 2
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1.0 * 0.01 * 0.1)  # gentler the second time
    assert hooks(net, optimizer) == before


def test_a_rate_that_is_too_low_is_raised_where_the_run_is():
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-9)
    torch.manual_seed(0)
    with Monitor(net, optimizer, prior_entropy=LN2, on_failure="restore_and_lower") as monitor:
        for _ in range(201):
            update(net, optimizer)
            weights = full_state(net, optimizer)
            found = monitor.observe(LN2 + 0.01 * float(torch.randn(())))
    assert (found.verdict, found.direction) == ("stuck_at_prior", "too_low")
    assert optimizer.param_groups[0]["lr"] == pytest.approx(1e-8)
    assert same(full_state(net, optimizer), weights)


# ---- A run ----


def pictures():
    """Bright images of three classes, as the forum's failure has them, but small."""
    random = torch.Generator().manual_seed(0)
    own = torch.randn(3, 400, generator=random)
    labels = torch.arange(240) % 3
    drawn = 0.7 + 0.1 * own[labels] + 0.05 * torch.randn(240, 400, generator=random)
    return drawn.clamp(0.0, 1.0), labels


def trained(epochs, **options):
    inputs, labels = pictures()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(400, 25), nn.ReLU(), nn.Linear(25, 12), nn.ReLU(), nn.Linear(12, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    with Monitor(net, optimizer, classes=3, batches_per_epoch=8, **options) as monitor:
        for _ in range(epochs):
            for batch in torch.randperm(240).split(30):
                monitor.observe(update(net, optimizer, inputs[batch], labels[batch]))
    return float((net(inputs).argmax(dim=1) == labels).float().mean()), monitor


def test_a_run_that_fails_ends_trained():
    accuracy, monitor = trained(30)
    assert accuracy < 0.4
    assert monitor.diagnosis().verdict == "dead_network"
    accuracy, monitor = trained(30, on_failure="restore_and_lower")
    assert accuracy > 0.95
    assert monitor.restores >= 1


# ---- No trace ----


def test_a_training_is_the_same_with_it():
    """To the bit, dropout included."""
    ends = []
    for is_watched in (False, True):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
        monitor = Monitor(net, optimizer, classes=2, on_failure="restore_and_lower") if is_watched else None
        for _ in range(60):
            loss = update(net, optimizer, torch.randn(16, 2))
            if monitor:
                monitor.observe(loss)
        ends.append(full_state(net, optimizer))
    assert same(*ends)


def test_hooks_are_gone_after_an_exception():
    net, loss_fn = small_net(), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    before = hooks(net, optimizer, loss_fn)
    monitor = Monitor(net, optimizer, loss_fn=loss_fn)
    assert hooks(net, optimizer, loss_fn) != before
    with pytest.raises(RuntimeError, match="shapes"), monitor:
        net(torch.ones(3, 5))
    assert hooks(net, optimizer, loss_fn) == before


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": 1}, TypeError, "Monitor.model: expected a torch Module, got 1"),
        ({"optimizer": 1}, TypeError, "Monitor.optimizer: expected a torch Optimizer, got 1"),
        ({"loss_fn": nn.functional.cross_entropy}, TypeError, "Monitor.loss_fn: expected a torch Module or None"),
        ({"on_failure": "restart"}, ValueError, "Monitor.on_failure: expected 'stop', 'restore_and_lower', a function"),
        ({"scheduler": nn.ReLU()}, TypeError, "Monitor.scheduler: expected a torch LRScheduler or None, got ReLU"),
        ({"max_restores": -1}, ValueError, "Monitor.max_restores: expected a number of restores, an int >= 0"),
        ({"classes": 1}, ValueError, "Monitor.classes: expected a number of classes, an int >= 2"),
    ],
)
def test_refusals_leave_no_hooks(options, error, words):
    net = small_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    before = hooks(net, optimizer)
    with pytest.raises(error, match=words):
        Monitor(**{"model": net, "optimizer": optimizer, **options})
    assert hooks(net, optimizer) == before


def test_documented_examples_are_true():
    assert doctest.testmod(module).failed == 0
