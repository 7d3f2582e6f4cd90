"""A method, a neuron, data sets and recipes that are small, differentiable and wrong on demand.

The method is closed form: a neuron's only spike comes the earlier, the larger the summed, decayed drive it
gets.
"""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import saltation as st

T1 = 10.0
MARK = 7.0
"""A first feature of this value makes the method fail for that sample."""


class State(NamedTuple):
    v: Array


class Neuron(st.AbstractODENeuron):
    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return State(jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return State(current - state.v)

    def guard(self, state):
        return state.v - 1.0

    def reset(self, state, *, key=None):
        return State(jnp.zeros_like(state.v))

    def receive(self, state, kick, port):
        return State(state.v + kick)

    def observe(self, state):
        return state.v


class Toy(st.AbstractMethod):
    """One smooth spike time per neuron; silent below a drive of -5."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "states"})

    def supports(self, network):
        cyclic = any(stage.cyclic for stage in network.stages())
        return st.Support(False, "it has a cycle; remove it.") if cyclic else st.Support(True)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True, through=lambda x: x):
        st.check_stimulus(network, stimulus)
        spikes, states, slopes = dict(stimulus), {}, {}
        for stage in network.stages():
            (name,) = stage.populations
            drives = [jnp.exp(-spikes[c.source].first() / T1) @ c.synapse.weight for _, c in network.incoming(name)]
            drive = through(sum(drives))
            silent = drive < -5.0
            time = t1 * jax.nn.sigmoid(-jnp.where(silent, 0.0, drive))
            spikes[name] = st.Spikes.from_dense(jnp.where(silent, jnp.inf, time))
            slopes[name] = jnp.min(jnp.where(silent, jnp.inf, jnp.exp(drive)))
            if save.states_at is not None:
                states[name] = State(save.states_at[:, None] * drive[None, :] / t1)
        failed = stimulus["in"].first()[0] > 1.5 * T1
        # Where it fails, the derivative is NaN: sqrt has none at zero.
        spoilt = jnp.where(failed, 0.0, 1.0)
        spikes = {
            name: eqx.tree_at(lambda s: s.time, train, train.time + jnp.sqrt(spoilt * slopes.get(name, spoilt)) * 0.0)
            for name, train in spikes.items()
            if name in network.neurons
        }
        result = st.RESULTS.where(failed, st.RESULTS.max_steps_reached, st.RESULTS.successful)
        stats = {
            "spike_count": {name: train.count() for name, train in spikes.items()},
            "min_slope": jax.lax.stop_gradient(slopes),
        }
        return st.Solution(spikes, None, states or None, None, {}, stats, result)


class Halved(st.AbstractMethod):
    """The same spike times, with a share of their derivative in every layer."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    scale: float = eqx.field(static=True, default=0.5)

    def supports(self, network):
        return Toy().supports(network)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        def less(x):
            return self.scale * x + (1.0 - self.scale) * jax.lax.stop_gradient(x)

        return Toy().solve(network, stimulus, t1=t1, save=save, throw=throw, through=less)


class Spikeless(st.AbstractMethod):
    """A method that differentiates nothing that spikes need."""

    provides: ClassVar[frozenset[str]] = frozenset({"rates"})

    def supports(self, network):
        return st.Support(True)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise NotImplementedError


class Picky(st.AbstractMethod):
    """A method that supports no network."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    def supports(self, network):
        return st.Support(False, "nothing is good enough; wrap it in silk.")

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise NotImplementedError


class Nudge(st.AbstractRemedy):
    """Adds ever more to all weights instead of a step in which more than a share of the hidden spikes is missing."""

    share: float = eqx.field(static=True, default=0.1)

    def init(self, network):
        return jnp.asarray(0.125, st.common_dtype(network))

    def apply(self, network, silent, memory):
        acts = jnp.mean(silent["hidden1"]) > self.share
        raised = jax.tree.map(lambda x: x + memory if eqx.is_inexact_array(x) else x, network)
        return raised, jnp.where(acts, 2.0 * memory, memory), acts


def load_blobs(*, data_dir=None, download=False, failing: float = 0.0, size: int = 200, classes: bool = True):
    """Points of a disc as `(x, y, 1 - x, 1 - y)`, in three sectors; a share of the training samples fails."""

    def split(number: int, seed: int, share: float = 0.0) -> st.Split:
        random = np.random.RandomState(seed)
        angle, radius = 2 * np.pi * random.rand(number), 0.5 * np.sqrt(random.rand(number))
        x, y = 0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)
        inputs = np.stack([x, y, 1 - x, 1 - y], axis=1)
        inputs[: int(share * number), 0] = MARK
        targets = (3 * angle / (2 * np.pi)).astype(np.int32)
        return st.Split(inputs, targets if classes else angle)

    return st.Dataset(
        "blobs",
        split(size, 1, failing),
        split(70, 2),
        split(90, 3),
        ("east", "north", "south") if classes else (),
    )


def load_stripes(*, data_dir=None, download=False):
    """Images of 6 x 6 pixels: horizontal or vertical stripes, in noise."""

    def split(number: int, seed: int) -> st.Split:
        random = np.random.RandomState(seed)
        targets = random.randint(2, size=number).astype(np.int32)
        rows = np.tile((np.arange(6) % 2)[:, None], (1, 6)).astype(float)
        images = np.where(targets[:, None, None] == 0, rows[None], rows.T[None])
        return st.Split((0.8 * images + 0.2 * random.rand(number, 6, 6)).astype(np.float32), targets)

    return st.Dataset("stripes", split(80, 1), split(40, 2), split(40, 3), ("horizontal", "vertical"))


def _encode(x, key):
    return {"in": st.latency(x, t_min=0.0, t_max=T1, bias=(0.0,))}


def _encode_noisy(x, key):
    return {"in": st.latency(x + 0.01 * jax.random.uniform(key, x.shape, x.dtype), t_min=0.0, t_max=T1, bias=(0.0,))}


def _loss(solution, output, target):
    return st.first_spike_cross_entropy(output, target, temperature=1.0, silent=T1)


def _batch_loss(solution, output, target):
    return jnp.mean(jax.vmap(lambda o, t: _loss(None, o, t))(output, target))


def _overflowing_loss(solution, output, target):
    return jnp.exp(1e4 * jnp.min(output))


def _regression_loss(solution, output, target):
    return jnp.square(output[0] - target)


LOSSES = {
    "sample": st.Loss(_loss, name="cross-entropy"),
    "batch": st.Loss(_batch_loss, over="batch", name="cross-entropy of a batch"),
    "overflowing": st.Loss(_overflowing_loss, name="overflowing"),
    "regression": st.Loss(_regression_loss, name="squared error"),
}


def blobs(
    *,
    hidden: int = 8,
    learning_rate: float = 0.05,
    optimiser: str = "adam",
    epochs: int = 3,
    batch_size: int = 32,
    noisy: bool = False,
    failing: float = 0.0,
    max_failed_share: float = 0.05,
    loss: str = "sample",
    scales: tuple[float, ...] = (1.0, 1.0),
    schedule: str = "constant",
    limit: int | None = None,
    dtype: str = "float64",
    encoder=None,
    remedy: float | None = None,
) -> st.Experiment:
    """Three sectors of a disc."""

    def model(key):
        weight = [st.normal(0.0, scale) for scale in scales]
        network = st.feedforward([5, hidden, 3], Neuron(), weight=weight, key=key)
        return st.Model(network, st.FirstSpikes())

    options = {"failing": failing, "classes": loss != "regression"}
    return st.Experiment(
        name="toy/blobs",
        dataset="blobs",
        dataset_options=options if limit is None else {**options, "size": limit},
        encoder=_encode_noisy if noisy else _encode,
        model=model,
        method=Toy(),
        loss=LOSSES[loss],
        t1=T1,
        optimiser=st.Optimiser(optimiser, learning_rate, schedule=schedule, decay=0.5),
        batch_size=batch_size,
        epochs=epochs,
        max_failed_share=max_failed_share,
        remedy=None if remedy is None else Nudge(remedy),
        dtype=dtype,
    )


def stripes(*, epochs: int = 4) -> st.Experiment:
    """Stripes, horizontal or vertical."""

    def model(key):
        network = st.feedforward([37, 10, 2], Neuron(), weight=st.normal(0.0, 1.0), key=key)
        return st.Model(network, st.FirstSpikes())

    return st.Experiment(
        name="toy/stripes",
        dataset="stripes",
        encoder=_encode,
        model=model,
        method=Toy(),
        loss=LOSSES["sample"],
        t1=T1,
        optimiser=st.Optimiser("adam", 0.02),
        batch_size=20,
        epochs=epochs,
        dtype="float64",
    )


def extra_report(run):
    """A section of a plugin's own."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([line["train_loss"] for line in run.metrics])
    return [("A plugin's own picture", figure)]


def broken_report(run):
    """A section that fails."""
    raise RuntimeError("no ink")
