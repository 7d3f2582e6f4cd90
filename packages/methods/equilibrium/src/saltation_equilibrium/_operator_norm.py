"""The operator norm of synapses, of the map itself and not of a reshaped weight."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

import saltation as st

from ._system import detached, linear_part

_TINY = 1e-30


def operator_norm(synapse: st.AbstractSynapse, *, steps: int = 60) -> Float[Array, ""]:
    """The largest factor by which a synapse stretches a vector of rates, `|W| = max |W x| / |x|`.

    The same for every kind of synapse: of a convolution it is the norm of the convolution with its borders and its
    stride; a normalisation counts with its gain over its stored deviation. Of `Dropout` that is switched on it is a
    bound for every mask, `|W| / (1 - p)`. It comes from a power iteration with `W^T W` whose steps are all kept and
    combined (Lanczos), from fixed numbers, so that the same weights always give the same norm; it approaches the norm
    from below, and is differentiable by the weights.

    **Arguments:** `steps`: of the iteration; exact from as many as there are sources.

    Golub and Van Loan, Matrix Computations (2013), chapter 10.
    """
    if isinstance(synapse, st.Dropout):
        return _strongest(synapse) * operator_norm(synapse.inner, steps=steps)
    if isinstance(synapse, st.Normalised) and isinstance(synapse.inner, st.Dropout):
        bare = st.Chain(synapse.inner.inner, *_gains(synapse))
        return _strongest(synapse.inner) * operator_norm(bare, steps=steps)
    linear = linear_part(st.resolved(synapse))
    x = lax.stop_gradient(_most_stretched(detached(linear), steps))
    # The derivative of a singular value is that of |W x| at its fixed singular vector.
    y = linear.apply(x)
    return jnp.sqrt(jnp.maximum(jnp.sum(y * y), _TINY))


def _most_stretched(synapse: st.AbstractSynapse, steps: int) -> Float[Array, " pre"]:
    """The unit vector that `W` stretches most, among those that `steps` products with `W^T W` span."""
    pre = synapse.sizes()[0]
    steps = min(steps, pre)
    dtype = st.common_dtype(synapse)
    transpose = jax.linear_transpose(synapse.apply, jax.ShapeDtypeStruct((pre,), dtype))
    square: Callable[[Array], Array] = lambda x: transpose(synapse.apply(x))[0]  # noqa: E731

    def step(carry, number):
        basis, x = carry
        image = square(x)
        basis = lax.dynamic_update_index_in_dim(basis, x, number, axis=0)
        # Twice, since once leaves round-off that would grow.
        rest = image - basis.T @ (basis @ image)
        rest = rest - basis.T @ (basis @ rest)
        size = jnp.sqrt(jnp.sum(rest * rest))
        small = size <= 100 * jnp.finfo(dtype).eps * jnp.sqrt(jnp.sum(image * image))
        return (basis, jnp.where(small, 0.0, rest / jnp.where(small, 1.0, size))), image

    # Numbers that no structure of a weight is orthogonal to.
    start = jax.random.normal(jax.random.key(0), (pre,), dtype)
    start = start / jnp.sqrt(jnp.sum(start * start))
    empty = jnp.zeros((steps, pre), dtype)
    (basis, _), images = lax.scan(step, (empty, start), jnp.arange(steps, dtype=jnp.int32))
    projected = basis @ images.T
    _, vectors = jnp.linalg.eigh(0.5 * (projected + projected.T))
    x = vectors[:, -1] @ basis
    return x / jnp.sqrt(jnp.maximum(jnp.sum(x * x), _TINY))


def _strongest(dropout: st.Dropout) -> float:
    return 1.0 if dropout.inference else 1 / (1 - dropout.p)


def _gains(synapse: st.Normalised) -> tuple[st.AbstractSynapse, ...]:
    linear = linear_part(synapse)
    assert isinstance(linear, st.Chain)
    return linear.synapses[1:]
