"""A step of the optimiser, taken only where every gradient is finite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from retro_gym_agents.lm.finite import check_finite

__all__ = ["step"]


def step(
    optimizer: torch.optim.Optimizer, weights: Mapping[str, Iterable[nn.Parameter]], max_norm: float
) -> dict[str, float]:
    """Clips gradients and takes a step.

    What has a gradient of its own is clipped by itself: were there one norm for adapter and value head together, the
    size of the value loss, which is in no relation to the policy's, would decide how far the policy moves.

    Args:
        optimizer: of all the weights.
        weights: by what they are called.
        max_norm: of each gradient.

    Returns:
        The norm of each gradient, as it was before.

    Raises:
        DivergedError: a gradient is not finite. No weight was changed.
    """
    parts = {name: list(part) for name, part in weights.items()}
    norms = {
        name: nn.utils.get_total_norm([w.grad for w in part if w.grad is not None]) for name, part in parts.items()
    }
    figures = {name: norm.item() for name, norm in norms.items()}
    check_finite({f"the norm of the gradient of the {name}": figure for name, figure in figures.items()})
    for name, part in parts.items():
        nn.utils.clip_grads_with_norm_(part, max_norm, norms[name])
    optimizer.step()
    return figures
