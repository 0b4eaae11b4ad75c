"""Keras 3: learning rates and weight decays of their own for layers, from rules of lrcore.groups."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

import keras

from lrcore import _check
from lrcore.bindings.keras import _foreach, _optimizers
from lrcore.groups import Multiplier, Rule, multipliers

HAS_DECAY = ("weight_decay", "adam_weight_decay")  # the second is Muon's, for what it does not orthogonalise


def layer_rates(optimizer: Any, model: Any, rules: Rule | Sequence[Rule]) -> Any:
    r"""An optimizer of the same kind that has a learning rate of its own for each layer.

    `rate(variable) = learning_rate * lr_scale(variable)`

    `decay(variable) = weight_decay * weight_decay_scale(variable)`

    It does to each variable what an optimizer of its own would do at that rate and with that decay, after all gradients
    were clipped. `global_clipnorm` is of all together. There is one `learning_rate`: a schedule, a callback or a finder
    moves it, and the ratios stay. To scale the gradients instead would change nothing with Adam.

    A frozen variable (`lr_scale` 0) is left alone, and so is its state; its gradient still counts in `global_clipnorm`,
    until its layer's `trainable` is turned off. The rules see the variables of such layers too, so that to freeze a
    layer moves no other layer's depth. Patterns are searched in `variable.path`, which often begins with the name of
    the model, as in `sequential_1/dense/kernel`.

    The optimizer is saved and loaded with the model: `keras.models.load_model` brings the multipliers back once this
    module has been imported. Given an optimizer that has trained already, the new one goes on from its state; given one
    with layer rates, its multipliers are replaced. Compile the model again then. It must have been built with all
    variables that train now: to unfreeze layers in stages, freeze them by rules, not by `trainable`.

    Args:
        optimizer: an optimizer of Keras, or one within a `LossScaleOptimizer`, of which `inner_optimizer` has the
            `multipliers` then. It is not changed.
        model: the model, or a layer, with its variables: built.
        rules: the rules, or one.

    Raises:
        TypeError: no optimizer, no model, or no rules.
        ValueError: a model that is not built; a rule that matches nothing; all variables frozen; a part of a weight
            decay that the optimizer does not have; an optimizer that was built without a variable that trains.

    Also known as: Keras `MultiOptimizer` (of which each part clips by its own norm, and has its own `learning_rate`),
    TensorFlow Addons `MultiOptimizer`.

    Example:
        >>> import keras
        >>> from lrcore.groups import ByName, NoDecay
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2, name="head")])
        >>> optimizer = layer_rates(keras.optimizers.AdamW(1e-4), model, [ByName("head/", lr_scale=10), NoDecay()])
        >>> for found in optimizer.multipliers.values():
        ...     print(found.lr_scale, found.weight_decay_scale)
        1.0 1.0
        1.0 0.0
        10.0 1.0
        10.0 0.0
        >>> model.compile(optimizer, loss="mse")
        >>> optimizer.learning_rate = 1e-3
    """
    parameters = _parameters(model)
    _checked(optimizer)
    _check_built(optimizer, model)
    found = multipliers(parameters, rules)
    if all(each.frozen for each in found.values()):
        raise ValueError(f"layer_rates.rules: expected a variable that trains, got {len(found)} that are frozen")
    return _rated(optimizer, _without_excluded(optimizer, parameters, found))


@keras.saving.register_keras_serializable(package="lrcore", name="LayerRates")
class LayerRates(keras.optimizers.Optimizer):
    """What an optimizer with layer rates has before its own class; `layer_rates` makes it.

    Example:
        >>> import keras
        >>> from lrcore.groups import Frozen
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.Dense(2, name="head")])
        >>> optimizer = layer_rates(keras.optimizers.SGD(0.1), model, Frozen("^((?!head).)*$"))
        >>> isinstance(optimizer, LayerRates), isinstance(optimizer, keras.optimizers.SGD)
        (True, True)
    """

    _lrcore_kind: Any  # the class without layer rates
    _lrcore_rates: _Rates

    @property
    def multipliers(self) -> Mapping[str, Multiplier]:
        """What each variable's learning rate and weight decay are multiplied by."""
        return MappingProxyType(self._lrcore_rates.found)

    def build(self, variables: Any) -> None:
        """Makes the optimizer's state for the variables that train.

        Raises:
            ValueError: a variable that the rules have not seen.
        """
        if self.built:
            return
        self._lrcore_rates.place(variables)
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable's update at its own rate."""
        scale = self._multiplier_of(variable).lr_scale
        if scale != 0.0:
            super().update_step(gradient, variable, learning_rate if scale == 1.0 else learning_rate * scale)

    def _multiplier_of(self, variable: Any) -> Multiplier:
        placed: list[Multiplier] = self._lrcore_rates.placed
        return placed[self._get_variable_index(variable)]

    def _get_variable_index(self, variable: Any) -> int:
        """Also of what stands for a variable."""
        index: int = variable.index if type(variable) is _foreach.Step else super()._get_variable_index(variable)
        return index

    def _parallel_update_step(self, grads: Any, variables: Any, learning_rate: Any) -> None:
        """On the torch backend most optimizers have this in the place of `update_step`."""
        groups = self._lrcore_rates.groups("rate", variables, lambda variable: self._multiplier_of(variable).lr_scale)
        _foreach.update(self, super()._parallel_update_step, grads, variables, learning_rate, groups)

    def _apply_weight_decay(self, variables: Any) -> None:
        """Each variable's decay is at its own rate: variables with the same factor in one call."""
        if not _decays(self):
            return
        groups = self._lrcore_rates.groups("decay", variables, self._decay_factor)
        if not groups:
            return
        rate: Any = keras.ops.convert_to_tensor(self.learning_rate)
        known = _optimizers.concrete(rate, float) if hasattr(super(), "_parallel_update_step") else None
        if known is not None:
            each = _foreach.Each([known * factor for factor, group in groups.items() for _ in group])
            with self._lrcore_rates.taken_for(each):
                super()._apply_weight_decay([variables[at] for group in groups.values() for at in group])
            return
        for factor, group in groups.items():
            with self._lrcore_rates.taken_for(rate * factor):
                super()._apply_weight_decay([variables[at] for at in group])

    def _decay_factor(self, variable: Any) -> float:
        found = self._multiplier_of(variable)
        return found.lr_scale * found.weight_decay_scale if self._use_weight_decay(variable) else 0.0

    def _get_current_learning_rate(self) -> Any:
        rate = self._lrcore_rates.rate
        return super()._get_current_learning_rate() if rate is None else rate

    def get_config(self) -> dict[str, Any]:
        """The config of the optimizer without layer rates, and the multipliers, which `from_config` reads."""
        plain = type(self)._lrcore_kind.from_config(super().get_config())
        return {
            "optimizer": _serialized(plain),
            "multipliers": [
                [path, each.lr_scale, each.weight_decay_scale] for path, each in self._lrcore_rates.to_save()
            ],
        }

    def __reduce__(self) -> tuple[Any, ...]:
        """As Keras pickles, but not by the name of its class, which is in no module."""
        saved: tuple[Any, ...] = super().__reduce__()[1]
        return keras.optimizers.Optimizer._unpickle_model, saved

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """The optimizer of a config, without its state."""
        plain = keras.saving.deserialize_keras_object(config["optimizer"], custom_objects=custom_objects)
        return _rated(plain, {path: Multiplier(*scales) for path, *scales in config["multipliers"]})


def _serialized(optimizer: Any) -> dict[str, Any]:
    """The config of an optimizer by the name that every backend knows: on torch its class is one of that backend's."""
    config: dict[str, Any] = keras.saving.serialize_keras_object(optimizer)
    if type(optimizer).__module__.startswith("keras.src.backend."):
        kinds = [kind for kind in type(optimizer).__mro__ if kind.__module__.startswith("keras.src.optimizers.")]
        config |= {"module": "keras.optimizers", "class_name": kinds[0].__name__, "registered_name": None}
    return config


class _Rates:
    """The multipliers of an optimizer, by the paths of the variables and by their indices in it.

    An object of its own, as Keras and TensorFlow look into all lists and dicts that an optimizer holds.
    """

    def __init__(self, found: dict[str, Multiplier]) -> None:
        self.found = found
        self.paths: list[str] = []
        self.placed: list[Multiplier] = []
        self.kept: dict[str, tuple[list[int], dict[float, list[int]]]] = {}
        self.rate: Any = None  # what the optimizer takes for its learning rate while it applies weight decay

    @contextmanager
    def taken_for(self, rate: Any) -> Iterator[None]:
        self.rate = rate
        try:
            yield
        finally:
            self.rate = None

    def groups(self, name: str, variables: Sequence[Any], factor: Callable[[Any], float]) -> dict[float, list[int]]:
        """Where the variables of each factor are in a list, without those of 0; kept, as an update mostly has all."""
        ids, (known, groups) = list(map(id, variables)), self.kept.get(name, (None, {}))
        if ids != known:
            groups = {}
            for at, variable in enumerate(variables):
                groups.setdefault(factor(variable), []).append(at)
            groups.pop(0.0, None)
            self.kept[name] = ids, groups
        return groups

    def place(self, variables: Sequence[Any]) -> None:
        """Finds the variables that the optimizer is built with.

        A model that is loaded may count the names of its layers anew, so names are also compared without their numbers,
        where the variables are the saved ones in their order.
        """
        paths = [variable.path for variable in variables]
        unknown = [path for path in paths if path not in self.found]
        if unknown and len(paths) == len(self.found) and all(map(_is_same, paths, self.found)):
            self.found = dict(zip(paths, self.found.values(), strict=True))
        elif unknown:
            raise ValueError(
                f"layer_rates: expected the variables of the model that it was given, got {unknown[0]!r}"
                f"{_check.did_you_mean(unknown[0], self.found)}: call it again with the model that is trained"
            )
        self.kept.clear()
        self.paths, self.placed = paths, [self.found[path] for path in paths]

    def to_save(self) -> list[tuple[str, Multiplier]]:
        """Once it is built, those that the state has variables for."""
        return list(zip(self.paths, self.placed, strict=True)) or list(self.found.items())


def _is_same(path: str, other: str) -> bool:
    """Whether two paths are of one variable: names are counted anew, and a loaded Sequential leaves out its own."""
    shorter, longer = sorted((_uncounted(path), _uncounted(other)), key=len)
    return longer == shorter or longer.endswith(f"/{shorter}")


def _uncounted(path: str) -> str:
    return re.sub(r"_\d+(?=/|$)", "", path)


@cache
def _class(kind: Any) -> Any:
    """The kind with layer rates. All are registered under one name: `from_config` is the same for all."""
    made = type(f"LayerRates{kind.__name__}", (LayerRates, kind), {"_lrcore_kind": kind, "__module__": __name__})
    return keras.saving.register_keras_serializable(package="lrcore", name="LayerRates")(made)


def _rated(optimizer: Any, found: dict[str, Multiplier]) -> Any:
    """The optimizer with these multipliers, in its state."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        config = optimizer.get_config()
        del config["inner_optimizer"]
        made = type(optimizer)(_rated(optimizer.inner_optimizer, found), **config)
    else:
        kind: Any = getattr(type(optimizer), "_lrcore_kind", type(optimizer))
        made = kind.from_config.__func__(_class(kind), _plain_config(optimizer))
        made._lrcore_rates = _Rates(found)
    if optimizer.built:
        made.build(optimizer._trainable_variables)
        for new, old in zip(made.variables, optimizer.variables, strict=True):
            new.assign(old)
    return made


def _plain_config(optimizer: Any) -> dict[str, Any]:
    """The config of its own class; a schedule is taken as it is, for not every one can be serialised."""
    above: Any = super(LayerRates, optimizer) if isinstance(optimizer, LayerRates) else optimizer
    rate = optimizer._learning_rate
    if isinstance(rate, keras.Variable):
        config: dict[str, Any] = above.get_config()
        return config
    optimizer._learning_rate = 0.5
    try:
        return {**above.get_config(), "learning_rate": rate}
    finally:
        optimizer._learning_rate = rate


# ---- What is given ----


def _parameters(model: Any) -> dict[str, Any]:
    """The model's variables that train, or would if their layers were not frozen, by their paths."""
    if not isinstance(model, keras.layers.Layer):
        _check.refuse("layer_rates.model", "a model or a layer of Keras", model, TypeError)
    own = {id(variable) for layer in model._flatten_layers() for variable in layer._trainable_variables}
    parameters = {variable.path: variable for variable in model.weights if id(variable) in own}
    if not parameters:
        raise ValueError(
            "layer_rates.model: expected one that is built, got one without variables to train: "
            "call model.build(input_shape), or give it an Input"
        )
    return parameters


def _checked(optimizer: Any) -> None:
    where = "layer_rates.optimizer"
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        _check.refuse(where, "an optimizer of Keras, as keras.optimizers.Adam()", optimizer, TypeError)
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if getattr(inner, "_lrcore_scheduled", ()):
        _check.refuse(where, "one before scheduled(...), which takes what layer_rates returns", optimizer)
    # A MultiOptimizer has no learning rate that all of its parts share, and Keras before 3.13 has none.
    if isinstance(optimizer, getattr(keras.optimizers, "MultiOptimizer", ())):
        _check.refuse(where, "one optimizer for all variables", optimizer, TypeError)


def _check_built(optimizer: Any, model: Any) -> None:
    """Keras makes the state of all variables at once, and later refuses one that it does not know."""
    built = getattr(optimizer, "inner_optimizer", optimizer)._trainable_variables if optimizer.built else []
    known = {id(variable) for variable in built} | {variable.path for variable in built}
    unknown = [each.path for each in model.trainable_variables if known.isdisjoint((id(each), each.path))]
    if built and unknown:
        raise ValueError(
            f"layer_rates.optimizer: expected one built with all variables that train, got one without {unknown[0]!r}: "
            "give a new optimizer; to unfreeze layers in stages, build it with all of them and freeze by rules, "
            "as lrcore.groups.Frozen, that a later layer_rates replaces"
        )


def _decays(optimizer: Any) -> bool:
    return any(getattr(optimizer, name, None) is not None for name in HAS_DECAY)


def _without_excluded(
    optimizer: Any, parameters: dict[str, Any], found: dict[str, Multiplier]
) -> dict[str, Multiplier]:
    """The multipliers, with what `exclude_from_weight_decay` was told, which Keras does not save."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    for path, each in found.items():
        if each.weight_decay_scale not in (0.0, 1.0) and not _decays(inner):
            raise ValueError(
                f"layer_rates.optimizer: expected one with weight_decay, as {path!r} gets {each.weight_decay_scale!r} "
                "of it, got None"
            )
        if not inner._use_weight_decay(parameters[path]):
            found[path] = Multiplier(each.lr_scale, 0.0, (*each.rules, "exclude_from_weight_decay"))
    return found
