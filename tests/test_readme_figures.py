"""The README's figures are those of the files in benchmarks/results."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0")


def row(start: str) -> list[str]:
    (line,) = (line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(start))
    return [cell.strip(" *") for cell in line.strip("|").split("|")[1:]]


def same(shown: str, measured: float) -> bool:
    return abs(float(shown) - measured) <= 0.0501  # one digit, halves either way


@pytest.mark.parametrize("place", range(4))
def test_what_training_is_worth(place):
    summary = json.loads((ROOT / "benchmarks" / "results" / "specialists.json").read_text())
    env_id = ENVS[place]
    success, gain = summary[env_id]["success"], summary[env_id]["gain"]
    for start, name in (
        ("| none (a plain retry) |", "none"),
        ("| untrained, sampled |", "untrained"),
        ("| untrained, its most likely", "greedy"),
        ("| control |", f"{env_id}-control"),
        ("| generalist |", "RetroMix-v0-0"),
        ("| oracle | 100 | 100 | 100 | 100 |", "oracle"),
    ):
        assert same(row(start)[place], success[name]), name
    trained = [f"{env_id}-{seed}" for seed in range(3)]
    for shown, name in zip(row("| **trained**, seeds")[place].split(", "), trained, strict=True):
        assert same(shown, success[name])
    least = min((gain[name] for name in trained), key=lambda bounds: bounds[0])
    shown = row("| gain on the untrained")[place].replace("[", "").replace("]", "").replace(",", "").split()
    assert all(same(one, value) for one, value in zip(shown, least, strict=True))
    low, high = row("| way from none")[place].split(" to ")
    assert (int(low), int(high)) == (
        round(100 * min(summary[env_id]["way"])),
        round(100 * max(summary[env_id]["way"])),
    )
