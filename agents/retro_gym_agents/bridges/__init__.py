"""Bridges to the trainers of other libraries."""
