"""Records of two runs compared whatever the order in which their trials ended."""

import dataclasses
import json

from retro_gym.records import load_run


def untied(path, *, without=()):
    """Trials and reflections, sorted, with what their ids refer to in place of the ids.

    Args:
        path: a records file.
        without: columns that are left out.
    """
    run = load_run(path)

    def plain(record, **resolved):
        columns = dataclasses.asdict(record) | {"id": "", "group": ""} | resolved
        return json.dumps({name: value for name, value in columns.items() if name not in without}, sort_keys=True)

    def trial(record):
        return (
            None if record is None else plain(record, prompt=record.prompt and run.prompts[record.prompt].instruction)
        )

    def reflection(record):
        parent = record.parent and run.reflections[record.parent].reflection
        after, controls = map(trial, run.after(record)), map(trial, run.controls(record))
        return plain(record, before=trial(run.before(record)), after=[*after], controls=[*controls], parent=parent)

    rated = [reflection(each) for each in (*run.reflections.values(), *run.lost.values())]
    return sorted([*map(trial, run.trials.values()), *rated])
