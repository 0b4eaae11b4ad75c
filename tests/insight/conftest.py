"""What the tests of insight share."""

import pytest

import lrcore as lr


@pytest.fixture
def warmed():
    """A run of 1,000 updates: 100 up to 0.1, the others down to 0."""
    return lr.warmup_cosine(0.1, 0.0, 100, 1000)
