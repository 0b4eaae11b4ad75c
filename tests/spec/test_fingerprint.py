"""Fingerprints: equal schedules have equal ones, on every machine, and others have others."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings

import lrcore as lr
from lrcore import spec
from lrcore.tables import open_table
from strategies import growing, schedules

TABLE = [0.1, 0.2, 1e-7]

# Computed once, and to hold for ever: they stand in records of runs.
GOLDEN = [
    (lr.Constant(0.1), "d12d5c4fc47e3e0aa82ca0611fac29907d3266b3cc8a8ffa020c985b547500ea"),
    (lr.Linear(0, 1, 10), "5a04008575dc149c8bacebb557c47dd9f31cc52fbbafca37fc524c17b666ca2e"),
    (lr.warmup_cosine(0.1, 1e-5, 500, 10_000), "98b40e58ec4b74d770f1d8bdf0c9a90eb04cc25147fcc0d4fda9973a55716d4b"),
    (lr.warmup_cosine(0.1, 0.0, "5%", "100%"), "b69f1dc6f46a481655720b6980dea7dd77374d495a781338bf02bc2ebd37bfa1"),
    (
        lr.sgdr(0.1, 0.001, 100, 1.5, 0.5) * 0.3 + 1e-4,
        "60189342cf8bd3380946c88b09eb4a22aa9af0951ce10ad38351df1974523b1c",
    ),
    (lr.Table(TABLE), "a78bf7b79751ab7f2fea74f9ea3156c2bfc130f1e113077504856d0c60f7d989"),
    (
        lr.Clip(lr.Piecewise(["2ep", 9], [1, 0.5, 0.1]), max=0.9),
        "173317ff851c68b28179eac7d8008e3a16b2ebeeaa1d9fb1318e98d03109eb24",
    ),
]


def by_hand(canonical):
    """The canonical form as it is written in the docstring."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def test_the_canonical_form_by_hand():
    linear = '{"end_value":1,"init_value":0,"lrcore":1,"steps":10,"type":"Linear"}'
    assert spec.fingerprint(lr.Linear(0, 1, 10)) == by_hand(linear)
    assert spec.fingerprint(lr.Constant(1e-7)) == by_hand('{"lrcore":1,"type":"Constant","value":1e-07}')
    clipped = '{"lrcore":1,"max":0.5,"schedule":{"type":"Constant","value":1},"type":"Clip"}'
    assert spec.fingerprint(lr.Constant(1).clip(max=0.5)) == by_hand(clipped)
    digest = hashlib.sha256(np.array(TABLE).astype("<f8").tobytes()).hexdigest()
    table = f'{{"lrcore":1,"type":"Table","values":{{"length":3,"sha256":"{digest}"}}}}'
    assert spec.fingerprint(lr.Table(TABLE)) == by_hand(table)


@pytest.mark.parametrize(("schedule", "golden"), GOLDEN, ids=lambda item: str(item)[:20])
def test_they_stay_as_they_are(schedule, golden):
    assert schedule.fingerprint() == golden


@settings(max_examples=200, deadline=None)
@given(schedules(2) | growing(1), schedules(2))
def test_equal_schedules_have_equal_ones_and_others_have_others(first, second):
    assert (first.fingerprint() == second.fingerprint()) == (first == second)
    again = spec.from_dict(json.loads(json.dumps(spec.to_dict(first), sort_keys=True)))
    assert again.fingerprint() == first.fingerprint()
    assert len(first.fingerprint()) == 64


def test_the_words_of_a_duration_do_not_count():
    said = ["5ep", "5 epochs", "5.0 EPOCH"]
    assert len({lr.Linear(0, 1, text).fingerprint() for text in said}) == 1
    assert lr.Linear(0, 1, "10 updates").fingerprint() == lr.Linear(0, 1, 10).fingerprint()
    assert lr.Linear(0, 1, "10ep").fingerprint() != lr.Linear(0, 1, 10).fingerprint()


def test_the_dtype_of_a_table_does_not_count():
    exact = [0.5, 0.25, -0.0, 1.0]
    assert lr.Table(np.array(exact, np.float32)) == lr.Table(exact)
    assert lr.Table(np.array(exact, np.float32)).fingerprint() == lr.Table(exact).fingerprint()
    assert lr.Table(exact).fingerprint() != lr.Table(exact[::-1]).fingerprint()


@pytest.mark.parametrize("suffix", [".npy", ".safetensors"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_where_a_table_lies_does_not_count(tmp_path, suffix, dtype):
    schedule = lr.Linear(1.0, 0.0, 3_000_000) * -1.0 + 0.0  # longer than what is hashed at a time
    found = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        schedule.save_table(tmp_path / folder / f"lr{suffix}", 3_000_000, dtype=dtype)
        found.append(open_table(tmp_path / folder / f"lr{suffix}"))
    plain = lr.Table(found[0].values)
    assert found[0] == found[1] == plain
    assert len({table.fingerprint() for table in (*found, plain)}) == 1


def test_the_first_step_of_a_table_counts(tmp_path):
    linear = lr.Linear(1.0, 0.0, 100)
    linear.save_table(tmp_path / "late.npy", 10, start=20)
    late = open_table(tmp_path / "late.npy")
    early = lr.Table(late.values)
    assert late != early
    assert late.fingerprint() != early.fingerprint()


def test_what_bind_remembers_does_not_count():
    bound = lr.Linear(0, 1, "2ep").bind(steps_per_epoch=5)
    assert bound.steps_per_epoch == 5
    assert bound.fingerprint() == lr.Linear(0, 1, 10).fingerprint()


def test_another_process_has_the_same():
    """With another seed of Python's own hashes."""
    code = "import lrcore as lr; print(lr.warmup_cosine(0.1, 0.0, '5%', '100%').fingerprint())"
    for seed in "12":
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "SYSTEMROOT": ""},
        )
        assert done.stdout.strip() == lr.warmup_cosine(0.1, 0.0, "5%", "100%").fingerprint()
