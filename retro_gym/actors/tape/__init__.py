"""Tapes: an actor's replies, recorded and played again."""
