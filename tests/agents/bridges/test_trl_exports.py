"""TRL's SFT and DPO trainers on what ``export`` writes."""

import pytest
import torch
from datasets import load_dataset

from retro_gym_agents.data.export import ExportConfig, export
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import ReflectorPolicy

trl = pytest.importorskip("trl")

# TRL and peft still use the names that transformers 5 has given up.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

COMMON = {
    "per_device_train_batch_size": 16,
    "max_steps": 10,
    "learning_rate": 3e-3,
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "logging_steps": 1,
    "save_strategy": "no",
    "report_to": "none",
    "disable_tqdm": True,
}


@pytest.fixture(scope="module")
def records(small_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("records") / "records.jsonl"
    config = CollectConfig("RetroIdentity-v0", path, num_episodes=24, max_reflections=1, num_samples=6)
    collect(config, ReflectorPolicy(str(small_model)))
    return path


def exported(records, folder, **fields):
    target = folder / "export.jsonl"
    export([records], target, ExportConfig(**fields))
    return load_dataset("json", data_files=str(target), split="train", cache_dir=str(folder / "cache"))


def mean_logprob(reflector, prompts, completions):
    """The mean log-probability of the completions under the present weights."""
    reflector.model.eval()
    found = []
    for prompt, completion in zip(prompts, completions, strict=True):
        start = reflector.tokenizer(prompt)["input_ids"]
        reply = [*reflector.tokenizer(completion)["input_ids"], reflector.tokenizer.eos_token_id]
        with torch.no_grad():
            logits = reflector.model(input_ids=torch.tensor([start + reply])).logits[0, len(start) - 1 : -1]
        found.append(logits.log_softmax(-1)[torch.arange(len(reply)), reply].sum().item())
    return sum(found) / len(found)


def test_sft_makes_what_was_good_more_likely(records, small_model, tmp_path):
    rows = exported(records, tmp_path, format="sft", successful=True)
    reflector = Reflector.load(small_model)
    before = mean_logprob(reflector, rows["prompt"], rows["completion"])
    trl.SFTTrainer(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        args=trl.SFTConfig(output_dir=str(tmp_path / "sft"), completion_only_loss=True, **COMMON),
        train_dataset=rows,
    ).train()
    assert mean_logprob(reflector, rows["prompt"], rows["completion"]) > before + 0.1


def test_dpo_prefers_what_was_rated_higher(records, small_model, tmp_path):
    rows = exported(records, tmp_path, format="preference")
    reflector = Reflector.load(small_model)

    def margin():
        better, worse = (mean_logprob(reflector, rows["prompt"], rows[name]) for name in ("chosen", "rejected"))
        return better - worse

    before = margin()
    trl.DPOTrainer(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        args=trl.DPOConfig(output_dir=str(tmp_path / "dpo"), **COMMON),
        train_dataset=rows,
    ).train()
    assert margin() > before + 0.1
