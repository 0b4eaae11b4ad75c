"""The page of results says what the measurements say, and has a picture for each topic."""

import json
from pathlib import Path

import pytest

from bench import __main__ as runner
from bench._page import PAGE, TITLES, markdown, newest, write_page

RESULTS = Path(__file__).parents[2] / "bench" / "results"

ABOUT = {"commit": "abc", "machine": {"processor": "An Abacus", "cores": 2}, "quick": False}
COST = {"topic": "fill", "line": "Cosine", "ours": 2.0, "unit": "× fill", "bound": 4.0, "met": True, "note": ""}
COST |= {"ours_ns": 2.0, "peer_ns": 1.0}
MISSED = {"topic": "take", "line": "a | b", "ours": 1.5, "unit": "×", "bound": 2.0, "least": True, "met": False}
MISSED |= {"ours_ns": 4e3, "peer_ns": 6e3, "note": "slow"}
ALONE = {"topic": "memory", "line": "peak", "ours": 0.0, "unit": "MiB", "bound": 1.0, "met": True}
ABSENT = {"topic": "fill", "line": "Linear", "ours": None, "unit": "×", "bound": 2.0, "met": None, "note": "no disk"}
BESIDE = {"topic": "disk", "line": "Cosine, 1 G", "ours": 3.0, "unit": "×", "bound": 1.0, "least": True, "met": True}
BESIDE |= {"ours_ns": 5.0, "peer_ns": 15.0, "about": {"steps": "1 G", "schedule": "Cosine", "peer": "NumPy"}}
GROWTH = [
    {"topic": "scaling", "line": f"{size} groups", "ours": 5.0, "unit": "×", "bound": 4.0, "least": True, "met": True}
    | {"ours_ns": 1e3, "peer_ns": 5e3, "about": {"series": "groups: step()", "size": size}}
    for size in (1, 10, 100)
]


def put(folder, name, date, rows, **more):
    (folder / f"2026-{name}.json").write_text(json.dumps(ABOUT | {"date": date, "lines": rows} | more))


def test_the_committed_page_is_what_the_committed_measurements_say():
    assert (RESULTS / PAGE).read_text() == markdown(newest(RESULTS)), "python -m bench --page"


def test_every_topic_of_the_committed_page_has_a_small_picture():
    for topic in newest(RESULTS):
        picture = RESULTS / f"{topic}.png"
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size < 150_000


def test_every_topic_has_a_title():
    assert list(TITLES) == runner.TOPICS


def test_of_each_topic_the_newest_measurement_that_was_meant_to_count(tmp_path):
    put(tmp_path, "a", "2026-02-01T00:00", [COST | {"ours": 3.0}, MISSED])
    put(tmp_path, "b", "2026-01-01T00:00", [COST | {"ours": 1.0}, ALONE])
    put(tmp_path, "c", "2026-03-01T00:00", [COST], quick=True)
    put(tmp_path, "d", "2026-03-01T00:00", [COST], broken_off=True)
    (tmp_path / "other.json").write_text("[]")
    found = newest(tmp_path)
    assert list(found) == ["fill", "take", "memory"]
    assert found["fill"][1][0]["ours"] == 3.0
    assert found["memory"][0]["file"] == "2026-b.json"


@pytest.mark.parametrize(
    ("row", "line"),
    [
        (COST, "| Cosine | 2 ns | 1 ns | 2 × fill | ≤ 4 | met |  |"),
        (MISSED, "| a \\| b | 4 µs | 6 µs | 1.5 × | ≥ 2 | **missed** | slow |"),
        (ALONE, "| peak | 0 MiB |  |  | ≤ 1 | met |  |"),
        (ABSENT, "| Linear | – | – | – | ≤ 2 |  | no disk |"),
    ],
)
def test_a_line_of_the_page(row, line, tmp_path):
    put(tmp_path, "a", "2026-01-01T00:00", [row])
    assert line in markdown(newest(tmp_path)).splitlines()


def test_the_page_counts_bounds(tmp_path):
    put(tmp_path, "a", "2026-01-01T00:00", [COST, MISSED, ABSENT, COST | {"bound": None, "met": None}])
    assert "**1 of 3 bounds met.**" in markdown(newest(tmp_path))


def test_a_picture_of_each_kind_is_drawn(tmp_path, capsys):
    put(tmp_path, "a", "2026-01-01T00:00", [COST, MISSED, ALONE, ABSENT, BESIDE, *GROWTH])
    write_page(tmp_path)
    drawn = {path.stem for path in tmp_path.glob("*.png")}
    assert drawn == {"fill", "take", "memory", "disk", "scaling"}
    assert "5 topics" in capsys.readouterr().out
