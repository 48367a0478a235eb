"""A run: folder, checkpoints and logs, shared by everything that is learned in steps.

A run's folder holds ``config.json``, ``checkpoint.pt``, ``metrics.jsonl`` (a row for each update), ``tb/``
(TensorBoard; other trackers are in :mod:`retro_gym_agents.runs.trackers`), and when it has ended ``adapter/`` (the last
adapter, in peft's format), ``best/`` (the adapter with the best validation, if any) and ``curve.png``.

When an error, Ctrl-C, SIGTERM or SIGHUP ends a run early, the checkpoint of its last complete update remains. If no
update was made, a new run may use the folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from retro_gym.errors import ConfigError, DivergedError
from retro_gym_agents.lm.finite import REMEDY, check_finite, not_finite
from retro_gym_agents.lm.language_model import LanguageModel
from retro_gym_agents.runs.checkpoints import (
    FILE,
    Checkpoint,
    clear_folder,
    copied,
    find_checkpoint,
    replace_folder,
    save_checkpoint,
)
from retro_gym_agents.runs.config import RunConfig
from retro_gym_agents.runs.log import RunLog, print_status
from retro_gym_agents.runs.signals import exit_on_signals
from retro_gym_agents.runs.trackers import NO_TRACKERS, Status, TrackedRun, Trackers, check_installed

__all__ = ["Run", "Stateful", "TrainResult"]

Config = TypeVar("Config", bound=RunConfig)


class Stateful(Protocol):
    """What is trained beside the adapter: a module, for example."""

    def state_dict(self) -> Mapping[str, Any]:
        """Returns its weights by name."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> object:
        """Sets its weights."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """Outcome of a run."""

    output: Path
    updates: int
    """Total number of updates."""
    metrics: Mapping[str, float]
    """Metrics of the last update."""
    seconds: float
    """Wall-clock time of all updates, resumptions included."""
    was_finished: bool
    """Whether the run was complete before, so that nothing was done."""


class Run:
    """Manages a run's folder, checkpoints, validation and logs; its user supplies the updates.

    ::

        with SomeRun(config) as run:
            optimizer = torch.optim.AdamW(run.learner.trainable.values())
            for update in run.updates(optimizer):
                ...
                run.log({"loss": ...})
            return run.result()

    A subclass sets ``learner`` and ``num_updates``, and may define :meth:`prepare`, :meth:`validate`, :meth:`close` and
    the two methods that cut what it writes back to a checkpoint.

    Args:
        config: the settings.

    Raises:
        ConfigError: the folder is not empty and ``resume`` is not set, or it holds no run to resume.
        CheckpointError: the folder's run was started with other settings.
        MissingExtraError: the package of a tracker is not installed.
    """

    learner: LanguageModel
    """The model whose adapter is trained and saved."""
    num_updates: int
    """Number of updates of the whole run."""
    stop_after_calls: int | None = None
    """Actor calls after which the run is over; no limit by default."""

    def __init__(self, config: RunConfig) -> None:
        self.config = config
        check_installed(config.report_to)
        self._trackers = NO_TRACKERS
        self._checkpoint = find_checkpoint(config.output, config.settings(), resume=config.resume)
        self._modules: Mapping[str, Stateful] = {}
        self._optimizer: torch.optim.Optimizer
        self._log: RunLog | None = None
        self._update = 0
        self._seconds = 0.0
        self._calls = 0
        self._metrics: list[dict[str, float]] = []
        self._row: dict[str, float] | None = None
        self._best: dict[str, Tensor] | None = None
        self._best_score: float | None = None
        self._was_finished = False
        self._settled: Checkpoint | None = None
        """The state after the last complete update."""
        self._before: Checkpoint | None = None
        """The state one update earlier."""
        self._terminated = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._terminated.enter_context(exit_on_signals())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, DivergedError) and self._row is None and self._before is not None:
            self._settled = self._before  # sampling failed after the last step, so that step made the policy diverge
        try:
            if error is not None and self._settled is not None:
                self._save(stopped=True)
        finally:
            self._terminated.close()
            if self._log is not None:
                self._log.close()
            self._trackers.finish(_status(error))
            self.close()
        if isinstance(error, DivergedError) and self._settled is not None:
            done = self._settled.update
            raise DivergedError(
                f"update {done + 1}: {error} The run in {self.config.output} can be resumed from update {done}, "
                "with another learning_rate and max_grad_norm."
            ) from error

    # -- for subclasses ------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Is called before the first update, if there is any to make."""

    def validate(self) -> tuple[dict[str, float], float] | None:
        """Measures the present weights; returns metrics, and the one of them that selects the best adapter."""
        return None

    def conclude(self) -> None:
        """Is called after the last update, before the results are written."""

    def close(self) -> None:
        """Releases what the run holds."""

    @property
    def decay_updates(self) -> int:
        """Number of updates at the end over which the learning rate falls towards 0."""
        return self.config.decay_updates

    @property
    def records_position(self) -> int:
        """Size of the file of records, in bytes."""
        return 0

    def truncate_records(self, position: int) -> None:
        """Removes the records that later updates wrote."""

    @property
    def carried(self) -> dict[str, Tensor]:
        """What an update hands on to later ones beside the weights."""
        return {}

    def carry(self, state: Mapping[str, Tensor]) -> None:
        """Goes on with what an earlier process handed on; empty for a run from before this."""

    # -- for algorithms ------------------------------------------------------------------------------------------------

    def fitted(self, config: Config) -> Config:
        """Returns a config whose ``micro_tokens``, if not set, are as many as fit into the memory of the device."""
        if config.micro_tokens is not None:
            return config
        return dataclasses.replace(config, micro_tokens=self.learner.tokens_that_fit)

    def updates(self, optimizer: torch.optim.Optimizer, **modules: Stateful) -> Iterator[int]:
        """Yields the numbers of the remaining updates, counted from 1.

        Between two updates the run is validated, logged and checkpointed.

        Args:
            optimizer: its state is saved in checkpoints; its learning rates are set here.
            modules: what is trained beside the learner's adapter, by name.
        """
        self._optimizer, self._modules = optimizer, modules
        rates = [group["lr"] for group in optimizer.param_groups]
        if not self._begin():
            return
        while not self._is_over():
            start = time.perf_counter()
            decay = min(1.0, self.updates_left / max(1, self.decay_updates))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * decay
            yield self.update
            self._update += 1
            self._end_update(start)
        self.conclude()
        self._settled = self._state(self._metrics)
        self._write_results()

    @property
    def update(self) -> int:
        """Number of the current update, counted from 1."""
        return self._update + 1

    def log(self, metrics: Mapping[str, float]) -> None:
        """Adds metrics to those of the current update; ``tokens`` are logged per second."""
        self._row = {"update": float(self.update), **(self._row or {}), **metrics}

    def spend(self, calls: int) -> None:
        """Counts actor calls: those of the run so far are in each update's metrics as ``actor_calls``."""
        self._calls += calls

    def result(self) -> TrainResult:
        """Returns the outcome of the run; call it after the last update."""
        metrics = self._metrics[-1] if self._metrics else {}
        return TrainResult(self.config.output, self._update, metrics, self._seconds, self._was_finished)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _begin(self) -> bool:
        """Restores the checkpoint or writes the first one; returns False when the run is already complete."""
        config, checkpoint = self.config, self._checkpoint
        if checkpoint is not None:
            self._update, self._seconds = checkpoint.update, checkpoint.seconds
            self._metrics, self._best_score = list(checkpoint.metrics), checkpoint.best_score
            self._best = None if checkpoint.best is None else dict(checkpoint.best)
            self._was_finished = checkpoint.finished and self._is_over()
            if self._was_finished:
                print_status(f"The run in {config.output} is complete after {self._update} updates: nothing to do.")
                return False
            self._restore(checkpoint)
        self._trackers = Trackers(config.report_to, self._tracked())  # one that cannot start fails before any trial
        self.prepare()
        if self._metrics:  # what was played again in order to go on is not counted twice
            self._calls = int(self._metrics[-1].get("actor_calls", 0))
        self._open_folder(anew=checkpoint is None)
        self._trackers.save()
        self._log = RunLog(config.output, self.num_updates, self._metrics, every=config.log_every)
        if not self._metrics and config.validate_every is not None:
            self._settle({"update": 0.0, **self._validated(), **self._spent()})
        self._save()
        return True

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.learner.load_adapter_state(checkpoint.adapter, checkpoint.reference or None)
        for name, module in self._modules.items():
            module.load_state_dict(dict(checkpoint.modules[name]))
        self._optimizer.load_state_dict(dict(checkpoint.optimizer))
        self.truncate_records(checkpoint.records_position)
        self.carry(checkpoint.carried)

    def _open_folder(self, *, anew: bool) -> None:
        folder = self.config.output
        if anew:
            clear_folder(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"output {str(folder)!r} cannot be created: {error.strerror}. Give another path."
            ) from error
        self._settled = self._state(self._metrics)
        text = json.dumps(self._settings(), indent=2, sort_keys=True)
        (folder / "config.json").write_text(text + "\n", encoding="utf-8")

    def _settings(self) -> dict[str, Any]:
        row = {**self.config.to_json(), "lora": dataclasses.asdict(self.learner.lora or self.config.lora)}
        return dict(json.loads(json.dumps(row)))

    def _tracked(self) -> TrackedRun:
        folder = self.config.output
        name, resumed = "-".join(folder.absolute().parts[-2:]), self._checkpoint is not None
        return TrackedRun(name, folder, self._settings(), rows=self._metrics, is_resumed=resumed)

    def _is_over(self) -> bool:
        limit = self.config.max_minutes
        return self.updates_left <= 0 or (limit is not None and self._seconds >= 60 * limit)

    @property
    def updates_left(self) -> float:
        """How many updates are left, with the current one; with a limit on calls as many as it allows at their mean."""
        left, limit = float(self.num_updates - self._update), self.stop_after_calls
        if limit is None:
            return left
        if self._calls >= limit:
            return 0.0
        first, now = (self._metrics[place] if self._metrics else {} for place in (0, -1))
        if first.get("update") == now.get("update"):
            return left  # no update's cost is known yet
        spent = now.get("actor_calls", 0.0) - first.get("actor_calls", 0.0)
        each = spent / (now["update"] - first["update"])
        return min(left, (limit - self._calls) / each) if each else left

    def _end_update(self, start: float) -> None:
        if self._row is None:
            raise RuntimeError("the update ended without log(). Call it in every update.")
        row, self._row = self._row, None
        before = self._seconds
        self._seconds = before + time.perf_counter() - start
        row["tokens_per_second"] = row.pop("tokens", 0.0) / (self._seconds - before)
        every = self.config.validate_every
        if every is not None and (self._update % every == 0 or self._is_over()):
            row.update(self._validated())
            self._seconds = before + time.perf_counter() - start
        self._settle({**row, **self._spent(), "seconds": self._seconds})
        if self._update % self.config.checkpoint_every == 0:
            self._save()

    def _settle(self, row: dict[str, float]) -> None:
        """Completes an update, or the validation before the first one: checks, keeps and logs its state."""
        check_finite(row)
        metrics = [*self._metrics, row]
        state = self._state(metrics)
        if where := not_finite({"adapter": state.adapter, "modules": state.modules, "optimizer": state.optimizer}):
            raise DivergedError(f"a step gave weights that are not finite, first in {where}. {REMEDY}")
        self._metrics, self._before, self._settled = metrics, self._settled, state
        if self._log is not None:
            self._log.add(row)
        self._trackers.log(row)

    def _spent(self) -> dict[str, float]:
        return {"actor_calls": float(self._calls)} if self._calls else {}

    def _validated(self) -> dict[str, float]:
        """Validates; keeps the adapter if it is the best so far."""
        found = self.validate()
        if found is None:
            return {}
        metrics, score = found
        if self._best_score is None or score >= self._best_score:
            self._best_score, self._best = score, self.learner.adapter_state()
            replace_folder(self.config.output / "best", self.learner.save)
        return metrics

    def _state(self, metrics: list[dict[str, float]]) -> Checkpoint:
        """Returns the current state, with copies of everything that later steps change."""
        return Checkpoint(
            settings=self.config.settings(),
            update=self._update,
            seconds=self._seconds,
            finished=False,
            adapter=copied(self.learner.adapter_state()),
            reference=self.learner.reference_state or {},
            modules={name: copied(module.state_dict()) for name, module in self._modules.items()},
            optimizer=copied(self._optimizer.state_dict()),
            metrics=metrics,
            records_position=self.records_position,
            best=self._best,
            best_score=self._best_score,
            carried=self.carried,
        )

    def _save(self, *, finished: bool = False, stopped: bool = False) -> None:
        """Writes the state after the last complete update."""
        assert self._settled is not None
        state = dataclasses.replace(self._settled, finished=finished, stopped=stopped)
        save_checkpoint(state, self.config.output / FILE)

    def _write_results(self) -> None:
        """Writes the adapters, the modules and the curve, then marks the checkpoint as finished."""
        from retro_gym_agents.evaluation.plots import draw_learning_curve

        last, output = self.learner.adapter_state(), self.config.output
        if self._best is not None:
            self.learner.load_adapter_state(self._best)
            replace_folder(output / "best", self.learner.save)
            self.learner.load_adapter_state(last)
        replace_folder(output / "adapter", self._save_adapter)
        draw_learning_curve(self._metrics, output / "curve.png", self.config.title)
        self._save(finished=True)

    def _save_adapter(self, folder: Path) -> None:
        self.learner.save(folder)
        for name, module in self._modules.items():
            torch.save(module.state_dict(), folder / f"{name}.pt")


def _status(error: BaseException | None) -> Status:
    if error is None:
        return "finished"
    return "stopped" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"
