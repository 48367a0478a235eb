"""Policy specs: the ways to name a policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retro_gym.errors import one_line
from retro_gym.python_specs import imported, without_options
from retro_gym_agents.play.policies.baselines import BASELINES, BaselinePolicy
from retro_gym_agents.play.policies.best_of import BestOfPolicy
from retro_gym_agents.play.policies.functions import ReflectFunction, policy_of
from retro_gym_agents.play.policies.lessons import LessonsPolicy
from retro_gym_agents.play.policies.prompted import PromptedPolicy
from retro_gym_agents.play.policies.protocol import Policy
from retro_gym_agents.play.policies.reflectors import ReflectorPolicy

__all__ = ["make_policy", "takes_options"]

_PYTHON = "python"
_PROMPTED = ("openai", "replay", "hf")
_LESSONS = "lessons"
_BEST_OF = "best_of"


def make_policy(
    spec: str | Policy | ReflectFunction | type[Policy],
    *,
    greedy: bool = False,
    device: str = "cpu",
    dtype: str | None = None,
    batch_size: int = 64,
    **options: Any,
) -> Policy:
    """Returns the policy that a spec names. Checks everything that can be checked without loading a model.

    Args:
        spec: a key of :data:`BASELINES`; ``"tiny"``, the folder of a run or of a model, or a hub name
            (:class:`ReflectorPolicy`); ``"openai:MODEL"``, ``"hf:MODEL"`` or ``"replay:FILE"``
            (:class:`PromptedPolicy`); ``"best_of:FOLDER"`` (:class:`BestOfPolicy`); ``"lessons:RECORDS"``
            (:class:`LessonsPolicy`); ``"python:MODULE:NAME"``, which imports one of the following; a :class:`Policy`, a
            class of policies, or a function from a list of observations to a list of reflections.
        greedy: for models in this process, see :class:`ReflectorPolicy`.
        device: likewise.
        dtype: likewise.
        batch_size: likewise.
        options: for prompted models and classes of policies: their arguments, such as ``base_url``; for
            ``best_of`` ``reflector``, ``num_samples`` and ``temperature``; for ``lessons`` ``num``, ``weight`` and
            ``beside``, the spec of a policy, which gets all further options.

    Raises:
        ConfigError: the spec is none of these, or an option is unknown.
        RecordError: the file of a replay is not a tape.

    >>> make_policy("oracle").name
    'oracle'
    >>> make_policy(lambda observations: ["Look again."] * len(observations)).reflect(["It failed."], [], [0])
    ['Look again.']
    >>> make_policy("orcale")
    Traceback (most recent call last):
    ...
    retro_gym.errors.ConfigError: reflector 'orcale' is neither a baseline nor a folder. Did you mean 'oracle'?
    """
    if not isinstance(spec, str):
        name = getattr(spec, "__name__", type(spec).__name__)
        return policy_of(spec, options, f"reflector {one_line(spec)}", name)
    kind, _, rest = spec.partition(":")
    in_process: dict[str, Any] = {"device": device, "dtype": dtype, "batch_size": batch_size}
    if kind == _PYTHON:
        return policy_of(imported(spec, "reflector"), options, f"reflector {spec!r}", spec)
    if kind in _PROMPTED and rest:
        return PromptedPolicy(spec, **{**(in_process if kind == "hf" else {}), **options})
    if kind == _BEST_OF and rest:
        own, others = _parted(options, "reflector", "num_samples", "temperature")
        without_options(others, f"reflector {spec!r}", "reflector, num_samples and temperature")
        return BestOfPolicy(rest, **in_process, **own)
    if kind == _LESSONS and rest:
        own, others = _parted(options, "num", "weight", "beside")
        if "beside" in own:
            own["beside"] = make_policy(own["beside"], greedy=greedy, **in_process, **others)
        else:
            without_options(others, f"reflector {spec!r}", "num, weight and beside")
        return LessonsPolicy(rest, **own)
    without_options(options, f"reflector {spec!r}")
    if spec in BASELINES:
        return BaselinePolicy(spec)
    return ReflectorPolicy(spec, greedy=greedy, **in_process)


def takes_options(spec: str) -> bool:
    """Returns whether a spec names a policy with options of its own."""
    return spec.partition(":")[0] in (_PYTHON, _BEST_OF, _LESSONS, *_PROMPTED)


def _parted(options: Mapping[str, Any], *names: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the options with some names, and the others."""
    own = {name: value for name, value in options.items() if name in names}
    return own, {name: value for name, value in options.items() if name not in names}
