"""The native kernel and plain JAX are one method: the same spikes and gradients, however they are batched."""

import importlib
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_delgrad import DelGrad, _library, _native
from saltation_delgrad._layer import Layer, first_spikes
from saltation_delgrad._membrane import LeakFree, Leaky

T1, N, UNITS = 40.0, 20, 6
MEMBRANES = {
    "2 to 1": Leaky(20.0, 10.0, 1.0),
    "equal": Leaky(10.0, 10.0, 1.0),
    "3 to 1": Leaky(15.0, 5.0, 1.0),
    "1 to 3": Leaky(4.0, 12.0, 1.0),
    "nearly equal": Leaky(10.0, 10.0 + 1e-6, 1.0),
    "without a leak": LeakFree(20.0, 10.0, 1.0),
}
# Few arrivals and many go different ways, and so do delays of each synapse.
ARRIVALS = {"few": 10, "many": 80}


def _layer(membrane, arrivals, dtype, *, own, neurons=N):
    """A layer in which units send several times, some arrivals are padding, and some come too late."""
    rng = np.random.default_rng(arrivals)
    time = rng.uniform(0.0, 1.2 * T1, arrivals)
    time[[1, 4]], time[3] = np.inf, time[2]
    source = np.where(np.isinf(time), -1, rng.integers(0, UNITS, arrivals))
    number = lambda x: jnp.asarray(x, dtype)  # noqa: E731
    return Layer(
        membrane=eqx.tree_at(lambda m: m.theta, membrane, number(np.linspace(0.8, 1.2, neurons))),
        time=number(time),
        source=jnp.asarray(source, jnp.int32),
        weight=number(rng.normal(0.0, 7.0, (UNITS, neurons)) / arrivals**0.5 + 30.0 / arrivals),
        delay=number(rng.uniform(0.0, 5.0, (UNITS, neurons))) if own else None,
        drive=number(rng.normal(0.1, 0.3, neurons)),
        ordered=False,
        axonal=number(rng.uniform(0.0, 3.0, UNITS)),
        dendritic=number(rng.uniform(0.0, 3.0, neurons)),
    )


def _total(layer, kernel, limit=None, observed=None):
    times, slope = first_spikes(layer, t1=T1, kernel=kernel, gradient_limit=limit, observed=observed)
    fires = jnp.isfinite(times)
    weight = jnp.arange(1.0, len(times) + 1.0, dtype=times.dtype)
    return jnp.sum(jnp.where(fires, jnp.where(fires, times, 0.0) * weight, 0.0)), (times, slope)


@eqx.filter_jit
def _outcome(layer, kernel, limit, observed=None):
    return eqx.filter_value_and_grad(_total, has_aux=True)(layer, kernel, limit, observed)


@pytest.fixture
def native():
    if problem := _native.problem():
        pytest.skip(f"no native kernel: {problem}")
    return "native"


# Each membrane with the arrivals that the kernel treats in another way, where another membrane has been there already.
SLOW = {("1 to 3", False), ("nearly equal", True), ("without a leak", False), ("3 to 1", True)}


@pytest.mark.parametrize(
    ("membrane", "own"),
    [
        pytest.param(
            membrane,
            own,
            id=f"{membrane}-{'delays of synapses' if own else 'shared times'}",
            marks=[pytest.mark.slow] * ((membrane, own) in SLOW),
        )
        for membrane in MEMBRANES
        for own in (False, True)
    ],
)
def test_both_kernels_find_the_same(native, membrane, own):
    for arrivals, dtype, limit in (("few", jnp.float64, None), ("many", jnp.float64, 0.5), ("few", jnp.float32, None)):
        layer = _layer(MEMBRANES[membrane], ARRIVALS[arrivals], dtype, own=own)
        (_, (times, slope)), gradient = _outcome(layer, native, limit)
        (_, (expected, expected_slope)), wanted = _outcome(layer, "jax", limit)
        assert 0.3 < np.isfinite(expected).mean() <= 1.0 and times.dtype == dtype
        rtol = 1e-8 if dtype == jnp.float64 else 1e-2
        np.testing.assert_allclose(times, expected, rtol=rtol / 10)
        steep = np.asarray(expected_slope) > 1e-3
        np.testing.assert_allclose(slope[steep], expected_slope[steep], rtol=rtol, atol=rtol)
        for name in ("time", "weight", "delay", "drive", "axonal", "dendritic"):
            found, right = getattr(gradient, name), getattr(wanted, name)
            if right is not None:
                np.testing.assert_allclose(found, right, rtol=rtol, atol=rtol * np.abs(right).max(), err_msg=name)
        np.testing.assert_allclose(gradient.membrane.theta, wanted.membrane.theta, rtol=rtol, atol=rtol)


@eqx.filter_jit
def _outcomes(layer, drives, kernel):
    """Of a batch whose samples have times and drives of their own."""

    def total(operands):
        layer, drives = operands
        one = lambda late, drive: _total(  # noqa: E731
            eqx.tree_at(lambda x: (x.time, x.drive), layer, (layer.time + late, drive)), kernel
        )
        values, found = jax.vmap(one)(jnp.linspace(0.0, 9.0, len(drives)), drives)
        return jnp.sum(values), found

    return eqx.filter_value_and_grad(total, has_aux=True)((layer, drives))


@pytest.mark.parametrize("own", [False, True], ids=["shared times", "delays of synapses"])
@pytest.mark.parametrize("membrane", ["2 to 1", "equal", "3 to 1", "without a leak"])
def test_both_kernels_find_the_same_in_a_batch_of_few_neurons(native, membrane, own):
    # So few that registers hold samples; 11 of them leave some lanes without one.
    layer = _layer(MEMBRANES[membrane], ARRIVALS["few"], jnp.float64, own=own, neurons=2)
    drives = layer.drive[None] + jnp.linspace(0.0, 0.9, 11)[:, None]
    (_, (times, slope)), gradients = _outcomes(layer, drives, native)
    (_, (expected, expected_slope)), wanted = _outcomes(layer, drives, "jax")
    assert 0.3 < np.isfinite(expected).mean() <= 1.0
    np.testing.assert_allclose(times, expected, rtol=1e-9)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-7)
    for found, right in zip(*map(jax.tree.leaves, (gradients, wanted)), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-8, atol=1e-8 * np.abs(right).max())


@eqx.filter_jit
def _by_units(layer, kernel):
    """The gradient by what belongs to units, and not by times, of a batch of three."""

    def value(units, late):
        changed = eqx.tree_at(lambda x: (x.weight, x.axonal, x.time), layer, (*units, layer.time + late))
        return _total(changed, kernel)[0]

    total = lambda units: jnp.sum(jax.vmap(value, (None, 0))(units, jnp.array([0.0, 0.5, 2.0])))  # noqa: E731
    return jax.grad(total)((layer.weight, layer.axonal))


@pytest.mark.parametrize("membrane", ["2 to 1", "3 to 1", "without a leak"])
def test_both_kernels_find_the_same_gradient_by_units_alone(native, membrane):
    # Most arrivals come close together, which is hard to sort.
    layer = _layer(MEMBRANES[membrane], ARRIVALS["many"], jnp.float64, own=False)
    layer = eqx.tree_at(lambda x: x.time, layer, T1 * (layer.time / T1) ** 6)
    for found, wanted in zip(_by_units(layer, native), _by_units(layer, "jax"), strict=True):
        assert np.abs(wanted).max() > 1e-3
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())


def test_both_kernels_replay_the_same(native):
    layer = _layer(MEMBRANES["3 to 1"], 10, jnp.float64, own=True)
    layer = eqx.tree_at(lambda x: x.dendritic, layer, None)
    observed = jnp.where(jnp.arange(N) % 5 == 0, jnp.inf, jnp.linspace(3.0, 35.0, N))
    (_, (times, slope)), gradient = _outcome(layer, native, None, observed)
    (_, (_, expected)), wanted = _outcome(layer, "jax", None, observed)
    np.testing.assert_array_equal(times, observed)
    np.testing.assert_allclose(slope, expected, rtol=1e-10, atol=1e-12)
    assert (expected < 0).any() and (expected > 0).any()
    for found, right in zip(jax.tree.leaves(gradient), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-9)


def test_a_batch_is_a_sum_of_samples_and_samples_keep_their_own(kernel):
    layer = _layer(MEMBRANES["2 to 1"], 10, jnp.float64, own=False)
    batch = jnp.stack([layer.time, layer.time + 1.0, layer.time[::-1]])
    value = lambda weight, time: _total(  # noqa: E731
        eqx.tree_at(lambda x: (x.weight, x.time), layer, (weight, time)), kernel
    )[0]
    one_by_one = [jax.value_and_grad(value)(layer.weight, time) for time in batch]
    total = jax.jit(jax.grad(lambda w: jnp.sum(jax.vmap(value, (None, 0))(w, batch))))(layer.weight)
    np.testing.assert_allclose(total, sum(gradient for _, gradient in one_by_one), rtol=1e-10, atol=1e-12)
    values, each = jax.jit(jax.vmap(jax.value_and_grad(value), (None, 0)))(layer.weight, batch)
    for found, gradient, (right, wanted) in zip(values, each, one_by_one, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-12)
        np.testing.assert_allclose(gradient, wanted, rtol=1e-10, atol=1e-12)
    # Several networks, each on the whole batch.
    weights = jnp.stack([layer.weight, 1.1 * layer.weight])
    networks = jax.vmap(jax.grad(lambda w: jnp.sum(jax.vmap(value, (None, 0))(w, batch))))(weights)
    np.testing.assert_allclose(networks[0], total, rtol=1e-10, atol=1e-12)
    assert np.abs(networks[1] - total).max() > 1e-3
    jacobian = jax.jacrev(lambda w: jax.vmap(value, (None, 0))(w, batch))(layer.weight)
    np.testing.assert_allclose(jacobian, each, rtol=1e-10, atol=1e-12)


def test_forward_mode_is_refused_in_words(kernel):
    layer = _layer(MEMBRANES["2 to 1"], 10, jnp.float64, own=False)
    with pytest.raises(TypeError, match="forward-mode.*jax.grad"):
        jax.jvp(
            lambda w: _total(eqx.tree_at(lambda x: x.weight, layer, w), kernel)[0], (layer.weight,), (layer.weight,)
        )


def test_an_unknown_kernel_is_refused():
    with pytest.raises(ValueError, match="got kernel='cuda'; expected 'auto', 'native' or 'jax'"):
        DelGrad(kernel="cuda")


WITHOUT = """
import pathlib, sys
from saltation_delgrad import _library
_library.PATH = pathlib.Path("nowhere.so")
import jax
import jax.numpy as jnp
import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce
print(_library.in_words())
weight = lambda *_: jnp.full((2, 1), 10.0)
network = st.feedforward([2, 1], AtMostOnce(LIF()), weight=weight, key=jax.random.key(0))
solution = DelGrad().solve(network, {"in": st.Spikes.from_dense(jnp.array([1.0, 2.0]))}, t1=50.0)
print(float(solution.spikes["out"].first()[0]) < 50.0)
try:
    DelGrad(kernel="native")
except ValueError as error:
    print(error)
"""


def test_without_the_library_everything_works_and_native_says_what_is_missing():
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    kernel, fires, message = run.stdout.splitlines()
    assert (kernel, fires) == ("plain JAX", "True")
    assert "there is no native kernel: it was not built: install a C++ compiler" in message


def test_the_plugins_record_says_which_kernel_is_in_use():
    plugin = importlib.import_module("saltation_delgrad.plugin")
    (record,) = plugin.saltation_methods()
    assert record.summary.endswith(f"on a CPU: {_library.in_words()}")
    assert _library.in_words() == ("native kernel" if not _native.problem() else "plain JAX")
