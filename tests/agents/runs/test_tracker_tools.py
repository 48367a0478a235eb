"""The tools behind ``report_to``, for real and without a network: what they were told is read back from their files.

Each is skipped if it is not installed: `make trackers` installs all.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class WandB:
    """Files of offline runs: one for each start of a run, which `wandb sync` puts together by its id."""

    env = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}

    @staticmethod
    def records(path):
        """The records of a file in LevelDB's log format: blocks of 32 KiB, entries in one or several parts."""
        from wandb.proto.wandb_internal_pb2 import Record

        data, place, entry = path.read_bytes(), 7, b""
        while place + 7 <= len(data):
            if (left := 32_768 - place % 32_768) < 7:
                place += left
                continue
            _, size, kind = struct.unpack("<IHB", data[place : place + 7])
            entry += data[place + 7 : place + 7 + size]
            place += 7 + size
            if kind in (1, 4):  # whole, or its last part
                record = Record()
                record.ParseFromString(entry)
                yield record
                entry = b""

    def read(self, folder):
        rows, ids, config, status = [], set(), {}, None
        for path in sorted(folder.glob("wandb/offline-run-*/*.wandb")):
            for record in self.records(path):
                kind = record.WhichOneof("record_type")
                if kind == "run":
                    ids.add((record.run.project, record.run.display_name, record.run.run_id))
                elif kind == "config":
                    config |= {item.key: json.loads(item.value_json) for item in record.config.update}
                elif kind == "history":
                    items = {(item.key or item.nested_key[0]): item.value_json for item in record.history.item}
                    rows.append({name: json.loads(text) for name, text in items.items()})
                elif kind == "exit":
                    status = record.exit.exit_code
        ((project, name, _),) = ids
        steps = [row["_step"] for row in rows]
        rows = [{name: row[name] for name in row if not name.startswith("_")} for row in rows]
        return project, name, config["seed"], steps, rows, {0: "finished", 1: "failed", 130: "stopped"}[status]


class MLflow:
    """A database in the working folder."""

    env = {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db"}
    code = """
from mlflow.tracking import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("retro-gym")
(run,) = client.search_runs([experiment.experiment_id])
assert run.data.params["lora.rank"] == "8", run.data.params
metrics = {name: client.get_metric_history(run.info.run_id, name) for name in run.data.metrics}
steps = sorted({one.step for several in metrics.values() for one in several})
assert all(len({one.step for one in several}) == len(several) for several in metrics.values()), metrics
rows = [{name: one.value for name in metrics for one in metrics[name] if one.step == step} for step in steps]
found = experiment.name, run.info.run_name, int(run.data.params["seed"]), steps, rows, run.info.status
"""

    def read(self, folder):
        *found, status = printed(self.code, folder, self.env)
        return *found, {"FINISHED": "finished", "FAILED": "failed", "KILLED": "stopped"}[status]


class Trackio:
    """A database for each project."""

    env = {"TRACKIO_DIR": "trackio"}
    code = """
from trackio.sqlite_storage import SQLiteStorage as store
(run,) = store.get_runs("retro-gym")
rows = store.get_logs("retro-gym", run)
found = run, store.get_run_config("retro-gym", run)["seed"], rows
"""

    def read(self, folder):
        name, seed, rows = printed(self.code, folder, self.env)
        steps = [row.pop("step") for row in rows]
        rows = [{key: value for key, value in row.items() if key != "timestamp"} for row in rows]
        return "retro-gym", name.rpartition("-")[0], seed, steps, rows, None


def printed(code, folder, env):
    """What code finds, in a process of its own: warnings of the tools are none of these tests' errors."""
    command = [sys.executable, "-c", f"import json\n{code}\nprint(json.dumps(found, default=str))"]
    return json.loads(
        subprocess.check_output(command, cwd=folder, env={**os.environ, **env}, text=True).splitlines()[-1]
    )


TOOLS = {"wandb": WandB(), "mlflow": MLflow(), "trackio": Trackio()}


@pytest.fixture(params=TOOLS)
def tool(request, tmp_path):
    """Runs `retro-gym train` in an empty folder with one tool."""
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"needs {request.param}: make trackers")
    return request.param


def start(small_model, folder, name, *words, **options):
    command = [sys.executable, "-m", "retro_gym_agents.cli", "train", "RetroIdentity-v0", "--reflector", small_model]
    command += ["--output", "runs/one", "--num-prompts", 2, "--group-size", 2, "--max-reflections", 1, "--seed", 3]
    env = {**os.environ, **TOOLS[name].env}
    return subprocess.Popen(
        [str(word) for word in [*command, "--report-to", name, *words]], cwd=folder, env=env, text=True, **options
    )


def test_settings_and_rows_are_in_one_run_also_when_it_is_resumed(small_model, tmp_path, tool):
    for words in (["--updates", 2], ["--updates", 4, "--lr", 0.001, "--resume"]):
        process = start(small_model, tmp_path, tool, *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert len(out.splitlines()) == 2  # results only
    project, name, seed, steps, rows, status = TOOLS[tool].read(tmp_path)
    written = [json.loads(line) for line in (tmp_path / "runs/one/metrics.jsonl").read_text().splitlines()]
    assert (project, name, seed, steps, status or "finished") == ("retro-gym", "runs-one", 3, [1, 2, 3, 4], "finished")
    assert rows == [pytest.approx(row) for row in written]
    assert {"update", "actor_calls", "reward"} <= set(rows[0])


def test_a_run_that_is_stopped_says_so(small_model, tmp_path, tool):
    process = start(small_model, tmp_path, tool, "--updates", 100_000, stderr=subprocess.DEVNULL)
    metrics = tmp_path / "runs/one/metrics.jsonl"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    *_, steps, rows, status = TOOLS[tool].read(tmp_path)
    assert 0 <= len(metrics.read_text().splitlines()) - len(rows) <= 1  # the signal may come between the two
    assert steps == list(range(1, len(rows) + 1))
    assert status in (None, "stopped")


def test_a_run_stands_below_the_mlflow_run_of_a_user(small_model, tmp_path):
    if importlib.util.find_spec("mlflow") is None:
        pytest.skip("needs mlflow: make trackers")
    code = f"""
import mlflow
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
with mlflow.start_run() as outer:
    for seed in (0, 1):
        train(ReinforceConfig(output=f"run{{seed}}", env_id="RetroIdentity-v0", reflector={str(small_model)!r},
            updates=1, num_prompts=2, group_size=2, seed=seed, report_to="mlflow"))
    mlflow.log_metric("mine", 1.0)
    runs = mlflow.search_runs(output_format="list", search_all_experiments=True)
    below = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == outer.info.run_id]
    print(sorted(run.data.params["seed"] for run in below), mlflow.active_run().info.run_id == outer.info.run_id)
"""
    env = {**os.environ, **MLflow.env}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "['0', '1'] True"
