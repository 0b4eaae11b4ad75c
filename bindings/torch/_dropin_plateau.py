"""A drop-in for torch's ReduceLROnPlateau: what is a plateau, `lrcore.Plateau` says."""

from __future__ import annotations

import warnings
from typing import Any

from torch.optim import lr_scheduler as peer
from torch.optim.lr_scheduler import EPOCH_DEPRECATION_WARNING

from lrcore.bindings.torch._dropin_rates import copied, put_back, warn_of_difference, with_group_rates
from lrcore.plateau import Plateau

PARAMETERS = ("mode", "factor", "patience", "threshold", "threshold_mode", "cooldown", "min_lrs", "eps")


class ReduceLROnPlateau(peer.ReduceLROnPlateau):
    """torch's ReduceLROnPlateau, which also judges metrics that are negative.

    torch asks for `best * (1 - threshold)` (`mode="min"`, `threshold_mode="rel"`), which is worse than a `best` below
    0, and so takes a constant metric for an improvement for ever. Here it is `best - threshold * |best|`.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
        >>> scheduler = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for _ in range(3):
        ...     scheduler.step(-1.0)
        >>> scheduler.get_last_lr(), scheduler.best, scheduler.num_bad_epochs
        ([0.5], -1.0, 0)
    """

    def __repr__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self._parameters().items())
        return f"{type(self).__name__}({listed})"

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Takes a metric, and reduces the rates if it has not improved for longer than `patience`."""
        try:
            judge = Plateau(
                patience=self.patience,
                mode=self.mode,
                threshold=self.threshold,
                threshold_mode=self.threshold_mode,
                cooldown=self.cooldown,
            )
            judge.best = None if self.best == self.mode_worse else self.best
            judge.bad_count, judge.cooldown_left = self.num_bad_epochs, self.cooldown_counter
        except (TypeError, ValueError):  # what torch takes nevertheless, as a patience of 2.5
            super().step(metrics, epoch)
            return
        is_plateau = judge.observe(float(metrics))
        if epoch is not None:
            warnings.warn(EPOCH_DEPRECATION_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        self.best = self.mode_worse if judge.best is None else judge.best
        self.num_bad_epochs, self.cooldown_counter = judge.bad_count, judge.cooldown_left
        if is_plateau:
            self._reduce_lr(self.last_epoch)
        self._last_lr = [copied(group["lr"]) for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """torch's state, with the rates of the groups where somebody else has changed them since."""
        state = super().state_dict()
        state["_last_lr"], state["min_lrs"] = list(self._last_lr), list(self.min_lrs)
        return with_group_rates(self, state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes a state, of torch's class too, and writes its rates into the groups."""
        state = dict(state_dict)
        group_rates = state.pop("group_lrs", None)
        before = self._parameters()
        super().load_state_dict(state)
        self._last_lr, self.min_lrs = [copied(rate) for rate in self._last_lr], list(self.min_lrs)
        warn_of_difference(self, before, self._parameters())
        put_back(self.optimizer, self._last_lr if group_rates is None else group_rates)


__all__ = ["ReduceLROnPlateau"]
