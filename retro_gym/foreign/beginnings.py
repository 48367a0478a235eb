"""Notices ids that stand for one and the same task, as the seeds of an environment that ignores its seed do."""

from __future__ import annotations

import hashlib
import io
import itertools
import pickle
import random
import threading
import types
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["Beginnings", "digest_of", "warn_of_equal"]

_ENOUGH = 8  # tasks that begin alike before somebody is told
_GENERATORS = (np.random.Generator, np.random.RandomState, np.random.BitGenerator, random.Random)
_PASSING = ("seed", "rng", "random")  # attributes that differ with the seed though the tasks may be the same


class Beginnings:
    """Notes how the tasks of an environment begin, until two differ; shared by its copies.

    Warns when eight tasks, and no other, all begin alike: with the same observation, and, as far as can be seen, in the
    same state. The state is compared only while the observations are the same, since it may be large.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observation: str | None = None
        self._digest = ""
        self._alike: set[str] = set()
        self._settled = False

    def note(self, task_id: str, observation: str, env: object) -> None:
        """Notes the beginning of a task, before its first action."""
        with self._lock:
            if self._settled or task_id in self._alike:
                return
            if self._observation is None:
                self._observation = observation
            elif self._observation != observation:
                self._settled = True
                return
            else:
                digest = digest_of(observation, env)
                self._digest = self._digest or digest
                self._settled = digest != self._digest
            self._alike.add(task_id)
            told = not self._settled and len(self._alike) == _ENOUGH
            self._settled = self._settled or told
        if told:
            _warn(f"the {_ENOUGH} tasks that were started first, {', '.join(sorted(self._alike))}, begin alike")


def warn_of_equal(digests: Mapping[str, Sequence[str]]) -> None:
    """Warns of splits that seem to have tasks in common.

    Args:
        digests: of some tasks of each split, see :func:`digest_of`.
    """
    common = []
    for split, other in itertools.combinations(digests, 2):
        equal = sum(digest in digests[other] for digest in digests[split])
        if equal:
            common.append(f"{equal} of the first {len(digests[split])} tasks of {split!r} begin like one of {other!r}")
    if common:
        _warn("; ".join(common))


def digest_of(observation: str, env: object) -> str:
    """Returns a digest of how a task begins.

    It covers the first observation and the attributes of the environment, apart from random generators and seeds; of an
    environment that cannot be pickled, the observation alone.
    """
    hashed = hashlib.sha256(observation.encode("utf-8", "surrogatepass"))
    written = io.BytesIO()
    try:
        _StatePickler(written, protocol=4).dump(env)
    except Exception:  # objects of others may refuse in any way
        written = io.BytesIO()
    hashed.update(written.getvalue())
    return hashed.hexdigest()


class _StatePickler(pickle.Pickler):
    """Writes objects by their attributes, without generators and seeds. It is only for comparison, never read back."""

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, type | types.FunctionType | types.ModuleType | types.BuiltinFunctionType):
            return NotImplemented
        if isinstance(value, _GENERATORS):
            return str, ()
        attributes = getattr(value, "__dict__", None)
        if type(attributes) is not dict:
            return NotImplemented
        kept = {name: each for name, each in attributes.items() if not any(part in name.lower() for part in _PASSING)}
        items = (list(value), sorted(value.items(), key=repr)) if isinstance(value, dict) else ()
        return list, (), [type(value).__qualname__, kept, items]


def _warn(what: str) -> None:
    warnings.warn(
        f"{what}. If these are the same tasks under several ids, name those that there are: retro_gym.wrap(make, "
        "tasks={'train': …, 'test': …}). If they differ in what only the environment knows, this is harmless.",
        stacklevel=3,
    )
