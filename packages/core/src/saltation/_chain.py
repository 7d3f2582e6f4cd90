"""Several synapses one after the other."""

from jaxtyping import Array, Float, Int

from ._synapse import AbstractSynapse


class Chain(AbstractSynapse):
    """Linear maps one after the other, such as pooling before a convolution, without neurons between them.

    **Arguments:** the synapses, in the order in which a spike passes them.

    **Raises:** `ValueError` for none, or sizes that do not fit.

    ```python
    st.Chain(st.AvgPool2d((28, 28, 1)), st.Conv2d(weight, (14, 14, 1)))
    ```
    """

    synapses: tuple[AbstractSynapse, ...]

    def __init__(self, *synapses: AbstractSynapse):
        self.synapses = synapses

    def __check_init__(self):
        if not self.synapses:
            raise ValueError("Chain got no synapses; expected at least one.")
        for first, second in zip(self.synapses[:-1], self.synapses[1:], strict=True):
            if first.sizes()[1] != second.sizes()[0]:
                raise ValueError(
                    f"Chain got {type(first).__name__} of sizes {first.sizes()} before {type(second).__name__} of "
                    f"{second.sizes()}; expected as many units out of the one as into the other."
                )

    def sizes(self) -> tuple[int, int]:
        return (self.synapses[0].sizes()[0], self.synapses[-1].sizes()[1])

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        for synapse in self.synapses:
            rates = synapse.apply(rates)
        return rates

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        out = self.synapses[0].kick(index)
        for synapse in self.synapses[1:]:
            out = synapse.apply(out)
        return out
