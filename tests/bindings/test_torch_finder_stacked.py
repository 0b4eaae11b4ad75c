"""find_lr trains its runs side by side where it can, with the losses of one after another."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch_finder_tasks import BATCHES, INPUTS, LOSS, TARGETS, deep, found_by, linear, one_after_another, sgd

from lrcore.finder import RangeTest

ELEMENTWISE = {
    "SGD": {"momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
    "Adam": {"amsgrad": True},
    "AdamW": {"foreach": True},
    "RMSprop": {"momentum": 0.5, "centered": True, "eps": 1e-3},
    "Adagrad": {"initial_accumulator_value": 0.1},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {"decoupled_weight_decay": True, "weight_decay": 0.01},
    "RAdam": {"maximize": False},
}


def advanced(model, optimizer, updates=2):
    """A training that is under way."""
    for inputs, targets in BATCHES[:updates]:
        optimizer.zero_grad()
        LOSS(model(inputs), targets).backward()
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("reinit", [None, "reset"])
def test_runs_side_by_side_are_those_one_after_another(name, reinit):
    """To rounding, which chaos at the high rates makes larger: so they are compared at rates at which it trains."""
    losses = []
    for wrapped in (lambda optimizer: optimizer, one_after_another):
        model = deep()
        optimizer = advanced(model, getattr(torch.optim, name)(model.parameters(), lr=0.01, **ELEMENTWISE[name]))
        options = {"restarts": 3, "accumulate": 2, "reinit": reinit, "test": RangeTest(1e-4, 0.1, steps=12)}
        losses.append(found_by(model, wrapped(optimizer), **options).losses)
    assert losses[0].shape == (3, 13)
    assert len({*losses[0][:, 0]}) == 3
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)


class Drifting(nn.Linear):
    """A buffer that is changed in place, and one that is put anew: both have a part in the loss."""

    def __init__(self):
        super().__init__(4, 1)
        self.register_buffer("seen", torch.zeros(()))
        self.register_buffer("level", torch.zeros(1))

    def forward(self, inputs):
        outputs = super().forward(inputs)
        self.seen += 1.0
        self.level = 0.9 * self.level + 0.1 * outputs.detach().mean()
        return outputs + self.level / self.seen


@pytest.mark.parametrize("rows", [40, 3])
def test_buffers_go_on_from_one_update_to_the_next(rows):
    losses = []
    loader = [*BATCHES, (INPUTS[:rows], TARGETS[:rows])]
    for wrapped in (lambda optimizer: optimizer, one_after_another):
        torch.manual_seed(2)
        model = Drifting().double()
        test = RangeTest(1e-3, 0.1, steps=12)
        losses.append(found_by(model, wrapped(sgd(model)), loader=loader, restarts=3, test=test).losses)
        assert (model.seen.item(), model.level.item()) == (0.0, 0.0)
    np.testing.assert_allclose(*losses, rtol=1e-9)
    assert calls(model=Drifting().double()) == 6


class Counted(nn.Module):
    """A model that knows how often it was called, and by how many rows."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.calls = []

    def forward(self, *inputs):
        self.calls.append(tuple(inputs[0].shape))
        return self.inner(*inputs)


def calls(model=None, restarts=4, **options):
    """How often the model is called in a test of 5 updates: 6 times for all runs, or for each."""
    told = []

    class Told(Counted):
        def forward(self, *inputs):
            told.append(1)
            return super().forward(*inputs)

    model = Told(linear() if model is None else model)
    optimizer = options.pop("optimizer", sgd)(model)
    found_by(model, optimizer, restarts=restarts, test=RangeTest(1e-4, 1e-3, steps=5), **options)
    return len(told)


class Peeking(nn.Linear):
    """A model that looks at its numbers, which cannot be done side by side."""

    def forward(self, inputs):
        return super().forward(inputs) if inputs.sum().item() < 1e9 else inputs


def hooked(model):
    model.register_forward_hook(lambda *_: None)
    return model


SEPARATE = {
    "the model looks at numbers": {"model": Peeking(4, 1).double()},
    "the model has hooks": {"model": hooked(linear())},
    "the optimizer takes norms": {"optimizer": lambda model: torch.optim.Adafactor(model.parameters(), lr=0.1)},
    "the optimizer is another": {"optimizer": lambda model: type("Own", (torch.optim.SGD,), {})(model.parameters())},
    "the optimizer has hooks": {"optimizer": lambda model: one_after_another(sgd(model))},
    "a loss that looks": {"loss_fn": lambda outputs, targets: LOSS(outputs, targets) * (1 + 0 * outputs.sum().item())},
    "scaled": {"scaler": torch.amp.GradScaler("cpu", init_scale=2.0)},
}


@pytest.mark.parametrize("name", SEPARATE)
def test_runs_that_cannot_be_stacked_are_made_one_after_another(name):
    at_least = 4 * 6
    assert at_least <= calls(**SEPARATE[name]) <= at_least + 1  # and the one that shows that it cannot be


class OwnError(Exception):
    """Of a user."""


def failing(error, at=3):
    """A loss that fails once."""
    called = []

    def loss_fn(outputs, targets):
        called.append(1)
        if len(called) == at:
            raise error
        return LOSS(outputs, targets)

    return loss_fn


@pytest.mark.parametrize("error", [OwnError("once"), KeyError("once"), KeyboardInterrupt("once")])
def test_an_error_that_is_none_of_stacking_goes_through(error):
    model = linear()
    with pytest.raises(type(error), match="once"):
        found_by(model, sgd(model), failing(error), restarts=3)


@pytest.mark.parametrize("error", [ValueError("once"), TypeError("once")])
def test_one_that_may_be_of_stacking_is_told_if_it_comes_no_more(error):
    model = linear()
    expected = found_by(model, one_after_another(sgd(model)), restarts=3).losses
    model = linear()
    with pytest.warns(RuntimeWarning, match=f"got {type(error).__name__}: once; one after another it came no more"):
        found = found_by(model, sgd(model), failing(error), restarts=3)
    np.testing.assert_array_equal(found.losses, expected)


def test_the_bar_goes_back_when_the_runs_begin_anew(capsys):
    model, test = linear(), RangeTest(1e-4, 1e-3, steps=5)
    found_by(model, sgd(model), failing(RuntimeError("once")), restarts=4, test=test, progress=True)
    assert "| 20/20 [" in capsys.readouterr().err


def test_runs_are_stacked_where_they_can_be():
    assert calls() == 6
    assert calls(restarts=1) == 6
    assert calls(autocast=torch.bfloat16) == 6
    assert calls(model=deep()) == 6
    assert calls(loader=DataLoader(TensorDataset(INPUTS, TARGETS), 8, shuffle=True)) == 6


def test_batches_of_different_sizes_are_stacked_with_their_like():
    losses = []
    for wrapped in (lambda optimizer: optimizer, one_after_another):
        model = deep()
        loader = [*BATCHES, (INPUTS[:3], TARGETS[:3])]
        losses.append(found_by(model, wrapped(sgd(model)), loader=loader, restarts=5).losses)
    np.testing.assert_allclose(losses[0][:, :14], losses[1][:, :14], rtol=1e-9)


class Attention(nn.Module):
    """A small transformer of tokens."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.tokens = nn.Embedding(11, 8)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.out = nn.Linear(8, 11)

    def forward(self, tokens):
        return self.out(self.layers(self.tokens(tokens)))


class Recurrent(nn.Module):
    """What vmap has no rule for."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.cells = nn.GRU(8, 8, batch_first=True)
        self.out = nn.Linear(8, 11)

    def forward(self, tokens):
        return self.out(self.cells(self.tokens(tokens))[0])


def pictures():
    layers = [nn.Conv2d(1, 4, 2), nn.GroupNorm(2, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4, 11)]
    return nn.Sequential(nn.Embedding(11, 16), nn.Unflatten(1, (1, 6)), nn.AdaptiveAvgPool2d(4), *layers)


def next_token(model, batch):
    return nn.functional.cross_entropy(model(batch[:, :-1]).flatten(0, -2), batch[:, 1:].flatten())


def last_token(model, batch):
    return nn.functional.cross_entropy(model(batch[:, :-1]), batch[:, -1])


@pytest.mark.parametrize(
    ("build", "loss_fn"), [(Attention, next_token), (Recurrent, next_token), (pictures, last_token)]
)
def test_models_of_all_kinds_train_alike_in_both_ways(build, loss_fn):
    losses = []
    loader = list(torch.randint(0, 11, (6, 8, 7), generator=torch.Generator().manual_seed(1)))
    for wrapped in (lambda optimizer: optimizer, one_after_another):
        torch.manual_seed(1)
        model = build().double()
        optimizer = wrapped(torch.optim.Adam(model.parameters(), lr=0.01))
        test = RangeTest(1e-4, 0.1, steps=8)
        losses.append(found_by(model, optimizer, loss_fn, loader, restarts=3, test=test).losses)
    np.testing.assert_allclose(*losses, rtol=1e-9)


def test_what_stops_in_one_run_goes_on_in_the_others():
    """A batch that breaks the loss comes to the runs at different times."""
    broken = [*BATCHES * 2, (INPUTS[:8] * np.nan, TARGETS[:8])]
    losses = []
    for wrapped in (lambda optimizer: optimizer, one_after_another):
        model = linear()
        losses.append(found_by(model, wrapped(sgd(model)), loader=broken, restarts=4).losses)
    lengths = [(~np.isnan(each)).sum(axis=1).tolist() for each in losses]
    assert lengths[0] == lengths[1]
    assert len({*lengths[0]}) > 1
    np.testing.assert_allclose(*losses, rtol=1e-9)
