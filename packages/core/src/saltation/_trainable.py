"""Which arrays of a model a training run changes."""

import difflib

import equinox as eqx
import jax
from jaxtyping import PyTree


def trainable(model: PyTree, *labels: str) -> PyTree[bool]:
    """A filter that is true for the float arrays under a field named by one of `labels`.

    **Arguments:** labels are field names at any depth: "weight", "delay", "tau_mem", "v_threshold", "bias", ...

    **Returns:** a tree of bools of the model's structure, for `eqx.partition(model, filter)`.

    **Raises:** `ValueError` for a label that matches no array, with the labels that would.

    ```python
    parameters, fixed = eqx.partition(net, st.trainable(net, "weight", "delay"))
    ```
    """
    available: set[str] = set()
    matched: set[str] = set()

    def select(path, leaf) -> bool:
        if not eqx.is_inexact_array(leaf):
            return False
        names = {str(getattr(key, "name", getattr(key, "key", ""))) for key in path}
        available.update(name for name in names if name.isidentifier())
        matched.update(names.intersection(labels))
        return not names.isdisjoint(labels)

    chosen = jax.tree_util.tree_map_with_path(select, model)
    for label in labels:
        if label not in matched:
            near = difflib.get_close_matches(label, available, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"trainable got {label!r}, which names no float array of this model; expected one of "
                f"{sorted(available)}.{hint} A parameter given as a Python number is fixed: give it as an array to "
                "train it."
            )
    return chosen
