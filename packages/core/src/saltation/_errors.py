"""The errors that Saltation raises on purpose, each catchable as its nearest builtin too."""


class SaltationError(Exception):
    """Base of every error that Saltation raises on purpose.

    **Example**

    ```python
    import saltation as st

    try:
        st.get_method("delgrda")
    except st.SaltationError as error:
        print(error)
    ```
    """


class UnknownNameError(SaltationError, LookupError):
    """A name under which no installed plugin has registered anything of that kind."""


class PluginError(SaltationError, RuntimeError):
    """A plugin that cannot be loaded, clashes with another, or whose target cannot be imported."""


class UnsupportedError(SaltationError, ValueError):
    """A combination that a method, neuron or backend cannot do; the message says what would help."""


class SolveError(SaltationError, RuntimeError):
    """A solve that failed for a reason that only its values show, such as too many spikes."""


class DataError(SaltationError, OSError):
    """A data set that is missing, incomplete or not what its checksum says."""


class CheckpointError(SaltationError, OSError):
    """A run's files that are missing, damaged or from another experiment."""
