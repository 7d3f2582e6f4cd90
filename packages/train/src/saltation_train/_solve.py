"""One batch forward: encode, solve, read out, and the loss of each sample."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

import saltation as st

from ._across import AXIS, gathered

# The order of the members is the order of their codes; Equinox has no public way to list them.
RESULT_NAMES = tuple(st.RESULTS._name_to_item)  # pyright: ignore[reportAttributeAccessIssue]
SUCCESSFUL = RESULT_NAMES.index("successful")


class Outcome(eqx.Module):
    """What became of each sample of a batch.

    - `loss`: `[batch]`; of a loss over the batch, that one number for each sample.
    - `output`, `prediction`: the read-out, `[batch, classes]`, and the class, `[batch]`.
    - `code`: `[batch]`, the position of the result in `RESULT_NAMES`.
    - `spike_count`: spikes of each neuron, `[batch, n]` by population.
    - `min_slope`: the flattest threshold crossing of each sample, `[batch]` by population, where the method
      reports it.
    - `flat`: spikes without a derivative, since the potential does not rise there, `[batch]` by population, where the
      method reports them.
    - `health`: the counters of a backend in the loop, `[batch]` each.
    - `updates`: new statistics of normalisations, as `Solution.updates` has them, the same in each sample.
    """

    loss: Float[Array, " batch"]
    output: Float[Array, "batch classes"]
    prediction: Int[Array, " batch"]
    code: Int[Array, " batch"]
    spike_count: dict[str, Array]
    min_slope: dict[str, Array]
    flat: dict[str, Array]
    health: dict[str, Array]
    updates: dict[str, Any]


def solve_batch(
    experiment: st.Experiment,
    model: st.Model,
    inputs: Array,
    targets: Array,
    keys: Key[Array, " batch"],
    *,
    shared: bool = False,
) -> Outcome:
    """Solves a batch; a failed sample is reported in `code`, never raised.

    **Arguments:** `shared`: these are one device's samples of a batch that several share, so what is taken over
    the batch is taken over all of them.
    """
    per_sample = experiment.loss.over == "sample"
    if shared:
        model = eqx.tree_at(lambda m: m.network, model, st.normalised_over(model.network, ("batch", AXIS)))

    def solve(x: Array, target: Array, key: PRNGKeyArray):
        solution = solve_sample(experiment, model, x, key, experiment.save)
        output = model.readout(solution)
        loss = experiment.loss.function(solution, output, target) if per_sample else jnp.zeros((), output.dtype)
        if experiment.regulariser is not None:
            loss = loss + experiment.regulariser(model.network, solution)
        outcome = (
            loss,
            output,
            model.readout.predict(output).astype(jnp.int32),
            jax.tree.leaves(solution.result)[0].astype(jnp.int32),
            _spike_count(solution),
            dict(solution.stats.get("min_slope", {})),
            dict(solution.stats.get("flat", {})),
            dict(solution.stats.get("health", {})),
            solution.updates,
        )
        return outcome, None if per_sample else solution

    outcome, solutions = eqx.filter_vmap(solve, axis_name="batch")(inputs, targets, keys)
    loss, output, prediction, code, *reported = outcome
    if not per_sample:
        whole: Any = solutions, output, targets
        loss = loss + experiment.loss.function(*(gathered(whole) if shared else whole))
    return Outcome(loss, output, prediction, code, *jax.lax.stop_gradient(reported))


def solve_sample(experiment: st.Experiment, model: st.Model, x: Array, key: PRNGKeyArray, save: st.Save) -> st.Solution:
    """Encodes and solves one sample."""
    encode_key, solve_key = jax.random.split(key)
    stimulus = experiment.encoder(x, encode_key)
    return experiment.method.solve(model.network, stimulus, t1=experiment.t1, key=solve_key, save=save, throw=False)


def _spike_count(solution: st.Solution) -> dict[str, Any]:
    if "spike_count" in solution.stats:
        return {name: count.reshape(-1) for name, count in solution.stats["spike_count"].items()}
    return {name: train.count() for name, train in (solution.spikes or {}).items()}
