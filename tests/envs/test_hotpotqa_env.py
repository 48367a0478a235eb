"""HotpotQA-v0: observation formats, corner cases, rewards, and the promises of a Gymnasium environment."""

from __future__ import annotations

import json
import pickle
import re
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from retro_gym.errors import ConfigError, DataError, EpisodeError, UnknownTaskError
from retro_gym.trajectory import Turn, render_turns
from retro_gym_envs.hotpotqa import HotpotQAEnv
from retro_gym_envs.hotpotqa.prompt import HOTPOTQA_PROMPT

INVALID = "Invalid Action. Valid Actions are Lookup[<topic>] Search[<topic>] and Finish[<answer>]."


@pytest.fixture
def env(hotpot_file):
    return HotpotQAEnv(tasks=hotpot_file)


def play(env, task_id, *actions):
    """The observations of a trial, the first one included."""
    env.reset(options={"task_id": task_id})
    return [env.step(action)[0] for action in actions]


# -- observations ----------------------------------------------------------------------------------------------------


def test_the_question_comes_first(env):
    observation, info = env.reset(options={"task_id": "q1"})
    assert observation == "Question: What was the profession of the designer of Gull Tower 1?"
    assert info == {"task_id": "q1", "type": "bridge", "success": False, "em": False, "f1": 0.0, "answer": ""}


def test_search(env):
    assert play(
        env, "q4", "Search[Gull Tower 4]", "  Search[gull tower 4]\n", "Search[Tower]", "Search[unheard of]"
    ) == [
        "Gull Tower 4 was designed by Orla Fenwick 4. Gull Tower 4 stands in Sarn.",
        "Gull Tower 4 was designed by Orla Fenwick 4. Gull Tower 4 stands in Sarn.",
        "Could not find [Tower]. Similar: ['Gull Tower 4']",
        "Could not find [unheard of]. Similar: []",
    ]


def test_search_looks_in_the_context_or_in_the_whole_file(hotpot_file, env):
    assert play(env, "q4", "Search[Orla Fenwick 7]") == [
        "Could not find [Orla Fenwick 7]. Similar: ['Orla Fenwick 4', 'Gull Tower 4']"
    ]
    every = HotpotQAEnv(tasks=hotpot_file, corpus="all")
    assert play(every, "q4", "Search[Orla Fenwick 7]")[0].startswith("Orla Fenwick 7 was born in 1907.")


def test_lookup_goes_through_the_sentences(env):
    terms = ("engineer", "engineer", "engineer", " Engineer", "born", "engineer")
    env.max_turns = 7
    assert play(env, "q2", "Search[Orla Fenwick 2]", *(f"Lookup[{term}]" for term in terms))[1:] == [
        "(Result 1 / 2) Orla Fenwick 2 was an engineer.",
        "(Result 2 / 2) The engineer wrote.",
        "No More Results",
        "No More Results",
        "(Result 1 / 1) Orla Fenwick 2 was born in 1902.",
        "(Result 1 / 2) Orla Fenwick 2 was an engineer.",
    ]


def test_the_lookup_count_survives_a_search(env):
    env.max_turns = 20
    play(env, "q2", "Search[Orla Fenwick 2]", "Lookup[Fenwick]", "Search[Gull Tower 2]")
    assert env.step("Lookup[Fenwick]")[0] == "No More Results"
    assert env.step("Lookup[mills]")[0] == "No Results"
    assert env.step("Lookup[ ]")[0] == "No Results"
    assert env.step("Lookup[Fenwick]")[0] == "(Result 1 / 1) Gull Tower 2 was designed by Orla Fenwick 2."
    env.reset(options={"task_id": "q2"})
    env.step("Search[Gull Tower 2]")
    assert env.step("Lookup[Fenwick]")[0].startswith("(Result 1 / 1)")


def test_lookup_without_a_page(env):
    first, _, missed, closed = play(env, "q2", "Lookup[x]", "Search[nothing]", "Lookup[x]", "Search[Sarn]")
    assert first.startswith("No page was Searched yet, so you cannot Lookup")
    assert missed.startswith("The last page Searched was not found, so you cannot Lookup a keyword in it.")
    assert closed.startswith("Sarn is a town.")
    assert env.step("Search[nothing]")[0].startswith("Could not find")
    assert env.step("Lookup[town]")[0] == missed  # the page that was open is closed


@pytest.mark.parametrize(
    "action",
    [
        "",
        " ",
        "Search[]",
        "Search",
        "Search Sarn",
        "Search[Sarn",
        "Search [Sarn]",
        "Search[a\nb]",
        "Action 1: Search[Sarn]",
        "Think[hm]",
        "Finish[]",
        "Finish: no",
        "[Sarn]",
        "🙂[x]",
    ],
)
def test_an_invalid_action_costs_a_turn(env, action):
    env.reset(options={"task_id": "q2"})
    assert env.step(action)[:4] == (INVALID, 0.0, False, False)
    for _ in range(4):
        env.step(action)
    assert env.step(action)[:4] == (INVALID, 0.0, False, True)


@pytest.mark.parametrize(
    ("action", "observation"),
    [
        ("Search[ ]", "Could not find [ ]. Similar: []"),
        ("Search[[Sarn]]", "Sarn is a town. It has 2 mills."),
        ("Search[a] b]", "Could not find [a] b]. Similar: ['Sarn']"),
        ("Search[\ud800]", "Could not find [\ud800]. Similar: []"),
        (f"Search[{'y' * 50_000}]", f"Could not find [{'y' * 100}...]. Similar: []"),
    ],
)
def test_odd_terms(env, action, observation):
    found = play(env, "q2", action)[0]
    assert found.split("Similar")[0] == observation.split("Similar")[0]
    assert len(found) < 300


# -- the end ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "correct", "f1"),
    [
        ("an engineer", True, 1.0),
        ("Engineer.", True, 1.0),
        ("an engineer of Sarn", False, 0.5),
        ("a painter", False, 0.0),
        ("[engineer]", True, 1.0),
        (" ", False, 0.0),
    ],
)
def test_finish(env, answer, correct, f1):
    env.reset(options={"task_id": "q2"})
    observation, reward, terminated, truncated, info = env.step(f"Finish[{answer}]")
    assert observation == ("Answer is CORRECT" if correct else "Answer is INCORRECT")
    assert reward == pytest.approx(f1)
    assert (terminated, truncated) == (True, False)
    assert info == {
        "task_id": "q2",
        "type": "bridge",
        "success": correct,
        "em": correct,
        "f1": pytest.approx(f1),
        "answer": answer,
    }
    with pytest.raises(EpisodeError, match=r"reset\(\)"):
        env.step("Search[Sarn]")


def test_yes_and_no_are_all_or_nothing(env):
    env.reset(options={"task_id": "q0"})
    assert env.step("Finish[no it was not]")[1] == 0.0


@pytest.mark.parametrize("turns", [1, 3])
def test_the_turn_limit_truncates(hotpot_file, turns):
    env = HotpotQAEnv(tasks=hotpot_file, max_turns=turns)
    env.reset(seed=0)
    for turn in range(1, turns + 1):
        _, reward, terminated, truncated, info = env.step("Search[Sarn]")
        assert (reward, terminated, truncated, info["success"]) == (0.0, False, turn == turns, False)
    with pytest.raises(EpisodeError):
        env.step("Finish[no]")
    env.reset(seed=0)
    for _ in range(turns - 1):
        env.step("Search[Sarn]")
    assert env.step("Finish[no]")[2:4] == (True, False)  # an answer in the last turn counts


def test_six_turns_by_default():
    assert HotpotQAEnv.max_turns == 6


# -- the prompt ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", HOTPOTQA_PROMPT.examples)
def test_the_worked_examples_are_what_the_environment_answers(tmp_path, example):
    question = example.splitlines()[0].removeprefix("Question: ")
    thoughts, actions, observations = (
        re.findall(rf"^{label} \d+: (.*)$", example, re.MULTILINE) for label in ("Thought", "Action", "Observation")
    )
    pages = [
        (action[7:-1], re.split(r"(?<=\.) ", observation))
        for action, observation in zip(actions, observations, strict=True)
        if action.startswith("Search") and not observation.startswith("Could not find")
    ]
    task = {
        "_id": "x",
        "question": question,
        "answer": actions[-1].removeprefix("Finish[").removesuffix("]"),
        "type": "bridge",
        "level": "easy",
        "supporting_facts": [[pages[0][0], 0]],
        "context": [*pages, ("Quillon Hall", ["Quillon Hall is a concert hall."])],
    }
    (tmp_path / "one.json").write_text(json.dumps([task]))
    env = HotpotQAEnv(tasks=tmp_path / "one.json")
    first, _ = env.reset(options={"task_id": "x"})
    turns = [Turn(thought, action, env.step(action)[0]) for thought, action in zip(thoughts, actions, strict=True)]
    assert render_turns(first, turns) == example


def test_the_instruction_names_every_action():
    assert all(f"{name}[" in HOTPOTQA_PROMPT.instruction for name in ("Search", "Lookup", "Finish"))


# -- tasks -----------------------------------------------------------------------------------------------------------


def test_tasks_of_a_file(env):
    assert env.task_ids("test") == tuple(f"q{i}" for i in range(12))
    assert env.task("q3").answer == "no"
    assert [env.teacher.task_group(task_id) for task_id in ("q3", "q4")] == ["comparison", "bridge"]
    for unknown in ("q99", 3, None):
        with pytest.raises(UnknownTaskError):
            env.task(unknown)
    with pytest.raises(UnknownTaskError):
        env.reset(options={"task_id": 3})


def test_reset_draws_from_train_by_the_seed(hotpot_file):
    env = HotpotQAEnv(tasks=hotpot_file, fold=(1, 3))
    drawn = [env.reset(seed=seed)[1]["task_id"] for seed in range(40)]
    assert set(drawn) == set(env.task_ids("train"))
    assert drawn == [env.reset(seed=seed)[1]["task_id"] for seed in range(40)]
    only_test = HotpotQAEnv(tasks={"test": hotpot_file})
    assert only_test.reset(seed=0)[1]["task_id"] in only_test.task_ids("test")


def test_the_built_in_world_needs_no_file():
    env = gym.make("HotpotQA-v0").unwrapped
    assert isinstance(env, HotpotQAEnv)
    for split in ("train", "validation", "test"):
        task = env.task(env.task_ids(split)[0])
        assert len(task.context) == 10
        env.reset(options={"task_id": task.task_id})
        title, index = task.supporting_facts[0]
        assert dict(task.context)[title][index].strip() in env.step(f"Search[{title}]")[0]
        assert env.step(f"Finish[{task.answer}]")[1] == 1.0
    assert HotpotQAEnv(world_seed=1).task(task.task_id) != task


def test_the_whole_split_of_the_built_in_world_can_be_searched():
    env = HotpotQAEnv(corpus="all")
    first, last = env.task_ids("validation")[0], env.task_ids("validation")[-1]
    title = env.task(last).context[0][0]
    assert not play(env, first, f"Search[{title}]")[0].startswith("Could not find")


def test_arguments(hotpot_file, tmp_path):
    for arguments, says in (
        ({"corpus": "al"}, "Did you mean 'all'"),
        ({"max_turns": 0}, "max_turns is 0"),
        ({"max_turns": "6"}, "max_turns is '6'"),
        ({"fold": (0, 3)}, "built-in world"),
        ({"tasks": hotpot_file, "fold": (0, 1)}, "fold is"),
    ):
        with pytest.raises(ConfigError, match=says):
            HotpotQAEnv(**arguments)
    with pytest.raises(DataError, match=r"none\.json"):
        HotpotQAEnv(tasks=tmp_path / "none.json")


# -- promises of a Gymnasium environment -----------------------------------------------------------------------------


@pytest.mark.parametrize("corpus", ["context", "all"])
def test_check_env(hotpot_file, corpus):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make("HotpotQA-v0", tasks=str(hotpot_file), corpus=corpus).unwrapped)


def test_check_env_with_the_built_in_world():
    check_env(gym.make("HotpotQA-v0").unwrapped)


def test_random_unicode_raises_nothing(env):
    rng = np.random.default_rng(0)
    env.action_space.seed(0)
    env.reset(seed=0)
    for number in range(3_000):
        text = env.action_space.sample()
        if number % 4:
            text = f"{('Search', 'Lookup', 'Finish')[rng.integers(3)]}[{text}]"
        observation, reward, terminated, truncated, info = env.step(text)
        assert observation in env.observation_space
        assert 0.0 <= reward <= 1.0
        assert type(info["success"]) is bool
        if terminated or truncated:
            env.reset()


def test_a_copy_goes_on_alike_and_apart(hotpot_file, twin_of):
    env = HotpotQAEnv(tasks=hotpot_file, corpus="all", max_turns=8)
    env.reset(seed=5, options={"task_id": "q2"})
    for action in ("Search[Orla Fenwick 2]", "Lookup[engineer]"):
        env.step(action)
    twin = twin_of(env)
    actions = ["Lookup[engineer]", "Lookup[engineer]", "Search[Tower]", "Finish[no]"]
    assert [twin.step(action) for action in actions] == [env.step(action) for action in actions]
    assert twin.reset() == env.reset()
    assert twin.task("q2") is env.task("q2")


def test_a_copy_is_small(env):
    env.reset(seed=0)
    assert len(pickle.dumps(env)) < 20_000


def test_observations_fit_the_space(tmp_path, hotpot_rows):
    hotpot_rows[0]["context"][0][1] = ["word " * 20_000]
    hotpot_rows[0]["question"] = "why " * 20_000
    (tmp_path / "long.json").write_text(json.dumps(hotpot_rows))
    env = HotpotQAEnv(tasks=tmp_path / "long.json")
    assert env.reset(options={"task_id": "q0"})[0] in env.observation_space
    assert env.step("Search[Gull Tower 0]")[0] in env.observation_space
    assert env.step("Lookup[word]")[0] in env.observation_space


def test_the_manual_has_every_heading():
    headings = re.findall(r"## (.*)", HotpotQAEnv.__doc__ or "")
    assert headings == [
        "Description",
        "Observation",
        "Action",
        "Rewards",
        "Starting state",
        "Episode end",
        "Arguments",
        "Version history",
    ]


def test_real_tasks_can_be_solved(shared_data):
    env = HotpotQAEnv(tasks=shared_data / "hotpotqa" / "dev_distractor_60.json")
    for task_id in env.task_ids("test"):
        task = env.task(task_id)
        env.reset(options={"task_id": task_id})
        for title in dict(task.supporting_facts):
            assert not env.step(f"Search[{title}]")[0].startswith("Could not find")
        assert env.step(f"Finish[{task.answer}]")[4]["success"]


def test_the_answer_is_in_no_observation(hotpot_rows, tmp_path):
    for row in hotpot_rows:
        row["answer"] = "xyzzy"
    (tmp_path / "secret.json").write_text(json.dumps(hotpot_rows))
    env = HotpotQAEnv(tasks=tmp_path / "secret.json")
    for action in ("Search[xyzzy]", "Search[Sarn]", "Lookup[mills]", "hm", "Finish[plugh]"):
        first, info = env.reset(options={"task_id": "q1"})
        assert "xyzzy" not in first + str(info)
        observation, *_, info = env.step(action)
        assert "xyzzy" not in observation.replace("Could not find [xyzzy]", "") + str(info)
