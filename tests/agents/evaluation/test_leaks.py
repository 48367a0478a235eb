from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from retro_gym.testing import FlakyActor
from retro_gym.testing.identity import IdentityTeacher
from retro_gym_agents.evaluation.leaks import leak_reports
from retro_gym_agents.evaluation.results import to_json
from retro_gym_agents.evaluation.tables import print_tables
from tests.agents.evaluation.test_seeds import Guessing, Writing, played


@pytest.fixture
def known(monkeypatch):
    """The teacher of the tests' environment: naming the word with an exclamation mark is telling the answer."""
    monkeypatch.setattr(
        IdentityTeacher, "leaks", lambda self, reflection, task_id: f"{task_id.rpartition('-')[2]}!" in reflection
    )


class Telling(Writing):
    """Tells the answer on tasks of some words, and names the word on the others."""

    def reflect(self, observations, envs, seeds):
        words = [env.trajectory.task_id.rpartition("-")[2] for env in envs]
        return [f"{word}!" if word in self.text else word for word in words]


def printed(results):
    stream = io.StringIO()
    print_tables(results, Console(file=stream, width=120))
    return stream.getvalue()


def test_leaks_are_counted_among_the_reflections_that_were_written(known):
    results = played("none", Telling("half", "red blue"), Telling("told", "red green blue gold"))
    reports = leak_reports(results)
    none, half, told = reports["none"], reports["half"], reports["told"]
    assert (none.written, none.leaking) == (0, 0)
    assert math.isnan(none.share)
    written = [(task, text) for task in results[1].tasks for text in task.reflections]
    leaking = [task for task, text in written if "!" in text]
    assert (half.written, half.leaking) == (len(written), len(leaking))
    assert 0 < half.share < 1
    assert (told.share, told.episodes) == (1.0, 0)
    assert math.isnan(told.success.mean)
    assert math.isnan(told.difference.mean)


def test_success_without_leaks_is_that_of_the_episodes_whose_first_reflection_is_clean(known):
    none, half = results = played("none", Telling("half", "red blue"))
    report = leak_reports(results)["half"]
    clean = [task for task in half.tasks if task.reflections and "!" not in task.reflections[0]]
    assert report.episodes == len(clean) > 0
    assert report.success.mean == 1.0
    retried = {(task.task_id, task.seed): task.success[1] for task in none.tasks}
    lucky = [[retried[one.task_id, one.seed] for one in clean if one.task_id == name] for name in _names(clean)]
    assert report.difference.mean == pytest.approx(1 - sum(sum(each) / len(each) for each in lucky) / len(lucky))


def _names(tasks):
    return sorted({task.task_id for task in tasks})


def test_table_json_and_notes_report_leaks(known):
    results = played("none", Telling("half", "red blue"))
    text = " ".join(printed(results).split())
    report = leak_reports(results)["half"]
    assert "trial 1 after first ones without the answer: success in %, difference to none" in text
    assert f"half {report.written} {100 * report.share:.1f} % - {report.episodes} 100.0" in text
    assert f"half: {100 * report.share:.1f} % of its reflections contain the answer" in text
    none, half = (policy["leaks"] for policy in to_json(results)["policies"])
    assert none["share"] is None
    assert half["share"] == round(report.share, 6)
    assert (half["written"], half["leaking"], half["clean_episodes"]) == (
        report.written, report.leaking, report.episodes,
    )  # fmt: skip
    assert half["clean_success"] == 1.0
    assert half["clean_paired"]["difference_at_trial"] == round(report.difference.mean, 6)
    rows = [row for row in to_json(results)["rows"] if row["policy"] == "half" and row["reflection"]]
    assert [row["leak"] for row in rows] == ["!" in row["reflection"] for row in rows]


def test_leaks_are_not_known_without_a_teacher_that_knows(monkeypatch):
    monkeypatch.delattr(IdentityTeacher, "leaks")
    results = played("none", "oracle")
    assert leak_reports(results) == {"none": None, "oracle": None}
    assert to_json(results)["policies"][1]["leaks"] is None
    text = printed(results)
    assert "with the answer" not in text
    assert text.count("Not known: how many reflections contain the answer") == 1
    assert {row["leak"] for row in to_json(results)["rows"]} == {None}


def test_a_policy_without_a_success_rate_has_its_share_of_leaks(known):
    down = FlakyActor(Guessing(), lambda prompt: "red!" in prompt.reflections)
    results = played("none", Telling("half", "red blue"), env_kwargs={"actor": down}, max_error_rate=0.0)
    report = leak_reports(results)["half"]
    assert report.share > 0
    assert report.success is report.difference is None
    assert to_json(results)["policies"][1]["leaks"]["clean_success"] is None
    assert "half" in printed(results)


def test_causes_of_failure_are_reported(monkeypatch):
    monkeypatch.setattr(
        IdentityTeacher, "failure_cause", lambda self, task_id: "a warm word" if "red" in task_id else ""
    )
    results = played("none", Writing("red", "red"), trials=1)
    causes = to_json(results)["policies"][1]["causes"]
    assert causes["a warm word"]["success_at_trial"][1] == 1.0
    assert causes[""]["success_at_trial"][1] < 1.0
    assert causes["a warm word"]["num_tasks"] + causes[""]["num_tasks"] == 20
    text = printed(results)
    assert "By cause of failure, success at trial 0 → 1" in text
    assert f"a warm word: {causes['a warm word']['num_tasks']}" in text
    assert "other: " in text
    paired = to_json(results)["paired"][0]["causes"]
    assert paired["a warm word"]["won"][1] > 0
