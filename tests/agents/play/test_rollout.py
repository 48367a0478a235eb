import dataclasses
from dataclasses import replace

import pytest
import torch

from retro_gym import RecordWriter, read_records
from retro_gym.errors import ActorError, BudgetError, ConfigError
from retro_gym.testing import FlakyActor, IdentityActor, IdentityEnv
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_envs
from retro_gym_agents.play.roller import roll_out
from retro_gym_agents.play.rollout import Rollout, Round, with_later_rewards
from retro_gym_agents.play.validation import Validation

ENV = "RetroIdentity-v0"


@pytest.fixture(scope="module")
def reflector(small_model):
    return Reflector.load(small_model)


def envs(num=4, actor="scripted", records=None, **kwargs):
    return make_envs(ENV, {"max_reflections": 1, **kwargs}, actor=actor, num=num, records=records)


def essence(rollout):
    return [(one.samples.texts, one.rewards_N.tolist(), one.valid_N.tolist()) for one in rollout.rounds]


def test_every_reflection_is_paid_by_the_trial_that_follows_it(reflector):
    these = envs()
    rollout = roll_out(these, reflector, seed=0, update=1, num_samples=3)
    (one,) = rollout.rounds
    words = [env.trajectory.task_id.rpartition("-")[2] for env in these]
    expected = [float(text.split()[:1] == [words[row // 3]]) for row, text in enumerate(one.samples.texts)]
    assert one.rewards_N.tolist() == expected
    assert one.success_N.tolist() == [bool(reward) for reward in expected]
    assert 0 < sum(expected) < 12
    assert one.valid_N.all()
    metrics = rollout.metrics()
    assert metrics["reward"] == metrics["success"] == pytest.approx(sum(expected) / 12)
    assert metrics["entropy"] == pytest.approx(-float(one.samples.logprobs_NT.sum()) / rollout.num_tokens)


def test_seed_and_update_decide_everything(reflector):
    used, fresh = envs(), envs()
    first = essence(roll_out(used, reflector, seed=5, update=1, num_samples=3))
    second = essence(roll_out(used, reflector, seed=5, update=2, num_samples=3))
    assert first != second
    assert second == essence(roll_out(fresh, reflector, seed=5, update=2, num_samples=3))
    assert first != essence(roll_out(fresh, reflector, seed=6, update=1, num_samples=3))


def test_episodes_go_on_with_the_first_reflection_of_each_failure(reflector, tmp_path):
    records = RecordWriter(tmp_path / "records.jsonl")
    these = envs(num=6, max_reflections=3, records=records)
    rollout = roll_out(these, reflector, seed=1, update=1, num_samples=2)
    records.close()
    sizes = [one.samples.num_prompts for one in rollout.rounds]
    assert sizes[0] == 6
    assert len(sizes) == 3
    for size, following, one in zip(sizes, sizes[1:], rollout.rounds, strict=False):
        assert following == size - int(one.success_N[::2].sum()), "solved episodes are over"
    trials = [row["source"] for row in read_records(tmp_path / "records.jsonl", "trial")]
    assert trials.count("branch") == len(trials) - 6 == 2 * sum(sizes), "no trial is played that was not paid for"


class Moody(IdentityActor):
    """Follows its notes the first time that it is asked, and then no more."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def reply(self, prompts):
        replies = []
        for prompt in prompts:
            again = prompt.text in self.asked
            self.asked.add(prompt.text)
            replies += super().reply([dataclasses.replace(prompt, reflections=()) if again else prompt])
        return replies


def test_what_was_paid_for_is_what_the_episode_goes_on_with(reflector):
    """Also where a server contradicts itself when it is asked again."""
    these = envs(actor=Moody(), num=8, max_reflections=3)
    rollout = roll_out(these, reflector, seed=1, update=1, num_samples=1)
    for one, following in zip(rollout.rounds, rollout.rounds[1:], strict=False):
        assert following.samples.num_prompts == int((~one.success_N).sum())
    assert rollout.rounds[0].success_N.any()


def test_an_episode_goes_on_with_the_first_reflection_that_was_paid(reflector):
    def fails(prompt):
        return prompt.reflections[-1:] == (first,)

    plain = roll_out(envs(num=1, max_reflections=2), reflector, seed=4, update=1, num_samples=4)
    texts = plain.rounds[0].samples.texts
    first = texts[0]
    second = next(text for text in texts if text != first)
    (env,) = envs(num=1, max_reflections=2, actor=FlakyActor(IdentityActor(), fails))
    roll_out([env], reflector, seed=4, update=1, num_samples=4)
    assert env.memory.reflections[0] == second


def test_what_an_episode_draws_does_not_depend_on_how_many_there_are(reflector):
    few, many = (
        roll_out(envs(num=num, max_reflections=2), reflector, seed=3, update=1, num_samples=k)
        for num, k in ((3, 2), (9, 4))
    )
    texts = [many.rounds[0].samples.texts[4 * i : 4 * i + 2] for i in range(3)]
    assert few.rounds[0].samples.texts == tuple(text for group in texts for text in group)
    here, there = few.rounds[1].samples, many.rounds[1].samples
    assert list(here.texts) == [text for i in range(here.num_prompts) for text in there.texts[4 * i : 4 * i + 2]]


def test_all_failures_of_a_round_are_answered_in_one_batch(reflector, monkeypatch):
    sizes = []
    sample = reflector.sample
    monkeypatch.setattr(
        reflector, "sample", lambda texts, **kwargs: (sizes.append(len(texts)), sample(texts, **kwargs))[1]
    )
    rollout = roll_out(envs(num=5, max_reflections=2), reflector, seed=2, update=1, num_samples=2)
    assert sizes == [one.samples.num_prompts for one in rollout.rounds]


def test_an_actor_that_fails_is_never_a_reward(reflector):
    actor = FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections) and prompt.reflections[-1] == "blue")
    rollout = roll_out(envs(actor=actor, num=8), reflector, seed=3, update=1, num_samples=4)
    (one,) = rollout.rounds
    failed = torch.tensor([text.split()[:1] == ["blue"] for text in one.samples.texts])
    assert failed.any()
    assert torch.equal(one.valid_N, ~failed)
    metrics = rollout.metrics()
    assert metrics["actor_errors"] == float(failed.sum())
    assert metrics["reward"] == pytest.approx(float(one.rewards_N[~failed].mean()))


def test_an_episode_ends_when_its_actor_fails(reflector):
    actor = FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections))
    rollout = roll_out(envs(actor=actor, max_reflections=3), reflector, seed=3, update=1, num_samples=2)
    assert len(rollout.rounds) == 1
    assert not rollout.valid_N.any()
    assert rollout.metrics()["reward"] == 0.0


def a_round(rewards, valid=None):
    valid_N = torch.tensor(valid or [True] * len(rewards))
    return Round(None, torch.tensor(rewards).where(valid_N, 0.0), valid_N, None)


def credited(rounds, episodes, gamma):
    return [one.rewards_N.tolist() for one in with_later_rewards(rounds, episodes, gamma)]


def test_with_one_reflection_each_later_rewards_are_the_discounted_return():
    rounds = [a_round([1.0, 2.0, 4.0]), a_round([8.0, 16.0]), a_round([32.0])]
    found = credited(rounds, [(0, 1, 2), (0, 2), (2,)], 0.5)
    assert found == [[1.0 + 4.0, 2.0, 4.0 + 0.5 * 16.0 + 0.25 * 32.0], [8.0, 16.0 + 16.0], [32.0]]
    assert [one.rewards_N.tolist() for one in rounds] == [[1.0, 2.0, 4.0], [8.0, 16.0], [32.0]], "nothing is changed"
    assert credited(rounds, [(0, 1, 2), (0, 2), (2,)], 1.0)[0] == [9.0, 2.0, 52.0]


def test_the_future_is_that_of_the_reflection_that_the_episode_went_on_with():
    first = a_round([1.0, 2.0, 3.0, 5.0, 6.0, 7.0], [True, True, True, False, True, True])
    second = a_round([8.0, 9.0, 10.0])
    found = with_later_rewards([first, second], [(3, 4), (4,)], 0.5)
    assert found[0].rewards_N.tolist() == [1.0, 2.0, 3.0, 0.0, 6.0 + 2 * 0.5 * 8.0, 7.0]
    assert torch.equal(found[0].valid_N, first.valid_N)
    assert found[1].rewards_N.tolist() == [8.0, 9.0, 10.0]


def test_every_reflection_is_paid_its_own_discounted_return_on_average():
    rewards, nexts = [1.0, 2.0, 4.0], [16.0, 32.0, 64.0]
    totals = [0.0] * 3
    for lead in range(3):  # each is as likely to come first as any other
        order = [lead, *(k for k in range(3) if k != lead)]
        (paid, _) = credited([a_round([rewards[k] for k in order]), a_round([nexts[lead]] * 3)], [(0,), (0,)], 0.25)
        for k, reward in zip(order, paid, strict=True):
            totals[k] += reward / 3
    assert totals == pytest.approx([1.0 + 4.0, 2.0 + 8.0, 4.0 + 16.0])


def test_a_future_that_an_actor_error_hides_is_not_zero():
    rounds = [a_round([1.0, 2.0]), a_round([3.0, 4.0]), a_round([5.0, 6.0], [False, False])]
    found = with_later_rewards(rounds, [(0,), (0,), (0,)], 0.5)
    assert [one.valid_N.tolist() for one in found] == [[False, True], [False, True], [False, False]]
    assert [one.rewards_N.tolist() for one in found] == [[0.0, 2.0], [0.0, 4.0], [0.0, 0.0]]


def test_a_rollout_credits_the_path_of_each_episode(reflector):
    plain, later = (
        roll_out(envs(num=24, max_reflections=3), reflector, seed=1, update=1, num_samples=1, trial_discount=gamma)
        for gamma in (0.0, 0.5)
    )
    assert [one.samples.texts for one in plain.rounds] == [one.samples.texts for one in later.rounds]
    goes_on = ~plain.rounds[0].success_N
    assert 0 < goes_on.sum() < 24
    expected = plain.rounds[0].rewards_N.clone()
    expected[goes_on] += 0.5 * later.rounds[1].rewards_N
    assert torch.equal(later.rounds[0].rewards_N, expected)
    assert torch.equal(later.rounds[-1].rewards_N, plain.rounds[-1].rewards_N)
    assert float(later.rewards_N.sum()) > float(plain.rewards_N.sum())


def test_shuffling_moves_valid_rewards_only(reflector):
    rollout = roll_out(envs(num=8, max_reflections=2), reflector, seed=4, update=1, num_samples=4)
    marked = Rollout(
        tuple(
            replace(
                one,
                rewards_N=torch.arange(len(one.rewards_N)) + 100.0 * number,
                valid_N=torch.arange(len(one.rewards_N)) % 5 != 0,
            )
            for number, one in enumerate(rollout.rounds)
        )
    )
    shuffled = marked.with_shuffled_rewards(seed=1)
    valid = marked.valid_N
    assert torch.equal(shuffled.rewards_N[~valid], marked.rewards_N[~valid])
    assert not torch.equal(shuffled.rewards_N[valid], marked.rewards_N[valid])
    assert sorted(shuffled.rewards_N[valid].tolist()) == sorted(marked.rewards_N[valid].tolist())
    assert (shuffled.rounds[0].rewards_N >= 100).any(), "rewards move between rounds as well"
    assert torch.equal(shuffled.rewards_N, marked.with_shuffled_rewards(seed=1).rewards_N)
    assert not torch.equal(shuffled.rewards_N, marked.with_shuffled_rewards(seed=2).rewards_N)


def test_environments_side_by_side_share_actor_and_records(tmp_path):
    records = RecordWriter(tmp_path / "records.jsonl")
    actor = IdentityActor()
    these = envs(actor=actor, records=records)
    assert {id(env.actor) for env in these} == {id(actor)}
    assert {id(env.records) for env in these} == {id(records)}
    assert len({id(env.task_env) for env in these}) == 4


@pytest.mark.parametrize("name", ["actor", "records"])
def test_what_has_a_field_of_its_own_stays_out_of_env_kwargs(name):
    with pytest.raises(ConfigError, match=f"env_kwargs holds '{name}'"):
        make_envs(ENV, {name: "scripted"}, actor="scripted", num=1, records=None)


class Says:
    """A reflector that writes the same every time."""

    def __init__(self, text):
        self.text = text

    def reflect(self, observations, *, greedy, seed):
        return [self.text] * len(observations)


def test_validation_is_success_after_one_reflection():
    validation = Validation(ENV, {"max_reflections": 2}, actor="scripted", num_tasks=8, seed=0)
    assert validation.success(Says("blue")) == 0.25  # type: ignore[arg-type]
    assert validation.success(Says("")) == 0.0  # type: ignore[arg-type]
    assert validation.success(Says("blue")) == 0.25  # type: ignore[arg-type]


def test_a_validation_task_gets_the_same_reflection_however_many_there_are(reflector, monkeypatch):
    seen = {}
    reflect = reflector.reflect

    def noted(observations, **kwargs):
        texts = reflect(observations, **kwargs)
        seen[len(texts)] = texts
        return texts

    monkeypatch.setattr(reflector, "reflect", noted)
    for num_tasks in (5, 16):
        Validation(ENV, {}, actor="scripted", num_tasks=num_tasks, seed=0).success(reflector)
    assert seen[16][:5] == seen[5]
    assert len(set(seen[16])) > 1


class Spent(IdentityActor):
    """Its budget is spent."""

    def reply(self, prompts):
        return [BudgetError("spent") for _ in prompts]


def test_validation_closes_its_environments(monkeypatch):
    closed = []
    monkeypatch.setattr(IdentityEnv, "close", lambda self: closed.append(self))
    validation = Validation(ENV, {}, actor="scripted", num_tasks=4, seed=0)
    assert not closed
    validation.close()
    assert len({id(env) for env in closed}) == 5
    closed.clear()
    with pytest.raises(BudgetError):
        Validation(ENV, {}, actor=Spent(), num_tasks=4, seed=0)
    assert closed


def test_validation_leaves_out_tasks_on_which_the_actor_fails():
    reflected = FlakyActor(IdentityActor(), lambda prompt: bool(prompt.reflections) and "red" in prompt.task)
    validation = Validation(ENV, {}, actor=reflected, num_tasks=8, seed=0)
    assert validation.success(Says("blue")) == pytest.approx(1 / 3)  # type: ignore[arg-type]
    never = FlakyActor(IdentityActor(), lambda prompt: True)
    with pytest.raises(ActorError, match="all 8 validation tasks"):
        Validation(ENV, {}, actor=never, num_tasks=8, seed=0).success(Says("blue"))  # type: ignore[arg-type]
