"""Configs of short runs on the identity environment."""


def identity_config(kind, small_model, output, **fields):
    """A config of some algorithm: episodes of one reflection, learned by a small model."""
    defaults = {
        "env_id": "RetroIdentity-v0",
        "env_kwargs": {"max_reflections": 1},
        "reflector": str(small_model),
        "output": output,
    }
    return kind(**{**defaults, **fields})
