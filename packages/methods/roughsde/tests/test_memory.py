"""What a gradient needs of memory, as its compiled program says."""

import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_neurons import StochasticLIF
from saltation_roughsde import RoughSDE


def temporary(network: st.Network, cells: int, checkpoint: bool) -> int:
    """Bytes of the program that differentiates one sample of `cells` steps and few spikes."""
    method = RoughSDE(dt=1.0 / cells, max_spikes=4, checkpoint=checkpoint)

    def loss(current):
        solution = method.solve(
            network, {"in": st.Current(current)}, t1=1.0, key=jax.random.key(0), save=st.Save(), throw=False
        )
        return jnp.sum(solution.final["out"].v)

    return jax.jit(jax.grad(loss)).lower(jnp.ones(32)).compile().memory_analysis().temp_size_in_bytes


@pytest.mark.slow
def test_checkpoints_let_memory_grow_with_the_square_root_of_steps():
    neuron = StochasticLIF(32, log_u=-50.0)
    network = st.Network({"in": 32}, {"out": neuron}, [st.Connection("in", "out", st.OneToOne(32))], ["out"])
    plain, checkpointed = (
        [temporary(network, cells, checkpoint) for cells in (1000, 4000)] for checkpoint in (False, True)
    )
    assert plain[1] > 3.3 * plain[0]
    assert checkpointed[1] < 2.6 * checkpointed[0]
    assert checkpointed[1] < 0.2 * plain[1]
