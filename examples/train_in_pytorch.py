"""Train Yin-Yang in an ordinary PyTorch loop, by `torch.optim`. Times are in ms."""

import jax
import jax.numpy as jnp
import numpy as np
import torch

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_torch import SpikingModule

T1, EPOCHS = 200.0, 3
data = st.get_dataset("yinyang")()
neuron = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
weights = [st.normal(9.0, 5.0), st.normal(2.0, 4.0)]
layers = st.feedforward([6, 30, 3], neuron, weight=weights, key=jax.random.key(0))
# A constant current takes each output over its threshold by itself, late, so that none is ever without a gradient.
late = st.Connection("bias", "out", st.OneToOne(3, 1.2))
net = st.Network({"in": 6, "bias": 3}, layers.neurons, [*layers.connections, late], ["out"])


def encode(point):
    return {"in": st.latency(point, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)), "bias": st.Current(jnp.ones(3))}


layer = SpikingModule(net, st.get_method("delgrad")(), t1=T1, encode=encode, silent=T1)
optimiser = torch.optim.Adam(layer.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS * 100)
points, labels = (torch.from_numpy(np.asarray(x)) for x in (data.train.inputs, data.train.targets))
random = torch.Generator().manual_seed(0)

for epoch in range(EPOCHS):
    for batch in torch.randperm(5000, generator=random).reshape(-1, 50):
        first = layer(points[batch].float())
        loss = torch.nn.functional.cross_entropy(-first, labels[batch].long())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        first = layer(torch.from_numpy(np.asarray(data.test.inputs)).float()).numpy()
    print(f"epoch {epoch + 1}: test accuracy {(first.argmin(1) == data.test.targets).mean():.1%}")
