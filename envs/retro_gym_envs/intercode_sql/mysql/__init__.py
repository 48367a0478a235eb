"""The part of MySQL that the environment needs: databases from a dump, and statements run on in-memory SQLite."""
