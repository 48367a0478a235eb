"""``retro-gym compare``: two result files on one panel."""

import json

import pytest
from scipy.stats import binomtest

from retro_gym_agents.evaluation.stored import compare_files, load_result
from tests.agents.commands import refused, run

PANEL = ["RetroWebShop-v0", "--num-tasks", 40, "--trials", 2, "--seeds", 2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Two files of one panel, one of another panel, and one with both policies."""
    from retro_gym_agents.cli import main

    folder = tmp_path_factory.mktemp("results")
    for name, policies, more in (
        ("noisy", ["noisy"], []),
        ("lookup", ["lookup"], []),
        ("both", ["noisy", "lookup"], []),
        ("other", ["noisy"], ["--seed", 7]),
    ):
        words = ["evaluate", *PANEL, *more, "--reflector", "none", *policies, "--json", folder / f"{name}.json"]
        assert main(list(map(str, words))) == 0
    return folder


def test_a_comparison_of_files_is_that_of_one_evaluation(capsys, results, tmp_path):
    words = ["compare", results / "noisy.json", results / "lookup.json"]
    code, out, _ = run(capsys, *words, "--json", tmp_path / "out.json")
    assert code == 0
    assert "noisy − lookup, 80 episodes" in out
    assert "first trials differ" not in out
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["policies"] == ["noisy", "lookup"]
    assert found["difference"][0] == 0
    assert found["difference"][2] > 0
    both = load_result(results / "both.json")
    assert compare_files(both, both, ("noisy", "lookup")).to_json() == found
    both = json.loads((results / "both.json").read_text())
    against_none = compare_files(
        load_result(results / "noisy.json"), load_result(results / "lookup.json"), ("noisy", "none")
    )
    (expected,) = (pair for pair in both["paired"] if (pair["reflector"], pair["against"]) == ("noisy", "none"))
    got = against_none.to_json()
    assert (got["won"], got["lost"]) == (expected["won"], expected["lost"])
    assert got["difference"] == pytest.approx(expected["difference_at_trial"], abs=1e-6)
    assert got["ci95"] == [pytest.approx(bounds, abs=1e-6) for bounds in expected["ci95"]]


def test_the_p_value_is_scipys(results):
    found = compare_files(load_result(results / "noisy.json"), load_result(results / "lookup.json"))
    for each in found.differences:
        decided = each.won + each.lost
        assert each.p_value == pytest.approx(binomtest(each.won, decided).pvalue if decided else 1.0)


def test_unequal_panels_are_refused(capsys, results):
    line = refused(capsys, "compare", results / "noisy.json", results / "other.json")
    assert "on another panel than" in line
    assert "the evaluation seed is 0 in place of 7" in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actor": "openai:x"}, "actor is 'scripted' in place of 'openai:x'"),
        ({"env_kwargs": {"leak": "ignore"}}, "env_kwargs is {} in place of"),
        ({"schema": 1}, "is no result of schema 2"),
        ({"rows": [{"policy": "noisy"}]}, "is no whole result"),
        ({"header": {"panel_size": 999, "panel": "other"}}, "the number of tasks is 40 in place of 999"),
        ({"header": {}}, "is no whole result"),
        ({"header": {"memory": "both"}}, "memory is 'reflections' in place of 'both'"),
    ],
)
def test_files_that_do_not_fit(capsys, results, tmp_path, change, words):
    content = json.loads((results / "noisy.json").read_text())
    if change.get("header"):
        change = {"header": content["header"] | change["header"]}
    content |= change
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert words in refused(capsys, "compare", results / "noisy.json", tmp_path / "b.json")


def test_which_policies(capsys, results, tmp_path):
    both = results / "both.json"
    assert "holds 2 policies to compare: noisy, lookup. Say which" in refused(capsys, "compare", both, both)
    assert "Did you mean 'noisy'?" in refused(capsys, "compare", both, both, "--policies", "nois", "none")
    assert "give two" in refused(capsys, "compare", both, both, "--policies", "none")
    assert "cannot be read" in refused(capsys, "compare", both, tmp_path / "absent.json")
    code, out, _ = run(capsys, "compare", both, both, "--policies", "none", "noisy")
    assert code == 0
    assert "none − noisy" in out


def test_failed_actors_and_actors_that_do_not_repeat_themselves(capsys, results, tmp_path):
    content = json.loads((results / "lookup.json").read_text())
    first = [row for row in content["rows"] if row["policy"] == "lookup" and row["trial"] == 0]
    first[0]["success"] = not first[0]["success"]
    first[1]["success"] = None
    (tmp_path / "b.json").write_text(json.dumps(content))
    code, out, _ = run(capsys, "compare", results / "noisy.json", tmp_path / "b.json")
    assert code == 0
    assert "1 episodes are left out" in out
    assert "1 of 79 first trials differ" in out
    for row in content["rows"]:
        row["success"] = None
    (tmp_path / "b.json").write_text(json.dumps(content))
    assert "nothing to compare" in refused(capsys, "compare", results / "noisy.json", tmp_path / "b.json")
