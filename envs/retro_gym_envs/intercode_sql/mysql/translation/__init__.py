"""From MySQL's language to SQLite's: taken to pieces, checked, typed, rewritten."""
