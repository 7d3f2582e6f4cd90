"""Synapses and delays as linear nodes of NIR."""

from typing import Any

import nir
import numpy as np

import saltation as st

from ._layout import Shape, flattening, unflat, uniform


class LinearNodes:
    """The nodes of one connection, in the order in which a signal passes them; `shape` is NIR's, so far."""

    def __init__(self, shape: Shape):
        self.nodes: list[Any] = []
        self.shape = shape

    def kinds(self) -> list[str]:
        """A name for each node, none twice."""
        names = [type(node).__name__.lower() for node in self.nodes]
        return [name if names.count(name) == 1 else f"{name}{i}" for i, name in enumerate(names)]

    def delay(self, delays: Any, time_unit: float) -> None:
        """Delays of the units of the signal, one for all of them, or `None`."""
        if delays is not None:
            self.nodes.append(nir.Delay(unflat(np.asarray(delays, np.float64) * time_unit, self.shape)))

    def synapse(self, synapse: st.AbstractSynapse, factor: np.ndarray, arrow: str) -> None:
        """A synapse, whose targets get it times `factor`. Raises `UnsupportedError` for one that NIR lacks."""
        parts = synapse.synapses if isinstance(synapse, st.Chain) else (synapse,)
        for place, part in enumerate(parts):
            self._append(part, factor if place == len(parts) - 1 else np.ones(part.sizes()[1]), arrow)

    def finish(self, shape: Shape, bias: np.ndarray | None, arrow: str) -> None:
        """Adds a bias of the target, and checks that the signal has the target's shape."""
        if self.shape != shape:
            if len(shape) != 1:
                raise st.UnsupportedError(
                    f"NIR cannot say the connection {arrow}: it ends in a signal of shape {self.shape} before an "
                    f"image of {shape}. Connect an image to it by convolution alone."
                )
            self._flatten()
        if bias is None:
            return
        places = [i for i, node in enumerate(self.nodes) if isinstance(node, nir.Linear | nir.Conv2d)]
        if not places or any(not isinstance(node, nir.Delay) for node in self.nodes[places[-1] + 1 :]):
            raise st.UnsupportedError(f"NIR cannot say a bias after {arrow}; expected a Dense or Conv2d connection.")
        last = self.nodes[places[-1]]
        if isinstance(last, nir.Linear):
            self.nodes[places[-1]] = nir.Affine(last.weight, bias)
            return
        by_channel = unflat(bias, shape).reshape(shape[0], -1)
        if not np.allclose(by_channel, by_channel[:, :1]):
            raise st.UnsupportedError(
                f"NIR cannot say a bias after {arrow} that differs within a channel of its image."
            )
        last.bias = by_channel[:, 0].copy()

    def _append(self, synapse: st.AbstractSynapse, factor: np.ndarray, arrow: str) -> None:
        one = uniform(factor)
        if isinstance(synapse, st.Dense):
            order = flattening(self.shape)
            if len(self.shape) == 3:
                self._flatten()
            weight = np.asarray(synapse.weight, np.float64) * factor[None, :]
            if order is not None:
                weight = weight[np.argsort(order)]
            self.nodes.append(nir.Linear(np.ascontiguousarray(weight.T)))
            self.shape = (weight.shape[1],)
        elif isinstance(synapse, st.OneToOne):
            self.nodes.append(nir.Scale(unflat(np.asarray(synapse.weight, np.float64) * factor, self.shape)))
        elif isinstance(synapse, st.Conv2d):
            self._convolve(synapse, one if isinstance(one, float) else 1.0, arrow)
            if not isinstance(one, float):
                self.nodes.append(nir.Scale(unflat(factor, self.shape)))
        elif isinstance(synapse, st.AvgPool2d):
            window = np.array(synapse.window)
            self.nodes.append(nir.AvgPool2d(window, window, np.zeros(2, int)))
            self.shape = (synapse.shape_out[2], *synapse.shape_out[:2])
            if one != 1.0:
                self.nodes.append(nir.Scale(unflat(factor, self.shape)))
        else:
            raise st.UnsupportedError(
                f"NIR cannot say the connection {arrow}: it has no node for {type(synapse).__name__}; expected Dense, "
                "OneToOne, Conv2d, AvgPool2d or a Chain of them."
            )

    def _convolve(self, synapse: st.Conv2d, factor: float, arrow: str) -> None:
        (top, bottom), (left, right) = synapse.padding
        if top != bottom or left != right:
            raise st.UnsupportedError(
                f"NIR cannot say the connection {arrow}: its convolution has more padding on one side, "
                f"{synapse.padding}. Use the same on both, such as padding={max(top, bottom)}, or an odd kernel."
            )
        weight = np.asarray(synapse.weight, np.float64).transpose(3, 2, 0, 1) * factor
        self.nodes.append(
            nir.Conv2d(
                input_shape=synapse.shape[:2],
                weight=np.ascontiguousarray(weight),
                stride=synapse.stride,
                padding=(top, left),
                dilation=(1, 1),
                groups=1,
                bias=np.zeros(weight.shape[0]),
            )
        )
        self.shape = (synapse.shape_out[2], *synapse.shape_out[:2])

    def _flatten(self) -> None:
        self.nodes.append(nir.Flatten(np.array(self.shape), 0, -1))  # pyright: ignore[reportArgumentType]
        self.shape = (int(np.prod(self.shape)),)
