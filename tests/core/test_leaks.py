"""leak="ignore": the actor does not read a reflection that contains the answer; everything else shows it as written."""

import gymnasium as gym
import pytest

from retro_gym import RetroEnv, Teacher, TokenEnv, TokenVectorEnv, token_text_equivalence
from retro_gym.errors import ConfigError
from retro_gym.records import load_run, read_records
from retro_gym.testing import EchoActor, IdentityEnv
from retro_gym.trajectory import Outcome
from retro_gym.vector import RetroVectorEnv
from tests.coin import CoinEnv
from tests.core.characters import Characters, written

BLUE = {"task_id": "train-2-blue"}
TOLD = "The answer: Say[blue]"  # the scripted actor would read the word "blue" in it
HINT = "blue"


class Plain(IdentityEnv):
    """An environment whose teacher does not define leaks."""

    @property
    def teacher(self):
        return Teacher()


def begun(leak, **options):
    env = RetroEnv(IdentityEnv(), leak=leak, **options)
    env.reset(seed=0, options=BLUE)
    return env


def test_the_actor_reads_a_blank_one_in_place_of_a_leak():
    actor = EchoActor("nothing")
    env = begun("ignore", actor=actor)
    observation, reward, terminated, truncated, info = env.step(TOLD)
    assert (reward, terminated, truncated, info["leak"]) == (0.0, False, False, True)
    assert [prompt.reflections for prompt in actor.prompts] == [(), ()]
    assert f"Reflection 1: {TOLD}" in observation  # its author sees what was written
    *_, info = env.step(HINT)
    assert info["leak"] is False
    assert actor.prompts[-1].reflections == env.memory.reflections == (HINT,)


@pytest.mark.parametrize("leak", ["allow", "ignore"])
def test_info_says_whether_there_was_a_leak_in_both_modes(leak):
    env = begun(leak)
    assert env.reset(seed=0, options=BLUE)[1]["leak"] is False  # there is no reflection yet
    assert [env.step(text)[4]["leak"] for text in ("none", " ", TOLD)] == [False, False, True]
    assert begun(leak).step(TOLD)[4]["success"] is (leak == "allow")
    assert begun(leak).step(HINT)[4]["success"]


def test_a_leak_beyond_the_length_limit_is_none():
    env = begun("ignore", max_reflection_chars=11)
    assert env.step(TOLD)[4]["leak"] is False


def test_branches_earn_what_steps_earn():
    env = begun("ignore")
    outcomes = env.branch([TOLD, HINT, "red"])
    assert [(each.reflection, each.reward, each.leak) for each in outcomes] == [
        (TOLD, 0.0, True),
        (HINT, 1.0, False),
        ("red", 0.0, False),
    ]
    assert [begun("ignore").step(each.reflection)[1] for each in outcomes] == [each.reward for each in outcomes]
    assert not env.follow(outcomes[0])
    assert env.memory.reflections == ()
    assert TOLD in env.observation_within(10_000)


def test_an_outcome_of_ones_own_is_judged_when_it_is_followed():
    env, other = begun("ignore"), begun("ignore")
    (outcome,) = other.branch([TOLD])
    env.follow(Outcome(TOLD, outcome.reward, outcome.trajectory))
    assert env.memory.reflections == ()


def test_an_ignored_leak_is_worth_exactly_nothing_over_its_control():
    env = begun("ignore", reward="over_control", control_trials=3)
    assert [each.reward for each in env.branch([TOLD, HINT])] == [0.0, 1.0]


def test_records_keep_what_was_written_and_say_that_it_leaked(tmp_path):
    path = tmp_path / "records.jsonl"
    env = begun("ignore", records=path)
    env.branch([TOLD, HINT])
    env.step(TOLD)
    env.close()
    rows = list(read_records(path, "reflection"))
    assert [(row["reflection"], row["leak"], row["reward"]) for row in rows] == [
        (TOLD, True, 0.0),
        (HINT, False, 1.0),
        (TOLD, True, 0.0),
    ]
    run = load_run(path)
    assert [trial.reflections for each in run.reflections.values() for trial in run.after(each)] == [(), (HINT,), ()]
    assert '"leak": "ignore"' in next(iter(run.headers.values())).env_kwargs


def test_a_vector_environment_ignores_them_too():
    envs = RetroVectorEnv(3, task_env=IdentityEnv(), leak="ignore", autoreset_mode="Disabled")
    envs.reset(seed=0, options=BLUE)
    _, rewards, _, _, infos = envs.step([TOLD, HINT, "red"])
    assert (rewards.tolist(), infos["leak"].tolist()) == ([0.0, 1.0, 0.0], [True, False, False])
    assert [env.memory.reflections for env in envs.envs] == [(), (HINT,), ("red",)]
    envs.close()


@pytest.mark.parametrize("leak", ["allow", "ignore"])
@pytest.mark.parametrize("text", [TOLD, HINT, "red"])
def test_both_views_give_the_same(leak, text):
    env = TokenEnv(begun(leak), Characters())
    env.reset(seed=0, options=BLUE)
    *_, last = [env.step(token) for token in written(text)]
    vector = TokenVectorEnv(
        RetroVectorEnv(1, task_env=IdentityEnv(), leak=leak, autoreset_mode="Disabled"), Characters()
    )
    vector.reset(seed=0, options=BLUE)
    *_, batch = [vector.step([token]) for token in written(text)]
    _, reward, _, _, info = begun(leak).step(text)
    assert (last[1], last[4]["leak"], last[4]["reflection"]) == (reward, info["leak"], text)
    assert (batch[1][0], batch[4]["leak"][0], batch[4]["reflection"][0]) == (reward, info["leak"], text)
    vector.close()


@pytest.mark.parametrize("leak", ["allow", "ignore"])
def test_the_public_check_of_both_views_passes(leak):
    token_text_equivalence(gym.make("RetroIdentity-v0", leak=leak), Characters())


@pytest.mark.parametrize("task_env", [Plain, CoinEnv])
def test_it_needs_a_teacher_that_finds_leaks(task_env):
    with pytest.raises(ConfigError, match="leaks is needed here"):
        RetroEnv(task_env(), actor=EchoActor(), leak="ignore")
    env = RetroEnv(task_env(), actor=EchoActor("x"), leak="allow")
    env.reset(seed=0, options={"task_id": env.task_env.task_ids("train")[0]})
    assert "leak" not in env.step("anything")[4]
    assert env.leaks("anything") is None


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"leak 'ignor' is not one of \('allow', 'ignore'\). Did you mean 'ignore'"):
        RetroEnv(IdentityEnv(), leak="ignor")


def test_a_mixture_needs_it_of_every_teacher():
    gym.register("PlainIdentity-v0", Plain)
    try:
        with pytest.raises(ConfigError, match=r"Teacher.leaks is needed here but not defined"):
            gym.make("RetroMix-v0", envs=["Identity-v0", "PlainIdentity-v0"], leak="ignore")
        env = gym.make("RetroMix-v0", envs=["Identity-v0"], leak="ignore").unwrapped
        env.reset(seed=0, options={"task_id": "Identity-v0:train-2-blue"})
        assert env.step(TOLD)[4]["leak"] is True
    finally:
        del gym.registry["PlainIdentity-v0"]
