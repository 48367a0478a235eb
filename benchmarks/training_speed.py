"""How fast a reflector samples and learns, beside the libraries that one would take otherwise.

    python -m benchmarks.training_speed                                   # prompt 512, 8 samples of 48 new tokens
    python -m benchmarks.training_speed --envs 1 --sweep prompt samples hidden      # and over each of these sizes

The sides of :mod:`benchmarks.training_sides` take turns within one run, each in a process of its own, so that none
disturbs the others' threads and memory; the first turn is for warming up. What is printed are medians, tokens written
(or learned from) per second, ratios of these, and the peak memory of each side's process beyond what it held before its
first turn. A sweep also says how cost grows: the exponent p of a fit of seconds ~ size^p.
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.training_sides import Part, Setting, Side, make_side

_PEERS = {  # what each is to be compared with
    "generate": "sampling",
    "update of plain rows": "update",
    "TRL GRPO": "ours",
    "TRL RLOO": "ours",
    "SB3 naive": "SB3 incremental",
}
Axis = Literal["prompt", "samples", "hidden"]
_AXES: dict[Axis, tuple[int, ...]] = {
    "prompt": (128, 256, 512, 1_024, 2_048),
    "samples": (1, 2, 4, 8, 16),
    "hidden": (128, 256, 384),
}
_LAYERS = {128: 2, 256: 4, 384: 6}  # models grow in both directions


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Setting)
    """The size of the work."""
    sides: tuple[Side | Part, ...] = (*get_args(Part), *get_args(Side))
    """Who takes part."""
    repeats: int = 7
    """Turns of each side."""
    threads: int = 2
    """Of torch, on the CPU."""
    sweep: tuple[Axis, ...] = ()
    """Measures prompts of 128 to 2048 tokens, 1 to 16 samples, or three sizes of the model."""
    json: Path | None = None
    """Where the figures go."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one side has needed."""

    seconds: list[float]
    """Of each turn."""
    peak_mib: float
    """Memory at the peak, beyond what was held before the first turn."""

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)


def main(config: Config) -> None:
    """Measures and prints."""
    console = Console()
    measured: dict[Setting, dict[str, Figures]] = {}
    for axis in config.sweep or (None,):
        settings = [config.setting] if axis is None else settings_along(config.setting, axis)
        for setting in settings:
            if setting in measured:
                continue
            measured[setting] = take_turns(config, setting)
            console.print(table(setting, measured[setting]))
            if config.json is not None:
                config.json.write_text(as_json(measured), encoding="utf-8")
        if axis is not None:
            console.print(growth(axis, settings, [measured[setting] for setting in settings]))


def as_json(measured: dict[Setting, dict[str, Figures]]) -> str:
    """All figures."""
    rows = [
        {
            "setting": dataclasses.asdict(setting),
            "sides": {name: dataclasses.asdict(one) for name, one in sides.items()},
        }
        for setting, sides in measured.items()
    ]
    return json.dumps(rows, indent=2) + "\n"


def settings_along(setting: Setting, axis: Axis) -> list[Setting]:
    """The setting with one size changed at a time."""
    sizes: list[dict[str, Any]] = [{axis: size} for size in _AXES[axis]]
    if axis == "hidden":
        sizes = [{**size, "layers": _LAYERS[size["hidden"]]} for size in sizes]
    return [dataclasses.replace(setting, **size) for size in sizes]


# -- turns -------------------------------------------------------------------------------------------------------------


def take_turns(config: Config, setting: Setting) -> dict[str, Figures]:
    """What each side needs for its turns."""
    context = multiprocessing.get_context("spawn")
    lines: dict[Side | Part, Connection] = {}
    processes = []
    for name in config.sides:
        if name.startswith("TRL") and setting.samples < 2:
            continue  # its algorithms compare the samples of a prompt
        lines[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, name, setting, config.threads), daemon=True))
        processes[-1].start()
        theirs.close()  # so that a side which dies is noticed
        lines[name].recv()  # it is ready
    seconds: dict[Side | Part, list[float]] = {name: [] for name in lines}
    peaks: dict[Side | Part, float] = {}
    for turn in range(config.repeats + 1):
        for name in list(lines)[:: -1 if turn % 2 else 1]:  # to and fro, so that none always follows the same one
            lines[name].send(True)
            elapsed, peaks[name] = lines[name].recv()
            if turn:
                seconds[name].append(elapsed)
    for line, process in zip(lines.values(), processes, strict=True):
        line.send(False)
        process.join()
    return {name: Figures(turns, peaks[name]) for name, turns in seconds.items()}


def serve(line: Connection, name: Side | Part, setting: Setting, threads: int) -> None:
    """Takes a turn whenever True comes along the line, and answers with its seconds and the peak memory until then."""
    torch.set_num_threads(threads)
    side = make_side(name, setting)
    before = memory_held(setting)
    line.send("ready")
    if not line.recv():
        return
    start = time.perf_counter()

    def goes_on() -> bool:
        nonlocal start
        if setting.device != "cpu":
            torch.cuda.synchronize()
        line.send((time.perf_counter() - start, memory_held(setting, peak=True) - before))
        answer: bool = line.recv()
        start = time.perf_counter()
        return answer

    side(goes_on)


def memory_held(setting: Setting, *, peak: bool = False) -> float:
    """MiB that this process holds, or has held at the peak."""
    if setting.device == "cpu":
        return resident("VmHWM" if peak else "VmRSS")
    return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 2**20


def tokens_of(name: str, setting: Setting) -> int:
    """Tokens that a side writes, or learns from, in one turn."""
    return setting.tokens * (setting.envs if name.startswith("SB3") else setting.prompts * setting.samples)


def resident(field: str) -> float:
    """MiB of this process's memory, by a field of Linux's process status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system does not tell {field}.")


# -- tables ------------------------------------------------------------------------------------------------------------


def table(setting: Setting, sides: dict[str, Figures]) -> Table:
    """Medians, and how many times as many tokens per second a side's peer makes."""
    title = f"prompt {setting.prompt}, K {setting.samples}, {setting.layers} layers of {setting.hidden}"
    rows = Table("", "seconds", "tokens/s", "peak, MiB", "beside", "x", title=f"{title}, {setting.device}")
    speeds = {name: tokens_of(name, setting) / one.median for name, one in sides.items()}
    for name, one in sides.items():
        peer = _PEERS.get(name)
        beside = (peer, f"{speeds[peer] / speeds[name]:.2f}") if peer in speeds else ("", "")
        rows.add_row(name, f"{one.median:.4f}", f"{speeds[name]:,.1f}", f"{one.peak_mib:,.0f}", *beside)
    return rows


def growth(axis: Axis, settings: Sequence[Setting], measured: Sequence[dict[str, Figures]]) -> Table:
    """Seconds along an axis, and the exponent p of seconds ~ size^p; K says nothing of Stable-Baselines3."""
    sizes = [getattr(setting, axis) for setting in settings]
    rows = Table("seconds", *map(str, sizes), "exponent", title=f"how cost grows with {axis}")
    for name in measured[-1]:
        if axis == "samples" and name.startswith("SB3"):
            continue
        medians = {size: sides[name].median for size, sides in zip(sizes, measured, strict=True) if name in sides}
        slope, _ = np.polyfit(np.log(list(medians)), np.log(list(medians.values())), 1)
        cells = (f"{medians[size]:.3f}" if size in medians else "" for size in sizes)
        rows.add_row(name, *cells, f"{slope:.2f}")
    return rows


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
