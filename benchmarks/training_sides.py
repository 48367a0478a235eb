"""The implementations that :mod:`benchmarks.training_speed` compares: the same work by this package and by others.

Every side is a function that takes turns: after each turn it asks whether to take another. All use the same model with
random weights, the same adapter, and the same prompts of random words. With random weights the end token is as rare as
any other, so that nearly all samples have the full length on all sides.
"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeAlias

import gymnasium as gym
import torch
from torch.utils.flop_counter import FlopCounterMode

from retro_gym import TokenEnv
from retro_gym_agents.algorithms.reinforce import ReinforceConfig, improve
from retro_gym_agents.lm.adapters import LoraSettings, frozen
from retro_gym_agents.lm.pretrained import load_base
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.lm.scoring import score
from retro_gym_agents.play.rollout import Rollout, Round
from retro_gym_agents.runs.config import TrainConfig

Side = Literal["ours", "TRL GRPO", "TRL RLOO", "SB3 incremental", "SB3 naive"]
"""Implementations of a whole training step."""
Part = Literal["sampling", "generate", "update", "update of plain rows"]
"""Implementations of sampling only, or of the update only."""
GoesOn: TypeAlias = Callable[[float | None], bool]
"""Takes the floating-point operations of the turn that has ended, or None where these were not counted; returns whether
to take another turn."""
TakeTurns: TypeAlias = Callable[[GoesOn], None]
"""Takes turns until its argument, which it calls after each turn, returns False."""

_LORA = LoraSettings().filled()


@dataclasses.dataclass(frozen=True)
class Setting:
    """The size of the work."""

    prompt: int = 512
    """Tokens per prompt."""
    samples: int = 8
    """K: samples per prompt."""
    tokens: int = 48
    """New tokens per sample."""
    prompts: int = 2
    """Prompts per step."""
    envs: int = 4
    """Parallel environments in Stable-Baselines3; each writes one sample per step."""
    layers: int = 2
    """Layers of the model."""
    hidden: int = 128
    """Hidden size of the model, with heads of size 32."""
    vocabulary: int = 2_000
    """Vocabulary size of the model."""
    device: str = "cpu"
    """Device of all computations."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Dtype of the model's weights."""
    model: str = ""
    """A pretrained model, a folder or a GGUF file, in place of one with random weights. Of its tokenizer only the size
    is used: prompts are random tokens, and the end is a token that it hardly ever writes."""
    peer_rows: int | None = None
    """Samples that TRL trains on in one pass, accumulating gradients; all by default."""

    @property
    def end_id(self) -> int:
        """Id of the end token."""
        return self.vocabulary - 1 if self.model else 2


def make_model(setting: Setting) -> Any:
    """Returns the pretrained model, or a Qwen-style one with random weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    if setting.model:
        model, _ = load_base(setting.model, setting.device, setting.dtype, "model")
        return _sampling(model, setting)
    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=setting.vocabulary,
        hidden_size=setting.hidden,
        intermediate_size=3 * setting.hidden,
        num_hidden_layers=setting.layers,
        num_attention_heads=setting.hidden // 32,
        num_key_value_heads=max(1, setting.hidden // 64),
        max_position_embeddings=setting.prompt + setting.tokens + 8,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    return _sampling(Qwen2ForCausalLM(shape).to(setting.device, getattr(torch, setting.dtype)), setting)


def _sampling(model: Any, setting: Setting) -> Any:
    ends = {"pad_token_id": 0, "eos_token_id": setting.end_id}
    model.generation_config.update(
        do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=setting.tokens, **ends
    )
    return model


def make_tokenizer(setting: Setting) -> Any:
    """Returns a tokenizer with a word for each token: ``w17`` is token 17."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(2, setting.vocabulary) if i != setting.end_id}
    words |= {"<pad>": 0, "<s>": 1, "</s>": setting.end_id}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", padding_side="left")


def make_reflector(setting: Setting) -> Reflector:
    """Returns the model as a reflector."""
    reflector = Reflector(
        make_model(setting), make_tokenizer(setting), name="speed", lora=_LORA, max_new_tokens=setting.tokens
    )
    reflector.freeze_reference()
    return reflector


def make_texts(setting: Setting, count: int) -> list[str]:
    """Returns prompts of random words."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, setting.vocabulary - 1, (count, setting.prompt), generator=generator)
    return [" ".join(f"w{i}" for i in row) for row in ids.tolist()]


def make_side(name: Side | Part, setting: Setting) -> TakeTurns:
    """Returns a side that is ready to take its first turn."""
    match name:
        case "TRL GRPO" | "TRL RLOO":
            return _trl_trainer(setting, name)
        case "ours":
            return functools.partial(_repeat, OurStep(setting))
        case "SB3 incremental" | "SB3 naive":
            return functools.partial(_repeat, Sb3Step(setting, incremental=name == "SB3 incremental"))
        case _:
            return functools.partial(_repeat, _part(name, setting))


def _repeat(turn: Callable[[], object], goes_on: GoesOn) -> None:
    with FlopCounterMode(display=False) as counter:
        turn()
    operations = float(counter.get_total_flops())
    while goes_on(operations):
        turn()


# -- sampling only, update only --------------------------------------------------------------------------------------


def _part(name: Part, setting: Setting) -> Callable[[], object]:
    """Returns our sampler or ``generate``, both with merged weights, or our update or one over unpacked rows."""
    reflector, texts = make_reflector(setting), make_texts(setting, setting.prompts)
    samples = reflector.sample(texts, num_samples=setting.samples, seed=0)
    repeated = samples.prompts.repeat(setting.samples)

    def generate() -> None:
        with frozen(reflector.model):
            reflector.model.generate(
                input_ids=repeated.ids_PS, attention_mask=repeated.mask_PS.long(), eos_token_id=None, pad_token_id=0
            )

    def update() -> None:
        reflector.model.zero_grad()
        scores = score(
            reflector.model,
            samples.prompts,
            samples.tokens_NT,
            samples.mask_NT,
            temperature=1.0,
            num_samples=setting.samples,
            share_prompt=name == "update",
        )
        torch.autograd.backward(scores.logprobs_NT.sum())

    if name == "sampling":
        return lambda: reflector.sample(texts, num_samples=setting.samples, seed=0)
    return generate if name == "generate" else update


# -- whole steps -------------------------------------------------------------------------------------------------------


class OurStep:
    """A step of REINFORCE: sampling, rewards without an environment, and the update with its KL term."""

    def __init__(self, setting: Setting) -> None:
        self._samples = setting.samples
        self._reflector, self._texts = make_reflector(setting), make_texts(setting, setting.prompts)
        self._config = ReinforceConfig(
            output=Path("nowhere"),
            group_size=setting.samples,
            baseline="leave_one_out" if setting.samples > 1 else "batch_mean",
            learning_rate=1e-5,
        )
        self._optimizer = torch.optim.AdamW(self._reflector.trainable.values(), lr=1e-5, weight_decay=0.0)
        self._turns = 0

    def __call__(self) -> None:
        """Makes a step."""
        self._turns += 1
        samples = self._reflector.sample(self._texts, num_samples=self._samples, seed=self._turns)
        rewards_N = samples.tokens_NT[:, 0].cpu().remainder(2).float()
        everything_N = torch.ones(len(rewards_N), dtype=torch.bool)
        rollout = Rollout((Round(samples, rewards_N, everything_N, everything_N),))
        improve(self._reflector, self._optimizer, rollout, self._config)


def _trl_trainer(setting: Setting, name: Literal["TRL GRPO", "TRL RLOO"]) -> TakeTurns:
    """Returns steps of TRL's trainer, which runs its own loop."""
    import datasets
    import trl
    from peft import LoraConfig
    from transformers import PrinterCallback, TrainerCallback

    class Between(TrainerCallback):  # type: ignore[misc] # transformers has no types
        goes_on: GoesOn

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = not self.goes_on(None)

    between = Between()
    rows = setting.peer_rows or setting.prompts * setting.samples
    kinds = {"TRL GRPO": (trl.GRPOTrainer, trl.GRPOConfig), "TRL RLOO": (trl.RLOOTrainer, trl.RLOOConfig)}
    settings = kinds[name][1](
        output_dir=tempfile.mkdtemp(),  # required, but nothing is written
        max_steps=1_000_000,
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=setting.prompts * setting.samples // rows,
        num_generations=setting.samples,
        max_completion_length=setting.tokens,
        temperature=1.0,
        top_k=0,
        beta=TrainConfig.kl_coef,
        learning_rate=1e-5,
        gradient_checkpointing=False,
        bf16=setting.dtype == "bfloat16",
        use_cpu=setting.device == "cpu",
        report_to="none",
        save_strategy="no",
        logging_steps=1_000_000,
        disable_tqdm=True,
        shuffle_dataset=False,
    )
    trainer = kinds[name][0](
        model=make_model(setting),
        reward_funcs=lambda completions, **_: [float(len(text) % 2) for text in completions],
        args=settings,
        train_dataset=datasets.Dataset.from_dict({"prompt": make_texts(setting, setting.prompts) * 64}),
        processing_class=make_tokenizer(setting),
        peft_config=LoraConfig(
            r=_LORA.rank, lora_alpha=_LORA.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
        ),
        callbacks=[between],
    )
    trainer.remove_callback(PrinterCallback)

    def take_turns(goes_on: GoesOn) -> None:
        between.goes_on = goes_on
        trainer.train()

    return take_turns


class Words(gym.ObservationWrapper[str, str, str]):
    """Replaces every observation by the same text."""

    def __init__(self, env: gym.Env[str, str], text: str) -> None:
        super().__init__(env)
        self._text = text

    def observation(self, observation: str) -> str:
        """Returns the text."""
        return self._text


class Sb3Step:
    """A step of Stable-Baselines3's PPO on tokens: a rollout with one sample per environment, and one epoch on it."""

    def __init__(self, setting: Setting, *, incremental: bool) -> None:
        from stable_baselines3 import PPO
        from stable_baselines3.common.vec_env import DummyVecEnv

        from retro_gym_agents.bridges.sb3.policy import LoraCausalPolicy

        reflector = make_reflector(setting)
        (text,) = make_texts(setting, 1)

        def make() -> gym.Env[Any, Any]:
            failures = gym.make("RetroIdentity-v0", max_reflections=1, disable_env_checker=True)
            return TokenEnv(
                Words(failures, text),
                reflector.tokenizer,
                max_prompt_tokens=setting.prompt,
                max_new_tokens=setting.tokens,
            )

        self._steps = setting.tokens
        self._ppo = PPO(
            LoraCausalPolicy,
            DummyVecEnv([make] * setting.envs),
            policy_kwargs={"reflector": reflector, "incremental": incremental},
            n_steps=setting.tokens,
            batch_size=setting.tokens * setting.envs,
            n_epochs=1,
            gamma=1.0,
            seed=0,
            device=setting.device,
        )
        self._callback = self._ppo._setup_learn(10**9)[1]

    def __call__(self) -> None:
        """Makes a step."""
        ppo = self._ppo
        assert ppo.env is not None
        ppo.collect_rollouts(ppo.env, self._callback, ppo.rollout_buffer, self._steps)
        ppo.train()
