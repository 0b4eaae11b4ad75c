"""Torch's parameter groups from rules, against hand-computed rows and timm's own function."""

import doctest
import importlib.util
import io
import re
import sys
from types import ModuleType

import pytest
import torch
from hypothesis import given, strategies as st
from torch import nn

from lrcore.bindings.torch import groups as torch_groups
from lrcore.bindings.torch.groups import param_groups
from lrcore.groups import ByName, Frozen, LayerDecay, NoDecay, Slice, multipliers
from packages import imported

STEM, BLOCKS = "cls_token|pos_embed|patch_embed", r"blocks\.(\d+)\."


class Transformer(nn.Module):
    """A vision transformer's names, and how timm is told of its layers."""

    def __init__(self, blocks=3, width=4):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.patch_embed = nn.Conv2d(3, width, 2)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({"norm": nn.LayerNorm(width), "fc": nn.Linear(width, width)}) for _ in range(blocks)
        )
        self.fc_norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 2)

    def group_matcher(self, coarse):
        assert not coarse
        return {"stem": STEM, "blocks": BLOCKS}


class WithLastNorm(Transformer):
    """timm counts the last norm to the last block: 99999 joins what comes before."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def group_matcher(self, coarse):
        return super().group_matcher(coarse) | {"blocks": [(BLOCKS, None), ("^norm", (99999,))]}


def names_of(model, group):
    names = {parameter: name for name, parameter in model.named_parameters()}
    return [names[parameter] for parameter in group["params"]]


def settings(model, groups):
    """What each parameter gets, each in one group only."""
    found = {}
    for group in groups:
        for name in names_of(model, group):
            assert name not in found
            found[name] = (group["lr_scale"], group["weight_decay"])
    return found


def test_the_examples_run():
    results = doctest.testmod(torch_groups, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 5
    assert results.failed == 0


def test_groups_by_hand():
    model = Transformer(blocks=2)
    rules = [LayerDecay(0.5, [STEM, BLOCKS]), ByName("^head", 4), NoDecay()]
    groups = param_groups(model, rules, weight_decay=0.1)
    assert [(names_of(model, group), group["lr_scale"], group["weight_decay"]) for group in groups] == [
        (["cls_token", "patch_embed.weight"], 0.125, 0.1),
        (["patch_embed.bias"], 0.125, 0.0),
        (["blocks.0.norm.weight", "blocks.0.norm.bias", "blocks.0.fc.bias"], 0.25, 0.0),
        (["blocks.0.fc.weight"], 0.25, 0.1),
        (["blocks.1.norm.weight", "blocks.1.norm.bias", "blocks.1.fc.bias"], 0.5, 0.0),
        (["blocks.1.fc.weight"], 0.5, 0.1),
        (["fc_norm.weight", "fc_norm.bias"], 1.0, 0.0),
        (["head.weight"], 4.0, 0.1),
        (["head.bias"], 4.0, 0.0),
    ]
    for group in groups:
        scale = {} if group["weight_decay"] else {"weight_decay_scale": 0.0}
        assert {key: group[key] for key in set(group) - {"params", "lr_scale", "weight_decay"}} == scale


# --- timm


@pytest.fixture(scope="module")
def timm_groups():
    """The module of timm's groups, without the rest of timm, whose package imports torchvision."""
    found = importlib.util.find_spec("timm")
    if found is None:
        pytest.skip("timm is not installed")
    folder = found.submodule_search_locations[0]
    stubs = {"timm.layers": {"use_reentrant_ckpt": None}, "timm.models": {}}
    before = {name: sys.modules.get(name) for name in stubs}
    try:
        for name, values in stubs.items():
            sys.modules[name] = ModuleType(name)
            vars(sys.modules[name]).update(values)
        manipulate = module_at("timm.models._manipulate", f"{folder}/models/_manipulate.py")
        sys.modules["timm.models"].group_parameters = manipulate.group_parameters
        return module_at("timm.optim._param_groups", f"{folder}/optim/_param_groups.py")
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module


def module_at(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("blocks", [1, 3, 12])
@pytest.mark.parametrize("decay", [0.75, 0.65, 0.9])
@pytest.mark.parametrize("least", [0.0, 0.4])
def test_layer_decay_is_that_of_timm(timm_groups, blocks, decay, least):
    model = Transformer(blocks)
    model.blocks[0]["fc"].weight.requires_grad = False
    peer = timm_groups.param_groups_layer_decay(model, weight_decay=0.05, layer_decay=decay, min_scale=least)
    rules = [LayerDecay(decay, [STEM, BLOCKS], min_scale=least), NoDecay(None)]
    ours = param_groups(model, rules, weight_decay=0.05)
    assert settings(model, ours) == settings(model, peer)
    if not least:  # timm keeps layers apart that have one multiplier
        assert [names_of(model, group) for group in ours] == [names_of(model, group) for group in peer]


def test_the_last_norm_as_timm_counts_it(timm_groups):
    model = WithLastNorm()
    peer = timm_groups.param_groups_layer_decay(model, weight_decay=0.05, layer_decay=0.75)
    rules = [LayerDecay(0.75, [STEM, BLOCKS]), ByName(r"^norm\.", 0.75), NoDecay(None)]
    assert settings(model, param_groups(model, rules, weight_decay=0.05)) == settings(model, peer)


def test_names_without_weight_decay_are_those_of_timm(timm_groups):
    model = Transformer()
    peer = timm_groups.param_groups_weight_decay(model, 0.05, no_weight_decay_list=["cls_token"])
    ours = param_groups(model, NoDecay("cls_token"), weight_decay=0.05)
    assert {tuple(names_of(model, group)): group["weight_decay"] for group in ours} == {
        tuple(names_of(model, group)): group["weight_decay"] for group in peer
    }


# --- Whole models


@pytest.mark.parametrize("decay", [0.8, 0.9])
def test_layer_decay_of_a_real_electra(decay):
    """Its own formula, on the names that transformers gives: depth n + 2 for the head, with n + 1 empty."""
    transformers = imported("transformers")
    config = transformers.ElectraConfig(
        vocab_size=11, embedding_size=4, hidden_size=8, num_hidden_layers=4, num_attention_heads=2, intermediate_size=8
    )
    model = transformers.ElectraForSequenceClassification(config)

    def depth(name):
        if name.startswith("electra.embeddings"):
            return 0
        return int(name.split(".")[3]) + 1 if name.startswith("electra.encoder.layer.") else 4 + 2

    rules = [LayerDecay(decay, ["embeddings", r"encoder\.layer\.(\d+)\."]), ByName("embeddings|encoder", decay)]
    found = multipliers(dict(model.named_parameters()), [*rules, NoDecay()])
    expected = {name: decay ** (6 - depth(name)) for name in found}
    assert {name: each.lr_scale for name, each in found.items()} == pytest.approx(expected, rel=1e-15)
    # What ELECTRA excludes: "LayerNorm", "layer_norm", "bias".
    excluded = {name for name in found if re.search("LayerNorm|layer_norm|bias", name)}
    assert {name for name, each in found.items() if each.weight_decay_scale == 0.0} == excluded


def test_a_slice_is_that_of_fastai():
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    groups = param_groups(model, Slice(1e-5, 1e-3, r"^(\d+)\."))
    assert [1e-3 * group["lr_scale"] for group in groups] == pytest.approx([1e-5, 1e-4, 1e-3], rel=1e-14)
    groups = param_groups(model, Slice(None, 1e-3, r"^(\d+)\."))
    assert [(group["lr_scale"], names_of(model, group)) for group in groups] == [
        (0.1, ["0.weight", "0.bias", "1.weight", "1.bias"]),
        (1.0, ["2.weight", "2.bias"]),
    ]


# --- Which parameters


def test_a_shared_parameter_is_taken_once_under_its_first_name():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 3), "body": nn.Linear(3, 3), "head": nn.Linear(3, 5)})
    model["head"].weight = model["embed"].weight
    groups = param_groups(model, [ByName("embed", 0.5), ByName("head", 2)], param_names=True)
    assert [(group["param_names"], group["lr_scale"]) for group in groups] == [
        (["embed.weight"], 0.5),
        (["body.weight", "body.bias"], 1.0),
        (["head.bias"], 2.0),
    ]
    with pytest.raises(ValueError, match=r"'head.weight', got none.*first name: 'head.weight' is 'embed.weight'"):
        param_groups(model, ByName("head.weight", 2))


def test_a_module_used_twice_is_taken_once():
    shared = nn.Linear(2, 2)
    [group] = param_groups(nn.Sequential(shared, shared), param_names=True)
    assert group["param_names"] == ["0.weight", "0.bias"]


def test_what_does_not_train_is_left_out_or_kept():
    model = Transformer(blocks=2)
    model.cls_token.requires_grad = False
    rules = [LayerDecay(0.5, [STEM, BLOCKS]), Frozen("^patch_embed")]
    left = [name for group in param_groups(model, rules) for name in names_of(model, group)]
    every = [name for name, _ in model.named_parameters()]
    assert left == [name for name in every if not name.startswith(("cls_token", "patch_embed"))]
    kept = param_groups(model, rules, weight_decay=0.0, keep_frozen=True)
    assert settings(model, kept)["cls_token"] == (0.125, 0.0)
    assert settings(model, kept)["patch_embed.weight"] == (0.0, 0.0)
    assert set(settings(model, kept)) == set(every)
    assert model.patch_embed.weight.requires_grad  # the model is not changed


def test_a_frozen_layer_moves_no_other_layer():
    model = Transformer(blocks=3)
    before = param_groups(model, LayerDecay(0.5, [STEM, BLOCKS]), weight_decay=0.0)
    model.blocks[0].requires_grad_(requires_grad=False)
    after = param_groups(model, LayerDecay(0.5, [STEM, BLOCKS]), weight_decay=0.0)
    assert settings(model, after).items() < settings(model, before).items()


def test_named_parameters_are_as_good_as_a_module():
    model = Transformer()
    rules = [LayerDecay(0.5, [STEM, BLOCKS]), NoDecay()]
    assert param_groups(model.named_parameters(), rules) == param_groups(model, rules)


patterns = st.sampled_from(["weight", "bias$", r"blocks\.0", "fc", "^head", "cls"])
rules = st.lists(
    st.one_of(
        st.builds(ByName, patterns, st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.sampled_from([0.0, 1.0, 2.0])),
        st.just(NoDecay()),
        st.builds(LayerDecay, st.sampled_from([0.5, 1.0]), st.just([STEM, BLOCKS])),
    ),
    unique=True,
    max_size=4,
)


@given(rules, st.sampled_from([0.0, 0.05]))
def test_each_parameter_is_in_one_group_and_each_setting_in_one(rules, weight_decay):
    model = Transformer(blocks=2)
    groups = param_groups(model, rules, weight_decay=weight_decay, keep_frozen=True)
    found = multipliers(dict(model.named_parameters()), rules)
    assert settings(model, groups) == {
        name: (each.lr_scale, each.weight_decay_scale * weight_decay) for name, each in found.items()
    }
    pairs = [(group["lr_scale"], group["weight_decay"], group.get("weight_decay_scale", 1.0)) for group in groups]
    assert len(set(pairs)) == len(pairs)
    positions = [[list(found).index(name) for name in names_of(model, group)] for group in groups]
    assert positions == sorted(sorted(each) for each in positions)


# --- In an optimizer


def test_the_weight_decay_is_the_optimizers_unless_a_rule_stops_it():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(param_groups(model, NoDecay()), lr=1e-3, weight_decay=0.3)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.0]


def test_groups_survive_a_checkpoint():
    model = Transformer()
    rules = [LayerDecay(0.75, [STEM, BLOCKS]), NoDecay()]
    optimizer = torch.optim.AdamW(param_groups(model, rules, weight_decay=0.05, param_names=True), lr=1e-3)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = torch.optim.AdamW(param_groups(model, rules, param_names=True), lr=1.0)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert settings(model, other.param_groups) == settings(model, optimizer.param_groups)


def test_groups_with_and_without_names_take_another():
    for names in (False, True):
        optimizer = torch.optim.SGD(param_groups(nn.Linear(2, 2), NoDecay(), param_names=names), lr=1e-3)
        optimizer.add_param_group(param_groups(nn.Linear(2, 2), param_names=names)[0])
        assert len(optimizer.param_groups) == 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: param_groups(3),
            TypeError,
            "param_groups.model: expected a torch.nn.Module or (name, parameter) pairs",
        ),
        (lambda: param_groups(torch.ones(2)), TypeError, "param_groups.model: expected a torch.nn.Module"),
        (
            lambda: param_groups(nn.Linear(1, 1).parameters()),
            TypeError,
            "param_groups.model: expected a torch.nn.Module",
        ),
        (
            lambda: param_groups([("a", torch.ones(1)), ("a", torch.ones(2))]),
            ValueError,
            "param_groups.model: expected each name once, got 'a' again",
        ),
        (lambda: param_groups(nn.ReLU()), ValueError, "parameters: expected a mapping of names to shapes, or names"),
        (
            lambda: param_groups(nn.Linear(1, 1), Frozen(".")),
            ValueError,
            "param_groups: expected a parameter that trains, got 2 that are frozen",
        ),
        (lambda: param_groups(nn.Linear(1, 1), ByName("wieght")), ValueError, "did you mean 'weight'?"),
        (lambda: param_groups(nn.Linear(1, 1), weight_decay=-1.0), ValueError, "param_groups.weight_decay: expected a"),
        (
            lambda: param_groups(nn.Linear(1, 1), ByName("weight", 1, 0.5)),
            ValueError,
            "param_groups.weight_decay: expected a number, as 'weight' gets 0.5 of it, got None",
        ),
        (lambda: param_groups(nn.Linear(1, 1), keep_frozen=1), TypeError, "param_groups.keep_frozen: expected True or"),
    ],
)
def test_param_groups_refuse(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
