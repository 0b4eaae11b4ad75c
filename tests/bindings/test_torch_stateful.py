"""lrcore.bindings.torch.Scheduler in any order of events, beside the pure function of the number of updates."""

import copy

import pytest
import torch
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

import lrcore as lr
from lrcore.bindings.torch import Scheduler

SCHEDULES = [
    lr.warmup_cosine(0.5, 0.01, 3, 12),
    lr.sgdr(0.5, 0.01, period=4, period_mult=2),
    lr.Linear(0.1, 0.0, 5) >> lr.Constant(0.25),
    lr.step_decay(0.5, 0.1, 4),
]


class Run(RuleBasedStateMachine):
    """A training run that is stepped, saved, torn down, built again in either order and loaded in either order.

    The model is two values: the schedule, and how many updates are done. Each parameter group's rate has to be the
    schedule at that number whatever happened, times the group's own scale.
    """

    checkpoints = Bundle("checkpoints")

    @initialize(
        schedule=st.sampled_from(SCHEDULES), rates=st.lists(st.sampled_from([0.1, 7.0]), min_size=1, max_size=3)
    )
    def begin(self, schedule, rates):
        self.schedule, self.updates, self.scales = schedule, 0, [1.0] * len(rates)
        self.build(rates)

    def build(self, rates, last_epoch=-1):
        groups = [
            {"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate, "lr_scale": scale}
            for rate, scale in zip(rates, self.scales, strict=True)
        ]
        self.optimizer = torch.optim.SGD(groups, lr=1.0)
        self.scheduler = Scheduler(self.optimizer, self.schedule, last_epoch)

    @rule(times=st.integers(1, 5))
    def train(self, times):
        for _ in range(times):
            self.optimizer.step()
            self.scheduler.step()
        self.updates += times

    @precondition(lambda self: len(self.scales) < 4)
    @rule(scale=st.sampled_from([0.5, 1.0]), rate=st.sampled_from([0.1, 7.0]))
    def add_group(self, scale, rate):
        weight = torch.nn.Parameter(torch.zeros(1))
        self.optimizer.add_param_group({"params": [weight], "lr": rate, "lr_scale": scale})
        self.scales.append(scale)

    @precondition(lambda self: self.schedule.length is not None and self.updates < self.schedule.length)
    @rule(more=st.integers(1, 20))
    def replan(self, more):
        self.scheduler.replan(self.updates + more)
        self.schedule = self.schedule.replan(self.updates, self.updates + more)

    @rule(target=checkpoints)
    def save(self):
        states = copy.deepcopy((self.optimizer.state_dict(), self.scheduler.state_dict()))
        return states, self.schedule, self.updates, list(self.scales)

    @rule(
        checkpoint=checkpoints,
        order=st.sampled_from(["both", "reversed", "scheduler alone", "optimizer first", "last_epoch"]),
        tensor=st.booleans(),
    )
    def resume(self, checkpoint, order, tensor):
        (optimizer, scheduler), self.schedule, self.updates, scales = checkpoint
        self.scales = list(scales)
        rates = [torch.tensor(3.0, dtype=torch.float64) if tensor else 3.0] * len(scales)
        if order == "optimizer first":
            self.build(rates)
            bare = self.optimizer
            del self.scheduler
            bare.load_state_dict(copy.deepcopy(optimizer))
            self.scheduler = Scheduler(bare, self.schedule)
            self.scheduler.load_state_dict(scheduler)
            return
        self.build(rates, self.updates - 1 if order == "last_epoch" else -1)
        if order == "both":
            self.optimizer.load_state_dict(copy.deepcopy(optimizer))
        if order != "last_epoch":
            self.scheduler.load_state_dict(copy.deepcopy(scheduler))
        if order in ("reversed", "last_epoch"):
            self.optimizer.load_state_dict(copy.deepcopy(optimizer))

    @invariant()
    def every_group_has_the_rate_of_the_pure_function(self):
        value = self.schedule(self.updates)
        assert [float(group["lr"]) for group in self.optimizer.param_groups] == [value * scale for scale in self.scales]
        assert self.scheduler.updates == self.updates


Run.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestRun = pytest.mark.filterwarnings("ignore::lrcore.RoundingWarning")(Run.TestCase)
