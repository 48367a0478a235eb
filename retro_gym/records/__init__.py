"""Records: append-only JSONL files of runs, trials and reflections.

``schema`` says what stands in them, ``writer``, ``header`` and ``recorder`` write them, ``reader`` reads them and
``bank`` plays their failures back. Lines are flushed one by one; a process that is killed leaves at most one torn line,
which the next open repairs.
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
