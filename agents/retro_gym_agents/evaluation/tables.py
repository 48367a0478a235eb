"""The tables of an evaluation, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from retro_gym.trajectory import EndReason
from retro_gym_agents.evaluation.comparison import compare, compared_pairs, gain_shares
from retro_gym_agents.evaluation.evaluation import Evaluation
from retro_gym_agents.evaluation.notes import notes_on
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference

__all__ = ["print_tables"]

_NO_FIGURE = "-"


def print_tables(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Prints the results of ``to_json``, except the rows of single tasks, in percent and percentage points."""
    config = evaluations[0].config
    console.print(
        f"{config.env_id}: {len(evaluations[0].tasks)} tasks of split {config.split!r}, seed {config.seed}",
        highlight=False,
        markup=False,
    )
    tables = [_success_table(evaluations)]
    pairs, shares = list(compared_pairs(evaluations)), gain_shares(evaluations)
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
    headers = [f"{_escaped(group) or 'other'}\n({first.size(group)} tasks)" for group in first.groups]
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
    """Escapes brackets in a name, which rich would parse as markup."""
    return text.replace("[", r"\[")
