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
from jaxtyping import Array, Int

from ._loop import Lanes
from ._take import add_into, take, taken_shape


class Tables(NamedTuple):
    """Arrays `[N, *t]`, and which entries of each a chunk needs: `entries(x)` is `[M, *e]` for each, as in `take`."""

    values: Any
    entries: Callable[[Any], Any]


_NONE = Tables((), lambda x: ())


def linear_chunks(
    chunk: Callable[..., Any],
    linear: Any,
    carry: Any,
    xs: Any,
    number: Int[Array, ""],
    *,
    still: Tables = _NONE,
    moving: Tables = _NONE,
) -> Any:
    """`lax.scan` of `chunk(linear, carry, x, still, moving) -> carry, y` through the first `number` chunks.

    `chunk` is linear in `linear`, `carry` and the entries of the tables `moving` together; it has no derivative by
    `xs`, the entries of the tables `still` or what it closes over. A batch goes through as many as any of its samples
    needs. Outputs of further chunks are zeros.

    What each chunk adds to the cotangent of `linear` is as large as that, and what it adds to the cotangent of a table
    only as large as its entries.
    """
    first = jax.tree.map(lambda x: x[0], xs)
    indices = tuple(jax.eval_shape(tables.entries, first) for tables in (still, moving))
    rows = (_row_shapes(tables.values, index) for tables, index in zip((still, moving), indices))
    traced, (_, y) = jax.make_jaxpr(chunk, return_shape=True)(linear, carry, first, *rows)
    leaves = [list(traced.consts), *map(jax.tree.leaves, (linear, carry, xs, still.values, moving.values))]
    split = len(leaves[2])
    structure = jax.tree.structure(xs)

    def flat(consts, linear, carry, x, still, moving):
        outs = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, consts))(*linear, *carry, *x, *still, *moving)
        return outs[:split], outs[split:]

    def entries(x):
        x = jax.tree.unflatten(structure, x)
        return [jax.tree.leaves(tables.entries(x)) for tables in (still, moving)]

    stored = tuple((x.shape, x.dtype) for x in jax.tree.leaves(y))
    how = {"chunk": flat, "entries": entries, "sizes": tuple(map(len, leaves)), "stored": stored, "lanes": None}
    outs = _loop.bind(number, *sum(leaves, []), **how)
    parts = (carry, outs[:split]), (y, outs[split:])
    return tuple(jax.tree.unflatten(jax.tree.structure(tree), values) for tree, values in parts)


_loop = Primitive("ode_linear_chunks")
_loop.multiple_results = True


class _Parts(NamedTuple):
    """The operands behind the number of chunks, or something for each of them; lists."""

    consts: Any
    linear: Any
    carry: Any
    xs: Any
    still: Any
    moving: Any

    @staticmethod
    def of(operands, sizes) -> "_Parts":
        parts, start = [], 0
        for size in sizes:
            parts.append(list(operands[start : start + size]))
            start += size
        return _Parts(*parts)


def _at(xs, i):
    return [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in xs]


def _taken(tables, entries):
    return [take(table, index) for table, index in zip(tables, entries, strict=True)]


def _row_shapes(tables, entries):
    """The shapes of what one chunk takes from each table."""

    def shape(table, index):
        return jax.ShapeDtypeStruct(taken_shape(table.shape, index.shape), table.dtype)

    return jax.tree.map(shape, tables, entries)


def _run(number, *operands, chunk, entries, sizes, stored, lanes):
    chunk, entries = _of_lanes(chunk, entries, sizes, lanes)
    parts = _Parts.of(operands, sizes)
    length = parts.xs[0].shape[0]
    ys = [jnp.zeros((length, *shape), dtype) for shape, dtype in stored]
    tables = _wide(parts, sizes, lanes)

    def body(loop):
        i, carry, ys = loop
        x = _at(parts.xs, i)
        rows = (_taken(*each) for each in zip(tables, entries(x)))
        carry, y = chunk(parts.consts, parts.linear, carry, x, *rows)
        return i + 1, carry, [lax.dynamic_update_index_in_dim(all_, one, i, 0) for all_, one in zip(ys, y)]

    _, carry, ys = lax.while_loop(lambda loop: loop[0] < number, body, (jnp.zeros_like(number), parts.carry, ys))
    return [*carry, *ys]


def _abstract(number, *operands, chunk, entries, sizes, stored, lanes):
    del number, chunk, entries, lanes
    parts = _Parts.of(operands, sizes)
    length = parts.xs[0].shape[0]
    carry = [ShapedArray(x.shape, x.dtype) for x in parts.carry]
    return carry + [ShapedArray((length, *shape), dtype) for shape, dtype in stored]


def _of_lanes(chunk, entries, sizes, lanes: Lanes | None):
    """The same two functions, of all lanes at once. What concerns tables has them behind the axis over entries."""
    if lanes is None:
        return chunk, entries
    axes = _Parts.of([0 if own else None for own in lanes.own], sizes)
    shared = all(axis is None for axis in axes.xs)
    rows_axes = [[None if shared and axis is None else 0 for axis in part] for part in (axes.still, axes.moving)]
    vmapped = jax.vmap(chunk, in_axes=(axes.consts, axes.linear, 0, axes.xs, *rows_axes))

    def each(consts, linear, carry, x, *rows):
        rows = [
            [row[:, 0] if axis is None else jnp.moveaxis(row, 1, 0) for row, axis in zip(part, of, strict=True)]
            for part, of in zip(rows, rows_axes, strict=True)
        ]
        return vmapped(consts, linear, carry, x, *rows)

    def entries_of_each(x):
        if shared:
            return jax.tree.map(lambda index: index[:, None], entries(x))
        return jax.vmap(entries, in_axes=(axes.xs,), out_axes=1)(x)

    return each, entries_of_each


def _wide(parts: _Parts, sizes, lanes: Lanes | None) -> tuple[list[Array], list[Array]]:
    """The tables, with an axis of lanes, 1 long in those that all have in common."""
    if lanes is None:
        return parts.still, parts.moving
    own = _Parts.of(lanes.own, sizes)
    still, moving = (
        [table if has else table[:, None] for table, has in zip(*part, strict=True)]
        for part in ((parts.still, own.still), (parts.moving, own.moving))
    )
    return still, moving


def _batched(operands, dims, *, chunk, entries, sizes, stored, lanes):
    number, *operands = operands
    if dims[0] is not None:
        # Samples that were searched one by one: all go on together, and do nothing where they have ended.
        number = jnp.max(number)
    dims = dims[1:]
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims, strict=True) if dim is not None}
    before = Lanes(1, (False,) * len(operands)) if lanes is None else lanes
    # Lanes come first; behind the axis over chunks where there is one, and behind that over entries in tables. A carry
    # is always the lanes' own.
    places = sum(([place] * n for place, n in zip((0, 0, 0, 1, 1, 1), sizes, strict=True)), [])
    carried = sum(([name == "carry"] * n for name, n in zip(_Parts._fields, sizes, strict=True)), [])
    operands = [
        before.more(x, dim, own or (always and lanes is not None), size, place)
        if own or always or dim is not None
        else x
        for x, dim, own, always, place in zip(operands, dims, before.own, carried, places, strict=True)
    ]
    if lanes is None:
        stored = [((1, *shape), dtype) for shape, dtype in stored]
    outs = _loop.bind(
        number,
        *operands,
        chunk=chunk,
        entries=entries,
        sizes=sizes,
        stored=tuple(((size * shape[0], *shape[1:]), dtype) for shape, dtype in stored),
        lanes=Lanes(size * before.width, tuple(own or dim is not None for own, dim in zip(before.own, dims))),
    )
    places = [0] * sizes[2] + [1] * (len(outs) - sizes[2])
    if lanes is not None:
        outs = [lanes.parted(x, place) for x, place in zip(outs, places, strict=True)]
    return outs, places


def _differentiated(primals, tangents, *, sizes, **how):
    number, *operands = primals
    parts, directions = _Parts.of(operands, sizes), _Parts.of(tangents[1:], sizes)
    still = (directions.consts, directions.xs, directions.still)
    if not all(type(t) is ad.Zero for part in still for t in part):
        raise TypeError("ODE has first derivatives only: the derivative of its derivative is not defined.")
    along = parts._replace(
        linear=[ad.instantiate_zeros(t) for t in directions.linear],
        carry=[ad.instantiate_zeros(t) for t in directions.carry],
        moving=[ad.instantiate_zeros(t) for t in directions.moving],
    )
    outs = _loop.bind(*primals, sizes=sizes, **how)
    return outs, _loop.bind(number, *sum(along, []), sizes=sizes, **how)


def _transposed(cotangents, number, *operands, chunk, entries, sizes, stored, lanes):
    del stored
    chunk, entries = _of_lanes(chunk, entries, sizes, lanes)
    parts = _Parts.of(operands, sizes)
    zeros = lambda x: jnp.zeros(x.aval.shape, x.aval.dtype) if ad.is_undefined_primal(x) else x  # noqa: E731
    linear, carry, moving = ([zeros(x) for x in part] for part in (parts.linear, parts.carry, parts.moving))
    still, tables = _wide(parts._replace(moving=moving), sizes, lanes)
    by_carry = [ad.instantiate_zeros(ct) for ct in cotangents[: sizes[2]]]
    by_ys = [ad.instantiate_zeros(ct) for ct in cotangents[sizes[2] :]]

    def body(loop):
        i, by_linear, by_tables, by_carry = loop
        x = _at(parts.xs, i)
        still_entries, moving_entries = entries(x)
        rows, moving = _taken(still, still_entries), _taken(tables, moving_entries)

        def one(linear, carry, moving):
            return chunk(parts.consts, linear, carry, x, rows, moving)

        _, pull = jax.vjp(one, linear, carry, moving)
        more, by_carry, by_rows = pull((by_carry, _at(by_ys, i)))
        by_linear = [old + new for old, new in zip(by_linear, more, strict=True)]
        by_tables = [add_into(*each) for each in zip(by_tables, by_rows, moving_entries, strict=True)]
        return i - 1, by_linear, by_tables, by_carry

    loop = number - 1, linear, tables, by_carry
    _, *bars = lax.while_loop(lambda loop: loop[0] >= 0, body, loop)
    by: dict[str, list[Any]] = {name: [None] * len(part) for name, part in parts._asdict().items()}
    for name, found in zip(("linear", "moving", "carry"), bars, strict=True):
        by[name] = [
            bar.reshape(x.aval.shape) if ad.is_undefined_primal(x) else None
            for bar, x in zip(found, getattr(parts, name), strict=True)
        ]
    return [None, *sum(by.values(), [])]


_loop.def_impl(_run)
_loop.def_abstract_eval(_abstract)
mlir.register_lowering(_loop, mlir.lower_fun(_run, multiple_results=True))
batching.primitive_batchers[_loop] = _batched
ad.primitive_jvps[_loop] = _differentiated
ad.primitive_transposes[_loop] = _transposed
