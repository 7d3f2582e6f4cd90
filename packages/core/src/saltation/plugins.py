"""What a plugin author and a tool need: the hook marker, the records, and what is installed.

Importing this module imports no JAX, so a plugin's `plugin.py` stays light:

```python
from collections.abc import Iterator

from saltation.plugins import MethodSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec("delgrad", "saltation_delgrad:DelGrad", "closed-form first spike times of LIF neurons")
```

The plugin's distribution names that module in the entry-point group `saltation`:

```toml
[project.entry-points.saltation]
delgrad = "saltation_delgrad.plugin"
```
"""

from ._plugins._hooks import hookimpl as hookimpl
from ._plugins._loader import SALTATION_API as SALTATION_API
from ._plugins._loader import PluginInfo as PluginInfo
from ._plugins._lookup import list_plugins as list_plugins
from ._plugins._lookup import records as records
from ._plugins._lookup import refresh as refresh
from ._plugins._records import BackendSpec as BackendSpec
from ._plugins._records import ConverterSpec as ConverterSpec
from ._plugins._records import DatasetSpec as DatasetSpec
from ._plugins._records import EncoderSpec as EncoderSpec
from ._plugins._records import LossSpec as LossSpec
from ._plugins._records import MethodSpec as MethodSpec
from ._plugins._records import NeuronSpec as NeuronSpec
from ._plugins._records import RecipeSpec as RecipeSpec
from ._plugins._records import Record as Record
from ._plugins._records import ReportSpec as ReportSpec
