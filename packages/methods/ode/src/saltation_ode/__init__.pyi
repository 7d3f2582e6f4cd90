from ._ode import ODE as ODE
