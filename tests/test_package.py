"""What a user gets: the README's loop, the sdist, the wheel, and an installation without any extra."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGES = {"retro_gym": ".", "retro_gym_envs": "envs", "retro_gym_agents": "agents"}
NOT_CODE = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "*.pyc", "node_modules")
NOT_CODE_AT_THE_TOP = {"runs", "build", "dist", "benchmarks", "models"}  # within the packages they may be modules


def copy_sources(root, target):
    """Copies the sources, so that a build leaves nothing behind and finds nothing old."""

    def left_out(folder, names):
        top = NOT_CODE_AT_THE_TOP & set(names) if Path(folder) == root else set()
        return NOT_CODE(folder, names) | top

    return shutil.copytree(root, target, ignore=left_out)


def run(*command, cwd):
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def shipped_files(root):
    """What the packages hold, as paths inside of a wheel."""
    for package, parent in PACKAGES.items():
        for path in (root / parent / package).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                yield path.relative_to(root / parent).as_posix()


@pytest.fixture
def readme(root):
    path = root / "README.md"
    if not path.read_text(encoding="utf-8").strip():
        pytest.skip("README.md is still empty")
    return path


def test_the_readmes_loop_runs(root, readme, tmp_path):
    run(sys.executable, "-W", "error", root / ".ci" / "readme_loop.py", readme, cwd=tmp_path)


def test_the_citation_is_of_this_version_and_names_the_papers(root):
    import yaml

    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    assert (said["cff-version"], said["type"]) == ("1.2.0", "software")
    assert (said["version"], said["license"]) == (project["version"], project["license"])
    assert {"message", "title", "authors"} <= said.keys()
    first = [
        (each["authors"][0]["family-names"], each["year"], each["conference"]["name"]) for each in said["references"]
    ]
    assert first == [("Yao", 2024, "ICLR 2024"), ("Feng", 2025, "NAACL 2025")]


@pytest.fixture(scope="module")
def source(root, tmp_path_factory):
    """A copy of the sources."""
    return copy_sources(root, tmp_path_factory.mktemp("source") / "retro-gym")


@pytest.fixture(scope="module")
def dist(source, tmp_path_factory):
    """The sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, source, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel_names(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(source, wheel_names):
    shipped = set(shipped_files(source))
    assert {f"{package}/py.typed" for package in PACKAGES} <= shipped
    assert shipped - wheel_names == set()
    others = {name for name in wheel_names - shipped if ".dist-info/" not in name}
    assert others == set()
    assert any(name.endswith("/licenses/LICENSE") for name in wheel_names)


@pytest.mark.slow
def test_the_tiny_reflector_is_in_the_wheel(source, wheel_names):
    weights = source / "agents/retro_gym_agents/tiny/weights"
    if not weights.is_dir() or not any(weights.iterdir()):
        pytest.skip("the tiny reflector is not built yet: python -m retro_gym_agents.tiny.build")
    files = [path for path in weights.iterdir() if path.is_file()]
    assert any(path.suffix == ".safetensors" for path in files)
    assert {f"retro_gym_agents/tiny/weights/{path.name}" for path in files} <= wheel_names
    assert sum(path.stat().st_size for path in files) < 12_000_000


@pytest.mark.slow
def test_the_sdist_holds_what_a_build_needs_and_no_tests(dist):
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "retro_gym/env.py"} <= names
    assert not [name for name in names if name.startswith("tests")]


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """An empty virtual environment with the wheel and its core dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=True)
    (wheel,) = dist.glob("*.whl")
    binaries = folder / ("Scripts" if sys.platform == "win32" else "bin")
    run(binaries / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder)
    return binaries


LOOP = """
import gymnasium as gym
import retro_gym

env = gym.make("RetroHotpotQA-v0")
for episode in range(3):
    observation, info = env.reset(seed=episode)
    done = False
    while not done:
        reflection = env.unwrapped.task_env.teacher.oracle_reflection(info["task_id"])
        observation, reward, terminated, truncated, info = env.step(reflection)
        done = terminated or truncated
    print(info["task_id"], reward, info["success"])
env.close()
"""


@pytest.mark.slow
def test_a_loop_runs_on_the_core_dependencies_from_an_empty_folder(installed, tmp_path):
    printed = run(installed / "python", "-W", "error", "-c", LOOP, cwd=tmp_path)
    assert len(printed.splitlines()) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_readmes_loop_runs_on_the_core_dependencies(installed, root, readme, tmp_path):
    run(installed / "python", "-W", "error", root / ".ci" / "readme_loop.py", readme, cwd=tmp_path)


@pytest.mark.slow
def test_the_command_line_works_without_an_extra_and_names_the_missing_one(installed, tmp_path):
    assert "RetroHotpotQA-v0" in run(installed / "retro-gym", "envs", cwd=tmp_path)
    train = "train RetroIdentity-v0 --algo reinforce --reflector tiny --output out --seed 0"
    done = subprocess.run(
        [str(installed / "retro-gym"), *train.split()], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert 'pip install "retro-gym[train]"' in done.stdout + done.stderr


@pytest.mark.slow
def test_types_are_found_by_a_user(installed, tmp_path, root):
    # py.typed only counts when mypy finds it in an installed package.
    (tmp_path / "user.py").write_text(
        "import gymnasium as gym\nfrom retro_gym import RetroEnv\nenv: RetroEnv = RetroEnv('Identity-v0')\n"
        "reveal_type(env.branch(['x']))\n"
    )
    python = installed / Path("python")
    printed = run(sys.executable, "-m", "mypy", "--python-executable", python, "user.py", cwd=tmp_path)
    assert "retro_gym.trajectory.Outcome" in printed
