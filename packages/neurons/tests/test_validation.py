"""Mistakes that can be seen when a neuron is made raise, and say what was got and what is expected."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from saltation_neurons import ALIF, EGRU, EIF, IF, LIF, QIF, AdEx, DendriticLIF, Izhikevich

POSITIVE = [
    *((LIF, name) for name in ("tau_mem", "tau_syn")),
    *((QIF, name) for name in ("tau_mem", "tau_syn")),
    *((EIF, name) for name in ("c_mem", "g_leak", "tau_syn", "slope")),
    *((AdEx, name) for name in ("c_mem", "g_leak", "tau_w", "tau_syn", "slope")),
    (Izhikevich, "tau_syn"),
    *((ALIF, name) for name in ("tau_mem", "tau_syn", "tau_adapt")),
    *((EGRU, name) for name in ("tau_mem", "tau_syn", "v_threshold")),
    *((DendriticLIF, name) for name in ("tau_mem", "tau_dendrite", "tau_ca", "tau_syn", "slope", "width")),
    *((IF, name) for name in ("c_mem", "tau_syn")),
]
FINITE = [
    *((LIF, name) for name in ("v_leak", "v_threshold", "v_reset")),
    *((QIF, name) for name in ("v_rest", "v_crit", "v_threshold", "v_reset")),
    *((EIF, name) for name in ("v_leak", "v_rheobase", "v_threshold", "v_reset")),
    *((AdEx, name) for name in ("v_leak", "v_rheobase", "a", "b", "v_threshold", "v_reset")),
    *((Izhikevich, name) for name in ("a", "b", "c", "d", "v_threshold", "v_init")),
    *((ALIF, name) for name in ("v_leak", "v_threshold", "v_reset", "beta")),
    *((EGRU, name) for name in ("b_update", "b_reset", "b_candidate")),
    *((DendriticLIF, name) for name in ("v_leak", "v_threshold", "v_reset", "v_ca", "g_ca", "g_axial")),
    *((IF, name) for name in ("v_threshold", "v_reset")),
]
BELOW = [
    (LIF, "v_reset"),
    *((QIF, name) for name in ("v_reset", "v_rest")),
    *((EIF, name) for name in ("v_reset", "v_leak", "v_rheobase")),
    *((AdEx, name) for name in ("v_reset", "v_leak", "v_rheobase")),
    *((Izhikevich, name) for name in ("c", "v_init")),
    (ALIF, "v_reset"),
    *((DendriticLIF, name) for name in ("v_reset", "v_leak")),
    (IF, "v_reset"),
]


def _id(value):
    return value if isinstance(value, str) else value.__name__


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(("model", "name"), POSITIVE, ids=_id)
def test_must_be_positive(model, name, value):
    with pytest.raises(ValueError, match=rf"{model.__name__} got {name} = .*; expected a positive number"):
        model(3, **{name: value})
    with pytest.raises(ValueError, match=rf"{model.__name__} got {name} = "):
        model(3, **{name: jnp.array([1.0, value, 1.0])})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(("model", "name"), FINITE, ids=_id)
def test_must_be_finite(model, name, value):
    with pytest.raises(ValueError, match=rf"{model.__name__} got {name} = .*; expected a finite number"):
        model(3, **{name: value})


@pytest.mark.parametrize(("model", "name"), BELOW, ids=_id)
def test_must_be_below_the_threshold(model, name):
    threshold = model().v_threshold
    for value in (threshold, threshold + 1.0, jnp.array([threshold - 1.0, threshold, threshold - 1.0])):
        with pytest.raises(ValueError, match=f"{model.__name__} got {name} = .*expected {name} < v_thr"):
            model(3, **{name: value})


def test_what_no_neuron_could_do():
    with pytest.raises(ValueError, match="ALIF got beta = -1.0; expected a number >= 0"):
        ALIF(3, beta=-1.0)
    with pytest.raises(ValueError, match="EGRU got v_threshold = 1.0 .*expected v_threshold < the largest possible v"):
        EGRU(3, v_threshold=1.0)
    with pytest.raises(ValueError, match="DendriticLIF got g_axial = -1.0; expected a number >= 0"):
        DendriticLIF(3, g_axial=-1.0)
    with pytest.raises(ValueError, match="DendriticLIF got slope = .*expected slope < width"):
        DendriticLIF(3, slope=0.2)


def test_unknown_reset_mode():
    with pytest.raises(ValueError, match="'value'.*'subtract'"):
        IF(3, reset_mode="subtraction")


def test_parameters_are_keywords():
    with pytest.raises(TypeError):
        QIF(3, 20.0)  # pyright: ignore


@pytest.mark.parametrize("value", ["20", [1.0, 2.0, 3.0]])
def test_parameters_are_numbers_or_arrays(value):
    with pytest.raises(ValueError, match="expected a number or an array"):
        QIF(3, tau_mem=value)


def test_traced_parameters_cannot_be_checked_and_are_let_through():
    make = eqx.filter_jit(lambda tau: AdEx(3, tau_w=tau, v_reset=tau).init().w)
    assert make(jnp.array(-1.0)).shape == (3,)


def test_transformations_may_put_anything_into_a_neuron():
    # Filters, partitions and tangents are neurons with other leaves: building one must not run the checks.
    neuron = Izhikevich(3, a=jnp.array(0.02))
    parameters, fixed = eqx.partition(neuron, eqx.is_inexact_array)
    assert eqx.combine(parameters, fixed).c == -65.0
    assert jax.tree.map(lambda leaf: -jnp.asarray(leaf), neuron).tau_syn == -5.0
    assert jax.tree.map(lambda leaf: None, neuron).a is None


@pytest.mark.parametrize("model", [EIF, AdEx, Izhikevich], ids=lambda model: model.__name__)
def test_a_state_of_another_shape_is_refused(model):
    with pytest.raises(ValueError, match=rf"{model.__name__}.at got v of shape \(3,\); expected \(\) or \(2,\)"):
        model(2).at(jnp.zeros(3))
