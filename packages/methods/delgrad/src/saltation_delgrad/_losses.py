"""Losses of networks that code by first spikes and train their delays."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

import saltation as st


def shift_invariant_mse(
    times: Float[Array, " classes"], label: Int[Array, ""], *, margin: float, silent: float | str
) -> Float[Array, ""]:
    """Squared errors of how much later than the label's neuron the others spike; when it all happens is free.

    `1/2 sum_n ((t_n - t_label) - margin [n != label])^2`, the loss behind the published results with delays (Göltz et
    al., Nature Communications 2025; there `margin` is 0.2 `tau_syn`, and 0.3 on hardware).

    **Arguments:**

    - `times`: first spike time of each output neuron, `inf` where silent.
    - `margin`: in the unit of time.
    - `silent`: the time that a silent neuron counts as; or "constant", the published rule: a sample with a silent
      neuron costs 100 and has no gradient.

    **Raises:** `ValueError` for another `silent`.

    ```python
    shift_invariant_mse(jnp.array([1.0, 1.3, 1.1]), jnp.array(0), margin=0.2, silent=60.0)
    ```
    """
    filled, finite = st.fill_silent(times, silent)
    wanted = jnp.where(jnp.arange(times.shape[0]) == label, 0.0, margin).astype(filled.dtype)
    loss = 0.5 * jnp.sum((filled - filled[label] - wanted) ** 2)
    return jnp.where(jnp.all(finite), loss, st.COST_OF_SILENCE) if silent == "constant" else loss


def delay_penalty(network: st.Network, solution: st.Solution, *, strength: float) -> Float[Array, ""]:
    """A pull of all delays towards zero, `strength sum d^2`; a regulariser.

    **Arguments:** `strength`, in the unit of the loss over that of a squared time. `solution` is not used: every
    regulariser gets it.

    ```python
    regulariser = functools.partial(delay_penalty, strength=1e-5)
    ```
    """
    total = jnp.zeros((), st.common_dtype(network))
    for connection in network.connections:
        if connection.delay is None:
            continue
        sizes = network.size(connection.source), network.size(connection.target)
        for part in (connection.delay.per_source, connection.delay.per_target, connection.delay.per_synapse):
            value = part(*sizes)
            if value is not None:
                total = total + jnp.sum(value.astype(total.dtype) ** 2)
    return strength * total
