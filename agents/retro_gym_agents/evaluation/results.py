"""The result of an evaluation as JSON: the same byte by byte for the same seed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym_agents.evaluation.comparison import compare, compare_returns, compared_pairs, gain_shares
from retro_gym_agents.evaluation.evaluation import Evaluation
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.statistics import Estimate

__all__ = ["to_json", "write_json"]

_DIGITS = 6  # of the figures in JSON: far below any interval, far above the noise of float arithmetic


def to_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """One evaluation as a flat object; several as ``policies``, with their paired differences and gain shares.

    Rates are in [0, 1], differences too (0.25 is 25 points), gain shares in percent; lists go by trial, trial 0
    first. What could not be scored is null. Differences come with the tasks won, lost and tied, and with the p-value
    of the exact sign test on those won and lost; beside their score interval stands the bootstrap's over tasks, and
    the difference of the mean returns with its own.

    Raises:
        ConfigError: there is no evaluation, or they are of different configs.
    """
    if not evaluations:
        raise ConfigError("there is no evaluation to report.")
    if len(evaluations) == 1:
        return _flat(evaluations[0])
    config = evaluations[0].config
    if any(evaluation.config != config for evaluation in evaluations):
        raise ConfigError("the evaluations are of different configs; evaluate all policies with one.")
    return {
        "env_id": config.env_id,
        "split": config.split,
        "seed": config.seed,
        "num_tasks": len(evaluations[0].tasks),
        "policies": [_flat(evaluation) for evaluation in evaluations],
        "paired": [
            {
                "reflector": one.reflector,
                "against": other.reflector,
                **_differences(one, other),
                "groups": {group: _differences(one, other, group) for group in one.groups},
            }
            for one, other in compared_pairs(evaluations)
        ],
        "gain_share": {
            name: [None if share is None else round(share, _DIGITS) for share in shares]
            for name, shares in gain_shares(evaluations).items()
        },
    }


def write_json(evaluations: Sequence[Evaluation], path: str | os.PathLike[str]) -> None:
    """Writes :func:`to_json` to a file, whole or not at all.

    Raises:
        ConfigError: nothing can be written there.
    """
    target = check_output(path)
    text = json.dumps(to_json(evaluations), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(target)


def _flat(evaluation: Evaluation) -> dict[str, Any]:
    config, stats = evaluation.config, evaluation.stats
    return {
        "env_id": config.env_id,
        "reflector": evaluation.reflector,
        "split": config.split,
        "seed": config.seed,
        "num_tasks": len(evaluation.tasks),
        "trials": config.trials,
        "actor": evaluation.actor,
        "actor_parameters": dict(evaluation.actor_parameters),
        "reflector_source": evaluation.reflector_source,
        "env_kwargs": config.plain_kwargs,
        **_scores(evaluation, None),
        "actor_calls": stats.calls,
        "actor_errors": stats.errors,
        "cut_replies": stats.cut,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "reflector_tokens": evaluation.reflector_tokens,
        "refused": evaluation.refusal,
        "lost": [{"num_tasks": count, "first": first} for count, first in evaluation.error_kinds],
        "ends_at_trial": evaluation.ends_at_trial,
        "groups": {
            group: {"num_tasks": evaluation.size(group), **_scores(evaluation, group)} for group in evaluation.groups
        },
        "tasks": [dataclasses.asdict(task) for task in evaluation.tasks],
    }


def _scores(evaluation: Evaluation, group: str | None) -> dict[str, Any]:
    if evaluation.refusal is not None:
        return {"success_at_trial": None, "ci95": None, "mean_return_at_trial": None}
    returns = [_number(estimate.mean) for estimate in evaluation.return_at_trial(group)]
    return {**_figures("success_at_trial", evaluation.success_at_trial(group)), "mean_return_at_trial": returns}


def _figures(name: str, estimates: Sequence[Estimate]) -> dict[str, Any]:
    return {
        name: [_number(estimate.mean) for estimate in estimates],
        "ci95": [[_number(estimate.low), _number(estimate.high)] for estimate in estimates],
    }


def _differences(one: Evaluation, other: Evaluation, group: str | None = None) -> dict[str, Any]:
    estimates, returns = compare(one, other, group), compare_returns(one, other, group)
    return {
        **_figures("difference_at_trial", estimates),
        "bootstrap_ci95": [[_number(bound) for bound in estimate.bootstrap] for estimate in estimates],
        "won": [estimate.won for estimate in estimates],
        "lost": [estimate.lost for estimate in estimates],
        "tied": [estimate.tied for estimate in estimates],
        "p_value": [None if math.isnan(each.p_value) else float(f"{each.p_value:.{_DIGITS}g}") for each in estimates],
        "return_difference_at_trial": [_number(estimate.mean) for estimate in returns],
        "return_difference_ci95": [[_number(bound) for bound in estimate.ci] for estimate in returns],
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, _DIGITS)
