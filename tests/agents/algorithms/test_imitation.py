import dataclasses

import pytest
import torch

from retro_gym.errors import ConfigError, RecordError
from retro_gym_agents.algorithms.imitation import (
    ImitationConfig,
    ImitationRun,
    chosen,
    imitation_loss,
    improve,
    loss_on,
    train,
)
from retro_gym_agents.data.examples import Example, Written, load_examples
from retro_gym_agents.lm.chains import Reply
from retro_gym_agents.lm.reflector import Reflector
from retro_gym_agents.play.collection import CollectConfig, collect
from retro_gym_agents.play.envs import make_retro_env
from retro_gym_agents.play.policies import make_policy
from retro_gym_agents.runs.checkpoints import read_checkpoint


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """What the oracle and a vague policy said on RetroIdentity-v0."""
    folder = tmp_path_factory.mktemp("records")
    for name in ("oracle", "vague"):
        config = CollectConfig("RetroIdentity-v0", folder / f"{name}.jsonl", num_episodes=48, max_reflections=1)
        collect(config, make_policy(name))
    return folder


def config(small_model, output, *records, **fields):
    defaults = {"model": str(small_model), "epochs": 6, "batch_size": 4, "learning_rate": 1e-2, "output": output}
    return ImitationConfig(records=tuple(map(str, records)), **{**defaults, **fields})


def success(folder):
    """The share of right reflections among eight sampled ones on each of some validation tasks."""
    env = make_retro_env("RetroIdentity-v0", split="validation", max_reflections=1)
    reflector, right = Reflector.load(folder), 0
    for number, task_id in enumerate(env.task_env.task_ids("validation")[:8]):
        observation, _ = env.reset(seed=0, options={"task_id": task_id})
        right += sum(
            one.success for one in env.branch(reflector.sample([observation], num_samples=8, seed=[number]).texts)
        )
    return right / 64


def test_loss_by_hand():
    logprobs = torch.tensor([[-1.0, -2.0, -4.0], [-0.5, -9.0, -9.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    torch.testing.assert_close(imitation_loss(logprobs, mask), torch.tensor(7.5))


def test_the_gradient_is_that_of_finite_differences():
    logits = torch.randn(2, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    tokens, mask = torch.tensor([[1, 2, 0], [3, 0, 0]]), torch.tensor([[True, True, True], [True, True, False]])

    def loss(values):
        return imitation_loss(values.log_softmax(-1).gather(-1, tokens[..., None])[..., 0], mask)

    assert torch.autograd.gradcheck(loss, (logits,))
    (gradient,) = torch.autograd.grad(loss(logits), logits)
    assert not gradient[1, 2].any(), "padding has no gradient"


def test_it_learns_what_the_records_hold(small_model, tmp_path, records):
    train(config(small_model, tmp_path / "oracle", records / "oracle.jsonl"))
    assert success(small_model) < 0.6
    assert success(tmp_path / "oracle") >= 0.9


def test_nothing_is_learned_from_reflections_that_say_nothing(small_model, tmp_path, records):
    train(config(small_model, tmp_path / "vague", records / "vague.jsonl"))
    assert success(tmp_path / "vague") <= success(small_model) + 0.05


def test_what_is_together_has_the_loss_of_what_is_apart(small_model, tmp_path, records):
    """With one, two and three reflections on a failure, in one pass and in several."""
    model = Reflector.load(small_model)
    said = {"Say it.": ["red", "blue, not red", "green"], "Say it again, please.": ["green"], "Now.": ["red", "no"]}
    examples = [
        [Reply(model.encode(prompt), model.encode_reply(text))] for prompt, texts in said.items() for text in texts
    ]
    found = []
    for together, tokens in ((False, None), (True, None), (True, 20)):
        model.model.zero_grad()
        settings = config(small_model, tmp_path, records / "oracle.jsonl", micro_tokens=tokens)
        loss = loss_on(model, examples[::-1], settings, together=together)
        found.append((loss, [weight.grad.clone() for weight in model.trainable.values()]))
    apart, *shared = found
    for loss, gradients in shared:
        assert loss == pytest.approx(apart[0], rel=1e-5)
        for gradient, other in zip(gradients, apart[1], strict=True):
            torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-3)


def test_batches_of_what_is_together(small_model, tmp_path):
    records = tmp_path / "records.jsonl"
    collected = CollectConfig("RetroIdentity-v0", records, num_episodes=20, num_samples=3, max_reflections=1)
    collect(collected, make_policy("noisy"))
    settings = config(small_model, tmp_path / "run", records, together=True, batch_size=7, epochs=1)
    with ImitationRun(settings) as run:
        batches = [run.batch(update) for update in range(1, run.num_updates + 1)]
        learned = len(load_examples([records], "reflector")) - len(run.apart)
    for batch in batches:
        prompts = [tuple(one[0].prompt) for one in batch]
        assert len(prompts) <= 7
        assert len(set(prompts)) == 1, "all bundles of seven are of one failure"
    assert sum(map(len, batches)) == learned
    train(settings)
    assert train(dataclasses.replace(settings, resume=True)).was_finished


def test_the_held_out_tasks_are_measured_and_not_learned(small_model, tmp_path, records):
    settings = config(small_model, tmp_path / "run", records / "oracle.jsonl", held_out=0.25, validate_every=4)
    with ImitationRun(settings) as run:
        assert run.apart
        assert len(run.apart) + len(run.passes.items) == len(load_examples([records / "oracle.jsonl"], "reflector"))
    result = train(settings)
    assert result.metrics["validation_nll"] < 0.5
    assert (tmp_path / "run" / "best").is_dir()


def test_a_stopped_run_goes_on_to_the_same_weights(small_model, tmp_path, records):
    def settings(name, **fields):
        return config(small_model, tmp_path / name, records / "oracle.jsonl", epochs=2, **fields)

    train(settings("whole"))
    with ImitationRun(settings("parts", checkpoint_every=1)) as run:
        optimizer = torch.optim.AdamW(run.learner.trainable.values(), lr=1e-2, weight_decay=0.0)
        for update in run.updates(optimizer):
            run.log(improve(run.learner, optimizer, run.batch(update), run.config))
            if update == 3:
                break
    result = train(settings("parts", checkpoint_every=1, resume=True))
    whole, parts = (read_checkpoint(tmp_path / name / "checkpoint.pt") for name in ("whole", "parts"))
    assert result.updates == whole.update == parts.update
    for name, weight in whole.adapter.items():
        assert torch.equal(weight, parts.adapter[name]), name


def example(reward, success):
    return Example("reflector", (Written("x", "y"),), reward, success, "task", 0, "row")


def test_filters(small_model, tmp_path):
    all_of_them = [example(0.5, True), example(0.0, False), example(-0.5, False)]
    settings = config(small_model, tmp_path, "file")
    assert chosen(all_of_them, settings) == all_of_them
    assert chosen(all_of_them, dataclasses.replace(settings, min_rating=0.0)) == all_of_them[:2]
    assert chosen(all_of_them, dataclasses.replace(settings, successful=True)) == all_of_them[:1]
    with pytest.raises(ConfigError, match=r"none of 3 examples passes min_rating=0\.9"):
        chosen(all_of_them, dataclasses.replace(settings, min_rating=0.9))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"role": "judge"}, "role 'judge' is not one of"),
        ({"epochs": 0}, "epochs is 0"),
        ({"held_out": 1.0}, "held_out is 1.0"),
        ({"records": ()}, "records is empty"),
    ],
)
def test_bad_settings(small_model, tmp_path, fields, told):
    with pytest.raises(ConfigError, match=told):
        ImitationConfig(**{"records": ("file",), "output": tmp_path, **fields})


def test_a_file_without_examples(small_model, tmp_path, records):
    with pytest.raises(RecordError, match="absent"):
        train(config(small_model, tmp_path / "run", tmp_path / "absent.jsonl"))
    env = make_retro_env("RetroIdentity-v0", records=tmp_path / "empty.jsonl")
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="holds nothing that a reflector wrote"):
        train(config(small_model, tmp_path / "run", tmp_path / "empty.jsonl"))
