"""Whether an actor is down or just unlucky, whatever the batches that it is asked in."""

from __future__ import annotations

from collections.abc import Iterable

from retro_gym.errors import ActorError

__all__ = ["ActorWatch"]


class ActorWatch:
    """Counts an actor's failures in a row, from batch to batch.

    Args:
        limit: so many of them mean that it is down.
        what: what it failed at: ``"on {} tasks"``.
    """

    def __init__(self, limit: int, what: str) -> None:
        self.total = 0
        """Failures so far."""
        self.last: ActorError | None = None
        """The last one."""
        self._limit, self._what = limit, what
        self._in_a_row = 0

    def see(self, failures: Iterable[ActorError | None]) -> None:
        """Takes in how some episodes ended: with a failure, or None.

        Raises:
            ActorError: the actor is down.
        """
        for failure in failures:
            self._in_a_row = 0 if failure is None else self._in_a_row + 1
            if failure is not None:
                self.total, self.last = self.total + 1, failure
            if self._in_a_row == self._limit:
                raise ActorError(
                    f"the actor failed {self._what.format(self._limit)} in a row; the last time: {failure}"
                )
