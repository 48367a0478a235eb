"""The tiny reflector's tokenizer: common words are one token, generated names two, everything else bytes.

A name must have the same tokens wherever it occurs, or it cannot be copied. So text is first split into words (a space
belongs to the word after it, and a single digit to the word before it); rare words are then split before their second
vowel, because the halves of a generated name recur in other names although the name does not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["build_tokenizer"]

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

_WORDS = r" ?\[[A-Z]+\]| ?[A-Za-z]+(?: [0-9](?![0-9]))?| ?[0-9]| ?[^A-Za-z0-9\s]+|\s+"
_NAME = re.compile(r" ?([A-Za-z][^aeiou ]*[aeiou][^aeiou ]*)([aeiou][a-z]*)$")
_NUMBERED = re.compile(r"(.+)( [0-9])$")
_COMMON = 12  # number of texts in which a word must occur to be one token; a generated name occurs in few


def build_tokenizer(texts: Iterable[str]) -> Any:
    """Builds a ``PreTrainedTokenizerFast`` from the words and halves of names in the texts.

    Args:
        texts: prompts and reflections; some thousands, so that every half of a name occurs.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {"".join(part for part, _ in to_bytes.pre_tokenize_str(piece)) for piece in _pieces(texts)}
    # Unigram takes the segmentation with the highest score: as few pieces as possible, bytes only as a last resort.
    vocabulary = [(token, 0.0) for token in (PAD, BOS, EOS)]
    vocabulary += [(byte, -10.0) for byte in alphabet]
    vocabulary += [(piece, -1.0) for piece in sorted(pieces - set(alphabet))]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=None, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_WORDS), "isolated"), to_bytes],
    )
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def _pieces(texts: Iterable[str]) -> set[str]:
    """Returns the pieces that become tokens: common words, and the halves of rare ones."""
    seen_in: Counter[str] = Counter()
    for text in texts:
        words = set(re.findall(_WORDS, text))
        numbered = [match for word in words if (match := _NUMBERED.match(word))]
        seen_in.update(words | {part for match in numbered for part in match.groups()})
    pieces = {word for word, count in seen_in.items() if count >= _COMMON and len(word) > 1}
    for word, count in seen_in.items():
        halves = _NAME.match(word)
        if halves and count < _COMMON:
            pieces |= {halves.group(1), f" {halves.group(1)}", halves.group(2)}
    return pieces
