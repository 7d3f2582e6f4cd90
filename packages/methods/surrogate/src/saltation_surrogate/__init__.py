"""Surrogate gradients in discrete time: the baseline that exact gradients are compared with."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
