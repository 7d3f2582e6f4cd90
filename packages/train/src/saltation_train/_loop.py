"""`train`: an experiment from its first step to its report."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxtyping import PyTree

import saltation as st

from ._checkpoint import Position
from ._config import check_same, describe, fingerprint, read_config, write_config
from ._devices import Devices, all_devices, one_device
from ._energy import energy_counts
from ._engine import Engine, compile_engine, compile_score, on_device, on_host
from ._folder import Folder
from ._interrupt import interrupts
from ._metrics import number, read_metrics, truncate_metrics
from ._prepare import Task, count_parameters, prepare
from ._processes import clear_losses
from ._progress import Progress
from ._recipe import Recipe
from ._run import Run
from ._session import Session
from ._summary import device, peak_memory_bytes, versions, write_summary


def train(
    experiment: st.Experiment | Recipe,
    *,
    seed: int = 0,
    out: str | Path,
    resume: bool = False,
    data_dir: str | Path | None = None,
    download: bool = False,
    progress: bool = True,
    report: bool = True,
    tensorboard: bool = False,
    checkpoint_seconds: float = 10.0,
    chunk_seconds: float = 0.5,
) -> Run:
    """Carries out an experiment, and writes into `out` what came of it.

    The folder holds `config.json`, `metrics.jsonl` (a line for each epoch), `checkpoints/last.eqx` and
    `best.eqx` (best validation score), and at the end `summary.json`, `report.html` and `figures/`. Test
    scores are those of `best.eqx`.

    A resumed run continues bit for bit, also from the middle of an epoch: the order of the data and all
    random numbers are functions of the seed, the epoch and the step. An epoch's last, incomplete batch is
    left out, with a new order in each epoch; evaluation counts every sample. Failed samples have no weight in
    a gradient, count as wrong, and are reported; above `experiment.max_failed_share` of an epoch the run
    stops.

    All devices that JAX sees share each batch, as many as divide it: those of this process, and after
    `jax.distributed.initialize()` those of all processes, each of which calls this function with the same
    arguments. The result is that of one device within float error. The first process writes; all must see `out`.

    **Arguments:**

    - `experiment`: a `Recipe`, from which the run can be rebuilt at any time, or an `Experiment`, which
      `evaluate` and `report` then need again.
    - `seed`: of the initial model, the order of the data and everything random.
    - `resume`: go on with the run in `out`, possibly for more epochs than it was started with.
    - `data_dir`, `download`: where the data are, and whether they may be fetched.
    - `progress`, `report`: whether to show a progress bar, and to write the report at the end.
    - `tensorboard`: write the metrics for TensorBoard as well, into the folder's `tensorboard/`.
    - `checkpoint_seconds`: the least time between two checkpoints; one is always written at the end.
    - `chunk_seconds`: about how often the progress bar moves and Ctrl-C is noticed.

    **Returns:** the run, with `run.summary` and what notebooks look at.

    **Raises:** `CheckpointError` for a folder that holds a run already (without `resume`), or none (with it),
    or another one, or that cannot be written to; `SolveError` when the loss is not finite or too many samples
    fail, with the last good checkpoint kept; `KeyboardInterrupt` after Ctrl-C, with a checkpoint of the
    current step.

    ```python
    run = saltation_train.train(saltation_train.Recipe("ode/yinyang"), seed=0, out="runs/yinyang")
    print(run.summary["test_accuracy"])
    ```
    """
    recipe = experiment if isinstance(experiment, Recipe) else None
    built = recipe.build() if recipe is not None else experiment
    assert isinstance(built, st.Experiment)
    devices = all_devices(built)
    folder = Folder(Path(out))
    config = describe(built, recipe, seed=seed, data_dir=data_dir, versions=versions())
    if devices.first:
        _check_folder(folder, config, resume)
    task = prepare(built, seed=seed, data_dir=data_dir, download=download)
    progress = progress and devices.first
    with (
        interrupts() as interrupt,
        _progress(task, folder, resume, progress) as shown,
        clear_losses(folder.checkpoint("last")),
    ):
        shown.note(f"compiling {built.name} ({count_parameters(task.parameters)} parameters{_on(devices)}) ...")
        engine = compile_engine(task, devices)
        shown.note(f"compiled in {engine.compile_seconds:.1f} s")
        on_epoch = _on_epoch(folder, resume) if tensorboard and devices.first else None
        session = Session(
            engine, folder, fingerprint(config), shown, interrupt, checkpoint_seconds, chunk_seconds, on_epoch
        )
        if resume:
            state, position = session.load(folder.newest_checkpoint())
            if devices.first:
                truncate_metrics(folder.metrics, position.epoch)
            session.restore(state, position)
        else:
            session.begin()
        if devices.first:
            # Only now: a run that failed to start leaves a folder in which it can be started anew.
            write_config(folder.config, config)
        session.run()
        last, best = on_device(on_host(session.state.parameters)), session.best_parameters()
        run = _finish(engine, session.position, folder, config, last, best)
    if report and devices.first:
        from ._report import build_report

        for problem in build_report(run):
            shown.note(f"report: {problem}")
    return run


def _on(devices: Devices) -> str:
    processes = f" of {devices.processes} processes" if devices.processes > 1 else ""
    return f", on {devices.number} devices{processes}" if devices.number > 1 else ""


def _on_epoch(folder: Folder, resume: bool) -> Callable[[dict[str, Any]], None]:
    from ._tensorboard import TensorBoard

    return TensorBoard(folder.path / "tensorboard", len(read_metrics(folder.metrics)) if resume else 0).write


def _check_folder(folder: Folder, config: dict, resume: bool) -> None:
    if not resume and folder.is_run():
        raise st.CheckpointError(
            f"got {folder.path}, which holds a run already; expected a folder without one, since nothing is "
            "overwritten. "
            "Fix: resume it (--resume, resume=True), or choose another folder (--out, out=)."
        )
    if resume:
        stored = read_config(folder.config)
        check_same(config, stored, folder.path)
        done = len(read_metrics(folder.metrics))
        if config["epochs"] < min(done, stored["epochs"]):
            raise st.CheckpointError(
                f"got epochs={config['epochs']} for the run in {folder.path}, which has done {done} "
                "already; expected at "
                "least as many. Fix: leave the epochs out, or train into another folder."
            )


def _progress(task: Task, folder: Folder, resume: bool, shown: bool) -> Progress:
    samples = task.steps_per_epoch * task.experiment.batch_size
    done = len(read_metrics(folder.metrics)) * samples if resume else 0
    return Progress(epochs=task.experiment.epochs, samples=samples, done=done, shown=shown)


def _finish(engine: Engine, position: Position, folder: Folder, config: dict, last: PyTree, best: PyTree | None) -> Run:
    """Scores the test split with the best parameters and writes the summary."""
    task = engine.task

    def run_with(name: str, parameters: PyTree, summary: dict[str, Any] | None, score: Callable[..., Any]) -> Run:
        return Run(
            folder=folder.path,
            config=config,
            metrics=read_metrics(folder.metrics),
            summary=summary,
            task=task,
            checkpoint=name,
            parameters=parameters,
            position=position,
            score_batch=score,
        )

    name, parameters = ("last", last) if best is None else ("best", best)
    run = run_with(name, parameters, None, engine.score)
    scores, final = run.test, run_with("last", last, None, engine.score).test
    experiment = task.experiment
    samples = position.epoch * task.steps_per_epoch * experiment.batch_size
    summary = {
        "recipe": config["recipe"] or experiment.name,
        "method": config["method"] or type(experiment.method).__name__,
        "backend": config["backend"],
        "backend_options": config["backend_options"],
        "dataset": experiment.dataset,
        "seed": config["seed"],
        "epochs": position.epoch,
        "test_accuracy": scores.accuracy,
        "test_loss": number(scores.mean_loss),
        "test_failed": scores.failed,
        "test_health": scores.health,
        "checkpoint": name,
        "best_epoch": position.best.epoch if position.best else None,
        "validation_accuracy": position.best.accuracy if position.best else None,
        "test_accuracy_last": final.accuracy,
        "train_samples_per_second": samples / position.seconds if position.seconds else None,
        "train_seconds": position.seconds,
        "compile_seconds": position.compile_seconds,
        "peak_memory_bytes": peak_memory_bytes(),
        "parameters": count_parameters(task.parameters),
        "energy": energy_counts(run),
        "device": device(),
        "devices": engine.devices.number,
        "processes": engine.devices.processes,
        "versions": config["versions"],
    }
    if engine.devices.first:
        write_summary(folder.summary, summary)
    return run_with(name, parameters, summary, _score_alone(engine))


def _score_alone(engine: Engine) -> Callable[..., Any]:
    """The scoring of a batch by this process, when the others have gone on."""
    if engine.devices.processes == 1:
        return engine.score
    compiled = functools.cache(lambda: compile_score(engine.task, one_device()))
    return lambda *arguments: compiled()(*arguments)
