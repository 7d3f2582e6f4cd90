"""A JAX function as a differentiable function of PyTorch."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import torch

import saltation as st

from ._once import once
from ._packing import pack
from ._tensors import to_jax, to_torch

Function = Callable[..., tuple[jax.Array, Any]]
Inputs = Sequence[Any]


class _Compiled(NamedTuple):
    """`forward(inputs)` gives output, others and residuals; `backward(inputs, residuals, cotangent)` the gradients.

    `wanted` says which inputs have one; where none has, there are no residuals and no backward pass.
    """

    wanted: tuple[bool, ...]
    forward: Callable[[Inputs], tuple[Any, Any, Any]]
    backward: Callable[[Inputs, Any, Any], Sequence[Any]] | None


class Bridge:
    """A function of JAX arrays that PyTorch differentiates: `output, aside = Bridge(function)(*tensors)`.

    The forward pass keeps what `jax.vjp` needs, so the backward pass does not repeat it. Both are compiled once for
    each set of shapes.

    **Arguments:**

    - `function(*arrays) -> (output, aside)`, pure: a floating-point array, which becomes a tensor, and arrays without
      a derivative, which are returned as they are.
    - `check(*tensors)` may raise. It is called where tensors of these shapes, types and devices come first.
    - `host` does the same without JAX, for values that are good; what is aside is `None` then.

    Derivatives of derivatives raise. The memory of tensors is handed over without a copy where its alignment allows: a
    tensor that is changed in place between the forward and the backward pass makes PyTorch raise, as it does anywhere.
    """

    def __init__(
        self,
        function: Function,
        check: Callable[..., None] | None = None,
        host: st.AbstractHostPasses | None = None,
    ):
        self._function, self._check, self._host = function, check, host
        self._plain = jax.jit(lambda inputs: (*function(*inputs), []))
        self._compiled: dict[Any, _Compiled] = {}

    def __call__(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, Any]:
        compiled = self.compiled(tensors)
        inputs = [to_jax(tensor) for tensor in tensors]
        if compiled.backward is None:
            output, aside, _ = compiled.forward(inputs)
            return to_torch(output), aside
        found: list[Any] = []
        output = _Call.apply(compiled, inputs, found, *tensors)
        return output, found[0]  # pyright: ignore[reportReturnType]

    def compiled(self, tensors: Sequence[torch.Tensor]) -> _Compiled:
        """The two passes for tensors such as these, which are checked where none such came before."""
        key = (
            torch.is_grad_enabled(),
            jax.config.jax_enable_x64,  # pyright: ignore[reportAttributeAccessIssue]
            *[(tensor.shape, tensor.dtype, tensor.device, tensor.requires_grad) for tensor in tensors],
        )
        found = self._compiled.get(key)
        if found is None:
            if self._check is not None:
                self._check(*tensors)
            wanted = tuple(torch.is_grad_enabled() and tensor.requires_grad for tensor in tensors)
            found = _compile(self._function, wanted) if any(wanted) else _Compiled(wanted, self._plain, None)
            if self._host is not None:
                found = _by_host(self._host, found)
            self._compiled[key] = found
        return found

    def __deepcopy__(self, memo: dict[int, Any]) -> "Bridge":
        # What is compiled can be shared, and cannot be copied.
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (Bridge, (self._function, self._check, self._host))


def _compile(function: Function, wanted: tuple[bool, ...]) -> _Compiled:
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

    return _Compiled(wanted, forward, backward)


def _by_host(host: st.AbstractHostPasses, compiled: _Compiled) -> _Compiled:
    """The passes of `host`, and those that are compiled for what it does not take."""

    def forward(inputs: Inputs):
        found = host.forward(inputs[:-1], inputs[-1])
        if found is not None:
            return found[0], None, (host, found[1])
        output, aside, residuals = compiled.forward(inputs)
        return output, aside, (None, residuals)

    def backward(inputs: Inputs, residuals: Any, cotangent: Any):
        by, kept = residuals
        if by is not None:
            return by.backward(kept, cotangent, compiled.wanted)
        assert compiled.backward is not None
        return compiled.backward(inputs, kept, cotangent)

    return _Compiled(compiled.wanted, forward, None if compiled.backward is None else backward)


class _Call(torch.autograd.Function):
    """One call of a bridge, as a node of PyTorch's graph."""

    @staticmethod
    def forward(
        ctx: Any, compiled: _Compiled, inputs: Inputs, found: list[Any], *tensors: torch.Tensor
    ) -> torch.Tensor:
        output, aside, residuals = compiled.forward(inputs)
        found.append(aside)
        ctx.kept = compiled, inputs, residuals
        # PyTorch then notices that one was changed in place, under the residuals.
        ctx.save_for_backward(*tensors)
        return to_torch(output)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        tensors = ctx.saved_tensors
        compiled, inputs, residuals = ctx.kept
        gradients = iter(compiled.backward(inputs, residuals, to_jax(gradient)))
        found = [once(to_torch(next(gradients)), gradient, *tensors) if use else None for use in compiled.wanted]
        return (None, None, None, *found)
