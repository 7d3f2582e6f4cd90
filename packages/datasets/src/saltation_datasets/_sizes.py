"""The check that every `..._size` option shares."""


def check_size(option: str, size: int, *, minimum: int, maximum: int | None = None) -> None:
    """Refuse a number of samples outside of `minimum ... maximum`.

    **Raises** `ValueError`: naming the option, what it got and what it takes.
    """
    if minimum <= size and (maximum is None or size <= maximum):
        return
    expected = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"
    raise ValueError(f"{option}: got {size}, expected {expected} samples. Fix: pass a number in that range.")
