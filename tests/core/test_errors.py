import inspect
import pickle
import re

import pytest

from retro_gym import errors

CLASSES = [
    value for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.RetroGymError)
]


def drawn_tree():
    """Class name, its parent's name and the built-in names behind it, as the module's docstring draws them."""
    path, rows = [], []
    for line in inspect.getdoc(errors).splitlines():
        found = re.match(r"( *[│ ]*(?:[├└]── )?)(\w+Error)(?: \((.*?)\))?", line)
        if found is None or ("──" not in line and found.group(2) != "RetroGymError"):
            continue
        depth = (len(found.group(1)) - 4) // 4
        path[depth:] = [found.group(2)]
        rows.append((found.group(2), path[depth - 1] if depth else None, (found.group(3) or "").split()))
    return rows


def make(kind):
    return kind("torch", "train") if kind is errors.MissingExtraError else kind("what was received: 3")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_survives_a_pickle_round_trip(kind):
    error = make(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert again.args == error.args
    assert str(again) == str(error)


def test_the_drawn_tree_is_the_tree_of_classes():
    drawn = {name: (parent, builtins) for name, parent, builtins in drawn_tree()}
    assert drawn.keys() == {kind.__name__ for kind in CLASSES}
    for kind in CLASSES:
        parent, builtins = drawn[kind.__name__]
        own = [base.__name__ for base in kind.__bases__]
        assert own == [*([parent] if parent else ["Exception"]), *builtins]


def test_every_error_also_is_the_builtin_that_a_caller_expects():
    assert issubclass(errors.ConfigError, ValueError)
    assert issubclass(errors.UnknownTaskError, LookupError)
    assert issubclass(errors.ActionError, TypeError)
    assert issubclass(errors.MissingExtraError, ImportError)


def test_a_missing_library_names_the_extra_that_brings_it():
    error = errors.MissingExtraError("torch", "train")
    assert 'pip install "retro-gym[train]"' in str(error)
    assert (error.library, error.extra) == ("torch", "train")


def test_the_nearest_name_is_offered_and_a_far_one_is_not():
    assert errors.did_you_mean("improvment", ["return", "improvement"]) == " Did you mean 'improvement'?"
    assert errors.did_you_mean("zzz", ["return"]) == ""
    assert errors.did_you_mean(None, ["return"]) == ""


def test_one_line_is_never_longer_than_its_limit():
    assert errors.one_line("short") == "'short'"
    assert len(errors.one_line("x" * 1_000_000, limit=30)) == 30
    assert "\n" not in errors.one_line("two\nlines")
