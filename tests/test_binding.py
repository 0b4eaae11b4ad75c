"""Durations with units: what each comes to, by hand and against an obvious slow twin, and what is refused."""

import copy
import math
import pickle
import warnings
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings, strategies as st

import lrcore as lr
from lrcore.durations import Run, amount
from lrcore.expression import parse
from lrcore.late import Deferred

RUN = {"total_steps": 1000, "steps_per_epoch": 50, "tokens_per_step": 2**20, "samples_per_step": 256}


def bound(duration, **run):
    return lr.Linear(0.0, 1.0, duration).bind(**(run or RUN)).steps


@pytest.mark.parametrize(
    ("duration", "updates"),
    [
        (7, 7),
        ("7 updates", 7),
        ("1_000 steps", 1000),
        ("5ep", 250),
        ("0.5 epochs", 25),
        ("1e1 epoch", 500),
        ("30%", 300),
        (" 100 % ", 1000),
        ("0.1%", 1),
        (f"{2**30}tok", 1024),
        ("25600samples", 100),
        ("2.56e4 Samples", 100),
        ("rest", 1000),
        ("REST", 1000),
    ],
)
def test_a_duration_comes_to(duration, updates):
    assert bound(duration) == updates


@pytest.mark.parametrize(
    ("duration", "updates", "words"),
    [
        ("33.3%", 333, None),
        ("0.05%", 1, "= 0.5 to 1"),  # half up
        ("0.25%", 3, "= 2.5 to 3"),
        ("0.349%", 3, r"= 3\.49 to 3"),
        ("0.01%", 1, r"= 0\.1 to 1"),  # a length is at least one update
        ("1e-9ep", 1, "= 5e-08 to 1"),
        ("1e6tok", 1, r"= 0\.953674316406 to 1"),
        ("1000samples", 4, r"= 3\.90625 to 4"),
    ],
)
def test_what_is_not_whole_is_rounded_half_up_and_said(duration, updates, words):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert bound(duration) == updates
    assert bool(caught) == bool(words)
    if words:
        with pytest.warns(lr.RoundingWarning, match=rf"^bind rounds Linear\.steps '{duration}' {words}"):
            bound(duration)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("5 epochs", "5ep"),
        ("5.0EP", "5ep"),
        ("0.5ep", "0.5ep"),
        ("2e9tokens", "2e9tok"),
        ("2000000000 tok", "2e9tok"),
        ("123456789tok", "123456789tok"),
        ("0.30%", "0.3%"),
        ("1e-7%", "1e-7%"),
        ("33.333333333333333333%", "33.333333333333333333%"),
        ("1 sample", "1samples"),
    ],
)
def test_a_text_has_one_canonical_form(text, canonical):
    schedule = lr.Linear(0.0, 1.0, text)
    assert schedule.steps == canonical
    assert lr.Linear(0.0, 1.0, canonical) == schedule
    assert amount(text) == amount(canonical)


@given(
    number=st.decimals(min_value="1e-9", max_value="1e15", allow_nan=False, places=6),
    unit=st.sampled_from(["ep", "%", "tok", "samples"]),
)
def test_the_canonical_form_says_the_same_number(number, unit):
    assume(number > 0)
    canonical = lr.Linear(0.0, 1.0, f"{number}{unit}").steps
    assert amount(canonical) == (Fraction(number), unit)


# ---- Gradient accumulation and world size ----


def updates_of_a_loop(total, per_epoch, accumulate, world):
    """Updates that a loop makes over a loader that is split over processes, flushing at the end of each epoch."""
    done, left = 0, total
    while left > 0:
        batches = min(left, per_epoch or left)
        each = math.ceil(batches / world)
        for batch in range(1, each + 1):
            if batch % accumulate == 0 or batch == each:
                done += 1
        left -= batches
    return done


@given(
    total=st.integers(1, 400),
    per_epoch=st.one_of(st.none(), st.integers(1, 60)),
    accumulate=st.integers(1, 7),
    world=st.integers(1, 9),
)
def test_an_update_takes_micro_batches_of_all_processes(total, per_epoch, accumulate, world):
    run = {"micro_batches_per_update": accumulate, "world_size": world}
    schedule = lr.Linear(1.0, 0.0, "100%").bind(total_steps=total, steps_per_epoch=per_epoch, **run)
    assert schedule.steps == updates_of_a_loop(total, per_epoch, accumulate, world)
    if per_epoch:
        assert schedule.steps_per_epoch == updates_of_a_loop(per_epoch, None, accumulate, world)


def test_four_processes_do_not_step_four_times():
    """The bug of many reports: 12 updates planned, and the schedule done after 3."""
    schedule = lr.Linear(1.0, 0.0, "rest").bind(total_steps=48, world_size=4)
    assert schedule == lr.Linear(1.0, 0.0, 12)


def test_tokens_and_samples_are_those_of_a_micro_batch():
    run = {"tokens_per_step": 1000, "samples_per_step": 10, "micro_batches_per_update": 4, "world_size": 8}
    assert bound("64000tok", **run) == 2
    assert bound("960samples", **run) == 3


def test_updates_are_never_divided():
    assert bound(100, total_steps=1000, micro_batches_per_update=4, world_size=8) == 100


# ---- The rest ----


@pytest.mark.parametrize(
    ("schedule", "steps"),
    [
        (lambda: lr.Linear(0, 1, "2ep") >> lr.Cosine(1, 0, "rest"), [100, 900]),
        (lambda: lr.Linear(0, 1, "10%") >> lr.Linear(1, 1, "rest") >> lr.Linear(1, 0, "20%"), [100, 700, 200]),
        (lambda: lr.Linear(0, 1, "rest") >> lr.Linear(1, 0, 1), [999, 1]),
        (lambda: lr.Sequence([(lr.Linear(0, 1, "rest"), "5ep"), lr.Linear(1, 0, "rest")]), [250, 750]),
        (lambda: lr.Sequence([(lr.Constant(1.0), "rest"), lr.Linear(1, 0, "5ep")]), [None, 250]),
        (lambda: lr.Sequence([(lr.Constant(1.0), 400), lr.Linear(1, 0, "rest")]), [None, 600]),
    ],
)
def test_the_rest_is_what_the_others_leave(schedule, steps):
    made = schedule().bind(**RUN)
    assert [getattr(child, "steps", None) for child in made._children()] == steps
    assert made.length == 1000


def test_the_rest_within_a_cycle_is_its_period():
    schedule = lr.Cycle(lr.Linear(0, 1, "10%") >> lr.Cosine(1, 0, "rest"), "10ep")
    made = schedule.bind(**RUN)
    assert made.period == 500
    assert made.schedule.length == 500


def test_the_rest_of_a_part_or_a_cycle_needs_no_run():
    inner = lr.Linear(0, 1, 1) >> lr.Linear(1, 0, "rest")
    assert lr.Cycle(inner, 10).bind().schedule.length == 10
    assert lr.Sequence([(inner, 5), 0.0]).bind().parts[0][0].length == 5
    with pytest.raises(lr.UnboundError, match=r"^Linear\.steps: 'rest' needs total_steps"):
        inner.bind(steps_per_epoch=5)


def test_the_rest_under_shift_and_stretch():
    assert lr.Linear(1, 0, "rest").shift("-2ep").bind(**RUN).length == 1000
    assert lr.Linear(1, 0, "rest").shift(100).bind(**RUN).length == 1000
    assert lr.Linear(1, 0, "rest").stretch(2).bind(**RUN).length == 1000


def test_the_rest_after_a_warmup():
    made = lr.Cosine(0.1, 0.0, "rest").warmup("2ep").bind(**RUN)
    assert made == lr.warmup_cosine(0.1, 0.0, 100, 1000)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (lambda: lr.Linear(0, 1, 1000) >> lr.Cosine(1, 0, "rest"), r"^Cosine\.steps: expected updates left.*got 0$"),
        (lambda: lr.Linear(0, 1, "120%") >> lr.Cosine(1, 0, "rest"), "left for 'rest', got -200"),
        (
            lambda: lr.Linear(0, 1, "rest") >> lr.Cosine(1, 0, "rest"),
            r"one part with 'rest', got .*parts\[0\] and parts",
        ),
        (
            lambda: lr.Sequence([(lr.ExponentialDecay(1, 0.5, "1ep"), "length"), 0.1]),
            r"^ExponentialDecay >> .*: expected a schedule with a length, got one that never ends",
        ),
        (lambda: lr.Piecewise(["1ep", "10%", "2ep"], [1, 2, 3, 4]), "expected steps that increase, got 100 after 100"),
        (lambda: lr.Piecewise(["3ep", "10%"], [1, 2, 3]), "expected steps that increase, got 100 after 150"),
        (lambda: lr.warmup_cosine(0.1, 0, "60%", "50%"), r"warmup_cosine\.warmup_steps: .*got 600"),
    ],
)
def test_what_cannot_be_bound_is_refused(schedule, words):
    with pytest.raises(ValueError, match=words):
        schedule().bind(**RUN)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (lr.Cycle(lr.Linear(0, 1, "rest"), "33.33%"), r"bind rounds Cycle\.period '33\.33%' = 333\.3 to 333"),
        (lr.Linear(1, 0, "rest").shift("-0.25%"), r"bind rounds Shift\.n '-0\.25%' = -2\.5 to -2"),
        (lr.Linear(1, 0, "rest").shift("0.25%"), r"bind rounds Shift\.n '0\.25%' = 2\.5 to 3"),
    ],
)
def test_a_context_that_is_rounded_is_said_once_and_its_rest_is_whole(schedule, words):
    with pytest.warns(lr.RoundingWarning, match=f"^{words}$"):
        schedule.bind(**RUN)


# ---- Every node binds ----

LATE = {
    "Linear": lambda d: lr.Linear(0.0, 1.0, d(4)),
    "Cosine": lambda d: lr.Cosine(0.0, 1.0, d(4)),
    "Polynomial": lambda d: lr.Polynomial(1.0, 0.0, d(3), 2.0),
    "Exponential": lambda d: lr.Exponential(1.0, 0.5, d(5)),
    "ExponentialDecay": lambda d: lr.ExponentialDecay(1.0, 0.5, d(2)),
    "NaturalExpDecay": lambda d: lr.NaturalExpDecay(1.0, 0.5, d(2)),
    "InverseTimeDecay": lambda d: lr.InverseTimeDecay(1.0, 0.5, d(2)),
    "Line": lambda d: lr.Line(1.0, 0.5, d(2)),
    "Map": lambda d: lr.Map(lr.Line(0.0, 0.5, d(2)), "cosine"),
    "InverseSqrt": lambda d: lr.InverseSqrt(1.0, d(2)),
    "Piecewise": lambda d: lr.Piecewise([d(1), d(3)], [1.0, 0.5, 0.25], side="left"),
    "Interpolate": lambda d: lr.Interpolate([(0, 0.0), (d(2), 1.0), (d(5), 0.1)], "cosine"),
    "Sequence": lambda d: lr.Sequence([(lr.Linear(0.0, 1.0, d(2)), d(1)), (0.3, d(2)), lr.Cosine(1.0, 0.0, d(4))]),
    "joined": lambda d: lr.Linear(0.0, 1.0, d(2)) >> lr.Cosine(1.0, 0.5, d(3)) >> lr.Linear(0.5, 0.0, 7),
    "Cycle": lambda d: lr.Cycle(lr.Linear(1.0, 0.0, d(2)), d(3), period_mult=2, mirror=True, count=3),
    "Product": lambda d: lr.Linear(0.0, 1.0, d(2)) * lr.Cosine(1.0, 0.5, 9),
    "Sum": lambda d: lr.Linear(0.0, 1.0, d(2)) + 0.5,
    "Scale": lambda d: 0.5 * lr.Linear(0.0, 1.0, d(2)),
    "Clip": lambda d: lr.Linear(0.0, 1.0, d(2)).clip(max=0.7),
    "Staircase": lambda d: lr.Linear(0.0, 1.0, d(4)).staircase(d(2)),
    "Shift": lambda d: lr.Linear(0.0, 1.0, d(4)).shift(d(1)),
    "Shift back": lambda d: lr.Linear(0.0, 1.0, 20).shift(d(-1)),
    "Stretch": lambda d: lr.Linear(0.0, 1.0, d(4)).stretch(2),
    "step_decay": lambda d: lr.step_decay(1.0, 0.5, d(2)),
    "cyclic_polynomial": lambda d: lr.cyclic_polynomial(1.0, 0.0, d(2), 2.0),
    "sgdr": lambda d: lr.sgdr(1.0, 0.1, d(2), 2, 0.5),
    "warmup": lambda d: lr.warmup(lr.Linear(1.0, 0.0, d(2)), d(3), 0.1),
    "warmup_cosine": lambda d: lr.warmup_cosine(1.0, 0.1, d(2), d(5)),
    "one_cycle": lambda d: lr.one_cycle(1.0, d(9), three_phase=True),
    "triangular": lambda d: lr.triangular(0.1, 1.0, d(2), d(3)),
    "triangular, one side": lambda d: lr.triangular(0.1, 1.0, d(2)),
    "wsd": lambda d: lr.wsd(1.0, d(1), d(9), d(3)),
    "inverse_sqrt": lambda d: lr.inverse_sqrt(1.0, d(3)),
    "noam": lambda d: lr.noam(512, d(3)),
    "recipe in a recipe": lambda d: lr.warmup(lr.wsd(1.0, d(1), d(9), d(3)), 5) >> lr.Cosine(1.0, 0.0, d(3)),
}
UNITS = {
    "epochs": (lambda k: f"{k}ep", {"steps_per_epoch": 3}, 3),
    "percent": (lambda k: f"{k}%", {"total_steps": 700}, 7),
    "tokens": (lambda k: f"{k}e9tok", {"tokens_per_step": 10**9 // 5}, 5),
    "samples": (lambda k: f"{4 * k} samples", {"samples_per_step": 2}, 2),
}


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("name", LATE)
def test_bound_is_what_updates_would_have_made(name, unit):
    text, run, each = UNITS[unit]
    late = LATE[name](text)
    assert not late.is_bound
    made = late.bind(**run)
    assert made.is_bound
    assert made == LATE[name](lambda k: k * each)
    steps = range(60)
    assert [made(step) for step in steps] == [LATE[name](lambda k: k * each)(step) for step in steps]


def test_every_node_and_recipe_is_bound_above():
    nodes = {
        name
        for name in lr.__all__
        if isinstance(getattr(lr, name), type) and issubclass(getattr(lr, name), lr.Schedule)
    }
    recipes = {name for name in lr.__all__ if getattr(getattr(lr, name), "__module__", "") == "lrcore.recipes"}
    assert nodes - {"Schedule", "Constant", "Table", "Noise"} | recipes <= set(LATE)


@pytest.mark.parametrize("name", LATE)
def test_unbound_is_a_value_too(name):
    late = LATE[name](lambda k: f"{k}ep")
    again = LATE[name](lambda k: f"{k}.0 epochs")
    assert late == again
    assert hash(late) == hash(again)
    assert parse(repr(late)) == late
    assert pickle.loads(pickle.dumps(late)) == late
    assert copy.deepcopy(late) is late
    assert late != late.bind(steps_per_epoch=3)


@pytest.mark.parametrize("name", LATE)
def test_unbound_is_not_evaluated(name):
    late = LATE[name](lambda k: f"{k}ep")
    for evaluate in (lambda: late(3), lambda: late([1, 2]), lambda: late.table(3), lambda: late.length):
        with pytest.raises(lr.UnboundError, match=r"'-?[0-9]ep' needs steps_per_epoch.*bind\(steps_per_epoch=\.\.\.\)"):
            evaluate()


def test_all_missing_units_are_named():
    late = lr.Linear(0.0, 1.0, "5ep") >> lr.Cosine(1.0, 0.0, "1e9tok") >> lr.Linear(0.0, 0.0, "rest")
    with pytest.raises(lr.UnboundError) as caught:
        late.bind(samples_per_step=5)
    assert str(caught.value) == (
        "Linear.steps: '5ep' needs steps_per_epoch; Cosine.steps: '1e9tok' needs tokens_per_step; "
        "Linear.steps: 'rest' needs total_steps: "
        "give it with schedule.bind(steps_per_epoch=..., tokens_per_step=..., total_steps=...)"
    )


@pytest.mark.parametrize(
    "argument", ["total_steps", "steps_per_epoch", "tokens_per_step", "samples_per_step", "world_size"]
)
@pytest.mark.parametrize("given_", [0, -1, 1.5, True, "5ep", 2**53])
def test_bad_runs_are_refused(argument, given_):
    with pytest.raises((TypeError, ValueError), match=rf"^bind\.{argument}: expected a whole number.*got"):
        lr.Linear(0, 1, "1ep").bind(**{argument: given_})


# ---- Laws ----

units = st.sampled_from(["ep", "%", "tok", "samples"])


@st.composite
def runs(draw):
    return {
        "total_steps": draw(st.integers(1, 10**6)),
        "steps_per_epoch": draw(st.integers(1, 10**4)),
        "tokens_per_step": draw(st.integers(1, 10**7)),
        "samples_per_step": draw(st.integers(1, 10**4)),
    }


durations = st.one_of(
    st.integers(1, 1000),
    st.builds(lambda k, unit: f"{k}{unit}", st.decimals("0.001", "9999", places=3), units),
)


@given(first=durations, second=durations, run=runs())
@settings(max_examples=200)
def test_binding_and_joining_commute(first, second, run):
    a, b = lr.Linear(0.0, 1.0, first), lr.Cosine(1.0, 0.0, second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lr.RoundingWarning)
        assert (a >> b).bind(**run) == a.bind(**run) >> b.bind(**run)
        assert (a >> b >> a).bind(**run) == (a >> (b >> a)).bind(**run)


@given(duration=durations, run=runs())
def test_a_duration_is_its_number_times_its_unit(duration, run):
    each = {
        "ep": Fraction(run["steps_per_epoch"]),
        "%": Fraction(run["total_steps"], 100),
        "tok": Fraction(1, run["tokens_per_step"]),
        "samples": Fraction(1, run["samples_per_step"]),
    }
    if isinstance(duration, int):
        exact = Fraction(duration)
    else:
        digits = duration.rstrip("abcdefghijklmnopqrstuvwxyz%")
        exact = Fraction(digits) * each[duration[len(digits) :]]
    assume(exact < 2**53 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lr.RoundingWarning)
        assert bound(duration, **run) == max(1, int(exact + Fraction(1, 2)))


@given(duration=durations, run=runs())
def test_what_is_bound_stays_as_it_is(duration, run):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lr.RoundingWarning)
        made = lr.one_cycle(1.0, duration).bind(**run)
    assert made.bind() == made
    assert made.bind(total_steps=1, world_size=7) == made


def test_steps_per_epoch_is_remembered_and_is_no_part_of_the_value():
    made = lr.Linear(0.0, 1.0, "5ep").bind(steps_per_epoch=50, micro_batches_per_update=4)
    assert made.steps_per_epoch == 13
    assert made == lr.Linear(0.0, 1.0, 65)
    assert hash(made) == hash(lr.Linear(0.0, 1.0, 65))
    assert pickle.loads(pickle.dumps(made)).steps_per_epoch is None
    assert lr.Linear(0.0, 1.0, 5).steps_per_epoch is None


def test_binding_leaves_the_schedule_as_it_was():
    schedule = lr.Linear(0.0, 1.0, 5)
    schedule(3)
    assert schedule.bind(steps_per_epoch=5).steps_per_epoch == 5
    assert schedule.steps_per_epoch is None


def test_a_length_of_its_own_is_known_at_once_where_it_can_be():
    assert lr.Sequence([(lr.Linear(0.0, 1.0, 5), "length"), 0.5]) == lr.Sequence([(lr.Linear(0.0, 1.0, 5), 5), 0.5])
    with pytest.raises(
        ValueError, match=r"Sequence\.parts\[0\]\[1\]: .*'length' of ExponentialDecay, which never ends"
    ):
        lr.Sequence([(lr.ExponentialDecay(1.0, 0.5), "length"), 0.5])


def test_a_deferred_recipe_refuses_what_is_wrong_at_once():
    with pytest.raises(ValueError, match=r"warmup_cosine\.peak_value: expected a finite number"):
        lr.warmup_cosine(math.nan, 0.0, "5%", "100%")
    with pytest.raises(ValueError, match=r"wsd\.curve: .*did you mean 'cosine'"):
        lr.wsd(1.0, "5%", "100%", "10%", curve="cosin")
    with pytest.raises(ValueError, match=r"Deferred\.recipe: expected .*'wsd'"):
        Deferred("wds", ())


@pytest.mark.parametrize(
    "make",
    [
        lambda: lr.wsd(0.1, "5%", "rest", "rest"),
        lambda: lr.triangular(0.0, 0.1, "25%", "rest"),
        lambda: lr.warmup_cosine(0.1, 0.0, "rest", "100%"),
        lambda: lr.warmup(lr.Cosine(0.1, 0.0, 10), "rest"),
        lambda: lr.step_decay(0.1, 0.5, "rest"),
    ],
)
def test_only_the_whole_of_a_recipe_is_the_rest(make):
    with pytest.raises(
        ValueError, match=r"^\w+\.\w+: expected an int or a text such as .* or \"1e6samples\", got 'rest'"
    ):
        make()


def test_a_run_counts_what_is_left_over_of_an_epoch():
    assert Run(total_steps=25, steps_per_epoch=10, micro_batches_per_update=4).total_updates == 3 + 3 + 2
