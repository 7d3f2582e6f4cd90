"""The native kernel as functions of JAX: the whole batch in one call, nothing copied for each sample."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from . import _library

if TYPE_CHECKING:
    from ._primitive import Setup

_FUNCTIONS = ("search", "slope", "pull_back")
_FIELDS = ("time", "source", "weight", "delay", "drive", "theta", "axonal", "dendritic")
_SUFFIX = {"float32": "f32", "float64": "f64"}


@functools.cache
def problem() -> str:
    """Why the native kernel cannot be used; empty if it can."""
    library = _library.load()
    if isinstance(library, str):
        return library
    # Only a platform that has started says at once what it does not take; another one would fail when it starts.
    jax.local_devices(backend="cpu")
    try:
        for suffix in _SUFFIX.values():
            for function in _FUNCTIONS:
                name = f"saltation_{function}_{suffix}"
                jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    except Exception as error:  # whatever this version of JAX does not like about it
        return f"this JAX does not take it: {error}. Install saltation-delgrad again, with this JAX"
    return ""


def takes(setup: "Setup", operands: Sequence[Array]) -> bool:
    """Whether the native kernel is to be used: it exists, it was not ruled out, and time constants are numbers."""
    if setup.kernel == "jax" or problem():
        return False
    layer = setup.layer(setup.split(operands)[0])
    return layer.membrane.form() is not None and str(layer.weight.dtype) in _SUFFIX


def spikes(setup: "Setup", operands: Sequence[Array]) -> tuple[Array, Array]:
    """Spike times and slopes, `[n]` or `[batch, n]`."""
    arrays, observed = setup.split(operands)
    given, constants = _operands(setup, arrays)
    shape = jax.ShapeDtypeStruct((setup.batch, given[2].shape[-1]), given[2].dtype)
    if observed is None:
        times, slope = _call("search", shape.dtype, (shape, shape), *given, **constants)
    else:
        times = jnp.broadcast_to(observed, shape.shape)
        slope = _call("slope", shape.dtype, shape, *given, times, **constants)
    return (times[0], slope[0]) if setup.batched is None else (times, slope)


def pull_back(
    setup: "Setup",
    operands: Sequence[Array],
    times: Array,
    slope: Array,
    cotangent: Array,
    wanted: tuple[int, ...],
    summed: bool,
) -> list[Array]:
    """The gradient by the operands at the positions `wanted`."""
    arrays, _ = setup.split(operands)
    given, constants = _operands(setup, arrays)
    flags = (setup.batched or (False,) * len(arrays))[: len(arrays)]
    names = _names(setup, arrays)
    # Of one sample, its own gradient and the sum are one.
    own = {names[k]: setup.batched is not None and (flags[k] or not summed) for k in wanted}
    shapes = [
        jax.ShapeDtypeStruct(
            (setup.batch if own[name] else 1, *operand.shape[1:]) if name in own else (0,), times.dtype
        )
        for name, operand in zip(_FIELDS, given, strict=True)
        if name != "source"
    ]
    spikes = [x if setup.batched is not None else x[None] for x in (times, slope, cotangent)]
    found = _call("pull_back", times.dtype, shapes, *given, *spikes, **constants, limit=setup.limit or 0.0)
    gradients = dict(zip([name for name in _FIELDS if name != "source"], found, strict=True))
    return [gradients[names[k]] if own[names[k]] else gradients[names[k]][0] for k in wanted]


def _names(setup: "Setup", arrays: Sequence[Any]) -> list[str]:
    """The name of each of the layer's arrays."""
    layer = setup.layer(range(len(arrays)))
    by_position = {getattr(layer, name): name for name in _FIELDS if name != "theta"}
    return [by_position.get(k, "theta") for k in range(len(arrays))]


def _operands(setup: "Setup", arrays: Sequence[Array]) -> tuple[list[Any], dict[str, Any]]:
    """The kernel's operands, each with an axis for the batch in front, of size 1 where all samples share it."""
    batched = (setup.batched or (False,) * len(arrays))[: len(arrays)]
    layer = setup.layer([x if b else x[None] for x, b in zip(arrays, batched, strict=True)])
    form, theta = layer.membrane.form(), layer.membrane.theta
    fixed = isinstance(theta, int | float)
    values = {name: getattr(layer, name) for name in _FIELDS if name != "theta"} | {"theta": None if fixed else theta}
    # Constants, for which nothing is computed: an empty array stands for nothing.
    nothing = {name: np.zeros(0, np.int32 if name == "source" else layer.weight.dtype) for name in _FIELDS}
    given = [nothing[name] if values[name] is None else values[name] for name in _FIELDS]
    constants = {"kind": form.kind, "tau_mem": form.tau_mem, "tau_syn": form.tau_syn, "t1": setup.t1}
    return given, constants | {"threshold": theta if fixed else 0.0}


def _call(function: str, dtype: Any, shapes: Any, *operands: Array | np.ndarray, **constants: Any) -> Any:
    attributes = {k: np.int32(v) if k == "kind" else np.float64(v) for k, v in constants.items()}
    return jax.ffi.ffi_call(f"saltation_{function}_{_SUFFIX[str(dtype)]}", shapes)(*operands, **attributes)
