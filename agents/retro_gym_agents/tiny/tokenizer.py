"""The tiny reflector's tokenizer: whole words for what is common, two halves for coined names, bytes for the rest.

A name must have the same tokens wherever it stands, or it cannot be copied. So words are split from each other first
(a space belongs to the word behind it), and a rare capitalised word is then read as two pieces, cut before its second
vowel: the pieces recur in other names although the names do not.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

__all__ = ["build_tokenizer"]

PAD, BOS, EOS = "<pad>", "<s>", "</s>"

_WORDS = r" ?\[[A-Z]+\]| ?[A-Za-z]+(?: [0-9](?![0-9]))?| ?[0-9]| ?[^A-Za-z0-9\s]+|\s+"
_NAME = re.compile(r"( ?)([A-Z][^aeiou]*[aeiou][^aeiou]*)([aeiou][a-z]*)$")
_COMMON = 12  # texts that a word must stand in to have a token of its own; a coined name stands in few


def build_tokenizer(texts: Iterable[str]) -> Any:
    """A ``PreTrainedTokenizerFast`` over the words and halves of names that stand in the texts.

    Args:
        texts: prompts and reflections; some thousands, so that every half of a name occurs.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = {"".join(part for part, _ in to_bytes.pre_tokenize_str(piece)) for piece in _pieces(texts)}
    # Unigram takes the segmentation with the highest sum: as few pieces as possible, bytes only as a last resort.
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
    """What is to be one token: common words, and the halves of rare capitalised ones."""
    seen_in: Counter[str] = Counter()
    for text in texts:
        seen_in.update(set(re.findall(_WORDS, text)))
    pieces = {word for word, count in seen_in.items() if count >= _COMMON and len(word) > 1}
    for word, count in seen_in.items():
        halves = _NAME.match(word)
        if halves and count < _COMMON:
            pieces |= {halves.group(2), f" {halves.group(2)}", halves.group(3)}
    return pieces
