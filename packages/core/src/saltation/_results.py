"""How a solution ended, and what to change when it did not end well."""

import equinox as eqx


class RESULTS(eqx.Enumeration):  # pyright: ignore
    successful = ""
    max_spikes_reached = (
        "A neuron spiked more often than there is room for, so spikes are missing. Raise `max_spikes` of the method, or "
        "wrap the neuron in `AtMostOnce` if one spike a trial is what you mean."
    )
    max_steps_reached = "The solver used up its steps before `t1`. Raise `max_steps`, loosen `rtol` and `atol`, or give a larger `step`."
    not_converged = (
        "An iteration did not reach its tolerance. Loosen the tolerance, raise the number of iterations, or look at the "
        "residuals in `Solution.stats`."
    )
    diverged = (
        "A neuron's state stopped being finite. Lower `v_threshold` or the weights, or give a smaller `step`: neurons "
        "such as the exponential one run away in finite time once they are past their threshold."
    )
    non_finite_input = (
        "A spike time, a weight, a delay, a current or a parameter is NaN, infinite or negative where it must not be. "
        "Look at the data and at the parameters after the last update."
    )
    guard_at_start = (
        "A neuron is at or above its threshold at the start, or right after its own reset. It fires again only after it "
        "has been below. Check `v_reset`, `v_threshold` and the initial state."
    )
    bad_save_times = (
        "`Save(states_at=...)` holds times that are out of order, negative or later than `t1`. Sort them, and keep them "
        "within [0, t1]."
    )
    not_causal = (
        "An observed spike lies where the model's potential does not rise, so it has no gradient there. Such spikes are "
        "counted in `Solution.stats`."
    )
    backend_failed = "The backend could not run this batch; its health report in `Solution.stats` says why."
