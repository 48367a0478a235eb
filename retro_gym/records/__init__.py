"""Records: append-only JSONL files of runs, trials and reflections.

``schema`` defines the rows; ``writer``, ``header`` and ``recorder`` write them; ``reader`` reads them; ``bank`` uses
stored failures in place of new first trials. Every line is flushed; a killed process leaves at most one incomplete
line, which is removed when the file is next opened for writing.
"""

from retro_gym.records.bank import FailureBank
from retro_gym.records.reader import RunRecords, load_run, read_records
from retro_gym.records.schema import (
    SCHEMA,
    GenerationRecord,
    LostRecord,
    PromptRecord,
    ReflectionRecord,
    RunHeader,
    TrialRecord,
)
from retro_gym.records.writer import RecordWriter

__all__ = [
    "SCHEMA",
    "FailureBank",
    "GenerationRecord",
    "LostRecord",
    "PromptRecord",
    "RecordWriter",
    "ReflectionRecord",
    "RunHeader",
    "RunRecords",
    "TrialRecord",
    "load_run",
    "read_records",
]
