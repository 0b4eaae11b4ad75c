"""The objects that `lrcore.adopt` takes, each as the same few questions: what it is, and what it does."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrcore._livecopies import Trace, copied, detached, follow
from lrcore._livetorch import Reader, UnreadableError, built, plain, position
from lrcore.schedule import Schedule

SAMPLES = 64  # updates at which an object is asked that takes milliseconds to answer
_KERAS_TIMES = ("boundaries", "decay_steps", "first_decay_steps", "warmup_steps")
PRECISION = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1.2e-7}  # of a learning rate that is a tensor


class Subject(ABC):
    """An object to be adopted."""

    groups = 1
    position = 0
    tolerance = 1e-9  # of a value: far more than rounding loses over a run
    floor = 1e-11  # of the largest value, as above

    def __init__(self, label: str) -> None:
        self.label = label
        self.notes: list[str] = []

    @abstractmethod
    def read(self, group: int, strict: bool, notes: list[str]) -> Schedule:
        """The schedule of a group, or UnreadableError. What becomes a table is appended to notes."""

    @abstractmethod
    def observe(self, steps: NDArray[np.int64]) -> Trace:
        """The learning rates at some steps, in order, by a copy of the object."""

    def lasts(self) -> int | None:
        """The updates of the run, of what cannot be read as a whole; None where they are not known. It is read for
        so many from then on."""
        return None

    def compared(self, begin: int, end: int) -> NDArray[np.int64]:
        """The steps that are compared."""
        return np.arange(begin, end)


def subject(obj: Any, n: int | None) -> Subject | None:
    """What kind of object it is; None for one that is not known."""
    if isinstance(obj, type):
        raise UnreadableError("a class, of which an object is wanted")
    names = {(kind.__module__.split(".")[0], kind.__name__) for kind in type(obj).__mro__}
    has = {name for _, name in names}
    if has & {"ReduceLROnPlateau", "PlateauLRScheduler"}:
        raise UnreadableError("it follows a metric, so it is no function of the update number")
    if getattr(obj, "is_shared", False):  # lrcore.bindings.torch
        raise UnreadableError("its values are multiplied by another Scheduler's; each has its schedule at hand")
    if ("fvcore", "ParamScheduler") in names:
        raise UnreadableError(
            "it is asked for the share of the run that is done, from 0 to 1, and not for an update: "
            "adopt(lambda step: scheduler(step / n), n), or lrcore.dialects.fvcore"
        )
    if names & {("ignite", "BaseParamScheduler"), ("ignite", "ParamGroupScheduler")}:
        raise UnreadableError(
            "it is called with an engine, and not for an update: use lrcore.dialects.ignite, or adopt the lr_scheduler "
            "of its LRScheduler"
        )
    if names & {("torch", "LRScheduler"), ("torch", "_LRScheduler")}:
        return TorchSubject(obj, n)
    if ("timm", "Scheduler") in names:
        return TimmSubject(obj)
    if ("megatron", "OptimizerParamScheduler") in names:
        return MegatronSubject(obj)
    if "LearningRateSchedule" in has:
        return KerasSubject(obj)
    return FunctionSubject(obj) if callable(obj) else None


class TorchSubject(Subject):
    """A scheduler of torch, or one derived from it."""

    def __init__(self, scheduler: Any, n: int | None) -> None:
        super().__init__(type(scheduler).__name__)
        self.scheduler, self.n = scheduler, n
        self.position = position(scheduler)
        self.groups = len(scheduler.optimizer.param_groups)
        self._twin = _copy(scheduler)  # its functions are asked, those of the one that is stepped are not
        kinds = {str(getattr(group["lr"], "dtype", "")).removeprefix("torch.") for group in self._settings}
        self._precision = max(PRECISION.get(kind, 0.0) for kind in kinds)
        if self._precision:
            self.notes.append(f"its learning rate is a {'/'.join(kinds)} tensor, and compared as such")

    @property
    def _settings(self) -> list[dict[str, Any]]:
        groups: list[dict[str, Any]] = self._twin.optimizer.param_groups
        return groups

    def read(self, group: int, strict: bool, notes: list[str]) -> Schedule:
        return Reader(group, self._settings[group], self.n, notes).read(self._twin, strict)

    def lasts(self) -> int | None:
        """As long as the longest that a ChainedScheduler chains, if each of them ends."""
        if type(self._twin).__name__ != "ChainedScheduler":
            return None
        try:
            lengths = [
                Reader(group, settings, None, []).read(child, False).length
                for group, settings in enumerate(self._settings)
                for child in self._twin._schedulers
            ]
        except UnreadableError:
            return None
        self.n = None if None in lengths else max(filter(None, lengths), default=0) + 1
        return self.n

    def observe(self, steps: NDArray[np.int64]) -> Trace:
        twin = _copy(self.scheduler)
        if self._precision:
            self.tolerance = min(self._precision * (16 + len(steps)), 0.01)
        return follow(twin, len(steps), twin.step)


def _copy(scheduler: Any) -> Any:
    try:
        return copied(scheduler)
    except Exception as error:
        raise UnreadableError(f"no copy of it can be made, {error!r}") from error


class TimmSubject(Subject):
    """A scheduler of timm, which is asked for the value of any update or epoch, and does not count them."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(type(scheduler).__name__)
        self._twin = _copy(scheduler)
        self._scales = [float(group.get("lr_scale", 1.0)) for group in self._twin.optimizer.param_groups]
        self.groups = len(self._scales)
        if scheduler.t_in_epochs:
            self.notes.append("timm counts epochs here: a step of the schedule is an epoch")

    def read(self, group: int, strict: bool, _notes: list[str]) -> Schedule:
        build = _builder("timm", type(self._twin))
        given = {name: plain(getattr(self._twin, name)) for name in _arguments(build) if hasattr(self._twin, name)}
        made = _built(build, strict, float(self._twin.base_values[group]), **given)
        return _scaled(made, self._scales[group])

    def observe(self, steps: NDArray[np.int64]) -> Trace:
        return _called(self._values, steps)

    def _values(self, step: int) -> list[float]:
        twin = self._twin
        if step == 0:  # the constructor sets it, and timm's training loop does not call step(0)
            values = [twin.warmup_lr_init] * self.groups if twin.warmup_t else twin.base_values
        else:
            values = twin._add_noise(twin._get_lr(step), step)
        return [float(value) * scale for value, scale in zip(values, self._scales, strict=True)]


class MegatronSubject(Subject):
    """Megatron's OptimizerParamScheduler, which counts samples and gives each group its own bounds."""

    def __init__(self, scheduler: Any) -> None:
        super().__init__(type(scheduler).__name__)
        self._twin = _copy(scheduler)
        self._settings: list[dict[str, Any]] = self._twin.optimizer.param_groups
        self._scales = [float(group.get("lr_mult", 1.0)) for group in self._settings]  # that its step multiplies by
        self.groups, self.position = len(self._settings), int(scheduler.num_steps)
        self.notes.append("Megatron counts samples: a step of the schedule is a sample")

    def read(self, group: int, strict: bool, _notes: list[str]) -> Schedule:
        build = _builder("megatron", type(self._twin))
        own = self._settings[group]
        given = {
            name: own.get(name, plain(getattr(self._twin, name)))
            for name in _arguments(build)
            if hasattr(self._twin, name)
        }
        return _scaled(_built(build, strict, **given), self._scales[group])

    def compared(self, begin: int, end: int) -> NDArray[np.int64]:
        return _some(begin, end, vars(self._twin).values())

    def observe(self, steps: NDArray[np.int64]) -> Trace:
        return _called(self._values, steps)

    def _values(self, step: int) -> list[float]:
        self._twin.num_steps = step
        rates = map(self._twin.get_lr, self._settings)
        return [float(rate) * scale for rate, scale in zip(rates, self._scales, strict=True)]


class KerasSubject(Subject):
    """A LearningRateSchedule, which computes in float32 (its cosine to 1e-5) and takes milliseconds a call."""

    tolerance, floor = 1e-5, 2e-5

    def __init__(self, schedule: Any) -> None:
        super().__init__(type(schedule).__name__)
        self._schedule = schedule
        try:
            self._config = {key: _listed(item) for key, item in schedule.get_config().items() if key != "name"}
        except NotImplementedError:
            self._config = {}
        self._config |= {key: _whole(self._config[key]) for key in _KERAS_TIMES if key in self._config}

    def read(self, _group: int, strict: bool, _notes: list[str]) -> Schedule:
        return _built(_builder("keras", type(self._schedule)), strict, **self._config)

    def compared(self, begin: int, end: int) -> NDArray[np.int64]:
        return _some(begin, end, self._config.values())

    def observe(self, steps: NDArray[np.int64]) -> Trace:
        return _called(_one_rate(self._schedule), steps)


class FunctionSubject(Subject):
    """A function of the update number, such as an optax schedule."""

    def __init__(self, function: Any) -> None:
        super().__init__("a function")
        self._function = detached(function, {})
        self._takes_arrays = getattr(function, "__module__", "").partition(".")[0] == "optax"

    def read(self, _group: int, _strict: bool, _notes: list[str]) -> Schedule:
        raise UnreadableError("a function has no closed form")

    def observe(self, steps: NDArray[np.int64]) -> Trace:
        """One by one, or at once where a function of optax is (milliseconds a call), if a few calls agree."""
        if not self._takes_arrays or len(steps) <= SAMPLES:
            return _called(_one_rate(self._function), steps)
        try:
            rates = np.asarray(self._function(steps.astype(np.int32)), np.float64)
        except Exception:  # one that branches on the step
            return _called(_one_rate(self._function), steps)
        some = np.linspace(0, len(steps) - 1, SAMPLES).astype(int)
        agree = rates.shape == steps.shape and np.allclose(
            rates[some], _called(_one_rate(self._function), steps[some]).rates[:, 0], rtol=1e-6, atol=0.0
        )
        return Trace(rates.reshape(-1, 1), None) if agree else _called(_one_rate(self._function), steps)


def _some(begin: int, end: int, marks: Iterable[Any]) -> NDArray[np.int64]:
    """All steps, or some and those around each mark that is a number of updates."""
    if end - begin <= SAMPLES:
        return np.arange(begin, end)
    steps = set(np.linspace(begin, end - 1, SAMPLES).astype(int).tolist())
    for one in (one for mark in marks for one in (mark if isinstance(mark, list) else [mark])):
        if isinstance(one, int) and not isinstance(one, bool):
            steps |= {one - 1, one, one + 1}
    return np.array(sorted(step for step in steps if begin <= step < end), np.int64)


def _called(function: Callable[[int], list[float]], steps: NDArray[np.int64]) -> Trace:
    """What it gives for the groups, step by step. One that raises ends the trace."""
    rates: list[list[float]] = []
    try:
        for step in steps.tolist():
            rates.append(function(step))  # noqa: PERF401 (those before the error are kept)
    except Exception as error:
        return Trace(np.array(rates).reshape(len(rates), -1 if rates else 1), error)
    return Trace(np.array(rates), None)


def _one_rate(function: Any) -> Callable[[int], list[float]]:
    """The function as one for a single group, which gives a number, or an array or a tensor of none but one."""

    def called(step: int) -> list[float]:
        given = function(step)
        if getattr(given, "ndim", 0) or isinstance(given, (list, tuple, str)):
            raise TypeError(f"expected a learning rate for an update, got {given!r}")
        return [float(given)]

    return called


def _builder(dialect: str, kind: type) -> Any:
    try:
        module = import_module(f"lrcore.dialects.{dialect}")
    except ImportError:
        module = None
    build = getattr(module, kind.__name__, None)
    if build is None or kind.__module__.split(".")[0] not in (dialect, f"tf_{dialect}", "tensorflow"):
        raise UnreadableError(f"{kind.__name__} is no class of {dialect} itself")
    return build


def _scaled(schedule: Schedule, scale: float) -> Schedule:
    return schedule if scale == 1.0 else scale * schedule


def _arguments(build: Any) -> list[str]:
    return [name for name in inspect.signature(build).parameters if name not in ("base_lr", "strict")]


def _built(build: Any, strict: bool, *args: Any, **given: Any) -> Schedule:
    try:
        return built(build, strict, *args, **given)
    except (TypeError, ValueError) as error:
        raise UnreadableError(f"{build.__name__} cannot be read: {error}") from error


def _listed(item: Any) -> Any:
    """Configurations hold numbers, lists of them, and tensors."""
    if isinstance(item, (list, tuple)) or getattr(item, "ndim", 0) > 0:
        return [_listed(one) for one in item]
    return item.item() if hasattr(item, "item") else item


def _whole(item: Any) -> Any:
    """5.0 is a number of updates too."""
    return [plain(one) for one in item] if isinstance(item, list) else plain(item)
