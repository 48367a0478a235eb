"""MySQL's functions and comparisons, written in Python for SQLite."""
