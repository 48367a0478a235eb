"""The tiny reflector: a language model of about a million weights that is included in the package, and its build.

``python -m retro_gym_agents.tiny.build`` builds it from scratch: a tokenizer from generated text, and a model that
imitates the noisy teacher of the task environment. It writes well-formed reflections that are usually wrong, which is
the starting point for policy gradient methods.
"""

__all__: list[str] = []
