"""Whatever is given, a schedule or a SpecError comes out."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

import lrcore as lr
from lrcore import _specfiles, _specschema, expression, spec
from lrcore.spec import SpecError
from strategies import schedules

KEYS = sorted({key for name in expression.NAMES for key in _specschema.arguments_of(name)})
NAMES = [*expression.NAMES, "Linaer", "__init__", ""]
DURATIONS = ["5ep", "30%", "2e9tok", "1e6samples", "rest", "length", "5", "1e99ep", "-1ep", "9" * 50 + "ep", "٣ep"]
TARGET = Path(__file__).with_name("fuzz.py")

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 20)
    | st.integers()
    | st.floats()
    | st.sampled_from([*DURATIONS, "cosine", "linear", "right", "float32", "tables/x.npy", 2**53, 10**400, 1e100])
    | st.text(max_size=5)
)
keys = st.sampled_from([*KEYS, "type", "lrcore", "$schema", "dtype", "file", "sha256"]) | st.text(max_size=3)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=5)
        | st.dictionaries(keys, inner, max_size=5).flatmap(
            lambda data: st.sampled_from(NAMES).map(lambda name: data | {"type": name})
        )
    ),
    max_leaves=25,
)


def check(data):
    """A schedule comes out that is written and read as the same; or errors, that can be shown."""
    try:
        found = spec.from_dict(data)
    except SpecError as error:
        check_errors(error)
        return
    assert isinstance(found, lr.Schedule)
    assert spec.from_dict(spec.to_dict(found)) == found


def check_errors(error):
    assert error.errors
    assert len(str(error)) < 100_000
    str(error).encode("utf-8", "strict")


def unreadable(content, suffix):
    """The complaint about bytes, or None and the data."""
    try:
        return None, _specfiles.read(content, _specfiles.FORMATS[suffix])
    except _specfiles.UnreadableError as error:
        return str(error), None


@settings(max_examples=500, deadline=None)
@given(anything)
def test_anything(data):
    check(data)


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(list(expression.NAMES)))
def test_any_arguments_of_a_type(draw, name):
    arguments = _specschema.arguments_of(name)
    node = {key: draw.draw(anything) for key in arguments if draw.draw(st.booleans()) or arguments[key].required}
    check({"type": name, **node})


def places(data, path=()):
    """Every place in data."""
    yield path
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@settings(max_examples=500, deadline=None)
@given(st.data(), schedules(3))
def test_a_spec_with_something_else_in_a_place(draw, schedule):
    data = spec.to_dict(schedule)
    path = draw.draw(st.sampled_from([path for path in places(data) if path]))
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    what = draw.draw(st.sampled_from(["replace", "delete", "rename"]))
    if what == "replace":
        inner[path[-1]] = draw.draw(anything)
    else:
        item = inner.pop(path[-1])
        if what == "rename" and isinstance(inner, dict):
            inner[draw.draw(keys)] = item
    check(data)


SUFFIXES = st.sampled_from([".json", ".toml", ".yaml"])


@settings(max_examples=300, deadline=None)
@given(st.data(), SUFFIXES, schedules(2))
def test_a_file_with_other_bytes_in_a_place(draw, suffix, schedule):
    form = _specfiles.FORMATS[suffix]
    content = bytearray(_specfiles.write(spec.to_dict(schedule), form))
    for _ in range(draw.draw(st.integers(1, 3))):
        begin = draw.draw(st.integers(0, len(content)))
        other = draw.draw(
            st.binary(max_size=3) | st.text("{}[]\"':,#-&*!|>%@`\n\t .0123456789eE", max_size=4).map(str.encode)
        )
        content[begin : begin + draw.draw(st.integers(0, 3))] = other
    complaint, data = unreadable(bytes(content), suffix)
    if complaint is None:
        check(data)
    else:
        assert 5 < len(complaint) < 300


@settings(max_examples=300, deadline=None)
@given(SUFFIXES, st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_any_bytes(suffix, content):
    complaint, _ = unreadable(content, suffix)
    assert complaint is None or 5 < len(complaint) < 300


@settings(max_examples=200, deadline=None)
@given(anything.filter(lambda data: isinstance(data, dict)))
def test_formats_agree_on_what_json_says(data):
    """TOML says less: it has no null."""
    try:
        text = json.dumps(data, allow_nan=False)
        contents = {
            suffix: _specfiles.write(json.loads(text), _specfiles.FORMATS[suffix]) for suffix in (".json", ".yaml")
        }
        read = {suffix: _specfiles.read(content, _specfiles.FORMATS[suffix]) for suffix, content in contents.items()}
    except ValueError:  # what no format says, or more than we read
        return
    assert read[".json"] == read[".yaml"] == json.loads(text)


@pytest.mark.skipif(find_spec("atheris") is None, reason="needs atheris")
def test_a_short_run_of_the_target(tmp_path):
    command = [sys.executable, str(TARGET), "-runs=20000", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 20000 runs" in done.stderr
