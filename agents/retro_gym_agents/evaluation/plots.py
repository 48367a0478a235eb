"""Plots of learning curves and of success by trial, as PNG files, drawn without pyplot's global state."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retro_gym.errors import ConfigError, MissingExtraError
from retro_gym_agents.evaluation.outputs import check_output

if TYPE_CHECKING:
    from retro_gym_agents.evaluation.evaluation import Evaluation

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "draw_learning_curve",
    "draw_success",
    "new_figure",
    "percent_axis",
    "plain_axes",
]

# Okabe and Ito's palette: distinguishable for colour-blind readers and in grey. Its yellow is too faint on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
_BOUNDS = {"none": ("#7F7F7F", "x"), "oracle": ("#000000", "*")}  # drawn dashed: lower and upper reference
GREY = "#7F7F7F"
_PANELS = (
    ("reward", "mean reward", ("reward",)),
    ("success", "success", ("success", "validation_success", "first_success", "last_success")),
    ("KL", "nats per reflection", ("kl",)),
    ("imitation", "nats per token", ("nll", "validation_nll", "planner_nll", "reflector_nll")),
    ("pairs in the right order", "accuracy", ("accuracy", "validation_accuracy")),
)
"""Panel title, axis label with its unit, and the metrics to draw if present."""
_LABELS = {
    **dict.fromkeys(("reward", "success", "kl", "nll", "accuracy"), "train"),
    **dict.fromkeys(("validation_success", "validation_nll", "validation_accuracy"), "validation"),
    "planner_nll": "planner",
    "reflector_nll": "reflector",
    "first_success": "first trial",
    "last_success": "last trial",
}
_SMOOTHED_FROM = 20  # from this number of updates on, single values are drawn faint under a running mean


def draw_learning_curve(metrics: Sequence[Mapping[str, float]], path: str | os.PathLike[str], title: str) -> None:
    """Draws over the updates what a run measured: reward, success, KL, imitation loss, accuracy on pairs.

    Args:
        metrics: one row for each update, as a run logs them: ``update``, and any of the metrics of ``_PANELS``. A panel
            without values is left out.
        path: the PNG file; its folder is created.
        title: title above the panels.

    Raises:
        ConfigError: there is nothing to draw, or the file cannot be written.
        MissingExtraError: matplotlib is absent.
    """
    panels = [panel for panel in _PANELS if any(_points(metrics, key)[0] for key in panel[2])]
    if not panels:
        known = [key for _, _, keys in _PANELS for key in keys]
        raise ConfigError(f"{len(metrics)} rows of metrics hold none of {known}: there is nothing to draw.")
    with new_figure(path, (4.2 * len(panels), 3.6)) as figure:
        figure.suptitle(title, fontsize=11)
        for axes, (name, label, keys) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            present = [key for key in keys if _points(metrics, key)[0]]
            for number, key in enumerate(present):
                _draw_metric(axes, *_points(metrics, key), _LABELS[key], COLOURS[number], MARKERS[number])
            axes.set_title(name, fontsize=10)
            axes.set_xlabel("update")
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.set_ylabel(label)
            if "success" in keys or "accuracy" in keys:
                percent_axis(axes)
            if len(present) > 1:
                axes.legend(frameon=False, fontsize=8, loc="best")
            plain_axes(axes)


def draw_success(evaluations: Sequence[Evaluation], path: str | os.PathLike[str]) -> None:
    """Draws success by trial for each policy, with bands for the 95 % intervals.

    Policies without a success rate are left out.

    Raises:
        ConfigError: no policy has a success rate, or the file cannot be written.
        MissingExtraError: matplotlib is absent.
    """
    scored = [one for one in evaluations if one.refusal is None]
    if not scored:
        raise ConfigError("no policy has a success rate: there is nothing to draw.")
    config = scored[0].config
    with new_figure(path, (7.6, 4.2)) as figure:
        axes = figure.subplots()
        others = [one.reflector for one in scored if one.reflector not in _BOUNDS]
        for one in scored:
            _draw_policy(axes, one, others.index(one.reflector) if one.reflector in others else None)
        seeds = "" if config.seeds == 1 else f" × {config.seeds} seeds"
        tasks = f"{scored[0].num_tasks()} tasks of split {config.split}{seeds}"
        axes.set_title(f"{config.env_id}, {tasks}, 95 % intervals", fontsize=11)
        axes.set_xlabel("trial (reflections so far)")
        axes.set_ylabel("success")
        axes.set_xticks(range(config.trials + 1))
        axes.set_xlim(-0.1, config.trials + 0.1)
        percent_axis(axes)
        plain_axes(axes)
        handles, labels = _by_height(scored, *axes.get_legend_handles_labels())
        axes.legend(
            handles, labels, frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5),
            title=f"at trial {config.trials}", alignment="left",
        )  # fmt: skip


def _draw_policy(axes: Any, evaluation: Evaluation, number: int | None) -> None:
    """Draws a line with its band. ``number`` selects the style; None is for ``none`` and ``oracle``."""
    line: object
    if number is None:
        (colour, marker), line, above = _BOUNDS[evaluation.reflector], (0, (5, 2)), 4  # dashes above solid lines
    else:
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        line, above = "solid" if number < len(COLOURS) else "dotted", 3
    estimates = evaluation.success_at_trial()
    trials = range(len(estimates))
    means = [estimate.mean for estimate in estimates]
    look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line, "linewidth": 1.8, "zorder": above}
    axes.plot(trials, means, label=f"{_short(evaluation.reflector)}: {100 * means[-1]:.0f} %", **look)
    lows, highs = [estimate.low for estimate in estimates], [estimate.high for estimate in estimates]
    axes.fill_between(trials, lows, highs, color=colour, alpha=0.12, linewidth=0)


@contextmanager
def new_figure(path: str | os.PathLike[str], size: tuple[float, float]) -> Iterator[Any]:
    """Yields a figure of the given size in inches, and writes it to the path at the end."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "report") from error
    target = check_output(Path(path))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    yield figure
    figure.savefig(target, format="png")


def _points(metrics: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Returns updates and values of a metric, leaving out missing and non-finite values."""
    rows = [
        (float(row.get("update", number)), float(row[key]))
        for number, row in enumerate(metrics, start=1)
        if row.get(key) is not None and math.isfinite(row[key])
    ]
    return [x for x, _ in rows], [y for _, y in rows]


def _draw_metric(axes: Any, xs: Sequence[float], ys: Sequence[float], label: str, colour: str, marker: str) -> None:
    if len(ys) < _SMOOTHED_FROM:
        axes.plot(xs, ys, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label, zorder=3)
        return
    axes.plot(xs, ys, color=colour, linewidth=0.8, alpha=0.35)
    axes.plot(xs, _running_mean(ys), color=colour, linewidth=2.0, label=f"{label}, running mean", zorder=3)


def _running_mean(ys: Sequence[float]) -> list[float]:
    """Returns the trailing mean over a twentieth of the run, at least five values."""
    window = max(5, len(ys) // 20)
    parts = [ys[max(0, i - window + 1) : i + 1] for i in range(len(ys))]
    return [sum(part) / len(part) for part in parts]


def _by_height(evaluations: Sequence[Evaluation], handles: list[Any], labels: list[str]) -> tuple[list[Any], list[str]]:
    """Sorts legend entries by the last value of their lines, highest first."""
    ends = [one.success_at_trial()[-1].mean for one in evaluations]
    order = sorted(range(len(ends)), key=lambda i: -ends[i])
    return [handles[i] for i in order], [labels[i] for i in order]


def percent_axis(axes: Any) -> None:
    """Makes a y-axis of shares one of percent."""
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0 %", "25 %", "50 %", "75 %", "100 %"])


def plain_axes(axes: Any) -> None:
    """Gives axes a faint grid and no frame."""
    axes.grid(True, color=GREY, alpha=0.2, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _short(name: str, limit: int = 24) -> str:
    """Shortens a name to fit beside the plot: a long path keeps its last folders."""
    if len(name) <= limit:
        return name
    folders = name.rstrip("/").split("/")
    while len(folders) > 1 and len("/".join(folders)) > limit - 2:
        folders.pop(0)
    return "…/" + "/".join(folders) if len(folders[0]) <= limit - 2 else "…" + folders[-1][1 - limit :]
