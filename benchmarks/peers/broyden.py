"""The published algorithm in plain PyTorch: spikes in steps, then Broyden's method for the gradient at the rates.

Rank 27, at most 30 steps and the tolerance as published; its first step has the right sign. `python -m peers.broyden
CASE`, CASE one of those of `equilibrium.py`; it speaks the same protocol as that script's own side.
"""

import sys

import numpy as np
import torch
from _equilibrium_problem import BATCH, CASES, THRESHOLD, draw, resident, serve
from torch.nn import functional as F

RANK, STEPS, TOLERANCE = 27, 30, 2e-10


def main() -> None:
    libraries = resident()
    torch.set_num_threads(1)
    case = CASES[sys.argv[1]]
    arrays = draw(case)
    # PyTorch's kernels are [out, in, height, width], and its images have their channels first.
    order = (3, 2, 0, 1) if case.convolutional else (1, 0)
    weights = {
        name: torch.tensor(arrays[name].transpose(order).copy(), requires_grad=True) for name in ("into", "back")
    }
    weights["out"] = torch.tensor(arrays["out"].T.copy(), requires_grad=True)
    x = torch.tensor(arrays["x"].reshape(BATCH, *case.shape))
    x = x.permute(0, 3, 1, 2).contiguous() if case.convolutional else x.reshape(BATCH, -1)
    labels = torch.tensor(arrays["labels"].astype(np.int64))

    def into(x):
        return F.conv2d(x, weights["into"], stride=2, padding=2) if case.convolutional else x @ weights["into"].T

    def back(a):
        return F.conv2d(a, weights["back"], padding=2) if case.convolutional else a @ weights["back"].T

    def step():
        for weight in weights.values():
            weight.grad = None
        drive = into(x)
        with torch.no_grad():
            u = torch.zeros_like(drive)
            total = torch.zeros_like(drive)
            s = None
            for _ in range(case.steps):
                u = u + drive if s is None else u + back(s) + drive
                s = (u >= THRESHOLD).to(u.dtype)
                u = u - THRESHOLD * s
                total += s
            rates = total / case.steps
        a = rates.clone().requires_grad_()
        f = torch.clamp((back(a) + drive) / THRESHOLD, 0, 1)
        out = rates.clone().requires_grad_()
        features = out.permute(0, 2, 3, 1).reshape(BATCH, -1) if case.convolutional else out
        loss = F.cross_entropy(features @ weights["out"].T, labels)
        loss.backward()
        g = out.grad.reshape(BATCH, -1)

        def residual(v):
            (product,) = torch.autograd.grad(f, a, v.reshape(a.shape), retain_graph=True)
            return product.reshape(BATCH, -1) + g - v

        v = broyden(residual, torch.zeros_like(g))
        f.backward(v.reshape(f.shape))
        return [loss] + [weight.grad for weight in weights.values()]

    def values():
        loss, d_into, d_back, d_out = (array.detach().numpy() for array in step())
        undo = (2, 3, 1, 0) if case.convolutional else (1, 0)
        return {"loss": loss, "into": d_into.transpose(undo), "back": d_back.transpose(undo), "out": d_out.T}

    serve(step, values, f"PyTorch {torch.__version__}, Broyden", libraries=libraries)


def broyden(function, x: torch.Tensor) -> torch.Tensor:
    """The root of `function`, whose Jacobian is near `-1`; all samples at once. Good Broyden, inverse of low rank."""
    left = torch.zeros(*x.shape, RANK)
    right = torch.zeros(x.shape[0], RANK, x.shape[1])
    value = function(x)
    best, smallest = x, value.norm()
    for number in range(STEPS):
        used = min(number, RANK)
        update = value - _times(left[:, :, :used], _times(right[:, :used], value))
        change = update
        x = x + change
        following = function(x)
        difference, value = following - value, following
        size = value.norm()
        if size < smallest:
            best, smallest = x, size
        if size < TOLERANCE * x.numel() ** 0.5:
            break
        # B = -1 + U V^T;  u = (dx - B dg) / (dx^T B dg),  v^T = dx^T B
        v = -change + torch.bmm(torch.bmm(change[:, None], left[:, :, :used]), right[:, :used])[:, 0]
        u = change + difference - _times(left[:, :, :used], _times(right[:, :used], difference))
        u = u / _safe(torch.sum(v * difference, dim=1, keepdim=True))
        slot = number % RANK
        left[:, :, slot], right[:, slot] = u, v
    return best


def _times(matrix: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    return torch.bmm(matrix, vector[:, :, None])[:, :, 0]


def _safe(x: torch.Tensor) -> torch.Tensor:
    return torch.where(x.abs() > 1e-30, x, torch.full_like(x, 1e-30))


if __name__ == "__main__":
    main()
