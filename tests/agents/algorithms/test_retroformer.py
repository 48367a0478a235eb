import dataclasses
import json

import pytest

from retro_gym.errors import ConfigError
from retro_gym_agents.algorithms.retroformer import OfflinePPOConfig, RetroformerConfig, ScoredRun, train
from retro_gym_agents.data.examples import load_examples


def config(small_model, output, **fields):
    defaults = {
        "env_id": "RetroIdentity-v0",
        "reflector": str(small_model),
        "num_episodes": 48,
        "num_samples": 6,
        "sft": {"epochs": 1, "batch_size": 8},
        "reward_model": {"epochs": 8, "batch_size": 8, "learning_rate": 1e-2},
        "ppo": {"updates": 12, "learning_rate": 3e-3, "num_prompts": 8, "validate_every": 4, "validation_tasks": 20},
    }
    return RetroformerConfig(output=output, **{**defaults, **fields})


def validation(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["validation_success"] for row in rows if "validation_success" in row]


def test_all_stages_in_turn(small_model, tmp_path):
    train(config(small_model, tmp_path))
    assert (tmp_path / "sft" / "adapter").is_dir()
    assert (tmp_path / "reward_model" / "adapter" / "reward_head.pt").is_file()
    examples = load_examples([tmp_path / "pairs.jsonl"], "reflector")
    found = validation(tmp_path / "ppo")
    assert max(found[1:]) >= found[0] + 0.15, "the reward model's scores have taught it something"
    # PPO plays no trial of its own: everything was collected before, and the validation is not recorded.
    assert (tmp_path / "ppo" / "records.jsonl").stat().st_size == 0
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    train(config(small_model, tmp_path))
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}, "nothing was repeated"
    assert len(load_examples([tmp_path / "pairs.jsonl"], "reflector")) == len(examples)


def test_the_environment_may_pay_itself_and_stages_may_be_left_out(small_model, tmp_path):
    train(config(small_model, tmp_path, reward="env", stages=("ppo",)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ppo", "retroformer.json"]
    settings = json.loads((tmp_path / "ppo" / "config.json").read_text())
    assert settings["env_kwargs"]["reward"] == "improvement"
    found = validation(tmp_path / "ppo")
    assert max(found[1:]) >= found[0] + 0.15


def test_other_settings_need_another_folder(small_model, tmp_path):
    train(config(small_model, tmp_path, stages=("collect",), num_episodes=4))
    with pytest.raises(ConfigError, match="begun with num_episodes=4; now it is 5"):
        train(config(small_model, tmp_path, stages=("collect",), num_episodes=5))


@pytest.mark.parametrize(
    ("fields", "told"),
    [({"num_samples": 1}, "num_samples is 1"), ({"stages": ("rate",)}, "'rate'"), ({"reward": "both"}, "'both'")],
)
def test_bad_settings(small_model, tmp_path, fields, told):
    with pytest.raises(ConfigError, match=told):
        config(small_model, tmp_path, **fields)


def test_a_missing_reward_model_is_named(small_model, tmp_path):
    train(config(small_model, tmp_path, stages=("collect",), num_episodes=8))
    settings = OfflinePPOConfig(
        output=tmp_path / "ppo",
        env_id="RetroIdentity-v0",
        reflector=str(small_model),
        records=str(tmp_path / "pairs.jsonl"),
        reward_model=str(tmp_path / "reward_model"),
    )
    with pytest.raises(ConfigError, match="holds no reward model"):
        ScoredRun(settings)
    with pytest.raises(ConfigError, match=r"trial_discount is 0.5, but a reward model pays single reflections"):
        dataclasses.replace(settings, trial_discount=0.5)
