"""A page to look at trials and reflections with: one HTML file, made from records, evaluations and training runs.

``from_records``, ``from_results`` and ``from_runs`` read files into the panels of ``model``; ``sources`` finds out
which file is what, and joins those that belong together; ``document`` turns panels into JSON; ``page`` writes the file.
The page's own template, style and scripts are in ``assets``.
"""

from retro_gym_agents.view.page import render_page, write_page
from retro_gym_agents.view.sources import load_panels

__all__ = ["load_panels", "render_page", "write_page"]
