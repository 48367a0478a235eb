"""The public games, where they and TextWorld are at hand."""

import importlib.util
import json
import os
import pickle

import gymnasium as gym
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.errors import TaskEnvError
from retro_gym_envs.alfworld import ALFWorldEnv
from retro_gym_envs.alfworld.games import load_games


@pytest.fixture
def public(shared_data):
    path = shared_data / "alfworld" / "json_2.1.1"
    if not path.is_dir():
        pytest.skip("ALFWorld's games are absent")
    return path


@pytest.fixture
def real(public):
    if any(importlib.util.find_spec(name) is None for name in ("textworld", "fast_downward")):
        pytest.skip("the extra [alfworld] is not installed")
    return ALFWorldEnv(games=public)


def test_public_games_are_found_and_read(public):
    games = load_games(public)
    assert len(games.ids("train")) == 200
    assert len(games.ids("validation")) == 140
    for task_id in games.ids("validation")[::10]:
        game = games.get(task_id)
        assert game.goal.endswith(".")
        assert game.walkthrough


def wins(env, task_id):
    _, info = env.reset(options={"task_id": task_id})
    for command in env.task(task_id).walkthrough:
        assert command in info["admissible_commands"]
        if command.startswith("move "):
            command = command.replace("move ", "put ", 1).replace(" to ", " in/on ", 1)
        _, reward, terminated, _, info = env.step(command)
    return info["success"] and terminated and reward == 1.0


@pytest.mark.slow
def test_a_public_game_of_each_type_is_won_by_its_walkthrough(real):
    largest_first = sorted(real.task_ids("validation"), key=lambda task_id: -os.path.getsize(real.task(task_id).path))
    by_type = {real.teacher.task_group(task_id): task_id for task_id in largest_first}
    assert len(by_type) == 6
    assert all(wins(real, task_id) for task_id in by_type.values())


@pytest.mark.slow
def test_every_public_game_is_won_by_its_walkthrough(real):
    lost = [task_id for split in ("train", "validation") for task_id in real.task_ids(split) if not wins(real, task_id)]
    assert lost == []


@pytest.mark.slow
def test_the_oracle_of_public_games_helps_without_listing_the_solution(public, real):
    env = gym.make("RetroALFWorld-v0", games=public, split="validation", max_reflections=1).unwrapped
    teacher, failures = real.teacher, 0
    for task_id in real.task_ids("validation")[35::7]:
        told, oracle = teacher.told_reflection(task_id), teacher.oracle_reflection(task_id)
        assert teacher.leaks(told, task_id)
        assert not teacher.leaks(oracle, task_id)
        observation, info = env.reset(seed=0, options={"task_id": task_id})
        if not info["success"]:
            assert teacher.rule_reflection(observation).endswith(".")
            assert [outcome.success for outcome in env.branch([oracle, told])] == [True, True]
            failures += 1
        if failures == 2:
            break
    assert failures == 2


def test_a_copy_of_a_public_game_goes_on_alike(real):
    task_id = real.task_ids("validation")[0]
    real.reset(options={"task_id": task_id})
    first, *rest = real.task(task_id).walkthrough
    real.step(first)
    twin = pickle.loads(pickle.dumps(real))
    assert [twin.step(command) for command in rest] == [real.step(command) for command in rest]


def test_a_public_game_takes_any_text(real):
    real.reset(options={"task_id": real.task_ids("validation")[0]})
    for action in ("", "🙂 \ud800", "x" * 100_000, "help", '{"do": "open"}\n'):
        observation, _, _, truncated, info = real.step(action)
        assert observation in real.observation_space
        assert not truncated
        assert not info["success"]


@pytest.mark.slow
def test_a_public_problem_that_is_too_large_is_given_up(real, public, tmp_path):
    """An action over seven free objects has more instances than the planner will ever list."""
    game = dict(load_games(public).get(real.task_ids("validation")[0]).data)
    parameters = " ".join(f"?x{i} - object" for i in range(7))
    endless = f"(:action Endless :parameters ({parameters}) :precondition (and) :effect (checked ?x0))"
    head, _, tail = game["pddl_domain"].rpartition(")")
    game["pddl_domain"] = f"{head}\n(:predicates)\n{endless}){tail}".replace("(:predicates)", "", 1)
    folder = tmp_path / "pick_and_place_simple-Mug-None-Shelf-1" / "trial_1"
    folder.mkdir(parents=True)
    (folder / "game.tw-pddl").write_text(json.dumps(game))
    env = ALFWorldEnv(games=tmp_path, command_time_limit=8)
    with pytest.raises(TaskEnvError, match=r"starting the game took longer than 8 s. Its process was ended."):
        env.reset(seed=0)
    assert wins(real, real.task_ids("validation")[0])
