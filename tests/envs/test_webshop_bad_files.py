"""What is wrong with a WebShop data file is said in one clear error."""

import contextlib
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import retro_gym  # noqa: F401 - registers the environments
from retro_gym.errors import DataError
from retro_gym_envs.webshop import Catalog, load_shop, schema
from retro_gym_envs.webshop.json_entries import read_entries
from retro_gym_envs.webshop.pages import LocalShop
from tests.envs.webshop_data import GOAL, PRODUCTS, values


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"asin": 7}, r"record 2: asin is 7 \(int\)"),
        ({"name": " "}, "record 2: asin or name"),
        ({"query": None}, "record 2: query is None"),
        ({"pricing": 12.5}, "record 2: pricing is 12.5"),
        ({"pricing": "free"}, "record 2: pricing is 'free'"),
        ({"pricing": "$1.2.3"}, "record 2: pricing"),
        ({"full_description": ["x"]}, "record 2: full_description"),
        ({"small_description": [3]}, "record 2: small_description"),
        ({"customization_options": ["x"]}, "record 2: customization_options"),
        ({"customization_options": {"color": "red"}}, r"record 2: customization_options\['color'\]"),
        ({"customization_options": {"color": [{"image": ""}]}}, r"record 2: customization_options\['color'\]"),
    ],
)
def test_a_product_out_of_the_schema_is_named(written, data, change, says):
    data["items_shuffle.json"][1] |= change
    with pytest.raises(DataError, match=says):
        load_shop(written(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(PRODUCTS[1])), JSON)
def test_any_value_in_a_product_is_read_or_refused(key, value):
    made = None
    with contextlib.suppress(DataError):
        made = schema.product(PRODUCTS[1] | {key: value}, "here", {}, {})
    if made is not None:
        assert LocalShop(Catalog([made]), GOAL).item(made.asin, "x", 1, {}).text.endswith("Buy Now")


@given(JSON)
def test_any_other_row_is_read_or_refused(value):
    for read in (
        schema.notes,
        schema.human_goals,
        schema.reviews,
        lambda row, where: schema.product(row, where, {}, {}),
    ):
        with contextlib.suppress(DataError):
            read(value, "here")


def test_keys_that_are_missing_are_named(written, data):
    del data["items_shuffle.json"][0]["product_category"], data["items_shuffle.json"][0]["query"]
    with pytest.raises(DataError, match="record 1: 'query', 'product_category' missing"):
        load_shop(written(data))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("items_shuffle.json", "", "is empty"),
        ("items_shuffle.json", "[]", "holds no record"),
        ("items_shuffle.json", '[{"asin": "B', "cut short"),
        ("items_shuffle.json", "[3]", "record 1: the record is 3"),
        ("items_ins_v2.json", "", "is empty"),
        ("items_ins_v2.json", " \n", "is blank"),
        ("items_ins_v2.json", "{}", "holds no entry"),
        ("items_ins_v2.json", "[]", "begins with"),
        ("items_ins_v2.json", '{"B00204": {"attributes": ["x"', "cut short: it ends within entry number 1"),
        ("items_ins_v2.json", '{"B00204": {"attributes": 3}}', "entry 'B00204': attributes is 3"),
        ("items_ins_v2.json", '{"B00204": 3}', "entry 'B00204': the entry is 3"),
        ("items_ins_v2.json", '{"B00204": {"instruction": 3}}', "entry 'B00204': instruction is 3"),
        ("items_ins_v2.json", '{"B00204": nul}', "not JSON"),
        ("items_ins_v2.json", '{"B1": ' + "[" * 40 + "]" * 40 + "}", "entry 'B1': brackets are nested"),
        ("items_ins_v2.json", '{"B1": "' + "x" * 4_100_000 + '"}', "takes more than 4,000,000 bytes"),
        ("items_human_ins.json", '{"B00204": {}}', "entry 'B00204': the entry is {}"),
        ("items_human_ins.json", '{"B00204": [3]}', r"entry 'B00204': \[0\] is 3"),
        ("items_human_ins.json", '{"B00204": [{"instruction": "x"}]}', r"entry 'B00204': \[0\]"),
        (
            "items_human_ins.json",
            '{"B00204": [{"instruction": "x", "instruction_attributes": [3]}]}',
            r"\[0\]\.instruction_attributes is \[3\]",
        ),
        ("items_human_ins.json", '{"B1": [{"instruction": "x", "instruction_attributes": ["y"]}]}', "no goal for any"),
        (
            "items_human_ins.json",
            '{"B1": [{"instruction": "x", "instruction_attributes": ["y"], "instruction_options": "red"}]}',
            r"entry 'B1': \[0\]\.instruction_options is 'red'",
        ),
        ("items_human_ins.json", "", "is empty"),
        ("items_human_ins.json", '{"B1": ["x"', "cut short"),
        ("items_ins_v2.json", '{"B1": {"instruction_attributes": "x"}}', "entry 'B1': instruction_attributes is 'x'"),
        ("reviews.json", '[{"asin": "B1"}]', "record 1: the record"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_one_clear_error(written, data, name, content, says):
    data[name] = content
    with pytest.raises(DataError, match=says) as error:
        load_shop(written(data))
    said = str(error.value)
    assert {other for other in FILES if other.removesuffix(".json") in said} - {name} <= ONE_MORE.get(says, set())
    assert name in said
    assert len(said) < 800


FILES = ("items_shuffle.json", "items_ins_v2.json", "items_human_ins.json", "reviews.json")
ONE_MORE = {"no goal for any": {"items_shuffle.json"}}  # two files that do not belong together


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("encode", "says"),
    [
        (lambda text: text.encode("utf-16"), "looks like UTF-16: save it as UTF-8"),
        (lambda text: text.encode("latin-1"), r", \D+ \d: not JSON \(.*\). Save the file as UTF-8"),
        (lambda text: gzip.compress(text.encode()), "looks like gzip: unpack it"),
        (lambda text: f"{text} x".encode(), "not JSON"),
        (lambda text: b"\0" + text.encode(), "begins with"),
    ],
)
def test_a_file_of_another_encoding_is_the_one_that_is_named(written, data, name, encode, says):
    folder = written(data)
    text = json.dumps(data[name], ensure_ascii=False).replace("›", "-").replace("B00017", "B0001é")
    (folder / name).write_bytes(encode(text))
    with pytest.raises(DataError, match=says) as error:
        load_shop(folder)
    assert [other for other in FILES if other in str(error.value)] == [name]


def test_files_that_are_missing(tmp_path, written, data):
    for absent in ("items_ins_v2.json", "items_shuffle.json"):
        folder = written({name: content for name, content in data.items() if name != absent})
        (folder / absent).unlink(missing_ok=True)
        with pytest.raises(DataError, match=absent.replace(".", r"\.")):
            load_shop(folder)
    with pytest.raises(DataError, match="is not a folder"):
        load_shop(tmp_path / "items_human_ins.json")
    written(data)
    (tmp_path / "items_ins_v2.json").unlink()
    (tmp_path / "items_ins_v2.json").mkdir()
    with pytest.raises(DataError, match="not a file but a folder"):
        load_shop(tmp_path)
    with pytest.raises(DataError, match="cannot be opened"):
        list(read_entries("no\0file"))


def test_options_that_multiply_without_end_are_refused(written, data):
    del data["items_human_ins.json"]
    data["items_shuffle.json"][1]["customization_options"] = {
        f"option {i}": values(*(f"value {j}" for j in range(10))) for i in range(30)
    }
    with pytest.raises(DataError, match=r"items_shuffle\.json: product B00204 has more than 100,000"):
        load_shop(written(data))
