"""What the tests of this package share: one compiled `solve`, and both kernels."""

from collections.abc import Callable

import equinox as eqx
import pytest

import saltation as st
from saltation_delgrad import DelGrad, _library


@pytest.fixture(scope="session", params=["native", "jax"])
def kernel(request) -> str:
    """Each kernel in turn; a machine without a compiler has one."""
    if request.param == "native" and isinstance(reason := _library.load(), str):
        pytest.skip(f"no native kernel: {reason}")
    return request.param


@eqx.filter_jit
def _solve(method, network, stimulus, t1):
    return method.solve(network, stimulus, t1=t1, throw=False)


@pytest.fixture(scope="session")
def solve() -> Callable[..., st.Solution]:
    """`DelGrad().solve(network, stimulus, t1=...)`, compiled once for each structure, never raising."""
    return lambda network, stimulus, *, t1, kernel="auto": _solve(DelGrad(kernel=kernel), network, stimulus, t1)
