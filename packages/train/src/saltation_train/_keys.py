"""Random keys: a stream for each purpose, a pure function of the seed, so a resumed run draws the same."""

import functools

import jax
from jaxtyping import PRNGKeyArray

MODEL, ORDER, SAMPLES, SCORING = range(4)


@functools.lru_cache(maxsize=16)
def stream(seed: int, purpose: int) -> PRNGKeyArray:
    """The key of one purpose."""
    return jax.random.fold_in(jax.random.key(seed), purpose)
