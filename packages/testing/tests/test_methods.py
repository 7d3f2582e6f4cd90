"""The suite of methods: a right method passes every law, a wrong one fails the law that it breaks."""

import inspect

import jax
import jax.numpy as jnp
import pytest
import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_testing import Case, MethodConformance


def networks():
    key = jax.random.key(1)
    lif = LIF(tau_mem=10.0, tau_syn=5.0)
    strong = st.normal(8.0, 1.0)
    return {
        "two layers": st.feedforward([3, 4, 2], AtMostOnce(lif), weight=strong, key=key),
        "many spikes, delays, trained threshold": Case(
            st.feedforward(
                [3, 3, 2],
                LIF(tau_mem=10.0, tau_syn=5.0, v_threshold=jnp.array(1.0)),
                weight=strong,
                delay="axonal",
                key=key,
            ),
            t1=30.0,
        ),
    }


@pytest.fixture(scope="module")
def suite(stepper):
    """A suite of a method with a fault."""

    def build(fault: str = "", base: type | None = None) -> MethodConformance:
        class Suite(base or MethodConformance):
            t1 = 30.0

            def method(self):
                return stepper(max_spikes=8, fault=fault)

            def networks(self):
                return networks()

            def refused(self):
                lif = {"a": LIF(2)}
                return {"a cycle": st.recurrent(2, lif, key=jax.random.key(0))}

        return Suite()

    return build


LAWS = [name for name in dir(MethodConformance) if name.startswith("test_")]


def run(suite: MethodConformance, law: str, case: str | None = None) -> None:
    """One law for one case, as pytest would run it."""
    from saltation_testing._case import completed

    names = inspect.signature(getattr(suite, law)).parameters
    cases = {name: completed(c, suite.t1) for name, c in suite.networks().items()}
    arguments = {}
    if "case" in names:
        arguments["case"] = cases[case or next(iter(cases))]
    if "field" in names:
        arguments["field"] = "spikes"
    if "unsupported" in names:
        arguments["unsupported"] = suite.refused()["a cycle"]
    getattr(suite, law)(**arguments)


@pytest.mark.parametrize("case", networks())
@pytest.mark.parametrize("law", LAWS)
def test_a_right_method_passes(suite, law, case):
    run(suite(), law, case)


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
        run(suite(fault), law, "many spikes, delays, trained threshold")


def test_a_method_that_does_not_refuse_fails(suite):
    with pytest.raises(BaseException, match="DID NOT RAISE|unpack"):
        run(suite("accepts everything"), "test_refuses_in_words")


@pytest.mark.parametrize("honest", [True, False])
def test_what_is_not_provided_must_refuse_its_derivative(forgetful, honest):
    class Suite(MethodConformance):
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
