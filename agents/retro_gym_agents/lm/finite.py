"""An optimiser's step, taken only where all that it follows from is finite: one NaN would be in every weight."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from retro_gym.errors import DivergedError

__all__ = ["REMEDY", "check_finite", "not_finite", "step"]

REMEDY = (
    "Lower learning_rate or max_grad_norm, or compute with more digits: dtype 'float32', no autocast. Rewards of very "
    "different sizes, and a kl_coef of 0, lead there too."
)


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


def check_finite(figures: Mapping[str, float]) -> None:
    """Refuses figures that are no finite numbers.

    Raises:
        DivergedError: one of them is not; it names the first.
    """
    for name, figure in figures.items():
        if not math.isfinite(figure):
            raise DivergedError(
                f"{name} is {figure}, and a step that follows it would spoil every weight: it was not taken. {REMEDY}"
            )


def not_finite(value: Any) -> str | None:
    """Where in nested mappings and sequences the first number stands that is not finite; None where all are.

    >>> not_finite({"adapter": {"a": torch.ones(2)}, "best": [torch.tensor([1.0, float("nan")])]})
    'best.0'
    """
    return next((".".join(path) for path, leaf in _leaves(value) if not _is_finite(leaf)), None)


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, (*path, str(name)))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for number, part in enumerate(value):
            yield from _leaves(part, (*path, str(number)))
    else:
        yield path, value


def _is_finite(leaf: Any) -> bool:
    if isinstance(leaf, Tensor):
        return bool(leaf.isfinite().all())
    return not isinstance(leaf, float) or math.isfinite(leaf)
