"""Runs the first Python block of a README: ``python .ci/readme_loop.py README.md``."""

import re
import sys
from pathlib import Path


def first_block(text: str) -> str:
    """The code of the first block that is fenced as ``python``.

    Raises:
        SystemExit: there is none.
    """
    found = re.search(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise SystemExit("the README has no ```python block to run.")
    return found.group(1)


if __name__ == "__main__":
    readme = Path(sys.argv[1])
    exec(compile(first_block(readme.read_text(encoding="utf-8")), str(readme), "exec"), {"__name__": "__main__"})
