"""Files and functions are short enough to be read in one go."""

import ast

import pytest

MOST_LINES = 400  # of a file
MOST_OF_A_BODY = 60  # lines of a function, its signature and docstring aside

FOLDERS = ["retro_gym", "envs", "agents", "tests", "benchmarks", "examples", "docs"]


def long_functions(source):
    """Name and length of each function whose body is too long."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            if lines > MOST_OF_A_BODY:
                yield node.name, lines


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_are_short(folder, root):
    files = sorted((root / folder).rglob("*.py"))
    assert files
    texts = {path.relative_to(root): path.read_text(encoding="utf-8") for path in files}
    lengths = {path: len(text.splitlines()) for path, text in texts.items()}
    assert {path: count for path, count in lengths.items() if count > MOST_LINES} == {}
    assert {path: found for path, text in texts.items() if (found := list(long_functions(text)))} == {}


def test_a_long_function_is_noticed():
    body = "    pass\n" * (MOST_OF_A_BODY + 1)
    assert list(long_functions(f'def f(\n    a,\n):\n    """What.\n\n    It does.\n    """\n{body}')) == [("f", 61)]
    assert list(long_functions("class A:\n    def f(self):\n        pass\n")) == []
