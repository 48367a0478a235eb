"""send and recv of RetroVectorEnv: each episode as in step, and none waits for another one."""

import gc
import pickle
import threading
import time

import gymnasium as gym
import numpy as np
import pytest

from retro_gym.actors import Reply
from retro_gym.background import BackgroundPool, open_pool
from retro_gym.errors import ActionError, ActorError, ConfigError, EpisodeError
from retro_gym.scheduling import ActorStats, Job, JobPool
from retro_gym.testing import IdentityActor, IdentityEnv
from tests.core.test_retro_vector import REFLECTIONS, SEED, Server, make

STEPS = 6


def action_of(env_id, step):
    return REFLECTIONS[(step + 2 * env_id) % len(REFLECTIONS)]


def by_step(envs):
    """What each environment returns in turn, with step."""
    observations, infos = envs.reset(seed=SEED)
    rows = {i: [(observations[i], 0.0, False, False, infos["task_id"][i])] for i in range(envs.num_envs)}
    for step in range(STEPS):
        actions = [action_of(i, step) for i in range(envs.num_envs)]
        seen, rewards, ended, cut, infos = envs.step(actions)
        for i in rows:
            rows[i].append((seen[i], rewards[i], ended[i], cut[i], infos["task_id"][i]))
    envs.close()
    return rows


def by_recv(envs, num):
    """The same with send and recv; also the sizes of what came in."""
    rows, sizes = {i: [] for i in range(envs.num_envs)}, []
    envs.async_reset(seed=SEED)
    while min(map(len, rows.values())) <= STEPS:
        seen, rewards, ended, cut, infos = envs.recv(num)
        ids = infos["env_id"].tolist()
        assert ids == sorted(ids)
        assert len(seen) == len(rewards) == len(ended) == len(cut) == len(infos["task_id"]) == len(ids) >= 1
        sizes.append(len(ids))
        for place, i in enumerate(ids):
            rows[i].append((seen[place], rewards[place], ended[place], cut[place], infos["task_id"][place]))
        going_on = [i for i in ids if len(rows[i]) <= STEPS]
        envs.send([action_of(i, len(rows[i]) - 1) for i in going_on], np.array(going_on, dtype=int))
    envs.close()
    return rows, sizes


@pytest.mark.parametrize("num", [1, 3, 99])
@pytest.mark.parametrize("served", [False, True])
def test_each_episode_is_as_in_step(num, served):
    expected = by_step(make(max_reflections=2))
    for seed in range(3 if served else 1):
        actor = Server(IdentityActor(), seed) if served else IdentityActor()
        rows, sizes = by_recv(make(max_reflections=2, actor=actor), num)
        assert rows == expected
        assert all(size >= min(num, 4) for size in sizes[:-4])


def test_final_observations_come_with_their_environments():
    envs = make(max_reflections=1, actor=Server(IdentityActor()))
    envs.async_reset(seed=SEED)
    first = {}
    while len(first) < 4:
        seen, *_, infos = envs.recv()
        first |= dict(zip(infos["env_id"].tolist(), seen, strict=True))
    envs.send(["red"] * 2, [1, 3])
    finals = {}
    while len(finals) < 2:
        *_, ended, _, infos = envs.recv()
        assert ended.all()
        assert infos["_final_obs"].all()
        assert all("task_id" in infos["final_info"] for _ in ended)
        finals |= dict(zip(infos["env_id"].tolist(), infos["final_obs"], strict=True))
    assert finals.keys() == {1, 3}
    with pytest.raises(EpisodeError, match="no environment is under way"):
        envs.recv()
    envs.send(["red"] * 2, [0, 2])
    envs.close()


def test_what_is_out_of_turn():
    envs = make(actor=Server(IdentityActor(), delay=(0.05, 0.1)))
    with pytest.raises(EpisodeError, match="no environment is under way"):
        envs.recv()
    envs.async_reset(seed=0)
    for call in (envs.reset, envs.async_reset, lambda: envs.step(["red"] * 4), lambda: envs.branch([["red"]] * 4)):
        with pytest.raises(EpisodeError, match=r"4 of them are under way: \[0, 1, 2, 3\]"):
            call()
    with pytest.raises(EpisodeError, match="env_ids holds 1"):
        envs.send(["red"], [1])
    envs.recv(4)
    with pytest.raises(EpisodeError, match="env_ids holds 4"):
        envs.send(["red"], [4])
    with pytest.raises(EpisodeError, match="env_ids holds 2"):
        envs.send(["red", "blue"], [2, 2])
    with pytest.raises(ActionError, match="1 actions for 2"):
        envs.send(["red"], [0, 1])
    with pytest.raises(ActionError, match="3 actions for 2"):
        envs.send("red", [0, 1])
    envs.send(["red"] * 4)
    assert len(envs.recv(4)[0]) == 4
    envs.step(["red"] * 4)
    envs.close()


def test_what_send_refuses_starts_nothing():
    envs = make(actor=Server(IdentityActor()), autoreset_mode="Disabled", max_reflections=1)
    with pytest.raises(EpisodeError, match="none was started"):
        envs.send(["red"] * 4)
    envs.async_reset(seed=0)
    envs.recv(4)
    with pytest.raises(ActionError, match="received int"):
        envs.send(["red", 3, "blue", "gold"])
    for env_ids in ([True, False], [0.0, 1.0], ["0", "1"], [[0], [1]], 0, "01"):
        with pytest.raises(ConfigError, match="give the numbers of environments"):
            envs.send(["red", "blue"], env_ids)
    envs.send([], [])
    with pytest.raises(EpisodeError, match="no environment is under way"):
        envs.recv()
    envs.send(["red", "red"], np.array([2, 0], dtype=np.uint8))
    for num in (0, -1, 1.5, True, "1"):
        with pytest.raises(ConfigError, match="num is"):
            envs.recv(num)
    assert envs.recv(2)[-1]["env_id"].tolist() == [0, 2]
    with pytest.raises(EpisodeError, match="the episode is over"):
        envs.send(["red"], [0])
    envs.close()


def test_an_environment_may_be_reset_while_others_are_under_way():
    actor = Server(IdentityActor(), delay=(0.05, 0.1))
    envs = make(actor=actor, autoreset_mode="Disabled", max_reflections=1)
    envs.async_reset(seed=0)
    envs.recv(4)
    envs.send(["red"], [1])
    envs.send(["blue"], [3])
    mask = np.array([True, False, True, False])
    envs.async_reset(seed=5, options={"reset_mask": mask})
    with pytest.raises(EpisodeError, match=r"2 of them are under way: \[0, 3\]"):
        envs.async_reset(options={"reset_mask": np.array([True, False, False, True])})
    with pytest.raises(EpisodeError, match=r"4 of them are under way: \[0, 1, 2, 3\]"):
        envs.reset()
    *_, infos = envs.recv(4)
    assert infos["env_id"].tolist() == [0, 1, 2, 3]
    assert infos["trial"].tolist() == [0, 1, 0, 1]
    envs.close()


def test_an_error_of_one_loses_nothing_of_the_others(monkeypatch):
    def plan_step(action):
        raise RuntimeError(f"no room for {action}")
        yield

    envs = make(actor=Server(IdentityActor()))
    envs.async_reset(seed=0)
    envs.recv(4)
    monkeypatch.setattr(envs.envs[1], "plan_step", plan_step)
    envs.send(["red", "green", "blue", "gold"])
    seen, said = [], []
    while len(seen) < 3 or not said:
        try:
            seen += envs.recv()[-1]["env_id"].tolist()
        except RuntimeError as error:
            said.append((str(error), error.__notes__))
    assert sorted(seen) == [0, 2, 3]
    assert said == [("no room for green", ["This is of environment 1."])]
    monkeypatch.undo()
    envs.send(["red"], [1])
    assert envs.recv()[-1]["env_id"].tolist() == [1]
    envs.close()


def test_an_actor_that_is_down_is_said_at_once():
    class Down(Server):
        def submit(self, prompt):
            raise ActorError("nobody there")

    envs = make(actor=Down(IdentityActor()))
    envs.async_reset(seed=0)
    with pytest.raises(ActorError, match="nobody there"):
        envs.recv()
    envs.close()


class Fickle(IdentityActor):
    """Cannot be reached for one task."""

    refused = None

    def reply(self, prompts):
        replies = super().reply(prompts)
        return [
            ActorError("nobody there") if self.refused is not None and self.refused in prompt.task else reply
            for prompt, reply in zip(prompts, replies, strict=True)
        ]


def test_an_autoreset_that_fails_holds_up_its_own_environment_alone():
    actor = Fickle()
    envs = make(actor=Server(actor), max_reflections=1)
    observations = envs.reset(seed=SEED)[0]
    actor.refused = ""  # every task
    with_errors = envs.step(["red"] * 4)
    assert with_errors[3].all(), "the actor failed"
    assert sorted(envs._reset_errors) == [0, 1, 2, 3]
    actor.refused = None
    envs.reset(seed=SEED, options={"reset_mask": np.array([True, True, False, False])})
    assert sorted(envs._reset_errors) == [2, 3]
    for chosen in ([2], [0, 3]):
        with pytest.raises(ActorError, match="nobody there") as caught:
            envs.send(["red"] * len(chosen), chosen)
        assert f"of the autoreset of environment {chosen[-1]}." in caught.value.__notes__[0]
    envs.send(["red", "red"], [0, 1])
    assert envs.recv(2)[-1]["env_id"].tolist() == [0, 1]
    with pytest.raises(ActorError, match="nobody there"):
        envs.step(["red"] * 4)
    assert envs.reset(seed=SEED)[0] == observations
    envs.step(["red"] * 4)
    envs.close()


def test_a_pool_that_is_dropped_ends_its_thread():
    def threads():
        return [one for one in threading.enumerate() if one.name == "jobs"]

    before = len(threads())
    envs = make(actor=Server(IdentityActor(), delay=(0.001, 0.002)))
    for env in envs.envs:
        env.task_env.blocking = True
    envs.async_reset(seed=0)
    envs.recv()
    assert len(threads()) == before + 1
    del envs, env
    deadline = time.monotonic() + 10
    while len(threads()) > before:
        assert time.monotonic() < deadline
        gc.collect()
        time.sleep(0.01)


@pytest.mark.parametrize("served", [False, True])
def test_after_an_error_of_the_actor_itself_one_can_reset(served):
    class Broken(IdentityActor):
        broken = False

        def reply(self, prompts):
            if Broken.broken:
                Broken.broken = False
                raise RuntimeError("a mistake in the actor")
            return super().reply(prompts)

    envs = make(actor=Server(Broken()) if served else Broken())
    envs.async_reset(seed=0)
    envs.recv(4)
    Broken.broken = True
    envs.send(["red"] * 4)
    with pytest.raises(RuntimeError, match="a mistake in the actor"):  # noqa: PT012
        while True:
            envs.recv(4)
    while envs._under_way:
        envs.recv(4)
    assert len(envs.reset(seed=0)[0]) == 4
    envs.async_reset(seed=0)
    assert len(envs.recv(4)[0]) == 4
    pickle.loads(pickle.dumps(make()))
    envs.close()
    assert len(envs.reset(seed=0)[0]) == 4, "also after it was closed"
    envs.close()


def test_trials_go_on_while_the_caller_is_busy():
    """Five trials with five calls each, one after the other: they end while nobody asks for them."""
    actor = Server(IdentityActor(), delay=(0.01, 0.01))
    envs = make(actor=actor)
    for env in envs.envs:
        env.task_env.blocking = True
    envs.async_reset(seed=0)
    deadline = time.monotonic() + 5
    while len(envs._pool._pool._running) or not actor.calls:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    before = actor.calls
    assert len(envs.recv(1)[0]) == 4, "all have come in"
    assert actor.calls == before
    envs.close()


@pytest.mark.parametrize("name", ["HotpotQA", "ALFWorld", "WebShop", "InterCodeSQL", "Mix"])
def test_built_in_environments_may_be_called_in_another_thread(name):
    def made(actor):
        return gym.make_vec(f"Retro{name}-v0", num_envs=3, vectorization_mode="vector_entry_point", actor=actor)

    local = made("scripted")
    expected = [local.reset(seed=1)[0], *(local.step(["Look again."] * 3)[:4] for _ in range(2))]
    served = made(Server(local.envs[0].actor))
    served.async_reset(seed=1)
    assert isinstance(served._pool, BackgroundPool)
    assert served.recv(3)[0] == expected[0]
    for step in expected[1:]:
        served.send(["Look again."] * 3)
        for found, wanted in zip(served.recv(3)[:4], step, strict=True):
            assert np.array_equal(found, wanted)
    local.close()
    served.close()


# -- pools -------------------------------------------------------------------------------------------------------------


class Immediate:
    def reply(self, prompts):
        return [Reply("done") for _ in prompts]


def counting(number, threads):
    """A plan without trials that needs a few rounds."""
    for _ in range(number % 3):
        assert (yield []) == []
        threads.add(threading.current_thread().name)
    if number == 5:
        raise ValueError("five")
    return number


@pytest.mark.parametrize("kind", [JobPool, BackgroundPool])
@pytest.mark.parametrize("at_once", [None, 1, 2])
def test_jobs_may_be_added_at_any_time(kind, at_once):
    pool, threads, found, errors = kind(at_once=at_once), set(), [], []
    added = 0
    while added < 9 or len(pool):
        if added < 9:
            pool.add(added, Job(counting(added, threads), Immediate(), ActorStats()))
            added += 1
        if added % 2 or added == 9:
            ended = pool.wait()
            (errors if ended.error else found).append(ended.key)
            assert ended.error is not None or ended.result() == ended.key
    assert sorted(found) == [0, 1, 2, 3, 4, 6, 7, 8]
    assert errors == [5]
    assert pool.take() is None
    with pytest.raises(LookupError):
        pool.wait()
    assert threads == ({"jobs"} if kind is BackgroundPool else {"MainThread"})
    pool.close()


def test_an_actor_that_answers_in_batches_is_asked_in_the_callers_thread():
    assert isinstance(open_pool(Immediate(), []), JobPool)
    assert isinstance(open_pool(Server(IdentityActor()), [IdentityEnv()]), JobPool), "it may belong to this thread"
    apart = IdentityEnv()
    apart.blocking = True
    pool = open_pool(Server(IdentityActor()), [apart])
    assert isinstance(pool, BackgroundPool)
    pool.close()
    assert not pool._thread.is_alive()
