from ._data import from_nir_data as from_nir_data
from ._data import to_nir_data as to_nir_data
from ._export import to_nir as to_nir
from ._import import Imported as Imported
from ._import import from_nir as from_nir
from ._read import read_graph as read_graph
