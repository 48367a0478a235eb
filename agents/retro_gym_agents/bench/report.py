"""Reports of a benchmark: a Markdown file with its tables, the same figures as JSON, and pictures."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import math
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from types import MappingProxyType
from typing import Any

from retro_gym_agents.bench.config import BenchConfig
from retro_gym_agents.bench.figures import ArmFigures, Judged, figures_of, interquartile_mean
from retro_gym_agents.bench.pictures import draw_curves, draw_differences
from retro_gym_agents.bench.run import jobs_of
from retro_gym_agents.bench.submissions import Submission, load_submissions
from retro_gym_agents.evaluation.results import replace_json
from retro_gym_agents.evaluation.statistics import Estimate

__all__ = ["write_report"]

_SCHEMA = 1
_DIGITS = 6
_LIBRARIES = ("retro-gym", "gymnasium", "torch", "transformers", "peft")


def write_report(config: BenchConfig, output: Path, submissions: Mapping[str, Path] = MappingProxyType({})) -> str:
    """Writes ``results.json``, ``results.md`` and the pictures into a benchmark's folder.

    Args:
        config: what is compared.
        output: the folder; what has no result yet is left out.
        submissions: see :func:`~retro_gym_agents.bench.submissions.load_submissions`. They stand in this report only.

    Returns:
        The Markdown text.

    Raises:
        ConfigError: there is no result yet, or a submission does not fit.
    """
    submitted = load_submissions(config, submissions)
    judged = figures_of(config, output, submitted)
    curves = _curves(config, output)
    replace_json(_as_json(config, judged, submitted, curves), output / "results.json")
    for one in judged:
        draw_differences(one, config.evaluation.trials, output / f"{one.env_id}-{one.actor}.png")
    for env_id, lines in curves.items():
        draw_curves(env_id, lines, output / f"{env_id}-curves.png")
    text = _as_markdown(config, judged, submitted, curves)
    (output / "results.md").write_text(text, encoding="utf-8")
    return text


def _curves(config: BenchConfig, output: Path) -> dict[str, dict[str, list[list[tuple[int, float]]]]]:
    """Returns success on validation tasks over the actor calls, by environment and arm, for each seed."""
    curves: dict[str, dict[str, list[list[tuple[int, float]]]]] = {}
    for job in jobs_of(config, output):
        rows = [row for file in ("run", "run/ppo") for row in _rows(job.folder / file / "metrics.jsonl")]
        points = [(int(row["actor_calls"]), row["validation_success"]) for row in rows if "validation_success" in row]
        if points:
            curves.setdefault(job.env_id, {}).setdefault(job.arm.name, []).append(points)
    return curves


def _rows(path: Path) -> list[dict[str, float]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _as_json(
    config: BenchConfig, judged: Sequence[Judged], submitted: Sequence[Submission], curves: Mapping[str, Any]
) -> dict[str, Any]:
    means = _means(config, judged)
    return {
        "schema": _SCHEMA,
        "config": json.loads(json.dumps(dataclasses.asdict(config))),
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "python": platform.python_version(),
        "results": [
            {
                "env_id": one.env_id,
                "actor": one.actor,
                "panel": one.panel,
                "arms": [_arm_as_json(arm) for arm in one.arms],
            }
            for one in judged
        ],
        "interquartile_means": {name: _number(interquartile_mean(values)) for name, (_, values) in means.items()},
        "interquartile_means_over": {name: envs for name, (envs, _) in means.items()},
        "submissions": {one.name: {"policy": one.policy, "file": one.result.path.name} for one in submitted},
        "curves": curves,
    }


def _arm_as_json(arm: ArmFigures) -> dict[str, Any]:
    return {
        "name": arm.name,
        "success": [_number(each.mean) for each in arm.success],
        "ci95": [_bounds(each) for each in arm.success],
        "difference": [_number(each.mean) for each in arm.difference],
        "difference_ci95": [_bounds(each) for each in arm.difference],
        "won": [each.won for each in arm.difference],
        "lost": [each.lost for each in arm.difference],
        "p_value": [_number(each.p_value) for each in arm.difference],
        "by_seed": [_number(each) for each in arm.by_seed],
        "actor_calls": arm.calls,
        "leaks": _number(arm.leaks),
        "names_cause": _number(arm.named),
        "wrong_to_right": _number(arm.righted),
        "right_to_wrong": _number(arm.wronged),
    }


def _means(config: BenchConfig, judged: Sequence[Judged]) -> dict[str, tuple[int, list[float]]]:
    """Returns for each arm in how many environments it stands, and its last successes in them with each seed."""
    first = config.judges[0].name
    values: dict[str, list[Sequence[float]]] = {}
    for one in judged:
        for arm in one.arms if one.actor == first else ():
            values.setdefault(arm.name, []).append(arm.by_seed)
    return {name: (len(found), [each for seeds in found for each in seeds]) for name, found in values.items()}


def _as_markdown(
    config: BenchConfig, judged: Sequence[Judged], submitted: Sequence[Submission], curves: Mapping[str, Any]
) -> str:
    panel = config.evaluation
    lines = [
        f"{len(config.arms)} arms, training seeds {', '.join(map(str, config.seeds))}. Training an arm with a seed may "
        f"cost so many actor calls: {_budgets(config)} (a run ends after the update that reaches them). Success in % "
        f"on {panel.num_tasks} tasks of split {panel.split}, {_plural(panel.seeds, 'evaluation seed')}, with 95 % "
        "intervals over tasks. All differences are to the plain retry, paired by task.",
    ]
    for submission in submitted:
        tables = [
            f"{one.env_id}, played by {one.actor}"
            for one in judged
            if any(arm.name == submission.name for arm in one.arms)
        ]
        policy, file = submission.policy, submission.result.path.name
        lines += ["", f"Submitted: {submission.name} is policy {policy!r} of {file}, in: {'; '.join(tables)}."]
    for one in judged:
        lines += ["", f"## {one.env_id}, played by {one.actor}", "", *_table(one, panel.trials)]
        if one.actor == config.judges[0].name and one.env_id in curves:
            lines += ["", f"![success on validation tasks over actor calls]({one.env_id}-curves.png)"]
        lines += ["", f"![difference to the plain retry]({one.env_id}-{one.actor}.png)", "", _command(config, one)]
    lines += ["", "## Over all environments", "", *_summary(config, judged)]
    if len(config.judges) > 1:
        lines += ["", "## Transfer: success at the last trial, by the actor that plays", "", *_transfer(config, judged)]
    return "\n".join(lines) + "\n"


def _budgets(config: BenchConfig) -> str:
    each = [f"{config.budget_of(env_id):,} in {env_id}" for env_id in config.envs]
    return ", ".join(each) if config.budgets else f"{config.budget:,}"


def _table(one: Judged, last: int) -> list[str]:
    trials = sorted({1, last})
    header = ["arm", "actor calls", "trial 0"]
    for trial in trials:
        header += [f"trial {trial}", f"difference at {trial}"]
    header += ["won, lost", "p", "leaks", "names the cause", "wrong to right", "right to wrong"]
    rows = []
    for arm in one.arms:
        row = [arm.name, "" if arm.calls is None else f"{round(fmean(arm.calls)):,}", _percent(arm.success[0].mean)]
        for trial in trials:
            row += [_percent(arm.success[trial].mean), _difference(arm.difference[trial])]
        at_end = arm.difference[last]
        row += [f"{at_end.won}, {at_end.lost}", f"{at_end.p_value:.2g}", _percent(arm.leaks), _percent(arm.named)]
        rows.append([*row, _percent(arm.righted), _percent(arm.wronged)])
    claims = [[arm.name, arm.claim] for arm in one.arms if arm.claim]
    return [*_markdown(header, rows), *(["", *_markdown(["arm", "claim"], claims)] if claims else [])]


def _summary(config: BenchConfig, judged: Sequence[Judged]) -> list[str]:
    total = len({one.env_id for one in judged})
    rows = [
        [name, _percent(interquartile_mean(values)), f"{envs} of {total}"]
        for name, (envs, values) in _means(config, judged).items()
    ]
    return _markdown(["arm", "interquartile mean of success at the last trial", "environments"], rows)


def _transfer(config: BenchConfig, judged: Sequence[Judged]) -> list[str]:
    names = [actor.name for actor in config.judges]
    lines = []
    for env_id in config.envs:
        found = {
            (arm.name, one.actor): arm.success[-1].mean for one in judged if one.env_id == env_id for arm in one.arms
        }
        rows = [
            [arm.name, config.actor(arm.actor).name if arm.learn else ""]
            + [_percent(found.get((arm.name, name))) for name in names]
            for arm in config.arms
            if any((arm.name, name) in found for name in names)
        ]
        lines += [f"{env_id}:", "", *_markdown(["arm", "trained with", *names], rows), ""]
    return lines[:-1]


def _command(config: BenchConfig, one: Judged) -> str:
    """Returns how a policy of one's own is measured on the same panel."""
    panel, actor = config.evaluation, config.actor(one.actor)
    words = ["retro-gym", "evaluate", one.env_id, "--reflector", "YOURS", "--split", panel.split]
    words += ["--num-tasks", str(panel.num_tasks), "--trials", str(panel.trials)]
    words += ["--seed", str(panel.seed), "--seeds", str(panel.seeds)]
    job = next(job for job in jobs_of(config, Path("DIR")) if job.env_id == one.env_id)
    spec = job.playing(actor)["actor"]
    if spec != "scripted":
        words += ["--actor", spec]
    for option, value in (("--actor-kwargs", actor.actor_kwargs), ("--env-kwargs", config.env_kwargs)):
        if value:
            words += [option, json.dumps(value)]
    return f"A policy of your own on this panel: `{shlex.join(words)} --json FILE`."


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in cells]


def _difference(estimate: Estimate) -> str:
    return f"{100 * estimate.mean:+.1f} [{100 * estimate.low:+.1f}, {100 * estimate.high:+.1f}]"


def _percent(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{100 * value:.1f}"


def _number(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else round(value, _DIGITS)


def _bounds(estimate: Estimate) -> list[float | None]:
    return [_number(bound) for bound in estimate.ci]


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
