"""Actors and prompts for the tests of tapes."""

import json
import random
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from retro_gym.actors import ReplayActor, Reply
from retro_gym.errors import CassetteError, PromptTooLongError
from retro_gym.prompts import Prompt
from retro_gym.trajectory import Turn

TURN = Turn("I should look.", "Search[Velmora]", "Velmora is a town.", 0.5, "Hm.")
KEY = "sk-planted-0123456789"


def prompt(number=0, seed=0, turns=()):
    return Prompt("Answer.", ("an example",), (), f"Question {number}: Where?", turns, seed=seed)


PROMPTS = [prompt(number, seed=number) for number in range(4)]


class Counting:
    """Says something new at every call, whatever it is asked."""

    def __init__(self):
        self.calls = 0

    def reply(self, prompts):
        self.calls += len(prompts)
        first = self.calls - len(prompts)
        return [Reply(f"reply {first + number}", 10 + number, number, "because") for number in range(len(prompts))]


class Server(ThreadPoolExecutor):
    """Answers after a random while: calls overtake each other."""

    def __init__(self, answer, workers=8):
        super().__init__(workers)
        self.answer = answer
        self.random = random.Random(0)

    def reply(self, prompts):
        return [future.result() for future in [self.submit(each) for each in prompts]]

    def submit(self, prompt):
        delay = self.random.random() / 200
        return super().submit(lambda: time.sleep(delay) or self.answer(prompt))


class UsersError(PromptTooLongError):
    pass


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def calls(path):
    return [row for row in rows(path) if "cassette" not in row]


def miss(path, asked):
    with pytest.raises(CassetteError) as caught:
        ReplayActor(path).reply([asked])
    return str(caught.value)


class Submitting(Counting):
    def submit(self, prompt):
        future = Future()
        future.set_result(self.reply([prompt])[0])
        return future
