"""find_lr loses nothing: a training with it in the middle is that without it, to the bit; also where it breaks off."""
# ruff: noqa: NPY002 (the global generator of NumPy is one that find_lr has to leave alone)

import random
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader, IterableDataset, Subset, TensorDataset

import lrcore as lr
from lrcore.bindings import torch as binding
from lrcore.bindings.torch import Audit, Scheduler, find_lr
from lrcore.finder import RangeTest

SHORT = RangeTest(1e-4, 1.0, steps=4)
BINDING = str(Path(binding.__file__).parent)


class Net(nn.Module):
    """All that keeps something: batch statistics, dropout, a frozen layer, and attributes of many kinds."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.norm = nn.BatchNorm1d(6)
        self.drop = nn.Dropout(0.3)
        self.frozen = nn.Linear(6, 6).eval().requires_grad_(False)
        self.last = nn.Linear(6, 2)
        self.calls = 0
        self.history = []
        self.seen = {"rows": 0}
        self.register_buffer("wide", torch.ones(1, 6).expand(3, 6))

    def forward(self, inputs):
        self.calls += 1
        self.history.append(self.calls)
        self.seen["rows"] += len(inputs)
        return self.last(self.frozen(self.drop(self.norm(self.first(inputs)))) * self.wide[0])


class Draws(TensorDataset):
    """Data that are disturbed by each of the global generators, and by one of their own."""

    def __init__(self, *tensors):
        super().__init__(*tensors)
        self.own = np.random.default_rng(3)
        self.taken = 0

    def __getitem__(self, place):
        self.taken += 1
        inputs, target = super().__getitem__(place)
        noise = random.random() + np.random.rand() + self.own.random()
        return inputs + 0.1 * torch.rand(4) + 0.01 * noise, target


class Disturbed(Draws):
    """Data with generators further down, in a list of objects; one of these knows the data."""

    def __init__(self, *tensors):
        super().__init__(*tensors)
        own = {"numpy": np.random.default_rng(4).random, "old": np.random.RandomState(5), "plain": random.Random(6)}
        self.transform = SimpleNamespace(steps=[SimpleNamespace(**own), (torch.Generator().manual_seed(7), self)])

    def __getitem__(self, place):
        first, (generator, _) = self.transform.steps
        noise = first.numpy() + first.old.random() + first.plain.random()
        inputs, target = super().__getitem__(place)
        return inputs + 0.1 * torch.rand(4, generator=generator) + 0.01 * noise, target


class Counting(IterableDataset):
    """Numbers from where it stands, which it can tell."""

    def __init__(self):
        self.at = [0]

    def __iter__(self):
        while self.at[0] % 40 < 39:
            self.at = [self.at[0] + 1]
            yield torch.full((4,), self.at[0] / 40), self.at[0] % 2
        self.at = [self.at[0] + 1]

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


def shuffled():
    return DataLoader(draws(), batch_size=5, shuffle=True)


def with_generator():
    return DataLoader(draws(), batch_size=5, shuffle=True, generator=torch.Generator().manual_seed(7))


def in_order():
    return DataLoader(draws(), batch_size=5)


def disturbed():
    return DataLoader(ConcatDataset([Subset(Disturbed(*draws().tensors), range(33))]), batch_size=5)


def iterable():
    return DataLoader(Counting(), batch_size=5)


def with_workers():
    return DataLoader(draws(), batch_size=5, shuffle=True, num_workers=1, persistent_workers=True)


def draws():
    generator = torch.Generator().manual_seed(1)
    return Draws(torch.randn(33, 4, generator=generator), torch.randint(0, 2, (33,), generator=generator))


def groups(net):
    return [
        {"params": net.first.parameters(), "lr": 0.01},
        {"params": [*net.norm.parameters(), *net.last.parameters()]},
    ]


OPTIMIZERS = {
    "momentum": lambda net: torch.optim.SGD(groups(net), lr=0.05, momentum=0.9, nesterov=True),
    "Adam": lambda net: torch.optim.Adam(groups(net), lr=torch.tensor(0.05), amsgrad=True, foreach=False),
    "AdamW": lambda net: torch.optim.AdamW(groups(net), lr=0.05),
    "Adagrad": lambda net: torch.optim.Adagrad(groups(net), lr=0.05),
    "LBFGS": lambda net: torch.optim.LBFGS([*net.first.parameters(), *net.last.parameters()], lr=0.05, max_iter=3),
    "Adafactor": lambda net: torch.optim.Adafactor(groups(net), lr=0.05),
}
SCHEDULERS = {
    "ours": lambda optimizer: Scheduler(optimizer, lr.warmup_cosine(0.1, 0.0, warmup_steps=4, steps=30)),
    "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10),
    "one cycle": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, 40, cycle_momentum=False),
    "none": None,
}
LOADERS = {one.__name__: one for one in (shuffled, with_generator, in_order, disturbed, iterable, with_workers)}


class Training:
    """A training that can stop anywhere."""

    def __init__(self, optimizer="momentum", scheduler="ours", loader="shuffled"):
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        self.model = Net()
        self.optimizer = OPTIMIZERS[optimizer](self.model)
        if optimizer == "LBFGS" and scheduler == "ours":
            scheduler = "cosine"
        make = SCHEDULERS[scheduler]
        self.scheduler = None if make is None else make(self.optimizer)
        self.loader = LOADERS[loader]()
        self.batches = iter(self.loader)

    def updates(self, count):
        for _ in range(count):
            batch = next(self.batches, None)
            if batch is None:
                self.batches = iter(self.loader)
                batch = next(self.batches)

            def closure(batch=batch):
                self.optimizer.zero_grad()
                loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
                loss.backward()
                return loss

            if isinstance(self.optimizer, torch.optim.LBFGS):
                self.optimizer.step(closure)
            else:
                closure()
                self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
        return self

    def find(self, **options):
        options = {"test": SHORT, "restarts": 2, "progress": False, **options}
        loss_fn = options.pop("loss_fn", nn.CrossEntropyLoss())
        return find_lr(self.model, self.optimizer, loss_fn, self.loader, **options)

    def state(self):
        """All there is, as bits; drawing from no generator."""
        optimizer, data, generator = self.optimizer, self.loader.dataset, self.loader.generator
        own = getattr(data, "own", None)
        return plain(
            {
                "model": self.model.state_dict(),
                "modes": [module.training for module in self.model.modules()],
                "attributes": (self.model.calls, self.model.history, self.model.seen),
                "gradients": [parameter.grad for parameter in self.model.parameters()],
                "slots": [optimizer.state[one] for one in optimizer.state],
                "optimizer": list(vars(optimizer)),
                "groups": optimizer.param_groups,
                "hooks": len(optimizer._optimizer_step_pre_hooks),
                "random": [random.getstate(), np.random.get_state(), torch.get_rng_state()],
                "data": [getattr(data, "taken", None), getattr(data, "at", None), own and own.bit_generator.state],
                "loader": generator and generator.get_state(),
                "scheduler": self.scheduler and self.scheduler.state_dict(),
            }
        )

    def identities(self):
        """The objects that others may hold."""
        groups, state = self.optimizer.param_groups, self.optimizer.state
        held = [*self.model.parameters(), *self.model.buffers(), groups, *groups, self.loader._iterator, state]
        held += [parameter.grad for parameter in self.model.parameters()]
        held += [slot for slots in state.values() for slot in slots.values() if isinstance(slot, torch.Tensor)]
        return list(map(id, [*held, *(group["lr"] for group in groups)]))


def plain(given):
    """Bits, in lists: -0.0 and NaN count."""
    if isinstance(given, torch.Tensor):
        return [str(given.dtype), tuple(given.shape), given.detach().contiguous().numpy().tobytes()]
    if isinstance(given, np.ndarray):
        return given.tobytes()
    if isinstance(given, dict):
        return {str(key): plain(one) for key, one in given.items()}
    return [plain(one) for one in given] if isinstance(given, (list, tuple)) else repr(given)


def drawn():
    """The next numbers of each generator."""
    return random.random(), np.random.rand(), torch.rand(3).tolist()


def goes_on_alike(before=3, find=None, **what):
    """A training with find_lr after some updates, and the same without it."""
    plainly = Training(**what).updates(before).updates(9)
    expected = plainly.state(), drawn()
    training = Training(**what).updates(before)
    state, identities = training.state(), training.identities()
    found = training.find(**find or {})
    assert np.isfinite(found.lr)
    assert training.identities() == identities
    assert training.state() == state
    assert (training.updates(9).state(), drawn()) == expected


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_training_goes_on_as_if_nothing_had_been(optimizer):
    goes_on_alike(optimizer=optimizer)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_schedule_goes_on_where_it_was(scheduler):
    goes_on_alike(scheduler=scheduler, optimizer="Adam")


@pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")  # by JAX, of other tests: the worker calls none of it
@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("before", [0, 2, 8])
def test_the_loader_goes_on_where_it_was(loader, before):
    goes_on_alike(before=before, loader=loader)


WAYS = {
    "one run": {"restarts": 1},
    "micro-batches": {"accumulate": 3},
    "bf16": {"autocast": torch.bfloat16},
    "scaler": {"scaler": torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)},
    "initial weights": {"reinit": "reset"},
    "probes": {"refine": True},
    "ratios": {"per_group": True},
}


@pytest.mark.parametrize("way", WAYS)
def test_so_in_all_ways(way):
    goes_on_alike(find=WAYS[way])


def test_before_the_first_update_torch_still_knows_that_there_was_none():
    training = Training(scheduler="cosine")
    training.find()
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        training.scheduler.step()


def test_gradients_that_are_there_stay():
    training = Training().updates(2)
    (gradient,) = [training.model.first.weight.grad]
    before = gradient.clone()
    training.find()
    assert training.model.first.weight.grad is gradient
    assert torch.equal(gradient, before)


def test_an_audit_sees_none_of_its_updates():
    training = Training()
    with Audit(training.scheduler) as audit:
        training.updates(5).find()
        assert len(audit.used) == 5
        training.updates(2)
    assert (len(audit.used), audit.ok) == (7, True)


def test_the_scaler_has_its_scale():
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    training = Training()
    before = plain(vars(scaler))
    training.find(scaler=scaler)
    assert plain(vars(scaler)) == before
    scaler.scale(torch.ones(1))
    scaler._per_optimizer_states[1]["stage"] = 5
    before, scale = plain(vars(scaler)), scaler._scale
    training.find(scaler=scaler)
    assert plain(vars(scaler)) == before
    assert scaler._scale is scale


def test_a_model_in_eval_mode_trains_and_is_in_eval_mode_again():
    training = Training()
    training.model.eval()
    before, modes = training.state(), []

    def loss_fn(output, target):
        modes.append(training.model.drop.training)
        return nn.functional.cross_entropy(output, target)

    training.find(loss_fn=loss_fn)
    assert {*modes} == {True}
    assert training.state() == before


def test_what_the_loss_function_changes_is_kept_where_it_is_told():
    training = Training()
    average = torch.optim.swa_utils.AveragedModel(training.model.last)
    counter = Counting()

    def loss_fn(output, target):
        average.update_parameters(training.model.last)
        counter.at = [counter.at[0] + 1]
        return nn.functional.cross_entropy(output, target)

    before = plain(average.state_dict())
    training.find(loss_fn=loss_fn, keep=[average, counter], restarts=1)
    assert plain(average.state_dict()) == before
    assert counter.at == [0]


# ---- Breaking off ----


class BrokenError(Exception):
    """What goes wrong."""


def faulty(function, at, error=BrokenError):
    """A function that fails once, at its call number `at`."""
    calls = [0]

    def call(*arguments, **options):
        calls[0] += 1
        if calls[0] == at:
            raise error
        return function(*arguments, **options)

    return call


class FailsBackward(torch.autograd.Function):
    """The identity, with a gradient that fails."""

    @staticmethod
    def forward(_, given):
        return given.clone()

    @staticmethod
    def backward(*_):
        raise BrokenError


def fail_forward(training, at, error):
    training.model.forward = faulty(training.model.forward, at, error)


def fail_update(training, at, error):
    bound = training.optimizer.step
    training.optimizer.step = faulty(bound, at, error)


def fail_data(training, at, error):
    training.loader.dataset.__class__ = type("Faulty", (Draws,), {"__getitem__": faulty(Draws.__getitem__, at, error)})


STAGES = {"forward": fail_forward, "update": fail_update, "data": fail_data}


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("at", [1, 2, 5])
@pytest.mark.parametrize("stage", STAGES)
def test_all_is_as_it_was_when_something_fails(stage, at, error):
    training = Training().updates(2)
    audit = Audit(training.scheduler)
    STAGES[stage](training, at, error)
    before, identities = training.state(), training.identities()
    with pytest.raises(error):
        training.find(step=None, restarts=3, scaler=torch.amp.GradScaler("cpu"))
    assert (training.state(), training.identities()) == (before, identities)
    assert audit is not None


@pytest.mark.parametrize("error", [BrokenError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize("stage", ["forward", "data"])
def test_also_of_runs_side_by_side(stage, at, error):
    training = Training().updates(2)
    STAGES[stage](training, at, error)
    before, identities = training.state(), training.identities()
    with pytest.raises(error):
        training.find(restarts=3)
    assert (training.state(), training.identities()) == (before, identities)


@pytest.mark.parametrize("restarts", [1, 3])
def test_and_in_the_backward_pass_and_the_loss(restarts):
    training = Training().updates(2)
    before = training.state()

    def loss_fn(output, target):
        return FailsBackward.apply(nn.functional.cross_entropy(output, target))

    with pytest.raises(BrokenError):
        training.find(loss_fn=loss_fn, restarts=restarts)
    assert training.state() == before
    with pytest.raises(BrokenError):
        training.find(reinit=faulty(lambda model: model.first.reset_parameters(), 2), restarts=restarts + 1)
    assert training.state() == before


def lines_of(function, files, at, action):
    """Runs a function, and an action in its line number `at` within some files; returns how many lines there were."""
    count = [0]

    def look(frame, event, _):
        if not frame.f_code.co_filename.startswith(files):
            return None
        if event == "line":
            count[0] += 1
            if count[0] == at:
                action()
        return look

    before = sys.gettrace()
    sys.settrace(look)
    try:
        function()
    finally:
        sys.settrace(before)
    return count[0]


@pytest.fixture
def handler():
    """Python's own handler of Ctrl-C, which tests side by side are without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_at_any_line(handler):
    """Also while all is put back: it waits then."""
    training = Training(optimizer="Adam", loader="in_order").updates(2)
    before, identities = training.state(), training.identities()

    def find():
        training.find(test=RangeTest(1e-4, 1.0, steps=2), restarts=1, scaler=torch.amp.GradScaler("cpu"))

    def stop():
        signal.raise_signal(signal.SIGINT)

    count = lines_of(find, BINDING, 0, None)
    interrupted = 0
    for at in range(1, count, max(1, count // 150)):
        try:
            lines_of(find, BINDING, at, stop)
        except KeyboardInterrupt:
            interrupted += 1
        assert training.identities() == identities, at
        assert training.state() == before, at
        assert signal.getsignal(signal.SIGINT) is handler
    assert interrupted > 100
