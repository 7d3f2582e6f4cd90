"""Which networks have an equilibrium of the kind that this method solves for."""

import saltation as st


def unsupported(network: st.Network) -> str:
    """Why a network has no such equilibrium, and what would help; nothing if it has one."""
    leaks = {}
    for name, neuron in network.neurons.items():
        if neuron.noise() is not None:
            return f"the neurons {name!r} are driven by noise. Use the method 'roughsde', or neurons without noise."
        dynamics = neuron.rate()
        if dynamics is None:
            return (
                f"the neurons {name!r} ({type(neuron).__name__}) have no rate equation. Use IF or LIF with "
                "tau_syn=None and reset_mode='subtract' (LIF with v_leak = v_reset), or the method 'ode'."
            )
        if not isinstance(dynamics.leak, int | float):
            return f"the neurons {name!r} have a leak that is an array. Give their tau_mem as a Python number."
        if not 0 < dynamics.leak <= 1:
            return f"the neurons {name!r} have a leak of {dynamics.leak}; expected one in (0, 1], what a step leaves."
        leaks[name] = dynamics.leak
    if len(set(leaks.values())) > 1:
        return (
            f"its populations leak differently ({leaks}), so their weighted rates have no common equilibrium. Give all "
            "neurons the same tau_mem."
        )
    for connection in network.connections:
        what = f"the connection {connection.source!r} -> {connection.target!r}"
        if connection.delay is not None:
            return (
                f"{what} has a delay, which an equilibrium does not depend on. Leave it out, or use the method 'ode'."
            )
        if connection.port != "current":
            return f"{what} ends at the port {connection.port!r}. Use the port 'current', or the method 'ode'."
    if not network.neurons:
        return "it has no neurons. Add a population, such as IF(30, tau_syn=None, reset_mode='subtract')."
    return ""
