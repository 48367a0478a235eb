"""The benchmark of training speed runs, with all its sides in one run."""

import json
from typing import get_args

import pytest

pytest.importorskip("trl", reason="the extra [trl] is not installed")
pytest.importorskip("stable_baselines3", reason="the extra [sb3] is not installed")

from benchmarks import training_speed
from benchmarks.training_sides import Part, Setting, Side


def test_all_sides_take_turns(tmp_path):
    setting = Setting(prompt=24, samples=2, tokens=4, prompts=1, envs=2, hidden=64)
    config = training_speed.Config(setting, repeats=2, threads=1, json=tmp_path / "figures.json")
    training_speed.main(config)
    (row,) = json.loads((tmp_path / "figures.json").read_text())
    assert row["setting"]["prompt"] == 24
    assert set(row["sides"]) == {*get_args(Side), *get_args(Part)}
    assert all(len(figures["seconds"]) == 2 for figures in row["sides"].values())
    assert all(min(figures["seconds"]) > 0 for figures in row["sides"].values())
    assert all(figures["peak_mib"] > 0 for figures in row["sides"].values())


def test_growth_is_an_exponent():
    settings = [Setting(prompt=prompt) for prompt in (128, 256, 512)]
    measured = [{"sampling": training_speed.Figures([1.0, size / 128, 100.0], 0.0)} for size in (128, 256, 512)]
    rows = training_speed.growth("prompt", settings, measured)
    assert [list(column.cells) for column in rows.columns] == [["sampling"], ["1.000"], ["2.000"], ["4.000"], ["1.00"]]
