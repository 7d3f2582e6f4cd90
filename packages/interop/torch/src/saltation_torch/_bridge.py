"""A JAX function as a differentiable function of PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import torch
from torch.autograd.function import once_differentiable

from ._tensors import to_jax, to_torch

Arrays = Sequence[jax.Array]


class _Compiled(NamedTuple):
    """`forward(inputs)` gives outputs and residuals, `backward(residuals, cotangents)` the gradients of the "
    "wanted inputs."""

    forward: Callable[[Arrays], tuple[list[jax.Array], list[jax.Array]]]
    backward: Callable[[list[jax.Array], Arrays], list[jax.Array]]


class Bridge:
    """A function of JAX arrays that PyTorch differentiates: `outputs = Bridge(function)(*tensors)`.

    The forward pass keeps what `jax.vjp` needs, so the backward pass does not repeat it. Both are compiled once for
    each set of shapes.

    **Arguments:** `function(*arrays) -> list of arrays`, pure; floating-point outputs are differentiable, others are
    not.

    Derivatives of derivatives raise. The memory of a tensor is handed over without a copy where its alignment allows: a
    tensor that is changed in place between the forward and the backward pass makes PyTorch raise, as it does anywhere.
    """

    def __init__(self, function: Callable[..., list[jax.Array]]):
        self._function = function
        self._plain = jax.jit(lambda inputs: function(*inputs))
        self._compiled: dict[Any, _Compiled] = {}

    def __call__(self, *tensors: torch.Tensor) -> list[torch.Tensor]:
        if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
            return list(_Call.apply(self, *tensors))  # pyright: ignore[reportGeneralTypeIssues]
        return [to_torch(array) for array in self._plain([to_jax(tensor) for tensor in tensors])]

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


def _compile(function: Callable[..., list[jax.Array]], wanted: tuple[bool, ...]) -> _Compiled:
    structure: Any = None

    @jax.jit
    def forward(inputs: Arrays):
        nonlocal structure

        def of_wanted(*chosen: jax.Array):
            rest = iter(chosen)
            outputs = function(*[next(rest) if use else value for use, value in zip(wanted, inputs, strict=True)])
            floats = [value for value in outputs if jnp.issubdtype(value.dtype, jnp.inexact)]
            return floats, outputs

        chosen = [value for use, value in zip(wanted, inputs, strict=True) if use]
        _, pullback, outputs = jax.vjp(of_wanted, *chosen, has_aux=True)
        # The closure is a pytree of residuals, whose structure is the same at every call of this program.
        residuals, structure = jax.tree.flatten(pullback)
        return outputs, residuals

    @jax.jit
    def backward(residuals: list[jax.Array], cotangents: Arrays):
        return list(jax.tree.unflatten(structure, residuals)(list(cotangents)))

    return _Compiled(forward, backward)


class _Call(torch.autograd.Function):
    """One call of a bridge, as a node of PyTorch's graph."""

    @staticmethod
    def forward(ctx: Any, bridge: Bridge, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.wanted = tuple(tensor.requires_grad for tensor in tensors)
        compiled = bridge.compiled(tensors, ctx.wanted)
        arrays, ctx.residuals = compiled.forward([to_jax(tensor) for tensor in tensors])
        ctx.pull = compiled.backward
        # Not read again; PyTorch then notices that one was changed in place, under the residuals.
        ctx.save_for_backward(*tensors)
        outputs = tuple(to_torch(array) for array in arrays)
        ctx.floats = [output.is_floating_point() for output in outputs]
        ctx.mark_non_differentiable(
            *[output for output, is_float in zip(outputs, ctx.floats, strict=True) if not is_float]
        )
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        ctx.saved_tensors  # noqa: B018
        cotangents = [to_jax(gradient) for gradient, is_float in zip(gradients, ctx.floats, strict=True) if is_float]
        found = iter(ctx.pull(ctx.residuals, cotangents))
        return (None, *(to_torch(next(found)) if use else None for use in ctx.wanted))
