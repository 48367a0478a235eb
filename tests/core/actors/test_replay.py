import copy
import pickle

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retro_gym.actors import Actor, CallableActor, ConcurrentActor, RecordingActor, ReplayActor, Reply
from retro_gym.actors.tape.cassette import CASSETTE
from retro_gym.errors import (
    ActorError,
    BudgetError,
    CassetteError,
    ConfigError,
    PromptTooLongError,
    RecordError,
)
from retro_gym.prompts import Prompt
from retro_gym.testing import IdentityEnv
from retro_gym.trajectory import Turn
from tests.core.tapes import KEY, PROMPTS, TURN, Counting, Server, Submitting, UsersError, calls, miss, prompt, rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "tape.jsonl"


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
    with pytest.raises(CassetteError, match=r"has 2 replies to the prompt of turn 1 .* requests one more"):
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
        "reply": {
            "text": "reply 0",
            "prompt_tokens": 10,
            "completion_tokens": 0,
            "reasoning": "because",
            "cut": False,
        },
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


def test_another_prompt_is_an_error_that_shows_the_nearest_and_where_they_part(path):
    RecordingActor(Counting(), path).reply([prompt(1), prompt(22), prompt(3, turns=(TURN,))])
    said = miss(path, prompt(23))
    assert "The most similar of the 3 prompts on it, in line 3, differs from it at character" in said
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
        (HEADER + "7\n", "line 2: 7 is not a call"),
        (HEADER + '{"key": "x"}\n', "line 2: .* is not a call"),
        (HEADER + CALL + '"reply": {"words": ""}}\n', "line 2: .* is not a call"),
        (HEADER + CALL.replace('"seed": 0', '"sed": 0') + '"reply": {"text": ""}}\n', "line 2: .* is not a call"),
        (HEADER + CALL + '"error": {"class": "ConfigError", "message": ""}}\n', "line 2: .* is not a call"),
        (HEADER + CALL + '"error": {"class": "did_you_mean", "message": ""}}\n', "line 2: .* is not a call"),
        (HEADER + CALL + '"error": {"class": "NoSuchError", "message": ""}}\n', "line 2: .* is not a call"),
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
    recording = RecordingActor(Submitting(), path)
    assert isinstance(pickle.loads(pickle.dumps(recording)), ConcurrentActor)
    assert isinstance(copy.deepcopy(recording), ConcurrentActor)


def test_closing_closes_the_actor_where_it_can_be(path):
    actor = Counting()
    actor.closed = 0
    actor.close = lambda: setattr(actor, "closed", actor.closed + 1)
    recording = RecordingActor(actor, path)
    recording.close()
    recording.close()
    assert actor.closed == 2
