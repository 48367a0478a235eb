"""Compares the speed of sampling and training a reflector with TRL, Stable-Baselines3 and plain transformers.

    python -m benchmarks.training_speed                                   # prompt 512, 8 samples of 48 new tokens
    python -m benchmarks.training_speed --envs 1 --sweep prompt samples hidden      # and over each of these sizes
    python -m benchmarks.training_speed --model models/smollm2-135m.gguf --prompt 600 --tokens 64   # a real model

The sides of :mod:`benchmarks.training_sides` take turns within one run. Each has a separate process, so that none
affects the others' threads and memory; the first turn is a warm-up. The tables show median seconds, tokens sampled (or
trained on) per second, their ratios, and the peak memory of each side's process minus its memory before the first turn.
"Of the matrix rate" is the number of floating-point operations of a turn (torch's own count) per second, as a share of
what a large matrix product reaches on this machine with as many threads. A sweep also shows how cost scales: the
exponent p of a fit of seconds ~ size^p.
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

from benchmarks.training_sides import Part, Setting, Side, make_model, make_side

_PEERS = {  # each side's reference in the tables
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
_LAYERS = {128: 2, 256: 4, 384: 6}  # number of layers by hidden size


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of the benchmark."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Setting)
    """The size of the work."""
    sides: tuple[Side | Part, ...] = (*get_args(Part), *get_args(Side))
    """The sides to compare."""
    repeats: int = 7
    """Turns of each side, besides the warm-up."""
    threads: int = 2
    """CPU threads of torch."""
    sweep: tuple[Axis, ...] = ()
    """Measures prompts of 128 to 2048 tokens, 1 to 16 samples, or three sizes of the model."""
    json: Path | None = None
    """File for the results."""


@dataclasses.dataclass(frozen=True)
class Figures:
    """Time and memory of one side."""

    seconds: list[float]
    """Seconds of each turn."""
    peak_mib: float
    """Peak memory minus the memory before the first turn, MiB."""
    operations: float | None
    """Floating-point operations of a turn, where they were counted."""

    @property
    def median(self) -> float:
        """Median of the seconds."""
        return statistics.median(self.seconds)


def main(config: Config) -> None:
    """Measures all sides and prints the tables."""
    console = Console()
    measured: dict[Setting, dict[str, Figures]] = {}
    given = sized(config.setting)
    torch.set_num_threads(config.threads)
    rate = matrix_rate(given)
    console.print(f"matrix rate: {rate / 1e9:,.1f} GFLOP/s, {given.dtype}, {config.threads} threads, {given.device}")
    for axis in config.sweep or (None,):
        settings = [given] if axis is None else settings_along(given, axis)
        for setting in settings:
            if setting in measured:
                continue
            measured[setting] = take_turns(config, setting)
            console.print(table(setting, measured[setting], rate))
            if config.json is not None:
                config.json.write_text(as_json(measured, rate), encoding="utf-8")
        if axis is not None:
            console.print(growth(axis, settings, [measured[setting] for setting in settings]))


def sized(setting: Setting) -> Setting:
    """Returns the setting with the sizes of its pretrained model, if it has one."""
    if not setting.model:
        return setting
    shape = make_model(dataclasses.replace(setting, device="cpu")).config
    sizes = {"layers": shape.num_hidden_layers, "hidden": shape.hidden_size, "vocabulary": shape.vocab_size}
    return dataclasses.replace(setting, **sizes)


def matrix_rate(setting: Setting, size: int = 2_048, repeats: int = 7) -> float:
    """Returns the floating-point operations per second of a large matrix product: the median of some."""
    a, b = torch.rand(2, size, size, device=setting.device).to(getattr(torch, setting.dtype))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        torch.mm(a, b).sum().item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / statistics.median(seconds[1:])


def as_json(measured: dict[Setting, dict[str, Figures]], rate: float) -> str:
    """Returns all results as JSON."""
    rows = [
        {
            "setting": dataclasses.asdict(setting),
            "matrix_rate": rate,
            "sides": {name: dataclasses.asdict(one) for name, one in sides.items()},
        }
        for setting, sides in measured.items()
    ]
    return json.dumps(rows, indent=2) + "\n"


def settings_along(setting: Setting, axis: Axis) -> list[Setting]:
    """Returns the setting with each size of an axis."""
    sizes: list[dict[str, Any]] = [{axis: size} for size in _AXES[axis]]
    if axis == "hidden":
        sizes = [{**size, "layers": _LAYERS[size["hidden"]]} for size in sizes]
    return [dataclasses.replace(setting, **size) for size in sizes]


# -- turns -------------------------------------------------------------------------------------------------------------


def take_turns(config: Config, setting: Setting) -> dict[str, Figures]:
    """Measures the sides in alternating turns; returns the figures of each."""
    context = multiprocessing.get_context("spawn")
    lines: dict[Side | Part, Connection] = {}
    processes = []
    for name in config.sides:
        if name.startswith("TRL") and setting.samples < 2:
            continue  # TRL's baselines need several samples per prompt
        lines[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(theirs, name, setting, config.threads), daemon=True))
        processes[-1].start()
        theirs.close()  # so that recv() raises EOFError if the process dies
    for line in lines.values():  # they get ready side by side, as loading libraries takes a while
        line.recv()
    seconds: dict[Side | Part, list[float]] = {name: [] for name in lines}
    peaks: dict[Side | Part, float] = {}
    operations: dict[Side | Part, float | None] = {}
    for turn in range(config.repeats + 1):
        for name in list(lines)[:: -1 if turn % 2 else 1]:  # alternate the order, so that order effects cancel
            lines[name].send(True)
            elapsed, peaks[name], operations[name] = lines[name].recv()
            if turn:
                seconds[name].append(elapsed)
    for line, process in zip(lines.values(), processes, strict=True):
        line.send(False)
        process.join()
    return {name: Figures(turns, peaks[name], operations[name]) for name, turns in seconds.items()}


def serve(line: Connection, name: Side | Part, setting: Setting, threads: int) -> None:
    """Takes a turn for each True received, and answers with its seconds and the peak memory so far."""
    torch.set_num_threads(threads)
    side = make_side(name, setting)
    before = memory_held(setting)
    line.send("ready")
    if not line.recv():
        return
    start = time.perf_counter()

    def goes_on(operations: float | None) -> bool:
        nonlocal start
        if setting.device != "cpu":
            torch.cuda.synchronize()
        line.send((time.perf_counter() - start, memory_held(setting, peak=True) - before, operations))
        answer: bool = line.recv()
        start = time.perf_counter()
        return answer

    side(goes_on)


def memory_held(setting: Setting, *, peak: bool = False) -> float:
    """Returns the current or the peak memory of this process, in MiB."""
    if setting.device == "cpu":
        return resident("VmHWM" if peak else "VmRSS")
    return (torch.cuda.max_memory_allocated() if peak else torch.cuda.memory_allocated()) / 2**20


def tokens_of(name: str, setting: Setting) -> int:
    """Returns the number of tokens that a side samples, or trains on, in one turn."""
    return setting.tokens * (setting.envs if name.startswith("SB3") else setting.prompts * setting.samples)


def resident(field: str) -> float:
    """Returns a memory field of Linux's process status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no field {field}. Run this benchmark on Linux.")


# -- tables ------------------------------------------------------------------------------------------------------------


def table(setting: Setting, sides: dict[str, Figures], rate: float) -> Table:
    """Returns the table of medians, with the ratio of the reference's tokens per second to each side's."""
    title = f"prompt {setting.prompt}, K {setting.samples}, {setting.layers} layers of {setting.hidden}"
    columns = ("", "seconds", "tokens/s", "peak, MiB", "beside", "x", "of the matrix rate")
    rows = Table(*columns, title=f"{setting.model} {title}, {setting.device}".lstrip())
    speeds = {name: tokens_of(name, setting) / one.median for name, one in sides.items()}
    for name, one in sides.items():
        peer = _PEERS.get(name)
        beside = (peer, f"{speeds[peer] / speeds[name]:.2f}") if peer in speeds else ("", "")
        share = "" if one.operations is None else f"{one.operations / one.median / rate:.0%}"
        rows.add_row(name, f"{one.median:.4f}", f"{speeds[name]:,.1f}", f"{one.peak_mib:,.0f}", *beside, share)
    return rows


def growth(axis: Axis, settings: Sequence[Setting], measured: Sequence[dict[str, Figures]]) -> Table:
    """Returns the table of seconds along an axis, with the exponent p of seconds ~ size^p; SB3 does not depend on K."""
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
