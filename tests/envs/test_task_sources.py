"""The tasks of the built-in worlds: ids, splits and sizes."""

import copy
import pickle

import pytest

from retro_gym.errors import UnknownTaskError
from retro_gym_envs.alfworld.world import BuiltinTasks as AlfworldTasks
from retro_gym_envs.hotpotqa.world import BuiltinTasks as HotpotTasks
from retro_gym_envs.intercode_sql.world import BuiltinTasks as SQLTasks
from retro_gym_envs.task_sources import SPLITS
from retro_gym_envs.webshop.world import BuiltinShops

SOURCES = {HotpotTasks: 1_000, AlfworldTasks: 1_000, SQLTasks: 1_000, BuiltinShops: 500}  # tasks of the small splits


@pytest.fixture(params=SOURCES)
def source(request):
    return request.param(0)


def test_ids(source):
    for split, size in zip(SPLITS, (20_000, *[SOURCES[type(source)]] * 2), strict=True):
        ids = source.ids(split)
        assert len(ids) == len(set(ids)) == size
        assert {source.task_split(task_id) for task_id in (ids[0], ids[-1])} == {split}
        assert ids is source.ids(split)
    assert source.ids("train")[17] == "train-00017"


@pytest.mark.parametrize(
    "task_id",
    [
        "test-1",
        "test-99999",
        "test-01000",
        "dev-00001",
        "",
        "train",
        "train-0000x",
        "train--0001",
        "test-٠٠٠٠١",
        "test-²000",
    ],
)
def test_unknown_tasks_are_refused(source, task_id):
    with pytest.raises(UnknownTaskError, match=r"not in the built-in world\. Its ids run from 'train-00000' to"):
        source.get(task_id)


@pytest.mark.parametrize("split", ["dev", "", None, []])
def test_unknown_splits_are_refused(source, split):
    with pytest.raises(UnknownTaskError, match="is not one of"):
        source.ids(split)


def test_equal_arguments_make_equal_sources(source):
    assert copy.deepcopy(source) is source
    assert pickle.loads(pickle.dumps(source)) == source == type(source)(0) != type(source)(1)
    assert hash(source) == hash(type(source)(0))
    assert AlfworldTasks(0) not in (AlfworldTasks(1), HotpotTasks(0))
