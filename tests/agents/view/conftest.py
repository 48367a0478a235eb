"""Small evaluations, records and a run, and a panel in which every text is hostile."""

from __future__ import annotations

import json

import pytest

from retro_gym.records import RecordWriter, RunHeader
from retro_gym.trajectory import Turn
from retro_gym_agents.cli import main
from retro_gym_agents.play.validation import Validation
from retro_gym_agents.runs.validations import ValidationLog
from retro_gym_agents.view.model import Failure, Panel, Trial, Try

HOSTILE = (
    "</script><script>window.hacked=1</script><img src=x onerror='window.hacked=1'>\"'&amp;{{7*7}} <!-- ]]>"
    "\u2028\u2029\u202e\x00\ud800 javascript:alert(1)"
)


def evaluate(*words):
    assert main(["evaluate", "RetroHotpotQA-v0", "--num-tasks", "12", "--trials", "2", *map(str, words)]) == 0


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Results of one panel (with all trials, and with records), of another panel, and records."""
    folder = tmp_path_factory.mktemp("viewed")
    evaluate("--reflector", "none", "noisy", "oracle", "--json", folder / "one.json")
    evaluate("--reflector", "none", "vague", "--json", folder / "two.json", "--records", folder / "two.jsonl")
    evaluate("--reflector", "none", "noisy", "--seeds", 2, "--seed", 7, "--json", folder / "other.json")
    words = ["collect", "RetroHotpotQA-v0", "--reflector", "noisy", "--num-samples", "3", "--num-episodes", "6"]
    assert main([*words, "--output", str(folder / "collected.jsonl")]) == 0
    return folder


@pytest.fixture
def run_folder(tmp_path):
    """A run's folder as training leaves it: records with generations of three updates, and metrics."""
    from retro_gym import RetroEnv
    from retro_gym.generation import Generation, Reflection

    folder = tmp_path / "first"
    writer = RecordWriter(folder / "records.jsonl", RunHeader(policy="tiny + reinforce", seed=0))
    env = RetroEnv("HotpotQA-v0", split="train", records=writer, reward="over_control", control_trials=2)
    (task_id, *_) = env.task_env.task_ids("train")
    for update in range(3):
        env.reset(seed=5, options={"task_id": task_id})
        made = Generation(token_ids=(1, 2), logprobs=(-0.1, -0.2), temperature=1.0, model=f"tiny@update-{update}")
        texts = [f"Read {word} of update {update}." for word in ("one page", "a page")]
        env.branch([Reflection(text, generation=made) for text in texts])
    env.close()
    rows = [{"update": number, "reward": number / 4, "validation_success": 0.5} for number in range(4)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


class Says:
    """A reflector that says one thing."""

    def __init__(self, text):
        self.text = text

    def reflect(self, observations, *, greedy, seed):
        return [self.text] * len(observations)


@pytest.fixture
def validated_folder(run_folder):
    """The same with two validations on the same failures, of which the later one tries what helps more."""
    log = ValidationLog(run_folder / "validations.jsonl")
    validation = Validation("RetroIdentity-v0", {}, actor="scripted", num_tasks=8, seed=0)
    for update, text in ((0, "Nothing."), (3, "Say blue.")):
        validation.success(Says(text))
        log.add(update, validation.tried)
    validation.close()
    log.close()
    return run_folder


@pytest.fixture
def hostile():
    """A panel whose every text is hostile."""

    def trial(number, success):
        turns = (Turn(HOSTILE, HOSTILE, HOSTILE, float(success), HOSTILE),)
        end = "solved" if success else HOSTILE
        return Trial(number, HOSTILE, turns, float(success), success, end, error=HOSTILE, noted=HOSTILE, form=0)

    failure = Failure(HOSTILE, 0, HOSTILE, HOSTILE, [trial(0, False), trial(1, True), trial(1, False)])
    names = [HOSTILE, f"B {HOSTILE}"]
    failure.tries = [
        Try(names[0], 0, HOSTILE, 0, (1,), controls=(2,), reward=1.0, leak=True, named=True, update=1),
        Try(names[1], 0, HOSTILE * 2, 0, (2,), reward=0.0),
    ]
    failure.players, failure.lost = set(names), {names[1]: HOSTILE}
    return Panel(
        {"env_id": HOSTILE},
        "training",
        [HOSTILE, "file<b>.json"],
        names,
        {failure.key: failure},
        header={"env_id": HOSTILE, "actor": HOSTILE},
        forms=[[HOSTILE, 1, HOSTILE, 0]],
        rounds=1,
        curves=[{"name": HOSTILE, "rows": [{"update": 1, "reward": 0.5, HOSTILE: HOSTILE}]}],
        notes=[HOSTILE],
    )
