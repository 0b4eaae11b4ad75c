"""What `bench/compare_schedules.py` found, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.compare_parabola import told
from bench.compare_training import (
    BASELINE,
    BATCH,
    COURSES,
    FACTOR,
    HELD,
    METRICS,
    PATIENCE,
    RESTARTING,
    RETRAINED,
    SAME,
)

RATES = {"found": "the finder's rate", "same": f"the same rate, {SAME:g}"}
WORDS = {"val_acc": "validation accuracy", "val_loss": "validation loss"}
BACKENDS = {"jax": "JAX", "tensorflow": "TensorFlow"}
Table = dict[str, Any]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _head(*cells: str, numbers: bool = True) -> list[str]:
    """The first column is of words, the others are of numbers or not."""
    return [_row(*cells), "|---|" + ("---:|" if numbers else "---|") * (len(cells) - 1)]


def _spread(cell: dict[str, float], digits: int) -> str:
    return f"{cell['mean']:.{digits}f} ± {cell['sd']:.{digits}f}"


def _signed(row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return f"{row['mean']:+.4f} [{low:+.4f}, {high:+.4f}]"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


# ---- The article's table ----


def _cell(table: Table, course: str, metric: str) -> str:
    """Mean and deviation; a star beside what differs from the baseline, bold the best of all."""
    text = _spread(table["models"][course][metric], 4)
    leader = table["best"][metric]
    if leader["significant"] and leader["name"] == course:
        text = f"**{text}**"
    differs = course != BASELINE and table["differences"][metric][course]["significant"]
    return f"{text} *" if differs else text


def results(table: Table) -> Iterator[str]:
    """model | seconds | acc | loss | val_acc | val_loss"""
    yield from _head("model", "seconds", *METRICS)
    for course, model in table["models"].items():
        yield _row(course, _spread(model["seconds"], 2), *(_cell(table, course, metric) for metric in METRICS))


def _differences(table: Table) -> Iterator[str]:
    yield from _head("difference from the baseline", "val_acc [95 %]", "p", "val_loss [95 %]", "p")
    accuracy, loss = (table["differences"][metric] for metric in ("val_acc", "val_loss"))
    for course, row in accuracy.items():
        yield _row(course, _signed(row), _p(row["holm"]), _signed(loss[course]), _p(loss[course]["holm"]))


def _leaders(table: Table) -> Iterator[str]:
    for metric in ("val_acc", "val_loss"):
        leader = table["best"][metric]
        alike = ", ".join(leader["not_told_from"])
        yield f"- best {metric}: {leader['name']}" + (
            f"; not told from it: {alike}" if alike else ", before all others"
        )


def _named(framework: str, found: Table) -> str:
    backend = found["design"]["keras_backend"]
    return "torch" if framework == "torch" else f"Keras on {BACKENDS.get(backend, backend)}"


def _tables(found: Table) -> Iterator[str]:
    for framework, rates in found["tables"].items():
        for rate, table in rates.items():
            peaks = found["peaks"][framework]
            of = (
                f" (median {peaks['median']:.3g}, {peaks['least']:.3g} to {peaks['most']:.3g})"
                if rate == "found"
                else ""
            )
            yield f"### {_named(framework, found)}, {RATES[rate]}{of}\n"
            yield from results(table)
            yield ""
            yield from _differences(table)
            yield ""
            yield from _leaders(table)
            yield ""


# ---- The claim ----


def claim(rows: list[dict[str, Any]]) -> str:
    """Whether both fall at each restart of the cyclic polynomial, of the settings that were measured."""
    ours = [row for row in rows if row["schedule"] == RESTARTING[0]]
    settings = [(row["framework"], row["rate"]) for row in ours if row["metric"] == "val_acc"]
    says = {(row["framework"], row["rate"], row["metric"]): row["says"] for row in ours}
    both = sum(all(says[(*one, metric)] == "falls" for metric in WORDS) for one in settings)
    counts = []
    for metric, word in WORDS.items():
        found = [says[(*one, metric)] for one in settings]
        counts.append(f"{word} falls in {found.count('falls')}, rises in {found.count('rises')}")
    verdict = "holds" if both == len(settings) else "does not hold" if both == 0 else "holds in some settings only"
    shares = [
        ", ".join(f"{row['both_fell'][name]:.0%}" for row in ours if row["metric"] == "val_acc")
        for name in ("at_restarts", "elsewhere")
    ]
    return (
        f"The article's claim, that at each restart of the cyclic polynomial both fall, **{verdict}** here: both do\n"
        f"in {both} of {len(settings)} settings ({'; '.join(counts)}; else it is unclear).\n"
        f"Both fell together at {shares[0]} of the restarts in these settings, and at {shares[1]} of the other epochs\n"
        "(in the order of the table below)."
    )


def _restarts(found: Table) -> Iterator[str]:
    rows = found["restarts"]
    if not rows:
        return
    yield "## At the restarts\n"
    yield claim(rows) + "\n"
    yield (
        "From the epoch before a restart to the first one after it, the mean of all restarts of a run; the mean\n"
        "change of the other epochs since the first restart; and the excess of one over the other, paired by seeds.\n"
        "A metric falls or rises where change and excess both have intervals of that sign; the share is of restarts.\n"
    )
    yield from _head("setting", "metric", "change [95 %]", "other epochs", "excess [95 %]", "at each", "fell", "says")
    for row in rows:
        each = ", ".join(f"{value:+.4f}" for value in row["by_restart"])
        setting = f"{row['schedule']}, {row['framework']}, {row['rate']}"
        cells = (_signed(row["change"]), f"{row['elsewhere']['mean']:+.4f}", _signed(row["excess"]), each)
        yield _row(setting, row["metric"], *cells, f"{row['fell']:.0%}", row["says"])
    yield ""


# ---- Article D ----


def _retrained(found: Table) -> Iterator[str]:
    yield f"## The finder, and then a fresh model at its rate, {RETRAINED} epochs (article D)\n"
    yield from _head("framework", "found", "val_acc", f"val_acc at {SAME:g}", "difference [95 %]", "val_loss [95 %]")
    for framework, row in found["retrained"].items():
        peaks = found["peaks"][framework]
        yield _row(
            _named(framework, found),
            f"{peaks['median']:.3g} ({peaks['least']:.3g} to {peaks['most']:.3g})",
            _spread(row["found"]["val_acc"], 4),
            _spread(row["same"]["val_acc"], 4),
            _signed(row["difference"]["val_acc"]),
            _signed(row["difference"]["val_loss"]),
        )
    yield ""


def _held(found: Table) -> Iterator[str]:
    yield f"## {HELD} epochs at the found rate, then times exp(-0.1) in each (article D)\n"
    epochs = (0, 9, 10, 11, 14)
    yield from _head("by", *(f"lr of epoch {epoch}" for epoch in epochs), "from the formula", "val_acc")
    for row in found["held"]:
        rates = (f"{row['lr'][epoch]:.6f}" for epoch in epochs)
        way = f"{_named(row['framework'], found)}, {row['way']}"
        yield _row(way, *rates, f"{row['largest_difference']:.1g} of it at most", f"{row['val_acc']:.4f}")
    yield ""


# ---- The page ----


INTRODUCTION = """\
# Schedules compared

`python bench/compare_schedules.py`: a small CNN learns {data} ({images} images, and as many to validate) in {epochs}
epochs of {updates} updates with batches of {batch}, by Adam. Each schedule is lrcore's, in Keras and in torch, once
with its peak at the rate that `find_lr` suggests for the seed's model, and once with all peaks at {same:g}.
There are {seeds} seeds; each is a split of the images, first weights and an order of batches, the same for all
schedules. All figures are of the last epoch, as the article's: mean ± standard deviation over the seeds.

- **\\*** differs from the baseline, a constant rate: paired t test over the seeds, p < 0.05 after Holm's correction for
  {others} schedules.
- **bold** is better than every other one, p < 0.05 after Holm's correction for all pairs. Where nothing is bold, no
  best one can be named.
- Intervals are of 95 %, each by itself. Seconds are processor time of one thread, on a machine as busy as it was.
- The formulas of step and exponential are the article's, made for 10 epochs: in the last ones of 40 they hardly learn.
- The plateau ({factor:g} after {patience} epochs) sees the validation loss by which it is judged, the others do not.
"""


def _introduction(found: Table) -> str:
    design, machine = found["design"], found["machine"]
    others = len(design["courses"]) - 1
    text = INTRODUCTION.format(**design, batch=BATCH, same=SAME, others=others, factor=FACTOR, patience=PATIENCE)
    libraries = ", ".join(f"{name} {found['libraries'][name]}" for name in design["used"])
    facts = [
        f"lrcore {found['lrcore']} at {found['commit']}, {found['date'][:10]}",
        f"{machine['processor']}, {machine['cores']} cores",
        f"Python {found['python']}, {libraries}",
        f"{found['seconds']:.0f} s in {found['processes']} processes, with a load of {found['load_before']:.1f} before",
        f"{found['processor_seconds']:.0f} s of processor time",
    ]
    quick = "\nA quick run: nothing that it says counts.\n" if found["quick"] else ""
    return text + quick + "\n" + ";\n".join(facts) + ".\n"


def page(found: Table, pictures: list[str]) -> str:
    """The whole page."""
    parts = [_introduction(found), "## The table\n", *_tables(found), *_restarts(found)]
    parts += ["## Gradient descent on a parabola (article D)\n", told(found["parabola"]), ""]
    parts += [*_retrained(found), *_held(found)]
    formulas = [
        *_head("schedule", "formula", numbers=False),
        *(_row(name, one.formula) for name, one in COURSES.items()),
    ]
    parts += ["## The schedules\n", "e is the epoch from 0, p the peak.\n", *formulas, ""]
    parts += ["## Pictures\n", *(f"![{name}]({name})" for name in pictures)]
    return "\n".join(parts) + "\n"
