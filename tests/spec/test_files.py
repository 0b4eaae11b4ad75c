"""Spec files: what is written is read as the same to the bit, by other parsers too; and what is refused, and where."""

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import _specfiles, spec
from lrcore.spec import SpecError
from strategies import growing, schedules

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")
pytest.importorskip("tomli_w")
yaml = pytest.importorskip("yaml")

SUFFIXES = [".json", ".toml", ".yaml"]
LINEAR = {"lrcore": 1, "type": "Linear", "init_value": 0.0, "end_value": 0.1, "steps": 10}
WAITING = lr.Sequence([(lr.warmup_cosine(0.1, 0, "5%", "100%"), "5ep"), (lr.Piecewise(["2e9tok"], [1, 2]), "30%"), 0.5])

PARSERS = {".json": json.loads, ".toml": tomllib.loads, ".yaml": yaml.safe_load}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of hypothesis."""
    return tmp_path_factory.mktemp("specs")


def from_text(folder, suffix, text):
    path = folder / f"given{suffix}"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return lr.load(path)


# ---- Round trips ----


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=100, deadline=None)
@given(schedule=schedules(3) | growing(2))
def test_what_is_dumped_is_loaded_as_the_same(folder, suffix, schedule):
    path = folder / f"lr{suffix}"
    lr.dump(schedule, path)
    found = lr.load(path)
    assert found == schedule
    assert repr(found) == repr(schedule)
    assert spec.to_dict(found) == spec.to_dict(schedule)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60, deadline=None)
@given(schedule=schedules(2))
def test_other_parsers_read_the_same_data(folder, suffix, schedule):
    """PyYAML follows YAML 1.1, in which `1e-07` is no number: so none is written like this."""
    path = folder / f"lr{suffix}"
    lr.dump(schedule, path)
    assert PARSERS[suffix](path.read_text()) == spec.to_dict(schedule)


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=60, deadline=None)
@given(schedule=schedules(2))
def test_the_same_data_as_others_write_them_are_read(folder, suffix, schedule):
    import tomli_w

    writers = {".json": json.dumps, ".toml": tomli_w.dumps, ".yaml": yaml.safe_dump}
    data = json.loads(json.dumps(spec.to_dict(schedule)))  # without shared objects, which PyYAML would give anchors
    assert from_text(folder, suffix, writers[suffix](data)) == schedule


floats = (
    st.floats(1e-100, 1e100)
    | st.floats(-1e100, -1e-100)
    | st.sampled_from([0.0, -0.0, 1e-100, -1e-100, 1e100, 0.1, 1e16, 1e22, 123456789.0, 2.0**53])
)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".yml"])
@settings(max_examples=100, deadline=None)
@given(value=floats, steps=st.integers(1, 2**53 - 1))
def test_numbers_keep_their_bits(folder, suffix, value, steps):
    path = folder / f"lr{suffix}"
    lr.dump(lr.Linear(value, 0.1, steps), path)
    found = lr.load(path)
    assert found.init_value.hex() == (value + 0.0).hex()
    assert found.steps == steps
    assert type(found.steps) is int


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_units_and_waiting_recipes_are_kept(tmp_path, suffix):
    lr.dump(WAITING, tmp_path / f"lr{suffix}")
    assert lr.load(tmp_path / f"lr{suffix}") == WAITING


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_deepest_schedule_is_dumped_and_loaded(tmp_path, suffix):
    schedule = lr.Constant(1.0)
    for _ in range(59):
        schedule = lr.Sequence([(schedule, 1), 0.5])
    lr.dump(schedule, tmp_path / f"lr{suffix}")
    assert lr.load(tmp_path / f"lr{suffix}") == schedule


# ---- By hand ----


@pytest.mark.parametrize("written", ["0.001", "1e-3", "1E-3", "1.e-3", ".001", "+1e-3", "1.0e-03", "10e-4"])
def test_numbers_of_yaml_as_people_write_them(tmp_path, written):
    text = f"type: Constant\nvalue: {written}\n"
    assert from_text(tmp_path, ".yaml", text) == lr.Constant(0.001)


@pytest.mark.parametrize("written", ["010", "0x10", "1_000", "1:30", "'10'", "~", "ten", "1.5", "!!int '3'"])
def test_no_number_of_steps_in_yaml(tmp_path, written):
    """Some are numbers in one YAML and none, or others, in another."""
    with pytest.raises(SpecError, match=r"steps: expected (a whole number|an int or)|tag"):
        from_text(tmp_path, ".yaml", f"type: Linear\ninit_value: 1\nend_value: 0\nsteps: {written}\n")


@pytest.mark.parametrize(("written", "mirror"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_flags_of_yaml(tmp_path, written, mirror):
    text = f"type: Cycle\nschedule: 1\nperiod: 5ep\nmirror: {written}\n"
    assert from_text(tmp_path, ".yaml", text) == lr.Cycle(lr.Constant(1), "5ep", mirror=mirror)


@pytest.mark.parametrize("written", ["yes", "no", "on", "1", '"true"'])
def test_no_flags_of_yaml(tmp_path, written):
    with pytest.raises(SpecError, match=r"mirror: expected True or False, got"):
        from_text(tmp_path, ".yaml", f"type: Cycle\nschedule: 1\nperiod: 5\nmirror: {written}\n")


def test_a_mark_before_utf_8_does_no_harm(tmp_path):
    for suffix, text in {".json": '{"type": "Constant", "value": 1}', ".toml": "type='Constant'\nvalue=1"}.items():
        assert from_text(tmp_path, suffix, "\ufeff" + text) == lr.Constant(1)


def test_a_suffix_in_capitals_will_do(tmp_path):
    (tmp_path / "LR.JSON").write_text(json.dumps(LINEAR))
    assert lr.load(tmp_path / "LR.JSON") == lr.Linear(0, 0.1, 10)


# ---- What is refused ----

PLACED = {
    "json, no comma": (".json", '{"type": "Linear"\n "steps": 3}', r"line 2, column 2: expecting ',' delimiter"),
    "json, nothing": (".json", "", r"line 1, column 1: expecting value"),
    "json, two": (".json", "{} {}", r"line 1, column 4: extra data"),
    "toml, no value": (".toml", 'type = "Linear"\nsteps = \n', r"line 2, column 9: invalid value"),
    "toml, twice": (".toml", "steps = 1\nsteps = 2\n", r"line 2, column 10: cannot overwrite a value"),
    "toml, several lines": (".toml", 'type = """x"""', r'line 1, column 8: expected texts of one line, got """'),
    "toml, a date": (".toml", "steps = 2024-13-45", r"line 1, column \d+: expected newline"),
    "yaml, a bracket": (
        ".yaml",
        "type: Linear\npoints: [1, 2\nsteps: 3\n",
        r"line 3, column \d+: did not find expected ',' or ']'|line 3",
    ),
    "yaml, a tab": (".yaml", "type:\n\t- a\n", r"line 2, column 1: found character that cannot start any token"),
    "yaml, two": (
        ".yaml",
        "type: Linear\n---\ntype: Linear\n",
        r"line 2, column 1: expected one document, got a second",
    ),
    "yaml, an anchor": (
        ".yaml",
        "a: &x 1\nb: 2",
        r"line 1, column 4: expected values, each written where it stands, got an anchor",
    ),
    "yaml, an alias": (
        ".yaml",
        "a: 1\nb: *x",
        r"line 2, column 4: expected values, each written where it stands, got an alias",
    ),
    "yaml, a tag": (
        ".yaml",
        "a: !!python/object/apply:os.system ['true']",
        r"line 1, column 4: expected values without tags, got the tag 'tag:yaml",
    ),
    "yaml, its own tag": (".yaml", "a: !x 1", r"line 1, column 4: expected values without tags, got the tag '!x'"),
    "yaml, a bell": (".yaml", "a: 1\nb: \x07", r"line 2, column 4: .*not allowed"),
}


@pytest.mark.parametrize(("suffix", "text", "message"), PLACED.values(), ids=PLACED)
def test_what_cannot_be_read_has_its_line(tmp_path, suffix, text, message):
    with pytest.raises(SpecError, match=rf"given{suffix}: ({message})"):
        from_text(tmp_path, suffix, text)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ok".encode("utf-16"), "line 1: expected UTF-8, got UTF-16: save the file as UTF-8"),
        ("ok".encode("utf-32"), "line 1: expected UTF-8, got UTF-32: save the file as UTF-8"),
        (b"a\nb\n# \xe9", "line 3: expected UTF-8, got byte 0xe9"),
        (b"a\nb\0", "line 2, column 2: expected text in UTF-8, got a zero byte"),
    ],
)
def test_other_encodings_are_refused(tmp_path, suffix, content, message):
    with pytest.raises(SpecError, match=message):
        from_text(tmp_path, suffix, content)


TWICE = {
    ".json": '{"type": "Sum", "terms": [{"type": "Constant", "value": 1, "value": 2}]}',
    ".yaml": "type: Sum\nterms:\n- type: Constant\n  value: 1\n  value: 2\n",
}


@pytest.mark.parametrize("suffix", TWICE)
def test_keys_that_stand_twice_are_refused_by_their_path(tmp_path, suffix):
    with pytest.raises(SpecError) as caught:
        from_text(tmp_path, suffix, TWICE[suffix])
    assert caught.value.errors == [("terms[0].value", "expected one value, got the key more than once")]


INFINITE = {
    ".json": ("NaN", "Infinity", "-Infinity", "1e999"),
    ".toml": ("nan", "inf", "-inf", "1e999"),
    ".yaml": (".nan", ".inf", "-.INF", "1e999"),
}


@pytest.mark.parametrize(
    ("suffix", "written"), [(suffix, text) for suffix, texts in INFINITE.items() for text in texts]
)
def test_infinities_are_refused_by_their_path(tmp_path, suffix, written):
    assigned = {".json": '{{"type": "Constant", "value": {}}}', ".toml": "type = 'Constant'\nvalue = {}"}
    text = assigned.get(suffix, "type: Constant\nvalue: {}").format(written)
    with pytest.raises(SpecError) as caught:
        from_text(tmp_path, suffix, text)
    (path, message), *others = caught.value.errors
    assert (path, others) == ("value", [])
    assert message.startswith("expected a finite number, got ")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_file_is_named_before_what_is_wrong_in_it(tmp_path, suffix):
    text = {".json": '{"type": "Linear"}', ".toml": 'type = "Linear"', ".yaml": "type: Linear"}[suffix]
    with pytest.raises(SpecError, match=rf"given{suffix}: 3 errors\n  init_value: expected a number, got nothing\n"):
        from_text(tmp_path, suffix, text)


@pytest.mark.parametrize("name", ["lr", "lr.jsn", "lr.txt", "lr.json.gz"])
def test_other_names_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.json, \.toml, \.yaml, \.yml, got"):
        lr.load(tmp_path / name)
    with pytest.raises(ValueError, match=r"expected a name that ends in \.json, \.toml, \.yaml, \.yml, got"):
        lr.dump(lr.Constant(1), tmp_path / name)


def test_no_file_and_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        lr.load(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        lr.dump(lr.Constant(1), tmp_path / "none" / "lr.json")
    with pytest.raises(TypeError, match=r"schedule: expected a schedule of lrcore's, got 0\.5"):
        lr.dump(0.5, tmp_path / "lr.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "suffix", "does"), [("yaml", ".yaml", "load"), ("yaml", ".yaml", "dump"), ("tomli_w", ".toml", "dump")]
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, suffix, does):
    path = tmp_path / f"lr{suffix}"
    path.write_text("")
    monkeypatch.setitem(sys.modules, package, None)
    call = {"load": lambda: lr.load(path), "dump": lambda: lr.dump(lr.Constant(1), path)}[does]
    with pytest.raises(ImportError, match=r"needs (pyyaml|tomli-w): pip install 'lrcore\[spec\]'"):
        call()


def test_yaml_without_the_c_library(tmp_path, monkeypatch):
    for name in ("CSafeLoader", "CSafeDumper"):
        monkeypatch.delattr(yaml, name, raising=False)
    lr.dump(WAITING, tmp_path / "lr.yaml")
    assert lr.load(tmp_path / "lr.yaml") == WAITING
    with pytest.raises(SpecError, match=r"line 1, column 4: expected values without tags"):
        from_text(tmp_path, ".yaml", "a: !x 1")
    with pytest.raises(SpecError, match=r"line 2, column 4: special characters are not allowed"):
        from_text(tmp_path, ".yaml", "a: 1\nb: \x07")


# ---- Writing ----


def test_a_dump_that_fails_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "lr.json"
    lr.dump(lr.Constant(1), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        lr.dump(lr.Constant(2), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["lr.json"]


@pytest.mark.parametrize(("suffix", "values"), [(".json", 100_000), (".toml", 100_000), (".yaml", 100_000)])
def test_what_load_would_refuse_is_not_written(tmp_path, monkeypatch, suffix, values):
    monkeypatch.setitem(_specfiles.FORMATS, ".json", _specfiles.FORMATS[".json"]._replace(longest=1 << 20))
    table = lr.Table([0.1234567890123456] * values)
    with pytest.raises(
        SpecError, match=r"expected at most \d+ MiB of \w+, got more: write long tables with save_table"
    ):
        lr.dump(table, tmp_path / f"lr{suffix}")
    assert not list(tmp_path.iterdir())


def test_so_many_points_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(_specfiles, "MOST_CONTAINERS", 1000)
    points = lr.Interpolate([(step, 0.5) for step in range(999)])
    with pytest.raises(SpecError, match=r"expected at most 1,000 lists and mappings, got 1,001"):
        lr.dump(points, tmp_path / "lr.json")


# ---- What does harm elsewhere ----

HOSTILE = """
import json, os, sys, time
from pathlib import Path
import lrcore as lr
from lrcore import _specfiles
import yaml

MiB = 1 << 20
PEOPLE = {
    "deep lists": (".json", "[" * 100_000),
    "deep mappings": (".json", '{"type":' * 100_000),
    "deep terms": (".json", '{"type":"Sum","terms":[' * 100_000),
    "digits": (".json", '{"type":"Constant","value":' + "9" * (10 * MiB) + "}"),
    "digits after the point": (".json", '{"type":"Constant","value":0.' + "9" * (10 * MiB) + "}"),
    "a long exponent": (".json", '{"type":"Constant","value":1e' + "9" * 399 + "}"),
    "a huge duration": (".json", '{"type":"Linear","init_value":1,"end_value":0,"steps":"1e999999999ep"}'),
    "a long duration": (".json", '{"type":"Linear","init_value":1,"end_value":0,"steps":"' + "9" * 399 + 'ep"}'),
    "a duration of spaces": (".json", '{"type":"Linear","init_value":1,"end_value":0,"steps":"' + " " * MiB + 'x"}'),
    "a long type": (".json", '{"type":"' + "Linear" * MiB + '"}'),
    "a long key": (".json", '{"type":"Linear","' + "steps" * MiB + '":1}'),
    "too long": (".json", " " * (16 * MiB + 1)),
    "many numbers": (".json", '{"type":"Linear","init_value":[' + "1.5," * (4 * MiB - 20) + "1]}"),
    "many lists": (".json", "[" + "[]," * (5 * MiB) + "1]"),
    "many keys": (".json", "{" + '"a":1,' * (2 * MiB) + '"b":1}'),
    "many texts": (".json", "[[[]]," * 300 + '"",' * (5 * MiB)),
    "many errors": (".json", '{"type":"Sum","terms":[' + '{"type":"Linear"},' * 100_000 + "1]}"),
    "many schedules": (".json", '{"type":"Sum","terms":[' + '{"type":"Constant","value":1},' * 100_000 + "1]}"),
    "many types": (".json", '{"type":"Sum","terms":[' + '{"type":"Constand","value":1},' * 100_000 + "1]}"),
    "dotted key": (".toml", "a" + ".a" * 500_000 + "=1"),
    "dotted headers": (".toml", "".join(f"[a{at}" + ".a" * 120 + "]\\nb" + ".b" * 120 + "=1\\n" for at in range(2000))),
    "hidden dots": (".toml", 'x = {k = ' + "'''" + "'''" + "''', a" + ".b" * 500_000 + " = 1}"),
    "deep in toml": (".toml", "a=" + "[" * 100_000),
    "inline tables": (".toml", "a=" + "{a=" * 100_000),
    "keys below a long header": (".toml", "[a" + ".a" * 120 + "]\\n" + "".join(f"b{at}=1\\n" for at in range(32_000))),
    "toml digits": (".toml", "a=" + "9" * (MiB - 2)),
    "too long in toml": (".toml", " " * (MiB + 1)),
    "billion laughs": (".yaml", "a: &a [x]\\n" + "".join(f"{b}: &{b} [*{a},*{a}]\\n" for a, b in ("ab", "bc", "cd"))),
    "deep flow": (".yaml", "[" * 100_000),
    "deep dashes": (".yaml", "- " * 100_000),
    "deep questions": (".yaml", "? " * 100_000),
    "deep blocks": (".yaml", "".join(" " * at + "a:\\n" for at in range(1400))),
    "many colons": (".yaml", "a:" * 500_000),
    "anchors": (".yaml", "&" * MiB),
    "many items": (".yaml", "- 1\\n" * 250_000),
    "a long text": (".yaml", 'a: "' + "\\\\n" * 500_000 + '"'),
    "many flow keys": (".yaml", "{" + ",".join(f"a{at}" for at in range(140_000)) + "}"),
    "too long in yaml": (".yaml", " " * (MiB + 1)),
}


def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


folder, found = Path(sys.argv[1]), {}
base = peak() if os.path.exists("/proc/self/status") else None
for name, (suffix, text) in PEOPLE.items():
    path = folder / f"hostile{suffix}"
    path.write_text(text)
    begin = time.process_time()
    try:
        lr.load(path)
        outcome = "loaded"
    except lr.SpecError as error:
        outcome = str(error)
    found[name] = (outcome[:400], len(outcome), time.process_time() - begin)
grown = None if base is None else peak() - base
print(json.dumps({"found": found, "grown": grown}))
"""


def test_hostile_files_are_refused_soon_and_with_little_memory(tmp_path):
    """Python and numpy in a process of their own, so that the peak is that of these files. The bounds are far off."""
    done = subprocess.run(
        [sys.executable, "-c", HOSTILE, str(tmp_path)], capture_output=True, text=True, check=True, timeout=300
    )
    result = json.loads(done.stdout)
    for name, (outcome, length, seconds) in result["found"].items():
        assert outcome != "loaded", name
        assert length < 30_000, name
        assert seconds < 15, (name, outcome)
    if result["grown"] is not None:
        assert result["grown"] < 700, "MiB"
