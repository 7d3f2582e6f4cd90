"""A leaky integrate-and-fire neuron with an adaptive threshold."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
