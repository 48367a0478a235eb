"""What an evaluation says beside its figures."""

from __future__ import annotations

import io
import json
import os

import pytest
from rich.console import Console

from retro_gym.actors import Reply
from retro_gym.errors import ActorError, CutReplyError, PromptTooLongError, TaskEnvError
from retro_gym.testing import IdentityActor
from retro_gym.testing.identity import IdentityTeacher
from retro_gym_agents.evaluation.evaluate import evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.evaluation.notes import notes_on
from retro_gym_agents.evaluation.results import to_json
from retro_gym_agents.evaluation.tables import print_tables
from retro_gym_agents.lm.adapter_folder import adapter_folder, adapter_source
from retro_gym_agents.play.policies import make_policy

ENV = "RetroIdentity-v0"


class Answering(IdentityActor):
    """Answers some prompts in another way."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def reply(self, prompts):
        replies = super().reply(prompts)
        return [self.answer(prompt) or reply for prompt, reply in zip(prompts, replies, strict=True)]


def results(answer, *policies, **fields):
    config = EvaluationConfig(ENV, **{"trials": 1, "env_kwargs": {"actor": Answering(answer)}, **fields})
    return evaluate_all(config, [make_policy(name) for name in policies or ("none", "oracle")])


def printed(evaluations) -> str:
    stream = io.StringIO()
    print_tables(evaluations, Console(file=stream, width=200))
    return stream.getvalue()


def test_an_evaluation_without_incident_has_no_notes(monkeypatch):
    monkeypatch.setattr(IdentityTeacher, "leaks", lambda self, reflection, task_id: False)
    assert notes_on(results(lambda prompt: None)) == []
    assert notes_on(results(lambda prompt: None, "oracle", trials=0)) == []
    (note,) = notes_on(results(lambda prompt: None, "oracle"))
    assert note == "There is no difference to a plain retry above: none was not evaluated."
    monkeypatch.delattr(IdentityTeacher, "leaks")
    assert notes_on(results(lambda prompt: None)) == [
        "Not known: how many reflections contain the answer. The environment's teacher does not define 'leaks'."
    ]


def test_every_first_trial_too_long_is_said_beside_the_figure():
    found = results(lambda prompt: PromptTooLongError("4,200 tokens, context of 4,096"), trials=2)
    text = printed(found)
    assert "64 too long" in text
    assert "Every trial 0 (64 of 64) ended because the prompt did not fit into the actor's context" in text
    assert "say nothing about what the actor can do. Shorten the prompt (fewer examples, max_turns)" in text
    assert "none: 128 of 128 later trials" in text
    row = to_json(found)["policies"][0]
    assert row["success_at_trial"] == [0.0] * 3
    assert row["ends_at_trial"] == [{"prompt too long": 64}] * 3
    assert row["refused"] is None


def test_some_first_trials_too_long_are_counted():
    found = results(lambda prompt: PromptTooLongError("long") if "red" in prompt.task else None)
    text = printed(found)
    assert "16 of 64 trials 0 ended because the prompt did not fit" in text
    assert "16 too long" in text
    assert "Every trial 0" not in text
    row = to_json(found)["policies"][1]
    assert row["ends_at_trial"][0] == {"failed": 48, "prompt too long": 16}
    assert row["success_at_trial"] == [0.0, 0.75]


def test_replies_that_were_cut_are_counted_with_the_remedy():
    def answer(prompt):
        if "red" in prompt.task:  # cut behind its action
            return Reply("Action: Say[?]", 5, 512, cut=True)
        return CutReplyError("the reply was cut at 512 tokens") if "blue" in prompt.task else None

    found = results(answer, "none", max_error_rate=0.5)
    (row,) = to_json(found)["policies"]
    assert row["cut_replies"] == 16 * 2 + 16
    assert row["actor_errors"] == 16
    assert "Replies that reached the actor's token limit: none 48 of 112. Raise the actor's max_tokens, which " in (
        printed(found)
    )
    assert "includes its reasoning" in printed(found)
    (costs,) = (line.split() for line in printed(found).splitlines() if line.split()[:2] == ["none", "112"])
    assert costs[:4] == ["none", "112", "16", "48"]


def test_actor_errors_are_told_by_kind_also_when_they_are_few():
    def answer(prompt):
        if "red" in prompt.task:
            return ActorError(f"status 502 from http://host:1/v1, request {prompt.seed}")
        return (
            TaskEnvError("the shop's server is gone")
            if prompt.task == "The word is blue." and (prompt.reflections)
            else None
        )

    found = results(answer, "none", "oracle", max_error_rate=0.9)
    assert [count for count, _ in found[0].error_kinds] == [16]
    (many, first), (few, second) = found[1].error_kinds
    assert (many, few) == (16, 16)
    assert "status 502" in first
    assert second == "the shop's server is gone"
    row = to_json(found)["policies"][1]
    assert row["lost"] == [{"num_episodes": many, "first": first}, {"num_episodes": few, "first": second}]
    assert row["ends_at_trial"][0] == {"actor error": 16, "failed": 48}
    assert row["ends_at_trial"][1] == {"actor error": 16, "solved": 32}
    text = printed(found)
    assert "oracle: 32 of 64 episodes were lost to actor errors; no figure above includes them." in text
    assert "  16 × the actor failed on task " in text
    assert "  16 × the shop's server is gone" in text
    refused = results(answer, "none", "oracle")
    assert "none: 16 of 64 episodes were lost to actor errors.\n" in printed(refused)  # there is no figure above


# -- which adapter -----------------------------------------------------------------------------------------------------


def run_folder(path, *adapters, rows=()):
    path.mkdir()
    if rows:
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name in adapters:
        (path / name).mkdir()
        (path / name / "adapter_config.json").write_text("{}")
    return path


ROWS = [
    {"update": 0, "validation_success": 0.2},
    {"update": 10, "validation_success": 0.6},
    {"update": 20, "validation_success": 0.6},
    {"update": 25},
    {"update": 30, "validation_success": 0.5},
]


def test_the_adapter_that_is_taken_is_named(tmp_path):
    best = run_folder(tmp_path / "best-run", "best", "adapter", rows=ROWS)
    assert adapter_folder(best) == best / "best"
    assert adapter_source(best) == "best of update 20: the one that did best on the validation tasks"
    last = run_folder(tmp_path / "last", "adapter", rows=[{"update": 1}, {"update": 2}])
    assert adapter_source(last) == "adapter of update 2: the last one, since no validation has chosen a best"
    assert adapter_source(last / "adapter") is None  # named outright
    assert adapter_source(tmp_path / "absent") is None


def test_an_update_that_cannot_be_known_is_not_named(tmp_path):
    assert adapter_source(run_folder(tmp_path / "a", "best")).startswith("best: ")
    assert adapter_source(run_folder(tmp_path / "b", "adapter")).startswith("adapter: ")
    damaged = run_folder(tmp_path / "c", "adapter", rows=ROWS)
    (damaged / "metrics.jsonl").write_text('{"upd')
    assert adapter_source(damaged).startswith("adapter: ")
    resumed = run_folder(tmp_path / "d", "adapter", rows=ROWS)  # went on after its end, and was stopped
    os.utime(resumed / "adapter", (1, 1))
    assert adapter_source(resumed).startswith("adapter: ")


def test_tables_and_json_say_which_adapter_was_taken(tmp_path):
    folder = run_folder(tmp_path / "run", "adapter", rows=[{"update": 7}])
    config = EvaluationConfig(ENV, trials=0, num_tasks=2)
    found = evaluate_all(config, [make_policy("none"), make_policy(str(folder))])  # without a trial 1 none is loaded
    rows = to_json(found)["policies"]
    assert rows[0]["reflector_source"] is None
    assert rows[1]["reflector_source"] == adapter_source(folder)
    assert f"{folder}: its adapter is adapter of update 7: the last one" in printed(found).replace("\n", "")


@pytest.mark.parametrize("name", ["tiny", "oracle"])
def test_what_is_no_run_has_no_source(name):
    assert evaluate_all(EvaluationConfig(ENV, trials=0, num_tasks=1), [make_policy(name)])[0].reflector_source is None
