"""What is read from which file, and what is set beside what."""

import json
import shutil

import pytest

from retro_gym.errors import ConfigError, RecordError
from retro_gym.records import load_run
from retro_gym_agents.evaluation.stored import load_result
from retro_gym_agents.view.sources import load_panels


def copied(files, tmp_path, *names):
    for name in names:
        shutil.copy(files / name, tmp_path / name)
    return [tmp_path / name for name in names]


def outcomes(panel, policy):
    return {failure.key: failure.solved(policy, panel.rounds) for failure in panel.failures.values()}


def test_a_result_is_joined_with_the_journal_beside_it(files):
    (panel,) = load_panels([files / "one.json"])
    stored = load_result(files / "one.json")
    assert panel.policies == ["none", "noisy", "oracle"] == list(stored.episodes)
    for policy, episodes in stored.episodes.items():
        expected = {key: [float(solved) for solved in each.success] for key, each in episodes.items()}
        assert outcomes(panel, policy) == expected
    trials = [trial for failure in panel.failures.values() for trial in failure.trials]
    assert all(trial.turns for trial in trials)
    assert any("--records FILE" in note for note in panel.notes)
    row = next(row for row in json.loads((files / "one.json").read_text())["rows"] if row["names_cause"])
    failure = panel.failures[row["task_id"], row["seed"]]
    (one,) = (one for one in failure.tries if (one.policy, one.trial + 1) == (row["policy"], row["trial"]))
    assert (one.text, one.leak, one.named) == (row["reflection"], False, True)
    assert (failure.group, failure.cause) == (row["group"], row["cause"])


def test_a_trial_follows_from_the_trial_before_it(files):
    (panel,) = load_panels([files / "one.json"])
    for failure in panel.failures.values():
        for one in failure.tries:
            assert failure.trials[one.before].number == one.trial
            assert failure.trials[one.after[0]].number == one.trial + 1


def test_records_of_an_evaluation_bring_the_actors_prompts(files):
    (panel,) = load_panels([files / "two.json", files / "two.jsonl"])
    run = load_run(files / "two.jsonl")
    assert panel.notes == []
    trials = [trial for failure in panel.failures.values() for trial in failure.trials]
    assert len(trials) == len(run.trials)
    texts = set()
    for trial in trials:
        parts = {0: trial.task, 1: trial.noted}
        texts.add("".join(parts.get(part, part) for part in panel.forms[trial.form]))
    assert texts == {run.prompt(trial, 0).text for trial in run.trials.values()}


def test_a_result_without_its_trials_says_so(files, tmp_path):
    (panel,) = load_panels(copied(files, tmp_path, "one.json"))
    assert any("the turns of" in note and "one.json.trials.jsonl" in note for note in panel.notes)
    assert all(trial.turns is None for failure in panel.failures.values() for trial in failure.trials)
    assert outcomes(panel, "oracle") == outcomes(load_panels([files / "one.json"])[0], "oracle")


def test_trials_given_beside_a_result_are_joined(files, tmp_path):
    (alone,) = copied(files, tmp_path, "one.json")
    (panel,) = load_panels([alone, files / "one.json.trials.jsonl"])
    assert all(trial.turns for failure in panel.failures.values() for trial in failure.trials)
    (panel,) = load_panels(copied(files, tmp_path, "two.json", "two.jsonl"))
    assert all(trial.turns and trial.form == 0 for failure in panel.failures.values() for trial in failure.trials)


def test_the_trials_of_another_evaluation_are_left_out(files, tmp_path):
    (alone,) = copied(files, tmp_path, "one.json")
    shutil.copy(files / "other.json.trials.jsonl", tmp_path / "one.json.trials.jsonl")
    (panel,) = load_panels([alone])
    assert any("other settings" in note for note in panel.notes)


def test_seeds_are_joined_with_their_own_trials(files):
    (panel,) = load_panels([files / "other.json"])
    assert {seed for _, seed in panel.failures} == {7, 8}
    for failure in panel.failures.values():
        assert all(trial.turns for trial in failure.trials)
        assert len({trial.task for trial in failure.trials}) == 1


def test_two_results_on_one_panel_are_set_beside_each_other(files):
    (panel,) = load_panels([files / "one.json", files / "two.json"])
    assert panel.policies == ["none", "noisy", "oracle", "none (two.json)", "vague"]
    assert len(panel.failures) == 12
    assert outcomes(panel, "none") == outcomes(panel, "none (two.json)")
    for failure in panel.failures.values():
        assert sum(trial.number == 0 for trial in failure.trials) == 1


def test_first_trials_that_differ_are_counted(files, tmp_path):
    one, two, journal = copied(files, tmp_path, "one.json", "two.json", "two.json.trials.jsonl")
    rows = [json.loads(line) for line in journal.read_text().splitlines()]
    first = next(row for row in rows if row["kind"] == "trial")
    first["trajectory"]["turns"][0]["action"] = "something else"
    journal.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (panel,) = load_panels([files / one.name, two])
    assert any("1 of 12 first trials in two.json differ" in note for note in panel.notes)


def test_results_on_different_panels_stay_apart(files):
    one, other = load_panels([files / "one.json", files / "other.json"])
    assert [one.files[0], other.files[0]] == ["one.json", "other.json"]
    (note,) = (note for note in other.notes if "not set beside each other" in note)
    assert "the evaluation seed is 7 in place of 0" in note


def test_a_journal_alone_is_shown(files):
    (panel,) = load_panels([files / "one.json.trials.jsonl"])
    (whole,) = load_panels([files / "one.json"])
    assert panel.policies == whole.policies
    assert panel.num_trials == whole.num_trials
    assert any("without its result" in note for note in panel.notes)


def test_branches_of_records(files):
    (panel,) = load_panels([files / "collected.jsonl"])
    run = load_run(files / "collected.jsonl")
    assert panel.num_trials == len(run.trials)
    assert sum(len(failure.tries) for failure in panel.failures.values()) == len(run.reflections)
    first = next(failure for failure in panel.failures.values() if failure.tries)
    branches = [one for one in first.tries if one.trial == 0]
    assert len(branches) == 3
    share = sum(one.reward > 0 for one in branches) / 3
    assert first.solved("noisy", 1) == [0.0, pytest.approx(share)]


def test_a_run_has_updates_controls_and_a_curve(run_folder):
    (panel,) = load_panels([run_folder])
    assert panel.kind == "training"
    assert len(panel.curves[0]["rows"]) == 4
    tries = [one for failure in panel.failures.values() for one in failure.tries]
    assert sorted(one.update for one in tries) == [1, 1, 2, 2, 3, 3]
    assert all(len(one.controls) == 2 == len(one.after) for one in tries)


def test_the_validations_of_a_run_are_policies_on_the_same_failures(validated_folder):
    panel, training = load_panels([validated_folder])
    assert (panel.kind, training.kind) == ("validation", "training")
    assert panel.policies == ["update 0", "update 3"]
    assert len(panel.curves[0]["rows"]) == 4
    assert not [note for note in training.notes if "another panel" in note]
    before, after = (outcomes(panel, policy) for policy in panel.policies)
    assert len(before) == len(after) == 8
    assert not any(solved[-1] for solved in before.values())
    assert 0 < sum(solved[-1] for solved in after.values()) < 8
    assert {one.update for failure in panel.failures.values() for one in failure.tries} == {0, 3}


def test_a_run_without_metrics_has_no_curve(run_folder):
    (run_folder / "metrics.jsonl").unlink()
    (panel,) = load_panels([run_folder])
    assert panel.notes == ["first holds no metrics.jsonl: there is no curve."]


def test_a_torn_last_line_is_left_out(files, tmp_path):
    records, result, journal = copied(files, tmp_path, "collected.jsonl", "one.json", "one.json.trials.jsonl")
    for path in (records, journal):
        path.write_bytes(path.read_bytes()[:-20])
    assert load_panels([records])[0].num_trials > 0
    (panel,) = load_panels([result])
    assert panel.num_trials == load_panels([files / "one.json"])[0].num_trials


def test_a_result_of_which_parts_are_missing_is_refused(files, tmp_path):
    content = json.loads((files / "one.json").read_text())
    for change in ({"trial": "first"}, {"end": None, "return": "much"}):
        content["rows"][1] = {**content["rows"][1], **change}
    del content["rows"][2]["end"]
    (tmp_path / "part.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="is no whole result"):
        load_panels([tmp_path / "part.json"])


def test_one_policy_alone(files, tmp_path):
    content = json.loads((files / "one.json").read_text())
    content["rows"] = [row for row in content["rows"] if row["policy"] == "noisy"]
    (tmp_path / "alone.json").write_text(json.dumps(content))
    (panel,) = load_panels([tmp_path / "alone.json"])
    assert panel.policies == ["noisy"]


def test_a_failed_actor_is_no_failure_of_the_policy(files, tmp_path):
    content = json.loads((files / "one.json").read_text())
    row = next(row for row in content["rows"] if (row["policy"], row["trial"]) == ("noisy", 1) and row["end"])
    key = (row["task_id"], row["seed"])
    own = [each for each in content["rows"] if (each["task_id"], each["policy"]) == (row["task_id"], "noisy")]
    content["rows"] = [each for each in content["rows"] if each not in own[2:]]
    row.update({"success": None, "return": None, "end": "actor error", "actor_error": "no connection"})
    (tmp_path / "lost.json").write_text(json.dumps(content))
    (panel,) = load_panels([tmp_path / "lost.json"])
    assert panel.failures[key].solved("noisy", 2) == [0.0, None, None]
    assert panel.failures[key].lost == {"noisy": "no connection"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty. Give the folder of a run"),
        ("\n\n", "is empty"),
        ("name,score\na,1\n", "begins with 'name,score"),
        ('{"a": 1}\n', "is no result of schema 2"),
        ('{"schema": 1, "rows": []}', "is no result of schema 2"),
        ("{\n", "cannot be read as a result"),
        ("[1, 2]", "begins with '[1, 2]'"),
        ('{"kind": "header", "schema": 3, "settings": {}, "run": {}}\n', "journal of schema 3"),
        ("\x89PNG\r\n", "begins with"),
    ],
)
def test_files_that_cannot_be_shown(tmp_path, content, words):
    path = tmp_path / "some.file"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError) as caught:
        load_panels([path])
    assert words in str(caught.value)
    assert "some.file" in str(caught.value)


def test_folders_and_paths_that_cannot_be_shown(tmp_path, files):
    with pytest.raises(ConfigError, match=r"without records\.jsonl"):
        load_panels([tmp_path])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_panels([tmp_path / "absent.json"])
    with pytest.raises(ConfigError, match="given twice"):
        load_panels([files / "one.json", files / "." / "one.json"])
    with pytest.raises(ConfigError, match="no file is given"):
        load_panels([])


def test_records_without_a_trial_and_damaged_ones(files, tmp_path):
    lines = (files / "collected.jsonl").read_text().splitlines(keepends=True)
    path = tmp_path / "cut.jsonl"
    path.write_text(lines[0])
    with pytest.raises(ConfigError, match="holds no trial yet"):
        load_panels([path])
    path.write_text("".join([lines[0], "broken\n", *lines[1:]]))
    with pytest.raises(RecordError, match="line 2"):
        load_panels([path])
    journal = (files / "one.json.trials.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join([journal[0], '{"kind": "trial"}\n', *journal[1:]]))
    with pytest.raises(RecordError, match="line 2"):
        load_panels([path])
