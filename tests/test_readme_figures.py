"""The figures of the README and of pages of the documentation are those of the files in benchmarks/results."""

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ENVS = ("RetroHotpotQA-v0", "RetroALFWorld-v0", "RetroWebShop-v0", "RetroInterCodeSQL-v0")


def row(start: str, file: str = "docs/tiny.md") -> list[str]:
    (line,) = (line for line in (ROOT / file).read_text().splitlines() if line.startswith(start))
    return [cell.strip(" *") for cell in line.strip("|").split("|")[1:]]


def table(heading: str, file: str = "docs/policies.md") -> dict[str, list[str]]:
    """Returns the rows of the first table after a heading, by the name in backticks that they begin with."""
    lines = (ROOT / file).read_text().split(heading, 1)[1].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| `"))
    rows = {}
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[name.split("`")[1]] = cells
    return rows


def kept(name):
    return json.loads((ROOT / "benchmarks" / "results" / name).read_text())


def policies(results, name):
    return [one["policies"][name] for one in results]


def share_that_leaks(policy):
    return round(100 * policy["leaking"] / (policy["reflections"] or 1))


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


@pytest.mark.parametrize("env_id", ENVS)
def test_the_table_of_the_readme(env_id):
    success = json.loads((ROOT / "benchmarks" / "results" / "specialists.json").read_text())[env_id]["success"]
    _, none, untrained, trained, oracle = row(f"| `{env_id}` |", "README.md")
    for shown, name in ((none, "none"), (untrained, "untrained"), (oracle, "oracle")):
        assert same(shown, success[name]), name
    for shown, seed in zip(trained.split(", "), range(3), strict=True):
        assert same(shown, success[f"{env_id}-{seed}"]), seed


def test_what_policies_without_a_model_earn():
    results, shown = kept("policies.json"), table("## The failure must matter")
    assert [(one["env_id"], one["num_tasks"], one["seeds"], one["trials"]) for one in results] == [
        (env_id, 200, 2, 1) for env_id in ENVS
    ]
    assert all(one["policies"].keys() == shown.keys() for one in results)
    for name, cells in shown.items():
        *success, leaks = cells
        for cell, one in zip(success, results, strict=True):
            assert same(cell, 100 * one["policies"][name]["success_at_trial"][1]), name
        shares = [share_that_leaks(policy) for policy in policies(results, name)]
        told = [int(share) for share in leaks.split(", ")] if leaks else [0]
        assert shares == told * (4 if len(told) == 1 else 1), name


def test_what_they_earn_on_public_data():
    results, shown = kept("public.json"), table("## On public data")
    assert [(one["env_id"], one["num_tasks"], one["seeds"], one["split"]) for one in results] == [
        ("RetroHotpotQA-v0", 60, 2, "test"),
        ("RetroALFWorld-v0", 140, 1, "valid_seen"),
        ("RetroInterCodeSQL-v0", 861, 1, "test"),
    ]
    for name, cells in shown.items():
        for cell, policy in zip(cells, policies(results, name), strict=True):
            success, *leaks = cell.strip(")").split(" (")
            assert same(success, 100 * policy["success_at_trial"][1]), name
            assert [int(leak) for leak in leaks] == ([] if name == "none" else [share_that_leaks(policy)])


def test_what_retroformer_earns():
    (result,) = kept("retroformer.json")
    assert (result["env_id"], result["num_tasks"], result["seeds"]) == ("RetroHotpotQA-v0", 200, 2)
    shown = table("retroformer.json", "docs/pipelines.md")
    assert result["policies"].keys() == shown.keys()
    for name, (success, _) in shown.items():
        assert same(success, 100 * result["policies"][name]["success_at_trial"][1]), name
