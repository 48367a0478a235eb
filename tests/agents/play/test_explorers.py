import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
import torch

from retro_gym.errors import ConfigError
from retro_gym_agents.lm.adapters import LoraSettings
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play import explorers as module
from retro_gym_agents.play.collection import CollectConfig
from retro_gym_agents.play.explorers import Explorers, Pair, play_into
from retro_gym_agents.play.policies import make_policy

LORA = LoraSettings(rank=2)


def pair(seed=0):
    planner = Planner.load("tiny", lora=LORA, seed=seed, max_new_tokens=8, batch_size=8)
    return Pair(planner, Reflector.beside(planner, lora=LORA, seed=seed + 1))


def shifted():
    """A pair that has learned something."""
    learned = pair()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for weight in (*learned.planner.trainable.values(), *learned.reflector.trainable.values()):
            weight += 0.02 * torch.randn(weight.shape, generator=generator)
    for model in learned:
        model.version = "later"
    return learned


def settings(folder):
    return CollectConfig("RetroHotpotQA-v0", folder / "round.jsonl", num_episodes=7, max_reflections=1, seed=5)


def test_other_processes_play_what_this_one_does(tmp_path, monkeypatch):
    """The adapters are the learner's: those that the processes begin with are others."""
    monkeypatch.setattr(module, "_PART", 4)
    found = []
    for number in (1, 2):
        explorers = Explorers(shifted(), partial(pair, seed=9), number)
        (tmp_path / str(number)).mkdir()
        paths = explorers.play(settings(tmp_path / str(number)))
        explorers.close()
        assert [path.name for path in paths] == ["round-0.jsonl", "round-1.jsonl"]
        found.append([path.read_text() for path in paths])
    assert found[0] == found[1]
    rows = [json.loads(line) for text in found[0] for line in text.splitlines()]
    assert {row["model"] for row in rows if row["kind"] == "generation"} == {"tiny@later"}
    tasks = [row["task_id"] for row in rows if row["kind"] == "trial" and row["trial"] == 0]
    assert len(set(tasks)) == 7, "each part has tasks of its own"


def test_what_is_there_is_not_played_again(tmp_path):
    whole = settings(tmp_path)
    path = play_into(whole, "scripted", make_policy("vague"))
    text = path.read_text()
    path.write_text(text + "\n")
    assert play_into(whole, "scripted", make_policy("oracle")) == path
    assert path.read_text() == text + "\n"
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_interrupted_is_played_from_the_beginning(tmp_path):
    Path(f"{settings(tmp_path).output}.part").write_text("half a row")
    path = play_into(settings(tmp_path), "scripted", make_policy("vague"))
    (tmp_path / "other").mkdir()
    other = play_into(settings(tmp_path / "other"), "scripted", make_policy("vague"))
    assert path.read_text() == other.read_text()


def test_an_error_in_another_process_is_raised_here(tmp_path):
    explorers = Explorers(pair(), pair, 2)
    try:
        with pytest.raises(ConfigError, match="nowhere"):
            explorers.play(dataclasses.replace(settings(tmp_path), split="nowhere"))
    finally:
        explorers.close()
