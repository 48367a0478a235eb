"""A small HotpotQA file and a small WebShop of our own."""

import copy
import json
import pickle

import pytest

from retro_gym_envs.webshop import load_shop
from tests.envs.webshop_data import HUMAN, NOTES, PRODUCTS, REVIEWS

TASKS = [
    {
        "_id": f"q{i}",
        "question": question,
        "answer": answer,
        "type": kind,
        "level": "hard",
        "supporting_facts": [[title, 0], [second, 1]],
        "context": [
            [title, [f"{title} was designed by {second}.", f" {title} stands in Sarn."]],
            [second, [f"{second} was born in 19{i:02}.", f" {second} was an engineer.", " The engineer wrote."]],
            ["Sarn", ["Sarn is a town.", f" It has {i} mills."]],
        ],
    }
    for i in range(12)
    for title, second in [(f"Gull Tower {i}", f"Orla Fenwick {i}")]
    for question, answer, kind in [
        (f" What was the profession of the designer of {title}?", "an engineer", "bridge")
        if i % 3
        else (f"Was {title} built before {second} was born?", "no", "comparison")
    ]
]


@pytest.fixture
def hotpot_rows():
    """Twelve tasks in the public schema, free to be changed."""
    return copy.deepcopy(TASKS)


@pytest.fixture
def hotpot_file(tmp_path, hotpot_rows):
    """The same tasks as a file."""
    path = tmp_path / "hotpot.json"
    path.write_text(json.dumps(hotpot_rows))
    return path


@pytest.fixture
def data():
    """The four files, free to be changed."""
    return copy.deepcopy(
        {
            "items_shuffle.json": PRODUCTS,
            "items_ins_v2.json": NOTES,
            "items_human_ins.json": HUMAN,
            "reviews.json": REVIEWS,
        }
    )


@pytest.fixture
def written(tmp_path):
    """Writes files into a folder and returns it; what is text is written as it is."""

    def write(files):
        for name, content in files.items():
            text = content if isinstance(content, str) else json.dumps(content)
            (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def shop(written, data):
    return load_shop(written(data))


@pytest.fixture(params=[copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))], ids=["copy", "pickle"])
def twin_of(request):
    """Makes another one of an environment, in the same state."""
    return request.param
