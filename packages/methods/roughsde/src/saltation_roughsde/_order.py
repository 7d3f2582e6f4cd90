"""Which coefficients of a cell's power series count: from bounds on what is cut off."""

import functools
import math
from typing import Any, NamedTuple

import jax.numpy as jnp

_LARGEST = 80
# Bounds that are overestimates by far may be missed by this factor before that is an error.
SLACK = 1e4


class Series(NamedTuple):
    """The terms of a cell's power series that count; static.

    - `order`: how many derivatives an edge holds.
    - `near`: of the `m`-th derivative along an edge, the powers `q >= 1` of the increment with which lower derivatives
      of the opposite edge enter.
    - `far`: of the `m`-th derivative, the derivatives `r >= 1` of the crossing edge that enter.
    """

    order: int
    near: tuple[tuple[int, ...], ...]
    far: tuple[tuple[int, ...], ...]


def order_for(total: float, edges: float | int, dtype: Any) -> int:
    """Derivatives that an edge must hold, at least 2.

    **Arguments:**

    - `total`: the sum of `|p|` over all cells that an edge passes. The m-th derivative along it is at most
      `total^m / m!` times the kernel's largest value there, so that what is cut off is below `total^m / m!^2` of it.
    - `edges`: the sum of the totals of all edges, as a multiple of `total`: at most how many there are. Since
      `sum_j t_j^m <= total^(m-1) sum_j t_j`, what is cut off of all of them is that of so many edges of the largest.

    **Raises:** `ValueError` for paths so long that this does not converge in a reasonable number of terms.
    """
    if not math.isfinite(total):
        raise ValueError("signature kernel: got a path that is not finite; expected finite numbers. Fix: mask NaN.")
    for order in range(2, _LARGEST):
        if order * _log(total) - 2 * math.lgamma(order + 1) + _log(max(edges, 1)) <= math.log(_tolerance(dtype)):
            return order
    raise ValueError(
        f"signature kernel: got paths whose increments have inner products that add up to {total:.3g} along one "
        "segment; expected less than about 1000. Fix: scale the paths down, or use fewer spikes."
    )


def total_for(order: int, dtype: Any) -> float:
    """The largest total for which `order` derivatives are accepted."""
    accepted = math.log(SLACK * float(jnp.finfo(dtype).eps))
    return math.exp((accepted + 2 * math.lgamma(order + 1)) / order)


@functools.lru_cache
def series_for(
    order: int, total: float, largest: float, edges: float | int, dtype: Any, *, slopes: bool = True
) -> Series:
    """The terms that count where an edge passes cells of `total` increment, each at most of the `largest`.

    With the bound of `order_for`, a term of the `m`-th derivative that holds `p^q` and the `r`-th derivative of an edge
    changes the kernel by at most its own factor times `largest^q total^r / (r! m!)`; and its derivative with respect to
    `p`, if there are `slopes`, by `q / largest` times that. All cells together, `sum p^q <= largest^(q-1) total`, do
    that at most `total / largest` times if `q >= 1`, and as many times as there are `edges` otherwise.
    """
    cut = math.log(_tolerance(dtype) / order)
    log_total, log_largest = _log(total), _log(min(largest, total))

    def counts(q: int, r: int, m: int, log_factor: float) -> bool:
        bound = log_factor + q * log_largest + r * log_total - math.lgamma(r + 1) - math.lgamma(m + 1)
        bound += log_total - log_largest if q > 0 else _log(max(edges, 1))
        slope = bound + math.log(q) - log_largest if slopes and q > 0 else bound
        return max(bound, slope) > cut

    derivatives = range(order)
    near = tuple(tuple(q for q in range(1, m + 1) if counts(q, m - q, m, -math.lgamma(q + 1))) for m in derivatives)
    far = tuple(tuple(r for r in range(1, order) if counts(m, r, m, -math.lgamma(r + m + 1))) for m in derivatives)
    return Series(order, near, far)


def _tolerance(dtype: Any) -> float:
    return 0.5 * float(jnp.finfo(dtype).eps)


def _log(x: float | int) -> float:
    return math.log(max(x, 1e-30))
