"""Every refusal of bad input: its type, and a message that names the field, what came and what is allowed."""

import inspect
import math
import re

import numpy as np
import pytest

import lrcore as lr

NAN, INF = math.nan, math.inf

# What each kind of field refuses: (what is given, the exception, words of the message).
NO_NUMBER = [
    (True, TypeError, "number.*True.*bool"),
    (np.True_, TypeError, "number.*True"),
    ("0.1", TypeError, "number.*'0.1'.*str"),
    (None, TypeError, "number.*None"),
    ([0.1], TypeError, "number.*list"),
    (1j, TypeError, "number.*1j.*complex"),
    (np.array([0.1, 0.2]), TypeError, "number.*array"),
    (NAN, ValueError, "finite.*nan"),
    (INF, ValueError, "finite.*inf"),
    (-INF, ValueError, "finite.*-inf"),
    (np.float32("nan"), ValueError, "finite.*nan"),
    (10**400, ValueError, "finite|1e[+]?100"),
]
NO_VALUE = [
    *NO_NUMBER,
    (1.1e100, ValueError, r"1e-100.*1e\+?100.*1\.1e\+100"),
    (-1e101, ValueError, r"1e-100.*1e\+?100.*-1e\+101"),
    (9e-101, ValueError, r"1e-100.*1e\+?100.*9e-101"),
    (5e-324, ValueError, r"1e-100.*1e\+?100.*5e-324"),
]
NOT_POSITIVE = [
    *NO_VALUE,
    (0.0, ValueError, "> 0.*0.0"),
    (0, ValueError, "> 0.*0"),
    (-0.5, ValueError, "> 0.*-0.5"),
]
NEGATIVE = [*NO_VALUE, (-0.5, ValueError, ">= 0.*-0.5")]
NO_INT = [
    (True, TypeError, "int.*True.*bool"),
    (np.True_, TypeError, "int.*True"),
    (1.5, TypeError, r"int.*1\.5.*float"),
    (10.0, TypeError, r"int.*10\.0.*float"),
    (NAN, TypeError, "int.*nan"),
    ("10", TypeError, "int.*'10'.*str"),
    (None, TypeError, "int.*None"),
    ([10], TypeError, "int.*list"),
    (np.array([1, 2]), TypeError, "int.*array"),
]
TOO_FAR = [
    (2**53, ValueError, r"int <= 9007199254740991.*9007199254740992"),
    (10**30, ValueError, "int <=.*1000000"),
]
NO_UNITS = [  # texts that are no durations
    ("10", ValueError, "int or a text.*'10'.*str"),
    ("5epp", ValueError, "int or a text.*'5epp'.*did you mean 'ep'"),
    ("50 percent", ValueError, "int or a text.*'50 percent'"),
    ("ep", ValueError, "int or a text.*'ep'"),
    ("", ValueError, "int or a text.*''"),
    ("1e999ep", ValueError, "int or a text.*'1e999ep'"),
    ("nanep", ValueError, "int or a text.*'nanep'"),
    ("5ep" + " " * 50, ValueError, "int or a text.*'5ep +"),
    ("1.5 updates", ValueError, "whole number.*'1.5 updates'"),
]
NO_DURATION = [
    *[row for row in NO_INT if not isinstance(row[0], str)],
    *NO_UNITS,
    *TOO_FAR,
    (0, ValueError, ">= 1.*got 0"),
    (-1, ValueError, ">= 1.*got -1"),
    ("0ep", ValueError, "> 0.*'0ep'"),
    ("-5%", ValueError, "> 0.*'-5%'"),
    ("0 updates", ValueError, ">= 1.*got 0"),
]
NO_TIME = [*[row for row in NOT_POSITIVE if not isinstance(row[0], str)], *NO_UNITS, ("0ep", ValueError, "> 0.*'0ep'")]
NO_SPAN = [*NO_INT, *TOO_FAR, (-1, ValueError, ">= 0.*got -1")]
NO_SHIFT = [
    *[row for row in NO_INT if not isinstance(row[0], str)],
    *NO_UNITS,
    *TOO_FAR,
    (-(2**53), ValueError, "-9007199254740992"),
    ("rest", ValueError, "int or a text.*'rest'"),
]
NO_COUNT = [*[row for row in NO_INT if row[0] is not None], *TOO_FAR, (0, ValueError, ">= 1.*got 0")]
NO_BOUND = [row for row in NO_VALUE if row[0] is not None]
NO_SCHEDULE = [
    (None, TypeError, "schedule.*None"),
    ("cosine", TypeError, "schedule.*'cosine'.*str"),
    (True, TypeError, "schedule.*True.*bool"),
    (lr.Linear, TypeError, "schedule.*(type|ABCMeta)"),
    (math.sin, TypeError, "schedule.*sin"),
    ([0.1], TypeError, "schedule.*list"),
    (NAN, ValueError, "finite.*nan"),
]
NO_FLAG = [
    (1, TypeError, "True or False.*1.*int"),
    ("yes", TypeError, "True or False.*'yes'"),
    (None, TypeError, "None"),
]
NO_MULT = [
    *NO_NUMBER,
    (0.5, ValueError, r">= 1.*0\.5"),
    (0, ValueError, ">= 1.*0"),
    (-2, ValueError, ">= 1.*-2"),
    (1 + 1e-9, ValueError, r"1, or a factor with at most.*1\.000000001"),
]
NO_FACTOR = [
    *NOT_POSITIVE,
    (1e-10, ValueError, "1e-09.*1e-10|1e-9.*1e-10"),
    (1e10, ValueError, r"1e\+?0?9.*10000000000"),
]
NO_LIST = [
    (None, TypeError, "list.*None"),
    (5, TypeError, "list.*5.*int"),
    ("12", TypeError, "list.*'12'.*str"),
    ({1: 2}, TypeError, "list.*dict"),
]

CURVE = lr.Linear(1.0, 0.0, 10)
PIECEWISE = {"boundaries": [5, 10], "values": [1.0, 0.5, 0.1]}
POINTS = [(0, 1.0), (5, 0.5)]


def of_ends(curve, **more):
    """The fields of a curve between two values."""
    good = {"init_value": 1.0, "end_value": 0.1, "steps": 10}
    kinds = {"init_value": NO_VALUE, "end_value": NO_VALUE, "steps": NO_DURATION}
    return curve, good, {**kinds, **more}


def of_decay(decay, rates):
    good = {"init_value": 1.0, "decay_rate": 0.5, "decay_steps": 10}
    return decay, good, {"init_value": NO_VALUE, "decay_rate": rates, "decay_steps": NO_TIME}


# Each class: good arguments, and what each of its fields refuses.
FIELDS = [
    (lr.Constant, {"value": 0.1}, {"value": NO_VALUE}),
    of_ends(lr.Linear),
    of_ends(lr.Cosine),
    of_ends(lr.Polynomial, power=NOT_POSITIVE),
    of_ends(lr.Exponential, init_value=NOT_POSITIVE, end_value=NOT_POSITIVE),
    of_decay(lr.ExponentialDecay, NOT_POSITIVE),
    of_decay(lr.NaturalExpDecay, NEGATIVE),
    of_decay(lr.InverseTimeDecay, NEGATIVE),
    (lr.InverseSqrt, {"init_value": 1.0, "steps": 10}, {"init_value": NO_VALUE, "steps": NO_DURATION}),
    (
        lr.Piecewise,
        PIECEWISE,
        {
            "boundaries": [
                *NO_LIST,
                ([], ValueError, "at least one"),
                ([5, 5], ValueError, r"increas.*5 after 5"),
                ([10, 5], ValueError, r"increas.*5 after 10"),
                ([5], ValueError, None),
                ([0, 5], ValueError, ">= 1.*right.*got 0"),
            ],
            "values": [
                *NO_LIST,
                ([], ValueError, "3 values for 2 boundaries, got 0"),
                ([1.0, 0.5], ValueError, "3 values for 2 boundaries, got 2"),
                ([1.0, 0.5, 0.1, 0.2], ValueError, "3 values for 2 boundaries, got 4"),
            ],
            "side": [
                ("rigth", ValueError, "'right'.*'left'.*'rigth'.*did you mean 'right'"),
                ("Left", ValueError, "'right'.*'left'.*'Left'.*did you mean 'left'"),
                ("", ValueError, "'right'.*'left'.*''"),
                (None, TypeError, "'right'.*'left'.*None"),
                (True, TypeError, "'right'.*'left'.*True"),
            ],
        },
    ),
    (
        lr.Interpolate,
        {"points": POINTS},
        {
            "points": [
                *NO_LIST,
                ([], ValueError, "at least one point, got none"),
                ([(5, 1.0), (5, 0.5)], ValueError, "increas.*5 after 5"),
                ([(5, 1.0), (0, 0.5)], ValueError, "increas.*0 after 5"),
            ],
            "curve": [
                ("cosin", ValueError, "'linear'.*'cosine'.*'exponential'.*'cosin'.*did you mean 'cosine'"),
                ("spline", ValueError, "'linear'.*'cosine'.*'exponential'.*'spline'"),
                (None, TypeError, "'linear'.*None"),
            ],
        },
    ),
    (
        lr.Table,
        {"values": [0.1, 0.2]},
        {
            "values": [
                ([], ValueError, "at least one.*0"),
                ([[0.1, 0.2]], ValueError, r"one dimension.*\(1, 2\)"),
                (0.1, ValueError, r"one dimension.*\(\)"),
                (["a"], TypeError, "real numbers"),
                ([True, False], TypeError, "real numbers.*bool"),
                ([1j], TypeError, "real numbers.*complex"),
                (None, TypeError, "real numbers.*object"),
            ]
        },
    ),
    (
        lr.Sequence,
        {"parts": [(CURVE, 5), CURVE]},
        {
            "parts": [
                *NO_LIST,
                ([], ValueError, "pairs.*none"),
                ([(CURVE, 2**52)] * 2 + [CURVE], ValueError, r"2\*\*53"),
            ]
        },
    ),
    (
        lr.Cycle,
        {"schedule": CURVE, "period": 10},
        {
            "schedule": NO_SCHEDULE,
            "period": NO_DURATION,
            "period_mult": NO_MULT,
            "value_mult": NOT_POSITIVE,
            "mirror": NO_FLAG,
            "count": NO_COUNT,
        },
    ),
    (
        lr.Product,
        {"factors": [CURVE]},
        {"factors": [*NO_LIST, ([], ValueError, "at least one schedule.*none")]},
    ),
    (lr.Sum, {"terms": [CURVE]}, {"terms": [*NO_LIST, ([], ValueError, "at least one schedule.*none")]}),
    (lr.Scale, {"schedule": CURVE, "factor": 0.5}, {"schedule": NO_SCHEDULE, "factor": NO_VALUE}),
    (
        lr.Clip,
        {"schedule": CURVE, "min": 0.1, "max": 0.9},
        {
            "schedule": NO_SCHEDULE,
            "min": [*NO_BOUND, (0.95, ValueError, r"max.*0\.9.*0\.95")],
            "max": NO_BOUND,
        },
    ),
    (
        lr.Line,
        {"init_value": 1.0, "end_value": 0.0, "steps": 10},
        {"init_value": NO_VALUE, "end_value": NO_VALUE, "steps": NO_TIME},
    ),
    (
        lr.Noise,
        {"seed": 3, "generator": "mt19937", "distribution": "normal", "bound": 0.67},
        {
            "seed": [*NO_INT, *TOO_FAR, (-1, ValueError, ">= 0.*got -1")],
            "generator": [("mt19973", ValueError, "'splitmix64' or 'mt19937'.*did you mean 'mt19937'")],
            "distribution": [(None, TypeError, "'normal' or 'uniform'.*None")],
            "bound": [
                (0.0, ValueError, "> 0.*got 0"),
                (1e-4, ValueError, ">= 0.001.*0.0001"),
                ("1", TypeError, "number"),
            ],
        },
    ),
    (
        lr.Map,
        {"schedule": CURVE, "function": "power", "power": 2},
        {
            "schedule": NO_SCHEDULE,
            "function": [
                ("cosin", ValueError, "'cosine'.*'power'.*'cosin'.*did you mean 'cosine'"),
                (None, TypeError, "'cosine'.*None"),
            ],
            "power": [*NO_VALUE, (0.0, ValueError, r"not 0.*0\.0")],
        },
    ),
    (lr.Staircase, {"schedule": CURVE, "every": 5}, {"schedule": NO_SCHEDULE, "every": NO_DURATION}),
    (lr.Shift, {"schedule": CURVE, "n": 5}, {"schedule": NO_SCHEDULE, "n": NO_SHIFT}),
    (lr.Stretch, {"schedule": CURVE, "factor": 2}, {"schedule": NO_SCHEDULE, "factor": NO_FACTOR}),
]


def refusals_of_fields():
    for cls, good, kinds in FIELDS:
        for field, rows in kinds.items():
            for given, error, words in rows:
                yield pytest.param(
                    cls,
                    {**good, field: given},
                    field,
                    error,
                    words,
                    id=f"{cls.__name__}.{field}={given!r:.30}",
                )


@pytest.mark.parametrize(("cls", "arguments", "field", "error", "words"), list(refusals_of_fields()))
def test_a_class_refuses_a_bad_field(cls, arguments, field, error, words):
    # A wrong number of boundaries is told of the values.
    where = rf"{cls.__name__}\.{field}(\[\d+\])*: .*{words}" if words else r"Piecewise\.values: .*2 values for 1"
    with pytest.raises(error, match=f"^{where}"):
        cls(**arguments)


@pytest.mark.parametrize(("cls", "good"), [(cls, good) for cls, good, _ in FIELDS], ids=lambda item: str(item)[:40])
def test_the_good_arguments_are_good(cls, good):
    """Otherwise a refusal above may have another reason."""
    assert math.isfinite(cls(**good)(0))


def test_every_field_of_every_class_is_refused_something():
    for cls, _, kinds in FIELDS:
        assert set(cls.__dataclass_fields__) == set(kinds), cls
    classes = {getattr(lr, name) for name in lr.__all__ if isinstance(getattr(lr, name), type)}
    assert {cls for cls, _, _ in FIELDS} == {cls for cls in classes if issubclass(cls, lr.Schedule)} - {lr.Schedule}


# Items of lists, combinations of fields, operators and methods: (name, what is done, exception, message).
ITEMS = [
    (
        "boundary of nan",
        lambda: lr.Piecewise([NAN, 5], [1, 2, 3]),
        TypeError,
        r"Piecewise\.boundaries\[0\]: .*int.*nan",
    ),
    (
        "boundary of bool",
        lambda: lr.Piecewise([1, True], [1, 2, 3]),
        TypeError,
        r"Piecewise\.boundaries\[1\]: .*bool",
    ),
    (
        "boundary of float",
        lambda: lr.Piecewise([1.0], [1, 2]),
        TypeError,
        r"Piecewise\.boundaries\[0\]: .*int.*1\.0",
    ),
    (
        "boundary below 0",
        lambda: lr.Piecewise([-1], [1, 2]),
        ValueError,
        r"Piecewise\.boundaries\[0\]: .*>= 0.*-1",
    ),
    (
        "boundary of 2**53",
        lambda: lr.Piecewise([2**53], [1, 2]),
        ValueError,
        r"Piecewise\.boundaries\[0\]: .*<=",
    ),
    (
        "second boundary",
        lambda: lr.Piecewise([1, 9, 9], [1] * 4),
        ValueError,
        r"Piecewise\.boundaries\[2\]: .*9 after 9",
    ),
    (
        "value of nan",
        lambda: lr.Piecewise([5], [1, NAN]),
        ValueError,
        r"Piecewise\.values\[1\]: .*finite.*nan",
    ),
    (
        "value of text",
        lambda: lr.Piecewise([5], ["1", 2]),
        TypeError,
        r"Piecewise\.values\[0\]: .*number.*'1'",
    ),
    (
        "value of 1e200",
        lambda: lr.Piecewise([5], [1, 1e200]),
        ValueError,
        r"Piecewise\.values\[1\]: .*1e\+200",
    ),
    (
        "point of no pair",
        lambda: lr.Interpolate([1, 2]),
        TypeError,
        r"Interpolate\.points\[0\]: .*a step and a value.*1",
    ),
    (
        "point of three",
        lambda: lr.Interpolate([(0, 1), (1, 2, 3)]),
        ValueError,
        r"Interpolate\.points\[1\]: .*\(1, 2, 3\)",
    ),
    (
        "point at nan",
        lambda: lr.Interpolate([(0, 1), (NAN, 2)]),
        TypeError,
        r"Interpolate\.points\[1\]\[0\]: .*int.*nan",
    ),
    (
        "point before 0",
        lambda: lr.Interpolate([(-1, 1), (5, 2)]),
        ValueError,
        r"Interpolate\.points\[0\]\[0\]: .*-1",
    ),
    (
        "point of inf",
        lambda: lr.Interpolate([(0, INF), (5, 2)]),
        ValueError,
        r"Interpolate\.points\[0\]\[1\]: .*inf",
    ),
    (
        "exponential through 0",
        lambda: lr.Interpolate([(0, 1), (5, 0)], curve="exponential"),
        ValueError,
        r"Interpolate\.points\[1\]\[1\]: .*> 0.*0",
    ),
    ("table with nan", lambda: lr.Table([0.1, NAN]), ValueError, r"Table\.values\[1\]: .*finite.*nan"),
    ("table with inf", lambda: lr.Table([0.1, 0.2, -INF]), ValueError, r"Table\.values\[2\]: .*finite.*-inf"),
    (
        "part of no pair",
        lambda: lr.Sequence([CURVE, CURVE]),
        TypeError,
        r"Sequence\.parts\[0\]: .*pair.*Linear",
    ),
    (
        "part of three",
        lambda: lr.Sequence([(CURVE, 1, 2), CURVE]),
        TypeError,
        r"Sequence\.parts\[0\]: .*pair",
    ),
    (
        "part of no schedule",
        lambda: lr.Sequence([("x", 5), CURVE]),
        TypeError,
        r"Sequence\.parts\[0\]\[0\]: .*'x'",
    ),
    (
        "last of no schedule",
        lambda: lr.Sequence([(CURVE, 5), "x"]),
        TypeError,
        r"Sequence\.parts\[1\]: .*schedule.*'x'",
    ),
    (
        "last with steps",
        lambda: lr.Sequence([(CURVE, 5), (CURVE, 5)]),
        TypeError,
        r"Sequence\.parts\[1\]: .*schedule",
    ),
    (
        "part of -1",
        lambda: lr.Sequence([(CURVE, -1), CURVE]),
        ValueError,
        r"Sequence\.parts\[0\]\[1\]: .*>= 0.*-1",
    ),
    (
        "part of 1.5",
        lambda: lr.Sequence([(CURVE, 1.5), CURVE]),
        TypeError,
        r"Sequence\.parts\[0\]\[1\]: .*int.*1\.5",
    ),
    (
        "part of True",
        lambda: lr.Sequence([(CURVE, True), CURVE]),
        TypeError,
        r"Sequence\.parts\[0\]\[1\]: .*int.*True",
    ),
    (
        "factor of text",
        lambda: lr.Product([CURVE, "x"]),
        TypeError,
        r"Product\.factors\[1\]: .*schedule.*'x'",
    ),
    ("factor of nan", lambda: lr.Product([CURVE, NAN]), ValueError, r"Product\.factors\[1\]: .*finite.*nan"),
    ("term of None", lambda: lr.Sum([None, CURVE]), TypeError, r"Sum\.terms\[0\]: .*schedule.*None"),
    ("no bound", lambda: lr.Clip(CURVE), ValueError, r"Clip\.min: .*at least one side.*None"),
    ("clip the wrong way", lambda: CURVE.clip(0.9, 0.1), ValueError, r"Clip\.min: .*max.*0\.1.*0\.9"),
    ("stairs of 0", lambda: CURVE.staircase(0), ValueError, r"Staircase\.every: .*>= 1.*0"),
    ("shift by 1.5", lambda: CURVE.shift(1.5), TypeError, r"Shift\.n: .*int.*1\.5"),
    ("stretch by 0", lambda: CURVE.stretch(0), ValueError, r"Stretch\.factor: .*> 0.*0"),
    ("warm-up of -1", lambda: CURVE.warmup(-1), ValueError, r"warmup\.steps: .*>= 0.*-1"),
    ("warm-up of 1.5", lambda: CURVE.warmup(1.5), TypeError, r"warmup\.steps: .*int.*1\.5"),
    (
        "warm-up from nan",
        lambda: CURVE.warmup(5, init_value=NAN),
        ValueError,
        r"warmup\.init_value: .*finite.*nan",
    ),
    (
        "after an endless",
        lambda: lr.InverseSqrt(1.0, 5) >> CURVE,
        ValueError,
        r"InverseSqrt >> .*length.*never ends",
    ),
    ("after a constant", lambda: lr.Constant(1.0) >> CURVE, ValueError, r"Constant >> .*length.*Sequence"),
    ("and then text", lambda: CURVE >> "x", TypeError, r">>.*schedule.*'x'"),
    ("text and then", lambda: "x" >> CURVE, TypeError, r"unsupported operand.*'str' and 'Linear'"),
    ("times text", lambda: CURVE * "x", TypeError, r"unsupported operand|can't multiply"),
    ("times True", lambda: CURVE * True, TypeError, r"unsupported operand.*'bool'"),
    ("times None", lambda: None * CURVE, TypeError, r"unsupported operand.*'NoneType'"),
    ("times nan", lambda: CURVE * NAN, ValueError, r"Scale\.factor: .*finite.*nan"),
    ("plus text", lambda: CURVE + "x", TypeError, r"unsupported operand|concatenate"),
    ("plus True", lambda: True + CURVE, TypeError, r"unsupported operand.*'bool'"),
    ("plus inf", lambda: CURVE + INF, ValueError, r"\+: .*finite.*inf"),
    ("times an array", lambda: CURVE * np.ones(3), TypeError, r"operand.*(ndarray|ufuncs)"),
]

# Recipes name themselves where the fault is in an argument of their own.
RECIPES = [
    ("no stairs", lambda: lr.step_decay(0.1, 0.5, 0), ValueError, r"step_decay\.every: .*>= 1.*0"),
    ("no drop", lambda: lr.step_decay(0.1, 0.0, 5), ValueError, r".*: .*> 0.*0"),
    ("no power", lambda: lr.cyclic_polynomial(0.1, 0.01, 10, 0), ValueError, r"cyclic_polynomial\.power: .*> 0.*0"),
    ("no period", lambda: lr.sgdr(0.1, 0.0, 0), ValueError, r"sgdr\.period: .*>= 1.*0"),
    (
        "period_mult below 1",
        lambda: lr.sgdr(0.1, 0.0, 10, 0.5),
        ValueError,
        r"sgdr\.period_mult: .*>= 1.*0\.5",
    ),
    (
        "value_mult of 0",
        lambda: lr.sgdr(0.1, 0.0, 10, value_mult=0),
        ValueError,
        r"sgdr\.value_mult: .*> 0.*0",
    ),
    (
        "init of nan",
        lambda: lr.sgdr(NAN, 0.0, 10, value_mult=0.5),
        ValueError,
        r"sgdr\.init_value: .*finite.*nan",
    ),
    ("run of 0", lambda: lr.warmup_cosine(0.1, 0.0, 0, 0), ValueError, r"warmup_cosine\.steps: .*>= 1.*0"),
    (
        "warm-up too long",
        lambda: lr.warmup_cosine(0.1, 0.0, 11, 10),
        ValueError,
        r"warmup_cosine\.warmup_steps: .*10.*11",
    ),
    (
        "warm-up of -1",
        lambda: lr.warmup_cosine(0.1, 0.0, -1, 10),
        ValueError,
        r"warmup_cosine\.warmup_steps: .*>= 0.*-1",
    ),
    ("cycle of 0", lambda: lr.one_cycle(0.1, 0), ValueError, r"one_cycle\.steps: .*>= 1.*0"),
    (
        "share of 1.5",
        lambda: lr.one_cycle(0.1, 10, pct_start=1.5),
        ValueError,
        r"one_cycle\.pct_start: .*at most 1.*1\.5",
    ),
    (
        "share of -1",
        lambda: lr.one_cycle(0.1, 10, pct_start=-1),
        ValueError,
        r"one_cycle\.pct_start: .*>= 0.*-1",
    ),
    (
        "share of 0.6 in three phases",
        lambda: lr.one_cycle(0.1, 10, pct_start=0.6, three_phase=True),
        ValueError,
        r"one_cycle\.pct_start: .*at most 0\.5.*0\.6",
    ),
    (
        "div_factor of 0",
        lambda: lr.one_cycle(0.1, 10, div_factor=0),
        ValueError,
        r"one_cycle\.div_factor: .*> 0.*0",
    ),
    (
        "final_div_factor of 0",
        lambda: lr.one_cycle(0.1, 10, final_div_factor=0),
        ValueError,
        r"one_cycle\.final_div_factor: .*> 0.*0",
    ),
    (
        "curve unknown",
        lambda: lr.one_cycle(0.1, 10, curve="cos"),
        ValueError,
        r"one_cycle\.curve: .*'cosine'.*'cos'.*did you",
    ),
    (
        "mode unknown",
        lambda: lr.triangular(0.1, 1.0, 5, mode="triangle"),
        ValueError,
        r"triangular\.mode: .*'triangular', 'triangular2' or 'exp_range'.*'triangle'.*mean 'triangular'",
    ),
    ("no way up", lambda: lr.triangular(0.1, 1.0, 0), ValueError, r"triangular\.steps_up: .*>= 1.*0"),
    ("no way down", lambda: lr.triangular(0.1, 1.0, 5, 0), ValueError, r"triangular\.steps_down: .*>= 1.*0"),
    (
        "decay_rate of 0",
        lambda: lr.triangular(0.1, 1.0, 5, mode="exp_range", decay_rate=0),
        ValueError,
        r"triangular\.decay_rate: .*> 0.*0",
    ),
    ("decay too long", lambda: lr.wsd(0.1, 5, 10, 6), ValueError, r"wsd\.decay_steps: .*5.*6"),
    ("rise too long", lambda: lr.wsd(0.1, 11, 10, 0), ValueError, r"wsd\.warmup_steps: .*10.*11"),
    ("wsd of 0", lambda: lr.wsd(0.1, 0, 0, 0), ValueError, r"wsd\.steps: .*>= 1.*0"),
    (
        "wsd curve",
        lambda: lr.wsd(0.1, 1, 10, 2, curve="exp"),
        ValueError,
        r"wsd\.curve: .*'exponential'.*'exp'",
    ),
    (
        "exponential to 0",
        lambda: lr.wsd(0.1, 1, 10, 2, curve="exponential"),
        ValueError,
        r".*end_value: .*> 0.*0",
    ),
    ("no rise", lambda: lr.inverse_sqrt(0.1, 0), ValueError, r"inverse_sqrt\.warmup_steps: .*>= 1.*0"),
    ("noam of 0", lambda: lr.noam(0, 10), ValueError, r"noam\.model_size: .*>= 1.*0"),
    ("noam of 1.5", lambda: lr.noam(1.5, 10), TypeError, r"noam\.model_size: .*int.*1\.5"),
    ("noam without a rise", lambda: lr.noam(8, 0), ValueError, r"noam\.warmup_steps: .*>= 1.*0"),
    ("noam times nan", lambda: lr.noam(8, 10, NAN), ValueError, r"noam\.factor: .*finite.*nan"),
]

# Bad steps at the call.
STEPS = [
    ("bool", True, TypeError, r"step: .*int.*True"),
    ("numpy bool", np.True_, TypeError, r"step: .*int.*True"),
    ("float", 1.5, TypeError, r"step: .*int.*1\.5"),
    ("whole float", 1.0, TypeError, r"step: .*int.*1\.0"),
    ("numpy float", np.float64(1.0), TypeError, r"step: .*int.*1\.0"),
    ("nan", NAN, TypeError, r"step: .*int.*nan"),
    ("text", "1", TypeError, r"step: .*int.*'1'"),
    ("None", None, TypeError, r"step: .*int.*None"),
    ("-1", -1, ValueError, r"step: .*>= 0.*-1"),
    ("numpy -1", np.int64(-1), ValueError, r"step: .*>= 0.*-1"),
    ("2**53", 2**53, ValueError, r"step: .*(9007199254740991|2\*\*53).*9007199254740992"),
    ("2**64", 2**64, ValueError, r"step: .*(9007199254740991|2\*\*53).*18446744073709551616"),
    ("numpy 2**63", np.uint64(2**63), ValueError, r"step: .*9223372036854775808"),
    ("float array", np.array([1.0]), TypeError, r"step: .*integers.*float64"),
    ("0-d float array", np.array(1.0), TypeError, r"step: .*integers.*float64"),
    ("empty float array", np.empty(0), TypeError, r"step: .*integers.*float64"),
    ("bool array", np.array([True]), TypeError, r"step: .*integers.*bool"),
    ("object array", np.array([1], dtype=object), TypeError, r"step: .*integers.*object"),
    ("complex array", np.array([1j]), TypeError, r"step: .*integers.*complex"),
    ("text array", np.array(["1"]), TypeError, r"step: .*integers.*U1"),
    ("dates", np.array(["2020-01-01"], dtype="datetime64[D]"), TypeError, r"step: .*integers.*datetime64"),
    ("array with -1", np.array([3, -1, 5]), ValueError, r"step: .*0 <= step < 2\*\*53.*-1"),
    ("0-d array of -1", np.array(-1), ValueError, r"step: .*0 <= step < 2\*\*53.*-1"),
    ("array with 2**53", np.array([3, 2**53]), ValueError, r"step: .*2\*\*53.*9007199254740992"),
    ("array with 2**63", np.array([3, 2**63], dtype=np.uint64), ValueError, r"step: .*9223372036854775808"),
    ("2-d array with -1", np.array([[3, -1]], dtype=np.int8), ValueError, r"step: .*-1"),
]

READ_ONLY = np.zeros(5)
READ_ONLY.flags.writeable = False

# Bad arguments of table(), other than n=5.
TABLES = [
    ("n of -1", {"n": -1}, ValueError, r"n: .*>= 0.*-1"),
    ("n of True", {"n": True}, TypeError, r"n: .*int.*True"),
    ("n of 5.0", {"n": 5.0}, TypeError, r"n: .*int.*5\.0"),
    ("n of None", {"n": None}, TypeError, r"n: .*int.*None"),
    ("start of -1", {"start": -1}, ValueError, r"start: .*>= 0.*-1"),
    ("start of 1.0", {"start": 1.0}, TypeError, r"start: .*int.*1\.0"),
    ("start of False", {"start": False}, TypeError, r"start: .*int.*False"),
    ("start of 2**53", {"start": 2**53}, ValueError, r"start: .*9007199254740992"),
    ("past the last step", {"start": 2**53 - 4}, ValueError, r"n: .*start \+ n <= 2\*\*53.*5"),
    ("n beyond memory and steps", {"n": 2**60}, ValueError, r"n: .*1152921504606846976"),
    ("dtype of float16", {"dtype": "float16"}, ValueError, r"dtype: .*'float64'.*'float32'.*float16"),
    ("dtype of int", {"dtype": int}, ValueError, r"dtype: .*'float64'.*'float32'.*int"),
    ("dtype unknown", {"dtype": "float"[::-1]}, ValueError, r"dtype: .*'float64'.*'float32'.*'taolf'"),
    ("dtype of foreign order", {"dtype": ">f8"}, ValueError, r"dtype: .*'float64'.*'float32'.*>f8"),
    ("out of a list", {"out": [0.0] * 5}, TypeError, r"out: .*array.*list"),
    ("out too short", {"out": np.zeros(4)}, ValueError, r"out: .*\(5,\).*\(4,\)"),
    ("out of two dimensions", {"out": np.zeros((5, 1))}, ValueError, r"out: .*\(5,\).*\(5, 1\)"),
    ("out of ints", {"out": np.zeros(5, dtype=np.int64)}, ValueError, r"(out|dtype): .*int64"),
    (
        "out of float32 for float64",
        {"out": np.zeros(5, dtype=np.float32), "dtype": "float64"},
        ValueError,
        r"out: .*float32",
    ),
    ("out strided", {"out": np.zeros(10)[::2]}, ValueError, r"out: .*contiguous"),
    ("out reversed", {"out": np.zeros(5)[::-1]}, ValueError, r"out: .*contiguous"),
    ("out read-only", {"out": READ_ONLY}, ValueError, r"out: .*writ"),
    ("out unaligned", {"out": np.zeros(41, np.uint8)[1:].view(np.float64)}, ValueError, r"out: .*aligned"),
    ("threads of 0", {"threads": 0}, ValueError, r"threads: .*>= 1.*0"),
    ("threads of -1", {"threads": -1}, ValueError, r"threads: .*>= 1.*-1"),
    ("threads of True", {"threads": True}, TypeError, r"threads: .*int.*True"),
    ("threads of 1.5", {"threads": 1.5}, TypeError, r"threads: .*int.*1\.5"),
]


def named(rows):
    return [pytest.param(*row[1:], id=row[0]) for row in rows]


@pytest.mark.parametrize(("action", "error", "message"), named([*ITEMS, *RECIPES]))
def test_a_schedule_is_refused(action, error, message):
    with pytest.raises(error, match=f"^{message}"):
        action()


@pytest.mark.parametrize(("step", "error", "message"), named(STEPS))
@pytest.mark.parametrize("schedule", [CURVE, 0.5 * CURVE.warmup(5), lr.Table([0.1])], ids=["curve", "nested", "table"])
def test_a_step_is_refused(schedule, step, error, message):
    with pytest.raises(error, match=f"^{message}"):
        schedule(step)


@pytest.mark.parametrize(("arguments", "error", "message"), named(TABLES))
def test_a_table_is_refused(arguments, error, message):
    with pytest.raises(error, match=f"^{message}"):
        CURVE.table(**{"n": 5, **arguments})


def test_a_refused_table_leaves_out_as_it_was():
    out = np.full(5, 7.0)
    with pytest.raises(ValueError, match="threads"):
        CURVE.table(5, out=out, threads=0)
    assert out.tolist() == [7.0] * 5


def test_an_unknown_argument_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'step'"):
        lr.Linear(0.1, 0.0, step=10)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'steps'"):
        lr.Cosine(0.1, 0.0)


def test_messages_stay_short():
    """A million values in the wrong place are not printed."""
    with pytest.raises(TypeError, match=r"^Linear\.init_value: ") as caught:
        lr.Linear(list(range(10**6)), 0.0, 10)
    assert len(str(caught.value)) < 300
    assert re.search(r"\.\.\.", str(caught.value))


def nested(depth):
    return CURVE if depth == 0 else nested(depth - 1).shift(1)


def test_nesting_without_end_is_refused():
    with pytest.raises(ValueError, match=r"^Shift: expected at most \d+ nested schedules"):
        nested(500)


GOOD_ARGUMENTS = {
    lr.step_decay: (0.1, 0.5, 10),
    lr.cyclic_polynomial: (0.1, 0.01, 10, 0.5),
    lr.sgdr: (0.1, 0.01, 10, 2, 0.5),
    lr.warmup_cosine: (0.1, 0.01, 10, 100, 0.0),
    lr.one_cycle: (0.1, 100, 0.3, 25.0, 1e4, "cosine"),
    lr.triangular: (0.1, 0.2, 10, 20, "exp_range", 0.9),
    lr.wsd: (0.1, 10, 100, 20, 0.0, 0.0, "linear"),
    lr.inverse_sqrt: (0.1, 10, 0.0),
    lr.noam: (512, 100, 1.0),
}


@pytest.mark.parametrize(
    ("recipe", "at"), [(recipe, at) for recipe, good in GOOD_ARGUMENTS.items() for at in range(len(good))]
)
@pytest.mark.parametrize("bad", [math.nan, True, [0.1]], ids=str)
def test_a_recipe_names_its_own_argument(recipe, at, bad):
    """Not the field of a class that it is made of, which the user never wrote."""
    arguments = list(GOOD_ARGUMENTS[recipe])
    recipe(*arguments)
    arguments[at] = bad
    name = list(inspect.signature(recipe).parameters)[at]
    with pytest.raises((TypeError, ValueError), match=rf"^{recipe.__name__}\.{name}: expected .*, got "):
        recipe(*arguments)
