"""Seeds that follow from names: the same parts give the same seed, on every machine and in every process."""

from __future__ import annotations

import hashlib

__all__ = ["derive_seed"]


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**31) that is fixed by its parts and looks unrelated for any other ones.

    >>> derive_seed(7, "task-3", 1) == derive_seed(7, "task-3", 1)
    True
    >>> derive_seed(7, "task-3", 1) == derive_seed(7, "task-3", 2)
    False
    """
    plain = tuple(part if isinstance(part, str) else int(part) for part in parts)  # numpy's integers are integers too
    digest = hashlib.blake2b(repr(plain).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 33
