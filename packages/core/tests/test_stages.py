"""Stages: against reachability by brute force, on random graphs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

import saltation as st
from saltation._stages import find_stages


@hs.composite
def graphs(draw):
    size = draw(hs.integers(1, 7))
    names = [f"p{n}" for n in range(size)]
    pairs = hs.tuples(hs.sampled_from(names), hs.sampled_from(names))
    return draw(hs.permutations(names)), draw(hs.lists(pairs, max_size=2 * size))


def reachability(names, edges):
    """`[a, b]`: whether a path of one or more edges leads from `a` to `b`."""
    position = {name: n for n, name in enumerate(names)}
    reach = np.zeros((len(names), len(names)), bool)
    for source, target in edges:
        reach[position[source], position[target]] = True
    for middle in range(len(names)):
        reach |= reach[:, [middle]] & reach[[middle], :]
    return reach


@given(graph=graphs())
@settings(max_examples=200, deadline=None)
def test_stages_are_what_reaches_each_other_in_order(graph):
    names, edges = graph
    stages = find_stages(names, edges)
    assert sorted(name for stage in stages for name in stage.populations) == sorted(names)
    reach = reachability(names, edges)
    position = {name: n for n, name in enumerate(names)}
    place = {name: n for n, stage in enumerate(stages) for name in stage.populations}
    for a in names:
        for b in names:
            together = a == b or (reach[position[a], position[b]] and reach[position[b], position[a]])
            assert (place[a] == place[b]) == together
    for source, target in edges:
        assert place[source] <= place[target]
    for stage in stages:
        first = position[stage.populations[0]]
        assert stage.cyclic == reach[first, first]
        assert list(stage.populations) == sorted(stage.populations, key=names.index)


def test_a_long_chain_is_no_recursion():
    names = [f"p{n}" for n in range(3000)]
    stages = find_stages(names, list(zip(names, names[1:])))
    assert [stage.populations[0] for stage in stages] == names and not any(stage.cyclic for stage in stages)


@pytest.mark.parametrize(("edges", "cyclic"), [([], False), ([("a", "a")], True)])
def test_one_population_alone(edges, cyclic):
    assert find_stages(["a"], edges) == (st.Stage(("a",), cyclic),)
