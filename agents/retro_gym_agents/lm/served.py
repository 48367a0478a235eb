"""Samples by a server that holds the base model: vLLM or SGLang, into which the adapter is loaded after each update.

The server draws tokens and says with which log-probabilities. Its kernels and precision are not those of the learner,
so these differ from the learner's own a little, and what it draws is slightly off-policy. A learner weights each sample
by π(y)/q(y), the learner's probability over the server's, cut at :data:`LARGEST_WEIGHT` (truncated importance sampling,
Ionides 2008). If the two differ by more than rounding, they are not the same model, and that is an error.

vLLM has to run with ``--enable-lora`` and ``VLLM_ALLOW_RUNTIME_LORA_UPDATING=True``, and, for a temperature other than
1, with ``--logprobs-mode processed_logprobs``; SGLang with ``--enable-lora``. Both read the adapter from a folder, so
the server has to see the run's folder under the same path.

Axes: P prompts, K samples per prompt, N = P·K samples, T reflection tokens.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from retro_gym.errors import ConfigError, MissingExtraError, SamplerError, one_line
from retro_gym_agents.lm.adapted_model import AdaptedModel
from retro_gym_agents.lm.adapter_folder import weights_digest
from retro_gym_agents.lm.samples import Draws, Sampling, each_seed

__all__ = ["LARGEST_WEIGHT", "ServedSampler", "check_agreement", "truncated_weights"]

LARGEST_WEIGHT = 2.0
"""At which importance weights are cut: it bounds the variance that a single sample can cause."""
_LARGEST_GAP = 0.3  # nats per token, on average; bfloat16 gives 0.01 to 0.05
_SEEDS = 2**31  # vLLM takes seeds of 64 bits with a sign; this is well within

_Said: TypeAlias = tuple[list[int], list[float]]  # tokens and their log-probabilities


def truncated_weights(ours_NT: Tensor, theirs_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """Returns min(π(y)/q(y), :data:`LARGEST_WEIGHT`) for each sample, without a gradient.

    Args:
        ours_NT: log-probabilities of the tokens under the learner's policy π.
        theirs_NT: those under the server's, q.
        mask_NT: which tokens were sampled.
    """
    ratio_N = (ours_NT.detach() - theirs_NT).where(mask_NT, 0.0).sum(-1).exp()
    return ratio_N.clamp(max=LARGEST_WEIGHT)


def check_agreement(ours_NT: Tensor, theirs_NT: Tensor, mask_NT: Tensor) -> float:
    """Returns the mean difference of the learner's and the server's log-probabilities of a token, in nats.

    Raises:
        ConfigError: it is too large for rounding.
    """
    gap = ((ours_NT.detach() - theirs_NT).abs() * mask_NT).sum().item() / max(1, int(mask_NT.sum()))
    if not gap <= _LARGEST_GAP:
        raise ConfigError(
            f"the server's log-probabilities differ from the learner's by {gap:.2f} nats per token; {_LARGEST_GAP} are "
            "allowed for rounding. Serve the same base model, with the adapter's rank within the server's limit; with "
            "a temperature other than 1, start vLLM with --logprobs-mode processed_logprobs."
        )
    return gap


class ServedSampler:
    """Samples by a server; loads the adapter into it whenever its weights have changed.

    Args:
        url: the server's address, with or without ``/v1``.
        folder: where adapters are written for the server; it must see them under the same path.
        timeout: seconds for one request, which samples the reflections on one prompt.
        patience: seconds for which a request that fails is tried again.
        max_in_flight: requests at the same time.

    Raises:
        MissingExtraError: httpx2 or tenacity is not installed.
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        *,
        timeout: float = 600.0,
        patience: float = 60.0,
        max_in_flight: int = 64,
    ) -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._folder = folder.resolve()
        self._http = _Http(self.url, timeout, patience)
        self._threads = ThreadPoolExecutor(max_in_flight, thread_name_prefix="sampler")
        self._dialect: _Dialect | None = None
        self._loaded: tuple[str, list[int]] | None = None

    def draw(
        self,
        model: AdaptedModel,
        rows: Sequence[Sequence[int]],
        sampling: Sampling,
        *,
        num_samples: int,
        greedy: bool,
        seed: int | Sequence[int],
    ) -> Draws:
        """Samples K continuations for each of P rows of token ids, without hidden states.

        Raises:
            SamplerError: the server cannot be reached, or gave no usable answer.
        """
        name = self._load(model)
        seeds = [each % _SEEDS for each in each_seed(seed, len(rows))]
        dialect, heat = self._spoken(), 0.0 if greedy else sampling.temperature
        bodies = [
            dialect.body(name, list(row), sampling, heat, num_samples, one)
            for row, one in zip(rows, seeds, strict=True)
        ]
        answers = self._threads.map(lambda body: self._http.post(dialect.path, body), bodies)
        said = [one for answer in answers for one in self._read(dialect, answer, num_samples, sampling)]
        return _as_draws(said, sampling.pad_id, model.device)

    def close(self) -> None:
        """Unloads the adapter, and removes what was written for the server."""
        if self._loaded is not None and self._dialect is not None:
            name, self._loaded = self._loaded[0], None
            try:
                self._http.post(self._dialect.unload, {"lora_name": name}, once=True)
            except SamplerError:
                self._dialect = None  # a server that is gone holds no adapter
        self._threads.shutdown(cancel_futures=True)
        self._http.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _load(self, model: AdaptedModel) -> str:
        """Makes the server hold the model's present adapter; returns its name there."""
        changes = model.changes()
        if self._loaded is not None and self._loaded[1] == changes:
            return self._loaded[0]
        dialect, written = self._spoken(), self._folder / "next"
        model.save_weights(written)
        name = f"retro-gym-{weights_digest(written)}"
        if self._loaded is not None and self._loaded[0] == name:
            self._loaded = name, changes
            return name
        target = self._folder / name
        shutil.rmtree(target, ignore_errors=True)
        written.rename(target)
        self._http.post(dialect.load, {"lora_name": name, "lora_path": str(target)})
        before, self._loaded = self._loaded, (name, changes)
        if before is not None:
            self._http.post(dialect.unload, {"lora_name": before[0]})
            shutil.rmtree(self._folder / before[0], ignore_errors=True)
        return name

    def _spoken(self) -> _Dialect:
        if self._dialect is None:
            self._dialect = next((one for one in _DIALECTS if self._http.knows(one.sign)), None)
        if self._dialect is None:
            raise SamplerError(
                f"the server at {self.url} is neither vLLM nor SGLang: it has none of "
                f"{', '.join(one.sign for one in _DIALECTS)}. Give the address of one of these."
            )
        return self._dialect

    def _read(self, dialect: _Dialect, answer: Any, num_samples: int, sampling: Sampling) -> list[_Said]:
        try:
            said = [
                ([int(id_) for id_ in ids], [float(one) for one in logprobs]) for ids, logprobs in dialect.read(answer)
            ]
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SamplerError(
                f"the server at {self.url} answered without token ids and log-probabilities ({one_line(repr(error))}): "
                f"{one_line(answer)}. Use a newer version of it."
            ) from error
        whole = all(
            ids and (ids[-1] in sampling.end_ids or len(ids) == sampling.max_new_tokens) and len(ids) == len(logprobs)
            for ids, logprobs in said
        )
        if len(said) != num_samples or not whole:
            raise SamplerError(
                f"the server at {self.url} gave {len(said)} samples for {num_samples}, or one that ends without an end "
                f"token ({', '.join(map(str, sampling.end_ids))}) before {sampling.max_new_tokens} tokens. Serve the "
                "same model with the same tokenizer."
            )
        return said


def _as_draws(said: Sequence[_Said], pad_id: int, device: torch.device) -> Draws:
    tokens = [torch.tensor(ids, device=device) for ids, _ in said]
    logprobs = [torch.tensor(values, dtype=torch.float32, device=device) for _, values in said]
    lengths_N = torch.tensor([len(ids) for ids, _ in said], device=device)
    tokens_NT = pad_sequence(tokens, batch_first=True, padding_value=pad_id)
    mask_NT = torch.arange(tokens_NT.shape[1], device=device) < lengths_N[:, None]
    return Draws(tokens_NT, mask_NT, pad_sequence(logprobs, batch_first=True), None)


# -- the two servers ---------------------------------------------------------------------------------------------------


class _Dialect(Protocol):
    """How a server is asked."""

    sign: str
    """A path that only this kind of server has."""
    path: str
    load: str
    unload: str

    def body(
        self, name: str, ids: list[int], sampling: Sampling, temperature: float, count: int, seed: int
    ) -> Mapping[str, Any]:
        """Returns the request for samples on one prompt."""

    def read(self, answer: Any) -> Iterable[tuple[Iterable[Any], Iterable[Any]]]:
        """Yields token ids and log-probabilities of each sample."""


class _Vllm:
    sign, path = "/version", "/v1/completions"
    load, unload = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"

    def body(
        self, name: str, ids: list[int], sampling: Sampling, temperature: float, count: int, seed: int
    ) -> Mapping[str, Any]:
        return {
            "model": name,
            "prompt": ids,
            "n": count,
            "seed": seed,
            "temperature": temperature,
            "max_tokens": sampling.max_new_tokens,
            "stop_token_ids": list(sampling.end_ids),
            "top_k": sampling.top_k or -1,
            "top_p": sampling.top_p,
            "repetition_penalty": 1.0,  # the model's own settings are not part of the policy
            "min_p": 0.0,
            "logprobs": 1,
            "return_tokens_as_token_ids": True,
        }

    def read(self, answer: Any) -> Iterable[tuple[Iterable[Any], Iterable[Any]]]:
        for choice in answer["choices"]:
            said = choice["logprobs"]
            yield [token.removeprefix("token_id:") for token in said["tokens"]], said["token_logprobs"]


class _Sglang:
    """Its samples are not determined by a seed."""

    sign, path = "/get_model_info", "/generate"
    load, unload = "/load_lora_adapter", "/unload_lora_adapter"

    def body(
        self, name: str, ids: list[int], sampling: Sampling, temperature: float, count: int, seed: int
    ) -> Mapping[str, Any]:
        wanted = {
            "n": count,
            "temperature": temperature,
            "max_new_tokens": sampling.max_new_tokens,
            "stop_token_ids": list(sampling.end_ids),
            "top_k": sampling.top_k or -1,
            "top_p": sampling.top_p,
            "repetition_penalty": 1.0,
            "min_p": 0.0,
        }
        return {"input_ids": ids, "sampling_params": wanted, "lora_path": name, "return_logprob": True}

    def read(self, answer: Any) -> Iterable[tuple[Iterable[Any], Iterable[Any]]]:
        for one in answer if isinstance(answer, list) else [answer]:
            said = one["meta_info"]["output_token_logprobs"]
            yield [each[1] for each in said], [each[0] for each in said]


_DIALECTS: tuple[_Dialect, ...] = (_Vllm(), _Sglang())


class _Http:
    """Requests in JSON, tried again while the server is busy or away."""

    def __init__(self, url: str, timeout: float, patience: float) -> None:
        try:
            import httpx2
            import tenacity
        except ModuleNotFoundError as error:
            raise MissingExtraError(error.name or "httpx2", "openai") from error
        self._url, self._errors = url, httpx2.HTTPError
        self._client = httpx2.Client(base_url=url, timeout=timeout, limits=httpx2.Limits(max_connections=None))
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_PassingError),
            stop=tenacity.stop_after_delay(patience),
            wait=tenacity.wait_exponential(multiplier=0.5, max=10.0),
            reraise=True,
        )

    def knows(self, path: str) -> bool:
        """Whether the server has a page."""
        return bool(self._retrying(self._send, "GET", path, None).status_code < 400)

    def post(self, path: str, body: Mapping[str, Any], *, once: bool = False) -> Any:
        """Returns the answer's JSON, or its text."""
        answer = self._send("POST", path, body) if once else self._retrying.copy()(self._send, "POST", path, body)
        if answer.status_code >= 400:
            raise SamplerError(
                f"the server at {self._url} refused {path} with status {answer.status_code}: {one_line(answer.text)}. "
                "vLLM needs --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, SGLang --enable-lora, and both "
                "the rank of the adapter (--max-lora-rank)."
            )
        is_json = "json" in answer.headers.get("content-type", "")
        return answer.json() if is_json else answer.text

    def close(self) -> None:
        """Closes all connections."""
        self._client.close()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except self._errors as error:
            raise _PassingError(
                f"the server at {self._url} cannot be reached: {one_line(str(error) or repr(error))}."
            ) from error
        if answer.status_code in (408, 429) or answer.status_code >= 500:
            raise _PassingError(
                f"the server at {self._url} failed with status {answer.status_code}: {one_line(answer.text)}. Resume "
                "when it is well."
            )
        return answer


class _PassingError(SamplerError):
    """A failure that may pass."""
