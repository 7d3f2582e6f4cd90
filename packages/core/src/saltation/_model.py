"""A model: a network and how it is read out."""

import equinox as eqx

from ._network import Network
from ._readout import AbstractReadout


class Model(eqx.Module):
    """What is trained: `readout(method.solve(network, stimulus))` are the scores."""

    network: Network
    readout: AbstractReadout
