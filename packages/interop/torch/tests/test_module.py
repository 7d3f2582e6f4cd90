"""A network and a method as a layer of PyTorch: the same numbers, the same gradients, torch's own habits."""

import copy
import io

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import saltation as st
from saltation_neurons import LIF
from saltation_torch import Bridge, SpikingModule

T1 = 80.0


@pytest.fixture(params=["auto", "jax"])
def layer(request, network) -> SpikingModule:
    """By passes on the host, where there is a native kernel, and by compiled calls."""
    return SpikingModule(network, st.get_method("delgrad")(kernel=request.param), t1=T1)


def native(network: st.Network, times: torch.Tensor, cotangent: torch.Tensor):
    """First spikes and gradients of their weighted sum, by JAX alone."""

    def first(network, times):
        solve = lambda row: st.get_method("delgrad")().solve(network, {"in": st.Spikes.from_dense(row)}, t1=T1)  # noqa: E731
        return jax.vmap(lambda row: solve(row).spikes["out"].first())(times)

    def total(both):
        found = first(*both)
        return jnp.sum(found * jnp.asarray(cotangent.numpy())), found

    return eqx.filter_jit(eqx.filter_value_and_grad(total, has_aux=True))((network, jnp.asarray(times.numpy())))


def test_values_and_gradients_are_those_of_jax(network, layer, times):
    cotangent = torch.arange(6, dtype=torch.float64).reshape(3, 2) - 2.0
    (_, wanted), (gradient, of_times) = native(network, times, cotangent)
    times.requires_grad_()
    output = layer(times)
    np.testing.assert_allclose(output.detach(), wanted, rtol=1e-12)
    output.backward(cotangent)
    leaves = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    assert len(leaves) == 4 and any(np.abs(leaf).max() > 0.1 for leaf in leaves)
    for parameter, leaf in zip(layer.parameters(), leaves, strict=True):
        np.testing.assert_allclose(parameter.grad, leaf, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(times.grad, of_times, rtol=1e-10, atol=1e-12)


def test_an_output_may_be_changed_in_place(layer, times):
    gradients = []
    for change in (False, True):
        layer.zero_grad()
        output = layer(times)
        total = (2.0 * output).sum()
        with torch.no_grad():
            output.mul_(0.0 if change else 1.0)
        total.backward()
        gradients.append([parameter.grad.clone() for parameter in layer.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
        assert one.abs().max() > 0


def test_the_converter_is_registered():
    assert st.get_converter("torch") is SpikingModule


def test_gradcheck_passes_in_float64(layer, times):
    names, values = zip(*layer.named_parameters(), strict=True)

    def output(inputs, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (inputs,))

    values = [value.detach().clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(output, (times[:1].requires_grad_(), *values), eps=1e-6, atol=1e-6)


def test_it_learns_beside_layers_of_torch(layer, times):
    torch.manual_seed(0)
    before = torch.nn.Linear(3, 3).double()
    model = torch.nn.Sequential(before, torch.nn.Softplus(), layer, torch.nn.Linear(2, 1).double())
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    losses = []
    for _ in range(8):
        loss = torch.mean((model(times / 10.0) - 3.0) ** 2)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert all(not torch.equal(value, start[name]) for name, value in model.named_parameters())


def test_a_state_is_saved_and_loaded(network, layer, times):
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = jax.tree.map(lambda leaf: leaf * 1.1 if eqx.is_inexact_array(leaf) else leaf, network)
    again = SpikingModule(other, layer._method, t1=T1)
    with torch.no_grad():
        assert not torch.equal(again(times), layer(times))
        again.load_state_dict(torch.load(file))
        assert torch.equal(again(times), layer(times))
    assert "connections_0_synapse_weight" in again.state_dict()


def test_the_trained_network_comes_back(network, layer):
    with torch.no_grad():
        layer.connections_0_synapse_weight.mul_(2.0)
    np.testing.assert_allclose(layer.model().connections[0].synapse.weight, 2.0 * network.connections[0].synapse.weight)


def test_only_what_is_named_is_trained(network):
    layer = SpikingModule(network, st.get_method("delgrad")(), t1=T1, train=["delay"])
    assert {name for name, _ in layer.named_parameters()} == {f"connections_{i}_delay_raw" for i in (0, 1)}
    assert "connections_0_synapse_weight" in dict(layer.named_buffers())
    with pytest.raises(ValueError, match="wieght"):
        SpikingModule(network, st.get_method("delgrad")(), t1=T1, train=["wieght"])


def test_a_copy_is_a_layer_of_its_own(layer, times):
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.connections_0_synapse_weight.mul_(1.2)
        assert not torch.equal(other(times), layer(times))


def test_silent_neurons_are_a_constant_without_a_gradient(network, times):
    weak = jax.tree.map(lambda leaf: leaf * 0.01 if eqx.is_inexact_array(leaf) and leaf.ndim == 2 else leaf, network)
    layer = SpikingModule(weak, st.get_method("delgrad")(), t1=T1, silent=T1)
    output = layer(times)
    assert (output == T1).all()
    output.sum().backward()
    assert all((parameter.grad == 0).all() for parameter in layer.parameters())


def test_a_model_its_readout_and_an_encoder(network, times):
    def encode(x):
        return {"in": st.latency(x, t_min=0.0, t_max=10.0)}

    model = st.Model(network, st.Linear(st.FirstSpikes("out"), 2, 5, key=jax.random.key(1)))
    layer = SpikingModule(model, st.get_method("delgrad")(), t1=T1, encode=encode)
    output = layer(times / 10.0)
    assert output.shape == (3, 5)
    output.sum().backward()
    assert layer.readout_weight.grad.abs().max() > 0


def test_states_of_another_method(times):
    net = st.feedforward([3, 2], LIF(tau_mem=20.0, tau_syn=10.0, v_threshold=9.0), key=jax.random.key(0))
    save = st.Save(states_at=[30.0])
    layer = SpikingModule(
        net, st.get_method("ode")(max_spikes=2), t1=T1, save=save, readout=lambda solution: solution.states["out"].v[0]
    )
    layer(times).sum().backward()
    assert layer.connections_0_synapse_weight.grad.abs().min() > 0


def test_memory_is_shared_where_it_can_be(layer):
    from saltation_torch._tensors import to_jax, to_torch

    for tensor in (torch.zeros(3), torch.zeros(256, 256), torch.zeros(4, 3).T):
        assert to_jax(tensor).ctypes.data == tensor.data_ptr()
    # XLA takes it as it is where it is aligned, as that of parameters is.
    assert all(parameter.data_ptr() % 64 == 0 for parameter in layer.parameters())
    array = jnp.zeros((256, 256)) + 1.0
    assert to_torch(array).data_ptr() == array.unsafe_buffer_pointer()


@pytest.mark.parametrize("rows", [4, 400])
def test_results_keep_their_values_when_parameters_change(rows):
    weight = torch.nn.Parameter(torch.ones(rows, 100))
    bridge = Bridge(lambda w: (w, w))
    for output, aside in (bridge(weight), bridge(weight.detach())):
        with torch.no_grad():
            weight.add_(1.0)
        assert (output == output[0, 0]).all() and output[0, 0] < weight[0, 0]
        assert (np.asarray(aside) == output.detach().numpy()).all()


def test_a_column_is_an_input_and_the_model_a_copy(network, layer, times):
    with torch.no_grad():
        assert torch.equal(layer(times.T.contiguous().T), layer(times))
        model = layer.model()
        before = np.array(model.connections[0].synapse.weight)
        layer.connections_0_synapse_weight.mul_(2.0)
    np.testing.assert_array_equal(model.connections[0].synapse.weight, before)


def test_shapes_types_and_gradients_wanted_may_change_between_calls(layer, times):
    with torch.no_grad():
        wanted = layer(times)
    assert torch.equal(layer(times[:2]), wanted[:2])
    layer(times.requires_grad_()).sum().backward()
    assert times.grad is not None
    layer.requires_grad_(False)
    layer.zero_grad()
    output = layer(times)
    output.sum().backward()
    assert torch.equal(output, wanted) and all(parameter.grad is None for parameter in layer.parameters())
