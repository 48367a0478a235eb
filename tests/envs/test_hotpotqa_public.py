"""Questions of files: the actor plays them, and the oracle helps without saying the answer.

The public questions are not part of this repository; RETRO_GYM_DATA names the folder that holds ``hotpotqa/``.
"""

import os
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments

QUESTIONS = Path(os.environ.get("RETRO_GYM_DATA", "shared/data")) / "hotpotqa/dev_distractor_60.json"


@pytest.mark.skipif(not QUESTIONS.exists(), reason="needs the public questions, see above")
def test_on_public_questions_the_oracle_helps_and_being_told_does_not():
    env = gym.make("RetroHotpotQA-v0", split="test", tasks=QUESTIONS, max_reflections=1).unwrapped
    teacher = env.task_env.teacher
    success = {name: [] for name in ("none", "rule", "oracle", "told", "noisy")}
    leaks = {name: [] for name in success}
    for task_id in env.task_env.task_ids("test"):
        observation, _ = env.reset(seed=0, options={"task_id": task_id})
        noisy = teacher.noisy_reflection(env.trajectory, np.random.default_rng(0))
        assert teacher.check_reflection(noisy, env.trajectory).grounded
        texts = [
            "",
            teacher.rule_reflection(observation),
            teacher.oracle_reflection(task_id),
            teacher.told_reflection(task_id),
            noisy,
        ]
        for name, text, outcome in zip(success, texts, env.branch(texts), strict=True):
            success[name].append(outcome.success)
            leaks[name].append(teacher.leaks(text, task_id))
        assert teacher.failure_cause(task_id) == ""
    shares = {name: np.mean(each) for name, each in success.items()}
    assert shares["oracle"] > 0.55
    assert shares["told"] == shares["none"] < 0.1
    assert abs(shares["rule"] - shares["none"]) < 0.05
    assert not any(leaks["oracle"])
    assert all(leaks["told"])


def test_the_oracle_names_the_page_and_the_words_before_the_answer(hotpot_file):
    env = gym.make("RetroHotpotQA-v0", split="test", tasks=hotpot_file, max_reflections=1).unwrapped
    teacher = env.task_env.teacher
    observation, _ = env.reset(seed=0, options={"task_id": "q1"})
    assert teacher.oracle_reflection("q1") == (
        'Search for "Orla Fenwick 1" and read what follows "in 1901. Orla Fenwick 1 was", 2 words.'
    )
    assert teacher.rule_reflection(observation).startswith('Search for "')
    oracle, told = env.branch([teacher.oracle_reflection("q1"), teacher.told_reflection("q1")])
    assert oracle.success
    assert not told.success
