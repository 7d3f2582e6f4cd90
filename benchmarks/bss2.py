"""Training with the emulated BrainScaleS-2 chip in the loop: what is lost on a chip, and what wins it back.

`python benchmarks/bss2.py` trains what is not there yet, one run after the other, and writes `results.json` into the
folder; `--draw` draws docs/img/bss2_loop.png from it. Everything is computed on five emulated chips.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

import saltation as st
import saltation_train
from saltation_bss2 import Calibration, Chip, calibrate
from saltation_train import Recipe

ROOT = Path(__file__).parents[1]
KINDS = {"w": "weights alone", "axonal": "weights and axonal delays"}
CHIPS = range(5)
IDEAL_EPOCHS, LOOP_EPOCHS, SEED = 150, 30, 0
# How the ideal model's network goes on in the loop of a chip: it is nearly right, so by many small steps.
CONTINUED: dict[str, Any] = {"batch_size": 50, "learning_rate": 0.01}
CONTINUED_EPOCHS = 10
# How networks are trained, beyond the plain recipe.
VARIANTS: dict[str, dict[str, Any]] = {"plain": {}, "more inputs": {"bias": True}, "noise-aware": {"noise": 0.05}}
# In which order, whether the chips are calibrated, and whether networks are trained in their loop, too: from new
# weights, and from those of the ideal model.
CASES = (
    ("plain", True, False, False),
    ("noise-aware", False, False, False),
    ("plain", False, True, True),
    ("plain", True, True, False),
    ("more inputs", True, True, False),
)
COLUMNS = ("plain", "noise-aware", "plain, calibrated", "more inputs, calibrated")
PUBLISHED = {"w": (96.7, 84.9), "axonal": (97.5, 92.6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "bss2", help="where runs and results are kept")
    parser.add_argument("--draw", action="store_true", help="draw the figure from the results")
    given = parser.parse_args()
    if given.draw:
        draw(json.loads((given.out / "results.json").read_text()))
        return
    given.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, Any]] = {}
    for variant, calibrated, loop, go_on in CASES:
        for kind in reversed(KINDS):
            chips = [{"chip": chip} for chip in CHIPS]
            if calibrated:
                chips = [{**chip, "calibration": str(calibration_of(chip["chip"], given.out))} for chip in chips]
            name = f"{kind}, {variant}{', calibrated' if calibrated else ''}"
            results[name] = compare(kind, variant, chips, given.out, loop, go_on)
            print(name, json.dumps(results[name]), flush=True)
            (given.out / "results.json").write_text(json.dumps(results, indent=1))


def compare(kind: str, variant: str, chips: list[dict[str, Any]], out: Path, loop: bool, go_on: bool) -> dict[str, Any]:
    """Test accuracies: of the ideal model, of the network trained there on each chip, and trained in the loop."""
    ideal = trained(kind, variant, None, out)
    found: dict[str, Any] = {
        "ideal": ideal.test.accuracy,
        "on chip": [],
        "in loop": [],
        "in loop, in the ideal model": [],
    }
    for chip in chips:
        found["on chip"].append(scored(ideal, st.InTheLoop(st.get_method("delgrad")(), backend(chip))))
        if loop:
            run = trained(kind, variant, chip, out)
            found["in loop"].append(run.test.accuracy)
            found["in loop, in the ideal model"].append(scored(run, st.get_method("delgrad")()))
        if go_on:
            run = continued(kind, variant, ideal, chip, out)
            found.setdefault("continued", []).append(run.test.accuracy)
            found.setdefault("continued, in the ideal model", []).append(scored(run, st.get_method("delgrad")()))
    return found


def backend(options: dict[str, Any]) -> st.AbstractBackend:
    return st.get_backend("bss2-emulator")(**options)


def trained(kind: str, variant: str, chip: dict[str, Any] | None, out: Path) -> saltation_train.Run:
    """A run of the recipe, in the loop of a chip or without; read back if it is there."""
    place = "ideal" if chip is None else f"chip{chip['chip']}{'-calibrated' if 'calibration' in chip else ''}"
    folder = out / f"{kind}-{variant.replace(' ', '-')}-{place}"
    if (folder / "summary.json").exists():
        return saltation_train.load_run(folder)
    recipe = Recipe(
        f"bss2/yinyang-{kind}",
        VARIANTS[variant],
        backend=None if chip is None else "bss2-emulator",
        backend_options=chip or {},
        epochs=IDEAL_EPOCHS if chip is None else LOOP_EPOCHS,
    )
    resume = (folder / "config.json").exists()
    return saltation_train.train(recipe, seed=SEED, out=folder, progress=False, report=False, resume=resume)


def continued(
    kind: str, variant: str, ideal: saltation_train.Run, chip: dict[str, Any], out: Path
) -> saltation_train.Run:
    """The ideal model's network with its weights in range, trained on in the loop of a chip; read back if it is there.

    Without the range, `keep_firing` counts weights that the chip cannot hold, and leaves its silent outputs silent.
    """
    folder = out / f"{kind}-{variant.replace(' ', '-')}-chip{chip['chip']}-continued"
    settings = {**VARIANTS[variant], **CONTINUED}
    recipe = Recipe(
        f"bss2/yinyang-{kind}", settings, backend="bss2-emulator", backend_options=chip, epochs=CONTINUED_EPOCHS
    )
    experiment = recipe.build()
    network, key = ideal.model.network, jax.random.key(0)
    stimulus = experiment.encoder(ideal.dataset.test.inputs[0], key)
    program = backend(chip).prepare(st.structure_of(network), st.structure_of(stimulus), t1=experiment.t1, max_spikes=1)
    model = st.Model(program.within_range(network), ideal.model.readout)
    experiment = dataclasses.replace(experiment, model=lambda key: model)
    if (folder / "summary.json").exists():
        return saltation_train.load_run(folder, experiment=experiment)
    resume = (folder / "config.json").exists()
    return saltation_train.train(experiment, seed=SEED, out=folder, progress=False, report=False, resume=resume)


def scored(run: saltation_train.Run, method: st.AbstractMethod) -> float:
    """The test accuracy of a trained network under another method."""
    data, model, experiment = run.dataset.test, run.model, run.experiment
    keys = jax.random.split(jax.random.key(1), len(data))

    @jax.jit
    def first_spikes(inputs, keys):
        def one(x, key):
            stimulus = experiment.encoder(x, key)
            return model.readout(method.solve(model.network, stimulus, t1=experiment.t1, key=key, throw=False))

        return jax.vmap(one)(inputs, keys)

    times = np.asarray(first_spikes(data.inputs, keys))
    return float(np.mean(np.where(np.isinf(times).all(axis=1), -1, times.argmin(axis=1)) == data.targets))


def calibration_of(chip: int, out: Path) -> Path:
    path = out / f"chip{chip}-calibration.npz"
    if not path.exists():
        calibrate(Chip(chip), key=jax.random.key(chip)).save(path)
    Calibration.load(path).check(Chip(chip))
    return path


def draw(results: dict[str, dict[str, Any]]) -> None:
    """Accuracies on every chip, for weights alone and with axonal delays."""
    import matplotlib.pyplot as plt

    colours = {"ideal": "#9a9a9a", "on chip": "#D55E00", "in loop": "#0072B2", "continued": "#009E73"}
    labels = {
        "on chip": "put on the chip",
        "in loop": "trained in the loop",
        "continued": "put on the chip, trained on in its loop",
    }
    columns = [name for name in COLUMNS if all(f"{kind}, {name}" in results for kind in KINDS)]
    plt.rcParams.update({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False})
    figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.2), sharey=True, layout="constrained")
    for axes, (kind, title) in zip(panels, KINDS.items()):
        for column, name in enumerate(columns):
            found = results[f"{kind}, {name}"]
            axes.hlines(100 * found["ideal"], column - 0.35, column + 0.35, color=colours["ideal"], label="ideal model")
            for what, shift in (("on chip", -0.2), ("in loop", 0.0), ("continued", 0.2)):
                values = 100 * np.array(found.get(what, []))
                places = column + shift + np.linspace(-0.06, 0.06, len(values))
                label = labels[what]
                axes.plot(places, values, "o", ms=3.5, color=colours[what], label=label)
        axes.axhline(PUBLISHED[kind][1], color="k", lw=0.7, ls=":", label="published, on the chip")
        axes.set_xticks(range(len(columns)), [name.replace(", ", ",\n") for name in columns])
        axes.set_title(title)
    panels[0].set_ylabel("test accuracy on Yin-Yang [%]")
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels())))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(ROOT / "docs" / "img" / "bss2_loop.png", dpi=130)


if __name__ == "__main__":
    main()
