"""A custom learner: REINFORCE with the leave-one-out baseline, on any RetroEnv, in forty lines.

    python examples/custom_reinforce.py --env RetroHotpotQA-v0 --reflector tiny --output runs/custom

From retro_gym_agents it uses only the reflector; the rest is Gymnasium, ``env.branch`` and torch.
"""

import argparse

import gymnasium as gym
import torch

import retro_gym
from retro_gym_agents.lm.reflector import Reflector


def train(args: argparse.Namespace) -> None:
    reflector = Reflector.load(args.reflector, seed=args.seed)
    optimizer = torch.optim.AdamW(reflector.trainable.values(), lr=args.learning_rate, weight_decay=0.0)
    envs = [gym.make(args.env).unwrapped for _ in range(args.prompts)]
    for update in range(args.updates):
        failures, groups = [], []
        for number, env in enumerate(envs):
            failure, _ = env.reset(seed=args.seed + update * args.prompts + number)
            failures.append(failure)
        samples = reflector.sample(failures, num_samples=args.samples, seed=args.seed + update)
        for number, env in enumerate(envs):
            assert isinstance(env, retro_gym.RetroEnv)
            reflections = samples.texts[number * args.samples : (number + 1) * args.samples]
            groups.append([float("nan" if out.reward is None else out.reward) for out in env.branch(reflections)])
        # P prompts, K samples of each, N = P·K. There is no reward where the actor failed: the sample is dropped.
        rewards_PK = torch.tensor(groups)
        counted_PK = ~rewards_PK.isnan()
        rewards_PK = rewards_PK.nan_to_num()
        others_PK = (rewards_PK.sum(1, keepdim=True) - rewards_PK) / (counted_PK.sum(1, keepdim=True) - 1).clamp(min=1)
        advantages_N = ((rewards_PK - others_PK) * counted_PK).flatten()
        logprobs_NT = reflector.logprobs(samples)  # 0 after a reflection's end
        loss = -(advantages_N[:, None] * logprobs_NT).sum() / len(advantages_N)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        print(f"update {update + 1}: reward {rewards_PK[counted_PK].mean():.3f}", flush=True)
    if args.output:
        reflector.save(args.output)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="RetroHotpotQA-v0", help="id of the environment")
    parser.add_argument("--reflector", default="tiny", help="'tiny', a folder, or a name on the Hugging Face hub")
    parser.add_argument("--output", help="folder for the adapter")
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--prompts", type=int, default=16, help="failures per update")
    parser.add_argument("--samples", type=int, default=8, help="reflections on each failure")
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--seed", type=int, default=0)
    train(parser.parse_args())
