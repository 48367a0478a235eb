"""Keeps the global random generators of a foreign environment apart from those of everybody else in the process."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["OwnRandom"]


@dataclasses.dataclass(frozen=True)
class _States:
    """The states of all global generators."""

    python: tuple[Any, ...]
    numpy: Any
    torch: Any
    """None if torch is not imported."""
    cuda: list[Any]
    """One for each device; empty if CUDA is not in use."""


class OwnRandom:
    """What ``random``, ``numpy.random`` and ``torch`` are to one environment.

    Many text environments draw from the generators of the process. Trials that are played side by side would then
    draw from each other's, and an environment that seeds them would reset those of a learner. Between two calls the
    states are kept here, and the process has its own again. This holds within one thread only.
    """

    def __init__(self) -> None:
        self._kept: _States | None = None

    @contextlib.contextmanager
    def active(self, seed: int | None = None) -> Iterator[None]:
        """Gives the process this environment's states while the block runs.

        Args:
            seed: seeds them anew; by default they go on from the end of the last block.
        """
        outer = _states()
        if seed is not None:
            _seed(seed)
        elif self._kept is not None:
            _restore(self._kept)
        try:
            yield
        finally:
            self._kept = _states()
            _restore(outer)


def _torch() -> Any:
    """Returns torch if somebody has imported it; it is not imported for this."""
    torch = sys.modules.get("torch")
    return torch if hasattr(torch, "set_rng_state") else None


def _states() -> _States:
    torch = _torch()
    on_cuda = torch is not None and torch.cuda.is_initialized()
    return _States(
        random.getstate(),
        np.random.get_state(legacy=False),
        None if torch is None else torch.get_rng_state(),
        list(torch.cuda.get_rng_state_all()) if on_cuda else [],
    )


def _restore(states: _States) -> None:
    random.setstate(states.python)
    np.random.set_state(states.numpy)
    if states.torch is not None:
        _torch().set_rng_state(states.torch)
    if states.cuda:
        _torch().cuda.set_rng_state_all(states.cuda)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch = _torch()
    if torch is not None:
        torch.manual_seed(seed)
