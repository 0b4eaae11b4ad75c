"""The page of all dialects is the one that stands in docs, and says what the schedules say."""

import ast
import inspect
import re
from pathlib import Path

import pytest

from lrcore import Cosine
from lrcore.dialects import _page, mmengine, table, timm
from lrcore.dialects._dialect import PEERS

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
ROOMS = _page.frameworks()


@pytest.fixture(scope="module")
def page():
    return table()


def test_the_page_in_docs_is_the_generated_one(page):
    assert PAGE.read_text(encoding="utf-8") == f"{page}\n", "python -m lrcore.dialects docs/dialects.md"


def test_every_schedule_is_on_it(page):
    headings = re.findall(r"^### ([a-z0-9]+\.\w+)$", page, re.M)
    assert sorted(headings) == sorted(PEERS)


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.key)
def test_every_schedule_has_an_example(peer):
    """So a new dialect is shown without a word more."""
    example = _page.example_of(peer)
    assert example is not None
    call, schedule = example
    assert ast.parse(call, mode="eval")
    assert schedule.origin.peer == peer.key
    assert inspect.getdoc(peer.build)


@pytest.mark.parametrize("question", _page.QUESTIONS, ids=lambda question: question.asked)
def test_questions_are_answered_differently(question):
    """What all answer alike is no disagreement, but for restarts, where a rounded logarithm was the difference."""
    names = {name: room.module for name, room in ROOMS.items()}
    schedules = [_page._value(call, names) for call in question.calls]
    answers = {tuple(schedule(step) for step in question.steps) or question.answer(schedule) for schedule in schedules}
    assert len(answers) > 1 or question.asked.startswith("Has a restart")


def test_numbers_on_it_are_the_schedules(page):
    """Worked out: an update of WarmupDecayLR that is late, torch's wave at t = 5, the switch of Keras."""
    assert "strict=True)` | 0 | 0 | 0.25 | 0.5 | 0.75 | 1 | 0.875 |" in page
    assert "| `torch.CosineAnnealingLR(1.0, 4, strict=True)` | 0.1464 | 0 | 0.1464 | 0.5 | 0.8536 | 1 |" in page
    assert "| `keras.PiecewiseConstantDecay([4], [1.0, 0.5])` | 1 | 1 | 1 | 0.5 | 0.5 |" in page
    assert f"# {Cosine(1.0, 0.0, 2)!r}" in page


def test_it_can_be_read(page):
    """A composition of hundreds of parts shows nothing."""
    assert max(map(len, page.splitlines())) < 700


def test_what_it_says_of_the_run(page):
    """The examples of quirks within it."""
    assert "decay_t of 2.6 drops an update late at t = 13, 26, 39" in page.replace("\n", " ")
    plain, strict = (timm.StepLRScheduler(1.0, 2.6, 0.5, strict=strict).table(45) for strict in (False, True))
    assert (plain != strict).nonzero()[0].tolist() == [13, 26, 39]
    plain, strict = (mmengine.CosineAnnealingLR(1.0, 4, end=9, strict=strict).table(9) for strict in (False, True))
    assert (plain != strict).nonzero()[0].tolist() == [5, 6, 7, 8]


def test_quirks_are_on_it(page):
    for peer in PEERS.values():
        for quirk in peer.quirks:
            assert f"- quirk `{quirk.name}`" in page


def test_main_writes_it(page, tmp_path, capsys):
    assert _page.main([str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == f"{page}\n"
    assert _page.main([]) == 0
    assert capsys.readouterr().out == f"{page}\n"
