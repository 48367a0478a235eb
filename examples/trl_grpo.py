r"""Trains a reflector with TRL's GRPOTrainer, on one device or, with Accelerate, on several.

    python examples/trl_grpo.py --env RetroHotpotQA-v0 --reflector tiny --output runs/trl
    accelerate launch --cpu --num_processes 2 examples/trl_grpo.py --output runs/trl
    accelerate launch --num_processes 8 examples/trl_grpo.py --reflector Qwen/Qwen2.5-1.5B-Instruct --vllm \
        --actor openai:Qwen/Qwen2.5-7B-Instruct --learning-rate 2e-5 --output runs/qwen

A batch has ``--prompts`` failures with ``--samples`` reflections each, over all processes. Needs
``pip install "retro-gym[trl]"``. The adapter is written to OUTPUT/adapter, in the format of ``retro-gym evaluate``.
"""

import argparse
import json
from pathlib import Path

from accelerate import PartialState
from trl import GRPOConfig, GRPOTrainer

from retro_gym_agents.bridges.trl import ReflectorRollout, RetroReward, failures, trl_settings
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.envs import make_retro_env


def train(args: argparse.Namespace) -> None:
    state = PartialState()
    env = make_retro_env(args.env, actor=args.actor)
    reflector = Reflector.load(args.reflector, seed=args.seed)
    trainer = GRPOTrainer(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        reward_funcs=RetroReward(env),
        train_dataset=failures(env, reflector, num_tasks=args.tasks, seed=args.seed),
        rollout_func=ReflectorRollout(reflector, seed=args.seed) if args.own_sampler else None,
        args=GRPOConfig(
            output_dir=str(args.output),
            max_steps=args.updates,
            per_device_train_batch_size=args.prompts * args.samples // state.num_processes,
            num_generations=args.samples,
            learning_rate=args.learning_rate,
            lr_scheduler_type="constant",
            beta=args.beta,
            scale_rewards="none",  # advantages in units of reward, not divided by the group's standard deviation
            seed=args.seed,
            use_cpu=state.device.type == "cpu",
            use_vllm=args.vllm,
            vllm_mode="colocate",
            gradient_checkpointing=args.vllm,
            ddp_find_unused_parameters=False,
            logging_steps=1,
            report_to=args.report_to,
            save_strategy="no",
            **trl_settings(reflector),
        ),
    )
    trainer.train()
    if state.is_main_process:
        reflector.save(args.output / "adapter")
        log = [json.dumps(row) for row in trainer.state.log_history]
        (args.output / "log.jsonl").write_text("\n".join(log) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="RetroHotpotQA-v0", help="id of the environment")
    parser.add_argument("--actor", default="scripted", help="spec of the actor, see retro_gym.make_actor")
    parser.add_argument("--reflector", default="tiny", help="'tiny', a folder, or a name on the Hugging Face hub")
    parser.add_argument("--output", type=Path, required=True, help="folder for adapter and log")
    parser.add_argument("--tasks", type=int, default=256, help="tasks with a failure, played before training")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--prompts", type=int, default=16, help="failures per update, over all processes")
    parser.add_argument("--samples", type=int, default=8, help="reflections on each failure")
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--beta", type=float, default=0.0, help="coefficient of the KL divergence from the start")
    parser.add_argument("--own-sampler", action="store_true", help="sample with the reflector's own sampler")
    parser.add_argument("--vllm", action="store_true", help="sample with vLLM on the training GPUs")
    parser.add_argument("--report-to", default="none", help="TRL's report_to: tensorboard, wandb, …")
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())
