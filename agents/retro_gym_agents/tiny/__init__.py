"""The tiny reflector: a language model of about a million weights that ships with the package, and how it is made.

``python -m retro_gym_agents.tiny.build`` makes it again from nothing: a tokenizer from generated text, a model that
imitates the noisy teacher of the task environment. It writes well-formed reflections about what it sees and is
usually wrong, which is where policy gradient begins.
"""

__all__: list[str] = []
