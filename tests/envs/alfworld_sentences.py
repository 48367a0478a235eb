"""Sentences on ALFWorld tasks, as people write them: advice by decision, and what must not act as advice."""

__all__ = ["FETCH", "TARGET", "TOOL", "WITHOUT_EFFECT"]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.strip().splitlines())


FETCH = _lines("""
    I should have gotten the {thing} off the {place}.
    I ought to have chosen the {thing} on the {place}.
    If I had gone for the {thing} on the {place}, it would have worked.
    Source: {thing} at {place}
    Item: {thing}, location: {place}
    {thing} is waiting for you at {place}
    Retrieve {thing} ({place})
    The {place} has the {thing}.
    Snatch the {thing} from the {place}.
    My target should be the {thing} from the {place}.
    - {thing} on {place}
    Dear agent, lift the {thing} from the {place}.
""")
TOOL = _lines("""
    {thing} does the job.
    Opt for the {thing}.
    Tool: {thing}
    I tried to do it with the {bad}, which failed. The {thing} was said to work, so do it with the {thing}.
    Replace the {bad} by the {thing}.
    I overlooked the {state} {thing}.
    The one that works is {thing}.
    If I had used the {thing}, it would have worked.
""")
TARGET = _lines("""
    The final spot should be {thing}.
    Final location: {thing}
    Target: {thing}
    There is space in the {thing}.
    The {thing} is the one with space.
    {thing} is available.
    Finish at the {thing}.
    I failed to notice that there was room in the {thing}.
    Drop-off: {thing}
    Lay it on {thing}.
    Swap the {bad} for the {thing}.
""")
WITHOUT_EFFECT = _lines("""
    I wonder what happens if I use the {thing}.
    I wonder if I should use the {thing}.
    All work but the {thing}.
    Look at the {thing} and laugh.
    Do not opt for the {thing}.
    I lifted the {thing}.
    The {thing} is not available.
    There is no space in the {thing}.
    Wrong target: {thing}
""")
