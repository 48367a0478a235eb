"""Several evaluation seeds with an actor that draws its answers: pairing with a plain retry, and what the seeds are."""

from __future__ import annotations

import json

import numpy as np
import pytest

from retro_gym.actors import Reply
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym.testing.identity import WORDS
from retro_gym_agents.evaluation.comparison import compare
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.results import to_json
from retro_gym_agents.play.policies import make_policy

ENV = "RetroIdentity-v0"


class Guessing(IdentityActor):
    """Says the word that the last reflection names, and a random word without one, drawn with the prompt's seed."""

    def reply(self, prompts):
        guesses = [WORDS[int(np.random.default_rng(prompt.seed).integers(len(WORDS)))] for prompt in prompts]
        named = super().reply(prompts)
        return [
            reply if prompt.reflections else Reply(f"Say[{guess}]")
            for prompt, reply, guess in zip(prompts, named, guesses, strict=True)
        ]


class Writing:
    """Writes one text on every failure."""

    def __init__(self, name, text):
        self.name, self.text = name, text

    def reflect(self, observations, envs, seeds):
        return [self.text] * len(envs)


def played(*policies, **fields):
    config = EvaluationConfig(
        ENV, **{"num_tasks": 20, "trials": 2, "seeds": 3, "env_kwargs": {"actor": Guessing()}, **fields}
    )
    return evaluate_all(config, [make_policy(one) if isinstance(one, str) else one for one in policies])


def outcomes(evaluation):
    return [(task.task_id, task.seed, task.success, task.returns, task.ends) for task in evaluation.tasks]


def test_trials_differ_by_the_reflections_alone():
    none, blank, gold = played("none", Writing("blank", " \n"), Writing("gold", "gold"))
    (again,) = played("none")
    assert outcomes(again) == outcomes(none) == outcomes(blank)
    assert any(task.success[-1] > task.success[0] for task in none.tasks)  # a retry alone helps now and then
    assert any(not task.success[-1] for task in none.tasks)
    same, other = compare(blank, none), compare(gold, none)
    assert [(each.mean, each.won, each.lost, each.tied) for each in same] == [(0.0, 0, 0, 20)] * 3
    assert other[0].mean == 0.0
    assert other[1].mean != 0.0


def test_every_seed_has_the_same_tasks_and_other_episodes():
    (whole,) = played("none", seed=5)
    by_seed = {seed: [task for task in whole.tasks if task.seed == seed] for seed in (5, 6, 7)}
    assert [task.seed for task in whole.tasks] == 20 * [5] + 20 * [6] + 20 * [7]
    panels = [[task.task_id for task in tasks] for tasks in by_seed.values()]
    assert panels[0] == panels[1] == panels[2]
    assert whole.num_tasks() == len(set(panels[0])) == 20
    ends = [[task.success for task in tasks] for tasks in by_seed.values()]
    assert ends[0] != ends[1] != ends[2] != ends[0]
    (alone,) = played("none", seed=5, seeds=1)
    assert list(alone.tasks) == by_seed[5]


def test_reflections_have_seeds_of_their_own():
    (noisy,) = played("noisy")
    texts = [[task.reflections[:1] for task in noisy.tasks if task.seed == seed] for seed in range(3)]
    assert texts[0] != texts[1] != texts[2]


def test_figures_are_means_over_the_seeds_of_each_task():
    none, oracle = played("none", "oracle")
    rates = {}
    for task in none.tasks:
        rates.setdefault(task.task_id, []).append(task.success[2])
    means = [np.mean(rate) for rate in rates.values()]
    assert len(means) == 20
    assert none.success_at_trial()[2].mean == pytest.approx(np.mean(means))
    gain = compare(oracle, none)[2]
    assert gain.mean == pytest.approx(1 - np.mean(means))
    assert (gain.won, gain.lost, gain.tied) == (sum(mean < 1 for mean in means), 0, sum(mean == 1 for mean in means))
    assert none.average_success().mean == pytest.approx(np.mean([each.mean for each in none.success_at_trial()]))


def test_a_lost_episode_leaves_the_other_seeds_of_its_task():
    (found,) = played("none", env_kwargs={"actor": FlakyActor(Guessing(), _lost)}, max_error_rate=0.5)
    assert 0 < found.errors < 30
    tasks = {task.task_id for task in found.scored}
    rates = [
        np.mean([task.success[0] for task in found.scored if task.task_id == task_id]) for task_id in sorted(tasks)
    ]
    assert found.success_at_trial()[0].mean == pytest.approx(np.mean(rates))
    lost = to_json([found])["policies"][0]["lost"]
    assert sum(kind["num_episodes"] for kind in lost) == found.errors


def _lost(prompt):
    return prompt.seed % 7 == 0


def test_json_has_a_row_for_each_seed_task_and_trial():
    result = to_json(played("none", "oracle", seed=2))
    rows = result["rows"]
    assert (result["seed"], result["seeds"], result["num_tasks"]) == (2, 3, 20)
    assert json.loads(result["header"]["settings"]) == {"seeds": 3}
    assert len(rows) == 2 * 3 * 20 * 3
    assert len({(row["policy"], row["seed"], row["task_id"], row["trial"]) for row in rows}) == len(rows)
    assert {row["seed"] for row in rows} == {2, 3, 4}
    assert json.dumps(result) == json.dumps(to_json(played("none", "oracle", seed=2)))
