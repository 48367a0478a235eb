"""The result of an evaluation as JSON, byte-identical for the same seed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym_agents.evaluation.comparison import compare, compare_returns, compared_pairs, gain_shares
from retro_gym_agents.evaluation.evaluation import Evaluation
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.statistics import Estimate

__all__ = ["to_json", "write_json"]

_DIGITS = 6  # of numbers in JSON: much finer than any confidence interval, much coarser than float rounding


def to_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Converts one evaluation to a flat object, several to ``policies`` with paired differences and gain shares.

    In both cases, ``header`` has the columns of a records file's header, and ``rows`` has a row for each policy, task
    and trial: ``success`` and ``return`` by then (null if the actor failed), how the trial ended (empty if the task was
    solved before) and the ``reflection`` that it was played with.

    Rates and differences are fractions (a difference of 0.25 is 25 points), gain shares are in percent; lists are
    indexed by trial, from trial 0. Values that could not be scored are null. Differences are given with the numbers of
    tasks won, lost and tied, the p-value of the exact sign test on tasks won and lost, the score interval and the
    bootstrap interval over tasks, and the difference of the mean returns with its interval.

    Raises:
        ConfigError: there is no evaluation, or the evaluations have different configs.
    """
    if not evaluations:
        raise ConfigError("there is no evaluation to report.")
    names = ", ".join(evaluation.reflector for evaluation in evaluations)
    table = {
        "header": dataclasses.replace(evaluations[0].header, policy=names).identified().to_json(),
        "rows": [row for evaluation in evaluations for row in _rows(evaluation)],
    }
    if len(evaluations) == 1:
        return {**_flat(evaluations[0]), **table}
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
        **table,
    }


def write_json(evaluations: Sequence[Evaluation], path: str | os.PathLike[str]) -> None:
    """Writes :func:`to_json` to a file atomically.

    Raises:
        ConfigError: the file cannot be written.
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


def _rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Yields a row for each task and trial, up to the trial in which the actor failed."""
    for task in evaluation.tasks:
        known = len(task.success)
        for trial in range(known + (task.actor_error is not None)):
            yield {
                "policy": evaluation.reflector,
                "task_id": task.task_id,
                "group": task.group,
                "seed": evaluation.config.seed,
                "trial": trial,
                "success": task.success[trial] if trial < known else None,
                "return": task.returns[trial] if trial < known else None,
                "end": task.ends[trial] if trial < len(task.ends) else "",
                "reflection": task.reflections[trial - 1] if 0 < trial <= len(task.reflections) else "",
                "actor_error": task.actor_error if trial == known else "",
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
