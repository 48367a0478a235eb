"""The result of an evaluation as JSON, byte-identical for the same seed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any

from retro_gym.errors import ConfigError
from retro_gym_agents.evaluation.causes import CauseReport, cause_reports
from retro_gym_agents.evaluation.comparison import NONE, compare, compare_returns, compared_pairs, gain_shares
from retro_gym_agents.evaluation.evaluation import PARTS, Evaluation, Where, everywhere
from retro_gym_agents.evaluation.leaks import LeakReport, leak_reports
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference
from retro_gym_agents.evaluation.transitions import Transitions, transition_reports
from retro_gym_agents.play.policies import TINY

__all__ = ["replace_json", "to_json", "write_json"]

_SCHEMA = 2
_DIGITS = 6  # of numbers in JSON: much finer than any confidence interval, much coarser than float rounding


def to_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Converts evaluations of one config to a JSON object; ``docs/evaluation.md`` describes its fields.

    Raises:
        ConfigError: there is no evaluation, or the evaluations have different configs.
    """
    if not evaluations:
        raise ConfigError("there is no evaluation to report.")
    config = evaluations[0].config
    if any(evaluation.config != config for evaluation in evaluations):
        raise ConfigError("the evaluations are of different configs; evaluate all policies with one.")
    leaks, causes, turned = leak_reports(evaluations), cause_reports(evaluations), transition_reports(evaluations)
    names = ", ".join(evaluation.reflector for evaluation in evaluations)
    return {
        "schema": _SCHEMA,
        "env_id": config.env_id,
        "split": config.split,
        "seed": config.seed,
        "seeds": config.seeds,
        "num_tasks": evaluations[0].num_tasks(),
        "trials": config.trials,
        "actor": evaluations[0].actor,
        "actor_parameters": dict(evaluations[0].actor_parameters),
        "env_kwargs": config.plain_kwargs,
        "paired": [_pair(*pair) for base in (NONE, TINY) for pair in compared_pairs(evaluations, base)],
        "policies": [
            _policy(evaluation, leaks[name], causes[name], turned[name])
            for evaluation in evaluations
            for name in [evaluation.reflector]
        ],
        "gain_share": {
            name: [None if share is None else round(share, _DIGITS) for share in shares]
            for name, shares in gain_shares(evaluations).items()
        },
        "header": dataclasses.replace(evaluations[0].header, policy=names).identified().to_json(),
        "rows": [row for evaluation in evaluations for row in _rows(evaluation)],
    }


def write_json(evaluations: Sequence[Evaluation], path: str | os.PathLike[str]) -> None:
    """Writes :func:`to_json` to a file atomically.

    Raises:
        ConfigError: the file cannot be written.
    """
    replace_json(to_json(evaluations), path)


def replace_json(content: Any, path: str | os.PathLike[str]) -> None:
    """Writes JSON to a file atomically: an old file stays whole until the new one is.

    Raises:
        ConfigError: the file cannot be written.
    """
    target = check_output(path)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", newline="\n")
    draft.replace(target)


def _policy(
    evaluation: Evaluation, leaks: LeakReport | None, causes: CauseReport | None, turned: Transitions | None
) -> dict[str, Any]:
    stats = evaluation.stats
    return {
        "reflector": evaluation.reflector,
        "reflector_source": evaluation.reflector_source,
        **_scores(evaluation),
        **{
            f"{attribute}s": {
                name: {"num_tasks": evaluation.num_tasks(where), **_scores(evaluation, where)}
                for name, where in evaluation.parts(attribute).items()
            }
            for attribute in PARTS
        },
        "leaks": None if leaks is None else _leaks(leaks),
        "cause_named": None if causes is None else _causes(causes),
        "transitions": None if turned is None else _transitions(turned),
        "actor_calls": stats.calls,
        "actor_errors": stats.errors,
        "cut_replies": stats.cut,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "reflector_tokens": evaluation.reflector_tokens,
        "refused": evaluation.refusal,
        "lost": [{"num_episodes": count, "first": first} for count, first in evaluation.error_kinds],
        "ends_at_trial": evaluation.ends_at_trial,
    }


def _rows(evaluation: Evaluation) -> Iterator[dict[str, Any]]:
    """Yields a row for each seed, task and trial, up to the trial in which the actor failed."""
    for task in evaluation.tasks:
        known = len(task.success)
        for trial in range(known + (task.actor_error is not None)):
            written = 0 < trial <= len(task.reflections)
            yield {
                "policy": evaluation.reflector,
                "seed": task.seed,
                "task_id": task.task_id,
                "group": task.group,
                "cause": task.cause,
                "trial": trial,
                "success": task.success[trial] if trial < known else None,
                "return": task.returns[trial] if trial < known else None,
                "end": task.ends[trial] if trial < len(task.ends) else "",
                "reflection": task.reflections[trial - 1] if written else "",
                "leak": task.leaks[trial - 1] if written and task.leaks is not None else None,
                "names_cause": _known(task.names_cause, task.reflections, trial),
                "actor_error": task.actor_error if trial == known else "",
            }


def _known(found: Sequence[bool] | None, reflections: Sequence[str], trial: int) -> bool | None:
    """Returns what was found in the reflection of a trial; None if there is none, or it is not known."""
    written = 0 < trial <= len(reflections) and reflections[trial - 1].strip()
    return found[trial - 1] if written and found is not None else None


def _scores(evaluation: Evaluation, where: Where = everywhere) -> dict[str, Any]:
    if evaluation.refusal is not None:
        names = ("success_at_trial", "ci95", "average_success", "average_success_ci95")
        return dict.fromkeys((*names, "mean_return_at_trial", "average_return"))
    average = evaluation.average_success(where)
    return {
        **_figures("success_at_trial", evaluation.success_at_trial(where)),
        "average_success": _number(average.mean),
        "average_success_ci95": _interval(average.ci),
        "mean_return_at_trial": [_number(estimate.mean) for estimate in evaluation.return_at_trial(where)],
        "average_return": _number(evaluation.average_return(where).mean),
    }


def _figures(name: str, estimates: Sequence[Estimate]) -> dict[str, Any]:
    return {
        name: [_number(estimate.mean) for estimate in estimates],
        "ci95": [_interval(estimate.ci) for estimate in estimates],
    }


def _pair(one: Evaluation, other: Evaluation) -> dict[str, Any]:
    parts = {
        f"{attribute}s": {name: _differences(one, other, where) for name, where in one.parts(attribute).items()}
        for attribute in PARTS
    }
    return {"reflector": one.reflector, "against": other.reflector, **_differences(one, other), **parts}


def _differences(one: Evaluation, other: Evaluation, where: Where = everywhere) -> dict[str, Any]:
    returns = compare_returns(one, other, where)
    return {
        **_paired(compare(one, other, where)),
        "return_difference_at_trial": [_number(estimate.mean) for estimate in returns],
        "return_difference_ci95": [_interval(estimate.ci) for estimate in returns],
    }


def _paired(estimates: Sequence[PairedDifference]) -> dict[str, Any]:
    return {
        **_figures("difference_at_trial", estimates),
        "bootstrap_ci95": [_interval(estimate.bootstrap) for estimate in estimates],
        "won": [estimate.won for estimate in estimates],
        "lost": [estimate.lost for estimate in estimates],
        "tied": [estimate.tied for estimate in estimates],
        "p_value": [None if math.isnan(each.p_value) else float(f"{each.p_value:.{_DIGITS}g}") for each in estimates],
    }


def _leaks(report: LeakReport) -> dict[str, Any]:
    success, paired = report.success, report.difference
    return {
        "written": report.written,
        "leaking": report.leaking,
        "share": _number(report.share),
        "clean_episodes": report.episodes,
        "clean_success": None if success is None else _number(success.mean),
        "clean_ci95": None if success is None else _interval(success.ci),
        "clean_paired": None if paired is None else {name: value[0] for name, value in _paired([paired]).items()},
    }


def _causes(report: CauseReport) -> dict[str, Any]:
    return {
        "written": report.written,
        "naming": report.naming,
        "share": _number(report.share),
        "first_share": _number(report.first_share),
    }


def _transitions(report: Transitions) -> dict[str, Any]:
    broken = report.right_to_wrong
    return {
        "failed_episodes": report.failed,
        "wrong_to_right": _number(report.wrong_to_right.mean),
        "wrong_to_right_ci95": _interval(report.wrong_to_right.ci),
        "retried_episodes": report.retried,
        "right_to_wrong": None if broken is None else _number(broken.mean),
        "right_to_wrong_ci95": None if broken is None else _interval(broken.ci),
    }


def _interval(bounds: tuple[float, float]) -> list[float | None]:
    return [_number(bound) for bound in bounds]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, _DIGITS)
