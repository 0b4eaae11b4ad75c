"""What a live torch scheduler is in `lrcore.dialects.torch`, read from its attributes; torch itself is not imported."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from typing import Any

from lrcore.curves import Constant, Table
from lrcore.dialects import torch as dialect
from lrcore.dialects._dialect import Call
from lrcore.dialects._torchruns import is_followed
from lrcore.schedule import Schedule

MODULES = ("torch.optim.lr_scheduler", "torch.optim.swa_utils")
# The attributes that are the arguments of the same name, after base_lr.
PLAIN = {
    "StepLR": ("step_size", "gamma"),
    "ConstantLR": ("factor", "total_iters"),
    "LinearLR": ("start_factor", "end_factor", "total_iters"),
    "ExponentialLR": ("gamma",),
    "PolynomialLR": ("total_iters", "power"),
    "CosineAnnealingLR": ("T_max", "eta_min"),
    "CosineAnnealingWarmRestarts": ("T_0", "T_mult", "eta_min"),
}
OTHERS = {
    "ChainedScheduler": "_chained",
    "CyclicLR": "_cyclic",
    "LambdaLR": "_lambda",
    "MultiplicativeLR": "_multiplicative",
    "MultiStepLR": "_multi_step",
    "OneCycleLR": "_one_cycle",
    "SequentialLR": "_sequential",
    "SWALR": "_swa",
}
CONTINUES = ("MultiplicativeLR", "SWALR")  # within a SequentialLR they go on from the learning rate of the moment


class UnreadableError(ValueError):
    """The object has no form in the dialect: why."""


def position(scheduler: Any) -> int:
    """Updates done so far: the constructor has applied the learning rate of update 0."""
    if hasattr(scheduler, "last_epoch"):
        return max(0, int(scheduler.last_epoch))
    return position(scheduler._schedulers[0])


class Reader:
    """Reads schedulers for one parameter group.

    Args:
        group: its number.
        settings: the optimizer's dictionary of the group.
        n: updates of the run, if known: functions are tabulated over them.
        notes: what became a table is said here.
    """

    def __init__(self, group: int, settings: dict[str, Any], n: int | None, notes: list[str]) -> None:
        self.group, self.settings, self.n, self.notes = group, settings, n, notes

    def read(self, scheduler: Any, strict: bool) -> Schedule:
        """The schedule, or UnreadableError."""
        self._root = scheduler
        try:
            made = self._read(scheduler, strict, None, self.n)
            tabulated = sum(len(table.values) for table in _followed(made))
            if tabulated:
                self.notes.append(
                    f"{tabulated} updates of {type(scheduler).__name__} without a closed form are a Table"
                )
            return made
        except UnreadableError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            later = isinstance(error, LookupError) and self._came_later(scheduler)
            why = f"group {self.group} was added later, and it has no learning rate for it" if later else error
            raise UnreadableError(f"{type(scheduler).__name__} cannot be read: {why}") from error

    def _read(self, scheduler: Any, strict: bool, entry: float | None, span: int | None) -> Schedule:
        """`entry`: the learning rate that a part of a sequence finds; `span`: the updates that it is for."""
        name = _kind(scheduler)
        if isinstance(getattr(scheduler, "schedule", None), Schedule):  # lrcore.bindings.torch
            own: Schedule = scheduler.schedule
            return own
        if name in PLAIN:
            given = {argument: plain(getattr(scheduler, argument)) for argument in PLAIN[name]}
            build = partial(getattr(dialect, name), **given)
            return built(build, strict, self._base(scheduler, build))
        if name not in OTHERS:
            raise UnreadableError(f"{type(scheduler).__name__} is no class of torch itself")
        read: Callable[..., Schedule] = getattr(self, OTHERS[name])
        return read(scheduler, strict, entry, span)

    def _base(self, scheduler: Any, build: Callable[[float], Schedule] | None = None) -> float:
        """The first learning rate; of a group that came later, the one that leads to what it has, if `build` scales."""
        if build is None or not self._came_later(scheduler):
            return float(scheduler.base_lrs[self.group])
        if "initial_lr" in self.settings:
            return float(self.settings["initial_lr"])
        return float(self.settings["lr"]) / build(1.0)(position(scheduler))

    def _came_later(self, scheduler: Any) -> bool:
        known = getattr(scheduler, "base_lrs", None)
        if known is None:
            return any(self._came_later(child) for child in getattr(scheduler, "_schedulers", ()))
        return self.group >= len(known)

    def _multi_step(self, scheduler: Any, *_: Any) -> Schedule:
        milestones = [plain(milestone) for milestone in scheduler.milestones.elements()]
        build = partial(dialect.MultiStepLR, milestones=milestones, gamma=scheduler.gamma)
        return build(self._base(scheduler, build))

    def _cyclic(self, scheduler: Any, *_: Any) -> Schedule:
        if scheduler._scale_fn_custom is not None:
            raise UnreadableError("CyclicLR has a scale_fn of its own")
        up = scheduler.total_size * scheduler.step_ratio
        down = scheduler.total_size - up
        if not all(math.isclose(steps, round(steps), rel_tol=1e-12) for steps in (up, down)):
            raise UnreadableError(f"CyclicLR goes up in {up:g} updates and down in {down:g}, which is not whole")
        bounds = self._base(scheduler), float(scheduler.max_lrs[self.group])
        return dialect.CyclicLR(*bounds, round(up), round(down), scheduler.mode, scheduler.gamma)

    def _one_cycle(self, scheduler: Any, strict: bool, *_: Any) -> Schedule:
        total, phases = scheduler.total_steps, scheduler._schedule_phases
        low, high, last = (float(self.settings[key]) for key in ("initial_lr", "max_lr", "min_lr"))
        end = float(phases[0]["end_step"])
        return built(
            dialect.OneCycleLR,
            strict,
            high,
            total,
            pct_start=_solved(lambda share: share * total - 1, end, (end + 1) / total),
            anneal_strategy=scheduler._anneal_func_type,
            div_factor=_solved(lambda factor: high / factor, low, high / low),
            final_div_factor=_solved(lambda factor: low / factor, last, low / last),
            three_phase=len(phases) == 3,
        )

    def _swa(self, scheduler: Any, strict: bool, entry: float | None, _span: int | None) -> Schedule:
        end, epochs = float(self.settings["swa_lr"]), plain(scheduler.anneal_epochs)
        strategy = scheduler._anneal_strategy
        begin = self._base(scheduler) if entry is None or strict else entry
        made = dialect.SWALR(begin, end, epochs, strategy)
        now, done = float(self.settings["lr"]), position(scheduler)
        if entry is not None or math.isclose(made(done), now, rel_tol=1e-9):
            return made
        if strict and scheduler is not self._root:
            return made
        share = dialect.SWALR(1.0, 0.0, epochs, strategy)(done)  # of the rate that it found, after another's work
        return dialect.SWALR(end + (now - end) / share, end, epochs, strategy) if share > 1e-3 else made

    def _lambda(self, scheduler: Any, strict: bool, _entry: float | None, span: int | None) -> Schedule:
        function = scheduler.lr_lambdas[self.group]
        if isinstance(function, Schedule):
            return dialect.LambdaLR(self._base(scheduler), function)
        known = _of_transformers(function, self._base(scheduler), strict)
        return known or dialect.LambdaLR(self._base(scheduler), self._factors("LambdaLR", function, span, 0))

    def _multiplicative(self, scheduler: Any, strict: bool, entry: float | None, span: int | None) -> Schedule:
        function = scheduler.lr_lambdas[self.group]
        first = 1.0 if entry is None else float(function(0))  # which is asked at a milestone alone
        base = self._base(scheduler) if entry is None or strict else entry * first
        if isinstance(function, Schedule):
            return dialect.MultiplicativeLR(base, function, None if function.length is not None else span)
        return dialect.MultiplicativeLR(base, [first, *self._factors("MultiplicativeLR", function, span, 1)])

    def _factors(self, name: str, function: Callable[[int], float], span: int | None, begin: int) -> list[float]:
        if span is None:
            raise UnreadableError(f"the function of {name} has no closed form")
        self.notes.append(f"the function of {name} became a Table over {span} updates")
        try:
            return [float(function(step)) for step in range(begin, span)]
        except Exception as error:
            raise UnreadableError(f"the function of {name} raises within {span} updates: {error!r}") from error

    def _sequential(self, scheduler: Any, strict: bool, _entry: float | None, span: int | None) -> Schedule:
        milestones = [plain(milestone) for milestone in scheduler._milestones]
        ends = [*milestones, span]
        read: list[Schedule] = []
        for begin, end, child in zip([0, *milestones], ends, scheduler._schedulers, strict=True):
            entry = None
            if begin > 0 and _kind(child) in CONTINUES:
                entry = 0.0 if strict else dialect.SequentialLR(read, milestones[: len(read) - 1])(begin - 1)
            lasts = None if end is None else max(end - begin, 1)
            read.append(self._read(child, strict, entry, lasts))
        return self._composed(scheduler, strict, schedulers=read, milestones=milestones)

    def _chained(self, scheduler: Any, strict: bool, _entry: float | None, span: int | None) -> Schedule:
        bases = {self._base(child) for child in scheduler._schedulers if hasattr(child, "base_lrs")}
        if len(bases) != 1 and not strict:
            what = f"of different learning rates, {sorted(bases)}" if bases else "that are made of others"
            raise UnreadableError(f"ChainedScheduler has schedulers {what}, so it is no product")
        read = [self._read(child, strict, None, span) for child in scheduler._schedulers]
        return self._composed(scheduler, strict, base_lr=max(bases, default=0.0), schedulers=read)

    def _composed(self, scheduler: Any, strict: bool, **given: Any) -> Schedule:
        """One within another is not composed by itself if it is strict: what it does hangs on the outer one."""
        if strict and scheduler is not self._root:
            return Constant(0.0)._with_hints(origin=Call.of(f"torch.{_kind(scheduler)}", True, given))
        return built(getattr(dialect, _kind(scheduler)), strict, **given)


def _followed(schedule: Schedule) -> Iterator[Table]:
    """The tables of what torch did, in a strict composition."""
    if isinstance(schedule, Table) and is_followed(schedule):
        yield schedule
    for child in schedule._children():
        yield from _followed(child)


def _kind(scheduler: Any) -> str:
    """The class of torch that it is, or that its own class is derived from: what that one adds, a comparison shows."""
    return next((kind.__name__ for kind in type(scheduler).__mro__ if kind.__module__ in MODULES), "")


def built(build: Callable[..., Schedule], strict: bool, *args: Any, **given: Any) -> Schedule:
    """A schedule of a dialect, strict only where that makes a difference."""
    if not strict or "strict" not in inspect.signature(build).parameters:
        return build(*args, **given)
    try:
        made = build(*args, **given)
    except (TypeError, ValueError):  # what only the peer takes
        return build(*args, **given, strict=True)
    quirky = build(*args, **given, strict=True)
    return made if quirky == made else quirky


def plain(given: Any) -> Any:
    """A number out of a tensor or a float that is whole: torch takes 100.0 for a number of updates."""
    number = given.item() if hasattr(given, "item") else given
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _solved(function: Callable[[float], float], wanted: float, guess: float) -> float:
    """The argument that gives the wanted value to the bit, with few decimals if there is such a one."""
    near = (guess, math.nextafter(guess, math.inf), math.nextafter(guess, -math.inf))
    candidates = (*(round(guess, digits) for digits in (1, 3, 6, 9, 12)), *near)
    return next((one for one in candidates if one and function(one) == wanted), guess)


def _of_transformers(function: Any, base: float, strict: bool) -> Schedule | None:
    """A schedule of `transformers.get_scheduler`: a partial, or a function without arguments."""
    inner, keywords = (function.func, function.keywords) if isinstance(function, partial) else (function, {})
    if getattr(inner, "__module__", "") != "transformers.optimization":
        return None
    try:
        schedules = import_module("lrcore.dialects.transformers")
    except ImportError:
        return None
    for name in _names_in_transformers(inner.__name__, keywords):
        build = getattr(schedules, name, None)
        if build is None:
            continue
        wanted = inspect.signature(build).parameters
        given = {key: plain(item) for key, item in keywords.items() if key in wanted}
        own = float(keywords.get("lr_init", base))  # of the polynomial decay: the optimizer's, not the group's
        try:
            made = built(build, strict, own, **given)
            return made if own == base else base / own * made
        except (TypeError, ValueError):
            continue
    return None


def _names_in_transformers(private: str, keywords: dict[str, Any]) -> list[str]:
    """`_get_linear_schedule_with_warmup_lr_lambda` is `get_linear_schedule_with_warmup`, mostly."""
    stem = private.removeprefix("_").removesuffix("_lambda").removesuffix("_lr")
    names = [stem, f"{stem}_schedule", stem.replace("scheduler", "schedule")]
    if keywords.get("min_lr_rate") and "min_lr" not in stem:
        names.insert(0, "get_cosine_with_min_lr_schedule_with_warmup")
    return names
