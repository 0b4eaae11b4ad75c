"""The one table of cases: schedules with values worked out by hand.

A hand value that is a float is exact: the formula has that value and a float holds it. One that is text is a
real number in decimals, and the schedule must give the nearest float or a neighbour of it. The name of a case
begins with the class or the recipe that it is about; test_curves.py fails when a public one has no case.
"""

from collections.abc import Callable
from dataclasses import dataclass

import lrcore as lr


@dataclass(frozen=True)
class Case:
    """A schedule, its values at some steps, where something happens in it, and when it begins to hold."""

    name: str
    schedule: Callable[[], lr.Schedule]
    hand: tuple[tuple[int, float | str], ...]
    boundaries: tuple[int, ...] = ()
    length: int | None = None

    @property
    def subject(self):
        return self.name.partition(":")[0]


FAR = 2**53 - 1

CURVES = [
    Case("Constant: one rate", lambda: lr.Constant(0.1), ((0, 0.1), (1, 0.1), (FAR, 0.1)), length=0),
    Case("Constant: nothing", lambda: lr.Constant(0.0), ((0, 0.0), (FAR, 0.0)), length=0),
    # 0 + t/10
    Case(
        "Linear: rising from nothing",
        lambda: lr.Linear(0.0, 1.0, 10),
        ((0, 0.0), (1, "0.1"), (5, 0.5), (7, "0.7"), (10, 1.0), (11, 1.0), (FAR, 1.0)),
        (10,),
        10,
    ),
    # 0.1 * (1 - t/100)
    Case(
        "Linear: falling to nothing",
        lambda: lr.Linear(0.1, 0.0, 100),
        ((0, 0.1), (25, "0.075"), (50, 0.05), (99, "0.001"), (100, 0.0), (FAR, 0.0)),
        (100,),
        100,
    ),
    # (1-f)*3 + f*0.5, f = t/4
    Case(
        "Linear: between two rates",
        lambda: lr.Linear(3.0, 0.5, 4),
        ((0, 3.0), (1, 2.375), (2, 1.75), (3, 1.125), (4, 0.5), (5, 0.5)),
        (4,),
        4,
    ),
    Case("Linear: one step", lambda: lr.Linear(0.3, 0.7, 1), ((0, 0.3), (1, 0.7), (2, 0.7)), (1,), 1),
    Case("Linear: level", lambda: lr.Linear(0.1, 0.1, 7), ((0, 0.1), (3, 0.1), (6, 0.1), (7, 0.1)), (7,), 7),
    Case(
        "Linear: through zero",
        lambda: lr.Linear(-1.0, 1.0, 4),
        ((0, -1.0), (1, -0.5), (2, 0.0), (4, 1.0)),
        (4,),
        4,
    ),
    # t / 2**40: longer than float32 or int32 can count
    Case(
        "Linear: a trillion steps",
        lambda: lr.Linear(0.0, 1.0, 2**40),
        (
            (0, 0.0),
            (1, 2.0**-40),
            (2**31, 2.0**-9),
            (2**39 + 1, 0.5 + 2.0**-40),
            (2**40 - 1, 1 - 2.0**-40),
            (2**40, 1.0),
        ),
        (2**31, 2**32, 2**40),
        2**40,
    ),
    # (1 + cos(pi*t/4))/2; cos(pi/4) = 0.7071067811865475244
    Case(
        "Cosine: one to nothing",
        lambda: lr.Cosine(1.0, 0.0, 4),
        (
            (0, 1.0),
            (1, "0.8535533905932737622004"),
            (2, 0.5),
            (3, "0.1464466094067262377996"),
            (4, 0.0),
            (FAR, 0.0),
        ),
        (4,),
        4,
    ),
    # cos(pi/3) = 1/2, cos(pi/2) = 0, cos(2*pi/3) = -1/2: 3/4, 1/2 and 1/4 of the way up from 0
    Case(
        "Cosine: rising",
        lambda: lr.Cosine(0.0, 4.0, 6),
        ((0, 0.0), (2, "1.0"), (3, 2.0), (4, "3.0"), (6, 4.0), (7, 4.0)),
        (3, 6),
        6,
    ),
    # the half-way value is the mean of the ends
    Case(
        "Cosine: between two rates",
        lambda: lr.Cosine(0.75, 0.25, 1000),
        ((0, 0.75), (500, 0.5), (1000, 0.25), (1001, 0.25)),
        (500, 1000),
        1000,
    ),
    Case("Cosine: one step", lambda: lr.Cosine(0.3, 0.7, 1), ((0, 0.3), (1, 0.7)), (1,), 1),
    Case("Cosine: two steps", lambda: lr.Cosine(1.0, 0.5, 2), ((0, 1.0), (1, 0.75), (2, 0.5)), (1, 2), 2),
    Case("Cosine: level", lambda: lr.Cosine(0.1, 0.1, 9), ((0, 0.1), (4, 0.1), (5, 0.1), (9, 0.1)), (9,), 9),
    # power 1 is the straight line
    Case(
        "Polynomial: linear",
        lambda: lr.Polynomial(1.0, 0.0, 8),
        ((0, 1.0), (1, 0.875), (4, 0.5), (7, 0.125), (8, 0.0), (9, 0.0)),
        (8,),
        8,
    ),
    # (1 - t/4)**2
    Case(
        "Polynomial: square",
        lambda: lr.Polynomial(1.0, 0.0, 4, 2.0),
        ((0, 1.0), (1, 0.5625), (2, 0.25), (3, 0.0625), (4, 0.0), (5, 0.0)),
        (4,),
        4,
    ),
    # (1 - t/4)**3, as BERT-like runs use it; 27/64
    Case(
        "Polynomial: cube",
        lambda: lr.Polynomial(1.0, 0.0, 4, power=3),
        ((0, 1.0), (1, 0.421875), (2, 0.125), (3, 0.015625), (4, 0.0)),
        (4,),
        4,
    ),
    # sqrt(1 - t/4)
    Case(
        "Polynomial: square root",
        lambda: lr.Polynomial(1.0, 0.0, 4, 0.5),
        ((0, 1.0), (2, "0.7071067811865475244008"), (3, 0.5), (4, 0.0), (FAR, 0.0)),
        (4,),
        4,
    ),
    # 3 + (1-3)*(1-t/4)**2: 3 - 2*9/16
    Case(
        "Polynomial: rising",
        lambda: lr.Polynomial(1.0, 3.0, 4, 2),
        ((0, 1.0), (1, 1.875), (2, 2.5), (3, 2.875), (4, 3.0)),
        (4,),
        4,
    ),
    # 0.5**0.9 = 0.53588673126814658..., the power of DeepLab and its like
    Case(
        "Polynomial: power 0.9",
        lambda: lr.Polynomial(1.0, 0.0, 100, 0.9),
        ((0, 1.0), (50, "0.535886731268146582106503"), (100, 0.0)),
        (50, 100),
        100,
    ),
    # 0.5**10 = 1/1024
    Case(
        "Polynomial: power 10",
        lambda: lr.Polynomial(1.0, 0.0, 2, 10),
        ((0, 1.0), (1, "0.0009765625"), (2, 0.0)),
        (1, 2),
        2,
    ),
    # (1/16)**0.25
    Case(
        "Polynomial: fourth root",
        lambda: lr.Polynomial(1.0, 0.0, 16, 0.25),
        ((0, 1.0), (15, "0.5"), (16, 0.0)),
        (16,),
        16,
    ),
    Case("Polynomial: one step", lambda: lr.Polynomial(0.3, 0.7, 1, 0.9), ((0, 0.3), (1, 0.7)), (1,), 1),
    Case("Polynomial: level", lambda: lr.Polynomial(0.1, 0.1, 5, 0.9), ((0, 0.1), (2, 0.1), (5, 0.1)), (5,), 5),
    # 16 -> 1 in 4: a half each step
    Case(
        "Exponential: halving",
        lambda: lr.Exponential(16.0, 1.0, 4),
        ((0, 16.0), (1, 8.0), (2, 4.0), (3, 2.0), (4, 1.0), (5, 1.0)),
        (4,),
        4,
    ),
    # the range test of article D: eight decades in 100 steps; its middle is sqrt(1e-7 * 10)
    Case(
        "Exponential: range test",
        lambda: lr.Exponential(1e-7, 10.0, 100),
        ((0, 1e-7), (25, "0.00001"), (50, "0.001"), (75, "0.1"), (100, 10.0), (101, 10.0)),
        (100,),
        100,
    ),
    Case("Exponential: one step", lambda: lr.Exponential(0.3, 0.7, 1), ((0, 0.3), (1, 0.7)), (1,), 1),
    Case("Exponential: level", lambda: lr.Exponential(0.1, 0.1, 6), ((0, 0.1), (3, 0.1), (6, 0.1)), (6,), 6),
    # 0.5 * 0.5**(t/10); 0.5**1.5 = 0.35355339059327376
    Case(
        "ExponentialDecay: half every ten",
        lambda: lr.ExponentialDecay(0.5, 0.5, 10),
        ((0, 0.5), (5, "0.3535533905932737622004"), (10, 0.25), (20, 0.125), (100, 0.5**11)),
        (10, 20),
    ),
    # 0.2 that shrinks by 1/100 of itself: 0.2*0.99, 0.2*0.99**2
    Case(
        "ExponentialDecay: by a hundredth",
        lambda: lr.ExponentialDecay(0.2, 0.99),
        ((0, 0.2), (1, "0.198"), (2, "0.19602")),
    ),
    # exp(-t/2): exp(-1/2), exp(-1)
    Case(
        "NaturalExpDecay: rate one half",
        lambda: lr.NaturalExpDecay(1.0, 0.5),
        ((0, 1.0), (1, "0.606530659712633423603800"), (2, "0.367879441171442321595524")),
        (1, 2),
    ),
    # exp(-0.5*t/10)
    Case(
        "NaturalExpDecay: per epoch",
        lambda: lr.NaturalExpDecay(1.0, 0.5, 10),
        ((0, 1.0), (10, "0.606530659712633423603800"), (20, "0.367879441171442321595524")),
        (10, 20),
    ),
    # 1/(1+t)
    Case(
        "InverseTimeDecay: harmonic",
        lambda: lr.InverseTimeDecay(1.0, 1.0),
        ((0, 1.0), (1, 0.5), (2, "0.3333333333333333333333"), (3, 0.25), (1023, 2.0**-10)),
        (1, 3),
    ),
    # 0.5/(1 + 0.5*t/4)
    Case(
        "InverseTimeDecay: slower",
        lambda: lr.InverseTimeDecay(0.5, 0.5, 4),
        ((0, 0.5), (8, 0.25), (24, 0.125)),
        (8,),
    ),
    # 1/sqrt(t/4) after 4
    Case(
        "InverseSqrt: after four",
        lambda: lr.InverseSqrt(1.0, 4),
        (
            (0, 1.0),
            (3, 1.0),
            (4, 1.0),
            (16, 0.5),
            (12, "0.5773502691896257645091"),
            (64, 0.25),
            (2**52, 2.0**-25),
        ),
        (4, 16),
    ),
    Case("InverseSqrt: one step", lambda: lr.InverseSqrt(0.5, 1), ((0, 0.5), (1, 0.5), (4, 0.25)), (1,)),
    # the new value applies at its boundary
    Case(
        "Piecewise: right",
        lambda: lr.Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001]),
        ((0, 0.1), (4, 0.1), (5, 0.05), (9, 0.05), (10, 0.01), (14, 0.01), (15, 0.001), (FAR, 0.001)),
        (5, 10, 15),
        15,
    ),
    # a boundary still belongs to the old value, as in TF1 and Keras
    Case(
        "Piecewise: left",
        lambda: lr.Piecewise([5, 10, 15], [0.1, 0.05, 0.01, 0.001], side="left"),
        ((0, 0.1), (5, 0.1), (6, 0.05), (10, 0.05), (11, 0.01), (15, 0.01), (16, 0.001), (FAR, 0.001)),
        (5, 10, 15),
        16,
    ),
    Case(
        "Piecewise: after the first step",
        lambda: lr.Piecewise([1], [1.0, 0.5]),
        ((0, 1.0), (1, 0.5)),
        (1,),
        1,
    ),
    # 1 -> 3 over 2..6, 3 -> 0 over 6..10
    Case(
        "Interpolate: linear",
        lambda: lr.Interpolate([(2, 1.0), (6, 3.0), (10, 0.0)]),
        ((0, 1.0), (2, 1.0), (3, 1.5), (4, 2.0), (6, 3.0), (7, 2.25), (8, 1.5), (10, 0.0), (11, 0.0)),
        (2, 6, 10),
        10,
    ),
    Case(
        "Interpolate: cosine",
        lambda: lr.Interpolate([(0, 0.0), (2, 1.0), (6, 0.0)], curve="cosine"),
        (
            (0, 0.0),
            (1, "0.5"),
            (2, 1.0),
            (3, "0.8535533905932737622004"),
            (4, 0.5),
            (5, "0.1464466094067262377996"),
            (6, 0.0),
        ),
        (2, 6),
        6,
    ),
    # 1 -> 16 doubles, 16 -> 4 halves
    Case(
        "Interpolate: exponential",
        lambda: lr.Interpolate([(1, 1.0), (5, 16.0), (7, 4.0)], curve="exponential"),
        ((0, 1.0), (1, 1.0), (2, 2.0), (4, 8.0), (5, 16.0), (6, 8.0), (7, 4.0), (100, 4.0)),
        (1, 5, 7),
        7,
    ),
    Case(
        "Table: three values",
        lambda: lr.Table([0.1, 0.2, 0.4]),
        ((0, 0.1), (1, 0.2), (2, 0.4), (3, 0.4), (FAR, 0.4)),
        (1, 2),
        3,
    ),
    Case("Table: one value", lambda: lr.Table([0.1]), ((0, 0.1), (1, 0.1), (FAR, 0.1)), (), 1),
    # 1 - t/2.5, below zero too
    Case(
        "Line: without an end", lambda: lr.Line(1.0, 0.0, 2.5), ((0, 1.0), (1, 0.6), (2, 0.2), (3, "-0.2"), (10, -3.0))
    ),
    # sqrt(-2 ln u) cos(2 pi v) of SplitMix64's numbers for seed 7, worked out by hand with Python's integers
    Case("Noise: seed 7", lambda: lr.Noise(7), ()),
    Case("Noise: uniform", lambda: lr.Noise(7, distribution="uniform"), ()),
    Case("Noise: within a bound", lambda: lr.Noise(7, bound=0.3), ()),
    # The first output of MT19937 by init_genrand(0) is 0x8c7f0aac, by init_genrand(1) 0x6ac1f425: 24 bits / 2**23 - 1
    Case(
        "Noise: torch, uniform",
        lambda: lr.Noise(0, "mt19937", "uniform"),
        ((0, 0x7F0AAC / 2**23 - 1), (1, 0xC1F425 / 2**23 - 1)),
    ),
    # torch.manual_seed(0); torch.randn(1) is 1.5409961 in float32
    Case("Noise: torch", lambda: lr.Noise(0, "mt19937"), ((0, 1.5409960746765137),)),
    # torch.manual_seed(42); torch.randn(1) is 0.33669037, which is within the bound
    Case("Noise: torch, within a bound", lambda: lr.Noise(42, "mt19937", bound=0.67), ((0, 0.33669036626815796),)),
]

COMBINATORS = [
    # rise 0..3, hold 4..5, fall from 6
    Case(
        "Sequence: rise, hold, fall",
        lambda: lr.Sequence([(lr.Linear(0.0, 1.0, 4), 4), (lr.Constant(1.0), 2), lr.Cosine(1.0, 0.0, 2)]),
        ((0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (5, 1.0), (6, 1.0), (7, 0.5), (8, 0.0), (FAR, 0.0)),
        (4, 6, 8),
        8,
    ),
    # the first part holds its end for two steps, the second is cut before its own
    Case(
        "Sequence: parts longer and shorter than their curves",
        lambda: lr.Sequence([(lr.Linear(0.0, 1.0, 2), 4), (lr.Linear(1.0, 0.0, 4), 2), lr.Constant(5.0)]),
        ((1, 0.5), (2, 1.0), (3, 1.0), (4, 1.0), (5, 0.75), (6, 5.0)),
        (2, 4, 6),
        6,
    ),
    Case(
        "Sequence: joined with >>",
        lambda: lr.Linear(0.0, 1.0, 4) >> lr.Linear(1.0, 0.0, 2) >> lr.Constant(0.5),
        ((0, 0.0), (2, 0.5), (4, 1.0), (5, 0.5), (6, 0.5)),
        (4, 6),
        6,
    ),
    Case(
        "warmup: of a constant rate",
        lambda: lr.warmup(lr.Constant(0.5), 4),
        ((0, 0.0), (1, 0.125), (3, 0.375), (4, 0.5), (5, 0.5)),
        (4,),
        4,
    ),
    # from 1/4 to 1, then the decay from its own beginning
    Case(
        "warmup: of a decay",
        lambda: lr.Linear(1.0, 0.0, 8).warmup(2, init_value=0.25),
        ((0, 0.25), (1, 0.625), (2, 1.0), (3, 0.875), (10, 0.0), (11, 0.0)),
        (2, 10),
        10,
    ),
    # (1 + cos(pi t/3)) / 2: 1, 3/4, 1/4, 0, 1/4, ...
    Case(
        "Map: a cosine that rises again",
        lambda: lr.Map(lr.Line(0.0, 1.0, 3), "cosine"),
        ((0, 1.0), (1, "0.75"), (2, "0.25"), (3, 0.0), (6, 1.0)),
    ),
    Case(
        "Map: square", lambda: lr.Map(lr.Linear(0.0, 1.0, 4), "power", 2), ((1, 0.0625), (3, 0.5625), (9, 1.0)), (4,), 4
    ),
    Case("Map: root", lambda: lr.Map(lr.Line(1.0, 2.0, 1), "power", 0.5), ((0, 1.0), (3, 2.0), (8, 3.0))),
    Case("Map: below 0", lambda: lr.Map(lr.Line(1.0, 0.0, 1), "power", 3), ((0, 1.0), (1, 0.0), (5, 0.0))),
    # ln 2 and e in decimals
    Case("Map: log", lambda: lr.Map(lr.Line(1.0, 2.0, 1), "log"), ((0, 0.0), (1, "0.693147180559945309417232121458"))),
    Case("Map: exp", lambda: lr.Map(lr.Line(0.0, -1.0, 1), "exp"), ((0, 1.0), (1, "0.367879441171442321595523770161"))),
    Case(
        "Map: tanh", lambda: lr.Map(lr.Line(0.0, 1.0, 1), "tanh"), ((0, 0.0), (1, "0.761594155955764888119458282605"))
    ),
    # t mod 4, without end
    Case(
        "Cycle: equal",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 4), 4),
        ((0, 1.0), (3, 0.25), (4, 1.0), (5, 0.75), (7, 0.25), (2**52, 1.0), (FAR, 0.25)),
        (4, 8, 12, 16),
    ),
    Case(
        "Cycle: shorter than its curve",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 8), 4),
        ((0, 1.0), (3, 0.625), (4, 1.0), (7, 0.625)),
        (4, 8),
    ),
    # 4*(2**k - 1): 0, 4, 12, 28; the curve stretched to 4, 8, 16
    Case(
        "Cycle: doubling",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 4), 4, period_mult=2),
        (
            (3, 0.25),
            (4, 1.0),
            (5, 0.875),
            (11, 0.125),
            (12, 1.0),
            (13, 0.9375),
            (27, 0.0625),
            (28, 1.0),
            (4 * (2**50 - 1), 1.0),
        ),
        (4, 12, 28, 60),
    ),
    # 4*(3**k - 1)/2: 0, 4, 16, 52; 35/36 one step after 16
    Case(
        "Cycle: tripling",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 4), 4, period_mult=3),
        ((4, 1.0), (15, "0.0833333333333333333333"), (16, 1.0), (17, "0.9722222222222222222222"), (52, 1.0)),
        (4, 16, 52, 160),
    ),
    # 8*(1.5**k - 1): 0, 4, 10, 19, 32.5; lengths 4, 6, 9, 14
    Case(
        "Cycle: half as long again",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 4), 4, period_mult=1.5),
        (
            (4, 1.0),
            (7, 0.5),
            (9, "0.1666666666666666666667"),
            (10, 1.0),
            (19, 1.0),
            (26, 0.5),
            (32, "0.0714285714285714285714"),
            (33, 1.0),
        ),
        (4, 10, 19, 33),
    ),
    # 100*(1.1**k - 1): 0, 10, 21, 33.1, 46.41, 61.051
    Case(
        "Cycle: a tenth longer",
        lambda: lr.Cycle(lr.Linear(1.0, 0.0, 10), 10, period_mult=1.1),
        ((10, 1.0), (21, 1.0), (27, 0.5), (33, 1.0), (46, 1.0), (61, 1.0), (60, "0.0666666666666666666667")),
        (10, 21, 33, 46, 61),
    ),
    # each cycle half as high
    Case(
        "Cycle: falling peaks",
        lambda: lr.Cycle(lr.Linear(1.0, 0.5, 4), 4, value_mult=0.5),
        ((0, 1.0), (2, 0.75), (4, 0.5), (6, 0.375), (8, 0.25), (40, 0.5**10)),
        (4, 8, 12),
    ),
    # after two cycles: the end value 0.5, halved once
    Case(
        "Cycle: two and hold",
        lambda: lr.Cycle(lr.Linear(1.0, 0.5, 4), 4, value_mult=0.5, count=2),
        ((3, 0.625), (4, 0.5), (7, 0.3125), (8, 0.25), (9, 0.25), (FAR, 0.25)),
        (4, 8),
        8,
    ),
    # up for 4, down for 4
    Case(
        "Cycle: mirrored",
        lambda: lr.Cycle(lr.Linear(0.0, 1.0, 4), 4, mirror=True),
        ((0, 0.0), (1, 0.25), (4, 1.0), (5, 0.75), (7, 0.25), (8, 0.0), (12, 1.0), (16, 0.0)),
        (4, 8, 12, 16),
    ),
    # cycles of 8 and 16: the second peak is at 8 + 8
    Case(
        "Cycle: mirrored and doubling",
        lambda: lr.Cycle(lr.Linear(0.0, 1.0, 4), 4, period_mult=2, mirror=True),
        ((4, 1.0), (8, 0.0), (12, 0.5), (16, 1.0), (20, 0.5), (24, 0.0), (40, 1.0)),
        (4, 8, 16, 24, 40),
    ),
    # a mirrored cycle ends where it began
    Case(
        "Cycle: mirrored once",
        lambda: lr.Cycle(lr.Linear(0.25, 1.0, 4), 4, mirror=True, count=1),
        ((0, 0.25), (4, 1.0), (6, 0.625), (8, 0.25), (9, 0.25), (FAR, 0.25)),
        (4, 8),
        8,
    ),
    Case(
        "Cycle: mirrored, count, falling peaks",
        lambda: lr.Cycle(lr.Linear(1.0, 2.0, 2), 2, value_mult=0.5, mirror=True, count=2),
        ((0, 1.0), (2, 2.0), (3, 1.5), (4, 0.5), (6, 1.0), (8, 0.5), (100, 0.5)),
        (2, 4, 6, 8),
        8,
    ),
    # rise 0..1, then a cycle of 2 inside a cycle of 6; the second is twice as long, and so is all in it
    Case(
        "Cycle: nested three deep",
        lambda: lr.Cycle(
            lr.Sequence([(lr.Linear(0.0, 1.0, 2), 2), lr.Cycle(lr.Linear(1.0, 0.5, 2), 2)]), 6, period_mult=2
        ),
        (
            (0, 0.0),
            (1, 0.5),
            (2, 1.0),
            (3, 0.75),
            (4, 1.0),
            (5, 0.75),
            (6, 0.0),
            (7, 0.25),
            (8, 0.5),
            (10, 1.0),
            (11, 0.875),
            (12, 0.75),
            (14, 1.0),
            (16, 0.75),
            (18, 0.0),
            (20, 0.25),
            (26, 1.0),
            (42, 0.0),
        ),
        (2, 4, 6, 10, 14, 18, 26, 34, 42),
    ),
    Case(
        "Product: two curves",
        lambda: lr.Linear(0.0, 1.0, 4) * lr.Linear(1.0, 0.0, 4),
        ((0, 0.0), (1, 0.1875), (2, 0.25), (3, 0.1875), (4, 0.0)),
        (4,),
        4,
    ),
    # a rate, its warm-up and a drop
    Case(
        "Product: three factors",
        lambda: lr.Product([lr.Constant(0.5), lr.Linear(0.0, 1.0, 4), lr.Piecewise([8], [1.0, 0.5])]),
        ((0, 0.0), (2, 0.25), (4, 0.5), (7, 0.5), (8, 0.25)),
        (4, 8),
        8,
    ),
    Case(
        "Sum: a floor under a decay",
        lambda: lr.Constant(0.25) + lr.Linear(1.0, 0.0, 4),
        ((0, 1.25), (1, 1.0), (4, 0.25), (5, 0.25)),
        (4,),
        4,
    ),
    Case(
        "Sum: three terms",
        lambda: lr.Sum([lr.Constant(1.0), lr.Constant(0.5), lr.Linear(0.0, 1.0, 2)]),
        ((0, 1.5), (1, 2.0), (2, 2.5)),
        (2,),
        2,
    ),
    Case("Scale: half", lambda: 0.5 * lr.Linear(1.0, 0.0, 4), ((0, 0.5), (1, 0.375), (4, 0.0)), (4,), 4),
    Case("Scale: by one", lambda: 1.0 * lr.Cosine(0.1, 0.0, 10), ((0, 0.1), (5, "0.05"), (10, 0.0)), (10,), 10),
    Case(
        "Clip: both sides",
        lambda: lr.Linear(0.0, 1.0, 8).clip(0.25, 0.75),
        ((0, 0.25), (1, 0.25), (2, 0.25), (3, 0.375), (6, 0.75), (7, 0.75), (8, 0.75)),
        (2, 6, 8),
        8,
    ),
    # the value at the last multiple of 2
    Case(
        "Staircase: every two",
        lambda: lr.Linear(1.0, 0.0, 8).staircase(2),
        ((0, 1.0), (1, 1.0), (2, 0.75), (3, 0.75), (7, 0.25), (8, 0.0), (9, 0.0)),
        (2, 4, 6, 8),
        8,
    ),
    Case(
        "Staircase: of one",
        lambda: lr.Linear(1.0, 0.0, 4).staircase(1),
        ((0, 1.0), (1, 0.75), (4, 0.0)),
        (1, 4),
        4,
    ),
    Case(
        "Staircase: longer than its curve",
        lambda: lr.Linear(1.0, 0.0, 4).staircase(8),
        ((0, 1.0), (7, 1.0), (8, 0.0)),
        (8,),
        8,
    ),
    # a schedule entered late
    Case(
        "Shift: ahead",
        lambda: lr.Linear(1.0, 0.0, 8).shift(2),
        ((0, 0.75), (1, 0.625), (6, 0.0), (7, 0.0)),
        (6,),
        6,
    ),
    # the first value held for three more steps
    Case(
        "Shift: back",
        lambda: lr.Linear(1.0, 0.0, 4).shift(-3),
        ((0, 1.0), (3, 1.0), (4, 0.75), (7, 0.0), (8, 0.0)),
        (3, 7),
        7,
    ),
    Case(
        "Shift: past the end",
        lambda: lr.Linear(1.0, 0.5, 4).shift(9),
        ((0, 0.5), (1, 0.5), (FAR, 0.5)),
        (),
        0,
    ),
    Case(
        "Stretch: twice",
        lambda: lr.Linear(0.0, 1.0, 4).stretch(2),
        ((0, 0.0), (1, 0.125), (4, 0.5), (8, 1.0)),
        (8,),
        8,
    ),
    # 1*1.5 and 3*1.5 round up to 2 and 5
    Case(
        "Stretch: boundaries round half up",
        lambda: lr.Stretch(lr.Piecewise([1, 3], [4.0, 2.0, 1.0]), 1.5),
        ((0, 4.0), (1, 4.0), (2, 2.0), (4, 2.0), (5, 1.0)),
        (2, 5),
        5,
    ),
    # 3 and 6 become 4.5 and 9: spans of 5 and 4
    Case(
        "Stretch: parts fill their new spans",
        lambda: lr.Stretch(
            lr.Sequence([(lr.Linear(0.0, 1.0, 3), 3), (lr.Linear(1.0, 0.0, 3), 3), lr.Constant(7.0)]), 1.5
        ),
        ((0, 0.0), (1, "0.2"), (4, "0.8"), (5, 1.0), (6, 0.75), (7, 0.5), (8, 0.25), (9, 7.0)),
        (5, 9),
        9,
    ),
    # stairs at 0, 4.5, 9, 13.5, that is at 0, 5, 9, 14; the curve has 18 steps
    Case(
        "Stretch: a staircase",
        lambda: lr.Stretch(lr.Staircase(lr.Linear(18.0, 0.0, 12), 3), 1.5),
        ((0, 18.0), (4, 18.0), (5, 13.0), (8, 13.0), (9, 9.0), (13, 9.0), (14, 4.0), (17, 4.0), (18, 0.0)),
        (5, 9, 14, 18),
        18,
    ),
    # entries at 0, 1.5, 3, 4.5, that is at 0, 2, 3, 5
    Case(
        "Stretch: a table",
        lambda: lr.Stretch(lr.Table([4.0, 3.0, 2.0, 1.0]), 1.5),
        ((0, 4.0), (1, 4.0), (2, 3.0), (3, 2.0), (4, 2.0), (5, 1.0), (6, 1.0)),
        (2, 3, 5),
        6,
    ),
    # a half step is still one step
    Case(
        "Stretch: never to nothing",
        lambda: lr.Stretch(lr.Linear(0.0, 1.0, 1), 0.25),
        ((0, 0.0), (1, 1.0)),
        (1,),
        1,
    ),
    # decay_steps 1 -> 1.5, not rounded: 0.5**(3/1.5)
    Case(
        "Stretch: an unbounded decay",
        lambda: lr.Stretch(lr.ExponentialDecay(1.0, 0.5), 1.5),
        ((0, 1.0), (3, "0.25"), (6, "0.0625")),
        (3,),
    ),
]

RECIPES = [
    # 0.1 * 0.5**(t // 10)
    Case(
        "step_decay: halves",
        lambda: lr.step_decay(0.5, 0.5, 10),
        ((0, 0.5), (9, 0.5), (10, 0.25), (19, 0.25), (20, 0.125)),
        (10, 20, 30),
    ),
    # 0.00001 + 0.00099*sqrt(1 - (t mod 10)/10)
    Case(
        "cyclic_polynomial: of article A",
        lambda: lr.cyclic_polynomial(0.001, 0.00001, 10, 0.5),
        (
            (0, 0.001),
            (1, "0.000949196465070008661604"),
            (5, "0.000710035713374682049157"),
            (10, 0.001),
            (20, 0.001),
        ),
        (10, 20),
    ),
    # (1 + cos(pi*t/4))/2, then the same over 8
    Case(
        "sgdr: doubling",
        lambda: lr.sgdr(1.0, 0.0, 4, period_mult=2),
        (
            (0, 1.0),
            (2, 0.5),
            (4, 1.0),
            (6, "0.8535533905932737622004"),
            (8, 0.5),
            (12, 1.0),
            (20, 0.5),
            (28, 1.0),
        ),
        (4, 12, 28),
    ),
    # each peak half as high above 0.5: 0.5, 0.25, 0.125
    Case(
        "sgdr: equal cycles, falling peaks",
        lambda: lr.sgdr(1.0, 0.5, 4, value_mult=0.5),
        ((0, 1.0), (2, 0.75), (4, 0.75), (6, 0.625), (8, 0.625), (12, 0.5625)),
        (4, 8, 12),
    ),
    # up over 4, down over the other 8
    Case(
        "warmup_cosine: a whole run",
        lambda: lr.warmup_cosine(1.0, 0.0, 4, 12),
        ((0, 0.0), (1, 0.25), (4, 1.0), (6, "0.8535533905932737622004"), (8, 0.5), (12, 0.0), (13, 0.0)),
        (4, 8, 12),
        12,
    ),
    Case(
        "warmup_cosine: from a rate",
        lambda: lr.warmup_cosine(1.0, 0.5, 2, 4, init_value=0.5),
        ((0, 0.5), (1, 0.75), (2, 1.0), (3, 0.75), (4, 0.5)),
        (2, 4),
        4,
    ),
    Case(
        "warmup_cosine: without a warm-up",
        lambda: lr.warmup_cosine(1.0, 0.0, 0, 4),
        ((0, 1.0), (2, 0.5), (4, 0.0)),
        (4,),
        4,
    ),
    # 1/4 up to 1 in 3 of 10, down to 1/400
    Case(
        "one_cycle: cosine",
        lambda: lr.one_cycle(1.0, 10, div_factor=4, final_div_factor=100),
        ((0, 0.25), (3, 1.0), (10, 0.0025), (11, 0.0025)),
        (3, 10),
        10,
    ),
    # 1/4 up to 1 in 2 of 8, down to 1/8 in the other 6
    Case(
        "one_cycle: linear",
        lambda: lr.one_cycle(1.0, 8, pct_start=0.25, div_factor=4, final_div_factor=2, curve="linear"),
        ((0, 0.25), (1, 0.625), (2, 1.0), (5, 0.5625), (8, 0.125), (9, 0.125)),
        (2, 8),
        8,
    ),
    # up in 2, back in 2, down to 1/8 in the last 4
    Case(
        "one_cycle: three phases",
        lambda: lr.one_cycle(
            1.0, 8, pct_start=0.25, div_factor=4, final_div_factor=2, curve="linear", three_phase=True
        ),
        ((0, 0.25), (1, 0.625), (2, 1.0), (3, 0.625), (4, 0.25), (6, 0.1875), (8, 0.125)),
        (2, 4, 8),
        8,
    ),
    Case(
        "triangular: equal",
        lambda: lr.triangular(0.5, 1.0, 2),
        ((0, 0.5), (1, 0.75), (2, 1.0), (3, 0.75), (4, 0.5), (6, 1.0), (4 * 10**9 + 1, 0.75)),
        (2, 4, 6, 8),
    ),
    Case(
        "triangular: down slower than up",
        lambda: lr.triangular(0.0, 1.0, 2, 4),
        ((0, 0.0), (1, 0.5), (2, 1.0), (3, 0.75), (5, 0.25), (6, 0.0), (8, 1.0)),
        (2, 6, 8),
    ),
    # heights 1/2, 1/4, 1/8 above 1/2
    Case(
        "triangular: halving",
        lambda: lr.triangular(0.5, 1.0, 2, mode="triangular2"),
        ((0, 0.5), (1, 0.75), (2, 1.0), (4, 0.5), (5, 0.625), (6, 0.75), (10, 0.625)),
        (2, 4, 6, 8),
    ),
    # the triangle times 0.5**t
    Case(
        "triangular: exp_range",
        lambda: lr.triangular(0.0, 1.0, 2, mode="exp_range", decay_rate=0.5),
        ((0, 0.0), (1, 0.25), (2, 0.25), (3, 0.0625), (4, 0.0), (6, 0.5**6)),
        (2, 4),
    ),
    # up in 2, level for 2, down in 4
    Case(
        "wsd: linear",
        lambda: lr.wsd(1.0, 2, 8, 4),
        ((0, 0.0), (1, 0.5), (2, 1.0), (3, 1.0), (4, 1.0), (5, 0.75), (7, 0.25), (8, 0.0), (9, 0.0)),
        (2, 4, 8),
        8,
    ),
    Case(
        "wsd: exponential",
        lambda: lr.wsd(1.0, 0, 4, 2, end_value=0.25, curve="exponential"),
        ((0, 1.0), (1, 1.0), (2, 1.0), (3, 0.5), (4, 0.25), (5, 0.25)),
        (2, 4),
        4,
    ),
    Case(
        "wsd: cosine",
        lambda: lr.wsd(1.0, 1, 5, 2, end_value=0.5, init_value=0.25, curve="cosine"),
        ((0, 0.25), (1, 1.0), (3, 1.0), (4, 0.75), (5, 0.5)),
        (1, 3, 5),
        5,
    ),
    # sqrt(4/t) after 4
    Case(
        "inverse_sqrt: after a rise",
        lambda: lr.inverse_sqrt(1.0, 4),
        ((0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (12, "0.5773502691896257645091"), (16, 0.5), (64, 0.25)),
        (4,),
    ),
    # 4**-0.5 * min(t**-0.5, t * 4**-1.5)
    Case(
        "noam: small",
        lambda: lr.noam(4, 4),
        ((0, 0.0), (1, 0.0625), (2, 0.125), (4, 0.25), (16, 0.125), (64, 0.0625)),
        (4,),
    ),
    # the base model of the paper: its peak is 512**-0.5 * 4000**-0.5
    Case(
        "noam: of the paper",
        lambda: lr.noam(512, 4000),
        (
            (0, 0.0),
            (4000, "0.000698771242968684280128"),
            (2000, "0.000349385621484342140064"),
            (16000, "0.000349385621484342140064"),
        ),
        (4000,),
    ),
]

CASES = [*CURVES, *COMBINATORS, *RECIPES]
