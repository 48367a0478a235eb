"""Puts the figures of ``benchmarks/results/attacks.json`` into the manuals, the docstrings of the environments.

    python -m benchmarks.attack_tables
    python docs/render_environments.py

``tests/test_attack_figures.py`` compares the manuals with the file.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "benchmarks" / "results" / "attacks.json"
MANUALS = {
    "RetroHotpotQA-v0": "hotpotqa",
    "RetroALFWorld-v0": "alfworld",
    "RetroWebShop-v0": "webshop",
    "RetroInterCodeSQL-v0": "intercode_sql",
}
"""By id the folder of an environment."""

HEAD = "| policy | success | leak |\n|---|---|---|"

_COMMON: Mapping[str, Sequence[str]] = {
    "``none`` (a plain retry); ``vague``; ``outcome``": ("none", "vague", "outcome"),
    "``oracle``; ``rule``; ``told`` (the answer)": ("oracle", "rule", "told"),
    "``noisy``": ("noisy",),
    "``task_only``; the task's text": ("task_only", "task"),
    "``copy``; the observation's first 300; 600; 1,000 characters": ("copy", "first 300", "first 600", "first 1000"),
    "its last 300; 600; 1,000 characters": ("last 300", "last 600", "last 1000"),
    "``actions``; the same as a mere list": ("actions", "actions listed"),
    "``shotgun``; every name of the trial": ("shotgun", "every name"),
    "one; two; three names of the trial at random": ("one name", "two names", "three names"),
    "the last name; the most frequent name": ("last name", "most frequent name"),
    "the first; second; third; last candidate": (
        "first candidate",
        "second candidate",
        "third candidate",
        "last candidate",
    ),
    "a candidate at random; two; one that was not tried": ("one candidate", "two candidates", "untried candidate"),
    "a candidate at random, with what the trial says of it": ("described candidate",),
    'all candidates; each by itself; each "if it is right"': (
        "every candidate",
        "every candidate by itself",
        "every candidate if right",
    ),
    '"do not" with what was tried; with the oracle\'s advice': ("not the tried", "not the oracle"),
    "``lookup``; the same by the failures; ``shuffled``": ("lookup", "lookup by failure", "shuffled"),
}
_OWN: Mapping[str, Mapping[str, Sequence[str]]] = {
    "RetroHotpotQA-v0": {
        "the name in the longest sentence": ("longest sentence",),
        "the last search, and the asked value's unusual words": ("last search",),
    },
    "RetroALFWorld-v0": {
        "the goal alone": ("goal",),
        "the first object of the task's kind that is seen from afar": ("first of the kind",),
        "number 1; 2; 5 for every decision": ("number 1", "number 2", "number 5"),
        "number 3 as the tool; as the target; as the place": (
            "number 3 as the tool",
            "number 3 as the target",
            "number 3 as the place",
        ),
    },
    "RetroWebShop-v0": {
        "the task's words as an order": ("task as an order",),
        "the first; the last; the cheapest product": ("first product", "last product", "cheapest product"),
    },
    "RetroInterCodeSQL-v0": {'"Use the right columns: …" with the task\'s text': ("task as columns",)},
}


def rows_of(env_id: str) -> dict[str, Sequence[str]]:
    """Returns the labels of the rows of an environment's table, and the policies that each is about."""
    return {**_COMMON, **_OWN[env_id]}


def table(result: Mapping[str, Any]) -> str:
    """Returns the table, and below it what else was measured."""
    lines = [HEAD]
    for label, names in rows_of(result["env_id"]).items():
        policies = [result["policies"][name] for name in names]
        success = [_percent(one["success"]) for one in policies]
        leaks = [f"{100 * one['leaking'] / (one['reflections'] or 1):.0f}" for one in policies]
        lines.append(f"| {label} | {_listed(success)} | {_listed(leaks) if set(leaks) != {'0'} else '0'} |")
    causes = ", ".join(f"{name} {_percent(share)}" for name, share in result["solved_at_trial_0_by_cause"].items())
    mean, most = result["observation_chars"]["mean"], result["observation_chars"]["most"]
    facts = (
        f"Solved at trial 0, in %: {_percent(result['solved_at_trial_0'])}; by cause: {causes}. "
        f"The observation of a failure has {mean:,.0f} characters on average, at most {most:,}."
    )
    return "\n".join(lines) + "\n\n" + textwrap.fill(facts, 116)


def _percent(share: float) -> str:
    return "100" if share == 1 else f"{round(100 * share, 4):.1f}"


def _listed(cells: Sequence[str]) -> str:
    if len(cells) > 1 and len(set(cells)) == 1:
        return f"{cells[0]} each"
    return "; ".join(cells)


_BLOCK = re.compile(rf"^ *{re.escape(HEAD.splitlines()[0])}\n.*?at most [\d,]+\.$", re.MULTILINE | re.DOTALL)


def with_table(manual: str, result: Mapping[str, Any]) -> str:
    """Returns a docstring, or the file that holds it, with the figures of a result."""
    new, count = _BLOCK.subn(lambda _: textwrap.indent(table(result), "    "), manual)
    assert count == 1, f"the manual of {result['env_id']} holds {count} tables of attacks"
    return new


def main() -> None:
    """Writes the figures into all manuals."""
    for result in json.loads(RESULT.read_text(encoding="utf-8")):
        path = ROOT / "envs" / "retro_gym_envs" / MANUALS[result["env_id"]] / "env.py"
        text = with_table(path.read_text(encoding="utf-8"), result)
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
