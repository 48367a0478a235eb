"""The benchmark of training speed: its sides take turns within one run."""

import json
from typing import get_args

import pytest

pytest.importorskip("trl", reason="the extra [trl] is not installed")
pytest.importorskip("stable_baselines3", reason="the extra [sb3] is not installed")

from benchmarks import training_speed
from benchmarks.training_sides import Part, Setting, Side, make_model, make_tokenizer


def figures_of(path, **options):
    setting = Setting(prompt=24, samples=2, tokens=4, prompts=1, envs=2, hidden=64)
    training_speed.main(training_speed.Config(setting, repeats=2, threads=1, json=path, **options))
    (row,) = json.loads(path.read_text())
    assert row["setting"]["prompt"] == 24
    assert all(len(figures["seconds"]) == 2 for figures in row["sides"].values())
    assert all(min(figures["seconds"]) > 0 for figures in row["sides"].values())
    assert all(figures["peak_mib"] > 0 for figures in row["sides"].values())
    assert row["matrix_rate"] > 0
    assert all((figures["operations"] or 1) > 0 for figures in row["sides"].values())
    return row["sides"]


def test_sides_take_turns(tmp_path):
    sides = ("update", "ours", "TRL GRPO", "SB3 incremental")
    assert tuple(figures_of(tmp_path / "figures.json", sides=sides)) == sides


@pytest.mark.slow
def test_all_sides_take_turns(tmp_path):
    assert set(figures_of(tmp_path / "figures.json")) == {*get_args(Side), *get_args(Part)}


def test_a_pretrained_model_has_its_own_sizes():
    setting = training_speed.sized(Setting(model="tiny", layers=99))
    assert setting.layers < 99
    assert setting.end_id == setting.vocabulary - 1
    model = make_model(setting)
    assert model.config.vocab_size == setting.vocabulary
    assert model.generation_config.eos_token_id == setting.end_id
    assert max(make_tokenizer(setting).get_vocab().values()) == setting.end_id


def test_growth_is_an_exponent():
    settings = [Setting(prompt=prompt) for prompt in (128, 256, 512)]
    measured = [{"sampling": training_speed.Figures([1.0, size / 128, 100.0], 0.0, None)} for size in (128, 256, 512)]
    rows = training_speed.growth("prompt", settings, measured)
    assert [list(column.cells) for column in rows.columns] == [["sampling"], ["1.000"], ["2.000"], ["4.000"], ["1.00"]]
