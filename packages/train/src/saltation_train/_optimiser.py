"""From an experiment's optimiser settings to the Optax transformation that carries them out."""

import difflib
import inspect
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import equinox as eqx
import jax
import optax
from jaxtyping import PyTree

import saltation as st

FACTORIES: dict[str, Callable[..., optax.GradientTransformation]] = {
    "adabelief": optax.adabelief,
    "adagrad": optax.adagrad,
    "adam": optax.adam,
    "adamax": optax.adamax,
    "adamw": optax.adamw,
    "amsgrad": optax.amsgrad,
    "lamb": optax.lamb,
    "lion": optax.lion,
    "nadam": optax.nadam,
    "radam": optax.radam,
    "rmsprop": optax.rmsprop,
    "sgd": optax.sgd,
}

# These take the weight decay themselves, decoupled from the gradient's statistics.
_DECOUPLED = ("adamw", "lamb", "lion")

_BASE = "learning_rate"


def make_optimiser(
    settings: st.Optimiser,
    parameters: PyTree,
    *,
    trainable: Sequence[str],
    epochs: int,
    steps_per_epoch: int,
) -> tuple[optax.GradientTransformation, Callable[[Any], Any]]:
    """The Optax transformation of an `Optimiser` record, and its learning rate as a function of the step.

    Gradients are clipped to a global norm of `clip_norm` first; a label in `rates` has a learning rate of its
    own, on the same schedule; `weight_decay` is decoupled for adamw, lamb and lion, and an L2 penalty
    otherwise.

    **Arguments:**

    - `parameters`: what is trained, for finding out which array belongs to which label of `rates`.
    - `trainable`: the experiment's labels.
    - `epochs`, `steps_per_epoch`: the length of the run, for schedules.

    **Raises:** `ValueError` for an unknown optimiser, option or label, with the nearest known one.
    """
    if settings.name not in FACTORIES:
        raise ValueError(_unknown("name", settings.name, FACTORIES))
    for label, rate in settings.rates.items():
        if label not in trainable:
            raise ValueError(_unknown("a rate for", label, trainable))
        if not rate > 0:
            raise ValueError(f"Optimiser got rates[{label!r}]={rate}; expected a positive number.")
    schedule = make_schedule(settings, epochs=epochs, steps_per_epoch=steps_per_epoch)
    groups: dict[Hashable, optax.GradientTransformation] = {_BASE: _transformation(settings, schedule)}
    for label, rate in settings.rates.items():
        groups[label] = _transformation(settings, _scaled(schedule, rate / settings.learning_rate))
    chain: list[optax.GradientTransformation] = [
        optax.multi_transform(groups, _labels(parameters, tuple(settings.rates)))
    ]
    if settings.clip_norm is not None:
        chain.insert(0, optax.clip_by_global_norm(settings.clip_norm))
    return _with_promotion(optax.chain(*chain)), schedule


def make_schedule(settings: st.Optimiser, *, epochs: int, steps_per_epoch: int) -> Callable[[Any], Any]:
    """The learning rate as a function of the step: a linear warm-up, then the schedule."""
    warmup = settings.warmup_epochs * steps_per_epoch
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        main = optax.cosine_decay_schedule(rate, max(epochs * steps_per_epoch - warmup, 1))
    elif settings.schedule == "exponential":
        main = optax.exponential_decay(rate, settings.decay_epochs * steps_per_epoch, settings.decay, staircase=True)
    else:
        main = optax.constant_schedule(rate)
    if not warmup:
        return main
    # From the first step's small rate, not from zero: a step of zero size would be wasted.
    start = optax.linear_schedule(rate / warmup, rate, max(warmup - 1, 1))
    return optax.join_schedules([start, main], [warmup])


def _transformation(settings: st.Optimiser, schedule: Callable[[Any], Any]) -> optax.GradientTransformation:
    factory = FACTORIES[settings.name]
    known = list(inspect.signature(factory).parameters)
    for option in settings.options:
        if option not in known:
            raise ValueError(_unknown(f"an option of {settings.name}", option, known))
    options = dict(settings.options)
    if settings.name in _DECOUPLED:
        return factory(schedule, weight_decay=settings.weight_decay, **options)
    transformation = factory(schedule, **options)
    if settings.weight_decay:
        return optax.chain(optax.add_decayed_weights(settings.weight_decay), transformation)
    return transformation


def _with_promotion(inner: optax.GradientTransformation) -> optax.GradientTransformation:
    """The same, also where the user has set JAX to strict type promotion, which Optax does not keep to."""

    def init(params):
        with jax.numpy_dtype_promotion("standard"):
            return inner.init(params)

    def update(updates, state, params=None):
        with jax.numpy_dtype_promotion("standard"):
            return inner.update(updates, state, params)

    return optax.GradientTransformation(init, update)


def _scaled(schedule: Callable[[Any], Any], factor: float) -> Callable[[Any], Any]:
    return lambda step: factor * schedule(step)


def _labels(parameters: PyTree, labels: tuple[str, ...]) -> PyTree:
    """For each array the innermost of `labels` on its path, or the base rate's."""

    def choose(path, leaf):
        names = [str(getattr(key, "name", getattr(key, "key", ""))) for key in path]
        return next((name for name in reversed(names) if name in labels), _BASE)

    return jax.tree_util.tree_map_with_path(choose, eqx.filter(parameters, eqx.is_array))


def _unknown(what: str, got: str, known) -> str:
    near = difflib.get_close_matches(got, list(known), n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Optimiser got {what} {got!r}; expected one of {', '.join(known)}.{hint}"
