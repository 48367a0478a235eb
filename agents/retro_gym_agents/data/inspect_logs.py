"""Records as logs of Inspect (https://inspect.aisi.org.uk): ``inspect view`` shows them, ``read_eval_log`` reads them."""

from __future__ import annotations

__all__ = ["write_logs"]


def write_logs(runs, folder):  # type: ignore
    """Draft."""
    raise NotImplementedError
