"""A loop that ends with its work: the same as a scan that does nothing from there on, batched or not."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from saltation_ode._loop import loop_while

LENGTH = 6
STARTS = jnp.array([[1.0, 3.0], [2.0, 5.0], [4.0, 1.0]])
STEP = jnp.array([1.0, 0.5, 1.5])


def _step(size):
    def step(carry, i):
        on = carry["left"] > 0
        left = jnp.where(on, carry["left"] - size, carry["left"])
        return {"left": left, "done": ~on}, (jnp.where(on, i, -1), left * jnp.ones(2))

    return step


def _ours(left, size):
    carry = {"left": left, "done": jnp.zeros((), bool)}
    carry, ys, _ = loop_while(_step(size), carry, LENGTH, active=lambda carry: ~carry["done"])
    return carry, ys


def _scan(left, size):
    def step(carry, i):
        after, y = _step(size)(carry, i)
        # What is behind the end of all is zero.
        return after, jax.tree.map(lambda y: jnp.where(carry["done"], jnp.zeros_like(y), y), y)

    return lax.scan(step, {"left": left, "done": jnp.zeros((), bool)}, jnp.arange(LENGTH, dtype=jnp.int32))


def test_it_ends_where_nothing_is_active():
    for run in (_ours, jax.jit(_ours)):
        ours, scan = run(STARTS[0, 0], STEP[0]), _scan(STARTS[0, 0], STEP[0])
        jax.tree.map(np.testing.assert_array_equal, ours, scan)


def test_a_batch_ends_with_its_last_sample():
    """Nested, with a constant that only one of the axes has."""
    both = lambda run: jax.vmap(jax.vmap(run, in_axes=(0, None)))(STARTS, STEP)  # noqa: E731
    (ours, (i, left)), (scan, _) = jax.jit(lambda: both(_ours))(), both(_scan)
    jax.tree.map(np.testing.assert_array_equal, ours, scan)
    assert i.shape == (3, 2, LENGTH)
    for sample in np.ndindex(3, 2):
        alone, (own_i, own_left) = _ours(STARTS[sample], STEP[sample[0]])
        needed = int(jnp.sum(own_left[:, 0] != 0)) or 1
        np.testing.assert_array_equal(ours["left"][sample], alone["left"])
        np.testing.assert_array_equal(i[sample][:needed], own_i[:needed])
        np.testing.assert_array_equal(left[sample][:needed], own_left[:needed])


def test_it_says_how_many_iterations_there_were_for_any_sample():
    def count(left, size):
        carry = {"left": left, "done": jnp.zeros((), bool)}
        return loop_while(_step(size), carry, LENGTH, active=lambda carry: ~carry["done"])[-1]

    alone = [int(count(left, STEP[0])) for left in STARTS[0]]
    assert alone == [2, 4]  # one more than it takes, to find that nothing is left
    together = jax.vmap(count, in_axes=(0, None), out_axes=None)(STARTS[0], STEP[0])
    assert together == 4
