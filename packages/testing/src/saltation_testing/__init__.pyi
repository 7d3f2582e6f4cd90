from . import strategies as strategies
from ._backend import AbstractBackendConformance as AbstractBackendConformance
from ._case import Case as Case
from ._dataset import AbstractDatasetConformance as AbstractDatasetConformance
from ._differences import check_gradient as check_gradient
from ._method import AbstractMethodConformance as AbstractMethodConformance
from ._neuron import AbstractNeuronConformance as AbstractNeuronConformance
