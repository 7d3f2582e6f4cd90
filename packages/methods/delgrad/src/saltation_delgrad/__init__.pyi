from ._delgrad import DelGrad as DelGrad
from ._recipes import digits as digits
from ._recipes import mnist as mnist
from ._recipes import yinyang_axonal as yinyang_axonal
from ._recipes import yinyang_dendritic as yinyang_dendritic
from ._recipes import yinyang_synaptic as yinyang_synaptic
from ._recipes import yinyang_w as yinyang_w
