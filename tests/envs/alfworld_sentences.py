"""Sentences on ALFWorld tasks, as people write them: advice by decision, and what must not act as advice."""

__all__ = ["FETCH", "FOLLOWED", "NOT_FOLLOWED", "TARGET", "TOOL", "WITHOUT_EFFECT"]


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
FOLLOWED = {
    "drawer 5": _lines("""
        Don't waste turns: put it on the drawer 5.
        Don't waste turns: put it in the drawer 5.
        Don't dither: put it in the drawer 5.
        No dithering: put it in the drawer 5.
        Don't try the broken ones: put it in the drawer 5.
        Don't dither - put it in the drawer 5.
        Don't dither, put it in the drawer 5.
        Don't wait: use the drawer 5.
        Don't use the drawer 4: use the drawer 5.
        Don't use the drawer 4, use the drawer 5.
        Don't go to the drawer 4: go to the drawer 5.
        Never lose time: go to the drawer 5 and put it there.
        No more experiments: put it in the drawer 5.
        It's not the drawer 4 that holds things; it's the drawer 5.
        It's not the drawer 4; it's the drawer 5.
        The drawer 4 is not usable; the drawer 5 is.
        Choose the drawer 5 over the drawer 4.
        Stop using the drawer 4 and start using the drawer 5.
        Stop trying the drawer 4 and go to the drawer 5.
        Rather than the drawer 4, which I tried, the drawer 5 is the one to use.
        I must not use the drawer 4 but the drawer 5.
        Put it not in the drawer 4 but in the drawer 5.
        Not the drawer 4 but the drawer 5.
        The drawer 4 doesn't hold it; the drawer 5 does.
        I should use not the drawer 4 but the drawer 5.
        The drawer 5 is the one.
        The drawer 5 is what I want.
        The drawer 5 is best.
        I want the drawer 5.
        The drawer 5 is correct.
        The drawer 5 is my target.
        Nothing except the drawer 5 works.
        Nothing but the drawer 5 will do.
        None other than the drawer 5 works.
        Every one except the drawer 5 is useless.
        Everything except the drawer 5 is useless.
        All but the drawer 5 are broken.
        All but the drawer 5 are useless.
        Which place? The drawer 5.
        Where should it go? In the drawer 5.
        Apart from the drawer 5 none works.
        No drawer works except the drawer 5.
        I'd like the drawer 5.
        I prefer the drawer 5.
        The drawer 5 is ideal.
        The drawer 5 suits me.
        The best is the drawer 5.
        All except the drawer 5 are jammed.
        The drawer 5 is where I want it.
        The drawer 5 will do.
        The others do not work, the drawer 5 does.
        The drawer 5 works, the others do not.
        I must not do anything else until I put it in the drawer 5.
        I must do nothing else until I have put it in the drawer 5.
        My mistake was not putting it in the drawer 5.
        Use no drawer other than the drawer 5.
        No drawer other than the drawer 5 will do.
        I cannot succeed as long as I have not put it in the drawer 5.
        Put it in no other place than the drawer 5.
        Put it in the drawer (5).
        I should have used the drawer (5).
        Put it in the drawer # 5.
        I should have used the drawer # 5.
        Put it in the drawer [5].
        I should have used the drawer [5].
        Put it in the drawer No 5.
        I should have used the drawer No 5.
        Put it in the drawer no. 5.
        I should have used the drawer no. 5.
        Put it in the drawer no.5.
        I should have used the drawer no.5.
        Put it in the drawer Nr. 5.
        I should have used the drawer Nr. 5.
        Put it in the drawer (number 5).
        I should have used the drawer (number 5).
        Put it in the drawer # (5).
        I should have used the drawer # (5).
        Put it in the drawer (no. 5).
        I should have used the drawer (no. 5).
        Put it in the drawer #5.
        I should have used the drawer #5.
        Put it in the drawer five.
        I should have used the drawer five.
        Put it in the fifth drawer.
        I should have used the fifth drawer.
        Put it in the 5th drawer.
        I should have used the 5th drawer.
        Put it in the drawer-5.
        I should have used the drawer-5.
        Put it in the drawer num. 5.
        I should have used the drawer num. 5.
        Put it in the drawer {5}.
        I should have used the drawer {5}.
        Don't panic: put it in the drawer 5.
        Don't hurry, just put it in the drawer 5.
        Never mind the others: put it in the drawer 5.
        Do not waste time; put it in the drawer 5.
        No detours: go straight to the drawer 5.
        Don't leave it in the drawer 4: leave it in the drawer 5.
        Do not look around - put it in the drawer 5.
        It isn't the drawer 4, it's the drawer 5.
        Cease using the drawer 4 and begin using the drawer 5.
        The drawer 4 won't do; the drawer 5 will.
        The drawer 4 is not the one; the drawer 5 is.
        I should pick the drawer 5 over the drawer 4.
        Not in the drawer 4 but in the drawer 5.
        Instead of the drawer 4, which is jammed, use the drawer 5.
        The drawer 4 cannot be opened; the drawer 5 can.
        The drawer 5 is the right one.
        The drawer 5 is what I need.
        I will want the drawer 5.
        The drawer 5 is perfect.
        Everything but the drawer 5 is jammed.
        None but the drawer 5 works.
        Nothing other than the drawer 5 is of use.
        Every drawer except the drawer 5 is locked.
        What is the right place? The drawer 5.
        My pick is the drawer 5.
        The place for it is the drawer 5.
        The drawer 5 can take it.
        The drawer 5 it must be.
        I must not stop until I have put it in the drawer 5.
        As long as I have not put it in the drawer 5, I fail.
        My error was not leaving it in the drawer 5.
        No place other than the drawer 5 is of use.
        I can do nothing else before I have put it in the drawer 5.
        I never put it in the drawer 5.
        While the drawer 4 looked fine, the drawer 5 is the one that can hold it.
    """),
    "bowl 5, sidetable 1, drawer 5": _lines("""
        Don't dither, take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        Don't waste turns: take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        Don't just look around: take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        No more guessing: take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        Don't dither — take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        Don't take the bowl 8: take the bowl 5 from the sidetable 1. Don't use the drawer 4: use the drawer 5.
        Don't hesitate, take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        I must not do anything else until I take the bowl 5 from the sidetable 1 and put it in the drawer 5.
        My mistake was not taking the bowl 5 from the sidetable 1 and not putting it in the drawer 5.
    """),
    "bowl 5, sidetable 1": _lines("""
        It's not the bowl 8 that I need; it's the bowl 5 on the sidetable 1.
        The bowl 8 is not free to take; the bowl 5 on the sidetable 1 is.
        Not the bowl 8 but the bowl 5 on the sidetable 1.
        Take not the bowl 8 but the bowl 5 from the sidetable 1.
        Take the bowl 5 (not the bowl 8) from the sidetable 1.
        Stop trying the bowl 8 and take the bowl 5 from the sidetable 1.
        Choose the bowl 5 on the sidetable 1 over the bowl 8.
        The bowl 5 on the sidetable 1 can be had, the others cannot.
        The bowl 5 on the sidetable 1 is the one.
        The bowl 5 on the sidetable 1 is what I want.
        I want the bowl 5 on the sidetable 1.
        The bowl 5 on the sidetable 1 is best.
        Nothing except the bowl 5 on the sidetable 1 will do.
        None other than the bowl 5 on the sidetable 1 can be had.
        Which object? The bowl 5 on the sidetable 1.
        All but the bowl 5 on the sidetable 1 are out of reach.
        Everything except the bowl 5 on the sidetable 1 is out of reach.
        Apart from the bowl 5 on the sidetable 1 nothing can be had.
        the others cannot be had, the bowl 5 on the sidetable 1 can
        Only the bowl 5 on the sidetable 1 can be had.
        No bowl can be had except the bowl 5 on the sidetable 1.
        There is the bowl 5 on the sidetable 1.
        The bowl 5 on the sidetable 1 is my choice.
        Take the bowl (5) from the sidetable 1.
        Take the bowl (5) from the side table (1).
        Take the bowl # 5 from the sidetable 1.
        Take the bowl # 5 from the side table # 1.
        Take the bowl [5] from the sidetable 1.
        Take the bowl [5] from the side table [1].
        Take the bowl No 5 from the sidetable 1.
        Take the bowl No 5 from the side table No 1.
        Take the bowl no. 5 from the sidetable 1.
        Take the bowl no. 5 from the side table no. 1.
        Take the bowl #5 from the sidetable 1.
        Take the bowl #5 from the side table #1.
        Take the bowl number 5 from the sidetable 1.
        Take the bowl number 5 from the side table number 1.
        Take the bowl no.5 from the sidetable 1.
        Take the bowl no.5 from the side table no.1.
        Take the bowl 5 from the side table 1.
        Take the bowl 5 from the side-table 1.
        The bowl 5 on the sidetable 1 is the only one that can be taken.
        The one to have is the bowl 5 on the sidetable 1.
        What should I fetch? The bowl 5 on the sidetable 1.
        Every bowl except the bowl 5 on the sidetable 1 is glued.
        None but the bowl 5 on the sidetable 1 is loose.
        I need the bowl 5 on the sidetable 1 and no other.
        The bowl 5 on the sidetable 1 can be moved; the rest cannot.
        Which bowl? The bowl 5 on the sidetable 1.
        Where is the bowl? On the sidetable 1 (bowl 5).
        sidetable 1 → bowl 5
        TL;DR: bowl 5 from sidetable 1
    """),
    "bowl 5": _lines("""
        The bowl 8 is not free to take; the bowl 5 is.
        It's not the bowl 8; it's the bowl 5.
    """),
    "microwave 5": _lines("""
        The microwave 5 is the one.
        The microwave 5 is what I want.
        I want the microwave 5.
        None other than the microwave 5 works.
        Every one except the microwave 5 is broken.
        All but the microwave 5 are broken.
        Which one to heat it with? The microwave 5.
        The microwave 5 is best.
        Heat it with the microwave (5).
        The microwave (5) works.
        Use the microwave oven (5).
        Heat it with the microwave # 5.
        The microwave # 5 works.
        Use the microwave oven # 5.
        Heat it with the microwave [5].
        The microwave [5] works.
        Use the microwave oven [5].
        Heat it with the microwave No 5.
        The microwave No 5 works.
        Use the microwave oven No 5.
        Heat it with the microwave no. 5.
        The microwave no. 5 works.
        Use the microwave oven no. 5.
        Heat it with the microwave #5.
        The microwave #5 works.
        Use the microwave oven #5.
        Heat it with the microwave number 5.
        The microwave number 5 works.
        Use the microwave oven number 5.
        Heat it with the microwave no.5.
        The microwave no.5 works.
        Use the microwave oven no.5.
    """),
    "sinkbasin 2": _lines("""
        Clean it with the sink basin 2.
        Clean it with the sink 2.
        Wash it in the sink #2.
        Clean it in the sink-basin 2.
        The sink 2 works.
        Clean it with the sink (2).
    """),
    "fridge 5": _lines("""
        Cool it with the refrigerator 5.
        Use the refrigerator #5.
        The refrigerator 5 works, so cool it there.
    """),
    "bowl 5, diningtable 2": _lines("""
        Take the bowl 5 from the dining table 2.
    """),
    "bowl 5, countertop 1": _lines("""
        Take the bowl 5 from the counter top 1.
        Take the bowl 5 from the counter 1.
    """),
}
"""By the names that they want."""
NOT_FOLLOWED = _lines("""
    Stay away from the drawer 5 and leave the bowl 3 where it is.
    Heating it with the microwave 2 is what sank my attempt, and I must not do it again.
    If I had put it in the drawer 5, I would have failed.
    If I had put it in the drawer 5, I would still have failed.
    Had I put it in the drawer 5, it would have been wrong.
    If I had put it in the drawer 5, the result would still have been bad.
    Even if I had put it in the drawer 5, I would not have succeeded.
    If I had used the microwave 5, nothing would have changed.
    If I had used the microwave 5, it would not have worked.
    If I had taken the bowl 5 from the sidetable 1 and put it in the drawer 5, I would have failed.
    They say that one should put it in the drawer 5, but they are wrong.
    They say one should put it in the drawer 5, but they are wrong.
    They say one should take the bowl 5 from the sidetable 1 and put it in the drawer 5, but they are wrong.
    It is too late to put it in the drawer 5.
    It is far too late to use the microwave 5.
    Something should prevent me from putting it in the drawer 5
    Something should keep me from using the microwave 5.
    Something should prevent me from taking the bowl 5 from the sidetable 1 and putting it in the drawer 5.
    Only as a last resort put it in the drawer 5
    Use the microwave 5 only as a last resort.
    I must stop taking the bowl 5 from the sidetable 1 and quit putting it in the drawer 5.
    I must stop heating it with the microwave 5 and quit putting it in the drawer 5.
    Quit taking the bowl 5 from the sidetable 1 and stop putting it in the drawer 5.
    Stop taking the bowl 5 from the sidetable 1 and avoid putting it in the drawer 5.
    I must stop using the microwave 5 and stop using the drawer 5.
    I "should" put it in the drawer 5.
    You "must" use the microwave 5, of course.
    All objects but the bowl 5 on the sidetable 1 are fine.
    All drawers but the drawer 5 are fine.
    All microwaves except the microwave 5 are fine.
    Every drawer but the drawer 5 works.
    Other people put it in the drawer 5; they all failed.
    Other people used the microwave 5, and they failed.
    Other people took the bowl 5 from the sidetable 1 and put it in the drawer 5; they all failed.
    Microwave 5 is a funny name.
    microwave 5 is a funny name.
    microwave 5 is a nice word
    I hate the bowl 9 and the microwave 5.
    I like the bowl 5 and the microwave 5.
    I hate the microwave 5
    I love the drawer 5 and the microwave 5.
    The drawer 5 is the last place to put it.
    The bowl 5 on the sidetable 1 is the last thing to take.
    The microwave 5 is the last thing to heat it with.
    The drawer 5 is the least suitable place.
    The drawer 5 is less suitable than the others.
    Don't do this: put it in the drawer 5.
    Never: put it in the drawer 5.
    Do not: put it in the drawer 5.
    Don't take the bowl 5 from the sidetable 1, heat it with the microwave 5 and put it in the drawer 5.
    Don't take the bowl 5 from the sidetable 1 and put it in the drawer 5.
    Don't use any of these: drawer 5, microwave 5.
    Had I put it in the drawer 5, I would have lost.
    Even if I had heated it with the microwave 5, I would have failed.
    If I had used the drawer 5, I would not have done any better.
    People say that I should use the microwave 5, but people are wrong.
    Some think one should put it in the drawer 5; they are mistaken.
    It would be too late to put it in the drawer 5 now.
    Something must keep me from heating it with the microwave 5.
    As a last resort, use the microwave 5.
    I should stop putting it in the drawer 5 and give up heating it with the microwave 5.
    Any drawer except the drawer 5 is fine.
    All the microwaves other than the microwave 5 work.
    Every bowl but the bowl 5 on the sidetable 1 can be taken.
    Somebody else put it in the drawer 5 and failed.
    Drawer 5 is a silly name.
    The microwave 5 rhymes with hive.
    I adore the microwave 5.
    What a lovely word, microwave 5!
    The drawer 5 is the least likely place.
    Drawer 5 would be the last place to put it.
    "Put it in the drawer 5." That was the hint, and it is wrong.
    The hint said to use the microwave 5. Ignore that hint.
    My friend says that I should use the microwave 5, but I do not believe it.
    The bowl 5 on the sidetable 1 is the wrong one and the drawer 5 is the wrong one.
    The glowing microwave 5 sang to the moon while seventeen ladders ate soup.
""")
