"""Networks and methods as modules of PyTorch."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch

import saltation as st

from ._bridge import Bridge
from ._tensors import check_tensor

Encode = Callable[[Any], st.Stimulus]
# The order of the members is the order of their codes; Equinox has no public way to list them.
_RESULTS = tuple(st.RESULTS._name_to_item.values())  # pyright: ignore[reportAttributeAccessIssue]
_SUCCESSFUL = _RESULTS.index(st.RESULTS.successful)


class SpikingModule(torch.nn.Module):
    """A network of Saltation and the method that solves it, as a layer: `module(times)`.

    Its parameters are torch parameters, which any optimiser of `torch.optim` may change; the gradients are the exact
    ones of the method. It solves a batch in one compiled call, in the network's own unit of time.

    **Arguments:**

    - `model`: a `saltation.Network`, or a `saltation.Model`, whose read-out gives the output.
    - `method`: any `saltation.AbstractMethod`, such as `saltation.get_method("delgrad")()`.
    - `t1`: the end of a trial.
    - `readout`: `solution -> array`, of one sample; of a network it is `saltation.FirstSpikes` of its last output.
    - `encode`: `array -> stimulus`, of one sample, in JAX; left out, an input is spike times `[n]` or `[n, k]`
      (`inf`: none).
    - `train`: what is trained, as in `saltation.trainable`, such as `("weight", "delay")`; left out, all float
      arrays. Arrays that are not trained are buffers.
    - `silent`: the output of a neuron that did not spike, a constant; left out, `inf`, which most torch losses cannot
      take.
    - `save`: what the read-out needs besides spikes, such as `saltation.Save(states_at=...)`.
    - `throw`: raise where a sample could not be solved; otherwise its output is what the solver came to.

    **Raises**

    - `ValueError` for labels that match nothing; at a call, for tensors of a wrong device, dtype or number of axes.
    - `saltation.UnsupportedError` for a network that the method cannot solve, a read-out of what it does not
      differentiate, or normalisations, whose statistics a pass changes.
    - `saltation.SolveError` at a call, if `throw` and a sample failed, with what to change.

    The names in `state_dict` are the paths of the arrays: `connections_0_synapse_weight`.

    ```python
    layer = SpikingModule(network, st.get_method("delgrad")(), t1=60.0, silent=60.0)
    torch.nn.functional.cross_entropy(-layer(times) / 2.0, labels).backward()
    ```
    """

    def __init__(
        self,
        model: st.Network | st.Model,
        method: st.AbstractMethod,
        *,
        t1: float,
        readout: Callable[[st.Solution], jax.Array] | None = None,
        encode: Encode | None = None,
        train: Sequence[str] | None = None,
        silent: float | None = None,
        save: st.Save = st.Save(),
        throw: bool = True,
    ):
        torch.nn.Module.__init__(self)
        network = model.network if isinstance(model, st.Model) else model
        st.check_supported(method, network)
        if readout is None:
            own = model.readout if isinstance(model, st.Model) else st.FirstSpikes(network.outputs[-1])
            st.check_needs(method, own.needs, type(own).__name__)
            # That of a model may have parameters, so it is read from the model at each call.
            readout = None if isinstance(model, st.Model) else own
        arrays, self._static = eqx.partition(model, eqx.is_inexact_array)
        leaves, self._structure = jax.tree.flatten(arrays)
        names = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(arrays)]
        chosen = _chosen(model, train)
        self._names = tuple(names)
        for name, leaf, is_trained in zip(names, leaves, chosen, strict=True):
            # Memory of PyTorch's own, whose alignment XLA takes.
            tensor = torch.from_numpy(np.array(leaf)).clone()
            if is_trained:
                self.register_parameter(name, torch.nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)
        self._inputs = tuple(network.inputs)
        self._method, self._t1, self._readout, self._save = method, t1, readout, save
        self._encode, self._silent, self._throw = encode, silent, throw
        self._bridge = Bridge(self._solve, self._check, self._host(model, readout))

    def forward(self, inputs: torch.Tensor | Mapping[str, torch.Tensor], *, seed: int | None = None) -> torch.Tensor:
        """Solves a batch.

        **Arguments:**

        - `inputs`: `[batch, n]` or `[batch, n, k]` spike times; a dictionary by input where there are several; or what
          `encode` takes of each sample, behind a batch axis.
        - `seed`: of methods and neurons that draw random numbers; each sample draws its own.

        **Returns** the read-out, `[batch, ...]`.
        """
        tensors = [getattr(self, name) for name in self._names]
        given = self._given(inputs)
        for name, value in zip(self._inputs, given, strict=False):
            if not isinstance(value, torch.Tensor):
                check_tensor(f"the input {name!r}", value)
        seeds = [] if seed is None else [torch.tensor(seed, dtype=torch.int32)]
        output, code = self._bridge(*tensors, *given, *seeds)
        if self._throw and code is not None:
            _raise_failed(np.asarray(code))
        return output

    def extra_repr(self) -> str:
        return f"{type(self._method).__name__}, t1={self._t1}, inputs={list(self._inputs)}"

    def model(self) -> st.Network | st.Model:
        """The network (or model) with the present values of the parameters, for everything else in Saltation."""
        leaves = [jnp.array(getattr(self, name).detach().numpy()) for name in self._names]
        return eqx.combine(jax.tree.unflatten(self._structure, leaves), self._static)

    def _given(self, inputs: Any) -> list[Any]:
        """What came for each input."""
        if self._encode is not None or not isinstance(inputs, Mapping):
            if self._encode is None and len(self._inputs) != 1:
                raise ValueError(
                    f"SpikingModule got one {type(inputs).__name__}; expected a dictionary of tensors for the inputs "
                    f"{list(self._inputs)}."
                )
            return [inputs]
        for name in inputs:
            if name not in self._inputs:
                near = difflib.get_close_matches(str(name), self._inputs, n=1, cutoff=0.5)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"SpikingModule got the input {name!r}; expected {list(self._inputs)}.{hint}")
        missing = [name for name in self._inputs if name not in inputs]
        if missing:
            raise ValueError(f"SpikingModule got no input {missing}; expected one for each of {list(self._inputs)}.")
        return [inputs[name] for name in self._inputs]

    def _check(self, *tensors: Any) -> None:
        """Raises for parameters and inputs that cannot be bridged."""
        count = len(self._names)
        dtype = tensors[0].dtype if count else None
        for name, tensor in zip(self._names, tensors, strict=False):
            check_tensor(f"the parameter {name!r}", tensor, dtype)
        for name, tensor in zip(self._inputs, tensors[count:], strict=False):
            check_tensor(f"the input {name!r}", tensor, dtype)
            if tensor.ndim < 2:
                raise ValueError(
                    f"the input {name!r}: got a tensor of shape {tuple(tensor.shape)}; expected a batch, such as "
                    "[batch, n]. One sample is a batch of one: tensor[None]."
                )

    def _host(self, model: st.Network | st.Model, readout: Any) -> st.AbstractHostPasses | None:
        """The method's passes without JAX, where it has some and the output is first spikes."""
        network = model.network if isinstance(model, st.Model) else model
        readout = model.readout if isinstance(model, st.Model) and readout is None else readout
        if self._encode is not None or type(readout) is not st.FirstSpikes:
            return None
        if not isinstance(self._method, st.AbstractHostMethod):
            return None
        passes = self._method.host_passes(network, population=readout.population, t1=self._t1)
        return None if passes is None else _Filled(passes, self._silent)

    def _solve(self, *arrays: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What is compiled: parameters, inputs and perhaps a seed to the read-out of each sample and its result's "
        "code."""
        count = len(self._names)
        found = eqx.combine(jax.tree.unflatten(self._structure, list(arrays[:count])), self._static)
        inputs = list(arrays[count:])
        seeded = jnp.issubdtype(inputs[-1].dtype, jnp.integer)
        keys = jax.random.split(jax.random.key(inputs.pop()), inputs[0].shape[0]) if seeded else None
        return jax.vmap(lambda *sample: self._one(found, *sample), in_axes=(0, None if keys is None else 0))(
            inputs, keys
        )

    def _one(self, model: Any, inputs: list[jax.Array], key: Any) -> tuple[jax.Array, jax.Array]:
        network = model.network if isinstance(model, st.Model) else model
        if self._encode is not None:
            stimulus = self._encode(inputs[0])
        else:
            stimulus = {name: st.Spikes.from_dense(value) for name, value in zip(self._inputs, inputs, strict=True)}
        solution = self._method.solve(network, stimulus, t1=self._t1, key=key, save=self._save, throw=False)
        if solution.updates:
            raise st.UnsupportedError(
                "SpikingModule got a network with normalisations, whose statistics a pass changes; expected one "
                "without. Use eqx.nn.inference_mode(network), which keeps them as they are."
            )
        readout = self._readout if self._readout is not None else model.readout
        output = readout(solution)
        if self._silent is not None:
            finite = jnp.isfinite(output)
            output = jnp.where(finite, jnp.where(finite, output, 0.0), self._silent)
        return output, jax.tree.leaves(solution.result)[0].astype(jnp.int32)


class _Filled(st.AbstractHostPasses):
    """Passes whose silent neurons have an output of their own, a constant."""

    def __init__(self, passes: st.AbstractHostPasses, silent: float | None):
        self._passes, self._silent = passes, silent

    def forward(self, arrays, times):
        found = self._passes.forward(arrays, times)
        if found is None or self._silent is None:
            return found
        first, kept = found
        return np.where(first < np.inf, first, self._silent), kept

    def backward(self, kept, cotangent, wanted):
        return self._passes.backward(kept, cotangent, wanted)


def _name(path: tuple[Any, ...]) -> str:
    keys = [str(getattr(key, "name", getattr(key, "key", getattr(key, "idx", key)))) for key in path]
    return "_".join(keys).replace(".", "_").lstrip("_")


def _chosen(model: Any, train: Sequence[str] | None) -> list[bool]:
    if train is None:
        return [True for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)]
    mask = st.trainable(model, *train)
    return [
        bool(use)
        for use, leaf in zip(jax.tree.leaves(mask), jax.tree.leaves(model), strict=True)
        if eqx.is_inexact_array(leaf)
    ]


def _raise_failed(code: np.ndarray) -> None:
    failed = code != _SUCCESSFUL
    if not np.count_nonzero(failed):
        return
    first = int(np.argmax(failed))
    raise st.SolveError(
        f"{int(failed.sum())} of {len(code)} samples could not be solved, the first one at position {first}: "
        f"{st.RESULTS[_RESULTS[int(code[first])]]}"
    )
