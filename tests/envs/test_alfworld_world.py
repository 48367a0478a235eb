"""The built-in world: what it promises of its rooms, tasks, causes and splits, and that every task can be solved."""

from collections import Counter, defaultdict

import pytest

from retro_gym_envs.alfworld import ALFWorldEnv
from retro_gym_envs.alfworld.household import HouseholdGame
from retro_gym_envs.alfworld.objects import APPLIANCES, LAMP, OPENABLE, ROOMS, THINGS
from retro_gym_envs.alfworld.observations import kind_of, read_goal, room_of
from retro_gym_envs.alfworld.remarks import WORDS, sights_in
from retro_gym_envs.alfworld.world import CAUSES, TASK_TYPES, BuiltinTasks, split_of_pair, split_of_room
from retro_gym_envs.task_sources import SPLITS

GOOD = {word for states in WORDS.values() for word in states.good}


@pytest.fixture(scope="module")
def tasks():
    source = BuiltinTasks(0)
    return {split: [source.get(task_id) for task_id in source.ids(split)[:1_000]] for split in SPLITS}


def plan(task):
    """Commands that solve a task, worked out from where its things are: an independent solver."""
    places = {thing: place for place, things in task.contents for thing in things if thing not in task.refusing}
    wanted = sorted(thing for thing in places if kind_of(thing) == task.thing)[: task.count]
    works = [place for place in task.receptacles if place not in task.refusing]
    opened = set()

    def visit(place):
        yield f"go to {place}"
        if kind_of(place) in OPENABLE and place not in opened:
            opened.add(place)
            yield f"open {place}"

    target = LAMP if task.target == LAMP else next(p for p in works if kind_of(p) == task.target)
    for thing in wanted:
        yield from visit(places[thing])
        yield f"take {thing} from {places[thing]}"
        if target == LAMP:
            lamp = next(other for other in places if kind_of(other) == LAMP)
            yield from visit(places[lamp])
            yield f"use {lamp}"
            return
        if task.treatment:
            tool = next(p for p in works if kind_of(p) == APPLIANCES[task.treatment])
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


# -- splits ----------------------------------------------------------------------------------------------------------


def test_nothing_of_one_split_is_in_another():
    """Over all tasks: goals word by word, pairs of object and target, and rooms with their numbers of receptacles."""
    source = BuiltinTasks(0)
    goals, pairs, rooms = ({split: set() for split in SPLITS} for _ in range(3))
    for split in SPLITS:
        for task_id in source.ids(split):
            task = source.get(task_id)
            goals[split].add(task.goal)
            pairs[split].add((task.thing, task.target))
            rooms[split].add(tuple(sorted(Counter(map(kind_of, task.receptacles)).items())))
    for found in (goals, pairs, rooms):
        assert all(len(keys) > 40 for keys in found.values())
        assert not found["train"] & (found["validation"] | found["test"])
        assert not found["validation"] & found["test"]


def test_a_split_is_told_by_its_rooms_and_pairs(tasks):
    for split in SPLITS:
        for task in tasks[split]:
            assert split_of_room(Counter(map(kind_of, task.receptacles))) == split
            assert split_of_pair(task.thing, task.target) == split


def test_another_world_keeps_its_splits_apart_from_this_one(tasks):
    other = BuiltinTasks(5)
    train = [other.get(task_id) for task_id in other.ids("train")[:1_000]]
    assert not {task.goal for task in train} & {task.goal for task in tasks["test"]}
    assert not {frozenset(task.receptacles) for task in train} & {frozenset(t.receptacles) for t in tasks["test"]}


def test_goals_are_read_back_in_every_split(tasks):
    wordings = defaultdict(set)
    for split in SPLITS:
        for task in tasks[split]:
            goal = read_goal(task.description)
            assert (goal.thing, goal.target) == (task.thing, task.target)
            expected = {"pick_two_obj_and_place": "two", "look_at_obj_in_light": "light"}.get(task.type, task.treatment)
            assert goal.treatment == expected
            wordings[split].add(task.goal.replace(task.thing, "T").replace(task.target, "R"))
    assert not wordings["train"] & wordings["test"]
    assert len(wordings["train"]) > 12


# -- causes of failure -----------------------------------------------------------------------------------------------


def test_causes_are_balanced_in_every_type(tasks):
    shares = defaultdict(Counter)
    for split in SPLITS:
        for task in tasks[split]:
            shares[task.type]["+".join(need.cause for need in task.needs)] += 1
    for type_, causes in shares.items():
        single = [count for cause, count in causes.items() if "+" not in cause]
        assert len(single) == (3 if "simple" in type_ or "look" in type_ or "two" in type_ else 4)
        assert max(single) < 1.5 * min(single), (type_, causes)
        assert 0.13 < 1 - sum(single) / causes.total() < 0.27
        assert all(part in CAUSES for cause in causes for part in cause.split("+"))


def test_what_is_needed_is_seen_from_the_first_two_places_among_four_others(tasks):
    positions = Counter()
    for task in tasks["test"]:
        assert len(task.remarks) == len(task.needs)
        for (place, text), need in zip(task.remarks, task.needs, strict=True):
            assert place in task.receptacles[:2]
            ((*sights,),) = sights_in(text)
            assert len({sight.name for sight in sights}) == 5
            right = [
                sight
                for sight in sights
                if sight.state in GOOD or (not sight.state and kind_of(sight.name) == task.thing)
            ]
            assert [(sight.name, sight.place) for sight in right] == [(need.name, need.place)]
            assert need.name not in task.refusing
            positions[sights.index(right[0])] += 1
    assert max(positions.values()) < 1.3 * min(positions.values())


def test_the_number_of_what_is_needed_says_nothing(tasks):
    for cause in CAUSES:
        numbers = Counter(
            need.name.split()[-1] for task in tasks["train"] for need in task.needs if need.cause == cause
        )
        assert max(numbers.values()) < 0.28 * numbers.total()


def test_the_room_is_furnished_alike_whatever_the_cause(tasks):
    for split in SPLITS:
        for task in tasks[split]:
            kinds = Counter(map(kind_of, task.receptacles))
            candidates = [kind for kind in (APPLIANCES.get(task.treatment), task.target) if kind not in (None, LAMP)]
            assert [kinds.pop(kind) for kind in candidates] == [5] * len(candidates)
            assert kinds.total() == 7
            assert not {kind_of(name) for name in task.receptacles[:2]} & set(candidates)


def test_rooms_hold_what_they_say(tasks):
    for task in tasks["validation"]:
        names = [thing for _, things in task.contents for thing in things]
        assert len(names) == len(set(names)), "a name means one thing"
        assert sum(name not in task.refusing for name in names if kind_of(name) == task.thing) == task.count
        for name in names:
            assert kind_of(name) == LAMP or kind_of(name) in THINGS
        assert room_of(task.description) == list(task.receptacles)


def test_tables_refer_to_each_other():
    for thing in THINGS.values():
        assert thing.rooms <= set(ROOMS)
        assert thing.uses <= {"clean", "heat", "cool", "light"}
    for states in WORDS.values():
        assert not set(states.good) & set(states.bad)
    for room in ROOMS.values():
        assert not set(room.places) & OPENABLE
