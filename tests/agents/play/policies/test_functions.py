"""Policies of users: a function, an object or a class, by itself or as python:MODULE:NAME."""

import sys

import pytest

from retro_gym.errors import ActorError, BudgetError, ConfigError
from retro_gym_agents.cli import main
from retro_gym_agents.evaluation.evaluate import evaluate
from retro_gym_agents.play.policies import FunctionPolicy, Policy, make_policy, written_reflections

ENV = "RetroIdentity-v0"
SOURCE = '''
def shown(observations):
    """Returns the word that each observation shows."""
    return [text.split("The word is ")[1].split(".")[0] for text in observations]

def one(observations):
    return "red"

def few(observations):
    return ["red"]

def odd(observations):
    return [3 for _ in observations]

def lazy(observations):
    return ("red" for _ in observations)

def fails(observations):
    raise KeyError("no such word")

async def later(observations):
    return ["red" for _ in observations]

def needs_more(observations, temperature):
    return []

class Loud:
    """Says one word, whatever happened."""

    def __init__(self, word="red"):
        self.name = "loud"
        self.word = word

    def reflect(self, observations, envs, seeds):
        assert len(observations) == len(envs) == len(seeds)
        return [self.word] * len(observations)

class Nameless:
    def reflect(self, observations, envs, seeds):
        return []

class Narrow:
    name = "narrow"
    def reflect(self, observations):
        return []

loud = Loud("green")
text = "red"
number = 3
'''


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
    """A module in the working folder, which is not on Python's path, as for a console script."""
    (tmp_path / "policies_of_a_user.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    monkeypatch.chdir(tmp_path)
    yield "policies_of_a_user"
    sys.modules.pop("policies_of_a_user", None)


def named(name, **options):
    return make_policy(f"python:policies_of_a_user:{name}", **options)


def test_a_function_is_a_policy():
    policy = named("shown")
    assert isinstance(policy, Policy)
    assert policy.name == "python:policies_of_a_user:shown"
    result = evaluate(ENV, policy, num_tasks=8, trials=1)
    assert [estimate.mean for estimate in result.success_at_trial()] == [0.0, 1.0]
    assert result.reflector_tokens is None


def test_it_gets_the_batch_as_it_is():
    batches = []
    policy = make_policy(lambda observations: batches.append(observations) or ["blue"] * len(observations))
    assert isinstance(policy, FunctionPolicy)
    assert policy.reflect(("a", "b"), [], [0, 1]) == ["blue", "blue"]
    assert batches == [("a", "b")]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("one", r"shown|one' wrote 'red'; it must return a list of texts"),
        ("few", r"wrote 1 reflections on 4 failures; it must write one on each"),
        ("odd", r"wrote 3; a reflection is text"),
        ("lazy", r"wrote <generator object .*; it must return a list of texts"),
        ("fails", r"failed with KeyError \(\"'no such word'\"\) in policies_of_a_user.py, line 19"),
    ],
)
def test_what_a_function_does_wrong_is_said_with_its_name(name, said):
    with pytest.raises(ConfigError, match=rf"^reflector 'python:policies_of_a_user:{name}' .*") as caught:
        evaluate(ENV, named(name), num_tasks=4, trials=1)
    with pytest.raises(ConfigError, match=said):
        raise caught.value


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("later", "is async; it must return its results"),
        ("needs_more", "cannot be called with one argument, the observations: missing a required argument"),
        ("text", "names the text 'red'"),
        ("number", r"has neither reflect\(observations, envs, seeds\) nor is it callable"),
        ("absent", "cannot be imported"),
        ("Nameless", "has reflect, but its name is None. Give it an attribute name"),
        ("Narrow", "reflect of reflector .* cannot be called with 3 arguments, the observations, envs, seeds"),
    ],
)
def test_what_is_no_policy_is_refused_at_once(name, said):
    with pytest.raises(ConfigError, match=said):
        named(name)


def test_an_object_and_a_class_with_options():
    assert named("loud").reflect(["a"], [None], [0]) == ["green"]
    policy = named("Loud", word="gold")
    assert (policy.name, policy.word) == ("loud", "gold")
    assert make_policy(type(policy), word="blue").word == "blue"
    assert make_policy(policy) is policy
    with pytest.raises(ConfigError, match=r"Loud, which cannot be made of the options wrd: .*--reflector-kwargs"):
        named("Loud", wrd="gold")
    with pytest.raises(ConfigError, match="has no options; received word"):
        named("loud", word="gold")
    with pytest.raises(ConfigError, match="reflector 'oracle' has no options; received word"):
        make_policy("oracle", word="gold")


@pytest.mark.parametrize("spec", ["python:", "python:module", "python::name"])
def test_a_spec_of_another_form_is_refused(spec):
    with pytest.raises(ConfigError, match="does not have the form 'python:MODULE:NAME'"):
        make_policy(spec)


def test_an_actor_error_that_a_function_raises_holds_for_the_whole_batch():
    def unreachable(observations):
        raise ActorError("no connection")

    written = written_reflections(make_policy(unreachable), ["a", "b"], [], [0, 1])
    assert [str(each) for each in written] == ["no connection"] * 2
    result = evaluate(ENV, make_policy(unreachable), num_tasks=4, trials=1)
    assert "no success rate is given" in str(result.refusal)

    def spent(observations):
        raise BudgetError("nothing is left")

    with pytest.raises(BudgetError, match="nothing is left"):
        evaluate(ENV, make_policy(spent), num_tasks=4, trials=1)


def test_the_command_line(tmp_path, capsys):
    names = ["none", "python:policies_of_a_user:shown", "python:policies_of_a_user:Loud"]
    short = ["--num-tasks", "8", "--trials", "1"]
    assert main(["evaluate", ENV, "--reflector", *names, *short, "--reflector-kwargs", '{"word": "blue"}']) == 2
    assert "shown' has no options; received word" in capsys.readouterr().err
    assert main(["evaluate", ENV, "--reflector", *names, *short]) == 0
    assert "python:policies_of_a_user:shown" in "".join(capsys.readouterr().out.split())
    options = ["--reflector-kwargs", '{"word": "blue"}']
    assert main(["evaluate", ENV, "--reflector", "none", names[2], *short, *options]) == 0
    collect = ["collect", ENV, "--reflector", names[1], "--output", str(tmp_path / "r.jsonl"), "--num-episodes", "3"]
    assert main(collect) == 0
    assert "3 reflections, of which 3 solved their task" in capsys.readouterr().out
    assert main(["evaluate", ENV, "--reflector", "none", *short, *options]) == 2
    assert "none of the reflectors none has options" in capsys.readouterr().err
