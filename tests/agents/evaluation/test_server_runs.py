"""Training and evaluation against an OpenAI-compatible server: one that dies, costs, fails, or is gone."""

import json
import threading
import time

import pytest
import torch

from retro_gym.actors import make_actor
from retro_gym.adapting import as_task_env
from retro_gym.errors import BudgetError, CheckpointError
from retro_gym.testing.faults import PASSING_FAULTS, Faults
from retro_gym.testing.server import ServerThread
from retro_gym_agents.algorithms import reinforce
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.cli import main
from tests.core.untied import untied

ENV = "RetroHotpotQA-v0"
KEY = "sk-planted-9876543210"


@pytest.fixture(scope="module")
def scripted():
    task_env = as_task_env("HotpotQA-v0")
    return make_actor("scripted", task_env)


def config(output, **fields):
    defaults = {
        "env_id": ENV,
        "env_kwargs": {"max_reflections": 2},
        "output": output,
        "updates": 4,
        "num_prompts": 3,
        "group_size": 2,
        "checkpoint_every": 100,
    }
    return ReinforceConfig(**{**defaults, **fields})


def through(url, **options):
    return {"actor": "openai:any", "actor_kwargs": {"base_url": url, "retry_wait": 0.05, **options}}


def learned(folder):
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    weights = {name: weight.numpy().tobytes() for name, weight in checkpoint["adapter"].items()}
    own = ("prompt_tokens", "completion_tokens")  # a server counts its tokens in its own way
    return checkpoint["update"], weights, untied(folder / "records.jsonl", without=own)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    reinforce.train(config(folder))
    return learned(folder)


def test_a_server_makes_the_same_run_as_its_actor_alone(scripted, tmp_path, undisturbed):
    with ServerThread(scripted) as server:
        reinforce.train(config(tmp_path / "run", **through(server.base_url)))
    update, weights, rows = learned(tmp_path / "run")
    assert (update, weights) == undisturbed[:2]
    assert sorted(rows) == sorted(undisturbed[2])


def test_a_server_that_is_killed_and_comes_back_costs_nothing(scripted, tmp_path, undisturbed):
    server = ServerThread(scripted, latency=0.005).start()

    def kill():
        while server.counts["replies"] < 20:
            time.sleep(0.005)
        server.stop()
        time.sleep(1.0)
        server.start()

    killer = threading.Thread(target=kill)
    killer.start()
    reinforce.train(config(tmp_path / "run", **through(server.base_url, patience=30.0)))
    killer.join()
    server.stop()
    assert learned(tmp_path / "run")[:2] == undisturbed[:2]


def test_passing_faults_change_no_run(scripted, tmp_path, undisturbed):
    with ServerThread(scripted, faults=Faults.mixed(0.3, PASSING_FAULTS, seed=1)) as server:
        reinforce.train(config(tmp_path / "run", **through(server.base_url)))
        assert server.counts["requests"] > server.counts["replies"]
    assert learned(tmp_path / "run")[:2] == undisturbed[:2]


def test_a_budget_stops_a_run_that_then_goes_on(scripted, tmp_path, undisturbed):
    with ServerThread(scripted) as server:
        with pytest.raises(BudgetError, match="the budget of calls is spent"):
            reinforce.train(config(tmp_path / "run", **through(server.base_url, budget={"calls": 150})))
        assert server.counts["replies"] <= 150
        stopped = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["update"]
        assert 0 < stopped < 4  # what was made until then is there, although no checkpoint was due
        reinforce.train(config(tmp_path / "run", resume=True, **through(server.base_url)))
    update, weights, rows = learned(tmp_path / "run")
    assert (update, weights) == undisturbed[:2]
    assert sorted(rows) == sorted(undisturbed[2])  # none is lost, and none stands there twice


def run(capsys, *words):
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_server_that_never_was_is_one_error_in_time_and_the_run_can_be_resumed(scripted, tmp_path, capsys):
    with ServerThread(scripted) as server:
        url = server.base_url
    words = ["train", ENV, "--output", tmp_path / "run", "--updates", 1, "--num-prompts", 2, "--group-size", 2]
    words += ["--actor", "openai:any", "--base-url", url, "--actor-kwargs", '{"patience": 1.0}']
    start = time.monotonic()
    code, _, error = run(capsys, *words)
    assert time.monotonic() - start < 10
    assert code == 2
    assert [line for line in error.splitlines() if line.startswith("error:")] == error.splitlines()[-1:]
    assert url in error
    assert "Start the server" in error
    with ServerThread(scripted, port=int(url.split(":")[2].split("/")[0])):
        code, _, _ = run(capsys, *words, "--resume")
    assert code == 0


def test_a_recorded_evaluation_replays_with_the_server_gone(scripted, tmp_path, capsys, monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    words = ["evaluate", ENV, "--num-tasks", 50, "--trials", 2, "--reflector", "none", "noisy", "oracle", "--seed", 3]
    live, again, tape = tmp_path / "live.json", tmp_path / "again.json", tmp_path / "tape.jsonl"
    with ServerThread(scripted, api_key=KEY) as server:
        recorded = ["--actor", "openai:any", "--base-url", server.base_url, "--record-actor", tape]
        code, out, _ = run(capsys, *words, *recorded, "--json", live)
        assert code == 0
    code, out_again, _ = run(capsys, *words, "--actor", f"replay:{tape}", "--json", again)
    assert code == 0
    assert live.read_bytes() == again.read_bytes()
    assert out == out_again
    told = json.loads(live.read_text())
    assert told["actor"] == "openai:any"
    assert told["actor_parameters"] == {"model": "any", "shape": "chat", "temperature": 0.0, "max_tokens": 4096}
    assert all(KEY not in path.read_text() for path in tmp_path.iterdir())
    assert KEY not in out + caplog.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--actor", "openai:"], "is not known"),
        (["--actor", "openai:m", "--actor-kwargs", '{"temprature": 1}'], "Did you mean 'temperature'?"),
        (["--actor", "scripted", "--base-url", "http://localhost:1/v1"], "has no option 'base_url'"),
        (["--actor", "replay:nowhere.jsonl"], "nowhere.jsonl"),
        (["--actor", "hf:nowhere/at all"], "cannot be loaded"),
        (["--actor", "openai:m", "--actor-kwargs", "[1]"], "is not a JSON object"),
        (["--max-actor-calls", "-1"], "a limit is a number of at least 0"),
    ],
)
def test_what_a_user_can_get_wrong(words, told, capsys):
    code, _, error = run(capsys, "evaluate", ENV, "--reflector", "none", "--num-tasks", 1, *words)
    assert code == 2
    assert told in error
    assert "Traceback" not in error


def test_a_budget_ends_an_evaluation_at_whatever_trial(capsys, tmp_path):
    words = ["evaluate", ENV, "--reflector", "none", "--num-tasks", 5]
    calls = []
    for trials in (0, 1):
        assert run(capsys, *words, "--trials", trials, "--json", tmp_path / "whole.json")[0] == 0
        calls.append(json.loads((tmp_path / "whole.json").read_text())["policies"][0]["actor_calls"])
    assert calls[0] < calls[1] - 1
    for enough_for in (calls[0] - 1, calls[1] - 1):
        limits = ["--trials", 1, "--max-actor-calls", enough_for, "--max-error-rate", 0.9]
        code, _, error = run(capsys, *words, *limits)
        assert code == 2
        assert "the budget of calls is spent" in error
    assert run(capsys, *words, "--trials", 1, "--max-actor-calls", calls[1])[0] == 0


def test_another_temperature_is_another_run(scripted, tmp_path):
    with ServerThread(scripted) as server:
        reinforce.train(config(tmp_path / "run", **through(server.base_url, temperature=0.5)))
        other = config(tmp_path / "run", resume=True, updates=5, **through(server.base_url, temperature=1.0))
        with pytest.raises(CheckpointError, match="actor_kwargs"):
            reinforce.train(other)
