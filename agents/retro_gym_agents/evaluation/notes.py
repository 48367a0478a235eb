"""Notes below the tables: leaks, prompts that were too long, truncated replies, lost episodes, the loaded adapter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retro_gym.trajectory import EndReason
from retro_gym_agents.evaluation.comparison import NONE
from retro_gym_agents.evaluation.evaluation import Evaluation
from retro_gym_agents.evaluation.leaks import leak_reports

__all__ = ["notes_on"]

_SHORTER = "Shorten the prompt (fewer examples, max_turns), enlarge the actor's context, or lower its max_tokens."
_LONGER = "Raise the actor's max_tokens, which includes its reasoning (--actor-kwargs '{\"max_tokens\": …}')."


def notes_on(evaluations: Sequence[Evaluation]) -> list[str]:
    """Returns the notes to print below the tables, each of a sentence or two; empty if there are none."""
    notes = [*_bases(evaluations), *_leaks(evaluations), *_first_trials(evaluations[0]), *_cut_replies(evaluations)]
    for evaluation in evaluations:
        notes += [*_lost(evaluation), *_later_trials(evaluation), *_source(evaluation)]
    return notes


def _bases(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    if evaluations[0].config.trials and NONE not in [one.reflector for one in evaluations]:
        yield "There is no difference to a plain retry above: none was not evaluated."


def _leaks(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    if not evaluations[0].config.trials:
        return
    reports = leak_reports(evaluations)
    if None in reports.values():
        yield "Not known: how many reflections contain the answer. The environment's teacher does not define 'leaks'."
    for name, report in reports.items():
        if report is not None and report.leaking:
            yield (
                f"{name}: {100 * report.share:.1f} % of its reflections contain the answer. The table of leaks has its "
                "success without them."
            )


def _first_trials(evaluation: Evaluation) -> Iterator[str]:
    """Trial 0 is the same for all policies."""
    played, too_long = _too_long(evaluation, 0)
    if too_long and too_long == played:
        yield (
            f"Every trial 0 ({played} of {played}) ended because the prompt did not fit into the actor's context: the "
            f"rates above say nothing about what the actor can do. {_SHORTER}"
        )
    elif too_long:
        yield (
            f"{too_long} of {played} trials 0 ended because the prompt did not fit into the actor's context, as "
            f"failures. {_SHORTER}"
        )


def _cut_replies(evaluations: Sequence[Evaluation]) -> Iterator[str]:
    counts = [f"{one.reflector} {one.stats.cut} of {one.stats.calls}" for one in evaluations if one.stats.cut]
    if counts:
        yield f"Replies that reached the actor's token limit: {', '.join(counts)}. {_LONGER}"


def _lost(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.errors:
        return
    lost = f"{evaluation.errors} of {len(evaluation.tasks)} episodes were lost to actor errors"
    yield f"{evaluation.reflector}: {lost}{'' if evaluation.refusal else '; no figure above includes them'}."
    for count, message in evaluation.error_kinds:
        yield f"  {count} × {' '.join(message.split())}"


def _later_trials(evaluation: Evaluation) -> Iterator[str]:
    counts = [_too_long(evaluation, trial) for trial in range(1, evaluation.config.trials + 1)]
    played, too_long = sum(count for count, _ in counts), sum(count for _, count in counts)
    if too_long:
        yield (
            f"{evaluation.reflector}: {too_long} of {played} later trials ended because the prompt did not fit into "
            f"the actor's context, as failures. {_SHORTER}"
        )


def _source(evaluation: Evaluation) -> Iterator[str]:
    if evaluation.reflector_source is not None:
        yield f"{evaluation.reflector}: its adapter is {evaluation.reflector_source}."


def _too_long(evaluation: Evaluation, trial: int) -> tuple[int, int]:
    """Returns how many trials of that number were played, and how many prompts exceeded the actor's context."""
    ends = evaluation.ends_at_trial[trial]
    return sum(ends.values()), ends.get(EndReason.PROMPT_TOO_LONG, 0)
