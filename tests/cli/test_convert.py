"""convert: configurations of other frameworks, as expressions and as spec files."""

import io
import json

import pytest

import lrcore as lr
from lrcore import expression
from lrcore.cli import main
from lrcore.dialects import _configs, _readers, deepspeed, timm

COSINE = {"type": "WarmupCosineLR", "params": {"total_num_steps": 100, "warmup_num_steps": 10}}
CONFIG = {"scheduler": COSINE, "optimizer": {"type": "Adam", "params": {"lr": 0.001}}, "train_batch_size": 8}


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "ds_config.json"
    path.write_text(json.dumps(CONFIG))
    return str(path)


@pytest.mark.parametrize("named", [(), ("--from", "deepspeed")])
def test_convert(run, config, named):
    status, output, errors = run("convert", *named, config)
    assert status == 0
    assert expression.parse(output) == deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10)
    assert errors.startswith("lrcore convert: deepspeed.WarmupCosineLR; it with --strict also has twice-at-start: ")


def test_strict(run, config):
    status, output, errors = run("convert", config, "--strict")
    assert (status, "it has twice-at-start" in errors) == (0, True)
    assert expression.parse(output) == deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10, strict=True)


@pytest.mark.parametrize("options", [(), ("--strict",)])
@pytest.mark.parametrize(("style", "drops"), [("cosine", False), ("inverse-square-root", True)])
def test_only_quirks_that_the_schedule_has_are_named(run, tmp_path, options, style, drops):
    """With --strict those that it has, and else those that it would have."""
    path = tmp_path / "args.json"
    path.write_text(json.dumps({"lr": 1e-3, "min_lr": 1e-5, "train_iters": 100, "lr_decay_style": style}))
    status, _, errors = run("convert", "--from", "megatron", str(path), *options)
    assert (status, "drops" in errors) == (0, drops)
    assert ("with --strict" in errors) == (drops and not options)


def test_for_programs(run, config):
    status, output, errors = run("convert", config, "--json")
    assert (status, errors) == (0, "")
    document = json.loads(output)
    expected = deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10)
    assert (document["peer"], document["strict"]) == ("deepspeed.WarmupCosineLR", False)
    assert [quirk["name"] for quirk in document["quirks"]] == ["twice-at-start", "rises-again"]
    assert lr.from_dict(document["schedule"]) == expected
    assert document["fingerprint"] == expected.fingerprint()


def test_a_spec_file_of_it(run, config, tmp_path):
    target = tmp_path / "lr.yaml"
    assert run("convert", config, "-o", str(target))[0] == 0
    assert lr.load(target) == deepspeed.WarmupCosineLR(0.001, 100, warmup_num_steps=10)
    status, _, errors = run("convert", config, "-o", str(target))
    assert (status, "is there already; --force replaces it" in errors) == (2, True)
    assert run("convert", config, "-o", str(target), "--force")[0] == 0


def test_yaml_in_epochs(run, tmp_path):
    """A number without a point before its exponent is one, as YAML 1.2 says."""
    path = tmp_path / "args.yaml"
    path.write_text("sched: cosine\nlr: 1e-1\nepochs: 10\nwarmup_epochs: 0\nmodel: resnet50\n")
    status, output, _ = run("convert", "--from", "timm", str(path), "--steps-per-epoch", "5")
    assert status == 0
    per_epoch = timm.CosineLRScheduler(0.1, 10, warmup_lr_init=1e-5, cycle_decay=0.1).table(10)
    assert expression.parse(output).table(50)[::5] == pytest.approx(per_epoch, rel=1e-14)


def test_standard_input(run, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(CONFIG)))
    assert run("convert", "-")[0] == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"steps": 3}', "expected the configuration of one framework, got no framework's"),
        ("[1]", "expected a mapping, got list"),
        ("{", "ds_config.json: "),
        ('{"scheduler": {"type": "WarmpLR"}}', "scheduler.type: expected 'WarmupLR'"),
        (json.dumps({"scheduler": COSINE}), "optimizer.params.lr: expected the learning rate"),
    ],
)
def test_mistakes_are_one_line(run, tmp_path, text, message):
    path = tmp_path / "ds_config.json"
    path.write_text(text)
    status, output, errors = run("convert", str(path))
    assert (status, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1


def test_all_mistakes_are_said(run, tmp_path):
    path = tmp_path / "ds_config.json"
    path.write_text('{"scheduler": {"type": "WarmupDecayLR", "params": {"total_num_step": 9, "warmup_max_lr": "a"}}}')
    _, _, errors = run("convert", str(path))
    for said in ("3 errors", "did you mean 'total_num_steps'?", "warmup_max_lr: expected a number, got 'a' (str)"):
        assert said in errors


def test_no_such_file(run):
    status, _, errors = run("convert", "nowhere.json")
    assert status == 2
    assert "nowhere.json" in errors


def test_frameworks_are_those_that_can_be_read(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "--help"])
    said = capsys.readouterr().out
    assert _readers
    assert all(name in said for name in _configs.READERS)


def test_lightning_in_epochs(run, tmp_path):
    """A scheduler that is stepped once an epoch."""
    path = tmp_path / "config.yaml"
    target = "_target_: torch.optim.lr_scheduler.StepLR, step_size: 2"
    path.write_text(f"scheduler: {{scheduler: {{{target}}}, interval: epoch}}\noptimizer: {{lr: 0.1}}\n1: ignored\n")
    status, output, _ = run("convert", str(path), "--steps-per-epoch", "5")
    assert status == 0
    assert expression.parse(output).table(30) == pytest.approx([0.1] * 10 + [0.01] * 10 + [0.001] * 10, rel=1e-14)
