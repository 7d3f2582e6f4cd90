"""A JAX function as a differentiable function of PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import torch
from torch.autograd.function import once_differentiable

from ._packing import pack
from ._tensors import to_jax, to_torch

Inputs = Sequence[Any]


class _Compiled(NamedTuple):
    """`forward(inputs)` gives output, others and residuals; `backward(inputs, residuals, cotangent)` the gradients."""

    forward: Callable[[Inputs], tuple[jax.Array, Any, list[jax.Array]]]
    backward: Callable[[Inputs, list[jax.Array], Any], list[jax.Array]]


class Bridge:
    """A function of JAX arrays that PyTorch differentiates: `output, aside = Bridge(function)(*tensors)`.

    The forward pass keeps what `jax.vjp` needs, so the backward pass does not repeat it. Both are compiled once for
    each set of shapes.

    **Arguments:** `function(*arrays) -> (output, aside)`, pure: a floating-point array, which becomes a tensor, and
    arrays without a derivative, which are returned as they are.

    Derivatives of derivatives raise. The memory of a large tensor is handed over without a copy where its alignment
    allows: a tensor that is changed in place between the forward and the backward pass makes PyTorch raise, as it does
    anywhere.
    """

    def __init__(self, function: Callable[..., tuple[jax.Array, Any]]):
        self._function = function
        self._plain = jax.jit(lambda inputs: function(*inputs))
        self._compiled: dict[Any, _Compiled] = {}

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, Any]:
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            aside: list[Any] = []
            output = _Call.apply(self, aside, *tensors)
            return output, aside[0]  # pyright: ignore[reportReturnType]
        output, found = self._plain([to_jax(tensor) for tensor in tensors])
        return to_torch(output), found

    def __deepcopy__(self, memo: dict[int, Any]) -> "Bridge":
        # What is compiled can be shared, and cannot be copied.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Bridge, (self._function,))

    def compiled(self, tensors: Sequence[torch.Tensor], wanted: tuple[bool, ...]) -> _Compiled:
        """The two passes for these shapes, and gradients of the `wanted` inputs."""
        key = (wanted, *((tensor.shape, tensor.dtype) for tensor in tensors))
        found = self._compiled.get(key)
        if found is None:
            found = self._compiled[key] = _compile(self._function, wanted)
        return found


def _compile(function: Callable[..., tuple[jax.Array, Any]], wanted: tuple[bool, ...]) -> _Compiled:
    structure: Any = None
    packing: Any = None

    @jax.jit
    def forward(inputs: Inputs):
        nonlocal structure, packing

        def of_wanted(*chosen: Any):
            rest = iter(chosen)
            return function(*[next(rest) if use else value for use, value in zip(wanted, inputs, strict=True)])

        chosen = [value for use, value in zip(wanted, inputs, strict=True) if use]
        output, pullback, aside = jax.vjp(of_wanted, *chosen, has_aux=True)
        # The closure is a pytree of residuals, whose structure is the same at every call of this program.
        residuals, structure = jax.tree.flatten(pullback)
        packing, packed = pack(residuals, inputs)
        return output, aside, packed

    @jax.jit
    def backward(inputs: Inputs, packed: list[jax.Array], cotangent: Any):
        return list(jax.tree.unflatten(structure, packing.unpack(packed, inputs))(cotangent))

    return _Compiled(forward, backward)


class _Call(torch.autograd.Function):
    """One call of a bridge, as a node of PyTorch's graph."""

    @staticmethod
    def forward(ctx: Any, bridge: Bridge, aside: list[Any], *tensors: torch.Tensor) -> torch.Tensor:
        ctx.wanted = tuple(tensor.requires_grad for tensor in tensors)
        compiled = bridge.compiled(tensors, ctx.wanted)
        ctx.inputs = [to_jax(tensor) for tensor in tensors]
        output, found, ctx.residuals = compiled.forward(ctx.inputs)
        aside.append(found)
        ctx.pull = compiled.backward
        # PyTorch then notices that one was changed in place, under the residuals.
        ctx.save_for_backward(*tensors)
        return to_torch(output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        ctx.saved_tensors  # noqa: B018
        found = iter(ctx.pull(ctx.inputs, ctx.residuals, to_jax(gradient)))
        return (None, None, *(to_torch(next(found)) if use else None for use in ctx.wanted))
