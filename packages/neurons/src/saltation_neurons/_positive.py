"""Parameters that training keeps positive."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import saltation as st


class Positive(st.AbstractNeuron):
    """A neuron some of whose parameters are trained by their logarithms, so that no step makes them negative.

    `parameter = exp(log)`: a step of an optimiser changes a parameter by a factor.

    **Arguments:** `inner`: the neuron, whose values are the start; `names`: its parameters.

    **Raises:** `ValueError` for a name that is no parameter of the neuron, or a value that is not positive and finite.

    All else is the inner neuron's, traits and noise included. `saltation.trainable` finds the logarithms under the
    parameters' own names. It goes inside of other wrappers: `AtMostOnce(Positive(LIF(30), "tau_mem"))`.

    ```python
    hidden = Positive(StochasticLIF(30, sigma=0.25), "tau_mem", "sigma")
    ```
    """

    inner: st.AbstractNeuron
    log: dict[str, Float[Array, "..."]]

    def __init__(self, inner: Any, *names: str):
        if not isinstance(inner, st.AbstractNeuron):
            raise ValueError(f"Positive got {inner!r}; expected a neuron, such as Positive(LIF(30), 'tau_mem').")
        fields = [field.name for field in dataclasses.fields(inner) if field.name != "shape"]
        unknown = [name for name in names if name not in fields]
        if unknown or not names:
            raise ValueError(f"Positive got the names {list(names)}; expected parameters of the neuron: {fields}.")
        values = {name: getattr(inner, name) for name in names}
        for name, value in values.items():
            if not isinstance(value, int | float) and not hasattr(value, "dtype"):
                raise ValueError(f"Positive got {name} = {value!r}; expected a positive number to start from.")
        st.check_positive("Positive", **values)
        self.log = {name: jnp.log(jnp.asarray(value, jnp.result_type(float))) for name, value in values.items()}
        # Fixed from here on: it is the logarithm that is trained.
        self.inner = dataclasses.replace(inner, **{name: float(np.mean(value)) for name, value in values.items()})

    @property
    def neuron(self) -> st.AbstractNeuron:
        """The neuron with the parameters that the logarithms stand for."""
        return dataclasses.replace(self.inner, **{name: jnp.exp(value) for name, value in self.log.items()})

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore
        """The inner neuron's shape."""
        return self.inner.shape

    def with_shape(self, shape: int | tuple[int, ...]) -> "Positive":
        return eqx.tree_at(lambda positive: positive.inner, self, self.inner.with_shape(shape))

    def init(self, *, key: PRNGKeyArray | None = None) -> Any:
        return self.neuron.init(key=key)

    def vector_field(self, t: Array, state: Any, current: Array) -> Any:
        return self.neuron.vector_field(t, state, current)

    def guard(self, state: Any) -> Array:
        return self.neuron.guard(state)

    def reset(self, state: Any, *, key: PRNGKeyArray | None = None) -> Any:
        return self.neuron.reset(state, key=key)

    def receive(self, state: Any, kick: Array, port: str) -> Any:
        return self.neuron.receive(state, kick, port)

    def next_timer(self, state: Any) -> Array:
        return self.neuron.next_timer(state)

    def on_timer(self, state: Any) -> Any:
        return self.neuron.on_timer(state)

    def observe(self, state: Any) -> Array:
        return self.neuron.observe(state)

    def lif(self) -> st.LIFDynamics | None:
        return self.neuron.lif()

    def closed_form(self) -> st.ClosedForm | None:
        return self.neuron.closed_form()

    def rate(self) -> st.RateDynamics | None:
        return self.neuron.rate()

    def noise(self) -> st.NoiseDynamics | None:
        return self.neuron.noise()
