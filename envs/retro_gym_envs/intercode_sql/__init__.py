"""InterCode-SQL: questions about a database, answered with execute and submit."""

from retro_gym_envs.intercode_sql.env import InterCodeSQLEnv
from retro_gym_envs.intercode_sql.tasks import SQLTask, load_tasks

__all__ = ["InterCodeSQLEnv", "SQLTask", "load_tasks"]
