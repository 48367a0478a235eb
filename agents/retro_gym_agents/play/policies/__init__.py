"""Policies, which write reflections: baselines, reflectors, prompted models and users' own, behind one protocol.

======================  ================================================================================
``none``                an empty reflection; the actor just tries again (ReAct)
``vague``               one generic sentence that asks for more care
``outcome``             how the last trial ended and with what score, and nothing of what happened in it
``copy``                the observation itself, shortened in the middle
``task_only``           the task's text as an instruction; the failure is not read
``actions``             the failed trial's own actions as an instruction
``shotgun``             everything that the failed trial names: names, quoted values, numbers, ids
``lookup``              the oracle's reflection on the training task with the most similar text
``shuffled``            the oracle's reflection on another task: right form, wrong content
``noisy``               the teacher of the tiny reflector, which is often wrong
``told``                the answer outright
``oracle``              the best reflection that does not state the answer, from the task's solution
``rule``                fixed rules on the observation alone: what the failure shows is enough
``tiny``, PATH, a hub   a reflector: the shipped one, a run of ``retro-gym train``, or any causal language
name                    model, frozen or trained
``openai:MODEL``        a model behind a server that is asked by a prompt (Reflexion); ``replay:FILE`` its tape
``hf:MODEL``            the same in this process, by transformers and the model's chat template
``best_of:FOLDER``      of n sampled reflections the one that a reward model prefers
``lessons:RECORDS``     lessons kept from training tasks: those of similar tasks that earned most
``python:MODULE:NAME``  a function on observations, or a policy, of a user
======================  ================================================================================
"""

from retro_gym_agents.play.policies.baselines import (
    BASELINES,
    VAGUE_REFLECTION,
    Baseline,
    BaselinePolicy,
    check_teacher,
)
from retro_gym_agents.play.policies.best_of import BestOfPolicy
from retro_gym_agents.play.policies.functions import FunctionPolicy, ReflectFunction
from retro_gym_agents.play.policies.lessons import LessonsPolicy
from retro_gym_agents.play.policies.prompted import REFLECTOR_INSTRUCTION, PromptedPolicy
from retro_gym_agents.play.policies.protocol import (
    CompositePolicy,
    LocalPolicy,
    MeteredPolicy,
    Policy,
    parts_of,
    policy_parameters,
    written_reflections,
)
from retro_gym_agents.play.policies.reflectors import TINY, ReflectorPolicy
from retro_gym_agents.play.policies.specs import make_policy, takes_options

__all__ = [
    "BASELINES",
    "REFLECTOR_INSTRUCTION",
    "TINY",
    "VAGUE_REFLECTION",
    "Baseline",
    "BaselinePolicy",
    "BestOfPolicy",
    "CompositePolicy",
    "FunctionPolicy",
    "LessonsPolicy",
    "LocalPolicy",
    "MeteredPolicy",
    "Policy",
    "PromptedPolicy",
    "ReflectFunction",
    "ReflectorPolicy",
    "check_teacher",
    "make_policy",
    "parts_of",
    "policy_parameters",
    "takes_options",
    "written_reflections",
]
