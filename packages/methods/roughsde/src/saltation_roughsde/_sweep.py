"""The sweep over anti-diagonals: all cells of many pairs of paths, with a gradient of its own.

A lane holds one segment of one of the paths `x`; the rows of all paths `y`, one after the other, stream past the lanes.
At step `d` lane `i` works on row `d - i`, so that what it needs from lane `i - 1` and from its own past is there. No
lane waits at the border between two paths `y`, as it would if each pair's anti-diagonals were swept on their own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 4))
def sweep(cell: Any, increment: Callable[[Any, Any], Any], x: PyTree, y: PyTree, rows: int) -> Float[Array, "ny nx"]:
    """The kernel of every path `x` with every path `y`.

    **Arguments:**

    - `cell`: `unit(lanes, dtype)`, `cell(bottom, left, p) -> (top, right)` and `end(top)`; hashable.
    - `increment(x, y) -> p`: of the features of two segments, which broadcast.
    - `x`: features of segments, arrays `[L, nx]` or `[c, L, nx]`.
    - `y`: features of segments of all paths in one, `[ny * rows]` or `[c, ny * rows]`.

    Features of zeros must give a cell of increment 0: so paths are padded. Memory for the gradient is one edge for each
    lane and each path `y`; what happens within a path is computed again.
    """
    return _forward(cell, increment, x, y, rows)[0]


def _sweep_forward(cell, increment, x, y, rows):
    values, starts = _forward(cell, increment, x, y, rows)
    return values, (x, y, starts)


def _forward(cell, increment, x, y, rows):
    lanes, dtype = _lanes(x)
    stream, chunks = _stream(y, lanes[0], rows)

    def chunk(carry, number):
        def step(carry, d):
            top, right = cell(*_edges(cell, carry, d, rows), increment(x, _window(stream, d, lanes[0])))
            return (top, _shifted(carry[1], right)), cell.end(_last_lane(top))

        after, ends = lax.scan(step, carry, _steps(number, rows))
        return after, (ends, carry)

    # One lane more than there are, in front: the left border, where the kernel is 1.
    start = (cell.unit(lanes, dtype), cell.unit((lanes[0] + 1, lanes[1]), dtype))
    _, (ends, starts) = lax.scan(chunk, start, jnp.arange(chunks, dtype=jnp.int32))
    count = jax.tree.leaves(y)[0].shape[-1] // rows
    return ends.reshape(chunks * rows, lanes[1])[_last_rows(lanes[0], rows, count)], starts


def _sweep_backward(cell, increment, rows, residuals, bar):
    x, y, starts = residuals
    lanes, dtype = _lanes(x)
    stream, chunks = _stream(y, lanes[0], rows)
    last = (jnp.arange(lanes[0], dtype=jnp.int32) == lanes[0] - 1)[:, None]
    value_bars = jnp.zeros((chunks * rows, lanes[1]), dtype).at[_last_rows(lanes[0], rows, bar.shape[0])].set(bar)

    def chunk(carry, inputs):
        number, start, value_bars = inputs
        steps = _steps(number, rows)

        def again(carry, d):
            bottom, left = _edges(cell, carry, d, rows)
            top, right = cell(bottom, left, increment(x, _window(stream, d, lanes[0])))
            return (top, _shifted(carry[1], right)), (bottom, left)

        def back(carry, inputs):
            top_bar, right_bar = carry
            d, (bottom, left), value_bar = inputs
            _, pull = jax.vjp(cell.end, _last_lane(bottom))
            top_bar = jax.tree.map(lambda edge, new: edge + jnp.where(last, new, 0.0), top_bar, pull(value_bar)[0])
            _, pull = jax.vjp(cell, bottom, left, increment(x, _window(stream, d, lanes[0])))
            bottom_bar, left_bar, p_bar = pull((top_bar, jax.tree.map(lambda edge: edge[1:], right_bar)))
            first = _first_row(d, rows, lanes[0])
            top_bar = jax.tree.map(lambda edge: jnp.where(first, 0.0, edge), bottom_bar)
            right_bar = jax.tree.map(lambda edge, new: _written(edge, new, 0), right_bar, left_bar)
            return (top_bar, right_bar), p_bar

        # A loop of its own: XLA would compute the cotangent of an increment again for each feature that it reaches.
        def to_features(carry, inputs):
            x_bar, stream_bar = carry
            d, p_bar = inputs
            _, pull = jax.vjp(increment, x, _window(stream, d, lanes[0]))
            dx, dy = pull(p_bar)
            stream_bar = jax.tree.map(lambda s, g: _add_window(s, g, d, lanes[0]), stream_bar, dy)
            return (jax.tree.map(jnp.add, x_bar, dx), stream_bar), None

        edge_bars, feature_bars = carry
        _, edges = lax.scan(again, start, steps)
        edge_bars, p_bars = lax.scan(back, edge_bars, (steps, edges, value_bars), reverse=True)
        return (edge_bars, lax.scan(to_features, feature_bars, (steps, p_bars))[0]), None

    zeros = lambda tree: jax.tree.map(jnp.zeros_like, tree)  # noqa: E731
    edges = cell.unit(lanes, dtype), cell.unit((lanes[0] + 1, lanes[1]), dtype)
    inputs = jnp.arange(chunks, dtype=jnp.int32), starts, value_bars.reshape(chunks, rows, lanes[1])
    (_, (x_bar, stream_bar)), _ = lax.scan(chunk, (zeros(edges), zeros((x, stream))), inputs, reverse=True)
    return x_bar, jax.tree.map(lambda s, y: _unstream(s, y.shape[-1], lanes[0]), stream_bar, y)


sweep.defvjp(_sweep_forward, _sweep_backward)


def _lanes(x: PyTree) -> tuple[tuple[int, int], Any]:
    leaf = jax.tree.leaves(x)[0]
    return leaf.shape[-2:], leaf.dtype


def _steps(chunk: Array, rows: int) -> Array:
    return chunk * rows + jnp.arange(rows, dtype=jnp.int32)


def _last_rows(lanes: int, rows: int, count: int) -> slice:
    """The steps at which the last lane works on the last row of each path."""
    first = lanes - 1 + rows - 1
    return slice(first, first + (count - 1) * rows + 1, rows)


def _last_lane(edge: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: leaf[-1], edge)


def _shifted(border: PyTree, right: PyTree) -> PyTree:
    return jax.tree.map(lambda old, new: _written(old, new, 1), border, right)


def _written(edge: Array, new: Array, lane: int) -> Array:
    # In place inside a loop, which a concatenation or a scatter is not.
    return lax.dynamic_update_slice_in_dim(edge, new, lane, 0)


def _edges(cell: Any, carry: PyTree, d: Array, rows: int) -> tuple[PyTree, PyTree]:
    """Bottom and left edges of step `d`, from the top and right edges of the step before."""
    top, right = carry
    leaf = jax.tree.leaves(top)[0]
    first = _first_row(d, rows, leaf.shape[0])
    bottom = jax.tree.map(lambda edge, one: jnp.where(first, one, edge), top, cell.unit((1, 1), leaf.dtype))
    return bottom, jax.tree.map(lambda edge: edge[:-1], right)


def _first_row(d: Array, rows: int, lanes: int) -> Array:
    return ((d - jnp.arange(lanes, dtype=jnp.int32)) % rows == 0)[:, None]


def _stream(y: PyTree, lanes: int, rows: int) -> tuple[PyTree, int]:
    """The rows in reverse order with room at both ends, so that the window of a step is one slice; chunks of steps."""
    size = jax.tree.leaves(y)[0].shape[-1]
    chunks = -(-(size + lanes - 1) // rows)

    def pad(leaf):
        widths = [(0, 0)] * (leaf.ndim - 1) + [(lanes - 1, chunks * rows - size)]
        return jnp.pad(leaf, widths)[..., ::-1]

    return jax.tree.map(pad, y), chunks


def _unstream(stream: Array, size: int, lanes: int) -> Array:
    return stream[..., ::-1][..., lanes - 1 : lanes - 1 + size]


def _window(stream: PyTree, d: Array, lanes: int) -> PyTree:
    """Row `d - i` for lane `i`: `[L, 1]`."""

    def take(leaf):
        return lax.dynamic_slice_in_dim(leaf, leaf.shape[-1] - lanes - d, lanes, leaf.ndim - 1)[..., None]

    return jax.tree.map(take, stream)


def _add_window(stream: Array, window: Array, d: Array, lanes: int) -> Array:
    start, axis = stream.shape[-1] - lanes - d, stream.ndim - 1
    present = lax.dynamic_slice_in_dim(stream, start, lanes, axis)
    return lax.dynamic_update_slice_in_dim(stream, present + window[..., 0], start, axis)
