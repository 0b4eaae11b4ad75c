"""The bindings of torch in the contract of test_contract.py: what each update takes from a weight of 0."""

import io

import torch

import lrcore as lr
from lrcore.bindings.torch import DeviceSchedule, Scheduler, lr_scheduler


def a_weight(rate):
    weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    return weight, torch.optim.SGD([weight], lr=rate)


def through_a_file(states):
    file = io.BytesIO()
    torch.save(states, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def taken(weight, optimizer, step, updates, micro_batches=1):
    """What each update takes, for a mean gradient of 1."""
    weight.grad = torch.zeros_like(weight)
    for _ in range(updates):
        weight.data.zero_()
        weight.grad.zero_()
        for _ in range(micro_batches):
            weight.grad += 1.0
        weight.grad /= micro_batches
        optimizer.step()
        yield -weight.item()
        step()


class Stepped:
    """A class of schedulers as torch has them, within a SequentialLR where it is nested."""

    def __init__(self, build, sequence, new_rate):
        self.build, self.sequence, self.new_rate = build, sequence, new_rate

    def begun(self, schedule, _run):
        weight, optimizer = a_weight(self.new_rate())
        scheduler = self.build(optimizer, schedule)
        return weight, optimizer, scheduler, scheduler.step

    def nested(self, schedule, run):
        """A part of a sequence begins with a step of its own, 0."""
        weight, optimizer = a_weight(self.new_rate())
        parts = [self.build(optimizer, part) for part in (schedule, lr.Shift(schedule, run.stop))]
        scheduler = self.sequence(optimizer, parts, [run.stop])
        return weight, optimizer, scheduler, scheduler.step


class Advanced:
    """A DeviceSchedule; nested it is the one of a group beside another's."""

    def begun(self, schedule, run):
        weight, optimizer = a_weight(1.0)
        rates = DeviceSchedule(schedule, run.updates + 1, device="cpu").attach(optimizer)
        return weight, optimizer, rates, rates.advance

    def nested(self, schedule, run):
        weight, optimizer = a_weight(1.0)
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))], "lr_scale": 0.5})
        rates = DeviceSchedule(schedule, run.updates + 1, device="cpu").attach(optimizer, groups=[0])
        other = DeviceSchedule(0.5 * schedule, run.updates + 1, device="cpu").attach(optimizer, groups=[1])

        def advance():
            other.advance()
            rates.advance()

        return weight, optimizer, rates, advance


def resumed(binding, schedule, run):
    weight, optimizer, scheduler, step = binding.begun(schedule, run)
    yield from taken(weight, optimizer, step, run.stop)
    states = through_a_file([optimizer.state_dict(), scheduler.state_dict()])
    weight, optimizer, scheduler, step = binding.begun(schedule, run)
    for part, state in zip((optimizer, scheduler), states, strict=True):
        part.load_state_dict(state)
    yield from taken(weight, optimizer, step, run.updates - run.stop)


def rates_of(binding, way, schedule, run):
    if way == "resumed":
        return list(resumed(binding, schedule, run))
    weight, optimizer, _, step = (binding.nested if way == "nested" else binding.begun)(schedule, run)
    return list(taken(weight, optimizer, step, run.updates, run.micro_batches if way == "accumulated" else 1))


def float_rate():
    return 1.0


def tensor_rate():
    return torch.tensor(1.0, dtype=torch.float32)


BINDINGS = {
    "Scheduler": Stepped(Scheduler, torch.optim.lr_scheduler.SequentialLR, float_rate),
    "Scheduler of a tensor": Stepped(Scheduler, torch.optim.lr_scheduler.SequentialLR, tensor_rate),
    "LambdaLR": Stepped(lr_scheduler.LambdaLR, lr_scheduler.SequentialLR, float_rate),
    "DeviceSchedule": Advanced(),
}


def rates(binding, way, schedules, run):
    return {name: rates_of(BINDINGS[binding], way, schedule, run) for name, schedule in schedules.items()}
