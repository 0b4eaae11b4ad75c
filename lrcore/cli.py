"""The `lrcore` command: write tables, look at them, run the demo.

What it needs is imported when it is used, so that `--help` costs no more than Python and lrcore itself. A mistake of
the user ends in one line on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from lrcore import RoundingWarning, __version__

USAGE = 2  # the exit status of wrong arguments, as argparse has it

_TABLE_EPILOG = """\
EXPR is written as in Python, and never run as code:
  curves       Constant Linear Cosine Polynomial Exponential ExponentialDecay
               NaturalExpDecay InverseTimeDecay InverseSqrt Piecewise Interpolate Table
  combinators  Sequence Cycle Product Sum Scale Clip Staircase Shift Stretch
  recipes      step_decay cyclic_polynomial sgdr warmup_cosine one_cycle triangular
               wsd noam inverse_sqrt
  operators    a >> b   a * b   0.5 * a   a + b
  methods      .warmup .clip .staircase .shift .stretch

examples:
  lrcore table "warmup_cosine(0.1, 0.0, warmup_steps=2_000, steps=100_000)" -n 100_000 -o lr.npy
  lrcore table "Cosine(3e-4, 0, 1_000_000).warmup(10_000)" -n 1e6 --dtype float32 -o lr.safetensors
  lrcore table "sgdr(0.1, 0.001, period=1000, period_mult=2)" -n 1_000_000 -o lr.parquet --force
"""

_EPILOG = """\
examples:
  lrcore table "Linear(0, 0.1, 100) >> Cosine(0.1, 0, 900)" -n 1000 -o lr.npy
  lrcore show lr.npy
  lrcore demo
"""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, instead of after the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given[:1] if given[:1] == ["demo"] else given)
    options.rest = given[1:]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", RoundingWarning)
            warnings.showwarning = lambda message, *_, **__: _say(options.command, f"warning: {message}")
            return int(options.run(options))
    except (ValueError, OSError, ImportError) as error:
        _say(options.command, _one_line(error))
        return USAGE
    except KeyboardInterrupt:
        _say(options.command, "interrupted")
        return 128 + signal.SIGINT


def _say(command: str, message: str) -> None:
    print(f"lrcore {command}: {message}", file=sys.stderr)


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return " ".join(f"{error.filename}: {error.strerror}".split())
    return " ".join(str(error).split())


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = _Parser(
        prog="lrcore",
        description="Learning-rate schedules as values: tables of them on disk, and a demo.",
        epilog=_EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"lrcore {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    table = commands.add_parser(
        "table",
        help="write the values of a schedule to a file",
        description="Writes the values of a schedule to a .npy, .safetensors or .parquet file.",
        epilog=_TABLE_EPILOG,
        formatter_class=raw,
    )
    _add_table_options(table)
    show = commands.add_parser("show", help="print what a table holds", description="Prints what a table holds.")
    show.add_argument("path", metavar="PATH", help="a table that lrcore wrote")
    show.add_argument("--verify", action="store_true", help="compare the SHA-256 of the values as well")
    show.set_defaults(run=_show)
    demo = commands.add_parser("demo", help="the main job on real data (see lrcore demo --help)")
    demo.set_defaults(run=_demo)
    return parser


def _add_table_options(table: argparse.ArgumentParser) -> None:
    add = table.add_argument
    add("expression", metavar="EXPR", help="the schedule; - reads it from standard input")
    add("-n", dest="steps", metavar="N", type=_count, required=True, help="how many steps (1_000_000 and 1e6 are fine)")
    add("-o", dest="path", metavar="PATH", required=True, help="where to: *.npy, *.safetensors or *.parquet")
    add("--dtype", default="float64", choices=("float64", "float32"), help="float64 unless given")
    add("--start", metavar="STEP", type=_count, default=0, help="the first step, 0 unless given")
    add("--threads", metavar="T", type=_count, default=min(os.cpu_count() or 1, 4), help="%(default)s unless given")
    add("--no-progress", action="store_true", help="no progress bar, however long it takes")
    add("--force", action="store_true", help="replace a file of that name")
    table.set_defaults(run=_table)


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


def _table(options: argparse.Namespace) -> int:
    from pathlib import Path

    from lrcore import expression, tables

    if Path(options.path).exists() and not options.force:
        raise FileExistsError(errno.EEXIST, "is there already; --force replaces it", options.path)
    text = sys.stdin.read() if options.expression == "-" else options.expression
    schedule = expression.parse(text)
    signal.signal(signal.SIGTERM, _leave)
    begin = time.perf_counter()
    record = tables.save_table(
        schedule,
        options.path,
        options.steps,
        start=options.start,
        dtype=options.dtype,
        threads=options.threads,
        progress=False if options.no_progress else None,
    )
    seconds = time.perf_counter() - begin
    print(f"{options.path}: {_described(record)}, {record.nbytes / 1e6:,.2f} MB, in {seconds:.2f} s")
    print(f"sha256 {record.sha256}")
    return 0


def _leave(number: int, _frame: object) -> NoReturn:
    """Ends by an exception, so that the unfinished file is removed."""
    raise SystemExit(128 + number)


def _described(record: Any) -> str:
    steps = "step" if record.length == 1 else "steps"
    return f"{record.length:,} {steps} of {record.dtype}"


def _show(options: argparse.Namespace) -> int:
    from lrcore import tables

    table = tables.open_table(options.path, verify=options.verify)
    record = table.record
    last = record.start + record.length - 1
    print(f"{options.path}: {_described(record)}, {record.start:,} to {last:,}")
    print(f"schedule  {record.schedule}")
    print(f"values    {table(record.start)!r} ... {table(last)!r}")
    print(f"sha256    {record.sha256} ({'verified' if options.verify else 'not verified, see --verify'})")
    print(f"lrcore    {record.version}")
    return 0


def _demo(options: argparse.Namespace) -> int:
    """The demo reads its own arguments."""
    from lrcore import demo

    return demo.main(options.rest)


if __name__ == "__main__":
    sys.exit(main())
