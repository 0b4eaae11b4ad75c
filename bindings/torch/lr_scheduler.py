"""`torch.optim.lr_scheduler`, with the same names and numbers: replace the import, and a run resumes right.

    from lrcore.bindings.torch import lr_scheduler  # was: from torch.optim import lr_scheduler

Every class is a subclass of torch's of its name, built by the same arguments, with the same attributes. Rates come
from `lrcore.dialects.torch` as pure functions of `last_epoch`. What is mended:

- A state that is loaded writes its rates into the optimizer, so the order of building and loading does not matter, nor
  whether the optimizer's state is there; `last_epoch=k - 1` goes on as if the run had not stopped, for all classes.
- `SequentialLR` and `ChainedScheduler` nest, and at its milestone each part begins from its own step 0.
- `OneCycleLR` holds its end for the step past it, instead of going below 0, and short cycles do not divide by zero;
  `ConstantLR(factor=0)` does not divide by zero; `CosineAnnealingWarmRestarts.step(epoch)` finds each restart.
- A group that `optimizer.add_param_group` adds is scheduled from its own rate.
- `ReduceLROnPlateau` judges negative metrics.
- A rate that is a float32 tensor is rounded once, from float64, not at each update.

A parameter that is set in the middle of a run (`scheduler.gamma = 0.5`) goes on from the rate that is there, as in
torch. What is changed inside of one (`scheduler.milestones[4] = 1`, `group["max_lr"] = 1.0`) may not be seen: set it or
load it. A group that is taken away is refused, where torch goes on with the others.

States are torch's, with `root_lrs` and `group_lrs` beside where another scheduler, or a hand, has changed a rate; those
of torch load here, and these there.
"""

from __future__ import annotations

from torch.optim.lr_scheduler import EPOCH_DEPRECATION_WARNING, LRScheduler

from lrcore.bindings.torch._dropin_curves import (
    SWALR,
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from lrcore.bindings.torch._dropin_cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from lrcore.bindings.torch._dropin_nested import ChainedScheduler, SequentialLR
from lrcore.bindings.torch._dropin_plateau import ReduceLROnPlateau

__all__ = [
    "EPOCH_DEPRECATION_WARNING",
    "SWALR",
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
