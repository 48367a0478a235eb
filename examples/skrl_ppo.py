"""PPO on tokens with another library: skrl (https://skrl.readthedocs.io), tested with release 2.1.1.

    pip install skrl
    python examples/skrl_ppo.py --env RetroHotpotQA-v0 --reflector tiny --output runs/skrl

skrl wraps a Gymnasium vector environment and flattens observations into floats, so the environment returns ids only
(``observation="ids"``, −1 as padding): floats represent them exactly up to 2²⁴.
"""

import argparse
from typing import Any

import gymnasium as gym
import numpy as np
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import CategoricalMixin, DeterministicMixin, Model
from skrl.trainers.torch import SequentialTrainer
from skrl.utils import set_seed
from torch import Tensor, nn

from retro_gym import TokenVectorEnv
from retro_gym_agents.bridges.token_options import token_options
from retro_gym_agents.lm.prefixes import CausalModel, read_shared
from retro_gym_agents.lm.reflector import Reflector


class Agent(CategoricalMixin, DeterministicMixin, Model):  # type: ignore[misc]  # skrl is not typed here
    """The reflector as policy, with a value head on the same hidden state: one model in both of skrl's roles."""

    def __init__(self, reflector: Reflector, **spaces: Any) -> None:
        Model.__init__(self, **spaces, device="cpu")
        CategoricalMixin.__init__(self, role="policy")
        DeterministicMixin.__init__(self, role="value")
        self.model = reflector.model
        self.head = nn.Linear(reflector.hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.causal = CausalModel(reflector.model)
        self.temperature = reflector.sampling.temperature

    def act(self, inputs: dict[str, Any], *, role: str = "") -> tuple[Tensor, dict[str, Any]]:
        """Samples tokens in the role of the policy, returns values in the role of the value function."""
        mixin: Any = CategoricalMixin if role == "policy" else DeterministicMixin
        result: tuple[Tensor, dict[str, Any]] = mixin.act(self, inputs, role=role)
        return result

    def compute(self, inputs: dict[str, Any], role: str) -> tuple[Tensor, dict[str, Any]]:
        """Returns logits (B, V) of the next token, or values (B, 1)."""
        ids_BW = inputs["observations"].long().numpy()
        logits_BV, hidden_BD = read_shared(self.causal, [ids_W[ids_W >= 0] for ids_W in ids_BW])
        return (logits_BV / self.temperature if role == "policy" else self.head(hidden_BD.detach().float())), {}


class Meter(gym.vector.VectorWrapper[Any, Any, Any]):
    """Collects the rewards of reflections."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.earned: list[float] = []

    def step(self, actions: Any) -> Any:
        """Collects the rewards of episodes that have ended, without those in which the actor has failed."""
        step = self.env.step(actions)
        _, rewards, terminations, truncations, infos = step
        failed = infos.get("final_info", {}).get("actor_failed", np.zeros(self.num_envs, dtype=np.bool_))
        self.earned += rewards[(terminations | truncations) & ~failed].tolist()
        return step


def train(args: argparse.Namespace) -> list[float]:
    """Trains; returns the reward of each reflection, in order."""
    set_seed(args.seed)
    reflector = Reflector.load(args.reflector, seed=args.seed)
    meter = Meter(
        TokenVectorEnv(
            gym.make_vec(args.env, args.num_envs, max_reflections=1),
            reflector.tokenizer,
            observation="ids",
            info="numbers",
            **token_options(reflector),
        )
    )
    env = wrap_env(meter, wrapper="gymnasium")
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    agent = Agent(reflector, **spaces)
    ppo = PPO(
        models={"policy": agent, "value": agent},
        memory=RandomMemory(memory_size=args.num_steps, num_envs=args.num_envs, device="cpu"),
        **spaces,
        device="cpu",
        cfg={
            "rollouts": args.num_steps,
            "learning_epochs": 2,
            "mini_batches": 1,
            "discount_factor": 1.0,
            "gae_lambda": 1.0,
            "learning_rate": args.learning_rate,
            "time_limit_bootstrap": True,  # what is truncated; if the actor failed, that is all there is
            "experiment": {"write_interval": 0, "checkpoint_interval": 0},
        },
    )
    options = {"timesteps": args.updates * args.num_steps, "disable_progressbar": True, "headless": True}
    SequentialTrainer(env=env, agents=ppo, cfg={**options, "close_environment_at_exit": False}).train()
    env.close()
    if args.output:
        reflector.save(args.output)
    return meter.earned


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="RetroHotpotQA-v0", help="id of the environment")
    parser.add_argument("--reflector", default="tiny", help="'tiny', a folder, or a name on the Hugging Face hub")
    parser.add_argument("--output", help="folder for the adapter")
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--num-envs", type=int, default=16)
    parser.add_argument("--num-steps", type=int, default=96, help="tokens per environment and rollout")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    earned = train(parser.parse_args())
    print(f"{len(earned)} reflections; the first hundred earned {sum(earned[:100]) / 100:.3f} on average, ", end="")
    print(f"the last hundred {sum(earned[-100:]) / 100:.3f}")
