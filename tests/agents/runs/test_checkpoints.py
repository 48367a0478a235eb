import dataclasses

import pytest
import torch

from retro_gym.errors import CheckpointError
from retro_gym_agents.runs import checkpoints
from retro_gym_agents.runs.checkpoints import Checkpoint, load_checkpoint, replace_folder, save_checkpoint

SETTINGS = {"algorithm": '"ppo"', "seed": "0"}


@pytest.fixture
def checkpoint():
    weight = torch.nn.Parameter(torch.arange(3.0))
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    return Checkpoint(
        settings=SETTINGS,
        update=7,
        seconds=1.5,
        finished=False,
        adapter={"a": weight.detach()},
        reference={"a": torch.zeros(3)},
        modules={"value_head": {"b": torch.ones(1)}},
        optimizer=optimizer.state_dict(),
        metrics=[{"update": 7.0, "reward": 0.5}],
        records_position=123,
    )


def test_what_is_saved_comes_back(checkpoint, tmp_path):
    save_checkpoint(checkpoint, tmp_path / "checkpoint.pt")
    loaded = load_checkpoint(tmp_path / "checkpoint.pt", SETTINGS)
    for field in dataclasses.fields(Checkpoint):
        one, other = getattr(checkpoint, field.name), getattr(loaded, field.name)
        if field.name == "optimizer":
            assert one["param_groups"] == other["param_groups"]
            assert all(torch.equal(one["state"][0][name], value) for name, value in other["state"][0].items())
        elif field.name in ("adapter", "reference"):
            assert torch.equal(one["a"], other["a"])
        else:
            assert one == other, field.name
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_write_that_is_cut_short_leaves_the_last_checkpoint(checkpoint, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(checkpoint, path)

    def cut_short(state, file):
        file.write(b"half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.torch, "save", cut_short)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(dataclasses.replace(checkpoint, update=8), path)
    monkeypatch.undo()
    assert load_checkpoint(path, SETTINGS).update == 7
    save_checkpoint(dataclasses.replace(checkpoint, update=9), path)
    assert load_checkpoint(path, SETTINGS).update == 9


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({**SETTINGS, "seed": "1"}, "seed=0, but seed=1 is given now. Resume with seed=0, or start"),
        ({"algorithm": '"reinforce"', "seed": "1"}, 'algorithm="ppo", but algorithm="reinforce" is given now'),
        ({**SETTINGS, "gamma": "1.0"}, "gamma=None, but gamma=1.0 is given now"),
    ],
)
def test_other_settings_are_refused(checkpoint, tmp_path, settings, words):
    save_checkpoint(checkpoint, tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(tmp_path / "checkpoint.pt", settings)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 torn"])
def test_what_is_no_checkpoint(tmp_path, content):
    (tmp_path / "checkpoint.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "checkpoint.pt", SETTINGS)


def test_files_of_torch_that_are_no_checkpoints(tmp_path):
    for number, state in enumerate(({"weights": 1}, [1, 2], {"version": 1, "weights": 1})):
        torch.save(state, tmp_path / f"{number}.pt")
        with pytest.raises(CheckpointError, match="is not a checkpoint"):
            load_checkpoint(tmp_path / f"{number}.pt", SETTINGS)
    torch.save({"version": 99}, tmp_path / "99.pt")
    with pytest.raises(CheckpointError, match="version 99"):
        load_checkpoint(tmp_path / "99.pt", SETTINGS)
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_checkpoint(tmp_path, SETTINGS)


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "adapter"
    replace_folder(folder, lambda new: (new / "old.txt").touch())
    replace_folder(folder, lambda new: (new / "new.txt").touch())
    assert [path.name for path in folder.iterdir()] == ["new.txt"]

    def fail(new):
        (new / "half.txt").touch()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace_folder(folder, fail)
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    replace_folder(folder, lambda new: (new / "newer.txt").touch())
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]
    assert [path.name for path in folder.iterdir()] == ["newer.txt"]
