"""Coined names: pronounceable, fresh for every task, and never shared between splits.

A word is a head (``Tav``, ``Brel``: ends in consonants) plus a tail (``orin``, ``ask``: begins with a vowel), so it
splits into its halves in exactly one way. The two halves determine the split in which a word may appear, so a name
seen in training cannot appear in a test task.
"""

from __future__ import annotations

import itertools

import numpy as np

from retro_gym.errors import UnknownTaskError
from retro_gym_envs.task_sources import SPLITS, split_of_number

__all__ = ["HEADS", "TAILS", "NameMaker", "split_of"]

_ONSETS = (*"BDFGHKLMNPRSTVWZ", "Br", "Dr", "Fl", "Gr", "Kl", "Pr", "Sk", "St", "Tr")
_HEAD_VOWELS = "aeiou"
_HEAD_CODAS = ("l", "n", "r", "v", "m", "sk")
_TAIL_VOWELS = "aeiou"
_TAIL_MIDDLES = ("d", "k", "l", "m", "n", "r", "s", "t", "v", "z")
_TAIL_ENDS = ("a", "in", "or", "ex", "um", "ith", "ock")

HEADS: tuple[str, ...] = tuple(map("".join, itertools.product(_ONSETS, _HEAD_VOWELS, _HEAD_CODAS)))[::2]
"""First halves, 375 of them."""
TAILS: tuple[str, ...] = tuple(map("".join, itertools.product(_TAIL_VOWELS, _TAIL_MIDDLES, _TAIL_ENDS)))
"""Second halves, 350 of them."""


def split_of(head: int, tail: int) -> str:
    """Returns the only split in which the word made of these halves may appear.

    >>> split_of(0, 0), split_of(0, 8), split_of(4, 5)
    ('train', 'validation', 'test')
    """
    return split_of_number(head + tail)


class NameMaker:
    """Draws the names of one task. No two words share a half, so names are easy to tell apart.

    Args:
        split: the split whose words may be drawn.
        rng: the source of randomness.
    """

    def __init__(self, split: str, rng: np.random.Generator) -> None:
        if split not in SPLITS:
            raise UnknownTaskError(f"split {split!r} is not one of {SPLITS}.")
        self._split = split
        self._heads: list[int] = rng.permutation(len(HEADS)).tolist()
        self._tails: list[int] = rng.permutation(len(TAILS)).tolist()

    def word(self) -> str:
        """Returns a word that this task has not used."""
        head = self._heads.pop()
        for position in range(len(self._tails) - 1, -1, -1):
            if split_of(head, self._tails[position]) == self._split:
                return HEADS[head] + TAILS[self._tails.pop(position)]
        raise RuntimeError("a task has used up all halves of words; it must need fewer names")  # a bug of ours

    def person(self) -> str:
        """Returns a first name and a surname."""
        return f"{self.word()} {self.word()}"
