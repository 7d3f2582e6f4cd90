"""Gradients that have no derivative of their own."""

from typing import Any

import torch


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gradient: torch.Tensor, *sources: torch.Tensor) -> torch.Tensor:
        return gradient.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        raise RuntimeError(
            "Saltation has first derivatives only: the derivative of a gradient is not defined. Leave out "
            "create_graph=True, or detach the gradient."
        )


def once(gradient: torch.Tensor, *sources: torch.Tensor) -> torch.Tensor:
    """The gradient that a backward pass returns, which raises where it is differentiated again.

    With `create_graph=True` PyTorch would take it for a constant, without a word, wherever what came down from the loss
    is one; it depends on the `sources` instead.
    """
    return _Once.apply(gradient, *sources) if torch.is_grad_enabled() else gradient  # pyright: ignore[reportReturnType]
