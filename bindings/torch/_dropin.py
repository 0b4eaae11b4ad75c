"""What the drop-ins for torch's schedulers share: pure rates, what others make of them, and the state.

A drop-in is torch's class of its name, built by torch's own constructor, so attributes, messages and isinstance are
torch's. Only what computes is replaced:

(a) One weight a scheduler. A dialect's schedule with `base_lr=1` and an end of 0 gives the weight w of the update; a
    group's rate is `w * root + (1 - w) * low`, where root is the rate that the group starts from and low the one that
    it goes to (0, `eta_min`, `swa_lr`). So one evaluation serves a hundred groups, a tensor on a device is never read,
    and both ends are exact.
(b) torch's recursive classes keep what others make of a group's rate: another scheduler, a plateau, the user's hand.
    Here a rate that is not the one written last gives the group another root, `low + (rate - low) / w`, which is what
    torch's recursion comes to; a scheduler that is alone has the root that it began with, and is pure.
(c) What stands in `__dict__` is what torch has there, because states are made of it. Caches are in slots.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import EPOCH_DEPRECATION_WARNING, LRScheduler

from lrcore.bindings.torch._dropin_rates import (
    close,
    copied,
    differ,
    is_far,
    mix,
    near,
    put_back,
    rounding_of,
    warn_of_difference,
    with_group_rates,
)
from lrcore.schedule import LAST_STEP, Schedule

Rate: TypeAlias = "float | Tensor"
Weight: TypeAlias = Callable[[int], float]

CACHES = {"_alike", "_is_first", "_marks", "_ready", "_roots", "_weight"}
PROGRESS = {"_get_lr_called_within_step", "_is_initial", "_last_lr", "_step_count", "last_epoch", "optimizer"}
LR_OF = itemgetter("lr")
FLOAT = frozenset({float})
HOME = __name__.rpartition(".")[0]
# torch's classes themselves, also where a program puts the drop-ins in their places in torch's module.
TORCHS: dict[str, Any] = {name: getattr(lr_scheduler, name) for name in lr_scheduler.__all__}


def weight_of(build: Callable[[], Schedule], otherwise: Weight) -> Weight:
    """The values of a dialect's schedule; for arguments that torch takes and the dialect refuses, another function."""
    try:
        return build()._compiled().value
    except (TypeError, ValueError):
        return otherwise


def closed_form(name: str, **arguments: Any) -> Weight:
    """The closed form of torch's class as a weight, for what no schedule of lrcore is: half an epoch, gamma < 0."""

    def weight(epoch: float) -> float:
        stand_in = SimpleNamespace(**arguments, base_lrs=[1.0], last_epoch=epoch)
        try:
            return float(TORCHS[name]._get_closed_form_lr(stand_in)[0])
        except ZeroDivisionError:  # as torch's, a period of 0 is an error at its first update, not before
            if epoch:
                raise
            return 1.0

    return weight


class DropIn(LRScheduler):
    """A scheduler of torch whose rates are pure. See the notes above."""

    __slots__ = ("_alike", "_is_first", "_marks", "_ready", "_roots", "_weight")

    _overwrites = False  # writes its own rate, whatever others made of it
    _can_rise = False  # has a `_rises`
    _is_custom = False  # a user's subclass with a get_lr of its own goes torch's way
    _is_first: bool  # it is built on an optimizer that has had no other one, in this process
    _alike: Any  # what the fastest path needs, of groups with one rate that nobody else writes; or None
    _ready: Any  # what the fast path needs, of groups with floats; or None
    _roots: list[Any] | None  # None: base_lrs
    _weight: Weight | None
    _marks: dict[int, tuple[Tensor, int]]  # tensors written last, and their versions then

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = next(at for at, node in enumerate(cls.__mro__) if node.__module__.startswith(HOME))
        computes = {"get_lr", "_get_closed_form_lr", "_update_lr"}
        cls._is_custom = any(computes & set(node.__dict__) for node in cls.__mro__[:own])
        signature = inspect.signature(cls.__init__)  # which would else be that of __new__
        parameters = list(signature.parameters.values())[1:]
        cls.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]

    def __new__(cls, *args: Any, **options: Any) -> Any:
        made = super().__new__(cls)
        made._forget()
        optimizer = options.get("optimizer", args[0] if args else None)
        made._is_first = not hasattr(getattr(optimizer, "step", None), "_wrapped_by_lr_sched")
        return made

    def _forget(self) -> None:
        self._alike = self._ready = self._roots = self._weight = None
        self._marks = {}

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name not in CACHES:
            object.__setattr__(self, "_alike", None)
            object.__setattr__(self, "_ready", None)
            if name not in PROGRESS:  # a parameter: gamma, T_max ...
                object.__setattr__(self, "_weight", None)
                object.__setattr__(self, "_roots", None)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_roots": self._roots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._roots = state.pop("_roots", None)
        self.__dict__.update(state)

    def __repr__(self) -> str:
        listed = [f"{name}={value!r}" for name, value in self._parameters().items()]
        return f"{type(self).__name__}({', '.join([*listed, f'last_epoch={self.last_epoch}'])})"

    def _parameters(self) -> dict[str, Any]:
        hidden = PROGRESS | {"base_lrs"}
        return {name: value for name, value in self.__dict__.items() if name not in hidden and name[0] != "_"}

    # ---- What a class says of itself ----

    def _make_weight(self) -> Weight:
        """The weight of an update."""
        raise NotImplementedError

    def _odd_weight(self) -> Weight:
        """The same by torch's own formula, which takes fractions."""
        raise NotImplementedError

    def _low(self, _at: int, _group: dict[str, Any]) -> Any:
        """What the rate of a group is at weight 0."""
        return 0.0

    def _rises(self, _epoch: float) -> bool:
        """Whether torch begins again from base_lr here, whatever the rate was made before."""
        return False

    def _adopt(self, group: dict[str, Any]) -> None:
        """Lists of parameters, a value for each group, take one for a new group."""

    def _write_momentum(self, _epoch: float) -> None:
        """The momentum of each group."""

    # ---- Stepping ----

    def step(self, epoch: float | None = None) -> None:
        """Steps the scheduler, after the optimizer's update; as torch's."""
        alike = self._alike
        if alike is not None and epoch is None:
            own, weight, optimizer, groups, size, limit, root, low, momentum = alike
            last, now, count = own["_last_lr"][0], own["last_epoch"] + 1, own["_step_count"]
            if optimizer.param_groups is groups and len(groups) == size and now <= limit and count != 1:
                w = weight(now)
                rate = w * root + (1.0 - w) * low if low else w * root
                for group in groups:
                    if group["lr"] is not last:
                        _undo(groups, group, own["_last_lr"])
                        break
                    group["lr"] = rate
                else:
                    own["last_epoch"], own["_step_count"] = now, count + 1
                    own["_last_lr"] = [rate] if size == 1 else [rate] * size
                    if momentum is not None:
                        momentum(groups, now, w)
                    return
        own = self.__dict__
        if own["_step_count"] == 1 or epoch is not None:
            self._warn(epoch)
        own["_step_count"] += 1
        if self._ready is None or epoch is not None or not self._step_fast(own, self._ready):
            self._update_lr(epoch)

    def _step_fast(self, own: dict[str, Any], ready: list[Any]) -> bool:
        """The next rates, if all groups hold floats; False: nothing was done."""
        weight, groups, size, bases, roots, low, momentum, before, many = ready
        if own["optimizer"].param_groups is not groups or len(groups) != size or own["base_lrs"] != bases:
            return False
        if before == 0.0 and self._can_rise:
            return False
        lasts, epoch = own["_last_lr"], own["last_epoch"] + 1
        w = weight(epoch)
        rates = _mixed_rates(w, roots, low, many) if groups[0]["lr"] is lasts[0] else None
        if rates is None or not _replace(groups, lasts, rates):
            now = list(map(LR_OF, groups))
            if now == lasts:
                rates = _mixed_rates(w, roots, low, many)
            elif before == 0.0 or self._overwrites or not FLOAT.issuperset(map(type, now)):
                return False
            else:
                rates, ready[8] = _chained(now, lasts, roots, low, before, w), _array(roots)
            for group, rate in zip(groups, rates):  # noqa: B905 (of one length, and strict takes time)
                group["lr"] = rate
        own["last_epoch"], own["_last_lr"], ready[7] = epoch, rates, w
        if momentum is not None:
            momentum(groups, epoch, w)
        return True

    def _warn(self, epoch: float | None) -> None:
        """torch's warnings, in its order: they tell a loop that steps the scheduler first, or by epochs."""
        how = "https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"
        if self._step_count == 1:
            if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
                warnings.warn(
                    "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                    f"Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`. See {how}",
                    UserWarning,
                    stacklevel=3,
                )
            elif not getattr(self.optimizer, "_opt_called", False):
                warnings.warn(
                    "Detected call of `lr_scheduler.step()` before `optimizer.step()`: the first value of the schedule "
                    f"is skipped. Call `optimizer.step()` first. See {how}",
                    UserWarning,
                    stacklevel=3,
                )
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: float | None = None) -> None:
        if self._is_custom:
            super()._update_lr(epoch)  # type: ignore[arg-type]
            return
        self._adopt_new_groups()
        to = self.last_epoch + 1 if epoch is None else epoch
        is_alone = (
            epoch is not None
            or self._is_initial
            or all(self._is_ours(at, group["lr"]) for at, group in enumerate(self.optimizer.param_groups))
        )
        if self._is_initial:
            rates = self._first_rates(to)
        elif epoch is None:
            rates = self._next_rates(to)
        else:
            rates = self._placed_rates(to)
        self.__dict__["last_epoch"] = to
        self._write(rates)
        self._write_momentum(to)
        if not self._is_initial:
            self._prepare(is_alone)

    def _adopt_new_groups(self) -> None:
        """Groups that `optimizer.add_param_group` has added start from their own rate."""
        groups, own = self.optimizer.param_groups, self.__dict__
        if len(groups) < len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__}: expected {len(self.base_lrs)} parameter groups, as there were, "
                f"got {len(groups)}"
            )
        for group in groups[len(self.base_lrs) :]:
            self._roots = [*(self._roots or map(near, self.base_lrs)), near(copied(group["lr"]))]
            self._adopt(group)
            own["base_lrs"] = [*own["base_lrs"], copied(group.setdefault("initial_lr", copied(group["lr"])))]
            own["_last_lr"] = [*own["_last_lr"], copied(group["lr"])]

    def _w(self, epoch: float) -> float:
        if type(epoch) is not int or epoch < 0:
            return self._odd_weight()(epoch)  # type: ignore[arg-type]
        if self._weight is None:
            self._weight = self._make_weight()
        return self._weight(epoch)

    def _own_roots(self) -> list[Any]:
        return [near(copied(base)) for base in self.base_lrs]

    def _first_rates(self, epoch: float) -> list[Any]:
        """At construction: from the rates that are there, as torch.

        With a `last_epoch` they may be those of a run that goes on, or still the first ones; the former can tell what
        others made of them.
        """
        before, w = self._w(max(epoch - 1, 0)), self._w(epoch)
        roots, rates = [], []
        for at, (group, base) in enumerate(zip(self.optimizer.param_groups, self._own_roots(), strict=True)):
            lr, low = near(copied(group["lr"])), self._low(at, group)
            root, rate = base, mix(w, base, low)
            expected = (base, rate) if self._is_first else (base,)
            expected = expected if epoch == 0 else (*expected, rate, mix(before, base, low))
            is_own = (
                not is_far(lr)
                and not is_far(base)
                and any(close(lr, one, rounding_of(group["lr"])) for one in expected)
            )
            if epoch == 0 and not is_own:
                root, rate = lr, mix(w, lr, low)
            elif not (is_own or is_far(lr) or is_far(base) or w == 0.0):
                root, rate = low + (lr - low) / w, lr
            roots.append(root)
            rates.append(rate)
        self._roots, self._is_first = roots, False
        return rates

    def _next_rates(self, epoch: float) -> list[Any]:
        """The rates of the next update."""
        before, w = self._w(self.last_epoch), self._w(epoch)
        known = self._loaded_roots() if self._roots is None else self._roots
        roots = self._roots = self._own_roots() if known is None else list(known)
        bases = self._own_roots() if self._rises(epoch) else None
        rates = []
        for at, group in enumerate(self.optimizer.param_groups):
            lr, low = group["lr"], self._low(at, group)
            if self._is_ours(at, lr):
                roots[at] = roots[at] if bases is None else bases[at]
                # At weight 0 a rate that somebody wrote has no root, and stays.
                rates.append(self._kept(near(copied(lr)), low) if w == before == 0.0 else mix(w, roots[at], low))
                continue
            lr = near(copied(lr))
            if bases is not None:
                rates.append(lr + mix(w, bases[at], low) - low)
                roots[at] = low + (rates[at] - low) / w
                continue
            if before != 0.0:
                roots[at] = low + (lr - low) / before
            rates.append(self._kept(lr, low) if w == before else mix(w, roots[at], low))
        return rates

    def _kept(self, lr: Any, _low: Any) -> Any:
        """The rate that somebody else wrote, where the weight does not change."""
        return lr

    def _placed_rates(self, epoch: float) -> list[Any]:
        """The closed form, whatever the rates are."""
        self._roots = self._own_roots()
        return self._mixed(epoch, self._roots)

    def _mixed(self, epoch: float, roots: list[Any]) -> list[Any]:
        w = self._w(epoch)
        groups = self.optimizer.param_groups
        return [mix(w, root, self._low(at, groups[at])) for at, root in enumerate(roots)]

    def _is_ours(self, at: int, lr: Any) -> bool:
        """Whether a group's rate is what was written last, or the same after a load."""
        last = self._last_lr[at]
        if lr is last:
            return True
        if not isinstance(lr, Tensor):
            return bool(not isinstance(last, Tensor) and lr == last)
        mark = self._marks.get(at)
        if mark is not None and mark[0] is lr:
            return lr._version == mark[1]
        return is_far(lr) or is_far(last) or float(lr) == float(last)

    def _write(self, rates: list[Any]) -> None:
        groups = self.optimizer.param_groups
        if len({rate if type(rate) is float else None for rate in rates}) == 1 and type(rates[0]) is float:
            rates = [rates[0]] * len(rates)  # one object, by which the fast path knows them
        for at, (group, rate) in enumerate(zip(groups, rates, strict=True)):
            lr = group["lr"]
            if isinstance(lr, Tensor):
                lr.fill_(rate.squeeze() if isinstance(rate, Tensor) else rate)
                self._marks[at] = (lr, lr._version)
            else:
                group["lr"] = rate
        self.__dict__["_last_lr"] = [copied(group["lr"]) for group in groups]

    def _prepare(self, is_alone: bool) -> None:
        """What the fast paths need, if all groups are floats that go to one rate, and epochs are whole."""
        self._ready = self._alike = None
        groups, roots, now = self.optimizer.param_groups, self._roots, self._now()
        lows = [near(self._low(at, group)) for at, group in enumerate(groups)]
        numbers = [*(group["lr"] for group in groups), *lows, *(roots or [None])]
        if {*map(type, numbers)} - {float} or len({*lows}) != 1 or type(now) is not int or roots is None:
            return
        w = self._w(now)
        if [mix(w, root, lows[0]) for root in roots] != self._last_lr:  # as a rate that was kept
            return
        if is_alone and not self._overwrites and len({*roots}) == 1:
            at = self.optimizer, groups, len(groups), LAST_STEP
            self._alike = self.__dict__, self._weight, *at, roots[0], lows[0], self._momentum_writer()
        else:
            bases = list(self.base_lrs)
            fixed = self._weight, groups, len(groups), bases, roots, lows[0], self._momentum_writer()
            self._ready = [*fixed, w, _array(roots)]

    def _now(self) -> float:
        """What the weight is a function of."""
        return self.last_epoch

    def _momentum_writer(self) -> Any:
        return None

    def get_lr(self) -> list[Any]:
        """The rates of `last_epoch`."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=2,
            )
        if self._is_custom and self._get_lr_called_within_step:
            return list(super().get_lr())  # torch's recursion, from what the subclass made of the rates
        return self._mixed(self.last_epoch, self._own_roots() if self._roots is None else self._roots)

    # ---- State ----

    def state_dict(self) -> dict[str, Any]:
        """torch's state; with the rates of the groups and what they start from, where others changed them."""
        state = super().state_dict()
        state["base_lrs"], state["_last_lr"] = list(self.base_lrs), list(self._last_lr)
        roots = self._state_roots()
        if roots is not None:
            state["root_lrs"] = roots
        return with_group_rates(self, state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state, of torch's class too, and writes its rates into the groups.

        As in torch the parameters of the state win, and a warning says where they differ.
        """
        self._adopt_new_groups()
        state = dict(state_dict)
        group_rates, roots = state.pop("group_lrs", None), state.pop("root_lrs", None)
        before = self._parameters()
        super().load_state_dict(state)
        for name in ("base_lrs", "_last_lr"):
            self.__dict__[name] = [copied(rate) for rate in self.__dict__[name]]
        warn_of_difference(self, before, self._parameters())
        self._forget()
        self._roots = None if roots is None else list(roots)
        if self.last_epoch >= 0:
            self._roots = self._loaded_roots() if roots is None else self._roots
            put_back(self.optimizer, self._last_lr if group_rates is None else group_rates)
            self._write_momentum(self.last_epoch)

    def _state_roots(self) -> list[Any] | None:
        """What the rates start from, where it is not base_lrs."""
        return list(self._roots) if self._roots is not None and any(map(differ, self._roots, self.base_lrs)) else None

    def _loaded_roots(self) -> list[Any] | None:
        """torch's state does not say what others made of the rates, but the rates do."""
        w, roots = self._w(self.last_epoch), self._own_roots()
        for at, (group, last) in enumerate(zip(self.optimizer.param_groups, self._last_lr, strict=False)):
            low = self._low(at, group)
            if w == 0.0 or is_far(last) or is_far(roots[at]) or is_far(low):
                continue
            if not close(float(last), mix(w, roots[at], float(low)), rounding_of(last)):
                roots[at] = low + (float(last) - low) / w
        return roots


def _array(roots: list[float]) -> Any:
    """Roots that are many enough to be faster so, with the same bits; or None."""
    return np.array(roots) if len(roots) > 16 else None


def _mixed_rates(w: float, roots: list[float], low: float, many: Any) -> list[float]:
    """`mix` of each root."""
    rest = (1.0 - w) * low
    if many is not None:
        return (w * many + rest if rest else w * many).tolist()  # type: ignore[no-any-return]
    return [w * root + rest for root in roots] if rest else [w * root for root in roots]


def _replace(groups: list[Any], lasts: list[Any], rates: list[float]) -> bool:
    """Writes rates where the last ones are; not any, if somebody has changed one."""
    for group, rate, last in zip(groups, rates, lasts):  # noqa: B905
        if group["lr"] is not last:
            _undo(groups, group, lasts)
            return False
        group["lr"] = rate
    return True


def _undo(groups: list[Any], changed: dict[str, Any], lasts: list[Any]) -> None:
    """The last rates into the groups before the one that somebody else has changed."""
    for group, last in zip(groups, lasts, strict=True):
        if group is changed:
            return
        group["lr"] = last


def _chained(
    now: list[float], lasts: list[float], roots: list[float], low: float, before: float, w: float
) -> list[float]:
    """The next rates of groups whose rates somebody else has changed; their roots change with them."""
    rest, rates = (1.0 - w) * low, []
    for at, (lr, last) in enumerate(zip(now, lasts, strict=True)):
        if lr != last:
            roots[at] = low + (lr - low) / before
        rates.append(lr if w == before else w * roots[at] + rest)
    return rates
