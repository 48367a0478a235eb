from __future__ import annotations

import pytest

from tests.agents.share.hub_double import TOKEN, running


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on loopback that this process talks to, logged in as its owner, with an empty cache."""
    import huggingface_hub
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    with running() as hub:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)  # before a request is tried again
        huggingface_hub.close_session()
        yield hub
        huggingface_hub.close_session()
