"""Renders the schema of records from its dataclasses to ``docs/records.md``: run it as a script."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import re
from pathlib import Path

from retro_gym.records import schema

PAGE = Path(__file__).parent / "records.md"
_HEAD = """# Records

This page is made from the dataclasses by `python docs/render_records.py`.

{about}

## Writing

`RetroEnv(…, records=PATH)` writes every trial and every reflection; `retro-gym train`, `collect` and `evaluate
--records` do so with a header that names policy, seed and tasks. In your own code, pass `records=RecordWriter(PATH,
RunHeader(policy="mine", seed=0))`. The same seed and a deterministic actor give the same bytes; with concurrent calls
(a server, blocking environments) rows are written in the order in which trials end. A lone surrogate, which many JSON
parsers refuse, is written as U+FFFD.

A file may be appended to, truncated after any line, and concatenated with files of other runs: ids begin with the
run's id, and a header precedes the first row of each run. A resumed run does not write its header again, so its file
is byte-identical to that of an uninterrupted run. Files of two runs with identical settings have the same ids, and
`load_run` refuses their concatenation; a run that is appended to its own file is counted twice. A file that an
earlier version began (schema 1) can be appended to: `load_run` reads the rows of this version.

## Reading

```python
from retro_gym.records import load_run, read_records

for row in read_records("records.jsonl", "reflection"):  # row by row, as dicts; also reads files of schema 1
    row["reward"]

run = load_run("records.jsonl")  # typed records, linked to each other
for reflection in run.reflections.values():
    run.before(reflection), run.after(reflection), run.controls(reflection), run.generation(reflection)
    run.rate(reflection, "improvement")  # exactly what another reward would have paid
```

`datasets.load_dataset("json", data_files="records.jsonl")` and
`pandas.read_json("records.jsonl", lines=True, precise_float=True)` also read the file, as a table in which each row
fills the columns of its kind. `retro-gym export … --format hf` writes a table for each kind of row, of any number of
files ([share.md](share.md)).

## Columns

Every row has `schema` ({version}), `kind` and `id`.
"""
_TYPES = {
    "str": "text",
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "tuple[str, ...]": "texts",
    "tuple[int, ...]": "whole numbers",
    "tuple[float, ...]": "numbers",
    "tuple[Turn, ...]": "objects",
}


def render() -> str:
    """The whole page."""
    _, _, about = inspect.cleandoc(schema.__doc__ or "").partition("\n\n")
    parts = [_HEAD.format(about=_plain(about), version=schema.SCHEMA)]
    for name, kind in schema.KINDS.items():
        said = {field: text for each in reversed(kind.__mro__[:-1]) for field, text in _field_docs(each).items()}
        rows = [
            f"| `{field.name.rstrip('_')}` | {_TYPES[str(field.type)]} | {said[field.name]} |"
            for field in dataclasses.fields(kind)
        ]
        text = _plain(inspect.cleandoc(kind.__doc__ or ""))
        parts.append("\n".join([f"### {name}", "", text, "", "| column | type | |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def _field_docs(kind: type) -> dict[str, str]:
    """The texts below the fields of a dataclass."""
    (body,) = (node.body for node in ast.parse(inspect.getsource(kind)).body if isinstance(node, ast.ClassDef))
    found = {}
    for field, text in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = _plain(" ".join(inspect.cleandoc(str(text.value.value)).split()))
    return found


def _plain(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text.replace("``", "`"))


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8", newline="\n")
