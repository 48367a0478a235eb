"""Checks that values and weights are finite: after an update with one NaN, every weight would be NaN."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

from retro_gym.errors import DivergedError

__all__ = ["REMEDY", "check_finite", "not_finite"]

REMEDY = (
    "Lower learning_rate or max_grad_norm, or compute in higher precision: dtype 'float32', no autocast. Rewards of "
    "very different sizes and a kl_coef of 0 are other causes."
)


def check_finite(figures: Mapping[str, float]) -> None:
    """Refuses values that are not finite.

    Raises:
        DivergedError: a value is not finite; the error names the first.
    """
    for name, figure in figures.items():
        if not math.isfinite(figure):
            raise DivergedError(
                f"{name} is {figure}; an update with it would destroy the weights, so it was not applied. {REMEDY}"
            )


def not_finite(value: Any) -> str | None:
    """Returns the path of the first number in nested mappings and sequences that is not finite; None if all are.

    >>> import torch
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
