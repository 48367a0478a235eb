"""``planner:DIR`` names a planner as an actor."""

import shutil
import sys

import pytest
import torch

from retro_gym.actors import actor_name, make_actor
from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.prompts import BARE_TEMPLATE, Prompt
from retro_gym_agents import Planner
from retro_gym_agents.play.envs import make_retro_env

PROMPT = Prompt("Answer the question.", ("An example.",), (), "Question: What is the rival of X?", (), seed=0)


def test_the_tiny_model_plays_by_its_name():
    env = make_retro_env("RetroHotpotQA-v0", actor="planner:tiny", actor_kwargs={"greedy": True}, split="test")
    env.reset(seed=0)
    assert env.trajectory.turns
    assert all(turn.action for turn in env.trajectory.turns)
    assert env.actor.parameters["temperature"] == 0.0


def test_a_planner_is_reported_by_its_weights(small_model, tmp_path):
    planner = Planner.load(small_model)
    planner.save(tmp_path / "planner")
    shutil.copytree(tmp_path / "planner", tmp_path / "copy")
    specs = [f"planner:{tmp_path / name}" for name in ("planner", "copy")]
    first, copy = (actor_name(spec, make_actor(spec, None)) for spec in specs)
    assert first == copy
    assert first.startswith(f"planner:{planner.name}@")
    with torch.no_grad():
        next(iter(planner.trainable.values())).add_(1.0)
    planner.save(tmp_path / "copy")
    assert actor_name(specs[1], make_actor(specs[1], None)) != first
    assert actor_name("planner:tiny", make_actor("planner:tiny", None)) == "planner:tiny"


def test_the_tiny_model_reads_prompts_without_instruction_and_examples():
    planner = make_actor("planner:tiny", None)
    assert isinstance(planner, Planner)
    assert planner.template == BARE_TEMPLATE
    text = planner.tokenizer.decode(planner.encode(PROMPT), skip_special_tokens=True)
    assert "Question: What is the rival of X?" in text
    assert "Answer the question." not in text
    assert "An example." not in text


def test_a_saved_planner_keeps_its_template(small_model, tmp_path):
    planner = Planner.load(small_model, template="{history}")
    planner.save(tmp_path / "planner")
    assert make_actor(f"planner:{tmp_path / 'planner'}", None).template == "{history}"
    assert Planner.load(tmp_path / "planner", template="{history} ").template == "{history} "
    assert Planner.load(small_model).template is None
    assert Planner.beside(planner, folder=tmp_path / "planner").template == "{history}"


def test_a_reflectors_adapter_plays_with_the_environments_template(small_model, tmp_path):
    from retro_gym_agents import Reflector

    Reflector.load(small_model).save(tmp_path / "adapter")
    assert Planner.load(tmp_path / "adapter").template is None


@pytest.mark.parametrize(
    ("spec", "options", "told"),
    [
        ("planner:tiny", {"greddy": True}, "no option 'greddy'.*Did you mean 'greedy'"),
        ("planner:absent/folder/x", {}, "absent/folder/x"),
        ("planner:", {}, "is not known.*'planner:DIR'"),
        ("planner:tiny", {"template": "{nothing}"}, "template names the field 'nothing'"),
    ],
)
def test_wrong_specs(spec, options, told):
    with pytest.raises(ConfigError, match=told):
        make_actor(spec, None, **options)


def test_without_torch_the_extra_is_named(monkeypatch):
    monkeypatch.delitem(sys.modules, "retro_gym_agents.lm.planner", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [each for each in sys.modules if each.startswith("retro_gym_agents.lm.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingExtraError, match="train"):
        make_actor("planner:tiny", None)
