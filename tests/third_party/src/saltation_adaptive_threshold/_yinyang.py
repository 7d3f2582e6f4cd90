"""The recipe: Yin-Yang by first spikes, with adaptive thresholds."""

import saltation as st

from ._adaptive_lif import AdaptiveLIF

T1 = 60.0


def yinyang(
    *,
    hidden: int | None = 30,
    epochs: int = 30,
    batch_size: int = 100,
    learning_rate: float = 0.005,
    train_size: int = 5000,
) -> st.Experiment:
    """Yin-Yang: points of a disc in three classes, told apart by which output neuron spikes first.

    With `hidden=None` the inputs drive the output neurons themselves.
    """

    def encoder(x, key):
        return {"in": st.latency(x, t_min=2.0, t_max=30.0, bias=(0.0,))}

    def model(key):
        sizes = [5, 3] if hidden is None else [5, hidden, 3]
        network = st.feedforward(sizes, AdaptiveLIF(), weight=st.normal(9.0, 6.0), key=key)
        return st.Model(network, st.FirstSpikes())

    def loss(solution, times, target):
        return st.first_spike_cross_entropy(times, target, temperature=2.0, silent=T1)

    return st.Experiment(
        name="adaptive_lif/yinyang",
        dataset="yinyang",
        dataset_options={"train_size": train_size, "validation_size": 200, "test_size": 200},
        encoder=encoder,
        model=model,
        method=st.get_method("ode")(max_spikes=8, step=0.5),
        loss=st.Loss(loss, name="first-spike cross-entropy"),
        t1=T1,
        optimiser=st.Optimiser("adam", learning_rate),
        batch_size=batch_size,
        epochs=epochs,
    )
