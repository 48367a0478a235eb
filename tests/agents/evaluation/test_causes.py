"""Causes of failure that reflections name, in reports; and what first reflections turn right and wrong."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from retro_gym.testing.identity import IdentityTeacher
from retro_gym_agents.evaluation.causes import CauseReport, cause_reports
from retro_gym_agents.evaluation.evaluation import EvaluationConfig, TaskResult
from retro_gym_agents.evaluation.results import to_json, write_json
from retro_gym_agents.evaluation.stored import compare_files, load_result
from retro_gym_agents.evaluation.transitions import transition_reports
from tests.agents.evaluation.test_leaks import printed
from tests.agents.evaluation.test_seeds import Writing, played


@pytest.fixture
def known(monkeypatch):
    """The teacher of the tests' environment: the cause is the word, and it is not known where it is gold."""

    def word(task_id):
        return task_id.rpartition("-")[2]

    monkeypatch.setattr(
        IdentityTeacher, "failure_cause", lambda self, task_id: "" if word(task_id) == "gold" else "word"
    )
    monkeypatch.setattr(
        IdentityTeacher, "names_cause", lambda self, reflection, task_id: word(task_id) in reflection, raising=False
    )


class Later(Writing):
    """Names red in the second reflection on a task, not in the first one."""

    def reflect(self, observations, envs, seeds):
        return ["red" if env.memory.reflections else "?" for env in envs]


def written(evaluation):
    """Task and text of every reflection that is not blank, where the cause is known."""
    return [
        (task.task_id, place, text)
        for task in evaluation.tasks
        for place, text in enumerate(task.reflections)
        if text.strip() and not task.task_id.endswith("gold")
    ]


def test_named_causes_are_counted_where_they_are_known(known):
    results = played("none", Writing("red", "red"), Later("later", ""), "oracle")
    reports = cause_reports(results)
    assert reports["none"] == CauseReport(0, 0, 0, 0)
    assert math.isnan(reports["none"].share)
    assert math.isnan(reports["none"].first_share)
    for one in results[1:]:
        texts = [(task_id.rpartition("-")[2] in text, place) for task_id, place, text in written(one)]
        first = [right for right, place in texts if place == 0]
        assert reports[one.reflector] == CauseReport(len(texts), sum(r for r, _ in texts), len(first), sum(first))
    assert 0 < reports["red"].share < 1
    assert reports["later"].first_share == 0 < reports["later"].share
    assert reports["oracle"].share == reports["oracle"].first_share == 1.0


def test_json_and_table_report_named_causes(known):
    results = played("none", Writing("red", "red"))
    report, result = cause_reports(results)["red"], to_json(results)
    none, red = (policy["cause_named"] for policy in result["policies"])
    assert none == {"written": 0, "naming": 0, "share": None, "first_share": None}
    assert red == {
        "written": report.written,
        "naming": report.naming,
        "share": round(report.share, 6),
        "first_share": round(report.first_share, 6),
    }
    for row in result["rows"]:
        word = row["task_id"].rpartition("-")[2]
        assert row["names_cause"] == (None if word == "gold" or not row["reflection"] else word == "red")
    text = " ".join(printed(results).split())
    assert "Reflections with the answer, and with the cause of failure" in text
    assert f"{100 * report.share:.1f} %" in text


@pytest.mark.parametrize("missing", ["names_cause", "failure_cause"])
def test_causes_are_not_known_without_a_teacher_that_knows(known, monkeypatch, missing):
    monkeypatch.delattr(IdentityTeacher, missing)
    results = played("none", "oracle")
    assert cause_reports(results) == {"none": None, "oracle": None}
    result = to_json(results)
    assert result["policies"][1]["cause_named"] is None
    assert {row["names_cause"] for row in result["rows"]} == {None}
    assert "with the cause" in printed(results)  # the table is there for the leaks


def test_files_of_before_are_still_compared(known, tmp_path):
    results = played("none", "oracle")
    write_json(results, tmp_path / "new.json")
    old = json.loads((tmp_path / "new.json").read_text())
    for policy in old["policies"]:
        del policy["cause_named"], policy["transitions"]
    for row in old["rows"]:
        del row["names_cause"]
    (tmp_path / "old.json").write_text(json.dumps(old))
    files = [load_result(tmp_path / name) for name in ("old.json", "new.json")]
    differences = compare_files(files[0], files[1], ("oracle", "none")).differences
    assert round(differences[1].mean, 6) == to_json(results)["paired"][0]["difference_at_trial"][1] > 0


# -- transitions -------------------------------------------------------------------------------------------------------

EPISODES = {  # by task: success at trials 0 and 1 with none, and with the policy
    "solved": ((True, True), (True, True)),
    "helped 1": ((False, False), (False, True)),
    "helped 2": ((False, False), (False, True)),
    "lost": ((False, False), (False, False)),
    "kept": ((False, True), (False, True)),
    "broken 1": ((False, True), (False, False)),
    "broken 2": ((False, True), (False, False)),
}


def by_hand(name, outcomes, **fields):
    (one,) = played("none", num_tasks=1, trials=1, seeds=1)
    tasks = tuple(
        TaskResult(task_id, 0, "", "", success, (0.0, 0.0), ("failed", "failed"), ("?",))
        for task_id, success in outcomes.items()
    )
    config = EvaluationConfig("RetroIdentity-v0", trials=1, max_error_rate=0.5)
    return dataclasses.replace(one, config=config, reflector=name, tasks=tasks, **fields)


@pytest.fixture
def pair():
    return [by_hand(name, {task: each[i] for task, each in EPISODES.items()}) for i, name in enumerate(("none", "p"))]


def test_what_reflections_turn_right_and_wrong(pair):
    reports = transition_reports(pair)
    none, policy = reports["none"], reports["p"]
    assert (policy.failed, policy.wrong_to_right.mean) == (6, 3 / 6)
    assert (policy.retried, policy.right_to_wrong.mean) == (3, pytest.approx(2 / 3))
    assert (none.failed, none.wrong_to_right.mean, none.retried, none.right_to_wrong.mean) == (6, 3 / 6, 3, 0.0)
    found = to_json(pair)["policies"][1]["transitions"]
    low, high = found.pop("wrong_to_right_ci95")
    assert low < 0.5 < high
    low, high = found.pop("right_to_wrong_ci95")
    assert low < 2 / 3 < high
    assert found == {
        "failed_episodes": 6, "wrong_to_right": 0.5, "retried_episodes": 3, "right_to_wrong": 0.666667,
    }  # fmt: skip
    assert "Trial 1 after a failed trial 0" in printed(pair)


def test_without_a_plain_retry_it_is_not_known_what_broke(pair):
    (report,) = transition_reports(pair[1:]).values()
    assert (report.wrong_to_right.mean, report.retried, report.right_to_wrong) == (0.5, None, None)
    found = to_json(pair[1:])["policies"][0]["transitions"]
    assert found["right_to_wrong"] is found["right_to_wrong_ci95"] is found["retried_episodes"] is None


def test_episodes_with_actor_errors_are_left_out(pair):
    none, policy = pair
    tasks = tuple(
        dataclasses.replace(task, success=task.success[:1], actor_error="down") if task.task_id == "broken 1" else task
        for task in policy.tasks
    )
    report = transition_reports([none, dataclasses.replace(policy, tasks=tasks)])["p"]
    assert (report.failed, report.wrong_to_right.mean) == (5, 3 / 5)
    assert (report.retried, report.right_to_wrong.mean) == (2, 1 / 2)


def test_nothing_is_said_without_a_success_rate_or_a_second_trial(pair):
    refused = dataclasses.replace(
        pair[1], tasks=tuple(dataclasses.replace(task, actor_error="down") for task in pair[1].tasks)
    )
    assert transition_reports([pair[0], refused])["p"] is None
    assert to_json([pair[0], refused])["policies"][1]["transitions"] is None
    (alone,) = played("none", trials=0)
    assert transition_reports([alone]) == {"none": None}


def test_several_seeds_count_as_their_tasks_means():
    none, red = played("none", Writing("red", "red"))
    report = transition_reports([none, red])["red"]
    failed = [task for task in red.tasks if not task.success[0]]
    lucky = {(task.task_id, task.seed) for task in none.tasks if task.success[1] and not task.success[0]}
    assert (report.failed, report.retried) == (len(failed), len(lucky))
    rates = {}
    for task in failed:
        rates.setdefault(task.task_id, []).append(task.success[1])
    assert report.wrong_to_right.mean == pytest.approx(sum(sum(e) / len(e) for e in rates.values()) / len(rates))
