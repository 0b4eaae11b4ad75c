r"""Which parameter gets which multiplier: rules by name and by depth, for differential learning rates.

A rule is an immutable value that knows parameters by their names alone, so the same rules serve every framework.
`multipliers` applies rules to the names of a model's parameters; a binding multiplies the schedule's value by each
parameter's `lr_scale`, and the weight decay by its `weight_decay_scale`.

- Everything multiplies. A parameter's `lr_scale` is the product of what each rule that touches it says, and so is its
  `weight_decay_scale`; the order of the rules does not matter, and a frozen parameter stays frozen. A rule given twice
  is refused.
- A pattern is a regular expression that is searched anywhere in a name, as names begin with what a framework or a
  wrapper puts there: `module.`, `sequential_4/`. So `layers\.1` finds `layers.10` too; write `layers\.1\.`.
- A pattern that matches no parameter is an error, and names those that are near.

>>> from lrcore.groups import ByName, LayerDecay, NoDecay, multipliers
>>> shapes = {
...     "embed.weight": (100, 8),
...     "blocks.0.linear.weight": (8, 8),
...     "blocks.0.linear.bias": (8,),
...     "blocks.1.linear.weight": (8, 8),
...     "head.weight": (2, 8),
... }
>>> rules = [LayerDecay(0.5, ["embed", r"blocks\.(\d+)\."]), ByName("head", lr_scale=10), NoDecay()]
>>> for name, found in multipliers(shapes, rules).items():
...     print(name, found.lr_scale, found.weight_decay_scale, *found.rules, sep=", ")
embed.weight, 0.125, 1.0, LayerDecay: depth 0 of 3
blocks.0.linear.weight, 0.25, 1.0, LayerDecay: depth 1 of 3
blocks.0.linear.bias, 0.25, 0.0, LayerDecay: depth 1 of 3, NoDecay
blocks.1.linear.weight, 0.5, 1.0, LayerDecay: depth 2 of 3
head.weight, 10.0, 1.0, LayerDecay: depth 3 of 3, ByName('head')
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, NoReturn

from lrcore import _check
from lrcore._check import field

# A name that ends in a bias, or that has a norm among its words: `ln_1`, `norm2`, `LayerNorm`, `batch_normalization_3`.
BIASES_AND_NORMS = (
    r"(?i:(^|[./_])(bias|gamma|beta)$|(layer|batch|group|instance|rms)_?norm|(^|[./_])(norm|ln|bn)_?(\d+|f)?([./_]|$))"
)
TENTH = 0.1  # what fastai's slice(high) gives to all but the last

_dimensions = _check.whole(0, 64, "a number of dimensions")


class Effect(NamedTuple):
    """What one rule does to one parameter."""

    lr_scale: float
    weight_decay_scale: float
    reason: str


@dataclass(frozen=True, slots=True)
class Multiplier:
    """What the rules come to for one parameter.

    Args:
        lr_scale: multiplies the learning rate; 0 where the parameter is frozen.
        weight_decay_scale: multiplies the weight decay; 0 where there is none.
        rules: the rules that touch the parameter, each with what it saw there.

    Example:
        >>> multipliers(["head.weight"], [ByName("head", 10)])
        {'head.weight': Multiplier(lr_scale=10.0, weight_decay_scale=1.0, rules=("ByName('head')",))}
    """

    lr_scale: float = 1.0
    weight_decay_scale: float = 1.0
    rules: tuple[str, ...] = ()

    @property
    def frozen(self) -> bool:
        """Whether the parameter's learning rate is 0, whatever the schedule says."""
        return self.lr_scale == 0.0


def _pattern(where: str, given: object) -> str:
    if not isinstance(given, str):
        _check.refuse(where, "a regular expression, a str", given, TypeError)
    try:
        re.compile(given)
    except re.error as error:
        raise ValueError(f"{where}: expected a regular expression, got {given!r}: {error}") from None
    if not given:
        _check.refuse(where, "a regular expression that is not empty", given)
    return given


def _patterns(where: str, given: object) -> tuple[str, ...]:
    listed = (
        [given] if isinstance(given, str) else _check.items(where, given, "regular expressions, lowest layer first")
    )
    if not listed:
        raise ValueError(f"{where}: expected regular expressions, lowest layer first, got none")
    return tuple(_pattern(f"{where}[{at}]", one) for at, one in enumerate(listed))


def _or_none(check: _check.Check) -> _check.Check:
    return lambda where, given: None if given is None else check(where, given)


def _decay(where: str, given: object) -> float:
    checked = _check.positive(where, given)
    if checked > 1.0:
        raise ValueError(
            f"{where}: expected a number in (0, 1], got {checked!r}: to divide by it, give 1 / {checked!r}"
        )
    return checked


class Rule(ABC):
    """A rule: which parameters it touches, and by what it multiplies there.

    Example:
        >>> ByName("head", lr_scale=10)
        ByName(pattern='head', lr_scale=10.0, weight_decay_scale=1.0)
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            where = f"{type(self).__name__}.{item.name}"
            if "check" in item.metadata:
                object.__setattr__(self, item.name, item.metadata["check"](where, getattr(self, item.name)))

    @abstractmethod
    def effects(self, parameters: Mapping[str, int | None]) -> dict[str, Effect]:
        """What the rule does to each parameter that it touches.

        Args:
            parameters: the names, each with its number of dimensions, or None where that is not known.

        Raises:
            ValueError: it touches none.

        Example:
            >>> ByName("head", lr_scale=10).effects({"body.weight": 2, "head.weight": 2})
            {'head.weight': Effect(lr_scale=10.0, weight_decay_scale=1.0, reason="ByName('head')")}
        """


@dataclass(frozen=True, slots=True)
class ByName(Rule):
    """Multiplies where a pattern is found in the name.

    Args:
        pattern: a regular expression, searched anywhere in the name.
        lr_scale: multiplies the learning rate, >= 0.
        weight_decay_scale: multiplies the weight decay, >= 0.

    Raises:
        TypeError, ValueError: a pattern that is no regular expression; a multiplier below 0.

    Also known as: MMEngine `custom_keys` with `lr_mult` and `decay_mult` (of which only the longest counts).

    Example:
        >>> multipliers(["body.weight", "head.weight"], ByName("^head", lr_scale=10))["head.weight"].lr_scale
        10.0
    """

    pattern: str = field(_pattern)
    lr_scale: float = field(_check.not_negative, 1.0)
    weight_decay_scale: float = field(_check.not_negative, 1.0)

    def effects(self, parameters: Mapping[str, int | None]) -> dict[str, Effect]:
        """`Rule.effects`."""
        effect = Effect(self.lr_scale, self.weight_decay_scale, f"ByName({self.pattern!r})")
        return dict.fromkeys(_found("ByName.pattern", self.pattern, parameters), effect)


@dataclass(frozen=True, slots=True)
class Frozen(Rule):
    """Stops what a pattern finds: its multiplier is 0.

    Args:
        pattern: a regular expression, searched anywhere in the name.

    Raises:
        TypeError, ValueError: a pattern that is no regular expression.

    Example:
        >>> multipliers(["body.weight", "head.weight"], Frozen("^body"))["body.weight"].frozen
        True
    """

    pattern: str = field(_pattern)

    def effects(self, parameters: Mapping[str, int | None]) -> dict[str, Effect]:
        """`Rule.effects`."""
        effect = Effect(0.0, 1.0, f"Frozen({self.pattern!r})")
        return dict.fromkeys(_found("Frozen.pattern", self.pattern, parameters), effect)


@dataclass(frozen=True, slots=True)
class NoDecay(Rule):
    """No weight decay for biases, norms and all else with one dimension.

    Args:
        pattern: names without weight decay, a regular expression; without an argument those of biases and norms. None
            asks for the dimensions alone.
        max_ndim: parameters of at most so many dimensions have no weight decay either, where these are known. None asks
            for the names alone.

    Raises:
        TypeError, ValueError: a pattern that is no regular expression; a max_ndim that is no int >= 0; neither of them.

    Also known as: timm `weight_decay_exclude_1d`, which is `NoDecay(None)`, and `no_weight_decay_list`.

    Example:
        >>> found = multipliers({"linear.weight": 2, "linear.bias": 1, "norm.weight": 1}, NoDecay())
        >>> [each.weight_decay_scale for each in found.values()]
        [1.0, 0.0, 0.0]
    """

    pattern: str | None = field(_or_none(_pattern), BIASES_AND_NORMS)
    max_ndim: int | None = field(_or_none(_dimensions), 1)

    def __post_init__(self) -> None:
        Rule.__post_init__(self)
        if self.pattern is None and self.max_ndim is None:
            raise ValueError("NoDecay: expected a pattern or a max_ndim, got neither")

    def effects(self, parameters: Mapping[str, int | None]) -> dict[str, Effect]:
        """`Rule.effects`."""
        found = [name for name, ndim in parameters.items() if self._touches(name, ndim)]
        if not found:
            self._refuse(parameters)
        return {name: Effect(1.0, 0.0, "NoDecay") for name in found}

    def _refuse(self, names: Iterable[str]) -> NoReturn:
        own, sought = "", []
        if self.pattern == BIASES_AND_NORMS:
            sought.append("the name of a bias or a norm")
        elif self.pattern is not None:
            own = self.pattern
            sought.append(f"the pattern {own!r}")
        if self.max_ndim is not None:
            sought.append(f"at most {self.max_ndim} known dimensions")
        _refuse_unmatched("NoDecay", " or ".join(sought), own, names)

    def _touches(self, name: str, ndim: int | None) -> bool:
        if self.max_ndim is not None and ndim is not None and ndim <= self.max_ndim:
            return True
        return self.pattern is not None and re.search(self.pattern, name) is not None


class _ByDepth(Rule):
    """A rule that knows the layers' patterns, lowest first, and multiplies by depth."""

    __slots__ = ()

    layers: Sequence[str]

    @abstractmethod
    def _scale(self, depth: int, top: int) -> float:
        """The multiplier of a depth in 0, ..., top."""

    def effects(self, parameters: Mapping[str, int | None]) -> dict[str, Effect]:
        """`Rule.effects`: every parameter has a depth."""
        kind = type(self).__name__
        places = {name: self._place(name) for name in parameters}
        taken = {place[0] for place in places.values()}
        for at, pattern in enumerate(self.layers):
            if at not in taken:
                free = [name for name, place in places.items() if place[0] > at]
                sought = f"the pattern {pattern!r}" + " and with none before it" * (at > 0)
                _refuse_unmatched(f"{kind}.layers[{at}]", sought, pattern, free)
        depths = {place: depth for depth, place in enumerate(sorted(set(places.values())))}
        top = len(depths) - 1
        scales = [self._scale(depth, top) for depth in range(len(depths))]
        return {
            name: Effect(scales[depths[place]], 1.0, f"{kind}: depth {depths[place]} of {top}")
            for name, place in places.items()
        }

    def _place(self, name: str) -> tuple[int, ...]:
        """The first pattern that is found, and the numbers in its groups: what the layers are sorted by."""
        for at, pattern in enumerate(self.layers):
            found = re.search(pattern, name)
            if found is not None:
                return (at, *self._numbers(at, name, found))
        return (len(self.layers),)

    def _numbers(self, at: int, name: str, found: re.Match[str]) -> list[int]:
        texts = [text for text in found.groups() if text is not None]
        for text in texts:
            if not text.isdecimal():
                raise ValueError(
                    f"{type(self).__name__}.layers[{at}]: expected groups of digits, as (\\d+), with (?:...) for all "
                    f"others, got {text!r} in {name!r}"
                )
        return [int(text) for text in texts]


@dataclass(frozen=True, slots=True)
class LayerDecay(_ByDepth):
    r"""Lower layers learn slower, each by the same factor.

    `max(decay ** (top - depth), min_scale)`, where `depth` is 0 for the lowest layer and `top` for the highest

    Layers are listed by patterns, lowest first. A pattern without a group is one layer: a stem. One with a group of
    digits, as in `blocks\.(\d+)\.`, is a layer for each number that occurs, in their order; two groups are sorted by
    both, and a name in which a group is missing comes before those that have it. A name belongs to the first pattern
    that is found in it, and all names in which none is found are one layer more, above the others: the head.

    Args:
        decay: the factor from one layer to the next below it, in (0, 1].
        layers: the patterns, lowest layer first, or one pattern.
        min_scale: the least multiplier.

    Raises:
        TypeError, ValueError: a decay outside of (0, 1]; a pattern that is no regular expression.

    Reference: ELECTRA, https://arxiv.org/abs/2003.10555; BEiT, https://arxiv.org/abs/2106.08254. ULMFiT's
    discriminative fine-tuning, https://arxiv.org/abs/1801.06146, is `LayerDecay(1 / 2.6, ...)`.

    Also known as: timm `param_groups_layer_decay`, BEiT `LayerDecayValueAssigner`. timm counts a vision transformer's
    last norm to its last block: add `ByName(r"^norm\.", decay)`. ELECTRA's own code leaves one depth empty below the
    head: add `ByName("embeddings|encoder", decay)`.

    Example:
        >>> names = ["cls_token", "patch_embed.proj", "blocks.0.mlp", "blocks.1.mlp", "norm", "head"]
        >>> rule = LayerDecay(0.5, [r"cls_token|pos_embed|patch_embed", r"blocks\.(\d+)\."])
        >>> [found.lr_scale for found in multipliers(names, rule).values()]
        [0.125, 0.125, 0.25, 0.5, 1.0, 1.0]
    """

    decay: float = field(_decay)
    layers: Sequence[str] = field(_patterns)
    min_scale: float = field(_check.not_negative, 0.0)

    def _scale(self, depth: int, top: int) -> float:
        return max(math.pow(self.decay, top - depth), self.min_scale)


@dataclass(frozen=True, slots=True)
class Slice(_ByDepth):
    """The rates of fastai's `slice(low, high)`, as multipliers of `high`.

    `(low / high) ** ((top - depth) / top)`: even factors from `low` at the lowest layer to `high` at the highest;
    without a `low`, a tenth everywhere but in the highest

    Give `high` to the schedule as its peak: only the ratio of the two counts here. The layers are as in `LayerDecay`.

    Args:
        low: the rate of the lowest layer, > 0, or None for `slice(high)`.
        high: the rate of the highest layer, > 0.
        layers: the patterns, lowest layer first, or one pattern.

    Raises:
        TypeError, ValueError: a rate that is not > 0; a pattern that is no regular expression.

    Also known as: fastai `learn.fit_one_cycle(n, slice(low, high))`.

    Example:
        >>> names = ["body.0.weight", "body.1.weight", "head.weight"]
        >>> found = multipliers(names, Slice(1e-5, 1e-3, [r"body.(\\d+)"]))
        >>> [round(each.lr_scale, 9) for each in found.values()]
        [0.01, 0.1, 1.0]
        >>> [each.lr_scale for each in multipliers(names, Slice(None, 1e-3, [r"body.(\\d+)"])).values()]
        [0.1, 0.1, 1.0]
    """

    low: float | None = field(_or_none(_check.positive))
    high: float = field(_check.positive)
    layers: Sequence[str] = field(_patterns)

    def _scale(self, depth: int, top: int) -> float:
        if depth == top:
            return 1.0
        return TENTH if self.low is None else math.pow(self.low / self.high, (top - depth) / top)


def multipliers(parameters: Mapping[str, Any] | Iterable[str], rules: Rule | Sequence[Rule]) -> dict[str, Multiplier]:
    """What the rules come to, for each parameter in the order given.

    Args:
        parameters: each name with its shape, an array, its number of dimensions, or None where that is not known; or
            the names alone, and then rules that ask for dimensions go by the names.
        rules: the rules, or one. All that touch a parameter multiply there.

    Raises:
        TypeError: no names; no rules.
        ValueError: no parameters, or a name twice; a rule twice, or one that matches nothing.

    Example:
        >>> multipliers({"body.weight": (3, 2), "head.weight": (2, 3)}, [ByName("head", 10), ByName("weight", 0.5)])
        {'body.weight': Multiplier(lr_scale=0.5, weight_decay_scale=1.0, rules=("ByName('weight')",)),
         'head.weight': Multiplier(lr_scale=5.0, weight_decay_scale=1.0, rules=("ByName('head')", "ByName('weight')"))}
    """
    dimensions = _dimensions_of(parameters)
    touched: dict[str, list[Effect]] = {name: [] for name in dimensions}
    for rule in _rules("rules", rules):
        for name, effect in rule.effects(dimensions).items():
            touched[name].append(effect)
    return {name: _together(name, effects) for name, effects in touched.items()}


def _together(name: str, effects: list[Effect]) -> Multiplier:
    # Sorted, as the last bit of a product of three depends on their order.
    lr_scale = math.prod(sorted(effect.lr_scale for effect in effects))
    weight_decay_scale = math.prod(sorted(effect.weight_decay_scale for effect in effects))
    return Multiplier(
        _check.not_negative(f"lr_scale of {name!r}", float(lr_scale)),
        _check.not_negative(f"weight_decay_scale of {name!r}", float(weight_decay_scale)),
        tuple(effect.reason for effect in effects),
    )


def _rules(where: str, given: object) -> list[Rule]:
    listed = [given] if isinstance(given, Rule) else _check.items(where, given, "rules")
    for at, rule in enumerate(listed):
        if not isinstance(rule, Rule):
            _check.refuse(f"{where}[{at}]", "a rule of lrcore.groups", rule, TypeError)
        if rule in listed[:at]:
            raise ValueError(f"{where}[{at}]: expected each rule once, got {rule!r} again")
    return listed


def _dimensions_of(parameters: object) -> dict[str, int | None]:
    """The names, each with its number of dimensions where that is known."""
    expected = "a mapping of names to shapes, or names"
    if isinstance(parameters, str) or not isinstance(parameters, Iterable):
        _check.refuse("parameters", expected, parameters, TypeError)
    pairs = list(parameters.items() if isinstance(parameters, Mapping) else ((name, None) for name in parameters))
    found: dict[str, int | None] = {}
    for name, given in pairs:
        if not isinstance(name, str):
            _check.refuse("parameters", expected, name, TypeError)
        if name in found:
            raise ValueError(f"parameters: expected each name once, got {name!r} again")
        found[name] = _ndim(f"parameters[{name!r}]", given)
    if not found:
        raise ValueError(f"parameters: expected {expected}, got none")
    return found


def _ndim(where: str, given: Any) -> int | None:
    if given is None:
        return None
    shape = getattr(given, "shape", given)
    if isinstance(shape, Iterable) and not isinstance(shape, str):
        return len(list(shape))
    if not isinstance(shape, int):
        _check.refuse(where, "a shape, a number of dimensions or None", given, TypeError)
    return int(_dimensions(where, shape))


# ---- Names ----


def _found(where: str, pattern: str, parameters: Mapping[str, int | None]) -> list[str]:
    """The names in which the pattern is found, at least one."""
    found = [name for name in parameters if re.search(pattern, name)]
    return found or _refuse_unmatched(where, f"the pattern {pattern!r}", pattern, parameters)


def _refuse_unmatched(where: str, sought: str, pattern: str, names: Iterable[str]) -> NoReturn:
    from difflib import get_close_matches  # only on the way to an error

    listed = list(names)
    parts: dict[str, str] = {}  # each name and each beginning, end and word of one, by what it is without its numbers
    for name in listed:
        words = re.split(r"([./])", name)
        for first in range(0, 1 if pattern.startswith("^") else len(words), 2):
            for last in range(first + 1, len(words) + 1, 2):
                part = "".join(words[first:last])
                parts.setdefault(_plain(part), part)
    sides = _bare(pattern).split("|")
    n = 3 if len(sides) == 1 else 1
    close = [parts[each] for side in sides for each in get_close_matches(_plain(side), list(parts), n)]
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else f"there are {_some(listed)}"
    raise ValueError(f"{where}: expected a parameter with {sought}, got none: {hint}")


def _plain(name: str) -> str:
    return re.sub(r"\d+", "0", name)


def _bare(pattern: str) -> str:
    """About the name that a pattern is meant to find."""
    digits = re.sub(r"\\d[+*]?|\[0-9\][+*]?", "0", pattern)
    return re.sub(r"\(\?[:i]+|[\\^$()*+?]", "", digits)


def _some(names: list[str]) -> str:
    if not names:
        return "no other parameters"
    more = f", ... ({len(names)} parameters)" if len(names) > 4 else ""
    return ", ".join(map(repr, names[:4])) + more
