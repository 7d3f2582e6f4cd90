"""Effects: what distinguishes the emulated chip from the ideal model, each of which can be switched off alone."""

import dataclasses
import difflib

MEANINGS = {
    "quantisation": "weights are whole numbers up to 63, delays multiples of 0.125 us, bias currents have 10 bits",
    "saturation": "weights, bias currents and delays beyond their range are clipped to it",
    "time_constants": "each circuit has its own time constants",
    "thresholds": "each circuit has its own threshold",
    "gains": "each circuit, and each synapse, has its own gain",
    "drift": "thresholds move a little from run to run",
    "membrane_noise": "the membrane potential is noisy",
    "jitter": "spikes leave a circuit a little earlier or later than its crossing",
    "lateness": "time stamps are 80 ns late",
    "stamps": "times are multiples of 8 ns",
    "refractory": "a neuron that has fired may fire again after its refractory period",
    "loss": "spikes get lost on their way to the host, in bursts",
    "input_loss": "input spikes that arrive within 10 cycles of each other get lost now and then",
    "delay_mismatch": "each pair of circuits that makes a delay has its own offset and slope",
}


@dataclasses.dataclass(frozen=True)
class Effects:
    """Which effects of the chip are on; all of them, unless told otherwise.

    **Arguments:** a flag for each of `MEANINGS`.

    All off is the ideal mock of the chip, which agrees with the forward pass of a method.

    ```python
    Effects(jitter=False)                    # all but one
    Effects.none(loss=True)                  # one alone
    Effects.parse("-jitter,-loss")           # as on a command line
    ```
    """

    quantisation: bool = True
    saturation: bool = True
    time_constants: bool = True
    thresholds: bool = True
    gains: bool = True
    drift: bool = True
    membrane_noise: bool = True
    jitter: bool = True
    lateness: bool = True
    stamps: bool = True
    refractory: bool = True
    loss: bool = True
    input_loss: bool = True
    delay_mismatch: bool = True

    @classmethod
    def none(cls, **on: bool) -> "Effects":
        """None of them, but for those named."""
        return cls(**{**dict.fromkeys(MEANINGS, False), **on})

    @classmethod
    def parse(cls, text: str) -> "Effects":
        """From "all", "none", and names after them to add, or to leave out with a minus: "none,loss", "-jitter".

        **Raises:** `ValueError` for a name that does not exist, with the nearest one that does.
        """
        words = [word.strip() for word in text.split(",") if word.strip()]
        flags = dict.fromkeys(MEANINGS, "none" not in words[:1])
        for word in words[1:] if words[:1] in (["all"], ["none"]) else words:
            name = word.lstrip("+-").replace("-", "_")
            if name not in MEANINGS:
                near = difflib.get_close_matches(name, MEANINGS, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"Effects got {word!r}; expected 'all' or 'none' first, then names such as '-jitter', out of "
                    f"{', '.join(MEANINGS)}.{hint}"
                )
            flags[name] = not word.startswith("-")
        return cls(**flags)

    @property
    def random(self) -> bool:
        """Whether a run draws random numbers, so that it needs a key."""
        return self.drift or self.membrane_noise or self.jitter or self.loss or self.input_loss
