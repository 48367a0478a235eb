"""`import retro_gym` is light: no heavy library, hardly any time beyond Gymnasium's own."""

import json
import subprocess
import sys

HEAVY = {
    "torch",
    "transformers",
    "peft",
    "tensorboard",
    "matplotlib",
    "openai",
    "bm25s",
    "rapidfuzz",
    "ijson",
    "tyro",
    "rich",
    "retro_gym_envs",
    "retro_gym_agents",
}

# Processor time, not wall-clock time: a busy machine must not fail this test.
MEASURE = """
import json, sys, time
import gymnasium
before = set(sys.modules)
start = time.process_time()
import retro_gym
seconds = time.process_time() - start
print(json.dumps([seconds, sorted(set(sys.modules) - before)]))
"""


def measure():
    done = subprocess.run([sys.executable, "-W", "error", "-c", MEASURE], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_no_heavy_library_comes_along():
    _, modules = measure()
    assert HEAVY.isdisjoint(name.partition(".")[0] for name in modules)
    assert "retro_gym.env" in modules


def test_it_takes_less_than_a_tenth_of_a_second():
    # The quickest of up to seven runs: the first may compile, any may be disturbed.
    best = float("inf")
    for _ in range(7):
        best = min(best, measure()[0])
        if best < 0.1:
            return
    raise AssertionError(f"import retro_gym took {best:.3f} s of processor time; the limit is 0.1 s.")
