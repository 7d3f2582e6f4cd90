"""Core's own plugin: the encoders and losses that every installation has."""

from collections.abc import Iterator

from saltation.plugins import EncoderSpec, LossSpec, hookimpl


@hookimpl
def saltation_encoders() -> Iterator[EncoderSpec]:
    yield EncoderSpec("latency", "saltation:latency", "one spike per input, earlier for a larger value")
    yield EncoderSpec("constant_current", "saltation:constant_current", "a current that stays for the whole trial")
    yield EncoderSpec("poisson", "saltation:poisson", "random spikes at a rate proportional to the value")


@hookimpl
def saltation_losses() -> Iterator[LossSpec]:
    yield LossSpec(
        "first_spike_cross_entropy",
        "saltation:first_spike_cross_entropy",
        "cross-entropy of a softmax over negative first spike times",
    )
    yield LossSpec(
        "first_spike_mse",
        "saltation:first_spike_mse",
        "squared distance of first spike times from target times",
    )
    yield LossSpec(
        "state_cross_entropy",
        "saltation:state_cross_entropy",
        "cross-entropy of scores read from neuron states",
    )
    yield LossSpec(
        "rate_cross_entropy",
        "saltation:rate_cross_entropy",
        "cross-entropy of scores read from firing rates",
    )
    yield LossSpec("squared_error", "saltation:squared_error", "squared distance of an output to its target")
    yield LossSpec(
        "van_rossum_distance",
        "saltation:van_rossum_distance",
        "squared distance of filtered spike trains",
    )
    yield LossSpec(
        "existence",
        "saltation:existence",
        "regulariser that lifts the potential of silent neurons towards their threshold",
    )
    yield LossSpec(
        "keep_firing",
        "saltation:keep_firing",
        "regulariser that keeps neurons from falling silent",
    )
