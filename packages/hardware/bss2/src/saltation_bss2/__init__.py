"""An emulator of the BrainScaleS-2 chip, to train in the loop."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
