"""Real games: files at the door, the process that plays them, and the public games where they are at hand."""

import copy
import json
import os
import pickle
import sys
import textwrap
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from retro_gym import RetroEnv
from retro_gym.env_threads import run_in_thread
from retro_gym.errors import DataError, EpisodeError, TaskEnvError, UnknownTaskError
from retro_gym_envs.alfworld import ALFWorldEnv, engine
from retro_gym_envs.alfworld.games import load_games
from retro_gym_envs.alfworld.worker import names

GAME = {
    "pddl_domain": "(define (domain x))",
    "grammar": 'grammar :: "Your task is to: put a mug in shelf."',
    "pddl_problem": "(define (problem x))",
    "solvable": True,
    "walkthrough": ["go to desk 1", "take mug 2 from desk 1", "go to shelf 1", "move mug 2 to shelf 1"],
}

STUB = """
    # Speaks the worker's protocol. A game remembers its commands; some commands do harm.
    import json, os, signal, sys, time
    games = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["game"]
        if request["do"] == "open":
            if "Hang" in request["path"]:
                time.sleep(600)
            crashes = os.path.join(os.path.dirname(__file__), "crashes")  # how many starts are still to crash
            left = int(open(crashes).read()) if os.path.exists(crashes) else 0
            if left:
                open(crashes, "w").write(str(left - 1))
                os.kill(os.getpid(), signal.SIGSEGV)
            games[number] = []
            text = "-= Welcome =-\\n\\nYou are in the middle of a room.\\n\\nYour task is to: put a mug in shelf."
        elif request["do"] == "close":
            games.pop(number, None)
            print("{}", flush=True)
            continue
        else:
            command = request["command"]
            if number not in games:
                print(json.dumps({"lost": True}), flush=True)
                continue
            if command == "hang":
                time.sleep(600)
            if command == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if command == "fail":
                print(json.dumps({"error": "ValueError: no"}), flush=True)
                continue
            if command == "babble":
                print("Segmentation", flush=True)
                continue
            games[number].append(command)
            text = f"{len(games[number])} commands, the last is {command}."
        view = {"observation": text, "won": "win" in games[number], "admissible": ["look", "win"]}
        print(json.dumps(view), flush=True)
"""


def write_game(root, split, kind="pick_and_place_simple-Mug-None-Shelf-1", trial="trial_1", game=GAME):
    folder = root / split / kind / trial
    folder.mkdir(parents=True)
    text = game if isinstance(game, str | bytes) else json.dumps(game)
    (folder / "game.tw-pddl").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


@pytest.fixture
def data(tmp_path):
    """A folder like ALFWorld's, with four games."""
    root = tmp_path / "data" / "json_2.1.1"
    write_game(root, "train")
    write_game(root, "train", kind="pick_heat_then_place_in_recep-Egg-None-Shelf-2")
    write_game(root, "valid_seen", trial="trial_2")
    write_game(root, "valid_unseen", kind="look_at_obj_in_light-Hang-None-DeskLamp-2")
    return root


@pytest.fixture
def stub(tmp_path, monkeypatch):
    """Games are played by the stub, in a process as the real ones are; returns the engine."""
    script = tmp_path / "stub.py"
    script.write_text(textwrap.dedent(STUB))
    fresh = engine.Engine()
    monkeypatch.setattr(engine, "worker_command", lambda: [sys.executable, str(script)])
    monkeypatch.setattr("retro_gym_envs.alfworld.env.worker_command", list)
    monkeypatch.setattr(engine, "engine", lambda: fresh)
    yield fresh
    fresh.stop()


# -- files -----------------------------------------------------------------------------------------------------------


def test_splits_are_folders(data):
    games = load_games(data)
    assert games.ids("train") == (
        "train/pick_and_place_simple-Mug-None-Shelf-1/trial_1",
        "train/pick_heat_then_place_in_recep-Egg-None-Shelf-2/trial_1",
    )
    assert games.ids("validation") == games.ids("valid_seen")
    assert len(games.ids("test")) == len(games.ids("valid_unseen")) == 1
    game = games.get(games.ids("train")[1])
    assert game.type == "pick_heat_then_place_in_recep"
    assert game.goal == "put a mug in shelf."
    assert game.walkthrough == tuple(GAME["walkthrough"])


def test_what_names_a_folder(data, monkeypatch):
    monkeypatch.setenv("ALFWORLD_DATA", str(data.parent))
    expected = load_games(data)
    for path in (data.parent, "$ALFWORLD_DATA", "$ALFWORLD_DATA/json_2.1.1"):
        assert load_games(path) is expected
    one = load_games(data / "valid_seen")
    assert one.ids("train") == one.ids("test") == expected.ids("valid_seen")
    mapped = load_games({"test": data / "valid_seen", "train": str(data / "train")})
    assert mapped.ids("test") == expected.ids("valid_seen")
    with pytest.raises(UnknownTaskError, match="validation"):
        mapped.ids("validation")


def test_games_that_alfworld_leaves_out_are_left_out(data):
    write_game(data, "train", kind="pick_two_obj_and_place-Mug-None-Shelf-3", game={**GAME, "solvable": False})
    write_game(data, "train", kind="pick_and_place_with_movable_recep-Mug-Bowl-Shelf-3")
    write_game(data, "train", kind="pick_clean_then_place_in_recep-AppleSliced-None-Shelf-3")
    (data / "train" / "pick_and_place_simple-Mug-None-Shelf-1" / "no_game_here").mkdir()
    assert len(load_games({"train": data / "train"}).ids("train")) == 2


def test_a_split_without_a_folder_is_refused(data, tmp_path):
    root = tmp_path / "other"
    write_game(root, "train")
    with pytest.raises(UnknownTaskError, match=r"'test' has no games.*train"):
        load_games(root).ids("test")
    with pytest.raises(UnknownTaskError, match="Ids look like 'train/"):
        load_games(root).get("nothing")


@pytest.mark.parametrize("where", ["absent", "empty", "file", "a\0b", "$NO_SUCH_VARIABLE/x"])
def test_folders_without_games_are_refused(tmp_path, where):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    path = where if where.startswith("$") else str(tmp_path / where)
    with pytest.raises(DataError, match=r"json_2\.1\.1|variable|no path"):
        load_games(path)


@pytest.mark.parametrize(
    ("game", "says"),
    [
        (b"", "not JSON"),
        (json.dumps(GAME)[:100], "cut short"),
        (b"\xff\xfe{}", "not UTF-8"),
        ("[1]", "type list"),
        ("[" * 100_000, "not JSON"),
        ({}, "pddl_domain is None"),
        ({**GAME, "grammar": 3}, "grammar is 3"),
        ({**GAME, "pddl_problem": " "}, "pddl_problem is ' '"),
        ({**GAME, "walkthrough": "go"}, "walkthrough is 'go'"),
        ({**GAME, "walkthrough": [1]}, r"walkthrough is \[1\]"),
        (json.dumps(GAME) + " " * 5_000_000, "bytes; no game has more"),
    ],
)
def test_files_that_are_no_games_are_refused_when_they_are_played(tmp_path, stub, game, says):
    write_game(tmp_path / "data", "train", game=game)
    env = ALFWorldEnv(games=tmp_path / "data")
    with pytest.raises(DataError, match=rf"game\.tw-pddl.*{says}"):
        env.reset(seed=0)
    with pytest.raises(EpisodeError):
        env.step("look")


def test_games_pickle_as_their_folders(data):
    games = load_games(data)
    assert pickle.loads(pickle.dumps(games)) is games
    assert copy.deepcopy(games) is games
    game = games.get(games.ids("train")[0])
    assert game.data
    assert len(pickle.dumps(game)) < 500


# -- the process -----------------------------------------------------------------------------------------------------


def test_a_real_game_is_played(data, stub):
    env = ALFWorldEnv(games=data)
    assert env.max_turns == 50
    observation, info = env.reset(options={"task_id": env.task_ids("valid_seen")[0]})
    assert observation == "You are in the middle of a room.\nYour task is to: put a mug in shelf."
    assert info["type"] == "pick_and_place_simple"
    assert info["admissible_commands"] == ["look", "win"]
    assert env.step("put mug 1 in/on shelf 2")[0] == "1 commands, the last is move mug 1 to shelf 2."
    assert env.step("think: hm")[0] == "OK."
    observation, reward, terminated, truncated, info = env.step("win")
    assert (reward, terminated, truncated, info["success"]) == (1.0, True, False, True)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("hang", "'hang' took longer than 1 s"),
        ("die", "'die' took its process down"),
        ("fail", "'fail' gave an error: ValueError: no"),
        ("babble", "something else than JSON"),
    ],
)
def test_a_broken_game_ends_its_trial_and_nothing_else(data, stub, command, says):
    env, other = ALFWorldEnv(games=data, command_time_limit=1), ALFWorldEnv(games=data, command_time_limit=1)
    task_id = env.task_ids("train")[0]
    env.reset(options={"task_id": task_id})
    other.reset(options={"task_id": env.task_ids("train")[1]})
    other.step("look")
    start = time.perf_counter()
    with pytest.raises(TaskEnvError, match=says):
        env.step(command)
    assert time.perf_counter() - start < 30
    with pytest.raises(EpisodeError):
        env.step("look")
    # The other game shared the process: it goes on where it was. So does the next trial.
    assert other.step("go to shelf 1")[0] == "2 commands, the last is go to shelf 1."
    env.reset(options={"task_id": task_id})
    assert env.step("look")[0] == "1 commands, the last is look."


def test_a_game_that_hangs_at_its_start_can_be_stepped_over(data, stub):
    env = ALFWorldEnv(games=data, command_time_limit=1)
    with pytest.raises(TaskEnvError, match="starting the game took longer than 1 s"):
        env.reset(options={"task_id": env.task_ids("test")[0]})
    with pytest.raises(EpisodeError):
        env.step("look")
    env.reset(options={"task_id": env.task_ids("train")[0]})
    assert env.step("look")[0] == "1 commands, the last is look."


def test_a_start_that_crashes_the_process_is_tried_once_more(data, stub):
    crashes = data.parent.parent / "crashes"
    env = ALFWorldEnv(games=data)
    crashes.write_text("1")
    env.reset(seed=0)
    assert env.step("look")[0] == "1 commands, the last is look."
    crashes.write_text("2")
    with pytest.raises(TaskEnvError, match="starting the game took its process down"):
        env.reset(seed=0)
    assert crashes.read_text() == "0"


def test_a_run_survives_broken_games(data, stub):
    def actor(prompts):
        return ["Action: die" if prompt.turns and "deadly" in prompt.text else "Action: look" for prompt in prompts]

    env = RetroEnv("ALFWorld-v0", games=str(data), actor=actor, max_reflections=1, max_turns=3)
    env.reset(seed=0)
    outcomes = env.branch(["a deadly one", "a harmless one"])
    assert [outcome.reward for outcome in outcomes] == [None, 0.0]  # a broken game is no failure of the reflection
    *_, truncated, info = env.step("a deadly one")
    assert truncated
    assert "'die' took its process down" in info["actor_error"]
    env.close()


@pytest.mark.parametrize(
    "twin_of", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"]
)
def test_a_copy_repeats_the_commands(data, stub, twin_of):
    env = ALFWorldEnv(games=data)
    env.reset(seed=0, options={"task_id": env.task_ids("train")[0]})
    env.step("look")
    env.step("go to shelf 1")
    twin = twin_of(env)
    assert twin.step("inventory") == env.step("inventory")
    assert env.step("look")[0] == "4 commands, the last is look."
    assert twin.step("open x")[0] == "4 commands, the last is open x."
    assert twin.reset(seed=1) == env.reset(seed=1)


def test_a_game_that_its_process_has_dropped_is_started_again(data, stub):
    env = ALFWorldEnv(games=data)
    env.reset(seed=0)
    env.step("look")
    stub.close(env._game._running[1])  # as happens to the one that was not asked for longest
    assert env.step("inventory")[0] == "2 commands, the last is inventory."


def test_environments_share_a_process_and_a_fork_has_its_own(data, stub):
    envs = [ALFWorldEnv(games=data) for _ in range(3)]
    for env in envs:
        env.reset(seed=0)
    assert stub.starts == 1
    envs[0].close()
    assert envs[1].step("look")[0] == "1 commands, the last is look."


def test_games_go_to_another_process_while_one_hangs(data, stub, monkeypatch):
    monkeypatch.undo()  # the engines are chosen as they are outside tests
    monkeypatch.setattr(engine, "worker_command", lambda: [sys.executable, str(data.parent.parent / "stub.py")])
    monkeypatch.setattr("retro_gym_envs.alfworld.env.worker_command", list)
    monkeypatch.setattr(engine, "_engines", {})
    monkeypatch.setattr(engine, "_STALLED", {"open": 2.0, "act": 0.5, "close": 0.5})
    hanging, *others = [ALFWorldEnv(games=data, command_time_limit=4.0) for _ in range(4)]
    for env in (hanging, *others):
        env.reset(seed=0)
        env.step("look")
    (first,) = engine._engines[os.getpid()]
    start = time.perf_counter()
    hung = run_in_thread(hanging, lambda: hanging.step("hang"))
    while not hung.running():
        time.sleep(0.01)
    for env in others:
        assert env.step("inventory")[0] == "2 commands, the last is inventory."
    assert time.perf_counter() - start < 3
    assert len(engine._engines[os.getpid()]) == 2
    with pytest.raises(TaskEnvError, match="took longer than 4 s"):
        hung.result(timeout=10)
    assert engine.engine() is first  # which begins anew
    hanging.reset(seed=0)
    assert hanging.step("look")[0] == "1 commands, the last is look."
    for one in engine._engines[os.getpid()]:
        one.stop()


def test_a_process_has_one_engine_while_none_hangs():
    first = engine.engine()
    assert engine.engine() is first
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"1" if engine.engine() is first else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 1) == b"0"
    os.close(read)
    os.close(write)


def test_check_env_with_real_games(data, stub):
    check_env(gym.make("ALFWorld-v0", games={"train": str(data / "train")}).unwrapped)


def test_oracle_and_teacher_have_something_to_say(data, stub):
    env = RetroEnv("ALFWorld-v0", games=str(data), split="train", max_turns=3)
    env.reset(seed=0, options={"task_id": env.task_env.task_ids("train")[0]})
    text = env.task_env.teacher.oracle_reflection(env.trajectory.task_id)
    assert text == "Take the mug 2 from the desk 1."
    for seed in range(20):
        text = env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(seed))
        assert env.task_env.teacher.check_reflection(text, env.trajectory).well_formed


def test_names_are_numbered_from_the_last():
    ids = ["mug_bar__plus_01", "mug_bar__minus_02", "sink_bar__plus_01_bar_sinkbasin", "sink_bar__plus_01", "agent1"]
    assert names(ids) == {
        "mug_bar__minus_02": "mug 2",
        "mug_bar__plus_01": "mug 1",
        "sink_bar__plus_01": "sink 1",
        "sink_bar__plus_01_bar_sinkbasin": "sinkbasin 1",
        "agent1": "agent1 ",
    }
