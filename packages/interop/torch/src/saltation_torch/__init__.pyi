from ._bridge import Bridge as Bridge
from ._module import SpikingModule as SpikingModule
