"""The same episodes one token at a time."""
