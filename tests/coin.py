"""A user's own environment that is the game and nothing else: no teacher, no scripted actor."""

from retro_gym import TaskEnv, TaskPrompt, UnicodeText


class CoinEnv(TaskEnv):
    """Guess a side of a coin within two turns."""

    metadata = {"render_modes": [], "render_fps": 1}
    observation_space = action_space = UnicodeText(100)
    prompt = TaskPrompt("Say heads or tails: Say[heads].")

    def task_ids(self, split):
        return [f"{split}-{i}" for i in range(8)]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.task_id = (options or {}).get("task_id") or self.task_ids("train")[self.np_random.integers(8)]
        self.side = ("heads", "tails")[int(self.task_id[-1]) % 2]
        self.turns = 0
        return "Guess.", {"task_id": self.task_id, "success": False}

    def step(self, action):
        self.turns += 1
        right = action == f"Say[{self.side}]"
        return f"It was {self.side}.", float(right), right, self.turns == 2, {"success": right}


def say_as_noted(prompts):
    """An actor that says the side that its last reflection names."""
    return [f"Action: Say[{prompt.reflections[-1] if prompt.reflections else '?'}]" for prompt in prompts]
