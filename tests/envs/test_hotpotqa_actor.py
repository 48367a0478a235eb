"""The scripted actor, and the teacher, played on the built-in test tasks."""

import re
import time

import gymnasium as gym
import numpy as np
import pytest

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.prompts import Prompt
from retro_gym_envs.hotpotqa.actor import ScriptedHotpotActor
from retro_gym_envs.hotpotqa.observations import answer_sort, candidates, spans
from retro_gym_envs.hotpotqa.relations import attributes_of
from retro_gym_envs.hotpotqa.rule import read_failure
from retro_gym_envs.hotpotqa.world import CAUSES, BuiltinTasks
from tests.envs.first_trials import solved_unaided, success_at_trial_1
from tests.envs.hotpotqa_sentences import COMPARISONS, ONE_PAGE, WITHOUT_EFFECT

TASKS = 100

PARAPHRASES = [
    "I should have looked up {n}, who is the {r}, and read the {w} there.",
    "In my previous attempt I stopped too early. Next time, open the page of {n} and note its {w}.",
    "look up {l} and read {w}",
    "- search {n}\n- read the {w}\n- finish",
    '1. Search[{n}]\n2. Find "{w}" on that page.\n3. Answer with it.',
    "The {w} on the page of {n}, the {r}, should be read before answering.",
    "My mistake was not to read the right page: the {r} is {n}, so {n} must be searched, and then the {w} found.",
    'Because the {r} in question is {n}, I will go to "{n}" next and take the {w} from it.',
    "{n} was the one I should have followed. Its {w} is the answer.",
    "I never opened {n}. That page lists the {w}.",
    "Instead of answering at once, visit '{n}' and use the entry {w}.",
    "The correct {r} turned out to be {n}. Read off the {w}.",
    "Next attempt: {n}, {w}.",
]
NO_ADVICE = [
    "Do not search for {n}.",
    "I searched for {n} and read the {w}.",
    "Should I search for {n} and find the {w}?",
    "Sing a song for {n} and the {w}.",
    "Sing a song for the {r}, {n}.",
    "{n} is not the {r}, and the {w} is useless.",
]


@pytest.fixture(scope="module")
def env():
    return gym.make("RetroHotpotQA-v0", split="test", max_reflections=1).unwrapped


@pytest.fixture(scope="module")
def solved(env):
    return solved_unaided(env, TASKS)


@pytest.fixture(scope="module")
def retried(env, solved):
    """Success at trial 1 without a reflection."""
    return success_at_trial_1(env, solved, lambda _: "")


def failures(env, count, cause=""):
    """Starts failed test tasks one after another, of a cause if one is given."""
    for task_id in env.task_env.task_ids("test")[:count]:
        if not cause or env.task_env.teacher.failure_cause(task_id) == cause:
            _, info = env.reset(seed=0, options={"task_id": task_id})
            if not info["success"]:
                yield task_id


def seen(env):
    return read_failure(env.trajectory.render())


def filled(form, lesson):
    names, roles = [name for _, name in lesson.entities], [role for role, _ in lesson.entities]
    said = " and ".join(names)
    return form.format(n=said, l=said.lower(), r=" and ".join(roles), w=lesson.word)


def test_a_plain_retry_sometimes_helps(env, solved, retried):
    assert 0.1 <= np.mean(list(solved.values())) <= 0.3
    assert 0.2 <= retried <= 0.45


def test_the_oracle_solves_everything_and_does_not_say_the_answer(env, solved):
    teacher = env.task_env.teacher
    assert success_at_trial_1(env, solved, teacher.oracle_reflection) >= 0.96
    assert not any(teacher.leaks(teacher.oracle_reflection(task_id), task_id) for task_id in solved)


@pytest.mark.parametrize("world_seed", [0, 3])
def test_rules_read_in_the_failure_what_the_oracle_knows(world_seed):
    env = gym.make("RetroHotpotQA-v0", split="test", world_seed=world_seed).unwrapped
    teacher = env.task_env.teacher
    for seed in range(3):
        for task_id in env.task_env.task_ids("test")[:150]:
            observation, info = env.reset(seed=seed, options={"task_id": task_id})
            if not info["success"]:
                said = teacher.rule_reflection(observation)
                assert said == teacher.oracle_reflection(task_id)
                assert teacher.check_reflection(said, env.trajectory).grounded


def test_every_failure_has_four_more_candidates(env):
    for cause in CAUSES:
        places = []
        for _ in failures(env, 200, cause):
            failure = seen(env)
            lesson = failure.lesson()
            for entity, (_, title) in zip(failure.asked.entities, lesson.entities, strict=True):
                names = [name for link in failure.links(entity.subject) for name in link.names]
                titles = failure.titles(re.sub(r" \(.*", "", title))
                assert len(names) >= 5
                assert len(titles) == 5 or title == titles[0]
                places.append((titles if len(titles) > 1 else names).index(title))
            words = failure.words()
            assert (len(words) == 5) == (cause in ("label", "two"))
        assert max(np.bincount(places)) / len(places) < 0.5


def test_what_says_nothing_about_the_failure_is_a_plain_retry(env, solved, retried):
    teacher = env.task_env.teacher
    others = dict(zip(solved, [*list(solved)[1:], next(iter(solved))], strict=True))
    for write in (
        lambda _: "I should be more careful next time and check every step before I answer.",
        lambda _: "Do not stop early and do not believe rumours. Read the linked pages.",
        lambda _: env.trajectory.task,
        lambda _: f"Search for what is asked: {env.trajectory.task}",
        lambda _: f"Find the {' or the '.join(seen(env).asked.attribute.words)}.",
        teacher.told_reflection,
        lambda task_id: f"Search for {env.task_env.task(task_id).answer}.",
        lambda task_id: teacher.oracle_reflection(others[task_id]),
    ):
        assert success_at_trial_1(env, solved, write) == pytest.approx(retried, abs=0.03)


def candidates_in(failure):
    return [name for entity in failure.asked.entities for link in failure.links(entity.subject) for name in link.names]


COPIES = {
    "beginning": lambda text, _: text[:600],
    "middle": lambda text, _: text[:1_000],
    "end": lambda text, _: text[-600:],
    "actions": lambda text, _: "\n".join(re.findall(r"Action \d: (.*)", text)),
    "all names": lambda _, failure: f"Search for {', '.join(candidates_in(failure))}.",
    "first name": lambda _, failure: f"Search for {candidates_in(failure)[0]} and find the {failure.lesson().word}.",
    "last name": lambda _, failure: f"Search for {candidates_in(failure)[-1]} and find the {failure.lesson().word}.",
    "two names": lambda _, failure: f"Search for {' and '.join(candidates_in(failure)[1:3])}.",
    "last search": lambda _, failure: (
        f"Search for {list(failure.found)[-1]} and find the {' or the '.join(failure.asked.attribute.unusual)}."
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_copies_and_fixed_choices_bring_no_more_than_a_retry(env, solved, retried, name):
    def write(_):
        return COPIES[name](env.trajectory.render(), seen(env))

    assert success_at_trial_1(env, solved, write) <= retried + 0.1 * (1 - retried)


@pytest.mark.parametrize("form", PARAPHRASES)
def test_it_understands_other_words_for_the_same(env, form):
    after = [env.branch([filled(form, seen(env).lesson())])[0].success for _ in failures(env, 60)]
    assert np.mean(after) >= 0.9


def shares(env, forms, count, entities):
    """Success by form on the first failures of questions for a number of entities."""
    outcomes = []
    for _ in failures(env, count):
        failure = seen(env)
        lesson = failure.lesson()
        if len(lesson.entities) in entities:
            names = [name for _, name in lesson.entities]
            other = next((each for each in failure.words() if each != lesson.word), "rumour")
            words = {"n": " and ".join(names), "w": lesson.word, "o": other, "n1": names[0], "n2": names[-1]}
            outcomes.append([outcome.success for outcome in env.branch([form.format(**words) for form in forms])])
    return dict(zip(forms, np.mean(outcomes, axis=0), strict=True))


def test_it_understands_what_other_people_write(env):
    assert min((single := shares(env, ONE_PAGE, 30, {1})).values()) >= 0.9, single
    assert min((double := shares(env, COMPARISONS, 120, {2})).values()) >= 0.8, double


def test_remarks_and_doubts_are_no_advice(env):
    assert max((found := shares(env, WITHOUT_EFFECT, 40, {1, 2})).values()) <= 0.35, found


def test_speaking_of_every_candidate_is_no_choice(env, solved, retried):
    def write(form):
        return lambda _: " ".join(form.format(name) for name in candidates_in(seen(env)))

    def eliminated(_):
        failure = seen(env)
        right = [name for _, name in failure.lesson().entities]
        wrong = [name for name in candidates_in(failure) if name not in right]
        return f"{' '.join(f'Not {name}.' for name in wrong)} Search for {' and '.join(right)}."

    for policy in (write("Search for {}."), write("If {0} is right, search for {0}."), eliminated):
        assert success_at_trial_1(env, solved, policy) <= retried + 0.1 * (1 - retried)


def test_long_reflections_are_read_quickly(env):
    next(failures(env, 30))
    for text in ("Search for it, and do not read the page. " * 2_500, "a" * 100_000, "- Tor\n" * 16_000):
        start = time.process_time()
        env.branch([text[:1_000], text])
        assert time.process_time() - start < 2


@pytest.mark.parametrize("form", NO_ADVICE)
def test_what_is_denied_asked_or_reported_is_no_advice(env, form):
    after = [env.branch([filled(form, seen(env).lesson())])[0].success for _ in failures(env, 60)]
    assert np.mean(after) <= 0.35


def test_a_wrong_name_or_word_leads_astray(env):
    for _ in failures(env, 60, "hop"):
        failure = seen(env)
        lesson, attribute = failure.lesson(), failure.asked.attribute
        if len(lesson.entities) > 1:
            continue
        right, (_, title) = lesson.as_text(), lesson.entities[0]
        name = next(each for each in candidates_in(failure) if each != title)
        word = next(each.name for each in attributes_of(attribute.kind, attribute.sort) if each != attribute)
        texts = [right, right.replace(title, name), right.replace(f"{lesson.word}.", f"{word}.")]
        assert [outcome.success for outcome in env.branch(texts)] == [True, False, False]


def test_part_of_a_name_is_enough_and_too_many_names_confuse(env):
    for _ in failures(env, 80, "link"):
        failure = seen(env)
        title = failure.lesson().entities[0][1]
        names = candidates_in(failure)
        everything = f"Search for {', '.join(names)}, and find the {failure.lesson().word}."
        if len(failure.asked.entities) == 1:
            part, every, blank = env.branch([f"Look up {title.split()[0]}.", everything, ""])
            assert part.success
            assert every.trajectory.turns == blank.trajectory.turns


def test_earlier_reflections_are_kept_unless_a_later_one_speaks_of_the_same():
    env = gym.make("RetroHotpotQA-v0", split="test").unwrapped
    for _ in failures(env, 80, "label"):
        failure = seen(env)
        lesson = failure.lesson()
        if len(lesson.entities) > 1:
            continue
        (_, name), word = lesson.entities[0], lesson.word
        wrong = next(each for each in failure.words() if each != word)
        env.step(f"Search for {name} and read the {wrong}.")
        later, again, careful = env.branch(
            [f"Read the {word} instead.", f"Search for {name} and read the {word}.", "Be careful."]
        )
        assert later.success
        assert again.success
        assert not careful.success


def test_at_temperature_0_it_always_plays_alike():
    env = gym.make("RetroHotpotQA-v0", split="test", actor_kwargs={"temperature": 0.0}).unwrapped
    for task_id in env.task_env.task_ids("test")[:20]:
        played = [env.reset(seed=seed, options={"task_id": task_id})[0] for seed in range(3)]
        assert len(set(played)) == 1


def test_the_same_seed_gives_the_same_trial_and_another_one_another(env):
    ids = env.task_env.task_ids("test")[:20]
    played = [[env.reset(seed=seed, options={"task_id": each})[0] for each in ids] for seed in (0, 0, 1)]
    assert played[0] == played[1] != played[2]


def test_it_reads_the_prompts_text_and_nothing_else():
    actor = ScriptedHotpotActor()
    parts = Prompt("Instruction", (), (), "Question: Who owns Velmora Works?", (), seed=1)
    told = Prompt(parts.text.rstrip(), (), (), "", (), seed=2, template="{instruction}")
    assert (
        actor.reply([parts])[0].text
        == actor.reply([told])[0].text
        == ("Thought 1: I look up Velmora Works.\nAction 1: Search[Velmora Works]")
    )


def test_the_observation_is_short(env):
    lengths = [len(env.reset(seed=seed)[0]) for seed in range(100)]
    assert np.mean(lengths) < 1_100
    assert max(lengths) < 2_000


def test_the_noisy_teacher_is_well_formed_grounded_and_usually_wrong(env):
    rng = np.random.default_rng(0)
    right, retries = [], []
    for seed in range(200):
        env.reset(seed=seed)
        text = env.task_env.teacher.noisy_reflection(env.trajectory, rng)
        check = env.task_env.teacher.check_reflection(text, env.trajectory)
        assert check.well_formed, text
        assert check.grounded, text
        outcomes = env.branch([text, ""])
        right.append(outcomes[0].success)
        retries.append(outcomes[1].success)
    assert np.mean(retries) + 0.02 < np.mean(right) < 0.45


def test_the_noisy_teachers_most_likely_reflection_is_usually_wrong(env):
    teacher = env.task_env.teacher
    likely = []
    for task_id in failures(env, 60):
        said = [teacher.noisy_reflection(env.trajectory, np.random.default_rng(seed)) for seed in range(60)]
        likely.append(env.branch([max(set(said), key=said.count)])[0].success)
        assert teacher.oracle_reflection(task_id) in said
    assert np.mean(likely) < 0.5, "it knows most words, and takes the first link"


def test_teacher_depends_on_its_generator_alone(env):
    env.reset(seed=3)
    first = [env.task_env.teacher.noisy_reflection(env.trajectory, np.random.default_rng(5)) for _ in range(2)]
    assert first[0] == first[1]


def test_check_reflection_tells_form_from_content(env):
    for task_id in list(failures(env, 30))[-1:]:
        right = env.task_env.teacher.oracle_reflection(task_id)
        check = env.task_env.teacher.check_reflection
        name = seen(env).lesson().entities[0][1]
        assert check(right, env.trajectory).grounded
        wrong = check(right.replace(name, "Skumex Orvin"), env.trajectory)
        assert wrong.well_formed
        assert not wrong.grounded
        assert not check("Be careful.", env.trajectory).well_formed
        assert not check(right + " And so on", env.trajectory).well_formed


def test_leaks_are_answers_however_written(env):
    teacher = env.task_env.teacher
    tasks = BuiltinTasks(0)
    task_id = next(each for each in tasks.ids("test") if "," in tasks.get(each).answer)
    answer = tasks.get(task_id).answer
    assert teacher.leaks(f"It is {answer.replace(',', '')}!", task_id)
    assert teacher.leaks(teacher.told_reflection(task_id), task_id)
    assert not teacher.leaks(f"It is 9{answer}.", task_id)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("In what year was the director of Velmora Nights born?", ["Velmora Nights"]),
        ('Who covered "If You Ever Get Lonely"?', ["If You Ever Get Lonely"]),
        ("Search[Maine gubernatorial election, 1820] next", ["Maine gubernatorial election, 1820"]),
        ("The capital of New Zealand", ["New Zealand"]),
        ("be careful. Nothing else", []),
        ("", []),
    ],
)
def test_spans(text, names):
    assert spans(text) == names


@pytest.mark.parametrize(
    ("question", "offered"),
    [
        ("Who was born first, Lucie Hradecká or Raffaella Reggi?", ["Lucie Hradecká", "Raffaella Reggi"]),
        ("What are Woman's Era and Naj?", ["Woman's Era", "Naj"]),
        ("Who owns Velmora Works?", []),
    ],
)
def test_candidates(question, offered):
    assert candidates(question) == offered


@pytest.mark.parametrize(
    ("question", "sort"),
    [
        ("When was it?", "year"),
        ("How many are there?", "number"),
        ("Who is it?", "person"),
        ("Where is it?", "place"),
        ("Which prize is it?", "name"),
    ],
)
def test_answer_sort(question, sort):
    assert answer_sort(question) == sort
