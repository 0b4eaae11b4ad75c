"""lrcore.groups: rules by name and by depth, against hand-computed rows and the formulas of their papers."""

import math
import pickle
import re

import pytest
from hypothesis import given, strategies as st

from lrcore import groups
from lrcore.groups import ByName, Frozen, LayerDecay, Multiplier, NoDecay, Rule, Slice, multipliers

VIT_STEM, VIT_BLOCKS = r"cls_token|pos_embed|patch_embed", r"blocks\.(\d+)\."


def vit(blocks=12):
    """The parameters of a vision transformer, as timm and BEiT name them, with their dimensions."""
    found = {"cls_token": 3, "pos_embed": 3, "patch_embed.proj.weight": 4, "patch_embed.proj.bias": 1}
    for at in range(blocks):
        for layer in ("attn.qkv", "mlp.fc1"):
            found |= {f"blocks.{at}.{layer}.weight": 2, f"blocks.{at}.{layer}.bias": 1}
        found |= {f"blocks.{at}.norm1.weight": 1}
    return found | {"norm.weight": 1, "norm.bias": 1, "head.weight": 2, "head.bias": 1}


def scales(parameters, *rules):
    return {name: found.lr_scale for name, found in multipliers(parameters, rules).items()}


def decays(parameters, *rules):
    return {name: found.weight_decay_scale for name, found in multipliers(parameters, rules).items()}


# --- By depth


def beit_scale(name, decay, blocks):
    """BEiT: the stem is layer 0, block i is layer i + 1, and all else is layer L + 1."""
    first = name.split(".")[0]
    layer = {"cls_token": 0, "pos_embed": 0, "patch_embed": 0}.get(first, blocks + 1)
    if first == "blocks":
        layer = int(name.split(".")[1]) + 1
    return decay ** (blocks + 1 - layer)


@pytest.mark.parametrize("blocks", [1, 3, 12, 24])
@pytest.mark.parametrize("decay", [0.75, 0.65, 0.9, 1.0])
def test_layer_decay_is_that_of_beit(blocks, decay):
    found = scales(vit(blocks), LayerDecay(decay, [VIT_STEM, VIT_BLOCKS]))
    assert found == {name: beit_scale(name, decay, blocks) for name in vit(blocks)}


def test_layer_decay_by_hand():
    found = scales(vit(2), LayerDecay(0.5, [VIT_STEM, VIT_BLOCKS]))
    assert found["pos_embed"] == found["patch_embed.proj.bias"] == 0.125
    assert found["blocks.0.attn.qkv.weight"] == found["blocks.0.norm1.weight"] == 0.25
    assert found["blocks.1.mlp.fc1.bias"] == 0.5
    assert found["norm.weight"] == found["head.bias"] == 1.0


def test_layer_decay_of_ulmfit():
    names = [f"rnns.{at}.weight" for at in range(3)] + ["decoder.weight"]
    found = scales(names, LayerDecay(1 / 2.6, r"rnns\.(\d+)"))
    assert list(found.values()) == pytest.approx([0.056895767, 0.147928994, 0.384615385, 1.0], rel=1e-8)


def test_layer_decay_of_electra():
    """Its own code has the embeddings at 0, layer i at i + 1 and the task's head at n + 2: one depth is empty."""
    names = ["electra.embeddings.word_embeddings.weight", "electra.embeddings_project.weight"]
    names += [f"electra.encoder.layer.{at}.output.dense.weight" for at in range(12)] + ["classifier.out_proj.weight"]
    depths = [0, 0, *range(1, 13), 14]
    rules = [LayerDecay(0.5, ["embeddings", r"encoder\.layer\.(\d+)\."]), ByName("embeddings|encoder", 0.5)]
    assert list(scales(names, *rules).values()) == [0.5 ** (14 - depth) for depth in depths]


def test_layer_decay_has_a_least_multiplier():
    found = scales(vit(3), LayerDecay(0.5, [VIT_STEM, VIT_BLOCKS], min_scale=0.2))
    assert sorted(set(found.values())) == [0.2, 0.25, 0.5, 1.0]


def test_without_a_rest_the_last_pattern_is_the_top():
    found = scales(["a.w", "b.0.w", "b.1.w", "c.w"], LayerDecay(0.5, ["^a", r"^b\.(\d+)", "^c"]))
    assert list(found.values()) == [0.125, 0.25, 0.5, 1.0]


def test_layers_are_in_the_order_of_their_numbers():
    names = [f"layer.{at}.w" for at in (10, 9, 2, 0)]  # as text, 10 comes before 9
    assert list(scales(names, LayerDecay(0.5, r"layer\.(\d+)\.")).values()) == [1.0, 0.5, 0.25, 0.125]


def test_numbers_that_do_not_occur_are_no_layers():
    """A Sequential has modules without parameters: VGG's features are 0, 2, 5, 7."""
    names = [f"features.{at}.weight" for at in (0, 2, 5, 7)]
    assert list(scales(names, LayerDecay(0.5, r"features\.(\d+)")).values()) == [0.125, 0.25, 0.5, 1.0]


def test_two_groups_of_digits_are_sorted_by_both():
    names = ["stages.1.0.w", "stages.0.1.w", "stages.0.0.w", "stages.1.10.w", "stages.1.2.w"]
    found = scales(names, LayerDecay(0.5, r"stages\.(\d+)\.(\d+)"))
    assert list(found.values()) == [0.25, 0.125, 0.0625, 1.0, 0.5]


def test_names_as_keras_numbers_them():
    names = ["sequential_4/dense/kernel", "sequential_4/dense_1/kernel", "sequential_4/dense_2/kernel"]
    assert list(scales(names, LayerDecay(0.5, r"/dense(?:_(\d+))?/")).values()) == [0.25, 0.5, 1.0]


def test_a_name_belongs_to_the_first_pattern():
    names = ["blocks.0.embed.w", "blocks.1.w", "head.w"]
    assert list(scales(names, LayerDecay(0.5, ["embed", r"blocks\.(\d+)"])).values()) == [0.25, 0.5, 1.0]


# fastai: slice(low, high) has even factors, slice(high) has high / 10 for all but the last.
@pytest.mark.parametrize(
    ("low", "high", "rates"),
    [
        (1e-5, 1e-3, [1e-5, 1e-4, 1e-3]),
        (2e-4, 2e-3, [2e-4, 4.30886938e-4, 9.28317767e-4, 2e-3]),
        (None, 1e-3, [1e-4, 1e-4, 1e-3]),
        (None, 0.02, [0.002, 0.002, 0.002, 0.02]),
        (1e-3, 1e-5, [1e-3, 1e-4, 1e-5]),
        (1e-5, 1e-3, [1e-3]),
    ],
)
def test_slice_is_that_of_fastai(low, high, rates):
    names = [f"groups.{at}.weight" for at in range(len(rates))]
    found = [high * scale for scale in scales(names, Slice(low, high, r"groups\.(\d+)")).values()]
    assert found == pytest.approx(rates, rel=1e-8)


def test_a_slice_ends_exactly():
    found = list(scales([f"g.{at}" for at in range(7)], Slice(3e-5, 7e-3, r"g\.(\d+)")).values())
    assert (found[0], found[-1]) == (3e-5 / 7e-3, 1.0)


# --- By name


def test_by_name_searches_anywhere():
    names = ["module.layers.1.w", "module.layers.10.w", "head.w"]
    assert list(scales(names, ByName(r"layers\.1", 2)).values()) == [2.0, 2.0, 1.0]
    assert list(scales(names, ByName(r"layers\.1\.", 2)).values()) == [2.0, 1.0, 1.0]


def test_frozen_stays_frozen():
    found = multipliers(["body.w", "head.w"], [ByName(".", 10), Frozen("body")])
    assert [each.frozen for each in found.values()] == [True, False]
    assert found["body.w"].lr_scale == 0.0


@pytest.mark.parametrize(
    ("name", "decays_weights"),
    [
        ("linear.weight", True),
        ("linear.bias", False),
        ("bias", False),
        ("dense/bias", False),
        ("dense/kernel", True),
        ("relative_position_bias_table", True),
        ("encoder.layer.0.output.LayerNorm.weight", False),
        ("model.layers.0.input_layernorm.weight", False),
        ("transformer.h.0.ln_1.weight", False),
        ("transformer.ln_f.weight", False),
        ("layer1.0.bn1.weight", False),
        ("blocks.0.norm1.weight", False),
        ("model.norm.weight", False),
        ("model/batch_normalization_3/gamma", False),
        ("model/layer_normalization/beta", False),
        ("normalizer_free.weight", True),
        ("features.weight", True),
        ("online.weight", True),
    ],
)
def test_biases_and_norms_by_their_names(name, decays_weights):
    assert decays([name, "other.bias"], NoDecay())[name] == float(decays_weights)


def test_no_decay_by_dimensions_by_names_or_both():
    parameters = {"a.weight": (3, 2), "a.scale": (3,), "temperature": (), "bias": (2, 2), "unknown": None}
    assert list(decays(parameters, NoDecay()).values()) == [1.0, 0.0, 0.0, 0.0, 1.0]
    assert list(decays(parameters, NoDecay(None)).values()) == [1.0, 0.0, 0.0, 1.0, 1.0]
    assert list(decays(parameters, NoDecay(max_ndim=None)).values()) == [1.0, 1.0, 1.0, 0.0, 1.0]
    assert list(decays(parameters, NoDecay("unknown", 0)).values()) == [1.0, 1.0, 0.0, 1.0, 0.0]


def test_dimensions_come_from_arrays_shapes_and_numbers():
    import numpy as np

    parameters = {"array": np.zeros((3, 2)), "vector": np.zeros(3), "shape": [3, 2], "number": 2, "none": 0}
    assert list(decays(parameters, NoDecay(None)).values()) == [1.0, 0.0, 1.0, 1.0, 0.0]


# --- Together


def test_rules_of_one_parameter_multiply():
    found = multipliers(
        vit(2), [LayerDecay(0.5, [VIT_STEM, VIT_BLOCKS]), ByName("attn", 4), ByName("weight", 1, 0.5), NoDecay()]
    )
    assert found["blocks.0.attn.qkv.weight"] == Multiplier(
        1.0, 0.5, ("LayerDecay: depth 1 of 3", "ByName('attn')", "ByName('weight')")
    )
    assert found["blocks.0.norm1.weight"] == Multiplier(
        0.25, 0.0, ("LayerDecay: depth 1 of 3", "ByName('weight')", "NoDecay")
    )
    assert found["head.bias"] == Multiplier(1.0, 0.0, ("LayerDecay: depth 3 of 3", "NoDecay"))


def test_without_rules_everything_is_one():
    assert multipliers(["a", "b"], []) == {"a": Multiplier(), "b": Multiplier()}


powers_of_two = st.integers(-8, 8).map(lambda exponent: 2.0**exponent)  # their products are exact
patterns = st.sampled_from(["weight", "bias$", r"blocks\.0", "attn|mlp", "^head", ".", "embed"])


def rules_with(factors, decays_below_one):
    return st.one_of(
        st.builds(ByName, patterns, factors, factors),
        st.builds(Frozen, patterns),
        st.just(NoDecay()),
        st.builds(LayerDecay, decays_below_one, st.sampled_from([[VIT_BLOCKS], [VIT_STEM, VIT_BLOCKS], ["embed"]])),
    )


exact_rules = st.lists(
    rules_with(powers_of_two, powers_of_two.map(lambda factor: min(factor, 1 / factor))), unique=True, max_size=5
)
any_rules = st.lists(rules_with(st.floats(0.01, 100.0), st.floats(0.1, 1.0)), unique=True, max_size=5)


@given(exact_rules)
def test_the_multipliers_are_the_product_of_each_rule_alone(rules):
    alone = [multipliers(vit(3), rule) for rule in rules]
    for name, found in multipliers(vit(3), rules).items():
        assert found.lr_scale == math.prod(each[name].lr_scale for each in alone)
        assert found.weight_decay_scale == math.prod(each[name].weight_decay_scale for each in alone)
        assert found.rules == tuple(reason for each in alone for reason in each[name].rules)


@given(any_rules.flatmap(lambda rules: st.tuples(st.just(rules), st.permutations(rules))))
def test_the_order_of_rules_does_not_matter(orders):
    first, second = (multipliers(vit(3), rules) for rules in orders)
    for name, found in first.items():
        other = second[name]
        assert (found.lr_scale, found.weight_decay_scale) == (other.lr_scale, other.weight_decay_scale)


@given(any_rules, st.permutations(list(vit(2).items())))
def test_the_order_of_parameters_does_not_matter(rules, items):
    found = multipliers(dict(items), rules)
    assert list(found) == [name for name, _ in items]
    assert found == multipliers(vit(2), rules)


@given(any_rules)
def test_rules_are_values(rules):
    for rule in rules:
        again = eval(repr(rule), dict(vars(groups)))
        assert again == rule
        assert hash(again) == hash(rule)
        assert pickle.loads(pickle.dumps(rule)) == rule


def test_a_slice_is_a_value():
    rule = Slice(None, 1e-3, ["a"])
    assert eval(repr(rule), dict(vars(groups))) == rule == Slice(None, 1e-3, "a")
    with pytest.raises(AttributeError):
        rule.high = 1.0


def test_a_rule_of_ones_own():
    class Doubled(Rule):
        def __post_init__(self):
            pass

        def effects(self, parameters):
            return {name: groups.Effect(2.0, 1.0, "Doubled") for name in parameters}

    assert scales(["a", "b"], Doubled()) == {"a": 2.0, "b": 2.0}


# --- Refusals


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (ByName("haed"), "ByName.pattern: expected a parameter with the pattern 'haed', got none: did you mean 'head'"),
        (ByName("^blocks"), "did you mean 'module.blocks'?"),
        (Frozen("zzz"), "got none: there are 'module.blocks.0.weight', 'module.blocks.1.weight', 'module.head.weight'"),
        (LayerDecay(0.5, [r"block_(\d+)"]), "got none: did you mean 'blocks.0'"),
        (
            LayerDecay(0.5, [".", "head"]),
            "LayerDecay.layers[1]: expected a parameter with the pattern 'head' and with none "
            "before it, got none: there are no other parameters",
        ),
        (LayerDecay(0.5, ["blocks", r"blocks\.(\d+)"]), "and with none before it, got none"),
        (Slice(None, 1.0, ["head", "hed"]), "Slice.layers[1]: expected a parameter with the pattern 'hed'"),
        (NoDecay(), "NoDecay: expected a parameter with the name of a bias or a norm or at most 1 known dimensions"),
        (NoDecay(None), "NoDecay: expected a parameter with at most 1 known dimensions, got none"),
        (NoDecay("hed", None), "NoDecay: expected a parameter with the pattern 'hed', got none: did you mean 'head'"),
    ],
)
def test_a_rule_that_matches_nothing_is_refused(rule, message):
    names = ["module.blocks.0.weight", "module.blocks.1.weight", "module.head.weight"]
    with pytest.raises(ValueError, match=re.escape(message)):
        multipliers(names, rule)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ByName(3), TypeError, "ByName.pattern: expected a regular expression, a str, got 3 (int)"),
        (lambda: ByName("(a"), ValueError, "ByName.pattern: expected a regular expression, got '(a': missing )"),
        (lambda: ByName(""), ValueError, "ByName.pattern: expected a regular expression that is not empty"),
        (lambda: ByName("a", -1), ValueError, "ByName.lr_scale: expected a number >= 0, got -1"),
        (lambda: ByName("a", 1, math.nan), ValueError, "ByName.weight_decay_scale: expected a finite number"),
        (lambda: ByName("a", True), TypeError, "ByName.lr_scale: expected a number, got True"),
        (lambda: LayerDecay(2.6, "a"), ValueError, "LayerDecay.decay: expected a number in (0, 1], got 2.6"),
        (lambda: LayerDecay(0, "a"), ValueError, "LayerDecay.decay: expected a number > 0"),
        (
            lambda: LayerDecay(0.5, []),
            ValueError,
            "LayerDecay.layers: expected regular expressions, lowest layer first",
        ),
        (lambda: LayerDecay(0.5, ["a", None]), TypeError, "LayerDecay.layers[1]: expected a regular expression, a str"),
        (lambda: LayerDecay(0.5, 3), TypeError, "LayerDecay.layers: expected a list of regular expressions"),
        (lambda: Slice(0, 1, "a"), ValueError, "Slice.low: expected a number > 0"),
        (lambda: Slice(1, None, "a"), TypeError, "Slice.high: expected a number, got None"),
        (lambda: NoDecay(None, None), ValueError, "NoDecay: expected a pattern or a max_ndim, got neither"),
        (lambda: NoDecay(max_ndim=1.0), TypeError, "NoDecay.max_ndim: expected a number of dimensions, an int >= 0"),
    ],
)
def test_rules_refuse_at_construction(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("parameters", "rules", "error", "message"),
    [
        ([], [], ValueError, "parameters: expected a mapping of names to shapes, or names, got none"),
        ("a", [], TypeError, "parameters: expected a mapping of names to shapes, or names, got 'a' (str)"),
        (3, [], TypeError, "parameters: expected a mapping of names to shapes, or names, got 3 (int)"),
        ([3], [], TypeError, "parameters: expected a mapping of names to shapes, or names, got 3 (int)"),
        (["a", "a"], [], ValueError, "parameters: expected each name once, got 'a' again"),
        ({"a": "b"}, [], TypeError, "parameters['a']: expected a shape, a number of dimensions or None, got 'b' (str)"),
        ({"a": 1.5}, [], TypeError, "parameters['a']: expected a shape, a number of dimensions or None"),
        ({"a": True}, [], TypeError, "parameters['a']: expected a number of dimensions, an int >= 0, got True"),
        (["a"], ["a"], TypeError, "rules[0]: expected a rule of lrcore.groups, got 'a' (str)"),
        (["a"], "a", TypeError, "rules: expected a list of rules, got 'a' (str)"),
        (["a"], [Frozen("a"), Frozen("a")], ValueError, "rules[1]: expected each rule once, got Frozen(pattern='a')"),
        (["a.b"], LayerDecay(0.5, r"(\w)\."), ValueError, "LayerDecay.layers[0]: expected groups of digits, as (\\d+)"),
        (["a"], [ByName("a", 1e99), ByName(".", 1e99)], ValueError, "lr_scale of 'a': expected 0 or a magnitude"),
    ],
)
def test_multipliers_refuse(parameters, rules, error, message):
    with pytest.raises(error, match=re.escape(message)):
        multipliers(parameters, rules)
