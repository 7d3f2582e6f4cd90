"""A registered recipe with its arguments: what `config.json` holds, and how the experiment is rebuilt."""

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import saltation as st


@dataclass(frozen=True)
class Recipe:
    """A registered recipe with the arguments it is called with.

    **Arguments:**

    - `name`: a registered recipe; `saltation recipes` lists them.
    - `arguments`: its keyword arguments; those left out keep the recipe's defaults.
    - `method`, `backend`: registered names that replace the recipe's method, or put a backend into its loop.
    - `epochs`: instead of the recipe's.
    - `backend_options`: keyword arguments of the backend, such as which chip.
    - `method_options`: settings of the method that replace its own, such as `{"step": 0.5}`.

    ```python
    run = saltation_train.train(Recipe("ode/yinyang", {"hidden": 50}), seed=1, out="runs/wide")
    ```
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    backend: str | None = None
    epochs: int | None = None
    backend_options: Mapping[str, Any] = field(default_factory=dict)
    method_options: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> st.Experiment:
        """The experiment.

        **Raises:** `UnknownNameError` for a name that nothing registers, `ValueError` for an argument that
        the recipe does not have, or a number of epochs below 1, or options that the method or the backend does
        not have.
        """
        function = st.get_recipe(self.name)
        arguments = self._checked(function)
        experiment = function(**arguments)
        if not isinstance(experiment, st.Experiment):
            raise st.PluginError(
                f"the recipe {self.name!r} returned a {type(experiment).__name__}; expected a "
                "saltation.Experiment. "
                "This is a fault of the plugin that brings it."
            )
        if self.epochs is not None:
            experiment = dataclasses.replace(experiment, epochs=self.epochs)
        if self.method is not None or self.method_options:
            method = _method(experiment.method, self.method, self.method_options)
            experiment = dataclasses.replace(experiment, method=method)
        if self.backend is not None:
            method = _in_the_loop(experiment.method, self.backend, self.backend_options)
            experiment = dataclasses.replace(experiment, method=method)
        elif self.backend_options:
            raise ValueError(
                f"got options of a backend ({', '.join(self.backend_options)}) and no backend; name it: "
                "--backend NAME, backend=."
            )
        return experiment

    def resolved(self) -> dict[str, Any]:
        """All arguments, the recipe's defaults among them, so that a later version's change nothing."""
        parameters = inspect.signature(st.get_recipe(self.name)).parameters
        defaults = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        return {**defaults, **self.arguments}

    def _checked(self, function: Callable[..., Any]) -> dict[str, Any]:
        parameters = inspect.signature(function).parameters
        open_ended = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        for name in self.arguments:
            if name not in parameters and not open_ended:
                near = difflib.get_close_matches(name, parameters, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"the recipe {self.name!r} got {name!r}; expected one of "
                    f"{', '.join(parameters) or 'no arguments'}.{hint}"
                )
        if self.epochs is not None and self.epochs < 1:
            raise ValueError(f"got epochs={self.epochs}; expected at least 1.")
        arguments = dict(self.arguments)
        if self.epochs is not None and "epochs" in parameters:
            # The recipe knows it too: a schedule of its own may depend on it.
            arguments["epochs"] = self.epochs
        return arguments


def _method(own: st.AbstractMethod, name: str | None, options: Mapping[str, Any]) -> st.AbstractMethod:
    """The method called `name`; the recipe's own keeps the settings that it has there."""
    make = type(own) if name is None else st.get_method(name)
    _check_options(f"the method {name or type(own).__name__!r}", make, options)
    return dataclasses.replace(own, **options) if make is type(own) else make(**options)


def _check_options(owner: str, make: Callable[..., Any], options: Mapping[str, Any]) -> None:
    known = inspect.signature(make).parameters
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"{owner} got the option {name!r}; expected one of {', '.join(known) or 'no options'}.{hint}"
            )


def _in_the_loop(method: st.AbstractMethod, backend: str, options: Mapping[str, Any]) -> st.AbstractMethod:
    if not isinstance(method, st.AbstractReplayMethod):
        raise st.UnsupportedError(
            f"got the backend {backend!r} with the method {type(method).__name__}, which has no gradient at "
            "spikes that "
            "a backend reports; expected a method with `replay`. Fix: choose another with --method."
        )
    make = st.get_backend(backend)
    _check_options(f"the backend {backend!r}", make, options)
    return st.InTheLoop(method, make(**options))
