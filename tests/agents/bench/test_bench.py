"""Benchmarks on the identity environment, from beginning to end."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

from retro_gym.errors import ConfigError
from retro_gym_agents.bench import arms, load_config, run_bench, write_report
from retro_gym_agents.bench import run as bench_run
from retro_gym_agents.bench.figures import figures_of
from tests.agents.commands import run

FILE = """
envs: [RetroIdentity-v0]
seeds: [0, 1]
budget: 400
reflector: {model}
evaluation: {{num_tasks: 12, trials: 2}}
learners:
  reinforce: {{num_prompts: 4, group_size: 4, learning_rate: 1e-2, validate_every: 3, validation_tasks: 8}}
arms:
  - {{name: vague, policy: vague}}
  - {{name: oracle, policy: oracle, claim: knows the answer}}
  - {{name: own reflections, learn: imitation}}
  - {{name: those that helped, learn: imitation, settings: {{min_rating: 0.01}}}}
  - {{name: lessons of others, learn: lessons, settings: {{num: 1}}}}
  - {{name: best of 4, learn: best_of, settings: {{num_samples: 4}}}}
  - {{name: last trial alone, policy: oracle, env_kwargs: {{memory: trajectory}}}}
  - {{name: REINFORCE, learn: reinforce}}
  - {{name: control, learn: reinforce, settings: {{shuffle_rewards: true}}}}
quick: {{seeds: [0], arms: [{{name: vague, policy: vague}}]}}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory, small_model):
    path = tmp_path_factory.mktemp("bench") / "bench.yaml"
    path.write_text(FILE.format(model=small_model))
    return path


@pytest.fixture(scope="module")
def whole(file):
    """A benchmark that was run."""
    output = file.parent / "whole"
    run_bench(load_config(file), output)
    write_report(load_config(file), output)
    return output


def test_the_report(file, whole):
    (judged,) = figures_of(load_config(file), whole)
    arms = {arm.name: arm for arm in judged.arms}
    assert next(iter(arms)) == "plain retry", "it was added"
    assert [arm.success[-1].mean for arm in (arms["plain retry"], arms["vague"], arms["oracle"])] == [0, 0, 1]
    assert arms["oracle"].difference[1].won == 12
    assert arms["oracle"].righted == 1
    assert arms["last trial alone"].success[-1].mean == 0, "the actor does not read the oracle's reflections"
    assert arms["lessons of others"].success[-1].mean > 0.5, "other tasks have the same words"
    assert arms["best of 4"].success[1].mean > arms["own reflections"].success[1].mean
    learned = arms["REINFORCE"]
    assert len(learned.by_seed) == len(learned.calls) == 2
    assert all(400 <= calls <= 400 + 4 * 5 + 8 for calls in learned.calls), "the budget, up to an update's end"
    assert learned.success[-1].mean > arms["control"].success[-1].mean
    text = (whole / "results.md").read_text()
    assert "| REINFORCE |" in text
    assert "knows the answer" in text
    stored = json.loads((whole / "results.json").read_text())
    assert stored["results"][0]["panel"]["env_id"] == "RetroIdentity-v0"
    assert set(stored["curves"]["RetroIdentity-v0"]) == {"REINFORCE", "control"}
    pictures = sorted(path.name for path in whole.glob("*.png"))
    assert pictures == ["RetroIdentity-v0-curves.png", "RetroIdentity-v0-scripted.png"]


def test_what_is_complete_is_not_repeated(file, whole):
    before = {path: path.stat().st_mtime_ns for path in (whole / "results").rglob("*.json")}
    run_bench(load_config(file), whole, resume=True)
    assert before == {path: path.stat().st_mtime_ns for path in (whole / "results").rglob("*.json")}


def test_another_benchmark_is_refused_in_its_folder(file, whole, tmp_path):
    with pytest.raises(ConfigError, match="not empty"):
        run_bench(load_config(file), whole)
    other = tmp_path / "other.yaml"
    other.write_text(file.read_text().replace("learning_rate: 1e-2", "learning_rate: 1e-3"))
    with pytest.raises(ConfigError, match="arm 'REINFORCE' with other settings"):
        run_bench(load_config(other), whole, resume=True)


def test_settings_are_checked_before_anything_is_played(file, tmp_path):
    mistakes = {"learning_rte: 1": "no setting of reinforce.*Did you mean", "seed: 3": "set by the benchmark"}
    for setting, told in mistakes.items():
        path = tmp_path / "mistaken.yaml"
        path.write_text(file.read_text().replace("shuffle_rewards: true", setting))
        with pytest.raises(ConfigError, match=told):
            run_bench(load_config(path), tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_planner_of_the_benchmark_plays(file, tmp_path):
    """A judging actor that the benchmark makes itself: it may be added later, and is made once."""
    few = """
envs: [RetroIdentity-v0]
seeds: [0, 1]
budget: 30
reflector: {model}
actors:
  scripted: {{}}
  planner: {{imitation: {{expert_episodes: 8, imitation_updates: 2}}, actor_kwargs: {{batch_size: 8}}}}
evaluation: {{num_tasks: 4, trials: 1}}
arms: [{{name: oracle, policy: oracle}}, {{name: own, learn: reinforce, actor: planner, settings: {{num_prompts: 2}}}}]
"""
    first, both = tmp_path / "first.yaml", tmp_path / "both.yaml"
    first.write_text(few.format(model=load_config(file).reflector))
    both.write_text(first.read_text().replace("trials: 1}", "trials: 1, actors: [scripted, planner]}"))
    output = tmp_path / "out"
    run_bench(load_config(first), output)
    made = output / "runs" / "RetroIdentity-v0" / "actors" / "planner" / "planner"
    assert made.is_dir(), "an arm learns with it"
    written = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.name != "bench.json"}
    run_bench(load_config(both), output, resume=True)
    assert all(path.stat().st_mtime_ns == time for path, time in written.items() if path.is_file())
    text = write_report(load_config(both), output)
    assert "| own | planner |" in text, "the matrix of transfer"
    by_scripted, by_planner = figures_of(load_config(both), output)
    assert by_scripted.panel["actor"] == "scripted"
    assert re.fullmatch(r"planner:.+@\w+", by_planner.panel["actor"]), "its weights, not where they lie"
    assert str(output) not in by_planner.panel["actor"]
    assert [arm.name for arm in by_planner.arms] == ["plain retry", "oracle", "own"]


def results(folder):
    """What two runs of one benchmark have in common: all but where they lie and how long they took."""
    found = {
        path.relative_to(folder): path.read_bytes()
        for path in sorted((folder / "results").rglob("*"))
        if path.is_file()
    }
    return found | {"json": (folder / "results.json").read_bytes(), "md": (folder / "results.md").read_bytes()}


@pytest.mark.parametrize(("where", "when"), [("collect", 1), ("train", 3), ("judge", 4)])
def test_a_benchmark_that_was_interrupted_goes_on(file, whole, tmp_path, monkeypatch, where, when):
    module = arms if where == "collect" else bench_run
    original, count = getattr(module, where), []

    def interrupted(*args, **kwargs):
        count.append(1)
        if len(count) == when:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(module, where, interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_bench(load_config(file), tmp_path / "out")
    run_bench(load_config(file), tmp_path / "out", resume=True)
    write_report(load_config(file), tmp_path / "out")
    assert results(tmp_path / "out") == results(whole)


@pytest.mark.slow
def test_a_benchmark_that_is_killed_again_and_again_ends_as_one_that_is_not(file, whole, tmp_path):
    output = tmp_path / "killed"
    command = [sys.executable, "-m", "retro_gym_agents.cli", "bench", str(file), "--output", str(output), "--resume"]
    kills = 0
    for wait in (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(wait)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    subprocess.run(command, check=True, capture_output=True)
    assert kills >= 3
    assert results(output) == results(whole)


def test_several_processes_give_the_same(file, whole, tmp_path):
    run_bench(load_config(file), tmp_path / "out", processes=2)
    write_report(load_config(file), tmp_path / "out")
    assert results(tmp_path / "out") == results(whole)


def test_the_command(file, capsys, tmp_path):
    code, out, _ = run(capsys, "bench", file, "--output", tmp_path / "out", "--quick")
    assert code == 0
    (words,) = re.findall(r"`(retro-gym evaluate .*) --json FILE`", out)
    assert "--num-tasks 12 --trials 2" in words
    code, again, _ = run(capsys, "bench", file, "--output", tmp_path / "out", "--quick", "--report-only")
    assert (code, again) == (0, out)
