"""What the tests of this package share: one compiled `solve`."""

from collections.abc import Callable

import equinox as eqx
import pytest

import saltation as st
from saltation_delgrad import DelGrad


@eqx.filter_jit
def _solve(network, stimulus, t1):
    return DelGrad().solve(network, stimulus, t1=t1, throw=False)


@pytest.fixture(scope="session")
def solve() -> Callable[..., st.Solution]:
    """`DelGrad().solve(network, stimulus, t1=...)`, compiled once for each structure, never raising."""
    return lambda network, stimulus, *, t1: _solve(network, stimulus, t1)
