"""The built-in world: what it promises of its rooms, tasks and splits, and that every task can be solved."""

from collections import Counter

import pytest

from retro_gym_envs.alfworld import ALFWorldEnv
from retro_gym_envs.alfworld.household import HouseholdGame, kind_of
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, OPENABLE, RECEPTACLES, ROOMS, TARGETS, THINGS
from retro_gym_envs.alfworld.observations import read_goal, room_of
from retro_gym_envs.alfworld.world import TASK_TYPES, BuiltinTasks, split_of_room
from retro_gym_envs.task_sources import SPLITS


@pytest.fixture(scope="module")
def tasks():
    source = BuiltinTasks(0)
    return {split: [source.get(task_id) for task_id in source.ids(split)[:1_000]] for split in SPLITS}


def room_key(task):
    return tuple(task.receptacles)


def plan(task):
    """Commands that solve a task, worked out from where its things are: an independent solver."""
    places = {thing: place for place, things in task.contents for thing in things}
    wanted = sorted(thing for thing in places if kind_of(thing) == task.thing)[: task.count]
    opened = set()

    def visit(place):
        yield f"go to {place}"
        if kind_of(place) in OPENABLE and place not in opened:
            opened.add(place)
            yield f"open {place}"

    target = LAMP if task.target == LAMP else next(p for p in task.receptacles if kind_of(p) == task.target)
    for thing in wanted:
        yield from visit(places[thing])
        yield f"take {thing} from {places[thing]}"
        if target == LAMP:
            lamp = next(other for other in places if kind_of(other) == LAMP)
            yield from visit(places[lamp])
            yield f"use {lamp}"
            return
        if task.treatment:
            tool = next(p for p in task.receptacles if kind_of(p) == APPLIANCES[task.treatment])
            yield f"go to {tool}"
            yield f"{task.treatment} {thing} with {tool}"
        yield from visit(target)
        yield f"move {thing} to {target}"


def test_every_task_can_be_solved_within_its_turns(tasks):
    solved = Counter()
    for split in SPLITS:
        for task in tasks[split]:
            game, commands = HouseholdGame(task), list(plan(task))
            for command in commands[:-1]:
                game.act(command)
                assert not game.won, "a task is done by its last command, not before"
            game.act(commands[-1])
            assert game.won, (task, commands)
            assert len(commands) <= ALFWorldEnv.max_turns
            solved[task.type] += 1
    assert set(solved) == set(TASK_TYPES)
    assert min(solved.values()) > 300


def test_a_task_depends_on_world_split_and_number_alone():
    ids = BuiltinTasks(0).ids("train")
    first = BuiltinTasks(0).get(ids[7])
    again = BuiltinTasks(0)
    again.get(ids[3])
    assert again.get(ids[7]) == first
    assert BuiltinTasks(1).get(ids[7]) != first
    assert len({BuiltinTasks(0).get(task_id).contents for task_id in ids[:300]}) == 300


def test_no_room_of_one_split_is_one_of_another(tasks):
    rooms = {split: set(map(room_key, tasks[split])) for split in SPLITS}
    assert all(len(found) > 30 for found in rooms.values())
    assert not rooms["train"] & rooms["test"]
    assert not rooms["train"] & rooms["validation"]
    assert not rooms["validation"] & rooms["test"]
    for split in SPLITS:
        for task in tasks[split][:200]:
            assert split_of_room(Counter(map(kind_of, task.receptacles))) == split


def test_another_world_keeps_its_splits_apart_from_this_one(tasks):
    other = BuiltinTasks(5)
    train = {room_key(other.get(task_id)) for task_id in other.ids("train")[:1_000]}
    assert not train & set(map(room_key, tasks["test"]))


def test_nothing_is_done_before_it_begins(tasks):
    for task in tasks["train"]:
        game = HouseholdGame(task)
        game.act("look")
        assert not game.won


def test_the_list_on_the_wall_is_true_and_names_the_things_of_the_task(tasks):
    first = Counter()
    for task in tasks["test"]:
        places = {thing: place for place, things in task.contents for thing in things}
        assert all(places[thing] == place for thing, place in task.note)
        noted = [kind_of(thing) for thing, _ in task.note]
        assert noted.count(task.thing) == task.count
        assert (LAMP in noted) == (task.target == LAMP)
        assert len(noted) == 4
        first[noted[0] == task.thing] += 1
    assert first[True] < first[False], "the first of the list is a bad guess"


def test_without_the_list_it_is_the_same_room():
    noted, bare = BuiltinTasks(0).get("test-00004"), BuiltinTasks(0, note=False).get("test-00004")
    assert bare.note == ()
    assert bare.contents == noted.contents
    assert "list on the wall" in noted.description
    assert "list on the wall" not in bare.description


def test_rooms_hold_what_they_say(tasks):
    for task in tasks["validation"]:
        names = [thing for _, things in task.contents for thing in things]
        assert len(names) == len(set(names)), "a name means one thing"
        for place, things in task.contents:
            assert kind_of(place) in RECEPTACLES
            for thing in things:
                assert kind_of(thing) == LAMP or kind_of(place) in THINGS[kind_of(thing)].homes
        assert room_of(task.description) == list(task.receptacles)


def test_goals_are_read_back(tasks):
    wordings = set()
    for task in tasks["test"]:
        goal = read_goal(task.description)
        assert (goal.thing, goal.target) == (task.thing, task.target)
        expected = {"pick_two_obj_and_place": "two", "look_at_obj_in_light": "light"}.get(task.type, task.treatment)
        assert goal.treatment == expected
        wordings.add((task.type, goal.plain))
    assert len(wordings) == 2 * len(TASK_TYPES) - 1  # both wordings of the simple type say all there is


def test_tables_refer_to_each_other():
    assert set(RECEPTACLES) >= OPENABLE | TARGETS | set(APPLIANCES.values())
    for thing in THINGS.values():
        assert set(thing.homes) <= set(RECEPTACLES)
        assert thing.rooms <= set(ROOMS)
        assert thing.uses <= {"clean", "heat", "cool", "light"}
        for room in thing.rooms:
            assert set(thing.homes) & set(ROOMS[room]), (thing.name, room)
