"""RetroVectorEnv: as many single environments, whatever the order in which the actor answers."""

import pickle
import random
from concurrent.futures import Future
from threading import Timer

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from retro_gym.actors import Reply
from retro_gym.errors import ActionError, ActorError, ConfigError, EpisodeError
from retro_gym.registration import RETRO_IDS
from retro_gym.testing import IdentityActor
from retro_gym.vector import RetroVectorEnv

NUM_ENVS = 4
SEED = 3
REFLECTIONS = ("red", "Search for the director too.", "", "反省 🙂 \ud800", "gold", "blue")


class Server:
    """Another actor behind a line on which answers overtake each other."""

    def __init__(self, actor, seed=0, delay=(0.0, 0.004)):
        self.actor = actor
        self.random = random.Random(seed)
        self.delay = delay
        self.in_flight = self.most = self.calls = 0

    def reply(self, prompts):
        return [self.submit(prompt).result() for prompt in prompts]

    def submit(self, prompt):
        future = Future()
        self.in_flight += 1
        self.calls += 1
        self.most = max(self.most, self.in_flight)
        (reply,) = self.actor.reply([prompt])

        def answer():
            self.in_flight -= 1
            if future.set_running_or_notify_cancel():
                future.set_result(reply)

        Timer(self.random.uniform(*self.delay), answer).start()
        return future


def make(env_id="RetroIdentity-v0", num_envs=NUM_ENVS, **kwargs):
    return gym.make_vec(env_id, num_envs=num_envs, vectorization_mode="vector_entry_point", **kwargs)


def play(envs, steps=6):
    observations, infos = envs.reset(seed=SEED)
    rows = [(observations, infos["task_id"].tolist())]
    for step in range(steps):
        actions = [REFLECTIONS[(step + 2 * i) % len(REFLECTIONS)] for i in range(NUM_ENVS)]
        observations, rewards, terminations, truncations, infos = envs.step(actions)
        rows.append((observations, rewards.tolist(), terminations.tolist(), truncations.tolist()))
        rows.append((infos["task_id"].tolist(), infos["return"].tolist(), list(infos.get("final_obs", ()))))
    envs.close()
    return rows


@pytest.mark.parametrize("env_id", sorted(RETRO_IDS))
def test_the_same_as_gymnasiums_sync_vector_env(env_id):
    kwargs = {"max_reflections": 2}
    sync = gym.make_vec(env_id, NUM_ENVS, "sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}, **kwargs)
    assert play(make(env_id, **kwargs)) == play(sync)


def test_the_order_of_answers_changes_nothing():
    expected = play(make(max_reflections=2))
    for seed in range(3):
        actor = Server(IdentityActor(), seed)
        assert play(make(max_reflections=2, actor=actor)) == expected
        assert actor.most > 1


def test_calls_of_all_episodes_are_in_flight_at_once():
    actor = Server(IdentityActor(), delay=(0.3, 0.4))
    envs = make(num_envs=16, actor=actor)
    envs.reset(seed=0)
    assert actor.most == 16
    envs.close()


def test_full_batches_that_are_refilled():
    class Batches(IdentityActor):
        batch_size = 4

        def __init__(self):
            super().__init__()
            self.sizes = []

        def reply(self, prompts):
            self.sizes.append(len(prompts))
            return super().reply(prompts)

    actor = Batches()
    envs = make(num_envs=10, actor=actor)
    envs.reset(seed=0)
    envs.branch([["red"] * 3] * 10)
    assert actor.sizes == [4, 4, 2] + [4] * 7 + [2]


def test_gym_make_vec_prefers_it():
    envs = gym.make_vec("RetroIdentity-v0", num_envs=2)
    assert isinstance(envs, RetroVectorEnv)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    assert envs.action_space.sample() in envs.action_space


def test_branch_leaves_every_episode_as_it_is():
    envs = make()
    before, _ = envs.reset(seed=SEED)
    outcomes = envs.branch([["red", "green", "blue", "gold"]] * NUM_ENVS)
    assert [sum(outcome.success for outcome in group) for group in outcomes] == [1] * NUM_ENVS
    after, rewards, terminations, _, infos = envs.step(["red"] * NUM_ENVS)
    assert rewards.tolist() == [float(group[0].success) for group in outcomes]
    finals = [obs if obs is not None else now for obs, now in zip(infos["final_obs"], after, strict=True)]
    assert all(terminations == rewards)
    assert all(old != new for old, new in zip(before, finals, strict=True))


def test_disabled_autoreset_leaves_the_reset_to_the_caller():
    envs = make(autoreset_mode="Disabled", max_reflections=1)
    envs.reset(seed=SEED)
    _, _, terminations, _, infos = envs.step(["none of them"] * NUM_ENVS)
    assert all(terminations)
    assert "final_obs" not in infos
    with pytest.raises(EpisodeError):
        envs.step(["red"] * NUM_ENVS)
    mask = np.array([True, False, True, False])
    observations, infos = envs.reset(seed=SEED + 50, options={"reset_mask": mask})
    assert infos["_task_id"].tolist() == mask.tolist()
    assert "Reflection 1" in observations[1]
    assert "Reflection 1" not in observations[0]


def test_a_task_for_each_environment():
    envs = make(num_envs=2)
    task_ids = ["train-5-green", "train-2-blue"]
    _, infos = envs.reset(seed=0, options={"task_ids": task_ids})
    assert infos["task_id"].tolist() == task_ids
    _, infos = envs.reset(seed=0, options={"task_id": task_ids[1]})
    assert infos["task_id"].tolist() == [task_ids[1]] * 2


class DiesAfter(IdentityActor):
    """Replies so many times, then never again."""

    def __init__(self, calls):
        super().__init__()
        self.left = calls

    def reply(self, prompts):
        self.left -= len(prompts)
        return super().reply(prompts) if self.left >= 0 else [ActorError("gone")] * len(prompts)


def test_what_a_step_has_earned_is_not_lost_when_the_actor_dies_at_the_reset_after_it():
    envs = make(num_envs=2, actor=DiesAfter(4), max_reflections=1)
    _, infos = envs.reset(seed=SEED)
    words = [task_id.rpartition("-")[2] for task_id in infos["task_id"]]
    _, rewards, terminations, _, _ = envs.step(words)
    assert rewards.tolist() == [1.0, 1.0]
    assert terminations.all()
    with pytest.raises(ActorError, match="gone"):
        envs.step(words)


def test_an_actor_error_truncates_its_own_episode_only():
    class Flaky(IdentityActor):
        def reply(self, prompts):
            return [ActorError("lost") if prompt.reflections == ("fail",) else Reply("Say[red]") for prompt in prompts]

    envs = make(num_envs=2, actor=Flaky())
    envs.reset(options={"task_id": "train-1-green"})
    _, _, _, truncations, infos = envs.step(["fail", "blue"])
    assert truncations.tolist() == [True, False]
    assert infos["final_info"]["actor_error"].tolist() == ["lost", None]


def test_pickled_in_the_middle_of_its_episodes():
    envs = make(max_reflections=3)
    envs.reset(seed=SEED)
    envs.step(["nothing"] * NUM_ENVS)
    copy = pickle.loads(pickle.dumps(envs))
    actions = list(REFLECTIONS[:NUM_ENVS])
    first, second = envs.step(actions), copy.step(actions)
    assert first[0] == second[0]
    assert first[1].tolist() == second[1].tolist()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda envs: envs.step(["one"]), ActionError),
        (lambda envs: envs.step("text"), ActionError),
        (lambda envs: envs.step([1, 2]), ActionError),
        (lambda envs: envs.branch([["red"]]), ActionError),
        (lambda envs: envs.branch(["red", "blue"]), ActionError),
        (lambda envs: envs.reset(seed=[1, 2, 3]), ConfigError),
        (lambda envs: envs.reset(options={"task_ids": ["train-0-red"]}), ConfigError),
        (lambda envs: envs.reset(options={"reset_mask": np.array([True])}), ConfigError),
    ],
)
def test_bad_calls_are_refused(call, error):
    envs = make(num_envs=2)
    envs.reset(seed=0)
    with pytest.raises(error):
        call(envs)


@pytest.mark.parametrize("kwargs", [{"num_envs": 0}, {"autoreset_mode": "NextStep"}, {"autoreset_mode": "sometimes"}])
def test_bad_arguments_are_refused(kwargs):
    with pytest.raises(ConfigError):
        make(**kwargs)


@pytest.mark.parametrize("cast", [np.int64, np.int32, np.uint8, np.array])
def test_numpys_seeds_are_seeds(cast):
    envs, single = make(), gym.make("RetroIdentity-v0")
    expected = envs.reset(seed=SEED)[0]
    assert envs.reset(seed=cast(SEED))[0] == expected
    assert envs.reset(seed=np.arange(SEED, SEED + NUM_ENVS))[0] == expected
    assert envs.reset(seed=[cast(SEED + i) for i in range(NUM_ENVS)])[0] == expected
    assert envs.reset(seed=tuple(range(SEED, SEED + NUM_ENVS)))[0] == expected
    assert single.reset(seed=cast(SEED))[0] == expected[0]


@pytest.mark.parametrize("seed", [-1, np.int64(-1), 1.5, "7", np.array([[1]]), [0, 1, 2, -3], [0, 1, 2, "3"]])
def test_a_seed_that_is_none_is_an_error_of_its_own(seed):
    with pytest.raises(ConfigError, match=r"seed is .*; it is a whole number, at least 0"):
        make().reset(seed=seed)


@pytest.mark.parametrize("seed", [[], [1], np.arange(NUM_ENVS + 1)])
def test_seeds_are_one_for_each_environment(seed):
    with pytest.raises(ConfigError, match=r"seed has . entries; one for each of 4"):
        make().reset(seed=seed)
