"""The command in a card: parsed again, it has the settings of the run."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
import tyro

from retro_gym_agents.algorithms.imitation import ImitationConfig
from retro_gym_agents.algorithms.ppo import PPOConfig
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.algorithms.retroact import RetroActConfig
from retro_gym_agents.algorithms.retroformer import OfflinePPOConfig
from retro_gym_agents.algorithms.reward_model import RewardModelConfig
from retro_gym_agents.cli.imitate import Imitate
from retro_gym_agents.cli.pipelines import RetroAct
from retro_gym_agents.cli.train import Train
from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.share.commands import command_of

OUTPUT = Path("runs/again")
LEARNER = {
    "output": OUTPUT,
    "seed": 4,
    "lora": LoraSettings(rank=4),
    "learning_rate": 0.25,
    "max_grad_norm": 2.0,
    "autocast_updates": True,
}


def stored(config):
    """The settings as a run's folder holds them."""
    return json.loads(json.dumps({**config.to_json(), "lora": dataclasses.asdict(config.lora.filled())}))


def parsed(command, kind):
    program, _, *words = shlex.split(command)
    assert program == "retro-gym"
    return tyro.cli(kind, args=words)


@pytest.mark.parametrize("config_class", [ReinforceConfig, PPOConfig])
def test_of_learners_on_an_environment(config_class):
    own = {
        "env_id": "RetroALFWorld-v0",
        "env_kwargs": {"max_reflections": 2, "reward": "improvement", "tasks": "my tasks.json"},
        "actor": "openai:some/model",
        "actor_kwargs": {"temperature": 0.5},
        "reflector": "someone/first@v1",
        "updates": 7,
        "shuffle_rewards": True,
        "decay_updates": 3,
        "max_minutes": 2.5,
        "validate_every": 5,
    }
    for config in (config_class(output=OUTPUT), config_class(**LEARNER, **own)):
        command = command_of(stored(config))
        options = parsed(command, Train)
        assert options.algo == config_class.algorithm
        assert stored(config_class(**options.fields(config_class))) == stored(config)
    assert "--set" not in command_of(stored(config_class(output=OUTPUT)))


def test_of_imitation():
    own = {
        "records": ("a.jsonl", "b.jsonl"),
        "role": "planner",
        "min_rating": 0.5,
        "successful": True,
        "together": True,
    }
    config = ImitationConfig(**LEARNER, **own, epochs=2)
    options = parsed(command_of(stored(config)), Imitate)
    names = {name: getattr(options, name) for name in ("role", "min_rating", "successful")}
    assert stored(ImitationConfig(**options.settings_for(ImitationConfig, **names))) == stored(config)


def test_of_retroact():
    own = {"env_id": "RetroWebShop-v0", "rounds": 2, "learn": ("reflector",), "expert_kwargs": {"thoughts": True}}
    config = RetroActConfig(**LEARNER, **own, clip=0.2, adapters="one")
    options = parsed(command_of(stored(config)), RetroAct)
    assert (options.env_id, options.rounds, options.adapters, options.seed) == ("RetroWebShop-v0", 2, "one", 4)
    assert options.learn == (("reflector",),)
    assert set(options.set[0]) == {
        "clip=0.2",
        'expert_kwargs={"thoughts": true}',
        "max_grad_norm=2.0",
        "autocast_updates=true",
    }
    later = RetroActConfig(output=OUTPUT, start=Path("runs/first"), imitation_updates=0)
    assert command_of(stored(later)) is None, "no option says where it starts"


def test_of_what_no_command_makes():
    assert command_of({}) is None
    stage = OfflinePPOConfig(output=OUTPUT, records="collected.jsonl", reward_model="runs/reward-model")
    assert command_of(stored(stage)) is None
    assert command_of(stored(RewardModelConfig(output=OUTPUT, records=("a.jsonl",)))) is None
