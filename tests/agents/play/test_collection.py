"""Collections: which tasks are played, and how often."""

import json

from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.policies import make_policy


def test_a_task_is_repeated_with_other_seeds(tmp_path):
    path = tmp_path / "records.jsonl"
    collect(CollectConfig("RetroALFWorld-v0", path, num_episodes=8, max_reflections=1, repeats=3), make_policy("vague"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    first = [row for row in rows if row["kind"] == "trial" and row["trial"] == 0]
    tasks = [row["task_id"] for row in first]
    assert sorted(tasks.count(task) for task in set(tasks)) == [2, 3, 3]
    trials = {(row["task_id"], json.dumps(row["turns"])) for row in first}
    assert len(trials) > 3, "each episode has a seed of its own"
