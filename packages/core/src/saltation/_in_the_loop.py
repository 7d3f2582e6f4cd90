"""InTheLoop: spikes from a backend, gradients from a method."""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from ._backend import AbstractBackend, AbstractProgram, structure_of
from ._delay import DelayParts
from ._method import (
    AbstractReplayMethod,
    Stimulus,
    Support,
    check_stimulus,
    check_supported,
    common_dtype,
    finish,
)
from ._network import Network
from ._not_differentiable import not_differentiable
from ._results import RESULTS
from ._save import Save
from ._solution import Solution
from ._spikes import Spikes


class InTheLoop(AbstractReplayMethod):
    """Forward on a backend, backward by the gradient that a method defines at the spikes the backend reports.

    **Arguments:**

    - `method`: any method that can replay observed spikes.
    - `backend`: where the network runs. Under `jax.vmap` it is called once for the whole batch.
    - `max_spikes`: room for each neuron's spikes.

    The backend's health report is in `Solution.stats["health"]`. The gradient is taken at what the backend measured,
    the delays of spikes included where it measures them. A network's parameters may not be batched: one call of the
    backend is one network. (Cramer et al., PNAS 2022, call this "in-the-loop" training.)

    **Raises:** `ValueError` for a method without `replay`, and when solving without a key on a backend that has noise.

    ```python
    chip = st.InTheLoop(st.get_method("ode")(), st.get_backend("bss2-emulator")())
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    method: AbstractReplayMethod
    backend: AbstractBackend
    max_spikes: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not isinstance(self.method, AbstractReplayMethod):
            raise ValueError(
                f"InTheLoop got the method {type(self.method).__name__}, which has no gradient at observed spikes; "
                "expected one with `replay`, such as ODE()."
            )
        if not isinstance(self.backend, AbstractBackend):
            raise ValueError(f"InTheLoop got the backend {self.backend!r}; expected an AbstractBackend.")

    def supports(self, network: Network) -> Support:
        return self.method.supports(network)

    def solve(
        self,
        network: Network,
        stimulus: Stimulus,
        *,
        t1: float,
        initial: dict[str, PyTree] | None = None,
        key: PRNGKeyArray | None = None,
        save: Save = Save(),
        throw: bool = True,
    ) -> Solution:
        check_stimulus(network, stimulus)
        check_supported(self, network)
        if initial is not None:
            raise ValueError("InTheLoop got initial states; a backend starts from its own. Leave `initial` out.")
        if save.rates or save.states_at is not None:
            raise ValueError("InTheLoop can save spikes only; a backend does not report rates or states.")
        if key is None and self.backend.capabilities.noisy:
            raise ValueError(
                f"InTheLoop got no key, and the noise of {type(self.backend).__name__} needs one: "
                "solve(..., key=jax.random.key(0)). The same key gives the same result."
            )
        structure, stimulus = structure_of(network), dict(stimulus)
        program = self.backend.prepare(structure, structure_of(stimulus), t1=t1, max_spikes=self.max_spikes)
        observed, health, delays = _observe(program, network, stimulus, key, self.max_spikes)
        solution = self.method.replay(_with_measured(network, delays), stimulus, observed, t1=t1, throw=throw)
        # The replay's other fields are the model's, not the backend's.
        message = "InTheLoop differentiates spikes only; a backend does not report states."
        final = not_differentiable(solution.final, message)
        result = solution.result
        if "failed" in health:
            result = RESULTS.where(health["failed"] > 0, RESULTS.backend_failed, result)
        stats = {**solution.stats, "health": health}
        return finish(dataclasses.replace(solution, final=final, stats=stats, result=result), throw=throw)

    def replay(self, network, stimulus, observed, *, t1, throw=True) -> Solution:
        return self.method.replay(network, stimulus, observed, t1=t1, throw=throw)


def _with_measured(network: Network, delays: dict[int, Array]) -> Network:
    """The network whose delays `[pre]` have the values that were measured, and the derivatives of its own."""
    connections = list(network.connections)
    for position, measured in delays.items():
        connection = connections[position]
        assert connection.delay is not None
        own = DelayParts.of(connection.delay, network.size(connection.source), network.size(connection.target))
        assert own.source is not None
        difference = jax.lax.stop_gradient(measured.astype(own.source.dtype) - own.source)
        source = own.source + jnp.where(jnp.isfinite(measured), difference, 0.0)
        delay = dataclasses.replace(own, source=source, minimum=0.0)
        connections[position] = dataclasses.replace(connection, delay=delay)
    return Network(network.inputs, network.neurons, connections, network.outputs)


def _with_parts(network: Network) -> Network:
    """The network whose delays are values: a host callback may not compute them."""
    connections = [
        connection
        if connection.delay is None
        else dataclasses.replace(
            connection,
            delay=DelayParts.of(connection.delay, network.size(connection.source), network.size(connection.target)),
        )
        for connection in network.connections
    ]
    return Network(network.inputs, network.neurons, connections, network.outputs)


def _observe(
    program: AbstractProgram, network: Network, stimulus: dict[str, Any], key: PRNGKeyArray | None, max_spikes: int
) -> tuple[dict[str, Spikes], dict[str, Array], dict[int, Array]]:
    """What the backend reports, without a gradient."""
    # The raw key data crosses to the host; a backend wraps it again as it likes.
    key_data = None if key is None else jax.random.key_data(key)
    parameters, rest = eqx.partition(_with_parts(network), eqx.is_array)
    stimulus_arrays, stimulus_rest = eqx.partition(stimulus, eqx.is_array)
    names = {name: neuron.size for name, neuron in network.neurons.items()}
    sources = {i: network.size(network.connections[i].source) for i in program.measured_delays}
    dtype = common_dtype(stimulus_arrays)

    def shapes(batch: int):
        spikes = {
            name: (
                jax.ShapeDtypeStruct((batch, size * max_spikes), dtype),
                jax.ShapeDtypeStruct((batch, size * max_spikes), jnp.int32),
            )
            for name, size in names.items()
        }
        health = {name: jax.ShapeDtypeStruct((batch,), dtype) for name in program.health_fields}
        return spikes, health, {i: jax.ShapeDtypeStruct((batch, size), dtype) for i, size in sources.items()}

    def on_host(parameters, arrays, key_data):
        # np.asarray first: jax.numpy on the inputs of a host callback can deadlock.
        to_numpy = lambda tree: jax.tree.map(np.asarray, tree)  # noqa: E731
        first_key = None if key_data is None else np.asarray(key_data)[0]
        observation = program.run(
            eqx.combine(to_numpy(parameters), rest), eqx.combine(to_numpy(arrays), stimulus_rest), first_key
        )
        spikes = {
            name: (np.asarray(train.time, dtype), np.asarray(train.index, np.int32))
            for name, train in observation.spikes.items()
        }
        as_wanted = lambda values: {name: np.asarray(value, dtype) for name, value in values.items()}  # noqa: E731
        return spikes, as_wanted(observation.health), as_wanted(observation.delays)

    def run_batch(parameters, arrays, key_data, batch: int):
        return jax.pure_callback(on_host, shapes(batch), parameters, arrays, key_data)

    @jax.custom_batching.custom_vmap
    def run(parameters, arrays, key_data):
        arrays, key_data = jax.tree.map(lambda x: x[None], (arrays, key_data))
        return jax.tree.map(lambda x: x[0], run_batch(parameters, arrays, key_data, 1))

    @run.def_vmap
    def _run_whole_batch(axis_size, in_batched, parameters, arrays, key_data):
        parameters_batched, *others_batched = in_batched
        if any(jax.tree.leaves(parameters_batched)):
            raise ValueError(
                "InTheLoop got a batch of networks; a backend runs one network at a time. Batch the stimulus only: "
                "jax.vmap(..., in_axes=(None, 0)), or a Python loop over networks."
            )
        arrays, key_data = jax.tree.map(
            lambda x, batched: x if batched else jnp.broadcast_to(x, (axis_size, *x.shape)),
            (arrays, key_data),
            tuple(others_batched),
        )
        out = run_batch(parameters, arrays, key_data, axis_size)
        return out, jax.tree.map(lambda _: True, out)

    found: Any = run(*jax.lax.stop_gradient((parameters, stimulus_arrays)), key_data)
    spikes, health, delays = found
    trains = {name: Spikes(time, index, names[name]) for name, (time, index) in spikes.items()}
    return trains, health, delays
