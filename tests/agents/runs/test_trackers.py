"""What a tracker gets of a run, by a double that keeps it; the tools themselves are in test_tracker_tools.py."""

from __future__ import annotations

import json
import sys
import types

import pytest

from retro_gym.errors import ActorError, ConfigError, MissingExtraError
from retro_gym_agents.algorithms import reinforce, retroformer
from retro_gym_agents.algorithms.reinforce import ReinforceConfig
from retro_gym_agents.play.roller import Roller
from retro_gym_agents.runs import training
from retro_gym_agents.runs.trackers import TrackedRun, Trackers, check_installed, named
from tests.agents.commands import refused, run
from tests.agents.configs import identity_config


class Recorder:
    """Keeps what it is told; fails at the updates in ``fails``."""

    made: list[Recorder]
    fails: frozenset[object] = frozenset()

    def __init__(self, run: TrackedRun) -> None:
        print("a greeting")
        if "start" in self.fails:
            raise ConnectionError("no server")
        self.run, self.status = run, None
        self.rows: list[dict[str, float]] = []
        self.id = run.id or f"run {len(self.made)}"
        self.made.append(self)

    def log(self, row):
        if row["update"] in self.fails:
            raise ConnectionError("no server")
        self.rows.append(dict(row))

    def finish(self, status):
        self.status = status
        if "finish" in self.fails:
            raise ConnectionError("no server")

    @property
    def updates(self):
        return [int(row["update"]) for row in self.rows]


@pytest.fixture
def recorder(monkeypatch):
    """A tracker of a user, and its spec in ``spec``."""

    class Mine(Recorder):
        made = []
        spec = "python:trackers_of_test:Mine"

    module = types.ModuleType("trackers_of_test")
    module.Mine, module.Plain, module.text = Mine, Plain, "text"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return Mine


class Plain:
    """A tracker without an id."""

    made: list[Plain] = []

    def __init__(self, run):
        self.rows = []
        self.made.append(self)

    def log(self, row):
        self.rows.append(row["update"])

    def finish(self, status):
        pass


def config(small_model, output, *report_to, **fields):
    defaults = {"updates": 3, "num_prompts": 2, "group_size": 2, "checkpoint_every": 100, "report_to": report_to}
    return identity_config(ReinforceConfig, small_model, output, **{**defaults, **fields})


def written(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_tracker_gets_settings_and_rows(small_model, tmp_path, recorder, capsys):
    folder = tmp_path / "runs" / "one"
    reinforce.train(config(small_model, folder, recorder.spec, validate_every=2, validation_tasks=2))
    (one,) = recorder.made
    assert one.run.name == "runs-one"
    assert one.run.config == json.loads((folder / "config.json").read_text())
    assert one.run.config["report_to"] == [recorder.spec]
    assert one.rows == written(folder)
    assert one.updates == [0, 1, 2, 3]
    assert [row["actor_calls"] for row in one.rows] == sorted(row["actor_calls"] for row in one.rows)
    assert one.status == "finished"
    assert not (folder / "tb").exists()
    assert capsys.readouterr().out == ""  # what tools print is no result
    reinforce.train(config(small_model, folder, recorder.spec, resume=True, validate_every=2, validation_tasks=2))
    assert len(recorder.made) == 1  # nothing to do, nothing to track


def test_a_resumed_run_goes_on_in_the_same_run_of_the_tracker(small_model, tmp_path, recorder):
    reinforce.train(config(small_model, tmp_path / "run", recorder.spec, updates=2))
    reinforce.train(config(small_model, tmp_path / "run", recorder.spec, updates=4, resume=True))
    first, second = recorder.made
    assert (first.run.id, first.run.is_resumed) == (None, False)
    assert (second.run.id, second.run.is_resumed) == (first.id, True)
    assert (first.updates, second.updates) == ([1, 2], [3, 4])
    assert first.rows + second.rows == written(tmp_path / "run")


def test_a_tracker_that_comes_later_or_was_left_out_gets_the_rows_between(small_model, tmp_path, recorder):
    for updates, report_to in [(1, ["none"]), (2, [recorder.spec]), (4, []), (5, [recorder.spec])]:
        reinforce.train(config(small_model, tmp_path / "run", *report_to, updates=updates, resume=True))
    first, second = recorder.made
    assert (first.updates, second.updates) == ([1, 2], [3, 4, 5])
    assert second.run.id == first.id
    assert first.rows + second.rows == written(tmp_path / "run")


def test_tensorboard_that_comes_later_or_was_left_out_gets_the_rows_between(small_model, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trackers = ["none", "tensorboard", "none", "tensorboard", "tensorboard"]
    for updates, name in enumerate(trackers, start=1):
        reinforce.train(config(small_model, tmp_path / "run", name, updates=updates, resume=True))
    events = EventAccumulator(str(tmp_path / "run" / "tb"))
    events.Reload()
    assert [event.step for event in events.Scalars("reward")] == [1, 2, 3, 4, 5]


def test_a_tracker_without_an_id_gets_no_row_twice(small_model, tmp_path, recorder):
    spec = "python:trackers_of_test:Plain"
    for updates in (1, 2):
        reinforce.train(config(small_model, tmp_path / "run", spec, updates=updates, resume=True))
    assert [one.rows for one in Plain.made] == [[1], [2]]


def test_a_tracker_that_fails_costs_no_run(small_model, tmp_path, recorder, monkeypatch, capsys):
    monkeypatch.setattr(recorder, "fails", {2, 3, "finish"})
    result = reinforce.train(config(small_model, tmp_path / "run", recorder.spec, "tensorboard", updates=4))
    assert result.updates == 4
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("WARNING")]
    (line,) = lines  # once
    assert f"tracker {recorder.spec} failed at update 2: ConnectionError" in line
    assert "no server" in line
    assert [row["update"] for row in written(tmp_path / "run")] == [1, 2, 3, 4]
    assert (tmp_path / "run" / "tb").is_dir()  # others get their rows
    monkeypatch.setattr(recorder, "fails", {"finish"})
    reinforce.train(config(small_model, tmp_path / "run", recorder.spec, updates=5, resume=True))
    assert "failed when it was closed" in capsys.readouterr().err
    first, second = recorder.made
    assert (first.updates, second.updates) == ([1], [2, 3, 4, 5])
    assert second.run.id == first.id


def test_a_tracker_that_cannot_start_ends_the_run_before_any_trial(small_model, tmp_path, recorder, monkeypatch):
    played = []
    monkeypatch.setattr(training.Validation, "__init__", lambda *_, **__: played.append(1))
    twin = type("Twin", (recorder,), {"fails": {"start"}})
    sys.modules["trackers_of_test"].Twin = twin
    settings = config(small_model, tmp_path / "run", recorder.spec, "python:trackers_of_test:Twin", validate_every=1)
    with pytest.raises(ConfigError, match=r"Twin could not be started: ConnectionError .*no server.* out of report_to"):
        reinforce.train(settings)
    assert played == []
    assert [one.status for one in recorder.made] == ["failed"]  # the one that had started
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(ActorError("down"), "failed"), (KeyboardInterrupt(), "stopped"), (SystemExit(143), "stopped")],
)
def test_trackers_are_told_how_a_run_ended(small_model, tmp_path, recorder, monkeypatch, error, status):
    def interrupted(roller, update, **_):
        raise error

    monkeypatch.setattr(Roller, "roll_out", interrupted)
    with pytest.raises(type(error)):
        reinforce.train(config(small_model, tmp_path / "run", recorder.spec))
    (one,) = recorder.made
    assert (one.status, one.updates) == (status, [])


def test_a_run_that_came_to_nothing_leaves_a_folder_for_a_new_one(small_model, tmp_path, recorder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Roller, "roll_out", lambda *_, **__: sys.exit(1))
        with pytest.raises(SystemExit):
            reinforce.train(config(small_model, tmp_path / "run", recorder.spec))
    reinforce.train(config(small_model, tmp_path / "run", recorder.spec))
    first, second = recorder.made
    assert second.run.id is None
    assert second.id != first.id


# -- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", ["a module", "a folder"])
def test_a_missing_package_is_named_before_anything_is_loaded(small_model, tmp_path, monkeypatch, absent):
    if absent == "a module":
        monkeypatch.setitem(sys.modules, "wandb", None)
    else:  # offline runs of wandb leave a folder of this name, which can be imported, in the working folder
        monkeypatch.delitem(sys.modules, "wandb", raising=False)
        (tmp_path / "wandb").mkdir()
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingExtraError, match=r'wandb is not installed.*pip install "retro-gym\[wandb\]"'):
        check_installed(["wandb"])
    if absent == "a module":
        with pytest.raises(MissingExtraError, match="wandb"):
            reinforce.train(config(tmp_path / "no model", tmp_path / "run", "wandb"))
        stages = retroformer.RetroformerConfig(output=tmp_path / "stages", report_to=("wandb",))
        with pytest.raises(MissingExtraError, match="wandb"):
            retroformer.train(stages)
        assert not (tmp_path / "run").exists()
        assert not (tmp_path / "stages").exists()


def test_names(small_model, tmp_path, recorder):
    assert named(["wandb", "mlflow", "wandb"]) == ("wandb", "mlflow")
    assert named("trackio") == ("trackio",)
    assert named(["none"]) == named([]) == ()
    with pytest.raises(ConfigError, match=r"report_to holds 'wandbb'.*Did you mean 'wandb'\?"):
        config(small_model, tmp_path, "wandbb")
    with pytest.raises(ConfigError, match="none stands alone"):
        config(small_model, tmp_path, "none", "wandb")
    with pytest.raises(ConfigError, match="report_to holds 3"):
        config(small_model, tmp_path, 3)
    for name in ("no_module:x", "trackers_of_test:absent"):
        with pytest.raises(ConfigError, match="cannot be imported"):
            check_installed([f"python:{name}"])
    with pytest.raises(ConfigError, match="names the text"):
        check_installed(["python:trackers_of_test:text"])


def test_the_command_line_takes_several(small_model, tmp_path, recorder, capsys):
    words = ["train", "RetroIdentity-v0", "--reflector", small_model, "--num-prompts", 2, "--group-size", 2]
    words += ["--updates", 1, "--max-reflections", 1]
    code, out, _ = run(capsys, *words, "--output", tmp_path / "a", "--report-to", recorder.spec, "tensorboard")
    assert (code, "greeting" in out) == (0, False)
    assert (tmp_path / "a" / "tb").is_dir()
    assert len(recorder.made) == 1
    code, _, _ = run(capsys, *words, "--output", tmp_path / "b", "--report-to", "none")
    assert code == 0
    assert {"tb", "trackers.json"}.isdisjoint(path.name for path in (tmp_path / "b").iterdir())
    assert "has no value" in refused(capsys, *words, "--output", tmp_path / "c", "--report-to")
    assert "Did you mean 'mlflow'" in refused(capsys, *words, "--output", tmp_path / "c", "--report-to", "mlfow")
    both = ["--report-to", "none", "--report-to", "mlflow"]
    assert "none stands alone" in refused(capsys, *words, "--output", tmp_path / "c", *both)
    setting = ["--set", 'report_to=["none"]']
    assert "an option of its own, --report-to" in refused(capsys, *words, "--output", tmp_path / "c", *setting)
    assert not (tmp_path / "c").exists()


def test_a_damaged_file_of_ids_is_named(tmp_path):
    (tmp_path / "trackers.json").write_text("[")
    with pytest.raises(ConfigError, match=r"trackers.json is damaged.*Remove it"):
        Trackers((), TrackedRun("run", tmp_path, {}, is_resumed=True))
