"""Shared by all tests."""

import os
from pathlib import Path

import hypothesis
import pytest

# As the Makefile sets them, so that a bare `pytest` runs alike. Libraries read them when they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

# The same examples in every run, and no clock: a busy machine fails no test.
hypothesis.settings.register_profile("retro_gym", derandomize=True, deadline=None, max_examples=50, database=None)
hypothesis.settings.load_profile("retro_gym")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data beside the repository; tests that use it are skipped where it is absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the folder ../shared/data is absent")
    return path
