"""What records, tapes and journals never do: damage a file of another kind, give secrets away, or take odd types."""

import json

import gymnasium as gym
import pytest

from retro_gym import Generation, Reflection, RetroEnv
from retro_gym.actors import make_actor
from retro_gym.actors.secrets import MASK
from retro_gym.errors import ActorError, ConfigError, DataError, RecordError
from retro_gym.records import RecordWriter, RunHeader, load_run, read_records
from retro_gym.records.header import plain_json

FOREIGN = [json.dumps({"precious": [1]}), json.dumps({"precious": [1]}, indent=2), "notes", "[\n1\n]"]


def play_on_tape(task_env, path):
    tape = make_actor(lambda prompts: ["Action: 0.5"] * len(prompts), task_env, record=path)
    RetroEnv(task_env, actor=tape).reset(seed=0)


@pytest.mark.parametrize("content", FOREIGN)
def test_a_foreign_file_without_a_last_line_end_stays_as_it_is(tmp_path, graded, content):
    path = tmp_path / "x.json"
    path.write_text(content)
    env = RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path)
    with pytest.raises(RecordError, match="a file of another kind"):
        env.reset(seed=0)
    with pytest.raises(RecordError):
        play_on_tape(graded(), path)
    assert path.read_text() == content


def test_a_torn_first_line_of_our_own_is_repaired(tmp_path, graded):
    path = tmp_path / "x.jsonl"
    path.write_text('{"schema": 2, "ki')
    RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path).reset(seed=0)
    assert [row["kind"] for row in read_records(path)] == ["header", "prompt", "trial"]


def test_secrets_of_the_actor_are_in_no_row(tmp_path, graded, monkeypatch):
    monkeypatch.setenv("PLANTED_API_KEY", "sk-planted-0123456789")

    def refused(prompts):
        return [ActorError("401 for key sk-planted-0123456789") for _ in prompts]

    path = tmp_path / "x.jsonl"
    env = RetroEnv(graded(), actor=refused, records=path)
    with pytest.raises(ActorError):
        env.reset(seed=0)
    assert "sk-planted" not in path.read_text()
    assert MASK in path.read_text()


def test_secrets_within_arguments_are_in_no_header(tmp_path):
    kwargs = {"RetroX": {"server": "http://user:pw@10.0.0.7:3000", "api_token": "live-0123456789"}}
    header = RunHeader(env_kwargs=plain_json(kwargs))
    assert json.loads(header.env_kwargs) == {"RetroX": {"server": MASK, "api_token": MASK}}


@pytest.mark.parametrize(
    "change", [{"seed": "x"}, {"policy": None}, {"seed": 1.5}, {"seed": 2**70}, {"panel_size": True}]
)
def test_a_header_of_other_types_is_refused_before_anything_is_written(tmp_path, graded, change):
    path = tmp_path / "x.jsonl"
    env = RetroEnv(
        graded(),
        actor=lambda prompts: ["Action: 0.5"] * len(prompts),
        records=RecordWriter(path, RunHeader(**change)),
    )
    (column,) = change
    with pytest.raises(RecordError, match=f"needs (int|str) in its column '{column}'"):
        env.reset(seed=0)
    assert path.read_text() == ""


@pytest.mark.parametrize("logprobs", [(float("nan"),), (float("inf"),), ("x",), ()])
def test_what_is_no_generation_is_refused_where_it_is_made(logprobs):
    with pytest.raises(DataError, match="generation"):
        Reflection("a", generation=Generation("m", (1,), logprobs))


@pytest.mark.parametrize(
    "change", [{"success": "False"}, {"end": "foo"}, {"return": float("nan")}, {"trial": 0.5}, {"turns": [{}]}]
)
def test_rows_of_other_types_are_not_loaded(tmp_path, graded, change):
    path = tmp_path / "x.jsonl"
    RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path).reset(seed=0)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | (change if row["kind"] == "trial" else {})) + "\n" for row in rows))
    with pytest.raises(RecordError, match=r"line 3: .*no row of kind 'trial'"):
        load_run(path)


def test_appending_after_another_program_has_rewritten_the_lines(tmp_path, graded):
    path = tmp_path / "x.jsonl"
    for _ in range(2):
        RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path).reset(seed=0)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
    run = load_run(path)
    assert (len(run.headers), len(run.prompts), len(run.trials)) == (1, 1, 2)


def test_a_run_on_a_mix_of_environments_has_one_header(tmp_path):
    path = tmp_path / "x.jsonl"
    env = gym.make_vec("RetroMix-v0", num_envs=4, vectorization_mode="vector_entry_point", records=path)
    env.reset(seed=1)
    env.step(["Look elsewhere."] * 4)
    (header,) = read_records(path, "header")
    assert len({row["prompt"] for row in read_records(path, "trial")}) > 1
    assert json.loads(header["env_kwargs"])["max_turns"] is None


def test_runs_of_other_settings_have_other_ids(tmp_path, graded):
    path = tmp_path / "x.jsonl"
    for rate in (0.1, 0.2):
        header = RunHeader(settings=json.dumps({"learning_rate": rate}))
        writer = RecordWriter(path, header)
        env = RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=writer)
        env.reset(seed=0)
    assert len(load_run(path).headers) == 2


def test_rows_of_an_earlier_version_are_left_out_of_a_file_that_goes_on(tmp_path, graded):
    path = tmp_path / "x.jsonl"
    path.write_text('{"schema": 1, "kind": "trial", "trial": 0}\n')
    RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path).reset(seed=0)
    assert len(load_run(path).trials) == 1


@pytest.mark.parametrize("turn", [-1, 99])
def test_a_turn_that_there_is_not_has_no_prompt(tmp_path, graded, turn):
    path = tmp_path / "x.jsonl"
    RetroEnv(graded(), actor=lambda prompts: ["Action: 0.5"] * len(prompts), records=path).reset(seed=0)
    run = load_run(path)
    with pytest.raises(ConfigError, match=f"turn is {turn}"):
        run.prompt(next(iter(run.trials.values())), turn)
