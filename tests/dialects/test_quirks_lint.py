"""lint names each quirk of a converted schedule."""

import pytest

from lrcore import Linear, Sequence, from_dict, lint
from lrcore.dialects import deepspeed, paddle, timm, torch
from lrcore.dialects._dialect import PEERS
from lrcore.dialects._page import example_of, frameworks

frameworks()  # all of them are declared once they are imported


def quirks(schedule, n=100):
    return [finding for finding in lint(schedule, n) if finding.name == "quirk"]


def test_each_quirk_is_a_finding():
    found = quirks(deepspeed.WarmupCosineLR(0.1, 100, warmup_num_steps=10, strict=True))
    assert [finding.reason.partition(":")[0] for finding in found] == [
        "deepspeed.WarmupCosineLR, twice-at-start",
        "deepspeed.WarmupCosineLR, peak-unused",
    ]
    assert all(finding.step is None for finding in found)
    assert {finding.cure for finding in found} == {"without strict=True it is left out"}


def test_without_strict_there_is_none():
    assert not quirks(deepspeed.WarmupCosineLR(0.1, 100, warmup_num_steps=10))


def test_a_quirk_that_is_always_there():
    found = quirks(timm.MultiStepLRScheduler(0.1, [30, 60], 0.1))
    assert [finding.cure for finding in found] == ["lrcore's own schedules do not have it"]


def test_within_others_and_once():
    wave = paddle.CosineAnnealingDecay(0.1, 50, strict=True)
    twice = Sequence([(wave, 50), (Linear(0.0, 0.1, 9), 9), wave])
    assert [finding.reason.partition(",")[0] for finding in quirks(twice * 0.5)] == ["paddle.CosineAnnealingDecay"]


def test_where_it_came_from_is_no_part_of_the_value():
    """An equal schedule from a spec has the numbers, and is nobody's."""
    strict = torch.CosineAnnealingLR(0.1, 50, strict=True)
    read = from_dict(strict.to_dict())
    assert read == strict
    assert not quirks(read)


@pytest.mark.parametrize("peer", [peer for peer in PEERS.values() if peer.quirks], ids=lambda peer: peer.key)
def test_every_quirk_can_be_named(peer):
    """Each is reproduced by the peer's own example, where it is made with strict."""
    call, _ = example_of(peer)
    assert call
    assert len({quirk.name for quirk in peer.quirks}) == len(peer.quirks)
    assert all(quirk.what and not quirk.what.endswith(".") for quirk in peer.quirks)
