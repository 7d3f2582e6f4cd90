"""A bridge takes passes on the host where there are some, and JAX where these decline."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import saltation as st
from saltation_torch import Bridge


class Scaled(st.AbstractHostPasses):
    """`scale * times`, of times that are not negative."""

    def forward(self, arrays, times):
        (scale,) = arrays
        return None if (times < 0).any() else (scale * times, (scale, times))

    def backward(self, kept, cotangent, wanted):
        scale, times = kept
        gradients = (np.sum(cotangent * times), cotangent * scale)
        return [np.asarray(gradient) for gradient, use in zip(gradients, wanted, strict=True) if use]


def _bridge(calls: list) -> Bridge:
    def by_jax(scale, times):
        calls.append(times.shape)
        return scale * jnp.abs(times), jnp.zeros(len(times), jnp.int32)

    return Bridge(by_jax, host=Scaled())


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_the_same_by_either_way(sign, wanted):
    calls = []
    bridge = _bridge(calls)
    scale = torch.tensor(3.0, requires_grad=wanted[0])
    times = torch.tensor([[1.0, 2.0], [4.0, 8.0]]).mul(sign).requires_grad_(wanted[1])
    output, aside = bridge(scale, times)
    torch.testing.assert_close(output, 3.0 * times.abs())
    output.sum().backward()
    assert scale.grad is None if not wanted[0] else scale.grad == 15.0
    if wanted[1]:
        torch.testing.assert_close(times.grad, torch.full((2, 2), 3.0 * sign))
    assert (aside is None) == (sign > 0) == (not calls)


def test_without_a_gradient():
    calls = []
    bridge = _bridge(calls)
    with torch.no_grad():
        for sign in (1.0, -1.0):
            output, _ = bridge(torch.tensor(3.0, requires_grad=True), torch.tensor([[sign]]))
            assert output == 3.0 and not output.requires_grad
    assert len(calls) == 1
