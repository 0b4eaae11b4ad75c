"""Paddle, beside its formulas in plain Python."""

import math
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from twins import FAR, Twin, held, held_by, or_0, some

from lrcore import ExponentialDecay, Linear
from lrcore.dialects import paddle
from lrcore.dialects._dialect import PEERS

rates = st.floats(1e-4, 1.0)
shares = or_0(1.0)
spans = st.integers(1, 30)
gammas = st.floats(0.1, 1.0)
milestones = st.lists(st.integers(1, 60), max_size=4, unique=True).map(sorted)


def half_wave(share):
    return (1 + math.cos(math.pi * share)) / 2


def pd_noam(t, d_model, warmup_steps, learning_rate=1.0):
    return learning_rate * d_model**-0.5 * min(t**-0.5, t * warmup_steps**-1.5) if t else 0.0


def pd_polynomial(t, learning_rate, decay_steps, end_lr=1e-4, power=1.0, cycle=False):
    steps = decay_steps * max(1, math.ceil(t / decay_steps)) if cycle else decay_steps
    return (learning_rate - end_lr) * ((steps - min(t, steps)) / steps) ** power + end_lr


def pd_steps(t, learning_rate, milestones, gamma=0.1):
    return learning_rate * gamma ** sum(milestone <= t for milestone in milestones)


def pd_warmup(t, learning_rate, warmup_steps, start_lr, end_lr):
    return start_lr + (end_lr - start_lr) * t / warmup_steps if t < warmup_steps else learning_rate


def pd_one_cycle(
    t,
    max_learning_rate,
    total_steps,
    divide_factor=25.0,
    end_learning_rate=1e-4,
    phase_pct=0.3,
    anneal_strategy="cos",
    three_phase=False,
):
    first = max_learning_rate / divide_factor
    points = [(0.0, first), (phase_pct * total_steps - 1, max_learning_rate)]
    points += [(2 * phase_pct * total_steps - 2, first)] * three_phase + [(total_steps - 1.0, end_learning_rate)]
    for (begin, start), (end, stop) in pairwise(points):
        if t <= end or end == total_steps - 1:
            share = (t - begin) / (end - begin)
            done = share if anneal_strategy == "linear" else 1 - half_wave(share)
            return start + (stop - start) * done
    raise AssertionError


def pd_cyclic(
    t,
    base_learning_rate,
    max_learning_rate,
    step_size_up,
    step_size_down=None,
    mode="triangular",
    exp_gamma=1.0,
):
    down = step_size_down or step_size_up
    cycle, into = divmod(t, step_size_up + down)
    height = into / step_size_up if into <= step_size_up else (step_size_up + down - into) / down
    scale = {"triangular": 1.0, "triangular2": 0.5**cycle, "exp_range": exp_gamma**t}[mode]
    return base_learning_rate + (max_learning_rate - base_learning_rate) * height * scale


def pd_restarts(t, learning_rate, T_0, T_mult=1, eta_min=0.0):  # noqa: N803 (Paddle's)
    length = T_0
    while t >= length:
        t, length = t - length, length * T_mult
    return eta_min + (learning_rate - eta_min) * half_wave(t / length)


def pd_cosine(t, learning_rate, T_max, eta_min=0.0):  # noqa: N803 (Paddle's)
    return eta_min + (learning_rate - eta_min) * half_wave(t / T_max)


def pd_half_period(**arguments):
    return arguments["T_max"]


def pd_last(total_steps, **_):
    return total_steps - 1


def pd_product(t, learning_rate, lr_lambda):
    """Over a list: from its end on the rate holds."""
    return learning_rate * math.prod(lr_lambda[1 : t + 1])


TWINS = [
    Twin("paddle.NoamDecay", some(d_model=spans, warmup_steps=spans, learning_rate=rates), pd_noam),
    Twin(
        "paddle.PiecewiseDecay",
        st.builds(
            lambda boundaries, values: {"boundaries": boundaries, "values": values[: len(boundaries) + 1]},
            milestones,
            st.lists(rates, min_size=5, max_size=5),
        ),
        lambda t, boundaries, values: values[sum(boundary <= t for boundary in boundaries)],
    ),
    Twin(
        "paddle.NaturalExpDecay",
        some(learning_rate=rates, gamma=shares),
        lambda t, learning_rate, gamma: learning_rate * math.exp(-gamma * t),
    ),
    Twin(
        "paddle.InverseTimeDecay",
        some(learning_rate=rates, gamma=shares),
        lambda t, learning_rate, gamma: learning_rate / (1 + gamma * t),
    ),
    Twin(
        "paddle.PolynomialDecay",
        some(learning_rate=rates, decay_steps=spans, end_lr=shares, power=st.floats(0.5, 3.0), cycle=st.booleans()),
        pd_polynomial,
        corners=({"learning_rate": 1.0, "decay_steps": 1, "cycle": True},),
    ),
    Twin("paddle.LinearWarmup", some(learning_rate=rates, warmup_steps=spans, start_lr=rates, end_lr=rates), pd_warmup),
    Twin(
        "paddle.ExponentialDecay",
        some(learning_rate=rates, gamma=gammas),
        lambda t, learning_rate, gamma: learning_rate * gamma**t,
    ),
    Twin(
        "paddle.MultiStepDecay",
        some(learning_rate=rates, milestones=milestones, gamma=gammas),
        pd_steps,
    ),
    Twin(
        "paddle.StepDecay",
        some(learning_rate=rates, step_size=spans, gamma=gammas),
        lambda t, learning_rate, step_size, gamma: learning_rate * gamma ** (t // step_size),
    ),
    Twin(
        "paddle.CosineAnnealingDecay",
        some(learning_rate=rates, T_max=spans, eta_min=shares),
        held(pd_cosine, pd_half_period),
        pd_cosine,
    ),
    Twin(
        "paddle.OneCycleLR",
        some(
            max_learning_rate=rates,
            total_steps=st.integers(11, 40),
            end_learning_rate=or_0(0.1),
            phase_pct=st.sampled_from([0.1, 0.25, 0.3, 0.4]),
            anneal_strategy=st.sampled_from(["cos", "linear"]),
            three_phase=st.booleans(),
        ),
        held(pd_one_cycle, pd_last),
        pd_one_cycle,
    ),
    Twin(
        "paddle.CyclicLR",
        some(
            base_learning_rate=rates,
            max_learning_rate=rates,
            step_size_up=spans,
            step_size_down=st.one_of(st.none(), spans),
            mode=st.sampled_from(["triangular", "triangular2", "exp_range"]),
            exp_gamma=st.floats(0.5, 1.0),
        ),
        pd_cyclic,
    ),
    Twin(
        "paddle.LinearLR",
        some(learning_rate=rates, total_steps=spans, start_factor=rates, end_factor=shares),
        lambda t, learning_rate, total_steps, start_factor, end_factor: (
            learning_rate * (start_factor + (end_factor - start_factor) * min(t / total_steps, 1.0))
        ),
    ),
    Twin(
        "paddle.CosineAnnealingWarmRestarts",
        some(learning_rate=rates, T_0=spans, T_mult=st.integers(1, 4), eta_min=shares),
        pd_restarts,
        corners=({"learning_rate": 1.0, "T_0": 1, "T_mult": 3},),
    ),
    Twin(
        "paddle.LambdaDecay",
        some(learning_rate=rates, lr_lambda=st.lists(shares, min_size=1, max_size=9)),
        lambda t, learning_rate, lr_lambda: learning_rate * lr_lambda[min(t, len(lr_lambda) - 1)],
    ),
    Twin(
        "paddle.MultiplicativeDecay",
        some(learning_rate=rates, lr_lambda=st.lists(st.floats(0.5, 1.5), min_size=1, max_size=9)),
        pd_product,
    ),
]


test_twin, test_corner = held_by(TWINS)


def test_every_schedule_has_a_twin():
    assert {key for key in PEERS if key.startswith("paddle.")} == {twin.key for twin in TWINS}


def test_factors_of_a_function_and_of_a_schedule():
    """Paddle's own example, 0.95 a step, in each form."""
    of_function = paddle.MultiplicativeDecay(0.5, lambda _: 0.95, steps=50).table(50)
    of_schedule = paddle.MultiplicativeDecay(0.5, ExponentialDecay(1.0, 1.0) * 0.95, steps=50).table(50)
    assert of_function.tolist() == of_schedule.tolist()
    assert of_function == pytest.approx([0.5 * 0.95**t for t in range(50)], rel=1e-14)
    assert paddle.LambdaDecay(0.5, lambda epoch: 0.95**epoch, steps=50).table(50) == pytest.approx(
        of_function, rel=1e-14
    )
    assert paddle.LambdaDecay(0.5, Linear(1.0, 0.0, 4)).table(5).tolist() == [0.5, 0.375, 0.25, 0.125, 0.0]


def test_numbers_of_paddle_itself():
    """Worked out for a run of 10 to 1: the line from 1 at t = 2 to 1e-4 at t = 9 is at 1 - 8 / 7 * 0.9999 at t = 10."""
    schedule = paddle.OneCycleLR(1.0, 10, anneal_strategy="linear", strict=True)
    assert schedule(10) == pytest.approx(1 - 8 / 7 * 0.9999, abs=1e-15)
    assert round(schedule(9), 12) == 1e-4
    assert paddle.OneCycleLR(1.0, 10, anneal_strategy="linear")(FAR) == 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paddle.OneCycleLR(0.1, 9, phase_pct=0.5, three_phase=True), "less than 0.5 with three phases"),
        (lambda: paddle.CyclicLR(0.1, 1.0, 2, scale_fn=abs), r"CyclicLR.scale_fn: expected None"),
        (lambda: paddle.StepDecay(0.1, 2.0), r"StepDecay.step_size: expected a whole number of updates"),
        (lambda: paddle.LambdaDecay(0.1, lambda _: 1.0), r"LambdaDecay.steps, for a function: expected how many upd"),
        (lambda: paddle.MultiplicativeDecay(0.1, ExponentialDecay(1.0, 0.5)), r"MultiplicativeDecay.steps, for facto"),
    ],
)
def test_refusals(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
