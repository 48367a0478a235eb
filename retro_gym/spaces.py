"""A text space for arbitrary Unicode strings."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any, SupportsIndex, cast, overload

import numpy as np
from gymnasium import spaces
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from numpy.typing import NDArray

from retro_gym.errors import ConfigError

__all__ = ["UnicodeText"]

_SAMPLE_LENGTH = 64  # characters; enough for samples to test an environment
_SAMPLE_RANGES = (  # ASCII, Latin and combining marks, Cyrillic, Arabic, CJK, symbols, emoji; no surrogates
    (0x20, 0x7F),
    (0xA0, 0x370),
    (0x400, 0x500),
    (0x600, 0x700),
    (0x4E00, 0x9FFF),
    (0x2190, 0x2BFF),
    (0x1F300, 0x1FAFF),
)


class _AllCharacters(Sequence[str]):
    """A lazy sequence of all code points, as Gymnasium's flattening needs a charset."""

    def __len__(self) -> int:
        return sys.maxunicode + 1

    def __contains__(self, char: object) -> bool:
        return isinstance(char, str) and len(char) == 1

    def __iter__(self) -> Iterator[str]:
        return map(chr, range(len(self)))

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [chr(code) for code in range(len(self))[index]]
        return chr(index)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _AllCharacters)

    def __hash__(self) -> int:
        return hash(_AllCharacters)


_ALL_CHARACTERS = _AllCharacters()


class UnicodeText(spaces.Text):
    """The space of Unicode texts of at most ``max_length`` characters, including the empty text.

    Gymnasium's own ``Text`` is alphanumeric by default, checks every character in ``contains``, prints its charset in
    ``repr`` and fails in the shared memory of an ``AsyncVectorEnv`` on characters outside of its charset. Here
    ``contains`` checks the length only, and a character's index is its code point.

    Args:
        max_length: maximum length of a text in characters (code points).
        seed: seed of ``sample``.

    Raises:
        ConfigError: ``max_length`` is below 1.

    >>> space = UnicodeText(40)
    >>> "naïve 反省 🙂" in space, "" in space, "x" * 41 in space
    (True, True, False)
    >>> space
    UnicodeText(40)
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        if max_length < 1:
            raise ConfigError(f"max_length is {max_length}; a text space needs at least 1 character.")
        super().__init__(max_length, min_length=0, charset=" ", seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string of at most ``max_length`` characters."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(
        self,
        mask: tuple[int | None, NDArray[np.int8] | None] | None = None,
        probability: tuple[int | None, NDArray[np.float64] | None] | None = None,
    ) -> str:
        """Draws a short random text of mixed scripts, of at most 64 characters (and at most ``max_length``).

        Args:
            mask: ``(length, None)`` fixes the length; a charset mask is refused.
            probability: as ``mask``.

        Raises:
            ConfigError: a mask over characters was given, or a length outside of the space.
        """
        length, characters = mask or probability or (None, None)
        if characters is not None:
            raise ConfigError("UnicodeText takes no mask over characters: there are over a million. Give None.")
        if length is None:
            length = int(self.np_random.integers(0, min(self.max_length, _SAMPLE_LENGTH) + 1))
        if not 0 <= length <= self.max_length:
            raise ConfigError(f"a sample of {length} characters does not fit into {self!r}.")
        ranges = np.asarray(_SAMPLE_RANGES)[self.np_random.integers(len(_SAMPLE_RANGES), size=length)]
        codes = self.np_random.integers(ranges[:, 0], ranges[:, 1]) if length else ()
        return "".join(map(chr, codes))

    @property
    def character_set(self) -> frozenset[str]:
        """All code points, as a lazy sequence with ``len`` and ``in``."""
        return cast("frozenset[str]", _ALL_CHARACTERS)

    @property
    def character_list(self) -> tuple[str, ...]:
        """All code points, as a lazy sequence with indexing."""
        return cast("tuple[str, ...]", _ALL_CHARACTERS)

    def character_index(self, char: str) -> np.int32:
        """Returns the character's code point."""
        return np.int32(ord(char))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UnicodeText) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((UnicodeText, self.max_length))

    def __repr__(self) -> str:
        return f"UnicodeText({self.max_length})"


class _SharedTexts(Sequence[str]):
    """A view of texts in shared memory, as the array of a Box is one.

    Gymnasium reads shared memory once and keeps the result; for its own ``Text`` that is a constant tuple of strings.
    This view becomes a tuple when it is deep-copied, so that every step gets its current texts.
    """

    def __init__(self, memory: Any, count: int, max_length: int) -> None:
        self._memory = memory
        self._rows = np.frombuffer(memory.get_obj(), dtype=np.int32).reshape(count, 1 + max_length)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: SupportsIndex) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return tuple(self)[index]
        row = self._rows[index]
        codes: bytes = row[1 : 1 + row[0]].tobytes()
        return codes.decode(_CODEC, "surrogatepass")

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)


_CODEC = f"utf-32-{'le' if sys.byteorder == 'little' else 'be'}"  # four bytes per character, read as int32


@create_shared_memory.register(UnicodeText)
def _create(space: UnicodeText, n: int = 1, ctx: ModuleType = multiprocessing) -> Any:
    """Allocates, for each text, its length and its code points."""
    return ctx.Array(np.dtype(np.int32).char, n * (1 + space.max_length))


@read_from_shared_memory.register(UnicodeText)
def _read(space: UnicodeText, shared_memory: Any, n: int = 1) -> _SharedTexts:
    return _SharedTexts(shared_memory, n, space.max_length)


@write_to_shared_memory.register(UnicodeText)
def _write(space: UnicodeText, index: int, value: str, shared_memory: Any) -> None:
    codes = np.frombuffer(value.encode(_CODEC, "surrogatepass"), dtype=np.int32)
    start = index * (1 + space.max_length)
    row = np.frombuffer(shared_memory.get_obj(), dtype=np.int32)[start : start + 1 + space.max_length]
    row[0] = len(codes)
    row[1 : 1 + len(codes)] = codes
