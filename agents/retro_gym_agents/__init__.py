"""Agents for retro_gym: the LoRA reflector, its learners, baselines, evaluation and the command ``retro-gym``.

Names are imported when they are first used, so that torch is loaded only where a model is.

>>> import retro_gym_agents
>>> retro_gym_agents.make_policy("oracle").name
'oracle'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from retro_gym.errors import MissingExtraError

if TYPE_CHECKING:
    from retro_gym_agents.collect import CollectConfig, Collection
    from retro_gym_agents.comparison import compare, compare_returns
    from retro_gym_agents.curves import draw_learning_curve, draw_success
    from retro_gym_agents.evaluation import Evaluation, EvaluationConfig, evaluate, evaluate_all
    from retro_gym_agents.policies import BaselinePolicy, Policy, ReflectorPolicy, make_policy
    from retro_gym_agents.ppo import PPOConfig
    from retro_gym_agents.reflector import LoraSettings, Reflector
    from retro_gym_agents.reinforce import ReinforceConfig
    from retro_gym_agents.report import print_tables, to_json, write_json
    from retro_gym_agents.sb3 import LoraCausalPolicy
    from retro_gym_agents.sb3_vec import TokenVecEnv
    from retro_gym_agents.statistics import (
        Estimate,
        PairedDifference,
        bootstrap_mean,
        gain_share,
        paired_difference,
        sign_test,
        success_rate,
    )
    from retro_gym_agents.views import token_options

__all__ = [
    "BaselinePolicy",
    "CollectConfig",
    "Collection",
    "Estimate",
    "Evaluation",
    "EvaluationConfig",
    "LoraCausalPolicy",
    "LoraSettings",
    "PPOConfig",
    "PairedDifference",
    "Policy",
    "Reflector",
    "ReflectorPolicy",
    "ReinforceConfig",
    "TokenVecEnv",
    "bootstrap_mean",
    "compare",
    "compare_returns",
    "draw_learning_curve",
    "draw_success",
    "evaluate",
    "evaluate_all",
    "gain_share",
    "make_policy",
    "paired_difference",
    "print_tables",
    "sign_test",
    "success_rate",
    "to_json",
    "token_options",
    "write_json",
]

_HOMES = {
    name: module
    for module, names in {
        "collect": ("CollectConfig", "Collection"),
        "curves": ("draw_learning_curve", "draw_success"),
        "comparison": ("compare", "compare_returns"),
        "evaluation": ("Evaluation", "EvaluationConfig", "evaluate", "evaluate_all"),
        "policies": ("BaselinePolicy", "Policy", "ReflectorPolicy", "make_policy"),
        "ppo": ("PPOConfig",),
        "reflector": ("LoraSettings", "Reflector"),
        "reinforce": ("ReinforceConfig",),
        "report": ("print_tables", "to_json", "write_json"),
        "sb3": ("LoraCausalPolicy",),
        "sb3_vec": ("TokenVecEnv",),
        "statistics": (
            "Estimate",
            "PairedDifference",
            "bootstrap_mean",
            "gain_share",
            "paired_difference",
            "sign_test",
            "success_rate",
        ),
        "views": ("token_options",),
    }.items()
    for name in names
}
_EXTRA = ("torch", "transformers", "peft")  # what [train] brings and the modules above import


def __getattr__(name: str) -> Any:  # PEP 562: only called for names that are not here yet
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _EXTRA:
            raise
        raise MissingExtraError(error.name.partition(".")[0], "train") from error
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
