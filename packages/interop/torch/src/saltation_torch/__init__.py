"""Any network and method of Saltation as a `torch.nn.Module`, with exact gradients."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
