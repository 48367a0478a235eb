"""The recipes of docs/loops.md, each with the package that it is for: they learn, and the same seed learns the same."""

import importlib
import os
import re
import sys

import pytest

from retro_gym.token_view.infos import NUMBERS
from retro_gym_agents.lm.reflector import Reflector
from tests.recipes import imported, recipes

PAGE = "docs/loops.md"
PACKAGES = {
    "Stable-Baselines3": ("stable_baselines3", "stable-baselines3"),
    "TorchRL": ("torchrl", "torchrl"),
    "Tianshou": ("tianshou", "tianshou"),
    "RLlib": ("ray", "ray[rllib]"),
    "Minari": ("minari", "minari[create,hdf5]"),
}
"""Heading of a recipe: its module, and its name for pip."""

QUICK = ["Stable-Baselines3", "TorchRL"]
SLOW = ["Tianshou"]


def page_of(root):
    return (root / PAGE).read_text(encoding="utf-8")


@pytest.fixture
def recipe(root, tmp_path, monkeypatch):
    """Imports a recipe as a module."""
    with imported(root / PAGE, PACKAGES, tmp_path, monkeypatch) as load:
        yield load


def train(loop, folder, **options):
    settings = {"updates": 8, "num_envs": 16, "num_steps": 10, "lr": 3e-3, **options}
    return loop.train("RetroIdentity-v0", str(folder), **settings)


def check_learning(loop, folder, tmp_path):
    earned, reflector = train(loop, folder)
    assert len(earned) > 300
    assert sum(earned[:40]) / 40 < 0.65
    assert sum(earned[-40:]) / 40 > 0.75
    reflector.save(tmp_path / "adapter")
    assert Reflector.load(tmp_path / "adapter").trainable
    control, _ = train(loop, folder, lr=0.0)
    assert sum(control[-40:]) / 40 < 0.65
    again, _ = train(loop, folder, updates=3)
    assert again[:100] == earned[:100]


def test_every_recipe_is_tested_and_counted(root):
    found = recipes(root / PAGE)
    assert set(found) == set(PACKAGES)
    lines = {heading: str(sum(bool(line.strip()) for line in code.splitlines())) for heading, code in found.items()}
    scripts = {}
    for name in re.findall(r"examples/(\w+\.py)", page_of(root).partition("\n## Recipes\n")[2]):
        text = (root / "examples" / name).read_text(encoding="utf-8")
        scripts[name] = str(sum(bool(line.strip()) for line in text.splitlines()))
    table = dict(re.findall(r"\n\| ([\w.-]+)[^|]*\| (\d+) \|", page_of(root)))
    by_script = re.findall(r"\n\| [^|]+\| (\d+) \|[^\n]+examples/(\w+\.py)", page_of(root))
    assert {heading: table[heading] for heading in PACKAGES} == lines
    assert {name: count for count, name in by_script} == {name: scripts[name] for _, name in by_script}
    assert len(by_script) == 4


def test_the_page_names_the_numbers(root):
    assert set(NUMBERS) <= set(re.findall(r"`(\w+)`", page_of(root)))


@pytest.mark.filterwarnings("ignore")  # what these packages warn of is theirs
@pytest.mark.parametrize("heading", QUICK)
def test_a_recipe_learns(recipe, small_model, tmp_path, heading):
    check_learning(recipe(heading), small_model, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("heading", SLOW)
def test_a_heavy_recipe_learns(recipe, small_model, tmp_path, heading):
    check_learning(recipe(heading), small_model, tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [0, 2])
def test_rllib_learns(recipe, small_model, tmp_path, workers):
    loop, ray = recipe("RLlib"), importlib.import_module("ray")
    path = os.pathsep.join([str(tmp_path), *sys.path])
    ray.init(num_cpus=3, include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    try:
        means, reflector = train(loop, small_model, updates=6, workers=workers)
        again, _ = train(loop, small_model, updates=2, workers=workers)
    finally:
        ray.shutdown()
    assert means[0] < 0.65
    assert means[-1] > 0.75
    assert again == means[:2]
    assert reflector.trainable


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_minari_records_and_makes_the_environment_again(recipe, small_model, tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "datasets"))
    loop = recipe("Minari")
    minari = loop.minari
    loop.record("RetroIdentity-v0", str(small_model), episodes=8, name="reflections/identity-v0")
    dataset = minari.load_dataset("reflections/identity-v0")
    assert dataset.total_episodes == 8
    assert set(dataset[0].infos) == set(NUMBERS)
    assert {float(episode.rewards[-1]) for episode in dataset} == {0.0, 1.0}
    env = dataset.recover_environment()
    for episode, about in zip(dataset, dataset.storage.get_episode_metadata(range(8)), strict=True):
        shown, _ = env.reset(seed=int(about["seed"]))
        assert (shown["ids"] == episode.observations["ids"][0]).all()
        paid = [env.step(int(token))[1] for token in episode.actions]
        assert paid == episode.rewards.tolist()
    kept = dataset.filter_episodes(lambda episode: not episode.infos["actor_failed"].any())
    assert kept.total_episodes == 8


@pytest.mark.filterwarnings("ignore")
def test_torchrl_makes_it_by_its_id(recipe):
    recipe("TorchRL")
    from torchrl.envs import GymEnv

    env = GymEnv("RetroIdentity-v0")
    start = env.reset()
    start["action"] = "red"
    assert set(start.keys()) >= {"observation", "done"}
    assert float(env.step(start)["next", "reward"]) in (0.0, 1.0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("mode", "info"), [("SameStep", "numbers"), ("Disabled", "full"), ("Disabled", "numbers"), ("Disabled", "none")]
)
def test_torchrl_takes_a_vector_in_either_mode(recipe, small_model, info, mode):
    loop = recipe("TorchRL")
    failures = loop.gym.make_vec("RetroIdentity-v0", 3, max_reflections=1, autoreset_mode=mode)
    reflector = Reflector.load(small_model)
    view = loop.TokenVectorEnv(
        failures, reflector.tokenizer, info=info, observation="ids", **loop.token_options(reflector)
    )
    steps = loop.GymWrapper(view, categorical_action_encoding=True).rollout(12, break_when_any_done=False)
    assert steps["next", "terminated"].sum() > 3
    assert steps["observation"].shape == (3, 12, 127)
    ends = steps["next", "terminated"].squeeze(-1)
    assert ((steps["next", "observation"][ends] > 0).sum(-1) > 5).all()  # the last observations, and no zeros
