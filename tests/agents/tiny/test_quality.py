"""The figures of a model before RL, for models whose figures are known."""

import json

import pytest

from retro_gym.prompts import BARE_TEMPLATE, REFLECTIONS_HEADER
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.samples import Samples
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.tiny import quality
from retro_gym_agents.tiny.quality import QualityConfig, main, measure, measure_planner

ENV = "RetroHotpotQA-v0"
COMMON = {"split": "test", "num_tasks": 18, "seed": 5}


@pytest.fixture(scope="module")
def tiny():
    return Reflector.load("tiny", lora=None)


def writer(monkeypatch, reflector, write):
    """Lets a reflector write what a function of failure number and sample number says."""
    seeds = [derive_seed(COMMON["seed"], index) for index in range(COMMON["num_tasks"])]
    env = make_retro_env(ENV, split="test")
    number = {str(env.reset(seed=seed)[0]): index for index, seed in enumerate(seeds)}
    sample = reflector.sample

    def said(observations, *, num_samples=1, greedy=False, seed=0, **others):
        texts = [write(number[str(each)], k) for each in observations for k in range(num_samples)]
        like = sample(observations[:1], seed=0)
        return Samples(**{**vars(like), "texts": tuple(texts)})

    monkeypatch.setattr(reflector, "sample", said)


def oracles():
    env = make_retro_env(ENV, split="test")
    for index in range(COMMON["num_tasks"]):
        _, info = env.reset(seed=derive_seed(COMMON["seed"], index))
        yield env.task_env.teacher.oracle_reflection(info["task_id"])


def test_a_failure_that_one_of_k_reflections_solves_counts_once(monkeypatch, tiny):
    best = list(oracles())
    writer(monkeypatch, tiny, lambda failure, sample: best[failure] if sample == 2 else "")
    found = measure(tiny, ENV, samples=4, **COMMON)
    assert found.solved_greedy == found.solved_none  # greedy decoding takes sample 0
    assert found.pass_at_k >= 0.9
    assert found.pass_at_1 == pytest.approx((found.pass_at_k + 3 * found.solved_none) / 4, abs=0.1)
    assert found.well_formed_greedy == 0
    assert found.well_formed_sampled == 0.25


def test_the_scripted_actor_reproduces_itself(tiny, monkeypatch):
    """A planner whose replies are the scripted actor's, without chance: reproduced but for what it cannot see."""
    planner = Planner(tiny.model, tiny.tokenizer, name="tiny", lora=None, greedy=True)
    make = make_retro_env

    def certain(env_id, **kwargs):
        return make(env_id, **({"actor_kwargs": {"temperature": 0.0}} if "actor" not in kwargs else {}), **kwargs)

    monkeypatch.setattr(quality, "make_retro_env", certain)
    scripted = make(ENV, actor_kwargs={"temperature": 0.0}).actor
    monkeypatch.setattr(planner, "reply", scripted.reply)
    found = measure_planner(planner, ENV, **COMMON)
    assert found.reproduced == 1.0
    assert found.success < found.success_with_oracle


def test_the_table_is_printed_and_written(tmp_path, capsys):
    file = tmp_path / "quality.json"
    main(QualityConfig(env_ids=(ENV,), num_tasks=3, samples=2, json=file))
    row = json.loads(file.read_text())[ENV]
    assert set(row) >= {"pass_at_1", "pass_at_k", "reproduced", "success_with_oracle"}
    assert all(0 <= value <= 1 for value in row.values())
    printed = capsys.readouterr().out
    assert "HotpotQA" in printed
    assert f"{100 * row['pass_at_k']:.1f}" in printed


def test_a_planner_is_asked_with_the_bare_prompt(tiny, monkeypatch):
    planner = Planner(tiny.model, tiny.tokenizer, name="tiny", lora=None, greedy=True, max_new_tokens=4)
    asked = []
    reply = planner.reply
    monkeypatch.setattr(planner, "reply", lambda prompts: (asked.extend(prompts), reply(prompts))[1])
    measure_planner(planner, ENV, split="test", num_tasks=2, seed=0)
    assert {one.template for one in asked} == {BARE_TEMPLATE}
    assert all(one.text.startswith("Question: ") for one in asked if not one.reflections)
    assert all(one.text.startswith(REFLECTIONS_HEADER) for one in asked if one.reflections)
