import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retro_gym.actors import Actor, Budget, BudgetedActor, CallableActor, Reply, make_actor, parse_reply, reply_all
from retro_gym.errors import ActorError, BudgetError, ConfigError, CutReplyError
from retro_gym.prompts import Prompt
from retro_gym.testing import EchoActor, FlakyActor, IdentityActor, IdentityEnv, LuckyActor, ScriptedActor
from retro_gym.trajectory import Turn

PROMPTS = [Prompt("Answer.", (), (), f"Question {i}", (), seed=i) for i in range(4)]


def odd_reply(*fields: Any) -> Reply:
    """As users' actors may make one."""
    return Reply(*fields)


MODULE = """
from retro_gym.testing import EchoActor
actor = EchoActor("hello")
def function(prompts):
    return ["hello" for _ in prompts]
spec = "scripted"
number = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = "actors_of_a_user"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_scripted_asks_the_task_environment():
    assert isinstance(make_actor("scripted", IdentityEnv()), IdentityActor)


def test_an_actor_is_taken_as_it_is():
    actor = EchoActor()
    assert make_actor(actor, IdentityEnv()) is actor
    assert isinstance(actor, Actor)


def test_a_function_on_prompts_is_an_actor():
    actor = make_actor(lambda prompts: [prompt.task for prompt in prompts], IdentityEnv())
    assert [reply.text for reply in actor.reply(PROMPTS)] == [prompt.task for prompt in PROMPTS]


def test_a_function_may_give_replies_and_errors():
    error, reply = ActorError("down"), Reply("x", 3, 1)
    assert CallableActor(lambda prompts: [error, reply]).reply(PROMPTS[:2]) == [error, reply]


@pytest.mark.parametrize("name", ["actor", "function"])
def test_an_actor_is_found_by_import(module, name):
    actor = make_actor(f"python:{module}:{name}", IdentityEnv())
    assert [reply.text for reply in actor.reply(PROMPTS)] == ["hello"] * 4


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("openia:gpt", "is not known"),
        ("", "is not known"),
        ("python", "does not have the form"),
        ("python:module_only", "does not have the form"),
        ("python::name", "does not have the form"),
        ("python:no_such_module_here:actor", "cannot be imported"),
        ("python:retro_gym:NoSuchName", "cannot be imported"),
        ("python:retro_gym:__name__", "leads to the text 'retro_gym'"),
        ("python:retro_gym:__all__", "neither reply"),
        (3, "3 has neither reply"),
        (None, "None has neither reply"),
    ],
)
def test_any_other_spec_is_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        make_actor(spec, IdentityEnv())


def test_reply_all_keeps_the_order():
    replies = reply_all(CallableActor(lambda prompts: [str(prompt.seed) for prompt in prompts]), PROMPTS)
    assert [reply.text for reply in replies] == ["0", "1", "2", "3"]


def test_a_raised_actor_error_stands_for_the_whole_batch():
    def down(prompts):
        raise ActorError("no connection")

    replies = reply_all(CallableActor(down), PROMPTS)
    assert len(replies) == 4
    assert all(isinstance(reply, ActorError) for reply in replies)


def test_any_other_exception_is_a_bug_and_passes_through():
    def broken(prompts):
        raise KeyError("typo")

    with pytest.raises(KeyError, match="typo"):
        reply_all(CallableActor(broken), PROMPTS)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda prompts: ["one"], "1 replies to 4 prompts"),
        (lambda prompts: ["x"] * 5, "5 replies to 4 prompts"),
        (lambda prompts: [None] * 4, "replied None"),
        (lambda prompts: [b"x"] * 4, "replied b'x'"),
        (lambda prompts: [odd_reply(None)] * 4, "text=None"),
    ],
)
def test_the_protocol_is_held_to(function, said):
    with pytest.raises(ConfigError, match=said):
        reply_all(CallableActor(function), PROMPTS)


@pytest.mark.parametrize(
    ("text", "thought", "action"),
    [
        ("Thought 2: I know it.\nAction 2: Finish[1934]", "I know it.", "Finish[1934]"),
        ("Finish[1934]", "", "Finish[1934]"),
        ("  Finish[1934]\n", "", "Finish[1934]"),
        ("Action: Finish[x]", "", "Finish[x]"),
        ("Action 12 : Finish[x]  ", "", "Finish[x]"),
        ("Thought: one\ntwo\n\nAction: go\nObservation: no", "one two", "go"),
        ("Action 1: first\nAction 2: second", "", "first"),
        ("Thought: a\r\nAction: go\r\n", "a", "go"),
        ("thinking aloud\nAction: go", "thinking aloud", "go"),
        ("Action:", "", ""),
        ("", "", ""),
        ("   ", "", ""),
        ("Thought: only a thought", "only a thought", ""),
        ("The Action: is not a label here", "", "The Action: is not a label here"),
        ("Action 1: say: Action 2: x", "", "say: Action 2: x"),
        ("line one\nline two", "", "line one\nline two"),
    ],
)
def test_replies_are_split_into_thought_and_action(text, thought, action):
    assert parse_reply(text) == (thought, action)


@given(st.text())
def test_any_reply_can_be_parsed(text):
    thought, action = parse_reply(text)
    assert "\n" not in thought
    assert parse_reply(f"Action: {' '.join(action.split())}")[1] == " ".join(action.split())


CUT = Reply("Thought 1: I need the year.\nAction 1: Sea", 7, 5, "Hm.", cut=True)


def test_a_cut_reply_of_any_actor_is_an_error_unless_its_action_is_whole():
    whole = Reply("Action 1: Search[Velmora]\nThen", cut=True)
    error, kept, uncut = reply_all(CallableActor(lambda prompts: [CUT, whole, Reply(CUT.text)]), PROMPTS[:3])
    assert type(error) is CutReplyError
    assert "Action 1: Sea" in str(error)
    assert "max_tokens" in str(error)
    assert (error.prompt_tokens, error.completion_tokens) == (7, 5)
    assert (kept, uncut) == (whole, Reply(CUT.text))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.completion_tokens) == (str(error), 5)


def test_what_a_cut_reply_cost_is_paid():
    budget = Budget(tokens=10)
    actor = BudgetedActor(CallableActor(lambda prompts: [CUT] * len(prompts)), budget)
    assert [type(reply) for reply in actor.reply(PROMPTS[:1]) + actor.reply(PROMPTS[:1])] == [
        CutReplyError,
        BudgetError,
    ]
    assert budget.spent.tokens == 12


@pytest.mark.parametrize(
    ("given_count", "count"),
    [
        (None, 0),
        (float("nan"), 0),
        (-1, 0),
        ("many", 0),
        (True, 0),
        (3.0, 3),
        ("3", 3),
        (np.int64(3), 3),
        (np.float64(3), 3),
    ],
)
def test_a_count_that_is_none_costs_no_reply(given_count, count):
    (reply,) = reply_all(CallableActor(lambda prompts: [odd_reply("go", given_count, 7)]), PROMPTS[:1])
    assert reply == Reply("go", count, 7)


def test_scripted_double_stays_at_its_last_reply():
    actor = ScriptedActor(["a", "b"])
    turns = tuple(Turn("", "x", "y") for _ in range(5))
    prompts = [Prompt("", (), (), "", turns[:count], seed=0) for count in (0, 1, 5)]
    assert [reply.text for reply in actor.reply(prompts)] == ["a", "b", "b"]


def test_lucky_double_draws_from_the_prompts_seed_alone():
    actor = LuckyActor({"yes": 0.5, "no": 0.5})
    prompts = [Prompt("", (), (), "", (), seed=seed) for seed in range(200)]
    first = [reply.text for reply in actor.reply(prompts)]
    assert first == [reply.text for reply in actor.reply(prompts)]
    assert 60 < first.count("yes") < 140


def test_flaky_double_fails_where_it_is_told_to():
    actor = FlakyActor(EchoActor("x"), lambda prompt: prompt.seed == 2)
    assert [isinstance(reply, ActorError) for reply in actor.reply(PROMPTS)] == [False, False, True, False]
