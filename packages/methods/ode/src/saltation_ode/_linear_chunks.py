"""A linear loop over chunks that ends where its work does, forwards and transposed.

JAX transposes a scan, which runs through all of its room, and no `while`. This one is a primitive of its own: a `while`
over the chunks that are needed, and for its transpose a `while` back over the same chunks. What a chunk is linear in
need not be stored for that; the rest of it is computed again.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Bool

from ._record import iota


def linear_chunks(chunk: Callable[..., Any], linear: Any, carry: Any, xs: Any, active: Bool[Array, " C"]) -> Any:
    """`lax.scan` of `chunk(linear, carry, x) -> carry, y` over the chunks up to the last one that is `active`.

    `chunk` is linear in `linear` and `carry` together, and has no derivative by `xs` or what it closes over. Under
    `jax.vmap` all samples end together. Outputs of chunks that are not needed are zeros.
    """
    first = jax.tree.map(lambda x: x[0], xs)
    traced, (_, like) = jax.make_jaxpr(chunk, return_shape=True)(linear, carry, first)
    leaves = [list(traced.consts), *map(jax.tree.leaves, (linear, carry, xs))]
    split = len(leaves[2])

    def flat(consts, linear, carry, x):
        outs = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, consts))(*linear, *carry, *x)
        return outs[:split], outs[split:]

    outs = _loop.bind(needed(active), *sum(leaves, []), chunk=flat, sizes=tuple(map(len, leaves)))
    parts = (carry, outs[:split]), (like, outs[split:])
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


def _split(operands, sizes):
    parts, start = [], 0
    for size in sizes:
        parts.append(list(operands[start : start + size]))
        start += size
    return parts


def _at(xs, i):
    return [lax.dynamic_index_in_dim(x, i, keepdims=False) for x in xs]


def _shapes(parts, chunk):
    """The shapes of a chunk's carry and output."""
    consts, linear, carry, xs = parts
    shapes = lambda leaves, skip=0: [jax.ShapeDtypeStruct(x.shape[skip:], x.dtype) for x in leaves]  # noqa: E731
    return jax.eval_shape(chunk, shapes(consts), shapes(linear), shapes(carry), shapes(xs, 1))


def _run(number, *operands, chunk, sizes):
    parts = consts, linear, carry, xs = _split(operands, sizes)
    length = xs[0].shape[0]
    ys = [jnp.zeros((length, *y.shape), y.dtype) for y in _shapes(parts, chunk)[1]]

    def body(loop):
        i, carry, ys = loop
        carry, y = chunk(consts, linear, carry, _at(xs, i))
        return i + 1, carry, [lax.dynamic_update_index_in_dim(all_, one, i, 0) for all_, one in zip(ys, y)]

    _, carry, ys = lax.while_loop(lambda loop: loop[0] < number, body, (jnp.zeros_like(number), carry, ys))
    return [*carry, *ys]


def _abstract(number, *operands, chunk, sizes):
    del number
    parts = _split(operands, sizes)
    carry, ys = _shapes(parts, chunk)
    length = parts[3][0].shape[0]
    return [ShapedArray(x.shape, x.dtype) for x in carry] + [ShapedArray((length, *y.shape), y.dtype) for y in ys]


def _batched(operands, dims, *, chunk, sizes):
    number, *operands = operands
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims[1:], strict=True) if dim is not None}
    consts, linear, carry, xs = _split(list(zip(operands, dims[1:], strict=True)), sizes)
    # The batch first; behind the axis over chunks where there is one. A carry always becomes the batch's own.
    moved = [
        [x if dim is None else jnp.moveaxis(x, dim, place) for x, dim in part]
        for part, place in ((consts, 0), (linear, 0), (xs, 1))
    ]
    carry = [jnp.broadcast_to(x, (size, *x.shape)) if dim is None else jnp.moveaxis(x, dim, 0) for x, dim in carry]
    axes = [[None if dim is None else 0 for _, dim in part] for part in (consts, linear, xs)]
    each = jax.vmap(chunk, in_axes=(axes[0], axes[1], 0, axes[2]))
    outs = _loop.bind(number, *moved[0], *moved[1], *carry, *moved[2], chunk=each, sizes=sizes)
    return outs, [0] * sizes[2] + [1] * (len(outs) - sizes[2])


def _differentiated(primals, tangents, *, chunk, sizes):
    still = 1 + sizes[0]
    moving = still + sizes[1] + sizes[2]
    if not all(type(t) is ad.Zero for t in (*tangents[:still], *tangents[moving:])):
        raise TypeError("ODE has first derivatives only: the derivative of its derivative is not defined.")
    outs = _loop.bind(*primals, chunk=chunk, sizes=sizes)
    directions = [ad.instantiate_zeros(t) for t in tangents[still:moving]]
    along = _loop.bind(*primals[:still], *directions, *primals[moving:], chunk=chunk, sizes=sizes)
    return outs, along


def _transposed(cotangents, number, *operands, chunk, sizes):
    consts, linear, carry, xs = _split(operands, sizes)
    undefined = [ad.is_undefined_primal(x) for x in (*linear, *carry)]
    shapes = [x.aval if ad.is_undefined_primal(x) else x for x in (*linear, *carry)]
    linear, carry = _split([jnp.zeros(x.shape, x.dtype) for x in shapes], sizes[1:3])
    by_carry = [ad.instantiate_zeros(ct) for ct in cotangents[: sizes[2]]]
    by_ys = [ad.instantiate_zeros(ct) for ct in cotangents[sizes[2] :]]

    def body(loop):
        i, by_linear, by_carry = loop
        x = _at(xs, i)
        _, pull = jax.vjp(lambda linear, carry: chunk(consts, linear, carry, x), linear, carry)
        more, by_carry = pull((by_carry, _at(by_ys, i)))
        return i - 1, [old + new for old, new in zip(by_linear, more)], by_carry

    _, by_linear, by_carry = lax.while_loop(lambda loop: loop[0] >= 0, body, (number - 1, linear, by_carry))
    moving = [by if unknown else None for by, unknown in zip((*by_linear, *by_carry), undefined)]
    return [None] * (1 + sizes[0]) + moving + [None] * sizes[3]


_loop.def_impl(_run)
_loop.def_abstract_eval(_abstract)
mlir.register_lowering(_loop, mlir.lower_fun(_run, multiple_results=True))
batching.primitive_batchers[_loop] = _batched
ad.primitive_jvps[_loop] = _differentiated
ad.primitive_transposes[_loop] = _transposed
