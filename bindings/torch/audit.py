"""Audit: whether an optimizer used the values of its schedule, and if not, who is likely to be at fault."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import mode
from types import TracebackType
from typing import TYPE_CHECKING, Any
from weakref import ref

from lrcore.bindings.torch._driven import as_held, held
from lrcore.bindings.torch._late import unwrapped

if TYPE_CHECKING:
    from lrcore.bindings.torch.scheduler import Scheduler


@dataclass(frozen=True, slots=True)
class Used:
    """One update of the optimizer, by the first slot that disagrees, or by the first of all.

    Args:
        update: how many updates were done before it.
        value: what the optimizer used.
        expected: what the schedule says for this update.
        position: the scheduler's own count of updates then; it should be `update`.
        stated: what the schedule says for that position.
        steps: how often the scheduler had been stepped since the audit began.
    """

    update: int
    value: float
    expected: float
    position: int
    stated: float
    steps: int

    @property
    def agrees(self) -> bool:
        """Whether it used what the schedule says, and for the reason that it should."""
        return self.value == self.expected and self.position == self.update


class Audit:
    """Compares what an optimizer uses, update for update, with what the schedule says.

    `used(i) == schedule(u + i)` for the i-th update since the audit began, u updates being done then

    It counts the optimizer's own updates by hooks on its `step`, so what it says does not hang on how often the
    scheduler was stepped. Made by `Scheduler.audit()`; it ends with `close()`, or as a context manager. While it runs
    it costs a few microseconds an update, and reads a tensor's value, for which a GPU is waited for: it is a tool
    for the first hundred updates, not for a run.

    Of schedulers that multiply, each says what it and the others, where they stand, come to: audit each of them.

    Culprits that it tells apart: the scheduler is never stepped; stepped once an epoch; stepped N times an update (by
    Accelerate with several processes, once a micro-batch, or once by the trainer and once by hand); updates that AMP
    skipped, after which the scheduler was stepped all the same; the step before the update instead of after it; and
    somebody else who writes the learning rate.

    Example:
        >>> import torch
        >>> from lrcore import Linear
        >>> from lrcore.bindings.torch import Scheduler
        >>> weight = torch.nn.Parameter(torch.ones(2))
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> scheduler = Scheduler(optimizer, Linear(0.5, 0.0, 10))
        >>> with scheduler.audit() as audit:
        ...     for update in range(4):
        ...         weight.grad = torch.ones(2)
        ...         optimizer.step()
        ...         scheduler.step()
        ...         scheduler.step()  # one too many
        >>> audit.ok, audit.culprit
        (False, 'stepped 2 times an update')
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.used: list[Used] = []
        self._scheduler = ref(scheduler)  # a scheduler that is replaced has to be gone
        self._step_scale = scheduler.step_scale
        self._begin_at(scheduler)
        self._hook: Any = unwrapped(scheduler.optimizer).register_step_pre_hook(self._before)

    def _begin_at(self, scheduler: Scheduler) -> None:
        self._begin, self._epoch, self._loads = scheduler.updates, scheduler.last_epoch, scheduler.loads
        self.used.clear()

    def _before(self, optimizer: Any, args: Any, kwargs: Any) -> None:  # noqa: ARG002 (torch's signature of a hook)
        scheduler = self._scheduler()
        if scheduler is None or not scheduler.is_in_charge():
            return
        if scheduler.loads != self._loads or self._begin < 0:  # it has gone elsewhere, or its turn has come
            self._begin_at(scheduler)
        slots = sorted(scheduler.slots(), key=lambda slot: slot[0] != "lr")
        seen = [self._seen(scheduler, *slot) for slot in slots]
        foreign = [one for one in seen if one.value != one.stated]
        self.used.append((foreign or [one for one in seen if not one.agrees] or seen)[0])

    def _seen(self, scheduler: Scheduler, name: str, position: int, group: Any, slot: Any) -> Used:
        present = held(group, slot)

        def value_at(update: int) -> float:
            return as_held(present, scheduler.value_at(name, position, group, slot, update))

        update = self._begin + len(self.used)
        return Used(
            update=update,
            value=float(present),
            expected=value_at(update),
            position=scheduler.updates,
            stated=value_at(scheduler.updates),
            steps=scheduler.last_epoch - self._epoch,
        )

    def close(self) -> None:
        """Ends the audit; what it found stays."""
        self._hook.remove()

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def ok(self) -> bool:
        """Whether every update so far used the schedule's value."""
        return all(one.agrees for one in self.used)

    @property
    def first(self) -> Used | None:
        """The first update that used another value."""
        return next((one for one in self.used if not one.agrees), None)

    @property
    def culprit(self) -> str | None:
        """Who is likely to be at fault; None where all updates agree."""
        if self.ok:
            return None
        if any(one.value != one.stated for one in self.used):
            return "somebody else writes the learning rate"
        scale, first = self._step_scale, self.used[0].steps
        between = [after.steps - before.steps for before, after in pairwise(self.used)]
        if first and all(steps == scale for steps in between):
            if first == scale:
                return "stepped before the update instead of after it, or the first update was skipped (AMP)"
            return f"stepped although the update was skipped, {first // scale} times (AMP)"
        if not any(between):
            return "never stepped"
        if len({*between}) == 1:
            return f"stepped {between[0] / scale:g} times an update"
        return _irregular([first, *between] if first else between, scale)

    def __str__(self) -> str:
        if not self.used:
            return "No update was seen: the audit has to begin before optimizer.step() is called."
        if self.ok:
            return f"All of {len(self.used)} updates used the schedule's value."
        wrong = sum(not one.agrees for one in self.used)
        first = self.first
        assert first is not None
        told = f"{first.value!r} instead of {first.expected!r}"
        if first.value == first.expected:
            told = f"the scheduler was at update {first.position}"
        return (
            f"{wrong} of {len(self.used)} updates did not use the schedule's value for them; the first is update "
            f"{first.update}: {told}. Likely: {self.culprit}."
            f"{CURES.get(_kind(self.culprit), '')}"
        )


CURES = {
    "somebody": " Look for another scheduler, a plateau scheduler, a warm-up by hand or a trainer's own; multiply "
    "schedules (a * b) instead.",
    "never": " Call scheduler.step() after each optimizer.step().",
    "stepped before": " The first value of the schedule is skipped: call scheduler.step() after optimizer.step().",
    "stepped N": " Under Accelerate give Scheduler(..., step_scale=accelerator.num_processes); with gradient "
    "accumulation step once an update, not once a micro-batch; and not both in the trainer and by hand.",
    "once": " The schedule counts updates: step it in the loop over batches (in Lightning interval='step'), or give "
    "its durations in epochs and bind it.",
    "stepped although": " Step only if the update was taken (with GradScaler: if its scale did not fall).",
}


def _kind(culprit: str | None) -> str:
    text = culprit or ""
    if text.startswith("stepped") and "times an update" in text:
        return "stepped N"
    return next((kind for kind in CURES if text.startswith(kind)), "")


def _irregular(between: list[int], scale: int) -> str:
    """What steps that are not the same each time look like."""
    usual = mode(between)
    if usual > scale and min(between) > 0:
        return f"stepped {usual / scale:g} times an update"
    if min(between) >= scale:
        return f"stepped although the update was skipped, {sum(between) // scale - len(between)} times (AMP)"
    stepped = [at for at, steps in enumerate(between) if steps]
    gaps = [after - before for before, after in pairwise(stepped)]
    if max(between) > scale or min(gaps, default=2) < 2:
        return "stepped irregularly"
    if not gaps:
        return "once an epoch: stepped once in all"
    every = f"{min(gaps)}" if min(gaps) == max(gaps) else f"{min(gaps)} to {max(gaps)}"
    return f"once an epoch: stepped once every {every} updates"
