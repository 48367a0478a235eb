"""Records as logs of Inspect (``inspect_ai``), which ``inspect view`` shows and ``inspect_ai.log.read_eval_log`` reads.

A log holds the reflections of one policy in one run, and a sample is a reflection: what the policy read, what it wrote,
and the trial that followed. Several reflections on one failure are the epochs of one sample.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any, TypeAlias

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.records import LostRecord, ReflectionRecord, RunHeader, RunRecords

__all__ = ["write_logs"]

_Tried: TypeAlias = ReflectionRecord | LostRecord
_SCORES = {"solved": "accuracy", "reward": "mean", "leak": "share"}
"""The scores of a sample, and what their mean over the samples is called."""
_UNKNOWN = "unknown"  # the name of a policy that is not known
_TEXT = ("env_kwargs", "actor_parameters", "settings")  # columns of a header that are JSON text


def write_logs(runs: Iterable[RunRecords], folder: Path) -> int:
    """Writes a log for each policy of each run into a new folder; returns the number of samples.

    Raises:
        ConfigError: there is no reflection.
        MissingExtraError: inspect_ai is not installed.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise MissingExtraError("inspect_ai", "inspect") from error
    logs = [log for run in runs for log in _logs_of(run)]
    if not logs:
        raise ConfigError("the files of records hold no reflection, which is what a sample of a log is.")
    folder.mkdir(parents=True)
    for number, log in enumerate(logs):
        created = re.sub(r"[:.]", "-", log.eval.created)
        write_eval_log(log, folder / f"{created}_{_slug(log.eval.task)}_{log.eval.run_id}-{number}.eval")
    return sum(len(log.samples) for log in logs)


def _logs_of(run: RunRecords) -> list[Any]:
    found: defaultdict[tuple[str, str], list[_Tried]] = defaultdict(list)
    everything: list[_Tried] = [*run.reflections.values(), *run.lost.values()]
    for tried in everything:
        header = run.header(tried)
        found[header.id, tried.policy or header.policy or _UNKNOWN].append(tried)
    return [_log(run, run.headers[run_id], policy, rows) for (run_id, policy), rows in found.items()]


def _log(run: RunRecords, header: RunHeader, policy: str, rows: Sequence[_Tried]) -> Any:
    """Returns the log of a policy in a run."""
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalResults, EvalSpec, EvalStats

    now = datetime.now(UTC).isoformat(timespec="seconds")  # records hold no times
    epochs: defaultdict[str, int] = defaultdict(int)
    samples = []
    for row in rows:
        after = f", after {row.parent}" if row.parent else ""
        name = f"{row.task_id}, trial {row.trial}, seed {row.episode}{after}"
        epochs[name] += 1
        samples.append(_sample(run, row, name, epochs[name], policy))
    about = header.to_json()
    about |= {name: json.loads(about[name]) for name in _TEXT}
    done = [sample for sample in samples if sample.error is None]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            created=now,
            task=header.env_id or "retro_gym",
            task_args={name: value for name, value in about["env_kwargs"].items() if value is not None},
            run_id=header.id,
            eval_id=f"{header.id}-{_slug(policy)}",
            task_id=header.id,
            model=policy,
            dataset=EvalDataset(name=header.split or None, samples=len(epochs), sample_ids=list(epochs)),
            config=EvalConfig(epochs=max(epochs.values())),
            packages=_packages(about),
            metadata=about,
        ),
        results=EvalResults(
            total_samples=len(samples), completed_samples=len(done), scores=[_mean(name, done) for name in _SCORES]
        ),
        stats=EvalStats(started_at=now, completed_at=now),
        samples=samples,
    )


def _sample(run: RunRecords, row: _Tried, name: str, epoch: int, policy: str) -> Any:
    """Returns a reflection as a sample."""
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput

    played = run.after(row)
    messages: list[Any] = [
        ChatMessageUser(content=row.observation),
        ChatMessageAssistant(content=row.reflection, model=policy),
    ]
    for trial in played:
        result = "void" if trial.void else f"{trial.end}, return {trial.return_:g}"
        messages.append(
            ChatMessageUser(
                content=f"Trial {trial.trial} with this reflection ({result}):\n\n{trial.trajectory.render()}"
            )
        )
    error = EvalError(message=row.error, traceback="", traceback_ansi="") if isinstance(row, LostRecord) else None
    names = ("id", "task_id", "episode", "trial", "source", "group", "parent", "before", "after", "controls")
    return EvalSample(
        id=name,
        epoch=epoch,
        input=row.observation,
        target="",
        messages=messages,
        output=ModelOutput.from_content(model=policy, content=row.reflection),
        scores=None if isinstance(row, LostRecord) else _scores(row),
        metadata={each: getattr(row, each) for each in names} | {"task": run.before(row).task},
        error=error,
    )


def _scores(row: ReflectionRecord) -> dict[str, Any]:
    from inspect_ai.scorer import CORRECT, INCORRECT, Score

    returns = f"return {row.return_before:g} before, {row.return_:g} after"
    return {
        "solved": Score(value=CORRECT if row.success else INCORRECT, answer=row.reflection, explanation=returns),
        "reward": Score(value=row.reward, explanation=returns),
        "leak": Score(value=row.leak),
    }


def _mean(name: str, samples: Sequence[Any]) -> Any:
    """Returns the mean of a score."""
    from inspect_ai.log import EvalMetric, EvalScore
    from inspect_ai.scorer import CORRECT

    values = [sample.scores[name].value for sample in samples]
    figures = [float(value == CORRECT if name == "solved" else value) for value in values]
    metric = _SCORES[name]
    metrics = {metric: EvalMetric(name=metric, value=fmean(figures))} if figures else {}
    return EvalScore(name=name, scorer=name, scored_samples=len(figures), metrics=metrics)


def _packages(about: Mapping[str, Any]) -> dict[str, str]:
    named = {name: about[f"{name}_version"] for name in ("retro_gym", "gymnasium", "numpy", "torch", "transformers")}
    return {name: version for name, version in named.items() if version}


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-")
