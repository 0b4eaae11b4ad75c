"""The rules of `lint`: each is one function of what is known of a run that gives findings.

Its name stands at `rule`, its docstring says what it looks for; their findings come in the order of this file. A rule
says nothing where a person could have meant what is there: an ordinary schedule with the right n has no findings.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np

from lrcore import _anatomy
from lrcore._facts import Facts, placed, rule
from lrcore._findings import Finding
from lrcore._pieces import CONSTANT, SMOOTH
from lrcore._survey import Jump, Survey
from lrcore.compose import Sequence, Staircase
from lrcore.curves import Piecewise
from lrcore.cycles import Cycle
from lrcore.schedule import LAST_STEP

HIGHEST = 10.0  # a learning rate above it is suspicious
TINY = 1e-9  # an update of this size does not change a float32 weight of 0.02, whose neighbours are 1.9e-9 apart
SMALLEST_FLOAT32 = 2.0**-126
BFLOAT16_STEP = 2.0**-8  # between neighbours, as a share of the larger one, where it is least
EPOCHS = 500  # durations up to it may have been meant in epochs
FEW = 4  # updates that fall one after the other before a curve counts as a decay
MOST_TOLD = 5  # of findings of one kind
MOST_KINDS = 32  # of jumps up where corners are dense


# ---- The values themselves ----


@rule("always-zero")
def always_zero(facts: Facts) -> Iterator[Finding]:
    """No update of the run has a learning rate other than 0."""
    if facts.peak == facts.lowest == 0.0:
        reason = f"all {facts.n:,} updates have a learning rate of 0"
        yield Finding("always-zero", 0, reason, "look for a factor or a value of 0, or a warm-up longer than the run")


@rule("zero-first-update")
def _zero_first_update(facts: Facts) -> Iterator[Finding]:
    """The first update, or more of them, has a learning rate of 0, and is spent for nothing."""
    if facts.first == 0.0 and facts.peak > 0.0:
        held = facts.survey.pieces[0]
        count = held.end if held.form == CONSTANT else 1
        count += facts.schedule(min(count, facts.n - 1)) == 0.0  # a rise from 0 after a wait at 0
        what = "the first update has" if count == 1 else f"the first {count:,} updates have"
        cure = "give the warm-up an init_value above 0, or begin one update into it: .shift(1)"
        yield Finding("zero-first-update", 0, f"{what} a learning rate of 0: no weight moves", cure)


@rule("negative-value")
def _negative_value(facts: Facts) -> Iterator[Finding]:
    """A learning rate below 0 climbs the loss."""
    if facts.lowest < 0.0:
        reason = f"the learning rate goes down to {facts.lowest:.6g}"
        yield Finding("negative-value", facts.survey.lowest.step, reason, "bound it: .clip(min=0.0)")


@rule("high-peak")
def _high_peak(facts: Facts) -> Iterator[Finding]:
    """A learning rate above 10 is rarely meant."""
    if facts.peak > HIGHEST:
        reason = f"the learning rate goes up to {facts.peak:.6g}"
        yield Finding(
            "high-peak", facts.survey.highest.step, reason, "is it a multiplier? Then scale it: 0.1 * schedule"
        )


@rule("zero-tail")
def _zero_tail(facts: Facts) -> Iterator[Finding]:
    """The last updates have a learning rate of 0, and are spent for nothing."""
    if facts.last != 0.0 or facts.first == facts.peak == 0.0:
        return
    last = facts.survey.pieces[-1]
    begin = facts.survey.tail
    if begin == facts.n and last.direction == -1:  # a decay that goes on until float64 holds no smaller number
        begin = last.begin + bisect_left(
            range(last.begin, last.end), True, key=lambda step: facts.schedule(step) == 0.0
        )
    if begin < facts.n:
        count = facts.n - begin
        what = "the last update has" if count == 1 else f"the last {count:,} updates have"
        reason = f"{what} a learning rate of 0: no weight moves"
        cure = f"let the decay end with the run, at step {facts.n:,}, or at a value above 0"
        yield Finding("zero-tail", begin, reason, cure)


@rule("zero-in-between")
def _zero_in_between(facts: Facts) -> Iterator[Finding]:
    """The learning rate is 0 for a while, neither at the begin nor at the end of the run."""
    zeros = [
        piece
        for piece in facts.survey.pieces
        if piece.form == CONSTANT and 0 < piece.begin and piece.end <= facts.survey.tail
    ]
    if zeros:
        values = facts.schedule(np.array([[piece.begin - 1, piece.begin, piece.end] for piece in zeros]))
        for piece, (before, at, after) in list(zip(zeros, values, strict=True)):
            if at == 0.0 and before != 0.0 and after != 0.0 and piece.end - piece.begin > 1:
                reason = f"{piece.end - piece.begin:,} updates in the middle of the run have a learning rate of 0"
                yield Finding("zero-in-between", piece.begin, reason, "leave the phase out, or give it a value above 0")
                return


@rule("too-small")
def _too_small(facts: Facts) -> Iterator[Finding]:
    """The last tenth of the run, or more, has learning rates above 0 that are too small to change a weight."""
    begin = facts.n - 1 - facts.n // 10
    late = facts.schedule(np.linspace(begin, facts.n - 1, 33).astype(np.int64))
    if facts.n >= 10 and (late > 0.0).all() and (late <= TINY).all():
        steps = range(facts.survey.highest.step, begin)
        at = facts.survey.highest.step + bisect_left(steps, True, key=lambda step: facts.schedule(step) <= TINY)
        what = (
            "is below what float32 can hold" if facts.last < SMALLEST_FLOAT32 else "no longer changes a float32 weight"
        )
        reason = f"from here on the learning rate is at most {TINY:g} and ends at {facts.last:.3g}: it {what}"
        yield Finding(
            "too-small", at, reason, "decay slower, or hold a floor: .clip(min=...); bfloat16 needs a higher one"
        )


@rule("frozen-in-float32")
def _frozen_in_float32(facts: Facts) -> Iterator[Finding]:
    """A curve of a tenth of the run or more moves by less than float32 can tell apart."""
    for piece in facts.survey.pieces:
        if piece.form == SMOOTH and piece.end - piece.begin > max(1, facts.n // 10):
            values = facts.schedule(np.array([piece.begin, (piece.begin + piece.end) // 2, piece.end - 1]))
            if (
                values[0] != values[-1]
                and np.ptp(values.clip(-1e38, 1e38).astype(np.float32)) == 0.0 < facts.peak < 1e38
            ):
                reason = f"steps {piece.begin:,} to {piece.end - 1:,} are one number in float32: {values[0]:.8g}"
                yield Finding("frozen-in-float32", piece.begin, reason, "give the curve ends that differ by more")


@rule("flat-in-bfloat16")
def _flat_in_bfloat16(facts: Facts) -> Iterator[Finding]:
    """The whole run moves by less than one step of bfloat16, which keeps 8 binary digits."""
    high, low = facts.peak, facts.lowest
    is_whole = facts.length is None or facts.length <= facts.n
    if 0.0 < low < high and high - low < BFLOAT16_STEP * high and is_whole:
        share = f"{(high - low) / high:.2g}"
        reason = f"the whole run moves between {high:.8g} and {low:.8g}, a share of {share}: one number in bfloat16"
        cure = "give the curve ends that differ by more, or write what it is: a Constant"
        yield Finding("flat-in-bfloat16", 0, reason, cure)


# ---- Neighbours ----


@rule("jump")
def _jump(facts: Facts) -> Iterator[Finding]:
    """Neighbouring updates whose learning rates differ by more than a factor; not a restart that goes up."""
    labels = {piece.begin: piece.label for piece in facts.survey.pieces}
    kinds: set[tuple[bool, str, str]] = set()
    found: list[Jump] = []
    for jump in facts.survey.jumps:
        label = labels.get(jump.step)
        is_dense = label is None and jump.at > jump.before  # where corners are, one restart of a kind is looked at
        if (is_dense and len(kinds) >= MOST_KINDS) or (label == "restart" and jump.at > jump.before):
            continue
        if jump.step == 1 and jump.before == 0.0:
            continue
        if len(found) >= MOST_TOLD:
            break
        kind = (label is None, f"{jump.before:.9g}", f"{jump.at:.9g}")
        if kind not in kinds:
            kinds.add(kind)
            if not (is_dense and _anatomy.is_restart(facts.schedule, jump.step)):
                found.append(jump)
    for jump in found:
        yield Finding("jump", jump.step, _apart(jump), "let the phases meet at one value, or put a Linear between them")


def _apart(jump: Jump) -> str:
    way = f"the learning rate goes from {jump.before:.6g} to {jump.at:.6g} in one update"
    if jump.before * jump.at <= 0.0:
        return way
    return f"{way}, a factor of {max(jump.before / jump.at, jump.at / jump.before):.3g}"


@rule("spike")
def _spike(facts: Facts) -> Iterator[Finding]:
    """A single update whose learning rate is half or twice that of both neighbours, or further off."""
    jumps = {jump.step for jump in facts.survey.jumps}
    single = {piece.begin for piece in facts.survey.pieces if piece.end == piece.begin + 1}
    steps = sorted(step for step in single | {step for step in jumps if step + 1 in jumps} if 0 < step < facts.n - 1)
    if not steps:
        return
    around = np.array(steps)[:, None] + np.array([-1, 0, 1])
    before, at, after = np.abs(facts.schedule(around)).T
    low, high = np.minimum(before, after), np.maximum(before, after)
    is_out = (at >= 2.0 * high) | (2.0 * at <= low)
    is_spike = is_out & (high <= 1.25 * low) & (np.abs(at - before) >= 0.01 * facts.survey.scale)
    found = np.flatnonzero(is_spike)
    if found.size <= MOST_TOLD:  # more of them are a pattern, and meant
        for place in found.tolist():
            reason = f"one update has a learning rate of {at[place]:.6g}, the ones around it {before[place]:.6g}"
            yield Finding("spike", steps[place], reason, "look for two phases that meet an update apart")


@rule("uneven-join")
def _uneven_join(facts: Facts) -> Iterator[Finding]:
    """A warm-up that does not rise to where the next phase begins."""
    for rise, after in zip(facts.survey.pieces, facts.survey.pieces[1:], strict=False):
        if rise.begin or rise.direction != 1 or rise.form != SMOOTH or after.begin < 3 or after.label != "boundary":
            return
        first, second, at = facts.schedule(np.array([-2, -1, 0]) + after.begin).tolist()
        gap = at - (second + (second - first))
        if abs(gap) > max(0.05 * facts.survey.scale, 2.0 * (second - first)) and gap:
            reason = f"the warm-up comes to {second:.6g}, and the next phase begins at {at:.6g}"
            cure = f"warm up to {at:.6g}, or begin the next phase from {second:.6g}"
            yield Finding("uneven-join", after.begin, reason, cure)
        return


# ---- The horizon ----


def _is_cut_rise(facts: Facts) -> bool:
    rest = facts.rest
    return rest.direction == 1 and rest.end > facts.n and facts.schedule(rest.end - 1) > 1.001 * facts.peak


@rule("peak-not-reached")
def _peak_not_reached(facts: Facts) -> Iterator[Finding]:
    """The run ends in the middle of a rise: the schedule's peak lies beyond it."""
    bounded = facts.length is not None or facts.rest.end < min(2 * facts.n + 1, LAST_STEP)
    if bounded and _is_cut_rise(facts):
        end = facts.rest.end if facts.length is None else min(facts.length, LAST_STEP)
        higher = Survey(facts.schedule, max(end, facts.n) + 1).highest
        if higher.step > facts.n:
            reason = (
                f"the run of {facts.n:,} updates ends at {facts.peak:.6g}, before the peak of {higher.value:.6g} at "
                f"step {higher.step:,}"
            )
            cure = 'shorten the warm-up: some percent of the run, such as "5%" with bind(total_steps=...)'
            yield Finding("peak-not-reached", higher.step, reason, cure)


@rule("long-warmup")
def _long_warmup(facts: Facts) -> Iterator[Finding]:
    """The warm-up takes more than half of the run, or all of it; a range test, of one factor an update, is none."""
    steps = facts.survey.warmup_steps
    if steps and facts.n // 2 < steps and facts.first < 0.5 * facts.peak:
        if steps == facts.n - 1 and (_is_cut_rise(facts) or _is_geometric(facts)):
            return
        reason = f"{steps:,} of {facts.n:,} updates go by before the peak"
        yield Finding("long-warmup", steps, reason, "a warm-up is mostly 1% to 10% of the run")


def _is_geometric(facts: Facts) -> bool:
    """Whether the values grow by one factor all the way."""
    middle = (facts.n - 1) // 2
    half, whole = facts.schedule(middle), facts.schedule(2 * middle)
    return facts.first > 0.0 and abs(half / facts.first - whole / half) < 1e-6 * half / facts.first


@rule("end-not-reached")
def _end_not_reached(facts: Facts) -> Iterator[Finding]:
    """The schedule ends after the run does, which therefore misses its end value."""
    if facts.length is None or facts.length <= facts.n or _is_cut_rise(facts):
        return
    end_value = facts.schedule(min(facts.length, LAST_STEP))
    if abs(facts.past_end - end_value) > 1e-3 * facts.survey.scale:
        reason = (
            f"the schedule ends at step {facts.length:,}, but the run has {facts.n:,} updates: it stops at "
            f"{facts.of_peak(facts.past_end)}"
        )
        cure = f'give the decay the updates of the run, or bind "100%" with total_steps={facts.n}'
        yield Finding("end-not-reached", facts.n, reason, cure)


@rule("held-constant")
def _held_constant(facts: Facts) -> Iterator[Finding]:
    """After a decay the value holds for more than half of the run."""
    tail = facts.survey.tail
    if 0 < tail < facts.n // 2 and 0.0 < facts.last and (facts.is_decayed or _is_cut_decay(facts, tail)):
        reason = f"{(facts.n - tail) / facts.n:.0%} of the run hold {facts.last:.6g}, {facts.of_peak(facts.last)}"
        cure = f"let the decay end with the run, at step {facts.n:,}"
        if any(piece.begin == tail and piece.label == "clip" for piece in facts.survey.pieces):
            cure += ", or lower the bound that holds it"
        yield Finding("held-constant", tail, reason, cure)


def _is_cut_decay(facts: Facts, tail: int) -> bool:
    """Whether a curve, and no single drop, comes down to what the run then holds."""
    return facts.last < (1.0 - BFLOAT16_STEP) * facts.peak and _is_falling(facts, tail)


def _is_falling(facts: Facts, end: int) -> bool:
    """Whether the updates before a step fall one after the other, and by much the same: a curve, no drop or spike."""
    if end < FEW:
        return False
    changes = np.diff(facts.schedule(np.arange(end - FEW, end)))
    last = facts.schedule(end) - facts.schedule(end - 1)
    return bool((changes < 0.0).all() and -last < 4.0 * -changes[-1])


def _ends_at(facts: Facts) -> int | None:
    """Where a curve comes down to its end and holds, within the run or after it; not where a value drops."""
    end = facts.survey.tail if facts.length is None else min(facts.length, LAST_STEP)
    if not 1 < end < LAST_STEP or (facts.length is None and facts.schedule(LAST_STEP) != facts.last):
        return None
    is_low = facts.schedule(end) < 0.5 * max(facts.peak, facts.first)
    return end if is_low and _is_falling(facts, end) else None


@rule("horizon-mismatch")
def _horizon_mismatch(facts: Facts) -> Iterator[Finding]:
    """The schedule is a whole number of times as long as the run, or as short: steps of another unit."""
    end = _ends_at(facts)
    if not end:
        return
    ratio = max(end / facts.n, facts.n / end)
    times = round(ratio)
    if times < 2 or times > 4096 or abs(ratio - times) > 0.005 * times or (times > 64 and times & (times - 1)):
        return
    if end > facts.n:
        reason = f"the schedule is {times} times as long as the run"
        cure = (
            f"are its steps micro-batches, or those of {times} workers? bind(micro_batches_per_update=...) or "
            "bind(world_size=...) turns epochs and samples into updates"
        )
    else:
        reason = f"the run is {times} times as long as the schedule"
        cure = (
            f"was it made for {times} times as many workers, or is it stepped {times} times an update? Count "
            "optimizer updates: bind(world_size=..., micro_batches_per_update=...)"
        )
    yield Finding("horizon-mismatch", None, reason, cure)


@rule("uneven-horizon")
def _uneven_horizon(facts: Facts) -> Iterator[Finding]:
    """The schedule ends a few updates before or after the run: a share was rounded, or a phase left out."""
    end = _ends_at(facts)
    if end and 2 <= abs(end - facts.n) <= max(2, facts.n // 50):
        reason = f"the phases add up to {end:,} updates, and the run has {facts.n:,}"
        yield Finding("uneven-horizon", end, reason, 'let the last phase take the "rest" of the run, or name its steps')


@rule("epoch-numbers")
def _epoch_numbers(facts: Facts) -> Iterator[Finding]:
    """Durations that are small beside the run, as if they were meant in epochs."""
    durations = [number for number in facts.durations if number > 0]
    if not durations or durations[-1] > EPOCHS or facts.n < 20 * durations[-1]:
        return
    longest = durations[-1]
    epochs = facts.steps_per_epoch and facts.n / facts.steps_per_epoch
    if epochs and not (facts.steps_per_epoch or 0) >= 10:
        return
    fits = bool(epochs) and 0.1 * (epochs or 0) <= longest <= 1.2 * (epochs or 0)
    if fits or (not epochs and _is_over_early(facts, longest)):
        shown = ", ".join(f"{number:,}" for number in dict.fromkeys(durations[-MOST_TOLD:]))
        reason = f"the durations {shown} are updates, and the run has {facts.n:,}"
        cure = f'if they are epochs, say so: "{longest}ep", bound with bind(steps_per_epoch=...)'
        yield Finding("epoch-numbers", None, reason, cure)


def _is_over_early(facts: Facts, longest: int) -> bool:
    """The run has nearly all of its updates after a decay, or in cycles that no one counts."""
    is_cyclic = any(isinstance(node, Cycle) and node.period_mult == 1 and not node.count for node in facts.nodes)
    is_stepped = any(isinstance(node, Staircase) for node in facts.nodes)
    return (
        (facts.survey.tail < facts.n // 20 and facts.is_decayed)
        or (is_cyclic and facts.n >= 100 * longest)
        or (is_stepped and abs(facts.last) < 1e-6 * facts.peak)
    )


@rule("growth")
def _growth(facts: Facts) -> Iterator[Finding]:
    """Past the end of the run the value keeps growing, without a bound."""
    far = facts.schedule(LAST_STEP)
    if far > 1e3 * max(facts.peak, 0.0) and facts.peak > 0.0 and facts.length is None:
        reason = f"the schedule grows on after the run, from {facts.past_end:.3g} to {far:.3g}"
        yield Finding("growth", facts.n, reason, f"bound it: .clip(max={facts.peak:.3g})")


# ---- Cycles ----


@rule("restart-at-end")
def _restart_at_end(facts: Facts) -> Iterator[Finding]:
    """The last restart comes within the last updates: the run ends at a peak."""
    for begin, end in facts.last_cycle:
        count = facts.n - begin
        is_up = facts.last > 0.5 * facts.peak and facts.schedule(begin) > facts.schedule(begin - 1)
        if facts.n < end and count <= max(1, (end - begin) // 20) and is_up:
            updates = "the last update" if count == 1 else f"only {count:,} updates before the end"
            reason = f"a cycle begins with {updates}: the run ends at {facts.of_peak(facts.last)}"
            yield Finding("restart-at-end", begin, reason, f"end the run at step {begin:,}, or the cycle with it")


@rule("last-cycle-cut")
def _last_cycle_cut(facts: Facts) -> Iterator[Finding]:
    """The run ends in the middle of a cycle, higher than where the cycle would have ended."""
    for begin, end in facts.last_cycle:
        if facts.n < end and facts.n - begin > max(1, (end - begin) // 20):
            end_value = facts.schedule(end - 1)
            if facts.last > end_value + 0.1 * facts.peak:
                share = (facts.n - begin) / (end - begin)
                reason = (
                    f"the run ends {share:.0%} into a cycle of {end - begin:,} updates, at {facts.of_peak(facts.last)}"
                )
                cure = f"end the run at step {begin:,} or {end:,}, or let cycles of another period fill it"
                yield Finding("last-cycle-cut", begin, reason, cure)


# ---- The tree ----


@rule("unreachable-phase")
def _unreachable_phase(facts: Facts) -> Iterator[Finding]:
    """A phase, or a value of a Piecewise, that begins when the run is over; a phase of 0 steps.

    The last one may begin right at the end, where that is the schedule's own: it says what stands past it.
    """
    for offset, node in placed(facts.schedule):
        if isinstance(node, Sequence) and offset < facts.n:  # else it is itself in a part that is told
            yield from _unreachable_parts(node, offset, facts)
        if isinstance(node, Piecewise):
            late = [offset + mark for mark in node._marks() if offset + mark >= facts.n]
            if late and offset < facts.n and not (late == [facts.n] and facts.ends_by_plan):
                reason = f"the value from step {late[0]:,} on is never used: the run has {facts.n:,} updates"
                yield Finding("unreachable-phase", late[0], reason, "move the boundary into the run, or leave it out")


def _unreachable_parts(node: Sequence, offset: int, facts: Facts) -> Iterator[Finding]:
    begin, n = offset, facts.n
    for at, part in enumerate(node.parts):
        steps = part[1] if at + 1 < len(node.parts) else None
        is_past_end = begin == n and steps is None and facts.ends_by_plan
        if begin >= n and not is_past_end:
            reason = f"part {at} of the sequence begins at step {begin:,}, and the run has {n:,} updates"
            yield Finding("unreachable-phase", begin, reason, "shorten the parts before it, or leave it out")
            return
        if steps == 0:
            reason = f"part {at} of the sequence has 0 steps"
            yield Finding("unreachable-phase", begin, reason, "give it steps, or leave it out")
        begin += steps or 0


@rule("cut-phase")
def _cut_phase(facts: Facts) -> Iterator[Finding]:
    """A curve that has fewer steps than it is long, in a sequence or a cycle, and stops short of its end."""
    for node in facts.nodes:
        parts: list[tuple[Any, int]] = []
        if isinstance(node, Sequence):
            parts = list(node.parts[:-1])
        if isinstance(node, Cycle):
            parts = [(node.schedule, node.period)]
        for schedule, steps in parts:
            length = schedule.length
            if steps and length is not None and steps < length <= LAST_STEP:
                end_value, stops_at = schedule(length), schedule(steps)
                if abs(stops_at - end_value) > 0.01 * max(abs(schedule(0)), abs(end_value)):
                    what = type(schedule).__name__
                    reason = (
                        f"a {what} of {length:,} steps has {steps:,}: it stops at {stops_at:.6g}, not {end_value:.6g}"
                    )
                    cure = f"make it {steps:,} steps long" if what != "Sequence" else "let a cycle take it whole"
                    yield Finding("cut-phase", None, reason, cure)


@rule("late-boundary")
def _late_boundary(facts: Facts) -> Iterator[Finding]:
    """A Piecewise with side "left" and round boundaries: each value begins one update after a round number."""
    for node in facts.nodes:
        if isinstance(node, Piecewise) and node.side == "left":
            round_to = facts.steps_per_epoch or 10
            if round_to > 1 and all(boundary and boundary % round_to == 0 for boundary in node.boundaries):
                first = int(node.boundaries[0])
                what = "epoch" if facts.steps_per_epoch else "round number"
                reason = f'side "left" begins a new value one update after the {what}: at step {first + 1:,}'
                cure = f'side="right" begins it at step {first:,}, as torch and optax do'
                yield Finding("late-boundary", first + 1, reason, cure)


@rule("quirk")
def _quirk(facts: Facts) -> Iterator[Finding]:
    """A schedule of another library that was converted with what its users there do not expect."""
    for origin in facts.origins:
        for quirk in origin.quirks:
            cure = "without strict=True it is left out" if not quirk.always else "lrcore's own schedules do not have it"
            yield Finding("quirk", None, f"{origin.peer}, {quirk.name}: {quirk.what}", cure)


@rule("unknown-origin")
def _unknown_origin(facts: Facts) -> Iterator[Finding]:
    """A schedule of a spec that says it was converted, from what no dialect here has: its quirks cannot be named."""
    for origin in facts.origins:
        if not origin.is_known:
            reason = f"{origin.peer} is no schedule that a dialect here has: what is odd about it is not said"
            yield Finding("unknown-origin", None, reason, "update lrcore, or correct the origin in the spec")
