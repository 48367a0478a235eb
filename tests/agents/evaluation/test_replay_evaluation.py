"""A whole evaluation is recorded against an unreliable, talkative server, and repeated with the server gone."""

from __future__ import annotations

import json
import random
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor

import pytest

from retro_gym.actors import RecordingActor, ReplayActor, Reply
from retro_gym.errors import ActorError
from retro_gym.records import read_records
from retro_gym.testing import IdentityActor
from retro_gym_agents.cli import main
from tests.core.untied import untied

KEY = "sk-planted-0123456789"


class Server(ThreadPoolExecutor):
    """Answers after a random while, now and then not at all, and never says the same twice."""

    def __init__(self):
        super().__init__(8)
        self.actor, self.calls = IdentityActor(), 0
        self.random, self.lock = random.Random(0), threading.Lock()

    def reply(self, prompts):
        return [future.result() for future in [self.submit(each) for each in prompts]]

    def submit(self, prompt):
        return super().submit(self._answer, prompt)

    def _answer(self, prompt):
        with self.lock:
            self.calls += 1
            number, delay = self.calls, self.random.random() / 500
        time.sleep(delay)
        if number % 25 == 0:
            return ActorError(f"401: key {KEY} was refused in call {number}")
        (reply,) = self.actor.reply([prompt])
        lucky = prompt.task if number % 7 == 0 else ""
        said = f"Say[{lucky.removeprefix('The word is ').rstrip('.')}]" if lucky else reply.text
        return Reply(f"Thought: {number}\nAction: {said}", len(prompt.text), number)


@pytest.fixture
def evaluate(tmp_path, monkeypatch):
    """Runs the command with an actor under one name, whoever that is."""
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    module = types.ModuleType("actor_of_test_replay")
    monkeypatch.setitem(sys.modules, module.__name__, module)

    def run(name, actor, seed=0):
        module.actor = actor
        words = ["evaluate", "RetroIdentity-v0", "--num-tasks", "50", "--seed", str(seed), "--max-error-rate", "0.5"]
        words += ["--reflector", "none", "oracle", "shuffled", "--actor", f"python:{module.__name__}:actor"]
        code = main([*words, "--json", str(tmp_path / f"{name}.json"), "--records", str(tmp_path / f"{name}.jsonl")])
        return code, tmp_path / f"{name}.json", tmp_path / f"{name}.jsonl"

    return run


def test_an_evaluation_replays_to_the_byte(evaluate, tmp_path, capsys):
    with Server() as server:
        code, live, live_records = evaluate("live", RecordingActor(server, tmp_path / "tape.jsonl"))
    assert code == 0
    assert server.calls > 100
    code, replayed, records = evaluate("replayed", ReplayActor(tmp_path / "tape.jsonl"))
    assert code == 0
    assert replayed.read_bytes() == live.read_bytes()
    # Rows are written as trials end, and calls in flight end in any order.
    assert untied(records) == untied(live_records)
    assert next(read_records(records, "header")) == next(read_records(live_records, "header"))
    assert "was refused in call" in live_records.read_text()
    policies = json.loads(live.read_text())["policies"]
    assert all(policy["actor_errors"] > 0 for policy in policies)
    assert len({str(policy["success_at_trial"]) for policy in policies}) > 1
    for path in tmp_path.iterdir():
        assert KEY not in path.read_text()
    said = capsys.readouterr()
    assert KEY not in said.out + said.err


def test_another_run_stops_with_one_line(evaluate, tmp_path, capsys):
    with Server() as server:
        evaluate("live", RecordingActor(server, tmp_path / "tape.jsonl"))
    capsys.readouterr()
    code, written, _ = evaluate("other", ReplayActor(tmp_path / "tape.jsonl"), seed=1)
    assert code == 2
    assert not written.exists()
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: ")
    assert "has no reply to the prompt of turn 1" in line
    assert "has the same text, but its seed is" in line
