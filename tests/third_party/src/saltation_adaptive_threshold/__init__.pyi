from ._alif import ALIF as ALIF
from ._alif import ALIFState as ALIFState
from ._yinyang import yinyang as yinyang
