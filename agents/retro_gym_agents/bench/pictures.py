"""Pictures of a benchmark: each arm's difference to the plain retry, and success over actor calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retro_gym_agents.bench.figures import Judged
from retro_gym_agents.evaluation.plots import COLOURS, GREY, MARKERS, new_figure, percent_axis, plain_axes

__all__ = ["draw_curves", "draw_differences"]

_POINTS = 60  # of a mean curve


def draw_differences(judged: Judged, trial: int, path: Path) -> None:
    """Draws each arm's difference to the plain retry at a trial, with its interval, one line for each arm."""
    with new_figure(path, (7.6, 1.2 + 0.32 * len(judged.arms))) as figure:
        axes = figure.subplots()
        for place, arm in enumerate(judged.arms):
            found = arm.difference[trial]
            colour = COLOURS[1] if arm.calls is not None else COLOURS[0]
            axes.plot([100 * found.low, 100 * found.high], [place, place], color=colour, linewidth=1.6)
            axes.plot([100 * found.mean], [place], color=colour, marker="o" if arm.calls is None else "s", markersize=5)
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_yticks(range(len(judged.arms)), [arm.name for arm in judged.arms])
        axes.invert_yaxis()
        axes.set_xlabel(f"success at trial {trial} minus that of a plain retry, points (squares: trained)")
        axes.set_title(f"{judged.env_id}, played by {judged.actor}", fontsize=11)
        plain_axes(axes)


def draw_curves(env_id: str, lines: Mapping[str, Sequence[Sequence[tuple[int, float]]]], path: Path) -> None:
    """Draws success on validation tasks over the actor calls: each arm's mean over its seeds, and the seeds faintly.

    Args:
        env_id: the environment, for the title.
        lines: for each arm, the points of each seed's run.
        path: the PNG file.
    """
    with new_figure(path, (7.6, 4.2)) as figure:
        axes = figure.subplots()
        for number, (name, runs) in enumerate(lines.items()):
            colour = COLOURS[number % len(COLOURS)]
            style, inside = ("solid", colour) if number < len(COLOURS) else ("dashed", "white")
            points = [np.array(run, dtype=np.float64).T for run in runs]
            for calls, success in points:
                axes.plot(calls, success, color=colour, linewidth=0.7, alpha=0.35, linestyle=style)
            at = np.linspace(max(calls[0] for calls, _ in points), min(calls[-1] for calls, _ in points), _POINTS)
            mean = np.mean([np.interp(at, calls, success) for calls, success in points], axis=0)
            marker = {"marker": MARKERS[number % len(MARKERS)], "markevery": 12, "markersize": 5, "mfc": inside}
            axes.plot(at, mean, color=colour, linewidth=1.8, linestyle=style, label=name, **marker)
        axes.set_xlabel("actor calls")
        axes.set_ylabel("success on validation tasks")
        axes.set_title(env_id, fontsize=11)
        percent_axis(axes)
        plain_axes(axes)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=4)
