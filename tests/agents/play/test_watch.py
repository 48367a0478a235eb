"""An actor that is down is noticed, in whatever batches it is asked."""

import pytest

from retro_gym.errors import ActorError
from retro_gym_agents.play.watch import ActorWatch

DOWN = ActorError("no connection")


def see(failures, size):
    """The episodes in batches of one size."""
    watch = ActorWatch(10, "in {} episodes")
    for start in range(0, len(failures), size):
        watch.see(failures[start : start + size])


@pytest.mark.parametrize("size", [1, 3, 7, 10, 64])
def test_ten_failures_in_a_row_are_noticed_wherever_they_stand(size):
    for before in (0, 5, 60):
        with pytest.raises(ActorError, match="failed in 10 episodes in a row; the last time: no connection"):
            see([None] * before + [DOWN] * 10 + [None] * 9, size)
    see(([DOWN] * 9 + [None]) * 8, size)


def test_failures_are_counted():
    watch = ActorWatch(10, "on {} tasks")
    assert watch.last is None
    watch.see([None, DOWN, None, DOWN])
    assert (watch.total, watch.last) == (2, DOWN)
