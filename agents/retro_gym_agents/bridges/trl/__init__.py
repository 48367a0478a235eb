"""TRL bridge: a Retro environment as reward function and data set of ``GRPOTrainer`` and ``RLOOTrainer`` (TRL 1.16).

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

TRL samples the reflections, computes advantages from the rewards and updates the weights, at any scale that it supports
(Accelerate, DeepSpeed, FSDP, vLLM). The environment supplies the prompts and the rewards.

The data set is a list of failures that are played in advance, so TRL learns from a fixed distribution of first
failures, while the learners of this package play new ones for each update. A row holds its complete state, including
the failed trial: any process restores it without an actor call and computes the rewards through ``branch``.

A failed actor does not give a reward of 0: such a sample gets None, which TRL leaves out of the group's mean; its
advantage is 0. (With GRPO's ``beta`` above 0 its tokens still count in the KL term, which does not depend on rewards.)

TRL's ``environment_factory`` is not supported: there a completion reaches an environment only through tool calls, and
rollouts run sequentially. Here the reflection is the completion itself, reflectors need no tool use, and trials run in
parallel. :class:`ReflectorRollout` serves as ``rollout_func``, which only GRPO has.
"""

from retro_gym_agents.bridges.trl.dataset import failures, prompt_of
from retro_gym_agents.bridges.trl.reward import RetroReward
from retro_gym_agents.bridges.trl.sampling import ReflectorRollout, trl_settings

__all__ = ["ReflectorRollout", "RetroReward", "failures", "prompt_of", "trl_settings"]
