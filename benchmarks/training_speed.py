"""How fast a reflector samples and learns, beside the libraries that one would take otherwise.

    python -m benchmarks.training_speed                      # a prompt of 512 tokens, 8 samples of it, 48 new tokens
    python -m benchmarks.training_speed --sweep --envs 1     # over prompt length, samples per prompt, and model size

The sides of :mod:`benchmarks.training_sides` take turns within one run, after one turn of warming up; what is printed
are medians, tokens written (or learned from) per second, and ratios of these. A sweep also says how cost grows: the
exponent p of a fit of seconds ~ size^p.

Peak memory is that of a process of its own for each side, beyond what the process held before its first step.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, get_args

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.training_sides import OurStep, Sb3Step, Setting, TrlStep, parts

Side = Literal["ours", "TRL GRPO", "TRL RLOO", "SB3 incremental", "SB3 naive"]
_Seconds: TypeAlias = dict[str, list[float]]

_MAKE: dict[Side, Callable[[Setting], Any]] = {
    "ours": OurStep,
    "TRL GRPO": functools.partial(TrlStep, algorithm="grpo"),
    "TRL RLOO": functools.partial(TrlStep, algorithm="rloo"),
    "SB3 incremental": functools.partial(Sb3Step, incremental=True),
    "SB3 naive": functools.partial(Sb3Step, incremental=False),
}
_PEERS = {  # what each is to be compared with
    "generate": "sampling",
    "update of plain rows": "update",
    "TRL GRPO": "ours",
    "TRL RLOO": "ours",
    "SB3 naive": "SB3 incremental",
}
_AXES = {"prompt": (128, 256, 512, 1_024, 2_048), "samples": (1, 2, 4, 8, 16), "hidden": (128, 256, 512)}
_LAYERS = {128: 2, 256: 4, 512: 8}  # models grow in both directions


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    setting: Annotated[Setting, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Setting)
    """The size of the work."""
    sides: tuple[Side, ...] = get_args(Side)
    """Whole steps, beside sampling and update by themselves."""
    repeats: int = 7
    """Turns of each side."""
    threads: int = 2
    """Of torch, on the CPU."""
    sweep: bool = False
    """Measures prompts of 128 to 2048 tokens, 1 to 16 samples, and three sizes of the model."""
    memory: bool = True
    """Whether peak memory is measured too."""
    memory_of: Side | None = None
    """Measures the peak memory of one side's steps in this process and nothing else."""
    json: Path | None = None
    """Where the figures go."""


def main(config: Config) -> None:
    """Measures and prints."""
    torch.set_num_threads(config.threads)
    if config.memory_of is not None:
        print(peak_memory(config.setting, config.memory_of))
        return
    console = Console()
    rows: list[dict[str, Any]] = []
    measured: dict[Setting, _Seconds] = {}
    axes = {name: settings_along(config.setting, name) for name in _AXES} if config.sweep else {"": [config.setting]}
    for name, settings in axes.items():
        for setting in settings:
            if setting not in measured:
                measured[setting] = seconds = take_turns(config, setting)
                memory = {side: memory_in_a_process(config, setting, side) for side in config.sides if config.memory}
                rows.append({"setting": dataclasses.asdict(setting), "seconds": seconds, "peak_mib": memory})
                console.print(table(setting, seconds, memory))
            if config.json is not None:
                config.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
        if config.sweep:
            console.print(growth(name, settings, [measured[setting] for setting in settings]))


def settings_along(setting: Setting, axis: str) -> list[Setting]:
    """The setting with one size changed at a time."""
    sizes: list[dict[str, Any]] = [{axis: size} for size in _AXES[axis]]
    if axis == "hidden":
        sizes = [{**size, "layers": _LAYERS[size["hidden"]]} for size in sizes]
    return [dataclasses.replace(setting, **size) for size in sizes]


# -- time --------------------------------------------------------------------------------------------------------------


def take_turns(config: Config, setting: Setting) -> _Seconds:
    """Seconds of each turn of each side."""
    sides: dict[str, Callable[[], object]] = {**parts(setting), **{side: _MAKE[side](setting) for side in config.sides}}
    seconds: _Seconds = {name: [] for name in sides}
    try:
        for turn in range(config.repeats + 1):
            for name, side in sides.items():
                start = time.perf_counter()
                side()
                if setting.device != "cpu":
                    torch.cuda.synchronize()
                if turn:
                    seconds[name].append(time.perf_counter() - start)
    finally:
        for side in sides.values():
            if isinstance(side, TrlStep):
                side.close()
    return seconds


def tokens_of(name: str, setting: Setting) -> int:
    """Tokens that a side writes in one turn."""
    return setting.tokens * (setting.envs if name.startswith("SB3") else setting.prompts * setting.samples)


# -- memory ------------------------------------------------------------------------------------------------------------


def memory_in_a_process(config: Config, setting: Setting, side: Side) -> float:
    """MiB at the peak of one side's steps, beyond what its process held before."""
    words = [f"--{name}={value}" for name, value in dataclasses.asdict(setting).items()]
    command = [sys.executable, "-m", __spec__.name, f"--threads={config.threads}", "--memory-of", side, *words]
    root = Path(__file__).parents[1]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, cwd=root).stdout.splitlines()[-1])


def peak_memory(setting: Setting, side: Side) -> float:
    """MiB at the peak of two steps in this process, beyond what was held before the first."""
    on_cpu = setting.device == "cpu"
    run = _MAKE[side](setting)
    before = resident("VmRSS") if on_cpu else torch.cuda.memory_allocated() / 2**20
    for _ in range(2):
        run()
    if isinstance(run, TrlStep):
        run.close()
    return (resident("VmHWM") if on_cpu else torch.cuda.max_memory_allocated() / 2**20) - before


def resident(field: str) -> float:
    """MiB of this process's memory, by a field of Linux's process status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system does not tell {field}.")


# -- tables ------------------------------------------------------------------------------------------------------------


def table(setting: Setting, seconds: _Seconds, memory: Mapping[Side, float]) -> Table:
    """Medians, and how many times as many tokens per second a side's peer makes."""
    title = f"prompt {setting.prompt}, K {setting.samples}, {setting.layers} layers of {setting.hidden}"
    rows = Table(
        "", "seconds", "tokens/s", "beside", "which is x faster", "peak, MiB", title=f"{title}, {setting.device}"
    )
    speeds = {name: tokens_of(name, setting) / statistics.median(turns) for name, turns in seconds.items()}
    for name, turns in seconds.items():
        peer = _PEERS.get(name)
        beside = (peer, f"{speeds[peer] / speeds[name]:.2f}") if peer in speeds else ("", "")
        peak = next((f"{figure:,.0f}" for side, figure in memory.items() if side == name), "")
        rows.add_row(name, f"{statistics.median(turns):.4f}", f"{speeds[name]:,.1f}", *beside, peak)
    return rows


def growth(axis: str, settings: Sequence[Setting], measured: Sequence[_Seconds]) -> Table:
    """Seconds along an axis, and the exponent p of seconds ~ size^p; K says nothing of Stable-Baselines3."""
    sizes = [getattr(setting, axis) for setting in settings]
    rows = Table("seconds", *map(str, sizes), "exponent", title=f"how cost grows with {axis}")
    for name in measured[0]:
        if axis == "samples" and name.startswith("SB3"):
            continue
        medians = [statistics.median(seconds[name]) for seconds in measured]
        slope, _ = np.polyfit(np.log(sizes), np.log(medians), 1)
        rows.add_row(name, *(f"{middle:.3f}" for middle in medians), f"{slope:.2f}")
    return rows


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
