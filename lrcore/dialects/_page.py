"""The page of all dialects, in Markdown: what `lrcore.dialects.table()` gives and `python -m lrcore.dialects` writes.

Nothing on it is written by hand but the questions: formulas and conventions are those that the dialects declare, and
all numbers are taken from their schedules.
"""

from __future__ import annotations

import ast
import doctest
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from lrcore.dialects._dialect import PEERS, Peer
from lrcore.schedule import Schedule

_HEAD = """\
<!-- Written by `python -m lrcore.dialects docs/dialects.md`; changes here are lost. -->

# Dialects

The schedules of other libraries, by their own names, with their own numbers: `lrcore.dialects.torch.StepLR(0.1, 30)`
has the parameters and defaults of torch's, and is an ordinary schedule. t is the update, the first one is 0.

Within its run each has the peer's values, and past its end it holds. What a peer does that its users do not expect is a
quirk, which `strict=True` reproduces and `lrcore.lint` names where a schedule has it. Most are at the ends of the run.
Those within it (`timm.StepLRScheduler` with a decay_t of 2.6 drops an update late at t = 13, 26, 39;
`mmengine.CosineAnnealingLR` with a T_max below its end rises again) are left out without `strict=True`, too, but for
one marked "always".

`lrcore.dialects.parse(config)` and `lrcore convert` read configurations, `lrcore.adopt(scheduler)` live objects.
"""


def table() -> str:
    """All dialects, in Markdown: each schedule's formula, convention, quirks and composition, and where they disagree.

    Example:
        >>> from lrcore.dialects import table
        >>> print(table().splitlines()[2])
        # Dialects
    """
    rooms = frameworks()
    return "\n".join(
        [_HEAD, *_disagreements(rooms), *(line for room in rooms.values() for line in _of_framework(room))]
    )


class Room(NamedTuple):
    """A dialect: its module, and the schedules that it declares, in the order of their definition."""

    module: Any
    peers: tuple[Peer, ...]


def frameworks() -> dict[str, Room]:
    """All dialects by their names."""
    import lrcore.dialects as package

    names = sorted(item.name for item in pkgutil.iter_modules(package.__path__) if not item.name.startswith("_"))
    modules = {name: import_module(f"lrcore.dialects.{name}") for name in names}
    rooms = {
        name: Room(module, tuple(peer for peer in PEERS.values() if peer.framework == name))
        for name, module in modules.items()
    }
    return {name: room for name, room in rooms.items() if room.peers}


# ---- Each schedule ----


def _of_framework(room: Room) -> Iterator[str]:
    name = room.peers[0].framework
    doc = " ".join((room.module.__doc__ or "").strip().split("\n\n")[0].split())
    yield f"\n## {name}\n\n{doc}\n"
    for peer in room.peers:
        yield from _of_peer(peer)


def _of_peer(peer: Peer) -> Iterator[str]:
    yield f"### {peer.key}\n"
    yield f"{(peer.build.__doc__ or '').strip().splitlines()[0]}\n"
    yield f"- formula: {_literal(peer.formula)}"
    yield f"- convention: {_literal(peer.convention)}"
    for quirk in peer.quirks:
        yield f"- quirk `{quirk.name}`{' (always)' if quirk.always else ''}: {_literal(quirk.what)}"
    yield ""
    example = example_of(peer)
    if example is not None:
        yield f"```python\n{peer.framework}.{example[0]}\n# {example[1]!r}\n```\n"


def _literal(text: str) -> str:
    """A text in which Markdown finds nothing of its own: a power is no emphasis."""
    return re.sub(r"([*_<>|])", r"\\\1", text)


def example_of(peer: Peer) -> tuple[str, Schedule] | None:
    """The first call of the schedule in the examples of its docstring, and what it gives."""
    names = dict(vars(import_module(peer.build.__module__)))
    for example in doctest.DocTestParser().get_examples(peer.build.__doc__ or ""):
        for node in ast.walk(ast.parse(example.source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == peer.name:
                call = ast.unparse(node)
                return call, _value(call, names)
        exec(example.source, names)  # what the call needs: an import, a name
    return None


def _value(expression: str, names: dict[str, Any]) -> Schedule:
    """An expression of this file or of a docstring of ours: none that came from elsewhere."""
    made: Schedule = eval(expression, dict(names))
    return made


# ---- Where they disagree ----


class Question(NamedTuple):
    """A question that schedules with nearly one name answer differently, and the calls that show it."""

    asked: str
    steps: range  # whose values are shown; empty: what `answer` says
    calls: tuple[str, ...]
    answer: Callable[[Schedule], str] = lambda schedule: str(schedule.length)
    answers: str = ""


def _peak(schedule: Schedule) -> str:
    run = schedule.table(41)
    return f"peak {run.max():.4g} at t = {int(run.argmax())}, last value {run[-1]:.4g} from t = {_settled(run)} on"


def _settled(run: Any) -> int:
    return int(len(run) - (run[::-1] != run[-1]).argmax()) if (run != run[-1]).any() else 0


def _length(schedule: Schedule) -> str:
    return f"t = {schedule.length}"


def _lowest(schedule: Schedule) -> str:
    return f"{schedule.table(200).min():.4g}"


def _restart(schedule: Schedule) -> str:
    return ", ".join(f"{schedule(step):.4g}" for step in (0, 1, 4, 13, 40, 121))


QUESTIONS = (
    Question(
        "When does a piecewise schedule switch that is told 4?",
        range(2, 7),
        (
            "tf1.piecewise_constant([4], [1.0, 0.5])",
            "keras.PiecewiseConstantDecay([4], [1.0, 0.5])",
            "paddle.PiecewiseDecay([4], [1.0, 0.5])",
            "torch.MultiStepLR(1.0, [4], 0.5)",
            "optax.piecewise_constant_schedule(1.0, {4: 0.5})",
            "composer.MultiStepScheduler(1.0, ['4ba'], 0.5)",
            "mmengine.MultiStepLR(1.0, [4], 0.5)",
            "timm.MultiStepLRScheduler(1.0, [4], 0.5)",
        ),
    ),
    Question(
        "Does the length 8 include a warm-up of 4? When is the end of the decay reached?",
        range(0),
        (
            "keras.CosineDecay(0.0, 8, warmup_target=1.0, warmup_steps=4)",
            "optax.warmup_cosine_decay_schedule(0.0, 1.0, 4, 8)",
            "transformers.get_cosine_schedule_with_warmup(1.0, 4, 8)",
            "deepspeed.WarmupCosineLR(1.0, 8, 0.0, 4, 0.0)",
            "megatron.OptimizerParamScheduler(0.0, 1.0, 0.0, 4, 8, 'cosine')",
            "composer.CosineAnnealingWithWarmupScheduler(1.0, '4ba', '8ba')",
            "olmo.CosWithWarmup(1.0, 8, warmup=4)",
            "fairseq.polynomial_decay(1.0, 4, total_num_update=8)",
            "timm.CosineLRScheduler(1.0, 8, warmup_t=4)",
            "timm.CosineLRScheduler(1.0, 8, warmup_t=4, warmup_prefix=True)",
        ),
        _length,
        "end",
    ),
    Question(
        "What does a warm-up of 4 give the first updates?",
        range(7),
        (
            "transformers.get_linear_schedule_with_warmup(1.0, 4, 12)",
            "deepspeed.WarmupDecayLR(12, 0.0, 1.0, 4, 'linear')",
            "deepspeed.WarmupDecayLR(12, 0.0, 1.0, 4, 'linear', strict=True)",
            "deepspeed.WarmupDecayLR(12, 0.0, 1.0, 4)",
            "megatron.OptimizerParamScheduler(0.0, 1.0, 0.0, 4, 12, 'linear')",
            "torchtitan.linear_warmup_stable_decay(1.0, 12, 4)",
            "fairseq.fixed(1.0, warmup_updates=4)",
            "torch.LinearLR(1.0, 0.1, 1.0, 4)",
            "mmengine.LinearLR(1.0, 0.1, end=4)",
            "paddle.LinearWarmup(1.0, 4, 0.0, 1.0)",
            "thinc.warmup_linear(1.0, 4, 12)",
        ),
    ),
    Question(
        "What does a cosine of 4 do past its end, as the peers have it?",
        range(3, 9),
        (
            "torch.CosineAnnealingLR(1.0, 4, strict=True)",
            "paddle.CosineAnnealingDecay(1.0, 4, strict=True)",
            "transformers.get_cosine_schedule_with_warmup(1.0, 0, 4, strict=True)",
            "keras.CosineDecay(1.0, 4)",
            "optax.cosine_decay_schedule(1.0, 4)",
            "tf1.cosine_decay(1.0, 4)",
            "composer.CosineAnnealingScheduler(1.0, '4ba')",
            "mlx.cosine_decay(1.0, 4)",
            "timm.CosineLRScheduler(1.0, 4)",
            "mmengine.CosineAnnealingLR(1.0, 4, strict=True)",
            "fairseq.cosine(1.0, max_update=4)",
        ),
    ),
    Question(
        "Where are the peak and the end of a one-cycle schedule of 10 updates to 1?",
        range(0),
        (
            "torch.OneCycleLR(1.0, 10)",
            "paddle.OneCycleLR(1.0, 10)",
            "mmengine.OneCycleLR(1.0, 10)",
            "optax.cosine_onecycle_schedule(10, 1.0)",
            "optax.linear_onecycle_schedule(10, 1.0)",
            "fastai.fit_one_cycle(10, 1.0)",
        ),
        _peak,
        "peak and end",
    ),
    Question(
        "And at its end, as the peers have it, with straight lines?",
        range(8, 12),
        (
            "torch.OneCycleLR(1.0, 10, anneal_strategy='linear', strict=True)",
            "paddle.OneCycleLR(1.0, 10, anneal_strategy='linear', strict=True)",
            "optax.linear_onecycle_schedule(10, 1.0)",
        ),
    ),
    Question(
        "Has a restart the new cycle's peak? Cycles of 1, 3, 9, 27, 81 updates, at t = 0, 1, 4, 13, 40, 121",
        range(0),
        (
            "torch.CosineAnnealingWarmRestarts(1.0, 1, 3)",
            "paddle.CosineAnnealingWarmRestarts(1.0, 1, 3)",
            "keras.CosineDecayRestarts(1.0, 1, 3.0)",
            "tf1.cosine_decay_restarts(1.0, 1, 3.0)",
            "composer.CosineAnnealingWarmRestartsScheduler(1.0, '1ba', 3.0)",
            "fairseq.cosine(1.0, t_mult=3, lr_period_updates=1, lr_shrink=1.0)",
        ),
        _restart,
        "values",
    ),
    Question(
        "Where does a polynomial decay of 4 end by default?",
        range(2, 6),
        (
            "torch.PolynomialLR(1.0, 4)",
            "keras.PolynomialDecay(1.0, 4)",
            "tf1.polynomial_decay(1.0, 4)",
            "paddle.PolynomialDecay(1.0, 4)",
            "transformers.get_polynomial_decay_schedule_with_warmup(1.0, 0, 4)",
            "fairseq.polynomial_decay(1.0, total_num_update=4)",
        ),
    ),
    Question(
        "What floor does 0.1 mean, for a peak of 0.5?",
        range(0),
        (
            "torch.CosineAnnealingLR(0.5, 8, 0.1)",
            "timm.CosineLRScheduler(0.5, 8, 0.1)",
            "paddle.CosineAnnealingDecay(0.5, 8, 0.1)",
            "mlx.cosine_decay(0.5, 8, 0.1)",
            "keras.CosineDecay(0.5, 8, 0.1)",
            "tf1.cosine_decay(0.5, 8, 0.1)",
            "optax.cosine_decay_schedule(0.5, 8, 0.1)",
            "composer.CosineAnnealingScheduler(0.5, '8ba', 0.1)",
            "deepspeed.WarmupCosineLR(0.5, 8, 0.1, 2, 0.1, 'linear')",
            "olmo.CosWithWarmup(0.5, 8, warmup=0, alpha_f=0.1)",
        ),
        _lowest,
        "lowest value",
    ),
)


def _disagreements(rooms: dict[str, Room]) -> Iterator[str]:
    names = {name: room.module for name, room in rooms.items()}
    yield "\n## Where they disagree\n\nThe numbers are those of the schedules themselves.\n"
    for question in QUESTIONS:
        yield f"### {question.asked}\n"
        columns = [f"t = {step}" for step in question.steps] or [question.answers]
        yield f"| schedule | {' | '.join(columns)} |"
        yield f"|---|{'---|' * len(columns)}"
        for call in question.calls:
            schedule = _value(call, names)
            cells = [f"{schedule(step):.4g}" for step in question.steps] or [question.answer(schedule)]
            yield f"| `{call}` | {' | '.join(cells)} |"
        yield ""


def main(arguments: list[str]) -> int:
    """Writes the page to a file, or to standard output."""
    if arguments:
        Path(arguments[0]).write_text(f"{table()}\n", encoding="utf-8")
    else:
        sys.stdout.write(f"{table()}\n")
    return 0
