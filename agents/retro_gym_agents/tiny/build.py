"""Builds the tiny reflector from scratch: ``python -m retro_gym_agents.tiny.build``.

Supervised imitation of the noisy teacher, like the first stage of Retroformer (SFT), at small scale: every step uses
new worlds, failed trajectories of the scripted actor as prompts, and several reflections of the teacher on each. The
model learns the form of reflections: sentence patterns, copying names from the prompt, the attributes of each kind of
object. At first some of the reflections are the oracle's, so that it learns which words of a question matter. Later it
imitates only the teacher, which mostly follows fixed habits instead and is usually wrong. Learning which reflection
helps is left to the policy gradient.

Takes about 90 minutes on two cores. Prints the quality that the included model must reach, on unseen worlds.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import tyro
from rich.console import Console
from torch import Tensor
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.env import RetroEnv
from retro_gym.seeding import derive_seed
from retro_gym_agents.lm.batching import Prompts
from retro_gym_agents.lm.packing import pack
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.tiny.model import TinyShape, make_model
from retro_gym_agents.tiny.quality import measure
from retro_gym_agents.tiny.tokenizer import build_tokenizer

__all__ = ["BuildConfig", "build"]


@dataclasses.dataclass(frozen=True)
class BuildConfig:
    """Settings of the build."""

    output: Path = Path(__file__).parent / "weights"
    """Folder for the model; by default that of the package."""
    start: Path | None = None
    """Folder of an earlier build to continue from, with its tokenizer; from scratch by default."""
    env_ids: tuple[str, ...] = (
        "RetroHotpotQA-v0",
        "RetroALFWorld-v0",
        "RetroWebShop-v0",
        "RetroInterCodeSQL-v0",
        "RetroMix-v0",
    )
    """Environments that failures come from, in turn; their task environments must take a ``world_seed``."""
    steps: int = 9_000
    """Optimiser steps."""
    prompts_per_step: int = 10
    """Failed trajectories per step."""
    reflections_per_prompt: int = 8
    """The teacher's reflections on each trajectory; they share the prompt's computation."""
    second_failures: float = 0.15
    """Probability that the trial after the teacher's reflection is also used, if it failed too."""
    oracle_share: float = 0.7
    """Initial share of the oracle's reflections. The model learns from these what a question asks for; it did not learn
    this from the teacher alone, which is mostly wrong, in any number of steps that was tried."""
    oracle_until: float = 0.5
    """Share of all steps after which the oracle's share declines; it is 0 after a further sixth of the steps."""
    prompt_weight: float = 0.2
    """Weight of the loss on the prompts' tokens, relative to that on the reflections' tokens."""
    prompt_share: float = 0.25
    """Share of the prompts' tokens in the loss."""
    learning_rate: float = 2e-3
    """Peak learning rate; linear warm-up, then cosine decay to a twentieth."""
    warmup_steps: int = 100
    """Number of warm-up steps."""
    grad_clip: float = 1.0
    """Maximum gradient norm."""
    tokenizer_texts: int = 3_000
    """Number of failures for building the tokenizer."""
    temperature: float = 0.8
    """Stored in the generation config, for sampling in training and evaluation. At 1.0, up to one reflection in ten
    names something that is not in the trajectory."""
    max_new_tokens: int = 40
    """Stored in the generation config; the teacher's reflections have up to 34 tokens."""
    measure_every: int = 1_500
    """Steps between measurements on validation tasks, and between checkpoints."""
    seed: int = 0
    """Seed of weights, worlds and teacher."""
    shape: TinyShape = dataclasses.field(default_factory=TinyShape)
    """Sizes of the network."""


def build(config: BuildConfig) -> Path:
    """Trains the model, saves it and prints its quality.

    Returns:
        The output folder.
    """
    torch.set_flush_denormal(True)  # sharp attention gives denormal numbers, which are slow on CPUs
    try:
        _train(config, Console(stderr=True))
    finally:
        torch.set_flush_denormal(False)  # the setting affects the whole process
    return config.output


def _train(config: BuildConfig, console: Console) -> None:
    batches = _batches(config)
    tokenizer, model = _begin(config, batches) if config.start is None else _load(config.start)
    console.print(f"{sum(p.numel() for p in model.parameters()):,} weights, {len(tokenizer):,} tokens")
    optimizers = _optimizers(model, config)
    mixer = np.random.default_rng(derive_seed(config.seed, "oracle"))
    columns = torch.Generator().manual_seed(derive_seed(config.seed, "columns"))
    start, losses = time.perf_counter(), []
    for step in range(1, config.steps + 1):
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            group["lr"] = _learning_rate(config, step)
        lessons = _with_oracle(next(batches), _oracle_share(config, step), mixer)
        loss, total = _loss(model, tokenizer, lessons, config, columns)
        model.zero_grad()
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.item())
        if step % config.measure_every == 0 or step == config.steps:
            _save(model, tokenizer, config)
            mean = sum(losses[-config.measure_every :]) / len(losses[-config.measure_every :])
            console.print(f"step {step}, {time.perf_counter() - start:.0f} s: loss {mean:.3f}")
            reflector = Reflector(model, tokenizer, name=str(config.output), lora=None)
            for env_id in config.env_ids:
                quality = measure(reflector, env_id, split="validation", num_tasks=200, seed=config.seed)
                console.print(f"  {env_id}: {quality}")
            model.train()
    reflector = Reflector.load(config.output, lora=None)
    for env_id in config.env_ids:
        for split in ("validation", "test"):
            quality = measure(reflector, env_id, split=split, num_tasks=500, seed=config.seed + 1)
            console.print(f"{env_id}, {split}: {quality}")


def _begin(config: BuildConfig, batches: Iterator[list[_Lesson]]) -> tuple[Any, Any]:
    """Returns a tokenizer built from the first lessons, and an untrained model."""
    texts: list[str] = []
    while len(texts) < config.tokenizer_texts:
        texts += [f"{lesson.observation} {' '.join(lesson.reflections)}" for lesson in next(batches)]
    tokenizer = build_tokenizer(texts)
    special = (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id)
    return tokenizer, make_model(len(tokenizer), config.shape, special, config.seed)


def _optimizers(model: Any, config: BuildConfig) -> list[torch.optim.Optimizer]:
    """Returns Muon (Jordan et al. 2024) for the matrices inside the layers, and AdamW for the rest.

    On the same failures of WebShop, the loss after 160 steps was 0.58 with Muon and 0.73 with AdamW alone.
    """
    rest: list[torch.nn.Parameter] = []
    matrices: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (matrices if parameter.ndim == 2 and ".layers." in name else rest).append(parameter)
    return [
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
        # update size matched to AdamW's, so that both use one learning rate
        torch.optim.Muon(matrices, lr=config.learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]


def _load(folder: Path) -> tuple[Any, Any]:
    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)


@dataclasses.dataclass(frozen=True)
class _Lesson:
    """A failure with the teacher's and the oracle's reflections on it."""

    observation: str
    reflections: list[str]
    oracle: str


def _batches(config: BuildConfig) -> Iterator[list[_Lesson]]:
    """Yields batches of the environments in turn."""
    sources = [_batches_of(env_id, config) for env_id in config.env_ids]
    while True:
        for source in sources:
            yield next(source)


def _batches_of(env_id: str, config: BuildConfig) -> Iterator[list[_Lesson]]:
    """Yields lessons of an environment, in batches of similar length to reduce padding."""
    waiting: dict[int, list[_Lesson]] = {}
    for lesson in _lessons(env_id, config):
        size = round(2 * math.log2(len(lesson.observation)))  # within a factor of the square root of two
        batch = waiting.setdefault(size, [])
        batch.append(lesson)
        if len(batch) == config.prompts_per_step:
            yield waiting.pop(size)


def _lessons(env_id: str, config: BuildConfig) -> Iterator[_Lesson]:
    """Yields first failures, and sometimes the second failure on the same task, from an endless series of worlds."""
    world = 0
    while True:
        world += 1  # world 0 is the default, used for training and evaluation of reflectors
        env: Any = gym.make(env_id, world_seed=world, split="train").unwrapped
        rng = np.random.default_rng(derive_seed(config.seed, "world", world))
        task_ids = env.task_env.task_ids("train")
        for index in rng.permutation(len(task_ids)):
            seed = int(rng.integers(2**31))
            observation, info = env.reset(seed=seed, options={"task_id": task_ids[int(index)]})
            if info["success"]:
                continue
            first = _lesson(env, observation, rng, config.reflections_per_prompt)
            yield first
            if rng.random() < config.second_failures:
                observation, _, terminated, _, _ = env.step(first.reflections[0])
                if not terminated:
                    yield _lesson(env, observation, rng, config.reflections_per_prompt)


def _lesson(env: RetroEnv, observation: str, rng: np.random.Generator, count: int) -> _Lesson:
    trajectory = env.trajectory
    reflections = [env.task_env.teacher.noisy_reflection(trajectory, rng) for _ in range(count)]
    return _Lesson(observation, reflections, env.task_env.teacher.oracle_reflection(trajectory.task_id))


def _oracle_share(config: BuildConfig, step: int) -> float:
    beyond = step / config.steps - config.oracle_until
    return config.oracle_share * min(1.0, max(0.0, 1 - 6 * beyond))


def _with_oracle(lessons: list[_Lesson], share: float, rng: np.random.Generator) -> list[_Lesson]:
    """Replaces some of the teacher's reflections by the oracle's."""
    return [
        dataclasses.replace(
            lesson, reflections=[lesson.oracle if rng.random() < share else text for text in lesson.reflections]
        )
        for lesson in lessons
    ]


def _loss(
    model: Any, tokenizer: Any, lessons: list[_Lesson], config: BuildConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Returns the mean negative log-likelihood of the teacher's tokens, without and with that of the prompts' tokens.

    Each prompt is packed with its reflections and computed once. Most names occur in a prompt more than once, so
    predicting the prompts too preserves the network's ability to copy while it learns to write; a random part of their
    tokens is enough.
    """
    bos, eos, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    prompts = Prompts.from_rows([[bos, *tokenizer(lesson.observation)["input_ids"]] for lesson in lessons], pad, "cpu")
    rows = [[*tokenizer(f" {text}")["input_ids"], eos] for lesson in lessons for text in lesson.reflections]
    width = max(map(len, rows))
    tokens_NT = torch.tensor([row + [pad] * (width - len(row)) for row in rows])
    mask_NT = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])

    packed = pack(prompts, tokens_NT, mask_NT)
    last, total = packed.prompt_width - 1, packed.ids_PL.shape[1]
    some = (torch.rand(last, generator=generator) < config.prompt_share).nonzero()[:, 0]
    logits_PCV = model(
        packed.ids_PL,
        attention_mask=packed.mask(model.dtype),
        position_ids=packed.positions_PL,
        logits_to_keep=torch.cat([some, torch.arange(last, total)]),
    ).logits
    prompt_PCV, first_PV, rest_PMV = logits_PCV.tensor_split([len(some), len(some) + 1], 1)
    first_PKV = first_PV.expand(-1, packed.first_PK.shape[1], -1)
    told_PM = packed.group_PL[:, last + 1 :] > 0
    loss = functional.cross_entropy(
        torch.cat([first_PKV.flatten(0, 1), rest_PMV[told_PM]]),
        torch.cat([packed.first_PK.flatten(), packed.targets_PM[told_PM]]),
    )
    known_PC = prompts.mask_PS[:, some]
    prompt_loss = functional.cross_entropy(prompt_PCV[known_PC], prompts.ids_PS[:, some + 1][known_PC], reduction="sum")
    return loss, loss + config.prompt_weight * prompt_loss / max(1, int(known_PC.sum()))


def _learning_rate(config: BuildConfig, step: int) -> float:
    cosine = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    return config.learning_rate * min(1.0, step / config.warmup_steps) * (0.95 * cosine + 0.05)


def _save(model: Any, tokenizer: Any, config: BuildConfig) -> None:
    model.generation_config.update(
        do_sample=True, temperature=config.temperature, top_k=0, top_p=1.0, max_new_tokens=config.max_new_tokens
    )
    model.save_pretrained(config.output)
    tokenizer.save_pretrained(config.output)


if __name__ == "__main__":
    build(tyro.cli(BuildConfig, description=__doc__))
