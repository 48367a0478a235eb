"""ALFWorld-v0 with built-in tasks: observations, the end, arguments, and the promises of a Gymnasium environment."""

import pickle
import re
import time
import warnings

import gymnasium as gym
import hypothesis
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import strategies

from retro_gym.errors import ConfigError, EpisodeError, MissingExtraError
from retro_gym.trajectory import Turn, render_turns
from retro_gym_envs.alfworld import ALFWorldEnv, engine
from retro_gym_envs.alfworld.household import Household, HouseholdGame
from retro_gym_envs.alfworld.objects import APPLIANCES
from retro_gym_envs.alfworld.observations import names_in, read_goal, room_of
from retro_gym_envs.alfworld.prompt import ALFWORLD_PROMPT
from retro_gym_envs.alfworld.world import TASK_TYPES


@pytest.fixture
def env():
    return ALFWorldEnv()


def solution(task):
    """A task that is to be brought somewhere without more ado."""
    places = {thing: place for place, things in task.contents for thing in things}
    thing = next(name for name in places if name.startswith(f"{task.thing} ") and name not in task.refusing)
    targets = [place for place in task.receptacles if place.startswith(f"{task.target} ")]
    target = next(place for place in targets if place not in task.refusing)
    where = places[thing]
    yield from (f"go to {where}", "look", f"Take the {thing} from the {where}.")
    yield from (f"go to {target}", f"open {target}", f"put {thing} in/on {target}")


@pytest.fixture
def simple(env):
    return next(task for task in map(env.task, env.task_ids("test")) if task.type == "pick_and_place_simple")


def test_a_trial(env, simple):
    observation, info = env.reset(options={"task_id": simple.task_id})
    assert observation == simple.description
    assert info["task_id"] == simple.task_id
    assert info["type"] == simple.type
    assert env.teacher.task_group(simple.task_id) == "put"
    assert info["success"] is False
    *_, last = steps = [env.step(action) for action in solution(simple)]
    assert [step[1:4] for step in steps[:-1]] == [(0.0, False, False)] * 5
    assert last[1:4] == (1.0, True, False)
    assert last[4]["success"] is True
    assert last[0].startswith("You move the")
    with pytest.raises(EpisodeError, match=r"reset\(\)"):
        env.step("look")


def test_success_in_the_last_turn_counts(simple):
    env = ALFWorldEnv(max_turns=6)
    env.reset(options={"task_id": simple.task_id})
    assert [env.step(action)[2:4] for action in solution(simple)][-1] == (True, False)


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turn_limit_truncates(turns):
    env = ALFWorldEnv(max_turns=turns)
    env.reset(seed=0)
    for turn in range(1, turns + 1):
        assert env.step("look")[1:4] == (0.0, False, turn == turns)
    with pytest.raises(EpisodeError):
        env.step("look")


def test_a_thought_is_answered_and_costs_a_turn():
    env = ALFWorldEnv(max_turns=2)
    env.reset(seed=0)
    assert env.step("think: first I need a mug")[0] == "OK."
    assert env.step("Think: then a sink")[:4] == ("OK.", 0.0, False, True)


def test_info_is_fresh_and_lists_what_can_be_done(env):
    _, info = env.reset(seed=0)
    commands = info["admissible_commands"]
    assert commands == sorted(commands)
    assert "inventory" in commands
    info["admissible_commands"].clear()
    info["task_id"] = "mine"
    again = env.step("look")[4]
    assert again["task_id"] != "mine"
    assert env.step(again["admissible_commands"][0])[0] != "Nothing happens."


# -- the prompt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", ALFWORLD_PROMPT.examples)
def test_the_worked_examples_are_what_the_environment_answers(example):
    goal = read_goal(example)
    contents = dict.fromkeys(room_of(example), ())
    for place, things in re.findall(r"(?:On|In)(?: the (\w+ \d+))?(?:, you see|it, you see) ([^.]*)\.", example):
        if place:
            contents[place] = tuple(names_in(things))
    for place, things in re.findall(r"The (\w+ \d+) is open\. In it, you see ([^.]*)\.", example):
        contents[place] = tuple(names_in(things))
    treatment = goal.treatment if goal.treatment in APPLIANCES else ""
    line = re.search(r"Your task is to: (.*)", example)[1]
    task = Household("x", "t", line, goal.thing, goal.target, treatment, 1, tuple(contents.items()))
    game = HouseholdGame(task)
    turns = []
    for thought, action in re.findall(r"(?:Thought \d+: (.*)\n)?Action \d+: (.*)", example):
        assert not game.won
        turns.append(Turn(thought, action, game.act(action)))
    assert game.won
    assert render_turns(task.description, turns) == example


def test_the_instruction_names_every_action():
    verbs = ("go to", "open", "close", "take", "move", "clean", "heat", "cool", "use", "examine", "inventory", "look")
    assert all(verb in ALFWORLD_PROMPT.instruction for verb in verbs)


# -- tasks and arguments ---------------------------------------------------------------------------------------------


def test_all_types_of_tasks_are_there(env):
    ids = env.task_ids("test")[:100]
    assert {env.task(task_id).type for task_id in ids} == set(TASK_TYPES)
    assert {env.teacher.task_group(task_id) for task_id in ids} == {"put", "examine", "clean", "heat", "cool", "puttwo"}


def test_reset_draws_from_train_by_the_seed(env):
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]
    assert all(task_id.startswith("train-") for task_id in drawn)
    assert len(set(drawn)) > 15
    assert drawn == [env.reset(seed=seed)[1]["task_id"] for seed in range(20)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"max_turns": 0}, "max_turns is 0"),
        ({"max_turns": "12"}, "max_turns is '12'"),
        ({"command_time_limit": 0}, "command_time_limit is 0"),
        ({"command_time_limit": float("nan")}, "command_time_limit is nan"),
        ({"command_time_limit": "60"}, "command_time_limit is '60'"),
        ({"world_seed": "x"}, "world_seed is 'x'"),
        ({"games": 3}, "games is 3"),
        ({"games": ""}, "games is ''"),
        ({"games": {}}, "games has the keys"),
        ({"games": {"tain": "x"}}, "Did you mean 'train'"),
    ],
)
def test_arguments(arguments, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        ALFWorldEnv(**arguments)


def test_another_world_is_another_world(env):
    other = ALFWorldEnv(world_seed=1)
    assert other.task("test-00001") != env.task("test-00001")


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "pick_and_place_simple-Mug-None-Shelf-1" / "trial_1"
    folder.mkdir(parents=True)
    (folder / "game.tw-pddl").write_text("{}")
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[alfworld\]"):
        ALFWorldEnv(games=tmp_path)


# -- promises of a Gymnasium environment -----------------------------------------------------------------------------


def test_check_env():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("ALFWorld-v0").unwrapped)


@pytest.mark.parametrize("vectorization_mode", ["sync", "async"])
def test_in_a_vector_environment(vectorization_mode):
    envs = gym.make_vec("ALFWorld-v0", num_envs=2, vectorization_mode=vectorization_mode)
    observations, _ = envs.reset(seed=0)
    alone = gym.make("ALFWorld-v0")
    assert tuple(observations) == (alone.reset(seed=0)[0], alone.reset(seed=1)[0])
    observations, rewards, *_ = envs.step(["look", "inventory"])
    assert observations[1] == "You are not carrying anything."
    assert rewards.tolist() == [0.0, 0.0]
    envs.close()


ANY = ALFWorldEnv()  # hypothesis wants no fixture that lives for one test


@hypothesis.given(strategies.text(max_size=60), strategies.sampled_from(["", "go to ", "take ", "move ", "put "]))
def test_any_text_is_an_action(text, verb):
    env = ANY
    env.reset(options={"task_id": "test-00003"})
    for action in (verb + text, f"{verb}{text} in/on {text}", f"{verb}shelf 1 from {text}"):
        observation, reward, _, _, info = env.step(action)
        assert observation in env.observation_space
        assert reward == 0.0
        assert info["success"] is False


@pytest.mark.parametrize("action", ["x" * 1_000_000, "put " * 250_000, "go to " + "🙂" * 300_000, "\0\ud800\n" * 9])
def test_huge_and_odd_actions_cost_a_turn(env, action):
    env.reset(seed=0)
    start = time.perf_counter()
    assert env.step(action)[:4] == ("Nothing happens.", 0.0, False, False)
    assert time.perf_counter() - start < 1.0


def test_a_copy_goes_on_alike_and_apart(env, twin_of, simple):
    first, *rest = solution(simple)
    env.reset(seed=5, options={"task_id": simple.task_id})
    env.step(first)
    twin = twin_of(env)
    assert [twin.step(action) for action in rest] == [env.step(action) for action in rest]
    assert twin.reset() == env.reset()
    assert len(pickle.dumps(env)) < 10_000


def test_it_is_quick(env):
    """20,000 steps a second; in time of this process, the best of a few tries, so that a busy machine fails no test."""
    rng = np.random.default_rng(0)
    env.max_turns = 10_000
    picks = rng.integers(1_000, size=2_000).tolist()

    def rate():
        _, info = env.reset(seed=0)
        start = time.process_time()
        for pick in picks:
            commands = info["admissible_commands"]
            *_, done, _, info = env.step(commands[pick % len(commands)])
            if done:
                _, info = env.reset()
        return len(picks) / (time.process_time() - start)

    assert max(rate() for _ in range(5)) > 20_000
