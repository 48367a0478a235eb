"""TRL: a Retro environment as reward function and data set of ``GRPOTrainer`` and ``RLOOTrainer`` (TRL 1.16).

::

    env = make_retro_env("RetroHotpotQA-v0")
    reflector = Reflector.load("tiny")
    trainer = GRPOTrainer(
        model=reflector.model,
        processing_class=reflector.tokenizer,
        args=GRPOConfig(output_dir="runs/trl", num_generations=8, **trl_settings(reflector)),
        train_dataset=failures(env, reflector, num_tasks=256, seed=0),
        reward_funcs=RetroReward(env),
    )
    trainer.train()
    reflector.save("runs/trl/adapter")  # for `retro-gym evaluate`

What stands on which side: TRL samples the reflections, makes advantages of the rewards and updates the weights, with
all that it scales with (Accelerate, DeepSpeed, FSDP, vLLM). The environment gives the prompts and pays.

The data set is a list of failures that are played beforehand; so TRL learns from a fixed distribution of first
failures, where the learners of this package play new ones for each update. A row holds all that its state follows
from, the failed trial included: any process restores it without an actor call, and pays through ``branch``.

A failed actor is no reward of 0: such a sample gets None, which TRL leaves out of the group's mean and gives an
advantage of 0. (With GRPO's ``beta`` above 0 its tokens still take part in the KL term, which is no matter of rewards.)

TRL's ``environment_factory`` is not served. There the completion reaches an environment through tool calls only, one
rollout after the other; a reflection is the completion itself, reflectors need know no tools, and trials are to run
side by side. In ``rollout_func``, which GRPO alone has, :class:`ReflectorRollout` fits.
"""

from retro_gym_agents.bridges.trl.dataset import failures, prompt_of
from retro_gym_agents.bridges.trl.reward import RetroReward
from retro_gym_agents.bridges.trl.sampling import ReflectorRollout, trl_settings

__all__ = ["ReflectorRollout", "RetroReward", "failures", "prompt_of", "trl_settings"]
