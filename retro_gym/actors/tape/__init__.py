"""Tapes: an actor's replies, recorded and replayed."""
