"""Built-in games: what each command answers, and what it changes."""

import copy
import itertools
import pickle

import numpy as np
import pytest

from retro_gym_envs.alfworld.commands import normalize
from retro_gym_envs.alfworld.household import Household, HouseholdGame
from retro_gym_envs.alfworld.observations import NOTHING_HAPPENS
from retro_gym_envs.alfworld.world import BuiltinTasks

CONTENTS = (
    ("cabinet 1", ("plate 1",)),
    ("countertop 1", ("mug 1", "mug 2", "desklamp 1")),
    ("fridge 1", ()),
    ("microwave 1", ()),
    ("shelf 1", ()),
    ("sinkbasin 1", ("fork 1",)),
)


def household(goal="put a clean mug in shelf.", thing="mug", target="shelf", treatment="clean", count=1, **more):
    return Household("x", "some_type", goal, thing, target, treatment, count, CONTENTS, **more)


TAKE = ("take mug 2 from countertop 1",)


def play(*commands, **task):
    game = HouseholdGame(household(**task))
    return [game.act(command) for command in commands], game


def test_the_room_comes_first():
    assert HouseholdGame(household()).first.splitlines() == [
        "You are in the middle of a room. Looking quickly around you, you see a cabinet 1, a countertop 1, a fridge 1, "
        "a microwave 1, a shelf 1, and a sinkbasin 1.",
        "Your task is to: put a clean mug in shelf.",
    ]


def test_answers():
    turns = [
        ("look", HouseholdGame(household()).first.splitlines()[0]),
        ("go to cabinet 1", "You arrive at cabinet 1. The cabinet 1 is closed."),
        ("go to cabinet 1", NOTHING_HAPPENS),
        ("take plate 1 from cabinet 1", NOTHING_HAPPENS),
        ("open cabinet 1", "You open the cabinet 1. The cabinet 1 is open. In it, you see a plate 1."),
        ("open cabinet 1", NOTHING_HAPPENS),
        ("take plate 1 from cabinet 1", "You pick up the plate 1 from the cabinet 1."),
        ("inventory", "You are carrying: a plate 1."),
        ("examine plate 1", "There's nothing special about plate 1."),
        ("examine cabinet 1", "The cabinet 1 is open. In it, you see nothing."),
        ("close cabinet 1", "You close the cabinet 1."),
        ("move plate 1 to cabinet 1", NOTHING_HAPPENS),
        (
            "go to countertop 1",
            "You arrive at countertop 1. On the countertop 1, you see a mug 1, a mug 2, and a desklamp 1.",
        ),
        ("take mug 1 from countertop 1", NOTHING_HAPPENS),  # one thing at a time
        ("move plate 1 to countertop 1", "You move the plate 1 to the countertop 1."),
        ("look", "You are facing the countertop 1. Next to it, you see nothing."),
        ("take desklamp 1 from countertop 1", NOTHING_HAPPENS),
        ("examine desklamp 1", "This desklamp 1 is off."),
        ("use desklamp 1", "You turn on the desklamp 1."),
        ("examine desklamp 1", "This desklamp 1 is on."),
        ("take mug 1 from countertop 1", "You pick up the mug 1 from the countertop 1."),
        ("clean mug 1 with countertop 1", NOTHING_HAPPENS),
        ("go to microwave 1", "You arrive at microwave 1. The microwave 1 is closed."),
        ("heat mug 1 with microwave 1", "You heat the mug 1 using the microwave 1."),
        ("examine mug 1", "This is a hot mug 1."),
        ("go to fridge 1", "You arrive at fridge 1. The fridge 1 is closed."),
        ("cool mug 1 with fridge 1", "You cool the mug 1 using the fridge 1."),
        ("examine mug 1", "This is a cold mug 1."),
        ("cool mug 2 with fridge 1", NOTHING_HAPPENS),
        ("go to sinkbasin 1", "You arrive at sinkbasin 1. On the sinkbasin 1, you see a fork 1."),
        ("clean mug 1 with sinkbasin 1", "You clean the mug 1 using the sinkbasin 1."),
        ("examine mug 1", "This is a cool and clean mug 1."),
        ("inventory", "You are carrying: a mug 1."),
        ("go to sofa 1", NOTHING_HAPPENS),
        ("dance", NOTHING_HAPPENS),
        ("", NOTHING_HAPPENS),
    ]
    game = HouseholdGame(household())
    assert [(command, game.act(command)) for command, _ in turns] == turns
    assert game.act("help").startswith("You can: look")


@pytest.mark.parametrize(
    ("commands", "answer"),
    [
        (("take mug 1 from countertop 1",), "The mug 1 cannot be moved."),
        (("use desklamp 1",), "The desklamp 1 stays dark."),
        ((*TAKE, "go to sinkbasin 1", "clean mug 2 with sinkbasin 1"), "The sinkbasin 1 gives no water."),
        ((*TAKE, "go to microwave 1", "heat mug 2 with microwave 1"), "The microwave 1 does not start."),
        ((*TAKE, "go to fridge 1", "cool mug 2 with fridge 1"), "The fridge 1 does not cool."),
        ((*TAKE, "go to shelf 1", "move mug 2 to shelf 1"), "Nothing stays on the shelf 1."),
        (("go to cabinet 1", "open cabinet 1"), "The cabinet 1 does not open."),
    ],
)
def test_what_does_not_work_says_so_and_changes_nothing(commands, answer):
    refusing = {"mug 1", "desklamp 1", "sinkbasin 1", "microwave 1", "fridge 1", "shelf 1", "cabinet 1"}
    answers, game = play("go to countertop 1", *commands, refusing=frozenset(refusing))
    assert answers[-1] == answer
    before = game.act("inventory")
    game.act(commands[-1])
    assert game.act("inventory") == before
    assert not game.won


def test_what_is_to_be_seen_from_a_place_is_said_once():
    remarks = (("shelf 1", "From here you see a dry sinkbasin 1, and a mug 1 on the countertop 1."),)
    answers, _ = play("go to shelf 1", "go to fridge 1", "go to shelf 1", remarks=remarks)
    assert answers[0] == f"You arrive at shelf 1. On the shelf 1, you see nothing. {remarks[0][1]}"
    assert answers[2] == "You arrive at shelf 1. On the shelf 1, you see nothing."


def test_a_clean_thing_on_the_shelf_wins_and_a_dirty_one_does_not():
    _, game = play("go to countertop 1", "take mug 1 from countertop 1", "go to shelf 1", "move mug 1 to shelf 1")
    assert not game.won
    for command in ("take mug 1 from shelf 1", "go to sinkbasin 1", "clean mug 1 with sinkbasin 1", "go to shelf 1"):
        game.act(command)
        assert not game.won
    game.act("move mug 1 to shelf 1")
    assert game.won


@pytest.mark.parametrize(("treatment", "other"), [("heat", "cool"), ("cool", "heat")])
def test_the_last_of_hot_and_cold_counts(treatment, other):
    tools = {"heat": "microwave 1", "cool": "fridge 1"}
    _, game = play("go to countertop 1", "take mug 2 from countertop 1", treatment=treatment)
    for each in (treatment, other):
        game.act(f"go to {tools[each]}")
        game.act(f"{each} mug 2 with {tools[each]}")
    game.act("go to shelf 1")
    game.act("move mug 2 to shelf 1")
    assert not game.won


def test_two_things_have_to_come_to_the_same_place():
    def bring(thing, start, place):
        return [f"go to {start}", f"take {thing} from {start}", f"go to {place}", f"move {thing} to {place}"]

    contents = (*CONTENTS, ("shelf 2", ()))
    task = Household("x", "t", "put two mug in shelf.", "mug", "shelf", "", 2, contents)
    game = HouseholdGame(task)
    for command in [*bring("mug 1", "countertop 1", "shelf 1"), *bring("mug 2", "countertop 1", "shelf 2")]:
        game.act(command)
    assert not game.won
    for command in bring("mug 1", "shelf 1", "shelf 2"):
        game.act(command)
    assert game.won


def test_a_thing_is_looked_at_in_hand_where_the_lamp_is_lit():
    _, game = play("go to countertop 1", "use desklamp 1", thing="mug", target="desklamp", treatment="")
    assert not game.won
    game.act("take mug 1 from countertop 1")
    assert game.won
    game.act("go to shelf 1")
    assert not game.won


def test_admissible_commands_are_those_that_something_comes_of():
    rng = np.random.default_rng(0)
    for number in range(6):
        task = BuiltinTasks(3).get(f"test-{number:05d}")
        places = list(task.receptacles)
        things = [thing for _, held in task.contents for thing in held]
        candidates = ["look", "inventory", "help", *(f"go to {p}" for p in places), *(f"use {t}" for t in things)]
        candidates += [f"{verb} {place}" for verb in ("open", "close", "examine") for place in places]
        candidates += [f"examine {thing}" for thing in things]
        for thing, place in itertools.product(things, places):
            candidates += [f"take {thing} from {place}", f"move {thing} to {place}"]
            candidates += [f"{verb} {thing} with {place}" for verb in ("clean", "heat", "cool")]
        game = HouseholdGame(task)
        for _ in range(15):
            admissible = game.admissible
            assert admissible == sorted(set(admissible))
            works, twin = set(), copy.deepcopy(game)
            for command in candidates:
                if twin.act(command) != NOTHING_HAPPENS:
                    works.add(command)
                    twin = copy.deepcopy(game)
            assert works == set(admissible)
            eager = [c for c in admissible if c.startswith(("take", "open", "move", "clean", "heat", "cool"))]
            game.act(str(rng.choice(eager if eager and rng.random() < 0.7 else admissible)))


@pytest.mark.parametrize("twin_of", [copy.deepcopy, lambda game: pickle.loads(pickle.dumps(game))])
def test_a_copy_goes_on_alike_and_apart(twin_of):
    _, game = play("go to countertop 1", "take mug 1 from countertop 1")
    twin = twin_of(game)
    assert twin.act("go to shelf 1") == game.act("go to shelf 1")
    twin.act("move mug 1 to shelf 1")
    assert game.act("inventory") == "You are carrying: a mug 1."
    assert copy.deepcopy(game)._household is game._household


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("put mug 1 in/on cabinet 2", "move mug 1 to cabinet 2"),
        ("put mug 1 in cabinet 2", "move mug 1 to cabinet 2"),
        ("put mug 1 on shelf 2", "move mug 1 to shelf 2"),
        ("Put the mug 1 into the cabinet 2.", "move mug 1 to cabinet 2"),
        ("move mug 1 to cabinet 2", "move mug 1 to cabinet 2"),
        ("  GO  to\tcabinet 2 ", "go to cabinet 2"),
        ("take the mug 1 from the cabinet 2", "take mug 1 from cabinet 2"),
        ("put mug 1", "put mug 1"),
        ("look", "look"),
        ("", ""),
    ],
)
def test_commands_are_brought_into_one_form(action, command):
    assert normalize(action) == command
