"""The task environments of retro_gym: each with its scripted actor and its built-in tasks."""
