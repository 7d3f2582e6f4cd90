"""Reading entries of tables, and adding to them: a gather, and its transpose as a sum into what is there.

JAX's own transpose would write into zeros, once for each part of the entries, and through lists of indices with one
column for each axis of the batch. Here the samples of a batch lie side by side, behind the axis of entries as loops
store them, so that a place is one number and nothing is moved.
"""

import math

import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float, Int


def take(table: Float[Array, "N *t"], index: Int[Array, "M *e"]) -> Float[Array, "M *s"]:
    """The entries `table[index[m, s], s]` for each `m`, zeros where an index is outside of `0 .. N - 1`.

    Axes `t` and `e` are as many, and one that is 1 long counts as long as the other: so an `index` of `[M, 1]` is that
    of whole rows.
    """
    return _take.bind(table, index)


def add_into(table: Float[Array, "N *t"], rows: Float[Array, "M *s"], index: Int[Array, "M *e"]) -> Array:
    """`table` with the `rows` added to the entries that `take` would read; the transpose of `take`."""
    return _add.bind(table, rows, index)


def taken_shape(table: tuple[int, ...], index: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what `take` returns for operands of these shapes."""
    return (index[0], *jnp.broadcast_shapes(table[1:], index[1:]))


_take = Primitive("ode_take")
_add = Primitive("ode_add_into")


def _places(table: Array, index: Array) -> Array:
    """Where each entry lies in the table, all in one row; behind its end for none."""
    shape = taken_shape(table.shape, index.shape)
    row = math.prod(table.shape[1:])
    lane, stride = jnp.zeros(shape[1:], index.dtype), row
    for axis, size in enumerate(table.shape[1:]):
        stride //= size
        if size > 1:
            position = jnp.arange(size, dtype=index.dtype) * stride
            lane = lane + position.reshape([size if other == axis else 1 for other in range(lane.ndim)])
    inside = (index >= 0) & (index < table.shape[0])
    places = jnp.where(inside, index * row, table.size) + jnp.where(inside, lane[None], 0)
    return places.reshape(-1)


def _read(table: Array, index: Array) -> Array:
    entries = table.reshape(-1).at[_places(table, index)].get(mode="fill", fill_value=0.0)
    return entries.reshape(taken_shape(table.shape, index.shape))


def _write(table: Array, rows: Array, index: Array) -> Array:
    return table.reshape(-1).at[_places(table, index)].add(rows.reshape(-1), mode="drop").reshape(table.shape)


def _behind(x: Array, dim: int | None) -> Array:
    """The batch as the axis behind that of the entries; one that is 1 long where there is none."""
    return x[:, None] if dim is None else jnp.moveaxis(x, dim, 1)


def _take_batched(operands, dims):
    table, index = (_behind(x, dim) for x, dim in zip(operands, dims, strict=True))
    return _take.bind(table, index), 1


def _add_batched(operands, dims):
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims, strict=True) if dim is not None}
    table, rows, index = (_behind(x, dim) for x, dim in zip(operands, dims, strict=True))
    table, rows = (jnp.broadcast_to(x, (x.shape[0], size, *x.shape[2:])) for x in (table, rows))
    return _add.bind(table, rows, index), 1


def _take_transposed(cotangent, table, index):
    if type(cotangent) is ad.Zero:
        return None, None
    return _add.bind(jnp.zeros(table.aval.shape, cotangent.dtype), cotangent, index), None


def _add_differentiated(primals, tangents):
    table, rows, index = primals
    by_table, by_rows = (ad.instantiate_zeros(t) for t in tangents[:2])
    return _add.bind(table, rows, index), _add.bind(by_table, by_rows, index)


def _add_transposed(cotangent, table, rows, index):
    if type(cotangent) is ad.Zero:
        return None, None, None
    by_table = cotangent if ad.is_undefined_primal(table) else None
    return by_table, _take.bind(cotangent, index) if ad.is_undefined_primal(rows) else None, None


_take.def_impl(_read)
_take.def_abstract_eval(lambda table, index: ShapedArray(taken_shape(table.shape, index.shape), table.dtype))
mlir.register_lowering(_take, mlir.lower_fun(_read, multiple_results=False))
batching.primitive_batchers[_take] = _take_batched
ad.defjvp(_take, lambda tangent, table, index: _take.bind(tangent, index), None)
ad.primitive_transposes[_take] = _take_transposed

_add.def_impl(_write)
_add.def_abstract_eval(lambda table, rows, index: ShapedArray(table.shape, table.dtype))
mlir.register_lowering(_add, mlir.lower_fun(_write, multiple_results=False))
batching.primitive_batchers[_add] = _add_batched
ad.primitive_jvps[_add] = _add_differentiated
ad.primitive_transposes[_add] = _add_transposed
