"""The actor against the test server: its replies, how it spreads its calls, its copies, its secrets."""

import copy
import gc
import logging
import os
import pickle
import random
import subprocess
import sys
import threading
import traceback

import gymnasium as gym
import numpy as np
import pytest

from retro_gym import Prompt, Reply, RetroEnv
from retro_gym.actors import Actor, Budget, CallableActor, ConcurrentActor, OpenAIActor
from retro_gym.adapting import as_task_env
from retro_gym.errors import ActorError, BudgetError, ConfigError, MissingExtraError
from retro_gym.prompts import PROMPT_SHAPES
from retro_gym.scheduling import Job, run_jobs
from retro_gym.testing import EchoActor, IdentityActor, IdentityEnv
from retro_gym.testing.faults import Latency
from retro_gym.testing.server import ServerThread

PROMPTS = [Prompt("Answer.", (), (f"It is {i}.",), "The word is blue.", (), seed=i) for i in range(40)]
SECRET = "sk-planted-0123456789"


def said(replies):
    return [reply.text if isinstance(reply, Reply) else str(reply) for reply in replies]


@pytest.fixture
def server():
    with ServerThread(EchoActor()) as running:
        yield running


@pytest.fixture
def actor(server):
    made = OpenAIActor("any", base_url=server.base_url)
    yield made
    made.close()


def test_it_is_an_actor_with_many_calls_in_flight(actor):
    assert isinstance(actor, Actor)
    assert isinstance(actor, ConcurrentActor)


def test_replies_come_in_the_order_of_the_prompts(actor):
    assert said(actor.reply(PROMPTS)) == [f"It is {i}." for i in range(40)]
    assert actor.reply([]) == []


def test_tokens_are_counted(actor):
    (reply,) = actor.reply(PROMPTS[:1])
    assert (reply.prompt_tokens, reply.completion_tokens) == (len(PROMPTS[0].text), len("It is 0."))
    assert actor.budget.spent.tokens == reply.prompt_tokens + reply.completion_tokens


@pytest.mark.parametrize("style", ["reasoning", "reasoning_content", "think"])
@pytest.mark.parametrize("shape", ["chat", "completion"])
def test_reasoning_is_kept_apart(style, shape):
    thinker = CallableActor(lambda prompts: [Reply("Say[blue]", reasoning="Hm.")])
    with ServerThread(thinker, reasoning=style) as server:
        actor = OpenAIActor("any", base_url=server.base_url, shape=shape)
        (reply,) = actor.reply(PROMPTS[:1])
        actor.close()
    apart = style == "think" or shape == "chat"  # a completion has no field for it
    assert (reply.text, reply.reasoning) == ("Say[blue]", "Hm." if apart else "")


def play(actor, envs=6):
    """One episode in each of several environments, side by side; what they came to."""
    made = [RetroEnv("HotpotQA-v0", actor=actor, max_reflections=2) for _ in range(envs)]

    def episode(env, seed):
        _, info = yield from env.plan_reset(seed=seed)
        played = [info]
        while True:
            last = yield from env.plan_step("Look more carefully.")
            played.append(last[1:])
            if last[2] or last[3]:
                return played

    return run_jobs([Job(episode(env, i), env.actor, env.stats) for i, env in enumerate(made)])


def test_trajectories_do_not_depend_on_shape_nor_on_the_order_of_replies():
    scripted = as_task_env("HotpotQA-v0").scripted_actor()
    expected = play(scripted)
    with ServerThread(scripted, latency=Latency(0.01, 0.1, seed=1)) as server:
        for shape in PROMPT_SHAPES:
            actor = OpenAIActor("any", base_url=server.base_url, shape=shape)
            assert play(actor) == expected
            actor.close()
        assert server.counts["peak"] > 1


# -- endpoints ---------------------------------------------------------------------------------------------------------


def test_calls_go_where_the_least_is_in_flight():
    with ServerThread(EchoActor(), latency=0.02) as quick, ServerThread(EchoActor(), latency=0.4) as slow:
        actor = OpenAIActor("any", base_url=f"{quick.base_url}, {slow.base_url}", max_in_flight=4)
        assert said(actor.reply(PROMPTS)) == [f"It is {i}." for i in range(40)]
        actor.close()
        assert quick.counts["replies"] > 2 * slow.counts["replies"] > 0


def test_idle_endpoints_take_turns():
    with ServerThread(EchoActor()) as one, ServerThread(EchoActor()) as other:
        actor = OpenAIActor("any", base_url=[one.base_url, other.base_url])
        for prompt in PROMPTS[:10]:
            actor.reply([prompt])
        actor.close()
        assert one.counts["replies"] == other.counts["replies"] == 5


def test_a_dead_endpoint_among_several_costs_nothing(server):
    with ServerThread(EchoActor()) as dead:
        pass
    actor = OpenAIActor("any", base_url=[dead.base_url, server.base_url], retry_wait=30.0)
    assert said(actor.reply(PROMPTS)) == [f"It is {i}." for i in range(40)]
    actor.close()
    assert actor.budget.spent.calls == 40


def test_no_more_calls_are_in_flight_than_allowed():
    with ServerThread(EchoActor(), latency=0.5) as server:
        actor = OpenAIActor("any", base_url=server.base_url, max_in_flight=3)
        actor.reply(PROMPTS[:5])
        actor.close()
        assert server.counts["peak"] == 3


def test_the_url_may_come_from_the_environment(server, monkeypatch):
    actor = OpenAIActor("any")
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    assert said(actor.reply(PROMPTS[:1])) == ["It is 0."]
    actor.close()


def test_a_budget_ends_the_calls(server):
    budget = Budget(calls=7)
    actor = OpenAIActor("any", base_url=server.base_url, budget=budget)
    replies = actor.reply(PROMPTS[:10])
    actor.close()
    assert [type(reply) for reply in replies] == [Reply] * 7 + [BudgetError] * 3
    assert server.counts["requests"] == budget.spent.calls == 7


# -- life and copies ---------------------------------------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_call():
    actor = OpenAIActor("any", base_url="http://127.0.0.1:1/v1")
    assert actor._connection is None
    actor.close()
    actor.close()


def test_it_closes_twice_and_opens_again(actor):
    for _ in range(2):
        assert said(actor.reply(PROMPTS[:1])) == ["It is 0."]
        actor.close()
        actor.close()


def test_an_actor_that_is_dropped_takes_its_thread_along(server):
    actor = OpenAIActor("any", base_url=server.base_url)
    actor.reply(PROMPTS[:2])
    thread = actor._connection._thread
    del actor
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_a_call_outlives_the_last_name_of_its_actor(server):
    future = OpenAIActor("any", base_url=server.base_url).submit(PROMPTS[3])
    gc.collect()
    assert future.result(timeout=30).text == "It is 3."


def test_closing_gives_up_what_is_in_flight():
    with ServerThread(EchoActor(), latency=60.0) as server:
        actor = OpenAIActor("any", base_url=server.base_url)
        begun = actor.submit(PROMPTS[0])
        while not server.counts["requests"]:
            threading.Event().wait(0.01)
        futures = [begun, actor.submit(PROMPTS[1])]
        actor.close()
        assert all("was closed" in str(future.result(timeout=10)) for future in futures)


def test_a_call_that_nobody_waits_for_any_more_is_cancelled():
    with ServerThread(EchoActor(), latency=60.0) as server:
        actor = OpenAIActor("any", base_url=server.base_url, max_in_flight=1)
        assert [actor.submit(prompt).cancel() for prompt in PROMPTS[:3]] == [True] * 3
        actor.close()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda actor: pickle.loads(pickle.dumps(actor))])
def test_copies_before_and_after_use(actor, copied):
    fresh = copied(actor)
    actor.reply(PROMPTS[:1])
    used = copied(actor)
    for other in (fresh, used):
        assert other._connection is None
        assert repr(other) == repr(actor)
        assert said(other.reply(PROMPTS[:2])) == ["It is 0.", "It is 1."]
        other.close()
    assert said(actor.reply(PROMPTS[:1])) == ["It is 0."]


def test_an_environment_with_it_pickles_in_the_middle_of_an_episode():
    with ServerThread(IdentityActor()) as server:
        env = RetroEnv(IdentityEnv(), actor=OpenAIActor("any", base_url=server.base_url))
        env.reset(options={"task_id": "train-2-blue"})
        other = pickle.loads(pickle.dumps(env))
        assert other.step("It is blue.")[1] == env.step("It is blue.")[1] == 1.0
        env.actor.close()
        other.actor.close()


def test_workers_of_an_async_vector_environment():
    with ServerThread(IdentityActor()) as server:
        used = OpenAIActor("any", base_url=server.base_url)
        used.reply(PROMPTS[:1])  # its connection is forked along, and must be left alone there

        def make(actor):
            return lambda: RetroEnv(IdentityEnv(), actor=actor or OpenAIActor("any", base_url=server.base_url))

        envs = gym.vector.AsyncVectorEnv([make(None), make(used)])
        envs.reset(seed=[1, 2], options={"task_id": "train-2-blue"})
        rewards = envs.step(("It is blue.", "It is red."))[1]
        envs.close()
        assert list(rewards) == [1.0, 0.0]
        assert said(used.reply(PROMPTS[:1])) == ["Say[]"]
        used.close()


SCRIPT = """
import sys
from retro_gym import Prompt
from retro_gym.actors import OpenAIActor
actor = OpenAIActor("any", base_url=sys.argv[1])
assert not {"openai", "httpx2", "tenacity"} & set(sys.modules), "a constructor imports nothing heavy"
print(actor.reply([Prompt("Answer.", (), ("It is so.",), "Is it?", (), seed=0)])[0].text)
"""


def test_a_program_that_never_closes_it_ends_without_a_word(server):
    command = [sys.executable, "-W", "error", "-c", SCRIPT, server.base_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "It is so.\n", "")


def test_the_missing_extra_is_named_at_the_first_call(monkeypatch):
    actor = OpenAIActor("any", base_url="http://127.0.0.1:1/v1")
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(MissingExtraError, match=r"\[openai\]"):
        actor.reply(PROMPTS[:1])


def test_randomness_that_users_seed_is_left_alone():
    random.seed(5)
    np.random.seed(5)
    before = random.getstate(), np.random.get_state()[1].tolist()
    with ServerThread(EchoActor()) as dead:
        pass
    actor = OpenAIActor("any", base_url=dead.base_url, patience=0.3, retry_wait=0.01)
    actor.reply(PROMPTS[:1])
    actor.close()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_a_planted_key_is_sent_and_appears_nowhere(monkeypatch, caplog):
    monkeypatch.setenv("A_KEY", SECRET)
    caplog.set_level(logging.DEBUG)
    told = []
    with ServerThread(EchoActor("Hm."), api_key=SECRET) as right, ServerThread(EchoActor(), api_key="other") as wrong:
        for server in (right, wrong):
            actor = OpenAIActor("any", base_url=server.base_url, api_key_env="A_KEY", patience=1.0)
            (reply,) = actor.reply(PROMPTS[:1])
            told += [
                repr(actor),
                repr(vars(actor)),
                str(actor.parameters),
                repr(reply),
                pickle.dumps(actor).decode("latin-1"),
            ]
            env = RetroEnv(IdentityEnv(), actor=actor)
            try:
                env.reset(options={"task_id": "train-2-blue"})
            except ActorError as error:
                told += traceback.TracebackException.from_exception(error, capture_locals=True).format()
            actor.close()
        assert right.counts["replies"] == 2
    assert any("[key]" in text and "A_KEY" in text for text in told)  # the server had repeated the key in its answer
    assert not any(SECRET in text for text in [*told, caplog.text])


def test_a_login_in_a_url_is_sent_and_not_shown(caplog):
    caplog.set_level(logging.DEBUG)
    with ServerThread(EchoActor(), api_key="x") as server:
        url = server.base_url.replace("//", "//me:hush%21@")
        actor = OpenAIActor("any", base_url=url)
        (error,) = actor.reply(PROMPTS[:1])
        actor.close()
    assert "Incorrect API key provided: Basic [key]." in str(error)  # which the server repeats
    for text in (repr(actor), str(actor.parameters), caplog.text):
        assert "hush" not in text
        assert "bWU6aHVzaCE=" not in text


def test_the_openai_api_needs_a_key(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        OpenAIActor("any").reply(PROMPTS[:1])


def test_a_key_that_cannot_be_sent(monkeypatch):
    monkeypatch.setenv("A_KEY", "sk-\u00e4\nb")
    with pytest.raises(ConfigError, match="A_KEY holds characters") as caught:
        OpenAIActor("any", base_url="http://127.0.0.1:1/v1", api_key_env="A_KEY").reply(PROMPTS[:1])
    assert "sk-" not in str(caught.value)


# -- arguments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"model": ""}, "model is ''"),
        ({"model": None}, "model is None"),
        ({"shape": "chats"}, "Did you mean 'chat'"),
        ({"base_url": "127.0.0.1:8000"}, "is not a URL"),
        ({"base_url": ""}, "is not a URL"),
        ({"base_url": "http://a/v1,ftp://me:hush@b"}, "'ftp://b' is not a URL"),
        ({"base_url": []}, "names no URL"),
        ({"base_url": 5}, "base_url is 5"),
        ({"base_url": "http://127.0.0.1:abc/v1"}, "is not a URL"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "is not a URL"),
        ({"base_url": "http://[::1/v1"}, "is not a URL"),
        ({"base_url": "http://a..b/v1"}, "is not a URL"),
        ({"base_url": "http:///v1"}, "is not a URL"),
        ({"base_url": "http://a b/v1"}, "is not a URL"),
        ({"base_url": "http://me:hush@[::1/v1"}, r"'\[::1/v1' is not a URL"),
        ({"extra_body": "{}"}, "extra_body is '{}'"),
        ({"extra_body": [1]}, "a dict of parameters"),
        ({"extra_body": 5}, "a dict of parameters"),
        ({"api_key_env": None}, "api_key_env is None"),
        ({"api_key_env": ""}, "name of an environment variable"),
        ({"base_url": [None]}, "None is not a URL"),
        ({"temperature": -1}, "temperature is -1"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"max_tokens": 1.5}, "max_tokens is 1.5"),
        ({"max_tokens_field": "tokens"}, "max_tokens_field is 'tokens'"),
        ({"extra_body": {"x": object()}}, "cannot be sent as JSON"),
        ({"timeout": 0}, "timeout is 0"),
        ({"patience": float("nan")}, "patience is nan"),
        ({"retry_wait": "1"}, "retry_wait is '1'"),
        ({"max_in_flight": 0}, "max_in_flight is 0"),
        ({"budget": 3}, "budget is 3"),
    ],
)
def test_bad_arguments(arguments, told):
    with pytest.raises(ConfigError, match=told):
        OpenAIActor(**{"model": "any", **arguments})


def test_what_it_shows_of_itself():
    actor = OpenAIActor("gpt", base_url=["http://a/v1", "https://b:8000/v1"], extra_body={"top_k": 3})
    assert repr(actor) == "OpenAIActor('gpt', base_url='http://a/v1,https://b:8000/v1', shape='chat')"
    assert actor.parameters["extra_body"] == {"top_k": 3}
    assert actor.parameters["temperature"] == 0.0
    assert os.getpid() == actor._process
