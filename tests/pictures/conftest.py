"""Four schedules of a million updates, which the tests of pictures draw."""

import pytest

import lrcore as lr

RUN = 1_000_000
HOSTILE = "_spike </script><script>alert(1)</script> $x_1$ & <b>"


@pytest.fixture(scope="session")
def four():
    """One of each kind: a corner, restarts, stairs, and a spike of one update."""
    return {
        "warm-up, cosine": lr.warmup_cosine(0.1, 1e-5, RUN // 20, RUN),
        "restarts": lr.sgdr(0.1, 0.001, RUN // 8) * lr.step_decay(1.0, 0.8, RUN // 8),
        "stairs": lr.step_decay(0.08, 0.5, RUN // 5),
        HOSTILE: lr.Sequence([(lr.Linear(0.02, 0.05, RUN), 400_000), (0.12, 1), lr.Linear(0.05, 0.0, 599_999)]),
    }
