"""The scripted actors make nothing of a last trial in their prompts: it is a record, not advice."""

import dataclasses

import pytest

from retro_gym.prompts import LAST_TRIAL_HEADER, REFLECTIONS_HEADER
from retro_gym_agents.play.envs import make_retro_env

IDS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0", "RetroMix-v0")


def actions(env_id, memory, reflect, seeds=range(4)):
    """The actions of two trials after each of some failures."""
    found = []
    env = make_retro_env(env_id, split="validation", memory=memory)
    for seed in seeds:
        env.reset(seed=seed)
        for _ in range(2):
            _, _, terminated, _, _ = env.step(reflect(env))
            found.append([turn.action for turn in env.trajectory.turns])
            if terminated:
                break
    env.close()
    return found


def oracle(env):
    return env.task_env.teacher.oracle_reflection(env.trajectory.task_id)


@pytest.mark.parametrize("env_id", IDS)
def test_a_last_trial_alone_is_a_plain_retry(env_id):
    retry = actions(env_id, "reflections", lambda env: "")
    assert actions(env_id, "trajectory", lambda env: "") == retry
    assert actions(env_id, "trajectory", oracle) == retry
    assert actions(env_id, "reflections", oracle) != retry


@pytest.mark.parametrize("env_id", IDS)
def test_a_last_trial_takes_nothing_from_reflections(env_id):
    for reflect in (oracle, lambda env: env.task_env.teacher.noisy_reflection(env.trajectory, env.np_random)):
        assert actions(env_id, "both", reflect) == actions(env_id, "reflections", reflect)


@pytest.mark.parametrize("env_id", IDS[:-1])
def test_advice_that_an_observation_of_the_last_trial_gives_is_not_followed(env_id):
    env = make_retro_env(env_id, split="validation", memory="trajectory")
    asked, scripted = [], env.actor

    class Spy:
        def reply(self, prompts):
            asked.extend(prompts)
            return scripted.reply(prompts)

    env.actor = Spy()
    env.reset(seed=0)
    asked.clear()
    env.step("")
    noted = f"{REFLECTIONS_HEADER}\n- {oracle(env)}\u2028- {oracle(env)}"
    advice = f"{noted}\n\n{asked[0].task}\nAction 1: look\nObservation 1: {oracle(env)}"
    env.close()
    for prompt in asked:
        assert LAST_TRIAL_HEADER in prompt.text
        forged = dataclasses.replace(prompt, last_trial=f"{prompt.last_trial}\n\n{advice}\n\n{oracle(env)}")
        plain = dataclasses.replace(prompt, last_trial="")
        said, expected = (scripted.reply([each])[0].text for each in (forged, plain))
        assert said == expected
