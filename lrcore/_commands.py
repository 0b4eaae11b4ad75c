"""What each command does: reads its arguments, calls lrcore, prints the answer and gives the exit status.

An answer is printed by rich on a terminal, if it is there, as plain text elsewhere, and as one JSON document with
`--json`. A file is written beside its place and renamed, and replaces another only with `--force`. What only one
command needs is imported by it.
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrcore import _arguments, _check, _replace, tables
from lrcore._arguments import Inputs, Trace
from lrcore.durations import UnboundError
from lrcore.schedule import Schedule
from lrcore.tables import MappedTable

if TYPE_CHECKING:
    from lrcore.dialects._dialect import Quirk

FOUND = 1  # the exit status of lint with findings, of diff with a difference


# ---- Schedules in ----


def _schedule(options: argparse.Namespace) -> Schedule:
    return _arguments.bound(Inputs().schedule(options.schedule), options)


# ---- Answers out ----


def _print(answer: Any, options: argparse.Namespace, document: Callable[[], dict[str, Any]]) -> None:
    if options.json:
        print(json.dumps(_plain(document()), indent=2, allow_nan=False))
    elif not _print_rich(answer):
        print(answer)


def _print_rich(answer: Any) -> bool:
    """Whether rich could print an answer: on a terminal, where it is installed."""
    if not _is_terminal():
        return False
    try:
        from rich.console import Console
    except ImportError:
        return False
    Console().print(answer)
    return True


def _is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def _plain(found: Any) -> Any:
    """What JSON can say: a number that is not finite becomes null."""
    if isinstance(found, dict):
        return {str(name): _plain(item) for name, item in found.items()}
    if isinstance(found, (list, tuple)):
        return [_plain(item) for item in found]
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return found


def _check_free(options: argparse.Namespace) -> None:
    """Refuses to replace what it was not told to, and what is no file to replace: a device, say, by its new name."""
    if options.path is None:
        return
    if not options.path:
        raise ValueError("-o: expected the name of a file, got nothing")
    path = Path(options.path)
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileExistsError(errno.EEXIST, "expected the name of a file, this is none: > writes to it", options.path)
    if path.exists() and not options.force:
        raise FileExistsError(errno.EEXIST, "is there already; --force replaces it", options.path)


def _write(path: str, content: bytes) -> None:
    """Writes a file that is there whole or not at all."""
    target = Path(path)
    _replace.check_room(target, len(content))
    with _replace.beside(target) as file:
        file.write(content)
        _replace.settle(file)
        _replace.put(file, target)


# ---- Commands ----


def table(options: argparse.Namespace) -> int:
    """Writes the values of a schedule."""
    _check_free(options)
    schedule = _schedule(options)
    n = _arguments.steps_of([schedule], options)
    begin = time.perf_counter()
    record = tables.save_table(
        schedule,
        options.path,
        n,
        start=options.start,
        dtype=options.dtype,
        threads=options.threads,
        progress=False if options.no_progress else None,
    )
    seconds = time.perf_counter() - begin
    print(f"{options.path}: {_described(record)}, {record.nbytes / 1e6:,.2f} MB, in {seconds:.2f} s")
    print(f"sha256 {record.sha256}")
    return 0


def _described(record: tables.Record) -> str:
    return f"{_counted(record.length, 'step')} of {record.dtype}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def plot(options: argparse.Namespace) -> int:
    """Draws schedules."""
    from lrcore import plotting

    _check_free(options)
    inputs = Inputs()
    drawn: dict[str, Schedule] = {}
    for given in options.schedules:
        drawn[_name(given, drawn)] = _arguments.bound(inputs.schedule(given), options)
    n = options.steps if options.steps is not None else _arguments.updates_of(options)
    if options.path is None:
        size = _terminal_size()
        print(plotting.terminal(drawn, n, log=options.log, **size))
    else:
        plotting.write_picture(options.path, drawn, n, log=options.log)
        print(f"{options.path}: {_counted(len(drawn), 'schedule')}")
    return 0


def _terminal_size() -> dict[str, Any]:
    """The options of a picture in characters: it fills the terminal, and has no colours where nobody sees them."""
    from shutil import get_terminal_size

    columns, lines = get_terminal_size()
    return {
        "width": min(max(columns, 20), 1000),
        "height": min(max(lines - 4, 10), 40),
        "colour": _is_terminal() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb",
    }


def _name(given: str, taken: Iterable[str]) -> str:
    """What a picture calls a schedule: its argument, cut, and numbered where that is another's name already."""
    text = " ".join(given.split())
    text = text if len(text) <= 60 else f"{text[:57]}..."
    names = (text, *(f"{text} ({count})" for count in range(2, len(list(taken)) + 3)))
    return next(name for name in names if name not in taken)


def explain(options: argparse.Namespace) -> int:
    """Prints what a person would check."""
    from lrcore import insight

    schedule = _schedule(options)
    found = insight.explain(schedule, _arguments.steps_of([schedule], options))
    _print(found, options, found.to_dict)
    return 0


def lint(options: argparse.Namespace) -> int:
    """Prints what is likely a mistake."""
    from lrcore import insight, linting

    only, ignored = (_names(f"--{name}", getattr(options, name)) for name in ("only", "ignore"))
    schedule = _schedule(options)
    n = _arguments.steps_of([schedule], options)
    wanted = (set(only) or set(linting.NAMES)) - set(ignored)
    findings = linting.lint(schedule, n, jump=options.jump)
    found = linting.Findings(finding for finding in findings if finding.name in wanted)
    document = {"schedule": insight.written(schedule), "steps": n, "findings": [finding.to_dict() for finding in found]}
    _print(found, options, lambda: document)
    return FOUND if found else 0


def _names(option: str, given: Iterable[str]) -> set[str]:
    """The names of findings, also separated by commas."""
    from lrcore import linting

    names = [name.strip() for item in given for name in item.split(",") if name.strip()]
    for name in names:
        if name not in linting.NAMES:
            guess = _check.did_you_mean(name, linting.NAMES) or f" ({', '.join(linting.NAMES)})"
            raise ValueError(f"{option}: expected the name of a finding, got {name!r}{guess}")
    return set(names)


def diff(options: argparse.Namespace) -> int:
    """Prints where two schedules differ."""
    from lrcore import comparison

    inputs = Inputs()
    a, b = (_side(inputs.schedule_or_trace(given), options) for given in (options.a, options.b))
    found = comparison.diff(a, b, _compared([a, b], options), rtol=options.rtol, atol=options.atol)
    _print(found, options, found.to_dict)
    return FOUND if found else 0


def _side(side: Schedule | Trace, options: argparse.Namespace) -> Schedule | Trace:
    return _arguments.bound(side, options) if isinstance(side, Schedule) else side


def _compared(sides: list[Schedule | Trace], options: argparse.Namespace) -> int | None:
    """How many steps: what was said, or the length of the run; None: those of a trace, or of the longer schedule."""
    if options.steps is not None:
        return int(options.steps)
    schedules = [side for side in sides if isinstance(side, Schedule)]
    if len(schedules) < len(sides):
        return None
    said = _arguments.updates_of(options)
    if said is None and any(schedule.length is None for schedule in schedules):
        raise ValueError("-n: expected how many steps, as one of them never ends: give -n or --total-steps")
    return said


def replan(options: argparse.Namespace) -> int:
    """Prints a schedule of another length, and writes it."""
    from lrcore import replanning

    _check_free(options)
    schedule = _schedule(options)
    n = options.steps if options.steps is not None else _arguments.updates_of(options)
    warnings.simplefilter("ignore", replanning.JumpWarning)  # the jump is said in any case
    found = schedule.replan(options.at, options.new_total, options.keep, n=n)
    jump = replanning.jump_at(schedule, found, options.at)
    if options.path is not None:
        _dump(found, options.path)
    if options.json:
        document = {
            "at": options.at,
            "total_steps": options.new_total,
            "keep": options.keep,
            "jump": jump.to_dict(),
            "expression": repr(found),
            "fingerprint": found.fingerprint(),
            "schedule": found.to_dict(),
        }
        _print(None, options, lambda: document)
        return 0
    print(found)
    said = str(jump) if jump.is_real else f"the value does not jump at step {jump.step}: {jump.new_value:.6g}"
    print(f"lrcore replan: {said}", file=sys.stderr)
    return 0


def show(options: argparse.Namespace) -> int:
    """Prints what a table holds, or what a schedule is."""
    _check_free(options)
    found = Inputs(verify=options.verify).schedule(options.schedule)
    if isinstance(found, MappedTable):
        _show_table(found, options)
    else:
        _show_schedule(found)
    if options.path is not None:
        _dump(found, options.path)
    return 0


def _dump(found: Schedule, path: str) -> None:
    from lrcore import spec

    spec.dump(found, path)


def _show_table(found: MappedTable, options: argparse.Namespace) -> None:
    record = found.record
    last = record.start + record.length - 1
    print(f"{options.schedule}: {_described(record)}, {record.start:,} to {last:,}")
    print(f"schedule  {record.schedule}")
    print(f"values    {found(record.start)!r} ... {found(last)!r}")
    print(f"sha256    {record.sha256} ({'verified' if options.verify else 'not verified, see --verify'})")
    print(f"lrcore    {record.version}")


def _show_schedule(found: Schedule) -> None:
    print(f"schedule     {found!r}")
    print(f"length       {_length(found)}")
    print(f"fingerprint  {found.fingerprint()}")


def _length(found: Schedule) -> str:
    try:
        return "never ends" if found.length is None else _counted(found.length, "update")
    except UnboundError as error:
        return f"in units: {_arguments.in_options(error, 'show')}"


def convert(options: argparse.Namespace) -> int:
    """Prints the schedule that another framework's configuration describes, and writes it."""
    from lrcore.dialects import parse

    _check_free(options)
    config = _arguments.config_of(options.config)
    found = parse(config, options.framework, strict=options.strict, steps_per_epoch=options.steps_per_epoch)
    if options.path is not None:
        _dump(found, options.path)
    origin = found.origin
    has = origin.quirks if origin else ()
    quirks = has if options.strict else _quirks_of_strict(config, options) or has
    if options.json:
        document = {
            "peer": origin and origin.peer,
            "strict": options.strict,
            "quirks": [{"name": it.name, "what": it.what, "always": it.always} for it in quirks],
            "expression": repr(found),
            "fingerprint": found.fingerprint(),
            "schedule": found.to_dict(),
        }
        _print(None, options, lambda: document)
        return 0
    print(found)
    said = origin.peer if origin else "a product of schedules"
    for quirk in quirks:
        how = "has" if quirk in has else "with --strict also has"
        said += f"; it {how} {quirk.name}: {quirk.what}"
    print(f"lrcore convert: {said}", file=sys.stderr)
    return 0


def _quirks_of_strict(config: Any, options: argparse.Namespace) -> tuple[Quirk, ...]:
    """What the same configuration has with --strict; nothing of what has no schedule then."""
    from lrcore.dialects import parse

    try:
        origin = parse(config, options.framework, strict=True, steps_per_epoch=options.steps_per_epoch).origin
    except (TypeError, ValueError):
        return ()
    return origin.quirks if origin else ()


def schema(options: argparse.Namespace) -> int:
    """Prints the JSON Schema of spec files."""
    from lrcore import spec

    _check_free(options)
    text = json.dumps(spec.json_schema(), indent=2) + "\n"
    if options.path is None:
        sys.stdout.write(text)
    else:
        _write(options.path, text.encode())
        print(f"{options.path}: the JSON Schema of spec files")
    return 0


def run(options: argparse.Namespace) -> int:
    """Runs the command that was asked for; returns its exit status."""
    try:
        return COMMANDS[options.command](options)
    except ValueError as error:
        raise ValueError(_arguments.in_options(error, options.command)) from error


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "table": table,
    "plot": plot,
    "explain": explain,
    "lint": lint,
    "diff": diff,
    "replan": replan,
    "show": show,
    "convert": convert,
    "schema": schema,
}
