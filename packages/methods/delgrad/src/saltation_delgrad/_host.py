"""First spikes and their gradient on arrays of NumPy: the native kernel alone, without a call of JAX."""

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import saltation as st

from . import _library
from ._membrane import Form, membrane_of

_SUFFIX = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
_POSITIVE = (st.Clip, st.Softplus, st.Sigmoid)


# As in native/host.cc.
class _Stage(ctypes.Structure):
    _fields_ = [
        *[(name, ctypes.c_int64) for name in ("source", "sources", "neurons", "weight")],
        *[(name, ctypes.c_int64) for name in ("delay", "part", "positive", "kind")],
        *[(name, ctypes.c_double) for name in ("minimum", "scale", "shift", "tau_mem", "tau_syn", "threshold")],
    ]


class _Network(ctypes.Structure):
    _fields_ = [
        ("number", ctypes.c_int64),
        ("output", ctypes.c_int64),
        ("stages", ctypes.POINTER(_Stage)),
        ("t1", ctypes.c_double),
        ("limit", ctypes.c_double),
    ]


class NativePasses(st.AbstractHostPasses):
    """Those of a network in which each population has one connection, from the input or from another population.

    `stages` are the numbers in a `_Stage`, `output` is the one whose spikes are wanted, `shapes` are of the arrays
    and of a sample's times.
    """

    def __init__(
        self, stages: Sequence[tuple], output: int, shapes: Sequence[tuple[int, ...]], t1: float, limit: float
    ):
        self._given = stages, output, shapes, t1, limit
        self._shapes = list(shapes)
        self._stages = (_Stage * len(stages))(*stages)
        self._network = _Network(len(stages), output, self._stages, t1, limit)
        neurons = [stage.neurons for stage in self._stages]
        self._all, self._before, self._neurons = 2 * sum(neurons), 2 * sum(neurons[:output]), neurons[output]

    def __reduce__(self):
        return (NativePasses, self._given)

    def forward(self, arrays, times):
        dtype = times.dtype
        shapes = [*[array.shape for array in arrays], times.shape[1:]]
        if dtype not in _SUFFIX or shapes != self._shapes or any(array.dtype != dtype for array in arrays):
            return None
        batch = len(times)
        arrays, times = [np.ascontiguousarray(array) for array in arrays], np.ascontiguousarray(times)
        pointers = _pointers(arrays)
        spikes = np.empty(batch * self._all, dtype)
        run, _ = _functions(dtype)
        if not run(self._network, batch, pointers, times.ctypes.data, spikes.ctypes.data):
            return None
        first = spikes[batch * self._before :][: batch * self._neurons].reshape(batch, self._neurons)
        # A copy, which its owner may change.
        return first.copy(), (arrays, pointers, times, spikes)

    def backward(self, kept, cotangent, wanted):
        arrays, pointers, times, spikes = kept
        cotangent = np.ascontiguousarray(cotangent)
        found = [np.empty_like(array) if use else None for array, use in zip((*arrays, times), wanted, strict=True)]
        _, run = _functions(times.dtype)
        run(
            self._network,
            len(times),
            pointers,
            times.ctypes.data,
            spikes.ctypes.data,
            cotangent.ctypes.data,
            _pointers(found[:-1]),
            None if found[-1] is None else found[-1].ctypes.data,
        )
        return [gradient for gradient in found if gradient is not None]


def passes_of(network: st.Network, *, population: str, t1: float, limit: float | None) -> NativePasses | None:
    """The passes to the first spikes of `population`, `None` for a network that they do not cover."""
    if isinstance(_library.load(), str) or len(network.inputs) != 1 or population not in network.neurons:
        return None
    leaves, structure = jax.tree.flatten(eqx.filter(network, eqx.is_inexact_array))
    numbered = jax.tree.unflatten(structure, range(len(leaves)))
    (stimulus,) = network.inputs
    order = {stimulus: -1}
    stages, used = [], 0
    for (name,) in (stage.populations for stage in network.stages()):
        incoming = network.incoming(name)
        constants = _constants(network, name)
        if len(incoming) != 1 or constants is None:
            return None
        ((position, connection),) = incoming
        sizes = network.size(connection.source), network.size(name)
        delay = _delay(connection.delay, sizes)
        if type(connection.synapse) is not st.Dense or delay is None:
            return None
        arrays = numbered.connections[position]
        weight, late = arrays.synapse.weight, -1 if connection.delay is None else arrays.delay.raw
        form, theta = constants
        kinds = delay.part, delay.positive, form.kind
        numbers = delay.minimum, delay.scale, delay.shift, form.tau_mem, form.tau_syn, theta
        stages.append((order[connection.source], *sizes, weight, late, *kinds, *numbers))
        order[name] = len(order) - 1
        used += 1 if connection.delay is None else 2
    if used != len(leaves):
        return None
    shapes = [*[leaf.shape for leaf in leaves], (network.size(stimulus),)]
    return NativePasses(stages, order[population], shapes, float(t1), limit or 0.0)


def _constants(network: st.Network, name: str) -> tuple[Form, float] | None:
    """The closed form and the threshold of a population whose constants are Python numbers."""
    constants = network.neurons[name].lif()
    assert constants is not None
    if any(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree.leaves(constants)):
        return None
    membrane = membrane_of(constants, network.size(name), jnp.float32)
    form = membrane.form()
    return (form, membrane.theta) if form is not None and membrane.theta > 0 else None


class _Delay(NamedTuple):
    """How a connection's delays come from raw numbers, as in a `_Stage`."""

    part: int = 0
    positive: int = 0
    minimum: float = 0.0
    scale: float = 1.0
    shift: float = 0.0


def _delay(delay: st.AbstractDelay | None, sizes: tuple[int, int]) -> _Delay | None:
    """`None` for delays that the kernel cannot make positive by itself."""
    if delay is None:
        return _Delay()
    if type(delay) is not st.Delay or not jnp.shape(delay.raw) or type(delay.positive) not in _POSITIVE:
        return None
    parts = delay.per_source(*sizes), delay.per_target(*sizes), delay.per_synapse(*sizes)
    (part,) = (k for k, values in enumerate(parts) if values is not None)
    numbers = {name: float(value) for name, value in vars(delay.positive).items()}
    return _Delay(part, _POSITIVE.index(type(delay.positive)), delay.minimum, **numbers)


@functools.cache
def _functions(dtype: np.dtype) -> tuple[Any, Any]:
    library = _library.load()
    assert not isinstance(library, str)
    forward, backward = (getattr(library, f"saltation_{name}_{_SUFFIX[dtype]}") for name in ("forward", "backward"))
    for function, pointers in ((forward, 2), (backward, 5)):
        network, pointer = ctypes.POINTER(_Network), ctypes.c_void_p
        function.argtypes = [network, ctypes.c_int64, *[pointer] * (1 + pointers)]
    forward.restype, backward.restype = ctypes.c_bool, None
    return forward, backward


def _pointers(arrays: Sequence[np.ndarray | None]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*[None if array is None else array.ctypes.data for array in arrays])
