"""What this documentation adds to Sphinx.

Pages that stand for a file elsewhere in the repository, such as its README, are read from that file. The directive
``public-names`` documents what a module exports. The manuals of environments, which are Markdown, have pages of their
own, so that the API shows only their first line and their arguments.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pydoc
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from retro_gym import TaskPrompt

__all__ = ["STANDS_FOR", "PublicNames", "setup"]

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
_PACKAGES = ("retro_gym", "retro_gym_envs", "retro_gym_agents")

STANDS_FOR = {
    "index": "README.md",
    "contributing": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
    "results": "benchmarks/README.md",
    "results_embedded": "benchmarks/results/embedded.md",
}
"""Page: the file whose text it shows. What the page's own file holds after a line ``---`` follows that text."""

_PAGE_OF = {ROOT / file: DOCS / f"{page}.md" for page, file in STANDS_FOR.items()}
_LINK = re.compile(r"(?<=\]\()([^)#\s]+)")
_DEAD = re.compile(r'<a class="viewcode-back"[^>]*>.*?</a>|<li><a href="builtins\.html">builtins</a></li>')
_MANUAL = re.compile(r"\n\s*## ")  # a docstring with such headings is a manual in Markdown


def setup(app: Sphinx) -> ExtensionMetadata:
    """Connects everything; called by Sphinx."""
    app.add_directive("public-names", PublicNames)
    app.connect("source-read", _read_page)
    app.connect("autodoc-process-docstring", _shorten_manual, priority=100)  # before napoleon reads the arguments
    app.connect("autodoc-process-docstring", _keep_colons, priority=100)
    app.connect("missing-reference", _find_name)
    app.connect("html-page-context", _drop_dead_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class PublicNames(SphinxDirective):
    """Documents the names in ``__all__`` of a module, in its order, except those that its package exports itself."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Returns what autodoc makes of each name."""
        module = importlib.import_module(self.arguments[0])
        package = importlib.import_module(module.__name__.partition(".")[0])
        elsewhere = (
            set() if module is package else {_home(getattr(package, name)) for name in getattr(package, "__all__", ())}
        )
        lines = [f".. currentmodule:: {module.__name__}", ""]
        for name in module.__all__:
            value = getattr(module, name)
            if _home(value) is None or _home(value) not in elsewhere:
                lines += [*_documented(module.__name__, name), ""]
        return self.parse_text_to_nodes("\n".join(lines))


def _home(value: object) -> str | None:
    """Where a class or function is defined; None for anything else."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return f"{value.__module__}.{value.__qualname__}"
    return None


def _documented(module: str, name: str) -> list[str]:
    """The lines that let autodoc document a name of a module."""
    value = getattr(importlib.import_module(module), name)
    if inspect.isclass(value):
        error = issubclass(value, BaseException)
        options = ["show-inheritance:"] if error else ["members:"]
        options += (
            ["exclude-members: prompt"] if isinstance(vars(value).get("prompt"), TaskPrompt) else []
        )  # pages long
        return [f".. auto{'exception' if error else 'class'}:: {name}", *(f"   :{option}" for option in options)]
    if inspect.isroutine(value):
        return [f".. autofunction:: {name}"]
    described = ("", name) in ModuleAnalyzer.for_module(module).find_attr_docs()
    if described or type(value).__module__ != "builtins":  # such as an alias of types
        return [f".. autodata:: {name}", "   :no-value:"]
    return [f".. data:: {name}"]  # autodoc would show what a dictionary says of itself


def _read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces the text of a page that stands for a file, and adjusts links to such files."""
    page = DOCS / f"{docname}.md"
    file = ROOT / STANDS_FOR[docname] if docname in STANDS_FOR else page
    text = source[0]
    if file != page:
        title, _, own = text.partition("\n")
        text = file.read_text(encoding="utf-8")
        text = text if text.startswith("# ") else f"{title}\n\n{text}"
        text += own.partition("\n---\n")[2]
        app.env.note_dependency(str(file))
    source[0] = _LINK.sub(lambda link: _link_from(page, file, link[1]), text)


def _link_from(page: Path, file: Path, target: str) -> str:
    """A relative link of a file as the page needs it; other links as they are."""
    if "://" in target:
        return target
    path = Path(os.path.normpath(file.parent / target))
    path = _PAGE_OF.get(path, path)
    return Path(os.path.relpath(path, page.parent)).as_posix() if path.exists() else target


def _shorten_manual(app: Sphinx, what: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Leaves the first line and the arguments of a manual that has its page; headings of others become reST."""
    text = "\n".join(lines)
    if what != "class" or not _MANUAL.search(text):
        return
    page = f"environments/{name.rpartition('.')[2].removesuffix('Env').lower()}"
    if (DOCS / f"{page}.md").exists():
        head, (_, args, rest) = _MANUAL.split(text)[0].strip(), text.partition("\nArgs:\n")
        text = f"{head} Its manual: :doc:`/{page}`.\n{args}{rest}"
    lines[:] = re.sub(r"^## (.+)$", r".. rubric:: \1\n", text, flags=re.MULTILINE).splitlines()


def _keep_colons(app: Sphinx, what: str, name: str, value: object, options: Any, lines: list[str]) -> None:
    """Keeps napoleon from reading what stands before a colon in an attribute's docstring as its type."""
    if what in ("attribute", "data", "property") and lines and ":" in lines[0]:
        lines[0] = f": {lines[0]}"


def _find_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.Element | None:
    """Finds a name by where it is defined: each is documented once, under the shortest of its public names.

    A type of a signature that is not documented here stays text, and so does an internal name in a docstring. A name
    that does not exist is an error.
    """
    target = node["reftarget"]
    if node.get("refdomain") != "py":
        return None
    if "refexplicit" not in node or ("." in target and not target.startswith(_PACKAGES)):
        return content
    home = _home(pydoc.locate(target))
    domain = env.get_domain("py")
    found = home and domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], home, node, content)
    return found or (content if home or _exists(target.split(".")) else None)


def _exists(path: list[str]) -> bool:
    """Whether a module of the packages, or a class in one, has a name; or is a module of that name."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_PACKAGES)]
    classes = [value for module in modules for value in vars(module).values() if inspect.isclass(value)]
    if any(module.__name__.rpartition(".")[2] == path[-1] for module in modules):
        return True
    return any(_has(each, path) for each in (*modules, *classes))


def _has(value: object, path: list[str]) -> bool:
    for name in path:
        if not hasattr(value, name):
            return name in getattr(value, "__annotations__", ())
        value = getattr(value, name)
    return True


def _drop_dead_links(
    app: Sphinx, page: str, template: str, context: dict[str, Any], tree: nodes.document | None
) -> None:
    """Drops links of viewcode: from a source back to names that a package exports, and to Python's own modules."""
    if page.startswith("_modules/"):
        context["body"] = _DEAD.sub("", context["body"])
