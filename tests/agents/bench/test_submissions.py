"""Results of others' policies in a benchmark's tables."""

import json
import re

import pytest

from retro_gym_agents.bench import load_config, run_bench
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.results import write_json
from retro_gym_agents.play.policies import make_policy
from tests.agents.commands import refused, run

FILE = """
envs: [RetroIdentity-v0, RetroWebShop-v0]
actors: {stochastic: {}, deterministic: {actor_kwargs: {temperature: 0}}}
evaluation: {num_tasks: 12, trials: 2, actors: [stochastic]}
arms: [{name: vague advice, policy: vague}, {name: oracle, policy: oracle}]
"""
PANEL = {"num_tasks": 12, "trials": 2}


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The words of a command that writes the report of a benchmark that was run."""
    folder = tmp_path_factory.mktemp("bench")
    (folder / "bench.yaml").write_text(FILE.replace("RetroIdentity-v0, ", ""))
    run_bench(load_config(folder / "bench.yaml"), folder / "out")
    (folder / "bench.yaml").write_text(FILE)
    run_bench(load_config(folder / "bench.yaml"), folder / "out", resume=True)
    return ["bench", folder / "bench.yaml", "--output", folder / "out", "--report-only"]


@pytest.fixture
def file(tmp_path):
    """Writes a result with these settings; returns its path."""

    def write(*names, env_id="RetroWebShop-v0", **settings):
        policies = [make_policy(name) for name in names]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.json"
        write_json(evaluate_all(EvaluationConfig(env_id, **(PANEL | settings)), policies), path)
        return path

    return write


def test_a_submission_stands_in_the_table_of_its_panel(bench, file, capsys, tmp_path):
    policy = make_policy(lambda failures: ["nothing"] * len(failures))
    write_json([evaluate("RetroWebShop-v0", policy, **PANEL)], tmp_path / "theirs.json")
    code, out, _ = run(capsys, *bench, "--submission", f"theirs={tmp_path / 'theirs.json'}")
    assert code == 0
    assert "is policy '<lambda>' of theirs.json, in: RetroWebShop-v0, played by stochastic." in out
    stored = json.loads((bench[3] / "results.json").read_text())
    rows = {one["env_id"]: {arm["name"]: arm for arm in one["arms"]} for one in stored["results"]}
    assert "theirs" not in rows["RetroIdentity-v0"]
    theirs, vague = (rows["RetroWebShop-v0"][name] for name in ("theirs", "vague advice"))
    assert theirs["actor_calls"] is None
    assert theirs["success"] == vague["success"]
    assert re.search(r"\| theirs \| [\d.]+ \| 1 of 2 \|", out), "its mean is over fewer environments than the arms'"
    assert re.search(r"\| oracle \| 100.0 \| 2 of 2 \|", out)
    assert stored["submissions"] == {"theirs": {"policy": "<lambda>", "file": "theirs.json"}}
    code, out, _ = run(capsys, *bench)
    assert "theirs" not in out, "it stands in one report"


def test_several_submissions_and_several_policies(bench, file, capsys):
    both, one = file("none", "noisy", "rule"), file("noisy")
    told = refused(capsys, *bench, "--submission", f"mine={both}")
    assert "holds several policies: none, noisy, rule. Submit one by its own name" in told
    code, out, _ = run(capsys, *bench, "--submission", f"rule={both}", f"other={one}", "--submission", f"noisy={both}")
    assert code == 0
    (table,) = [part for part in out.split("\n## ") if part.startswith("RetroWebShop-v0")]
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1:] for line in table.splitlines() if "|" in line}
    assert rows["rule"] == rows["oracle"], "both solve everything"
    assert rows["noisy"] == rows["other"] != rows["rule"]


def test_names(bench, file, capsys):
    one = file("noisy")
    assert "an arm has this name" in refused(capsys, *bench, "--submission", f"oracle={one}")
    assert "an arm has this name" in refused(capsys, *bench, "--submission", f"plain retry={one}")
    assert "has this name already" in refused(capsys, *bench, "--submission", f"a={one}", f"a={one}")
    assert "NAME=FILE" in refused(capsys, *bench, "--submission", str(one))
    assert "the plain retry only" in refused(capsys, *bench, "--submission", f"mine={file('none')}")


def test_other_panels(bench, file, capsys):
    def told(*names, **settings):
        return refused(capsys, *bench, "--submission", f"theirs={file(*names, **settings)}")

    line = told("vague", num_tasks=11)
    assert (
        "on another panel than RetroWebShop-v0 played by stochastic: the number of tasks is 11 in place of 12" in line
    )
    assert "the evaluation seed is 1 in place of 0" in told("vague", seed=1)
    deterministic = told("vague", env_kwargs={"actor_kwargs": {"temperature": 0}})
    assert "the actor's setting is {'temperature': 0.0} in place of" in deterministic
    other = told("vague", env_id="RetroHotpotQA-v0")
    assert (
        "of RetroHotpotQA-v0, which has no results here; there are those of RetroIdentity-v0, RetroWebShop-v0" in other
    )


def test_the_nearest_panel_is_named(bench, file, capsys):
    text = FILE.replace("RetroIdentity-v0, ", "")  # whose actor has no temperature
    path = bench[1].with_name("both.yaml")
    path.write_text(text.replace("actors: [stochastic]", "actors: [stochastic, deterministic]"))
    run_bench(load_config(path), bench[3], resume=True)
    capsys.readouterr()  # its progress
    theirs = file("vague", num_tasks=11, env_kwargs={"actor_kwargs": {"temperature": 0}})
    line = refused(capsys, "bench", path, *bench[2:], "--submission", f"theirs={theirs}")
    assert "played by deterministic: the number of tasks is 11 in place of 12" in line


def test_nothing_to_report(bench, capsys, tmp_path):
    empty = [bench[0], bench[1], "--output", tmp_path / "out", "--report-only"]
    assert "holds no results of this benchmark. Run it" in refused(capsys, *empty)
    assert "there is no file" in refused(capsys, "bench", tmp_path / "absent.yaml", "--output", tmp_path / "out")
    assert "with --report-only" in refused(capsys, "bench", *bench[1:4])
