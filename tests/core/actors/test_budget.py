import copy
import os
import pickle
import threading

import pytest

from retro_gym.actors import Budget, BudgetedActor, Reply, Spent
from retro_gym.errors import ActorError, BudgetError, ConfigError
from retro_gym.prompts import Prompt
from retro_gym.testing import EchoActor

PROMPTS = [Prompt("Answer.", (), (), f"Question {i}", (), seed=i) for i in range(5)]


def spend(budget, calls, prompt_tokens=0, completion_tokens=0):
    for _ in range(calls):
        budget.reserve()
        budget.settle(prompt_tokens, completion_tokens)


def test_without_limits_it_only_counts():
    budget = Budget()
    spend(budget, 3, 10, 2)
    assert budget.spent == Spent(3, 30, 6, 0.0)
    assert budget.spent.tokens == 36


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        ({"calls": 3}, 3),
        ({"calls": 0}, 0),
        ({"tokens": 30}, 3),
        ({"tokens": 31}, 4),
        ({"money": 0.00003, "price_per_million": (0.5, 2.5)}, 3),
        ({"calls": 5, "tokens": 20}, 2),
    ],
)
def test_it_stops_at_the_first_limit(limits, allowed):
    budget = Budget(**limits)
    for _ in range(allowed):
        spend(budget, 1, 6, 4)
    with pytest.raises(BudgetError, match="is spent"):
        budget.reserve()
    assert budget.spent.calls == allowed


def test_the_message_says_what_was_spent_and_how_to_go_on():
    budget = Budget(tokens=1_000)
    spend(budget, 1, 900, 200)
    with pytest.raises(BudgetError, match=r"budget of tokens is spent: 1,100 of 1,000 \(1 calls.*Raise the limit"):
        budget.reserve()


def test_calls_under_way_count():
    budget = Budget(calls=2)
    budget.reserve()
    budget.reserve()
    with pytest.raises(BudgetError, match="2 of them in flight"):
        budget.reserve()


def test_calls_under_way_are_taken_for_the_mean_of_those_done():
    budget = Budget(tokens=100)
    spend(budget, 2, 10)
    for _ in range(8):
        budget.reserve()
    with pytest.raises(BudgetError, match="20 of 100"):
        budget.reserve()


def test_a_call_that_reached_nobody_is_given_back():
    budget = Budget(calls=1)
    budget.reserve()
    budget.release()
    spend(budget, 1)
    assert budget.spent.calls == 1


def test_many_threads_never_go_beyond_the_limit():
    budget, refused = Budget(calls=500), []

    def work():
        for _ in range(100):
            try:
                spend(budget, 1, 1)
            except BudgetError:
                refused.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (budget.spent, len(refused)) == (Spent(500, 500, 0, 0.0), 300)


def test_a_run_goes_on_where_another_one_ended():
    budget = Budget(calls=5, spent=Spent(calls=4, prompt_tokens=100))
    spend(budget, 1, 1)
    with pytest.raises(BudgetError):
        budget.reserve()


def test_copies_in_one_process_are_the_same_budget():
    budget = Budget(calls=1)
    assert copy.deepcopy({"actor": budget})["actor"] is budget
    assert copy.copy(budget) is budget


def test_a_pickled_one_goes_on_from_what_was_spent():
    budget = Budget(calls=3, money=1.0, price_per_million=(1.0, 1.0))
    spend(budget, 2, 5)
    other = pickle.loads(pickle.dumps(budget))
    assert (repr(other), other.spent) == (repr(budget), budget.spent)
    spend(other, 1)
    assert (other.spent.calls, budget.spent.calls) == (3, 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_wait_for_a_lock_of_its_parent():
    budget = Budget(calls=2)
    with budget._lock:
        pid = os.fork()
        if pid == 0:
            try:
                spend(budget, 1)
            finally:
                os._exit(budget.spent.calls)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"calls": -1}, "calls is -1"),
        ({"tokens": "many"}, "tokens is 'many'"),
        ({"tokens": float("nan")}, "tokens is nan"),
        ({"calls": True}, "calls is True"),
        ({"money": 1.0}, "price_per_million"),
        ({"price_per_million": (1.0,)}, "two prices"),
        ({"price_per_million": (1.0, -1.0)}, "two prices"),
    ],
)
def test_bad_limits(arguments, said):
    with pytest.raises(ConfigError, match=said):
        Budget(**arguments)


def test_any_actor_within_a_budget():
    actor = BudgetedActor(EchoActor("x"), Budget(calls=3))
    replies = actor.reply(PROMPTS)
    assert [type(reply) for reply in replies] == [Reply] * 3 + [BudgetError] * 2
    assert actor.budget.spent.prompt_tokens == sum(len(prompt.text) for prompt in PROMPTS[:3])
    assert [type(reply) for reply in actor.reply(PROMPTS[:1])] == [BudgetError]
    assert len(actor.actor.prompts) == 3


def test_failed_calls_count_too():
    class Down:
        def reply(self, prompts):
            return [ActorError("down")] * len(prompts)

    actor = BudgetedActor(Down(), Budget())
    actor.reply(PROMPTS)
    assert actor.budget.spent == Spent(calls=5)
