"""A page to look into schedules: one file of HTML that asks for nothing, neither of the network nor of its folder.

(a) plotly's script stands in the page, with no other script but ours. The page's policy names both by their hashes, so
    whatever else might get into it (a name, a repr) is not run, and nothing may be fetched.
(b) Every text is escaped where it is put into the page; the data are JSON in a script element that is no script, with
    "<" written as an escape.
(c) The same input gives the same bytes: no date, no random names.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any

import numpy as np

from lrcore import insight, linting
from lrcore._drawing import DECADES, Run, Schedules, log_range, run_of, short
from lrcore._page_parts import SCRIPT, STYLE
from lrcore._sampling import Steps, curve
from lrcore.schedule import Schedule

PIXELS = 1000  # of the drawn curves
EXPRESSION = 4000  # characters of a schedule's repr that are shown


def page(
    schedules: Schedules,
    n: int | None = None,
    *,
    title: str | None = None,
    log: bool = False,
    steps_per_epoch: int | None = None,
) -> str:
    """An interactive page: the curves, and beside them what `explain` and `lint` say of each.

    Args:
        schedules: one, or a dict of names and schedules.
        n: how many updates, as for `plot`.
        title: of the page.
        log: begin with a log axis; the page can change between both.
        steps_per_epoch: updates of an epoch, for a second axis and for the tables; by default what the schedules were
            bound with.

    Returns:
        A whole HTML document of about 5 MB, nearly all of it plotly's script.

    Raises:
        TypeError, ValueError, UnboundError: as of `plot`.
        ImportError: plotly is missing.

    Example:
        >>> from lrcore import Linear
        >>> document = page(Linear(0.1, 0.0, 100))
        >>> document[:15], document.count("<h1>")
        ('<!doctype html>', 1)
    """
    if isinstance(schedules, Schedule):
        schedules = {"Learning rate": schedules}  # its expression stands below
    run = run_of("page", schedules, n, steps_per_epoch)
    library, data = _library(), _data(run, log)
    heading = title if title is not None else _heading(run)
    cards = [
        _card(at, name, schedule, run, run.n if n is not None else schedule.length or run.n)
        for at, (name, schedule) in enumerate(run.schedules.items())
    ]
    return PAGE.format(
        policy=_policy(library, SCRIPT),
        heading=html.escape(heading),
        summary=html.escape(_summary(run)),
        style=STYLE,
        values="\n".join(_reading(at, name, len(run.schedules)) for at, name in enumerate(run.schedules)),
        cards="".join(cards),
        data=_inert(data),
        library=library,
        script=SCRIPT,
    )


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{heading}</title>
<style>{style}</style>
</head>
<body>
<header>
<h1>{heading}</h1>
<p>{summary}</p>
</header>
<main>
<section class="picture" aria-labelledby="picture">
<div class="bar">
<h2 id="picture">Learning rate</h2>
<div>
<button type="button" id="reset">Reset</button>
<div class="choice" role="group" aria-label="Scale of the values">
<button type="button" id="linear" aria-pressed="true">Linear</button>
<button type="button" id="log" aria-pressed="false">Log</button>
</div>
</div>
</div>
<div id="chart" role="group" tabindex="0" aria-label="Learning rate over the updates: arrow keys read its values">
<noscript>The chart needs JavaScript; the tables do not.</noscript>
</div>
<dl class="read" aria-live="polite">
<dt class="at">Update</dt><dd class="at" id="step">–</dd>
{values}
</dl>
<p class="note" id="note"></p>
</section>
<div class="cards">{cards}</div>
</main>
<script type="application/json" id="data">{data}</script>
<script>{library}</script>
<script>{script}</script>
</body>
</html>
"""


def _library() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("pages need plotly: pip install 'lrcore[plot]'") from error
    return str(get_plotlyjs())


def _policy(*scripts: str) -> str:
    """Nothing is allowed but these scripts, styles, and pictures that the page itself makes."""
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _inert(data: dict[str, Any]) -> str:
    """JSON that ends no script element and begins no comment in it."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


# ---- What the page's script draws ----


def _data(run: Run, log: bool) -> dict[str, Any]:
    """All curves at the same steps, so that one hover has an exact value of each."""
    steps = _steps(run)
    curves = {name: curve(schedule, steps) for name, schedule in run.schedules.items()}
    values = [drawn.values for drawn in curves.values()]
    has_log = any((each > 0.0).any() for each in values)
    return {
        "n": run.n,
        "steps": steps.tolist(),
        "epoch": run.steps_per_epoch,
        "log": log,
        "range": log_range("page.log", values)[:2] if has_log or log else None,
        "decades": DECADES,
        "curves": [
            {
                "name": name,
                "values": drawn.values.tolist(),
                "jumps": np.flatnonzero(drawn.jumps).tolist(),
                "boundaries": run.boundaries(name)[1:].tolist(),
            }
            for name, drawn in curves.items()
        ],
    }


def _steps(run: Run) -> Steps:
    return np.unique(np.concatenate([run.steps(name, PIXELS) for name in run.schedules]))


# ---- Texts ----


def _heading(run: Run) -> str:
    return "Learning-rate schedule" if len(run.schedules) == 1 else f"{len(run.schedules)} learning-rate schedules"


def _summary(run: Run) -> str:
    epochs = f", {run.n / run.steps_per_epoch:,.6g} epochs of {run.steps_per_epoch:,}" if run.steps_per_epoch else ""
    return f"The first {f'{run.n:,} updates' if run.n > 1 else 'update'}{epochs}."


def _card(at: int, name: str, schedule: Schedule, run: Run, n: int) -> str:
    """A schedule: its name and expression, what explain says of a run of n updates, and what lint finds in it."""
    explained = insight.explain(schedule, n, steps_per_epoch=run.steps_per_epoch)
    return CARD.format(
        at=at,
        key=_key(at),
        name=html.escape(name),
        expression=html.escape(short(repr(schedule), EXPRESSION)),
        explained=explained._repr_html_(),
        findings=_findings(linting.lint(schedule, n, steps_per_epoch=run.steps_per_epoch)),
    )


CARD = """
<article class="card" aria-labelledby="name{at}">
<h2 id="name{at}">{key}{name}</h2>
<pre class="expression" tabindex="0" aria-label="Expression"><code>{expression}</code></pre>
<h3>What it does</h3>
<div class="table" tabindex="0" role="region" aria-label="What it does">{explained}</div>
<h3>What to look at</h3>
{findings}
</article>"""


def _key(at: int) -> str:
    """The sign of a curve: its colour, and after five of them its dashes."""
    return f'<span class="key key{at % 5} dash{at // 5 % 3}" aria-hidden="true"></span>'


def _reading(at: int, name: str, count: int) -> str:
    """Where the value of a curve is read, and one of several curves taken away or brought back."""
    box = f'<input type="checkbox" checked aria-label="Show {html.escape(name)}">' if count > 1 else ""
    return f'<dt><label>{box}{_key(at)}{html.escape(name)}</label></dt><dd id="value{at}">–</dd>'


def _findings(found: tuple[linting.Finding, ...]) -> str:
    if not found:
        return '<p class="fine">Nothing found.</p>'
    items = "".join(
        f'<li><strong>{html.escape(each.name)}</strong><span class="where">{_where(each.step)}</span>'
        f'<p>{html.escape(each.reason)}</p><p class="cure">{html.escape(each.cure)}</p></li>'
        for each in found
    )
    return f'<ul class="findings">{items}</ul>'


def _where(step: int | None) -> str:
    return "" if step is None else f"update {step:,}"
