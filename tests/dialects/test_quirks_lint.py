"""lint names each quirk of a converted schedule."""

import ast
import doctest
import inspect
from functools import partial
from importlib import import_module

import pytest

from lrcore import Linear, Sequence, expression, from_dict, lint
from lrcore.dialects import _dialect as dialect, deepspeed, paddle, timm, torch
from lrcore.dialects._dialect import PEERS
from lrcore.dialects._page import example_of, frameworks

frameworks()  # all of them are declared once they are imported


def quirks(schedule, n=100):
    return [finding for finding in lint(schedule, n) if finding.name == "quirk"]


def test_each_quirk_is_a_finding():
    found = quirks(deepspeed.WarmupCosineLR(0.1, 100, warmup_num_steps=10, warmup_type="linear", strict=True))
    assert [finding.reason.partition(":")[0] for finding in found] == [
        "deepspeed.WarmupCosineLR, twice-at-start",
        "deepspeed.WarmupCosineLR, peak-unused",
        "deepspeed.WarmupCosineLR, rises-again",
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
    """An equal schedule by its parameters has the numbers, and is nobody's."""
    strict = torch.CosineAnnealingLR(0.1, 50, strict=True)
    same = expression.parse(repr(strict))
    assert same == strict
    assert not quirks(same)


def test_a_spec_remembers_it():
    """Of what is nested, too."""
    strict = torch.CosineAnnealingLR(0.1, 50, strict=True)
    assert quirks(from_dict(strict.to_dict())) == quirks(strict) != []
    nested = Sequence([(Linear(0.0, 0.1, 9), 9), strict]) * 0.5
    assert quirks(from_dict(nested.to_dict())) == quirks(nested) == quirks(strict)


QUIRKY = [peer for peer in PEERS.values() if peer.quirks]


@pytest.mark.parametrize("peer", QUIRKY, ids=lambda peer: peer.key)
def test_only_what_differs_is_named(peer):
    """Of the peer's own example, made with strict: a quirk, if it has other values than without; else none."""
    default, strict = example(peer, strict=False), example(peer, strict=True)
    differs = strict.table(300).tolist() != default.table(300).tolist()
    named = {reason_of(finding, peer) for finding in quirks(strict)} - {None}
    assert bool(named - {quirk.name for quirk in peer.quirks if quirk.always}) == differs


def example(peer, strict):
    """The call of the example, after the lines before it, where it takes strict."""
    names = dict(vars(import_module(peer.build.__module__)))
    for line in doctest.DocTestParser().get_examples(peer.build.__doc__):
        if f"{peer.name}(" in line.source:
            break
        exec(line.source, names)
    call = ast.parse(example_of(peer)[0], mode="eval")
    call.body.keywords = [keyword for keyword in call.body.keywords if keyword.arg != "strict"]
    takes_it = "strict" in inspect.signature(peer.build).parameters
    return eval(
        compile(call, "", "eval"), names | {peer.name: partial(peer.build, **{"strict": strict} if takes_it else {})}
    )


def reason_of(finding, peer):
    """The quirk that a finding names, if it is one of the peer."""
    key, _, name = finding.reason.partition(":")[0].partition(", ")
    return name if key == peer.key else None


def test_what_only_the_peer_accepts_is_strict():
    """The same call without strict is refused, so there is nothing to compare with."""

    @dialect.peer("t", "never ends", dialect.Quirk("own", "it takes all"))
    def taken(*, strict=False):
        if not strict:
            raise ValueError
        return Linear(0.0, 1.0, 5)

    PEERS.pop("test_quirks_lint.taken")
    assert taken(strict=True).origin.strict


@pytest.mark.parametrize("peer", QUIRKY, ids=lambda peer: peer.key)
def test_every_quirk_can_be_named(peer):
    call, _ = example_of(peer)
    assert call
    assert len({quirk.name for quirk in peer.quirks}) == len(peer.quirks)
    assert all(quirk.what and not quirk.what.endswith(".") for quirk in peer.quirks)
