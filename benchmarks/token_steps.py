"""Stable-Baselines3's PPO on TokenEnv: the incremental policy beside one that reads the whole prompt for every token.

    python -m benchmarks.token_steps

A model with random weights, prompts of random words, RetroIdentity-v0 behind them; the two policies take turns.
"""

from __future__ import annotations

import dataclasses
import statistics
import time

import gymnasium as gym
import torch
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks import training_speed
from retro_gym import TokenEnv
from retro_gym_agents.sb3 import LoraCausalPolicy


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    prompt: int = 512
    """Tokens of a prompt."""
    tokens: int = 48
    """New tokens of a reflection."""
    envs: int = 4
    """Environments side by side."""
    layers: int = 2
    """Of the model."""
    hidden: int = 128
    """Its width."""
    repeats: int = 5
    """Turns of each policy: a rollout of one reflection in every environment, and one epoch on it."""
    threads: int = 2
    """Of torch."""


class Words(gym.ObservationWrapper[str, str, str]):
    """Failures as random words, of so many tokens."""

    def __init__(self, env: gym.Env[str, str], text: str) -> None:
        super().__init__(env)
        self._text = text

    def observation(self, observation: str) -> str:
        """Always the same words."""
        return self._text


def main(config: Config) -> None:
    """Measures and prints."""
    torch.set_num_threads(config.threads)
    models = {name: make(config, incremental=name == "incremental") for name in ("incremental", "naive")}
    callbacks = {name: model._setup_learn(10**9)[1] for name, model in models.items()}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in models}
    for turn in range(config.repeats + 1):
        for name, model in models.items():
            start = time.perf_counter()
            assert model.env is not None
            model.collect_rollouts(model.env, callbacks[name], model.rollout_buffer, config.tokens)
            middle = time.perf_counter()
            model.train()
            if turn:
                seconds[name].append((middle - start, time.perf_counter() - middle))
    Console().print(table(config, seconds))


def make(config: Config, *, incremental: bool) -> PPO:
    """SB3's PPO on the model."""
    shape = training_speed.Config(
        prompt=config.prompt, tokens=config.tokens, prompts=1, layers=config.layers, hidden=config.hidden
    )
    reflector = training_speed.make_reflector(shape)
    (text,) = training_speed.make_texts(shape)

    def env() -> gym.Env[object, object]:
        words = Words(gym.make("RetroIdentity-v0", max_reflections=1, disable_env_checker=True), text)
        return TokenEnv(words, reflector.tokenizer, max_prompt_tokens=config.prompt, max_new_tokens=config.tokens)

    return PPO(
        LoraCausalPolicy,
        DummyVecEnv([env] * config.envs),
        policy_kwargs={"reflector": reflector, "incremental": incremental},
        n_steps=config.tokens,
        batch_size=config.tokens * config.envs,
        n_epochs=1,
        gamma=1.0,
        seed=0,
        device="cpu",
    )


def table(config: Config, seconds: dict[str, list[tuple[float, float]]]) -> Table:
    """Token-steps per second, and how many times those of the naive policy."""
    steps = config.tokens * config.envs
    rows = Table("", "rollout, token-steps/s", "update", "whole", "ratio", title=f"prompt {config.prompt}")
    medians = {
        name: (
            statistics.median(rollout for rollout, _ in turns),
            statistics.median(update for _, update in turns),
            statistics.median(rollout + update for rollout, update in turns),
        )
        for name, turns in seconds.items()
    }
    for name, figures in medians.items():
        ratio = medians["naive"][2] / figures[2]
        rows.add_row(name, *(f"{steps / figure:,.1f}" for figure in figures), f"{ratio:.1f}")
    return rows


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
