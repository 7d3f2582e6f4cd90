"""Methods: differentiable ways to solve a network."""

import abc
import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import PRNGKeyArray, PyTree

from ._current import Current
from ._errors import SolveError, UnsupportedError
from ._network import Network
from ._results import RESULTS
from ._save import Save
from ._solution import Solution
from ._spikes import Spikes

Stimulus = Mapping[str, Spikes | Current]


class Support(NamedTuple):
    """Whether a method can solve a network; if not, why not, and what would help."""

    supported: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.supported


class AbstractMethod(eqx.Module):
    """A differentiable way to solve a network: a gradient method.

    `eqx.filter_grad` of anything computed from the fields in `provides` is the exact gradient that this method
    defines. Differentiating another field of the solution raises.
    """

    provides: eqx.AbstractClassVar[frozenset[str]]

    @abc.abstractmethod
    def supports(self, network: Network) -> Support:
        """Whether this method can solve `network`, judged by its structure and its traits."""

    @abc.abstractmethod
    def solve(
        self,
        network: Network,
        stimulus: Stimulus,
        *,
        t1: float,
        initial: dict[str, PyTree] | None = None,
        key: PRNGKeyArray | None = None,
        save: Save = Save(),
        throw: bool = True,
    ) -> Solution:
        """Solve one sample from time 0 to `t1`.

        **Arguments:**

        - `stimulus`: `Spikes` or `Current` for each input of the network.
        - `initial`: states of some or all populations at time 0, instead of `neuron.init()`.
        - `key`: for methods and neurons that draw random numbers.
        - `save`: what to keep.
        - `throw`: raise if the result is not `successful`; otherwise report it in `Solution.result`.

        **Raises:** `ValueError` for a stimulus that does not fit the network, `UnsupportedError` for a network that the
        method cannot solve, and at run time what `Solution.result` says, if `throw`.
        """


class AbstractReplayMethod(AbstractMethod):
    """A method that also defines its gradient at spike times that something else produced."""

    @abc.abstractmethod
    def replay(
        self,
        network: Network,
        stimulus: Stimulus,
        observed: Mapping[str, Spikes],
        *,
        t1: float,
        throw: bool = True,
    ) -> Solution:
        """The solution whose spikes have exactly the `observed` values, with this method's gradient there.

        **Arguments:** `observed` holds the spikes of every population of neurons.
        """


def check_supported(method: AbstractMethod, network: Network) -> None:
    """Raise `UnsupportedError` with the reason if `method` does not support `network`."""
    support = method.supports(network)
    if not support:
        raise UnsupportedError(f"{type(method).__name__} cannot solve this network: {support.reason}")


def check_stimulus(network: Network, stimulus: Stimulus) -> None:
    """Raise `ValueError` if the stimulus does not have exactly the network's inputs, with their sizes."""
    if not isinstance(stimulus, Mapping):
        raise ValueError(
            f"solve got a stimulus of type {type(stimulus).__name__}; expected a dictionary by input population, such "
            f"as {{{next(iter(network.inputs), 'in')!r}: Spikes.from_dense(times)}}."
        )
    for name, value in stimulus.items():
        if name not in network.inputs:
            near = difflib.get_close_matches(str(name), list(network.inputs), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"solve got a stimulus for {name!r}; expected inputs {list(network.inputs)}.{hint}")
        if not isinstance(value, Spikes | Current):
            raise ValueError(
                f"solve got a stimulus of type {type(value).__name__} for {name!r}; expected Spikes or Current, such "
                "as Spikes.from_dense(times[n, k])."
            )
        if isinstance(value, Spikes) and value.time.ndim != 1:
            raise ValueError(
                f"solve got Spikes of shape {value.time.shape} for {name!r}; expected [K], one sample. "
                "Solve a batch with jax.vmap (or eqx.filter_vmap)."
            )
        if isinstance(value, Current) and value.value.ndim != (1 if value.start is None else 2):
            raise ValueError(
                f"solve got a Current of shape {value.value.shape} for {name!r}; expected one sample, [n] or [S, n]. "
                "Solve a batch with jax.vmap (or eqx.filter_vmap)."
            )
        if value.size != network.size(name):
            raise ValueError(f"solve got {value.size} units for {name!r}; expected {network.size(name)}.")
    missing = [name for name in network.inputs if name not in stimulus]
    if missing:
        raise ValueError(f"solve got no stimulus for {missing}; expected one for each of {list(network.inputs)}.")


def check_needs(method: AbstractMethod, needs: Iterable[str], what: str) -> None:
    """Raise `UnsupportedError` if `what` needs a field of the solution that `method` does not differentiate."""
    lacking = sorted(set(needs) - method.provides)
    if lacking:
        raise UnsupportedError(
            f"{what} needs a gradient of {lacking}, but {type(method).__name__} provides only "
            f"{sorted(method.provides)}. Choose another loss or read-out, or another method."
        )


def finish(solution: Solution, *, throw: bool) -> Solution:
    """The solution, or its result raised as an error if it is not `successful` and `throw` is set.

    **Raises:** `SolveError` where the result is known; inside `jit`, a run-time error with the same words.
    """
    if not throw:
        return solution
    failed = solution.result != RESULTS.successful
    if isinstance(failed, Tracer):
        return solution.result.error_if(solution, failed)
    if failed:
        raise SolveError(RESULTS[solution.result])
    return solution


def common_dtype(*trees: Any) -> Any:
    """The floating-point type of all arrays in `trees`, the widest if they differ."""
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(trees) if eqx.is_inexact_array(leaf)}
    return max(dtypes, key=lambda dtype: dtype.itemsize) if dtypes else jnp.result_type(float)
