"""Ids for environments of others: gym.make, gym.make_vec, records, the command line."""

import json
import pickle
import sys

import gymnasium as gym
import pytest

from retro_gym import TaskPrompt, check_retro_env, register
from retro_gym.errors import ConfigError
from retro_gym_agents.cli import main
from tests.core.foreign.games import Dice, say

MODULE = """
import retro_gym
from tests.core.foreign.games import question, say_last_word

retro_gym.register("my/Sums-v0", question, gold="answer", tasks={"train": range(9), "test": range(9, 20)})
"""


@pytest.fixture
def dice_id():
    yield register("Dice-v0", Dice, max_turns=4, prompt=TaskPrompt("Roll."))
    for env_id in ("Dice-v0", "RetroDice-v0"):
        del gym.registry[env_id]


def test_an_id_is_made(dice_id):
    assert dice_id == "RetroDice-v0"
    env = gym.make(dice_id, actor=say, max_turns=2)
    assert env.unwrapped.task_env.max_turns == 2
    check_retro_env(env)
    assert env.unwrapped.header().env_id == dice_id
    assert gym.envs.registration.EnvSpec.from_json(gym.spec(dice_id).to_json()).id == dice_id
    assert pickle.loads(pickle.dumps(env.unwrapped)).reset(seed=1) == env.reset(seed=1)


def test_a_vector_of_it_equals_single_ones(dice_id):
    vector = gym.make_vec(dice_id, num_envs=3, vectorization_mode="vector_entry_point", actor=say)
    observations, _ = vector.reset(seed=5)
    single = [gym.make(dice_id, actor=say) for _ in range(3)]
    assert list(observations) == [env.reset(seed=5 + i)[0] for i, env in enumerate(single)]
    assert [str(reward) for reward in vector.step(["a", "b", "c"])[1]] == [
        str(env.step(text)[1]) for env, text in zip(single, "abc", strict=True)
    ]
    assert vector.envs[1].header().env_id == dice_id
    vector.close()


def test_registering_again_replaces_it_and_other_ids_are_taken(dice_id):
    assert register("RetroDice-v0", Dice, solved_at=2.0) == dice_id
    assert gym.make(dice_id, actor=say).unwrapped.task_env.solved_at == 2.0
    for taken in ("HotpotQA-v0", "RetroHotpotQA-v0", "CartPole-v1"):
        with pytest.raises(ConfigError, match=r"the id '(Retro)?\w+-v\d' is taken by .*Choose another one"):
            register(taken, Dice)
    with pytest.raises(ConfigError, match="give what makes one"):
        register("More-v0", Dice())
    with pytest.raises(ConfigError, match="max_turns is 0"):
        register("More-v0", Dice, max_turns=0)
    assert "More-v0" not in gym.registry


@pytest.fixture
def no_traces():
    yield
    sys.modules.pop("my_sums", None)
    for env_id in ("my/Sums-v0", "my/RetroSums-v0"):
        gym.registry.pop(env_id, None)


@pytest.mark.usefixtures("no_traces")
def test_the_command_line_finds_it_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "my_sums.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])  # as in a console script
    output = tmp_path / "evaluation.json"
    arguments = ["my_sums:my/RetroSums-v0", "--actor", "python:my_sums:say_last_word", "--reflector", "none", "oracle"]
    assert main(["evaluate", *arguments, "--num-tasks", "5", "--trials", "1", "--json", str(output)]) == 0
    policies = json.loads(output.read_text())["policies"]
    assert {row["reflector"]: row["success_at_trial"][-1] for row in policies} == {"none": 0.0, "oracle": 1.0}
