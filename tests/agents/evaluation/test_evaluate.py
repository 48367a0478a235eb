from __future__ import annotations

import copy
import itertools
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest

from retro_gym.actors import Reply
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, ConfigError, UnknownTaskError
from retro_gym.records import load_run, read_records
from retro_gym.testing import FlakyActor, IdentityActor, IdentityEnv
from retro_gym.testing.identity import IdentityTeacher
from retro_gym_agents.evaluation.comparison import compare, compare_returns
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.episodes import play_next_trial, start_episodes
from retro_gym_agents.play.policies import ReflectorPolicy, make_policy
from tests.coin import CoinEnv, say_as_noted

ENV = "RetroIdentity-v0"


class Coin:
    """Names the word with a given probability."""

    def __init__(self, name: str, probability: float) -> None:
        self.name = name
        self.probability = probability
        self.calls: list[list[str]] = []

    def reflect(self, observations, envs, seeds):
        self.calls.append([env.trajectory.task_id for env in envs])
        knows = [np.random.default_rng(seed).random() < self.probability for seed in seeds]
        tasks = [(env.task_env, env.trajectory.task_id) for env in envs]
        pairs = zip(tasks, knows, strict=True)
        return [env.teacher.oracle_reflection(task) if known else "?" for (env, task), known in pairs]


class CountingActor(IdentityActor):
    """Counts a token for each character, and is not to be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = 0

    def reply(self, prompts):
        self.prompts += len(prompts)
        return [Reply(reply.text, 10, 2) for reply in super().reply(prompts)]  # type: ignore[union-attr]

    def __deepcopy__(self, memo):
        raise AssertionError("the actor was copied")


def means(estimates):
    return [estimate.mean for estimate in estimates]


def test_known_policies_have_known_scores():
    assert means(evaluate(ENV, make_policy("none"), trials=2).success_at_trial()) == [0.0, 0.0, 0.0]
    assert means(evaluate(ENV, make_policy("oracle"), trials=2).success_at_trial()) == [0.0, 1.0, 1.0]
    coin = means(evaluate(ENV, Coin("coin", 0.5), trials=2).success_at_trial())
    assert coin[1] == pytest.approx(0.5, abs=0.2)
    assert coin[2] == pytest.approx(0.75, abs=0.2)


def test_solved_stays_solved_and_is_not_asked_again():
    policy = Coin("coin", 0.5)
    result = evaluate(ENV, policy, num_tasks=30, trials=4)
    rates = means(result.success_at_trial())
    assert rates == sorted(rates)
    for task in result.tasks:
        assert len(task.success) == len(task.returns) == 5
        assert sorted(task.success) == list(task.success)
        assert list(task.returns) == [float(success) for success in task.success]
        assert len(task.reflections) == (task.success.index(True) if task.success[-1] else 4)
    for now, later in itertools.pairwise(policy.calls):
        assert set(later) < set(now)
    failures = [sum(not task.success[trial] for task in result.tasks) for trial in range(4)]
    assert [len(call) for call in policy.calls] == failures  # one batch a trial
    assert result.stats.calls == 30 + sum(failures)


def test_tasks_are_drawn_without_replacement_from_the_seed_in_the_order_of_the_split():
    split = IdentityEnv().task_ids("validation")

    def chosen(seed, num_tasks):
        result = evaluate(ENV, make_policy("none"), split="validation", num_tasks=num_tasks, trials=0, seed=seed)
        return [task.task_id for task in result.tasks]

    some = chosen(0, 20)
    assert len(set(some)) == 20
    assert some == sorted(some, key=split.index)
    assert some == chosen(0, 20) != chosen(1, 20)
    assert chosen(0, None) == chosen(0, 64) == chosen(0, 1_000) == split


def test_same_seed_same_result_and_policies_do_not_disturb_each_other():
    config = EvaluationConfig(ENV, num_tasks=16, trials=2, seed=3)
    together = evaluate_all(config, [make_policy("noisy"), make_policy("shuffled"), make_policy("oracle")])
    for result in together:
        alone = evaluate(ENV, make_policy(result.reflector), num_tasks=16, trials=2, seed=3)
        assert alone.tasks == result.tasks
        assert alone.success_at_trial() == result.success_at_trial()
        assert alone.stats.calls == result.stats.calls
    other = evaluate(ENV, make_policy("noisy"), num_tasks=16, trials=2, seed=4)
    assert [task.reflections for task in other.tasks] != [task.reflections for task in together[0].tasks]


def test_first_trials_are_played_once_and_the_actor_is_shared():
    actor = CountingActor()
    config = EvaluationConfig(ENV, num_tasks=10, trials=1, env_kwargs={"actor": actor})
    first, second = evaluate_all(config, [make_policy("none"), make_policy("oracle")])
    assert actor.prompts == 10 + 10 + 10
    for result in (first, second):  # as if each had been evaluated alone
        assert result.stats.calls == 20
        assert (result.stats.prompt_tokens, result.stats.completion_tokens) == (200, 40)


@pytest.mark.parametrize(("names", "loads"), [(["none", "tiny", "oracle"], 1), (["none", "tiny", "gpt2"], 4)])
def test_only_one_model_is_in_memory_and_a_single_one_is_loaded_once(monkeypatch, names, loads):
    loaded = []

    def sample(observations, **_):
        return SimpleNamespace(
            texts=["?"] * len(observations), prompts=SimpleNamespace(lengths=np.ones(1)), num_tokens=1
        )

    def load(policy):
        loaded.append(policy.name)
        return SimpleNamespace(sample=sample)

    monkeypatch.setattr(ReflectorPolicy, "_load", load)
    policies = [make_policy(name) for name in names]
    evaluate_all(EvaluationConfig(ENV, num_tasks=2, trials=1), policies)
    assert len(loaded) == loads
    models = [policy for policy in policies if isinstance(policy, ReflectorPolicy)]
    assert sum(policy._reflector is not None for policy in models) == (len(models) == 1)


def test_actor_errors_leave_the_score_and_are_counted():
    class Dead(IdentityActor):
        """Fails at trial 0 of the first task, and at trial 1 of the second."""

        def reply(self, prompts):
            return [
                ActorError("down") if "gold" in prompt.task and bool(prompt.reflections) == later else reply
                for prompt, reply, later in zip(prompts, super().reply(prompts), itertools.cycle([self.later]))
            ]

        later = False

    for later in (False, True):
        actor = Dead()
        actor.later = later
        result = evaluate(ENV, make_policy("oracle"), trials=2, env_kwargs={"actor": actor}, max_error_rate=0.5)
        assert result.errors == result.stats.errors == 16
        assert result.refusal is None
        assert means(result.success_at_trial()) == [0.0, 1.0, 1.0]
        lost = [task for task in result.tasks if task.actor_error is not None]
        assert {task.task_id.rpartition("-")[2] for task in lost} == {"gold"}
        assert {len(task.success) for task in lost} == {int(later)}
        assert "down" in str(lost[0].actor_error)


def test_too_many_actor_errors_refuse_a_score():
    actor = FlakyActor(IdentityActor(), lambda prompt: "red" in prompt.task)
    results = evaluate_all(
        EvaluationConfig(ENV, trials=1, env_kwargs={"actor": actor}), [make_policy("none"), make_policy("oracle")]
    )
    for result in results:
        with pytest.raises(ActorError, match=r"failed in 16 of 64 episodes .*'test-0-red': no connection"):
            result.success_at_trial()
        with pytest.raises(ActorError):
            result.return_at_trial()
    with pytest.raises(ActorError):
        compare(*results)


def test_paired_difference_leaves_out_what_either_lost():
    def lost_after(word):
        return FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections) and word in prompt.task)

    one, other = (
        evaluate(ENV, policy, trials=1, env_kwargs={"actor": lost_after(word)}, max_error_rate=0.3)
        for policy, word in ((make_policy("oracle"), "red"), (make_policy("vague"), "blue"))
    )
    estimates = compare(one, other)
    assert means(estimates) == means(compare_returns(one, other)) == [0.0, 1.0]
    assert means(compare(other, one)) == means(compare_returns(other, one)) == [0.0, -1.0]
    assert estimates[1].clear_of_zero


def test_comparing_other_tasks_is_refused():
    one, other = (evaluate(ENV, make_policy("none"), num_tasks=5, trials=1, seed=seed) for seed in (0, 1))
    with pytest.raises(ConfigError, match="played different tasks"):
        compare(one, other)


def test_groups_are_scored_apart(monkeypatch):
    monkeypatch.setattr(IdentityTeacher, "task_group", lambda self, task_id: "warm" if "red" in task_id else "cold")

    class OnlyRed(Coin):
        def reflect(self, observations, envs, seeds):
            return ["red"] * len(envs)

    result = evaluate(ENV, OnlyRed("red", 1.0), trials=1)
    parts = result.parts("group")
    assert {name: result.num_tasks(where) for name, where in parts.items()} == {"cold": 48, "warm": 16}
    assert means(result.success_at_trial(parts["warm"])) == [0.0, 1.0]
    assert means(result.success_at_trial(parts["cold"])) == [0.0, 0.0]
    assert means(result.success_at_trial()) == [0.0, 0.25]
    assert means(result.return_at_trial(parts["warm"])) == [0.0, 1.0]


def test_one_group_is_none(monkeypatch):
    monkeypatch.setattr(IdentityTeacher, "task_group", lambda self, task_id: "all")
    assert evaluate(ENV, make_policy("none"), num_tasks=3, trials=1).parts("group") == {}


def test_records_hold_every_trial_once(tmp_path):
    path = tmp_path / "records.jsonl"
    config = EvaluationConfig(ENV, num_tasks=6, trials=1, env_kwargs={"records": path})
    evaluate_all(config, [make_policy("none"), make_policy("oracle")])
    trials = list(read_records(path, "trial"))
    assert sum(row["trial"] == 0 for row in trials) == 6
    assert sum(row["trial"] == 1 for row in trials) == 12
    run = load_run(path)
    assert [each.policy for each in run.reflections.values()] == 6 * ["none"] + 6 * ["oracle"]
    assert {run.before(each).source for each in run.reflections.values()} == {"reset"}
    (header,) = run.headers.values()
    assert (header.policy, header.seed, header.split, header.panel_size) == ("none, oracle", 0, "test", 6)


def test_progress_is_told_to_its_end():
    told = []
    evaluate(ENV, make_policy("none"), num_tasks=3, trials=1, progress=lambda *args: told.append(args))
    assert told[0] == ("trial 0", 0, 3)
    assert ("trial 0", 3, 3) in told
    assert told[-1] == ("none, trial 1", 3, 3)


def test_episodes_of_one_task_have_each_their_own_reflection():
    env = make_retro_env(ENV, split="test")
    policy = Coin("coin", 0.5)
    episodes = start_episodes(env, ["test-0-red"] * 20, range(20))
    play_next_trial(episodes, policy, seed=0)
    assert {one.reflections[0] for one in episodes} == {"red", "?"}
    for episode in episodes:
        alone = start_episodes(env, ["test-0-red"], [episode.seed])
        play_next_trial(alone, policy, seed=0)
        assert alone[0].reflections == episode.reflections
    env.close()


class _Broken(Coin):
    def reflect(self, observations, envs, seeds):
        raise RuntimeError("no reflection")


@pytest.mark.parametrize(
    ("calls", "policy", "fields", "error"),
    [
        (10**6, "oracle", {}, None),
        (3, "oracle", {}, KeyboardInterrupt),  # in trial 0
        (11, "oracle", {}, KeyboardInterrupt),  # in trial 1
        (10**6, _Broken("broken", 1.0), {}, RuntimeError),
        (10**6, "oracle", {"actor_kwargs": {"budget": {"calls": 5}}}, BudgetError),
        (10**6, "oracle", {"split": "tset"}, UnknownTaskError),
    ],
)
def test_all_environments_are_closed_whatever_ends_it(monkeypatch, calls, policy, fields, error):
    class Stopping(IdentityActor):
        batch_size, left = 1, calls

        def reply(self, prompts):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            return super().reply(prompts)

    opened, closed = [], set()
    init, twin, close = RetroEnv.__init__, RetroEnv.twin, RetroEnv.close

    def make(self, *args, **kwargs):
        opened.append(self)
        init(self, *args, **kwargs)

    def copied(self):
        opened.append(twin(self))
        return opened[-1]

    def closing(self):
        closed.add(id(self))
        close(self)

    monkeypatch.setattr(RetroEnv, "__init__", make)
    monkeypatch.setattr(RetroEnv, "twin", copied)
    monkeypatch.setattr(RetroEnv, "close", closing)
    fields = {"num_tasks": 8, **fields}
    env_kwargs = {"actor": Stopping(), "actor_kwargs": fields.pop("actor_kwargs", None)}
    config = EvaluationConfig(ENV, env_kwargs=env_kwargs, **fields)
    policies = [make_policy("none"), make_policy(policy) if isinstance(policy, str) else policy]
    if error is None:
        evaluate_all(config, policies)
        assert len(opened) == 1 + 8 + 2 * 8
    else:
        with pytest.raises(error):
            evaluate_all(config, policies)
    assert opened
    assert {id(env) for env in opened} == closed


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_tasks": 0}, "num_tasks is 0"),
        ({"trials": -1}, "trials is -1"),
        ({"seeds": 0}, "seeds is 0"),
        ({"max_error_rate": 1.0}, "max_error_rate is 1.0"),
        ({"env_kwargs": {"reward": "improvement"}}, "sets 'reward'"),
    ],
)
def test_config_is_checked(fields, message):
    with pytest.raises(ConfigError, match=message):
        EvaluationConfig(ENV, **fields)


def test_wrong_policies_are_named():
    class Silent(Coin):
        def reflect(self, observations, envs, seeds):
            return []

    with pytest.raises(ConfigError, match="wrote 0 reflections on 64 failures"):
        evaluate(ENV, Silent("silent", 1.0), trials=1)
    with pytest.raises(ConfigError, match="give each once"):
        evaluate_all(EvaluationConfig(ENV), [make_policy("none"), make_policy("none")])


def test_unknown_names_are_answered_with_near_ones():
    with pytest.raises(ConfigError, match="Did you mean 'RetroIdentity-v0'"):
        make_retro_env("RetroIdentiy-v0")
    with pytest.raises(ConfigError, match="Did you mean 'RetroIdentity-v0'"):
        make_retro_env("Identity-v0")
    for env_id in ("Identity-v0", "HotpotQA-v0", "ALFWorld-v0", "Mix-v0"):
        with pytest.raises(ConfigError, match=f"is a task environment, not a RetroEnv. Did you mean 'Retro{env_id}'"):
            make_retro_env(env_id, split="test")
    with pytest.raises(ConfigError, match=r"not a RetroEnv\. Give one of RetroALFWorld-v0"):
        make_retro_env("CartPole-v1")
    with pytest.raises(ConfigError, match="takes no argument 'split', as a RetroEnv does") as refused:
        make_retro_env("CartPole-v1", split="test")
    assert "__init__" not in str(refused.value)
    with pytest.raises(ConfigError, match="argument 'colour': it is known neither"):
        make_retro_env(ENV, colour="red")
    with pytest.raises(ConfigError, match="no_such_module"):
        make_retro_env("no_such_module:Retro-v0")
    with pytest.raises(UnknownTaskError, match="split 'tset'"):
        evaluate(ENV, make_policy("none"), split="tset")


def test_result_survives_a_copy():
    result = evaluate(ENV, make_policy("noisy"), num_tasks=4, trials=1)
    assert copy.deepcopy(result).success_at_trial() == result.success_at_trial()


def test_an_environment_that_is_only_the_game_is_evaluated(monkeypatch):
    retro = {"entry_point": "retro_gym.env:RetroEnv", "kwargs": {"task_env": "Coin-v0"}}
    for spec in (
        gym.envs.registration.EnvSpec("Coin-v0", CoinEnv),
        gym.envs.registration.EnvSpec("RetroCoin-v0", **retro),
    ):
        monkeypatch.setitem(gym.registry, spec.id, spec)
    kwargs = {"actor": say_as_noted}
    for name in ("none", "vague"):
        result = evaluate("RetroCoin-v0", make_policy(name), trials=1, env_kwargs=kwargs)
        assert (means(result.success_at_trial()), {task.group for task in result.tasks}) == ([0.0, 0.0], {""})
    for name, method in (("oracle", "oracle"), ("shuffled", "oracle"), ("noisy", "noisy")):
        with pytest.raises(ConfigError, match=rf"^CoinEnv has no teacher, and {method}_reflection is needed"):
            evaluate("RetroCoin-v0", make_policy(name), trials=1, env_kwargs=kwargs)
