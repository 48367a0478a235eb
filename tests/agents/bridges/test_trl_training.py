"""TRL's own trainers on Retro environments."""

import json
import os
import socket
import subprocess
import sys

import pytest
import torch

from retro_gym.testing import FlakyActor, IdentityActor
from retro_gym_agents.bridges.trl import ReflectorRollout, RetroReward, failures, trl_settings
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env

trl = pytest.importorskip("trl")

# TRL and peft still use the names that transformers 5 has given up.
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* is deprecated:FutureWarning")

KINDS = {"grpo": (trl.GRPOConfig, trl.GRPOTrainer), "rloo": (trl.RLOOConfig, trl.RLOOTrainer)}


class ShuffledReward(RetroReward):
    """The rewards of a call, permuted: a control that must not learn."""

    def __call__(self, *args, **kwargs):
        rewards = super().__call__(*args, **kwargs)
        generator = torch.Generator().manual_seed(int(kwargs["trainer_state"].global_step))
        return [rewards[i] for i in torch.randperm(len(rewards), generator=generator)]


def trainer(kind, reflector, env, output, *, reward=RetroReward, tasks=16, rollout=False, **fields):
    make_config, make = KINDS[kind]
    config = make_config(
        output_dir=str(output),
        **{
            "per_device_train_batch_size": 64,
            "num_generations": 8,
            "max_steps": 20,
            "learning_rate": 3e-3,
            "lr_scheduler_type": "constant",
            "beta": 0.0,
            "use_cpu": True,
            "gradient_checkpointing": False,
            "logging_steps": 1,
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            **trl_settings(reflector),
            **fields,
        },
    )
    return make(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        args=config,
        train_dataset=failures(env, reflector, num_tasks=tasks, seed=0),
        reward_funcs=reward(env),
        **({"rollout_func": ReflectorRollout(reflector, seed=0)} if rollout else {}),
    )


def share_right(reflector, env, tasks=32):
    """How much sampled reflections earn on tasks of the test split."""
    reflector.model.eval()
    rows = failures(env, reflector, num_tasks=tasks, seed=1, split="test")
    columns = {name: list(rows[name]) for name in ("task_id", "seed", "failure", "state")}
    observations = [text.removeprefix("<s>") for text in rows["prompt"]]
    rewards = RetroReward(env)(list(rows["prompt"]), reflector.reflect(observations, greedy=False, seed=0), **columns)
    return sum(rewards) / len(rewards)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_and_does_not_learn_from_shuffled_rewards(kind, small_model, tmp_path):
    env = make_retro_env("RetroIdentity-v0", max_reflections=1)
    shares = {}
    for reward in (RetroReward, ShuffledReward):
        reflector = Reflector.load(small_model)
        before = share_right(reflector, env)
        run = trainer(kind, reflector, env, tmp_path, reward=reward)
        run.train()
        shares[reward] = share_right(reflector, env)
        logged = [row for row in run.state.log_history if "reward" in row]
        assert len(logged) == 20
        assert {row["retro/actor_errors"] for row in logged} == {0.0}
        assert all(row["retro/success"] == pytest.approx(row["reward"]) for row in logged)
    assert before < 0.6
    assert shares[RetroReward] > 0.9
    assert shares[ShuffledReward] < 0.7


@pytest.mark.filterwarnings("ignore:You are using 'rollout_func':UserWarning")  # TRL calls it experimental
def test_it_learns_by_the_reflectors_own_sampler_and_keeps_the_start_as_reference(small_model, tmp_path):
    env = make_retro_env("RetroIdentity-v0", max_reflections=1)
    reflector = Reflector.load(small_model)
    run = trainer("grpo", reflector, env, tmp_path / "run", rollout=True, beta=0.01, gradient_checkpointing=True)
    run.train()
    right = share_right(reflector, env)
    assert right > 0.9
    assert run.state.log_history[-2]["kl"] > 0
    reflector.save(tmp_path / "adapter")
    assert share_right(Reflector.load(tmp_path / "adapter"), env) == right


def gradient_of(run, reflector, batch):
    run.model.train()
    run.current_gradient_accumulation_steps = 1
    run.model.zero_grad()
    torch.autograd.backward(run.compute_loss(run.model, batch))
    return torch.cat([weight.grad.flatten() for weight in reflector.trainable.values()])


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_actor_failed_on_carries_no_gradient(kind, small_model, tmp_path):
    def fails(prompt):  # always on one of the words, once there is a reflection
        return prompt.reflections[-1:] == ("green",)

    env = make_retro_env("RetroIdentity-v0", max_reflections=1, actor=FlakyActor(IdentityActor(), fails))
    reflector = Reflector.load(small_model)
    run = trainer(kind, reflector, env, tmp_path, beta=0.05 if kind == "rloo" else 0.0)
    rows = [run.train_dataset[i // 8] for i in range(64)]
    run.model.train()
    batch = run._generate_and_score_completions(rows)
    green = reflector.tokenizer.convert_tokens_to_ids("green")
    void_N = batch["completion_ids"][:, 0] == green
    assert 0 < void_N.sum() < 64
    assert batch["advantages"][void_N].abs().max() == 0
    assert batch["advantages"][~void_N].abs().max() > 0
    if kind == "grpo":  # the others' advantages are what they would be without the void ones
        again = RetroReward(env)([], texts(run, batch), **columns(rows))
        paid = torch.tensor([float("nan") if reward is None else reward for reward in again])
        for group in range(8):
            members = slice(8 * group, 8 * group + 8)
            valid = ~torch.isnan(paid[members])
            kept = paid[members][valid]
            expected = (kept - kept.mean()) / (kept.std() + 1e-4)
            torch.testing.assert_close(batch["advantages"][members][valid], expected, rtol=1e-4, atol=1e-4)
    gradient = gradient_of(run, reflector, batch)
    other = dict(batch)
    other["completion_ids"] = batch["completion_ids"].clone()
    other["completion_ids"][void_N, 0] = reflector.tokenizer.convert_tokens_to_ids("gold")
    torch.testing.assert_close(gradient_of(run, reflector, other), gradient)
    other["completion_ids"][~void_N, 0] = reflector.tokenizer.convert_tokens_to_ids("gold")
    assert not torch.allclose(gradient_of(run, reflector, other), gradient)


def texts(run, batch):
    return run.processing_class.batch_decode(batch["completion_ids"], skip_special_tokens=True)


def columns(rows):
    return {name: [row[name] for row in rows] for name in ("task_id", "seed", "failure", "reflections", "state")}


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def first_update(root, small_model, output, processes):
    """The example, for one update of 4 x 8 samples; returns the adapter's weights and the logged row."""
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", str(processes), "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", str(free_port())]
    arguments = {"env": "RetroIdentity-v0", "reflector": small_model, "output": output, "updates": 1, "tasks": 8}
    arguments |= {"prompts": 4, "samples": 8, "learning-rate": 1e-3, "beta": 0.02}
    command = [sys.executable, *(launch if processes > 1 else []), root / "examples" / "trl_grpo.py", "--own-sampler"]
    command += [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=output.parent, env=environment)
    assert done.returncode == 0, done.stderr
    row = json.loads((output / "log.jsonl").read_text(encoding="utf-8").splitlines()[0])
    return Reflector.load(output / "adapter").adapter_state(), row


@pytest.mark.slow
def test_two_processes_make_the_update_of_one(root, small_model, tmp_path):
    """The same samples in both: the reflector's sampler draws by step and place in the global batch.

    TRL's own sampling has a random state in each process, so that no two launches of different size see the same
    reflections; with greedy decoding all of a group would be the same, and there would be nothing to learn.
    """
    (one, row_of_one), (two, row_of_two) = (
        first_update(root, small_model, tmp_path / f"of_{processes}", processes) for processes in (1, 2)
    )
    start = Reflector.load(small_model, seed=0).adapter_state()
    assert row_of_one["reward_std"] > 0
    for name in ("reward", "retro/success", "completions/mean_length", "grad_norm", "kl"):
        assert row_of_two[name] == pytest.approx(row_of_one[name], abs=1e-4), name
    assert max(float((one[name] - start[name]).abs().max()) for name in start) > 5e-4
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:You are using 'rollout_func':UserWarning")
def test_the_tiny_reflector_improves_on_hotpotqa(tmp_path):
    env = make_retro_env("RetroHotpotQA-v0", max_reflections=1)
    reflector = Reflector.load("tiny")
    before = share_right(reflector, env, tasks=100)
    run = trainer("grpo", reflector, env, tmp_path, tasks=240, rollout=True, max_steps=30, learning_rate=1e-3)
    run.train()
    after = share_right(reflector, env, tasks=100)
    print(f"mean return of a sampled reflection on 100 test failures: {before:.3f} before, {after:.3f} after")
    assert after >= before + 0.1
