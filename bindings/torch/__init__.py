"""PyTorch: a schedule as a learning-rate scheduler of torch.

`Scheduler` drives an optimizer; `DeviceSchedule` does so inside a captured CUDA graph; `Audit` tells whether a loop
steps it right; `lr_scheduler` has torch's own schedulers under their names; `param_groups` gives layers rates of their
own; `find_lr` finds a rate in short runs, and leaves the training as it was; `Monitor` says when and why one fails.
"""

from __future__ import annotations

from lrcore.bindings.torch.audit import Audit
from lrcore.bindings.torch.device import DeviceSchedule
from lrcore.bindings.torch.finder import find_lr
from lrcore.bindings.torch.groups import param_groups
from lrcore.bindings.torch.monitor import Monitor
from lrcore.bindings.torch.scheduler import Scheduler

__all__ = ["Audit", "DeviceSchedule", "Monitor", "Scheduler", "find_lr", "param_groups"]
