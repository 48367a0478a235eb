"""The learning algorithms, one per file, in the order and notation of their papers."""
