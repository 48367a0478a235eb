"""MySQL as the game needs it: databases from a dump, and statements that run on a SQLite in memory."""
