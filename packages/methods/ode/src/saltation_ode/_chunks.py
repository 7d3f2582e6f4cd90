"""A scan that stops early, for a whole batch at once."""

import jax
import jax.numpy as jnp
from jax import lax

import saltation as st


def scan_in_chunks(step, carry, xs, *, active, chunk: int, prepare=lambda xs: xs, recompute=False):
    """`lax.scan(step, carry, prepare(xs))`, skipping chunks of iterations where `active(carry, x_chunk)` holds nowhere.

    It is differentiable in both modes, unlike a `while` loop, and under `vmap` a skipped chunk costs nothing, because
    the decision is one for the whole batch. Skipped outputs are zeros. The length of `xs` must be a multiple of
    `chunk`. `prepare` is applied to each chunk by itself. To `recompute` is to keep nothing but the carries between
    chunks for the backward pass.
    """
    length = jax.tree.leaves(xs)[0].shape[0]

    def run(carry, x):
        return lax.scan(step, carry, prepare(x))

    if length <= chunk:
        return (jax.checkpoint(run) if recompute else run)(carry, xs)
    chunks = jax.tree.map(lambda x: x.reshape(length // chunk, chunk, *x.shape[1:]), xs)

    def skip(carry, x):
        outputs = jax.eval_shape(run, carry, x)[1]
        return carry, jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), outputs)

    def one_chunk(carry, x):
        return lax.cond(st.anywhere(active(carry, x)), run, skip, carry, x)

    if recompute:
        one_chunk = jax.checkpoint(one_chunk, prevent_cse=False)
    carry, ys = lax.scan(one_chunk, carry, chunks)
    return carry, jax.tree.map(lambda y: y.reshape(length, *y.shape[2:]), ys)


def padded_length(length: int, chunk: int) -> int:
    """The length itself if one chunk holds it, else the next multiple of `chunk`."""
    return length if length <= chunk else -(-length // chunk) * chunk
