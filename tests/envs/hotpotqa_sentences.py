"""Sentences on HotpotQA questions, as people write them; ``n`` is a page, ``w`` the word on it, ``o`` a wrong word."""

__all__ = ["COMPARISONS", "ONE_PAGE", "WITHOUT_EFFECT"]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip().replace(" / ", "\n") for line in text.strip().splitlines())


ONE_PAGE = _lines("""
    Search for {n} and answer with the {w}.
    Look up {n} and report the {w}.
    Search for {n}. Give the {w}.
    Search for {n}. Finish with the {w}.
    Search for {n}. Extract the {w}.
    Search for {n}. Copy the value of {w}.
    Search for {n}. The value labelled {w} is the answer.
    Search for {n}. Use the field labelled {w}.
    Search for {n}. The relevant field: {w}
    Search for {n}. Detail: {w}
    Search for {n}. The question means the {w}.
    Search for {n}. The page's word for it is {w}.
    Search for {n}. Pay attention to the {w}.
    Search for {n}. I overlooked that the question means the {w}.
    Search for {n}. Interpret it as the {w}.
    Target page: {n}. Read the {w}.
    I ought to have chosen {n}. Read the {w}.
    I overlooked {n}. Its {w} is the answer.
    {n} holds the answer, as its {w}.
    Focus on {n}. Report the {w}.
    The question refers to {n}, and asks for the {w}.
    Nothing but {n} helps; read its {w}.
    I should not have ignored {n} and its {w}.
    On the page of {n} I picked the {o}; the {w} is what was meant.
    My answer was the {o} of {n}, yet the {w} was required.
    Page: {n}; label: {w}
    Entity: {n} / Attribute: {w}
    Quote the {w} of {n}.
    The answer lies in the {w} of {n}.
""")
COMPARISONS = _lines("""
    {n1}'s {w} against {n2}'s {w}
    First {n1}, then {n2}; the lower {w} wins.
    1. {n1} / 2. {n2} / Read the {w} of each.
    Compare the {w} of {n1} with that of {n2}.
    {n1} versus {n2}: {w}
""")
WITHOUT_EFFECT = _lines("""
    {n} is a funny word, and {w} is another.
    {n} is boring; the {w} is dull.
    {n} was born on a Tuesday; the {w} is dull.
    {n} is a nice name. The {w} is a word.
    I doubt that {n} is right.
    Do not report the {w} of {n}.
    I focused on {n} and on the {w}.
    {n} does not hold the answer.
    The question does not refer to {n}.
    Wrong page: {n}. Wrong label: {w}
    My name is {n} and I like the {w}.
""")
