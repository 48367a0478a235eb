"""Trackers: tools that show a run's settings and metrics while it learns, by the names that ``report_to`` holds.

Each adapter is a few calls of its tool's own client, so that the tool's environment variables, offline modes and
settings of the user all count. Accelerate's trackers do the same, but report a run that failed as finished, fail when a
run is resumed in MLflow with one setting changed, add an entry to Trackio's config, and need a state of the whole
process, which joins a process group under torchrun. What is left of them is one call to start and one to log.

A run's folder has a file ``trackers.json`` with the tools' own ids of the run. A resumed run goes on under these, and
a tracker gets the rows that it does not have yet.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from retro_gym.errors import ConfigError, MissingExtraError, did_you_mean, one_line
from retro_gym.python_specs import check_called, imported
from retro_gym_agents.runs.log import print_status

__all__ = ["DEFAULT", "FILE", "NO_TRACKERS", "Status", "TrackedRun", "Tracker", "Trackers", "check_installed", "named"]

DEFAULT = ("tensorboard",)
"""The trackers of a run whose config names none."""
FILE = "trackers.json"
PROJECT = "retro-gym"
"""The project or experiment of runs, unless the tool's environment variable names another."""
_MOST_SETTINGS = 100  # that MLflow takes at once
_OWN_EXPERIMENT = ("MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID", "MLFLOW_RUN_ID")

Status = Literal["finished", "stopped", "failed"]
"""How a run ended: with its last update, by Ctrl-C or a signal, or with an error."""


@dataclasses.dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told about a run when it starts."""

    name: str
    """The last two parts of the run's folder, such as ``runs-demo``."""
    folder: Path
    """The run's folder. It need not exist yet."""
    config: Mapping[str, Any]
    """The run's settings, of JSON types."""
    rows: Sequence[Mapping[str, float]] = ()
    """The metrics so far, if the run is resumed: a row for each update."""
    is_resumed: bool = False
    id: str | None = None
    """The tool's own id of this run, if the run is resumed and was tracked before."""


class Tracker(Protocol):
    """Shows the metrics of one run."""

    def log(self, row: Mapping[str, float]) -> None:
        """Takes the metrics of one update: finite numbers by name, ``update`` and often ``actor_calls`` among them."""

    def finish(self, status: Status) -> None:
        """Is called once, when the run has ended."""


class _TensorBoard:
    """Events in the run's folder ``tb``, by update. Rows that a resumed run makes again are replaced."""

    id = "tb"

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._writer: Any = None

    def log(self, row: Mapping[str, float]) -> None:
        update = int(row["update"])
        if self._writer is None:  # opened late: the folder of a new run is cleared after its trackers have started
            from torch.utils.tensorboard import SummaryWriter

            later = None if self._run.id is None else update
            self._writer = SummaryWriter(str(self._run.folder / "tb"), purge_step=later)
        for name, value in row.items():
            if name != "update":
                self._writer.add_scalar(name, value, update)

    def finish(self, status: Status) -> None:
        if self._writer is not None:
            self._writer.close()


class _WandB:
    """Weights & Biases. Its variables count: ``WANDB_PROJECT``, ``WANDB_MODE=offline`` and the others."""

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        project, name = (os.environ.get(key) for key in ("WANDB_PROJECT", "WANDB_NAME"))
        same = {} if run.id is None else {"id": run.id, "resume": "allow"}
        # A run that the user has begun in this process is left alone.
        self._run = wandb.init(project=project or PROJECT, name=name or run.name, reinit="create_new", **same)
        self._run.config.update(dict(run.config), allow_val_change=True)
        self.id = str(self._run.id)

    def log(self, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=int(row["update"]))

    def finish(self, status: Status) -> None:
        self._run.finish(exit_code={"finished": 0, "stopped": 130, "failed": 1}[status])


class _MLflow:
    """MLflow. Its variables count: ``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME`` and the others."""

    def __init__(self, run: TrackedRun) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report its use, also with a local store
        import mlflow

        self._mlflow = mlflow
        outer = mlflow.active_run()  # one that the user has begun in this process
        where = {} if outer is None else {"nested": True, "experiment_id": outer.info.experiment_id}
        chosen = any(name in os.environ for name in _OWN_EXPERIMENT)
        if run.id is not None:
            where |= {"run_id": run.id}
        elif outer is None and not chosen:
            mlflow.set_experiment(PROJECT)
        self.id = str(mlflow.start_run(run_name=run.name, **where).info.run_id)
        if run.id is None:  # MLflow refuses other values later
            settings = list(_flat(run.config).items())
            for start in range(0, len(settings), _MOST_SETTINGS):
                mlflow.log_params(dict(settings[start : start + _MOST_SETTINGS]), run_id=self.id)

    def log(self, row: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(row), step=int(row["update"]), run_id=self.id)

    def finish(self, status: Status) -> None:
        self._mlflow.end_run({"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[status])


class _Trackio:
    """Trackio, in its local store unless ``TRACKIO_SPACE_ID`` or ``TRACKIO_SERVER_URL`` says otherwise."""

    def __init__(self, run: TrackedRun) -> None:
        import trackio

        self._trackio = trackio
        project = os.environ.get("TRACKIO_PROJECT") or PROJECT
        self.id = run.id or f"{run.name}-{uuid.uuid4().hex[:6]}"  # runs are resumed by name
        resume = "never" if run.id is None else "allow"
        self._run = trackio.init(project=project, name=self.id, config=dict(run.config), resume=resume)

    def log(self, row: Mapping[str, float]) -> None:
        self._run.log(dict(row), step=int(row["update"]))

    def finish(self, status: Status) -> None:
        self._trackio.finish()  # a run that ends itself would be ended once more when Python ends


@dataclasses.dataclass(frozen=True)
class _Tool:
    start: Callable[[TrackedRun], Tracker]
    package: str
    """What is imported."""
    extra: str
    remedy: str
    """What may mend a start that failed."""


_TOOLS = {
    "tensorboard": _Tool(_TensorBoard, "tensorboard", "train", "Look at the message"),
    "wandb": _Tool(_WandB, "wandb", "wandb", "Run 'wandb login', or set WANDB_MODE=offline"),
    "mlflow": _Tool(_MLflow, "mlflow", "mlflow", "Check MLFLOW_TRACKING_URI"),
    "trackio": _Tool(_Trackio, "trackio", "trackio", "Check TRACKIO_DIR and TRACKIO_SPACE_ID"),
}


def named(report_to: str | Sequence[str]) -> tuple[str, ...]:
    """Returns the trackers that a ``report_to`` names, without repetitions; ``none`` names none.

    Raises:
        ConfigError: a name is unknown, or ``none`` stands beside others.

    >>> named(["wandb", "tensorboard", "wandb"]), named("none")
    (('wandb', 'tensorboard'), ())
    """
    given = (report_to,) if isinstance(report_to, str) else report_to
    names = tuple(dict.fromkeys(given))
    for name in names:
        known = isinstance(name, str) and (name in _TOOLS or name == "none" or name.startswith("python:"))
        if not known:
            raise ConfigError(
                f"report_to holds {one_line(name)}; the trackers are {', '.join(_TOOLS)}, 'python:MODULE:NAME' and "
                f"none.{did_you_mean(name, _TOOLS)}"
            )
    if "none" in names and len(names) > 1:
        raise ConfigError(f"report_to is {', '.join(names)}; none stands alone. Leave it out, or the others.")
    return () if names == ("none",) else names


def check_installed(names: Sequence[str]) -> None:
    """Checks that the packages of some trackers are installed.

    Raises:
        MissingExtraError: one is not.
        ConfigError: a ``python:`` spec cannot be imported or called.
    """
    for name in names:
        if name.startswith("python:"):
            check_called(imported(name, "tracker"), f"tracker {name!r}", "run")
            continue
        spec = importlib.util.find_spec(_TOOLS[name].package)
        if spec is None or spec.origin is None:  # a folder `wandb` of offline runs looks like a package without a file
            raise MissingExtraError(name, _TOOLS[name].extra)


class Trackers:
    """The trackers of a run. One that fails later gets no more rows; the run goes on.

    Args:
        names: see :func:`named`.
        run: the run.

    Raises:
        ConfigError: a tracker cannot be started.
        MissingExtraError: its package is not installed.
    """

    def __init__(self, names: Sequence[str], run: TrackedRun) -> None:
        self._run = run
        self._memory = _remembered(run.folder) if run.is_resumed else {}
        self._live: dict[str, Tracker] = {}
        for name, known in self._memory.items():
            if name not in names:  # it does not get the next rows, but may get them later
                known.setdefault("missing_from", _next_update(run.rows))
        try:
            for name in names:
                self._start(name)
        except BaseException:
            self.finish("failed")
            raise

    def save(self) -> None:
        """Writes the tools' ids of this run into its folder, if it has other trackers than TensorBoard."""
        path = self._run.folder / FILE
        if path.exists() or self._memory not in ({}, _only_tensorboard()):
            path.write_text(json.dumps(self._memory, indent=2, sort_keys=True) + "\n", encoding="utf-8")

    def log(self, row: Mapping[str, float]) -> None:
        """Hands a row to every tracker."""
        for name in tuple(self._live):
            with self._dropped(name, f"at update {row['update']:.0f}", row):
                self._live[name].log(row)

    def finish(self, status: Status) -> None:
        """Ends the trackers; ``save`` the ids before."""
        for name in tuple(self._live):
            with self._dropped(name, "when it was closed"):
                self._live.pop(name).finish(status)

    def _start(self, name: str) -> None:
        known = self._memory.get(name, {})
        run = dataclasses.replace(self._run, id=known.get("run"))
        check_installed([name])
        tool = _TOOLS.get(name)
        start: Any = tool.start if tool else imported(name, "tracker")
        try:
            with _output_to_stderr():
                tracker: Tracker = start(run)
        except Exception as error:  # whatever the tool raises
            path = self._run.folder / FILE
            same = "" if run.id is None else f" To begin a new run there, remove its entry in {path}."
            raise ConfigError(
                f"tracker {name} could not be started: {type(error).__name__} ({one_line(str(error), 300)}). "
                f"{tool.remedy if tool else 'Look at its code'}, or leave {name} out of report_to.{same}"
            ) from error
        self._live[name] = tracker
        first = known.get("missing_from", _next_update(run.rows) if known else 0)
        self._memory[name] = {"run": getattr(tracker, "id", None)}
        for row in run.rows:
            if row["update"] >= first and name in self._live:
                with self._dropped(name, f"at update {row['update']:.0f}", row):
                    tracker.log(row)

    @contextlib.contextmanager
    def _dropped(self, name: str, when: str, row: Mapping[str, float] | None = None) -> Iterator[None]:
        """Drops a tracker that raises, and says so."""
        try:
            with _output_to_stderr():
                yield
        except Exception as error:  # whatever the tool raises: a run is worth more than its display
            tracker = self._live.pop(name, None)
            print_status(
                f"WARNING: tracker {name} failed {when}: {type(error).__name__} ({one_line(str(error), 300)}). The run "
                "goes on without it; metrics.jsonl has every row."
            )
            if row is not None and name in self._memory:
                self._memory[name]["missing_from"] = int(row["update"])
                with contextlib.suppress(OSError):  # the folder may not exist yet; it is saved again then
                    self.save()
            if tracker is not None:  # so that it leaves no run open in this process, if it still can
                with contextlib.suppress(Exception), _output_to_stderr():
                    tracker.finish("failed")


NO_TRACKERS = Trackers((), TrackedRun("", Path(), {}))
"""Those of a run that has not begun."""


@contextlib.contextmanager
def _output_to_stderr() -> Iterator[None]:
    """Sends what the tools print to standard error: standard output is kept for results."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _only_tensorboard() -> dict[str, dict[str, Any]]:
    """Returns what is remembered of a run with no other tracker, without a file: its folder ``tb`` tells it."""
    return {"tensorboard": {"run": _TensorBoard.id}}


def _next_update(rows: Sequence[Mapping[str, float]]) -> int:
    return int(rows[-1]["update"]) + 1 if rows else 0


def _remembered(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns for each tracker its id of the run (``run``) and the first update it did not get (``missing_from``)."""
    path = folder / FILE
    memory: dict[str, dict[str, Any]] = _only_tensorboard() if (folder / "tb").is_dir() else {}
    if not path.exists():
        return memory
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return memory | {str(name): dict(known) for name, known in read.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is damaged: {error}. Remove it; trackers then begin new runs.") from error


def _flat(config: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Returns nested settings under names with points.

    >>> _flat({"seed": 0, "lora": {"rank": 8}})
    {'seed': 0, 'lora.rank': 8}
    """
    found: dict[str, Any] = {}
    for key, value in config.items():
        inner = isinstance(value, Mapping) and value
        found |= _flat(value, f"{name}{key}.") if inner else {f"{name}{key}": value}
    return found
