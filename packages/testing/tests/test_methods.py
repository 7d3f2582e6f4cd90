"""The suite of methods: a right method passes every law, a wrong one fails the law that it breaks."""

import inspect

import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_neurons import LIF
from saltation_testing import AbstractMethodConformance, Case
from saltation_testing._case import completed


def networks():
    """One layer with delays and a trained threshold, in which neurons spike more than once."""
    neuron = LIF(tau_mem=10.0, tau_syn=5.0, v_threshold=jnp.array(1.0))
    weight = st.normal(4.0, 1.0)
    net = st.feedforward([3, 3], neuron, weight=weight, delay="axonal", key=jax.random.key(1))
    return {"one layer": Case(net, t1=30.0)}


@pytest.fixture(scope="module")
def suite(stepper):
    """A suite of a method with a fault."""

    def build(fault: str = "", base: type | None = None) -> AbstractMethodConformance:
        class Suite(base or AbstractMethodConformance):
            t1 = 30.0

            def method(self):
                return stepper(max_spikes=4, fault=fault)

            def networks(self):
                return networks()

            def refused(self):
                lif = {"a": LIF(2)}
                return {"a cycle": st.recurrent(2, lif, key=jax.random.key(0))}

        return Suite()

    return build


LAWS = [name for name in dir(AbstractMethodConformance) if name.startswith("test_")]


def run(suite: AbstractMethodConformance, law: str) -> None:
    """One law, as pytest would run it."""
    names = inspect.signature(getattr(suite, law)).parameters
    arguments = {}
    if "case" in names:
        (case,) = suite.networks().values()
        arguments["case"] = completed(case, suite.t1)
    if "field" in names:
        arguments["field"] = "spikes"
    if "unsupported" in names:
        arguments["unsupported"] = suite.refused()["a cycle"]
    getattr(suite, law)(**arguments)


@pytest.mark.parametrize("law", LAWS)
def test_a_right_method_passes(suite, law):
    run(suite(), law)


@pytest.mark.parametrize(
    ("fault", "law", "message"),
    [
        ("wrong gradient", "test_gradient_matches_central_differences", "central differences say"),
        ("wrong replay", "test_replay_of_its_own_spikes", "gradient of a replay"),
        ("NaN from padding", "test_padding_changes_nothing", "nan|NaN"),
        ("NaN from padding", "test_gradient_matches_central_differences", "are NaN or infinite"),
        ("knows the time", "test_delaying_every_input_delays_every_spike", "spikes, later"),
        ("knows the place", "test_permuting_units_permutes_spikes_and_gradients", "permuted"),
        ("swallows everything", "test_missing_room_is_reported_and_nothing_is_lost", "max_spikes_reached"),
        ("swallows everything", "test_nan_input_is_reported", "non_finite_input"),
        ("swallows everything", "test_nan_weights_are_not_a_success", "reported as a success"),
        ("swallows everything", "test_a_bad_sample_leaves_its_batch_alone", "only the NaN to fail"),
        ("swallows everything", "test_saved_states", "a time after t1"),
    ],
)
def test_a_wrong_method_fails(suite, fault, law, message):
    with pytest.raises(AssertionError, match=message):
        run(suite(fault), law)


def test_a_method_that_does_not_refuse_fails(suite):
    with pytest.raises(AssertionError, match="accepts a network that it should refuse"):
        run(suite("accepts everything"), "test_refuses_in_words")


@pytest.mark.parametrize("honest", [True, False])
def test_what_is_not_provided_must_refuse_its_derivative(forgetful, honest):
    class Suite(AbstractMethodConformance):
        t1 = 30.0

        def method(self):
            return forgetful(honest=honest)

        def networks(self):
            return networks()

    law = "test_only_what_is_provided_is_differentiable"
    if honest:
        run(Suite(), law)
        run(Suite(), "test_gradient_matches_central_differences")
    else:
        with pytest.raises(AssertionError, match="differentiating final.*not_differentiable"):
            run(Suite(), law)


def test_a_case_without_spikes_is_not_taken_for_a_success(suite):
    class Silent(type(suite())):
        def networks(self):
            return {"silent": st.feedforward([3, 2], LIF(), weight=st.normal(0.0, 1e-3), key=jax.random.key(0))}

    with pytest.raises(AssertionError, match="Do the neurons of this case spike"):
        run(Silent(), "test_gradient_matches_central_differences")
