"""Commands, sentences and deeds in all kinds of frames."""

import re

import pytest

from retro_gym_envs.english.wishes import read_wishes
from tests.envs.english import frames
from tests.envs.english.verdicts import VERDICTS

ANYTHING = re.compile("")
NAMES = ("Grurikor Union", "drawer 12")


def readings(frame, sayings):
    """Yields each saying in a frame with each name, the name, and what is understood."""
    for saying in sayings:
        for name in NAMES:
            text = re.sub(r"\bX\b", name, frame.format(saying))
            yield text, name, read_wishes(text, NAMES, about=ANYTHING)


@pytest.mark.parametrize("frame", frames.AFFIRMED_COMMANDS)
def test_a_command_is_advice_in_any_frame(frame):
    for text, name, wishes in readings(frame, frames.IMPERATIVES[:-2]):
        assert wishes.wanted == (name,), text


@pytest.mark.parametrize("frame", frames.AFFIRMED_STATEMENTS)
def test_a_statement_keeps_its_sense(frame):
    for text, name, wishes in readings(frame, (*frames.STATEMENTS, *frames.OMISSIONS)):
        assert wishes.wanted == (name,), text


@pytest.mark.parametrize("frame", frames.DENIED_COMMANDS)
def test_a_command_that_is_denied_is_not_wanted(frame):
    for text, name, wishes in readings(frame, frames.IMPERATIVES):
        assert name not in wishes.wanted, text


@pytest.mark.parametrize("frame", frames.DENIED_STATEMENTS)
def test_a_statement_that_is_denied_is_not_wanted(frame):
    for text, name, wishes in readings(frame, frames.STATEMENTS):
        assert name not in wishes.wanted, text


@pytest.mark.parametrize("frame", frames.REPORTS)
def test_a_report_is_neither(frame):
    for text, _, wishes in readings(frame, frames.DEEDS):
        assert not wishes, text


@pytest.mark.parametrize(("sign", "text"), VERDICTS)
def test_a_verdict_is_understood(sign, text):
    for said, name, wishes in readings("{}", (text,)):
        assert (wishes.wanted, wishes.shunned) == (((name,), ()) if sign == "+" else ((), (name,))), said


@pytest.mark.parametrize("text", frames.NEITHER)
def test_questions_and_reports_are_neither(text):
    for said, _, wishes in readings("{}", (text,)):
        assert not wishes, said
