"""Data sets for Saltation: Yin-Yang, digits, MNIST and Fashion-MNIST."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
