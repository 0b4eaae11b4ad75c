"""What the tests of replanning share."""

import warnings

import lrcore as lr
from lrcore.replanning import JumpWarning, replan

KEEPS = ("value", "position", "shape")


def quietly(schedule, *args, **kwargs):
    """`replan`, in tests that are not about its warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lr.RoundingWarning)
        warnings.simplefilter("ignore", JumpWarning)
        return replan(schedule, *args, **kwargs)
