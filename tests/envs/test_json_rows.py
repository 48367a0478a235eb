"""Rows of data files, good and bad."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest

from retro_gym.errors import DataError
from retro_gym_envs.json_rows import read_rows

ROWS = [{"a": 1, "b": ["x", {"c": None}]}, {"a": "é", "b": 1.5}, 7]
ARRAY = json.dumps(ROWS, ensure_ascii=False).encode()
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS[:2])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.json"


def read(path, content):
    path.write_bytes(content)
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (ARRAY, ROWS),
        (b"\xef\xbb\xbf \r\n" + ARRAY + b"\r\n\r\n", ROWS),
        (json.dumps(ROWS, indent=2).replace("\n", "\r\n").encode(), ROWS),
        (LINES, ROWS[:2]),
        (LINES.rstrip(b"\n"), ROWS[:2]),
        (b"\xef\xbb\xbf" + LINES.replace(b"\n", b"\r\n\r\n"), ROWS[:2]),
    ],
    ids=["array", "bom", "indented-crlf", "lines", "no-last-newline", "bom-crlf-blank-lines"],
)
def test_array_and_lines(path, content, rows):
    assert read(path, content) == rows


def test_says_where_a_row_stands(path):
    path.write_bytes(LINES)
    assert [where for where, _ in read_rows(path)] == [f"{path}, record 1", f"{path}, record 2"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \r\n\t", "is blank"),
        (b"\xef\xbb\xbf", "is blank"),
        (b"[]", "holds no record"),
        (b"hello", "begins with b'hello'"),
        (b"\x00\x00\x00", "is not JSON"),
        (b"\xff\xfe[\x00", "UTF-16"),
        (b"\x1f\x8b\x08", "gzip"),
        (ARRAY[:-1], "cut short: it ends within record 4"),
        (ARRAY[:20], "cut short: it ends within record 1"),
        (ARRAY.replace(b"1.5", b"\x00"), "record 2: not JSON"),
        (ARRAY.replace("é".encode(), b"\xff"), "record 2: not JSON"),
        (ARRAY + b"]", "record 4: not JSON"),
        (ARRAY.replace(b"null", b"nil"), "record 1: not JSON"),
        (ARRAY.replace(b"1.5", b"9" * 5_000), "record 2: not JSON"),
        (b"[" * 12 + b"]" * 12, "nested over 10 levels"),
        (LINES[:-5], "record 2: not a JSON object"),
        (LINES.replace(b"null", b"\x00"), "record 1: not a JSON object"),
        (b'{"a": "\xff"}', "record 1: not UTF-8"),
        (b'{"data": [\n{"a": 1}\n]}', "record 1: not a JSON object"),
        (b'{"a":' * 100_000, "record 1: not a JSON object"),
    ],
)
def test_damaged_content(path, content, says):
    with pytest.raises(DataError, match=says) as caught:
        read(path, content)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("before", "filler"), [(b'["', b"a"), (b"[", b"["), (b"[", b" "), (b'{"', b"a"), (b"", b"a"), (b"", b" ")], ids=repr
)
def test_a_line_of_50_mb_is_refused_in_little_time_and_memory(path, before, filler):
    with path.open("wb") as file:
        file.write(before)
        for _ in range(50):
            file.write(filler * 1_000_000)
    start = time.perf_counter()
    tracemalloc.start()
    with pytest.raises(DataError):
        list(read_rows(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000
    assert time.perf_counter() - start < 5.0


def test_an_array_of_many_rows_on_one_line_is_streamed(path):
    row = json.dumps({"text": "x" * 10_000}).encode()
    with path.open("wb") as file:
        file.write(b"[" + row)
        for _ in range(1_000):
            file.write(b"," + row)
        file.write(b"]")
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 1_001
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000  # of 10 MB


def test_what_is_not_a_file(tmp_path):
    for wrong, says in ((tmp_path, "folder"), (tmp_path / "none.json", "No such file"), ("a\0b", "null")):
        with pytest.raises(DataError, match=says):
            list(read_rows(wrong))
