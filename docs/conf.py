"""How Sphinx builds the documentation: ``make docs`` writes it to ``build/docs``."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for the extension

project = "retro_gym"
author = "the authors of retro_gym"
project_copyright = "the authors of retro_gym, MIT licence"
release = version = importlib.metadata.version("retro-gym")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_pages",
    "error_messages",
    "command_help",
]

# Pages are plain Markdown, which can be read in the repository as well. Links to headings are checked.
myst_heading_anchors = 4
# A code block without a language holds commands for a shell.
highlight_language = "bash"
copybutton_exclude = ".linenos, .gp, .go"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"retro_gym {release}"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
html_static_path = ["static"]
html_css_files = ["site.css"]
