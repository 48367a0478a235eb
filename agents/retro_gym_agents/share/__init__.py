"""Sharing: runs, merged models and records on the Hugging Face hub, with cards that are filled from them."""

from retro_gym_agents.share.commands import command_of
from retro_gym_agents.share.facts import RunFacts, read_facts
from retro_gym_agents.share.pushing import Prepared, merge, prepare_records, prepare_run

__all__ = ["Prepared", "RunFacts", "command_of", "merge", "prepare_records", "prepare_run", "read_facts"]
