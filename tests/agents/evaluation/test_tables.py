from __future__ import annotations

import dataclasses
import io
import itertools
import json

import pytest
from rich.console import Console

from retro_gym.errors import ConfigError
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym.testing.identity import IdentityTeacher
from retro_gym_agents.evaluation.comparison import gain_shares
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.outputs import check_output
from retro_gym_agents.evaluation.results import to_json, write_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.play.policies import make_policy

ENV = "RetroIdentity-v0"


class Always:
    """Names one word, whatever the task."""

    def __init__(self, name: str, word: str) -> None:
        self.name = name
        self.word = word

    def reflect(self, observations, envs, seeds):
        return [self.word] * len(envs)


def evaluations(*policies, **fields):
    config = EvaluationConfig(ENV, **{"trials": 1, **fields})
    return evaluate_all(config, [make_policy(one) if isinstance(one, str) else one for one in policies])


def printed(results, width=100) -> str:
    stream = io.StringIO()
    print_tables(results, Console(file=stream, width=width))
    return stream.getvalue()


def test_figures_of_one_policy():
    result = to_json(evaluations(Always("red", "red"), num_tasks=None, seed=5))
    about = {"schema": 2, "env_id": ENV, "split": "test", "seed": 5, "seeds": 1, "num_tasks": 64, "trials": 1}
    assert about.items() <= result.items()
    assert result["paired"] == []
    (row,) = result["policies"]
    assert row["reflector"] == "red"
    assert row["success_at_trial"] == row["mean_return_at_trial"] == [0.0, 0.25]
    assert row["average_success"] == row["average_return"] == 0.125
    assert row["ci95"][0] == [0.0, 0.056624]  # 0 of 64 says so much and no more
    low, high = row["ci95"][1]
    assert 0.1 < low < 0.25 < high < 0.4
    assert (row["actor_calls"], row["actor_errors"]) == (128, 0)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (0, 0)
    assert row["groups"] == row["causes"] == {}
    assert row["refused"] is None
    first = {"policy": "red", "seed": 5, "task_id": "test-0-red", "group": "", "cause": "", "actor_error": ""}
    first["names_cause"] = None
    assert result["rows"][:2] == [
        {**first, "trial": 0, "success": False, "return": 0.0, "end": "failed", "reflection": "", "leak": None},
        {**first, "trial": 1, "success": True, "return": 1.0, "end": "solved", "reflection": "red", "leak": False},
    ]


def test_several_policies_are_compared_with_none_and_with_tiny():
    row = to_json(evaluations(Always("tiny", "?"), Always("runs/x", "red"), "none", "oracle"))
    assert [one["reflector"] for one in row["policies"]] == ["tiny", "runs/x", "none", "oracle"]
    paired = {(one["reflector"], one["against"]): one for one in row["paired"]}
    assert list(paired) == [("tiny", "none"), ("runs/x", "none"), ("oracle", "none"), ("runs/x", "tiny")]
    assert paired["runs/x", "tiny"]["difference_at_trial"] == [0.0, 0.25]
    low, high = paired["runs/x", "tiny"]["ci95"][1]
    assert 0 < low < 0.25 < high
    counts = {name: paired["runs/x", "tiny"][name] for name in ("won", "lost", "tied", "p_value")}
    assert counts == {"won": [0, 16], "lost": [0, 0], "tied": [64, 48], "p_value": [1.0, 3.05176e-05]}
    assert paired["oracle", "none"]["ci95"][1] == [0.886752, 1.0]  # all won, and yet no point
    assert paired["tiny", "none"]["ci95"][1] == [-0.056624, 0.056624]
    assert row["gain_share"] == {"tiny": [None, 0.0], "runs/x": [None, 25.0]}


def test_without_none_only_tiny_is_compared_with():
    row = to_json(evaluations(Always("tiny", "?"), Always("runs/x", "red")))
    assert [(one["reflector"], one["against"]) for one in row["paired"]] == [("runs/x", "tiny")]
    assert row["gain_share"] == {}


def test_gain_shares_need_both_ends():
    assert gain_shares(evaluations("none", "noisy")) == {}
    shares = gain_shares(evaluations("none", Always("half", "red"), "oracle", trials=2))
    assert shares == {"half": [None, 25.0, 25.0]}


def test_same_seed_same_bytes_wherever_the_records_go(tmp_path):
    for name in ("a", "b"):
        results = evaluations("noisy", "oracle", seed=1, env_kwargs={"records": tmp_path / name / "records.jsonl"})
        write_json(results, tmp_path / name / "result.json")
    first, second = ((tmp_path / name / "result.json").read_bytes() for name in ("a", "b"))
    assert first == second
    assert str(tmp_path).encode() not in first
    assert [path.name for path in (tmp_path / "a").iterdir() if path.name.startswith(".")] == []
    write_json(evaluations("noisy", "oracle", seed=2), tmp_path / "c.json")
    assert (tmp_path / "c.json").read_bytes() != first


def test_the_header_and_a_row_for_each_task_and_trial():
    config = {"num_tasks": 12, "trials": 2, "seed": 4, "max_error_rate": 0.9}
    flaky = {"actor": FlakyActor(IdentityActor(), lambda prompt: "green" in prompt.task and bool(prompt.reflections))}
    found = evaluations(Always("red", "red"), "oracle", env_kwargs=flaky, **config)
    result = to_json(found)
    header, rows = result["header"], result["rows"]
    assert {"schema": 2, "env_id": ENV, "policy": "red, oracle", "seed": 4, "panel_size": 12}.items() <= header.items()
    assert (header["reward_name"], header["actor"], len(header["id"])) == ("return", "FlakyActor", 12)
    assert {tuple(row) for row in rows} == {
        (
            *("policy", "seed", "task_id", "group", "cause", "trial"),
            *("success", "return", "end", "reflection", "leak", "names_cause", "actor_error"),
        )
    }
    assert json.loads(header["settings"]) == {"seeds": 1}
    for policy in found:
        own = [row for row in rows if row["policy"] == policy.reflector]
        assert {row["seed"] for row in own} == {4}
        for task in map(dataclasses.asdict, policy.tasks):
            mine = [row for row in own if row["task_id"] == task["task_id"]]
            assert [row["trial"] for row in mine] == list(range(len(mine)))
            assert [row["success"] for row in mine if row["success"] is not None] == list(task["success"])
            assert [row["return"] for row in mine if row["return"] is not None] == list(task["returns"])
            assert [row["end"] for row in mine if row["end"]] == list(task["ends"])
            assert [row["reflection"] for row in mine if row["end"]][1:] == list(task["reflections"])
            assert [row["actor_error"] for row in mine] == (len(mine) - 1) * [""] + [task["actor_error"] or ""]
            assert (mine[-1]["success"] is None) == (task["actor_error"] is not None)
    assert any(row["actor_error"] for row in rows)
    (alone,) = evaluations("oracle", **config)
    assert to_json([alone])["header"] == alone.header.to_json()
    assert len(to_json([alone])["rows"]) == 36


def test_arguments_of_the_environment_are_reported_where_they_are_plain():
    kwargs = {"actor": IdentityActor(), "words": ("red", "blue"), "num_tasks": 4}
    assert to_json(evaluations("none", env_kwargs=kwargs))["env_kwargs"] == {"num_tasks": 4, "words": ("red", "blue")}


def test_groups_are_reported_apart(monkeypatch):
    monkeypatch.setattr(IdentityTeacher, "task_group", lambda self, task_id: "warm" if "red" in task_id else "[cold]")
    results = evaluations(Always("red", "red"))
    groups = to_json(results)["policies"][0]["groups"]
    assert {name: group["num_tasks"] for name, group in groups.items()} == {"[cold]": 48, "warm": 16}
    assert groups["warm"]["success_at_trial"] == [0.0, 1.0]
    assert groups["[cold]"]["success_at_trial"] == [0.0, 0.0]
    paired = to_json(evaluations("none", Always("red", "red")))["paired"][0]["groups"]
    assert paired["warm"]["difference_at_trial"] == [0.0, 1.0]
    assert (paired["warm"]["won"], paired["[cold]"]["tied"]) == ([0, 16], [48, 48])
    assert "[cold]" in printed(results)
    assert "0.0 → 100.0" in printed(results)


def test_tables_say_what_was_measured():
    text = printed(evaluations("none", Always("runs/[x]", "red"), "oracle"))
    assert "64 tasks of split 'test', seed 0" in text
    assert "runs/[x]" in text
    assert "+25.0" in text
    assert "16 : 0, p < 0.001" in text
    assert "25 %" in text
    assert "trial 1" in text
    assert "trial 2" not in text


def test_the_difference_to_a_plain_retry_comes_first_then_success_then_the_rest(monkeypatch):
    monkeypatch.setattr(IdentityTeacher, "leaks", lambda self, reflection, task_id: reflection == "gold")
    monkeypatch.setattr(IdentityTeacher, "failure_cause", lambda self, task_id: task_id.rpartition("-")[2])
    text = printed(evaluations("none", Always("tiny", "?"), Always("runs/x", "red"), "oracle", trials=3), width=140)
    titles = [
        "Difference to none (a plain retry) on the same actor seeds",
        "Success by trial",
        "Difference to tiny on the same actor seeds",
        "From none (0 %) to oracle",
        "By cause of failure",
        "Reflections with the answer",
        "Mean return",
        "What the actor cost",
    ]
    places = [text.index(title) for title in titles]
    assert places == sorted(places)
    first, second = (text[start:stop].split() for start, stop in itertools.pairwise(places[:3]))
    assert " ".join(first).index("trial 3") < " ".join(first).index("trial 1")  # the last trial, then the first one
    oracle = second[second.index("oracle") :][:6]
    assert oracle == ["oracle", "0.0", "100.0", "100.0", "100.0", "75.0"]  # the average over trials at the end
    assert [second.count(word) for word in ("first", "last", "average")] == [1, 1, 1]


@pytest.mark.parametrize("trials", [0, 3])
def test_tables_fit_into_a_terminal(trials):
    text = printed(evaluations("none", "noisy", "oracle", trials=trials), width=80)
    assert "…" not in text.replace(" … ", "")
    assert max(map(len, text.splitlines())) <= 80


def test_a_refused_policy_has_no_figure_and_the_others_keep_theirs():
    down = FlakyActor(IdentityActor(), lambda prompt: "red" in prompt.reflections)
    results = evaluations("none", Always("down", "red"), "oracle", env_kwargs={"actor": down}, max_error_rate=0.4)
    row = to_json(results)
    flat = {one["reflector"]: one for one in row["policies"]}
    assert flat["down"]["success_at_trial"] is flat["down"]["ci95"] is flat["down"]["mean_return_at_trial"] is None
    assert "64 of 64 episodes" in flat["down"]["refused"]
    assert (flat["down"]["actor_errors"], flat["oracle"]["actor_errors"]) == (64, 16)
    assert flat["oracle"]["success_at_trial"] == [0.0, 1.0]
    assert [(one["reflector"], one["against"]) for one in row["paired"]] == [("oracle", "none")]
    json.dumps(row, allow_nan=False)
    text = printed(results)
    assert "oracle: 16 of 64 episodes were lost to actor errors" in text


def test_a_refused_none_is_compared_with_nothing():
    down = FlakyActor(IdentityActor(), lambda prompt: not prompt.reflections and prompt.seed % 2 == 0)
    results = evaluations("none", "vague", env_kwargs={"actor": down})
    assert all(one.refusal for one in results)
    assert to_json(results)["paired"] == []
    assert "Difference" not in printed(results)


def test_nothing_and_other_configs_are_refused():
    with pytest.raises(ConfigError, match="no evaluation"):
        to_json([])
    with pytest.raises(ConfigError, match="different configs"):
        to_json([*evaluations("none", num_tasks=2), *evaluations("oracle", num_tasks=3)])


def test_output_is_checked_at_the_door(tmp_path):
    assert check_output(tmp_path / "new" / "file.json").parent.is_dir()
    with pytest.raises(ConfigError, match="is a folder"):
        check_output(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be created"):
        check_output(tmp_path / "file" / "below.json")
