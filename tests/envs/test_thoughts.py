"""The scripted actors' thoughts: they name what was chosen by chance, and change nothing else."""

import re

import pytest

from retro_gym.errors import ConfigError
from retro_gym_agents.play.envs import make_retro_env

ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0", "RetroMix-v0")
CHOICE = {
    "RetroHotpotQA-v0": r"I (follow|read) [a-z ]+: [\w ,]+\.",
    "RetroALFWorld-v0": r"I try the ([a-z]+ )?[a-z]+ \d+( (in|on) the [a-z]+ \d+)?\.",
    "RetroWebShop-v0": r"I take [a-z ]+ \w+\.",
    "RetroInterCodeSQL-v0": r"I take [a-z ]+ \w+(, [a-z ]+ \w+)*\.",
}


@pytest.mark.parametrize("env_id", ENVS)
def test_the_actions_are_the_same_with_thoughts(env_id):
    plain, aloud = (make_retro_env(env_id, actor_kwargs=kwargs) for kwargs in ({}, {"thoughts": True}))
    told = 0
    for task_id in plain.task_env.task_ids("train")[:12]:
        for env in (plain, aloud):
            env.reset(seed=1, options={"task_id": task_id})
        turns = [env.trajectory.turns for env in (plain, aloud)]
        assert [one.action for one in turns[0]] == [one.action for one in turns[1]]
        told += sum(after.thought != before.thought for before, after in zip(*turns, strict=True))
    assert told > 6


@pytest.mark.parametrize("env_id", CHOICE)
def test_a_thought_says_what_its_action_does_next(env_id):
    env = make_retro_env(env_id, actor_kwargs={"thoughts": True})
    fitting = []
    for task_id in env.task_env.task_ids("train")[:12]:
        env.reset(seed=1, options={"task_id": task_id})
        for turn in env.trajectory.turns:
            if re.match(CHOICE[env_id], turn.thought):
                done, told = (set(re.findall(r"[a-z]+ \d+|\w+", text)) for text in (turn.action, turn.thought))
                fitting.append(bool(done & told))
    assert len(fitting) > 6
    assert sum(fitting) / len(fitting) > 0.9


def test_thoughts_are_yes_or_no():
    with pytest.raises(ConfigError, match="thoughts is 'aloud'; give True or False"):
        make_retro_env("RetroALFWorld-v0", actor_kwargs={"thoughts": "aloud"})
