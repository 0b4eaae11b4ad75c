"""A table that is opened is a schedule like any other, with the values of the one that was saved."""

import copy
import gc
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore.expression import ExpressionError
from lrcore.tables import MappedTable, TableError, open_table, save_table
from steps import nasty_arrays


@pytest.fixture
def late(tmp_path, suffix, schedule):
    """A table that does not begin with step 0."""
    path = tmp_path / f"late{suffix}"
    save_table(schedule, path, 500, start=40)
    return open_table(path)


@pytest.fixture
def early(tmp_path, suffix, schedule):
    path = tmp_path / f"early{suffix}"
    save_table(schedule, path, 500)
    return open_table(path)


def test_it_is_the_schedule_where_it_covers_it(early, late, schedule):
    for table, start in ((early, 0), (late, 40)):
        for _, steps in nasty_arrays(boundaries=(start,), length=start + 500):
            covered = np.asarray(np.clip(steps.astype(np.int64), start, start + 499))
            assert table(steps).tobytes() == schedule(covered).tobytes()
        assert [table(step) for step in range(start, start + 500)] == schedule.table(500, start).tolist()
        assert table.table(600).tobytes() == schedule(np.clip(np.arange(600), start, start + 499)).tobytes()


def test_it_is_in_every_respect_the_shifted_table(late, schedule):
    expected = lr.Table(schedule.table(500, start=40)).shift(-40)
    assert late.length == expected.length == 540
    assert (0.5 * late).table(600).tobytes() == (0.5 * expected).table(600).tobytes()
    assert (late >> 0.5).table(600).tobytes() == (expected >> 0.5).table(600).tobytes()
    for factor in (2, 0.5, 3):
        ours, theirs = lr.Stretch(late, factor), lr.Stretch(expected, factor)
        assert ours.table(2000).tobytes() == theirs.table(2000).tobytes()
        assert ours.length == theirs.length


def test_a_stretch_says_what_it_rounds(late):
    with pytest.warns(lr.RoundingWarning, match=r"MappedTable\.start 40 to 13 \(13\.2\)"):
        late.stretch(0.33)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        late.stretch(2)


def test_what_it_tells_of_itself(late, tmp_path, suffix, schedule):
    assert late.path == str(tmp_path / f"late{suffix}")
    assert (late.start, late.spec) == (40, repr(schedule))
    assert late.schedule == schedule
    assert late.record.length == 500
    assert late.record.version == lr.__version__
    assert repr(late) == f"open_table({late.path!r})"
    assert eval(repr(late), {"open_table": lr.open_table}) == late


def test_equality_and_hash(early, late, schedule):
    table = lr.Table(schedule.table(500))
    shifted = lr.Table(schedule.table(500, start=40))
    assert early == table
    assert table == early
    assert hash(early) == hash(table)
    assert late != shifted
    assert shifted != late
    assert late == open_table(late.path)
    assert hash(late) == hash(open_table(late.path))
    assert early != late
    assert early != lr.Table(schedule.table(499))
    assert early != "a table"


def test_it_is_frozen(early):
    for name in ("path", "values", "record", "other"):
        with pytest.raises(AttributeError, match=name):
            setattr(early, name, None)
    with pytest.raises(AttributeError, match="path"):
        del early.path
    with pytest.raises(ValueError, match="read-only"):
        early.values[0] = 1.0


def test_plain_values_are_mapped_not_copied(tmp_path, mapped_suffix, schedule):
    path = tmp_path / f"table{mapped_suffix}"
    for dtype in ("float64", "float32"):
        save_table(schedule, path, 1000, dtype=dtype)
        table = open_table(path)
        assert type(table.values) is np.ndarray
        base = table.values
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert isinstance(base, np.memmap)
        assert table.values.flags.aligned
        # A change of the file is seen through the map: it is the file.
        with path.open("r+b") as file:
            file.seek(-table.values.itemsize, 2)
            file.write(np.array([0.75], table.values.dtype).tobytes())
        assert table.values[-1] == table(999) == 0.75


def test_the_map_outlives_the_file_and_its_replacement(tmp_path, mapped_suffix, schedule):
    path = tmp_path / f"table{mapped_suffix}"
    save_table(schedule, path, 1000)
    table = open_table(path)
    save_table(0.5 * schedule, path, 10)
    path.unlink()
    gc.collect()
    assert table.table(1000).tobytes() == schedule.table(1000).tobytes()


def test_copies_and_pickles(early, late):
    for table in (early, late):
        table(3)
        assert copy.copy(table) is table
        assert copy.deepcopy(table) is table
        again = pickle.loads(pickle.dumps(table))
        assert type(again) is MappedTable
        assert again == table
        assert again.path == table.path
        assert len(pickle.dumps(table)) < 1000


def test_a_pickle_opens_in_another_process_and_folder(early, tmp_path, schedule):
    (tmp_path / "pickle").write_bytes(pickle.dumps(0.5 * early))
    code = "import pickle, sys; print(pickle.load(open(sys.argv[1], 'rb'))(70))"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "pickle"], cwd="/", capture_output=True, text=True, check=True
    )
    assert float(done.stdout) == 0.5 * schedule(70)


def test_a_pickle_of_a_replaced_file_is_refused(early, schedule):
    pickled = pickle.dumps(early)
    save_table(0.5 * schedule, early.path, 500)
    with pytest.raises(TableError, match=r"expected values with SHA-256.*replaced since it was pickled"):
        pickle.loads(pickled)


def test_another_schedule_is_refused(early, schedule):
    assert open_table(early.path, schedule=schedule) == early
    with pytest.raises(TableError, match="another schedule") as caught:
        open_table(early.path, schedule=0.5 * schedule)
    assert repr(schedule) in str(caught.value)
    assert repr(0.5 * schedule)[:80] in str(caught.value)
    assert early.path in str(caught.value)


def test_long_schedules_are_shown_where_they_differ(tmp_path, suffix):
    values = [step / 1000 for step in range(1001)]
    one, other = (lr.Piecewise(range(1, 1001), [*values[:600], last, *values[601:]]) for last in (0.123456, 0.654321))
    path = tmp_path / f"table{suffix}"
    save_table(one, path, 10)
    with pytest.raises(TableError, match="another schedule") as caught:
        open_table(path, schedule=other)
    assert "0.123456" in str(caught.value)
    assert "0.654321" in str(caught.value)
    assert len(str(caught.value)) < 800


@pytest.mark.parametrize("given", [0.1, "Constant(0.1)", True])
def test_what_is_no_schedule_is_refused(early, given):
    with pytest.raises(TypeError, match="schedule: expected a schedule or None, got"):
        open_table(early.path, schedule=given)


def test_a_table_of_a_table_does_not_open_files_when_parsed(early, tmp_path, suffix):
    path = tmp_path / f"again{suffix}"
    save_table(early * 0.5, path, 10)
    again = open_table(path, schedule=early * 0.5)
    assert again(3) == 0.5 * early(3)
    with pytest.raises(ExpressionError, match="open_table"):
        again.schedule  # noqa: B018


def test_a_missing_file(tmp_path, suffix):
    with pytest.raises(FileNotFoundError, match=f"nothing{suffix}"):
        open_table(tmp_path / f"nothing{suffix}")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**53 - 20), st.integers(1, 20), st.integers(0, 2**53 - 1))
def test_any_start(tmp_path_factory, start, n, step):
    schedule = lr.InverseSqrt(1.0, 3)
    path = tmp_path_factory.mktemp("start") / "table.npy"
    save_table(schedule, path, n, start=start)
    table = open_table(path)
    assert table(step) == schedule(min(max(step, start), start + n - 1))
