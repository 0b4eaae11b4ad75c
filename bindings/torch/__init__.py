"""PyTorch: a schedule as a learning-rate scheduler of torch."""

from __future__ import annotations

from lrcore.bindings.torch.scheduler import Scheduler

__all__ = ["Scheduler"]
