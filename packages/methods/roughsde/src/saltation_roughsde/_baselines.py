"""Simple models of recorded spikes to compare with: what a stochastic neuron must beat."""

import numpy as np


def poisson_trains(
    train_sound: np.ndarray,
    train_spikes: np.ndarray,
    sound: np.ndarray,
    *,
    samples: int,
    window: float,
    latency: int,
    levels: int = 12,
    seed: int = 0,
) -> list[list[np.ndarray]]:
    """An inhomogeneous Poisson process whose rate is a function of the sound, `latency` bins ago.

    The function is a histogram over `levels` equally frequent levels of the sound.

    **Arguments:** sounds `[windows, bins]`; spikes `[windows, 1, k]`.

    **Returns:** for each window of `sound` as many trains as `samples`.
    """
    rng = np.random.default_rng(seed)
    bins = sound.shape[1]
    width = window / bins
    heard = lambda x: np.concatenate([np.repeat(x[:, :1], latency, axis=1), x[:, : bins - latency]], axis=1)  # noqa: E731
    borders = np.quantile(heard(train_sound), np.linspace(0, 1, levels + 1)[1:-1])
    count = np.stack([np.histogram(times[np.isfinite(times)], bins, (0, window))[0] for times in train_spikes[:, 0]])
    level = np.digitize(heard(train_sound), borders)
    rate = np.array([count[level == k].mean() / width if (level == k).any() else 0.0 for k in range(levels)])
    expected = rate[np.digitize(heard(sound), borders)] * width

    def draw(mean: np.ndarray) -> np.ndarray:
        where = np.repeat(np.arange(bins), rng.poisson(mean))
        return np.sort((where + rng.uniform(size=where.shape)) * width)

    return [[draw(mean) for _ in range(samples)] for mean in expected]


def renewal_trains(
    train_spikes: np.ndarray, windows: int, *, samples: int, window: float, seed: int = 0
) -> list[list[np.ndarray]]:
    """A renewal process with the intervals of the training windows, which does not hear the sound."""
    rng = np.random.default_rng(seed)
    rows = [times[np.isfinite(times)] for times in train_spikes[:, 0]]
    intervals = np.concatenate([np.diff(row) for row in rows])

    def draw() -> np.ndarray:
        # From long before the window, so that it begins in the middle of an interval.
        times = np.cumsum(rng.choice(intervals, int(3 * window / intervals.mean()) + 10)) - window
        return times[(times >= 0) & (times < window)]

    return [[draw() for _ in range(samples)] for _ in range(windows)]


def padded(trains: list[list[np.ndarray]]) -> np.ndarray:
    """`[windows, samples, k]`, `inf` where there is no spike."""
    most = max((len(times) for row in trains for times in row), default=0)
    table = np.full((len(trains), len(trains[0]), max(most, 1)), np.inf, np.float32)
    for i, row in enumerate(trains):
        for j, times in enumerate(row):
            table[i, j, : len(times)] = times
    return table
