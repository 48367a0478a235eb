"""Detects that an actor is down by counting consecutive failures across batches."""

from __future__ import annotations

from collections.abc import Iterable

from retro_gym.errors import ActorError

__all__ = ["ActorWatch"]


class ActorWatch:
    """Counts an actor's consecutive failures across batches.

    Args:
        limit: consecutive failures at which the actor counts as down.
        what: what it failed at, for the error message: ``"on {} tasks"``.
    """

    def __init__(self, limit: int, what: str) -> None:
        self.total = 0
        """Failures so far."""
        self.last: ActorError | None = None
        """The last failure."""
        self._limit, self._what = limit, what
        self._in_a_row = 0

    def see(self, failures: Iterable[ActorError | None]) -> None:
        """Counts the actor failures of some episodes; None for an episode without one.

        Raises:
            ActorError: the limit is reached.
        """
        for failure in failures:
            self._in_a_row = 0 if failure is None else self._in_a_row + 1
            if failure is not None:
                self.total, self.last = self.total + 1, failure
            if self._in_a_row == self._limit:
                raise ActorError(
                    f"the actor failed {self._what.format(self._limit)} in a row; the last time: {failure}"
                )
