"""DelGrad: first spike times in closed form, exact gradients for weights and delays."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
