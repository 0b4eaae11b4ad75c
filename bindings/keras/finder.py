"""Learning-rate range tests in Keras: a callback, and a function that runs some tests and says what they suggest."""

# ruff: noqa: ARG002 - Keras gives the arguments of callbacks by these names

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from lrcore import _check, _progress, smooth
from lrcore._published import Article
from lrcore.bindings.keras import _optimizers
from lrcore.bindings.keras._snapshot import Snapshot
from lrcore.bindings.keras._trials import Trial, trials
from lrcore.finder import (
    PROBE_RUNS,
    PROBE_STEPS,
    Found,
    RangeTest,
    Suggestion,
    Watch,
    best_probe,
    padded,
    probe_lrs,
    probe_watch,
    range_test,
    suggest,
    updates_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

AS_FUNCTION = "lrcore.bindings.keras.find_lr tests such a model too"

_restarts = _check.whole(1, 10**4, "a number of runs")
_seed = _check.whole(0, 2**31 - 1, "a seed")


class Ramp(keras.callbacks.Callback):
    """Trains with given rates, one for each batch, until it is told to stop.

    Args:
        where: who is named in errors.
        rates: (steps,)
        observe: takes the loss of each batch; whether to stop.
        is_mean: take the mean of the epoch so far for the loss of a batch, as Keras gives it.
    """

    def __init__(self, where: str, rates: Floats, observe: Callable[[float], bool], is_mean: bool = False) -> None:
        super().__init__()
        self._where = where
        self._rates = rates
        self._observe = observe
        self._is_mean = is_mean
        self._done = 0

    def on_train_begin(self, logs: Any = None) -> None:
        """Checks the optimizer."""
        _optimizers.settable(self._where, self.model.optimizer, AS_FUNCTION)
        if self.model.steps_per_execution != 1:
            raise ValueError(
                f"{self._where}: expected a model compiled with steps_per_execution=1, got "
                f"{self.model.steps_per_execution}, which hides the losses of the batches in between"
            )
        self._done = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Sets the rate; what Keras reports after the batch is then the loss of this batch alone."""
        _optimizers.set_rate(_optimizers.unwrapped(self.model.optimizer), float(self._rates[self._done]))
        if not self._is_mean:
            self.model.reset_metrics()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the loss."""
        optimizer = _optimizers.unwrapped(self.model.optimizer)
        rate, used = np.float32(self._rates[self._done]), _optimizers.rate_after(optimizer, None)
        if np.float32(used) != rate:
            raise ValueError(f"{self._where}: expected no other callback to set the rate, got {used:g} for {rate:g}")
        self._done += 1
        if self._observe(float(logs["loss"])) or self._done == len(self._rates):
            self.model.stop_training = True


class LRFinder(Ramp):
    """A range test as a callback of `fit`: the rate rises with each batch, until the loss does.

    `start_lr * (end_lr / start_lr)**(t / max_steps)` for batch t, so for `max_steps + 1` batches at most.

    The model is trained meanwhile, and put back as it was when `fit` ends: weights, optimizer, seed generators and the
    global random numbers. Where `fit` is ended by an exception, it is when the `with` ends that is around it:
    `with LRFinder() as finder: model.fit(..., callbacks=[finder])`; or call `restore()`.

    Args:
        start_lr: the first rate, > 0.
        end_lr: the last rate, > start_lr.
        max_steps: the last batch, >= 1.
        smoothing: the weight of the past in `losses`, in [0, 1). What is suggested does not depend on it.
        compat: True gives the numbers of a callback with these arguments that is passed around: its loss of a batch is
            Keras' mean of the epoch so far, a loss of 0 is left out, and it stops when the average exceeds four times
            the least single one.

    Attributes:
        lrs: the rates of the batches so far, (batches,).
        losses: averages of their losses, (batches,): `lrcore.smooth(raw_losses, smoothing)`.
        raw_losses: the losses of the batches themselves, each before its update.

    Raises:
        TypeError, ValueError: arguments outside of these; when the training begins, an optimizer that has a schedule
            or several rates, or `steps_per_execution` other than 1; meanwhile, another callback that sets the rate.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.

    Example:
        >>> import keras, numpy as np
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile("sgd", loss="mse")
        >>> finder, ones = LRFinder(1e-4, 100.0, max_steps=60), np.ones((32, 1))
        >>> before = model.get_weights()[0].item()
        >>> _ = model.fit(ones, 3.0 * ones, batch_size=1, epochs=2, callbacks=[finder], verbose=0)
        >>> 0.005 < finder.suggestion.lr < 1.0, model.get_weights()[0].item() == before
        (True, True)
    """

    def __init__(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        max_steps: int = 100,
        smoothing: float = 0.9,
        *,
        compat: bool = False,
    ) -> None:
        steps = _check.whole(1, 10**6, "a number of batches")("LRFinder.max_steps", max_steps)
        self.smoothing = _check.number("LRFinder.smoothing", smoothing)
        if not 0.0 <= self.smoothing < 1.0:
            _check.refuse("LRFinder.smoothing", "a number in [0, 1)", smoothing)
        self.test = RangeTest(start_lr, end_lr, steps + 1)
        self.compat = _check.flag("LRFinder.compat", compat)
        rates = self.test.lrs
        if self.compat:
            article = Article(self.smoothing, steps)
            rates = np.array([article.rate(t, self.test.start_lr, self.test.end_lr) for t in range(steps + 1)])
        super().__init__("LRFinder", rates, self._take, is_mean=self.compat)
        self._snapshot: Snapshot | None = None
        self._begin()

    def _begin(self) -> None:
        self._raw: list[float] = []
        self._watch = self.test.watch()
        self._article = Article(self.smoothing, self.test.steps - 1)

    def on_train_begin(self, logs: Any = None) -> None:
        """Remembers the model."""
        super().on_train_begin(logs)
        self._snapshot = Snapshot(self.model)
        self._begin()

    def _take(self, loss: float) -> bool:
        self._raw.append(loss)
        return self._article.observe(loss) if self.compat else self._watch.observe(loss)

    def on_train_end(self, logs: Any = None) -> None:
        """Puts the model back."""
        self.restore()

    def restore(self) -> None:
        """Puts the model back as it was when the test began, if that has not been done."""
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            snapshot.restore()

    def __enter__(self) -> LRFinder:
        return self

    def __exit__(self, *exception: object) -> None:
        self.restore()

    @property
    def raw_losses(self) -> Floats:
        """The losses of the batches."""
        return np.array(self._raw)

    @property
    def lrs(self) -> Floats:
        """The rates."""
        seen = self._article.places if self.compat else slice(len(self.raw_losses))
        return self._rates[seen]

    @property
    def losses(self) -> Floats:
        """The averages."""
        return np.array(self._article.values) if self.compat else smooth(self.raw_losses, self.smoothing)

    @property
    def suggestion(self) -> Suggestion:
        """What the losses suggest, see `lrcore.finder.suggest`.

        Raises:
            ValueError: nothing has been trained.
        """
        if not self._raw:
            raise ValueError("LRFinder.suggestion: expected a training with this callback before, got no loss")
        return suggest(self._rates, self.raw_losses)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draws the losses against the rates: with the suggestion, or with `compat` the averages alone.

        Args:
            ax: matplotlib's axes; by default there is a new figure.

        Raises:
            ImportError: matplotlib is not installed.
            ValueError: nothing has been trained.
        """
        if not self.compat:
            return self.suggestion.plot(ax)
        from lrcore._finderplot import draw_recorded

        drawn: Axes = draw_recorded(self.lrs, self.losses, ax)
        return drawn


def find_lr(
    model: keras.Model,
    data: Any,
    targets: Any = None,
    *,
    batch_size: int | None = None,
    test: RangeTest | None = None,
    restarts: int = 8,
    refine: bool = False,
    reinit: Literal["reset"] | Callable[[keras.Model], object] | None = None,
    seed: int = 0,
    progress: bool | None = None,
    **fit: Any,
) -> Found:
    """Trains a few short runs at rising rates, and says which learning rate they suggest.

    **Nothing is lost**: weights, seed generators, the optimizer's variables and its schedule, metrics, `stop_training`,
    `history` and the global random numbers are afterwards what they were, to the bit, also after an exception or
    Ctrl-C. Data that keep a place or an order of their own, as a `PyDataset` that shuffles itself, are not put back.
    The runs differ in the order of the data, where `fit` shuffles, and with `reinit` in the initial weights.

    With `layer_rates` the rate of the optimizer rises, and the ratios of the layers stay.

    Args:
        model: a compiled model.
        data: what `fit` takes: arrays, a `tf.data.Dataset`, a `PyDataset`, a DataLoader of torch; begun anew where it
            is shorter than the test. `(inputs, targets)` too.
        targets: those of inputs in arrays.
        batch_size: as `fit` takes it.
        test: the rates, see `lrcore.finder.RangeTest`; by default from 1e-6 to 10 in 200 updates.
        restarts: how many runs, >= 1.
        refine: whether short runs at five rates around the suggestion, with the same batches, choose among them.
        reinit: gives the runs initial weights of their own: "reset" draws those of a clone of the model, a function is
            called with the model. The optimizer begins without state then. None: all begin with the weights and the
            state that there are.
        seed: of what is random in the runs, >= 0.
        progress: show a progress bar (needs tqdm). None: on a terminal, if tqdm is there.
        **fit: what else `fit` takes, as `sample_weight`, `class_weight`, `steps_per_epoch`, `callbacks`; no `epochs`,
            no `initial_epoch`: a run has the updates of its test.

    Raises:
        TypeError, ValueError: arguments outside of these; a model that is not compiled, whose optimizer has several
            rates, or with `steps_per_execution` other than 1; data that can be iterated but once, or have no batch.
        ImportError: `progress=True` without tqdm.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017), section 3.3.

    Example:
        >>> import keras, numpy as np
        >>> keras.utils.set_random_seed(0)
        >>> inputs = np.random.default_rng(0).normal(size=(256, 4))
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        >>> model.compile(keras.optimizers.SGD(0.1), loss="mse")
        >>> found = find_lr(model, inputs, inputs.sum(1), test=RangeTest(1e-4, 10.0, 60), restarts=2)
        >>> 0.01 < found.lr < 1.0, found.losses.shape[0], round(float(model.optimizer.learning_rate), 6)
        (True, 2, 0.1)
    """
    if not isinstance(model, keras.Model):
        _check.refuse("find_lr.model", "a keras.Model", model, TypeError)
    if getattr(model, "optimizer", None) is None:
        raise ValueError("find_lr.model: expected a compiled model, got one without an optimizer: call model.compile")
    test = range_test("find_lr.test", test)
    runs = _restarts("find_lr.restarts", restarts)
    _check.flag("find_lr.refine", refine)
    if reinit not in (None, "reset") and not callable(reinit):
        _check.refuse("find_lr.reinit", "None, 'reset' or a function", reinit, TypeError)
    for name in ("epochs", "initial_epoch"):
        if name in fit:
            raise TypeError(f"find_lr.{name}: expected none, as a run has the updates of its test, got {fit[name]!r}")
    if hasattr(data, "__next__"):
        _check.refuse("find_lr.data", "data that can be iterated again, such as arrays or a dataset", data, TypeError)
    if isinstance(data, tuple) and targets is None and len(data) == 2:
        data, targets = data
    given = {"x": data, "y": targets, "batch_size": batch_size, "verbose": 0, **fit}
    wanted = progress if progress is None else _check.flag("find_lr.progress", progress)
    total = updates_of(test, runs, refine)
    with (
        _progress.progress(wanted, total, "find_lr", "updates") as tick,
        trials(model, given, reinit, _seed("find_lr.seed", seed)) as trial,
    ):
        losses = padded([_run(trial, test.lrs, test.watch(), run, tick) for run in range(runs)], test.steps)
        suggestion = suggest(test.lrs, losses)
        return Found(suggestion, test.lrs, losses, _refined(trial, suggestion.lr, tick) if refine else None)


def _run(trial: Trial, rates: Floats, watch: Watch, run: int, tick: Callable[[int], object]) -> Floats:
    """Trains with these rates; the losses until it stopped, each before its update."""
    losses: list[float] = []

    def observe(loss: float) -> bool:
        losses.append(loss)
        tick(1)
        return watch.observe(loss)

    trial.fit(Ramp("find_lr", rates, observe), run, len(rates))
    if not losses:
        raise ValueError("find_lr.data: expected a batch at least, got none")
    return np.array(losses)


def _refined(trial: Trial, lr: float, tick: Callable[[int], object]) -> float:
    """The best of short runs around a rate."""
    rates = probe_lrs(lr)
    losses = [
        [_run(trial, np.full(PROBE_STEPS, rate), probe_watch(), run, tick) for run in range(PROBE_RUNS)]
        for rate in rates
    ]
    return best_probe(rates, np.stack([padded(rows, PROBE_STEPS) for rows in losses]))
