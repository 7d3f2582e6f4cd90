"""The spike times of a layer as an operation of JAX: how it is batched, differentiated and compiled.

A `custom_vjp` would do for one sample. But under `vmap` it hands out a weight gradient for each sample, which for wide
layers is the whole cost, and its rules cannot know whether the samples' gradients will be summed: they are in
`grad(vmap(f))`, and are not in `vmap(grad(f))`. An operation of its own knows, since each order of the two asks for
other rules:

- `_spikes`: spike times and slopes. Batched by `vmap`, it takes the whole batch, with operands that all samples share
  as they are.
- `_tangent`: its derivative, which exists to be transposed. Forward mode is refused.
- `_pull_back`: the gradient by chosen operands. One that the samples of a batched `_spikes` share gets the sum over
  them; where `_pull_back` itself is batched, each sample gets its own.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

from . import _native, _plain


class Setup(NamedTuple):
    """What is known when traced: the layer's structure and numbers, and how its operands are batched.

    - `structure`: of the layer's arrays; `rest` and `constants`: the layer without them.
    - `t1`, `limit`: end of the trial, and largest weight gradient, as in `first_spikes`.
    - `observed`: the last operand holds spike times, to be taken as they are.
    - `kernel`: "auto", "native" or "jax".
    - `batched`: which operands have a leading axis for the batch; `None` for one sample.
    - `batch`: its size.
    """

    structure: Any
    rest: Any
    constants: tuple
    t1: float
    limit: float | None
    observed: bool
    kernel: str
    batched: tuple[bool, ...] | None = None
    batch: int = 1

    def layer(self, leaves: Sequence[Any]) -> Any:
        """A layer from its arrays, or from anything else that there is one of for each."""
        arrays = jax.tree.unflatten(self.structure, leaves[: self.structure.num_leaves])
        return eqx.combine(arrays, jax.tree.unflatten(self.rest, self.constants))

    def split(self, operands: Sequence[Any]) -> tuple[list[Any], Any]:
        """The layer's arrays and the observed spike times, `None` without."""
        operands = list(operands)
        return (operands[:-1], operands[-1]) if self.observed else (operands, None)


def spike_times(operands: Sequence[Array], setup: Setup) -> tuple[Array, Array]:
    """Spike times and slopes of the layer that `operands` are the arrays of; see `first_spikes`."""
    times, slope = _spikes.bind(*operands, setup=setup)
    return times, jax.lax.stop_gradient(slope)


_spikes = Primitive("delgrad_spikes")
_spikes.multiple_results = True
_tangent = Primitive("delgrad_tangent")
_pull_back = Primitive("delgrad_pull_back")
_pull_back.multiple_results = True


def _shape(setup: Setup, operands: Sequence[Any]) -> tuple[int, ...]:
    """The shape of the spike times: that of one neuron's weights, and the batch."""
    neurons = setup.layer(operands).weight.shape[-1]
    return (neurons,) if setup.batched is None else (setup.batch, neurons)


def _compute_spikes(*operands, setup: Setup, native: bool):
    compute = _native.spikes if native and _native.takes(setup, operands) else _plain.spikes
    return compute(setup, operands)


def _compute_pull_back(*arguments, setup: Setup, wanted: tuple[int, ...], summed: bool, native: bool):
    cotangent, times, slope, *operands = arguments
    compute = _native.pull_back if native and _native.takes(setup, operands) else _plain.pull_back
    return compute(setup, operands, times, slope, cotangent, wanted, summed)


def _refuse(*arguments, setup: Setup, wanted: tuple[int, ...]):
    raise TypeError(
        "DelGrad cannot be differentiated in forward-mode (jax.jvp, jax.jacfwd). Use jax.grad, jax.vjp or jax.jacrev."
    )


# Abstract values.


@_spikes.def_abstract_eval
def _(*operands, setup):
    weight = setup.layer(operands).weight
    aval = ShapedArray(_shape(setup, operands), weight.dtype)
    return [aval, aval]


@_tangent.def_abstract_eval
def _(times, slope, *arguments, setup, wanted):
    return ShapedArray(times.shape, times.dtype)


@_pull_back.def_abstract_eval
def _(cotangent, times, slope, *operands, setup, wanted, summed):
    def aval(position):
        operand = operands[position]
        own = setup.batched is not None and not summed and not setup.batched[position]
        return ShapedArray(((setup.batch,) if own else ()) + operand.shape, operand.dtype)

    return [aval(position) for position in wanted]


# Differentiation.


def _jvp(primals, tangents, *, setup):
    times, slope = _spikes.bind(*primals, setup=setup)
    floating = [jnp.issubdtype(primal.dtype, jnp.floating) for primal in primals]
    if setup.observed:
        floating[-1] = False
    wanted = tuple(
        k
        for k, (tangent, good) in enumerate(zip(tangents, floating, strict=True))
        if good and type(tangent) is not ad.Zero
    )
    zero = ad.Zero(jax.typeof(slope))
    if not wanted:
        return [times, slope], [ad.Zero(jax.typeof(times)), zero]
    given = [tangents[k] for k in wanted]
    return [times, slope], [_tangent.bind(times, slope, *primals, *given, setup=setup, wanted=wanted), zero]


ad.primitive_jvps[_spikes] = _jvp


def _transpose(cotangent, times, slope, *arguments, setup, wanted):
    operands = arguments[: len(arguments) - len(wanted)]
    unneeded = [None] * (2 + len(operands))
    if type(cotangent) is ad.Zero:
        return [*unneeded, *[None] * len(wanted)]
    return [
        *unneeded,
        *_pull_back.bind(cotangent, times, slope, *operands, setup=setup, wanted=wanted, summed=True),
    ]


ad.primitive_transposes[_tangent] = _transpose


# Batching. The axis of a batch comes first. A second batch is gone through one by one.


def _batch_first(arguments, dims) -> tuple[list[Any], tuple[bool, ...], int]:
    batched = tuple(dim is not None for dim in dims)
    moved = [jnp.moveaxis(x, d, 0) if b else x for x, d, b in zip(arguments, dims, batched, strict=True)]
    (size,) = {x.shape[0] for x, b in zip(moved, batched, strict=True) if b}
    return moved, batched, size


def _one_by_one(bind, arguments, batched: tuple[bool, ...]):
    mapped = [x for x, b in zip(arguments, batched, strict=True) if b]

    def one(part):
        part = iter(part)
        return bind(*[next(part) if b else x for x, b in zip(arguments, batched, strict=True)])

    return jax.lax.map(one, mapped)


def _batch_spikes(arguments, dims, *, setup):
    operands, batched, size = _batch_first(arguments, dims)
    if setup.batched is not None:
        return _one_by_one(partial(_spikes.bind, setup=setup), operands, batched), [0, 0]
    return _spikes.bind(*operands, setup=setup._replace(batched=batched, batch=size)), [0, 0]


def _batch_pull_back(arguments, dims, *, setup, wanted, summed):
    arguments, batched, size = _batch_first(arguments, dims)
    if setup.batched is not None:
        bind = partial(_pull_back.bind, setup=setup, wanted=wanted, summed=summed)
        return _one_by_one(bind, arguments, batched), [0] * len(wanted)
    spikes = [
        x if b else jnp.broadcast_to(x, (size, *x.shape)) for x, b in zip(arguments[:3], batched[:3], strict=True)
    ]
    setup = setup._replace(batched=batched[3:], batch=size)
    return _pull_back.bind(*spikes, *arguments[3:], setup=setup, wanted=wanted, summed=False), [0] * len(wanted)


def _batch_tangent(arguments, dims, *, setup, wanted):
    arguments, batched, _ = _batch_first(arguments, dims)
    return _one_by_one(partial(_tangent.bind, setup=setup, wanted=wanted), arguments, batched), 0


batching.primitive_batchers[_spikes] = _batch_spikes
batching.primitive_batchers[_pull_back] = _batch_pull_back
batching.primitive_batchers[_tangent] = _batch_tangent


# Compilation: the native kernel on a CPU, plain JAX everywhere else.


@partial(jax.jit, static_argnames=("setup",))
def _run_spikes(*operands, setup):
    return _spikes.bind(*operands, setup=setup)


@partial(jax.jit, static_argnames=("setup", "wanted", "summed"))
def _run_pull_back(*arguments, setup, wanted, summed):
    return _pull_back.bind(*arguments, setup=setup, wanted=wanted, summed=summed)


_spikes.def_impl(_run_spikes)
_pull_back.def_impl(_run_pull_back)
_tangent.def_impl(_refuse)
mlir.register_lowering(_tangent, lambda context, *arguments, **parameters: _refuse(*arguments, **parameters))
for _primitive, _compute in ((_spikes, _compute_spikes), (_pull_back, _compute_pull_back)):
    for _platform in (None, "cpu"):
        _lowered = mlir.lower_fun(partial(_compute, native=_platform == "cpu"), multiple_results=True)
        mlir.register_lowering(_primitive, _lowered, platform=_platform)
