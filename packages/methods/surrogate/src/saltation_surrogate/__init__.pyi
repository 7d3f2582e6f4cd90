from ._recipes import digits as digits
from ._recipes import yinyang as yinyang
from ._shapes import SHAPES as SHAPES
from ._surrogate import Surrogate as Surrogate
