"""Configs hold plain values of the types that they declare."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from retro_gym.errors import ConfigError
from retro_gym.typed_fields import settle_fields


@dataclasses.dataclass(frozen=True)
class Config:
    count: "int" = 1
    rate: "float | None" = None
    name: "str" = "x"
    on: "bool" = False
    where: "Path" = Path("a")
    other: "list[int]" = dataclasses.field(default_factory=list)

    def __post_init__(self):
        settle_fields(self)


def test_numpys_numbers_and_texts_of_paths_become_plain():
    config = Config(count=np.int64(3), rate=np.float32(0.5), on=np.bool_(True), where="b/c", other=(1,))
    assert config == Config(3, 0.5, "x", True, Path("b/c"), (1,))
    assert json.dumps([config.count, config.rate, config.on]) == "[3, 0.5, true]"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"count": 1.0}, "count is 1.0; it must be of type int"),
        ({"count": "1"}, "count is '1'"),
        ({"count": True}, "count is True"),
        ({"count": None}, "count is None"),
        ({"rate": "1e-3"}, r"rate is '1e-3'; it must be of type float \| None"),
        ({"name": 3}, "name is 3"),
        ({"on": 1}, "on is 1"),
        ({"where": 3}, "where is 3"),
    ],
)
def test_values_of_other_types_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        Config(**fields)
