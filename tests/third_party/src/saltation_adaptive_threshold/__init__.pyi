from ._adaptive_lif import AdaptiveLIF as AdaptiveLIF
from ._adaptive_lif import AdaptiveLIFState as AdaptiveLIFState
from ._yinyang import yinyang as yinyang
