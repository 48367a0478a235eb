"""Token-level views of RetroEnv."""
