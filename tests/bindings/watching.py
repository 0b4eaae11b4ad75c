"""What the scripts that train within a framework share: a model whose weight tells the rate of each update."""

import json
import sys

import torch


class Weight(torch.nn.Module):
    """One weight, whose gradient is 1 for any batch, or a part of 1 where a framework averages an incomplete window."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, batch):
        return self.weight.sum() + 0.0 * batch.sum()


def watched(optimizer, weight):
    """A list that gets the rate of each update: what it takes from the weight, which is put back to 0, for a gradient
    of 1."""
    rates = []

    def look(*_):
        rates.append(-float(weight.detach() / weight.grad))
        weight.data.zero_()

    optimizer.register_step_post_hook(look)
    return rates


def arguments():
    return [json.loads(given) for given in sys.argv[1:]]


def say(found):
    """The answer, as the last line."""
    print()
    print(json.dumps(found))
