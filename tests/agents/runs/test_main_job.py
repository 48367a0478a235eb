"""The main job, for real: the tiny reflector learns on built-in training tasks and is judged on test tasks."""

import json

import pytest

from benchmarks import specialists
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, train
from retro_gym_agents.evaluation.comparison import compare
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.tiny.quality import measure

ENV_ID = "RetroALFWorld-v0"
TEST = EvaluationConfig(ENV_ID, split="test", num_tasks=200, trials=1, seed=0)
DEMO = {"updates": 60, "learning_rate": 1.2e-3, "decay_updates": 40}  # as in `make demo`


def at_trial_1(evaluation):
    return evaluation.success_at_trial()[1].mean


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_reflections_get_better_over_three_seeds_and_the_control_does_not(tmp_path):
    runs = {f"seed {seed}": (tmp_path / str(seed), seed, False) for seed in range(3)}
    runs["control"] = (tmp_path / "control", 0, True)
    for output, seed, shuffle in runs.values():
        train(
            ReinforceConfig(
                output=output,
                env_id=ENV_ID,
                seed=seed,
                shuffle_rewards=shuffle,
                env_kwargs={"max_reflections": 1},
                **DEMO,
                validate_every=None if shuffle else 10,  # to choose among adapters is to learn as well
            )
        )
    names = ["none", "tiny", "oracle", *(str(output) for output, _, _ in runs.values())]
    none, tiny, oracle, *trained, control = evaluate_all(TEST, [make_policy(name) for name in names])
    for evaluation in trained:
        difference = compare(evaluation, tiny)[1]
        share = (at_trial_1(evaluation) - at_trial_1(none)) / (at_trial_1(oracle) - at_trial_1(none))
        print(f"{evaluation.reflector}: {at_trial_1(evaluation):.1%}, {share:.0%} of the way; − untrained {difference}")
        assert difference.mean >= 0.25
        assert difference.low > 0
        assert share >= 0.65
    unlearned = compare(control, tiny)[1]
    print(f"control − untrained {unlearned}")
    assert not unlearned.clear_of_zero or abs(unlearned.mean) < 0.05


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("env_id", [*specialists.ENVS, specialists.MIX])
def test_the_shipped_reflector_writes_well_and_copies_names(env_id):
    quality = measure(Reflector.load("tiny", lora=None), env_id, split="test", num_tasks=500, seed=1)
    print(f"{env_id}: {quality}")
    assert quality.well_formed_greedy >= 0.98
    assert quality.grounded_greedy >= 0.97
    assert quality.well_formed_sampled >= 0.96
    assert quality.grounded_sampled >= 0.85


@pytest.mark.slow
@pytest.mark.timeout(12_000)
def test_every_environment_is_learned_and_one_reflector_learns_them_all(tmp_path):
    config = specialists.Config(output=tmp_path)
    specialists.main(config)
    summary = json.loads((tmp_path / "summary.json").read_text())
    for env_id in specialists.ENVS:
        row = summary[env_id]
        shown, gain = row["success"], row["gain"]
        assert 15 <= shown["none"] <= 50
        assert shown["oracle"] >= 90
        for seed in config.seeds:
            assert gain[f"{env_id}-{seed}"][0] >= 25
            assert json.loads((tmp_path / f"{env_id}-{seed}" / "config.json").read_text())["max_minutes"] <= 6
        assert min(row["way"]) >= 0.65
        assert abs(gain[f"{env_id}-control"][0]) < 8
        assert row["generalist_share"] >= 0.8
