"""Values whose derivative is refused."""

from typing import Any, NoReturn

import equinox as eqx
import jax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array


def not_differentiable(tree: Any, message: str) -> Any:
    """The same values, but differentiating them raises `TypeError(message)`.

    A derivative that does not depend on them is not disturbed: in reverse mode and under `jax.jit` they raise only if
    their derivative is needed, in forward mode outside `jax.jit` already if it is computed.
    """

    @jax.custom_jvp
    def identity(x: Array) -> Array:
        return x

    @identity.defjvp
    def _refuse(primals, tangents):
        return primals[0], _refused.bind(tangents[0], message=message)

    return jax.tree.map(lambda leaf: identity(leaf) if eqx.is_inexact_array(leaf) else leaf, tree)


def _raise(message: str) -> NoReturn:
    raise TypeError(message)


# A rule that raised at once would also refuse the gradient of everything that was computed along with these values. So
# the tangent passes through a linear operation that can be staged and batched, but neither computed nor transposed.
_refused = Primitive("saltation_not_differentiable")
_refused.def_impl(lambda tangent, *, message: _raise(message))
_refused.def_abstract_eval(lambda tangent, *, message: tangent)
ad.deflinear2(_refused, lambda cotangent, tangent, *, message: _raise(message))
batching.defvectorized(_refused)
mlir.register_lowering(_refused, lambda context, tangent, *, message: _raise(message))
