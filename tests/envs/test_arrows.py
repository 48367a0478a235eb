"""Which way imports run inside retro_gym_envs: from an environment to what all share, and down within MySQL."""

import pytest

from tests.test_layers import imports_of

PACKAGE = "retro_gym_envs"
ROOMS = ("hotpotqa", "alfworld", "webshop", "mix", "intercode_sql")
SQL = f"{PACKAGE}.intercode_sql"
MYSQL = f"{SQL}.mysql"


def imported(root, folder, pattern="**/*.py"):
    """What of the package the files of a folder import."""
    files = list((root / "envs" / PACKAGE / folder).glob(pattern))
    assert files
    found = (each.name for path in files for each in imports_of(path.read_text(encoding="utf-8")))
    return {name for name in found if name.startswith(f"{PACKAGE}.")}


def test_what_all_share_knows_no_environment(root):
    assert {name for name in imported(root, ".", "*.py") if name.split(".")[1] in ROOMS} == set()


@pytest.mark.parametrize("room", ROOMS)
def test_no_environment_knows_another(room, root):
    others = {name for name in imported(root, room) if name.split(".")[1] in set(ROOMS) - {room}}
    assert others == set()


@pytest.mark.parametrize(
    ("folder", "open_to"),
    [
        ("intercode_sql/mysql/functions", f"{MYSQL}.functions."),
        ("intercode_sql/mysql/translation", (f"{MYSQL}.functions.", f"{MYSQL}.translation.")),
        ("intercode_sql/mysql", f"{MYSQL}."),
    ],
)
def test_mysql_knows_nothing_of_the_game(folder, open_to, root):
    assert {name for name in imported(root, folder) if name.startswith(SQL) and not name.startswith(open_to)} == set()
