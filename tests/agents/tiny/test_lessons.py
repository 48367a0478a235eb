"""The lessons of the tiny model's build: which step learns what, and that texts are those of later use."""

import dataclasses
import subprocess
import sys
from collections import Counter
from contextlib import closing
from itertools import islice, pairwise

import pytest
from transformers import AutoTokenizer

from retro_gym.prompts import BARE_TEMPLATE, REFLECTIONS_HEADER
from retro_gym.trajectory import render_turn
from retro_gym_agents.lm.planner import Planner
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.tiny.lessons import Failure, Played, Stream, batches_from, block_of, played, stream_at
from retro_gym_agents.tiny.losses import encode_trials
from retro_gym_agents.tiny.settings import BuildConfig
from retro_gym_agents.tiny.tokenizer import build_tokenizer

ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0", "RetroMix-v0")
SMALL = BuildConfig(env_ids=ENVS[:1], failures_per_step=3, trials_per_step=4, reflections_per_failure=2, generators=0)


def test_each_environment_has_its_share_of_steps_that_play():
    config = BuildConfig(env_ids=ENVS, play_share=0.4)
    steps = Counter(stream_at(config, step) for step in range(1, 501))
    assert {stream: count for stream, count in steps.items() if stream.role == "play"} == {
        Stream(env_id, "play"): 40 for env_id in ENVS
    }
    assert sum(steps.values()) == 500
    for share, role in ((0.0, "reflect"), (1.0, "play")):
        assert {stream_at(dataclasses.replace(config, play_share=share), step).role for step in range(1, 50)} == {role}


def test_a_block_follows_from_its_number():
    failures = Stream(ENVS[0], "reflect")
    first, again, second = (block_of(SMALL, failures, number) for number in (0, 0, 1))
    assert first == again
    assert not {one.observation for batch in first for one in batch} & {
        one.observation for batch in second for one in batch
    }
    assert [len(batch) for batch in first] == [3] * 6


def test_a_batch_holds_lessons_of_like_length():
    for role in ("reflect", "play"):
        batches = block_of(SMALL, Stream("RetroInterCodeSQL-v0", role), 0)
        spans = sorted((min(one.length for one in batch), max(one.length for one in batch)) for batch in batches)
        assert all(longest <= shortest for (_, longest), (shortest, _) in pairwise(spans))


def test_batches_go_on_from_any_step():
    with closing(batches_from(SMALL, 1)) as whole, closing(batches_from(SMALL, 18)) as rest:
        assert list(islice(whole, 24))[17:] == list(islice(rest, 7))


def test_other_processes_make_the_same_lessons():
    beside = dataclasses.replace(SMALL, generators=2)
    with closing(batches_from(SMALL, 1)) as here, closing(batches_from(beside, 1)) as there:
        assert list(islice(here, 14)) == list(islice(there, 14))


def test_lessons_need_no_torch():
    code = "import sys, retro_gym_agents.tiny.lessons; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_oracle_is_asked_only_if_it_is_imitated():
    failures = Stream(ENVS[0], "reflect")
    assert {one.oracle for batch in block_of(SMALL, failures, 0) for one in batch} == {""}
    shared = dataclasses.replace(SMALL, oracle_share=0.5)
    assert all(one.oracle for batch in block_of(shared, failures, 0) for one in batch)


def test_a_share_of_the_retries_follows_the_oracle(monkeypatch):
    def openings(share):
        batches = block_of(dataclasses.replace(SMALL, play_oracle=share), Stream(ENVS[0], "play"), 0)
        return [one.opening for batch in batches for one in batch if REFLECTIONS_HEADER in one.opening]

    env = make_retro_env(ENVS[0])
    monkeypatch.setattr(type(env.task_env.teacher), "oracle_reflection", lambda self, task_id: "Oracle's words.")
    assert openings(0.0)
    assert not any("Oracle's words." in opening for opening in openings(0.0))
    assert all("Oracle's words." in opening for opening in openings(1.0))


def test_the_actor_to_imitate_may_have_thoughts():
    told = {}
    for aloud in (False, True):
        config = dataclasses.replace(SMALL, play_thoughts=aloud)
        found = [one for batch in block_of(config, Stream("RetroALFWorld-v0", "play"), 0) for one in batch]
        told[aloud] = sum("I try the" in text for one in found for text, _ in one.turns)
    assert told[False] == 0 < told[True]


@pytest.mark.parametrize(("env_id", "memory"), [*((env_id, "reflections") for env_id in ENVS), (ENVS[0], "both")])
def test_a_trial_is_read_and_written_as_a_planner_would(env_id, memory):
    """Every turn's prompt, and the reply that is learned, have the planner's tokens."""
    shipped = Planner.load("tiny", lora=None, max_new_tokens=8)
    asked = []

    def actor(prompts):
        asked.extend(prompts)
        return scripted.reply(prompts)

    env = make_retro_env(env_id, split="train", memory=memory)
    scripted = env.actor
    env.actor = type("Spy", (), {"reply": staticmethod(actor)})()
    env.reset(seed=3)
    env.step(env.task_env.teacher.noisy_reflection(env.trajectory, env.np_random))
    lesson, trial = played(env), env.trajectory
    [(ids, targets)] = encode_trials(shipped.tokenizer, [lesson])
    prompts = [dataclasses.replace(one, examples=(), template=BARE_TEMPLATE) for one in asked[-len(trial.turns) :]]
    assert lesson.opening == prompts[0].text
    assert REFLECTIONS_HEADER in lesson.opening
    for number, prompt in enumerate(prompts):
        row = shipped.encode(prompt)
        assert ids[: len(row)] == row
        reply = [*shipped.tokenizer(render_turn(number + 1, trial.turns[number])[0])["input_ids"]]
        wanted = [*reply, shipped.tokenizer.eos_token_id]
        assert targets[len(row) - 1 : len(row) + len(reply)] == wanted
        targets[len(row) - 1 : len(row) + len(reply)] = [-100] * len(wanted)
    assert set(targets) == {-100}


def test_a_trial_of_three_tokens_a_turn_by_hand(tmp_path):
    build_tokenizer(["there", "goes", "Action goes"] * 20).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    trial = Played("there\n", (("goes", "\nthere\n"), ("Action goes", "\n")))
    [(ids, targets)] = encode_trials(tokenizer, [trial])
    there, line, goes, action, then = (
        tokenizer(text)["input_ids"][-1] for text in ("there", "\n", "goes", "Action", " goes")
    )
    assert ids == [there, line, goes, line, there, line, action, then, line]
    assert targets == [-100, goes, 2, -100, -100, action, then, 2, -100]


def test_a_failure_after_a_reflection_is_a_lesson_too():
    config = dataclasses.replace(SMALL, second_failures=1.0)
    found = [one for batch in block_of(config, Stream(ENVS[0], "reflect"), 0) for one in batch]
    again = [one for one in found if "Earlier reflections" in one.observation]
    assert 0 < len(again) < len(found)
    assert all(isinstance(one, Failure) and len(one.reflections) == 2 for one in found)
