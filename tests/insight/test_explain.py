"""explain: its numbers against all values, its table by hand."""

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import explain
from lrcore.insight import MAX_CORNERS
from strategies import growing, schedules


def run_of_peak(run):
    after = run[run.argmax() :]
    return np.append(after == after[0], False).argmin()


@given(schedules(3), st.integers(1, 200))
def test_the_numbers_of_any_schedule(schedule, n):
    found = explain(schedule, n)
    values = schedule.table(n + 1)
    run = values[:n]
    assert found.first == (0, values[0])
    assert found.second == ((1, values[1]) if n > 1 else None)
    assert found.last == (n - 1, values[n - 1])
    assert found.past_end == (n, values[n])
    assert found.far.value == schedule(2**53 - 1)
    assert found.peak == (run.argmax(), run.max())
    assert found.lowest == (run.argmin(), run.min())
    assert abs(found.total - math.fsum(run)) <= 1e-12 * math.fsum(abs(run))
    assert found.mean == found.total / n
    for corner in found.corners:
        assert (corner.before, corner.at, corner.after) == tuple(schedule.table(3, corner.step - 1))
    first_peak = int(run.argmax())
    rises = first_peak > 0 and (np.diff(run[: first_peak + 1]) >= 0).all()
    assert found.warmup_steps in ({first_peak} if rises else {None})
    assert found.peak_steps == run_of_peak(run)
    json.dumps(found.to_dict(), allow_nan=False)


@given(growing(2), st.integers(1, 10**6))
@settings(max_examples=50, deadline=None)
def test_any_schedule_that_grows_is_explained(schedule, n):
    json.dumps(explain(schedule, n).to_dict(), allow_nan=False)


def test_a_total_beyond_float64_is_none():
    found = explain(lr.ExponentialDecay(1.0, 1e10), 10**12)
    assert found.to_dict()["total"] is found.to_dict()["mean"] is None
    assert found.peak.value == 1e300


def test_a_warm_up_and_its_decay(warmed):
    found = explain(warmed, steps_per_epoch=50)
    assert found.n == 1000
    assert found.warmup_steps == 100
    assert found.peak_steps == 1
    assert [corner[:2] for corner in found.corners] == [(100, "boundary")]
    assert found.to_dict()["peak"] == {"step": 100, "value": 0.1, "epoch": 2.0}
    assert found.to_dict()["epochs"] == 20.0
    assert found.to_dict()["length"] == 1000


def test_a_plateau_is_counted():
    assert explain(lr.wsd(0.1, 100, 1000, 200)).peak_steps == 701  # the decay begins at the peak
    assert explain(lr.Piecewise([3, 5], [0.5, 1.0, 0.1]), 9).peak_steps == 2
    assert explain(lr.Constant(0.1), 9).peak_steps == 9


@pytest.mark.parametrize(
    ("schedule", "n", "count"),
    [
        (lr.Cycle(lr.ExponentialDecay(0.5, 0.9, 7), 1), 5000, 5000),
        (lr.Product([lr.Piecewise([143], [0.0, 1.0]), lr.Cosine(0.3, 1.0, 10)]), 100, 100),
        ((lr.Linear(0.001, 0.1, 100) * lr.ExponentialDecay(0.1, 0.9, 100)).clip(min=0.05), 500, 500),
        (lr.Cosine(0.1, 0.05, 10**6).staircase(10**5) * lr.Cosine(1.0, 1.0, 5), 10**6, 10**5),
        (lr.Polynomial(0.1, 0.0, 10**7, 12.0).clip(max=0.09) * lr.Linear(1.0, 1.0, 9), 10**7, None),
        (lr.Cosine(0.1, 0.1 - 1e-16, 10**7), 10**7, None),
        (lr.Cycle(lr.Piecewise([1], [0.2, 0.2]), 2) * lr.Constant(2.0), 10**6, 10**6),
    ],
    ids=repr,
)
def test_a_peak_that_holds_in_a_composite_is_counted(schedule, n, count):
    wanted = run_of_peak(schedule.table(n))
    assert explain(schedule, n).peak_steps == wanted
    assert count in (None, wanted)


def test_a_rise_that_falls_once_is_no_warm_up():
    assert explain(lr.Piecewise([3, 5], [0.5, 0.2, 1.0]), 9).warmup_steps is None
    assert explain(lr.Constant(0.1), 9).warmup_steps is None


def test_epochs_come_from_what_the_schedule_was_bound_with():
    bound = lr.Linear(1.0, 0.0, "2ep").bind(steps_per_epoch=10)
    assert explain(bound).to_dict()["epochs"] == 2.0
    assert explain(bound, steps_per_epoch=5).to_dict()["epochs"] == 4.0


def test_the_table_as_text(warmed):
    shown = str(explain(warmed, 1100, steps_per_epoch=100)).splitlines()
    assert shown[1] == "1,100 updates, 11 epochs"
    assert [line.split() for line in shown[2:]] == [
        ["step", "epoch", "before", "value", "after"],
        ["first", "update", "0", "0", "0"],
        ["second", "update", "1", "0.01", "0.001"],
        ["boundary", "100", "1", "0.099", "0.1", "0.0999997"],
        ["end,", "holds", "1,000", "10", "3.04617e-07", "0", "0"],
        ["peak", "100", "1", "0.1", "after", "100", "updates", "of", "warm-up"],
        ["lowest", "0", "0", "0"],
        ["last", "update", "1,099", "10.99", "0"],
        ["past", "the", "end", "1,100", "11", "0"],
        ["mean", "0.0454545", "0.455", "of", "the", "peak"],
        ["total", "50", "updates", "×", "learning", "rate"],
    ]


def test_many_corners_are_shown_in_part_and_counted():
    found = explain(lr.sgdr(0.1, 0.0, 10), 15_000)
    assert len(found.corners) == MAX_CORNERS == 1000
    assert found.corners_left_out == 499
    assert "... and 1,487 more" in str(found)


def test_what_repeats_is_said():
    found = explain(lr.sgdr(0.1, 0.0, 10), 10**6)
    assert found.dense == ((0, 10**6, 10),)
    assert "every 10 updates the same, up to step 1,000,000" in str(found)


def test_what_is_sampled_says_so():
    found = explain(lr.triangular(0.1, 1.0, 250, mode="exp_range", decay_rate=0.9999999999), 10**9)
    assert found.is_sampled
    assert found.to_dict()["is_sampled"] is True
    assert "sampled: extremes, mean and total are estimates" in str(found)
    assert "about peak" in str(found)


def test_a_long_table_is_not_written_out():
    found = explain(lr.Table(np.linspace(1.0, 0.0, 10**6)))
    assert found.to_dict()["schedule"] == "Table(...)"


class Cells(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs).get("scope")))

    def handle_data(self, data):
        self.texts.append(data)


def test_the_table_in_a_notebook(warmed):
    found = Cells(explain(warmed)._repr_html_())
    assert found.tags[:2] == [("table", None), ("caption", None)]
    assert ("th", "col") in found.tags
    assert found.tags.count(("th", "row")) == len(explain(warmed).lines())
    assert "3.04617e-07" in found.texts


def test_text_is_escaped_in_a_notebook(warmed, monkeypatch):
    monkeypatch.setattr("lrcore.insight.written", lambda _: "<script>")
    assert "<script>" not in explain(warmed)._repr_html_()
    assert "<script>" in Cells(explain(warmed)._repr_html_()).texts


def test_the_table_in_a_terminal(warmed):
    console = pytest.importorskip("rich.console").Console(width=100)
    with console.capture() as capture:
        console.print(explain(warmed))
    shown = capture.get()
    for line in explain(warmed).lines():
        assert line.what in shown


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0.1,), TypeError, r"schedule: expected a schedule, got 0\.1"),
        ((lr.noam(4, 4),), TypeError, "n: expected the updates of the run, for this schedule never ends"),
        ((lr.Constant(0.1),), TypeError, "n: expected the updates of the run, for this schedule holds one value"),
        ((lr.noam(4, 4), 0), ValueError, "n: expected a whole number of updates, an int >= 1, got 0"),
        ((lr.noam(4, 4), 1.5), TypeError, "n: expected a whole number of updates"),
        ((lr.noam(4, 4), 2**53), ValueError, "n: expected a whole number of updates, an int <="),
        ((lr.Linear(1.0, 0.0, "2ep"), 5), ValueError, "steps_per_epoch"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        explain(*arguments)


def test_an_epoch_has_updates(warmed):
    with pytest.raises(ValueError, match="steps_per_epoch: expected a whole number of updates, an int >= 1, got 0"):
        explain(warmed, steps_per_epoch=0)
