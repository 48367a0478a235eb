from __future__ import annotations

import math
import sys

import pytest

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.plots import draw_learning_curve, draw_success
from retro_gym_agents.play.policies import make_policy

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def figures(monkeypatch):
    """The figures that are drawn, each as it is when it is saved."""
    figure = pytest.importorskip("matplotlib.figure")
    saved = []
    original = figure.Figure.savefig

    def savefig(self, *args, **kwargs):
        saved.append(self)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(figure.Figure, "savefig", savefig)
    return saved


def rows(num):
    return [
        {"update": i, "reward": i / num, "success": i / (2 * num), "kl": 0.1 * i, "validation_success": math.nan}
        for i in range(1, num + 1)
    ]


def results(*names, **fields):
    return evaluate_all(EvaluationConfig("RetroIdentity-v0", num_tasks=8, **fields), [make_policy(n) for n in names])


def test_learning_curve_has_a_panel_for_each_figure(tmp_path, figures):
    metrics = rows(8)
    metrics[3]["validation_success"] = 0.5
    path = tmp_path / "new" / "curve.png"
    draw_learning_curve(metrics, path, "a run")
    assert path.read_bytes().startswith(PNG)
    (figure,) = figures
    reward, success, kl = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["reward", "success", "KL"]
    assert reward.lines[0].get_xydata().tolist() == [[i, i / 8] for i in range(1, 9)]
    assert [line.get_label() for line in success.lines] == ["train", "validation"]
    assert success.lines[1].get_xydata().tolist() == [[4, 0.5]]
    assert len(kl.lines) == 1
    assert figure.get_suptitle() == "a run"


def test_long_runs_are_smoothed_over_the_single_values(tmp_path, figures):
    draw_learning_curve(rows(60), tmp_path / "curve.png", "a run")
    raw, smooth = figures[0].axes[0].lines
    assert raw.get_ydata()[9] == pytest.approx(10 / 60)
    assert smooth.get_ydata()[9] == pytest.approx((6 + 7 + 8 + 9 + 10) / 5 / 60)
    assert len(smooth.get_ydata()) == 60


def test_panels_without_a_value_are_left_out(tmp_path, figures):
    draw_learning_curve([{"update": 1, "reward": 0.5, "kl": math.nan}], tmp_path / "curve.png", "a run")
    assert [axes.get_title() for axes in figures[0].axes] == ["reward"]
    with pytest.raises(ConfigError, match="nothing to draw"):
        draw_learning_curve([], tmp_path / "none.png", "a run")
    assert not (tmp_path / "none.png").exists()


def test_success_is_drawn_with_a_line_and_a_band_for_each_policy(tmp_path, figures):
    path = tmp_path / "success.png"
    draw_success(results("none", "noisy", "oracle", trials=2), path)
    assert path.read_bytes().startswith(PNG)
    (axes,) = figures[0].axes
    assert len(axes.lines) == len(axes.collections) == 3
    assert axes.lines[2].get_ydata().tolist() == [0.0, 1.0, 1.0]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert texts[0] == "oracle: 100 %"
    assert texts[-1] == "none: 0 %"
    assert len({line.get_color() for line in axes.lines}) == 3
    assert len({line.get_marker() for line in axes.lines}) == 3


def test_seeds_are_named_above_the_picture(tmp_path, figures):
    for seeds, told in ((1, "8 tasks of split test, 95 %"), (2, "8 tasks of split test × 2 seeds, 95 %")):
        draw_success(results("none", trials=1, seeds=seeds), tmp_path / "success.png")
        assert told in figures[-1].axes[0].get_title()


def test_policies_without_a_score_are_not_drawn(tmp_path):
    down = FlakyActor(IdentityActor(), lambda prompt: True)
    with pytest.raises(ConfigError, match="nothing to draw"):
        draw_success(results("none", trials=1, env_kwargs={"actor": down}), tmp_path / "success.png")


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[report\]"):
        draw_learning_curve(rows(2), tmp_path / "curve.png", "a run")


def test_no_global_state_of_pyplot_is_touched(tmp_path):
    draw_learning_curve(rows(2), tmp_path / "curve.png", "a run")
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []
