"""Training says when the tasks that it is validated and tested on are those that it is trained on."""

import json

import pytest

from retro_gym import RetroEnv
from retro_gym.errors import UnknownTaskError
from retro_gym.testing import IdentityEnv
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
from retro_gym_agents.runs.splits import shared_splits, warn_of_shared_splits

QUESTION = {
    "question": "Where does Gull Tower stand?",
    "answer": "Sarn",
    "type": "bridge",
    "level": "hard",
    "supporting_facts": [["Gull Tower", 0]],
    "context": [["Gull Tower", ["Gull Tower stands in Sarn."]]],
}


@pytest.fixture
def file(tmp_path):
    rows = [
        QUESTION
        | {"_id": f"q{i}", "question": f"{i}?", "supporting_facts": [[f"P{i}", 0]], "context": [[f"P{i}", ["It."]]]}
        for i in range(9)
    ]
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize(
    ("options", "split", "shared"),
    [
        ({}, "train", ["validation", "test"]),
        ({}, "test", ["validation"]),
        ({"fold": (0, 3)}, "train", []),
    ],
)
def test_one_file_is_every_split_unless_there_are_folds(file, capsys, options, split, shared):
    env = RetroEnv("HotpotQA-v0", tasks=file, split=split, **options)
    assert shared_splits(env) == shared
    warn_of_shared_splits(env)
    said = capsys.readouterr().err
    assert said.count("\n") == bool(shared)
    assert said.startswith(f"Warning: {' and '.join(shared)} share tasks with the training split {split}") or not shared


def test_files_by_split_share_what_they_share(file, tmp_path):
    rows = json.loads(file.read_text())
    (tmp_path / "some.json").write_text(json.dumps(rows[:4]))
    (tmp_path / "others.json").write_text(json.dumps(rows[4:]))
    tasks = {"train": tmp_path / "some.json", "test": tmp_path / "others.json"}
    assert shared_splits(RetroEnv("HotpotQA-v0", tasks=tasks)) == []
    assert shared_splits(RetroEnv("HotpotQA-v0", tasks={**tasks, "validation": tasks["train"]})) == ["validation"]


def test_a_part_of_a_mixture_that_shares_is_enough(file):
    kwargs = {"HotpotQA-v0": {"tasks": file}}
    mixed = RetroEnv("Mix-v0", envs=["HotpotQA-v0", "Identity-v0"], env_kwargs=kwargs)
    assert shared_splits(mixed) == ["validation", "test"]
    for name in ("Mix-v0", "Identity-v0", "WebShop-v0", "ALFWorld-v0", "InterCodeSQL-v0"):
        assert shared_splits(RetroEnv(name)) == []


class Named(IdentityEnv):
    """Splits of other names."""

    def task_ids(self, split):
        if split not in ("train", "dev"):
            raise UnknownTaskError("no such split")
        return super().task_ids("train")


def test_splits_that_are_not_there_share_nothing():
    assert shared_splits(RetroEnv(Named(), actor=IdentityEnv().scripted_actor())) == []


@pytest.mark.parametrize("shares", [True, False])
def test_training_says_so_once(small_model, tmp_path, capsys, monkeypatch, shares):
    if shares:
        monkeypatch.setattr(IdentityEnv, "task_ids", lambda self, _: [f"train-{i}-{self.words[0]}" for i in range(9)])
    config = ReinforceConfig(
        env_id="RetroIdentity-v0",
        reflector=str(small_model),
        output=tmp_path / "run",
        updates=1,
        num_prompts=2,
        group_size=2,
        validate_every=1,
        validation_tasks=2,
    )
    train(config)
    said = capsys.readouterr().err
    assert said.count("Warning: validation and test share tasks with the training split train") == shares
