"""What lies on the way from one population to the next: linear maps and delays, as one connection."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import nir
import numpy as np

import saltation as st

from ._layout import Shape, flat, flattening, population, uniform


class Path(NamedTuple):
    """A way so far. `order` is a flattening that has not been carried out; delays are in NIR's unit of time."""

    shape: Shape
    maps: tuple[st.AbstractSynapse, ...] = ()
    order: np.ndarray | None = None
    delay_source: Any = 0.0
    delay_target: Any = 0.0


def follow(path: Path, name: str, node: Any, shape: Shape) -> Path:
    """The way through one more node, whose output has `shape`.

    **Raises:** `UnsupportedError` for what a connection cannot say: groups, dilation, overlapping pooling, delays that
    differ between units in the middle of linear maps.
    """
    if isinstance(node, nir.Delay):
        delays = _ordered(path, flat(node.delay, path.shape if np.size(node.delay) == 1 else shape))
        if not path.maps:
            return path._replace(delay_source=path.delay_source + delays)
        return path._replace(delay_target=path.delay_target + delays)
    if isinstance(node, nir.Flatten):
        if len(shape) != 1:
            raise st.UnsupportedError(f"from_nir got {name!r}, a Flatten to {shape}; expected one to a single axis.")
        return path._replace(shape=shape, order=flattening(path.shape) if len(path.shape) == 3 else path.order)
    if isinstance(node, nir.Scale):
        return _then(
            path, name, st.OneToOne(int(np.prod(shape)), _ordered(path, flat(node.scale, shape))), shape, False
        )
    if isinstance(node, nir.Linear | nir.Affine):
        weight = np.asarray(node.weight, np.float64).T
        order = flattening(path.shape) if len(path.shape) == 3 else path.order
        weight = weight if order is None else weight[order]
        return _then(path, name, st.Dense(weight), shape)._replace(order=None)
    image = population(path.shape)
    if isinstance(node, nir.Conv2d):
        if int(np.max(node.groups)) != 1 or int(np.max(node.dilation)) != 1:
            raise st.UnsupportedError(
                f"from_nir got {name!r}, a Conv2d with groups={node.groups} and dilation={node.dilation}; expected 1."
            )
        weight = np.asarray(node.weight, np.float64).transpose(2, 3, 1, 0)
        padding = node.padding if isinstance(node.padding, str) else [(p, p) for p in _pair(node.padding)]
        return _then(path, name, st.Conv2d(weight, image, stride=_pair(node.stride), padding=padding), shape)
    window, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    if window != stride or padding != (0, 0):
        raise st.UnsupportedError(
            f"from_nir got {name!r}, a {type(node).__name__} with kernel_size={window}, stride={stride}, "
            f"padding={padding}; expected windows that do not overlap and no padding."
        )
    pooled = _then(path, name, st.AvgPool2d(image, window), shape)
    if isinstance(node, nir.SumPool2d):
        pooled = _then(pooled, name, st.OneToOne(int(np.prod(shape)), float(window[0] * window[1])), shape, False)
    return pooled


def _then(path: Path, name: str, synapse: st.AbstractSynapse, shape: Shape, mixes: bool = True) -> Path:
    late = uniform(np.asarray(path.delay_target))
    if mixes and not isinstance(late, float):
        raise st.UnsupportedError(
            f"from_nir got delays that differ between units before {name!r}, in the middle of linear maps; expected "
            "them right after or right before a population of neurons."
        )
    if mixes:
        # One delay for all passes a linear map.
        path = path._replace(delay_source=path.delay_source + late, delay_target=0.0)
    return path._replace(shape=shape, maps=(*path.maps, synapse))


def _ordered(path: Path, values: np.ndarray) -> np.ndarray:
    return values if path.order is None or values.size != path.order.size else values[path.order]


def synapse_of(path: Path, factor: np.ndarray) -> st.AbstractSynapse:
    """The linear map of a way, times a factor for each target."""
    maps = list(path.maps)
    if path.order is not None:
        # A flattened image that meets neurons: its units change their places.
        maps.append(st.Dense(np.eye(path.order.size)[path.order]))
    one = uniform(factor)
    if not maps:
        return st.OneToOne(factor.size, one)
    last = maps[-1]
    if isinstance(last, st.Dense):
        maps[-1] = st.Dense(last.weight * jnp.asarray(factor, last.weight.dtype)[None, :])
    elif isinstance(last, st.Conv2d) and isinstance(one, float):
        maps[-1] = st.Conv2d(last.weight * one, last.shape, stride=last.stride, padding=last.padding)
    elif one != 1.0 if isinstance(one, float) else True:
        maps.append(st.OneToOne(factor.size, one))
    return maps[0] if len(maps) == 1 else st.Chain(*maps)


def delay_of(path: Path, time_unit: float) -> st.AbstractDelay | None:
    """The delay of a way, `None` for none: one that is the same for all is a fixed number, others are arrays."""
    source, target = uniform(np.asarray(path.delay_source)), uniform(np.asarray(path.delay_target))
    if isinstance(source, float) and isinstance(target, float):
        source, target = source + target, 0.0
    parts = [(source, "axonal"), (target, "dendritic")]
    found = [
        _delay(values / time_unit, kind) for values, kind in parts if not (isinstance(values, float) and values == 0)
    ]
    return None if not found else found[0] if len(found) == 1 else found[0] + found[1]


def _delay(value: Any, kind: str) -> st.Delay:
    # A fixed delay is its own minimum: a method may rely on it.
    return st.Delay(value, minimum=value) if isinstance(value, float) else st.Delay(value, kind=kind)


def bias_of(node: Any, shape: Shape) -> np.ndarray | None:
    """The constant that a node adds, in Saltation's order, `None` for none."""
    if not isinstance(node, nir.Affine | nir.Conv2d) or node.bias is None or not np.any(node.bias):
        return None
    bias = np.asarray(node.bias, np.float64)
    return flat(bias[:, None, None] if isinstance(node, nir.Conv2d) else bias, shape)


def _pair(value: Any) -> tuple[int, int]:
    sides = np.broadcast_to(np.ravel(value), 2)
    return (int(sides[0]), int(sides[1]))
