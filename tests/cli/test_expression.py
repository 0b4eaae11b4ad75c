"""Schedules as text: what `repr` says is read back, and nothing is ever run."""

import inspect
import operator

import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from cases import CASES
from lrcore._engine import MAX_DEPTH
from lrcore.expression import NAMES, ExpressionError, parse
from strategies import schedules

OURS = "expected a curve, a combinator or a recipe of lrcore"
SHAPES = "expected a schedule, a number, a text or a list"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_read_back(case):
    schedule = case.schedule()
    assert parse(repr(schedule)) == schedule


@settings(max_examples=150, deadline=None)
@given(schedules(3))
def test_any_schedule_is_read_back(schedule):
    assert parse(repr(schedule)) == schedule


def test_every_public_schedule_and_recipe_has_its_name():
    public = {name: getattr(lr, name) for name in lr.__all__}
    classes = {name for name, item in public.items() if isinstance(item, type) and issubclass(item, lr.Schedule)}
    recipes = {name for name, item in public.items() if getattr(item, "__module__", "") == "lrcore.recipes"}
    assert set(NAMES) == (classes - {"Schedule"}) | recipes
    assert all(NAMES[name] is public[name] for name in NAMES)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("Linear(0.0, 0.1, 100) >> Cosine(0.1, 0.0, 900)", lr.Linear(0.0, 0.1, 100) >> lr.Cosine(0.1, 0.0, 900)),
        ("0.5 * Constant(1)", 0.5 * lr.Constant(1)),
        ("Constant(1) * 0.5", 0.5 * lr.Constant(1)),
        ("Linear(1, 0, 4) * Linear(1, 0, 8) + 0.5", lr.Linear(1, 0, 4) * lr.Linear(1, 0, 8) + 0.5),
        ("0.5 + Linear(1, 0, 4)", lr.Linear(1, 0, 4) + 0.5),
        ("Cosine(3e-4, 0, 90 * 1_000).warmup(1000)", lr.Cosine(3e-4, 0, 90_000).warmup(1000)),
        ("Constant(1/4 - 0.05)", lr.Constant(0.2)),
        ("Constant(-1)", lr.Constant(-1)),
        ("Constant(- - 1)", lr.Constant(1)),
        ("Linear(1, 0, 8).staircase(2).clip(min=0.25).shift(-3)", lr.Linear(1, 0, 8).staircase(2).clip(0.25).shift(-3)),
        ("Linear(1, 0, 8).stretch(2)", lr.Linear(1, 0, 8).stretch(2)),
        ("sgdr(0.1, 0.001, period=100, period_mult=2)", lr.sgdr(0.1, 0.001, 100, 2)),
        ("Clip(Linear(1, 0, 8), None, max=0.5)", lr.Linear(1, 0, 8).clip(max=0.5)),
        ("Cycle(1.0, 5, mirror=True)", lr.Cycle(1.0, 5, mirror=True)),
        ("Piecewise([2, 4], (1, 2, 3), side='left')", lr.Piecewise([2, 4], [1, 2, 3], "left")),
        ("  Constant(\n 1\n)\n", lr.Constant(1)),
    ],
)
def test_what_people_write(text, schedule):
    assert parse(text) == schedule


def test_a_rounded_stretch_warns():
    with pytest.warns(lr.RoundingWarning, match=r"Linear\.steps 8 to 3"):
        assert parse("Linear(1, 0, 8).stretch(0.33)").length == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # what is spelt wrongly
        ("Cosin(1, 0, 10)", rf"expression, column 1: {OURS}, got 'Cosin': did you mean 'Cosine'\?"),
        ("Linear(0, 1, 5) >> cosine(1, 0, 10)", r"column 20: .*got 'cosine': did you mean 'Cosine'\?"),
        ("Cosine(1, 0, stps=10)", r"Cosine has no argument 'stps': did you mean 'steps'\?"),
        ("Cosine(1, 0, foo=10)", r"Cosine has no argument 'foo' \(init_value, end_value, steps\)"),
        ("Cosine(1, 0)", "Cosine: missing a required argument: 'steps'"),
        ("Cosine(1, 0, 10, init_value=3)", "Cosine: multiple values for argument 'init_value'"),
        ("Cosine(1, 0, 10, 11)", "Cosine: too many positional arguments"),
        (
            "Cosine(1, 0, 10).warmpu(5)",
            r"expected a schedule's clip, shift, staircase, stretch or warmup, .*'warmup'\?",
        ),
        ("Cosine(1, 0, 10).warmup()", "warmup: missing a required argument: 'steps'"),
        ("Cosine", r"expected a call, Cosine\(\.\.\.\), got 'Cosine'"),
        ("0.1", r"expression, column 1: expected a schedule, got 0\.1 \(float\)"),
        ("[Constant(1)]", r"expected a schedule, got \[Constant\(value=1\.0\)\] \(list\)"),
        ("\n", "invalid syntax"),
        ("", "invalid syntax"),
        ("Cosine(1, 0,", r"expression, column 7: '\(' was never closed"),
        ("Constant(1)\nConstant(1)", r"expression, column \d+: invalid syntax"),
        ("(Constant(1)\n+ Constan(1))", r"expression, line 2, column 3: .*did you mean 'Constant'\?"),
        # what a schedule refuses
        ("Cosine(1, 0, -10)", r"expression, column 1: Cosine\.steps: expected a whole number of updates, .*got -10"),
        ("Cosine(1, 0, 1e3)", r"Cosine\.steps: .*got 1000\.0 \(float\)"),
        ("Cosine('a', 0, 10)", r"Cosine\.init_value: expected a number, got 'a'"),
        ("Cosine(1e999, 0, 10)", r"Cosine\.init_value: expected a finite number, got inf"),
        ("Cosine(True, 0, 10)", r"Cosine\.init_value: expected a number, got True"),
        ("Constant(1 / 0)", "column 10: division by zero"),
        ("Constant(1) - 1", "unsupported operand"),
        ("Constant(1) >> Constant(2)", "expected a schedule with a length"),
        ("1 >> Constant(2)", "unsupported operand"),
        ("-Constant(1)", "expected no sign but a minus before a number, got '-Constant"),
        ("Constant(+1)", r"expected no sign but a minus before a number, got '\+1'"),
        ("Constant(-True)", "expected no sign but a minus before a number"),
        ("Constant(1 + True)", "expected a schedule or a number, got True"),
        # what is no schedule's business
        ("__import__('os').system('touch hacked')", rf"{OURS}, got '__import__'"),
        ("open('/etc/passwd')", rf"{OURS}, got 'open'"),
        ("open_table('table.npy')", rf"{OURS}, got 'open_table'"),
        ("print", rf"{OURS}, got 'print'"),
        ("Constant(1).__class__", rf"{SHAPES}, got 'Constant\(1\)\.__class__'"),
        ("Constant(1).__class__.__mro__[1]", SHAPES),
        ("Constant(1).table(10**12)", "expected a schedule's clip, .*got 'Constant"),
        ("Constant(1).save_table('table.npy', 5)", "expected a schedule's clip"),
        ("Constant(1).__reduce__()", "expected a schedule's clip"),
        ("Constant(1)._lower([])", "expected a schedule's clip"),
        ("'text'.format()", "expected a schedule's clip"),
        ("Constant(1)(5)", OURS),
        ("(lambda: Constant(1))()", OURS),
        ("[Constant(1)][0]", SHAPES),
        ("[Constant(x) for x in (1, 2)]", SHAPES),
        ("Constant(1) if True else Constant(2)", SHAPES),
        ("Constant(1) or 2", SHAPES),
        ("Constant(1) == 2", SHAPES),
        ("Constant(*[1])", SHAPES),
        ("Constant(**{'value': 1})", SHAPES),
        ("Constant(value := 1)", SHAPES),
        ("Constant(f'{1}')", SHAPES),
        ("Constant({1: 2})", SHAPES),
        ("Constant({1})", SHAPES),
        ("await Constant(1)", SHAPES),
        ("Constant(1j)", r"column 10: expected a number, a text, None, True or False, got 1j \(complex\)"),
        ("Constant(b'1')", "expected a number, a text, None"),
        ("Constant(...)", "expected a number, a text, None"),
        ("Constant(not 1)", "expected no sign but a minus before a number"),
        ("Constant(~1)", "expected no sign but a minus before a number"),
        ("Constant(9 ** 9 ** 9)", r"expected one of \+ - \* / >>, got '9 \*\* 9 \*\* 9'"),
        ("Constant(1 << 10**9)", r"expected one of \+ - \* / >>"),
        ("Constant(1 % 2)", r"expected one of \+ - \* / >>"),
        ("Table([1] * 10**9)", "expected"),
        ("Table([1] * 1000000000)", r"expected a schedule or a number, got \[1\] \(list\)"),
        ("Constant('a' * 1000000000)", "expected a schedule or a number, got 'a'"),
        ("import os", "invalid syntax"),
        ("Constant(1); Constant(2)", "invalid syntax"),
        ("x = Constant(1)", "invalid syntax"),
        # what would eat the machine
        ("(" * 500, "too many nested parentheses"),
        ("-" * 100_000 + "1", "expression: "),
        ("Constant(" + "-" * 300 + "1)", "expected at most 200 levels of nesting"),
        ("Constant(1)" + " + 1" * 300, "expected at most 200 levels of nesting"),
        ("1" * 5000, "digits"),
        ("Constant(1)" + " " * 2**20, r"expected at most 1048576 characters, got 1048587"),
        # what is no text of ours
        ("\0", "null bytes"),
        ("\ud800", "surrogates"),
        ("Constant(1)\0", "null bytes"),
    ],
)
def test_everything_else_is_refused(text, message):
    with pytest.raises(ExpressionError, match=message) as caught:
        parse(text)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("given", [None, 1, b"Constant(1)", lr.Constant(1)])
def test_what_is_no_text_is_refused(given):
    with pytest.raises(TypeError, match="expression: expected a text, got"):
        parse(given)


WORDS = [
    *NAMES,
    *(
        "clip",
        "warmup",
        "__class__",
        "__init__",
        "open_table",
        "os",
        "lambda",
        "for",
        "if",
        "None",
        "True",
        "steps=",
        "*",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ".",
        ":",
        "+",
        "-",
        "*",
        "/",
        ">>",
        "**",
        "=",
        " ",
        "\n",
        "'",
        '"',
        "f'",
        "b'",
        "1",
    ),
    *("0", "0.5", "1e9", "1j", "10", "@", "~", "\\", "#", "\x00", "é"),
]


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=12).map("".join)))
@pytest.mark.filterwarnings("ignore")
def test_no_text_does_anything_but_give_a_schedule_or_an_error(text):
    try:
        found = parse(text)
    except ExpressionError as error:
        assert str(error).startswith("expression")  # noqa: PT017
    else:
        assert isinstance(found, lr.Schedule)


def test_a_long_list_is_read():
    table = lr.Table([step / 7 for step in range(5000)])
    assert parse(repr(table)) == table


def test_the_deepest_nesting_is_read():
    """As deep as a schedule may be, by the combinator whose repr has the most parentheses, by Python and by us."""
    schedule = lr.Constant(1.0)
    for _ in range(MAX_DEPTH - 1):
        schedule = lr.Sequence([(schedule, 3), 0.5])
    assert operator.eq(parse(repr(schedule)), schedule)
    assert operator.eq(eval(repr(schedule), vars(lr)), schedule)


def test_signatures_are_known():
    """Arguments are checked by name before a call; a function without a signature would refuse them all."""
    assert all(inspect.signature(item).parameters for item in NAMES.values())
