"""The actor and everything that can go wrong between it and a server. No fault may turn into a reward."""

import threading
import time

import pytest

from retro_gym import Prompt, Reply, RetroEnv
from retro_gym.actors import OpenAIActor
from retro_gym.errors import ActorError, CutReplyError, PromptTooLongError
from retro_gym.scheduling import Job, run_jobs
from retro_gym.testing import EchoActor, IdentityActor, IdentityEnv
from retro_gym.testing.faults import PASSING_FAULTS, Fault, Faults
from retro_gym.testing.server import ServerThread

PROMPTS = [Prompt("Answer.", (), (f"It is {i}.",), "The word is blue.", (), seed=i) for i in range(64)]
WORDS = ("red", "green", "blue", "gold")


@pytest.fixture
def asked():
    """Makes actors that try again at once, and closes them."""
    made = []

    def make(server, **options):
        actor = OpenAIActor("any", **{"base_url": server.base_url, "retry_wait": 0.01, "patience": 20.0, **options})
        made.append(actor)
        return actor

    yield make
    for actor in made:
        actor.close()


@pytest.fixture
def nowhere():
    """A server that has stopped: nothing listens on its port."""
    with ServerThread(EchoActor()) as server:
        pass
    return server


def play(actor, episodes):
    """One Identity episode for each seed, side by side: what every step gave, or the error of a reset."""
    envs = [RetroEnv(IdentityEnv(), actor=actor, max_reflections=2) for _ in range(episodes)]

    def episode(env, seed):
        steps = []
        try:
            yield from env.plan_reset(seed=seed)
        except ActorError as error:
            return [error]
        while True:
            steps.append((yield from env.plan_step(WORDS[(seed + len(steps)) % 4])))
            if steps[-1][2] or steps[-1][3]:
                return steps

    return run_jobs([Job(episode(env, i), actor, env.stats) for i, env in enumerate(envs)])


@pytest.mark.parametrize("fault", PASSING_FAULTS)
def test_a_fault_that_passes_leaves_no_trace(fault, asked):
    faults = Faults(first=[fault, fault], slow_seconds=60.0, retry_after=0.02)
    with ServerThread(EchoActor(), faults=faults) as server:
        actor = asked(server, timeout=1.0 if fault is Fault.SLOW_BODY else 30.0)
        assert actor.reply(PROMPTS[:1]) == [Reply("It is 0.", len(PROMPTS[0].text), 8)]
        assert (server.counts[fault], server.counts["replies"]) == (2, 1)
        assert actor.budget.spent.calls == 3


def test_a_body_that_is_slow_but_in_time(asked):
    with ServerThread(EchoActor(), faults=Faults(first=[Fault.SLOW_BODY], slow_seconds=0.1)) as server:
        assert asked(server).reply(PROMPTS[:1])[0].text == "It is 0."


@pytest.mark.parametrize("shape", ["chat", "completion"])
@pytest.mark.parametrize(("fault", "kind"), [(Fault.REFUSAL, ActorError), (Fault.LENGTH, CutReplyError)])
def test_what_was_refused_or_cut_is_no_reply(fault, kind, shape, asked):
    with ServerThread(EchoActor(), faults=Faults(first=[fault])) as server:
        (error,) = asked(server, shape=shape).reply(PROMPTS[:1])
        assert type(error) is kind
        assert server.counts["requests"] == 1


def test_a_prompt_that_is_too_long_is_not_sent_again(asked):
    with ServerThread(EchoActor(), faults=Faults({Fault.CONTEXT_LENGTH: 1.0})) as server:
        for shape in ("chat", "completion"):
            (error,) = asked(server, shape=shape).reply(PROMPTS[:1])
            assert isinstance(error, PromptTooLongError)
        assert server.counts["requests"] == 2


@pytest.mark.parametrize(
    ("served", "options", "remedy"),
    [
        ({"api_key": "x"}, {"api_key_env": "SOME_KEY"}, "variable SOME_KEY"),
        ({"model": "gpt"}, {}, "serves 'any'"),
        ({"rejects": ["stop"]}, {}, "send_stop=False"),
        ({"rejects": ["temperature"]}, {}, "temperature=None"),
        ({"rejects": ["seed"]}, {}, "send_seed=False"),
        ({"rejects": ["max_tokens"]}, {}, 'max_tokens_field="max_completion_tokens"'),
    ],
)
def test_what_will_not_pass_is_asked_once_and_names_the_remedy(served, options, remedy, asked):
    with ServerThread(EchoActor(), **served) as server:
        (error,) = asked(server, **options).reply(PROMPTS[:1])
        assert type(error) is ActorError
        assert remedy in str(error)
        assert server.counts["replies"] == 0


def test_the_remedies_help(asked):
    with ServerThread(EchoActor(), rejects=["stop", "temperature", "seed", "max_tokens"]) as server:
        options = {"send_stop": False, "temperature": None, "send_seed": False}
        actor = asked(server, **options, max_tokens_field="max_completion_tokens")
        assert actor.reply(PROMPTS[:1])[0].text == "It is 0."


def test_retry_after_is_honoured(asked):
    with ServerThread(EchoActor(), faults=Faults(first=[Fault.RATE_LIMIT], retry_after=0.6)) as server:
        actor = asked(server)
        start = time.monotonic()
        assert actor.reply(PROMPTS[:1])[0].text == "It is 0."
        assert time.monotonic() - start >= 0.6


def test_a_wait_beyond_all_patience_is_not_begun(asked):
    with ServerThread(EchoActor(), faults=Faults(first=[Fault.RATE_LIMIT], retry_after=3600)) as server:
        (error,) = asked(server).reply(PROMPTS[:1])
        assert "asks to wait 3600 s" in str(error)


def test_an_attempt_has_its_time(asked):
    with ServerThread(EchoActor(), latency=60.0) as server:
        (error,) = asked(server, timeout=0.2, patience=0.7).reply(PROMPTS[:1])
        assert "no reply within 0.2 s" in str(error)
        assert server.counts["requests"] > 1


def test_a_server_that_is_not_there_gives_one_clear_error_in_time(nowhere, asked):
    actor = asked(nowhere, patience=1.0, retry_wait=0.1)
    start = time.monotonic()
    replies = actor.reply(PROMPTS[:20])
    (later,) = actor.reply(PROMPTS[:1])  # what has died once is asked once
    assert time.monotonic() - start < 10
    for error in (*replies, later):
        assert type(error) is ActorError
        assert nowhere.base_url in str(error)
        assert "Start the server" in str(error)
    assert "within 1 s" in str(replies[0])
    assert "one attempt" in str(later)


def test_a_reset_does_not_wait_for_a_dead_server_ten_times(nowhere, asked):
    env = RetroEnv(IdentityEnv(), actor=asked(nowhere, patience=0.5))
    start = time.monotonic()
    with pytest.raises(ActorError, match="10 tasks in a row"):
        env.reset(seed=0)
    assert time.monotonic() - start < 5


def test_once_a_call_gets_through_there_is_patience_again(nowhere, asked):
    actor = asked(nowhere, patience=1.0)
    assert isinstance(actor.reply(PROMPTS[:1])[0], ActorError)
    faults = Faults(first=[None, Fault.SERVER_ERROR])
    with ServerThread(EchoActor(), port=nowhere.port, faults=faults):
        assert [reply.text for reply in actor.reply(PROMPTS[:1])] == ["It is 0."]
        assert [reply.text for reply in actor.reply(PROMPTS[:1])] == ["It is 0."]


def test_any_endpoint_may_be_the_one_that_comes_back(nowhere, asked):
    with ServerThread(EchoActor()) as other:
        pass
    actor = asked(nowhere, base_url=[nowhere.base_url, other.base_url], patience=1.0)
    assert isinstance(actor.reply(PROMPTS[:1])[0], ActorError)
    for server in (nowhere, other):
        with ServerThread(EchoActor(), port=server.port):
            assert [reply.text for reply in actor.reply(PROMPTS[:1])] == ["It is 0."]


def test_a_server_that_dies_and_comes_back_costs_nothing(asked):
    alone = play(IdentityActor(), 24)
    server = ServerThread(IdentityActor(), latency=0.02)
    with server:
        actor = asked(server, max_in_flight=4, retry_wait=0.05)

        def outage():
            while server.counts["replies"] < 20:
                time.sleep(0.005)
            server.stop()
            time.sleep(0.5)
            server.start()

        thread = threading.Thread(target=outage)
        thread.start()
        played = play(actor, 24)
        thread.join()
    assert played == alone
    assert server.counts["replies"] > 20


@pytest.mark.parametrize("episodes", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_mixed_faults_change_no_result(episodes, asked):
    alone = play(IdentityActor(), episodes)
    faults = Faults(dict.fromkeys(PASSING_FAULTS, 0.3 / len(PASSING_FAULTS)), slow_seconds=0.05, seed=1)
    with ServerThread(IdentityActor(), faults=faults) as server:
        assert play(asked(server), episodes) == alone
        assert all(server.counts[fault] for fault in PASSING_FAULTS)


@pytest.mark.parametrize("episodes", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_faults_of_all_kinds_give_no_reward(episodes, asked):
    alone = play(IdentityActor(), episodes)
    faults = Faults(dict.fromkeys(Fault, 0.3 / len(Fault)), slow_seconds=60.0, seed=2)
    with ServerThread(IdentityActor(), faults=faults) as server:
        # Little patience, so that some calls are given up.
        played = play(asked(server, timeout=1.0, patience=2.0, retry_wait=1.0, max_in_flight=16), episodes)
    untouched = 0
    for steps, expected in zip(played, alone, strict=True):
        if steps == expected:
            untouched += 1
            continue
        for step in steps:
            if isinstance(step, ActorError):
                continue  # the reset was given up, and says so
            _, reward, _, truncated, info = step
            ends = info["trajectory"]["end"], [turn["action"] for turn in info["trajectory"]["turns"]]
            solved = ends == ("solved", [f"Say[{info['task_id'].rpartition('-')[2]}]"])
            assert reward == (1.0 if solved else 0.0)
            assert truncated == ("actor_error" in info)
    assert untouched > episodes / 3
