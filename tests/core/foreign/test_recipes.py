"""The recipes of docs/foreign_environments.md, each with the package that it is for."""

import re

import pytest

from retro_gym import RetroEnv, check_retro_env
from tests.recipes import imported, recipes

PAGE = "docs/foreign_environments.md"
PACKAGES = {
    "TextWorld": ("textworld", "textworld"),
    "TextWorldExpress": ("textworld_express", "textworld-express"),
    "ScienceWorld": ("scienceworld", "scienceworld"),
    "TextArena": ("textarena", "textarena"),
    "GEM": ("gem", "gem-llm"),
    "reasoning-gym": ("reasoning_gym", "reasoning-gym"),
    "BabyAI with words": ("minigrid", "minigrid"),
}
"""Heading of a recipe: its module, and its name for pip."""

ACTIONS = {
    "TextArena": ["[up]", "[left]", "[down]", "[right]"] * 5,
    "GEM": [f"\\boxed{{{number}}}" for number in (5, 9, 14, 20, 27)],
    "BabyAI with words": ["turn left", "go forward", "fly", "go forward"],
}
OTHERWISE = ["look around", "inventory", "nonsense"]


def say_as_noted(prompts):
    """An actor that does what its last reflection lists after colons and numbers, and otherwise looks around."""
    replies = []
    for prompt in prompts:
        noted = prompt.reflections[-1].partition(": ")[2] if prompt.reflections else ""
        steps = [step.strip() for step in re.split(r"(?:^|\s)\d+\. ", noted) if step.strip()] or OTHERWISE
        replies.append(f"Action: {steps[min(len(prompt.turns), len(steps) - 1)]}")
    return replies


@pytest.fixture
def made(root, tmp_path, monkeypatch):
    """Imports a recipe; returns its task."""
    with imported(root / PAGE, PACKAGES, tmp_path, monkeypatch) as load:
        yield lambda heading: load(heading).task


def played(task, task_id, actions):
    """The answers of one trial."""
    answers = [task.reset(options={"task_id": task_id})[0]]
    for action in actions:
        observation, reward, terminated, truncated, info = task.step(action)
        answers.append((observation, reward, terminated, truncated, info["success"]))
        if terminated or truncated or info["success"]:
            break
    return answers


def test_every_recipe_is_tested_and_short(root):
    found = recipes(root / PAGE)
    assert set(found) == set(PACKAGES)
    lines = {heading: sum(bool(line.strip()) for line in code.splitlines()) for heading, code in found.items()}
    assert max(lines.values()) <= 18, lines
    page = (root / "docs" / "foreign_environments.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"\n\| (\w[\w-]*)[^|]+\| (\d+) \|", page))
    assert table == {heading.split()[0]: str(count) for heading, count in lines.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # what these packages warn of is theirs
@pytest.mark.parametrize("heading", PACKAGES)
def test_a_recipe(made, heading):
    task = made(heading)
    ids = [task.task_ids(split)[0] for split in ("train", "test")]
    actions = ACTIONS.get(heading, OTHERWISE)
    first = [played(task, task_id, actions) for task_id in ids]
    assert first[0] != first[1]
    assert [played(task, task_id, actions) for task_id in reversed(ids)] == first[::-1]  # the seed is all that counts
    env = RetroEnv(task, actor=say_as_noted, max_reflections=1)
    check_retro_env(env, episodes=1)
    if task.hooks.gold is not None:
        env.reset(seed=0)
        (outcome,) = env.branch([task.teacher.oracle_reflection(env.trajectory.task_id)])
        assert outcome.success, outcome.trajectory.render()
        assert outcome.leak
    env.close()
