"""What the ratios of `find_lr(..., per_group=True)` are worth, against even rates and a grid.

`python -m bench.finder_groups` takes some minutes. Nets of three layers, a group each, on scikit-learn's digits: as
torch makes them; with inputs 20 times too large; and with layers that begin at different scales. Each is trained with
momentum and with Adam at six rates, decaying linearly, from three initial weights, all of them side by side.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lrcore.bindings.torch import find_lr

LAYERS = (0, 2, 4)
KINDS = ("plain", "large inputs", "uneven layers")
RATES = {"Adam": np.geomspace(1e-3, 1e-1, 6), "momentum": np.geomspace(3e-3, 1.0, 6)}
GRID = [(first, 1.0, last) for first in (0.1, 0.32, 1.0, 3.2, 10.0) for last in (0.1, 0.32, 1.0, 3.2, 10.0)]
SEEDS, STEPS, WORST = 3, 150, 9.21


def data(kind):
    """Batches to train with, and all that is held out."""
    inputs, targets = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(inputs))
    scale = (20.0 if kind == "large inputs" else 1.0) / 16.0
    inputs = torch.tensor(inputs[order] * scale, dtype=torch.float32)
    targets = torch.tensor(targets[order])
    return list(zip(inputs[:1200].split(48), targets[:1200].split(48), strict=True)), (inputs[1200:], targets[1200:])


def net(kind, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 10))
    if kind == "uneven layers":
        with torch.no_grad():
            model[0].weight.mul_(4.0)
            model[4].weight.mul_(0.1)
    return model


def trained(kind, name, runs):
    """The held-out loss of each run, a rate and three ratios, as the mean over the initial weights."""
    batches, held_out = data(kind)
    models = [net(kind, seed) for _ in runs for seed in range(SEEDS)]
    base = net(kind, 0).to("meta")
    weights = {key: one.detach().requires_grad_() for key, one in stack_module_state(models)[0].items()}
    peaks = {
        key: torch.tensor([run[0] * run[1 + int(key[0]) // 2] for run in runs for _ in range(SEEDS)]).float()
        for key in weights
    }

    def loss(own, inputs, targets):
        return nn.functional.cross_entropy(functional_call(base, own, (inputs,)), targets)

    orders = [np.random.default_rng(seed) for seed in range(SEEDS)]
    update = UPDATES[name](weights)
    for step in range(STEPS):
        drawn = [batches[order.integers(len(batches))] for order in orders]
        inputs, targets = (torch.stack([*each] * len(runs)) for each in zip(*drawn, strict=True))
        losses = vmap(loss)(weights, inputs, targets)
        gradients = torch.autograd.grad(losses.sum(), list(weights.values()))
        with torch.no_grad():
            for (key, one), gradient in zip(weights.items(), gradients, strict=True):
                rate = peaks[key] * (1.0 - step / STEPS)
                one.sub_(rate.reshape(-1, *[1] * (one.dim() - 1)) * update(key, gradient, step + 1))
    with torch.no_grad():
        found = vmap(loss, in_dims=(0, None, None))(weights, *held_out).nan_to_num(WORST, WORST, WORST)
    return found.clamp(max=WORST).reshape(len(runs), SEEDS).mean(dim=1).numpy()


def momentum(weights):
    """Torch's SGD with a momentum of 0.9, for rates that differ within a stack."""
    slots = {key: torch.zeros_like(one) for key, one in weights.items()}
    return lambda key, gradient, _: slots[key].mul_(0.9).add_(gradient)


def adam(weights):
    """Torch's Adam, likewise."""
    means = {key: torch.zeros_like(one) for key, one in weights.items()}
    squares = {key: torch.zeros_like(one) for key, one in weights.items()}

    def update(key, gradient, count):
        mean = means[key].lerp_(gradient, 0.1) / (1.0 - 0.9**count)
        square = squares[key].lerp_(gradient.square(), 0.001) / (1.0 - 0.999**count)
        return mean / (square.sqrt() + 1e-8)

    return update


UPDATES = {"Adam": adam, "momentum": momentum}


def found(kind, name, per_group):
    """The rate that is found, and the ratios."""
    model = net(kind, 0)
    groups = [{"params": model[at].parameters(), "lr": 1e-3} for at in LAYERS]
    optimizer = torch.optim.Adam(groups) if name == "Adam" else torch.optim.SGD(groups, momentum=0.9)
    result = find_lr(model, optimizer, nn.CrossEntropyLoss(), data(kind)[0], restarts=4, per_group=per_group)
    return result.lr, (1.0, 1.0, 1.0) if result.groups is None else tuple(result.groups.values())


def main():
    print(f"{'':24}  at the rate found  at the best of six rates")
    print(f"{'':24}    even   ratios     even   ratios  best of 25  ratios")
    sums = np.zeros(5)
    for kind in KINDS:
        for name, rates in RATES.items():
            even, ours = (found(kind, name, per_group) for per_group in (False, True))
            own = trained(kind, name, [(lr, *ratios) for lr, ratios in (even, ours)])
            choices = [even[1], ours[1], *GRID]
            best = trained(kind, name, [(lr, *ratios) for ratios in choices for lr in rates])
            best = best.reshape(len(choices), -1).min(axis=1)
            row = np.array([*own, *best[:2], best[2:].min()])
            sums += row
            print(f"{kind:14} {name:9}", *(f"{one:8.3f}" for one in row), "    ", np.round(ours[1], 2), flush=True)
    print(f"{'sum':24}", *(f"{one:8.3f}" for one in sums))


if __name__ == "__main__":
    main()
