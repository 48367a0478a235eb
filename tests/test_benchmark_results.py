"""The tables of the benchmark are those of the result that is kept beside them."""

import json
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
RESULT = BENCHMARKS / "results" / "embedded.json"
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*")

if not RESULT.is_file():
    pytest.skip("no result of the benchmark is kept", allow_module_level=True)

KEPT = json.loads(RESULT.read_text())


def tables(text):
    """Yields the heading above each table, and its rows by their first cell."""
    heading, rows = "", []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        else:
            if rows:
                yield heading, rows[0], {row[0]: dict(zip(rows[0], row, strict=True)) for row in rows[2:]}
            rows = []
        if line.startswith("## "):
            heading = line[3:]


def numbers(cell):
    return [float(one.replace(",", "")) for one in NUMBER.findall(cell)]


def shown(cell, *measured):
    """Whether a cell shows these numbers, with one digit; halves either way."""
    found = numbers(cell)
    return len(found) == len(measured) and all(abs(a - b) <= 0.0501 for a, b in zip(found, measured, strict=True))


def percent(*fractions):
    return [100 * one for one in fractions]


@pytest.mark.parametrize("one", KEPT["results"], ids=lambda one: f"{one['env_id']}-{one['actor']}")
def test_the_tables(one):
    text = (BENCHMARKS / "results" / "embedded.md").read_text()
    heading = f"{one['env_id']}, played by {one['actor']}"
    table = next(rows for found, header, rows in tables(text) if found == heading and header[0] == "arm")
    assert list(table) == [arm["name"] for arm in one["arms"]]
    last = len(one["arms"][0]["success"]) - 1
    for arm in one["arms"]:
        row = table[arm["name"]]
        for trial in (0, 1, last):
            assert shown(row[f"trial {trial}"], *percent(arm["success"][trial])), arm["name"]
        for trial in (1, last):
            ends = arm["difference_ci95"][trial]
            assert shown(row[f"difference at {trial}"], *percent(arm["difference"][trial], *ends)), arm["name"]
        assert numbers(row["won, lost"]) == [arm["won"][last], arm["lost"][last]]
        for column in ("leaks", "names the cause", "wrong to right", "right to wrong"):
            value = arm[column.replace("the ", "").replace(" ", "_")]
            assert shown(row[column], *([] if value is None else percent(value))), (arm["name"], column)


def test_the_summary():
    """The README's table holds success and difference at trial 1 with the actor that trains."""
    text = (BENCHMARKS / "README.md").read_text()
    table = next(rows for found, _, rows in tables(text) if found == "The result")
    results = {one["env_id"]: one for one in KEPT["results"] if one["actor"] == "stochastic"}
    assert set(table) == {arm["name"] for one in results.values() for arm in one["arms"]}
    for env_id, one in results.items():
        short = env_id.removeprefix("Retro").removesuffix("-v0")
        for arm in one["arms"]:
            row = table[arm["name"]]
            assert shown(row[short], *percent(arm["success"][1])), arm["name"]
            ends = arm["difference_ci95"][1]
            assert shown(row[f"{short}, difference"], *percent(arm["difference"][1], *ends)), arm["name"]
            assert row["calls"] == "" or len(numbers(row["calls"])) == len(results)
