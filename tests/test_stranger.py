"""The path of somebody who has the wheel and nothing else: ten lines, train, evaluate, view, export, plain peft."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv

import pytest

from tests.test_package import copy_sources, run

pytestmark = pytest.mark.slow

PLAIN = """
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer

def written(model, folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("This attempt failed. Reflect:", return_tensors="pt")
    return tokenizer.decode(model.generate(**ids, do_sample=False, max_new_tokens=16)[0])

one = written(AutoPeftModelForCausalLM.from_pretrained("runs/first/adapter"), "runs/first/adapter")
two = written(AutoModelForCausalLM.from_pretrained("merged"), "merged")
assert one == two, (one, two)
assert "retro_gym" not in __import__("sys").modules
print(one)
"""


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    source = copy_sources(root, tmp_path_factory.mktemp("source") / "retro-gym")
    dist = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", dist, source, cwd=dist)
    (made,) = dist.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def stranger(wheel, tmp_path_factory):
    """Runs commands in an empty folder, with an environment that holds the wheel; its libraries are those of this one.

    A folder that a ``.pth`` file names is searched for packages, but its own ``.pth`` files, such as that of an
    editable installation, are not read.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    binaries = folder / ("Scripts" if sys.platform == "win32" else "bin")
    python = binaries / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel, cwd=folder)
    own = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    with open(os.path.join(own, "libraries.pth"), "w", encoding="utf-8") as file:
        file.write(sysconfig.get_path("purelib") + "\n")
    empty = tmp_path_factory.mktemp("empty")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(program, *words):
        done = subprocess.run(
            [str(binaries / program), *map(str, words)], cwd=empty, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call, empty


def test_from_an_empty_folder(stranger, root):
    call, folder = stranger
    assert str(root) not in call("python", "-c", "import retro_gym, retro_gym_agents; print(retro_gym.__file__)")
    call("python", root / ".ci" / "readme_loop.py", root / "README.md")
    few = ["--updates", 4, "--max-minutes", 1, "--num-prompts", 4, "--group-size", 4, "--validate-every", 2]
    train = ["train", "RetroHotpotQA-v0", "--algo", "reinforce", "--reflector", "tiny", "--output", "runs/first"]
    call("retro-gym", *train, "--seed", 0, *few, "--set", "validation_tasks=4")
    judge = ["evaluate", "RetroHotpotQA-v0", "--reflector", "none", "tiny", "runs/first", "oracle", "--num-tasks", 6]
    table = call("retro-gym", *judge, "--trials", 1, "--json", "runs/first/evaluation.json")
    assert "oracle" in table
    call("retro-gym", "view", "runs/first/evaluation.json", "runs/first", "--output", "page.html")
    assert (folder / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    for format_, output in (("sft", "rows.jsonl"), ("hf", "tables")):
        call("retro-gym", "export", "runs/first", "--format", format_, "--output", output)
    assert json.loads((folder / "rows.jsonl").read_text().splitlines()[0])["completion"]
    assert "| this model |" in call("retro-gym", "push", "runs/first", "someone/first", "--dry-run")
    shutil.rmtree(folder / "runs" / "first" / "best")  # so that the merged model is of the last adapter, as below
    call("retro-gym", "merge", "runs/first", "--output", "merged")
    assert call("python", "-W", "ignore", "-c", PLAIN).startswith("This attempt failed.")
    assert {path.name for path in folder.iterdir()} == {"runs", "page.html", "rows.jsonl", "tables", "merged"}
