"""Evaluation: success by trial, its statistics, and how they are shown."""
