"""Registers the environment ids with entry points as strings, so that nothing is imported before ``gym.make``."""

from __future__ import annotations

import gymnasium as gym

__all__ = ["RETRO_IDS", "TASK_IDS", "register_all", "register_retro", "retro_id_of"]

TASK_IDS: dict[str, str] = {
    "HotpotQA-v0": "retro_gym_envs.hotpotqa:HotpotQAEnv",
    "ALFWorld-v0": "retro_gym_envs.alfworld:ALFWorldEnv",
    "WebShop-v0": "retro_gym_envs.webshop:WebShopEnv",
    "InterCodeSQL-v0": "retro_gym_envs.intercode_sql:InterCodeSQLEnv",
    "Mix-v0": "retro_gym_envs.mix:MixEnv",
    "Identity-v0": "retro_gym.testing:IdentityEnv",
}
"""Task environments: id to entry point."""

RETRO_IDS: dict[str, str] = {f"Retro{task_id}": task_id for task_id in TASK_IDS}
"""Meta-environments: id to the id of the wrapped task environment."""


def register_all() -> None:
    """Registers every id; called when ``retro_gym`` is imported. Idempotent."""
    for task_id, entry_point in TASK_IDS.items():
        if task_id not in gym.registry:
            gym.register(id=task_id, entry_point=entry_point)
    for retro_id, task_id in RETRO_IDS.items():
        if retro_id not in gym.registry:
            register_retro(retro_id, task_id)


def register_retro(retro_id: str, task_id: str) -> None:
    """Registers the meta-environment of a task environment."""
    gym.register(
        id=retro_id,
        entry_point="retro_gym.env:RetroEnv",
        vector_entry_point="retro_gym.vector:RetroVectorEnv",
        kwargs={"task_env": task_id},
    )


def retro_id_of(task_id: str) -> str:
    """Returns the id of the meta-environment of a task environment.

    >>> retro_id_of("HotpotQA-v0"), retro_id_of("mine/Chess-v0")
    ('RetroHotpotQA-v0', 'mine/RetroChess-v0')
    """
    namespace, slash, name = task_id.rpartition("/")
    return f"{namespace}{slash}Retro{name}"
