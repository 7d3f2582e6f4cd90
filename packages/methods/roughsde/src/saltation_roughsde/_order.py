"""How many coefficients a cell needs: from a bound on the truncated rest of its series."""

import math
from typing import Any

import jax.numpy as jnp

_LARGEST = 80


def order_for(total: float, cells: int, dtype: Any) -> int:
    """Derivatives that an edge must hold, at least 2.

    **Arguments:** `total`: the sum of `|p|` over all cells that an edge passes. The m-th derivative along it is at most
    `total^m / m!` times the kernel's largest value there, so that what is cut off is below `total^m / m!^2` of it.

    **Raises:** `ValueError` for paths so long that this does not converge in a reasonable number of terms.
    """
    tolerance = (0.5 * float(jnp.finfo(dtype).eps)) / max(cells, 1)
    if not math.isfinite(total):
        raise ValueError("signature kernel: got a path that is not finite; expected finite numbers. Fix: mask NaN.")
    for order in range(2, _LARGEST):
        if order * math.log(max(total, 1e-30)) - 2 * math.lgamma(order + 1) <= math.log(tolerance):
            return order
    raise ValueError(
        f"signature kernel: got paths whose increments have inner products that add up to {total:.3g} along one "
        "segment; expected less than about 1000. Fix: scale the paths down, or use fewer spikes."
    )
