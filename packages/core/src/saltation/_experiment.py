"""Experiments: what is trained, as a record that a recipe returns and a training loop reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jaxtyping import Array, PRNGKeyArray

from ._method import AbstractMethod, Stimulus
from ._model import Model
from ._network import Network
from ._remedy import AbstractRemedy
from ._save import Save
from ._solution import Solution


@dataclass(frozen=True)
class Loss:
    """A loss and what it needs.

    - `function(solution, output, target) -> scalar`: of one sample, or of a whole batch with leading axes.
    - `needs`: the fields of the solution that it differentiates.
    - `over`: "sample" (the mean over the batch is taken) or "batch" (the function sees the whole batch).
    """

    function: Callable[[Solution, Array, Array], Array]
    needs: tuple[str, ...] = ("spikes",)
    over: str = "sample"
    name: str = ""

    def __post_init__(self):
        if self.over not in ("sample", "batch"):
            raise ValueError(f"Loss got over={self.over!r}; expected 'sample' or 'batch'.")


@dataclass(frozen=True)
class Optimiser:
    """Settings of an optimiser, without the library that carries them out.

    - `rates`: learning rates of single trainable labels, such as `{"delay": 3e-3}`.
    - `schedule`: "constant", "cosine" (to zero at the last epoch) or "exponential" (times `decay` each `decay_epochs`).
    """

    name: str = "adam"
    learning_rate: float = 1e-3
    rates: Mapping[str, float] = field(default_factory=dict)
    schedule: str = "constant"
    decay: float = 1.0
    decay_epochs: int = 1
    warmup_epochs: int = 0
    weight_decay: float = 0.0
    clip_norm: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if self.schedule not in ("constant", "cosine", "exponential"):
            raise ValueError(
                f"Optimiser got schedule={self.schedule!r}; expected 'constant', 'cosine' or 'exponential'."
            )
        if not self.learning_rate > 0:
            raise ValueError(f"Optimiser got learning_rate={self.learning_rate}; expected a positive number.")


@dataclass(frozen=True)
class Experiment:
    """What is trained: a recipe returns one, a training loop carries it out.

    - `dataset`, `dataset_options`: a registered name and the options of its loader.
    - `augment(x, key) -> x`: of one sample, before the encoder and in training only.
    - `encoder(x, key) -> stimulus`: of one sample, a stimulus for each input of the network.
    - `model(key) -> Model`: draws the initial model.
    - `regulariser(network, solution) -> scalar`: added to the loss of each sample.
    - `remedy`: what is done about silent neurons instead of a gradient step, when a batch calls for it.
    - `trainable`: labels for `saltation.trainable`.
    - `t1`: the duration of a sample, in `time_unit`.
    - `max_failed_share`: training stops when a larger share of an epoch's samples fails.
    """

    name: str
    dataset: str
    encoder: Callable[[Array, PRNGKeyArray], Stimulus]
    model: Callable[[PRNGKeyArray], Model]
    method: AbstractMethod
    loss: Loss
    t1: float
    optimiser: Optimiser
    batch_size: int
    epochs: int
    save: Save = Save()
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    augment: Callable[[Array, PRNGKeyArray], Array] | None = None
    regulariser: Callable[[Network, Solution], Array] | None = None
    remedy: AbstractRemedy | None = None
    trainable: tuple[str, ...] = ("weight",)
    dtype: str = "float32"
    max_failed_share: float = 0.05
    time_unit: str = "ms"
    summary: str = ""

    def __post_init__(self):
        if self.remedy is not None and not isinstance(self.remedy, AbstractRemedy):
            raise ValueError(f"Experiment got remedy={self.remedy!r}; expected an AbstractRemedy, or None.")
