"""A linear loop over chunks that ends where its work does, forwards and transposed.

JAX transposes a scan, which runs through all of its room, and no `while`. This one is a primitive of its own: a `while`
over the chunks that are needed, and for its transpose a `while` back over the same chunks. What a chunk is linear in
need not be stored for that; the rest of it is computed again.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Bool

from ._record import iota
from ._take import add_into, take, taken_shape


class Tables(NamedTuple):
    """Arrays `[N, *t]` and of which entries a chunk needs which: `[C, M, *e]` for each, as in `take`."""

    values: Any
    entries: Any


def linear_chunks(
    chunk: Callable[..., Any],
    linear: Any,
    carry: Any,
    xs: Any,
    active: Bool[Array, " C"],
    *,
    still: Tables = Tables((), ()),
    moving: Tables = Tables((), ()),
) -> Any:
    """`lax.scan` of `chunk(linear, carry, x, still, moving) -> carry, y` up to the last chunk that is `active`.

    `chunk` is linear in `linear`, `carry` and the entries of the tables `moving` together; it has no derivative by
    `xs`, the entries of the tables `still` or what it closes over. Under `jax.vmap` all samples end together. Outputs
    of chunks that are not needed are zeros.

    What each chunk adds to the cotangent of `linear` is as large as that, and what it adds to the cotangent of a table
    only as large as its entries.
    """
    first = jax.tree.map(lambda x: x[0], xs)
    rows = _row_shapes(*still), _row_shapes(*moving)
    traced, (_, y) = jax.make_jaxpr(chunk, return_shape=True)(linear, carry, first, *rows)
    leaves = [list(traced.consts), *map(jax.tree.leaves, (linear, carry, xs, *still, *moving))]
    split = len(leaves[2])

    def flat(consts, linear, carry, x, still, moving):
        outs = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, consts))(*linear, *carry, *x, *still, *moving)
        return outs[:split], outs[split:]

    stored = tuple((x.shape, x.dtype) for x in jax.tree.leaves(y))
    outs = _loop.bind(needed(active), *sum(leaves, []), chunk=flat, sizes=tuple(map(len, leaves)), stored=stored)
    parts = (carry, outs[:split]), (y, outs[split:])
    return tuple(jax.tree.unflatten(jax.tree.structure(tree), values) for tree, values in parts)


@jax.custom_batching.custom_vmap
def needed(active: Bool[Array, " C"]) -> Array:
    """How many chunks there are up to the last active one of any sample."""
    return jnp.max(jnp.where(active, iota(active.shape[0]) + 1, 0))


@needed.def_vmap
def _needed_of_batch(axis_size, in_batched, active):
    del axis_size
    return needed(jnp.any(active, axis=0) if in_batched[0] else active), False


_loop = Primitive("ode_linear_chunks")
_loop.multiple_results = True


class _Parts(NamedTuple):
    """The operands behind the number of chunks, or something for each of them; lists."""

    consts: Any
    linear: Any
    carry: Any
    xs: Any
    still: Any
    still_entries: Any
    moving: Any
    moving_entries: Any

    @staticmethod
    def of(operands, sizes) -> "_Parts":
        parts, start = [], 0
        for size in sizes:
            parts.append(list(operands[start : start + size]))
            start += size
        return _Parts(*parts)


def _at(xs, i):
    return [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in xs]


def _taken(tables, entries, i):
    return [take(table, index) for table, index in zip(tables, _at(entries, i), strict=True)]


def _row_shapes(tables, entries):
    """The shapes of what one chunk takes from each table."""

    def shape(table, index):
        return jax.ShapeDtypeStruct(taken_shape(table.shape, index.shape[1:]), table.dtype)

    return jax.tree.map(shape, tables, entries)


def _run(number, *operands, chunk, sizes, stored):
    parts = _Parts.of(operands, sizes)
    length = parts.xs[0].shape[0]
    ys = [jnp.zeros((length, *shape), dtype) for shape, dtype in stored]

    def body(loop):
        i, carry, ys = loop
        still = _taken(parts.still, parts.still_entries, i)
        moving = _taken(parts.moving, parts.moving_entries, i)
        carry, y = chunk(parts.consts, parts.linear, carry, _at(parts.xs, i), still, moving)
        return i + 1, carry, [lax.dynamic_update_index_in_dim(all_, one, i, 0) for all_, one in zip(ys, y)]

    _, carry, ys = lax.while_loop(lambda loop: loop[0] < number, body, (jnp.zeros_like(number), parts.carry, ys))
    return [*carry, *ys]


def _abstract(number, *operands, chunk, sizes, stored):
    del number, chunk
    parts = _Parts.of(operands, sizes)
    length = parts.xs[0].shape[0]
    carry = [ShapedArray(x.shape, x.dtype) for x in parts.carry]
    return carry + [ShapedArray((length, *shape), dtype) for shape, dtype in stored]


def _batched(operands, dims, *, chunk, sizes, stored):
    number, *operands = operands
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims[1:], strict=True) if dim is not None}
    parts = _Parts.of(list(zip(operands, dims[1:], strict=True)), sizes)
    # The batch first; behind the axis over chunks where there is one, and last in tables and their entries. A carry
    # always becomes the batch's own.
    consts, linear, xs = (
        [x if dim is None else jnp.moveaxis(x, dim, place) for x, dim in part]
        for part, place in ((parts.consts, 0), (parts.linear, 0), (parts.xs, 1))
    )
    carry = [
        jnp.broadcast_to(x, (size, *x.shape)) if dim is None else jnp.moveaxis(x, dim, 0) for x, dim in parts.carry
    ]
    tables = [[x[..., None] if dim is None else jnp.moveaxis(x, dim, -1) for x, dim in part] for part in parts[4:]]
    own = [
        [None if table[1] is None and index[1] is None else 0 for table, index in zip(*part, strict=True)]
        for part in (parts[4:6], parts[6:8])
    ]
    axes = [[None if dim is None else 0 for _, dim in part] for part in (parts.consts, parts.linear, parts.xs)]
    vmapped = jax.vmap(chunk, in_axes=(axes[0], axes[1], 0, axes[2], *own))

    def each(consts, linear, carry, x, *rows):
        rows = [
            [row[..., 0] if axis is None else jnp.moveaxis(row, -1, 0) for row, axis in zip(part, of, strict=True)]
            for part, of in zip(rows, own, strict=True)
        ]
        return vmapped(consts, linear, carry, x, *rows)

    stored = tuple(((size, *shape), dtype) for shape, dtype in stored)
    operands = *consts, *linear, *carry, *xs, *sum(tables, [])
    outs = _loop.bind(number, *operands, chunk=each, sizes=sizes, stored=stored)
    return outs, [0] * sizes[2] + [1] * (len(outs) - sizes[2])


def _differentiated(primals, tangents, *, sizes, **how):
    number, *operands = primals
    parts, directions = _Parts.of(operands, sizes), _Parts.of(tangents[1:], sizes)
    still = (directions.consts, directions.xs, directions.still, directions.still_entries, directions.moving_entries)
    if not all(type(t) is ad.Zero for part in still for t in part):
        raise TypeError("ODE has first derivatives only: the derivative of its derivative is not defined.")
    along = parts._replace(
        linear=[ad.instantiate_zeros(t) for t in directions.linear],
        carry=[ad.instantiate_zeros(t) for t in directions.carry],
        moving=[ad.instantiate_zeros(t) for t in directions.moving],
    )
    outs = _loop.bind(*primals, sizes=sizes, **how)
    return outs, _loop.bind(number, *sum(along, []), sizes=sizes, **how)


def _transposed(cotangents, number, *operands, chunk, sizes, stored):
    del stored
    parts = _Parts.of(operands, sizes)
    zeros = lambda x: jnp.zeros(x.aval.shape, x.aval.dtype) if ad.is_undefined_primal(x) else x  # noqa: E731
    linear, carry, tables = ([zeros(x) for x in part] for part in (parts.linear, parts.carry, parts.moving))
    by_carry = [ad.instantiate_zeros(ct) for ct in cotangents[: sizes[2]]]
    by_ys = [ad.instantiate_zeros(ct) for ct in cotangents[sizes[2] :]]

    def body(loop):
        i, by_linear, by_tables, by_carry = loop
        x, still = _at(parts.xs, i), _taken(parts.still, parts.still_entries, i)
        moving = _taken(tables, parts.moving_entries, i)

        def one(linear, carry, moving):
            return chunk(parts.consts, linear, carry, x, still, moving)

        _, pull = jax.vjp(one, linear, carry, moving)
        more, by_carry, by_rows = pull((by_carry, _at(by_ys, i)))
        by_linear = [old + new for old, new in zip(by_linear, more, strict=True)]
        entries = _at(parts.moving_entries, i)
        by_tables = [add_into(*each) for each in zip(by_tables, by_rows, entries, strict=True)]
        return i - 1, by_linear, by_tables, by_carry

    loop = number - 1, linear, tables, by_carry
    _, *bars = lax.while_loop(lambda loop: loop[0] >= 0, body, loop)
    by: dict[str, list[Any]] = {name: [None] * len(part) for name, part in parts._asdict().items()}
    for name, found in zip(("linear", "moving", "carry"), bars, strict=True):
        by[name] = [
            bar if ad.is_undefined_primal(x) else None for bar, x in zip(found, getattr(parts, name), strict=True)
        ]
    return [None, *sum(by.values(), [])]


_loop.def_impl(_run)
_loop.def_abstract_eval(_abstract)
mlir.register_lowering(_loop, mlir.lower_fun(_run, multiple_results=True))
batching.primitive_batchers[_loop] = _batched
ad.primitive_jvps[_loop] = _differentiated
ad.primitive_transposes[_loop] = _transposed
