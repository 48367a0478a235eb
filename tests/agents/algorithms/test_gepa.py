"""GEPA evolves an instruction: from the feedback, within its budget, the same for the same seed."""

import json
import re
import sys

import pytest

from retro_gym.errors import ActorError, BudgetError, ConfigError, MissingExtraError
from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym_agents.algorithms.gepa import GEPAConfig, evolve_instruction
from retro_gym_agents.evaluation.evaluate import evaluate
from retro_gym_agents.play.policies import PromptedPolicy

ENV = "RetroIdentity-v0"
START = "Advise the player."
NEEDED = "Wrong"  # the word that a task environment says in a failed trial, and that the instruction must hold


def reflector(prompts):
    """A model whose reflections help only if its instruction holds a certain word."""
    shown = [re.search(r"The word is (\w+)", prompt.text)[1] for prompt in prompts]
    return [word if NEEDED in prompt.instruction else "Try again." for prompt, word in zip(prompts, shown, strict=True)]


class Proposer:
    """Adds a word of its prompt to the instruction: one that was observed, according to the feedback, or its own."""

    def __init__(self, *, reads_feedback):
        self.reads_feedback = reads_feedback
        self.prompts = []

    def __call__(self, prompts):
        self.prompts += [prompt.text for prompt in prompts]
        return [self._proposed(prompt.text) for prompt in prompts]

    def _proposed(self, text):
        words = re.findall(r"## Feedback.*?Observation 1: (\w+)", text, re.DOTALL) if self.reads_feedback else ["Again"]
        return f"```\n{START} Mind: {words[0]}\n```"


def config(tmp_path, proposer, **fields):
    small = {"num_train": 6, "num_validation": 4, "max_iterations": 6, "instruction": START, "output": tmp_path / "run"}
    return GEPAConfig(**{"env_id": ENV, "reflector": reflector, "proposer": proposer, **small, **fields})


def test_it_finds_in_the_feedback_what_reflections_need(tmp_path):
    proposer = Proposer(reads_feedback=True)
    result = evolve_instruction(config(tmp_path, proposer))
    assert result.instruction == f"{START} Mind: {NEEDED}"
    assert result.scores == (0.0, 1.0)
    assert [row["parents"] for row in result.history] == [[], [0]]
    assert (tmp_path / "run" / "instruction.txt").read_text() == result.instruction
    stored = json.loads((tmp_path / "run" / "history.json").read_text())
    assert stored == {"actor_calls": result.actor_calls, "candidates": list(result.history)}
    assert START in proposer.prompts[0]
    assert "The next attempt earned 0.00. It failed again." in proposer.prompts[0]
    again = evolve_instruction(config(tmp_path, Proposer(reads_feedback=True), output=tmp_path / "again"))
    assert again == result


def test_a_proposer_that_ignores_the_feedback_does_not_find_it(tmp_path):
    proposer = Proposer(reads_feedback=False)
    result = evolve_instruction(config(tmp_path, proposer))
    assert (result.instruction, result.scores) == (START, (0.0,))
    assert len(proposer.prompts) == 6, "it was asked in every iteration"


def test_the_instruction_is_evaluated_from_its_file(tmp_path):
    evolve_instruction(config(tmp_path, Proposer(reads_feedback=True)))
    before = PromptedPolicy(reflector, instruction=START)
    after = PromptedPolicy(reflector, instruction_file=tmp_path / "run" / "instruction.txt")
    rates = [evaluate(ENV, policy, num_tasks=8, trials=1).success_at_trial()[1].mean for policy in (before, after)]
    assert rates == [0.0, 1.0]
    assert after.parameters["instruction"].endswith(NEEDED)


@pytest.mark.parametrize("calls", [14, 17, 20, 40])
def test_the_budget_is_never_exceeded_and_what_was_found_is_kept(tmp_path, calls):
    """Each trial is one call: 10 first trials, 4 of the first candidate, then 3 + 3 in an iteration, and 4."""
    played = []

    class Counting(IdentityActor):
        def reply(self, prompts):
            played.extend(prompts)
            return super().reply(prompts)

    settings = {"max_actor_calls": calls, "env_kwargs": {"actor": Counting()}}
    result = evolve_instruction(config(tmp_path, Proposer(reads_feedback=True), **settings))
    assert result.actor_calls == len(played) <= calls
    assert result.scores == ((0.0, 1.0) if calls == 40 else (0.0,))
    assert (tmp_path / "run" / "instruction.txt").exists()


def test_a_budget_without_room_for_the_first_candidate(tmp_path):
    with pytest.raises(BudgetError, match="the budget of calls is spent"):
        evolve_instruction(config(tmp_path, Proposer(reads_feedback=True), max_actor_calls=12))
    assert not (tmp_path / "run").exists()


def test_a_trial_without_a_result_is_not_shown_and_counts_as_the_others(tmp_path):
    flaky = FlakyActor(IdentityActor(), lambda prompt: "red" in prompt.task and bool(prompt.reflections))
    proposer = Proposer(reads_feedback=True)
    result = evolve_instruction(config(tmp_path, proposer, env_kwargs={"actor": flaky}, num_validation=8))
    assert any(task_id.endswith("red") for task_id in result.history[0]["scores"])
    assert result.scores == (0.0, 1.0)
    assert not any("The word is red" in prompt for prompt in proposer.prompts)


def test_a_reflection_that_could_not_be_written_changes_nothing(tmp_path):
    def silent(prompts):
        written = reflector(prompts)
        return [text if text != "Try again." else ActorError("refused") for text in written]

    proposer = Proposer(reads_feedback=False)
    result = evolve_instruction(config(tmp_path, proposer, reflector=silent, max_iterations=2))
    assert result.scores == (0.0,)
    assert "No advice was given: reflector 'CallableActor' wrote no reflection: refused" in proposer.prompts[0]


def test_an_error_of_the_proposing_model_is_raised_after_the_result_is_written(tmp_path):
    with pytest.raises(ActorError, match="the proposing model wrote no instruction: down"):
        evolve_instruction(config(tmp_path, lambda prompts: [ActorError("down") for _ in prompts]))
    assert (tmp_path / "run" / "instruction.txt").read_text() == START


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"minibatch": 0}, "minibatch is 0"),
        ({"max_actor_calls": 0}, "max_actor_calls is 0"),
        ({"instruction": " "}, "instruction is empty"),
        ({"env_kwargs": {"reward": "improvement"}}, "env_kwargs sets reward, which an evolution sets itself"),
        ({"env_kwargs": {"actor_kwargs": {"budget": {"calls": 1}}}}, "env_kwargs sets budget, which an evolution"),
    ],
)
def test_wrong_settings(tmp_path, fields, said):
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, reflector, **fields)


def test_a_folder_with_an_instruction_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "instruction.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds an instruction.txt already"):
        evolve_instruction(config(tmp_path, Proposer(reads_feedback=True)))


def test_an_actor_that_solves_everything_leaves_nothing_to_learn(tmp_path):
    def knows(prompts):
        return [f"Say[{re.search(r'The word is (.+?)[.]', prompt.task)[1]}]" for prompt in prompts]

    with pytest.raises(ConfigError, match="of split 'train' failed"):
        evolve_instruction(config(tmp_path, reflector, env_kwargs={"actor": knows, "num_tasks": 8}))


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "gepa", None)
    with pytest.raises(MissingExtraError, match=r"retro-gym\[gepa\]"):
        evolve_instruction(config(tmp_path, reflector))
