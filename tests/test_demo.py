"""`lrcore demo`: what it prints and what it leaves, from one quick run; and that it notices what it says it checks."""

import contextlib
import dataclasses
import io
import math
import re
from importlib.util import find_spec

import matplotlib.colors
import matplotlib.image
import numpy as np
import pytest

import lrcore as lr
from lrcore import _demo_pictures, demo
from lrcore._articles import EXAMPLES
from lrcore._demo_training import Result, digits_task
from lrcore.tables import open_table

# Keras reads torch's tensors into numpy 2 in a way that numpy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

STEPS = 30_000
UPDATES = 3 * (1437 // 32)  # of the quick training: epochs of as many whole batches as there are


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of the demo: its exit status, its output and its folder."""

    status: int
    text: str
    out: object


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "left" / "here"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        status = demo.main(["--quick", "--steps", str(STEPS), "--out", str(out)])
    return Run(status, printed.getvalue(), out)


def line_of(run, begin):
    (line,) = [line for line in run.text.splitlines() if line.strip().startswith(begin)]
    return line


# --- The schedules of the articles, as the demo has them

# From the epoch or update, as the article states it.
FORMULAS = {
    "step decay": lambda e: 0.001 * 0.5 ** ((1 + e) // 5),
    "step decay, warm-up": lambda e: 0.001 * e / 5 if e < 5 else 0.001 * 0.5 ** ((1 + e - 5) // 5),
    "exponential": lambda e: 0.001 * math.exp(-0.2 * (e + 1)),
    "cyclic polynomial": lambda e: (0.001 - 0.00001) * (1 - e % 10 / 10) ** 0.5 + 0.00001,
    "cosine": lambda t: 0.0001 + 0.0099 * (1 + math.cos(math.pi * t / 200)) / 2,
    "SGDR, equal cycles": lambda t: 0.0001 + 0.0099 * (1 + math.cos(math.pi * (t % 100) / 100)) / 2,
    "SGDR, doubling cycles": lambda t: 0.0001 + 0.0099 * (1 + math.cos(math.pi * doubling(t))) / 2,
    "piecewise constant": lambda t: 0.1 if t <= 5 else 0.05 if t <= 10 else 0.01 if t <= 15 else 0.001,
    "shrinking": lambda e: 0.2 * 0.99**e,
    "hold, then decay": lambda e: 0.01 if e < 10 else 0.01 * math.exp(-0.1 * (e - 9)),
    "range test": lambda t: 1e-7 * (10 / 1e-7) ** (t / 100),
    "constant 1": lambda _: 1.0,
    "constant 0.1": lambda _: 0.1,
    "constant 0.01": lambda _: 0.01,
    "constant 0.001": lambda _: 0.001,
    "constant 0.0001": lambda _: 0.0001,
}


def doubling(t):
    """The share of its cycle that an update has behind it, in cycles of 100, 200, 400 ... updates."""
    begin, length = 0, 100
    while t >= begin + length:
        begin, length = begin + length, 2 * length
    return (t - begin) / length


def titled(examples):
    return pytest.mark.parametrize("example", examples, ids=lambda example: example.title)


def test_the_articles_have_one_example_for_each_formula():
    assert [example.title for example in EXAMPLES] == list(FORMULAS)
    assert {example.article for example in EXAMPLES} == set("ABCDE")


@titled(EXAMPLES)
def test_an_example_has_the_numbers_of_its_article(example):
    expected = [FORMULAS[example.title](step) for step in range(example.span)]
    assert example.schedule.table(example.span) == pytest.approx(expected, rel=1e-13, abs=0)


@titled(EXAMPLES)
@pytest.mark.parametrize("updates", [1, 1000, 10_000_000])
def test_a_run_gives_each_step_of_the_article_as_many_updates(example, updates):
    each = -(-updates // example.span)
    run, begins = example.over(updates), np.arange(example.span) * each
    own = example.schedule.table(example.span)
    np.testing.assert_array_max_ulp(run(begins), own, maxulp=4)
    if example.unit == "epochs":
        assert run(begins + each - 1).tolist() == run(begins).tolist()


# --- What the quick run printed


def test_it_ends_well(run):
    assert run.status == 0
    assert run.text.startswith(f"lrcore {lr.__version__}: ")
    assert re.search(r"\nDone in \d+ s\.\n$", run.text)


@titled(EXAMPLES)
def test_it_prints_values_of_each_schedule(run, example):
    printed = [line for line in run.text.splitlines() if line.startswith(f"   {example.name}  ")]
    values, timing = printed
    last = example.span - 1
    for step in (0, last // 3, 2 * last // 3, last):
        assert f" {example.schedule(step):.4g}" in values
    pace = re.fullmatch(r" *([\d.]+) ms +([\d,]+) M values/s", timing.removeprefix(f"   {example.name}"))
    assert float(pace[1]) > 0


def test_bars_follow_a_schedule():
    by_title = {example.title: demo._bars(example) for example in EXAMPLES}
    assert by_title["range test"] == "▁▂▂▃▄▄▅▅▆▇▇█"
    assert by_title["step decay"] == "█████▅▅▅▅▅▅▃"
    assert set(by_title["constant 0.1"]) == {"▄"}


def test_it_prints_that_nothing_differs(run):
    assert line_of(run, "values that differ").endswith(f": 0 of {STEPS:,}")
    assert line_of(run, "updates for which").endswith(f": 0 of {UPDATES}")
    assert line_of(run, "updates whose").endswith(f": 0 of {UPDATES} + {UPDATES}")


def test_both_frameworks_learn_the_same(run):
    assert float(line_of(run, "largest difference").split(": ")[1]) < 1e-5
    rows = re.findall(r"^ +(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +([\d.]+)% +([\d.]+)%$", run.text, re.MULTILINE)
    assert [row[0] for row in rows] == ["1", "3"]
    _, rate, torch_loss, keras_loss, torch_right, keras_right = map(float, rows[-1])
    assert rate == round(lr.sgdr(0.5, 0.005, 88)(87), 4)
    assert torch_loss == pytest.approx(keras_loss, abs=2e-5)
    assert torch_loss < float(rows[0][2]) / 2
    assert min(torch_right, keras_right) > 90


# --- What it left


def test_it_leaves_two_pictures_and_two_tables(run):
    tables = ["sgdr-doubling.npy", "sgdr-doubling.npy.json", "training.npy", "training.npy.json"]
    assert sorted(path.name for path in run.out.iterdir()) == ["schedules.png", *tables, "training.png"]


def test_the_tables_are_those_of_the_run_and_of_the_training(run):
    (doubling,) = [example.over(STEPS) for example in EXAMPLES if example.title == "SGDR, doubling cycles"]
    long_table = open_table(run.out / "sgdr-doubling.npy", schedule=doubling)
    assert long_table.values.tolist() == doubling.table(STEPS, dtype="float32").tolist()
    training = lr.sgdr(0.5, 0.005, 88, period_mult=2).warmup(44)
    table = open_table(run.out / "training.npy", schedule=training)
    assert table.values.tolist() == training.table(UPDATES, dtype="float32").tolist()


def has_colour(picture, colour):
    return bool((np.abs(picture - matplotlib.colors.to_rgb(colour)).max(axis=-1) < 0.01).any())


def test_the_picture_of_the_schedules_has_a_curve_in_each_panel(run):
    picture = matplotlib.image.imread(run.out / "schedules.png")[..., :3]
    height, width, _ = picture.shape
    assert width > 1500
    assert height > 800
    articles = [*(example.article for example in EXAMPLES if not example.is_constant), "E"]
    below_the_head = picture[height // 12 :]
    panels = [part for row in np.array_split(below_the_head, 3) for part in np.array_split(row, 4, axis=1)]
    for article, panel in zip(articles, panels, strict=True):
        high, wide, _ = panel.shape
        middle = panel[int(0.15 * high) : int(0.85 * high), int(0.25 * wide) : int(0.9 * wide)]
        assert has_colour(middle, _demo_pictures.COLOURS[article])
        others = set(_demo_pictures.COLOURS.values()) - {_demo_pictures.COLOURS[article]}
        assert not any(has_colour(middle, colour) for colour in others)


def test_the_picture_of_the_training_has_both_frameworks_in_each_panel(run):
    picture = matplotlib.image.imread(run.out / "training.png")[..., :3]
    height, width, _ = picture.shape
    assert width > 1000
    for begin, end in ((0.1, 0.4), (0.5, 0.65), (0.75, 0.93)):
        panel = picture[int(begin * height) : int(end * height), width // 10 :]
        assert has_colour(panel, _demo_pictures.BROAD["color"])
        assert has_colour(panel, _demo_pictures.INK)


# --- What it would notice


def results_of(task, change=0.0):
    """Made-up results of two frameworks; the second one's rates are off by a relative change from update 5 on."""
    rates = task.schedule.table(len(task.batches), dtype="float32")
    changed = np.where(np.arange(len(rates)) < 5, rates, rates * np.float32(1 + change))
    losses, accuracies = np.ones(len(rates)), [0.5] * task.epochs
    return [Result(name, used, losses, accuracies, 1.0) for name, used in (("one", rates), ("other", changed))]


def test_it_counts_the_updates_whose_rates_differ(capsys):
    task = digits_task(1)
    assert demo.compare(task, results_of(task)) == 0
    updates = len(task.batches)
    assert demo.compare(task, results_of(task, change=1e-6)) == 2 * (updates - 5)
    printed = capsys.readouterr().out
    assert f"had different learning rates: {updates - 5} of {updates}\n" in printed
    assert f"was not the schedule's: {updates - 5} of {updates} + {updates}\n" in printed


@pytest.mark.parametrize("chunk", [7, 100, 1000])
def test_it_counts_the_values_of_a_table_that_differ(tmp_path, monkeypatch, capsys, chunk):
    monkeypatch.setattr(demo, "CHUNK", chunk)
    schedule = lr.Cosine(0.1, 0.0, 100)
    assert demo.save_and_reopen(schedule, 100, tmp_path / "table.npy") == 0
    values = schedule.table(100, dtype="float32")
    values[[3, 98]] = 0.05
    monkeypatch.setattr(demo, "open_table", lambda _: lr.Table(values))
    assert demo.save_and_reopen(schedule, 100, tmp_path / "table.npy") == 2
    assert "differ from the schedule: 2 of 100\n" in capsys.readouterr().out


def test_a_difference_is_its_exit_status(tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "precompute", lambda *_: 0)
    monkeypatch.setattr(demo, "train", lambda task: results_of(task, change=1e-6))
    monkeypatch.setattr(demo, "leave", lambda *_: None)
    assert demo.main(["--quick", "--out", str(tmp_path)]) == 1
    monkeypatch.setattr(demo, "train", results_of)
    assert demo.main(["--quick", "--out", str(tmp_path)]) == 0


def test_missing_packages_are_named_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name in {"keras", "sklearn"} else find_spec(name))
    assert demo.main(["--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.err == "lrcore demo needs keras and scikit-learn: pip install lrcore[demo]\n"
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("steps", "message"), [("0", "expected a number of updates >= 1, got 0"), ("many", "'many'")])
def test_steps_that_are_none_are_refused(steps, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        demo.main(["--steps", steps])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err
