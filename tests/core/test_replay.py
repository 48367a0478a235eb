import copy
import json
import pickle
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retro_gym.actors import Actor, CallableActor, ConcurrentActor, RecordingActor, ReplayActor, Reply
from retro_gym.actors.tape import CASSETTE
from retro_gym.errors import (
    ActorError,
    BudgetError,
    CassetteError,
    ConfigError,
    PromptTooLongError,
    RecordError,
)
from retro_gym.prompts import Prompt
from retro_gym.scheduling import ActorStats, run_trials
from retro_gym.testing import EchoActor, IdentityEnv, LuckyActor
from retro_gym.trajectory import Turn
from retro_gym.trial import play_trial

TURN = Turn("I should look.", "Search[Velmora]", "Velmora is a town.", 0.5, "Hm.")
KEY = "sk-planted-0123456789"


def prompt(number=0, seed=0, turns=()):
    return Prompt("Answer.", ("an example",), (), f"Question {number}: Where?", turns, seed=seed)


PROMPTS = [prompt(number, seed=number) for number in range(4)]


class Counting:
    """Says something new at every call, whatever it is asked."""

    def __init__(self):
        self.calls = 0

    def reply(self, prompts):
        self.calls += len(prompts)
        first = self.calls - len(prompts)
        return [Reply(f"reply {first + number}", 10 + number, number, "because") for number in range(len(prompts))]


class Server(ThreadPoolExecutor):
    """Answers after a random while: calls overtake each other."""

    def __init__(self, answer, workers=8):
        super().__init__(workers)
        self.answer = answer
        self.random = random.Random(0)

    def reply(self, prompts):
        return [future.result() for future in [self.submit(each) for each in prompts]]

    def submit(self, prompt):
        delay = self.random.random() / 200
        return super().submit(lambda: time.sleep(delay) or self.answer(prompt))


class UsersError(PromptTooLongError):
    pass


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "tape.jsonl"


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(path):
    return [row for row in rows(path) if "cassette" not in row]


# -- what was recorded is played back ------------------------------------------------------------------------------


def test_the_same_prompts_get_the_same_replies_in_any_order(path):
    recording = RecordingActor(Counting(), path)
    live = recording.reply(PROMPTS[:3]) + recording.reply(PROMPTS[3:])
    assert live[2] == Reply("reply 2", 12, 2, "because")
    replay = ReplayActor(path)
    assert len(replay) == 4
    assert [replay.reply([PROMPTS[number]])[0] for number in (3, 1, 0, 2)] == [live[number] for number in (3, 1, 0, 2)]


def test_a_prompt_asked_again_gets_its_replies_in_order_and_then_none(path):
    recording = RecordingActor(Counting(), path)
    live = [recording.reply([PROMPTS[0]])[0], recording.reply([PROMPTS[1]])[0], recording.reply([PROMPTS[0]])[0]]
    replay = ReplayActor(path)
    assert replay.reply([PROMPTS[0]]) == [live[0]]
    assert replay.reply([PROMPTS[0], PROMPTS[1]]) == [live[2], live[1]]
    with pytest.raises(CassetteError, match=r"has 2 replies to the prompt of turn 1 .* asked once more"):
        replay.reply([PROMPTS[0]])


def test_the_tape_holds_what_the_model_was_shown_and_nothing_else(path):
    RecordingActor(Counting(), path).reply([prompt(7, seed=3, turns=(TURN,))])
    header, call = rows(path)
    assert header == {"cassette": CASSETTE, "parameters": {}}
    assert call.pop("key")
    shown = prompt(7, seed=3, turns=(TURN,)).text
    assert call == {
        "asked": 0,
        "prompt": {"text": shown, "stop": ["\nObservation"], "seed": 3},
        "reply": {"text": "reply 0", "prompt_tokens": 10, "completion_tokens": 0, "reasoning": "because"},
    }
    assert "Hm." not in path.read_text()  # reasoning of earlier turns is in no prompt


def test_an_actor_that_is_shown_messages_has_messages_on_its_tape(path):
    actor = CallableActor(lambda prompts: ["Finish[x]" for _ in prompts])
    actor.parameters = {"shape": "chat", "model": "m", "temperature": 0.5, "base_url": "somewhere", "api_key": KEY}
    asked = prompt(turns=(TURN,))
    live = RecordingActor(actor, path).reply([asked, PROMPTS[1]])
    header, first, _ = rows(path)
    assert header["parameters"] == {"model": "m", "shape": "chat", "temperature": 0.5}
    assert first["prompt"]["messages"] == asked.messages("chat")
    replay = ReplayActor(path)
    assert replay.parameters == header["parameters"]
    assert replay.reply([PROMPTS[1], asked]) == live[::-1]
    with pytest.raises(CassetteError, match=r"after '.*Thought 1: I should ' the tape has 'look\..*this run 'wait"):
        ReplayActor(path).reply([prompt(turns=(Turn("I should wait.", TURN.action, TURN.observation),))])


@given(st.text(), st.integers(0, 2**63 - 1))
@example("lone surrogate \ud800, \u2028, 反省 🙂", 0)
def test_any_text_and_seed_come_back(tmp_path_factory, text, seed):
    path = tmp_path_factory.mktemp("tapes") / "tape.jsonl"
    asked = Prompt("Answer.", (), (), text, (), seed=seed)
    live = RecordingActor(CallableActor(lambda prompts: [Reply(text, reasoning=text)]), path).reply([asked])
    assert ReplayActor(path).reply([asked]) == live


@pytest.mark.parametrize(
    ("raised", "replayed"),
    [
        (ActorError("down"), ActorError),
        (PromptTooLongError("900 tokens"), PromptTooLongError),
        (BudgetError("spent"), BudgetError),
        (UsersError("900 tokens"), PromptTooLongError),
    ],
)
def test_errors_are_replayed_as_errors(path, raised, replayed):
    def down(prompts):
        raise raised

    mixed = CallableActor(lambda prompts: [raised, *(Reply("fine") for _ in prompts[1:])])
    RecordingActor(mixed, path).reply(PROMPTS[:2])
    RecordingActor(CallableActor(down), path).reply(PROMPTS[2:])
    first, second, third, fourth = ReplayActor(path).reply(PROMPTS)
    assert second == Reply("fine")
    for error in (first, third, fourth):
        assert type(error) is replayed
        assert str(error) == str(raised)


def test_a_bug_in_the_actor_passes_and_is_not_recorded(path):
    def broken(prompts):
        raise KeyError("typo")

    with pytest.raises(KeyError):
        RecordingActor(CallableActor(broken), path).reply(PROMPTS)
    with pytest.raises(ConfigError, match="1 replies to 4 prompts"):
        RecordingActor(CallableActor(lambda prompts: ["one"]), path).reply(PROMPTS)
    assert not path.exists()


# -- what is not on the tape ---------------------------------------------------------------------------------------


def miss(path, asked):
    with pytest.raises(CassetteError) as caught:
        ReplayActor(path).reply([asked])
    return str(caught.value)


def test_another_prompt_is_an_error_that_shows_the_nearest_and_where_they_part(path):
    RecordingActor(Counting(), path).reply([prompt(1), prompt(22), prompt(3, turns=(TURN,))])
    said = miss(path, prompt(23))
    assert "The nearest of the 3 prompts on it, in line 3, parts from it at character" in said
    assert "in line 9 of the text" in said
    assert "Question 2' the tape has '2: Where?\\n' and this run '3: Where?\\n'" in said
    assert "on 'Question 23: Where?'" in said
    assert "record it again" in said


def test_another_seed_or_stop_text_is_named(path):
    RecordingActor(Counting(), path).reply([prompt(1, seed=5)])
    assert "has the same text, but its seed is 5 and this run's is 6" in miss(path, prompt(1, seed=6))
    other = Prompt("Answer.", ("an example",), (), "Question 1: Where?", (), seed=6, stop=("\n",))
    assert "its stop is ['\\nObservation'] and this run's is ['\\n'] and its seed is 5" in miss(path, other)


def test_it_goes_through_a_run_instead_of_truncating_an_episode(path):
    import gymnasium as gym

    def play(actor, reflection):
        env = gym.make("RetroIdentity-v0", actor=actor)
        env.reset(seed=0)
        return env.step(reflection)

    live = play(RecordingActor(IdentityEnv().scripted_actor(), path), "blue")
    assert play(ReplayActor(path), "blue") == live
    with pytest.raises(CassetteError, match="this run 'red"):
        play(ReplayActor(path), "red")
    assert not issubclass(CassetteError, ActorError)


def test_a_tape_without_calls_says_so(path):
    path.parent.mkdir()
    path.write_text('{"cassette": 1, "parameters": {}}\n')
    assert len(ReplayActor(path)) == 0
    assert "has no reply to the prompt of turn 1" in miss(path, PROMPTS[0])
    assert "holds no call" in miss(path, PROMPTS[0])


# -- files ---------------------------------------------------------------------------------------------------------


def test_recordings_that_follow_each_other_share_a_tape(path):
    recording = RecordingActor(Counting(), path)
    first = recording.reply(PROMPTS[:2])
    recording.close()
    second = RecordingActor(Counting(), path).reply([PROMPTS[1], PROMPTS[0]])
    third = recording.reply(PROMPTS[2:3])  # opens the file again
    assert [("cassette" in row) for row in rows(path)] == [True, False, False, True, False, False, False]
    replay = ReplayActor(path)
    assert replay.reply(PROMPTS[:2]) == first
    assert replay.reply(PROMPTS[:2]) == second[::-1]
    assert replay.reply(PROMPTS[2:3]) == third


def test_a_torn_last_line_is_repaired(path):
    recording = RecordingActor(Counting(), path)
    live = recording.reply(PROMPTS[:2])
    recording.close()
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for torn in (last + 1, last + 30, len(whole) - 1):
        path.write_bytes(whole[:torn])
        assert ReplayActor(path).reply(PROMPTS[:1]) == live[:1]
        again = RecordingActor(Counting(), path).reply(PROMPTS[1:2])
        assert ReplayActor(path).reply(PROMPTS[:2]) == [live[0], *again]
    path.write_bytes(whole[:5])  # not even the header
    RecordingActor(Counting(), path).reply(PROMPTS[:1])
    assert len(ReplayActor(path)) == 1


HEADER = '{"cassette": 1, "parameters": {}}\n'
CALL = '{"key": "x", "asked": 0, "prompt": {"text": "", "stop": [], "seed": 0}, '


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema": 1, "kind": "trial"}\n', "line 1: .* is not the header of a tape"),
        ('{"cassette": 99, "parameters": {}}\n', "not the header of a tape of version 1"),
        ("[]\n", "not the header"),
        ("nonsense\n", "line 1: not JSON"),
    ],
)
def test_a_file_that_is_no_tape_is_neither_played_nor_written_to(path, content, said):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(RecordError, match=said):
        ReplayActor(path)
    with pytest.raises(RecordError, match=said):
        RecordingActor(Counting(), path)
    assert path.read_text() == content


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER + "7\n", "line 2: 7 is no call"),
        (HEADER + '{"key": "x"}\n', "line 2: .* is no call"),
        (HEADER + CALL + '"reply": {"words": ""}}\n', "line 2: .* is no call"),
        (HEADER + CALL.replace('"seed": 0', '"sed": 0') + '"reply": {"text": ""}}\n', "line 2: .* is no call"),
        (HEADER + CALL + '"error": {"class": "ConfigError", "message": ""}}\n', "line 2: .* is no call"),
        (HEADER + CALL + '"error": {"class": "did_you_mean", "message": ""}}\n', "line 2: .* is no call"),
        (HEADER + CALL + '"error": {"class": "NoSuchError", "message": ""}}\n', "line 2: .* is no call"),
        (HEADER + HEADER.replace("1", "2"), "line 2: .* is not the header"),
    ],
)
def test_a_damaged_tape_is_refused(path, content, said):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(RecordError, match=said):
        ReplayActor(path)


def test_a_tape_that_is_not_there_is_a_clear_error(path):
    with pytest.raises(RecordError, match="Give the path of a tape"):
        ReplayActor(path)


def test_nothing_is_opened_before_the_first_reply(path):
    RecordingActor(Counting(), path).close()
    assert not path.parent.exists()


# -- protocols, copies -----------------------------------------------------------------------------------------------


def test_it_can_do_what_the_actor_can(path):
    plain, batched = RecordingActor(Counting(), path), Counting()
    assert isinstance(plain, Actor)
    assert not isinstance(plain, ConcurrentActor)
    assert plain.batch_size is None
    batched.batch_size = 16
    assert RecordingActor(batched, path).batch_size == 16
    with Server(lambda prompt: Reply("x")) as server:
        recording = RecordingActor(server, path)
        assert isinstance(recording, ConcurrentActor)
        assert isinstance(recording, RecordingActor)
        assert recording.submit(PROMPTS[0]).result(10) == Reply("x")
        assert recording.reply(PROMPTS[1:]) == [Reply("x")] * 3
    assert ReplayActor(path).reply(PROMPTS) == [Reply("x")] * 4
    assert not isinstance(ReplayActor(path), ConcurrentActor)


def test_copies_of_a_recorder_write_to_one_tape(path):
    recording = RecordingActor(Counting(), path)
    twin, pickled = copy.deepcopy(recording), pickle.loads(pickle.dumps(recording))
    assert twin.actor is not recording.actor
    live = recording.reply(PROMPTS[:1]) + twin.reply(PROMPTS[:1]) + pickled.reply(PROMPTS[1:2])
    assert isinstance(pickled, RecordingActor)
    assert live[0] == live[1]  # each counts for itself
    assert [call["asked"] for call in calls(path)] == [0, 1, 0]
    assert len(ReplayActor(path)) == 3


def test_copies_of_a_replay_play_the_tape_once_and_pickled_ones_go_on(path):
    live = RecordingActor(Counting(), path).reply([PROMPTS[0]] * 3)
    replay = ReplayActor(path)
    assert copy.deepcopy(replay).reply([PROMPTS[0]]) == live[:1]
    pickled = pickle.loads(pickle.dumps(replay))
    assert replay.reply([PROMPTS[0]]) == live[1:2]
    assert pickled.reply([PROMPTS[0]]) == live[1:2]


def test_a_concurrent_recorder_pickles_as_one(path):
    # The server double holds threads and does not pickle, as no connection does; a bare one stands in for it.
    recording = RecordingActor(_Submitting(), path)
    assert isinstance(pickle.loads(pickle.dumps(recording)), ConcurrentActor)
    assert isinstance(copy.deepcopy(recording), ConcurrentActor)


class _Submitting(Counting):
    def submit(self, prompt):
        future = Future()
        future.set_result(self.reply([prompt])[0])
        return future


def test_closing_closes_the_actor_where_it_can_be(path):
    actor = Counting()
    actor.closed = 0
    actor.close = lambda: setattr(actor, "closed", actor.closed + 1)
    recording = RecordingActor(actor, path)
    recording.close()
    recording.close()
    assert actor.closed == 2


# -- many calls in flight ----------------------------------------------------------------------------------------------


def play(actor, tasks=12, trials=3):
    """Trials of several turns side by side, some of them the same."""
    env = IdentityEnv()
    env.max_turns = 4
    env.step = lambda action: (f"You said {action}.", 0.0, False, False, {"success": False})
    plans = [
        play_trial(env, f"test-{task}-red", trial=trial, seed=task, reflections=[f"note {trial}"])
        for task in range(tasks)
        for trial in range(trials)
    ]
    stats = ActorStats()
    played = [trajectory.to_json() for trajectory in run_trials(plans, actor, stats)]
    stats.seconds = 0.0
    return played, stats


def test_a_run_with_calls_in_flight_replays_whatever_came_back_first(path):
    lock, said = threading.Lock(), iter(range(10**6))

    def answer(prompt):  # a server that never says the same twice
        with lock:
            number = next(said)
        return ActorError(f"down {number}") if number % 50 == 49 else Reply(f"Action: Say[{number}]", 5, number)

    with Server(answer) as server:
        live = play(RecordingActor(server, path))
    assert [call["asked"] for call in calls(path)] != sorted(call["asked"] for call in calls(path))
    assert play(ReplayActor(path)) == live
    replay = ReplayActor(path)
    replay.batch_size = 1  # another order of asking
    assert play(replay) == live


def test_a_batched_actor_replays_in_any_batches(path):
    actor = LuckyActor({"Action: Say[red]": 0.5, "Action: Say[blue]": 0.5})
    actor.batch_size = 5
    live = play(RecordingActor(actor, path))
    for size in (None, 1, 7):
        replay = ReplayActor(path)
        replay.batch_size = size
        assert play(replay) == live


def test_repeated_prompts_in_flight_are_told_apart_by_the_order_of_asking(path):
    futures = [Future() for _ in range(3)]
    recording = RecordingActor(_Manual(futures), path)
    asked = [recording.submit(PROMPTS[0]) for _ in futures]
    for number in (2, 0, 1):
        futures[number].set_result(Reply(f"reply {number}"))
    assert [future.result(1).text for future in asked] == ["reply 0", "reply 1", "reply 2"]
    assert [reply.text for reply in ReplayActor(path).reply([PROMPTS[0]] * 3)] == ["reply 0", "reply 1", "reply 2"]


class _Manual(Counting):
    def __init__(self, futures):
        super().__init__()
        self.futures = iter(futures)

    def submit(self, prompt):
        return next(self.futures)


def test_futures_that_fail_or_are_cancelled(path):
    futures = [Future() for _ in range(5)]
    recording = RecordingActor(_Manual(futures), path)
    asked = [recording.submit(each) for each in [*PROMPTS, PROMPTS[0]]]
    futures[0].set_exception(BudgetError("spent"))  # a future may raise its error instead of giving it
    assert isinstance(asked[0].result(1), BudgetError)
    futures[1].set_exception(KeyError("typo"))
    with pytest.raises(KeyError):
        asked[1].result(1)
    futures[2].set_result("not a reply")
    with pytest.raises(ConfigError):
        asked[2].result(1)
    assert asked[3].cancel()
    assert futures[3].cancelled()
    assert futures[4].set_running_or_notify_cancel()
    assert asked[4].cancel()  # too late for the server: its answer is dropped
    futures[4].set_result(Reply("late"))
    assert [call.get("error") for call in calls(path)] == [{"class": "BudgetError", "message": "spent"}]


def test_a_tape_that_cannot_be_written_reaches_whoever_waits(tmp_path):
    (tmp_path / "file").write_text("")
    recording = RecordingActor(_Submitting(), tmp_path / "file" / "tape.jsonl")
    with pytest.raises(RecordError, match="Give a path that can be written"):
        recording.submit(PROMPTS[0]).result(1)
    with pytest.raises(RecordError):
        recording.reply(PROMPTS)


# -- secrets -------------------------------------------------------------------------------------------------------


class Leaky:
    """An actor whose errors and replies say the key that it was made with."""

    def __init__(self, key, attribute):
        setattr(self, attribute, key)
        self.said = [ActorError(f"401: wrong key {key}!"), Reply(f"It is {key}.", reasoning=key), Reply("x")]
        self.parameters = {"model": f"m {key}", "api_key": key, "temperature": 0.0, "extra": {"key": key}}

    def reply(self, prompts):
        return self.said

    def __repr__(self):
        return f"Leaky({vars(self)})"


@pytest.mark.parametrize("attribute", ["_api_key", "hidden"])
def test_a_planted_key_is_nowhere(path, monkeypatch, attribute):
    if attribute == "hidden":  # then it is known by the environment alone
        monkeypatch.setenv("PLANTED_API_KEY", KEY)
    asked = [*PROMPTS[:2], Prompt("Answer.", (), (KEY,), f"Task of {KEY}", (), seed=0)]
    recording = RecordingActor(Leaky(KEY, attribute), path)
    live = recording.reply(asked)
    assert KEY not in path.read_text()
    assert "401: wrong key [masked]!" in path.read_text()
    assert rows(path)[0]["parameters"] == {"model": "m [masked]", "temperature": 0.0}
    assert KEY not in repr(recording)
    assert KEY not in repr(live)  # the run sees what its replay will see
    replay = ReplayActor(path)
    assert repr(replay.reply(asked)) == repr(live)


def test_a_planted_key_is_in_no_traceback_of_a_mismatch(path, monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    RecordingActor(EchoActor("x"), path).reply(PROMPTS)
    assert KEY not in miss(path, Prompt("Answer.", (), (KEY,), f"Task of {KEY}", (), seed=0))


def test_a_key_inside_a_wrapped_actor_is_masked(path):
    inner = Leaky(KEY, "token")
    RecordingActor(SimpleNamespace(actor=SimpleNamespace(actor=inner), reply=inner.reply), path).reply(PROMPTS[:3])
    assert KEY not in path.read_text()


def test_a_stand_in_for_a_key_tears_no_holes(path, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", "Where")
    monkeypatch.setenv("OTHER_TOKEN", "")
    monkeypatch.setenv("MONKEY_BUSINESS", "Question")
    RecordingActor(EchoActor("Where?"), path).reply(PROMPTS)
    assert "[masked]" not in path.read_text()
