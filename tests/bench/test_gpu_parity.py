"""The GPU harness on a CPU: its arithmetic by hand, its verdicts, and small runs of each part."""

import hashlib
import json
import math

import numpy as np
import pytest

import lrcore as lr
from packages import imported

torch = imported("torch")

from bench import gpu_cost, gpu_frameworks, gpu_parity, gpu_report, gpu_resume, gpu_training  # noqa: E402 (torch first)
from bench.gpu_models import Captured  # noqa: E402
from bench.gpu_report import ABSENT, FAILED, LATE, MET, MISSED, Clock, Row, guarded  # noqa: E402
from bench.gpu_schedules import pairs  # noqa: E402
from bench.gpu_traces import fingerprint, first_difference, relative, ulps  # noqa: E402

PAIRS = {pair.name: pair for pair in pairs(0.1, 24)}


# --- How traces are compared


def test_ulps_count_the_floats_between():
    assert ulps([1.0, 1.0, 2.0], [1.0 + 2**-52, 1.0 - 2**-53, 2.0]) == [1, 1, 0]
    assert ulps([5e-324, 0.0], [-5e-324, -0.0]) == [2, 0]
    assert ulps([0.5, 1.0], [1.0, 1.0 + 2**-23], np.float32) == [2**23, 1]


def test_relative_differences():
    assert relative([1.0, 0.0], [1.0, 0.0]) == 0.0
    assert relative([1.5, 4.0], [1.0, -2.0]) == 3.0
    assert relative([1e-300], [0.0]) == math.inf


def test_the_first_row_that_differs_by_a_bit():
    rows = np.zeros((4, 2), np.float32)
    other = rows.copy()
    assert first_difference(rows, other) is None
    other[2, 1] = -0.0
    assert first_difference(rows, other) == 2
    assert first_difference([1.0, 2.0], [1.0, 2.0 + 2**-51]) == 1
    nan = np.array([np.nan])
    assert first_difference(nan, nan) is None
    with pytest.raises(ValueError, match=r"rows of one shape, got \(4, 2\) and \(3, 2\)"):
        first_difference(rows, rows[:3])


def test_a_fingerprint_is_of_the_bits():
    assert fingerprint(np.zeros(2, np.float32)) == hashlib.sha256(bytes(8)).hexdigest()[:16]


def traced(rates, losses, dtype=np.float64):
    count = len(rates)
    return gpu_training.Trace(
        np.array(rates, dtype), [0.9] * count, np.array(losses, np.float32), np.array(losses, np.float32)[:, None]
    )


def table(name, count=6):
    return [PAIRS[name].ours(update) for update in range(count)]


@pytest.mark.parametrize(
    ("name", "change", "other_loss", "wanted"),
    [
        ("cyclic", 0.0, None, MET),
        ("cyclic", 0.0, 4, MISSED),  # other losses by the same rates
        ("cyclic", 1e-13, None, MET),
        ("cyclic", 1e-11, None, MISSED),  # too far from torch's
        ("exponential", 1e-13, None, MET),
        ("exponential", 1e-7, 4, MISSED),
    ],
)
def test_verdicts_on_a_pair_of_runs(name, change, other_loss, wanted):
    rates, losses = table(name), [2.0, 1.5, 1.2, 1.1, 1.05, 1.0]
    theirs = [rate * (1.0 + change * (at == 3)) for at, rate in enumerate(rates)]
    changed = [loss + (at == other_loss) for at, loss in enumerate(losses)]
    row = gpu_training.compared("eager", PAIRS[name], "conv", "SGD", traced(rates, losses), traced(theirs, changed))
    assert row.verdict == wanted
    assert row.figures["first loss"] == other_loss


def test_losses_may_differ_after_a_float32_rate_that_does():
    """Float32 values apart by one, and within 1e-12 of each other: a midpoint, and a float64 beside it."""
    middle = 1.0 + 2**-24
    pair = PAIRS["step"].__class__("made", lr.Table([middle] * 3), None)
    ours, peer = [middle] * 3, [middle, middle + 2**-52, middle]
    same, late, early = [2.0, 1.0, 1.0], [2.0, 1.0, 0.5], [2.0, 0.5, 0.5]
    verdicts = [
        gpu_training.compared("eager", pair, "conv", "SGD", traced(ours, same), traced(peer, losses)).verdict
        for losses in (late, early)
    ]
    assert verdicts == [MET, MISSED]


def test_a_rate_that_is_not_the_schedules_is_missed_even_if_torchs_is_the_same():
    rates = [rate + 1e-16 for rate in table("exponential")]
    losses = [1.0] * 6
    row = gpu_training.compared(
        "eager", PAIRS["exponential"], "conv", "SGD", traced(rates, losses), traced(rates, losses)
    )
    assert (row.verdict, row.figures["exact"]) == (MISSED, False)


# --- What is written


def rows():
    return [
        Row("eager", "a|b", {"schedule": "step", "LR ulp": 3, "exact": True, "first loss": None}, MET),
        Row("eager", "c", {"schedule": "step", "share": 0.12345}, MISSED, "why"),
        Row("graph", "d", verdict=ABSENT),
    ]


ABOUT = {
    "device": {"kind": "cpu", "name": "A processor"},
    "quick": True,
    "lrcore": "1",
    "commit": "abc",
    "date": "today",
    "python": "3",
    "libraries": {"torch": "2", "keras": None},
    "seconds": 5,
    "titles": {"eager": "Eager.", "cost": "Costs.", "graph": "Graphs."},
}


def test_the_page():
    page = gpu_report.markdown(ABOUT, rows()).splitlines()
    assert page[0] == "# The GPU harness, on the CPU: not a measurement of a GPU"
    assert "A processor; lrcore 1 at abc, today; Python 3, torch 2; 5 s." in page
    assert "**1 met, 1 MISSED, 1 not on this device.** Small sizes, to see that it works: no time counts." in page
    assert page[6:13] == [
        "## eager",
        "",
        "Eager.",
        "",
        "| | LR ulp | exact | first loss | share | bound | note |",
        "|---|---|---|---|---|---|---|",
        "| a\\|b | 3 | yes | none |  | met |  |",
    ]
    assert page[-1] == "| d | not on this device |  |"
    assert not any("cost" in line for line in page)


def test_what_ends_with_an_error():
    assert gpu_report.is_bad(rows())
    assert gpu_report.is_bad([Row("cost", "", verdict=FAILED)])
    assert not gpu_report.is_bad([Row("cost", ""), Row("cost", "", verdict=LATE), Row("cost", "", verdict=ABSENT)])


def test_a_case_that_fails_or_is_late_has_a_row(capsys):
    def fail():
        raise RuntimeError("no such kernel\nand more")

    row = guarded("cost", "name", Clock(100.0), fail)
    assert (row.verdict, row.note) == (FAILED, "RuntimeError: no such kernel")
    assert "no such kernel" in capsys.readouterr().err
    row = guarded("cost", "name", Clock(0.0), fail)
    assert (row.verdict, row.note) == (LATE, "the time of 0 s was used")


# --- The parts


def test_the_command_on_the_cpu(tmp_path, capsys):
    """Eager, what costs little, and what only a GPU has; files that can be read and drawn again."""
    words = ["--device", "cpu", "--quick", "--commit", "abc", "--out", str(tmp_path)]
    status = gpu_parity.main([*words, "--only", "eager", "graph", "drift", "cost"])
    about, found = gpu_report.read(tmp_path)
    assert [(row.name, row.note, row.figures) for row in found if row.verdict in gpu_report.BAD] == []
    assert status == 0
    assert (about["device"]["kind"], about["commit"]) == ("cpu", "abc")
    verdicts = {part: {row.verdict for row in found if row.part == part} for part in ("eager", "graph", "drift")}
    assert verdicts == {"eager": {MET}, "graph": {ABSENT}, "drift": {""}}
    reduced = [row for row in found if row.part == "eager" and row.figures["schedule"] == "plateau"]
    assert [row.note == "reduced to 1" for row in reduced] == [False, False]
    assert "the CPU: not a measurement of a GPU" in (tmp_path / "gpu_parity.md").read_text()
    picture = tmp_path / "losses_eager.png"
    assert picture.stat().st_size > 10_000
    page = (tmp_path / "gpu_parity.md").read_text()
    picture.unlink()
    assert gpu_parity.main(["--draw", str(tmp_path)]) == 0
    assert picture.exists()
    assert (tmp_path / "gpu_parity.md").read_text() == page
    assert "0 MISSED" in capsys.readouterr().out


def test_a_missed_bound_is_the_exit_status(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_parity, "rows_of", lambda *_: iter([Row("cost", "slow", {"ours µs": 9.0}, MISSED)]))
    assert gpu_parity.main(["--device", "cpu", "--only", "cost", "--out", str(tmp_path)]) == 1
    assert json.loads((tmp_path / "gpu_parity.json").read_text())["rows"][0]["verdict"] == MISSED


def test_without_a_gpu_cuda_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu_parity.main(["--device", "cuda", "--out", str(tmp_path)]) == 2
    assert "--device cpu runs without one" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of what its compiler imports
def test_a_compiled_training():
    both = gpu_training.in_compile("conv", "SGD", "cpu", "aot_eager")
    for name in ("warm-up cosine", "one-cycle"):
        row = gpu_training.compared("compile", PAIRS[name], "conv", "SGD", *both(PAIRS[name], 12))
        assert (row.verdict, row.figures["recompiled"], row.figures["LR ulp"]) == (MET, 0, 0)
    torch._dynamo.reset()


class Repeated(Captured):
    """What a graph does, but for the graph: the body is run again, on the same tensors; first to warm up."""

    def _recorded(self, body):
        loss = body().detach()

        def replay():
            self.optimizer.zero_grad()
            loss.copy_(body().detach())

        return replay, loss


@pytest.mark.parametrize("name", ["cosine", "one-cycle", "plateau"])
def test_what_a_captured_training_does_on_the_host(name):
    both = gpu_training.in_graph("conv", "SGD", "cpu", make=Repeated)
    row = gpu_training.compared("graph", PAIRS[name], "conv", "SGD", *both(PAIRS[name], 24))
    assert (row.verdict, row.figures["LR ulp"], row.figures["first weights"]) == (MET, 0, None)


def test_a_captured_step_asks_for_no_value():
    """The operations of SGD's fused step and of `advance`: none of them brings a number to the host."""
    from torch.utils._python_dispatch import TorchDispatchMode

    asked = []

    class Watched(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            asked.append(str(func))
            return func(*args, **(kwargs or {}))

    optimizer = gpu_cost.optimizer_of(2, "cpu", as_tensor=True, fused=True)
    rates = gpu_cost.DeviceSchedule(lr.Cosine(0.1, 0.0, 9), device="cpu").attach(optimizer)
    with Watched():
        optimizer.step()
        rates.advance()
    assert sum(name == "aten._fused_sgd_.tensor_lr" for name in asked) == 2
    assert not any("_local_scalar_dense" in name for name in asked)


def test_a_killed_process_resumes_to_the_same_bits(tmp_path):
    case = gpu_resume.CASES[0]
    path = tmp_path / "state.pt"
    assert gpu_resume.child(case, "cpu", 12, path, kill_at=10) == {}
    resumed = gpu_resume.child(case, "cpu", 12, path)
    torch.use_deterministic_algorithms(False)
    whole = gpu_resume.train(*case, "cpu", 12, tmp_path / "whole.pt", 0)
    torch.use_deterministic_algorithms(False)
    assert (resumed["begin"], whole["begin"]) == (8, 0)
    assert {**resumed, "begin": 0} == whole


@pytest.mark.parametrize("on_device", [False, True])
def test_rates_read_from_weights_in_torch(on_device):
    schedule = lr.Linear(0.5, 0.0, 4)
    assert gpu_frameworks.by_torch(schedule, 6, "cpu", on_device) == [0.5, 0.375, 0.25, 0.125, 0.0, 0.0]


def test_rates_read_from_weights_in_optax():
    imported("optax")
    assert gpu_frameworks.by_optax(lr.Linear(0.5, 0.0, 4), 6) == [0.5, 0.375, 0.25, 0.125, 0.0, 0.0]


def test_a_framework_with_another_rate_is_missed(monkeypatch):
    schedule = lr.Linear(0.5, 0.0, 4)
    rates = {"line": [0.5, 0.375, 0.25, float(np.nextafter(np.float32(0.125), 1))]}
    monkeypatch.setattr(gpu_frameworks, "asked_of", lambda *_: {"rates": rates, "on": "cpu"})
    row = gpu_frameworks._row("torch", {"line": schedule}, 4, "cpu")
    assert (row.verdict, row.note) == (MISSED, "line at update 3")


def test_a_framework_that_is_missing_has_a_row(monkeypatch):
    monkeypatch.setattr(gpu_frameworks, "NEEDS", {"nobody's": ["no_such_package"]})
    (row,) = gpu_frameworks.rows("cpu", True, Clock(100.0))
    assert (row.verdict, row.note) == (ABSENT, "no_such_package is not installed")
