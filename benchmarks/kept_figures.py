"""Keeps the figures of ``retro-gym evaluate --json`` files that the documentation prints, without their episodes.

    retro-gym evaluate RetroWebShop-v0 --reflector none … rule --num-tasks 200 --seeds 2 --trials 1 --json webshop.json
    python benchmarks/kept_figures.py --files hotpotqa.json alfworld.json webshop.json sql.json \
        --output benchmarks/results/policies.json

``tests/test_readme_figures.py`` compares README.md and the pages in ``docs`` with the files in ``benchmarks/results``.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import tyro

SETTINGS = ("env_id", "split", "seed", "seeds", "num_tasks", "trials", "actor", "actor_parameters")
HEADER = ("panel", "retro_gym_version", "numpy_version", "torch_version", "transformers_version")


@dataclasses.dataclass(frozen=True)
class Config:
    """What is kept."""

    files: tuple[Path, ...]
    """Files that ``retro-gym evaluate --json`` wrote."""
    output: Path
    """The file to write."""


def kept(result: dict[str, Any]) -> dict[str, Any]:
    """Returns settings, versions, and for each policy success, its interval, and how many reflections leak."""
    policies = {
        one["reflector"]: {
            "success_at_trial": one["success_at_trial"],
            "ci95": one["ci95"],
            "reflections": one["leaks"]["written"],
            "leaking": one["leaks"]["leaking"],
        }
        for one in result["policies"]
    }
    settings = {name: result[name] for name in SETTINGS}
    return {**settings, **{name: result["header"][name] for name in HEADER}, "policies": policies}


def main(config: Config) -> None:
    """Writes the figures of all files, in their order."""
    found = [kept(json.loads(path.read_text(encoding="utf-8"))) for path in config.files]
    config.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
