"""The `lrcore` command: its parsers and its end.

What a command does stands in _commands.py, which is imported once the arguments are understood: `--help` costs no more
than Python and argparse. A mistake of the user ends in one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import lrcore
from lrcore import __version__

USAGE = 2  # the exit status of wrong arguments, as argparse has it
MOST_ERRORS = 20  # in a line
BROKEN_PIPE = 128 + 13  # as of a program that SIGPIPE ends

_SCHEDULE = """\
SCHEDULE is one of:
  run.yaml run.toml run.json   a spec file; @FILE reads any other file with a spec or an expression
  lr.npy lr.safetensors ...    a table that lrcore wrote
  -                            standard input: an expression or JSON
  "Cosine(0.1, 0, 1000)"       an expression, written as in Python and never run as code
"""

_FINDINGS = """\
NAME is one of:
  always-zero zero-first-update negative-value high-peak zero-tail zero-in-between too-small
  frozen-in-float32 flat-in-bfloat16 jump spike uneven-join peak-not-reached long-warmup
  end-not-reached held-constant horizon-mismatch uneven-horizon epoch-numbers growth
  restart-at-end last-cycle-cut unreachable-phase cut-phase late-boundary quirk unknown-origin
"""

_STATUS = """\
exit status: 0 done; 1 lint found something, diff found a difference; 2 wrong arguments or files, in one line on
standard error; 130 interrupted.
"""

_EXAMPLES = {
    "": """\
  lrcore table "Linear(0, 0.1, 100) >> Cosine(0.1, 0, 900)" -o lr.npy
  lrcore show lr.npy
  lrcore plot "sgdr(0.1, 0.001, period=100, period_mult=2)" -n 700
  lrcore explain "warmup_cosine(0.1, 0.0, '5%', '100%')" --total-steps 1000
""",
    "table": """\
  lrcore table "warmup_cosine(0.1, 0.0, warmup_steps=2_000, steps=100_000)" -o lr.npy
  lrcore table "Cosine(3e-4, 0, 1_000_000).warmup(10_000)" -n 1e6 --dtype float32 -o lr.safetensors
  lrcore table "sgdr(0.1, 0.001, period='1ep')" --steps-per-epoch 500 -n 1_000_000 -o lr.parquet --force
""",
    "plot": """\
  lrcore plot "warmup_cosine(0.1, 0.0, 100, 1000)"
  lrcore plot "Cosine(0.1, 0, 900)" "Linear(0.1, 0, 900)" -o both.svg
  lrcore plot "wsd(0.1, '5%', '100%', decay_steps='20%')" --total-steps 1e6 --log -o run.html --force
""",
    "explain": """\
  lrcore explain "warmup_cosine(0.1, 0.0, 100, 1000)"
  lrcore explain "Cosine(0.1, 0, '90ep').warmup('5ep')" --steps-per-epoch 500 --json
""",
    "lint": """\
  lrcore lint "warmup_cosine(0.1, 0.0, 100, 1000)" -n 500    # exits 1
  lrcore lint "warmup_cosine(0.1, 0.0, 100, 1000)" --ignore zero-first-update
  lrcore lint "Cosine(0.1, 0, '100%')" --total-steps 1e6 --json
""",
    "diff": """\
  lrcore diff "Cosine(0.1, 0, 1000)" "Linear(0.1, 0, 1000)"    # exits 1
  lrcore diff "Constant(0.1)" torch.csv -n 3 --rtol 1e-6
""",
    "replan": """\
  lrcore replan "Cosine(0.1, 0, 1000)" --at 400 --total-steps 2000 -o longer.json
  lrcore replan "warmup_cosine(0.1, 0.0, '5%', '100%')" --old-total-steps 1000 --at 400 --total-steps 800 --keep shape
""",
    "show": """\
  lrcore show "Cosine(0.1, 0, 1000).warmup(100)" -o run.json
  lrcore show run.json
  lrcore table run.json -o lr.npy
  lrcore show lr.npy --verify
""",
    "convert": """\
  lrcore convert --from deepspeed ds_config.json
  lrcore convert ds_config.json --strict -o lr.yaml --force
  lrcore convert - --steps-per-epoch 500 <<< '{"sched": "cosine", "lr": 0.1, "epochs": 90}'
""",
    "schema": """\
  lrcore schema
  lrcore schema -o lrcore.schema.json
""",
    "completion": """\
  lrcore completion bash > lrcore.bash && source ./lrcore.bash
  lrcore completion zsh > _lrcore
""",
}


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, instead of after the usage; takes no abbreviations, so scripts stay right."""

    def __init__(self, **options: Any) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(formatter_class=raw, allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


# ---- The entry ----


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _status(given)
        finally:
            if sys.stdout is not None:  # what is buffered meets a closed pipe or a full disk only now
                sys.stdout.flush()
    except BrokenPipeError:
        _forget_output()
        return BROKEN_PIPE
    except OSError as error:
        _forget_output()
        _say("", _one_line(error))
        return USAGE


def _status(given: list[str]) -> int:
    options = _parser().parse_args(given[:1] if given[:1] == ["demo"] else given)
    options.rest = given[1:]
    try:
        return _run(options)
    except BrokenPipeError:
        raise
    except (ValueError, TypeError, ArithmeticError, OSError, ImportError, MemoryError, RecursionError) as error:
        _say(options.command, _one_line(error))
        return USAGE
    except KeyboardInterrupt:
        _say(options.command, "interrupted")
        return 128 + signal.SIGINT
    except Exception:  # a mistake of ours; a traceback helps, but 1 would tell a pipeline that lint found something
        import traceback

        traceback.print_exc()
        return USAGE


def _run(options: argparse.Namespace) -> int:
    if options.command == "demo":
        from lrcore import demo

        return demo.main(options.rest)
    if options.command == "completion":
        return _completion(options.shell)
    from lrcore import RoundingWarning, _commands

    signal.signal(signal.SIGTERM, _leave)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # for a terminal without the characters of a picture
    with warnings.catch_warnings():
        warnings.simplefilter("always", RoundingWarning)
        warnings.showwarning = lambda message, *_, **__: _say(options.command, f"warning: {message}")
        return _commands.run(options)


def _leave(number: int, _frame: object) -> NoReturn:
    """Ends by an exception, so that an unfinished file is removed."""
    raise SystemExit(128 + number)


def _say(command: str, message: str) -> None:
    print(f"lrcore{' ' if command else ''}{command}: {' '.join(message.split())}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return f"failed with {type(error).__name__}"
    more = len(lines) - 1 - MOST_ERRORS
    told = lines[1 : 1 + MOST_ERRORS] + ([f"and {more} more"] if more > 0 else [])
    return ": ".join(filter(None, (lines[0], "; ".join(told))))  # a heading, and what is wrong with a spec


def _forget_output() -> None:
    """What is left in the buffer goes nowhere, or Python would try once more on its way out, and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _completion(shell: str) -> int:
    try:
        import shtab
    except ImportError as error:
        raise ImportError("completion needs shtab: pip install 'lrcore[cli]'") from error
    parser = _parser()
    for command in _commands_of(parser).values():
        for action in command._actions:
            if action.metavar in _FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, shell))
    return 0


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by its name."""
    return {
        name: found
        for action in parser._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, found in action.choices.items()
    }


# ---- The parsers ----

_FILES = ("SCHEDULE", "A", "B", "FILE")  # the arguments that a shell completes with files


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lrcore",
        description="Learning-rate schedules as values: look at them, check them, change them, write them to disk.",
        epilog="\n".join([_SCHEDULE, _STATUS, f"examples:\n{_EXAMPLES['']}"]),
    )
    parser.add_argument("-V", "--version", action="version", version=f"lrcore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (summary, description, add) in _COMMANDS.items():
        epilog = [_SCHEDULE] if name in _WITH_SCHEDULE else []
        epilog += {"table": [_names()], "lint": [_FINDINGS]}.get(name, [])
        epilog += [f"examples:\n{_EXAMPLES[name]}"] if name in _EXAMPLES else []
        made = commands.add_parser(name, help=summary, description=description, epilog="\n".join(epilog))
        add(made)
    return parser


def _names() -> str:
    """What an expression is made of. A name is listed by its module, which is not imported for that."""
    from textwrap import fill

    homes: dict[str, tuple[str, ...]] = vars(lrcore)["_HOMES"]  # not in the stub, which is for users
    lines = {
        "curves": " ".join(sorted(homes["curves"] + homes["decays"])),
        "functions": " ".join(homes["functions"]),
        "combinators": " ".join(sorted(homes["compose"] + homes["cycles"])),
        "recipes": " ".join(homes["recipes"]),
        "operators": "a >> b   a * b   0.5 * a   a + b",
        "methods": ".warmup .clip .staircase .shift .stretch",
        "durations": '1000 (updates) "5ep" "30%" "2e9tok" "1e6samples" "rest"',
    }
    rows = (fill(text, 100, initial_indent=f"  {what:13}", subsequent_indent=" " * 15) for what, text in lines.items())
    return "\n".join(["in an expression:", *rows, ""])


def _add_table(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser)
    _add_output(parser, "where to: *.npy, *.safetensors or *.parquet", required=True)
    _add_steps(parser, "how many steps (1_000_000 and 1e6 are fine)")
    add = parser.add_argument
    add("--dtype", default="float64", choices=("float64", "float32"), help="float64 unless given")
    add("--start", metavar="STEP", type=_count, default=0, help="the first step, 0 unless given")
    add("--threads", metavar="T", type=_count, default=min(os.cpu_count() or 1, 4), help="%(default)s unless given")
    add("--no-progress", action="store_true", help="no progress bar, however long it takes")
    _add_units(parser)


def _add_plot(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser, nargs="+")
    _add_output(parser, "a picture instead: *.png, *.svg, *.pdf, or *.html (interactive, needs no network)")
    _add_steps(parser)
    parser.add_argument("--log", action="store_true", help="a logarithmic axis of values")
    _add_units(parser)


def _add_explain(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser)
    _add_steps(parser)
    _add_json(parser)
    _add_units(parser)


def _add_lint(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser)
    _add_steps(parser)
    for name, what in (("--only", "report only findings of these"), ("--ignore", "report none of these")):
        parser.add_argument(
            name, action="append", default=[], metavar="NAME,...", help=f"{what} names; may be repeated"
        )
    jump = "report changes between neighbours by more than this, > 1; %(default)g unless given"
    parser.add_argument("--jump", type=_tolerance, default=10.0, metavar="FACTOR", help=jump)
    _add_json(parser)
    _add_units(parser)


def _add_diff(parser: argparse.ArgumentParser) -> None:
    for name in ("a", "b"):
        parser.add_argument(name, metavar=name.upper(), help="a schedule, or a trace: see below")
    _add_steps(parser)
    parser.add_argument("--rtol", type=_tolerance, default=0.0, metavar="R", help="relative tolerance, 0 unless given")
    parser.add_argument("--atol", type=_tolerance, default=0.0, metavar="R", help="absolute tolerance, 0 unless given")
    _add_json(parser)
    _add_units(parser)


def _add_replan(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser)
    add = parser.add_argument
    add("--at", metavar="STEP", type=_count, required=True, help="updates already done: up to here nothing changes")
    add("--total-steps", dest="new_total", metavar="N", type=_count, required=True, help="the new length, in updates")
    keep = ("value", "position", "shape")
    add("--keep", default="value", choices=keep, help="what the rest keeps: see below; %(default)s unless given")
    _add_steps(parser, "the old length, in updates", "--old-total-steps")
    _add_output(parser, "the new schedule as a spec file: *.yaml, *.toml or *.json")
    _add_json(parser)
    _add_units(parser, total="--old-total-steps")


def _add_show(parser: argparse.ArgumentParser) -> None:
    _add_schedule(parser)
    parser.add_argument("--verify", action="store_true", help="of a table: compare the SHA-256 of the values as well")
    _add_output(parser, "write it as a spec file: *.yaml, *.toml or *.json")


def _add_convert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="a .json, .yaml, .yml or .toml file, or - for JSON on stdin")
    frameworks = ("deepspeed", "transformers", "timm", "megatron", "hydra", "composer")
    what = "%(choices)s"
    parser.add_argument(
        "--from", dest="framework", choices=frameworks, metavar="NAME", help=f"told by its keys, or {what}"
    )
    parser.add_argument("--strict", action="store_true", help="with what the users there do not expect")
    parser.add_argument(
        "--steps-per-epoch", metavar="N", type=_count, help="updates of an epoch, where it counts epochs"
    )
    _add_output(parser, "write it as a spec file: *.yaml, *.toml or *.json")
    _add_json(parser)


def _add_schema(parser: argparse.ArgumentParser) -> None:
    _add_output(parser, "where to, instead of standard output")


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="bash, zsh or tcsh", metavar="SHELL")


def _add_nothing(_parser: argparse.ArgumentParser) -> None:
    """The demo reads its own arguments."""


def _add_schedule(parser: argparse.ArgumentParser, **options: Any) -> None:
    dest = "schedules" if options else "schedule"
    parser.add_argument(dest, metavar="SCHEDULE", help="see below", **options)


def _add_steps(parser: argparse.ArgumentParser, what: str = "how many steps", total: str = "--total-steps") -> None:
    unless = f"unless given, {total} or the schedule's own length"
    parser.add_argument("-n", dest="steps", metavar="N", type=_count, help=f"{what}; {unless}")


def _add_output(parser: argparse.ArgumentParser, what: str, **options: Any) -> None:
    parser.add_argument("-o", dest="path", metavar="FILE", help=what, **options)
    parser.add_argument("--force", action="store_true", help="replace a file of that name")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for programs: one JSON document on standard output")


def _add_units(parser: argparse.ArgumentParser, total: str = "--total-steps") -> None:
    group = parser.add_argument_group("the run", 'what durations with units ("5ep", "30%") come to in updates')
    for name, what in (
        (total, "micro-batches of the run, or updates if that is the same: for 30%% and rest"),
        ("--steps-per-epoch", "micro-batches of an epoch: for 5ep"),
        ("--tokens-per-step", "tokens of a micro-batch: for 2e9tok"),
        ("--samples-per-step", "samples of a micro-batch: for 1e6samples"),
        ("--micro-batches-per-update", "gradient accumulation, 1 unless given"),
        ("--world-size", "processes that share the steps, 1 unless given"),
    ):
        dest = name.removeprefix("--").removeprefix("old-").replace("-", "_")
        group.add_argument(name, dest=dest, metavar="N", type=_count, help=what)


def _count(text: str) -> int:
    """A whole number, also written as 1e6."""
    from decimal import Decimal, InvalidOperation

    try:
        number = Decimal(text)
        if number == number.to_integral_value() and abs(number) < 10**17:
            return int(number)
    except (InvalidOperation, ValueError):
        pass
    raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")


def _tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if 0.0 <= number < float("inf"):
        return number
    raise argparse.ArgumentTypeError(f"expected a number >= 0, got {text!r}")


_TRACE = """\
Says where, by how much and why two schedules differ.

A and B are each a SCHEDULE, or the trace of another framework, its value at step 0, 1, 2, ...: an .npy array, a .csv
or .txt with a number, or a step and a number, on each line (the first may be a heading), or a .json list of numbers.
An array of float32 is compared with the other side's values rounded to float32. -n N compares the first N steps;
without it, as many as the trace has, or --total-steps, or all up to the end of the longer schedule and past it."""

_KEEP = """\
Prints a schedule that equals the old one up to step --at and comes to its end after --total-steps updates; on standard
error, by how much the value jumps there. Phases that are over stay; --keep says what the phase in progress does:
  value     as if planned for the new length, lowered or raised to go on from the value that it has
  position  as if planned for the new length; the value may jump to it
  shape     what is left of it, in slow motion or fast
--at, --total-steps and -n are in updates; --old-total-steps is what percentages in the old schedule refer to."""

_CONVERT = """\
Prints the schedule that a configuration of another framework describes, as an expression; on standard error, whose
schedule it is, and what of it --strict would add. Nothing in the file is executed. Read are: deepspeed, its JSON;
transformers, values of TrainingArguments; timm and megatron, arguments of their training scripts; hydra, a _target_
and its arguments; composer, its YAML. What is not about the schedule is ignored, and all that is wrong is said at
once."""

# Each command: its line in the list, its description, and what adds its arguments.
_COMMANDS = {
    "table": (
        "write the values of a schedule to a file",
        "Writes the values of a schedule to a .npy, .safetensors or .parquet file.",
        _add_table,
    ),
    "plot": (
        "draw schedules, in the terminal or to a file",
        "Draws schedules in the terminal, or to a file.",
        _add_plot,
    ),
    "explain": (
        "what a person would check: boundaries, peak, end, mean",
        "Prints what a person would check: the first value, boundaries and restarts, the peak, the end, the mean.",
        _add_explain,
    ),
    "lint": (
        "find mistakes before the run is paid for; exit status 1 if any",
        "Finds what is likely a mistake: reason and cure.\nExit status: 0 nothing found, 1 findings, 2 error.",
        _add_lint,
    ),
    "diff": (
        "where two schedules differ, or one and a trace; exit status 1 if they do",
        f"{_TRACE}\nExit status: 0 equal within --rtol and --atol, 1 different, 2 error.",
        _add_diff,
    ),
    "replan": ("make a run longer or shorter while it runs", _KEEP, _add_replan),
    "show": (
        "print what a table or a spec file holds",
        "Prints what a table holds, or the expression, fingerprint and length of any other schedule.",
        _add_show,
    ),
    "convert": (
        "read the configuration of another framework",
        _CONVERT,
        _add_convert,
    ),
    "schema": (
        "print the JSON Schema of spec files",
        "Prints the JSON Schema of spec files, for editors.",
        _add_schema,
    ),
    "demo": ("the main job on real data (see lrcore demo --help)", None, _add_nothing),
    "completion": (
        "print the completion script of a shell",
        "Prints a script that teaches a shell to complete lrcore's commands, options and files (needs shtab).",
        _add_completion,
    ),
}
_WITH_SCHEDULE = ("table", "plot", "explain", "lint", "diff", "replan", "show")


if __name__ == "__main__":
    sys.exit(main())
