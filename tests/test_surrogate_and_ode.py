"""The baseline next to an exact method: its spikes tend to the same ones, its gradient does not."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, AtMostOnce, Refractory

T1 = 40.0
STIMULUS = {"in": st.Spikes.from_dense(jnp.array([[1.0, 8.0], [2.0, 13.0], [4.0, jnp.inf], [6.5, 21.0]]))}
KEY, STRONG = jax.random.key(1), st.normal(12.0, 4.0)
LEAKY = LIF(tau_mem=20.0, tau_syn=10.0)


def surrogate(**settings):
    return st.get_method("surrogate")(max_spikes=16, **settings)


def feeding_back(trained: bool) -> st.Network:
    weight = st.normal(-1.0, 2.0)
    loop = st.recurrent(4, {"a": LIF(5, tau_mem=15.0)}, delay=3.0, weight_in=STRONG, weight=weight, key=KEY)
    if not trained:
        return loop
    late = st.Delay(jnp.array(2.25)) + st.Delay(jnp.linspace(1.0, 4.0, 5), kind="dendritic")
    connections = [loop.connections[0], eqx.tree_at(lambda c: c.delay, loop.connections[1], late)]
    return st.Network(loop.inputs, loop.neurons, connections, loop.outputs)


NETWORKS = {
    "several spikes, axonal delays": lambda: st.feedforward(
        [4, 6, 3], LEAKY, delay="axonal", weight=st.normal(5.0, 2.0), key=KEY
    ),
    "delta synapses": lambda: st.feedforward(
        [4, 5], IF(c_mem=4.0, tau_syn=None, reset_mode="subtract"), weight=st.normal(6.0, 2.0), key=KEY
    ),
    "refractory, synaptic delays": lambda: st.feedforward(
        [4, 5], Refractory(LEAKY, 3.0), delay="synaptic", initial_delay=3.0, weight=STRONG, key=KEY
    ),
    "feeding back": lambda: feeding_back(trained=False),
    "feeding back, trained delays": lambda: feeding_back(trained=True),
}


@eqx.filter_jit
def spikes(method, network):
    solution = method.solve(network, STIMULUS, t1=T1)
    return {name: train.to_dense(4, throw=False) for name, train in solution.spikes.items()}


def distance(found, wanted) -> float:
    """The median distance of the spikes that both have, which must be nearly all."""
    both = {name: np.isfinite(found[name]) & np.isfinite(wanted[name]) for name in wanted}
    for name, times in wanted.items():
        assert both[name].sum() >= 0.8 * np.isfinite(times).sum() > 0
    return max(float(np.median(np.abs(found[name][both[name]] - wanted[name][both[name]]))) for name in wanted)


SLOW = ("refractory, synaptic delays", "feeding back")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in NETWORKS])
def test_spikes_tend_to_those_of_the_continuous_network(kind):
    network = NETWORKS[kind]()
    wanted = jax.tree.map(np.asarray, spikes(st.get_method("ode")(max_spikes=16), network))
    coarse, fine = (
        distance(jax.tree.map(np.asarray, spikes(surrogate(step=step), network)), wanted) for step in (0.4, 0.02)
    )
    assert fine < 0.1 and coarse < 1.0 and fine < 0.3 * coarse, (coarse, fine)


@eqx.filter_jit
@eqx.filter_grad
def gradient(network, method):
    times = method.solve(network, STIMULUS, t1=T1).spikes["out"].first()
    return jnp.sum(jnp.where(jnp.isfinite(times), times, 0.0) * jnp.arange(1.0, times.shape[0] + 1.0))


def alignment(network, method) -> list[tuple[float, float]]:
    """Cosine of a method's gradient to the exact one, and the quotient of their norms, by array."""
    pairs = zip(
        jax.tree.leaves(gradient(network, st.get_method("ode")(max_spikes=1))),
        jax.tree.leaves(gradient(network, method)),
        strict=True,
    )
    norms = [(np.linalg.norm(a), np.linalg.norm(b), np.vdot(a, b)) for a, b in pairs]
    return [(dot / (a * b), b / a) for a, b, dot in norms]


def test_in_one_layer_the_gradient_of_interpolated_times_tends_to_the_exact_one():
    network = st.feedforward([4, 5], AtMostOnce(LEAKY), delay="axonal", weight=st.normal(9.0, 2.0), key=KEY)
    for cosine, size in alignment(network, surrogate(step=0.05)):
        assert cosine > 0.999 and size == pytest.approx(1.0, abs=0.05)


def test_through_a_hidden_layer_it_is_a_direction_and_not_the_gradient():
    network = st.feedforward([4, 6, 3], AtMostOnce(LEAKY), weight=st.normal(9.0, 3.0), key=KEY)
    (hidden, size), (out, _) = alignment(network, surrogate(step=0.1))
    assert out > 0.99
    assert 0.3 < hidden < 0.99 and not 0.5 < size < 2.0


def test_where_an_output_spikes_late_an_earlier_spike_and_one_more_have_opposite_effects():
    stimulus = {"in": st.Spikes.from_dense(jnp.array([1.0])), "bias": st.Current(jnp.array([1.2]))}
    once = AtMostOnce(LEAKY.with_shape(1))

    def output_time(weight, onward, method):
        connections = [
            st.Connection("in", "hidden", st.Dense(weight[None, None])),
            st.Connection("hidden", "out", st.Dense(onward[None, None])),
            st.Connection("bias", "out", st.OneToOne(1, 1.0)),
        ]
        chain = st.Network({"in": 1, "bias": 1}, {"hidden": once, "out": once}, connections, ["out"])
        return method.solve(chain, stimulus, t1=100.0, throw=False).spikes["out"].first()[0]

    late, early = jnp.array(0.2), jnp.array(4.0)
    by_weight = jax.vmap(jax.grad(output_time), in_axes=(None, 0, None))
    compiled = eqx.filter_jit(lambda method: by_weight(jnp.array(5.0), jnp.stack([late, early]), method))
    exact, biased = compiled(st.get_method("ode")(max_spikes=1)), compiled(surrogate(step=0.25))
    assert exact[0] > 0.1 and exact[1] < -1.0
    assert biased[0] < -1.0 and biased[1] < -1.0
