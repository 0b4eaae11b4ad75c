"""What a schedule was converted from stays with it, in files, pickles and when it is bound; and is no part of it."""

import copy
import pickle
import subprocess
import sys

import pytest

import lrcore as lr
from lrcore import spec
from lrcore._origin import Origin
from lrcore.dialects import deepspeed, paddle, timm, torch

STRICT = deepspeed.WarmupDecayLR(100, 0.0, 0.1, 10, strict=True)
ORIGIN = {"peer": "deepspeed.WarmupDecayLR", "strict": True, "quirks": ["twice-at-start"]}
LINEAR = {"type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": 10}

# Where origins may stand: at the root, in a part, in a product, in something seen differently, on a table.
CONVERTED = {
    "root": STRICT,
    "always": timm.MultiStepLRScheduler(0.1, [30, 60], 0.1),
    "not strict": torch.StepLR(0.1, 30),
    "part": lr.Sequence([(paddle.CosineAnnealingDecay(0.1, 50, strict=True), 50), lr.Cosine(0.1, 0.0, 50)]),
    "factor": lr.Linear(0.0, 1.0, 10) * torch.CosineAnnealingLR(0.1, 50, strict=True),
    "within": (STRICT * 0.5).clip(min=1e-3).shift(2),
    "table": lr.Table([0.3, 0.2, 0.1])._with_hints(origin=Origin("torch.CosineAnnealingLR", True)),
    "both": lr.Cycle(STRICT, 100, count=2)._with_hints(origin=Origin("torch.CosineAnnealingLR", True)),
}


def origins(schedule):
    """Of each node, in the order of the tree."""
    return [schedule.origin, *(found for child in schedule._children() for found in origins(child))]


def quirks(schedule):
    return [finding for finding in lr.lint(schedule, 100) if finding.name == "quirk"]


@pytest.mark.parametrize("suffix", ["json", "toml", "yaml"])
@pytest.mark.parametrize("name", CONVERTED)
def test_a_file_remembers_it(tmp_path, name, suffix):
    schedule, path = CONVERTED[name], tmp_path / f"lr.{suffix}"
    lr.dump(schedule, path)
    read = lr.load(path)
    assert read == schedule
    assert origins(read) == origins(schedule)
    assert any(origins(read))
    assert lr.lint(read, 100) == lr.lint(schedule, 100)


def test_it_stands_beside_its_node():
    data = spec.to_dict(lr.Linear(0.0, 1.0, 10) * STRICT)
    assert "origin" not in data
    assert [factor.get("origin") for factor in data["factors"]] == [None, ORIGIN]
    assert list(spec.to_dict(STRICT))[:3] == ["lrcore", "type", "origin"]


@pytest.mark.parametrize("schedule", CONVERTED.values(), ids=CONVERTED)
def test_copies_and_pickles_remember_it(schedule):
    for again in (copy.copy(schedule), copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule))):
        assert again == schedule
        assert origins(again) == origins(schedule)


def test_equality_and_fingerprint_do_not_see_it():
    bare = lr.expression.parse(repr(STRICT))
    assert bare.origin is None
    assert bare == STRICT
    assert hash(bare) == hash(STRICT)
    assert repr(bare) == repr(STRICT)
    assert bare.fingerprint() == STRICT.fingerprint()
    assert (bare * 2.0 >> 0.5).fingerprint() == (STRICT * 2.0 >> 0.5).fingerprint()


def test_the_quirks_are_found_where_no_dialect_was_imported(tmp_path):
    path = tmp_path / "lr.json"
    lr.dump(STRICT, path)
    code = (
        "import sys, lrcore as lr\n"
        "read = lr.load(sys.argv[1])\n"
        "assert not [name for name in sys.modules if name.startswith('lrcore.dialects')]\n"
        "print(*(found.reason.partition(':')[0] for found in lr.lint(read, 100) if found.name == 'quirk'), sep=';')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "deepspeed.WarmupDecayLR, twice-at-start\n"


def test_a_file_says_which_of_its_quirks_it_has():
    """One of an earlier lrcore does not: then it is all that the peer may have."""
    strict = deepspeed.WarmupCosineLR(0.1, 100, warmup_num_steps=10, strict=True)
    data = spec.to_dict(strict)
    assert data["origin"]["quirks"] == ["twice-at-start", "rises-again"]  # the peak is there after a logarithm
    read = spec.from_dict(data)
    assert [quirk.name for quirk in read.origin.quirks] == ["twice-at-start", "rises-again"]
    del data["origin"]["quirks"]
    earlier = spec.from_dict(data)
    assert [quirk.name for quirk in earlier.origin.quirks] == ["twice-at-start", "peak-unused", "rises-again"]


def test_a_quirk_that_no_dialect_declares_is_of_no_account():
    read = spec.from_dict(LINEAR | {"origin": {"peer": "torch.ConstantLR", "strict": True, "quirks": ["new"]}})
    assert read.origin.quirks == ()
    assert spec.to_dict(read)["origin"]["quirks"] == ["new"]


# ---- bind ----


def test_bind_keeps_it_on_the_root_and_below():
    marked = lr.Cosine(0.1, 0.0, "100%")._with_hints(origin=Origin("torch.CosineAnnealingLR", True))
    assert quirks(marked.bind(total_steps=50)) == quirks(torch.CosineAnnealingLR(0.1, 50, strict=True)) != []
    below = (lr.Linear(0.0, 1.0, "10%") * marked).bind(total_steps=50)
    assert origins(below) == [None, None, Origin("torch.CosineAnnealingLR", True)]


@pytest.mark.parametrize(
    "late",
    [
        lr.warmup_cosine(0.1, 0.0, "5%", "100%"),
        lr.Cycle(lr.Cosine(0.1, 0.0, 10), "1ep"),
        lr.Sequence([(lr.Linear(0.0, 0.1, "1ep"), "1ep"), 0.1]),
        lr.Shift(lr.Linear(0.0, 0.1, 100), "1ep"),
        lr.Stretch(lr.Linear(0.0, 0.1, "2ep"), 2.0),
        lr.Linear(0.0, 0.1, 100),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_bind_keeps_it_on_any_node(late):
    bound = late._with_hints(origin=Origin("torch.StepLR", False)).bind(total_steps=100, steps_per_epoch=20)
    assert bound == late.bind(total_steps=100, steps_per_epoch=20)
    assert bound.origin == Origin("torch.StepLR", False)
    assert bound.steps_per_epoch == 20


def test_a_recipe_that_waits_is_read_with_it():
    late = lr.warmup_cosine(0.1, 0.0, "5%", "100%")._with_hints(origin=Origin("torch.StepLR", False))
    assert spec.from_dict(spec.to_dict(late)).origin == Origin("torch.StepLR", False)


# ---- What is read ----


def test_strict_may_be_left_out():
    assert spec.from_dict(LINEAR | {"origin": {"peer": "torch.StepLR"}}).origin == Origin("torch.StepLR", False)


@pytest.mark.parametrize(
    "peer", ["torch.NewLR", "newframework.Linear", "torch.lr_scheduler.StepLR", "expression.parse"]
)
def test_what_a_later_version_may_know_is_read_and_lint_says_that_it_does_not(peer):
    read = spec.from_dict(LINEAR | {"origin": {"peer": peer, "strict": True}})
    assert (read.origin.is_known, read.origin.quirks) == (False, ())
    found = [finding for finding in lr.lint(read) if finding.name in ("quirk", "unknown-origin")]
    assert [(finding.name, finding.reason.partition(" is no schedule")[0]) for finding in found] == [
        ("unknown-origin", peer)
    ]
    assert spec.to_dict(read)["origin"] == {"peer": peer, "strict": True}


def test_what_is_known_has_no_such_finding():
    assert "unknown-origin" not in {finding.name for finding in lr.lint(STRICT)}


WRONG = [
    ("torch.StepLR", "origin", r"expected a mapping with 'peer', got 'torch\.StepLR'"),
    (None, "origin", "expected a mapping with 'peer', got None"),
    ({}, "origin.peer", "expected a dialect and a schedule of it, such as .*, got nothing"),
    ({"peer": 3}, "origin.peer", r"expected a dialect and a schedule of it, .*, got 3 \(int\)"),
    ({"peer": "StepLR"}, "origin.peer", "expected a dialect and a schedule of it, .*, got 'StepLR'"),
    ({"peer": "torch."}, "origin.peer", r"expected a dialect .*, got 'torch\.'"),
    ({"peer": "../x.StepLR"}, "origin.peer", "expected a dialect"),
    ({"peer": "torch." + "x" * 1000}, "origin.peer", "expected a dialect"),
    ({"peer": ["torch", "StepLR"]}, "origin.peer", "expected a dialect"),
    ({"peer": "torch.StepLR", "strict": 1}, "origin.strict", r"expected True or False, got 1 \(int\)"),
    ({"peer": "torch.StepLR", "strict": None}, "origin.strict", "expected True or False, got None"),
    ({"peer": "torch.StepLR", "quirks": "one"}, "origin.quirks", "expected a list of names of quirks, got 'one'"),
    ({"peer": "torch.StepLR", "quirks": [1]}, "origin.quirks", r"expected a list of names of quirks, got \[1\]"),
    (
        {"peer": "torch.StepLR", "stritc": True},
        "origin.stritc",
        "expected an argument of an origin, got 'stritc': did you mean 'strict'",
    ),
]


@pytest.mark.parametrize(("origin", "path", "message"), WRONG)
@pytest.mark.parametrize("node", [LINEAR, {"type": "Table", "values": [1.0]}], ids=["curve", "table"])
def test_what_is_wrong_has_a_path(node, origin, path, message):
    with pytest.raises(spec.SpecError, match=message) as caught:
        spec.from_dict(node | {"origin": origin})
    assert [where for where, _ in caught.value.errors] == [path]
    with pytest.raises(spec.SpecError) as caught:
        spec.from_dict({"type": "Sum", "terms": [1.0, node | {"origin": origin}]})
    assert [where for where, _ in caught.value.errors] == [f"terms[1].{path}"]


def test_all_that_is_wrong_is_told():
    with pytest.raises(spec.SpecError) as caught:
        spec.from_dict({"type": "Linear", "origin": {"strict": 0}, "init_value": "x", "end_value": 1.0, "steps": 5})
    assert [where for where, _ in caught.value.errors] == ["origin.peer", "origin.strict", "init_value"]


def test_the_schema_says_the_same():
    validator = pytest.importorskip("jsonschema").Draft202012Validator(spec.json_schema())
    for schedule in CONVERTED.values():
        validator.validate(spec.to_dict(schedule))
    validator.validate(LINEAR | {"origin": {"peer": "newframework.Linear"}})
    for origin, *_ in WRONG:
        assert not validator.is_valid(LINEAR | {"origin": origin}), origin
        assert not validator.is_valid({"type": "Sum", "terms": [1.0, LINEAR | {"origin": origin}]}), origin


def test_no_argument_has_the_name_of_a_key():
    """Else a node could not say both."""
    keys = {"type", "origin", "lrcore", "$schema"}
    assert not [name for name in lr.expression.NAMES if keys & set(spec.arguments_of(name))]
