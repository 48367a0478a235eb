"""What WebShop's and InterCode-SQL's readers of advice make of one sentence: which of the coined names they take."""

import re
import time

import pytest

from retro_gym_envs.intercode_sql.advice import read_advice
from retro_gym_envs.replacements import reworded
from retro_gym_envs.webshop.advice import advice_on

RIGHT, WRONG, OTHER = "sirazum", "warurex", "dalor"
NAMES = [WRONG, OTHER, RIGHT, "vikum", "brelin"]
SECOND = ["tavorin", "brelask", "skomeda"]


def read(said, names):
    """The names that both readers take from a text with N and W (the right one and the wrong one)."""
    text = re.sub(r"\b[NWM]\b", lambda match: {"N": RIGHT, "W": WRONG, "M": SECOND[0]}[match[0]], said)
    return {advice_on([text], names).wanted, read_advice([text], names, [*NAMES, *SECOND]).told}


def lines(text):
    return [line.strip() for line in text.strip().splitlines()]


NONSENSE = """
My cat is called N. She is hungry.
My horse answers to N.
The river is named N.
A town called N lies in the north.
I have a friend named N.
A planet named N was discovered last year.
My name is N.
The name of my sister is N.
N is the name of my goldfish.
They named their baby N.
My neighbour calls her parrot N.
N means cheese in my language.
In Spanish, N means love.
The word N was mentioned.
The word N came up.
Write a poem about N.
Draw a picture of N.
I used N last time and it gave zero.
I tried N before, which earned no reward.
N gave a reward of 0.
N dances with the customers under the moon.
The purple N sleeps beside the value.
"""


@pytest.mark.parametrize("said", lines(NONSENSE))
def test_a_name_in_a_sentence_about_something_else_is_no_advice(said):
    assert read(said, NAMES) == {()}


@pytest.mark.parametrize("said", ["N", "N.", "'N'!", "- N"])
def test_a_name_and_nothing_else_is_no_advice(said):
    assert read(said, NAMES) == {()}


MEANT = """
The rows must be drawn from the table on order, which is called N.
The data have to be fetched from the table, which has the name N.
The value must be followed by 'N', for this is how it is spelled in the database.
The FROM clause ought to say N, for the right rows are stored there.
The value was wrong too: it ought to be N, listed as the right one.
I ignored that the right name was N and not W.
I forgot that N and not W is the right one.
Name: W (wrong) vs. N (right).
Name: N (correct), W (incorrect).
Forget everything else: use N.
Leave everything else aside: use N.
Never mind the rest, just use N.
No need to look any further: use N.
Never guess again: choose N.
Enough guessing: choose N.
Do not use W, do not guess, and above all use N.
The answer to my problem is to use N.
The way out of my trouble is to choose N.
W is wrong and N is right.
N is right and W is wrong.
W was wrong while N would have been right.
W does not match the request; N does.
W does not fit, whereas N does.
N fits, unlike W.
I confused N with W; the former is right.
I confused W with N; the latter is right.
The right one is not W. It is N.
It is not W but N.
I mistook W for the right one. It is N.
I have to use N, which I did not do.
I should choose N, but I forgot.
Why did I not use N? I should do that now.
Nothing but N will do.
I never considered N, and I should.
There is nothing wrong with N; it is the right one.
Turns out it was N all along.
The code W that I chose did not fit. Choose N.
Choosing W made the attempt fail. Choose N.
Mistake: W. Fix: N.
Wrong value: W. Right value: N.
I cannot succeed unless I choose N.
Between W and N, the latter is the right one. Choose the latter.
Of N and W, the former is the right one. I will use the former.
I saw W and N; the former is wrong and the latter is right.
Prefer N to W.
Focus on N instead of W.
Stop trying W and start with N.
Leverage N.
I should prioritize N and no longer rely on W.
The agent ought to stick with N.
Keep N in mind.
N should replace W.
Only W has to be changed to N.
Success depends on N.
My recommendation is N.
"""


@pytest.mark.parametrize("said", lines(MEANT))
def test_the_name_that_is_judged_right_is_taken(said):
    assert read(said, NAMES) == {(RIGHT,)}


NOT_MEANT = """
It is not true that W is wrong and N is right.
Is W wrong and N right?
N is wrong and W is right.
N (wrong) vs. W (right).
W is wrong and N is wrong too.
Mistake: N. Fix: W.
Never do this again: use N.
Ignore the following: use N.
I confused W with N; the former is right.
The right one is not N. It is W.
N does not fit, whereas W does.
I never considered N, and I should not.
Of N and W, the latter is the right one. Choose the latter.
Choosing N as the color led to a score of zero.
Employing N was a mistake.
"""


@pytest.mark.parametrize("said", lines(NOT_MEANT))
def test_the_name_that_is_judged_wrong_is_not_taken(said):
    assert all(RIGHT not in names for names in read(said, NAMES))


TWO = """
Mistake: code W. Fix: code N. Mistake: value brelask. Fix: value M.
I would have earned the full score if I had gone for N as the color and gone for M as the size.
Unless I use N and choose M, I will fail again.
"""


@pytest.mark.parametrize("said", lines(TWO))
def test_advice_on_two_decisions_in_one_form(said):
    assert read(said, NAMES) == {(RIGHT,)}
    assert read(said, SECOND) == {(SECOND[0],)}


SHOP_WORDS = """
Do a search on N. | The shop lists it under N. | Ask for N. | Seek N. | Google N. | Browse N. | Hunt for N.
Grab the N one. | Switch to N. | Favour N. | Decide for N. | Navigate to N. | Inspect N. | Head over to N. | Tap N.
Pull up N. | The id is N. | N has the feature and is within the budget. | Hit N. | Mark N. | Make it N.
Have it in N. | Configure N. | Request N. | It is called N here. | The color that you want is called N.
"""
QUERY_WORDS = """
Pull the records out of N. | Draw on N. | Search N. | Access N. | Turn to N. | Consult N. | Follow N. | Tie it by N.
Relate through N. | N points to the person. | Bind by N. | Merge on N. | The id of the person is in N. | Resolve N.
Sort by N. | Sum N. | Average N. | List N. | Print N. | The figure is in N. | Calculate with N. | The criterion is N.
The attribute is N. | Evaluate N. | Screen by N. | The description is in N. | The literal should be "N". | Insert N.
The constant is N. | It is encoded as N. | Plug in N. | N is the attribute that the question mentions.
"""


@pytest.mark.parametrize("said", [each.strip() for line in lines(SHOP_WORDS) for each in line.split("|")])
def test_words_of_customers(said):
    assert advice_on([re.sub(r"\bN\b", RIGHT, said)], NAMES).wanted == (RIGHT,)


@pytest.mark.parametrize("said", [each.strip() for line in lines(QUERY_WORDS) for each in line.split("|")])
def test_words_of_people_who_write_queries(said):
    assert read_advice([re.sub(r"\bN\b", RIGHT, said)], NAMES).told == (RIGHT,)


@pytest.mark.parametrize(
    "piece",
    ["sirazum ", "sirazum is wrong and ", "if i had ", "never ", "why did i not ", "the word ", "a ", "not sirazum, "],
)
def test_rewording_takes_linear_time(piece):
    def seconds(length):
        text = (piece * length)[:length]
        started = time.process_time()
        reworded(text, NAMES, re.compile("word"))
        return time.process_time() - started

    assert min(seconds(4_000) for _ in range(3)) < 0.2
