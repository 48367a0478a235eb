"""What an evaluation says: tables for the terminal, and JSON that is the same byte by byte for the same seed."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from retro_gym.errors import ConfigError
from retro_gym.trajectory import EndReason
from retro_gym_agents.evaluation.comparison import compare, compare_returns
from retro_gym_agents.evaluation.evaluate import Evaluation
from retro_gym_agents.evaluation.notes import notes_on
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference, gain_share
from retro_gym_agents.play.policies import BASELINES, TINY

__all__ = ["check_output", "gain_shares", "print_tables", "to_json", "write_json"]

_DIGITS = 6  # of the figures in JSON: far below any interval, far above the noise of float arithmetic
_NO_FIGURE = "-"


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
            for one, other in _paired(evaluations)
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


def check_output(path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be written; its folder is created. To be asked before hours of work, not after.

    Raises:
        ConfigError: it is a folder, or its folder cannot be created or written to.
    """
    target = Path(path).expanduser()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: its folder cannot be created ({error.strerror}). Give another path.") from error
    if target.is_dir():
        raise ConfigError(f"{path} is a folder. Give the path of a file.")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise ConfigError(f"{path} cannot be written to. Give another path.")
    return target


def gain_shares(evaluations: Sequence[Evaluation]) -> dict[str, list[float | None]]:
    """How far each policy has come from ``none`` to ``oracle``, in percent, by trial 0…T.

    Empty unless both were evaluated and scored; an entry is None where the oracle gains nothing, as at trial 0.
    """
    scored = {one.reflector: one for one in evaluations if one.refusal is None}
    if "none" not in scored or "oracle" not in scored:
        return {}
    rates = {name: [estimate.mean for estimate in one.success_at_trial()] for name, one in scored.items()}
    return {
        name: [
            gain_share(score, none=none, oracle=oracle)
            for score, none, oracle in zip(rates[name], rates["none"], rates["oracle"], strict=True)
        ]
        for name in rates
        if name not in ("none", "oracle")
    }


def print_tables(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Prints what :func:`to_json` holds, task rows aside, in percent and percentage points."""
    config = evaluations[0].config
    console.print(
        f"{config.env_id}: {len(evaluations[0].tasks)} tasks of split {config.split!r}, seed {config.seed}",
        highlight=False,
        markup=False,
    )
    tables = [_success_table(evaluations)]
    pairs, shares = list(_paired(evaluations)), gain_shares(evaluations)
    if config.trials:
        tables += [_group_table(evaluations)] if evaluations[0].groups else []
        tables += [_paired_table(pairs, config.trials)] if pairs else []
        tables += [_share_table(shares, config.trials)] if shares else []
    for table in [*tables, _cost_table(evaluations)]:
        title, table.title = table.title, None  # rich would break it at the table's own width
        console.print("", title, sep="\n", style="italic", highlight=False)
        console.print(table)
    for note in notes_on(evaluations):
        console.print(note, style="yellow", highlight=False, markup=False)


# -- JSON ------------------------------------------------------------------------------------------------------------


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
            group: {"num_tasks": _size(evaluation, group), **_scores(evaluation, group)} for group in evaluation.groups
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


def _size(evaluation: Evaluation, group: str) -> int:
    return sum(task.group == group for task in evaluation.tasks)


def _paired(evaluations: Sequence[Evaluation]) -> Iterator[tuple[Evaluation, Evaluation]]:
    """Each policy with the first, and each trained reflector with the tiny one that it came from."""
    scored = [one for one in evaluations if one.refusal is None]
    for one in scored[1:]:
        if scored[0] is evaluations[0]:
            yield one, scored[0]
    tiny = next((one for one in scored if one.reflector == TINY), None)
    if tiny is not None and tiny is not evaluations[0]:
        for one in scored:
            if one.reflector != TINY and one.reflector not in BASELINES and one is not evaluations[0]:
                yield one, tiny


# -- tables ------------------------------------------------------------------------------------------------------------


def _table(title: str, name: str, figures: Sequence[str]) -> Table:
    table = Table(title=title, box=box.SIMPLE_HEAD, show_edge=False, collapse_padding=True, pad_edge=False)
    table.add_column(name, overflow="fold", min_width=8)
    for header in figures:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _success_table(evaluations: Sequence[Evaluation]) -> Table:
    trials = evaluations[0].config.trials
    headers = [*[f"trial {trial}" for trial in range(trials + 1)], "return"]
    table = _table("Success by trial, % and 95 % interval; mean return at the end", "reflector", headers)
    for one in evaluations:
        if one.refusal is None:
            too_long = [ends.get(EndReason.PROMPT_TOO_LONG, 0) for ends in one.ends_at_trial]
            success = [
                _percent(estimate) + (f"\n[yellow]{count} too long[/yellow]" if count else "")
                for estimate, count in zip(one.success_at_trial(), too_long, strict=True)
            ]
            table.add_row(_escaped(one.reflector), *success, f"{one.return_at_trial()[-1].mean:.3f}")
        else:
            table.add_row(_escaped(one.reflector), *[_NO_FIGURE] * len(headers))
    return table


def _share_table(shares: dict[str, list[float | None]], trials: int) -> Table:
    headers = [f"trial {trial}" for trial in range(1, trials + 1)]
    table = _table("From none (0 %) to oracle (100 %)", "reflector", headers)
    for name, by_trial in shares.items():
        table.add_row(_escaped(name), *[_NO_FIGURE if share is None else f"{share:.0f} %" for share in by_trial[1:]])
    return table


def _group_table(evaluations: Sequence[Evaluation]) -> Table:
    first, trials = evaluations[0], evaluations[0].config.trials
    headers = [f"{_escaped(group) or 'other'}\n({_size(first, group)} tasks)" for group in first.groups]
    table = _table(f"By kind of task, trial 0 → {trials}, %", "reflector", headers)
    for one in evaluations:
        if one.refusal is None:
            by_group = [one.success_at_trial(group) for group in one.groups]
            cells = [f"{100 * estimates[0].mean:.1f} → {_percent(estimates[-1])}" for estimates in by_group]
            table.add_row(_escaped(one.reflector), *cells)
    return table


def _paired_table(pairs: Sequence[tuple[Evaluation, Evaluation]], trials: int) -> Table:
    headers = [f"trial {trial}" for trial in range(1, trials + 1)]
    title = "Paired differences in success: points, 95 % interval, tasks won : lost and exact p"
    table = _table(title, "reflector − against", headers)
    for one, other in pairs:
        cells = [_difference(estimate) for estimate in compare(one, other)[1:]]
        table.add_row(_escaped(f"{one.reflector} − {other.reflector}"), *cells)
    return table


def _cost_table(evaluations: Sequence[Evaluation]) -> Table:
    headers = [
        "calls",
        "errors",
        "cut\nreplies",
        "tokens\nread",
        "tokens\nwritten",
        "reflector\nread",
        "reflector\nwrote",
    ]
    table = _table("What the actor cost, trial 0 included, and the reflector's tokens", "reflector", headers)
    for one in evaluations:
        stats = one.stats
        costs = (stats.calls, stats.errors, stats.cut, stats.prompt_tokens, stats.completion_tokens)
        cells = [f"{cost:,}" for cost in (*costs, *(one.reflector_tokens or ()))]
        table.add_row(_escaped(one.reflector), *cells, *[_NO_FIGURE] * (len(headers) - len(cells)))
    return table


def _difference(estimate: PairedDifference) -> str:
    if math.isnan(estimate.mean):
        return _NO_FIGURE
    p = f"p {estimate.p_value:.3f}" if estimate.p_value >= 0.001 else "p < 0.001"
    return f"{_percent(estimate, sign='+', to=' … ')}\n[dim]{estimate.won} : {estimate.lost}, {p}[/dim]"


def _percent(estimate: Estimate, sign: str = "", to: str = "–") -> str:
    if math.isnan(estimate.mean):
        return _NO_FIGURE
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in (estimate.mean, estimate.low, estimate.high))
    return f"{mean}\n[dim]{low}{to}{high}[/dim]"


def _escaped(text: str) -> str:
    """A name that may hold brackets, which rich would read as its markup."""
    return text.replace("[", r"\[")
