"""How fast a reflector samples and learns, beside the libraries that one would take otherwise.

    python benchmarks/training_speed.py                 # a prompt of 512 tokens, 8 samples of it, 48 new tokens
    python benchmarks/training_speed.py --sweep         # over prompt length, samples per prompt, and model size

The same model with the same adapter on all sides, the same prompts, random weights, a reward that costs nothing. The
sides take turns within one run, after one turn of warming up; what is printed are medians and the ratio of medians.
With random weights the end token is as rare as any other: nearly all samples have the full length, on all sides.
TRL's trainer runs its own loop, and ours takes its turn after each of its steps.

Peak memory is that of a process of its own for each side, beyond what the process held before its first step.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from rich.console import Console
from rich.table import Table

from retro_gym_agents.config import TrainConfig
from retro_gym_agents.inference import frozen
from retro_gym_agents.loading import LoraSettings
from retro_gym_agents.reflector import Reflector
from retro_gym_agents.reinforce import ReinforceConfig, improve
from retro_gym_agents.rollout import Rollout, Round
from retro_gym_agents.scoring import score

Side = Literal["ours", "grpo", "rloo"]
_LORA = LoraSettings()


@dataclasses.dataclass(frozen=True)
class Config:
    """What is measured."""

    prompt: int = 512
    """Tokens of a prompt."""
    samples: int = 8
    """K: samples of each prompt."""
    tokens: int = 48
    """New tokens of each sample."""
    prompts: int = 2
    """Prompts of a step."""
    layers: int = 2
    """Of the model."""
    hidden: int = 128
    """Its width; there are heads of 32."""
    vocabulary: int = 2_000
    """Its tokens."""
    repeats: int = 7
    """Turns of each side."""
    threads: int = 2
    """Of torch, on the CPU."""
    device: str = "cpu"
    """Where everything runs."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the model's weights."""
    trl: bool = True
    """Whether TRL takes part."""
    sweep: bool = False
    """Measures prompt lengths of 128 to 2048, 1 to 16 samples, and three sizes, without TRL."""
    memory_of: Side | None = None
    """Measures the peak memory of one side's steps in this process and nothing else."""
    json: Path | None = None
    """Where the figures go."""


def main(config: Config) -> None:
    """Measures and prints."""
    torch.set_num_threads(config.threads)
    if config.memory_of is not None:
        print(json.dumps(peak_memory(config, config.memory_of)))
        return
    console = Console()
    rows: list[dict[str, Any]] = []
    for one in sweep(config) if config.sweep else [config]:
        figures = parts(one)
        rows.append({"config": dataclasses.asdict(one), "parts": figures})
        console.print(parts_table(one, figures))
    if config.trl and not config.sweep:
        for algorithm in ("grpo", "rloo"):
            figures = steps_beside_trl(config, algorithm)
            memory = {side: memory_in_a_process(config, side) for side in ("ours", algorithm)}
            rows.append({"algorithm": algorithm, "steps": figures, "peak_mib": memory})
            console.print(steps_table(config, algorithm, figures, memory))
    if config.json is not None:
        config.json.write_text(json.dumps(rows, indent=2, default=str) + "\n", encoding="utf-8")


def sweep(config: Config) -> list[Config]:
    """The settings that cost is measured over, one thing changed at a time."""
    lengths = [dataclasses.replace(config, prompt=prompt) for prompt in (128, 256, 512, 1_024, 2_048)]
    groups = [dataclasses.replace(config, samples=samples) for samples in (1, 2, 4, 16)]
    sizes = [dataclasses.replace(config, layers=layers, hidden=hidden) for layers, hidden in ((4, 256), (8, 512))]
    return lengths + groups + sizes


# -- the model and its data ------------------------------------------------------------------------------------------


def make_model(config: Config) -> Any:
    """A Qwen-style model with random weights."""
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    shape = Qwen2Config(
        vocab_size=config.vocabulary,
        hidden_size=config.hidden,
        intermediate_size=3 * config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.hidden // 32,
        num_key_value_heads=max(1, config.hidden // 64),
        max_position_embeddings=config.prompt + config.tokens + 8,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    model = Qwen2ForCausalLM(shape).to(config.device, getattr(torch, config.dtype))
    model.generation_config.update(do_sample=True, temperature=1.0, top_k=0, max_new_tokens=config.tokens)
    return model


def make_tokenizer(config: Config) -> Any:
    """A word for each token: ``w17`` is token 17."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<s>": 1, "</s>": 2, **{f"w{i}": i for i in range(3, config.vocabulary)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", padding_side="left")


def make_reflector(config: Config) -> Reflector:
    """Our side's model."""
    reflector = Reflector(
        make_model(config), make_tokenizer(config), name="speed", lora=_LORA, max_new_tokens=config.tokens
    )
    reflector.freeze_reference()
    return reflector


def make_texts(config: Config) -> list[str]:
    """Prompts of random words."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, config.vocabulary, (config.prompts, config.prompt), generator=generator)
    return [" ".join(f"w{i}" for i in row) for row in ids.tolist()]


# -- sampling and update by themselves -------------------------------------------------------------------------------


def parts(config: Config) -> dict[str, list[float]]:
    """Seconds of each turn: our sampler and ``generate``, our update and one over plain rows."""
    reflector, texts = make_reflector(config), make_texts(config)
    samples = reflector.sample(texts, num_samples=config.samples, seed=0)
    repeated = samples.prompts.repeat(config.samples)

    def generate() -> None:
        with frozen(reflector.model):  # merged weights on both sides
            reflector.model.generate(
                input_ids=repeated.ids_PS, attention_mask=repeated.mask_PS.long(), eos_token_id=None, pad_token_id=0
            )

    def update(*, share_prompt: bool) -> None:
        reflector.model.zero_grad()
        scores = score(
            reflector.model,
            samples.prompts,
            samples.tokens_NT,
            samples.mask_NT,
            temperature=1.0,
            num_samples=config.samples,
            share_prompt=share_prompt,
        )
        torch.autograd.backward(scores.logprobs_NT.sum())

    return take_turns(
        config,
        {
            "sampling": lambda: reflector.sample(texts, num_samples=config.samples, seed=0),
            "generate": generate,
            "update": lambda: update(share_prompt=True),
            "update of plain rows": lambda: update(share_prompt=False),
        },
    )


def take_turns(config: Config, sides: Mapping[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Seconds of each turn of each side."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(config.repeats + 1):
        for name, side in sides.items():
            elapsed = timed(config, side)
            if turn:
                seconds[name].append(elapsed)
    return seconds


def timed(config: Config, side: Callable[[], object]) -> float:
    """Seconds of one call, until the device has ended too."""
    if config.device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    side()
    if config.device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


# -- whole steps -------------------------------------------------------------------------------------------------------


class OurStep:
    """Sampling, rewards that cost nothing, and an update of REINFORCE with its KL term."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.reflector, self.texts = make_reflector(config), make_texts(config)
        self.settings = ReinforceConfig(output=Path("nowhere"), group_size=config.samples, learning_rate=1e-5)
        self.optimizer = torch.optim.AdamW(self.reflector.trainable.values(), lr=1e-5, weight_decay=0.0)
        self.steps = 0

    def __call__(self) -> None:
        """Makes a step."""
        self.steps += 1
        samples = self.reflector.sample(self.texts, num_samples=self.config.samples, seed=self.steps)
        rewards_N = samples.tokens_NT[:, 0].cpu().remainder(2).float()
        everything_N = torch.ones(len(rewards_N), dtype=torch.bool)
        rollout = Rollout((Round(samples, rewards_N, everything_N, everything_N),))
        improve(self.reflector, self.optimizer, rollout, self.settings)


def trl_trainer(config: Config, algorithm: str, steps: int, folder: str, **options: Any) -> Any:
    """TRL's trainer with the same model, adapter, prompts, number of samples and KL term."""
    import datasets
    import trl
    from peft import LoraConfig

    kind = {"grpo": (trl.GRPOTrainer, trl.GRPOConfig), "rloo": (trl.RLOOTrainer, trl.RLOOConfig)}[algorithm]
    settings = kind[1](
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=config.prompts * config.samples,
        num_generations=config.samples,
        max_completion_length=config.tokens,
        temperature=1.0,
        top_k=0,
        beta=TrainConfig.kl_coef,
        learning_rate=1e-5,
        gradient_checkpointing=False,
        bf16=config.dtype == "bfloat16",
        use_cpu=config.device == "cpu",
        report_to="none",
        save_strategy="no",
        logging_steps=10_000,
        disable_tqdm=True,
        shuffle_dataset=False,
    )
    rows = datasets.Dataset.from_dict({"prompt": make_texts(config) * steps})
    return kind[0](
        model=make_model(config),
        reward_funcs=lambda completions, **_: [float(len(text) % 2) for text in completions],
        args=settings,
        train_dataset=rows,
        processing_class=make_tokenizer(config),
        peft_config=LoraConfig(
            r=_LORA.rank, lora_alpha=_LORA.alpha, target_modules="all-linear", lora_dropout=0.0, task_type="CAUSAL_LM"
        ),
        **options,
    )


def steps_beside_trl(config: Config, algorithm: str) -> dict[str, list[float]]:
    """Seconds of TRL's steps, and of ours between them."""
    from transformers import TrainerCallback

    ours = OurStep(config)
    seconds: dict[str, list[float]] = {"ours": [], algorithm: []}

    class Between(TrainerCallback):  # type: ignore[misc] # transformers has no types
        started = 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            if config.device != "cpu":
                torch.cuda.synchronize()
            seconds[algorithm].append(time.perf_counter() - self.started)
            seconds["ours"].append(timed(config, ours))

    with tempfile.TemporaryDirectory() as folder:
        trl_trainer(config, algorithm, config.repeats + 1, folder, callbacks=[Between()]).train()
    return {name: turns[1:] for name, turns in seconds.items()}


# -- memory ------------------------------------------------------------------------------------------------------------


def memory_in_a_process(config: Config, side: str) -> float:
    """MiB at the peak of one side's steps, beyond what its process held before."""
    words = [f"--{field}={getattr(config, field)}" for field in ("prompt", "samples", "tokens", "prompts", "layers")]
    words += [f"--{field}={getattr(config, field)}" for field in ("hidden", "vocabulary", "threads", "device", "dtype")]
    command = [sys.executable, __file__, f"--memory-of={side}", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def peak_memory(config: Config, side: Side) -> float:
    """MiB at the peak of three steps in this process, beyond what was held before the first."""
    on_cpu = config.device == "cpu"
    with tempfile.TemporaryDirectory() as folder:
        run = OurStep(config) if side == "ours" else trl_trainer(config, side, 3, folder).train
        before = resident("VmRSS") if on_cpu else torch.cuda.memory_allocated() / 2**20
        for _ in range(3 if side == "ours" else 1):  # TRL's trainer counts its steps itself
            run()
    return (resident("VmHWM") if on_cpu else torch.cuda.max_memory_allocated() / 2**20) - before


def resident(field: str) -> float:
    """MiB of this process's memory, by a field of Linux's process status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"this system does not tell {field}.")


# -- tables ------------------------------------------------------------------------------------------------------------


def parts_table(config: Config, figures: Mapping[str, list[float]]) -> Table:
    """Seconds, tokens per second, and how many times faster ours is."""
    title = f"prompt {config.prompt}, K {config.samples}, {config.layers} layers of {config.hidden}, {config.device}"
    table = Table("", "seconds", "tokens/s", "ratio", title=title)
    tokens = config.prompts * config.samples * config.tokens
    for ours, other in (("sampling", "generate"), ("update", "update of plain rows")):
        for name in (ours, other):
            middle = statistics.median(figures[name])
            ratio = statistics.median(figures[other]) / middle
            table.add_row(name, f"{middle:.4f}", f"{tokens / middle:,.0f}", f"{ratio:.2f}")
    return table


def steps_table(
    config: Config, algorithm: str, figures: Mapping[str, list[float]], memory: Mapping[str, float]
) -> Table:
    """Whole steps: ours beside TRL's."""
    title = f"whole step: prompt {config.prompt}, K {config.samples}, {config.prompts} prompts, {config.tokens} tokens"
    table = Table("", "seconds", "tokens/s", "ratio", "peak memory, MiB", title=title)
    tokens = config.prompts * config.samples * config.tokens
    for name in ("ours", algorithm):
        middle = statistics.median(figures[name])
        ratio = statistics.median(figures[algorithm]) / middle
        label = name if name == "ours" else f"TRL {algorithm.upper()}"
        table.add_row(label, f"{middle:.4f}", f"{tokens / middle:,.0f}", f"{ratio:.2f}", f"{memory[name]:,.0f}")
    return table


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
