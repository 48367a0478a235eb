"""The frame that a run is made in, whatever its algorithm.

A run's folder holds ``config.json``, ``checkpoint.pt``, ``records.jsonl`` (every trial and reflection),
``metrics.jsonl`` (a row for each update), ``tb/`` (TensorBoard), and when it has ended ``adapter/`` (the last adapter,
in peft's format), ``best/`` (the one that did best on the validation tasks, where there are some) and ``curve.png``.
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from retro_gym.errors import ActorError, ConfigError
from retro_gym.records import RecordWriter
from retro_gym.seeding import derive_seed
from retro_gym_agents.checkpoints import Checkpoint, load_checkpoint, replace_folder, save_checkpoint
from retro_gym_agents.config import TrainConfig
from retro_gym_agents.progress import RunLog, say
from retro_gym_agents.reflector import Reflector
from retro_gym_agents.rollout import Rollout, Validation, collect, make_envs
from retro_gym_agents.splits import say_what_is_shared

__all__ = ["TrainResult", "TrainingRun"]

_BEFORE_THE_FIRST_CHECKPOINT = {
    "config.json",
    "metrics.jsonl",
    "tb",
    "best",
    ".best.new",
    "records.jsonl",
    "checkpoint.pt.new",
}
"""What a run may leave that is killed before it has written its first checkpoint. No record is among it."""


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """What a run has come to."""

    output: Path
    updates: int
    """Updates made in all."""
    metrics: Mapping[str, float]
    """The last update's."""
    seconds: float
    """Wall-clock time of all updates, resumptions included."""
    was_finished: bool
    """Whether the run had been finished before, so that nothing was done."""


class TrainingRun:
    """The frame of a run: folder, checkpoints, validation, logs. An algorithm fills in what an update does.

    ::

        with TrainingRun(config) as run:
            optimizer = torch.optim.AdamW(run.reflector.trainable.values())
            for update in run.updates(optimizer):
                rollout = run.collect()
                ...
                run.log({"loss": ...})
            return run.result()

    Args:
        config: of the algorithm.

    Raises:
        ConfigError: the folder holds something and ``resume`` is not set, or what it holds is not a run.
        CheckpointError: the folder's run was started under other settings.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self._file = config.output / "checkpoint.pt"
        self._checkpoint = self._find_checkpoint()
        self.reflector = Reflector.load(
            config.reflector,
            lora=config.lora,
            device=config.device,
            dtype=config.dtype,
            temperature=config.temperature,
            max_new_tokens=config.max_new_tokens,
            autocast=config.autocast,
            gradient_checkpointing=config.gradient_checkpointing,
            seed=config.seed,
        )
        self.reflector.freeze_reference()
        self._records = RecordWriter(config.output / "records.jsonl")
        self._envs = make_envs(
            config.env_id,
            config.env_kwargs,
            actor=config.actor,
            actor_kwargs=config.actor_kwargs,
            num=config.num_prompts,
            records=self._records,
        )
        self._validation: Validation | None = None
        self._modules: dict[str, nn.Module] = {}
        self._optimizer: torch.optim.Optimizer
        self._log: RunLog | None = None
        self._update = 0
        self._seconds = 0.0
        self._metrics: list[dict[str, float]] = []
        self._row: dict[str, float] | None = None
        self._best: dict[str, Tensor] | None = None
        self._best_success = -1.0
        self._was_finished = False
        self._settled = -1, 0
        """The last update of which nothing is left to be done, and the length of the records then."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ActorError) and self._settled[0] == self._update:
            self._save(finished=False)  # so that a run without an actor or a budget loses no update
        if self._log is not None:
            self._log.close()
        for env in self._envs:
            env.close()

    # -- what an algorithm uses ----------------------------------------------------------------------------------------

    def updates(self, optimizer: torch.optim.Optimizer, **modules: nn.Module) -> Iterator[int]:
        """The numbers of the updates that are still to be made, counted from 1.

        Between two of them the run is validated, logged and checkpointed.

        Args:
            optimizer: its state is kept in checkpoints; its learning rates are set here.
            modules: what is trained beside the adapter, by name.
        """
        self._optimizer, self._modules = optimizer, modules
        rates = [group["lr"] for group in optimizer.param_groups]
        if not self._begin():
            return
        while not self._is_over():
            start = time.perf_counter()
            decay = min(1.0, (self.config.updates - self._update) / max(1, self.config.decay_updates))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * decay
            yield self._update + 1
            self._update += 1
            self._end_update(start)
        self._write_results()

    def collect(self, *, keep_hidden: bool = False) -> Rollout:
        """Plays this update's episodes; see :func:`retro_gym_agents.rollout.collect`.

        Raises:
            ActorError: the actor failed on every reflection. The run can be resumed when it can be reached again.
        """
        config, update = self.config, self._update + 1
        rollout = collect(
            self._envs,
            self.reflector,
            seed=config.seed,
            update=update,
            num_samples=config.group_size,
            keep_hidden=keep_hidden,
        )
        if not rollout.valid_N.any():
            raise ActorError(
                f"the actor failed on all {len(rollout.valid_N)} reflections of update {update}. When it can be "
                "reached again, resume the run: it goes on from its last checkpoint."
            )
        self._row = {"update": float(update), "tokens": float(rollout.num_tokens), **rollout.metrics()}
        if config.shuffle_rewards:
            rollout = rollout.with_shuffled_rewards(derive_seed(config.seed, "shuffle", update))
        return rollout

    def log(self, metrics: Mapping[str, float]) -> None:
        """Adds an algorithm's figures to those of this update."""
        if self._row is None:
            raise RuntimeError("collect() comes before log().")
        self._row.update(metrics)

    def result(self) -> TrainResult:
        """What the run has come to; once the updates are made."""
        metrics = self._metrics[-1] if self._metrics else {}
        return TrainResult(self.config.output, self._update, metrics, self._seconds, self._was_finished)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _find_checkpoint(self) -> Checkpoint | None:
        folder = self.config.output
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"output {str(folder)!r} is a file. Give the path of a folder.")
        found = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
        if not self.config.resume:
            if found:
                raise ConfigError(
                    f"output {str(folder)!r} holds {found[:5]} already. Give an empty folder, or resume the run in it."
                )
            return None
        if self._file.name in found:
            return load_checkpoint(self._file, self.config.settings())
        if not set(found) <= _BEFORE_THE_FIRST_CHECKPOINT:
            raise ConfigError(f"output {str(folder)!r} holds {found[:5]} but no checkpoint.pt: there is no run in it.")
        return None

    def _begin(self) -> bool:
        """Takes over the checkpoint or makes the first one; returns False when there is nothing left to do."""
        config, checkpoint = self.config, self._checkpoint
        if checkpoint is not None:
            self._update, self._seconds = checkpoint.update, checkpoint.seconds
            self._metrics, self._best_success = list(checkpoint.metrics), checkpoint.best_success
            self._best = None if checkpoint.best is None else dict(checkpoint.best)
            self._was_finished = checkpoint.finished and self._is_over()
            if self._was_finished:
                say(f"The run in {config.output} is finished after {self._update} updates: nothing is left to do.")
                return False
            self._restore(checkpoint)
        say_what_is_shared(self._envs[0])
        config.output.mkdir(parents=True, exist_ok=True)
        text = json.dumps(config.to_json(), indent=2, sort_keys=True)
        (config.output / "config.json").write_text(text + "\n", encoding="utf-8")
        self._log = RunLog(config.output, config.updates, self._metrics, every=config.log_every)
        if config.validate_every is not None:
            self._validation = Validation(
                config.env_id,
                config.env_kwargs,
                actor=self._envs[0].actor,
                num_tasks=config.validation_tasks,
                seed=config.seed,
            )
        self._settled = self._update, self._records.position
        if checkpoint is None:
            if self._validation is not None:
                self._add_row({"update": 0.0, **self._validate()})
            self._save(finished=False)
        return True

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.reflector.load_adapter_state(checkpoint.adapter, checkpoint.reference)
        for name, module in self._modules.items():
            module.load_state_dict(dict(checkpoint.modules[name]))
        self._optimizer.load_state_dict(dict(checkpoint.optimizer))
        self._records.truncate(checkpoint.records_position)

    def _is_over(self) -> bool:
        limit = self.config.max_minutes
        return self._update >= self.config.updates or (limit is not None and self._seconds >= 60 * limit)

    def _end_update(self, start: float) -> None:
        if self._row is None:
            raise RuntimeError("an update needs collect().")
        row, self._row = self._row, None
        before = self._seconds
        self._seconds = before + time.perf_counter() - start
        row["tokens_per_second"] = row.pop("tokens") / (self._seconds - before)
        every = self.config.validate_every
        if every is not None and (self._update % every == 0 or self._is_over()):
            row.update(self._validate())
            self._seconds = before + time.perf_counter() - start
        self._add_row({**row, "seconds": self._seconds})
        self._settled = self._update, self._records.position
        if self._update % self.config.checkpoint_every == 0:
            self._save(finished=False)

    def _add_row(self, row: dict[str, float]) -> None:
        self._metrics.append(row)
        if self._log is not None:
            self._log.add(row)

    def _validate(self) -> dict[str, float]:
        """Success on the validation tasks; keeps the adapter when it is the best so far."""
        if self._validation is None:
            return {}
        success = self._validation.success(self.reflector)
        if success >= self._best_success:
            self._best_success, self._best = success, self.reflector.adapter_state()
            replace_folder(self.config.output / "best", self.reflector.save)
        return {"validation_success": success}

    def _save(self, *, finished: bool) -> None:
        checkpoint = Checkpoint(
            settings=self.config.settings(),
            update=self._update,
            seconds=self._seconds,
            finished=finished,
            adapter=self.reflector.adapter_state(),
            reference=self.reflector.reference_state or {},
            modules={name: module.state_dict() for name, module in self._modules.items()},
            optimizer=self._optimizer.state_dict(),
            metrics=self._metrics,
            records_position=self._settled[1],
            best=self._best,
            best_success=self._best_success,
        )
        save_checkpoint(checkpoint, self._file)

    def _write_results(self) -> None:
        """The adapters, the value head and the curve; the checkpoint is marked as finished when all of it stands."""
        from retro_gym_agents.curves import draw_learning_curve

        last, output = self.reflector.adapter_state(), self.config.output
        if self._best is not None:
            self.reflector.load_adapter_state(self._best)
            replace_folder(output / "best", self.reflector.save)
            self.reflector.load_adapter_state(last)
        replace_folder(output / "adapter", self._save_adapter)
        title = f"{self.config.algorithm} on {self.config.env_id}"
        draw_learning_curve(self._metrics, output / "curve.png", title)
        self._save(finished=True)

    def _save_adapter(self, folder: Path) -> None:
        self.reflector.save(folder)
        for name, module in self._modules.items():
            torch.save(module.state_dict(), folder / f"{name}.pt")
