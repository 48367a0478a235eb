"""Several environments in one: every task is played as it is alone."""

from __future__ import annotations

import collections
import pickle

import gymnasium as gym
import numpy as np
import pytest

import retro_gym
from retro_gym.actors import OpenAIActor, parse_reply
from retro_gym.errors import ActorError, ConfigError, EpisodeError, UnknownTaskError
from retro_gym.prompts import Prompt
from retro_gym.testing import IdentityEnv
from retro_gym.testing.server import ServerThread
from retro_gym_agents.evaluation.evaluate import evaluate
from retro_gym_agents.play.policies import make_policy
from retro_gym_envs.hotpotqa import HotpotQAEnv
from retro_gym_envs.mix import MixEnv
from retro_gym_envs.mix.env import DEFAULT_ENVS
from retro_gym_envs.mix.task_ids import MixedIds

TWO = ("HotpotQA-v0", "Identity-v0")


@pytest.fixture
def env():
    return MixEnv(envs=TWO)


def test_what_is_told_first_says_which_environment_it_is(env):
    told, info = env.reset(options={"task_id": "HotpotQA-v0:test-00003"})
    alone, _ = HotpotQAEnv().reset(options={"task_id": "test-00003"})
    assert told == f"Environment: HotpotQA-v0\n{alone}"
    assert (info["task_id"], info["env"]) == ("HotpotQA-v0:test-00003", "HotpotQA-v0")
    assert env.step("Search[x]")[4]["task_id"] == "HotpotQA-v0:test-00003"


def test_instruction_examples_and_turns_follow_the_task(env):
    env.reset(options={"task_id": "HotpotQA-v0:test-00003"})
    assert (env.prompt, env.max_turns) == (HotpotQAEnv.prompt, HotpotQAEnv.max_turns)
    env.reset(options={"task_id": env.task_ids("test")[1]})
    assert (env.prompt, env.max_turns) == (IdentityEnv.prompt, IdentityEnv.max_turns)
    env.max_turns = 2
    assert {each.max_turns for each in env.envs.values()} == {2}


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (1, 7), (0.2, 0.3)])
def test_every_stretch_of_a_split_keeps_the_weights(weights):
    env = MixEnv(envs=dict(zip(TWO, weights, strict=True)))
    task_ids = env.task_ids("train")
    share = weights[0] / sum(weights)
    for end in (8, len(task_ids)):
        counts = collections.Counter(task_id.partition(":")[0] for task_id in task_ids[:end])
        assert abs(counts["HotpotQA-v0"] - share * end) <= 1
    assert len(set(task_ids)) == len(task_ids)
    assert (
        min(
            len(each.task_ids("train")) - sum(name == t.partition(":")[0] for t in task_ids)
            for name, each in env.envs.items()
        )
        == 0
    )


def test_a_reset_puts_together_the_id_that_it_draws_and_no_other(monkeypatch):
    env, made = MixEnv(envs=dict.fromkeys(DEFAULT_ENVS[:2], 1)), []
    plain = MixedIds._id
    monkeypatch.setattr(MixedIds, "_id", lambda self, *place: made.append(place) or plain(self, *place))
    assert [env.reset(seed=seed)[1]["task_id"] for seed in range(3)] == [
        "HotpotQA-v0:train-17012",
        "ALFWorld-v0:train-09463",
        "ALFWorld-v0:train-16751",
    ]
    assert len(made) == 3
    retro = retro_gym.RetroEnv(env, split="test")
    made.clear()
    assert retro.reset(seed=0)[1]["skipped"] + 1 == len(made)


def test_ids_are_a_sequence_as_any_other(env):
    task_ids = env.task_ids("test")
    every = list(task_ids)
    assert task_ids == env.task_ids("test") == every
    assert task_ids != every[1:]
    assert task_ids[2:5] == every[2:5]
    assert (task_ids[-1], task_ids[np.int64(1)], every[3] in task_ids) == (every[-1], every[1], True)
    with pytest.raises(IndexError):
        task_ids[len(every)]


def test_splits_stay_apart(env):
    task_ids = [task_id for split in ("train", "validation", "test") for task_id in env.task_ids(split)]
    assert len(set(task_ids)) == len(task_ids)
    with pytest.raises(UnknownTaskError, match="dev"):
        env.task_ids("dev")


@pytest.mark.parametrize("policy", ["none", "oracle"])
def test_each_part_scores_as_it_does_alone(policy):
    kwargs = {"actor_kwargs": {"temperature": 0}}  # seeds of trials depend on the ids of tasks, which differ
    mixed = evaluate("RetroMix-v0", make_policy(policy), num_tasks=48, trials=1, env_kwargs=kwargs)
    assert mixed.errors == 0
    assert list(mixed.parts("group")) == sorted(DEFAULT_ENVS)
    for result in mixed.tasks:
        name, _, inner = result.task_id.partition(":")
        alone = gym.make(f"Retro{name}", **kwargs).unwrapped
        _, info = alone.reset(seed=0, options={"task_id": inner})
        assert info["success"] == result.success[0]
        if not info["success"]:
            text = make_policy(policy).reflect(["…"], [alone], [0])[0]
            assert alone.step(text)[4]["success"] == result.success[1]
            assert text == result.reflections[0]


def test_noisy_reflections_are_the_environments_own(env):
    mixed = retro_gym.RetroEnv(env)
    _, info = mixed.reset(seed=3, options={"task_id": "HotpotQA-v0:validation-00002"})
    own = retro_gym.RetroEnv("HotpotQA-v0", split="validation")
    own.reset(seed=3, options={"task_id": "validation-00002"})
    rngs = [np.random.default_rng(5) for _ in range(2)]
    text = env.teacher.noisy_reflection(mixed.trajectory, rngs[0])
    assert text == own.task_env.teacher.noisy_reflection(own.trajectory, rngs[1])
    assert env.teacher.check_reflection(text, mixed.trajectory).grounded
    assert info["trajectory"]["task_id"] == "HotpotQA-v0:validation-00002"


def test_the_scripted_actor_tells_the_environments_apart_behind_a_server(env):
    told, _ = env.reset(options={"task_id": "HotpotQA-v0:test-00003"})
    prompt = Prompt(env.prompt.instruction, env.prompt.examples, (), told, (), seed=0)
    (alone,) = env.scripted_actor().reply([prompt])
    with ServerThread(env.scripted_actor()) as server:
        actor = OpenAIActor("any", base_url=server.base_url)
        (served,) = actor.reply([prompt])
        actor.close()
    assert parse_reply(served.text) == parse_reply(alone.text)
    assert parse_reply(alone.text)[1].startswith("Search[")


def test_a_prompt_of_none_of_them_is_an_actor_error(env):
    strange = Prompt("Sing.", (), (), "A song.", (), seed=0)
    assert isinstance(env.scripted_actor().reply([strange])[0], ActorError)


def test_it_pickles_in_the_middle_of_a_task(env):
    env.reset(options={"task_id": "HotpotQA-v0:test-00003"})
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step("Search[x]") == env.step("Search[x]")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"envs": []}, "envs is empty"),
        ({"envs": "HotpotQA-v0"}, "give ids"),
        ({"envs": {"HotpotQA-v0": 0}}, "above 0"),
        ({"envs": {"HotpotQA-v0": True}}, "above 0"),
        ({"envs": {"HotpotQA-v0": float("inf")}}, "above 0"),
        ({"envs": [7]}, "ids of task environments are text"),
        ({"envs": ["HotpotQA-v9"]}, "not registered"),
        ({"envs": TWO, "env_kwargs": {"HotpotQA": {}}}, "Did you mean 'HotpotQA-v0'"),
        ({"envs": TWO, "env_kwargs": {"HotpotQA-v0": {"taks": 1}}}, "taks"),
    ],
)
def test_bad_arguments_are_refused(arguments, said):
    with pytest.raises(ConfigError, match=said):
        MixEnv(**arguments)


@pytest.mark.parametrize("task_id", ["test-00003", "Other-v0:test-1", "HotpotQA-v0:", 7, "HotpotQA-v0:nowhere"])
def test_unknown_tasks_are_refused(env, task_id):
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": task_id})


def test_a_step_needs_a_reset(env):
    with pytest.raises(EpisodeError):
        env.step("x")
