"""Values whose derivative is refused."""

from typing import Any, NoReturn

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, PyTree


def not_differentiable(tree: Any, message: str, *, depends_on: PyTree = None) -> Any:
    """The same values, but differentiating them raises `TypeError(message)`.

    A derivative that does not depend on them is not disturbed: in reverse mode and under `jax.jit` they raise only if
    their derivative is needed, in forward mode outside `jax.jit` already if it is computed.

    **Arguments:**

    - `depends_on`: what the values depend on, such as `(network, stimulus)`; needed where their derivative is zero, as
      that of a count is, for such values look like constants and would silently train nothing.
    """
    anchors = [leaf for leaf in jax.tree.leaves(depends_on) if eqx.is_inexact_array(leaf)]

    @jax.custom_jvp
    def identity(x: Array, anchors: list[Array]) -> Array:
        return x

    @identity.defjvp
    def _refuse(primals, tangents):
        x, _ = primals
        tangent, others = tangents
        for other in others:
            tangent = tangent + jnp.zeros_like(x) * jnp.sum(other).astype(x.dtype)
        return x, _refused.bind(tangent, message=message)

    return jax.tree.map(lambda leaf: identity(leaf, anchors) if eqx.is_inexact_array(leaf) else leaf, tree)


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
