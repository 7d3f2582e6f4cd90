"""`sweep`: a search over a recipe's arguments with Optuna, in a database that several workers may share."""

import contextlib
import difflib
import inspect
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import saltation as st

from ._child import train_apart
from ._folder import Folder
from ._metrics import read_metrics
from ._recipe import Recipe
from ._summary import read_summary


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones if both are; `log`: searched by their logarithm."""

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self):
        if not self.low < self.high or (self.log and not self.low > 0):
            raise ValueError(f"got the range {self.low}:{self.high}; expected low < high, and low > 0 for log.")


@dataclass(frozen=True)
class Sweep:
    """What a search has found so far.

    - `trials`: the number of those that finished; `failed`: that of those that did not.
    - `best`: the arguments of the best one, with its `score`, its `number` and its `folder`; `None` before the first.
    - `metric`: what the score is, "validation_accuracy" (the higher the better) or "validation_loss" (the lower).
    """

    metric: str
    trials: int
    failed: int
    best: Mapping[str, Any] | None
    score: float | None
    number: int | None
    folder: Path | None


def sweep(
    recipe: Recipe,
    search: Mapping[str, Range | tuple[Any, ...]],
    *,
    trials: int,
    out: str | Path,
    storage: str | None = None,
    study: str | None = None,
    seed: int = 0,
    resume: bool = False,
    data_dir: str | Path | None = None,
    download: bool = False,
    progress: bool = True,
) -> Sweep:
    """Trains a recipe with arguments that Optuna suggests, until `trials` of them have finished.

    Every trial is an ordinary run, in a process of its own, in `out/trial-NNNN`. Several workers may share a storage:
    start the same command again, in other processes or on other machines, with `resume`. A trial that fails is
    recorded with its reason; one that Ctrl-C stops is the next one's first try.

    **Arguments:**

    - `search`: by argument of the recipe a `Range`, or a tuple of choices.
    - `trials`: how many finished ones the study shall hold in the end.
    - `storage`: a database that Optuna takes; `sqlite:///OUT/sweep.db` unless given.
    - `study`: its name in the database; the recipe's unless given.
    - `seed`: of every run, and of the search.
    - `resume`: go on with a study that exists.
    - the others as in `train`.

    **Raises:** `ValueError` where Optuna is not installed, or for an argument that the recipe does not have;
    `CheckpointError` for a study that exists (without `resume`) or not (with it), or a database that is locked, damaged
    or gone: what has finished is in its folder.
    """
    optuna = _optuna()
    _check_search(recipe, search)
    if trials < 1:
        raise ValueError(f"sweep got trials={trials}; expected at least 1.")
    folder = Path(out)
    url, name = storage or f"sqlite:///{folder / 'sweep.db'}", study or recipe.name
    metric = _metric(recipe, data_dir=data_dir, download=download)
    settings = {"seed": seed, "data_dir": data_dir, "download": download, "progress": progress}
    with _clear_errors(url):
        found = _study(optuna, url, name, metric, seed=seed, resume=resume, folder=folder)
        while _count(found, "COMPLETE") < trials:
            trial = found.ask()
            chosen = {argument: _suggested(trial, argument, space) for argument, space in search.items()}
            run = folder / f"trial-{trial.number:04d}"
            trial.set_user_attr("folder", str(run))
            candidate = replace(recipe, arguments={**recipe.arguments, **chosen})
            reason = _tell(found, trial, candidate, run, metric, settings)
            if reason and _count(found, "FAIL") >= 5 and not _count(found, "COMPLETE"):
                raise st.SolveError(
                    f"the first {_count(found, 'FAIL')} trials failed, the last one since {reason}. Expected some to "
                    "finish. Fix: narrow the search, or train one by hand."
                )
        return _result(found, metric)


def _tell(study: Any, trial: Any, recipe: Recipe, run: Path, metric: str, settings: Mapping[str, Any]) -> str:
    """Trains one trial and tells the study how it ended; why, if it failed."""
    from optuna.trial import TrialState

    try:
        reason = train_apart(recipe, out=run, resume=False, **settings)
    except KeyboardInterrupt:
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        raise
    score = None if reason else _score(run, metric)
    if score is not None:
        study.tell(trial, score)
        return ""
    reason = reason or f"it has no {metric.replace('_', ' ')}"
    trial.set_user_attr("reason", reason)
    study.tell(trial, state=TrialState.FAIL)
    return reason


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ValueError(
            'a sweep needs Optuna, which is not installed. Fix: pip install "saltation-train[sweep]".'
        ) from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Every statement that fails is raised; the same in red beside it helps nobody.
    logging.getLogger("optuna").setLevel(logging.ERROR)
    return optuna


def _check_search(recipe: Recipe, search: Mapping[str, Range | tuple[Any, ...]]) -> None:
    if not search:
        raise ValueError("sweep got nothing to search; expected for example --search learning_rate=0.001:0.1:log.")
    known = inspect.signature(st.get_recipe(recipe.name)).parameters
    for name, space in search.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"the recipe {recipe.name!r} got {name!r}; expected one of {', '.join(known)}.{hint}")
        if not isinstance(space, Range) and len(space) < 2:
            raise ValueError(f"sweep got {name}={space}; expected a range, or two choices and more.")


def _metric(recipe: Recipe, *, data_dir: Any, download: bool) -> str:
    experiment = recipe.build()
    load = st.get_dataset(experiment.dataset)
    dataset = load(data_dir=data_dir, download=download, **experiment.dataset_options)
    if not len(dataset.validation):
        raise ValueError(f"sweep got the data set {experiment.dataset!r} without a validation split; expected one.")
    return "validation_accuracy" if dataset.classes else "validation_loss"


def _study(optuna: Any, url: str, name: str, metric: str, *, seed: int, resume: bool, folder: Path) -> Any:
    file = _sqlite_file(url)
    if resume and file is not None and not file.exists():
        raise st.CheckpointError(
            f"got no database at {file}; expected that of the sweep to go on with. Fix: restore it, or start anew "
            "without --resume."
        )
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.RDBStorage(url)
    existing = {summary.study_name for summary in optuna.study.get_all_study_summaries(storage)}
    if name in existing and not resume:
        raise st.CheckpointError(
            f"got the study {name!r}, which is in {url} already; expected a new one. Fix: go on with it (--resume, "
            "resume=True), or choose another --out or --study."
        )
    if name not in existing and resume:
        raise st.CheckpointError(f"got no study {name!r} in {url}; expected one of {sorted(existing)} to go on with.")
    direction = "minimize" if metric.endswith("loss") else "maximize"
    # Another seed for each worker, or all would try the same.
    sampler = optuna.samplers.TPESampler(seed=seed + (_started(optuna, storage, name) if resume else 0))
    return optuna.create_study(
        storage=storage, study_name=name, direction=direction, sampler=sampler, load_if_exists=resume
    )


def _started(optuna: Any, storage: Any, name: str) -> int:
    return len(optuna.load_study(storage=storage, study_name=name).trials)


def _suggested(trial: Any, name: str, space: Range | tuple[Any, ...]) -> Any:
    if not isinstance(space, Range):
        return trial.suggest_categorical(name, space)
    if isinstance(space.low, int) and isinstance(space.high, int):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    return trial.suggest_float(name, space.low, space.high, log=space.log)


def _score(run: Path, metric: str) -> float | None:
    if metric == "validation_accuracy":
        return (read_summary(Folder(run).summary) or {}).get(metric)
    known = [line[metric] for line in read_metrics(Folder(run).metrics) if line.get(metric) is not None]
    return min(known, default=None)


def _count(study: Any, state: str) -> int:
    return sum(trial.state.name == state for trial in study.trials)


def _result(study: Any, metric: str) -> Sweep:
    best = study.best_trial if _count(study, "COMPLETE") else None
    return Sweep(
        metric=metric,
        trials=_count(study, "COMPLETE"),
        failed=_count(study, "FAIL"),
        best=None if best is None else dict(best.params),
        score=None if best is None else best.value,
        number=None if best is None else best.number,
        folder=None if best is None else Path(best.user_attrs["folder"]),
    )


def _sqlite_file(url: str) -> Path | None:
    return Path(url.removeprefix("sqlite:///").partition("?")[0]) if url.startswith("sqlite:///") else None


@contextlib.contextmanager
def _clear_errors(url: str) -> Iterator[None]:
    """The database's own errors as one sentence."""
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        text = " ".join(str(error.__cause__ or error).split())
        file = _sqlite_file(url)
        if "locked" in text:
            what, fix = "is locked by another process", "wait for it or end it"
        elif file is not None and not file.exists():
            what, fix = "is gone", "restore it"
        else:
            what, fix = f"cannot be used ({text[:200]})", "look at its address and its rights"
        raise st.CheckpointError(
            f"the database {url} {what}; expected one that can be written to. Fix: {fix}, then go on with --resume. "
            "The runs that have finished are in their folders."
        ) from error
