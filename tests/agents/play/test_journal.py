"""An evaluation that was stopped goes on from its journal to the result of one that was not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from retro_gym.actors import Reply
from retro_gym.errors import ActorError, ConfigError, RecordError
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym.trajectory import EndReason
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.results import to_json
from retro_gym_agents.play.journal import Journal
from retro_gym_agents.play.policies import make_policy

ENV = "RetroIdentity-v0"
POLICIES = ("none", "noisy", "oracle")


class Stopping:
    """An actor that answers so many prompts, one at a time, and is then stopped by Ctrl-C; it counts tokens."""

    batch_size = 1

    def __init__(self, calls=10**9, actor=None):
        self.left, self.calls, self.actor = calls, 0, actor or IdentityActor()

    def reply(self, prompts):
        if self.left <= 0:
            raise KeyboardInterrupt
        self.left -= len(prompts)
        self.calls += len(prompts)
        return [
            Reply(reply.text, len(prompt.text), len(reply.text)) if isinstance(reply, Reply) else reply
            for prompt, reply in zip(prompts, self.actor.reply(prompts), strict=True)
        ]


def play(actor, journal=None, resume=False, policies=POLICIES, **fields):
    env_kwargs = {"actor": actor, **fields.pop("env_kwargs", {})}
    config = EvaluationConfig(ENV, **{"num_tasks": 6, "trials": 2, "seed": 3, "env_kwargs": env_kwargs, **fields})
    made = [make_policy(one) if isinstance(one, str) else one for one in policies]
    return json.dumps(to_json(evaluate_all(config, made, journal=journal, resume=resume)))


def flaky():
    return FlakyActor(IdentityActor(), lambda prompt: prompt.seed % 7 == 0)


@pytest.mark.parametrize(
    ("actor", "fields"),
    [
        (IdentityActor, {"num_tasks": 3, "seeds": 2}),
        (flaky, {}),
        (IdentityActor, {"num_tasks": 3, "env_kwargs": {"memory": "both"}}),
    ],
)
def test_stopped_anywhere_and_resumed_it_is_the_same_to_the_byte(tmp_path, actor, fields):
    fields = {"max_error_rate": 0.9, **fields}
    whole = Stopping(actor=actor())
    expected = play(whole, **fields)
    assert actor is IdentityActor or "no connection" in expected
    for calls in range(1, whole.calls, 3):
        journal = tmp_path / f"{calls}.jsonl"
        with pytest.raises(KeyboardInterrupt) as stop:
            play(Stopping(calls, actor()), journal, **fields)
        rows = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        finished = sum(row["kind"] == "trial" for row in rows)
        assert not finished or f"{finished} finished trials are kept in {journal}" in stop.value.__notes__[0]
        rest = Stopping(actor=actor())
        assert play(rest, journal, resume=True, **fields) == expected
        assert rest.calls == whole.calls - finished  # a trial is one call here, and none is made twice


def test_stopped_again_and_again(tmp_path):
    expected, stops = play(Stopping()), 0
    while True:
        try:
            result = play(Stopping(5), tmp_path / "journal.jsonl", resume=True)
            break
        except KeyboardInterrupt:
            stops += 1
    assert stops >= 5
    assert result == expected


def test_a_killed_process_leaves_all_that_had_ended(tmp_path):
    module = textwrap.dedent("""
        import os
        from retro_gym.testing import IdentityActor
        class Actor(IdentityActor):
            batch_size, left = 1, int(os.environ["LEFT"])
            def reply(self, prompts):
                self.left -= 1
                if self.left < 0:
                    os._exit(9)
                return super().reply(prompts)
        actor = Actor()
    """)
    (tmp_path / "actor_of_test_journal.py").write_text(module)

    def run(left, name, *words):
        path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "retro_gym_agents.cli", "evaluate", ENV, "--num-tasks", "8", "--trials", "2"]
        command += ["--reflector", "none", "--reflector", "oracle", "--actor", "python:actor_of_test_journal:actor"]
        command += ["--json", str(tmp_path / name), *words]
        env = {**os.environ, "PYTHONPATH": path, "LEFT": str(left)}
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    assert run(1_000, "whole.json").returncode == 0
    assert run(13, "stopped.json").returncode == 9
    assert not (tmp_path / "stopped.json").exists()
    kept = [json.loads(line)["kind"] for line in (tmp_path / "stopped.json.trials.jsonl").read_text().splitlines()]
    assert kept.count("trial") == 13
    again = run(1_000, "stopped.json")
    assert again.returncode == 2
    assert "holds 13 finished trials of an evaluation that did not end. Continue with --resume" in again.stderr
    assert run(1_000, "stopped.json", "--resume").returncode == 0
    assert (tmp_path / "stopped.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_torn_last_line_is_passed_over(tmp_path):
    expected, journal = play(Stopping()), tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    whole = journal.read_bytes()
    for kept in (len(whole) - 1, len(whole) - 40, whole.rindex(b"\n", 0, -1), 30, 0):
        journal.write_bytes(whole[:kept])
        assert play(Stopping(), journal, resume=True) == expected
        journal.write_bytes(whole[:kept])


def test_trials_of_several_turns_and_calls_in_flight(tmp_path):
    class Pool(ThreadPoolExecutor):
        """The scripted actor of HotpotQA, with eight calls at once; it cannot be reached after so many."""

        def __init__(self, calls):
            from retro_gym_agents.play.envs import make_retro_env

            super().__init__(8)
            self.actor, self.left = make_retro_env("RetroHotpotQA-v0").actor, calls

        def reply(self, prompts):
            return [future.result() for future in [self.submit(each) for each in prompts]]

        def submit(self, prompt):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().submit(lambda: self.actor.reply([prompt])[0])

    def result(calls, *journal, **more):
        with Pool(calls) as actor:
            config = EvaluationConfig("RetroHotpotQA-v0", num_tasks=12, trials=2, env_kwargs={"actor": actor})
            policies = [make_policy(name) for name in ("noisy", "shuffled")]
            found = evaluate_all(config, policies, journal=tmp_path / journal[0] if journal else None, **more)
            return to_json(found), calls - actor.left

    expected, calls = result(10_000)
    for stop in (calls // 3, calls // 2, calls - 3):
        with pytest.raises(KeyboardInterrupt):
            result(stop, str(stop))
        again, made = result(10_000, str(stop), resume=True)
        assert again == expected
        assert made < calls


def test_tasks_that_were_lost_are_tried_again(tmp_path):
    journal, expected = tmp_path / "journal.jsonl", play(Stopping())
    lost = play(
        Stopping(actor=FlakyActor(IdentityActor(), lambda prompt: "red" in prompt.task)), journal, max_error_rate=0.9
    )
    assert json.loads(lost)["policies"][0]["actor_errors"] > 0
    rest = Stopping()
    assert json.loads(play(rest, journal, resume=True, max_error_rate=0.9)) == json.loads(expected)
    done = Stopping()
    assert play(done, journal, resume=True) == expected
    assert done.calls == 0
    assert journal.read_text().splitlines()[-1] == '{"kind": "end"}'


def test_a_server_that_comes_back_later_in_the_evaluation(tmp_path):
    journal, expected = tmp_path / "journal.jsonl", play(Stopping())
    down = FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections))
    play(Stopping(actor=down), journal, max_error_rate=0.9)
    assert play(Stopping(), journal, resume=True) == expected


def test_an_evaluation_that_has_ended_is_begun_anew(tmp_path):
    journal = tmp_path / "journal.jsonl"
    play(Stopping(), journal)
    again = Stopping()
    play(again, journal, seed=4)
    assert again.calls > 6
    assert sum(json.loads(line)["kind"] == "header" for line in journal.read_text().splitlines()) == 1


def test_one_that_did_not_end_is_not_written_over(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    before = journal.read_bytes()
    with pytest.raises(ConfigError, match="holds 9 finished trials of an evaluation that did not end"):
        play(Stopping(), journal)
    assert journal.read_bytes() == before


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"seed": 4}, "seed was 3 and is 4"),
        ({"trials": 3}, "trials was 2 and is 3"),
        ({"seeds": 2}, "seeds was 1 and is 2"),
        ({"num_tasks": 5}, "tasks was '6, "),
        ({"env_kwargs": {"words": ("red", "blue")}}, "env_kwargs was {} and is {'words': \\['red', 'blue'\\]}"),
        ({"env_kwargs": {"memory": "both"}}, "env_kwargs was {} and is {'memory': 'both'}"),
        ({"split": "validation"}, "split was 'test' and is 'validation'"),
    ],
)
def test_other_settings_are_refused_and_named(tmp_path, other, told):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    with pytest.raises(ConfigError, match=told):
        play(Stopping(), journal, resume=True, **other)
    play(Stopping(), journal, resume=True, max_error_rate=0.5)  # no trial depends on that


def test_what_is_no_journal_is_named(tmp_path):
    journal = tmp_path / "journal.jsonl"
    for text, line in (("[]\n", 1), ('{"kind": "trial"}\n', 1), ("no JSON\n", 1)):
        journal.write_text(text)
        for resume in (False, True):
            with pytest.raises(RecordError, match=f"line {line}: "):
                play(Stopping(), journal, resume=resume)
        assert journal.read_text() == text
    journal.unlink()
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([*lines[:2], '{"kind": "trial", "policy": null, "trajectory": {}}\n', *lines[2:]]))
    with pytest.raises(RecordError, match=r"line 3: .*trajectory"):
        play(Stopping(), journal, resume=True)


def test_a_model_is_not_asked_twice_and_its_tokens_add_up(tmp_path, small_model):
    expected = play(Stopping(), policies=[make_policy(str(small_model)), "none"])
    read, written = json.loads(expected)["policies"][0]["reflector_tokens"]
    assert read > written > 0
    for calls in (8, 11, 15):
        journal = tmp_path / f"{calls}.jsonl"
        with pytest.raises(KeyboardInterrupt):
            play(Stopping(calls), journal, policies=[make_policy(str(small_model)), "none"])
        policy = make_policy(str(small_model))
        assert play(Stopping(), journal, resume=True, policies=[policy, "none"]) == expected
        assert policy.prompt_tokens < read
        other = [make_policy(str(small_model), greedy=True), "none"]
        with pytest.raises(ConfigError, match=r"reflector '.*' was \{'greedy': False.* and is \{'greedy': True"):
            play(Stopping(), journal, resume=True, policies=other)


def test_a_model_of_other_weights_is_not_taken_for_the_one_that_was_asked(tmp_path, small_model):
    folder = shutil.copytree(small_model, tmp_path / "model")
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(11), journal, policies=[make_policy(str(folder)), "none"])
    weights = folder / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    with pytest.raises(ConfigError, match=r"reflector '.*' was .*'weights': "):
        play(Stopping(), journal, resume=True, policies=[make_policy(str(folder)), "none"])


def test_a_reflector_that_cannot_be_loaded_is_known_before_the_actor_is_asked(tmp_path):
    actor = Stopping()
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="broken"):
        play(actor, tmp_path / "journal.jsonl", policies=["none", make_policy(str(broken))])
    assert actor.calls == 0
    assert not (tmp_path / "journal.jsonl").exists()


def test_other_reflectors_may_join_when_it_goes_on(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal, policies=["none"])
    actor = Stopping()
    assert play(actor, journal, resume=True, policies=["oracle", "none"]) == play(
        Stopping(), policies=["oracle", "none"]
    )
    assert actor.calls < 6 + 2 * 6 + 6  # trial 0 was not played again


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_evaluations_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "journal.jsonl"
    first = Journal(path, {"seed": 1}, {}, resume=False)
    second = Journal(path, {"seed": 2}, {}, resume=False)
    with first:
        first.add_reflections("none", 1, {("a", 0): "text"}, (1, 2))
        with pytest.raises(ConfigError, match="is being written by another evaluation"), second:
            second.add_reflections("none", 1, {("a", 0): "other"}, (1, 2))
        with pytest.raises(ConfigError, match="is being written by another evaluation"):
            Journal(path, {"seed": 1}, {}, resume=True)
        first.add_reflections("none", 2, {("a", 0): "more"}, (1, 2))
    with Journal(path, {"seed": 1}, {}, resume=True) as again:
        assert again.reflections("none", 2) == {("a", 0): "more"}
        assert again.tokens("none") == (2, 4)


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("trial", {"stats": {"calls": "3"}}),
        ("trial", {"stats": {"calls": None}}),
        ("trial", {"stats": []}),
        ("trial", {"seed": "3"}),
        ("reflections", {"written": [{"task_id": "a", "seed": 0, "text": 3, "generation": None}]}),
        ("reflections", {"written": [{"task_id": "a", "text": "?", "generation": None}]}),
        ("reflections", {"tokens": [1, 2, 3]}),
        ("reflections", {"tokens": "12"}),
        ("header", {"settings": None}),
        ("reflector", {"settings": 3}),
    ],
)
def test_a_damaged_line_is_named(tmp_path, kind, damage):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        play(Stopping(9), journal)
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    number = next(number for number, row in enumerate(rows, start=1) if row["kind"] == kind)
    rows[number - 1] |= damage
    journal.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(RecordError, match=f"line {number}: .*Delete the file"):
        play(Stopping(), journal, resume=True)


def test_nothing_is_written_before_a_trial_has_ended(tmp_path):
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt) as stop:
        play(Stopping(0), journal)
    assert not journal.exists()
    assert not hasattr(stop.value, "__notes__")


def test_a_stored_first_trial_must_be_one():
    import gymnasium as gym

    from retro_gym.trajectory import Trajectory

    env = gym.make(ENV).unwrapped
    first = Trajectory("test-0-red", 0, "The word is red.", (), 0.0, False, EndReason.FAILED)
    observation, info = env.reset(seed=0, options={"trajectory": first})
    assert "The word is red." in observation
    assert (info["task_id"], info["success"], info["skipped"]) == ("test-0-red", False, 0)
    assert env.step("red")[1] == 1.0
    late = Trajectory("test-0-red", 1, "", (), 0.0, False, EndReason.FAILED)
    void = Trajectory("test-0-red", 0, "", (), 0.0, False, EndReason.ACTOR_ERROR, error=str(ActorError("down")))
    for wrong in (late, void, {}, "red"):
        with pytest.raises(ConfigError, match="of a trial 0 that is not void"):
            env.reset(options={"trajectory": wrong})
    env.close()
