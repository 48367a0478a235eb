"""Small environments of others, each with a fault that real packages have."""

import random
import threading

import gymnasium as gym
import numpy as np

from retro_gym import wrap

SEVEN = {"task_id": "seed-7"}


class Dice:
    """Draws from Python's and NumPy's own generators, and seeds them; an old API: four values, and a bare reset."""

    closed = 0

    def reset(self, seed=None):
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)
        self.turn = 0
        self.secret = random.randint(1, 10**6)
        return f"Die {self.secret}. Roll."

    def step(self, action):
        self.turn += 1
        rolled = random.randint(1, 10**6) + int(np.random.randint(10**6))
        return f"You rolled {rolled}.", np.float32(rolled % 7 / 7), self.turn == 3, {}

    def close(self):
        self.closed += 1


class Engine(Dice):
    """Cannot be copied or pickled, as engines behind sockets and ctypes."""

    def __init__(self):
        self.lock = threading.Lock()


class Tenths:
    """Pays 0.1 for each turn, and ends after ten."""

    def reset(self):
        self.turn = 0
        return "Go on."

    def step(self, action):
        self.turn += 1
        return "On.", 0.1, self.turn == 10, {}


class Doors(gym.Env):
    """A current API; says itself whether it was won, in its own key, and lists the commands that it knows."""

    observation_space = action_space = gym.spaces.Text(1000)

    def __init__(self, key="won"):
        self.key = key

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.door = int(self.np_random.integers(100))
        level = (options or {}).get("level", 0)
        return f"Level {level}. Which door?", {"commands": ["open", "wait"], "task_id": "their own", "prefix": "Game:"}

    def step(self, action):
        right = action == f"open {self.door}"
        return "Open." if right else "Shut.", 5.0, right, False, {self.key: right, "commands": ["open"]}


class Grid(gym.Env):
    """No text at all: a dict as observation, numbers as actions; one task whatever the seed."""

    observation_space = gym.spaces.Dict({"mission": gym.spaces.Text(100), "at": gym.spaces.Discrete(5)})
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = 0
        return {"mission": "Go right.", "at": 0}, {}

    def step(self, action):
        self.at += (-1, 1)[action]
        there = self.at == 3
        return {"mission": "Go right.", "at": self.at}, -1.0, there, False, {"is_success": np.bool_(there)}


class Fragile:
    """Raises when it is told to."""

    def __init__(self, fault=""):
        self.fault = fault

    def reset(self):
        if self.fault == "reset":
            raise KeyError("board")
        if self.fault == "exit":
            raise SystemExit(1)
        return "Touch it."

    def step(self, action):
        if action == "break":
            raise ZeroDivisionError("broken")
        return "Nothing.", 0.0, True, {}


def question(seed):
    """A single-turn scorer."""
    total = 2 * seed + 1
    return f"What is {seed} + {seed + 1}?", lambda answer: float(answer == str(total)), {"answer": str(total)}


def say(prompts):
    """An actor that says its last reflection."""
    return [f"Action: {prompt.reflections[-1] if prompt.reflections else 'wait'}" for prompt in prompts]


def say_last_word(prompts):
    """An actor that says the last word of its last reflection."""
    return [reply.split()[-1] for reply in say(prompts)]


def words(observation):
    """What the actor reads of a grid."""
    return f"{observation['mission']} You stand at {observation['at']}."


def started(make, task_id="seed-7", **options):
    task = wrap(make, **options)
    return task, *task.reset(options={"task_id": task_id})
