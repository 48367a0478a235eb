"""PPO on tokens in one file, in the style of CleanRL: arguments, agent, update and training loop.

    python examples/cleanrl_ppo.py --env-id RetroHotpotQA-v0 --reflector tiny --output runs/cleanrl

From retro_gym_agents it uses only the reflector: a transformers model with a LoRA adapter, its tokenizer and limits.
From retro_gym it uses only TokenVectorEnv: Gymnasium's vector interface, with a token as action. Every step processes
the whole prompt again, so an update takes about two minutes on two cores; ``retro_gym_agents.TokenPolicy`` in place of
``Agent`` avoids this with a key-value cache.

Axes: T steps of a rollout, B environments (in the update: rows of a minibatch), W columns of an observation,
V vocabulary, D hidden size.
"""

import dataclasses

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import Tensor, nn

from retro_gym import TokenVectorEnv
from retro_gym_agents.bridges.token_options import token_options
from retro_gym_agents.lm.reflector import Reflector


@dataclasses.dataclass
class Args:
    """PPO (arXiv 1707.06347) with settings chosen for reflections."""

    env_id: str = "RetroHotpotQA-v0"
    """id of the environment"""
    reflector: str = "tiny"
    """'tiny', a folder, or a name on the Hugging Face hub"""
    output: str = ""
    """folder for the trained adapter; none by default"""
    seed: int = 0
    """seed of the tasks, the samples and the weights"""
    total_timesteps: int = 100_000
    """total number of sampled tokens"""
    learning_rate: float = 3e-4
    """learning rate of Adam, for adapter and value head"""
    num_envs: int = 16
    """number of parallel environments"""
    num_steps: int = 96
    """tokens per environment and rollout"""
    gamma: float = 1.0
    """discount per token; 1, so that long reflections are not worth less"""
    gae_lambda: float = 1.0
    """λ of generalised advantage estimation; at 1 returns are not bootstrapped within an episode"""
    num_minibatches: int = 4
    """minibatches per epoch"""
    update_epochs: int = 2
    """passes over a rollout"""
    clip_coef: float = 0.2
    """clip range of the probability ratio"""
    vf_coef: float = 0.5
    """coefficient of the value loss"""
    ent_coef: float = 0.0
    """coefficient of the entropy bonus; a language model explores enough without it"""
    max_grad_norm: float = 0.5
    """maximum norm of the gradient"""


class Agent(nn.Module):
    """The reflector, and a value head on its last hidden state."""

    def __init__(self, reflector: Reflector) -> None:
        super().__init__()
        self.model = reflector.model  # in evaluation mode; only the adapter's weights require a gradient
        self.critic = nn.Linear(reflector.hidden_size, 1)
        nn.init.zeros_(self.critic.weight)
        nn.init.zeros_(self.critic.bias)
        self.temperature = reflector.sampling.temperature
        self.trained = [weight for weight in self.parameters() if weight.requires_grad]

    def read(self, ids_BW: Tensor, mask_BW: Tensor) -> tuple[Tensor, Tensor]:
        """Returns logits (B, V) and values (B) after the last token of each row.

        Rows are padded on both sides: positions and the last token follow from the mask.
        """
        used_W = mask_BW.bool().any(0)  # the columns in which some row has a token
        ids_BW, mask_BW = ids_BW[:, used_W], mask_BW[:, used_W]
        positions_BW = (mask_BW.cumsum(-1) - 1).clamp(min=0)
        out = self.model(
            input_ids=ids_BW,
            attention_mask=mask_BW,
            position_ids=positions_BW,
            logits_to_keep=1,
            output_hidden_states=True,
        )
        last_B = (mask_BW * torch.arange(mask_BW.shape[1])).argmax(-1)
        hidden_BD = out.hidden_states[-1][torch.arange(len(ids_BW)), last_B].float()
        return self.model.get_output_embeddings()(hidden_BD), self.critic(hidden_BD.detach())[:, 0]

    def get_value(self, ids_BW: Tensor, mask_BW: Tensor) -> Tensor:
        """Returns values (B)."""
        return self.read(ids_BW, mask_BW)[1]

    def get_action_and_value(
        self, ids_BW: Tensor, mask_BW: Tensor, action_B: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns actions, log-probabilities, entropies and values, each (B)."""
        logits_BV, value_B = self.read(ids_BW, mask_BW)
        logprobs_BV = torch.log_softmax(logits_BV.float() / self.temperature, -1)
        if action_B is None:
            action_B = torch.multinomial(logprobs_BV.exp(), 1)[:, 0]
        entropy_B = -(logprobs_BV.exp() * logprobs_BV).sum(-1)
        return action_B, logprobs_BV.gather(-1, action_B[:, None])[:, 0], entropy_B, value_B


def tensors(observation: dict[str, np.ndarray]) -> tuple[Tensor, Tensor]:
    """Returns ids and mask, both (B, W) of integers."""
    return torch.as_tensor(observation["ids"]), torch.as_tensor(observation["mask"]).long()


def estimate_advantages(
    rewards_TB: Tensor, values_TB: Tensor, dones_TB: Tensor, next_value_B: Tensor, next_done_B: Tensor, args: Args
) -> Tensor:
    """Returns generalised advantage estimates (arXiv 1506.02438), (T, B)."""
    advantages_TB = torch.zeros_like(rewards_TB)
    last_B = torch.zeros_like(next_value_B)
    for t in reversed(range(len(rewards_TB))):
        following_B = next_value_B if t == len(rewards_TB) - 1 else values_TB[t + 1]
        goes_on_B = 1.0 - (next_done_B if t == len(rewards_TB) - 1 else dones_TB[t + 1])
        delta_B = rewards_TB[t] + args.gamma * following_B * goes_on_B - values_TB[t]
        last_B = delta_B + args.gamma * args.gae_lambda * goes_on_B * last_B
        advantages_TB[t] = last_B
    return advantages_TB


def improve(agent: Agent, optimizer: torch.optim.Optimizer, batch: tuple[Tensor, ...], args: Args) -> None:
    """Runs all epochs on a rollout of N = T·B steps: ids, mask, actions, log-probabilities, advantages and returns."""
    total = len(batch[0])
    for _ in range(args.update_epochs):
        for rows in torch.split(torch.randperm(total), total // args.num_minibatches):
            ids_BW, mask_BW, action_B, old_logprob_B, advantage_B, return_B = (part[rows] for part in batch)
            _, logprob_B, entropy_B, value_B = agent.get_action_and_value(ids_BW, mask_BW, action_B)
            ratio_B = (logprob_B - old_logprob_B).exp()
            advantage_B = (advantage_B - advantage_B.mean()) / (advantage_B.std() + 1e-8)
            clipped_B = ratio_B.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            policy_loss = -torch.minimum(advantage_B * ratio_B, advantage_B * clipped_B).mean()
            value_loss = 0.5 * (value_B - return_B).square().mean()
            loss = policy_loss + args.vf_coef * value_loss - args.ent_coef * entropy_B.mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            nn.utils.clip_grad_norm_(agent.trained, args.max_grad_norm)
            optimizer.step()


def train(args: Args) -> list[float]:
    """Trains; returns the mean reward of each rollout's reflections."""
    torch.manual_seed(args.seed)
    reflector = Reflector.load(args.reflector, seed=args.seed)
    # With one reflection per episode, its reward comes from the next trial only.
    envs = TokenVectorEnv(
        gym.make_vec(args.env_id, args.num_envs, max_reflections=1),
        reflector.tokenizer,
        info="numbers",
        **token_options(reflector),
    )
    agent = Agent(reflector)
    optimizer = torch.optim.Adam(agent.trained, lr=args.learning_rate, eps=1e-5)

    width = envs.single_observation_space["ids"].shape[0]  # type: ignore[index]  # a Dict space
    ids_TBW = torch.zeros((args.num_steps, args.num_envs, width), dtype=torch.long)
    mask_TBW = torch.zeros_like(ids_TBW)
    actions_TB = torch.zeros((args.num_steps, args.num_envs), dtype=torch.long)
    logprobs_TB, rewards_TB, dones_TB, values_TB = torch.zeros((4, args.num_steps, args.num_envs))

    observation, _ = envs.reset(seed=args.seed)
    ids_BW, mask_BW = tensors(observation)  # type: ignore[arg-type]  # observation="dict" is the default
    done_B = torch.zeros(args.num_envs)
    history: list[float] = []
    for update in range(args.total_timesteps // (args.num_steps * args.num_envs)):
        paid: list[float] = []
        for step in range(args.num_steps):
            ids_TBW[step], mask_TBW[step], dones_TB[step] = ids_BW, mask_BW, done_B
            with torch.no_grad():
                action_B, logprobs_TB[step], _, values_TB[step] = agent.get_action_and_value(ids_BW, mask_BW)
            actions_TB[step] = action_B
            observation, reward_B, terminated_B, truncated_B, infos = envs.step(action_B.numpy())
            ids_BW, mask_BW = tensors(observation)  # type: ignore[arg-type]
            rewards_TB[step] = torch.as_tensor(reward_B)  # 0 if the actor failed
            done_B = torch.as_tensor(terminated_B | truncated_B).float()
            # What is truncated is bootstrapped from the value function. If the actor failed, that stands in place of a
            # reward, so that the advantage of the reflection is about 0; what a time limit has truncated counts too.
            failed_B = infos.get("final_info", {}).get("actor_failed", np.zeros(args.num_envs, dtype=np.bool_))
            paid += reward_B[done_B.bool().numpy() & ~failed_B].tolist()
            for i in np.flatnonzero(truncated_B):
                final = {name: values[None] for name, values in infos["final_obs"][i].items()}
                with torch.no_grad():
                    rewards_TB[step, i] += args.gamma * agent.get_value(*tensors(final))[0]

        with torch.no_grad():
            next_value_B = agent.get_value(ids_BW, mask_BW)
        advantages_TB = estimate_advantages(rewards_TB, values_TB, dones_TB, next_value_B, done_B, args)
        batch = (
            ids_TBW.flatten(0, 1),
            mask_TBW.flatten(0, 1),
            actions_TB.flatten(),
            logprobs_TB.flatten(),
            advantages_TB.flatten(),
            (advantages_TB + values_TB).flatten(),
        )
        improve(agent, optimizer, batch, args)
        history.append(sum(paid) / max(1, len(paid)))
        print(f"update {update + 1}: {len(paid)} reflections, reward {history[-1]:.3f}", flush=True)
    envs.close()
    if args.output:
        reflector.save(args.output)
    return history


if __name__ == "__main__":
    train(tyro.cli(Args))
