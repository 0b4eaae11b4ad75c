"""lrcore.bindings.torch.Scheduler with several schedules, several hyper-parameters and several schedulers."""

import copy
import gc
import pickle
import re
import weakref

import pytest
import torch
from torch.optim.lr_scheduler import ChainedScheduler, ExponentialLR, LinearLR, ReduceLROnPlateau, SequentialLR

import lrcore as lr
from lrcore.bindings.torch import Scheduler, param_groups
from lrcore.groups import ByName, NoDecay

UP = lr.Linear(0.1, 0.5, 8)
DOWN = lr.Linear(0.95, 0.85, 8)
COSINE = lr.Cosine(0.3, 0.01, 9)


def sgd(groups=1, rate=1.0, momentum=0.9, **options):
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], **options} for _ in range(groups)]
    return torch.optim.SGD(parameters, lr=rate, momentum=momentum)


def adam(groups=1, betas=(0.9, 0.999)):
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(groups)]
    return torch.optim.AdamW(parameters, lr=1.0, betas=betas)


def go(optimizer, *schedulers):
    optimizer.step()
    for scheduler in schedulers:
        scheduler.step()


def column(optimizer, key):
    return [group[key] for group in optimizer.param_groups]


# --- Groups


def test_a_list_gives_each_group_its_own_schedule():
    optimizer = sgd(2)
    scheduler = Scheduler(optimizer, [UP, COSINE])
    for step in range(12):
        assert column(optimizer, "lr") == [UP(step), COSINE(step)]
        assert scheduler.get_lr() == scheduler.get_last_lr() == [UP(step), COSINE(step)]
        go(optimizer, scheduler)


def test_a_group_added_later_has_the_last_schedule_of_a_list():
    optimizer = sgd(2)
    scheduler = Scheduler(optimizer, [UP, COSINE])
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    assert column(optimizer, "lr") == scheduler.get_lr() == [UP(0), COSINE(0), COSINE(0)]


def test_each_group_has_its_scale():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    optimizer = torch.optim.SGD(param_groups(model, [ByName(r"^0\.", 0.25)]), lr=1.0)
    scheduler = Scheduler(optimizer, COSINE)
    scales = [group.get("lr_scale", 1.0) for group in optimizer.param_groups]
    assert sorted(scales) == [0.25, 1.0]
    for step in range(12):
        assert column(optimizer, "lr") == [COSINE(step) * scale for scale in scales]
        go(optimizer, scheduler)


def test_a_scale_that_is_changed_counts_after_a_refresh():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, 0.5)
    optimizer.param_groups[0]["lr_scale"] = 0.5
    scheduler.refresh()
    assert column(optimizer, "lr") == [0.25]


def test_only_the_chosen_groups_are_driven():
    optimizer = sgd(3, rate=7.0)
    scheduler = Scheduler(optimizer, [UP, COSINE], groups=[2, 0])
    for step in range(4):
        assert column(optimizer, "lr") == [COSINE(step), 7.0, UP(step)]
        go(optimizer, scheduler)
    assert scheduler.get_lr() == [COSINE(4), 7.0, UP(4)]
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 9.0})
    assert column(optimizer, "lr")[3] == 9.0


# --- Hyper-parameters


def test_a_dict_drives_several_hyper_parameters():
    optimizer = sgd(2, weight_decay=0.5)
    scheduler = Scheduler(optimizer, {"lr": UP, "momentum": DOWN, "weight_decay": [0.25, COSINE]})
    for step in range(12):
        assert column(optimizer, "lr") == [UP(step)] * 2
        assert column(optimizer, "momentum") == [DOWN(step)] * 2
        assert column(optimizer, "weight_decay") == [0.25, COSINE(step)]
        go(optimizer, scheduler)


@pytest.mark.parametrize(
    ("param", "betas"),
    [
        ("momentum", lambda value: (value, 0.999)),
        ("betas", lambda value: (value, 0.999)),
        ("beta1", lambda value: (value, 0.999)),
        ("beta2", lambda value: (0.9, value)),
    ],
)
def test_the_betas_of_adam(param, betas):
    optimizer = adam(2)
    scheduler = Scheduler(optimizer, DOWN, param=param)
    for step in range(12):
        assert column(optimizer, "betas") == [betas(DOWN(step))] * 2
        assert column(optimizer, "lr") == [1.0, 1.0]
        go(optimizer, scheduler)


def test_a_beta_that_is_a_tensor_stays_the_same_tensor():
    beta = torch.tensor(0.9)
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=torch.tensor(0.1), betas=(beta, torch.tensor(0.999)), foreach=False)
    scheduler = Scheduler(optimizer, DOWN, param="momentum")
    first = optimizer.param_groups[0]["betas"]
    go(optimizer, scheduler)
    assert optimizer.param_groups[0]["betas"] is first
    assert first[0].item() == torch.tensor(DOWN(1)).item()


def test_one_cycle_with_its_inverse_momentum_has_torch_s_numbers():
    """The schedules of both come from the dialect; torch runs beside."""
    from lrcore.dialects import torch as dialect

    ours, theirs = sgd(), sgd()
    shape = {"total_steps": 20, "pct_start": 0.3}
    momentum = dialect.OneCycleLR(0.85, **shape, div_factor=0.85 / 0.95, final_div_factor=1.0)
    scheduler = Scheduler(ours, {"lr": dialect.OneCycleLR(0.5, **shape), "momentum": momentum})
    peer = torch.optim.lr_scheduler.OneCycleLR(theirs, 0.5, **shape)
    for _ in range(19):
        for key in ("lr", "momentum"):
            assert column(ours, key) == pytest.approx(column(theirs, key), rel=1e-12, abs=0.0)
        go(ours, scheduler)
        go(theirs, peer)


# --- Several schedulers


def test_two_schedulers_multiply():
    optimizer = sgd(2)
    both = Scheduler(optimizer, COSINE), Scheduler(optimizer, lr.step_decay(1.0, 0.5, 3))
    for step in range(12):
        assert column(optimizer, "lr") == [COSINE(step) * 0.5 ** (step // 3)] * 2
        go(optimizer, *both)


def test_the_order_of_stepping_does_not_matter():
    optimizer = sgd()
    first, second = Scheduler(optimizer, COSINE), Scheduler(optimizer, UP)
    for step in range(5):
        assert column(optimizer, "lr") == [COSINE(step) * UP(step)]
        go(optimizer, second, first)


def test_the_scale_of_a_group_counts_once():
    optimizer = sgd(lr_scale=0.5)
    both = Scheduler(optimizer, COSINE), Scheduler(optimizer, 2.0)
    go(optimizer, *both)
    assert column(optimizer, "lr") == [COSINE(1) * 2.0 * 0.5]


def test_a_scheduler_that_is_gone_takes_its_factor_with_it():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, COSINE)
    scheduler = Scheduler(optimizer, UP)
    assert column(optimizer, "lr") == [UP(0)]
    go(optimizer, scheduler)
    assert column(optimizer, "lr") == [UP(1)]


def test_the_factor_of_one_that_is_not_kept_is_gone_at_once():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, UP)
    Scheduler(optimizer, 0.5)
    assert column(optimizer, "lr") == scheduler.get_last_lr() == [UP(0)]


def test_schedulers_of_different_groups_or_hyper_parameters_do_not_multiply():
    optimizer = sgd(2)
    schedulers = [
        Scheduler(optimizer, UP, groups=[0]),
        Scheduler(optimizer, COSINE, groups=[1]),
        Scheduler(optimizer, DOWN, param="momentum"),
    ]
    for step in range(4):
        assert column(optimizer, "lr") == [UP(step), COSINE(step)]
        assert column(optimizer, "momentum") == [DOWN(step)] * 2
        go(optimizer, *schedulers)


def test_in_torch_s_chained_scheduler_ours_multiply():
    optimizer = sgd()
    chained = ChainedScheduler([Scheduler(optimizer, COSINE), Scheduler(optimizer, UP)], optimizer=optimizer)
    for step in range(6):
        assert column(optimizer, "lr") == [COSINE(step) * UP(step)]
        go(optimizer, chained)


@pytest.mark.parametrize("stop", range(8))
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_schedulers_that_multiply_resume(stop, order):
    def built():
        optimizer = sgd()
        return optimizer, [Scheduler(optimizer, COSINE), Scheduler(optimizer, UP)]

    optimizer, schedulers = built()
    for _ in range(stop):
        go(optimizer, *schedulers)
    states = copy.deepcopy([scheduler.state_dict() for scheduler in schedulers])
    optimizer, schedulers = built()
    for place in order:
        schedulers[place].load_state_dict(states[place])
    for step in range(stop, 10):
        assert column(optimizer, "lr") == [COSINE(step) * UP(step)]
        go(optimizer, *schedulers)


@pytest.mark.parametrize("order", [0, 1])
def test_a_factor_of_torch_s_scheduler_beside_ours_is_overwritten_and_said_so(order):
    optimizer = sgd()
    both = [Scheduler(optimizer, COSINE), ExponentialLR(optimizer, 0.5)]
    chained = ChainedScheduler(both[::-1] if order else both, optimizer=optimizer)
    go(optimizer, *[] if order else [chained])
    with pytest.warns(UserWarning, match=r"something else has set lr to .* and is overwritten.*a \* b"):
        go(optimizer, chained)


def test_torch_s_plateau_beside_ours_is_overwritten_and_said_so():
    optimizer = sgd()
    scheduler, plateau = Scheduler(optimizer, 0.5), ReduceLROnPlateau(optimizer, patience=0)
    for _ in range(3):
        plateau.step(1.0)
    assert column(optimizer, "lr") != [0.5]
    with pytest.warns(UserWarning, match=r"where it was 0\.5, and is overwritten.*plateau="):
        go(optimizer, scheduler)
    assert column(optimizer, "lr") == [0.5]


def test_after_torch_s_warm_up_in_a_sequential_lr():
    optimizer = sgd(rate=0.5)
    warm_up = LinearLR(optimizer, 0.1, total_iters=4)
    scheduler = SequentialLR(optimizer, [warm_up, Scheduler(optimizer, COSINE)], [4])
    expected = [0.5 * (0.1 + 0.9 * step / 4) for step in range(4)] + COSINE.table(8).tolist()
    found = []
    for _ in range(12):
        found += column(optimizer, "lr")
        go(optimizer, scheduler)
    assert found == pytest.approx(expected, rel=1e-12, abs=0.0)


def test_torch_s_scheduler_as_a_schedule_is_refused_with_a_cure():
    optimizer = sgd()
    with pytest.raises(TypeError, match=r"Scheduler\.schedule: expected a schedule or a number.*lrcore\.adopt"):
        Scheduler(optimizer, ExponentialLR(optimizer, 0.5))


# --- Plateau


def test_warm_up_then_plateau():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, lr.warmup(lr.Constant(0.5), 4), plateau=lr.Plateau(0.1, patience=1))
    found = []
    for step in range(12):
        found += column(optimizer, "lr")
        go(optimizer, scheduler)
        if step >= 4:
            scheduler.observe(1.0)
    assert found[:7] == [0.0, 0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert found[7:] == pytest.approx([0.05, 0.05, 0.005, 0.005, 0.0005], rel=1e-15, abs=0.0)


def test_a_plateau_does_not_touch_the_momentum():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, {"lr": 0.5, "momentum": 0.9}, plateau=lr.Plateau(0.5, patience=0))
    assert [scheduler.observe(-1.0) for _ in range(2)] == [False, True]
    assert (*column(optimizer, "lr"), *column(optimizer, "momentum")) == (0.25, 0.9)
    assert scheduler.get_lr() == [0.25]


@pytest.mark.parametrize("stop", range(10))
def test_a_plateau_resumes(stop):
    metrics = [3.0, 2.0, 2.0, 2.5, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]

    def built():
        optimizer = sgd()
        return optimizer, Scheduler(optimizer, COSINE, plateau=lr.Plateau(0.5, patience=1))

    def used(optimizer, scheduler, metrics):
        for metric in metrics:
            yield column(optimizer, "lr")
            go(optimizer, scheduler)
            scheduler.observe(metric)

    whole = list(used(*built(), metrics))
    optimizer, scheduler = built()
    assert list(used(optimizer, scheduler, metrics[:stop])) == whole[:stop]
    state = scheduler.state_dict()
    optimizer, scheduler = built()
    scheduler.load_state_dict(state)
    assert list(used(optimizer, scheduler, metrics[stop:])) == whole[stop:]


def test_a_state_with_a_plateau_is_not_for_a_scheduler_without():
    state = Scheduler(sgd(), COSINE, plateau=lr.Plateau()).state_dict()
    with pytest.raises(ValueError, match=r"expected a state without a plateau controller, got one with$"):
        Scheduler(sgd(), COSINE).load_state_dict(state)


def test_observe_needs_a_plateau():
    with pytest.raises(ValueError, match=r"Scheduler\.observe: expected a scheduler that was given plateau="):
        Scheduler(sgd(), COSINE).observe(1.0)


# --- Step scale, other schedules, replanning


def test_step_scale_counts_updates():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, COSINE, step_scale=4)
    for update in range(6):
        assert column(optimizer, "lr") == [COSINE(update)]
        go(optimizer, *[scheduler] * 4)
    assert scheduler.updates == 6


def test_a_state_goes_from_four_processes_to_two():
    scheduler = Scheduler(sgd(), COSINE, step_scale=4, last_epoch=19)
    optimizer = sgd()
    resumed = Scheduler(optimizer, COSINE, step_scale=2)
    resumed.load_state_dict(scheduler.state_dict())
    assert (resumed.updates, resumed.last_epoch) == (5, 10)
    assert column(optimizer, "lr") == [COSINE(5)]


@pytest.mark.parametrize("by_argument", [False, True])
def test_the_position_alone_is_taken_when_asked_for(by_argument):
    state = Scheduler(sgd(), UP, last_epoch=2).state_dict()
    optimizer = sgd()
    scheduler = Scheduler(optimizer, COSINE, on_mismatch="raise" if by_argument else "keep_position")
    with pytest.warns(UserWarning, match=r"(?s)expected a state of Cosine.*got one of Linear.*position is kept"):
        scheduler.load_state_dict(state, *["keep_position"] * by_argument)
    assert column(optimizer, "lr") == [COSINE(3)]


def test_the_position_of_a_torch_scheduler_is_taken_when_asked_for():
    other = sgd()
    theirs = ExponentialLR(other, 0.5)
    for _ in range(3):
        go(other, theirs)
    optimizer = sgd()
    with pytest.warns(UserWarning, match="got one of another schedule"):
        Scheduler(optimizer, COSINE).load_state_dict(theirs.state_dict(), on_mismatch="keep_position")
    assert column(optimizer, "lr") == [COSINE(3)]


def test_states_of_several_schedules_are_told_apart():
    state = Scheduler(sgd(), {"lr": UP, "momentum": DOWN}).state_dict()
    Scheduler(sgd(), {"lr": UP, "momentum": DOWN}).load_state_dict(state)
    with pytest.raises(ValueError, match=re.escape("got one of lr=[Linear(")):
        Scheduler(sgd(), {"lr": UP, "momentum": 0.9}).load_state_dict(state)


def test_replan_goes_on_from_here():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, COSINE)
    for _ in range(3):
        go(optimizer, scheduler)
    scheduler.replan(20)
    assert scheduler.schedule == COSINE.replan(3, 20)
    for step in range(3, 22):
        assert column(optimizer, "lr") == [scheduler.schedule(step)]
        go(optimizer, scheduler)
    assert column(optimizer, "lr") == [COSINE.end_value]


def test_a_schedule_that_is_set_counts_at_once():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, COSINE, last_epoch=4)
    scheduler.schedule = UP
    assert column(optimizer, "lr") == [UP(5)]


def test_one_schedule_does_not_take_the_place_of_several():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, {"momentum": 0.9, "lr": UP})
    with pytest.raises(ValueError, match=r"Scheduler\.schedule: expected a dict of momentum, lr, got Cosine"):
        scheduler.schedule = COSINE
    scheduler.schedule = {"lr": COSINE}
    assert column(optimizer, "lr") == [COSINE(0)]


def test_schedules_of_one_slot_under_two_names_are_refused():
    with pytest.raises(ValueError, match="expected one schedule for each hyper-parameter"):
        Scheduler(adam(), {"betas": 0.5, "momentum": 0.6})


# --- Together with others, in any order


def test_schedulers_that_share_the_tensor_of_torch_get_their_own():
    shared = torch.tensor(1.0, dtype=torch.float64)
    optimizer = sgd(3, rate=shared)
    both = Scheduler(optimizer, UP, groups=[0]), Scheduler(optimizer, COSINE, groups=[1])
    for step in range(4):
        assert [rate.item() for rate in column(optimizer, "lr")] == [UP(step), COSINE(step), 1.0]
        go(optimizer, *both)


def test_a_tensor_that_is_two_hyper_parameters_is_taken_apart():
    shared = torch.tensor(0.5, dtype=torch.float64)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=shared)
    optimizer.param_groups[0]["weight_decay"] = shared
    scheduler = Scheduler(optimizer, UP)
    assert (scheduler.get_last_lr()[0].item(), shared.item()) == (UP(0), 0.5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_momentum_resumes_where_two_share_the_rate(order):
    def built():
        optimizer = sgd()
        return optimizer, [Scheduler(optimizer, {"lr": UP, "momentum": DOWN}), Scheduler(optimizer, 0.5)]

    optimizer, schedulers = built()
    for _ in range(4):
        go(optimizer, *schedulers)
    states = [scheduler.state_dict() for scheduler in schedulers]
    assert all(state["values"] is None for state in states)
    optimizer, schedulers = built()
    for place in order:
        schedulers[place].load_state_dict(states[place])
    assert (*column(optimizer, "lr"), *column(optimizer, "momentum")) == (UP(4) * 0.5, DOWN(4))


def test_the_optimizer_may_be_loaded_last_though_it_was_saved_before_the_step():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, UP)
    optimizer.step()
    early = copy.deepcopy(optimizer.state_dict())
    scheduler.step()
    late = scheduler.state_dict()
    optimizer = sgd()
    scheduler = Scheduler(optimizer, UP)
    scheduler.load_state_dict(late)
    optimizer.load_state_dict(early)
    assert column(optimizer, "lr") == [UP(1)]


def test_a_load_of_the_optimizer_keeps_the_scales():
    optimizer = sgd(lr_scale=0.1)
    scheduler = Scheduler(optimizer, UP)
    optimizer.load_state_dict(sgd().state_dict())
    go(optimizer, scheduler)
    assert column(optimizer, "lr") == [UP(1) * 0.1]


def test_a_load_of_the_optimizer_leaves_what_torch_is_in_charge_of():
    def built():
        optimizer = sgd()
        parts = [Scheduler(optimizer, UP), ExponentialLR(optimizer, 0.5)]
        return optimizer, SequentialLR(optimizer, parts, [2])

    optimizer, scheduler = built()
    for _ in range(4):
        go(optimizer, scheduler)
    states = scheduler.state_dict(), optimizer.state_dict()
    optimizer, scheduler = built()
    scheduler.load_state_dict(states[0])
    optimizer.load_state_dict(states[1])
    assert column(optimizer, "lr") == [0.25]


def test_a_scheduler_that_drives_something_else_from_now_on():
    optimizer = sgd()
    first, second = Scheduler(optimizer, UP), Scheduler(optimizer, 0.9, param="momentum")
    second.schedule = {"lr": 0.5, "momentum": 0.8}
    assert column(optimizer, "lr") == [UP(0) * 0.5]
    go(optimizer, second, first)
    assert column(optimizer, "lr") == [UP(1) * 0.5]
    second.schedule = {"momentum": 0.8}
    assert column(optimizer, "lr") == [UP(1)]


def test_a_scheduler_that_could_not_be_built_does_not_count():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, 0.5)
    optimizer.param_groups[0]["lr_scale"] = -1.0
    with pytest.raises(ValueError, match="lr_scale of a group: expected a number >= 0") as kept:
        Scheduler(optimizer, 0.25)
    del optimizer.param_groups[0]["lr_scale"]
    scheduler.refresh()
    assert column(optimizer, "lr") == [0.5]
    del kept


def test_a_shallow_copy_is_refused():
    with pytest.raises(TypeError, match=r"two of them would multiply; copy\.deepcopy"):
        copy.copy(Scheduler(sgd(), UP))


def test_no_decay_stays_when_the_weight_decay_is_scheduled():
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(param_groups(model, [NoDecay()], weight_decay=0.1), lr=1.0)
    scheduler = Scheduler(optimizer, {"lr": 0.5, "weight_decay": DOWN})
    go(optimizer, scheduler)
    assert column(optimizer, "weight_decay") == [DOWN(1), 0.0]


def test_a_list_and_an_added_group_resume():
    optimizer = sgd(2)
    scheduler = Scheduler(optimizer, [UP, COSINE])
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    for _ in range(3):
        go(optimizer, scheduler)
    for again in ([UP, COSINE], [UP, COSINE, COSINE]):
        other = sgd(3)
        Scheduler(other, again).load_state_dict(scheduler.state_dict())
        assert column(other, "lr") == [UP(3), COSINE(3), COSINE(3)]


def test_groups_are_part_of_what_a_state_is_of():
    state = Scheduler(sgd(2), [UP, COSINE], groups=[0, 1]).state_dict()
    with pytest.raises(ValueError, match=r"expected a state of .* got one of"):
        Scheduler(sgd(2), [UP, COSINE], groups=[1, 0]).load_state_dict(state)


def test_a_group_that_lacks_what_is_driven_is_not_added():
    parameters = [{"params": [torch.nn.Parameter(torch.zeros(1))], "noise": 0.1}]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    scheduler = Scheduler(optimizer, {"lr": UP, "noise": DOWN})
    with pytest.raises(ValueError, match=r"expected one of .*, got 'noise'"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})
    assert len(optimizer.param_groups) == 1
    go(optimizer, scheduler)
    assert column(optimizer, "noise") == [DOWN(1)]


def test_a_group_that_is_replaced_is_driven():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, UP)
    for _ in range(2):
        go(optimizer, scheduler)
    optimizer.param_groups[0] = dict(optimizer.param_groups[0])
    go(optimizer, scheduler)
    assert column(optimizer, "lr") == [UP(3)]


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")
def test_a_step_to_a_given_update_beside_another():
    optimizer = sgd()
    first, second = Scheduler(optimizer, UP), Scheduler(optimizer, COSINE)
    go(optimizer, first, second)
    first.step(5)
    second.step(5)
    assert column(optimizer, "lr") == [UP(5) * COSINE(5)]
    for wrong, error in ((-1, ValueError), (True, TypeError), (1.5, TypeError)):
        with pytest.raises(error, match=r"Scheduler\.step\.epoch: expected the number of updates done"):
            first.step(wrong)
    assert first.last_epoch == 5


def test_a_part_that_waits_for_its_turn_can_be_asked_and_audited():
    optimizer = sgd()
    before, after = Scheduler(optimizer, UP), Scheduler(optimizer, COSINE)
    scheduler = SequentialLR(optimizer, [before, after], [2])
    after.get_lr()
    with after.audit() as audit:
        for _ in range(5):
            go(optimizer, scheduler)
    assert [one.value for one in audit.used] == [COSINE(0), COSINE(1), COSINE(2)]
    assert audit.ok


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")  # by torch's own nesting
def test_the_state_of_a_part_of_nested_sequences_of_torch_can_be_loaded():
    """Torch counts down once more at each level of nesting."""
    optimizer = sgd()
    parts = [Scheduler(optimizer, rate) for rate in (1.0, 2.0, 3.0)]
    scheduler = SequentialLR(optimizer, [SequentialLR(optimizer, parts[:2], [2]), parts[2]], [4])
    state = scheduler.state_dict()
    assert state["_schedulers"][0]["_schedulers"][1]["last_epoch"] == -2
    scheduler.load_state_dict(state)


def test_a_position_is_taken_from_a_state_that_cannot_be_read():
    state = Scheduler(sgd(), UP, last_epoch=2).state_dict()
    state["schedules"]["lr"][0]["lrcore"] = 99
    state["fingerprint"] = "x"
    optimizer = sgd()
    with pytest.warns(UserWarning, match=r"got one of another schedule, which cannot be read"):
        Scheduler(optimizer, COSINE).load_state_dict(state, on_mismatch="keep_position")
    assert column(optimizer, "lr") == [COSINE(3)]


@pytest.mark.parametrize("boundaries", [2, 20, 200])
@pytest.mark.parametrize("groups", [1, 100])
def test_a_state_stays_below_a_kilobyte(boundaries, groups):
    schedule = lr.Piecewise(range(1, boundaries), [0.1 / (1 + at) for at in range(boundaries)])
    optimizer = sgd(groups)
    driven = {"lr": schedule, "momentum": DOWN, "weight_decay": 0.5}
    every = [Scheduler(optimizer, driven, plateau=lr.Plateau()), Scheduler(optimizer, 0.5)]
    sequence = SequentialLR(optimizer, [Scheduler(optimizer, 0.1), Scheduler(optimizer, schedule)], [3])
    go(optimizer, *every, sequence)
    states = [scheduler.state_dict() for scheduler in (*every, *sequence._schedulers)]
    assert max(len(pickle.dumps(state)) for state in states) <= 1000


def test_a_rate_that_is_not_finite_is_kept_as_it_was():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, UP)
    optimizer.param_groups[0]["lr"] = float("inf")
    state = scheduler.state_dict()
    scheduler.refresh()
    scheduler.load_state_dict(state)
    assert column(optimizer, "lr") == [float("inf")]


def test_keep_position_takes_the_whole_state_of_the_same_schedule():
    def built():
        optimizer = sgd(rate=0.5)
        parts = [LinearLR(optimizer, 0.1, total_iters=4), Scheduler(optimizer, UP, on_mismatch="keep_position")]
        return optimizer, SequentialLR(optimizer, parts, [4])

    optimizer, scheduler = built()
    go(optimizer, scheduler)
    rates = column(optimizer, "lr")
    state = scheduler.state_dict()
    optimizer, scheduler = built()
    scheduler.load_state_dict(state)
    assert column(optimizer, "lr") == rates


def test_a_load_of_the_optimizer_that_fails_keeps_nobody_alive():
    optimizer = sgd()
    scheduler = Scheduler(optimizer, 0.5)
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(sgd(2).state_dict())
    scheduler = Scheduler(optimizer, 0.3)
    assert column(optimizer, "lr") == scheduler.get_last_lr() == [0.3]


def test_its_repr_names_schedule_and_position():
    assert repr(Scheduler(sgd(), lr.Constant(0.5), last_epoch=2)) == "Scheduler(Constant(value=0.5), updates=3)"


# --- Nothing is kept alive


def test_neither_keeps_the_other_in_a_cycle():
    gc.collect()
    gc.disable()
    try:
        optimizer = sgd()
        scheduler = Scheduler(optimizer, COSINE)
        other = Scheduler(optimizer, DOWN, param="momentum")
        go(optimizer, scheduler, other)
        gone = weakref.ref(scheduler), weakref.ref(optimizer)
        del scheduler, other
        assert gone[0]() is None
        assert gc.get_referrers(optimizer) == []
        del optimizer
        assert gone[1]() is None
    finally:
        gc.enable()


# --- Refusals


@pytest.mark.parametrize(
    ("schedule", "options", "error", "message"),
    [
        ({}, {}, ValueError, "Scheduler.schedule: expected a schedule for at least one hyper-parameter, got {} (dict)"),
        ([], {}, ValueError, "Scheduler.schedule: expected a schedule for each group, got [] (list)"),
        (
            [0.1, 0.2, 0.3],
            {},
            ValueError,
            "Scheduler.schedule (lr): expected at most one schedule for each of 2 groups",
        ),
        ({"lr": "x"}, {}, TypeError, "Scheduler.schedule['lr']: expected a schedule or a number, got 'x' (str)"),
        (0.1, {"param": "momentm"}, ValueError, "got 'momentm': did you mean 'momentum'?"),
        (0.1, {"param": 3}, TypeError, "Scheduler.param: expected the name of a hyper-parameter, got 3 (int)"),
        (0.1, {"groups": [2]}, ValueError, "Scheduler.groups: expected different places of 2 groups, got [2] (list)"),
        (0.1, {"groups": [0, 0]}, ValueError, "Scheduler.groups: expected different places of 2 groups"),
        (0.1, {"groups": []}, ValueError, "Scheduler.groups: expected different places of 2 groups"),
        (0.1, {"step_scale": 0}, ValueError, "Scheduler.step_scale: expected how often step() is called an update"),
        (0.1, {"param": "params"}, ValueError, "Scheduler.param: expected one of lr, momentum"),
        (0.1, {"param": "nesterov"}, ValueError, "Scheduler.param: expected one of lr, momentum"),
        (0.1, {"param": "momentum", "plateau": lr.Plateau()}, ValueError, "None where no learning rate is driven"),
        (0.1, {"plateau": 3}, TypeError, "Scheduler.plateau: expected an lrcore.Plateau or None, got 3 (int)"),
        (0.1, {"on_mismatch": "x"}, ValueError, "Scheduler.on_mismatch: expected 'raise' or 'keep_position'"),
    ],
)
def test_refusals(schedule, options, error, message):
    optimizer = sgd(2)
    with pytest.raises(error, match=re.escape(message)):
        Scheduler(optimizer, schedule, **options)
    assert column(optimizer, "lr") == [1.0, 1.0]


def test_a_schedule_that_is_not_bound_is_refused():
    with pytest.raises(lr.UnboundError, match="steps"):
        Scheduler(sgd(), lr.Linear(0.1, 0.0, "5ep"))
