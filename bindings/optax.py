"""JAX with optax: a schedule as a learning rate that traces, exact rates per group, and the rate on the host.

>>> import jax
>>> import jax.numpy as jnp
>>> import optax
>>> from lrcore import warmup_cosine
>>> rates = schedule(warmup_cosine(0.1, 0.0, warmup_steps=2, steps=6))
>>> optimizer = optax.sgd(rates)
>>> params = {"weight": jnp.zeros(())}
>>> state = optimizer.init(params)
>>> update = jax.jit(optimizer.update)
>>> for step in range(4):
...     changes, state = update({"weight": jnp.ones(())}, state, params)
...     print(round(rates.at(step), 6), f"{-changes['weight']:.6f}")
0.0 0.000000
0.05 0.050000
0.1 0.100000
0.085355 0.085355
>>> updates_done(state)
4
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from lrcore import Schedule, _check, tracing
from lrcore.groups import Multiplier, Rule, multipliers
from lrcore.schedule import is_schedule

ALL_TABLES = 4_000_000  # values of all groups: 16 MB within the compiled step
FEW_MARKS = 256  # that are compared with all at once; more are searched


# ---- Rates ----


def schedule(s: Schedule | Rates | float) -> Rates:
    """A schedule as optax takes it: a callable from the count of updates to the learning rate.

    Pass it wherever optax takes a schedule: to an optimizer, to `optax.scale_by_learning_rate`, to
    `optax.inject_hyperparams`. The values are those of a table, bit for bit `s(count)` as float32, for a schedule that
    holds its value within a million updates; else those of a table for the first 65,536, and then of the closed form,
    within 4 ulp of the larger end: see `lrcore.tracing`. Counts are integers to the last, so none beyond 2**24 is
    rounded.

    Args:
        s: a schedule in updates, or a number for a constant rate.

    Raises:
        TypeError: no schedule.
        ValueError: one in units that are not bound, or one that cannot be traced, such as noise without an end.

    Also known as: `optax.cosine_decay_schedule`, `optax.join_schedules` and all others of `optax.schedules`.

    Example:
        >>> from lrcore import Linear
        >>> rates = schedule(Linear(1.0, 0.0, 4))
        >>> jax.jit(rates)(jnp.int32(1)).item(), jax.vmap(rates)(jnp.arange(6)).tolist()
        (0.75, [1.0, 0.75, 0.5, 0.25, 0.0, 0.0])
    """
    return s if isinstance(s, Rates) else Rates(is_schedule("schedule.s", s))


class Rates:
    """What `schedule` makes: learning rates by the count of updates, equal if their schedules are.

    Args:
        schedule: the schedule.
        longest: values that its table may have.

    Example:
        >>> from lrcore import Linear
        >>> schedule(Linear(1.0, 0.0, 4))
        schedule(Linear(init_value=1.0, end_value=0.0, steps=4))
    """

    def __init__(self, schedule: Schedule, longest: int = tracing.LONGEST_TABLE) -> None:
        self.schedule = schedule
        self._longest = longest
        self._plan = tracing.plan(schedule, longest)
        self._compiled = jax.jit(self._traced)

    def __call__(self, count: Any) -> Any:
        """The rate of the update that follows `count` updates.

        Args:
            count: an integer array of any shape, traced or not; below 0 it counts as 0. Or an int, a list of them or a
                NumPy array.

        Returns:
            A float32 array of the same shape: of JAX for one of JAX. What is on the host is answered by the engine and
            stays there.

        Raises:
            TypeError: a count that is no integer.
            ValueError: on the host one below 0.

        Example:
            >>> from lrcore import Linear
            >>> schedule(Linear(1.0, 0.0, 4))(jnp.array([[0, 2], [4, 9]]))
            Array([[1. , 0.5],
                   [0. , 0. ]], dtype=float32)
        """
        if isinstance(count, jax.core.Tracer):
            return self._traced(count)
        if isinstance(count, jax.Array):
            return self._compiled(count)
        return tracing.as_float32(self.schedule(count))

    def at(self, count: int) -> float:
        """The rate of the update that follows `count` updates, on the host: for logs and progress bars.

        Nothing is asked of the device, so nothing waits for it. Count the updates in the loop; after a resume begin
        with `updates_done(opt_state)`.

        Args:
            count: an int >= 0.

        Returns:
            `schedule(count)` as float32, as a float.

        Raises:
            TypeError, ValueError: a count that is no such int.

        Example:
            >>> from lrcore import Linear
            >>> schedule(Linear(1.0, 0.0, 4)).at(3)
            0.25
        """
        return float(tracing.as_float32(self.schedule(count)))

    def _traced(self, count: Any) -> Any:
        step = _as_step(count)
        return self._plan.value(step, JaxOperations(step.dtype))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rates) and self.schedule == other.schedule

    def __hash__(self) -> int:
        return hash((Rates, self.schedule))

    def __repr__(self) -> str:
        return f"schedule({self.schedule!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Rates, (self.schedule, self._longest)


def _as_step(count: Any) -> Any:
    """A count as int32, or as int64 where JAX has that."""
    if not jnp.issubdtype(count.dtype, jnp.integer):
        _check.refuse("count", "an integer", count.dtype, TypeError)
    dtype = jnp.int64 if count.dtype in (jnp.int64, jnp.uint64) else jnp.int32
    if np.iinfo(count.dtype).max > np.iinfo(dtype).max:
        count = jnp.minimum(count, np.array(np.iinfo(dtype).max, count.dtype))
    return count.astype(dtype)


def updates_done(opt_state: Any) -> int:
    """How many updates an optimizer's state has behind it, as its schedules count them.

    With `optax.MultiSteps` these are its updates, not its micro-batches. It reads an array from the device: call it
    once, after a resume, and count on the host from there.

    Args:
        opt_state: the state of an optimizer with a schedule: of optax, of `per_group`, of `inject_hyperparams`; nested
            in others, restored from a checkpoint; also as the dicts that one restored without a template comes in.

    Raises:
        ValueError: a state without a schedule, or with several that have counted differently.

    Example:
        >>> optimizer = optax.chain(optax.clip(1.0), optax.adam(schedule(0.1)))
        >>> updates_done(optimizer.init(jnp.zeros(3)))
        0
    """
    nodes = jax.tree_util.tree_leaves(opt_state, is_leaf=_is_counter)
    counts = {int(count) for node in nodes if _is_counter(node) for count in np.ravel(_count(node))}
    if len(counts) != 1:
        found = "none" if not counts else f"counts of {sorted(counts)}"
        raise ValueError(
            f"opt_state: expected the state of an optimizer with a schedule, all of one count, got {found}"
        )
    return counts.pop()


def _is_counter(node: object) -> bool:
    """Whether a node is the state of a schedule: optax has two classes of them, of which only one is public.

    Of a checkpoint that is restored without a template it is a mapping, as a parameter called count may stand in one.
    """
    if isinstance(node, Mapping):
        return node.keys() == {"count"} and jnp.issubdtype(jnp.result_type(node["count"]), jnp.integer)
    return isinstance(node, tuple) and getattr(node, "_fields", None) == ("count",)


def _count(node: Any) -> Any:
    return node["count"] if isinstance(node, Mapping) else node.count


# ---- Groups ----


def per_group(
    s: Schedule | Rates | float | jax.Array,
    rules: Rule | Sequence[Rule] = (),
    *,
    weight_decay: float | jax.Array = 0.0,
) -> optax.GradientTransformation:
    """The last link of a chain: multiplies each parameter's update by its own learning rate, and by -1.

    `-(schedule(count) * lr_scale) * (update + weight_decay * weight_decay_scale * parameter)`

    It stands in the place of `optax.scale_by_learning_rate`, so it scales updates, not gradients, which Adam would
    divide out again; and what stands before it, a clip by the global norm, sees all groups together. A group's rate is
    `schedule(count) * lr_scale` rounded once, so its parameters get the bits that an optimizer of their own would give
    them, as far as tables reach: the groups' together have at most four million values, or 65,536 each.

    A parameter that a rule froze does not move; its gradient still counts in a clip before. One without an update, for
    which there is None or optax's `MaskedNode`, stays as it is: give the parameters to `update` where not all have one,
    so that the rules see the same names as when the state was made.

    `optax.inject_hyperparams` makes arrays of the rate and the weight decay, which do as well: the product of such a
    rate and an `lr_scale` is rounded once more. With `static_args="s"` the schedule stays one.

    Args:
        s: a schedule in updates, what `schedule` makes of one, or a number for a constant rate.
        rules: of `lrcore.groups`, for names like "encoder/0/kernel": the keys on the way to a parameter. Those of
            flax.nnx end in "/value".
        weight_decay: decoupled, as in `optax.adamw`; the rules' `weight_decay_scale` multiplies it.

    Raises:
        TypeError, ValueError: no schedule, or one that cannot be traced; a weight decay below 0. When the state is
            made: a rule that matches nothing. At the update: a weight decay, and no parameters.

    Also known as: `optax.multi_transform` with an optimizer for each label.

    Example:
        >>> from lrcore import Linear
        >>> from lrcore.groups import ByName, Frozen
        >>> optimizer = optax.chain(
        ...     optax.clip_by_global_norm(5.0),
        ...     optax.scale_by_adam(),
        ...     per_group(Linear(0.1, 0.0, 100), [ByName("head", 10), Frozen("embed")]),
        ... )
        >>> params = {"embed": jnp.zeros(()), "body": jnp.zeros(()), "head": jnp.zeros(())}
        >>> gradients = {"embed": jnp.array(3.0), "body": jnp.array(4.0), "head": jnp.array(-4.0)}
        >>> changes, _ = optimizer.update(gradients, optimizer.init(params), params)
        >>> {name: round(float(change), 4) for name, change in changes.items()}
        {'body': -0.1, 'embed': 0.0, 'head': 1.0}
    """
    rates, groups = _GroupRates(s), _Groups(rules)
    decay = weight_decay
    if not isinstance(decay, jax.Array):
        decay = _check.not_negative("per_group.weight_decay", decay)
    decays = isinstance(decay, jax.Array) or decay > 0.0

    def init(params: Any) -> optax.ScaleByScheduleState:
        groups.of(params)
        return optax.ScaleByScheduleState(count=jnp.zeros([], jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, optax.ScaleByScheduleState]:
        if decays and params is None:
            raise ValueError("per_group.weight_decay: expected update(updates, state, params), got no params")
        known = updates if params is None else params
        found = groups.of(known)
        steps = rates.of({each.lr_scale for each in jax.tree.leaves(found)}, state.count)

        def moved(update: Any, group: Multiplier, weight: Any) -> Any:
            if decays and group.weight_decay_scale:
                update = update + _times(decay * group.weight_decay_scale, weight)
            return _times(-steps[group.lr_scale], update)

        count = jnp.minimum(state.count, np.iinfo(np.int32).max - 1) + 1  # it stays at the largest
        return _each(moved, updates, found, known), optax.ScaleByScheduleState(count=count)

    return optax.GradientTransformation(init, update)


def scale_by_groups(rules: Rule | Sequence[Rule]) -> optax.GradientTransformation:
    """Multiplies each parameter's update by its `lr_scale`: behind an optimizer that has a learning rate already.

    `optax.chain(optax.adamw(schedule(s)), scale_by_groups(rules))` gives every group `schedule(count) * lr_scale`,
    within the rounding of one more product: `per_group` has none. Weight decay within the optimizer is scaled too, as
    it is in an optimizer with that rate.

    Args:
        rules: of `lrcore.groups`, as for `per_group`; rules with a `weight_decay_scale` other than 1 are for that.

    Raises:
        TypeError: no rules.
        ValueError: when the state is made: a rule that matches nothing, or that scales the weight decay.

    Example:
        >>> from lrcore.groups import ByName
        >>> optimizer = optax.chain(optax.sgd(0.5), scale_by_groups(ByName("head", 10)))
        >>> params = {"body": jnp.zeros(()), "head": jnp.zeros(())}
        >>> changes, _ = optimizer.update({"body": 1.0, "head": 1.0}, optimizer.init(params))
        >>> {name: float(change) for name, change in changes.items()}
        {'body': -0.5, 'head': -5.0}
    """
    groups = _Groups(rules)

    def init(params: Any) -> optax.EmptyState:
        if any(each.weight_decay_scale != 1.0 for each in jax.tree.leaves(groups.of(params))):
            raise ValueError("scale_by_groups.rules: expected rules for the learning rate alone; per_group has a decay")
        return optax.EmptyState()

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        known = updates if params is None else params
        return _each(lambda update, group, _: _times(group.lr_scale, update), updates, groups.of(known), known), state

    return optax.GradientTransformation(init, update)


class _GroupRates:
    """The rates of groups by their scale, each of a table of its own that is made when it is first asked for."""

    def __init__(self, s: Any) -> None:
        self._given = s
        self._rates: dict[float, Rates] = {} if isinstance(s, jax.Array) else {1.0: schedule(s)}

    def of(self, scales: set[float], count: Any) -> dict[float, Any]:
        if isinstance(self._given, jax.Array):
            return {scale: self._given * scale for scale in scales}
        moving = scales - {0.0}
        for scale in moving - set(self._rates):
            longest = max(tracing.HEAD, min(tracing.LONGEST_TABLE, ALL_TABLES // len(moving)))
            self._rates[scale] = Rates(self._rates[1.0].schedule * scale, longest)
        return {scale: self._rates[scale](count) for scale in moving}


class _Groups:
    """What rules come to for the leaves of a tree, which is asked again at each update that is not compiled."""

    def __init__(self, rules: Rule | Sequence[Rule]) -> None:
        self._rules = rules
        self._found: dict[Any, Any] = {}

    def of(self, tree: Any) -> Any:
        """A tree of multipliers."""
        leaves, structure = jax.tree.flatten(tree)
        if not leaves:  # a label of `optax.partition` that no parameter has
            return tree
        dimensions = tuple(map(jnp.ndim, leaves))
        if (structure, dimensions) not in self._found:
            names = [_name(path) for path, _ in jax.tree.leaves_with_path(tree)]
            found = multipliers(dict(zip(names, dimensions, strict=True)), self._rules)
            self._found[structure, dimensions] = jax.tree.unflatten(structure, found.values())
        return self._found[structure, dimensions]


def _name(path: Sequence[Any]) -> str:
    """The keys on the way to a leaf: "encoder/0/kernel"."""
    return "/".join(str(_key(step)) for step in path)


def _key(step: Any) -> Any:
    """What a step of a path is called: JAX has a class for mappings, sequences, attributes and all others."""
    for field in ("key", "idx", "name"):
        if hasattr(step, field):
            return getattr(step, field)
    return step


def _each(moved: Callable[[Any, Multiplier, Any], Any], updates: Any, groups: Any, params: Any) -> Any:
    """The updates that are made of those of each parameter that moves; of one that has none it stays as it is."""

    def made(update: Any, group: Any, weight: Any) -> Any:
        if _is_missing(update):
            return update
        return jnp.zeros_like(update) if group.frozen else moved(update, group, weight)

    return jax.tree.map(made, updates, groups, params, is_leaf=_is_missing)


def _is_missing(update: object) -> bool:
    return update is None or isinstance(update, optax.MaskedNode)


def _times(factor: Any, values: Any) -> Any:
    """A product in the dtype of the values."""
    return jnp.asarray(factor, dtype=jnp.asarray(values).dtype) * values


# ---- Operations ----


class JaxOperations(tracing.OfDtype):
    """`lrcore.tracing.Operations` of jax.numpy, where each method is described, for steps of one dtype.

    Args:
        dtype: of the steps, int32 or int64.

    Example:
        >>> from lrcore import Cosine
        >>> step = jnp.array([0, 2**29, 2**30])
        >>> tracing.traced(Cosine(1.0, 0.0, 2**30), step, JaxOperations("int32")).tolist()
        [1.0, 0.5, 0.0]
    """

    exp = staticmethod(jnp.exp)
    expm1 = staticmethod(jnp.expm1)
    log = staticmethod(jnp.log)
    log1p = staticmethod(jnp.log1p)
    sqrt = staticmethod(jnp.sqrt)
    tanh = staticmethod(jnp.tanh)
    floor = staticmethod(jnp.floor)
    power = staticmethod(jnp.power)
    minimum = staticmethod(jnp.minimum)
    maximum = staticmethod(jnp.maximum)

    def float32(self, steps: Any) -> Any:
        """Integers as float32."""
        return steps.astype(jnp.float32)

    def where(self, condition: Any, then: Any, otherwise: Any) -> Any:
        """Either of them may be a number."""
        return jnp.where(condition, self.constant(then), self.constant(otherwise))

    def take(self, values: NDArray[Any], at: Any) -> Any:
        """Entries of a constant array."""
        return jnp.asarray(self.constants(values)).at[at].get(mode="promise_in_bounds")

    def reached(self, marks: NDArray[np.int64], step: Any) -> Any:
        """How many of the marks are `<= step`."""
        method = "compare_all" if len(marks) <= FEW_MARKS else "scan_unrolled"
        return jnp.searchsorted(marks.astype(self.dtype), step, side="right", method=method).astype(self.dtype)
