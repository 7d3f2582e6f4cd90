"""A scan that stops early, for a whole batch at once."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._loop import loop_while
from ._record import iota
from ._take import take


def scan_in_chunks(step, carry, chunks, *, active, prepare=lambda xs: xs):
    """`lax.scan(step, carry, xs)` for `chunks`, the `xs` in chunks `[C, c, ...]`.

    Chunks of iterations where `active(carry, chunk)` holds nowhere are skipped. It is differentiable in both modes,
    unlike a `while` loop, and under `vmap` a skipped chunk costs nothing, because the decision is one for the whole
    batch. Skipped outputs are zeros. `prepare` is applied to each chunk by itself.

    **Returns:** the last carry, and the outputs in chunks: to put them in one row would copy all of a batch.
    """

    def run(carry, chunk):
        return lax.scan(step, carry, prepare(chunk))

    def skip(carry, chunk):
        outputs = jax.eval_shape(run, carry, chunk)[1]
        return carry, jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), outputs)

    def one_chunk(carry, chunk):
        return lax.cond(st.anywhere(active(carry, chunk)), run, skip, carry, chunk)

    if jax.tree.leaves(chunks)[0].shape[0] == 1:
        carry, ys = run(carry, jax.tree.map(lambda x: x[0], chunks))
        return carry, jax.tree.map(lambda y: y[None], ys)
    return lax.scan(one_chunk, carry, chunks)


def loop_over_chunks(step, carry, length, chunk, *, active, start_of):
    """`lax.scan(step, carry, arange(length))` in chunks, up to the first one before which `active(carry)` does not
    hold, for any sample of a batch. `length` must be one of `padded_length`.

    It has no derivative, and room that is not needed costs no more than its zeros.

    **Returns:** the last carry, the outputs in chunks, `start_of(carry)` before each chunk, and how many chunks there
    were, one number for all samples.
    """
    chunk = min(chunk, length)

    def run(carry, i):
        after, ys = short_scan(step, carry, i * chunk + iota(chunk))
        return after, (ys, start_of(carry))

    carry, (ys, starts), number = loop_while(run, carry, length // chunk, active=active)
    return carry, ys, starts, number


def short_scan(step, carry, xs):
    """`lax.scan`, without a loop where it is of one iteration."""
    if jax.tree.leaves(xs)[0].shape[0] > 1:
        return lax.scan(step, carry, xs)
    carry, y = step(carry, jax.tree.map(lambda x: x[0], xs))
    return carry, jax.tree.map(lambda x: x[None], y)


def in_chunks(xs: Any, chunk: int) -> Any:
    """Arrays of `[length, ...]` as `[C, c, ...]`; the length must be one of `padded_length`."""

    def split(x):
        width = min(chunk, x.shape[0])
        return x.reshape(x.shape[0] // width, width, *x.shape[1:])

    return jax.tree.map(split, xs)


def entry_of(chunks: Any, index: Array) -> Any:
    """The entries `index` of arrays in chunks; zeros for one that is outside of them."""

    def entry(x):
        shape = x.shape[2:]
        # Chunks of one are left as they are: a reshape of a batch moves it to the front, and with it everything.
        rows = x if x.shape[1] == 1 else x.reshape(-1, 1, *shape)
        return take(rows, index.reshape(-1, 1, *(1 for _ in shape))).reshape(*index.shape, *shape)

    return jax.tree.map(entry, chunks)


def padded_length(length: int, chunk: int) -> int:
    """The length itself if one chunk holds it, else the next multiple of `chunk`."""
    return length if length <= chunk else -(-length // chunk) * chunk
