"""What others do with what was pushed: peft, transformers and datasets, each in a process without this package."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.agents.share.hub_double import TOKEN, running
from tests.docs.pages import blocks

pytestmark = pytest.mark.slow

PLAIN = """
import sys
sys.modules["retro_gym"] = sys.modules["retro_gym_agents"] = None  # an import would be an error
import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer

def written(model, name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    ids = tokenizer("This attempt failed. Reflect:", return_tensors="pt")
    return tokenizer.decode(model.generate(**ids, do_sample=False, max_new_tokens=8)[0])

by_peft = written(AutoPeftModelForCausalLM.from_pretrained("someone/first"), "someone/first")
by_transformers = written(AutoModelForCausalLM.from_pretrained("someone/first"), "someone/first")
merged = written(AutoModelForCausalLM.from_pretrained("someone/merged"), "someone/merged")
print(repr([by_peft, by_transformers, merged]))
"""
DATA = """
import sys
sys.modules["retro_gym"] = None
from datasets import load_dataset
print(len(load_dataset("someone/data", "trials", split="train")), load_dataset("someone/data")["train"][0]["kind"])
"""


PAGE = "docs/share.md"


@pytest.fixture(scope="module")
def hub():
    with running() as hub:
        yield hub


@pytest.fixture(scope="module")
def call(hub, root, tmp_path_factory):
    """Runs Python as a user does who is logged in at the hub, in an empty folder."""
    folder = tmp_path_factory.mktemp("user")
    places = os.pathsep.join(str(root / each) for each in (".", "agents", "envs"))
    settings = {"HF_ENDPOINT": hub.address, "HF_TOKEN": TOKEN, "HF_HOME": str(folder / "home"), "NO_PROXY": "127.0.0.1"}
    env = {**os.environ, "PYTHONPATH": places, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", **settings}

    def called(*words):
        done = subprocess.run(
            [sys.executable, *map(str, words)], cwd=folder, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return called


def cli(call, *words):
    return call("-m", "retro_gym_agents.cli", *words)


@pytest.fixture(scope="module")
def pushed(hub, call):
    words = ["RetroHotpotQA-v0", "--reflector", "tiny", "--updates", 1, "--num-prompts", 2, "--group-size", 2]
    cli(call, "train", *words, "--output", "runs/first")
    cli(call, "push", "runs/first", "someone/first")
    cli(call, "push", "runs/first", "someone/merged", "--merged")
    cli(call, "push", "runs/first/records.jsonl", "someone/data")
    return hub


def test_peft_and_transformers_load_them(pushed, call):
    by_peft, by_transformers, merged = eval(call("-c", PLAIN).splitlines()[-1])
    assert by_peft == by_transformers == merged
    assert by_peft.startswith("This attempt failed.")


def test_datasets_loads_the_records(pushed, call):
    trials = pushed.files("someone/data", "datasets")["trials.jsonl"].splitlines()
    assert call("-c", DATA).split() == [str(len(trials)), "reflection"]


def test_the_command_line_takes_the_name(pushed, call):
    names = ["someone/first", "someone/merged", "someone/merged@main"]
    words = ["RetroHotpotQA-v0", "--reflector", "none", *names, "--num-tasks", 2, "--trials", 1, "--greedy"]
    cli(call, "evaluate", *words, "--json", "result.json")
    script = "import json; print([row['mean_return_at_trial'] for row in json.load(open('result.json'))['policies']])"
    _, first, *others = eval(call("-c", script))
    assert others == [first, first]


def test_the_snippets_of_the_page_run(pushed, call, root):
    cli(call, "push", "runs/first", "someone/my-reflector", "--revision", "v1")
    cli(call, "push", "runs/first", "someone/my-reflector")
    cli(call, "push", "runs/first/records.jsonl", "someone/my-records")
    found = [block.text for block in blocks(root / PAGE) if block.language == "python"]
    assert len(found) == 3
    for text in found:
        assert "me/my-re" in text
        call("-c", text.replace('"me/', '"someone/'))
    assert ("models", "someone/another") in pushed.repos
