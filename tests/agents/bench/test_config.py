"""Configurations of benchmarks: what a file may say, and what it is told when it says something else."""

import dataclasses
from pathlib import Path

import pytest

from retro_gym.errors import ConfigError
from retro_gym_agents.bench import arms
from retro_gym_agents.bench.arms import Job, check_settings
from retro_gym_agents.bench.config import LEARNERS, ActorSetting, Arm, BenchConfig, load_config
from retro_gym_agents.bench.run import jobs_of

FILE = """
envs: [RetroIdentity-v0]
seeds: [0, 1]
budget: 100
actors: {first: {}, second: {actor: "openai:model", actor_kwargs: {base_url: "http://localhost:1"}}}
evaluation: {num_tasks: 10, actors: [second]}
learners:
  reinforce: {learning_rate: 1e-3, num_prompts: 8}
arms:
  - {name: vague, policy: vague}
  - {name: REINFORCE; over control, learn: reinforce, settings: {num_prompts: 4}, actor: second}
quick: {budget: 10, evaluation: {num_tasks: 2}}
"""


def written(tmp_path, text):
    path = tmp_path / "bench.yaml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path):
    config = load_config(written(tmp_path, FILE))
    retry, vague, learned = config.arms
    assert (retry.policy, vague.policy, learned.slug) == ("none", "vague", "reinforce-over-control")
    assert config.settings_of(learned) == {"learning_rate": 1e-3, "num_prompts": 4}, "its own settings come last"
    assert [actor.name for actor in config.judges] == ["second"]
    assert config.actor(vague.actor).name == "first"
    assert (config.budget, config.evaluation.num_tasks, config.evaluation.trials) == (100, 10, 3)


def test_quick_replaces_what_it_names(tmp_path):
    config = load_config(written(tmp_path, FILE), quick=True)
    assert (config.budget, config.evaluation.num_tasks, config.evaluation.actors) == (10, 2, ("second",))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("envs:", "env:", "'env'; known are arms, envs"),
        ("policy: vague", "polcy: vague", "arm 'vague' has 'polcy'.*Did you mean 'policy'"),
        ("policy: vague", "policy: vague, learn: ppo", "give one of the two"),
        ("learn: reinforce,", "learn: reinforse,", "learn is 'reinforse'.*Did you mean 'reinforce'"),
        ("actor: second}", "actor: thrid}", "actor 'thrid' is not among"),
        ('{actor: "openai:model",', '{actor: "hf:x", imitation: {rounds: 1},', "second is 'hf:x' and has settings of"),
        ("actors: [second]", "actors: [third]", "actor 'third' is not among"),
        ("name: vague", "name: reinforce over-control", "arms holds 'reinforce-over-control' twice"),
        ("budget: 100", "budget: 0", "budget is 0"),
        ("budget: 100", "budgets: {RetroIdentity-v0: 0}", "budget of RetroIdentity-v0 is 0"),
        (
            "budget: 100",
            "budgets: {RetroIdentity: 10}",
            "budgets names 'RetroIdentity'.*Did you mean 'RetroIdentity-v0'",
        ),
        ("budget: 100", "budget: a lot", "budget is 'a lot'"),
        ("seeds: [0, 1]", "seeds: []", "seeds is empty"),
        ("  reinforce: {", "  reinforced: {", "learners: 'reinforced' is not one of"),
        ("envs: [RetroIdentity-v0]", "envs: RetroIdentity-v0", "envs is 'RetroIdentity-v0'; give a list"),
        ("policy: vague}", "policy: vague, env_kwargs: 3}", "env_kwargs is 3; give names with values"),
        ("  reinforce: {", "  reinforce: 3 #{", "learners: reinforce is 3; give names"),
        ("policy: vague}", "policy: vague, settings: {updates: 3}}", "it has no settings"),
    ],
)
def test_mistakes(tmp_path, old, new, told):
    assert old in FILE
    path = written(tmp_path, FILE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=told) as caught:
        load_config(path)
    assert str(caught.value).startswith(str(path))


def test_a_mistake_in_what_only_a_quick_run_reads(tmp_path):
    path = written(tmp_path, FILE.replace("quick: {", "quick: {seed: 0, "))
    load_config(path)
    with pytest.raises(ConfigError, match="'seed'; known are"):
        load_config(path, quick=True)


@pytest.mark.parametrize("text", ["", "- a list", "a: [", "7: 8"])
def test_what_is_no_benchmark(tmp_path, text):
    with pytest.raises(ConfigError):
        load_config(written(tmp_path, text))
    with pytest.raises(ConfigError, match="there is no file"):
        load_config(tmp_path / "absent.yaml")


def test_a_digest_changes_with_what_an_arm_depends_on(tmp_path):
    config = load_config(written(tmp_path, FILE))
    _, vague, learned = config.arms
    more = dataclasses.replace(config, seeds=(0, 1, 2), arms=config.arms[:2])
    assert more.digest_of(vague) == config.digest_of(vague), "other arms and seeds are no concern of it"
    costlier = dataclasses.replace(config, budgets={config.envs[0]: 200})
    assert (costlier.budget_of(config.envs[0]), costlier.budget_of("another")) == (200, config.budget)
    slower = dataclasses.replace(config, learners={"reinforce": {"learning_rate": 2e-3}})
    assert costlier.digest_of(learned) != config.digest_of(learned) != slower.digest_of(learned)
    assert slower.digest_of(vague) == config.digest_of(vague) == costlier.digest_of(vague)
    another = ActorSetting(name="third", imitation={"imitation_updates": 1})
    judged = dataclasses.replace(config.evaluation, actors=("third",))
    wider = dataclasses.replace(config, actors=(*config.actors, another), evaluation=judged)
    assert wider.digest_of(learned) == config.digest_of(learned), "who else judges is no concern of it"
    with_it = dataclasses.replace(learned, actor="third")
    assert wider.digest_of(with_it) != dataclasses.replace(wider, seeds=(5,)).digest_of(with_it), "the planner's seed"
    assert isinstance(config, BenchConfig)


def test_a_planner_may_be_made_with_the_defaults(tmp_path):
    text = FILE.replace('{actor: "openai:model",', "{imitation: {},")
    assert text != FILE
    (second,) = [one for one in load_config(written(tmp_path, text)).actors if one.name == "second"]
    assert second.imitation == {}
    arm = Arm(name="one", policy="none")
    job = Job(
        BenchConfig(arms=(arm,), envs=("RetroIdentity-v0",), actors=(second,)), arm, "RetroIdentity-v0", 0, tmp_path
    )
    assert job.playing(second)["actor"].startswith("planner:")
    scripted = dataclasses.replace(second, imitation=None)
    assert job.playing(scripted)["actor"] == "scripted"
    assert job.config.digest_of_actor(scripted) != job.config.digest_of_actor(second)


@pytest.mark.parametrize("quick", [False, True])
def test_the_benchmark_of_the_repository_can_be_run(quick):
    file = Path(__file__).parents[3] / "benchmarks" / "embedded.yaml"
    jobs = jobs_of(load_config(file, quick=quick), Path("unused"))
    for job in jobs:
        check_settings(job)
    assert {job.arm.learn for job in jobs} >= {"", "imitation", "best_of", "reinforce", "retroformer"}


def test_every_learner_can_be_named():
    assert tuple(arms._LEARNERS) == LEARNERS


@pytest.mark.parametrize(
    ("learn", "settings", "told"),
    [
        ("gepa", {"reflector": "openai:small"}, "needs the setting 'proposer'"),
        ("gepa", {"max_actor_calls": 3}, "'max_actor_calls' is set by the benchmark"),
        ("lessons", {"number": 3}, "'number' is no setting of lessons.*Did you mean 'num'"),
        ("best_of", {"samples": 3}, "'samples' is no setting of best_of"),
    ],
)
def test_settings_of_learners(learn, settings, told):
    arm = Arm(name="one", learn=learn, settings=settings)
    job = Job(BenchConfig(arms=(arm,), envs=("RetroIdentity-v0",)), arm, "RetroIdentity-v0", 0, Path("unused"))
    with pytest.raises(ConfigError, match=told):
        check_settings(job)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"rounds": 3}, "actor small: 'rounds' is set by the benchmark"),
        ({"imitation_update": 3}, "'imitation_update' is no setting of imitation.*Did you mean 'imitation_updates'"),
    ],
)
def test_settings_of_planners(settings, told):
    arm, actor = Arm(name="one", policy="none"), ActorSetting(name="small", imitation=settings)
    config = BenchConfig(arms=(arm,), envs=("RetroIdentity-v0",), actors=(actor,))
    with pytest.raises(ConfigError, match=told):
        check_settings(Job(config, arm, "RetroIdentity-v0", 0, Path("unused")))
