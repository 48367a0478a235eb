"""Reading: rows, files tied together, rewards again, and the other libraries that read the file."""

import dataclasses
import json
import runpy

import numpy as np
import pytest

from retro_gym import Generation, RecordWriter, Reflection, RetroEnv, read_records
from retro_gym.actors import Reply
from retro_gym.errors import ConfigError, RecordError
from retro_gym.records import ReflectionRecord, TrialRecord, load_run
from retro_gym.records.rows import blank_columns, record_of, row_of
from retro_gym.records.schema import KINDS, LATER_COLUMNS
from retro_gym.rewards import REWARD_NAMES
from retro_gym.testing import EchoActor, FlakyActor

GOOD = json.dumps({"schema": 2, "kind": "trial"}).encode()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{}", "is not a record of schema 2"),
        (b'{"schema": 3, "kind": "trial"}', "is not a record of schema 2, nor of 1. Give a file that"),
        (b'{"schema": 1, "kind": "header"}', "is not a record of schema 2"),
        (b'{"schema": 2, "kind": "other"}', "is not a record of schema 2"),
        (b'{"schema": 2, "kind": ["trial"]}', "is not a record of schema 2"),
        (b"[1]", "is not a record"),
        (b"null", "is not a record"),
        (b"", "not JSON"),
        (b'{"schema": 1, "kind": "tri', "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"\x00\x00", "not JSON"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_file_and_number(path, line, said):
    path.parent.mkdir()
    path.write_bytes(GOOD + b"\n" + line + b"\n" + GOOD + b"\n")
    with pytest.raises(RecordError, match=rf"records.jsonl, line 2: .*{said}"):
        list(read_records(path))


def test_a_file_that_cannot_be_opened_is_a_clear_error(tmp_path):
    for where in (tmp_path, tmp_path / "absent.jsonl"):
        with pytest.raises(RecordError, match="Give the path of a records file"):
            list(read_records(where))
    with pytest.raises(ConfigError, match=r"kind 'trails' is not one of .* Did you mean 'trial'"):
        list(read_records(tmp_path, "trails"))


def test_rows_of_the_last_schema_come_in_the_form_of_this_one(path, trajectory):
    path.parent.mkdir()
    about = {"schema": 1, "episode": 4, "source": "step"}
    trial = {**about, "kind": "trial", "reflections": ["r"], **trajectory().to_json()}
    reflection = {**about, "kind": "reflection", "reflection": "r", "reward": 0.5, "return": 0.5}
    path.write_text(f"{json.dumps(trial)}\n{json.dumps(reflection)}\n")
    rows = list(read_records(path))
    assert [(row["schema"], row["kind"], row["id"]) for row in rows] == [(2, "trial", ""), (2, "reflection", "")]
    assert record_of(rows[0]) == TrialRecord.of(trajectory(), ("r",), episode=4, source="step")
    (upgraded,) = map(record_of, read_records(path, "reflection"))
    assert isinstance(upgraded, ReflectionRecord)
    assert (upgraded.reward, upgraded.before, upgraded.after, upgraded.controls) == (0.5, "", (), ())
    with pytest.raises(RecordError, match=r"holds rows of schema 1 only.*record it again"):
        load_run(path)


def test_every_kind_comes_back_as_it_was_written(path, run, row):
    for kind in KINDS:
        record = record_of({"kind": kind, **blank_columns(kind)} | ({"end": "failed"} if kind == "trial" else {}))
        assert record_of(json.loads(json.dumps(row_of(record)))) == record
    with pytest.raises(RecordError, match="is no row of kind 'trial'"):
        record_of({"kind": "trial"})


@pytest.mark.parametrize("change", [{"before": "zzz-1"}, {"after": ["zzz-1"]}, {"parent": "zzz-1"}, {"group": "zzz-1"}])
def test_a_row_that_refers_to_none_above_is_named(path, graded, change):
    env = RetroEnv(graded(), actor=EchoActor("0.25"), records=path)
    env.reset(seed=0)
    env.step("0.5")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[-1] |= change
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    with pytest.raises(RecordError, match=r"line 5: it refers to zzz-1, which is in no row above"):
        load_run(path)


# -- rewards again -------------------------------------------------------------------------------------------------


class Moody:
    """Says a number that its seed draws, a higher one where it is told to look; its model is known now and then."""

    def reply(self, prompts):
        return [self._say(np.random.default_rng(prompt.seed), prompt) for prompt in prompts]

    def _say(self, rng, prompt):
        number = min(0.99, 0.7 * rng.random() + 0.05 * len(" ".join(prompt.reflections)) * rng.random())
        known = Generation("moody", (1, 2), (-0.1, -1 / 3)) if rng.random() < 0.5 else None
        return Reply(f"Thought: so {number}\nAction: {number!r}", 10, 3, generation=known)


def played(graded, path, **kwargs):
    """Some episodes of branches and steps, with actor errors; returns what was paid."""
    actor = FlakyActor(Moody(), lambda prompt: prompt.seed % 3 == 0)
    env = RetroEnv(graded(), actor=actor, records=path, **kwargs)
    paid = []
    for seed in range(12):
        env.reset(seed=seed)
        done = False
        while not done:
            texts = [Reflection("look", policy="p"), "", "look there " * (seed % 3)]
            outcomes = [*env.branch(texts), *env.branch(texts[:1])]
            paid += [outcome.reward for outcome in outcomes]
            lead = next((each for each in outcomes[seed % 2 :] if each.reward is not None), None)
            if seed % 3 and lead is not None:
                done = env.follow(lead)
            else:
                _, reward, terminated, truncated, _ = env.step("look")
                paid.append(None if truncated else reward)
                done = terminated or truncated
    env.close()
    return paid, actor


@pytest.mark.parametrize("reward", REWARD_NAMES)
def test_every_reward_can_be_computed_again_from_the_file_alone(graded, path, reward, root, capsys, monkeypatch):
    paid, _ = played(graded, path, reward=reward, retroact_c=0.3, control_trials=2)
    run = load_run(path)
    assert run.lost
    assert len(run.reflections) > 20
    both = [*run.reflections.values(), *run.lost.values()]
    rated = {each.id: run.rate(each) for each in both}
    in_order = sorted(rated, key=lambda each: int(each.partition("-")[2]))
    assert [rated[each] for each in in_order] == paid  # to the last bit
    assert [run.rate(each) for each in run.reflections.values()] == [each.reward for each in run.reflections.values()]
    monkeypatch.setattr("sys.argv", ["rate_records.py", str(path)])
    runpy.run_path(str(root / "examples" / "rate_records.py"), run_name="__main__")
    assert f"{len(run.reflections)} of {len(run.reflections)} equal to what was paid" in capsys.readouterr().out


def test_another_runs_rewards_are_rated_by_another_rule(graded, tmp_path):
    def key(reflection):
        return reflection.episode, reflection.trial, reflection.reflection

    runs = {}
    for reward in REWARD_NAMES:
        played(graded, tmp_path / reward, reward=reward, control_trials=1)
        runs[reward] = load_run(tmp_path / reward)
    # One pair plays the very trials that the other rewards play: they would have paid these numbers.
    for reward in ("return", "improvement", "retroact"):
        paid = {key(each): each.reward for each in runs[reward].reflections.values()}
        for other in REWARD_NAMES:
            first = [each for each in runs[other].reflections.values() if each.trial == 0 and key(each) in paid]
            assert [runs[other].rate(each, reward) for each in first] == [paid[key(each)] for each in first]
            assert len(first) > 5
    first = next(iter(runs["return"].reflections.values()))
    assert runs["return"].rate(first, "over_control") is None  # no control was played
    assert runs["return"].rate(first, "retroact", c=0.5) != runs["return"].rate(first, "retroact", c=2.0)
    with pytest.raises(ConfigError, match="'best' is not one of"):
        runs["return"].rate(first, "best")


# -- other libraries -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["small", "large", "small both", "large both"])
def file(request, graded, path, run, row):
    """A run of each kind of row; the large one is read in several pieces, the first of which has trials alone."""
    size, _, memory = request.param.partition(" ")
    memory = memory or "reflections"
    run = dataclasses.replace(run, memory=memory)
    if size == "large":
        writer = RecordWriter(path)
        for number in range(600):
            writer.append(row(number % 3, text="x" * 20_000, error="" if number else "2024-01-01"), run)
    played(graded, path, reward="over_control", control_trials=2, memory=memory)
    if size == "large":
        writer = RecordWriter(path)
        bare = dataclasses.replace(row(0), turns=(), task="2024-01-01")
        for _ in range(200_000 // 4):
            writer.append(bare, run)
    return path


def test_datasets_reads_the_file(file, tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = list(read_records(file))
    found = datasets.load_dataset("json", data_files=str(file), cache_dir=str(tmp_path / "cache"), split="train")
    assert len(found) == len(rows)
    assert found["kind"][:] == [row["kind"] for row in rows]
    types = {"str": "string", "int": "int64", "float": "float64", "bool": "bool"}
    columns = {"schema", "kind", *blank_columns()}
    if next(read_records(file, "header"))["memory"] == "reflections":
        assert not columns & found.features.keys() & LATER_COLUMNS.keys()
        columns -= LATER_COLUMNS.keys()
    for name, value in blank_columns().items():
        if name not in columns:
            continue
        feature = found.features[name]
        if isinstance(value, list):
            feature, value = feature.feature, value[0]
        if isinstance(value, dict):
            assert {key: each.dtype for key, each in feature.items()} == {
                key: types[type(each).__name__] for key, each in value.items()
            }
        else:
            assert feature.dtype == types[type(value).__name__], name
    some = [number for number, row in enumerate(rows) if row["kind"] != "trial"][:400]
    for number in some:
        got = found[number]
        own = rows[number].keys() & columns
        assert {name: got[name] for name in own} == {name: rows[number][name] for name in own}


def test_pandas_reads_the_file(file):
    pandas = pytest.importorskip("pandas")
    rows = list(read_records(file))
    frame = pandas.read_json(file, lines=True, precise_float=True)
    assert frame["kind"].tolist() == [row["kind"] for row in rows]
    reflections = frame[frame["kind"] == "reflection"]
    wanted = [row for row in rows if row["kind"] == "reflection"]
    for name in ("id", "reward", "return", "before", "after", "controls", "policy", "reflection"):
        assert reflections[name].tolist() == [row[name] for row in wanted]
