"""Stages: what of a network can be solved one after the other."""

from collections.abc import Sequence
from typing import NamedTuple


class Stage(NamedTuple):
    """Populations that must be solved together: a strongly connected component.

    `cyclic` is false for a single population that does not feed back to itself: its neurons don't wait for each other.
    """

    populations: tuple[str, ...]
    cyclic: bool


def find_stages(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> tuple[Stage, ...]:
    """Tarjan's algorithm (SIAM J. Comput. 1, 1972), written as a loop; components come out sinks first."""
    successors: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        successors[source].append(target)

    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    components: list[Stage] = []
    for root in names:
        if root in order:
            continue
        work = [(root, iter(successors[root]))]
        order[root] = lowest[root] = len(order)
        path.append(root)
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    parent = work[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[name])
                if lowest[name] == order[name]:
                    start = path.index(name)
                    members = tuple(sorted(path[start:], key=list(names).index))
                    del path[start:]
                    components.append(Stage(members, len(members) > 1 or name in successors[name]))
            elif following not in order:
                order[following] = lowest[following] = len(order)
                path.append(following)
                work.append((following, iter(successors[following])))
            elif following in path:
                lowest[name] = min(lowest[name], order[following])
    return tuple(reversed(components))
