"""Agents for retro_gym: the LoRA reflector, its learners, baselines, evaluation and the command ``retro-gym``.

Names are imported at their first use, so that torch is loaded only when a model is needed.

>>> import retro_gym_agents
>>> retro_gym_agents.make_policy("oracle").name
'oracle'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from retro_gym.errors import MissingExtraError

if TYPE_CHECKING:
    from retro_gym_agents.algorithms.ppo import PPOConfig
    from retro_gym_agents.algorithms.reinforce import ReinforceConfig
    from retro_gym_agents.bridges.sb3.policy import LoraCausalPolicy
    from retro_gym_agents.bridges.sb3.vec_env import TokenVecEnv
    from retro_gym_agents.bridges.token_options import token_options
    from retro_gym_agents.bridges.token_policy import TokenPolicy
    from retro_gym_agents.evaluation.causes import CauseReport, cause_reports
    from retro_gym_agents.evaluation.comparison import compare, compare_returns
    from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
    from retro_gym_agents.evaluation.evaluation import Evaluation, EvaluationConfig
    from retro_gym_agents.evaluation.leaks import LeakReport, leak_reports
    from retro_gym_agents.evaluation.plots import draw_learning_curve, draw_success
    from retro_gym_agents.evaluation.results import to_json, write_json
    from retro_gym_agents.evaluation.statistics import (
        Estimate,
        PairedDifference,
        bootstrap_mean,
        gain_share,
        paired_difference,
        sign_test,
        success_rate,
    )
    from retro_gym_agents.evaluation.tables import print_tables
    from retro_gym_agents.evaluation.transitions import Transitions, transition_reports
    from retro_gym_agents.lm.planner import Planner
    from retro_gym_agents.lm.reflector import LoraSettings, Reflector
    from retro_gym_agents.play.collection import CollectConfig, Collection
    from retro_gym_agents.play.policies import (
        BaselinePolicy,
        FunctionPolicy,
        Policy,
        PromptedPolicy,
        ReflectorPolicy,
        make_policy,
    )

__all__ = [
    "BaselinePolicy",
    "CauseReport",
    "CollectConfig",
    "Collection",
    "Estimate",
    "Evaluation",
    "EvaluationConfig",
    "FunctionPolicy",
    "LeakReport",
    "LoraCausalPolicy",
    "LoraSettings",
    "PPOConfig",
    "PairedDifference",
    "Planner",
    "Policy",
    "PromptedPolicy",
    "Reflector",
    "ReflectorPolicy",
    "ReinforceConfig",
    "TokenPolicy",
    "TokenVecEnv",
    "Transitions",
    "bootstrap_mean",
    "cause_reports",
    "compare",
    "compare_returns",
    "draw_learning_curve",
    "draw_success",
    "evaluate",
    "evaluate_all",
    "gain_share",
    "leak_reports",
    "make_policy",
    "paired_difference",
    "print_tables",
    "sign_test",
    "success_rate",
    "to_json",
    "token_options",
    "transition_reports",
    "write_json",
]

_HOMES = {
    name: module
    for module, names in {
        "algorithms.ppo": ("PPOConfig",),
        "algorithms.reinforce": ("ReinforceConfig",),
        "bridges.sb3.policy": ("LoraCausalPolicy",),
        "bridges.sb3.vec_env": ("TokenVecEnv",),
        "bridges.token_options": ("token_options",),
        "bridges.token_policy": ("TokenPolicy",),
        "evaluation.causes": ("CauseReport", "cause_reports"),
        "evaluation.comparison": ("compare", "compare_returns"),
        "evaluation.evaluate": ("evaluate", "evaluate_all"),
        "evaluation.evaluation": ("Evaluation", "EvaluationConfig"),
        "evaluation.leaks": ("LeakReport", "leak_reports"),
        "evaluation.plots": ("draw_learning_curve", "draw_success"),
        "evaluation.statistics": (
            "Estimate",
            "PairedDifference",
            "bootstrap_mean",
            "gain_share",
            "paired_difference",
            "sign_test",
            "success_rate",
        ),
        "evaluation.results": ("to_json", "write_json"),
        "evaluation.tables": ("print_tables",),
        "evaluation.transitions": ("Transitions", "transition_reports"),
        "lm.planner": ("Planner",),
        "lm.reflector": ("LoraSettings", "Reflector"),
        "play.collection": ("CollectConfig", "Collection"),
        "play.policies": (
            "BaselinePolicy",
            "FunctionPolicy",
            "Policy",
            "PromptedPolicy",
            "ReflectorPolicy",
            "make_policy",
        ),
    }.items()
    for name in names
}
_EXTRA = ("torch", "transformers", "peft")  # libraries of the extra [train] that the modules above import


def __getattr__(name: str) -> Any:  # PEP 562: only called for names that are not in the module yet
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
