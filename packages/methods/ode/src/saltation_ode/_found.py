"""What a search finds of a component, and what a user wants to know of it."""

from typing import Any, NamedTuple

from jaxtyping import Array

from ._record import Record


class Flags(NamedTuple):
    """What went wrong, bools."""

    max_spikes_reached: Array
    max_steps_reached: Array
    diverged: Array
    guard_at_start: Array
    short_delay: Array | bool = False  # a delay is below its minimum


class Summary(NamedTuple):
    """What a user wants to know of a search, dictionaries by population."""

    flat: dict[str, Array]  # [n], how many spikes lie where the guard does not rise: they have no derivative
    count: dict[str, Array]  # [n], how often each neuron spiked
    min_slope: dict[str, Array]  # [n], slope of the guard at its flattest crossing, `inf` if there is none
    flags: Flags


class Start(NamedTuple):
    """What each chunk of a record starts from, leaves `[C, n]`."""

    state: dict[str, Any]
    drive: dict[str, Array]  # of the populations whose external current changes; of others, it is the component's


class Found(NamedTuple):
    """What the search found."""

    record: Record
    times: dict[str, Array]  # [n, max_spikes], `inf` where there is no spike
    iteration: dict[str, Array]  # [n, max_spikes], the entry of the record that holds the spike
    count: dict[str, Array]  # [n]
    starts: Start
    chunks: Array  # [], how many of them something happens in, for any sample
    states: dict[str, Any] | None  # before each iteration, leaves [C, c, n]; `None` unless samples are taken of them
    final: dict[str, Any]
    sampled: Array  # [S], the entry of the record that holds the sample
    samples: dict[str, Any] | None  # the states at the samples, leaves [S, n]; `None` where `states` has them
    min_slope: dict[str, Array]  # [n], slope of the guard at its flattest crossing, `inf` if there is none
    flat: dict[str, Array]  # [n], how many spikes lie where the guard does not rise
    flags: Flags
