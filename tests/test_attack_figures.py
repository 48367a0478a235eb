"""The tables of attacks in the manuals hold the figures of benchmarks/results/attacks.json."""

import inspect
import json
import re

import gymnasium as gym
import pytest

import retro_gym  # noqa: F401 - registers the environments
from benchmarks.attack_readers import READERS, Failure
from benchmarks.attack_tables import HEAD, MANUALS, rows_of, table, with_table
from benchmarks.attacks import Config, attacks_of, main


def kept(root, name):
    results = json.loads((root / "benchmarks" / "results" / name).read_text())
    return {one["env_id"]: one for one in results}


def manual(env_id):
    with gym.make(env_id.removeprefix("Retro"), disable_env_checker=True) as env:
        return inspect.cleandoc(type(env.unwrapped).__doc__)


def numbers(cell, count):
    """The numbers of a cell; ``29.2 each`` stands for all, and a single 0 of leaks for as many as there are."""
    found = [float(one) for one in cell.removesuffix(" each").split("; ")]
    return found * count if len(found) == 1 else found


def same(shown, measured):
    """Numbers with one digit, halves either way."""
    return len(shown) == len(measured) and all(abs(a - b) <= 0.0501 for a, b in zip(shown, measured, strict=True))


def rows(text):
    """Success and leaks by label, from the table of attacks in a manual."""
    lines = text.split(f"{HEAD}\n", 1)[1].partition("\n\n")[0].splitlines()
    split = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {label: (success, leak) for label, success, leak in split}


def wrong(text, result):
    """The labels of the rows of a manual that differ from a result, and the facts below the table that do."""
    shown, found = rows(text), []
    for label, names in rows_of(result["env_id"]).items():
        policies = [result["policies"][name] for name in names]
        success, leak = shown.pop(label)
        leaks = [round(100 * one["leaking"] / (one["reflections"] or 1)) for one in policies]
        if not same(numbers(success, len(names)), [100 * one["success"] for one in policies]):
            found.append(label)
        elif numbers(leak, len(names)) != leaks:
            found.append(f"leaks of {label}")
    facts = " ".join(text.partition("Solved at trial 0, in %: ")[2].split("\n\n")[0].split())
    solved, _, lengths = facts.partition(" The observation of a failure")
    by_cause = result["solved_at_trial_0_by_cause"]
    if not same(
        [float(one) for one in re.findall(r"[\d.]+\d", solved)],
        percent(result["solved_at_trial_0"], *by_cause.values()),
    ):
        found.append("trial 0")
    chars = [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*", lengths)]
    if chars != [round(result["observation_chars"]["mean"]), result["observation_chars"]["most"]]:
        found.append("characters")
    return [*found, *shown]


def percent(*fractions):
    return [100 * one for one in fractions]


@pytest.mark.parametrize("env_id", MANUALS)
def test_the_manual_holds_what_was_measured(root, env_id):
    result = kept(root, "attacks.json")[env_id]
    assert (result["split"], result["num_tasks"], result["seeds"], result["trials"]) == ("test", 200, 2, 1)
    assert wrong(manual(env_id), result) == [], "run: python -m benchmarks.attack_tables"
    assert with_table(f"    {HEAD}\nat most 1.", result).strip() in indented(manual(env_id))


def indented(text):
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())


@pytest.mark.parametrize("env_id", MANUALS)
def test_every_policy_has_a_place_in_the_table(root, env_id):
    shown = [name for names in rows_of(env_id).values() for name in names]
    assert sorted(shown) == sorted(kept(root, "attacks.json")[env_id]["policies"])


@pytest.mark.parametrize("env_id", MANUALS)
def test_what_the_readme_holds_too_is_the_same(root, env_id):
    attacks, policies = (kept(root, name)[env_id] for name in ("attacks.json", "policies.json"))
    for name in ("panel", "split", "seed", "seeds", "num_tasks", "actor", "actor_parameters"):
        assert attacks[name] == policies[name]
    for name, one in policies["policies"].items():
        other = attacks["policies"][name]
        assert one["success_at_trial"] == [attacks["solved_at_trial_0"], other["success"]], name
        assert (one["ci95"][1], one["reflections"], one["leaking"]) == (
            other["ci95"],
            other["reflections"],
            other["leaking"],
        ), name


def changed(line):
    """Yields a line with each of its numbers raised in turn."""
    for found in re.finditer(r"\d[\d.,]*\d|\d", line):
        raised = float(found[0].replace(",", "")) + 1
        yield f"{line[: found.start()]}{raised:g}{line[found.end() :]}"


def test_a_wrong_number_is_noticed(root):
    result = kept(root, "attacks.json")["RetroWebShop-v0"]
    text, count = table(result), 0
    assert wrong(text, result) == []
    for line in text.split(f"{HEAD}\n")[1].splitlines():
        *label, shown = re.split(r"(?<=\w|`|\)|\") \| ", line, maxsplit=1) if line.startswith("|") else [line]
        for other in changed(shown):
            assert wrong(text.replace(line, " | ".join([*label, other])), result) != [], other
            count += 1
    assert count > 50


@pytest.mark.parametrize(
    ("env_id", "sentence"),
    [
        ("RetroHotpotQA-v0", r"On 60 public questions .*? contain the answer\."),
        ("RetroALFWorld-v0", r"On ALFWorld's 140 games .*? list the solution\."),
        ("RetroInterCodeSQL-v0", r"On the 861 tasks .*?leak\)\."),
    ],
)
def test_what_they_earn_on_public_data(root, env_id, sentence):
    policies = kept(root, "public.json")[env_id]["policies"]
    (told,) = re.findall(sentence, " ".join(manual(env_id).replace("``", "").split()))
    shown = dict(re.findall(r"\b(none|rule|oracle|told) (\d[\d.]*\d)", told))
    assert shown.keys() == policies.keys()
    for name, number in shown.items():
        assert same([float(number)], percent(policies[name]["success_at_trial"][1])), name


def test_the_script_measures_any_environment(tmp_path):
    path = tmp_path / "attacks.json"
    main(Config(path, ("RetroIdentity-v0",), num_tasks=6, seeds=1))
    ((result,),) = [json.loads(path.read_text())]
    assert result["policies"]["none"]["success"] == 0
    assert result["policies"]["oracle"] == {
        "success": 1,
        "ci95": result["policies"]["rule"]["ci95"],
        "reflections": 6,
        "leaking": 0,
    }
    assert {"first 300", "one name", "lookup by failure"} <= result["policies"].keys()


@pytest.mark.parametrize("env_id", MANUALS)
def test_attacks_name_what_the_failure_shows(env_id):
    """The candidates of every choice are seen in the trial, and the oracle names one of each."""
    with gym.make(env_id, split="test", disable_env_checker=True) as made:
        env, reader = made.unwrapped, READERS[env_id]
        for task_id in env.task_env.task_ids("test")[:30]:
            observation, info = env.reset(seed=0, options={"task_id": task_id})
            if info["success"]:
                continue
            failure = Failure(observation, env, None)
            oracle = env.task_env.teacher.oracle_reflection(task_id)
            decisions = reader.decisions(failure)
            assert decisions
            for each in decisions:
                assert len(each.names) >= 5
                assert each.taken in ("", *each.names)
                assert len(each.described) == len(each.names)
            assert any(
                name.split(" from ")[0].split(", the ")[0] in oracle for each in decisions for name in each.names
            )
            assert len(set(reader.names(failure))) == len(reader.names(failure)) >= 5


def test_attacks_say_the_same_for_the_same_seed():
    with gym.make("RetroWebShop-v0", split="test", disable_env_checker=True) as made:
        env = made.unwrapped
        observation, _ = env.reset(seed=1)
        said = [
            {one.name: one.reflect([observation], [env], [seed]) for one in attacks_of("RetroWebShop-v0")[:-5]}
            for seed in (0, 0, 1)
        ]
    assert said[0] == said[1] != said[2]
    assert all(said[0].values())
