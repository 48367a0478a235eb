"""Bad arguments: one error each, at the door, with the value received and what to do."""

import gymnasium as gym
import pytest

from retro_gym import RetroEnv, TokenEnv
from retro_gym.errors import ConfigError, RecordError, TemplateError, UnsupportedArgumentError
from retro_gym.testing import IdentityEnv
from tests.core.characters import Characters


@pytest.mark.parametrize(
    ("kwargs", "said"),
    [
        ({"reward": "retrun"}, r"'retrun'.*Did you mean 'return'"),
        ({"reward": None}, r"None is not one of"),
        ({"reward": ["return"]}, r"is not one of"),
        ({"max_reflections": 0}, r"max_reflections is 0; .*at least 1"),
        ({"max_reflections": "3"}, r"max_reflections is '3'"),
        ({"max_reflections": 2.5}, r"max_reflections is 2.5"),
        ({"memory_window": 0}, r"memory_window is 0"),
        ({"repeat_limit": 1}, r"repeat_limit is 1; .*at least 2"),
        ({"max_turns": 0}, r"max_turns is 0"),
        ({"control_trials": -1}, r"control_trials is -1"),
        ({"max_reflection_chars": 0}, r"max_reflection_chars is 0"),
        ({"max_observation_chars": 0}, r"max_observation_chars is 0"),
        ({"retroact_c": 0.0}, r"retroact_c is 0.0; it must be above 0"),
        ({"retroact_c": float("nan")}, r"retroact_c is nan"),
        ({"retroact_c": float("inf")}, r"retroact_c is inf"),
        *(({"trial_time_limit": odd}, r"trial_time_limit is .*above 0") for odd in (0, -1.0, "5", [1], True)),
        ({"render_mode": "human"}, r"render_mode 'human' is not one of \('ansi',\)"),
        ({"actor_kwargs": {"budget": 5}}, r"budget is 5; give a .*Budget"),
        ({"actor_kwargs": 5}, r"actor_kwargs is 5; give Mapping"),
        ({"bank": 3}, r"bank is 3; give str or PathLike or FailureBank"),
        ({"records": 3}, r"records is 3; give str or PathLike or RecordWriter"),
        ({"actor": "gpt-9"}, r"actor 'gpt-9' is not known"),
        ({"actor": 3}, r"actor 3"),
        ({"success_threshold": 0.5}, r"IdentityEnv reports success itself"),
        ({"words": ("red",)}, r"unexpected keyword argument 'words'.*instance already"),
    ],
)
def test_an_argument_out_of_its_rule(kwargs, said):
    with pytest.raises(ConfigError, match=said):
        RetroEnv(IdentityEnv(), **kwargs)


@pytest.mark.parametrize("name", ["observation_template", "actor_template"])
@pytest.mark.parametrize("template", ["{unknown}", "{", 3])
def test_a_template_out_of_its_rule(name, template):
    with pytest.raises(TemplateError, match=name):
        RetroEnv(IdentityEnv(), **{name: template})


def test_a_bank_that_is_not_there(tmp_path):
    with pytest.raises(RecordError, match="Give the path of a records file"):
        RetroEnv(IdentityEnv(), bank=tmp_path / "absent.jsonl")


@pytest.mark.parametrize(
    ("task_env", "said"),
    [
        ("Identty-v0", r"'Identty-v0' is not registered. Did you mean 'Identity-v0'"),
        ("no_such_module_here:Identity-v0", "cannot be made"),
        ("retro_gym:Identity-v99", "cannot be made"),
        (None, "task_env is None"),
        (IdentityEnv, "task_env is <class"),
    ],
)
def test_a_task_environment_that_cannot_be_had(task_env, said):
    with pytest.raises(ConfigError, match=said):
        RetroEnv(task_env)


def test_an_environment_that_is_not_of_text():
    class Numbers(gym.Env):
        observation_space = gym.spaces.Discrete(2)
        action_space = gym.spaces.Text(10)

    with pytest.raises(ConfigError, match=r"observation_space of Numbers is Discrete\(2\)"):
        RetroEnv(Numbers())


def test_arguments_of_the_task_environment_pass_through_an_id():
    env = gym.make("RetroIdentity-v0", words=("pink",), max_reflections=1)
    assert env.reset(seed=0)[1]["task_id"].endswith("pink")


def test_an_argument_that_nobody_knows():
    unknown = (
        r"got an unexpected keyword argument 'max_reflection': it is known neither to RetroEnv nor .*'Identity-v0'"
    )
    with pytest.raises(UnsupportedArgumentError, match=unknown):
        gym.make("RetroIdentity-v0", max_reflection=1)


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.filterwarnings("ignore:.*render_mode='rgb_array' that is not in the possible render_modes")
@pytest.mark.parametrize(("name", "value"), [("frameskip", 1), ("render_mode", "rgb_array")])
def test_libraries_may_try_again_without_an_argument_that_is_not_there(name, value, vector):
    make = gym.make_vec if vector else gym.make
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'frameskip'|render_mode 'rgb_array'") as caught:
        make("RetroIdentity-v0", **{name: value})
    assert isinstance(caught.value, ConfigError)
    make("RetroIdentity-v0").close()


def test_the_message_of_gymnasium_with_all_arguments_is_left_out():
    url = "http://user:password@localhost/v1"  # Gymnasium adds the arguments to the message of a TypeError
    with pytest.raises(UnsupportedArgumentError) as caught:
        gym.make("RetroIdentity-v0", actor="scripted", max_reflection=1, actor_kwargs={"base_url": url})
    assert "password" not in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*render_mode='rgb_array' that is not in the possible render_modes")
def test_stable_baselines3_makes_it_by_its_id():
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.env_util import make_vec_env

    options = {"tokenizer": Characters(), "max_prompt_tokens": 200}
    envs = make_vec_env("RetroIdentity-v0", 2, seed=0, wrapper_class=TokenEnv, wrapper_kwargs=options)
    assert envs.reset()["ids"].shape == (2, 247)


def test_an_argument_that_the_task_environment_refuses():
    with pytest.raises(ConfigError, match="num_tasks 0"):
        gym.make("RetroIdentity-v0", num_tasks=0)
