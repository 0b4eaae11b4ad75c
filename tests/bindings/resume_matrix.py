"""Every scheduler, stopped after every update and resumed in every order: where is its trajectory a wrong one?

`counts(module)` is the table for torch's own module or for the drop-ins; run as a program it prints both.
"""

import io
import warnings
from types import SimpleNamespace

import torch
from torch.optim import lr_scheduler, swa_utils

from lrcore.bindings.torch import lr_scheduler as dropins

UPDATES = 24
TORCH = SimpleNamespace(**{name: getattr(lr_scheduler, name) for name in lr_scheduler.__all__}, SWALR=swa_utils.SWALR)


def decay(epoch):
    return 0.9**epoch


def nearly(epoch):
    return 1.0 - 0.5 / (epoch + 2)


def sequence(of, optimizer, last_epoch):
    parts = [
        of.LinearLR(optimizer, 0.25, total_iters=6),
        of.CosineAnnealingLR(optimizer, 12),
        of.ConstantLR(optimizer, 0.1),
    ]
    return of.SequentialLR(optimizer, parts, [6, 18], last_epoch)


def chain(of, optimizer, last_epoch):
    parts = [of.LinearLR(optimizer, 0.25, total_iters=6, last_epoch=last_epoch)]
    parts += [of.StepLR(optimizer, 8, 0.5, last_epoch=last_epoch)]
    return of.ChainedScheduler([*parts, of.ExponentialLR(optimizer, 0.95, last_epoch=last_epoch)])


def single(name, *arguments, **options):
    return lambda of, optimizer, last_epoch: getattr(of, name)(optimizer, *arguments, last_epoch=last_epoch, **options)


CASES = {
    "LambdaLR": single("LambdaLR", decay),
    "MultiplicativeLR": single("MultiplicativeLR", nearly),
    "StepLR": single("StepLR", 5),
    "MultiStepLR": single("MultiStepLR", [4, 11, 11]),
    "ConstantLR": single("ConstantLR", 0.5, 7),
    "LinearLR": single("LinearLR", 0.25, 1.0, 9),
    "ExponentialLR": single("ExponentialLR", 0.9),
    "PolynomialLR": single("PolynomialLR", 20, 2.0),
    "CosineAnnealingLR": single("CosineAnnealingLR", 10, 0.01),
    "CosineAnnealingWarmRestarts": single("CosineAnnealingWarmRestarts", 4, 2, 0.01),
    "CyclicLR": single("CyclicLR", 0.1, 0.5, 3, 5, mode="triangular2"),
    "OneCycleLR": single("OneCycleLR", 0.5, UPDATES + 1, anneal_strategy="linear"),
    "SWALR": single("SWALR", 0.05, 8),
    "SequentialLR": sequence,
    "ChainedScheduler": chain,
    "ReduceLROnPlateau": lambda of, optimizer, _last_epoch: of.ReduceLROnPlateau(optimizer, patience=1, factor=0.5),
}


def optimizer_of(lr=0.4):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": share * lr} for share in (1.0, 0.5)]
    return torch.optim.SGD(groups, lr=lr, momentum=0.9)


def used(optimizer):
    return [(float(group["lr"]), float(group["momentum"])) for group in optimizer.param_groups]


def loaded(states):
    file = io.BytesIO()
    torch.save(states, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def optimizer_then_scheduler(of, build, states, _done):
    optimizer = optimizer_of()
    scheduler = build(of, optimizer, -1)
    optimizer.load_state_dict(states["optimizer"])
    scheduler.load_state_dict(states["scheduler"])
    return optimizer, scheduler


def scheduler_then_optimizer(of, build, states, _done):
    optimizer = optimizer_of()
    scheduler = build(of, optimizer, -1)
    scheduler.load_state_dict(states["scheduler"])
    optimizer.load_state_dict(states["optimizer"])
    return optimizer, scheduler


def scheduler_alone(of, build, states, _done):
    optimizer = optimizer_of()
    scheduler = build(of, optimizer, -1)
    scheduler.load_state_dict(states["scheduler"])
    return optimizer, scheduler


def built_on_a_loaded_optimizer(of, build, states, _done):
    optimizer = optimizer_of()
    optimizer.load_state_dict(states["optimizer"])
    scheduler = build(of, optimizer, -1)
    scheduler.load_state_dict(states["scheduler"])
    return optimizer, scheduler


def by_last_epoch(of, build, states, done):
    optimizer = optimizer_of()
    optimizer.load_state_dict(states["optimizer"])
    return optimizer, build(of, optimizer, done - 1)


ORDERS = {
    "optimizer, scheduler": optimizer_then_scheduler,
    "scheduler, optimizer": scheduler_then_optimizer,
    "scheduler alone": scheduler_alone,
    "built on a loaded optimizer": built_on_a_loaded_optimizer,
    "last_epoch": by_last_epoch,
}


def is_defined(case, order):
    return (case, order) != ("ReduceLROnPlateau", "last_epoch")  # which has no such argument


def steps_of(optimizer, scheduler, begin):
    """What each update uses, with the states before it."""
    for update in range(begin, UPDATES):
        yield used(optimizer), {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        optimizer.step()
        # A metric that improves a little, for a while.
        metric = (max(1.0 / (update + 1), 0.2),) if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau) else ()
        scheduler.step(*metric)


def differ(found, expected, tolerance=1e-12):
    """Whether a learning rate or a momentum of an update is another one."""
    return any(
        abs(a - b) > tolerance * max(abs(a), abs(b))
        for ours, theirs in zip(found, expected, strict=True)
        for one, other in zip(ours, theirs, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def wrong_points(of, case, order):
    """The numbers of updates after which a run that stops goes on otherwise than one that does not."""
    build, wrong = CASES[case], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer = optimizer_of()
        expected, states = [], []
        for use, state in steps_of(optimizer, build(of, optimizer, -1), 0):
            expected.append(use)
            states.append(loaded(state))
        for done in range(UPDATES):
            try:
                optimizer, scheduler = ORDERS[order](of, build, states[done], done)
                found = [use for use, _ in steps_of(optimizer, scheduler, done)]
            except ArithmeticError:
                found = []
            if not found or differ(found, expected[done:]):
                wrong.append(done)
    return wrong


def counts(of):
    """For each scheduler and order, after how many of the updates a resumed run goes wrong."""
    return {
        case: {order: len(wrong_points(of, case, order)) for order in ORDERS if is_defined(case, order)}
        for case in CASES
    }


def main():
    print(f"Resume points of {UPDATES} with a wrong trajectory, torch's own class / the drop-in")
    ours, theirs = counts(dropins), counts(TORCH)
    print(f"{'':28}" + " ".join(f"{order:>28}" for order in ORDERS))
    for case in CASES:
        pairs = [f"{theirs[case][order]} / {ours[case][order]}" if is_defined(case, order) else "" for order in ORDERS]
        print(f"{case:28}" + " ".join(f"{pair:>28}" for pair in pairs))


if __name__ == "__main__":
    main()
