"""Reading entries of an array, each at most once: a gather whose transpose writes each entry once.

JAX's own transpose would add into every place, through lists of indices with one column for each axis of the batch.
Here the samples of a batch lie side by side, so that a place is one number.
"""

import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int


def take(x: Float[Array, "N *s"], index: Int[Array, " M"] | Int[Array, "M *s"]) -> Float[Array, "M *s"]:
    """The entries `x[index[...], s]`, zeros where an index is outside of `0 .. N - 1`; inside, none may come twice.

    An `index` of `[M]` is that of whole rows.
    """
    if index.ndim == 1:
        index = index.reshape(-1, *[1] * (x.ndim - 1))
    return _take.bind(x, jnp.broadcast_to(index, (index.shape[0], *x.shape[1:])))


_take = Primitive("ode_take")
_put = Primitive("ode_put")


def _places(index: Array, length: int) -> Array:
    """Where each entry of `index` `[M, *s]` lies in `[length, *s]`, all in one row; behind its end for none."""
    width = index[0].size
    lane = jnp.arange(width, dtype=index.dtype).reshape(index.shape[1:])
    inside = (index >= 0) & (index < length)
    return jnp.where(inside, index * width + lane[None], length * width).reshape(-1)


def _read(x: Array, index: Array) -> Array:
    places = _places(index, x.shape[0])
    return x.reshape(-1).at[places].get(mode="fill", fill_value=0.0).reshape(index.shape)


def _write(y: Array, index: Array, *, length: int) -> Array:
    shape = (length, *index.shape[1:])
    nothing = jnp.zeros(length * index[0].size, y.dtype)
    return nothing.at[_places(index, length)].set(y.reshape(-1), mode="drop").reshape(shape)


def _side_by_side(operands, dims):
    """Every operand with the batch as its last axis."""
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims, strict=True) if dim is not None}
    return [
        jnp.broadcast_to(x[..., None], (*x.shape, size)) if dim is None else jnp.moveaxis(x, dim, -1)
        for x, dim in zip(operands, dims, strict=True)
    ]


def _take_batched(operands, dims):
    x, index = _side_by_side(operands, dims)
    return _take.bind(x, index), index.ndim - 1


def _put_batched(operands, dims, *, length):
    y, index = _side_by_side(operands, dims)
    return _put.bind(y, index, length=length), index.ndim - 1


def _take_transposed(cotangent, x, index):
    if type(cotangent) is ad.Zero:
        return None, None
    return _put.bind(cotangent, index, length=x.aval.shape[0]), None


def _put_transposed(cotangent, y, index, *, length):
    del y, length
    if type(cotangent) is ad.Zero:
        return None, None
    return _take.bind(cotangent, index), None


_take.def_impl(_read)
_take.def_abstract_eval(lambda x, index: ShapedArray(index.shape, x.dtype))
mlir.register_lowering(_take, mlir.lower_fun(_read, multiple_results=False))
batching.primitive_batchers[_take] = _take_batched
ad.defjvp(_take, lambda tangent, x, index: _take.bind(tangent, index), None)
ad.primitive_transposes[_take] = _take_transposed

_put.def_impl(_write)
_put.def_abstract_eval(lambda y, index, *, length: ShapedArray((length, *index.shape[1:]), y.dtype))
mlir.register_lowering(_put, mlir.lower_fun(_write, multiple_results=False))
batching.primitive_batchers[_put] = _put_batched
ad.defjvp(_put, lambda tangent, y, index, *, length: _put.bind(tangent, index, length=length), None)
ad.primitive_transposes[_put] = _put_transposed
