import time

import gymnasium as gym
import pytest

from retro_gym.actors import CallableActor, Reply
from retro_gym.env import RetroEnv
from retro_gym.errors import ActorError, BudgetError, PromptTooLongError, TaskEnvError
from retro_gym.prompts import TaskPrompt
from retro_gym.scheduling import ActorStats, Job, run_jobs, run_trials
from retro_gym.seeding import derive_seed, turn_seed
from retro_gym.spaces import UnicodeText
from retro_gym.task_env import TaskEnv
from retro_gym.testing import EchoActor, FlakyActor, ScriptedActor
from retro_gym.trajectory import EndReason
from retro_gym.trial import NO_ACTION, play_trial
from retro_gym.vector import run_plans


class Counter(TaskEnv):
    """Counts actions up to the number in its task id; pays 0.5 each; "give up" ends it, "stop" truncates it."""

    prompt = TaskPrompt("Count.", ("1, 2, 3",))
    max_turns = 4
    observation_space = action_space = UnicodeText(100)

    def task_ids(self, split):
        return ["2", "3", "9"]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.seed_seen = seed
        self.goal = int(options["task_id"])
        self.count = 0
        return f"Count to {self.goal}.", {"success": False}

    def step(self, action):
        self.count += 1
        success = self.count >= self.goal
        return str(self.count), 0.5, success or action == "give up", action == "stop", {"success": success}


class Batches:
    """Replies "go"; notes the batches it was asked for."""

    def __init__(self):
        self.batches = []

    def reply(self, prompts):
        self.batches.append(prompts)
        return [Reply("go", prompt_tokens=10, completion_tokens=2) for _ in prompts]


def play(task_id, actor, **kwargs):
    (trajectory,) = run_trials([play_trial(Counter(), task_id, trial=0, seed=5, **kwargs)], actor, ActorStats())
    return trajectory


def test_a_solved_trial():
    trajectory = play("2", ScriptedActor(["Thought 1: first\nAction 1: go", "go"]))
    assert trajectory.end is EndReason.SOLVED
    assert trajectory.success
    assert trajectory.return_ == 1.0
    assert trajectory.task == "Count to 2."
    assert [(turn.thought, turn.action, turn.observation, turn.reward) for turn in trajectory.turns] == [
        ("first", "go", "1", 0.5),
        ("", "go", "2", 0.5),
    ]


@pytest.mark.parametrize(
    ("replies", "end", "turns"),
    [
        (["go"], EndReason.OUT_OF_TURNS, 4),
        (["go", "give up"], EndReason.FAILED, 2),
        (["go", "stop"], EndReason.OUT_OF_TURNS, 2),
    ],
)
def test_how_a_trial_fails(replies, end, turns):
    trajectory = play("9", ScriptedActor(replies))
    assert (trajectory.end, len(trajectory.turns), trajectory.success) == (end, turns, False)
    assert trajectory.return_ == 0.5 * turns


def test_an_actor_error_ends_the_trial_and_is_kept():
    trajectory = play("9", FlakyActor(ScriptedActor(["go"]), lambda prompt: len(prompt.turns) == 2))
    assert trajectory.end is EndReason.ACTOR_ERROR
    assert trajectory.error == "no connection (simulated)"
    assert len(trajectory.turns) == 2
    assert not trajectory.success


def test_the_prompt_holds_what_the_environment_says_and_the_seeds_of_each_turn():
    actor = EchoActor("go")
    play("2", actor, reflections=["slowly", "now"], template="T {history}")
    first, second = actor.prompts
    assert first.instruction == "Count."
    assert first.examples == ("1, 2, 3",)
    assert first.reflections == second.reflections == ("slowly", "now")
    assert (first.task, first.turns) == ("Count to 2.", ())
    assert second.text == "T Count to 2.\nAction 1: now\nObservation 1: 1"
    assert [prompt.seed for prompt in actor.prompts] == [turn_seed(5, 0), turn_seed(5, 1)]


def test_the_environment_is_seeded_by_the_trial():
    env = Counter()
    run_trials([play_trial(env, "2", trial=0, seed=5)], ScriptedActor(["go"]), ActorStats())
    assert env.seed_seen == derive_seed(5, "env")


def test_one_call_of_the_actor_for_each_round_of_turns():
    actor, stats = Batches(), ActorStats()
    goals = ["3", "2", "9", "2"]
    trials = [play_trial(Counter(), goal, trial=1, seed=i) for i, goal in enumerate(goals)]
    trajectories = run_trials(trials, actor, stats)
    assert [len(batch) for batch in actor.batches] == [4, 4, 2, 1]
    assert {prompt.task for prompt in actor.batches[2]} == {"Count to 3.", "Count to 9."}
    assert [trajectory.task_id for trajectory in trajectories] == goals
    assert [len(trajectory.turns) for trajectory in trajectories] == [3, 2, 4, 2]
    assert (stats.trials, stats.calls, stats.errors) == (4, 11, 0)
    assert (stats.prompt_tokens, stats.completion_tokens) == (110, 22)
    assert stats.seconds > 0
    assert (trajectories[0].prompt_tokens, trajectories[0].completion_tokens) == (30, 6)


def test_an_error_touches_its_own_trial_only():
    stats = ActorStats()
    trials = [play_trial(Counter(), "3", trial=0, seed=1000 * seed) for seed in range(3)]
    flaky = FlakyActor(Batches(), lambda prompt: prompt.seed == 1001)
    trajectories = run_trials(trials, flaky, stats)
    assert [trajectory.end.name for trajectory in trajectories] == ["SOLVED", "ACTOR_ERROR", "SOLVED"]
    assert (stats.calls, stats.errors) == (3 + 3 + 2, 1)


def test_a_raised_actor_error_ends_every_trial_of_the_batch():
    def down(prompts):
        raise ActorError("down")

    trials = [play_trial(Counter(), "3", trial=0, seed=seed) for seed in range(3)]
    stats = ActorStats()
    assert {t.error for t in run_trials(trials, CallableActor(down), stats)} == {"down"}
    assert stats.errors == 3


def test_no_trials_no_call():
    actor = Batches()
    assert run_trials([], actor, ActorStats()) == []
    assert actor.batches == []


def test_an_error_of_the_environment_passes_through():
    class Broken(Counter):
        def step(self, action):
            raise gym.error.ResetNeeded("broken")

    with pytest.raises(gym.error.ResetNeeded):
        run_trials([play_trial(Broken(), "3", trial=0, seed=0)], ScriptedActor(["go"]), ActorStats())


def test_a_trial_whose_environment_has_lost_its_server_is_void():
    class Remote(Counter):
        def reset(self, *, seed=None, options=None):
            if options["task_id"] == "9":
                raise TaskEnvError("no such host")
            return super().reset(seed=seed, options=options)

        def step(self, action):
            if self.count == 1:
                raise TaskEnvError("connection lost")
            return super().step(action)

    trials = [play_trial(Remote(), task_id, trial=0, seed=0) for task_id in ("9", "3")]
    never, later = run_trials(trials, ScriptedActor(["go"]), ActorStats())
    assert (never.end, never.error, never.turns) == (EndReason.ACTOR_ERROR, "no such host", ())
    assert (later.end, later.error, len(later.turns)) == (EndReason.ACTOR_ERROR, "connection lost", 1)


def test_an_action_again_and_again_ends_the_trial_where_that_is_asked_for():
    trajectory = play("9", ScriptedActor(["go", "go", "go"]), repeat_limit=2)
    assert (trajectory.end, len(trajectory.turns)) == (EndReason.REPEATED_ACTION, 2)
    assert play("9", ScriptedActor(["go", "stay", "go", "stay"]), repeat_limit=2).end is EndReason.OUT_OF_TURNS


def test_a_reply_without_an_action_costs_a_turn_and_is_told_so():
    trajectory = play("2", ScriptedActor(["Thought 1: Hm.\nAction 1:", "", "go", "go"]))
    assert trajectory.end is EndReason.SOLVED
    assert [turn.action for turn in trajectory.turns] == ["", "", "go", "go"]
    assert trajectory.turns[0].thought == "Hm."
    assert trajectory.turns[0].observation == NO_ACTION.format(number=2)
    assert [turn.reward for turn in trajectory.turns] == [0.0, 0.0, 0.5, 0.5]


def test_reasoning_is_kept_and_shown_to_nobody():
    class Thinker(EchoActor):
        def reply(self, prompts):
            self.prompts.extend(prompts)
            return [Reply("go", reasoning="secret thoughts") for _ in prompts]

    actor = Thinker()
    trajectory = play("2", actor)
    assert [turn.reasoning for turn in trajectory.turns] == ["secret thoughts"] * 2
    assert "secret" not in trajectory.render() + actor.prompts[-1].text


@pytest.mark.parametrize(
    ("error", "end", "void"),
    [
        (ActorError("down"), EndReason.ACTOR_ERROR, True),
        (BudgetError("spent"), EndReason.BUDGET, True),
        (PromptTooLongError("9,000 tokens"), EndReason.PROMPT_TOO_LONG, False),
    ],
)
def test_what_each_error_of_an_actor_ends_a_trial_as(error, end, void):
    trajectory = play("9", CallableActor(lambda prompts: [Reply("go") if not p.turns else error for p in prompts]))
    assert (trajectory.end, trajectory.end.void, trajectory.error) == (end, void, str(error))
    assert trajectory.return_ == 0.5


def test_a_trial_that_takes_too_long_is_given_up():
    def slow(prompts):
        time.sleep(0.02)
        return ["go"] * len(prompts)

    trajectory = play("9", CallableActor(slow), time_limit=0.01)
    assert trajectory.end is EndReason.ACTOR_ERROR
    assert "0.01 s" in trajectory.error


def test_trials_of_several_actors_side_by_side():
    """As in a mix of environments, each with a scripted actor of its own."""

    def plan(actor):
        return Job(_one(play_trial(Counter(), "2", trial=0, seed=1)), actor, ActorStats())

    def _one(trial):
        (trajectory,) = yield [trial]
        return trajectory

    first, second = run_jobs([plan(ScriptedActor(["a"])), plan(ScriptedActor(["b"]))])
    assert [turn.action for turn in first.turns] == ["a", "a"]
    assert [turn.action for turn in second.turns] == ["b", "b"]


class _Held(Counter):
    """Counts the games that are in progress at once."""

    max_parallel = 3
    now = most = 0

    def reset(self, **kwargs):
        _Held.now += 1
        _Held.most = max(_Held.most, _Held.now)
        return super().reset(**kwargs)

    def step(self, action):
        answer = super().step(action)
        _Held.now -= answer[2]
        return answer


@pytest.mark.parametrize("blocking", [True, False])
def test_no_more_episodes_are_in_progress_than_a_task_environment_allows(blocking):
    envs = [RetroEnv(_Held(), actor=ScriptedActor(["go"])) for _ in range(10)]
    _Held.now = _Held.most = 0
    for env in envs:
        env.task_env.blocking = blocking
    plans = [env.plan_reset(seed=1, options={"task_id": "2"}) for env in envs]
    assert len(run_plans(envs, plans)) == 10
    assert (_Held.now, _Held.most) == (0, 3)


def test_a_plan_may_ask_for_trials_several_times_or_never():
    def plan(rounds):
        turns = []
        for number in range(rounds):
            played = yield [play_trial(Counter(), "2", trial=number, seed=number)] * (number > 0)
            turns.append([len(trajectory.turns) for trajectory in played])
        return turns

    stats = [ActorStats() for _ in range(3)]
    jobs = [Job(plan(rounds), ScriptedActor(["go"]), each) for rounds, each in zip((0, 1, 3), stats, strict=True)]
    assert run_jobs(jobs) == [[], [[]], [[], [2], [2]]]
    assert [each.calls for each in stats] == [0, 0, 4]
