"""The signature kernel of paths given by their points."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._cell import SeriesCell
from ._order import SLACK, order_for, series_for, total_for
from ._static_kernel import AbstractStaticKernel, Linear
from ._tiles import gram

_TRACED_ORDER = {"float32": 14, "float64": 22}


def signature_kernel(
    x: Float[Array, "Lx d"],
    y: Float[Array, "Ly e"],
    *,
    static_kernel: AbstractStaticKernel = Linear(),
    order: int | None = None,
) -> Float[Array, ""]:
    """`k(x, y) = <S(x), S(y)>`, the inner product of two paths' signatures; see `signature_gram`."""
    _check_paths(x, y, axes=2)
    return signature_gram(x[None], y[None], static_kernel=static_kernel, order=order)[0, 0]


def signature_gram(
    x: Float[Array, "nx Lx d"],
    y: Float[Array, "ny Ly e"],
    *,
    static_kernel: AbstractStaticKernel = Linear(),
    order: int | None = None,
) -> Float[Array, "nx ny"]:
    """The signature kernel of every path `x` with every path `y`.

    It solves `d2k / ds dt = <dx_s, dy_t> k`, `k = 1` on the axes, exactly up to rounding: each pair of segments by its
    power series. Paths of different length are padded by repeating their last point.

    **Arguments:**

    - `x`, `y`: paths through the given points, straight between them.
    - `static_kernel`: `Linear()`, or `RBF(sigma)` lifted linearly.
    - `order`: how many derivatives are carried along each segment. Chosen from the paths where they are known; under
      `jax.jit` 14 in float32 and 22 in float64, and a run-time error says so if that is too few.

    **Returns:** `[nx, ny]`, differentiable in reverse mode by a rule of its own, whose memory grows with the number of
    segments and not with that of cells.

    **Raises:** `ValueError` for paths of different dimension or without a segment, and at run time for a kernel that
    overflows.

    Salvi, Cass, Foster, Lyons and Yang, "The signature kernel is the solution of a Goursat PDE", 2021.

    ```python
    import jax.numpy as jnp
    from saltation_roughsde import signature_gram

    x = jnp.array([[[0.0, 0.0], [1.2, -0.4]]])
    y = jnp.array([[[0.0, 0.0], [0.7, 0.5]]])
    print(signature_gram(x, y))     # I0(2 sqrt(0.64)) = 1.74998
    ```
    """
    _check_paths(x, y, axes=3)
    features_x, features_y = static_kernel.features(x), static_kernel.features(y)
    segments = max(features_x.shape[1], features_y.shape[1])
    dtype = np.dtype(x.dtype)
    total, largest = static_kernel.totals(features_x, features_y)
    if order is None and not isinstance(total, Tracer):
        order = order_for(float(total), segments, dtype)
        series = series_for(order, float(total), float(largest), segments, dtype)
    else:
        order = _TRACED_ORDER[x.dtype.name] if order is None else order
        bound = total_for(order, dtype)
        series = series_for(order, bound, bound, segments, dtype)
    rest = order * jnp.log(total) - 2 * float(np.sum(np.log(np.arange(1, order + 1))))
    message = (
        f"signature kernel: {order} derivatives along a segment are too few for these paths. Raise `order`, or scale "
        "the paths down."
    )
    features_x = eqx.error_if(features_x, rest > jnp.log(SLACK * jnp.finfo(x.dtype).eps), message)
    values = gram(SeriesCell(series), static_kernel.increment, features_x, features_y, edges=2 * order)
    return checked(values)


def checked(values: Float[Array, "nx ny"]) -> Float[Array, "nx ny"]:
    """The same values, or a run-time error where they are not finite."""
    return eqx.error_if(
        values,
        ~jnp.all(jnp.isfinite(values)),
        f"signature kernel: a value overflows {values.dtype.name}, or a path is not finite. Scale the paths down (the "
        "kernel grows like exp of twice their length; fewer spikes, or a smaller `jump_scale`), or use float64.",
    )


def _check_paths(x: Array, y: Array, *, axes: int) -> None:
    for name, path in (("x", x), ("y", y)):
        if path.ndim != axes or path.shape[-2] < 2:
            expected = "[L, d]" if axes == 2 else "[n, L, d]"
            raise ValueError(f"signature kernel: got {name} of shape {path.shape}; expected {expected} with L >= 2.")
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"signature kernel: got paths of dimension {x.shape[-1]} and {y.shape[-1]}; expected the same. Fix: give "
            "both the same channels, and time to both or to neither."
        )
    if x.dtype != y.dtype:
        raise ValueError(f"signature kernel: got paths of {x.dtype} and {y.dtype}; expected the same type of number.")
