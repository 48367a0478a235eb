"""A build of a few steps: what it leaves behind, what it learns, and that it resumes to the same weights."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from retro_gym.errors import CheckpointError, ConfigError, DivergedError
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.runs.checkpoints import read_checkpoint
from retro_gym_agents.tiny import build as building
from retro_gym_agents.tiny.build import BuildConfig, build
from retro_gym_agents.tiny.lessons import Stream, block_of
from retro_gym_agents.tiny.losses import encode_trials, play_loss, reflect_loss
from retro_gym_agents.tiny.quality import PlayQuality, Quality
from retro_gym_agents.tiny.settings import TinyShape

SMALL = TinyShape(hidden_size=64, intermediate_size=64, layers=2, context=1_024)


def config_of(folder, **fields):
    few = {"steps": 6, "failures_per_step": 3, "trials_per_step": 3, "reflections_per_failure": 2}
    quick = {"tokenizer_texts": 100, "warmup_steps": 1, "measure_every": 0, "generators": 0, "threads": 1}
    return BuildConfig(output=folder, **{"env_ids": ("RetroHotpotQA-v0",), **few, **quick, "shape": SMALL, **fields})


def weights(folder):
    return (folder / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build(config_of(folder))
    return folder


def test_a_build_leaves_a_model_of_both_roles(built):
    model = AutoModelForCausalLM.from_pretrained(built / "model")
    assert model.config.vocab_size == len(AutoTokenizer.from_pretrained(built / "model"))
    generation = json.loads((built / "model" / "generation_config.json").read_text())
    assert (generation["do_sample"], generation["temperature"]) == (True, 0.8)
    assert generation["max_new_tokens"] % 8 == 0
    assert len(Reflector.load(built / "model", lora=None).reflect(["Question: Who owns Velmora Works?"])) == 1
    assert Planner.load(built / "model", lora=None).sampling.max_new_tokens == generation["max_new_tokens"]


def test_the_longest_reply_fits_the_limit_of_tokens(built):
    tokenizer, model = building._load(built / "model")
    config = config_of(built)
    for stream in (Stream("RetroHotpotQA-v0", "play"), Stream("RetroHotpotQA-v0", "reflect")):
        lessons = [one for batch in block_of(config, stream, 0) for one in batch]
        said = [text for one in lessons for text in (getattr(one, "reflections", ()) or (s for s, _ in one.turns))]
        assert max(len(tokenizer(text)["input_ids"]) for text in said) < model.generation_config.max_new_tokens


def test_the_same_seed_builds_the_same_weights(built, tmp_path):
    build(config_of(tmp_path / "again"))
    build(config_of(tmp_path / "other", seed=3))
    build(config_of(tmp_path / "onward", start=built / "model"))
    others = [weights(tmp_path / name) for name in ("again", "other", "onward")]
    assert [one == weights(built) for one in others] == [True, False, False]


def test_a_build_in_pieces_ends_with_the_same_weights(built, tmp_path):
    pieces = 0
    while not (done := building._Build(config_of(tmp_path, resume=True), building.Console(quiet=True))).finished:
        assert done.step == pieces
        build(config_of(tmp_path, resume=True, max_minutes=1e-9))
        pieces += 1
    assert pieces == 6
    assert weights(tmp_path) == weights(built)


def test_a_build_that_is_killed_resumes_to_the_same_weights(built, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from tests.agents.tiny.test_build import build, building, config_of\n"
        "learn = building._Build.learn\n"
        "def killed(self, *lesson):\n"
        "    if self.step == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    learn(self, *lesson)\n"
        "if __name__ == '__main__':\n"
        "    building._Build.learn = killed\n"
        "    build(config_of(Path(sys.argv[1]), save_minutes=0.0, resume=True))\n"
    )
    folder = tmp_path / "run"
    command = [sys.executable, str(script), str(folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_checkpoint(folder / "state" / "checkpoint.pt").update == 3
    build(config_of(folder, resume=True))
    assert weights(folder) == weights(built)


def test_another_build_is_neither_overwritten_nor_resumed_with_other_settings(built):
    with pytest.raises(ConfigError, match="already"):
        build(config_of(built))
    with pytest.raises(CheckpointError, match="learning_rate"):
        build(config_of(built, resume=True, learning_rate=1e-4))
    before = weights(built)
    assert build(config_of(built, resume=True, threads=2, measure_every=3)) == built / "model"
    assert weights(built) == before


def test_the_finished_model_is_installed_on_demand(built, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "_PACKAGED", tmp_path / "weights")
    build(config_of(built, resume=True))
    assert not (tmp_path / "weights").exists()
    build(config_of(built, resume=True, install=True))
    assert (tmp_path / "weights" / "model.safetensors").read_bytes() == weights(built)


@pytest.mark.parametrize("role", ["reflect", "play"])
def test_the_loss_on_some_lessons_falls_when_they_are_learned(built, role):
    tokenizer, model = building._load(built / "model")
    config = config_of(built)
    lessons = block_of(config, Stream("RetroHotpotQA-v0", role), 0)[0]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        if role == "play":
            loss = total = play_loss(model, tokenizer, lessons, config.longest)
        else:
            loss, total = reflect_loss(model, tokenizer, lessons, config, generator)
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_trials_in_one_batch_do_not_see_each_other(built):
    tokenizer, model = building._load(built / "model")
    trials = block_of(config_of(built), Stream("RetroHotpotQA-v0", "play"), 0)[0]
    counts = [sum(target >= 0 for target in targets) for _, targets in encode_trials(tokenizer, trials)]
    losses = [play_loss(model, tokenizer, [one], 10_000).item() for one in trials]
    alone = sum(count * loss for count, loss in zip(counts, losses, strict=True))
    assert play_loss(model, tokenizer, trials, 10_000).item() == pytest.approx(alone / sum(counts), rel=1e-5)


def test_long_lessons_are_left_out(built):
    tokenizer, model = building._load(built / "model")
    config = config_of(built)
    trials = block_of(config, Stream("RetroHotpotQA-v0", "play"), 0)[0]
    lengths = [len(ids) for ids, _ in encode_trials(tokenizer, trials)]
    short = [one for one, length in zip(trials, lengths, strict=True) if length <= sorted(lengths)[1]]
    assert 0 < len(short) < len(trials)
    longest = sorted(lengths)[1]
    assert play_loss(model, tokenizer, trials, longest) == play_loss(model, tokenizer, short, 10_000)
    assert play_loss(model, tokenizer, trials, 1) == play_loss(
        model, tokenizer, [trials[lengths.index(min(lengths))]], 10_000
    )

    failures = block_of(config, Stream("RetroHotpotQA-v0", "reflect"), 0)[0]
    lengths = [len(tokenizer(one.observation)["input_ids"]) for one in failures]
    short = [one for one, length in zip(failures, lengths, strict=True) if length < max(lengths)]
    assert 0 < len(short) < len(failures)
    some = dataclasses.replace(config, longest=max(lengths) - 1, prompt_share=0.0)
    losses = [reflect_loss(model, tokenizer, lessons, some, torch.Generator())[0] for lessons in (failures, short)]
    assert losses[0] == losses[1]


def test_a_loss_that_is_not_finite_ends_the_build(tmp_path, monkeypatch):
    nothing = torch.tensor(torch.nan)
    monkeypatch.setattr(building, "reflect_loss", lambda *args: (nothing, nothing))
    with pytest.raises(DivergedError):
        build(config_of(tmp_path, play_share=0.0))


def test_the_oracle_is_withdrawn():
    config = BuildConfig(steps=600, oracle_share=0.8, oracle_until=0.5)
    shares = [building._oracle_share(config, step) for step in (1, 300, 350, 400, 600)]
    assert shares == pytest.approx([0.8, 0.8, 0.4, 0.0, 0.0])


def test_the_learning_rate_warms_up_and_decays():
    config = BuildConfig(steps=1_000, warmup_steps=100, learning_rate=1.0)
    rates = [building._learning_rate(config, step) for step in (1, 100, 500, 900, 1_000)]
    assert rates[0] < 0.011
    assert all(earlier > later for earlier, later in pairwise(rates[1:]))
    assert rates[-1] == pytest.approx(0.05)


@pytest.mark.parametrize("fields", [{"steps": 0}, {"play_share": 1.5}, {"env_ids": ()}, {"learning_rate": 0.0}])
def test_wrong_settings_are_refused(fields):
    with pytest.raises(ConfigError, match=next(iter(fields))):
        BuildConfig(**fields)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_the_quality_is_printed_on_the_way_and_at_the_end(tmp_path, monkeypatch, capsys, share):
    """The roles that are learned are measured, with the weights of that step."""
    measured = []

    def measure_all(reflector, planner, env_ids, **how):
        measured.append((planner is not None, env_ids, how["num_tasks"]))
        return {"RetroHotpotQA-v0": (Quality(*[0.125] * 8), PlayQuality(0.5, 0.25, 0.75) if planner else None)}

    monkeypatch.setattr(building, "measure_all", measure_all)
    build(config_of(tmp_path, measure_every=4, measure_tasks=2, play_share=share))
    assert measured == [(share > 0, ("RetroHotpotQA-v0",), 2)] * 2
    printed = capsys.readouterr().err
    assert all(text in printed for text in ("step 4,", "step 6,", "2 validation tasks", "12.5"))
