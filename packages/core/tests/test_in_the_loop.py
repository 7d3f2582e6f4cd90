"""InTheLoop: spikes from a backend, once a batch; gradients from a method, at those spikes."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

INF = np.inf
JITTER = 0.25


class Program(st.AbstractProgram):
    """Every neuron spikes once: 3 after the mean of the input times, the stronger its weights the earlier, and late."""

    health_fields = ("spikes_seen", "first_word_of_key")
    measured_delays = ()

    def __init__(self):
        self.calls = []

    def run(self, parameters, stimuli, key):
        train = stimuli["in"]
        weight = parameters.connections[0].synapse.weight
        self.calls.append((type(weight), weight.shape, train.time.shape, key))
        drive = np.zeros((len(train.time), weight.shape[1]))
        for sample, (time, index) in enumerate(zip(train.time, train.index)):
            for t, i in zip(time[index >= 0], index[index >= 0]):
                drive[sample] += weight[i] * (3.0 - t)
        times = 10.0 - drive + JITTER
        order = np.argsort(times, axis=1)
        padding = np.full_like(times, INF)
        dense = np.concatenate([np.take_along_axis(times, order, 1), padding], 1)
        index = np.concatenate([order, np.full_like(order, -1)], 1)
        # As a backend would make it: plain NumPy arrays with a leading axis of samples.
        spikes = {"out": st.Spikes(dense, index, weight.shape[1])}
        word = 0 if key is None else int(np.asarray(key).ravel()[-1]) % 1000
        seen = np.isfinite(train.time).sum(axis=1)
        health = {"spikes_seen": seen, "first_word_of_key": np.full(len(times), word)}
        return st.Observation(spikes, health, {})


class Backend(st.AbstractBackend):
    program: Program = eqx.field(static=True)

    @property
    def capabilities(self):
        return st.Capabilities(neurons=("leaky",), max_neurons=10)

    def prepare(self, structure, stimulus, *, t1, max_spikes):
        assert all(
            isinstance(leaf, jax.ShapeDtypeStruct) for leaf in jax.tree.leaves(structure) if hasattr(leaf, "shape")
        )
        assert max_spikes == 2
        return self.program


class Linear(st.AbstractReplayMethod):
    """The method behind it: spike times linear in the weights, without jitter."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "final"})

    def supports(self, network):
        return st.Support(len(network.connections) == 1, "it has several connections; use one.")

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise AssertionError("InTheLoop must not solve")

    def replay(self, network, stimulus, observed, *, t1, throw=True):
        train, weight = stimulus["in"], network.connections[0].synapse.weight
        valid = train.valid()
        kicks = jax.vmap(network.connections[0].synapse.kick)(train.index)
        times = 10.0 - jnp.sum(kicks * jnp.where(valid, 3.0 - jnp.where(valid, train.time, 0.0), 0.0)[:, None], axis=0)
        dense = observed["out"].to_dense(2)
        change = (times - jax.lax.stop_gradient(times))[:, None]
        spikes = {"out": st.Spikes.from_dense(jnp.where(jnp.isfinite(dense), dense + change, jnp.inf))}
        return st.Solution(spikes, None, None, {"out": jnp.sum(weight)}, {}, {"replayed": 1}, st.RESULTS.successful)


@pytest.fixture
def net(leaky):
    weight = jnp.array([[0.5, 0.25], [0.125, 0.75], [0.0, 0.0]])
    return st.Network({"in": 3}, {"out": leaky(2)}, [st.Connection("in", "out", st.Dense(weight))], ["out"])


@pytest.fixture
def chip():
    return st.InTheLoop(Linear(), Backend(Program()), max_spikes=2)


TIMES = np.array([[1.0, 2.0, INF], [0.5, INF, INF], [2.0, 1.5, 1.0], [INF, INF, INF]])


def expected(net, times):
    weight = np.asarray(net.connections[0].synapse.weight)
    drive = np.where(np.isfinite(times), 3.0 - np.where(np.isfinite(times), times, 0.0), 0.0) @ weight
    return 10.0 - drive + JITTER


def first(chip, net, times, **kwargs):
    return chip.solve(net, {"in": st.Spikes.from_dense(times)}, t1=20.0, **kwargs).spikes["out"].first()


@pytest.mark.parametrize("jit", [False, True])
def test_the_spikes_are_the_backend_s(chip, net, jit):
    solve = eqx.filter_jit(first) if jit else first
    np.testing.assert_allclose(solve(chip, net, jnp.asarray(TIMES[0])), expected(net, TIMES[0]))
    ((kind, weight, times, key),) = chip.backend.program.calls
    assert kind is np.ndarray and weight == (3, 2) and times == (1, 3) and key is None


@pytest.mark.parametrize("jit", [False, True])
def test_a_batch_is_one_call_and_its_weights_pass_once(chip, net, jit):
    batch = jax.vmap(lambda times: first(chip, net, times))
    result = (jax.jit(batch) if jit else batch)(jnp.asarray(TIMES))
    np.testing.assert_allclose(result, expected(net, TIMES))
    ((_, weight, times, _),) = chip.backend.program.calls
    assert weight == (3, 2)  # not [4, 3, 2]
    assert times == (4, 3)


def test_health_is_in_the_stats(chip, net):
    def solve(times):
        return chip.solve(net, {"in": st.Spikes.from_dense(times)}, t1=20.0).stats

    stats = jax.vmap(solve)(jnp.asarray(TIMES))
    np.testing.assert_array_equal(stats["health"]["spikes_seen"], [2, 1, 3, 0])
    np.testing.assert_array_equal(stats["replayed"], 1)


@pytest.mark.parametrize("jit", [False, True])
def test_the_gradient_is_the_replay_s(chip, net, jit):
    def loss(net, times):
        return jnp.sum(jax.vmap(lambda times: first(chip, net, times))(times) ** 2)

    run = eqx.filter_value_and_grad(loss)
    value, gradient = (eqx.filter_jit(run) if jit else run)(net, jnp.asarray(TIMES))
    times = expected(net, TIMES)
    np.testing.assert_allclose(value, (times**2).sum())
    reach = np.where(np.isfinite(TIMES), 3.0 - np.where(np.isfinite(TIMES), TIMES, 0.0), 0.0)
    # d times / d weight = -reach; the factor 2 times is at the observed times, jitter and all.
    np.testing.assert_allclose(gradient.connections[0].synapse.weight, -np.einsum("bi,bj->ij", reach, 2 * times))
    assert len(chip.backend.program.calls) == 1  # forward only: a second run of a chip is another run


def test_the_gradient_of_the_input_times(chip, net):
    gradient = jax.grad(lambda times: jnp.sum(first(chip, net, times)))(jnp.asarray(TIMES[0]))
    weight = np.asarray(net.connections[0].synapse.weight)
    np.testing.assert_allclose(gradient, [*weight[:2].sum(axis=1), 0.0])


def test_a_batch_of_networks_is_refused(chip, net):
    nets = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]) if eqx.is_array(leaf) else leaf, net)
    with pytest.raises(ValueError, match="batch of networks; a backend runs one network at a time. Batch the stimulus"):
        eqx.filter_vmap(lambda net: first(chip, net, jnp.asarray(TIMES[0])))(nets)


@pytest.mark.parametrize("make", [jax.random.key, jax.random.PRNGKey], ids=["typed", "raw"])
def test_keys_reach_the_backend_as_data(chip, net, make):
    solve = lambda key: first(chip, net, jnp.asarray(TIMES[0]), key=key)  # noqa: E731
    solve(make(7))
    jax.vmap(solve)(jax.vmap(lambda n: jax.random.fold_in(make(7), n))(jnp.arange(3)))
    jax.vmap(lambda times: first(chip, net, times, key=make(7)))(jnp.asarray(TIMES))
    alone, batch, shared = (call[3] for call in chip.backend.program.calls)
    data = np.asarray(jax.random.key_data(make(7)))
    np.testing.assert_array_equal(alone, data)
    np.testing.assert_array_equal(shared, data)
    # Of a batch, the first sample's; and a call is one call also if only the key is batched.
    np.testing.assert_array_equal(batch, jax.random.key_data(jax.random.fold_in(make(7), 0)))
    assert all(isinstance(key, np.ndarray) for key in (alone, batch, shared))


def test_float32_stays_float32(chip, leaky):
    weight = jnp.ones((3, 2), jnp.float32)
    net = st.Network({"in": 3}, {"out": leaky(2)}, [st.Connection("in", "out", st.Dense(weight))], ["out"])
    assert first(chip, net, jnp.asarray(TIMES[0], jnp.float32)).dtype == jnp.float32


def test_it_is_a_method(chip, net):
    assert chip.provides == {"spikes"}
    assert chip.supports(net)
    observed = {"out": st.Spikes.from_dense(jnp.array([4.0, 5.0]))}
    stimulus = {"in": st.Spikes.from_dense(TIMES[0])}
    replayed = chip.replay(net, stimulus, observed, t1=20.0)
    np.testing.assert_array_equal(replayed.spikes["out"].first(), [4.0, 5.0])
    assert not chip.backend.program.calls
    assert hash(chip.backend.program) and chip.backend.capabilities.max_neurons == 10


def test_other_fields_of_the_replay_are_not_differentiable(chip, net):
    def final(net):
        return chip.solve(net, {"in": st.Spikes.from_dense(TIMES[0])}, t1=20.0).final["out"]

    with pytest.raises(TypeError, match="InTheLoop differentiates spikes only"):
        eqx.filter_grad(final)(net)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"save": st.Save(rates=True)}, "can save spikes only"),
        ({"save": st.Save(states_at=[1.0])}, "can save spikes only"),
        ({"initial": {"out": None}}, "initial states; a backend starts from its own"),
    ],
)
def test_what_a_backend_cannot_do_is_refused(chip, net, arguments, message):
    with pytest.raises(ValueError, match=message):
        first(chip, net, TIMES[0], **arguments)


def test_what_the_method_refuses_is_refused(chip, net):
    double = st.Network({"in": 3}, net.neurons, [*net.connections, *net.connections], ["out"])
    with pytest.raises(st.UnsupportedError, match="several connections; use one"):
        first(chip, double, TIMES[0])
    with pytest.raises(ValueError, match="expected inputs"):
        chip.solve(net, {"inn": st.Spikes.empty(3)}, t1=20.0)


class Plain(st.AbstractMethod):
    """Has no replay."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    def supports(self, network):
        return st.Support(True)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise AssertionError("refused before it is solved")


def test_it_needs_a_replay_and_a_backend():
    # The type checker of the tests comes first; without it the message is ours.
    with pytest.raises((ValueError, TypeError), match="Plain"):
        st.InTheLoop(Plain(), Backend(Program()))
    with pytest.raises((ValueError, TypeError), match="backend"):
        st.InTheLoop(Linear(), "bss2")


class Delayed(st.AbstractProgram):
    """Spikes that come 4 after the inputs, and delays of the inputs that it measures: 1.5 and nothing."""

    health_fields = ("failed",)
    measured_delays = (0,)

    def __init__(self, failed):
        self.failed = failed

    def run(self, parameters, stimuli, key):
        assert isinstance(parameters.connections[0].delay, st.DelayParts)
        np.testing.assert_array_equal(parameters.connections[0].delay.source, [1.0, 2.0])
        batch = len(stimuli["in"].time)
        time = np.tile(np.array([4.0, 5.0]), (batch, 1))
        spikes = {"out": st.Spikes(time, np.tile(np.arange(2), (batch, 1)), 2)}
        health = {"failed": np.full(batch, self.failed)}
        return st.Observation(spikes, health, {0: np.tile([1.5, INF], (batch, 1))})


class Noisy(st.AbstractBackend):
    failed: float = 0.0
    noisy: bool = False

    @property
    def capabilities(self):
        return st.Capabilities(neurons=("leaky",), noisy=self.noisy)

    def prepare(self, structure, stimulus, *, t1, max_spikes):
        assert stimulus["in"].time.shape == (2,) and isinstance(stimulus["in"].time, jax.ShapeDtypeStruct)
        return Delayed(self.failed)


class Looking(st.AbstractReplayMethod):
    """Its spikes are as observed, later by the delays: what the gradient sees of them."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    def supports(self, network):
        return st.Support(True)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise AssertionError("InTheLoop must not solve")

    def replay(self, network, stimulus, observed, *, t1, throw=True):
        delay = network.connections[0].delay.per_source(2, 2)
        spikes = {"out": st.Spikes.from_dense(observed["out"].first() + delay)}
        return st.Solution(spikes, None, None, None, {}, {}, st.RESULTS.successful)


@pytest.fixture
def delayed(leaky):
    delay = st.Delay(jnp.array([1.0, 2.0]), kind="axonal", positive=st.Softplus())
    return st.Network({"in": 2}, {"out": leaky(2)}, [st.Connection("in", "out", st.Dense(jnp.eye(2)), delay)], ["out"])


def test_the_gradient_is_taken_at_measured_delays(delayed):
    chip = st.InTheLoop(Looking(), Noisy())

    def spikes(net):
        return chip.solve(net, {"in": st.Spikes.from_dense(jnp.ones(2))}, t1=20.0).spikes["out"].first()

    # One delay was measured as 1.5, of the other there is only the model's 2.
    np.testing.assert_allclose(spikes(delayed), [5.5, 7.0])
    gradient = eqx.filter_grad(lambda net: jnp.sum(spikes(net)))(delayed).connections[0].delay.raw
    slope = jax.vmap(jax.grad(st.Softplus().forward))(delayed.connections[0].delay.raw)
    np.testing.assert_allclose(gradient, slope)


def test_what_a_backend_failed_to_run_is_a_failed_sample(delayed):
    stimulus = {"in": st.Spikes.from_dense(jnp.ones(2))}
    solution = st.InTheLoop(Looking(), Noisy(failed=1.0)).solve(delayed, stimulus, t1=20.0, throw=False)
    assert solution.result == st.RESULTS.backend_failed
    with pytest.raises(st.SolveError, match="could not run this batch"):
        st.InTheLoop(Looking(), Noisy(failed=1.0)).solve(delayed, stimulus, t1=20.0)


def test_noise_without_a_key_is_refused(delayed):
    stimulus = {"in": st.Spikes.from_dense(jnp.ones(2))}
    noisy = st.InTheLoop(Looking(), Noisy(noisy=True))
    with pytest.raises(ValueError, match="got no key, and the noise of Noisy needs one"):
        noisy.solve(delayed, stimulus, t1=20.0)
    noisy.solve(delayed, stimulus, t1=20.0, key=jax.random.key(0))
