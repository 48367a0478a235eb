import pickle
import re
import sys
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
import functools
from retro_gym.testing import EchoActor
actor = EchoActor("hello")
def function(prompts):
    return ["hello" for _ in prompts]
spec = "scripted"
number = 3
async def later(prompts):
    return ["hello" for _ in prompts]
async def one_by_one(prompts):
    for _ in prompts:
        yield "hello"
def nothing():
    return []
def two(prompts, more):
    return []
class Made:
    def __init__(self, text="hello", *, secret=None):
        self.text = text
    def reply(self, prompts):
        return EchoActor(self.text).reply(prompts)
    def of_all(self, prompts):
        return [self.text for _ in prompts]
class Needs(Made):
    def __init__(self, text):
        if text == "wrong":
            raise KeyError("this text")
        super().__init__(text)
class Called:
    def __call__(self, prompts):
        return ["hello" for _ in prompts]
class CalledLater:
    async def __call__(self, prompts):
        return ["hello" for _ in prompts]
class Later:
    async def reply(self, prompts):
        return ["hello" for _ in prompts]
class SubmitsLater(Made):
    async def submit(self, prompt):
        return None
class Unready:
    reply = 3
class Silent:
    pass
made, called, called_later = Made(), Called(), CalledLater()
partly = functools.partial(two, more=1)
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


@pytest.mark.parametrize("name", ["actor", "function", "made", "made.of_all", "called", "Made", "Called"])
def test_an_actor_is_found_by_import(module, name):
    actor = make_actor(f"python:{module}:{name}", IdentityEnv())
    assert [reply.text for reply in actor.reply(PROMPTS)] == ["hello"] * 4


@pytest.mark.parametrize(("name", "options"), [("Made", {"text": "you"}), ("Needs", {"text": "you"})])
def test_a_class_is_made_of_the_options(module, name, options):
    actor = make_actor(f"python:{module}:{name}", IdentityEnv(), **options)
    assert [reply.text for reply in actor.reply(PROMPTS)] == ["you"] * 4
    kind = type(actor)
    assert make_actor(kind, IdentityEnv(), **options).text == "you"


def test_every_object_of_a_class_is_its_own(module):
    first, second = (make_actor(f"python:{module}:Made", IdentityEnv()) for _ in range(2))
    assert first is not second


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("Needs", {}, r"is the class Needs, which cannot be made of no options: missing .*'text'.* as actor_kwargs"),
        ("Made", {"secret": "sk-1", "txt": 3}, "cannot be made of the options secret, txt: got an unexpected .*'txt'"),
        ("Needs", {"text": "wrong"}, r"cannot be made of the options text: KeyError .*this text"),
        ("Silent", {}, "has neither reply"),
        ("Unready", {}, "reply of actor .*Unready' is 3, which cannot be called"),
        ("Later", {}, "reply of actor .* is async"),
        ("SubmitsLater", {}, "submit of actor .* is async"),
        ("CalledLater", {}, "is async"),
        ("called_later", {}, "is async"),
        ("later", {}, "is async; it must return its results"),
        ("one_by_one", {}, "is async"),
        ("nothing", {}, r"cannot be called with one argument, the prompts: .*the arguments are \(\)"),
        ("two", {}, "cannot be called with one argument, the prompts: missing .*'more'"),
        ("Made.reply", {}, r"the arguments are \(self, prompts\)"),
        ("made", {"text": "you"}, "has no options; received text"),
        ("function", {"text": "you"}, "has no options; received text"),
        ("functools", {}, "has neither reply"),
        ("made.no_such", {}, "cannot be imported: 'Made' object has no attribute 'no_such'"),
    ],
)
def test_what_leads_to_no_actor_is_refused_at_the_door(module, name, options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        make_actor(f"python:{module}:{name}", IdentityEnv(), **options)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize("body", ["1 / 0", "raise SystemExit(2)", "raise KeyError('x')", "def (", "assert False"])
def test_a_module_that_fails_while_it_is_imported_is_a_clear_error(tmp_path, monkeypatch, body):
    (tmp_path / "broken_actors_of_a_user.py").write_text(body)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"actor 'python:broken_actors_of_a_user:actor' cannot be imported: [A-Z]"):
        make_actor("python:broken_actors_of_a_user:actor", IdentityEnv())


def test_a_module_in_the_working_folder_is_found(tmp_path, monkeypatch):
    (tmp_path / "actors_beside_a_user.py").write_text("def play(prompts):\n    return ['Say[red]'] * len(prompts)\n")
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.chdir(tmp_path)
    assert make_actor("python:actors_beside_a_user:play", IdentityEnv()).reply([None])[0].text == "Say[red]"


def test_only_the_scripted_actor_needs_a_task_environment():
    assert make_actor("openai:any", None).model == "any"
    with pytest.raises(ConfigError, match=r"task_env is None. Give task_env"):
        make_actor("scripted", None)


def test_a_function_of_python_itself_may_keep_its_arguments_to_itself():
    assert make_actor(max, IdentityEnv()).function is max


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
        ("python:retro_gym:__name__", "names the text 'retro_gym'"),
        ("python:retro_gym:__all__", "neither reply"),
        (3, "3 has neither reply"),
        (None, "None has neither reply"),
    ],
)
def test_any_other_spec_is_refused(spec, said):
    with pytest.raises(ConfigError, match=said):
        make_actor(spec, IdentityEnv())


async def awaited():
    return ["hello"] * 4


def test_replies_may_come_from_a_generator():
    replies = reply_all(CallableActor(lambda prompts: (str(prompt.seed) for prompt in prompts)), PROMPTS)
    assert [reply.text for reply in replies] == ["0", "1", "2", "3"]


def test_an_actor_that_gives_one_text_for_all_is_refused():
    class Talker:
        def reply(self, prompts):
            return "four"

    with pytest.raises(ConfigError, match="gave 'four' for all prompts together"):
        reply_all(Talker(), PROMPTS)


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

    with pytest.raises(KeyError, match="typo") as caught:
        reply_all(CallableActor(broken), PROMPTS)
    (note,) = caught.value.__notes__
    assert re.search(r"The actor .*broken raised this for 4 prompts\..*voids that trial alone", note)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda prompts: ["one"], "1 replies to 4 prompts"),
        (lambda prompts: ["x"] * 5, "5 replies to 4 prompts"),
        (lambda prompts: [None] * 4, "replied None"),
        (lambda prompts: [b"x"] * 4, "replied b'x'"),
        (lambda prompts: "four", "gave 'four' for all prompts together"),
        (lambda prompts: b"four", "gave b'four' for all prompts"),
        (lambda prompts: {"a": 1, "b": 2, "c": 3, "d": 4}, "for all prompts together"),
        (lambda prompts: {"a", "b", "c", "d"}, "for all prompts together"),
        (lambda prompts: Reply("x"), r"gave Reply\(.*for all prompts"),
        (lambda prompts: None, "gave None for all prompts"),
        (lambda prompts: awaited(), "gave <coroutine object"),
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
