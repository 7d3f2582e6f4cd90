from ._ode import ODE as ODE
from ._recipes import digits as digits
from ._recipes import mnist as mnist
from ._recipes import yinyang as yinyang
from ._recipes import yinyang_qif as yinyang_qif
from ._recipes import yinyang_state as yinyang_state
