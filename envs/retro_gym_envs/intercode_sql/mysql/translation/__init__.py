"""Translation from MySQL's to SQLite's dialect: tokenise, check, infer types, rewrite."""
