"""The benchmark of concurrency runs; its figures at this size mean nothing."""

import json
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_benchmark_runs(root, tmp_path):
    command = [sys.executable, "benchmarks/concurrency.py", "--envs", "4", "--seconds", "2", "--latency", "0.05"]
    figures = tmp_path / "figures.json"
    subprocess.run([*command, "--p99", "0.2", "--json", str(figures)], cwd=root, check=True, timeout=300)
    rows = json.loads(figures.read_text())
    assert [(row["latency"], row["side"]) for row in rows] == [
        (latency, side)
        for latency in ("constant", "log-normal")
        for side in ("side by side", "RetroVectorEnv", "lock step", "single")
    ]
    assert all(row["calls"] > 0 and row["rate"] < 1.1 * row["ideal"] and row["memory"] > 0 for row in rows)
