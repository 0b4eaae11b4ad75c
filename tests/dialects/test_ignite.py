"""ignite.handlers beside lrcore.dialects.ignite, by Ignite's own simulate_values."""

import warnings

import numpy as np
import pytest
import torch
from conformance import Row, always, compare
from hypothesis import assume, given, settings, strategies as st

from lrcore import Cosine, Cycle, ExponentialDecay, Interpolate, Linear
from lrcore.dialects import ignite as dialect
from lrcore.dialects._dialect import PEERS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ignite import handlers as peers


def optimizer_at(base_lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)


def simulated(name):
    def run(arguments, n):
        values = getattr(peers, name).simulate_values(num_events=n, param_name="lr", **arguments)
        return np.array([value for _, value in values])

    return run


def after_events(name):
    """Ignite says what stands after 1, 2, ... events; what stood before the first is the user's."""

    def run(arguments, n):
        kind = getattr(peers, name)
        values = [
            value for _, value in kind.simulate_values(num_events=n - 1, param_name="x", create_new=True, **arguments)
        ]
        return np.array([np.nan, *values])

    return run


def made(kind, arguments, optimizer):
    return getattr(peers, kind)(optimizer, "lr", **arguments)


def concatenated(arguments, n):
    optimizer = optimizer_at(0.1)
    schedulers = [made(kind, given, optimizer) for kind, given in arguments["schedulers"]]
    values = peers.ConcatScheduler.simulate_values(n, schedulers, arguments["durations"])
    return np.array([value for _, value in values])


def before_the_first(_arguments, _n):
    return [0]


FAR = 200
rates = st.one_of(st.just(0.0), st.floats(1e-4, 1.0))
mults = st.one_of(st.just(1.0), st.floats(0.3, 1.5))
CYCLE = {
    "start_value": rates,
    "end_value": rates,
    "cycle_size": st.integers(2, 15),
    "cycle_mult": st.sampled_from([1.0, 1, 2, 3.0, 1.5, 1.1, 1.05]),
    "start_value_mult": mults,
    "end_value_mult": mults,
}
cosines = st.fixed_dictionaries({**CYCLE, "warmup_duration": st.integers(0, 6)})
triangles = st.fixed_dictionaries({**CYCLE, "monotonic": st.booleans()})
lines = st.fixed_dictionaries({**CYCLE, "warmup_duration": st.integers(0, 6), "monotonic": st.just(True)})
points = st.lists(st.tuples(st.integers(0, 40), rates), min_size=1, max_size=6).map(
    lambda drawn: sorted(drawn, key=lambda point: point[0])
)
UP = {"start_value": 0.0, "end_value": 1.0}
CORNERS = (
    {**UP, "cycle_size": 2},
    {**UP, "cycle_size": 3},
    {**UP, "cycle_size": 3, "cycle_mult": 2},  # its middle is between two updates in every cycle but the first
    {**UP, "cycle_size": 2, "cycle_mult": 1.4},  # never grows
    {**UP, "cycle_size": 5, "cycle_mult": 1.5, "start_value_mult": 0.5, "end_value_mult": 0.9},
    {"start_value": 0.5, "end_value": 0.5, "cycle_size": 4, "end_value_mult": 0.5},
    # what is between its values comes to nothing before they do
    {"start_value": 1.0, "end_value": 0.875, "cycle_size": 10, "cycle_mult": 1.1}
    | {"start_value_mult": 0.5, "end_value_mult": 0.5},
)

KINDS = st.one_of(
    st.tuples(st.just("CosineAnnealingScheduler"), cosines),
    st.tuples(st.just("LinearCyclicalScheduler"), triangles),
    st.tuples(st.just("PiecewiseLinear"), points.map(lambda drawn: {"milestones_values": drawn})),
)
ROWS = [
    Row(
        "ignite.LinearCyclicalScheduler",
        simulated("LinearCyclicalScheduler"),
        st.one_of(triangles, lines),
        lambda _: FAR,
        corners=(*CORNERS, {**UP, "cycle_size": 2, "warmup_duration": 1, "monotonic": True}),
        endless=always,
    ),
    Row(
        "ignite.CosineAnnealingScheduler",
        simulated("CosineAnnealingScheduler"),
        cosines,
        lambda _: FAR,
        corners=(*CORNERS, *({**corner, "warmup_duration": 3} for corner in CORNERS)),
        endless=always,
    ),
    Row(
        "ignite.PiecewiseLinear",
        simulated("PiecewiseLinear"),
        points.map(lambda drawn: {"milestones_values": drawn}),
        lambda _: 50,
        corners=tuple(
            {"milestones_values": drawn}
            for drawn in (
                [(0, 0.1)],
                [(7, 0.1)],
                [(0, 0.1), (0, 0.5), (4, 0.0)],
                [(3, 0.1), (3, 0.5)],
                [(1, 0.1), (3, 0.5), (3, 0.3), (3, 0.2), (5, 0.1)],
            )
        ),
    ),
    Row(
        "ignite.PiecewiseLinearStateScheduler",
        after_events("PiecewiseLinearStateScheduler"),
        points.map(lambda drawn: {"milestones_values": drawn}),
        lambda _: 50,
        corners=({"milestones_values": [(1, 0.1), (3, 0.5), (3, 0.2), (5, 0.1)]},),
        skip=before_the_first,
    ),
    Row(
        "ignite.ExpStateScheduler",
        after_events("ExpStateScheduler"),
        st.fixed_dictionaries({"initial_value": rates, "gamma": st.floats(0.3, 1.1)}),
        lambda _: FAR,
        endless=always,
        skip=before_the_first,
        floor=0,
    ),
    Row(
        "ignite.StepStateScheduler",
        after_events("StepStateScheduler"),
        st.fixed_dictionaries({"initial_value": rates, "gamma": st.floats(0.3, 1.1), "step_size": st.integers(1, 30)}),
        lambda _: FAR,
        endless=always,
        skip=before_the_first,
        floor=0,
    ),
    Row(
        "ignite.MultiStepStateScheduler",
        after_events("MultiStepStateScheduler"),
        st.fixed_dictionaries(
            {
                "initial_value": rates,
                "gamma": st.floats(0.3, 1.1),
                "milestones": st.lists(st.integers(0, 40), max_size=5).map(sorted),
            }
        ),
        lambda _: FAR,
        corners=(
            {"initial_value": 1.0, "gamma": 0.5, "milestones": []},
            {"initial_value": 1.0, "gamma": 0.5, "milestones": [0, 0, 3, 3]},
        ),
        skip=before_the_first,
        floor=0,
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_conformance(row, data):
    compare(row, data.draw(row.arguments))


@pytest.mark.parametrize(("row", "arguments"), [(row, corner) for row in ROWS for corner in row.corners])
def test_corners(row, arguments):
    compare(row, arguments)


@settings(max_examples=40, deadline=None)
@given(st.lists(KINDS, min_size=2, max_size=4), st.lists(st.integers(1, 40), min_size=3, max_size=3))
def test_concatenations(kinds, durations):
    durations = durations[: len(kinds) - 1]
    theirs = concatenated({"schedulers": kinds, "durations": durations}, 150)
    ours = dialect.ConcatScheduler([getattr(dialect, kind)(**given) for kind, given in kinds], durations)
    np.testing.assert_allclose(ours.table(150), theirs, rtol=1e-12, atol=1e-13)


@settings(max_examples=40, deadline=None)
@given(KINDS, rates, st.integers(2, 20), st.one_of(st.just("first"), rates))
def test_warmups_of_ignites_own(kind, start, duration, end):
    name, arguments = kind
    ours = getattr(dialect, name)(**arguments)
    optimizer = optimizer_at(0.1)
    if end == "first":  # where Ignite's first value is an ulp from ours, it is another number to Ignite
        end = ours(0)
        assume(made(name, arguments, optimizer).get_param() == end)
    outcome = [None] * 60
    peers.create_lr_scheduler_with_warmup(
        made(name, arguments, optimizer), start, duration, end, output_simulated_values=outcome
    )
    warm = dialect.create_lr_scheduler_with_warmup(ours, start, duration, end)
    np.testing.assert_allclose(warm.table(60), [value for _, value in outcome], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("duration", [2, 3, 10])
@pytest.mark.parametrize("end", [None, 0.5, 0.3])
def test_warmups_of_torchs(duration, end):
    optimizer = optimizer_at(0.5)
    torchs = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    outcome = [None] * 40
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peers.create_lr_scheduler_with_warmup(torchs, 0.1, duration, end, output_simulated_values=outcome)
    ours = dialect.create_lr_scheduler_with_warmup(ExponentialDecay(0.5, 0.9), 0.1, duration, end)
    np.testing.assert_allclose(ours.table(40), [value for _, value in outcome], rtol=1e-12)


def test_every_schedule_has_a_row():
    others = {"ignite.ConcatScheduler", "ignite.create_lr_scheduler_with_warmup"}  # above
    others |= {"ignite.LambdaStateScheduler"}  # below
    assert {key for key in PEERS if key.startswith("ignite.")} == {row.key for row in ROWS} | others


@pytest.mark.parametrize("given", [lambda event: 0.9 ** (event % 9), [1.0, 0.5, 0.25], Linear(1.0, 0.0, 7)])
def test_values_of_the_users_own(given):
    function = given if callable(given) else lambda event: given[min(event, 2)]
    theirs = after_events("LambdaStateScheduler")({"lambda_obj": function}, 20)
    steps = 20 if callable(given) and not isinstance(given, Linear) else None
    ours = dialect.LambdaStateScheduler(given, steps).table(20)
    assert ours[1:].tolist() == theirs[1:].tolist()


def test_groups_of_parameters():
    """What the optimizer has in its two groups, event by event: Ignite's simulation is an event late at restarts."""
    parameters = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [parameter]} for parameter in parameters], lr=0.1)
    shapes = [(0.0, 1.0, 4), (0.0, 0.1, 5)]
    both = peers.ParamGroupScheduler(
        [
            peers.CosineAnnealingScheduler(optimizer, "lr", *shape, param_group_index=at)
            for at, shape in enumerate(shapes)
        ],
    )
    theirs = []
    for _ in range(20):
        both(None)
        theirs.append([float(group["lr"]) for group in optimizer.param_groups])
    ours = dialect.ParamGroupScheduler([dialect.CosineAnnealingScheduler(*shape) for shape in shapes])
    assert list(ours) == ["group 0", "group 1"]
    for at, schedule in enumerate(ours.values()):
        np.testing.assert_allclose(schedule.table(20), [row[at] for row in theirs], rtol=1e-12, atol=1e-15)
    with pytest.raises(ValueError, match=r"ParamGroupScheduler.names: expected 2 names, all different"):
        dialect.ParamGroupScheduler([0.1, 0.2], ["lr", "lr"])


def test_they_are_the_plain_schedules_where_they_can_be():
    assert dialect.CosineAnnealingScheduler(1.0, 0.1, 10) == Cycle(Cosine(1.0, 0.1, 10), 10)
    assert dialect.LinearCyclicalScheduler(1.0, 0.1, 10, monotonic=True) == Cycle(Linear(1.0, 0.1, 10), 10)
    assert dialect.PiecewiseLinear([(0, 1.0), (5, 0.0)]) == Interpolate([(0, 1.0), (5, 0.0)])


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"warmup_duration: expected 0 without monotonic, got 3"):
        dialect.LinearCyclicalScheduler(0.0, 1.0, 4, warmup_duration=3)
    with pytest.raises(ValueError, match=r"cycle_size: expected a whole number of updates, an int >= 2, got 1"):
        dialect.CosineAnnealingScheduler(0.0, 1.0, 1)
    with pytest.raises(ValueError, match=r"cycle_mult: expected a number >= 1"):
        dialect.CosineAnnealingScheduler(0.0, 1.0, 10, 0.5)
    with pytest.raises(ValueError, match=r"cycle_mult: expected 1, or a factor with at most 10000 cycles"):
        dialect.CosineAnnealingScheduler(0.0, 1.0, 10_000, 1.001)
    with pytest.raises(ValueError, match=r"milestones_values\[1\]\[0\]: expected an event not before the last one, 3"):
        dialect.PiecewiseLinear([(3, 0.1), (2, 0.1)])
    with pytest.raises(ValueError, match=r"milestones_values: expected at least one \(event, value\) pair"):
        dialect.PiecewiseLinear([])
    with pytest.raises(ValueError, match=r"MultiStepStateScheduler.milestones: expected events in order, got \[3, 2\]"):
        dialect.MultiStepStateScheduler(1.0, 0.5, [3, 2])
    with pytest.raises(ValueError, match="two schedulers or more, and one duration less"):
        dialect.ConcatScheduler([Linear(0.0, 1.0, 4)], [])
