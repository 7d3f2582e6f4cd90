"""The operator norm of synapses, of the map itself and not of a reshaped weight."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

import saltation as st

from ._system import linear_part

_TINY = 1e-30


def operator_norm(synapse: st.AbstractSynapse, *, steps: int = 500, rtol: float = 1e-6) -> Float[Array, ""]:
    """The largest factor by which a synapse stretches a vector of rates, `|W| = max |W x| / |x|`, by power iteration.

    The same for every kind of synapse: of a convolution it is the norm of the convolution with its borders and its
    stride; a normalisation counts with its gain over its stored deviation. Of `Dropout` that is switched on it is a
    bound for every mask, `|W| / (1 - p)`. It starts from fixed numbers, so that the same weights always give the same
    norm, and approaches it from below; it is differentiable by the weights.

    **Arguments:** `steps`: at most; `rtol`: it ends where a step changes the norm by less.
    """
    if isinstance(synapse, st.Dropout):
        factor = 1.0 if synapse.inference else 1 / (1 - synapse.p)
        return factor * operator_norm(synapse.inner, steps=steps, rtol=rtol)
    if isinstance(synapse, st.Normalised) and isinstance(synapse.inner, st.Dropout):
        dropout = synapse.inner
        factor = 1.0 if dropout.inference else 1 / (1 - dropout.p)
        bare = st.Chain(dropout.inner, *_gains(synapse))
        return factor * operator_norm(bare, steps=steps, rtol=rtol)
    linear = linear_part(st.resolved(synapse))
    pre, _ = synapse.sizes()
    dtype = st.common_dtype(linear)
    frozen = jax.tree.map(lambda leaf: lax.stop_gradient(leaf) if isinstance(leaf, jax.Array) else leaf, linear)
    transpose = jax.linear_transpose(frozen.apply, jax.ShapeDtypeStruct((pre,), dtype))

    def step(carry):
        x, last, _, count = carry
        y = frozen.apply(x)
        (back,) = transpose(y)
        size = jnp.sqrt(jnp.sum(back * back))
        found = jnp.sqrt(size)
        return back / jnp.maximum(size, _TINY), found, jnp.abs(found - last) > rtol * found, count + 1

    def unfinished(carry):
        return carry[2] & (carry[3] < steps)

    # Numbers that no structure of a weight is orthogonal to.
    start = jax.random.normal(jax.random.key(0), (pre,), dtype)
    start = start / jnp.sqrt(jnp.sum(start * start))
    carry = (start, jnp.zeros((), dtype), jnp.asarray(True), jnp.zeros((), jnp.int32))
    x = lax.stop_gradient(lax.while_loop(unfinished, step, carry)[0])
    y = linear.apply(x)
    # The derivative of a singular value is that of u^T W x at fixed singular vectors.
    return jnp.sqrt(jnp.maximum(jnp.sum(y * y), _TINY))


def _gains(synapse: st.Normalised) -> tuple[st.AbstractSynapse, ...]:
    linear = linear_part(synapse)
    assert isinstance(linear, st.Chain)
    return linear.synapses[1:]
