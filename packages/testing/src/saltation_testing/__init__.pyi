from . import strategies as strategies
from ._case import Case as Case
from ._differences import check_gradient as check_gradient
from ._method import AbstractMethodConformance as AbstractMethodConformance
from ._neuron import AbstractNeuronConformance as AbstractNeuronConformance
