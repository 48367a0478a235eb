"""The tiny model: a language model of one to two million weights that is included in the package, and its build.

``python -m retro_gym_agents.tiny.build`` builds it from scratch: a tokenizer from generated text, and a model of two
roles. As a reflector it imitates the noisy teacher of the task environment: it writes well-formed reflections that are
usually wrong, which is the starting point for policy gradient methods. As a planner it imitates the scripted actor.
``python -m retro_gym_agents.tiny.quality`` says how well.
"""

__all__: list[str] = []
