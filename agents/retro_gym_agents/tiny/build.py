"""Builds the tiny model from scratch: ``python -m retro_gym_agents.tiny.build``.

Supervised imitation, like the first stage of Retroformer and of RetroAct, at small scale. One model learns two roles in
generated worlds that are used for nothing else:

- to *reflect*: the prompt is a failure of the scripted actor, the text to imitate a reflection of the noisy teacher,
  which is well-formed and usually wrong. By default the model never sees a reflection of the oracle: which reflection
  helps is left to the policy gradient;
- to *play*: the prompt is that of a planner, zero-shot, before any trial or after failed ones with the noisy teacher's
  reflections; the text to imitate is the scripted actor's thought and action.

A build can be stopped at any time and goes on with ``--resume``; every step derives its randomness from the seed and
its number, so the weights are those of a build without interruption.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.finite import check_finite
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.runs.checkpoints import Checkpoint, find_checkpoint, replace_folder, save_checkpoint
from retro_gym_agents.tiny.lessons import Batch, Failure, Played, Stream, batches_from
from retro_gym_agents.tiny.losses import play_loss, reflect_loss, reply_ids
from retro_gym_agents.tiny.model import begin_alike, make_model
from retro_gym_agents.tiny.quality import greedy_planner, measure_all, quality_table
from retro_gym_agents.tiny.settings import BuildConfig
from retro_gym_agents.tiny.tokenizer import build_tokenizer

__all__ = ["BuildConfig", "build"]

_MODEL = "model"  # folder within the output
_CHECKPOINT = Path("state") / "checkpoint.pt"
_ROOM = 1.25  # the limit of a reply's tokens, relative to the longest of the first lessons
_PACKAGED = Path(__file__).parent / "weights"


def build(config: BuildConfig) -> Path:
    """Builds the model, or goes on with it, and prints its quality when it is finished.

    Returns:
        The folder of the model.

    Raises:
        ConfigError: the folder holds another build, or none to resume.
        CheckpointError: the build was started with other settings.
        DivergedError: the loss is not finite.
    """
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision("medium")  # products in bfloat16 where the processor has them: 3 times as fast
    torch.set_flush_denormal(True)  # sharp attention gives denormal numbers, which are slow on CPUs
    try:
        run = _Build(config, Console(stderr=True))
        if not run.finished:
            run.train()
        if run.finished and config.install:
            shutil.copytree(config.output / _MODEL, _PACKAGED, dirs_exist_ok=True)
    finally:
        torch.set_flush_denormal(False)  # these settings affect the whole process
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
    return config.output / _MODEL


class _Build:
    """The state of a build: weights, optimisers, the number of steps made, and the losses so far."""

    def __init__(self, config: BuildConfig, console: Console) -> None:
        self.config, self.console = config, console
        self.checkpoint = config.output / _CHECKPOINT
        found = find_checkpoint(self.checkpoint.parent, config.settings(), resume=config.resume)
        self.step, self.seconds, self.finished, self.losses = 0, 0.0, False, list[dict[str, float]]()
        if found is None:
            self.tokenizer, self.model = _begin(config) if config.start is None else _load(config.start)
        else:
            self.tokenizer, self.model = _load(config.output / _MODEL)
            self.model.load_state_dict(found.adapter)
        self.model.to(config.device)
        self.optimizers = _optimizers(self.model, config)
        self.model.train()
        if found is None:
            self.save_model()  # before the first checkpoint, since a resumed build reads the tokenizer from there
            self.save()
        else:
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(found.optimizer[name])
            self.step, self.seconds, self.finished = found.update, found.seconds, found.finished
            self.losses = found.metrics
        weights = sum(p.numel() for p in self.model.parameters())
        self.say(f"{weights:,} weights, {len(self.tokenizer):,} tokens; {self.step} of {config.steps} steps are made")

    def train(self) -> None:
        """Makes the remaining steps, or as many as the time limit allows."""
        config, began, before = self.config, time.monotonic(), self.seconds
        saved = began
        with closing(batches_from(config, self.step + 1)) as batches:
            while self.step < config.steps:
                self.learn(*next(batches))
                now = time.monotonic()
                self.seconds = before + now - began
                if self.step % config.log_every == 0:
                    self.report()
                if config.measure_every and self.step % config.measure_every == 0 and self.step < config.steps:
                    self.save_model()
                    self.measure()
                over = config.max_minutes is not None and now - began >= 60 * config.max_minutes
                if over or now - saved >= 60 * config.save_minutes:
                    self.save()
                    saved = now
                if over and self.step < config.steps:
                    self.say(f"stopped after {self.step} of {config.steps} steps; go on with --resume")
                    return
        self.save_model()
        self.finished = True
        self.save()
        if config.measure_every:
            self.measure()

    def learn(self, stream: Stream, batch: Batch) -> None:
        """Makes the next step."""
        config, self.step = self.config, self.step + 1
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(config, self.step)
        loss, total = self.loss(batch)
        check_finite({"loss": loss.item()})
        self.model.zero_grad()
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.grad_clip)
        for optimizer in self.optimizers.values():
            optimizer.step()
        self.losses.append({"update": self.step, str(stream): loss.item()})

    def loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Returns the loss to report and the one to minimise."""
        config = self.config
        trials = [one for one in batch if isinstance(one, Played)]
        if trials:
            loss = play_loss(self.model, self.tokenizer, trials, config.longest)
            return loss, loss
        rng = np.random.default_rng(derive_seed(config.seed, "oracle", self.step))
        failures = [one for one in batch if isinstance(one, Failure)]
        lessons = _with_oracle(failures, _oracle_share(config, self.step), rng)
        generator = torch.Generator().manual_seed(derive_seed(config.seed, "columns", self.step))
        return reflect_loss(self.model, self.tokenizer, lessons, config, generator)

    def report(self) -> None:
        """Prints the mean loss of each stream since the last report."""
        recent: defaultdict[str, list[float]] = defaultdict(list)
        for row in self.losses[-self.config.log_every :]:
            for name, value in row.items():
                recent[name].append(value)
        del recent["update"]
        losses = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in sorted(recent.items()))
        pace = self.seconds / self.step
        self.say(f"step {self.step} of {self.config.steps}, {self.seconds / 60:.1f} min, {pace:.2f} s a step: {losses}")

    def measure(self) -> None:
        """Prints the quality of the present weights on validation tasks."""
        config, name = self.config, str(self.config.output / _MODEL)
        found = measure_all(
            Reflector(self.model, self.tokenizer, name=name, lora=None),
            greedy_planner(self.model, self.tokenizer, name) if config.play_share else None,
            config.env_ids,
            split="validation",
            num_tasks=config.measure_tasks,
            seed=config.seed + 1,
        )
        self.console.print(
            quality_table(found, title=f"step {self.step}, {config.measure_tasks} validation tasks, in %")
        )
        self.model.train()

    def save_model(self) -> None:
        """Replaces the model in the output folder."""

        def write(folder: Path) -> None:
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)

        replace_folder(self.config.output / _MODEL, write)

    def save(self) -> None:
        """Replaces the checkpoint."""
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        state = Checkpoint(
            settings=self.config.settings(),
            update=self.step,
            seconds=self.seconds,
            finished=self.finished,
            adapter=self.model.state_dict(),
            reference={},
            modules={},
            optimizer={name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            metrics=self.losses,
            records_position=0,
        )
        save_checkpoint(state, self.checkpoint)

    def say(self, text: str) -> None:
        """Prints a line, without rich's colours and line breaks."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _begin(config: BuildConfig) -> tuple[Any, Any]:
    """Returns a new tokenizer and an untrained model."""
    tokenizer, limit = _tokenizer(config)
    special = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    model = make_model(len(tokenizer), config.shape, special, config.seed)
    begin_alike(model, tokenizer)
    model.generation_config.update(
        do_sample=True, temperature=config.temperature, top_k=0, top_p=1.0, max_new_tokens=limit
    )
    return tokenizer, model


def _tokenizer(config: BuildConfig) -> tuple[Any, int]:
    """Builds the tokenizer from the first lessons. Also returns the limit of a reply's tokens."""
    texts: list[str] = []
    replies: list[str] = []
    # Few lessons of each world, so that its names are rare among the texts.
    few = dataclasses.replace(config, failures_per_step=1, trials_per_step=1)
    with closing(batches_from(few, 1)) as batches:
        for _, batch in batches:
            for lesson in batch:
                if isinstance(lesson, Failure):
                    texts.append(" ".join([lesson.observation, *lesson.reflections]))
                    replies += lesson.reflections
                else:
                    texts.append(lesson.opening + "".join(said + then for said, then in lesson.turns))
                    replies += [said for said, _ in lesson.turns]
            if len(texts) >= config.tokenizer_texts:
                break
    tokenizer = build_tokenizer(texts)
    longest = max(map(len, reply_ids(tokenizer, [f" {text}" for text in replies])))
    return tokenizer, 8 * math.ceil(_ROOM * longest / 8)


def _load(folder: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


def _optimizers(model: Any, config: BuildConfig) -> dict[str, torch.optim.Optimizer]:
    """Returns Muon (Jordan et al. 2024) for the matrices inside the layers, and AdamW for the rest.

    On the same failures of WebShop, the loss after 160 steps was 0.58 with Muon and 0.73 with AdamW alone.
    """
    rest: list[torch.nn.Parameter] = []
    matrices: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else rest).append(parameter)
    return {
        "adamw": torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
        # update size matched to AdamW's, so that both use one learning rate
        "muon": torch.optim.Muon(matrices, lr=config.learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    }


def _oracle_share(config: BuildConfig, step: int) -> float:
    beyond = step / config.steps - config.oracle_until
    return config.oracle_share * min(1.0, max(0.0, 1 - 6 * beyond))


def _with_oracle(failures: list[Failure], share: float, rng: np.random.Generator) -> list[Failure]:
    """Replaces some of the teacher's reflections by the oracle's."""
    return [
        dataclasses.replace(
            one, reflections=tuple(one.oracle if rng.random() < share else text for text in one.reflections)
        )
        for one in failures
    ]


def _learning_rate(config: BuildConfig, step: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * min(1.0, step / max(1, config.warmup_steps)) * (0.95 * cosine + 0.05)


if __name__ == "__main__":
    build(tyro.cli(BuildConfig, description=__doc__))
