"""The text of the cards: what a run was, how to use it, and how it did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from retro_gym_agents.lm.card import cell, table
from retro_gym_agents.share.commands import command_of
from retro_gym_agents.share.facts import Judged, RunFacts

__all__ = ["data_body", "metadata", "run_sections"]

_PLAIN = ("none", "a plain retry")


def run_sections(facts: RunFacts, name: str, *, merged: bool, planner: bool) -> list[str]:
    """Returns the parts of a run's card: what it is, its use, its training, its results.

    Args:
        facts: what is known of the run.
        name: its name on the hub.
        merged: whether it is a merged model, not an adapter.
        planner: whether the model plays, instead of reflecting.
    """
    env_id = facts.header.get("env_id") or facts.config.get("env_id") or ""
    parts = [_what(facts, env_id, planner=planner), _use(name, env_id, merged=merged, planner=planner)]
    parts += [_training(facts)] if facts.config or facts.header else []
    return [*parts, *([] if facts.judged is None else [_results(facts.judged)])]


def metadata(facts: RunFacts, name: str) -> dict[str, Any]:
    """Returns the metadata with which the hub shows a run's success beside its name."""
    if facts.judged is None:
        return {}
    from huggingface_hub import EvalResult

    result = facts.judged.result
    own = next(row for row in facts.judged.shown if row["reflector"] == facts.judged.policy)
    success = own["success_at_trial"]
    if not success or None in success:
        return {}
    shared = {"task_type": "reinforcement-learning", "task_name": "Reflection writing", "metric_type": "success"}
    data = {"dataset_type": result["env_id"], "dataset_name": result["env_id"], "dataset_split": result["split"]}
    return {
        "model_name": name.partition("/")[2],
        "eval_results": [
            EvalResult(**shared, **data, metric_name=f"Success by trial {trial}", metric_value=success[trial])
            for trial in sorted({0, 1, len(success) - 1} & set(range(len(success))))
        ],
    }


def data_body(name: str, counts: Mapping[str, int], headers: Sequence[Mapping[str, Any]]) -> str:
    """Returns the text of a data set's card."""
    rows: list[list[object]] = [["environment", "split", "actor", "policy", "seed", "retro_gym"]]
    for header in headers:
        seed = "" if header["seed"] < 0 else header["seed"]
        about = [header[column] for column in ("env_id", "split", "actor", "policy")]
        rows.append([*about, seed, header["retro_gym_version"]])
    listed = ", ".join(f"{count:,} rows of {table_name}" for table_name, count in counts.items())
    first = "reflections" if "reflections" in counts else next(iter(counts))
    together = " ".join(f"{table_name}.jsonl" for table_name in counts)
    return "\n\n".join(
        [
            f"# {cell(name.partition('/')[2])}",
            "Trials of an actor, reflections on those that failed, and what the next trial earned: records of "
            f"retro_gym. {listed}.",
            table(rows),
            "## Use",
            "```python\nfrom datasets import load_dataset\n\n"
            f'{first} = load_dataset("{name}", "{first}", split="train")\n```',
            "Each row has an `id`; the columns `before`, `after`, `controls`, `parent` and `of` name other rows. The "
            "files one after the other are a file of records, which the commands of retro_gym take:",
            f"```\nhf download {name} --repo-type dataset --local-dir data\ncd data && cat {together} > "
            "records.jsonl\n```",
        ]
    )


def _what(facts: RunFacts, env_id: str, *, planner: bool) -> str:
    """Returns a sentence on what the model does."""
    actor = cell(facts.header.get("actor") or facts.config.get("actor") or "")
    where = f" in `{env_id}`" if env_id else ""
    if planner:
        return f"It plays{where}: an actor of retro_gym, with reflections on its failed trials in the prompt."
    played = f" of the actor `{actor}`" if actor else ""
    return f"It reads a failed trial{played}{where} and writes a reflection, with which the actor tries again."


def _use(name: str, env_id: str, *, merged: bool, planner: bool) -> str:
    role, method = ("Planner", "reply(prompts)") if planner else ("Reflector", "reflect([failure])")
    option = f"--actor planner:{name} --reflector none vague" if planner else f"--reflector none {name} oracle"
    plain = "transformers import AutoModelForCausalLM" if merged else "peft import AutoPeftModelForCausalLM"
    return "\n\n".join(
        [
            "## Use",
            f'```python\nfrom retro_gym_agents import {role}\n\nmodel = {role}.load("{name}")\nmodel.{method}\n```',
            f"```\nretro-gym evaluate {env_id or 'ENV_ID'} {option}\n```",
            "Or without retro_gym:",
            f'```python\nfrom {plain}\n\nmodel = {plain.rpartition(" ")[2]}.from_pretrained("{name}")\n```',
        ]
    )


def _training(facts: RunFacts) -> str:
    config, header = facts.config, facts.header
    env_kwargs = header.get("env_kwargs") or config.get("env_kwargs") or {}
    parameters = header.get("actor_parameters") or {}
    said: dict[str, object] = {
        "environment": header.get("env_id") or config.get("env_id"),
        "arguments of the environment": _json({name: value for name, value in env_kwargs.items() if value is not None}),
        "tasks": _tasks(header),
        "actor": header.get("actor") or config.get("actor"),
        "parameters of the actor": _json(parameters),
        "reward": header.get("reward_name"),
        "algorithm": config.get("algorithm"),
        "base": config.get("reflector") or config.get("model"),
        "LoRA": _json(config.get("lora") or {}),
        "seed": config.get("seed"),
        "updates": _updates(facts),
        "adapter": facts.adapter,
        "actor calls": _whole(facts.metrics.get("actor_calls")),
        "made with": _made_with(header),
    }
    rows: list[list[object]] = [["", ""], *([name, value] for name, value in said.items() if value not in (None, ""))]
    command = command_of(config)
    again = "" if command is None else f"\n\nThe command that makes it again:\n\n```\n{command}\n```"
    return f"## Training\n\n{table(rows)}{again}"


def _results(judged: Judged) -> str:
    result = judged.result
    trials = range(result["trials"] + 1)
    head = ["policy", *(f"success by trial {trial}" for trial in trials), "difference to a plain retry", "won, lost"]
    rows: list[list[object]] = [[*head, "p", "reflections with the answer"]]
    for row in judged.shown:
        paired = judged.paired(row["reflector"])
        rows.append([_named(row, judged), *(_share(row, trial) for trial in trials), *_difference(paired), _leak(row)])
    panel = (
        f"{result['num_tasks']} tasks of the split {result['split']}, each with {result['seeds']} evaluation seed(s) "
        f"from {result['seed']}, played by the actor `{result['actor']}` in `{result['env_id']}`"
    )
    return (
        f"## Results\n\n{panel}. In %, with 95 % intervals; the difference is paired by task and seed, at the last "
        f"trial.\n\n{table(rows)}"
    )


def _named(row: Mapping[str, Any], judged: Judged) -> str:
    name = str(row["reflector"])
    if name == judged.policy:
        return "this model"
    return f"{name} ({_PLAIN[1]})" if name == _PLAIN[0] else name


def _share(row: Mapping[str, Any], trial: int) -> str:
    if not row["success_at_trial"] or row["success_at_trial"][trial] is None:
        return "not known"
    return f"{100 * row['success_at_trial'][trial]:.1f}{_interval(row['ci95'][trial], '.1f')}"


def _difference(paired: Mapping[str, Any] | None) -> list[str]:
    if paired is None or not paired["difference_at_trial"] or paired["difference_at_trial"][-1] is None:
        return ["", "", ""]
    p_value = paired["p_value"][-1]
    return [
        f"{100 * paired['difference_at_trial'][-1]:+.1f}{_interval(paired['ci95'][-1], '+.1f')}",
        f"{paired['won'][-1]}, {paired['lost'][-1]}",
        "" if p_value is None else f"{p_value:.2g}",
    ]


def _interval(ends: Sequence[float] | None, form: str) -> str:
    return "" if ends is None or None in ends else f" [{100 * ends[0]:{form}}, {100 * ends[1]:{form}}]"


def _leak(row: Mapping[str, Any]) -> str:
    share = None if row["leaks"] is None else row["leaks"]["share"]
    return "not known" if share is None else f"{100 * share:.1f}"


def _tasks(header: Mapping[str, Any]) -> str:
    if not header.get("panel_size"):
        return ""
    return f"{header['panel_size']} of the split {header['split']} (digest {header['panel']})"


def _updates(facts: RunFacts) -> str:
    done = _whole(facts.metrics.get("update"))
    seconds = facts.metrics.get("seconds")
    return f"{done} in {seconds / 60:.1f} min" if done and seconds else done


def _made_with(header: Mapping[str, Any]) -> str:
    names = ("retro_gym", "gymnasium", "numpy", "torch", "transformers")
    return ", ".join(f"{name} {header[f'{name}_version']}" for name in names if header.get(f"{name}_version"))


def _whole(value: Any) -> str:
    return "" if value is None else f"{int(value):,}"


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True) if value else ""
