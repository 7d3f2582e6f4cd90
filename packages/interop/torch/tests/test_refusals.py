"""Wrong tensors and networks are refused in words that help."""

import jax
import jax.numpy as jnp
import pytest
import torch

import saltation as st
from saltation_neurons import LIF
from saltation_torch import Bridge, SpikingModule
from saltation_torch._tensors import check_tensor


@pytest.fixture
def layer(network) -> SpikingModule:
    return SpikingModule(network, st.get_method("delgrad")(), t1=80.0)


def test_another_dtype_is_named(layer, times):
    with pytest.raises(ValueError, match="the input 'in': got a tensor of torch.float32; expected torch.float64"):
        layer(times.float())
    with pytest.raises(ValueError, match="expected torch.float32 or torch.float64|expected torch.float16"):
        layer.half()(times.half())


def test_another_device_is_named(layer, times):
    with pytest.raises(ValueError, match="got a tensor on the device 'meta'; expected 'cpu'"):
        layer(times.to("meta"))
    with pytest.raises(ValueError, match="the parameter .* on the device 'meta'"):
        layer.to("meta")(times)


def test_float64_without_jax_in_float64_is_refused(layer, times):
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match="jax.config.update"):
            layer(times)
    finally:
        jax.config.update("jax_enable_x64", True)


def test_one_sample_and_no_tensor_are_refused(layer, times):
    with pytest.raises(ValueError, match="One sample is a batch of one"):
        layer(times[0])
    with pytest.raises(TypeError, match="the input 'in': got a ndarray; expected a torch.Tensor"):
        check_tensor("the input 'in'", times.numpy())
    with pytest.raises(ValueError, match="Did you mean 'in'"):
        layer({"im": times})


def test_a_method_that_cannot_solve_it_says_why(network):
    with pytest.raises(st.UnsupportedError, match="AtMostOnce"):
        SpikingModule(st.feedforward([2, 1], LIF(), key=jax.random.key(0)), st.get_method("delgrad")(), t1=80.0)
    model = st.Model(network, st.Rates("out"))
    with pytest.raises(st.UnsupportedError, match="needs a gradient of"):
        SpikingModule(model, st.get_method("delgrad")(), t1=80.0)


def test_samples_that_fail_are_counted(times):
    net = st.feedforward([3, 1], LIF(tau_mem=20.0, tau_syn=10.0), weight=st.normal(60.0, 1.0), key=jax.random.key(0))
    layer = SpikingModule(net, st.get_method("ode")(max_spikes=1), t1=80.0)
    with pytest.raises(st.SolveError, match="3 of 3 samples could not be solved.*Raise `max_spikes`"):
        layer(times)


def test_second_derivatives_and_changes_in_place_are_refused():
    bridge = Bridge(lambda x: (jnp.sin(x), None))
    x = torch.ones(3, dtype=torch.float64, requires_grad=True)
    for power in (1, 2):  # what comes down from the loss is a constant or is not
        (gradient,) = torch.autograd.grad(bridge(x)[0].pow(power).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="first derivatives only"):
            (gradient.sum() + x.sum()).backward()
    y = x * 1.0
    output, _ = bridge(y)
    y.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()
