"""The command that makes a run again, from its settings."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shlex
from collections.abc import Mapping
from typing import Any

__all__ = ["command_of"]

_CONFIGS = {
    "reinforce": "ReinforceConfig",
    "ppo": "PPOConfig",
    "imitation": "ImitationConfig",
    "retroact": "RetroActConfig",
}
"""The algorithms that a command runs, each in a module of the same name, and their config classes."""
_OPTIONS = {
    "train": (
        *("reflector", "seed", "updates", "max_minutes", "num_prompts", "group_size", "kl_coef", "temperature"),
        *("max_new_tokens", "validate_every", "shuffle_rewards"),
    ),
    "imitate": ("model", "role", "seed", "epochs", "batch_size", "held_out", "min_rating", "successful"),
    "retroact": (
        *("model", "adapters", "expert", "seed", "expert_episodes", "imitation_updates", "rounds", "episodes"),
        *("updates", "max_reflections", "imitation_weight"),
    ),
}
"""Options of each command that have the name of the setting."""
_APART = (
    *("algorithm", "output", "resume", "device", "log_every", "checkpoint_every", "micro_prompts", "micro_tokens"),
    *("env_id", "env_kwargs", "actor", "actor_kwargs", "records", "lora", "learning_rate", "learn", "server"),
    *("explorers",),
)
"""Settings that have no effect on the result, or are written otherwise."""
_ALWAYS = ("reflector", "model", "seed")


def command_of(config: Mapping[str, Any]) -> str | None:
    """Returns the command line that makes a run with these settings; None for a run that no command makes.

    Settings that are the defaults are left out, and so are those of the machine.

    Args:
        config: what is in the ``config.json`` of the run.

    >>> command_of({"algorithm": "something else"}) is None
    True
    """
    algorithm = config.get("algorithm")
    if algorithm not in _CONFIGS or config.get("start") is not None:  # which no option sets
        return None
    command = {"imitation": "imitate", "retroact": "retroact"}.get(algorithm, "train")
    defaults = _defaults(algorithm)
    if not config.keys() <= {*defaults, "algorithm"}:  # of a stage of a longer method
        return None
    changed = [name for name, value in config.items() if name in defaults and value != defaults[name]]
    words = ["retro-gym", command]
    words += [str(each) for each in config.get("records", ())]
    words += [config["env_id"]] if "env_id" in config and command != "imitate" else []
    words += ["--algo", algorithm] if command == "train" else []
    for name in (*_ALWAYS, *changed):
        if name in _OPTIONS[command] and name in config and f"--{_dashed(name)}" not in words:
            words += _option(name, config[name])
    words += _of_the_actor(config)
    words += ["--env-kwargs", json.dumps(config["env_kwargs"])] if config.get("env_kwargs") else []
    words += ["--learn", *config["learn"]] if "learn" in changed else []
    words += ["--lr", str(config["learning_rate"])] if "learning_rate" in changed else []
    rank = (config.get("lora") or {}).get("rank")
    words += ["--lora-rank", str(rank)] if rank not in (None, 8) else []
    others = [name for name in changed if name not in (*_OPTIONS[command], *_APART)]
    words += ["--set", *(f"{name}={_plain(config[name])}" for name in others)] if others else []
    return shlex.join([*words, "--output", "runs/again"])


def _defaults(algorithm: str) -> dict[str, Any]:
    """Returns the settings' defaults, in JSON types; None for those that have none."""
    kind = getattr(importlib.import_module(f"retro_gym_agents.algorithms.{algorithm}"), _CONFIGS[algorithm])
    found = {}
    for field in dataclasses.fields(kind):
        made = field.default_factory
        found[field.name] = field.default if made is dataclasses.MISSING else made()
    plain: dict[str, Any] = json.loads(json.dumps(found, default=lambda value: None))
    return plain


def _of_the_actor(config: Mapping[str, Any]) -> list[str]:
    words = [] if config.get("actor", "scripted") == "scripted" else ["--actor", config["actor"]]
    return [*words, "--actor-kwargs", json.dumps(config["actor_kwargs"])] if config.get("actor_kwargs") else words


def _option(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{_dashed(name)}"] if value else []
    return [] if value is None else [f"--{_dashed(name)}", str(value)]


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
