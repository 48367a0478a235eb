"""What token views tell in ``info``: everything, numbers alone, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from retro_gym.checks import check_choice

__all__ = ["NUMBERS", "InfoMode", "batched_numbers", "check_info_mode", "told"]

InfoMode = Literal["full", "numbers", "none"]

NUMBERS: dict[str, int | float | bool] = {
    "trial": 0,
    "success": False,
    "return": 0.0,
    "skipped": 0,
    "reflection_truncated": False,
    "leak": False,
    "reflection_tokens": 0,
    "prompt_tokens": 0,
    "prompt_cut": False,
    "actor_failed": False,
}
"""The keys of ``info`` with ``info="numbers"``, and their values where there is nothing to say."""


def check_info_mode(mode: object) -> None:
    """Checks a mode.

    Raises:
        ConfigError: it is not an :data:`InfoMode`.
    """
    check_choice("info", mode, get_args(InfoMode))


def told(info: Mapping[str, Any], mode: InfoMode) -> dict[str, Any]:
    """Returns what a mode tells of an ``info``; of an empty one, between two tokens, the zeros of :data:`NUMBERS`.

    >>> told({"task_id": "t-0", "return": 0.5, "actor_error": "no connection"}, "none")
    {}
    >>> numbers = told({"task_id": "t-0", "return": 0.5, "actor_error": "no connection"}, "numbers")
    >>> list(numbers) == list(NUMBERS), numbers["return"], numbers["actor_failed"], numbers["trial"]
    (True, 0.5, True, 0)
    """
    if mode == "full":
        return dict(info)
    if mode == "none":
        return {}
    known = {**info, "actor_failed": "actor_error" in info}
    return {name: type(zero)(known.get(name, zero)) for name, zero in NUMBERS.items()}


def batched_numbers(infos: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns the numbers of n environments as arrays of length n, with the masks of Gymnasium's vector environments.

    >>> batched_numbers([told({"return": 0.5}, "numbers"), told({}, "numbers")])["return"].tolist()
    [0.5, 0.0]
    """
    batched: dict[str, Any] = {}
    for name in NUMBERS:
        batched[name] = np.array([info[name] for info in infos])
        batched[f"_{name}"] = np.ones(len(infos), dtype=np.bool_)
    return batched
