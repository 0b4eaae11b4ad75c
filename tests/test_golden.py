"""The numbers of this build are those of every other build."""

import inspect

import pytest

import golden
import lrcore


def test_each_golden_table_has_a_hash():
    assert list(golden.stored()) == [*(table.name for table in golden.TABLES), golden.SMOOTH]


@pytest.mark.parametrize("table", golden.TABLES, ids=lambda table: table.name)
def test_a_golden_table_has_its_bits(table):
    assert golden.sha256(table.values()) == golden.stored()[table.name]


def test_smoothed_losses_have_their_bits():
    assert golden.sha256(golden.smooth_averages()) == golden.stored()[golden.SMOOTH]


def test_each_class_of_schedules_has_a_golden_table():
    public = [getattr(lrcore, name) for name in lrcore.__all__]
    classes = {thing for thing in public if inspect.isclass(thing) and issubclass(thing, lrcore.Schedule)}
    assert {type(table.schedule) for table in golden.TABLES} == classes - {lrcore.Schedule}
