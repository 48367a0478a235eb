"""What an environment's scripted actor solves of the test tasks unaided, and what reflections bring it."""

import numpy as np


def solved_unaided(env, count):
    """Success at trial 0 of the first test tasks, by id."""
    solved = {}
    for task_id in env.task_env.task_ids("test")[:count]:
        _, info = env.reset(seed=0, options={"task_id": task_id})
        solved[task_id] = info["success"]
    return solved


def share(solved):
    return np.mean(list(solved.values()))


def success_at_trial_1(env, solved, write):
    """Mean success, where ``write`` gives the reflection on a failed task; of several the mean counts."""
    after = []
    for task_id, success in solved.items():
        if not success:
            env.reset(seed=0, options={"task_id": task_id})
            texts = write(task_id)
            success = np.mean([each.success for each in env.branch([texts] if isinstance(texts, str) else texts)])
        after.append(success)
    return np.mean(after)


def success_with_anothers_oracle(env, solved):
    """Mean success, where every failed task gets the oracle's reflection on the next one."""
    others = dict(zip(solved, [*list(solved)[1:], next(iter(solved))], strict=True))
    return success_at_trial_1(env, solved, lambda task_id: env.task_env.teacher.oracle_reflection(others[task_id]))
