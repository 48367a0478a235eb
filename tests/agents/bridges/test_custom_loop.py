import re
import subprocess
import sys

from retro_gym_agents.lm.reflector import Reflector


def test_a_learner_of_forty_lines_learns(small_model, tmp_path, root):
    command = [sys.executable, root / "examples" / "custom_reinforce.py", "--env", "RetroIdentity-v0"]
    arguments = [
        "--reflector",
        small_model,
        "--output",
        tmp_path / "adapter",
        "--updates",
        "30",
        "--learning-rate",
        "1.5e-3",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rewards = [float(reward) for reward in re.findall(r"reward (\d\.\d+)", done.stdout)]
    assert len(rewards) == 30
    assert sum(rewards[:3]) / 3 < 0.6
    assert sum(rewards[-3:]) / 3 > 0.9
    assert Reflector.load(tmp_path / "adapter").name == str(small_model.resolve())


def test_it_stands_on_the_reflector_alone(root):
    source = (root / "examples" / "custom_reinforce.py").read_text(encoding="utf-8")
    imported = re.findall(r"^(?:import|from) ([\w.]+)", source, re.MULTILINE)
    assert set(imported) == {"argparse", "gymnasium", "torch", "retro_gym", "retro_gym_agents.lm.reflector"}
