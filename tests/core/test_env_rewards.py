"""The four rewards through RetroEnv, against values worked out by hand; branch; the bank."""

import copy
import json

import numpy as np
import pytest

from retro_gym import FailureBank, RetroEnv
from retro_gym.actors import Reply
from retro_gym.errors import ActionError, ActorError, ConfigError, EpisodeError, NoFailureError, UnknownTaskError
from retro_gym.records import load_run
from retro_gym.seeding import derive_seed, turn_seed
from retro_gym.testing import EchoActor, FlakyActor, IdentityEnv, LuckyActor

DRAWS = {"0.0": 0.4, "0.5": 0.4, "0.75": 0.2}


@pytest.fixture
def make(graded):
    """A RetroEnv whose actor says its last reflection, and 0.25 without one."""

    def made(actor=None, **kwargs):
        return RetroEnv(graded(), actor=actor or EchoActor("0.25"), **kwargs)

    return made


# -- rewards -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [  # returns of the trials: 0.25, 0.75, 0.5, 1.0
        ({"reward": "return"}, [0.75, 0.5, 1.0]),
        ({"reward": "improvement"}, [0.5, -0.25, 0.5]),
        ({"reward": "retroact"}, [0.5 * 1.25, -0.25 * 1.75, 0.5 * 1.5]),
        ({"reward": "retroact", "retroact_c": 0.5}, [0.5 * 0.75 / 0.5, -0.25 * 1.25 / 0.5, 0.5 * 1.0 / 0.5]),
        ({"reward": "over_control"}, [0.5, -0.25, 0.5]),  # the controls repeat what the memory says
    ],
)
def test_rewards_of_an_episode(make, kwargs, expected):
    env = make(**kwargs)
    env.reset(seed=0)
    steps = [env.step(text) for text in ("0.75", "0.5", "1.0")]
    assert [step[1] for step in steps] == pytest.approx(expected, abs=1e-12)
    assert [step[4]["return"] for step in steps] == [0.75, 0.5, 1.0]
    assert [step[2] for step in steps] == [False, False, True]


def drawn(episode_seed, task_id, trial, replica):
    """What the lucky actor says in the first turn of a trial, from the seeds as they are documented."""
    seed = turn_seed(derive_seed(episode_seed, task_id, trial, replica), 0)
    return float(np.random.default_rng(seed).choice(list(DRAWS), p=list(DRAWS.values())))


@pytest.mark.parametrize("pairs", [1, 4, 7])
@pytest.mark.parametrize("reflection", ["", " \n", "this reflection has no effect"])
def test_over_control_pays_nothing_for_a_reflection_without_effect(make, pairs, reflection):
    env = make(LuckyActor(DRAWS), reward="over_control", control_trials=pairs)
    for seed in range(10):
        _, info = env.reset(seed=seed)
        for trial in (1, 2):
            _, reward, _, _, info = env.step(reflection)
            assert info["return"] == drawn(env._episode_seed, info["task_id"], trial, replica=0)
            assert reward == 0.0


class Leaning:
    """Succeeds with probability 0.3, and 0.5 with a reflection; the luck of a turn is its seed's."""

    def reply(self, prompts):
        draws = [np.random.default_rng(prompt.seed).random() for prompt in prompts]
        return [
            Reply("1.0" if draw < (0.5 if prompt.reflections else 0.3) else "0.0")
            for draw, prompt in zip(draws, prompts, strict=True)
        ]


@pytest.mark.parametrize("pairs", [1, 4])
def test_over_control_has_the_mean_of_the_effect_and_the_variance_of_pairs(make, pairs):
    env = make(Leaning(), reward="over_control", control_trials=pairs)
    paid = []
    for seed in range(600):
        env.reset(seed=seed)
        paid.append(env.branch(["try harder"])[0].reward)
    variance = 0.2 * 0.8 / pairs  # of the share of draws between 0.3 and 0.5
    assert np.mean(paid) == pytest.approx(0.2, abs=4 * np.sqrt(variance / 600))
    assert np.var(paid) == pytest.approx(variance, rel=0.25)
    assert np.var(paid) < 0.6 * (0.5 * 0.5 + 0.3 * 0.7) / pairs  # what luck of their own would give both halves


def test_independent_controls_to_the_number(make):
    """Trials have the replicas 0, 1, 2 of their state, their controls 3, 4, 5."""
    env = make(LuckyActor(DRAWS), reward="over_control", control_trials=3, controls="independent")
    _, info = env.reset(seed=5)
    for trial in (1, 2):
        draws = [drawn(env._episode_seed, info["task_id"], trial, replica) for replica in range(6)]
        first, second = env.branch(["a", "b"])
        assert first.reward == second.reward == pytest.approx((sum(draws[:3]) - sum(draws[3:])) / 3, abs=1e-12)
        assert env.step("a")[1] == first.reward


def test_a_reflection_without_effect_earns_nothing_on_average_over_independent_controls(make):
    env = make(LuckyActor(DRAWS), reward="over_control", control_trials=2, controls="independent")
    paid = []
    for seed in range(400):
        env.reset(seed=seed)
        paid.append(env.branch(["this reflection has no effect"])[0].reward)
    mean, square = (sum(chance * float(say) ** power for say, chance in DRAWS.items()) for power in (1, 2))
    variance = 2 * (square - mean**2) / 2  # of both halves, each a mean of two
    assert np.mean(paid) == pytest.approx(0.0, abs=4 * np.sqrt(variance / 400))
    assert np.var(paid) == pytest.approx(variance, rel=0.25)


def test_independent_controls_have_the_same_mean_and_more_variance(make):
    env = make(Leaning(), reward="over_control", control_trials=2, controls="independent")
    paid = []
    for seed in range(600):
        env.reset(seed=seed)
        paid.append(env.branch(["try harder"])[0].reward)
    variance = (0.5 * 0.5 + 0.3 * 0.7) / 2
    assert np.mean(paid) == pytest.approx(0.2, abs=4 * np.sqrt(variance / 600))
    assert np.var(paid) == pytest.approx(variance, rel=0.25)


def test_independent_controls_in_records_and_errors(make, tmp_path):
    path = tmp_path / "records.jsonl"
    lost = FlakyActor(LuckyActor(DRAWS), lambda prompt: prompt.seed % 4 == 0)
    env = make(lost, reward="over_control", control_trials=2, controls="independent", records=path)
    paid, seed = [], 0
    while len(paid) < 20:
        seed += 1
        try:
            env.reset(seed=seed)
        except ActorError:
            continue
        paid += [outcome.reward for outcome in env.branch(["a", "b"])]
    env.close()
    run = load_run(path)
    both = sorted([*run.reflections.values(), *run.lost.values()], key=lambda each: int(each.id.partition("-")[2]))
    assert [run.rate(each) for each in both] == paid
    assert run.lost
    for each in both:
        pairs = zip(run.after(each), run.controls(each), strict=True)
        assert all(control.replica == trial.replica + 2 for trial, control in pairs if control is not None)
    (header,) = run.headers.values()
    assert json.loads(header.env_kwargs)["controls"] == "independent"
    with pytest.raises(ConfigError, match=r"controls 'pairs' is not one of .* Did you mean 'paired'"):
        make(controls="pairs")


def test_controls_are_played_without_the_new_reflection(make):
    actor = EchoActor("0.25")
    env = make(actor, reward="over_control", control_trials=3, memory_window=1)
    env.reset(seed=0)
    env.step("0.5")
    actor.prompts.clear()
    env.step("0.75")
    assert sorted(prompt.reflections for prompt in actor.prompts) == [("0.5",)] * 3 + [("0.75",)] * 3
    with_it, without = (
        sorted(prompt.seed for prompt in actor.prompts if prompt.reflections == (text,)) for text in ("0.75", "0.5")
    )
    assert with_it == without
    assert len(set(without)) == 3


def test_controls_of_a_state_are_played_once(make):
    env = make(reward="over_control", control_trials=5)
    env.reset(seed=0)
    calls = []
    for call in (lambda: env.branch(["0.5", "0.75"]), lambda: env.branch(["0.1"]), lambda: env.step("0.1")):
        before = env.stats.calls
        call()
        calls.append(env.stats.calls - before)
    assert calls == [2 * 5 + 5, 5, 5]


@pytest.mark.parametrize("lost", ["control", "trial"])
def test_a_pair_of_which_one_half_is_lost_is_left_out(make, lost):
    flaky = FlakyActor(Leaning(), lambda prompt: False)
    env = make(flaky, reward="over_control")
    for seed in range(20):
        _, info = env.reset(seed=seed)
        seeds = [turn_seed(derive_seed(env._episode_seed, info["task_id"], 1, i), 0) for i in range(4)]
        flaky.fails = lambda prompt, bad=seeds[2]: prompt.seed == bad and bool(prompt.reflections) == (lost == "trial")
        _, reward, _, truncated, _ = env.step("x")
        draws = [np.random.default_rng(seeds[i]).random() for i in (0, 1, 3)]
        assert not truncated
        assert reward == pytest.approx(np.mean([0.3 <= draw < 0.5 for draw in draws]), abs=1e-12)


def test_when_the_first_trial_is_lost_the_episode_goes_on_with_the_next(make):
    flaky = FlakyActor(LuckyActor(DRAWS), lambda prompt: False)
    env = make(flaky, reward="over_control")
    _, info = env.reset(seed=0)
    first = turn_seed(derive_seed(env._episode_seed, info["task_id"], 1, 0), 0)
    flaky.fails = lambda prompt: prompt.seed == first
    _, reward, _, truncated, info = env.step("x")
    assert (reward, truncated) == (0.0, False)
    assert info["return"] == drawn(env._episode_seed, info["task_id"], 1, replica=1)


def test_without_any_control_there_is_no_reward_and_they_are_asked_for_again(make):
    flaky = FlakyActor(EchoActor("0.25"), lambda prompt: False)
    env = make(flaky, reward="over_control")
    env.reset(seed=0)
    flaky.fails = lambda prompt: not prompt.reflections
    (outcome,) = env.branch(["0.5"])
    assert outcome.reward is None
    assert outcome.actor_error == "the actor failed in the control, or in the trial, of every pair"
    flaky.fails = lambda prompt: False
    assert env.branch(["0.5"])[0].reward == 0.25
    flaky.fails = lambda prompt: bool(prompt.reflections)
    _, reward, terminated, truncated, info = env.step("0.5")
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["actor_error"] == "no connection (simulated)"


# -- going on with an outcome --------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", ["return", "over_control"])
def test_an_outcome_is_followed_without_playing(make, reward):
    env = make(LuckyActor(DRAWS), reward=reward)
    for seed in range(5):
        env.reset(seed=seed)
        for text in ("first", "second", "third"):
            twin = copy.deepcopy(env)
            observation, _, terminated, _, _ = twin.step(text)
            (outcome,) = env.branch([text])
            calls = env.stats.calls
            assert env.follow(outcome) == terminated
            assert env.stats.calls == calls
            assert (env._observation(), env.memory, env.trajectory) == (observation, twin.memory, twin.trajectory)
        with pytest.raises(EpisodeError, match="is over"):
            env.follow(outcome)


def test_only_a_paid_outcome_of_this_state_is_followed(make):
    flaky = FlakyActor(EchoActor("0.25"), lambda prompt: bool(prompt.reflections))
    env = make(flaky)
    env.reset(seed=0)
    (lost,) = env.branch(["0.5"])
    flaky.fails = lambda prompt: False
    (outcome,) = env.branch(["0.5"])
    env.step("0.75")
    for stranger in (lost, outcome):
        before = state(env)
        with pytest.raises(EpisodeError, match="must have a reward and follow trial 1"):
            env.follow(stranger)
        assert state(env) == before


# -- branch --------------------------------------------------------------------------------------------------------


def state(env):
    return env.trajectory, env.memory, env._observation(), copy.deepcopy(env.np_random.bit_generator.state)


@pytest.mark.parametrize("reward", ["return", "improvement", "retroact", "over_control"])
def test_branch_pays_what_step_pays_and_leaves_the_state(make, reward):
    env = make(LuckyActor(DRAWS), reward=reward)
    for seed in range(5):
        env.reset(seed=seed)
        env.step("0.1")
        before = state(env)
        outcomes = env.branch(["0.5", "", "x" * 5_000, "1.0"])
        assert state(env) == before
        for outcome in outcomes:
            twin = copy.deepcopy(env)
            _, paid, *_ = twin.step(outcome.reflection)
            assert outcome.reward == paid
            assert outcome.trajectory == twin.trajectory
        assert state(env) == before


def test_branches_differ_by_their_reflections_alone(make):
    actor = EchoActor("0.25")
    env = make(actor)
    env.reset(seed=0)
    actor.prompts.clear()
    outcomes = env.branch(["0.5", "0.75", "0.5", "1.0"])
    assert [outcome.reward for outcome in outcomes] == [0.5, 0.75, 0.5, 1.0]
    assert [outcome.success for outcome in outcomes] == [False, False, False, True]
    assert len({prompt.seed for prompt in actor.prompts}) == 1
    assert outcomes[0] == outcomes[2]


def test_branch_cuts_as_step_does(make):
    env = make(max_reflection_chars=3)
    env.reset(seed=0)
    (outcome,) = env.branch(["0.55555"])
    assert (outcome.reflection, outcome.reward) == ("0.5", 0.5)


def test_branch_of_nothing(make):
    env = make()
    env.reset(seed=0)
    assert env.branch([]) == []


def test_a_branch_on_which_the_actor_fails_has_no_reward(make):
    env = make(FlakyActor(EchoActor("0.25"), lambda prompt: "bad" in prompt.reflections))
    env.reset(seed=0)
    good, bad = env.branch(["0.5", "bad"])
    assert (good.reward, good.actor_error) == (0.5, None)
    assert (bad.reward, bad.actor_error) == (None, "no connection (simulated)")
    assert env.step("0.75")[1] == 0.75  # the episode goes on


@pytest.mark.parametrize(("reflections", "said"), [(["x", 3], "int"), ("text", "several"), ([None], "NoneType")])
def test_branch_takes_texts_only(make, reflections, said):
    env = make()
    env.reset(seed=0)
    with pytest.raises(ActionError, match=said):
        env.branch(reflections)


def test_branch_after_the_end(make):
    env = make(max_reflections=1)
    env.reset(seed=0)
    env.step("0.5")
    with pytest.raises(EpisodeError, match="is over"):
        env.branch(["0.5"])


# -- the bank ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bank(tmp_path):
    path = tmp_path / "failures.jsonl"
    env = RetroEnv(IdentityEnv(), records=path)
    for task_id in ("train-0-red", "train-1-green", "test-2-blue"):
        env.reset(options={"task_id": task_id})
    env.close()
    return path


def test_stored_failures_stand_in_for_trial_0(bank):
    env = RetroEnv(IdentityEnv(), bank=bank)
    infos = [env.reset(seed=seed)[1] for seed in range(10)]
    assert {info["task_id"] for info in infos} == {"train-0-red", "train-1-green"}
    assert env.stats.calls == 0
    assert env.step(infos[-1]["task_id"].rpartition("-")[2])[1] == 1.0
    assert env.stats.calls == 1


def test_a_bank_may_be_shared_and_asked_for_a_task(bank):
    shared = FailureBank(bank)
    env = RetroEnv(IdentityEnv(), bank=shared, split="test")
    assert env.bank is shared
    assert env.reset(seed=0)[1]["task_id"] == "test-2-blue"
    with pytest.raises(UnknownTaskError, match="no failure of task 'train-2-blue'"):
        env.reset(options={"task_id": "train-2-blue"})


def test_a_bank_without_a_failure_of_the_split(bank):
    with pytest.raises(NoFailureError, match="'validation'"):
        RetroEnv(IdentityEnv(), bank=bank, split="validation").reset(seed=0)


def test_a_dead_actor_is_noticed_although_a_bank_stands_in_for_its_failures(make, tmp_path):
    path = tmp_path / "records.jsonl"
    first = make(records=path)
    for seed in range(3):
        first.reset(seed=seed)
    first.close()
    flaky = FlakyActor(EchoActor("0.25"), lambda prompt: True)
    env = make(flaky, bank=path)
    for _ in range(9):
        env.reset()
        assert env.step("0.5")[3]
    flaky.fails = lambda prompt: False
    env.reset()
    assert not env.step("0.5")[3]  # one that is answered begins the count anew
    flaky.fails = lambda prompt: True
    for _ in range(10):
        env.reset()
        assert env.step("0.5")[3]
    with pytest.raises(ActorError, match=r"failed in 10 episodes in a row; the last time: no connection"):
        env.reset()
    env.reset()
