"""Reads a run's records and computes all four rewards again, without an actor: python rate_records.py RECORDS.jsonl."""

import sys

from retro_gym.records import load_run
from retro_gym.rewards import REWARD_NAMES


def main() -> None:
    run = load_run(sys.argv[1])
    reflections = run.reflections.values()
    equal = sum(run.rate(reflection) == reflection.reward for reflection in reflections)
    print(f"{equal} of {len(reflections)} equal to what was paid; {len(run.lost)} were lost to actor errors.")
    for reward in REWARD_NAMES:
        rated = [rate for each in reflections if (rate := run.rate(each, reward)) is not None]
        mean = f"mean {sum(rated) / len(rated):+.4f}" if rated else "no controls were played"
        print(f"{reward:12} {len(rated):6} reflections, {mean}")


if __name__ == "__main__":
    main()
