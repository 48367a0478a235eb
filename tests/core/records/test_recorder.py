"""What RetroEnv writes: every trial, every reflection, and the ids that tie them together."""

import copy
import dataclasses
import json
import pickle

import gymnasium as gym
import numpy as np
import pytest

from retro_gym import FailureBank, Generation, RecordWriter, Reflection, RetroEnv, read_records
from retro_gym.actors import RecordingActor, Reply
from retro_gym.errors import RecordError
from retro_gym.records import RunHeader, load_run
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv
from retro_gym.trajectory import Outcome

GENERATION = Generation("tiny", (7, 2), (-0.5, -0.25), 0.7)
FOLDER_OF_KEYS = {"tasks": "here.json", "server": "http://user:secret@host", "limit": 3, "odd": object()}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.jsonl"


@pytest.fixture
def make(graded, path):
    """A RetroEnv whose actor says its last reflection, and 0.25 without one."""

    def made(actor=None, **kwargs):
        return RetroEnv(graded(), actor=actor or EchoActor("0.25"), **{"records": path, **kwargs})

    return made


@pytest.fixture
def recorded(make):
    env = make(reward="over_control", control_trials=2)
    observation, _ = env.reset(seed=0)
    env.branch(["0.5", "0.75"])
    env.step("0.75")
    env.close()
    return env, observation


def test_every_trial_is_recorded_with_where_it_came_from(recorded, path):
    trials = [
        (row["source"], row["trial"], row["replica"], row["return"], row["reflections"])
        for row in read_records(path, "trial")
    ]
    assert trials == [
        ("reset", 0, 0, 0.25, []),
        ("branch", 1, 0, 0.5, ["0.5"]),
        ("branch", 1, 1, 0.5, ["0.5"]),
        ("branch", 1, 0, 0.75, ["0.75"]),
        ("branch", 1, 1, 0.75, ["0.75"]),
        ("control", 1, 0, 0.25, []),
        ("control", 1, 1, 0.25, []),
        ("step", 1, 0, 0.75, ["0.75"]),
        ("step", 1, 1, 0.75, ["0.75"]),
    ]


def test_every_reflection_is_recorded_with_what_it_earned(recorded, path):
    env, observation = recorded
    header, prompt, *rows = read_records(path)
    run = header["id"]
    assert prompt == {"schema": 2, "kind": "prompt", "id": f"{run}-2", "instruction": "Say a number.", "examples": []}
    reflections = [row for row in rows if row["kind"] == "reflection"]
    ids = [f"{run}-{line}" for line in range(14)]
    assert [(row["source"], row["reflection"], row["reward"], row["group"]) for row in reflections] == [
        ("branch", "0.5", 0.25, ids[4]),
        ("branch", "0.75", 0.5, ids[4]),
        ("step", "0.75", 0.5, ids[12]),
    ]
    assert reflections[-1] == {
        "schema": 2,
        "kind": "reflection",
        "id": f"{run}-14",
        "episode": env._episode_seed,
        "task_id": env.trajectory.task_id,
        "trial": 0,
        "source": "step",
        "group": ids[12],
        "parent": "",
        "before": ids[3],
        "after": ids[12:14],
        "controls": ids[8:10],
        "policy": "",
        "observation": observation,
        "reflection": "0.75",
        "leak": False,
        "reward": 0.5,
        "return_before": 0.25,
        "return": 0.75,
        "success": False,
    }


def test_the_header_says_what_the_environment_is(path):
    env = gym.make("RetroHotpotQA-v0", records=path, split="test", reward="retroact", retroact_c=2, max_turns=4)
    env.reset(seed=0)
    env.close()
    (header,) = read_records(path, "header")
    assert header | {"env_id": "RetroHotpotQA-v0", "split": "test", "world_seed": 0, "actor": "scripted"} == header
    assert header | {"reward_name": "retroact", "retroact_c": 2.0, "max_reflections": 3, "seed": -1} == header
    assert json.loads(header["env_kwargs"])["max_turns"] == 4
    assert header["panel_size"] == len(env.unwrapped.task_env.task_ids("test"))
    assert header["gymnasium_version"] == gym.__version__
    assert header["numpy_version"] == np.__version__


def test_the_header_of_an_environment_without_an_id(make, path):
    env = make(split="no such split")
    env.reset(options={"task_id": "task-1"})
    (header,) = read_records(path, "header")
    assert (header["env_id"], header["actor"], header["world_seed"]) == ("", "EchoActor", -1)
    assert (header["panel"], header["panel_size"]) == ("", 0)


def test_no_address_and_no_key_is_in_the_file(path, monkeypatch, graded):
    monkeypatch.setenv("PLANTED_API_KEY", "sk-planted-0123456789")
    actor = EchoActor("0.25")
    actor.parameters = {"model": "m", "temperature": 0.5, "base_url": "http://host:1/v1", "api_key": "sk-abc"}
    env = RetroEnv(graded(), actor=actor, records=path)
    env.task_env.spec = gym.envs.registration.EnvSpec("X-v0", kwargs=FOLDER_OF_KEYS | {"note": "sk-planted-0123456789"})
    env.reset(seed=0)
    (header,) = read_records(path, "header")
    assert json.loads(header["actor_parameters"]) == {"model": "m", "temperature": 0.5}
    arguments = json.loads(header["env_kwargs"])
    assert (arguments["tasks"], arguments["limit"], arguments["note"]) == ("here.json", 3, "[masked]")
    assert arguments["server"] == "[masked]"
    assert "odd" not in arguments


def test_what_the_writer_knows_of_the_run_stands_in_the_header(make, path):
    env = make(records=RecordWriter(path, RunHeader(policy="mine", seed=5, panel="abc", panel_size=1)))
    env.reset(seed=0)
    env.step("0.5")
    env.step(Reflection("0.75", policy="other"))
    run = load_run(path)
    (header,) = run.headers.values()
    assert (header.policy, header.seed, header.panel, header.panel_size, header.max_reflections) == (
        "mine",
        5,
        "abc",
        1,
        3,
    )
    assert [each.policy for each in run.reflections.values()] == ["mine", "other"]


def test_a_lost_reflection_is_of_a_kind_of_its_own(make, path):
    env = make(FlakyActor(EchoActor("0.25"), lambda prompt: bool(prompt.reflections)))
    env.reset(seed=0)
    (outcome,) = env.branch(["0.5"])
    env.step("0.5")
    assert list(read_records(path, "reflection")) == []
    lost = list(read_records(path, "lost"))
    assert [(row["id"], row["source"], row["error"]) for row in lost] == [
        (outcome.record, "branch", "no connection (simulated)"),
        (lost[1]["id"], "step", "no connection (simulated)"),
    ]
    assert not {"reward", "return", "success"} & set(lost[0])
    run = load_run(path)
    assert [run.rate(each) for each in run.lost.values()] == [None, None]
    assert [row["error"] for row in read_records(path, "trial")] == ["", *2 * ["no connection (simulated)"]]


def test_controls_that_were_lost_have_no_row(make, path):
    to_lose = []

    def fails(prompt):
        return not prompt.reflections and bool(to_lose) and to_lose.pop()  # one control, which is then asked for again

    env = make(FlakyActor(EchoActor("0.25"), fails), reward="over_control", control_trials=2)
    env.reset(seed=0)
    to_lose.append(True)
    first, second = env.branch(["0.5"]), env.branch(["0.5"])
    run = load_run(path)
    one, other = run.reflections.values()
    assert [bool(each) for each in one.controls + other.controls].count(False) == 1
    assert [run.rate(one), run.rate(other)] == [first[0].reward, second[0].reward] == [0.25, 0.25]


def test_lineage(make, path):
    env = make(max_reflections=3)
    env.reset(seed=0)
    first = env.branch(["0.5", "0.6"])
    twin = env.twin()
    env.follow(first[1])
    env.step("0.7")
    (last,) = env.branch(["0.8"])
    twin.follow(first[0])
    twin.step("0.55")
    run = load_run(path)
    rows = {each.reflection: each for each in run.reflections.values()}
    parents = {text: rows[text].parent and run.reflections[rows[text].parent].reflection for text in rows}
    assert parents == {"0.5": "", "0.6": "", "0.7": "0.6", "0.8": "0.7", "0.55": "0.5"}
    assert [run.before(rows[text]).return_ for text in rows] == [0.25, 0.25, 0.6, 0.7, 0.5]
    assert [run.after(rows[text])[0].return_ for text in rows] == [0.5, 0.6, 0.7, 0.8, 0.55]
    assert rows["0.5"].group == rows["0.6"].group != rows["0.7"].group
    assert run.reflections[last.record].reflection == "0.8"
    assert run.trials[last.trial_record].return_ == 0.8


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env)), RetroEnv.twin])
def test_a_copy_made_mid_episode_goes_on_in_the_same_file(path, clone):
    env = RetroEnv(IdentityEnv(), records=path)
    env.reset(seed=0)
    env.step("one")
    twin = clone(env)
    twin.step("two")
    env.step("three")
    run = load_run(path)
    one, two, three = run.reflections.values()
    assert two.parent == three.parent == one.id
    assert run.before(two) == run.before(three) == run.after(one)[0]
    assert len(run.headers) == len(run.prompts) == 1


def test_a_stored_first_trial_is_in_the_file_once_it_is_reflected_on(make, path, tmp_path):
    source = tmp_path / "bank.jsonl"
    make(records=source).reset(seed=0)
    env = make(bank=source)
    env.reset(seed=0)
    assert not path.exists()
    env.branch(["0.5"])
    env.step("0.5")
    env.reset(options={"trajectory": FailureBank(source).failures(env.trajectory.task_id)[0]})
    env.branch(["0.75"])
    run = load_run(path)
    assert [trial.source for trial in run.trials.values()] == ["bank", "branch", "step", "bank", "branch"]
    assert [run.before(each).source for each in run.reflections.values()] == ["bank"] * 3
    stored = next(iter(run.trials.values()))
    assert stored.trajectory == FailureBank(source).failures(stored.task_id)[0]
    with pytest.raises(RecordError, match="stored before: its prompt is unknown"):
        run.prompt(stored, 0)


def test_a_bank_may_be_the_records_file_as_well(make, path):
    make().reset(seed=0)
    env = make(bank=path)
    for seed in range(3):
        env.reset(seed=seed)
        env.step("0.5")
    assert len(load_run(path).reflections) == 3
    assert len(FailureBank(path)) == 1


def test_an_outcome_from_elsewhere_is_followed(make, path):
    env = make()
    env.reset(seed=0)
    after = dataclasses.replace(env.trajectory, trial=1, return_=0.5)
    env.follow(Outcome("0.5", 0.5, after))
    env.step("0.75")
    run = load_run(path)
    (last,) = run.reflections.values()
    assert (run.before(last).source, run.before(last).trajectory, last.parent) == ("bank", after, "")
    assert run.before(last).reflections == ("0.5",)


def test_nothing_is_written_for_no_reflections(make, path):
    env = make()
    env.reset(seed=0)
    size = path.stat().st_size
    assert env.branch([]) == []
    assert path.stat().st_size == size


@pytest.mark.parametrize("text", ["", " \n", "反省 🙂 \ud800", "{braces} %s \\ud800"])
def test_any_reflection_is_recorded(make, path, text):
    env = make()
    env.reset(seed=0)
    env.step(text)
    (row,) = load_run(path).reflections.values()
    assert row.reflection == text.replace("\ud800", "\ufffd")


class Planner:
    """An actor whose model is known."""

    def reply(self, prompts):
        return [Reply("Action 1: 0.25", generation=GENERATION) for _ in prompts]


def test_generations_have_rows_of_their_own(make, path):
    env = make(Planner())
    env.reset(seed=0)
    env.step(Reflection("x" * 2_000, policy="tiny", generation=GENERATION))
    run = load_run(path)
    (reflection,) = run.reflections.values()
    assert reflection.reflection == "x" * 1_000
    assert run.generation(reflection).logprobs == (-0.5, -0.25)
    for trial in run.trials.values():
        assert run.generations[trial.id, 0].token_ids == (7, 2)
        assert trial.trajectory.turns[0].generation is None
    assert len(run.generations) == 3
    assert env.memory.reflections == (reflection.reflection,)
    assert type(env.memory.reflections[0]) is str


def test_the_actors_prompts_can_be_rendered_again(path, tmp_path):
    played = EchoActor("nothing")
    env = gym.make("RetroMix-v0", actor=played, records=path, actor_template="{history}|{reflections}|{instruction}")
    env.reset(seed=1)
    env.unwrapped.branch(["Look for the key.", "Search."])
    env.step("Look again.")
    run = load_run(path)
    again = [run.prompt(trial, turn) for trial in run.trials.values() for turn in range(len(trial.turns))]
    assert {(each.text, each.seed) for each in again} == {(each.text, each.seed) for each in played.prompts}
    assert len(again) == len(played.prompts)


@pytest.mark.parametrize("mode", ["vector_entry_point", "sync", "async"])
def test_environments_side_by_side_share_a_file(path, mode):
    envs = gym.make_vec("RetroIdentity-v0", num_envs=3, vectorization_mode=mode, records=path)
    envs.reset(seed=0)
    for text in ("red", "blue"):
        envs.step([text] * 3)
    if mode == "vector_entry_point":
        envs.branch([["red", "gold"]] * 3)
    envs.close()
    run = load_run(path)
    (header,) = run.headers.values()
    assert header.env_id == "RetroIdentity-v0"
    assert len(run.reflections) >= 3
    assert all(run.rate(each) == each.reward for each in run.reflections.values())
    assert mode == "async" or len(run.prompts) == 1


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name in "ab":
        envs = gym.make_vec("RetroHotpotQA-v0", num_envs=3, records=tmp_path / name)
        envs.reset(seed=0)
        envs.step(["Search for the year."] * 3)
        envs.branch([["one", "two"]] * 3)
        envs.close()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_environment_without_records_gives_no_ids(make):
    env = make(records=None)
    env.reset(seed=0)
    (outcome,) = env.branch(["0.5"])
    assert (outcome.record, outcome.trial_record) == ("", "")


def test_a_tape_plays_the_same_records(path, tmp_path, make):
    tape, again = tmp_path / "tape.jsonl", tmp_path / "again.jsonl"
    for actor, records in ((RecordingActor(EchoActor("0.25"), tape), path), (f"replay:{tape}", again)):
        env = make(actor, records=records)
        env.reset(seed=0)
        env.step("0.5")
    rows = [[{**row, "actor": ""} for row in read_records(each)] for each in (path, again)]
    assert len(rows[0]) == len(rows[1]) == 5
    assert [row["reward"] for row in rows[1] if row["kind"] == "reflection"] == [0.5]
