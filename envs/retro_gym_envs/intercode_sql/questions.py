"""The wordings of the built-in questions, by the shape of the query. No split shares a wording with another."""

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
        ),
        "validation": ("With {person} as {key}, what are the {table} called where the {filter} is {value}?",),
        "test": (
            "State the name of the {table} for which {person} is the {key} and {value} the {filter}.",
            "How are those {table} called whose {key} is {person} and whose {filter} is {value}?",
        ),
    },
}
