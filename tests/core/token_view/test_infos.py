"""What token views tell in info: the same keys and types at every call, for loops that store infos in arrays."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from retro_gym import ReflectionEnv, RetroEnv, TokenEnv, TokenVectorEnv, token_text_equivalence
from retro_gym.errors import ConfigError
from retro_gym.testing import FlakyActor, IdentityActor, IdentityEnv
from retro_gym.token_view.infos import NUMBERS
from tests.core.characters import Characters, written

IDENTITY = "RetroIdentity-v0"
BLUE = {"task_id": "train-2-blue"}
KINDS = {name: type(zero) for name, zero in NUMBERS.items()}


def after_reflections(prompt):
    return "fail" in prompt.reflections


def flaky():
    return FlakyActor(IdentityActor(), after_reflections)


def make(cls=TokenEnv, *, info="numbers", max_reflections=3, **options):
    env = RetroEnv(IdentityEnv(), actor=flaky(), max_reflections=max_reflections)
    return cls(env, Characters(), max_prompt_tokens=400, max_new_tokens=6, info=info, **options)


def write(env, text):
    return [env.step(token) for token in written(text)]


def test_numbers_have_the_same_keys_and_types_at_every_call():
    env = make()
    infos = [env.reset(seed=0, options=BLUE)[1], *(step[4] for step in write(env, "no") + write(env, "blue"))]
    assert [{name: type(value) for name, value in info.items()} for info in infos] == [KINDS] * len(infos)
    assert [info["reflection_tokens"] for info in infos] == [0, 0, 0, 3, 0, 0, 0, 0, 5]
    assert [info["trial"] for info in infos if info["reflection_tokens"]] == [1, 2]
    assert infos[-1] == {**NUMBERS, **infos[-1], "success": True, "return": 1.0, "actor_failed": False}
    assert infos[0]["prompt_tokens"] > 0 == infos[1]["prompt_tokens"]


def test_numbers_say_that_the_actor_has_failed():
    env = make()
    env.reset(seed=0, options=BLUE)
    steps = write(env, "fail")
    assert [step[4]["actor_failed"] for step in steps] == [False] * 4 + [True]
    assert steps[-1][1:4] == (0.0, False, True)
    assert "actor_error" not in steps[-1][4]  # which loops look for by its presence


def test_none_is_always_empty():
    env = make(info="none")
    assert env.reset(seed=0)[1] == {}
    assert [step[4] for step in write(env, "fail")] == [{}] * 5


@pytest.mark.parametrize("cls", [TokenEnv, ReflectionEnv])
def test_full_is_the_default(cls):
    env = cls(gym.make(IDENTITY), Characters())
    assert env.info_mode == "full"
    assert {"task_id", "trajectory", "reflection"} <= set(env.reset(seed=0)[1])


def test_a_reflection_at_a_time_has_them_too():
    env = make(ReflectionEnv)
    infos = [env.reset(seed=0, options=BLUE)[1], env.step([*written("blue"), 0][:6])[4]]
    assert [{name: type(value) for name, value in info.items()} for info in infos] == [KINDS] * 2
    assert infos[1]["success"]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match=r"info 'numbrs' is not one of .* Did you mean 'numbers'"):
        make(info="numbrs")


def test_views_are_compared_with_full_infos_only():
    with pytest.raises(ConfigError, match="info is 'numbers'; leave it at 'full'"):
        token_text_equivalence(make(), Characters())


# -- vectors -----------------------------------------------------------------------------------------------------------

WORDS = ("no", "blue", "fail")


def vector(info, mode="SameStep"):
    envs = gym.make_vec(IDENTITY, 3, actor=flaky(), max_reflections=2, autoreset_mode=mode)
    return TokenVectorEnv(envs, Characters(), max_prompt_tokens=400, max_new_tokens=6, info=info)


def sync(info):
    wrapper = partial(TokenEnv, tokenizer=Characters(), max_prompt_tokens=400, max_new_tokens=6, info=info)
    return gym.make_vec(
        IDENTITY,
        3,
        "sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        wrappers=[wrapper],
        actor=flaky(),
        max_reflections=2,
    )


def infos_of(envs, steps=14):
    infos = [envs.reset(seed=5, options=BLUE)[1]]
    for step in range(steps):
        tokens = [written(word)[step % (len(word) + 1)] for word in WORDS]
        infos.append(envs.step(np.array(tokens))[4])
    return infos


def plain(value):
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.dtype.kind, value.tolist()
    return [plain(each) for each in value] if isinstance(value, list | tuple | np.ndarray) else value


def test_numbers_of_a_vector_are_those_of_gymnasiums_own():
    ours, theirs = infos_of(vector("numbers")), infos_of(sync("numbers"))
    assert plain(ours) == plain(theirs)
    assert sum("final_info" in info for info in ours) > 3


def test_numbers_of_a_vector_are_arrays_at_every_step():
    for info in infos_of(vector("numbers")):
        main = {name: array for name, array in info.items() if not name.startswith(("_", "final", "_final"))}
        assert {name: array.dtype.kind for name, array in main.items()} == {
            name: np.dtype(kind).kind for name, kind in KINDS.items()
        }
        assert all(info[f"_{name}"].all() for name in main)
        final = info.get("final_info", {})
        assert not [name for name, array in final.items() if array.dtype == object]
    failed = [info["final_info"]["actor_failed"] for info in infos_of(vector("numbers")) if "final_info" in info]
    assert np.any(failed, axis=0).tolist() == [False, False, True]


@pytest.mark.parametrize("mode", ["SameStep", "Disabled"])
def test_none_is_empty_in_a_vector_too(mode):
    envs = vector("none", mode)
    assert envs.reset(seed=0)[1] == {}
    assert [envs.step(np.array([65, 2, 65]))[4] for _ in range(2)] == [{}, {}]


def test_a_masked_reset_tells_zeros_of_the_others():
    envs = vector("numbers", "Disabled")
    envs.reset(seed=0, options=BLUE)
    _, infos = envs.reset(options={"reset_mask": np.array([True, False, True]), **BLUE})
    assert (infos["prompt_tokens"] > 0).tolist() == [True, False, True]


# -- who has truncated it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("info", ["full", "numbers"])
def test_a_time_limit_is_no_failed_actor(info):
    env = gym.wrappers.TimeLimit(make(info=info), 3)
    env.reset(seed=0, options=BLUE)
    *_, (_, reward, terminated, truncated, told) = [env.step(65) for _ in range(3)]
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "actor_error" not in told
    assert not told.get("actor_failed")
    env.reset(seed=0, options=BLUE)  # and the next episode is not disturbed
    env.step(ord("x"))
    assert env.unwrapped.trajectory.trial == 0


def test_a_time_limit_on_trials_keeps_the_reward():
    inner = gym.wrappers.TimeLimit(gym.make(IDENTITY, max_reflections=3), 1)
    env = TokenEnv(inner, Characters(), max_prompt_tokens=400)
    env.reset(seed=0, options=BLUE)
    *_, (_, reward, terminated, truncated, info) = write(env, "red")
    assert (reward, terminated, truncated, "actor_error" in info) == (0.0, False, True, False)
    assert (info["trial"], info["reflection"]) == (1, "red")
