"""Rollouts with a server as the actor: as with an actor in this process, and nobody waits."""

import threading
import time
from concurrent.futures import Future

import pytest
import torch

from retro_gym import RecordWriter, RetroEnv, read_records
from retro_gym.actors import Budget, BudgetedActor, ConcurrentActor, RecordingActor
from retro_gym.errors import ActorError, BudgetError
from retro_gym.testing import FlakyActor, IdentityActor, IdentityEnv
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.roller import Roller, roll_out
from tests.agents.play.test_rollout import envs, essence
from tests.core.test_retro_vector import Server


@pytest.fixture(scope="module")
def reflector(small_model):
    return Reflector.load(small_model)


def tried(path):
    """What was tried in a rollout: each failure with its reflections and rewards."""
    rows = read_records(path, "reflection")
    return sorted((row["observation"], row["reflection"], row["trial"], row["reward"]) for row in rows)


def test_the_order_in_which_a_server_replies_changes_nothing(reflector, tmp_path):
    """It replies in another order each time, and the episodes are sampled in four parts."""
    found, rollouts = [], []
    for number, actor in enumerate((IdentityActor(), *(Server(IdentityActor(), seed) for seed in range(3)))):
        records = RecordWriter(tmp_path / f"{number}.jsonl")
        these = envs(num=10, max_reflections=3, actor=actor, records=records)
        rollouts.append(roll_out(these, reflector, seed=3, update=2, num_samples=2, trial_discount=0.5))
        records.close()
        found.append(tried(records.path))
    alone, *served = rollouts
    assert all(rows == found[0] for rows in found)
    for one in served:
        assert essence(one) == essence(alone)
        for mine, other in zip(one.rounds, alone.rounds, strict=True):
            assert torch.equal(mine.samples.tokens_NT, other.samples.tokens_NT)
            assert torch.equal(mine.samples.mask_NT, other.samples.mask_NT)
            assert torch.equal(mine.samples.prompts.ids_PS, other.samples.prompts.ids_PS)
            torch.testing.assert_close(mine.samples.logprobs_NT, other.samples.logprobs_NT, atol=1e-5, rtol=0)


def test_reflections_are_sampled_while_other_trials_are_under_way(reflector, monkeypatch):
    actor, busy = Server(IdentityActor(), delay=(0.02, 0.04)), []
    sample = reflector.sample

    def noted(texts, **kwargs):
        before = actor.calls
        time.sleep(0.1)  # as a larger model would take
        busy.append(actor.calls > before or actor.in_flight > 0)
        return sample(texts, **kwargs)

    monkeypatch.setattr(reflector, "sample", noted)
    these = envs(num=8, max_reflections=2, actor=actor)
    for env in these:
        env.task_env.blocking = True  # it has a thread of its own, so trials go on by themselves
    roll_out(these, reflector, seed=3, update=2, num_samples=2)
    assert any(busy), "in lock step no trial is under way while reflections are sampled"


def test_first_trials_of_the_next_update_are_played_in_advance(reflector, tmp_path):
    """With a server: the rollouts, their records and their calls are those without, and the server is kept busy."""
    alone, ahead = [], []
    for name, into, actor in (("alone", alone, IdentityActor()), ("ahead", ahead, Server(IdentityActor()))):
        records = RecordWriter(tmp_path / f"{name}.jsonl")
        roller = Roller(envs(num=8, max_reflections=2, actor=actor, records=records), reflector, seed=3, num_samples=2)
        for update in (4, 5, 6):
            rollout = roller.roll_out(update, ahead=update < 6)
            size = records.position
            if name == "ahead" and update < 6:
                while len(roller._pool):  # the first trials of the next update end, and nothing of them is written yet
                    ended = roller._pool.wait()
                    roller._arrived[ended.key] = ended
                assert len(roller._arrived) == 8
                assert records.position == size
            into.append((sorted(sum((one.samples.texts for one in rollout.rounds), ())), roller.calls))
        roller.close()
        records.close()
    assert ahead == alone
    assert tried(tmp_path / "ahead.jsonl") == tried(tmp_path / "alone.jsonl")
    trials = [
        sorted((row["task_id"], row["trial"], row["source"], row["episode"]) for row in read_records(path, "trial"))
        for path in (tmp_path / "ahead.jsonl", tmp_path / "alone.jsonl")
    ]
    assert trials[0] == trials[1]
    rows = list(read_records(tmp_path / "ahead.jsonl", "trial"))
    assert all(row["prompt"] for row in rows)


class Billed(Server):
    """A server whose calls are limited by a budget."""

    def __init__(self, budget):
        super().__init__(IdentityActor())
        self.budget = budget

    def submit(self, prompt):
        try:
            self.budget.reserve()
        except BudgetError as error:
            future = Future()
            future.set_result(error)
            return future
        future = super().submit(prompt)
        future.add_done_callback(lambda _: self.budget.settle())
        return future


@pytest.mark.parametrize("calls", [96, 136])
def test_a_budget_pays_for_as_many_updates_with_a_server(reflector, calls):
    done = []
    for actor in (BudgetedActor(IdentityActor(), Budget(calls=calls)), Billed(Budget(calls=calls))):
        roller, update = Roller(envs(num=8, max_reflections=2, actor=actor), reflector, seed=3, num_samples=2), 0
        with pytest.raises(BudgetError):  # noqa: PT012 - the update in which it is spent is what is compared
            while update < 20:
                roller.roll_out(update + 1, ahead=True)
                update += 1
        done.append((update, roller.calls))
        roller.close()
    assert done[0] == done[1]
    assert done[0][0] >= 1


def test_a_budget_is_seen_through_a_recorder(reflector, tmp_path):
    for calls, ahead in ((1_000, False), (None, True)):
        actor = RecordingActor(Billed(Budget(calls=calls)), tmp_path / f"{calls}.jsonl")
        assert isinstance(actor, ConcurrentActor)
        roller = Roller(envs(num=2, actor=actor), reflector, seed=3, num_samples=2)
        assert roller._may_go_ahead is ahead
        roller.close()


class Scarce(IdentityEnv):
    """Of which two may be in progress."""

    max_parallel = 2
    playing = False
    now = most = 0

    def reset(self, **kwargs):
        Scarce.now += not self.playing
        Scarce.most = max(Scarce.most, Scarce.now)
        self.playing = True
        return super().reset(**kwargs)

    def step(self, action):
        self.playing = False
        Scarce.now -= 1
        return super().step(action)


def test_nothing_is_played_in_advance_where_few_episodes_may_be_in_progress(reflector):
    Scarce.now = Scarce.most = 0
    actor = Server(IdentityActor(), delay=(0.01, 0.02))
    first = RetroEnv(Scarce(), actor=actor, max_reflections=1)
    roller = Roller([first, *(first.twin() for _ in range(5))], reflector, seed=3, num_samples=1)
    roller.roll_out(1, ahead=True)
    assert (len(roller._pool), Scarce.now, Scarce.most) == (0, 0, 2)
    roller.close()


class OfOneThread(IdentityEnv):
    """It may only be called in the thread that made it, as a database connection."""

    def reset(self, **kwargs):
        assert threading.current_thread() is threading.main_thread()
        return super().reset(**kwargs)

    def step(self, action):
        assert threading.current_thread() is threading.main_thread()
        return super().step(action)


def test_a_task_environment_that_is_not_blocking_is_called_in_its_thread(reflector):
    first = RetroEnv(OfOneThread(), actor=Server(IdentityActor()), max_reflections=1)
    roller = Roller([first, *(first.twin() for _ in range(5))], reflector, seed=3, num_samples=1)
    roller.roll_out(1, ahead=True)
    roller.roll_out(2)
    roller.close()


def test_an_update_can_be_played_again(reflector):
    """Also after the server was down, and what is played again is the same."""
    actor = Server(IdentityActor())
    roller = Roller(envs(num=5, actor=actor, max_reflections=2), reflector, seed=3, num_samples=2)
    expected = essence(roller.roll_out(1, ahead=True))
    assert essence(roller.roll_out(1)) == expected
    works, actor.actor = actor.actor, FlakyActor(IdentityActor(), lambda prompt: True)
    with pytest.raises(ActorError):
        roller.roll_out(3)
    actor.actor = works
    second = essence(roller.roll_out(3))
    assert second != expected
    assert second == essence(roll_out(envs(num=5, max_reflections=2), reflector, seed=3, update=3, num_samples=2))
    roller.close()


def test_what_was_played_in_advance_is_dropped_when_a_run_is_over(reflector):
    actor = Server(IdentityActor(), delay=(0.05, 0.1))
    roller = Roller(envs(num=4, actor=actor), reflector, seed=3, num_samples=2)
    roller.roll_out(1, ahead=True)
    calls = roller.calls
    roller.close()
    assert roller.calls == calls <= actor.calls
