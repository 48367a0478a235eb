"""The tables of an evaluation, for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from retro_gym.trajectory import EndReason
from retro_gym_agents.evaluation.causes import cause_reports
from retro_gym_agents.evaluation.comparison import NONE, compare, compared_pairs, gain_shares
from retro_gym_agents.evaluation.evaluation import PARTS, Evaluation, Part
from retro_gym_agents.evaluation.leaks import leak_reports
from retro_gym_agents.evaluation.notes import notes_on
from retro_gym_agents.evaluation.statistics import Estimate, PairedDifference
from retro_gym_agents.evaluation.transitions import transition_reports
from retro_gym_agents.play.policies import TINY

__all__ = ["print_tables"]

_NO_FIGURE = "-"


def print_tables(evaluations: Sequence[Evaluation], console: Console) -> None:
    """Prints the results of ``to_json``, except the rows of single trials, in percent and percentage points.

    First the paired differences to ``none``, then success over the trials, then everything else.
    """
    first = evaluations[0]
    config, trials = first.config, first.config.trials
    seeds = f"seed {config.seed}" if config.seeds == 1 else f"seeds {config.seed} to {config.evaluation_seeds[-1]}"
    console.print(
        f"{config.env_id}: {first.num_tasks()} tasks of split {config.split!r}, {seeds}", highlight=False, markup=False
    )
    tables = [_success_table(evaluations)]
    if trials:
        at = [trials, 1] if trials > 1 else [1]
        against_none = compared_pairs(evaluations, NONE)
        tables = [_paired_table(against_none, at), *tables] if against_none else tables
        against_tiny, shares = compared_pairs(evaluations, TINY), gain_shares(evaluations)
        tables += [_paired_table(against_tiny, at)] if against_tiny else []
        tables += [_share_table(shares, trials)] if shares else []
        tables += [_part_table(evaluations, part) for part in PARTS if first.parts(part)]
        tables += [*_reflection_tables(evaluations), _transition_table(evaluations)]
    for table in [*tables, _return_table(evaluations), _cost_table(evaluations)]:
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


def _paired_table(pairs: Sequence[tuple[Evaluation, Evaluation]], trials: Sequence[int]) -> Table:
    base = pairs[0][1].reflector
    retry = " (a plain retry)" if base == NONE else ""
    title = f"Difference to {base}{retry} on the same actor seeds: points, 95 % interval, tasks won : lost and exact p"
    table = _table(title, "reflector", [f"trial {trial}" for trial in trials])
    for one, other in pairs:
        estimates = compare(one, other)
        cells = [_difference(estimates[trial]) for trial in trials]
        table.add_row(_escaped(f"{one.reflector} − {other.reflector}"), *cells)
    return table


def _success_table(evaluations: Sequence[Evaluation]) -> Table:
    trials = evaluations[0].config.trials
    headers = _over_trials([f"trial {trial}" for trial in range(trials + 1)])
    table = _table("Success by trial, % and 95 % interval; solved stays solved", "reflector", headers)
    for one in evaluations:
        if one.refusal is None:
            too_long = [ends.get(EndReason.PROMPT_TOO_LONG, 0) for ends in one.ends_at_trial]
            success = [
                _percent(estimate) + (f"\n[yellow]{count} too long[/yellow]" if count else "")
                for estimate, count in zip(one.success_at_trial(), too_long, strict=True)
            ]
            table.add_row(_escaped(one.reflector), *success, *[_percent(one.average_success())] * (trials > 0))
        else:
            table.add_row(_escaped(one.reflector), *[_NO_FIGURE] * len(headers))
    return table


def _return_table(evaluations: Sequence[Evaluation]) -> Table:
    trials = evaluations[0].config.trials
    headers = _over_trials(["trial 0", f"trial {trials}"] if trials else ["trial 0"])
    table = _table("Mean return of the last trial played", "reflector", headers)
    for one in evaluations:
        if one.refusal is None:
            returns = one.return_at_trial()
            figures = [returns[0], returns[-1], one.average_return()] if trials else returns
            table.add_row(_escaped(one.reflector), *[f"{estimate.mean:.3f}" for estimate in figures])
    return table


def _over_trials(trials: Sequence[str]) -> list[str]:
    """Returns the headers of figures by trial, with RetroAct's names for three of them."""
    if len(trials) == 1:
        return list(trials)
    return [f"first\n{trials[0]}", *trials[1:-1], f"last\n{trials[-1]}", "average\nover trials"]


def _share_table(shares: dict[str, list[float | None]], trials: int) -> Table:
    headers = [f"trial {trial}" for trial in range(1, trials + 1)]
    table = _table("From none (0 %) to oracle (100 %)", "reflector", headers)
    for name, by_trial in shares.items():
        table.add_row(_escaped(name), *[_NO_FIGURE if share is None else f"{share:.0f} %" for share in by_trial[1:]])
    return table


def _part_table(evaluations: Sequence[Evaluation], part: Part) -> Table:
    """Returns a table with a row for each kind of task, or for each cause of failure."""
    first, trials = evaluations[0], evaluations[0].config.trials
    scored = [one for one in evaluations if one.refusal is None]
    title = f"By {'kind of task' if part == 'group' else 'cause of failure'}, success at trial 0 → {trials}, %"
    table = _table(title, "tasks", [_escaped(one.reflector) for one in scored])
    for name, where in first.parts(part).items():
        by_policy = [one.success_at_trial(where) for one in scored]
        cells = [f"{100 * estimates[0].mean:.1f} → {_percent(estimates[-1])}" for estimates in by_policy]
        table.add_row(f"{_escaped(name) or 'other'}: {first.num_tasks(where)}", *cells)
    return table


def _reflection_tables(evaluations: Sequence[Evaluation]) -> list[Table]:
    """Returns a table of what the reflections hold, if any of it is known: answers and causes of failure."""
    leaks, causes = leak_reports(evaluations), cause_reports(evaluations)
    if not any([*leaks.values(), *causes.values()]):
        return []
    title = (
        "Reflections with the answer, and with the cause of failure; trial 1 after first ones without the answer: "
        "success in %, difference to none"
    )
    headers = ["reflections", "with the\nanswer", "with the\ncause", "episodes\nwithout", "success", "− none"]
    table = _table(title, "reflector", headers)
    for one in evaluations:
        name = one.reflector
        leak, cause, cells = leaks[name], causes[name], [_NO_FIGURE] * 6
        if leak is not None:
            cells[0], cells[1], cells[3] = f"{leak.written:,}", _share(leak.share), f"{leak.episodes:,}"
            cells[4] = _NO_FIGURE if leak.success is None else _percent(leak.success)
            cells[5] = _NO_FIGURE if leak.difference is None or name == NONE else _difference(leak.difference)
        if cause is not None:
            cells[0], cells[2] = cells[0] if leak else f"{cause.written:,}", _share(cause.share)
        table.add_row(_escaped(name), *cells)
    return [table]


def _transition_table(evaluations: Sequence[Evaluation]) -> Table:
    title = "Trial 1 after a failed trial 0, %: of all of them solved; of those that a plain retry solves, not solved"
    table = _table(title, "reflector", ["episodes", "wrong\nto right", "retry\nsolves", "right\nto wrong"])
    for name, report in transition_reports(evaluations).items():
        if report is not None:
            retried = _NO_FIGURE if report.retried is None else f"{report.retried:,}"
            broken = _NO_FIGURE if report.right_to_wrong is None else _percent(report.right_to_wrong)
            table.add_row(_escaped(name), f"{report.failed:,}", _percent(report.wrong_to_right), retried, broken)
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


def _share(share: float) -> str:
    return _NO_FIGURE if math.isnan(share) else f"{100 * share:.1f} %"


def _percent(estimate: Estimate, sign: str = "", to: str = "–") -> str:
    if math.isnan(estimate.mean):
        return _NO_FIGURE
    mean, low, high = (f"{100 * value:{sign}.1f}" for value in (estimate.mean, estimate.low, estimate.high))
    return mean if math.isnan(estimate.low) else f"{mean}\n[dim]{low}{to}{high}[/dim]"


def _escaped(text: str) -> str:
    """Escapes brackets in a name, which rich would parse as markup."""
    return text.replace("[", r"\[")
