"""Tensors as arrays and back, without a copy where the memory allows it."""

import jax
import numpy as np
import torch

SMALL = 32_768
"""Up to so many entries, to copy an array takes less time than to hand over its memory."""
DTYPES = (torch.float32, torch.float64)


def check_tensor(what: str, tensor: object, dtype: torch.dtype | None = None) -> None:
    """Raises where JAX would fail in its own words, or convert without a word.

    **Raises:** `TypeError` for what is no tensor, `ValueError` for a device or a dtype that cannot be bridged.
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{what}: got a {type(tensor).__name__}; expected a torch.Tensor.")
    if tensor.device.type != "cpu":
        raise ValueError(
            f"{what}: got a tensor on the device {str(tensor.device)!r}; expected 'cpu', where this bridge computes. "
            "Move it there: tensor.cpu(), module.cpu()."
        )
    if tensor.dtype not in DTYPES or (dtype is not None and tensor.dtype != dtype):
        wanted = " or ".join(map(str, DTYPES)) if dtype is None else str(dtype)
        raise ValueError(
            f"{what}: got a tensor of {tensor.dtype}; expected {wanted}, as the module's parameters are. Convert the "
            "one or the other: tensor.float(), tensor.double(), module.float(), module.double()."
        )
    if tensor.dtype == torch.float64 and not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            f"{what}: got a tensor of torch.float64, but JAX computes in float32; expected torch.float32. Convert it "
            "by tensor.float() and module.float(), or allow float64 before anything else: "
            "jax.config.update('jax_enable_x64', True)."
        )


def to_jax(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's own memory, as an argument of a compiled function.

    XLA reads it without a copy where it is aligned as XLA wants it (64 bytes, as PyTorch's own memory is), while the
    call runs: `jax.numpy.from_dlpack` would make an array of it first, which takes longer than small ones are copied.
    """
    return tensor.detach().numpy()


def to_torch(array: jax.Array | np.ndarray) -> torch.Tensor:
    """The array's own memory, of a small one of JAX a copy. Waits until it is computed."""
    if isinstance(array, np.ndarray):
        return torch.from_numpy(array)
    return torch.from_numpy(np.array(array)) if array.size < SMALL else torch.from_dlpack(array)
