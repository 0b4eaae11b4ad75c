"""The schedules of other libraries, by their own names, with their own numbers: one module a library.

Each function takes the peer's parameters with the peer's defaults and gives an ordinary schedule. Within the run it has
the peer's values; past its end it holds, and `strict=True` reproduces what the peer does there and elsewhere that its
users did not expect.

Example:
    >>> from lrcore.dialects import torch
    >>> from lrcore import Cosine
    >>> torch.CosineAnnealingLR(0.1, T_max=100) == Cosine(0.1, 0.0, 100)
    True
"""
