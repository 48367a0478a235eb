"""HotpotQA tasks as they are rarely written: answers of articles or punctuation, pages without text."""

from __future__ import annotations

import json

import pytest

from retro_gym_envs.hotpotqa import HotpotQAEnv


@pytest.fixture
def env_of(tmp_path, hotpot_rows):
    """Makes an environment whose one task has these values."""

    def make(*, corpus="context", **change):
        path = tmp_path / "one.json"
        path.write_text(json.dumps([hotpot_rows[2] | change]))
        env = HotpotQAEnv(tasks=path, corpus=corpus)
        env.reset(options={"task_id": "q2"})
        return env

    return make


@pytest.mark.parametrize(
    ("gold", "said", "correct"),
    [
        ("The The", "The The", True),
        ("The The", "the the", True),
        ("The The", "???", False),
        ("The The", "The", False),
        ("The The", " ", False),
        ("???", "???", True),
        ("???", "The The", False),
        ("!!!", "!!", False),
        ("A", "An", False),
        ("an engineer", "The The", False),
        ("an engineer", "???", False),
        ("yes", "The", False),
    ],
)
def test_an_answer_of_nothing_but_articles_or_punctuation(env_of, gold, said, correct):
    observation, reward, terminated, _, info = env_of(answer=gold).step(f"Finish[{said}]")
    assert observation == ("Answer is CORRECT" if correct else "Answer is INCORRECT")
    assert (reward, terminated) == (float(correct), True)
    assert (info["success"], info["em"], info["f1"]) == (correct, correct, float(correct))


@pytest.mark.parametrize("sentences", [[], [""], [" ", "\n\t"], ["\u200b"], ["\xa0\u200d \ufeff", ""]])
def test_a_page_without_text_says_so(env_of, hotpot_rows, sentences):
    context = [*hotpot_rows[2]["context"][:2], ["Sarn", sentences]]
    for corpus in ("context", "all"):
        env = env_of(corpus=corpus, context=context, supporting_facts=[["Sarn", 0]])
        assert env.step("Search[sarn]")[0] == "The page [Sarn] has no text."
        assert env.step("Lookup[mills]")[0] == "No Results"
        assert env.step("Lookup[ ]")[0] == "No Results"
        assert env.teacher.oracle_reflection("q2")


def test_a_long_title_of_a_page_without_text_is_cut(env_of, hotpot_rows):
    env = env_of(context=[*hotpot_rows[2]["context"], ["x" * 5_000, []]])
    assert env.step(f"Search[{'x' * 5_000}]")[0] == f"The page [{'x' * 100}...] has no text."


def test_a_blank_term_finds_no_page_whatever_the_titles(env_of, hotpot_rows):
    env = env_of(context=[*hotpot_rows[2]["context"], ['"[]"', ["A title of marks."]]])
    for term in (" ", '" "', "[ ]"):
        assert env.step(f"Search[{term}]")[0] == f"Could not find [{term}]. Similar: []"
    assert env.step('Search["[]"]')[0] == "A title of marks."
