"""Feedback at its equilibrium: 40 neurons learn which of two patterns they see, from five steps of spikes each."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import saltation as st
from saltation_equilibrium import Contracting, contraction
from saltation_neurons import IF

keys = jax.random.split(jax.random.key(0), 4)
feedback = Contracting(st.Dense(0.2 * jax.random.normal(keys[0], (40, 40))), bound=0.9)
net = st.Network(
    inputs={"in": 16},
    neurons={"hidden": IF(40, tau_syn=None, reset_mode="subtract")},
    connections=[
        st.Connection("in", "hidden", st.Dense(0.3 * jax.random.normal(keys[1], (16, 40)))),
        st.Connection("hidden", "hidden", feedback),
    ],
    outputs=["hidden"],
)
model = st.Model(net, st.Linear(st.Rates("hidden"), 40, 2, key=keys[2]))
method = st.get_method("equilibrium")(gradient_at="fixed_point")
save = st.Save(spikes=False, rates=True)
labels = jnp.arange(64) % 2
signs = jax.random.rademacher(keys[3], (64, 8)).astype(float)
# Both patterns have the same mean: the second half repeats the first one, or its negative.
images = jnp.concatenate([signs, jnp.where(labels[:, None] == 1, signs, -signs)], axis=1)
optimiser = optax.adam(0.01)


@eqx.filter_jit
@eqx.filter_value_and_grad(has_aux=True)
def loss(model):
    def one(image, label):
        solution = method.solve(model.network, {"in": st.Current(image)}, t1=5.0, save=save, throw=False)
        scores = model.readout(solution)
        return st.rate_cross_entropy(scores, label), jnp.argmax(scores) == label

    losses, right = jax.vmap(one)(images, labels)
    return jnp.mean(losses), jnp.mean(right)


state = optimiser.init(eqx.filter(model, eqx.is_array))
for i in range(61):
    (value, accuracy), gradient = loss(model)
    if i % 20 == 0:
        bound = float(contraction(model.network).bound["hidden"])
        print(f"step {i}: loss {value:.3f}, {100 * accuracy:.0f} % right, feedback contracts by {bound:.2f}")
    updates, state = optimiser.update(gradient, state)
    model = eqx.apply_updates(model, updates)
