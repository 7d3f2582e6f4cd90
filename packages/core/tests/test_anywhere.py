"""One decision for a whole batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from saltation import anywhere


@pytest.mark.parametrize("transform", [lambda f: f, jax.jit], ids=["eager", "jit"])
def test_alone_it_is_the_condition(transform):
    assert transform(anywhere)(jnp.array(True)) and not transform(anywhere)(jnp.array(False))


def test_under_vmap_one_is_enough_and_the_answer_is_not_batched():
    answers = []

    def ask(condition):
        answer = anywhere(condition)
        answers.append(answer)
        return answer

    some = jax.jit(jax.vmap(ask, out_axes=None))  # out_axes=None fails for a batched answer
    assert some(jnp.array([False, True, False])) and not some(jnp.zeros(3, bool))
    nested = jax.vmap(jax.vmap(ask, out_axes=None), out_axes=None)
    assert nested(jnp.zeros((2, 3), bool).at[1, 2].set(True)) and not nested(jnp.zeros((2, 3), bool))
    assert answers


def test_a_branch_stays_a_branch_under_vmap():
    # With a batched condition, vmap turns `cond` into `select`, which runs both sides.
    branch = lambda c, x: lax.cond(anywhere(c), jnp.sin, lambda x: x, x)  # noqa: E731
    jaxpr = str(jax.make_jaxpr(jax.vmap(branch))(jnp.array([True, False]), jnp.ones(2)))
    assert "cond[" in jaxpr and "select_n" not in jaxpr


def test_a_loop_runs_until_the_last_sample_is_done():
    def collatz(n):
        def step(carry):
            n, steps, rounds = carry
            done = n == 1
            following = jnp.where(n % 2 == 0, n // 2, 3 * n + 1)
            return jnp.where(done, n, following), steps + (~done).astype(jnp.int64), rounds + 1

        carry = (n, jnp.zeros((), jnp.int64), jnp.zeros((), jnp.int64))
        return lax.while_loop(lambda carry: anywhere(carry[0] != 1), step, carry)[1:]

    starts = jnp.array([1, 6, 7, 27])
    steps, rounds = jax.vmap(collatz, out_axes=(0, None))(starts)  # the counter is not batched
    np.testing.assert_array_equal(steps, [0, 8, 16, 111])
    assert rounds == 111
