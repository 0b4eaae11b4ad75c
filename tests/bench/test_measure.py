"""How times become a verdict, by a clock that is told what to show."""

import numpy as np
import pytest

from bench._measure import DisagreementError, Kind, Line, Timing, check, judged, measure, places, take_turns


class Work:
    """Functions that take as long as they say, on a clock of their own, and remember who was called."""

    def __init__(self):
        self.now = 0
        self.called = []

    def clock(self):
        return self.now

    def taking(self, name, *durations):
        left = list(durations)

        def run():
            self.called.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def line(ours, peer=None, kind=Kind.COST, **more):
    defaults = {"topic": "topic", "name": "name", "count": 10, "unit": "×"}
    return Line(ours=ours, peer=peer, kind=kind, **(defaults | more))


def timed(kind, ours, peer=None, **more):
    work = Work()
    one = line(work.taking("ours", *ours), work.taking("peer", *peer) if peer else None, kind, **more)
    return judged(one, take_turns(one, len(ours), work.clock))


def test_the_two_take_turns_and_each_is_first_in_half_of_the_rounds():
    work = Work()
    take_turns(line(work.taking("ours", 1), work.taking("peer", 1)), rounds=4, clock=work.clock)
    assert work.called == ["peer", "ours", "ours", "peer", "peer", "ours", "ours", "peer"]


def test_the_figure_is_of_the_best_rounds_and_the_median_of_the_ratios():
    row = timed(Kind.COST, ours=[40, 30, 90], peer=[10, 20, 10], bound=3.5)
    assert row["ours"] == 3.0
    assert row["median"] == 4.0
    assert row["met"] is True
    assert (row["ours_ns"], row["peer_ns"], row["rounds"]) == (3.0, 1.0, 3)


@pytest.mark.parametrize(
    ("kind", "ours", "peer", "bound", "met"),
    [
        (Kind.COST, [40], [10], 4.0, True),
        (Kind.COST, [41], [10], 4.0, False),
        (Kind.SPEEDUP, [10], [50], 5.0, True),
        (Kind.SPEEDUP, [10], [49], 5.0, False),
        (Kind.TIME, [2500], None, 250.0, True),
        (Kind.TIME, [2510], None, 250.0, False),
        (Kind.TIME, [2510], None, None, None),
    ],
)
def test_a_bound_is_a_lower_one_for_speed_and_an_upper_one_for_cost(kind, ours, peer, bound, met):
    row = timed(kind, ours, peer, bound=bound, unit="ns")
    assert row["met"] is met
    assert row["least"] is (kind is Kind.SPEEDUP)


def test_a_time_is_given_in_its_unit_for_one_item():
    assert timed(Kind.TIME, [50_000], unit="µs")["ours"] == 5.0


def test_noise_is_the_middle_half_of_the_rounds():
    assert timed(Kind.TIME, [100, 100, 100, 100], unit="ns")["noise"] == 0.0
    assert timed(Kind.TIME, [80, 90, 100, 110, 120], unit="ns")["noise"] == pytest.approx(0.2)
    assert timed(Kind.TIME, [100], unit="ns")["noise"] == 0.0


@pytest.mark.parametrize(("by_wall_clock", "share", "met"), [(True, 0.5, None), (True, 1.3, True), (False, 0.5, True)])
def test_the_wall_clock_of_a_busy_machine_gives_no_verdict(by_wall_clock, share, met):
    threads = line(None, None, Kind.SPEEDUP, bound=1.7, by_wall_clock=by_wall_clock)
    row = judged(threads, Timing([10], [20], share))
    assert row["met"] is met
    assert row["ours"] == 2.0
    assert ("no verdict" in row["note"]) is (met is None)


def test_results_are_compared_before_anything_is_timed():
    wrong = line(lambda: np.full(10, 1.0), lambda: np.full(10, 1.1), bound=9.0)
    row = measure(wrong, rounds=3)
    assert row["met"] is False
    assert row["ours"] is None
    assert "wrong: name" in row["note"]


def test_two_results_in_one_buffer_are_still_compared():
    room = np.zeros(10)

    def fill(value):
        room.fill(value)
        return room

    check(line(lambda: fill(1.0), lambda: fill(1.0)))
    with pytest.raises(DisagreementError, match=r"ours .*1\.0.*theirs .*2\.0"):
        check(line(lambda: fill(1.0), lambda: fill(2.0)))


def test_an_expected_result_replaces_the_peers():
    steps = np.arange(10.0)
    check(line(lambda: steps, lambda: None, expected=lambda at: at.astype(float)))
    with pytest.raises(DisagreementError):
        check(line(lambda: steps, lambda: None, expected=lambda at: at + 1.0))


def test_a_result_that_is_no_number_agrees_with_none():
    with pytest.raises(DisagreementError):
        check(line(lambda: np.full(10, np.nan), lambda: np.ones(10)))


def test_the_tolerance_is_of_the_largest_value():
    near = line(lambda: np.array([100.0, 1e-13]), lambda: np.array([100.0, 0.0]), count=2, tolerance=1e-12)
    check(near)
    with pytest.raises(DisagreementError):
        check(line(near.ours, near.peer, count=2, tolerance=1e-16))


def test_a_missing_peer_leaves_the_line_unmeasured():
    def peer():
        raise ModuleNotFoundError("No module named 'numba'")

    row = measure(line(lambda: np.zeros(10), peer, bound=5.0), rounds=3)
    assert row["met"] is None
    assert row["note"] == "not measured: No module named 'numba'"


def test_both_ends_are_among_the_places_compared():
    assert places(3).tolist() == [0, 1, 2]
    assert places(50_000_000)[[0, -1]].tolist() == [0, 49_999_999]
    assert len(places(50_000_000)) <= 100_001


def test_a_peer_that_does_fewer_items_is_compared_by_the_item():
    row = timed(Kind.SPEEDUP, ours=[1000], peer=[600], count=100, peer_count=20, bound=3.0)
    assert row["ours"] == 3.0
    assert (row["ours_ns"], row["peer_ns"]) == (10.0, 30.0)
    assert row["met"] is True


def test_only_the_items_that_both_have_are_compared():
    few = line(lambda: np.arange(10.0), lambda: np.arange(4.0), peer_count=4)
    check(few)
    with pytest.raises(DisagreementError, match="at 3"):
        check(line(lambda: np.arange(10.0), lambda: np.array([0.0, 1.0, 2.0, 4.0]), peer_count=4))


@pytest.mark.parametrize("strays", [0, 1, 2])
def test_a_peer_may_be_wrong_at_so_many_places(strays):
    wrong = np.arange(10.0)
    wrong[[2, 7]] += 1.0
    odd = line(lambda: np.arange(10.0), lambda: wrong, strays=strays)
    if strays == 2:
        check(odd)
        return
    with pytest.raises(DisagreementError):
        check(odd)


def test_a_line_ends_when_its_time_is_over_but_not_before_three_rounds():
    assert len(take_turns(line(lambda: None, lambda: None), rounds=9, longest=0.0).ours) == 3
    assert len(take_turns(line(lambda: None, lambda: None), rounds=9).ours) == 9


def test_a_place_in_a_picture_stands_in_the_row():
    assert timed(Kind.TIME, [100], unit="ns", about={"size": 3})["about"] == {"size": 3}
    assert "about" not in timed(Kind.TIME, [100], unit="ns")
