"""Experiments carried out: the training loop, its checkpoints and metrics, the command line, the reports."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
