"""Benchmarks: many arms on many environments with several seeds, at the same cost, in one table."""

from retro_gym_agents.bench.config import BenchConfig, load_config
from retro_gym_agents.bench.report import write_report
from retro_gym_agents.bench.run import run_bench

__all__ = ["BenchConfig", "load_config", "run_bench", "write_report"]
