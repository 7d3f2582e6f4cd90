"""Equilibrium: feedback spiking networks trained by implicit differentiation at the rates they settle to."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
