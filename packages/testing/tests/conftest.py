"""A small method of each kind: one that is right, and ones that are wrong in one way each."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from jax import lax

import saltation as st


class Stepper(st.AbstractReplayMethod):
    """Advances every neuron from event to event by its closed form. `fault` names what is wrong with it."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "states", "final"})

    max_spikes: int = eqx.field(static=True, default=4)
    fault: str = eqx.field(static=True, default="")

    def supports(self, network):
        if self.fault != "accepts everything" and any(stage.cyclic for stage in network.stages()):
            return st.Support(False, "its populations feed back; use a method that solves cycles.")
        return st.Support(True)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        return self._solve(network, stimulus, t1, save, throw, None)

    def replay(self, network, stimulus, observed, *, t1, throw=True):
        return self._solve(network, stimulus, t1, st.Save(), throw, observed)

    def _solve(self, network, stimulus, t1, save, throw, observed):
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        trains = {name: (train.time, train.index) for name, train in stimulus.items()}
        spikes, states, final = {}, {}, {}
        full = jnp.array(False)
        bad = jnp.array(False)
        for time, _ in trains.values():
            bad |= jnp.any(jnp.isnan(time) | (time < 0))
        for connection in network.connections:
            bad |= ~jnp.all(jnp.isfinite(connection.synapse.weight))
        times = [t1] if save.states_at is None else [*save.states_at, t1]
        if save.states_at is not None:
            late = jnp.any(save.states_at > t1)
        else:
            late = jnp.array(False)
        for stage in network.stages():
            (name,) = stage.populations
            given = None if observed is None else observed[name].to_dense(self.max_spikes + 2)
            dense, saved, overflow = self._population(network, name, trains, times, given)
            full |= overflow
            spikes[name] = st.Spikes.from_dense(dense)
            trains[name] = (spikes[name].time, spikes[name].index)
            states[name] = jax.tree.map(lambda *leaves: jnp.stack(leaves), *saved[:-1]) if saved[:-1] else None
            final[name] = saved[-1]
        result = st.RESULTS.where(full, st.RESULTS.max_spikes_reached, st.RESULTS.successful)
        result = st.RESULTS.where(late, st.RESULTS.bad_save_times, result)
        result = st.RESULTS.where(bad, st.RESULTS.non_finite_input, result)
        if self.fault == "swallows everything":
            result = st.RESULTS.where(bad & ~bad, result, st.RESULTS.successful)
        if throw:
            spikes, final = result.error_if((spikes, final), result != st.RESULTS.successful)
        saved_states = None if save.states_at is None else states
        return st.Solution(spikes, None, saved_states, final, {}, {}, result)

    def _population(self, network, name, trains, ends, given):
        neuron = network.neurons[name]
        arrivals, kicks, ports = [], [], []
        for _, connection in network.incoming(name):
            time, index = trains[connection.source]
            pre, post = connection.synapse.sizes()
            delay = jnp.zeros((pre, post), time.dtype)
            if connection.delay is not None:
                for part, axis in (
                    (connection.delay.per_source(pre, post), 1),
                    (connection.delay.per_target(pre, post), 0),
                ):
                    delay = delay if part is None else delay + jnp.expand_dims(part, axis).astype(time.dtype)
                part = connection.delay.per_synapse(pre, post)
                delay = delay if part is None else delay + part
            finite = jnp.isfinite(time)
            safe = jnp.where(finite, time, 0.0)
            if self.fault == "NaN from padding":
                safe = jnp.where(finite, time * jnp.exp(-0.0 * time), 0.0)
            row = delay.at[index].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
            arrivals.append(jnp.where(finite[:, None], safe[:, None] + row, jnp.inf))
            kick = jax.vmap(connection.synapse.kick)(index)
            if self.fault == "knows the time":
                kick = kick * (1 + 0.01 * safe[:, None])
            if self.fault == "knows the place":
                kick = kick * (1 + 0.05 * jnp.arange(post, dtype=kick.dtype))[None, :]
            kicks.append(kick)
            ports.append(connection.port)
        arrival, kick = jnp.concatenate(arrivals), jnp.concatenate(kicks)
        order = jax.vmap(st.argsort_times, in_axes=1, out_axes=1)(arrival)
        arrival, kick = jnp.take_along_axis(arrival, order, 0), jnp.take_along_axis(kick, order, 0)
        saved = []
        for end in ends:
            dense, state, overflow = self._run(neuron, ports[0], arrival, kick, end, given)
            saved.append(state)
        return dense, saved, overflow

    def _run(self, neuron, port, arrival, kick, end, given):
        closed = neuron.closed_form()
        count_of = arrival.shape[0]
        kick = jnp.where(arrival <= end, kick, 0.0)
        arrival = jnp.where(arrival <= end, jnp.where(jnp.isfinite(arrival), arrival, 0.0), end)
        arrival = jnp.concatenate([arrival, jnp.full_like(arrival[:1], end)])
        kick = jnp.concatenate([kick, jnp.zeros_like(kick[:1])])
        zero = jnp.zeros_like(arrival[0])
        units = jnp.arange(zero.shape[0])

        def step(carry, _):
            x, t, pointer, count, spikes = carry
            due = jnp.minimum(pointer, count_of)
            duration = arrival[due, units] - t
            if given is None:
                h = closed.crossing(*lax.stop_gradient((x, duration)), zero)
            else:
                h = lax.stop_gradient(given[units, jnp.minimum(count, given.shape[1] - 1)] - t)
                h = jnp.where(h <= duration, h, jnp.inf)
            fires = jnp.isfinite(h)
            h = lax.stop_gradient(jnp.where(fires, h, 0.0))
            level, slope = jax.jvp(lambda u: neuron.guard(closed.flow(x, u, zero)), (h,), (jnp.ones_like(h),))
            level = level - lax.stop_gradient(level)
            u = h - jnp.where(fires, level / jnp.where(fires, lax.stop_gradient(slope), 1.0), 0.0)
            if self.fault == "wrong gradient":
                u = u + 0.1 * (u - lax.stop_gradient(u))
            if self.fault == "wrong replay" and given is not None:
                u = lax.stop_gradient(u)
            u = jnp.where(fires, u, duration)
            x = closed.flow(x, u, zero)
            kicked = neuron.receive(x, jnp.where(pointer < count_of, kick[due, units], 0.0), port)
            x = jax.tree.map(lambda a, b: jnp.where(fires, a, b), neuron.reset(x), kicked)
            slot = jnp.where(fires, count, spikes.shape[1])
            spikes = spikes.at[units, slot].set(t + u, mode="drop")
            following = pointer + (~fires).astype(jnp.int32), count + fires.astype(jnp.int32)
            return (x, t + u, *following, spikes), None

        spikes = jnp.full((zero.shape[0], self.max_spikes), jnp.inf, zero.dtype)
        none = jnp.zeros(zero.shape, jnp.int32)
        start = jax.tree.map(lambda leaf: leaf.astype(zero.dtype), neuron.init())
        length = count_of + self.max_spikes + 2
        (x, _, _, count, spikes), _ = lax.scan(step, (start, zero, none, none, spikes), None, length=length)
        return spikes, x, jnp.any(count > self.max_spikes)


class Forgetful(st.AbstractMethod):
    """Gives `final` away although it does not provide it, unless it is `honest`."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    honest: bool = eqx.field(static=True)

    def supports(self, network):
        return Stepper().supports(network)

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        solution = Stepper().solve(network, stimulus, t1=t1, save=save, throw=throw)
        message = "Forgetful differentiates spikes only."
        final = st.not_differentiable(solution.final, message) if self.honest else solution.final
        states = st.not_differentiable(solution.states, message)
        return st.Solution(solution.spikes, None, states, final, {}, {}, solution.result)


@pytest.fixture(scope="session")
def stepper() -> type[Stepper]:
    return Stepper


@pytest.fixture(scope="session")
def forgetful() -> type[Forgetful]:
    return Forgetful
