"""fairseq, beside its formulas in plain Python."""

import math

import pytest
from hypothesis import strategies as st
from twins import Twin, held_by, or_0, some

from lrcore import Linear
from lrcore.dialects import fairseq
from lrcore.dialects._dialect import PEERS

rates = st.floats(1e-4, 1.0)
shares = or_0(1.0)
spans = st.integers(1, 30)
from_0 = st.integers(0, 20)


def fs_rise(t, lr, updates, first):
    return first + (lr - first) * t / updates


def fs_cosine(
    t,
    lr,
    warmup_updates=0,
    warmup_init_lr=-1,
    min_lr=0.0,
    t_mult=1,
    lr_period_updates=-1,
    lr_shrink=0.1,
    max_update=None,
):
    if t < warmup_updates:
        return fs_rise(t, lr, warmup_updates, min_lr if warmup_init_lr < 0 else warmup_init_lr)
    length = lr_period_updates if lr_period_updates > 0 else max_update - warmup_updates
    into, cycle = t - warmup_updates, 0
    while into >= length:
        into, length, cycle = into - length, length * t_mult, cycle + 1
    return lr_shrink**cycle * (min_lr + (lr - min_lr) * (1 + math.cos(math.pi * into / length)) / 2)


def fs_cosine_once(t, lr, min_lr=0.0, lr_period_updates=-1, max_update=None, **others):
    """Where the run is the period, its end holds."""
    if lr_period_updates <= 0 and t >= max_update:
        return min_lr
    period = {"lr_period_updates": lr_period_updates, "max_update": max_update}
    return fs_cosine(t, lr, min_lr=min_lr, **period, **others)


def fs_cosine_arguments(draw):
    arguments = {"lr": draw(st.floats(0.2, 1.0)), "warmup_updates": draw(from_0), "min_lr": draw(or_0(0.1))}
    arguments |= {"warmup_init_lr": draw(st.sampled_from([-1.0, 0.05])), "lr_shrink": draw(st.floats(0.1, 1.0))}
    arguments["t_mult"] = draw(st.sampled_from([1, 2, 3, 1.5]))
    length = 2 * draw(st.integers(1, 30))
    if draw(st.booleans()):
        return {**arguments, "max_update": arguments["warmup_updates"] + length}
    return {**arguments, "lr_period_updates": length}


def fs_fixed(t, lr, force_anneal=None, lr_shrink=0.1, warmup_updates=0, steps_per_epoch=1):
    epoch = 1 + t // steps_per_epoch
    rate = lr[min(epoch, len(lr)) - 1]
    if force_anneal is not None and epoch >= force_anneal:
        rate = lr[-1] * lr_shrink ** (epoch + 1 - force_anneal)
    return rate * (t + 1) / warmup_updates if t < warmup_updates else rate


def fs_inverse_sqrt(t, lr, warmup_updates=4000, warmup_init_lr=-1):
    if t < warmup_updates:
        return fs_rise(t, lr, warmup_updates, max(warmup_init_lr, 0.0))
    return lr * math.sqrt(warmup_updates / t)


def fs_polynomial(t, lr, warmup_updates=0, end_learning_rate=0.0, power=1.0, total_num_update=10**6):
    if warmup_updates and t <= warmup_updates:
        return lr * t / warmup_updates
    if t >= total_num_update:
        return end_learning_rate
    left = 1 - (t - warmup_updates) / (total_num_update - warmup_updates)
    return end_learning_rate + (lr - end_learning_rate) * left**power


def fs_step(t, lr, warmup_updates=0, warmup_init_lr=-1, min_lr=0.0, lr_decay_period=25000, lr_decay=0.5):
    if t < warmup_updates:
        return fs_rise(t, lr, warmup_updates, min_lr if warmup_init_lr < 0 else warmup_init_lr)
    return max(min_lr, lr * lr_decay ** ((t - warmup_updates) // lr_decay_period))


def fs_tri_stage(t, lr, warmup_steps, hold_steps, decay_steps, init_lr_scale=0.01, final_lr_scale=0.01):
    if t < warmup_steps:
        return fs_rise(t, lr, warmup_steps, lr * init_lr_scale)
    into = t - warmup_steps - hold_steps
    return lr * math.exp(math.log(final_lr_scale) * min(max(into, 0) / decay_steps, 1.0))


def fs_triangular(t, lr, max_lr, lr_period_updates=5000, lr_shrink=0.1, shrink_min=False):
    half = lr_period_updates // 2
    cycle, into = divmod(t, 2 * half)
    high, low = max_lr * lr_shrink**cycle, lr * lr_shrink**cycle if shrink_min else lr
    return low + (high - low) * (1 - abs(into / half - 1))


def fs_annealed(t, lr, force_anneal=None, steps_per_epoch=1, **arguments):
    """fairseq's own loop: from epoch force_anneal on, the learning rate is what the optimizer has at its begin."""
    for epoch in range(1, t // steps_per_epoch + 2):
        if force_anneal is not None and epoch >= force_anneal:
            lr = fs_polynomial((epoch - 1) * steps_per_epoch, lr, **arguments)
    return fs_polynomial(t, lr, **arguments)


def fs_manual(t, lr, epoch2lr=(), update2lr=(), steps_per_epoch=1):
    """The optimizer's learning rate, set at the begin of each epoch and then for each update, as its trainer does."""
    for update in range(t + 1):
        if update % steps_per_epoch == 0:
            epoch = 1 + update // steps_per_epoch
            lr = next((epoch2lr[str(key)] for key in range(epoch, -1, -1) if str(key) in epoch2lr), lr)
        lr = next((update2lr[str(key)] for key in range(update, -1, -1) if str(key) in update2lr), lr)
    return lr


numbered = st.dictionaries(st.integers(0, 30).map(str), rates, max_size=4)
TWINS = [
    Twin(
        "fairseq.cosine",
        st.composite(fs_cosine_arguments)(),
        fs_cosine_once,
        fs_cosine,
        corners=({"lr": 1.0, "max_update": 4}, {"lr": 1.0, "warmup_updates": 4, "max_update": 20}),
    ),
    Twin(
        "fairseq.fixed",
        some(
            lr=st.lists(rates, min_size=1, max_size=4),
            force_anneal=st.one_of(st.none(), st.integers(0, 6)),
            lr_shrink=st.floats(0.5, 1.0),
            warmup_updates=from_0,
            steps_per_epoch=st.integers(1, 9),
        ),
        fs_fixed,
    ),
    Twin(
        "fairseq.inverse_sqrt",
        some(lr=rates, warmup_updates=spans, warmup_init_lr=st.sampled_from([-1.0, 0.0, 0.05])),
        fs_inverse_sqrt,
        corners=({"lr": 1.0},),
    ),
    Twin(
        "fairseq.polynomial_decay",
        some(
            lr=rates,
            warmup_updates=from_0,
            end_learning_rate=rates,
            power=st.floats(0.5, 3.0),
            total_num_update=st.integers(1, 60),
            force_anneal=st.one_of(st.none(), st.integers(0, 6)),
            steps_per_epoch=st.integers(1, 20),
        ),
        fs_annealed,
        corners=({"lr": 1.0}, {"lr": 1.0, "warmup_updates": 4, "total_num_update": 4}),
    ),
    Twin(
        "fairseq.step",
        some(
            lr=st.floats(0.2, 1.0),
            warmup_updates=from_0,
            warmup_init_lr=st.sampled_from([-1.0, 0.05]),
            min_lr=or_0(0.1),
            lr_decay_period=spans,
            lr_decay=st.floats(0.3, 1.0),
        ),
        fs_step,
        corners=({"lr": 1.0},),
    ),
    Twin(
        "fairseq.tri_stage",
        some(
            lr=rates,
            warmup_steps=from_0,
            hold_steps=from_0,
            decay_steps=spans,
            init_lr_scale=shares,
            final_lr_scale=st.floats(0.01, 1.0),
        ),
        fs_tri_stage,
    ),
    Twin(
        "fairseq.triangular",
        some(
            lr=or_0(0.1),
            max_lr=st.floats(0.2, 1.0),
            lr_period_updates=st.integers(2, 40),
            lr_shrink=st.floats(0.3, 1.0),
            shrink_min=st.booleans(),
        ),
        fs_triangular,
    ),
    Twin(
        "fairseq.manual",
        some(
            lr=rates, epoch2lr=numbered, update2lr=st.one_of(st.just({}), numbered), steps_per_epoch=st.integers(1, 9)
        ),
        fs_manual,
    ),
]


test_twin, test_corner = held_by(TWINS)


def test_every_schedule_has_a_twin():
    assert {key for key in PEERS if key.startswith("fairseq.")} == {twin.key for twin in TWINS} | {
        "fairseq.pass_through"
    }


def test_pass_through_is_what_it_is_given():
    assert fairseq.pass_through(Linear(1.0, 0.0, 5)) == Linear(1.0, 0.0, 5)


def test_keys_of_manual():
    """A list, a span, an entry that replaces a part of a span; and the text of a dict, as on the command line."""
    said = {"1,3": 0.5, "5-9": 0.25, "7": 1.0}
    expected = [0.1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 1.0, 0.25, 0.25, 0.25]
    assert fairseq.manual(0.1, update2lr=said).table(11).tolist() == expected
    assert fairseq.manual(0.1, update2lr=str(said)) == fairseq.manual(0.1, update2lr=said)
    assert fairseq.manual(0.1).table(3).tolist() == [0.1] * 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fairseq.manual(0.1, "[1]"), r"manual.epoch2lr: expected a dict such as .* got '\[1\]'"),
        (lambda: fairseq.manual(0.1, "{"), r"manual.epoch2lr: expected a dict such as"),
        (lambda: fairseq.manual(0.1, {"1-": 0.1}), r"manual.epoch2lr: expected a dict .* got the key '1-'"),
        (lambda: fairseq.manual(0.1, {"-1": 0.1}), r"manual.epoch2lr: expected a dict .* got the key '-1'"),
        (lambda: fairseq.manual(0.1, {"1": "a"}), r"manual.epoch2lr\['1'\]: expected a"),
        (lambda: fairseq.manual(0.1, {"1-99999": 0.1}), r"manual.epoch2lr: expected spans of at most 10000"),
        (lambda: fairseq.tri_stage(0.1), r"tri_stage.decay_steps: expected"),
        (lambda: fairseq.polynomial_decay(0.1, force_anneal=1), r"at most 10000 epochs from force_anneal on"),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
