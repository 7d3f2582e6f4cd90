"""ODE-exact: any neuron with a vector field, its spikes located to solver precision, exact gradients through them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
