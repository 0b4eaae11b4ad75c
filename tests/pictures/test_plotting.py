"""matplotlib's axes, files, the notebook and the terminal: what they show of a schedule."""

import html.parser
import io
import pickle
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import matplotlib.image
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from matplotlib.figure import Figure

import lrcore as lr
from lrcore import plotting
from lrcore._drawing import horizon, log_ticks, ticks
from lrcore.plotting import html_of, terminal, write_picture
from strategies import growing, schedules

RUN = 1_000_000
COSINE = lr.warmup_cosine(0.1, 0.0, 100, 1000)


def curves(axes):
    """Our lines, by name, as (step, value) pairs."""
    ours = [line for line in axes.lines if line.get_gid() == plotting.OURS]
    return {
        line.get_label(): list(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True)) for line in ours
    }


def marks(axes):
    """Where upright lines stand."""
    ours = [line for line in axes.lines if line.get_gid() is None]
    return [line.get_xdata()[0] for line in ours if line.get_xdata()[0] == line.get_xdata()[-1]]


# --- On axes


def test_a_picture_has_the_values_of_every_update_where_they_are_few():
    (points,) = curves(COSINE.plot(50)).values()
    assert points == list(enumerate(COSINE.table(50).tolist()))


def test_several_schedules_stand_in_one_legend_by_their_names(four):
    axes = lr.plot(four, RUN)
    assert list(curves(axes)) == list(four)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(four)
    for name, schedule in four.items():
        points = dict(curves(axes)[name])
        assert all(points[step] == schedule(step) for step in (0, 399_999, RUN - 1))
    assert dict(curves(axes)[list(four)[3]])[400_000] == 0.12 or (400_000, 0.12) in curves(axes)[list(four)[3]]


@pytest.mark.parametrize(
    ("drawn", "n"),
    [
        (COSINE, 1050),
        (lr.Linear(1.0, 0.0, 4), 5),
        ({"short": lr.Linear(1.0, 0.0, 40), "long": lr.Linear(1.0, 0.0, 400)}, 420),
        ({"ends": lr.Linear(1.0, 0.0, 40), "never": lr.sgdr(0.1, 0.0, 1000)}, 42),
        (lr.Constant(0.1), 100),
    ],
)
def test_the_longest_schedule_and_a_little_more_by_default(drawn, n):
    assert lr.plot(drawn).get_xlim() == (0, n)


@pytest.mark.parametrize(
    ("schedule", "n"),
    [(lr.sgdr(0.1, 0.0, 250), 1000), (lr.ExponentialDecay(0.1, 0.9, 20), 80), (lr.Constant(1.0), 100)],
)
def test_an_endless_schedule_shows_what_it_is_like(schedule, n):
    assert horizon(schedule) == n


def test_an_endless_schedule_needs_a_number_of_updates():
    with pytest.raises(ValueError, match=r"plot.n: expected a number of updates, as no schedule here ends: .* n=1000"):
        lr.sgdr(0.1, 0.0, 250).plot()


def test_epochs_stand_above_where_they_are_known():
    assert not COSINE.plot().child_axes
    (epochs,) = COSINE.plot(1000, steps_per_epoch=50).child_axes
    epochs.figure.draw_without_rendering()
    assert epochs.get_xlim() == (0, 20)
    bound = lr.Linear(0.1, 0.0, "5ep").bind(steps_per_epoch=200)
    (epochs,) = bound.plot(1000).child_axes
    epochs.figure.draw_without_rendering()
    assert epochs.get_xlim() == (0, 5)


def test_boundaries_are_marked_unless_they_are_many_or_not_wanted():
    assert marks(COSINE.plot()) == [100, 1000]
    assert marks(COSINE.plot(mark_boundaries=False)) == []
    assert marks(lr.step_decay(0.1, 0.9, 10).plot(411)) == list(range(10, 411, 10))[:0]
    assert marks(lr.step_decay(0.1, 0.9, 10).plot(401)) == list(range(10, 401, 10))


def test_boundaries_of_several_are_dots_on_their_curves():
    axes = lr.plot({"a": COSINE, "b": lr.step_decay(0.1, 0.5, 400)})
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_xdata().tolist() for line in dots] == [[100, 1000], [400, 800]]
    assert dots[1].get_ydata().tolist() == [0.05, 0.025]


def test_0_leaves_a_log_axis_through_the_bottom():
    axes = COSINE.plot(log=True)
    low, high = axes.get_ylim()
    assert axes.get_yscale() == "log"
    assert 0.1 < high < 1.0
    assert 1e-7 < low <= 1e-6
    (points,) = curves(axes).values()
    assert points[0] == (0, 0.0)


def test_a_log_axis_shows_all_of_what_stays_above_0():
    low, high = lr.Exponential(1.0, 1e-12, 100).plot(log=True).get_ylim()
    assert low < 1e-12
    assert high > 1.0


def test_a_log_axis_of_nothing_above_0_is_refused():
    with pytest.raises(ValueError, match=r"plot.log: expected a value above 0 somewhere, got values from -1"):
        lr.Linear(-1.0, 0.0, 10).plot(log=True)


def test_axes_that_are_given_are_drawn_on_one_after_the_other():
    axes = Figure().subplots()
    axes.set_title("mine")
    assert COSINE.plot(ax=axes) is axes
    lr.Linear(1.0, 0.0, 2000).plot(ax=axes, steps_per_epoch=10)
    COSINE.plot(500, ax=axes, steps_per_epoch=10)
    assert axes.get_xlim() == (0, 2100)
    assert axes.get_title() == "mine"
    assert len(axes.child_axes) == 1
    assert len({line.get_color() for line in axes.lines if line.get_gid() == plotting.OURS}) == 3


def test_negative_values_are_seen():
    low, high = lr.Linear(-1.0, 1.0, 10).plot().get_ylim()
    assert low < -1.0
    assert high > 1.0


def test_no_global_state():
    """Neither pyplot nor a setting of matplotlib or plotext is touched."""
    code = (
        "import sys, lrcore as lr, matplotlib, plotext; from lrcore import plotting\n"
        "before = matplotlib.rcParams.copy(), plotext.figure.size(), str(plotext.terminal)\n"
        "s = lr.Linear(0.1, 0.0, 10); s.plot(); plotting.terminal(s, width=33, height=9)\n"
        "assert before == (matplotlib.rcParams.copy(), plotext.figure.size(), str(plotext.terminal))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_can_be_pickled():
    pickle.dumps(COSINE.plot(steps_per_epoch=10).figure)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"schedules": 0.1},
            TypeError,
            r"plot.schedules: expected a schedule, a list of them or a dict .*, got 0.1",
        ),
        ({"schedules": {}}, ValueError, r"plot.schedules: expected at least one schedule, got {}"),
        ({"schedules": {1: COSINE}}, TypeError, r"plot.schedules: expected names that are texts, got 1"),
        ({"schedules": {"a": "b"}}, TypeError, r"plot.schedules\['a'\]: expected a schedule or a number, got 'b'"),
        ({"n": 0}, ValueError, r"plot.n: expected a number of updates, an int >= 1, got 0"),
        ({"n": 1.5}, TypeError, r"plot.n: expected a number of updates, an int >= 1, got 1.5"),
        ({"steps_per_epoch": 0}, ValueError, r"plot.steps_per_epoch: expected .* an int >= 1, got 0"),
    ],
)
def test_what_is_no_argument_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        lr.plot(**{"schedules": COSINE, **change})


def test_a_durations_unit_is_asked_for():
    for draw in (lr.plot, terminal):
        with pytest.raises(lr.UnboundError, match="steps_per_epoch"):
            draw(lr.Linear(0.1, 0.0, "5ep"), 100)


@pytest.mark.parametrize(("module", "draw"), [("matplotlib.figure", lr.plot), ("plotext", terminal)])
def test_a_missing_package_is_named(monkeypatch, module, draw):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"pip install 'lrcore\[plot\]'"):
        draw(COSINE)


# --- In files


def test_a_spike_of_one_update_in_a_million_is_seen(tmp_path):
    """Its colour stands in the upper half of the picture, where nothing else is."""
    spike = lr.Sequence([(0.05, 123_456), (0.1, 1), 0.05])
    write_picture(tmp_path / "lr.png", spike, RUN, mark_boundaries=False)
    picture = matplotlib.image.imread(tmp_path / "lr.png")[:, :, :3]
    blue = np.abs(picture - matplotlib.colors.to_rgb(plotting.COLOURS[0])).max(axis=2) < 0.25
    assert blue[: len(blue) // 3].any()


@pytest.mark.parametrize(
    ("suffix", "begin"),
    [(".png", b"\x89PNG"), (".PNG", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".html", b"<!doc")],
)
def test_a_picture_by_its_suffix(tmp_path, four, suffix, begin):
    path = tmp_path / f"lr{suffix}"
    write_picture(path, four, RUN, log=True, steps_per_epoch=5000, title="A $title")
    assert path.read_bytes().startswith(begin)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_name_is_no_markup_in_an_svg(tmp_path, four):
    write_picture(tmp_path / "lr.svg", four, RUN)
    ElementTree.parse(tmp_path / "lr.svg")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lr.pgn", r"expected a name that ends in .png, .svg, .pdf or .html, got '.*lr.pgn': did you mean '.png'\?"),
        ("lr", r"path: expected a name that ends in .png, .svg, .pdf or .html, got '.*lr'"),
    ],
)
def test_another_suffix_is_refused(tmp_path, name, message):
    with pytest.raises(ValueError, match=message):
        write_picture(tmp_path / name, COSINE)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write_picture(tmp_path / "none" / "lr.png", COSINE)


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_what_fails_leaves_the_older_file(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"lr{suffix}"
    path.write_bytes(b"older")

    def fail(_file):
        raise OSError("the disk is full")

    monkeypatch.setattr(plotting._replace, "settle", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_picture(path, COSINE)
    assert path.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [path]


# --- In a notebook


class Tags(html.parser.HTMLParser):
    """All that is opened is closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.points = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.points = dict(attrs).get("points", self.points)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def test_a_notebook_shows_the_expression_and_a_picture():
    shown = Tags(COSINE._repr_html_())
    assert shown.texts[0] == repr(COSINE)
    assert "update; it holds 0 from 1,000 on" in shown.texts
    heights = [float(point.split(",")[1]) for point in shown.points.split()]
    widths = [float(point.split(",")[0]) for point in shown.points.split()]
    assert len(heights) >= 1050
    assert widths == sorted(widths)
    assert (heights[0], heights[100], heights[-1]) == (max(heights), min(heights), max(heights))


@given(schedule=st.one_of(schedules(), growing()))
@settings(deadline=None, max_examples=60)
def test_a_notebook_shows_anything(schedule):
    shown = Tags(html_of(schedule))
    assert shown.points
    assert "nan" not in shown.points
    assert not any("No picture" in text for text in shown.texts)


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (lr.Linear(0.1, 0.0, "5ep"), "No picture: .*steps_per_epoch"),
        (lr.sgdr(0.1, 0.0, 10), "it never ends"),
        (lr.Constant(0.1), "it holds 0.1 from 0 on"),
        (lr.Table(np.linspace(0, 1, 10**5)), "Table.* … "),
    ],
)
def test_a_notebook_shows_what_has_no_end_or_no_length(schedule, text):
    shown = html_of(schedule)
    assert re.search(text, " ".join(Tags(shown).texts), re.DOTALL)
    assert len(shown) < 200_000


def test_a_notebook_needs_no_package():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import lrcore as lr; assert '<polyline' in lr.Linear(0.1, 0.0, 10)._repr_html_()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_plot_in_a_notebook_is_its_picture():
    assert matplotlib.image.imread(io.BytesIO(COSINE.plot()._repr_png_())).shape[2] == 4


# --- In a terminal


def test_a_terminal_shows_rows_of_the_width_asked_for(four):
    text = terminal(four, RUN, width=60, height=16, colour=False)
    rows = text.split("\n")
    assert len(rows) == 16
    assert max(map(len, rows)) <= 60
    assert "\x1b" not in text
    assert "update" in rows[-1]
    assert "1M" in rows[-2]
    assert all(sign * 2 in text for sign in plotting.SYMBOLS[:4])


def test_colours_are_for_a_terminal(four):
    text = terminal(four, RUN, width=60, height=16)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert text != plain
    assert "\x1b" not in plain
    assert len(set(re.findall(r"38;5;(\d+)m⠒⠒", text))) == 4


def test_a_spike_is_seen_in_a_terminal():
    rows = terminal(lr.Sequence([(0.05, 123_456), (0.1, 1), 0.05]), RUN, width=60, height=12, colour=False).split("\n")
    inside = [row[row.index("│") + 1 if "│" in row else 0 :].strip(" │┤") for row in rows[2:4]]
    assert all(re.search("[\u2801-\u28ff]", row) for row in inside)


def test_epochs_and_a_log_axis_in_a_terminal():
    rows = terminal(COSINE, 1000, log=True, steps_per_epoch=50, width=60, height=20, title="A title", colour=False)
    rows = rows.split("\n")
    assert rows[0].strip() == "A title"
    assert rows[-1].strip() == "epoch"
    assert rows[-2].split()[-1] == "20"
    assert {"0.1", "0.01", "0.001"} <= {row.split("┤")[0].strip() for row in rows}


def test_a_name_does_not_steer_the_terminal():
    text = terminal({"a\x1b[2J\n": COSINE, "b": COSINE}, colour=False)
    assert "\x1b" not in text
    assert "a?[2J?" in text


@pytest.mark.parametrize(("size", "least"), [("width", 20), ("height", 6)])
def test_a_picture_too_small_is_refused(size, least):
    with pytest.raises(ValueError, match=rf"terminal.{size}: expected .* >= {least}, got {least - 1}"):
        terminal(COSINE, **{size: least - 1})
    assert terminal(COSINE, **{size: least}, colour=False)


@settings(deadline=None, max_examples=40)
@given(schedule=schedules(), n=st.integers(1, 10**6), log=st.booleans())
def test_a_terminal_shows_anything(schedule, n, log):
    if log and schedule.table(min(n, 4000)).max() <= 0.0:
        return
    assert terminal(schedule, n, log=log, width=40, height=10, colour=False)


# --- Numbers beside an axis


@given(low=st.floats(-10, 0), high=st.floats(1e-9, 1e9), most=st.integers(2, 12))
def test_ticks_are_round_and_few(low, high, most):
    found, size = ticks(low, high, most), high - low
    assert 1 <= len(found) <= most + 1
    assert 0.0 in found
    assert all(low - 1e-8 * size <= place <= high + 1e-8 * size for place in found)
    assert {float(f"{place:.2e}") for place in found} == {float(f"{place:.9e}") for place in found}


def test_ticks_of_a_log_axis():
    assert log_ticks(0.9e-4, 1.1) == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
    assert log_ticks(0.04, 0.3) == pytest.approx([0.05, 0.1, 0.2])
