"""The leaky integrate-and-fire neuron between two events, against formulas, differential equation and brute force."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation._psp import lif_crossing, lif_flow, psp_kernel

RATIOS = {
    "equal": (10.0, 10.0),
    "2": (20.0, 10.0),
    "1/2": (10.0, 20.0),
    "4": (20.0, 5.0),
    "100": (100.0, 1.0),
    "1/100": (1.0, 100.0),
    "almost equal": (10.0, 10.0 + 1e-6),
    "irrational": (np.pi, np.e),
}
# These take the same branches as others: the fast tests go without.
SLOW = ("4", "irrational")
EACH = [pytest.param(taus, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, taus in RATIOS.items()]
FORMS = {"python": float, "traced": lambda tau: jnp.asarray(tau)}


@pytest.fixture(params=EACH)
def taus(request):
    return request.param


@pytest.fixture(params=FORMS.values(), ids=FORMS)
def form(request):
    return request.param


_TRACED = jax.jit(lif_crossing, static_argnums=4)
_PYTHON = jax.jit(lif_crossing, static_argnums=(4, 5, 6))


def crossing(v, i, duration, current, tau_mem, tau_syn):
    """Of a threshold of 1, compiled: time constants that are arrays are arguments of one program for all of them."""
    function = _PYTHON if isinstance(tau_mem, float) else _TRACED
    return function(*map(jnp.asarray, (v, i, duration, current)), 1.0, tau_mem, tau_syn)


def exact_kernel(u, tau_mem, tau_syn, dtype=np.float64):
    """`tau_syn (exp(-u / tau_mem) - exp(-u / tau_syn)) / (tau_mem - tau_syn)`, stable for equal time constants."""
    u = np.asarray(u, dtype)
    delta = abs(dtype(1) / tau_syn - dtype(1) / tau_mem)
    if delta == 0:
        return u / tau_mem * np.exp(-u / tau_mem)
    return -np.exp(-u / max(tau_mem, tau_syn)) * np.expm1(-u * delta) / (tau_mem * delta)


def test_kernel_is_the_formula(taus, form):
    u = np.concatenate([[0.0], np.geomspace(1e-9, 500.0, 200)])
    kernel = psp_kernel(jnp.asarray(u), form(taus[0]), form(taus[1]))
    exact = exact_kernel(u, *taus, dtype=np.longdouble).astype(float)
    np.testing.assert_allclose(kernel, exact, rtol=1e-11, atol=1e-300)


def test_kernel_in_float32(taus, form):
    u = np.concatenate([[0.0], np.geomspace(1e-6, 80.0, 200)]).astype(np.float32)
    tau_mem, tau_syn = (np.float32(tau) for tau in taus)
    cast = (lambda tau: jnp.asarray(tau, jnp.float32)) if form is FORMS["traced"] else float
    kernel = np.asarray(psp_kernel(jnp.asarray(u), cast(tau_mem), cast(tau_syn)))
    assert kernel.dtype == np.float32
    exact = exact_kernel(u, float(tau_mem), float(tau_syn))
    seen = exact > 1e-30
    # exp(-u / tau) itself loses u / tau ulps of its argument.
    ulps = 8 + 4 * u / min(taus)
    assert (np.abs(kernel - exact)[seen] <= (ulps * np.finfo(np.float32).eps * exact)[seen]).all()
    assert np.isfinite(kernel).all()


@functools.cache
def derivative(count):
    """The derivative of `lif_flow` by the first arguments, and its value, compiled with the others as numbers."""

    def flow(*arrays):
        state = lif_flow(*arrays)
        return state, state

    function = jax.jacrev(flow, tuple(range(count)), has_aux=True)
    return jax.jit(function, static_argnums=tuple(range(count, 6)))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_late_times_neither_overflow_nor_give_nan(taus, form, dtype):
    cast = (lambda tau: jnp.asarray(tau, dtype)) if form is FORMS["traced"] else float
    args = [jnp.asarray(x, dtype) for x in (0.5, 2.0, 1e6, 0.25)]
    gradients, flown = derivative(6 if form is FORMS["traced"] else 4)(*args, *(cast(tau) for tau in taus))
    np.testing.assert_allclose(flown, [0.25, 0.0], atol=1e-6)
    assert np.isfinite(jax.tree.leaves(gradients)).all()


def test_flow_solves_the_equation(taus, form):
    rng = np.random.default_rng(0)
    v, i, u, current = jnp.asarray(np.stack([*rng.normal(size=(2, 50)), rng.uniform(0, 50, 50), rng.normal(size=50)]))
    tau_mem, tau_syn = form(taus[0]), form(taus[1])
    (v_u, i_u), (dv, di) = jax.jvp(lambda u: lif_flow(v, i, u, current, tau_mem, tau_syn), (u,), (jnp.ones_like(u),))
    np.testing.assert_allclose(tau_mem * dv, -v_u + i_u + current, atol=1e-10)
    np.testing.assert_allclose(tau_syn * di, -i_u, atol=1e-10)
    start = lif_flow(v, i, jnp.zeros_like(u), current, tau_mem, tau_syn)
    np.testing.assert_allclose(start, [v, i], atol=1e-15)
    half = lif_flow(*lif_flow(v, i, 0.3 * u, current, tau_mem, tau_syn), 0.7 * u, current, tau_mem, tau_syn)
    np.testing.assert_allclose(half, [v_u, i_u], atol=1e-12)


@jax.jit
def gradient_of_flow(*arguments):
    return jax.grad(lambda *a: lif_flow(*a)[0], argnums=range(6))(*arguments)


@pytest.mark.parametrize("taus", EACH)
def test_flow_is_differentiable_in_the_time_constants(taus):
    arguments = tuple(jnp.asarray(x) for x in (0.4, 1.7, 6.0, 0.1, *taus))
    gradient = gradient_of_flow(*arguments)
    for position, value in enumerate(arguments):
        step = 1e-4
        ends = [
            jax.jit(lif_flow)(*(x + sign * step * (n == position) for n, x in enumerate(arguments)))[0]
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(gradient[position], (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=1e-8)
        assert value.shape == ()


def neurons(count: int, seed: int, taus: tuple[float, float]):
    """Random states, most of them so that something happens near the threshold of 1."""
    peak = exact_kernel(np.geomspace(1e-2, 1e3, 2000), *taus).max()
    rng = np.random.default_rng(seed)
    v = rng.uniform(-2, 1.5, count)
    i = rng.normal(0, 1.5, count) / peak
    i[rng.uniform(size=count) < 0.1] = 0.0
    current = np.where(rng.uniform(size=count) < 0.5, 0.0, rng.normal(0, 1.5, count))
    v[rng.uniform(size=count) < 0.05] = 0.0
    duration = rng.uniform(0.0, 60.0, count)
    duration[:20] = 0.0
    return v, i, duration, current


@functools.cache
def brute_force(tau_mem, tau_syn, cells: int = 1500):
    """The first cell `(before, after]` of a fine grid in which `v` rises through the threshold, `inf` if none."""
    v, i, duration, current = neurons(2000, 3, (tau_mem, tau_syn))
    # Finer near 0, where the fast time constant acts.
    u = np.linspace(0, 1, cells + 1)[None, :] ** 2 * duration[:, None]
    kernel = exact_kernel(u, tau_mem, tau_syn)
    excess = current[:, None] + (v - current)[:, None] * np.exp(-u / tau_mem) + i[:, None] * kernel - 1.0
    rises = (excess[:, :-1] < 0) & (excess[:, 1:] >= 0)
    first = rises.argmax(axis=1)
    rows = np.arange(len(v))
    found = rises.any(axis=1)
    return np.where(found, u[rows, first], np.inf), np.where(found, u[rows, first + 1], np.inf), excess


def test_crossing_against_brute_force(taus, form):
    v, i, duration, current = neurons(2000, 3, taus)
    found = np.asarray(crossing(v, i, duration, current, form(taus[0]), form(taus[1])))
    before, after, excess = brute_force(*taus)
    assert np.isfinite(found).sum() > 300 and not np.isnan(found).any()
    slack = 1e-9 * (1 + duration)

    # What the grid sees, the formula sees, in the same cell or before it (in an excursion between two grid points).
    on_grid = np.isfinite(before)
    assert (found[on_grid] <= after[on_grid] + slack[on_grid]).all()
    # What the formula sees is a rise through the threshold, within the duration.
    seen = np.isfinite(found)
    assert (found[seen] > 0).all() and (found[seen] <= duration[seen]).all()
    level = lambda u: (  # noqa: E731
        current + (v - current) * np.exp(-u / taus[0]) + i * exact_kernel(u, *taus) - 1.0
    )
    u = np.where(seen, found, 0.0)
    np.testing.assert_allclose(level(u)[seen], 0.0, atol=1e-11)
    slope = -(level(u) + 1.0) + current + i * np.exp(-u / taus[1])
    assert (slope[seen] >= -1e-6).all()
    # Earlier than the grid's cell only if the grid could not see it: a grazing touch.
    early = seen & (found < np.where(on_grid, before, np.inf) - slack)
    assert early.mean() < 0.01
    assert np.abs(excess[early]).min(axis=1, initial=np.inf).max(initial=0.0) < 1e-2


def test_crossing_in_float32_is_near_float64(taus, form):
    v, i, duration, current = neurons(2000, 4, taus)
    cast = (lambda tau: jnp.asarray(tau, jnp.float32)) if form is FORMS["traced"] else float
    narrow = crossing(*(jnp.asarray(x, jnp.float32) for x in (v, i, duration, current)), *(cast(tau) for tau in taus))
    wide = np.asarray(crossing(v, i, duration, current, *taus))
    assert narrow.dtype == jnp.float32
    both = np.isfinite(wide) & np.isfinite(narrow)
    # A grazing touch, or one at the end, may be seen in one precision and not in the other.
    assert (np.isfinite(wide) == np.isfinite(narrow)).mean() > 0.995
    u = np.asarray(narrow, np.float64)[both]
    level = (current + (v - current) * 0)[both] + (v - current)[both] * np.exp(-u / taus[0])
    level = level + i[both] * exact_kernel(u, *taus)
    np.testing.assert_allclose(level, 1.0, atol=3e-5)
    assert np.median(np.abs(u - wide[both])) < 1e-5


def test_python_numbers_and_arrays_agree(taus):
    arguments = [jnp.asarray(x) for x in neurons(500, 5, taus)]
    python = crossing(*arguments, *taus)
    traced = crossing(*arguments, *(jnp.asarray(tau) for tau in taus))
    each = jax.jit(lif_crossing)(*arguments, jnp.ones(500), *(jnp.full(500, tau) for tau in taus))
    np.testing.assert_array_equal(np.isfinite(python), np.isfinite(traced))
    finite = np.isfinite(python)
    # Where the potential only just touches the threshold, the time is the square root of a rounding error.
    np.testing.assert_allclose(python[finite], traced[finite], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(traced, each, rtol=1e-12)


def test_vmap_is_a_loop(taus):
    arguments = [jnp.asarray(x) for x in neurons(40, 6, taus)]
    one = lambda *a: lif_crossing(*a, 1.0, *taus)  # noqa: E731
    together = jax.jit(one)(*arguments)
    apart = jax.jit(jax.vmap(one))(*arguments)
    nested = jax.jit(jax.vmap(jax.vmap(one)))(*(x.reshape(5, 8) for x in arguments))
    np.testing.assert_allclose(apart, together, rtol=1e-9)
    np.testing.assert_allclose(nested.reshape(40), together, rtol=1e-9)


def test_a_long_wait(taus, form):
    tau_mem, tau_syn = form(taus[0]), form(taus[1])
    i, current = jnp.array([0.0, -1.0, 0.0]), jnp.array([0.0, 0.5, 2.0])
    crossing = lif_crossing(jnp.zeros(3), i, jnp.full(3, 1e4), current, 1.0, tau_mem, tau_syn)
    np.testing.assert_allclose(crossing, [np.inf, np.inf, taus[0] * np.log(2.0)], rtol=1e-12)


def test_a_start_on_the_threshold_is_not_a_crossing(taus):
    one = jax.jit(lambda v, i: lif_crossing(v, i, jnp.full(3, 50.0), jnp.zeros(3), 1.0, *taus))
    # It falls; it is already there, and rises; it is above.
    assert np.isposinf(one(jnp.array([1.0, 1.0, 1.2]), jnp.array([0.0, 3.0, 30.0]))).all()


def test_the_saltation_of_a_newton_step_has_the_exact_derivative(taus):
    """The derivative of a crossing is `-(dv/dp) / (dv/dt)`: one Newton step at the crossing carries it."""

    @jax.jit
    @jax.value_and_grad
    def crossing(i):
        arguments = [jnp.asarray(0.1), i, jnp.asarray(100.0), jnp.asarray(0.0)]
        u = jax.lax.stop_gradient(lif_crossing(*arguments, 1.0, *taus))
        v, current = lif_flow(arguments[0], i, u, arguments[3], *taus)
        slope = jax.lax.stop_gradient((current - v) / taus[0])
        return u - (v - 1.0) / slope

    i, step = float(2.5 / exact_kernel(np.geomspace(1e-2, 1e3, 2000), *taus).max()), 1e-4
    (before, _), (at, slope), (after, _) = (crossing(jnp.asarray(x)) for x in (i - step, i, i + step))
    assert np.isfinite(at)
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=1e-6)


def test_they_are_public():
    assert st.lif_crossing is not None and st.lif_flow is not None and st.psp_kernel is not None
