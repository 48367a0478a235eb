import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from retro_gym.actors import RecordingActor, ReplayActor, Reply
from retro_gym.errors import (
    ActorError,
    BudgetError,
    ConfigError,
    RecordError,
)
from retro_gym.prompts import Prompt
from retro_gym.scheduling import ActorStats, run_trials
from retro_gym.testing import EchoActor, IdentityEnv, LuckyActor
from retro_gym.trial import play_trial
from tests.core.tapes import KEY, PROMPTS, Counting, Server, Submitting, calls, miss, rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "tape.jsonl"


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
    recording = RecordingActor(Submitting(), tmp_path / "file" / "tape.jsonl")
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
