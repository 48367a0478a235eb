"""A model behind a server that is asked for reflections: its prompt, its costs, its tape and its faults."""

import json

import pytest

from retro_gym.actors import Reply
from retro_gym.errors import ActorError, BudgetError, CassetteError, ConfigError
from retro_gym.testing.faults import PASSING_FAULTS, Faults
from retro_gym.testing.server import ServerThread
from retro_gym_agents.cli import main
from retro_gym_agents.evaluation.evaluate import evaluate, evaluate_all
from retro_gym_agents.evaluation.evaluation import EvaluationConfig
from retro_gym_agents.lm.pretrained import tiny_folder
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import REFLECTOR_INSTRUCTION, MeteredPolicy, PromptedPolicy, make_policy
from retro_gym_agents.play.policies.specs import takes_options

ENV = "RetroIdentity-v0"
OBSERVATION = "This attempt failed.\n\nThe word is blue.\nReturn: 0.00\n\nReflection:"


class Reader:
    """Writes the word that its prompt shows, in ten tokens; fails for one word."""

    def __init__(self, text="{}", cut=False, refuses=""):
        self.text, self.cut, self.refuses = text, cut, refuses
        self.prompts = []

    def reply(self, prompts):
        self.prompts += prompts
        return [self._said(prompt.text.partition("The word is ")[2].partition(".")[0]) for prompt in prompts]

    def _said(self, word):
        if word == self.refuses:
            return ActorError("out of order")
        return Reply(self.text.format(word), 100, 10, cut=self.cut)


def through(server, **options):
    return make_policy("openai:reader", base_url=server.base_url, patience=2.0, retry_wait=0.01, **options)


def test_the_prompt_holds_the_instruction_and_the_observation():
    reader = Reader()
    with ServerThread(reader) as server:
        policy = through(server, temperature=0.5)
        assert policy.reflect([OBSERVATION], [], [7]) == ["blue"]
    (prompt,) = reader.prompts
    assert prompt.text.strip() == f"{REFLECTOR_INSTRUCTION}\n\n{OBSERVATION}"
    assert (prompt.seed, prompt.stop) == (7, ())
    assert policy.name == "openai:reader"
    assert policy.parameters["temperature"] == 0.5
    assert isinstance(policy, PromptedPolicy | MeteredPolicy)
    assert (policy.prompt_tokens, policy.completion_tokens) == (100, 10)


def test_an_instruction_of_ones_own():
    reader = Reader()
    with ServerThread(reader) as server:
        through(server, instruction="Say why.").reflect([OBSERVATION], [], [0])
    assert reader.prompts[0].text.startswith("Say why.\n\nThis attempt failed.")


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("Reflection: look at {}.", "look at blue."),
        ("**Advice:** look at {}.\nThen say it.", "look at blue.\nThen say it."),
        ("The reflection: {}", "The reflection: blue"),
        ("Action 1: Say[{}]", "Action 1: Say[blue]"),
        ("<think>Why? {}</think>\n\nSay {}.", "Say blue."),
    ],
)
def test_a_heading_is_no_part_of_a_reflection(said, read):
    with ServerThread(Reader(said.replace("{}", "{0}"))) as server:
        assert through(server).reflect([OBSERVATION], [], [0]) == [read]


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        (Reader(cut=True), "reflector 'openai:reader' ran into its token limit .* Raise its max_tokens"),
        (Reader("Action 1: Say[red]\nand", cut=True), "ran into its token limit"),
        (Reader("Reflection:"), "wrote an empty reflection"),
        (Reader(" "), "wrote no reflection: 3 replies had no text"),
    ],
)
def test_what_is_no_reflection_is_an_error_and_not_an_empty_one(reader, said):
    with ServerThread(reader) as server:
        (error,) = through(server).reflect([OBSERVATION], [], [0])
    assert isinstance(error, ActorError)
    with pytest.raises(ActorError, match=said):
        raise error


def test_an_evaluation_reports_tokens_and_passing_faults_change_nothing():
    with ServerThread(Reader(), faults=Faults.mixed(0.3, PASSING_FAULTS, seed=1)) as server:
        policy = make_policy("openai:reader", base_url=server.base_url, retry_wait=0.01)
        result = evaluate(ENV, policy, num_tasks=8, trials=2)
    assert [estimate.mean for estimate in result.success_at_trial()] == [0.0, 1.0, 1.0]
    assert result.reflector_tokens == (policy.prompt_tokens, policy.completion_tokens)
    assert policy.completion_tokens >= 80


def test_a_task_without_a_reflection_is_not_scored(tmp_path):
    """Its reflection is asked for again on resume, and the others are not."""
    config = EvaluationConfig(ENV, num_tasks=16, trials=1, max_error_rate=0.9)
    journal = tmp_path / "journal.jsonl"
    reader = Reader(refuses="blue")
    with ServerThread(reader) as server:
        (first,) = evaluate_all(config, [through(server)], journal=journal)
        lost = [task for task in first.tasks if task.actor_error is not None]
        assert len(lost) == first.errors == sum(task.task_id.endswith("blue") for task in first.tasks) > 1
        assert all("reflector 'openai:reader' wrote no reflection" in task.actor_error for task in lost)
        assert all((len(task.success), task.reflections) == (1, ()) for task in lost)
        assert [estimate.mean for estimate in first.success_at_trial()] == [0.0, 1.0]
        reader.refuses, reader.prompts = "", []
        (second,) = evaluate_all(config, [through(server)], journal=journal, resume=True)
    assert {prompt.text.partition("The word is ")[2][:4] for prompt in reader.prompts} == {"blue"}
    assert (second.errors, len(reader.prompts)) == (0, len(lost))
    assert second.success_at_trial()[1].mean == 1.0


def test_a_resumed_evaluation_needs_the_same_parameters(tmp_path):
    config, journal = EvaluationConfig(ENV, num_tasks=4, trials=1), tmp_path / "journal.jsonl"
    with ServerThread(Reader()) as server:
        evaluate_all(config, [through(server)], journal=journal)
        with pytest.raises(
            ConfigError, match=r"reflector 'openai:reader' was {'temperature': 0.0} and is {'temperature': 1.0}"
        ):
            evaluate_all(config, [through(server, temperature=1.0)], journal=journal, resume=True)


def test_a_spent_budget_stops_and_keeps_what_was_paid_for(tmp_path):
    config, journal = EvaluationConfig(ENV, num_tasks=8, trials=1), tmp_path / "journal.jsonl"
    reader = Reader()
    with ServerThread(reader) as server:
        with pytest.raises(BudgetError, match="reflector 'openai:reader' wrote no reflection: the budget of calls"):
            evaluate_all(config, [through(server, budget={"calls": 5})], journal=journal)
        assert len(reader.prompts) == 5
        (result,) = evaluate_all(config, [through(server)], journal=journal, resume=True)
    assert len(reader.prompts) == 8
    assert result.success_at_trial()[1].mean == 1.0
    assert result.reflector_tokens == (800, 80)


def test_a_tape_gives_the_same_without_a_server(tmp_path):
    tape = tmp_path / "tape.jsonl"
    with ServerThread(Reader()) as server:
        live = evaluate(ENV, through(server, record=str(tape)), num_tasks=8, trials=1)
    again = evaluate(ENV, make_policy(f"replay:{tape}"), num_tasks=8, trials=1)
    assert (again.reflector, again.tasks, again.reflector_tokens) == (live.reflector, live.tasks, live.reflector_tokens)
    with pytest.raises(CassetteError, match="has no reply"):
        evaluate(ENV, make_policy(f"replay:{tape}"), num_tasks=8, trials=1, seed=1)


def test_collecting_counts_lost_reflections(tmp_path):
    config = CollectConfig(ENV, tmp_path / "records.jsonl", num_episodes=64, max_reflections=1)
    with ServerThread(Reader(refuses="blue")) as server:
        got = collect(config, through(server))
    assert (got.episodes, got.errors, got.reflections, got.helped) == (64, 16, 48, 48)


def test_a_server_that_is_gone_is_no_score(capsys, tmp_path):
    with ServerThread(Reader()) as server:
        url = server.base_url
    options = json.dumps({"base_url": url, "patience": 0.2, "retry_wait": 0.01})
    command = ["evaluate", ENV, "--num-tasks", "4", "--trials", "1", "--json", str(tmp_path / "r.json")]
    assert main([*command, "--reflector", "openai:any", "--reflector-kwargs", options]) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "no success rate is given" in said
    assert "--resume plays the lost" in said


def test_a_model_in_this_process():
    spec = f"hf:{tiny_folder()}"
    assert takes_options(spec)
    written = []
    for batch_size in (2, 64):
        policy = make_policy(spec, dtype="float32", batch_size=batch_size, max_new_tokens=40, temperature=1.0)
        actor = policy.actor
        assert (actor.batch_size, actor.device, actor.dtype) == (batch_size, "cpu", "float32")
        evaluation = evaluate(ENV, policy, num_tasks=6, trials=1)
        written.append([text for task in evaluation.tasks for text in task.reflections])
    assert written[0] == written[1] != []
    (cut,) = make_policy(spec, max_new_tokens=1).reflect(["It failed."], [], [0])
    assert isinstance(cut, ActorError)
    assert "Raise its max_new_tokens" in str(cut)


def test_unknown_options_and_missing_servers_are_said(monkeypatch):
    with pytest.raises(ConfigError, match=r"'openai:any' has no option 'base_ulr'.*Did you mean 'base_url'"):
        make_policy("openai:any", base_ulr="http://127.0.0.1:1/v1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY is not set"):
        make_policy("openai:any").reflect(["a"], [], [0])
