"""Ports: where spikes arrive at a neuron."""

import difflib


def check_port(owner: str, port: str, ports: tuple[str, ...]) -> None:
    """Raise `ValueError` if `owner` has no port of that name."""
    if port not in ports:
        near = difflib.get_close_matches(port, ports, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{owner} got spikes for the port {port!r}; expected one of {list(ports)}.{hint}")
