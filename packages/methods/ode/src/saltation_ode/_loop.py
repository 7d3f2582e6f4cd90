"""A loop that ends with its work, for a whole batch at once, and lays out what it stores by iteration.

`lax.scan` runs through all of its room. `lax.while_loop` ends, but under `jax.vmap` it puts the batch in front of the
axis over iterations: each iteration would then write single numbers, far from each other in memory. This one is a
primitive of its own, so that what an iteration stores lies side by side.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import batching, mlir


def loop_while(
    step: Callable[[Any, Any], tuple[Any, Any]], carry: Any, length: int, *, active: Callable[[Any], Any]
) -> tuple[Any, Any, Any]:
    """`lax.scan(step, carry, arange(length))`, up to the first iteration before which `active(carry)` does not hold.

    Under `jax.vmap` it goes on until it holds for no sample. It has no derivative. Outputs of iterations that are not
    needed are zeros. `active` may depend on its argument alone.

    **Returns:** the last carry, the outputs, and how many iterations there were, one number for all samples.
    """
    carry = jax.tree.map(jnp.asarray, carry)
    traced, (_, y) = jax.make_jaxpr(step, return_shape=True)(carry, jax.ShapeDtypeStruct((), jnp.int32))
    leaves, tree = jax.tree.flatten(carry)
    number = len(leaves)

    def flat_step(consts, carry, i):
        outs = jaxpr_as_fun(ClosedJaxpr(traced.jaxpr, consts))(*carry, i)
        return outs[:number], outs[number:]

    def flat_active(carry):
        return active(jax.tree.unflatten(tree, carry))

    outs = _loop.bind(
        *map(jnp.asarray, traced.consts),
        *leaves,
        step=flat_step,
        active=flat_active,
        number=number,
        stored=tuple(((length, *x.shape), x.dtype) for x in jax.tree.leaves(y)),
        lanes=None,
    )
    *outs, ended = outs
    return tree.unflatten(outs[:number]), jax.tree.unflatten(jax.tree.structure(y), outs[number:]), ended


_loop = Primitive("ode_loop_while")
_loop.multiple_results = True


def _split(operands, number):
    return list(operands[: len(operands) - number]), list(operands[len(operands) - number :])


class Lanes(NamedTuple):
    """Samples side by side along one axis: how many, and which of the constants each of them has of its own.

    One axis for all that is batched: XLA's CPU back end uses vectors along the last axis of an array alone, and of few
    neurons that would be a short one.
    """

    width: int
    own: tuple[bool, ...]

    def more(self, x: Any, dim: int | None, own: bool, size: int, place: int = 0) -> Any:
        """An operand of these lanes, with a batch along `dim`, as that of `size` times as many."""
        x = jnp.expand_dims(x, place) if dim is None else jnp.moveaxis(x, dim, place)
        x = x if own else jnp.expand_dims(x, place + 1)
        before, after = x.shape[:place], x.shape[place + 2 :]
        return jnp.broadcast_to(x, (*before, size, self.width, *after)).reshape(*before, size * self.width, *after)

    def parted(self, x: Any, place: int = 0) -> Any:
        """An output of more lanes, with the batch in front of these."""
        size = x.shape[place] // self.width
        return x.reshape(*x.shape[:place], size, self.width, *x.shape[place + 1 :])


def _run(*operands, step, active, number, stored, lanes):
    consts, carry = _split(operands, number)
    ys = [jnp.zeros(shape, dtype) for shape, dtype in stored]
    length = stored[0][0][0]
    if lanes is not None:
        axes = [0 if own else None for own in lanes.own]
        step = jax.vmap(step, in_axes=(axes, 0, None))

    def body(loop):
        i, carry, ys = loop
        carry, y = step(consts, carry, i)
        return i + 1, carry, [lax.dynamic_update_index_in_dim(all_, one, i, 0) for all_, one in zip(ys, y)]

    def going(carry):
        return active(carry) if lanes is None else jnp.any(jax.vmap(active)(carry))

    first = jnp.zeros((), jnp.int32)
    ended, carry, ys = lax.while_loop(lambda loop: (loop[0] < length) & going(loop[1]), body, (first, carry, ys))
    return [*carry, *ys, ended]


def _abstract(*operands, step, active, number, stored, lanes):
    del step, active, lanes
    carry = operands[len(operands) - number :]
    outs = [ShapedArray(x.shape, x.dtype) for x in carry] + [ShapedArray(*each) for each in stored]
    return [*outs, ShapedArray((), jnp.dtype(jnp.int32))]


def _batched(operands, dims, *, step, active, number, stored, lanes):
    (size,) = {x.shape[dim] for x, dim in zip(operands, dims, strict=True) if dim is not None}
    before = Lanes(1, (False,) * (len(operands) - number)) if lanes is None else lanes
    consts, carry = _split(list(zip(operands, dims, strict=True)), number)
    # A carry always becomes the lanes' own.
    carry = [before.more(x, dim, lanes is not None, size) for x, dim in carry]
    consts = [
        before.more(x, dim, own, size) if own or dim is not None else x
        for (x, dim), own in zip(consts, before.own, strict=True)
    ]
    if lanes is None:
        stored = [((shape[0], 1, *shape[1:]), dtype) for shape, dtype in stored]
    outs = _loop.bind(
        *consts,
        *carry,
        step=step,
        active=active,
        number=number,
        stored=tuple(((shape[0], size * shape[1], *shape[2:]), dtype) for shape, dtype in stored),
        lanes=Lanes(size * before.width, tuple(own or dim is not None for own, dim in zip(before.own, dims))),
    )
    places = [0] * number + [1] * len(stored)
    if lanes is not None:
        outs = [*(lanes.parted(x, place) for x, place in zip(outs, places)), outs[-1]]
    return outs, [*places, None]


_loop.def_impl(_run)
_loop.def_abstract_eval(_abstract)
mlir.register_lowering(_loop, mlir.lower_fun(_run, multiple_results=True))
batching.primitive_batchers[_loop] = _batched
