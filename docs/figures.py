"""Draws the pictures of the documentation into docs/img, from the public interface alone.

`python docs/figures.py` draws all of them, `python docs/figures.py accuracy` one.
"""

import runpy
import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

import saltation as st
from saltation_neurons import (
    ALIF,
    EGRU,
    EIF,
    LIF,
    QIF,
    AdEx,
    DendriticLIF,
    Izhikevich,
    Refractory,
    StochasticLIF,
    Theta,
)
from saltation_roughsde import Increments, RoughSDE

HERE = Path(__file__).parent
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#9a9a9a"
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "lines.linewidth": 1.3,
    "savefig.dpi": 130,
    "figure.constrained_layout.use": True,
}


def main(names: list[str]) -> None:
    jax.config.update("jax_enable_x64", True)
    with plt.rc_context(STYLE):
        for name in names or FIGURES:
            figure = FIGURES[name]()
            figure.savefig(HERE / "img" / f"{name}.png")
            plt.close(figure)
            print(f"img/{name}.png")


def gradient():
    """Spike times as functions of a weight, with their tangents, and the membrane potentials behind them."""
    times = jnp.linspace(0.0, 60.0, 1201)
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[2.0, 12.0, 30.0]]))}
    method = st.get_method("ode")(max_spikes=8)

    def solve(weight):
        synapse = st.Dense(weight[None, None])
        neuron = LIF(1, tau_mem=20.0, tau_syn=10.0)
        net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", synapse)], ["out"])
        return method.solve(net, stimulus, t1=60.0, save=st.Save(states_at=times))

    def spike_times(weight):
        return solve(weight).spikes["out"].to_dense(8)[0]

    weights = jnp.linspace(2.0, 7.0, 401)
    found = eqx.filter_jit(jax.vmap(spike_times))(weights)
    slopes = eqx.filter_jit(jax.vmap(jax.jacrev(spike_times)))(weights)

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0))
    for weight, colour, label in ((3.5, GREY, "$w = 3.5$"), (4.0, BLUE, "$w = 4$")):
        left.plot(times, solve(jnp.asarray(weight)).states["out"].v[:, 0], color=colour, label=label)
    left.axhline(1.0, color="k", lw=0.6, ls=":")
    left.plot([2.0, 12.0, 30.0], [-0.08] * 3, "k^", ms=5, clip_on=False)
    left.set(xlabel="time [ms]", ylabel="membrane potential", ylim=(-0.12, 1.3), yticks=(0, 0.5, 1))
    left.set_title("a neuron under three input spikes (triangles)")
    left.legend(frameon=False, loc="upper right", ncols=2)

    right.plot(weights, found, ".", color=GREY, ms=2)
    for i in range(40, len(weights), 80):
        for time, slope in zip(found[i], slopes[i]):
            if jnp.isfinite(time):
                ends = np.array([-1.0, 1.0]) * min(0.35, 5.0 / max(abs(float(slope)), 1e-9))
                right.plot(weights[i] + ends, time + slope * ends, color=RED, lw=1.1)
                right.plot(weights[i], time, "o", color=RED, ms=3)
    right.set(xlabel="weight $w$", ylabel="spike times [ms]", ylim=(0, 55))
    right.set_title("all spike times, and their gradients")
    return figure


def neurons():
    """The membrane potential of each model under a constant current."""
    models = {  # a constant current, and where a spike takes the potential from and to
        "LIF": (LIF(1), 1.5, (1.0, 0.0)),
        "Refractory(LIF, 10)": (Refractory(LIF(1), 10.0), 1.5, (1.0, 0.0)),
        "QIF": (QIF(1), 1.5, (10.0, -1.0)),
        "EIF": (EIF(1), 200.0, (-30.0, -68.0)),
        "AdEx": (AdEx(1), 900.0, (-30.0, -70.6)),
        "Izhikevich, chattering": (Izhikevich(1, c=-50.0, d=2.0), 10.0, (30.0, -50.0)),
        "ALIF": (ALIF(1, tau_adapt=40.0), 3.0, None),
    }
    times = jnp.linspace(0.0, 120.0, 2401)
    method = st.get_method("ode")(max_spikes=40)

    @eqx.filter_jit
    def solve(neuron, stimulus):
        net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense([[1.0]]))], ["out"])
        return method.solve(net, stimulus, t1=120.0, save=st.Save(states_at=times))

    figure, axes = plt.subplots(3, 3, figsize=(8.6, 4.6))
    for axis, (name, (neuron, current, jump)) in zip(axes.flat, models.items()):
        solution = solve(neuron, {"in": st.Current(jnp.array([current]))})
        axis.plot(times, neuron.observe(solution.states["out"])[:, 0], color=BLUE, lw=1.0)
        # The upstroke is faster than the samples.
        if jump is not None:
            axis.vlines(solution.spikes["out"].to_dense(40)[0], *jump, color=BLUE, lw=1.0)
        axis.set(title=name, ylabel="$v$" if jump is None or abs(jump[0]) <= 10 else "$v$ [mV]")
    theta = solve(Theta(1), {"in": st.Current(jnp.array([1.5]))})
    axes.flat[2].plot(times, theta.states["out"].v[:, 0], color=GREY, lw=1.0, label="Theta", zorder=0)
    axes.flat[2].set_ylim(-6.0, 11.0)
    axes.flat[2].legend(frameon=False, fontsize=7)
    axes.flat[6].plot(times, 1.0 + solution.states["out"].a[:, 0], color=GREY, lw=1.0, label="threshold")
    axes.flat[6].legend(frameon=False, fontsize=7)

    opening, memory = jnp.array([10.0, 75.0]), jnp.array([8.0, 40.0])
    gated = EGRU(1, b_update=-4.0, v_threshold=0.9)
    connections = [
        st.Connection("memory", "out", st.Dense([[3.0]])),
        st.Connection("opening", "out", st.Dense([[9.0]]), port="update"),
    ]
    net = st.Network({"memory": 1, "opening": 1}, {"out": gated}, connections, ["out"])
    stimulus = {"memory": st.Spikes.from_dense(memory[None]), "opening": st.Spikes.from_dense(opening[None])}
    solution = method.solve(net, stimulus, t1=120.0, save=st.Save(states_at=times))
    axes.flat[7].plot(times, solution.states["out"].v[:, 0], color=BLUE, lw=1.0)
    axes.flat[7].plot(memory, [-0.05] * 2, "^", color=GREEN, ms=5, label='"current"')
    axes.flat[7].plot(opening, [-0.05] * 2, "^", color=RED, ms=5, label='"update"')
    axes.flat[7].set(title="EGRU, closed but for its gate", ylabel="$v$")
    axes.flat[7].legend(frameon=False, fontsize=7)

    potential = jnp.linspace(0.0, 1.5, 301)
    axes.flat[8].plot(potential, DendriticLIF(1).activation(potential), color=BLUE, lw=1.0)
    axes.flat[8].set(title="dendritic LIF", xlabel="potential of the dendrite", ylabel="its action potential")
    for axis in axes[-1, :2]:
        axis.set(xlabel="time [ms]")
    return figure


def accuracy():
    """Errors of spike times and of gradients for fixed steps, against tolerances of 1e-12."""
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0], [4.0], [9.0]]))}
    steps = [4.0, 2.0, 1.0, 0.5, 0.25]

    def found(**settings):
        method = st.get_method("ode")(max_spikes=4, **settings)

        @eqx.filter_jit
        @eqx.filter_value_and_grad
        def first(weight):
            connections = [st.Connection("in", "out", st.Dense(weight))]
            net = st.Network({"in": 3}, {"out": QIF(1)}, connections, ["out"])
            return method.solve(net, stimulus, t1=60.0).spikes["out"].first()[0]

        return first(jnp.array([[20.0], [10.0], [15.0]]))

    time, slope = found(rtol=1e-12, atol=1e-12, max_steps=20000)
    errors = np.array(
        [
            (abs(t - time), jnp.linalg.norm(g - slope) / jnp.linalg.norm(slope))
            for t, g in (found(step=h) for h in steps)
        ]
    )
    default = found()
    figure, axis = plt.subplots(figsize=(4.6, 3.2))
    axis.loglog(steps, errors[:, 0], "o-", color=BLUE, label="spike time [ms]")
    axis.loglog(steps, errors[:, 1], "s-", color=RED, label="gradient (relative)")
    axis.axhline(max(abs(float(default[0] - time)), 1e-16), color=GREY, ls="--", label="spike time, default tolerance")
    axis.set(xlabel="fixed step [ms]", ylabel="error", title="QIF neuron, float64")
    axis.set_xticks(steps, [f"{h:g}" for h in steps])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.legend(frameon=False, fontsize=8)
    return figure


def memory():
    """What a gradient through a recurrent network takes, for ever longer trials."""
    size, rate = 20, 0.5  # neurons, and input spikes a millisecond
    lengths = [200, 600, 2000]  # ms

    def needed(length, recompute):
        random = np.random.default_rng(0)
        times = np.sort(random.uniform(0.0, length, (size, int(rate * length / size))), axis=1)
        stimulus = {"in": st.Spikes.from_dense(times)}
        net = st.recurrent(size, {"n": LIF(size)}, delay=2.0, weight_in=st.normal(3.0, 4.0), key=jax.random.key(0))
        method = st.get_method("ode")(max_spikes=int(0.02 * length), recompute=recompute)

        @eqx.filter_jit
        @eqx.filter_grad
        def gradient(net):
            save = st.Save(states_at=jnp.linspace(0.0, length, 20))
            return jnp.sum(method.solve(net, stimulus, t1=float(length), save=save, throw=False).states["n"].v)

        return gradient.lower(net).compile().compiled.memory_analysis().temp_size_in_bytes / 2**20

    figure, axis = plt.subplots(figsize=(4.6, 3.2))
    for recompute, colour, label in ((False, RED, "states kept"), (True, BLUE, "recompute=True")):
        found = [needed(length, recompute) for length in lengths]
        print(label, dict(zip(lengths, np.round(found, 2).tolist())))
        axis.loglog(lengths, found, "o-", color=colour, label=label)
    axis.set(xlabel="length of the trial [ms]", ylabel="memory of a gradient [MiB]", title="20 recurrent LIF neurons")
    axis.legend(frameon=False, fontsize=8)
    return figure


def yinyang():
    """What examples/train_yinyang.py has learnt, and how one point is told."""
    jax.config.update("jax_enable_x64", False)
    trained = runpy.run_path(str(HERE.parent / "examples" / "train_yinyang.py"))
    net, method, data = trained["net"], trained["method"], trained["data"]

    @eqx.filter_jit
    def solve(x):
        stimulus = {"in": st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0))}
        return stimulus, method.solve(net, stimulus, t1=60.0, throw=False)

    points, labels = data.test.inputs.astype("float32"), data.test.targets
    first = jax.vmap(lambda x: solve(x)[1].spikes["out"].first())(points)
    told = np.argmin(first, axis=1)
    colours = np.array([BLUE, RED, GREEN])
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.4), width_ratios=(1, 1.5))
    left.scatter(points[:, 0], points[:, 1], c=colours[told], s=6)
    wrong = told != labels
    left.scatter(points[wrong, 0], points[wrong, 1], s=40, facecolors="none", edgecolors="k", lw=0.8)
    left.set(xlabel="$x$", ylabel="$y$", aspect="equal", title=f"{np.mean(~wrong):.1%} of the test points")

    stimulus, solution = solve(points[0])
    trains = {"input": stimulus["in"], "hidden": solution.spikes["hidden1"], "output": solution.spikes["out"]}
    row, ticks = 0, []
    for (name, train), colour in zip(trains.items(), (GREY, "k", colours)):
        valid = np.asarray(train.valid())
        index = np.asarray(train.index)[valid]
        dots = colour if isinstance(colour, str) else colour[index]
        right.scatter(np.asarray(train.time)[valid], row + index, c=dots, s=8 if name == "hidden" else 22)
        ticks.append((row + train.size / 2, name))
        row += train.size + 4
    right.set_yticks(*zip(*ticks))
    right.set(xlabel="time [ms]", title=f"one point of class {data.classes[int(labels[0])]!r}, spike by spike")
    jax.config.update("jax_enable_x64", True)
    return figure


def bss2():
    """One network on five emulated chips: how far neurons are off, how much that varies, and what gets lost."""
    from saltation_bss2 import BSS2Emulator
    from saltation_neurons import AtMostOnce

    tau_syn, chips = 6.0, range(5)
    weights = np.load(HERE.parent / "packages/hardware/bss2/tests/data/yinyang_in_loop.npz")
    once = {name: AtMostOnce(LIF(n, tau_mem=2 * tau_syn, tau_syn=tau_syn)) for name, n in (("hidden", 30), ("out", 3))}
    connections = [
        st.Connection("in", "hidden", st.Dense(jnp.asarray(weights["weight0"]))),
        st.Connection("hidden", "out", st.Dense(jnp.asarray(weights["weight1"]))),
    ]
    net = st.Network({"in": 4}, once, connections, ["out"])
    times = jnp.asarray((0.15 + 1.85 * st.get_dataset("yinyang")().test.inputs[:400]) * tau_syn)
    stimulus = {"in": jax.vmap(st.Spikes.from_dense)(times)}
    one = {"in": st.structure_of(st.Spikes.from_dense(times[0]))}

    def run(backend, key):
        program = backend.prepare(st.structure_of(net), one, t1=6 * tau_syn, max_spikes=1)
        found = program.measure(net, stimulus, np.asarray(jax.random.key_data(jax.random.key(key)))).spikes
        first = [np.asarray(jax.vmap(st.Spikes.first)(found[name])) for name in ("hidden", "out")]
        return np.concatenate(first, axis=1)

    def difference(a, b):
        both = np.isfinite(a) & np.isfinite(b)
        return np.where(both, np.where(both, a, 0.0) - np.where(both, b, 0.0), np.nan)

    ideal = run(BSS2Emulator(effects="none"), 0)
    first, second = ([run(BSS2Emulator(chip), key) for chip in chips] for key in (1, 2))
    residuals = [difference(ideal, found) / tau_syn for found in first]

    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8.0, 4.6))
    for chip, residual in enumerate(residuals):
        often = np.isfinite(residual).sum(axis=0) > 40
        offset = np.nanmean(residual[:, often], axis=0)
        place = chip + np.linspace(-0.3, 0.3, often.sum())
        kinds = np.where(often)[0] >= 30
        for kind, colour, label in ((False, BLUE, "hidden"), (True, RED, "output")):
            a.plot(
                place[kinds == kind], offset[kinds == kind], "o", ms=3, color=colour, label=label if not chip else None
            )
    a.axhspan(-0.3, 0.1, color=GREY, alpha=0.25, lw=0)
    a.set(xlabel="chip", ylabel="offset [$\\tau$]", xticks=list(chips), ylim=(-0.65, 0.2))
    a.set_title("a   offsets of neurons; grey: measured")
    a.legend(frameon=False, loc="lower left", ncols=2)

    together = np.concatenate(residuals)
    bins = np.linspace(-0.6, 0.4, 101)
    for columns, colour, label in ((slice(0, 30), BLUE, "hidden"), (slice(30, 33), RED, "output")):
        part = together[:, columns]
        b.hist(part[np.isfinite(part)], bins, histtype="step", density=True, color=colour, label=label)
    b.set(xlabel="ideal minus chip [$\\tau$]", ylabel="density", yscale="log")
    b.set_title(f"b   residuals: standard deviation {np.nanstd(together):.2f} $\\tau$")
    b.legend(frameon=False)

    jitter = np.concatenate([difference(x, y) for x, y in zip(first, second)]) / np.sqrt(2) * 1e3
    jitter = jitter[np.isfinite(jitter)]
    width = 1.4826 * np.median(np.abs(jitter))
    # Bins hold whole steps of a stamp, which are 8 ns over the root of two.
    grid = np.arange(-212, 213) * (8 / np.sqrt(2))
    grid = grid[::4]
    c.hist(jitter, grid, histtype="step", density=True, color=BLUE)
    c.plot(grid, np.exp(-((grid / width) ** 2) / 2) / (width * np.sqrt(2 * np.pi)), color=GREY)
    c.set(xlabel="jitter of a spike between runs [ns]", ylabel="density", yscale="log", ylim=(1e-6, 1e-2))
    c.set_title(f"c   robust standard deviation {width:.0f} ns")

    whole = [run(BSS2Emulator(chip, effects="-loss"), 1) for chip in chips]
    lost = np.concatenate([np.isinf(x) & np.isfinite(y) for x, y in zip(first, whole)], axis=1)[:150]
    d.imshow(lost.T, aspect="auto", cmap="Greys", interpolation="nearest")
    d.set(xlabel="sample", ylabel="neuron of all chips", title="d   spikes are lost in bursts")
    return figure


def roughsde():
    """Spike times of a stochastic neuron as functions of its current, noise held; how both schemes converge."""
    cells, t1, samples = 64, 1.0, 40
    rng = np.random.default_rng(1)
    increments = jnp.asarray(rng.normal(size=(samples, cells, 1)) * (t1 / cells) ** 0.5)
    thresholds = jnp.asarray(-rng.exponential(size=(samples, 1, 11)))
    neuron = StochasticLIF(1, sigma=0.25)
    net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.OneToOne(1))], ["out"])

    def times(current, sample, substeps=1, **options):
        fine = jnp.repeat(increments[sample] / substeps, substeps, axis=0, total_repeat_length=cells * substeps)
        method = RoughSDE(
            dt=t1 / (cells * substeps),
            path=Increments(fine),
            thresholds={"out": thresholds[sample]},
            max_spikes=10,
            **options,
        )
        solution = method.solve(net, {"in": st.Current(current[None])}, t1=t1, throw=False)
        return solution.spikes["out"].to_dense(3, throw=False)[0]

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0))
    currents = jnp.linspace(1.0, 2.0, 201)
    curve = jax.vmap(lambda c: times(c, 0, scheme="piecewise_linear"))
    found, slopes = eqx.filter_jit(lambda c: jax.jvp(curve, (c,), (jnp.ones_like(c),)))(currents)
    left.plot(currents, found, ".", color=GREY, ms=2)
    for i in range(20, 201, 40):
        for time, slope in zip(found[i], slopes[i]):
            if jnp.isfinite(time):
                ends = np.array([-0.05, 0.05])
                left.plot(currents[i] + ends, time + slope * ends, color=RED, lw=1.1)
                left.plot(currents[i], time, "o", color=RED, ms=3)
    left.set(xlabel="current", ylabel="spike times", title="one path of the noise: times and gradients")

    numbers = jnp.arange(samples)

    def both(substeps, **options):
        value = lambda c, k: times(c, k, substeps, **options)  # noqa: E731
        one = lambda k: jax.jvp(lambda c: value(c, k), (jnp.array(1.5),), (jnp.array(1.0),))  # noqa: E731
        return jax.tree.map(np.asarray, jax.jit(jax.vmap(one))(numbers))

    exact = both(1, scheme="piecewise_linear")
    levels = [1, 2, 4, 8, 16]
    for rule, colour in (("pathwise", BLUE), ("discrete", GREEN)):
        errors = []
        for level in levels:
            found = both(level, rule=rule)
            there = np.isfinite(found[0]) & np.isfinite(exact[0])
            errors.append([np.mean(np.abs(a[there] - b[there])) for a, b in zip(found, exact)])
        widths = [t1 / cells / level for level in levels]
        for which, name, marker in ((0, "times", "o--"), (1, "gradients", "s-")):
            if which == 0 and rule == "discrete":
                continue  # the same times
            error = np.array(errors)[:, which]
            slope = np.polyfit(np.log(widths), np.log(error), 1)[0]
            label = f"{name}{f', {rule}' if which else ''}: order {slope:.2f}"
            right.loglog(widths, error, marker, color=GREY if which == 0 else colour, ms=4, label=label)
    right.set(xlabel="width of a cell", ylabel="mean error", title="Euler against the exact solution")
    right.legend(frameon=False, fontsize=8)
    return figure


FIGURES = {function.__name__: function for function in (gradient, neurons, accuracy, memory, yinyang, bss2, roughsde)}

if __name__ == "__main__":
    main(sys.argv[1:])
