"""How far a student of `roughsde/teacher-student` is from its teacher, beside how far the teacher is from itself.

`python benchmarks/teacher_student.py RUN ...` prints, for each finished run, the MMD² (signature kernel, without bias)
of 256 new samples of the student and the 256 teacher samples of the test split, which training has not seen; and the
median and 95 % quantile of that between two sets of 256 fresh teacher samples, by splitting 512 of them at random.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import saltation as st
from saltation_roughsde import spike_gram
from saltation_roughsde._mmd import mmd_from_grams
from saltation_roughsde._samples import (
    NETWORK_FADE,
    NETWORK_SPIKES,
    NETWORK_T1,
    load_sampled_trains,
    network_method,
    sampled,
)
from saltation_train import load_run

SAMPLES, SPLITS = 256, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run of roughsde/teacher-student")
    for folder in parser.parse_args().runs:
        run = load_run(folder, checkpoint="last")
        options = dict(run.experiment.dataset_options) | {"repeat": 1}
        method, current = network_method(options["dt"]), jnp.asarray(run.dataset.test.inputs[0])
        keys = jax.random.split(jax.random.fold_in(run.sample_key, 1), SAMPLES)
        student = sampled(method, run.model.network, current, NETWORK_T1, keys, NETWORK_SPIKES)
        teacher = run.dataset.test.targets[:SAMPLES]
        fresh = load_sampled_trains(**options | {"held_out": 2 * SAMPLES}).test.targets
        print(f"{folder}: {of_sets(student, teacher):.3g}, teacher and itself: {of_splits(fresh)}", flush=True)


@jax.jit
def gram(x, y):
    trains = [jax.vmap(st.Spikes.from_dense)(times) for times in (x, y)]
    return spike_gram(*trains, t1=NETWORK_T1, time_scale=1 / NETWORK_T1, jump_scale=0.5, fade=(0.0, NETWORK_FADE))


def of_sets(x, y) -> float:
    return float(mmd_from_grams(gram(x, x), gram(x, y), gram(y, y)))


def of_splits(both) -> str:
    values, rng = np.asarray(gram(both, both), np.float64), np.random.default_rng(0)

    def split() -> float:
        x, y = np.split(rng.permutation(len(values)), 2)
        return float(mmd_from_grams(values[np.ix_(x, x)], values[np.ix_(x, y)], values[np.ix_(y, y)]))

    found = [split() for _ in range(SPLITS)]
    return f"median {np.median(found):.3g}, 95 % below {np.quantile(found, 0.95):.3g}"


if __name__ == "__main__":
    main()
