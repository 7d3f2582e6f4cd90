"""How well the counts of spikes alone tell the classes of event lists apart."""

import numpy as np

from saltation import Dataset


def count_accuracy(data: Dataset, *, steps: int = 300, rate: float = 0.3) -> float:
    """Test accuracy of a multinomial logistic regression on how often each unit spikes; the best of four penalties."""

    def counts(split):
        return np.stack([np.bincount(x[x[:, 1] >= 0, 1].astype(int), minlength=700) for x in split.inputs])

    train, test = counts(data.train).astype(float), counts(data.test).astype(float)
    middle, spread = train.mean(0), train.std(0) + 1e-9
    train, test = (train - middle) / spread, (test - middle) / spread
    wanted = np.eye(20)[data.train.targets]
    scores = []
    for penalty in (0.001, 0.01, 0.1, 1.0):
        weight = np.zeros((700, 20))
        for _ in range(steps):
            logits = train @ weight
            share = np.exp(logits - logits.max(1, keepdims=True))
            share /= share.sum(1, keepdims=True)
            weight -= rate * (train.T @ (share - wanted) / len(train) + penalty * weight)
        scores.append(float(np.mean(np.argmax(test @ weight, axis=1) == data.test.targets)))
    return max(scores)
