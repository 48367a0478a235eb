"""The wordings of the built-in questions, by the shape of the query. No split shares a wording with another.

In the training wordings many different words follow the phrase for a table or a column, so that a learner does not take
what happens to follow it for a part of its name.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["FUNCTIONS", "WORDINGS"]

FUNCTIONS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "aggregate": {
        "AVG": ("average", "mean"),
        "SUM": ("total", "combined"),
        "MAX": ("highest", "greatest"),
        "MIN": ("lowest", "smallest"),
    },
    "superlative": {"DESC": ("highest", "greatest"), "ASC": ("lowest", "smallest")},
}
"""The words that ask for an aggregate or an order."""

WORDINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "list": {
        "train": (
            "List the {measure} of all {table} whose {filter} is {value}.",
            "What is the {measure} of the {table} with {value} as {filter}?",
            "Show the {measure} of every one of the {table} that has {value} as {filter}.",
            "All {table} come with a {filter}: where it is {value}, what {measure} is noted?",
            "Some {table}, with {value} for the {filter}, have a {measure} that is wanted: print it.",
            "Look up, for {value} in the {filter}, every {measure} among the {table}.",
            "Print the {measure}, but of such {table} only as have the {filter} at {value}.",
            "By {filter}, pick the {table} at {value}; the {measure} of each is asked for.",
        ),
        "validation": ("Give me the {measure} for each of the {table} where the {filter} is {value}.",),
        "test": (
            "For the {table} whose {filter} is {value}, report the {measure}.",
            "Which {measure} do the {table} have that show {value} as their {filter}?",
        ),
    },
    "aggregate": {
        "train": (
            "What is the {function} {measure} of the {table} whose {filter} is {value}?",
            "Compute the {function} {measure} over all {table} with {value} as {filter}.",
            "Find the {function} {measure} of those {table} that have {value} as {filter}.",
            "Take all {table} for which the {filter} reads {value}; how large is the {function} {measure} there?",
            "With {value} for the {filter}, what {function} {measure} results from the {table}?",
            "The {function} {measure}, please, but only over {table} where {filter} equals {value}.",
            "If the {filter} is to be {value}, which {function} {measure} do the {table} give?",
            "Work out the {function} {measure} for {table}, their {filter} being {value}.",
        ),
        "validation": ("Among {table} where the {filter} is {value}, what is the {function} {measure}?",),
        "test": (
            "Tell me the {function} {measure} found among the {table} whose {filter} is {value}.",
            "Of all {table} that show {value} as their {filter}, state the {function} {measure}.",
        ),
    },
    "superlative": {
        "train": (
            "Give the name of the one with the {function} {measure} among the {table} whose {filter} is {value}.",
            "What is the name of the one of the {table} with {value} as {filter} that has the {function} {measure}?",
            "Among the {table} that have {value} as {filter}, find the name of that with the {function} {measure}.",
            "Some {table} have the {filter} at {value}; say the name of the one where the {measure} is {function}.",
            "By {measure}, the {function} of the {table} is sought, for {filter} equal to {value}: what is its name?",
            "Where the {filter} reads {value}, which name among the {table} goes with the {function} {measure}?",
            "Pick from {table}, {value} being the {filter}, the {function} by {measure} and say its name.",
            "Let {value} be the {filter}; then, among the {table}, whose {measure} is {function}? Say the name.",
        ),
        "validation": ("From the {table} where the {filter} is {value}, name the one of the {function} {measure}.",),
        "test": (
            "Of the {table} whose {filter} is {value}, which one has the {function} {measure}? State its name.",
            "State the name of whichever of the {table} that show {value} as {filter} has the {function} {measure}.",
        ),
    },
    "holders": {
        "train": (
            "Who is the {key} of each of the {table} whose {filter} is {value}?",
            "List the name of the {key} of all {table} with {value} as {filter}.",
            "Show who the {key} is for every one of the {table} that has {value} as {filter}.",
            "All {table} where {value} is the {filter} have people behind them; who acts as {key} there?",
            "By name, say the {key} for every one of the {table}, the {filter} being {value}.",
            "If the {filter} reads {value}, who looks after these {table} as {key}?",
            "People are asked for: as {key} of {table}, but only at {value} in the {filter}.",
            "Pick the {table}, {value} for the {filter}, and print which person is {key} in each case.",
        ),
        "validation": ("For {table} where the {filter} is {value}, give me the name of the {key}.",),
        "test": (
            "The {table} whose {filter} is {value} each have a person as {key}: state their name.",
            "Tell me who serves as {key} of the {table} that show {value} as their {filter}.",
        ),
    },
    "held": {
        "train": (
            "Which of the {table} whose {filter} is {value} have {person} as {key}?",
            "List the name of all {table} with {value} as {filter} and {person} as {key}.",
            "Show the name of every one of the {table} with {person} as {key} that has {value} as {filter}.",
            "Some {table} have {person} as {key}; where the {filter} reads {value}, what are they called?",
            "As {key}, {person} looks after {table}: print those for which {value} is the {filter}.",
            "By name, say all {table} that have the {filter} at {value}, and as {key} none but {person}.",
            "If {person} acts as {key}, and the {filter} is to be {value}, which {table} are left?",
            "Take {value} for the {filter} and {person} for the {key}: what names do these {table} bear?",
        ),
        "validation": ("With {person} as {key}, what are the {table} called where the {filter} is {value}?",),
        "test": (
            "State the name of the {table} for which {person} is the {key} and {value} the {filter}.",
            "How are those {table} called whose {key} is {person} and whose {filter} is {value}?",
        ),
    },
}
