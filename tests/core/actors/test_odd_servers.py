"""Servers that answer in odd ways: no such answer becomes a reward or a played action, and each says what it is."""

import pytest

from retro_gym import Prompt, Reply, RetroEnv
from retro_gym.actors import Budget, OpenAIActor, RecordingActor, ReplayActor
from retro_gym.testing import IdentityEnv
from tests.core.odd_server import GOLD, ODD, OddServer, chat

PROMPT = Prompt("Answer.", (), (), "The word is blue.", (), seed=0)
WRONG = chat("Thought 1: Hm.\nAction 1: Say[red]")
PASSING = (
    "Provider down",
    "finish_reason",
    "native_finish",
    "upstream is away",
    "upstream died",
    "half of it",
    "model is loading",
    "not JSON",
    "wrong types",
    "without a choice",
    "529",
    "deadline",
)


@pytest.fixture
def asked():
    made = []

    def make(server, **options):
        # A busy machine may take a while to answer; an answer that patience cuts off would say nothing of its kind.
        quick = {"retry_wait": 0.2, "patience": 1.0, "timeout": 5.0}
        made.append(OpenAIActor("any", **{"base_url": server.base_url, "max_tokens": 64, **quick, **options}))
        return made[-1]

    yield make
    for actor in made:
        actor.close()


def test_there_are_enough_of_them():
    assert len(ODD) >= 40


@pytest.mark.parametrize("name", ODD)
def test_what_an_odd_answer_comes_to(name, asked):
    answer, kind, said = ODD[name]
    with OddServer(lambda number, request: answer) as server:
        actor = asked(server)
        (error,) = actor.reply([PROMPT])
    assert type(error).__name__ == kind
    assert said in str(error)
    assert actor.budget.spent.calls == len(server.requests)
    if said.startswith(PASSING):
        assert len(server.requests) > 1
    elif said not in ("no text", "reasoning"):
        assert len(server.requests) == 1


@pytest.mark.parametrize("name", ODD)
def test_an_odd_answer_is_neither_played_nor_paid(name, asked):
    """The failed trial is played as usual; then every answer is the odd one, which mostly speaks of the right word."""
    answer, kind, said = ODD[name]
    with OddServer(lambda number, request: WRONG if number == 0 else answer) as server:
        env = RetroEnv(IdentityEnv(), actor=asked(server))
        _, info = env.reset(options={"task_id": "train-2-blue"})
        assert [turn["action"] for turn in info["trajectory"]["turns"]] == ["Say[red]"]
        _, reward, terminated, truncated, after = env.step("It is blue.")
    assert reward == 0.0
    if kind == "PromptTooLongError":  # a failure like running out of turns
        assert (after["trajectory"]["end"], after["trajectory"]["turns"]) == ("prompt too long", [])
        assert said in after["trajectory"]["error"]
    else:  # no sample at all
        assert (terminated, truncated, after["end"]) == (False, True, "actor error")
        assert said in after["actor_error"]
        assert after["trajectory"] == info["trajectory"]
    assert (env.stats.errors, env.stats.cut) == (1, int(kind == "CutReplyError"))


@pytest.mark.parametrize("kind", ["CutReplyError", "ActorError", "PromptTooLongError"])
def test_an_odd_answer_is_replayed_as_the_same(kind, asked, tmp_path):
    answer = next(answer for answer, each, _ in ODD.values() if each == kind)
    with OddServer(lambda number, request: answer) as server:
        recording = RecordingActor(asked(server), tmp_path / "tape.jsonl")
        (live,) = recording.reply([PROMPT])
        recording.close()
    (replayed,) = ReplayActor(tmp_path / "tape.jsonl").reply([PROMPT])
    assert type(live) is type(replayed)
    assert (type(replayed).__name__, str(replayed)) == (kind, str(live))


def test_a_cut_reply_with_a_whole_action_is_played_and_counted(asked):
    with OddServer(lambda number, request: chat(f"{GOLD}\nThat is", "length")) as server:
        env = RetroEnv(IdentityEnv(), actor=asked(server))
        env.reset(options={"task_id": "train-3-gold"})
        _, _, _, _, info = env.step("It is gold.")
    assert [turn["action"] for turn in info["trajectory"]["turns"]] == ["Say[blue]"]
    assert (env.stats.errors, env.stats.cut) == (0, env.stats.calls)


def test_an_empty_reply_may_be_an_accident(asked):
    with OddServer(lambda number, request: chat("" if number < 2 else "Say[blue]")) as server:
        assert asked(server, patience=5.0).reply([PROMPT]) == [Reply("Say[blue]")]


def test_an_error_in_a_choice_may_pass(asked):
    answers = [ODD["an error in the choice"][0], ODD["no choices beside an error"][0], chat("Say[blue]")]
    with OddServer(lambda number, request: answers[number]) as server:
        assert asked(server, patience=5.0).reply([PROMPT]) == [Reply("Say[blue]")]


# -- stop texts within the reasoning -----------------------------------------------------------------------------------


def stopped(number, request):
    """As a server that applies stop texts to the reasoning too, which restates an observation."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    if "stop" in request:
        return chat("", message={"reasoning": "I saw:"}, usage=usage)
    return chat(f"{GOLD}\nObservation 1: no", message={"reasoning": "I saw:\nObservation 1: x"}, usage=usage)


def stopped_in_tags(number, request):
    thought = (
        "<think>I saw:" if "stop" in request else f"<think>I saw:\nObservation 1: x</think>{GOLD}\nObservation 1: no"
    )
    return chat(thought, usage={"prompt_tokens": 10, "completion_tokens": 5})


def stopped_unseen(number, request):
    """As a server that shows no reasoning."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return chat("" if "stop" in request else GOLD, message={}, usage=usage)


def stopped_in_a_fragment(number, request):
    """As vLLM without a parser of reasoning, where the template has opened the tag."""
    usage, thought = {"prompt_tokens": 10, "completion_tokens": 5}, "I saw:\nObservation 1: x"
    if "stop" in request:
        return chat("I saw:", choice={"stop_reason": "\nObservation"}, usage=usage)
    return chat(f"{thought}</think>{GOLD}\nObservation 1: no", usage=usage)


@pytest.mark.parametrize("answer", [stopped, stopped_in_tags, stopped_in_a_fragment, stopped_unseen])
def test_a_stop_text_within_the_reasoning_is_left_out_from_then_on(answer, asked):
    with OddServer(answer) as server:
        actor = asked(server, patience=5.0)
        replies = [actor.reply([PROMPT])[0] for _ in range(2)]
    assert replies == [Reply(GOLD, 10, 5, "" if answer is stopped_unseen else "I saw:\nObservation 1: x")] * 2
    assert ["stop" in request for request in server.requests] == [True, False, False]
    assert {request["seed"] for request in server.requests} == {0}
    assert (actor.budget.spent.calls, actor.budget.spent.tokens) == (3, 45)


def test_each_server_is_remembered_by_itself(asked):
    with OddServer(stopped) as odd, OddServer(lambda number, request: chat("Say[blue]")) as plain:
        actor = asked(odd, base_url=[odd.base_url, plain.base_url], patience=5.0)
        for _ in range(4):
            actor.reply([PROMPT])
    assert ["stop" in request for request in odd.requests] == [True, False, False]
    assert ["stop" in request for request in plain.requests] == [True, True]


def test_what_the_second_call_would_cost_is_asked_of_the_budget(asked):
    with OddServer(stopped) as server:
        (error,) = asked(server, budget=Budget(calls=1)).reply([PROMPT])
    assert type(error).__name__ == "BudgetError"
    assert len(server.requests) == 1


@pytest.mark.parametrize("options", [{"send_stop": False}, {"extra_body": {"stop": ["x"]}}])
def test_stop_texts_that_are_not_the_prompts_own_stay_as_they_are(options, asked):
    with OddServer(lambda number, request: chat("", message={"reasoning": "Hm."})) as server:
        (error,) = asked(server, patience=5.0, **options).reply([PROMPT])
    assert "no text beside 3 characters of reasoning" in str(error)
    assert [request.get("stop") for request in server.requests] == [options.get("extra_body", {}).get("stop")] * 3


# -- keys --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["x", "none", "context", "maximum", "sk-no-key-required"])
def test_a_stand_in_for_a_key_hides_no_words_and_no_meaning(key, asked, monkeypatch):
    monkeypatch.setenv("SOME_KEY", key)
    said = f"none: the maximum context length is exceeded, extra {key}s and all"
    with OddServer(lambda number, request: (400, {"error": {"message": said}})) as server:
        (error,) = asked(server, api_key_env="SOME_KEY").reply([PROMPT])
    assert type(error).__name__ == "PromptTooLongError"
    assert f"length is exceeded, extra {key}s and all" in str(error)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_is_hidden_in_whatever_a_server_says(status, asked, monkeypatch):
    key = "sk-planted-0123456789"
    monkeypatch.setenv("SOME_KEY", key)
    for said in (key, key[:16], "x" * 275 + key):
        for body in ({"error": {"message": said}}, {"error": said}, {"odd": said}, said):
            with OddServer(lambda number, request, body=body: (status, body)) as server:
                (error,) = asked(server, api_key_env="SOME_KEY", patience=0.02).reply([PROMPT])
            assert "planted" not in str(error)


def test_a_token_in_a_url_is_hidden(asked):
    with OddServer(lambda number, request: (400, {"error": "no such token: abc-0123456789"})) as server:
        (error,) = asked(server, base_url=f"{server.base_url}?token=abc-0123456789").reply([PROMPT])
    assert "no such token: [key]" in str(error)
