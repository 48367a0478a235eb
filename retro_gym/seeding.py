"""Derives seeds from names and numbers: the same parts give the same seed on every machine and in every process."""

from __future__ import annotations

import hashlib
import operator

from retro_gym.errors import ConfigError, one_line

__all__ = ["checked_seed", "derive_seed", "trial_seed", "turn_seed"]

_SEEDS = 2**31  # number of seeds: those of servers must fit into 32 bits with a sign


def derive_seed(*parts: int | str) -> int:
    """Returns a seed in [0, 2**31) that is a hash of its parts; different parts give unrelated seeds.

    >>> derive_seed(7, "task-3", 1) == derive_seed(7, "task-3", 1)
    True
    >>> derive_seed(7, "task-3", 1) == derive_seed(7, "task-3", 2)
    False
    """
    plain = tuple(part if isinstance(part, str) else operator.index(part) for part in parts)  # NumPy's integers too
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 33


def turn_seed(trial_seed: int, turn: int) -> int:
    """Returns the seed of an actor's turn.

    It is the trial's seed plus the number of the turn, so that an actor that only receives the seed of a turn, such as
    one behind a server, can still recover the trial's, see :func:`trial_seed`.

    >>> turn_seed(7, 3), trial_seed(10, 3)
    (10, 7)
    """
    return (trial_seed + turn) % _SEEDS


def trial_seed(turn_seed: int, turn: int) -> int:
    """Returns the seed of the trial that a turn belongs to: the inverse of :func:`turn_seed`."""
    return (turn_seed - turn) % _SEEDS


def checked_seed(seed: object) -> int:
    """Returns a seed as a Python int; NumPy integers are accepted.

    Raises:
        ConfigError: it is not a whole number, or below 0.

    >>> import numpy as np
    >>> checked_seed(np.int64(7))
    7
    """
    try:
        number = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        number = -1
    if number < 0:
        raise ConfigError(f"seed is {one_line(seed)}; it is a whole number, at least 0.")
    return number
