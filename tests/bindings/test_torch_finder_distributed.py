"""find_lr on two processes: one answer, whatever happens in one of them, and never a wait for the other."""

import pytest
from torch import distributed

from processes import answers

pytestmark = pytest.mark.skipif(not distributed.is_gloo_available(), reason="this torch has no gloo")

TRAINED = ["ddp", "fsdp", "each its own", "NaN", "fewer batches"]
BROKEN = {
    "raises": (1, "OwnError"),
    "raises, sharded": (1, "OwnError"),
    "ctrl-c": (0, "KeyboardInterrupt"),
    "raises in backward": (0, "OwnError"),
    "no batches": (0, "ValueError"),
}


@pytest.fixture(scope="module")
def told():
    return answers("bindings/in_finder_distributed.py", [*TRAINED, *BROKEN], processes=2)


@pytest.mark.parametrize("name", TRAINED)
def test_the_processes_agree(told, name):
    first, second = (one[name] for one in told)
    assert first["text"] == second["text"]
    assert first["lengths"] == second["lengths"]
    assert 1e-4 < first["lr"] == second["lr"] < 10.0


def test_a_loss_that_is_no_number_in_one_stops_both(told):
    """Their fourth loss, in the first of two runs."""
    assert [one["NaN"]["lengths"][0] for one in told] == [3, 3]


@pytest.mark.parametrize("name", BROKEN)
def test_where_one_fails_both_do(told, name):
    rank, error = BROKEN[name]
    assert told[rank][name]["raised"] == error
    other = told[1 - rank][name]
    assert other["raised"] == "RuntimeError"
    assert other["message"] == f"find_lr: expected every process to train, but process {rank} has failed"


@pytest.mark.parametrize("name", [*TRAINED, *BROKEN])
def test_all_is_as_it_was_in_both(told, name):
    assert [(one[name]["same"], one[name]["goes on"]) for one in told] == [(True, True)] * 2


def test_the_loss_is_the_mean(told):
    for expected, found in (one["mean"] for one in told):
        assert found == pytest.approx(expected, rel=1e-6)
