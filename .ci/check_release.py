"""Checks that a tag, the version, the changelog and what was built agree: ``python .ci/check_release.py v0.2.0``."""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """What stands in the way of a release under this tag; empty if nothing does."""
    version = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"the tag is {tag}, but pyproject.toml has version {version}. Tag v{version}, or set the version.")
    if not re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", (root / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    ):
        found.append(f"CHANGELOG.md has no dated section '## [{version}] - YYYY-MM-DD'. Rename and date Unreleased.")
    built = sorted(path.name for path in (root / "dist").glob("*"))
    wanted = [f"retro_gym-{version}-py3-none-any.whl", f"retro_gym-{version}.tar.gz"]
    if built != wanted:
        found.append(f"dist holds {built}, not {wanted}. Run: make wheel")
    return found


if __name__ == "__main__":
    found = problems(sys.argv[1])
    print("\n".join(found), file=sys.stderr)
    sys.exit(bool(found))
