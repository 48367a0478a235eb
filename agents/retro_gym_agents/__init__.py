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
    from retro_gym_agents.collect import CollectConfig, Collection, collect
    from retro_gym_agents.curves import draw_learning_curve, draw_success
    from retro_gym_agents.evaluation import Evaluation, EvaluationConfig, compare, evaluate, evaluate_all
    from retro_gym_agents.policies import BaselinePolicy, Policy, ReflectorPolicy, make_policy
    from retro_gym_agents.ppo import PPOConfig
    from retro_gym_agents.reflector import LoraSettings, Reflector
    from retro_gym_agents.reinforce import ReinforceConfig
    from retro_gym_agents.report import print_tables, to_json, write_json
    from retro_gym_agents.statistics import Estimate, bootstrap_mean, gain_share, paired_difference

__all__ = [
    "BaselinePolicy",
    "CollectConfig",
    "Collection",
    "Estimate",
    "Evaluation",
    "EvaluationConfig",
    "LoraSettings",
    "PPOConfig",
    "Policy",
    "Reflector",
    "ReflectorPolicy",
    "ReinforceConfig",
    "bootstrap_mean",
    "collect",
    "compare",
    "draw_learning_curve",
    "draw_success",
    "evaluate",
    "evaluate_all",
    "gain_share",
    "make_policy",
    "paired_difference",
    "print_tables",
    "to_json",
    "write_json",
]

_HOMES = {
    "BaselinePolicy": "policies",
    "CollectConfig": "collect",
    "Collection": "collect",
    "Estimate": "statistics",
    "Evaluation": "evaluation",
    "EvaluationConfig": "evaluation",
    "LoraSettings": "reflector",
    "PPOConfig": "ppo",
    "Policy": "policies",
    "Reflector": "reflector",
    "ReflectorPolicy": "policies",
    "ReinforceConfig": "reinforce",
    "bootstrap_mean": "statistics",
    "collect": "collect",
    "compare": "evaluation",
    "draw_learning_curve": "curves",
    "draw_success": "curves",
    "evaluate": "evaluation",
    "evaluate_all": "evaluation",
    "gain_share": "statistics",
    "make_policy": "policies",
    "paired_difference": "statistics",
    "print_tables": "report",
    "to_json": "report",
    "write_json": "report",
}
"""The module that each public name comes from. ``collect`` is also a module's name; the function is left in it."""
